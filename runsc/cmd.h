/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd.h - what the commands of the command line share
 *
 * Model:   a command is a row (struct cmd) with a table of options and a function, one file each. A function returns
 *          the exit status of runsc; when it fails it fills @e and returns -1, and main() reports: the message
 *          goes to stderr and, as the callers of OCI runtimes expect, to --log as a line of level "error".
 */
#ifndef RUNSC_CMD_H
#define RUNSC_CMD_H

#include "runsc/lib/lifecycle.h"

#define EXIT_RUNTIME	  1   /* our own failure, as runc */
#define EXIT_EXEC_FAILED  255 /* exec could not start its process, as runc */
#define ENV_PER_COMMAND	  64

enum opt_kind {
	OPT_BOOL,	/* bool */
	OPT_STR,	/* const char * */
	OPT_LIST,	/* struct str_list: may be given many times */
	OPT_INT,	/* int */
	OPT_NOP_BOOL,	/* accepted, without meaning here */
	OPT_NOP_STR,
};

struct opt {
	const char *name;
	char letter;	/* 0 = none */
	enum opt_kind kind;
	size_t off;	/* into the command's struct */
	const char *help;
};
#define OPT_END { .name = NULL }

struct str_list {
	const char **v; /* NULL-terminated; NULL when never given */
	size_t n;
};

struct cmd {
	const char *name;
	const char *usage;		/* behind the name: "[options] ID" */
	const char *help;		/* one line */
	const struct opt *opts;
	size_t opts_size;		/* of the struct that opts fill */
	int min_args, max_args;		/* max -1 = any */
	bool stop_at_args;		/* what follows the first argument is not ours to parse */
	bool hidden;
	bool rootless;			/* a caller without privilege gets a user namespace for it */
	int (*run)(const struct lc_flags *f, const void *opts, int argc, char **argv, struct err *e);
};

extern const struct cmd cmd_create, cmd_start, cmd_run, cmd_exec, cmd_kill, cmd_delete, cmd_state, cmd_list, cmd_ps,
	cmd_events, cmd_pause, cmd_resume, cmd_update, cmd_wait, cmd_spec, cmd_features, cmd_do, cmd_checkpoint,
	cmd_restore, cmd_debug, cmd_port_forward, cmd_export_metrics, cmd_metric_server,
	cmd_install, cmd_uninstall, cmd_usage, cmd_syscalls;

/**
 * opts_parse() - options of one command
 * @out:	zeroed; each option given is stored at its offset
 * Words: -n, -name, --name, with "=value" or the value as the next word; "--" ends. @argv is permuted: what is left are
 * the arguments. Return: how many arguments are left (at argv[0..]), -1 with EINVAL.
 */
int opts_parse(const struct cmd *c, void *out, int argc, char **argv, struct err *e);
void opts_help(const struct cmd *c);

/* A user namespace around us when the caller is not root and --rootless is not false (rootless.c); changes flags to match. */
int rootless_enter(struct lc_flags *f, struct err *e);

/* Started without one of 0, 1, 2: /dev/null takes its place, so that no file of ours does, to be written to as "stderr" or to
 * become a container's. Before anything else is opened. */
int stdio_hold(struct err *e);
/* fd of each of ours that the container shall have: -1 where we were started without it. */
void stdio_mine(int out[3]);
/* Descriptors to pass: --pass-fd M:N, or --preserve-fds and LISTEN_FDS, which keep their numbers. */
#define PASSED_MAX 16
struct passed_fds {
	int fd[PASSED_MAX], as[PASSED_MAX];
	size_t n;
	unsigned listen; /* $LISTEN_FDS of them are sockets that we were started with */
};
int passed_fds(int preserve, const struct str_list *pass, struct passed_fds *out, struct err *e);

/* Foreground of a process (foreground.c): forwards signals, copies the terminal, returns the exit status. */
struct foreground {
	struct lc_container *c;
	const char *exec_id; /* NULL = init */
	int pidfd;	     /* the gofer, our child; -1 when chan is used */
	pid_t pid;
	int chan;	     /* exec without keeper; -1 */
	int console;	     /* pty master, moved; -1 */
};
/* Before the process is made: blocks the signals that will be forwarded, so that none is lost. */
int foreground_begin(struct err *e);
int foreground_run(struct foreground *f, struct err *e);
/* Size of our own terminal, 0 when there is none. */
void terminal_size(uint16_t *rows, uint16_t *cols);

#endif
