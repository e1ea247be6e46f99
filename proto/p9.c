/* SPDX-License-Identifier: Apache-2.0
 * proto/p9.c - 9P encoder and decoder, generated from p9_messages.h
 *
 * Model:   get_<kind>/put_<kind> for each kind of field, over a cursor that cannot run past the end;
 *          one case per message in p9_decode() and p9_encode(), both expanded from the table.
 */
#include "p9.h"

#include <errno.h>

static struct p9_str get_str(struct cursor *c)
{
	uint16_t len = get_le16(c);
	const uint8_t *p = get_bytes(c, len);

	return p ? (struct p9_str){ (const char *)p, len } : (struct p9_str){ "", 0 };
}

/* The bytes may already stand at their place (read straight into the reply): then nothing is copied. */
static void put_inplace(struct wcursor *w, const void *src, size_t n)
{
	uint8_t *room = put_room(w, n);

	if (room && n && room != src)
		memmove(room, src, n);
}

static void put_str(struct wcursor *w, struct p9_str s)
{
	put_le16(w, s.len);
	put_inplace(w, s.p, s.len);
}

static struct p9_data get_data(struct cursor *c)
{
	uint32_t len = get_le32(c);
	const uint8_t *p = get_bytes(c, len);

	return p ? (struct p9_data){ p, len } : (struct p9_data){ NULL, 0 };
}

static void put_data(struct wcursor *w, struct p9_data d)
{
	put_le32(w, d.len);
	put_inplace(w, d.p, d.len);
}

static struct p9_qid get_qid(struct cursor *c)
{
	struct p9_qid q;

	q.type = get_u8(c);
	q.version = get_le32(c);
	q.path = get_le64(c);
	return q;
}

static void put_qid(struct wcursor *w, struct p9_qid q)
{
	put_u8(w, q.type);
	put_le32(w, q.version);
	put_le64(w, q.path);
}

static struct p9_time get_time(struct cursor *c)
{
	struct p9_time t;

	t.sec = get_le64(c);
	t.nsec = get_le64(c);
	return t;
}

static void put_time(struct wcursor *w, struct p9_time t)
{
	put_le64(w, t.sec);
	put_le64(w, t.nsec);
}

/* The order of the extended attributes on the wire, once for both directions. */
#define XSTAT_U32(X, s)                                                                            \
	X((s)->mask) X((s)->mode) X((s)->nlink) X((s)->uid) X((s)->gid) X((s)->blksize)            \
	X((s)->dev_major) X((s)->dev_minor) X((s)->rdev_major) X((s)->rdev_minor)                  \
	X((s)->atime.nsec) X((s)->mtime.nsec) X((s)->ctime.nsec) X((s)->btime.nsec)
#define XSTAT_U64(X, s)                                                                            \
	X((s)->attributes) X((s)->ino) X((s)->size) X((s)->blocks)                                 \
	X((s)->atime.sec) X((s)->mtime.sec) X((s)->ctime.sec) X((s)->btime.sec)
#define XSTAT_ONE(f) +1
_Static_assert(P9X_STAT_LEN == 4 * (0 XSTAT_U32(XSTAT_ONE, 0)) + 8 * (0 XSTAT_U64(XSTAT_ONE, 0)),
	       "P9X_STAT_LEN is what put_xstat() writes");

static struct p9x_stat get_xstat(struct cursor *c)
{
	struct p9x_stat s;

#define X(f) f = get_le32(c);
	XSTAT_U32(X, &s)
#undef X
#define X(f) f = (__typeof__(f))get_le64(c);
	XSTAT_U64(X, &s)
#undef X
	return s;
}

static void put_xstat(struct wcursor *w, struct p9x_stat s)
{
#define X(f) put_le32(w, f);
	XSTAT_U32(X, &s)
#undef X
#define X(f) put_le64(w, (uint64_t)(f));
	XSTAT_U64(X, &s)
#undef X
}

/* Counted lists: a count over the limit is a malformed message, never a shorter list. */
#define P9_LIST(kind, type, max, get, put)                                                         \
	static type get_##kind(struct cursor *c)                                                   \
	{                                                                                          \
		type l;                                                                            \
		l.n = get_le16(c);                                                                 \
		if (l.n > max) {                                                                   \
			c->bad = true;                                                             \
			l.n = 0;                                                                   \
		}                                                                                  \
		for (unsigned i = 0; i < l.n; i++)                                                 \
			l.v[i] = get(c);                                                           \
		return l;                                                                          \
	}                                                                                          \
	static void put_##kind(struct wcursor *w, type l)                                          \
	{                                                                                          \
		if (l.n > max) {                                                                   \
			w->bad = true;                                                             \
			return;                                                                    \
		}                                                                                  \
		put_le16(w, l.n);                                                                  \
		for (unsigned i = 0; i < l.n; i++)                                                 \
			put(w, l.v[i]);                                                            \
	}
