/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/jsonx.h - JSON into C structs by tables, strictly
 *
 * Model:   a row says name, kind and offset of one member; json_decode() walks object and table together. Strings
 *          are borrowed from the document's tree, arrays come from its arena: both live until jdoc_free().
 *          null is the same as absent (as Go's encoder, which wrote most of the input, means it). Unknown
 *          members are ignored (the OCI specification demands it).
 * Errors:  EINVAL and one sentence with the path: "mounts[3].destination must be a string, not a number".
 */
#ifndef RUNSC_LIB_JSONX_H
#define RUNSC_LIB_JSONX_H

#include <json-c/json.h>

#include "base/err.h"
#include "base/util.h"

#define JDOC_TEXT_MAX  (16u << 20) /* bytes of one document */
#define JDOC_DEPTH_MAX 64
#define JDOC_ITEMS_MAX 65536	   /* elements of one array or object */

struct jdoc {
	struct json_object *root;
	struct jblock *blocks; /* arena */
};

struct jstrv { const char **v; size_t n; };		     /* array of strings, NULL-terminated */
struct jkv { const char *key, *value; };
struct jmap { struct jkv *v; size_t n; };		     /* object of strings */
struct jarr { void *v; size_t n; };			     /* array of objects, decoded */
struct ju32v { uint32_t *v; size_t n; };
struct jopt { bool set; int64_t v; };			     /* signed integer that may be absent */
struct joptu { bool set; uint64_t v; };

enum jkind {
	J_STR,	  /* const char *, NULL when absent */
	J_BOOL,	  /* bool */
	J_OPTBOOL,/* int: -1 must be preset by the caller when it matters; 0, 1 */
	J_U32,	  /* uint32_t */
	J_I32,	  /* int32_t */
	J_U64,	  /* uint64_t */
	J_OPT,	  /* struct jopt */
	J_OPTU,	  /* struct joptu */
	J_STRV,	  /* struct jstrv */
	J_U32V,	  /* struct ju32v */
	J_MAP,	  /* struct jmap */
	J_OBJ,	  /* struct described by sub, embedded */
	J_ARR,	  /* struct jarr of structs described by sub, elem bytes each */
	J_RAW,	  /* struct json_object *, borrowed, of any type */
};

struct jfield {
	const char *name;
	enum jkind kind;
	size_t off;
	bool required;
	size_t has_off; /* J_OBJ: offset of a bool that tells presence; 0 = none (offset 0 is never a flag) */
	const struct jfield *sub;
	size_t elem;
};
#define JF(type, kind_, name_, member) { .name = name_, .kind = kind_, .off = offsetof(type, member) }
#define JF_REQ(type, kind_, name_, member)                                                         \
	{ .name = name_, .kind = kind_, .off = offsetof(type, member), .required = true }
#define JF_OBJ(type, name_, member, has, sub_)                                                     \
	{ .name = name_, .kind = J_OBJ, .off = offsetof(type, member), .has_off = offsetof(type, has), .sub = sub_ }
#define JF_ARR(type, name_, member, elemtype, sub_)                                                \
	{ .name = name_, .kind = J_ARR, .off = offsetof(type, member), .sub = sub_, .elem = sizeof(elemtype) }
#define JF_END { .name = NULL }

/* Parses @len bytes of @text as one JSON object. @what names it in errors ("config.json"). */
int jdoc_parse(struct jdoc *d, const char *text, size_t len, const char *what, struct err *e);
/* The same for a file; a missing file, a directory, an empty or oversized one each get their sentence. */
int jdoc_read(struct jdoc *d, int dirfd, const char *path, struct err *e);
void jdoc_free(struct jdoc *d); /* half-built and zeroed are fine */
/* Zeroed memory that lives as long as the document; aborts the decode by NULL when there is none. */
void *jdoc_alloc(struct jdoc *d, size_t n, size_t size);

/* Fills @out by @fields from @o. @path is put in front of member names in errors ("" for the root). */
int json_decode(struct jdoc *d, struct json_object *o, const struct jfield *fields, void *out, const char *path,
		struct err *e);

/* Reads all of a file, at most @max bytes, NUL-terminated; malloc'ed. -1 with errno (EFBIG when larger). */
int read_file_at(int dirfd, const char *path, size_t max, char **out, size_t *out_len);

/* Small builders: add and forget; json-c aborts the process only when we ignore its NULLs, so these do not. */
void jo_str(struct json_object *o, const char *k, const char *v); /* NULL v adds nothing */
void jo_int(struct json_object *o, const char *k, int64_t v);
void jo_u64(struct json_object *o, const char *k, uint64_t v);
void jo_bool(struct json_object *o, const char *k, bool v);
void jo_obj(struct json_object *o, const char *k, struct json_object *v); /* takes v */
/* Array of strings of a NULL-terminated vector. */
struct json_object *ja_strings(const char *const *v);

#endif
