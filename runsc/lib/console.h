/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/console.h - host pseudo terminals
 */
#ifndef RUNSC_LIB_CONSOLE_H
#define RUNSC_LIB_CONSOLE_H

#include <stdint.h>

#include "base/err.h"

/* A pty whose replica is raw (the Sentry's line discipline does the work); both descriptors are the caller's. */
int console_open(uint16_t rows, uint16_t cols, int *out_master, int *out_replica, struct err *e);
/* Sends the master to the AF_UNIX stream socket at @path, as runc does: one message, the tty's name as payload. */
int console_send(const char *path, int master, struct err *e);

#endif
