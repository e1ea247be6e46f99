/* SPDX-License-Identifier: Apache-2.0
 * test/unit/gofer/gofer_vfs_test.c - the Sentry's gofer file system through VFS, on kernel threads
 */
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/fdpass.h"
#include "gofer_util.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/vfs/vfs.h"

TestSuite(gofer_vfs, .timeout = 30);

struct world {
	struct rig r;
	struct gofer_link *link;
	struct mnt_ns *ns;
	struct fs_struct *fs;
	struct cred *cred;
	struct vfs_ctx ctx;
	bool exclusive;
	const char *aname;
	_Atomic unsigned requests; /* that the server saw */
	void (*body)(struct world *w);
	sem_t done;
};

/* A server that counts: between the client and the real one sits nothing but the handler. */
static void *counting_server(void *arg)
{
	struct world *w = arg;
	uint8_t *req = malloc(P9_MSIZE_MAX), *rep = malloc(P9_MSIZE_MAX);
	ssize_t n;

	while ((n = read(w->r.server_sock, req, P9_MSIZE_MAX)) > 0) {
		int fd;
		size_t len = gofer_conn_handle(w->r.conn, req, (size_t)n, rep, &fd);

		w->requests++;
		fd_send(w->r.server_sock, rep, len, &fd, fd >= 0);
		if (fd >= 0)
			close(fd);
	}
	free(req);
	free(rep);
	return NULL;
}

static void kernel_main(void *arg)
{
	struct world *w = arg;
	struct gofer_mount m = { .exclusive = w->exclusive, .aname = w->aname ? w->aname : "0" };
	struct super_block *sb;
	struct path root;

	vfs_init();
	gofer_fs_init();
	cr_assert_eq(gofer_link_new(w->r.sock, &w->link), 0);
	m.link = w->link;
	cr_assert_eq(gofer_mount(&m, &sb), 0);
	cr_assert_eq(mnt_ns_new(sb, 0, &init_user_ns, &w->ns, &root), 0);
	w->fs = fs_struct_new(&root, &root, 022);
	w->cred = cred_new_root();
	w->ctx = (struct vfs_ctx){ .fs = w->fs, .mnt_ns = w->ns, .cred = w->cred };
	w->body(w);
	path_put(&root);
	fs_struct_put(w->fs);
	sem_post(&w->done);
}

static void run_in(struct world *w)
{
	char cmd[128];

	sem_init(&w->done, 0, 0);
	cr_assert_eq(run_start(2), 0);
	cr_assert_not_null(kthread_start(kernel_main, w, "test"));
	sem_wait(&w->done);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", w->r.dir);
	cr_assert_eq(system(cmd), 0);
}

static void run_world(bool exclusive, void (*body)(struct world *))
{
	struct world *w = calloc(1, sizeof(*w));
	int sv[2];

	rig_tree(&w->r);
	w->exclusive = exclusive;
	w->body = body;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	w->r.server_sock = sv[0];
	w->r.sock = sv[1];
	pthread_create(&w->r.thread, NULL, counting_server, w);
	run_in(w);
}

/* The same on a server that is not ours. */
static void run_on_diod(void (*body)(struct world *))
{
	struct world *w = calloc(1, sizeof(*w));
	char fd[16];
	int sv[2];
	pid_t pid;

	if (access("/usr/sbin/diod", X_OK))
		cr_skip_test("diod is not installed");
	if (geteuid() != 0)
		cr_skip_test("diod serves as root");
	rig_tree(&w->r);
	w->body = body;
	w->aname = w->r.root;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	pid = fork();
	if (!pid) {
		close(sv[1]);
		snprintf(fd, sizeof(fd), "%d", sv[0]);
		if (chdir("/"))
			_exit(126);
		execl("/usr/sbin/diod", "diod", "-f", "-n", "-c", "/dev/null", "-r", fd, "-w", fd, "-e", w->r.root, "-L", 
		      "stderr", NULL);
		_exit(127);
	}
	close(sv[0]);
	w->r.sock = sv[1];
	run_in(w);
	kill(pid, SIGKILL); /* the link is still there: it would wait for that */
	waitpid(pid, NULL, 0);
}

