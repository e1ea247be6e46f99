/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/frag.c - reassembly of fragments, both families
 *
 * Model:   a queue per (source, destination, protocol, id); pieces are kept in order of offset. Any overlap
 *          ends the whole datagram (RFC 5722 for IPv6; the same for IPv4, as Linux does since CVE-2018-5391).
 *          Memory is limited per namespace (ipfrag_high_thresh), pieces per datagram by their minimum size.
 * Locks:   table mu; timers take it too.
 * Source:  RFC 791 section 3.2, RFC 815, RFC 8200 section 4.5, RFC 5722, RFC 6946 (atomic fragments).
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/sock.h"

#define FRAG_BUCKETS 64
#define FRAG_MAX_PIECES 4096

struct fragq {
	struct list node;
	struct refcount ref;
	struct net_ns *ns;
	struct naddr src, dst;
	uint32_t id, user, iif;
	uint8_t proto;
	bool done;
	bool last_seen;
	uint32_t total;		/* payload length, once the last piece is known */
	uint32_t have, mem, nr, max_size;
	struct pkt *pieces;	/* ascending offset; cb = struct piece */
	struct pkt *first_hdr;	/* not owned: the piece with offset 0, or NULL */
	struct net_timer timer;
};
struct piece {
	uint32_t off, len, hdr;
};
#define PIECE(p) ((struct piece *)(p)->cb)

struct frag_table {
	struct mutex mu;
	struct list bucket[FRAG_BUCKETS];
	uint32_t mem, nr;
	uint64_t seed;
};

static void fragq_put(struct fragq *q)
{
	struct pkt *p;

	if (!ref_put(&q->ref))
		return;
	while ((p = q->pieces)) {
		q->pieces = p->next;
		pkt_free(p);
	}
	free(q);
}

static void fragq_unlink_locked(struct frag_table *t, struct fragq *q)
{
	if (q->done)
		return;
	q->done = true;
	list_del_init(&q->node);
	t->mem -= q->mem;
	t->nr--;
}

/* RFC 792, RFC 8200: "time exceeded" only if the first fragment arrived. */
static void frag_timer(struct net_timer *tm)
{
	struct fragq *q = container_of(tm, struct fragq, timer);
	struct frag_table *t = q->ns->frags;
	bool live, v4 = naddr_is_v4(&q->dst);

	mutex_lock(&t->mu);
	live = !q->done;
	fragq_unlink_locked(t, q);
	mutex_unlock(&t->mu);
	if (live) {
		mib_inc(q->ns, v4 ? MIB_IP_REASM_TIMEOUT : MIB_IP6_REASM_TIMEOUT);
		mib_inc(q->ns, v4 ? MIB_IP_REASM_FAILS : MIB_IP6_REASM_FAILS);
		if (q->pieces && PIECE(q->pieces)->off == 0) {
			if (v4)
				icmp_send(q->ns, q->pieces, ICMP_TIME_EXCEEDED, 1, 0);
			else
				icmp6_send(q->ns, q->pieces, ICMP6_TIME_EXCEED, 1, 0);
		}
		fragq_put(q); /* the table's */
	}
	fragq_put(q);
}

int frag_table_init(struct net_ns *ns)
{
	struct frag_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -LINUX_ENOMEM;
	for (unsigned i = 0; i < FRAG_BUCKETS; i++)
		list_init(&t->bucket[i]);
	t->seed = ns->stack->hash_seed;
	ns->frags = t;
	return 0;
}

void frag_table_flush(struct net_ns *ns)
{
	struct frag_table *t = ns->frags;

	for (unsigned i = 0; i < FRAG_BUCKETS; i++)
		for (;;) {
			struct fragq *q = NULL;

			mutex_lock(&t->mu);
			if (!list_empty(&t->bucket[i])) {
				q = list_first(&t->bucket[i], struct fragq, node);
				fragq_unlink_locked(t, q);
			}
			mutex_unlock(&t->mu);
			if (!q)
				break;
			if (net_timer_cancel(ns->stack, &q->timer))
				fragq_put(q);
			fragq_put(q);
		}
}

void frag_table_fini(struct net_ns *ns)
{
	free(ns->frags);
}

