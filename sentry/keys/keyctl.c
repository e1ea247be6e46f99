/* SPDX-License-Identifier: Apache-2.0
 * sentry/keys/keyctl.c - add_key(2), request_key(2) and what keyctl(2) does with keys
 *
 * Locks:   keys_mu, for the whole of each operation.
 * Source:  keyctl(2), add_key(2), request_key(2); observed Linux 6.x behaviour (test/guest/keys_*.c).
 */
#include "sentry/keys/keys_internal.h"

#include <string.h>

#define NEGATIVE_SECONDS 60 /* how long it is remembered that a key cannot be had, request_key(2) */

#define LOCKED(expr)                                                                               \
	({                                                                                         \
		long ret_;                                                                         \
		keys_lock();                                                                       \
		ret_ = (expr);                                                                     \
		keys_unlock();                                                                     \
		ret_;                                                                              \
	})

static uint32_t default_perm(const struct key_type *type)
{
	uint32_t pos = LINUX_KEY_VIEW | LINUX_KEY_SEARCH | LINUX_KEY_LINK | LINUX_KEY_SETATTR;

	if (type->readable)
		pos |= LINUX_KEY_READ;
	if (type->ring || type->updatable)
		pos |= LINUX_KEY_WRITE;
	return KEY_POS(pos) | KEY_USR(LINUX_KEY_VIEW);
}

/* A key that belongs to the caller's file system ids. */
static long make_key(struct task *t, const struct key_type *type, const char *desc, struct key **out)
{
	return key_new(type, desc, t->cred, t->cred->fsuid, t->cred->fsgid, default_perm(type), KEY_QUOTA, out);
}

/* ---- making -------------------------------------------------------------------------------------------------- */

static long add(struct task *t, const struct key_type *type, const char *desc, const void *payload, size_t len, int32_t ring)
{
	struct key_ref r;
	struct key *k;
	long ret = key_lookup(t, ring, KEY_CREATE, LINUX_KEY_WRITE, &r);

	if (ret < 0)
		return ret;
	if (!type)
		return -LINUX_ENODEV;
	if (!r.k->type->ring)
		return -LINUX_ENOTDIR;
	ret = key_check_payload(type, len);
	if (ret < 0)
		return ret;
	if (!desc)
		return -LINUX_EINVAL;
	if (r.k->restricted)
		return -LINUX_EPERM;
	k = type->updatable ? ring_find(r.k, type, desc) : NULL;
	if (k && !k->revoked && !k->invalidated) {
		ret = key_allowed((struct key_ref){ k, r.possessed }, t->cred, LINUX_KEY_WRITE) ?: key_set_payload(k, payload, len);
		return ret ?: k->serial;
	}
	ret = make_key(t, type, desc, &k);
	if (ret < 0)
		return ret;
	ret = key_set_payload(k, payload, len);
	if (!ret)
		ret = ring_link(r.k, k) ?: k->serial;
	key_put(k);
	return ret;
}

long keys_add(struct task *t, const char *type, const char *desc, const void *payload, size_t len, int32_t ring)
{
	if (type[0] == '.' || (desc && desc[0] == '.' && !strncmp(type, key_type_ring.name, strlen(key_type_ring.name))))
		return -LINUX_EPERM;
	return LOCKED(add(t, key_type_find(type), desc, payload, len, ring));
}

/* Nobody can be asked to make it, for want of a program: that is known for a while. */
static long remember_negative(struct task *t, const struct key_type *type, const char *desc, struct key *dest)
{
	struct key *k;
	long ret = dest ? 0 : keys_default_dest(t, &dest);

	if (!ret)
		ret = make_key(t, type, desc, &k);
	if (ret < 0)
		return ret;
	k->negative = -LINUX_ENOKEY;
	key_set_timeout(k, NEGATIVE_SECONDS);
	ret = ring_link(dest, k);
	key_put(k);
	return ret ?: -LINUX_ENOENT;
}

