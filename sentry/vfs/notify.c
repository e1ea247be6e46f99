/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/notify.c - file system events: fsnotify() and inotify
 *
 * Model:   an inode has a list of marks, each of one group (an inotify file). An event goes to the marks of the inode and, with a
 *          name, to those of its directory. Groups queue events up to a limit, equal neighbours merge.
 * Locks:   marks_mu (all lists of marks; watches are few, events pass by without it while there are none) > group.mu.
 * Source:  inotify(7).
 */
#include "sentry/vfs/notify.h"

#include <stdlib.h>

#include "sentry/abi/ioctl.h"
#include "sentry/vfs/internal.h"

struct ievent {
	struct list node;
	int32_t wd;
	uint32_t mask, cookie, name_len;	/* length with NULs, 0 without a name */
	char name[];
};

struct igroup {
	struct refcount ref;	/* the file and each mark */
	struct mutex mu;
	struct list events;	/* guarded by mu */
	uint32_t nr_events;	/* guarded by mu */
	bool overflowed;	/* guarded by mu: an overflow event is queued */
	struct list marks;	/* guarded by marks_mu */
	int32_t next_wd;	/* guarded by marks_mu */
	uint32_t nr_marks;	/* guarded by marks_mu */
	struct waitq wq;
};

struct imark {
	struct list inode_node, group_node;	/* guarded by marks_mu */
	struct igroup *group;			/* reference */
	struct inode *inode;			/* reference */
	int32_t wd;
	uint32_t mask;
};

struct fsnotify_marks {
	struct list list;	/* of imark.inode_node */
};

static struct mutex marks_mu;
_Atomic uint32_t fsnotify_nr_marks;

static void igroup_put(struct igroup *g)
{
	struct ievent *e, *n;

	if (!ref_put(&g->ref))
		return;
	list_for_each_entry_safe(e, n, &g->events, node)
		free(e);
	free(g);
}

/* ---- queueing ---- */

static bool same_event(const struct ievent *a, int32_t wd, uint32_t mask, uint32_t cookie, const char *name, uint32_t len)
{
	return a->wd == wd && a->mask == mask && a->cookie == cookie && a->name_len == len && (!len || !strcmp(a->name, name));
}

static void igroup_queue(struct igroup *g, int32_t wd, uint32_t mask, uint32_t cookie, const char *name)
{
	uint32_t len = name && *name ? ALIGN_UP((uint32_t)strlen(name) + 1, 16u) : 0;
	struct ievent *e = calloc(1, sizeof(*e) + len);

	mutex_lock(&g->mu);
	if (!list_empty(&g->events) && same_event(list_last(&g->events, struct ievent, node), wd, mask, cookie, name, len)) {
		mutex_unlock(&g->mu);
		free(e);
		return;
	}
	if (!e || g->nr_events >= INOTIFY_MAX_EVENTS) {
		if (!e || g->overflowed) {
			mutex_unlock(&g->mu);
			free(e);
			return;
		}
		g->overflowed = true;
		wd = -1;
		mask = LINUX_IN_Q_OVERFLOW;
		cookie = len = 0;
	}
	e->wd = wd;
	e->mask = mask;
	e->cookie = cookie;
	e->name_len = len;
	if (len)
		strcpy(e->name, name);
	list_add_tail(&g->events, &e->node);
	g->nr_events++;
	mutex_unlock(&g->mu);
	waitq_wake(&g->wq, LINUX_POLLIN | LINUX_POLLRDNORM, 1);
}

/* ---- marks ---- */

/* marks_mu held; the caller drops the references afterwards. */
static void mark_unlink(struct imark *m)
{
	list_del_init(&m->inode_node);
	list_del_init(&m->group_node);
	m->group->nr_marks--;
	atomic_fetch_sub(&fsnotify_nr_marks, 1);
}

static void mark_free(struct imark *m)
{
	igroup_put(m->group);
	inode_put(m->inode);
	free(m);
}

