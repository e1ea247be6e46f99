/* SPDX-License-Identifier: Apache-2.0
 * shim/streams.c - see streams.h
 *
 * Model:   credit counts bytes: the receiver of data grants it by WindowUpdate, the sender sends no more
 *          than it was granted. A stream has at most one client; a later one replaces it. All work is
 *          done on the loop's thread; registration posts there.
 * Locks:   mu guards the table and each stream's fields; nothing is called under it but pipes (never
 *          blocking) and sends (which queue).
 */
#include "shim/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/list.h"
#include "base/log.h"
#include "streaming.pb-c.h"
#include "wkt.pb-c.h"

#define CHUNK	   (16u << 10)
#define WINDOW	   (64 * 1024) /* bytes of input granted ahead */
#define TYPE_DATA  "containerd.types.transfer.Data"
#define TYPE_WIN   "containerd.types.transfer.WindowUpdate"
#define TYPE_INIT  "containerd.streaming.v1.StreamInit"
#define MSG_MEM	   (8u << 20)

struct streams {
	struct evloop *loop;
	pthread_mutex_t mu;
	struct list all; /* guarded by mu */
};

struct stream {
	struct list node;
	struct streams *owner;
	char *name;
	bool to_client, ended, client_done;
	int fd;			 /* our end of the pipe */
	struct ttrpc_call *call; /* reference; NULL = nobody attached */
	int64_t credit;		 /* to_client: bytes that may be sent; else granted and not used */
	char *buf;		 /* input that the pipe did not take */
	size_t off, len;
	struct ev_source ev;	 /* loop's thread */
	struct ev_work work;
	bool posted, dropped;
};

struct streams *streams_new(struct evloop *loop)
{
	struct streams *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	pthread_mutex_init(&s->mu, NULL);
	list_init(&s->all);
	return s;
}

static void stream_free(struct stream *st)
{
	evloop_del(&st->ev);
	list_del_init(&st->node);
	if (st->fd >= 0)
		close(st->fd);
	free(st->buf);
	free(st->name);
	free(st);
}

void streams_free(struct streams *s)
{
	struct stream *st, *tmp;

	if (!s)
		return;
	list_for_each_entry_safe(st, tmp, &s->all, node) {
		if (st->call)
			ttrpc_reply(st->call, NULL);
		stream_free(st);
	}
	pthread_mutex_destroy(&s->mu);
	free(s);
}

static int send_any(struct ttrpc_call *call, const char *type, const ProtobufCMessage *m)
{
	Wkt__Any any = WKT__ANY__INIT;
	uint8_t *p = malloc(protobuf_c_message_get_packed_size(m) + 1);
	int ret;

	if (!p)
		return -ENOMEM;
	any.type_url = (char *)type;
	any.value.data = p;
	any.value.len = protobuf_c_message_pack(m, p);
	ret = ttrpc_stream_send(call, &any.base);
	free(p);
	return ret;
}

/* ---- on the loop's thread, with mu ---- */

static void detach(struct stream *st)
{
	if (st->call)
		ttrpc_reply(st->call, NULL); /* ends the stream, and our reference */
	st->call = NULL;
}

static void watch(struct stream *st, bool on, void (*fn)(struct ev_source *, uint32_t))
{
	if (!on)
		evloop_del(&st->ev);
	else if (st->ev.fd < 0)
		evloop_add(st->owner->loop, &st->ev, st->fd, st->to_client ? EPOLLIN : EPOLLOUT, fn);
}

static void stream_event(struct ev_source *ev, uint32_t events);

/* Pipe to client, as far as credit goes. */
static void pump_out(struct stream *st)
{
	char chunk[CHUNK];

	for (int i = 0; i < 16 && st->call && !st->ended && st->credit > 0; i++) {
		Streaming__Data d = STREAMING__DATA__INIT;
		ssize_t n = read(st->fd, chunk, MIN((int64_t)sizeof(chunk), st->credit));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			st->ended = true;
			break;
		}
		d.data.data = (uint8_t *)chunk;
		d.data.len = (size_t)n;
		st->credit -= n;
		if (send_any(st->call, TYPE_DATA, &d.base) < 0) {
			/* bytes that a dying connection swallowed are lost, as with any socket */
			detach(st);
			break;
		}
	}
	if (st->ended)
		detach(st);
	watch(st, st->call && !st->ended && st->credit > 0, stream_event);
}

