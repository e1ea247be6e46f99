/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/poll.c - poll(2), select(2): wait until one of several files is ready
 *
 * Model:   the first pass over the files joins their wait queues; every later pass only asks. Between wait_prepare() and the
 *          pass that follows it no wake-up can be lost.
 * Source:  poll(2), select(2).
 */
#include "sentry/vfs/poll.h"

#include <stdlib.h>

#include "sentry/vfs/internal.h"

#define CHUNK 32

struct poll_chunk {
	struct poll_chunk *next;
	struct poll_entry e[CHUNK];
};

static void poll_add(struct poll_table *pt, struct waitq *q)
{
	struct poll_wait *p = container_of(pt, struct poll_wait, pt);
	struct poll_entry *e;
	uint32_t at;

	if (p->nr < POLL_INLINE) {
		e = &p->e[p->nr];
	} else {
		at = (p->nr - POLL_INLINE) % CHUNK;
		if (at == 0) {
			struct poll_chunk *c = malloc(sizeof(*c));

			if (!c) {
				p->failed = true;
				return;
			}
			c->next = p->chunks;
			p->chunks = c;
		}
		e = &p->chunks->e[at];
	}
	p->nr++;
	wait_begin(&e->w);
	e->w.mask = pt->events | LINUX_POLLERR | LINUX_POLLHUP;
	e->q = q;
	waitq_add(q, &e->w);
}

void poll_wait_init(struct poll_wait *p)
{
	p->pt = (struct poll_table){ .add = poll_add };
	p->nr = 0;
	p->failed = false;
	p->chunks = NULL;
}

void poll_wait_fini(struct poll_wait *p)
{
	uint32_t n = MIN(p->nr, (uint32_t)POLL_INLINE), left = p->nr - n;

	for (uint32_t k = 0; k < n; k++)
		waitq_del(p->e[k].q, &p->e[k].w);
	while (p->chunks) {
		struct poll_chunk *c = p->chunks;
		uint32_t here = left ? (left - 1) % CHUNK + 1 : 0;

		for (uint32_t k = 0; k < here; k++)
			waitq_del(c->e[k].q, &c->e[k].w);
		left -= here;
		p->chunks = c->next;
		free(c);
	}
}

/* Files stay referenced while their queues are joined. */
struct polled {
	struct file *f;
	bool need_put;
};

static long poll_pass(struct polled *files, struct poll_fd *p, uint32_t n, struct poll_wait *pw)
{
	long ready = 0;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t want = p[k].events | LINUX_POLLERR | LINUX_POLLHUP;

		p[k].revents = 0;
		if (p[k].fd < 0)
			continue;
		if (!files[k].f) {
			p[k].revents = LINUX_POLLNVAL;
		} else {
			if (pw)
				pw->pt.events = want;
			/* Once something is ready nobody needs to be told. */
			p[k].revents = vfs_poll(files[k].f, pw && !ready ? &pw->pt : NULL) & want;
		}
		ready += p[k].revents != 0;
	}
	return ready;
}

long poll_files(struct fdtable *t, struct poll_fd *p, uint32_t n, uint64_t deadline_ns)
{
	struct polled few[POLL_INLINE], *files = n <= POLL_INLINE ? few : malloc(n * sizeof(*files));
	UNINIT struct poll_wait pw;
	long ready, ret = 0;

	if (!files)
		return -LINUX_ENOMEM;
	for (uint32_t k = 0; k < n; k++)
		files[k].f = p[k].fd >= 0 ? fdget(t, p[k].fd, &files[k].need_put) : NULL;
	ready = poll_pass(files, p, n, NULL);
	if (!ready && deadline_ns) {
		poll_wait_init(&pw);
		wait_prepare();
		ready = poll_pass(files, p, n, &pw);
		while (!ready && !ret) {
			if (pw.failed) {
				ret = -LINUX_ENOMEM;
				break;
			}
			ret = wait_sleep(SLEEP_INTERRUPTIBLE, deadline_ns);
			wait_prepare();
			ready = poll_pass(files, p, n, NULL);
		}
		poll_wait_fini(&pw);
		if (ret == -LINUX_ETIMEDOUT)
			ret = 0;
	}
	for (uint32_t k = 0; k < n; k++)
		if (files[k].f)
			fdput(files[k].f, files[k].need_put);
	if (files != few)
		free(files);
	return ready ? ready : ret;
}
