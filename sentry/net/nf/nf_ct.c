/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nf_ct.c - tracked connections: the table, lookup, confirmation, expiry
 *
 * Locks:   a bucket's lock is locks[hash % NF_CT_LOCKS]; two of them are taken in ascending order. nf_ns.mu for users.
 */
#include "sentry/net/nf/ct.h"

#define GC_MIN_NS (2 * NET_SEC)
#define GC_MAX_NS (60 * NET_SEC)
#define EARLY_DROP_BUCKETS 16	/* looked at for a victim when the table is full */
#define BUCKETS_MAX (1u << 18)

struct nf_ct_table *nf_ct_table_of(struct net_ns *ns)
{
	return atomic_load_explicit(&ns->nf->ct, memory_order_acquire);
}

/* ---- references ------------------------------------------------------------------------------------------------- */

static void table_put(struct nf_ct_table *t)
{
	if (ref_put(&t->ref))
		free(t);
}

void nf_ct_get(struct nf_conn *ct)
{
	ref_get(&ct->ref);
}

void nf_ct_put(struct nf_conn *ct)
{
	if (!ref_put(&ct->ref))
		return;
	atomic_fetch_sub(&ct->tbl->nr, 1);
	table_put(ct->tbl);
	free(ct);
}

void nf_ct_forget(struct pkt *p, bool untrack)
{
	if (p->ct)
		nf_ct_put(p->ct);
	p->ct = NULL;
	p->ctinfo = 0;
	if (untrack)
		p->flags |= PKT_F_UNTRACK;
}

/* ---- the hash ----------------------------------------------------------------------------------------------------- */

static uint32_t tuple_hash(const struct nf_ct_table *t, const struct nf_tuple *k)
{
	return net_hash_bytes(k, sizeof(*k), t->seed) % t->nr_buckets;
}

static struct mutex *lock_of(struct nf_ct_table *t, uint32_t hash)
{
	return &t->locks[hash % NF_CT_LOCKS];
}

static void lock_two(struct nf_ct_table *t, uint32_t a, uint32_t b)
{
	struct mutex *x = lock_of(t, a), *y = lock_of(t, b);

	mutex_lock(x < y ? x : y);
	if (x != y)
		mutex_lock(x < y ? y : x);
}

static void unlock_two(struct nf_ct_table *t, uint32_t a, uint32_t b)
{
	struct mutex *x = lock_of(t, a), *y = lock_of(t, b);

	mutex_unlock(x);
	if (x != y)
		mutex_unlock(y);
}

static struct nf_conn *conn_of(struct nf_th *h)
{
	return container_of(h - h->dir, struct nf_conn, th[0]);
}

static struct nf_th *find_locked(struct nf_ct_table *t, uint32_t hash, const struct nf_tuple *k, uint64_t now)
{
	for (struct nf_th *h = t->buckets[hash]; h; h = h->next)
		if (nf_tuple_eq(&h->t, k) && !nf_ct_expired(conn_of(h), now))
			return h;
	return NULL;
}

struct nf_conn *nf_ct_find(struct nf_ct_table *t, const struct nf_tuple *k, uint8_t *out_dir)
{
	uint32_t hash = tuple_hash(t, k);
	struct nf_conn *ct = NULL;
	struct nf_th *h;

	mutex_lock(lock_of(t, hash));
	h = find_locked(t, hash, k, net_now(t->ns->stack));
	if (h) {
		ct = conn_of(h);
		*out_dir = h->dir;
		nf_ct_get(ct);
	}
	mutex_unlock(lock_of(t, hash));
	return ct;
}

bool nf_ct_tuple_used(const struct nf_tuple *reply, const struct nf_conn *but)
{
	uint8_t dir;
	struct nf_conn *ct = nf_ct_find(but->tbl, reply, &dir);

	if (!ct)
		return false;
	nf_ct_put(ct);
	return ct != but;
}

static void chain_remove_locked(struct nf_ct_table *t, struct nf_th *h)
{
	struct nf_th **pp = &t->buckets[h->hash];

	while (*pp != h)
		pp = &(*pp)->next;
	*pp = h->next;
}

