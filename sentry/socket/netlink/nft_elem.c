/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nft_elem.c - elements of nf_tables' sets over netlink
 */
#include "sentry/socket/netlink/nfnl.h"

#define ELEMS_PER_MSG_BYTES 3000	/* a dump's message is closed beyond this */

struct elems { /* the head of an element message */
	struct nft_table *t;
	struct nft_set *s;
	struct nla list;
};

static long elems_head(struct nfq *q, bool change, struct elems *e)
{
	struct nla tb[NFTA_SET_ELEM_LIST_SET_ID + 1];
	struct nfe x = { .q = q };
	long ret;

	if (nla_parse(q->attrs, tb, NFTA_SET_ELEM_LIST_SET_ID))
		return -LINUX_EINVAL;
	ret = change ? nft_table_mine(q, &tb[NFTA_SET_ELEM_LIST_TABLE], &e->t) : nft_table_by(q, &tb[NFTA_SET_ELEM_LIST_TABLE], &e->t);
	x.t = e->t;
	if (!ret)
		ret = nft_set_by(&x, &tb[NFTA_SET_ELEM_LIST_SET], &tb[NFTA_SET_ELEM_LIST_SET_ID], &e->s);
	if (!ret && change && !(e->s = nft_set_own(q->n, e->t, e->s)))
		ret = -LINUX_ENOMEM;
	e->list = tb[NFTA_SET_ELEM_LIST_ELEMENTS];
	return ret;
}

static bool key_parse(const struct nft_set *s, const struct nla *a, uint8_t *out)
{
	union nft_data d;

	if (nft_value_parse(a, &d) != (int)s->klen)
		return false;
	memcpy(out, d.b, s->klen);
	return true;
}

static long data_parse(struct nfe *x, const struct nft_set *s, const struct nla *a, struct nft_elem *e)
{
	struct nla tb[NFTA_DATA_VERDICT + 1];

	if (s->data_type == NFT_DATA_VERDICT)
		return nla_parse(nla_cursor(a), tb, NFTA_DATA_VERDICT) ? -LINUX_EINVAL :
		       nft_verdict_parse(x, &tb[NFTA_DATA_VERDICT], &e->data.v);
	return nft_value_parse(a, &e->data) == (int)s->dlen ? 0 : -LINUX_EINVAL;
}

static long objref_parse(struct nfe *x, const struct nft_set *s, const struct nla *a, struct nft_elem *e)
{
	char name[NFT_NAME_MAX] = "";
	struct nft_obj *o;

	if (!(s->flags & NFT_SET_OBJECT) || !nla_get_str(a, name, sizeof(name)))
		return -LINUX_EINVAL;
	o = nft_obj_find(x->t, name, s->obj_type);
	if (!o)
		return -LINUX_ENOENT;
	e->obj = o->slot;
	return 0;
}

static long times_parse(const struct nfq *q, const struct nft_set *s, const struct nla *tb, struct nft_elem *e)
{
	uint64_t timeout = s->timeout_ns / NET_MSEC, left = 0;

	if (!nla_be64(&tb[NFTA_SET_ELEM_TIMEOUT], &timeout) || timeout > UINT64_MAX / NET_MSEC / 4)
		return -LINUX_EINVAL;
	left = timeout;
	if (!nla_be64(&tb[NFTA_SET_ELEM_EXPIRATION], &left) || left > timeout)
		return -LINUX_EINVAL;
	if ((nla_has(&tb[NFTA_SET_ELEM_TIMEOUT]) && !(s->flags & NFT_SET_TIMEOUT)) || (e->flags & NFT_SET_ELEM_INTERVAL_END))
		return nla_has(&tb[NFTA_SET_ELEM_TIMEOUT]) ? -LINUX_EINVAL : 0;
	e->timeout_ns = timeout * NET_MSEC;
	e->expires_ns = timeout ? net_now(q->n->ns->stack) + left * NET_MSEC : 0;
	return 0;
}

