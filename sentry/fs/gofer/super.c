/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/super.c - mounts of gofer trees
 */
#include <stdio.h>
#include <string.h>

#include "sentry/arch/x86_64/guarded_copy.h"
#include "sentry/fs/gofer/gofer_internal.h"

static void gofer_put_super(struct super_block *sb)
{
	struct gsb *s = gsb_of(sb);

	if (!s)
		return;
	link_forget_fid(s->link, s->root_fid);
	gofer_link_put(s->link);
	free(s);
}

static long gofer_statfs(struct super_block *sb, struct dentry *d, struct linux_statfs *out)
{
	struct p9_Rstatfs r;
	uint32_t fid;
	long ret = ginode_fid(d && d->inode ? d->inode : sb->root->inode, &fid);

	if (!ret)
		ret = p9_statfs(gsb_of(sb)->link->cl, fid, &r);
	if (ret)
		return ret;
	*out = (struct linux_statfs){
		.f_type = GOFER_MAGIC,
		.f_bsize = r.bsize,
		.f_frsize = r.bsize,
		.f_blocks = r.blocks,
		.f_bfree = r.bfree,
		.f_bavail = r.bavail,
		.f_files = r.files,
		.f_ffree = r.ffree,
		.f_namelen = r.namelen ? r.namelen : NAME_MAX_BYTES,
	};
	return 0;
}

static void gofer_show_options(struct super_block *sb, struct buf *out)
{
	buf_printf(out, ",trans=fd,cache=%s", gsb_of(sb)->exclusive ? "loose" : "none");
}

static const struct super_ops gofer_super_ops = {
	.free_inode = gofer_free_inode,
	.put_super = gofer_put_super,
	.statfs = gofer_statfs,
	.show_options = gofer_show_options,
};

/* mount(2) cannot make one: there is no descriptor to speak through. */
static long gofer_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out);

static struct fs_type gofer_type = {
	.name = "9p",
	.flags = FST_NODEV | FST_KERNEL_ONLY | FST_HANDLES,
	.magic = GOFER_MAGIC,
	.get_sb = gofer_get_sb,
};

static long attach_root(struct super_block *sb, const struct gofer_mount *m)
{
	struct gsb *s = gsb_of(sb);
	struct p9x_stat st;
	struct inode *root;
	long ret = p9_attach(s->link->cl, m->aname, 0, &s->root_fid);


	if (ret) {
		s->root_fid = P9_NOFID;
		return ret;
	}
	ret = p9_getattr(s->link->cl, s->root_fid, &st);
	if (!ret)
		ret = ginode_get(sb, &st, NULL, "", NULL, &root);
	if (ret)
		return ret;
	ginode_set_fid(root, s->root_fid);
	s->root_fid = P9_NOFID; /* the inode's from now on */
	sb->root = d_alloc_root(sb, root);
	return sb->root ? 0 : -LINUX_ENOMEM;
}

static long gofer_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	const struct gofer_mount *m = a->kernel_arg;
	struct gsb *s;
	struct super_block *sb;
	long ret;

	if (!m)
		return -LINUX_EINVAL;
	s = calloc(1, sizeof(*s));
	sb = s ? sb_alloc(t, &gofer_super_ops, a) : NULL;
	if (!sb) {
		free(s);
		return -LINUX_ENOMEM;
	}
	s->link = gofer_link_get(m->link);
	s->exclusive = m->exclusive && m->link->ext; /* a stock server's directories cannot be fetched whole */
	s->readonly = m->sb_flags & LINUX_MS_RDONLY;
	s->root_fid = P9_NOFID;
	mutex_init(&s->mu);
	sb->priv = s;
	sb->blksize = PAGE_SIZE;
	ret = attach_root(sb, m);
	if (ret)
		sb_put(sb);
	else
		*out = sb;
	return ret;
}

long gofer_mount(const struct gofer_mount *m, struct super_block **out)
{
	const struct fs_mount_args a = {
		.source = m->source ? m->source : "none", .options = "", .sb_flags = m->sb_flags, .user_ns = &init_user_ns,
		.kernel_arg = (void *)m,
	};

	return gofer_get_sb(&gofer_type, &a, out);
}

void gofer_fs_init(void)
{
	guarded_copy_init();
	fs_register(&gofer_type);
}