/* ---- helpers ------------------------------------------------------------------------------------------ */

static struct file *open_ok(struct world *w, const char *path, uint32_t flags)
{
	struct file *f;
	long ret = vfs_open(&w->ctx, LINUX_AT_FDCWD, path, flags, 0644, 0, &f);

	cr_assert_eq(ret, 0, "%s: %ld", path, ret);
	return f;
}

static long read_at(struct file *f, void *buf, size_t len, uint64_t pos)
{
	struct uio io;

	uio_init_kernel(&io, buf, len);
	return vfs_read(f, &io, &pos, 0);
}

static long write_at(struct file *f, const void *buf, size_t len, uint64_t pos)
{
	struct uio io;

	uio_init_kernel(&io, (void *)buf, len);
	return vfs_write(f, &io, &pos, 0, UINT64_MAX);
}

static long stat_of(struct world *w, const char *path, struct kstat *st)
{
	return vfs_stat(&w->ctx, LINUX_AT_FDCWD, path, WALK_FOLLOW, st);
}

static void host_path(struct world *w, const char *name, char out[160])
{
	snprintf(out, 160, "%s/%s", w->r.root, name);
}

struct names {
	struct dir_emit e;
	char all[512];
	unsigned n;
};

static bool take_name(struct dir_emit *e, const char *name, size_t len, uint64_t ino, uint8_t type, uint64_t off)
{
	struct names *n = container_of(e, struct names, e);
	size_t at = strlen(n->all);

	n->n++;
	snprintf(n->all + at, sizeof(n->all) - at, " %.*s ", (int)len, name);
	return true;
}

/* ---- exclusive mounts -------------------------------------------------------------------------------------- */

static void exclusive_body(struct world *w)
{
	struct kstat st;
	struct names n = { .e.add = take_name };
	struct file *f;
	unsigned before;
	uint64_t pos = 0;
	char buf[64];

	cr_assert_eq(stat_of(w, "/sub/deep", &st), 0);
	cr_assert_eq(st.size, 5);
	before = w->requests;
	/* everything in directories that were seen once costs no request, absent names included */
	cr_assert_eq(stat_of(w, "/hello", &st), 0);
	cr_assert_eq(st.size, 13);
	cr_assert_eq(stat_of(w, "/none", &st), -LINUX_ENOENT);
	cr_assert_eq(stat_of(w, "/sub/none", &st), -LINUX_ENOENT);
	for (int i = 0; i < 10; i++)
		file_put(open_ok(w, "/hello", 0));
	cr_assert_eq(w->requests, before, "%u requests", w->requests - before);
	/* the content of a small file comes once, with the open */
	f = open_ok(w, "/hello", 0);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 13);
	cr_assert_arr_eq(buf, "hello, world\n", 13);
	before = w->requests;
	for (int i = 0; i < 10; i++)
		cr_assert_eq(read_at(f, buf, sizeof(buf), 7), 6);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 13), 0);
	file_put(f);
	f = open_ok(w, "/hello", 0);
	cr_assert_eq(read_at(f, buf, 3, 0), 3);
	file_put(f);
	cr_assert_eq(w->requests, before);
	f = open_ok(w, "/", LINUX_O_DIRECTORY);
	cr_assert_eq(f->ops->iterate(f, &n.e, &pos), 0);
	cr_assert_eq(w->requests, before);
	cr_assert_eq(n.n, 7, "%s", n.all);
	cr_assert(strstr(n.all, " hello ") && strstr(n.all, " . ") && strstr(n.all, " fifo "));
	file_put(f);
}

