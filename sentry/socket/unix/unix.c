/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/unix/unix.c - AF_UNIX: creation, connection, listening, closing, options
 */
#include <string.h>

#include "sentry/abi/ioctl.h"
#include "sentry/socket/unix/unix.h"
#include "sentry/task/ns.h"

static const struct socket_ops unix_ops;

struct unix_sock *unix_get(struct unix_sock *u)
{
	ref_get(&u->ref);
	return u;
}

void unix_put(struct unix_sock *u)
{
	if (!u || !ref_put(&u->ref))
		return;
	unix_gc_del(u);
	unix_flush(u);
	unix_addr_put(u->addr);
	if (u->inode)
		inode_put(u->inode);
	if (u->cred_pid)
		pid_put(u->cred_pid);
	groups_put(u->cred_groups);
	socket_fini(&u->sk);
	free(u);
}

struct unix_sock *unix_alloc(struct net_ns_ref *net, int type, int protocol)
{
	struct unix_sock *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	socket_init(&u->sk, &unix_ops, net, LINUX_AF_UNIX, type, protocol);
	ref_init(&u->ref, 1);
	mutex_init(&u->lock);
	list_init(&u->name_node);
	list_init(&u->rxq);
	list_init(&u->pending);
	list_init(&u->pending_node);
	sleeplock_init(&u->recv_lock);
	waitq_init(&u->wq);
	unix_gc_add(u);
	return u;
}

/* Wakes pollers and sleepers of @u; SIGIO if its file asked for it. */
void unix_notify(struct unix_sock *u, uint32_t events)
{
	waitq_wake(&u->wq, events, UINT32_MAX);
	socket_sigio(&u->sk, events);
}

void unix_set_peer_cred(struct unix_sock *u, struct task *t)
{
	if (u->has_peer_cred) {
		pid_put(u->cred_pid);
		groups_put(u->cred_groups);
	}
	u->cred_pid = pid_get(t->group->leader->pid);
	u->cred_uid = t->cred->euid;
	u->cred_gid = t->cred->egid;
	u->cred_groups = t->cred->groups;
	if (u->cred_groups)
		ref_get(&u->cred_groups->ref);
	u->has_peer_cred = true;
}

static void copy_peer_cred(struct unix_sock *dst, const struct unix_sock *src)
{
	if (!src->has_peer_cred)
		return;
	dst->cred_pid = pid_get(src->cred_pid);
	dst->cred_uid = src->cred_uid;
	dst->cred_gid = src->cred_gid;
	dst->cred_groups = src->cred_groups;
	if (dst->cred_groups)
		ref_get(&dst->cred_groups->ref);
	dst->has_peer_cred = true;
}

static long check_type(int type, int protocol)
{
	if (protocol && protocol != LINUX_AF_UNIX)
		return -LINUX_EPROTONOSUPPORT;
	if (type != LINUX_SOCK_STREAM && type != LINUX_SOCK_DGRAM && type != LINUX_SOCK_SEQPACKET && type != LINUX_SOCK_RAW)
		return -LINUX_ESOCKTNOSUPPORT;
	return 0;
}

static long unix_create(struct task *t, struct net_ns_ref *net, int type, int protocol, struct socket **out)
{
	long ret = check_type(type, protocol);
	struct unix_sock *u;

	if (ret)
		return ret;
	u = unix_alloc(net, type == LINUX_SOCK_RAW ? LINUX_SOCK_DGRAM : type, protocol);
	if (!u)
		return -LINUX_ENOMEM;
	*out = &u->sk;
	return 0;
}

static long unix_socketpair(struct task *t, struct net_ns_ref *net, int type, int protocol, struct socket **a, struct socket **b)
{
	long ret = unix_create(t, net, type, protocol, a);
	struct unix_sock *ua, *ub;

	if (!ret) {
		ret = unix_create(t, net, type, protocol, b);
		if (ret)
			unix_put(unix_of(*a));
	}
	if (ret)
		return ret;
	ua = unix_of(*a);
	ub = unix_of(*b);
	ua->peer = unix_get(ub);
	ub->peer = unix_get(ua);
	ua->state = ub->state = UNIX_CONNECTED;
	unix_set_peer_cred(ua, t);
	unix_set_peer_cred(ub, t);
	return 0;
}

