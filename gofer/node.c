/* SPDX-License-Identifier: Apache-2.0
 * gofer/node.c - host objects below a root: one step, attributes, opening
 *
 * Model:   see server.h. The type of an object is read once from its O_PATH descriptor and cannot
 *          change, so that "is it a regular file?" and "open it" speak of the same thing whatever
 *          others do to the names meanwhile.
 * Source:  openat2(2), statx(2), proc(5) on /proc/self/fd.
 */
#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

#define GOFER_RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)

const struct gofer_hostcall gofer_calls_node[] = {
	HOSTCALL(openat2, "steps from a directory; flags are behind a pointer, names were checked"),
	HOSTCALL(openat, "objects again, by their number in /proc/self/fd; \".\" of a directory"),
	HOSTCALL(statx, "attributes"),
	HOSTCALL(close, "descriptors of fids"),
	HOSTCALL(fchownat, "owner of what was made, Tsetattr"),
	HOSTCALL(fchmodat, "mode of what was made, Tsetattr"),
	{ 0 },
};

struct gnode *gnode_new(int fd, mode_t type, bool ro)
{
	struct gnode *n = malloc(sizeof(*n));

	if (!n) {
		close(fd);
		return NULL;
	}
	ref_init(&n->ref, 1);
	n->fd = fd;
	n->type = type & S_IFMT;
	n->ro = ro;
	return n;
}

struct gnode *gnode_get(struct gnode *n)
{
	ref_get(&n->ref);
	return n;
}

void gnode_put(struct gnode *n)
{
	if (!n || !ref_put(&n->ref))
		return;
	close(n->fd);
	free(n);
}

struct fdpath fdpath(int fd)
{
	struct fdpath p;

	snprintf(p.s, sizeof(p.s), "%d", fd);
	return p;
}

long gname_take(struct p9_str s, struct gname *out)
{
	int ret = p9_name_check(s);

	if (ret)
		return ret;
	memcpy(out->s, s.p, s.len);
	out->s[s.len] = '\0';
	return 0;
}

static void xstat_fill(struct p9x_stat *out, const struct statx *sx)
{
	*out = (struct p9x_stat){
		.mask = sx->stx_mask,
		.mode = sx->stx_mode,
		.nlink = sx->stx_nlink,
		.uid = sx->stx_uid,
		.gid = sx->stx_gid,
		.blksize = sx->stx_blksize,
		.attributes = sx->stx_attributes,
		.ino = sx->stx_ino,
		.size = sx->stx_size,
		.blocks = sx->stx_blocks,
		.dev_major = sx->stx_dev_major,
		.dev_minor = sx->stx_dev_minor,
		.rdev_major = sx->stx_rdev_major,
		.rdev_minor = sx->stx_rdev_minor,
		.atime = { sx->stx_atime.tv_sec, sx->stx_atime.tv_nsec },
		.mtime = { sx->stx_mtime.tv_sec, sx->stx_mtime.tv_nsec },
		.ctime = { sx->stx_ctime.tv_sec, sx->stx_ctime.tv_nsec },
		.btime = { sx->stx_btime.tv_sec, sx->stx_btime.tv_nsec },
	};
}

static long stat_common(int dirfd, const char *name, int flags, struct p9x_stat *out)
{
	struct statx sx;

	if (statx(dirfd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_BASIC_STATS | STATX_BTIME, &sx))
		return -errno;
	xstat_fill(out, &sx);
	return 0;
}

long node_stat(int fd, struct p9x_stat *out)
{
	return stat_common(fd, "", AT_EMPTY_PATH, out);
}

long node_stat_at(int dirfd, const char *name, struct p9x_stat *out)
{
	return stat_common(dirfd, name, 0, out);
}

/* Numbers of several host file systems below one root must not collide: the device goes in the top. */
struct p9_qid qid_of(const struct p9x_stat *st)
{
	uint64_t dev = (uint64_t)st->dev_major << 12 ^ st->dev_minor;
	struct p9_qid q = { .path = st->ino ^ dev << 44,
			    .version = (uint32_t)st->mtime.sec ^ st->mtime.nsec ^ (uint32_t)st->size << 8 };

	if (S_ISDIR(st->mode))
		q.type = P9_QTDIR;
	else if (S_ISLNK(st->mode))
		q.type = P9_QTSYMLINK;
	return q;
}

long node_child_stat(struct gnode *dir, const char *name, struct gnode **out, struct p9x_stat *st)
{
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = GOFER_RESOLVE };
	long fd, ret;

	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	fd = syscall(SYS_openat2, dir->fd, name, &how, sizeof(how));
	if (fd < 0)
		return -errno;
	ret = node_stat((int)fd, st);
	if (ret) {
		close((int)fd);
		return ret;
	}
	*out = gnode_new((int)fd, st->mode, dir->ro);
	return *out ? 0 : -ENOMEM;
}

