/* SPDX-License-Identifier: Apache-2.0
 * runsc/main.c - one binary: the OCI command line, and the processes that it starts
 *
 * Model:   argv[1] of a process of ours ("boot", "gofer", "zygote", "keeper") goes to its main at once, before anything
 *          else runs. Otherwise: global flags, a command from a table, its options, its function.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/version.h"
#include "mains.h"
#include "runsc/cmd.h"
#include "runsc/lib/spec.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} mains[] = {
	{ "boot", sentry_main },
	{ "gofer", gofer_main },
	{ "zygote", zygote_launch_main },
	{ "keeper", keeper_main },
};

static const struct cmd *const cmds[] = {
	&cmd_create, &cmd_start,  &cmd_run,    &cmd_exec, &cmd_kill,	   &cmd_delete,	 &cmd_state,
	&cmd_list,   &cmd_ps,	  &cmd_events, &cmd_pause, &cmd_resume,	   &cmd_update,	 &cmd_wait,
	&cmd_spec,   &cmd_features, &cmd_do,   &cmd_debug, &cmd_port_forward, &cmd_checkpoint, &cmd_restore,
	&cmd_usage,  &cmd_syscalls, &cmd_export_metrics, &cmd_metric_server, &cmd_install, &cmd_uninstall,
};

static void print_version(void)
{
	printf("runsc version %s\nspec: %s\n", build_version, OCI_VERSION);
}

static void print_help(void)
{
	printf("usage: runsc [global flags] COMMAND [options] [arguments]\n\ncommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++)
		if (!cmds[i]->hidden)
			printf("  %-14s %s\n", cmds[i]->name, cmds[i]->help);
	printf("\nglobal flags: --root DIR, --log FILE, --log-format text|json, --debug, --debug-log FILE,\n"
	       "  --systemd-cgroup, --network sandbox|none, --overlay2 none|root:memory|root:self|all:...,\n"
	       "  --file-access exclusive|shared, --host-uds, --host-fifo, --ignore-cgroups, ...\n"
	       "runsc COMMAND --help tells the options of a command.\n");
}

/* Appends the one line that go-runc and its relatives look for, and says the same to people. */
static void report(const struct lc_flags *f, const struct err *e)
{
	AUTO_CLOSE int fd = -1;

	fprintf(stderr, "%s\n", e->msg);
	if (!f->log || !*f->log)
		return;
	fd = open(f->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	log_setup(fd, strncmp(f->log_format, "json", 4) == 0 ? LOG_FMT_JSON : LOG_FMT_TEXT, LOG_LV_INFO, "runsc");
	log_error("%s", e->msg);
	log_setup(-1, LOG_FMT_TEXT, LOG_LV_INFO, "runsc");
}

/* Warnings of the library, and with --debug everything, go to --log; without one to stderr. */
static int setup_log(const struct lc_flags *f, struct err *e)
{
	enum log_format fmt = strncmp(f->log_format, "json", 4) == 0 ? LOG_FMT_JSON : LOG_FMT_TEXT;
	int fd = 2;

	if (f->log && *f->log) {
		fd = open(f->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (fd < 0)
			return err_sys(e, "open log file %s", f->log);
	}
	log_setup(fd, fmt, f->debug ? LOG_LV_DEBUG : LOG_LV_WARN, "runsc");
	return 0;
}

/* Global flags up to the command. Return: index of the command, argc when there is none, -1 with @e. */
static int global_flags(struct lc_flags *f, int argc, char **argv, struct err *e)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		const char *word = argv[i] + 1 + (argv[i][1] == '-'), *eq = strchr(word, '=');
		char name[64];
		const char *value = eq ? eq + 1 : NULL;

		if (strcmp(word, "version") == 0 || strcmp(word, "v") == 0) {
			print_version();
			exit(0);
		}
		if (strcmp(word, "help") == 0 || strcmp(word, "h") == 0) {
			print_help();
			exit(0);
		}
		snprintf(name, sizeof(name), "%.*s", eq ? (int)MIN(eq - word, 63) : 63, word);
		if (!value && lc_flag_is_bool(name) == 0) {
			if (i + 1 >= argc)
				return err_set(e, EINVAL, "flag needs an argument: -%s", name);
			value = argv[++i];
		}
		if (lc_flag_set(f, name, value, e) < 0)
			return -1;
	}
	return i;
}

static const struct cmd *cmd_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++)
		if (strcmp(cmds[i]->name, name) == 0)
			return cmds[i];
	return NULL;
}

/* Return: status of the command; -1 with @e, and @out_usage when its options or arguments were wrong, before it did anything. */
static int run_cmd(const struct lc_flags *f, const struct cmd *c, int argc, char **argv, bool *out_usage, struct err *e)
{
	void *opts = calloc(1, c->opts_size + 1);
	int n, ret;

	if (!opts)
		return err_set(e, ENOMEM, "out of memory");
	if (argc == 1 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h") || !strcmp(argv[0], "-help"))) {
		opts_help(c);
		ret = 0;
	} else {
		n = opts_parse(c, opts, argc, argv, e);
		*out_usage = n < 0;
		ret = n < 0 || lc_root_own(f, e) < 0 ? -1 : c->run(f, opts, n, argv, e);
	}
	free(opts);
	return ret;
}

static int cli(int argc, char **argv)
{
	struct lc_flags f = { 0 };
	struct err e = ERR_INIT;
	const struct cmd *c = NULL;
	bool usage = false;
	int at = -1, ret = stdio_hold(&e);

	if (ret == 0)
		ret = lc_flags_init(&f, &e);
	if (ret == 0)
		at = global_flags(&f, argc, argv, &e);
	if (ret == 0 && at >= 0)
		ret = setup_log(&f, &e);
	else
		ret = -1;
	if (ret == 0 && at >= argc) {
		print_help();
		return 0;
	}
	if (ret == 0 && strcmp(argv[at], "help") == 0) {
		c = at + 1 < argc ? cmd_find(argv[at + 1]) : NULL;
		c ? opts_help(c) : print_help();
		return 0;
	}
	if (ret == 0) {
		c = cmd_find(argv[at]);
		if (c && c->rootless && rootless_enter(&f, &e) < 0)
			ret = -1;
		else
			ret = c ? run_cmd(&f, c, argc - at - 1, argv + at + 1, &usage, &e) :
			  err_set(&e, EINVAL, "unknown command \"%s\": runsc --help lists them", argv[at]);
	}
	if (ret < 0) {
		report(&f, &e);
		ret = c == &cmd_exec && !usage ? EXIT_EXEC_FAILED : EXIT_RUNTIME;
	}
	fflush(stdout);
	return ret;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(mains); i++)
		if (strcmp(argv[1], mains[i].name) == 0)
			return mains[i].main(argc - 1, argv + 1);
	return cli(argc, argv);
}
