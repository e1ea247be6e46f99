/* SPDX-License-Identifier: Apache-2.0
 * sentry/keys/keys.h - keys and keyrings: what system calls, tasks and /proc see of them
 *
 * Model:   a key has a number, a type ("user", "logon", "keyring"), a description, an owner, rights and a payload; a keyring's payload is
 *          links to other keys. A key lives while something refers to it: a link, a task's keyring, the register of users'
 *          keyrings. A task has up to three keyrings (thread, process, session); what is found by way of them is possessed, which
 *          gives the possessor's rights besides those of user, group or other.
 * Locks:   one keys_mu for everything here: a leaf, never held across a copy from or to a guest.
 * Limits:  KEYS_*; per user as on Linux, for all users together KEYS_ALL_MAX; the memory is the container's (run/budget.h).
 * Source:  keyrings(7), keyctl(2), add_key(2), request_key(2), persistent-keyring(7), session-keyring(7), user-keyring(7).
 * Differs: no program is called to make a key that is asked for: it is not found, and that is remembered, as on a machine without
 *          /sbin/request-key; so nobody has the authority to instantiate one. Types big_key, asymmetric, encrypted, trusted are
 *          missing, and with them what keyctl(2) does with public keys and Diffie-Hellman; changes cannot be watched.
 */
#ifndef SENTRY_KEYS_H
#define SENTRY_KEYS_H

#include "base/buf.h"
#include "sentry/abi/keyctl.h"
#include "sentry/task/task.h"

#define KEYS_TYPE_MAX	 32u	   /* bytes of a type's name with its NUL */
#define KEYS_DESC_MAX	 4096u	   /* bytes of a description with its NUL */
#define KEYS_PAYLOAD_MAX 32767u	   /* bytes of a "user" or "logon" key */
#define KEYS_ARG_MAX	 (1u << 20) /* bytes that add_key(2) looks at */

/* /proc/sys/kernel/keys. Linux lets root have 1,000,000 keys of 25,000,000 bytes: here every container's root is this one. */
#define KEYS_ROOT_MAXKEYS  10000
#define KEYS_ROOT_MAXBYTES 2500000
#define KEYS_ALL_MAX	   131072u /* of the sandbox, keyrings of tasks included */
#define KEYS_USERS_MAX	   4096u   /* users with a keyring, in all user namespaces */
extern _Atomic int64_t keys_maxkeys, keys_maxbytes, keys_root_maxkeys, keys_root_maxbytes, keys_gc_delay, keys_persistent_expiry;

/* ---- system calls: numbers, or -LINUX_E*; @type and @desc are NUL-terminated copies ---- */

long keys_add(struct task *t, const char *type, const char *desc /* NULL: none */, const void *payload, size_t len, int32_t ring);
long keys_request(struct task *t, const char *type, const char *desc, bool make, int32_t dest);
long keys_get_id(struct task *t, int32_t id, bool create);
long keys_join_session(struct task *t, const char *name /* NULL: a new one without name */);
long keys_update(struct task *t, int32_t id, const void *payload, size_t len);
long keys_revoke(struct task *t, int32_t id);
long keys_invalidate(struct task *t, int32_t id);
long keys_chown(struct task *t, int32_t id, uint32_t uid, uint32_t gid); /* kernel ids, ID_INVALID: as it is */
long keys_setperm(struct task *t, int32_t id, uint32_t perm);
long keys_set_timeout(struct task *t, int32_t id, uint32_t seconds);
long keys_describe(struct task *t, int32_t id, struct buf *out);
long keys_check_view(struct task *t, int32_t id);	/* may it be looked at: 0 */
long keys_read(struct task *t, int32_t id, struct buf *out);
long keys_clear(struct task *t, int32_t ring);
long keys_link(struct task *t, int32_t id, int32_t ring);
long keys_unlink(struct task *t, int32_t id, int32_t ring);
long keys_move(struct task *t, int32_t id, int32_t from, int32_t to, uint32_t flags);
long keys_search(struct task *t, int32_t ring, const char *type, const char *desc, int32_t dest);
long keys_restrict(struct task *t, int32_t ring, const char *type /* NULL: nothing may be linked any more */);
long keys_set_reqkey(struct task *t, int32_t where);
long keys_session_to_parent(struct task *t);
long keys_get_persistent(struct task *t, uint32_t uid, int32_t dest);

/* ---- a task's keyrings ---- */

struct task_keys;
/* Its first session keyring, "_ses.@name", found or made: each container has one, as with runc. Without memory it has none. */
void keys_start(struct task *t, const char *name);
long keys_fork(struct task *parent, struct task *child, bool thread); /* 0 or -LINUX_ENOMEM */
void keys_exec(struct task *t);		/* thread and process keyring go */
void keys_ids_changed(struct task *t);	/* the thread keyring belongs to the fsuid, fsgid */
void keys_exit(struct task *t);		/* all go */
void keys_init(void);			/* at boot */

/* ---- /proc ---- */

void keys_show(struct task *viewer, struct buf *out);	/* /proc/keys: those that may be viewed */
void keys_show_users(struct task *viewer, struct buf *out);

#endif
