/* SPDX-License-Identifier: Apache-2.0
 * proto/p9_fs.c - see p9_fs.h; names, attributes, opening
 */
#include "p9_fs.h"

#include <errno.h>
#include <linux/stat.h>
#include <sys/sysmacros.h>

#define MODE_TYPE 0170000u
#define MODE_DIR  0040000u
#define MODE_LNK  0120000u

/* A call whose reply says nothing but "done". */
static long simple_call(struct p9_client *c, struct p9_call *k)
{
	long ret = p9_call(c, k);

	if (!ret)
		p9_call_end(c, k);
	return ret;
}

long p9_attach(struct p9_client *c, const char *aname, uint32_t uid, uint32_t *out_fid)
{
	struct p9_call k = { .req = { .type = P9_Tattach } };
	uint32_t fid = p9_client_fid(c);
	long ret;

	if (fid == P9_NOFID)
		return -ENOMEM;
	k.req.Tattach = (struct p9_Tattach){ .fid = fid, .afid = P9_NOFID, .uname = p9_str(""),
					     .aname = p9_str(aname), .n_uname = uid };
	ret = simple_call(c, &k);
	if (ret)
		p9_client_fid_free(c, fid);
	else
		*out_fid = fid;
	return ret;
}

/* ---- walking ------------------------------------------------------------------------------------- */

static void names_of(const char *const *names, unsigned n, struct p9_names *out)
{
	out->n = (uint16_t)n;
	for (unsigned i = 0; i < n; i++)
		out->v[i] = p9_str(names[i]);
}

/* An errno from the middle of a reply. */
static long ecode_of(uint32_t ecode)
{
	return ecode && ecode <= P9_ECODE_MAX ? -(long)ecode : -EIO;
}

static long walk_ext(struct p9_client *c, uint32_t fid, const char *const *names, unsigned n, uint32_t newfid,
		     struct p9x_stat *st, unsigned *out_n)
{
	struct p9_call k = { .req = { .type = P9_Txwalk, .Txwalk = { .fid = fid, .newfid = newfid } } };
	unsigned want = n ? n : 1;
	long ret;

	names_of(names, n, &k.req.Txwalk.names);
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	*out_n = MIN((unsigned)k.rep.Rxwalk.stats.n, want);
	if (st)
		memcpy(st, k.rep.Rxwalk.stats.v, *out_n * sizeof(*st));
	if (*out_n < want)
		ret = ecode_of(k.rep.Rxwalk.ecode);
	p9_call_end(c, &k);
	return ret;
}

/* All names at once; the result is a fid even when only attributes are wanted. */
static long walk_stock(struct p9_client *c, uint32_t fid, const char *const *names, unsigned n, uint32_t newfid)
{
	struct p9_call k = { .req = { .type = P9_Twalk, .Twalk = { .fid = fid, .newfid = newfid } } };
	long ret;

	names_of(names, n, &k.req.Twalk.names);
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	ret = k.rep.Rwalk.qids.n == n ? 0 : -ENOENT; /* the server does not say why */
	p9_call_end(c, &k);
	return ret;
}

/* With attributes of each component: name by name, as the stock protocol has no other way. */
static long walk_stock_stats(struct p9_client *c, uint32_t fid, const char *const *names, unsigned n,
			     uint32_t newfid, struct p9x_stat *st, unsigned *out_n)
{
	long ret = walk_stock(c, fid, NULL, 0, newfid);

	if (ret)
		return ret;
	if (!n) {
		ret = p9_getattr(c, newfid, &st[0]);
		*out_n = !ret;
	}
	for (unsigned i = 0; i < n && !ret; i++) {
		ret = walk_stock(c, newfid, &names[i], 1, newfid);
		if (!ret)
			ret = p9_getattr(c, newfid, &st[i]);
		if (!ret)
			*out_n = i + 1;
	}
	if (ret) { /* the number stays the caller's */
		struct p9_call k = { .req = { .type = P9_Tclunk, .Tclunk.fid = newfid } };

		simple_call(c, &k);
	}
	return ret;
}

long p9_walk(struct p9_client *c, uint32_t fid, const char *const *names, unsigned n, uint32_t *out_fid,
	     struct p9x_stat *st, unsigned *out_n)
{
	bool ext = p9_client_ext(c);
	uint32_t newfid = out_fid || !ext ? p9_client_fid(c) : P9_NOFID;
	unsigned got = 0;
	long ret;

