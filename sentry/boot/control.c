/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/control.c - the control server: runsc and the shim ask, containers answer
 *
 * Model:   the main thread runs the ttrpc loop; each request becomes a kthread, because kernel functions sleep. A Wait that
 *          lasts for hours costs a kernel stack.
 * Trust:   the caller is the host's root, over a socket that only it can reach.
 * Source:  proto/control.proto.
 */
#include <string.h>
#include <time.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/run/budget.h"
#include "sentry/net/link.h"
#include "sentry/net/net.h"
#include "sentry/socket/socket.h"
#include "sentry/task/ns.h"

#define PB(name) runsc__control__v1__##name

#define STATS_LINKS_MAX 64

static _Atomic bool exiting;
static _Atomic int nr_calls; /* requests whose answer is not out yet, endless Waits included */

int boot_fd_take(struct boot_fds *f, Runsc__Control__V1__FdRole role)
{
	for (size_t i = 0; i < f->nr; i++) {
		int fd = f->roles[i] == role ? ttrpc_call_take_fd(f->call, i) : -1;

		if (fd >= 0)
			return fd;
	}
	return -1;
}

static void reply_or_fail(struct ttrpc_call *call, long ret, const char *what)
{
	if (!ret)
		ttrpc_reply(call, NULL);
	else if (ret == -LINUX_ESRCH)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "%s: no such process", what);
	else
		ttrpc_fail(call, ttrpc_code_from_errno((int)-ret), "%s: %s", what, strerror((int)-ret));
}

static struct container *find_or_fail(struct ttrpc_call *call, const char *id)
{
	struct container *c = container_find(id);

	if (!c)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s does not exist", id);
	return c;
}

/* ---- one function per method ---------------------------------------------------------------------------------- */

/* Methods that are one kernel function on one container. */
static void container_call(struct ttrpc_call *call, const ProtobufCMessage *m, long (*fn)(struct container *), const char *what)
{
	struct container *c = find_or_fail(call, ((const Runsc__Control__V1__ContainerRequest *)m)->id);

	if (!c)
		return;
	reply_or_fail(call, fn(c), what);
	container_put(c);
}

static long start_and_watch(struct container *c)
{
	long ret = container_start(c);

	if (!ret)
		boot_container_started(c);
	return ret;
}

static void h_start(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	container_call(call, m, start_and_watch, "start");
}

static void h_pause(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	container_call(call, m, container_pause, "pause");
}

static void h_resume(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	container_call(call, m, container_resume, "resume");
}

static void h_destroy(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	boot_record_drop(((const Runsc__Control__V1__ContainerRequest *)m)->id);
	container_call(call, m, container_destroy, "destroy");
}

static void h_create(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	boot_create_container(call, (const Runsc__Control__V1__CreateContainerRequest *)m);
}

static void h_exec(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	boot_exec(call, (const Runsc__Control__V1__ExecRequest *)m);
}

static void h_wait(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const Runsc__Control__V1__WaitRequest *q = (const Runsc__Control__V1__WaitRequest *)m;
	Runsc__Control__V1__WaitResponse r;
	struct container *c = find_or_fail(call, q->id);
	struct process_end end;
	long ret;

	if (!c)
		return;
	PB(wait_response__init)(&r);
	ret = container_wait_process(c, q->exec_id, (uint32_t)q->pid, &end);
	if (ret) {
		reply_or_fail(call, ret, "wait");
	} else {
		r.wait_status = (uint32_t)end.status;
		r.exited_at_ns = end.at_ns;
		r.oom_killed = c->oom_killed;
		ttrpc_reply(call, &r.base);
	}
	container_put(c);
}

static void h_signal(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const Runsc__Control__V1__SignalRequest *q = (const Runsc__Control__V1__SignalRequest *)m;
	struct container *c = find_or_fail(call, q->id);

	if (!c)
		return;
	reply_or_fail(call, container_signal_process(c, q->exec_id, q->pid, (int)q->signo, q->all, q->foreground), "signal");
	container_put(c);
}

/* The answer to Processes while it grows. */
struct proc_list {
	Runsc__Control__V1__ProcessInfo **v;
	size_t nr, cap;
	bool failed;
};

static bool proc_room(struct proc_list *l)
{
	size_t cap = l->cap ? l->cap * 2 : 16;
	void *v;

	if (l->nr < l->cap)
		return true;
	v = realloc(l->v, cap * sizeof(*l->v));
	if (!v)
		return false;
	l->v = v;
	l->cap = cap;
	return true;
}