bool nf_ct_kill(struct nf_conn *ct)
{
	struct nf_ct_table *t = ct->tbl;
	bool was;

	lock_two(t, ct->th[0].hash, ct->th[1].hash);
	was = (atomic_load(&ct->status) & (CTS_CONFIRMED | CTS_DYING)) == CTS_CONFIRMED;
	if (was) {
		atomic_fetch_or(&ct->status, CTS_DYING);
		chain_remove_locked(t, &ct->th[0]);
		chain_remove_locked(t, &ct->th[1]);
	}
	unlock_two(t, ct->th[0].hash, ct->th[1].hash);
	if (was) {
		net_notify(t->ns, NET_EV_CT_DESTROY, ct);
		nf_ct_put(ct);
	}
	return was;
}

enum nf_verdict nf_ct_confirm(struct nf_conn *ct)
{
	struct nf_ct_table *t = ct->tbl;
	uint64_t now = net_now(t->ns->stack);
	bool ok;

	for (int d = 0; d < 2; d++)
		ct->th[d].hash = tuple_hash(t, &ct->th[d].t);
	lock_two(t, ct->th[0].hash, ct->th[1].hash);
	/* Two first packets of one flow, or two flows that chose the same translation: the second one loses. */
	ok = !find_locked(t, ct->th[0].hash, &ct->th[0].t, now) && !find_locked(t, ct->th[1].hash, &ct->th[1].t, now);
	if (ok) {
		for (int d = 0; d < 2; d++) {
			ct->th[d].next = t->buckets[ct->th[d].hash];
			t->buckets[ct->th[d].hash] = &ct->th[d];
		}
		nf_ct_get(ct);
		atomic_fetch_or(&ct->status, CTS_CONFIRMED);
	}
	unlock_two(t, ct->th[0].hash, ct->th[1].hash);
	if (!ok) {
		atomic_fetch_add(&t->st_insert_failed, 1);
		return NF_DROP;
	}
	if (!t->gc.slot)
		net_timer_arm(t->ns->stack, &t->gc, now + GC_MIN_NS);
	atomic_fetch_add_explicit(&t->st_insert, 1, memory_order_relaxed);
	net_notify(t->ns, NET_EV_CT_NEW, ct);
	return NF_ACCEPT;
}

/* One entry of bucket @i that @pick wants, with a reference. */
static struct nf_conn *bucket_pick(struct nf_ct_table *t, uint32_t i, bool (*pick)(struct nf_conn *ct, uint64_t now), uint64_t now)
{
	struct nf_conn *ct = NULL;

	mutex_lock(lock_of(t, i));
	for (struct nf_th *h = t->buckets[i]; h && !ct; h = h->next)
		if (pick(conn_of(h), now)) {
			ct = conn_of(h);
			nf_ct_get(ct);
		}
	mutex_unlock(lock_of(t, i));
	return ct;
}

static bool unassured(struct nf_conn *ct, uint64_t now)
{
	return nf_ct_expired(ct, now) || !(atomic_load(&ct->status) & CTS_ASSURED);
}

/* Makes room by giving up a connection that nobody has answered; false: there is none nearby. */
static bool early_drop(struct nf_ct_table *t)
{
	uint32_t at = net_random32() % t->nr_buckets;
	uint64_t now = net_now(t->ns->stack);

	for (unsigned n = 0; n < EARLY_DROP_BUCKETS; n++) {
		struct nf_conn *ct = bucket_pick(t, (at + n) % t->nr_buckets, unassured, now);
		bool killed = ct && nf_ct_kill(ct);

		if (ct)
			nf_ct_put(ct);
		if (killed) {
			atomic_fetch_add(&t->st_early_drop, 1);
			return true;
		}
	}
	return false;
}

struct nf_conn *nf_ct_new(struct nf_ct_table *t, const struct nf_tuple *orig, const struct nf_tuple *reply)
{
	uint32_t max = (uint32_t)t->ns->sysctl.nf_ct_max;
	struct nf_conn *ct;

	if (atomic_fetch_add(&t->nr, 1) >= max && max && !early_drop(t)) {
		atomic_fetch_sub(&t->nr, 1);
		atomic_fetch_add(&t->st_drop, 1);
		return NULL;
	}
	ct = calloc(1, sizeof(*ct));
	if (!ct) {
		atomic_fetch_sub(&t->nr, 1);
		return NULL;
	}
	ref_init(&ct->ref, 1);
	ref_get(&t->ref);
	ct->tbl = t;
	mutex_init(&ct->mu);
	ct->th[0].t = *orig;
	ct->th[1].t = *reply;
	ct->th[1].dir = 1;
	ct->id = net_hash_bytes(&ct, sizeof(ct), t->seed) ^ atomic_fetch_add(&t->next_id, 1) * 0x9e3779b1u;
	return ct;
}

