/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/dcache.c - the cache of names
 *
 * Model:   one hash table of (parent, name), keyed with a secret so that no image or guest can aim at one bucket. The table
 *          holds one reference to each dentry in it, so a cached dentry that nobody uses has ref == 1; eviction turns
 *          that 1 into 0 ("dead") with one compare-and-swap and nobody can take it any more. Readers walk chains without
 *          locks (rcu.h). A clock hand goes over all hashed dentries when there are more than dcache_max.
 * Locks:   dentry.mu (parent) > bucket lock, lru_mu (leaves). rename_mu serialises writers of rename_seq.
 * Differs: an unlinked dentry is dropped, not kept as a negative one.
 */
#include "sentry/vfs/internal.h"

#include <stdlib.h>
#include <sys/random.h>

#define DHASH_BITS   14
#define DHASH_LOCKS  64
#define DCACHE_MAX   65536	/* dentries; per sandbox */
#define SHRINK_BATCH 32

static struct dentry *dhash[1u << DHASH_BITS];
static struct mutex dhash_locks[DHASH_LOCKS];
static uint64_t hash_secret[2];

static struct mutex lru_mu;
static struct list lru = LIST_HEAD_INIT(lru);	/* guarded by lru_mu */
static struct mutex rename_mu;
struct seqcount rename_seq;
_Atomic uint32_t dcache_count, dcache_max = DCACHE_MAX;

void dcache_init(void)
{
	if (getrandom(hash_secret, sizeof(hash_secret), 0) != sizeof(hash_secret))
		hash_secret[0] = now_real_ns() * 0x9e3779b97f4a7c15ull;
}

static inline uint64_t mul_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Multiply-and-fold over eight bytes at a time, both factors blinded with the secret. */
uint32_t name_hash(const struct dentry *parent, const char *name, size_t len)
{
	uint64_t h = (uint64_t)(uintptr_t)parent ^ hash_secret[1], v;

	for (; len >= 8; len -= 8, name += 8) {
		memcpy(&v, name, 8);
		h = mul_fold(v ^ hash_secret[0], h ^ 0xa0761d6478bd642full);
	}
	v = len;
	for (size_t i = 0; i < len; i++)
		v = v << 8 | (uint8_t)name[i];
	h = mul_fold(v ^ hash_secret[0], h ^ 0xe7037ed1a0b428dbull);
	return (uint32_t)(h ^ h >> 32);
}

static struct dentry **bucket_of(uint32_t hash)
{
	return &dhash[hash >> (32 - DHASH_BITS)];
}

static struct mutex *bucket_lock(uint32_t hash)
{
	return &dhash_locks[(hash >> (32 - DHASH_BITS)) % DHASH_LOCKS];
}

struct dentry *d_lookup_rcu(const struct dentry *parent, uint32_t hash, const char *name, size_t len)
{
	for (struct dentry *d = rcu_load(*bucket_of(hash)); d; d = rcu_load(d->hash_next)) {
		const struct dname *n = rcu_load(d->dname);

		if (n->hash != hash || rcu_load(d->parent) != parent || n->len != len || memcmp(n->text, name, len))
			continue;
		if (!atomic_load_explicit(&d->ref.n, memory_order_relaxed))
			return NULL;
		if (!(atomic_load_explicit(&d->flags, memory_order_relaxed) & DENTRY_REFERENCED))
			atomic_fetch_or_explicit(&d->flags, DENTRY_REFERENCED, memory_order_relaxed);
		return d;
	}
	return NULL;
}

struct dentry *d_lookup_cached(struct dentry *parent, const char *name, size_t len)
{
	uint32_t hash = name_hash(parent, name, len);
	struct mutex *mu = bucket_lock(hash);
	struct dentry *d;

