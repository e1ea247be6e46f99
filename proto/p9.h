/* SPDX-License-Identifier: Apache-2.0
 * proto/p9.h - 9P2000.L and our extensions: what Gofer and Sentry say to each other
 *
 * Model:   a message is size[4] type[1] tag[2] body. One table (p9_messages.h) lists each message
 *          with its fields; the structures here, the encoder, and the decoder are generated from it. A
 *          decoded message borrows strings and data from the bytes it was decoded from. All integers
 *          are little endian.
 * Source:  the 9P2000.L protocol as documented by the diod project (protocol.md) and as spoken by
 *          Linux v9fs; extensions are ours and exist only after Tversion agreed on P9_VERSION_EXT.
 * Differs: .u and plain 9P2000 (Tstat, Topen, Tcreate, ...) are not spoken.
 */
#ifndef PROTO_P9_H
#define PROTO_P9_H

#include "base/cursor.h"

#define P9_VERSION     "9P2000.L"
#define P9_VERSION_EXT "9P2000.L.runsc2"

#define P9_HDR_LEN    7u
#define P9_MSIZE_MIN  4096u
#define P9_MSIZE_MAX  (1u << 20)
/* A packet socket carries one message per packet; the kernel allocates a packet in one piece. */
#define P9_MSIZE_PACKET (128u << 10)
#define P9_IOHDR_LEN  24u /* room kept for the header of a Tread/Twrite, as in v9fs */
#define P9_NOTAG      0xffffu
#define P9_NOFID      0xffffffffu
#define P9_NONUNAME   0xffffffffu
#define P9_WALK_MAX   16 /* names in one walk */
#define P9X_FIDS_MAX  64 /* fids in one Txclunk */
#define P9_NAME_MAX   255
#define P9_PATH_MAX   4096

enum p9_qid_type {
	P9_QTDIR = 0x80,
	P9_QTAPPEND = 0x40,
	P9_QTEXCL = 0x20,
	P9_QTSYMLINK = 0x02,
	P9_QTFILE = 0x00,
};

/* Tgetattr request_mask, Rgetattr valid */
#define P9_GETATTR_BASIC 0x000007ffull
#define P9_GETATTR_BTIME 0x00000800ull
#define P9_GETATTR_GEN	 0x00001000ull
#define P9_GETATTR_DATAV 0x00002000ull

/* Tsetattr and Txsetattr valid */
#define P9_SETATTR_MODE	     0x001u
#define P9_SETATTR_UID	     0x002u
#define P9_SETATTR_GID	     0x004u
#define P9_SETATTR_SIZE	     0x008u
#define P9_SETATTR_ATIME     0x010u
#define P9_SETATTR_MTIME     0x020u
#define P9_SETATTR_CTIME     0x040u
#define P9_SETATTR_ATIME_SET 0x080u
#define P9_SETATTR_MTIME_SET 0x100u
#define P9_SETATTR_KNOWN     0x1ffu

/* Tlopen and Tlcreate flags: Linux's generic open flags */
#define P9_O_ACCMODE   000000003u
#define P9_O_CREATE    000000100u
#define P9_O_EXCL      000000200u
#define P9_O_NOCTTY    000000400u
#define P9_O_TRUNC     000001000u
#define P9_O_APPEND    000002000u
#define P9_O_NONBLOCK  000004000u
#define P9_O_DSYNC     000010000u
#define P9_O_FASYNC    000020000u
#define P9_O_DIRECT    000040000u
#define P9_O_LARGEFILE 000100000u
#define P9_O_DIRECTORY 000200000u
#define P9_O_NOFOLLOW  000400000u
#define P9_O_NOATIME   001000000u
#define P9_O_CLOEXEC   002000000u
#define P9_O_SYNC      004000000u
#define P9_O_KNOWN     007777703u

#define P9_LOCK_RDLCK	0
#define P9_LOCK_WRLCK	1
#define P9_LOCK_UNLCK	2
#define P9_LOCK_BLOCK	1u /* Tlock flags; a server may still answer P9_LOCK_BLOCKED */
#define P9_LOCK_SUCCESS 0
#define P9_LOCK_BLOCKED 1
#define P9_LOCK_ERROR	2
#define P9_LOCK_GRACE	3

#define P9_UNLINK_DIR 0x200u /* Tunlinkat flags: AT_REMOVEDIR */

/* Txopen, Txcreate and Txlookup: what the client wants (.want) and what it got (.got) */
#define P9X_FID	   0x1u /* the new fid is open for Tread, Twrite, Treaddir */
#define P9X_FD	   0x2u /* a host descriptor rides on the reply (SCM_RIGHTS) */
#define P9X_INLINE 0x4u /* the whole content is in .data; it wins over P9X_FD when both are wanted */
#define P9X_WANT_KNOWN 0x7u
#define P9X_INLINE_MAX (64u << 10)

#define P9X_TMPFILE	 0x1u /* Txcreate .xflags: unnamed file in the directory; .name is empty */
#define P9X_XATTR_REMOVE 0x80000000u /* Txsetxattr .flags: remove instead; no value */
#define P9X_DIR_LINKS	 0x1u /* Txreaddir .flags: entries carry the targets of symbolic links */

struct p9_str {
	const char *p; /* borrowed, not terminated */
	uint16_t len;
};

struct p9_data {
	const uint8_t *p; /* borrowed */
	uint32_t len;
};

struct p9_qid {
	uint8_t type;
	uint32_t version;
	uint64_t path;
};

