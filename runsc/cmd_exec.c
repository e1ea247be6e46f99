/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_exec.c - `runsc exec`: one more process in a running container
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "runsc/cmd.h"
#include "runsc/lib/jsonx.h"

struct exec_opts {
	const char *process, *console_socket, *pid_file, *cwd, *user, *gids, *internal_pid_file;
	struct str_list env, caps, gid_list, pass;
	bool tty, detach, no_new_privs, ignore_paused;
	int preserve_fds;
};

#define O(m) offsetof(struct exec_opts, m)
static const struct opt opts[] = {
	{ "process", 'p', OPT_STR, O(process), "file with an OCI process object" },
	{ "tty", 't', OPT_BOOL, O(tty), "with a terminal" },
	{ "console-socket", 0, OPT_STR, O(console_socket), "AF_UNIX socket that gets the terminal" },
	{ "pid-file", 0, OPT_STR, O(pid_file), "file for the host's pid of it" },
	{ "internal-pid-file", 0, OPT_STR, O(internal_pid_file), "file for the pid inside" },
	{ "detach", 'd', OPT_BOOL, O(detach), "return when it runs" },
	{ "cwd", 0, OPT_STR, O(cwd), "working directory" },
	{ "user", 'u', OPT_STR, O(user), "UID[:GID]" },
	{ "additional-gids", 'g', OPT_LIST, O(gid_list), "further group" },
	{ "env", 'e', OPT_LIST, O(env), "NAME=value" },
	{ "cap", 'c', OPT_LIST, O(caps), "further capability" },
	{ "preserve-fds", 0, OPT_INT, O(preserve_fds), "pass this many descriptors from 3 on" },
	{ "pass-fd", 0, OPT_LIST, O(pass), "HOST_FD:GUEST_FD, a descriptor to pass" },
	{ "no-new-privs", 0, OPT_BOOL, O(no_new_privs), "no privilege by way of a setuid program" },
	{ "apparmor", 0, OPT_NOP_STR, 0, NULL },
	{ "process-label", 0, OPT_NOP_STR, 0, NULL },
	{ "no-subreaper", 0, OPT_NOP_BOOL, 0, NULL },
	{ "ignore-paused", 0, OPT_BOOL, O(ignore_paused), "in a paused container too" },
	{ "cgroup", 0, OPT_NOP_STR, 0, NULL },
	OPT_END,
};

static char *join_gids(const struct str_list *l)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < l->n; i++)
		buf_printf(&b, "%s%s", i ? "," : "", l->v[i]);
	return b.data;
}

static int write_internal_pid(const char *path, pid_t pid, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || dprintf(fd, "%d", (int)pid) < 0)
		return err_sys(e, "write %s", path);
	return 0;
}

static int start(const struct exec_opts *opt, struct lc_container *c, struct lc_exec_args *a, struct err *e)
{
	struct lc_exec x;

	if (!opt->detach && foreground_begin(e) < 0)
		return -1;
	if (lc_exec(c, a, &x, e) < 0)
		return err_wrap(e, "exec failed");
	if (opt->internal_pid_file && write_internal_pid(opt->internal_pid_file, x.inner_pid, e) < 0)
		return -1;
	if (opt->detach)
		return 0;
	return foreground_run(&(struct foreground){ .c = c, .exec_id = x.exec_id, .pidfd = -1, .chan = x.chan,
						    .console = a->out_console },
			      e);
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct exec_opts *opt = o;
	AUTO_FREE char *process = NULL;
	AUTO_FREE char *gids = join_gids(&opt->gid_list);
	struct passed_fds fds;
	int ret;
	size_t len;
	struct lc_exec_args a = {
		.argv = argv + 1,
		.env = (char *const *)opt->env.v,
		.cwd = opt->cwd,
		.user = opt->user,
		.additional_gids = gids,
		.caps = opt->caps.v,
		.no_new_privs = opt->no_new_privs,
		.ignore_paused = opt->ignore_paused,
		.tty = opt->tty ? 1 : -1,
		.console_socket = opt->console_socket,
		.pid_file = opt->pid_file,
		.pass_fds = fds.fd,
		.pass_as = fds.as,
		/* in the foreground we ourselves are the process that callers see */
		.no_keeper = !opt->detach,
	};
	struct lc_container *c;

	if (opt->process && read_file_at(AT_FDCWD, opt->process, JDOC_TEXT_MAX, &process, &len) < 0)
		return err_sys(e, "exec failed: open %s", opt->process);
	a.process_json = process;
	if (!process && argc < 2)
		return err_set(e, EINVAL, "exec failed: no program given: runsc exec [options] ID PROGRAM [arguments]");
	if (passed_fds(opt->preserve_fds, &opt->pass, &fds, e) < 0)
		return -1;
	a.nr_pass_fds = fds.n;
	stdio_mine(a.stdio);
	terminal_size(&a.rows, &a.cols);
	if (lc_load(f, argv[0], &c, e) < 0)
		return err_wrap(e, "exec failed");
	ret = start(opt, c, &a, e);
	lc_free(c);
	return ret;
}

const struct cmd cmd_exec = {
	.name = "exec", .usage = "[options] ID PROGRAM [arguments]", .help = "run a program in a container", .opts = opts,
	.opts_size = sizeof(struct exec_opts), .min_args = 1, .max_args = -1, .stop_at_args = true, .run = run,
};