static void exclusive_changes_body(struct world *w)
{
	struct kstat st;
	struct file *f;
	struct stat hs;
	char p[160], buf[64];

	cr_assert_eq(stat_of(w, "/new", &st), -LINUX_ENOENT);
	f = open_ok(w, "/new", LINUX_O_CREAT | LINUX_O_RDWR);
	cr_assert_eq(write_at(f, "some text", 9, 0), 9);
	cr_assert_eq(read_at(f, buf, 4, 5), 4);
	cr_assert_arr_eq(buf, "text", 4);
	cr_assert_eq(stat_of(w, "/new", &st), 0);
	cr_assert_eq(st.size, 9);
	host_path(w, "new", p);
	cr_assert_eq(stat(p, &hs), 0);
	cr_assert_eq(hs.st_size, 9);
	cr_assert_eq(hs.st_mode & 07777, 0644);
	cr_assert_eq(vfs_mkdir(&w->ctx, LINUX_AT_FDCWD, "/d", 0755), 0);
	cr_assert_eq(vfs_rename(&w->ctx, LINUX_AT_FDCWD, "/new", LINUX_AT_FDCWD, "/d/moved", 0), 0);
	cr_assert_eq(stat_of(w, "/new", &st), -LINUX_ENOENT);
	long ret = stat_of(w, "/d/moved", &st);
	cr_assert_eq(ret, 0, "%ld", ret);
	cr_assert_eq(vfs_link(&w->ctx, LINUX_AT_FDCWD, "/d/moved", LINUX_AT_FDCWD, "/second", 0), 0);
	cr_assert_eq(stat_of(w, "/second", &st), 0);
	cr_assert_eq(st.nlink, 2);
	cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, "/d/moved"), 0);
	cr_assert_eq(vfs_rmdir(&w->ctx, LINUX_AT_FDCWD, "/d"), 0);
	cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, "/second"), 0);
	cr_assert_eq(stat_of(w, "/second", &st), -LINUX_ENOENT);
	/* it is open: reading and writing go on */
	cr_assert_eq(write_at(f, "SOME", 4, 0), 4);
	cr_assert_eq(read_at(f, buf, 9, 0), 9);
	cr_assert_arr_eq(buf, "SOME text", 9);
	file_put(f);
	cr_assert_eq(vfs_symlink(&w->ctx, "sub/deep", LINUX_AT_FDCWD, "/sl"), 0);
	f = open_ok(w, "/sl", 0);
	cr_assert_eq(read_at(f, buf, 9, 0), 5);
	file_put(f);
	cr_assert_eq(access(p, F_OK), -1);
}

/* A larger file: pread first, then the mapping; and the host cuts it short under the mapping. */
static void mapping_body(struct world *w)
{
	static char data[70000];
	struct file *f;
	char p[160], buf[4096];
	int fd;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 251);
	host_path(w, "large", p);
	fd = open(p, O_CREAT | O_RDWR, 0644);
	cr_assert_eq(write(fd, data, sizeof(data)), (ssize_t)sizeof(data));
	f = open_ok(w, "/large", 0);
	for (int i = 0; i < 10; i++) {
		uint64_t off = (uint64_t)(i * 6911 % 66000);

		cr_assert_eq(read_at(f, buf, sizeof(buf), off), (long)MIN(sizeof(buf), sizeof(data) - off));
		cr_assert_arr_eq(buf, data + off, MIN(sizeof(buf), sizeof(data) - off));
	}
	cr_assert_eq(ftruncate(fd, 100), 0);
	cr_assert_eq(read_at(f, buf, 50, 0), 50, "the first page is there");
	cr_assert_eq(read_at(f, buf, 50, 60000), -LINUX_EIO, "an error, not a crash");
	close(fd);
	file_put(f);
}

/* Inline content must not outlive a change. */
static void inline_body(struct world *w)
{
	struct file *f, *rw;
	char buf[64];

	f = open_ok(w, "/hello", 0);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 13);
	rw = open_ok(w, "/hello", LINUX_O_RDWR);
	cr_assert_eq(write_at(rw, "J", 1, 0), 1);
	cr_assert_eq(write_at(rw, "tail", 4, 13), 4);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 17);
	cr_assert_arr_eq(buf, "Jello, world\ntail", 17);
	file_put(rw);
	cr_assert_eq(vfs_truncate(&w->ctx, &f->path, NULL, 5), 0);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 5);
	cr_assert_eq(vfs_truncate(&w->ctx, &f->path, NULL, 8), 0);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 8);
	cr_assert_arr_eq(buf, "Jello\0\0\0", 8);
	file_put(f);
	f = open_ok(w, "/hello", 0);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 8);
	file_put(f);
}

