/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/uaccess.c - uio: a position in a list of guest or Sentry memory segments
 *
 * Model:   the caller of readv(2) & co. builds a uio once; whoever moves data advances it. One segment needs no
 *          allocation. uio.left never counts more than the segments hold, so that moving stops by itself.
 * Locks:   none; a uio belongs to one kthread.
 * Source:  readv(2), read(2) NOTES (limit of one transfer).
 */
#include "sentry/mm/uaccess.h"

#include <string.h>

_Static_assert(sizeof(struct uio_seg) == 16 && offsetof(struct uio_seg, len) == 8,
	       "struct uio_seg is read straight from a guest's struct iovec");

/* What uio_zero() sends out; never written. */
static uint8_t zero_bytes[16 * 1024];

long copyin_struct(struct uthread *u, void *dst, size_t known, struct gptr src, uint64_t size)
{
	uint8_t more[64];
	long ret;

	if (size > PAGE_SIZE)
		return -LINUX_E2BIG;
	memset(dst, 0, known);
	ret = copyin(u, dst, src, MIN(size, (uint64_t)known));
	for (uint64_t off = known; !ret && off < size; off += sizeof(more)) {
		size_t n = (size_t)MIN(size - off, (uint64_t)sizeof(more));

		ret = copyin(u, more, GPTR(src.v + off), n);
		for (size_t i = 0; !ret && i < n; i++)
			if (more[i])
				ret = -LINUX_E2BIG;
	}
	return ret;
}

void uio_init_user(struct uio *io, struct uthread *u, struct gptr base, size_t len)
{
	if (len > UIO_MAX_BYTES)
		len = UIO_MAX_BYTES;
	*io = (struct uio){ .u = u, .nr = 1, .left = len, .one = { base.v, len } };
	io->seg = &io->one;
}

void uio_init_kernel(struct uio *io, void *base, size_t len)
{
	*io = (struct uio){ .nr = 1, .left = len, .one = { (uint64_t)(uintptr_t)base, len } };
	io->seg = &io->one;
}

/**
 * check_segs() - lengths as import_iovec: none negative, ranges below the guest's limit, the sum clamped
 * Return: 0, -LINUX_EINVAL, -LINUX_EFAULT
 */
static long check_segs(struct uio *io)
{
	uint64_t limit = uspace_limit(io->u->space);
	size_t total = 0;

	for (uint32_t i = 0; i < io->nr; i++) {
		struct uio_seg *s = &io->seg[i];

		if (s->len > INT64_MAX)
			return -LINUX_EINVAL;
		if (s->len > limit || s->base > limit - s->len)
			return -LINUX_EFAULT;
		if (s->len > UIO_MAX_BYTES - total)
			s->len = UIO_MAX_BYTES - total;
		total += s->len;
	}
	io->left = total;
	return 0;
}

long uio_init_iov(struct uio *io, struct uthread *u, struct gptr iov, uint64_t nr)
{
	long ret;

	*io = (struct uio){ .u = u, .seg = &io->one };
	if (nr > UIO_MAXIOV)
		return -LINUX_EINVAL;
	if (nr > 1) {
		io->seg = malloc(nr * sizeof(*io->seg));
		if (!io->seg)
			return -LINUX_ENOMEM;
	}
	io->nr = (uint32_t)nr;
	ret = nr ? copyin(u, io->seg, iov, nr * sizeof(*io->seg)) : 0;
	if (!ret)
		ret = check_segs(io);
	if (ret < 0)
		uio_fini(io);
	return ret;
}

void uio_fini(struct uio *io)
{
	if (io->seg != &io->one)
		free(io->seg);
	io->seg = &io->one;
	io->nr = 0;
	io->left = 0;
}

/* The next contiguous piece, at most @len bytes; 0 when nothing is left. */
static size_t uio_piece(struct uio *io, size_t len, uint64_t *out_addr)
{
	if (len > io->left)
		len = io->left;
	while (io->cur < io->nr && io->off == io->seg[io->cur].len) {
		io->cur++;
		io->off = 0;
	}
	if (!len || io->cur >= io->nr)
		return 0;
	*out_addr = io->seg[io->cur].base + io->off;
	return MIN(len, io->seg[io->cur].len - io->off);
}

static void uio_advance(struct uio *io, size_t n)
{
	io->off += n;
	io->left -= n;
}

long uio_write(struct uio *io, const void *src, size_t len)
{
	size_t done = 0, n;
	uint64_t addr;

	while ((n = uio_piece(io, len - done, &addr)) != 0) {
		const char *from = (const char *)src + done;

		if (!io->u)
			memcpy((void *)(uintptr_t)addr, from, n);
		else if (copyout(io->u, GPTR(addr), from, n) < 0)
			return done ? (long)done : -LINUX_EFAULT;
		uio_advance(io, n);
		done += n;
	}
	return (long)done;
}

long uio_write_mapped(struct uio *io, const void *src, size_t len)
{
	uint64_t addr;

	if (uio_piece(io, len, &addr) != len || umem_copy_out_direct(io->u, GPTR(addr), src, len))
		return -LINUX_EFAULT;
	uio_advance(io, len);
	return (long)len;
}

long uio_read(struct uio *io, void *dst, size_t len)
{
	size_t done = 0, n;
	uint64_t addr;

	while ((n = uio_piece(io, len - done, &addr)) != 0) {
		char *to = (char *)dst + done;
		long got = (long)n;

		if (!io->u)
			memcpy(to, (const void *)(uintptr_t)addr, n);
		else
			got = umem_copy_in_partial(io->u, to, GPTR(addr), n);
		if (got > 0) {
			uio_advance(io, (size_t)got);
			done += (size_t)got;
		}
		if (got < (long)n)
			return done ? (long)done : -LINUX_EFAULT;
	}
	return (long)done;
}

long uio_zero(struct uio *io, size_t len)
{
	size_t done = 0;

	while (done < len && io->left) {
		long n = uio_write(io, zero_bytes, MIN(len - done, sizeof(zero_bytes)));

		if (n < 0)
			return done ? (long)done : n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (long)done;
}

void uio_skip(struct uio *io, size_t len)
{
	uint64_t addr;
	size_t n;

	while ((n = uio_piece(io, len, &addr)) != 0) {
		uio_advance(io, n);
		len -= n;
	}
}

void uio_revert(struct uio *io, size_t len)
{
	while (len) {
		size_t n = MIN(len, io->off);

		io->off -= n;
		io->left += n;
		len -= n;
		if (!len)
			return;
		BUG_ON(io->cur == 0);	/* more than was ever moved */
		io->cur--;
		io->off = io->seg[io->cur].len;
	}
}
