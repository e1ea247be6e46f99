/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/exec.c - lc_exec(): one more process in a running container
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fdpass.h"
#include "runsc/lib/console.h"
#include "runsc/lib/create.h"
#include "runsc/lib/seccomp.h"

struct exec_op {
	struct lc_container *c;
	struct lc_exec_args *a;
	struct jdoc doc;	/* of process_json; also the arena of the message */
	struct oci_process process;
	int chan[2];		/* [0] Sentry's end */
	int console, console_master;
	struct child keeper;
};

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

/* "1000", "1000:1000" */
static int parse_user(const char *text, struct oci_user *u, struct err *e)
{
	unsigned long uid, gid = 0;
	char *end;

	errno = 0;
	uid = strtoul(text, &end, 10);
	if (end != text && *end == ':' && end[1] >= '0' && end[1] <= '9')
		gid = strtoul(end + 1, &end, 10);
	if (end == text || *end || text[0] == '-' || errno || uid > UINT32_MAX - 1 || gid > UINT32_MAX - 1)
		return err_set(e, EINVAL, "user \"%s\": want uid or uid:gid, as numbers", text);
	u->uid = (uint32_t)uid;
	u->gid = (uint32_t)gid;
	return 0;
}

static int parse_gids(struct jdoc *d, const char *text, struct ju32v *out, struct err *e)
{
	size_t n = 1;

	for (const char *p = text; *p; p++)
		n += *p == ',';
	out->v = jdoc_alloc(d, n, sizeof(*out->v));
	if (!out->v)
		return no_memory(e);
	out->n = 0;
	while (*text) {
		char *end;
		unsigned long g = strtoul(text, &end, 10);

		if (end == text || (*end && *end != ',') || g > UINT32_MAX - 1)
			return err_set(e, EINVAL, "additional gids: \"%s\" is no list of numbers", text);
		out->v[out->n++] = (uint32_t)g;
		text = *end ? end + 1 : end;
	}
	return 0;
}

