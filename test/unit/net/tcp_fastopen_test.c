/* SPDX-License-Identifier: Apache-2.0
 * test/unit/net/tcp_fastopen_test.c - TCP fast open over the cable: round trips, losses, the listener's limit
 */
#include <criterion/criterion.h>

#include "sentry/abi/inet.h"
#include "wirelab.h"

TestSuite(net_tcp_fastopen, .timeout = 60);

#define DELAY  (50 * NET_MSEC)
#define OPTION 34

static struct {
	bool eat_option;	/* SYNs of host 0 with the option are lost, */
	unsigned eat_answers;	/* so many SYN-ACKs of host 1, */
	bool eat_acks;		/* all else from host 0 but SYNs and resets */
	unsigned options, early, resets; /* SYNs of host 0: with the option, with data; resets of host 0 */
} wire;

static bool has_option(const uint8_t *tcp, uint32_t hdr)
{
	for (uint32_t i = 20; i < hdr && tcp[i];) {
		if (tcp[i] == OPTION)
			return true;
		i += tcp[i] == 1 ? 1 : MAX(tcp[i + 1], (uint8_t)2);
	}
	return false;
}

static bool snoop(struct lab *l, int from, uint8_t *f, uint32_t len)
{
	const uint8_t *tcp = f + 34;
	uint32_t hdr;

	(void)l;
	if (len < 54 || f[12] != 8 || f[13] || f[23] != NET_IPPROTO_TCP)
		return true;
	hdr = (tcp[12] >> 4) * 4u;
	if (from == 0 && (tcp[13] & 4)) {
		wire.resets++;
	} else if (from == 0 && (tcp[13] & 0x12) == 2) {
		wire.options += has_option(tcp, hdr);
		wire.early += len > 34 + hdr;
		return !(wire.eat_option && has_option(tcp, hdr));
	} else if (from == 1 && (tcp[13] & 0x12) == 0x12 && wire.eat_answers) {
		wire.eat_answers--;
		return false;
	} else if (from == 0 && wire.eat_acks) {
		return false;
	}
	return true;
}

static void start(struct lab *l, struct sock **ls, int max)
{
	struct net_ep any = lab_ep("0.0.0.0", 80);

	memset(&wire, 0, sizeof(wire));
	lab_init(l, 5, 1500, 0);
	l->imp[0].delay_ns = l->imp[1].delay_ns = DELAY;
	l->snoop = snoop;
	cr_assert_eq(net_sysctl_write(l->ns[1], "ipv4/tcp_fastopen", "3", 1), 0);
	cr_assert_eq(sock_create(l->ns[1], NET_AF_INET, NET_SOCK_STREAM, 0, ls), 0);
	cr_assert_eq(sock_bind(*ls, &any, NET_CAP_BIND), 0);
	cr_assert_eq(sock_setopt(*ls, LINUX_SOL_TCP, LINUX_TCP_FASTOPEN, &max, sizeof(max), 0), 0);
	cr_assert_eq(sock_listen(*ls, 16), 0);
}

static void stop(struct lab *l, struct sock *ls)
{
	sock_close(ls);
	lab_run(l, 300 * NET_SEC);
	lab_fini(l);
}

/* sendto(MSG_FASTOPEN) */
static long early(struct lab *l, struct sock **c, const char *text)
{
	struct net_msg m = { .flags = NET_MSG_FASTOPEN, .has = NET_MSG_HAS_NAME, .name = lab_ep("10.0.0.2", 80) };
	struct net_iter_mem it;

	cr_assert_eq(sock_create(l->ns[0], NET_AF_INET, NET_SOCK_STREAM, 0, c), 0);
	net_iter_read_mem(&it, text, strlen(text));
	return sock_send(*c, &it.it, &m);
}

static void get_cookie(struct lab *l, struct sock *ls)
{
	struct sock *c, *s;

	cr_assert_eq(early(l, &c, "x"), -LINUX_EINPROGRESS);
	lab_run(l, NET_SEC);
	cr_assert_eq(sock_accept(ls, &s), 0);
	sock_close(c);
	sock_close(s);
	lab_run(l, NET_SEC);
}

static bool acked_early(struct sock *sk)
{
	struct linux_tcp_info i;
	uint32_t n = sizeof(i);

	cr_assert_eq(sock_getopt(sk, LINUX_SOL_TCP, LINUX_TCP_INFO, &i, &n), 0);
	return i.options & LINUX_TCPI_OPT_SYN_DATA;
}

