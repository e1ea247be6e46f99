/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/cgroup/cgroupfs.c - cgroup2: the tree of control groups as directories
 *
 * Model:   one super block for the sandbox, of which each mount shows the part below its maker's cgroup namespace. Directories and files
 *          get their inodes when they are looked up; a group's inodes stay until it is removed, and with them owners, modes and watches.
 * Locks:   dirs_mu, a leaf: cgroup.dir and what it points to. A directory's i_lock, held by VFS, keeps lookups and changes apart.
 * Source:  cgroups(7), "Control Group v2" in the kernel's documentation (names, "Delegation"), cgroup_namespaces(7).
 * Differs: asked for by the type "cgroup" of an OCI configuration as well: there is no version 1. Mounting read-only, or remounting, is
 *          about that mount alone.
 */
#include <string.h>

#include "sentry/fs/cgroup/cgroupfs_internal.h"
#include "sentry/fs/fs.h"

#define CGROUP2_MAGIC 0x63677270
#define POS_GROUPS    4096u	/* position of the first group in a directory; names before are rows */

/* What stays of a group's files while it exists: cgroup.dir. */
struct cg_dir {
	struct inode *dir;			/* reference, as the next */
	struct inode *file[CG_ROWS_MAX];	/* NULL: not looked up so far */
	uint32_t uid, gid;			/* of files: who made the group */
};

static struct mutex dirs_mu = MUTEX_INIT;
static struct super_block *cg_sb;	/* immutable once set by cgroupfs_init() */

static const struct inode_ops cg_dir_ops, cg_file_ops;
static const struct file_ops cg_dir_fops;

/* ---- inodes ------------------------------------------------------------------------------------------------- */

static struct inode *new_inode(struct cgroup *cg, const struct cg_row *row, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct cg_node *n = calloc(1, sizeof(*n));
	struct inode *i = n ? inode_new(cg_sb, mode) : NULL;

	if (!i) {
		free(n);
		return NULL;
	}
	n->cg = cgroup_get(cg);
	n->row = row;
	simple_xattrs_init(&n->xattrs);
	i->priv = n;
	i->uid = uid;
	i->gid = gid;
	i->ops = row ? &cg_file_ops : &cg_dir_ops;
	i->fops = !row ? &cg_dir_fops : row->flags & CGR_EVENTS ? &cg_events_fops : &cg_file_fops;
	i->nlink = row ? 1 : 2;
	return i;
}

static void free_inode(struct inode *i)
{
	struct cg_node *n = i->priv;

	if (!n)
		return;
	cgroup_put(n->cg);
	simple_xattrs_fini(&n->xattrs);
	free(n);
	i->priv = NULL;
}

static struct cg_dir *new_dir(struct cgroup *cg, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct cg_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->dir = new_inode(cg, NULL, LINUX_S_IFDIR | mode, uid, gid);
	if (!d->dir) {
		free(d);
		return NULL;
	}
	d->uid = uid;
	d->gid = gid;
	return d;
}

/* Those of the kernel's making appear when they are first asked for. dirs_mu held; NULL: removed, or no memory. */
static struct cg_dir *dir_locked(struct cgroup *cg)
{
	if (!cg->dir && cg->depth <= 1 && !cg->dead)
		cg->dir = new_dir(cg, 0755, 0, 0);
	return cg->dir;
}

/* A reference to the directory, or with @row to that file, or NULL. */
static struct inode *get_inode(struct cgroup *cg, const struct cg_row *row)
{
	struct inode **slot, *i = NULL;
	struct cg_dir *d;

	mutex_lock(&dirs_mu);
	d = dir_locked(cg);
	if (d) {
		slot = row ? &d->file[row - cg_rows] : &d->dir;
		if (!*slot)
			*slot = new_inode(cg, row, LINUX_S_IFREG | (row->show ? 0444 : 0) | (row->store ? 0200 : 0), d->uid, d->gid);
		i = *slot ? inode_get(*slot) : NULL;
	}
	mutex_unlock(&dirs_mu);
	return i;
}

static const struct cg_row *find_row(const char *name)
{
	for (size_t k = 0; k < cg_nr_rows; k++)
		if (!strcmp(cg_rows[k].name, name))
			return &cg_rows[k];
	return NULL;
}

struct inode *cg_procs_inode(struct cgroup *cg)
{
	return get_inode(cg, find_row("cgroup.procs"));
}

