/* SPDX-License-Identifier: Apache-2.0
 * shim/kvfile.c - see kvfile.h
 */
#include "shim/kvfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "shim/shim_util.h"

#define FILE_MAX (256u << 10)

static char *slurp(const char *dir, const char *file)
{
	AUTO_FREE char *path = NULL;
	char *text;
	size_t len;

	if (!dir || asprintf(&path, "%s/%s", dir, file) < 0) {
		path = NULL;
		return NULL;
	}
	return file_read(AT_FDCWD, path, FILE_MAX, &text, &len) < 0 ? NULL : text;
}

void kvfile_read(const char *dir, const char *file, const struct kv_row *rows, size_t n, void *out)
{
	AUTO_FREE char *text = slurp(dir, file);
	char *save = NULL;

	for (char *l = text ? strtok_r(text, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save)) {
		size_t k = strcspn(l, " \t");

		for (size_t i = 0; i < n && l[k]; i++)
			if (!strncmp(rows[i].key, l, k) && !rows[i].key[k])
				*(uint64_t *)((char *)out + rows[i].off) += strtoull(l + k, NULL, 10);
	}
}

uint64_t numfile_read(const char *dir, const char *file, uint64_t dflt)
{
	AUTO_FREE char *text = slurp(dir, file);
	char *end;
	uint64_t v;

	if (!text)
		return dflt;
	if (!strncmp(text, "max", 3))
		return UINT64_MAX;
	v = strtoull(text, &end, 10);
	return end == text ? dflt : v;
}
