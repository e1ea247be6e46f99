/* SPDX-License-Identifier: Apache-2.0
 * shim/portfwd.h - whoever connects to 127.0.0.1 in the pod's network namespace reaches the pod
 *
 * Model:   `kubectl port-forward` ends in containerd or CRI-O connecting to localhost:PORT inside the pod's network
 *          namespace. Nobody listens there, as the pod's ports are in the Sentry. So one socket of ours listens for all
 *          ports at once: an sk_lookup program of the namespace gives it every TCP connection to 127.0.0.0/8 or ::1, and what
 *          is accepted goes to the Sentry, which joins it with the port inside.
 * Threads: new anywhere, stop on the loop's thread.
 */
#ifndef SHIM_PORTFWD_H
#define SHIM_PORTFWD_H

#include <stdint.h>

#include "base/err.h"
#include "ttrpc_loop.h"

struct portfwd;

/* @fn: called on the loop's thread for each connection; @fd is moved. NULL with @e when the kernel has no sk_lookup (before
 * 5.9) or the namespace cannot be entered. */
struct portfwd *portfwd_new(struct evloop *loop, const char *netns, void (*fn)(void *arg, uint16_t port, int fd), void *arg,
			    struct err *e);
/* Stops and frees. NULL is fine. */
void portfwd_stop(struct portfwd *p);

#endif
