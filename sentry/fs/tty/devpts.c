/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/devpts.c - the devpts file system: ptmx and a name per pseudo terminal
 *
 * Model:   every mount is an instance of its own. Names are looked up in the instance's table each time (d_revalidate says no), since
 *          terminals come and go without the VFS.
 * Source:  mount options of devpts(4): newinstance (always), mode, ptmxmode, uid, gid, max.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/tty/pty.h"

#define DEVPTS_MAGIC 0x1cd1
#define PTMX_INO     2

static struct mutex default_mu = MUTEX_INIT;
static struct devpts *default_fs; /* weak, guarded by default_mu */

struct devpts *devpts_get(struct devpts *d)
{
	ref_get(&d->ref);
	return d;
}

void devpts_put(struct devpts *d)
{
	if (!d || !ref_put(&d->ref))
		return;
	free(d);
}

struct devpts *devpts_default(void)
{
	struct devpts *d;

	mutex_lock(&default_mu);
	d = default_fs && ref_get_unless_zero(&default_fs->ref) ? default_fs : NULL;
	mutex_unlock(&default_mu);
	return d;
}

/* ---- names -------------------------------------------------------------------------------------------- */

static struct inode *pts_inode(struct devpts *d, const char *name)
{
	struct inode *i = NULL;
	char *end;
	unsigned long n = strtoul(name, &end, 10);

	if (*end || name[0] < '0' || name[0] > '9' || (name[0] == '0' && name[1]) || n >= PTS_MAX)
		return NULL;
	mutex_lock(&d->mu);
	if (d->ptys[n] && d->ptys[n]->inode)
		i = inode_get(d->ptys[n]->inode);
	mutex_unlock(&d->mu);
	return i;
}

static long dp_lookup(struct inode *dir, struct dentry *de)
{
	struct devpts *d = dir->sb->priv;
	const char *name = de->dname->text;
	struct inode *i = strcmp(name, "ptmx") ? pts_inode(d, name) : inode_get(dir->priv);

	if (i)
		d_instantiate(de, i);
	return 0;
}

static bool dp_revalidate(struct dentry *de)
{
	return false;
}

static const struct inode_ops devpts_inode_ops = {
	.lookup = dp_lookup,
	.d_revalidate = dp_revalidate,
};

static long dp_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct devpts *d = f->inode->sb->priv;
	char name[16];

	if (*pos < 3) {
		static const char *const fixed[] = { ".", "..", "ptmx" };

		for (; *pos < 3; (*pos)++)
			if (!e->add(e, fixed[*pos], strlen(fixed[*pos]), *pos < 2 ? 1 : PTMX_INO,
				    *pos < 2 ? LINUX_DT_DIR : LINUX_DT_CHR, *pos + 1))
				return 0;
	}
	for (uint64_t i = *pos - 3; i < PTS_MAX; i++) {
		bool there;
		int n;

		mutex_lock(&d->mu);
		there = d->ptys[i] && d->ptys[i]->inode;
		mutex_unlock(&d->mu);
		if (!there)
			continue;
		n = snprintf(name, sizeof(name), "%u", (unsigned)i);
		if (!e->add(e, name, (size_t)n, i + 3, LINUX_DT_CHR, i + 4))
			return 0;
		*pos = i + 4;
	}
	*pos = PTS_MAX + 3;
	return 0;
}

static const struct file_ops devpts_dir_ops = { .iterate = dp_iterate };

void pty_unlink(struct pty *p)
{
	mutex_lock(&p->fs->mu);
	if (p->fs->ptys[p->tty->index] == p)
		p->fs->ptys[p->tty->index] = NULL;
	mutex_unlock(&p->fs->mu);
}

/* ---- mounting --------------------------------------------------------------------------------------------- */

