/* SPDX-License-Identifier: Apache-2.0
 * test/unit/net/tcp_test.c - TCP between two hosts: state machine, recovery, every byte under impairment
 */
#include <criterion/criterion.h>

#include "wirelab.h"

TestSuite(net_tcp, .timeout = 60);

static void transfer_case(struct impair im, uint64_t bytes, uint64_t limit, bool v6, uint32_t mtu)
{
	struct sock *c, *s;
	struct lab l;

	lab_init(&l, 42, mtu, 0);
	l.imp[0] = l.imp[1] = im;
	lab_tcp_pair(&l, &c, &s, v6, 80);
	cr_expect(lab_transfer(&l, c, s, bytes, limit));
	cr_expect(lab_transfer(&l, s, c, bytes / 4, limit));
	sock_close(c);
	lab_run(&l, NET_SEC);
	sock_close(s);
	lab_run(&l, 200 * NET_SEC);
	lab_fini(&l);
}

Test(net_tcp, clean)
{
	transfer_case((struct impair){ .delay_ns = 100000 }, 4 << 20, 60 * NET_SEC, false, 1500);
}

Test(net_tcp, clean6)
{
	transfer_case((struct impair){ .delay_ns = 100000 }, 4 << 20, 60 * NET_SEC, true, 1500);
}

Test(net_tcp, loss_1)
{
	transfer_case((struct impair){ .loss = 0.01, .delay_ns = NET_MSEC }, 4 << 20, 100 * NET_SEC, false, 1500);
}

Test(net_tcp, loss_5)
{
	transfer_case((struct impair){ .loss = 0.05, .delay_ns = 10 * NET_MSEC }, 2 << 20, 400 * NET_SEC, false, 1500);
}

Test(net_tcp, reorder_dup)
{
	transfer_case((struct impair){ .reorder = 0.1, .dup = 0.05, .delay_ns = NET_MSEC }, 4 << 20, 100 * NET_SEC, false, 1500);
}

Test(net_tcp, corrupt)
{
	transfer_case((struct impair){ .corrupt = 0.02, .delay_ns = NET_MSEC }, 2 << 20, 200 * NET_SEC, false, 1500);
}

Test(net_tcp, everything)
{
	transfer_case((struct impair){ .loss = 0.02, .reorder = 0.05, .dup = 0.02, .corrupt = 0.01, .delay_ns = 20 * NET_MSEC,
				       .jitter_ns = 5 * NET_MSEC }, 2 << 20, 600 * NET_SEC, true, 1400);
}

Test(net_tcp, small_mtu)
{
	transfer_case((struct impair){ .loss = 0.01, .delay_ns = NET_MSEC }, 256 << 10, 400 * NET_SEC, false, 296);
}

Test(net_tcp, bottleneck)
{
	transfer_case((struct impair){ .delay_ns = 5 * NET_MSEC, .rate_bps = 10000000, .queue_pkts = 50 }, 8 << 20,
		      20 * NET_SEC, false, 1500);
}

Test(net_tcp, no_sack)
{
	struct sock *c, *s;
	struct lab l;

	lab_init(&l, 7, 1500, 0);
	cr_assert_eq(net_sysctl_write(l.ns[0], "ipv4/tcp_sack", "0", 1), 0);
	l.imp[0] = (struct impair){ .loss = 0.02, .delay_ns = NET_MSEC };
	l.imp[1] = (struct impair){ .delay_ns = NET_MSEC };
	lab_tcp_pair(&l, &c, &s, false, 80);
	cr_expect(lab_transfer(&l, c, s, 2 << 20, 300 * NET_SEC));
	sock_close(c);
	sock_close(s);
	lab_run(&l, 200 * NET_SEC);
	lab_fini(&l);
}

Test(net_tcp, refused)
{
	struct net_ep to = lab_ep("10.0.0.2", 81);
	struct sock *c;
	struct lab l;

	lab_init(&l, 1, 1500, 0);
	cr_assert_eq(sock_create(l.ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, &c), 0);
	cr_assert_eq(sock_connect(c, &to), -LINUX_EINPROGRESS);
	lab_run(&l, NET_SEC);
	cr_expect_eq(sock_error_take(c), LINUX_ECONNREFUSED);
	sock_close(c);
	lab_fini(&l);
}

