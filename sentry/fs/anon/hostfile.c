/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/anon/hostfile.c - files on host descriptors: what the container gets as stdin, stdout, stderr
 *
 * Model:   descriptors that can block are made non-blocking for the Sentry (their own open file description only where the caller
 *          opened one for us; a shared description is asked with poll(2) first, see Differs); readiness comes from the reactor
 *          and wakes a wait queue, as for any other file. Opening it again by a link of /proc (echo > /dev/stdout) makes another
 *          file on the same descriptor.
 * Locks:   inode.mu for what says how many files there are.
 * Source:  pipe(7), read(2), write(2), fstat(2).
 * Differs: opened again it is the same description: it allows what the host's descriptor allows (a pipe's writing end no reading), and of a
 *          regular file the position is shared and O_TRUNC has no effect, so that a log of the host's is added to, as if it were a pipe.
 *          A descriptor whose description is shared with host processes stays as it is; reads and writes are done only
 *          when poll(2) says that they will not block, and writes are cut to PIPE_BUF bytes.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/hostcall.h"
#include "sentry/abi/ioctl.h"
#include "sentry/fs/fs.h"

#define HOST_CHUNK 4096		/* PIPE_BUF: a write of it to a pipe that polls writable does not block */

struct hostfile {
	struct hostfd h;	/* watched while waitable */
	struct waitq wq;
	int fd;			/* owned */
	bool waitable, seekable;
	uint32_t nr_files;	/* guarded by the inode's mu; the last one takes this object along */
};

static uint32_t host_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	long n = host_call(poll, &p, 1, 0);

	return n > 0 ? (uint32_t)(uint16_t)p.revents : 0;
}

static void hostfile_event(struct hostfd *h, uint32_t events)
{
	struct hostfile *hf = container_of(h, struct hostfile, h);

	waitq_wake(&hf->wq, events & 0xffff, UINT32_MAX);
}

static long host_err(long ret)
{
	return ret == -LINUX_EINTR ? -ERESTARTSYS : ret;
}

/* Until @events hold, or 0 for an end by hang-up; -LINUX_EAGAIN, -ERESTARTSYS. */
static long wait_ready(struct file *f, struct hostfile *hf, short events, uint32_t rwf)
{
	if (!hf->waitable || host_ready(hf->fd, events))
		return 0;
	if (f->flags & LINUX_O_NONBLOCK || rwf & LINUX_RWF_NOWAIT)
		return -LINUX_EAGAIN;
	return wait_event(&hf->wq, host_ready(hf->fd, events) != 0, SLEEP_INTERRUPTIBLE, NO_DEADLINE);
}

/* Whether an access names its place. Sequential ones use the host's file position: whoever else has the file open (the
 * shell that appends to the same output) goes on where we stop, and we where he did. */
static bool positioned(const struct file *f, const struct hostfile *hf, uint64_t pos)
{
	return hf->seekable && pos != f->pos;
}

static long hostfile_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct hostfile *hf = f->priv;
	bool named = positioned(f, hf, *pos);
	uint8_t buf[HOST_CHUNK]; /* no allocation: output goes on for a container that has used up its budget */
	long ret, n, done = 0;

	ret = wait_ready(f, hf, POLLIN, rwf);
	if (ret)
		return ret;
	do {
		size_t want = MIN(io->left, sizeof(buf));

		n = named ? host_call(pread64, hf->fd, buf, want, *pos) : host_call(read, hf->fd, buf, want);
		if (n <= 0)
			break;
		ret = uio_write(io, buf, (size_t)n);
		if (ret < 0) {
			n = ret;
			break;
		}
		done += n;
		*pos += (uint64_t)n;
	} while (io->left && (hf->seekable || (hf->waitable && host_ready(hf->fd, POLLIN) & POLLIN)));
	return done ? done : host_err(n);
}

static long hostfile_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct hostfile *hf = f->priv;
	bool named = positioned(f, hf, *pos);
	long ret = 0, n = 0, done = 0;
	uint8_t buf[HOST_CHUNK];

	while (io->left) {
		size_t want = MIN(io->left, sizeof(buf));

		ret = wait_ready(f, hf, POLLOUT, rwf);
		if (ret)
			break;
		n = uio_read(io, buf, want);
		if (n < 0) {
			ret = n;
			break;
		}
		ret = named ? host_call(pwrite64, hf->fd, buf, n, *pos) : host_call(write, hf->fd, buf, n);
		if (ret < 0)
			break;
		if (ret < n)
			uio_revert(io, (size_t)(n - ret));
		done += ret;
		*pos += (uint64_t)ret;
	}
	return done ? done : host_err(ret);
}

static uint32_t hostfile_poll(struct file *f, struct poll_table *pt)
{
	struct hostfile *hf = f->priv;
	uint32_t r;

	poll_wait(pt, &hf->wq);
	if (!hf->waitable)
		return LINUX_POLLIN | LINUX_POLLRDNORM | LINUX_POLLOUT | LINUX_POLLWRNORM;
	r = host_ready(hf->fd, POLLIN | POLLOUT | POLLPRI);
	if (r & LINUX_POLLIN)
		r |= LINUX_POLLRDNORM;
	if (r & LINUX_POLLOUT)
		r |= LINUX_POLLWRNORM;
	return r;
}

static long hostfile_lseek(struct file *f, int64_t off, int whence)
{
	struct hostfile *hf = f->priv;
	long ret;

	if (!hf->seekable)
		return -LINUX_ESPIPE;
	ret = host_call(lseek, hf->fd, off, whence);
	if (ret >= 0)
		f->pos = (uint64_t)ret;
	return ret;
}

