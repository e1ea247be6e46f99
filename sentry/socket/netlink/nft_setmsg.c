/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nft_setmsg.c - nf_tables' sets and maps over netlink
 *
 * Differs: rules cannot add elements (dynset).
 */
#include "sentry/socket/netlink/nfnl.h"

#include <stdio.h>

static void desc_fill(struct buf *b, const struct nft_set *s)
{
	size_t nest = nfa_nest(b, NFTA_SET_DESC), list, one;

	if (s->size)
		nla_put_be32(b, NFTA_SET_DESC_SIZE, s->size);
	if (s->nr_fields > 1) {
		list = nfa_nest(b, NFTA_SET_DESC_CONCAT);
		for (unsigned i = 0; i < s->nr_fields; i++) {
			one = nfa_nest(b, NFTA_LIST_ELEM);
			nla_put_be32(b, NFTA_SET_FIELD_LEN, s->field[i]);
			nla_nest_end(b, one);
		}
		nla_nest_end(b, list);
	}
	nla_nest_end(b, nest);
}

static void set_fill(const struct nfq *q, struct buf *b, uint8_t msg, const struct nft_table *t, const struct nft_set *s)
{
	size_t at = nft_msg_begin(q, b, msg, t->family, 0);

	nla_put_str(b, NFTA_SET_TABLE, t->name);
	nla_put_str(b, NFTA_SET_NAME, s->name);
	nla_put_be64(b, NFTA_SET_HANDLE, s->handle);
	if (s->flags)
		nla_put_be32(b, NFTA_SET_FLAGS, s->flags);
	nla_put_be32(b, NFTA_SET_KEY_TYPE, s->key_type);
	nla_put_be32(b, NFTA_SET_KEY_LEN, s->klen);
	if (s->flags & NFT_SET_MAP) {
		nla_put_be32(b, NFTA_SET_DATA_TYPE, s->data_type);
		nla_put_be32(b, NFTA_SET_DATA_LEN, s->dlen);
	}
	if (s->flags & NFT_SET_OBJECT)
		nla_put_be32(b, NFTA_SET_OBJ_TYPE, s->obj_type);
	if (s->timeout_ns)
		nla_put_be64(b, NFTA_SET_TIMEOUT, s->timeout_ns / NET_MSEC);
	if (s->gc_ms)
		nla_put_be32(b, NFTA_SET_GC_INTERVAL, s->gc_ms);
	if (s->policy)
		nla_put_be32(b, NFTA_SET_POLICY, s->policy);
	if (s->udata_len)
		nla_put(b, NFTA_SET_USERDATA, s->udata, s->udata_len);
	desc_fill(b, s);
	nlb_end(b, at);
}

static void set_event(struct nfq *q, uint8_t msg, const struct nft_table *t, const struct nft_set *s)
{
	struct buf b = { 0 };

	set_fill(q, &b, msg, t, s);
	nft_event(q, &b);
}

/* ---- making ------------------------------------------------------------------------------------------------------------------ */

static bool fields_parse(const struct nla *a, struct nft_set *s)
{
	struct cursor c = nla_cursor(a);
	uint32_t total = 0;

	while (cursor_left(&c) >= 4) {
		uint16_t len = get_le16(&c);
		struct nla one, tb[NFTA_SET_FIELD_LEN + 1];
		uint32_t n = 0;

		get_le16(&c);
		one.len = (uint16_t)(len - 4);
		one.p = len >= 4 ? get_bytes(&c, one.len) : NULL;
		if (!one.p || nla_parse(nla_cursor(&one), tb, NFTA_SET_FIELD_LEN) || !nla_be32(&tb[NFTA_SET_FIELD_LEN], &n) || !n || n > 64 ||
		    s->nr_fields == ARRAY_SIZE(s->field))
			return false;
		get_bytes(&c, MIN(LINUX_NL_ALIGN(len) - len, cursor_left(&c)));
		s->field[s->nr_fields++] = (uint8_t)n;
		total += ALIGN_UP(n, 4u);
	}
	return !s->nr_fields || total <= NFT_DATA_MAX;
}

