/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/tun.c - /dev/net/tun: the file side of tun and tap links
 *
 * Model:   a file belongs to the network namespace of who opened it, and gets its link by TUNSETIFF: a new one, or one that an
 *          earlier file left behind by TUNSETPERSIST. It goes with the file unless it is persistent.
 * Locks:   tun_file.lock (sleeplock): attaching; the link's own below.
 * Source:  Linux's Documentation/networking/tuntap, linux/if_tun.h.
 * Differs: one queue (IFF_MULTI_QUEUE is refused); no filters; offloads are accepted by TUNSETOFFLOAD when they are none.
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/abi/ioctl.h"
#include "sentry/abi/netdevice.h"
#include "sentry/socket/inet/inet.h"
#include "sentry/socket/netlink/rtnl.h"

#define TUN_MAJOR 10
#define TUN_MINOR 200

#define IFF_TUN		0x0001
#define IFF_TAP		0x0002
#define IFF_NAPI	0x0010
#define IFF_PERSIST	0x0800
#define IFF_NO_PI	0x1000
#define IFF_ONE_QUEUE	0x2000
#define IFF_VNET_HDR	0x4000
#define IFF_TUN_EXCL	0x8000
#define VNET_HDR_LEN	10

struct tun_file {
	struct net_ns_ref *net;		/* reference */
	struct net_tun *tun;		/* lock; NULL before TUNSETIFF */
	char name[NET_IFNAMSIZ];
	uint16_t flags;			/* IFF_* as asked for */
	bool persist;
	struct sleeplock lock;
	struct waitq wq;
};

static void on_event(void *ctx, uint32_t events)
{
	waitq_wake(&((struct tun_file *)ctx)->wq, events, UINT32_MAX);
}

static long tun_open(struct inode *i, struct file *f)
{
	struct tun_file *tf = calloc(1, sizeof(*tf));

	if (!tf)
		return -LINUX_ENOMEM;
	tf->net = net_ns_ref_get(task_current()->ns->net);
	sleeplock_init(&tf->lock);
	waitq_init(&tf->wq);
	f->priv = tf;
	f->fmode |= FMODE_STREAM;
	return 0;
}

static void tun_release(struct file *f)
{
	struct tun_file *tf = f->priv;

	if (tf->tun)
		net_tun_close(tf->tun, tf->persist);
	net_ns_ref_put(tf->net);
	free(tf);
}

static long tun_wait(struct tun_file *tf, struct file *f, uint32_t rwf, uint32_t events)
{
	if ((atomic_load_explicit(&f->flags, memory_order_relaxed) & LINUX_O_NONBLOCK) || (rwf & LINUX_RWF_NOWAIT))
		return -LINUX_EAGAIN;
	return wait_event(&tf->wq, net_tun_poll(tf->tun) & (events | NET_TUN_EV_HUP), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
}

static long tun_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct tun_file *tf = f->priv;
	struct uio_iter ui;
	long ret;

	if (!tf->tun)
		return -LINUX_EBADFD;
	for (;;) {
		uio_iter_init(&ui, io, false);
		ret = net_tun_read(tf->tun, &ui.it);
		if (ret != -LINUX_EAGAIN)
			return ret;
		ret = tun_wait(tf, f, rwf, NET_TUN_EV_IN);
		if (ret)
			return ret;
	}
}

static long tun_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct tun_file *tf = f->priv;
	struct uio_iter ui;

	if (!tf->tun)
		return -LINUX_EBADFD;
	uio_iter_init(&ui, io, true);
	return net_tun_write(tf->tun, &ui.it);
}

static uint32_t tun_poll(struct file *f, struct poll_table *pt)
{
	struct tun_file *tf = f->priv;
	uint32_t m;

	poll_wait(pt, &tf->wq);
	if (!tf->tun)
		return NET_POLLERR;
	m = net_tun_poll(tf->tun);
	return (m & NET_TUN_EV_IN ? NET_POLLIN | NET_POLLRDNORM : 0) | (m & NET_TUN_EV_OUT ? NET_POLLOUT | NET_POLLWRNORM : 0) |
	       (m & NET_TUN_EV_HUP ? NET_POLLERR | NET_POLLHUP : 0);
}

/* ---- requests ----------------------------------------------------------------------------------------------------------- */