/* The server reads after half a round trip, and its answer is there after one. */
Test(net_tcp_fastopen, saves_a_round_trip)
{
	struct sock *ls, *c, *s;
	struct lab l;
	char b[8];

	start(&l, &ls, 5);
	get_cookie(&l, ls);
	cr_assert_eq(early(&l, &c, "early"), 5);
	lab_run(&l, DELAY + NET_MSEC);
	cr_assert_eq(sock_accept(ls, &s), 0);
	cr_expect(sock_poll(s) & NET_POLLIN);
	cr_expect(sock_poll(s) & NET_POLLOUT);
	cr_expect_eq(lab_read(s, b, 8), 5);
	cr_expect_eq(lab_write(s, "answer", 6), 6);
	lab_run(&l, DELAY + NET_MSEC);
	cr_expect_eq(lab_read(c, b, 8), 6);
	cr_expect(acked_early(c) && acked_early(s));
	cr_expect(lab_transfer(&l, c, s, 1 << 20, 60 * NET_SEC));
	cr_expect(lab_transfer(&l, s, c, 1 << 20, 60 * NET_SEC));
	sock_close(c);
	sock_close(s);
	stop(&l, ls);
}

/* The server answers and closes before the handshake is over; the SYN-ACK is lost once. */
Test(net_tcp_fastopen, closed_before_the_handshake)
{
	struct sock *ls, *c, *s;
	struct lab l;
	char b[8];

	start(&l, &ls, 5);
	get_cookie(&l, ls);
	wire.eat_answers = 1;
	cr_assert_eq(early(&l, &c, "early"), 5);
	lab_run(&l, DELAY + NET_MSEC);
	cr_assert_eq(sock_accept(ls, &s), 0);
	cr_expect_eq(lab_read(s, b, 8), 5);
	cr_expect_eq(lab_write(s, "answer", 6), 6);
	sock_close(s);
	lab_run(&l, 10 * NET_SEC);
	cr_expect_eq(lab_read(c, b, 8), 6);
	cr_expect_eq(lab_read(c, b, 8), 0);
	cr_expect(acked_early(c));
	sock_close(c);
	stop(&l, ls);
	cr_expect_eq(wire.resets, 0);
}

/* A lost SYN-ACK: SYN and SYN-ACK go again, the data comes once. */
Test(net_tcp_fastopen, answer_lost)
{
	struct sock *ls, *c, *s;
	struct lab l;
	char b[8];

	start(&l, &ls, 5);
	get_cookie(&l, ls);
	wire.eat_answers = 1;
	cr_assert_eq(early(&l, &c, "early"), 5);
	lab_run(&l, 5 * NET_SEC);
	cr_expect_eq(wire.early, 1);
	cr_assert_eq(sock_accept(ls, &s), 0);
	cr_expect_eq(sock_accept(ls, &s), -LINUX_EAGAIN);
	cr_expect_eq(lab_read(s, b, 8), 5);
	cr_expect_eq(lab_read(s, b, 8), -LINUX_EAGAIN);
	cr_expect(acked_early(c));
	cr_expect(lab_transfer(&l, c, s, 1 << 18, 60 * NET_SEC));
	sock_close(c);
	sock_close(s);
	stop(&l, ls);
}

/* Something eats SYNs with the option: plain ones follow, the data after the handshake; and after two such the option is left
 * out for a while (RFC 7413 section 4.1.3). */
Test(net_tcp_fastopen, option_eaten)
{
	struct sock *ls, *c, *s;
	struct lab l;
	char b[8];

	start(&l, &ls, 5);
	get_cookie(&l, ls);
	wire.eat_option = true;
	wire.options = 0;
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(early(&l, &c, "early"), i < 2 ? 5 : -LINUX_EINPROGRESS, "attempt %d", i);
		lab_run(&l, i < 2 ? 3 * NET_SEC : NET_SEC / 2);
		if (i == 2)
			cr_assert_eq(lab_write(c, "early", 5), 5);
		lab_run(&l, NET_SEC / 2);
		cr_assert_eq(sock_accept(ls, &s), 0);
		cr_expect_eq(lab_read(s, b, 8), 5);
		cr_expect_not(acked_early(c));
		sock_close(c);
		sock_close(s);
		lab_run(&l, NET_SEC);
	}
	cr_expect_eq(wire.options, 2);
	cr_expect_eq(l.ns[0]->mib[MIB_TCPX_FASTOPEN_ACTIVE_FAIL], 2);
	wire.eat_option = false;
	lab_run(&l, 600 * NET_SEC);
	cr_expect_eq(early(&l, &c, "early"), 5);
	lab_run(&l, NET_SEC);
	cr_expect(acked_early(c));
	sock_close(c);
	stop(&l, ls);
}

