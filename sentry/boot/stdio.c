/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/stdio.c - the first files of a new process, from the descriptors that came with the request
 */
#include "base/hostcall.h"
#include "sentry/boot/boot.h"
#include "sentry/fs/fs.h"
#include "sentry/fs/tty/tty.h"

static long open_null(struct task *t, struct file **out)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);

	return vfs_open(&ctx, LINUX_AT_FDCWD, "/dev/null", LINUX_O_RDWR, 0, WALK_FOLLOW, out);
}

static long terminal_stdio(struct task *t, const struct process_args *a, struct file *out[3])
{
	const struct linux_winsize w = { .row = a->rows, .col = a->cols };
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct file *f;
	struct tty *tty;
	long ret;

	ret = console_new(a->stdio[0], &w, &ctx, &tty, &f);
	for (int i = 1; i < 3; i++) /* the same terminal, three times */
		if (a->stdio[i] >= 0)
			host_call(close, a->stdio[i]);
	if (ret)
		return ret;
	ret = tty_set_controlling(tty, t, false);
	tty_put(tty); /* the file holds its own */
	if (ret) {
		file_put(f);
		return ret;
	}
	out[0] = f;
	out[1] = file_get(f);
	out[2] = file_get(f);
	return 0;
}

/* One slot from its host descriptor, which moves in any case; nothing is opened once something has @failed. */
static long open_one(struct task *t, int fd, long failed, struct file **out)
{
	if (!failed)
		return fd >= 0 ? hostfile_new(fd, t->cred, out) : open_null(t, out);
	if (fd >= 0)
		host_call(close, fd);
	return failed;
}

static long make_stdio(struct container *c, struct task *t, const struct process_args *a, struct file **out)
{
	unsigned first = a->terminal && a->stdio[0] >= 0 ? 3 : 0, n = 3 + a->nr_pass;
	long ret = first ? terminal_stdio(t, a, out) : 0;

	for (unsigned i = first; i < n; i++)
		ret = open_one(t, i < 3 ? a->stdio[i] : a->pass[i - 3], ret, &out[i]);
	for (unsigned i = 0; ret && i < n; i++)
		if (out[i]) {
			file_put(out[i]);
			out[i] = NULL;
		}
	return ret;
}

void stdio_init(void)
{
	process_stdio_hook = make_stdio;
	console_resized_hook = console_group_resized;
}