/* ---- closing ------------------------------------------------------------------------------------------ */

/* The peer learns that nothing will come and nothing will be read any more. */
static void tell_peer_gone(struct unix_sock *u, struct unix_sock *peer, bool unread)
{
	bool mine;

	mutex_lock(&peer->lock);
	mine = peer->peer == u;
	if (mine && u->sk.type != LINUX_SOCK_DGRAM) {
		peer->peer_gone = true;
		/* Data that was never read makes it a reset. */
		if (unread)
			atomic_store(&peer->sk.err, LINUX_ECONNRESET);
	}
	mutex_unlock(&peer->lock);
	if (mine)
		unix_notify(peer, LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLHUP | LINUX_POLLRDHUP);
}

static void close_pending(struct list *pending)
{
	struct unix_sock *e, *tmp;

	list_for_each_entry_safe(e, tmp, pending, pending_node) {
		list_del_init(&e->pending_node);
		e->sk.ops->release(&e->sk);
	}
}

static void unix_release(struct socket *s)
{
	struct unix_sock *u = unix_of(s), *peer;
	struct list pending;
	bool unread;

	list_init(&pending);
	unix_unname(u);
	mutex_lock(&u->lock);
	u->state = UNIX_CLOSED;
	u->rd_shut = u->wr_shut = true;
	peer = u->peer;
	u->peer = NULL;
	unread = u->rx_msgs > 0;
	list_splice_tail_init(&u->pending, &pending);
	mutex_unlock(&u->lock);
	close_pending(&pending);
	unix_flush(u);
	/* writers that wait for room, connects that wait for the backlog */
	unix_notify(u, LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLHUP);
	if (peer) {
		tell_peer_gone(u, peer, unread);
		unix_put(peer);
	}
	unix_put(u);
	unix_gc_run();
}

static long unix_shutdown(struct socket *s, int how)
{
	struct unix_sock *u = unix_of(s), *peer;
	bool stream = s->type != LINUX_SOCK_DGRAM;

	mutex_lock(&u->lock);
	if (how == LINUX_SHUT_RD || how == LINUX_SHUT_RDWR)
		u->rd_shut = true;
	if (how == LINUX_SHUT_WR || how == LINUX_SHUT_RDWR)
		u->wr_shut = true;
	peer = u->peer ? unix_get(u->peer) : NULL;
	mutex_unlock(&u->lock);
	if (peer && stream) {
		mutex_lock(&peer->lock);
		if (how == LINUX_SHUT_RD || how == LINUX_SHUT_RDWR)
			peer->wr_shut = true;
		if (how == LINUX_SHUT_WR || how == LINUX_SHUT_RDWR)
			peer->rd_shut = true;
		mutex_unlock(&peer->lock);
		unix_notify(peer, LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLHUP | LINUX_POLLRDHUP);
	}
	if (peer)
		unix_put(peer);
	unix_notify(u, LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLHUP | LINUX_POLLRDHUP);
	return 0;
}

/* ---- connecting ------------------------------------------------------------------------------------------- */

static long connect_dgram(struct unix_sock *u, struct task *t, const struct sockaddr_buf *a)
{
	struct unix_sock *peer = NULL, *old;
	long ret;

	if (a->family != LINUX_AF_UNSPEC) {
		ret = unix_find(u, t, a, &peer);
		if (ret)
			return ret;
	}
	mutex_lock(&u->lock);
	old = u->peer;
	u->peer = peer;
	u->state = peer ? UNIX_CONNECTED : UNIX_UNCONNECTED;
	u->peer_gone = false;
	mutex_unlock(&u->lock);
	unix_put(old);
	return 0;
}

