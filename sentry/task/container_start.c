/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/container_start.c - the first process of a container, and processes put into it
 *
 * Model:   a process is built from process_args like a fork's child, but from nothing: fresh address space, credentials as said,
 *          own session. Its program is found and checked here, so that errors reach the caller; the mapping of the image is
 *          the first thing that its kthread does.
 * Source:  OCI runtime specification "process", runc's behaviour for the search in $PATH.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/keys/keys.h"
#include "sentry/task/acct.h"
#include "sentry/task/container_internal.h"
#include "sentry/task/exec.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/seccomp.h"

long (*process_stdio_hook)(struct container *c, struct task *t, const struct process_args *a, struct file **out);

/* What a new process still needs at its first step. */
struct start_work {
	struct exec_strings argv, envp;
	struct exec_image *img;
	struct vfs_ctx ctx;
};

static void start_work_free(struct start_work *w)
{
	if (!w)
		return;
	loader_free(w->img);
	exec_strings_fini(&w->argv);
	exec_strings_fini(&w->envp);
	free(w);
}

static const struct rlimit64 default_limits[RLIM_COUNT] = {
	[LINUX_RLIMIT_CPU] = { RLIM_INF, RLIM_INF },
	[LINUX_RLIMIT_FSIZE] = { RLIM_INF, RLIM_INF },
	[LINUX_RLIMIT_DATA] = { RLIM_INF, RLIM_INF },
	[LINUX_RLIMIT_STACK] = { 8ull << 20, RLIM_INF },
	[LINUX_RLIMIT_CORE] = { 0, RLIM_INF },
	[LINUX_RLIMIT_RSS] = { RLIM_INF, RLIM_INF },
	[LINUX_RLIMIT_NPROC] = { RLIM_INF, RLIM_INF },
	[LINUX_RLIMIT_NOFILE] = { 1048576, 1048576 },
	[LINUX_RLIMIT_MEMLOCK] = { 8ull << 20, 8ull << 20 },
	[LINUX_RLIMIT_AS] = { RLIM_INF, RLIM_INF },
	[LINUX_RLIMIT_LOCKS] = { RLIM_INF, RLIM_INF },
	[LINUX_RLIMIT_SIGPENDING] = { 31544, 31544 },
	[LINUX_RLIMIT_MSGQUEUE] = { 819200, 819200 },
	[LINUX_RLIMIT_NICE] = { 0, 0 },
	[LINUX_RLIMIT_RTPRIO] = { 0, 0 },
	[LINUX_RLIMIT_RTTIME] = { RLIM_INF, RLIM_INF },
};

static long make_cred(struct container *c, const struct process_args *a, struct cred **out)
{
	struct user_ns *ns = c->cred->user_ns;
	uint32_t uid = id_to_kernel(ns, false, a->uid), gid = id_to_kernel(ns, true, a->gid);
	struct group_list *gl = NULL;
	struct cred *n;

	if (uid == ID_INVALID || gid == ID_INVALID)
		return -LINUX_EINVAL;
	n = cred_dup(c->cred);
	if (!n)
		return -LINUX_ENOMEM;
	if (a->nr_groups) {
		gl = groups_new(a->nr_groups);
		if (!gl) {
			cred_put(n);
			return -LINUX_ENOMEM;
		}
		for (uint32_t i = 0; i < a->nr_groups; i++)
			gl->gid[i] = id_to_kernel(ns, true, a->groups[i]);
		groups_sort(gl);
	}
	groups_put(n->groups);
	n->groups = gl;
	n->uid = n->euid = n->suid = n->fsuid = uid;
	n->gid = n->egid = n->sgid = n->fsgid = gid;
	n->cap_inheritable = a->caps[0] & CAP_FULL;
	n->cap_permitted = a->caps[1] & CAP_FULL;
	n->cap_effective = a->caps[2] & n->cap_permitted;
	n->cap_bset = a->caps[3] & CAP_FULL;
	n->cap_ambient = a->caps[4] & n->cap_permitted & n->cap_inheritable;
	n->no_new_privs = a->no_new_privs;
	*out = n;
	return 0;
}

/* The container's own, as for runc; once that only hands on to groups below it, the one of init. */
static void choose_cgroup(struct container *c, struct tgroup *g)
{
	struct cgroup *cg = cgroup_get(c->cgroup);
	bool hands_on;

	mutex_lock(&cgroup_mu);
	hands_on = cgroup_vet_locked(cg);
	mutex_unlock(&cgroup_mu);
	if (hands_on) {
		mutex_lock(&tasks_mu);
		if (c->init) {
			cgroup_put(cg);
			cg = cgroup_of(&c->init->cg);
		}
		mutex_unlock(&tasks_mu);
	}
	cgroup_member_init(&g->cg, cg);
	cgroup_put(cg);
}

