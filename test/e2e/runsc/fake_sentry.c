/* SPDX-License-Identifier: Apache-2.0
 * test/e2e/runsc/fake_sentry.c - the control protocol without a kernel, to test the host side by itself
 *
 * Model:   linked instead of the Sentry into build/rel/runsc-fake. A "program" is a word that says how it behaves: "exit N" ends
 *          at start with N, "sleep" stays until a signal ends it, "missing" cannot be found, "die" takes the sandbox
 *          with it at create. One thread, one loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "control.pb-c.h"
#include "mains.h"
#include "ttrpc.h"

#define PB(x) Runsc__Control__V1__##x
#define METHOD(n, in, out, fn)                                                                     \
	{ .name = n, .req = &runsc__control__v1__##in##__descriptor, .resp = &runsc__control__v1__##out##__descriptor, \
	  .handler = fn }
#define PROCS_MAX 64

struct fake {
	char id[256], exec_id[80], behaviour[64];
	int arg, chan, gofer, zygote, out, status;
	bool used, running, ended;
	struct ttrpc_call *waiters[8];
	size_t nr_waiters;
};

static struct fake procs[PROCS_MAX];

static struct fake *find(const char *id, const char *exec_id)
{
	for (size_t i = 0; i < PROCS_MAX; i++)
		if (procs[i].used && !strcmp(procs[i].id, id) && !strcmp(procs[i].exec_id, exec_id))
			return &procs[i];
	return NULL;
}

static struct fake *add(const char *id, const char *exec_id, const PB(Process) *p, struct ttrpc_call *c,
			const PB(FdRole) *roles, size_t nr)
{
	for (size_t i = 0; i < PROCS_MAX; i++) {
		struct fake *f = &procs[i];

		if (f->used)
			continue;
		*f = (struct fake){ .used = true, .chan = -1, .gofer = -1, .zygote = -1, .out = -1 };
		snprintf(f->id, sizeof(f->id), "%s", id);
		snprintf(f->exec_id, sizeof(f->exec_id), "%s", exec_id);
		snprintf(f->behaviour, sizeof(f->behaviour), "%s", p->argv[0]);
		f->arg = p->n_argv > 1 ? atoi(p->argv[1]) : 0;
		for (size_t k = 0; k < nr; k++) {
			int *to = roles[k] == RUNSC__CONTROL__V1__FD_ROLE__FD_INIT    ? &f->chan :
				  roles[k] == RUNSC__CONTROL__V1__FD_ROLE__FD_GOFER   ? &f->gofer :
				  roles[k] == RUNSC__CONTROL__V1__FD_ROLE__FD_ZYGOTE  ? &f->zygote :
				  roles[k] == RUNSC__CONTROL__V1__FD_ROLE__FD_STDOUT  ? &f->out :
				  roles[k] == RUNSC__CONTROL__V1__FD_ROLE__FD_CONSOLE ? &f->out :
											NULL;
			if (to)
				*to = ttrpc_call_take_fd(c, k);
		}
		return f;
	}
	return NULL;
}

static void end(struct fake *f, int status)
{
	uint32_t m[2] = { 1, (uint32_t)status };

	if (f->ended)
		return;
	f->ended = true;
	f->running = false;
	f->status = status;
	if (f->chan >= 0 && send(f->chan, m, sizeof(m), MSG_NOSIGNAL) < 0)
		errno = 0;
	for (size_t i = 0; i < f->nr_waiters; i++) {
		PB(WaitResponse) r = RUNSC__CONTROL__V1__WAIT_RESPONSE__INIT;

		r.wait_status = (uint32_t)status;
		ttrpc_reply(f->waiters[i], &r.base);
	}
	f->nr_waiters = 0;
}

static void go(struct fake *f)
{
	static const char said[] = "fake: running\n";

	f->running = true;
	if (f->out >= 0 && write(f->out, said, sizeof(said) - 1) < 0)
		errno = 0;
	if (!strcmp(f->behaviour, "exit"))
		end(f, f->arg << 8);
}

static void h_create(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	const PB(CreateContainerRequest) *q = (const void *)m;
	PB(CreateContainerResponse) r = RUNSC__CONTROL__V1__CREATE_CONTAINER_RESPONSE__INIT;

	if (!strcmp(q->process->argv[0], "die"))
		_exit(9);
	if (!strcmp(q->process->argv[0], "missing"))
		r.exec_errno = ENOENT;
	else if (!strcmp(q->process->argv[0], "denied"))
		r.exec_errno = EACCES;
	else
		add(q->id, "", q->process, c, q->fds, q->n_fds);
	ttrpc_reply(c, &r.base);
}

static void h_start(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	struct fake *f = find(((const PB(ContainerRequest) *)m)->id, "");

	if (!f || f->running || f->ended) {
		ttrpc_fail(c, f ? TTRPC_FAILED_PRECONDITION : TTRPC_NOT_FOUND, "cannot start");
		return;
	}
	ttrpc_reply(c, NULL);
	go(f);
}

static void h_exec(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	const PB(ExecRequest) *q = (const void *)m;
	PB(ExecResponse) r = RUNSC__CONTROL__V1__EXEC_RESPONSE__INIT;
	struct fake *f = NULL;

	r.exec_id = q->exec_id;
	r.pid = 7;
	if (!strcmp(q->process->argv[0], "missing"))
		r.exec_errno = ENOENT;
	else
		f = add(q->id, q->exec_id, q->process, c, q->fds, q->n_fds);
	ttrpc_reply(c, &r.base);
	if (f)
		go(f);
}

static void h_wait(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	const PB(WaitRequest) *q = (const void *)m;
	struct fake *f = find(q->id, q->exec_id);
	PB(WaitResponse) r = RUNSC__CONTROL__V1__WAIT_RESPONSE__INIT;

	if (!f) {
		ttrpc_fail(c, TTRPC_NOT_FOUND, "no such process");
	} else if (f->ended) {
		r.wait_status = (uint32_t)f->status;
		ttrpc_reply(c, &r.base);
	} else {
		f->waiters[f->nr_waiters++ % 8] = c;
	}
}

static void h_signal(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	const PB(SignalRequest) *q = (const void *)m;
	struct fake *f = find(q->id, q->exec_id);

	if (!f || f->ended) {
		ttrpc_fail(c, TTRPC_NOT_FOUND, "no such process");
		return;
	}
	ttrpc_reply(c, NULL);
	if (q->signo == SIGKILL || q->signo == SIGTERM || q->signo == SIGINT)
		end(f, (int)q->signo);
}

static void h_ok(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	ttrpc_reply(c, NULL);
}

static void h_stats(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	PB(StatsResponse) r = RUNSC__CONTROL__V1__STATS_RESPONSE__INIT;

	ttrpc_reply(c, &r.base);
}

static void h_processes(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	PB(ProcessesResponse) r = RUNSC__CONTROL__V1__PROCESSES_RESPONSE__INIT;
	PB(ProcessInfo) p = RUNSC__CONTROL__V1__PROCESS_INFO__INIT, *one[] = { &p };

	p.pid = 1;
	p.command = (char *)"fake";
	r.processes = one;
	r.n_processes = 1;
	ttrpc_reply(c, &r.base);
}

static void h_destroy(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	struct fake *f = find(((const PB(ContainerRequest) *)m)->id, "");

	if (f) {
		end(f, SIGKILL);
		f->used = false;
	}
	ttrpc_reply(c, NULL);
}

/* Says on the log descriptor what it was told, for the test to read. */
static void h_network(struct ttrpc_call *c, const ProtobufCMessage *m)
{
	const PB(SetNetworkRequest) *q = (const void *)m;

	dprintf(4, "network: %zu links %zu routes %zu fds\n", q->n_links, q->n_routes, ttrpc_call_nr_fds(c));
	for (size_t i = 0; i < q->n_links; i++)
		dprintf(4, "link %s mtu %u mac %zu addresses %zu packet %d\n", q->links[i]->name, q->links[i]->mtu,
			q->links[i]->mac.len, q->links[i]->n_addresses, q->links[i]->has_packet_fd);
	ttrpc_reply(c, NULL);
}

