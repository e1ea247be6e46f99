/* SPDX-License-Identifier: Apache-2.0
 * sentry/cred/cred.h - identity: user and group ids, capabilities, user namespaces
 *
 * Model:   as in Linux: a task's credentials are immutable once published; a change makes a copy, edits it and
 *          installs it (credentials(7), capabilities(7), user_namespaces(7)). Ids inside the Sentry are kuid/kgid:
 *          ids of the sandbox's initial user namespace. Each user namespace maps ids to its parent's.
 */
#ifndef SENTRY_CRED_H
#define SENTRY_CRED_H

#include "base/buf.h"
#include "base/list.h"
#include "base/mutex.h"
#include "sentry/abi/cap.h"
#include "sentry/abi/errno.h"


#define ID_INVALID    UINT32_MAX
#define OVERFLOW_ID   65534u
#define CAP_LAST      40 /* CAP_CHECKPOINT_RESTORE */
#define CAP_FULL      ((1ull << (CAP_LAST + 1)) - 1)
#define ID_EXTENT_MAX 340

/* LINUX_CAP_* numbers are in sentry/abi/cap.h */

struct id_extent {
	uint32_t inside, outside, count; /* outside: id in the parent namespace */
	uint32_t kernel;		 /* the same as a kuid or kgid */
};

struct id_map {
	uint32_t nr;
	struct id_extent *ext; /* owned; immutable once written */
};

struct user_ns {
	struct refcount ref;
	struct user_ns *parent;	/* reference; NULL for the initial one */
	uint32_t level;
	uint32_t owner, group;	/* kuid, kgid of the creator */
	uint64_t ino;		/* /proc/PID/ns/user */
	struct mutex mu;	/* rank: leaf */
	struct id_map uid_map, gid_map;	/* guarded by mu until written, then immutable */
	bool setgroups_denied;	/* guarded by mu */
	bool parent_could_setfcap; /* immutable: the creator had CAP_SETFCAP in the parent */
	/* Length of the map once it is complete: stored with release after the map, loaded with acquire before it. */
	_Atomic uint32_t nr_uid_extents_written, nr_gid_extents_written;
};

struct group_list {
	struct refcount ref;
	uint32_t nr;
	uint32_t gid[];		/* kgids, sorted; immutable */
};

struct cred {
	struct refcount ref;
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	struct group_list *groups;	/* reference, may be NULL = none */
	uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;
	uint32_t securebits;
	bool no_new_privs;
	struct user_ns *user_ns;	/* reference */
};

extern struct user_ns init_user_ns;

struct cred *cred_get(struct cred *c);	/* returns @c */
void cred_put(struct cred *c);		/* NULL is fine */
struct cred *cred_dup(const struct cred *c);	/* editable copy with one reference, or NULL */
struct cred *cred_new_root(void);	/* uid 0, all capabilities, initial namespace */

struct group_list *groups_new(uint32_t nr); /* gid[] to be filled, then groups_sort() */
void groups_sort(struct group_list *g);
void groups_put(struct group_list *g);
bool cred_in_group(const struct cred *c, uint32_t kgid); /* fsgid or supplementary */

/* Capability @cap with respect to namespace @ns, as capable(ns, cap) in user_namespaces(7). */
bool cred_has_cap(const struct cred *c, const struct user_ns *ns, int cap);

struct user_ns *user_ns_get(struct user_ns *ns);
void user_ns_put(struct user_ns *ns);
bool user_ns_is_below(const struct user_ns *ns, const struct user_ns *top); /* or the same */
/* Child of @parent owned by @c's euid/egid; LINUX_EPERM unmapped ids, LINUX_ENOSPC nesting > 32, LINUX_ENOMEM. */
long user_ns_new(struct user_ns *parent, const struct cred *c, struct user_ns **out);
uint32_t id_to_kernel(struct user_ns *ns, bool gid, uint32_t id);   /* ID_INVALID when unmapped */
uint32_t id_from_kernel(struct user_ns *ns, bool gid, uint32_t kid); /* ID_INVALID when unmapped */
uint32_t id_from_kernel_munged(struct user_ns *ns, bool gid, uint32_t kid); /* OVERFLOW_ID when unmapped */

