/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/sys/net.c - /sys/class/net and /sys/devices/virtual/net: the links of the reader's network namespace
 *
 * Model:   names come and go with the links, so these directories are asked again at each walk. What an inode is stands in its rdev:
 *          kind, row and the link's index; a file looks its link up when it is read.
 * Source:  the kernel's Documentation/ABI/testing/sysfs-class-net and sysfs-class-net-statistics.
 * Differs: the reader's namespace, not that of who mounted; nothing can be written; no queues, power or subsystem entries.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/sys/sysfs_internal.h"
#include "sentry/net/sock.h"
#include "sentry/socket/socket.h"
#include "sentry/task/task.h"

enum kind { CLASS, DEVICES, LINK, STATISTICS, ATTRIBUTE, COUNTER };

static uint64_t what(enum kind kind, unsigned row, uint32_t index)
{
	return (uint64_t)kind | (uint64_t)row << 8 | (uint64_t)index << 32;
}
static enum kind kind_of(const struct inode *i)
{
	return (enum kind)(i->rdev & 0xff);
}
static unsigned row_of(const struct inode *i)
{
	return (unsigned)(i->rdev >> 8 & 0xff);
}
static uint32_t index_of(const struct inode *i)
{
	return (uint32_t)(i->rdev >> 32);
}

/* NULL: nobody's, at boot (a mount or masked path of the configuration that leads here). */
static struct net_ns *reader_ns(void)
{
	struct task *t = task_current();

	return t ? t->ns->net->stack : NULL;
}

/* ---- content ---- */

static void put_mac(struct buf *out, const struct net_link *l, const uint8_t *mac)
{
	for (unsigned k = 0; k < 6; k++)
		buf_printf(out, "%02x%s", l->hwlen ? mac[k] : 0, k < 5 ? ":" : "\n");
}

static long show_address(const struct net_link *l, struct buf *out)
{
	put_mac(out, l, l->mac);
	return 0;
}
static long show_broadcast(const struct net_link *l, struct buf *out)
{
	put_mac(out, l, l->bcast);
	return 0;
}
static long show_addr_len(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "%u\n", l->hwlen ? l->hwlen : 6u);
	return 0;
}
static long show_carrier(const struct net_link *l, struct buf *out)
{
	if (!net_link_up(l))
		return -LINUX_EINVAL;
	buf_printf(out, "%d\n", !l->no_carrier);
	return 0;
}
static long show_flags(const struct net_link *l, struct buf *out)
{
	/* of netdevice(7)'s flags those that an administrator sets */
	buf_printf(out, "0x%x\n", net_link_shown_flags(l) & 0xffff & ~(uint32_t)NET_IFF_RUNNING);
	return 0;
}
static long show_ifindex(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "%u\n", l->index);
	return 0;
}
static long show_iflink(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "%u\n", l->peer_index ? l->peer_index : l->index);
	return 0;
}
static long show_mtu(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "%u\n", l->mtu);
	return 0;
}
static long show_operstate(const struct net_link *l, struct buf *out)
{
	if (!net_link_up(l))
		buf_printf(out, "down\n");
	else if (l->no_carrier)
		buf_printf(out, "lowerlayerdown\n");
	else
		buf_printf(out, l->flags & NET_IFF_LOOPBACK ? "unknown\n" : "up\n");
	return 0;
}
static long show_type(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "%u\n", l->hwtype);
	return 0;
}
static long show_txqlen(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "%u\n", l->txqlen);
	return 0;
}
static long show_alias(const struct net_link *l, struct buf *out)
{
	buf_printf(out, l->alias[0] ? "%s\n" : "", l->alias);
	return 0;
}
static long show_uevent(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "INTERFACE=%s\nIFINDEX=%u\n", l->name, l->index);
	return 0;
}
/* As a veth says, which is what pods have. */
static long show_speed(const struct net_link *l, struct buf *out)
{
	if (!net_link_up(l) || l->flags & NET_IFF_LOOPBACK)
		return -LINUX_EINVAL;
	buf_printf(out, "10000\n");
	return 0;
}
static long show_duplex(const struct net_link *l, struct buf *out)
{
	if (!net_link_up(l) || l->flags & NET_IFF_LOOPBACK)
		return -LINUX_EINVAL;
	buf_printf(out, "full\n");
	return 0;
}
static long show_zero(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "0\n");
	return 0;
}
static long show_zero_hex(const struct net_link *l, struct buf *out)
{
	buf_printf(out, "0x0\n");
	return 0;
}