static void grant(struct stream *st, int32_t n)
{
	Streaming__WindowUpdate w = STREAMING__WINDOW_UPDATE__INIT;

	w.update = n;
	st->credit += n;
	if (st->call)
		send_any(st->call, TYPE_WIN, &w.base);
}

/* Client to pipe. */
static void pump_in(struct stream *st)
{
	while (st->off < st->len) {
		ssize_t n = write(st->fd, st->buf + st->off, st->len - st->off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			watch(st, true, stream_event);
			return;
		}
		if (n < 0) {
			st->ended = true;
			break;
		}
		st->off += (size_t)n;
	}
	watch(st, false, stream_event);
	free(st->buf);
	st->buf = NULL;
	st->off = st->len = 0;
	if (st->client_done || st->dropped)
		st->ended = true;
	if (st->ended) {
		detach(st);
		if (st->fd >= 0)
			close(st->fd);
		st->fd = -1;
	} else if (st->credit < WINDOW / 2) {
		grant(st, (int32_t)(WINDOW - st->credit));
	}
}

static void pump(struct stream *st)
{
	if (st->to_client)
		pump_out(st);
	else
		pump_in(st);
	/* gone once its pipe has ended, or nobody wants it */
	if (st->ended || (st->dropped && st->to_client)) {
		detach(st);
		if (!st->posted)
			stream_free(st);
	}
}

static void stream_event(struct ev_source *ev, uint32_t events)
{
	struct stream *st = container_of(ev, struct stream, ev);
	struct streams *s = st->owner;

	pthread_mutex_lock(&s->mu);
	pump(st);
	pthread_mutex_unlock(&s->mu);
}

static void stream_work(struct ev_work *w)
{
	struct stream *st = container_of(w, struct stream, work);
	struct streams *s = st->owner;

	pthread_mutex_lock(&s->mu);
	st->posted = false;
	pump(st);
	pthread_mutex_unlock(&s->mu);
}

static void kick_locked(struct stream *st)
{
	if (st->posted)
		return;
	st->posted = true;
	st->work.fn = stream_work;
	evloop_post(st->owner->loop, &st->work);
}

static struct stream *find_locked(struct streams *s, const char *name)
{
	struct stream *st;

	list_for_each_entry(st, &s->all, node)
		if (!st->dropped && !strcmp(st->name, name))
			return st;
	return NULL;
}

/* ---- the process's side ---- */

int streams_open(struct streams *s, const char *name, bool to_client, int *out_fd, struct err *e)
{
	struct stream *st = calloc(1, sizeof(*st));
	int p[2];

	if (!st || !(st->name = strdup(name))) {
		free(st);
		return err_set(e, ENOMEM, "out of memory");
	}
	if (pipe2(p, O_CLOEXEC) < 0) {
		free(st->name);
		free(st);
		return err_sys(e, "pipe");
	}
	st->owner = s;
	st->to_client = to_client;
	st->fd = p[to_client ? 0 : 1];
	st->ev.fd = -1;
	fcntl(st->fd, F_SETFL, O_NONBLOCK);
	list_init(&st->node);
	pthread_mutex_lock(&s->mu);
	if (find_locked(s, name)) {
		pthread_mutex_unlock(&s->mu);
		close(p[0]);
		close(p[1]);
		free(st->name);
		free(st);
		return err_set(e, EEXIST, "stream %s exists", name);
	}
	list_add_tail(&s->all, &st->node);
	pthread_mutex_unlock(&s->mu);
	*out_fd = p[to_client ? 1 : 0];
	return 0;
}

void streams_close(struct streams *s, const char *name)
{
	struct stream *st;

	pthread_mutex_lock(&s->mu);
	st = find_locked(s, name);
	if (st) {
		st->dropped = true;
		kick_locked(st);
	}
	pthread_mutex_unlock(&s->mu);
}

/* ---- the client's side: loop's thread ---- */