/* What is said about one element. @making: with its data, else only what identifies it. */
static long elem_fields(struct nfe *x, const struct nft_set *s, const struct nla *tb, bool making, struct nft_elem *e)
{
	bool end, any;
	long ret = 0;

	if (!nla_be32(&tb[NFTA_SET_ELEM_FLAGS], &e->flags) || (e->flags & ~3u))
		return -LINUX_EINVAL;
	end = e->flags & NFT_SET_ELEM_INTERVAL_END;
	any = e->flags & NFT_SET_ELEM_CATCHALL;
	if ((end && !(s->flags & NFT_SET_INTERVAL)) || any == nla_has(&tb[NFTA_SET_ELEM_KEY]) ||
	    (!any && !key_parse(s, &tb[NFTA_SET_ELEM_KEY], e->key)))
		return -LINUX_EINVAL;
	e->has_end = nla_has(&tb[NFTA_SET_ELEM_KEY_END]);
	if (e->has_end && !key_parse(s, &tb[NFTA_SET_ELEM_KEY_END], e->key_end))
		return -LINUX_EINVAL;
	if (!making)
		return 0;
	e->has_data = nla_has(&tb[NFTA_SET_ELEM_DATA]);
	if (e->has_data != ((s->flags & NFT_SET_MAP) && !end))
		return -LINUX_EINVAL;
	if (e->has_data)
		ret = data_parse(x, s, &tb[NFTA_SET_ELEM_DATA], e);
	if (!ret && nla_has(&tb[NFTA_SET_ELEM_OBJREF]))
		ret = objref_parse(x, s, &tb[NFTA_SET_ELEM_OBJREF], e);
	if (!ret && nla_has(&tb[NFTA_SET_ELEM_EXPR]))
		ret = nft_expr_parse(x, &tb[NFTA_SET_ELEM_EXPR], &e->expr);
	if (!ret && e->expr && e->expr->type != NFTE_COUNTER && e->expr->type != NFTE_QUOTA && e->expr->type != NFTE_LIMIT)
		ret = -LINUX_EOPNOTSUPP;
	return ret ? ret : times_parse(x->q, s, tb, e);
}

static long elem_parse(struct nfe *x, const struct nft_set *s, const struct nla *a, bool making, struct nft_elem **out)
{
	struct nla tb[NFTA_SET_ELEM_MAX + 1];
	struct nft_elem *e;
	uint16_t un;
	long ret;

	if (nla_parse(nla_cursor(a), tb, NFTA_SET_ELEM_MAX))
		return -LINUX_EINVAL;
	un = nla_has(&tb[NFTA_SET_ELEM_USERDATA]) && making ? tb[NFTA_SET_ELEM_USERDATA].len : 0;
	if (un > NFT_UDATA_MAX)
		return -LINUX_EINVAL;
	e = calloc(1, sizeof(*e) + un);
	if (!e)
		return -LINUX_ENOMEM;
	ref_init(&e->ref, 1);
	e->obj = NFT_NO_SLOT;
	e->udata_len = un;
	if (un)
		memcpy(e->udata, tb[NFTA_SET_ELEM_USERDATA].p, un);
	ret = elem_fields(x, s, tb, making, e);
	if (ret)
		nft_elem_put(e);
	else
		*out = e;
	return ret;
}

/* Calls @fn for each element of the list. */
static long each_elem(struct nfq *q, struct elems *es, bool making, long (*fn)(struct nfq *, struct elems *, struct nft_elem *))
{
	struct cursor c = nla_cursor(&es->list);
	struct nfe x = { .q = q, .t = es->t };
	struct nft_elem *e;
	long ret = 0;

	while (!ret && cursor_left(&c) >= 4) {
		uint16_t len = get_le16(&c);
		struct nla a;

		get_le16(&c);
		a.len = (uint16_t)(len - 4);
		a.p = len >= 4 ? get_bytes(&c, a.len) : NULL;
		if (!a.p)
			return -LINUX_EINVAL;
		get_bytes(&c, MIN(LINUX_NL_ALIGN(len) - len, cursor_left(&c)));
		ret = elem_parse(&x, es->s, &a, making, &e);
		if (!ret)
			ret = fn(q, es, e);
	}
	return ret;
}

/* ---- showing -------------------------------------------------------------------------------------------------------------------- */