/* Sends to the marks of @i what happened to @what, which is @i or below it; those that are done with go to @dead. */
static void notify_one(struct inode *i, const struct inode *what, uint32_t mask, const char *name, uint32_t cookie, struct list *dead)
{
	struct imark *m, *n;
	const uint32_t by_open = LINUX_IN_ACCESS | LINUX_IN_MODIFY | LINUX_IN_OPEN | LINUX_IN_CLOSE_WRITE | LINUX_IN_CLOSE_NOWRITE;
	uint32_t ev = mask & LINUX_IN_ALL_EVENTS;

	if (!i->marks)
		return;
	list_for_each_entry_safe(m, n, &i->marks->list, inode_node) {
		bool gone = ev & LINUX_IN_DELETE_SELF && !name;

		if (m->mask & LINUX_IN_EXCL_UNLINK && ev & by_open && what && !what->nlink)
			continue;
		if (m->mask & ev)
			igroup_queue(m->group, m->wd, mask, cookie, name);
		if (gone || (m->mask & ev && m->mask & LINUX_IN_ONESHOT)) {
			igroup_queue(m->group, m->wd, LINUX_IN_IGNORED, 0, NULL);
			mark_unlink(m);
			list_add_tail(dead, &m->group_node);
		}
	}
}

void fsnotify(struct inode *dir, struct inode *i, const char *name, uint32_t mask, uint32_t cookie)
{
	struct list dead = LIST_HEAD_INIT(dead);
	struct imark *m, *n;
	uint32_t isdir = i && LINUX_S_ISDIR(i->mode) ? LINUX_IN_ISDIR : 0;
	uint32_t names_only = LINUX_IN_CREATE | LINUX_IN_DELETE | LINUX_IN_MOVED_FROM | LINUX_IN_MOVED_TO;

	if (likely(!atomic_load_explicit(&fsnotify_nr_marks, memory_order_relaxed)))
		return;
	mutex_lock(&marks_mu);
	if (dir && dir != i)
		notify_one(dir, i, mask | isdir, name, cookie, &dead);
	if (mask & (LINUX_IN_DELETE_SELF | LINUX_IN_MOVE_SELF))
		isdir = 0;	/* those never carry it */
	if (i && !(mask & names_only))
		notify_one(i, i, mask | isdir, NULL, cookie, &dead);
	mutex_unlock(&marks_mu);
	list_for_each_entry_safe(m, n, &dead, group_node)
		mark_free(m);
}

/* Marks hold their inode: none can be left when it goes. */
void fsnotify_inode_gone(struct inode *i)
{
	free(i->marks);
	i->marks = NULL;
}

/* ---- the inotify file ---- */

static struct ievent *take_event(struct igroup *g, size_t room, bool *too_small)
{
	struct ievent *e = NULL;

	mutex_lock(&g->mu);
	*too_small = false;
	if (!list_empty(&g->events)) {
		e = list_first(&g->events, struct ievent, node);
		if (16 + e->name_len > room) {
			*too_small = true;
			e = NULL;
		} else {
			list_del_init(&e->node);
			g->nr_events--;
			if (e->mask & LINUX_IN_Q_OVERFLOW)
				g->overflowed = false;
		}
	}
	mutex_unlock(&g->mu);
	return e;
}

static bool has_events(struct igroup *g)
{
	bool r;

	mutex_lock(&g->mu);
	r = !list_empty(&g->events);
	mutex_unlock(&g->mu);
	return r;
}

static long inotify_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct igroup *g = f->priv;
	long done = 0, ret;

	for (;;) {
		bool small;
		struct ievent *e = take_event(g, io->left, &small);

		if (e) {
			uint32_t h[4] = { (uint32_t)e->wd, e->mask, e->cookie, e->name_len };

			ret = uio_write(io, h, sizeof(h));
			if (ret == sizeof(h) && e->name_len)
				ret = uio_write(io, e->name, e->name_len);
			if (ret > 0)
				done += 16 + e->name_len;
			free(e);
			if (ret < 0)
				return done ? done : ret;
			continue;
		}
		if (small)
			return done ? done : -LINUX_EINVAL;
		if (done)
			return done;
		if (f->flags & LINUX_O_NONBLOCK)
			return -LINUX_EAGAIN;
		ret = wait_event(&g->wq, has_events(g), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			return ret;
	}
}

static uint32_t inotify_poll(struct file *f, struct poll_table *pt)
{
	struct igroup *g = f->priv;

	poll_wait(pt, &g->wq);
	return has_events(g) ? LINUX_POLLIN | LINUX_POLLRDNORM : 0;
}

static long inotify_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct igroup *g = f->priv;
	struct ievent *e;
	int32_t n = 0;

	if (cmd != LINUX_FIONREAD)
		return -LINUX_ENOTTY;
	mutex_lock(&g->mu);
	list_for_each_entry(e, &g->events, node)
		n += 16 + (int32_t)e->name_len;
	mutex_unlock(&g->mu);
	return copyout_obj(u, GPTR(arg), &n);
}

