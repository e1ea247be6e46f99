/* SPDX-License-Identifier: Apache-2.0
 * shim/task_create.c - Create and Delete of containers
 *
 * Model:   the id is taken first (a container in PROC_CREATING that nobody else can use), then the steps of
 *          creation run without sh->mu, and are undone in reverse when one fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "events.pb-c.h"
#include "shim/mounts.h"
#include "shim/oom.h"
#include "shim/portfwd.h"
#include "shim/shim.h"
#include "shim/shim_util.h"
#include "shim/stdio.h"
#include "shim/task_internal.h"

#define DRAIN_WAIT_S 10 /* for output that somebody else still holds open */
#define KILLED_WAIT_S 1 /* when the holder was killed: its processes may write until lc_delete() */
#define EXIT_WAIT_S  5	/* for a container that was just killed */

static void on_output_done(void *arg)
{
	struct shim *sh = arg;

	pthread_mutex_lock(&sh->mu);
	pthread_cond_broadcast(&sh->changed);
	pthread_mutex_unlock(&sh->mu);
}

/* Shared with exec: streams of a process, from its named ends. */
int process_open_stdio(struct process *p, struct err *e)
{
	struct container *c = p->c;
	struct stdio_args a = { .in = p->in, .out = p->out, .err = p->err, .terminal = p->terminal,
				.ns = c->sh->ns, .id = p->exec_id[0] ? p->exec_id : c->id,
				.uid = c->cfg.io_uid, .gid = c->cfg.io_gid, .streams = c->sh->streams,
				.done = on_output_done, .arg = c->sh };

	p->io = stdio_open(c->sh->loop, &a, e);
	return p->io ? 0 : -1;
}

static void on_oom(void *arg)
{
	struct container *c = arg;
	Events__TaskOOM ev = EVENTS__TASK_OOM__INIT;

	ev.container_id = c->id;
	container_publish(c, "/tasks/oom", "containerd.events.TaskOOM", &ev.base);
}

static void watch_oom(struct container *c)
{
	bool v2 = lc_cgroup_is_v2(c->lc);
	const char *dir = lc_cgroup_dir(c->lc, "memory");

	if (dir)
		c->oom = oom_watch_new(c->sh->loop, dir, v2, on_oom, c);
}

struct forward_job {
	struct ttrpc_job job;
	struct container *c; /* reference */
	uint16_t port;
	int fd;
};

static void forward_run(struct ttrpc_job *j)
{
	struct forward_job *f = container_of(j, struct forward_job, job);
	struct err e = ERR_INIT;

	if (lc_port_forward(f->c->lc, f->port, f->fd, &e) < 0)
		log_debug("port %u of %s: %s", f->port, f->c->id, e.msg); /* nobody listens inside: the caller sees the end */
	close(f->fd);
	container_put(f->c);
	free(f);
}

static void on_forward(void *arg, uint16_t port, int fd)
{
	struct container *c = arg;
	struct forward_job *f = calloc(1, sizeof(*f));

	if (!f) {
		close(fd);
		return;
	}
	*f = (struct forward_job){ .job.fn = forward_run, .c = c, .port = port, .fd = fd };
	ref_get(&c->refs);
	ttrpc_workers_run(c->sh->workers, &f->job);
}

/* Not having it is no reason to fail: only port-forward misses it. */
static void listen_for_pod(struct container *c)
{
	const char *netns = lc_netns(c->lc);
	struct err e = ERR_INIT;

	if (!netns || strcmp(lc_sandbox_id(c->lc), c->id))
		return;
	c->forward = portfwd_new(c->sh->loop, netns, on_forward, c, &e);
	if (!c->forward)
		log_info("no port-forward to %s: %s", c->id, e.msg);
}

