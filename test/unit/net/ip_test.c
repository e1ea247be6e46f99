/* SPDX-License-Identifier: Apache-2.0
 * test/unit/net/ip_test.c - datagrams, fragments, ICMP, neighbours, routes, links
 */
#include <criterion/criterion.h>

#include "wirelab.h"

#include "sentry/net/core/csum.h"
#include "sentry/net/wire.h"

TestSuite(net_ip, .timeout = 30);

static struct sock *udp(struct lab *l, int host, const char *addr, uint16_t port)
{
	struct net_ep ep = lab_ep(addr, port);
	struct sock *sk;

	cr_assert_eq(sock_create(l->ns[host], strchr(addr, ':') ? NET_AF_INET6 : NET_AF_INET, NET_SOCK_DGRAM, 0, &sk), 0);
	cr_assert_eq(sock_bind(sk, &ep, NET_CAP_BIND), 0);
	return sk;
}

static long sendto_(struct sock *sk, const void *p, size_t n, const char *addr, uint16_t port)
{
	struct net_msg m = { .has = NET_MSG_HAS_NAME, .name = lab_ep(addr, port) };
	struct net_iter_mem it;

	net_iter_read_mem(&it, p, n);
	return sock_send(sk, &it.it, &m);
}

static void udp_case(const char *from, const char *to, size_t n, struct impair im)
{
	static uint8_t out[65536], in[65536];
	struct sock *a, *b;
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	l.imp[0] = im;
	a = udp(&l, 0, from, 1000);
	b = udp(&l, 1, to, 2000);
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(i * 7 + (i >> 8));
	cr_expect_eq(sendto_(a, out, n, to, 2000), (long)n);
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(b, in, sizeof(in)), (long)n);
	cr_expect_eq(memcmp(in, out, n), 0);
	sock_close(a);
	sock_close(b);
	lab_run(&l, 100 * NET_SEC);
	lab_fini(&l);
}

Test(net_ip, udp_small)
{
	udp_case("10.0.0.1", "10.0.0.2", 100, (struct impair){ 0 });
}

Test(net_ip, udp_small6)
{
	udp_case("fd00::1", "fd00::2", 100, (struct impair){ 0 });
}

Test(net_ip, udp_fragments)
{
	udp_case("10.0.0.1", "10.0.0.2", 65507, (struct impair){ .reorder = 0.5, .delay_ns = NET_MSEC, .dup = 0.3 });
}

Test(net_ip, udp_fragments6)
{
	udp_case("fd00::1", "fd00::2", 60001, (struct impair){ .reorder = 0.5, .delay_ns = NET_MSEC, .dup = 0.3 });
}

Test(net_ip, fragment_loss_times_out)
{
	static uint8_t out[20000];
	struct sock *a, *b;
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	a = udp(&l, 0, "10.0.0.1", 1000);
	b = udp(&l, 1, "10.0.0.2", 2000);
	sendto_(a, out, 1, "10.0.0.2", 2000); /* resolves the neighbour */
	lab_run(&l, NET_SEC);
	l.imp[0].loss = 0.3;
	sendto_(a, out, sizeof(out), "10.0.0.2", 2000);
	lab_run(&l, 40 * NET_SEC);
	cr_expect_eq(l.ns[1]->mib[MIB_IP_REASM_TIMEOUT], 1);
	cr_expect_eq(lab_read(b, out, sizeof(out)), 1);
	cr_expect_eq(lab_read(b, out, sizeof(out)), -LINUX_EAGAIN);
	sock_close(a);
	sock_close(b);
	lab_fini(&l);
}

