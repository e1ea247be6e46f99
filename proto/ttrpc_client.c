/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_client.c - unary calls to a ttrpc server, with descriptors
 *
 * Model:   each request is a struct pending in a list until its answer, its deadline, or the end of the
 *          connection takes it out; whoever takes it out completes it. With a loop the loop's thread
 *          reads; without one the calling thread reads until its own answer is there.
 * Locks:   cl->x.mu; completions run without it.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/futex.h>

#include "base/hostcall.h"
#include "ttrpc_internal.h"
#include "ttrpcmsg.pb-c.h"

#define RESP_MEM_MAX (64u << 20)

struct ttrpc_client {
	struct ttrpc_xport x;
	struct refcount refs;	 /* the owner's, and one per pending */
	struct evloop *loop;	 /* immutable, may be NULL */
	uint32_t next_stream;	 /* guarded by x.mu; odd */
	struct list pending;	 /* guarded by x.mu */
	bool dead;		 /* guarded by x.mu: nothing will be answered any more */
};

struct pending {
	struct list node;
	struct ttrpc_client *cl;
	uint32_t stream;
	const ProtobufCMessageDescriptor *resp;
	uint64_t deadline_ns;
	struct ev_timer timer;
	struct ev_work late;	/* completion of a request that failed before it was sent */
	struct ttrpc_result *out;
	_Atomic uint32_t finished; /* futex; for synchronous calls */
	void (*done)(void *, struct ttrpc_result *); /* NULL = synchronous */
	void *arg;
};

