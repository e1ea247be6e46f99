/* SPDX-License-Identifier: Apache-2.0
 * gofer/dispatch.c - one request: decode, find its row, call, encode
 *
 * Model:   a table from message type to handler. A handler fills rep's body and returns 0, or -errno,
 *          which becomes Rlerror. Whatever a request holds, it gets exactly one answer (Tflush may leave
 *          its answer to another thread).
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "gofer/gofer_internal.h"

#define OP(name, handler)	 [P9_T##name] = { .fn = handler }
#define OP_DATA(name, handler, off) [P9_T##name] = { .fn = handler, .data_off = off }

/* data_off: header plus the reply's fields in front of the bytes, so that they are made in place */
static const struct gofer_op ops[256] = {
	OP(version, op_version),
	OP(auth, op_auth),
	OP(attach, op_attach),
	OP(flush, op_flush),
	OP(clunk, op_clunk),
	OP(remove, op_remove),
	OP(walk, op_walk),
	OP(lopen, op_lopen),
	OP(lcreate, op_lcreate),
	OP_DATA(read, op_read, P9_HDR_LEN + 4),
	OP(write, op_write),
	OP(fsync, op_fsync),
	OP(lock, op_lock),
	OP(getlock, op_getlock),
	OP_DATA(readdir, op_readdir, P9_HDR_LEN + 4),
	OP(getattr, op_getattr),
	OP(setattr, op_setattr),
	OP(statfs, op_statfs),
	OP_DATA(readlink, op_readlink, P9_HDR_LEN + 2),
	OP(symlink, op_symlink),
	OP(mknod, op_mknod),
	OP(mkdir, op_mkdir),
	OP(link, op_link),
	OP(rename, op_rename),
	OP(renameat, op_renameat),
	OP(unlinkat, op_unlinkat),
	OP(xattrwalk, op_xattrwalk),
	OP(xattrcreate, op_xattrcreate),
	OP(xwalk, op_xwalk),
	OP_DATA(xreaddir, op_xreaddir, P9_HDR_LEN + 8 + 1 + 4),
	OP_DATA(xopen, op_xopen, P9_HDR_LEN + 4 + 4 + P9X_STAT_LEN + 4),
	OP(xcreate, op_xcreate),
	OP(xgetattr, op_xgetattr),
	OP(xsetattr, op_xsetattr),
	OP(xmake, op_xmake),
	OP(xrename, op_xrename),
	OP(xallocate, op_xallocate),
	OP_DATA(xgetxattr, op_xgetxattr, P9_HDR_LEN + 4 + 4),
	OP(xsetxattr, op_xsetxattr),
	OP(xconnect, op_xconnect),
	OP(xbind, op_xbind),
	OP_DATA(xlookup, op_xlookup, P9_HDR_LEN + 4 + 4 + 2),
	OP(xclunk, op_xclunk),
};

static long run_op(struct gcall *k, int decoded, uint8_t *buf)
{
	struct gofer_conn *c = k->conn;
	uint32_t msize = atomic_load_explicit(&c->msize, memory_order_relaxed);
	const struct gofer_op *op = &ops[k->req->type];

	if (decoded == -EPROTO)
		return -EPROTO;
	if (decoded || !op->fn)
		return -EOPNOTSUPP;
	if (k->req->type == P9_Tversion)
		return op->fn(k);
	if (!msize || k->req->tag == P9_NOTAG)
		return -EPROTO;
	if (p9_type_is_ext(k->req->type) &&
	    !atomic_load_explicit(&c->ext, memory_order_relaxed))
		return -EOPNOTSUPP;
	k->data = buf + op->data_off;
	k->data_cap = op->data_off ? msize - op->data_off : 0;
	return op->fn(k);
}

static size_t encode_error(uint16_t tag, long err, uint8_t *rep)
{
	struct p9_msg m = { .type = P9_Rlerror, .tag = tag, .Rlerror.ecode = (uint32_t)-err };
	long n = p9_encode(&m, rep, P9_MSIZE_MIN);

	BUG_ON(n <= 0);
	return (size_t)n;
}

size_t gofer_conn_handle(struct gofer_conn *c, const uint8_t *req, size_t len, uint8_t *rep,
			 int *out_fd)
{
	struct p9_msg in = { .tag = P9_NOTAG }, out;
	struct gcall k = { .conn = c, .req = &in, .rep = &out, .fd = -1 };
	int decoded = p9_decode(req, len, &in);
	long ret;

	*out_fd = -1;
	if (decoded == -EPROTO && len >= P9_HDR_LEN) /* so that the client can tell which one it was */
		in.tag = (uint16_t)(req[5] | req[6] << 8);
	out.tag = in.tag;
	out.type = (uint8_t)(in.type + 1);
	ret = run_op(&k, decoded, rep);
	if (k.no_reply)
		return 0;
	if (!ret) {
		ret = p9_encode(&out, rep, P9_MSIZE_MAX);
		if (ret > 0) {
			*out_fd = k.fd;
			return (size_t)ret;
		}
	}
	if (k.fd >= 0)
		close(k.fd);
	return encode_error(in.tag, ret, rep);
}
