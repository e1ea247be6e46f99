/* SPDX-License-Identifier: Apache-2.0
 * sentry/keys/users.c - keyrings of users: _uid.N, _uid_ses.N, _persistent.N
 *
 * Model:   a register by user namespace and user, whose entries stay until the namespace ends; when it is full, those that nobody uses
 *          and that hold nothing make room.
 * Locks:   keys_mu.
 * Source:  user-keyring(7), user-session-keyring(7), persistent-keyring(7).
 */
#include "sentry/keys/keys_internal.h"

#include <stdio.h>

#define POS_ALL_BUT_SETATTR KEY_POS(LINUX_KEY_ALL & ~LINUX_KEY_SETATTR)

struct user_rings {
	struct list node;
	uint64_t ns_ino;
	uint32_t uid;			   /* kernel id */
	struct key *user, *session;	   /* references; NULL until first used */
	struct key *persistent;		   /* the same; of a time, which each use begins anew */
};

/* guarded by keys_mu */
static struct list entries = LIST_HEAD_INIT(entries);
static uint32_t nr_entries;

static void entry_free(struct user_rings *e)
{
	list_del_init(&e->node);
	nr_entries--;
	key_put(e->session);
	key_put(e->user);
	key_put(e->persistent);
	free(e);
}

static void namespace_ends(const struct user_ns *ns)
{
	struct user_rings *e, *tmp;

	keys_lock();
	list_for_each_entry_safe (e, tmp, &entries, node)
		if (e->ns_ino == ns->ino)
			entry_free(e);
	keys_unlock();
}

void user_rings_init(void)
{
	user_ns_end_hook = namespace_ends;
}

/* Only the register knows it, and the session's ring the user's. */
static bool idle(const struct user_rings *e)
{
	if (e->persistent && !key_expired(e->persistent))
		return false;
	return (!e->session || e->session->ref == 1) && (!e->user || (e->user->ref <= 2 && !e->user->nr_links));
}

static void make_room(void)
{
	struct user_rings *e, *tmp;

	list_for_each_entry_safe (e, tmp, &entries, node)
		if (idle(e))
			entry_free(e);
}

static struct user_rings *entry_find(const struct cred *c, uint32_t uid)
{
	struct user_rings *e;

	list_for_each_entry (e, &entries, node)
		if (e->uid == uid && e->ns_ino == c->user_ns->ino)
			return e;
	return NULL;
}

static long entry_get(const struct cred *c, uint32_t uid, struct user_rings **out)
{
	struct user_rings *e = entry_find(c, uid);

	if (!e) {
		if (nr_entries >= KEYS_USERS_MAX)
			make_room();
		if (nr_entries >= KEYS_USERS_MAX)
			return -LINUX_EDQUOT;
		e = calloc(1, sizeof(*e));
		if (!e)
			return -LINUX_ENOMEM;
		e->uid = uid;
		e->ns_ino = c->user_ns->ino;
		list_add(&entries, &e->node);
		nr_entries++;
	}
	*out = e;
	return 0;
}

static long make(const struct cred *c, uint32_t uid, const char *prefix, uint32_t perm, enum key_quota quota, struct key **out)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.%u", prefix, id_from_kernel_munged(c->user_ns, false, uid));
	return key_new(&key_type_ring, name, c, uid, ID_INVALID, perm, quota, out);
}

struct key *user_ring_if_any(const struct cred *c, bool session)
{
	struct user_rings *e = entry_find(c, c->uid);

	return !e ? NULL : session ? e->session : e->user;
}

long user_ring(const struct cred *c, bool session, struct key **out)
{
	const uint32_t perm = POS_ALL_BUT_SETATTR | KEY_USR(LINUX_KEY_ALL);
	struct user_rings *e;
	struct key *ses;
	long ret = entry_get(c, c->uid, &e);

	if (!ret && !e->user)
		ret = make(c, c->uid, "_uid", perm, KEY_QUOTA, &e->user);
	if (!ret && !e->session) {
		ret = make(c, c->uid, "_uid_ses", perm, KEY_QUOTA, &ses);
		if (!ret) {
			ret = ring_link(ses, e->user);
			if (ret < 0)
				key_put(ses);
			else
				e->session = ses;
		}
	}
	if (!ret)
		*out = session ? e->session : e->user;
	return ret;
}

long persistent_ring(const struct cred *c, uint32_t uid, struct key **out)
{
	struct user_rings *e;
	long ret = entry_get(c, uid, &e);

	if (ret < 0)
		return ret;
	if (e->persistent && key_validate(e->persistent) < 0) {
		key_put(e->persistent);
		e->persistent = NULL;
	}
	if (!e->persistent)
		ret = make(c, uid, "_persistent", POS_ALL_BUT_SETATTR | KEY_USR(LINUX_KEY_VIEW | LINUX_KEY_READ), KEY_QUOTA_NONE,
			   &e->persistent);
	if (!ret)
		*out = e->persistent;
	return ret;
}
