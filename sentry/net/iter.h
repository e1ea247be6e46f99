/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/iter.h - the caller's memory as a stream: one copy between guest and packet buffers
 *
 * Model:   the socket layer fills in a copy function that walks its iovecs in guest memory. The stack
 *          never holds a lock while it calls it. Short counts mean that the rest is not accessible.
 */
#ifndef SENTRY_NET_ITER_H
#define SENTRY_NET_ITER_H

#include "sentry/net/types.h"

struct net_iter {
	/* Moves up to @n bytes from the current position of the caller's memory to @buf (sending) or from
	 * @buf to it (receiving), and advances. Return: bytes moved, or -LINUX_EFAULT if none could be. */
	long (*copy)(struct net_iter *it, void *buf, size_t n);
	size_t left;	/* bytes not yet moved; the stack never asks for more */
};

/* Plain memory as an iterator: tests, and the Sentry's own users. */
struct net_iter_mem {
	struct net_iter it;
	uint8_t *p;
};
void net_iter_read_mem(struct net_iter_mem *m, const void *src, size_t len); /* for sending */
void net_iter_write_mem(struct net_iter_mem *m, void *dst, size_t len);	     /* for receiving */

static inline long net_iter_copy(struct net_iter *it, void *buf, size_t n)
{
	long r;

	n = MIN(n, it->left);
	if (n == 0)
		return 0;
	r = it->copy(it, buf, n);
	if (r > 0)
		it->left -= (size_t)r;
	return r;
}

#endif
