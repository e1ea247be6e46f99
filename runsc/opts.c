/* SPDX-License-Identifier: Apache-2.0
 * runsc/opts.c - parsing and explaining options, from tables
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runsc/cmd.h"

static const struct opt *opt_find(const struct opt *opts, const char *name, size_t n)
{
	for (const struct opt *o = opts; o && o->name; o++)
		if ((strlen(o->name) == n && strncmp(o->name, name, n) == 0) || (n == 1 && o->letter == *name))
			return o;
	return NULL;
}

static int list_add(struct str_list *l, const char *v, struct err *e)
{
	const char **bigger = realloc(l->v, (l->n + 2) * sizeof(*bigger));

	if (!bigger)
		return err_set(e, ENOMEM, "out of memory");
	l->v = bigger;
	l->v[l->n++] = v;
	l->v[l->n] = NULL;
	return 0;
}

static bool is_bool(const struct opt *o)
{
	return o->kind == OPT_BOOL || o->kind == OPT_NOP_BOOL;
}

static int store(const struct opt *o, void *base, const char *v, struct err *e)
{
	void *at = (char *)base + o->off;
	char *end;
	long n;

	switch (o->kind) {
	case OPT_BOOL:
		if (v && strcmp(v, "true") && strcmp(v, "false"))
			return err_set(e, EINVAL, "option --%s: \"%s\" is neither true nor false", o->name, v);
		*(bool *)at = !v || strcmp(v, "true") == 0;
		return 0;
	case OPT_STR:
		*(const char **)at = v;
		return 0;
	case OPT_LIST:
		return list_add(at, v, e);
	case OPT_INT:
		n = strtol(v, &end, 10);
		if (end == v || *end || n < INT32_MIN || n > INT32_MAX)
			return err_set(e, EINVAL, "option --%s: \"%s\" is no number", o->name, v);
		*(int *)at = (int)n;
		return 0;
	case OPT_NOP_BOOL:
	case OPT_NOP_STR:
		return 0;
	}
	return -1;
}

/* One option word at argv[*i]; moves *i over its value. */
static int one_option(const struct cmd *c, void *out, int argc, char **argv, int *i, struct err *e)
{
	const char *word = argv[*i] + 1 + (argv[*i][1] == '-'), *eq = strchr(word, '='), *value = eq ? eq + 1 : NULL;
	size_t n = eq ? (size_t)(eq - word) : strlen(word);
	const struct opt *o = opt_find(c->opts, word, n);

	if (!o)
		return err_set(e, EINVAL, "%s: flag provided but not defined: -%.*s", c->name, (int)n, word);
	if (!value && !is_bool(o)) {
		if (*i + 1 >= argc)
			return err_set(e, EINVAL, "%s: flag needs an argument: -%s", c->name, o->name);
		value = argv[++*i];
	}
	return store(o, out, value, e);
}

int opts_parse(const struct cmd *c, void *out, int argc, char **argv, struct err *e)
{
	int left = 0;

	for (int i = 0; i < argc; i++) {
		if (argv[i][0] != '-' || !argv[i][1]) {
			argv[left++] = argv[i];
			if (!c->stop_at_args)
				continue;
			while (++i < argc)
				argv[left++] = argv[i];
			break;
		}
		if (strcmp(argv[i], "--") == 0) {
			while (++i < argc)
				argv[left++] = argv[i];
			break;
		}
		if (one_option(c, out, argc, argv, &i, e) < 0)
			return -1;
	}
	argv[left] = NULL;
	if (left < c->min_args)
		return err_set(e, EINVAL, "%s: want %s%d argument%s: runsc %s %s", c->name,
			       c->max_args == c->min_args ? "" : "at least ", c->min_args, c->min_args == 1 ? "" : "s", c->name,
			       c->usage);
	if (c->max_args >= 0 && left > c->max_args)
		return err_set(e, EINVAL, "%s: too many arguments: runsc %s %s", c->name, c->name, c->usage);
	return left;
}

void opts_help(const struct cmd *c)
{
	printf("runsc %s %s - %s\n", c->name, c->usage, c->help);
	for (const struct opt *o = c->opts; o && o->name; o++)
		printf("  %s%c%s--%-22s %s\n", o->letter ? "-" : " ", o->letter ? o->letter : ' ', o->letter ? ", " : "  ",
		       o->name, o->help ? o->help : "accepted, without effect");
}
