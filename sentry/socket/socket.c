/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/socket.c - the common half of every socket: file operations and SOL_SOCKET options
 *
 * Locks:   socket.mu (leaf) guards the option fields; the family's own locks are not known here.
 * Source:  socket(7), setsockopt(2).
 */
#include <string.h>

#include "sentry/socket/socket_internal.h"

#define BUF_MIN	      2304	/* smallest SO_SNDBUF that Linux keeps */
#define BUF_RCV_MIN   2304
#define BUF_DEFAULT   212992	/* /proc/sys/net/core/{r,w}mem_default */
#define BUF_MAX	      212992	/* /proc/sys/net/core/{r,w}mem_max, before doubling */

static const struct socket_family *families[LINUX_AF_MAX];
static _Atomic uint64_t next_cookie = 1;

void socket_family_register(const struct socket_family *f)
{
	BUG_ON(f->family >= LINUX_AF_MAX || families[f->family]);
	families[f->family] = f;
}

const struct socket_family *socket_family_find(int family)
{
	return family >= 0 && family < LINUX_AF_MAX ? families[family] : NULL;
}

void socket_init(struct socket *s, const struct socket_ops *ops, struct net_ns_ref *net, int family, int type, int protocol)
{
	s->ops = ops;
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	s->net = net_ns_ref_get(net);
	mutex_init(&s->mu);
	s->sndbuf = s->rcvbuf = BUF_DEFAULT;
	s->rcvlowat = 1;
	s->peek_off = -1;
	s->cookie = atomic_fetch_add(&next_cookie, 1);
}

void socket_fini(struct socket *s)
{
	net_ns_ref_put(s->net);
}

void scm_fini(struct scm *s)
{
	for (uint32_t i = 0; i < s->nr_files; i++)
		file_put(s->files[i]);
	free(s->files);
	if (s->pid)
		pid_put(s->pid);
	*s = (struct scm){ 0 };
}

bool sock_put_cmsg(struct sock_msg *m, int level, int type, const void *data, size_t len)
{
	size_t need = sizeof(struct linux_cmsghdr) + len, at = LINUX_CMSG_ALIGN(m->ctl_len);
	struct linux_cmsghdr h = { .len = need, .level = level, .type = type };

	if (!m->ctl || at > m->ctl_cap || m->ctl_cap - at < need) {
		m->out_flags |= LINUX_MSG_CTRUNC;
		return false;
	}
	memset(m->ctl + m->ctl_len, 0, at - m->ctl_len);
	memcpy(m->ctl + at, &h, sizeof(h));
	memcpy(m->ctl + at + sizeof(h), data, len);
	/* The padding behind counts as far as there is room, as in Linux: CMSG_SPACE(len) for a caller that gave as much. */
	m->ctl_len = MIN(LINUX_CMSG_ALIGN(at + need), m->ctl_cap);
	memset(m->ctl + at + need, 0, m->ctl_len - (at + need));
	return true;
}

uint64_t socket_deadline(uint64_t timeo_ns)
{
	uint64_t now = timeo_ns ? now_ns() : 0;

	return timeo_ns && timeo_ns < NO_DEADLINE - now ? now + timeo_ns : NO_DEADLINE;
}

long socket_wait_error(long ret, uint64_t timeo_ns)
{
	if (ret == -LINUX_ETIMEDOUT)
		return -LINUX_EAGAIN;
	/* signal(7): a socket with a timeout is never restarted. */
	if (ret == -ERESTARTSYS && timeo_ns)
		return -LINUX_EINTR;
	return ret;
}

long socket_take_error(struct socket *s)
{
	return -atomic_exchange(&s->err, 0);
}

void socket_sigio(struct socket *s, uint32_t poll_events)
{
	struct file *f = atomic_load(&s->file);

	if (f && (atomic_load_explicit(&f->flags, memory_order_relaxed) & LINUX_O_ASYNC) && vfs_send_sigio)
		vfs_send_sigio(f, 0, poll_events);
}

long socket_epipe(struct task *t, uint32_t msg_flags)
{
	struct linux_siginfo_head si;

	if (!(msg_flags & LINUX_MSG_NOSIGNAL)) {
		siginfo_user(&si, LINUX_SIGPIPE, LINUX_SI_USER);
		signal_send_task(t, &si, 0);
	}
	return -LINUX_EPIPE;
}

/* ---- the file ------------------------------------------------------------------------------------- */

static bool sock_nonblock(struct file *f, uint32_t rwf)
{
	return (atomic_load_explicit(&f->flags, memory_order_relaxed) & LINUX_O_NONBLOCK) || (rwf & LINUX_RWF_NOWAIT);
}