static long make_group(struct container *c, const struct process_args *a, struct tgroup **out)
{
	struct tgroup *g = tgroup_alloc();
	struct sighand *h = sighand_new();

	if (!g || !h || group_signals_alloc(g, h)) {
		sighand_put(h);
		goto nomem;
	}
	if (group_acct_alloc(g))
		goto nomem;
	for (int i = 0; i < RLIM_COUNT; i++)
		g->rlim[i] = (a->rlimit_mask >> i & 1) && a->rlimits ? a->rlimits[i] : default_limits[i];
	g->oom_score_adj = a->oom_score_adj;
	g->container = c;
	choose_cgroup(c, g);
	*out = g;
	return 0;
nomem:
	tgroup_put(g);
	return -LINUX_ENOMEM;
}

/* Working directory and umask. */
static long make_fs(struct container *c, const struct process_args *a, struct task *t)
{
	struct vfs_ctx ctx;
	struct path cwd, old;
	long ret;

	t->fs = fs_struct_dup(c->fs);
	t->fds = fdtable_new();
	if (!t->fs || !t->fds)
		return -LINUX_ENOMEM;
	if (a->set_umask)
		t->fs->umask = a->umask & 0777;
	if (!a->cwd || !a->cwd[0])
		return 0;
	ctx = task_vfs_ctx(t);
	ret = vfs_lookup(&ctx, LINUX_AT_FDCWD, a->cwd, WALK_FOLLOW | WALK_DIRECTORY, &cwd);
	if (ret < 0) {
		if (a->cwd_error)
			*a->cwd_error = ret;
		return ret;
	}
	mutex_lock(&t->fs->mu);
	old = t->fs->pwd;
	t->fs->pwd = cwd;
	mutex_unlock(&t->fs->mu);
	path_put(&old);
	return 0;
}

static void half_built_free(struct task *t)
{
	signal_detach_page(t);
	seccomp_chain_put(t);
	keys_exit(t);
	if (t->u)
		uthread_free(TAKE_PTR(t->u));
	mm_put(TAKE_PTR(t->mm));
	if (t->fds)
		fdtable_put(TAKE_PTR(t->fds));
	if (t->fs)
		fs_struct_put(TAKE_PTR(t->fs));
	nsproxy_put(TAKE_PTR(t->ns));
	start_work_free(TAKE_PTR(t->start_arg));
	task_put(t);
}

/* ---- the program ------------------------------------------------------------------------------------------- */

static long strings_fill(struct exec_strings *s, const char *const *v)
{
	long ret = 0;

	for (; v && *v && !ret; v++)
		ret = exec_strings_add(s, *v, strlen(*v));
	return ret;
}