P9_LIST(names, struct p9_names, P9_WALK_MAX, get_str, put_str)
P9_LIST(qids, struct p9_qids, P9_WALK_MAX, get_qid, put_qid)
P9_LIST(xstats, struct p9x_stats, P9_WALK_MAX, get_xstat, put_xstat)
P9_LIST(fids, struct p9x_fids, P9X_FIDS_MAX, get_le32, put_le32)

/* Kinds as the table names them. */
#define get_u16 get_le16
#define get_u32 get_le32
#define get_u64 get_le64
#define put_u16 put_le16
#define put_u32 put_le32
#define put_u64 put_le64

static uint32_t get_optu32(struct cursor *c)
{
	return cursor_left(c) ? get_le32(c) : 0;
}

static void put_optu32(struct wcursor *w, uint32_t v)
{
	put_le32(w, v);
}

int p9_decode(const void *buf, size_t len, struct p9_msg *out)
{
	struct cursor c = cursor_make(buf, len), *cp = &c;
	uint32_t size = get_le32(cp);
	uint8_t type = get_u8(cp);
	uint16_t tag = get_le16(cp);

	if (c.bad || size != len)
		return -EPROTO;
	switch (type) {
#define P9_GET(kind, field) m.field = get_##kind(cp);
#define P9_CASE(nr, name)                                                                          \
	case nr: {                                                                                 \
		struct p9_##name m;                                                                \
		P9_FIELDS_##name(P9_GET)                                                           \
		if (c.bad || cursor_left(&c))                                                      \
			return -EPROTO;                                                            \
		out->name = m;                                                                     \
		break;                                                                             \
	}
		P9_MESSAGES(P9_CASE)
#undef P9_CASE
#undef P9_GET
	default:
		out->type = type;
		out->tag = tag;
		return -ENOSYS;
	}
	out->type = type;
	out->tag = tag;
	return 0;
}

long p9_encode(const struct p9_msg *m, void *buf, size_t cap)
{
	struct wcursor w = wcursor_make(buf, MIN(cap, (size_t)P9_MSIZE_MAX));
	struct wcursor head;

	put_le32(&w, 0);
	put_u8(&w, m->type);
	put_le16(&w, m->tag);
	switch (m->type) {
#define P9_PUT(kind, field) put_##kind(&w, b->field);
#define P9_CASE(nr, name)                                                                          \
	case nr: {                                                                                 \
		const struct p9_##name *b __attribute__((unused)) = &m->name;                      \
		P9_FIELDS_##name(P9_PUT)                                                           \
		break;                                                                             \
	}
		P9_MESSAGES(P9_CASE)
#undef P9_CASE
#undef P9_PUT
	default:
		return -EPROTO;
	}
	if (w.bad)
		return -EMSGSIZE;
	head = wcursor_make(buf, 4);
	put_le32(&head, (uint32_t)wcursor_len(&w));
	return (long)wcursor_len(&w);
}

const char *p9_type_name(unsigned type)
{
	switch (type) {
#define P9_CASE(nr, name)                                                                          \
	case nr:                                                                                   \
		return #name;
		P9_MESSAGES(P9_CASE)
#undef P9_CASE
	}
	return NULL;
}

bool p9_get_dirent(struct cursor *c, struct p9_dirent *out)
{
	struct p9_dirent d;

	if (c->bad || !cursor_left(c))
		return false;
	d.qid = get_qid(c);
	d.off = get_le64(c);
	d.type = get_u8(c);
	d.name = get_str(c);
	if (c->bad)
		return false;
	*out = d;
	return true;
}

void p9_put_dirent(struct wcursor *w, const struct p9_dirent *d)
{
	put_qid(w, d->qid);
	put_le64(w, d->off);
	put_u8(w, d->type);
	put_str(w, d->name);
}

bool p9x_get_dirent(struct cursor *c, struct p9x_dirent *out)
{
	struct p9x_dirent d;

	if (c->bad || !cursor_left(c))
		return false;
	d.st = get_xstat(c);
	d.off = get_le64(c);
	d.name = get_str(c);
	d.target = get_str(c);
	if (c->bad)
		return false;
	*out = d;
	return true;
}

void p9x_put_dirent(struct wcursor *w, const struct p9x_dirent *d)
{
	put_xstat(w, d->st);
	put_le64(w, d->off);
	put_str(w, d->name);
	put_str(w, d->target);
}

struct p9_str p9_str(const char *s)
{
	size_t len = strlen(s);

	BUG_ON(len > UINT16_MAX);
	return (struct p9_str){ s, (uint16_t)len };
}

int p9_name_check(struct p9_str s)
{
	if (s.len > P9_NAME_MAX)
		return -ENAMETOOLONG;
	if (!s.len || memchr(s.p, '/', s.len) || memchr(s.p, '\0', s.len))
		return -EINVAL;
	if (s.p[0] == '.' && (s.len == 1 || (s.len == 2 && s.p[1] == '.')))
		return -EINVAL;
	return 0;
}
