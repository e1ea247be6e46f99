/* SPDX-License-Identifier: Apache-2.0
 * shim/uri.c - the URIs that name stdio streams
 *
 * Source: RFC 3986 sections 2.1 and 3.4; containerd docs: fifo by default.
 */
#include <errno.h>
#include <string.h>

#include "shim/stdio.h"

#define QUERY_MAX 64 /* pairs */

static const struct {
	const char *prefix;
	enum stdio_scheme scheme;
} schemes[] = {
	{ "fifo://", STDIO_FIFO },	     { "file://", STDIO_FILE },
	{ "binary://", STDIO_BINARY },	     { "binary-v2://", STDIO_BINARY_V2 },
	{ "ttrpc+unix://", STDIO_STREAM },
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent decoding; @plus: '+' means a space (queries). NULL with EINVAL, ENOMEM. */
static char *decode(const char *s, size_t len, bool plus)
{
	char *out = malloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; out && i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int hi = i + 2 < len ? hex_digit(s[i + 1]) : -1;
			int lo = i + 2 < len ? hex_digit(s[i + 2]) : -1;

			if (hi < 0 || lo < 0 || !(hi << 4 | lo)) {
				free(out);
				errno = EINVAL;
				return NULL;
			}
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		out[n++] = c;
	}
	if (out)
		out[n] = '\0';
	return out;
}

void stdio_uri_fini(struct stdio_uri *u)
{
	free(u->path);
	for (size_t i = 0; i < 2 * u->nr_query; i++)
		free(u->query[i]);
	free(u->query);
	*u = (struct stdio_uri){ 0 };
}

static int parse_query(struct stdio_uri *u, const char *q)
{
	while (*q) {
		const char *end = strchrnul(q, '&'), *eq = memchr(q, '=', (size_t)(end - q));
		char **slot;

		if (end > q) {
			if (u->nr_query == QUERY_MAX) {
				errno = E2BIG;
				return -1;
			}
			slot = realloc(u->query, (2 * u->nr_query + 2) * sizeof(*slot));
			if (!slot)
				return -1;
			u->query = slot;
			slot += 2 * u->nr_query;
			slot[0] = decode(q, (size_t)((eq ? eq : end) - q), true);
			slot[1] = eq ? decode(eq + 1, (size_t)(end - eq - 1), true) : strdup("");
			u->nr_query++;
			if (!slot[0] || !slot[1])
				return -1;
		}
		q = *end ? end + 1 : end;
	}
	return 0;
}

int stdio_uri_parse(const char *s, struct stdio_uri *u, struct err *e)
{
	const char *q, *rest = s;

	*u = (struct stdio_uri){ 0 };
	if (!*s)
		return 0;
	u->scheme = STDIO_FIFO;
	if (strstr(s, "://")) {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(schemes); i++)
			if (!strncmp(s, schemes[i].prefix, strlen(schemes[i].prefix)))
				break;
		if (i == ARRAY_SIZE(schemes))
			return err_set(e, EINVAL, "unknown STDIO scheme in %s", s);
		u->scheme = schemes[i].scheme;
		rest = s + strlen(schemes[i].prefix);
		q = strchrnul(rest, '?');
		u->path = decode(rest, (size_t)(q - rest), false);
		if (u->path && *q && parse_query(u, q + 1) < 0) {
			err_sys(e, "query of %s", s);
			stdio_uri_fini(u);
			return -1;
		}
	} else {
		u->path = strdup(rest);
	}
	if (!u->path)
		return err_sys(e, "stdio %s", s);
	if (u->path[0] != '/') {
		stdio_uri_fini(u);
		return err_set(e, EINVAL, "stdio path of %s is not absolute", s);
	}
	return 0;
}
