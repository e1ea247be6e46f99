/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/inode.c - inodes: one per host file, reached by fid when the gofer must be asked
 *
 * Model:   inodes are found again by the host's device, inode number and birth time, so hard links are one
 *          inode here too, and a number that the host uses again is another file. An inode remembers
 *          its directory and name; a fid is walked to from the nearest ancestor that has one, and only when needed.
 */
#include <string.h>

#include "sentry/fs/gofer/gofer_internal.h"

#define TYPE(m) ((m)&LINUX_S_IFMT)

static uint32_t hash_of(uint64_t dev, uint64_t ino)
{
	return (uint32_t)(((ino ^ dev << 40) * 0x9e3779b97f4a7c15ull) >> 54);
}
_Static_assert(GOFER_HASH == 1 << 10, "the hash keeps ten bits");

static uint64_t dev_of(const struct p9x_stat *st)
{
	return (uint64_t)st->dev_major << 32 | st->dev_minor;
}

static struct vtime time_of(int64_t sec, uint32_t nsec)
{
	return (struct vtime){ sec, MIN(nsec, 999999999u) };
}

bool ginode_is(const struct inode *i, const struct p9x_stat *st)
{
	const struct ginode *g = ginode_of(i);

	if (g->ino != st->ino || g->dev != dev_of(st) || TYPE(i->mode) != TYPE(st->mode))
		return false;
	/* the host's overlayfs keeps a directory's number when it copies it up, but not its birth */
	return LINUX_S_ISDIR(i->mode) || (g->btime_sec == st->btime.sec && g->btime_nsec == st->btime.nsec);
}

void ginode_update(struct inode *i, const struct p9x_stat *st)
{
	i->mode = TYPE(i->mode) | (st->mode & 07777);
	i->nlink = st->nlink;
	i->uid = st->uid;
	i->gid = st->gid;
	i->blocks = st->blocks;
	atomic_store_explicit(&i->size, MIN(st->size, (uint64_t)INT64_MAX), memory_order_release);
	mutex_lock(&i->mu);
	i->atime = time_of(st->atime.sec, st->atime.nsec);
	i->mtime = time_of(st->mtime.sec, st->mtime.nsec);
	i->ctime = time_of(st->ctime.sec, st->ctime.nsec);
	i->btime = time_of(st->btime.sec, st->btime.nsec);
	mutex_unlock(&i->mu);
}

/* Without a fid it is reached by its name, which somebody else may have changed. */
void ginode_seen(struct inode *i, const struct p9x_stat *st, struct inode *parent, const char *name)
{
	struct ginode *g = ginode_of(i);
	struct gsb *s = gsb_of(i->sb);
	bool moved = false;

	ginode_update(i, st);
	if (!parent || atomic_load_explicit(&g->fid, memory_order_relaxed) != P9_NOFID)
		return;
	mutex_lock(&s->mu);
	moved = g->parent && (g->parent != parent || strcmp(g->name, name));
	mutex_unlock(&s->mu);
	if (moved)
		ginode_moved(i, parent, name);
}

static void set_ops(struct inode *i, bool shared)
{
	switch (TYPE(i->mode)) {
	case LINUX_S_IFDIR:
		i->ops = shared ? &gofer_dir_shared_ops : &gofer_dir_ops;
		i->fops = &gofer_dir_fops;
		break;
	case LINUX_S_IFREG:
		i->ops = shared ? &gofer_file_shared_iops : &gofer_file_iops;
		i->fops = &gofer_file_fops;
		break;
	case LINUX_S_IFLNK:
		i->ops = &gofer_link_ops;
		break;
	default:
		i->ops = shared ? &gofer_special_shared_ops : &gofer_special_ops;
	}
}

static bool type_is_known(uint32_t mode)
{
	switch (TYPE(mode)) {
	case LINUX_S_IFDIR:
	case LINUX_S_IFREG:
	case LINUX_S_IFLNK:
	case LINUX_S_IFCHR:
	case LINUX_S_IFBLK:
	case LINUX_S_IFIFO:
	case LINUX_S_IFSOCK:
		return true;
	}
	return false;
}

