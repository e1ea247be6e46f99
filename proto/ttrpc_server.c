/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_server.c - listeners, connections, and requests up to their handler
 *
 * Model:   the loop's thread owns the lists of listeners and connections. A connection lives until it
 *          is closed and its last call is freed.
 * Source:  ttrpc PROTOCOL.md: stream ids of clients are odd and grow; unknown frame types are ignored.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "ttrpc_call.h"

#define ACCEPT_BURST	  16
#define CALLS_MAX	  16384 /* in progress on one connection */
#define REQ_MEM_MAX	  (64u << 20) /* what one decoded request may occupy */

int ttrpc_server_register(struct ttrpc_server *s, const struct ttrpc_service *svc, void *ctx)
{
	if (s->nr_services == ARRAY_SIZE(s->services))
		return -ENOSPC;
	s->services[s->nr_services++] = (struct ttrpc_reg){ svc, ctx };
	return 0;
}

struct ttrpc_server *ttrpc_server_new(struct evloop *loop, unsigned flags)
{
	struct ttrpc_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	s->flags = flags;
	list_init(&s->conns);
	list_init(&s->listeners);
	return s;
}

void ttrpc_server_set_dispatch(struct ttrpc_server *s, void (*fn)(void *, struct ttrpc_call *),
			       void *arg)
{
	s->dispatch = fn;
	s->dispatch_arg = arg;
}

unsigned ttrpc_server_nr_conns(const struct ttrpc_server *s)
{
	return atomic_load(&s->nr_conns);
}

/* ---- requests ---- */

static void refuse(struct ttrpc_conn *cn, uint32_t stream, enum ttrpc_code code, const char *fmt,
		   const char *what)
{
	char msg[256];

	snprintf(msg, sizeof(msg), fmt, what);
	ttrpc_conn_send_status(cn, stream, code, msg);
}

static const struct ttrpc_method *find_method(struct ttrpc_conn *cn, uint32_t stream,
					      const Ttrpcmsg__Request *env, const struct ttrpc_reg **reg)
{
	const struct ttrpc_server *s = cn->server;

	for (size_t i = 0; i < s->nr_services; i++) {
		const struct ttrpc_service *svc = s->services[i].svc;

		if (strcmp(svc->name, env->service))
			continue;
		*reg = &s->services[i];
		for (size_t j = 0; j < svc->nr_methods; j++)
			if (!strcmp(svc->methods[j].name, env->method))
				return &svc->methods[j];
		refuse(cn, stream, TTRPC_UNIMPLEMENTED, "method %.200s", env->method);
		return NULL;
	}
	refuse(cn, stream, TTRPC_UNIMPLEMENTED, "service %.200s", env->service);
	return NULL;
}

static void start_call(struct ttrpc_call *c)
{
	struct ttrpc_server *s = c->conn->server;

	if (s->dispatch)
		s->dispatch(s->dispatch_arg, c);
	else
		ttrpc_call_run(c);
}

static void on_request(struct ttrpc_conn *cn, const struct ttrpc_frame *f)
{
	const struct ttrpc_reg *reg = NULL;
	const struct ttrpc_method *m;
	ProtobufCMessage *msg = NULL;
	struct ttrpc_call *c;
	Ttrpcmsg__Request *env;

	env = (Ttrpcmsg__Request *)ttrpc_msg_unpack(&ttrpcmsg__request__descriptor, f->body, f->hdr.len,
						    REQ_MEM_MAX);
	if (!env) {
		refuse(cn, f->hdr.stream, TTRPC_INVALID_ARGUMENT, "%s", "request does not decode");
		return;
	}
	m = find_method(cn, f->hdr.stream, env, &reg);
	if (!m)
		goto out;
	if (!(m->flags & TTRPC_STREAM_IN)) {
		msg = ttrpc_msg_unpack(m->req, env->payload.data, env->payload.len, REQ_MEM_MAX);
		if (!msg) {
			refuse(cn, f->hdr.stream, TTRPC_INVALID_ARGUMENT,
			       "request of %.200s does not decode", env->method);
			goto out;
		}
	}
	if (cn->nr_calls >= CALLS_MAX) {
		refuse(cn, f->hdr.stream, TTRPC_RESOURCE_EXHAUSTED, "%s", "too many requests in progress");
		goto out;
	}
	c = ttrpc_call_new(cn, f->hdr.stream, reg, m, env, msg);
	if (!c) {
		refuse(cn, f->hdr.stream, TTRPC_RESOURCE_EXHAUSTED, "%s", "out of memory");
		goto out;
	}
	if (m->flags & TTRPC_STREAM_IN) {
		if (env->payload.len)
			ttrpc_call_stream_in(c, env->payload.data, env->payload.len);
		if (f->hdr.flags & TTRPC_F_REMOTE_CLOSED)
			ttrpc_call_stream_in(c, NULL, 0);
	}
	start_call(c);
	return;
out:
	ttrpc_msg_free(msg);
	ttrpc_msg_free(&env->base);
}

