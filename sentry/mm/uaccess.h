/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/uaccess.h - copying to and from the calling guest thread's memory
 *
 * Model:   thin names over the platform's transport; handlers use only these. Copy a structure once, check the copy.
 *          None of the caller's struct mutex may be held.
 */
#ifndef SENTRY_UACCESS_H
#define SENTRY_UACCESS_H

#include "sentry/platform/platform.h"

static inline long copyin(struct uthread *u, void *dst, struct gptr src, size_t len)
{
	return umem_copy_in(u, dst, src, len);
}

static inline long copyout(struct uthread *u, struct gptr dst, const void *src, size_t len)
{
	return umem_copy_out(u, dst, src, len);
}

/* Length without NUL; -LINUX_ENAMETOOLONG when the string with its NUL exceeds @cap; -LINUX_EFAULT. */
static inline long copyin_str(struct uthread *u, char *dst, size_t cap, struct gptr src)
{
	return umem_copy_in_str(u, dst, cap, src);
}

/* One object: copyin_obj(u, &ts, uptr) */
#define copyin_obj(u, dst, src)	 copyin((u), (dst), (src), sizeof(*(dst)))
#define copyout_obj(u, dst, src) copyout((u), (dst), (src), sizeof(*(src)))

/* A structure of @size bytes that newer callers may make longer, into the @known bytes of @dst, which are zero beyond a shorter one.
 * -LINUX_E2BIG: what is not known here is not zero, or more than a page; -LINUX_EFAULT */
long copyin_struct(struct uthread *u, void *dst, size_t known, struct gptr src, uint64_t size);

/* Scatter/gather over guest or Sentry memory: what read/write-like file operations consume and produce.
 * A uio is a position in a list of segments; moving data advances it. */
struct uio_seg {
	uint64_t base; /* guest address, or Sentry pointer when uio.u is NULL */
	size_t len;
};

#define UIO_MAXIOV   1024
#define UIO_MAX_BYTES 0x7ffff000ul /* MAX_RW_COUNT, read(2) NOTES */

struct uio {
	struct uthread *u;	/* NULL: segments are Sentry memory */
	struct uio_seg *seg;	/* borrowed */
	uint32_t nr, cur;	/* segments, current one */
	size_t off;		/* within the current segment */
	size_t left;		/* bytes left in total */
	struct uio_seg one;	/* storage for the common single segment */
};

void uio_init_user(struct uio *io, struct uthread *u, struct gptr base, size_t len); /* clamps to UIO_MAX_BYTES */
void uio_init_kernel(struct uio *io, void *base, size_t len);
/* From a guest struct iovec array: allocates segments when more than one; uio_fini() frees. -LINUX_EINVAL, -LINUX_EFAULT, -LINUX_ENOMEM. */
long uio_init_iov(struct uio *io, struct uthread *u, struct gptr iov, uint64_t nr);
void uio_fini(struct uio *io);

/* Moves up to @len bytes; returns how many were moved (short at a bad page), or -LINUX_EFAULT when none were. */
long uio_write(struct uio *io, const void *src, size_t len); /* to the uio's memory (a read(2)) */
/* All @len bytes, of a mapping of a file, in one copy by the host; or none and -LINUX_EFAULT. For one segment of a guest
 * (umem_copy_out_direct()). */
long uio_write_mapped(struct uio *io, const void *src, size_t len);
long uio_read(struct uio *io, void *dst, size_t len);	     /* from the uio's memory (a write(2)) */
long uio_zero(struct uio *io, size_t len);
void uio_skip(struct uio *io, size_t len);
void uio_revert(struct uio *io, size_t len); /* steps back over bytes moved but not consumed */

#endif