static long sock_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct socket *s = f->priv;
	struct sock_msg m = { .io = io, .flags = sock_nonblock(f, rwf) ? LINUX_MSG_DONTWAIT : 0 };
	long ret;

	if (!s->ops->recvmsg)
		return -LINUX_EOPNOTSUPP;
	ret = s->ops->recvmsg(s, task_current(), &m);
	scm_fini(&m.scm); /* read(2) drops what rode along, unix(7) */
	return ret;
}

static long sock_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct socket *s = f->priv;
	struct sock_msg m = { .io = io, .flags = sock_nonblock(f, rwf) ? LINUX_MSG_DONTWAIT : 0 };

	return s->ops->sendmsg ? s->ops->sendmsg(s, task_current(), &m) : -LINUX_EOPNOTSUPP;
}

static uint32_t sock_poll(struct file *f, struct poll_table *pt)
{
	struct socket *s = f->priv;

	return s->ops->poll(s, pt);
}

static long sock_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct socket *s = f->priv;

	long ret = s->ops->ioctl ? s->ops->ioctl(s, task_current(), cmd, arg) : -LINUX_ENOTTY;

	return ret == -LINUX_ENOTTY ? inet_if_ioctl(s->net, task_current(), cmd, arg) : ret;
}

static long sock_mmap(struct file *f, struct mappable **out)
{
	struct socket *s = f->priv;

	return s->ops->mmap ? s->ops->mmap(s, out) : -LINUX_ENODEV;
}

static void sock_release(struct file *f)
{
	struct socket *s = f->priv;

	atomic_store(&s->file, NULL);
	s->ops->release(s);
}

static const struct file_ops socket_file_ops = {
	.read = sock_read,
	.write = sock_write,
	.poll = sock_poll,
	.ioctl = sock_ioctl,
	.mmap = sock_mmap,
	.release = sock_release,
};

struct socket *socket_of(struct file *f)
{
	return f->ops == &socket_file_ops ? f->priv : NULL;
}

long socket_file(struct socket *s, uint32_t flags, const struct cred *c, struct file **out)
{
	uint32_t fl = LINUX_O_RDWR | (flags & LINUX_SOCK_NONBLOCK ? LINUX_O_NONBLOCK : 0);
	long ret = sockfs_file_new(&socket_file_ops, s, fl, c, out);

	if (ret < 0) {
		s->ops->release(s);
		return ret;
	}
	atomic_store(&s->file, *out);
	if (s->ops->filed)
		s->ops->filed(s, c);
	return 0;
}

/* ---- options ---------------------------------------------------------------------------------------- */

/* Options that are one bool in struct socket. */
static const struct sock_bool {
	int name;
	size_t off;
} sock_bools[] = {
	{ LINUX_SO_REUSEADDR, offsetof(struct socket, reuseaddr) },
	{ LINUX_SO_REUSEPORT, offsetof(struct socket, reuseport) },
	{ LINUX_SO_KEEPALIVE, offsetof(struct socket, keepalive) },
	{ LINUX_SO_BROADCAST, offsetof(struct socket, broadcast) },
	{ LINUX_SO_OOBINLINE, offsetof(struct socket, oobinline) },
	{ LINUX_SO_PASSCRED, offsetof(struct socket, passcred) },
	{ LINUX_SO_PASSPIDFD, offsetof(struct socket, passpidfd) },
	{ LINUX_SO_TIMESTAMP, offsetof(struct socket, timestamp) },
	{ LINUX_SO_TIMESTAMPNS, offsetof(struct socket, timestampns) },
	{ LINUX_SO_NO_CHECK, offsetof(struct socket, no_check) },
	{ LINUX_SO_DONTROUTE, offsetof(struct socket, dontroute) },
	{ LINUX_SO_RXQ_OVFL, offsetof(struct socket, rxq_ovfl) },
	{ LINUX_SO_ZEROCOPY, offsetof(struct socket, zerocopy) },
};

static bool *sock_bool_find(struct socket *s, int name)
{
	for (size_t i = 0; i < ARRAY_SIZE(sock_bools); i++)
		if (sock_bools[i].name == name)
			return (bool *)((char *)s + sock_bools[i].off);
	return NULL;
}

