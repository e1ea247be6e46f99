/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/lifecycle.h - the life of sandboxes and containers, for runsc and the shim
 *
 * Model:   a container is a directory <root>/<id>/ (state.json, config.json, for the first of a sandbox
 *          control.sock) and some processes: one Sentry per sandbox; per container a gofer, whose pid is
 *          the container's pid and which exits with the container's status, and a zygote; per exec a keeper
 *          with the same habit. All of them are children of the process that called lc_create()/lc_exec():
 *          that process, or its subreaper, reaps them. Calls here reap only what they themselves kill
 *          (their own error paths, lc_delete()), and take it well when somebody else was faster.
 *          To learn of an exit: waitpid(2)/pidfd on the pid when it is your child, else lc_wait().
 * Threads: every call may be made from any thread; two calls on the same struct lc_container may run at once
 *          (operations that change state serialise on a flock(2) of the directory). No call leaves a changed
 *          signal mask, working directory, namespace or credential behind.
 * Errors:  0 or -1 with @e filled, one sentence for humans. e->code tells: ENOENT no such container
 *          ("container does not exist"), EEXIST id taken, ESRCH process gone ("container not running"),
 *          EBUSY wrong state (delete of a running one), EINVAL bad input (config.json, id, option),
 *          LC_E_NOEXEC_* the program cannot be run.
 * Fds:     descriptors in arguments are borrowed (duplicated as needed) unless a comment says moved.
 */
#ifndef RUNSC_LIB_LIFECYCLE_H
#define RUNSC_LIB_LIFECYCLE_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"

#define LC_ID_MAX 255	   /* bytes of a container id: it is a file name */
#define LC_STATE_DIR "runsc"

/* ---- flags: the global options of runsc, TOML runsc_config of the shim, dev.gvisor.flag.* ------------------- */

enum lc_network { LC_NET_SANDBOX, LC_NET_NONE, LC_NET_HOST };
enum lc_overlay { LC_OVERLAY_NONE, LC_OVERLAY_MEMORY, LC_OVERLAY_SELF };

/* One process's idea of the flags. Plain data; strings are owned. */
struct lc_flags {
	char *root;		/* state directory, absolute */
	bool root_in_tmp;	/* it is the last resort of a user without a session, where others can be first: lc_root_own() */
	char *log;		/* --log: errors for the caller, appended */
	char *log_format;	/* text, json */
	char *user_log;		/* what a sandbox has to say to the user of its containers: file; NULL = nowhere */
	char *debug_log;	/* Sentry's and gofer's log: file, or directory with a trailing '/' */
	char *runsc_path;	/* the binary executed for boot, gofer, zygote, keeper; NULL = found (lc_find_runsc) */
	char *overlay2;		/* as written; decoded in the next three */
	enum lc_overlay overlay_root, overlay_mounts;
	uint64_t overlay_size_bytes;
	char *network;
	enum lc_network net;
	char *file_access, *file_access_mounts; /* exclusive, shared */
	char *host_uds, *host_fifo;
	char *platform;
	char *cni_conf;		/* conflist that `run`, `create` call themselves; NULL = the caller did */
	char *cni_bin;
	bool debug, systemd_cgroup, ignore_cgroups, strace, oci_seccomp, net_raw, allow_flag_override;
	bool pod_log;		/* a pod's user log goes where the kubelet keeps its logs (the shim) */
	bool net_as_spec;	/* network was not set: a spec without network namespace means the host's (the shim) */
	bool no_patching;	/* systrap-disable-syscall-patching */
	bool no_poll;		/* systrap-disable-fast-path */
	int rootless;		/* -1 auto, 0, 1 */
	char *strace_syscalls;
	char *metric_server;	/* address, for `metric-server` */
	uint64_t strace_log_size; /* bytes shown of a buffer, 0 = default */
	char **extra;		/* NULL-terminated "--name=value" of accepted flags without effect here */
	size_t nr_extra;
};