int ttrpc_dial(const char *address)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int ret, fd;

	if (!strncmp(address, "unix://", 7))
		address += 7;
	if (strlen(address) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, address);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	do
		ret = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	while (ret < 0 && errno == EINTR);
	if (ret < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

void ttrpc_result_fini(struct ttrpc_result *r)
{
	for (size_t i = 0; i < r->nr_fds; i++)
		if (r->fds[i] >= 0)
			host_call(close, r->fds[i]);
	free(r->message);
	ttrpc_msg_free(r->resp);
	*r = (struct ttrpc_result){ 0 };
}

static void result_set(struct ttrpc_result *r, enum ttrpc_code code, const char *msg)
{
	r->code = code;
	if (!r->message)
		r->message = strdup(msg);
	BUG_ON(!r->message);
}

static void client_put(struct ttrpc_client *cl)
{
	if (!ref_put(&cl->refs))
		return;
	ttrpc_xport_fini(&cl->x);
	free(cl);
}

/* Takes a request out of the list by its stream id (0 = any), or NULL. */
static struct pending *take(struct ttrpc_client *cl, uint32_t stream)
{
	struct pending *p, *found = NULL;

	mutex_lock(&cl->x.mu);
	list_for_each_entry(p, &cl->pending, node) {
		if (!stream || p->stream == stream) {
			found = p;
			list_del_init(&p->node);
			break;
		}
	}
	mutex_unlock(&cl->x.mu);
	return found;
}

/* The request is out of the list and its result filled. Consumes @p. */
static void complete(struct pending *p)
{
	struct ttrpc_client *cl = p->cl;

	if (cl->loop)
		evloop_timer_cancel(cl->loop, &p->timer);
	if (p->done) {
		p->done(p->arg, p->out);
		ttrpc_result_fini(p->out);
		free(p->out);
		free(p);
		client_put(cl);
		return;
	}
	/* p is on the caller's stack: not touched after this but for its address */
	atomic_store(&p->finished, 1);
	if (cl->loop)
		host_call(futex, &p->finished, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void decode(struct pending *p, const struct ttrpc_frame *f)
{
	struct ttrpc_result *r = p->out;
	Ttrpcmsg__Response *env;

	if (f->oversized) {
		result_set(r, TTRPC_RESOURCE_EXHAUSTED, "answer is longer than 4194304 bytes");
		return;
	}
	env = (Ttrpcmsg__Response *)ttrpc_msg_unpack(&ttrpcmsg__response__descriptor, f->body,
						     f->hdr.len, RESP_MEM_MAX);
	if (!env) {
		result_set(r, TTRPC_INTERNAL, "answer does not decode");
		return;
	}
	if (env->status && env->status->code) {
		result_set(r, (enum ttrpc_code)env->status->code, env->status->message);
	} else {
		r->resp = ttrpc_msg_unpack(p->resp, env->payload.data, env->payload.len, RESP_MEM_MAX);
		if (r->resp)
			result_set(r, TTRPC_OK, "");
		else
			result_set(r, TTRPC_INTERNAL, "payload of the answer does not decode");
	}
	ttrpc_msg_free(&env->base);
}

static int client_on_frame(struct ttrpc_xport *x, const struct ttrpc_frame *f)
{
	struct ttrpc_client *cl = container_of(x, struct ttrpc_client, x);
	struct pending *p;

	if (f->hdr.type != TTRPC_T_RESPONSE)
		return 0;
	p = f->hdr.stream ? take(cl, f->hdr.stream) : NULL;
	if (!p)
		return 0; /* its deadline passed before */
	decode(p, f);
	memcpy(p->out->fds, x->fds, x->nr_fds * sizeof(int));
	p->out->nr_fds = x->nr_fds;
	x->nr_fds = 0;
	complete(p);
	return 0;
}

static void fail_all(struct ttrpc_client *cl, enum ttrpc_code code, const char *msg)
{
	struct pending *p;

	mutex_lock(&cl->x.mu);
	cl->dead = true;
	cl->x.broken = true;
	mutex_unlock(&cl->x.mu);
	while ((p = take(cl, 0))) {
		result_set(p->out, code, msg);
		complete(p);
	}
}

static void client_unwatch(struct ttrpc_client *cl)
{
	mutex_lock(&cl->x.mu);
	cl->x.in_loop = false;
	mutex_unlock(&cl->x.mu);
	evloop_del(&cl->x.src);
}

static void client_event(struct ev_source *src, uint32_t events)
{
	struct ttrpc_client *cl = container_of(src, struct ttrpc_client, x.src);
	int ret = 0;

	ref_get(&cl->refs); /* a completion may free the client */
	if (events & EPOLLOUT)
		ret = ttrpc_xport_flush(&cl->x);
	if (ret == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		ret = ttrpc_xport_read(&cl->x, client_on_frame);
	if (ret < 0) {
		client_unwatch(cl);
		fail_all(cl, TTRPC_UNAVAILABLE, "ttrpc: closed");
	}
	client_put(cl);
}

struct ttrpc_client *ttrpc_client_new(int fd, struct evloop *loop, unsigned flags)
{
	struct ttrpc_client *cl = calloc(1, sizeof(*cl));

	if (!cl) {
		host_call(close, fd);
		return NULL;
	}
	ttrpc_xport_init(&cl->x, fd, flags & TTRPC_FDS);
	ref_init(&cl->refs, 1);
	list_init(&cl->pending);
	cl->next_stream = 1;
	cl->loop = loop;
	if (loop) {
		cl->x.in_loop = true;
		if (evloop_add(loop, &cl->x.src, fd, EPOLLIN, client_event) < 0) {
			client_put(cl);
			return NULL;
		}
	}
	return cl;
}

void ttrpc_client_free(struct ttrpc_client *cl)
{
	if (!cl)
		return;
	if (cl->loop)
		client_unwatch(cl);
	fail_all(cl, TTRPC_CANCELED, "context canceled");
	client_put(cl);
}

bool ttrpc_client_broken(const struct ttrpc_client *cl)
{
	struct ttrpc_client *c = (struct ttrpc_client *)cl;
	bool ret;

	mutex_lock(&c->x.mu);
	ret = c->dead || c->x.broken;
	mutex_unlock(&c->x.mu);
	return ret;
}

/* ---- sending ---- */

static uint8_t *pack_request(const struct ttrpc_request *req, size_t *out_len)
{
	Ttrpcmsg__Request env = TTRPCMSG__REQUEST__INIT;
	Ttrpcmsg__KeyValue kv[16], *kvp[16];
	uint8_t *ret;

	env.service = (char *)req->service;
	env.method = (char *)req->method;
	env.timeout_nano = req->timeout_ns > INT64_MAX ? INT64_MAX : (int64_t)req->timeout_ns;
	env.payload.data = ttrpc_pack(req->msg, &env.payload.len);
	if (!env.payload.data)
		return NULL;
	env.n_metadata = MIN(req->nr_metadata, ARRAY_SIZE(kv));
	env.metadata = kvp;
	for (size_t i = 0; i < env.n_metadata; i++) {
		ttrpcmsg__key_value__init(&kv[i]);
		kv[i].key = (char *)req->metadata[i].key;
		kv[i].value = (char *)req->metadata[i].value;
		kvp[i] = &kv[i];
	}
	ret = ttrpc_pack(&env.base, out_len);
	free(env.payload.data);
	return ret;
}

/* Stream ids must grow on the wire: the id is drawn and the frame sent in one critical section. */
static int submit(struct ttrpc_client *cl, struct pending *p, const struct ttrpc_request *req)
{
	size_t len;
	uint8_t *body = pack_request(req, &len);
	int ret;

	if (!body)
		return -ENOMEM;
	mutex_lock(&cl->x.mu);
	p->stream = cl->next_stream;
	cl->next_stream += 2;
	ret = cl->dead ? -EPIPE :
			 ttrpc_xport_send_locked(&cl->x, p->stream, TTRPC_T_REQUEST, 0, body, len,
						 req->fds, req->nr_fds);
	if (ret == 0) {
		list_add_tail(&cl->pending, &p->node);
		if (p->done && p->deadline_ns)
			evloop_timer_set(cl->loop, &p->timer, p->deadline_ns);
	}
	mutex_unlock(&cl->x.mu);
	free(body);
	return ret;
}

static void submit_failed(struct ttrpc_result *r, int err)
{
	if (err == -EMSGSIZE)
		result_set(r, TTRPC_RESOURCE_EXHAUSTED, "request is longer than 4194304 bytes");
	else if (err == -EPIPE)
		result_set(r, TTRPC_UNAVAILABLE, "ttrpc: closed");
	else
		result_set(r, TTRPC_INTERNAL, strerror(-err));
}

static void late_fn(struct ev_work *w)
{
	complete(container_of(w, struct pending, late));
}

static void pending_timeout(struct ev_timer *t)
{
	struct pending *p = container_of(t, struct pending, timer);

	/* On the loop's thread, like complete(), which cancels the timer: p is still there. */
	if (!take(p->cl, p->stream))
		return;
	result_set(p->out, TTRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
	complete(p);
}

void ttrpc_client_start(struct ttrpc_client *cl, const struct ttrpc_request *req,
			void (*done)(void *, struct ttrpc_result *), void *arg)
{
	struct pending *p = calloc(1, sizeof(*p));
	int ret;

	BUG_ON(!p || !cl->loop);
	p->out = calloc(1, sizeof(*p->out));
	BUG_ON(!p->out);
	list_init(&p->node);
	p->cl = cl;
	p->resp = req->resp;
	p->done = done;
	p->arg = arg;
	p->timer.fn = pending_timeout;
	p->deadline_ns = req->timeout_ns ? evloop_now_ns() + req->timeout_ns : 0;
	ref_get(&cl->refs);
	ret = submit(cl, p, req);
	if (ret < 0) { /* otherwise p may be gone already */
		submit_failed(p->out, ret);
		p->late.fn = late_fn;
		evloop_post(cl->loop, &p->late);
	}
}

/* Reads in the calling thread until @p is finished. */
static void drive(struct ttrpc_client *cl, struct pending *p)
{
	while (!atomic_load(&p->finished)) {
		struct pollfd pfd = { .fd = cl->x.fd, .events = POLLIN };
		int ms = -1, ret;

		if (p->deadline_ns) {
			uint64_t now = evloop_now_ns();

			if (now >= p->deadline_ns) {
				if (!take(cl, p->stream))
					continue;
				result_set(p->out, TTRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
				return;
			}
			ms = (int)MIN((p->deadline_ns - now + 999999) / 1000000, (uint64_t)INT_MAX);
		}
		if (!list_empty(&cl->x.out))
			pfd.events |= POLLOUT;
		ret = poll(&pfd, 1, ms);
		if (ret < 0)
			continue;
		ret = pfd.revents & POLLOUT ? ttrpc_xport_flush(&cl->x) : 0;
		if (ret == 0 && (pfd.revents & ~POLLOUT))
			ret = ttrpc_xport_read(&cl->x, client_on_frame);
		if (ret < 0)
			fail_all(cl, TTRPC_UNAVAILABLE, "ttrpc: closed");
	}
}

static void wait_finished(struct pending *p)
{
	while (!atomic_load(&p->finished)) {
		struct timespec ts;
		uint64_t now = evloop_now_ns();

		if (p->deadline_ns && now >= p->deadline_ns && take(p->cl, p->stream)) {
			result_set(p->out, TTRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
			return;
		}
		if (p->deadline_ns) {
			uint64_t left = p->deadline_ns > now ? p->deadline_ns - now : 1000000;

			ts.tv_sec = (time_t)(left / NSEC_PER_SEC);
			ts.tv_nsec = (long)(left % NSEC_PER_SEC);
		}
		host_call(futex, &p->finished, FUTEX_WAIT_PRIVATE, 0, p->deadline_ns ? &ts : NULL, NULL,
			  0);
	}
}

int ttrpc_client_call(struct ttrpc_client *cl, const struct ttrpc_request *req, struct ttrpc_result *out)
{
	struct pending p = { .cl = cl, .resp = req->resp, .out = out };
	int ret;

	*out = (struct ttrpc_result){ 0 };
	list_init(&p.node);
	if (req->timeout_ns)
		p.deadline_ns = evloop_now_ns() + req->timeout_ns;
	ret = submit(cl, &p, req);
	if (ret < 0) {
		submit_failed(out, ret);
		return -1;
	}
	if (cl->loop)
		wait_finished(&p);
	else
		drive(cl, &p);
	return out->code == TTRPC_OK ? 0 : -1;
}
