/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/ipt_table.c - the tables of a namespace: making, replacing, showing
 *
 * Locks:   nf_ns.ipt_mu.
 */
#include "sentry/net/nf/ipt.h"

#define H(h) (1u << NF_##h)
const struct ipt_table_desc ipt_tables[XT_TABLES] = {
	[XT_RAW] = { "raw", H(PRE_ROUTING) | H(LOCAL_OUT), -300 },
	[XT_MANGLE] = { "mangle", H(PRE_ROUTING) | H(LOCAL_IN) | H(FORWARD) | H(LOCAL_OUT) | H(POST_ROUTING), -150 },
	[XT_NAT] = { "nat", H(PRE_ROUTING) | H(LOCAL_IN) | H(LOCAL_OUT) | H(POST_ROUTING), 0 },
	[XT_FILTER] = { "filter", H(LOCAL_IN) | H(FORWARD) | H(LOCAL_OUT), 0 },
};

static struct ipt_table *_Atomic *slot_of(struct net_ns *ns, uint8_t family, unsigned id)
{
	return &ns->nf->ipt[family == NET_AF_INET6][id];
}

static int table_id(const char *name)
{
	for (int i = 0; i < XT_TABLES; i++)
		if (!strncmp(ipt_tables[i].name, name, LINUX_XT_TABLE_NAME_MAX))
			return i;
	return -1;
}

/* ---- a table without rules: a policy per hook, and the end mark ---------------------------------------------------- */

static uint32_t put_entry(uint8_t *blob, uint32_t off, uint8_t family, const void *target, uint32_t size)
{
	uint32_t head = (uint32_t)ipt_entry_size(family);

	if (family == NET_AF_INET) {
		struct linux_ipt_entry *e = (void *)(blob + off);

		e->target_offset = (uint16_t)head;
		e->next_offset = (uint16_t)(head + size);
	} else {
		struct linux_ip6t_entry *e = (void *)(blob + off);

		e->target_offset = (uint16_t)head;
		e->next_offset = (uint16_t)(head + size);
	}
	memcpy(blob + off + head, target, size);
	return off + head + size;
}

static int blank_table(struct net_ns *ns, uint8_t family, unsigned id, struct ipt_table **out)
{
	struct linux_xt_standard_target s = { .h.size = sizeof(s), .verdict = -NF_ACCEPT - 1 };
	struct linux_xt_error_target e = { .h = { .size = sizeof(e), .name = LINUX_XT_ERROR_TARGET }, .name = LINUX_XT_ERROR_TARGET };
	struct linux_ipt_replace r = { .valid_hooks = ipt_tables[id].hooks };
	_Alignas(8) uint8_t blob[6 * (sizeof(struct linux_ip6t_entry) + sizeof(e))] = { 0 };

	for (unsigned h = 0; h < 5; h++) {
		if (!(r.valid_hooks & 1u << h))
			continue;
		r.hook_entry[h] = r.underflow[h] = r.size;
		r.size = put_entry(blob, r.size, family, &s, sizeof(s));
		r.num_entries++;
	}
	r.size = put_entry(blob, r.size, family, &e, sizeof(e));
	r.num_entries++;
	return ipt_table_build(ns, family, (uint8_t)id, &r, blob, out);
}

static int table_get_locked(struct net_ns *ns, uint8_t family, const char *name, struct ipt_table **out)
{
	int id = table_id(name), ret = 0;
	struct ipt_table *t;

	if (id < 0)
		return -LINUX_ENOENT;
	t = *slot_of(ns, family, (unsigned)id);
	if (!t) {
		ret = blank_table(ns, family, (unsigned)id, &t);
		if (!ret)
			atomic_store(slot_of(ns, family, (unsigned)id), t);
	}
	*out = t;
	return ret;
}

/* ---- hooks ------------------------------------------------------------------------------------------------------------ */