	mutex_lock(mu);
	for (d = *bucket_of(hash); d; d = d->hash_next) {
		if (d->dname->hash != hash || d->parent != parent || d->dname->len != len || memcmp(d->dname->text, name, len))
			continue;
		if (ref_get_unless_zero(&d->ref))
			break;
	}
	mutex_unlock(mu);
	if (d)
		atomic_fetch_or_explicit(&d->flags, DENTRY_REFERENCED, memory_order_relaxed);
	return d;
}

/* ---- life ---- */

static void free_dname_rcu(struct rcu_head *h)
{
	free(container_of(h, struct dname, rcu));
}

static void free_dentry_rcu(struct rcu_head *h)
{
	struct dentry *d = container_of(h, struct dentry, rcu);

	if (d->dname != &d->inl.d)
		free(d->dname);
	free(d);
}

static struct dname *dname_new(const char *name, size_t len)
{
	struct dname *n = malloc(sizeof(*n) + len + 1);

	if (!n)
		return NULL;
	memcpy(n->text, name, len);
	n->text[len] = 0;
	n->len = len;
	return n;
}

static struct dentry *dentry_new(struct super_block *sb, const char *name, size_t len)
{
	struct dentry *d = malloc(sizeof(*d));

	if (!d)
		return NULL;
	memset(d, 0, offsetof(struct dentry, inl));
	if (len < DNAME_INLINE) {
		d->dname = &d->inl.d;
		memcpy(d->inl.room, name, len);
		d->inl.room[len] = 0;
		d->inl.d.len = len;
	} else {
		d->dname = dname_new(name, len);
		if (!d->dname) {
			free(d);
			return NULL;
		}
	}
	d->name = d->dname->text;
	d->name_len = len;
	d->sb = sb;
	d->flags = DENTRY_UNHASHED;
	ref_init(&d->ref, 1);
	list_init(&d->child_node);
	list_init(&d->children);
	list_init(&d->lru);
	atomic_fetch_add_explicit(&dcache_count, 1, memory_order_relaxed);
	return d;
}

struct dentry *d_alloc_root(struct super_block *sb, struct inode *i)
{
	struct dentry *d = dentry_new(sb, "/", 1);

	if (!d) {
		inode_put(i);
		return NULL;
	}
	d->flags |= DENTRY_ROOT;
	d->parent = d;
	d->inode = i;
	return d;
}

struct dentry *d_alloc_anon(struct super_block *sb, struct inode *i, const char *name)
{
	struct dentry *d = dentry_new(sb, name, strlen(name));

	if (!d) {
		inode_put(i);
		return NULL;
	}
	d->flags |= DENTRY_ANON;
	d->parent = d;
	d->inode = i;
	return d;
}

static void dcache_shrink(void);

struct dentry *d_alloc(struct dentry *parent, const char *name, size_t len)
{
	struct dentry *d;

	if (unlikely(atomic_load_explicit(&dcache_count, memory_order_relaxed) > dcache_max))
		dcache_shrink();
	d = dentry_new(parent->sb, name, len);
	if (!d)
		return NULL;
	d->parent = d_get(parent);
	d->dname->hash = name_hash(parent, name, len);
	return d;
}

void d_instantiate(struct dentry *d, struct inode *i)
{
	BUG_ON(d->inode);
	rcu_store(d->inode, i);
}

struct dentry *d_get(struct dentry *d)
{
	ref_get(&d->ref);
	return d;
}

/* @d is dead and nobody can find it: give back all it holds, and its parents as far as they die with it. */
static void dentry_free(struct dentry *d)
{
	while (d) {
		struct dentry *parent = d->parent;
		struct inode *i = d->inode;

		if (unlikely(atomic_load_explicit(&d->flags, memory_order_relaxed) & DENTRY_HANDLE))
			handle_forget(d); /* handle removal */
		if (d->sb->ops && d->sb->ops->d_release)
			d->sb->ops->d_release(d);
		if (i)
			inode_put(i);
		atomic_fetch_sub_explicit(&dcache_count, 1, memory_order_relaxed);
		rcu_defer(&d->rcu, free_dentry_rcu);
		d = parent != d && ref_put(&parent->ref) ? parent : NULL;
	}
}

