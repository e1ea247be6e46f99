/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/pkt_data.c - packet content: caller's memory, checksums
 *
 * Source:  RFC 1071 (Internet checksum), RFC 1624 (incremental update).
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/host.h"
#include "sentry/net/iter.h"
#include "sentry/net/net.h"

static long mem_read(struct net_iter *it, void *buf, size_t n)
{
	struct net_iter_mem *m = container_of(it, struct net_iter_mem, it);

	memcpy(buf, m->p, n);
	m->p += n;
	return (long)n;
}

static long mem_write(struct net_iter *it, void *buf, size_t n)
{
	struct net_iter_mem *m = container_of(it, struct net_iter_mem, it);

	memcpy(m->p, buf, n);
	m->p += n;
	return (long)n;
}

void net_iter_read_mem(struct net_iter_mem *m, const void *src, size_t len)
{
	m->it = (struct net_iter){ .copy = mem_read, .left = len };
	m->p = (uint8_t *)(uintptr_t)src;
}

void net_iter_write_mem(struct net_iter_mem *m, void *dst, size_t len)
{
	m->it = (struct net_iter){ .copy = mem_write, .left = len };
	m->p = dst;
}

long pkt_copy_to_iter(const struct pkt *p, uint32_t off, struct net_iter *it, size_t n)
{
	uint32_t lin = pkt_linear(p);
	size_t done = 0;
	long r;

	n = MIN(n, (size_t)(p->len - MIN(off, p->len)));
	if (off < lin && n) {
		size_t k = MIN(n, (size_t)(lin - off));

		r = net_iter_copy(it, p->data + off, k);
		if (r < (long)k)
			return r;
		done = k;
		off = 0;
	} else {
		off -= lin;
	}
	for (unsigned i = 0; i < p->nr_frags && done < n; i++) {
		const struct pkt_frag *f = &p->frags[i];
		size_t k;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		k = MIN(n - done, (size_t)(f->len - off));
		r = net_iter_copy(it, f->buf->data + f->off + off, k);
		if (r < (long)k)
			return r > 0 ? (long)done + r : done ? (long)done : r;
		done += k;
		off = 0;
	}
	return (long)done;
}

int pkt_append_iter(struct pkt *p, struct net_iter *it, size_t n)
{
	size_t lin = p->nr_frags ? 0 : MIN(n, (size_t)pkt_tailroom(p));
	long r;

	if (n <= lin) { /* all of it fits: one copy, no fragment */
		r = net_iter_copy(it, p->tail, n);
		if (r < (long)n)
			return -LINUX_EFAULT;
		pkt_put(p, (uint32_t)n);
		return 0;
	}
	while (n) {
		size_t k = MIN(n, (size_t)65536);
		struct pkt_buf *b = pkt_buf_alloc(k);

		if (!b)
			return -LINUX_ENOMEM;
		r = net_iter_copy(it, b->data, k);
		if (r < (long)k || !pkt_add_frag(p, b, 0, (uint32_t)k)) {
			pkt_buf_put(b);
			return r < (long)k ? -LINUX_EFAULT : -LINUX_ENOMEM;
		}
		n -= k;
	}
	return 0;
}

/* ---- checksums -------------------------------------------------------------------------------------- */

/* Sum of 16-bit words in memory order, unfolded; an odd last byte counts as the low byte of its word. */
uint64_t csum_add_bytes(const void *p, size_t n, uint64_t sum)
{
	const uint8_t *b = p;
	uint64_t s0 = 0, s1 = 0;

	while (n >= 32) {
		uint64_t v[4];

		memcpy(v, b, 32);
		s0 += (v[0] & 0xffffffff) + (v[1] & 0xffffffff) + (v[2] & 0xffffffff) + (v[3] & 0xffffffff);
		s1 += (v[0] >> 32) + (v[1] >> 32) + (v[2] >> 32) + (v[3] >> 32);
		b += 32;
		n -= 32;
	}
	while (n >= 4) {
		uint32_t v;

		memcpy(&v, b, 4);
		s0 += v;
		b += 4;
		n -= 4;
	}
	if (n) {
		uint32_t v = 0;

		memcpy(&v, b, n);
		s0 += v;
	}
	/* at most 64 KiB go in per call: no overflow of 64 bits */
	return sum + s0 + s1;
}

uint16_t csum_fold(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

uint32_t csum_pseudo(const struct naddr *src, const struct naddr *dst, uint8_t proto, uint32_t len)
{
	uint64_t s;

	if (naddr_is_v4(dst))
		s = (uint64_t)src->w[3] + dst->w[3];
	else
		s = csum_add_bytes(src->b, 16, csum_add_bytes(dst->b, 16, 0));
	s += net_htonl(len);
	s += (uint32_t)proto << 8; /* high byte of a big-endian word */
	return csum_fold(s);
}

uint32_t pkt_csum_range(const struct pkt *p, uint32_t off, uint32_t n, uint32_t seed)
{
	uint32_t lin = pkt_linear(p);
	uint64_t sum = seed;
	bool odd = false; /* position within the range */

	BUG_ON(off > p->len || n > p->len - off);
	if (off < lin && n) {
		uint32_t k = MIN(n, lin - off);

		sum = csum_add_bytes(p->data + off, k, sum);
		odd = k & 1;
		n -= k;
		off = 0;
	} else {
		off -= lin;
	}
	for (unsigned i = 0; i < p->nr_frags && n; i++) {
		const struct pkt_frag *f = &p->frags[i];
		uint32_t k;
		uint16_t part;

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		k = MIN(n, f->len - off);
		part = csum_fold(csum_add_bytes(f->buf->data + f->off + off, k, 0));
		sum += odd ? (uint16_t)(part << 8 | part >> 8) : part;
		odd ^= k & 1;
		n -= k;
		off = 0;
	}
	return csum_fold(sum);
}

void pkt_csum_complete(struct pkt *p)
{
	uint32_t start;
	uint16_t c;

	if (p->csum != PKT_CSUM_PARTIAL)
		return;
	BUG_ON(p->head + p->csum_start + p->csum_off + 2 > p->tail || p->head + p->csum_start < p->data);
	start = (uint32_t)(p->head + p->csum_start - p->data);
	c = (uint16_t)~pkt_csum_range(p, start, p->len - start, 0);
	if (c == 0)
		c = 0xffff; /* RFC 768: zero means "none"; for TCP both are zero in ones' complement */
	memcpy(p->head + p->csum_start + p->csum_off, &c, 2);
	p->csum = PKT_CSUM_OK;
}
