/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_net.c - socket calls: decode, copy, call the socket layer, encode
 *
 * Source:  socket(2), bind(2), connect(2), accept(2), send(2), recv(2), sendmmsg(2), recvmmsg(2), getsockopt(2), cmsg(3).
 */
#include <string.h>

#include "sentry/abi/inet.h"
#include "sentry/abi/wait.h"
#include "sentry/abi/time.h"
#include "sentry/socket/inet/inet_nf.h"
#include "sentry/socket/socket.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/pid.h"
#include "sentry/task/ns.h"

#define CTL_MAX	     20480	/* /proc/sys/net/core/optmem_max */
#define OPT_MAX	     65536	/* option values; iptables tables are larger and come by their own path */
#define MMSG_MAX     1024

/* One descriptor that must be a socket, for the length of a call. */
struct sockref {
	struct file *f;
	bool put;
	struct socket *s;
};

static long sock_get(struct task *t, int fd, struct sockref *r)
{
	r->f = fdget(t->fds, fd, &r->put);
	if (!r->f)
		return -LINUX_EBADF;
	r->s = socket_of(r->f);
	if (r->s)
		return 0;
	fdput(r->f, r->put);
	return -LINUX_ENOTSOCK;
}

static void sock_put(struct sockref *r)
{
	fdput(r->f, r->put);
}

static bool nonblock(const struct sockref *r)
{
	return atomic_load_explicit(&r->f->flags, memory_order_relaxed) & LINUX_O_NONBLOCK;
}

static long copyin_addr(struct task *t, struct sockaddr_buf *out, struct gptr p, int len)
{
	if (len < 0 || len > LINUX_SOCKADDR_MAX)
		return -LINUX_EINVAL;
	memset(out, 0, sizeof(*out));
	out->len = (uint32_t)len;
	return len ? copyin(t->u, out->b, p, (size_t)len) : 0;
}

/* *@plen says how much room there is and gets the true length. */
static long copyout_addr(struct task *t, const struct sockaddr_buf *a, struct gptr p, struct gptr plen)
{
	int32_t room, len = (int32_t)a->len;
	long ret = copyin_obj(t->u, &room, plen);

	if (ret)
		return ret;
	if (room < 0)
		return -LINUX_EINVAL;
	if (MIN(room, len)) {
		ret = copyout(t->u, p, a->b, (size_t)MIN(room, len));
		if (ret)
			return ret;
	}
	return copyout_obj(t->u, plen, &len);
}

/* ---- creation ------------------------------------------------------------------------------------------ */

static long install(struct task *t, struct file *f, int type)
{
	long fd = fdtable_install(t->fds, f, 0, type & LINUX_SOCK_CLOEXEC, task_rlimit(t, LINUX_RLIMIT_NOFILE));

	file_put(f);
	return fd;
}

static long check_family(int family, int type, const struct socket_family **out)
{
	if (type & ~(LINUX_SOCK_TYPE_MASK | LINUX_SOCK_NONBLOCK | LINUX_SOCK_CLOEXEC))
		return -LINUX_EINVAL;
	if (family < 0 || family >= LINUX_AF_MAX)
		return -LINUX_EAFNOSUPPORT;
	if ((type & LINUX_SOCK_TYPE_MASK) > LINUX_SOCK_PACKET)
		return -LINUX_EINVAL;
	*out = socket_family_find(family);
	return *out ? 0 : -LINUX_EAFNOSUPPORT;
}

SYSCALL_DEFINE3(socket, int, family, int, type, int, protocol)
{
	const struct socket_family *fam;
	struct socket *s;
	struct file *f;
	long ret = check_family(family, type, &fam);

	if (!ret)
		ret = fam->create(t, t->ns->net, type & LINUX_SOCK_TYPE_MASK, protocol, &s);
	if (!ret)
		ret = socket_file(s, (uint32_t)type, t->cred, &f);
	return ret ? ret : install(t, f, type);
}

