/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/cgroup_systemd.c - the systemd driver: a transient scope holds the container
 *
 * Model:   cgroupsPath is "slice:prefix:name"; the scope prefix-name.scope in that slice is made by systemd with
 *          its first process, delegated, and stopped at the end. D-Bus is spoken by busctl(1), which comes
 *          with systemd: a client of our own would be far more code for two calls.
 * Source:  runtime-spec config-linux.md; org.freedesktop.systemd1(5) StartTransientUnit; systemd.slice(5) for how
 *          "a-b.slice" nests.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "runsc/lib/cgroup.h"
#include "runsc/lib/run_program.h"

/* "a-b-c.slice" lives at /a.slice/a-b.slice/a-b-c.slice; "-.slice" is the root. */
static int slice_path(const char *slice, char *out, size_t cap, struct err *e)
{
	size_t n = strlen(slice), stem = n - 6, len = 0;

	if (n <= 6 || strcmp(slice + stem, ".slice") || strchr(slice, '/'))
		return err_set(e, EINVAL, "linux.cgroupsPath: \"%s\" is no slice name", slice);
	out[0] = '\0';
	if (strcmp(slice, "-.slice") == 0)
		return 0;
	for (size_t i = 1; i <= stem; i++) {
		if (i < stem && slice[i] != '-')
			continue;
		if (slice[i - 1] == '-')
			return err_set(e, EINVAL, "linux.cgroupsPath: \"%s\" is no slice name", slice);
		len += (size_t)snprintf(out + len, cap - len, "/%.*s.slice", (int)i, slice);
		if (len >= cap)
			return err_set(e, EINVAL, "linux.cgroupsPath: slice name is too long");
	}
	return 0;
}

int systemd_plan(struct cgroup *g, const char *cgroups_path, const char *id, char **out_path, struct err *e)
{
	char slice[256] = "system.slice", prefix[256] = "runsc", name[512], dir[2048];
	const char *a, *b;

	snprintf(name, sizeof(name), "%s", id);
	if (cgroups_path && *cgroups_path) {
		a = strchr(cgroups_path, ':');
		b = a ? strchr(a + 1, ':') : NULL;
		if (!b || strchr(b + 1, ':') || a - cgroups_path > 250 || b - a > 250 || strlen(b + 1) > 500)
			return err_set(e, EINVAL,
				       "linux.cgroupsPath \"%s\": the systemd driver wants \"slice:prefix:name\"", cgroups_path);
		if (a > cgroups_path)
			snprintf(slice, sizeof(slice), "%.*s", (int)(a - cgroups_path), cgroups_path);
		snprintf(prefix, sizeof(prefix), "%.*s", (int)(b - a - 1), a + 1);
		snprintf(name, sizeof(name), "%s", b + 1);
	}
	if (strchr(name, '/') || strchr(prefix, '/'))
		return err_set(e, EINVAL, "linux.cgroupsPath: scope names have no \"/\"");
	if (slice_path(slice, dir, sizeof(dir), e) < 0)
		return -1;
	if (asprintf(&g->unit, "%s%s%s.scope", prefix, *prefix ? "-" : "", name) < 0)
		g->unit = NULL;
	g->slice = strdup(slice);
	if (!g->unit || !g->slice || asprintf(out_path, "%s/%s", dir, g->unit) < 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

static int busctl(char *const *args, struct err *e)
{
	struct program p = { .path = "busctl", .argv = args, .search = true, .timeout_ms = 25000 };

	return program_run(&p, e);
}

int systemd_scope_start(const struct cgroup *g, pid_t pid, struct err *e)
{
	char number[16];
	char *args[] = { "busctl", "--system", "--quiet", "call", "org.freedesktop.systemd1",
			 "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "StartTransientUnit",
			 "ssa(sv)a(sa(sv))", g->unit, "replace", "6", "Description", "s", g->unit, "Slice", "s", g->slice,
			 "Delegate", "b", "true", "DefaultDependencies", "b", "false", "CollectMode", "s",
			 "inactive-or-failed", "PIDs", "au", "1", number, "0", NULL };
	struct timespec nap = { 0, 1000000 };
	struct stat st;

	snprintf(number, sizeof(number), "%d", (int)pid);
	if (busctl(args, e) < 0)
		return err_wrap(e, "start systemd scope %s", g->unit);
	/* the call returns when the job is queued: wait for the directory, at most 5 s */
	for (int i = 0; i < 60 && g->nr_dirs && stat(g->dirs[0].path, &st) < 0; i++) {
		nanosleep(&nap, NULL);
		nap.tv_nsec = MIN(nap.tv_nsec * 2, 100000000L);
	}
	if (g->nr_dirs && stat(g->dirs[0].path, &st) < 0)
		return err_sys(e, "systemd scope %s did not appear at %s", g->unit, g->dirs[0].path);
	return 0;
}

void systemd_scope_stop(const struct cgroup *g)
{
	char *args[] = { "busctl", "--system", "--quiet", "call", "org.freedesktop.systemd1",
			 "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "StopUnit", "ss", g->unit,
			 "replace", NULL };
	struct err e = ERR_INIT;

	if (busctl(args, &e) < 0)
		log_debug("stop systemd scope %s: %s", g->unit, e.msg);
}
