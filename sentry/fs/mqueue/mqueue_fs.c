/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/mqueue/mqueue_fs.c - the file system "mqueue": names of queues, limits, one instance per IPC namespace
 *
 * Model:   the instance's list holds one reference to each queue that has a name; descriptors keep a queue beyond its name.
 *          The IPC namespace keeps the instance by a mount that no mount namespace shows.
 * Locks:   the root's i_lock guards the list; ipc_ns.mu the namespace's mount.
 * Source:  mq_overview(7), mq_open(3), mq_unlink(3), proc_sys_fs(5).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/fs/mqueue/mqueue_internal.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/ipc/ipc.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/notify.h"

#define MQUEUE_MAGIC 0x19800202
#define DIRENT_SIZE  20	/* what a name adds to the directory's st_size */
#define FILE_SIZE    80	/* st_size of a queue: room for its status line */

struct mq_name {
	struct list node;
	struct inode *inode;	/* reference */
	uint64_t off;		/* position for getdents; grows, never reused */
	char name[];
};

struct mq_sb {
	struct list names;	/* of mq_name, by off; guarded by the root's i_lock */
	uint64_t next_off;	/* same */
	_Atomic int64_t nr_queues; /* with or without a name */
	_Atomic int64_t queues_max, msg_max, msgsize_max, msg_default, msgsize_default;
};

/* ---- making and removing queues ------------------------------------------------------------------------------ */

static long check_attr(struct mq_sb *m, const struct cred *c, const struct linux_mq_attr *a)
{
	bool any = cred_has_cap(c, &init_user_ns, LINUX_CAP_SYS_RESOURCE);
	int64_t msg_max = any ? MQ_HARD_MSG_MAX : atomic_load(&m->msg_max);
	int64_t size_max = any ? MQ_HARD_MSGSIZE_MAX : atomic_load(&m->msgsize_max);

	return a->maxmsg <= 0 || a->msgsize <= 0 || a->maxmsg > msg_max || a->msgsize > size_max ? -LINUX_EINVAL : 0;
}

static const struct inode_ops mq_file_inode_ops, mq_dir_ops;

static long make_inode(struct inode *dir, uint32_t mode, const struct cred *c, const struct linux_mq_attr *attr, struct inode **out)
{
	struct mq_sb *m = dir->sb->priv;
	struct linux_mq_attr a = { .maxmsg = MIN(atomic_load(&m->msg_max), atomic_load(&m->msg_default)),
				   .msgsize = MIN(atomic_load(&m->msgsize_max), atomic_load(&m->msgsize_default)) };
	struct mqueue *q;
	struct inode *i;
	long ret = 0;

	if (attr) {
		a = *attr;
		ret = check_attr(m, c, &a);
	}
	if (!ret)
		ret = mqueue_new((uint32_t)a.maxmsg, (uint32_t)a.msgsize, c, &q);
	if (ret)
		return ret;
	i = inode_new(dir->sb, mode);
	if (!i) {
		mqueue_free(q);
		return -LINUX_ENOMEM;
	}
	inode_init_owner(i, dir, mode, c);
	i->ops = &mq_file_inode_ops;
	i->fops = &mqueue_file_ops;
	i->size = FILE_SIZE;
	i->priv = q;
	*out = i;
	return 0;
}

/* @dir's i_lock is held. */
static long make_queue(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c, const struct linux_mq_attr *attr)
{
	struct mq_sb *m = dir->sb->priv;
	struct mq_name *n;
	struct inode *i;
	long ret;

	if (atomic_fetch_add(&m->nr_queues, 1) >= atomic_load(&m->queues_max) &&
	    !cred_has_cap(c, &init_user_ns, LINUX_CAP_SYS_RESOURCE)) {
		atomic_fetch_sub(&m->nr_queues, 1);
		return -LINUX_ENOSPC;
	}
	n = malloc(sizeof(*n) + d->name_len + 1);
	ret = n ? make_inode(dir, mode, c, attr, &i) : -LINUX_ENOMEM;
	if (ret) {
		free(n);
		atomic_fetch_sub(&m->nr_queues, 1);
		return ret;
	}
	memcpy(n->name, d->name, d->name_len + 1);
	n->inode = inode_get(i);
	n->off = m->next_off++;
	list_add_tail(&m->names, &n->node);
	dir->size += DIRENT_SIZE;
	inode_touch(dir, true, true, true);
	d_instantiate(d, i);
	return 0;
}

static long mq_create(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	return make_queue(dir, d, mode, c, NULL);
}

static struct mq_name *find_name(struct mq_sb *m, const char *name)
{
	struct mq_name *n;