static const struct attribute {
	const char *name;
	long (*show)(const struct net_link *l, struct buf *out);
} attributes[] = {
	{ "addr_assign_type", show_zero }, { "addr_len", show_addr_len }, { "address", show_address }, { "broadcast", show_broadcast },
	{ "carrier", show_carrier }, { "dev_id", show_zero_hex }, { "dev_port", show_zero }, { "dormant", show_zero },
	{ "duplex", show_duplex }, { "flags", show_flags }, { "ifalias", show_alias }, { "ifindex", show_ifindex },
	{ "iflink", show_iflink }, { "link_mode", show_zero }, { "mtu", show_mtu }, { "operstate", show_operstate },
	{ "speed", show_speed }, { "tx_queue_len", show_txqlen }, { "type", show_type }, { "uevent", show_uevent },
};

#define NOT_COUNTED UINT16_MAX
#define C(f) offsetof(struct net_link_stats, f)
static const struct counter {
	const char *name;
	uint16_t off;
} counters[] = {
	{ "collisions", NOT_COUNTED }, { "multicast", C(multicast) }, { "rx_bytes", C(rx_bytes) }, { "rx_compressed", NOT_COUNTED },
	{ "rx_crc_errors", NOT_COUNTED }, { "rx_dropped", C(rx_dropped) }, { "rx_errors", C(rx_errors) },
	{ "rx_fifo_errors", NOT_COUNTED }, { "rx_frame_errors", NOT_COUNTED }, { "rx_length_errors", NOT_COUNTED },
	{ "rx_missed_errors", NOT_COUNTED }, { "rx_nohandler", NOT_COUNTED }, { "rx_over_errors", NOT_COUNTED },
	{ "rx_packets", C(rx_packets) }, { "tx_aborted_errors", NOT_COUNTED }, { "tx_bytes", C(tx_bytes) },
	{ "tx_carrier_errors", NOT_COUNTED }, { "tx_compressed", NOT_COUNTED }, { "tx_dropped", C(tx_dropped) },
	{ "tx_errors", C(tx_errors) }, { "tx_fifo_errors", NOT_COUNTED }, { "tx_heartbeat_errors", NOT_COUNTED },
	{ "tx_packets", C(tx_packets) }, { "tx_window_errors", NOT_COUNTED },
};
#undef C

static long show_counter(const struct net_link *l, unsigned row, struct buf *out)
{
	const _Atomic uint64_t *v = (const void *)((const char *)&l->stats + counters[row].off);

	buf_printf(out, "%llu\n", counters[row].off == NOT_COUNTED ? 0ull : (unsigned long long)atomic_load_explicit(v, memory_order_relaxed));
	return 0;
}

static long net_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct net_ns *ns = reader_ns();
	struct net_link *l = ns ? net_link_by_index(ns, index_of(f->inode)) : NULL;
	struct buf text = { .max = PAGE_SIZE };
	unsigned row = row_of(f->inode);
	long ret;

	if (!l)
		return -LINUX_ENODEV;
	ret = kind_of(f->inode) == COUNTER ? show_counter(l, row, &text) : attributes[row].show(l, &text);
	net_link_put(l);
	if (!ret)
		return sys_read_text(&text, io, pos);
	buf_fini(&text);
	return ret;
}

static long net_getattr(struct inode *i, struct kstat *out)
{
	generic_getattr(i, out);
	out->rdev = 0;
	return 0;
}

static const struct file_ops net_file_fops = { .read = net_read };
static const struct inode_ops net_file_iops = { .getattr = net_getattr };
static const struct inode_ops net_dir_iops;
static const struct file_ops net_dir_fops;

/* ---- directories ---- */

static void make_dir(struct inode *i, enum kind kind, uint32_t index)
{
	i->ops = &net_dir_iops;
	i->fops = &net_dir_fops;
	i->rdev = what(kind, 0, index);
}

void sysfs_net_dir(struct inode *dir, bool links)
{
	make_dir(dir, links ? CLASS : DEVICES, 0);
}

static uint32_t link_index(const char *name)
{
	struct net_ns *ns = reader_ns();
	struct net_link *l = ns ? net_link_by_name(ns, name) : NULL;
	uint32_t index = l ? l->index : 0;

	if (l)
		net_link_put(l);
	return index;
}

static long new_link(struct super_block *sb, enum kind dir, const char *name, struct inode **out)
{
	uint32_t index = link_index(name);
	char target[64];
	long ret;

	if (!index)
		return -LINUX_ENOENT;
	snprintf(target, sizeof(target), "../../devices/virtual/net/%.16s", name);
	ret = sys_new_inode(sb, dir == CLASS ? LINUX_S_IFLNK | 0777 : LINUX_S_IFDIR | 0755, target, out);
	if (ret)
		return ret;
	if (dir == DEVICES)
		make_dir(*out, LINK, index);
	else
		(*out)->rdev = what(LINK, 0, index);
	return 0;
}