SYSCALL_DEFINE4(socketpair, int, family, int, type, int, protocol, struct gptr, usv)
{
	const struct socket_family *fam;
	struct socket *a, *b;
	struct file *fa, *fb;
	int32_t fds[2];
	long ret = check_family(family, type, &fam);

	if (ret)
		return ret;
	if (!fam->socketpair) {
		/* Linux makes the sockets first: what is wrong with type or protocol is said before that pairs are not to be had. */
		ret = fam->create(t, t->ns->net, type & LINUX_SOCK_TYPE_MASK, protocol, &a);
		if (ret)
			return ret;
		a->ops->release(a);
		return -LINUX_EOPNOTSUPP;
	}
	ret = fam->socketpair(t, t->ns->net, type & LINUX_SOCK_TYPE_MASK, protocol, &a, &b);
	if (ret)
		return ret;
	ret = socket_file(a, (uint32_t)type, t->cred, &fa);
	if (ret) {
		b->ops->release(b);
		return ret;
	}
	ret = socket_file(b, (uint32_t)type, t->cred, &fb);
	if (ret) {
		file_put(fa);
		return ret;
	}
	ret = install(t, fa, type);
	if (ret < 0) {
		file_put(fb);
		return ret;
	}
	fds[0] = (int32_t)ret;
	ret = install(t, fb, type);
	if (ret < 0) {
		fdtable_close(t->fds, fds[0]);
		return ret;
	}
	fds[1] = (int32_t)ret;
	ret = copyout(t->u, usv, fds, sizeof(fds));
	if (ret) {
		fdtable_close(t->fds, fds[0]);
		fdtable_close(t->fds, fds[1]);
	}
	return ret;
}

/* ---- names and connections -------------------------------------------------------------------------------- */

SYSCALL_DEFINE3(bind, int, fd, struct gptr, uaddr, int, len)
{
	struct sockaddr_buf a;
	struct sockref r;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	ret = copyin_addr(t, &a, uaddr, len);
	if (!ret)
		ret = r.s->ops->bind ? r.s->ops->bind(r.s, t, &a) : -LINUX_EOPNOTSUPP;
	sock_put(&r);
	return ret;
}

SYSCALL_DEFINE3(connect, int, fd, struct gptr, uaddr, int, len)
{
	struct sockaddr_buf a;
	struct sockref r;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	ret = copyin_addr(t, &a, uaddr, len);
	if (!ret && (size_t)len < sizeof(uint16_t))
		ret = -LINUX_EINVAL;
	if (!ret)
		ret = r.s->ops->connect ? r.s->ops->connect(r.s, t, &a, nonblock(&r)) : -LINUX_EOPNOTSUPP;
	sock_put(&r);
	return ret;
}

SYSCALL_DEFINE2(listen, int, fd, int, backlog)
{
	struct sockref r;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	ret = r.s->ops->listen ? r.s->ops->listen(r.s, backlog) : -LINUX_EOPNOTSUPP;
	sock_put(&r);
	return ret;
}

static long accept_common(struct task *t, int fd, struct gptr uaddr, struct gptr ulen, int flags)
{
	struct sockaddr_buf a;
	struct socket *ns;
	struct sockref r;
	struct file *f;
	long ret, nfd;

	if (flags & ~(LINUX_SOCK_NONBLOCK | LINUX_SOCK_CLOEXEC))
		return -LINUX_EINVAL;
	ret = sock_get(t, fd, &r);
	if (ret)
		return ret;
	ret = r.s->ops->accept ? r.s->ops->accept(r.s, nonblock(&r), &ns) : -LINUX_EOPNOTSUPP;
	sock_put(&r);
	if (ret)
		return ret;
	ret = socket_file(ns, (uint32_t)flags, t->cred, &f);
	if (ret)
		return ret;
	if (uaddr.v) {
		ret = ns->ops->getname(ns, true, &a);
		if (ret == -LINUX_ENOTCONN) { /* gone already: accept(2) still succeeds with an empty name */
			memset(&a, 0, sizeof(a));
			a.family = (uint16_t)ns->family;
			a.len = sizeof(uint16_t);
			ret = 0;
		}
		if (!ret)
			ret = copyout_addr(t, &a, uaddr, ulen);
		if (ret) {
			file_put(f);
			return ret;
		}
	}
	nfd = install(t, f, flags);
	return nfd;
}

SYSCALL_DEFINE3(accept, int, fd, struct gptr, uaddr, struct gptr, ulen)
{
	return accept_common(t, fd, uaddr, ulen, 0);
}

SYSCALL_DEFINE4(accept4, int, fd, struct gptr, uaddr, struct gptr, ulen, int, flags)
{
	return accept_common(t, fd, uaddr, ulen, flags);
}

static long getname_common(struct task *t, int fd, struct gptr uaddr, struct gptr ulen, bool peer)
{
	struct sockaddr_buf a;
	struct sockref r;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	ret = r.s->ops->getname ? r.s->ops->getname(r.s, peer, &a) : -LINUX_EOPNOTSUPP;
	sock_put(&r);
	return ret ? ret : copyout_addr(t, &a, uaddr, ulen);
}