	list_for_each_entry (n, &m->names, node)
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

static long mq_lookup(struct inode *dir, struct dentry *d)
{
	struct mq_name *n = find_name(dir->sb->priv, d->name);

	if (n)
		d_instantiate(d, inode_get(n->inode));
	return 0;
}

static void drop_name(struct mq_name *n)
{
	list_del_init(&n->node);
	inode_put(n->inode);
	free(n);
}

static long mq_unlink(struct inode *dir, struct dentry *d)
{
	struct mq_name *n = find_name(dir->sb->priv, d->name);

	if (!n)
		return -LINUX_ENOENT;
	dir->size -= DIRENT_SIZE;
	inode_touch(dir, true, true, true);
	inode_dec_nlink(n->inode);
	inode_touch(n->inode, false, false, true);
	drop_name(n);
	return 0;
}

static const struct inode_ops mq_dir_ops = { .lookup = mq_lookup, .create = mq_create, .unlink = mq_unlink };
static const struct inode_ops mq_file_inode_ops = { .lookup = NULL };

static long mq_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct inode *dir = f->inode;
	struct mq_sb *m = dir->sb->priv;
	struct mq_name *n;

	for (; *pos < 2; (*pos)++)
		if (!e->add(e, "..", *pos + 1, dir->ino, LINUX_DT_DIR, *pos + 1))
			return 0;
	list_for_each_entry (n, &m->names, node) {
		if (n->off < *pos)
			continue;
		if (!e->add(e, n->name, strlen(n->name), n->inode->ino, LINUX_DT_REG, n->off + 1))
			return 0;
		*pos = n->off + 1;
	}
	return 0;
}

static const struct file_ops mq_dir_fops = { .iterate = mq_iterate };

/* ---- the instance ------------------------------------------------------------------------------------------------ */

static void mq_free_inode(struct inode *i)
{
	struct mq_sb *m = i->sb->priv;

	if (!i->priv)
		return;
	mqueue_free(i->priv);
	atomic_fetch_sub(&m->nr_queues, 1);
}

static void mq_put_super(struct super_block *sb)
{
	struct mq_sb *m = sb->priv;
	struct mq_name *n, *tmp;

	if (!m)
		return;
	list_for_each_entry_safe (n, tmp, &m->names, node)
		drop_name(n);
	free(m);
}

static const struct super_ops mq_super_ops = { .free_inode = mq_free_inode, .put_super = mq_put_super };

static struct fs_type mqueue_type;

static long new_sb(struct user_ns *owner, struct super_block **out)
{
	const struct fs_mount_args a = { .source = "mqueue", .options = "", .user_ns = owner };
	struct mq_sb *m = calloc(1, sizeof(*m));
	struct super_block *sb = m ? sb_alloc(&mqueue_type, &mq_super_ops, &a) : NULL;
	struct inode *root;

	if (!sb) {
		free(m);
		return -LINUX_ENOMEM;
	}
	list_init(&m->names);
	m->next_off = 2;
	m->queues_max = 256;
	m->msg_max = m->msg_default = 10;
	m->msgsize_max = m->msgsize_default = 8192;
	sb->priv = m;
	root = inode_new(sb, LINUX_S_IFDIR | 01777);
	if (root) {
		root->nlink = 2;
		root->uid = owner->owner; /* its maps may not be written yet */
		root->gid = owner->group;
		root->ops = &mq_dir_ops;
		root->fops = &mq_dir_fops;
		sb->root = d_alloc_root(sb, root);
	}
	if (!sb->root) {
		sb_put(sb);
		return -LINUX_ENOMEM;
	}
	*out = sb;
	return 0;
}

/* The namespace's mount, borrowed: it stays as long as @ns. */
static long instance(struct ipc_ns *ns, struct mount **out)
{
	struct super_block *sb;
	struct mount *mine;
	long ret;

	mutex_lock(&ns->mu);
	*out = ns->mq;
	mutex_unlock(&ns->mu);
	if (*out)
		return 0;
	ret = new_sb(ns->user_ns, &sb);
	if (ret)
		return ret;
	mine = mnt_new(sb, sb->root, "mqueue", 0);
	sb_put(sb);
	if (!mine)
		return -LINUX_ENOMEM;
	mutex_lock(&ns->mu);
	if (!ns->mq) {
		ns->mq = mine;
		mine = NULL;
	}
	*out = ns->mq;
	mutex_unlock(&ns->mu);
	mnt_put(mine); /* somebody else was first */
	return 0;
}

static void instance_put(void *mq)
{
	mnt_put(mq);
}

