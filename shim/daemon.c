/* SPDX-License-Identifier: Apache-2.0
 * shim/daemon.c - the long-lived shim: set up, serve, end
 *
 * Model:   ends when Shutdown (or ShutdownSandbox) comes with nothing left, or by itself when it has been
 *          empty and without any connection for IDLE_MAX: a containerd that never comes back leaves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "shim/actions.h"
#include "shim/publish.h"
#include "shim/sandbox.h"
#include "shim/shim.h"
#include "shim/streams.h"

#define WORKERS_MAX    64
#define WORKER_STACK   (256u << 10)
#define WORKER_IDLE_MS 2000
#define IDLE_CHECK_NS  (15 * NSEC_PER_SEC)
#define IDLE_MAX_NS    (60 * NSEC_PER_SEC)
#define QUIT_MAX_NS    (2 * NSEC_PER_SEC) /* for events still queued at the end */
#define QUIT_STEP_NS   (20 * 1000 * 1000ull)

bool shim_empty(struct shim *sh)
{
	return list_empty(&sh->containers) && !sh->sandbox;
}

/* ---- ending ---- */

struct quit_work {
	struct ev_work w;
	struct shim *sh;
};

static void on_quit(struct ev_timer *t)
{
	struct shim *sh = container_of(t, struct shim, quit);

	if (publisher_idle(sh->pub) || evloop_now_ns() - sh->idle_since_ns > QUIT_MAX_NS)
		evloop_stop(sh->loop);
	else
		evloop_timer_set(sh->loop, t, evloop_now_ns() + QUIT_STEP_NS);
}

static void quit_work(struct ev_work *w)
{
	struct quit_work *q = container_of(w, struct quit_work, w);
	struct shim *sh = q->sh;

	free(q);
	evloop_timer_cancel(sh->loop, &sh->idle);
	sh->idle_since_ns = evloop_now_ns();
	/* nobody finds a dying shim: containerd starts a new one at once */
	if (sh->address[0])
		unlink(sh->address);
	/* not at once: a client in Go that meets the end of the connection right behind the answer may miss the answer */
	evloop_timer_set(sh->loop, &sh->quit, evloop_now_ns() + QUIT_STEP_NS);
}

void shim_shutdown(struct shim *sh)
{
	struct quit_work *q = calloc(1, sizeof(*q));

	BUG_ON(!q);
	q->w.fn = quit_work;
	q->sh = sh;
	evloop_post(sh->loop, &q->w);
}

static void on_idle_check(struct ev_timer *t)
{
	struct shim *sh = container_of(t, struct shim, idle);
	uint64_t now = evloop_now_ns();
	bool idle, end;

	pthread_mutex_lock(&sh->mu);
	idle = shim_empty(sh) && !ttrpc_server_nr_conns(sh->server);
	if (!idle)
		sh->idle_since_ns = 0;
	else if (!sh->idle_since_ns)
		sh->idle_since_ns = now;
	end = idle && now - sh->idle_since_ns > IDLE_MAX_NS;
	sh->shutting_down |= end;
	pthread_mutex_unlock(&sh->mu);
	if (end) {
		log_info("nothing to do and nobody there: ending");
		shim_shutdown(sh);
	} else {
		evloop_timer_set(sh->loop, t, now + IDLE_CHECK_NS);
	}
}

/* ---- signals ---- */

static void dump(struct shim *sh)
{
	struct container *c;
	struct process *p;

	pthread_mutex_lock(&sh->mu);
	list_for_each_entry(c, &sh->containers, node) {
		log_info("container %s: pid %d state %d%s", c->id, c->init->pid, c->init->state,
			 c->paused ? " paused" : "");
		list_for_each_entry(p, &c->execs, node)
			log_info("container %s exec %s: pid %d state %d", c->id, p->exec_id, p->pid, p->state);
	}
	pthread_mutex_unlock(&sh->mu);
}

static void on_signal(struct ev_source *src, uint32_t events)
{
	struct shim *sh = container_of(src, struct shim, signals);
	struct signalfd_siginfo si;
	bool empty;

	while (read(src->fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGUSR1) {
			dump(sh);
			continue;
		}
		pthread_mutex_lock(&sh->mu);
		empty = shim_empty(sh);
		if (empty)
			sh->shutting_down = true;
		pthread_mutex_unlock(&sh->mu);
		if (empty)
			shim_shutdown(sh);
		else
			log_warn("signal %u ignored: containers are here", si.ssi_signo);
	}
}

