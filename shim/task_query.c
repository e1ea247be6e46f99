/* SPDX-License-Identifier: Apache-2.0
 * shim/task_query.c - State, Wait, Pids, Connect, Shutdown; the service tables
 */
#include <string.h>

#include "base/log.h"
#include "base/version.h"
#include "shim/shim.h"
#include "shim/shim_util.h"

static Task__Status status_locked(const struct process *p)
{
	switch (p->state) {
	case PROC_CREATING:
		return TASK__STATUS__UNKNOWN;
	case PROC_CREATED:
		return TASK__STATUS__CREATED;
	case PROC_RUNNING:
		return p == p->c->init && p->c->paused ? TASK__STATUS__PAUSED : TASK__STATUS__RUNNING;
	case PROC_STOPPED:
		return TASK__STATUS__STOPPED;
	}
	return TASK__STATUS__UNKNOWN;
}

void task_state(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__StateRequest *r = (const Task__StateRequest *)req;
	Task__StateResponse resp = TASK__STATE_RESPONSE__INIT;
	struct container *c;
	struct process *p;
	Wkt__Timestamp ts;

	if (!task_lookup(call, r->id, r->exec_id, &c, &p))
		return;
	resp.id = c->id;
	resp.exec_id = p->exec_id;
	resp.bundle = c->bundle;
	resp.stdin = p->in;
	resp.stdout = p->out;
	resp.stderr = p->err;
	resp.terminal = p->terminal;
	pthread_mutex_lock(&c->sh->mu);
	resp.pid = (uint32_t)p->pid;
	resp.status = status_locked(p);
	resp.exit_status = p->state == PROC_STOPPED ? p->exit_status : 0;
	resp.exited_at = timestamp_set(&ts, p->state == PROC_STOPPED ? p->exited_at_ns : 0);
	pthread_mutex_unlock(&c->sh->mu);
	ttrpc_reply(call, &resp.base);
	process_put(p);
	container_put(c);
}

/* ---- Wait: a note in the process's list, no thread ---- */

struct waiter {
	struct list node;	 /* in process->waiters; guarded by sh->mu */
	struct ttrpc_call *call; /* ended by whoever takes the note out of the list */
	struct process *p;	 /* reference */
};

static void wait_reply(struct ttrpc_call *call, const struct process *p)
{
	Task__WaitResponse resp = TASK__WAIT_RESPONSE__INIT;
	Wkt__Timestamp ts;

	resp.exit_status = p->exit_status;
	resp.exited_at = timestamp_set(&ts, p->exited_at_ns);
	ttrpc_reply(call, &resp.base);
}

static void waiter_free(void *data)
{
	struct waiter *w = data;

	process_put(w->p);
	free(w);
}

void task_wake_waiters(struct process *p)
{
	struct list mine;
	struct waiter *w;

	list_init(&mine);
	pthread_mutex_lock(&p->c->sh->mu);
	list_splice_tail_init(&p->waiters, &mine);
	pthread_mutex_unlock(&p->c->sh->mu);
	process_get(p); /* the last waiter may hold the last reference */
	while (!list_empty(&mine)) {
		struct ttrpc_call *call;

		/* under the lock, as a cancelled waiter may be taking itself out right now */
		pthread_mutex_lock(&p->c->sh->mu);
		if (list_empty(&mine)) {
			pthread_mutex_unlock(&p->c->sh->mu);
			break;
		}
		w = list_first(&mine, struct waiter, node);
		list_del_init(&w->node);
		call = w->call;
		pthread_mutex_unlock(&p->c->sh->mu);
		wait_reply(call, p); /* frees w with the call */
	}
	process_put(p);
}

static void wait_cancelled(struct ttrpc_call *call, enum ttrpc_code why)
{
	struct waiter *w = ttrpc_call_data(call);
	struct shim *sh = w->p->c->sh;
	bool mine;

	pthread_mutex_lock(&sh->mu);
	mine = !list_empty(&w->node);
	list_del_init(&w->node);
	pthread_mutex_unlock(&sh->mu);
	if (mine)
		ttrpc_fail(call, why, "nobody waits any more");
}

void task_wait_for(struct ttrpc_call *call, const char *id, const char *exec_id)
{
	struct waiter *w;
	struct container *c;
	struct process *p;
	bool now;

	if (!task_lookup(call, id, exec_id, &c, &p))
		return;
	w = calloc(1, sizeof(*w));
	if (!w) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		process_put(p);
		goto out;
	}
	list_init(&w->node);
	w->call = call;
	w->p = p; /* the reference moves */
	ttrpc_call_set_data(call, w, waiter_free);
	ttrpc_call_get(call); /* until it is in the list, or known not to be */
	pthread_mutex_lock(&c->sh->mu);
	now = p->state == PROC_STOPPED;
	if (!now)
		list_add_tail(&p->waiters, &w->node);
	pthread_mutex_unlock(&c->sh->mu);
	if (now)
		wait_reply(call, p);
	else if (!ttrpc_call_on_cancel(call, wait_cancelled))
		wait_cancelled(call, TTRPC_CANCELED);
	ttrpc_call_put(call);
out:
	container_put(c);
}

void task_wait(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__WaitRequest *r = (const Task__WaitRequest *)req;

	task_wait_for(call, r->id, r->exec_id);
}

/* ---- pids ---- */

static const struct process *exec_of_locked(struct container *c, pid_t pid)
{
	struct process *p;

	list_for_each_entry(p, &c->execs, node)
		if (p->pid == pid)
			return p;
	return NULL;
}

