/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tmpfs/tmpfs.c - super blocks, mount options, inodes; memfd_create
 *
 * Source:  tmpfs(5).
 */
#include "sentry/fs/tmpfs/tmpfs.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

static struct super_block *memfd_sb;

/* ---- options ---- */

bool tmpfs_parse_size(const char *s, uint64_t total, uint64_t *out)
{
	char *end;
	unsigned long long v = strtoull(s, &end, 0);
	unsigned shift = 0;

	if (end == s || *s == '-')
		return false;
	if (*end == '%') {
		*out = total / 100 * v;
		return end[1] == 0;
	}
	switch (*end | 0x20) {
	case 'k':
		shift = 10;
		break;
	case 'm':
		shift = 20;
		break;
	case 'g':
		shift = 30;
		break;
	case 't':
		shift = 40;
		break;
	}
	if (shift)
		end++;
	if (*end || (shift && v >> (64 - shift)))
		return false;
	*out = (uint64_t)v << shift;
	return true;
}

static uint64_t total_ram(void)
{
	struct sysinfo si;

	return sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : 1ull << 30;
}

static long set_option(struct tmpfs_sb *t, const char *key, const char *val, struct user_ns *ns)
{
	char *end;
	uint64_t v;
	unsigned long n;

	if (!strcmp(key, "size") && val) {
		if (!tmpfs_parse_size(val, total_ram(), &v))
			return -LINUX_EINVAL;
		t->max_pages = ALIGN_UP(v, PAGE_SIZE) / PAGE_SIZE;
		return 0;
	}
	if ((!strcmp(key, "nr_blocks") || !strcmp(key, "nr_inodes")) && val) {
		if (!tmpfs_parse_size(val, total_ram(), &v))
			return -LINUX_EINVAL;
		*(key[3] == 'b' ? &t->max_pages : &t->max_inodes) = v;
		return 0;
	}
	if ((!strcmp(key, "mode") || !strcmp(key, "uid") || !strcmp(key, "gid")) && val) {
		n = strtoul(val, &end, *key == 'm' ? 8 : 10);
		if (*end || end == val || n > UINT32_MAX)
			return -LINUX_EINVAL;
		if (*key == 'm') {
			t->mode = n & 07777;
			return 0;
		}
		n = id_to_kernel(ns, *key == 'g', (uint32_t)n);
		if (n == ID_INVALID)
			return -LINUX_EINVAL;
		*(*key == 'u' ? &t->uid : &t->gid) = (uint32_t)n;
		return 0;
	}
	/* Policies of page placement: accepted, the host decides. */
	if (!strcmp(key, "huge") || !strcmp(key, "mpol") || !strcmp(key, "inode32") || !strcmp(key, "inode64") ||
	    !strcmp(key, "noswap") || !strcmp(key, "swap"))
		return 0;
	return -LINUX_EINVAL;
}

static long parse_options(struct tmpfs_sb *t, const char *options, struct user_ns *ns)
{
	char *copy = strdup(options ? options : ""), *save = NULL;
	long ret = copy ? 0 : -LINUX_ENOMEM;

	for (char *o = copy ? strtok_r(copy, ",", &save) : NULL; o && !ret; o = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(o, '=');

		if (eq)
			*eq++ = 0;
		ret = set_option(t, o, eq, ns);
	}
	free(copy);
	return ret;
}

/* ---- super block ---- */

static void tmpfs_free_inode(struct inode *i)
{
	struct tnode *n = tnode_of(i);

	if (!n)
		return;
	if (LINUX_S_ISDIR(i->mode))
		tdir_free(n);
	else
		tdata_free(i);
	simple_xattrs_fini(&n->xattrs);
	budget_drop(n->payer);
	free(n);
	atomic_fetch_sub(&tmpfs_of(i->sb)->nr_inodes, 1);
}

static void tmpfs_put_super(struct super_block *sb)
{
	free(sb->priv);
}

