/* SPDX-License-Identifier: Apache-2.0
 * test/unit/gofer/gofer_basic_test.c - the stock messages on a real tree, over both kinds of socket
 */
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "gofer_util.h"

TestSuite(gofer_basic, .timeout = 20);

static void read_hello(int type, bool ext)
{
	struct rig r;
	char buf[64];
	uint32_t root, fid;

	rig_tree(&r);
	rig_start(&r, type, ext);
	cr_assert_eq(p9_client_ext(r.cl), ext);
	root = rig_attach(&r);
	cr_assert_eq(rig_walk(&r, root, "sub/deep", &fid), 0);
	cr_assert_eq(rig_read(&r, fid, 0, buf, 10), -EBADF, "not open yet");
	cr_assert_eq(rig_open(&r, fid, 0), 0);
	cr_assert_eq(rig_open(&r, fid, 0), -EBUSY, "open twice");
	cr_assert_eq(rig_read(&r, fid, 0, buf, sizeof(buf)), 5);
	cr_assert_arr_eq(buf, "deep\n", 5);
	cr_assert_eq(rig_read(&r, fid, 2, buf, sizeof(buf)), 3);
	cr_assert_eq(rig_read(&r, fid, 5, buf, sizeof(buf)), 0);
	cr_assert_eq(rig_write(&r, fid, 0, "x", 1), -EBADF, "opened for reading");
	p9_clunk(r.cl, fid);
	rig_stop(&r);
}

Test(gofer_basic, read_over_packets) { read_hello(SOCK_SEQPACKET, true); }
Test(gofer_basic, read_over_stream) { read_hello(SOCK_STREAM, true); }
Test(gofer_basic, read_plain_protocol) { read_hello(SOCK_STREAM, false); }

Test(gofer_basic, create_write_stat_remove)
{
	struct rig r;
	struct p9_call k = { 0 };
	uint32_t root, fid, dup;
	static char big[100000], back[100000];

	rig_tree(&r);
	rig_start(&r, SOCK_STREAM, false);
	root = rig_attach(&r);
	cr_assert_eq(rig_walk(&r, root, "sub", &fid), 0);
	k.req.type = P9_Tlcreate;
	k.req.Tlcreate = (struct p9_Tlcreate){ fid, p9_str("new"), P9_O_EXCL | 2, 04750, getgid() };
	cr_assert_eq(rig_do(&r, &k), 0);
	memset(big, 'z', sizeof(big));
	cr_assert_eq(rig_write(&r, fid, 0, big, sizeof(big)), (long)sizeof(big));
	cr_assert_eq(rig_read(&r, fid, 0, back, sizeof(back)), (long)sizeof(back));
	cr_assert_arr_eq(big, back, sizeof(big));
	k.req.type = P9_Tgetattr;
	k.req.Tgetattr = (struct p9_Tgetattr){ fid, P9_GETATTR_BASIC };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rgetattr.size, sizeof(big));
	cr_assert_eq(k.rep.Rgetattr.mode & ~04000u, S_IFREG | 0750u); /* who writes decides about set-id */
	p9_call_end(r.cl, &k);
	cr_assert_eq(rig_walk(&r, root, "sub", &dup), 0);
	k.req.type = P9_Tlcreate;
	k.req.Tlcreate = (struct p9_Tlcreate){ dup, p9_str("new"), P9_O_EXCL | 2, 0644, getgid() };
	cr_assert_eq(rig_do(&r, &k), -EEXIST);
	k.req.type = P9_Tremove;
	k.req.Tremove.fid = fid;
	cr_assert_eq(rig_do(&r, &k), 0);
	cr_assert_eq(rig_walk(&r, root, "sub/new", &fid), -ENOENT);
	rig_stop(&r);
}

