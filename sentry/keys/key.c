/* SPDX-License-Identifier: Apache-2.0
 * sentry/keys/key.c - keys: life, owners and their quota, rights, state
 *
 * Model:   see keys.h. Numbers are random. A user's account lives as long as a key is charged to it.
 * Locks:   keys_mu.
 * Hostcalls: getrandom.
 * Source:  keyrings(7), "/proc files" and "Key lifetimes"; keyctl(2).
 */
#include "sentry/keys/keys_internal.h"

#include <string.h>

#include "base/hostcall.h"

#define BUCKETS 1024

_Atomic int64_t keys_maxkeys = 200, keys_maxbytes = 20000, keys_root_maxkeys = KEYS_ROOT_MAXKEYS,
		keys_root_maxbytes = KEYS_ROOT_MAXBYTES, keys_gc_delay = 300, keys_persistent_expiry = 3 * 24 * 3600;

static struct mutex keys_mu = MUTEX_INIT;
static struct list buckets[BUCKETS];			/* guarded by keys_mu, as all below */
static struct list users = LIST_HEAD_INIT(users);
static uint32_t nr_keys;
static int64_t collect_at;				/* seconds; 0: nothing will expire */

static int64_t now_seconds(void)
{
	return (int64_t)(now_real_ns() / NSEC_PER_SEC);
}

void keys_lock(void)
{
	mutex_lock(&keys_mu);
	if (unlikely(collect_at && now_seconds() >= collect_at))
		key_collect();
}

void keys_unlock(void)
{
	mutex_unlock(&keys_mu);
}

void keys_init(void)
{
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&buckets[i]);
	user_rings_init();
}

/* ---- types ------------------------------------------------------------------------------------------- */

/* "service:name" */
static long check_logon_desc(const char *desc)
{
	const char *colon = strchr(desc, ':');

	return colon && colon != desc ? 0 : -LINUX_EINVAL;
}

const struct key_type key_type_user = { .name = "user", .readable = true, .updatable = true };
const struct key_type key_type_logon = { .name = "logon", .updatable = true, .check_desc = check_logon_desc };
const struct key_type key_type_ring = { .name = "keyring", .ring = true, .readable = true };

const struct key_type *key_type_find(const char *name)
{
	static const struct key_type *const types[] = { &key_type_user, &key_type_logon, &key_type_ring };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i]->name, name))
			return types[i];
	return NULL;
}

/* ---- users -------------------------------------------------------------------------------------------- */

static struct key_user *user_get(uint32_t uid)
{
	struct key_user *u;

	list_for_each_entry (u, &users, node)
		if (u->uid == uid) {
			u->ref++;
			return u;
		}
	u = calloc(1, sizeof(*u));
	if (u) {
		u->uid = uid;
		u->ref = 1;
		list_add_tail(&users, &u->node);
	}
	return u;
}

static void user_put(struct key_user *u)
{
	if (--u->ref)
		return;
	list_del_init(&u->node);
	free(u);
}

static uint64_t quota_keys(const struct key_user *u)
{
	return (uint64_t)atomic_load(u->uid ? &keys_maxkeys : &keys_root_maxkeys);
}

static uint64_t quota_bytes(const struct key_user *u)
{
	return (uint64_t)atomic_load(u->uid ? &keys_maxbytes : &keys_root_maxbytes);
}

static bool over_quota(const struct key_user *u, uint32_t more_keys, uint64_t more_bytes)
{
	return (uint64_t)u->nr_quota + more_keys > quota_keys(u) || u->quota_bytes + more_bytes > quota_bytes(u);
}

long key_reserve(struct key *k, uint32_t datalen)
{
	int64_t more = (int64_t)datalen - k->datalen;

	if (k->in_quota) {
		if (more > 0 && over_quota(k->user, 0, (uint64_t)more))
			return -LINUX_EDQUOT;
		k->user->quota_bytes += (uint64_t)more;
		k->quotalen = (uint32_t)(k->quotalen + more);
	}
	k->datalen = datalen;
	return 0;
}