static bool desc_parse(const struct nla *a, struct nft_set *s)
{
	struct nla tb[NFTA_SET_DESC_CONCAT + 1];

	if (!nla_has(a))
		return true;
	return !nla_parse(nla_cursor(a), tb, NFTA_SET_DESC_CONCAT) && nla_be32(&tb[NFTA_SET_DESC_SIZE], &s->size) &&
	       fields_parse(&tb[NFTA_SET_DESC_CONCAT], s);
}

static long set_parse(const struct nla *tb, struct nft_set *s)
{
	uint64_t timeout_ms = 0;

	if (!nla_has(&tb[NFTA_SET_KEY_LEN]) || !nla_be32(&tb[NFTA_SET_KEY_LEN], &s->klen) || !s->klen || s->klen > NFT_DATA_MAX ||
	    !nla_be32(&tb[NFTA_SET_FLAGS], &s->flags) || !nla_be32(&tb[NFTA_SET_KEY_TYPE], &s->key_type) ||
	    !nla_be32(&tb[NFTA_SET_DATA_TYPE], &s->data_type) || !nla_be32(&tb[NFTA_SET_DATA_LEN], &s->dlen) || s->dlen > NFT_DATA_MAX ||
	    !nla_be32(&tb[NFTA_SET_POLICY], &s->policy) || !nla_be32(&tb[NFTA_SET_ID], &s->id) ||
	    !nla_be32(&tb[NFTA_SET_GC_INTERVAL], &s->gc_ms) || !nla_be64(&tb[NFTA_SET_TIMEOUT], &timeout_ms) ||
	    !nla_be32(&tb[NFTA_SET_OBJ_TYPE], &s->obj_type) || !desc_parse(&tb[NFTA_SET_DESC], s) ||
	    !nft_get_udata(&tb[NFTA_SET_USERDATA], s->udata, &s->udata_len))
		return -LINUX_EINVAL;
	if ((s->flags & ~(uint32_t)NFT_SET_FLAGS_KNOWN) || timeout_ms > UINT64_MAX / NET_MSEC / 2 ||
	    ((s->flags & NFT_SET_MAP) && (s->flags & NFT_SET_OBJECT)))
		return -LINUX_EOPNOTSUPP;
	if (!(s->flags & NFT_SET_MAP) != !nla_has(&tb[NFTA_SET_DATA_TYPE]))
		return -LINUX_EINVAL;
	if ((s->flags & NFT_SET_MAP) && s->data_type != NFT_DATA_VERDICT && !s->dlen)
		return -LINUX_EINVAL;
	if ((s->flags & NFT_SET_OBJECT) && !s->obj_type)
		return -LINUX_EINVAL;
	s->timeout_ns = timeout_ms * NET_MSEC;
	s->has_expr = nla_has(&tb[NFTA_SET_EXPR]) || nla_has(&tb[NFTA_SET_EXPRESSIONS]);
	return s->has_expr ? -LINUX_EOPNOTSUPP : 0;
}

/* "__set%d": the number is ours to choose. */
static long set_name(const struct nft_table *t, struct nft_set *s, const char *want)
{
	const char *p = strchr(want, '%');

	if (!p) {
		strcpy(s->name, want);
		return 0;
	}
	if (p[1] != 'd' || strchr(p + 2, '%') || strlen(want) > 32)
		return -LINUX_EINVAL;
	for (unsigned i = 0; i <= NFT_SLOTS_MAX; i++) {
		snprintf(s->name, sizeof(s->name), "%.*s%u%s", (int)(p - want), want, i, p + 2);
		if (!nft_set_find(t, s->name))
			return 0;
	}
	return -LINUX_ENFILE;
}

