/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/locks.c - flock(2), POSIX and OFD record locks, leases
 *
 * Model:   an inode has one list of granted locks; ranges of one owner never overlap (setting splits and merges). A waiter that
 *          waits for a POSIX lock notes whom it waits for; before it sleeps the chain of such notes is followed, and a chain
 *          that comes back is a deadlock.
 * Locks:   locks_mu, one for all inodes: chains cross inodes, and locks are rare. It is a leaf.
 * Source:  fcntl(2) "Advisory record locking", "Leases"; flock(2).
 */
#include "sentry/vfs/locks.h"

#include <stdlib.h>

#include "sentry/vfs/internal.h"

#define LOCKS_PER_INODE 65536
#define DEADLOCK_STEPS	64

enum lock_kind { LOCK_POSIX, LOCK_OFD, LOCK_FLOCK, LOCK_LEASE };

struct flk {
	struct list node;
	enum lock_kind kind;
	int type;
	int64_t start, end;
	const void *owner;	/* table, or file */
	struct file *file;	/* borrowed; for OFD, flock, leases */
	uint32_t pid;
	bool breaking;		/* lease: its holder was told */
};

struct file_locks {
	struct list list;	/* of flk.node, by start; guarded by locks_mu */
	uint32_t nr;
	struct waitq wq;	/* woken at every release */
};

struct lock_waiter {
	struct list node;	/* in waiters; guarded by locks_mu */
	const void *owner, *waits_for;
};

static struct mutex locks_mu;
static struct list waiters = LIST_HEAD_INIT(waiters);	/* guarded by locks_mu */

static struct file_locks *locks_of(struct inode *i)
{
	struct file_locks *l = rcu_load(i->locks), *n;

	if (l)
		return l;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	list_init(&n->list);
	waitq_init(&n->wq);
	if (__atomic_compare_exchange_n(&i->locks, &l, n, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return n;
	free(n);
	return l;
}

void file_locks_free(struct inode *i)
{
	struct flk *k, *n;

	list_for_each_entry_safe(k, n, &i->locks->list, node)
		free(k);
	free(i->locks);
	i->locks = NULL;
}

static bool record_lock(const struct flk *k)
{
	return k->kind == LOCK_POSIX || k->kind == LOCK_OFD;
}

static struct flk *conflict(struct file_locks *l, const void *owner, const struct lock_range *r)
{
	struct flk *k;

	list_for_each_entry(k, &l->list, node)
		if (record_lock(k) && k->owner != owner && k->start <= r->end && r->start <= k->end &&
		    (k->type == LINUX_F_WRLCK || r->type == LINUX_F_WRLCK))
			return k;
	return NULL;
}

static bool would_deadlock(const void *me, const void *blocker)
{
	struct lock_waiter *w;

	for (int step = 0; step < DEADLOCK_STEPS; step++) {
		bool found = false;

		if (blocker == me)
			return true;
		list_for_each_entry(w, &waiters, node)
			if (w->owner == blocker) {
				blocker = w->waits_for;
				found = true;
				break;
			}
		if (!found)
			return false;
	}
	return true;
}

static void insert_sorted(struct file_locks *l, struct flk *n)
{
	struct flk *k;

	list_for_each_entry(k, &l->list, node)
		if (k->start > n->start)
			break;
	list_insert_(&n->node, k->node.prev, &k->node);
	l->nr++;
}

static void del_lock(struct file_locks *l, struct flk *k)
{
	list_del_init(&k->node);
	l->nr--;
	free(k);
}

/* Replaces what @owner holds in the range. @a and @b are blank entries to use; what is left over is freed. True: something was given up. */
static bool apply_range(struct file_locks *l, const void *owner, enum lock_kind kind, struct file *f, const struct lock_range *r,
			struct flk *a, struct flk *b)
{
	struct flk *k, *n;
	int64_t start = r->start, end = r->end;
	bool released = false;

	list_for_each_entry_safe(k, n, &l->list, node) {
		if (k->owner != owner || k->kind != kind)
			continue;
		if (k->type == r->type) {	/* merges with neighbours */
			if (k->end < start - (start > 0) || (end != INT64_MAX && k->start > end + 1))
				continue;
			start = MIN(start, k->start);
			end = MAX(end, k->end);
			del_lock(l, k);
			continue;
		}
		if (k->end < start || k->start > end)
			continue;
		released = true;
		if (k->start < start && k->end > end) {	/* falls in two */
			*b = *k;
			b->start = end + 1;
			k->end = start - 1;
			insert_sorted(l, b);
			b = NULL;
		} else if (k->start < start) {
			k->end = start - 1;
		} else if (k->end > end) {
			k->start = end + 1;
			list_del_init(&k->node);
			l->nr--;
			insert_sorted(l, k);
		} else {
			del_lock(l, k);
		}
	}
	if (r->type != LINUX_F_UNLCK) {
		*a = (struct flk){ .kind = kind, .type = r->type, .start = start, .end = end, .owner = owner, .file = f, .pid = r->pid };
		insert_sorted(l, a);
		a = NULL;
	}
	free(a);
	free(b);
	return released;
}

/* 0 done; 1 must wait (w filled and listed); or an error. */
static long try_record(struct file_locks *l, struct file *f, const void *owner, bool ofd, const struct lock_range *r,
		       struct lock_waiter *w, bool wait)
{
	struct flk *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b)), *k;
	bool released = false;
	long ret = 0;

