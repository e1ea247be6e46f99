/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_mm.c - mmap(2) and what changes mappings
 *
 * Model:   decode, check the descriptor's rights, call mm/.
 * Source:  the man pages of the calls of the same names.
 */
#include "sentry/abi/mman.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/vfs/mount.h"

/* What a file's open mode and mount allow a mapping: 0 and the bits that mprotect may ever set, or why not. */
static long file_rights(const struct file *f, uint32_t prot, uint32_t flags, uint32_t *out_prot_max)
{
	bool shared = (flags & LINUX_MAP_TYPE) != LINUX_MAP_PRIVATE;
	uint32_t max = LINUX_PROT_RWX;

	if (!(flags & (LINUX_MAP_SHARED | LINUX_MAP_PRIVATE)))
		return -LINUX_EINVAL;
	if (shared && !(f->fmode & FMODE_WRITE)) {
		if (prot & LINUX_PROT_WRITE)
			return -LINUX_EACCES;
		max &= ~LINUX_PROT_WRITE;
	}
	if (!(f->fmode & FMODE_READ))
		return -LINUX_EACCES;
	if (f->path.mnt && (atomic_load_explicit(&f->path.mnt->flags, memory_order_relaxed) & LINUX_MS_NOEXEC)) {
		if (prot & LINUX_PROT_EXEC)
			return -LINUX_EPERM;
		max &= ~LINUX_PROT_EXEC;
	}
	if (!f->ops->mmap)
		return -LINUX_ENODEV;
	*out_prot_max = max;
	return 0;
}

static long map_file(struct task *t, struct file *f, uint64_t addr, uint64_t len, uint32_t prot,
		     uint32_t flags, uint64_t off)
{
	struct mm_limits lim = task_mm_limits(t);
	uint32_t prot_max;
	struct mappable *m = NULL;
	long ret;

	ret = file_rights(f, prot, flags, &prot_max);
	if (ret < 0)
		return ret;
	ret = f->ops->mmap(f, &m);
	if (ret < 0)
		return ret;
	ret = mm_mmap(t->mm, t->u, &lim, addr, len, prot, flags, m, off, prot_max, NULL);
	m->ops->put(m);
	return ret;
}

SYSCALL_DEFINE6(mmap, uint64_t, addr, uint64_t, len, uint32_t, prot, uint32_t, flags, int, fd, uint64_t, off)
{
	struct mm_limits lim;
	struct file *f;
	bool need_put;
	long ret;

	if (off & ~PAGE_MASK)
		return -LINUX_EINVAL;
	if (flags & LINUX_MAP_ANONYMOUS) {
		lim = task_mm_limits(t);
		return mm_mmap(t->mm, t->u, &lim, addr, len, prot, flags, NULL, 0, LINUX_PROT_RWX, NULL);
	}
	f = fdget(t->fds, fd, &need_put);
	if (!f)
		return -LINUX_EBADF;
	if (f->fmode & FMODE_PATH)
		ret = -LINUX_EBADF;
	else if (!len)
		ret = -LINUX_EINVAL;
	else
		ret = map_file(t, f, addr, len, prot, flags, off);
	fdput(f, need_put);
	return ret;
}

SYSCALL_DEFINE2(munmap, uint64_t, addr, uint64_t, len)
{
	return mm_munmap(t->mm, t->u, addr, len);
}

SYSCALL_DEFINE3(mprotect, uint64_t, addr, uint64_t, len, uint32_t, prot)
{
	return mm_mprotect(t->mm, t->u, addr, len, prot);
}

SYSCALL_DEFINE5(mremap, uint64_t, old, uint64_t, old_len, uint64_t, new_len, uint64_t, flags, uint64_t,
		new_addr)
{
	struct mm_limits lim = task_mm_limits(t);

	if (flags > UINT32_MAX)
		return -LINUX_EINVAL;
	return mm_mremap(t->mm, t->u, &lim, old, old_len, new_len, (uint32_t)flags, new_addr);
}

