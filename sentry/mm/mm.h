/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/mm.h - guest address spaces
 *
 * Model:   the host holds the pages; this layer holds the truth about what is mapped where (vmas), decides addresses,
 *          checks rights and limits, and tells the platform what to do. One struct mm per guest address space,
 *          shared by the tasks that share it (CLONE_VM). Invariant: after each call returns, the vma tree and the host
 *          process agree, or the guest has been killed.
 * Locks:   mm->lock (sleeplock) covers the vma tree and all host operations on the address space.
 * Source:  mmap(2), mprotect(2), mremap(2), madvise(2), brk(2), proc_pid_maps(5).
 */
#ifndef SENTRY_MM_H
#define SENTRY_MM_H

#include "base/buf.h"
#include "sentry/mm/uaccess.h"
#include "sentry/run/run.h"

struct mm;
struct vma;

/* What can be mapped. fs/ fills this in: a file's memory as a host descriptor. */
struct mappable;
struct mappable_ops {
	void (*get)(struct mappable *m);
	void (*put)(struct mappable *m);
	/* A host descriptor for [off, off+len) of the file (borrowed; stays valid while the mapping holds its reference),
	 * writable if @writable && shared. *out_file_id non-zero: read-only, cacheable in stub processes under that id.
	 * *out_host_off: offset in the descriptor that corresponds to @off. -LINUX_ENODEV when it cannot be mapped,
	 * -LINUX_EACCES. (may sleep) */
	long (*host_fd)(struct mappable *m, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd,
			uint64_t *out_file_id, uint64_t *out_host_off);
	/* Whether host_fd may wait for a guest the first time it is asked for a range; NULL = no. */
	bool (*waits)(struct mappable *m);
	/* For /proc/PID/maps: device, inode, path into @out. */
	void (*describe)(struct mappable *m, uint64_t *out_dev, uint64_t *out_ino, struct buf *out_path);
	/* msync(2) of a shared range; NULL = nothing to do. */
	long (*sync)(struct mappable *m, uint64_t off, uint64_t len);
	/* Told when shared writable mappings come and go (seals, ETXTBSY); NULL = not interested. -LINUX_EPERM etc. from map. */
	long (*map)(struct mappable *m, bool shared, bool writable);
	void (*unmap)(struct mappable *m, bool shared, bool writable);
	/* How many vmas use it changes by @delta (System V nattch); NULL = not interested. Must not sleep. */
	void (*users)(struct mappable *m, int delta);
};
struct mappable {
	const struct mappable_ops *ops;
};

/* Resource limits and identity that mm needs from above, copied in by the task layer at each call. */
struct mm_limits {
	uint64_t as, data, stack, memlock; /* bytes, RLIM_INFINITY = UINT64_MAX */
};

struct mm_layout {	/* prctl(PR_SET_MM), /proc/PID/{stat,cmdline,environ,auxv} */
	uint64_t start_code, end_code, start_data, end_data, start_brk, brk;
	uint64_t start_stack, arg_start, arg_end, env_start, env_end;
	uint64_t auxv[64];
	uint32_t nr_auxv;
};

/* ---- life ----- */
struct mm *mm_new(struct uspace *s);		/* for a fresh or reset uspace; one user; NULL = no memory */
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);			/* last user: vmas and mappable references go; not the uspace */
/* Copy for fork. Leaves out MADV_DONTFORK ranges. @later: the host may make the child with the parent's next run (uthread_fork()), if
 * nobody else can change @mm until then. 0 or -LINUX_E*. (sleeps) */
long mm_fork(struct mm *mm, struct uthread *parent, bool later, struct uthread **out_child, struct mm **out_mm);
/* @u uses @mm no more (exit, exec), before its mm_put(): what it had queued is done. (sleeps) */
void mm_leave(struct mm *mm, const struct uthread *u);
unsigned mm_users(struct mm *mm);
struct uspace *mm_space(struct mm *mm);
struct mm_layout *mm_layout(struct mm *mm);	/* fields guarded by mm_lock()/mm_unlock() */
void mm_lock(struct mm *mm);
void mm_unlock(struct mm *mm);
void mm_set_exe(struct mm *mm, void *file_ref, void (*put)(void *)); /* opaque: the loader's struct file */
void *mm_exe(struct mm *mm);			/* borrowed; NULL if none; only for tasks that use @mm */
void *mm_exe_get(struct mm *mm, void *(*get)(void *)); /* what @get makes of it, for others; NULL if none */
void mm_set_stack_limit(struct mm *mm, uint64_t bytes); /* RLIMIT_STACK changed: how far stacks may grow */

