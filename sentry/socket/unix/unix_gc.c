/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/unix/unix_gc.c - AF_UNIX: descriptors in flight, and circles of them
 *
 * Model:   a socket in a queue of a socket in whose queue it lies would live for ever. Each file of a socket whose only
 *          references come from queues is a candidate; whatever a socket outside can reach is not garbage; the rest is flushed.
 *          Runs when a socket closes while descriptors of sockets are in flight.
 * Locks:   gc.mu (119, outside table and socket locks) covers the list of all sockets and the whole collection.
 * Source:  unix(7), SCM_RIGHTS; the mark phase is an ordinary reachability search.
 */
#include <string.h>

#include "sentry/socket/unix/unix.h"

static struct {
	struct mutex mu;
	struct list all;		/* of unix_sock.gc_node */
	uint32_t epoch;
	_Atomic uint32_t nr_files;	/* in flight */
	_Atomic uint32_t nr_sockets;	/* of them unix sockets */
	_Atomic bool running;		/* closing what was collected does not collect again */
} gc = { .all = LIST_HEAD_INIT(gc.all) };

void unix_gc_add(struct unix_sock *u)
{
	mutex_lock(&gc.mu);
	list_add_tail(&gc.all, &u->gc_node);
	mutex_unlock(&gc.mu);
}

void unix_gc_del(struct unix_sock *u)
{
	mutex_lock(&gc.mu);
	list_del_init(&u->gc_node);
	mutex_unlock(&gc.mu);
}

static struct unix_sock *unix_of_file(struct file *f)
{
	struct socket *s = socket_of(f);

	return s && s->family == LINUX_AF_UNIX ? unix_of(s) : NULL;
}

static uint32_t count_sockets(const struct scm *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->nr_files; i++)
		n += unix_of_file(s->files[i]) != NULL;
	return n;
}

long unix_inflight_add(struct unix_sock *to, const struct scm *s)
{
	uint32_t level = 0;

	for (uint32_t i = 0; i < s->nr_files; i++) {
		struct unix_sock *q = unix_of_file(s->files[i]);

		if (q)
			level = MAX(level, atomic_load(&q->nesting) + 1);
	}
	if (level > UNIX_NESTING_MAX)
		return -LINUX_ETOOMANYREFS;
	if (level > atomic_load(&to->nesting))
		atomic_store(&to->nesting, level);
	if (atomic_fetch_add(&gc.nr_files, s->nr_files) + s->nr_files > UNIX_INFLIGHT_MAX) {
		atomic_fetch_sub(&gc.nr_files, s->nr_files);
		return -LINUX_ETOOMANYREFS;
	}
	atomic_fetch_add(&gc.nr_sockets, count_sockets(s));
	return 0;
}

void unix_inflight_sub(const struct scm *s)
{
	atomic_fetch_sub(&gc.nr_files, s->nr_files);
	atomic_fetch_sub(&gc.nr_sockets, count_sockets(s));
}

/* Calls @fn for each unix socket whose file lies in a queue of @u (or of a connection waiting at @u). */
static void each_queued(struct unix_sock *u, void (*fn)(struct unix_sock *, struct file *))
{
	struct unix_sock *e;
	struct unix_msg *m;

	mutex_lock(&u->lock);
	list_for_each_entry(m, &u->rxq, node)
		for (uint32_t i = 0; i < m->scm.nr_files; i++) {
			struct unix_sock *s = unix_of_file(m->scm.files[i]);

			if (s)
				fn(s, m->scm.files[i]);
		}
	list_for_each_entry(e, &u->pending, pending_node)
		list_for_each_entry(m, &e->rxq, node)
			for (uint32_t i = 0; i < m->scm.nr_files; i++) {
				struct unix_sock *s = unix_of_file(m->scm.files[i]);

				if (s)
					fn(s, m->scm.files[i]);
			}
	mutex_unlock(&u->lock);
}