static long hostfile_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct hostfile *hf = f->priv;
	int32_t n = 0;
	long ret;

	if (cmd != LINUX_FIONREAD)
		return -LINUX_ENOTTY;
	ret = host_call(ioctl, hf->fd, LINUX_FIONREAD, &n);
	return ret < 0 ? ret : copyout_obj(u, GPTR(arg), &n);
}

static long hostfile_fsync(struct file *f, bool data_only)
{
	struct hostfile *hf = f->priv;
	long ret;

	host_block_begin();
	ret = host_call(fsync, hf->fd);
	host_block_end();
	return ret;
}

static uint32_t guest_flags(int fd)
{
	long fl = host_call(fcntl, fd, 3 /* F_GETFL */, 0);

	return fl < 0 ? LINUX_O_RDWR : (uint32_t)fl & (LINUX_O_ACCMODE | LINUX_O_APPEND);
}

static void hostfile_release(struct file *f)
{
	struct hostfile *hf = f->priv;
	bool last;

	mutex_lock(&f->inode->mu);
	last = --hf->nr_files == 0;
	if (last)
		f->inode->priv = NULL;
	mutex_unlock(&f->inode->mu);
	if (!last)
		return;
	if (hf->waitable)
		hostfd_unwatch(&hf->h);
	host_call(close, hf->fd);
	free(hf);
}

/* Once more, by a link of /proc. */
static long hostfile_open(struct inode *i, struct file *f)
{
	struct hostfile *hf;
	uint32_t have;
	long ret = 0;

	mutex_lock(&i->mu);
	hf = i->priv;
	if (hf)
		hf->nr_files++;
	mutex_unlock(&i->mu);
	if (!hf)
		return -LINUX_ENXIO; /* its last file was closed just now */
	have = guest_flags(hf->fd) & LINUX_O_ACCMODE;
	if (have != LINUX_O_RDWR && have != (f->flags & LINUX_O_ACCMODE))
		ret = -LINUX_EACCES;
	f->priv = hf;
	if (!hf->seekable)
		f->fmode = (f->fmode | FMODE_STREAM) & ~(FMODE_PREAD | FMODE_PWRITE);
	if (ret)
		hostfile_release(f);
	return ret;
}

static int hostfile_host_fd(struct file *f)
{
	return ((struct hostfile *)f->priv)->fd;
}

static const struct file_ops hostfile_fops = {
	.open = hostfile_open,
	.read = hostfile_read,
	.write = hostfile_write,
	.poll = hostfile_poll,
	.lseek = hostfile_lseek,
	.ioctl = hostfile_ioctl,
	.fsync = hostfile_fsync,
	.release = hostfile_release,
	.host_fd = hostfile_host_fd,
};

static const char *kind_name(uint32_t mode, char *buf, size_t cap, uint64_t ino)
{
	if (LINUX_S_ISFIFO(mode))
		snprintf(buf, cap, "pipe:[%lu]", (unsigned long)ino);
	else if (LINUX_S_ISSOCK(mode))
		snprintf(buf, cap, "socket:[%lu]", (unsigned long)ino);
	else
		snprintf(buf, cap, "host:[%lu]", (unsigned long)ino);
	return buf;
}

/* The host's /dev/null and its relatives: ours do the same. 1: not one of them. */
static long mem_device(int host_fd, uint64_t rdev, const struct cred *c, struct file **out)
{
	const struct file_ops *ops = LINUX_MAJOR(rdev) == 1 ? chrdev_find(rdev) : NULL;
	struct inode *i;
	long ret;

	if (!ops)
		return 1;
	i = anon_inode_new(LINUX_S_IFCHR | 0666, c);
	if (!i)
		return -LINUX_ENOMEM;
	i->rdev = rdev;
	ret = file_new_inode(i, LINUX_MINOR(rdev) == 3 ? "/dev/null" : "/dev/zero", ops, guest_flags(host_fd), c, out);
	if (!ret)
		host_call(close, host_fd);
	return ret;
}

long hostfile_new(int host_fd, const struct cred *c, struct file **out)
{
	struct hostfile *hf;
	struct inode *i;
	struct stat st;
	char name[48];
	long ret = host_call(fstat, host_fd, &st);

	if (ret < 0)
		goto fail_close;
	ret = S_ISCHR(st.st_mode) ? mem_device(host_fd, st.st_rdev, c, out) : 1;
	if (ret == 0)
		return 0;
	if (ret < 0)
		goto fail_close;
	ret = -LINUX_ENOMEM;
	hf = calloc(1, sizeof(*hf));
	i = hf ? anon_inode_new((st.st_mode & LINUX_S_IFMT) | 0600, c) : NULL;
	if (!i) {
		free(hf);
		goto fail_close;
	}
	hf->fd = host_fd;
	hf->seekable = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	i->rdev = st.st_rdev;
	i->size = (uint64_t)st.st_size;
	waitq_init(&hf->wq);
	ret = file_new_inode(i, kind_name(i->mode, name, sizeof(name), i->ino), &hostfile_fops, guest_flags(host_fd), c, out);
	if (ret) {
		free(hf);
		goto fail_close;
	}
	(*out)->priv = hf;
	hf->nr_files = 1;
	i->priv = hf;
	i->fops = &hostfile_fops;
	if (!hf->seekable) {
		(*out)->fmode |= FMODE_STREAM;
		hf->h = (struct hostfd){ .fd = host_fd, .fn = hostfile_event };
		/* Files that epoll refuses (/dev/null) never block. */
		hf->waitable = hostfd_watch(&hf->h, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI) == 0;
	}
	return 0;
fail_close:
	host_call(close, host_fd);
	return ret;
}
