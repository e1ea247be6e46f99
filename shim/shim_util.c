/* SPDX-License-Identifier: Apache-2.0
 * shim/shim_util.c - see shim_util.h
 */
#include "shim/shim_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/fdpass.h"

int fd_read_all(int fd, size_t max, char **out, size_t *out_len)
{
	struct buf b = { .max = max + 4096 };
	ssize_t n;

	for (;;) {
		void *room = buf_reserve(&b, 4096);

		if (!room) {
			buf_fini(&b);
			errno = b.len >= max ? EFBIG : ENOMEM;
			return -1;
		}
		n = read(fd, room, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || b.len + (size_t)MAX(n, 0) > max) {
			int err = n < 0 ? errno : EFBIG;

			buf_fini(&b);
			errno = err;
			return -1;
		}
		if (n == 0)
			break;
		b.len += (size_t)n;
	}
	b.data[b.len] = '\0';
	*out = b.data;
	*out_len = b.len;
	return 0;
}

int file_read(int dirfd, const char *path, size_t max, char **out, size_t *out_len)
{
	AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : fd_read_all(fd, max, out, out_len);
}

int shim_write_file(int dirfd, const char *path, const void *data, size_t len)
{
	AUTO_FREE char *tmp = NULL;
	AUTO_CLOSE int fd = -1;
	int ret;

	if (asprintf(&tmp, ".%s.tmp", path) < 0) {
		tmp = NULL;
		return -1;
	}
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	ret = write_full(fd, data, len);
	if (ret == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		ret = -errno;
	if (ret < 0) {
		unlinkat(dirfd, tmp, 0);
		errno = -ret;
		return -1;
	}
	return 0;
}

char *path_lookup(const char *name)
{
	const char *path = getenv("PATH"), *end;
	char *out = NULL;

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? strdup(name) : NULL;
	for (path = path ? path : "/usr/local/bin:/usr/bin:/bin"; *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		if (end == path)
			continue;
		if (asprintf(&out, "%.*s/%s", (int)(end - path), path, name) < 0)
			return NULL;
		if (access(out, X_OK) == 0)
			return out;
		free(out);
	}
	return NULL;
}

int mkdir_parents(const char *path, unsigned mode)
{
	AUTO_FREE char *p = strdup(path);

	if (!p) {
		errno = ENOMEM;
		return -1;
	}
	for (char *s = p + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return -1;
		*s = '/';
	}
	return 0;
}

uint64_t wall_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

Wkt__Timestamp *timestamp_set(Wkt__Timestamp *ts, uint64_t wall_ns)
{
	wkt__timestamp__init(ts);
	ts->seconds = (int64_t)(wall_ns / NSEC_PER_SEC);
	ts->nanos = (int32_t)(wall_ns % NSEC_PER_SEC);
	return ts;
}