/* RFC 5722: an overlap voids the datagram, whatever the pieces say. */
Test(net_ip, overlapping_fragments)
{
	static const uint16_t offs[] = { 0, 1, 4 }; /* units of 8; the second overlaps the first */
	struct sock *b;
	uint8_t f[14 + 20 + 32], in[64];
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	b = udp(&l, 1, "10.0.0.2", 2000);
	for (unsigned i = 0; i < 3; i++) {
		uint16_t c;

		memset(f, 0, sizeof(f));
		f[0] = 2, f[5] = 2, f[6] = 2, f[11] = 1;
		wr16(f + 12, ETH_P_IP);
		f[14] = 0x45;
		wr16(f + 16, 52);
		wr16(f + 18, 77);
		wr16(f + 20, (uint16_t)(offs[i] | (i < 2 ? IP4_MF : 0)));
		f[22] = 64;
		f[23] = 17;
		wr32(f + 26, 0x0a000001);
		wr32(f + 30, 0x0a000002);
		c = (uint16_t)~csum_fold(csum_add_bytes(f + 14, 20, 0));
		memcpy(f + 24, &c, 2);
		wr16(f + 34, 1000);
		wr16(f + 36, 2000);
		wr16(f + 38, 64);
		lab_inject(&l, 1, f, sizeof(f));
	}
	cr_expect_eq(lab_read(b, in, sizeof(in)), -LINUX_EAGAIN);
	cr_expect_geq(l.ns[1]->drops[DROP_FRAG_OVERLAP], 1);
	sock_close(b);
	lab_run(&l, 100 * NET_SEC);
	lab_fini(&l);
}

Test(net_ip, port_unreachable)
{
	struct net_ep to = lab_ep("10.0.0.2", 999);
	struct net_msg m = { .flags = NET_MSG_ERRQUEUE };
	struct net_iter_mem it;
	struct sock *a;
	struct lab l;
	char b[64];
	int one = 1;

	lab_init(&l, 9, 1500, 0);
	a = udp(&l, 0, "10.0.0.1", 1000);
	cr_assert_eq(sock_setopt(a, 0, 11, &one, 4, 0), 0); /* IP_RECVERR */
	cr_assert_eq(sock_connect(a, &to), 0);
	cr_expect_eq(lab_write(a, "hello", 5), 5);
	lab_run(&l, NET_SEC);
	cr_expect(sock_poll(a) & NET_POLLERR);
	cr_expect_eq(lab_read(a, b, sizeof(b)), -LINUX_ECONNREFUSED);
	net_iter_write_mem(&it, b, sizeof(b));
	cr_expect_eq(sock_recv(a, &it.it, &m), 5);
	cr_expect_eq(m.err.err, LINUX_ECONNREFUSED);
	cr_expect_eq(m.err.type, 3);
	cr_expect_eq(m.err.code, 3);
	cr_expect(m.err.has_offender);
	sock_close(a);
	lab_fini(&l);
}

Test(net_ip, ping)
{
	uint8_t echo[32] = { 8 }, in[64];
	struct sock *a;
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	cr_assert_eq(sock_create(l.ns[0], NET_AF_INET, NET_SOCK_DGRAM, NET_IPPROTO_ICMP, &a), 0);
	cr_expect_eq(sendto_(a, echo, sizeof(echo), "10.0.0.2", 0), (long)sizeof(echo));
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(a, in, sizeof(in)), (long)sizeof(echo));
	cr_expect_eq(in[0], 0);
	sock_close(a);
	lab_fini(&l);
}

Test(net_ip, raw_and_packet_see_it)
{
	uint8_t in[256];
	struct sock *a, *raw, *pk, *b;
	unsigned arps = 0, ips = 0;
	struct lab l;
	long n;

	lab_init(&l, 9, 1500, 0);
	a = udp(&l, 0, "10.0.0.1", 1000);
	b = udp(&l, 1, "10.0.0.2", 2000);
	cr_assert_eq(sock_create(l.ns[1], NET_AF_INET, NET_SOCK_RAW, 17, &raw), 0);
	cr_assert_eq(sock_create(l.ns[1], NET_AF_PACKET, NET_SOCK_RAW, ETH_P_ALL, &pk), 0);
	sendto_(a, "hi", 2, "10.0.0.2", 2000);
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(b, in, sizeof(in)), 2);
	cr_expect_eq(lab_read(raw, in, sizeof(in)), 30);
	cr_expect_eq(in[0], 0x45);
	while ((n = lab_read(pk, in, sizeof(in))) > 0) {
		arps += n == 42 && rd16(in + 12) == ETH_P_ARP;
		ips += n == 44 && rd16(in + 12) == ETH_P_IP;
	}
	cr_expect_geq(arps, 2, "%u", arps); /* the request, and our reply */
	cr_expect_eq(ips, 1);
	sock_close(a);
	sock_close(b);
	sock_close(raw);
	sock_close(pk);
	lab_fini(&l);
}

