/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/submounts.c - read-only bind mounts whose submounts stay writable
 *
 * Model:   "rbind,ro" makes the mount itself read-only and not those below it; "rro" is for that. The gofer serves a recursive
 *          bind as one tree and the Sentry mounts it once, so submounts of the former kind become bind mounts of their own, right
 *          behind it.
 * Source:  mount(8) "bind mounts", runtime-spec config.md; proc_pid_mountinfo(5).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fdpass.h"
#include "runsc/lib/control.h"

#define SUBMOUNTS_MAX	64 /* of one mount; a whole host below it stays read-only */
#define MOUNTINFO_MAX	(16u << 20)

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

static bool has_option(const struct oci_mount *m, const char *name)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (!strcmp(m->options.v[i], name))
			return true;
	return false;
}

static bool is_about(const struct oci_mount *m)
{
	return m->source && m->source[0] == '/' && has_option(m, "rbind") && has_option(m, "ro") && !has_option(m, "rro");
}

/* \040 and the like, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static char *join(struct jdoc *d, const char *a, const char *b)
{
	size_t n = strlen(a), k = strlen(b);
	char *out = jdoc_alloc(d, n + k + 1, 1);

	if (!out)
		return NULL;
	memcpy(out, a, n);
	memcpy(out + n, b, k + 1);
	return out;
}

/* @m for the submount at its source's @below ("/sub"): not recursive, not read-only. */
static int derive(struct jdoc *d, const struct oci_mount *m, const char *source, const char *below, struct oci_mount *out,
		  struct err *e)
{
	const char **options = jdoc_alloc(d, m->options.n + 1, sizeof(*options));

	*out = *m;
	out->destination = join(d, m->destination, below);
	out->source = join(d, source, below);
	if (!options || !out->destination || !out->source)
		return no_memory(e);
	out->options.v = options;
	out->options.n = 0;
	for (size_t i = 0; i < m->options.n; i++)
		if (strcmp(m->options.v[i], "ro"))
			options[out->options.n++] = strcmp(m->options.v[i], "rbind") ? m->options.v[i] : "bind";
	return 0;
}

/* Submounts of @m, whose source is @source, from the lines of @info, which are cut up. Return: how many, or -1 with @e */
static int find(struct jdoc *d, const struct oci_mount *m, const char *source, char *info, struct oci_mount *out, struct err *e)
{
	size_t len = strcmp(source, "/") ? strlen(source) : 0;
	int n = 0;

	for (char *line = info, *next; line && *line; line = next) {
		char *at = line;
		struct stat st;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		for (int i = 0; at && i < 4; i++)
			at = strchr(at + (i > 0), ' ');
		if (!at)
			continue;
		at++;
		at[strcspn(at, " ")] = '\0';
		unescape(at);
		if (strncmp(at, source, len) || at[len] != '/' || !at[len + 1] || stat(at, &st) < 0)
			continue;
		/* mounted over: the same place again */
		if (n && !strcmp(out[n - 1].source, at))
			continue;
		if (n == SUBMOUNTS_MAX)
			return 0;
		if (derive(d, m, len ? source : "", at + len, &out[n++], e) < 0)
			return -1;
	}
	return n;
}

static int find_all(struct jdoc *d, const struct oci_mount *m, struct oci_mount out[SUBMOUNTS_MAX], struct err *e)
{
	AUTO_FREE char *info = NULL;
	char real[PATH_MAX];
	size_t len;

	if (!realpath(m->source, real))
		return 0; /* whoever mounts it will say so */
	if (read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &info, &len) < 0)
		return err_sys(e, "read /proc/self/mountinfo");
	return find(d, m, real, info, out, e);
}

int mounts_expand(struct jdoc *d, const struct oci_mount *m, size_t n, const struct oci_mount **out, size_t *out_n, struct err *e)
{
	struct oci_mount *all = NULL;
	size_t nr = 0, about = 0;

	for (size_t i = 0; i < n; i++)
		about += is_about(&m[i]);
	*out = m;
	*out_n = n;
	if (!about)
		return 0;
	all = jdoc_alloc(d, n + about * SUBMOUNTS_MAX, sizeof(*all));
	if (!all)
		return no_memory(e);
	for (size_t i = 0; i < n; i++) {
		int more;

		all[nr++] = m[i];
		more = is_about(&m[i]) ? find_all(d, &m[i], all + nr, e) : 0;
		if (more < 0)
			return -1;
		nr += (size_t)more;
	}
	*out = all;
	*out_n = nr;
	return 0;
}
