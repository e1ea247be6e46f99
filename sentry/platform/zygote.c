/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/zygote.c - a container's zygote: adopting it, having it fork, its death
 *
 * Model:   the zygote keeps one notification open whenever it is idle ("ready"); answering it with a token makes it
 *          fork a child, whose first notification (its hello) brings the token back from a process that the kernel
 *          identifies. Tokens are random, so that no other process can answer for it.
 * Locks:   zygote.mu (leaf).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/platform/platform_internal.h"

void zygote_put(struct uzygote *z)
{
	if (!ref_put(&z->ref))
		return;
	if (z->pidfd >= 0)
		host_call(close, z->pidfd);
	if (z->listener >= 0)
		host_call(close, z->listener);
	free(z);
}

/* Every process of the container is gone, or about to be: the kernel ends a pid namespace with its first process. */
void zygote_dead(struct uzygote *z)
{
	struct uspace *s;

	if (atomic_exchange(&z->dead, true))
		return;
	listeners_stop(z);
	for (;;) {
		struct uspace *next = NULL;

		mutex_lock(&z->mu);
		list_for_each_entry(s, &z->spaces, z_node) {
			if (!atomic_load(&s->dead) && ref_get_unless_zero(&s->ref)) {
				next = s;
				break;
			}
		}
		mutex_unlock(&z->mu);
		if (!next)
			break;
		space_dead(next);
		space_put(next);
	}
	waitq_wake_all(&z->hello_wq);
	if (z->on_death)
		z->on_death(z->arg);
}

static void zygote_watch_fn(struct hostfd *h, uint32_t events)
{
	zygote_dead(container_of(h, struct uzygote, watch));
}

/* Called with mu held: hands the next token to an idle zygote. */
static void spawn_next_locked(struct uzygote *z)
{
	struct uthr *t;

	if (!z->ready || list_empty(&z->spawns))
		return;
	t = list_first(&z->spawns, struct uthr, spawn_node);
	list_del_init(&t->spawn_node);
	z->ready = false;
	notif_answer(z, z->ready_id, (int64_t)t->token, false);
}

long zygote_spawn(struct uthr *t)
{
	struct uzygote *z = t->u.space->z;

	if (atomic_load(&z->dead))
		return -LINUX_ESRCH;
	mutex_lock(&z->mu);
	list_add_tail(&z->unborn, &t->unborn_node);
	list_add_tail(&z->spawns, &t->spawn_node);
	spawn_next_locked(z);
	mutex_unlock(&z->mu);
	return 0;
}

/* The zygote's own first words. */
static void zygote_first(struct uzygote *z, int pid, uint64_t id, const uint64_t args[6])
{
	long pidfd = host_call(pidfd_open, pid, 0);

	if (pidfd < 0 || !notif_valid(z, id)) {
		log_error("zygote %d is gone before it could be adopted", pid);
		if (pidfd >= 0)
			host_call(close, pidfd);
		return;
	}
	mutex_lock(&z->mu);
	z->pid = pid;
	z->pidfd = (int)pidfd;
	z->vdso = args[1];
	z->fsgsbase = args[3] & 1;
	z->entry = args[3] & ~1ull;
	z->said_hello = true;
	mutex_unlock(&z->mu);
	z->watch = (struct hostfd){ .fd = (int)pidfd, .fn = zygote_watch_fn };
	z->watching = hostfd_watch(&z->watch, EPOLLIN) == 0;
	notif_addfd(z, id, platform.global_fd, true);
}

static bool child_is_of(struct uspace *s, int tid)
{
	return host_call(tgkill, s->pid, tid, 0) == 0;
}