static void on_data(struct ttrpc_conn *cn, const struct ttrpc_frame *f)
{
	struct ttrpc_call *c = ttrpc_conn_find_call(cn, f->hdr.stream);
	bool closes = f->hdr.flags & TTRPC_F_REMOTE_CLOSED;

	if (!c) {
		/* A late frame of a finished stream is no error; one that was never opened is. */
		if (f->hdr.stream > cn->last_stream)
			refuse(cn, f->hdr.stream, TTRPC_INVALID_ARGUMENT, "%s", "stream is not open");
		return;
	}
	if (!(c->method->flags & TTRPC_STREAM_IN) || (closes && f->hdr.len)) {
		ttrpc_call_abort(c, TTRPC_INVALID_ARGUMENT,
				 closes ? "a closing frame carries no data" : "not a client stream");
	} else {
		if (!(f->hdr.flags & TTRPC_F_NO_DATA))
			ttrpc_call_stream_in(c, f->body, f->hdr.len);
		if (closes)
			ttrpc_call_stream_in(c, NULL, 0);
	}
	ttrpc_call_put(c);
}

static const char oversized[] = "message is longer than 4194304 bytes";

static int conn_on_frame(struct ttrpc_xport *x, const struct ttrpc_frame *f)
{
	struct ttrpc_conn *cn = container_of(x, struct ttrpc_conn, x);
	uint32_t id = f->hdr.stream;

	if (f->hdr.type == TTRPC_T_DATA && !f->oversized) {
		on_data(cn, f);
		return 0;
	}
	if (f->hdr.type != TTRPC_T_REQUEST && f->hdr.type != TTRPC_T_DATA)
		return 0;
	if (f->oversized) {
		struct ttrpc_call *c = ttrpc_conn_find_call(cn, id);

		if (c)
			ttrpc_call_abort(c, TTRPC_RESOURCE_EXHAUSTED, oversized);
		else
			refuse(cn, id, TTRPC_RESOURCE_EXHAUSTED, "%s", oversized);
		ttrpc_call_put(c);
		if (id > cn->last_stream)
			cn->last_stream = id;
		return 0;
	}
	if (!(id & 1)) {
		refuse(cn, id, TTRPC_INVALID_ARGUMENT, "%s", "stream ids of clients are odd");
		return 0;
	}
	if (id <= cn->last_stream) {
		refuse(cn, id, TTRPC_INVALID_ARGUMENT, "%s", "stream ids must grow");
		return 0;
	}
	cn->last_stream = id;
	on_request(cn, f);
	return 0;
}

/* ---- connections ---- */

static void conn_close(struct ttrpc_conn *cn)
{
	struct ttrpc_server *s = cn->server;

	mutex_lock(&cn->x.mu);
	cn->x.broken = true;
	cn->x.in_loop = false;
	mutex_unlock(&cn->x.mu);
	evloop_del(&cn->x.src);
	/* the peer sees the end now; the descriptor goes with the last call */
	host_call(shutdown, cn->x.fd, SHUT_RDWR);
	list_del_init(&cn->node);
	atomic_fetch_sub(&s->nr_conns, 1);
	ttrpc_conn_cancel_calls(cn);
	cn->server = NULL;
	ttrpc_conn_put(cn);
}

static void conn_event(struct ev_source *src, uint32_t events)
{
	struct ttrpc_conn *cn = container_of(src, struct ttrpc_conn, x.src);
	int ret = 0;

	if (events & EPOLLOUT)
		ret = ttrpc_xport_flush(&cn->x);
	if (ret == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
		ret = ttrpc_xport_read(&cn->x, conn_on_frame);
	if (ret < 0)
		conn_close(cn);
}

int ttrpc_server_adopt(struct ttrpc_server *s, int fd)
{
	struct ttrpc_conn *cn = calloc(1, sizeof(*cn));
	socklen_t len = sizeof(cn->peer);
	int ret;

	if (!cn) {
		host_call(close, fd);
		return -ENOMEM;
	}
	ttrpc_xport_init(&cn->x, fd, s->flags & TTRPC_FDS);
	ref_init(&cn->refs, 1);
	list_init(&cn->calls);
	cn->server = s;
	cn->loop = s->loop;
	host_call(getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &cn->peer, &len);
	list_add_tail(&s->conns, &cn->node);
	atomic_fetch_add(&s->nr_conns, 1);
	cn->x.in_loop = true;
	ret = evloop_add(s->loop, &cn->x.src, fd, EPOLLIN, conn_event);
	if (ret < 0)
		conn_close(cn);
	return ret;
}

static void listener_event(struct ev_source *src, uint32_t events)
{
	struct ttrpc_listener *ln = container_of(src, struct ttrpc_listener, src);

	for (int i = 0; i < ACCEPT_BURST; i++) {
		long fd = host_call(accept4, ln->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		ttrpc_server_adopt(ln->server, (int)fd);
	}
}

int ttrpc_server_listen(struct ttrpc_server *s, int fd)
{
	struct ttrpc_listener *ln = calloc(1, sizeof(*ln));
	int ret = -ENOMEM;

	if (ln) {
		ln->server = s;
		ln->fd = fd;
		ret = evloop_add(s->loop, &ln->src, fd, EPOLLIN, listener_event);
	}
	if (ret < 0) {
		host_call(close, fd);
		free(ln);
		return ret;
	}
	list_add_tail(&s->listeners, &ln->node);
	return 0;
}

void ttrpc_server_free(struct ttrpc_server *s)
{
	struct ttrpc_listener *ln, *tmp;

	if (!s)
		return;
	list_for_each_entry_safe(ln, tmp, &s->listeners, node) {
		evloop_del(&ln->src);
		host_call(close, ln->fd);
		list_del_init(&ln->node);
		free(ln);
	}
	while (!list_empty(&s->conns))
		conn_close(list_first(&s->conns, struct ttrpc_conn, node));
	free(s);
}
