/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/mounts.c - /proc/PID/{mounts,mountinfo,mountstats}, /proc/locks
 *
 * Model:   text as other files; besides, poll(2) tells when the tree of mounts has changed since the last reading.
 * Source:  proc_pid_mountinfo(5), proc_pid_mounts(5), proc_locks(5).
 */
#include "sentry/fs/proc/proc_internal.h"

#include "sentry/vfs/locks.h"
#include "sentry/vfs/mount.h"

static long show(const struct proc_ctx *c, enum mount_text kind, struct buf *out)
{
	struct nsproxy *ns = task_nsproxy(c->task);
	struct fs_struct *fs = task_fs(c->task);
	struct path root;
	long ret = -LINUX_EINVAL;

	if (ns && ns->mnt && fs) {
		mutex_lock(&fs->mu);
		root = fs->root;
		path_get(&root);
		mutex_unlock(&fs->mu);
		mount_show(ns->mnt, &root, kind, out);
		path_put(&root);
		ret = 0;
	}
	if (fs)
		fs_struct_put(fs);
	if (ns)
		nsproxy_put(ns);
	return ret;
}

PROC_SHOW(mounts)
{
	return show(c, MOUNT_TEXT_MOUNTS, out);
}

PROC_SHOW(mountinfo)
{
	return show(c, MOUNT_TEXT_INFO, out);
}

PROC_SHOW(mountstats)
{
	return show(c, MOUNT_TEXT_STATS, out);
}

static struct mnt_ns *mnt_of(struct file *f)
{
	struct proc_ctx c;
	struct nsproxy *ns;
	struct mnt_ns *mnt = NULL;

	if (proc_ctx_get(&c, f->inode, f->cred))
		return NULL;
	ns = task_nsproxy(c.task);
	if (ns) {
		if (ns->mnt)
			mnt = mnt_ns_get(ns->mnt);
		nsproxy_put(ns);
	}
	proc_ctx_put(&c);
	return mnt;
}

static void put_mnt(void *mnt)
{
	mnt_ns_put(mnt);
}

/* The file keeps the namespace, whose queue pollers sleep on; the count of events that was seen is in dir_version. */
static long mounts_open(struct inode *i, struct file *f)
{
	struct proc_text *t;
	struct mnt_ns *mnt;
	long ret = proc_text_fops.open(i, f);

	if (ret)
		return ret;
	t = f->priv;
	mnt = mnt_of(f);
	if (mnt) {
		t->hold = mnt;
		t->hold_put = put_mnt;
		f->dir_version = atomic_load(&mnt->event);
	}
	return 0;
}

static uint32_t mounts_poll(struct file *f, struct poll_table *pt)
{
	uint32_t mask = LINUX_POLLIN | LINUX_POLLRDNORM;
	struct proc_text *t = f->priv;
	struct mnt_ns *mnt = t->hold;
	uint64_t now;

	if (!mnt)
		return mask;
	poll_wait(pt, &mnt->event_q);
	now = atomic_load(&mnt->event);
	if (now != f->dir_version) {
		f->dir_version = now;
		mask |= LINUX_POLLERR | LINUX_POLLPRI;
	}
	return mask;
}

static void mounts_release(struct file *f)
{
	proc_text_fops.release(f);
}

static long mounts_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	return proc_text_fops.read(f, io, pos, rwf);
}

const struct file_ops proc_mounts_fops = {
	.open = mounts_open,
	.release = mounts_release,
	.read = mounts_read,
	.poll = mounts_poll,
};

/* ---- locks -------------------------------------------------------------------------------------------------- */

#define LOCKED_INODES_MAX 512

struct inode_set {
	struct inode *i[LOCKED_INODES_MAX]; /* references */
	unsigned nr;
};

static void add_inode(struct inode_set *s, struct inode *i)
{
	if (!i || !i->locks)
		return;
	for (unsigned k = 0; k < s->nr; k++)
		if (s->i[k] == i)
			return;
	if (s->nr < LOCKED_INODES_MAX)
		s->i[s->nr++] = inode_get(i);
}

static void add_files_of(struct inode_set *s, struct task *t)
{
	struct fdtable *fds = task_fdtable(t);
	struct file *f;

	if (!fds)
		return;
	for (int fd = fdtable_next(fds, 0); fd >= 0; fd = fdtable_next(fds, fd + 1)) {
		f = fdtable_file(fds, fd, false);
		if (!f)
			continue;
		add_inode(s, file_inode(f));
		file_put(f);
	}
	fdtable_put(fds);
}

/* Who holds a lock has the file open: the locks of all open files of the instance's processes. */
PROC_SHOW(locks)
{
	struct inode_set *s = calloc(1, sizeof(*s));
	struct task *leader;
	uint32_t nr = 0;

	if (!s)
		return -LINUX_ENOMEM;
	while ((nr = pid_next_tgroup(c->ns, nr + 1, &leader)) != 0) {
		add_files_of(s, leader);
		task_put(leader);
	}
	for (unsigned k = 0; k < s->nr; k++) {
		file_locks_show(s->i[k], out);
		inode_put(s->i[k]);
	}
	free(s);
	return 0;
}
