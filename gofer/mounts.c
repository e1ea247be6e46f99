/* SPDX-License-Identifier: Apache-2.0
 * gofer/mounts.c - the container's files as a mount tree of our own
 *
 * Source:  open_tree(2), mount_setattr(2), move_mount(2), fsopen(2), pivot_root(2) NOTES on
 *          pivot_root(".", ".").
 */
#include "gofer/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct mount_opt {
	const char *name;
	void (*set)(struct gofer_mount *m);
	uint64_t attr; /* MOUNT_ATTR_* when there is nothing else to do */
};

static void opt_ro(struct gofer_mount *m) { m->ro = true; }
static void opt_rw(struct gofer_mount *m) { m->ro = false; }
static void opt_bind(struct gofer_mount *m) { m->recursive = false; }
static void opt_rbind(struct gofer_mount *m) { m->recursive = true; }
static void opt_private(struct gofer_mount *m) { m->slave = false; }
static void opt_slave(struct gofer_mount *m) { m->slave = true; }

static const struct mount_opt mount_opts[] = {
	{ "ro", opt_ro, 0 },
	{ "rw", opt_rw, 0 },
	{ "bind", opt_bind, 0 },
	{ "rbind", opt_rbind, 0 },
	{ "private", opt_private, 0 },
	{ "rprivate", opt_private, 0 },
	{ "slave", opt_slave, 0 },
	{ "rslave", opt_slave, 0 },
	{ "shared", opt_slave, 0 },
	{ "rshared", opt_slave, 0 },
	{ "nosuid", NULL, MOUNT_ATTR_NOSUID },
	{ "nodev", NULL, MOUNT_ATTR_NODEV },
	{ "noexec", NULL, MOUNT_ATTR_NOEXEC },
	{ "noatime", NULL, MOUNT_ATTR_NOATIME },
	{ "nodiratime", NULL, MOUNT_ATTR_NODIRATIME },
	{ "strictatime", NULL, MOUNT_ATTR_STRICTATIME },
	{ "relatime", NULL, 0 },
	{ "suid", NULL, 0 },
	{ "dev", NULL, 0 },
	{ "exec", NULL, 0 },
	{ "atime", NULL, 0 },
	{ "diratime", NULL, 0 },
	{ "", NULL, 0 },
};

static int parse_fd(const char *s, size_t len, struct gofer_mount *m)
{
	char *end;
	long v;

	if (!len || s[0] < '0' || s[0] > '9')
		return -1;
	v = strtol(s, &end, 10);
	if (end != s + len || v < 7 || v > 1 << 20)
		return -1;
	m->fd = (int)v;
	return 0;
}

static int parse_option(const char *s, size_t len, struct gofer_mount *m)
{
	if (len > 3 && !memcmp(s, "fd=", 3))
		return parse_fd(s + 3, len - 3, m);
	for (size_t i = 0; i < ARRAY_SIZE(mount_opts); i++) {
		const struct mount_opt *o = &mount_opts[i];

		if (strlen(o->name) != len || memcmp(o->name, s, len))
			continue;
		if (o->set)
			o->set(m);
		m->attr |= o->attr;
		return 0;
	}
	return -1;
}

int gofer_mount_parse(const char *arg, struct gofer_mount *out, struct err *e)
{
	struct gofer_mount m = { .recursive = true, .fd = -1, .attr = MOUNT_ATTR_NODEV };
	const char *colon = strchr(arg, ':'), *s = arg;

	if (!colon)
		return err_set(e, EINVAL, "mount \"%s\": no ':' before the source", arg);
	m.source = colon + 1;
	while (s <= colon) {
		size_t len = strcspn(s, ",:");

		if (parse_option(s, len, &m))
			return err_set(e, EINVAL, "mount \"%s\": unknown option \"%.*s\"", m.source, (int)len, s);
		s += len + 1;
	}
	if (!m.source[0] && m.fd < 0)
		return err_set(e, EINVAL, "mount \"%s\": no source", arg);
	*out = m;
	return 0;
}

static int set_attrs(int tree, const struct gofer_mount *m, struct err *e)
{
	struct mount_attr a = { .attr_set = m->attr | (m->ro ? MOUNT_ATTR_RDONLY : 0) };

	if (m->attr & (MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME))
		a.attr_clr = MOUNT_ATTR__ATIME;
	a.propagation = m->slave ? MS_SLAVE : MS_PRIVATE;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)))
		return err_sys(e, "set options of mount %s", m->source);
	return 0;
}

static int open_source(struct gofer_mount *m, struct err *e)
{
	if (m->fd < 0)
		m->fd = open_tree(AT_FDCWD, m->source,
				  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->recursive ? AT_RECURSIVE : 0));
	if (m->fd < 0)
		return err_sys(e, "mount source %s", m->source);
	return set_attrs(m->fd, m, e);
}

