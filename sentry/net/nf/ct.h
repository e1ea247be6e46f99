/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/ct.h - connection tracking and address translation
 *
 * Model:   a connection is a pair of tuples, one per direction; the reply's is the inverse of what the peer will see, so
 *          translation is nothing but a reply tuple that is not the inverse of the original one. An entry is private to
 *          its first packet until that has passed all hooks (confirmation), then both tuples are in the hash. Entries die by
 *          their deadline, which lookups honour at once and a timer sweeps up.
 *          Hooks are attached while somebody wants them (nf_ct_want()), so a namespace without rules pays nothing.
 * Locks:   bucket locks (ascending), then nf_conn.mu; leaves. A packet's reference keeps an entry alive.
 */
#ifndef SENTRY_NET_NF_CT_H
#define SENTRY_NET_NF_CT_H

#include "sentry/net/nf.h"
#include "sentry/net/sock.h"
#include "sentry/net/wire.h"

struct nf_tuple {		/* padding is zero: hashed and compared as bytes */
	struct naddr src, dst;
	uint16_t sport, dport;	/* host order; ICMP: identifier, and type | code << 8 */
	uint8_t proto, pad[3];
};

/* = IP_CT_* of linux/netfilter/nf_conntrack_common.h */
enum nf_ctinfo { CT_ESTABLISHED, CT_RELATED, CT_NEW, CT_ESTABLISHED_REPLY, CT_RELATED_REPLY };
#define CT_IS_REPLY(i) ((i) >= CT_ESTABLISHED_REPLY)

/* = IPS_* */
#define CTS_EXPECTED	  0x001
#define CTS_SEEN_REPLY	  0x002
#define CTS_ASSURED	  0x004
#define CTS_CONFIRMED	  0x008
#define CTS_SRC_NAT	  0x010
#define CTS_DST_NAT	  0x020
#define CTS_SRC_NAT_DONE  0x080
#define CTS_DST_NAT_DONE  0x100
#define CTS_DYING	  0x200
#define CTS_FIXED_TIMEOUT 0x400

enum ct_tcp_state { /* = TCP_CONNTRACK_* */
	CTT_NONE, CTT_SYN_SENT, CTT_SYN_RECV, CTT_ESTABLISHED, CTT_FIN_WAIT, CTT_CLOSE_WAIT, CTT_LAST_ACK, CTT_TIME_WAIT,
	CTT_CLOSE, CTT_SYN_SENT2, CTT_MAX, CTT_IGNORE = CTT_MAX, CTT_INVALID,
};

struct nf_th { /* one direction's place in the hash */
	struct nf_th *next;
	struct nf_tuple t;
	uint32_t hash;
	uint8_t dir;	/* 0 original, 1 reply */
};

struct nf_conn {
	struct refcount ref;
	struct nf_ct_table *tbl;	/* reference */
	struct nf_th th[2];		/* th[1].t changes only before confirmation */
	_Atomic uint32_t status;	/* CTS_* */
	_Atomic uint64_t expires_ns;
	_Atomic uint32_t mark;
	uint32_t id;
	struct mutex mu;		/* guards tcp */
	struct {
		uint8_t state, last_dir, flags[2];
	} tcp;
	uint64_t stream_ns;		/* UDP: from then on it is a stream */
	struct {
		_Atomic uint64_t packets, bytes;
	} acct[2];
};

struct nf_ct_table {
	struct refcount ref;
	struct net_ns *ns;		/* borrowed; valid while the namespace lives */
	_Atomic uint32_t nr;
	uint32_t nr_buckets, users[2];	/* users by family, nf_ns.mu */
	uint32_t nat_users[2];
	uint64_t seed;
	_Atomic uint32_t next_id;
	struct net_timer gc;
	_Atomic uint64_t st_found, st_invalid, st_insert, st_insert_failed, st_drop, st_early_drop, st_error;
#define NF_CT_LOCKS 64
	struct mutex locks[NF_CT_LOCKS];
	struct nf_th *buckets[];
};

struct nf_ct_table *nf_ct_table_of(struct net_ns *ns);	/* NULL: never used in this namespace */
/* Counted: attach tracking (and with @nat translation) for @family; -LINUX_ENOMEM, -LINUX_ENOSPC. */
int nf_ct_want(struct net_ns *ns, int family, bool nat);
void nf_ct_unwant(struct net_ns *ns, int family, bool nat);
void nf_ct_ns_fini(struct net_ns *ns);