SYSCALL_DEFINE3(getsockname, int, fd, struct gptr, uaddr, struct gptr, ulen)
{
	return getname_common(t, fd, uaddr, ulen, false);
}

SYSCALL_DEFINE3(getpeername, int, fd, struct gptr, uaddr, struct gptr, ulen)
{
	return getname_common(t, fd, uaddr, ulen, true);
}

SYSCALL_DEFINE2(shutdown, int, fd, int, how)
{
	struct sockref r;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	if (how < LINUX_SHUT_RD || how > LINUX_SHUT_RDWR)
		ret = -LINUX_EINVAL;
	else
		ret = r.s->ops->shutdown ? r.s->ops->shutdown(r.s, how) : -LINUX_EOPNOTSUPP;
	sock_put(&r);
	return ret;
}

/* ---- options -------------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE5(setsockopt, int, fd, int, level, int, name, struct gptr, uval, int, len)
{
	uint8_t small[128], *val = small;
	struct sockref r;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	if (len >= 0 && inet_nf_option(r.s, level, name)) {
		ret = inet_nf_set(r.s, t, name, uval, (size_t)len);
		sock_put(&r);
		return ret;
	}
	if (len < 0 || len > OPT_MAX)
		ret = -LINUX_EINVAL;
	else if ((size_t)len > sizeof(small) && !(val = malloc((size_t)len)))
		ret = -LINUX_ENOMEM;
	if (!ret && len)
		ret = copyin(t->u, val, uval, (size_t)len);
	if (!ret)
		ret = socket_setopt(r.s, t, level, name, val, (size_t)len);
	if (val != small)
		free(val);
	sock_put(&r);
	return ret;
}

SYSCALL_DEFINE5(getsockopt, int, fd, int, level, int, name, struct gptr, uval, struct gptr, ulen)
{
	uint8_t small[256], *val = small;
	struct sockref r;
	int32_t len;
	size_t n;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	ret = copyin_obj(t->u, &len, ulen);
	if (!ret && len < 0)
		ret = -LINUX_EINVAL;
	if (!ret && inet_nf_option(r.s, level, name)) {
		n = (size_t)len;
		ret = inet_nf_get(r.s, t, name, uval, &n);
		len = (int32_t)n;
		if (!ret)
			ret = copyout_obj(t->u, ulen, &len);
		sock_put(&r);
		return ret;
	}
	n = ret ? 0 : (size_t)MIN(len, OPT_MAX);
	if (n > sizeof(small) && !(val = calloc(1, n)))
		ret = -LINUX_ENOMEM;
	if (!ret && n && level == LINUX_SOL_PACKET) /* what PACKET_HDRLEN is asked for stands in the value */
		ret = copyin(t->u, val, uval, n);
	if (!ret)
		ret = socket_getopt(r.s, t, level, name, val, &n);
	if (!ret && n)
		ret = copyout(t->u, uval, val, n);
	if (!ret || ret == -LINUX_ERANGE) {
		long r2;

		len = (int32_t)n;
		r2 = copyout_obj(t->u, ulen, &len);
		ret = ret ? ret : r2;
	}
	if (val != small)
		free(val);
	sock_put(&r);
	return ret;
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static long take_rights(struct task *t, struct sock_msg *m, const uint8_t *data, size_t len)
{
	uint32_t n = (uint32_t)(len / sizeof(int32_t));
	struct file **files;

	if (len % sizeof(int32_t) || m->scm.nr_files + n > SCM_MAX_FD)
		return -LINUX_EINVAL;
	files = realloc(m->scm.files, (m->scm.nr_files + n) * sizeof(*files));
	if (!files && n)
		return -LINUX_ENOMEM;
	m->scm.files = files;
	for (uint32_t i = 0; i < n; i++) {
		struct file *f;
		int32_t fd;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		f = fdtable_file(t->fds, fd, true);
		if (!f)
			return -LINUX_EBADF;
		m->scm.files[m->scm.nr_files++] = f;
	}
	return 0;
}

