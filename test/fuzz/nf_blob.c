/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/nf_blob.c - libFuzzer entry: tables of iptables, and packets through what is accepted
 *
 * Model:   first byte: family, table, and whether the rest is a blob as it is, or instructions for one: then every entry is framed
 *          rightly, and the input chooses extensions, their bytes, and verdicts. UDP, TCP and ICMP go through loopback and
 *          out of a dummy link afterwards, and the table is read back.
 */
#include <stdlib.h>

#include "sentry/net/nf/ipt.h"
#include "test/unit/net/wirelab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t now = 1000000000;
static uint64_t host_now(void *ctx) { return now; }
static void host_alarm(void *ctx, uint64_t at) {}
static void host_random(void *ctx, void *buf, size_t n) { memset(buf, 0x5a, n); }
static const struct net_host_ops host = { host_now, host_now, host_alarm, host_random };

struct in {
	const uint8_t *p;
	size_t n;
};

static uint8_t byte(struct in *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->p++;
}

static void bytes(struct in *in, uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = byte(in);
}

struct build {
	struct linux_ipt_replace r;
	uint8_t e[60000];
	uint32_t at[256];
	uint8_t family;
};

static const struct xt_ext *pick(struct in *in, bool target)
{
	uint8_t k = byte(in);

	if (target)
		return k & 1 ? &xt_nat_targets[k / 2 % xt_nr_nat_targets] : &xt_targets[k / 2 % xt_nr_targets];
	return k & 1 ? &xt_ct_matches[k / 2 % xt_nr_ct_matches] : &xt_matches[k / 2 % xt_nr_matches];
}

static uint32_t put_ext(struct build *b, uint32_t at, struct in *in, const struct xt_ext *x)
{
	struct linux_xt_ext_hdr h = { .size = (uint16_t)(sizeof(h) + ALIGN_UP((uint32_t)x->size, 8u)), .revision = x->revision };

	strcpy(h.name, x->name);
	memcpy(b->e + at, &h, sizeof(h));
	bytes(in, b->e + at + sizeof(h), MIN(x->size, 200u));
	return at + h.size;
}

static uint32_t put_standard(struct build *b, uint32_t at, int32_t verdict)
{
	struct linux_xt_standard_target t = { .h.size = sizeof(t), .verdict = verdict };

	memcpy(b->e + at, &t, sizeof(t));
	return at + sizeof(t);
}

static void entry(struct build *b, struct in *in, bool policy)
{
	uint32_t start = b->r.size, head = (uint32_t)ipt_entry_size(b->family), at = start + head, target;
	uint8_t how = policy ? 0 : byte(in);

	if (start + 8000 > sizeof(b->e) || b->r.num_entries == 256)
		return;
	b->at[b->r.num_entries++] = start;
	if (!policy && (how & 1))
		bytes(in, b->e + start, head);
	for (unsigned i = 0; !policy && i < (how >> 1 & 3u); i++)
		at = put_ext(b, at, in, pick(in, false));
	target = at;
	if (how & 8)
		at = put_ext(b, at, in, pick(in, true));
	else if (how & 16) /* a jump; fixed up to an entry's start when all are known */
		at = put_standard(b, at, byte(in));
	else
		at = put_standard(b, at, -(int32_t)(how >> 5) - 1);
	if (b->family == NET_AF_INET) {
		struct linux_ipt_entry *e = (void *)(b->e + start);

		e->target_offset = (uint16_t)(target - start);
		e->next_offset = (uint16_t)(at - start);
		e->flags &= LINUX_IPT_F_MASK;
		e->invflags &= LINUX_IPT_INV_MASK;
		e->proto = how & 32 ? 6 : how & 64 ? 17 : e->proto;
	} else {
		struct linux_ip6t_entry *e = (void *)(b->e + start);

		e->target_offset = (uint16_t)(target - start);
		e->next_offset = (uint16_t)(at - start);
		e->flags = (e->flags & LINUX_IP6T_F_MASK) | LINUX_IP6T_F_PROTO;
		e->invflags &= LINUX_IPT_INV_MASK;
		e->proto = how & 32 ? 6 : how & 64 ? 17 : e->proto;
	}
	b->r.size = at;
}

