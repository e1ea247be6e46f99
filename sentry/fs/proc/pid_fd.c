/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid_fd.c - /proc/PID/{fd,fdinfo}, exe, cwd, root
 *
 * Model:   links hand out the path with references, so that following one reaches the very file, also when it has no name.
 * Source:  proc_pid_fd(5), proc_pid_fdinfo(5), proc_pid_exe(5).
 */
#include "sentry/fs/proc/proc_internal.h"

#include <stdio.h>
#include <string.h>

#include "sentry/vfs/locks.h"
#include "sentry/vfs/mount.h"

static const struct proc_entry fd_entry = {
	.name = "", .mode = LINUX_S_IFLNK | 0700, .flags = PE_PTRACE, .link = proc_link_fd, .mode_fn = proc_fd_mode,
};
static const struct proc_entry fdinfo_entry = { .name = "", .mode = LINUX_S_IFREG | 0444, .flags = PE_PTRACE, .show = proc_show_fdinfo };

/* The open file that @n names: a reference, or NULL. */
static struct file *file_of(const struct proc_ctx *c, const struct proc_node *n)
{
	struct fdtable *fds = task_fdtable(c->task);
	struct file *f;

	if (!fds)
		return NULL;
	f = fdtable_file(fds, (int)n->arg, true);
	fdtable_put(fds);
	return f;
}

static bool fd_alive(const struct proc_ctx *c, const struct proc_node *n)
{
	struct file *f = file_of(c, n);

	if (f)
		file_put(f);
	return f;
}

static long fd_lookup_as(const struct proc_ctx *c, const char *name, const struct proc_entry *e, struct proc_node *out)
{
	struct proc_node n = { .entry = e, .pid = c->node->pid, .thread = c->node->thread };

	if (!proc_parse_nr(name, INT32_MAX, &n.arg) || !fd_alive(c, &n))
		return -LINUX_ENOENT;
	pid_get(n.pid);
	*out = n;
	return 0;
}

static long fd_lookup(const struct proc_ctx *c, const char *name, struct proc_node *out)
{
	return fd_lookup_as(c, name, &fd_entry, out);
}

static long fdinfo_lookup(const struct proc_ctx *c, const char *name, struct proc_node *out)
{
	return fd_lookup_as(c, name, &fdinfo_entry, out);
}

static long fd_iterate_as(const struct proc_ctx *c, struct proc_emit *pe, const struct proc_entry *e, uint8_t type)
{
	struct fdtable *fds;
	char name[16];
	long ret = proc_check_access(c, false);

	if (ret)
		return ret;
	fds = task_fdtable(c->task);
	for (int fd = fds ? fdtable_next(fds, (int)(*pe->pos - PROC_DYN_POS)) : -1; fd >= 0; fd = fdtable_next(fds, fd + 1)) {
		snprintf(name, sizeof(name), "%d", fd);
		if (!proc_emit_name(pe, name, type, proc_ino(e, c->node->pid, (uint64_t)fd), PROC_DYN_POS + (uint64_t)fd + 1))
			break;
	}
	if (fds)
		fdtable_put(fds);
	return 0;
}

static long fd_iterate(const struct proc_ctx *c, struct proc_emit *pe)
{
	return fd_iterate_as(c, pe, &fd_entry, LINUX_DT_LNK);
}

static long fdinfo_iterate(const struct proc_ctx *c, struct proc_emit *pe)
{
	return fd_iterate_as(c, pe, &fdinfo_entry, LINUX_DT_REG);
}

const struct proc_dir proc_fd_dir = { .lookup = fd_lookup, .iterate = fd_iterate, .alive = fd_alive };
const struct proc_dir proc_fdinfo_dir = { .lookup = fdinfo_lookup, .iterate = fdinfo_iterate, .alive = fd_alive };

/* The link's mode tells how the file is open. */
uint32_t proc_fd_mode(const struct proc_ctx *c)
{
	struct file *f = file_of(c, c->node);
	uint32_t mode = LINUX_S_IFLNK;

	if (!f)
		return mode;
	if (f->fmode & FMODE_READ)
		mode |= 0500;
	if (f->fmode & FMODE_WRITE)
		mode |= 0300;
	file_put(f);
	return mode;
}

PROC_LINK(fd)
{
	struct file *f = file_of(c, c->node);

	if (!f)
		return -LINUX_ENOENT;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

/* "lock:" in front of each line that /proc/locks has for the file. */
static void put_locks(struct file *f, struct buf *out)
{
	struct inode *i = file_inode(f);
	struct buf locks = { .max = PROC_TEXT_MAX };

	if (!i || !i->locks)
		return;
	file_locks_show(i, &locks);
	for (size_t at = 0; at < locks.len;) {
		const char *nl = memchr(locks.data + at, '\n', locks.len - at);
		size_t n = nl ? (size_t)(nl - locks.data) + 1 - at : locks.len - at;

		buf_printf(out, "lock:\t%.*s", (int)n, locks.data + at);
		at += n;
	}
	buf_fini(&locks);
}

PROC_SHOW(fdinfo)
{
	struct file *f = file_of(c, c->node);
	struct fdtable *fds;
	uint32_t flags;

	if (!f)
		return -LINUX_ENOENT;
	flags = f->flags;
	fds = task_fdtable(c->task);
	if (fds) {
		if (fdtable_get_cloexec(fds, (int)c->node->arg) > 0)
			flags |= LINUX_O_CLOEXEC;
		fdtable_put(fds);
	}
	buf_printf(out, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%lu\nino:\t%lu\n", (long long)f->pos, flags,
		   f->path.mnt ? f->path.mnt->id : 0, f->inode ? f->inode->ino : 0);
	put_locks(f, out);
	if (f->ops && f->ops->show_fdinfo)
		f->ops->show_fdinfo(f, out);
	file_put(f);
	return 0;
}

/* ---- exe, cwd, root ------------------------------------------------------------------------------------- */

static void *get_file(void *file)
{
	return file_get(file);
}

PROC_LINK(exe)
{
	struct mm *mm = task_mm(c->task);
	struct file *f;

	if (!mm)
		return -LINUX_ENOENT;
	f = mm_exe_get(mm, get_file);
	mm_put(mm);
	if (!f)
		return -LINUX_ENOENT;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

static long fs_path(const struct proc_ctx *c, bool root, struct path *out)
{
	struct fs_struct *fs = task_fs(c->task);

	if (!fs)
		return -LINUX_ENOENT;
	mutex_lock(&fs->mu);
	*out = root ? fs->root : fs->pwd;
	path_get(out);
	mutex_unlock(&fs->mu);
	fs_struct_put(fs);
	return 0;
}

PROC_LINK(cwd)
{
	return fs_path(c, false, out);
}

PROC_LINK(root)
{
	return fs_path(c, true, out);
}
