/* SPDX-License-Identifier: Apache-2.0
 * sentry/loader/strings.c - argv and envp on their way through execve(2)
 *
 * Model:   strings lie back to back as they will on the new stack. Guests keep their strings close together, so they are read
 *          through a window of two pages: a typical environment costs a handful of copies instead of one for each string.
 * Source:  execve(2), "Limits on size of arguments and environment".
 */
#include "sentry/loader/loader_internal.h"

#include <string.h>

#define WINDOW_BYTES  (2 * PAGE_SIZE)
#define PTRS_AT_ONCE  128

/* Guest memory around the last string. */
struct window {
	uint64_t base;
	size_t len;	/* valid bytes; fewer than asked for when the next page is bad */
	char data[WINDOW_BYTES];
};

void exec_strings_fini(struct exec_strings *s)
{
	free(s->data);
	*s = (struct exec_strings){ 0 };
}

static long strings_room(struct exec_strings *s, size_t n)
{
	size_t cap = s->cap ? s->cap : 1024;
	char *p;

	if (s->len + n > EXEC_ARG_MAX)
		return -LINUX_E2BIG;
	while (cap < s->len + n)
		cap *= 2;
	if (cap == s->cap)
		return 0;
	p = realloc(s->data, cap);
	if (!p)
		return -LINUX_ENOMEM;
	s->data = p;
	s->cap = cap;
	return 0;
}

/* The bytes and the pointer that each string costs stay below the limit. */
static bool too_many(const struct exec_strings *s, size_t len)
{
	return len >= EXEC_STRLEN_MAX ||
	       s->len + len + 1 + ((size_t)s->nr + 1) * sizeof(uint64_t) > EXEC_ARG_MAX;
}

long exec_strings_add(struct exec_strings *s, const char *str, size_t len)
{
	long ret;

	if (too_many(s, len))
		return -LINUX_E2BIG;
	ret = strings_room(s, len + 1);
	if (ret < 0)
		return ret;
	memcpy(s->data + s->len, str, len);
	s->data[s->len + len] = '\0';
	s->len += len + 1;
	s->nr++;
	return 0;
}

long exec_strings_prepend(struct exec_strings *s, const char *str)
{
	size_t len = strlen(str);
	long ret;

	if (too_many(s, len))
		return -LINUX_E2BIG;
	ret = strings_room(s, len + 1);
	if (ret < 0)
		return ret;
	memmove(s->data + len + 1, s->data, s->len);
	memcpy(s->data, str, len + 1);
	s->len += len + 1;
	s->nr++;
	return 0;
}

void exec_strings_drop_first(struct exec_strings *s)
{
	size_t n;

	if (!s->nr)
		return;
	n = strlen(s->data) + 1;
	memmove(s->data, s->data + n, s->len - n);
	s->len -= n;
	s->nr--;
}

static long window_move(struct window *w, struct uthread *u, uint64_t addr)
{
	long got;

	w->base = addr & PAGE_MASK;
	got = umem_copy_in_partial(u, w->data, GPTR(w->base), sizeof(w->data));
	if (got <= 0 || (uint64_t)got <= addr - w->base) {
		w->len = 0;
		return -LINUX_EFAULT;
	}
	w->len = (size_t)got;
	return 0;
}

static long copy_string(struct exec_strings *s, struct uthread *u, struct window *w, uint64_t addr)
{
	size_t start = s->len, n, left;
	const char *p, *nul;
	long ret;

	do {
		if (addr < w->base || addr - w->base >= w->len) {
			ret = window_move(w, u, addr);
			if (ret < 0)
				return ret;
		}
		p = w->data + (addr - w->base);
		left = w->len - (addr - w->base);
		nul = memchr(p, '\0', left);
		n = nul ? (size_t)(nul - p) + 1 : left;
		if (s->len - start + n > EXEC_STRLEN_MAX || too_many(s, n))
			return -LINUX_E2BIG;
		ret = strings_room(s, n);
		if (ret < 0)
			return ret;
		memcpy(s->data + s->len, p, n);
		s->len += n;
		addr += n;
	} while (!nul);
	s->nr++;
	return 0;
}

/* A run of pointers: as many as the readable part of the array holds. */
static long copy_ptrs(struct uthread *u, uint64_t *ptr, uint64_t at)
{
	long got = umem_copy_in_partial(u, ptr, GPTR(at), PTRS_AT_ONCE * sizeof(*ptr));

	return got < (long)sizeof(*ptr) ? -LINUX_EFAULT : got / (long)sizeof(*ptr);
}

long exec_strings_copyin(struct exec_strings *s, struct uthread *u, struct gptr argv)
{
	uint64_t ptr[PTRS_AT_ONCE], at = argv.v;
	struct window *w;
	long ret = 0, n;

	if (!at)
		return 0;
	w = malloc(sizeof(*w));
	if (!w)
		return -LINUX_ENOMEM;
	w->base = w->len = 0;
	for (;;) {	/* ends at the limit of the sizes at the latest */
		n = copy_ptrs(u, ptr, at);
		if (n < 0) {
			ret = n;
			break;
		}
		for (long i = 0; i < n && !ret; i++) {
			if (!ptr[i])
				goto out;
			ret = copy_string(s, u, w, ptr[i]);
		}
		if (ret)
			break;
		at += (uint64_t)n * sizeof(*ptr);
	}
out:
	free(w);
	return ret;
}
