/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fuse_daemon.h - a small file system in memory that speaks the raw FUSE protocol, for tests
 *
 * Model:   fuse_start() mounts it and forks the daemon, one thread, which serves until its connection ends. What it is to do
 *          differently, and how often it was asked what, is in memory shared with the test (struct ctl).
 */
#ifndef FUSE_DAEMON_H
#define FUSE_DAEMON_H

#include <dirent.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define NODES	 256
#define OPS	 64
#define FILE_MAX (4u << 20)
#define BUF_SIZE (1u << 20 | 1u << 14)

struct ctl {
	atomic_int count[OPS];	/* requests seen */
	atomic_int hang;	/* opcode that is read and not answered until asked for something else, 0 none */
	atomic_int error[OPS];	/* errno instead of doing it */
	atomic_int cut;		/* opcode whose answer is one byte short */
	atomic_int write_errno; /* what the device said to the last answer that it refused */
	atomic_int refused;	/* how many it did */
	atomic_int entry_s, attr_s, open_flags, dir_flags, init_flags, max_write, minor, read_cap;
	atomic_int interrupted, releases, nlookups;
	atomic_ullong held;	/* unique of the request that hangs */
	atomic_int uid, pid, last_mode, last_umask, last_flags;
};
static struct ctl *ctl;

struct node {
	int used;
	uint64_t lookups;
	struct fuse_attr a;
	char *data;
	char xname[64], xval[256];
	int xlen;
};
struct name {
	int used;
	uint64_t dir, node;
	char name[256];
};
static struct node nodes[NODES];
static struct name names[NODES * 2];
static int dev = -1;
static pid_t daemon_pid;

static struct node *node_new(uint32_t mode, uint32_t uid, uint32_t gid)
{
	for (int k = 2; k < NODES; k++)
		if (!nodes[k].used) {
			memset(&nodes[k], 0, sizeof(nodes[k]));
			nodes[k].used = 1;
			nodes[k].a = (struct fuse_attr){ .ino = k, .mode = mode, .nlink = S_ISDIR(mode) ? 2 : 1, .uid = uid, .gid = gid,
							 .blksize = 4096, .mtime = 1000, .ctime = 1000, .atime = 1000 };
			nodes[k].data = S_ISDIR(mode) ? NULL : calloc(1, FILE_MAX);
			return &nodes[k];
		}
	return NULL;
}

static struct name *find(uint64_t dir, const char *n)
{
	for (int k = 0; k < NODES * 2; k++)
		if (names[k].used && names[k].dir == dir && !strcmp(names[k].name, n))
			return &names[k];
	return NULL;
}

static void add(uint64_t dir, const char *n, uint64_t node)
{
	for (int k = 0; k < NODES * 2; k++)
		if (!names[k].used) {
			names[k].used = 1;
			names[k].dir = dir;
			names[k].node = node;
			strcpy(names[k].name, n);
			return;
		}
}

static uint64_t id_of(const struct node *n)
{
	return (uint64_t)(n - nodes);
}

static void reply(uint64_t unique, int err, const void *p, size_t len)
{
	static char out[BUF_SIZE];
	struct fuse_out_header *h = (void *)out;

	h->unique = unique;
	h->error = -err;
	h->len = sizeof(*h) + (err ? 0 : len);
	if (!err && len)
		memcpy(out + sizeof(*h), p, len);
	if (write(dev, out, h->len) < 0)
		ctl->write_errno = errno, ctl->refused++;
}

static struct fuse_attr_out attr_out(const struct node *n)
{
	struct fuse_attr_out o = { .attr_valid = ctl->attr_s, .attr = n->a };

	return o;
}

static struct fuse_entry_out entry_out(struct node *n)
{
	struct fuse_entry_out o = { .nodeid = id_of(n), .generation = 1, .entry_valid = ctl->entry_s, .attr_valid = ctl->attr_s, .attr = n->a };

	n->lookups++;
	ctl->nlookups++;
	return o;
}

static void forget(uint64_t id, uint64_t n)
{
	if (id < NODES) {
		nodes[id].lookups -= n;
		ctl->nlookups -= (int)n;
	}
}

