/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/container_holder.c - the host process that stands for a container's init or an exec
 *
 * Model:   the gofer (init) and the keeper or foreground runsc (exec) hold the other end of the process's init channel. What the
 *          host does to that process arrives here: its signals and its terminal's size as messages, its end as a hang-up. A holder
 *          that is gone takes its process along, as killing the process itself would; the gofer takes the whole container.
 * Locks:   none held; the watch runs on the reactor and takes tasks_mu for the look-up only.
 * Source:  epoll(7) EPOLLHUP on SOCK_SEQPACKET sockets: the peer is closed.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/task/container_internal.h"

#define BURST_MAX 64 /* messages of one event: edge-triggered, but no holder may keep the reactor busy */

enum { MSG_WINCH = 2, MSG_SIGNAL = 3 }; /* as in gofer/init.h: u32 type, u32 value */

void (*console_resized_hook)(struct tgroup *g);

/* The process's group: alive while its watch is, which container_group_dead() ends before it lets go of it. NULL before it is
 * linked. */
static struct tgroup *group_of(struct exec_process *p)
{
	struct tgroup *g;

	mutex_lock(&tasks_mu);
	g = p->group ? tgroup_get(p->group) : NULL;
	mutex_unlock(&tasks_mu);
	return g;
}

/* A kthread of its own: the last reference of a container may be dropped here, which can sleep. */
static void end_with_holder(void *arg)
{
	struct exec_process *p = arg;
	struct container *c = NULL;
	struct tgroup *g;

	mutex_lock(&tasks_mu);
	g = p->group ? tgroup_get(p->group) : NULL;
	if (g && g->container)
		c = container_get(g->container);
	mutex_unlock(&tasks_mu);
	if (c) {
		log_warn("container %s: the host process of %s%s is gone, so it ends", c->id, p->exec_id[0] ? "exec " : "its init",
			 p->exec_id);
		if (p->exec_id[0])
			group_exit_begin(g, LINUX_SIGKILL);
		else
			container_kill_all(c);
	}
	container_put(c);
	tgroup_put(g);
	proc_put(p);
}

static void holder_gone(struct exec_process *p)
{
	ref_get(&p->ref);
	if (!kthread_start(end_with_holder, p, "holder"))
		proc_put(p); /* no memory: the container's deletion is what is left */
}

static void message(struct exec_process *p, const uint32_t msg[2])
{
	struct tgroup *g = group_of(p);
	struct linux_siginfo_head si;

	if (!g)
		return;
	if (msg[0] == MSG_SIGNAL && msg[1] >= 1 && msg[1] <= LINUX_NSIG) {
		siginfo_user(&si, (int)msg[1], LINUX_SI_USER);
		signal_send_group(g, &si, SEND_FORCED);
	} else if (msg[0] == MSG_WINCH && console_resized_hook) {
		console_resized_hook(g);
	}
	tgroup_put(g);
}

static void holder_event(struct hostfd *h, uint32_t events)
{
	struct exec_process *p = container_of(h, struct exec_process, holder);
	uint32_t msg[2];
	long n;

	for (int i = 0; i < BURST_MAX; i++) {
		n = host_call(recvfrom, h->fd, msg, sizeof(msg), MSG_DONTWAIT, NULL, NULL);
		if (n != sizeof(msg))
			break;
		message(p, msg);
	}
	if (!(events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) || atomic_exchange(&p->holder_gone, true))
		return;
	if (atomic_load(&p->linked))
		holder_gone(p); /* else proc_watch_linked() sees it */
}

void proc_watch(struct exec_process *p)
{
	if (p->chan < 0)
		return;
	p->holder = (struct hostfd){ .fd = p->chan, .fn = holder_event };
	atomic_store(&p->watched, true);
	if (hostfd_watch(&p->holder, EPOLLIN | EPOLLRDHUP) < 0)
		atomic_store(&p->watched, false);
}

void proc_unwatch(struct exec_process *p)
{
	if (atomic_exchange(&p->watched, false))
		hostfd_unwatch(&p->holder);
}

void proc_watch_linked(struct exec_process *p)
{
	atomic_store(&p->linked, true);
	if (atomic_load(&p->holder_gone))
		holder_gone(p); /* perhaps a second time: it does no harm */
}