static void on_client_gone(struct ttrpc_call *call, enum ttrpc_code why)
{
	struct streams *s = ttrpc_call_data(call);
	struct stream *st;

	pthread_mutex_lock(&s->mu);
	list_for_each_entry(st, &s->all, node) {
		if (st->call != call)
			continue;
		st->call = NULL; /* the stream stays: the same name may be asked for again */
		st->credit = 0;
		watch(st, !st->to_client && st->len, stream_event);
		break;
	}
	pthread_mutex_unlock(&s->mu);
	/* Our reference, attached or not: we end calls on this thread only, so it was not ended before. */
	ttrpc_fail(call, why, "client is gone");
}

static void take_input(struct stream *st, const Streaming__Data *d)
{
	char *p;

	if ((int64_t)d->data.len > st->credit || st->ended) {
		detach(st); /* sends more than it was allowed to */
		return;
	}
	if (st->off) {
		memmove(st->buf, st->buf + st->off, st->len - st->off);
		st->len -= st->off;
		st->off = 0;
	}
	p = realloc(st->buf, st->len + d->data.len + 1);
	if (!p) {
		detach(st);
		return;
	}
	memcpy(p + st->len, d->data.data, d->data.len);
	st->buf = p;
	st->len += d->data.len;
	st->credit -= (int64_t)d->data.len;
}

static void on_stream_msg(struct stream *st, const Wkt__Any *any)
{
	const char *slash = strrchr(any->type_url, '/'), *type = slash ? slash + 1 : any->type_url;
	ProtobufCMessage *m;

	if (!strcmp(type, TYPE_DATA) && !st->to_client) {
		m = ttrpc_msg_unpack(&streaming__data__descriptor, any->value.data, any->value.len, MSG_MEM);
		if (m)
			take_input(st, (const Streaming__Data *)m);
	} else if (!strcmp(type, TYPE_WIN) && st->to_client) {
		m = ttrpc_msg_unpack(&streaming__window_update__descriptor, any->value.data, any->value.len,
				     MSG_MEM);
		if (m && ((const Streaming__WindowUpdate *)m)->update > 0)
			st->credit = MIN(st->credit + ((const Streaming__WindowUpdate *)m)->update,
					 (int64_t)1 << 40);
	} else {
		return;
	}
	ttrpc_msg_free(m);
}

/* The first message names the stream. False: the call was ended. */
static bool attach(struct streams *s, struct ttrpc_call *call, const Wkt__Any *any)
{
	Streaming__StreamInit *init = (Streaming__StreamInit *)ttrpc_msg_unpack(
		&streaming__stream_init__descriptor, any->value.data, any->value.len, MSG_MEM);
	Wkt__Any ack = WKT__ANY__INIT;
	struct stream *st = NULL;

	if (init)
		st = find_locked(s, init->id);
	if (!st) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "stream %s: not found", init ? init->id : "?");
	} else {
		detach(st);
		st->call = call;
		st->credit = 0;
		ttrpc_stream_send(call, &ack.base);
		kick_locked(st);
	}
	if (init)
		ttrpc_msg_free(&init->base);
	return st != NULL;
}

static void on_client_data(struct ttrpc_call *call, const ProtobufCMessage *msg)
{
	struct streams *s = ttrpc_call_data(call);
	struct stream *st;
	bool found = false;

	pthread_mutex_lock(&s->mu);
	list_for_each_entry(st, &s->all, node) {
		if (st->call == call) {
			found = true;
			break;
		}
	}
	if (found) {
		if (msg)
			on_stream_msg(st, (const Wkt__Any *)msg);
		else
			st->client_done = true;
		kick_locked(st);
	} else if (msg) {
		attach(s, call, (const Wkt__Any *)msg);
	} else {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "stream ended before it began");
	}
	pthread_mutex_unlock(&s->mu);
}

void streams_serve(struct streams *s, struct ttrpc_call *call)
{
	ttrpc_call_set_data(call, s, NULL);
	if (!ttrpc_call_on_cancel(call, on_client_gone)) {
		ttrpc_fail(call, TTRPC_CANCELED, "client is gone");
		return;
	}
	ttrpc_stream_on_data(call, on_client_data);
}
