/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/dev/dev.c - devtmpfs, and the /dev of a container
 *
 * Model:   a tmpfs filled from a table of nodes and links; pts and shm are mounted on directories of it when it is made for a
 *          container (dev_mount); OCI's own list of devices is the same for every runtime.
 * Source:  OCI runtime specification, config-linux.md "Default Devices"; null(4), tty(4), pts(4).
 */
#include "sentry/fs/dev/dev.h"

#include <stdio.h>
#include <string.h>

#include "sentry/fs/fs.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/mount.h"

static const struct {
	const char *name;
	uint32_t mode, major, minor;
} nodes[] = {
	{ "null", LINUX_S_IFCHR | 0666, 1, 3 },	  { "zero", LINUX_S_IFCHR | 0666, 1, 5 },    { "full", LINUX_S_IFCHR | 0666, 1, 7 },
	{ "random", LINUX_S_IFCHR | 0666, 1, 8 }, { "urandom", LINUX_S_IFCHR | 0666, 1, 9 }, { "tty", LINUX_S_IFCHR | 0666, 5, 0 },
	{ "net", LINUX_S_IFDIR | 0755, 0, 0 },	  { "pts", LINUX_S_IFDIR | 0755, 0, 0 },     { "shm", LINUX_S_IFDIR | 01777, 0, 0 },
	{ "mqueue", LINUX_S_IFDIR | 01777, 0, 0 }, { "fuse", LINUX_S_IFCHR | 0666, 10, 229 },
};
static const struct {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" },	     { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },     { "ptmx", "pts/ptmx" },	     { "core", "/proc/kcore" },
};

/* *io_dir: in: the directory; out, when the new inode is one: it, borrowed (the tree has it). */
static long add_inode(struct super_block *sb, struct inode **io_dir, const char *name, uint32_t mode, uint64_t rdev, const char *target)
{
	struct inode *i, *dir = *io_dir;
	long ret = tmpfs_new_inode(sb, NULL, mode, NULL, &i);

	if (ret)
		return ret;
	i->rdev = rdev;
	if (target) {
		i->link = strdup(target);
		if (!i->link) {
			inode_put(i);
			return -LINUX_ENOMEM;
		}
		i->size = strlen(target);
	}
	if ((mode & LINUX_S_IFMT) == LINUX_S_IFDIR)
		*io_dir = i;
	return tmpfs_add(dir, name, i);
}

static long dev_fill(struct super_block *sb)
{
	struct inode *dir;
	long ret = 0;

	for (size_t k = 0; k < ARRAY_SIZE(nodes) && !ret; k++) {
		dir = sb->root->inode;
		ret = add_inode(sb, &dir, nodes[k].name, nodes[k].mode, LINUX_MKDEV(nodes[k].major, nodes[k].minor), NULL);
		if (!ret && !strcmp(nodes[k].name, "net"))
			ret = add_inode(sb, &dir, "tun", LINUX_S_IFCHR | 0666, LINUX_MKDEV(10, 200), NULL);
	}
	for (size_t k = 0; k < ARRAY_SIZE(links) && !ret; k++) {
		dir = sb->root->inode;
		ret = add_inode(sb, &dir, links[k].name, LINUX_S_IFLNK | 0777, 0, links[k].target);
	}
	return ret;
}

static long devtmpfs_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	struct super_block *sb;
	long ret = tmpfs_mount_kernel(a->source ? a->source : "devtmpfs", "mode=755,size=65536k,nr_inodes=0", &sb);

	if (ret)
		return ret;
	ret = dev_fill(sb);
	if (ret) {
		sb_put(sb);
		return ret;
	}
	sb->type = t;
	*out = sb;
	return 0;
}

static struct fs_type devtmpfs_type = { .name = "devtmpfs", .flags = FST_NODEV, .magic = TMPFS_MAGIC, .get_sb = devtmpfs_get_sb };

void dev_init(void)
{
	dev_mem_init();
	fs_register(&devtmpfs_type);
}

static long mount_below(const struct vfs_ctx *ctx, const struct path *dev, const char *name, const char *type, const char *options,
			uint32_t flags)
{
	struct fs_type *t = fs_find(type);
	const struct fs_mount_args a = { .source = type, .options = options, .cred = ctx->cred, .user_ns = ctx->cred->user_ns };
	struct path at = { .mnt = dev->mnt };
	struct super_block *sb;
	long ret;

	if (!t)
		return -LINUX_ENODEV;
	ret = lookup_one(dev->dentry, name, strlen(name), &at.dentry);
	if (ret)
		return ret;
	ret = at.dentry->inode ? t->get_sb(t, &a, &sb) : -LINUX_ENOENT;
	if (ret == 0)
		ret = vfs_mount_sb(ctx->mnt_ns, &at, sb, NULL, flags);
	d_put(at.dentry);
	return ret;
}

long dev_mount(const struct vfs_ctx *ctx, const struct path *at)
{
	const struct fs_mount_args a = { .source = "tmpfs" };
	struct super_block *sb;
	struct path dev = { 0 };
	long ret = devtmpfs_get_sb(fs_find("tmpfs"), &a, &sb);

	if (ret)
		return ret;
	dev.dentry = d_get(sb->root);
	ret = vfs_mount_sb(ctx->mnt_ns, at, sb, NULL, LINUX_MS_NOSUID | LINUX_MS_STRICTATIME);
	if (ret)
		goto out;
	rcu_read_lock();
	dev.mnt = mnt_lookup(at->mnt, at->dentry);
	rcu_read_unlock();
	if (!dev.mnt) {
		ret = -LINUX_ENOENT;
		goto out;
	}
	ret = mount_below(ctx, &dev, "pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", LINUX_MS_NOSUID | LINUX_MS_NOEXEC);
	if (!ret || ret == -LINUX_ENODEV)
		ret = mount_below(ctx, &dev, "shm", "tmpfs", "mode=1777,size=65536k", LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC);
out:
	d_put(dev.dentry);
	return ret;
}