/* With a reference; NULL when there is no memory. */
static struct fragq *fragq_get(struct net_ns *ns, const struct pkt *p, uint32_t id, uint8_t proto, uint32_t user)
{
	struct frag_table *t = ns->frags;
	bool v4 = naddr_is_v4(&p->dstaddr);
	uint32_t limit = (uint32_t)(v4 ? ns->sysctl.ipfrag_high_thresh : ns->sysctl.ip6frag_high_thresh);
	uint32_t secs = (uint32_t)(v4 ? ns->sysctl.ipfrag_time : ns->sysctl.ip6frag_time);
	struct list *b = &t->bucket[(net_hash_addr(&p->src, t->seed) ^ net_hash_addr(&p->dstaddr, id)) % FRAG_BUCKETS];
	struct fragq *q;

	mutex_lock(&t->mu);
	list_for_each_entry(q, b, node)
		if (q->id == id && q->proto == proto && q->user == user && naddr_eq(&q->src, &p->src) &&
		    naddr_eq(&q->dst, &p->dstaddr)) {
			ref_get(&q->ref);
			goto out;
		}
	q = t->mem < limit ? calloc(1, sizeof(*q)) : NULL;
	if (q) {
		ref_init(&q->ref, 3); /* table, timer, caller */
		q->ns = ns;
		q->src = p->src;
		q->dst = p->dstaddr;
		q->id = id;
		q->proto = proto;
		q->user = user;
		q->iif = p->iif;
		net_timer_init(&q->timer, frag_timer);
		list_add(b, &q->node);
		t->nr++;
		net_timer_arm(ns->stack, &q->timer, net_now(ns->stack) + secs * NET_SEC);
	}
out:
	mutex_unlock(&t->mu);
	return q;
}

/* Puts @p at its place. 0, 1 = exact duplicate, -1 = overlap or nonsense: the datagram is void. */
static int insert_piece(struct fragq *q, struct pkt *p, bool more)
{
	struct piece *n = PIECE(p);
	struct pkt **pp = &q->pieces;
	uint32_t end = n->off + n->len;

	if (end > PKT_MAX_LEN || q->nr >= FRAG_MAX_PIECES)
		return -1;
	if (!more) {
		if (q->last_seen && q->total != end)
			return -1;
		q->last_seen = true;
		q->total = end;
	}
	if (q->last_seen && end > q->total)
		return -1;
	while (*pp && PIECE(*pp)->off < n->off)
		pp = &(*pp)->next;
	if (*pp) {
		if (PIECE(*pp)->off == n->off && PIECE(*pp)->len == n->len)
			return 1;
		if (PIECE(*pp)->off < end)
			return -1;
	}
	if (pp != &q->pieces) {
		struct pkt *before = container_of(pp, struct pkt, next);

		if (PIECE(before)->off + PIECE(before)->len > n->off)
			return -1;
	}
	if (!more) /* nothing may lie behind the last piece */
		for (struct pkt *x = *pp; x; x = x->next)
			return -1;
	p->next = *pp;
	*pp = p;
	q->nr++;
	q->have += n->len;
	return 0;
}

/* All pieces are there: one packet. Payload is copied once into a buffer when there are many pieces. */
static struct pkt *glue(struct fragq *q)
{
	struct pkt *first = q->pieces, *p, *next;
	uint32_t hdr = PIECE(first)->hdr, off = 0;
	struct pkt_buf *b;
	struct pkt *out;

	if (hdr + q->total > PKT_MAX_LEN + IP6_HLEN || hdr > 512)
		return NULL;
	out = pkt_alloc(PKT_HEADROOM, hdr + PKT_LINEAR_MIN);
	b = pkt_buf_alloc(MAX(q->total, 1u));
	if (!out || !b) {
		pkt_free(out);
		if (b)
			pkt_buf_put(b);
		return NULL;
	}
	pkt_copy_bits(first, 0, pkt_put(out, hdr), hdr);
	for (p = first; p; p = next) {
		next = p->next;
		pkt_copy_bits(p, PIECE(p)->hdr, b->data + off, PIECE(p)->len);
		off += PIECE(p)->len;
	}
	pkt_add_frag(out, b, 0, off);
	out->l2 = out->l3 = (uint16_t)(out->data - out->head);
	out->proto = first->proto;
	out->type = first->type;
	out->src = first->src;
	out->dstaddr = first->dstaddr;
	out->link = first->link;
	out->iif = first->iif;
	out->mark = first->mark;
	out->tstamp_ns = first->tstamp_ns;
	memcpy(out->ttl_tos, first->ttl_tos, 2);
	memcpy(out->src_mac, first->src_mac, 6);
	out->csum = PKT_CSUM_NONE;
	out->frag_max = q->max_size;
	return out;
}