/* Only so many connections whose handshake is not over; the rest go the ordinary way. */
Test(net_tcp_fastopen, pending_limit)
{
	struct sock *ls, *c[3], *s[3];
	struct lab l;

	start(&l, &ls, 2);
	get_cookie(&l, ls);
	wire.eat_acks = true;
	for (int i = 0; i < 3; i++)
		cr_assert_eq(early(&l, &c[i], "early"), 5);
	lab_run(&l, DELAY + NET_MSEC);
	cr_expect_eq(sock_accept(ls, &s[0]), 0);
	cr_expect_eq(sock_accept(ls, &s[1]), 0);
	cr_expect_eq(sock_accept(ls, &s[2]), -LINUX_EAGAIN);
	cr_expect_eq(l.ns[1]->mib[MIB_TCPX_FASTOPEN_OVERFLOW], 1);
	wire.eat_acks = false;
	lab_run(&l, 5 * NET_SEC);
	cr_expect_eq(sock_accept(ls, &s[2]), 0);
	cr_expect_not(acked_early(c[2]));
	for (int i = 0; i < 3; i++) {
		sock_close(c[i]);
		sock_close(s[i]);
	}
	lab_run(&l, NET_SEC);
	cr_assert_eq(early(&l, &c[0], "again"), 5); /* the places are free again */
	lab_run(&l, NET_SEC);
	cr_expect(acked_early(c[0]));
	sock_close(c[0]);
	stop(&l, ls);
}

/* A reset does not free the place at once (RFC 7413 section 5.1). */
Test(net_tcp_fastopen, reset_keeps_the_place)
{
	struct sock *ls, *c, *s;
	struct lab l;

	start(&l, &ls, 1);
	get_cookie(&l, ls);
	wire.eat_answers = 1;
	cr_assert_eq(early(&l, &c, "early"), 5);
	lab_run(&l, DELAY + NET_MSEC);
	cr_assert_eq(sock_accept(ls, &s), 0);
	sock_close(c); /* the SYN-ACK's repetition meets a reset */
	lab_run(&l, 2 * NET_SEC);
	cr_expect_eq(wire.resets, 1);
	sock_close(s);
	cr_assert_eq(early(&l, &c, "early"), 5);
	lab_run(&l, NET_SEC);
	cr_expect_not(acked_early(c));
	sock_close(c);
	lab_run(&l, 60 * NET_SEC);
	cr_assert_eq(early(&l, &c, "early"), 5);
	lab_run(&l, NET_SEC);
	cr_expect(acked_early(c));
	sock_close(c);
	stop(&l, ls);
}

/* The listener goes away while a handshake is under way. */
Test(net_tcp_fastopen, listener_closes)
{
	struct sock *ls, *c, *s, *d;
	struct lab l;
	char b[8];

	start(&l, &ls, 5);
	get_cookie(&l, ls);
	cr_assert_eq(early(&l, &c, "early"), 5);
	cr_assert_eq(early(&l, &d, "other"), 5);
	lab_run(&l, DELAY + NET_MSEC);
	cr_assert_eq(sock_accept(ls, &s), 0);
	sock_close(ls); /* the accepted one lives on, the other is reset */
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(s, b, 8), 5);
	cr_expect_eq(lab_write(c, "more", 4), 4);
	lab_run(&l, NET_SEC);
	cr_expect_eq(lab_read(s, b, 8), 4);
	cr_expect_eq(sock_error_take(d), LINUX_ECONNRESET);
	sock_close(c);
	sock_close(d);
	sock_close(s);
	lab_run(&l, 300 * NET_SEC);
	lab_fini(&l);
}

/* All of it under loss and disorder: each byte once, whatever way the first ones took. */
Test(net_tcp_fastopen, bad_cable)
{
	struct sock *ls, *c, *s;
	struct lab l;
	unsigned taken = 0;
	char b[8];

	start(&l, &ls, 5);
	get_cookie(&l, ls);
	for (int d = 0; d < 2; d++)
		l.imp[d] = (struct impair){ .delay_ns = DELAY, .loss = 0.2, .dup = 0.2, .reorder = 0.2 };
	for (int i = 0; i < 60; i++) {
		long r = early(&l, &c, "early");

		cr_assert(r == 5 || r == -LINUX_EINPROGRESS);
		lab_run(&l, 120 * NET_SEC);
		if (r < 0)
			cr_assert_eq(lab_write(c, "early", 5), 5);
		lab_run(&l, 60 * NET_SEC);
		cr_assert_eq(sock_accept(ls, &s), 0, "connection %d", i);
		cr_expect_eq(lab_read(s, b, 8), 5);
		taken += acked_early(c);
		cr_expect_eq(acked_early(c), acked_early(s));
		cr_expect(lab_transfer(&l, c, s, 30000, 100 * NET_SEC));
		sock_close(c);
		sock_close(s);
		lab_run(&l, 200 * NET_SEC);
		while (!sock_accept(ls, &s)) /* a SYN that the cable doubled */
			sock_close(s);
	}
	cr_expect_gt(taken, 20);
	stop(&l, ls);
}
