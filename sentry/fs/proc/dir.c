/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/dir.c - directories: rows first, then names that come and go
 *
 * Model:   position 0 and 1 are "." and "..", 2.. the rows, PROC_DYN_POS.. what the directory adds. Dentries below a process are
 *          asked again at each walk whether their process still exists.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <string.h>

bool proc_emit_name(struct proc_emit *pe, const char *name, uint8_t type, uint64_t ino, uint64_t next_pos)
{
	if (!pe->e->add(pe->e, name, strlen(name), ino, type, next_pos))
		return false;
	*pe->pos = next_pos;
	return true;
}

bool proc_parse_nr(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

static bool row_visible(const struct proc_entry *r, const struct proc_node *n)
{
	return !(r->flags & (n->thread ? PE_NOT_THREAD : PE_THREAD));
}

/* The row or dynamic name; -LINUX_ENOENT. On success the node's references are the caller's. */
static long find_node(const struct proc_ctx *c, const char *name, struct proc_node *out)
{
	const struct proc_dir *dir = c->node->entry->dir;

	for (size_t k = 0; k < dir->nr; k++) {
		const struct proc_entry *r = &dir->rows[k];

		if (strcmp(r->name, name) || !row_visible(r, c->node))
			continue;
		*out = (struct proc_node){ .entry = r, .pid = c->node->pid, .thread = c->node->thread };
		if (out->pid)
			pid_get(out->pid);
		return 0;
	}
	return dir->lookup ? dir->lookup(c, name, out) : -LINUX_ENOENT;
}

/* A missing name is an error, not a negative dentry: it may come to life at any time, and creating it must say ENOENT. */
static long dir_lookup(struct inode *i, struct dentry *d)
{
	struct proc_node n = { 0 };
	struct proc_ctx c;
	struct inode *child;
	long ret = proc_ctx_get(&c, i, NULL);

	if (ret)
		return ret == -LINUX_ESRCH ? -LINUX_ENOENT : ret;
	ret = find_node(&c, d->name, &n);
	if (!ret) {
		if (n.pid || c.node->entry->dir->lookup)
			d->flags |= DENTRY_NOCACHE;
		child = proc_inode(&c, &n);
		if (child)
			d_instantiate(d, child);
		else
			ret = -LINUX_ENOMEM;
	}
	proc_ctx_put(&c);
	return ret;
}

static bool dir_revalidate(struct dentry *d)
{
	const struct proc_dir *parent;
	const struct proc_node *n;
	struct inode *dir = d->parent->inode;
	struct proc_ctx c;
	bool ok = true;

	if (!dir)
		return false;
	parent = proc_node_of(dir)->entry->dir;
	if (!d->inode)
		return !parent->lookup; /* a negative name may have come to life */
	n = proc_node_of(d->inode);
	if (n->pid && !proc_pid_alive(n->pid, n->thread))
		return false;
	if (parent->alive) {
		if (proc_ctx_get(&c, dir, NULL))
			return false;
		ok = parent->alive(&c, n);
		proc_ctx_put(&c);
	}
	if (ok)
		proc_set_owner(d->inode, n);
	return ok;
}

static uint8_t type_of(uint32_t mode)
{
	return LINUX_S_ISDIR(mode) ? LINUX_DT_DIR : LINUX_S_ISLNK(mode) ? LINUX_DT_LNK : LINUX_DT_REG;
}

static long emit_rows(const struct proc_ctx *c, struct proc_emit *pe)
{
	const struct proc_dir *dir = c->node->entry->dir;

	while (*pe->pos - 2 < dir->nr) {
		const struct proc_entry *r = &dir->rows[*pe->pos - 2];

		if (!row_visible(r, c->node) || (r->flags & PE_HIDDEN))
			++*pe->pos;
		else if (!proc_emit_name(pe, r->name, type_of(r->mode), proc_ino(r, c->node->pid, 0), *pe->pos + 1))
			return 1;
	}
	return 0;
}

static long dir_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct proc_emit pe = { .e = e, .pos = pos };
	struct proc_ctx c;
	long ret = proc_ctx_get(&c, f->inode, f->cred);

	if (ret)
		return ret == -LINUX_ESRCH ? -LINUX_ENOENT : ret;
	pe.c = &c;
	if (*pos == 0 && !proc_emit_name(&pe, ".", LINUX_DT_DIR, f->inode->ino, 1))
		goto out;
	if (*pos == 1 && !proc_emit_name(&pe, "..", LINUX_DT_DIR, f->path.dentry->parent->inode->ino, 2))
		goto out;
	if (*pos < PROC_DYN_POS) {
		if (emit_rows(&c, &pe))
			goto out;
		*pos = PROC_DYN_POS;
	}
	if (c.node->entry->dir->iterate)
		ret = c.node->entry->dir->iterate(&c, &pe);
out:
	proc_ctx_put(&c);
	return ret;
}