Test(net_tcp, eof_and_states)
{
	struct sock_info i;
	struct sock *c, *s;
	struct lab l;
	char b[16];

	lab_init(&l, 1, 1500, 0);
	lab_tcp_pair(&l, &c, &s, false, 80);
	cr_expect_eq(lab_read(s, b, 16), -LINUX_EAGAIN);
	cr_expect_eq(lab_write(c, "hello", 5), 5);
	cr_expect_eq(sock_shutdown(c, NET_SHUT_WR), 0);
	cr_expect_eq(lab_write(c, "x", 1), -LINUX_EPIPE);
	lab_run(&l, NET_SEC);
	cr_expect(sock_poll(s) & NET_POLLRDHUP);
	cr_expect_eq(lab_read(s, b, 16), 5);
	cr_expect_eq(lab_read(s, b, 16), 0);
	sock_get_info(s, &i);
	cr_expect_eq(i.state, 8); /* CLOSE_WAIT */
	sock_get_info(c, &i);
	cr_expect_eq(i.state, 5); /* FIN_WAIT2 */
	cr_expect_eq(lab_write(s, "bye", 3), 3);
	sock_close(s);
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(c, b, 16), 3);
	cr_expect_eq(lab_read(c, b, 16), 0);
	sock_close(c);
	cr_expect_eq(l.ns[0]->nr_timewait, 1);
	lab_run(&l, 61 * NET_SEC);
	cr_expect_eq(l.ns[0]->nr_timewait, 0);
	lab_fini(&l);
}

Test(net_tcp, reset_on_unread)
{
	struct sock *c, *s;
	struct lab l;
	char b[16];

	lab_init(&l, 1, 1500, 0);
	lab_tcp_pair(&l, &c, &s, false, 80);
	lab_write(c, "hello", 5);
	lab_run(&l, NET_SEC);
	sock_close(s); /* with data unread: RFC 1122 section 4.2.2.13 */
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(c, b, 16), -LINUX_ECONNRESET);
	sock_close(c);
	lab_fini(&l);
}

Test(net_tcp, zero_window)
{
	static uint8_t buf[65536];
	uint64_t sent = 0, got = 0;
	struct sock *c, *s;
	struct lab l;
	long n;

	lab_init(&l, 1, 1500, 0);
	l.imp[0] = l.imp[1] = (struct impair){ .delay_ns = NET_MSEC, .loss = 0.01 };
	lab_tcp_pair(&l, &c, &s, false, 80);
	for (int i = 0; i < 2000; i++) {
		while ((n = lab_write(c, buf, sizeof(buf))) > 0)
			sent += (uint64_t)n;
		if (!lab_step(&l, l.now + NET_SEC))
			break;
	}
	lab_run(&l, 300 * NET_SEC); /* five minutes of probes */
	cr_expect_eq(sock_error_take(c), 0);
	while (got < sent) {
		while ((n = lab_read(s, buf, sizeof(buf))) > 0)
			got += (uint64_t)n;
		if (got < sent && !lab_step(&l, l.now + 200 * NET_SEC))
			break;
	}
	cr_expect_eq(got, sent);
	sock_close(c);
	sock_close(s);
	lab_run(&l, 200 * NET_SEC);
	lab_fini(&l);
}

Test(net_tcp, timeout_dead_peer)
{
	struct naddr peer;
	struct sock *c, *s;
	struct lab l;

	lab_init(&l, 1, 1500, 0);
	lab_tcp_pair(&l, &c, &s, false, 80);
	peer = lab_ep("10.0.0.2", 0).addr; /* or the neighbour cache would notice first, and say EHOSTUNREACH */
	cr_assert_eq(net_neigh_set(l.nic[0], &peer, l.nic[1]->mac, NET_NUD_PERMANENT, 0), 0);
	l.imp[0].loss = 1.1;
	lab_write(c, "hello", 5);
	lab_run(&l, 800 * NET_SEC);
	cr_expect_eq(sock_error_take(c), 0);
	lab_run(&l, 600 * NET_SEC);
	cr_expect_eq(sock_error_take(c), LINUX_ETIMEDOUT);
	sock_close(c);
	sock_close(s);
	lab_run(&l, 2000 * NET_SEC);
	lab_fini(&l);
}

