/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/cgroup_mounts.c - where the host has its cgroup hierarchies
 *
 * Source:  proc(5) mountinfo and cgroup files.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runsc/lib/cgroup.h"

#define MOUNTINFO_MAX (16u << 20)

/* "\040" and friends, in place. */
static void unescape(char *s)
{
	char *w = s;

	for (; *s; s++, w++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*w = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*w = *s;
		}
	}
	*w = '\0';
}

/* One line: id parent major:minor root point options [tags] - type source super */
static bool parse_line(char *line, struct cgroup_mount *m)
{
	char *dash = strstr(line, " - "), *save = NULL, *root, *point, *type, *super;

	if (!dash || strncmp(dash + 3, "cgroup", 6))
		return false;
	*dash = '\0';
	for (int i = 0; i < 3; i++)
		if (!strtok_r(i ? NULL : line, " ", &save))
			return false;
	root = strtok_r(NULL, " ", &save);
	point = strtok_r(NULL, " ", &save);
	type = strtok_r(dash + 3, " ", &save);
	if (!root || !point || !type || !strtok_r(NULL, " ", &save))
		return false;
	super = strtok_r(NULL, " ", &save);
	m->v2 = strcmp(type, "cgroup2") == 0;
	if (!m->v2 && strcmp(type, "cgroup"))
		return false;
	snprintf(m->names, sizeof(m->names), "%s", m->v2 || !super ? "" : super);
	unescape(root);
	unescape(point);
	m->root = strdup(root);
	m->point = strdup(point);
	return m->root && m->point;
}

int cgroup_mounts_read(struct cgroup_mount *out, size_t cap, size_t *nr, struct err *e)
{
	AUTO_FREE char *text = NULL;
	char *save = NULL;
	size_t len;

	*nr = 0;
	if (read_file_at(-1, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, &len) < 0)
		return err_sys(e, "read /proc/self/mountinfo");
	for (char *l = strtok_r(text, "\n", &save); l && *nr < cap; l = strtok_r(NULL, "\n", &save)) {
		struct cgroup_mount m = { 0 };

		if (parse_line(l, &m)) {
			out[(*nr)++] = m;
		} else {
			free(m.root);
			free(m.point);
		}
	}
	return 0;
}

void cgroup_mounts_free(struct cgroup_mount *m, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		free(m[i].root);
		free(m[i].point);
	}
}
