/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/attr.c - attributes, extended attributes, targets of links
 *
 * Model:   on exclusive mounts the inode's attributes are the truth, and getattr is generic. Each change is one round
 *          trip that answers with the attributes afterwards. That a file has no extended attributes at all is
 *          remembered, since exec and permission checks keep asking.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/hostcall.h"
#include "sentry/fs/gofer/gofer_internal.h"

static struct p9x_stat stat_of_host(const struct ginode *g, const struct stat *hs)
{
	return (struct p9x_stat){
		.mode = hs->st_mode, .nlink = (uint32_t)hs->st_nlink, .uid = hs->st_uid, .gid = hs->st_gid,
		.size = (uint64_t)hs->st_size, .blocks = (uint64_t)hs->st_blocks,
		.atime = { hs->st_atim.tv_sec, (uint32_t)hs->st_atim.tv_nsec },
		.mtime = { hs->st_mtim.tv_sec, (uint32_t)hs->st_mtim.tv_nsec },
		.ctime = { hs->st_ctim.tv_sec, (uint32_t)hs->st_ctim.tv_nsec },
		.btime = { g->btime_sec, g->btime_nsec },
	};
}

/* By a descriptor of an open file, which goes away under data_lock only. False: there is none. */
static bool stat_by_fd(struct inode *i, struct p9x_stat *out)
{
	struct ginode *g = ginode_of(i);
	struct stat hs;
	bool ok = false;
	int fd;

	if (g->ro_fd < 0 && g->rw_fd < 0)
		return false;
	sleep_lock(&g->data_lock);
	fd = g->rw_fd >= 0 ? g->rw_fd : g->ro_fd;
	if (fd >= 0 && !host_call(fstat, fd, &hs)) {
		*out = stat_of_host(g, &hs);
		ok = true;
	}
	sleep_unlock(&g->data_lock);
	return ok;
}

long gofer_getattr(struct inode *i, struct kstat *out)
{
	struct p9x_stat st;
	uint32_t fid;
	long ret;

	if (stat_by_fd(i, &st)) {
		ginode_update(i, &st);
		return generic_getattr(i, out);
	}
	ret = ginode_fid(i, &fid);
	if (!ret)
		ret = p9_getattr(client_of(i), fid, &st);
	if (ret)
		return ret;
	ginode_update(i, &st);
	return generic_getattr(i, out);
}

long gofer_setattr(struct inode *i, const struct iattr *a)
{
	static const struct {
		uint32_t attr, p9;
	} map[] = {
		{ ATTR_MODE, P9_SETATTR_MODE }, { ATTR_UID, P9_SETATTR_UID },	  { ATTR_GID, P9_SETATTR_GID },
		{ ATTR_SIZE, P9_SETATTR_SIZE }, { ATTR_ATIME, P9_SETATTR_ATIME }, { ATTR_MTIME, P9_SETATTR_MTIME },
	};
	struct p9_Txsetattr m = {
		.mode = a->mode & 07777, .uid = a->uid, .gid = a->gid, .size = a->size,
		.atime = { (uint64_t)a->atime.sec, a->atime.nsec },
		.mtime = { (uint64_t)a->mtime.sec, a->mtime.nsec },
	};
	struct p9x_stat st;
	uint32_t fid;
	long ret;

	for (size_t k = 0; k < ARRAY_SIZE(map); k++)
		if (a->valid & map[k].attr)
			m.valid |= map[k].p9;
	if (a->valid & ATTR_ATIME && !(a->valid & ATTR_ATIME_NOW))
		m.valid |= P9_SETATTR_ATIME_SET;
	if (a->valid & ATTR_MTIME && !(a->valid & ATTR_MTIME_NOW))
		m.valid |= P9_SETATTR_MTIME_SET;
	if (!m.valid)
		return 0;
	ret = ginode_fid(i, &fid);
	if (!ret)
		ret = p9_setattr(client_of(i), fid, &m, &st);
	if (ret)
		return ret;
	if (a->valid & ATTR_SIZE)
		gdata_stale(i);
	ginode_update(i, &st);
	return 0;
}

/* ---- extended attributes ------------------------------------------------------------------------------- */

static bool has_none(struct inode *i, uint32_t fid)
{
	struct ginode *g = ginode_of(i);

	if (!gsb_of(i->sb)->exclusive)
		return false;
	if (!g->no_xattrs && p9_getxattr(client_of(i), fid, "", NULL, 0) == 0)
		g->no_xattrs = true;
	return g->no_xattrs;
}

long gofer_getxattr(struct inode *i, const char *name, void *val, size_t size)
{
	uint32_t fid;
	long ret;

	if (ginode_of(i)->no_xattrs)
		return -LINUX_ENODATA;
	ret = ginode_fid(i, &fid);
	if (ret)
		return ret;
	if (has_none(i, fid))
		return -LINUX_ENODATA;
	return p9_getxattr(client_of(i), fid, name, val, size);
}

long gofer_listxattr(struct inode *i, char *out, size_t size)
{
	uint32_t fid;
	long ret;

	if (ginode_of(i)->no_xattrs)
		return 0;
	ret = ginode_fid(i, &fid);
	return ret ? ret : p9_getxattr(client_of(i), fid, "", out, size);
}

long gofer_setxattr(struct inode *i, const char *name, const void *val, size_t size, uint32_t flags)
{
	uint32_t fid;
	long ret = ginode_fid(i, &fid);

	if (ret)
		return ret;
	ginode_of(i)->no_xattrs = false;
	ret = p9_setxattr(client_of(i), fid, name, val, size, flags);
	if (!ret)
		inode_touch(i, false, false, true);
	return ret;
}

long gofer_removexattr(struct inode *i, const char *name)
{
	uint32_t fid;
	long ret = ginode_fid(i, &fid);

	if (!ret)
		ret = p9_removexattr(client_of(i), fid, name);
	if (!ret)
		inode_touch(i, false, false, true);
	return ret;
}

long gofer_readlink(struct inode *i, char *out, size_t cap)
{
	uint32_t fid;
	size_t len;
	long ret;

	if (i->link) {
		len = strlen(i->link);
		if (len >= cap)
			return -LINUX_ENAMETOOLONG;
		memcpy(out, i->link, len + 1);
		return (long)len;
	}
	ret = ginode_fid(i, &fid);
	return ret ? ret : p9_readlink(client_of(i), fid, out, cap);
}
