/* SPDX-License-Identifier: Apache-2.0
 * shim/actions.h - what the shim binary does besides serving; each returns an exit status
 */
#ifndef SHIM_ACTIONS_H
#define SHIM_ACTIONS_H

#include "shim/args.h"

int shim_start(const struct shim_args *a, struct err *e);
int shim_delete(const struct shim_args *a, struct err *e);
int shim_info(const struct shim_args *a, struct err *e);
int shim_serve(const struct shim_args *a, struct err *e); /* daemon.c: the daemon itself, socket on fd 3 */

#define SHIM_RUNTIME_NAME "io.containerd.runsc.v1"
#define SHIM_LISTEN_FD	  3

#endif