/* gc_mark counts a socket's references from queues in the first pass, and holds the epoch's mark in the second. */
static void count_ref(struct unix_sock *s, struct file *f)
{
	s->gc_mark++;
}

#define MARK_LIVE (1u << 31)
static bool mark_grew;

static void mark_live(struct unix_sock *s, struct file *f)
{
	if (!(s->gc_mark & MARK_LIVE)) {
		s->gc_mark |= MARK_LIVE;
		mark_grew = true;
	}
}

static bool has_outside_ref(struct unix_sock *u)
{
	struct file *f = atomic_load(&u->sk.file);

	/* no file: an embryo or a socket being closed; its owner is elsewhere */
	return !f || atomic_load(&f->ref.n) > (u->gc_mark & ~MARK_LIVE);
}

void unix_gc_run(void)
{
	struct unix_sock *u, *victim;

	if (!atomic_load(&gc.nr_sockets) || atomic_exchange(&gc.running, true))
		return;
	do {
		victim = NULL;
		mutex_lock(&gc.mu);
		list_for_each_entry(u, &gc.all, gc_node)
			u->gc_mark = 0;
		list_for_each_entry(u, &gc.all, gc_node)
			each_queued(u, count_ref);
		list_for_each_entry(u, &gc.all, gc_node)
			if (has_outside_ref(u))
				u->gc_mark |= MARK_LIVE;
		do {
			mark_grew = false;
			list_for_each_entry(u, &gc.all, gc_node)
				if (u->gc_mark & MARK_LIVE)
					each_queued(u, mark_live);
		} while (mark_grew);
		list_for_each_entry(u, &gc.all, gc_node)
			if (!(u->gc_mark & MARK_LIVE) && u->rx_msgs && ref_get_unless_zero(&u->ref)) {
				victim = u;
				break;
			}
		mutex_unlock(&gc.mu);
		/* Emptying one queue breaks its circles; the files' releases run without gc.mu. */
		if (victim) {
			unix_flush(victim);
			unix_put(victim);
		}
	} while (victim);
	atomic_store(&gc.running, false);
}

/* ---- every socket, described ------------------------------------------------------------------------------- */

static void describe(struct unix_sock *u, struct unix_info *i)
{
	*i = (struct unix_info){ .type = u->sk.type, .ino = atomic_load(&u->sk.ino), .cookie = u->sk.cookie };
	mutex_lock(&u->lock);
	i->state = u->state == UNIX_LISTENING ? 10 : u->state == UNIX_CONNECTED ? 1 : 7;
	i->shutdown = (uint8_t)(u->rd_shut | u->wr_shut << 1);
	i->rqueue = u->state == UNIX_LISTENING ? u->nr_pending : (uint32_t)u->rx_bytes;
	i->wqueue = u->state == UNIX_LISTENING ? u->backlog : 0;
	i->refs = atomic_load(&u->ref.n);
	i->peer_ino = u->peer ? atomic_load(&u->peer->sk.ino) : 0;
	if (u->addr && u->addr->len > offsetof(struct linux_sockaddr_un, path)) {
		i->name_len = MIN(u->addr->len - (uint32_t)offsetof(struct linux_sockaddr_un, path), (uint32_t)sizeof(i->name));
		memcpy(i->name, u->addr->un.path, i->name_len);
	}
	mutex_unlock(&u->lock);
}

int unix_each(const struct net_ns_ref *net, int (*fn)(const struct unix_info *i, void *arg), void *arg)
{
	struct unix_info i;
	struct unix_sock *u;
	int ret = 0;

	mutex_lock(&gc.mu);
	list_for_each_entry(u, &gc.all, gc_node) {
		if (u->sk.net != net || u->state == UNIX_CLOSED || !atomic_load(&u->sk.ino))
			continue;
		describe(u, &i);
		ret = fn(&i, arg);
		if (ret)
			break;
	}
	mutex_unlock(&gc.mu);
	return ret;
}
