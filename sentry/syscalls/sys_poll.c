/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_poll.c - poll(2), ppoll(2), select(2), pselect6(2), epoll calls
 *
 * Differs: timeouts of select(2) and ppoll(2) are written back as on Linux; a failure to write them is ignored, as there.
 */
#include <string.h>

#include "sentry/abi/elf.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/task/signal.h"
#include "sentry/vfs/poll.h"

/* ---- temporary signal masks ---- */

long sigmask_begin(struct task *t, struct gptr umask, uint64_t size)
{
	uint64_t mask;

	if (!umask.v)
		return 0;
	if (size != sizeof(mask))
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &mask, umask))
		return -LINUX_EFAULT;
	t->sig->saved_mask = signal_mask(t);
	t->sig->has_saved_mask = true;
	signal_set_mask(t, mask & ~SIG_UNMASKABLE);
	return 0;
}

/* A call that a signal ended leaves the mask to the delivery; any other gets its old one back now. */
long sigmask_end(struct task *t, struct gptr umask, long ret)
{
	if (umask.v && t->sig->has_saved_mask && ret != -ERESTARTNOHAND && ret != -LINUX_EINTR) {
		t->sig->has_saved_mask = false;
		signal_set_mask(t, t->sig->saved_mask);
	}
	return ret;
}

/* ---- poll ---- */

struct linux_pollfd {
	int32_t fd;
	int16_t events, revents;
};

static long do_poll(struct task *t, struct gptr ufds, uint32_t n, uint64_t deadline)
{
	struct linux_pollfd few[POLL_INLINE], *u = few;
	struct poll_fd pf[POLL_INLINE], *p = pf;
	long ret;

	if (n > task_rlimit(t, LINUX_RLIMIT_NOFILE))
		return -LINUX_EINVAL;
	if (n > POLL_INLINE) {
		u = malloc(n * (sizeof(*u) + sizeof(*p)));
		if (!u)
			return -LINUX_ENOMEM;
		p = (struct poll_fd *)(u + n);
	}
	ret = copyin(t->u, u, ufds, n * sizeof(*u));
	if (!ret) {
		for (uint32_t k = 0; k < n; k++)
			p[k] = (struct poll_fd){ u[k].fd, (uint16_t)u[k].events, 0 };
		ret = poll_files(t->fds, p, n, deadline);
	}
	if (ret >= 0) {
		for (uint32_t k = 0; k < n; k++)
			u[k].revents = (int16_t)p[k].revents;
		/* events are rewritten as they were: one copy instead of n */
		if (n && copyout(t->u, ufds, u, n * sizeof(*u)))
			ret = -LINUX_EFAULT;
	}
	if (u != few)
		free(u);
	return ret;
}

static long poll_restart(struct task *t)
{
	long ret = do_poll(t, GPTR(t->restart_data[0]), (uint32_t)t->restart_data[1], t->restart_data[2]);

	return ret == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : ret;
}

SYSCALL_DEFINE3(poll, struct gptr, ufds, uint32_t, n, int, timeout_ms)
{
	uint64_t deadline = timeout_ms < 0 ? NO_DEADLINE : timeout_ms ? now_ns() + (uint64_t)timeout_ms * 1000000 : 0;
	long ret = do_poll(t, ufds, n, deadline);

	if (ret != -ERESTARTSYS)
		return ret;
	t->restart_fn = poll_restart;
	t->restart_data[0] = ufds.v;
	t->restart_data[1] = n;
	t->restart_data[2] = deadline;
	return -ERESTART_RESTARTBLOCK;
}

/* What is left of a timeout, for calls that tell. */
static void put_time_left(struct task *t, struct gptr uts, uint64_t deadline, bool timeval)
{
	uint64_t now = now_ns(), left = deadline > now ? deadline - now : 0;
	struct linux_timespec ts = { (int64_t)(left / NSEC_PER_SEC), (int64_t)(left % NSEC_PER_SEC) };

	if (!uts.v || deadline == NO_DEADLINE || t->personality & LINUX_STICKY_TIMEOUTS)
		return;
	if (timeval)
		ts.nsec /= 1000;
	if (copyout_obj(t->u, uts, &ts))
		return;
}

SYSCALL_DEFINE5(ppoll, struct gptr, ufds, uint32_t, n, struct gptr, uts, struct gptr, umask, uint64_t, size)
{
	uint64_t deadline;
	long ret = copyin_deadline(t, uts, &deadline);

	if (!ret)
		ret = sigmask_begin(t, umask, size);
	if (ret)
		return ret;
	ret = do_poll(t, ufds, n, deadline);
	if (ret == -ERESTARTSYS)
		ret = -ERESTARTNOHAND;
	ret = sigmask_end(t, umask, ret);
	put_time_left(t, uts, deadline, false);
	return ret;
}