SYSCALL_DEFINE3(madvise, uint64_t, addr, uint64_t, len, int, advice)
{
	return mm_madvise(t->mm, t->u, addr, len, advice);
}

SYSCALL_DEFINE3(mseal, uint64_t, addr, uint64_t, len, uint64_t, flags)
{
	return flags ? -LINUX_EINVAL : mm_mseal(t->mm, t->u, addr, len);
}

SYSCALL_DEFINE1(brk, uint64_t, addr)
{
	struct mm_limits lim = task_mm_limits(t);

	return mm_brk(t->mm, t->u, &lim, addr);
}

SYSCALL_DEFINE3(msync, uint64_t, addr, uint64_t, len, uint32_t, flags)
{
	return mm_msync(t->mm, addr, len, flags);
}

SYSCALL_DEFINE3(mincore, uint64_t, addr, uint64_t, len, struct gptr, vec)
{
	return mm_mincore(t->mm, t->u, addr, len, vec);
}

SYSCALL_DEFINE2(mlock, uint64_t, addr, uint64_t, len)
{
	struct mm_limits lim = task_mm_limits(t);

	return mm_mlock(t->mm, t->u, &lim, addr, len, 0, true);
}

SYSCALL_DEFINE3(mlock2, uint64_t, addr, uint64_t, len, uint32_t, flags)
{
	struct mm_limits lim = task_mm_limits(t);

	return mm_mlock(t->mm, t->u, &lim, addr, len, flags, true);
}

SYSCALL_DEFINE2(munlock, uint64_t, addr, uint64_t, len)
{
	struct mm_limits lim = task_mm_limits(t);

	return mm_mlock(t->mm, t->u, &lim, addr, len, 0, false);
}

SYSCALL_DEFINE1(mlockall, uint32_t, flags)
{
	struct mm_limits lim = task_mm_limits(t);

	return flags ? mm_mlockall(t->mm, t->u, &lim, flags) : -LINUX_EINVAL;
}

SYSCALL_DEFINE0(munlockall)
{
	struct mm_limits lim = task_mm_limits(t);

	return mm_mlockall(t->mm, t->u, &lim, 0);
}

/* ---- protection keys: a processor without them ---------------------------------------------------- */

SYSCALL_DEFINE4(pkey_mprotect, uint64_t, addr, uint64_t, len, uint32_t, prot, int, pkey)
{
	if (pkey != -1)
		return -LINUX_EINVAL;
	return mm_mprotect(t->mm, t->u, addr, len, prot);
}

SYSCALL_DEFINE2(pkey_alloc, uint32_t, flags, uint32_t, rights)
{
	if (flags || (rights & ~3u))
		return -LINUX_EINVAL;
	return -LINUX_ENOSPC;
}

SYSCALL_DEFINE1(pkey_free, int, pkey)
{
	return -LINUX_EINVAL;
}

/* ---- membarrier(2) ---------------------------------------------------------------------------------- */

#define MEMBARRIER_KNOWN                                                                             \
	(LINUX_MEMBARRIER_CMD_GLOBAL | LINUX_MEMBARRIER_CMD_GLOBAL_EXPEDITED |                      \
	 LINUX_MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | LINUX_MEMBARRIER_CMD_PRIVATE_EXPEDITED |  \
	 LINUX_MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |                                          \
	 LINUX_MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |                                         \
	 LINUX_MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

SYSCALL_DEFINE3(membarrier, int, cmd, uint32_t, flags, int, cpu)
{
	struct umem_op op = { .kind = UMEM_MEMBARRIER, .flags = (uint32_t)cmd, .host_fd = -1 };
	size_t done = 0;

	if (flags)
		return -LINUX_EINVAL;
	if (cmd == LINUX_MEMBARRIER_CMD_QUERY)
		return MEMBARRIER_KNOWN;
	if (cmd < 0 || (cmd & ~MEMBARRIER_KNOWN) || (cmd & (cmd - 1)))
		return -LINUX_EINVAL;
	return umem_exec(t->u, &op, 1, &done);
}