static void user_count(struct key_user *u, const struct key *k, int by)
{
	u->nr += (uint32_t)by;
	u->nr_instantiated += (uint32_t)by;
	if (k->in_quota) {
		u->nr_quota += (uint32_t)by;
		u->quota_bytes += (uint64_t)((int64_t)by * k->quotalen);
	}
}

long key_give(struct key *k, uint32_t uid)
{
	struct key_user *u = user_get(uid);

	if (!u)
		return -LINUX_ENOMEM;
	if (u != k->user && k->in_quota && over_quota(u, 1, k->quotalen)) {
		user_put(u);
		return -LINUX_EDQUOT;
	}
	user_count(k->user, k, -1);
	user_put(k->user);
	k->user = u;
	user_count(u, k, 1);
	return 0;
}

void key_users_for_each(void (*fn)(const struct key_user *u, void *arg), void *arg)
{
	struct key_user *u;

	list_for_each_entry (u, &users, node)
		fn(u, arg);
}

/* ---- life ----------------------------------------------------------------------------------------------- */

static struct list *bucket(int32_t serial)
{
	return &buckets[(uint32_t)serial % BUCKETS];
}

struct key *key_by_serial(int32_t serial)
{
	struct key *k;

	list_for_each_entry (k, bucket(serial), node)
		if (k->serial == serial)
			return k;
	return NULL;
}

static int32_t new_serial(void)
{
	uint32_t nr;

	do {
		host_call(getrandom, &nr, sizeof(nr), 0);
		nr >>= 1;
	} while (nr < 3 || key_by_serial((int32_t)nr));
	return (int32_t)nr;
}

long key_new(const struct key_type *type, const char *desc, const struct cred *c, uint32_t uid, uint32_t gid, uint32_t perm,
	     enum key_quota quota, struct key **out)
{
	size_t len = strlen(desc);
	struct key_user *u;
	struct key *k;
	long ret;

	if (!len)
		return -LINUX_EINVAL;
	ret = type->check_desc ? type->check_desc(desc) : 0;
	if (ret < 0)
		return ret;
	if (nr_keys >= KEYS_ALL_MAX)
		return -LINUX_EDQUOT;
	u = user_get(uid);
	if (!u)
		return -LINUX_ENOMEM;
	ret = quota == KEY_QUOTA && over_quota(u, 1, len + 1) ? -LINUX_EDQUOT : 0;
	k = ret ? NULL : calloc(1, sizeof(*k) + len + 1);
	if (!k) {
		user_put(u);
		return ret ?: -LINUX_ENOMEM;
	}
	k->ref = 1;
	k->type = type;
	k->user = u;
	k->ns_ino = c->user_ns->ino;
	k->uid = uid;
	k->gid = gid;
	k->perm = perm;
	k->in_quota = quota != KEY_QUOTA_NONE;
	k->quotalen = (uint32_t)len + 1;
	memcpy(k->desc, desc, len + 1);
	user_count(u, k, 1);
	k->serial = new_serial();
	list_add(bucket(k->serial), &k->node);
	nr_keys++;
	*out = k;
	return 0;
}

struct key *key_get(struct key *k)
{
	k->ref++;
	return k;
}

/* True: it was the last one, and the key waits in @dead. */
static bool drop(struct key *k, struct list *dead)
{
	if (--k->ref)
		return false;
	list_del_init(&k->node);
	list_add_tail(dead, &k->node);
	return true;
}

/* Rings hold rings without bound: a list instead of recursion. */
void key_put(struct key *k)
{
	struct list dead = LIST_HEAD_INIT(dead);

	if (!k || !drop(k, &dead))
		return;
	while (!list_empty(&dead)) {
		k = list_first(&dead, struct key, node);
		list_del_init(&k->node);
		if (k->type->ring) {
			for (uint32_t i = 0; i < k->nr_links; i++)
				drop(k->link[i], &dead);
			free(k->link);
		} else if (k->data) {
			explicit_bzero(k->data, k->datalen);
			free(k->data);
		}
		user_count(k->user, k, -1);
		user_put(k->user);
		nr_keys--;
		free(k);
	}
}