static void pids_reply(struct ttrpc_call *call, struct container *c, const pid_t *pids, size_t n)
{
	Task__PidsResponse resp = TASK__PIDS_RESPONSE__INIT;
	AUTO_FREE Task__ProcessInfo *info = calloc(n ? n : 1, sizeof(*info));
	AUTO_FREE Task__ProcessInfo **list = calloc(n ? n : 1, sizeof(*list));
	AUTO_FREE Wkt__Any *any = calloc(n ? n : 1, sizeof(*any));
	AUTO_FREE uint8_t *details = calloc(n ? n : 1, 128);

	if (!info || !list || !any || !details) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	pthread_mutex_lock(&c->sh->mu);
	for (size_t i = 0; i < n; i++) {
		const struct process *x = exec_of_locked(c, pids[i]);
		Task__ProcessDetails d = TASK__PROCESS_DETAILS__INIT;

		list[i] = &info[i];
		task__process_info__init(&info[i]);
		info[i].pid = (uint32_t)pids[i];
		if (!x || strlen(x->exec_id) > 120)
			continue;
		d.exec_id = x->exec_id;
		wkt__any__init(&any[i]);
		any[i].type_url = "containerd.runc.v1.ProcessDetails";
		any[i].value.data = details + 128 * i;
		any[i].value.len = task__process_details__pack(&d, details + 128 * i);
		info[i].info = &any[i];
	}
	pthread_mutex_unlock(&c->sh->mu);
	resp.n_processes = n;
	resp.processes = list;
	ttrpc_reply(call, &resp.base);
}

void task_pids(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__PidsRequest *r = (const Task__PidsRequest *)req;
	struct err e = ERR_INIT;
	struct container *c;
	struct process *p;
	pid_t *pids = NULL;
	size_t n = 0;
	bool stopped, ready;

	if (!task_lookup(call, r->id, "", &c, &p))
		return;
	pthread_mutex_lock(&c->sh->mu);
	ready = p->state != PROC_CREATING && !c->dead;
	stopped = p->state == PROC_STOPPED;
	pthread_mutex_unlock(&c->sh->mu);
	if (!ready)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s not created: not found", c->id);
	else if (!stopped && lc_host_pids(c->lc, &pids, &n, &e) < 0)
		task_fail(call, &e);
	else
		pids_reply(call, c, pids, n);
	free(pids);
	process_put(p);
	container_put(c);
}

/* ---- connect, shutdown ---- */

void task_connect(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__ConnectRequest *r = (const Task__ConnectRequest *)req;
	Task__ConnectResponse resp = TASK__CONNECT_RESPONSE__INIT;
	struct shim *sh = ttrpc_call_ctx(call);
	struct container *c = container_find(sh, r->id);

	/* An unknown id is no error: containerd asks before anything was created. */
	resp.shim_pid = (uint32_t)getpid();
	resp.task_pid = c ? (uint32_t)c->init->pid : 0;
	resp.version = (char *)build_version;
	ttrpc_reply(call, &resp.base);
	container_put(c);
}

void task_shutdown(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	struct shim *sh = ttrpc_call_ctx(call);
	bool empty;

	pthread_mutex_lock(&sh->mu);
	empty = shim_empty(sh);
	if (empty)
		sh->shutting_down = true;
	pthread_mutex_unlock(&sh->mu);
	ttrpc_reply(call, NULL);
	if (empty)
		shim_shutdown(sh);
}

#define EMPTY wkt__empty__descriptor
#define M(name, in, out, fn, flags) { name, &task__##in##__descriptor, &out, fn, flags }
static const struct ttrpc_method task_methods[] = {
	M("State", state_request, task__state_response__descriptor, task_state, 0),
	M("Create", create_task_request, task__create_task_response__descriptor, task_create, SHIM_BLOCKS),
	M("Start", start_request, task__start_response__descriptor, task_start, SHIM_BLOCKS),
	M("Delete", delete_request, task__delete_response__descriptor, task_delete, SHIM_BLOCKS),
	M("Pids", pids_request, task__pids_response__descriptor, task_pids, SHIM_BLOCKS),
	M("Pause", pause_request, EMPTY, task_pause, SHIM_BLOCKS),
	M("Resume", resume_request, EMPTY, task_resume, SHIM_BLOCKS),
	M("Checkpoint", checkpoint_task_request, EMPTY, task_checkpoint, 0),
	M("Kill", kill_request, EMPTY, task_kill, SHIM_BLOCKS),
	M("Exec", exec_process_request, EMPTY, task_exec, 0),
	M("ResizePty", resize_pty_request, EMPTY, task_resize, SHIM_BLOCKS),
	M("CloseIO", close_iorequest, EMPTY, task_closeio, 0),
	M("Update", update_task_request, EMPTY, task_update, SHIM_BLOCKS),
	M("Wait", wait_request, task__wait_response__descriptor, task_wait, 0),
	M("Stats", stats_request, task__stats_response__descriptor, task_stats, SHIM_BLOCKS),
	M("Connect", connect_request, task__connect_response__descriptor, task_connect, 0),
	M("Shutdown", shutdown_request, EMPTY, task_shutdown, 0),
};
_Static_assert(ARRAY_SIZE(task_methods) == 17, "all methods of the Task service");

const struct ttrpc_service task_v2_service = { "containerd.task.v2.Task", task_methods,
					       ARRAY_SIZE(task_methods) };
const struct ttrpc_service task_v3_service = { "containerd.task.v3.Task", task_methods,
					       ARRAY_SIZE(task_methods) };
