/* SPDX-License-Identifier: Apache-2.0
 * test/unit/gofer/gofer_ext_test.c - the extensions: attributes in bulk, donation, inline content
 */
#include <linux/fs.h>
#include <sys/un.h>

#include "gofer_util.h"
#include "p9_fs.h"

TestSuite(gofer_ext, .timeout = 30);

static void start(struct rig *r, uint32_t *root)
{
	rig_tree(r);
	rig_start(r, SOCK_SEQPACKET, true);
	*root = rig_attach(r);
}

Test(gofer_ext, walk_with_attributes)
{
	struct rig r;
	struct p9_call k = { .req = { .type = P9_Txwalk } };
	struct stat st;
	uint32_t root;
	char p[128];

	start(&r, &root);
	k.req.Txwalk = (struct p9_Txwalk){ root, P9_NOFID, { 2, { p9_str("sub"), p9_str("deep") } } };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rxwalk.ecode, 0);
	cr_assert_eq(k.rep.Rxwalk.stats.n, 2);
	snprintf(p, sizeof(p), "%s/sub/deep", r.root);
	cr_assert_eq(stat(p, &st), 0);
	cr_assert_eq(k.rep.Rxwalk.stats.v[1].ino, st.st_ino);
	cr_assert_eq(k.rep.Rxwalk.stats.v[1].mode, st.st_mode);
	cr_assert_eq(k.rep.Rxwalk.stats.v[1].size, 5);
	cr_assert_eq(k.rep.Rxwalk.stats.v[1].mtime.nsec, (uint32_t)st.st_mtim.tv_nsec);
	cr_assert(S_ISDIR(k.rep.Rxwalk.stats.v[0].mode));
	p9_call_end(r.cl, &k);
	k.req.Txwalk.names.v[1] = p9_str("nothing");
	k.req.Txwalk.newfid = p9_client_fid(r.cl);
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rxwalk.ecode, ENOENT);
	cr_assert_eq(k.rep.Rxwalk.stats.n, 1);
	p9_call_end(r.cl, &k);
	struct p9_call c = { .req = { .type = P9_Tclunk, .Tclunk.fid = k.req.Txwalk.newfid } };
	cr_assert_eq(rig_do(&r, &c), -EBADF, "a short walk makes no fid");
	rig_stop(&r);
}

Test(gofer_ext, lookup_of_a_path)
{
	struct p9_names n = { 2, { p9_str("sub"), p9_str("deep") } };
	struct p9x_stat st;
	struct p9_looked l;
	struct rig r;
	uint32_t root;
	char buf[8];

	start(&r, &root);
	cr_assert_eq(p9_lookup(r.cl, root, &n, P9X_FD | P9X_FID, &l), 0);
	cr_assert(l.n == 2 && !l.err && S_ISDIR(l.st[0].mode) && l.st[1].size == 5);
	cr_assert_geq(l.fd, 0);
	cr_assert_eq(l.fid, P9_NOFID);
	cr_assert_eq(read(l.fd, buf, sizeof(buf)), 5);
	cr_assert_lt(write(l.fd, "x", 1), 0, "for reading only");
	close(l.fd);
	cr_assert_eq(p9_lookup(r.cl, root, &n, 0, &l), 0);
	cr_assert(l.n == 2 && l.fd < 0 && l.fid == P9_NOFID);
	n.n = 1;
	cr_assert_eq(p9_lookup(r.cl, root, &n, P9X_FD | P9X_FID, &l), 0);
	cr_assert(l.fd < 0 && l.fid != P9_NOFID, "a directory's descriptor is not given away");
	cr_assert_eq(p9_getattr(r.cl, l.fid, &st), 0);
	cr_assert_eq(st.ino, l.st[0].ino);
	p9_clunk(r.cl, l.fid);
	n = (struct p9_names){ 2, { p9_str("sub"), p9_str("nothing") } };
	cr_assert_eq(p9_lookup(r.cl, root, &n, P9X_FD, &l), 0);
	cr_assert(l.n == 1 && l.err == -ENOENT && l.fd < 0);
	rig_stop(&r);
}