static long request(struct task *t, const struct key_type *type, const char *desc, bool make, int32_t dest)
{
	struct key_search s = { .type = type, .desc = desc, .no_expired = true };
	struct key_ref d = { 0 };
	struct key *k;
	long ret = dest ? key_lookup(t, dest, KEY_CREATE, LINUX_KEY_WRITE, &d) : 0;

	if (ret < 0)
		return ret;
	if (!type)
		return -LINUX_ENOKEY;
	ret = keys_search_own(t, &s, &k);
	if (ret == -LINUX_EAGAIN)
		return make ? remember_negative(t, type, desc, d.k) : -LINUX_ENOKEY;
	if (!ret && d.k) {
		ret = key_allowed((struct key_ref){ k, true }, t->cred, LINUX_KEY_LINK);
		if (!ret)
			ret = d.k->type->ring ? ring_link(d.k, k) : -LINUX_ENOTDIR;
	}
	return ret ?: k->serial;
}

long keys_request(struct task *t, const char *type, const char *desc, bool make, int32_t dest)
{
	return type[0] == '.' ? -LINUX_EPERM : LOCKED(request(t, key_type_find(type), desc, make, dest));
}

/* ---- one key --------------------------------------------------------------------------------------------------- */

static long get_id(struct task *t, int32_t id, bool create)
{
	struct key_ref r;

	return key_lookup(t, id, create ? KEY_CREATE : 0, LINUX_KEY_SEARCH, &r) ?: r.k->serial;
}

long keys_get_id(struct task *t, int32_t id, bool create)
{
	return LOCKED(get_id(t, id, create));
}

static long update(struct task *t, int32_t id, const void *payload, size_t len)
{
	struct key_ref r;
	long ret = key_lookup(t, id, 0, LINUX_KEY_WRITE, &r);

	if (ret < 0)
		return ret;
	return r.k->type->updatable ? key_set_payload(r.k, payload, len) : -LINUX_EOPNOTSUPP;
}

long keys_update(struct task *t, int32_t id, const void *payload, size_t len)
{
	return LOCKED(update(t, id, payload, len));
}

static long revoke_key(struct task *t, int32_t id)
{
	struct key_ref r;
	long ret = key_lookup(t, id, 0, LINUX_KEY_WRITE, &r);

	if (ret == -LINUX_EACCES)
		ret = key_lookup(t, id, 0, LINUX_KEY_SETATTR, &r);
	if (!ret)
		key_revoke(r.k);
	return ret;
}

long keys_revoke(struct task *t, int32_t id)
{
	return LOCKED(revoke_key(t, id));
}

static long invalidate(struct task *t, int32_t id)
{
	struct key_ref r;
	long ret = key_lookup(t, id, 0, LINUX_KEY_SEARCH, &r);

	if (ret < 0)
		return ret;
	r.k->invalidated = true;
	key_collect();
	return 0;
}

long keys_invalidate(struct task *t, int32_t id)
{
	return LOCKED(invalidate(t, id));
}

static long change_owner(struct task *t, int32_t id, uint32_t uid, uint32_t gid)
{
	bool admin = cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN);
	struct key_ref r;
	long ret = key_lookup(t, id, KEY_CREATE | KEY_PARTIAL, LINUX_KEY_SETATTR, &r);

	if (ret < 0)
		return ret;
	if (!admin && ((uid != ID_INVALID && uid != r.k->uid) ||
		       (gid != ID_INVALID && gid != r.k->gid && !cred_in_group(t->cred, gid))))
		return -LINUX_EACCES;
	if (uid != ID_INVALID && uid != r.k->uid) {
		ret = key_give(r.k, uid);
		if (ret < 0)
			return ret;
		r.k->uid = uid;
	}
	if (gid != ID_INVALID)
		r.k->gid = gid;
	return 0;
}

long keys_chown(struct task *t, int32_t id, uint32_t uid, uint32_t gid)
{
	return uid == ID_INVALID && gid == ID_INVALID ? 0 : LOCKED(change_owner(t, id, uid, gid));
}