int lc_flags_init(struct lc_flags *f, struct err *e);
/* Before the state directory is used, by a program that did not set it: with root_in_tmp it is made, and must be ours. EPERM. */
int lc_root_own(const struct lc_flags *f, struct err *e);
void lc_flags_fini(struct lc_flags *f);
/* Sets one flag by name (without dashes); @value NULL = "true" for booleans. EINVAL unknown or bad value. */
int lc_flag_set(struct lc_flags *f, const char *name, const char *value, struct err *e);
/* The same for an annotation: only the safe ones unless allow_flag_override. */
int lc_flag_override(struct lc_flags *f, const char *name, const char *value, struct err *e);
/* 1 when @name takes no separate value word, else 0; -1 when unknown. */
int lc_flag_is_bool(const char *name);
/* Deep copy; @out is not initialised before. */
int lc_flags_copy(struct lc_flags *out, const struct lc_flags *in, struct err *e);
/* Names of all flags, or of those that annotations may not set; how many were written. */
size_t lc_flag_names(const char **out, size_t cap, bool unsafe_only);

/* ---- containers ---------------------------------------------------------------------------------------- */

struct lc_container; /* one reference, freed by lc_free() */

enum lc_status { LC_CREATING, LC_CREATED, LC_RUNNING, LC_PAUSED, LC_STOPPED };
const char *lc_status_name(enum lc_status s); /* "creating", "created", ... */

/* e->code of lc_create() and lc_exec() when the program cannot be run; Docker and Podman map the texts that
 * go with them to 127 and 126. */
enum { LC_E_NOEXEC_ENOENT = 10001, LC_E_NOEXEC_EACCES, LC_E_NOEXEC_OTHER };

struct lc_create_args {
	const char *id;
	const char *bundle;	    /* directory with config.json; relative to the caller's cwd is fine */
	const char *console_socket; /* NULL = none; the pty master is sent there */
	const char *pid_file;	    /* NULL = none; written last, atomically */
	const char *user_log;	    /* NULL = that of the flags */
	const char *config_json;    /* NULL = read <bundle>/config.json; else this text is used */
	int stdio[3];		    /* for a process without terminal; -1 = /dev/null */
	const int *pass_fds;	    /* further descriptors */
	const int *pass_as;	    /* and their numbers inside, from 3 on; NULL = 3, 4, ... */
	size_t nr_pass_fds;
	unsigned listen_fds;	    /* not 0: the program is told of this many as $LISTEN_FDS */
	uint16_t rows, cols;	    /* initial size of the terminal, 0 = from the spec */
	bool attached;		    /* the sandbox dies with the calling thread (foreground run of a first container) */
	/* out: pty master for the caller when the spec wants a terminal and console_socket is NULL; moved. -1 else. */
	int out_console;
};

/**
 * lc_create() - make a container that is ready to start
 * @f:		flags; annotations of the spec may override some for this container
 * @a:		what to create; a->out_console is written
 * @out:	the container, owned by the caller
 *
 * A spec with container type "container" and a sandbox id (F.4 annotations) joins that sandbox, anything
 * else starts one. On failure nothing is left: no process, cgroup, directory, mount.
 */
int lc_create(const struct lc_flags *f, struct lc_create_args *a, struct lc_container **out, struct err *e);

/* Opens what an earlier lc_create(), possibly of another process, has made. ENOENT if there is none. */
int lc_load(const struct lc_flags *f, const char *id, struct lc_container **out, struct err *e);
void lc_free(struct lc_container *c); /* closes; the container goes on living */

const char *lc_id(const struct lc_container *c);
const char *lc_sandbox_id(const struct lc_container *c);
const char *lc_bundle(const struct lc_container *c);
pid_t lc_pid(const struct lc_container *c);	     /* the gofer's: the container's host-visible init */
pid_t lc_sandbox_pid(const struct lc_container *c);  /* the Sentry's */
/* The zygote's; 0 if none. Whoever is its parent reaps it at once: the Sentry's own end waits for that. */
pid_t lc_zygote_pid(const struct lc_container *c);
bool lc_has_terminal(const struct lc_container *c);
/* Path of the network namespace whose interfaces its sandbox's own stack has taken over; NULL if none was given. */
const char *lc_netns(const struct lc_container *c);
/* True when its processes live among those of other containers: they outlive init then. */
bool lc_shares_pid_ns(const struct lc_container *c);
/* Value of an annotation of the spec, or NULL; borrowed. */
const char *lc_annotation(const struct lc_container *c, const char *key);
/* Looks at the state file and at the processes; LC_STOPPED when init is gone. */
enum lc_status lc_status(struct lc_container *c);

int lc_start(struct lc_container *c, struct err *e);