static const char *env_get(const char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; envp && *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

static long open_at(const struct vfs_ctx *ctx, const char *dir, size_t dir_len, const char *name, char *path,
		    struct file **out)
{
	int n = dir_len ? snprintf(path, PATH_MAX_BYTES, "%.*s/%s", (int)dir_len, dir, name)
			: snprintf(path, PATH_MAX_BYTES, "%s", name);

	if (n < 0 || n >= (int)PATH_MAX_BYTES)
		return -LINUX_ENAMETOOLONG;
	return vfs_open_exec(ctx, LINUX_AT_FDCWD, path, WALK_FOLLOW, out);
}

/* As execvp(3): a name with a slash is a path, another is searched for. @path receives what was found. */
static long find_program(const struct vfs_ctx *ctx, const struct process_args *a, char *path, struct file **out)
{
	const char *name = a->program ? a->program : a->argv[0], *dirs, *end;
	long ret, worst = -LINUX_ENOENT;

	if (!name[0])
		return -LINUX_ENOENT;
	if (strchr(name, '/'))
		return open_at(ctx, NULL, 0, name, path, out);
	dirs = env_get(a->envp, "PATH");
	for (; dirs; dirs = *end ? end + 1 : NULL) {
		end = strchrnul(dirs, ':');
		if (end == dirs)
			ret = open_at(ctx, ".", 1, name, path, out);
		else
			ret = open_at(ctx, dirs, (size_t)(end - dirs), name, path, out);
		if (ret >= 0)
			return ret;
		if (ret != -LINUX_ENOENT && ret != -LINUX_ENOTDIR)
			worst = ret;
	}
	return worst;
}

static long prepare_program(struct task *t, const struct process_args *a)
{
	struct start_work *w = calloc(1, sizeof(*w));
	char *path = malloc(PATH_MAX_BYTES);
	struct exec_args ea = { 0 };
	long ret = -LINUX_ENOMEM;

	if (!w || !path)
		goto out;
	t->start_arg = w;
	ret = -LINUX_EINVAL;
	if (!a->argv || !a->argv[0])
		goto out;
	ret = strings_fill(&w->argv, a->argv);
	if (!ret)
		ret = strings_fill(&w->envp, a->envp);
	w->ctx = task_vfs_ctx(t);
	if (!ret)
		ret = find_program(&w->ctx, a, path, &ea.file);
	if (ret < 0)
		goto out;
	ea.ctx = &w->ctx;
	ea.filename = path;
	ea.argv = &w->argv;
	ea.envp = &w->envp;
	ret = loader_prepare(&ea, &w->img);
	if (!ret)
		task_set_comm(t, loader_comm(w->img));
	w = NULL;
out:
	if (w && t->start_arg != w)
		free(w);
	free(path);
	return ret;
}

/* First step of the new kthread. The execve that it stands for gives root of the namespace what exec gives it. */
static long first_exec(struct task *t)
{
	struct start_work *w = t->start_arg;
	struct cred *cred = NULL;
	bool secure;
	long ret = -LINUX_EINTR;

	t->start_arg = NULL;
	if (!(atomic_load_explicit(&t->work, memory_order_relaxed) & TW_EXIT)) {
		ret = exec_credentials(t, loader_file(w->img), &cred, &secure);
		if (!ret) {
			task_set_cred(t, cred);
			loader_set_creds(w->img, t->cred, secure);
			uthread_init_fpu(t->u);
			mm_set_stack_limit(t->mm, task_rlimit(t, LINUX_RLIMIT_STACK));
			ret = loader_commit(w->img, t->mm, t->u, task_rlimit(t, LINUX_RLIMIT_STACK));
		}
	}
	start_work_free(w);
	return ret;
}

/* ---- putting it together --------------------------------------------------------------------------------------- */

static long build(struct container *c, const struct process_args *a, struct tgroup *g, struct task **out)
{
	struct task *t = task_alloc(g);
	long ret;

	if (!t)
		return -LINUX_ENOMEM;
	ret = make_cred(c, a, &t->cred);
	if (!ret) {
		t->ucount = user_count_get(t->cred->uid);
		if (t->ucount)
			atomic_fetch_add_explicit(&t->ucount->nr_tasks, 1, memory_order_relaxed);
		t->ns = nsproxy_get(c->ns);
		t->nice = a->nice;
		t->sched_policy = a->sched_policy;
		t->sched_priority = a->sched_priority;
		ret = make_fs(c, a, t);
	}
	if (!ret)
		ret = prepare_program(t, a);
	if (!ret && a->seccomp)
		ret = seccomp_start_with(t, a->seccomp, a->seccomp_len);
	if (!ret)
		ret = uspace_new(c->zygote, &t->u);
	if (!ret) {
		t->u->owner = t;
		acct_space_set(g, t->u->space);
		t->mm = mm_new(t->u->space);
		if (!t->mm)
			ret = -LINUX_ENOMEM;
	}
	if (!ret)
		ret = pid_alloc(c->pid_ns, NULL, 0, &t->pid);
	if (ret < 0) {
		half_built_free(t);
		return ret;
	}
	if (atomic_load(&task_trace_new))
		t->entry_work |= TE_TRACE;
	keys_start(t, c->id);
	t->start_fn = first_exec;
	*out = t;
	return 0;
}

static long link_process(struct container *c, struct task *t, struct exec_process *p, bool init)
{
	struct tgroup *g = t->group;
	long ret;

	signal_attach_page(t);
	mutex_lock(&tasks_mu);
	ret = init ? (c->init ? -LINUX_EBUSY : 0)
		   : (c->init ? 0 : -LINUX_ESRCH); /* exec needs a living init */
	if (!ret && !init && p->exec_id[0] && proc_find_locked(c, p->exec_id) &&
	    !atomic_load_explicit(&proc_find_locked(c, p->exec_id)->ended, memory_order_relaxed))
		ret = -LINUX_EEXIST;
	g->pid = pid_get(t->pid);
	if (!ret)
		ret = cgroup_member_link(&g->cg, NULL);
	if (!ret) {
		ret = session_create_locked(g, t->pid);
		if (ret)
			cgroup_member_end(&g->cg, (struct cgroup_times){ 0 });
	}
	if (ret < 0) {
		pid_unuse_locked(t->pid);
		mutex_unlock(&tasks_mu);
		return ret;
	}
	list_add_tail(&c->groups, &g->container_node);
	task_link_locked(t);
	if (init) {
		c->init = g;
		if (!c->pid_ns->reaper) {
			c->pid_ns->reaper = g;
			g->sig->unkillable = true;
		}
	}
	if (atomic_load_explicit(&c->paused, memory_order_relaxed) || cgroup_member_frozen(&g->cg))
		task_set_work(t, TW_FREEZE);
	p->group = tgroup_get(g);
	p->pid = pid_nr(t->pid, c->pid_ns);
	ref_get(&p->ref);
	g->exec = p;
	ref_get(&p->ref);
	list_add_tail(&c->procs, &p->node);
	mutex_unlock(&tasks_mu);
	cgroup_tell();
	return 0;
}

static long install_stdio(struct container *c, struct task *t, const struct process_args *a)
{
	struct file *f[PROCESS_FDS_MAX] = { NULL };
	int n = 3 + (int)a->nr_pass;
	long ret;

	if (!process_stdio_hook)
		return -LINUX_ENODEV;
	if (n > PROCESS_FDS_MAX)
		return -LINUX_EINVAL;
	if (a->stdio_taken)
		*a->stdio_taken = true;
	ret = process_stdio_hook(c, t, a, f);
	for (int i = 0; i < n && ret >= 0; i++)
		ret = fdtable_install_at(t->fds, i < 3 ? i : a->pass_as[i - 3], f[i], false, PROCESS_FD_LIMIT);
	for (int i = 0; i < n; i++)
		if (f[i])
			file_put(f[i]);
	return ret < 0 ? ret : 0;
}

/* Linked already: it ends through its own kthread. */
static void abandon(struct task *t)
{
	t->group->exit_signal = -1;
	group_exit_begin(t->group, LINUX_SIGKILL);
	task_start(t);
}

static long create_process(struct container *c, const struct process_args *a, bool init, struct task **out)
{
	struct exec_process *p = proc_new(init ? "" : a->exec_id, a->chan);
	struct tgroup *g;
	struct task *t;
	long ret;

	if (!p)
		return -LINUX_ENOMEM;
	ret = make_group(c, a, &g);
	if (ret < 0)
		goto out;
	ret = build(c, a, g, &t);
	tgroup_put(g);
	if (ret < 0)
		goto out;
	proc_watch(p);
	ret = link_process(c, t, p, init);
	if (ret < 0) {
		half_built_free(t);
		goto out;
	}
	ret = install_stdio(c, t, a);
	if (ret < 0) {
		proc_unwatch(p);
		p->chan = -1; /* the caller keeps what it gave when the call fails */
		abandon(t);
		task_put(t);
		goto out;
	}
	proc_watch_linked(p);
	*out = t;
out:
	if (ret < 0) {
		proc_unwatch(p);
		p->chan = -1;
	}
	proc_put(p);
	return ret;
}

long container_create_init(struct container *c, const struct process_args *a)
{
	struct task *t;
	long ret = create_process(c, a, true, &t);

	if (!ret)
		task_put(t); /* its list keeps it until container_start() */
	return ret;
}

/* Lets the init go that container_create_init() made; only the first call of all does. */
static long let_go(struct container *c)
{
	struct task *t = NULL;
	long ret = -LINUX_ESRCH;

	mutex_lock(&tasks_mu);
	if (c->init && !atomic_exchange(&c->started, true))
		t = task_get(c->init->leader);
	mutex_unlock(&tasks_mu);
	if (t) {
		ret = task_start(t);
		task_put(t);
	}
	return ret;
}

long container_start(struct container *c)
{
	return let_go(c);
}

void container_release_unstarted(struct container *c)
{
	if (!atomic_load_explicit(&c->started, memory_order_acquire))
		let_go(c);
}

long container_exec(struct container *c, const struct process_args *a, uint32_t *out_pid)
{
	struct task *t;
	long ret = create_process(c, a, false, &t);

	if (ret < 0)
		return ret;
	*out_pid = pid_nr(t->pid, c->pid_ns);
	ret = task_start(t);
	task_put(t);
	return ret;
}
