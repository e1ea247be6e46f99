/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/unix/unix_addr.c - AF_UNIX names: paths, abstract names, autobind
 *
 * Model:   a path name is an inode of type socket whose .sock points at the socket; abstract names are in a hash table of
 *          the network namespace.
 * Locks:   unix_table.mu (120) > unix_sock.lock. inode.sock is guarded by unix_paths_mu (120).
 * Source:  unix(7), "Three types of address".
 */
#include <stdio.h>
#include <string.h>

#include "sentry/socket/unix/unix.h"

#define TABLE_BUCKETS 256

struct unix_table {
	struct mutex mu;
	uint32_t next_auto;
	struct list bucket[TABLE_BUCKETS]; /* of unix_sock.name_node */
};

static struct mutex unix_paths_mu = MUTEX_INIT;

struct unix_table *unix_table_new(void)
{
	struct unix_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	for (size_t i = 0; i < TABLE_BUCKETS; i++)
		list_init(&t->bucket[i]);
	return t;
}

void unix_table_free(struct unix_table *t)
{
	free(t);
}

void unix_addr_put(struct unix_addr *a)
{
	if (a && ref_put(&a->ref))
		free(a);
}

static struct unix_addr *addr_new(const struct sockaddr_buf *b)
{
	struct unix_addr *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	ref_init(&a->ref, 1);
	a->len = b->len;
	memcpy(&a->un, b->b, MIN((size_t)b->len, sizeof(a->un)));
	return a;
}

void unix_fill_name(struct unix_addr *a, struct sockaddr_buf *out)
{
	memset(out, 0, sizeof(*out));
	out->len = sizeof(uint16_t);
	if (a) {
		out->len = a->len;
		memcpy(out->b, &a->un, a->len);
	}
	out->family = LINUX_AF_UNIX;
}

long unix_check_addr(const struct sockaddr_buf *a)
{
	if (a->len < sizeof(uint16_t) || a->len > sizeof(struct linux_sockaddr_un) || a->family != LINUX_AF_UNIX)
		return -LINUX_EINVAL;
	return 0;
}

static bool is_abstract(const struct sockaddr_buf *a)
{
	return a->b[sizeof(uint16_t)] == 0;
}

/* FNV-1a; names come from guests, but a table is one namespace's own. */
static struct list *bucket_of(struct unix_table *t, const void *p, size_t len)
{
	const uint8_t *b = p;
	uint32_t h = 2166136261u;

	while (len--)
		h = (h ^ *b++) * 16777619u;
	return &t->bucket[h % TABLE_BUCKETS];
}

static struct unix_sock *abstract_find_locked(struct unix_table *t, const void *un, size_t len, int type)
{
	struct unix_sock *u;

	list_for_each_entry(u, bucket_of(t, un, len), name_node)
		if (u->addr->len == len && !memcmp(&u->addr->un, un, len) && (!type || u->sk.type == type))
			return u;
	return NULL;
}

static long bind_abstract(struct unix_sock *u, struct unix_addr *a)
{
	struct unix_table *t = u->sk.net->unix_tab;
	long ret = 0;

	mutex_lock(&t->mu);
	mutex_lock(&u->lock);
	if (u->addr)
		ret = -LINUX_EINVAL;
	else if (abstract_find_locked(t, &a->un, a->len, u->sk.type))
		ret = -LINUX_EADDRINUSE;
	if (!ret) {
		u->addr = a;
		list_add(bucket_of(t, &a->un, a->len), &u->name_node);
	}
	mutex_unlock(&u->lock);
	mutex_unlock(&t->mu);
	return ret;
}

/* Five hexadecimal digits behind the NUL, as Linux chooses them. */
static long autobind(struct unix_sock *u)
{
	struct unix_table *t = u->sk.net->unix_tab;
	struct sockaddr_buf b = { .len = sizeof(uint16_t) + 6 };
	struct unix_addr *a;
	char name[8];
	long ret = -LINUX_ENOSPC;

	b.family = LINUX_AF_UNIX;
	for (uint32_t tries = 0; tries < 1u << 20; tries++) {
		uint32_t n;

		mutex_lock(&t->mu);
		n = t->next_auto++ & 0xfffff;
		mutex_unlock(&t->mu);
		snprintf(name, sizeof(name), "%05x", n);
		memcpy(b.b + sizeof(uint16_t) + 1, name, 5);
		a = addr_new(&b);
		if (!a)
			return -LINUX_ENOMEM;
		ret = bind_abstract(u, a);
		if (!ret)
			return 0;
		unix_addr_put(a);
		if (ret != -LINUX_EADDRINUSE)
			return ret == -LINUX_EINVAL ? 0 : ret; /* bound meanwhile: fine */
	}
	return ret;
}

/* NUL-terminated path of @a in @out. */
static void addr_path(const struct sockaddr_buf *a, char out[LINUX_UNIX_PATH_MAX + 1])
{
	size_t n = a->len - sizeof(uint16_t);

	memcpy(out, a->b + sizeof(uint16_t), n);
	out[n] = '\0';
}

