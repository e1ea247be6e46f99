/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/mount.c - the trees of mounts: references, lookup, attaching, detaching, copying
 *
 * Locks:   see mount.h. mount_seq is odd while the hash table or a parent pointer changes.
 */
#include "sentry/vfs/mount.h"

#include <stdlib.h>

#include "sentry/vfs/internal.h"

#define MHASH 256

struct sleeplock mount_lock;
struct seqcount mount_seq;
static struct mount *mhash[MHASH];
static _Atomic uint64_t next_mnt_id = 21;	/* small numbers look like a booted system's */
static _Atomic uint64_t next_group_id = 1;
static _Atomic uint64_t next_ns_ino = 0xf0100000u; /* apart from the numbers of task/ns.c */

void mount_init(void)
{
	sleeplock_init(&mount_lock);
}

static struct mount **mbucket(const struct mount *parent, const struct dentry *d)
{
	uint64_t k = (uint64_t)(uintptr_t)parent / 64 * 31 + (uint64_t)(uintptr_t)d / 64;

	return &mhash[(k * 0x9e3779b97f4a7c15ull) >> 56];
}

struct mount *mnt_lookup(const struct mount *parent, const struct dentry *d)
{
	for (struct mount *m = rcu_load(*mbucket(parent, d)); m; m = rcu_load(m->hash_next))
		if (rcu_load(m->parent) == parent && rcu_load(m->mountpoint) == d)
			return m;
	return NULL;
}

struct mount *mnt_get(struct mount *m)
{
	ref_get(&m->ref);
	return m;
}

static void free_mount_rcu(struct rcu_head *h)
{
	struct mount *m = container_of(h, struct mount, rcu);

	free(m->devname);
	free(m);
}

void mnt_put(struct mount *m)
{
	if (!m || !ref_put(&m->ref))
		return;
	d_put(m->root);
	sb_put(m->sb);
	rcu_defer(&m->rcu, free_mount_rcu);
}

struct mount *mnt_new(struct super_block *sb, struct dentry *root, const char *devname, uint32_t flags)
{
	struct mount *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->devname = strdup(devname && *devname ? devname : "none");
	if (!m->devname) {
		free(m);
		return NULL;
	}
	ref_init(&m->ref, 1);
	m->sb = sb_get(sb);
	m->root = d_get(root);
	m->flags = flags & (MNT_USER_FLAGS | MNT_UNBINDABLE);
	m->id = atomic_fetch_add(&next_mnt_id, 1);
	list_init(&m->peers);
	list_init(&m->slaves);
	list_init(&m->slave_node);
	list_init(&m->children);
	list_init(&m->child_node);
	list_init(&m->ns_node);
	list_init(&m->tmp);
	return m;
}

long mnt_want_write(struct mount *m)
{
	if (!m)
		return 0;
	/* Count first: a remount to read-only looks at the count after it set the flag. */
	atomic_fetch_add(&m->nr_writers, 1);
	if (likely(!(atomic_load(&m->flags) & LINUX_MS_RDONLY) && !(m->sb->flags & LINUX_MS_RDONLY)))
		return 0;
	atomic_fetch_sub(&m->nr_writers, 1);
	return -LINUX_EROFS;
}

void mnt_drop_write(struct mount *m)
{
	if (m)
		atomic_fetch_sub_explicit(&m->nr_writers, 1, memory_order_release);
}

/* ---- namespaces ---- */

void mnt_ns_touch(struct mnt_ns *ns)
{
	if (!ns)
		return;
	atomic_fetch_add(&ns->event, 1);
	waitq_wake_all(&ns->event_q);
}

static void ns_add(struct mnt_ns *ns, struct mount *m)
{
	m->ns = ns;
	if (!ns)
		return;
	list_add_tail(&ns->mounts, &m->ns_node);
	ns->nr_mounts++;
}

static void ns_del(struct mount *m)
{
	if (!m->ns)
		return;
	list_del_init(&m->ns_node);
	m->ns->nr_mounts--;
	m->ns = NULL;
}