static void elem_fill(const struct nfq *q, struct buf *b, const struct nft_table *t, const struct nft_set *s, const struct nft_elem *e)
{
	size_t nest = nfa_nest(b, NFTA_LIST_ELEM);
	const struct nft_obj *o = nft_slot(&t->objs, e->obj);
	uint64_t now = net_now(q->n->ns->stack);
	union nft_data k = { 0 };

	if (!(e->flags & NFT_SET_ELEM_CATCHALL)) {
		memcpy(k.b, e->key, s->klen);
		nft_value_dump(b, NFTA_SET_ELEM_KEY, &k, s->klen);
	}
	if (e->has_end) {
		memcpy(k.b, e->key_end, s->klen);
		nft_value_dump(b, NFTA_SET_ELEM_KEY_END, &k, s->klen);
	}
	if (e->has_data && s->data_type == NFT_DATA_VERDICT)
		nft_verdict_dump(b, t, &e->data.v, NFTA_SET_ELEM_DATA);
	else if (e->has_data)
		nft_value_dump(b, NFTA_SET_ELEM_DATA, &e->data, s->dlen);
	if (e->expr)
		nft_expr_dump(b, t, e->expr, NFTA_SET_ELEM_EXPR);
	if (o)
		nla_put_str(b, NFTA_SET_ELEM_OBJREF, o->name);
	if (e->flags)
		nla_put_be32(b, NFTA_SET_ELEM_FLAGS, e->flags);
	if (e->timeout_ns && e->timeout_ns != s->timeout_ns)
		nla_put_be64(b, NFTA_SET_ELEM_TIMEOUT, e->timeout_ns / NET_MSEC);
	if (e->expires_ns)
		nla_put_be64(b, NFTA_SET_ELEM_EXPIRATION, e->expires_ns > now ? (e->expires_ns - now) / NET_MSEC : 0);
	if (e->udata_len)
		nla_put(b, NFTA_SET_ELEM_USERDATA, e->udata, e->udata_len);
	nla_nest_end(b, nest);
}

static size_t elems_open(const struct nfq *q, struct buf *b, uint8_t msg, const struct elems *es, size_t *list)
{
	size_t at = nft_msg_begin(q, b, msg, es->t->family, 0);

	nla_put_str(b, NFTA_SET_ELEM_LIST_TABLE, es->t->name);
	nla_put_str(b, NFTA_SET_ELEM_LIST_SET, es->s->name);
	*list = nfa_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	return at;
}

static void elem_event(struct nfq *q, uint8_t msg, const struct elems *es, const struct nft_elem *e)
{
	struct buf b = { 0 };
	size_t list, at;

	if (!(q->r->h.flags & LINUX_NLM_F_ECHO) && !nl_has_listeners(q->r->ns, LINUX_NETLINK_NETFILTER, NFNLGRP_NFTABLES))
		return;
	at = elems_open(q, &b, msg, es, &list);
	elem_fill(q, &b, es->t, es->s, e);
	nla_nest_end(&b, list);
	nlb_end(&b, at);
	nft_event(q, &b);
}

static long elems_dump(struct nfq *q, const struct elems *es)
{
	uint64_t now = net_now(q->n->ns->stack);
	struct buf b = { 0 };
	size_t list = 0, at = 0;
	bool open = false;

	for (uint32_t i = 0; i <= es->s->nr; i++) {
		const struct nft_elem *e = i < es->s->nr ? es->s->elem[i] : es->s->catchall;

		if (!e || !nft_elem_alive(e, now))
			continue;
		if (!open)
			at = elems_open(q, &b, NFT_NEWSETELEM, es, &list);
		open = true;
		elem_fill(q, &b, es->t, es->s, e);
		if (b.len - at > ELEMS_PER_MSG_BYTES) {
			nla_nest_end(&b, list);
			nlb_end(&b, at);
			open = false;
		}
	}
	if (open) {
		nla_nest_end(&b, list);
		nlb_end(&b, at);
	}
	return nft_dumped(q, &b);
}

static long show_one(struct nfq *q, struct elems *es, struct nft_elem *k)
{
	const struct nft_elem *e = nft_set_lookup(es->s, k->key, net_now(q->n->ns->stack));
	struct buf b = { 0 };
	size_t list, at;

	nft_elem_put(k);
	if (!e)
		return -LINUX_ENOENT;
	at = elems_open(q, &b, NFT_NEWSETELEM, es, &list);
	elem_fill(q, &b, es->t, es->s, e);
	nla_nest_end(&b, list);
	nlb_end(&b, at);
	return nft_answer(q, &b);
}

