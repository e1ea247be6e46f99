/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/net_sock.c - /proc/net: endpoints
 *
 * Source:  proc(5); columns as Linux prints them. Addresses of kernel objects are shown as zeros, as to anybody without
 *          CAP_SYSLOG.
 */
#include "sentry/fs/proc/net_files.h"
#include "sentry/socket/netlink/netlink.h"
#include "sentry/socket/unix/unix.h"

#define TCP_WIDTH 149
#define UDP_WIDTH 127

struct list_of {
	struct buf *out;
	uint8_t family;
	unsigned nr;
	struct user_ns *user_ns;
	void (*line)(struct list_of *x, const struct sock_info *i);
};

static void put_ep(struct buf *out, uint8_t family, const struct net_ep *ep)
{
	const struct naddr *a = &ep->addr;
	bool any4 = naddr_is_any(a);

	if (family == NET_AF_INET)
		buf_printf(out, "%08X:%04X", naddr_v4(a), ep->port);
	else
		buf_printf(out, "%08X%08X%08X%08X:%04X", a->w[0], a->w[1], any4 ? 0 : a->w[2], a->w[3], ep->port);
}

/* What all lists have in common, up to the inode. */
static void put_common(struct list_of *x, const struct sock_info *i, int width)
{
	uint32_t uid = id_from_kernel_munged(x->user_ns, false, i->uid);
	uint64_t ticks = to_ticks(i->timer_ns);

	buf_printf(x->out, "%*u: ", width, x->nr++);
	put_ep(x->out, x->family, &i->local);
	buf_printf(x->out, " ");
	put_ep(x->out, x->family, &i->remote);
	buf_printf(x->out, " %02X %08X:%08X %02X:%08llX %08X %5u %8d %llu", i->state, i->state == 10 ? 0 : i->wqueue, i->rqueue, i->timer,
		   (unsigned long long)ticks, i->retrans, uid, 0, (unsigned long long)i->ino);
}

static void tcp_line(struct list_of *x, const struct sock_info *i)
{
	size_t start = x->out->len;

	put_common(x, i, 4);
	if (i->state == 6 || i->state == 3) /* TIME_WAIT, SYN_RECV: no endpoint of their own */
		buf_printf(x->out, " %u %016x", i->refs, 0);
	else
		buf_printf(x->out, " %u %016x %u %u %u %u %d", i->refs, 0, 100, 0, 0, 10, -1);
	proc_net_pad(x->out, start, x->family == NET_AF_INET ? TCP_WIDTH : 0);
}

static void udp_line(struct list_of *x, const struct sock_info *i)
{
	size_t start = x->out->len;

	put_common(x, i, 5);
	buf_printf(x->out, " %u %016x %u", i->refs, 0, i->drops);
	proc_net_pad(x->out, start, x->family == NET_AF_INET ? UDP_WIDTH : 0);
}

static void raw_line(struct list_of *x, const struct sock_info *i)
{
	struct sock_info r = *i;

	r.local.port = r.proto; /* the protocol stands where others have a port */
	put_common(x, &r, 4);
	buf_printf(x->out, " %u %016x %u\n", i->refs, 0, i->drops);
}

static int one(struct sock *sk, void *arg)
{
	struct list_of *x = arg;
	struct sock_info i;

	sock_get_info(sk, &i);
	if (i.family == x->family)
		x->line(x, &i);
	return x->out->failed;
}

static void show(struct net_ns_ref *ns, struct buf *out, uint8_t family, int proto, void (*line)(struct list_of *, const struct sock_info *))
{
	struct list_of x = { .out = out, .family = family, .user_ns = ns->user_ns, .line = line };

	sock_each(ns->stack, family, proto, one, &x);
}

#define HEAD6 "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
#define HEAD4 "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
#define DGRAM " ref pointer drops"

NET_SHOW(tcp)
{
	size_t start = out->len;

	buf_printf(out, HEAD4);
	proc_net_pad(out, start, TCP_WIDTH);
	show(ns, out, NET_AF_INET, NET_IPPROTO_TCP, tcp_line);
}

