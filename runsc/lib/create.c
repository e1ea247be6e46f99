/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/create.c - lc_create(): from a bundle to a container that is ready to start
 *
 * Model:   an array of named steps over one struct creation; a failing step names itself in nothing (its error
 *          speaks for itself), and one function undoes whatever exists. Order matters where it is said:
 *          state.json names cgroups before they are made and processes before they may run.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "runsc/lib/console.h"
#include "runsc/lib/create.h"

#define CPU_SHARES_DEFAULT 1024ull
#define CPU_SHARES_MAX	   262144ull

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

/* ---- what is asked for ------------------------------------------------------------------------------------- */

static int apply_overrides(struct lc_flags *f, const struct oci_spec *s, struct err *e)
{
	static const char prefix[] = "dev.gvisor.flag.";

	for (size_t i = 0; i < s->annotations.n; i++) {
		const struct jkv *a = &s->annotations.v[i];

		if (strncmp(a->key, prefix, sizeof(prefix) - 1) == 0 &&
		    lc_flag_override(f, a->key + sizeof(prefix) - 1, a->value, e) < 0)
			return -1;
	}
	return 0;
}

static int step_spec(struct creation *x, struct err *e)
{
	char real[PATH_MAX];
	AUTO_FREE char *text = NULL;
	struct oci_spec spec;

	if (lc_id_check(x->a->id, e) < 0)
		return -1;
	if (!realpath(x->a->bundle && *x->a->bundle ? x->a->bundle : ".", real))
		return err_sys(e, "bundle %s", x->a->bundle);
	x->bundle = strdup(real);
	if (!x->bundle)
		return no_memory(e);
	if (x->a->config_json ? spec_parse(&spec, x->a->config_json, strlen(x->a->config_json), e) :
				spec_read(&spec, real, &text, e))
		return -1;
	if (spec_check(&spec, e) < 0 || apply_overrides(&x->flags, &spec, e) < 0) {
		spec_free(&spec);
		return -1;
	}
	if (container_dir_make(&x->flags, x->a->id, &x->c, &x->lock, e) < 0) {
		spec_free(&spec);
		return -1;
	}
	x->c->spec = spec;
	x->c->has_spec = true;
	x->c->creating = true;
	return dir_write(x->c->dir_fd, "config.json", text ? text : x->a->config_json,
			 strlen(text ? text : x->a->config_json), e);
}

static int step_sandbox(struct creation *x, struct err *e)
{
	enum spec_role role;
	const char *id;

	if (spec_role(&x->c->spec, &role, &id, e) < 0)
		return -1;
	if (role == ROLE_SANDBOX || strcmp(id, x->c->id) == 0)
		id = x->c->id;
	else if (lc_load(&x->flags, id, &x->sandbox, e) < 0)
		return err_wrap(e, "join sandbox %s", id);
	x->c->st.sandbox_id = strdup(id);
	if (!x->c->st.sandbox_id)
		return no_memory(e);
	if (!x->sandbox)
		return 0;
	/* two containers of a pod may be created at once, but not while it is being deleted */
	x->sandbox_lock = container_lock(x->sandbox, e);
	if (x->sandbox_lock < 0)
		return err_wrap(e, "join sandbox %s", id);
	if (!proc_alive(x->sandbox->st.sentry))
		return err_set(e, ESRCH, "join sandbox %s: it is not running", id);
	x->c->st.sentry = x->sandbox->st.sentry;
	return 0;
}

/* The Sentry, which works for all of a pod's containers, lives in the cgroup of the first, and that one is the pause container: a
 * kubelet gives it the least weight there is. Then whoever keeps the CPUs busy would starve all calls of the pod. Its weight
 * is that of the whole pod instead; against other pods only the pod's own cgroup, which stands above, counts. */
static void weigh_sandbox(struct oci_spec *s)
{
	static const char *const types[] = { "io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType" };
	const char *sum = spec_annotation(s, "io.kubernetes.cri.sandbox-cpu-shares");
	uint64_t want = sum ? strtoull(sum, NULL, 10) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const char *type = spec_annotation(s, types[i]);

		if (!type || strcmp(type, "sandbox") || !s->linux_.resources.cpu.shares.set)
			continue;
		want = MIN(MAX(want, CPU_SHARES_DEFAULT), CPU_SHARES_MAX);
		s->linux_.resources.cpu.shares.v = MAX(s->linux_.resources.cpu.shares.v, (__typeof__(s->linux_.resources.cpu.shares.v))want);
	}
}

