/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid_mem.c - what is read out of another process's memory: cmdline, environ, auxv, mem
 *
 * Source:  proc_pid_cmdline(5), proc_pid_environ(5), proc_pid_auxv(5), proc_pid_mem(5).
 * Differs: writes through /proc/PID/mem honour the protection of the page, unless a tracer makes them while its tracee is stopped;
 *          pagemap shows presence only.
 */
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/task/ptrace.h"

#include <string.h>

#define MEM_CHUNK (64 * 1024)

/* Copies [start, end) of @mm's memory; stops at the first bad page. Limited by the room a file may take. */
static long append_memory(struct mm *mm, uint64_t start, uint64_t end, struct buf *out)
{
	while (start < end) {
		size_t n = MIN(end - start, (uint64_t)MEM_CHUNK);
		char *room = buf_reserve(out, n);
		long got = room ? uspace_read(mm_space(mm), room, start, n) : -LINUX_ENOMEM;

		if (got <= 0)
			return got;
		out->len += (size_t)got;
		if ((size_t)got < n)
			break;
		start += n;
	}
	return 0;
}

static bool layout_of(struct mm *mm, struct mm_layout *out)
{
	mm_lock(mm);
	*out = *mm_layout(mm);
	mm_unlock(mm);
	return out->arg_end >= out->arg_start && out->env_end >= out->env_start;
}

/* A process may have overwritten its arguments with one long title that runs into the environment. */
static void follow_title(struct mm *mm, const struct mm_layout *l, struct buf *out)
{
	size_t args = out->len;
	char *nul;

	if (!args || out->data[args - 1] == '\0' || l->env_start != l->arg_end)
		return;
	append_memory(mm, l->env_start, MIN(l->env_end, l->env_start + PAGE_SIZE), out);
	nul = memchr(out->data, '\0', out->len);
	if (nul)
		out->len = (size_t)(nul - out->data) + 1;
}

PROC_SHOW(cmdline)
{
	struct mm *mm = task_mm(c->task);
	struct mm_layout l;

	if (!mm)
		return 0;
	if (layout_of(mm, &l)) {
		append_memory(mm, l.arg_start, l.arg_end, out);
		follow_title(mm, &l, out);
	}
	mm_put(mm);
	return 0;
}

PROC_SHOW(environ)
{
	struct mm *mm = task_mm(c->task);
	struct mm_layout l;

	if (!mm)
		return 0;
	if (layout_of(mm, &l))
		append_memory(mm, l.env_start, l.env_end, out);
	mm_put(mm);
	return 0;
}

PROC_SHOW(auxv)
{
	struct mm *mm = task_mm(c->task);
	struct mm_layout l;

	if (!mm)
		return 0;
	layout_of(mm, &l);
	buf_append(out, l.auxv, MIN(l.nr_auxv, (uint32_t)ARRAY_SIZE(l.auxv)) * sizeof(l.auxv[0]));
	mm_put(mm);
	return 0;
}

/* ---- mem ---------------------------------------------------------------------------------------------- */

/* The open file keeps the address space that it was opened on. */
static long mem_open_as(struct inode *i, struct file *f, bool attach)
{
	struct proc_ctx c;
	long ret = proc_ctx_get(&c, i, f->cred);

	if (ret)
		return ret;
	ret = proc_check_access(&c, attach);
	if (!ret)
		f->priv = task_mm(c.task);
	proc_ctx_put(&c);
	return ret;
}

static long mem_open(struct inode *i, struct file *f)
{
	return mem_open_as(i, f, true);
}

static void mem_release(struct file *f)
{
	mm_put(f->priv);
}

/* Bytes written from the start, or -LINUX_E*. */
static long write_some(struct mm *mm, uint64_t addr, const char *src, size_t len)
{
	struct task *me = task_current();
	long n = uspace_write(mm_space(mm), addr, src, len);

	return n > 0 || !me ? n : ptrace_force_write(me, mm, addr, src, len);
}

static long mem_move(struct file *f, struct uio *io, uint64_t *pos, bool write)
{
	struct mm *mm = f->priv;
	size_t done = 0;
	char *bounce;
	long n = 0, m;

	if (!mm || !io->left)
		return 0;
	bounce = malloc(MEM_CHUNK);
	if (!bounce)
		return -LINUX_ENOMEM;
	while (io->left) {
		size_t want = MIN(io->left, (size_t)MEM_CHUNK);

		if (write) {
			n = uio_read(io, bounce, want);
			if (n > 0)
				n = write_some(mm, *pos, bounce, (size_t)n);
			if (n > 0 && (size_t)n < want)
				uio_revert(io, want - (size_t)n);
		} else {
			n = uspace_read(mm_space(mm), bounce, *pos, want);
			m = n > 0 ? uio_write(io, bounce, (size_t)n) : n;
			n = m;
		}
		if (n <= 0)
			break;
		*pos += (uint64_t)n;
		done += (size_t)n;
		if ((size_t)n < want && !write)
			break;
	}
	free(bounce);
	if (done)
		return (long)done;
	return n == -LINUX_ESRCH ? 0 : -LINUX_EIO; /* a process that is gone reads as empty */
}

static long mem_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	return mem_move(f, io, pos, false);
}

static long mem_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	return mem_move(f, io, pos, true);
}

/* Addresses, not bytes of a file: any position will do. */
static long mem_lseek(struct file *f, int64_t off, int whence)
{
	if (whence == 1)
		off += (int64_t)f->pos;
	else if (whence != 0)
		return -LINUX_EINVAL;
	f->pos = (uint64_t)off;
	return off;
}

const struct file_ops proc_mem_fops = {
	.open = mem_open,
	.release = mem_release,
	.read = mem_read,
	.write = mem_write,
	.lseek = mem_lseek,
};

/* ---- pagemap ------------------------------------------------------------------------------------------ */

#define PM_PRESENT (1ull << 63)
#define PM_FILE	   (1ull << 61)

static long pagemap_open(struct inode *i, struct file *f)
{
	return mem_open_as(i, f, false);
}

static long pagemap_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct mm *mm = f->priv;
	struct vma_info v = { 0 };
	size_t done = 0;

	if (!mm)
		return 0;
	if ((*pos | io->left) & 7)
		return -LINUX_EINVAL;
	while (io->left) {
		uint64_t addr = *pos / 8 * PAGE_SIZE, word = 0;

		if (addr >= uspace_limit(mm_space(mm)))
			break;
		if (addr >= v.end && !mm_next_vma(mm, addr, &v))
			v = (struct vma_info){ .start = UINT64_MAX, .end = UINT64_MAX };
		if (addr >= v.start && v.prot)
			word = PM_PRESENT | (v.ino ? PM_FILE : 0);
		if (uio_write(io, &word, sizeof(word)) != (long)sizeof(word))
			return done ? (long)done : -LINUX_EFAULT;
		*pos += sizeof(word);
		done += sizeof(word);
	}
	return (long)done;
}

const struct file_ops proc_pagemap_fops = {
	.open = pagemap_open,
	.release = mem_release,
	.read = pagemap_read,
	.lseek = mem_lseek,
};
