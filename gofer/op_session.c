/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_session.c - Tversion, Tauth, Tattach, Tflush, Tclunk
 */
#include <errno.h>
#include <string.h>

#include "gofer/gofer_internal.h"

/* A version we do not know that starts like ours still gets 9P2000.L (version(5): the server may
 * answer with an earlier one); anything else "unknown", after which the client gives up or asks again. */
long op_version(struct gcall *k)
{
	struct p9_str v = k->req->Tversion.version;
	uint32_t msize = MIN(k->req->Tversion.msize, k->conn->msize_max);
	bool ext = p9_str_eq(v, P9_VERSION_EXT);
	const char *answer = ext ? P9_VERSION_EXT : P9_VERSION;

	if (k->req->Tversion.msize < P9_MSIZE_MIN)
		return -EINVAL;
	if (!ext && !p9_str_eq(v, P9_VERSION) &&
	    (v.len <= strlen(P9_VERSION) || memcmp(v.p, P9_VERSION ".", strlen(P9_VERSION) + 1)))
		answer = "unknown";
	else
		gfid_clear(k->conn); /* a new session forgets the old one's fids */
	if (strcmp(answer, "unknown") != 0) {
		atomic_store(&k->conn->ext, ext);
		atomic_store(&k->conn->msize, msize);
	}
	k->rep->Rversion.msize = msize;
	k->rep->Rversion.version = p9_str(answer);
	return 0;
}

/* Who may connect was decided when the socket was made; there is nothing to prove. ENOENT is what
 * diod's clients understand as that. */
long op_auth(struct gcall *k)
{
	return -ENOENT;
}

/* Attach names are root numbers; "" and "/" are root 0, for stock clients. */
static long root_number(struct p9_str aname, unsigned nr_roots, unsigned *out)
{
	unsigned n = 0;

	if (aname.len && !p9_str_eq(aname, "/")) {
		if (aname.len > 6)
			return -ENOENT;
		for (unsigned i = 0; i < aname.len; i++) {
			if (aname.p[i] < '0' || aname.p[i] > '9')
				return -ENOENT;
			n = n * 10 + (unsigned)(aname.p[i] - '0');
		}
	}
	if (n >= nr_roots)
		return -ENOENT;
	*out = n;
	return 0;
}

long op_attach(struct gcall *k)
{
	const struct gofer_server *srv = k->conn->srv;
	const struct p9_Tattach *m = &k->req->Tattach;
	struct p9x_stat st;
	struct gnode *node;
	struct gfid *f;
	unsigned root;
	long ret;
	int fd;

	if (m->afid != P9_NOFID)
		return -EBADF;
	ret = root_number(m->aname, srv->nr_roots, &root);
	if (ret)
		return ret;
	ret = node_stat(srv->roots[root].fd, &st);
	if (ret)
		return ret;
	fd = fcntl(srv->roots[root].fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	node = gnode_new(fd, (mode_t)st.mode, srv->roots[root].ro);
	if (!node)
		return -ENOMEM;
	f = gfid_new(m->fid, GFID_NODE, node, NULL, (struct p9_str){ 0 }, m->n_uname);
	gnode_put(node);
	if (!f)
		return -ENOMEM;
	ret = gfid_install(k->conn, f, NULL);
	if (!ret)
		k->rep->Rattach.qid = qid_of(&st);
	return ret;
}

/* The answer must follow that of the flushed request; the thread which has that sends both. */
long op_flush(struct gcall *k)
{
	k->no_reply = session_flush(k->conn, k->req->Tflush.oldtag, k->req->tag);
	return 0;
}

static long clunk(struct gofer_conn *c, uint32_t fid)
{
	struct gfid *f = gfid_take(c, fid);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->kind == GFID_XATTR_WRITE ? xattr_commit(f) : 0;
	gfid_put(f);
	return ret;
}

long op_clunk(struct gcall *k)
{
	return clunk(k->conn, k->req->Tclunk.fid);
}

long op_xclunk(struct gcall *k)
{
	const struct p9x_fids *fids = &k->req->Txclunk.fids;

	for (unsigned i = 0; i < fids->n; i++)
		clunk(k->conn, fids->v[i]);
	return 0;
}
