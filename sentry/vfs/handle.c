/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/handle.c - file handles: names of files that need no path
 *
 * Model:   a handle is an inode number and a generation (the time of birth, so that a number that is used again means another file).
 *          Who asked for a handle has its dentry remembered, without a reference, until the name cache forgets it; the oldest go
 *          when there are too many. To open one is to find the dentry again.
 * Locks:   handles_mu, a leaf; dentry_free() takes it before the dentry's memory goes ("handle removal").
 * Source:  open_by_handle_at(2).
 * Differs: a handle is stale once its name has left the name cache, which on Linux only some file systems do.
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

#define HANDLES_MAX  16384u /* of the sandbox */
#define HANDLE_BUCKETS 1024u

struct handle {
	struct list by_id, by_dentry; /* in buckets */
	struct list age;	/* oldest first */
	struct dentry *dentry;	/* borrowed: dentry_free() takes the handle away */
	const struct super_block *sb;
	uint64_t ino;
	uint32_t generation;
};

/* guarded by handles_mu */
static struct mutex handles_mu = MUTEX_INIT;
static struct list ids[HANDLE_BUCKETS], dentries[HANDLE_BUCKETS]; /* zero = not yet initialised */
static struct list ages = LIST_HEAD_INIT(ages);
static uint32_t nr_handles;

static struct list *bucket(struct list *table, uint64_t key)
{
	struct list *b = &table[key * 0x9e3779b97f4a7c15ull >> 54];

	if (!b->next)
		list_init(b);
	return b;
}
_Static_assert(HANDLE_BUCKETS == 1u << 10, "the shift above");

static void remove_locked(struct handle *h)
{
	list_del_init(&h->by_id);
	list_del_init(&h->by_dentry);
	list_del_init(&h->age);
	nr_handles--;
}

/* The one that @d has, if any, out of the tables. */
static struct handle *take_locked(const struct dentry *d)
{
	struct handle *h;

	list_for_each_entry (h, bucket(dentries, (uintptr_t)d), by_dentry)
		if (h->dentry == d) {
			remove_locked(h);
			return h;
		}
	return NULL;
}

static long identity(const struct path *p, uint64_t *out_ino, uint32_t *out_generation)
{
	struct kstat k;
	long ret = vfs_getattr(p, &k);

	if (ret < 0)
		return ret;
	*out_ino = k.ino;
	/* A stacked file is born again when it is copied up, and stays the same. */
	*out_generation = k.has_btime && !p->dentry->inode->real ? (uint32_t)k.btime.sec * 1000003u ^ k.btime.nsec : 0;
	return 0;
}

static long remember(const struct path *p, uint64_t ino, uint32_t generation)
{
	struct handle *h = calloc(1, sizeof(*h)), *old;

	if (!h)
		return -LINUX_ENOMEM;
	*h = (struct handle){ .dentry = p->dentry, .sb = p->dentry->sb, .ino = ino, .generation = generation };
	mutex_lock(&handles_mu);
	old = take_locked(p->dentry);
	if (!old && nr_handles >= HANDLES_MAX) {
		old = list_first(&ages, struct handle, age);
		remove_locked(old);
	}
	atomic_fetch_or_explicit(&p->dentry->flags, DENTRY_HANDLE, memory_order_relaxed);
	list_add(bucket(ids, ino), &h->by_id);
	list_add(bucket(dentries, (uintptr_t)h->dentry), &h->by_dentry);
	list_add_tail(&ages, &h->age);
	nr_handles++;
	mutex_unlock(&handles_mu);
	free(old);
	return 0;
}

long vfs_name_to_handle(const struct path *p, bool to_open, struct vfs_handle *out)
{
	long ret;

	if (to_open && (!(p->dentry->sb->type->flags & FST_HANDLES) || p->dentry->flags & DENTRY_ANON))
		return -LINUX_EOPNOTSUPP;
	ret = identity(p, &out->ino, &out->generation);
	return ret < 0 || !to_open ? ret : remember(p, out->ino, out->generation);
}

static struct dentry *find(const struct super_block *sb, const struct vfs_handle *want)
{
	struct dentry *d = NULL;
	struct handle *h;

	mutex_lock(&handles_mu);
	list_for_each_entry (h, bucket(ids, want->ino), by_id)
		if (h->ino == want->ino && h->generation == want->generation && h->sb == sb && ref_get_unless_zero(&h->dentry->ref)) {
			d = h->dentry;
			break;
		}
	mutex_unlock(&handles_mu);
	return d;
}

/* Is @d still what its name in its directory means? */
static bool in_place(struct dentry *d)
{
	struct dentry *parent;
	bool ok;

	if (d->flags & DENTRY_ROOT)
		return true;
	if (d_unhashed(d))
		return false;
	rcu_read_lock();
	parent = rcu_load(d->parent);
	ok = ref_get_unless_zero(&parent->ref);
	rcu_read_unlock();
	if (!ok)
		return false;
	ok = !parent->inode->ops->d_revalidate || parent->inode->ops->d_revalidate(d);
	d_put(parent);
	return ok;
}

long vfs_open_handle(const struct vfs_ctx *ctx, struct mount *m, const struct vfs_handle *want, uint32_t flags, struct file **out)
{
	struct path p = { .mnt = m, .dentry = find(m->sb, want) };
	long ret;

	if (!p.dentry)
		return -LINUX_ESTALE;
	ret = in_place(p.dentry) ? vfs_open_path(ctx, &p, flags, out) : -LINUX_ESTALE;
	d_put(p.dentry);
	return ret;
}

void handle_forget(struct dentry *d)
{
	struct handle *h;

	mutex_lock(&handles_mu);
	h = take_locked(d);
	mutex_unlock(&handles_mu);
	free(h);
}