/* A link ends it, whatever is wanted; nothing behind it is looked at. */
Test(gofer_ext, lookup_stops_at_links)
{
	struct p9_names n = { 2, { p9_str("abs"), p9_str("passwd") } };
	struct p9_looked l;
	struct rig r;
	uint32_t root;

	start(&r, &root);
	for (uint32_t want = 0; want <= (P9X_FD | P9X_FID); want += P9X_FID) {
		cr_assert_eq(p9_lookup(r.cl, root, &n, want, &l), 0);
		cr_assert(l.n == 1 && l.err == -ENOTDIR && l.fd < 0 && S_ISLNK(l.st[0].mode));
		cr_assert_str_eq(l.target, "/etc");
		free(l.target);
	}
	n = (struct p9_names){ 1, { p9_str("up") } };
	cr_assert_eq(p9_lookup(r.cl, root, &n, P9X_FD, &l), 0);
	cr_assert(l.n == 1 && !l.err && l.fd < 0);
	cr_assert_str_eq(l.target, "../secret");
	free(l.target);
	n = (struct p9_names){ 1, { p9_str("fifo") } };
	cr_assert_eq(p9_lookup(r.cl, root, &n, P9X_FD, &l), 0);
	cr_assert(l.n == 1 && l.fd < 0, "only regular files are opened");
	n = (struct p9_names){ 1, { p9_str("..") } };
	cr_assert_eq(p9_lookup(r.cl, root, &n, P9X_FD, &l), 0);
	cr_assert(l.n == 0 && l.err == -EINVAL);
	rig_stop(&r);
}

Test(gofer_ext, lookup_refuses_nonsense)
{
	struct p9_call k = { .req = { .type = P9_Txlookup } };
	struct rig r;
	uint32_t root;

	start(&r, &root);
	k.req.Txlookup = (struct p9_Txlookup){ root, P9_NOFID, 0, { 0 } };
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	k.req.Txlookup = (struct p9_Txlookup){ root, P9_NOFID, P9X_INLINE, { 1, { p9_str("sub") } } };
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	k.req.Txlookup = (struct p9_Txlookup){ root, root, P9X_FID, { 1, { p9_str("sub") } } };
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	k.req.Txlookup = (struct p9_Txlookup){ root + 77, P9_NOFID, 0, { 1, { p9_str("sub") } } };
	cr_assert_eq(rig_do(&r, &k), -EBADF);
	rig_stop(&r);
}

Test(gofer_ext, clunk_of_many)
{
	uint32_t root, fids[P9X_FIDS_MAX];
	struct p9x_stat st;
	struct rig r;

	start(&r, &root);
	for (unsigned i = 0; i < P9X_FIDS_MAX; i++)
		cr_assert_eq(rig_walk(&r, root, "sub", &fids[i]), 0);
	p9_clunk_all(r.cl, fids, P9X_FIDS_MAX, true);
	for (unsigned i = 0; i < P9X_FIDS_MAX; i++)
		cr_assert_eq(p9_getattr(r.cl, fids[i], &st), -EBADF);
	cr_assert_eq(p9_getattr(r.cl, root, &st), 0);
	/* nobody waits: many more than may be under way at once, and every number can be used again */
	for (unsigned n = 0; n < 2000; n++) {
		for (unsigned i = 0; i < 3; i++)
			cr_assert_eq(rig_walk(&r, root, "sub", &fids[i]), 0);
		p9_clunk_all(r.cl, fids, 3, false);
		cr_assert_lt(fids[0], 4 * P9X_FIDS_MAX, "numbers leak");
	}
	for (unsigned n = 0; n < 50; n++) /* no reader in between */
		p9_clunk_all(r.cl, &root, n == 0, false);
	cr_assert_eq(p9_getattr(r.cl, root, &st), -EBADF);
	rig_stop(&r);
}

Test(gofer_ext, directory_with_attributes)
{
	struct rig r;
	struct p9_call k = { .req = { .type = P9_Txreaddir } };
	uint32_t root, fid;
	uint64_t off = 0;
	unsigned n = 0, links = 0, pages = 0;
	bool eof = false;
	char p[160];

	start(&r, &root);
	for (int i = 0; i < 1000; i++) {
		snprintf(p, sizeof(p), "root/sub/f%d", i);
		rig_put(&r, p, "12345");
	}
	snprintf(p, sizeof(p), "%s/sub/link", r.root);
	cr_assert_eq(symlink("f1", p), 0);
	cr_assert_eq(rig_walk(&r, root, "sub", &fid), 0);
	while (!eof) {
		struct p9x_dirent d;
		struct cursor c;

		k.req.Txreaddir = (struct p9_Txreaddir){ fid, off, 16384, P9X_DIR_LINKS };
		cr_assert_eq(p9_call(r.cl, &k), 0);
		c = cursor_make(k.rep.Rxreaddir.data.p, k.rep.Rxreaddir.data.len);
		while (p9x_get_dirent(&c, &d)) {
			n++;
			if (S_ISLNK(d.st.mode)) {
				links++;
				cr_assert(p9_str_eq(d.target, "f1"));
			} else {
				cr_assert_eq(d.target.len, 0);
				cr_assert_eq(d.st.size, 5);
				cr_assert(d.st.ino);
			}
		}
		cr_assert_not(c.bad);
		off = k.rep.Rxreaddir.next;
		eof = k.rep.Rxreaddir.eof;
		p9_call_end(r.cl, &k);
		cr_assert_lt(pages++, 100);
	}
	cr_assert_eq(n, 1002);
	cr_assert_eq(links, 1);
	cr_assert_gt(pages, 1);
	rig_stop(&r);
}