static void inotify_release(struct file *f)
{
	struct igroup *g = f->priv;
	struct list dead = LIST_HEAD_INIT(dead);
	struct imark *m, *n;

	mutex_lock(&marks_mu);
	list_for_each_entry_safe(m, n, &g->marks, group_node) {
		mark_unlink(m);
		list_add_tail(&dead, &m->group_node);
	}
	mutex_unlock(&marks_mu);
	list_for_each_entry_safe(m, n, &dead, group_node)
		mark_free(m);
	igroup_put(g);
}

static void inotify_show_fdinfo(struct file *f, struct buf *out)
{
	struct igroup *g = f->priv;
	struct imark *m;

	mutex_lock(&marks_mu);
	list_for_each_entry(m, &g->marks, group_node)
		buf_printf(out, "inotify wd:%x ino:%lx sdev:%lx mask:%x ignored_mask:0 \n", (unsigned)m->wd, (unsigned long)m->inode->ino,
			   (unsigned long)m->inode->sb->dev, m->mask);
	mutex_unlock(&marks_mu);
}

static const struct file_ops inotify_fops = {
	.read = inotify_read,
	.poll = inotify_poll,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
	.show_fdinfo = inotify_show_fdinfo,
};

long inotify_new(const struct cred *c, uint32_t flags, struct file **out)
{
	struct igroup *g = calloc(1, sizeof(*g));
	long ret;

	if (!g)
		return -LINUX_ENOMEM;
	ref_init(&g->ref, 1);
	list_init(&g->events);
	list_init(&g->marks);
	waitq_init(&g->wq);
	g->next_wd = 1;
	ret = anon_file_new("inotify", &inotify_fops, g, flags, c, out);
	if (ret)
		igroup_put(g);
	return ret;
}

/* marks_mu held. */
static struct imark *find_mark(struct igroup *g, const struct inode *i)
{
	struct imark *m;

	if (i->marks)
		list_for_each_entry(m, &i->marks->list, inode_node)
			if (m->group == g)
				return m;
	return NULL;
}

long inotify_add(struct file *f, const struct path *p, uint32_t mask)
{
	struct igroup *g = f->priv;
	struct inode *i = p->dentry->inode;
	struct imark *m, *fresh;
	struct fsnotify_marks *marks;
	uint32_t keep = mask & (LINUX_IN_ALL_EVENTS | LINUX_IN_ONESHOT | LINUX_IN_EXCL_UNLINK);
	long ret;

	if (f->ops != &inotify_fops || !(mask & LINUX_IN_ALL_EVENTS) ||
	    (mask & LINUX_IN_MASK_ADD && mask & LINUX_IN_MASK_CREATE))
		return -LINUX_EINVAL;
	fresh = calloc(1, sizeof(*fresh));
	marks = calloc(1, sizeof(*marks));
	if (!fresh || !marks) {
		free(fresh);
		free(marks);
		return -LINUX_ENOMEM;
	}
	mutex_lock(&marks_mu);
	m = find_mark(g, i);
	if (m) {
		if (mask & LINUX_IN_MASK_CREATE) {
			ret = -LINUX_EEXIST;
		} else {
			m->mask = mask & LINUX_IN_MASK_ADD ? m->mask | keep : keep;
			ret = m->wd;
		}
	} else if (g->nr_marks >= INOTIFY_MAX_WATCHES) {
		ret = -LINUX_ENOSPC;
	} else {
		if (!i->marks) {
			list_init(&marks->list);
			i->marks = marks;
			marks = NULL;
		}
		m = fresh;
		fresh = NULL;
		m->group = g;
		ref_get(&g->ref);
		m->inode = inode_get(i);
		m->mask = keep;
		ret = m->wd = g->next_wd++;
		list_add_tail(&i->marks->list, &m->inode_node);
		list_add_tail(&g->marks, &m->group_node);
		g->nr_marks++;
		atomic_fetch_add(&fsnotify_nr_marks, 1);
	}
	mutex_unlock(&marks_mu);
	free(fresh);
	free(marks);
	return ret;
}

long inotify_rm(struct file *f, int wd)
{
	struct igroup *g = f->priv;
	struct imark *m, *found = NULL;

	if (f->ops != &inotify_fops)
		return -LINUX_EINVAL;
	mutex_lock(&marks_mu);
	list_for_each_entry(m, &g->marks, group_node)
		if (m->wd == wd) {
			found = m;
			mark_unlink(m);
			break;
		}
	mutex_unlock(&marks_mu);
	if (!found)
		return -LINUX_EINVAL;
	igroup_queue(g, wd, LINUX_IN_IGNORED, 0, NULL);
	mark_free(found);
	return 0;
}
