/* SPDX-License-Identifier: Apache-2.0
 * test/unit/gofer/gofer_util.h - a temporary tree, a server on it in threads, a client
 */
#ifndef TEST_GOFER_UTIL_H
#define TEST_GOFER_UTIL_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "gofer/server.h"
#include "p9_client.h"

struct rig {
	char dir[64], root[80]; /* root is dir/root: what lies beside it must stay out of reach */
	int rootfd, sock;
	struct gofer_root gr;
	struct gofer_server srv;
	struct gofer_conn *conn;
	struct p9_client *cl;
	pthread_t thread;
	int server_sock;
	unsigned threads;
};

static inline void *rig_serve(void *arg)
{
	struct rig *r = arg;
	struct err e = ERR_INIT;

	gofer_conn_serve(r->conn, r->server_sock, r->threads, &e);
	return NULL;
}

static inline void rig_put(struct rig *r, const char *name, const char *content)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

/* A tree with one of everything, and secrets beside it. No server yet. */
static inline void rig_tree(struct rig *r)
{
	char p[256];
	int procfd;
	struct err e = ERR_INIT;

	memset(r, 0, sizeof(*r));
	strcpy(r->dir, "/tmp/gofertestXXXXXX");
	cr_assert_not_null(mkdtemp(r->dir));
	snprintf(r->root, sizeof(r->root), "%s/root", r->dir);
	mkdir(r->root, 0755);
	rig_put(r, "secret", "secret\n");
	rig_put(r, "root/hello", "hello, world\n");
	snprintf(p, sizeof(p), "%s/root/sub", r->dir);
	mkdir(p, 0755);
	rig_put(r, "root/sub/deep", "deep\n");
	snprintf(p, sizeof(p), "%s/root/up", r->dir);
	cr_assert_eq(symlink("../secret", p), 0);
	snprintf(p, sizeof(p), "%s/root/abs", r->dir);
	cr_assert_eq(symlink("/etc", p), 0);
	snprintf(p, sizeof(p), "%s/root/fifo", r->dir);
	cr_assert_eq(mkfifo(p, 0644), 0);
	r->rootfd = open(r->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	procfd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(gofer_server_init(procfd, &e), 0, "%s", e.msg);
	close(procfd);
	r->gr = (struct gofer_root){ .fd = r->rootfd };
	r->srv = (struct gofer_server){ .roots = &r->gr, .nr_roots = 1 };
	r->conn = gofer_conn_new(&r->srv);
	r->threads = 4;
}

/* @type: SOCK_SEQPACKET or SOCK_STREAM */
static inline void rig_start(struct rig *r, int type, bool ext)
{
	int sv[2];

	cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv), 0);
	r->server_sock = sv[0];
	cr_assert_eq(pthread_create(&r->thread, NULL, rig_serve, r), 0);
	cr_assert_eq(p9_client_new(sv[1], ext, P9_MSIZE_MAX, &p9_client_thread_ops, &r->cl), 0);
	r->sock = sv[1];
}

static inline void rig_stop(struct rig *r)
{
	char cmd[128];

	if (r->cl) {
		p9_client_free(r->cl);
		pthread_join(r->thread, NULL);
		close(r->server_sock);
	}
	gofer_conn_free(r->conn);
	close(r->rootfd);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", r->dir);
	cr_assert_eq(system(cmd), 0);
}

static inline uint32_t rig_attach(struct rig *r)
{
	struct p9_call k = { .req = { .type = P9_Tattach } };
	uint32_t fid = p9_client_fid(r->cl);

	k.req.Tattach = (struct p9_Tattach){ .fid = fid, .afid = P9_NOFID, .uname = p9_str("root"),
					     .aname = p9_str("0"), .n_uname = 0 };
	cr_assert_eq(p9_call(r->cl, &k), 0);
	p9_call_end(r->cl, &k);
	return fid;
}

/* Splits a path into a walk; 0 and *out_fid, or the error. */
static inline long rig_walk(struct rig *r, uint32_t from, const char *path, uint32_t *out_fid)
{
	struct p9_call k = { .req = { .type = P9_Twalk } };
	char copy[512], *save, *s;
	unsigned want;
	long ret;

	snprintf(copy, sizeof(copy), "%s", path);
	k.req.Twalk.fid = from;
	k.req.Twalk.newfid = p9_client_fid(r->cl);
	for (s = strtok_r(copy, "/", &save); s; s = strtok_r(NULL, "/", &save))
		k.req.Twalk.names.v[k.req.Twalk.names.n++] = p9_str(s);
	want = k.req.Twalk.names.n;
	*out_fid = k.req.Twalk.newfid;
	ret = p9_call(r->cl, &k);
	if (!ret) {
		ret = k.rep.Rwalk.qids.n == want ? 0 : -ENOENT;
		p9_call_end(r->cl, &k);
	}
	if (ret)
		p9_client_fid_free(r->cl, k.req.Twalk.newfid);
	return ret;
}

/* One call of which only the result matters. */
static inline long rig_do(struct rig *r, struct p9_call *k)
{
	long ret = p9_call(r->cl, k);

	if (!ret)
		p9_call_end(r->cl, k);
	return ret;
}

static inline long rig_open(struct rig *r, uint32_t fid, uint32_t flags)
{
	struct p9_call k = { .req = { .type = P9_Tlopen, .Tlopen = { fid, flags } } };

	return rig_do(r, &k);
}

static inline long rig_read(struct rig *r, uint32_t fid, uint64_t off, void *buf, uint32_t count)
{
	struct p9_call k = { .req = { .type = P9_Tread, .Tread = { fid, off, count } } };
	long ret = p9_call(r->cl, &k);

	if (ret)
		return ret;
	ret = k.rep.Rread.data.len;
	cr_assert_leq((uint32_t)ret, count);
	memcpy(buf, k.rep.Rread.data.p, (size_t)ret);
	p9_call_end(r->cl, &k);
	return ret;
}

static inline long rig_write(struct rig *r, uint32_t fid, uint64_t off, const void *buf, uint32_t count)
{
	struct p9_call k = { .req = { .type = P9_Twrite, .Twrite = { fid, off, { buf, count } } } };
	long ret = p9_call(r->cl, &k);

	if (!ret) {
		ret = k.rep.Rwrite.count;
		p9_call_end(r->cl, &k);
	}
	return ret;
}

static inline unsigned rig_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