/* Puts @embryo into @l's backlog: 0, -LINUX_EAGAIN when it is full, -LINUX_ECONNREFUSED. */
static long backlog_add(struct unix_sock *l, struct unix_sock *u, struct unix_sock *embryo)
{
	long ret = 0;

	mutex_lock_two(&l->lock, &u->lock);
	if (l->state != UNIX_LISTENING || l->rd_shut) {
		ret = -LINUX_ECONNREFUSED;
	} else if (u->state != UNIX_UNCONNECTED) {
		ret = u->state == UNIX_LISTENING ? -LINUX_EINVAL : -LINUX_EISCONN;
	} else if (l->nr_pending > l->backlog) {
		ret = -LINUX_EAGAIN;
	} else {
		embryo->peer = unix_get(u);
		embryo->state = u->state = UNIX_CONNECTED;
		u->peer = unix_get(embryo);
		if (l->addr) {
			ref_get(&l->addr->ref);
			embryo->addr = l->addr;
		}
		copy_peer_cred(u, l);
		list_add_tail(&l->pending, &embryo->pending_node);
		l->nr_pending++;
	}
	mutex_unlock_two(&l->lock, &u->lock);
	return ret;
}

static bool backlog_has_room(struct unix_sock *l)
{
	bool ok;

	mutex_lock(&l->lock);
	ok = l->state != UNIX_LISTENING || l->rd_shut || l->nr_pending <= l->backlog;
	mutex_unlock(&l->lock);
	return ok;
}

static long connect_stream(struct unix_sock *u, struct task *t, const struct sockaddr_buf *a, bool nonblock)
{
	uint64_t deadline = socket_deadline(u->sk.sndtimeo_ns);
	struct unix_sock *l, *embryo;
	long ret = unix_find(u, t, a, &l);

	if (ret)
		return ret;
	embryo = unix_alloc(l->sk.net, u->sk.type, u->sk.protocol);
	if (!embryo) {
		unix_put(l);
		return -LINUX_ENOMEM;
	}
	unix_set_peer_cred(embryo, t); /* the acceptor sees who connected */
	embryo->sk.passcred = l->sk.passcred;
	for (;;) {
		ret = backlog_add(l, u, embryo);
		if (ret != -LINUX_EAGAIN || nonblock)
			break;
		ret = wait_event(&l->wq, backlog_has_room(l), SLEEP_INTERRUPTIBLE, deadline);
		if (ret) {
			ret = socket_wait_error(ret, u->sk.sndtimeo_ns);
			break;
		}
	}
	if (ret)
		unix_put(embryo);
	else
		unix_notify(l, LINUX_POLLIN);
	unix_put(l);
	return ret;
}

static long unix_connect(struct socket *s, struct task *t, const struct sockaddr_buf *a, bool nonblock)
{
	struct unix_sock *u = unix_of(s);

	if (s->type == LINUX_SOCK_DGRAM)
		return connect_dgram(u, t, a);
	if (a->family != LINUX_AF_UNIX)
		return -LINUX_EINVAL;
	return connect_stream(u, t, a, nonblock);
}

static long unix_listen(struct socket *s, int backlog)
{
	struct unix_sock *u = unix_of(s);
	struct task *t = task_current();
	long ret = 0;

	if (s->type == LINUX_SOCK_DGRAM)
		return -LINUX_EOPNOTSUPP;
	mutex_lock(&u->lock);
	if (!u->addr || (u->state != UNIX_UNCONNECTED && u->state != UNIX_LISTENING)) {
		ret = -LINUX_EINVAL;
	} else {
		u->state = UNIX_LISTENING;
		u->backlog = (uint32_t)(backlog < 0 || backlog > LINUX_SOMAXCONN ? LINUX_SOMAXCONN : backlog);
		unix_set_peer_cred(u, t); /* what connecting clients see as their peer */
	}
	mutex_unlock(&u->lock);
	if (!ret)
		unix_notify(u, LINUX_POLLOUT); /* connects that waited for room */
	return ret;
}

static struct unix_sock *take_pending(struct unix_sock *l, long *ret)
{
	struct unix_sock *e = NULL;

