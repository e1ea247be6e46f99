/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/hooks.c - OCI hooks: programs of the host around a container's life
 *
 * Model:   all but startContainer are programs of the host; createContainer ones run in the gofer's namespaces, before anything is
 *          mounted. startContainer hooks are programs of the container: the Sentry runs each as one more process, with the
 *          rights of the container's own, while that one still waits for its start.
 * Source:  runtime-spec config.md "POSIX-platform Hooks", runtime.md "Lifecycle"; directory and environment as runc has them.
 * Differs: runc shows createContainer hooks the container's pid namespace; here that exists only inside the Sentry.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "runsc/lib/container.h"
#include "runsc/lib/run_program.h"

static const char *const kind_names[HOOK_KINDS] = {
	[HOOK_PRESTART] = "prestart",
	[HOOK_CREATE_RUNTIME] = "createRuntime",
	[HOOK_CREATE_CONTAINER] = "createContainer",
	[HOOK_START_CONTAINER] = "startContainer",
	[HOOK_POSTSTART] = "poststart",
	[HOOK_POSTSTOP] = "poststop",
};

#define HOOK_STDERR_MAX 1000

static int timeout_ms(const struct oci_hook *h)
{
	return h->timeout.set ? (int)MIN(h->timeout.v, (int64_t)2000000) * 1000 : 0;
}

/* Where a hook runs, and what it inherits when it names no environment. */
struct hook_place {
	int ns_fd;		/* -1 = our namespaces */
	const char *cwd;
	char *const *env;	/* NULL = ours */
};

static int run_outside(const struct oci_hook *h, const struct buf *state, const struct hook_place *at, struct err *e)
{
	char *own_argv[] = { (char *)h->path, NULL };
	int type = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	struct program p = {
		.path = h->path,
		.argv = h->args.n ? (char *const *)h->args.v : own_argv,
		.envp = h->env.n ? (char *const *)h->env.v : at->env,
		.cwd = at->cwd,
		.input = state->data,
		.input_len = state->len,
		.timeout_ms = timeout_ms(h),
		.ns_fds = &at->ns_fd,
		.ns_types = &type,
		.nr_ns = at->ns_fd >= 0 ? 1 : 0,
	};

	return program_run(&p, e);
}

/* Waits for a hook inside. Return: its status; -1 when it had to be killed. */
static int inside_end(struct lc_container *c, const struct lc_exec *x, int ms)
{
	struct pollfd p = { .fd = x->chan, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, ms ? ms : -1);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return lc_chan_exit(x->chan);
	lc_signal(c, x->exec_id, SIGKILL, LC_SIG_PROCESS, NULL);
	lc_chan_exit(x->chan);
	return -1;
}

/* The state goes through a file: a pipe might not take all of it before the hook reads. */
static int state_file(const struct buf *state, struct err *e)
{
	int fd = memfd_create("hook-state", MFD_CLOEXEC);

	if (fd < 0 || write(fd, state->data, state->len) != (ssize_t)state->len || lseek(fd, 0, SEEK_SET) < 0) {
		err_sys(e, "state for a hook");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int run_inside(struct lc_container *c, const struct oci_hook *h, const struct buf *state, struct err *e)
{
	char *own_argv[] = { (char *)h->path, NULL }, text[HOOK_STDERR_MAX];
	AUTO_CLOSE int in = state_file(state, e), errors = memfd_create("hook-stderr", MFD_CLOEXEC);
	struct lc_exec_args a = {
		.program = h->path,
		.argv = h->args.n ? (char *const *)h->args.v : own_argv,
		.env = (char *const *)h->env.v,
		.env_only = h->env.n > 0,
		.cwd = "/",
		.tty = 0,
		.stdio = { in, -1, errors },
		.no_keeper = true,
	};
	struct lc_exec x;
	ssize_t n;
	int st;

	if (in < 0 || lc_exec(c, &a, &x, e) < 0)
		return -1;
	st = inside_end(c, &x, timeout_ms(h));
	close(x.chan);
	if (st == 0)
		return 0;
	if (st < 0)
		return err_set(e, ETIMEDOUT, "%s did not end within %d ms", h->path, timeout_ms(h));
	n = errors >= 0 ? pread(errors, text, sizeof(text), 0) : 0;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	return err_set(e, EIO, "%s: exit status %d%s%.*s", h->path, st, n > 0 ? ": " : "", (int)MAX(n, (ssize_t)0), text);
}

static int state_text(struct lc_container *c, enum oci_hook_kind kind, struct buf *out, struct err *e)
{
	struct json_object *o = state_object(c, e);

	if (!o)
		return -1;
	if (kind == HOOK_START_CONTAINER) /* as it knows itself */
		jo_int(o, "pid", 1);
	buf_printf(out, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return out->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

static int find_place(struct lc_container *c, const struct oci_spec *s, enum oci_hook_kind kind, pid_t ns_pid, char rootfs[],
		      struct hook_place *at, struct err *e)
{
	*at = (struct hook_place){ .ns_fd = -1, .cwd = c->st.bundle };
	if (!ns_pid)
		return 0;
	at->ns_fd = proc_pidfd(proc_identify(ns_pid));
	if (at->ns_fd < 0)
		return err_set(e, ESRCH, "%s hooks: the container's first process is gone", kind_names[kind]);
	state_rootfs(c, s, rootfs);
	at->cwd = rootfs;
	at->env = (char *const *)s->process.env.v;
	return 0;
}

int hooks_run(struct lc_container *c, enum oci_hook_kind kind, pid_t ns_pid, struct err *e)
{
	const struct oci_spec *s = container_spec(c, e);
	struct buf state = { .max = 1 << 20 };
	char rootfs[ROOTFS_MAX];
	struct hook_place at;
	const struct oci_hook *h;
	int ret = 0;

	if (!s)
		return -1;
	h = s->hooks.of[kind].v;
	if (!s->hooks.of[kind].n)
		return 0;
	/* asking for the state reads it again: what @at borrows from it comes after */
	if (state_text(c, kind, &state, e) < 0 || find_place(c, s, kind, ns_pid, rootfs, &at, e) < 0) {
		buf_fini(&state);
		return -1;
	}
	for (size_t i = 0; ret == 0 && i < s->hooks.of[kind].n; i++) {
		ret = kind == HOOK_START_CONTAINER ? run_inside(c, &h[i], &state, e) : run_outside(&h[i], &state, &at, e);
		if (ret < 0)
			err_wrap(e, "error running hook #%zu (%s)", i, kind_names[kind]);
	}
	buf_fini(&state);
	if (at.ns_fd >= 0)
		close(at.ns_fd);
	return ret;
}
