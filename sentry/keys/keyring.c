/* SPDX-License-Identifier: Apache-2.0
 * sentry/keys/keyring.c - keyrings: links, search, loops
 *
 * Model:   a ring has at most one key of a type and description: linking another one displaces it. A search looks at a ring's keys
 *          first, then at the rings in it, to a depth of KEY_DEPTH_MAX; it comes by a ring at most once per depth, however many
 *          ways lead there, so that it costs no more than that many times the number of links.
 * Locks:   keys_mu.
 * Source:  keyrings(7) "Keyrings", "Possession"; keyctl(2) KEYCTL_SEARCH, KEYCTL_LINK.
 */
#include "sentry/keys/keys_internal.h"

#include <string.h>

static uint64_t searches;	/* guarded by keys_mu: the number of the last one */

static bool matches(const struct key *k, const struct key_search *s)
{
	return s->target ? k == s->target : k->type == s->type && !strcmp(k->desc, s->desc);
}

/* Whether @k, which matches, is the answer: 0, or why it is not. */
static long acceptable(struct key *k, const struct key_search *s)
{
	if (!s->any_state) {
		if (k->revoked || k->invalidated)
			return -LINUX_EKEYREVOKED;
		if (key_expired(k))
			return s->no_expired ? -LINUX_EAGAIN : -LINUX_EKEYEXPIRED;
	}
	if (s->cred && key_allowed((struct key_ref){ k, s->possessed }, s->cred, LINUX_KEY_SEARCH) < 0)
		return -LINUX_EACCES;
	return s->any_state ? 0 : k->negative;
}

static void stamp(struct key *k)
{
	if (k->search != searches)
		k->depths = 0;
	k->search = searches;
}

static bool been_here(struct key *ring, unsigned depth)
{
	stamp(ring);
	if (ring->depths & (1u << depth))
		return true;
	ring->depths |= 1u << depth;
	return false;
}

/* True: the search is over, with @out or *@ret. */
static bool try(struct key *k, const struct key_search *s, struct key **out, long *ret)
{
	if (s->mark && !acceptable(k, s))
		stamp(k);
	if (!matches(k, s))
		return false;
	*ret = acceptable(k, s);
	if (!*ret)
		*out = k;
	return !*ret || (k->negative && *ret == k->negative);
}

static bool search_below(struct key *ring, struct key_search *s, unsigned depth, struct key **out, long *ret)
{
	if (been_here(ring, depth) || (!s->any_state && (ring->revoked || ring->invalidated)))
		return false;
	for (uint32_t i = 0; i < ring->nr_links; i++)
		if (try(ring->link[i], s, out, ret))
			return true;
	for (uint32_t i = 0; i < ring->nr_links; i++) {
		struct key *k = ring->link[i];

		if (!k->type->ring)
			continue;
		if (depth == KEY_DEPTH_MAX) {
			if (s->too_deep)
				*ret = -LINUX_ELOOP;
			return s->too_deep;
		}
		if (s->cred && key_allowed((struct key_ref){ k, s->possessed }, s->cred, LINUX_KEY_SEARCH) < 0)
			continue;
		if (search_below(k, s, depth + 1, out, ret))
			return true;
	}
	return false;
}

long ring_search(struct key *ring, struct key_search *s, struct key **out)
{
	long ret = -LINUX_EAGAIN;

	if (!ring->type->ring)
		return -LINUX_ENOTDIR;
	if (s->cred && key_allowed((struct key_ref){ ring, s->possessed }, s->cred, LINUX_KEY_SEARCH) < 0)
		return -LINUX_EACCES;
	searches++;
	if (!try(ring, s, out, &ret))
		search_below(ring, s, 0, out, &ret);
	return ret;
}

uint64_t ring_next_search(void)
{
	return searches + 1;
}

struct key *ring_find(struct key *ring, const struct key_type *type, const char *desc)
{
	struct key_search s = { .type = type, .desc = desc };

	for (uint32_t i = 0; i < ring->nr_links; i++)
		if (matches(ring->link[i], &s))
			return ring->link[i];
	return NULL;
}

bool ring_has(const struct key *ring, const struct key *k)
{
	for (uint32_t i = 0; i < ring->nr_links; i++)
		if (ring->link[i] == k)
			return true;
	return false;
}

/* ---- changes ---------------------------------------------------------------------------------------------- */

/* @k may not hold the ring that is to hold it. */
static long check_loop(struct key *ring, struct key *k)
{
	struct key_search s = { .target = ring, .any_state = true, .too_deep = true };
	struct key *found;
	long ret;

	if (!k->type->ring)
		return 0;
	ret = ring_search(k, &s, &found);
	return ret == -LINUX_EAGAIN ? 0 : ret ?: -LINUX_EDEADLK;
}

static bool grow(struct key *ring)
{
	uint32_t cap = MAX(4u, ring->cap_links * 2);
	struct key **l;

	if (ring->nr_links < ring->cap_links)
		return true;
	l = realloc(ring->link, cap * sizeof(*l));
	if (!l)
		return false;
	ring->link = l;
	ring->cap_links = cap;
	return true;
}

long ring_link(struct key *ring, struct key *k)
{
	long ret;

	if (ring->restricted)
		return -LINUX_EPERM;
	ret = check_loop(ring, k);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < ring->nr_links; i++) {
		struct key *old = ring->link[i];

		if (old->type == k->type && !strcmp(old->desc, k->desc)) {
			ring->link[i] = key_get(k);
			key_put(old);
			return 0;
		}
	}
	if (!grow(ring))
		return -LINUX_ENOMEM;
	ret = key_reserve(ring, ring->datalen + KEY_LINK_BYTES);
	if (ret < 0)
		return ret;
	ring->link[ring->nr_links++] = key_get(k);
	return 0;
}

void ring_drop_links(struct key *ring, bool (*dead)(const struct key *k))
{
	uint32_t n = 0, old = ring->nr_links;
	struct key **gone = ring->link;

	/* Those that stay to the front, the others behind. */
	for (uint32_t i = 0; i < old; i++)
		if (dead && !dead(gone[i])) {
			struct key *k = gone[i];

			gone[i] = gone[n];
			gone[n++] = k;
		}
	if (n == old)
		return;
	ring->nr_links = n;
	key_reserve(ring, n * KEY_LINK_BYTES);
	for (uint32_t i = n; i < old; i++)
		key_put(gone[i]);
}

void ring_clear(struct key *ring)
{
	ring_drop_links(ring, NULL);
}

long ring_unlink(struct key *ring, struct key *k)
{
	for (uint32_t i = 0; i < ring->nr_links; i++)
		if (ring->link[i] == k) {
			ring->link[i] = ring->link[--ring->nr_links];
			key_reserve(ring, ring->datalen - KEY_LINK_BYTES);
			key_put(k);
			return 0;
		}
	return -LINUX_ENOENT;
}
