/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/mm_internal.h - struct mm and what the files of mm/ share
 *
 * Model:   an operation computes what will change, has the host do it, then changes the tree; what the host refuses never
 *          happened. Where a host operation is queued for the guest's next run instead (umem_defer), the tree changes first and
 *          mm_defer_failed() repairs it should the host refuse.
 *
 *          When may an operation be queued? A queued operation takes effect after the lock is free again, so another
 *          thread's later operation on the same range could overtake it. Hence only
 *          - when the mm has one user (nobody can overtake), or
 *          - for ranges that the guest cannot know yet (fresh mappings), or
 *          - for an munmap, whose range is kept from reuse (quarantine) until its thread is seen again, or
 *          - for advice that changes nothing in the tree.
 */
#ifndef SENTRY_MM_INTERNAL_H
#define SENTRY_MM_INTERNAL_H

#include "sentry/abi/mman.h"
#include "sentry/mm/vma.h"

#define MM_MAP_COUNT_MAX  mm_map_count_max()
#define MM_HOST_MAP_COUNT 65530	  /* what a host allows by default: its vm.max_map_count */
#define MM_HOST_RESERVE	  64	  /* of these, for the stub's own (about 10), queued unmaps, and pieces in the middle of a change */
#define MM_CROWDED	  30000	  /* mappings; half of what a host allows by default */
#define MM_LARGE_BYTES	  (64ull << 20)
#define MM_MMAP_MIN_ADDR  65536ull /* /proc/sys/vm/mmap_min_addr */
#define MM_LOW_BASE	  0x10000ull
#define MM_NR_QUARANTINE  16
#define HUGE_PAGE_BYTES	  (2ull << 20)

/* The guest's own limit, kept below the host's: a host that refuses a mapping refuses to take one away, too, and nothing but killing
 * the process is left then. A guest that wants more than the default must have a host that allows it. */
static inline uint64_t mm_map_count_max(void)
{
	int64_t n = atomic_load_explicit(&mm_max_map_count, memory_order_relaxed);

	return (uint64_t)(n <= MM_HOST_MAP_COUNT - MM_HOST_RESERVE ? n : n - MM_HOST_RESERVE);
}

/* A range whose unmapping is queued with a thread that has not made a call since. */
struct quarantined {
	const struct uthread *u; /* never followed; only compared */
	uint64_t start, end;
};

/* The program's file, shared by forks; mm/ does not know what it is. */
struct exe_ref {
	struct refcount ref;
	void *file;
	void (*put)(void *file);
};

struct mm {
	struct refcount users;
	struct uspace *space;		/* reference; immutable once published */
	struct sleeplock lock;		/* rank 70 */
	/* all below: guarded by lock */
	struct vma_tree tree;
	uint64_t limit;			/* first address that is not the guest's; immutable */
	uint64_t mmap_base;		/* top of the area for mappings without an address */
	uint64_t stack_limit;		/* bytes; RLIMIT_STACK as last heard */
	uint32_t def_flags;		/* VM_* that new mappings get: mlockall(MCL_FUTURE) */
	struct mm_layout layout;
	uint64_t vdso, vdso_len;	/* rows of /proc/PID/maps; 0 = none */
	uint64_t peak_total;		/* bytes, VmPeak */
	struct quarantined quarantine[MM_NR_QUARANTINE];
	unsigned nr_quarantine;
	struct vma *dead;		/* unlinked, to be freed by mm_unlock_free(); chained by next */
	struct exe_ref *exe;		/* reference; NULL = none */
};

/* How mm/ reaches the host: the platform, or a unit test's fake. Set before the first mm is made. */
struct mm_host {
	long (*exec)(struct uthread *u, const struct umem_op *ops, size_t n, size_t *out_done);
	long (*defer)(struct uthread *u, const struct umem_op *op);
	long (*fork)(struct uthread *parent, bool later, struct uthread **out_child);
	void (*kill)(struct uspace *s);
	struct uspace *(*get)(struct uspace *s);
	void (*put)(struct uspace *s);
	uint64_t (*limit)(const struct uspace *s);
	uint64_t (*vdso)(const struct uspace *s);
};
extern const struct mm_host *mm_host;

