/* SPDX-License-Identifier: Apache-2.0
 * proto/p9_fs_io.c - see p9_fs.h; directories, data, extended attributes, sockets
 */
#include <errno.h>
#include <sys/xattr.h>

#include "p9_fs.h"

#define DIR_PAGE_MAX  (64u << 10)

static long simple_call(struct p9_client *c, struct p9_call *k)
{
	long ret = p9_call(c, k);

	if (!ret)
		p9_call_end(c, k);
	return ret;
}

/* ---- directories ------------------------------------------------------------------------------------ */

static uint32_t page_len(struct p9_client *c)
{
	return MIN(DIR_PAGE_MAX, p9_client_msize(c) - P9_IOHDR_LEN);
}

static long readdir_ext(struct p9_client *c, uint32_t fid, uint64_t off, struct p9_dir_reader *r, uint64_t *out_next,
			bool *out_eof)
{
	struct p9_call k = { .req = { .type = P9_Txreaddir } };
	struct p9x_dirent d;
	struct cursor cu;
	long ret;

	k.req.Txreaddir = (struct p9_Txreaddir){ fid, off, page_len(c), P9X_DIR_LINKS };
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	cu = cursor_make(k.rep.Rxreaddir.data.p, k.rep.Rxreaddir.data.len);
	*out_next = k.rep.Rxreaddir.next;
	*out_eof = k.rep.Rxreaddir.eof;
	while (p9x_get_dirent(&cu, &d)) {
		if (p9_name_check(d.name)) {
			cu.bad = true;
			break;
		}
		if (!r->add(r, &d, &d.st, (uint8_t)((d.st.mode >> 12) & 15))) {
			*out_eof = false;
			break;
		}
		*out_next = d.off;
	}
	p9_call_end(c, &k);
	if (cu.bad) {
		p9_client_kill(c);
		return -EIO;
	}
	return 0;
}

static long readdir_stock(struct p9_client *c, uint32_t fid, uint64_t off, struct p9_dir_reader *r,
			  uint64_t *out_next, bool *out_eof)
{
	struct p9_call k = { .req = { .type = P9_Treaddir } };
	struct p9_dirent d;
	struct cursor cu;
	long ret;

	k.req.Treaddir = (struct p9_Treaddir){ fid, off, page_len(c) };
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	cu = cursor_make(k.rep.Rreaddir.data.p, k.rep.Rreaddir.data.len);
	*out_next = off;
	*out_eof = !k.rep.Rreaddir.data.len;
	while (p9_get_dirent(&cu, &d)) {
		struct p9x_dirent x = { .off = d.off, .name = d.name, .target = { "", 0 } };

		x.st.ino = d.qid.path;
		/* "." and ".." are there, anything else that is no name is the server's mistake: neither is passed on */
		if (!p9_name_check(d.name) && !r->add(r, &x, NULL, d.type))
			break;
		*out_next = d.off;
	}
	p9_call_end(c, &k);
	if (cu.bad) {
		p9_client_kill(c);
		return -EIO;
	}
	return 0;
}

long p9_readdir(struct p9_client *c, uint32_t fid, uint64_t off, struct p9_dir_reader *r, uint64_t *out_next,
		bool *out_eof)
{
	return p9_client_ext(c) ? readdir_ext(c, fid, off, r, out_next, out_eof) :
				  readdir_stock(c, fid, off, r, out_next, out_eof);
}

/* ---- data ----------------------------------------------------------------------------------------------- */

long p9_read(struct p9_client *c, uint32_t fid, uint64_t off, void *buf, size_t len)
{
	struct p9_call k = { .req = { .type = P9_Tread } };
	uint32_t count = (uint32_t)MIN(len, (size_t)(p9_client_msize(c) - P9_IOHDR_LEN));
	long ret;

	k.req.Tread = (struct p9_Tread){ fid, off, count };
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	ret = k.rep.Rread.data.len;
	if ((size_t)ret > count)
		ret = -EIO; /* more than was asked for */
	else if (ret)
		memcpy(buf, k.rep.Rread.data.p, (size_t)ret);
	p9_call_end(c, &k);
	return ret;
}

long p9_write(struct p9_client *c, uint32_t fid, uint64_t off, const void *buf, size_t len)
{
	struct p9_call k = { .req = { .type = P9_Twrite } };
	uint32_t count = (uint32_t)MIN(len, (size_t)(p9_client_msize(c) - P9_IOHDR_LEN));
	long ret;

	k.req.Twrite = (struct p9_Twrite){ fid, off, { buf, count } };
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	ret = k.rep.Rwrite.count <= count ? (long)k.rep.Rwrite.count : -EIO;
	p9_call_end(c, &k);
	return ret;
}

long p9_fsync(struct p9_client *c, uint32_t fid, bool data_only)
{
	struct p9_call k = { .req = { .type = P9_Tfsync, .Tfsync = { fid, data_only } } };

	return simple_call(c, &k);
}

long p9_allocate(struct p9_client *c, uint32_t fid, uint32_t mode, uint64_t off, uint64_t len)
{
	struct p9_call k = { .req = { .type = P9_Txallocate, .Txallocate = { fid, mode, off, len } } };

	return p9_client_ext(c) ? simple_call(c, &k) : -EOPNOTSUPP;
}