long nft_set_new_msg(struct nfq *q)
{
	struct nla tb[NFTA_SET_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	struct nft_table *t;
	struct nft_set *s;
	long ret;

	if (nla_parse(q->attrs, tb, NFTA_SET_MAX) || !nla_has(&tb[NFTA_SET_NAME]) || !nla_get_str(&tb[NFTA_SET_NAME], name, sizeof(name)) ||
	    !name[0])
		return -LINUX_EINVAL;
	ret = nft_table_mine(q, &tb[NFTA_SET_TABLE], &t);
	if (ret)
		return ret;
	if (nft_set_find(t, name))
		return q->r->h.flags & NLM_F_EXCL ? -LINUX_EEXIST : q->r->h.flags & NLM_F_REPLACE ? -LINUX_EOPNOTSUPP : 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -LINUX_ENOMEM;
	ref_init(&s->ref, 1);
	s->batch = q->n->batch;
	ret = set_parse(tb, s);
	if (!ret)
		ret = set_name(t, s, name);
	if (!ret && !nft_slot_take(&t->sets, s, &s->slot))
		ret = -LINUX_ENOSPC;
	if (ret) {
		nft_set_put(s);
		return ret;
	}
	s->handle = ++t->next_handle;
	set_event(q, NFT_NEWSET, t, s);
	return 0;
}

long nft_set_del_msg(struct nfq *q)
{
	bool quiet = (q->r->h.type & 0xff) == NFT_DESTROYSET;
	struct nla tb[NFTA_SET_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	struct nft_table *t;
	uint64_t handle = 0;
	struct nft_set *s;
	long ret;

	if (nla_parse(q->attrs, tb, NFTA_SET_MAX) || !nla_get_str(&tb[NFTA_SET_NAME], name, sizeof(name)) ||
	    !nla_be64(&tb[NFTA_SET_HANDLE], &handle))
		return -LINUX_EINVAL;
	ret = nft_table_mine(q, &tb[NFTA_SET_TABLE], &t);
	if (ret)
		return ret;
	s = handle ? (struct nft_set *)nft_by_handle(&t->sets, handle) : nft_set_find(t, name);
	if (!s)
		return quiet ? 0 : -LINUX_ENOENT;
	if (t->sets.use[s->slot])
		return -LINUX_EBUSY;
	set_event(q, NFT_DELSET, t, s);
	return nft_set_del(q->n, t, s);
}

long nft_set_get_msg(struct nfq *q)
{
	char name[NFT_NAME_MAX] = "", table[NFT_NAME_MAX] = "";
	struct nla tb[NFTA_SET_MAX + 1];
	struct nft_table *t, **all;
	struct nft_named **v;
	struct buf b = { 0 };
	uint32_t n = 0, k = 0;
	struct nft_set *s;
	long ret;

	if (nla_parse(q->attrs, tb, NFTA_SET_MAX) || !nla_get_str(&tb[NFTA_SET_NAME], name, sizeof(name)) ||
	    !nla_get_str(&tb[NFTA_SET_TABLE], table, sizeof(table)))
		return -LINUX_EINVAL;
	if (q->r->h.flags & LINUX_NLM_F_DUMP) {
		all = nft_tables_by_age(q, &n);
		for (uint32_t i = 0; i < n; i++) {
			v = nft_by_age(&all[i]->sets, &k);
			for (uint32_t j = 0; j < k; j++)
				if (!table[0] || !strcmp(table, all[i]->name))
					set_fill(q, &b, NFT_NEWSET, all[i], (struct nft_set *)v[j]);
			free(v);
		}
		free(all);
		return nft_dumped(q, &b);
	}
	ret = nft_table_by(q, &tb[NFTA_SET_TABLE], &t);
	if (ret)
		return ret;
	s = nft_set_find(t, name);
	if (!s)
		return -LINUX_ENOENT;
	set_fill(q, &b, NFT_NEWSET, t, s);
	return nft_answer(q, &b);
}