static long bind_path(struct unix_sock *u, struct task *t, struct sockaddr_buf *b)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	char path[LINUX_UNIX_PATH_MAX + 1];
	struct unix_addr *a;
	struct path p;
	uint32_t umask = ctx.fs->umask;
	long ret;

	addr_path(b, path);
	b->len = (uint32_t)(sizeof(uint16_t) + strlen(path) + 1); /* as getsockname(2) tells it, NUL included */
	b->len = MIN(b->len, (uint32_t)sizeof(struct linux_sockaddr_un));
	ret = vfs_mknod(&ctx, LINUX_AT_FDCWD, path, LINUX_S_IFSOCK | (0777 & ~umask), 0);
	if (ret)
		return ret == -LINUX_EEXIST ? -LINUX_EADDRINUSE : ret;
	ret = vfs_lookup(&ctx, LINUX_AT_FDCWD, path, 0, &p);
	if (ret)
		return ret;
	a = addr_new(b);
	if (!a) {
		path_put(&p);
		return -LINUX_ENOMEM;
	}
	mutex_lock(&unix_paths_mu);
	mutex_lock(&u->lock);
	if (u->addr || !LINUX_S_ISSOCK(p.dentry->inode->mode)) {
		ret = -LINUX_EINVAL;
	} else {
		u->addr = a;
		u->inode = inode_get(p.dentry->inode);
		u->inode->sock = u; /* weak: unix_unname() clears it before the socket goes */
	}
	mutex_unlock(&u->lock);
	mutex_unlock(&unix_paths_mu);
	if (ret)
		unix_addr_put(a);
	path_put(&p);
	return ret;
}

long unix_bind(struct socket *s, struct task *t, const struct sockaddr_buf *a)
{
	struct unix_sock *u = unix_of(s);
	struct sockaddr_buf b = *a;
	struct unix_addr *addr;
	long ret;

	if (a->len == sizeof(uint16_t) && a->family == LINUX_AF_UNIX)
		return autobind(u);
	ret = unix_check_addr(a);
	if (ret)
		return ret;
	if (u->addr)
		return -LINUX_EINVAL;
	if (!is_abstract(a))
		return bind_path(u, t, &b);
	addr = addr_new(a);
	if (!addr)
		return -LINUX_ENOMEM;
	ret = bind_abstract(u, addr);
	if (ret)
		unix_addr_put(addr);
	return ret;
}

void unix_unname(struct unix_sock *u)
{
	struct unix_table *t = u->sk.net->unix_tab;

	mutex_lock(&t->mu);
	list_del_init(&u->name_node);
	mutex_unlock(&t->mu);
	mutex_lock(&unix_paths_mu);
	if (u->inode && u->inode->sock == u)
		u->inode->sock = NULL;
	mutex_unlock(&unix_paths_mu);
}

static long find_path(struct task *t, const struct sockaddr_buf *a, struct unix_sock **out)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	char path[LINUX_UNIX_PATH_MAX + 1];
	struct unix_sock *u = NULL;
	struct path p;
	long ret;

	addr_path(a, path);
	ret = vfs_lookup(&ctx, LINUX_AT_FDCWD, path, WALK_FOLLOW, &p);
	if (ret)
		return ret;
	ret = vfs_permission(p.dentry->inode, LINUX_MAY_WRITE, t->cred);
	if (!ret && !LINUX_S_ISSOCK(p.dentry->inode->mode))
		ret = -LINUX_ECONNREFUSED;
	if (!ret) {
		mutex_lock(&unix_paths_mu);
		u = p.dentry->inode->sock;
		if (u && !ref_get_unless_zero(&u->ref))
			u = NULL;
		mutex_unlock(&unix_paths_mu);
		ret = u ? 0 : -LINUX_ECONNREFUSED;
	}
	path_put(&p);
	*out = u;
	return ret;
}

long unix_find(struct unix_sock *me, struct task *t, const struct sockaddr_buf *a, struct unix_sock **out)
{
	struct unix_table *tab = me->sk.net->unix_tab;
	struct unix_sock *u = NULL;
	long ret = unix_check_addr(a);

	if (ret)
		return ret;
	if (a->len <= sizeof(uint16_t))
		return -LINUX_EINVAL;
	if (is_abstract(a)) {
		mutex_lock(&tab->mu);
		u = abstract_find_locked(tab, a->b, a->len, me->sk.type);
		if (u && !ref_get_unless_zero(&u->ref))
			u = NULL;
		mutex_unlock(&tab->mu);
		if (!u)
			return -LINUX_ECONNREFUSED;
	} else {
		ret = find_path(t, a, &u);
		if (ret)
			return ret;
		if (u->sk.type != me->sk.type) {
			unix_put(u);
			return -LINUX_EPROTOTYPE;
		}
	}
	*out = u;
	return 0;
}