/* Who a task may claim to be: unix(7), SCM_CREDENTIALS. */
static long take_creds(struct task *t, struct sock_msg *m, const uint8_t *data, size_t len)
{
	const struct cred *c = t->cred;
	struct linux_ucred uc;
	uint32_t uid, gid;
	struct pid *pid;

	if (len != sizeof(uc))
		return -LINUX_EINVAL;
	memcpy(&uc, data, sizeof(uc));
	uid = id_to_kernel(c->user_ns, false, uc.uid);
	gid = id_to_kernel(c->user_ns, true, uc.gid);
	if (uid == ID_INVALID || gid == ID_INVALID)
		return -LINUX_EINVAL;
	pid = pid_find(task_pid_ns(t), (uint32_t)uc.pid);
	if (!pid)
		return -LINUX_ESRCH;
	if ((pid != t->group->leader->pid && !cred_has_cap(c, c->user_ns, LINUX_CAP_SYS_ADMIN)) ||
	    (uid != c->uid && uid != c->euid && uid != c->suid && !cred_has_cap(c, c->user_ns, LINUX_CAP_SETUID)) ||
	    (gid != c->gid && gid != c->egid && gid != c->sgid && !cred_has_cap(c, c->user_ns, LINUX_CAP_SETGID))) {
		pid_put(pid);
		return -LINUX_EPERM;
	}
	if (m->scm.pid)
		pid_put(m->scm.pid);
	m->scm.has_cred = true;
	m->scm.pid = pid;
	m->scm.uid = uid;
	m->scm.gid = gid;
	return 0;
}

/* Splits the guest's control buffer (already copied): unix's messages are taken out, others stay in m->ctl. */
static long parse_control(struct task *t, struct sock_msg *m, uint8_t *ctl, size_t len, int family)
{
	size_t at = 0, keep = 0;

	while (len - at >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;
		size_t dlen, step;
		long ret = 0;

		memcpy(&h, ctl + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > len - at)
			return -LINUX_EINVAL;
		dlen = h.len - sizeof(h);
		step = MIN((size_t)LINUX_CMSG_ALIGN(h.len), len - at);
		if (h.level == LINUX_SOL_SOCKET && h.type == LINUX_SCM_RIGHTS && family == LINUX_AF_UNIX) {
			ret = take_rights(t, m, ctl + at + sizeof(h), dlen);
		} else if (h.level == LINUX_SOL_SOCKET && h.type == LINUX_SCM_CREDENTIALS && family == LINUX_AF_UNIX) {
			ret = take_creds(t, m, ctl + at + sizeof(h), dlen);
		} else if (family == LINUX_AF_UNIX && h.level == LINUX_SOL_SOCKET) {
			ret = -LINUX_EINVAL;
		} else {
			memmove(ctl + keep, ctl + at, step);
			keep += step;
		}
		if (ret)
			return ret;
		at += step;
	}
	m->ctl = ctl;
	m->ctl_len = keep;
	return 0;
}

static long send_with(struct task *t, struct sockref *r, struct sock_msg *m)
{
	if (nonblock(r))
		m->flags |= LINUX_MSG_DONTWAIT;
	return r->s->ops->sendmsg ? r->s->ops->sendmsg(r->s, t, m) : -LINUX_EOPNOTSUPP;
}

static long sendmsg_on(struct task *t, struct sockref *r, const struct linux_msghdr *h, uint32_t flags)
{
	struct sock_msg m = { .flags = flags };
	uint8_t *ctl = NULL;
	struct uio io;
	long ret;

	if (h->iovlen > UIO_MAXIOV)
		return -LINUX_EMSGSIZE;
	if (h->controllen > CTL_MAX)
		return -LINUX_ENOBUFS;
	ret = uio_init_iov(&io, t->u, GPTR(h->iov), h->iovlen);
	if (ret < 0)
		return ret;
	m.io = &io;
	ret = 0;
	if (h->name && h->namelen)
		ret = copyin_addr(t, &m.name, GPTR(h->name), h->namelen);
	if (!ret && h->control && h->controllen) {
		ctl = malloc(h->controllen);
		ret = ctl ? copyin(t->u, ctl, GPTR(h->control), h->controllen) : -LINUX_ENOMEM;
		if (!ret)
			ret = parse_control(t, &m, ctl, h->controllen, r->s->family);
	}
	if (!ret)
		ret = send_with(t, r, &m);
	scm_fini(&m.scm);
	free(ctl);
	uio_fini(&io);
	return ret;
}

SYSCALL_DEFINE6(sendto, int, fd, struct gptr, buf, uint64_t, len, uint32_t, flags, struct gptr, uaddr, int, alen)
{
	struct sock_msg m = { .flags = flags };
	struct sockref r;
	struct uio io;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	uio_init_user(&io, t->u, buf, len);
	m.io = &io;
	if (uaddr.v)
		ret = copyin_addr(t, &m.name, uaddr, alen);
	if (!ret)
		ret = send_with(t, &r, &m);
	sock_put(&r);
	return ret;
}