static long attach_locked(struct tun_file *tf, struct linux_ifreq *r)
{
	uint16_t fl = (uint16_t)r->flags;
	unsigned flags = (fl & IFF_TAP ? NET_TUN_TAP : 0) | (fl & IFF_NO_PI ? 0 : NET_TUN_PI) | (fl & IFF_VNET_HDR ? NET_TUN_VNET : 0);
	struct net_link_param p = { .name = r->name[0] ? r->name : NULL };
	struct net_link *l;
	int ret;

	if (tf->tun)
		return -LINUX_EEXIST;
	if ((fl & (IFF_TUN | IFF_TAP)) != IFF_TUN && (fl & (IFF_TUN | IFF_TAP)) != IFF_TAP)
		return -LINUX_EINVAL;
	if (fl & ~(IFF_TUN | IFF_TAP | IFF_NAPI | IFF_NO_PI | IFF_ONE_QUEUE | IFF_VNET_HDR | IFF_TUN_EXCL))
		return -LINUX_EINVAL;
	l = p.name ? net_link_by_name(tf->net->stack, p.name) : NULL;
	if (l) { /* one that waits for a file, or somebody else's */
		ret = fl & IFF_TUN_EXCL ? -LINUX_EBUSY : net_tun_attach(l, flags, &tf->tun);
		tf->persist = !ret;
		if (!ret)
			memcpy(tf->name, l->name, sizeof(tf->name));
		net_link_put(l);
	} else {
		ret = net_link_new_tun(tf->net->stack, &p, flags, &l, &tf->tun);
		if (!ret)
			memcpy(tf->name, l->name, sizeof(tf->name));
	}
	if (ret)
		return ret;
	tf->flags = fl & (uint16_t)~IFF_TUN_EXCL;
	net_tun_set_event(tf->tun, on_event, tf);
	memcpy(r->name, tf->name, sizeof(r->name));
	return 0;
}

static long set_iff(struct tun_file *tf, struct task *t, uint64_t arg)
{
	struct linux_ifreq r;
	long ret = copyin_obj(t->u, &r, GPTR(arg));

	if (ret)
		return ret;
	if (!cred_has_cap(t->cred, tf->net->user_ns, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	r.name[sizeof(r.name) - 1] = '\0';
	ret = sleep_lock_killable(&netlink_cfg);
	if (ret)
		return ret;
	ret = attach_locked(tf, &r);
	sleep_unlock(&netlink_cfg);
	return ret ? ret : copyout_obj(t->u, GPTR(arg), &r);
}

static long put_u32(struct task *t, uint64_t arg, uint32_t v)
{
	return copyout_obj(t->u, GPTR(arg), &v);
}

static long get_iff(struct tun_file *tf, struct task *t, uint64_t arg)
{
	struct linux_ifreq r = { .flags = (int16_t)(tf->flags | (tf->persist ? IFF_PERSIST : 0)) };

	memcpy(r.name, tf->name, sizeof(r.name));
	return copyout_obj(t->u, GPTR(arg), &r);
}

static long tun_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct tun_file *tf = f->priv;
	struct task *t = task_current();
	uint32_t v = 0;
	long ret;

	if (cmd == LINUX_TUNSETIFF)
		return set_iff(tf, t, arg);
	if (cmd == LINUX_TUNGETFEATURES)
		return put_u32(t, arg, IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_ONE_QUEUE | IFF_VNET_HDR);
	if (!tf->tun)
		return -LINUX_EBADFD;
	switch (cmd) {
	case LINUX_TUNGETIFF:
		return get_iff(tf, t, arg);
	case LINUX_TUNSETPERSIST:
		tf->persist = arg != 0;
		return 0;
	case LINUX_TUNSETOWNER:
	case LINUX_TUNSETGROUP: /* who else may attach: those with CAP_NET_ADMIN, as before */
	case LINUX_TUNSETNOCSUM:
	case LINUX_TUNSETDEBUG:
		return 0;
	case LINUX_TUNSETOFFLOAD:
		return arg & ~0x3full ? -LINUX_EINVAL : 0; /* permission for us to leave work to the reader, which we do not use */
	case LINUX_TUNGETSNDBUF:
		return put_u32(t, arg, INT32_MAX);
	case LINUX_TUNGETVNETHDRSZ:
		return put_u32(t, arg, VNET_HDR_LEN);
	case LINUX_TUNSETSNDBUF:
	case LINUX_TUNSETVNETHDRSZ:
		ret = copyin_obj(t->u, &v, GPTR(arg));
		if (ret)
			return ret;
		return cmd == LINUX_TUNSETVNETHDRSZ ? (v == VNET_HDR_LEN ? 0 : -LINUX_EINVAL) : (int32_t)v <= 0 ? -LINUX_EINVAL : 0;
	}
	return inet_if_ioctl(tf->net, t, cmd, arg);
}

static const struct file_ops tun_fops = {
	.open = tun_open,
	.release = tun_release,
	.read = tun_read,
	.write = tun_write,
	.poll = tun_poll,
	.ioctl = tun_ioctl,
};

long tun_init(void)
{
	return chrdev_register(TUN_MAJOR, TUN_MINOR, &tun_fops);
}