/* Nothing but policies that accept: packets need not come here. */
static bool is_blank(const struct ipt_table *t)
{
	if (t->info.num_entries != (uint32_t)__builtin_popcount(t->info.valid_hooks) + 1)
		return false;
	for (unsigned h = 0; h < 5; h++)
		if ((t->info.valid_hooks & 1u << h) && t->rule[t->underflow_rule[h]].verdict != -NF_ACCEPT - 1)
			return false;
	return true;
}

static void detach_hooks(struct net_ns *ns, uint8_t family, unsigned id, unsigned n)
{
	void *priv = slot_of(ns, family, id);

	for (unsigned h = 0; h < n; h++) {
		if (!(ipt_tables[id].hooks & 1u << h))
			continue;
		if (id == XT_NAT)
			nf_nat_unregister(ns, family, (enum nf_hooknum)h, ipt_hook, priv);
		else
			nf_unregister(ns, family, (enum nf_hooknum)h, ipt_hook, priv);
	}
}

static int attach_hooks(struct net_ns *ns, uint8_t family, unsigned id)
{
	void *priv = slot_of(ns, family, id);
	int ret = 0;

	for (unsigned h = 0; h < 5 && !ret; h++) {
		if (!(ipt_tables[id].hooks & 1u << h))
			continue;
		if (id == XT_NAT)
			ret = nf_nat_register(ns, family, (enum nf_hooknum)h, nf_manip_of(h) == NF_MANIP_DST ? -100 : 100, ipt_hook, priv);
		else
			ret = nf_register(ns, family, (enum nf_hooknum)h, ipt_tables[id].priority, ipt_hook, priv);
		if (ret)
			detach_hooks(ns, family, id, h);
	}
	return ret;
}

static bool needs_ct(const struct ipt_table *t)
{
	return !is_blank(t) && (t->nr_ct || t->id == XT_NAT);
}

/* What @t needs is there before packets see it. */
static int table_activate(struct ipt_table *t, const struct ipt_table *old)
{
	int ret = 0;

	if (needs_ct(t))
		ret = nf_ct_want(t->ns, t->family, t->id == XT_NAT);
	if (!ret && !is_blank(t) && is_blank(old)) {
		ret = attach_hooks(t->ns, t->family, t->id);
		if (ret && needs_ct(t))
			nf_ct_unwant(t->ns, t->family, t->id == XT_NAT);
	}
	return ret;
}

static void table_retire(struct ipt_table *old, const struct ipt_table *t)
{
	if (!is_blank(old) && (!t || is_blank(t)))
		detach_hooks(old->ns, old->family, old->id, 5);
	if (needs_ct(old))
		nf_ct_unwant(old->ns, old->family, old->id == XT_NAT);
}

static void table_free_rcu(struct net_rcu *r)
{
	ipt_table_free(container_of(r, struct ipt_table, rcu));
}

void ipt_ns_fini(struct net_ns *ns)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned id = 0; id < XT_TABLES; id++)
			ipt_table_free(ns->nf->ipt[v6][id]);
}

/* ---- what user space calls --------------------------------------------------------------------------------------------- */

int ipt_get_info(struct net_ns *ns, uint8_t family, struct linux_ipt_getinfo *io)
{
	struct ipt_table *t;
	int ret;

	mutex_lock(&ns->nf->ipt_mu);
	ret = table_get_locked(ns, family, io->name, &t);
	if (!ret)
		*io = t->info;
	mutex_unlock(&ns->nf->ipt_mu);
	return ret;
}

static void read_counters(const struct ipt_rule *r, struct linux_xt_counters *c)
{
	c->packets = atomic_load(&((struct ipt_rule *)r)->packets);
	c->bytes = atomic_load(&((struct ipt_rule *)r)->bytes);
}

int ipt_get_entries(struct net_ns *ns, uint8_t family, const char *name, uint32_t size, void *out)
{
	struct ipt_table *t;
	int ret;

	mutex_lock(&ns->nf->ipt_mu);
	ret = table_get_locked(ns, family, name, &t);
	if (!ret && t->info.size != size)
		ret = -LINUX_EAGAIN;
	if (!ret) {
		memcpy(out, t->blob, size);
		for (uint32_t i = 0; i < t->info.num_entries; i++)
			read_counters(&t->rule[i], ipt_view(family, (uint8_t *)out + t->rule[i].off).counters);
	}
	mutex_unlock(&ns->nf->ipt_mu);
	return ret;
}

