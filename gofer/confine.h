/* SPDX-License-Identifier: Apache-2.0
 * gofer/confine.h - giving up everything that serving files does not need
 */
#ifndef GOFER_CONFINE_H
#define GOFER_CONFINE_H

#include "base/buf.h"
#include "base/err.h"

/* Capabilities down to the few of confine.c, no new privileges, not dumpable. Before threads start. */
int gofer_drop_privileges(struct err *e);

/* The seccomp filter, for all threads of the process. @policy: GOFER_* of server.h. */
int gofer_seccomp(unsigned policy, struct err *e);

/* One line per allowed host call: name and reason, for `runsc debug` and README. Returns how many calls. */
unsigned gofer_hostcalls_list(unsigned policy, struct buf *out);

#endif