	if (!a || !b) {
		ret = -LINUX_ENOLCK;
		goto out;
	}
	mutex_lock(&locks_mu);
	k = r->type == LINUX_F_UNLCK ? NULL : conflict(l, owner, r);
	if (k) {
		if (!wait)
			ret = -LINUX_EAGAIN;
		else if (!ofd && would_deadlock(owner, k->owner))
			ret = -LINUX_EDEADLK;
		else
			ret = 1;
		if (ret == 1) {
			w->owner = owner;
			w->waits_for = k->owner;
			if (list_empty(&w->node))
				list_add(&waiters, &w->node);
		}
	} else if (l->nr >= LOCKS_PER_INODE && r->type != LINUX_F_UNLCK) {
		ret = -LINUX_ENOLCK;
	} else {
		released = apply_range(l, owner, ofd ? LOCK_OFD : LOCK_POSIX, f, r, a, b);
		a = b = NULL;
	}
	mutex_unlock(&locks_mu);
	if (released)
		waitq_wake_all(&l->wq);
out:
	free(a);
	free(b);
	return ret;
}

long file_lock_set(struct file *f, const void *owner, bool ofd, const struct lock_range *r, bool wait)
{
	struct file_locks *l;
	struct lock_waiter w = { 0 };
	struct lock_range mine = *r;
	struct waiter q;
	long ret;

	if ((r->type == LINUX_F_RDLCK && !(f->fmode & FMODE_READ)) || (r->type == LINUX_F_WRLCK && !(f->fmode & FMODE_WRITE)))
		return -LINUX_EBADF;
	l = locks_of(file_inode(f));
	if (!l)
		return -LINUX_ENOLCK;
	if (ofd)
		mine.pid = UINT32_MAX;
	list_init(&w.node);
	ret = try_record(l, f, owner, ofd, &mine, &w, wait);
	if (ret != 1)
		return ret;
	wait_begin(&q);
	waitq_add(&l->wq, &q);
	for (;;) {
		wait_prepare();
		ret = try_record(l, f, owner, ofd, &mine, &w, true);
		if (ret != 1)
			break;
		ret = wait_sleep(SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			break;
	}
	waitq_del(&l->wq, &q);
	mutex_lock(&locks_mu);
	list_del_init(&w.node);
	mutex_unlock(&locks_mu);
	return ret;
}

long file_lock_test(struct file *f, const void *owner, bool ofd, struct lock_range *r)
{
	struct file_locks *l = rcu_load(file_inode(f)->locks);
	struct flk *k = NULL;

	if (l) {
		mutex_lock(&locks_mu);
		k = conflict(l, owner, r);
		if (k)
			*r = (struct lock_range){ k->type, k->start, k->end, k->pid };
		mutex_unlock(&locks_mu);
	}
	if (!k)
		r->type = LINUX_F_UNLCK;
	return 0;
}

/* Closing any descriptor of a file releases all POSIX locks of that table (fcntl(2)). */
void posix_locks_close(struct file *f, const void *owner)
{
	struct file_locks *l = file_inode(f)->locks;
	struct flk *k, *n;
	bool any = false;

	mutex_lock(&locks_mu);
	list_for_each_entry_safe(k, n, &l->list, node)
		if (k->kind == LOCK_POSIX && k->owner == owner) {
			del_lock(l, k);
			any = true;
		}
	mutex_unlock(&locks_mu);
	if (any)
		waitq_wake_all(&l->wq);
}

/* The open file description goes: flock, OFD locks, leases. */
void flock_release(struct file *f)
{
	struct file_locks *l = file_inode(f)->locks;
	struct flk *k, *n;
	bool any = false;

	mutex_lock(&locks_mu);
	list_for_each_entry_safe(k, n, &l->list, node)
		if (k->kind != LOCK_POSIX && k->file == f) {
			del_lock(l, k);
			any = true;
		}
	mutex_unlock(&locks_mu);
	if (any)
		waitq_wake_all(&l->wq);
}

/* ---- flock ---- */

/* 0 done, 1 must wait. */
static long try_flock(struct file_locks *l, struct file *f, int type)
{
	struct flk *fresh = calloc(1, sizeof(*fresh)), *k, *mine = NULL;
	bool blocked = false, wake = false;

	if (!fresh)
		return -LINUX_ENOLCK;
	mutex_lock(&locks_mu);
	list_for_each_entry(k, &l->list, node) {
		if (k->kind != LOCK_FLOCK)
			continue;
		if (k->file == f)
			mine = k;
		else if (k->type == LINUX_F_WRLCK || type == LINUX_F_WRLCK)
			blocked = true;
	}
	/* A conversion first gives up what is held, flock(2). */
	if (mine && (type == LINUX_F_UNLCK || mine->type != type)) {
		del_lock(l, mine);
		mine = NULL;
		wake = true;
	}
	if (type != LINUX_F_UNLCK && !blocked && !mine) {
		*fresh = (struct flk){ .kind = LOCK_FLOCK, .type = type, .end = INT64_MAX, .owner = f, .file = f };
		insert_sorted(l, fresh);
		fresh = NULL;
	}
	mutex_unlock(&locks_mu);
	free(fresh);
	if (wake)
		waitq_wake_all(&l->wq);
	return type != LINUX_F_UNLCK && blocked;
}

long file_flock(struct file *f, int type, bool wait)
{
	struct file_locks *l = locks_of(file_inode(f));
	struct waiter q;
	long ret;

	if (!l)
		return -LINUX_ENOLCK;
	ret = try_flock(l, f, type);
	if (ret != 1)
		return ret;
	if (!wait)
		return -LINUX_EAGAIN;
	wait_begin(&q);
	waitq_add(&l->wq, &q);
	for (;;) {
		wait_prepare();
		ret = try_flock(l, f, type);
		if (ret != 1)
			break;
		ret = wait_sleep(SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			break;
	}
	waitq_del(&l->wq, &q);
	return ret;
}

/* ---- leases ---- */

#define LEASE_BREAK_NS (45ull * NSEC_PER_SEC) /* /proc/sys/fs/lease-break-time */

long file_lease_set(struct file *f, int type)
{
	struct inode *i = file_inode(f);
	struct file_locks *l;
	struct flk *fresh, *k, *mine = NULL;
	int32_t writers = atomic_load(&i->nr_writers);
	long ret = 0;

	if (!LINUX_S_ISREG(i->mode))
		return -LINUX_EINVAL;
	if (f->cred->fsuid != i->uid && !cred_has_cap(f->cred, f->cred->user_ns, LINUX_CAP_LEASE))
		return -LINUX_EACCES;
	if ((type == LINUX_F_RDLCK && writers > 0) || (type == LINUX_F_WRLCK && writers > !!(f->fmode & FMODE_WRITE)))
		return -LINUX_EAGAIN;
	l = locks_of(i);
	fresh = l ? calloc(1, sizeof(*fresh)) : NULL;
	if (!fresh)
		return -LINUX_ENOMEM;
	mutex_lock(&locks_mu);
	list_for_each_entry(k, &l->list, node) {
		if (k->kind != LOCK_LEASE)
			continue;
		if (k->file == f)
			mine = k;
		else if (type == LINUX_F_WRLCK || k->type == LINUX_F_WRLCK)
			ret = -LINUX_EAGAIN;
	}
	if (type == LINUX_F_UNLCK) {
		ret = mine ? 0 : -LINUX_EAGAIN;
		if (mine)
			del_lock(l, mine);
	} else if (ret == 0 && mine) {
		mine->type = type;
		mine->breaking = false;
	} else if (ret == 0) {
		*fresh = (struct flk){ .kind = LOCK_LEASE, .type = type, .end = INT64_MAX, .owner = f, .file = f };
		insert_sorted(l, fresh);
		fresh = NULL;
	}
	mutex_unlock(&locks_mu);
	free(fresh);
	waitq_wake_all(&l->wq);
	return ret;
}

long file_lease_get(struct file *f)
{
	struct file_locks *l = rcu_load(file_inode(f)->locks);
	long type = LINUX_F_UNLCK;
	struct flk *k;

	if (!l)
		return type;
	mutex_lock(&locks_mu);
	list_for_each_entry(k, &l->list, node)
		if (k->kind == LOCK_LEASE && k->file == f)
			type = k->type;
	mutex_unlock(&locks_mu);
	return type;
}

/* Tells holders once; true while one is in the way of an open with @write. */
static bool lease_in_way(struct file_locks *l, bool write)
{
	struct file *tell[8];
	unsigned n = 0;
	bool any = false;
	struct flk *k;

	mutex_lock(&locks_mu);
	list_for_each_entry(k, &l->list, node) {
		if (k->kind != LOCK_LEASE || (k->type == LINUX_F_RDLCK && !write))
			continue;
		any = true;
		if (!k->breaking && n < ARRAY_SIZE(tell) && ref_get_unless_zero(&k->file->ref)) {
			k->breaking = true;
			tell[n++] = k->file;
		}
	}
	mutex_unlock(&locks_mu);
	while (n) {
		struct file *f = tell[--n];

		if (vfs_send_sigio)
			vfs_send_sigio(f, 6 /* POLL_HUP: fcntl(2), "Leases" sends SIGIO */, LINUX_POLLIN);
		file_put(f);
	}
	return any;
}

static void lease_force(struct file_locks *l, bool write)
{
	struct flk *k, *n;

	mutex_lock(&locks_mu);
	list_for_each_entry_safe(k, n, &l->list, node)
		if (k->kind == LOCK_LEASE && k->breaking && (write || k->type == LINUX_F_WRLCK))
			del_lock(l, k);
	mutex_unlock(&locks_mu);
}

long lease_break(struct inode *i, uint32_t flags, bool nonblock)
{
	struct file_locks *l = i->locks;
	bool write = (flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY || flags & LINUX_O_TRUNC;
	long ret;

	if (!lease_in_way(l, write))
		return 0;
	if (nonblock)
		return -LINUX_EAGAIN;
	ret = wait_event(&l->wq, !lease_in_way(l, write), SLEEP_INTERRUPTIBLE, now_ns() + LEASE_BREAK_NS);
	if (ret == -LINUX_ETIMEDOUT) {
		lease_force(l, write);
		ret = 0;
	}
	return ret;
}

void file_locks_show(struct inode *i, struct buf *out)
{
	static const char *const kinds[] = { [LOCK_POSIX] = "POSIX ", [LOCK_OFD] = "OFDLCK", [LOCK_FLOCK] = "FLOCK ", [LOCK_LEASE] = "LEASE " };
	struct file_locks *l = rcu_load(i->locks);
	struct flk *k;
	unsigned n = 0;

	if (!l)
		return;
	mutex_lock(&locks_mu);
	list_for_each_entry(k, &l->list, node) {
		buf_printf(out, "%u: %s ADVISORY  %s %d %02x:%02x:%lu %ld ", ++n, kinds[k->kind], k->type == LINUX_F_WRLCK ? "WRITE" : "READ ",
			   (int)k->pid, LINUX_MAJOR(i->sb->dev), LINUX_MINOR(i->sb->dev), (unsigned long)i->ino, (long)k->start);
		if (k->end == INT64_MAX)
			buf_printf(out, "EOF\n");
		else
			buf_printf(out, "%ld\n", (long)k->end);
	}
	mutex_unlock(&locks_mu);
}