	mutex_lock(&l->lock);
	*ret = 0;
	if (l->state != UNIX_LISTENING) {
		*ret = -LINUX_EINVAL;
	} else if (!list_empty(&l->pending)) {
		e = list_first(&l->pending, struct unix_sock, pending_node);
		list_del_init(&e->pending_node);
		l->nr_pending--;
	} else if (l->rd_shut) {
		*ret = -LINUX_EINVAL;
	}
	mutex_unlock(&l->lock);
	return e;
}

static long unix_accept(struct socket *s, bool nonblock, struct socket **out)
{
	struct unix_sock *l = unix_of(s), *e = NULL;
	uint64_t deadline = socket_deadline(s->rcvtimeo_ns);
	long ret = 0, wret;

	if (s->type == LINUX_SOCK_DGRAM)
		return -LINUX_EOPNOTSUPP;
	if (nonblock) {
		e = take_pending(l, &ret);
		if (!e && !ret)
			ret = -LINUX_EAGAIN;
	} else {
		wret = wait_event(&l->wq, (e = take_pending(l, &ret)) || ret, SLEEP_INTERRUPTIBLE, deadline);
		if (!ret && !e)
			ret = socket_wait_error(wret, s->rcvtimeo_ns);
	}
	if (!e)
		return ret;
	waitq_wake(&l->wq, LINUX_POLLOUT, UINT32_MAX); /* room in the backlog */
	*out = &e->sk;
	return 0;
}

static long unix_getname(struct socket *s, bool peer, struct sockaddr_buf *out)
{
	struct unix_sock *u = unix_of(s), *p = NULL;
	struct unix_addr *a = NULL;

	mutex_lock(&u->lock);
	if (peer)
		p = u->peer ? unix_get(u->peer) : NULL;
	else if ((a = u->addr))
		ref_get(&a->ref);
	mutex_unlock(&u->lock);
	if (peer) {
		if (!p)
			return -LINUX_ENOTCONN;
		mutex_lock(&p->lock);
		if ((a = p->addr))
			ref_get(&a->ref);
		mutex_unlock(&p->lock);
		unix_put(p);
	}
	unix_fill_name(a, out);
	unix_addr_put(a);
	return 0;
}

/* ---- readiness and options ----------------------------------------------------------------------------------- */

/* Can @u send without waiting? Looks at the peer's queue, and asks for a wake-up when not. */
static bool unix_writable(struct unix_sock *u, struct unix_sock *peer)
{
	bool ok;

	if (!peer)
		return true;
	mutex_lock(&peer->lock);
	ok = unix_queued_locked(u, peer) < (size_t)u->sk.sndbuf / 2 || peer->rd_shut || peer->state == UNIX_CLOSED;
	if (!ok)
		peer->want_room = true;
	mutex_unlock(&peer->lock);
	return ok;
}

static uint32_t unix_poll(struct socket *s, struct poll_table *pt)
{
	struct unix_sock *u = unix_of(s), *peer;
	uint32_t mask = 0;
	bool stream = s->type != LINUX_SOCK_DGRAM;

	poll_wait(pt, &u->wq);
	mutex_lock(&u->lock);
	peer = u->peer ? unix_get(u->peer) : NULL;
	if (u->state == UNIX_LISTENING) {
		mask = list_empty(&u->pending) ? 0 : LINUX_POLLIN | LINUX_POLLRDNORM;
	} else {
		if (u->rx_msgs || u->rd_shut || u->peer_gone)
			mask |= LINUX_POLLIN | LINUX_POLLRDNORM;
		if (u->rd_shut || u->peer_gone)
			mask |= LINUX_POLLRDHUP;
		if ((u->rd_shut && u->wr_shut) || u->peer_gone || (stream && u->state == UNIX_UNCONNECTED))
			mask |= LINUX_POLLHUP;
	}
	mutex_unlock(&u->lock);
	if (atomic_load(&s->err))
		mask |= LINUX_POLLERR;
	/* Readers of a stream wake their peer; many may send datagrams to one, so those wait at the receiver. */
	if (peer && !stream && pt && (pt->events & LINUX_POLLOUT))
		poll_wait(pt, &peer->wq);
	if (u->state != UNIX_LISTENING && unix_writable(u, peer))
		mask |= LINUX_POLLOUT | LINUX_POLLWRNORM | LINUX_POLLWRBAND;
	unix_put(peer);
	return mask;
}

