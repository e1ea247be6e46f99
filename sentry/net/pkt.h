/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/pkt.h - packet buffers
 *
 * Model:   a packet is a linear part (always private to it, hence always writable: all headers live there)
 *          followed by fragments: references to shared, read-only data buffers. A 64 KiB segment on loopback
 *          is one small linear part with headers and one fragment that the sender's queue still shares; its
 *          payload is never copied inside the stack.
 *          Packets travel in chains (struct pkt_list); a packet belongs to exactly one owner, who frees it or
 *          hands it on.
 * Locks:   none; a packet is owned by one thread at a time. Data buffers are reference counted.
 */
#ifndef SENTRY_NET_PKT_H
#define SENTRY_NET_PKT_H

#include "sentry/net/types.h"

#define PKT_HEADROOM  128	/* bytes before the transport header: Ethernet + VLAN + IPv6 with options + tunnels */
#define PKT_LINEAR_MIN 256	/* linear room behind the headroom that every packet has: one header stack */
#define PKT_MAX_FRAGS 8
#define PKT_MAX_LEN   65535u	/* largest IP packet, segmentation offload included */

struct pkt_buf {
	struct refcount ref;
	uint32_t cap;		/* bytes of data, immutable */
	uint8_t *data;		/* immutable pointer */
	void (*free_fn)(struct pkt_buf *b); /* NULL: belongs to the pools of core/pool.c */
	uint32_t used;		/* bytes handed out of a buffer that an endpoint fills; guarded by its owner */
};

struct pkt_frag {
	struct pkt_buf *buf;	/* one reference */
	uint32_t off, len;
};

enum pkt_csum {
	PKT_CSUM_NONE,		/* the checksum field counts and must be verified */
	PKT_CSUM_OK,		/* known to be right, or never left this machine */
	PKT_CSUM_PARTIAL,	/* field holds the pseudo-header sum; whoever puts it on a wire completes it
				 * from csum_start, storing at csum_start + csum_off */
};

enum pkt_gso { PKT_GSO_NONE, PKT_GSO_TCP4, PKT_GSO_TCP6, PKT_GSO_UDP };

enum pkt_type { PKT_HOST, PKT_BROADCAST, PKT_MULTICAST, PKT_OTHERHOST, PKT_OUTGOING }; /* = LINUX_PACKET_* */

struct net_link;
struct net_ns;
struct sock;
struct dst;
struct nf_conn;

struct pkt {
	struct pkt *next;
	/* linear part: [head, end) is storage, [data, tail) is content */
	uint8_t *head, *data, *tail, *end;
	uint32_t len;		/* all content: linear + fragments */
	uint16_t nr_frags;
	uint8_t csum;		/* enum pkt_csum */
	uint8_t gso;		/* enum pkt_gso */
	uint16_t gso_size;	/* payload bytes per segment; 0 = not to be segmented */
	uint16_t csum_start;	/* offset from head */
	uint16_t csum_off;
	uint16_t l2, l3, l4;	/* offsets from head of link, network, transport header */
	uint16_t proto;		/* Ethernet type, host order */
	uint8_t type;		/* enum pkt_type */
	uint8_t ipproto;	/* transport protocol, after extension headers */
	uint8_t ttl_tos[2];	/* as received: TTL/hop limit, TOS/traffic class */
	uint8_t flags;		/* PKT_F_* */
	uint16_t gso_segs;
	uint32_t hash;		/* flow hash, 0 = not computed */
	uint32_t mark;
	uint32_t priority;
	uint32_t frag_max;	/* largest fragment it was reassembled from, 0 = none */
	uint64_t tstamp_ns;	/* wall clock at arrival, 0 = not taken */
	struct net_link *link;	/* input: where it came from; output: where it goes. Borrowed: links outlive
				 * packets in flight (bh grace, core/bh.h) */
	uint32_t iif;		/* index of the link it came in by, 0 = locally made */
	struct dst *dst;	/* one reference or NULL */
	struct sock *esk;	/* endpoint found by early demultiplexing: one reference or NULL */
	struct nf_conn *ct;	/* one reference or NULL */
	uint8_t ctinfo;
	uint8_t src_mac[6];	/* for packet sockets */
	struct naddr src, dstaddr; /* network addresses, set by IP input and output */
	union {
		uint8_t cb[48];	/* scratch of the layer that owns the packet */
		uint64_t cb_align;
	};
	struct pkt_frag frags[PKT_MAX_FRAGS];
	uint8_t storage[];
};

#define PKT_F_LOOPED   0x01	/* copy of a multicast sent by us */
#define PKT_F_FORWARD  0x02	/* being forwarded */
#define PKT_F_NODST    0x04
#define PKT_F_RAWSEEN  0x08	/* a raw socket took a copy */
#define PKT_F_REDIRTTL 0x10
#define PKT_F_BRIDGED  0x20
#define PKT_F_UNTRACK  0x40

struct pkt_list {
	struct pkt *head, *tail;
	uint32_t nr;
	uint64_t bytes;
};

/* A packet with @linear bytes of linear room behind @headroom; content empty. NULL: out of memory. */
struct pkt *pkt_alloc(size_t headroom, size_t linear);
void pkt_free(struct pkt *p);		/* NULL is fine */
void pkt_list_free(struct pkt_list *l);