static long tmpfs_statfs(struct super_block *sb, struct dentry *d, struct linux_statfs *out)
{
	struct tmpfs_sb *t = tmpfs_of(sb);
	uint64_t used = t->nr_pages, inodes = t->nr_inodes;

	*out = (struct linux_statfs){ .f_type = sb->type->magic, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = NAME_MAX_BYTES };
	if (t->max_pages && sb->type->magic == TMPFS_MAGIC) {
		out->f_blocks = t->max_pages;
		out->f_bfree = out->f_bavail = t->max_pages > used ? t->max_pages - used : 0;
	}
	if (t->max_inodes && sb->type->magic == TMPFS_MAGIC) {
		out->f_files = t->max_inodes;
		out->f_ffree = t->max_inodes > inodes ? t->max_inodes - inodes : 0;
	}
	return 0;
}

static long tmpfs_remount(struct super_block *sb, const struct fs_mount_args *a)
{
	struct tmpfs_sb *t = tmpfs_of(sb), n;
	long ret;

	mutex_lock(&t->mu);
	n = *t;
	ret = parse_options(&n, a->options, sb->user_ns);
	if (!ret && ((n.max_pages && n.max_pages < t->nr_pages) || (n.max_inodes && n.max_inodes < t->nr_inodes)))
		ret = -LINUX_EINVAL;
	if (!ret) {
		t->max_pages = n.max_pages;
		t->max_inodes = n.max_inodes;
	}
	mutex_unlock(&t->mu);
	return ret;
}

static void tmpfs_show_options(struct super_block *sb, struct buf *out)
{
	struct tmpfs_sb *t = tmpfs_of(sb);

	if (sb->type->magic != TMPFS_MAGIC)
		return;	/* a tree built on tmpfs under another name */
	if (t->max_pages && t->max_pages != total_ram() / PAGE_SIZE / 2)
		buf_printf(out, ",size=%luk", (unsigned long)(t->max_pages * (PAGE_SIZE / 1024)));
	if (t->max_inodes && t->max_inodes != total_ram() / PAGE_SIZE / 2)
		buf_printf(out, ",nr_inodes=%lu", (unsigned long)t->max_inodes);
	if (t->mode != 01777)
		buf_printf(out, ",mode=%03o", t->mode);
	if (t->uid)
		buf_printf(out, ",uid=%u", t->uid);
	if (t->gid)
		buf_printf(out, ",gid=%u", t->gid);
	buf_printf(out, ",inode64");
}

static const struct super_ops tmpfs_super_ops = {
	.free_inode = tmpfs_free_inode,
	.put_super = tmpfs_put_super,
	.statfs = tmpfs_statfs,
	.remount = tmpfs_remount,
	.show_options = tmpfs_show_options,
};

static long tmpfs_get_sb(struct fs_type *type, const struct fs_mount_args *a, struct super_block **out)
{
	struct tmpfs_sb *t = calloc(1, sizeof(*t));
	struct super_block *sb = t ? sb_alloc(type, &tmpfs_super_ops, a) : NULL;
	struct inode *root;
	long ret = -LINUX_ENOMEM;

	if (!sb) {
		free(t);
		return ret;
	}
	sb->priv = t;
	t->max_pages = t->max_inodes = total_ram() / PAGE_SIZE / 2;
	t->mode = 01777;
	if (a->cred) {
		t->uid = a->cred->fsuid;
		t->gid = a->cred->fsgid;
	}
	ret = parse_options(t, a->options, sb->user_ns);
	if (!ret)
		ret = tmpfs_new_inode(sb, NULL, LINUX_S_IFDIR | t->mode, NULL, &root);
	if (ret)
		goto fail;
	root->uid = t->uid;
	root->gid = t->gid;
	tnode_of(root)->parent = root;
	sb->root = d_alloc_root(sb, root);
	ret = -LINUX_ENOMEM;
	if (!sb->root)
		goto fail;
	*out = sb;
	return 0;
fail:
	sb_put(sb);
	return ret;
}