static int set_attr(struct node *n, const struct fuse_setattr_in *in)
{
	if (in->valid & FATTR_MODE)
		n->a.mode = (n->a.mode & S_IFMT) | (in->mode & 07777);
	if (in->valid & FATTR_UID)
		n->a.uid = in->uid;
	if (in->valid & FATTR_GID)
		n->a.gid = in->gid;
	if (in->valid & FATTR_SIZE) {
		if (in->size > FILE_MAX)
			return EFBIG;
		if (in->size < n->a.size)
			memset(n->data + in->size, 0, n->a.size - in->size);
		n->a.size = in->size;
	}
	if (in->valid & FATTR_ATIME)
		n->a.atime = in->valid & FATTR_ATIME_NOW ? (uint64_t)time(NULL) : in->atime;
	if (in->valid & FATTR_MTIME)
		n->a.mtime = in->valid & FATTR_MTIME_NOW ? (uint64_t)time(NULL) : in->mtime;
	return 0;
}

static void read_dir(uint64_t unique, uint64_t dir, const struct fuse_read_in *in)
{
	char out[4096];
	size_t len = 0;

	for (int k = (int)in->offset; k < NODES * 2; k++) {
		struct fuse_dirent *d = (void *)(out + len);
		size_t n;

		if (!names[k].used || names[k].dir != dir)
			continue;
		n = strlen(names[k].name);
		if (len + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + n) > (in->size < sizeof(out) ? in->size : sizeof(out)))
			break;
		memset(d, 0, FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + n));
		d->ino = names[k].node;
		d->off = (uint64_t)k + 1;
		d->namelen = (uint32_t)n;
		d->type = nodes[names[k].node].a.mode >> 12;
		memcpy(d->name, names[k].name, n);
		len += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + n);
	}
	reply(unique, 0, out, len);
}

static void make(const struct fuse_in_header *h, uint32_t mode, const char *name, const char *target, int opened)
{
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out = { .o = { .fh = 7, .open_flags = ctl->open_flags } };
	struct node *n;

	if (find(h->nodeid, name)) {
		reply(h->unique, EEXIST, NULL, 0);
		return;
	}
	n = node_new(mode, h->uid, h->gid);
	if (!n) {
		reply(h->unique, ENOSPC, NULL, 0);
		return;
	}
	if (target) {
		strcpy(n->data, target);
		n->a.size = strlen(target);
	}
	if (S_ISDIR(mode))
		nodes[h->nodeid].a.nlink++;
	add(h->nodeid, name, id_of(n));
	out.e = entry_out(n);
	reply(h->unique, 0, &out, opened ? sizeof(out) : sizeof(out.e));
}

static void remove_name(const struct fuse_in_header *h, const char *name)
{
	struct name *e = find(h->nodeid, name);
	struct node *n;

	if (!e) {
		reply(h->unique, ENOENT, NULL, 0);
		return;
	}
	n = &nodes[e->node];
	if (h->opcode == FUSE_RMDIR) {
		for (int k = 0; k < NODES * 2; k++)
			if (names[k].used && names[k].dir == e->node) {
				reply(h->unique, ENOTEMPTY, NULL, 0);
				return;
			}
		nodes[h->nodeid].a.nlink--;
	}
	e->used = 0;
	n->a.nlink--;
	reply(h->unique, 0, NULL, 0);
}

static void rename_name(const struct fuse_in_header *h, uint64_t newdir, uint32_t flags, const char *from)
{
	const char *to = from + strlen(from) + 1;
	struct name *a = find(h->nodeid, from), *b = find(newdir, to);

	if (!a || (b && flags & 1) || (!b && flags & 2)) {
		reply(h->unique, a && b ? EEXIST : ENOENT, NULL, 0);
		return;
	}
	if (flags & 2) {
		uint64_t t = a->node;

		a->node = b->node;
		b->node = t;
	} else {
		if (b) {
			b->used = 0;
			nodes[b->node].a.nlink--;
		}
		a->dir = newdir;
		strcpy(a->name, to);
	}
	reply(h->unique, 0, NULL, 0);
}