SYSCALL_DEFINE3(sendmsg, int, fd, struct gptr, umsg, uint32_t, flags)
{
	struct linux_msghdr h;
	struct sockref r;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	ret = copyin_obj(t->u, &h, umsg);
	if (!ret)
		ret = sendmsg_on(t, &r, &h, flags);
	sock_put(&r);
	return ret;
}

SYSCALL_DEFINE4(sendmmsg, int, fd, struct gptr, uvec, uint32_t, n, uint32_t, flags)
{
	struct sockref r;
	uint32_t i;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	n = MIN(n, (uint32_t)MMSG_MAX);
	for (i = 0; i < n; i++) {
		struct gptr at = GPTR(uvec.v + i * sizeof(struct linux_mmsghdr));
		struct linux_mmsghdr mm;

		ret = copyin_obj(t->u, &mm, at);
		if (!ret)
			ret = sendmsg_on(t, &r, &mm.hdr, flags);
		if (ret < 0)
			break;
		mm.len = (uint32_t)ret;
		ret = copyout(t->u, GPTR(at.v + offsetof(struct linux_mmsghdr, len)), &mm.len, sizeof(mm.len));
		if (ret)
			break;
	}
	sock_put(&r);
	return i ? (long)i : ret;
}

/* ---- receiving ------------------------------------------------------------------------------------------------------ */

static long recv_with(struct task *t, struct sockref *r, struct sock_msg *m)
{
	if (nonblock(r))
		m->flags |= LINUX_MSG_DONTWAIT;
	return r->s->ops->recvmsg ? r->s->ops->recvmsg(r->s, t, m) : -LINUX_EOPNOTSUPP;
}

SYSCALL_DEFINE6(recvfrom, int, fd, struct gptr, buf, uint64_t, len, uint32_t, flags, struct gptr, uaddr, struct gptr, ulen)
{
	struct sock_msg m = { .flags = flags };
	struct sockref r;
	struct uio io;
	long ret = sock_get(t, fd, &r), ret2;

	if (ret)
		return ret;
	uio_init_user(&io, t->u, buf, len);
	m.io = &io;
	ret = recv_with(t, &r, &m);
	scm_fini(&m.scm);
	sock_put(&r);
	if (ret >= 0 && uaddr.v) {
		ret2 = copyout_addr(t, &m.name, uaddr, ulen);
		if (ret2)
			return ret2;
	}
	return ret;
}

/* Installs what came with the message; those that do not fit are dropped with MSG_CTRUNC. */
static void give_rights(struct task *t, struct sock_msg *m, size_t room)
{
	size_t hdr = sizeof(struct linux_cmsghdr), fit = room > hdr ? (room - hdr) / sizeof(int32_t) : 0;
	int32_t fds[SCM_MAX_FD];
	uint32_t n = 0;

	for (; n < m->scm.nr_files && n < fit; n++) {
		long fd = fdtable_install(t->fds, m->scm.files[n], 0, m->flags & LINUX_MSG_CMSG_CLOEXEC,
					  task_rlimit(t, LINUX_RLIMIT_NOFILE));

		if (fd < 0)
			break;
		fds[n] = (int32_t)fd;
	}
	if (n < m->scm.nr_files)
		m->out_flags |= LINUX_MSG_CTRUNC;
	if (n)
		sock_put_cmsg(m, LINUX_SOL_SOCKET, LINUX_SCM_RIGHTS, fds, n * sizeof(fds[0]));
}

static void give_scm(struct task *t, struct sock_msg *m, bool passcred)
{
	if (m->scm.has_cred && passcred) {
		struct linux_ucred uc = {
			.pid = m->scm.pid ? (int32_t)pid_nr(m->scm.pid, task_pid_ns(t)) : 0,
			.uid = id_from_kernel_munged(t->cred->user_ns, false, m->scm.uid),
			.gid = id_from_kernel_munged(t->cred->user_ns, true, m->scm.gid),
		};

		sock_put_cmsg(m, LINUX_SOL_SOCKET, LINUX_SCM_CREDENTIALS, &uc, sizeof(uc));
	}
	if (m->scm.nr_files)
		give_rights(t, m, m->ctl_cap - MIN((size_t)LINUX_CMSG_ALIGN(m->ctl_len), m->ctl_cap));
}