/* ---- expiry and walks ------------------------------------------------------------------------------------------ */

static void gc_run(struct net_timer *tm)
{
	struct nf_ct_table *t = container_of(tm, struct nf_ct_table, gc);
	uint64_t now = net_now(t->ns->stack), next = now + GC_MAX_NS;
	bool any = false;

	for (uint32_t i = 0; i < t->nr_buckets; i++) {
		struct nf_conn *ct;

		if (!t->buckets[i])
			continue;
		while ((ct = bucket_pick(t, i, nf_ct_expired, now))) {
			nf_ct_kill(ct);
			nf_ct_put(ct);
		}
		mutex_lock(lock_of(t, i));
		for (struct nf_th *h = t->buckets[i]; h; h = h->next) {
			any = true;
			next = MIN(next, atomic_load(&conn_of(h)->expires_ns));
		}
		mutex_unlock(lock_of(t, i));
	}
	if (any)
		net_timer_arm(t->ns->stack, &t->gc, MAX(next, now + GC_MIN_NS));
}

int nf_ct_each(struct nf_ct_table *t, int (*fn)(struct nf_conn *ct, void *arg), void *arg)
{
	uint64_t now = net_now(t->ns->stack);
	int ret = 0;

	for (uint32_t i = 0; i < t->nr_buckets && !ret; i++) {
		struct nf_conn *batch[64];
		unsigned n = 0;

		mutex_lock(lock_of(t, i));
		for (struct nf_th *h = t->buckets[i]; h && n < ARRAY_SIZE(batch); h = h->next)
			if (!h->dir && !nf_ct_expired(conn_of(h), now)) {
				batch[n] = conn_of(h);
				nf_ct_get(batch[n++]);
			}
		mutex_unlock(lock_of(t, i));
		for (unsigned k = 0; k < n; k++) {
			if (!ret)
				ret = fn(batch[k], arg);
			nf_ct_put(batch[k]);
		}
	}
	return ret;
}

static int kill_one(struct nf_conn *ct, void *arg)
{
	(void)arg;
	nf_ct_kill(ct);
	return 0;
}

void nf_ct_ns_fini(struct net_ns *ns)
{
	struct nf_ct_table *t = nf_ct_table_of(ns);

	if (!t)
		return;
	net_timer_cancel_sync(ns->stack, &t->gc);
	/* what has expired is not shown by nf_ct_each(), and long chains come in pieces */
	for (uint32_t i = 0; i < t->nr_buckets; i++)
		while (t->buckets[i])
			kill_one(conn_of(t->buckets[i]), NULL);
	atomic_store(&ns->nf->ct, NULL);
	table_put(t);
}

/* ---- the hooks -------------------------------------------------------------------------------------------------- */

static enum nf_verdict hook_confirm(struct pkt *p, const struct nf_state *st, void *priv)
{
	enum nf_ctinfo info;
	struct nf_conn *ct = nf_ct_of(p, &info);

	(void)st;
	(void)priv;
	if (!ct || CT_IS_REPLY(info) || (atomic_load_explicit(&ct->status, memory_order_relaxed) & (CTS_CONFIRMED | CTS_DYING)))
		return NF_ACCEPT;
	return nf_ct_confirm(ct);
}

/* The first packet of something: an entry of its own. */
static struct nf_conn *conn_open(struct nf_ct_table *t, struct pkt *p, const struct nf_state *st, const struct nf_tuple *k,
				 bool *out_full)
{
	struct nf_tuple rev;
	struct nf_conn *ct;

	if (!nf_tuple_invert(k, &rev))
		return NULL;
	ct = nf_ct_new(t, k, &rev);
	if (!ct) {
		*out_full = true;
		return NULL;
	}
	if (!nf_ct_proto_new(ct, p, st)) {
		nf_ct_put(ct);
		return NULL;
	}
	return ct;
}