/* ---- select ---- */

#define SELECT_IN  (LINUX_POLLIN | LINUX_POLLRDNORM | LINUX_POLLRDBAND | LINUX_POLLHUP | LINUX_POLLERR)
#define SELECT_OUT (LINUX_POLLOUT | LINUX_POLLWRNORM | LINUX_POLLWRBAND | LINUX_POLLERR)
#define SELECT_EX  LINUX_POLLPRI

static const uint32_t select_mask[3] = { SELECT_IN, SELECT_OUT, SELECT_EX };

struct fdsets {
	uint64_t *set[3];	/* NULL: not asked for */
	uint32_t words;
};

static bool fdset_has(const struct fdsets *s, int which, uint32_t fd)
{
	return s->set[which] && s->set[which][fd / 64] >> (fd % 64) & 1;
}

/* The bits that are set as poll entries. Number of them, or -LINUX_EBADF. */
static long sets_to_poll(struct task *t, const struct fdsets *s, uint32_t n, struct poll_fd *p)
{
	uint32_t k = 0;

	for (uint32_t fd = 0; fd < n; fd++) {
		uint32_t ev = 0;
		bool put;
		struct file *f;

		for (int w = 0; w < 3; w++)
			if (fdset_has(s, w, fd))
				ev |= select_mask[w];
		if (!ev)
			continue;
		f = fdget(t->fds, (int)fd, &put);
		if (!f)
			return -LINUX_EBADF;
		fdput(f, put);
		if (p)
			p[k] = (struct poll_fd){ (int)fd, ev, 0 };
		k++;
	}
	return k;
}

static long poll_to_sets(struct fdsets *s, const struct poll_fd *p, uint32_t nr, const uint64_t *asked[3])
{
	long bits = 0;

	for (uint32_t k = 0; k < nr; k++)
		for (int w = 0; w < 3; w++) {
			uint32_t fd = (uint32_t)p[k].fd;

			if (!asked[w] || !(asked[w][fd / 64] >> (fd % 64) & 1) || !(p[k].revents & select_mask[w]))
				continue;
			s->set[w][fd / 64] |= 1ull << (fd % 64);
			bits++;
		}
	return bits;
}

static long do_select(struct task *t, int n, const struct gptr usets[3], uint64_t deadline)
{
	struct fdsets in = { 0 }, out = { 0 };
	struct poll_fd *p = NULL;
	uint64_t *mem;
	size_t bytes;
	long ret, nr;

	if (n < 0)
		return -LINUX_EINVAL;
	n = MIN(n, 65536);
	in.words = out.words = ((uint32_t)n + 63) / 64;
	bytes = in.words * 8;
	mem = calloc(6 * in.words + 1, 8);
	if (!mem)
		return -LINUX_ENOMEM;
	ret = 0;
	for (int w = 0; w < 3 && !ret; w++) {
		if (!usets[w].v)
			continue;
		in.set[w] = mem + (size_t)w * in.words;
		out.set[w] = mem + (size_t)(w + 3) * in.words;
		ret = copyin(t->u, in.set[w], usets[w], bytes);
	}
	nr = ret ? ret : sets_to_poll(t, &in, (uint32_t)n, NULL);
	ret = nr;
	if (nr > 0) {
		p = malloc((size_t)nr * sizeof(*p));
		ret = p ? sets_to_poll(t, &in, (uint32_t)n, p) : -LINUX_ENOMEM;
	}
	if (ret >= 0)
		ret = poll_files(t->fds, p, (uint32_t)nr, deadline);
	if (ret >= 0) {
		const uint64_t *asked[3] = { in.set[0], in.set[1], in.set[2] };

		ret = poll_to_sets(&out, p, (uint32_t)nr, asked);
		for (int w = 0; w < 3; w++)
			if (out.set[w] && copyout(t->u, usets[w], out.set[w], bytes))
				ret = -LINUX_EFAULT;
	}
	free(p);
	free(mem);
	return ret == -ERESTARTSYS ? -ERESTARTNOHAND : ret;
}

SYSCALL_DEFINE5(select, int, n, struct gptr, r, struct gptr, w, struct gptr, e, struct gptr, utv)
{
	const struct gptr sets[3] = { r, w, e };
	uint64_t deadline = NO_DEADLINE;
	int64_t tv[2];
	long ret;

	if (utv.v) {
		if (copyin(t->u, tv, utv, sizeof(tv)))
			return -LINUX_EFAULT;
		if (tv[0] < 0 || tv[1] < 0)
			return -LINUX_EINVAL;
		tv[0] = MIN(tv[0], INT64_C(1) << 32);
		deadline = tv[0] || tv[1] ? now_ns() + (uint64_t)tv[0] * NSEC_PER_SEC + (uint64_t)MIN(tv[1], INT64_C(1) << 40) * 1000 : 0;
	}
	ret = do_select(t, n, sets, deadline);
	put_time_left(t, utv, deadline, true);
	return ret;
}