struct mnt_ns *mnt_ns_alloc(struct user_ns *user_ns)
{
	struct mnt_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ref_init(&ns->ref, 1);
	list_init(&ns->mounts);
	ns->user_ns = user_ns_get(user_ns);
	ns->ino = atomic_fetch_add(&next_ns_ino, 1);
	waitq_init(&ns->event_q);
	return ns;
}

void mnt_ns_adopt(struct mnt_ns *ns, struct mount *root)
{
	ns->root = root;
	for (struct mount *m = root; m; m = mnt_next_in_tree(m, root))
		ns_add(ns, m);
}

struct mnt_ns *mnt_ns_get(struct mnt_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void mnt_ns_put(struct mnt_ns *ns)
{
	struct list dead = LIST_HEAD_INIT(dead);

	if (!ns || !ref_put(&ns->ref))
		return;
	sleep_lock(&mount_lock);
	if (ns->root)
		mnt_umount_tree(ns->root, false, &dead);
	sleep_unlock(&mount_lock);
	mnt_put_list(&dead);
	user_ns_put(ns->user_ns);
	free(ns);
}

long mnt_ns_new(struct super_block *sb, uint32_t mnt_flags, struct user_ns *user_ns, struct mnt_ns **out, struct path *out_root)
{
	struct mnt_ns *ns = mnt_ns_alloc(user_ns);
	struct mount *m = ns ? mnt_new(sb, sb->root, sb->source, mnt_flags) : NULL;

	sb_put(sb);
	if (!m) {
		if (ns) {
			user_ns_put(ns->user_ns);
			free(ns);
		}
		return -LINUX_ENOMEM;
	}
	sleep_lock(&mount_lock);
	ns->root = m;
	ns_add(ns, m);
	sleep_unlock(&mount_lock);
	*out = ns;
	*out_root = (struct path){ mnt_get(m), d_get(m->root) };
	return 0;
}

/* ---- trees ---- */

struct mount *mnt_next_in_tree(struct mount *m, struct mount *root)
{
	if (!list_empty(&m->children))
		return list_first(&m->children, struct mount, child_node);
	while (m != root) {
		struct mount *parent = m->parent;

		if (m->child_node.next != &parent->children)
			return list_entry(m->child_node.next, struct mount, child_node);
		m = parent;
	}
	return NULL;
}

static void hash_add(struct mount *m, struct mount *parent, struct dentry *at)
{
	struct mount **b = mbucket(parent, at);

	seq_write_begin(&mount_seq);
	m->mountpoint = d_get(at);
	rcu_store(m->parent, mnt_get(parent));
	m->hash_next = *b;
	rcu_store(*b, m);
	atomic_fetch_add(&at->nr_mounts, 1);
	seq_write_end(&mount_seq);
	list_add_tail(&parent->children, &m->child_node);
}

void mnt_attach(struct mount *m, struct mount *parent, struct dentry *at, struct mnt_ns *ns)
{
	hash_add(m, parent, at);
	for (struct mount *n = m; n; n = mnt_next_in_tree(n, m)) {
		ns_del(n);
		ns_add(ns, n);
	}
	mnt_ns_touch(ns);
}

/* References to parent and mountpoint go to @out_parent and @out_at: they are dropped without the lock. */
static void hash_del(struct mount *m, struct mount **out_parent, struct dentry **out_at)
{
	struct mount **pp = mbucket(m->parent, m->mountpoint);

	seq_write_begin(&mount_seq);
	while (*pp != m)
		pp = &(*pp)->hash_next;
	rcu_store(*pp, m->hash_next);
	atomic_fetch_sub(&m->mountpoint->nr_mounts, 1);
	*out_parent = m->parent;
	*out_at = m->mountpoint;
	rcu_store(m->parent, NULL);
	m->mountpoint = NULL;
	seq_write_end(&mount_seq);
	list_del_init(&m->child_node);
}

void mnt_detach_one(struct mount *m)
{
	struct mount *parent;
	struct dentry *at;

	if (!m->parent)
		return;
	mnt_ns_touch(m->ns);
	hash_del(m, &parent, &at);
	d_put(at);
	mnt_put(parent);
}

struct mount *mnt_copy_tree(struct mount *m, struct dentry *root, uint32_t how)
{
	struct mount *top = NULL, *c, *n;

	if (how & COPY_NO_UNBINDABLE && m->flags & MNT_UNBINDABLE)
		return NULL;
	for (n = m; n; n = how & COPY_REC ? mnt_next_in_tree(n, m) : NULL) {
		n->copy = NULL;
		/* A parent that was left out leaves out its children; so does a mount outside the part that is shown. */
		if (n != m && (!n->parent->copy || (n->parent == m && !d_is_ancestor(root, n->mountpoint)) ||
			       (how & COPY_NO_UNBINDABLE && n->flags & MNT_UNBINDABLE)))
			continue;
		c = mnt_new(n->sb, n == m ? root : n->root, n->devname, n->flags);
		if (!c)
			goto fail;
		c->locked_flags = n->locked_flags;
		if (how & COPY_LOCK) {
			c->locked_flags |= n->flags & MNT_USER_FLAGS;
			if (n != m)
				atomic_fetch_or(&c->flags, MNT_LOCKED);
		}
		n->copy = c;
		if (!top)
			top = c;
		if (how & COPY_SLAVE) {
			c->master = n;
			list_add(&n->slaves, &c->slave_node);
		} else if (how & COPY_SHARED && n->group_id) {
			c->group_id = n->group_id;
			list_add(&n->peers, &c->peers);
		}
		/* A slave's copy is a slave of the same master. */
		if (!(how & (COPY_SLAVE | COPY_PRIVATE)) && n->master) {
			c->master = n->master;
			list_add(&n->master->slaves, &c->slave_node);
		}
		if (n != m)
			hash_add(c, n->parent->copy, n->mountpoint);
	}
	return top;
fail:
	if (top) {
		struct list dead = LIST_HEAD_INIT(dead);

		mnt_umount_tree(top, false, &dead);
		mnt_put_list(&dead);
	}
	return NULL;
}

void mnt_make_shared(struct mount *m)
{
	if (!m->group_id)
		m->group_id = atomic_fetch_add(&next_group_id, 1);
}

/* Takes @m and what is below it out of all trees and groups, onto @out. */
static void collect_tree(struct mount *m, struct list *out)
{
	struct mount *n, *next;
	struct list all = LIST_HEAD_INIT(all);

	for (n = m; n; n = mnt_next_in_tree(n, m))
		list_add_tail(&all, &n->tmp);
	list_for_each_entry_safe(n, next, &all, tmp) {
		struct mnt_ns *ns = n->ns;

		atomic_fetch_or(&n->flags, MNT_DOOMED);
		mnt_release_group(n);
		if (ns && ns->root == n)
			ns->root = NULL;
		ns_del(n);
		mnt_ns_touch(ns);
		if (n->parent)
			mnt_detach_one(n);
	}
	list_splice_tail_init(&all, out);
}

void mnt_put_list(struct list *l)
{
	while (!list_empty(l)) {
		struct mount *m = list_first(l, struct mount, tmp);

		list_del_init(&m->tmp);
		mnt_put(m);
	}
}

/* Counterparts of @m: what is mounted at the same place of the mounts that hear of its parent's events. */
void mnt_umount_tree(struct mount *m, bool propagate, struct list *out)
{
	struct mount_targets t;

	if (propagate && m->parent && mnt_propagation(m->parent, &t) == 0) {
		for (uint32_t k = 0; k < t.nr; k++) {
			struct mount *c = mnt_lookup(t.e[k].m, m->mountpoint);

			/* One that has mounts of its own stays, as umount propagation says. */
			if (c && c != m && list_empty(&c->children) && c->root == m->root)
				collect_tree(c, out);
		}
		free(t.e);
	}
	collect_tree(m, out);
}