static bool is_icmp_error(const struct nf_state *st, const uint8_t *h)
{
	if (st->proto == NET_IPPROTO_ICMP && st->family == NET_AF_INET)
		return h[0] == ICMP_DEST_UNREACH || h[0] == 4 || h[0] == ICMP_REDIRECT || h[0] == ICMP_TIME_EXCEEDED ||
		       h[0] == ICMP_PARAMETERPROB;
	return st->proto == NET_IPPROTO_ICMPV6 && st->family == NET_AF_INET6 && h[0] < 128;
}

/* An error belongs to the connection of the packet that it quotes. */
static void track_error(struct nf_ct_table *t, struct pkt *p, const struct nf_state *st)
{
	struct nf_tuple in, rev;
	uint8_t dir;

	if (!nf_tuple_get(p, st->l4off + 8u, &in) || !nf_tuple_invert(&in, &rev))
		return;
	p->ct = nf_ct_find(t, &rev, &dir);
	if (p->ct)
		p->ctinfo = dir ? CT_RELATED_REPLY : CT_RELATED;
	else
		atomic_fetch_add_explicit(&t->st_invalid, 1, memory_order_relaxed);
}

static void count(struct nf_conn *ct, uint8_t dir, const struct pkt *p)
{
	if (!ct->tbl->ns->sysctl.nf_ct_acct)
		return;
	atomic_fetch_add_explicit(&ct->acct[dir].packets, MAX(1u, (uint32_t)p->gso_segs), memory_order_relaxed);
	atomic_fetch_add_explicit(&ct->acct[dir].bytes, p->len, memory_order_relaxed);
}

/* Neighbour discovery and multicast listening are not connections. */
static bool is_unsolicited6(const struct nf_state *st, const uint8_t *h)
{
	return st->proto == NET_IPPROTO_ICMPV6 && ((h[0] >= ICMP6_MLD_QUERY && h[0] <= ICMP6_REDIRECT) || h[0] == ICMP6_MLD2_REPORT);
}

static enum nf_verdict track_once(struct nf_ct_table *t, struct pkt *p, const struct nf_state *st)
{
	enum nf_ctinfo info;
	struct nf_tuple k;
	struct nf_conn *ct;
	bool full = false;
	uint8_t dir = 0;
	int r;

	if (st->frag || !nf_tuple_get(p, 0, &k) || nf_ct_csum_bad(p, st))
		goto invalid;
	if (st->proto == NET_IPPROTO_ICMP || st->proto == NET_IPPROTO_ICMPV6) {
		const uint8_t *h = p->data + st->l4off;

		if (is_unsolicited6(st, h)) {
			p->flags |= PKT_F_UNTRACK;
			return NF_ACCEPT;
		}
		if (is_icmp_error(st, h)) {
			track_error(t, p, st);
			return NF_ACCEPT;
		}
	}
	ct = nf_ct_find(t, &k, &dir);
	if (!ct) {
		ct = conn_open(t, p, st, &k, &full);
		if (full)
			return NF_DROP;
		if (!ct)
			goto invalid;
	}
	if (dir)
		info = CT_ESTABLISHED_REPLY;
	else
		info = atomic_load(&ct->status) & CTS_SEEN_REPLY ? CT_ESTABLISHED : CT_NEW;
	r = nf_ct_proto_packet(ct, p, st, info);
	if (r <= 0) {
		if (r < 0)
			nf_ct_kill(ct);
		nf_ct_put(ct);
		if (r < 0)
			return NF_REPEAT;
		goto invalid;
	}
	if (dir && !(atomic_load_explicit(&ct->status, memory_order_relaxed) & CTS_SEEN_REPLY))
		atomic_fetch_or(&ct->status, CTS_SEEN_REPLY);
	count(ct, dir, p);
	p->ct = ct;
	p->ctinfo = (uint8_t)info;
	return NF_ACCEPT;
invalid:
	atomic_fetch_add_explicit(&t->st_invalid, 1, memory_order_relaxed);
	return NF_ACCEPT;
}

static enum nf_verdict hook_track(struct pkt *p, const struct nf_state *st, void *priv)
{
	enum nf_verdict v = NF_REPEAT;

	/* looped back with its connection, or told not to */
	if (p->ct || (p->flags & PKT_F_UNTRACK))
		return NF_ACCEPT;
	for (int tries = 0; v == NF_REPEAT && tries < 3; tries++)
		v = track_once(priv, p, st);
	return v == NF_REPEAT ? NF_DROP : v;
}