/* kernel_arg: the IPC namespace, for mounts that boot makes; else the caller's. */
static long mq_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	struct task *me = task_current();
	struct ipc_ns *ns = a->kernel_arg ? a->kernel_arg : me ? me->ns->ipc : NULL;
	struct mount *mnt;
	long ret;

	if (!ns)
		return -LINUX_EINVAL;
	if (!a->kernel_arg && !cred_has_cap(a->cred, ns->user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	ret = instance(ns, &mnt);
	if (!ret)
		*out = sb_get(mnt->sb);
	return ret;
}

static struct fs_type mqueue_type = {
	.name = "mqueue",
	.flags = FST_USERNS_MOUNT | FST_NODEV,
	.magic = MQUEUE_MAGIC,
	.get_sb = mq_get_sb,
};

/* ---- mq_open, mq_unlink -------------------------------------------------------------------------------------------- */

static long check_name(const char *name)
{
	if (!*name)
		return -LINUX_ENOENT;
	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -LINUX_EACCES;
	return strlen(name) > NAME_MAX_BYTES ? -LINUX_ENAMETOOLONG : 0;
}

/* The positive dentry of @name with a reference; the directory's i_lock is held. */
static long find_or_make(struct task *t, struct dentry *root, const char *name, uint32_t flags, uint32_t mode,
			 const struct linux_mq_attr *attr, struct dentry **out, bool *created)
{
	struct dentry *d;
	long ret = lookup_one_locked(root, name, strlen(name), &d);

	*created = false;
	if (ret)
		return ret;
	if (d->inode) {
		ret = (flags & LINUX_O_CREAT) && (flags & LINUX_O_EXCL) ? -LINUX_EEXIST : 0;
	} else if (!(flags & LINUX_O_CREAT)) {
		ret = -LINUX_ENOENT;
	} else {
		if (id_from_kernel(root->sb->user_ns, false, t->cred->fsuid) == ID_INVALID ||
		    id_from_kernel(root->sb->user_ns, true, t->cred->fsgid) == ID_INVALID)
			ret = -LINUX_EOVERFLOW; /* the file system could not name the owner */
		else
			ret = vfs_permission(root->inode, LINUX_MAY_WRITE | LINUX_MAY_EXEC, t->cred);
		if (!ret)
			ret = make_queue(root->inode, d, LINUX_S_IFREG | (mode & 07777 & ~t->fs->umask), t->cred, attr);
		*created = !ret;
	}
	if (ret)
		d_put(d);
	else
		*out = d;
	return ret;
}

long mqueue_open(struct task *t, const char *name, uint32_t flags, uint32_t mode, const struct linux_mq_attr *attr, struct file **out)
{
	static const uint32_t may[] = { LINUX_MAY_READ, LINUX_MAY_WRITE, LINUX_MAY_READ | LINUX_MAY_WRITE };
	struct mount *mnt;
	struct path p;
	bool created;
	long ret = check_name(name);

	if (!ret)
		ret = instance(t->ns->ipc, &mnt);
	if (ret)
		return ret;
	sleep_lock(&mnt->root->inode->i_lock);
	ret = find_or_make(t, mnt->root, name, flags, mode, attr, &p.dentry, &created);
	sleep_unlock(&mnt->root->inode->i_lock);
	if (ret)
		return ret;
	if (created)
		fsnotify(mnt->root->inode, p.dentry->inode, name, LINUX_IN_CREATE, 0);
	p.mnt = mnt_get(mnt);
	if ((flags & LINUX_O_ACCMODE) == LINUX_O_ACCMODE)
		ret = -LINUX_EINVAL;
	else if (!created)
		ret = vfs_permission(p.dentry->inode, may[flags & LINUX_O_ACCMODE], t->cred);
	if (ret) {
		path_put(&p);
		return ret;
	}
	return file_alloc(&p, &mqueue_file_ops, flags, t->cred, out);
}

long mqueue_unlink(struct task *t, const char *name)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct mount *mnt;
	struct path root;
	long ret = check_name(name);

	if (!ret)
		ret = instance(t->ns->ipc, &mnt);
	if (ret)
		return ret;
	root = (struct path){ mnt, mnt->root };
	ctx.fs = fs_struct_new(&root, &root, 0);
	if (!ctx.fs)
		return -LINUX_ENOMEM;
	ret = vfs_unlink(&ctx, LINUX_AT_FDCWD, name);
	fs_struct_put(ctx.fs);
	return ret;
}

/* ---- /proc/sys/fs/mqueue --------------------------------------------------------------------------------------------- */

static long limit_rw(struct ipc_ns *ns, const char *name, bool write, char *text, size_t cap)
{
	static const struct {
		const char *name;
		size_t off;
		long min, max;
	} rows[] = {
		{ "queues_max", offsetof(struct mq_sb, queues_max), 0, INT32_MAX },
		{ "msg_max", offsetof(struct mq_sb, msg_max), 1, MQ_HARD_MSG_MAX },
		{ "msgsize_max", offsetof(struct mq_sb, msgsize_max), 128, MQ_HARD_MSGSIZE_MAX },
		{ "msg_default", offsetof(struct mq_sb, msg_default), 1, MQ_HARD_MSG_MAX },
		{ "msgsize_default", offsetof(struct mq_sb, msgsize_default), 128, MQ_HARD_MSGSIZE_MAX },
	};
	struct mount *mnt;
	char *end;
	long v, ret;

	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		_Atomic int64_t *value;

		if (strcmp(rows[k].name, name))
			continue;
		ret = instance(ns, &mnt);
		if (ret)
			return ret;
		value = (_Atomic int64_t *)((char *)mnt->sb->priv + rows[k].off);
		if (!write)
			return snprintf(text, cap, "%ld", (long)atomic_load(value));
		v = strtol(text, &end, 10);
		if (end == text || end[strspn(end, " \n")] || v < rows[k].min || v > rows[k].max)
			return -LINUX_EINVAL;
		atomic_store(value, v);
		return 0;
	}
	return -LINUX_ENOENT;
}

void mqueue_init(void)
{
	ipc_mq_put = instance_put;
	proc_mq_sysctl = limit_rw;
	fs_register(&mqueue_type);
}
