/* SPDX-License-Identifier: Apache-2.0
 * sentry/keys/proc.c - text of /proc/keys and /proc/key-users
 *
 * Locks:   keys_mu.
 * Source:  keyrings(7) "/proc files".
 */
#include "sentry/keys/keys_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_TIME_MAX 24 /* bytes of a time */

struct show {
	struct task *viewer;
	struct key **keys;	/* those there are, to be sorted */
	size_t nr;
	struct buf *out;
};

static void count_one(struct key *k, void *arg)
{
	++*(size_t *)arg;
}

static void collect_one(struct key *k, void *arg)
{
	struct show *s = arg;

	s->keys[s->nr++] = k;
}

static int by_number(const void *a, const void *b)
{
	const struct key *x = *(struct key *const *)a, *y = *(struct key *const *)b;

	return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static const char *time_left(const struct key *k, char text[KEY_TIME_MAX])
{
	static const struct {
		int64_t seconds;
		char unit;
	} units[] = { { 7 * 24 * 3600, 'w' }, { 24 * 3600, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int64_t left = k->expiry - (int64_t)(now_real_ns() / NSEC_PER_SEC);

	if (!k->expiry)
		return "perm";
	if (left <= 0)
		return "expd";
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (left >= units[i].seconds) {
			snprintf(text, KEY_TIME_MAX, "%lld%c", (long long)(left / units[i].seconds), units[i].unit);
			break;
		}
	return text;
}

static void show_key(const struct show *s, const struct key *k)
{
	struct user_ns *ns = s->viewer->cred->user_ns;
	char text[KEY_TIME_MAX];

	buf_printf(s->out, "%08x %c%c%c%c%c%c%c %5u %4s %08x %5d %5d %-9.9s %s", (unsigned)k->serial, 'I', k->revoked ? 'R' : '-', '-',
		   k->in_quota ? 'Q' : '-', '-', k->negative ? 'N' : '-', k->invalidated ? 'i' : '-', k->ref, time_left(k, text), k->perm,
		   (int)id_from_kernel_munged(ns, false, k->uid), (int)id_from_kernel_munged(ns, true, k->gid), k->type->name, k->desc);
	if (k->negative)
		buf_printf(s->out, "\n");
	else if (k->type->ring && !k->nr_links)
		buf_printf(s->out, ": empty\n");
	else
		buf_printf(s->out, ": %u\n", k->type->ring ? k->nr_links : k->datalen);
}

void keys_show(struct task *viewer, struct buf *out)
{
	struct show s = { .viewer = viewer, .out = out };
	size_t nr = 0;

	keys_lock();
	key_for_each(count_one, &nr);
	s.keys = malloc(MAX(nr, (size_t)1) * sizeof(*s.keys));
	if (s.keys) {
		uint64_t mark = keys_mark_possessed(viewer);

		key_for_each(collect_one, &s);
		qsort(s.keys, s.nr, sizeof(*s.keys), by_number);
		for (size_t i = 0; i < s.nr; i++) {
			struct key_ref r = { s.keys[i], s.keys[i]->search >= mark };

			if (id_from_kernel(viewer->cred->user_ns, false, r.k->user->uid) != ID_INVALID &&
			    !key_allowed(r, viewer->cred, LINUX_KEY_VIEW))
				show_key(&s, r.k);
		}
	} else {
		out->failed = true;
	}
	keys_unlock();
	free(s.keys);
}

static void show_user(const struct key_user *u, void *arg)
{
	const struct show *s = arg;

	if (id_from_kernel(s->viewer->cred->user_ns, false, u->uid) == ID_INVALID)
		return;
	buf_printf(s->out, "%5u: %5u %u/%u %u/%lld %llu/%lld\n", id_from_kernel(s->viewer->cred->user_ns, false, u->uid), u->ref, u->nr,
		   u->nr_instantiated, u->nr_quota, (long long)atomic_load(u->uid ? &keys_maxkeys : &keys_root_maxkeys),
		   (unsigned long long)u->quota_bytes, (long long)atomic_load(u->uid ? &keys_maxbytes : &keys_root_maxbytes));
}

void keys_show_users(struct task *viewer, struct buf *out)
{
	struct show s = { .viewer = viewer, .out = out };

	keys_lock();
	key_users_for_each(show_user, &s);
	keys_unlock();
}
