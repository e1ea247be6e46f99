/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nfnl.c - NETLINK_NETFILTER: requests, batches, generations
 *
 * Source:  linux/netfilter/nfnetlink.h; nft(8) on transactions.
 */
#include "sentry/socket/netlink/nfnl.h"

#include "sentry/abi/cap.h"

#define BATCH_ERRORS_MAX 4096	/* noted of one batch */

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

size_t nft_msg_begin(const struct nfq *q, struct buf *b, uint8_t msg, uint8_t family, uint16_t flags)
{
	struct linux_nfgenmsg g = { .family = family, .res_id = __builtin_bswap16((uint16_t)q->n->genid) };
	size_t at = nl_answer(q->r, b, (uint16_t)(NFNL_NFTABLES << 8 | msg), flags);

	nlb_body(b, &g);
	return at;
}

long nft_answer(struct nfq *q, struct buf *b)
{
	return nl_reply(q->r, b);
}

long nft_dumped(struct nfq *q, struct buf *b)
{
	nl_dump_reply(q->r, b, 0);
	return NL_DUMPED;
}


/* Messages for listeners wait for the commit; an odd byte in front of each says whether the sender wants it too. */
void nft_event(struct nfq *q, struct buf *b)
{
	uint32_t len = (uint32_t)b->len | (q->r->h.flags & LINUX_NLM_F_ECHO ? 0x80000000u : 0);

	if (!b->failed && (len & 0x80000000u || nl_has_listeners(q->r->ns, LINUX_NETLINK_NETFILTER, NFNLGRP_NFTABLES))) {
		buf_append(q->events, &len, sizeof(len));
		buf_append(q->events, b->data, b->len);
	}
	buf_fini(b);
}

static void gen_fill(struct nfq *q, struct buf *b)
{
	size_t at = nft_msg_begin(q, b, NFT_NEWGEN, NFPROTO_UNSPEC, 0);

	nla_put_be32(b, NFTA_GEN_ID, q->n->genid);
	nla_put_be32(b, NFTA_GEN_PROC_PID, q->r->nl->portid);
	nla_put_str(b, NFTA_GEN_PROC_NAME, "nft");
	nlb_end(b, at);
}

static long gen_get(struct nfq *q)
{
	struct buf b = { 0 };

	gen_fill(q, &b);
	return nft_answer(q, &b);
}

static void send_events(struct nfq *q)
{
	struct buf *ev = q->events;
	struct buf b = { 0 };
	size_t at = 0;

	while (!ev->failed && ev->len - at > sizeof(uint32_t)) {
		uint32_t len;

		memcpy(&len, ev->data + at, sizeof(len));
		at += sizeof(len);
		if (len & 0x80000000u)
			nl_queue(q->r->nl, ev->data + at, len & 0x7fffffff, 0, 0);
		len &= 0x7fffffff;
		nl_multicast(q->r->ns, LINUX_NETLINK_NETFILTER, NFNLGRP_NFTABLES, ev->data + at, len);
		at += len;
	}
	gen_fill(q, &b);
	if (!b.failed)
		nl_multicast(q->r->ns, LINUX_NETLINK_NETFILTER, NFNLGRP_NFTABLES, b.data, b.len);
	buf_fini(&b);
}

/* ---- messages ----------------------------------------------------------------------------------------------------------- */

static long nothing_here(struct nfq *q)
{
	struct buf b = { 0 };

	if (!(q->r->h.flags & LINUX_NLM_F_DUMP))
		return -LINUX_ENOENT;
	return nft_dumped(q, &b);
}

static const struct {
	long (*fn)(struct nfq *q);
	bool batch;
} msgs[NFT_MSG_COUNT] = {
	[NFT_NEWTABLE] = { nft_table_new_msg, true }, [NFT_GETTABLE] = { nft_table_get_msg, false },
	[NFT_DELTABLE] = { nft_table_del_msg, true }, [NFT_DESTROYTABLE] = { nft_table_del_msg, true },
	[NFT_NEWCHAIN] = { nft_chain_new_msg, true }, [NFT_GETCHAIN] = { nft_chain_get_msg, false },
	[NFT_DELCHAIN] = { nft_chain_del_msg, true }, [NFT_DESTROYCHAIN] = { nft_chain_del_msg, true },
	[NFT_NEWRULE] = { nft_rule_new_msg, true }, [NFT_GETRULE] = { nft_rule_get_msg, false },
	[NFT_DELRULE] = { nft_rule_del_msg, true }, [NFT_DESTROYRULE] = { nft_rule_del_msg, true },
	[NFT_GETRULE_RESET] = { nft_rule_get_msg, false },
	[NFT_NEWSET] = { nft_set_new_msg, true }, [NFT_GETSET] = { nft_set_get_msg, false },
	[NFT_DELSET] = { nft_set_del_msg, true }, [NFT_DESTROYSET] = { nft_set_del_msg, true },
	[NFT_NEWSETELEM] = { nft_elem_new_msg, true }, [NFT_GETSETELEM] = { nft_elem_get_msg, false },
	[NFT_DELSETELEM] = { nft_elem_del_msg, true }, [NFT_DESTROYSETELEM] = { nft_elem_del_msg, true },
	[NFT_GETGEN] = { gen_get, false },
	[NFT_NEWOBJ] = { nft_obj_new_msg, true }, [NFT_GETOBJ] = { nft_obj_get_msg, false },
	[NFT_GETOBJ_RESET] = { nft_obj_get_msg, false },
	[NFT_DELOBJ] = { nft_obj_del_msg, true }, [NFT_DESTROYOBJ] = { nft_obj_del_msg, true },
	[NFT_GETFLOWTABLE] = { nothing_here, false },
};