	BUG_ON(n > P9_WALK_MAX);
	if ((out_fid || !ext) && newfid == P9_NOFID)
		return -ENOMEM;
	if (ext)
		ret = walk_ext(c, fid, names, n, newfid, st, &got);
	else if (st)
		ret = walk_stock_stats(c, fid, names, n, newfid, st, &got);
	else
		ret = walk_stock(c, fid, names, n, newfid);
	if (out_n)
		*out_n = got;
	if (!ret && out_fid)
		*out_fid = newfid;
	else if (!ret && newfid != P9_NOFID)
		p9_clunk(c, newfid);
	else if (newfid != P9_NOFID)
		p9_client_fid_free(c, newfid);
	return ret;
}

static void looked_take(struct p9_call *k, unsigned n, struct p9_looked *out)
{
	const struct p9_Rxlookup *r = &k->rep.Rxlookup;
	const struct p9x_stat *last;

	*out = (struct p9_looked){ .n = MIN((unsigned)r->stats.n, n), .fd = -1, .fid = P9_NOFID };
	memcpy(out->st, r->stats.v, out->n * sizeof(*out->st));
	last = out->n ? &out->st[out->n - 1] : NULL;
	if (last && (last->mode & MODE_TYPE) == MODE_LNK && r->target.len && !memchr(r->target.p, 0, r->target.len))
		out->target = strndup(r->target.p, r->target.len);
	if (out->n < n) {
		out->err = ecode_of(r->ecode);
		return;
	}
	out->fd = k->fd;
	k->fd = -1;
	if (r->got & P9X_FID)
		out->fid = k->req.Txlookup.newfid;
}

long p9_lookup(struct p9_client *c, uint32_t fid, const struct p9_names *names, uint32_t want, struct p9_looked *out)
{
	struct p9_call k = { .req = { .type = P9_Txlookup, .Txlookup = { fid, P9_NOFID, want, *names } } };
	uint32_t newfid = P9_NOFID;
	long ret;

	if (want & P9X_FID) {
		newfid = p9_client_fid(c);
		if (newfid == P9_NOFID)
			return -ENOMEM;
	}
	k.req.Txlookup.newfid = newfid;
	ret = p9_call(c, &k);
	if (!ret) {
		looked_take(&k, names->n, out);
		p9_call_end(c, &k);
	}
	if (newfid != P9_NOFID && (ret || out->fid == P9_NOFID))
		p9_client_fid_free(c, newfid);
	return ret;
}

/* ---- attributes ------------------------------------------------------------------------------------ */

static void stat_of_stock(const struct p9_Rgetattr *r, struct p9x_stat *out)
{
	*out = (struct p9x_stat){
		.mask = STATX_BASIC_STATS | (r->valid & P9_GETATTR_BTIME ? STATX_BTIME : 0),
		.mode = r->mode,
		.nlink = (uint32_t)r->nlink,
		.uid = r->uid,
		.gid = r->gid,
		.blksize = (uint32_t)r->blksize,
		.ino = r->qid.path,
		.size = r->size,
		.blocks = r->blocks,
		.rdev_major = major(r->rdev),
		.rdev_minor = minor(r->rdev),
		.atime = { (int64_t)r->atime.sec, (uint32_t)r->atime.nsec },
		.mtime = { (int64_t)r->mtime.sec, (uint32_t)r->mtime.nsec },
		.ctime = { (int64_t)r->ctime.sec, (uint32_t)r->ctime.nsec },
		.btime = { (int64_t)r->btime.sec, (uint32_t)r->btime.nsec },
	};
}

long p9_getattr(struct p9_client *c, uint32_t fid, struct p9x_stat *out)
{
	struct p9_call k = { .req = { .type = P9_Txgetattr, .Txgetattr = { fid, STATX_BASIC_STATS | STATX_BTIME } } };
	long ret;

	if (!p9_client_ext(c)) {
		k.req.type = P9_Tgetattr;
		k.req.Tgetattr = (struct p9_Tgetattr){ fid, P9_GETATTR_BASIC };
	}
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	if (p9_client_ext(c))
		*out = k.rep.Rxgetattr.stat;
	else
		stat_of_stock(&k.rep.Rgetattr, out);
	p9_call_end(c, &k);
	return 0;
}

