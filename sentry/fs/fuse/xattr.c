/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/xattr.c - extended attributes: each call is one request
 *
 * Source:  xattr(7), linux/fuse.h.
 */
#include "sentry/fs/fuse/fuse_internal.h"

static long may(struct inode *i)
{
	const struct cred *c = fuse_cred();
	long ret = fnode_ok(i);

	return ret ? ret : c && !fuse_may_use(fuse_conn_of(i), c) ? -LINUX_EACCES : 0;
}

/* A call that the daemon does not know is one that its files cannot do. */
static long ask(struct inode *i, enum fuse_missing what, const struct fuse_call *c)
{
	struct fuse_conn *fc = fuse_conn_of(i);
	long ret = may(i);

	if (ret)
		return ret;
	if (!fuse_knows(fc, what))
		return -LINUX_EOPNOTSUPP;
	ret = fuse_call(fc, c);
	return fuse_is_missing(fc, what, ret) ? -LINUX_EOPNOTSUPP : ret;
}

/* Size 0 asks how long it is. */
static long ask_value(struct inode *i, enum fuse_missing what, uint32_t opcode, const char *name, void *val, size_t size, size_t max)
{
	const struct fuse_getxattr_in in = { .size = (uint32_t)MIN(size, max) };
	struct fuse_getxattr_out o;
	const struct fuse_call c = {
		.opcode = opcode, .nodeid = fnode_of(i)->nodeid, .nr_in = name ? 2 : 1,
		.in = { { &in, sizeof(in) }, { name, name ? strlen(name) + 1 : 0 } },
		.out = size ? val : &o, .out_len = size ? in.size : sizeof(o), .out_var = size != 0,
	};
	long ret = ask(i, what, &c);

	return ret < 0 || size ? ret : (long)MIN((size_t)o.size, max);
}

#define XATTR_SIZE_MAX 65536u

long fuse_getxattr(struct inode *i, const char *name, void *val, size_t size)
{
	return ask_value(i, FUSE_NO_GETXATTR, FUSE_GETXATTR, name, val, size, XATTR_SIZE_MAX);
}

/* The list must be one of names: each with its end, none empty. */
static long list_check(const char *p, long len)
{
	for (long at = 0; at < len;) {
		size_t n = strnlen(p + at, (size_t)(len - at));

		if (!n || (long)n == len - at)
			return -LINUX_EIO;
		at += (long)n + 1;
	}
	return len;
}

long fuse_listxattr(struct inode *i, char *out, size_t size)
{
	long ret = ask_value(i, FUSE_NO_LISTXATTR, FUSE_LISTXATTR, NULL, out, size, XATTR_SIZE_MAX);

	return ret > 0 && size ? list_check(out, ret) : ret;
}

long fuse_setxattr(struct inode *i, const char *name, const void *val, size_t size, uint32_t flags)
{
	const struct {	/* what it was before 7.33, which we do not speak */
		uint32_t size, flags;
	} in = { (uint32_t)size, flags };
	/* Name and value follow each other; the value may be empty. */
	const struct fuse_call c = { .opcode = FUSE_SETXATTR, .nodeid = fnode_of(i)->nodeid, .nr_in = 3,
				     .in = { { &in, sizeof(in) }, { name, strlen(name) + 1 }, { val, size } } };
	long ret = ask(i, FUSE_NO_SETXATTR, &c);

	if (!ret)
		fuse_attr_stale(i);
	return ret;
}

long fuse_removexattr(struct inode *i, const char *name)
{
	const struct fuse_call c = { .opcode = FUSE_REMOVEXATTR, .nodeid = fnode_of(i)->nodeid, .nr_in = 1,
				     .in = { { name, strlen(name) + 1 } } };
	long ret = ask(i, FUSE_NO_REMOVEXATTR, &c);

	if (!ret)
		fuse_attr_stale(i);
	return ret;
}
