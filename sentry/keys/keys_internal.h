/* SPDX-License-Identifier: Apache-2.0
 * sentry/keys/keys_internal.h - keys as objects; everything here wants keys_mu
 *
 * Model:   a reference is a count under keys_mu. Pointers that an operation has looked up stay good until it unlocks: nothing that
 *          takes links away runs between its look-ups and its change (what has expired goes in keys_lock(), before).
 */
#ifndef SENTRY_KEYS_INTERNAL_H
#define SENTRY_KEYS_INTERNAL_H

#include "sentry/keys/keys.h"

struct key_user {	/* what a user's keys amount to */
	struct list node;
	uint32_t uid;		/* kernel id */
	uint32_t ref;		/* keys */
	uint32_t nr, nr_instantiated, nr_quota;
	uint64_t quota_bytes;
};

struct key_type {
	const char *name;
	bool ring;
	bool readable;		/* by guests */
	bool updatable;
	long (*check_desc)(const char *desc); /* NULL: any */
};
extern const struct key_type key_type_user, key_type_logon, key_type_ring;

struct key {
	uint32_t ref;
	int32_t serial;
	struct list node;	/* bucket of serials; while being freed: the list of those */
	const struct key_type *type;
	struct key_user *user;
	uint64_t ns_ino;	/* of the user namespace that made it: names of keyrings are its */
	uint32_t uid, gid;	/* kernel ids; gid may be ID_INVALID */
	uint32_t perm;		/* four bytes of LINUX_KEY_* */
	int64_t expiry;		/* seconds of CLOCK_REALTIME, 0 never */
	int negative;		/* 0, or the error that finding it is */
	bool revoked, invalidated, in_quota;
	bool restricted;	/* ring: nothing may be linked to it any more */
	bool of_container;	/* ring: a container's first session keyring */
	uint32_t datalen, quotalen;
	union {
		uint8_t *data;	   /* datalen bytes */
		struct key **link; /* of a ring: references */
	};
	uint32_t nr_links, cap_links;
	uint64_t search;	/* the last one that came by, for rings and where it was asked for */
	uint32_t depths;	/* where it came by: bit per depth */
	char desc[];
};

#define KEY_POS(bits) ((uint32_t)(bits) << 24)
#define KEY_USR(bits) ((uint32_t)(bits) << 16)
#define KEY_LINK_BYTES 4u  /* of quota, for each link of a ring */
#define KEY_DEPTH_MAX  6u  /* rings below the one that is searched */

struct task_keys {
	struct key *thread, *process, *session; /* references; guarded by keys_mu, so that a child may replace a parent's session */
	int reqkey;				/* LINUX_KEY_REQKEY_DEFL_* */
};

/* A key and whether it is possessed. */
struct key_ref {
	struct key *k;
	bool possessed;
};

void keys_lock(void);	/* and lets go what expired long ago */
void keys_unlock(void);

/* ---- key.c ---- */

enum key_quota { KEY_QUOTA, KEY_QUOTA_OVERRUN /* counted, not limited */, KEY_QUOTA_NONE };
const struct key_type *key_type_find(const char *name);
/* One reference; instantiated, empty. -LINUX_EINVAL (description), -LINUX_EDQUOT, -LINUX_ENOMEM */
long key_new(const struct key_type *type, const char *desc, const struct cred *c, uint32_t uid, uint32_t gid, uint32_t perm,
	     enum key_quota quota, struct key **out);
struct key *key_get(struct key *k);
void key_put(struct key *k);	/* NULL is fine */
struct key *key_by_serial(int32_t serial);
/* The payload changes its size: 0 or -LINUX_EDQUOT. */
long key_reserve(struct key *k, uint32_t datalen);
/* A copy of @payload becomes the payload. -LINUX_EINVAL (size), -LINUX_EDQUOT, -LINUX_ENOMEM */
long key_set_payload(struct key *k, const void *payload, size_t len);
long key_check_payload(const struct key_type *type, size_t len); /* -LINUX_EINVAL */
long key_give(struct key *k, uint32_t uid);	/* its cost to another user; 0, -LINUX_EDQUOT, -LINUX_ENOMEM */
void key_set_timeout(struct key *k, uint32_t seconds);
void key_revoke(struct key *k);
bool key_expired(const struct key *k);
long key_validate(const struct key *k);	/* 0, -LINUX_ENOKEY, -LINUX_EKEYREVOKED, -LINUX_EKEYEXPIRED */
/* @need: LINUX_KEY_* bits, for @c. 0 or -LINUX_EACCES */
long key_allowed(struct key_ref r, const struct cred *c, uint32_t need);
void key_for_each(void (*fn)(struct key *k, void *arg), void *arg); /* @fn must not free keys */
void key_users_for_each(void (*fn)(const struct key_user *u, void *arg), void *arg);
void key_collect(void);	/* links to what was invalidated or expired long ago go, everywhere */

/* ---- keyring.c ---- */

struct key_search {
	const struct key_type *type;	/* with desc, or a target */
	const char *desc;
	const struct key *target;
	const struct cred *cred;	/* whose rights count; NULL: no rights asked */
	bool any_state;			/* revoked and expired ones as well */
	bool no_expired;		/* those are as good as none */
	bool too_deep;			/* that there is more below is an error */
	bool mark;			/* all that could be found get the search's number */
	bool possessed;
};
/* In @ring and below. 0, or -LINUX_EAGAIN nothing, -LINUX_ENOTDIR, -LINUX_EACCES, -LINUX_EKEYEXPIRED, -LINUX_EKEYREVOKED, -LINUX_ELOOP,
 * or what a negative key says */
long ring_search(struct key *ring, struct key_search *s, struct key **out);
uint64_t ring_next_search(void);	/* the number that the next search will have */
struct key *ring_find(struct key *ring, const struct key_type *type, const char *desc); /* directly in it */
bool ring_has(const struct key *ring, const struct key *k);
/* -LINUX_EPERM (restricted), -LINUX_EDEADLK, -LINUX_ELOOP, -LINUX_EDQUOT, -LINUX_ENOMEM */
long ring_link(struct key *ring, struct key *k);
long ring_unlink(struct key *ring, struct key *k); /* -LINUX_ENOENT */
void ring_clear(struct key *ring);
void ring_drop_links(struct key *ring, bool (*dead)(const struct key *k));

/* ---- process.c ---- */

#define KEY_CREATE  1u	/* a keyring by role is made when there is none */
#define KEY_PARTIAL 2u	/* also one that is revoked, expired, negative */
/* A key by number or role. @need 0: no rights asked. */
long key_lookup(struct task *t, int32_t id, unsigned flags, uint32_t need, struct key_ref *out);
/* By type and description, in all that @t possesses; errors of ring_search(). */
long keys_search_own(struct task *t, struct key_search *s, struct key **out);
/* Gives all that @t possesses numbers of searches from here on. */
uint64_t keys_mark_possessed(struct task *t);
long keys_default_dest(struct task *t, struct key **out); /* of request_key(2); borrowed */
struct task_keys *task_keys_of(struct task *t);	/* made when there are none; NULL = no memory */

/* ---- users.c: the register of users' keyrings; all borrowed. -LINUX_EDQUOT, -LINUX_ENOMEM ---- */

struct key *user_ring_if_any(const struct cred *c, bool session);
long user_ring(const struct cred *c, bool session, struct key **out);
long persistent_ring(const struct cred *c, uint32_t kuid, struct key **out);
void user_rings_init(void);

#endif
