/* SPDX-License-Identifier: Apache-2.0
 * shim/info.c - `-info`: what this runtime is and can
 *
 * Model:   the OCI features come from the runtime itself, `runsc features`, so that the two never differ.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fdpass.h"
#include "base/version.h"
#include "bootstrap.pb-c.h"
#include "shim/actions.h"
#include "shim/config.h"
#include "shim/shim_util.h"
#include "ttrpc.h"

#define FEATURES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/features/Features"
#define FEATURES_MAX  (1u << 20)
#define OPTIONS_MAX   (10u << 20)

extern char **environ;

static int run_features(const char *runsc, char **out, size_t *len, struct err *e)
{
	const char *argv[] = { runsc, "features", NULL };
	posix_spawn_file_actions_t fa;
	int p[2], ret, status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	ret = posix_spawn(&pid, runsc, &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	if (ret) {
		close(p[0]);
		errno = ret;
		return err_sys(e, "run %s", runsc);
	}
	ret = fd_read_all(p[0], FEATURES_MAX, out, len);
	close(p[0]);
	if (ret < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret < 0 || !WIFEXITED(status) || WEXITSTATUS(status) || !*len) {
		free(ret < 0 ? NULL : *out);
		*out = NULL;
		return err_set(e, EIO, "%s features failed", runsc);
	}
	return 0;
}

static int print_info(const Wkt__Any *options, char *features, size_t len, struct err *e)
{
	Bootstrap__RuntimeInfo info = BOOTSTRAP__RUNTIME_INFO__INIT;
	Bootstrap__RuntimeVersion ver = BOOTSTRAP__RUNTIME_VERSION__INIT;
	Wkt__Any feat = WKT__ANY__INIT;
	AUTO_FREE uint8_t *out = NULL;
	int ret;

	ver.version = (char *)build_version;
	ver.revision = (char *)build_version;
	info.name = SHIM_RUNTIME_NAME;
	info.version = &ver;
	info.options = (Wkt__Any *)options;
	if (features) {
		feat.type_url = FEATURES_TYPE;
		feat.value.data = (uint8_t *)features;
		feat.value.len = len;
		info.features = &feat;
	}
	out = malloc(bootstrap__runtime_info__get_packed_size(&info));
	if (!out)
		return err_set(e, ENOMEM, "out of memory");
	ret = write_full(1, out, bootstrap__runtime_info__pack(&info, out));
	if (ret < 0) {
		errno = -ret;
		return err_sys(e, "write the answer");
	}
	return 0;
}

int shim_info(const struct shim_args *a, struct err *e)
{
	AUTO_FREE char *text = NULL, *runsc = NULL, *features = NULL;
	struct shim_config cfg = { 0 };
	Wkt__Any *options = NULL;
	struct lc_flags f;
	size_t len = 0, flen = 0;
	int ret;

	if (!isatty(0) && fd_read_all(0, OPTIONS_MAX, &text, &len) < 0 && errno != EBADF)
		return err_sys(e, "read stdin");
	if (len)
		options = (Wkt__Any *)ttrpc_msg_unpack(&wkt__any__descriptor, text, len, 4 * OPTIONS_MAX);
	ret = shim_config_load(&cfg, options, false, e); /* asked from anywhere */
	if (ret == 0)
		ret = shim_config_flags(&cfg, "info", "info", &f, e);
	if (ret == 0) {
		runsc = f.runsc_path ? strdup(f.runsc_path) : lc_find_runsc(&f, e);
		ret = runsc ? run_features(runsc, &features, &flen, e) : -1;
		lc_flags_fini(&f);
	}
	if (ret == 0)
		ret = print_info(options, features, flen, e);
	shim_config_fini(&cfg);
	if (options)
		ttrpc_msg_free(&options->base);
	return ret;
}