static long recvmsg_out(struct task *t, struct sock_msg *m, struct linux_msghdr *h, struct gptr umsg, bool passcred)
{
	long ret = 0;

	give_scm(t, m, passcred);
	if (h->name) {
		int32_t n = MIN(MAX(h->namelen, 0), (int32_t)m->name.len);

		if (n)
			ret = copyout(t->u, GPTR(h->name), m->name.b, (size_t)n);
		h->namelen = (int32_t)m->name.len;
		if (!ret)
			ret = copyout(t->u, GPTR(umsg.v + offsetof(struct linux_msghdr, namelen)), &h->namelen, sizeof(h->namelen));
	}
	if (!ret && m->ctl_len)
		ret = copyout(t->u, GPTR(h->control), m->ctl, m->ctl_len);
	h->controllen = m->ctl_len;
	h->flags = m->out_flags | (m->flags & LINUX_MSG_CMSG_CLOEXEC);
	if (!ret)
		ret = copyout(t->u, GPTR(umsg.v + offsetof(struct linux_msghdr, controllen)), &h->controllen,
			      sizeof(h->controllen) + sizeof(h->flags));
	return ret;
}

static long recvmsg_on(struct task *t, struct sockref *r, struct gptr umsg, uint32_t flags)
{
	struct sock_msg m = { .flags = flags };
	struct linux_msghdr h;
	struct uio io;
	long ret = copyin_obj(t->u, &h, umsg), ret2;

	if (ret)
		return ret;
	if (h.namelen < 0)
		return -LINUX_EINVAL;
	if (h.iovlen > UIO_MAXIOV)
		return -LINUX_EMSGSIZE;
	ret = uio_init_iov(&io, t->u, GPTR(h.iov), h.iovlen);
	if (ret < 0)
		return ret;
	m.io = &io;
	m.ctl_cap = h.control ? MIN(h.controllen, (uint64_t)CTL_MAX) : 0;
	if (m.ctl_cap && !(m.ctl = malloc(m.ctl_cap)))
		ret = -LINUX_ENOMEM;
	else
		ret = recv_with(t, r, &m);
	if (ret >= 0) {
		ret2 = recvmsg_out(t, &m, &h, umsg, r->s->passcred);
		if (ret2)
			ret = ret2;
	}
	scm_fini(&m.scm);
	free(m.ctl);
	uio_fini(&io);
	return ret;
}

SYSCALL_DEFINE3(recvmsg, int, fd, struct gptr, umsg, uint32_t, flags)
{
	struct sockref r;
	long ret = sock_get(t, fd, &r);

	if (ret)
		return ret;
	ret = recvmsg_on(t, &r, umsg, flags);
	sock_put(&r);
	return ret;
}

SYSCALL_DEFINE5(recvmmsg, int, fd, struct gptr, uvec, uint32_t, n, uint32_t, flags, struct gptr, utimeout)
{
	struct linux_timespec ts;
	uint64_t deadline = NO_DEADLINE;
	struct sockref r;
	uint32_t i;
	long ret = 0;

	if (utimeout.v) {
		ret = copyin_obj(t->u, &ts, utimeout);
		if (ret)
			return ret;
		if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (int64_t)NSEC_PER_SEC)
			return -LINUX_EINVAL;
		deadline = now_ns() + (uint64_t)MIN(ts.sec, (int64_t)1 << 32) * NSEC_PER_SEC + (uint64_t)ts.nsec;
	}
	ret = sock_get(t, fd, &r);
	if (ret)
		return ret;
	n = MIN(n, (uint32_t)MMSG_MAX);
	for (i = 0; i < n; i++) {
		struct gptr at = GPTR(uvec.v + i * sizeof(struct linux_mmsghdr));
		uint32_t len;

		ret = recvmsg_on(t, &r, at, flags & ~LINUX_MSG_WAITFORONE);
		if (ret < 0)
			break;
		len = (uint32_t)ret;
		ret = copyout(t->u, GPTR(at.v + offsetof(struct linux_mmsghdr, len)), &len, sizeof(len));
		if (ret)
			break;
		if (flags & LINUX_MSG_WAITFORONE)
			flags |= LINUX_MSG_DONTWAIT;
		if (deadline != NO_DEADLINE && now_ns() >= deadline) {
			i++;
			break;
		}
	}
	sock_put(&r);
	return i ? (long)i : ret;
}