static long timeo_from_guest(const void *val, size_t len, uint64_t *out)
{
	struct linux_timeval tv;

	if (len < sizeof(tv))
		return -LINUX_EINVAL;
	memcpy(&tv, val, sizeof(tv));
	if (tv.usec < 0 || tv.usec >= 1000000)
		return -LINUX_EDOM;
	if (tv.sec < 0 || (uint64_t)tv.sec > INT64_MAX / NSEC_PER_SEC - 1)
		*out = tv.sec < 0 ? 1 : 0; /* negative: expires at once; beyond the clock: none */
	else
		*out = (uint64_t)tv.sec * NSEC_PER_SEC + (uint64_t)tv.usec * 1000;
	return 0;
}

static void set_bufsize(struct socket *s, int name, int v, bool force)
{
	int max = force ? INT32_MAX / 2 : BUF_MAX;
	bool snd = name == LINUX_SO_SNDBUF || name == LINUX_SO_SNDBUFFORCE;

	v = v < 0 || v > max ? max : v; /* a negative value is a huge unsigned one, socket(7) */
	if (snd)
		s->sndbuf = MAX(v * 2, BUF_MIN * 2);
	else
		s->rcvbuf = MAX(v * 2, BUF_RCV_MIN);
}

static long setopt_common(struct socket *s, struct task *t, int name, const void *val, size_t len, bool *handled)
{
	bool *b = sock_bool_find(s, name);
	int v = 0;

	*handled = true;
	if (len < sizeof(int) && name != LINUX_SO_BINDTODEVICE)
		return -LINUX_EINVAL;
	if (name == LINUX_SO_RCVTIMEO || name == LINUX_SO_RCVTIMEO_NEW)
		return timeo_from_guest(val, len, &s->rcvtimeo_ns);
	if (name == LINUX_SO_SNDTIMEO || name == LINUX_SO_SNDTIMEO_NEW)
		return timeo_from_guest(val, len, &s->sndtimeo_ns);
	if (name == LINUX_SO_LINGER) {
		if (len < sizeof(s->linger))
			return -LINUX_EINVAL;
		memcpy(&s->linger, val, sizeof(s->linger));
		return 0;
	}
	if (len >= sizeof(int))
		memcpy(&v, val, sizeof(int));
	if (b) {
		if (name == LINUX_SO_REUSEPORT && v && s->family != LINUX_AF_INET && s->family != LINUX_AF_INET6)
			return -LINUX_EOPNOTSUPP;
		*b = v != 0;
		return 0;
	}
	switch (name) {
	case LINUX_SO_SNDBUFFORCE:
	case LINUX_SO_RCVBUFFORCE:
		if (!cred_has_cap(t->cred, s->net->user_ns, LINUX_CAP_NET_ADMIN))
			return -LINUX_EPERM;
		/* fallthrough */
	case LINUX_SO_SNDBUF:
	case LINUX_SO_RCVBUF:
		if (len < sizeof(int))
			return -LINUX_EINVAL;
		set_bufsize(s, name, v, name == LINUX_SO_SNDBUFFORCE || name == LINUX_SO_RCVBUFFORCE);
		return 0;
	case LINUX_SO_RCVLOWAT:
		s->rcvlowat = v < 0 ? INT32_MAX : v ? v : 1;
		return 0;
	case LINUX_SO_PRIORITY:
		if ((v < 0 || v > 6) && !cred_has_cap(t->cred, s->net->user_ns, LINUX_CAP_NET_ADMIN))
			return -LINUX_EPERM;
		s->priority = v;
		return 0;
	case LINUX_SO_MARK:
		if (!cred_has_cap(t->cred, s->net->user_ns, LINUX_CAP_NET_ADMIN))
			return -LINUX_EPERM;
		s->mark = (uint32_t)v;
		return 0;
	case LINUX_SO_PEEK_OFF:
		if (s->family != LINUX_AF_UNIX)
			return -LINUX_EOPNOTSUPP;
		s->peek_off = v < 0 ? -1 : v;
		return 0;
	case LINUX_SO_TYPE:
	case LINUX_SO_PROTOCOL:
	case LINUX_SO_DOMAIN:
	case LINUX_SO_ERROR:
	case LINUX_SO_ACCEPTCONN:
		return -LINUX_ENOPROTOOPT;
	case LINUX_SO_DEBUG:
		return v && !cred_has_cap(t->cred, s->net->user_ns, LINUX_CAP_NET_ADMIN) ? -LINUX_EACCES : 0;
	case LINUX_SO_BUSY_POLL:
	case LINUX_SO_PASSSEC:
	case LINUX_SO_BSDCOMPAT: /* has no effect since Linux 2.2 */
		return 0;
	default:
		*handled = false;
		return 0;
	}
}

