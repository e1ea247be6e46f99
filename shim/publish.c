/* SPDX-License-Identifier: Apache-2.0
 * shim/publish.c - see publish.h
 *
 * Model:   one event is under way at a time, so that order holds whatever fails. A failed event stays
 *          at the head and is tried again: at once on a fresh connection the first time, then after
 *          1, 2, 3, .. 5 seconds. It is given up after AGE_MAX, so that a containerd that restarts misses
 *          nothing and one that never comes back costs a small queue only.
 * Locks:   mu, a leaf, guards queue and counters; the rest belongs to the loop's thread.
 * Source:  CONVENTIONS D.8: Events/Forward, 5 s per call, queue of 2048.
 */
#include "shim/publish.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mutex.h"
#include "events.pb-c.h"
#include "shim/shim_util.h"

#define QUEUE_MAX	2048
#define CALL_TIMEOUT_NS (5 * NSEC_PER_SEC)
#define RETRY_STEP_NS	NSEC_PER_SEC
#define RETRY_MAX_NS	(5 * NSEC_PER_SEC)
#define AGE_MAX_NS	(300 * NSEC_PER_SEC)

struct event {
	struct list node;
	const char *topic, *type;
	uint64_t wall_ns, queued_ns;
	unsigned tries;
	size_t len;
	uint8_t data[];
};

struct publisher {
	struct evloop *loop;		/* immutable, like the next three */
	struct ttrpc_workers *workers;
	const char *address, *ns;
	struct mutex mu;
	struct list queue;		/* guarded by mu; the head may be under way */
	unsigned nr;			/* guarded by mu */
	bool kicked;			/* guarded by mu: kick is posted */
	struct ev_work kick;
	struct ttrpc_client *client;	/* loop's thread, like the rest */
	bool busy;			/* a call or a dial is under way, or a retry waits */
	struct ev_timer retry;
	struct ttrpc_job dial;
	struct ev_work dialled;
	int dial_fd;
};

static void pump(struct publisher *p);

static struct event *head(struct publisher *p)
{
	struct event *ev = NULL;

	mutex_lock(&p->mu);
	if (!list_empty(&p->queue))
		ev = list_first(&p->queue, struct event, node);
	mutex_unlock(&p->mu);
	return ev;
}

static void drop_head(struct publisher *p, struct event *ev)
{
	mutex_lock(&p->mu);
	list_del_init(&ev->node);
	p->nr--;
	mutex_unlock(&p->mu);
	free(ev);
}

static void on_retry(struct ev_timer *t)
{
	struct publisher *p = container_of(t, struct publisher, retry);

	p->busy = false;
	pump(p);
}

/* The head could not be delivered: give it up, or come back for it. */
static void failed(struct publisher *p, const char *why)
{
	struct event *ev = head(p);
	uint64_t now = evloop_now_ns(), delay;

	ttrpc_client_free(p->client);
	p->client = NULL;
	if (now - ev->queued_ns > AGE_MAX_NS) {
		log_error("event %s is lost: %s", ev->topic, why);
		drop_head(p, ev);
		p->busy = false;
		pump(p);
		return;
	}
	delay = ev->tries ? MIN(ev->tries * RETRY_STEP_NS, RETRY_MAX_NS) : 0;
	if (!ev->tries++)
		log_debug("event %s: %s, trying again", ev->topic, why);
	evloop_timer_set(p->loop, &p->retry, now + delay);
}

static void on_dialled(struct ev_work *w)
{
	struct publisher *p = container_of(w, struct publisher, dialled);

	if (p->dial_fd >= 0)
		p->client = ttrpc_client_new(p->dial_fd, p->loop, 0);
	if (!p->client) {
		failed(p, "containerd cannot be reached");
		return;
	}
	p->busy = false;
	pump(p);
}

static void dial_job(struct ttrpc_job *j)
{
	struct publisher *p = container_of(j, struct publisher, dial);

	p->dial_fd = ttrpc_dial(p->address);
	evloop_post(p->loop, &p->dialled);
}

