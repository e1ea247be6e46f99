/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/sb.c - instances of proc, nodes and their inodes
 *
 * Model:   inodes are made by lookups and go with their dentries; their numbers are computed from row and process, so that two
 *          lookups of one name agree.
 * Locks:   tasks_mu while a pid is turned into a task.
 * Source:  proc(5).
 */
#include "sentry/fs/proc/proc_internal.h"

static void proc_free_inode(struct inode *i)
{
	struct proc_node *n = i->priv;

	if (n && n->pid)
		pid_put(n->pid);
	free(n);
	i->priv = NULL;
}

static void proc_put_super(struct super_block *sb)
{
	pid_ns_put(sb->priv);
	sb->priv = NULL;
}

static long proc_statfs(struct super_block *sb, struct dentry *d, struct linux_statfs *out)
{
	*out = (struct linux_statfs){ .f_type = PROC_SUPER_MAGIC, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE,
				      .f_namelen = NAME_MAX_BYTES };
	return 0;
}

static const struct super_ops proc_super_ops = {
	.free_inode = proc_free_inode,
	.put_super = proc_put_super,
	.statfs = proc_statfs,
};

uint64_t proc_ino(const struct proc_entry *e, const struct pid *pid, uint64_t arg)
{
	uint64_t h = (uint64_t)(uintptr_t)e * 0x9e3779b97f4a7c15ull;

	h ^= (uint64_t)(uintptr_t)pid * 0xc2b2ae3d27d4eb4full;
	h ^= (arg + 1) * 0x165667b19e3779f9ull;
	h ^= h >> 29;
	return (h & 0x7fffffff) | 1;
}

struct task *proc_task_of(struct pid *pid, bool thread)
{
	struct task *t;

	mutex_lock(&tasks_mu);
	t = pid->task;
	if (!t && !thread && pid->tgroup)
		t = pid->tgroup->leader;
	if (t)
		task_get(t);
	mutex_unlock(&tasks_mu);
	return t;
}

bool proc_pid_alive(struct pid *pid, bool thread)
{
	bool alive;

	mutex_lock(&tasks_mu);
	alive = pid->task || (!thread && pid->tgroup);
	mutex_unlock(&tasks_mu);
	return alive;
}

struct task *proc_reader(void)
{
	return task_current();
}

long proc_ctx_get(struct proc_ctx *c, const struct inode *i, const struct cred *cred)
{
	const struct proc_node *n = proc_node_of(i);

	*c = (struct proc_ctx){ .sb = i->sb, .ns = i->sb->priv, .node = n, .cred = cred };
	c->user_ns = cred ? cred->user_ns : &init_user_ns;
	if (!n->pid)
		return 0;
	c->task = proc_task_of(n->pid, n->thread);
	return c->task ? 0 : -LINUX_ESRCH;
}

void proc_ctx_put(struct proc_ctx *c)
{
	if (c->task)
		task_put(c->task);
}

long proc_check_access(const struct proc_ctx *c, bool attach)
{
	struct task *me = proc_reader();

	if (!me || me->group == c->task->group)
		return 0;
	return task_may_access(me, c->task, true, attach) ? -LINUX_EACCES : 0;
}

/* Entries of a process belong to its effective ids, to root when it may not be dumped. */
void proc_set_owner(struct inode *i, const struct proc_node *n)
{
	struct task *t;
	struct cred *cr;
	bool root = n->entry->flags & PE_ROOT_OWNED;

	if (!n->pid)
		return;
	t = proc_task_of(n->pid, n->thread);
	if (!t)
		return;
	if (!t->group->dumpable && n->entry != &proc_pid_entry && n->entry != &proc_tid_entry)
		root = true;
	cr = task_cred(t);
	i->uid = root ? 0 : cr->euid;
	i->gid = root ? 0 : cr->egid;
	cred_put(cr);
	task_put(t);
}

static void set_ops(struct inode *i, const struct proc_entry *e)
{
	i->fops = &proc_text_fops;
	i->ops = &proc_file_iops;
	if (e->dir) {
		i->ops = e->dir == &proc_fd_dir || e->dir == &proc_fdinfo_dir ? &proc_fd_dir_iops : &proc_dir_iops;
		i->fops = &proc_dir_fops;
		i->nlink = 2;
	} else if (e->link) {
		i->ops = &proc_magic_iops;
	} else if (e->text) {
		i->ops = &proc_link_iops;
	} else if (e->fops) {
		i->fops = e->fops;
	}
}

struct inode *proc_inode(const struct proc_ctx *c, const struct proc_node *n)
{
	struct proc_node *copy = malloc(sizeof(*copy));
	struct inode *i = copy ? inode_new(c->sb, n->entry->mode) : NULL;
	struct proc_ctx mc = *c;

	if (!i) {
		if (n->pid)
			pid_put(n->pid);
		free(copy);
		return NULL;
	}
	*copy = *n;
	i->priv = copy;
	i->ino = proc_ino(n->entry, n->pid, n->arg);
	if (n->entry->mode_fn) {
		mc.node = n;
		i->mode = n->entry->mode_fn(&mc);
	}
	set_ops(i, n->entry);
	proc_set_owner(i, n);
	return i;
}

static long proc_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	struct proc_node root = { .entry = &proc_root_entry };
	struct task *me = task_current();
	struct pid_ns *ns = a->kernel_arg;
	struct proc_ctx c = { 0 };
	struct super_block *sb;
	struct inode *i;

	if (!ns && me)
		ns = task_pid_ns(me);
	if (!ns)
		return -LINUX_EINVAL;
	sb = sb_alloc(t, &proc_super_ops, a);
	if (!sb)
		return -LINUX_ENOMEM;
	sb->priv = pid_ns_get(ns);
	sb->blksize = 1024;
	c.sb = sb;
	c.ns = ns;
	i = proc_inode(&c, &root);
	sb->root = i ? d_alloc_root(sb, i) : NULL;
	if (!sb->root) {
		sb_put(sb);
		return -LINUX_ENOMEM;
	}
	*out = sb;
	return 0;
}

static struct fs_type proc_type = {
	.name = "proc",
	.flags = FST_NODEV | FST_USERNS_MOUNT,
	.magic = PROC_SUPER_MAGIC,
	.get_sb = proc_get_sb,
};

struct pid *proc_file_pid(const struct file *f)
{
	const struct proc_node *n = f->ops == &proc_dir_fops ? proc_node_of(f->inode) : NULL;

	return n && n->entry == &proc_pid_entry ? n->pid : NULL;
}

void proc_init(void)
{
	fs_register(&proc_type);
}
