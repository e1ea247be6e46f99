/* SPDX-License-Identifier: Apache-2.0
 * proto/base/err.h - an error with its chain of causes, for set-up code (runsc, shim, gofer, boot)
 *
 * Model:   functions return 0 or -1 and fill a caller's struct err, innermost cause first; each
 *          caller may put what it was doing in front: "open rootfs: /x: No such file or directory".
 * Differs: guest paths never use this; they return -LINUX_E* (STYLE.md section 4).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/util.h"

struct err {
	int code;	 /* host errno, 0 when none applies */
	char msg[2048];	 /* causes, outermost first, joined by ": " */
};

#define ERR_INIT { 0 }

/* Each returns -1, so that "return err_set(...)" reads well. A NULL @e only returns -1.
 * err_sys() adds strerror(errno) as captured on entry; err_wrap() puts text in front. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);
int err_sys(struct err *e, const char *fmt, ...) PRINTF(2, 3);
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);

#endif