long nft_elem_get_msg(struct nfq *q)
{
	struct elems es = { 0 };
	long ret = elems_head(q, false, &es);

	if (ret)
		return ret;
	if (q->r->h.flags & LINUX_NLM_F_DUMP)
		return elems_dump(q, &es);
	return nla_has(&es.list) ? each_elem(q, &es, false, show_one) : -LINUX_EINVAL;
}

/* ---- changes ---------------------------------------------------------------------------------------------------------------------- */

static long add_catchall(struct nfq *q, struct elems *es, struct nft_elem *e)
{
	if (es->s->catchall) {
		nft_elem_put(e);
		return q->r->h.flags & NLM_F_EXCL ? -LINUX_EEXIST : 0;
	}
	es->s->catchall = e;
	nft_elem_ref(q->n, es->t, es->s, e, 1);
	elem_event(q, NFT_NEWSETELEM, es, e);
	return 0;
}

static long add_one(struct nfq *q, struct elems *es, struct nft_elem *e)
{
	struct nft_elem *old;
	uint32_t at;
	long ret;

	if (e->flags & NFT_SET_ELEM_CATCHALL)
		return add_catchall(q, es, e);
	old = nft_set_exact(es->s, e, &at);
	if (old) {
		/* there already: fine if it is the same */
		ret = q->r->h.flags & NLM_F_EXCL ? -LINUX_EEXIST :
		      e->has_data && memcmp(&e->data, &old->data, sizeof(e->data)) ? -LINUX_EBUSY : 0;
		nft_elem_put(e);
		return ret;
	}
	ret = nft_set_insert(es->s, e);
	if (ret) {
		nft_elem_put(e);
		return ret;
	}
	nft_elem_ref(q->n, es->t, es->s, e, 1);
	elem_event(q, NFT_NEWSETELEM, es, e);
	return 0;
}

long nft_elem_new_msg(struct nfq *q)
{
	struct elems es = { 0 };
	long ret = elems_head(q, true, &es);

	if (ret)
		return ret;
	/* an anonymous set is made with its rule and stays as it is */
	if ((es.s->flags & NFT_SET_CONSTANT) && es.t->sets.use[es.s->slot])
		return -LINUX_EBUSY;
	return nla_has(&es.list) ? each_elem(q, &es, true, add_one) : -LINUX_EINVAL;
}

static void remove_at(struct nfq *q, struct elems *es, uint32_t at)
{
	elem_event(q, NFT_DELSETELEM, es, es->s->elem[at]);
	nft_elem_ref(q->n, es->t, es->s, es->s->elem[at], -1);
	nft_set_remove(es->s, at);
}

static long del_catchall(struct nfq *q, struct elems *es)
{
	if (!es->s->catchall)
		return -LINUX_ENOENT;
	elem_event(q, NFT_DELSETELEM, es, es->s->catchall);
	nft_elem_ref(q->n, es->t, es->s, es->s->catchall, -1);
	nft_elem_put(es->s->catchall);
	es->s->catchall = NULL;
	return 0;
}

static long del_one(struct nfq *q, struct elems *es, struct nft_elem *k)
{
	bool quiet = (q->r->h.type & 0xff) == NFT_DESTROYSETELEM, hit;
	bool any = k->flags & NFT_SET_ELEM_CATCHALL;
	uint32_t at = 0;

	hit = !any && nft_set_exact(es->s, k, &at);
	nft_elem_put(k);
	if (any)
		return del_catchall(q, es);
	if (!hit)
		return quiet ? 0 : -LINUX_ENOENT;
	remove_at(q, es, at);
	return 0;
}

long nft_elem_del_msg(struct nfq *q)
{
	struct elems es = { 0 };
	long ret = elems_head(q, true, &es);

	if (ret)
		return ret;
	if ((es.s->flags & NFT_SET_CONSTANT) && es.t->sets.use[es.s->slot])
		return -LINUX_EBUSY;
	if (nla_has(&es.list))
		return each_elem(q, &es, false, del_one);
	while (es.s->nr)
		remove_at(q, &es, es.s->nr - 1);
	if (es.s->catchall)
		del_catchall(q, &es);
	return 0;
}
