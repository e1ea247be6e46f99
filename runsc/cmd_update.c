/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_update.c - `runsc update`: new limits for a container's cgroup
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runsc/cmd.h"
#include "runsc/lib/jsonx.h"

struct update_opts {
	const char *resources;
	const char *value[16]; /* in the order of the table below */
};

#define V(i) offsetof(struct update_opts, value[i])
enum { U_SHARES, U_QUOTA, U_PERIOD, U_BURST, U_CPUS, U_MEMS, U_MEMORY, U_RESERVATION, U_SWAP, U_PIDS, U_BLKIO, U_IDLE, U_COUNT };

static const struct opt opts[] = {
	{ "resources", 'r', OPT_STR, offsetof(struct update_opts, resources), "file with an OCI resources object, - = stdin" },
	{ "cpu-share", 0, OPT_STR, V(U_SHARES), "CPU shares" },
	{ "cpu-quota", 0, OPT_STR, V(U_QUOTA), "CFS quota, microseconds" },
	{ "cpu-period", 0, OPT_STR, V(U_PERIOD), "CFS period, microseconds" },
	{ "cpu-burst", 0, OPT_STR, V(U_BURST), "CFS burst, microseconds" },
	{ "cpu-idle", 0, OPT_STR, V(U_IDLE), "SCHED_IDLE for the whole group" },
	{ "cpuset-cpus", 0, OPT_STR, V(U_CPUS), "CPUs to use" },
	{ "cpuset-mems", 0, OPT_STR, V(U_MEMS), "memory nodes to use" },
	{ "memory", 0, OPT_STR, V(U_MEMORY), "memory limit, bytes or with k, m, g" },
	{ "memory-reservation", 0, OPT_STR, V(U_RESERVATION), "soft limit" },
	{ "memory-swap", 0, OPT_STR, V(U_SWAP), "limit of memory and swap together, -1 = none" },
	{ "pids-limit", 0, OPT_STR, V(U_PIDS), "most processes, -1 = no limit" },
	{ "blkio-weight", 0, OPT_STR, V(U_BLKIO), "weight of block I/O" },
	OPT_END,
};

static const struct {
	const char *section, *name;
	bool text, bytes;
} rows[U_COUNT] = {
	[U_SHARES] = { "cpu", "shares", false, false },	      [U_QUOTA] = { "cpu", "quota", false, false },
	[U_PERIOD] = { "cpu", "period", false, false },	      [U_BURST] = { "cpu", "burst", false, false },
	[U_CPUS] = { "cpu", "cpus", true, false },	      [U_MEMS] = { "cpu", "mems", true, false },
	[U_MEMORY] = { "memory", "limit", false, true },      [U_RESERVATION] = { "memory", "reservation", false, true },
	[U_SWAP] = { "memory", "swap", false, true },	      [U_PIDS] = { "pids", "limit", false, false },
	[U_BLKIO] = { "blockIO", "weight", false, false },    [U_IDLE] = { "cpu", "idle", false, false },
};

static int parse_number(const char *s, bool bytes, int64_t *out)
{
	static const char units[] = "bkmgt";
	char *end;
	long long v;
	const char *u;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (end == s || errno)
		return -1;
	u = *end ? strchr(units, tolower((unsigned char)*end)) : units;
	if ((*end && !bytes) || !u || (*end && end[1] && strcasecmp(end + 1, "b") && strcasecmp(end + 1, "ib")))
		return -1;
	if (__builtin_mul_overflow(v, 1ll << (10 * (u - units)), out))
		return -1;
	return 0;
}

static struct json_object *section(struct json_object *root, const char *name)
{
	struct json_object *o;

	if (json_object_object_get_ex(root, name, &o))
		return o;
	o = json_object_new_object();
	jo_obj(root, name, o);
	return o;
}

static int from_options(const struct update_opts *opt, struct json_object *root, struct err *e)
{
	for (int i = 0; i < U_COUNT; i++) {
		int64_t v;

		if (!opt->value[i])
			continue;
		if (rows[i].text) {
			jo_str(section(root, rows[i].section), rows[i].name, opt->value[i]);
			continue;
		}
		if (parse_number(opt->value[i], rows[i].bytes, &v) < 0)
			return err_set(e, EINVAL, "update: \"%s\" is no number", opt->value[i]);
		jo_int(section(root, rows[i].section), rows[i].name, v);
	}
	return 0;
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct update_opts *opt = o;
	struct json_object *root = json_object_new_object();
	AUTO_FREE char *text = NULL;
	struct lc_container *c;
	size_t len;
	int ret = -1;

	if (lc_load(f, argv[0], &c, e) < 0)
		goto out;
	if (opt->resources) {
		const char *path = strcmp(opt->resources, "-") == 0 ? "/dev/stdin" : opt->resources;

		if (read_file_at(AT_FDCWD, path, JDOC_TEXT_MAX, &text, &len) < 0)
			err_sys(e, "open %s", opt->resources);
		else
			ret = lc_update(c, text, e);
	} else if (from_options(opt, root, e) == 0) {
		ret = lc_update(c, json_object_to_json_string(root), e);
	}
	lc_free(c);
out:
	json_object_put(root);
	return ret;
}

const struct cmd cmd_update = {
	.name = "update", .usage = "[options] ID", .help = "change resource limits", .opts = opts,
	.opts_size = sizeof(struct update_opts), .min_args = 1, .max_args = 1, .run = run,
};