long socket_setopt(struct socket *s, struct task *t, int level, int name, const void *val, size_t len)
{
	bool handled = false;
	long ret = 0;

	if (level == LINUX_SOL_SOCKET) {
		mutex_lock(&s->mu);
		ret = setopt_common(s, t, name, val, len, &handled);
		mutex_unlock(&s->mu);
		if (handled) {
			if (!ret && s->ops->opt_changed)
				s->ops->opt_changed(s, name);
			return ret;
		}
	}
	if (s->ops->setsockopt)
		return s->ops->setsockopt(s, t, level, name, val, len);
	return level == LINUX_SOL_SOCKET ? -LINUX_ENOPROTOOPT : -LINUX_EOPNOTSUPP;
}

static long put_opt(void *val, size_t *len, const void *src, size_t n)
{
	n = MIN(n, *len);
	memcpy(val, src, n);
	*len = n;
	return 0;
}

static long getopt_common(struct socket *s, int name, void *val, size_t *len, bool *handled)
{
	struct linux_timeval tv;
	bool *b = sock_bool_find(s, name);
	uint64_t ns;
	int v;

	*handled = true;
	switch (name) {
	case LINUX_SO_RCVTIMEO:
	case LINUX_SO_RCVTIMEO_NEW:
	case LINUX_SO_SNDTIMEO:
	case LINUX_SO_SNDTIMEO_NEW:
		ns = name == LINUX_SO_RCVTIMEO || name == LINUX_SO_RCVTIMEO_NEW ? s->rcvtimeo_ns : s->sndtimeo_ns;
		tv.sec = (int64_t)(ns / NSEC_PER_SEC);
		tv.usec = (int64_t)(ns % NSEC_PER_SEC / 1000);
		return put_opt(val, len, &tv, sizeof(tv));
	case LINUX_SO_LINGER:
		return put_opt(val, len, &s->linger, sizeof(s->linger));
	case LINUX_SO_COOKIE:
		if (*len < sizeof(s->cookie))
			return -LINUX_EINVAL;
		return put_opt(val, len, &s->cookie, sizeof(s->cookie));
	case LINUX_SO_TYPE:
		v = s->type;
		break;
	case LINUX_SO_DOMAIN:
		v = s->family;
		break;
	case LINUX_SO_PROTOCOL:
		v = s->protocol;
		break;
	case LINUX_SO_ERROR:
		v = (int)-socket_take_error(s);
		break;
	case LINUX_SO_SNDBUF:
		v = s->sndbuf;
		break;
	case LINUX_SO_RCVBUF:
		v = s->rcvbuf;
		break;
	case LINUX_SO_RCVLOWAT:
		v = s->rcvlowat;
		break;
	case LINUX_SO_SNDLOWAT:
		v = 1;
		break;
	case LINUX_SO_PRIORITY:
		v = s->priority;
		break;
	case LINUX_SO_MARK:
		v = (int)s->mark;
		break;
	case LINUX_SO_PEEK_OFF:
		if (s->family != LINUX_AF_UNIX)
			return -LINUX_EOPNOTSUPP;
		v = s->peek_off;
		break;
	case LINUX_SO_DEBUG:
	case LINUX_SO_BUSY_POLL:
	case LINUX_SO_PASSSEC:
	case LINUX_SO_BSDCOMPAT:
	case LINUX_SO_INCOMING_NAPI_ID:
		v = 0;
		break;
	case LINUX_SO_BPF_EXTENSIONS: /* SKF_AD_MAX: how many ancillary loads there are */
		v = 64;
		break;
	default:
		if (!b) {
			*handled = false;
			return 0;
		}
		v = *b;
	}
	return put_opt(val, len, &v, sizeof(v));
}

long socket_getopt(struct socket *s, struct task *t, int level, int name, void *val, size_t *len)
{
	size_t room = *len;
	bool handled = false;
	long ret = 0;

	if (s->ops->stack_options) {
		ret = s->ops->getsockopt(s, t, level, name, val, len);
		if (ret != -LINUX_ENOPROTOOPT || level != LINUX_SOL_SOCKET)
			return ret;
		*len = room;
	}
	if (level == LINUX_SOL_SOCKET) {
		mutex_lock(&s->mu);
		ret = getopt_common(s, name, val, len, &handled);
		mutex_unlock(&s->mu);
		if (handled)
			return ret;
	}
	return s->ops->getsockopt ? s->ops->getsockopt(s, t, level, name, val, len) : -LINUX_ENOPROTOOPT;
}
