/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_simple.c - commands with one argument and one call: start, pause, resume, state
 */
#include <stdio.h>

#include "runsc/cmd.h"

static int with_container(const struct lc_flags *f, const char *id, int (*fn)(struct lc_container *c, struct err *e),
			  struct err *e)
{
	struct lc_container *c;
	int ret;

	if (lc_load(f, id, &c, e) < 0)
		return -1;
	ret = fn(c, e);
	lc_free(c);
	return ret;
}

static int print_state(struct lc_container *c, struct err *e)
{
	struct buf b = { 0 };
	int ret = lc_state_json(c, &b, e);

	if (ret == 0)
		fwrite(b.data, 1, b.len, stdout);
	buf_fini(&b);
	return ret;
}

#define SIMPLE(nm, fn, text)                                                                      \
	static int run_##nm(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e) \
	{                                                                                          \
		return with_container(f, argv[0], fn, e);                                          \
	}                                                                                          \
	const struct cmd cmd_##nm = {                                                             \
		.name = #nm, .usage = "ID", .help = text, .min_args = 1, .max_args = 1, .run = run_##nm, \
	}

SIMPLE(start, lc_start, "start the program of a created container");
SIMPLE(pause, lc_pause, "stop every process of a container");
SIMPLE(resume, lc_resume, "continue a paused container");
SIMPLE(state, print_state, "print the state of a container as JSON");
