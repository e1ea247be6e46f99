/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nft_obj.c - nf_tables' named objects over netlink: counters, quotas, limits
 */
#include "sentry/socket/netlink/nfnl.h"

static void obj_fill(const struct nfq *q, struct buf *b, uint8_t msg, const struct nft_table *t, const struct nft_obj *o)
{
	size_t at = nft_msg_begin(q, b, msg, t->family, 0), nest;

	nla_put_str(b, NFTA_OBJ_TABLE, t->name);
	nla_put_str(b, NFTA_OBJ_NAME, o->name);
	nla_put_be32(b, NFTA_OBJ_TYPE, o->type);
	nla_put_be64(b, NFTA_OBJ_HANDLE, o->handle);
	nla_put_be32(b, NFTA_OBJ_USE, t->objs.use[o->slot]);
	nest = nfa_nest(b, NFTA_OBJ_DATA);
	nft_expr_dump_inner(b, t, o->state);
	nla_nest_end(b, nest);
	if (o->udata_len)
		nla_put(b, NFTA_OBJ_USERDATA, o->udata, o->udata_len);
	nlb_end(b, at);
}

static void obj_event(struct nfq *q, uint8_t msg, const struct nft_table *t, const struct nft_obj *o)
{
	struct buf b = { 0 };

	obj_fill(q, &b, msg, t, o);
	nft_event(q, &b);
}

static long obj_attrs(struct nfq *q, struct nla *tb, char *name, uint32_t *type, uint64_t *handle)
{
	if (nla_parse(q->attrs, tb, NFTA_OBJ_MAX) || !nla_get_str(&tb[NFTA_OBJ_NAME], name, NFT_NAME_MAX) ||
	    !nla_be32(&tb[NFTA_OBJ_TYPE], type) || !nla_be64(&tb[NFTA_OBJ_HANDLE], handle))
		return -LINUX_EINVAL;
	return 0;
}

long nft_obj_new_msg(struct nfq *q)
{
	struct nla tb[NFTA_OBJ_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	struct nfe x = { .q = q };
	uint64_t handle = 0;
	uint32_t type = 0;
	struct nft_obj *o;
	long ret = obj_attrs(q, tb, name, &type, &handle);

	if (!ret && (!name[0] || !type || !nla_has(&tb[NFTA_OBJ_DATA])))
		ret = -LINUX_EINVAL;
	if (!ret)
		ret = nft_table_mine(q, &tb[NFTA_OBJ_TABLE], &x.t);
	if (ret)
		return ret;
	if (nft_obj_find(x.t, name, type))
		return q->r->h.flags & NLM_F_EXCL ? -LINUX_EEXIST : q->r->h.flags & NLM_F_REPLACE ? -LINUX_EOPNOTSUPP : 0;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -LINUX_ENOMEM;
	ref_init(&o->ref, 1);
	strcpy(o->name, name);
	o->type = type;
	if (!nft_get_udata(&tb[NFTA_OBJ_USERDATA], o->udata, &o->udata_len))
		ret = -LINUX_EINVAL;
	if (!ret)
		ret = nft_state_parse(&x, type, &tb[NFTA_OBJ_DATA], &o->state);
	if (!ret && !nft_slot_take(&x.t->objs, o, &o->slot))
		ret = -LINUX_ENOSPC;
	if (ret) {
		nft_obj_put(o);
		return ret;
	}
	o->handle = ++x.t->next_handle;
	obj_event(q, NFT_NEWOBJ, x.t, o);
	return 0;
}

long nft_obj_del_msg(struct nfq *q)
{
	bool quiet = (q->r->h.type & 0xff) == NFT_DESTROYOBJ;
	struct nla tb[NFTA_OBJ_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	struct nft_table *t;
	uint64_t handle = 0;
	uint32_t type = 0;
	struct nft_obj *o;
	long ret = obj_attrs(q, tb, name, &type, &handle);

	if (!ret)
		ret = nft_table_mine(q, &tb[NFTA_OBJ_TABLE], &t);
	if (ret)
		return ret;
	o = handle ? (struct nft_obj *)nft_by_handle(&t->objs, handle) : nft_obj_find(t, name, type);
	if (!o)
		return quiet ? 0 : -LINUX_ENOENT;
	if (t->objs.use[o->slot])
		return -LINUX_EBUSY;
	obj_event(q, NFT_DELOBJ, t, o);
	return nft_obj_del(t, o);
}

static void obj_show(struct nfq *q, struct buf *b, const struct nft_table *t, const struct nft_obj *o)
{
	obj_fill(q, b, NFT_NEWOBJ, t, o);
	if ((q->r->h.type & 0xff) == NFT_GETOBJ_RESET && o->type != NFT_OBJ_LIMIT) {
		atomic_store(&o->state->packets, 0);
		atomic_store(&o->state->bytes, 0);
	}
}

long nft_obj_get_msg(struct nfq *q)
{
	struct nla tb[NFTA_OBJ_MAX + 1];
	char name[NFT_NAME_MAX] = "", table[NFT_NAME_MAX] = "";
	struct nft_table *t, **all;
	struct nft_named **v;
	struct buf b = { 0 };
	uint64_t handle = 0;
	uint32_t type = 0, n = 0, k = 0;
	struct nft_obj *o;
	long ret = obj_attrs(q, tb, name, &type, &handle);

	if (ret || !nla_get_str(&tb[NFTA_OBJ_TABLE], table, sizeof(table)))
		return -LINUX_EINVAL;
	if (q->r->h.flags & LINUX_NLM_F_DUMP) {
		all = nft_tables_by_age(q, &n);
		for (uint32_t i = 0; i < n; i++) {
			v = nft_by_age(&all[i]->objs, &k);
			for (uint32_t j = 0; j < k; j++)
				if ((!table[0] || !strcmp(table, all[i]->name)) && (!type || type == ((struct nft_obj *)v[j])->type))
					obj_show(q, &b, all[i], (struct nft_obj *)v[j]);
			free(v);
		}
		free(all);
		return nft_dumped(q, &b);
	}
	ret = nft_table_by(q, &tb[NFTA_OBJ_TABLE], &t);
	if (ret)
		return ret;
	o = nft_obj_find(t, name, type);
	if (!o)
		return -LINUX_ENOENT;
	obj_show(q, &b, t, o);
	return nft_answer(q, &b);
}