Test(net_tcp, keepalive)
{
	struct naddr peer;
	struct sock *c, *s;
	int one = 1, idle = 10, intvl = 5, cnt = 3;
	struct lab l;

	lab_init(&l, 1, 1500, 0);
	lab_tcp_pair(&l, &c, &s, false, 80);
	peer = lab_ep("10.0.0.2", 0).addr;
	cr_assert_eq(net_neigh_set(l.nic[0], &peer, l.nic[1]->mac, NET_NUD_PERMANENT, 0), 0);
	cr_assert_eq(sock_setopt(c, 6, 4, &idle, 4, 0), 0);
	cr_assert_eq(sock_setopt(c, 6, 5, &intvl, 4, 0), 0);
	cr_assert_eq(sock_setopt(c, 6, 6, &cnt, 4, 0), 0);
	cr_assert_eq(sock_setopt(c, 1, 9, &one, 4, 0), 0);
	lab_run(&l, 100 * NET_SEC);
	cr_expect_eq(sock_error_take(c), 0);
	l.imp[1].loss = 1.1;
	lab_run(&l, 40 * NET_SEC);
	cr_expect_eq(sock_error_take(c), LINUX_ETIMEDOUT);
	l.imp[1].loss = 0;
	sock_close(c);
	sock_close(s);
	lab_run(&l, 200 * NET_SEC);
	lab_fini(&l);
}

Test(net_tcp, loopback)
{
	struct net_ep at = lab_ep("127.0.0.1", 5000);
	struct sock *ls, *c, *s;
	struct lab l;

	lab_init(&l, 1, 1500, 0);
	cr_assert_eq(sock_create(l.ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, &ls), 0);
	cr_assert_eq(sock_bind(ls, &at, 0), 0);
	cr_assert_eq(sock_listen(ls, 5), 0);
	cr_assert_eq(sock_create(l.ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, &c), 0);
	cr_assert_eq(sock_connect(c, &at), -LINUX_EINPROGRESS);
	cr_assert_eq(sock_accept(ls, &s), 0); /* the whole handshake ran inside connect */
	cr_expect(lab_transfer(&l, c, s, 16 << 20, 60 * NET_SEC));
	cr_expect(lab_transfer(&l, s, c, 16 << 20, 60 * NET_SEC));
	sock_close(c);
	sock_close(s);
	sock_close(ls);
	lab_run(&l, 200 * NET_SEC);
	lab_fini(&l);
}

/* Ports whose last connection waits in TIME_WAIT are taken again, on loopback, once a second has gone by. */
Test(net_tcp, ports_come_round)
{
	struct net_ep at = lab_ep("127.0.0.1", 5000);
	struct sock *ls, *c, *s;
	struct lab l;

	lab_init(&l, 1, 1500, 0);
	cr_assert_eq(net_sysctl_write(l.ns[0], "ipv4/ip_local_port_range", "40000 40003", 11), 0);
	cr_assert_eq(sock_create(l.ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, &ls), 0);
	cr_assert_eq(sock_bind(ls, &at, 0), 0);
	cr_assert_eq(sock_listen(ls, 5), 0);
	for (unsigned i = 0; i < 12; i++) {
		cr_assert_eq(sock_create(l.ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, &c), 0);
		cr_assert_eq(sock_connect(c, &at), -LINUX_EINPROGRESS, "connection %u", i);
		cr_assert_eq(sock_accept(ls, &s), 0);
		sock_close(c);
		sock_close(s);
		if (i % 4 == 3)
			lab_run(&l, 2 * NET_SEC);
	}
	sock_close(ls);
	lab_run(&l, 200 * NET_SEC);
	lab_fini(&l);
}