static void fix_jumps(struct build *b)
{
	for (uint32_t i = 0; i < b->r.num_entries; i++) {
		uint8_t *t = b->e + b->at[i] + ipt_view(b->family, b->e + b->at[i]).target_offset;
		struct linux_xt_standard_target s;

		memcpy(&s, t, sizeof(s));
		if (s.h.name[0] || s.verdict < 0)
			continue;
		s.verdict = (int32_t)b->at[(uint32_t)s.verdict % b->r.num_entries];
		memcpy(t, &s, sizeof(s));
	}
}

static void compose(struct build *b, struct in *in, unsigned id)
{
	uint32_t policy;

	b->r.valid_hooks = ipt_tables[id].hooks;
	for (unsigned h = 0; h < 5; h++) {
		if (!(b->r.valid_hooks >> h & 1))
			continue;
		b->r.hook_entry[h] = b->r.size;
		for (unsigned n = byte(in) & 3; n; n--)
			entry(b, in, false);
		policy = b->r.size;
		entry(b, in, true);
		/* the last byte of a policy's verdict is made ACCEPT */
		put_standard(b, policy + (uint32_t)ipt_entry_size(b->family), -NF_ACCEPT - 1);
		b->r.underflow[h] = policy;
	}
	while (in->n && b->r.num_entries < 40)
		entry(b, in, !(byte(in) & 7));
	fix_jumps(b);
}

static void send_all(struct net_ns *ns, bool v6)
{
	static const int types[] = { NET_SOCK_DGRAM, NET_SOCK_STREAM };
	const char *to[] = { v6 ? "::1" : "127.0.0.1", v6 ? "fd00::9" : "10.0.0.9" };

	for (unsigned i = 0; i < 4; i++) {
		struct net_ep ep = lab_ep(to[i / 2], 80);
		struct net_iter_mem it;
		struct sock *sk;

		if (sock_create(ns, v6 ? NET_AF_INET6 : NET_AF_INET, types[i % 2], 0, &sk))
			continue;
		sock_connect(sk, &ep);
		net_iter_read_mem(&it, "hello", 5);
		sock_send(sk, &it.it, NULL);
		sock_close(sk);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct net_stack st;
	static bool ready;
	struct net_link_param lp = { .name = "d0" };
	struct linux_xt_counters *old = NULL;
	struct in in = { data + 1, size - 1 };
	struct net_ifaddr_param a = { .addr = naddr_from_v4(0x0100000a), .plen = 24, .valid_lft_s = UINT32_MAX,
				      .preferred_lft_s = UINT32_MAX };
	struct linux_ipt_getinfo info = { 0 };
	struct build *b;
	struct net_link *l;
	struct net_ns *ns;
	uint8_t *out;

	if (size < 2)
		return 0;
	if (!ready && net_stack_init(&st, &host, NULL))
		abort();
	ready = true;
	b = calloc(1, sizeof(*b));
	if (!b || net_ns_new(&st, &ns) || net_link_new_dummy(ns, &lp, &l))
		abort();
	net_link_set_up(ns->lo, true);
	net_link_set_up(l, true);
	net_addr_add(l, &a);
	b->family = data[0] & 1 ? NET_AF_INET6 : NET_AF_INET;
	if (data[0] & 8) {
		ipt_replace(ns, b->family, data + 1, (uint32_t)size - 1, &old);
	} else {
		strcpy(b->r.name, ipt_tables[data[0] >> 1 & 3].name);
		strcpy(info.name, b->r.name);
		if (ipt_get_info(ns, b->family, &info))
			abort();
		b->r.num_counters = info.num_entries;
		compose(b, &in, data[0] >> 1 & 3);
		ipt_replace(ns, b->family, b, (uint32_t)sizeof(b->r) + b->r.size, &old);
	}
	free(old);
	send_all(ns, data[0] & 1);
	if (info.name[0] && !ipt_get_info(ns, b->family, &info)) {
		out = malloc(info.size);
		if (ipt_get_entries(ns, b->family, info.name, info.size, out))
			__builtin_trap();
		free(out);
	}
	now += NET_SEC;
	net_timers_run(&st, 1000);
	net_ns_put(ns);
	net_rcu_barrier(&st);
	now += 200 * NET_SEC;
	net_timers_run(&st, 1000);
	net_rcu_barrier(&st);
	free(b);
	return 0;
}