/* A process or thread that was asked for says that it is there. */
static void child_hello(struct uzygote *z, int pid, uint64_t id, const uint64_t args[6])
{
	bool process = args[0] == NOTIFY_CHILD;
	struct uthr *t = NULL, *it;
	long ret = 0;

	mutex_lock(&z->mu);
	list_for_each_entry(it, &z->unborn, unborn_node) {
		if (it->token == args[1] && it->spawns_process == process) {
			t = it;
			break;
		}
	}
	if (t)
		list_del_init(&t->unborn_node);
	mutex_unlock(&z->mu);
	if (!t) { /* nobody asked: a guest plays with stub text */
		notif_error(z, id, LINUX_EPERM);
		return;
	}
	if (process)
		ret = space_born(t->u.space, pid, z, id);
	else if (!child_is_of(t->u.space, pid))
		ret = -LINUX_EPERM;
	if (ret) {
		notif_error(z, id, LINUX_EPERM);
		atomic_store(&t->dead, true);
	} else {
		t->tid = pid;
		t->notif_open = true;
		t->notif_id = id;
		thr_hash_add(t);
	}
	mutex_lock(&z->mu);
	atomic_store(&t->phase, UP_STOPPED);
	mutex_unlock(&z->mu);
	waitq_wake_all(&z->hello_wq);
	thr_put(t);
}

/* A hello that a signal cut short comes again from the same thread. */
static bool hello_again(int pid, uint64_t id)
{
	struct mutex *mu;
	struct uthr *t = thr_find_locked(pid, &mu);
	bool answered;

	if (!t)
		return false;
	ref_get(&t->ref);
	mutex_unlock(mu);
	answered = !t->first_run || thr_phase(t) == UP_GUEST;
	atomic_store(&t->notif_id, id);
	if (t->spawns_process && t->first_run) {
		/* the answer was lost on its way; before there was one, the kthread gives it to the new number */
		if (thr_phase(t) == UP_GUEST && thr_give_slots(t)) {
			t->first_run = false;
			atomic_thread_fence(memory_order_seq_cst);
			if (atomic_load(&t->kick))
				uthread_kick(&t->u);
		}
	} else if (answered) {
		notif_answer(t->u.space->z, id, 0, false); /* the slot says all */
	}
	thr_put(t);
	return true;
}

void zygote_hello(struct uzygote *z, int pid, uint64_t id, const uint64_t args[6])
{
	if (!z->said_hello) {
		zygote_first(z, pid, id, args);
		return;
	}
	if (pid != z->pid) {
		if (!hello_again(pid, id))
			child_hello(z, pid, id, args);
		return;
	}
	if (args[0] == NOTIFY_GLOBAL) {
		notif_addfd(z, id, platform.global_fd, true);
		return;
	}
	mutex_lock(&z->mu);
	z->ready = true;
	z->ready_id = id;
	spawn_next_locked(z);
	mutex_unlock(&z->mu);
	waitq_wake_all(&z->hello_wq);
}

long uzygote_new(int listener_fd, uint64_t region, void (*on_death)(void *arg), void *arg, struct uzygote **out)
{
	struct uzygote *z;
	long ret;

	if (region % REGION_ALIGN || region < (1ull << 32) || region + REGION_LEN > 0x7ffffffff000ull)
		return -LINUX_EINVAL;
	z = calloc(1, sizeof(*z));
	if (!z)
		return -LINUX_ENOMEM;
	mutex_init(&z->mu);
	mutex_init(&z->trap_mu);
	ref_init(&z->ref, 1);
	list_init(&z->all_node);
	list_init(&z->spawns);
	list_init(&z->unborn);
	list_init(&z->spaces);
	waitq_init(&z->hello_wq);
	z->listener = listener_fd;
	z->pidfd = -1;
	z->region = region;
	z->on_death = on_death;
	z->arg = arg;
	poll_zygote_add(z);
	ret = listeners_start(z);
	if (!ret)
		ret = wait_event(&z->hello_wq, z->ready || atomic_load(&z->dead), SLEEP_UNINTERRUPTIBLE,
				 now_ns() + HELLO_TIMEOUT_NS);
	if (!ret && atomic_load(&z->dead))
		ret = -LINUX_ESRCH;
	if (ret) {
		z->on_death = NULL;
		uzygote_kill(z);
		return ret;
	}
	*out = z;
	return 0;
}

void uzygote_kill(struct uzygote *z)
{
	if (z->pidfd >= 0)
		host_call(pidfd_send_signal, z->pidfd, SIGKILL, NULL, 0);
	if (z->watching)
		hostfd_unwatch(&z->watch);
	zygote_dead(z);
	poll_zygote_del(z);
	zygote_put(z);
}
