/* SPDX-License-Identifier: Apache-2.0
 * test/guest/guest.h - asserting what Linux does; each guest program exits 0 when all holds, 77 to be skipped
 */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(c)                                                                                   \
	do {                                                                                       \
		if (!(c)) {                                                                        \
			fprintf(stderr, "%s:%d: %s (errno %d %s)\n", __FILE__, __LINE__, #c, errno,     \
				strerror(errno));                                                  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* The call fails with exactly this errno. */
#define CHECK_ERRNO(call, e)                                                                       \
	do {                                                                                       \
		errno = 0;                                                                         \
		long r_ = (long)(call);                                                            \
		if (r_ != -1 || errno != (e)) {                                                    \
			fprintf(stderr, "%s:%d: %s = %ld, errno %d %s, expected %d\n", __FILE__, __LINE__,       \
				#call, r_, errno, strerror(errno), (e));                           \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define SKIP(why)                                                                                  \
	do {                                                                                       \
		puts(why);                                                                         \
		exit(77);                                                                          \
	} while (0)

#endif