static long set_perm(struct task *t, int32_t id, uint32_t perm)
{
	struct key_ref r;
	long ret = key_lookup(t, id, KEY_CREATE | KEY_PARTIAL, LINUX_KEY_SETATTR, &r);

	if (ret < 0)
		return ret;
	if (r.k->uid != t->cred->fsuid && !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EACCES;
	r.k->perm = perm;
	return 0;
}

long keys_setperm(struct task *t, int32_t id, uint32_t perm)
{
	return perm & ~(LINUX_KEY_ALL * 0x01010101u) ? -LINUX_EINVAL : LOCKED(set_perm(t, id, perm));
}

static long set_timeout(struct task *t, int32_t id, uint32_t seconds)
{
	struct key_ref r;
	long ret = key_lookup(t, id, KEY_CREATE | KEY_PARTIAL, LINUX_KEY_SETATTR, &r);

	if (!ret)
		key_set_timeout(r.k, seconds);
	return ret;
}

long keys_set_timeout(struct task *t, int32_t id, uint32_t seconds)
{
	return LOCKED(set_timeout(t, id, seconds));
}

static long describe(struct task *t, int32_t id, struct buf *out)
{
	struct user_ns *ns = t->cred->user_ns;
	struct key_ref r;
	long ret = key_lookup(t, id, KEY_PARTIAL, LINUX_KEY_VIEW, &r);

	if (ret < 0)
		return ret;
	buf_printf(out, "%s;%d;%d;%08x;%s", r.k->type->name, (int)id_from_kernel_munged(ns, false, r.k->uid),
		   (int)id_from_kernel_munged(ns, true, r.k->gid), r.k->perm, r.k->desc);
	return out->failed ? -LINUX_ENOMEM : 0;
}

long keys_describe(struct task *t, int32_t id, struct buf *out)
{
	return LOCKED(describe(t, id, out));
}

long keys_check_view(struct task *t, int32_t id)
{
	struct key_ref r;

	return LOCKED(key_lookup(t, id, KEY_PARTIAL, LINUX_KEY_VIEW, &r));
}

static long read_key(struct task *t, int32_t id, struct buf *out)
{
	struct key_ref r;

	if (key_lookup(t, id, 0, 0, &r) < 0)
		return -LINUX_ENOKEY;
	if (r.k->negative)
		return r.k->negative;
	/* What is possessed may be read by those who may search it, too. */
	if (key_allowed(r, t->cred, LINUX_KEY_READ) < 0 && !r.possessed)
		return -LINUX_EACCES;
	if (!r.k->type->readable)
		return -LINUX_EOPNOTSUPP;
	if (key_validate(r.k) < 0)
		return key_validate(r.k);
	if (!r.k->type->ring)
		buf_append(out, r.k->data, r.k->datalen);
	else
		for (uint32_t i = 0; i < r.k->nr_links; i++)
			buf_append(out, &r.k->link[i]->serial, sizeof(r.k->link[i]->serial));
	return out->failed ? -LINUX_ENOMEM : 0;
}

long keys_read(struct task *t, int32_t id, struct buf *out)
{
	return LOCKED(read_key(t, id, out));
}

/* ---- rings ------------------------------------------------------------------------------------------------------- */

static long ring_lookup(struct task *t, int32_t id, unsigned flags, uint32_t need, struct key_ref *out)
{
	long ret = key_lookup(t, id, flags, need, out);

	return ret ?: out->k->type->ring ? 0 : -LINUX_ENOTDIR;
}

static long clear(struct task *t, int32_t ring)
{
	struct key_ref r;
	long ret = ring_lookup(t, ring, KEY_CREATE, LINUX_KEY_WRITE, &r);

	if (!ret)
		ring_clear(r.k);
	return ret;
}

long keys_clear(struct task *t, int32_t ring)
{
	return LOCKED(clear(t, ring));
}

static long link_key(struct task *t, int32_t id, int32_t ring)
{
	struct key_ref r, k;
	long ret = key_lookup(t, ring, KEY_CREATE, LINUX_KEY_WRITE, &r);

	if (!ret)
		ret = key_lookup(t, id, KEY_CREATE, LINUX_KEY_LINK, &k);
	if (ret < 0)
		return ret;
	return r.k->type->ring ? ring_link(r.k, k.k) : -LINUX_ENOTDIR;
}

long keys_link(struct task *t, int32_t id, int32_t ring)
{
	return LOCKED(link_key(t, id, ring));
}

static long unlink_key(struct task *t, int32_t id, int32_t ring)
{
	struct key_ref r, k;
	long ret = key_lookup(t, ring, 0, LINUX_KEY_WRITE, &r);

	if (!ret)
		ret = key_lookup(t, id, 0, 0, &k);
	if (ret < 0)
		return ret;
	return r.k->type->ring ? ring_unlink(r.k, k.k) : -LINUX_ENOTDIR;
}

long keys_unlink(struct task *t, int32_t id, int32_t ring)
{
	return LOCKED(unlink_key(t, id, ring));
}

static long move(struct task *t, int32_t id, int32_t from, int32_t to, uint32_t flags)
{
	struct key_ref k, f, d;
	long ret = key_lookup(t, id, KEY_CREATE, LINUX_KEY_LINK, &k);

	if (!ret)
		ret = key_lookup(t, from, 0, LINUX_KEY_WRITE, &f);
	if (!ret)
		ret = key_lookup(t, to, KEY_CREATE, LINUX_KEY_WRITE, &d);
	if (ret < 0)
		return ret;
	if (f.k == d.k)
		return 0;
	if (!f.k->type->ring || !d.k->type->ring)
		return -LINUX_ENOTDIR;
	if (!ring_has(f.k, k.k))
		return -LINUX_ENOENT;
	if ((flags & LINUX_KEYCTL_MOVE_EXCL) && ring_find(d.k, k.k->type, k.k->desc))
		return -LINUX_EEXIST;
	ret = ring_link(d.k, k.k);
	return ret ?: ring_unlink(f.k, k.k);
}

long keys_move(struct task *t, int32_t id, int32_t from, int32_t to, uint32_t flags)
{
	return flags & ~LINUX_KEYCTL_MOVE_EXCL ? -LINUX_EINVAL : LOCKED(move(t, id, from, to, flags));
}

static long search(struct task *t, int32_t ring, const struct key_type *type, const char *desc, int32_t dest)
{
	struct key_search s = { .type = type, .desc = desc, .cred = t->cred };
	struct key_ref r, d = { 0 };
	struct key *k;
	long ret = key_lookup(t, ring, 0, LINUX_KEY_SEARCH, &r);

	if (!ret && dest)
		ret = key_lookup(t, dest, KEY_CREATE, LINUX_KEY_WRITE, &d);
	if (ret < 0)
		return ret;
	if (!type)
		return -LINUX_ENOKEY;
	s.possessed = r.possessed;
	ret = ring_search(r.k, &s, &k);
	if (ret < 0)
		return ret == -LINUX_EAGAIN ? -LINUX_ENOKEY : ret;
	if (d.k) {
		ret = key_allowed((struct key_ref){ k, r.possessed }, t->cred, LINUX_KEY_LINK);
		if (!ret)
			ret = d.k->type->ring ? ring_link(d.k, k) : -LINUX_ENOTDIR;
	}
	return ret ?: k->serial;
}

long keys_search(struct task *t, int32_t ring, const char *type, const char *desc, int32_t dest)
{
	return type[0] == '.' ? -LINUX_EPERM : LOCKED(search(t, ring, key_type_find(type), desc, dest));
}

static long restrict_ring(struct task *t, int32_t ring, const char *type)
{
	struct key_ref r;
	long ret = key_lookup(t, ring, 0, LINUX_KEY_SETATTR, &r);

	if (ret < 0)
		return ret;
	if (!r.k->type->ring)
		return -LINUX_ENOTDIR;
	if (type) /* none of the types here knows restrictions */
		return key_type_find(type) ? -LINUX_ENOENT : -LINUX_ENOKEY;
	if (r.k->restricted)
		return -LINUX_EEXIST;
	r.k->restricted = true;
	return 0;
}

long keys_restrict(struct task *t, int32_t ring, const char *type)
{
	return type && type[0] == '.' ? -LINUX_EPERM : LOCKED(restrict_ring(t, ring, type));
}

static long get_persistent(struct task *t, uint32_t uid, int32_t dest)
{
	struct key_ref d;
	struct key *k;
	long ret = ring_lookup(t, dest, KEY_CREATE, LINUX_KEY_WRITE, &d);

	if (!ret)
		ret = persistent_ring(t->cred, uid, &k);
	if (!ret)
		ret = key_allowed((struct key_ref){ k, true }, t->cred, LINUX_KEY_LINK);
	if (!ret)
		ret = ring_link(d.k, k);
	if (ret < 0)
		return ret;
	key_set_timeout(k, (uint32_t)atomic_load(&keys_persistent_expiry));
	return k->serial;
}

long keys_get_persistent(struct task *t, uint32_t uid, int32_t dest)
{
	if (uid == ID_INVALID)
		uid = t->cred->uid;
	if (uid != t->cred->uid && uid != t->cred->euid && !cred_has_cap(t->cred, t->cred->user_ns, LINUX_CAP_SETUID))
		return -LINUX_EPERM;
	return LOCKED(get_persistent(t, uid, dest));
}