/* A file is there with its controller. */
static bool visible(const struct cgroup *cg, const struct cg_row *r)
{
	bool yes;

	mutex_lock(&cgroup_mu);
	yes = cg->parent && (r->ctl == CGROUP_BASE || cgroup_controllers_locked(cg) >> r->ctl & 1);
	mutex_unlock(&cgroup_mu);
	return yes;
}

/* ---- the model's news ----------------------------------------------------------------------------------------- */

static void group_gone(struct cgroup *cg)
{
	struct cg_dir *d;

	mutex_lock(&dirs_mu);
	d = cg->dir;
	cg->dir = NULL;
	mutex_unlock(&dirs_mu);
	if (!d)
		return;
	for (size_t k = 0; k < cg_nr_rows; k++)
		inode_put(d->file[k]);
	inode_put(d->dir);
	free(d);
}

static void group_event(struct cgroup *cg)
{
	const struct cg_row *row = find_row("cgroup.events");
	struct inode *dir = NULL, *file = NULL;
	struct cg_dir *d;

	mutex_lock(&dirs_mu);
	d = cg->dir;
	if (d) {
		dir = inode_get(d->dir);
		file = d->file[row - cg_rows] ? inode_get(d->file[row - cg_rows]) : NULL;
	}
	mutex_unlock(&dirs_mu);
	if (dir)
		fsnotify(dir, file, row->name, LINUX_IN_MODIFY, 0);
	inode_put(file);
	inode_put(dir);
}

/* ---- directories ------------------------------------------------------------------------------------------------ */

static long dir_lookup(struct inode *dir, struct dentry *d)
{
	struct cgroup *cg = cg_node_of(dir)->cg, *child = NULL;
	const struct cg_row *row = find_row(d->name);
	struct inode *i;

	if (row && !visible(cg, row))
		return 0;
	if (!row)
		child = cgroup_child(cg, d->name);
	if (!row && !child)
		return 0;
	i = get_inode(child ?: cg, row);
	cgroup_put(child);
	if (!i)
		return cg->dead ? 0 : -LINUX_ENOMEM;
	d_instantiate(d, i);
	return 0;
}

/* Files come and go with their controllers, groups with their container. */
static bool dir_revalidate(struct dentry *d)
{
	const struct cg_node *n = d->inode ? cg_node_of(d->inode) : NULL;
	bool dead;

	if (!n)
		return false;
	if (n->row)
		return visible(n->cg, n->row);
	mutex_lock(&cgroup_mu);
	dead = n->cg->dead;
	mutex_unlock(&cgroup_mu);
	return !dead;
}

static long dir_mkdir(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	struct cgroup *parent = cg_node_of(dir)->cg, *cg;
	struct cg_dir *cd;
	long ret;

	if (strchr(d->name, '\n'))
		return -LINUX_EINVAL;
	if (find_row(d->name))
		return -LINUX_EEXIST; /* it would be hidden by the file when its controller comes */
	ret = cgroup_new(parent, d->name, &cg);
	if (ret)
		return ret;
	cd = new_dir(cg, mode & 0777, c->fsuid, c->fsgid);
	if (!cd) {
		cgroup_unlink(cg);
		cgroup_put(cg);
		return -LINUX_ENOMEM;
	}
	mutex_lock(&dirs_mu);
	cg->dir = cd;
	mutex_unlock(&dirs_mu);
	inode_inc_nlink(dir);
	inode_touch(dir, false, true, true);
	d_instantiate(d, inode_get(cd->dir));
	cgroup_put(cg);
	return 0;
}

static long dir_rmdir(struct inode *dir, struct dentry *d)
{
	struct inode *i = d->inode; /* VFS holds it */
	long ret = cgroup_unlink(cg_node_of(i)->cg);

	if (ret)
		return ret;
	i->nlink = 0;
	inode_dec_nlink(dir);
	inode_touch(dir, false, true, true);
	return 0;
}

static long dir_create(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	return -LINUX_EACCES; /* open(2) with O_CREAT, where a file system makes no files */
}

static long emit_rows(struct cgroup *cg, struct file *f, struct dir_emit *e, uint64_t *pos)
{
	for (; *pos - 2 < cg_nr_rows; ++*pos) {
		const struct cg_row *r = &cg_rows[*pos - 2];
		struct inode *i = visible(cg, r) ? get_inode(cg, r) : NULL;
		bool room = !i || e->add(e, r->name, strlen(r->name), i->ino, LINUX_DT_REG, *pos + 1);

		inode_put(i);
		if (!room)
			return 1;
	}
	*pos = POS_GROUPS;
	return 0;
}

