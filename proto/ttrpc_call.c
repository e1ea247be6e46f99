/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_call.c - one request from its handler's side: answer, cancellation, streams
 *
 * Model:   a call is done exactly once: by a reply, by its deadline, or by the end of its connection.
 *          Whoever sets done under the lock has the right to answer; the others find it set. The
 *          handler's reference ends with its reply in any case.
 * Locks:   conn->x.mu; callbacks run without it.
 */
#include "ttrpc_call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hostcall.h"

#define STREAM_IN_MAX (8u << 20) /* bytes of messages that the handler has not taken */
#define STREAM_MEM_MAX (16u << 20) /* what one decoded message may occupy */

void ttrpc_conn_put(struct ttrpc_conn *cn)
{
	if (!ref_put(&cn->refs))
		return;
	ttrpc_xport_fini(&cn->x);
	free(cn);
}

void ttrpc_call_get(struct ttrpc_call *c)
{
	ref_get(&c->refs);
}

static void stream_msg_free(struct stream_msg *sm)
{
	ttrpc_msg_free(sm->msg);
	free(sm);
}

void ttrpc_call_put(struct ttrpc_call *c)
{
	struct stream_msg *sm, *tmp;

	if (!c || !ref_put(&c->refs))
		return;
	if (c->release)
		c->release(c->data);
	for (size_t i = 0; i < c->nr_fds; i++)
		if (c->fds[i] >= 0)
			host_call(close, c->fds[i]);
	list_for_each_entry_safe(sm, tmp, &c->in, node)
		stream_msg_free(sm);
	ttrpc_msg_free(c->msg);
	ttrpc_msg_free(&c->env->base);
	ttrpc_conn_put(c->conn);
	free(c);
}

/* Claims the right to answer. Ends the deadline's reference with it. */
static bool call_finish(struct ttrpc_call *c, bool cancelled)
{
	bool mine;

	mutex_lock(&c->conn->x.mu);
	mine = !c->done;
	if (mine) {
		c->done = true;
		c->cancelled = cancelled;
		list_del_init(&c->node);
		c->conn->nr_calls--;
	}
	mutex_unlock(&c->conn->x.mu);
	if (mine && evloop_timer_cancel(c->conn->loop, &c->timer))
		ttrpc_call_put(c); /* never the last: the caller has one */
	return mine;
}

static void call_cancel(struct ttrpc_call *c, enum ttrpc_code why)
{
	void (*fn)(struct ttrpc_call *, enum ttrpc_code);

	mutex_lock(&c->conn->x.mu);
	fn = c->on_cancel;
	mutex_unlock(&c->conn->x.mu);
	if (fn)
		fn(c, why);
}

void ttrpc_call_abort(struct ttrpc_call *c, enum ttrpc_code code, const char *msg)
{
	if (!call_finish(c, true))
		return;
	ttrpc_conn_send_status(c->conn, c->stream, code, msg);
	call_cancel(c, code);
}