static int swap_in_locked(struct ipt_table *t, uint32_t nr_counters, struct linux_xt_counters **out_old)
{
	struct linux_xt_counters *c;
	struct ipt_table *old;
	int ret = table_get_locked(t->ns, t->family, t->info.name, &old);

	if (ret)
		return ret;
	if (t->info.valid_hooks != old->info.valid_hooks)
		return -LINUX_EINVAL;
	if (nr_counters != old->info.num_entries)
		return -LINUX_EAGAIN;
	c = calloc(nr_counters, sizeof(*c));
	if (!c)
		return -LINUX_ENOMEM;
	ret = table_activate(t, old);
	if (ret) {
		free(c);
		return ret;
	}
	atomic_store_explicit(slot_of(t->ns, t->family, t->id), t, memory_order_release);
	table_retire(old, t);
	for (uint32_t i = 0; i < nr_counters; i++)
		read_counters(&old->rule[i], &c[i]);
	net_rcu_free(t->ns->stack, &old->rcu, table_free_rcu);
	*out_old = c;
	return 0;
}

int ipt_replace(struct net_ns *ns, uint8_t family, const void *data, uint32_t len, struct linux_xt_counters **out_old)
{
	struct linux_ipt_replace r;
	struct ipt_table *t;
	int id, ret;

	if (len < sizeof(r))
		return -LINUX_EINVAL;
	memcpy(&r, data, sizeof(r));
	r.name[sizeof(r.name) - 1] = '\0';
	if (r.size > IPT_BLOB_MAX || len != sizeof(r) + r.size || !r.num_entries || !r.num_counters)
		return -LINUX_EINVAL;
	id = table_id(r.name);
	if (id < 0)
		return -LINUX_ENOENT;
	if (r.valid_hooks != ipt_tables[id].hooks)
		return -LINUX_EINVAL;
	ret = ipt_table_build(ns, family, (uint8_t)id, &r, (const uint8_t *)data + sizeof(r), &t);
	if (ret)
		return ret;
	mutex_lock(&ns->nf->ipt_mu);
	ret = swap_in_locked(t, r.num_counters, out_old);
	mutex_unlock(&ns->nf->ipt_mu);
	if (ret)
		ipt_table_free(t);
	return ret;
}

int ipt_add_counters(struct net_ns *ns, uint8_t family, const void *data, uint32_t len)
{
	struct linux_xt_counters_info h;
	struct linux_xt_counters c;
	struct ipt_table *t;
	int ret;

	if (len < sizeof(h))
		return -LINUX_EINVAL;
	memcpy(&h, data, sizeof(h));
	h.name[sizeof(h.name) - 1] = '\0';
	if (h.num_counters > IPT_BLOB_MAX || len != sizeof(h) + (uint64_t)h.num_counters * sizeof(c))
		return -LINUX_EINVAL;
	mutex_lock(&ns->nf->ipt_mu);
	ret = table_get_locked(ns, family, h.name, &t);
	if (!ret && t->info.num_entries != h.num_counters)
		ret = -LINUX_EINVAL;
	for (uint32_t i = 0; !ret && i < h.num_counters; i++) {
		memcpy(&c, (const uint8_t *)data + sizeof(h) + i * sizeof(c), sizeof(c));
		atomic_fetch_add(&t->rule[i].packets, c.packets);
		atomic_fetch_add(&t->rule[i].bytes, c.bytes);
	}
	mutex_unlock(&ns->nf->ipt_mu);
	return ret;
}

const char *ipt_table_name(struct net_ns *ns, uint8_t family, unsigned n)
{
	for (unsigned id = 0; id < XT_TABLES; id++)
		if (atomic_load(slot_of(ns, family, id)) && !n--)
			return ipt_tables[id].name;
	return NULL;
}