static struct inode *make(struct super_block *sb, const struct p9x_stat *st, struct inode *parent, const char *name,
			  const char *target)
{
	struct ginode *g = calloc(1, sizeof(*g));
	struct inode *i = g ? inode_new(sb, st->mode) : NULL;

	if (!i) {
		free(g);
		return NULL;
	}
	g->inode = i;
	g->dev = dev_of(st);
	g->ino = st->ino;
	g->btime_sec = st->btime.sec;
	g->btime_nsec = st->btime.nsec;
	g->name = strdup(name);
	g->parent = parent ? inode_get(parent) : NULL;
	sleeplock_init(&g->fid_lock);
	sleeplock_init(&g->data_lock);
	atomic_init(&g->fid, P9_NOFID);
	atomic_init(&g->io_fid, P9_NOFID);
	atomic_init(&g->ro_fd, -1);
	atomic_init(&g->rw_fd, -1);
	i->priv = g;
	i->ino = st->ino;
	i->rdev = LINUX_MKDEV(st->rdev_major, st->rdev_minor);
	if (target && LINUX_S_ISLNK(st->mode))
		i->link = strdup(target);
	set_ops(i, !gsb_of(sb)->exclusive);
	ginode_update(i, st);
	if (!g->name) {
		inode_put(i);
		return NULL;
	}
	return i;
}

/* A reference to the inode that is known already, or NULL. */
static struct inode *find_locked(struct gsb *s, const struct p9x_stat *st) REQUIRES(s->mu)
{
	for (struct ginode *g = s->hash[hash_of(dev_of(st), st->ino)]; g; g = g->hash_next)
		if (ginode_is(g->inode, st) && ref_get_unless_zero(&g->inode->ref))
			return g->inode;
	return NULL;
}

struct inode *ginode_find(struct super_block *sb, const struct p9x_stat *st)
{
	struct gsb *s = gsb_of(sb);
	struct inode *i;

	mutex_lock(&s->mu);
	i = find_locked(s, st);
	mutex_unlock(&s->mu);
	return i;
}

long ginode_get(struct super_block *sb, const struct p9x_stat *st, struct inode *parent, const char *name,
		const char *target, struct inode **out)
{
	struct gsb *s = gsb_of(sb);
	struct inode *i, *mine;
	struct ginode *g;

	if (!type_is_known(st->mode))
		return -LINUX_EIO;
	i = ginode_find(sb, st);
	if (i) {
		if (!s->exclusive) /* of an exclusive one we know better than an old page of a directory */
			ginode_seen(i, st, parent, name);
		*out = i;
		return 0;
	}
	mine = make(sb, st, parent, name, target);
	if (!mine)
		return -LINUX_ENOMEM;
	mutex_lock(&s->mu);
	i = find_locked(s, st); /* two lookups at once, of two names of one file */
	if (!i) {
		g = ginode_of(mine);
		g->hash_next = s->hash[hash_of(g->dev, g->ino)];
		s->hash[hash_of(g->dev, g->ino)] = g;
		g->hashed = true;
		i = mine;
		mine = NULL;
	}
	mutex_unlock(&s->mu);
	inode_put(mine);
	*out = i;
	return 0;
}

void gofer_free_inode(struct inode *i)
{
	struct ginode *g = ginode_of(i), **p;
	struct gsb *s = gsb_of(i->sb);
	struct inode *parent;

	if (!g)
		return;
	mutex_lock(&s->mu);
	if (g->hashed) {
		for (p = &s->hash[hash_of(g->dev, g->ino)]; *p != g;)
			p = &(*p)->hash_next;
		*p = g->hash_next;
	}
	parent = g->parent;
	mutex_unlock(&s->mu);
	gdata_free(g);
	link_forget_fid(s->link, g->fid);
	link_forget_fid(s->link, g->io_fid);
	if (!i->nlink && !LINUX_S_ISDIR(i->mode))
		atomic_store_explicit(&s->link->dead_hold_space, true, memory_order_relaxed);
	gdir_free(g->dir);
	free(g->name);
	free(g);
	i->priv = NULL;
	inode_put(parent);
}