Test(net_ip, neighbour_fails)
{
	struct net_ep to = lab_ep("10.0.0.77", 80);
	struct sock *c;
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	cr_assert_eq(sock_create(l.ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, &c), 0);
	cr_assert_eq(sock_connect(c, &to), -LINUX_EINPROGRESS);
	lab_run(&l, 200 * NET_SEC);
	cr_expect_eq(sock_error_take(c), LINUX_EHOSTUNREACH);
	sock_close(c);
	lab_fini(&l);
}

static int count_route(const struct net_route *r, void *arg)
{
	(void)r;
	++*(unsigned *)arg;
	return 0;
}

Test(net_ip, longest_prefix_and_rules)
{
	struct net_route_param r = { .family = NET_AF_INET, .nr_hops = 1, .type = NET_RTN_UNICAST };
	struct net_flow fl = { .dst = lab_ep("192.168.5.1", 0).addr, .src = NADDR_ANY4 };
	struct net_rule rule = { .family = NET_AF_INET, .fwmark = 7, .fwmask = 7, .table = 100, .priority = 10 };
	struct dst *d;
	unsigned n = 0;
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	cr_expect_eq(net_route_lookup(l.ns[0], &fl, &d), -LINUX_ENETUNREACH);
	r.hops[0].oif = l.nic[0]->index;
	r.hops[0].gw = lab_ep("10.0.0.2", 0).addr;
	r.dst = NADDR_ANY4;
	cr_expect_eq(net_route_add(l.ns[0], &r, NET_RT_CREATE), 0);
	cr_expect_eq(net_route_add(l.ns[0], &r, NET_RT_CREATE | NET_RT_EXCL), -LINUX_EEXIST);
	r.dst = lab_ep("192.168.0.0", 0).addr;
	r.dst_len = 16;
	r.hops[0].gw = lab_ep("10.0.0.3", 0).addr;
	cr_expect_eq(net_route_add(l.ns[0], &r, NET_RT_CREATE), 0);
	r.table = 100;
	r.hops[0].gw = lab_ep("10.0.0.4", 0).addr;
	cr_expect_eq(net_route_add(l.ns[0], &r, NET_RT_CREATE), 0);
	cr_expect_eq(net_rule_add(l.ns[0], &rule), 0);
	cr_assert_eq(net_route_lookup(l.ns[0], &fl, &d), 0);
	cr_expect_eq(d->nexthop.b[15], 3);
	dst_put(d);
	fl.mark = 7;
	cr_assert_eq(net_route_lookup(l.ns[0], &fl, &d), 0);
	cr_expect_eq(d->nexthop.b[15], 4);
	dst_put(d);
	fl.dst = lab_ep("8.8.8.8", 0).addr;
	cr_assert_eq(net_route_lookup(l.ns[0], &fl, &d), 0);
	cr_expect_eq(d->nexthop.b[15], 2);
	dst_put(d);
	r.hops[0].gw = lab_ep("11.0.0.4", 0).addr;
	r.table = 0;
	r.dst_len = 20;
	r.hops[0].oif = 0;
	net_route_each(l.ns[0], count_route, &n);
	cr_expect_gt(n, 8);
	lab_fini(&l);
}