static int step_plan(struct creation *x, struct err *e)
{
	struct lc_state *st = &x->c->st;
	const struct oci_namespace *net = spec_namespace(&x->c->spec, "network");
	const struct oci_spec *pod = NULL;
	struct timespec ts;
	struct tm tm;
	char when[40], day[24];

	weigh_sandbox(&x->c->spec);
	if (x->sandbox) {
		pod = container_spec(x->sandbox, e);
		if (!pod)
			return -1;
	}
	if (request_plan(&x->plan, &x->c->spec, pod, &x->flags, x->c->id, st->sandbox_id, x->bundle, e) < 0)
		return -1;
	x->planned = true;
	if (!net && x->flags.net_as_spec)
		x->flags.net = LC_NET_HOST;
	if (!net && !x->sandbox && x->flags.net == LC_NET_SANDBOX)
		return err_set(e, EINVAL,
			       "config.json: no network namespace: to use the host's network, run with --network=host; else add "
			       "linux.namespaces \"network\" or run with --network=none");
	if (!net && x->flags.net == LC_NET_HOST && sysctl_check_host_net(&x->c->spec, e) < 0)
		return -1;
	/* a namespace that is to be made belongs to hooks and CNI, which fill it for our own stack */
	if (net && !net->path && x->flags.net == LC_NET_HOST)
		x->flags.net = LC_NET_SANDBOX;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when, sizeof(when), "%s.%09ldZ", day, ts.tv_nsec);
	st->status = LC_CREATING;
	st->created = strdup(when);
	st->bundle = strdup(x->bundle);
	st->owner_uid = geteuid();
	st->netns = strdup(net && net->path ? net->path : "");
	if (!st->created || !st->bundle || !st->netns)
		return no_memory(e);
	if (!x->flags.ignore_cgroups &&
	    cgroup_plan(&st->cg, x->c->spec.linux_.cgroups_path, x->c->id, x->flags.systemd_cgroup, e) < 0)
		return -1;
	return state_save(x->c, e);
}

/* ---- making it ------------------------------------------------------------------------------------------------ */

static int step_cgroup(struct creation *x, struct err *e)
{
	if (x->c->st.cg.unit) /* made around its first process, below */
		return 0;
	if (cgroup_create(&x->c->st.cg, 0, e) < 0)
		return -1;
	return x->c->spec.linux_.has_resources ? cgroup_apply(&x->c->st.cg, &x->c->spec.linux_.resources, e) : 0;
}

static int pair(int type, int out[2], struct err *e)
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, out) < 0)
		return err_sys(e, "socketpair");
	return 0;
}