/* The group below @cg with the smallest id from @from on: a reference, or NULL. They are in that order. */
static struct cgroup *child_from(struct cgroup *cg, uint64_t from)
{
	struct cgroup *c, *found = NULL;

	mutex_lock(&cgroup_mu);
	list_for_each_entry (c, &cg->children, sibling)
		if (c->id >= from) {
			found = cgroup_get(c);
			break;
		}
	mutex_unlock(&cgroup_mu);
	return found;
}

static long dir_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct cgroup *cg = cg_node_of(f->inode)->cg, *c;
	bool room = true;

	if (*pos == 0) {
		if (!e->add(e, ".", 1, f->inode->ino, LINUX_DT_DIR, 1))
			return 0;
		*pos = 1;
	}
	if (*pos == 1) {
		if (!e->add(e, "..", 2, f->path.dentry->parent->inode->ino, LINUX_DT_DIR, 2))
			return 0;
		*pos = 2;
	}
	if (*pos < POS_GROUPS && emit_rows(cg, f, e, pos))
		return 0;
	while (room && (c = child_from(cg, *pos - POS_GROUPS))) {
		struct inode *i = get_inode(c, NULL);

		room = !i || e->add(e, c->name, strlen(c->name), i->ino, LINUX_DT_DIR, POS_GROUPS + c->id + 1);
		if (room)
			*pos = POS_GROUPS + c->id + 1;
		inode_put(i);
		cgroup_put(c);
	}
	return 0;
}

/* ---- attributes ----------------------------------------------------------------------------------------------------- */

/* Sizes are accepted, since O_TRUNC sets them. */
static long cg_setattr(struct inode *i, const struct iattr *a)
{
	struct iattr rest = *a;

	rest.valid &= ~ATTR_SIZE;
	return generic_setattr(i, &rest);
}

static bool has_acl_name(const char *name)
{
	return !strncmp(name, "system.", 7);
}

static long cg_getxattr(struct inode *i, const char *name, void *val, size_t size)
{
	return simple_xattr_get(&cg_node_of(i)->xattrs, name, val, size);
}

static long cg_setxattr(struct inode *i, const char *name, const void *val, size_t size, uint32_t flags)
{
	return has_acl_name(name) ? -LINUX_EOPNOTSUPP : simple_xattr_set(&cg_node_of(i)->xattrs, name, val, size, flags);
}

static long cg_listxattr(struct inode *i, char *out, size_t size)
{
	return simple_xattr_list(&cg_node_of(i)->xattrs, out, size);
}

static long cg_removexattr(struct inode *i, const char *name)
{
	return has_acl_name(name) ? -LINUX_EOPNOTSUPP : simple_xattr_remove(&cg_node_of(i)->xattrs, name);
}

#define COMMON_OPS                                                                                                                  \
	.setattr = cg_setattr, .getxattr = cg_getxattr, .setxattr = cg_setxattr, .listxattr = cg_listxattr, .removexattr = cg_removexattr

static const struct inode_ops cg_dir_ops = {
	.lookup = dir_lookup,
	.d_revalidate = dir_revalidate,
	.create = dir_create,
	.mkdir = dir_mkdir,
	.rmdir = dir_rmdir,
	COMMON_OPS,
};
static const struct inode_ops cg_file_ops = { COMMON_OPS };
static const struct file_ops cg_dir_fops = { .iterate = dir_iterate };

/* ---- clone3(2) ---------------------------------------------------------------------------------------------------------- */

long cgroupfs_group_of(struct file *f, struct cgroup **out)
{
	struct cgroup *cg;
	bool dead;

	if (!f->inode || f->inode->sb != cg_sb || cg_node_of(f->inode)->row)
		return -LINUX_EBADF;
	cg = cg_node_of(f->inode)->cg;
	mutex_lock(&cgroup_mu);
	dead = cg->dead;
	if (!dead)
		*out = cgroup_get(cg);
	mutex_unlock(&cgroup_mu);
	return dead ? -LINUX_ENOENT : 0;
}

