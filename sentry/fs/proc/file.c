/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/file.c - files whose text is made when they are read
 *
 * Model:   a read at position 0 makes the text anew and keeps it with the open file; reads further on continue in it, so that one
 *          pass over a file sees one state. A write is handed to the row as a whole.
 * Locks:   proc_text.lock serialises readers of one open file.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <string.h>

static long text_open(struct inode *i, struct file *f)
{
	const struct proc_entry *e = proc_node_of(i)->entry;
	struct proc_ctx c;
	struct proc_text *t;
	long ret = proc_ctx_get(&c, i, f->cred);

	if (ret)
		return ret == -LINUX_ESRCH ? -LINUX_ENOENT : ret; /* it went while its name was looked up */
	if (e->flags & PE_PTRACE)
		ret = proc_check_access(&c, false);
	proc_ctx_put(&c);
	if (ret)
		return ret;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -LINUX_ENOMEM;
	sleeplock_init(&t->lock);
	t->buf.max = PROC_TEXT_MAX;
	f->priv = t;
	return 0;
}

static void text_release(struct file *f)
{
	struct proc_text *t = f->priv;

	if (!t)
		return;
	if (t->hold)
		t->hold_put(t->hold);
	buf_fini(&t->buf);
	free(t);
}

static long make_text(struct file *f, struct proc_text *t)
{
	const struct proc_entry *e = proc_node_of(f->inode)->entry;
	struct proc_ctx c;
	long ret;

	if (!e->show)
		return -LINUX_EINVAL;
	ret = proc_ctx_get(&c, f->inode, f->cred);
	if (ret)
		return ret;
	buf_fini(&t->buf);
	t->made = false;
	ret = e->show(&c, &t->buf);
	proc_ctx_put(&c);
	if (ret < 0)
		return ret;
	if (t->buf.failed)
		return -LINUX_ENOMEM;
	t->made = true;
	return 0;
}

static long text_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct proc_text *t = f->priv;
	long ret = 0;

	sleep_lock(&t->lock);
	if (!t->made || *pos == 0)
		ret = make_text(f, t);
	if (!ret && *pos < t->buf.len) {
		ret = uio_write(io, t->buf.data + *pos, t->buf.len - *pos);
		if (ret > 0)
			*pos += (uint64_t)ret;
	}
	sleep_unlock(&t->lock);
	return ret;
}

static long text_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	const struct proc_entry *e = proc_node_of(f->inode)->entry;
	size_t len = io->left;
	struct proc_ctx c;
	char *text;
	long ret;

	if (!e->store)
		return -LINUX_EINVAL;
	if (len > PROC_WRITE_MAX)
		return -LINUX_EINVAL;
	text = malloc(len + 1);
	if (!text)
		return -LINUX_ENOMEM;
	ret = uio_read(io, text, len);
	if (ret >= 0) {
		len = (size_t)ret;
		text[len] = '\0';
		ret = proc_ctx_get(&c, f->inode, f->cred);
	}
	if (!ret) {
		ret = e->store(&c, text, len);
		proc_ctx_put(&c);
	}
	free(text);
	if (ret < 0)
		return ret;
	*pos += len;
	return (long)len;
}

static long text_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	const struct proc_entry *e = proc_node_of(f->inode)->entry;
	struct proc_ctx c;
	long ret;

	if (!e->ioctl)
		return -LINUX_ENOTTY;
	ret = proc_ctx_get(&c, f->inode, f->cred);
	if (ret)
		return ret;
	ret = e->ioctl(&c, u, cmd, arg);
	proc_ctx_put(&c);
	return ret;
}

static long text_truncate(struct file *f, uint64_t size)
{
	return 0;
}

const struct file_ops proc_text_fops = {
	.open = text_open,
	.release = text_release,
	.read = text_read,
	.write = text_write,
	.ioctl = text_ioctl,
	.truncate = text_truncate,
};

long proc_store_long(char *text, long min, long max, long *out)
{
	char *end;
	long v;

	/* strtol() would set errno, which must not be touched here: parse by hand. */
	bool neg = false;
	uint64_t u = 0;

	text += strspn(text, " \t\n");
	if (*text == '-') {
		neg = true;
		text++;
	}
	if (*text < '0' || *text > '9')
		return -LINUX_EINVAL;
	for (end = text; *end >= '0' && *end <= '9'; end++) {
		u = u * 10 + (uint64_t)(*end - '0');
		if (u > INT64_MAX)
			return -LINUX_EINVAL;
	}
	if (end[strspn(end, " \t\n")])
		return -LINUX_EINVAL;
	v = neg ? -(long)u : (long)u;
	if (v < min || v > max)
		return -LINUX_EINVAL;
	*out = v;
	return 0;
}