static size_t count(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

/* Later entries win: an earlier one of the same name is left out. */
static int merge_env(struct jdoc *d, struct jstrv *env, char *const *more, struct err *e)
{
	size_t extra = count(more), n = 0;
	const char **v = jdoc_alloc(d, env->n + extra + 1, sizeof(*v));

	if (!v)
		return no_memory(e);
	for (size_t i = 0; i < env->n; i++) {
		size_t name = strcspn(env->v[i], "=") + 1, j = 0;

		while (j < extra && strncmp(env->v[i], more[j], name))
			j++;
		if (j == extra)
			v[n++] = env->v[i];
	}
	for (size_t j = 0; j < extra; j++)
		v[n++] = more[j];
	env->v = v;
	env->n = n;
	return 0;
}

/*
 * As runc does: never inheritable, and ambient only where the configuration has inheritable ones, so that a user other than root
 * gains nothing by it. Unknown names are left out when the sets become numbers, with a warning.
 */
static int add_caps(struct jdoc *d, struct oci_caps *caps, const char *const *names, struct err *e)
{
	struct jstrv *sets[] = { &caps->bounding, &caps->effective, &caps->permitted, &caps->ambient };
	size_t extra = count((char *const *)names), n = ARRAY_SIZE(sets) - (caps->inheritable.n ? 0 : 1);

	for (size_t i = 0; extra && i < n; i++) {
		const char **v = jdoc_alloc(d, sets[i]->n + extra + 1, sizeof(*v));

		if (!v)
			return no_memory(e);
		memcpy(v, sets[i]->v, sets[i]->n * sizeof(*v));
		memcpy(v + sets[i]->n, names, extra * sizeof(*v));
		sets[i]->v = v;
		sets[i]->n += extra;
	}
	return 0;
}

static int build_process(struct exec_op *x, struct err *e)
{
	const struct oci_spec *s = container_spec(x->c, e);
	struct oci_process *p = &x->process;

	if (!s)
		return -1;
	if (x->a->process_json) {
		if (spec_parse_process(&x->doc, x->a->process_json, strlen(x->a->process_json), p, e) < 0)
			return -1;
		if (!p->cwd || !*p->cwd)
			p->cwd = "/";
	} else {
		*p = s->process;
		p->args = (struct jstrv){ (const char **)x->a->argv, count(x->a->argv) };
		p->terminal = false;
		if (x->a->env_only)
			p->env.n = 0;
		p->oom_score_adj.set = false;
		if (x->a->cwd)
			p->cwd = x->a->cwd;
		if (x->a->user && parse_user(x->a->user, &p->user, e) < 0)
			return -1;
		if (x->a->additional_gids && parse_gids(&x->doc, x->a->additional_gids, &p->user.additional_gids, e) < 0)
			return -1;
	}
	if (x->a->tty >= 0)
		p->terminal = x->a->tty;
	p->no_new_privs |= x->a->no_new_privs;
	if (merge_env(&x->doc, &p->env, x->a->env, e) < 0 || add_caps(&x->doc, &p->caps, x->a->caps, e) < 0)
		return -1;
	return spec_check_process(p, e);
}

static int start_keeper(struct exec_op *x, struct err *e)
{
	static char *argv[] = { "runsc-exec", "keeper", NULL };
	static char *envp[] = { NULL };
	struct spawn_fd fds[] = { { x->console, 0 }, { -1, 1 }, { -1, 2 }, { x->chan[1], 3 } };
	AUTO_CLOSE int exe = open_runsc(x->c->flags, e);
	struct spawn s = {
		.what = "exec keeper",
		.exe_fd = exe,
		.argv = argv,
		.envp = envp,
		.pidns_fd = -1,
		.userns_fd = -1,
		.cgroup_fd = -1,
		.fds = fds,
		.nr_fds = ARRAY_SIZE(fds),
		.nobody = spawn_has_nobody(),
		.ctty = x->console >= 0,
		.no_gate = true,
	};

	if (exe < 0 || spawn_begin(&s, &x->keeper, e) < 0)
		return -1;
	/* the child has everything: wait for its exec before argv and exe go */
	return spawn_finish(&x->keeper, e);
}

static int fresh_id(char *out, size_t cap, struct err *e)
{
	uint64_t r[2];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return err_sys(e, "getrandom");
	snprintf(out, cap, "exec-%016llx%016llx", (unsigned long long)r[0], (unsigned long long)r[1]);
	return 0;
}

static int request(struct exec_op *x, struct lc_exec *out, struct err *e)
{
	PB(ExecRequest) m = PB_INIT(EXEC_REQUEST);
	struct fd_list fds = { .nr = 0 };
	const PB(ExecResponse) *r;
	struct ttrpc_result res;
	int sock, ret = 0;

	m.id = x->c->id;
	m.exec_id = out->exec_id;
	m.process = request_process(&x->doc, &x->process, e);
	if (!m.process)
		return -1;
	if (x->c->flags->oci_seccomp && seccomp_compile(&x->doc, x->c->spec.linux_.seccomp, &m.process->seccomp_bpf, e) < 0)
		return -1;
	if (x->a->rows)
		m.process->rows = x->a->rows;
	if (x->a->cols)
		m.process->cols = x->a->cols;
	fd_list_add(&fds, PB_ROLE(FD_INIT), x->chan[0]);
	fd_list_stdio(&fds, x->a->stdio, x->console);
	if (fd_list_pass(&fds, &x->doc, m.process, x->a->pass_fds, x->a->pass_as, x->a->nr_pass_fds, e) < 0)
		return -1;
	if (x->a->program)
		m.process->program = (char *)x->a->program;
	m.fds = fds.role;
	m.n_fds = fds.nr;
	sock = control_connect(x->c, e);
	if (sock < 0 ||
	    control_call(sock, "Exec", &m.base, PB_DESC(exec_response), fds.fd, fds.nr, &res, e) < 0)
		return -1;
	r = (const PB(ExecResponse) *)res.resp;
	if (r->exec_errno || r->cwd_errno)
		ret = exec_error(e, x->process.args.v[0], r->exec_errno, r->cwd_errno, x->process.cwd);
	else
		out->inner_pid = r->pid;
	if (ret == 0 && *r->exec_id)
		snprintf(out->exec_id, sizeof(out->exec_id), "%s", r->exec_id);
	ttrpc_result_fini(&res);
	return ret;
}

static int check_running(const struct exec_op *x, struct err *e)
{
	enum lc_status now = lc_status(x->c);

	if (now == LC_PAUSED && !x->a->ignore_paused)
		return err_set(e, EBUSY, "cannot exec in a paused container (use --ignore-paused to override)");
	if (now == LC_STOPPED)
		return err_set(e, ESRCH, "cannot exec in a stopped container: container not running");
	return 0;
}

static int exec_steps(struct exec_op *x, struct lc_exec *out, struct err *e)
{
	struct lc_exec_args *a = x->a;

	if (check_running(x, e) < 0 || build_process(x, e) < 0)
		return -1;
	if (a->exec_id && *a->exec_id)
		snprintf(out->exec_id, sizeof(out->exec_id), "%s", a->exec_id);
	else if (fresh_id(out->exec_id, sizeof(out->exec_id), e) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, x->chan) < 0)
		return err_sys(e, "socketpair");
	if (x->process.terminal &&
	    console_open(a->rows ? a->rows : (uint16_t)MIN(x->process.console.height, 65535u),
			 a->cols ? a->cols : (uint16_t)MIN(x->process.console.width, 65535u), &x->console_master,
			 &x->console, e) < 0)
		return -1;
	if (!a->no_keeper && start_keeper(x, e) < 0)
		return -1;
	if (request(x, out, e) < 0)
		return -1;
	if (x->console_master >= 0 && a->console_socket && console_send(a->console_socket, x->console_master, e) < 0)
		return -1;
	out->pid = a->no_keeper ? 0 : x->keeper.pid;
	return a->pid_file ? pid_file_write(a->pid_file, out->pid ? out->pid : getpid(), e) : 0;
}

int lc_exec(struct lc_container *c, struct lc_exec_args *a, struct lc_exec *out, struct err *e)
{
	struct exec_op x = { .c = c, .a = a, .chan = { -1, -1 }, .console = -1, .console_master = -1,
			     .keeper = CHILD_INIT };
	int ret;

	memset(out, 0, sizeof(*out));
	out->chan = a->out_console = -1;
	ret = exec_steps(&x, out, e);
	if (ret == 0) {
		if (a->no_keeper)
			out->chan = TAKE_FD(x.chan[1]);
		if (!a->console_socket)
			a->out_console = TAKE_FD(x.console_master);
		spawn_release(&x.keeper);
	} else {
		spawn_kill(&x.keeper);
	}
	for (int *fd = (int[]){ x.chan[0], x.chan[1], x.console, x.console_master, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	jdoc_free(&x.doc);
	return ret;
}

int lc_chan_exit(int chan)
{
	struct lc_chan_msg m;

	for (;;) {
		ssize_t n = recv(chan, &m, sizeof(m), 0);

		if (n == sizeof(m) && m.type == LC_CHAN_EXIT)
			return WIFSIGNALED(m.value) ? 128 + WTERMSIG(m.value) : WEXITSTATUS(m.value);
		/* ECONNRESET comes once, before the message that may be waiting */
		if (n == 0 || (n < 0 && errno != EINTR && errno != ECONNRESET))
			return 137;
	}
}
