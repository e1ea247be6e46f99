/* SPDX-License-Identifier: Apache-2.0
 * shim/config.h - what the operator configured: config.toml, runtime options
 *
 * Model:   plain data with owned strings, filled once. The keys are the peer's; see the table in config.c.
 */
#ifndef SHIM_CONFIG_H
#define SHIM_CONFIG_H

#include "base/err.h"
#include "runsc/lib/lifecycle.h"
#include "wkt.pb-c.h"

#define SHIM_ROOT_DEFAULT "/run/containerd/runsc"

struct shim_config {
	char *shim_cgroup, *binary_name, *root, *log_level, *log_path;
	uint32_t io_uid, io_gid;
	bool grouping;		      /* one shim per pod; default true */
	bool enable_hibernate_server; /* accepted, without effect */
	bool systemd_cgroup;	      /* from runc's options */
	struct shim_kv {
		char *key, *value;
	} *flags; /* [runsc_config] */
	size_t nr_flags;
};

void shim_config_fini(struct shim_config *c);

/**
 * shim_config_load() - fill @c from runtime options, else from the first config.toml that exists
 * @options:	the caller's Any (runtimeoptions.v1.Options with a body or a path, or
 *		containerd.runc.v1.Options), NULL or empty for none
 * @in_bundle:	the current directory is a bundle, whose config.toml counts, too
 *
 * Return: 0, or -1 with @e (a file that was named but cannot be read is an error; absent default files
 * are not). @c wants shim_config_fini() in both cases.
 */
int shim_config_load(struct shim_config *c, const Wkt__Any *options, bool in_bundle, struct err *e);

/* Flags for the lifecycle library: root is <root>/@ns. */
int shim_config_flags(const struct shim_config *c, const char *ns, const char *id, struct lc_flags *f,
		      struct err *e);

/* The last component of a type URL: "a/b/runtimeoptions.v1.Options" -> "runtimeoptions.v1.Options". */
const char *any_type(const Wkt__Any *a);
/* What it holds as a string of the caller's (JSON); a value that is not there has no bytes to point at. NULL: out of memory. */
char *any_text(const Wkt__Any *a);

/* Keeps the options of this bundle for a later `delete` (which gets none), and reads them back. */
int shim_options_save(int bundle_dirfd, const Wkt__Any *options, struct err *e);
Wkt__Any *shim_options_read(int bundle_dirfd); /* NULL = none; ttrpc_msg_free() */

#endif