void ginode_moved(struct inode *i, struct inode *parent, const char *name)
{
	struct ginode *g = ginode_of(i);
	struct gsb *s = gsb_of(i->sb);
	char *n = strdup(name), *old_name = NULL;
	struct inode *old = NULL;

	if (!n) /* a fid that it has goes on working; otherwise the walk will fail */
		return;
	inode_get(parent);
	mutex_lock(&s->mu);
	old = g->parent;
	old_name = g->name;
	g->parent = parent;
	g->name = n;
	mutex_unlock(&s->mu);
	free(old_name);
	inode_put(old);
}

/* ---- fids ------------------------------------------------------------------------------------------ */

void ginode_set_fid(struct inode *i, uint32_t fid)
{
	struct ginode *g = ginode_of(i);
	uint32_t none = P9_NOFID;

	if (!atomic_compare_exchange_strong(&g->fid, &none, fid))
		link_forget_fid(gsb_of(i->sb)->link, fid);
}

static long route_find(struct inode *i, struct route *r)
{
	struct gsb *s = gsb_of(i->sb);
	long ret = 0;

	r->n = 0;
	mutex_lock(&s->mu);
	r->from = i;
	while (!ret && r->n < P9_WALK_MAX && atomic_load(&ginode_of(r->from)->fid) == P9_NOFID) {
		struct ginode *g = ginode_of(r->from);

		if (!g->parent) {
			ret = -LINUX_ESTALE; /* an unnamed file without a fid */
			break;
		}
		r->name[r->n] = strdup(g->name);
		if (!r->name[r->n++])
			ret = -LINUX_ENOMEM;
		r->from = g->parent;
	}
	inode_get(r->from);
	mutex_unlock(&s->mu);
	for (unsigned k = 0; k < r->n / 2; k++) { /* collected from the end */
		char *t = r->name[k];

		r->name[k] = r->name[r->n - 1 - k];
		r->name[r->n - 1 - k] = t;
	}
	return ret;
}

void route_fini(struct route *r)
{
	inode_put(r->from);
	while (r->n)
		free(r->name[--r->n]);
}

long ginode_route(struct inode *i, struct route *r, uint32_t *out_from)
{
	long ret;

	link_reap(gsb_of(i->sb)->link);
	ret = route_find(i, r);
	if (ret)
		return ret;
	*out_from = atomic_load(&ginode_of(r->from)->fid);
	/* farther than one walk reaches: the way there first (what is left shrinks by 16 each time) */
	return *out_from == P9_NOFID ? ginode_fid(r->from, out_from) : 0;
}

static long route_walk(struct inode *i, const struct route *r, uint32_t from, uint32_t *out)
{
	struct p9x_stat *st = malloc(sizeof(*st) * P9_WALK_MAX);
	unsigned got;
	long ret;

	if (!st)
		return -LINUX_ENOMEM;
	ret = p9_walk(client_of(i), from, (const char *const *)r->name, r->n, out, st, &got);
	if (!ret && !ginode_is(i, &st[r->n - 1])) { /* somebody put another file there */
		p9_clunk(client_of(i), *out);
		ret = -LINUX_ESTALE;
	}
	free(st);
	return ret;
}

long ginode_fid(struct inode *i, uint32_t *out)
{
	struct ginode *g = ginode_of(i);
	struct route r;
	uint32_t fid, from;
	long ret = 0;

	fid = atomic_load_explicit(&g->fid, memory_order_acquire);
	if (fid != P9_NOFID) {
		*out = fid;
		return 0;
	}
	sleep_lock(&g->fid_lock);
	fid = atomic_load(&g->fid);
	if (fid == P9_NOFID) {
		ret = ginode_route(i, &r, &from);
		if (!ret && r.n)
			ret = route_walk(i, &r, from, &fid);
		else if (!ret)
			fid = from; /* ginode_set_fid() was quicker */
		route_fini(&r);
		if (!ret)
			atomic_store_explicit(&g->fid, fid, memory_order_release);
	}
	sleep_unlock(&g->fid_lock);
	if (!ret)
		*out = fid;
	return ret;
}