static inline bool nf_tuple_eq(const struct nf_tuple *a, const struct nf_tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}
/* The packet's own tuple; @off: where its network header starts, counted from data. False: none can be had. */
bool nf_tuple_get(struct pkt *p, uint32_t off, struct nf_tuple *out);
bool nf_tuple_invert(const struct nf_tuple *t, struct nf_tuple *out);
/* A reference, or NULL; @out_dir: which direction the tuple is. */
struct nf_conn *nf_ct_find(struct nf_ct_table *tbl, const struct nf_tuple *t, uint8_t *out_dir);
bool nf_ct_tuple_used(const struct nf_tuple *reply, const struct nf_conn *but);
bool nf_ct_kill(struct nf_conn *ct);	/* takes it out of the hash; true: it was in */
/* Every confirmed entry, with a reference and no lock; stops at the first non-zero value. */
int nf_ct_each(struct nf_ct_table *tbl, int (*fn)(struct nf_conn *ct, void *arg), void *arg);
/* A new, unconfirmed entry; counted against the limit. NULL: memory, or the table is full (counted). */
struct nf_conn *nf_ct_new(struct nf_ct_table *tbl, const struct nf_tuple *orig, const struct nf_tuple *reply);
/* Into the hash; NF_DROP when somebody else has one of its tuples. */
enum nf_verdict nf_ct_confirm(struct nf_conn *ct);
static inline struct nf_conn *nf_ct_of(const struct pkt *p, enum nf_ctinfo *info)
{
	*info = p->ctinfo;
	return p->ct;
}
static inline bool nf_ct_expired(struct nf_conn *ct, uint64_t now)
{
	return atomic_load_explicit(&ct->expires_ns, memory_order_relaxed) <= now;
}
/* Drops what the packet says about its connection; @untrack: and it shall not be looked at again. */
void nf_ct_forget(struct pkt *p, bool untrack);

/* nf_ct_proto.c: one packet of @ct. 1 fine; 0 not valid for this connection; -1: start over with a new entry. */
int nf_ct_proto_packet(struct nf_conn *ct, struct pkt *p, const struct nf_state *st, enum nf_ctinfo info);
bool nf_ct_proto_new(struct nf_conn *ct, struct pkt *p, const struct nf_state *st); /* may this packet open one? */
bool nf_ct_csum_bad(struct pkt *p, const struct nf_state *st);
uint32_t nf_ct_proto_timeout_s(const struct net_ns *ns, uint8_t proto, unsigned tcp_state);
extern const char *const nf_ct_tcp_names[CTT_MAX];

/* ---- translation: nf_nat.c ------------------------------------------------------------------------------------------ */

/* = NF_NAT_RANGE_* */
#define NATF_MAP_IPS	      0x01
#define NATF_PROTO_SPECIFIED  0x02
#define NATF_PROTO_RANDOM     0x04
#define NATF_PERSISTENT	      0x08
#define NATF_PROTO_RANDOM_FULLY 0x10
#define NATF_PROTO_OFFSET     0x20
#define NATF_NETMAP	      0x40

enum nf_manip { NF_MANIP_SRC, NF_MANIP_DST };

struct nf_nat_range { /* ports in host order */
	uint32_t flags;
	struct naddr min, max;
	uint16_t pmin, pmax, pbase;
};
static inline enum nf_manip nf_manip_of(unsigned hook)
{
	return hook == NF_POST_ROUTING || hook == NF_LOCAL_IN ? NF_MANIP_SRC : NF_MANIP_DST;
}
/* Chooses and notes the translation of a new connection. NF_ACCEPT, or NF_DROP when no free tuple is left. */
enum nf_verdict nf_nat_setup(struct nf_conn *ct, const struct nf_nat_range *r, enum nf_manip m);
/* The same for the source address of the link that @p leaves by, and for the machine's own (REDIRECT). */
enum nf_verdict nf_nat_masquerade(struct pkt *p, const struct nf_state *st, const struct nf_nat_range *r);
enum nf_verdict nf_nat_redirect(struct pkt *p, const struct nf_state *st, const struct nf_nat_range *r);
enum nf_verdict nf_nat_hook(struct pkt *p, const struct nf_state *st, void *priv);
/* Rules that decide about translation: run for the first packet of a connection only. */
int nf_nat_register(struct net_ns *ns, int family, enum nf_hooknum hook, int32_t priority, nf_hookfn fn, void *priv);
void nf_nat_unregister(struct net_ns *ns, int family, enum nf_hooknum hook, nf_hookfn fn, void *priv);

/* nf_manip.c: header changes with their checksums */
void nf_csum_diff(struct pkt *p, uint8_t *field, const void *old, const void *now, unsigned len, bool pseudo);
bool nf_set_addr(struct pkt *p, const struct nf_state *st, enum nf_manip m, const struct naddr *a);
bool nf_manip_packet(struct pkt *p, const struct nf_state *st, const struct nf_tuple *target, enum nf_manip m);
bool nf_manip_icmp_inner(struct pkt *p, const struct nf_state *st, const struct nf_tuple *target, enum nf_manip m);

#endif