struct lc_exec_args {
	const char *exec_id;	     /* NULL = a fresh one is made */
	const char *process_json;    /* OCI Process; NULL = the container's own process with the changes below */
	char *const *argv;	     /* without process_json: NULL-terminated, required */
	const char *program;	     /* what to run when it is not argv[0] */
	char *const *env;	     /* added or replaced, "K=V" */
	bool env_only;		     /* the container's own environment is left out */
	const char *cwd;
	const char *user;	     /* "uid[:gid]" */
	const char *additional_gids; /* "1,2,3" */
	const char *const *caps;     /* NULL-terminated, added to every set but the inheritable */
	bool no_new_privs;	     /* set, whatever else says not */
	bool ignore_paused;	     /* in a paused container too: it runs when that is resumed */
	int tty;		     /* 1 wanted, 0 not, -1 as process_json says */
	const char *console_socket, *pid_file;
	int stdio[3];
	const int *pass_fds, *pass_as;
	size_t nr_pass_fds;
	uint16_t rows, cols;
	bool no_keeper;		     /* no host process for it: out.pid stays 0, out.chan tells of its end */
	int out_console;	     /* as in lc_create_args */
};

struct lc_exec {
	char exec_id[80];
	pid_t pid;	 /* the keeper's, on the host; exits with the process's status */
	pid_t inner_pid; /* in the container's pid namespace */
	int chan;	 /* no_keeper: SEQPACKET socket, the caller's. Readable when the process has ended: a struct
			  * lc_chan_msg of type LC_CHAN_EXIT, or end of file when the sandbox was killed. -1 else */
};

/* Messages of an init channel: see gofer/init.h for the other end. */
struct lc_chan_msg {
	uint32_t type, value;
};
enum { LC_CHAN_EXIT = 1, LC_CHAN_WINCH = 2, LC_CHAN_SIGNAL = 3 };
/* Reads the end of a process from its channel: 0..255, 128 + signal, 137 when the channel broke. Blocks. */
int lc_chan_exit(int chan);

/* Starts a process in a running container. ESRCH when it does not run; LC_E_NOEXEC_* as lc_create(). */
int lc_exec(struct lc_container *c, struct lc_exec_args *a, struct lc_exec *out, struct err *e);

/* Everything below takes exec_id NULL or "" for the container's init. */

struct lc_exit {
	int status;	  /* 0..255, or 128 + signal */
	uint64_t at_ns;	  /* wall clock; 0 = not known */
	bool oom_killed;
};

/* Blocks until the process has ended; 137 when the whole sandbox was killed. @inner_pid 0 = use exec_id. */
int lc_wait(struct lc_container *c, const char *exec_id, pid_t inner_pid, struct lc_exit *out, struct err *e);

/* Notes the status of a container that its parent reaped, so that a later lc_wait() can tell it. */
int lc_record_exit(struct lc_container *c, int status, struct err *e);

enum lc_signal_scope { LC_SIG_PROCESS, LC_SIG_ALL, LC_SIG_FOREGROUND };
/* ESRCH ("container not running", "process already finished") when there is nobody to get it. */
int lc_signal(struct lc_container *c, const char *exec_id, int signo, enum lc_signal_scope scope, struct err *e);
int lc_signal_pid(struct lc_container *c, pid_t inner_pid, int signo, struct err *e);

int lc_pause(struct lc_container *c, struct err *e);
int lc_resume(struct lc_container *c, struct err *e);
int lc_resize(struct lc_container *c, const char *exec_id, uint16_t rows, uint16_t cols, struct err *e);
int lc_close_stdin(struct lc_container *c, const char *exec_id, struct err *e);

/* After the end of a container: kills and reaps its gofer and zygote as far as they are children of the caller. Takes no lock, and
 * comes before lc_delete() in a caller that is their parent: a delete elsewhere, which has the lock, waits for them. */
void lc_reap(struct lc_container *c);

/* Frees everything; @c stays valid for lc_free() only. Without @force only a stopped container can go (EBUSY). */
int lc_delete(struct lc_container *c, bool force, struct err *e);
/* The same by id, for what lc_load() may not be able to read any more. Unknown id: ENOENT; 0 with @force. */
int lc_delete_id(const struct lc_flags *f, const char *id, bool force, struct err *e);