/* ---- /proc/PID/{uid_map,gid_map,setgroups}, see user_ns.c ---- */

/* One write of a whole map. @opener: who opened the file, @writer: who writes. The bytes are @len; -LINUX_EPERM,
 * -LINUX_EINVAL, -LINUX_ENOMEM. Return: 0 */
long user_ns_write_map(struct user_ns *ns, bool gid, const char *text, size_t len, const struct cred *opener,
		       const struct cred *writer);
/* Called after a map was written: what was told about ids in @ns is out of date. Set by the task layer. */
extern void (*user_ns_mapped_hook)(struct user_ns *ns);
/* Called when nobody refers to @ns any more: what is kept by its number goes. Must not sleep. Set by the keys. */
extern void (*user_ns_end_hook)(const struct user_ns *ns);
/* Lines "inside outside count" with outside as seen from @viewer. */
void user_ns_show_map(struct user_ns *ns, bool gid, struct user_ns *viewer, struct buf *out);
/* What the initial namespace's ids are on the host, for those inside who look: of a sandbox that was asked to have a user
 * namespace. Only what is shown changes: ids inside are the kernel's own, the gofer translates. Said once, before any process is
 * there; @ext: moved. */
void user_ns_set_host_map(bool gid, struct id_extent *ext, uint32_t nr);
long user_ns_write_setgroups(struct user_ns *ns, const char *text, size_t len);
bool user_ns_setgroups_allowed(struct user_ns *ns); /* setgroups(2) also wants a written gid map */

/* ---- changes to an editable copy of one's own credentials, see cred_set.c; ids are kernel ids, ID_INVALID = unchanged ---- */

long cred_set_uid(struct cred *c, uint32_t uid);			  /* setuid(2): 0, -LINUX_EPERM */
long cred_set_resuid(struct cred *c, uint32_t r, uint32_t e, uint32_t s); /* setresuid(2) */
long cred_set_reuid(struct cred *c, uint32_t r, uint32_t e);		  /* setreuid(2) */
void cred_set_fsuid(struct cred *c, uint32_t uid);			  /* setfsuid(2): refuses silently */
long cred_set_gid(struct cred *c, uint32_t gid);
long cred_set_resgid(struct cred *c, uint32_t r, uint32_t e, uint32_t s);
long cred_set_regid(struct cred *c, uint32_t r, uint32_t e);
void cred_set_fsgid(struct cred *c, uint32_t gid);
long cred_set_caps(struct cred *c, uint64_t eff, uint64_t perm, uint64_t inh); /* capset(2) */
/* All capabilities in the fresh namespace @ns, default securebits; takes the reference to @ns. */
void cred_enter_user_ns(struct cred *c, struct user_ns *ns);

/* May @c send a signal / trace / read a process with @target's credentials (kill(2), ptrace(2) access checks)? */
bool cred_may_kill(const struct cred *c, const struct cred *target);
bool cred_may_ptrace(const struct cred *c, const struct cred *target, bool fscreds);

/* securebits, capabilities(7) */
#define SECBIT_NOROOT		     (1u << 0)
#define SECBIT_NOROOT_LOCKED	     (1u << 1)
#define SECBIT_NO_SETUID_FIXUP	     (1u << 2)
#define SECBIT_NO_SETUID_FIXUP_LOCKED (1u << 3)
#define SECBIT_KEEP_CAPS	     (1u << 4)
#define SECBIT_KEEP_CAPS_LOCKED	     (1u << 5)
#define SECBIT_NO_CAP_AMBIENT_RAISE  (1u << 6)
#define SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED (1u << 7)
#define SECBITS_ALL		     0xffu
#define SECBITS_LOCKS		     0xaau

#define CAP_BIT(n) (1ull << (n))

#endif