static int watch_signals(struct shim *sh, struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0 || evloop_add(sh->loop, &sh->signals, fd, EPOLLIN, on_signal) < 0)
		return err_sys(e, "watch signals");
	return 0;
}

/* ---- set-up ---- */

/* The bundle's fifo, which containerd copies to its own log. Held open for reading too, so that a
 * containerd that restarts does not break it; a full fifo loses lines, never blocks. */
static void open_log(bool debug)
{
	int fd = open("log", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0) {
		dup2(fd, 2);
		close(fd);
	}
	log_setup(2, LOG_FMT_TEXT, debug ? LOG_LV_DEBUG : LOG_LV_INFO, "shim");
}

/* Fast methods on the loop's thread, those that call the lifecycle library elsewhere. */
static void dispatch(void *workers, struct ttrpc_call *call)
{
	if (ttrpc_call_method(call)->flags & SHIM_BLOCKS)
		ttrpc_workers_dispatch(workers, call);
	else
		ttrpc_call_run(call);
}

static void streaming_stream(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	struct shim *sh = ttrpc_call_ctx(call);

	streams_serve(sh->streams, call);
}

static const struct ttrpc_method streaming_methods[] = {
	{ "Stream", &wkt__any__descriptor, &wkt__any__descriptor, streaming_stream,
	  TTRPC_STREAM_IN | TTRPC_STREAM_OUT },
};
const struct ttrpc_service streaming_service = { "containerd.services.streaming.v1.Streaming",
						 streaming_methods, ARRAY_SIZE(streaming_methods) };

static const struct ttrpc_service *const services[] = {
	&task_v2_service, &task_v3_service, &sandbox_service, &streaming_service,
};

static int set_up(struct shim *sh, const struct shim_args *a, struct err *e)
{
	pthread_condattr_t attr;
	int ret;

	list_init(&sh->containers);
	pthread_mutex_init(&sh->mu, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sh->changed, &attr);
	pthread_condattr_destroy(&attr);
	sh->ns = a->ns;
	sh->id = a->id;
	sh->loop = evloop_new();
	if (sh->loop) {
		sh->server = ttrpc_server_new(sh->loop, 0);
		sh->workers = ttrpc_workers_new(WORKERS_MAX, WORKER_STACK, WORKER_IDLE_MS);
		sh->streams = streams_new(sh->loop);
	}
	if (sh->workers)
		sh->pub = publisher_new(sh->loop, sh->workers, a->ttrpc_address, a->ns);
	if (!sh->server || !sh->streams || !sh->pub)
		return err_sys(e, "set up the event loop");
	ttrpc_server_set_dispatch(sh->server, dispatch, sh->workers);
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		ttrpc_server_register(sh->server, services[i], sh);
	if (watch_signals(sh, e) < 0)
		return -1;
	ret = ttrpc_server_listen(sh->server, SHIM_LISTEN_FD);
	if (ret < 0) {
		errno = -ret;
		return err_sys(e, "listen");
	}
	sh->idle.fn = on_idle_check;
	sh->quit.fn = on_quit;
	on_idle_check(&sh->idle);
	return 0;
}

static const char *listen_path(struct sockaddr_un *sa)
{
	socklen_t len = sizeof(*sa);

	memset(sa, 0, sizeof(*sa));
	if (getsockname(SHIM_LISTEN_FD, (struct sockaddr *)sa, &len) < 0 || sa->sun_family != AF_UNIX)
		return "";
	return sa->sun_path;
}

int shim_serve(const struct shim_args *a, struct err *e)
{
	static struct sockaddr_un sa; /* for the life of the process, like sh */
	static struct shim sh;

	if (!a->ns[0])
		return err_set(e, EINVAL, "shim namespace cannot be empty");
	/* a small daemon: one heap, given back early; threads are rare */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 64 << 10);
	mallopt(M_MMAP_THRESHOLD, 64 << 10);
	fcntl(SHIM_LISTEN_FD, F_SETFD, FD_CLOEXEC);
	sh.address = listen_path(&sa);
	if (!sh.address[0])
		return err_set(e, EBADF, "no listening socket on descriptor %d: use `start`", SHIM_LISTEN_FD);
	prctl(PR_SET_NAME, "containerd-shim");
	open_log(a->debug);
	if (set_up(&sh, a, e) < 0)
		return -1;
	log_debug("serving %s", sh.address);
	evloop_run(sh.loop);
	/* workers may still be at it: the process ends under them, like their callers' connections */
	return 0;
}