NET_SHOW(tcp6)
{
	buf_printf(out, HEAD6 "\n");
	show(ns, out, NET_AF_INET6, NET_IPPROTO_TCP, tcp_line);
}

static void head_udp(struct buf *out)
{
	size_t start = out->len;

	buf_printf(out, " " HEAD4 DGRAM);
	proc_net_pad(out, start, UDP_WIDTH);
}

NET_SHOW(udp)
{
	head_udp(out);
	show(ns, out, NET_AF_INET, NET_IPPROTO_UDP, udp_line);
}

NET_SHOW(udp6)
{
	buf_printf(out, HEAD6 DGRAM "\n");
	show(ns, out, NET_AF_INET6, NET_IPPROTO_UDP, udp_line);
}

NET_SHOW(udplite)
{
	head_udp(out);
}

NET_SHOW(udplite6)
{
	buf_printf(out, HEAD6 DGRAM "\n");
}

NET_SHOW(icmp)
{
	head_udp(out);
	show(ns, out, NET_AF_INET, NET_IPPROTO_ICMP, udp_line);
}

NET_SHOW(icmp6)
{
	buf_printf(out, HEAD6 DGRAM "\n");
	show(ns, out, NET_AF_INET6, NET_IPPROTO_ICMP, udp_line);
}

NET_SHOW(raw)
{
	buf_printf(out, HEAD4 DGRAM "\n");
	show(ns, out, NET_AF_INET, NET_IPPROTO_RAW, raw_line);
}

NET_SHOW(raw6)
{
	buf_printf(out, HEAD6 DGRAM "\n");
	show(ns, out, NET_AF_INET6, NET_IPPROTO_RAW, raw_line);
}

static void packet_line(struct list_of *x, const struct sock_info *i)
{
	buf_printf(x->out, "%016x %-6u %-4d %04x   %-5d %1d %-6u %-6u %-6llu\n", 0, i->refs, i->type, i->local.port, i->ifindex, 1, i->rqueue,
		   id_from_kernel_munged(x->user_ns, false, i->uid), (unsigned long long)i->ino);
}

NET_SHOW(packet)
{
	buf_printf(out, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
	show(ns, out, NET_AF_PACKET, 0, packet_line);
}

/* ---- AF_UNIX, AF_NETLINK --------------------------------------------------------------------------------------------- */

#define SO_ACCEPTCON 0x10000

static int unix_one(const struct unix_info *i, void *arg)
{
	struct buf *out = arg;

	/* states here are those of the socket: 1 not connected, 3 connected */
	buf_printf(out, "%016x: %08X %08X %08X %04X %02X %5llu", 0, i->refs, 0, i->state == 10 ? SO_ACCEPTCON : 0, i->type,
		   i->state == 1 ? 3 : 1, (unsigned long long)i->ino);
	if (i->name_len) {
		buf_printf(out, " ");
		if (i->name[0]) {
			buf_append(out, i->name, strnlen(i->name, i->name_len));
		} else {
			for (uint32_t k = 0; k < i->name_len; k++)
				buf_append(out, i->name[k] ? &i->name[k] : "@", 1);
		}
	}
	buf_printf(out, "\n");
	return out->failed;
}

NET_SHOW(unix)
{
	buf_printf(out, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	unix_each(ns, unix_one, out);
}

NET_SHOW(netlink)
{
	struct nl_sock *nl;

	buf_printf(out, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n");
	mutex_lock(&netlink_mu);
	list_for_each_entry(nl, &netlink_socks, node)
		if (nl->sk.net == ns)
			buf_printf(out, "%016x %-3d %-10u %08x %-8zu %-8d %-5d %-8d %-8u %-8llu\n", 0, nl->sk.protocol, nl->portid,
				   (uint32_t)nl->groups, nl->rx_bytes, 0, 0, 2, 0, (unsigned long long)atomic_load(&nl->sk.ino));
	mutex_unlock(&netlink_mu);
}