/* A moment of the monotonic clock on the wall clock, as both read now. */
static uint64_t wall_ns(uint64_t monotonic)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec - (now_ns() - monotonic);
}

static void proc_add(const struct proc_info *p, void *arg)
{
	struct proc_list *l = arg;
	Runsc__Control__V1__ProcessInfo *i = proc_room(l) ? malloc(sizeof(*i)) : NULL;

	if (!i) {
		l->failed = true;
		return;
	}
	PB(process_info__init)(i);
	i->pid = (int32_t)p->pid;
	i->ppid = (int32_t)p->ppid;
	i->uid = p->uid;
	i->threads = p->tid_count;
	i->cpu_ns = p->utime_ns + p->stime_ns;
	i->start_ns = wall_ns(p->start_ns);
	i->host_pid = p->host_pid;
	i->command = strdup(p->cmd[0] ? p->cmd : p->comm);
	i->exec_id = strdup(p->exec_id);
	i->tty = strdup(p->tty[0] ? p->tty : "?");
	l->v[l->nr++] = i;
	if (!i->command || !i->exec_id || !i->tty)
		l->failed = true;
}

static void h_processes(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	struct container *c = find_or_fail(call, ((const Runsc__Control__V1__ContainerRequest *)m)->id);
	Runsc__Control__V1__ProcessesResponse r;
	struct proc_list l = { 0 };

	if (!c)
		return;
	PB(processes_response__init)(&r);
	container_processes(c, proc_add, &l);
	container_put(c);
	r.n_processes = l.nr;
	r.processes = l.v;
	if (l.failed)
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "processes: out of memory");
	else
		ttrpc_reply(call, &r.base);
	for (size_t i = 0; i < l.nr; i++) {
		free(l.v[i]->command);
		free(l.v[i]->exec_id);
		free(l.v[i]->tty);
		free(l.v[i]);
	}
	free(l.v);
}

static void add_cpu(const struct proc_info *p, void *arg)
{
	Runsc__Control__V1__StatsResponse *r = arg;

	r->cpu_user_ns += p->utime_ns;
	r->cpu_system_ns += p->stime_ns;
	r->nr_tasks += p->tid_count;
}

/* Links of the sandbox's network. The first container's: that is whom figures of the pod's network are asked for. */
struct link_list {
	Runsc__Control__V1__LinkStats *v[STATS_LINKS_MAX];
	size_t n;
};

static int add_link(struct net_link *l, void *arg)
{
	Runsc__Control__V1__LinkStats *s;
	struct link_list *list = arg;

	if (list->n == STATS_LINKS_MAX || atomic_load(&l->flags) & NET_IFF_LOOPBACK)
		return 0;
	s = malloc(sizeof(*s) + sizeof(l->name));
	if (!s)
		return 0;
	PB(link_stats__init)(s);
	s->name = memcpy(s + 1, l->name, sizeof(l->name));
#define FIELD(f) s->f = atomic_load_explicit(&l->stats.f, memory_order_relaxed)
	FIELD(rx_bytes);
	FIELD(rx_packets);
	FIELD(rx_errors);
	FIELD(rx_dropped);
	FIELD(tx_bytes);
	FIELD(tx_packets);
	FIELD(tx_errors);
	FIELD(tx_dropped);
#undef FIELD
	list->v[list->n++] = s;
	return 0;
}

static void h_stats(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	struct container *c = find_or_fail(call, ((const Runsc__Control__V1__ContainerRequest *)m)->id);
	struct link_list links = { .n = 0 };
	Runsc__Control__V1__StatsResponse r;

	if (!c)
		return;
	PB(stats_response__init)(&r);
	container_processes(c, add_cpu, &r);
	if (c->ns->net->stack)
		net_link_each(c->ns->net->stack, add_link, &links);
	r.memory_bytes = budget_use(c->budget, BUDGET_HEAP).used + budget_use(c->budget, BUDGET_TMPFS).used * 4096;
	container_put(c);
	r.links = links.v;
	r.n_links = links.n;
	ttrpc_reply(call, &r.base);
	for (size_t i = 0; i < links.n; i++)
		free(links.v[i]);
}

static void h_update(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const Runsc__Control__V1__UpdateRequest *q = (const Runsc__Control__V1__UpdateRequest *)m;
	struct container *c = find_or_fail(call, q->id);

	if (!c)
		return;
	reply_or_fail(call, boot_limits_set(c, q->resources), "update");
	container_put(c);
}