Test(gofer_ext, open_with_donation_and_inline)
{
	struct rig r;
	struct p9_call k = { .req = { .type = P9_Txopen } };
	uint32_t root, fid;
	char buf[64];

	start(&r, &root);
	cr_assert_eq(rig_walk(&r, root, "hello", &fid), 0);
	k.req.Txopen = (struct p9_Txopen){ .fid = fid, .want = P9X_FD };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rxopen.got, P9X_FD);
	cr_assert_eq(pread(k.fd, buf, sizeof(buf), 7), 6);
	cr_assert_arr_eq(buf, "world\n", 6);
	cr_assert_eq(fcntl(k.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	p9_call_end(r.cl, &k);

	k.req.Txopen = (struct p9_Txopen){ .fid = fid, .want = P9X_FD | P9X_INLINE, .inline_max = 4096 };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rxopen.got, P9X_INLINE);
	cr_assert_eq(k.fd, -1);
	cr_assert_eq(k.rep.Rxopen.data.len, 13);
	cr_assert_arr_eq(k.rep.Rxopen.data.p, "hello, world\n", 13);
	p9_call_end(r.cl, &k);
	k.req.Txopen.inline_max = 12;
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rxopen.got, P9X_FD, "one byte too long");
	p9_call_end(r.cl, &k);

	k.req.Txopen = (struct p9_Txopen){ .fid = fid, .newfid = p9_client_fid(r.cl), .flags = 2, .want = P9X_FD | P9X_FID };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(pwrite(k.fd, "J", 1, 0), 1);
	p9_call_end(r.cl, &k);
	cr_assert_eq(rig_read(&r, k.req.Txopen.newfid, 0, buf, 5), 5);
	cr_assert_arr_eq(buf, "Jello", 5);
	rig_stop(&r);
}

Test(gofer_ext, tmpfile_gets_a_name)
{
	struct rig r;
	struct p9_call k = { .req = { .type = P9_Txcreate } };
	struct stat st;
	uint32_t root, fid;
	char p[128];

	start(&r, &root);
	fid = p9_client_fid(r.cl);
	k.req.Txcreate = (struct p9_Txcreate){ .dfid = root, .newfid = fid, .flags = 2, .xflags = P9X_TMPFILE,
					       .mode = 0640, .uid = getuid(), .gid = getgid(), .want = P9X_FD };
	long ret = p9_call(r.cl, &k);
	if (ret == -EOPNOTSUPP) {
		rig_stop(&r);
		cr_skip_test("no O_TMPFILE on the temporary directory's file system");
	}
	cr_assert_eq(ret, 0);
	cr_assert_eq(k.rep.Rxcreate.stat.nlink, 0);
	cr_assert_eq(write(k.fd, "tmp", 3), 3);
	p9_call_end(r.cl, &k);
	k.req.type = P9_Tlink;
	k.req.Tlink = (struct p9_Tlink){ root, fid, p9_str("named") };
	cr_assert_eq(rig_do(&r, &k), 0);
	snprintf(p, sizeof(p), "%s/named", r.root);
	cr_assert_eq(stat(p, &st), 0);
	cr_assert_eq(st.st_size, 3);
	cr_assert_eq(st.st_mode, S_IFREG | 0640);
	rig_stop(&r);
}

