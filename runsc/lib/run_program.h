/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/run_program.h - one short-lived helper program: hooks, CNI plugins, busctl
 */
#ifndef RUNSC_LIB_RUN_PROGRAM_H
#define RUNSC_LIB_RUN_PROGRAM_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"

struct program {
	const char *path;
	char *const *argv;	/* argv[0] included */
	char *const *envp;	/* NULL = ours */
	const char *cwd;	/* entered after the namespaces; NULL = ours */
	bool search;		/* find path in $PATH */
	const char *input;	/* written to its stdin; NULL = /dev/null */
	size_t input_len;
	struct buf *output;	/* its stdout; NULL = dropped */
	int timeout_ms;		/* 0 = none; then SIGKILL and ETIMEDOUT */
	const int *ns_fds;	/* namespace files or pidfds to enter before it runs */
	const int *ns_types;	/* CLONE_NEW* for each */
	size_t nr_ns;
};

/* Runs it to its end. Fails when it cannot be run, or ends with anything but 0; its stderr becomes part of
 * the message. Reaps it. */
int program_run(const struct program *p, struct err *e);

#endif