long cgroupfs_clone_target(struct task *t, struct file *f, bool thread, struct cgroup **out)
{
	struct cgroup *from, *to, *view;
	struct inode *procs;
	long ret = cgroupfs_group_of(f, &to);

	if (ret)
		return ret;
	procs = cg_procs_inode(to);
	ret = procs ? vfs_permission(procs, LINUX_MAY_WRITE, t->cred) : -LINUX_ENOMEM;
	inode_put(procs);
	from = cgroup_of(&t->group->cg);
	view = task_cgroup_view();
	if (!ret)
		ret = from ? cg_may_move(from, to, view, t->cred) : -LINUX_ENODEV;
	if (!ret && thread && from != to)
		ret = -LINUX_EOPNOTSUPP;
	cgroup_put(view);
	cgroup_put(from);
	if (ret)
		cgroup_put(to);
	else
		*out = to;
	return ret;
}

/* ---- super block ---------------------------------------------------------------------------------------------------------- */

static long cg_statfs(struct super_block *sb, struct dentry *d, struct linux_statfs *out)
{
	*out = (struct linux_statfs){ .f_type = CGROUP2_MAGIC, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = NAME_MAX_BYTES };
	return 0;
}

static void cg_show_options(struct super_block *sb, struct buf *out)
{
	buf_printf(out, ",nsdelegate");
}

static void cg_show_root(struct dentry *root, struct buf *out)
{
	struct cgroup *view = task_cgroup_view();

	cgroup_path(cg_node_of(root->inode)->cg, view, out);
	cgroup_put(view);
}

static const struct super_ops cg_super_ops = {
	.free_inode = free_inode,
	.statfs = cg_statfs,
	.show_options = cg_show_options,
	.show_root = cg_show_root,
};

/* Taken and without effect, but for nsdelegate, which is always so. */
static const char *const mount_options[] = { "nsdelegate", "favordynmods", "memory_localevents", "memory_recursiveprot",
					     "memory_hugetlb_accounting", "pids_localevents" };

static bool known_option(const char *s, size_t len)
{
	for (size_t k = 0; k < ARRAY_SIZE(mount_options); k++)
		if (strlen(mount_options[k]) == len && !strncmp(mount_options[k], s, len))
			return true;
	return !len;
}

/* Options of configurations (kernel_arg) may be those of version 1, and say nothing here. */
static long cgroup_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	for (const char *s = a->kernel_arg || !a->options ? "" : a->options; *s; s += strcspn(s, ","), s += *s == ',')
		if (!known_option(s, strcspn(s, ",")))
			return -LINUX_EINVAL;
	*out = sb_get(cg_sb);
	return 0;
}

/* The dentry of @cg's directory, from the root down. */
static long find_dentry(struct cgroup *cg, struct dentry **out)
{
	const struct cgroup *way[CGROUP_DEPTH_MAX + 1];
	struct dentry *d = d_get(cg_sb->root), *next;
	size_t n = 0;
	long ret = 0;

	for (; cg->parent; cg = cg->parent)
		way[n++] = cg;
	while (n && !ret) {
		const struct cgroup *want = way[--n];

		ret = lookup_one(d, want->name, strlen(want->name), &next);
		d_put(d);
		d = ret ? NULL : next;
		if (!ret && (!d->inode || cg_node_of(d->inode)->cg != want))
			ret = -LINUX_ENOENT; /* removed, or another of that name by now */
	}
	if (ret && d)
		d_put(d);
	else if (!ret)
		*out = d;
	return ret;
}

static long cgroup_mount_root(struct super_block *sb, const struct fs_mount_args *a, struct dentry **out)
{
	struct cgroup_ns *ns = a->kernel_arg;
	struct cgroup *view = ns ? cgroup_get(ns->root) : task_cgroup_view();
	long ret = find_dentry(view, out);

	cgroup_put(view);
	return ret;
}

static struct fs_type cgroup2_type = {
	.name = "cgroup2",
	.flags = FST_USERNS_MOUNT | FST_NODEV,
	.magic = CGROUP2_MAGIC,
	.get_sb = cgroup_get_sb,
	.mount_root = cgroup_mount_root,
};

void cgroupfs_init(void)
{
	const struct fs_mount_args a = { .source = "cgroup2" };
	struct inode *root;

	cgroup_init();
	cg_sb = sb_alloc(&cgroup2_type, &cg_super_ops, &a);
	BUG_ON(!cg_sb);
	root = get_inode(cgroup_root, NULL);
	cg_sb->root = root ? d_alloc_root(cg_sb, root) : NULL;
	BUG_ON(!cg_sb->root);
	cgroup_gone_hook = group_gone;
	cgroup_event_hook = group_event;
	fs_register(&cgroup2_type);
}
