/* SPDX-License-Identifier: Apache-2.0
 * shim/task_run.c - Start, Exec, Kill, Pause, Resume, Update, ResizePty, CloseIO
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "events.pb-c.h"
#include "shim/shim.h"
#include "shim/stdio.h"
#include "shim/task_internal.h"

#define SPEC_MAX (4u << 20)

/* Claims @p for starting, or says why not. With sh->mu. */
static int start_claim_locked(struct process *p, struct err *e)
{
	struct container *c = p->c;

	if (c->dead)
		return err_set(e, ENOENT, "container %s not created: not found", c->id);
	if (p->deleting || p->starting || p->state != PROC_CREATED)
		return err_set(e, EBUSY, "cannot start a process that is not in state created: failed precondition");
	if (p != c->init && (c->init->state != PROC_RUNNING || c->init->exit_seen))
		return err_set(e, EBUSY, "container %s init process is not running: failed precondition", c->id);
	if (p != c->init && c->paused)
		return err_set(e, EBUSY, "cannot exec in a paused container: failed precondition");
	p->starting = true;
	return 0;
}

static void publish_started(struct process *p)
{
	if (p == p->c->init) {
		Events__TaskStart ev = EVENTS__TASK_START__INIT;

		ev.container_id = p->c->id;
		ev.pid = (uint32_t)p->pid;
		container_publish(p->c, "/tasks/start", "containerd.events.TaskStart", &ev.base);
	} else {
		Events__TaskExecStarted ev = EVENTS__TASK_EXEC_STARTED__INIT;

		ev.container_id = p->c->id;
		ev.exec_id = p->exec_id;
		ev.pid = (uint32_t)p->pid;
		container_publish(p->c, "/tasks/exec-started", "containerd.events.TaskExecStarted", &ev.base);
	}
}

/* After the lifecycle call: makes the new state known, then an exit that came meanwhile. */
static void start_done(struct process *p, int ret)
{
	struct shim *sh = p->c->sh;

	pthread_mutex_lock(&sh->mu);
	if (ret == 0) {
		p->state = PROC_RUNNING;
		publish_started(p);
	}
	p->starting = false;
	process_started_locked(p);
	pthread_mutex_unlock(&sh->mu);
}

int container_start(struct container *c, struct err *e)
{
	int ret;

	pthread_mutex_lock(&c->op_mu);
	pthread_mutex_lock(&c->sh->mu);
	ret = start_claim_locked(c->init, e);
	pthread_mutex_unlock(&c->sh->mu);
	if (ret == 0) {
		shim_op_begin(c->sh);
		ret = lc_start(c->lc, e);
		shim_op_end(c->sh);
		start_done(c->init, ret);
	}
	pthread_mutex_unlock(&c->op_mu);
	return ret;
}

static int lifecycle_exec(struct process *p, struct err *e)
{
	const int *fds = stdio_fds(p->io);
	struct lc_exec_args a = { .exec_id = p->exec_id, .process_json = p->spec_json,
				  .tty = p->terminal, .stdio = { fds[0], fds[1], fds[2] },
				  .out_console = -1 };
	struct lc_exec x = { 0 };
	int ret;

	shim_op_begin(p->c->sh);
	ret = lc_exec(p->c->lc, &a, &x, e);
	if (ret == 0)
		p->pid = x.pid;
	shim_op_end(p->c->sh);
	if (ret < 0)
		return -1;
	stdio_given(p->io);
	if (a.out_console >= 0 && stdio_console(p->io, a.out_console, e) < 0)
		return -1;
	return process_watch(p, e);
}

static int exec_start(struct process *p, struct err *e)
{
	int ret;

	pthread_mutex_lock(&p->c->sh->mu);
	ret = start_claim_locked(p, e);
	pthread_mutex_unlock(&p->c->sh->mu);
	if (ret < 0)
		return -1;
	ret = process_open_stdio(p, e);
	if (ret == 0)
		ret = lifecycle_exec(p, e);
	if (ret < 0) {
		/* containerd deletes it next; it counts as a process that ended badly */
		pthread_mutex_lock(&p->c->sh->mu);
		stdio_free(TAKE_PTR(p->io));
		p->state = PROC_STOPPED;
		p->exit_status = 255;
		p->starting = false;
		pthread_cond_broadcast(&p->c->sh->changed);
		pthread_mutex_unlock(&p->c->sh->mu);
		task_wake_waiters(p);
		return -1;
	}
	start_done(p, 0);
	return 0;
}

