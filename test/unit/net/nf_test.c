/* SPDX-License-Identifier: Apache-2.0
 * test/unit/net/nf_test.c - connection tracking, translation, and blobs of iptables that nobody should send
 */
#include <criterion/criterion.h>

#include "wirelab.h"

#include "sentry/net/nf/ct.h"
#include "sentry/net/nf/ipt.h"

TestSuite(net_nf, .timeout = 60);

static struct sock *udp(struct lab *l, int host, const char *addr, uint16_t port)
{
	struct net_ep ep = lab_ep(addr, port);
	struct sock *sk;

	cr_assert_eq(sock_create(l->ns[host], NET_AF_INET, NET_SOCK_DGRAM, 0, &sk), 0);
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

static long recvfrom_(struct sock *sk, void *p, size_t n, struct net_ep *from)
{
	struct net_msg m = { 0 };
	struct net_iter_mem it;
	long r;

	net_iter_write_mem(&it, p, n);
	r = sock_recv(sk, &it.it, &m);
	*from = m.name;
	return r;
}

struct rule {
	struct nf_nat_range range;
	uint16_t dport;		/* 0: all */
	enum nf_manip manip;
	unsigned runs;
};

/* One rule of translation, as a table would ask for it. */
static enum nf_verdict nat_rule(struct pkt *p, const struct nf_state *st, void *priv)
{
	struct rule *r = priv;