static long proc_getattr(struct inode *i, struct kstat *out)
{
	const struct proc_node *n = proc_node_of(i);
	struct task *t;
	long ret;

	if (n->pid && !proc_pid_alive(n->pid, n->thread))
		return -LINUX_ENOENT;
	proc_set_owner(i, n);
	ret = generic_getattr(i, out);
	/* a directory per thread: programs count threads by it (Chromium's zygote) */
	if (!ret && n->entry->dir == &proc_task_dir) {
		t = proc_task_of(n->pid, n->thread);
		if (t) {
			out->nlink = 2 + t->group->nr_threads;
			task_put(t);
		}
	}
	return ret;
}

/* Modes and owners follow the process; the size is accepted, because O_TRUNC sets it. */
static long proc_setattr(struct inode *i, const struct iattr *a)
{
	return a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ? -LINUX_EPERM : 0;
}

/* Descriptors: of the caller's own process always, whatever the ids have become. */
static long fd_permission(struct inode *i, uint32_t mask, const struct cred *cr)
{
	struct task *me = proc_reader(), *t;
	const struct proc_node *n = proc_node_of(i);
	long ret = generic_permission(i, mask, cr);
	bool own;

	if (!ret || !me || !n->pid)
		return ret;
	t = proc_task_of(n->pid, n->thread);
	if (!t)
		return ret;
	own = t->group == me->group;
	task_put(t);
	return own ? 0 : ret;
}

/* ---- links ------------------------------------------------------------------------------------------ */

static long magic_path(struct inode *i, const struct cred *cr, struct path *out)
{
	struct proc_ctx c;
	long ret = proc_ctx_get(&c, i, cr);

	if (ret)
		return ret == -LINUX_ESRCH ? -LINUX_ENOENT : ret;
	ret = c.node->entry->flags & PE_PTRACE ? proc_check_access(&c, false) : 0;
	if (!ret)
		ret = c.node->entry->link(&c, out);
	proc_ctx_put(&c);
	return ret;
}

static long link_text(struct inode *i, char *out, size_t cap)
{
	struct task *me = proc_reader();
	struct proc_ctx c;
	long ret = proc_ctx_get(&c, i, me ? me->cred : NULL);

	if (ret)
		return ret == -LINUX_ESRCH ? -LINUX_ENOENT : ret;
	ret = c.node->entry->flags & PE_PTRACE ? proc_check_access(&c, false) : 0;
	if (!ret)
		ret = c.node->entry->text(&c, out, cap);
	proc_ctx_put(&c);
	return ret;
}

static long magic_readlink(struct inode *i, char *out, size_t cap)
{
	struct task *me = proc_reader();
	struct path p, root = { 0 };
	struct fs_struct *fs;
	long ret;

	if (proc_node_of(i)->entry->text)
		return link_text(i, out, cap);
	ret = magic_path(i, me ? me->cred : NULL, &p);
	if (ret)
		return ret;
	fs = me ? task_fs(me) : NULL;
	if (fs) {
		mutex_lock(&fs->mu);
		root = fs->root;
		path_get(&root);
		mutex_unlock(&fs->mu);
		fs_struct_put(fs);
	}
	ret = vfs_path_text(&p, fs ? &root : NULL, out, cap);
	if (fs)
		path_put(&root);
	path_put(&p);
	return ret;
}

const struct inode_ops proc_dir_iops = {
	.lookup = dir_lookup,
	.d_revalidate = dir_revalidate,
	.getattr = proc_getattr,
	.setattr = proc_setattr,
};

const struct inode_ops proc_fd_dir_iops = {
	.lookup = dir_lookup,
	.d_revalidate = dir_revalidate,
	.getattr = proc_getattr,
	.setattr = proc_setattr,
	.permission = fd_permission,
};

const struct inode_ops proc_file_iops = {
	.getattr = proc_getattr,
	.setattr = proc_setattr,
};

const struct inode_ops proc_link_iops = {
	.readlink = link_text,
	.getattr = proc_getattr,
	.setattr = proc_setattr,
};

const struct inode_ops proc_magic_iops = {
	.readlink = magic_readlink,
	.get_link = magic_path,
	.getattr = proc_getattr,
	.setattr = proc_setattr,
};

const struct file_ops proc_dir_fops = { .iterate = dir_iterate };