static void xattr_body(struct world *w)
{
	struct file *f = open_ok(w, "/hello", 0);
	struct inode *i = f->inode;
	char buf[64];
	unsigned before;
	long ret;

	cr_assert_eq(i->ops->getxattr(i, "security.capability", buf, sizeof(buf)), -LINUX_ENODATA);
	before = w->requests;
	cr_assert_eq(i->ops->getxattr(i, "security.capability", buf, sizeof(buf)), -LINUX_ENODATA);
	if (w->exclusive)
		cr_assert_eq(w->requests, before, "absence is remembered");
	ret = i->ops->setxattr(i, "user.k", "v", 1, 0);
	if (ret != -LINUX_EOPNOTSUPP) {
		cr_assert_eq(ret, 0);
		cr_assert_eq(i->ops->getxattr(i, "user.k", buf, sizeof(buf)), 1);
		cr_assert_geq(i->ops->listxattr(i, buf, sizeof(buf)), 7);
		cr_assert_eq(i->ops->removexattr(i, "user.k"), 0);
	}
	file_put(f);
}

/* Reading a directory while names come and go: what stays is seen once. */
struct some {
	struct dir_emit e;
	unsigned room, seen[64], total;
};

static bool take_some(struct dir_emit *e, const char *name, size_t len, uint64_t ino, uint8_t type, uint64_t off)
{
	struct some *s = container_of(e, struct some, e);
	unsigned n;

	if (!s->room)
		return false;
	s->room--;
	s->total++;
	if (sscanf(name, "keep%u", &n) == 1)
		s->seen[n]++;
	return true;
}

static void churn_body(struct world *w)
{
	struct some s = { .e.add = take_some };
	struct file *d;
	uint64_t pos = 0;
	char p[32];

	cr_assert_eq(vfs_mkdir(&w->ctx, LINUX_AT_FDCWD, "/c", 0755), 0);
	for (int i = 0; i < 64; i++) {
		snprintf(p, sizeof(p), "/c/keep%d", i);
		file_put(open_ok(w, p, LINUX_O_CREAT | LINUX_O_WRONLY));
	}
	d = open_ok(w, "/c", LINUX_O_DIRECTORY);
	for (int round = 0; round < 40; round++) {
		s.room = 4;
		cr_assert_eq(d->ops->iterate(d, &s.e, &pos), 0);
		for (int i = 0; i < 20; i++) {
			snprintf(p, sizeof(p), "/c/temp%d", i);
			file_put(open_ok(w, p, LINUX_O_CREAT | LINUX_O_WRONLY));
			cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, p), 0);
		}
	}
	for (int i = 0; i < 64; i++)
		cr_assert_eq(s.seen[i], 1, "keep%d seen %u times", i, s.seen[i]);
	cr_assert_eq(s.total, 66);
	file_put(d);
}

/* Several kernel threads at once over one connection. */
struct many {
	struct world *w;
	_Atomic int left;
};

static void one_of_many(void *arg)
{
	struct many *m = arg;

	for (int i = 0; i < 200; i++) {
		struct kstat st;
		struct file *f;
		char buf[16];

		cr_assert_eq(stat_of(m->w, "/sub/deep", &st), 0);
		cr_assert_eq(stat_of(m->w, "/nothing", &st), -LINUX_ENOENT);
		f = open_ok(m->w, "/sub/deep", 0);
		cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 5);
		file_put(f);
	}
	atomic_fetch_sub(&m->left, 1);
}

static void many_body(struct world *w)
{
	struct many m = { .w = w, .left = 8 };

	for (int i = 0; i < 8; i++)
		cr_assert_not_null(kthread_start(one_of_many, &m, "many"));
	while (m.left)
		sleep_until(SLEEP_UNINTERRUPTIBLE, now_ns() + 1000000);
}

