/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/unix/unix_msg.c - AF_UNIX: sending and receiving
 *
 * Model:   sender: copy from the guest into a message (no lock), queue it at the receiver, wake. Receiver: recv_lock, take the
 *          first message off or peek at it, copy to the guest (no mutex), put the rest of a stream back.
 * Source:  unix(7), send(2), recv(2), cmsg(3).
 */
#include <string.h>

#include "sentry/socket/unix/unix.h"

void unix_msg_free(struct unix_msg *m)
{
	if (m->scm.nr_files)
		unix_inflight_sub(&m->scm);
	scm_fini(&m->scm);
	unix_addr_put(m->from);
	free(m);
}

void unix_flush(struct unix_sock *u)
{
	struct unix_msg *m, *tmp;
	struct list q;

	list_init(&q);
	mutex_lock(&u->lock);
	list_splice_tail_init(&u->rxq, &q);
	u->rx_bytes = u->rx_msgs = 0;
	mutex_unlock(&u->lock);
	list_for_each_entry_safe(m, tmp, &q, node) {
		list_del_init(&m->node);
		unix_msg_free(m);
	}
}

static struct unix_msg *msg_new(size_t len)
{
	/* Room to join later small writes. */
	size_t cap = len < 512 ? 1024 - sizeof(struct unix_msg) : len;
	struct unix_msg *m = malloc(sizeof(*m) + MAX(cap, len));

	if (!m)
		return NULL;
	*m = (struct unix_msg){ .cap = MAX(cap, len) };
	list_init(&m->node);
	return m;
}

/* ---- sending ----------------------------------------------------------------------------------------- */

/* What rides with a message when either side asked for credentials. */
static void fill_cred(struct scm *s, struct task *t)
{
	if (s->has_cred)
		return;
	s->has_cred = true;
	s->pid = pid_get(t->group->leader->pid);
	s->uid = t->cred->uid;
	s->gid = t->cred->gid;
}

/* The first message, or the last one, may take more bytes: nothing rides with either, same sender. */
static bool try_join_locked(struct unix_sock *to, struct unix_msg *m)
{
	struct unix_msg *last;

	if (list_empty(&to->rxq) || m->scm.nr_files || m->scm.has_cred)
		return false;
	last = list_last(&to->rxq, struct unix_msg, node);
	if (last->scm.nr_files || last->scm.has_cred || last->cap - last->len < m->len)
		return false;
	memcpy(last->data + last->len, m->data, m->len);
	last->len += m->len;
	to->rx_bytes += m->len;
	return true;
}

size_t unix_queued_locked(const struct unix_sock *from, const struct unix_sock *to)
{
	return to->rx_bytes + (from->sk.type == LINUX_SOCK_STREAM ? 0 : to->rx_msgs * UNIX_MSG_COST);
}

static bool has_room_locked(const struct unix_sock *u, const struct unix_sock *to, size_t len)
{
	size_t used = unix_queued_locked(u, to);

	return !used || used + len <= (size_t)u->sk.sndbuf;
}

/* 0 queued, 1 full, or -LINUX_E*. @m is consumed when 0. */
static long queue_msg(struct unix_sock *u, struct unix_sock *to, struct unix_msg *m)
{
	bool stream = u->sk.type == LINUX_SOCK_STREAM, dgram = u->sk.type == LINUX_SOCK_DGRAM, joined = false;
	long ret = 0;

	mutex_lock(&to->lock);
	if (to->state == UNIX_CLOSED)
		ret = dgram ? -LINUX_ECONNREFUSED : -LINUX_EPIPE;
	else if (to->rd_shut)
		ret = -LINUX_EPIPE;
	else if (dgram && to->peer && to->peer != u)
		ret = -LINUX_EPERM; /* connected to somebody else */
	else if (!has_room_locked(u, to, m->len))
		ret = 1;
	else if (stream && try_join_locked(to, m))
		joined = true;
	if (!ret && !joined) {
		list_add_tail(&to->rxq, &m->node);
		to->rx_msgs++;
		to->rx_bytes += m->len;
	}
	if (ret == 1)
		to->want_room = true;
	mutex_unlock(&to->lock);
	if (joined)
		unix_msg_free(m);
	return ret;
}