static void deadline_passed(struct ev_timer *t)
{
	struct ttrpc_call *c = container_of(t, struct ttrpc_call, timer);

	ttrpc_call_abort(c, TTRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
	ttrpc_call_put(c);
}

void ttrpc_conn_cancel_calls(struct ttrpc_conn *cn)
{
	struct ttrpc_call *c;

	for (;;) {
		mutex_lock(&cn->x.mu);
		if (list_empty(&cn->calls)) {
			mutex_unlock(&cn->x.mu);
			return;
		}
		c = list_first(&cn->calls, struct ttrpc_call, node);
		ttrpc_call_get(c);
		mutex_unlock(&cn->x.mu);
		if (call_finish(c, true))
			call_cancel(c, TTRPC_CANCELED);
		ttrpc_call_put(c);
	}
}

struct ttrpc_call *ttrpc_call_new(struct ttrpc_conn *cn, uint32_t stream, const struct ttrpc_reg *reg,
				  const struct ttrpc_method *m, Ttrpcmsg__Request *env,
				  ProtobufCMessage *msg)
{
	struct ttrpc_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	ref_init(&c->refs, 1);
	ref_get(&cn->refs);
	c->conn = cn;
	c->stream = stream;
	c->reg = reg;
	c->method = m;
	c->env = env;
	c->msg = msg;
	list_init(&c->in);
	memcpy(c->fds, cn->x.fds, cn->x.nr_fds * sizeof(int));
	c->nr_fds = cn->x.nr_fds;
	cn->x.nr_fds = 0;
	mutex_lock(&cn->x.mu);
	list_add(&cn->calls, &c->node);
	cn->nr_calls++;
	mutex_unlock(&cn->x.mu);
	if (env->timeout_nano > 0 && env->timeout_nano < (int64_t)(INT64_MAX / 2)) {
		c->deadline_ns = evloop_now_ns() + (uint64_t)env->timeout_nano;
		c->timer.fn = deadline_passed;
		ttrpc_call_get(c);
		evloop_timer_set(cn->loop, &c->timer, c->deadline_ns);
	}
	return c;
}

struct ttrpc_call *ttrpc_conn_find_call(struct ttrpc_conn *cn, uint32_t stream)
{
	struct ttrpc_call *c, *found = NULL;

	mutex_lock(&cn->x.mu);
	list_for_each_entry(c, &cn->calls, node) {
		if (c->stream == stream) {
			ttrpc_call_get(c);
			found = c;
			break;
		}
	}
	mutex_unlock(&cn->x.mu);
	return found;
}

void ttrpc_call_run(struct ttrpc_call *c)
{
	c->method->handler(c, c->msg);
}

/* ---- accessors ---- */

void *ttrpc_call_ctx(const struct ttrpc_call *c)
{
	return c->reg->ctx;
}

const struct ttrpc_service *ttrpc_call_service(const struct ttrpc_call *c)
{
	return c->reg->svc;
}

const struct ttrpc_method *ttrpc_call_method(const struct ttrpc_call *c)
{
	return c->method;
}

const char *ttrpc_call_metadata(const struct ttrpc_call *c, const char *key)
{
	for (size_t i = 0; i < c->env->n_metadata; i++)
		if (!strcmp(c->env->metadata[i]->key, key))
			return c->env->metadata[i]->value;
	return NULL;
}

uint64_t ttrpc_call_deadline_ns(const struct ttrpc_call *c)
{
	return c->deadline_ns;
}

void ttrpc_call_peer(const struct ttrpc_call *c, int *out_pid, unsigned *out_uid, unsigned *out_gid)
{
	*out_pid = c->conn->peer.pid;
	*out_uid = c->conn->peer.uid;
	*out_gid = c->conn->peer.gid;
}

size_t ttrpc_call_nr_fds(const struct ttrpc_call *c)
{
	return c->nr_fds;
}

int ttrpc_call_take_fd(struct ttrpc_call *c, size_t i)
{
	return i < c->nr_fds ? TAKE_FD(c->fds[i]) : -1;
}

void ttrpc_call_set_data(struct ttrpc_call *c, void *data, void (*release)(void *))
{
	c->data = data;
	c->release = release;
}

void *ttrpc_call_data(const struct ttrpc_call *c)
{
	return c->data;
}

bool ttrpc_call_on_cancel(struct ttrpc_call *c, void (*fn)(struct ttrpc_call *, enum ttrpc_code))
{
	bool ok;

	mutex_lock(&c->conn->x.mu);
	ok = !c->done;
	if (ok)
		c->on_cancel = fn;
	mutex_unlock(&c->conn->x.mu);
	return ok;
}

bool ttrpc_call_cancelled(const struct ttrpc_call *c)
{
	bool ret;

	mutex_lock(&c->conn->x.mu);
	ret = c->cancelled;
	mutex_unlock(&c->conn->x.mu);
	return ret;
}

/* ---- answers ---- */

void ttrpc_conn_send_status(struct ttrpc_conn *cn, uint32_t stream, enum ttrpc_code code,
			    const char *msg)
{
	Ttrpcmsg__Response r = TTRPCMSG__RESPONSE__INIT;
	Ttrpcmsg__Status st = TTRPCMSG__STATUS__INIT;

	st.code = (int32_t)code;
	st.message = (char *)msg;
	r.status = &st;
	ttrpc_xport_send_msg(&cn->x, stream, TTRPC_T_RESPONSE, 0, &r.base, NULL, 0);
}

void ttrpc_reply_fds(struct ttrpc_call *c, const ProtobufCMessage *resp, const int *fds, size_t nr_fds)
{
	Ttrpcmsg__Response r = TTRPCMSG__RESPONSE__INIT;
	uint8_t *p = NULL;
	int ret;

	if (!call_finish(c, false))
		goto out;
	if ((c->method->flags & TTRPC_STREAM_OUT) && !resp) {
		ttrpc_xport_send(&c->conn->x, c->stream, TTRPC_T_DATA,
				 TTRPC_F_REMOTE_CLOSED | TTRPC_F_NO_DATA, NULL, 0, NULL, 0);
		goto out;
	}
	p = ttrpc_pack(resp, &r.payload.len);
	r.payload.data = p;
	ret = p ? ttrpc_xport_send_msg(&c->conn->x, c->stream, TTRPC_T_RESPONSE, 0, &r.base, fds, nr_fds) :
		  -ENOMEM;
	if (ret == -EMSGSIZE)
		ttrpc_conn_send_status(c->conn, c->stream, TTRPC_RESOURCE_EXHAUSTED,
				       "response is longer than 4194304 bytes");
	else if (ret < 0 && ret != -EPIPE)
		ttrpc_conn_send_status(c->conn, c->stream, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
out:
	free(p);
	ttrpc_call_put(c);
}

void ttrpc_reply(struct ttrpc_call *c, const ProtobufCMessage *resp)
{
	ttrpc_reply_fds(c, resp, NULL, 0);
}

void ttrpc_fail(struct ttrpc_call *c, enum ttrpc_code code, const char *fmt, ...)
{
	char msg[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (call_finish(c, false))
		ttrpc_conn_send_status(c->conn, c->stream, code, msg);
	ttrpc_call_put(c);
}

/* ---- streams ---- */

/* Gives queued messages to the handler's callback, one thread at a time and in order. */
static void stream_deliver(struct ttrpc_call *c)
{
	struct mutex *mu = &c->conn->x.mu;
	struct stream_msg *sm;

	mutex_lock(mu);
	while (c->on_data && !c->delivering && !c->done && !list_empty(&c->in)) {
		sm = list_first(&c->in, struct stream_msg, node);
		list_del_init(&sm->node);
		c->in_bytes -= sm->bytes;
		c->delivering = true;
		mutex_unlock(mu);
		c->on_data(c, sm->msg);
		stream_msg_free(sm);
		mutex_lock(mu);
		c->delivering = false;
	}
	mutex_unlock(mu);
}

void ttrpc_call_stream_in(struct ttrpc_call *c, const void *data, size_t len)
{
	struct stream_msg *sm = calloc(1, sizeof(*sm));
	bool full;

	if (sm && data) {
		sm->msg = ttrpc_msg_unpack(c->method->req, data, len, STREAM_MEM_MAX);
		sm->bytes = len + sizeof(*sm);
		if (!sm->msg) {
			free(sm);
			ttrpc_call_abort(c, TTRPC_INVALID_ARGUMENT, "message does not decode");
			return;
		}
	}
	mutex_lock(&c->conn->x.mu);
	full = !sm || c->in_ended || c->in_bytes + sm->bytes > STREAM_IN_MAX;
	if (!full) {
		c->in_ended = !data;
		c->in_bytes += sm->bytes;
		list_add_tail(&c->in, &sm->node);
	}
	mutex_unlock(&c->conn->x.mu);
	if (full) {
		if (sm)
			stream_msg_free(sm);
		ttrpc_call_abort(c, TTRPC_RESOURCE_EXHAUSTED, "stream is closed or full");
		return;
	}
	stream_deliver(c);
}

void ttrpc_stream_on_data(struct ttrpc_call *c,
			  void (*fn)(struct ttrpc_call *, const ProtobufCMessage *))
{
	ttrpc_call_get(c);
	mutex_lock(&c->conn->x.mu);
	c->on_data = fn;
	mutex_unlock(&c->conn->x.mu);
	stream_deliver(c);
	ttrpc_call_put(c);
}

int ttrpc_stream_send(struct ttrpc_call *c, const ProtobufCMessage *msg)
{
	bool done;

	mutex_lock(&c->conn->x.mu);
	done = c->done;
	mutex_unlock(&c->conn->x.mu);
	return done ? -EPIPE :
		      ttrpc_xport_send_msg(&c->conn->x, c->stream, TTRPC_T_DATA, 0, msg, NULL, 0);
}
