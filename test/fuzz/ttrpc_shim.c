/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/ttrpc_shim.c - libFuzzer: every request handler of the shim, behind the real ttrpc server
 *
 * Model:   the first byte chooses: 0 = the rest is the byte stream of one connection, else a method, whose payload the
 *          rest is. A container "c" with an exec "e" is there, whose lifecycle calls all fail: this is about what the
 *          shim does with requests. Handlers run on the loop's thread, so that each input is done when it returns.
 *          To be run without privileges (ttrpc_run.sh): Create and Exec open the paths that they are given.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "shim/publish.h"
#include "shim/shim.h"
#include "shim/stdio.h"
#include "shim/streams.h"
#include "ttrpc_internal.h"
#include "ttrpcmsg.pb-c.h"

static struct shim sh;

/* ---- a lifecycle library that refuses ---- */

#define REFUSE(name, ...) int name(__VA_ARGS__, struct err *e) { return err_set(e, ESRCH, "container not running"); }
REFUSE(lc_create, const struct lc_flags *f, struct lc_create_args *a, struct lc_container **out)
REFUSE(lc_start, struct lc_container *c)
REFUSE(lc_exec, struct lc_container *c, struct lc_exec_args *a, struct lc_exec *out)
REFUSE(lc_signal, struct lc_container *c, const char *x, int signo, enum lc_signal_scope scope)
REFUSE(lc_pause, struct lc_container *c)
REFUSE(lc_resume, struct lc_container *c)
REFUSE(lc_resize, struct lc_container *c, const char *x, uint16_t rows, uint16_t cols)
REFUSE(lc_delete, struct lc_container *c, bool force)
REFUSE(lc_host_pids, struct lc_container *c, pid_t **out, size_t *nr)
REFUSE(lc_stats, struct lc_container *c, struct lc_stats *out)
REFUSE(lc_update, struct lc_container *c, const char *json)
REFUSE(lc_port_forward, struct lc_container *c, uint16_t port, int stream_fd)

void lc_free(struct lc_container *c) {}
pid_t lc_pid(const struct lc_container *c) { return 1; }
pid_t lc_sandbox_pid(const struct lc_container *c) { return 0; }
pid_t lc_zygote_pid(const struct lc_container *c) { return 0; }
const char *lc_sandbox_id(const struct lc_container *c) { return "c"; }
void lc_stats_fini(struct lc_stats *s) {}
const char *lc_cgroup_dir(const struct lc_container *c, const char *controller) { return NULL; }
const char *lc_netns(const struct lc_container *c) { return NULL; }
bool lc_shares_pid_ns(const struct lc_container *c) { return false; }
bool lc_cgroup_is_v2(const struct lc_container *c) { return true; }
/* No program may be run because an input names one. */
struct logger *logger_start(const struct stdio_uri *u, const char *ns, const char *id, int fds[2], struct err *e)
{
	err_set(e, ENOENT, "no logging binary");
	return NULL;
}
void logger_stop(struct evloop *loop, struct logger *l) {}
/* daemon.c's part: the table is shared, the daemon must not end here. */
void shim_shutdown(struct shim *s) { s->shutting_down = false; }
bool shim_empty(struct shim *s) { return list_empty(&s->containers) && !s->sandbox; }

static void stream_method(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	streams_serve(sh.streams, call);
}
static const struct ttrpc_method streaming_methods[] = {
	{ "Stream", &wkt__any__descriptor, &wkt__any__descriptor, stream_method, TTRPC_STREAM_IN | TTRPC_STREAM_OUT },
};
static const struct ttrpc_service streaming = { "containerd.services.streaming.v1.Streaming", streaming_methods, 1 };
static const struct ttrpc_service *const services[] = { &task_v2_service, &task_v3_service, &sandbox_service, &streaming };

static void set_up(void)
{
	pthread_condattr_t attr;
	struct container *c;
	struct process *x;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	log_setup(-1, LOG_FMT_TEXT, LOG_LV_ERROR, "fuzz");
	list_init(&sh.containers);
	pthread_mutex_init(&sh.mu, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sh.changed, &attr);
	sh.ns = "fuzz";
	sh.id = "c";
	sh.address = "";
	sh.loop = evloop_new();
	sh.workers = ttrpc_workers_new(1, 1 << 20, 100);
	sh.streams = streams_new(sh.loop);
	sh.pub = publisher_new(sh.loop, sh.workers, "", "fuzz");
	sh.server = ttrpc_server_new(sh.loop, 0);
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		ttrpc_server_register(sh.server, services[i], &sh);
	c = container_new(&sh, "c", "/nonexistent");
	c->init = process_new(c, "", "", "", "", false);
	c->init->state = PROC_RUNNING;
	list_add_tail(&sh.containers, &c->node);
	x = process_new(c, "e", "", "", "", false);
	x->state = PROC_RUNNING;
	list_add_tail(&c->execs, &x->node);
	if (streams_open(sh.streams, "s", true, &fd, NULL) < 0 || write(fd, "output", 6) != 6)
		abort();
}

/* Drops what an input left: execs registered by it. */
static void tidy(void)
{
	struct container *c = list_first(&sh.containers, struct container, node);
	struct process *p, *tmp;

	list_for_each_entry_safe(p, tmp, &c->execs, node) {
		if (!strcmp(p->exec_id, "e"))
			continue;
		list_del_init(&p->node);
		process_put(p);
	}
}

static void feed(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		ssize_t n = send(fd, p, size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			p += n;
			size -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN) {
			return;
		}
		evloop_step(sh.loop, 0);
	}
}

static void drain(int fd)
{
	static char sink[65536];

	for (int i = 0; i < 4; i++) {
		evloop_step(sh.loop, 0);
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
}

static void feed_request(int fd, unsigned which, const uint8_t *data, size_t size)
{
	Ttrpcmsg__Request env = TTRPCMSG__REQUEST__INIT;
	uint8_t hdr[TTRPC_HDR_LEN], *body;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(services); which -= (unsigned)services[i++]->nr_methods) {
		if (which >= services[i]->nr_methods)
			continue;
		env.service = (char *)services[i]->name;
		env.method = (char *)services[i]->methods[which].name;
		break;
	}
	env.payload.data = (uint8_t *)data;
	env.payload.len = size;
	body = ttrpc_pack(&env.base, &len);
	ttrpc_hdr_put(hdr, (uint32_t)len, 1, TTRPC_T_REQUEST, 0);
	feed(fd, hdr, sizeof(hdr));
	feed(fd, body, len);
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int sp[2];

	if (!sh.loop)
		set_up();
	if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		return 0;
	ttrpc_server_adopt(sh.server, sp[0]);
	if (!data[0])
		feed(sp[1], data + 1, size - 1);
	else
		feed_request(sp[1], (data[0] - 1u) % 45, data + 1, size - 1);
	drain(sp[1]);
	close(sp[1]);
	for (int i = 0; i < 4; i++)
		evloop_step(sh.loop, 0);
	if (ttrpc_server_nr_conns(sh.server))
		abort(); /* a connection outlived its peer */
	tidy();
	return 0;
}