/* Who gets it: the connected peer, or the named one. A reference. */
static long send_target(struct unix_sock *u, struct task *t, struct sock_msg *m, struct unix_sock **out)
{
	bool dgram = u->sk.type == LINUX_SOCK_DGRAM;
	struct unix_sock *to = NULL;
	long ret = 0;

	if (m->name.len && !dgram) {
		if (u->sk.type == LINUX_SOCK_STREAM)
			return u->state == UNIX_CONNECTED ? -LINUX_EISCONN : -LINUX_EOPNOTSUPP;
	} else if (m->name.len) {
		return unix_find(u, t, &m->name, out);
	}
	mutex_lock(&u->lock);
	if (u->wr_shut || (u->peer_gone && !dgram))
		ret = -LINUX_EPIPE;
	else if (u->peer)
		to = unix_get(u->peer);
	else
		ret = u->state == UNIX_CLOSED ? -LINUX_EPIPE : -LINUX_ENOTCONN;
	mutex_unlock(&u->lock);
	*out = to;
	return ret;
}

static bool room_or_end(struct unix_sock *u, struct unix_sock *to, size_t len)
{
	bool ok;

	mutex_lock(&to->lock);
	ok = to->state == UNIX_CLOSED || to->rd_shut || has_room_locked(u, to, len);
	if (!ok)
		to->want_room = true;
	mutex_unlock(&to->lock);
	return ok || u->wr_shut;
}

/* Queues @m at @to, waiting for room if allowed. @m is consumed in every case. */
static long send_one(struct unix_sock *u, struct unix_sock *to, struct unix_msg *m, bool nonblock, uint64_t deadline)
{
	struct waitq *q = u->sk.type == LINUX_SOCK_DGRAM ? &to->wq : &u->wq;
	size_t len = m->len;
	long ret;

	for (;;) {
		ret = queue_msg(u, to, m);
		if (ret <= 0)
			break;
		if (nonblock) {
			ret = -LINUX_EAGAIN;
			break;
		}
		ret = wait_event(q, room_or_end(u, to, len), SLEEP_INTERRUPTIBLE, deadline);
		if (ret) {
			ret = socket_wait_error(ret, u->sk.sndtimeo_ns);
			break;
		}
	}
	if (ret)
		unix_msg_free(m);
	else
		unix_notify(to, LINUX_POLLIN | LINUX_POLLRDNORM);
	return ret;
}

/* Descriptors and sender of the call's first message. */
static long msg_attach(struct unix_sock *u, struct unix_sock *to, struct task *t, struct sock_msg *sm, struct unix_msg *m)
{
	long ret;

	if (sm->scm.nr_files) {
		ret = unix_inflight_add(to, &sm->scm);
		if (ret)
			return ret;
		m->scm.files = TAKE_PTR(sm->scm.files);
		m->scm.nr_files = sm->scm.nr_files;
		sm->scm.nr_files = 0;
	}
	if (sm->scm.has_cred) {
		m->scm.has_cred = true;
		m->scm.pid = sm->scm.pid ? pid_get(sm->scm.pid) : NULL;
		m->scm.uid = sm->scm.uid;
		m->scm.gid = sm->scm.gid;
	} else if (u->sk.passcred || to->sk.passcred) {
		fill_cred(&m->scm, t);
	}
	if (u->sk.type != LINUX_SOCK_STREAM && u->addr) {
		ref_get(&u->addr->ref);
		m->from = u->addr;
	}
	return 0;
}

