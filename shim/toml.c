/* SPDX-License-Identifier: Apache-2.0
 * shim/toml.c - see toml.h
 *
 * Source: toml.io, v1.0: comments, keys, basic and literal strings, integers, booleans, tables.
 */
#include "shim/toml.h"

#include <errno.h>
#include <string.h>

#define WORD_MAX 4096

struct parser {
	const char *p, *end;
	unsigned line;
	char table[256], key[256], value[WORD_MAX];
};

static void skip_blank(struct parser *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
		t->p++;
}

static bool bare_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-';
}

static int put(char *out, size_t cap, size_t *n, char c)
{
	if (*n + 1 >= cap || !c)
		return -1;
	out[(*n)++] = c;
	out[*n] = '\0';
	return 0;
}

/* The escapes of basic strings; \u and \U as UTF-8. */
static int put_escape(struct parser *t, char *out, size_t cap, size_t *n)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	uint32_t cp = 0;
	const char *hit;
	int digits;
	char c;

	if (t->p == t->end)
		return -1;
	c = *t->p++;
	hit = c ? strchr(from, c) : NULL;
	if (hit)
		return put(out, cap, n, to[hit - from]);
	if (c != 'u' && c != 'U')
		return -1;
	digits = c == 'u' ? 4 : 8;
	for (int i = 0; i < digits; i++) {
		static const char hex[] = "0123456789abcdef";

		hit = t->p < t->end && *t->p ? strchr(hex, *t->p | 0x20) : NULL;
		if (!hit)
			return -1;
		cp = cp << 4 | (uint32_t)(hit - hex);
		t->p++;
	}
	if (!cp || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return -1;
	if (cp < 0x80)
		return put(out, cap, n, (char)cp);
	for (int shift = cp < 0x800 ? 6 : cp < 0x10000 ? 12 : 18, first = 1; shift >= 0; shift -= 6) {
		uint32_t lead = shift == 6 ? 0xc0 : shift == 12 ? 0xe0 : 0xf0;
		uint32_t b = first ? lead | cp >> shift : 0x80 | (cp >> shift & 0x3f);

		if (put(out, cap, n, (char)b) < 0)
			return -1;
		first = 0;
	}
	return 0;
}

static int quoted(struct parser *t, char *out, size_t cap)
{
	char q = *t->p++;
	size_t n = 0;

	out[0] = '\0';
	if (t->end - t->p >= 2 && t->p[0] == q && t->p[1] == q)
		return -1; /* multi-line strings */
	while (t->p < t->end && *t->p != '\n') {
		char c = *t->p++;

		if (c == q)
			return 0;
		if (c == '\\' && q == '"' ? put_escape(t, out, cap, &n) < 0 : put(out, cap, &n, c) < 0)
			return -1;
	}
	return -1;
}

/* One key, bare or quoted; dotted keys keep their dots ("a.b" is one name to us). */
static int key(struct parser *t, char *out, size_t cap)
{
	size_t n = 0;

	skip_blank(t);
	if (t->p < t->end && (*t->p == '"' || *t->p == '\''))
		return quoted(t, out, cap);
	out[0] = '\0';
	while (t->p < t->end && (bare_char(*t->p) || *t->p == '.'))
		if (put(out, cap, &n, *t->p++) < 0)
			return -1;
	return n ? 0 : -1;
}

static int scalar(struct parser *t, enum toml_kind *kind)
{
	size_t n = 0, digits = 0;

	skip_blank(t);
	if (t->p < t->end && (*t->p == '"' || *t->p == '\'')) {
		*kind = TOML_STRING;
		return quoted(t, t->value, sizeof(t->value));
	}
	t->value[0] = '\0';
	while (t->p < t->end && (bare_char(*t->p) || *t->p == '+'))
		if (put(t->value, sizeof(t->value), &n, *t->p++) < 0)
			return -1;
	*kind = TOML_BOOL;
	if (!strcmp(t->value, "true") || !strcmp(t->value, "false"))
		return 0;
	*kind = TOML_INT;
	for (size_t i = 0; i < n; i++) {
		if (t->value[i] >= '0' && t->value[i] <= '9')
			digits++;
		else if (i || (t->value[i] != '-' && t->value[i] != '+'))
			return -1;
	}
	return digits ? 0 : -1;
}

static bool at_line_end(struct parser *t)
{
	skip_blank(t);
	if (t->p < t->end && *t->p == '#')
		while (t->p < t->end && *t->p != '\n')
			t->p++;
	if (t->p < t->end && *t->p == '\r')
		t->p++;
	return t->p == t->end || *t->p == '\n';
}

static int table(struct parser *t)
{
	t->p++;
	if (key(t, t->table, sizeof(t->table)) < 0)
		return -1;
	skip_blank(t);
	return t->p < t->end && *t->p++ == ']' ? 0 : -1;
}

int toml_parse(const char *text, size_t len, int (*fn)(void *, const struct toml_item *, struct err *),
	       void *arg, struct err *e)
{
	struct parser t = { .p = text, .end = text + len, .line = 1 };
	struct toml_item it = { .table = t.table, .key = t.key, .text = t.value };

	if (len > TOML_MAX)
		return err_set(e, EFBIG, "larger than %u bytes", TOML_MAX);
	for (; t.p < t.end; t.p++, t.line++) {
		if (at_line_end(&t))
			continue;
		if (*t.p == '[') {
			if (table(&t) < 0)
				return err_set(e, EINVAL, "line %u: bad table header", t.line);
		} else {
			if (key(&t, t.key, sizeof(t.key)) < 0)
				return err_set(e, EINVAL, "line %u: bad key", t.line);
			skip_blank(&t);
			if (t.p == t.end || *t.p++ != '=' || scalar(&t, &it.kind) < 0)
				return err_set(e, EINVAL,
					       "line %u: %s wants a string, a boolean or an integer", t.line,
					       t.key);
			if (fn(arg, &it, e))
				return err_wrap(e, "line %u", t.line);
		}
		if (!at_line_end(&t))
			return err_set(e, EINVAL, "line %u: text after the value", t.line);
	}
	return 0;
}
