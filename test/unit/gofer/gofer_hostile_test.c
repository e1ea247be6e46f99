/* SPDX-License-Identifier: Apache-2.0
 * test/unit/gofer/gofer_hostile_test.c - a client that wants out, or wants to do harm
 */
#include "gofer_util.h"

TestSuite(gofer_hostile, .timeout = 30);

Test(gofer_hostile, no_way_up_or_through_links)
{
	static const char *const bad[] = { "..", "sub/../..", ".", "up", "abs", "abs/passwd", "up/x" };
	struct rig r;
	uint32_t root, fid;
	char buf[64];
	struct p9_call k = { 0 };

	rig_tree(&r);
	rig_start(&r, SOCK_SEQPACKET, true);
	root = rig_attach(&r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		long ret = rig_walk(&r, root, bad[i], &fid);

		if (!ret) { /* a link itself may be named; it opens nothing */
			cr_assert(!strcmp(bad[i], "up") || !strcmp(bad[i], "abs"), "%s", bad[i]);
			cr_assert_eq(rig_open(&r, fid, 0), -ELOOP);
			cr_assert_eq(rig_read(&r, fid, 0, buf, 10), -EBADF);
			k.req.type = P9_Tsetattr;
			k.req.Tsetattr = (struct p9_Tsetattr){ .fid = fid, .valid = P9_SETATTR_SIZE };
			cr_assert_eq(rig_do(&r, &k), -EINVAL);
			k.req.Tsetattr = (struct p9_Tsetattr){ .fid = fid, .valid = P9_SETATTR_MODE, .mode = 0 };
			cr_assert_eq(rig_do(&r, &k), -EOPNOTSUPP);
			p9_clunk(r.cl, fid);
		}
	}
	/* names with slashes go past strtok, straight into the message */
	k.req.type = P9_Twalk;
	k.req.Twalk = (struct p9_Twalk){ .fid = root, .newfid = 999, .names = { 1, { p9_str("sub/../../secret") } } };
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	k.req.Twalk.names.v[0] = p9_str("/etc/passwd");
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	k.req.type = P9_Tmkdir;
	k.req.Tmkdir = (struct p9_Tmkdir){ root, p9_str("../out"), 0755, 0 };
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	k.req.type = P9_Trenameat;
	k.req.Trenameat = (struct p9_Trenameat){ root, p9_str("hello"), root, p9_str("../hello") };
	cr_assert_eq(rig_do(&r, &k), -EINVAL);
	/* creating on a link must not create what it points at */
	cr_assert_eq(rig_walk(&r, root, "", &fid), 0);
	k.req.type = P9_Tlcreate;
	k.req.Tlcreate = (struct p9_Tlcreate){ fid, p9_str("up"), P9_O_TRUNC | 1, 0644, 0 };
	cr_assert_eq(rig_do(&r, &k), -ELOOP);
	char p[128];
	struct stat st;
	snprintf(p, sizeof(p), "%s/secret", r.dir);
	cr_assert_eq(stat(p, &st), 0);
	cr_assert_eq(st.st_size, 7);
	rig_stop(&r);
}

