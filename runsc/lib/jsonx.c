/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/jsonx.c - see jsonx.h
 */
#include "runsc/lib/jsonx.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct jblock {
	struct jblock *next;
	max_align_t mem[];
};

void *jdoc_alloc(struct jdoc *d, size_t n, size_t size)
{
	struct jblock *b;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	b = calloc(1, sizeof(*b) + bytes + 1);
	if (!b)
		return NULL;
	b->next = d->blocks;
	d->blocks = b;
	return b->mem;
}

void jdoc_free(struct jdoc *d)
{
	while (d->blocks) {
		struct jblock *b = d->blocks;

		d->blocks = b->next;
		free(b);
	}
	json_object_put(d->root);
	d->root = NULL;
}

/* Line and column of byte @at, for people who look the mistake up in an editor. */
static void text_position(const char *text, size_t at, unsigned *line, unsigned *col)
{
	*line = *col = 1;
	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			(*line)++;
			*col = 1;
		} else {
			(*col)++;
		}
	}
}

int jdoc_parse(struct jdoc *d, const char *text, size_t len, const char *what, struct err *e)
{
	struct json_tokener *tok;
	enum json_tokener_error why;
	unsigned line, col;
	size_t end;

	memset(d, 0, sizeof(*d));
	if (len > JDOC_TEXT_MAX)
		return err_set(e, EINVAL, "%s is larger than %u MiB", what, JDOC_TEXT_MAX >> 20);
	if (strnlen(text, len) < len)
		return err_set(e, EINVAL, "%s contains a NUL byte", what);
	tok = json_tokener_new_ex(JDOC_DEPTH_MAX);
	if (!tok)
		return err_set(e, ENOMEM, "%s: out of memory", what);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	d->root = json_tokener_parse_ex(tok, text, (int)len);
	why = json_tokener_get_error(tok);
	end = MIN(json_tokener_get_parse_end(tok), len);
	json_tokener_free(tok);
	if (why == json_tokener_success && d->root && !json_object_is_type(d->root, json_type_object)) {
		json_object_put(d->root);
		d->root = NULL;
		return err_set(e, EINVAL, "%s must be a JSON object", what);
	}
	if (why == json_tokener_success && d->root)
		return 0;
	json_object_put(d->root);
	d->root = NULL;
	text_position(text, end, &line, &col);
	if (len == 0 || strspn(text, " \t\r\n") == len)
		return err_set(e, EINVAL, "%s is empty", what);
	if (why == json_tokener_continue && text[strspn(text, " \t\r\n")] != '{' && text[strspn(text, " \t\r\n")] != '[')
		return err_set(e, EINVAL, "%s must be a JSON object", what);
	if (why == json_tokener_continue || (why != json_tokener_success && end >= len))
		return err_set(e, EINVAL, "%s is truncated: it ends in the middle of a value (line %u)", what, line);
	return err_set(e, EINVAL, "%s is not valid JSON: %s at line %u, column %u", what,
		       why == json_tokener_success ? "null document" : json_tokener_error_desc(why), line, col);
}

int read_file_at(int dirfd, const char *path, size_t max, char **out, size_t *out_len)
{
	AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	AUTO_FREE char *text = NULL;
	size_t cap = 4096, len = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max) {
		errno = EFBIG;
		return -1;
	}
	if (S_ISREG(st.st_mode) && (size_t)st.st_size >= cap)
		cap = (size_t)st.st_size + 2;
	text = malloc(cap);
	while (text) {
		ssize_t n = read(fd, text + len, cap - len - 1);

		if (n < 0 && errno == EAGAIN) { /* a pipe (update -r -) whose writer is not done yet */
			struct pollfd p = { .fd = fd, .events = POLLIN };

			poll(&p, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max) {
			errno = EFBIG;
			return -1;
		}
		if (cap - len < 2) {
			char *bigger = realloc(text, cap * 2);

			if (!bigger)
				return -1;
			text = bigger;
			cap *= 2;
		}
	}
	if (!text)
		return -1;
	text[len] = '\0';
	*out = TAKE_PTR(text);
	*out_len = len;
	return 0;
}

int jdoc_read(struct jdoc *d, int dirfd, const char *path, struct err *e)
{
	AUTO_FREE char *text = NULL;
	const char *base = strrchr(path, '/');
	size_t len;

	memset(d, 0, sizeof(*d));
	if (read_file_at(dirfd, path, JDOC_TEXT_MAX, &text, &len) < 0) {
		if (errno == EFBIG)
			return err_set(e, EINVAL, "%s is larger than %u MiB", path, JDOC_TEXT_MAX >> 20);
		return err_sys(e, "open %s", path);
	}
	return jdoc_parse(d, text, len, base ? base + 1 : path, e);
}