static void on_sent(void *arg, struct ttrpc_result *r)
{
	struct publisher *p = arg;

	if (r->code == TTRPC_CANCELED)
		return; /* the client is being freed */
	if (r->code == TTRPC_UNAVAILABLE || r->code == TTRPC_DEADLINE_EXCEEDED) {
		failed(p, r->message);
		return;
	}
	if (r->code != TTRPC_OK) /* containerd understood and does not want it: no use to repeat */
		log_error("event refused: %s", r->message);
	drop_head(p, head(p));
	p->busy = false;
	pump(p);
}

static void send_event(struct publisher *p, struct event *ev)
{
	Events__ForwardRequest fr = EVENTS__FORWARD_REQUEST__INIT;
	Events__Envelope env = EVENTS__ENVELOPE__INIT;
	Wkt__Any any = WKT__ANY__INIT;
	Wkt__Timestamp ts;
	struct ttrpc_kv meta = { "containerd-namespace-ttrpc", p->ns };
	struct ttrpc_request req = { .service = "containerd.services.events.ttrpc.v1.Events",
				     .method = "Forward", .msg = &fr.base,
				     .resp = &wkt__empty__descriptor, .timeout_ns = CALL_TIMEOUT_NS,
				     .metadata = &meta, .nr_metadata = 1 };

	any.type_url = (char *)ev->type;
	any.value.data = ev->data;
	any.value.len = ev->len;
	env.timestamp = timestamp_set(&ts, ev->wall_ns);
	env.namespace_ = (char *)p->ns;
	env.topic = (char *)ev->topic;
	env.event = &any;
	fr.envelope = &env;
	ttrpc_client_start(p->client, &req, on_sent, p);
}

static void pump(struct publisher *p)
{
	struct event *ev;

	if (p->busy || !(ev = head(p)))
		return;
	p->busy = true;
	if (p->client && !ttrpc_client_broken(p->client)) {
		send_event(p, ev);
		return;
	}
	ttrpc_client_free(p->client);
	p->client = NULL;
	p->dial.fn = dial_job;
	p->dialled.fn = on_dialled;
	ttrpc_workers_run(p->workers, &p->dial);
}

static void on_kick(struct ev_work *w)
{
	struct publisher *p = container_of(w, struct publisher, kick);

	mutex_lock(&p->mu);
	p->kicked = false;
	mutex_unlock(&p->mu);
	pump(p);
}

void publish(struct publisher *p, const char *topic, const char *type, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	struct event *ev;
	bool kick = false;

	log_debug("event %s", topic);
	if (!p->address[0])
		return;
	ev = malloc(sizeof(*ev) + len);
	if (!ev) {
		log_error("event %s is lost: out of memory", topic);
		return;
	}
	*ev = (struct event){ .topic = topic, .type = type, .wall_ns = wall_now_ns(),
			      .queued_ns = evloop_now_ns() };
	ev->len = protobuf_c_message_pack(msg, ev->data);
	mutex_lock(&p->mu);
	if (p->nr < QUEUE_MAX) {
		list_add_tail(&p->queue, &ev->node);
		p->nr++;
		kick = !p->kicked;
		p->kicked = true;
		ev = NULL;
	}
	mutex_unlock(&p->mu);
	if (ev) {
		log_error("event %s is lost: the queue is full", topic);
		free(ev);
	}
	if (kick)
		evloop_post(p->loop, &p->kick);
}

bool publisher_idle(struct publisher *p)
{
	bool idle;

	mutex_lock(&p->mu);
	idle = list_empty(&p->queue);
	mutex_unlock(&p->mu);
	return idle;
}

struct publisher *publisher_new(struct evloop *loop, struct ttrpc_workers *workers, const char *address,
				const char *ns)
{
	struct publisher *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->loop = loop;
	p->workers = workers;
	p->address = address;
	p->ns = ns;
	list_init(&p->queue);
	p->kick.fn = on_kick;
	p->retry.fn = on_retry;
	return p;
}

void publisher_free(struct publisher *p)
{
	struct event *ev, *tmp;

	if (!p)
		return;
	evloop_timer_cancel(p->loop, &p->retry);
	ttrpc_client_free(p->client);
	list_for_each_entry_safe(ev, tmp, &p->queue, node)
		free(ev);
	free(p);
}