	r->runs++;
	if (!p->ct || (r->dport && p->ct->th[0].t.dport != r->dport))
		return NF_ACCEPT;
	return nf_nat_setup(p->ct, &r->range, r->manip);
}

static void nat_on(struct net_ns *ns, struct rule *r, enum nf_hooknum hook)
{
	cr_assert_eq(nf_ct_want(ns, NET_AF_INET, true), 0);
	cr_assert_eq(nf_nat_register(ns, NET_AF_INET, hook, 0, nat_rule, r), 0);
}

static void nat_off(struct net_ns *ns, struct rule *r, enum nf_hooknum hook)
{
	nf_nat_unregister(ns, NET_AF_INET, hook, nat_rule, r);
	nf_ct_unwant(ns, NET_AF_INET, true);
}

static uint32_t entries(struct net_ns *ns)
{
	return nf_ct_table_of(ns) ? atomic_load(&nf_ct_table_of(ns)->nr) : 0;
}

static int last_state(struct nf_conn *ct, void *arg)
{
	*(uint8_t *)arg = ct->tcp.state;
	return 0;
}

/* ---- translation --------------------------------------------------------------------------------------------------------- */

/* A stream to port 80 that arrives at 8080: every byte and every checksum must be right on a bad cable, and over loopback, where
 * segments are large and their checksums not computed. */
static void dnat_case(bool loopback, struct impair im)
{
	const char *addr = loopback ? "127.0.0.1" : "10.0.0.2";
	enum nf_hooknum hook = loopback ? NF_LOCAL_OUT : NF_PRE_ROUTING;
	struct rule r = { .manip = NF_MANIP_DST, .dport = 80,
			  .range = { .flags = NATF_PROTO_SPECIFIED, .pmin = 8080, .pmax = 8080 } };
	struct net_ep me = lab_ep(addr, 8080), to = lab_ep(addr, 80), peer;
	struct sock *ls, *c, *s;
	uint8_t state = 0;
	struct lab l;

	lab_init(&l, 5, 1500, 0);
	l.imp[0] = l.imp[1] = im;
	nat_on(l.ns[1], &r, hook);
	cr_assert_eq(sock_create(l.ns[1], NET_AF_INET, NET_SOCK_STREAM, 0, &ls), 0);
	cr_assert_eq(sock_bind(ls, &me, NET_CAP_BIND), 0);
	cr_assert_eq(sock_listen(ls, 8), 0);
	cr_assert_eq(sock_create(l.ns[loopback], NET_AF_INET, NET_SOCK_STREAM, 0, &c), 0);
	cr_assert_eq(sock_connect(c, &to), -LINUX_EINPROGRESS);
	lab_run(&l, 20 * NET_SEC);
	cr_assert_eq(sock_accept(ls, &s), 0);
	cr_assert_eq(sock_peer(c, &peer), 0);
	cr_expect_eq(peer.port, 80);
	nf_ct_each(nf_ct_table_of(l.ns[1]), last_state, &state);
	cr_expect_eq(state, CTT_ESTABLISHED);
	cr_expect(lab_transfer(&l, c, s, 300000, 300 * NET_SEC));
	cr_expect(lab_transfer(&l, s, c, 300000, 300 * NET_SEC));
	cr_expect_eq(r.runs, 1); /* the first packet only */
	sock_close(c);
	sock_close(s);
	sock_close(ls);
	lab_run(&l, 10 * NET_SEC);
	nf_ct_each(nf_ct_table_of(l.ns[1]), last_state, &state);
	cr_expect_eq(state, CTT_TIME_WAIT);
	lab_run(&l, 500 * NET_SEC);
	cr_expect_eq(entries(l.ns[1]), 0);
	nat_off(l.ns[1], &r, hook);
	lab_fini(&l);
}

Test(net_nf, dnat_stream)
{
	dnat_case(false, (struct impair){ 0 });
}

Test(net_nf, dnat_stream_loopback)
{
	dnat_case(true, (struct impair){ 0 });
}

Test(net_nf, dnat_stream_bad_cable)
{
	dnat_case(false, (struct impair){ .loss = 0.02, .dup = 0.01, .corrupt = 0.01, .reorder = 0.02, .delay_ns = 2 * NET_MSEC });
}

/* Two ports for three flows: the third finds none and is dropped; when one flow ends its port is free again. */
Test(net_nf, snat_ports_run_out)
{
	struct rule r = { .manip = NF_MANIP_SRC, .range = { .flags = NATF_PROTO_SPECIFIED, .pmin = 5000, .pmax = 5001 } };
	struct sock *c[3], *s;
	struct net_ep from;
	unsigned got = 0;
	char b[8];
	struct lab l;

	lab_init(&l, 6, 1500, 0);
	nat_on(l.ns[0], &r, NF_POST_ROUTING);
	s = udp(&l, 1, "10.0.0.2", 53);
	for (unsigned i = 0; i < 3; i++) {
		c[i] = udp(&l, 0, "10.0.0.1", (uint16_t)(3000 + i));
		sendto_(c[i], "x", 1, "10.0.0.2", 53);
		lab_run(&l, NET_SEC);
		while (recvfrom_(s, b, sizeof(b), &from) == 1) {
			cr_expect(from.port == 5000 || from.port == 5001);
			cr_expect_eq(sendto_(s, "ab", 2, "10.0.0.1", from.port), 2);
			got++;
		}
		lab_run(&l, NET_SEC / 10);
		cr_expect_eq(recvfrom_(c[i], b, sizeof(b), &from), i < 2 ? 2 : -LINUX_EAGAIN);
	}
	cr_expect_eq(got, 2);
	cr_expect_eq(entries(l.ns[0]), 2);
	lab_run(&l, 200 * NET_SEC);
	cr_expect_eq(entries(l.ns[0]), 0);
	sendto_(c[2], "x", 1, "10.0.0.2", 53);
	lab_run(&l, NET_SEC);
	cr_expect_eq(recvfrom_(s, b, sizeof(b), &from), 1);
	for (unsigned i = 0; i < 3; i++)
		sock_close(c[i]);
	sock_close(s);
	lab_run(&l, NET_SEC);
	nat_off(l.ns[0], &r, NF_POST_ROUTING);
	lab_fini(&l);
}

/* The error about a packet that was redirected to a closed port speaks of the port that the sender knows. */
Test(net_nf, icmp_error_is_translated)
{
	struct rule r = { .manip = NF_MANIP_DST, .dport = 81, .range = { .flags = NATF_PROTO_SPECIFIED, .pmin = 9, .pmax = 9 } };
	struct net_ep to = lab_ep("10.0.0.2", 81);
	struct sock *c;
	struct lab l;

	lab_init(&l, 7, 1500, 0);
	nat_on(l.ns[1], &r, NF_PRE_ROUTING);
	c = udp(&l, 0, "10.0.0.1", 3000);
	cr_assert_eq(sock_connect(c, &to), 0);
	cr_expect_eq(lab_write(c, "x", 1), 1);
	lab_run(&l, NET_SEC);
	cr_expect_eq(sock_error_take(c), LINUX_ECONNREFUSED);
	sock_close(c);
	lab_run(&l, NET_SEC);
	nat_off(l.ns[1], &r, NF_PRE_ROUTING);
	lab_fini(&l);
}

/* ---- tracking ---------------------------------------------------------------------------------------------------------------- */

Test(net_nf, udp_timeouts)
{
	struct sock *c, *s;
	struct net_ep from;
	char b[8];
	struct lab l;

	lab_init(&l, 8, 1500, 0);
	cr_assert_eq(nf_ct_want(l.ns[0], NET_AF_INET, false), 0);
	c = udp(&l, 0, "10.0.0.1", 3000);
	s = udp(&l, 1, "10.0.0.2", 53);
	sendto_(c, "x", 1, "10.0.0.2", 53);
	lab_run(&l, 20 * NET_SEC);
	cr_expect_eq(entries(l.ns[0]), 1);
	lab_run(&l, 80 * NET_SEC); /* unanswered: 30 s, and until the broom comes */
	cr_expect_eq(entries(l.ns[0]), 0);
	for (unsigned i = 0; i < 4; i++) {
		sendto_(c, "x", 1, "10.0.0.2", 53);
		lab_run(&l, 2 * NET_SEC);
		cr_expect_eq(recvfrom_(s, b, sizeof(b), &from), 1);
		sendto_(s, "x", 1, "10.0.0.1", 3000);
		lab_run(&l, NET_SEC);
		cr_expect_eq(recvfrom_(c, b, sizeof(b), &from), 1);
	}
	lab_run(&l, 100 * NET_SEC); /* a stream: 120 s */
	cr_expect_eq(entries(l.ns[0]), 1);
	lab_run(&l, 100 * NET_SEC);
	cr_expect_eq(entries(l.ns[0]), 0);
	sock_close(c);
	sock_close(s);
	nf_ct_unwant(l.ns[0], NET_AF_INET, false);
	lab_fini(&l);
}

Test(net_nf, table_has_a_bound)
{
	struct sock *c[64];
	struct lab l;

	lab_init(&l, 10, 1500, 0);
	l.ns[0]->sysctl.nf_ct_max = 16;
	l.ns[0]->sysctl.nf_ct_buckets = 8; /* so that the early drop finds its victims */
	cr_assert_eq(nf_ct_want(l.ns[0], NET_AF_INET, false), 0);
	for (unsigned i = 0; i < 64; i++) {
		c[i] = udp(&l, 0, "10.0.0.1", (uint16_t)(3000 + i));
		cr_expect_eq(sendto_(c[i], "x", 1, "10.0.0.2", 53), 1, "unanswered ones make room");
		lab_run(&l, NET_MSEC);
		cr_expect_leq(entries(l.ns[0]), 17u);
	}
	cr_expect_gt(atomic_load(&nf_ct_table_of(l.ns[0])->st_early_drop), 40u);
	for (unsigned i = 0; i < 64; i++)
		sock_close(c[i]);
	lab_run(&l, 200 * NET_SEC);
	cr_expect_eq(entries(l.ns[0]), 0);
	nf_ct_unwant(l.ns[0], NET_AF_INET, false);
	lab_fini(&l);
}

Test(net_nf, hooks_leave_with_their_users)
{
	struct lab l;

	lab_init(&l, 11, 1500, 0);
	cr_assert_eq(nf_ct_want(l.ns[0], NET_AF_INET, false), 0);
	cr_assert_eq(nf_ct_want(l.ns[0], NET_AF_INET, true), 0);
	cr_expect(l.ns[0]->nf->chain[0][NF_PRE_ROUTING] != NULL);
	cr_expect(l.ns[0]->nf->chain[1][NF_PRE_ROUTING] == NULL);
	nf_ct_unwant(l.ns[0], NET_AF_INET, true);
	nf_ct_unwant(l.ns[0], NET_AF_INET, false);
	for (unsigned h = 0; h < NF_HOOKS; h++)
		cr_expect(l.ns[0]->nf->chain[0][h] == NULL);
	lab_fini(&l);
}

/* ---- blobs --------------------------------------------------------------------------------------------------------------------- */

struct blob {
	struct linux_ipt_replace r;
	uint8_t e[4096];
};

static uint32_t add(struct blob *b, const char *target, int32_t verdict)
{
	uint32_t at = b->r.size, size = sizeof(struct linux_ipt_entry);
	struct linux_ipt_entry *e = (void *)(b->e + at);

	e->target_offset = sizeof(*e);
	if (!strcmp(target, "ERROR")) {
		struct linux_xt_error_target *t = (void *)(e + 1);

		t->h.size = sizeof(*t);
		strcpy(t->h.name, "ERROR");
		strcpy(t->name, "ERROR");
		size += sizeof(*t);
	} else {
		struct linux_xt_standard_target *t = (void *)(e + 1);

		t->h.size = sizeof(*t);
		strcpy(t->h.name, target);
		t->verdict = verdict;
		size += sizeof(*t);
	}
	e->next_offset = (uint16_t)size;
	b->r.size += size;
	b->r.num_entries++;
	return at;
}

static void set_verdict(struct blob *b, uint32_t at, int32_t v)
{
	((struct linux_xt_standard_target *)(void *)(b->e + at + sizeof(struct linux_ipt_entry)))->verdict = v;
}

/* filter with one rule before the policy of INPUT, and two user chains of one rule each */
static void blob_make(struct blob *b, uint32_t at[8])
{
	memset(b, 0, sizeof(*b));
	strcpy(b->r.name, "filter");
	b->r.valid_hooks = ipt_tables[XT_FILTER].hooks;
	at[0] = add(b, "", -NF_ACCEPT - 1);			/* INPUT rule */
	b->r.hook_entry[NF_LOCAL_IN] = at[0];
	b->r.underflow[NF_LOCAL_IN] = add(b, "", -NF_ACCEPT - 1);
	b->r.hook_entry[NF_FORWARD] = b->r.underflow[NF_FORWARD] = add(b, "", -NF_ACCEPT - 1);
	b->r.hook_entry[NF_LOCAL_OUT] = b->r.underflow[NF_LOCAL_OUT] = add(b, "", -NF_DROP - 1);
	add(b, "ERROR", 0);
	at[1] = add(b, "", LINUX_XT_RETURN);
	at[2] = add(b, "", LINUX_XT_RETURN);
	add(b, "ERROR", 0);
	at[3] = add(b, "", LINUX_XT_RETURN);
	at[4] = add(b, "", LINUX_XT_RETURN);
	add(b, "ERROR", 0);
	b->r.num_counters = 4;
}

static int replace(struct net_ns *ns, struct blob *b)
{
	struct linux_xt_counters *old = NULL;
	int ret = ipt_replace(ns, NET_AF_INET, b, (uint32_t)sizeof(b->r) + b->r.size, &old);

	free(old);
	return ret;
}

Test(net_nf, blob_jumps)
{
	uint32_t at[8];
	struct blob b;
	struct lab l;

	lab_init(&l, 12, 1500, 0);
	blob_make(&b, at);
	set_verdict(&b, at[0], (int32_t)at[1]);
	set_verdict(&b, at[1], (int32_t)at[3]);
	set_verdict(&b, at[3], (int32_t)at[1]);
	cr_expect_eq(replace(l.ns[0], &b), -LINUX_ELOOP);
	set_verdict(&b, at[3], (int32_t)at[3]);
	cr_expect_eq(replace(l.ns[0], &b), -LINUX_ELOOP);
	set_verdict(&b, at[3], (int32_t)at[4] + 8);
	cr_expect_eq(replace(l.ns[0], &b), -LINUX_EINVAL, "into the middle of an entry");
	set_verdict(&b, at[3], (int32_t)b.r.size);
	cr_expect_eq(replace(l.ns[0], &b), -LINUX_EINVAL, "behind the end");
	set_verdict(&b, at[3], -100);
	cr_expect_eq(replace(l.ns[0], &b), -LINUX_EINVAL);
	set_verdict(&b, at[3], LINUX_XT_RETURN);
	b.r.num_counters = 5;
	cr_expect_eq(replace(l.ns[0], &b), -LINUX_EAGAIN, "not as many as the table there has");
	b.r.num_counters = 4;
	cr_expect_eq(replace(l.ns[0], &b), 0);
	cr_expect(l.ns[0]->nf->chain[0][NF_LOCAL_IN] != NULL);
	lab_fini(&l);
}

Test(net_nf, blob_fields)
{
	uint32_t at[8];
	struct blob b;
	struct lab l;

	lab_init(&l, 13, 1500, 0);
#define BAD(change) do { blob_make(&b, at); change; cr_expect_lt(replace(l.ns[0], &b), 0, #change); } while (0)
	BAD(b.r.hook_entry[NF_LOCAL_IN] = 4);
	BAD(b.r.underflow[NF_FORWARD] = b.r.size);
	BAD(b.r.valid_hooks = 1);
	BAD(b.r.num_entries++);
	BAD(b.r.num_entries--);
	BAD(b.r.num_entries = UINT32_MAX);
	BAD(strcpy(b.r.name, "nosuch"));
	BAD(((struct linux_ipt_entry *)(void *)b.e)->next_offset = 0);
	BAD(((struct linux_ipt_entry *)(void *)b.e)->next_offset = 0xfff8);
	BAD(((struct linux_ipt_entry *)(void *)b.e)->target_offset = 8);
	BAD(((struct linux_ipt_entry *)(void *)b.e)->flags = 0xff);
	BAD(((struct linux_xt_ext_hdr *)(void *)(b.e + sizeof(struct linux_ipt_entry)))->size = 0);
	BAD(strcpy(((struct linux_xt_ext_hdr *)(void *)(b.e + sizeof(struct linux_ipt_entry)))->name, "NOSUCH"));
	lab_fini(&l);
}

/* Any byte of a good table changed, and packets through what is accepted all the same. */
Test(net_nf, blob_mutations)
{
	uint64_t x = 88172645463325252ull;
	uint32_t at[8];
	struct blob b;
	struct lab l;

	lab_init(&l, 14, 1500, 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct linux_ipt_getinfo info = { .name = "filter" };
		struct sock *c;

		blob_make(&b, at);
		set_verdict(&b, at[0], (int32_t)at[1]);
		for (unsigned k = 0; k < 1 + i % 3; k++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			((uint8_t *)&b)[x % (sizeof(b.r) + b.r.size)] = (uint8_t)(x >> 32);
			if (b.r.size > sizeof(b.e))
				b.r.size = sizeof(b.e);
		}
		cr_assert_eq(ipt_get_info(l.ns[0], NET_AF_INET, &info), 0);
		b.r.num_counters = info.num_entries;
		if (replace(l.ns[0], &b) || i % 16)
			continue;
		c = udp(&l, 0, "127.0.0.1", 3000);
		sendto_(c, "x", 1, "127.0.0.1", 3000);
		sock_close(c);
	}
	lab_fini(&l);
}