void key_for_each(void (*fn)(struct key *k, void *arg), void *arg)
{
	struct key *k;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_entry (k, &buckets[i], node)
			fn(k, arg);
}

/* ---- payload ---------------------------------------------------------------------------------------------- */

long key_check_payload(const struct key_type *type, size_t len)
{
	if (type->ring)
		return len ? -LINUX_EINVAL : 0;
	return len && len <= KEYS_PAYLOAD_MAX ? 0 : -LINUX_EINVAL;
}

long key_set_payload(struct key *k, const void *payload, size_t len)
{
	uint32_t old_len = k->datalen;
	uint8_t *new;
	long ret = key_check_payload(k->type, len);

	if (ret < 0 || k->type->ring)
		return ret;
	new = malloc(len);
	if (!new)
		return -LINUX_ENOMEM;
	ret = key_reserve(k, (uint32_t)len);
	if (ret < 0) {
		free(new);
		return ret;
	}
	memcpy(new, payload, len);
	if (k->data)
		explicit_bzero(k->data, old_len);
	free(k->data);
	k->data = new;
	k->negative = 0;
	k->expiry = 0;
	return 0;
}

/* ---- state -------------------------------------------------------------------------------------------------- */

static void collect_by(int64_t when)
{
	if (!collect_at || when < collect_at)
		collect_at = when;
}

static void expire_at(struct key *k, int64_t when)
{
	k->expiry = when;
	if (when)
		collect_by(when + atomic_load(&keys_gc_delay));
}

void key_set_timeout(struct key *k, uint32_t seconds)
{
	expire_at(k, seconds ? now_seconds() + seconds : 0);
}

void key_revoke(struct key *k)
{
	k->revoked = true;
	expire_at(k, now_seconds()); /* links to it will go with those to what has expired */
	if (k->type->ring) {
		ring_clear(k);
		return;
	}
	if (k->data)
		explicit_bzero(k->data, k->datalen);
	free(TAKE_PTR(k->data));
	key_reserve(k, 0);
}

bool key_expired(const struct key *k)
{
	return k->expiry && now_seconds() >= k->expiry;
}

long key_validate(const struct key *k)
{
	if (k->invalidated)
		return -LINUX_ENOKEY;
	if (k->revoked)
		return -LINUX_EKEYREVOKED;
	return key_expired(k) ? -LINUX_EKEYEXPIRED : 0;
}

static bool is_dead(const struct key *k)
{
	return k->invalidated || (k->expiry && now_seconds() >= k->expiry + atomic_load(&keys_gc_delay));
}

static bool has_dead_link(const struct key *k)
{
	for (uint32_t i = 0; k->type->ring && i < k->nr_links; i++)
		if (is_dead(k->link[i]))
			return true;
	return false;
}

/* A ring that loses links may take others with it, of any bucket: each bucket is looked at until none in it has any to lose. */
static void collect_bucket(struct list *b)
{
	struct key *k;

again:
	list_for_each_entry (k, b, node)
		if (has_dead_link(k)) {
			ring_drop_links(k, is_dead);
			goto again;
		}
}

void key_collect(void)
{
	int64_t delay = atomic_load(&keys_gc_delay);
	struct key *k;

	for (size_t i = 0; i < BUCKETS; i++)
		collect_bucket(&buckets[i]);
	collect_at = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_entry (k, &buckets[i], node)
			if (k->expiry && !is_dead(k))
				collect_by(k->expiry + delay);
}

/* ---- rights --------------------------------------------------------------------------------------------------- */

long key_allowed(struct key_ref r, const struct cred *c, uint32_t need)
{
	const struct key *k = r.k;
	uint32_t bits = k->perm;

	if (k->uid == c->fsuid)
		bits >>= 16;
	else if (k->gid != ID_INVALID && (k->perm & (LINUX_KEY_ALL << 8)) && cred_in_group(c, k->gid))
		bits >>= 8;
	if (r.possessed)
		bits |= k->perm >> 24;
	return (bits & need) == need ? 0 : -LINUX_EACCES;
}