/* ---- extended attributes ----------------------------------------------------------------------------------- */

static long getxattr_stock(struct p9_client *c, uint32_t fid, const char *name, void *buf, size_t size)
{
	struct p9_call k = { .req = { .type = P9_Txattrwalk } };
	uint32_t xfid = p9_client_fid(c);
	uint64_t len, got = 0;
	long ret;

	if (xfid == P9_NOFID)
		return -ENOMEM;
	k.req.Txattrwalk = (struct p9_Txattrwalk){ fid, xfid, p9_str(name) };
	ret = p9_call(c, &k);
	if (ret) {
		p9_client_fid_free(c, xfid);
		return ret;
	}
	len = k.rep.Rxattrwalk.size;
	p9_call_end(c, &k);
	if (size && len > size)
		ret = -ERANGE;
	while (!ret && size && got < len) {
		long n = p9_read(c, xfid, got, (char *)buf + got, len - got);

		if (n <= 0)
			ret = n ? n : -EIO;
		else
			got += (uint64_t)n;
	}
	p9_clunk(c, xfid);
	return ret ? ret : (long)MIN(len, (uint64_t)INT32_MAX);
}

long p9_getxattr(struct p9_client *c, uint32_t fid, const char *name, void *buf, size_t size)
{
	struct p9_call k = { .req = { .type = P9_Txgetxattr } };
	long ret;

	if (!p9_client_ext(c))
		return getxattr_stock(c, fid, name, buf, size);
	size = MIN(size, (size_t)65536);
	k.req.Txgetxattr = (struct p9_Txgetxattr){
		fid, p9_str(name), (uint32_t)MIN(size, (size_t)(p9_client_msize(c) - P9_IOHDR_LEN))
	};
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	ret = k.rep.Rxgetxattr.size;
	if (size && k.rep.Rxgetxattr.data.len != ret)
		ret = -EIO;
	else if (size && (size_t)ret > size)
		ret = -ERANGE;
	else if (size && ret)
		memcpy(buf, k.rep.Rxgetxattr.data.p, (size_t)ret);
	p9_call_end(c, &k);
	return ret;
}

static long setxattr_stock(struct p9_client *c, uint32_t fid, const char *name, const void *val, size_t size,
			   uint32_t flags)
{
	struct p9_call k = { .req = { .type = P9_Txattrcreate } };
	uint32_t xfid;
	size_t put = 0;
	long ret = p9_walk(c, fid, NULL, 0, &xfid, NULL, NULL), end;

	if (ret)
		return ret;
	k.req.Txattrcreate = (struct p9_Txattrcreate){ xfid, p9_str(name), size, flags };
	ret = simple_call(c, &k);
	while (!ret && put < size) {
		long n = p9_write(c, xfid, put, (const char *)val + put, size - put);

		if (n <= 0)
			ret = n ? n : -EIO;
		else
			put += (size_t)n;
	}
	k.req.type = P9_Tclunk; /* sets it */
	k.req.Tclunk.fid = xfid;
	end = simple_call(c, &k);
	p9_client_fid_free(c, xfid);
	return ret ? ret : end;
}

long p9_setxattr(struct p9_client *c, uint32_t fid, const char *name, const void *val, size_t size, uint32_t flags)
{
	struct p9_call k = { .req = { .type = P9_Txsetxattr } };

	if (!p9_client_ext(c))
		return setxattr_stock(c, fid, name, val, size, flags);
	if (size > p9_client_msize(c) - 1024u)
		return -E2BIG;
	k.req.Txsetxattr = (struct p9_Txsetxattr){ fid, p9_str(name), flags, { val, (uint32_t)size } };
	return simple_call(c, &k);
}

long p9_removexattr(struct p9_client *c, uint32_t fid, const char *name)
{
	if (!p9_client_ext(c))
		return setxattr_stock(c, fid, name, NULL, 0, XATTR_REPLACE);
	return p9_setxattr(c, fid, name, NULL, 0, P9X_XATTR_REMOVE);
}

/* ---- sockets -------------------------------------------------------------------------------------------------- */

static long take_fd(struct p9_client *c, struct p9_call *k)
{
	long ret = k->fd >= 0 ? k->fd : -EIO;

	k->fd = -1;
	p9_call_end(c, k);
	return ret;
}

long p9_connect(struct p9_client *c, uint32_t fid, uint32_t socktype)
{
	struct p9_call k = { .req = { .type = P9_Txconnect, .Txconnect = { fid, socktype } } };
	long ret;

	if (!p9_client_ext(c))
		return -EOPNOTSUPP;
	ret = p9_call(c, &k);
	return ret ? ret : take_fd(c, &k);
}

long p9_bind(struct p9_client *c, uint32_t dfid, const char *name, uint32_t socktype, const struct p9_new *n,
	     uint32_t backlog, struct p9x_stat *out)
{
	struct p9_call k = { .req = { .type = P9_Txbind } };
	long ret;

	if (!p9_client_ext(c))
		return -EOPNOTSUPP;
	k.req.Txbind = (struct p9_Txbind){ dfid, p9_str(name), socktype, n->mode & 07777, n->uid, n->gid, backlog };
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	*out = k.rep.Rxbind.stat;
	return take_fd(c, &k);
}
