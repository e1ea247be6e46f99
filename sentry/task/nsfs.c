/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/nsfs.c - namespaces as files: what /proc/PID/ns/NAME opens
 *
 * Model:   a tiny kernel-internal file system: an inode with the namespace's number and a reference to it is made when somebody
 *          follows the link. Two of them are the same namespace when their numbers (st_ino) agree.
 * Source:  namespaces(7), ioctl_ns(2).
 */
#include <stdio.h>

#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/vfs/mount.h"

#define NSFS_MAGIC	  0x6e736673
#define NS_GET_USERNS	  0xb701u
#define NS_GET_PARENT	  0xb702u
#define NS_GET_NSTYPE	  0xb703u
#define NS_GET_OWNER_UID  0xb704u

static const struct file_ops nsfs_fops;

static long open_ref(struct ns_ref r, struct task *t)
{
	struct file *f;
	long ret;

	ret = nsfs_open(&r, t->cred, &f);
	if (ret < 0)
		return ret;
	ret = fdtable_install(t->fds, f, 0, true, task_rlimit(t, LINUX_RLIMIT_NOFILE));
	file_put(f);
	return ret;
}

/* The parent of a pid or user namespace, if the caller may know it. */
static long open_parent(const struct ns_ref *r, struct task *t)
{
	struct ns_ref up = { r->kind, NULL };

	if (r->kind == NS_PID || r->kind == NS_PID_CHILDREN) {
		struct pid_ns *p = ((struct pid_ns *)r->ns)->parent;

		if (!p || !pid_ns_is_below(p, task_pid_ns(t)))
			return -LINUX_EPERM;
		up.ns = pid_ns_get(p);
	} else if (r->kind == NS_USER) {
		struct user_ns *p = ((struct user_ns *)r->ns)->parent;

		if (!p || p->level < t->cred->user_ns->level)
			return -LINUX_EPERM;
		up.ns = user_ns_get(p);
	} else {
		return -LINUX_EINVAL;
	}
	return open_ref(up, t);
}

static long nsfs_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	const struct ns_ref *r = f->inode->priv;
	struct task *t = task_current();
	struct user_ns *owner = ns_ops[r->kind]->owner(r->ns);
	uint32_t uid;

	switch (cmd) {
	case NS_GET_USERNS:
		if (r->kind == NS_USER) /* a user namespace belongs to its parent */
			return open_parent(r, t);
		if (owner->level < t->cred->user_ns->level)
			return -LINUX_EPERM;
		return open_ref((struct ns_ref){ NS_USER, user_ns_get(owner) }, t);
	case NS_GET_PARENT:
		return open_parent(r, t);
	case NS_GET_NSTYPE:
		return (long)ns_ops[r->kind]->clone_flag;
	case NS_GET_OWNER_UID:
		if (r->kind != NS_USER)
			return -LINUX_EINVAL;
		uid = id_from_kernel_munged(t->cred->user_ns, false, ((struct user_ns *)r->ns)->owner);
		return copyout_obj(u, GPTR(arg), &uid);
	}
	return -LINUX_ENOTTY;
}

static const struct file_ops nsfs_fops = {
	.ioctl = nsfs_ioctl,
};

/* ---- the file system ------------------------------------------------------------------------------------- */

static struct super_block *nsfs_sb;	/* immutable after nsfs_init() */
static struct mount *nsfs_mnt;		/* same */

static const struct inode_ops nsfs_iops = { 0 };

static void nsfs_free_inode(struct inode *i)
{
	if (i->priv)
		ns_ref_put(i->priv);
	free(i->priv);
	i->priv = NULL;
}

static long nsfs_statfs(struct super_block *sb, struct dentry *d, struct linux_statfs *out)
{
	*out = (struct linux_statfs){ .f_type = NSFS_MAGIC, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = NAME_MAX_BYTES };
	return 0;
}

static const struct super_ops nsfs_super_ops = {
	.free_inode = nsfs_free_inode,
	.statfs = nsfs_statfs,
};

static struct fs_type nsfs_type = { .name = "nsfs", .flags = FST_NODEV | FST_KERNEL_ONLY, .magic = NSFS_MAGIC };

void nsfs_init(void)
{
	const struct fs_mount_args args = { .source = "nsfs", .options = "" };
	struct inode *root;

	nsfs_sb = sb_alloc(&nsfs_type, &nsfs_super_ops, &args);
	BUG_ON(!nsfs_sb);
	root = inode_new(nsfs_sb, LINUX_S_IFDIR | 0500);
	BUG_ON(!root);
	root->ops = &nsfs_iops;
	nsfs_sb->root = d_alloc_root(nsfs_sb, root);
	BUG_ON(!nsfs_sb->root);
	nsfs_mnt = mnt_new(nsfs_sb, nsfs_sb->root, "nsfs", LINUX_MS_NOATIME);
	BUG_ON(!nsfs_mnt);
}

static struct inode *nsfs_inode(struct ns_ref *r)
{
	struct ns_ref *own = malloc(sizeof(*own));
	struct inode *i = own ? inode_new(nsfs_sb, LINUX_S_IFREG | 0444) : NULL;

	if (!i) {
		ns_ref_put(r);
		free(own);
		return NULL;
	}
	*own = *r;
	r->ns = NULL;
	i->priv = own;
	i->ino = ns_ref_ino(own);
	i->ops = &nsfs_iops;
	i->fops = &nsfs_fops;
	return i;
}

long nsfs_path(struct ns_ref *r, struct path *out)
{
	char name[64];
	struct inode *i;

	snprintf(name, sizeof(name), "%s:[%llu]", ns_ops[r->kind]->name, (unsigned long long)ns_ref_ino(r));
	i = nsfs_inode(r);
	if (!i)
		return -LINUX_ENOMEM;
	out->dentry = d_alloc_anon(nsfs_sb, i, name);
	if (!out->dentry)
		return -LINUX_ENOMEM;
	out->mnt = mnt_get(nsfs_mnt);
	return 0;
}

long nsfs_open(struct ns_ref *r, const struct cred *c, struct file **out)
{
	struct path p;
	long ret = nsfs_path(r, &p);

	return ret < 0 ? ret : file_alloc(&p, &nsfs_fops, LINUX_O_RDONLY, c, out);
}

const struct ns_ref *nsfs_ref(struct file *f)
{
	return f->ops == &nsfs_fops ? f->inode->priv : NULL;
}