void task_start(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__StartRequest *r = (const Task__StartRequest *)req;
	Task__StartResponse resp = TASK__START_RESPONSE__INIT;
	struct err e = ERR_INIT;
	struct container *c;
	struct process *p;

	if (!task_lookup(call, r->id, r->exec_id, &c, &p))
		return;
	if ((r->exec_id[0] ? exec_start(p, &e) : container_start(c, &e)) < 0) {
		task_fail(call, &e);
	} else {
		resp.pid = (uint32_t)p->pid;
		ttrpc_reply(call, &resp.base);
	}
	process_put(p);
	container_put(c);
}

/* ---- exec: only registers ---- */

static int exec_add(struct container *c, const Task__ExecProcessRequest *r, struct err *e)
{
	struct process *p = process_new(c, r->exec_id, r->stdin, r->stdout, r->stderr, r->terminal), *other;
	Events__TaskExecAdded ev = EVENTS__TASK_EXEC_ADDED__INIT;
	int ret = 0;

	if (!p)
		return err_set(e, ENOMEM, "out of memory");
	p->spec_json = any_text(r->spec);
	if (!p->spec_json) {
		process_put(p);
		return err_set(e, ENOMEM, "out of memory");
	}
	p->state = PROC_CREATED;
	pthread_mutex_lock(&c->sh->mu);
	if (c->dead || c->init->state == PROC_CREATING)
		ret = err_set(e, ENOENT, "container %s not created: not found", c->id);
	list_for_each_entry(other, &c->execs, node)
		if (ret == 0 && !strcmp(other->exec_id, r->exec_id))
			ret = err_set(e, EEXIST, "id %s: already exists", r->exec_id);
	if (ret == 0) {
		list_add_tail(&c->execs, &p->node);
		ev.container_id = c->id;
		ev.exec_id = p->exec_id;
		container_publish(c, "/tasks/exec-added", "containerd.events.TaskExecAdded", &ev.base);
	}
	pthread_mutex_unlock(&c->sh->mu);
	if (ret < 0)
		process_put(p);
	return ret;
}

void task_exec(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__ExecProcessRequest *r = (const Task__ExecProcessRequest *)req;
	struct err e = ERR_INIT;
	struct container *c;
	int ret;

	if (!task_lookup(call, r->id, NULL, &c, NULL))
		return;
	if (lc_id_check(r->exec_id, &e) < 0)
		ret = -1;
	else if (!r->spec || !r->spec->value.len || r->spec->value.len > SPEC_MAX)
		ret = err_set(&e, EINVAL, "exec %s has no process: invalid argument", r->exec_id);
	else
		ret = exec_add(c, r, &e);
	if (ret < 0)
		task_fail(call, &e);
	else
		ttrpc_reply(call, NULL);
	container_put(c);
}

/* ---- signals ---- */

/* Why @p cannot be signalled, 0 if it can; with @begin its exit waits for kill_end() then. */
static int kill_check(struct process *p, bool begin, struct err *e)
{
	int ret = 0;

	pthread_mutex_lock(&p->c->sh->mu);
	if (p->exit_seen || p->state == PROC_STOPPED)
		ret = err_set(e, ESRCH, "process already finished: not found");
	else if (p->state == PROC_CREATING || (p->exec_id[0] && p->state == PROC_CREATED))
		ret = err_set(e, EBUSY, "process not created: failed precondition");
	p->killing += ret == 0 && begin;
	pthread_mutex_unlock(&p->c->sh->mu);
	return ret;
}

static void kill_end(struct process *p)
{
	pthread_mutex_lock(&p->c->sh->mu);
	p->killing--;
	process_started_locked(p);
	pthread_mutex_unlock(&p->c->sh->mu);
}

void task_kill(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__KillRequest *r = (const Task__KillRequest *)req;
	struct err e = ERR_INIT;
	struct container *c;
	struct process *p;
	bool begun;
	int ret;

	if (!task_lookup(call, r->id, r->exec_id, &c, &p))
		return;
	if (r->signal > 64)
		ret = err_set(&e, EINVAL, "signal %u: invalid argument", r->signal);
	else
		ret = kill_check(p, true, &e);
	begun = ret == 0;
	if (begun) {
		ret = lc_signal(c->lc, r->exec_id, (int)r->signal, r->all ? LC_SIG_ALL : LC_SIG_PROCESS, &e);
		if (ret < 0 && e.code == ESRCH)
			err_set(&e, ESRCH, "process already finished: not found");
	}
	if (ret < 0)
		task_fail(call, &e);
	else
		ttrpc_reply(call, NULL);
	if (begun)
		kill_end(p);
	process_put(p);
	container_put(c);
}

