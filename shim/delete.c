/* SPDX-License-Identifier: Apache-2.0
 * shim/delete.c - `delete`: whatever is left of a container whose shim is gone
 *
 * Model:   works from the bundle and the state directory only, and is harmless when everything is gone
 *          already: containerd also calls it after each Delete of a version 2 shim. stdout carries the
 *          answer and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "shim/actions.h"
#include "shim/config.h"
#include "shim/mounts.h"
#include "shim/shim_util.h"
#include "task.pb-c.h"
#include "ttrpc.h"

static int bundle_open(const struct shim_args *a)
{
	return open(a->bundle[0] ? a->bundle : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int delete_state(const struct shim_args *a, int dirfd, struct err *e)
{
	Wkt__Any *options = dirfd >= 0 ? shim_options_read(dirfd) : NULL;
	struct shim_config cfg = { 0 };
	struct lc_flags f;
	int ret;

	ret = shim_config_load(&cfg, options, true, e);
	if (ret < 0) {
		/* A configuration that broke since must not leave processes behind: its default places. */
		log_warn("delete: %s", e->msg);
		shim_config_fini(&cfg);
		cfg = (struct shim_config){ 0 };
	}
	ret = shim_config_flags(&cfg, a->ns, a->id, &f, e);
	if (ret == 0) {
		ret = lc_delete_id(&f, a->id, true, e);
		lc_flags_fini(&f);
	}
	shim_config_fini(&cfg);
	if (options)
		ttrpc_msg_free(&options->base);
	return ret;
}

static int print_response(struct err *e)
{
	Task__DeleteResponse r = TASK__DELETE_RESPONSE__INIT;
	Wkt__Timestamp ts;
	uint8_t out[64];
	int ret;

	r.exit_status = 128 + 9;
	r.exited_at = timestamp_set(&ts, wall_now_ns());
	ret = write_full(1, out, task__delete_response__pack(&r, out));
	if (ret < 0) {
		errno = -ret;
		return err_sys(e, "write the answer");
	}
	return 0;
}

int shim_delete(const struct shim_args *a, struct err *e)
{
	AUTO_CLOSE int dirfd = bundle_open(a);
	AUTO_FREE char *rootfs = NULL;
	struct err e2 = ERR_INIT;
	int ret;

	if (!a->ns[0])
		return err_set(e, EINVAL, "shim namespace cannot be empty");
	if (lc_id_check(a->id, e) < 0)
		return -1;
	ret = delete_state(a, dirfd, e);
	if (asprintf(&rootfs, "%s/rootfs", a->bundle[0] ? a->bundle : ".") < 0) {
		rootfs = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	if (rootfs_unmount(rootfs, &e2) < 0 && ret == 0) {
		*e = e2;
		ret = -1;
	}
	return ret < 0 ? ret : print_response(e);
}