static long send_chunk(struct unix_sock *u, struct unix_sock *to, struct task *t, struct sock_msg *sm, size_t len, uint64_t deadline)
{
	struct unix_msg *m = msg_new(len);
	long n, ret;

	if (!m)
		return -LINUX_ENOMEM;
	n = len ? uio_read(sm->io, m->data, len) : 0;
	if (n >= 0 && (size_t)n < len && u->sk.type != LINUX_SOCK_STREAM)
		n = -LINUX_EFAULT; /* a datagram is whole or not at all */
	if (n < 0 || (len && !n)) {
		unix_msg_free(m);
		return n < 0 ? n : -LINUX_EFAULT;
	}
	m->len = (size_t)n;
	ret = msg_attach(u, to, t, sm, m);
	if (ret) {
		unix_msg_free(m);
		return ret;
	}
	ret = send_one(u, to, m, sm->flags & LINUX_MSG_DONTWAIT, deadline);
	if (ret)
		uio_revert(sm->io, (size_t)n);
	return ret ? ret : n;
}

long unix_sendmsg(struct socket *s, struct task *t, struct sock_msg *m)
{
	struct unix_sock *u = unix_of(s), *to;
	uint64_t deadline = socket_deadline(s->sndtimeo_ns);
	bool stream = s->type == LINUX_SOCK_STREAM;
	size_t total = m->io->left;
	long ret, done = 0;

	if (m->flags & LINUX_MSG_OOB)
		return -LINUX_EOPNOTSUPP;
	ret = socket_take_error(s);
	if (ret)
		return ret;
	ret = send_target(u, t, m, &to);
	if (!ret && !stream && total > (size_t)s->sndbuf - 32) {
		unix_put(to);
		ret = -LINUX_EMSGSIZE;
		to = NULL;
	}
	if (ret)
		return ret == -LINUX_EPIPE ? socket_epipe(t, m->flags) : ret;
	do {
		ret = send_chunk(u, to, t, m, stream ? MIN(m->io->left, (size_t)UNIX_MSG_CHUNK) : total, deadline);
		if (ret > 0)
			done += ret;
	} while (ret > 0 && stream && m->io->left);
	unix_put(to);
	if (ret == -LINUX_EPIPE && !done)
		return socket_epipe(t, m->flags);
	return done ? done : ret;
}

/* ---- receiving -------------------------------------------------------------------------------------------- */

/* The message at byte @skip of the queue (peek offset), borrowed; NULL: none. */
static struct unix_msg *first_locked(struct unix_sock *u, size_t *skip)
{
	struct unix_msg *m;

	list_for_each_entry(m, &u->rxq, node) {
		size_t left = m->len - m->off;

		if (!*skip || *skip < left)
			return m;
		*skip -= left;
	}
	return NULL;
}

static bool readable_or_end(struct unix_sock *u)
{
	bool r;

	mutex_lock(&u->lock);
	r = u->rx_msgs || u->rd_shut || u->peer_gone || u->state == UNIX_CLOSED;
	mutex_unlock(&u->lock);
	return r || atomic_load(&u->sk.err);
}

/* Takes the first message off the queue: recv_lock makes the caller the only taker. */
static struct unix_msg *take_first(struct unix_sock *u)
{
	struct unix_msg *m = NULL;

	mutex_lock(&u->lock);
	if (!list_empty(&u->rxq)) {
		m = list_first(&u->rxq, struct unix_msg, node);
		list_del_init(&m->node);
		u->rx_msgs--;
		u->rx_bytes -= m->len - m->off;
		if (!u->rx_msgs)
			atomic_store(&u->nesting, 0);
	}
	mutex_unlock(&u->lock);
	return m;
}

static void put_back(struct unix_sock *u, struct unix_msg *m)
{
	mutex_lock(&u->lock);
	list_add(&u->rxq, &m->node);
	u->rx_msgs++;
	u->rx_bytes += m->len - m->off;
	mutex_unlock(&u->lock);
}

