/* SPDX-License-Identifier: Apache-2.0
 * test/unit/gofer/p9_fs_test.c - one scenario of file operations, against three servers: ours with the
 * extensions, ours speaking the stock protocol, and Debian's diod
 */
#include <signal.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "gofer_util.h"
#include "p9_fs.h"

TestSuite(p9_fs, .timeout = 30);

struct seen {
	struct p9_dir_reader r;
	unsigned n, with_stat;
	bool hello, link;
};

static bool see(struct p9_dir_reader *r, const struct p9x_dirent *d, const struct p9x_stat *st, uint8_t dtype)
{
	struct seen *s = (struct seen *)r;

	s->n++;
	s->with_stat += st && S_ISREG(st->mode) && st->size == 13;
	s->hello |= p9_str_eq(d->name, "hello") && dtype == DT_REG;
	s->link |= p9_str_eq(d->name, "up") && dtype == DT_LNK;
	return true;
}

static void check_directory(struct p9_client *c, uint32_t root)
{
	struct seen s = { .r.add = see };
	struct p9_opened o = { .fid = P9_NOFID };
	uint32_t fid = root;
	uint64_t off = 0;
	bool eof = false;

	if (!p9_client_ext(c)) {
		cr_assert_eq(p9_open(c, root, 0, P9X_FID, 0, &o), 0);
		fid = o.fid;
	}
	for (unsigned i = 0; i < 20 && !eof; i++)
		cr_assert_eq(p9_readdir(c, fid, off, &s.r, &off, &eof), 0);
	cr_assert(eof);
	cr_assert_eq(s.n, 5, "%u entries", s.n);
	cr_assert(s.hello && s.link);
	cr_assert_eq(s.with_stat, p9_client_ext(c) ? 1 : 0);
	if (o.fid != P9_NOFID)
		p9_clunk(c, o.fid);
}

static void check_content(struct p9_client *c, uint32_t root)
{
	const char *path[] = { "sub", "deep" };
	struct p9x_stat st[2];
	struct p9_opened o;
	uint32_t fid;
	unsigned n;
	char buf[64];

	cr_assert_eq(p9_walk(c, root, path, 2, &fid, st, &n), 0);
	cr_assert_eq(n, 2);
	cr_assert(S_ISDIR(st[0].mode));
	cr_assert_eq(st[1].size, 5);
	cr_assert_eq(p9_open(c, fid, 0, P9X_FID, 0, &o), 0);
	cr_assert_eq(p9_read(c, o.fid, 0, buf, sizeof(buf)), 5);
	cr_assert_arr_eq(buf, "deep\n", 5);
	p9_clunk(c, o.fid);
	p9_clunk(c, fid);
	path[1] = "missing";
	cr_assert_eq(p9_walk(c, root, path, 2, &fid, st, &n), -ENOENT);
	cr_assert_eq(n, 1);
}

static void check_changes(struct p9_client *c, uint32_t root)
{
	struct p9_new nw = { .mode = S_IFREG | 0640, .uid = getuid(), .gid = getgid() };
	struct p9_Txsetattr sa = { .valid = P9_SETATTR_SIZE | P9_SETATTR_MODE, .size = 2, .mode = 0604 };
	struct p9_opened o;
	struct p9x_stat st;
	struct p9_Rstatfs fs;
	const char *name = "renamed", *link = "sym";
	uint32_t fid, lfid;
	char buf[64];

	cr_assert_eq(p9_create(c, root, "made", 2 | P9_O_EXCL, &nw, P9X_FID, &fid, &o), 0);
	if (o.fid == P9_NOFID) /* with the extensions the new fid is the open one */
		o.fid = fid;
	cr_assert_eq(p9_write(c, o.fid, 0, "abc", 3), 3);
	cr_assert_eq(p9_fsync(c, o.fid, true), 0);
	cr_assert_eq(p9_read(c, o.fid, 1, buf, 10), 2);
	if (o.fid != fid)
		p9_clunk(c, o.fid);
	cr_assert_eq(p9_setattr(c, fid, &sa, &st), 0);
	cr_assert_eq(st.size, 2);
	cr_assert_eq(st.mode, S_IFREG | 0604u);
	p9_clunk(c, fid);
	cr_assert_eq(p9_rename(c, root, "made", P9_NOFID, root, name, 0), 0);
	cr_assert_eq(p9_walk(c, root, &name, 1, &fid, NULL, NULL), 0);
	cr_assert_eq(p9_link(c, root, fid, "second"), 0);
	cr_assert_eq(p9_getattr(c, fid, &st), 0);
	cr_assert_eq(st.nlink, 2);
	p9_clunk(c, fid);
	cr_assert_eq(p9_unlink(c, root, "second", false), 0);
	cr_assert_eq(p9_unlink(c, root, name, false), 0);
	cr_assert_eq(p9_unlink(c, root, name, false), -ENOENT);
	nw.mode = S_IFDIR | 0755;
	cr_assert_eq(p9_make(c, root, "dir", &nw, &st), 0);
	cr_assert(S_ISDIR(st.mode));
	cr_assert_eq(p9_unlink(c, root, "dir", true), 0);
	nw.mode = S_IFLNK | 0777;
	nw.target = "some/where";
	cr_assert_eq(p9_make(c, root, link, &nw, &st), 0);
	cr_assert_eq(p9_walk(c, root, &link, 1, &lfid, NULL, NULL), 0);
	cr_assert_eq(p9_readlink(c, lfid, buf, sizeof(buf)), 10);
	cr_assert_str_eq(buf, "some/where");
	cr_assert_eq(p9_readlink(c, lfid, buf, 5), -ENAMETOOLONG);
	p9_clunk(c, lfid);
	cr_assert_eq(p9_unlink(c, root, link, false), 0);
	cr_assert_eq(p9_statfs(c, root, &fs), 0);
	cr_assert_gt(fs.blocks, 0);
}