/* ---- pause, resume, update ---- */

static int set_paused(struct container *c, bool want, struct err *e)
{
	Events__TaskPaused paused = EVENTS__TASK_PAUSED__INIT;
	Events__TaskResumed resumed = EVENTS__TASK_RESUMED__INIT;
	int ret = 0;

	pthread_mutex_lock(&c->op_mu);
	pthread_mutex_lock(&c->sh->mu);
	if (c->init->state != PROC_RUNNING || c->paused == want)
		ret = err_set(e, EBUSY, "cannot %s a container that is %s: failed precondition",
			      want ? "pause" : "resume", c->paused ? "paused" : "not paused and running");
	pthread_mutex_unlock(&c->sh->mu);
	if (ret == 0)
		ret = want ? lc_pause(c->lc, e) : lc_resume(c->lc, e);
	if (ret == 0) {
		pthread_mutex_lock(&c->sh->mu);
		c->paused = want;
		paused.container_id = resumed.container_id = c->id;
		if (want)
			container_publish(c, "/tasks/paused", "containerd.events.TaskPaused", &paused.base);
		else
			container_publish(c, "/tasks/resumed", "containerd.events.TaskResumed", &resumed.base);
		pthread_mutex_unlock(&c->sh->mu);
	}
	pthread_mutex_unlock(&c->op_mu);
	return ret;
}

static void pause_resume(struct ttrpc_call *call, const char *id, bool want)
{
	struct err e = ERR_INIT;
	struct container *c;

	if (!task_lookup(call, id, NULL, &c, NULL))
		return;
	if (set_paused(c, want, &e) < 0)
		task_fail(call, &e);
	else
		ttrpc_reply(call, NULL);
	container_put(c);
}

void task_pause(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	pause_resume(call, ((const Task__PauseRequest *)req)->id, true);
}

void task_resume(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	pause_resume(call, ((const Task__ResumeRequest *)req)->id, false);
}

/* True once lc is there to be used; else the call is ended. */
static bool created(struct ttrpc_call *call, struct container *c)
{
	bool ok;

	pthread_mutex_lock(&c->sh->mu);
	ok = !c->dead && c->init->state != PROC_CREATING;
	pthread_mutex_unlock(&c->sh->mu);
	if (!ok)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s not created: not found", c->id);
	return ok;
}

void task_update(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__UpdateTaskRequest *r = (const Task__UpdateTaskRequest *)req;
	struct err e = ERR_INIT;
	AUTO_FREE char *json = NULL;
	struct container *c;
	int ret;

	if (!task_lookup(call, r->id, NULL, &c, NULL))
		return;
	if (!created(call, c))
		goto out;
	json = r->resources ? any_text(r->resources) : NULL;
	if (!json || !strstr(any_type(r->resources), "LinuxResources"))
		ret = err_set(&e, EINVAL, "resources are not LinuxResources: invalid argument");
	else
		ret = lc_update(c->lc, json, &e);
	if (ret < 0)
		task_fail(call, &e);
	else
		ttrpc_reply(call, NULL);
out:
	container_put(c);
}

/* ---- terminal and stdin ---- */

void task_resize(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__ResizePtyRequest *r = (const Task__ResizePtyRequest *)req;
	struct err e = ERR_INIT;
	struct container *c;
	struct process *p;
	int ret;

	if (!task_lookup(call, r->id, r->exec_id, &c, &p))
		return;
	ret = kill_check(p, false, &e);
	if (ret == 0 && (r->width > UINT16_MAX || r->height > UINT16_MAX))
		ret = err_set(&e, EINVAL, "terminal of %ux%u: invalid argument", r->width, r->height);
	if (ret == 0 && p->terminal)
		ret = lc_resize(c->lc, r->exec_id, (uint16_t)r->height, (uint16_t)r->width, &e);
	if (ret < 0 && e.code == ENOTTY) /* it has just gone */
		err_set(&e, ESRCH, "process already finished: not found");
	if (ret < 0)
		task_fail(call, &e);
	else
		ttrpc_reply(call, NULL);
	process_put(p);
	container_put(c);
}

void task_closeio(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__CloseIORequest *r = (const Task__CloseIORequest *)req;
	struct container *c;
	struct process *p;

	if (!task_lookup(call, r->id, r->exec_id, &c, &p))
		return;
	if (r->stdin)
		stdio_close_stdin(p->io);
	ttrpc_reply(call, NULL);
	process_put(p);
	container_put(c);
}

void task_checkpoint(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	ttrpc_fail(call, TTRPC_UNIMPLEMENTED, "checkpoint: not implemented");
}