static long parse_options(struct devpts *d, const char *options)
{
	char buf[256], *save = NULL;

	if (strlen(options) >= sizeof(buf))
		return -LINUX_EINVAL;
	strcpy(buf, options);
	for (char *o = strtok_r(buf, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		char *val = strchr(o, '='), *end = NULL;
		unsigned long v = 0;

		if (!strcmp(o, "newinstance"))
			continue;
		if (!val)
			return -LINUX_EINVAL;
		*val++ = '\0';
		v = strtoul(val, &end, !strcmp(o, "mode") || !strcmp(o, "ptmxmode") ? 8 : 10);
		if (!*val || *end || v > UINT32_MAX)
			return -LINUX_EINVAL;
		if (!strcmp(o, "mode"))
			d->mode = (uint32_t)v & 0777;
		else if (!strcmp(o, "ptmxmode"))
			d->ptmxmode = (uint32_t)v & 0777;
		else if (!strcmp(o, "uid"))
			d->uid = (uint32_t)v;
		else if (!strcmp(o, "gid"))
			d->gid = (uint32_t)v, d->has_gid = true;
		else if (!strcmp(o, "max"))
			d->max = (uint32_t)MIN(v, (unsigned long)PTS_MAX);
		else
			return -LINUX_EINVAL;
	}
	return 0;
}

static void dp_put_super(struct super_block *sb)
{
	struct devpts *d = sb->priv;

	if (!d)
		return;
	mutex_lock(&default_mu);
	if (default_fs == d)
		default_fs = NULL;
	mutex_unlock(&default_mu);
	devpts_put(d);
}

static void dp_free_inode(struct inode *i)
{
	if (i->priv)
		inode_put(i->priv); /* the root keeps ptmx's inode */
}

static void dp_show_options(struct super_block *sb, struct buf *out)
{
	struct devpts *d = sb->priv;

	if (d->has_gid)
		buf_printf(out, ",gid=%u", d->gid);
	buf_printf(out, ",mode=%03o,ptmxmode=%03o", d->mode, d->ptmxmode);
}

static const struct super_ops devpts_super_ops = {
	.put_super = dp_put_super,
	.free_inode = dp_free_inode,
	.show_options = dp_show_options,
};

static long make_root(struct super_block *sb, struct devpts *d)
{
	struct inode *root = inode_new(sb, LINUX_S_IFDIR | 0755), *ptmx = inode_new(sb, LINUX_S_IFCHR | d->ptmxmode);

	if (!root || !ptmx) {
		if (root)
			inode_put(root);
		if (ptmx)
			inode_put(ptmx);
		return -LINUX_ENOMEM;
	}
	root->ino = 1;
	root->nlink = 2;
	root->ops = &devpts_inode_ops;
	root->fops = &devpts_dir_ops;
	ptmx->ino = PTMX_INO;
	ptmx->rdev = LINUX_MKDEV(5, 2);
	ptmx->ops = &devpts_inode_ops;
	ptmx->fops = &ptmx_file_ops;
	root->priv = ptmx;
	sb->root = d_alloc_root(sb, root);
	return sb->root ? 0 : -LINUX_ENOMEM;
}

static struct fs_type devpts_type;

static long devpts_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	struct devpts *d = calloc(1, sizeof(*d));
	struct super_block *sb;
	long ret;

	if (!d)
		return -LINUX_ENOMEM;
	ref_init(&d->ref, 1);
	d->mode = 0600;
	d->uid = ID_INVALID;
	d->max = PTS_MAX;
	ret = parse_options(d, a->options);
	sb = ret ? NULL : sb_alloc(&devpts_type, &devpts_super_ops, a);
	if (!sb) {
		free(d);
		return ret ? ret : -LINUX_ENOMEM;
	}
	sb->priv = d;
	d->sb = sb;
	ret = make_root(sb, d);
	if (ret) {
		sb_put(sb);
		return ret;
	}
	mutex_lock(&default_mu);
	if (!default_fs)
		default_fs = d;
	mutex_unlock(&default_mu);
	*out = sb;
	return 0;
}

static struct fs_type devpts_type = {
	.name = "devpts",
	.flags = FST_USERNS_MOUNT | FST_NODEV,
	.magic = DEVPTS_MAGIC,
	.get_sb = devpts_get_sb,
};

struct devpts *devpts_of(struct inode *i)
{
	return i->sb && i->sb->type == &devpts_type ? i->sb->priv : NULL;
}

long devpts_init(void)
{
	fs_register(&devpts_type);
	return 0;
}