static void xattr(const struct fuse_in_header *h, struct node *n, const char *arg)
{
	const struct fuse_getxattr_in *g = (const void *)arg;
	struct fuse_getxattr_out o = { 0 };
	char list[64];

	if (h->opcode == FUSE_SETXATTR) {
		const uint32_t *w = (const void *)arg;
		const char *name = arg + 8;

		strcpy(n->xname, name);
		n->xlen = (int)w[0];
		memcpy(n->xval, name + strlen(name) + 1, w[0]);
		reply(h->unique, 0, NULL, 0);
		return;
	}
	if (h->opcode == FUSE_REMOVEXATTR) {
		int is = n->xname[0] && !strcmp(n->xname, arg);

		n->xname[0] = 0;
		reply(h->unique, is ? 0 : ENODATA, NULL, 0);
		return;
	}
	if (h->opcode == FUSE_LISTXATTR) {
		size_t len = n->xname[0] ? strlen(n->xname) + 1 : 0;

		memcpy(list, n->xname, len);
		o.size = (uint32_t)len;
		reply(h->unique, g->size && g->size < len ? ERANGE : 0, g->size ? (void *)list : &o, g->size ? len : sizeof(o));
		return;
	}
	if (strcmp(n->xname, arg + sizeof(*g)) || !n->xname[0]) {
		reply(h->unique, ENODATA, NULL, 0);
		return;
	}
	o.size = (uint32_t)n->xlen;
	reply(h->unique, g->size && (int)g->size < n->xlen ? ERANGE : 0, g->size ? (void *)n->xval : &o, g->size ? (size_t)n->xlen : sizeof(o));
}

static void do_init(const struct fuse_in_header *h, const struct fuse_init_in *in)
{
	struct fuse_init_out o = { .major = 7, .minor = ctl->minor ? (uint32_t)ctl->minor : 31, .max_readahead = in->max_readahead,
				   .flags = (uint32_t)ctl->init_flags, .max_background = 12, .congestion_threshold = 9,
				   .max_write = ctl->max_write ? (uint32_t)ctl->max_write : 65536, .max_pages = 32 };

	CHECK(in->major == 7 && in->minor >= 31);
	reply(h->unique, 0, &o, sizeof(o));
}

static void do_io(const struct fuse_in_header *h, struct node *n, const char *arg)
{
	if (h->opcode == FUSE_READ) {
		const struct fuse_read_in *in = (const void *)arg;
		size_t len = in->offset >= n->a.size ? 0 : n->a.size - in->offset;

		if (len > in->size)
			len = in->size;
		reply(h->unique, 0, n->data + in->offset, len);
	} else {
		const struct fuse_write_in *in = (const void *)arg;
		struct fuse_write_out o = { .size = in->size };

		if (in->offset + in->size > FILE_MAX) {
			reply(h->unique, EFBIG, NULL, 0);
			return;
		}
		memcpy(n->data + in->offset, in + 1, in->size);
		if (in->offset + in->size > n->a.size)
			n->a.size = in->offset + in->size;
		n->a.mtime++;
		reply(h->unique, 0, &o, sizeof(o));
	}
}

static void do_open(const struct fuse_in_header *h, const char *arg)
{
	struct fuse_open_out o = { .fh = 7, .open_flags = (uint32_t)(h->opcode == FUSE_OPEN ? ctl->open_flags : ctl->dir_flags) };

	ctl->last_flags = (int)((const struct fuse_open_in *)arg)->flags;
	reply(h->unique, 0, &o, sizeof(o));
}

static void do_lookup(const struct fuse_in_header *h, const char *name)
{
	struct name *e = find(h->nodeid, name);
	struct fuse_entry_out o = { 0 };

	if (e)
		o = entry_out(&nodes[e->node]);
	else
		o.entry_valid = (uint64_t)ctl->entry_s;
	reply(h->unique, e || ctl->entry_s ? 0 : ENOENT, &o, sizeof(o));
}

static void do_statfs(const struct fuse_in_header *h)
{
	struct fuse_statfs_out o = { .st = { .blocks = 1000, .bfree = 500, .bavail = 400, .files = 10, .ffree = 5, .bsize = 512, .namelen = 99, .frsize = 1024 } };

	reply(h->unique, 0, &o, sizeof(o));
}