static struct fs_type tmpfs_type = {
	.name = "tmpfs",
	.flags = FST_USERNS_MOUNT | FST_NODEV | FST_HANDLES,
	.magic = TMPFS_MAGIC,
	.get_sb = tmpfs_get_sb,
};
static struct fs_type ramfs_type = { .name = "ramfs", .flags = FST_USERNS_MOUNT | FST_NODEV, .magic = TMPFS_MAGIC, .get_sb = tmpfs_get_sb };

long tmpfs_mount_kernel(const char *source, const char *options, struct super_block **out)
{
	const struct fs_mount_args a = { .source = source, .options = options };

	return tmpfs_get_sb(&tmpfs_type, &a, out);
}

void tmpfs_init(void)
{
	tmpfs_data_init();
	fs_register(&tmpfs_type);
	fs_register(&ramfs_type);
	BUG_ON(tmpfs_mount_kernel("tmpfs", "size=0,nr_inodes=0", &memfd_sb));
}

/* ---- inodes ---- */

static bool count_inode(struct tmpfs_sb *t)
{
	uint64_t n = atomic_fetch_add(&t->nr_inodes, 1);

	if (!t->max_inodes || n < t->max_inodes)
		return true;
	atomic_fetch_sub(&t->nr_inodes, 1);
	return false;
}

long tmpfs_new_inode(struct super_block *sb, struct inode *dir, uint32_t mode, const struct cred *c, struct inode **out)
{
	struct tmpfs_sb *t = tmpfs_of(sb);
	struct inode *i;
	struct tnode *n;

	if (!count_inode(t))
		return -LINUX_ENOSPC;
	n = calloc(1, sizeof(*n));
	i = n ? inode_new(sb, mode) : NULL;
	if (!i) {
		free(n);
		atomic_fetch_sub(&t->nr_inodes, 1);
		return -LINUX_ENOMEM;
	}
	simple_xattrs_init(&n->xattrs);
	n->fd = -1;
	n->payer = budget_current();
	budget_hold(n->payer);
	i->priv = n;
	if (c)
		inode_init_owner(i, dir, mode, c);
	if (dir && !LINUX_S_ISLNK(mode))
		i->mode = inode_inherit_acl(i, dir, i->mode);
	switch (mode & LINUX_S_IFMT) {
	case LINUX_S_IFDIR:
		i->ops = &tmpfs_dir_ops;
		i->fops = &tmpfs_dir_fops;
		i->nlink = 2;
		n->next_off = 2;	/* after "." and ".." */
		i->size = 2 * TMPFS_DIRENT_SIZE;
		break;
	case LINUX_S_IFREG:
		i->ops = &tmpfs_file_ops_i;
		i->fops = &tmpfs_file_fops;
		break;
	case LINUX_S_IFLNK:
		i->ops = &tmpfs_link_ops;
		break;
	default:
		i->ops = &tmpfs_special_ops;
	}
	*out = i;
	return 0;
}

long tmpfs_memfd(const char *name, bool sealable, bool exec, const struct cred *c, uint32_t open_flags, struct file **out)
{
	char text[NAME_MAX_BYTES + 32];
	struct inode *i;
	long ret = tmpfs_new_inode(memfd_sb, NULL, LINUX_S_IFREG | (exec ? 0777 : 0666), c, &i);

	if (ret)
		return ret;
	i->nlink = 0;
	if (!sealable)
		i->seals = LINUX_F_SEAL_SEAL;
	if (!exec)
		i->seals |= LINUX_F_SEAL_EXEC;
	snprintf(text, sizeof(text), "/memfd:%s (deleted)", name);
	ret = file_new_inode(i, text, &tmpfs_file_fops, open_flags, c, out);
	if (ret == 0)
		(*out)->fmode |= FMODE_ATOMIC_POS | FMODE_NONOTIFY;
	return ret;
}