/* ---- who wants it ---------------------------------------------------------------------------------------------- */

static struct nf_ct_table *table_new(struct net_ns *ns)
{
	uint32_t n = MIN((uint32_t)ns->sysctl.nf_ct_buckets, BUCKETS_MAX);
	struct nf_ct_table *t = calloc(1, sizeof(*t) + n * sizeof(t->buckets[0]));

	if (!t)
		return NULL;
	ref_init(&t->ref, 1);
	t->ns = ns;
	t->nr_buckets = n;
	ns->stack->ops->random(ns->stack->ctx, &t->seed, sizeof(t->seed));
	for (unsigned i = 0; i < NF_CT_LOCKS; i++)
		mutex_init(&t->locks[i]);
	net_timer_init(&t->gc, gc_run);
	return t;
}

#define PRI_TRACK   (-200)
#define PRI_CONFIRM INT32_MAX
#define PRI_NAT_DST (-100)
#define PRI_NAT_SRC 100

static const struct {
	enum nf_hooknum hook;
	int32_t priority;
	nf_hookfn fn;
	bool nat;
} hooks[] = {
	{ NF_PRE_ROUTING, PRI_TRACK, hook_track, false }, { NF_LOCAL_OUT, PRI_TRACK, hook_track, false },
	{ NF_LOCAL_IN, PRI_CONFIRM, hook_confirm, false }, { NF_POST_ROUTING, PRI_CONFIRM, hook_confirm, false },
	{ NF_PRE_ROUTING, PRI_NAT_DST, nf_nat_hook, true }, { NF_LOCAL_OUT, PRI_NAT_DST, nf_nat_hook, true },
	{ NF_LOCAL_IN, PRI_NAT_SRC, nf_nat_hook, true }, { NF_POST_ROUTING, PRI_NAT_SRC, nf_nat_hook, true },
};

static void detach(struct net_ns *ns, int family, bool nat, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (hooks[i].nat == nat)
			nf_unregister(ns, family, hooks[i].hook, hooks[i].fn, ns->nf->ct);
}

static int attach(struct net_ns *ns, int family, bool nat)
{
	int ret = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(hooks) && !ret; i++) {
		if (hooks[i].nat == nat)
			ret = nf_register(ns, family, hooks[i].hook, hooks[i].priority, hooks[i].fn, ns->nf->ct);
		if (ret)
			detach(ns, family, nat, i);
	}
	return ret;
}

/* Changes of the user counts are made by one configuration call at a time (netlink_cfg, ipt_mu). */
static struct mutex users_mu = MUTEX_INIT;

int nf_ct_want(struct net_ns *ns, int family, bool nat)
{
	int v6 = family == NET_AF_INET6, ret = 0;
	struct nf_ct_table *t;

	mutex_lock(&users_mu);
	t = nf_ct_table_of(ns);
	if (!t) {
		t = table_new(ns);
		if (!t)
			ret = -LINUX_ENOMEM;
		else
			atomic_store_explicit(&ns->nf->ct, t, memory_order_release);
	}
	if (!ret && !t->users[v6])
		ret = attach(ns, family, false);
	if (!ret)
		t->users[v6]++;
	if (!ret && nat && !t->nat_users[v6]) {
		ret = attach(ns, family, true);
		if (ret && !--t->users[v6])
			detach(ns, family, false, ARRAY_SIZE(hooks));
	}
	if (!ret && nat)
		t->nat_users[v6]++;
	if (!ret)
		atomic_store(&ns->nf->defrag[v6], true);
	mutex_unlock(&users_mu);
	return ret;
}

void nf_ct_unwant(struct net_ns *ns, int family, bool nat)
{
	int v6 = family == NET_AF_INET6;
	struct nf_ct_table *t = nf_ct_table_of(ns);

	mutex_lock(&users_mu);
	if (nat && !--t->nat_users[v6])
		detach(ns, family, true, ARRAY_SIZE(hooks));
	if (!--t->users[v6]) {
		detach(ns, family, false, ARRAY_SIZE(hooks));
		atomic_store(&ns->nf->defrag[v6], false);
	}
	mutex_unlock(&users_mu);
}
