/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_mm_remote.c - process_vm_readv(2), process_vm_writev(2), process_madvise(2)
 *
 * Model:   a bounce buffer between the caller's memory (uio) and the other process's (uspace_read/write). Whole or partial
 *          iovec elements, as Linux: the transfer stops at the first bad page.
 * Source:  process_vm_readv(2), ptrace(2) "Ptrace access mode checking" (ATTACH_REALCREDS).
 */
#include "sentry/syscalls/syscalls.h"
#include "sentry/abi/mman.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/pidfd.h"

#define BOUNCE_BYTES (64 * 1024)

struct remote {
	struct uspace *space;
	struct uio local;
	struct uio_seg *seg;	/* of the other process; owned */
	uint32_t nr;
	bool write;
	char *bounce;
};

static long read_remote_iov(struct remote *r, struct uthread *u, struct gptr riov, uint64_t nr)
{
	size_t total = 0;
	long ret;

	if (nr > UIO_MAXIOV)
		return -LINUX_EINVAL;
	r->seg = malloc(MAX(nr, 1ul) * sizeof(*r->seg));
	if (!r->seg)
		return -LINUX_ENOMEM;
	ret = nr ? copyin(u, r->seg, riov, nr * sizeof(*r->seg)) : 0;
	if (ret < 0)
		return ret;
	for (uint64_t i = 0; i < nr; i++) {
		if (r->seg[i].len > INT64_MAX)
			return -LINUX_EINVAL;
		r->seg[i].len = MIN(r->seg[i].len, UIO_MAX_BYTES - total);
		total += r->seg[i].len;
	}
	r->nr = (uint32_t)nr;
	return 0;
}

/* At most one bounce buffer at [addr, addr+len): bytes moved; fewer than asked for, or an error, ends the call. */
static long move_piece(struct remote *r, uint64_t addr, size_t len)
{
	long n, m;

	if (addr >= uspace_limit(r->space) || len > uspace_limit(r->space) - addr)
		return -LINUX_EFAULT;
	if (!r->write) {
		n = uspace_read(r->space, r->bounce, addr, len);
		if (n <= 0)
			return n;
		return uio_write(&r->local, r->bounce, (size_t)n);
	}
	n = uio_read(&r->local, r->bounce, len);
	if (n <= 0)
		return n;
	m = uspace_write(r->space, addr, r->bounce, (size_t)n);
	return m;
}

static long move_all(struct remote *r)
{
	size_t total = 0;

	for (uint32_t i = 0; i < r->nr && r->local.left; i++) {
		size_t done = 0;

		while (done < r->seg[i].len && r->local.left) {
			size_t want = MIN(MIN(r->seg[i].len - done, (size_t)BOUNCE_BYTES), r->local.left);
			long n = move_piece(r, r->seg[i].base + done, want);

			if (n > 0)
				total += (size_t)n;
			if (n < (long)want)
				return total ? (long)total : n < 0 ? n : -LINUX_EFAULT;
			done += want;
		}
	}
	return (long)total;
}

static long with_target(struct task *t, int pid, struct remote *r)
{
	struct task *target = pid > 0 ? task_find(task_pid_ns(t), (uint32_t)pid) : NULL;
	struct mm *mm;
	long ret;

	if (!target)
		return -LINUX_ESRCH;
	ret = task_may_access(t, target, false, true);
	mm = ret ? NULL : task_mm(target);
	if (mm) {
		r->space = mm_space(mm);
		ret = move_all(r);
		mm_put(mm);
	} else if (!ret) {
		ret = -LINUX_ESRCH;
	}
	task_put(target);
	return ret;
}

static long transfer(struct task *t, int pid, struct gptr liov, uint64_t nl, struct gptr riov, uint64_t nr,
		     uint64_t flags, bool write)
{
	struct remote r = { .write = write };
	long ret;

	if (flags)
		return -LINUX_EINVAL;
	ret = uio_init_iov(&r.local, t->u, liov, nl);
	if (ret < 0)
		return ret;
	ret = read_remote_iov(&r, t->u, riov, nr);
	if (!ret && !(r.bounce = malloc(BOUNCE_BYTES)))
		ret = -LINUX_ENOMEM;
	if (!ret)
		ret = with_target(t, pid, &r);
	free(r.bounce);
	free(r.seg);
	uio_fini(&r.local);
	return ret;
}

SYSCALL_DEFINE6(process_vm_readv, int, pid, struct gptr, liov, uint64_t, nl, struct gptr, riov, uint64_t, nr,
		uint64_t, flags)
{
	return transfer(t, pid, liov, nl, riov, nr, flags, false);
}

SYSCALL_DEFINE6(process_vm_writev, int, pid, struct gptr, liov, uint64_t, nl, struct gptr, riov, uint64_t, nr,
		uint64_t, flags)
{
	return transfer(t, pid, liov, nl, riov, nr, flags, true);
}

/* ---- process_madvise ---------------------------------------------------------------------------------- */

/* Advice for somebody else's memory is only ever a hint about reclaim, which the host decides by itself: checked, counted as
 * taken. For one's own memory it is madvise(2). */
static long advise_all(struct task *t, struct task *target, const struct uio *io, int advice)
{
	struct mm *mm = task_mm(target);
	uint64_t done = 0;
	long ret = mm ? 0 : -LINUX_ESRCH;

	for (uint32_t i = 0; i < io->nr && !ret; i++) {
		const struct uio_seg *s = &io->seg[i];

		if (mm == t->mm)
			ret = mm_madvise(mm, t->u, s->base, s->len, advice);
		else
			ret = (s->base & ~PAGE_MASK) ? -LINUX_EINVAL : s->len ? mm_check_range(mm, s->base, ALIGN_UP(s->len, PAGE_SIZE)) : 0;
		if (!ret)
			done += s->len;
	}
	mm_put(mm);
	return done ? (long)done : ret;
}

static bool advice_ok(int advice)
{
	return advice == LINUX_MADV_COLD || advice == LINUX_MADV_PAGEOUT || advice == LINUX_MADV_WILLNEED || advice == LINUX_MADV_COLLAPSE;
}

static struct task *task_of_pid(struct pid *pid)
{
	struct task *t;

	mutex_lock(&tasks_mu);
	t = pid->task ? pid->task : pid->tgroup ? pid->tgroup->leader : NULL;
	if (t)
		task_get(t);
	mutex_unlock(&tasks_mu);
	return t;
}

SYSCALL_DEFINE5(process_madvise, int, pidfd, struct gptr, iov, uint64_t, nr, int, advice, uint32_t, flags)
{
	struct task *target;
	struct pid *pid;
	struct uio io;
	uint32_t unused;
	long ret;

	if (flags)
		return -LINUX_EINVAL;
	ret = uio_init_iov(&io, t->u, iov, nr);
	if (ret < 0)
		return ret;
	pid = pidfd_pid(t, pidfd, &unused);
	target = pid ? task_of_pid(pid) : NULL;
	if (!target)
		ret = pid ? -LINUX_ESRCH : -LINUX_EBADF;
	else if (!advice_ok(advice))
		ret = -LINUX_EINVAL;
	else
		ret = task_may_access(t, target, true, false);
	if (!ret)
		ret = advise_all(t, target, &io, advice);
	if (target)
		task_put(target);
	if (pid)
		pid_put(pid);
	uio_fini(&io);
	return ret;
}