/* Room came up in @u's queue: whoever found it full may go on. */
static void wake_writers(struct unix_sock *u)
{
	struct unix_sock *peer = NULL;
	bool want;

	mutex_lock(&u->lock);
	want = u->want_room;
	u->want_room = false;
	if (want && u->sk.type != LINUX_SOCK_DGRAM && u->peer)
		peer = unix_get(u->peer);
	mutex_unlock(&u->lock);
	if (!want)
		return;
	unix_notify(peer ? peer : u, LINUX_POLLOUT | LINUX_POLLWRNORM);
	unix_put(peer);
}

/* What rides with @from goes to the caller: descriptors move (or are duplicated for a peek). */
static void scm_give(struct unix_sock *u, struct sock_msg *sm, struct unix_msg *from, bool peek)
{
	struct scm *s = &from->scm;

	if (u->sk.passcred || s->has_cred) {
		sm->scm.has_cred = true;
		if (s->has_cred) {
			sm->scm.pid = s->pid ? pid_get(s->pid) : NULL;
			sm->scm.uid = s->uid;
			sm->scm.gid = s->gid;
		} else {
			sm->scm.uid = sm->scm.gid = OVERFLOW_ID;
		}
	}
	if (!s->nr_files)
		return;
	if (peek) {
		sm->scm.files = calloc(s->nr_files, sizeof(struct file *));
		if (!sm->scm.files)
			return;
		for (uint32_t i = 0; i < s->nr_files; i++)
			sm->scm.files[i] = file_get(s->files[i]);
		sm->scm.nr_files = s->nr_files;
		return;
	}
	unix_inflight_sub(s);
	sm->scm.files = TAKE_PTR(s->files);
	sm->scm.nr_files = s->nr_files;
	s->nr_files = 0;
}

/* Two messages of a stream may be read in one call only if they come from the same sender and no descriptors begin. */
static bool may_continue(const struct unix_sock *u, const struct sock_msg *sm, const struct unix_msg *m)
{
	if (m->scm.nr_files)
		return false;
	if (!u->sk.passcred)
		return true;
	return sm->scm.has_cred && m->scm.has_cred && sm->scm.pid == m->scm.pid && sm->scm.uid == m->scm.uid;
}

/* One message's bytes to the guest. Bytes, or -LINUX_EFAULT. */
static long msg_copy(struct sock_msg *sm, struct unix_msg *m, size_t skip, size_t *out_n)
{
	size_t n = MIN(m->len - m->off - skip, sm->io->left);
	long ret = n ? uio_write(sm->io, m->data + m->off + skip, n) : 0;

	*out_n = ret > 0 ? (size_t)ret : 0;
	return ret;
}

static long recv_stream(struct unix_sock *u, struct sock_msg *sm)
{
	bool peek = sm->flags & LINUX_MSG_PEEK, first = true;
	size_t skip = peek && u->sk.peek_off > 0 ? (size_t)u->sk.peek_off : 0;
	long done = 0, ret = 0;

	while (sm->io->left) {
		struct unix_msg *m;
		size_t n;

		if (peek) {
			/* recv_lock keeps the message where it is while it is looked at */
			size_t at = skip + (size_t)done;

			mutex_lock(&u->lock);
			m = first_locked(u, &at);
			mutex_unlock(&u->lock);
			if (!m || (!first && !may_continue(u, sm, m)))
				break;
			if (first)
				scm_give(u, sm, m, true);
			ret = msg_copy(sm, m, at, &n);
		} else {
			m = take_first(u);
			if (!m)
				break;
			if (!first && !may_continue(u, sm, m)) {
				put_back(u, m);
				break;
			}
			if (first)
				scm_give(u, sm, m, false);
			ret = msg_copy(sm, m, 0, &n);
			m->off += n;
			if (m->off < m->len || ret < 0)
				put_back(u, m);
			else
				unix_msg_free(m);
		}
		first = false;
		if (ret < 0)
			break;
		done += (long)n;
		if (sm->scm.nr_files)
			break; /* descriptors end a read, unix(7) */
	}
	if (peek && u->sk.peek_off >= 0 && done > 0)
		u->sk.peek_off += (int)done;
	return done ? done : ret;
}