static void unlink_child(struct dentry *d)
{
	struct dentry *parent = d->parent;

	mutex_lock(&parent->mu);
	list_del_init(&d->child_node);
	mutex_unlock(&parent->mu);
	mutex_lock(&lru_mu);
	list_del_init(&d->lru);
	mutex_unlock(&lru_mu);
}

static bool bucket_remove(struct dentry *d)
{
	uint32_t hash = d->dname->hash;
	struct mutex *mu = bucket_lock(hash);
	bool was = false;

	mutex_lock(mu);
	for (struct dentry **pp = bucket_of(hash); *pp; pp = &(*pp)->hash_next) {
		if (*pp == d) {
			rcu_store(*pp, d->hash_next);
			atomic_fetch_or_explicit(&d->flags, DENTRY_UNHASHED, memory_order_relaxed);
			was = true;
			break;
		}
	}
	mutex_unlock(mu);
	return was;
}

static void bucket_insert(struct dentry *d)
{
	uint32_t hash = d->dname->hash;
	struct mutex *mu = bucket_lock(hash);

	mutex_lock(mu);
	d->hash_next = *bucket_of(hash);
	atomic_fetch_and_explicit(&d->flags, ~DENTRY_UNHASHED, memory_order_relaxed);
	rcu_store(*bucket_of(hash), d);
	mutex_unlock(mu);
}

void d_hash(struct dentry *d)
{
	ref_get(&d->ref);	/* the table's */
	/* The bucket last: whoever finds @d there may drop it, and must find it in both lists. */
	mutex_lock(&d->parent->mu);
	list_add(&d->parent->children, &d->child_node);
	mutex_unlock(&d->parent->mu);
	mutex_lock(&lru_mu);
	list_add_tail(&lru, &d->lru);
	mutex_unlock(&lru_mu);
	bucket_insert(d);
}

void d_drop(struct dentry *d)
{
	if (!bucket_remove(d))
		return;
	unlink_child(d);
	if (ref_put(&d->ref))
		dentry_free(d);
}

/* Takes the table's reference away if it is the last one. True: @d is dead and ours to free. */
static bool try_kill(struct dentry *d)
{
	uint32_t one = 1;

	return atomic_compare_exchange_strong(&d->ref.n, &one, 0);
}

static void evict_dead(struct dentry *d)
{
	bucket_remove(d);
	unlink_child(d);
	dentry_free(d);
}

void d_put(struct dentry *d)
{
	uint32_t flags, old;

	if (!d)
		return;
	flags = atomic_load_explicit(&d->flags, memory_order_relaxed);
	if (unlikely(flags & DENTRY_NOCACHE && !(flags & DENTRY_UNHASHED))) {
		/* Not by the count that remains: with the caller's reference gone @d may be evicted by somebody else, so
		 * unhash while it is still held. Others who hold it keep it; the next lookup makes a fresh one. */
		if (atomic_load(&d->ref.n) == 2)
			d_drop(d);
	}
	old = atomic_fetch_sub_explicit(&d->ref.n, 1, memory_order_acq_rel);
	BUG_ON(old == 0);
	if (old == 1)
		dentry_free(d);
}

static void dcache_shrink(void)
{
	struct dentry *dead[SHRINK_BATCH];
	unsigned n = 0;

	mutex_lock(&lru_mu);
	for (unsigned scanned = 0; scanned < SHRINK_BATCH * 4 && n < SHRINK_BATCH && !list_empty(&lru); scanned++) {
		struct dentry *d = list_first(&lru, struct dentry, lru);

		list_del_init(&d->lru);
		if (!(atomic_fetch_and(&d->flags, ~DENTRY_REFERENCED) & DENTRY_REFERENCED) && try_kill(d))
			dead[n++] = d;
		else
			list_add_tail(&lru, &d->lru);
	}
	mutex_unlock(&lru_mu);
	while (n)
		evict_dead(dead[--n]);
}