struct p9_names {
	uint16_t n; /* <= P9_WALK_MAX in a decoded message */
	struct p9_str v[P9_WALK_MAX];
};

struct p9_qids {
	uint16_t n;
	struct p9_qid v[P9_WALK_MAX];
};

struct p9x_fids {
	uint16_t n;
	uint32_t v[P9X_FIDS_MAX];
};

struct p9_time {
	uint64_t sec;
	uint64_t nsec;
};

/* What statx(2) knows; fixed size on the wire (P9X_STAT_LEN). */
struct p9x_stat {
	uint32_t mask;	/* STATX_* bits that are filled */
	uint32_t mode, nlink, uid, gid, blksize;
	uint64_t attributes; /* STATX_ATTR_* */
	uint64_t ino, size, blocks;
	uint32_t dev_major, dev_minor, rdev_major, rdev_minor;
	struct {
		int64_t sec;
		uint32_t nsec;
	} atime, mtime, ctime, btime;
};
#define P9X_STAT_LEN 120u

struct p9x_stats {
	uint16_t n;
	struct p9x_stat v[P9_WALK_MAX];
};

/* One entry of Rxreaddir data: stat, d_off[8], name[s], target[s]. stat.mask 0: it could not be had. */
struct p9x_dirent {
	struct p9x_stat st;
	uint64_t off;
	struct p9_str name, target;
};

/* One entry of Rreaddir data: qid, offset[8], type[1] (DT_*), name[s]. */
struct p9_dirent {
	struct p9_qid qid;
	uint64_t off;
	uint8_t type;
	struct p9_str name;
};

#include "p9_messages.h"

/* enum p9_type: P9_Tversion = 100, ... */
#define P9_ENUM(nr, name) P9_##name = nr,
enum p9_type { P9_MESSAGES(P9_ENUM) };
#undef P9_ENUM

/* The C type behind each field kind of the table. */
typedef uint8_t p9_c_u8;
typedef uint16_t p9_c_u16;
typedef uint32_t p9_c_u32;
typedef uint64_t p9_c_u64;
typedef uint32_t p9_c_optu32;
typedef struct p9_str p9_c_str;
typedef struct p9_data p9_c_data;
typedef struct p9_qid p9_c_qid;
typedef struct p9_names p9_c_names;
typedef struct p9_qids p9_c_qids;
typedef struct p9_time p9_c_time;
typedef struct p9x_stat p9_c_xstat;
typedef struct p9x_stats p9_c_xstats;
typedef struct p9x_fids p9_c_fids;

/* struct p9_Tversion { uint32_t msize; struct p9_str version; }; ... */
#define P9_FIELD(kind, name) p9_c_##kind name;
#define P9_STRUCT(nr, name) struct p9_##name { P9_FIELDS_##name(P9_FIELD) };
P9_MESSAGES(P9_STRUCT)
#undef P9_STRUCT
#undef P9_FIELD

struct p9_msg {
	uint8_t type;
	uint16_t tag;
	union {
#define P9_MEMBER(nr, name) struct p9_##name name;
		P9_MESSAGES(P9_MEMBER)
#undef P9_MEMBER
	};
};

/**
 * p9_decode() - read one whole message
 * @buf, @len:	the message with its header; @len must equal the size it states
 * @out:	written only on success; its strings and data point into @buf
 *
 * Return: 0; -EPROTO when the size field, a length, or a count is wrong, or bytes are left over;
 * -ENOSYS when the type is not in the table (then out->type and out->tag are valid)
 */
int p9_decode(const void *buf, size_t len, struct p9_msg *out);

/**
 * p9_encode() - write one message
 * Return: its length, or -EMSGSIZE when it does not fit @cap, -EPROTO when a count is over its limit
 */
long p9_encode(const struct p9_msg *m, void *buf, size_t cap);

/* Header only: how long the message that starts at @hdr (>= 4 bytes) says it is. */
static inline uint32_t p9_size(const void *hdr)
{
	struct cursor c = cursor_make(hdr, 4);

	return get_le32(&c);
}

/* "Tversion", or NULL for a number that the table does not have. */
const char *p9_type_name(unsigned type);
/* True for the extension messages, which need P9_VERSION_EXT. */
static inline bool p9_type_is_ext(unsigned type)
{
	return type >= P9_Txwalk;
}

/* Entries of directory pages. The getters return false at the end or when the bytes are bad (c->bad). */
bool p9_get_dirent(struct cursor *c, struct p9_dirent *out);
void p9_put_dirent(struct wcursor *w, const struct p9_dirent *d);
bool p9x_get_dirent(struct cursor *c, struct p9x_dirent *out);
void p9x_put_dirent(struct wcursor *w, const struct p9x_dirent *d);
static inline size_t p9x_dirent_len(size_t name_len, size_t target_len)
{
	return P9X_STAT_LEN + 8 + 2 + name_len + 2 + target_len;
}

/* Borrowed from a C string; longer ones than 65535 bytes are our bug. */
struct p9_str p9_str(const char *s);
static inline bool p9_str_eq(struct p9_str a, const char *s)
{
	return a.len == strlen(s) && !memcmp(a.p, s, a.len);
}

/**
 * p9_name_check() - may @s name a directory entry?
 * Return: 0; -EINVAL when empty, ".", "..", or it has '/' or NUL; -ENAMETOOLONG
 */
int p9_name_check(struct p9_str s);

#endif
