/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/pkt.c - packet buffers: life, slicing, copying
 *
 * Locks:   none (pkt.h).
 */
#include "sentry/net/pkt.h"

#include "sentry/net/core/pool.h"
#include "sentry/net/iter.h"
#include "sentry/net/nf.h"
#include "sentry/net/route.h"
#include "sentry/net/sock.h"

#define BUF_HDR 64 /* struct pkt_buf in front of the data, one cache line */
_Static_assert(sizeof(struct pkt_buf) <= BUF_HDR, "buffer header fits its line");

struct pkt *pkt_alloc(size_t headroom, size_t linear)
{
	size_t room = MAX(headroom + linear, (size_t)PKT_HEADROOM + PKT_LINEAR_MIN);
	struct pkt *p;
	size_t size;

	if (sizeof(*p) + room <= pool_size(POOL_PKT)) {
		p = pool_alloc(POOL_PKT);
		size = pool_size(POOL_PKT);
	} else if (sizeof(*p) + room <= pool_size(POOL_PKT_BIG)) {
		p = pool_alloc(POOL_PKT_BIG);
		size = pool_size(POOL_PKT_BIG);
	} else {
		size = sizeof(*p) + room;
		if (room > UINT16_MAX)
			return NULL;
		p = malloc(size);
	}
	if (unlikely(!p))
		return NULL;
	memset(p, 0, offsetof(struct pkt, frags));
	p->head = p->storage;
	p->end = (uint8_t *)p + size;
	p->data = p->tail = p->head + headroom;
	return p;
}

static void pkt_release_refs(struct pkt *p)
{
	for (unsigned i = 0; i < p->nr_frags; i++)
		pkt_buf_put(p->frags[i].buf);
	if (p->dst)
		dst_put(p->dst);
	if (p->ct)
		nf_ct_put(p->ct);
	if (p->esk)
		sock_put(p->esk);
}

void pkt_free(struct pkt *p)
{
	size_t size;

	if (!p)
		return;
	pkt_release_refs(p);
	size = (size_t)(p->end - (uint8_t *)p);
	if (size == pool_size(POOL_PKT))
		pool_free(POOL_PKT, p);
	else if (size == pool_size(POOL_PKT_BIG))
		pool_free(POOL_PKT_BIG, p);
	else
		free(p);
}

void pkt_list_free(struct pkt_list *l)
{
	struct pkt *p;

	while ((p = pkt_list_pop(l)))
		pkt_free(p);
}

size_t pkt_pool_trim(void)
{
	return pool_trim();
}

static int buf_pool(size_t total)
{
	for (int i = POOL_BUF_2K; i <= POOL_BUF_64K; i++)
		if (total <= pool_size((unsigned)i))
			return i;
	return -1;
}

struct pkt_buf *pkt_buf_alloc(size_t size)
{
	int pool = buf_pool(size + BUF_HDR);
	size_t total = pool >= 0 ? pool_size((unsigned)pool) : size + BUF_HDR;
	struct pkt_buf *b = pool >= 0 ? pool_alloc((unsigned)pool) : malloc(total);

	if (unlikely(!b))
		return NULL;
	ref_init(&b->ref, 1);
	b->cap = (uint32_t)(total - BUF_HDR);
	b->data = (uint8_t *)b + BUF_HDR;
	b->free_fn = NULL;
	b->used = 0;
	return b;
}

void pkt_buf_put(struct pkt_buf *b)
{
	int pool;

	/* The common case of one owner needs no locked operation. */
	if (atomic_load_explicit(&b->ref.n, memory_order_acquire) != 1 && !ref_put(&b->ref))
		return;
	if (b->free_fn) {
		b->free_fn(b);
		return;
	}
	pool = buf_pool((size_t)b->cap + BUF_HDR);
	if (pool >= 0)
		pool_free((unsigned)pool, b);
	else
		free(b);
}

bool pkt_add_frag(struct pkt *p, struct pkt_buf *b, uint32_t off, uint32_t len)
{
	if (p->nr_frags) {
		struct pkt_frag *f = &p->frags[p->nr_frags - 1];

		if (f->buf == b && f->off + f->len == off) {
			f->len += len;
			p->len += len;
			pkt_buf_put(b);
			return true;
		}
	}
	if (p->nr_frags == PKT_MAX_FRAGS)
		return false;
	p->frags[p->nr_frags++] = (struct pkt_frag){ .buf = b, .off = off, .len = len };
	p->len += len;
	return true;
}

struct pkt *pkt_clone(const struct pkt *p)
{
	size_t linear = (size_t)(p->end - p->data);
	struct pkt *n = pkt_alloc(pkt_headroom(p), linear);
	uint8_t *end;

	if (!n)
		return NULL;
	end = n->end;
	n->next = NULL;
	{
		uint8_t *head = n->head;

		memcpy(n, p, offsetof(struct pkt, frags));
		n->head = head;
	}
	n->data = n->head + pkt_headroom(p);
	n->tail = n->data + pkt_linear(p);
	n->end = end;
	n->next = NULL;
	n->esk = NULL;
	memcpy(n->head, p->head, (size_t)(p->tail - p->head));
	for (unsigned i = 0; i < p->nr_frags; i++) {
		n->frags[i] = p->frags[i];
		pkt_buf_get(n->frags[i].buf);
	}
	if (n->dst)
		dst_get(n->dst);
	if (n->ct)
		nf_ct_get(n->ct);
	return n;
}