long p9_setattr(struct p9_client *c, uint32_t fid, const struct p9_Txsetattr *m, struct p9x_stat *out)
{
	struct p9_call k = { .req = { .type = P9_Txsetattr, .Txsetattr = *m } };
	long ret;

	k.req.Txsetattr.fid = fid;
	if (!p9_client_ext(c)) {
		k.req.type = P9_Tsetattr;
		k.req.Tsetattr = (struct p9_Tsetattr){ fid, m->valid, m->mode, m->uid, m->gid, m->size, m->atime,
						       m->mtime };
		ret = simple_call(c, &k);
		return ret ? ret : p9_getattr(c, fid, out);
	}
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	*out = k.rep.Rxsetattr.stat;
	p9_call_end(c, &k);
	return 0;
}

long p9_statfs(struct p9_client *c, uint32_t fid, struct p9_Rstatfs *out)
{
	struct p9_call k = { .req = { .type = P9_Tstatfs, .Tstatfs.fid = fid } };
	long ret = p9_call(c, &k);

	if (ret)
		return ret;
	*out = k.rep.Rstatfs;
	p9_call_end(c, &k);
	return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------- */

static long open_stock(struct p9_client *c, uint32_t fid, const char *const *names, unsigned n, uint32_t flags,
		       struct p9_opened *out)
{
	struct p9_call k = { .req = { .type = P9_Tlopen } };
	uint32_t newfid;
	long ret = p9_walk(c, fid, names, n, &newfid, NULL, NULL);

	if (ret)
		return ret;
	k.req.Tlopen = (struct p9_Tlopen){ newfid, flags };
	ret = p9_call(c, &k);
	if (!ret) {
		out->iounit = k.rep.Rlopen.iounit;
		p9_call_end(c, &k);
		ret = p9_getattr(c, newfid, &out->st);
	}
	if (ret)
		p9_clunk(c, newfid);
	else
		out->fid = newfid;
	return ret;
}

/* Takes what an Rxopen brought; what was not wanted is a broken promise. */
static long opened_take(struct p9_client *c, struct p9_call *k, uint32_t want, struct p9_opened *out)
{
	const struct p9_Rxopen *r = &k->rep.Rxopen;

	if ((r->got & ~want) || (k->fd >= 0) != !!(r->got & P9X_FD)) {
		p9_client_kill(c);
		return -EIO;
	}
	out->st = r->stat;
	out->iounit = r->iounit;
	out->has_data = r->got & P9X_INLINE;
	if (out->has_data) {
		out->data = malloc(r->data.len + 1u);
		if (!out->data)
			return -ENOMEM;
		if (r->data.len)
			memcpy(out->data, r->data.p, r->data.len);
		out->data_len = r->data.len;
	}
	out->fd = k->fd;
	k->fd = -1;
	return 0;
}

long p9_open_at(struct p9_client *c, uint32_t fid, const char *const *names, unsigned n, uint32_t flags,
		uint32_t want, uint32_t inline_max, struct p9_opened *out)
{
	struct p9_call k = { .req = { .type = P9_Txopen } };
	struct p9_opened o = { .fd = -1, .fid = P9_NOFID };
	uint32_t newfid = P9_NOFID;
	long ret;

	if (!p9_client_ext(c)) {
		ret = open_stock(c, fid, names, n, flags, &o);
		goto out;
	}
	if (want & P9X_FID) {
		newfid = p9_client_fid(c);
		if (newfid == P9_NOFID)
			return -ENOMEM;
	}
	BUG_ON(n > P9_WALK_MAX);
	k.req.Txopen = (struct p9_Txopen){ fid, newfid, flags, want, inline_max, { 0 } };
	names_of(names, n, &k.req.Txopen.names);
	ret = p9_call(c, &k);
	if (!ret) {
		ret = opened_take(c, &k, want, &o);
		p9_call_end(c, &k);
		if (ret && newfid != P9_NOFID)
			p9_clunk(c, newfid);
	} else if (newfid != P9_NOFID) {
		p9_client_fid_free(c, newfid);
	}
	o.fid = newfid;
out:
	if (!ret)
		*out = o;
	return ret;
}

/* A stock server makes files as the user who attached; this is for the one who really made it. */
static long own_stock(struct p9_client *c, uint32_t fid, const struct p9_new *n, struct p9x_stat *st)
{
	struct p9_Txsetattr m = { .valid = P9_SETATTR_UID, .uid = n->uid };

	return st->uid == n->uid ? 0 : p9_setattr(c, fid, &m, st);
}

static long create_stock(struct p9_client *c, uint32_t dfid, const char *name, uint32_t flags, const struct p9_new *n,
			 uint32_t *out_fid, struct p9_opened *o)
{
	struct p9_call k = { .req = { .type = P9_Tlcreate } };
	uint32_t newfid;
	long ret;

	if (!name)
		return -EOPNOTSUPP;
	ret = p9_walk(c, dfid, NULL, 0, &newfid, NULL, NULL);
	if (ret)
		return ret;
	k.req.Tlcreate = (struct p9_Tlcreate){ newfid, p9_str(name), flags | P9_O_CREATE, n->mode, n->gid };
	ret = p9_call(c, &k);
	if (!ret) {
		o->iounit = k.rep.Rlcreate.iounit;
		p9_call_end(c, &k);
		ret = p9_getattr(c, newfid, &o->st);
	}
	if (!ret)
		ret = own_stock(c, newfid, n, &o->st);
	if (!ret)
		ret = p9_walk(c, dfid, &name, 1, out_fid, NULL, NULL);
	if (ret)
		p9_clunk(c, newfid);
	else
		o->fid = newfid;
	return ret;
}

long p9_create(struct p9_client *c, uint32_t dfid, const char *name, uint32_t flags, const struct p9_new *n,
	       uint32_t want, uint32_t *out_fid, struct p9_opened *out)
{
	struct p9_call k = { .req = { .type = P9_Txcreate } };
	struct p9_opened o = { .fd = -1, .fid = P9_NOFID };
	uint32_t fid;
	long ret;

	if (!p9_client_ext(c)) {
		ret = create_stock(c, dfid, name, flags, n, out_fid, &o);
		goto out;
	}
	fid = p9_client_fid(c);
	if (fid == P9_NOFID)
		return -ENOMEM;
	k.req.Txcreate = (struct p9_Txcreate){
		.dfid = dfid, .newfid = fid, .name = p9_str(name ? name : ""), .flags = flags,
		.xflags = name ? 0 : P9X_TMPFILE, .mode = n->mode, .uid = n->uid, .gid = n->gid, .want = want,
	};
	ret = p9_call(c, &k);
	if (ret) {
		p9_client_fid_free(c, fid);
		return ret;
	}
	o.st = k.rep.Rxcreate.stat;
	o.iounit = k.rep.Rxcreate.iounit;
	o.fd = k.fd;
	k.fd = -1;
	p9_call_end(c, &k);
	*out_fid = fid;
out:
	if (!ret)
		*out = o;
	return ret;
}

/* ---- names -------------------------------------------------------------------------------------------- */

static long make_stock(struct p9_client *c, uint32_t dfid, const char *name, const struct p9_new *n, struct p9x_stat *out)
{
	struct p9_call k = { .req = { .type = P9_Tmknod } };
	uint32_t fid;
	long ret;

	if ((n->mode & MODE_TYPE) == MODE_DIR) {
		k.req.type = P9_Tmkdir;
		k.req.Tmkdir = (struct p9_Tmkdir){ dfid, p9_str(name), n->mode & 07777, n->gid };
	} else if ((n->mode & MODE_TYPE) == MODE_LNK) {
		k.req.type = P9_Tsymlink;
		k.req.Tsymlink = (struct p9_Tsymlink){ dfid, p9_str(name), p9_str(n->target), n->gid };
	} else {
		k.req.Tmknod = (struct p9_Tmknod){ dfid, p9_str(name), n->mode, n->major, n->minor, n->gid };
	}
	ret = simple_call(c, &k);
	if (!ret)
		ret = p9_walk(c, dfid, &name, 1, &fid, out, NULL);
	if (ret)
		return ret;
	ret = own_stock(c, fid, n, out);
	p9_clunk(c, fid);
	return ret;
}

long p9_make(struct p9_client *c, uint32_t dfid, const char *name, const struct p9_new *n, struct p9x_stat *out)
{
	struct p9_call k = { .req = { .type = P9_Txmake } };
	long ret;

	if (!p9_client_ext(c))
		return make_stock(c, dfid, name, n, out);
	k.req.Txmake = (struct p9_Txmake){
		.dfid = dfid, .name = p9_str(name), .mode = n->mode, .uid = n->uid, .gid = n->gid, .major = n->major,
		.minor = n->minor, .target = p9_str(n->target ? n->target : ""),
	};
	ret = p9_call(c, &k);
	if (ret)
		return ret;
	*out = k.rep.Rxmake.stat;
	p9_call_end(c, &k);
	return 0;
}

long p9_link(struct p9_client *c, uint32_t dfid, uint32_t fid, const char *name)
{
	struct p9_call k = { .req = { .type = P9_Tlink, .Tlink = { dfid, fid, p9_str(name) } } };

	return simple_call(c, &k);
}

/* Older servers lack the at-messages, as v9fs knows: then by a fid of the entry itself. */
static bool lacks(long err)
{
	return err == -EOPNOTSUPP || err == -ENOSYS;
}

static long remove_stock(struct p9_client *c, uint32_t dfid, const char *name)
{
	struct p9_call k = { .req = { .type = P9_Tremove } };
	uint32_t fid;
	long ret = p9_walk(c, dfid, &name, 1, &fid, NULL, NULL);

	if (ret)
		return ret;
	k.req.Tremove.fid = fid;
	ret = simple_call(c, &k);
	p9_client_fid_free(c, fid); /* gone in any case */
	return ret;
}

static long rename_stock(struct p9_client *c, uint32_t olddfid, const char *oldname, uint32_t fid, uint32_t newdfid,
			 const char *newname)
{
	struct p9_call k = { .req = { .type = P9_Trename } };
	uint32_t own = P9_NOFID;
	long ret = fid == P9_NOFID ? p9_walk(c, olddfid, &oldname, 1, &own, NULL, NULL) : 0;

	if (ret)
		return ret;
	k.req.Trename = (struct p9_Trename){ fid == P9_NOFID ? own : fid, newdfid, p9_str(newname) };
	ret = simple_call(c, &k);
	if (own != P9_NOFID)
		p9_clunk(c, own);
	return ret;
}

long p9_unlink(struct p9_client *c, uint32_t dfid, const char *name, bool dir)
{
	struct p9_call k = { .req = { .type = P9_Tunlinkat } };
	long ret;

	k.req.Tunlinkat = (struct p9_Tunlinkat){ dfid, p9_str(name), dir ? P9_UNLINK_DIR : 0 };
	ret = simple_call(c, &k);
	return lacks(ret) ? remove_stock(c, dfid, name) : ret;
}

long p9_rename(struct p9_client *c, uint32_t olddfid, const char *oldname, uint32_t fid, uint32_t newdfid,
	       const char *newname, uint32_t flags)
{
	struct p9_call k = { .req = { .type = P9_Trenameat } };
	long ret;

	if (p9_client_ext(c)) {
		k.req.type = P9_Txrename;
		k.req.Txrename = (struct p9_Txrename){ olddfid, p9_str(oldname), newdfid, p9_str(newname), flags };
		return simple_call(c, &k);
	}
	if (flags)
		return -EINVAL;
	k.req.Trenameat = (struct p9_Trenameat){ olddfid, p9_str(oldname), newdfid, p9_str(newname) };
	ret = simple_call(c, &k);
	return lacks(ret) ? rename_stock(c, olddfid, oldname, fid, newdfid, newname) : ret;
}

long p9_readlink(struct p9_client *c, uint32_t fid, char *out, size_t cap)
{
	struct p9_call k = { .req = { .type = P9_Treadlink, .Treadlink.fid = fid } };
	struct p9_str t;
	long ret = p9_call(c, &k);

	if (ret)
		return ret;
	t = k.rep.Rreadlink.target;
	if (t.len >= cap) {
		ret = -ENAMETOOLONG;
	} else {
		memcpy(out, t.p, t.len);
		out[t.len] = '\0';
		ret = t.len;
	}
	p9_call_end(c, &k);
	return ret;
}
