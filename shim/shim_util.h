/* SPDX-License-Identifier: Apache-2.0
 * shim/shim_util.h - small things of the shim: files, strings, time stamps
 */
#ifndef SHIM_UTIL_H
#define SHIM_UTIL_H

#include "base/util.h"
#include "wkt.pb-c.h"

/* Reads at most @max bytes of a file, NUL-terminated, malloc'ed. -1 with errno, EFBIG when longer. */
int file_read(int dirfd, const char *path, size_t max, char **out, size_t *out_len);
/* The same from a descriptor up to its end. */
int fd_read_all(int fd, size_t max, char **out, size_t *out_len);
/* Writes a whole file by way of a temporary name; mode 0600. -1 with errno. */
int shim_write_file(int dirfd, const char *path, const void *data, size_t len);
/* An executable's path: @name itself if it has a slash, else from $PATH. malloc'ed, NULL if not found. */
char *path_lookup(const char *name);
/* mkdir -p of everything before the last slash of @path. -1 with errno. */
int mkdir_parents(const char *path, unsigned mode);

uint64_t wall_now_ns(void);
/* Fills @ts; returns it. 0 leaves it zero ("never"). */
Wkt__Timestamp *timestamp_set(Wkt__Timestamp *ts, uint64_t wall_ns);

#endif