static long recv_packet(struct unix_sock *u, struct sock_msg *sm)
{
	bool peek = sm->flags & LINUX_MSG_PEEK;
	size_t n, len, zero = 0;
	struct unix_msg *m;
	long ret;

	if (peek) {
		mutex_lock(&u->lock);
		m = first_locked(u, &zero);
		mutex_unlock(&u->lock);
	} else {
		m = take_first(u);
	}
	if (!m)
		return -LINUX_EAGAIN;
	len = m->len;
	if (sm->io->left < len)
		sm->out_flags |= LINUX_MSG_TRUNC;
	scm_give(u, sm, m, peek);
	if (m->from)
		unix_fill_name(m->from, &sm->name);
	if (u->sk.type == LINUX_SOCK_SEQPACKET)
		sm->out_flags |= LINUX_MSG_EOR;
	ret = msg_copy(sm, m, 0, &n);
	if (!peek)
		unix_msg_free(m);
	if (ret < 0)
		return ret;
	return (long)(sm->flags & LINUX_MSG_TRUNC ? len : n);
}

/* With nothing to read: 0 at the end of the stream, or an error; 1 = wait. */
static long empty_result(struct unix_sock *u)
{
	long ret = socket_take_error(&u->sk);

	if (ret)
		return ret;
	mutex_lock(&u->lock);
	if (u->rx_msgs)
		ret = 1;
	else if (u->rd_shut || u->peer_gone || u->state == UNIX_CLOSED)
		ret = 0;
	else if (u->sk.type != LINUX_SOCK_DGRAM && u->state != UNIX_CONNECTED)
		ret = u->sk.type == LINUX_SOCK_STREAM ? -LINUX_EINVAL : -LINUX_ENOTCONN;
	else
		ret = 1;
	mutex_unlock(&u->lock);
	return ret;
}

static long recv_locked(struct unix_sock *u, struct sock_msg *m, bool stream, uint64_t deadline)
{
	size_t want = m->flags & LINUX_MSG_WAITALL && stream ? m->io->left : MIN((size_t)u->sk.rcvlowat, m->io->left);
	long done = 0, ret;

	for (;;) {
		if (u->rx_msgs) {
			ret = stream ? recv_stream(u, m) : recv_packet(u, m);
			if (!stream || ret < 0 || m->flags & LINUX_MSG_PEEK)
				return done ? done : ret;
			done += ret;
			if ((size_t)done >= want || m->scm.nr_files || !m->io->left)
				return done;
		}
		ret = empty_result(u);
		if (ret <= 0)
			return done ? done : ret;
		if (u->rx_msgs)
			continue;
		if (m->flags & LINUX_MSG_DONTWAIT)
			return done ? done : -LINUX_EAGAIN;
		ret = wait_event(&u->wq, readable_or_end(u), SLEEP_INTERRUPTIBLE, deadline);
		if (ret)
			return done ? done : socket_wait_error(ret, u->sk.rcvtimeo_ns);
	}
}

long unix_recvmsg(struct socket *s, struct task *t, struct sock_msg *m)
{
	struct unix_sock *u = unix_of(s);
	bool stream = s->type == LINUX_SOCK_STREAM;
	long ret;

	if (m->flags & LINUX_MSG_OOB)
		return -LINUX_EOPNOTSUPP;
	if (stream && !m->io->left)
		return 0;
	ret = sleep_lock_killable(&u->recv_lock);
	if (ret)
		return ret;
	ret = recv_locked(u, m, stream, socket_deadline(s->rcvtimeo_ns));
	sleep_unlock(&u->recv_lock);
	if (!(m->flags & LINUX_MSG_PEEK))
		wake_writers(u);
	return ret;
}