Test(net_tcp, syn_flood_cookies)
{
	struct net_ep any = lab_ep("0.0.0.0", 80), to = lab_ep("10.0.0.2", 80);
	struct sock *ls, *c, *s = NULL;
	struct lab l;
	char b[8];

	lab_init(&l, 3, 1500, 0);
	cr_assert_eq(net_sysctl_write(l.ns[1], "ipv4/tcp_syncookies", "2", 1), 0);
	sock_create(l.ns[1], NET_AF_INET, NET_SOCK_STREAM, 0, &ls);
	sock_bind(ls, &any, NET_CAP_BIND);
	sock_listen(ls, 4);
	sock_create(l.ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, &c);
	sock_connect(c, &to);
	lab_run(&l, NET_SEC);
	cr_assert_eq(sock_accept(ls, &s), 0);
	cr_expect_eq(l.ns[1]->mib[MIB_TCPX_SYNCOOKIES_RECV], 1);
	lab_write(c, "ok", 2);
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(s, b, 8), 2);
	cr_expect(lab_transfer(&l, c, s, 1 << 20, 60 * NET_SEC));
	sock_close(c);
	sock_close(s);
	sock_close(ls);
	lab_run(&l, 200 * NET_SEC);
	lab_fini(&l);
}

/* Losses must be repaired by SACK and RACK, not by timeouts, and a clean path must not look reordered. */
Test(net_tcp, recovery_without_timeouts)
{
	static const struct impair cases[] = {
		{ .delay_ns = 10 * NET_MSEC, .rate_bps = 12500000, .queue_pkts = 416 },
		{ .delay_ns = 10 * NET_MSEC, .loss = 0.01 },
		{ .delay_ns = 10 * NET_MSEC, .dup = 0.02, .corrupt = 0.005 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sock *c, *s;
		struct lab l;

		lab_init(&l, 42, 1500, 0);
		l.imp[0] = cases[i];
		l.imp[1].delay_ns = 10 * NET_MSEC;
		lab_tcp_pair(&l, &c, &s, false, 80);
		cr_expect(lab_transfer(&l, c, s, 3 << 20, 30 * NET_SEC));
		cr_expect_leq(l.ns[0]->mib[MIB_TCPX_TIMEOUTS], 1, "case %u: %lu timeouts", i,
			      l.ns[0]->mib[MIB_TCPX_TIMEOUTS]);
		if (!i)
			cr_expect_eq(l.ns[0]->mib[MIB_TCPX_SACK_REORDER], 0);
		l.imp[0] = l.imp[1] = (struct impair){ 0 };
		sock_close(c);
		sock_close(s);
		lab_run(&l, 200 * NET_SEC);
		lab_fini(&l);
	}
}

/* Reordering is not loss: a path that only swaps segments carries nearly what a clean one does. */
Test(net_tcp, reordering_goodput)
{
	static const struct {
		double reorder;
		uint64_t delay_ns, rate;
		double share; /* of the clean path's goodput */
	} cases[] = {
		{ 0.05, 5 * NET_MSEC, 25000000, 0.85 },
		{ 0.20, 20 * NET_MSEC, 12500000, 0.7 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t took[2];

		for (unsigned bad = 0; bad < 2; bad++) {
			struct impair im = { .delay_ns = cases[i].delay_ns, .rate_bps = cases[i].rate,
					     .queue_pkts = (uint32_t)(cases[i].rate / 1500 / 20), .reorder = bad ? cases[i].reorder : 0 };
			struct sock *c, *s;
			struct lab l;

			lab_init(&l, 42, 1500, 0);
			l.imp[0] = im;
			l.imp[1] = im;
			lab_tcp_pair(&l, &c, &s, false, 80);
			took[bad] = l.now;
			cr_expect(lab_transfer(&l, c, s, 12 << 20, 100 * NET_SEC));
			took[bad] = l.now - took[bad];
			l.imp[0] = l.imp[1] = (struct impair){ 0 };
			sock_close(c);
			sock_close(s);
			lab_run(&l, 200 * NET_SEC);
			lab_fini(&l);
		}
		cr_expect_geq((double)took[0] / (double)took[1], cases[i].share, "case %u: %.2f of a clean path", i,
			      (double)took[0] / (double)took[1]);
	}
}