/* The part that both families share. Takes over @p and the caller's reference to @q. */
static struct pkt *frag_add(struct fragq *q, struct pkt *p, bool more)
{
	struct net_ns *ns = q->ns;
	struct frag_table *t = ns->frags;
	struct pkt *whole = NULL;
	uint32_t mem = p->len + (uint32_t)sizeof(*p);
	bool v4 = naddr_is_v4(&p->dstaddr);
	bool ended = false;
	int r = -2;

	q->max_size = MAX(q->max_size, p->len);
	mutex_lock(&t->mu);
	if (!q->done) {
		r = insert_piece(q, p, more);
		if (r == 0) {
			q->mem += mem;
			t->mem += mem;
			ended = q->last_seen && q->have == q->total;
		} else {
			ended = r < 0;
		}
		if (ended)
			fragq_unlink_locked(t, q);
	}
	mutex_unlock(&t->mu);
	if (r != 0)
		net_drop(ns, p, r == 1 ? DROP_CONSUMED : DROP_FRAG_OVERLAP);
	if (!ended) {
		fragq_put(q);
		return NULL;
	}
	if (net_timer_cancel(ns->stack, &q->timer))
		fragq_put(q);
	if (r == 0)
		whole = glue(q);
	mib_inc(ns, whole ? (v4 ? MIB_IP_REASM_OKS : MIB_IP6_REASM_OKS) : (v4 ? MIB_IP_REASM_FAILS : MIB_IP6_REASM_FAILS));
	fragq_put(q); /* the table's */
	fragq_put(q);
	return whole;
}

struct pkt *ip4_defrag(struct net_ns *ns, struct pkt *p, uint32_t user)
{
	uint16_t f = rd16(p->data + 6);
	uint32_t hl = (p->data[0] & 15u) * 4u;
	struct fragq *q;
	struct pkt *whole;

	mib_inc(ns, MIB_IP_REASM_REQDS);
	*PIECE(p) = (struct piece){ .off = (f & IP4_OFFMASK) * 8u, .len = p->len - hl, .hdr = hl };
	if (((f & IP4_MF) && (p->len - hl) % 8) || p->len == hl) {
		net_drop(ns, p, DROP_MALFORMED);
		return NULL;
	}
	q = fragq_get(ns, p, rd16(p->data + 4), p->data[9], user);
	if (!q) {
		mib_inc(ns, MIB_IP_REASM_FAILS);
		net_drop(ns, p, DROP_FRAG_LIMIT);
		return NULL;
	}
	whole = frag_add(q, p, f & IP4_MF);
	if (!whole)
		return NULL;
	if (whole->len > PKT_MAX_LEN) {
		net_drop(ns, whole, DROP_TOO_BIG);
		return NULL;
	}
	wr16(whole->data + 2, (uint16_t)whole->len);
	wr16(whole->data + 6, rd16(whole->data + 6) & (uint16_t) ~(IP4_MF | IP4_OFFMASK));
	ip4_set_csum(whole->data);
	return whole;
}

struct pkt *ip6_defrag(struct net_ns *ns, struct pkt *p, uint32_t fragoff, uint32_t prevoff, uint32_t user)
{
	const uint8_t *h = p->data + fragoff;
	uint16_t f = rd16(h + 2);
	uint8_t next = h[0];
	struct fragq *q;
	struct pkt *whole;

	mib_inc(ns, MIB_IP6_REASM_REQDS);
	*PIECE(p) = (struct piece){ .off = f & 0xfff8u, .len = p->len - fragoff - 8, .hdr = fragoff };
	if (((f & 1) && PIECE(p)->len % 8) || (PIECE(p)->len == 0 && (f & 0xfff9))) {
		icmp6_send(ns, p, ICMP6_PARAMPROB, 0, 4);
		net_drop(ns, p, DROP_MALFORMED);
		return NULL;
	}
	q = fragq_get(ns, p, rd32(h + 4), 0, user);
	if (!q) {
		net_drop(ns, p, DROP_FRAG_LIMIT);
		return NULL;
	}
	/* the copy of the headers drops the fragment header; pieces' payload starts behind it */
	p->data[prevoff] = next;
	memmove(p->data + 8, p->data, fragoff);
	p->data += 8;
	p->len -= 8;
	p->l3 = (uint16_t)(p->l3 + 8);
	whole = frag_add(q, p, f & 1);
	if (!whole)
		return NULL;
	if (whole->len > PKT_MAX_LEN) {
		net_drop(ns, whole, DROP_TOO_BIG);
		return NULL;
	}
	wr16(whole->data + 4, (uint16_t)(whole->len - IP6_HLEN));
	return whole;
}
