/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/dev/mem.c - null, zero, full, random, urandom, kmsg
 *
 * Source:  null(4), full(4), random(4).
 */
#include <string.h>
#include <sys/mman.h>

#include "base/hostcall.h"
#include "sentry/abi/cap.h"
#include "sentry/fs/dev/dev.h"

#define RANDOM_CHUNK 256	/* bytes per host call: getrandom(2) of this size is never cut short */

static long null_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	return 0;
}

static long null_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	size_t n = io->left;

	uio_skip(io, n);
	return (long)n;
}

static long null_lseek(struct file *f, int64_t off, int whence)
{
	return f->pos = 0;
}

static long zero_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	return uio_zero(io, io->left);
}

static long full_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	return io->left ? -LINUX_ENOSPC : 0;
}

/* A mapping of /dev/zero is anonymous memory; a shared one is shared with children only. */
static long zero_map_fd(struct file *f, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd, uint64_t *out_id,
			uint64_t *out_off)
{
	long fd;

	/* One memfd per open file, grown to what is asked for; never written by us. */
	if (!f->priv) {
		fd = host_call(memfd_create, "zero", MFD_CLOEXEC);
		if (fd < 0)
			return -LINUX_ENOMEM;
		f->priv = (void *)(fd + 1);
	}
	fd = (long)f->priv - 1;
	if (host_call(lseek, fd, 0, LINUX_SEEK_END) < (long)(off + len) && host_call(ftruncate, fd, off + len) < 0)
		return -LINUX_ENOMEM;
	*out_fd = (int)fd;
	*out_id = 0;
	*out_off = off;
	return 0;
}

static void zero_release(struct file *f)
{
	if (f->priv)
		host_call(close, (long)f->priv - 1);
}

static long random_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	uint8_t buf[RANDOM_CHUNK];
	long done = 0, ret;

	while (io->left) {
		size_t n = MIN(io->left, sizeof(buf));

		ret = host_call(getrandom, buf, n, 0);
		if (ret <= 0)
			return done ? done : -LINUX_EIO;
		ret = uio_write(io, buf, (size_t)ret);
		if (ret <= 0)
			return done ? done : ret;
		done += ret;
	}
	return done;
}

#define LINUX_RNDGETENTCNT   0x80045200u
#define LINUX_RNDADDTOENTCNT 0x40045201u
#define LINUX_RNDADDENTROPY  0x40085203u
#define LINUX_RNDCLEARPOOL   0x5206u
#define LINUX_RNDRESEEDCRNG  0x5207u

static long random_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	int32_t bits = 256;

	switch (cmd) {
	case LINUX_RNDGETENTCNT:
		return copyout_obj(u, GPTR(arg), &bits);
	case LINUX_RNDADDTOENTCNT:
	case LINUX_RNDADDENTROPY:
	case LINUX_RNDCLEARPOOL:
	case LINUX_RNDRESEEDCRNG:
		/* The host's generator is not the guest's to feed: accepted from who may, without effect. */
		return cred_has_cap(f->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN) ? 0 : -LINUX_EPERM;
	default:
		return -LINUX_ENOTTY;
	}
}

static const struct file_ops null_fops = { .read = null_read, .write = null_write, .lseek = null_lseek };
static const struct file_ops zero_fops = { .read = zero_read, .write = null_write, .lseek = null_lseek, .release = zero_release,
					   .mmap = generic_file_mmap, .map_fd = zero_map_fd };
static const struct file_ops full_fops = { .read = zero_read, .write = full_write, .lseek = null_lseek };
static const struct file_ops random_fops = { .read = random_read, .write = null_write, .lseek = null_lseek, .ioctl = random_ioctl };

void dev_mem_init(void)
{
	chrdev_register(1, 3, &null_fops);
	chrdev_register(1, 5, &zero_fops);
	chrdev_register(1, 7, &full_fops);
	chrdev_register(1, 8, &random_fops);
	chrdev_register(1, 9, &random_fops);
}