/* ---- trees ---- */

static struct dentry *first_child(struct dentry *d)
{
	struct dentry *c = NULL, *pos;

	mutex_lock(&d->mu);
	list_for_each_entry(pos, &d->children, child_node) {
		if (ref_get_unless_zero(&pos->ref)) {
			c = pos;
			break;
		}
	}
	mutex_unlock(&d->mu);
	return c;
}

static void drop_children(struct dentry *d)
{
	struct dentry *c, *g;

	while ((c = first_child(d))) {
		while ((g = first_child(c))) {
			d_put(c);
			c = g;
		}
		d_drop(c);
		d_put(c);
	}
}

/* A removed directory may have negative names below it, which would keep it. */
void d_delete(struct dentry *d)
{
	atomic_fetch_or_explicit(&d->flags, DENTRY_DELETED, memory_order_relaxed);
	if (!list_empty(&d->children))
		drop_children(d);
	d_drop(d);
}

void d_invalidate_tree(struct dentry *d)
{
	drop_children(d);
	if (!(d->flags & (DENTRY_ROOT | DENTRY_ANON)))
		d_drop(d);
}

bool d_is_ancestor(const struct dentry *a, const struct dentry *d)
{
	for (;; d = d->parent) {
		if (d == a)
			return true;
		if (d->parent == d)
			return false;
	}
}

/* ---- renames ---- */

static void relink_child(struct dentry *d, struct dentry *from, struct dentry *to)
{
	mutex_lock_two(&from->mu, &to->mu);
	list_del_init(&d->child_node);
	list_add(&to->children, &d->child_node);
	mutex_unlock_two(&from->mu, &to->mu);
}

/* Puts @n (owned by @d from now on) and @parent in place; @d is in no bucket. The old name lives until readers are gone. */
static void set_name(struct dentry *d, struct dentry *parent, struct dname *n)
{
	struct dname *old = d->dname;

	n->hash = name_hash(parent, n->text, n->len);
	mutex_lock(&d->mu);
	rcu_store(d->dname, n);
	rcu_store(d->parent, parent);
	d->name = n->text;
	d->name_len = n->len;
	mutex_unlock(&d->mu);
	if (old != &d->inl.d)
		rcu_defer(&old->rcu, free_dname_rcu);
}

void d_move(struct dentry *d, struct dentry *new_parent, const struct dname *as)
{
	struct dentry *old_parent = d->parent;
	struct dname *n = dname_new(as->text, as->len);
	bool was;

	if (!n) {	/* the name is right on disk; forget what we cached */
		d_invalidate_tree(d);
		return;
	}
	d_get(new_parent);
	mutex_lock(&rename_mu);
	seq_write_begin(&rename_seq);
	was = bucket_remove(d);
	set_name(d, new_parent, n);
	if (was)
		bucket_insert(d);
	seq_write_end(&rename_seq);
	mutex_unlock(&rename_mu);
	if (was)
		relink_child(d, old_parent, new_parent);
	d_put(old_parent);
}

void d_exchange(struct dentry *a, struct dentry *b)
{
	struct dname *an = dname_new(a->name, a->name_len), *bn = dname_new(b->name, b->name_len);
	struct dentry *ap = a->parent, *bp = b->parent;
	bool was_a, was_b;

	if (!an || !bn) {
		free(an);
		free(bn);
		d_invalidate_tree(a);
		d_invalidate_tree(b);
		return;
	}
	mutex_lock(&rename_mu);
	seq_write_begin(&rename_seq);
	was_a = bucket_remove(a);
	was_b = bucket_remove(b);
	set_name(a, bp, bn);
	set_name(b, ap, an);
	if (was_a)
		bucket_insert(a);
	if (was_b)
		bucket_insert(b);
	seq_write_end(&rename_seq);
	mutex_unlock(&rename_mu);
	if (was_a)
		relink_child(a, ap, bp);
	if (was_b)
		relink_child(b, bp, ap);
}
