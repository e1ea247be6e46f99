/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/user_count.c - what a user (real uid) has in use, for limits that count per user
 *
 * Locks:   users_mu (leaf) guards the table; the counts are atomic.
 * Source:  getrlimit(2) RLIMIT_NPROC, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE.
 */
#include "sentry/task/signal.h"

#define USER_BUCKETS 64

static struct mutex users_mu = MUTEX_INIT;
static struct list buckets[USER_BUCKETS]; /* guarded by users_mu; zero = not yet initialised */

static struct list *bucket(uint32_t kuid)
{
	struct list *b = &buckets[kuid % USER_BUCKETS];

	if (!b->next)
		list_init(b);
	return b;
}

struct user_count *user_count_get(uint32_t kuid)
{
	struct user_count *c;

	mutex_lock(&users_mu);
	list_for_each_entry (c, bucket(kuid), node)
		if (c->uid == kuid && ref_get_unless_zero(&c->ref))
			goto out;
	c = calloc(1, sizeof(*c));
	if (c) {
		ref_init(&c->ref, 1);
		c->uid = kuid;
		list_add(bucket(kuid), &c->node);
	}
out:
	mutex_unlock(&users_mu);
	return c;
}

struct user_count *user_count_ref(struct user_count *c)
{
	ref_get(&c->ref);
	return c;
}

void user_count_put(struct user_count *c)
{
	if (!c || !ref_put(&c->ref))
		return;
	mutex_lock(&users_mu);
	list_del_init(&c->node);
	mutex_unlock(&users_mu);
	free(c);
}