Test(gofer_hostile, read_only_root)
{
	struct rig r;
	struct p9_call k = { 0 };
	uint32_t root, fid;

	rig_tree(&r);
	r.gr.ro = true;
	rig_start(&r, SOCK_SEQPACKET, true);
	root = rig_attach(&r);
	cr_assert_eq(rig_walk(&r, root, "hello", &fid), 0);
	cr_assert_eq(rig_open(&r, fid, 2), -EROFS);
	cr_assert_eq(rig_open(&r, fid, P9_O_TRUNC), -EROFS);
#define REFUSED(T, ...)                                                                            \
	k.req.type = P9_##T;                                                                       \
	k.req.T = (struct p9_##T)__VA_ARGS__;                                                      \
	cr_assert_eq(rig_do(&r, &k), -EROFS, #T)
	REFUSED(Tsetattr, { .fid = fid, .valid = P9_SETATTR_MODE, .mode = 0 });
	REFUSED(Tmkdir, { root, p9_str("d"), 0755, 0 });
	REFUSED(Txmake, { root, p9_str("d"), S_IFIFO | 0755, 0, 0, 0, 0, { "", 0 } });
	REFUSED(Tsymlink, { root, p9_str("d"), p9_str("x"), 0 });
	REFUSED(Tunlinkat, { root, p9_str("hello"), 0 });
	REFUSED(Trenameat, { root, p9_str("hello"), root, p9_str("h") });
	REFUSED(Txrename, { root, p9_str("hello"), root, p9_str("h"), 0 });
	REFUSED(Trename, { fid, root, p9_str("h") });
	REFUSED(Tlink, { root, fid, p9_str("h") });
	REFUSED(Txsetxattr, { fid, p9_str("user.x"), 0, { (const uint8_t *)"v", 1 } });
	REFUSED(Txcreate, { .dfid = root, .newfid = 77, .name = p9_str("n"), .flags = 2, .mode = 0644, .want = P9X_FD });
	REFUSED(Txcreate, { .dfid = root, .newfid = 77, .flags = 2, .xflags = P9X_TMPFILE, .mode = 0644, .want = P9X_FD });
	REFUSED(Txopen, { .fid = fid, .flags = 2, .want = P9X_FD });
#undef REFUSED
	k.req.type = P9_Txopen;
	k.req.Txopen = (struct p9_Txopen){ .fid = fid, .flags = 0, .want = P9X_FD };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_geq(k.fd, 0);
	cr_assert_eq(fcntl(k.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	cr_assert_eq(write(k.fd, "x", 1), -1);
	cr_assert_eq(ftruncate(k.fd, 0), -1);
	p9_call_end(r.cl, &k);
	rig_stop(&r);
}

Test(gofer_hostile, bad_fids_and_huge_counts)
{
	struct rig r;
	struct p9_call k = { 0 };
	uint32_t root, fid;

	rig_tree(&r);
	rig_start(&r, SOCK_SEQPACKET, true);
	root = rig_attach(&r);
	cr_assert_eq(rig_walk(&r, root, "hello", &fid), 0);
	cr_assert_eq(rig_open(&r, fid, 0), 0);
#define GIVES(err, T, ...)                                                                         \
	k.req.type = P9_##T;                                                                       \
	k.req.T = (struct p9_##T)__VA_ARGS__;                                                      \
	cr_assert_eq(rig_do(&r, &k), err, #T)
	GIVES(-EBADF, Tread, { 4711, 0, 10 });
	GIVES(-EBADF, Tclunk, { 4711 });
	GIVES(-EBADF, Tgetattr, { P9_NOFID, 0 });
	GIVES(-EBADF, Twalk, { .fid = 4711, .newfid = 1 });
	GIVES(-EBADF, Twalk, { .fid = root, .newfid = fid }); /* taken */
	GIVES(-EBADF, Twalk, { .fid = root, .newfid = P9_NOFID });
	GIVES(-EBUSY, Twalk, { .fid = fid, .newfid = fid });  /* open */
	GIVES(-EBADF, Txopen, { .fid = fid, .newfid = root, .want = P9X_FID });
	GIVES(-EINVAL, Tread, { fid, 0, UINT32_MAX });
	GIVES(-EINVAL, Tread, { fid, UINT64_MAX, 1 });
	GIVES(-EINVAL, Tread, { fid, 0, p9_client_msize(r.cl) });
	GIVES(-EINVAL, Txreaddir, { root, 0, UINT32_MAX, 0 });
	GIVES(-EINVAL, Txreaddir, { root, UINT64_MAX, 4096, 0 });
	GIVES(-EINVAL, Txreaddir, { root, 0, 1, 0 });
	GIVES(-ENOTDIR, Txreaddir, { fid, 0, 4096, 0 });
	GIVES(-EINVAL, Txgetxattr, { fid, p9_str("user.x"), UINT32_MAX });
	GIVES(-E2BIG, Txattrcreate, { fid, p9_str("user.x"), UINT64_MAX, 0 });
	GIVES(-EINVAL, Txopen, { .fid = fid, .want = 0xffff });
	GIVES(-EINVAL, Txopen, { .fid = fid, .flags = 3, .want = P9X_FD });
	GIVES(-EINVAL, Txopen, { .fid = fid, .flags = 0x80000000u, .want = P9X_FD });
	GIVES(-EINVAL, Txrename, { root, p9_str("a"), root, p9_str("b"), 0x80 });
	GIVES(-ENOENT, Tattach, { .fid = 50, .afid = P9_NOFID, .aname = p9_str("1") });
	GIVES(-ENOENT, Tattach, { .fid = 50, .afid = P9_NOFID, .aname = p9_str("99999999999") });
	GIVES(-ENOENT, Tattach, { .fid = 50, .afid = P9_NOFID, .aname = p9_str("../..") });
	GIVES(-EBADF, Tattach, { .fid = 50, .afid = 1, .aname = p9_str("0") });
	GIVES(-EBADF, Tattach, { .fid = root, .afid = P9_NOFID, .aname = p9_str("0") });
	GIVES(-ENOENT, Tauth, { .afid = 50 });
	GIVES(-EPERM, Txbind, { root, p9_str("s"), SOCK_STREAM, 0600, 0, 0, 1 });
	GIVES(-ECONNREFUSED, Txconnect, { fid, SOCK_STREAM });
	GIVES(-EISDIR, Txopen, { .fid = root, .flags = 2, .want = P9X_FD });
#undef GIVES
	/* a directory's descriptor would be a way around the server: it is not donated */
	k.req.type = P9_Txopen;
	k.req.Txopen = (struct p9_Txopen){ .fid = root, .want = P9X_FD };
	cr_assert_eq(p9_call(r.cl, &k), 0);
	cr_assert_eq(k.rep.Rxopen.got, 0);
	cr_assert_eq(k.fd, -1);
	p9_call_end(r.cl, &k);
	/* fifos only when allowed */
	cr_assert_eq(rig_walk(&r, root, "fifo", &fid), 0);
	k.req.Txopen = (struct p9_Txopen){ .fid = fid, .want = P9X_FD };
	cr_assert_eq(rig_do(&r, &k), -EACCES);
	rig_stop(&r);
}

Test(gofer_hostile, extensions_need_their_version)
{
	struct rig r;
	struct p9_call k = { 0 };
	uint32_t root;

	rig_tree(&r);
	rig_start(&r, SOCK_SEQPACKET, false);
	root = rig_attach(&r);
	k.req.type = P9_Txgetattr;
	k.req.Txgetattr.fid = root;
	cr_assert_eq(rig_do(&r, &k), -EOPNOTSUPP);
	rig_stop(&r);
}

/* Raw messages through the handler: what a client library would never send. */
static long raw(struct gofer_conn *c, const struct p9_msg *m, struct p9_msg *out)
{
	static uint8_t req[65536], rep[P9_MSIZE_MAX];
	long n = p9_encode(m, req, sizeof(req));
	size_t got;
	int fd;

	got = gofer_conn_handle(c, req, (size_t)n, rep, &fd);
	if (fd >= 0)
		close(fd);
	cr_assert_gt(got, 0);
	cr_assert_eq(p9_decode(rep, got, out), 0);
	cr_assert_eq(out->tag, m->tag);
	return out->type == P9_Rlerror ? -(long)out->Rlerror.ecode : 0;
}

Test(gofer_hostile, order_and_tags)
{
	static const uint8_t junk[] = { 9, 0, 0, 0, P9_Tread, 5, 0, 1, 2 };
	struct rig r;
	struct p9_msg m = { .type = P9_Tattach, .tag = 1 }, out;
	uint8_t rep[P9_MSIZE_MIN];
	int fd;

	rig_tree(&r);
	m.Tattach = (struct p9_Tattach){ .fid = 1, .afid = P9_NOFID, .aname = p9_str("") };
	cr_assert_eq(raw(r.conn, &m, &out), -EPROTO, "before Tversion");
	m.type = P9_Tversion;
	m.tag = P9_NOTAG;
	m.Tversion = (struct p9_Tversion){ 100, p9_str(P9_VERSION) };
	cr_assert_eq(raw(r.conn, &m, &out), -EINVAL, "too small");
	m.Tversion = (struct p9_Tversion){ UINT32_MAX, p9_str("9P2000.u") };
	cr_assert_eq(raw(r.conn, &m, &out), 0);
	cr_assert(p9_str_eq(out.Rversion.version, "unknown"));
	m.Tversion = (struct p9_Tversion){ UINT32_MAX, p9_str("9P2000.L.other7") };
	cr_assert_eq(raw(r.conn, &m, &out), 0);
	cr_assert(p9_str_eq(out.Rversion.version, P9_VERSION));
	cr_assert_eq(out.Rversion.msize, P9_MSIZE_MAX);
	m = (struct p9_msg){ .type = P9_Tattach, .tag = P9_NOTAG };
	m.Tattach = (struct p9_Tattach){ .fid = 1, .afid = P9_NOFID, .aname = p9_str("") };
	cr_assert_eq(raw(r.conn, &m, &out), -EPROTO, "no tag");
	m.tag = 1;
	cr_assert_eq(raw(r.conn, &m, &out), 0);
	m.type = P9_Rread; /* a reply is no request */
	cr_assert_eq(raw(r.conn, &m, &out), -EOPNOTSUPP);
	cr_assert_gt(gofer_conn_handle(r.conn, junk, sizeof(junk), rep, &fd), 0);
	cr_assert_eq(rep[4], P9_Rlerror);
	cr_assert_eq(rep[5], 5, "the tag is kept");
	cr_assert_gt(gofer_conn_handle(r.conn, junk, 3, rep, &fd), 0);
	/* a second Tversion forgets all fids */
	m = (struct p9_msg){ .type = P9_Tversion, .tag = P9_NOTAG };
	m.Tversion = (struct p9_Tversion){ 8192, p9_str(P9_VERSION) };
	cr_assert_eq(raw(r.conn, &m, &out), 0);
	m = (struct p9_msg){ .type = P9_Tclunk, .tag = 1, .Tclunk.fid = 1 };
	cr_assert_eq(raw(r.conn, &m, &out), -EBADF);
	rig_stop(&r);
}

Test(gofer_hostile, fids_are_bounded)
{
	struct rig r;
	struct p9_msg m = { .type = P9_Tversion, .tag = P9_NOTAG }, out;
	unsigned before;
	uint32_t i;
	long ret = 0;

	rig_tree(&r);
	before = rig_count_fds();
	m.Tversion = (struct p9_Tversion){ 8192, p9_str(P9_VERSION) };
	raw(r.conn, &m, &out);
	m = (struct p9_msg){ .type = P9_Tattach, .tag = 1 };
	m.Tattach = (struct p9_Tattach){ .fid = 0, .afid = P9_NOFID, .aname = p9_str("0") };
	cr_assert_eq(raw(r.conn, &m, &out), 0);
	for (i = 1; i < 1000000 && !ret; i++) { /* clones share one descriptor, so the bound itself is met */
		m = (struct p9_msg){ .type = P9_Twalk, .tag = 1, .Twalk = { .fid = 0, .newfid = i } };
		ret = raw(r.conn, &m, &out);
	}
	cr_assert_eq(ret, -EMFILE);
	cr_assert_eq(i - 1, GOFER_FIDS_MAX);
	gofer_conn_free(r.conn);
	r.conn = NULL;
	cr_assert_eq(rig_count_fds(), before);
	rig_stop(&r);
}

/* Renames a directory in and out of the tree while a client walks: it may fail, never leave. */
struct race {
	struct rig *r;
	_Atomic bool stop;
};

static void *swap_link(void *arg)
{
	struct race *race = arg;
	char d[128], l[128], t[128];

	snprintf(d, sizeof(d), "%s/sub", race->r->root);
	snprintf(t, sizeof(t), "%s/was", race->r->root);
	snprintf(l, sizeof(l), "%s", race->r->dir);
	while (!race->stop) {
		rename(d, t);
		if (symlink(l, d) == 0) /* sub -> the directory with the secret */
			unlink(d);
		rename(t, d);
	}
	return NULL;
}

Test(gofer_hostile, rename_race)
{
	struct rig r;
	struct race race = { .r = &r };
	pthread_t t;
	uint32_t root, fid;
	unsigned ok = 0, no = 0;

	rig_tree(&r);
	rig_put(&r, "deep", "out\n"); /* beside the root: what a fooled walk would find */
	rig_start(&r, SOCK_SEQPACKET, true);
	root = rig_attach(&r);
	pthread_create(&t, NULL, swap_link, &race);
	for (int i = 0; i < 3000; i++) {
		char buf[8];

		if (rig_walk(&r, root, "sub/deep", &fid)) {
			no++;
			continue;
		}
		ok++;
		cr_assert_eq(rig_open(&r, fid, 0), 0);
		cr_assert_eq(rig_read(&r, fid, 0, buf, sizeof(buf)), 5);
		cr_assert_arr_eq(buf, "deep\n", 5);
		p9_clunk(r.cl, fid);
	}
	race.stop = true;
	pthread_join(t, NULL);
	cr_assert_gt(ok, 0);
	rig_stop(&r);
}

/* Framing errors end the connection; the server and its other connections live on. */
Test(gofer_hostile, broken_stream_ends_the_connection)
{
	static const uint8_t bad[][4] = { { 0, 0, 0, 0 }, { 6, 0, 0, 0 }, { 0xff, 0xff, 0xff, 0xff } };
	struct rig r;

	rig_tree(&r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int sv[2];
		char c;

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		r.server_sock = sv[0];
		pthread_create(&r.thread, NULL, rig_serve, &r);
		cr_assert_eq(write(sv[1], bad[i], 4), 4);
		cr_assert_eq(read(sv[1], &c, 1), 0);
		pthread_join(r.thread, NULL);
		close(sv[0]);
		close(sv[1]);
	}
	rig_stop(&r);
}

Test(gofer_hostile, descriptors_from_the_client_are_dropped)
{
	struct rig r;
	uint8_t buf[64];
	struct p9_msg m = { .type = P9_Tversion, .tag = P9_NOTAG };
	unsigned before;
	int sv[2];
	long n;

	rig_tree(&r);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	r.server_sock = sv[0];
	pthread_create(&r.thread, NULL, rig_serve, &r);
	m.Tversion = (struct p9_Tversion){ 8192, p9_str(P9_VERSION) };
	n = p9_encode(&m, buf, sizeof(buf));
	before = rig_count_fds();
	for (int i = 0; i < 10; i++) {
		union {
			char b[CMSG_SPACE(sizeof(int))];
			struct cmsghdr h;
		} ctl = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
		struct iovec iov = { buf, (size_t)n };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
		uint8_t rep[64];

		*(int *)CMSG_DATA(&ctl.h) = r.rootfd;
		cr_assert_eq(sendmsg(sv[1], &mh, 0), n);
		cr_assert_gt(read(sv[1], rep, sizeof(rep)), 0);
	}
	cr_assert_eq(rig_count_fds(), before);
	close(sv[1]);
	pthread_join(r.thread, NULL);
	close(sv[0]);
	rig_stop(&r);
}