static void do_ioctl(const struct fuse_in_header *h, const struct fuse_ioctl_in *in)
{
	struct {
		struct fuse_ioctl_out o;
		uint32_t v;
	} out = { .o.result = 3 };

	if (in->in_size >= 4)
		out.v = *(const uint32_t *)(in + 1) + 1;
	reply(h->unique, 0, &out, sizeof(out.o) + in->out_size);
}

static void do_small(const struct fuse_in_header *h, struct node *n, const char *arg)
{
	struct fuse_attr_out a;
	int err;

	switch (h->opcode) {
	case FUSE_GETATTR:
		a = attr_out(n);
		reply(h->unique, 0, &a, sizeof(a));
		return;
	case FUSE_SETATTR:
		err = set_attr(n, (const void *)arg);
		a = attr_out(n);
		reply(h->unique, err, &a, sizeof(a));
		return;
	case FUSE_LSEEK: {
		const struct fuse_lseek_in *in = (const void *)arg;
		struct fuse_lseek_out o = { .offset = in->whence == SEEK_HOLE ? 4096 : in->offset };

		reply(h->unique, in->offset >= n->a.size ? ENXIO : 0, &o, sizeof(o));
		return;
	}
	case FUSE_FALLOCATE: {
		const struct fuse_fallocate_in *in = (const void *)arg;

		if (in->mode & 2)
			memset(n->data + in->offset, 0, in->length);
		else if (in->offset + in->length > n->a.size && !(in->mode & 1))
			n->a.size = in->offset + in->length;
		reply(h->unique, 0, NULL, 0);
		return;
	}
	default:
		reply(h->unique, 0, NULL, 0);
	}
}

static void serve_one(const struct fuse_in_header *h, const char *arg)
{
	struct node *n = h->nodeid < NODES ? &nodes[h->nodeid] : NULL;

	switch (h->opcode) {
	case FUSE_INIT:
		do_init(h, (const void *)arg);
		break;
	case FUSE_LOOKUP:
		do_lookup(h, arg);
		break;
	case FUSE_READLINK:
		reply(h->unique, 0, n->data, n->a.size);
		break;
	case FUSE_SYMLINK:
		make(h, S_IFLNK | 0777, arg, arg + strlen(arg) + 1, 0);
		break;
	case FUSE_MKNOD:
		make(h, ((const struct fuse_mknod_in *)arg)->mode, arg + sizeof(struct fuse_mknod_in), NULL, 0);
		break;
	case FUSE_MKDIR:
		ctl->last_mode = (int)((const struct fuse_mkdir_in *)arg)->mode;
		ctl->last_umask = (int)((const struct fuse_mkdir_in *)arg)->umask;
		make(h, S_IFDIR | (((const struct fuse_mkdir_in *)arg)->mode & 07777), arg + sizeof(struct fuse_mkdir_in), NULL, 0);
		break;
	case FUSE_CREATE:
		ctl->last_flags = (int)((const struct fuse_create_in *)arg)->flags;
		make(h, ((const struct fuse_create_in *)arg)->mode, arg + sizeof(struct fuse_create_in), NULL, 1);
		break;
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		remove_name(h, arg);
		break;
	case FUSE_RENAME:
		rename_name(h, ((const struct fuse_rename_in *)arg)->newdir, 0, arg + sizeof(struct fuse_rename_in));
		break;
	case FUSE_RENAME2:
		rename_name(h, ((const struct fuse_rename2_in *)arg)->newdir, ((const struct fuse_rename2_in *)arg)->flags,
			    arg + sizeof(struct fuse_rename2_in));
		break;
	case FUSE_LINK: {
		struct node *o = &nodes[((const struct fuse_link_in *)arg)->oldnodeid];
		struct fuse_entry_out e;

		o->a.nlink++;
		add(h->nodeid, arg + sizeof(struct fuse_link_in), id_of(o));
		e = entry_out(o);
		reply(h->unique, 0, &e, sizeof(e));
		break;
	}
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		do_open(h, arg);
		break;
	case FUSE_READ:
	case FUSE_WRITE:
		do_io(h, n, arg);
		break;
	case FUSE_READDIR:
		read_dir(h->unique, h->nodeid, (const void *)arg);
		break;
	case FUSE_SETXATTR:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_REMOVEXATTR:
		xattr(h, n, arg);
		break;
	case FUSE_STATFS:
		do_statfs(h);
		break;
	case FUSE_IOCTL:
		do_ioctl(h, (const void *)arg);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
	case FUSE_LSEEK:
	case FUSE_FALLOCATE:
	case FUSE_ACCESS:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
		do_small(h, n, arg);
		break;
	default:
		reply(h->unique, ENOSYS, NULL, 0);
	}
}