/* OCI state with runc's extras, one JSON object and a newline. */
int lc_state_json(struct lc_container *c, struct buf *out, struct err *e);

/* Host pids of the container's processes, as host tools show them; lc_pid() where there are none yet. malloc'ed. */
int lc_host_pids(struct lc_container *c, pid_t **out, size_t *nr, struct err *e);

struct lc_process {
	pid_t pid, ppid;	/* inside */
	uid_t uid;
	uint32_t threads;
	char tty[16];
	uint64_t start_ns, cpu_ns;
	char *command;
	char exec_id[80];
};
int lc_processes(struct lc_container *c, struct lc_process **out, size_t *nr, struct err *e);
void lc_processes_free(struct lc_process *p, size_t nr);

struct lc_stats {
	uint64_t cpu_total_ns, cpu_user_ns, cpu_system_ns;
	uint64_t cpu_periods, cpu_throttled_periods, cpu_throttled_ns;
	uint64_t mem_usage, mem_max_usage, mem_limit, mem_failcnt, mem_cache, mem_rss, mem_inactive_file;
	uint64_t mem_active_file, mem_pgfault, mem_pgmajfault, mem_oom_kill;
	uint64_t swap_usage, swap_limit;
	uint64_t pids_current, pids_limit; /* 0 = no limit */
	uint64_t blkio_read_bytes, blkio_write_bytes, blkio_reads, blkio_writes;
	bool cgroup_v2;
	struct lc_link_stats {
		char name[16];
		uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
		uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
	} *links;
	size_t nr_links;
};
/* Host cgroup figures with the Sentry's own added; lc_stats_fini() frees. */
int lc_stats(struct lc_container *c, struct lc_stats *out, struct err *e);
void lc_stats_fini(struct lc_stats *s);
/* runc's `events --stats` object, one line. */
int lc_stats_json(struct lc_container *c, struct buf *out, struct err *e);

/* @resources_json: an OCI LinuxResources object; zero and absent values stay as they are. */
int lc_update(struct lc_container *c, const char *resources_json, struct err *e);

/* Connects @stream_fd (duplicated) to 127.0.0.1:@port inside. */
int lc_port_forward(struct lc_container *c, uint16_t port, int stream_fd, struct err *e);
/* The Sentry's text about itself: what = "dmesg", "counters", "syscalls", "tasks", "metrics"; NULL = the first four. */
int lc_debug(struct lc_container *c, const char *what, struct buf *out, struct err *e);
/* Changes what the Sentry logs: each 1 on, -1 off, 0 leave; @calls with @strace 1: names with commas, NULL = all. */
int lc_debug_set(struct lc_container *c, int strace, const char *calls, int debug_log, struct err *e);

/* ---- metrics (metrics.c) ----------------------------------------------------------------------------------- */

/* Appends one sandbox's metrics as Prometheus text, names with @prefix, each sample with its sandbox's label; the host's figures of
 * its containers are among them. Several sandboxes' texts may follow each other: metrics_merge() makes them one exposition. */
int lc_metrics(struct lc_container *sandbox, const char *prefix, struct buf *out, struct err *e);
/* Metrics of all running sandboxes below f->root as one exposition: samples of one name together, its HELP and TYPE once. */
int lc_metrics_all(const struct lc_flags *f, const char *prefix, struct buf *out, struct err *e);

/* Paths of the container's host cgroup for callers that watch it (OOM): v2 directory, or the v1 memory one; NULL if none. */
const char *lc_cgroup_dir(const struct lc_container *c, const char *v1_controller);
bool lc_cgroup_is_v2(const struct lc_container *c);

/* Every container below @f->root, in the order of the directory; broken ones come as (id, NULL). Stops when @fn returns non-zero. */
int lc_list(const struct lc_flags *f, int (*fn)(const char *id, struct lc_container *c, void *arg), void *arg,
	    struct err *e);

/* 0, or EINVAL with the sentence that runc's users know. */
int lc_id_check(const char *id, struct err *e);
/* A signal's number from "9", "KILL", "SIGKILL", "RTMIN+3"; -1 when it is none. */
int lc_signal_number(const char *s);
/* The runsc binary to execute: f->runsc_path, $PATH, beside /proc/self/exe; malloc'ed, NULL with @e. */
char *lc_find_runsc(const struct lc_flags *f, struct err *e);

#endif