/* ---- hooks of the platform, which the task layer passes on with its task's mm ----- */
/* platform_text_lock: locks, and returns the PROT_* bits of the private mapping at @addr; -LINUX_EPERM without the lock. (sleeps) */
long mm_text_lock(struct mm *mm, uint64_t addr);
void mm_text_unlock(struct mm *mm);
/* platform_find_near: reserves @len bytes within rel32 reach of @near, under mm_text_lock(); 0 when there is no room. */
uint64_t mm_find_near(struct mm *mm, uint64_t near, uint64_t len);
/* platform_defer_failed: the host refused an operation that was queued. (sleeps) */
void mm_defer_failed(struct mm *mm, struct uthread *u, const struct umem_op *op, long err);

/* ---- a new image, for the loader ----- */
/* Collects the mappings of execve(2) into an empty address space, so that the host gets them in one batch. */
struct mm_image {
	struct mm *mm;
	struct umem_op *ops;
	unsigned nr, cap;
};
struct mm_placement {
	uint64_t stack_top, pie_base, brk_gap; /* chosen addresses; bytes between the end of bss and the heap */
};
/* Chooses addresses as Linux does; @randomize false: ADDR_NO_RANDOMIZE. */
void mm_image_begin(struct mm_image *img, struct mm *mm, uint64_t stack_limit, bool randomize,
		    struct mm_placement *out);
/* An unused range of @len bytes for an image without a fixed address (the interpreter). 0 when there is none. */
uint64_t mm_image_place(struct mm_image *img, uint64_t len);
/* Adds a mapping at a fixed address, over what is there; @m borrowed, NULL = anonymous; all page aligned.
 * 0, -LINUX_ENOMEM, -LINUX_EINVAL (range), -LINUX_E* of the file. (may sleep) */
long mm_image_map(struct mm_image *img, uint64_t addr, uint64_t len, uint32_t prot, struct mappable *m, uint64_t off);
/* Clears bytes of a mapping made before. */
long mm_image_zero(struct mm_image *img, uint64_t addr, uint64_t len);
/* The main stack, ending at @top. *out_low: its lowest address. */
long mm_image_stack(struct mm_image *img, uint64_t top, uint32_t prot, uint64_t *out_low);
/* Has the host do it all. 0 or -LINUX_E*: then the task must die. (sleeps) */
long mm_image_commit(struct mm_image *img, struct uthread *u);
void mm_image_fini(struct mm_image *img);

/* ---- operations on the calling thread's address space (sleep) ----- */
/* Linux semantics, return values and errors of the calls of the same name; @m is a borrowed mappable or NULL for anonymous.
 * @prot_max: PROT_* bits that mprotect may later add (file opened without write...). */
long mm_mmap(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr, uint64_t len, uint32_t prot,
	     uint32_t flags, struct mappable *m, uint64_t off, uint32_t prot_max, const char *name);
long mm_munmap(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len);
long mm_mprotect(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len, uint32_t prot);
long mm_mremap(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t old, uint64_t old_len,
	       uint64_t new_len, uint32_t flags, uint64_t new_addr);
/* mseal(2): 0, -LINUX_EINVAL, -LINUX_ENOMEM (a hole, or too many mappings). Takes the lock. */
long mm_mseal(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len);
long mm_madvise(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len, int advice);
long mm_brk(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr);
long mm_msync(struct mm *mm, uint64_t addr, uint64_t len, uint32_t flags);
long mm_mlock(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr, uint64_t len, uint32_t flags, bool lock);
/* mlockall(2); flags 0 = munlockall(2) */
long mm_mlockall(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint32_t flags);
long mm_mincore(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len, struct gptr vec);
long mm_remap_file_pages(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr, uint64_t len,
			 uint64_t pgoff);
/* 0 when all of the range is mapped, else -LINUX_ENOMEM. */
long mm_check_range(struct mm *mm, uint64_t addr, uint64_t len);
/* Names an anonymous range (prctl PR_SET_VMA). */
long mm_set_anon_name(struct mm *mm, uint64_t addr, uint64_t len, const char *name);

/* A fault that the host could not resolve: true if it was fixed here (stack growth) and the guest may go on; otherwise
 * *out_code is the si_code (SEGV_MAPERR, SEGV_ACCERR) the guest should see. */
bool mm_fault(struct mm *mm, struct uthread *u, const struct ufault *f, int *out_signo, int *out_code);

/* ---- for /proc ----- */
struct vma_info {
	uint64_t start, end, off, dev, ino;
	uint32_t prot, flags;	/* PROT_*, MAP_* */
	uint32_t vm_flags, prot_max; /* VM_* of mm/vma.h, PROT_* */
	char name[256];		/* path or [heap]... */
};
/* The first vma that ends above @from; false at the end. Holds no lock between calls. */
bool mm_next_vma(struct mm *mm, uint64_t from, struct vma_info *out);
/* vmas that one address space may have; the host's own limit stays behind it. */
extern _Atomic int64_t mm_max_map_count;
struct mm_usage { uint64_t total, locked, data, stack, exec, shared, peak, rss, anon_rss, file_rss; /* bytes; rss* estimated */ };
void mm_usage(struct mm *mm, struct mm_usage *out);

#endif