static const struct ttrpc_method methods[] = {
	METHOD("SetNetwork", set_network_request, empty, h_network),
	METHOD("CreateContainer", create_container_request, create_container_response, h_create),
	METHOD("StartContainer", container_request, empty, h_start),
	METHOD("Exec", exec_request, exec_response, h_exec),
	METHOD("Wait", wait_request, wait_response, h_wait),
	METHOD("Signal", signal_request, empty, h_signal),
	METHOD("Pause", container_request, empty, h_ok),
	METHOD("Resume", container_request, empty, h_ok),
	METHOD("Update", update_request, empty, h_ok),
	METHOD("ResizeTty", resize_tty_request, empty, h_ok),
	METHOD("Processes", container_request, processes_response, h_processes),
	METHOD("Stats", container_request, stats_response, h_stats),
	METHOD("DestroyContainer", container_request, empty, h_destroy),
};

static const struct ttrpc_service service = { "runsc.control.v1.Sentry", methods, ARRAY_SIZE(methods) };

int sentry_main(int argc, char **argv)
{
	struct evloop *loop = evloop_new();
	struct ttrpc_server *s = ttrpc_server_new(loop, TTRPC_FDS);

	signal(SIGPIPE, SIG_IGN);
	if (ttrpc_server_register(s, &service, NULL) < 0 || ttrpc_server_listen(s, 3) < 0)
		_exit(1);
	evloop_run(loop);
	_exit(0);
}

/* Stays until it is killed, as a zygote does. */
int zygote_launch_main(int argc, char **argv)
{
	close(3);
	for (;;)
		pause();
}