Test(gofer_basic, names)
{
	struct rig r;
	struct p9_call k = { 0 };
	struct stat st;
	uint32_t root, fid;
	char p[128];

	rig_tree(&r);
	rig_start(&r, SOCK_SEQPACKET, false);
	root = rig_attach(&r);
	k.req.type = P9_Tmkdir;
	k.req.Tmkdir = (struct p9_Tmkdir){ root, p9_str("d"), 01777, getgid() };
	cr_assert_eq(rig_do(&r, &k), 0);
	cr_assert_eq(rig_do(&r, &k), -EEXIST);
	snprintf(p, sizeof(p), "%s/d", r.root);
	cr_assert_eq(stat(p, &st), 0);
	cr_assert_eq(st.st_mode, S_IFDIR | 01777);

	k.req.type = P9_Tsymlink;
	k.req.Tsymlink = (struct p9_Tsymlink){ root, p9_str("l"), p9_str("../../etc/passwd"), getgid() };
	cr_assert_eq(rig_do(&r, &k), 0);
	cr_assert_eq(rig_walk(&r, root, "l", &fid), 0);
	k.req.type = P9_Treadlink;
	k.req.Treadlink.fid = fid;
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert(p9_str_eq(k.rep.Rreadlink.target, "../../etc/passwd"));
	p9_call_end(r.cl, &k);
	cr_assert_eq(rig_open(&r, fid, 0), -ELOOP);

	k.req.type = P9_Trenameat;
	k.req.Trenameat = (struct p9_Trenameat){ root, p9_str("l"), root, p9_str("m") };
	cr_assert_eq(rig_do(&r, &k), 0);
	k.req.type = P9_Tunlinkat;
	k.req.Tunlinkat = (struct p9_Tunlinkat){ root, p9_str("l"), 0 };
	cr_assert_eq(rig_do(&r, &k), -ENOENT);
	k.req.Tunlinkat.name = p9_str("m");
	cr_assert_eq(rig_do(&r, &k), 0);
	k.req.Tunlinkat.name = p9_str("d");
	cr_assert_eq(rig_do(&r, &k), -EISDIR);
	k.req.Tunlinkat.flags = P9_UNLINK_DIR;
	cr_assert_eq(rig_do(&r, &k), 0);

	cr_assert_eq(rig_walk(&r, root, "hello", &fid), 0);
	k.req.type = P9_Tlink;
	k.req.Tlink = (struct p9_Tlink){ root, fid, p9_str("hello2") };
	cr_assert_eq(rig_do(&r, &k), 0);
	k.req.type = P9_Trename;
	k.req.Trename = (struct p9_Trename){ fid, root, p9_str("hello3") };
	cr_assert_eq(rig_do(&r, &k), 0);
	cr_assert_eq(rig_do(&r, &k), 0, "the fid knows its new name");
	snprintf(p, sizeof(p), "%s/hello2", r.root);
	cr_assert_eq(stat(p, &st), 0);
	cr_assert_eq(st.st_nlink, 2);

	k.req.type = P9_Tmknod;
	k.req.Tmknod = (struct p9_Tmknod){ root, p9_str("null"), S_IFCHR | 0666, 1, 3, 0 };
	cr_assert_eq(rig_do(&r, &k), -EPERM, "devices are not made");
	k.req.Tmknod = (struct p9_Tmknod){ root, p9_str("f2"), S_IFIFO | 0600, 0, 0, getgid() };
	cr_assert_eq(rig_do(&r, &k), 0);
	rig_stop(&r);
}