static const char *type_name(struct json_object *o)
{
	switch (json_object_get_type(o)) {
	case json_type_null: return "null";
	case json_type_boolean: return "a boolean";
	case json_type_double: return "a fraction";
	case json_type_int: return "a number";
	case json_type_object: return "an object";
	case json_type_array: return "an array";
	case json_type_string: return "a string";
	}
	return "something else";
}

static int bad_type(struct err *e, const char *path, const char *want, struct json_object *o)
{
	return err_set(e, EINVAL, "%s must be %s, not %s", path, want, type_name(o));
}

static int decode_str(struct json_object *o, const char **out, const char *path, struct err *e)
{
	const char *s;

	if (!json_object_is_type(o, json_type_string))
		return bad_type(e, path, "a string", o);
	s = json_object_get_string(o);
	if (strlen(s) != (size_t)json_object_get_string_len(o))
		return err_set(e, EINVAL, "%s contains a NUL character", path);
	*out = s;
	return 0;
}

static int decode_i64(struct json_object *o, int64_t min, int64_t max, int64_t *out, const char *path,
		      struct err *e)
{
	int64_t v;

	if (!json_object_is_type(o, json_type_int))
		return bad_type(e, path, "an integer", o);
	v = json_object_get_int64(o);
	/* beyond the type json-c saturates: what differs from the unsigned reading was cut */
	if (v < min || v > max || (v == INT64_MAX && json_object_get_uint64(o) != (uint64_t)INT64_MAX))
		return err_set(e, EINVAL, "%s is out of range: %s", path, json_object_get_string(o));
	*out = v;
	return 0;
}

static int decode_u64(struct json_object *o, uint64_t max, uint64_t *out, const char *path, struct err *e)
{
	if (!json_object_is_type(o, json_type_int))
		return bad_type(e, path, "an integer", o);
	if (json_object_get_int64(o) < 0 || json_object_get_uint64(o) > max)
		return err_set(e, EINVAL, "%s is out of range: %s", path, json_object_get_string(o));
	*out = json_object_get_uint64(o);
	return 0;
}

static int array_len(struct json_object *o, size_t *out, const char *path, struct err *e)
{
	if (!json_object_is_type(o, json_type_array))
		return bad_type(e, path, "an array", o);
	*out = json_object_array_length(o);
	if (*out > JDOC_ITEMS_MAX)
		return err_set(e, EINVAL, "%s has more than %d elements", path, JDOC_ITEMS_MAX);
	return 0;
}

static int decode_strv(struct jdoc *d, struct json_object *o, struct jstrv *out, const char *path, struct err *e)
{
	char sub[320];
	size_t n;

	if (array_len(o, &n, path, e) < 0)
		return -1;
	out->v = jdoc_alloc(d, n + 1, sizeof(*out->v));
	if (!out->v)
		return err_set(e, ENOMEM, "%s: out of memory", path);
	for (size_t i = 0; i < n; i++) {
		snprintf(sub, sizeof(sub), "%s[%zu]", path, i);
		if (decode_str(json_object_array_get_idx(o, i), &out->v[i], sub, e) < 0)
			return -1;
	}
	out->n = n;
	return 0;
}

static int decode_u32v(struct jdoc *d, struct json_object *o, struct ju32v *out, const char *path, struct err *e)
{
	char sub[320];
	size_t n;

	if (array_len(o, &n, path, e) < 0)
		return -1;
	out->v = jdoc_alloc(d, n, sizeof(*out->v));
	if (!out->v)
		return err_set(e, ENOMEM, "%s: out of memory", path);
	for (size_t i = 0; i < n; i++) {
		uint64_t v;

		snprintf(sub, sizeof(sub), "%s[%zu]", path, i);
		if (decode_u64(json_object_array_get_idx(o, i), UINT32_MAX, &v, sub, e) < 0)
			return -1;
		out->v[i] = (uint32_t)v;
	}
	out->n = n;
	return 0;
}

/* Where a member of a map stands, in one line whatever its name is. */
static void member_path(char *out, size_t size, const char *path, const char *key)
{
	snprintf(out, size, "%s[\"%.60s\"]", path, key);
	for (; *out; out++)
		if ((unsigned char)*out < 0x20 || *out == 0x7f)
			*out = '?';
}

static int decode_map(struct jdoc *d, struct json_object *o, struct jmap *out, const char *path, struct err *e)
{
	char sub[320];
	size_t n;

	if (!json_object_is_type(o, json_type_object))
		return bad_type(e, path, "an object", o);
	n = (size_t)json_object_object_length(o);
	if (n > JDOC_ITEMS_MAX)
		return err_set(e, EINVAL, "%s has more than %d members", path, JDOC_ITEMS_MAX);
	out->v = jdoc_alloc(d, n, sizeof(*out->v));
	if (!out->v)
		return err_set(e, ENOMEM, "%s: out of memory", path);
	json_object_object_foreach(o, key, val) {
		member_path(sub, sizeof(sub), path, key);
		if (decode_str(val, &out->v[out->n].value, sub, e) < 0)
			return -1;
		out->v[out->n++].key = key;
	}
	return 0;
}