/* ---- shared mounts ------------------------------------------------------------------------------------------- */

static void shared_body(struct world *w)
{
	struct kstat st;
	struct file *f;
	char p[160], buf[64];

	cr_assert_eq(stat_of(w, "/hello", &st), 0);
	cr_assert_eq(st.size, 13);
	rig_put(&w->r, "root/hello", "changed by the host\n");
	cr_assert_eq(stat_of(w, "/hello", &st), 0);
	cr_assert_eq(st.size, 20);
	cr_assert_eq(stat_of(w, "/later", &st), -LINUX_ENOENT);
	rig_put(&w->r, "root/later", "later\n");
	cr_assert_eq(stat_of(w, "/later", &st), 0);
	f = open_ok(w, "/later", 0);
	rig_put(&w->r, "root/later", "later and longer\n");
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 17);
	host_path(w, "later", p);
	cr_assert_eq(unlink(p), 0);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 17, "it is open");
	cr_assert_eq(stat_of(w, "/later", &st), -LINUX_ENOENT);
	rig_put(&w->r, "root/later", "another file\n");
	cr_assert_eq(stat_of(w, "/later", &st), 0);
	cr_assert_eq(st.size, 13);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 17, "still the old one");
	file_put(f);
	f = open_ok(w, "/hello", LINUX_O_WRONLY | LINUX_O_APPEND);
	host_path(w, "hello", p);
	int fd = open(p, O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, "host\n", 5), 5);
	cr_assert_eq(write_at(f, "guest\n", 6, 0), 6);
	file_put(f);
	lseek(fd, 0, SEEK_END);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), 31);
	close(fd);
}

static void host_mkdirs(struct world *w)
{
	char p[160];

	host_path(w, "a", p);
	cr_assert_eq(mkdir(p, 0755), 0);
	host_path(w, "a/b", p);
	cr_assert_eq(mkdir(p, 0755), 0);
	host_path(w, "a/b/c", p);
	cr_assert_eq(mkdir(p, 0755), 0);
	rig_put(&w->r, "root/a/b/c/f", "four\n");
}

#define COST(w, most, what)                                                                        \
	do {                                                                                       \
		unsigned before_ = (w)->requests;                                                  \
		what;                                                                              \
		cr_assert_leq((w)->requests - before_, (most), "%s: %u requests", #what, (w)->requests - before_); \
	} while (0)

static void read_whole(struct world *w, const char *path)
{
	struct file *f = open_ok(w, path, 0);
	struct kstat st;
	char buf[64];

	cr_assert_eq(vfs_getattr(&f->path, &st), 0);
	cr_assert_eq(st.size, 5);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 5);
	file_put(f);
}

static void make_one(struct world *w, const char *path)
{
	struct file *f = open_ok(w, path, LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_WRONLY);
	struct kstat st;

	cr_assert_eq(write_at(f, "abc", 3, 0), 3);
	cr_assert_eq(vfs_getattr(&f->path, &st), 0);
	cr_assert_eq(st.size, 3);
	file_put(f);
}