static long new_file(struct super_block *sb, enum kind kind, unsigned row, uint32_t index, struct inode **out)
{
	long ret = sys_new_inode(sb, LINUX_S_IFREG | 0444, NULL, out);

	if (ret)
		return ret;
	(*out)->ops = &net_file_iops;
	(*out)->fops = &net_file_fops;
	(*out)->rdev = what(kind, row, index);
	return 0;
}

static long new_child(struct inode *dir, const char *name, struct inode **out)
{
	uint32_t index = index_of(dir);
	long ret;

	switch (kind_of(dir)) {
	case CLASS:
	case DEVICES:
		return new_link(dir->sb, kind_of(dir), name, out);
	case STATISTICS:
		for (unsigned k = 0; k < ARRAY_SIZE(counters); k++)
			if (!strcmp(name, counters[k].name))
				return new_file(dir->sb, COUNTER, k, index, out);
		return -LINUX_ENOENT;
	default:
		for (unsigned k = 0; k < ARRAY_SIZE(attributes); k++)
			if (!strcmp(name, attributes[k].name))
				return new_file(dir->sb, ATTRIBUTE, k, index, out);
		if (strcmp(name, "statistics"))
			return -LINUX_ENOENT;
		ret = sys_new_inode(dir->sb, LINUX_S_IFDIR | 0755, NULL, out);
		if (!ret)
			make_dir(*out, STATISTICS, index);
		return ret;
	}
}

static long net_lookup(struct inode *dir, struct dentry *d)
{
	struct inode *i;
	long ret = new_child(dir, d->name, &i);

	if (ret)
		return ret;
	d->flags |= DENTRY_NOCACHE;
	d_instantiate(d, i);
	return 0;
}

/* Asked of the directory that @d is in. */
static bool net_revalidate(struct dentry *d)
{
	struct inode *dir = d->parent->inode;

	if (!dir || !d->inode)
		return false;
	return (kind_of(dir) != CLASS && kind_of(dir) != DEVICES) || link_index(d->name) == index_of(d->inode);
}

struct link_name {
	char name[NET_IFNAMSIZ];
	uint32_t index;
};

static int note_name(struct net_link *l, void *names)
{
	struct link_name n = { .index = l->index };

	memcpy(n.name, l->name, sizeof(n.name));
	buf_append(names, &n, sizeof(n));
	return 0;
}

/* The @k-th name in @dir; false at the end. */
static bool name_at(const struct inode *dir, const struct buf *links, uint64_t k, const char **out, uint8_t *type)
{
	*type = LINUX_DT_REG;
	switch (kind_of(dir)) {
	case CLASS:
	case DEVICES:
		*type = kind_of(dir) == CLASS ? LINUX_DT_LNK : LINUX_DT_DIR;
		if (k >= links->len / sizeof(struct link_name))
			return false;
		*out = ((const struct link_name *)links->data + k)->name;
		return true;
	case STATISTICS:
		*out = k < ARRAY_SIZE(counters) ? counters[k].name : NULL;
		return *out;
	default:
		*out = k < ARRAY_SIZE(attributes) ? attributes[k].name : "statistics";
		if (k == ARRAY_SIZE(attributes))
			*type = LINUX_DT_DIR;
		return k <= ARRAY_SIZE(attributes);
	}
}

static long net_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct buf links = { .max = 1u << 20 };
	struct net_ns *ns = reader_ns();
	const char *name;
	uint8_t type;
	long ret = 0;

	if (ns && (kind_of(f->inode) == CLASS || kind_of(f->inode) == DEVICES))
		net_link_each(ns, note_name, &links);
	if (links.failed)
		ret = -LINUX_ENOMEM;
	else if (*pos == 0 && e->add(e, ".", 1, f->inode->ino, LINUX_DT_DIR, 1))
		*pos = 1;
	if (!ret && *pos == 1 && e->add(e, "..", 2, f->path.dentry->parent->inode->ino, LINUX_DT_DIR, 2))
		*pos = 2;
	while (!ret && *pos >= 2 && name_at(f->inode, &links, *pos - 2, &name, &type) &&
	       e->add(e, name, strlen(name), f->inode->ino + *pos, type, *pos + 1))
		++*pos;
	buf_fini(&links);
	return ret;
}

static const struct inode_ops net_dir_iops = { .lookup = net_lookup, .d_revalidate = net_revalidate, .getattr = net_getattr };
static const struct file_ops net_dir_fops = { .iterate = net_iterate };