static int decode_arr(struct jdoc *d, struct json_object *o, const struct jfield *f, struct jarr *out,
		      const char *path, struct err *e)
{
	char sub[320];
	size_t n;

	if (array_len(o, &n, path, e) < 0)
		return -1;
	out->v = jdoc_alloc(d, n, f->elem);
	if (!out->v)
		return err_set(e, ENOMEM, "%s: out of memory", path);
	for (size_t i = 0; i < n; i++) {
		snprintf(sub, sizeof(sub), "%s[%zu]", path, i);
		if (json_decode(d, json_object_array_get_idx(o, i), f->sub, (char *)out->v + i * f->elem, sub, e) < 0)
			return -1;
	}
	out->n = n;
	return 0;
}

static int decode_field(struct jdoc *d, struct json_object *v, const struct jfield *f, char *base,
			const char *path, struct err *e)
{
	void *out = base + f->off;
	int64_t i = 0;
	uint64_t u = 0;

	switch (f->kind) {
	case J_STR:
		return decode_str(v, out, path, e);
	case J_BOOL:
	case J_OPTBOOL:
		if (!json_object_is_type(v, json_type_boolean))
			return bad_type(e, path, "a boolean", v);
		if (f->kind == J_BOOL)
			*(bool *)out = json_object_get_boolean(v);
		else
			*(int *)out = json_object_get_boolean(v) ? 1 : 0;
		return 0;
	case J_U32:
		if (decode_u64(v, UINT32_MAX, &u, path, e) < 0)
			return -1;
		*(uint32_t *)out = (uint32_t)u;
		return 0;
	case J_I32:
		if (decode_i64(v, INT32_MIN, INT32_MAX, &i, path, e) < 0)
			return -1;
		*(int32_t *)out = (int32_t)i;
		return 0;
	case J_U64:
		return decode_u64(v, UINT64_MAX, out, path, e);
	case J_OPT:
		((struct jopt *)out)->set = true;
		return decode_i64(v, INT64_MIN, INT64_MAX, &((struct jopt *)out)->v, path, e);
	case J_OPTU:
		((struct joptu *)out)->set = true;
		return decode_u64(v, UINT64_MAX, &((struct joptu *)out)->v, path, e);
	case J_STRV:
		return decode_strv(d, v, out, path, e);
	case J_U32V:
		return decode_u32v(d, v, out, path, e);
	case J_MAP:
		return decode_map(d, v, out, path, e);
	case J_OBJ:
		if (f->has_off)
			*(bool *)(base + f->has_off) = true;
		return json_decode(d, v, f->sub, out, path, e);
	case J_ARR:
		return decode_arr(d, v, f, out, path, e);
	case J_RAW:
		*(struct json_object **)out = v;
		return 0;
	}
	return err_set(e, EINVAL, "%s: no decoder", path);
}

int json_decode(struct jdoc *d, struct json_object *o, const struct jfield *fields, void *out, const char *path,
		struct err *e)
{
	char sub[256];

	if (!json_object_is_type(o, json_type_object))
		return bad_type(e, *path ? path : "the document", "an object", o);
	for (const struct jfield *f = fields; f->name; f++) {
		struct json_object *v = NULL;

		snprintf(sub, sizeof(sub), "%s%s%s", path, *path ? "." : "", f->name);
		if (!json_object_object_get_ex(o, f->name, &v) || json_object_is_type(v, json_type_null)) {
			if (f->required)
				return err_set(e, EINVAL, "%s is missing", sub);
			continue;
		}
		if (decode_field(d, v, f, out, sub, e) < 0)
			return -1;
	}
	return 0;
}

void jo_obj(struct json_object *o, const char *k, struct json_object *v)
{
	if (v && json_object_object_add(o, k, v) < 0)
		json_object_put(v);
}

void jo_str(struct json_object *o, const char *k, const char *v)
{
	if (v)
		jo_obj(o, k, json_object_new_string(v));
}

void jo_int(struct json_object *o, const char *k, int64_t v)
{
	jo_obj(o, k, json_object_new_int64(v));
}

void jo_u64(struct json_object *o, const char *k, uint64_t v)
{
	jo_obj(o, k, json_object_new_uint64(v));
}

void jo_bool(struct json_object *o, const char *k, bool v)
{
	jo_obj(o, k, json_object_new_boolean(v));
}

struct json_object *ja_strings(const char *const *v)
{
	struct json_object *a = json_object_new_array();

	for (; a && v && *v; v++)
		json_object_array_add(a, json_object_new_string(*v));
	return a;
}