static void shared_cost_body(struct world *w)
{
	struct kstat st;
	char p[160];

	host_mkdirs(w);
	COST(w, 1, cr_assert_eq(stat_of(w, "/a/b/c/f", &st), 0));
	cr_assert_eq(st.size, 5);
	COST(w, 1, cr_assert_eq(stat_of(w, "/a/./b//c/f", &st), 0));
	COST(w, 1, cr_assert_eq(stat_of(w, "/a/b/c/none", &st), -LINUX_ENOENT));
	COST(w, 1, read_whole(w, "/a/b/c/f"));
	COST(w, 3, make_one(w, "/a/b/c/g")); /* the directory's first fid */
	COST(w, 2, make_one(w, "/a/b/c/h"));
	COST(w, 2, cr_assert_eq(vfs_mkdir(&w->ctx, LINUX_AT_FDCWD, "/a/b/c/d", 0755), 0));
	COST(w, 2, cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, "/a/b/c/h"), 0));
	/* one more gives the deleted file's fid back, as that keeps its blocks */
	COST(w, 3, cr_assert_eq(vfs_rmdir(&w->ctx, LINUX_AT_FDCWD, "/a/b/c/d"), 0));
	rig_put(&w->r, "root/a/b/c/unseen", "x");
	COST(w, 2, cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, "/a/b/c/unseen"), 0));
	host_path(w, "a/b/c/unseen", p);
	cr_assert_neq(access(p, F_OK), 0);
	COST(w, 3, cr_assert_eq(vfs_rename(&w->ctx, LINUX_AT_FDCWD, "/a/b/c/g", LINUX_AT_FDCWD, "/a/b/c/i", 0), 0));
	host_path(w, "a/b/ln", p);
	cr_assert_eq(symlink("c/f", p), 0);
	read_whole(w, "/a/b/ln"); /* its directory's first fid */
	COST(w, 2, read_whole(w, "/a/b/ln"));
}

/* What the host does to names in the middle and at the end of a path that was walked before. */
static void shared_races_body(struct world *w)
{
	struct kstat st;
	struct file *f, *o;
	char p[160], q[160], buf[64];

	host_mkdirs(w);
	read_whole(w, "/a/b/c/f");
	host_path(w, "a/b", p);
	host_path(w, "a/away", q);
	cr_assert_eq(rename(p, q), 0);
	cr_assert_eq(stat_of(w, "/a/b/c/f", &st), -LINUX_ENOENT);
	cr_assert_eq(stat_of(w, "/a/away/c/f", &st), 0);
	cr_assert_eq(mkdir(p, 0755), 0);
	rig_put(&w->r, "root/a/b/c", "now a file");
	cr_assert_eq(stat_of(w, "/a/b/c/f", &st), -LINUX_ENOTDIR);
	cr_assert_eq(stat_of(w, "/a/b/c", &st), 0);
	cr_assert_eq(st.size, 10);
	/* made by the host after it was seen to be missing */
	cr_assert_eq(stat_of(w, "/a/n", &st), -LINUX_ENOENT);
	rig_put(&w->r, "root/a/n", "12345");
	cr_assert_eq(vfs_mkdir(&w->ctx, LINUX_AT_FDCWD, "/a/n", 0755), -LINUX_EEXIST);
	cr_assert_eq(vfs_symlink(&w->ctx, "x", LINUX_AT_FDCWD, "/a/n"), -LINUX_EEXIST);
	cr_assert_eq(vfs_open(&w->ctx, LINUX_AT_FDCWD, "/a/n", LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_RDWR, 0644, 0, &f),
		     -LINUX_EEXIST);
	read_whole(w, "/a/n");
	/* removed, or made something else, by the host */
	host_path(w, "a/n", p);
	cr_assert_eq(unlink(p), 0);
	cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, "/a/n"), -LINUX_ENOENT);
	rig_put(&w->r, "root/a/n", "12345");
	read_whole(w, "/a/n");
	cr_assert_eq(unlink(p), 0);
	cr_assert_eq(mkdir(p, 0755), 0);
	cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, "/a/n"), -LINUX_EISDIR);
	cr_assert_eq(vfs_rmdir(&w->ctx, LINUX_AT_FDCWD, "/a/n"), 0);
	cr_assert_eq(vfs_rmdir(&w->ctx, LINUX_AT_FDCWD, "/a/b/c"), -LINUX_ENOTDIR);
	cr_assert_eq(vfs_rmdir(&w->ctx, LINUX_AT_FDCWD, "/a/away"), -LINUX_ENOTEMPTY);
	/* a link that leads elsewhere now */
	host_path(w, "a/ln", p);
	rig_put(&w->r, "root/a/one", "11111");
	rig_put(&w->r, "root/a/two", "2");
	cr_assert_eq(symlink("one", p), 0);
	read_whole(w, "/a/ln");
	cr_assert_eq(unlink(p), 0);
	cr_assert_eq(symlink("two", p), 0);
	cr_assert_eq(stat_of(w, "/a/ln", &st), 0);
	cr_assert_eq(st.size, 1);
	/* in use when the name goes: open, and by O_PATH only */
	f = open_ok(w, "/a/one", 0);
	o = open_ok(w, "/a/two", LINUX_O_PATH);
	cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, "/a/one"), 0);
	cr_assert_eq(vfs_unlink(&w->ctx, LINUX_AT_FDCWD, "/a/two"), 0);
	cr_assert_eq(vfs_getattr(&f->path, &st), 0);
	cr_assert_eq(st.nlink, 0);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 5);
	cr_assert_eq(vfs_getattr(&o->path, &st), 0);
	cr_assert_eq(st.nlink, 0);
	cr_assert_eq(st.size, 1);
	file_put(f);
	file_put(o);
}

