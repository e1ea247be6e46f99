/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_list.c - `runsc list`: the containers below --root
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "runsc/cmd.h"

struct list_opts {
	bool quiet;
	const char *format;
};

static const struct opt opts[] = {
	{ "quiet", 'q', OPT_BOOL, offsetof(struct list_opts, quiet), "only the ids" },
	{ "format", 'f', OPT_STR, offsetof(struct list_opts, format), "table or json" },
	{ "sandbox", 0, OPT_NOP_BOOL, 0, NULL },
	OPT_END,
};

static int print_id(const char *id, struct lc_container *c, void *arg)
{
	puts(id);
	return 0;
}

/* The columns come from the state object, so that table and JSON cannot disagree. */
static struct json_object *state_of(struct lc_container *c)
{
	struct buf b = { 0 };
	struct json_object *o = NULL;

	if (lc_state_json(c, &b, NULL) == 0)
		o = json_tokener_parse(b.data);
	buf_fini(&b);
	return o;
}

static const char *column(struct json_object *o, const char *key)
{
	struct json_object *v;

	return o && json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

static int print_row(const char *id, struct lc_container *c, void *arg)
{
	struct json_object *o = c ? state_of(c) : NULL;

	if (!o)
		printf("%-36s  %-9s %-10s %-36s  %-20s %s\n", id, "-", "unreadable", "-", "-", "-");
	else
		printf("%-36s  %-9s %-10s %-36s  %-20.19s %s\n", id, column(o, "pid"), column(o, "status"),
		       column(o, "bundle"), column(o, "created"), column(o, "owner"));
	json_object_put(o);
	return 0;
}

static int add_json(const char *id, struct lc_container *c, void *arg)
{
	struct json_object *o = c ? state_of(c) : NULL;

	if (o)
		json_object_array_add(arg, o);
	return 0;
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct list_opts *opt = o;
	struct json_object *all;
	int ret;

	if (opt->quiet)
		return lc_list(f, print_id, NULL, e);
	if (!opt->format || strcmp(opt->format, "table") == 0) {
		printf("%-36s  %-9s %-10s %-36s  %-20s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
		return lc_list(f, print_row, NULL, e);
	}
	if (strcmp(opt->format, "json"))
		return err_set(e, EINVAL, "invalid format option: %s", opt->format);
	all = json_object_new_array();
	ret = lc_list(f, add_json, all, e);
	printf("%s\n", json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
	return ret;
}

const struct cmd cmd_list = {
	.name = "list", .usage = "[options]", .help = "list containers", .opts = opts, .opts_size = sizeof(struct list_opts),
	.min_args = 0, .max_args = 0, .run = run,
};