/* mm.c */
void mm_unlock_free(struct mm *mm);	/* unlocks, then drops what was unmapped */
void mm_bury(struct mm *mm, struct vma *v); /* for mm_unlock_free() */
static inline bool mm_single(struct mm *mm)
{
	return atomic_load_explicit(&mm->users.n, memory_order_acquire) == 1;
}
/* The thread @u made a call: what it had queued is done. Called first by every operation, locked. */
void mm_seen(struct mm *mm, const struct uthread *u);
bool mm_quarantined(struct mm *mm, uint64_t start, uint64_t end, uint64_t *out_start);
bool mm_quarantine_add(struct mm *mm, const struct uthread *u, uint64_t start, uint64_t end);

enum host_when {
	HOST_NOW,	/* must have happened before the lock is dropped */
	HOST_IF_SINGLE,	/* may wait for the next run when this thread is alone */
	HOST_LATER,	/* may wait for the next run */
};
/* One host operation. 0 or -LINUX_E*. */
long mm_host_op(struct mm *mm, struct uthread *u, const struct umem_op *op, enum host_when when);
/* The host's state of a range is unknown after a failure: unmap it, on both sides. Kills the guest when even that fails. */
void mm_scorch(struct mm *mm, struct uthread *u, uint64_t start, uint64_t end);

/* place.c */
struct place_args {
	uint64_t hint, len;
	uint32_t flags;		/* LINUX_MAP_* */
	bool huge_align;	/* anonymous memory that may use huge pages */
};
/* An address for a new mapping, or -LINUX_ENOMEM, -LINUX_EINVAL, -LINUX_EEXIST, -LINUX_EPERM. Locked. */
long mm_place(struct mm *mm, const struct place_args *a);

/* map.c */
/* Cuts [start, end) out of the tree (not the host); @spare: one unused vma for a split in the middle, taken if needed. */
void mm_cut(struct mm *mm, uint64_t start, uint64_t end, struct vma **spare);
bool mm_sealed(struct mm *mm, uint64_t start, uint64_t end);
uint64_t mm_bytes_in(struct mm *mm, uint64_t start, uint64_t end);
/* 0, or -LINUX_ENOMEM when @add more bytes (of which data if @data) would pass the limits. */
long mm_may_expand(struct mm *mm, const struct mm_limits *lim, uint64_t add, bool data);
/* The host operation that maps @v's pages. May sleep in the file system. 0 or -LINUX_E*. */
long mm_map_op(const struct vma *v, uint64_t start, uint64_t end, uint32_t umem_flags, struct umem_op *out);
/* Puts the filled vma into the tree and merges it. */
struct vma *mm_add(struct mm *mm, struct vma *v);
/* Splits so that no vma straddles @start or @end; needs two spare vmas. */
void mm_split_at(struct mm *mm, uint64_t start, uint64_t end, struct vma *spare[2]);
long mm_spares(struct vma *spare[2]);
void mm_spares_free(struct vma *spare[2]);
static inline bool mm_is_data(uint32_t vm_flags, uint32_t prot)
{
	return (prot & LINUX_PROT_WRITE) && !(vm_flags & (VM_SHARED | VM_GROWSDOWN | VM_STACK));
}

/* shm_anon.c: memory for MAP_SHARED|MAP_ANONYMOUS; one reference. 0 or -LINUX_ENOMEM, -LINUX_ENFILE */
long shm_anon_new(uint64_t len, struct mappable **out);
bool mappable_is_shm_anon(const struct mappable *m);

/* Page-aligned range of a call: false when it is empty or leaves the address space. */
static inline bool range_ok(const struct mm *mm, uint64_t addr, uint64_t len)
{
	return len && len <= mm->limit && addr <= mm->limit - len;
}
static inline uint64_t page_up(uint64_t len)
{
	return ALIGN_UP(len, PAGE_SIZE);
}

#endif