static void check_xattrs(struct p9_client *c, uint32_t root)
{
	const char *name = "hello";
	uint32_t fid;
	char buf[256];
	long ret;

	cr_assert_eq(p9_walk(c, root, &name, 1, &fid, NULL, NULL), 0);
	ret = p9_setxattr(c, fid, "user.k", "value", 5, 0);
	if (ret != -EOPNOTSUPP) {
		cr_assert_eq(ret, 0);
		cr_assert_eq(p9_getxattr(c, fid, "user.k", NULL, 0), 5);
		cr_assert_eq(p9_getxattr(c, fid, "user.k", buf, 3), -ERANGE);
		cr_assert_eq(p9_getxattr(c, fid, "user.k", buf, sizeof(buf)), 5);
		cr_assert_arr_eq(buf, "value", 5);
		ret = p9_getxattr(c, fid, "", buf, sizeof(buf));
		cr_assert_geq(ret, 7);
		cr_assert_eq(p9_removexattr(c, fid, "user.k"), 0);
		cr_assert_eq(p9_getxattr(c, fid, "user.k", buf, sizeof(buf)), -ENODATA);
	}
	p9_clunk(c, fid);
}

static void scenario(struct p9_client *c, const char *aname)
{
	uint32_t root;

	cr_assert_eq(p9_attach(c, aname, getuid(), &root), 0);
	check_directory(c, root);
	check_content(c, root);
	check_changes(c, root);
	check_xattrs(c, root);
	p9_clunk(c, root);
}

static void against_ours(bool ext, int type)
{
	struct rig r;
	unsigned before;

	rig_tree(&r);
	rig_start(&r, type, ext);
	before = rig_count_fds();
	scenario(r.cl, "0");
	cr_assert_eq(rig_count_fds(), before, "descriptors leaked");
	rig_stop(&r);
}

Test(p9_fs, extended) { against_ours(true, SOCK_SEQPACKET); }
Test(p9_fs, extended_stream) { against_ours(true, SOCK_STREAM); }
Test(p9_fs, stock) { against_ours(false, SOCK_STREAM); }

Test(p9_fs, diod)
{
	struct rig r;
	pid_t pid;
	int sv[2];

	if (access("/usr/sbin/diod", X_OK))
		cr_skip_test("diod is not installed");
	if (geteuid() != 0)
		cr_skip_test("diod serves as root");
	rig_tree(&r);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	pid = fork();
	if (!pid) {
		char fd[16];

		close(sv[1]);
		snprintf(fd, sizeof(fd), "%d", sv[0]);
		if (chdir("/"))
			_exit(126);
		execl("/usr/sbin/diod", "diod", "-f", "-n", "-c", "/dev/null", "-r", fd, "-w", fd, "-e", r.root,
		      "-L", "stderr", NULL);
		_exit(127);
	}
	close(sv[0]);
	/* asked for extensions it does not have, it must still come to terms */
	cr_assert_eq(p9_client_new(sv[1], true, 65536, &p9_client_thread_ops, &r.cl), 0);
	cr_assert_not(p9_client_ext(r.cl));
	scenario(r.cl, r.root);
	p9_client_free(r.cl);
	r.cl = NULL;
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	rig_stop(&r);
}
