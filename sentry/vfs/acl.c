/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/acl.c - POSIX access control lists
 *
 * Model:   parsed from the value of system.posix_acl_access/_default, validated, then immutable; permission checks read it
 *          under rcu_read_lock(). The mode's group bits are the ACL's mask.
 * Source:  acl(5), and the xattr layout of linux/posix_acl_xattr.h (version 2, little endian entries of 8 bytes).
 */
#include <stdlib.h>

#include "base/cursor.h"
#include "sentry/vfs/internal.h"

#define ACL_XATTR_VERSION 2
#define ACL_USER_OBJ	  0x01
#define ACL_USER	  0x02
#define ACL_GROUP_OBJ	  0x04
#define ACL_GROUP	  0x08
#define ACL_MASK	  0x10
#define ACL_OTHER	  0x20
#define ACL_MAX_ENTRIES	  1024

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;	/* kernel id */
};

struct posix_acl {
	struct rcu_head rcu;
	uint32_t nr;
	struct acl_entry e[];
};

void acl_free(struct posix_acl *a)
{
	free(a);
}

static void acl_free_rcu(struct rcu_head *h)
{
	free(container_of(h, struct posix_acl, rcu));
}

struct posix_acl *acl_dup(const struct posix_acl *a)
{
	struct posix_acl *n = a ? malloc(sizeof(*n) + a->nr * sizeof(a->e[0])) : NULL;

	if (n)
		memcpy(n, a, sizeof(*n) + a->nr * sizeof(a->e[0]));
	return n;
}

static const struct acl_entry *acl_find(const struct posix_acl *a, uint16_t tag)
{
	for (uint32_t k = 0; k < a->nr; k++)
		if (a->e[k].tag == tag)
			return &a->e[k];
	return NULL;
}

/* Order and presence of the entries as acl(5) "VALID ACLs" says. */
static bool acl_valid(const struct posix_acl *a)
{
	bool named = false;
	uint16_t last = 0;

	for (uint32_t k = 0; k < a->nr; k++) {
		const struct acl_entry *e = &a->e[k];

		if (e->perm & ~7u || e->tag < last || (e->tag == last && e->tag != ACL_USER && e->tag != ACL_GROUP))
			return false;
		if (e->tag == ACL_USER || e->tag == ACL_GROUP) {
			named = true;
			if (e->id == ID_INVALID)
				return false;
		} else if (e->tag != ACL_USER_OBJ && e->tag != ACL_GROUP_OBJ && e->tag != ACL_MASK && e->tag != ACL_OTHER) {
			return false;
		}
		last = e->tag;
	}
	return acl_find(a, ACL_USER_OBJ) && acl_find(a, ACL_GROUP_OBJ) && acl_find(a, ACL_OTHER) && (!named || acl_find(a, ACL_MASK));
}

static long acl_parse(const void *val, size_t len, struct posix_acl **out)
{
	struct cursor c = cursor_make(val, len);
	struct posix_acl *a;
	size_t nr;

	*out = NULL;
	if (get_le32(&c) != ACL_XATTR_VERSION || c.bad || cursor_left(&c) % 8)
		return -LINUX_EINVAL;
	nr = cursor_left(&c) / 8;
	if (nr == 0)
		return 0;
	if (nr > ACL_MAX_ENTRIES)
		return -LINUX_EINVAL;
	a = malloc(sizeof(*a) + nr * sizeof(a->e[0]));
	if (!a)
		return -LINUX_ENOMEM;
	a->nr = nr;
	for (size_t k = 0; k < nr; k++) {
		a->e[k].tag = get_le16(&c);
		a->e[k].perm = get_le16(&c);
		a->e[k].id = get_le32(&c);
	}
	if (!acl_valid(a)) {
		free(a);
		return -LINUX_EINVAL;
	}
	*out = a;
	return 0;
}

long acl_to_xattr(const struct posix_acl *a, void *out, size_t size)
{
	size_t need;
	struct wcursor w;

	if (!a)
		return -LINUX_ENODATA;
	need = 4 + (size_t)a->nr * 8;
	if (size == 0)
		return (long)need;
	if (size < need)
		return -LINUX_ERANGE;
	w = wcursor_make(out, size);
	put_le32(&w, ACL_XATTR_VERSION);
	for (uint32_t k = 0; k < a->nr; k++) {
		put_le16(&w, a->e[k].tag);
		put_le16(&w, a->e[k].perm);
		put_le32(&w, a->e[k].tag & (ACL_USER | ACL_GROUP) ? a->e[k].id : ID_INVALID);
	}
	return (long)need;
}

static void acl_install(struct posix_acl **slot, struct posix_acl *a)
{
	struct posix_acl *old = *slot;

	rcu_store(*slot, a);
	if (old)
		rcu_defer(&old->rcu, acl_free_rcu);
}