/* Data buffers. pkt_buf_alloc(): at least @size bytes, reference count 1, NULL when out of memory. */
struct pkt_buf *pkt_buf_alloc(size_t size);
static inline void pkt_buf_get(struct pkt_buf *b) { ref_get(&b->ref); }
void pkt_buf_put(struct pkt_buf *b);
size_t pkt_pool_trim(void);		/* gives pooled memory back to the host; bytes freed */

/* Appends a fragment; takes over the caller's reference. False (reference kept) when the table is full. */
bool pkt_add_frag(struct pkt *p, struct pkt_buf *b, uint32_t off, uint32_t len);

/* Private headers, shared fragments. Metadata is copied, dst and ct references are taken. */
struct pkt *pkt_clone(const struct pkt *p);
/* [off, off+len) of @p's content as a new packet, payload shared where it can be. No metadata but csum OK. */
struct pkt *pkt_slice(const struct pkt *p, uint32_t off, uint32_t len, size_t headroom);

static inline uint32_t pkt_linear(const struct pkt *p) { return (uint32_t)(p->tail - p->data); }
static inline uint32_t pkt_headroom(const struct pkt *p) { return (uint32_t)(p->data - p->head); }
static inline uint32_t pkt_tailroom(const struct pkt *p) { return (uint32_t)(p->end - p->tail); }

/* Makes the first @n bytes of content linear. False: the packet is shorter, or has no room for it. */
bool pkt_pull_slow(struct pkt *p, uint32_t n);
static inline bool pkt_may_pull(struct pkt *p, uint32_t n)
{
	return likely(pkt_linear(p) >= n) || pkt_pull_slow(p, n);
}
/* Drops @n bytes from the front; they are linear, or the packet has no linear content left. */
void pkt_pull(struct pkt *p, uint32_t n);
/* @n bytes before the content, which becomes the content's front; NULL when there is no headroom. */
static inline uint8_t *pkt_push(struct pkt *p, uint32_t n)
{
	if (unlikely(pkt_headroom(p) < n))
		return NULL;
	p->data -= n;
	p->len += n;
	return p->data;
}
/* @n bytes behind the linear content (no fragments yet); NULL when there is no room. */
static inline uint8_t *pkt_put(struct pkt *p, uint32_t n)
{
	uint8_t *q = p->tail;

	if (unlikely(p->nr_frags || pkt_tailroom(p) < n))
		return NULL;
	p->tail += n;
	p->len += n;
	return q;
}
void pkt_trim(struct pkt *p, uint32_t new_len); /* cuts the end off */
/* Copies [off, off+n) out of the content; false when the packet is shorter. */
bool pkt_copy_bits(const struct pkt *p, uint32_t off, void *to, uint32_t n);
/* Overwrites content; fragments touched are made private first. False: out of range or memory. */
bool pkt_store_bits(struct pkt *p, uint32_t off, const void *from, uint32_t n);

struct net_iter;
/* Content to the caller's memory. Return: bytes copied, or -LINUX_EFAULT when none. */
long pkt_copy_to_iter(const struct pkt *p, uint32_t off, struct net_iter *it, size_t n);
/* Appends @n bytes from the caller's memory, as fragments where that saves room. 0, -LINUX_EFAULT, -LINUX_ENOMEM. */
int pkt_append_iter(struct pkt *p, struct net_iter *it, size_t n);
/* Internet checksum (RFC 1071) of [off, off+n) of the content, folded, not inverted. */
uint32_t pkt_csum_range(const struct pkt *p, uint32_t off, uint32_t n, uint32_t seed);
/* Computes and stores what PKT_CSUM_PARTIAL left open. */
void pkt_csum_complete(struct pkt *p);
/**
 * pkt_gso_segment() - cut a segmentation-offload packet into packets of its gso_size
 * @p:	moved; data at the network header
 * Return: 0 with @out filled, or -LINUX_ENOMEM / -LINUX_EINVAL (@p is freed either way)
 * Source: what a NIC does with TSO/USO: RFC 9293 section 3.1 header fields, RFC 791 identification
 */
int pkt_gso_segment(struct pkt *p, struct pkt_list *out);

static inline void pkt_list_init(struct pkt_list *l)
{
	*l = (struct pkt_list){ 0 };
}
static inline void pkt_list_add(struct pkt_list *l, struct pkt *p)
{
	p->next = NULL;
	if (l->tail)
		l->tail->next = p;
	else
		l->head = p;
	l->tail = p;
	l->nr++;
	l->bytes += p->len;
}
static inline struct pkt *pkt_list_pop(struct pkt_list *l)
{
	struct pkt *p = l->head;

	if (!p)
		return NULL;
	l->head = p->next;
	if (!l->head)
		l->tail = NULL;
	p->next = NULL;
	l->nr--;
	l->bytes -= MIN(l->bytes, (uint64_t)p->len);
	return p;
}
static inline void pkt_list_join(struct pkt_list *to, struct pkt_list *from)
{
	if (!from->head)
		return;
	if (to->tail)
		to->tail->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	to->nr += from->nr;
	to->bytes += from->bytes;
	pkt_list_init(from);
}

static inline uint8_t *pkt_l2(const struct pkt *p) { return p->head + p->l2; }
static inline uint8_t *pkt_l3(const struct pkt *p) { return p->head + p->l3; }
static inline uint8_t *pkt_l4(const struct pkt *p) { return p->head + p->l4; }

#endif