long node_child(struct gnode *dir, const char *name, struct gnode **out)
{
	struct p9x_stat st;

	return node_child_stat(dir, name, out, &st);
}

long node_walk(struct gnode *from, const struct p9_names *names, struct gnode **out, struct gnode **parent,
	       struct gname *last)
{
	struct gnode *at = gnode_get(from), *up = NULL, *next;
	long ret = 0;

	for (unsigned i = 0; i < names->n && !ret; i++) {
		ret = gname_take(names->v[i], last);
		if (!ret)
			ret = node_child(at, last->s, &next);
		if (ret)
			break;
		gnode_put(up);
		up = at;
		at = next;
	}
	if (ret) {
		gnode_put(at);
		gnode_put(up);
		return ret;
	}
	*out = at;
	*parent = up;
	return 0;
}

/* P9_O_* are Linux's generic numbers, which are not those of every architecture. */
long host_open_flags(uint32_t p9flags, int *out)
{
	static const struct {
		uint32_t p9;
		int host;
	} map[] = {
		{ P9_O_TRUNC, O_TRUNC },   { P9_O_APPEND, O_APPEND }, { P9_O_DSYNC, O_DSYNC },
		{ P9_O_SYNC, O_SYNC },	   { P9_O_DIRECT, O_DIRECT }, { P9_O_NOATIME, O_NOATIME },
		{ P9_O_NONBLOCK, O_NONBLOCK },
	};
	int flags = (int)(p9flags & P9_O_ACCMODE);

	if ((p9flags & ~P9_O_KNOWN) || flags == O_ACCMODE)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if ((p9flags & map[i].p9) == map[i].p9)
			flags |= map[i].host;
	*out = flags | O_CLOEXEC | O_NOCTTY;
	return 0;
}

static long open_checked(int dirfd, const char *path, int flags, int *out_fd)
{
	int fd = openat(dirfd, path, flags);

	if (fd < 0)
		return -errno;
	*out_fd = fd;
	return 0;
}

/**
 * node_open() - a descriptor that reads or writes @n
 *
 * Devices are never opened, sockets are connected to (op_sock.c), fifos only if the policy says so
 * and then without waiting for the other side (the Sentry waits, not a thread of ours).
 * Return: 0; -EROFS, -EISDIR, -ELOOP (a link), -ENXIO (socket), -EACCES (device, fifo), or open(2)'s
 */
long node_open(const struct gofer_server *srv, struct gnode *n, uint32_t flags, int *out_fd)
{
	bool writes = (flags & P9_O_ACCMODE) != 0 || (flags & P9_O_TRUNC);
	int host;
	long ret = host_open_flags(flags, &host);

	if (ret)
		return ret;
	if (S_ISDIR(n->type)) {
		if (writes)
			return -EISDIR;
		return open_checked(n->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, out_fd);
	}
	if (flags & P9_O_DIRECTORY)
		return -ENOTDIR;
	switch (n->type) {
	case S_IFREG:
		if (writes && n->ro)
			return -EROFS;
		return open_checked(AT_FDCWD, fdpath(n->fd).s, host & ~O_NONBLOCK, out_fd);
	case S_IFIFO:
		if (!(srv->policy & GOFER_FIFO_OPEN))
			return -EACCES;
		return open_checked(AT_FDCWD, fdpath(n->fd).s, host | O_NONBLOCK, out_fd);
	case S_IFLNK:
		return -ELOOP;
	case S_IFSOCK:
		return -ENXIO;
	}
	return -EACCES;
}

long node_may_change(const struct gnode *dir)
{
	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	return dir->ro ? -EROFS : 0;
}

/**
 * node_set_owner_mode() - finish what was just made as root
 * @fd:		of the new object itself, so that a swapped name is not what gets changed
 * @uid, @gid:	P9_NONUNAME leaves it
 *
 * The mode is set again after a change of owner, which clears the set-id bits.
 */
long node_set_owner_mode(int fd, mode_t type, uint32_t uid, uint32_t gid, mode_t mode)
{
	struct p9x_stat st;
	long ret = node_stat(fd, &st);

	if (ret)
		return ret;
	if ((st.mode & S_IFMT) != (type & S_IFMT) || (!S_ISDIR(type) && st.nlink > 1))
		return -ESTALE;
	if (uid == P9_NONUNAME)
		uid = st.uid;
	if (gid == P9_NONUNAME)
		gid = st.gid;
	if ((uid != st.uid || gid != st.gid) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH))
		return -errno;
	/* a set-group-id directory hands its bit down: keep that */
	mode = (mode & 07777) | (S_ISDIR(type) ? st.mode & S_ISGID : 0);
	if (!S_ISLNK(type) && ((st.mode & 07777) != mode || (mode & 06000)) &&
	    fchmodat(AT_FDCWD, fdpath(fd).s, mode, 0))
		return -errno;
	return 0;
}