static bool req_init(struct nfq *q, struct nl_req *r)
{
	struct linux_nfgenmsg g;
	struct cursor c = r->body;
	const uint8_t *p = get_bytes(&c, sizeof(g));

	if (!p)
		return false;
	memcpy(&g, p, sizeof(g));
	*q = (struct nfq){ .r = r, .n = r->ns->nf->nft, .family = g.family, .attrs = c };
	return true;
}

static long compat_get(struct nfq *q)
{
	uint8_t family = q->family == NFPROTO_IPV6 ? NET_AF_INET6 : NET_AF_INET;
	struct linux_nfgenmsg g = { .family = q->family };
	uint32_t rev = 0, target = 0;
	struct nla tb[NFTA_COMPAT_TYPE + 1];
	char name[32] = "";
	struct buf b = { 0 };
	size_t at;

	if (nla_parse(q->attrs, tb, NFTA_COMPAT_TYPE) || !nla_has(&tb[NFTA_COMPAT_NAME]) || !nla_has(&tb[NFTA_COMPAT_REV]) ||
	    !nla_has(&tb[NFTA_COMPAT_TYPE]) || !nla_get_str(&tb[NFTA_COMPAT_NAME], name, sizeof(name)) ||
	    !nla_be32(&tb[NFTA_COMPAT_REV], &rev) || !nla_be32(&tb[NFTA_COMPAT_TYPE], &target))
		return -LINUX_EINVAL;
	if (xt_best_revision(family, name, target == 1) < 0)
		return -LINUX_ENOENT;
	if (!xt_find(family, name, (uint8_t)rev, target == 1))
		return -LINUX_EPROTONOSUPPORT;
	at = nl_answer(q->r, &b, NFNL_NFT_COMPAT << 8, 0);
	nlb_body(&b, &g);
	nla_put_str(&b, NFTA_COMPAT_NAME, name);
	nla_put_be32(&b, NFTA_COMPAT_REV, rev);
	nla_put_be32(&b, NFTA_COMPAT_TYPE, target);
	nlb_end(&b, at);
	return nl_reply(q->r, &b);
}