SYSCALL_DEFINE6(pselect6, int, n, struct gptr, r, struct gptr, w, struct gptr, e, struct gptr, uts, struct gptr, usig)
{
	const struct gptr sets[3] = { r, w, e };
	uint64_t deadline, arg[2] = { 0 };
	long ret = copyin_deadline(t, uts, &deadline);

	if (!ret && usig.v && copyin(t->u, arg, usig, sizeof(arg)))
		ret = -LINUX_EFAULT;
	if (!ret)
		ret = sigmask_begin(t, GPTR(arg[0]), arg[1]);
	if (ret)
		return ret;
	ret = sigmask_end(t, GPTR(arg[0]), do_select(t, n, sets, deadline));
	put_time_left(t, uts, deadline, false);
	return ret;
}

/* ---- epoll ---- */

SYSCALL_DEFINE1(epoll_create1, uint32_t, flags)
{
	struct file *f;
	long ret;

	if (flags & ~LINUX_O_CLOEXEC)
		return -LINUX_EINVAL;
	ret = epoll_new(t->cred, &f);
	return ret ? ret : install_fd(t, f, flags & LINUX_O_CLOEXEC);
}

SYSCALL_DEFINE1(epoll_create, int, size)
{
	return size <= 0 ? -LINUX_EINVAL : do_sys_epoll_create1(t, 0);
}

SYSCALL_DEFINE4(epoll_ctl, int, epfd, int, op, int, fd, struct gptr, uev)
{
	struct linux_epoll_event ev = { 0 };
	bool put_e, put_f;
	struct file *ef, *f;
	long ret = -LINUX_EBADF;

	if (op != LINUX_EPOLL_CTL_DEL && copyin_obj(t->u, &ev, uev))
		return -LINUX_EFAULT;
	ef = fdget(t->fds, epfd, &put_e);
	if (!ef)
		return -LINUX_EBADF;
	f = fdget(t->fds, fd, &put_f);
	if (f) {
		ret = eventpoll_ctl(ef, op, f, fd, &ev);
		fdput(f, put_f);
	}
	fdput(ef, put_e);
	return ret;
}

#define EPOLL_BATCH 32	/* events in one copy; more are fetched by the next call, as epoll_wait(2) allows */

static long do_epoll_wait(struct task *t, int epfd, struct gptr uev, int max, uint64_t deadline)
{
	struct linux_epoll_event few[EPOLL_BATCH], *ev = few;
	bool put;
	struct file *ef;
	long ret;

	if (max <= 0 || max > INT32_MAX / (int)sizeof(*ev))
		return -LINUX_EINVAL;
	ef = fdget(t->fds, epfd, &put);
	if (!ef)
		return -LINUX_EBADF;
	max = MIN(max, 1024);
	if (max > EPOLL_BATCH && !(ev = malloc((size_t)max * sizeof(*ev)))) {
		ev = few;
		max = EPOLL_BATCH;
	}
	ret = file_is_epoll(ef) ? epoll_wait_events(ef, ev, max, deadline) : -LINUX_EINVAL;
	fdput(ef, put);
	if (ret > 0 && copyout(t->u, uev, ev, (size_t)ret * sizeof(*ev)))
		ret = -LINUX_EFAULT;
	if (ev != few)
		free(ev);
	return ret == -ERESTARTSYS ? -LINUX_EINTR : ret;
}

static uint64_t ms_deadline(int ms)
{
	return ms < 0 ? NO_DEADLINE : ms ? now_ns() + (uint64_t)ms * 1000000 : 0;
}

SYSCALL_DEFINE4(epoll_wait, int, epfd, struct gptr, uev, int, max, int, timeout_ms)
{
	return do_epoll_wait(t, epfd, uev, max, ms_deadline(timeout_ms));
}

SYSCALL_DEFINE6(epoll_pwait, int, epfd, struct gptr, uev, int, max, int, timeout_ms, struct gptr, umask, uint64_t, size)
{
	long ret = sigmask_begin(t, umask, size);

	return ret ? ret : sigmask_end(t, umask, do_epoll_wait(t, epfd, uev, max, ms_deadline(timeout_ms)));
}

SYSCALL_DEFINE6(epoll_pwait2, int, epfd, struct gptr, uev, int, max, struct gptr, uts, struct gptr, umask, uint64_t, size)
{
	uint64_t deadline;
	long ret = copyin_deadline(t, uts, &deadline);

	if (!ret)
		ret = sigmask_begin(t, umask, size);
	return ret ? ret : sigmask_end(t, umask, do_epoll_wait(t, epfd, uev, max, deadline));
}