Test(gofer_ext, rename_flags_and_make)
{
	struct rig r;
	struct p9_call k = { .req = { .type = P9_Txrename } };
	struct stat a, b;
	uint32_t root;
	char p[128];

	start(&r, &root);
	snprintf(p, sizeof(p), "%s/hello", r.root);
	stat(p, &a);
	k.req.Txrename = (struct p9_Txrename){ root, p9_str("hello"), root, p9_str("sub"), RENAME_NOREPLACE };
	cr_assert_eq(rig_do(&r, &k), -EEXIST);
	k.req.Txrename.flags = RENAME_EXCHANGE;
	cr_assert_eq(rig_do(&r, &k), 0);
	snprintf(p, sizeof(p), "%s/sub", r.root);
	stat(p, &b);
	cr_assert_eq(a.st_ino, b.st_ino);

	k.req.type = P9_Txmake;
	k.req.Txmake = (struct p9_Txmake){ .dfid = root, .name = p9_str("sock"), .mode = S_IFSOCK | 0755,
					   .uid = 1234, .gid = 1235 };
	if (geteuid() == 0) {
		cr_assert_eq(p9_call(r.cl, &k), 0);
		cr_assert_eq(k.rep.Rxmake.stat.uid, 1234);
		cr_assert_eq(k.rep.Rxmake.stat.gid, 1235);
		p9_call_end(r.cl, &k);
		k.req.Txmake.name = p9_str("suid");
		k.req.Txmake.mode = S_IFREG | 06711;
		cr_assert_eq(p9_call(r.cl, &k), 0);
		cr_assert_eq(k.rep.Rxmake.stat.mode, S_IFREG | 06711u, "set-id bits survive the change of owner");
		p9_call_end(r.cl, &k);
	}
	rig_stop(&r);
}

Test(gofer_ext, unix_sockets)
{
	struct rig r;
	struct p9_call k = { .req = { .type = P9_Txbind } };
	uint32_t root, fid;
	int listener, conn;
	char buf[8];

	rig_tree(&r);
	r.srv.policy = GOFER_UDS_OPEN | GOFER_UDS_CREATE;
	rig_start(&r, SOCK_SEQPACKET, true);
	root = rig_attach(&r);
	k.req.Txbind = (struct p9_Txbind){ root, p9_str("s"), SOCK_STREAM, 0640, getuid(), getgid(), 5 };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rxbind.stat.mode, S_IFSOCK | 0640u);
	listener = k.fd;
	k.fd = -1;
	p9_call_end(r.cl, &k);
	cr_assert_eq(rig_do(&r, &k), -EADDRINUSE);
	cr_assert_eq(rig_walk(&r, root, "s", &fid), 0);
	k.req.type = P9_Txconnect;
	k.req.Txconnect = (struct p9_Txconnect){ fid, SOCK_STREAM };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(write(k.fd, "ping", 4), 4);
	conn = accept(listener, NULL, NULL);
	cr_assert_eq(read(conn, buf, sizeof(buf)), 4);
	p9_call_end(r.cl, &k);
	close(conn);
	close(listener);
	rig_stop(&r);
}

/* Many callers at once: replies find their call, nothing gets lost. */
struct caller {
	struct rig *r;
	uint32_t root;
	unsigned n;
};

static void *caller_main(void *arg)
{
	struct caller *c = arg;

	for (int i = 0; i < 400; i++) {
		char name[32], buf[64];
		uint32_t fid;
		long n;

		snprintf(name, sizeof(name), "file%u", c->n);
		cr_assert_eq(rig_walk(c->r, c->root, name, &fid), 0);
		cr_assert_eq(rig_open(c->r, fid, 0), 0);
		n = rig_read(c->r, fid, 0, buf, sizeof(buf) - 1);
		cr_assert_gt(n, 0);
		buf[n] = '\0';
		cr_assert_str_eq(buf, name);
		p9_clunk(c->r->cl, fid);
	}
	return NULL;
}

static void many_callers(int type)
{
	struct rig r;
	struct caller c[12];
	pthread_t t[12];
	uint32_t root;
	unsigned before;

	rig_tree(&r);
	rig_start(&r, type, true);
	root = rig_attach(&r);
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		char p[64], v[32];

		snprintf(p, sizeof(p), "root/file%u", i);
		snprintf(v, sizeof(v), "file%u", i);
		rig_put(&r, p, v);
	}
	before = rig_count_fds();
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		c[i] = (struct caller){ &r, root, i };
		pthread_create(&t[i], NULL, caller_main, &c[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		pthread_join(t[i], NULL);
	cr_assert_eq(rig_count_fds(), before);
	rig_stop(&r);
}

Test(gofer_ext, many_callers_packets) { many_callers(SOCK_SEQPACKET); }
Test(gofer_ext, many_callers_stream) { many_callers(SOCK_STREAM); }
