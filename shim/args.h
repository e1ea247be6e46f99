/* SPDX-License-Identifier: Apache-2.0
 * shim/args.h - the shim's command line and environment (CONVENTIONS D.2)
 */
#ifndef SHIM_ARGS_H
#define SHIM_ARGS_H

#include "base/err.h"

struct shim_args {
	const char *ns, *address, *publish_binary, *id, *bundle, *socket, *debug_socket;
	const char *action; /* "start", "delete", "" = serve */
	bool debug, version, info;
	/* environment */
	const char *ttrpc_address; /* "" = drop events */
	const char *grpc_address;
	bool speaks_json; /* containerd 1.7 or later called us: MAX_SHIM_VERSION is set */
	bool sched_core;
};

int shim_args_parse(struct shim_args *a, int argc, char **argv, struct err *e);

#endif