static void handle(const struct fuse_in_header *h, const char *arg)
{
	int op = (int)h->opcode;

	if (op < OPS)
		ctl->count[op]++;
	ctl->uid = (int)h->uid;
	ctl->pid = (int)h->pid;
	if (op == FUSE_FORGET) {
		forget(h->nodeid, ((const struct fuse_forget_in *)arg)->nlookup);
	} else if (op == FUSE_BATCH_FORGET) {
		const struct fuse_batch_forget_in *b = (const void *)arg;
		const struct fuse_forget_one *one = (const void *)(b + 1);

		for (uint32_t k = 0; k < b->count; k++)
			forget(one[k].nodeid, one[k].nlookup);
	} else if (op == FUSE_INTERRUPT) {
		ctl->interrupted++;
		if (((const struct fuse_interrupt_in *)arg)->unique == ctl->held) {
			reply(ctl->held, EINTR, NULL, 0);
			ctl->held = 0;
		}
	} else if (op == ctl->hang) {
		ctl->held = h->unique;
	} else if (op < OPS && ctl->error[op]) {
		reply(h->unique, ctl->error[op], NULL, 0);
	} else if (op == ctl->cut) {
		char junk[3] = { 0 };

		reply(h->unique, 0, junk, sizeof(junk));
	} else {
		serve_one(h, arg);
	}
}

static void serve(void)
{
	char *buf = malloc(BUF_SIZE);
	ssize_t n;

	nodes[1].used = 1;
	nodes[1].a = (struct fuse_attr){ .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2, .uid = getuid(), .gid = getgid(), .blksize = 4096 };
	for (;;) {
		n = read(dev, buf, BUF_SIZE);
		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		if (n < 0)
			_exit(errno == ENODEV ? 0 : 9);
		CHECK(((struct fuse_in_header *)buf)->len == (uint32_t)n);
		handle((const void *)buf, buf + sizeof(struct fuse_in_header));
	}
}

static void fuse_ctl(void)
{
	if (!ctl)
		ctl = mmap(NULL, sizeof(*ctl), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(ctl, 0, sizeof(*ctl));
}

/* What a test that fails leaves mounted goes with it. */
static inline void fuse_own_namespace(void)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		SKIP("no mount namespace of its own");
}

/* Mounted at @at by the caller's ids; @more: further options, with a comma in front. */
static void fuse_start(const char *at, const char *more)
{
	char opts[256];

	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		SKIP("no /dev/fuse");
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=%u,group_id=%u%s", dev, getuid(), getgid(), more);
	if (mount("test", at, "fuse.guest", MS_NOSUID | MS_NODEV, opts)) {
		if (errno == EPERM)
			SKIP("may not mount");
		CHECK(!"mount");
	}
	daemon_pid = fork();
	CHECK(daemon_pid >= 0);
	if (!daemon_pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve();
	}
	close(dev);
	dev = -1;
}

/* The connection ends by an unmount. */
static void fuse_stop(const char *at)
{
	int st;

	CHECK(umount2(at, 0) == 0);
	CHECK(waitpid(daemon_pid, &st, 0) == daemon_pid && WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static inline void nap_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

/* Until the daemon has been asked @op @n times. */
static inline void wait_count(int op, int n)
{
	for (int k = 0; k < 2000 && ctl->count[op] < n; k++)
		nap_ms(2);
	CHECK(ctl->count[op] >= n);
}

#endif