struct pkt *pkt_slice(const struct pkt *p, uint32_t off, uint32_t len, size_t headroom)
{
	uint32_t lin = pkt_linear(p), n = 0;
	struct pkt *s;

	if (off > p->len || len > p->len - off)
		return NULL;
	if (off < lin)
		n = MIN(len, lin - off);
	s = pkt_alloc(headroom, n);
	if (!s)
		return NULL;
	s->csum = PKT_CSUM_OK;
	if (n) {
		memcpy(pkt_put(s, n), p->data + off, n);
		len -= n;
		off += n;
	}
	off -= lin; /* only meaningful when len is left: then off >= lin */
	for (unsigned i = 0; i < p->nr_frags && len; i++) {
		const struct pkt_frag *f = &p->frags[i];
		uint32_t k;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		k = MIN(len, f->len - off);
		pkt_buf_get(f->buf);
		pkt_add_frag(s, f->buf, f->off + off, k);
		off = 0;
		len -= k;
	}
	return s;
}

static void frags_drop_front(struct pkt *p, uint32_t n)
{
	unsigned i = 0;

	while (i < p->nr_frags && n >= p->frags[i].len) {
		n -= p->frags[i].len;
		pkt_buf_put(p->frags[i].buf);
		i++;
	}
	if (i < p->nr_frags && n) {
		p->frags[i].off += n;
		p->frags[i].len -= n;
	}
	if (i) {
		p->nr_frags -= (uint16_t)i;
		memmove(p->frags, p->frags + i, p->nr_frags * sizeof(p->frags[0]));
	}
}

bool pkt_pull_slow(struct pkt *p, uint32_t n)
{
	uint32_t need;

	if (n > p->len)
		return false;
	need = n - pkt_linear(p);
	if (need > pkt_tailroom(p))
		return false;
	if (!pkt_copy_bits(p, pkt_linear(p), p->tail, need))
		return false;
	p->tail += need;
	frags_drop_front(p, need);
	return true;
}

void pkt_pull(struct pkt *p, uint32_t n)
{
	uint32_t lin = pkt_linear(p);

	BUG_ON(n > p->len);
	p->len -= n;
	if (n <= lin) {
		p->data += n;
		return;
	}
	p->data = p->tail;
	frags_drop_front(p, n - lin);
}

void pkt_trim(struct pkt *p, uint32_t new_len)
{
	uint32_t lin = pkt_linear(p), cut;

	if (new_len >= p->len)
		return;
	if (new_len <= lin) {
		for (unsigned i = 0; i < p->nr_frags; i++)
			pkt_buf_put(p->frags[i].buf);
		p->nr_frags = 0;
		p->tail = p->data + new_len;
		p->len = new_len;
		return;
	}
	cut = p->len - new_len;
	while (cut) {
		struct pkt_frag *f = &p->frags[p->nr_frags - 1];

		if (cut < f->len) {
			f->len -= cut;
			break;
		}
		cut -= f->len;
		pkt_buf_put(f->buf);
		p->nr_frags--;
	}
	p->len = new_len;
}

bool pkt_copy_bits(const struct pkt *p, uint32_t off, void *to, uint32_t n)
{
	uint32_t lin = pkt_linear(p);
	uint8_t *d = to;

	if (off > p->len || n > p->len - off)
		return false;
	if (off < lin) {
		uint32_t k = MIN(n, lin - off);

		memcpy(d, p->data + off, k);
		d += k;
		n -= k;
		off += k;
	}
	off -= lin;
	for (unsigned i = 0; i < p->nr_frags && n; i++) {
		const struct pkt_frag *f = &p->frags[i];
		uint32_t k;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		k = MIN(n, f->len - off);
		memcpy(d, f->buf->data + f->off + off, k);
		d += k;
		n -= k;
		off = 0;
	}
	return n == 0;
}

/* A private copy of fragment @f's range, which may then be written. */
static bool frag_privatize(struct pkt_frag *f)
{
	struct pkt_buf *b;

	b = pkt_buf_alloc(f->len);
	if (!b)
		return false;
	memcpy(b->data, f->buf->data + f->off, f->len);
	pkt_buf_put(f->buf);
	f->buf = b;
	f->off = 0;
	return true;
}

bool pkt_store_bits(struct pkt *p, uint32_t off, const void *from, uint32_t n)
{
	uint32_t lin = pkt_linear(p);
	const uint8_t *s = from;

	if (off > p->len || n > p->len - off)
		return false;
	if (off < lin) {
		uint32_t k = MIN(n, lin - off);

		memcpy(p->data + off, s, k);
		s += k;
		n -= k;
		off += k;
	}
	off -= lin;
	for (unsigned i = 0; i < p->nr_frags && n; i++) {
		struct pkt_frag *f = &p->frags[i];
		uint32_t k;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		k = MIN(n, f->len - off);
		if (!frag_privatize(f))
			return false;
		memcpy(f->buf->data + f->off + off, s, k);
		s += k;
		n -= k;
		off = 0;
	}
	return true;
}