/* A directory or an empty file, whatever the source is. */
static int make_mountpoint(int rootfd, const char *name, int source, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (fstat(source, &st))
		return err_sys(e, "stat mount %s", name);
	if (S_ISDIR(st.st_mode)) {
		if (mkdirat(rootfd, name, 0755))
			return err_sys(e, "mkdir %s", name);
		return 0;
	}
	fd = openat(rootfd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "create %s", name) : 0;
}

static int attach(struct gofer_mount *m, unsigned n, int rootfd, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		char name[12];

		snprintf(name, sizeof(name), "%u", i);
		if (make_mountpoint(rootfd, name, m[i].fd, e))
			return -1;
		if (move_mount(m[i].fd, "", rootfd, name, MOVE_MOUNT_F_EMPTY_PATH))
			return err_sys(e, "attach mount %s", m[i].source);
		close(TAKE_FD(m[i].fd));
	}
	return 0;
}

/* A detached file system with one option. */
static int new_fs(const char *type, const char *opt, const char *val, uint64_t attr, struct err *e)
{
	AUTO_CLOSE int fs = fsopen(type, FSOPEN_CLOEXEC);
	int mnt;

	if (fs < 0)
		return err_sys(e, "fsopen %s", type);
	if (fsconfig(fs, FSCONFIG_SET_STRING, opt, val, 0))
		return err_sys(e, "%s: option %s=%s", type, opt, val);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return err_sys(e, "create %s", type);
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attr);
	return mnt < 0 ? err_sys(e, "fsmount %s", type) : mnt;
}

/* /proc/self/fd of a procfs that is mounted nowhere and shows processes only: the way to name what a
 * descriptor holds. Where a procfs may not be made (it would show more than the one that is visible to
 * us), the mounted one does if it is of our pid namespace. */
static int open_procfd(struct err *e)
{
	const uint64_t attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	AUTO_CLOSE int proc = new_fs("proc", "subset", "pid", attr, NULL);
	char self[16], link[16] = "";
	int fd;

	if (proc < 0)
		proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return err_sys(e, "open /proc");
	snprintf(self, sizeof(self), "%d", (int)getpid());
	if (readlinkat(proc, "self", link, sizeof(link) - 1) < 0 || strcmp(link, self) != 0)
		return err_set(e, ENOENT, "no procfs of our own pid namespace can be had");
	fd = openat(proc, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "open /proc/self/fd") : fd;
}

/* The new root covers the old one: pivot_root(2) wants a mount point, and older kernels let only an
 * attached mount take others. Paths of this process still start at the old one. */
static int cover_root(int rootfd, struct err *e)
{
	if (move_mount(rootfd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH))
		return err_sys(e, "attach new root");
	if (fchdir(rootfd))
		return err_sys(e, "enter new root");
	return 0;
}

static int pivot(struct err *e)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };

	if (syscall(SYS_pivot_root, ".", "."))
		return err_sys(e, "pivot_root");
	if (umount2(".", MNT_DETACH))
		return err_sys(e, "unmount old root");
	if (chroot(".") || chdir("/"))
		return err_sys(e, "enter root");
	if (mount_setattr(AT_FDCWD, "/", 0, &ro, sizeof(ro)))
		return err_sys(e, "make root read-only");
	return 0;
}

static int open_roots(const struct gofer_mount *m, unsigned n, struct gofer_root *roots, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/%u", i);
		roots[i].ro = m[i].ro;
		roots[i].fd = open(path, O_PATH | O_CLOEXEC);
		if (roots[i].fd < 0)
			return err_sys(e, "open mount %s", m[i].source);
	}
	return 0;
}

int gofer_mounts_build(struct gofer_mount *m, unsigned n, bool own_ns, struct gofer_root *roots,
		       int *out_procfd, struct err *e)
{
	const uint64_t attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	AUTO_CLOSE int rootfd = -1, procfd = -1;

	if (!own_ns && unshare(CLONE_NEWNS))
		return err_sys(e, "unshare mount namespace");
	/* receive what the host mounts, send nothing back */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return err_sys(e, "make mounts slaves");
	procfd = open_procfd(e);
	if (procfd < 0)
		return -1;
	rootfd = new_fs("tmpfs", "size", "1m", attr, e);
	if (rootfd < 0)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (open_source(&m[i], e))
			return -1;
	if (cover_root(rootfd, e) || attach(m, n, rootfd, e) || pivot(e) || open_roots(m, n, roots, e))
		return -1;
	*out_procfd = TAKE_FD(procfd);
	return 0;
}
