/* SPDX-License-Identifier: Apache-2.0
 * shim/bootstrap.h - what a shim binary reads on stdin and answers on stdout, and where its socket is
 *
 * Source: CONVENTIONS D.0, D.3, D.4.
 */
#ifndef SHIM_BOOTSTRAP_H
#define SHIM_BOOTSTRAP_H

#include "base/buf.h"
#include "base/err.h"
#include "bootstrap.pb-c.h"
#include "shim/args.h"

struct bootstrap {
	Bootstrap__BootstrapParams *params; /* NULL = a caller from before containerd 2.3 */
	Wkt__Any *legacy;		    /* the bare options of such a caller, or NULL */
	const Wkt__Any *options;	    /* of either, borrowed; NULL = none */
};

/* Tells what @data is. Undecodable bytes are legacy without options: a shim must come up (and be
 * deleted) even when a future containerd says something new. */
void bootstrap_parse(struct bootstrap *b, const void *data, size_t len, const char *id, const char *ns);
void bootstrap_fini(struct bootstrap *b);
/* Reads all of stdin (at most 10 MiB) unless it is a terminal. */
int bootstrap_read(struct bootstrap *b, const struct shim_args *a, struct err *e);

/* The reply for this caller: BootstrapResult when it sent BootstrapParams, JSON for containerd 1.7 and
 * later, else the bare address, which is all that 1.6 knows. */
int bootstrap_reply(const struct bootstrap *b, const struct shim_args *a, const char *address,
		    struct buf *out, struct err *e);

#define SHIM_SOCKET_DIR	 "/run/containerd/s"
#define SHIM_SOCKET_PATH_MAX 106

/* "unix://DIR/<hex(sha256(grpc_address/ns/group))>", malloc'ed. */
char *shim_address(const char *dir, const char *grpc_address, const char *ns, const char *group,
		   struct err *e);
/* Go's filepath.Join of parts: empty ones dropped, "//", "." and ".." resolved; malloc'ed. */
char *path_join_clean(const char *const *parts, size_t n);

/* The sandbox that the bundle's config.json says it belongs to, else @id; malloc'ed. */
char *shim_group_id(int bundle_dirfd, const char *id, struct err *e);

#endif
