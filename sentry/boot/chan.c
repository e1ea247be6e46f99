/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/chan.c - what the holder of a container's init channel sends us: signals that the host gave to its pid, and
 *                      changes of the console's size
 *
 * Model:   one kthread per container on a duplicate of the channel; the reactor wakes it. It ends when the holder does.
 *          EXIT, the other direction, is the task layer's.
 */
#include <sys/epoll.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/run/run.h"

enum { CHAN_WINCH = 2, CHAN_SIGNAL = 3 };

#define F_DUPFD_CLOEXEC_ 1030

struct chan {
	struct hostfd h;	/* h.fd is owned */
	struct waitq wq;
	_Atomic bool ready;
	struct container *c;	/* reference */
};

static void on_ready(struct hostfd *h, uint32_t events)
{
	struct chan *ch = container_of(h, struct chan, h);

	atomic_store(&ch->ready, true);
	waitq_wake_all(&ch->wq);
}

static void resized(struct container *c)
{
	struct tty *tty = NULL;

	mutex_lock(&tasks_mu);
	if (c->init && c->init->session && c->init->session->tty)
		tty = tty_get(c->init->session->tty);
	mutex_unlock(&tasks_mu);
	if (tty)
		console_host_resized(tty);
	tty_put(tty);
}

static void one_message(struct chan *ch, uint32_t type, uint32_t value)
{
	if (type == CHAN_WINCH)
		resized(ch->c);
	else if (type == CHAN_SIGNAL && value >= 1 && value <= 64)
		container_signal_process(ch->c, "", 0, (int)value, false, false);
}

static void chan_main(void *arg)
{
	struct chan *ch = arg;
	uint32_t m[2];
	long n;

	for (;;) {
		atomic_store(&ch->ready, false);
		while ((n = host_call(recvfrom, ch->h.fd, m, sizeof(m), 0x40 /* MSG_DONTWAIT */, NULL, NULL)) == (long)sizeof(m))
			one_message(ch, m[0], m[1]);
		if (n != -LINUX_EAGAIN && n != -LINUX_EINTR)
			break;
		wait_event(&ch->wq, atomic_load(&ch->ready), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	}
	hostfd_unwatch(&ch->h);
	host_call(close, ch->h.fd);
	container_put(ch->c);
	free(ch);
}

void boot_chan_watch(struct container *c, int fd)
{
	struct chan *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return;
	ch->h.fd = (int)host_call(fcntl, fd, F_DUPFD_CLOEXEC_, 3);
	ch->h.fn = on_ready;
	waitq_init(&ch->wq);
	ch->c = container_get(c);
	if (ch->h.fd < 0 || hostfd_watch(&ch->h, EPOLLIN | EPOLLRDHUP)) {
		log_warn("init channel of %s cannot be watched", c->id);
	} else if (kthread_start(chan_main, ch, "chan")) {
		return;
	} else {
		hostfd_unwatch(&ch->h);
	}
	if (ch->h.fd >= 0)
		host_call(close, ch->h.fd);
	container_put(ch->c);
	free(ch);
}