/* A file that is open is the one that was opened, whatever takes its name, and its other name stays good. */
static void shared_links_body(struct world *w)
{
	struct kstat st;
	struct file *f;
	char p[160], q[160], buf[64];

	rig_put(&w->r, "root/one", "11111");
	host_path(w, "one", p);
	host_path(w, "two", q);
	cr_assert_eq(link(p, q), 0);
	cr_assert_eq(stat_of(w, "/one", &st), 0);
	cr_assert_eq(st.nlink, 2);
	cr_assert_eq(unlink(p), 0); /* the name that it was reached by */
	cr_assert_eq(stat_of(w, "/two", &st), 0);
	cr_assert_eq(st.nlink, 1);
	f = open_ok(w, "/two", LINUX_O_RDWR);
	rig_put(&w->r, "root/new", "new");
	host_path(w, "new", p);
	cr_assert_eq(rename(p, q), 0);
	cr_assert_eq(stat_of(w, "/two", &st), 0);
	cr_assert_eq(st.size, 3);
	cr_assert_eq(read_at(f, buf, sizeof(buf), 0), 5);
	cr_assert_eq(vfs_getattr(&f->path, &st), 0);
	cr_assert_eq(st.nlink, 0);
	file_put(f);
}

static void gone_body(struct world *w)
{
	struct kstat st;

	cr_assert_eq(stat_of(w, "/hello", &st), 0);
	gofer_link_kill(w->link);
	cr_assert_eq(stat_of(w, "/hello", &st), -LINUX_EIO);
	cr_assert_eq(vfs_mkdir(&w->ctx, LINUX_AT_FDCWD, "/x", 0755), -LINUX_EIO);
}

Test(gofer_vfs, exclusive_costs_no_requests) { run_world(true, exclusive_body); }
Test(gofer_vfs, exclusive_changes) { run_world(true, exclusive_changes_body); }
Test(gofer_vfs, large_file_is_mapped) { run_world(true, mapping_body); }
Test(gofer_vfs, inline_content_goes_stale) { run_world(true, inline_body); }
Test(gofer_vfs, xattrs) { run_world(true, xattr_body); }
Test(gofer_vfs, directory_positions_hold) { run_world(true, churn_body); }
Test(gofer_vfs, many_kthreads) { run_world(false, many_body); }
Test(gofer_vfs, many_kthreads_exclusive) { run_world(true, many_body); }
Test(gofer_vfs, shared_changes) { run_world(false, exclusive_changes_body); }
Test(gofer_vfs, shared_revalidates) { run_world(false, shared_body); }
Test(gofer_vfs, shared_costs_one_question) { run_world(false, shared_cost_body); }
Test(gofer_vfs, shared_races) { run_world(false, shared_races_body); }
Test(gofer_vfs, shared_links) { run_world(false, shared_links_body); }
Test(gofer_vfs, diod_changes) { run_on_diod(exclusive_changes_body); }
Test(gofer_vfs, diod_xattrs) { run_on_diod(xattr_body); }
Test(gofer_vfs, diod_many_kthreads) { run_on_diod(many_body); }
Test(gofer_vfs, gofer_gone) { run_world(false, gone_body); }