static int step_channels(struct creation *x, struct err *e)
{
	const struct oci_process *p = &x->c->spec.process;

	x->exe = open_runsc(&x->flags, e);
	if (x->exe < 0)
		return -1;
	if (x->flags.debug_log) {
		x->log = open_child_log(&x->flags, x->c->id, e);
		if (x->log < 0)
			return -1;
	}
	if (pair(SOCK_SEQPACKET, x->p9, e) < 0 || pair(SOCK_SEQPACKET, x->init, e) < 0 || pair(SOCK_SEQPACKET, x->zy, e) < 0)
		return -1;
	if (pipe2(x->ready, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	if (!p->terminal && x->a->console_socket)
		return err_set(e, EINVAL, "cannot use console socket if runc will not detach or allocate tty");
	if (!p->terminal)
		return 0;
	return console_open(x->a->rows ? x->a->rows : (uint16_t)MIN(p->console.height, 65535u),
			    x->a->cols ? x->a->cols : (uint16_t)MIN(p->console.width, 65535u), &x->console_master,
			    &x->console, e);
}

static int step_sentry(struct creation *x, struct err *e)
{
	if (x->sandbox) {
		x->control = control_connect(x->c, e);
		return x->control < 0 ? -1 : 0;
	}
	if (pipe2(x->sentry_ready, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	x->listen = control_listen(x->c, e);
	if (x->listen < 0 || open_user_log(x, &x->user_log, e) < 0 || launch_sentry(x, e) < 0)
		return -1;
	/* only the Sentry keeps the listening socket: when it ends, connections fail instead of waiting */
	close(TAKE_FD(x->listen));
	x->control = control_connect(x->c, e);
	return x->control < 0 ? -1 : 0;
}

static int step_gofer(struct creation *x, struct err *e)
{
	return launch_gofer(x, e);
}

static int step_scope(struct creation *x, struct err *e)
{
	char pid[16];

	if (!x->c->st.cg.unit)
		return 0;
	if (cgroup_create(&x->c->st.cg, x->gofer.pid, e) < 0)
		return -1;
	snprintf(pid, sizeof(pid), "%d", (int)x->sentry.pid);
	for (size_t i = 0; x->sentry.pid > 0 && i < x->c->st.cg.nr_dirs; i++)
		if (cgroup_write(x->c->st.cg.dirs[i].path, "cgroup.procs", pid) < 0)
			return err_sys(e, "enter cgroup %s", x->c->st.cg.dirs[i].path);
	return x->c->spec.linux_.has_resources ? cgroup_apply(&x->c->st.cg, &x->c->spec.linux_.resources, e) : 0;
}

static int step_zygote(struct creation *x, struct err *e)
{
	return launch_zygote(x, e);
}

static int step_record(struct creation *x, struct err *e)
{
	return state_save(x->c, e);
}

/* Hooks of the runtime see the namespaces of the gofer, which still waits at its gate: nothing is mounted yet. */
static int step_hooks(struct creation *x, struct err *e)
{
	if (hooks_run(x->c, HOOK_PRESTART, 0, e) < 0 || hooks_run(x->c, HOOK_CREATE_RUNTIME, 0, e) < 0)
		return -1;
	return hooks_run(x->c, HOOK_CREATE_CONTAINER, x->gofer.pid, e);
}

/* sd_listen_fds(3): the program is process 1 and finds them from 3 on. */
static int tell_listen_fds(struct creation *x, PB(Process) *p, struct err *e)
{
	char **env = jdoc_alloc(&x->plan.arena, p->n_env + 2, sizeof(*env));
	char *text = jdoc_alloc(&x->plan.arena, 32, 1);

	if (!x->a->listen_fds)
		return 0;
	if (!env || !text)
		return no_memory(e);
	memcpy(env, p->env, p->n_env * sizeof(*env));
	snprintf(text, 32, "LISTEN_FDS=%u", x->a->listen_fds);
	env[p->n_env++] = text;
	env[p->n_env++] = (char *)"LISTEN_PID=1";
	p->env = env;
	return 0;
}

static int step_request(struct creation *x, struct err *e)
{
	PB(CreateContainerRequest) *m = &x->plan.msg;
	struct fd_list fds = { .nr = 0 };
	const PB(CreateContainerResponse) *r;
	AUTO_CLOSE int record = openat(x->c->dir_fd, "exit.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int ret;

	if (record < 0)
		return err_sys(e, "create %s/exit.json", x->c->dir);
	fd_list_add(&fds, PB_ROLE(FD_GOFER), x->p9[0]);
	fd_list_add(&fds, PB_ROLE(FD_INIT), x->init[0]);
	fd_list_add(&fds, PB_ROLE(FD_ZYGOTE), x->zy[0]);
	fd_list_add(&fds, PB_ROLE(FD_EXIT), record);
	fd_list_stdio(&fds, x->a->stdio, x->console);
	if (fd_list_pass(&fds, &x->plan.arena, m->process, x->a->pass_fds, x->a->pass_as, x->a->nr_pass_fds, e) < 0)
		return -1;
	if (tell_listen_fds(x, m->process, e) < 0)
		return -1;
	m->fds = fds.role;
	m->n_fds = fds.nr;
	if (x->a->rows)
		m->process->rows = x->a->rows;
	if (x->a->cols)
		m->process->cols = x->a->cols;
	ret = control_call(TAKE_FD(x->control), "CreateContainer", &m->base, PB_DESC(create_container_response), fds.fd,
			   fds.nr, &x->reply, e);
	if (ret < 0) {
		/* ours would keep the children's peers open */
		close(TAKE_FD(x->p9[0]));
		close(TAKE_FD(x->init[0]));
		launch_diagnose(x, e);
		return -1;
	}
	r = (const PB(CreateContainerResponse) *)x->reply.resp;
	if (r->exec_errno || r->cwd_errno)
		return exec_error(e, x->c->spec.process.args.v[0], r->exec_errno, r->cwd_errno, x->c->spec.process.cwd);
	return 0;
}

static int step_children(struct creation *x, struct err *e)
{
	struct child *all[] = { &x->sentry, &x->gofer, &x->zygote };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->pid > 0 && spawn_finish(all[i], e) < 0)
			return -1;
	return 0;
}

static int step_console(struct creation *x, struct err *e)
{
	if (x->console_master < 0)
		return 0;
	if (x->a->console_socket)
		return console_send(x->a->console_socket, x->console_master, e);
	x->a->out_console = TAKE_FD(x->console_master);
	return 0;
}

/* Last: whoever reads the pid file takes the container for created. */
static int step_commit(struct creation *x, struct err *e)
{
	x->c->st.status = LC_CREATED;
	if (state_save(x->c, e) < 0)
		return -1;
	x->c->creating = false;
	return x->a->pid_file ? pid_file_write(x->a->pid_file, x->gofer.pid, e) : 0;
}

static const struct create_step {
	const char *name;
	int (*run)(struct creation *x, struct err *e);
} create_steps[] = {
	{ "specification", step_spec },
	{ "sandbox", step_sandbox },
	{ "plan", step_plan },
	{ "cgroup", step_cgroup },
	{ "channels", step_channels },
	{ "sentry", step_sentry },
	{ "gofer", step_gofer },
	{ "systemd scope", step_scope },
	{ "zygote", step_zygote },
	{ "record", step_record },
	{ "hooks", step_hooks },
	{ "network", network_setup },
	{ "release", launch_release },
	{ "request", step_request },
	{ "children", step_children },
	{ "console", step_console },
	{ "commit", step_commit },
};

/* ---- the way back -------------------------------------------------------------------------------------------- */

static void close_pair(int p[2])
{
	for (int i = 0; i < 2; i++)
		if (p[i] >= 0)
			close(TAKE_FD(p[i]));
}

static void creation_fini(struct creation *x)
{
	close_pair(x->p9);
	close_pair(x->init);
	close_pair(x->zy);
	close_pair(x->ready);
	close_pair(x->sentry_ready);
	for (int *fd = (int[]){ x->exe, x->listen, x->control, x->console, x->console_master, x->log, x->user_log, x->lock,
				x->sandbox_lock, -2 };
	     *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	spawn_release(&x->sentry);
	spawn_release(&x->gofer);
	spawn_release(&x->zygote);
	ttrpc_result_fini(&x->reply);
	if (x->planned)
		request_plan_fini(&x->plan);
	lc_free(x->sandbox);
	free(x->bundle);
}

/* What the kernel ends for want of memory ends without a word of its own. */
static void blame_memory(const struct creation *x, struct err *e)
{
	struct lc_stats s = { 0 };

	if (!x->c)
		return;
	cgroup_stats(&x->c->st.cg, &s);
	if (s.mem_oom_kill)
		err_wrap(e, "a process was killed for want of memory (limit of %llu bytes too low?)", (unsigned long long)s.mem_limit);
}

static void creation_undo(struct creation *x)
{
	struct err ignored = ERR_INIT;

	if (!x->c)
		return;
	if (x->sandbox && x->control < 0) {
		/* the Sentry may have made it before something later failed */
		PB(ContainerRequest) m = PB_INIT(CONTAINER_REQUEST);

		m.id = x->c->id;
		control_do(x->c, "DestroyContainer", &m.base, NULL, NULL, &ignored);
	}
	close_pair(x->init);
	/* the zygote first: the Sentry's end waits for everybody in its pid namespace to be reaped */
	spawn_kill(&x->zygote);
	spawn_kill(&x->gofer);
	spawn_kill(&x->sentry);
	network_undo(x->c);
	if (cgroup_remove(&x->c->st.cg, &ignored) < 0)
		log_warn("%s", ignored.msg);
	if (container_dir_remove(x->c, &ignored) < 0)
		log_warn("%s", ignored.msg);
	if (x->a->out_console >= 0)
		close(TAKE_FD(x->a->out_console));
	lc_free(x->c);
}

int lc_create(const struct lc_flags *f, struct lc_create_args *a, struct lc_container **out, struct err *e)
{
	struct creation x = {
		.a = a, .lock = -1, .sandbox_lock = -1, .exe = -1, .listen = -1, .control = -1,
		.p9 = { -1, -1 }, .init = { -1, -1 }, .zy = { -1, -1 }, .ready = { -1, -1 },
		.sentry_ready = { -1, -1 }, .console = -1, .console_master = -1, .log = -1, .user_log = -1,
		.sentry = CHILD_INIT, .gofer = CHILD_INIT, .zygote = CHILD_INIT,
	};
	int ret = lc_flags_copy(&x.flags, f, e);

	a->out_console = -1;
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(create_steps); i++) {
		ret = create_steps[i].run(&x, e);
		log_debug("create %s: %s%s", a->id, create_steps[i].name, ret ? " failed" : "");
	}
	if (ret < 0) {
		blame_memory(&x, e);
		creation_undo(&x);
	} else {
		x.c->flags = f;
		*out = x.c;
	}
	creation_fini(&x);
	lc_flags_fini(&x.flags);
	return ret;
}