/* A single message: a question. */
static long nfnl_handle(struct nl_req *r)
{
	uint8_t subsys = (uint8_t)(r->h.type >> 8), msg = (uint8_t)r->h.type;
	struct nfq q;
	long ret;

	if (!nl_capable(r, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	if (!req_init(&q, r))
		return -LINUX_EINVAL;
	if (subsys != NFNL_NFTABLES && subsys != NFNL_NFT_COMPAT && subsys != NFNL_CTNETLINK && subsys != NFNL_CTNETLINK_EXP)
		return -LINUX_EINVAL;
	ret = sleep_lock_killable(&netlink_cfg);
	if (ret)
		return ret;
	q.rs = atomic_load(&q.n->cur);
	if (subsys == NFNL_CTNETLINK || subsys == NFNL_CTNETLINK_EXP)
		ret = subsys == NFNL_CTNETLINK ? ctnl_handle(r, msg, q.family, q.attrs) : nothing_here(&q);
	else if (subsys == NFNL_NFT_COMPAT)
		ret = msg ? -LINUX_EINVAL : compat_get(&q);
	else if (msg >= NFT_MSG_COUNT || !msgs[msg].fn || msgs[msg].batch)
		ret = -LINUX_EINVAL;
	else
		ret = msgs[msg].fn(&q);
	sleep_unlock(&netlink_cfg);
	return ret;
}

/* ---- batches ------------------------------------------------------------------------------------------------------------- */

struct ack {
	struct nl_req r;
	long err;
};
struct batch {
	struct nl_sock *nl;
	struct task *t;
	struct nft_ns *n;
	struct nft_ruleset *rs;
	struct buf events;
	struct ack *ack;
	unsigned nr_acks;
	bool failed;
	struct nl_req last;	/* the last rule or element: what fails in the check of the whole is put down to it */
};

static void note(struct batch *b, const struct nl_req *r, long err)
{
	b->failed |= err < 0;
	if ((!err && !(r->h.flags & LINUX_NLM_F_ACK)) || b->nr_acks == BATCH_ERRORS_MAX)
		return;
	b->ack[b->nr_acks++] = (struct ack){ *r, err };
}

static long change(struct batch *b, struct nl_req *r)
{
	uint8_t msg = (uint8_t)r->h.type;
	struct nfq q;

	if (r->h.type >> 8 != NFNL_NFTABLES)
		return -LINUX_EINVAL;
	if (!req_init(&q, r) || msg >= NFT_MSG_COUNT)
		return -LINUX_EINVAL;
	if (!msgs[msg].fn)
		return -LINUX_EOPNOTSUPP;
	if (!msgs[msg].batch)
		return -LINUX_EINVAL;
	q.rs = b->rs;
	q.events = &b->events;
	if (msg == NFT_NEWRULE || msg == NFT_NEWSETELEM)
		b->last = *r;
	return msgs[msg].fn(&q);
}

static long begin(struct batch *b, struct nl_req *r)
{
	struct nla tb[2];
	uint32_t gen = b->n->genid;
	struct nfq q;

	if (!nl_capable(r, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	if (!req_init(&q, r) || nla_parse(q.attrs, tb, 1) || !nla_be32(&tb[1], &gen))
		return -LINUX_EINVAL;
	if (gen != b->n->genid)
		return -LINUX_ERESTART;
	b->rs = nft_begin(b->n);
	return b->rs ? 0 : -LINUX_ENOMEM;
}

static long check_all(const struct nft_ruleset *rs, uint32_t batch)
{
	long ret = 0;

	for (uint32_t i = 0; i < rs->nr && !ret; i++)
		if (rs->table[i] && rs->table[i]->batch == batch)
			ret = nft_check_jumps(rs->table[i]);
	return ret;
}

static void finish(struct batch *b, struct nl_req *r, bool complete)
{
	struct nfq q = { .r = r, .n = b->n, .events = &b->events };
	long ret;

	if (b->rs && complete && !b->failed) {
		ret = check_all(b->rs, b->n->batch);
		if (ret && b->last.nl)
			r = &b->last;
		if (!ret)
			ret = nft_commit(b->n, b->rs);
		if (!ret) {
			b->rs = NULL;
			send_events(&q);
		} else {
			note(b, r, ret);
		}
	}
	nft_abort(b->rs);
	for (unsigned i = 0; i < b->nr_acks; i++)
		nl_acknowledge(&b->ack[i].r, b->ack[i].err);
}

static void run_batch(struct batch *b, const uint8_t *data, size_t len)
{
	struct nl_req r = { 0 }, first = { 0 };
	bool complete = false;
	long ret;

	for (bool head = true; len >= sizeof(struct linux_nlmsghdr) && !complete; head = false) {
		r = (struct nl_req){ .nl = b->nl, .t = b->t, .ns = b->nl->sk.net->stack, .msg = data };
		memcpy(&r.h, data, sizeof(r.h));
		if (r.h.len < sizeof(r.h) || r.h.len > len)
			break;
		r.body = cursor_make(data + sizeof(r.h), r.h.len - sizeof(r.h));
		if (head) {
			first = r;
			ret = begin(b, &r);
			if (ret) {
				nl_acknowledge(&r, ret);
				return;
			}
		} else if (r.h.type == NFNL_BATCH_END) {
			complete = true;
		} else if (r.h.type == NFNL_BATCH_BEGIN) {
			break;
		} else if (r.h.flags & LINUX_NLM_F_REQUEST) {
			note(b, &r, change(b, &r));
		}
		if (LINUX_NL_ALIGN((size_t)r.h.len) >= len)
			break;
		data += LINUX_NL_ALIGN(r.h.len);
		len -= LINUX_NL_ALIGN(r.h.len);
	}
	finish(b, &first, complete);
}

/* Takes a whole send when it is a batch. */
static bool nfnl_input(struct nl_sock *nl, struct task *t, const uint8_t *data, size_t len)
{
	struct batch b = { .nl = nl, .t = t, .n = nl->sk.net->stack->nf->nft };
	struct linux_nlmsghdr h;

	if (len < sizeof(h))
		return false;
	memcpy(&h, data, sizeof(h));
	if (h.type != NFNL_BATCH_BEGIN)
		return false;
	b.ack = malloc(BATCH_ERRORS_MAX * sizeof(b.ack[0]));
	if (!b.ack)
		return true;
	if (!sleep_lock_killable(&netlink_cfg)) {
		run_batch(&b, data, len);
		sleep_unlock(&netlink_cfg);
	}
	buf_fini(&b.events);
	free(b.ack);
	return true;
}

const struct netlink_proto netfilter_proto = {
	.protocol = LINUX_NETLINK_NETFILTER, .nr_groups = NFNLGRP_MAX, .handle = nfnl_handle, .input = nfnl_input,
};
