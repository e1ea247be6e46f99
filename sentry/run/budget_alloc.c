/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/budget_alloc.c - malloc(3) and its family, charged to the container that they are for
 *
 * Model:   the linker hands every call of the program, the C library's own included, to these (--wrap in the Makefile; not in
 *          sanitizer builds, where the sanitizer is the allocator). A head before each block says who pays and how much. On threads
 *          that serve no container (also in all of runsc's other processes) nobody pays.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sentry/run/budget.h"

#define HEAD	    sizeof(struct head)
#define SIZE_BITS   56 /* of head.size; above: the logarithm of an alignment beyond the usual, else 0 */
#define SIZE_OF(h)  ((size_t)((h)->size & ((1ull << SIZE_BITS) - 1)))
#define SHIFT_OF(h) ((unsigned)((h)->size >> SIZE_BITS))
#define OVERHEAD    16u /* the allocator's own, and the head */

struct head {
	struct budget *payer;
	uint64_t size;
} __attribute__((aligned(16)));

/* Weak: programs that are linked without --wrap carry this file unused. */
#define REAL(ret, name, ...)                                     \
	extern ret __real_##name(__VA_ARGS__) __attribute__((weak)); \
	ret __wrap_##name(__VA_ARGS__)

REAL(void *, malloc, size_t n);
REAL(void *, calloc, size_t nr, size_t n);
REAL(void *, realloc, void *p, size_t n);
REAL(void, free, void *p);
REAL(void *, memalign, size_t align, size_t n);
REAL(void *, aligned_alloc, size_t align, size_t n);
REAL(int, posix_memalign, void **out, size_t align, size_t n);

static struct head *head_of(void *p)
{
	return (struct head *)((char *)p - HEAD);
}

static void *block_of(struct head *h)
{
	return (char *)h + HEAD - MAX((size_t)1 << SHIFT_OF(h), HEAD);
}

static bool pay(struct budget **payer, size_t n)
{
	*payer = n <= PTRDIFF_MAX - 2 * HEAD ? budget_current() : NULL;
	return n <= PTRDIFF_MAX - 2 * HEAD && (!*payer || budget_heap_take(*payer, n + OVERHEAD));
}

static void pay_back(struct budget *payer, size_t n)
{
	if (payer)
		budget_heap_give(payer, n + OVERHEAD);
}

static void *block_new(struct head *h, struct budget *payer, size_t n)
{
	if (!h) {
		pay_back(payer, n);
		return NULL;
	}
	h->payer = payer;
	h->size = n;
	return (char *)h + HEAD;
}

void *__wrap_malloc(size_t n)
{
	struct budget *payer;

	return pay(&payer, n) ? block_new(__real_malloc(n + HEAD), payer, n) : NULL;
}

void *__wrap_calloc(size_t nr, size_t n)
{
	struct budget *payer;
	size_t all;

	if (__builtin_mul_overflow(nr, n, &all) || !pay(&payer, all))
		return NULL;
	return block_new(__real_calloc(1, all + HEAD), payer, all);
}

void __wrap_free(void *p)
{
	struct head *h;

	if (!p)
		return;
	h = head_of(p);
	pay_back(h->payer, SIZE_OF(h));
	__real_free(block_of(h));
}

void *__wrap_memalign(size_t align, size_t n)
{
	struct budget *payer;
	char *block;
	struct head *h;

	if (align <= HEAD)
		return __wrap_malloc(n);
	if ((align & (align - 1)) || align > PTRDIFF_MAX / 2 || n > PTRDIFF_MAX / 2 || !pay(&payer, n))
		return NULL;
	block = __real_memalign(align, n + align);
	if (!block) {
		pay_back(payer, n);
		return NULL;
	}
	h = (struct head *)(block + align - HEAD);
	h->payer = payer;
	h->size = n | (uint64_t)__builtin_ctzl(align) << SIZE_BITS;
	return block + align;
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return __wrap_memalign(align, n);
}

int __wrap_posix_memalign(void **out, size_t align, size_t n)
{
	void *p = __wrap_memalign(align, n);

	if (p)
		*out = p;
	return p ? 0 : ENOMEM;
}

static void *moved(void *p, size_t n)
{
	void *to = __wrap_malloc(n);

	if (to) {
		memcpy(to, p, MIN(n, SIZE_OF(head_of(p))));
		__wrap_free(p);
	}
	return to;
}

void *__wrap_realloc(void *p, size_t n)
{
	struct head *h, *to;
	size_t old;

	if (!p)
		return __wrap_malloc(n);
	h = head_of(p);
	old = SIZE_OF(h);
	if (!n) {
		__wrap_free(p);
		return NULL;
	}
	if (SHIFT_OF(h))
		return moved(p, n);
	if (n > PTRDIFF_MAX - 2 * HEAD || (n > old && h->payer && !budget_heap_take(h->payer, n - old)))
		return NULL;
	to = __real_realloc(h, n + HEAD);
	if (!to) {
		if (n > old && h->payer)
			budget_heap_give(h->payer, n - old);
		return NULL;
	}
	if (n < old && to->payer)
		budget_heap_give(to->payer, old - n);
	to->size = n;
	return (char *)to + HEAD;
}