static long unix_getsockopt(struct socket *s, struct task *t, int level, int name, void *val, size_t *len)
{
	struct unix_sock *u = unix_of(s);
	struct linux_ucred c = { .uid = OVERFLOW_ID, .gid = OVERFLOW_ID };
	int v;

	if (level != LINUX_SOL_SOCKET)
		return -LINUX_EOPNOTSUPP;
	switch (name) {
	case LINUX_SO_PEERCRED:
		mutex_lock(&u->lock);
		if (u->has_peer_cred) {
			c.pid = (int32_t)pid_nr(u->cred_pid, task_pid_ns(t));
			c.uid = id_from_kernel_munged(t->cred->user_ns, false, u->cred_uid);
			c.gid = id_from_kernel_munged(t->cred->user_ns, true, u->cred_gid);
		} else {
			c.uid = c.gid = ID_INVALID;
		}
		mutex_unlock(&u->lock);
		*len = MIN(*len, sizeof(c));
		memcpy(val, &c, *len);
		return 0;
	case LINUX_SO_ACCEPTCONN:
		v = u->state == UNIX_LISTENING;
		*len = MIN(*len, sizeof(v));
		memcpy(val, &v, *len);
		return 0;
	case LINUX_SO_PEERGROUPS: {
		size_t n, want;

		mutex_lock(&u->lock);
		n = u->cred_groups ? u->cred_groups->nr : 0;
		want = n * sizeof(uint32_t);
		if (!u->has_peer_cred || *len < want) {
			mutex_unlock(&u->lock);
			*len = want;
			return u->has_peer_cred ? -LINUX_ERANGE : -LINUX_ENODATA;
		}
		for (size_t i = 0; i < n; i++) {
			uint32_t g = id_from_kernel_munged(t->cred->user_ns, true, u->cred_groups->gid[i]);

			memcpy((char *)val + i * sizeof(g), &g, sizeof(g));
		}
		mutex_unlock(&u->lock);
		*len = want;
		return 0;
	}
	case LINUX_SO_PEERSEC:
	default:
		return -LINUX_ENOPROTOOPT;
	}
}

static long unix_ioctl(struct socket *s, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct unix_sock *u = unix_of(s), *peer;
	int v = 0;

	switch (cmd) {
	case LINUX_SIOCINQ:
		mutex_lock(&u->lock);
		if (u->state == UNIX_LISTENING) {
			mutex_unlock(&u->lock);
			return -LINUX_EINVAL;
		}
		if (s->type != LINUX_SOCK_DGRAM)
			v = (int)u->rx_bytes;
		else if (!list_empty(&u->rxq))
			v = (int)list_first(&u->rxq, struct unix_msg, node)->len;
		mutex_unlock(&u->lock);
		break;
	case LINUX_SIOCOUTQ:
		mutex_lock(&u->lock);
		peer = u->peer ? unix_get(u->peer) : NULL;
		mutex_unlock(&u->lock);
		if (peer) {
			mutex_lock(&peer->lock);
			v = (int)peer->rx_bytes;
			mutex_unlock(&peer->lock);
			unix_put(peer);
		}
		break;
	default:
		return -LINUX_ENOTTY;
	}
	return copyout_obj(t->u, GPTR(arg), &v);
}

static const struct socket_ops unix_ops = {
	.release = unix_release,
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.getname = unix_getname,
	.sendmsg = unix_sendmsg,
	.recvmsg = unix_recvmsg,
	.shutdown = unix_shutdown,
	.getsockopt = unix_getsockopt,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
};

const struct socket_family unix_family = {
	.family = LINUX_AF_UNIX,
	.create = unix_create,
	.socketpair = unix_socketpair,
};