Test(gofer_basic, setattr_and_statfs)
{
	struct rig r;
	struct p9_call k = { 0 };
	struct stat st;
	uint32_t root, fid;
	char p[128];

	rig_tree(&r);
	rig_start(&r, SOCK_SEQPACKET, false);
	root = rig_attach(&r);
	cr_assert_eq(rig_walk(&r, root, "hello", &fid), 0);
	k.req.type = P9_Tsetattr;
	k.req.Tsetattr = (struct p9_Tsetattr){
		.fid = fid, .valid = P9_SETATTR_MODE | P9_SETATTR_SIZE | P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET,
		.mode = 0604, .size = 3, .mtime = { 1234567, 89 },
	};
	cr_assert_eq(rig_do(&r, &k), 0);
	snprintf(p, sizeof(p), "%s/hello", r.root);
	cr_assert_eq(stat(p, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0604);
	cr_assert_eq(st.st_size, 3);
	cr_assert_eq(st.st_mtim.tv_sec, 1234567);
	cr_assert_eq(st.st_mtim.tv_nsec, 89);
	k.req.Tsetattr.valid = 1u << 20;
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	k.req.Tsetattr.valid = P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET;
	k.req.Tsetattr.mtime.nsec = NSEC_PER_SEC;
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	k.req.type = P9_Tstatfs;
	k.req.Tstatfs.fid = root;
	cr_assert_eq(p9_call(r.cl, &k), 0);
	struct statfs sf;
	cr_assert_eq(statfs(r.root, &sf), 0);
	cr_assert_eq(k.rep.Rstatfs.type, (uint32_t)sf.f_type);
	cr_assert_eq(k.rep.Rstatfs.blocks, sf.f_blocks);
	p9_call_end(r.cl, &k);
	rig_stop(&r);
}

Test(gofer_basic, readdir_in_small_pages)
{
	struct rig r;
	struct p9_call k = { 0 };
	uint32_t root, fid;
	uint64_t off = 0;
	unsigned n = 0, dots = 0;
	char p[160];

	rig_tree(&r);
	for (int i = 0; i < 300; i++) {
		snprintf(p, sizeof(p), "root/sub/file-with-some-name-%d", i);
		rig_put(&r, p, "");
	}
	rig_start(&r, SOCK_STREAM, false);
	root = rig_attach(&r);
	cr_assert_eq(rig_walk(&r, root, "sub", &fid), 0);
	cr_assert_eq(rig_open(&r, fid, 0), 0);
	for (unsigned pages = 0; pages < 1000; pages++) {
		struct p9_dirent d;
		struct cursor c;

		k.req.type = P9_Treaddir;
		k.req.Treaddir = (struct p9_Treaddir){ fid, off, 512 };
		cr_assert_eq(p9_call(r.cl, &k), 0);
		c = cursor_make(k.rep.Rreaddir.data.p, k.rep.Rreaddir.data.len);
		if (!k.rep.Rreaddir.data.len) {
			p9_call_end(r.cl, &k);
			break;
		}
		while (p9_get_dirent(&c, &d)) {
			off = d.off;
			n++;
			dots += d.name.p[0] == '.';
			cr_assert_eq(d.qid.type, d.type == DT_DIR ? P9_QTDIR : 0);
		}
		cr_assert_not(c.bad);
		p9_call_end(r.cl, &k);
	}
	cr_assert_eq(n, 303);
	cr_assert_eq(dots, 2);
	rig_stop(&r);
}

Test(gofer_basic, xattrs_and_locks)
{
	struct rig r;
	struct p9_call k = { 0 };
	uint32_t root, fid, fid2, x;
	char buf[64];

	rig_tree(&r);
	rig_start(&r, SOCK_SEQPACKET, false);
	root = rig_attach(&r);
	cr_assert_eq(rig_walk(&r, root, "hello", &fid), 0);
	cr_assert_eq(rig_walk(&r, root, "hello", &x), 0);
	k.req.type = P9_Txattrcreate;
	k.req.Txattrcreate = (struct p9_Txattrcreate){ x, p9_str("user.test"), 5, 0 };
	cr_assert_eq(rig_do(&r, &k), 0);
	cr_assert_eq(rig_write(&r, x, 0, "val", 3), 3);
	cr_assert_eq(rig_write(&r, x, 3, "uexx", 4), -EINVAL, "more than was promised");
	cr_assert_eq(rig_write(&r, x, 3, "ue", 2), 2);
	k.req.type = P9_Tclunk;
	k.req.Tclunk.fid = x;
	long ret = rig_do(&r, &k);
	p9_client_fid_free(r.cl, x);
	if (ret == -EOPNOTSUPP) {
		rig_stop(&r);
		cr_skip_test("no user attributes on the temporary directory's file system");
	}
	cr_assert_eq(ret, 0);
	x = p9_client_fid(r.cl);
	k.req.type = P9_Txattrwalk;
	k.req.Txattrwalk = (struct p9_Txattrwalk){ fid, x, p9_str("user.test") };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rxattrwalk.size, 5);
	p9_call_end(r.cl, &k);
	cr_assert_eq(rig_read(&r, x, 0, buf, sizeof(buf)), 5);
	cr_assert_arr_eq(buf, "value", 5);
	p9_clunk(r.cl, x);

	cr_assert_eq(rig_open(&r, fid, 2), 0);
	cr_assert_eq(rig_walk(&r, root, "hello", &fid2), 0);
	cr_assert_eq(rig_open(&r, fid2, 2), 0);
	k.req.type = P9_Tlock;
	k.req.Tlock = (struct p9_Tlock){ fid, P9_LOCK_WRLCK, 0, 0, 4, 1, p9_str("a") };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rlock.status, P9_LOCK_SUCCESS);
	p9_call_end(r.cl, &k);
	k.req.Tlock.fid = fid2;
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rlock.status, P9_LOCK_BLOCKED);
	p9_call_end(r.cl, &k);
	k.req.type = P9_Tgetlock;
	k.req.Tgetlock = (struct p9_Tgetlock){ fid2, P9_LOCK_RDLCK, 0, 0, 2, p9_str("b") };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rgetlock.type, P9_LOCK_WRLCK);
	cr_assert_eq(k.rep.Rgetlock.length, 4);
	p9_call_end(r.cl, &k);
	rig_stop(&r);
}
