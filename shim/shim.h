/* SPDX-License-Identifier: Apache-2.0
 * shim/shim.h - the daemon: containers, their processes, and who may touch what
 *
 * Model:   the loop's thread does all copying of output, sees all exits and answers the quick methods;
 *          methods that call the lifecycle library run on worker threads that come and go.
 * Locks:   container->op_mu (held across lifecycle calls that change the init process), then sh->mu
 *          (short; guards every field below that says so), then the publisher's (leaf). Exits never take
 *          op_mu: one that comes while its process is being started is kept until the start is
 *          reported (process->starting).
 * Events:  queued under sh->mu, so their order is the order of the state changes.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <pthread.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/mutex.h"
#include "runsc/lib/lifecycle.h"
#include "shim/config.h"
#include "task.pb-c.h"
#include "ttrpc.h"
#include "ttrpc_workers.h"

struct publisher;
struct stdio;
struct oom_watch;
struct portfwd;
struct sandbox;
struct streams;

struct shim {
	struct evloop *loop;
	struct ttrpc_server *server;
	struct ttrpc_workers *workers;
	struct publisher *pub;
	struct streams *streams;
	struct sandbox *sandbox;   /* of the Sandbox API; guarded by mu, NULL if none */
	const char *ns, *id;	   /* immutable; id = the group's */
	const char *address;	   /* socket path, "" if unknown; immutable */
	pthread_mutex_t mu;
	pthread_cond_t changed;	   /* an exit was seen or an output ended */
	struct list containers;	   /* guarded by mu */
	unsigned nr_ops;	   /* guarded by mu: lifecycle calls that may have children of their own */
	bool shutting_down;	   /* guarded by mu */
	struct ev_timer idle;	   /* ends a daemon that nobody wants */
	uint64_t idle_since_ns;	   /* loop's thread; 0 = not idle */
	struct ev_timer quit;	   /* last resort once shutting down */
	struct ev_source signals;
};

enum proc_state { PROC_CREATING, PROC_CREATED, PROC_RUNNING, PROC_STOPPED };

struct process {
	struct refcount refs;
	struct list node;	/* in container->execs; guarded by sh->mu */
	struct container *c;	/* a reference for execs; the container itself for init */
	char *exec_id;		/* "" = init; immutable, like the next seven */
	char *in, *out, *err;
	bool terminal;
	char *spec_json;	/* execs */
	enum proc_state state;	/* guarded by sh->mu, like all below */
	bool starting;		/* Start is under way: its exit waits for it */
	unsigned killing;	/* Kill calls under way: its exit waits for their answers */
	bool deleting;
	bool exit_seen;		/* exit_status is valid */
	bool holder_killed;	/* the host process that stands for it ended by a signal */
	bool exit_held;		/* init: reported after the last exec */
	uint32_t exit_status;
	uint64_t exited_at_ns;
	pid_t pid;		/* on the host */
	struct stdio *io;	/* owned */
	struct list waiters;	/* of struct waiter (task_wait.c) */
	struct ev_source exit;	/* pidfd; loop's thread */
	int pidfd;
};

struct container {
	struct refcount refs;
	struct shim *sh;
	struct list node;	/* in sh->containers; guarded by sh->mu */
	char *id, *bundle, *rootfs; /* immutable */
	struct lc_flags flags;	/* immutable once created */
	struct shim_config cfg;
	struct lc_container *lc; /* set before state leaves PROC_CREATING */
	pthread_mutex_t op_mu;
	struct process *init;	/* owned */
	struct list execs;	/* guarded by sh->mu */
	bool paused;		/* guarded by sh->mu */
	bool quiet;		/* its events stay inside: a sandbox; immutable */
	bool dead;		/* deleted, or never came to be; guarded by sh->mu */
	bool rootfs_mounted;	/* guarded by op_mu */
	struct oom_watch *oom;	/* loop's thread after creation */
	struct portfwd *forward; /* of a sandbox; likewise */
	struct ev_timer held;	/* limit on exit_held */
};

/* ---- container.c ---- */

/* With a reference each, or NULL. */
struct container *container_find(struct shim *sh, const char *id);
struct process *process_find(struct container *c, const char *exec_id);
struct container *container_new(struct shim *sh, const char *id, const char *bundle);
struct process *process_new(struct container *c, const char *exec_id, const char *in, const char *out,
			    const char *err, bool terminal);
void container_put(struct container *c);
void process_get(struct process *p);
void process_put(struct process *p);
/* "exec" processes that run (or are being started). With sh->mu. */
unsigned container_live_execs(struct container *c);

/* Around lifecycle calls that fork: while any runs, nobody reaps strangers. */
void shim_op_begin(struct shim *sh);
void shim_op_end(struct shim *sh);

/* What a lifecycle error means to containerd. Ends the call. */
void task_fail(struct ttrpc_call *call, const struct err *e);
/* The container (and process, if @out_p) that a request names, with references; otherwise the call is
 * ended with NOT_FOUND and false returned. */
bool task_lookup(struct ttrpc_call *call, const char *id, const char *exec_id, struct container **out_c,
		 struct process **out_p);

/* ---- exit.c ---- */

/* Watches p->pid, a child. Return: 0 or -1 with @e. */
int process_watch(struct process *p, struct err *e);
/* Reaps another child of ours once it has ended; nobody is told. */
void child_reap_later(struct shim *sh, pid_t pid);
/* With sh->mu, after p->starting was cleared or p->killing counted down: reports an exit that had to wait. Releases and retakes mu. */
void process_started_locked(struct process *p);

/* ---- task services ---- */

#define SHIM_BLOCKS 0x100u /* in ttrpc_method.flags: runs on a worker */

extern const struct ttrpc_service task_v2_service, task_v3_service;
extern const struct ttrpc_service sandbox_service, streaming_service;

void task_create(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_start(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_exec(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_delete(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_kill(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_pause(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_resume(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_update(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_resize(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_closeio(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_checkpoint(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_state(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_pids(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_stats(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_wait(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_connect(struct ttrpc_call *call, const ProtobufCMessage *req);
void task_shutdown(struct ttrpc_call *call, const ProtobufCMessage *req);

/* publish() unless the container is quiet. */
void container_publish(struct container *c, const char *topic, const char *type,
		       const ProtobufCMessage *event);
/* Answers with the exit of a process once there is one. */
void task_wait_for(struct ttrpc_call *call, const char *id, const char *exec_id);
/* Answers everybody who waits for @p. Without sh->mu. */
void task_wake_waiters(struct process *p);

/* Makes, and undoes (init stopped or never started), one container; shared by the Task service and
 * the Sandbox service. @r borrowed. Return: 0, or -1 with @e. */
int container_create(struct shim *sh, const Task__CreateTaskRequest *r, bool quiet, struct container **out,
		     struct err *e);
int container_start(struct container *c, struct err *e);
int container_delete(struct container *c, struct err *e);

/* ---- daemon.c ---- */

/* Ends the daemon once what is queued has been sent. Any thread. */
void shim_shutdown(struct shim *sh);
/* True when neither container nor sandbox is left. With sh->mu. */
bool shim_empty(struct shim *sh);

#endif
