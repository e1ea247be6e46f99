/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/sockfs.c - the inode of a socket, "socket:[number]"
 */
#include <stdio.h>

#include "sentry/socket/socket_internal.h"

long sockfs_file_new(const struct file_ops *ops, struct socket *s, uint32_t flags, const struct cred *c, struct file **out)
{
	struct inode *i = anon_inode_new(LINUX_S_IFSOCK | 0777, c);
	char name[40];
	long ret;

	if (!i)
		return -LINUX_ENOMEM;
	i->sock = s;
	atomic_store(&s->ino, i->ino);
	snprintf(name, sizeof(name), "socket:[%llu]", (unsigned long long)i->ino);
	ret = file_new_inode(i, name, ops, flags, c, out);
	if (ret)
		return ret;
	(*out)->priv = s;
	(*out)->fmode |= FMODE_STREAM;
	(*out)->fmode &= ~(FMODE_PREAD | FMODE_PWRITE);
	return 0;
}
