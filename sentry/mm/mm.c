/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/mm.c - life of an address space, and how its operations reach the host
 *
 * Model:   see mm.h and mm_internal.h.
 * Locks:   mm->lock. References to mapped files are dropped after it, because a file's release may take any lock of vfs/.
 */
#include "sentry/mm/mm_internal.h"

#include <elf.h>
#include <sys/auxv.h>

#include "base/hostcall.h"
#include "base/log.h"

static const struct mm_host platform_host = {
	.exec = umem_exec,
	.defer = umem_defer,
	.fork = uthread_fork,
	.kill = uspace_kill,
	.get = uspace_get,
	.put = uspace_put,
	.limit = uspace_limit,
	.vdso = uspace_vdso,
};
const struct mm_host *mm_host = &platform_host;

_Atomic int64_t mm_max_map_count = MM_HOST_MAP_COUNT;

/* Bytes of the host's vDSO image: ours is the same as the guests'. */
static uint64_t vdso_bytes(void)
{
	const Elf64_Ehdr *eh = (const void *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Phdr *ph;
	uint64_t end = 0;

	if (!eh)
		return 0;
	ph = (const void *)((const char *)eh + eh->e_phoff);
	for (unsigned i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD)
			end = MAX(end, ph[i].p_vaddr + ph[i].p_memsz);
	return page_up(end);
}

static uint64_t random_u64(void)
{
	uint64_t v = 0;

	host_call(getrandom, &v, sizeof(v), 0);
	return v;
}

static struct mm *mm_alloc(struct uspace *s)
{
	struct mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return NULL;
	ref_init(&mm->users, 1);
	mm->space = mm_host->get(s);
	sleeplock_init(&mm->lock);
	mm->limit = mm_host->limit(s);
	mm->vdso = mm_host->vdso(s);
	mm->stack_limit = UINT64_MAX;
	return mm;
}

struct mm *mm_new(struct uspace *s)
{
	struct mm *mm = mm_alloc(s);

	if (!mm)
		return NULL;
	vma_tree_init(&mm->tree, random_u64());
	mm->mmap_base = mm->limit - (128ull << 20);
	mm->vdso_len = mm->vdso ? vdso_bytes() : 0;
	return mm;
}

struct mm *mm_get(struct mm *mm)
{
	ref_get(&mm->users);
	return mm;
}

static void exe_put(struct exe_ref *e)
{
	if (!e || !ref_put(&e->ref))
		return;
	e->put(e->file);
	free(e);
}

static void dead_free(struct vma *v)
{
	struct vma *next;

	for (; v; v = next) {
		next = v->next;
		vma_free(v);
	}
}

void mm_put(struct mm *mm)
{
	if (!mm || !ref_put(&mm->users))
		return;
	vma_tree_clear(&mm->tree);
	dead_free(mm->dead); /* of a program with overlapping segments that never came to take the lock */
	exe_put(mm->exe);
	mm_host->put(mm->space);
	free(mm);
}

unsigned mm_users(struct mm *mm)
{
	return atomic_load_explicit(&mm->users.n, memory_order_acquire);
}

struct uspace *mm_space(struct mm *mm)
{
	return mm->space;
}

struct mm_layout *mm_layout(struct mm *mm)
{
	return &mm->layout;
}

void mm_lock(struct mm *mm)
{
	sleep_lock(&mm->lock);
}

void mm_unlock(struct mm *mm)
{
	mm_unlock_free(mm);
}

void mm_unlock_free(struct mm *mm)
{
	struct vma *v = mm->dead;

	mm->dead = NULL;
	mm->peak_total = MAX(mm->peak_total, mm->tree.sum.total);
	sleep_unlock(&mm->lock);
	dead_free(v);
}

void mm_bury(struct mm *mm, struct vma *v)
{
	v->next = mm->dead;
	mm->dead = v;
}

void mm_set_exe(struct mm *mm, void *file_ref, void (*put)(void *))
{
	struct exe_ref *e = malloc(sizeof(*e)), *old;

	if (!e) {
		put(file_ref); /* /proc/PID/exe stays what it was */
		return;
	}
	*e = (struct exe_ref){ .file = file_ref, .put = put };
	ref_init(&e->ref, 1);
	sleep_lock(&mm->lock);
	old = mm->exe;
	mm->exe = e;
	sleep_unlock(&mm->lock);
	exe_put(old);
}

void *mm_exe(struct mm *mm)
{
	return mm->exe ? mm->exe->file : NULL;
}

void *mm_exe_get(struct mm *mm, void *(*get)(void *))
{
	void *file = NULL;

	sleep_lock(&mm->lock);
	if (mm->exe)
		file = get(mm->exe->file);
	sleep_unlock(&mm->lock);
	return file;
}

void mm_set_stack_limit(struct mm *mm, uint64_t bytes)
{
	sleep_lock(&mm->lock);
	mm->stack_limit = bytes;
	sleep_unlock(&mm->lock);
}

/* ---- fork --------------------------------------------------------------------------------------- */

/* Everything that fork(2) copies; on failure what was copied is freed by the caller's mm_put(). */
static long copy_tree(struct mm *dst, struct mm *src)
{
	struct vma *v, *c;

	for (v = src->tree.first; v; v = v->next) {
		if (v->flags & VM_DONTFORK)
			continue;
		c = vma_new();
		if (!c)
			return -LINUX_ENOMEM;
		vma_copy(c, v);
		c->flags &= ~(VM_LOCKED | VM_LOCKONFAULT); /* mlock(2): locks are not inherited */
		vma_insert(&dst->tree, c);
	}
	return 0;
}

long mm_fork(struct mm *mm, struct uthread *parent, bool later, struct uthread **out_child, struct mm **out_mm)
{
	struct mm *new_ = mm_alloc(mm->space);
	struct uthread *child = NULL;
	long ret;

	if (!new_)
		return -LINUX_ENOMEM;
	sleep_lock(&mm->lock);
	mm_seen(mm, parent);
	vma_tree_init(&new_->tree, mm->tree.rng + 0x9e3779b97f4a7c15ull);
	new_->mmap_base = mm->mmap_base;
	new_->stack_limit = mm->stack_limit;
	new_->vdso_len = mm->vdso_len;
	new_->layout = mm->layout;
	ret = copy_tree(new_, mm);
	if (!ret)
		ret = mm_host->fork(parent, later && mm_single(mm), &child);
	if (!ret && mm->exe) {
		ref_get(&mm->exe->ref);
		new_->exe = mm->exe;
	}
	mm_unlock_free(mm);
	if (ret < 0) {
		mm_put(new_);
		return ret;
	}
	mm_host->put(new_->space);
	new_->space = mm_host->get(child->space);
	*out_child = child;
	*out_mm = new_;
	return 0;
}

/* ---- the host ------------------------------------------------------------------------------------- */

long mm_host_op(struct mm *mm, struct uthread *u, const struct umem_op *op, enum host_when when)
{
	size_t done = 0;
	bool splits = op->kind == UMEM_UNMAP || op->kind == UMEM_PROTECT || op->kind == UMEM_REMAP;

	/* The host may be out of mappings (its vm.max_map_count), which is only known once it was asked. */
	if (splits && mm->tree.nr > MM_CROWDED)
		when = HOST_NOW;
	if (when == HOST_LATER || (when == HOST_IF_SINGLE && mm_single(mm)))
		return mm_host->defer(u, op);
	return mm_host->exec(u, op, 1, &done);
}

void mm_scorch(struct mm *mm, struct uthread *u, uint64_t start, uint64_t end)
{
	struct umem_op op = { .kind = UMEM_UNMAP, .addr = start, .len = end - start };
	struct vma *spare = vma_new();
	size_t done = 0;
	long ret = spare ? mm_host->exec(u, &op, 1, &done) : -LINUX_ENOMEM;

	if (ret < 0) {
		if (ret != -LINUX_ESRCH) /* the process is gone */
			log_warn("mm: cannot undo a failed mapping (%ld), killing the process", ret);
		mm_host->kill(mm->space);
		vma_free(spare);
		return;
	}
	mm_cut(mm, start, end, &spare);
	vma_free(spare);
}

void mm_defer_failed(struct mm *mm, struct uthread *u, const struct umem_op *op, long err)
{
	switch (op->kind) {
	case UMEM_MAP_ANON:
	case UMEM_MAP_FILE:
		sleep_lock(&mm->lock);
		mm_scorch(mm, u, op->addr, op->addr + op->len);
		mm_unlock_free(mm);
		return;
	case UMEM_UNMAP:
	case UMEM_PROTECT:
	case UMEM_REMAP:
		log_warn("mm: the host refused a queued operation (%ld), killing the process", err);
		mm_host->kill(mm->space);
		return;
	case UMEM_ADVISE:
	case UMEM_STORE32:
	case UMEM_FUTEX_WAKE:
	case UMEM_MEMBARRIER:
	case UMEM_ZERO:
		return; /* nothing in the tree depends on these */
	}
}

/* ---- quarantine ------------------------------------------------------------------------------------ */

void mm_seen(struct mm *mm, const struct uthread *u)
{
	unsigned i = 0;

	if (likely(!mm->nr_quarantine))
		return;
	if (mm_single(mm)) {
		mm->nr_quarantine = 0;
		return;
	}
	while (i < mm->nr_quarantine) {
		if (mm->quarantine[i].u == u)
			mm->quarantine[i] = mm->quarantine[--mm->nr_quarantine];
		else
			i++;
	}
}

void mm_leave(struct mm *mm, const struct uthread *u)
{
	if (!__atomic_load_n(&mm->nr_quarantine, __ATOMIC_RELAXED))
		return;
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	mm_unlock_free(mm);
}

bool mm_quarantined(struct mm *mm, uint64_t start, uint64_t end, uint64_t *out_start)
{
	for (unsigned i = 0; i < mm->nr_quarantine; i++) {
		struct quarantined *q = &mm->quarantine[i];

		if (q->start < end && start < q->end) {
			*out_start = q->start;
			return true;
		}
	}
	return false;
}

bool mm_quarantine_add(struct mm *mm, const struct uthread *u, uint64_t start, uint64_t end)
{
	if (mm->nr_quarantine == MM_NR_QUARANTINE)
		return false;
	mm->quarantine[mm->nr_quarantine++] = (struct quarantined){ u, start, end };
	return true;
}