/* The nine mode bits that @a stands for; true when they say all of it. */
static bool acl_equiv_mode(const struct posix_acl *a, uint32_t *mode)
{
	uint32_t m = 0;
	bool exact = true;

	for (uint32_t k = 0; k < a->nr; k++) {
		switch (a->e[k].tag) {
		case ACL_USER_OBJ:
			m |= a->e[k].perm << 6;
			break;
		case ACL_GROUP_OBJ:
			if (!acl_find(a, ACL_MASK))
				m |= a->e[k].perm << 3;
			break;
		case ACL_MASK:
			m |= a->e[k].perm << 3;
			exact = false;
			break;
		case ACL_OTHER:
			m |= a->e[k].perm;
			break;
		default:
			exact = false;
		}
	}
	*mode = (*mode & ~0777u) | m;
	return exact;
}

long inode_set_acl(struct inode *i, bool dflt, const void *val, size_t len)
{
	struct posix_acl *a = NULL;
	long ret = val ? acl_parse(val, len, &a) : 0;

	if (ret)
		return ret;
	if (dflt) {
		if (a && !LINUX_S_ISDIR(i->mode)) {
			free(a);
			return -LINUX_EACCES;
		}
		acl_install(&i->default_acl, a);
		return 0;
	}
	if (a) {
		uint32_t mode = i->mode;

		if (acl_equiv_mode(a, &mode)) {
			free(a);
			a = NULL;
		}
		i->mode = mode;
	}
	acl_install(&i->acl, a);
	return 0;
}

static bool acl_entry_hits(const struct acl_entry *e, const struct inode *i, const struct cred *c)
{
	switch (e->tag) {
	case ACL_USER:
		return e->id == c->fsuid;
	case ACL_GROUP_OBJ:
		return cred_in_group(c, i->gid);
	case ACL_GROUP:
		return cred_in_group(c, e->id);
	default:
		return false;
	}
}

/* The owner was handled by the caller. Access check algorithm of acl(5), from its second step. */
long acl_permission(const struct posix_acl *acl, const struct inode *i, uint32_t mask, const struct cred *c)
{
	const struct acl_entry *m = acl_find(acl, ACL_MASK);
	uint32_t allowed = m ? m->perm : 7;
	bool in_group = false;

	for (uint32_t k = 0; k < acl->nr; k++) {
		const struct acl_entry *e = &acl->e[k];

		if (e->tag == ACL_OTHER)
			return !in_group && !(mask & ~(uint32_t)e->perm & 7) ? 0 : -LINUX_EACCES;
		if (!acl_entry_hits(e, i, c))
			continue;
		if (!(mask & ~((uint32_t)e->perm & allowed) & 7))
			return 0;
		if (e->tag == ACL_USER)
			return -LINUX_EACCES;
		in_group = true;
	}
	return -LINUX_EACCES;
}

static void acl_set_mode(struct posix_acl *a, uint32_t mode)
{
	bool masked = acl_find(a, ACL_MASK);

	for (uint32_t k = 0; k < a->nr; k++) {
		struct acl_entry *e = &a->e[k];

		if (e->tag == ACL_USER_OBJ)
			e->perm = mode >> 6 & 7;
		else if (e->tag == ACL_MASK || (e->tag == ACL_GROUP_OBJ && !masked))
			e->perm = mode >> 3 & 7;
		else if (e->tag == ACL_OTHER)
			e->perm = mode & 7;
	}
}

long acl_chmod(struct inode *i, uint32_t mode)
{
	struct posix_acl *a;

	if (!i->acl)
		return 0;
	a = acl_dup(i->acl);
	if (!a)
		return -LINUX_ENOMEM;
	acl_set_mode(a, mode);
	acl_install(&i->acl, a);
	return 0;
}

bool acl_inheritable(const struct inode *dir)
{
	return dir->default_acl != NULL;
}

/* A new inode in a directory with a default ACL: the entries, limited by the creation mode. */
uint32_t inode_inherit_acl(struct inode *i, const struct inode *dir, uint32_t mode)
{
	struct posix_acl *a = acl_dup(dir->default_acl);
	uint32_t m = mode;

	if (!a)
		return mode;
	if (LINUX_S_ISDIR(mode))
		i->default_acl = acl_dup(dir->default_acl);
	acl_equiv_mode(a, &m);
	m = (mode & ~0777u) | (mode & m & 0777);
	acl_set_mode(a, m);
	if (acl_equiv_mode(a, &m))
		acl_free(a);
	else
		i->acl = a;
	return m;
}

long inode_copy_acl(struct inode *dst, const struct inode *src)
{
	struct posix_acl *a = acl_dup(src->acl), *d = acl_dup(src->default_acl);

	if ((src->acl && !a) || (src->default_acl && !d)) {
		free(a);
		free(d);
		return -LINUX_ENOMEM;
	}
	if (a || dst->acl)
		acl_install(&dst->acl, a);
	if (d || dst->default_acl)
		acl_install(&dst->default_acl, d);
	return 0;
}