Test(net_ip, veth_bridge_between_namespaces)
{
	struct net_ns *ns[3];
	struct net_link *v[3], *p[3], *bridge;
	struct net_ep at = lab_ep("10.1.0.3", 5000);
	struct sock *ls, *c, *s;
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	cr_assert_eq(net_link_new_bridge(l.ns[0], NULL, &bridge), 0);
	for (int i = 0; i < 3; i++) {
		struct net_ifaddr_param a = { .plen = 24, .addr = lab_ep("10.1.0.1", 0).addr };

		a.addr.b[15] = (uint8_t)(i + 1);
		cr_assert_eq(net_ns_new(&l.st, &ns[i]), 0);
		cr_assert_eq(net_link_new_veth(ns[i], NULL, l.ns[0], NULL, &v[i], &p[i]), 0);
		cr_assert_eq(net_link_set_master(p[i], bridge), 0);
		cr_assert_eq(net_link_set_up(p[i], true), 0);
		cr_assert_eq(net_link_set_up(v[i], true), 0);
		cr_assert_eq(net_addr_add(v[i], &a), 0);
	}
	cr_assert_eq(net_link_set_up(bridge, true), 0);
	cr_assert_eq(sock_create(ns[2], NET_AF_INET, NET_SOCK_STREAM, 0, &ls), 0);
	cr_assert_eq(sock_bind(ls, &at, 0), 0);
	cr_assert_eq(sock_listen(ls, 5), 0);
	cr_assert_eq(sock_create(ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, &c), 0);
	cr_assert_eq(sock_connect(c, &at), -LINUX_EINPROGRESS);
	lab_run(&l, NET_SEC);
	cr_assert_eq(sock_accept(ls, &s), 0);
	cr_expect(lab_transfer(&l, c, s, 4 << 20, 60 * NET_SEC));
	sock_close(c);
	sock_close(s);
	sock_close(ls);
	lab_run(&l, 200 * NET_SEC);
	for (int i = 0; i < 3; i++)
		net_ns_put(ns[i]);
	lab_run(&l, NET_SEC);
	lab_fini(&l);
}

Test(net_ip, path_mtu)
{
	struct net_ep to = lab_ep("10.0.0.2", 0);
	struct sock *c, *s;
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	lab_tcp_pair(&l, &c, &s, false, 80);
	net_pmtu_update(l.ns[0], &to.addr, 900);
	cr_expect_eq(net_pmtu_get(l.ns[0], &to.addr), 900);
	cr_expect(lab_transfer(&l, c, s, 1 << 20, 60 * NET_SEC));
	sock_close(c);
	sock_close(s);
	lab_run(&l, 200 * NET_SEC);
	lab_fini(&l);
}

Test(net_ip, multicast)
{
	uint32_t mreq[2] = { net_htonl(0xe1010203), net_htonl(0x0a000002) };
	struct sock *a, *b;
	struct lab l;
	char in[16];

	lab_init(&l, 9, 1500, 0);
	a = udp(&l, 0, "10.0.0.1", 1000);
	b = udp(&l, 1, "0.0.0.0", 2000);
	mreq[1] = net_htonl(0x0a000001);
	cr_assert_eq(sock_setopt(a, 0, 32, &mreq[1], 4, 0), 0); /* IP_MULTICAST_IF */
	sendto_(a, "no", 2, "225.1.2.3", 2000);
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(b, in, 16), -LINUX_EAGAIN);
	mreq[1] = net_htonl(0x0a000002);
	cr_assert_eq(sock_setopt(b, 0, 35, mreq, 8, 0), 0); /* IP_ADD_MEMBERSHIP */
	sendto_(a, "yes", 3, "225.1.2.3", 2000);
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(b, in, 16), 3);
	sock_close(a);
	sock_close(b);
	lab_run(&l, 10 * NET_SEC);
	lab_fini(&l);
}

Test(net_ip, sysctls)
{
	char b[64];
	struct lab l;

	lab_init(&l, 9, 1500, 0);
	cr_expect_gt(net_sysctl_read(l.ns[0], "ipv4/tcp_rmem", b, sizeof(b)), 0);
	cr_expect_str_eq(b, "4096\t131072\t6291456\n");
	cr_expect_eq(net_sysctl_write(l.ns[0], "ipv4/tcp_rmem", "1 2", 3), -LINUX_EINVAL);
	cr_expect_eq(net_sysctl_write(l.ns[0], "ipv4/conf/eth0/forwarding", "1\n", 2), 0);
	cr_expect_eq(l.nic[0]->conf.forwarding, 1);
	cr_expect_eq(net_sysctl_write(l.ns[0], "ipv4/tcp_congestion_control", "bbr", 3), -LINUX_ENOENT);
	cr_expect_eq(net_sysctl_read(l.ns[0], "ipv4/nonsense", b, sizeof(b)), -LINUX_ENOENT);
	lab_fini(&l);
}