static void h_resize(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const Runsc__Control__V1__ResizeTtyRequest *q = (const Runsc__Control__V1__ResizeTtyRequest *)m;
	const struct linux_winsize w = { .row = (uint16_t)q->rows, .col = (uint16_t)q->cols };
	struct container *c = find_or_fail(call, q->id);
	struct tty *tty;

	if (!c)
		return;
	tty = container_tty(c, q->exec_id);
	if (tty)
		tty_set_winsize(tty, &w);
	reply_or_fail(call, tty ? 0 : -LINUX_ENOTTY, "resize");
	container_put(c);
}

static void h_set_network(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	boot_set_network(call, (const Runsc__Control__V1__SetNetworkRequest *)m);
}

static void h_port_forward(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	boot_port_forward(call, (const Runsc__Control__V1__PortForwardRequest *)m);
}

static void h_debug(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	boot_debug(call, (const Runsc__Control__V1__DebugRequest *)m);
}

static void h_shutdown(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	ttrpc_reply(call, NULL);
	control_exit(0);
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

#define METHOD(n, in, out, fn)                                                                     \
	{ .name = n, .req = &PB(in##__descriptor), .resp = &PB(out##__descriptor), .handler = fn }

static const struct ttrpc_method methods[] = {
	METHOD("CreateContainer", create_container_request, create_container_response, h_create),
	METHOD("StartContainer", container_request, empty, h_start),
	METHOD("Exec", exec_request, exec_response, h_exec),
	METHOD("Wait", wait_request, wait_response, h_wait),
	METHOD("Signal", signal_request, empty, h_signal),
	METHOD("Pause", container_request, empty, h_pause),
	METHOD("Resume", container_request, empty, h_resume),
	METHOD("Processes", container_request, processes_response, h_processes),
	METHOD("Update", update_request, empty, h_update),
	METHOD("Stats", container_request, stats_response, h_stats),
	METHOD("DestroyContainer", container_request, empty, h_destroy),
	METHOD("ResizeTty", resize_tty_request, empty, h_resize),
	METHOD("Debug", debug_request, debug_response, h_debug),
	METHOD("SetNetwork", set_network_request, empty, h_set_network),
	METHOD("PortForward", port_forward_request, empty, h_port_forward),
	METHOD("Shutdown", empty, empty, h_shutdown),
};

static const struct ttrpc_service service = {
	.name = "runsc.control.v1.Sentry",
	.methods = methods,
	.nr_methods = ARRAY_SIZE(methods),
};

static void run_call(void *arg)
{
	ttrpc_call_run(arg);
	atomic_fetch_sub(&nr_calls, 1);
}

static void dispatch(void *arg, struct ttrpc_call *call)
{
	atomic_fetch_add(&nr_calls, 1);
	if (kthread_start(run_call, call, "control"))
		return;
	atomic_fetch_sub(&nr_calls, 1);
	ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory for another request");
}

#define OUTPUT_STALL_MS 10000 /* nobody reads the terminal: as long as the shim waits for output */
#define EXIT_GRACE_MS 200 /* for answers that are being written when the sandbox ends */

/* What programs wrote to a terminal goes out as long as somebody reads it. */
static void await_output(void)
{
	uint64_t taken, before = 0;

	for (int stalled = 0; stalled < OUTPUT_STALL_MS && console_output_pending(&taken) > 0; stalled++) {
		if (taken != before)
			stalled = 0;
		before = taken;
		usleep(1000);
	}
}

void control_exit(int status)
{
	await_output();
	if (!atomic_exchange(&exiting, true))
		for (int i = 0; i < EXIT_GRACE_MS && atomic_load(&nr_calls) > 0; i++)
			usleep(1000);
	log_info("sandbox ends");
	_exit(status);
}

void control_serve(const struct boot_args *a)
{
	struct evloop *loop = evloop_new();
	struct ttrpc_server *s = loop ? ttrpc_server_new(loop, TTRPC_FDS) : NULL;
	int ret = s ? ttrpc_server_register(s, &service, NULL) : -LINUX_ENOMEM;

	boot_ends_init(a->id);
	boot_debug_init(a);
	if (!ret) {
		ttrpc_server_set_dispatch(s, dispatch, NULL);
		ret = ttrpc_server_listen(s, BOOT_FD_CONTROL);
	}
	if (!ret && !a->no_confine)
		ret = confine(a);
	if (ret) {
		log_error("control server: %s", strerror(-ret));
		_exit(128);
	}
	if (host_call(write, BOOT_FD_SYNC, "", 1) < 0)
		log_debug("nobody waits for the start");
	host_call(close, BOOT_FD_SYNC);
	evloop_run(loop);
	_exit(0);
}