/* The options of this request, else those that came with `start`. */
static int load_config(struct container *c, const Wkt__Any *options, struct err *e)
{
	AUTO_CLOSE int dirfd = open(c->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	Wkt__Any *saved = NULL;
	int ret;

	if (dirfd < 0)
		return err_sys(e, "open bundle %s", c->bundle);
	if (options && options->type_url[0])
		ret = shim_options_save(dirfd, options, e);
	else {
		saved = shim_options_read(dirfd);
		options = saved;
		ret = 0;
	}
	if (ret == 0)
		ret = shim_config_load(&c->cfg, options, true, e);
	if (ret == 0)
		ret = shim_config_flags(&c->cfg, c->sh->ns, c->sh->id, &c->flags, e);
	if (saved)
		ttrpc_msg_free(&saved->base);
	return ret;
}

static int lifecycle_create(struct container *c, struct err *e)
{
	const int *fds = stdio_fds(c->init->io);
	struct lc_create_args a = { .id = c->id, .bundle = c->bundle, .stdio = { fds[0], fds[1], fds[2] },
				    .out_console = -1 };
	int ret;

	shim_op_begin(c->sh);
	ret = lc_create(&c->flags, &a, &c->lc, e);
	if (ret == 0) {
		child_reap_later(c->sh, lc_zygote_pid(c->lc));
		if (!strcmp(lc_sandbox_id(c->lc), c->id))
			child_reap_later(c->sh, lc_sandbox_pid(c->lc));
	}
	shim_op_end(c->sh);
	if (ret < 0)
		return -1;
	stdio_given(c->init->io);
	if (a.out_console >= 0 && stdio_console(c->init->io, a.out_console, e) < 0)
		return -1;
	c->init->pid = lc_pid(c->lc);
	return 0;
}

static void container_undo(struct container *c)
{
	struct err e = ERR_INIT;

	if (c->lc) {
		shim_op_begin(c->sh);
		if (lc_delete(c->lc, true, &e) < 0)
			log_warn("container %s: %s", c->id, e.msg);
		shim_op_end(c->sh);
	}
	if (c->rootfs_mounted && rootfs_unmount(c->rootfs, &e) < 0)
		log_warn("container %s: %s", c->id, e.msg);
	c->rootfs_mounted = false;
}

static int create_steps(struct container *c, const Task__CreateTaskRequest *r, struct err *e)
{
	if (r->checkpoint[0])
		return err_set(e, ENOSYS, "restore from a checkpoint is not implemented");
	if (load_config(c, r->options, e) < 0)
		return -1;
	if (rootfs_mount(r->rootfs, r->n_rootfs, c->rootfs, e) < 0)
		return -1;
	c->rootfs_mounted = r->n_rootfs > 0;
	if (process_open_stdio(c->init, e) < 0 || lifecycle_create(c, e) < 0)
		return -1;
	watch_oom(c);
	listen_for_pod(c);
	return process_watch(c->init, e);
}

static struct container *reserve(struct shim *sh, const Task__CreateTaskRequest *r, bool quiet,
				 struct err *e)
{
	struct container *c = NULL, *other;

	if (lc_id_check(r->id, e) < 0)
		return NULL;
	c = container_new(sh, r->id, r->bundle);
	if (c)
		c->init = process_new(c, "", r->stdin, r->stdout, r->stderr, r->terminal);
	if (!c || !c->init) {
		container_put(c);
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	c->quiet = quiet;
	pthread_mutex_lock(&sh->mu);
	list_for_each_entry(other, &sh->containers, node) {
		if (!strcmp(other->id, r->id)) {
			pthread_mutex_unlock(&sh->mu);
			container_put(c);
			err_set(e, EEXIST, "container %s already exists", r->id);
			return NULL;
		}
	}
	if (sh->shutting_down) {
		pthread_mutex_unlock(&sh->mu);
		container_put(c);
		err_set(e, ECONNREFUSED, "shim is shutting down");
		return NULL;
	}
	list_add_tail(&sh->containers, &c->node);
	pthread_mutex_unlock(&sh->mu);
	return c;
}

static void publish_create(struct container *c, const Task__CreateTaskRequest *r)
{
	Events__TaskCreate ev = EVENTS__TASK_CREATE__INIT;
	Events__TaskIO io = EVENTS__TASK_IO__INIT;

	io.stdin = r->stdin;
	io.stdout = r->stdout;
	io.stderr = r->stderr;
	io.terminal = r->terminal;
	ev.container_id = c->id;
	ev.bundle = c->bundle;
	ev.n_rootfs = r->n_rootfs;
	ev.rootfs = r->rootfs;
	ev.io = &io;
	ev.pid = (uint32_t)c->init->pid;
	container_publish(c, "/tasks/create", "containerd.events.TaskCreate", &ev.base);
}

struct forget_work {
	struct ev_work w;
	struct container *c;
};

static void forget_work(struct ev_work *w)
{
	struct forget_work *fw = container_of(w, struct forget_work, w);

	oom_watch_stop(fw->c->oom);
	portfwd_stop(TAKE_PTR(fw->c->forward));
	container_put(fw->c);
	free(fw);
}

/* Takes @c out of the tables and gives up the table's reference, on the loop's thread as far as its
 * sources are concerned. */
static void container_forget(struct container *c)
{
	struct forget_work *fw = calloc(1, sizeof(*fw));

	BUG_ON(!fw);
	pthread_mutex_lock(&c->sh->mu);
	c->dead = true;
	list_del_init(&c->node);
	pthread_cond_broadcast(&c->sh->changed);
	pthread_mutex_unlock(&c->sh->mu);
	fw->w.fn = forget_work;
	fw->c = c;
	evloop_post(c->sh->loop, &fw->w);
}

int container_create(struct shim *sh, const Task__CreateTaskRequest *r, bool quiet, struct container **out,
		     struct err *e)
{
	struct container *c = reserve(sh, r, quiet, e);
	int ret;

	if (!c)
		return -1;
	pthread_mutex_lock(&c->op_mu);
	c->init->starting = true; /* nobody hears of an exit before the create event */
	ret = create_steps(c, r, e);
	if (ret < 0)
		container_undo(c);
	pthread_mutex_unlock(&c->op_mu);
	if (ret < 0) {
		container_forget(c);
		return -1;
	}
	ref_get(&c->refs);
	pthread_mutex_lock(&sh->mu);
	c->init->state = PROC_CREATED;
	publish_create(c, r);
	c->init->starting = false;
	process_started_locked(c->init);
	pthread_mutex_unlock(&sh->mu);
	*out = c;
	return 0;
}

void task_create(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	Task__CreateTaskResponse resp = TASK__CREATE_TASK_RESPONSE__INIT;
	struct err e = ERR_INIT;
	struct container *c;

	if (container_create(ttrpc_call_ctx(call), (const Task__CreateTaskRequest *)req, false, &c, &e) < 0) {
		task_fail(call, &e);
		return;
	}
	resp.pid = (uint32_t)c->init->pid;
	ttrpc_reply(call, &resp.base);
	container_put(c);
}

/* ---- delete ---- */

/* With sh->mu: waits for @cond(p), at most @seconds. */
static bool wait_for(struct process *p, bool (*cond)(struct process *), unsigned seconds)
{
	struct shim *sh = p->c->sh;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	while (!cond(p))
		if (pthread_cond_timedwait(&sh->changed, &sh->mu, &until))
			return cond(p);
	return true;
}

static bool output_done(struct process *p)
{
	return stdio_finished(p->io);
}

static bool has_stopped(struct process *p)
{
	return p->state == PROC_STOPPED;
}

/* The process has stopped, or never ran: waits until its output is copied. */
void process_drain(struct process *p)
{
	unsigned limit;

	pthread_mutex_lock(&p->c->sh->mu);
	limit = p->holder_killed ? KILLED_WAIT_S : DRAIN_WAIT_S;
	if (!wait_for(p, output_done, limit))
		log_warn("%s %s: output is still open %u s after its end", p->c->id, p->exec_id, limit);
	pthread_mutex_unlock(&p->c->sh->mu);
}

/* Ends execs that are registered only, or stopped but not deleted. */
static void drop_execs(struct container *c)
{
	struct process *p;

	for (;;) {
		pthread_mutex_lock(&c->sh->mu);
		if (list_empty(&c->execs)) {
			pthread_mutex_unlock(&c->sh->mu);
			return;
		}
		p = list_first(&c->execs, struct process, node);
		list_del_init(&p->node);
		pthread_mutex_unlock(&c->sh->mu);
		process_put(p);
	}
}

int container_delete(struct container *c, struct err *e)
{
	struct shim *sh = c->sh;
	enum proc_state st;
	struct err e2 = ERR_INIT;
	int ret = 0;

	pthread_mutex_lock(&c->op_mu);
	pthread_mutex_lock(&sh->mu);
	st = c->init->state;
	if (c->dead)
		ret = err_set(e, ENOENT, "container %s not created: not found", c->id);
	else if (st != PROC_STOPPED && st != PROC_CREATED)
		ret = err_set(e, EBUSY, "cannot delete a running process: failed precondition");
	pthread_mutex_unlock(&sh->mu);
	if (ret < 0)
		goto out;
	if (st == PROC_STOPPED)
		process_drain(c->init);
	shim_op_begin(sh);
	ret = lc_delete(c->lc, st == PROC_CREATED, e);
	shim_op_end(sh);
	if (ret < 0 && e->code != ENOENT)
		goto out;
	ret = 0;
	if (st == PROC_CREATED) {
		pthread_mutex_lock(&sh->mu);
		wait_for(c->init, has_stopped, EXIT_WAIT_S);
		pthread_mutex_unlock(&sh->mu);
	}
	if (c->rootfs_mounted && rootfs_unmount(c->rootfs, &e2) < 0)
		log_warn("container %s: %s", c->id, e2.msg);
	c->rootfs_mounted = false;
	drop_execs(c);
	container_forget(c);
out:
	pthread_mutex_unlock(&c->op_mu);
	return ret;
}

static void publish_delete(struct process *p)
{
	Events__TaskDelete ev = EVENTS__TASK_DELETE__INIT;
	Wkt__Timestamp ts;

	ev.container_id = p->c->id;
	ev.id = p->exec_id[0] ? p->exec_id : p->c->id;
	ev.pid = (uint32_t)p->pid;
	ev.exit_status = p->exit_status;
	ev.exited_at = timestamp_set(&ts, p->exited_at_ns);
	container_publish(p->c, "/tasks/delete", "containerd.events.TaskDelete", &ev.base);
}

static int exec_delete(struct process *p, struct err *e)
{
	struct shim *sh = p->c->sh;
	int ret = 0;

	pthread_mutex_lock(&sh->mu);
	if (p->deleting)
		ret = err_set(e, ENOENT, "process %s does not exist: not found", p->exec_id);
	else if (p->starting || p->state == PROC_RUNNING)
		ret = err_set(e, EBUSY, "cannot delete a running process: failed precondition");
	else
		p->deleting = true;
	pthread_mutex_unlock(&sh->mu);
	if (ret < 0)
		return -1;
	process_drain(p);
	pthread_mutex_lock(&sh->mu);
	if (!list_empty(&p->node)) {
		list_del_init(&p->node);
		process_put(p); /* the table's; the caller has one */
	}
	pthread_mutex_unlock(&sh->mu);
	return 0;
}

void task_delete(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__DeleteRequest *r = (const Task__DeleteRequest *)req;
	Task__DeleteResponse resp = TASK__DELETE_RESPONSE__INIT;
	struct err e = ERR_INIT;
	struct container *c;
	struct process *p;
	Wkt__Timestamp ts;

	if (!task_lookup(call, r->id, r->exec_id, &c, &p))
		return;
	if ((r->exec_id[0] ? exec_delete(p, &e) : container_delete(c, &e)) < 0) {
		task_fail(call, &e);
	} else {
		if (!r->exec_id[0])
			publish_delete(p);
		resp.pid = (uint32_t)p->pid;
		resp.exit_status = p->exit_status;
		resp.exited_at = timestamp_set(&ts, p->exited_at_ns);
		ttrpc_reply(call, &resp.base);
	}
	process_put(p);
	container_put(c);
}
