/* SPDX-License-Identifier: Apache-2.0
 * test/unit/ttrpc/ttrpc_rpc_test.c - client against server over a socket pair
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "streaming.pb-c.h"
#include "ttrpc.h"
#include "ttrpc_internal.h"
#include "ttrpc_workers.h"
#include "ttrpcmsg.pb-c.h"

#define MS 1000000ull

struct fixture {
	struct evloop *loop;
	struct ttrpc_server *srv;
	pthread_t thread;
	int peer; /* our end of the first connection */
};

static struct ttrpc_call *parked; /* of method Park */
static _Atomic unsigned cancels;
static _Atomic int cancel_code;

static void h_echo(struct ttrpc_call *c, const ProtobufCMessage *req)
{
	ttrpc_reply(c, req);
}

static void h_fail(struct ttrpc_call *c, const ProtobufCMessage *req)
{
	ttrpc_fail(c, TTRPC_NOT_FOUND, "no %s", ((const Streaming__StreamInit *)req)->id);
}

static void on_cancel(struct ttrpc_call *c, enum ttrpc_code why)
{
	cancel_code = (int)why;
	cancels++;
}

static void h_park(struct ttrpc_call *c, const ProtobufCMessage *req)
{
	ttrpc_call_on_cancel(c, on_cancel);
	parked = c;
}

static void h_big(struct ttrpc_call *c, const ProtobufCMessage *req)
{
	Streaming__Data d = STREAMING__DATA__INIT;

	d.data.len = TTRPC_MAX_DATA;
	d.data.data = calloc(1, d.data.len);
	ttrpc_reply(c, &d.base);
	free(d.data.data);
}

/* Answers with the first byte of the file that came, and gives the same file back twice. */
static void h_fds(struct ttrpc_call *c, const ProtobufCMessage *req)
{
	Streaming__StreamInit r = STREAMING__STREAM_INIT__INIT;
	char text[2] = "?";
	int fd = ttrpc_call_take_fd(c, 0), both[2] = { fd, fd };

	if (fd < 0 || pread(fd, text, 1, 0) != 1) {
		ttrpc_fail(c, TTRPC_INVALID_ARGUMENT, "%zu descriptors", ttrpc_call_nr_fds(c));
		return;
	}
	r.id = text;
	ttrpc_reply_fds(c, &r.base, both, 2);
	close(fd);
}

static void h_meta(struct ttrpc_call *c, const ProtobufCMessage *req)
{
	Streaming__StreamInit r = STREAMING__STREAM_INIT__INIT;
	const char *v = ttrpc_call_metadata(c, "containerd-namespace-ttrpc");

	r.id = (char *)(v ? v : "none");
	ttrpc_reply(c, &r.base);
}

static void doubled(struct ttrpc_call *c, const ProtobufCMessage *msg)
{
	if (!msg) {
		ttrpc_reply(c, NULL);
		return;
	}
	ttrpc_stream_send(c, msg);
	ttrpc_stream_send(c, msg);
}

static void bidi_over(struct ttrpc_call *c, enum ttrpc_code why)
{
	ttrpc_fail(c, why, "over");
}

static void h_bidi(struct ttrpc_call *c, const ProtobufCMessage *req)
{
	if (!ttrpc_call_on_cancel(c, bidi_over)) {
		ttrpc_fail(c, TTRPC_CANCELED, "over");
		return;
	}
	ttrpc_stream_on_data(c, doubled);
}

#define M(n, h, f) { n, &streaming__stream_init__descriptor, &streaming__stream_init__descriptor, h, f }
static const struct ttrpc_method methods[] = {
	M("Echo", h_echo, 0), M("Fail", h_fail, 0), M("Park", h_park, 0), M("Big", h_big, 0),
	M("Fds", h_fds, 0),   M("Meta", h_meta, 0), M("Bidi", h_bidi, TTRPC_STREAM_IN | TTRPC_STREAM_OUT),
};
static const struct ttrpc_service svc = { "test.v1.Test", methods, ARRAY_SIZE(methods) };

static void *run_loop(void *l)
{
	evloop_run(l);
	return NULL;
}

static struct fixture setup(void)
{
	struct fixture f;
	int sp[2];

	f.loop = evloop_new();
	f.srv = ttrpc_server_new(f.loop, TTRPC_FDS);
	cr_assert(f.loop && f.srv);
	ttrpc_server_register(f.srv, &svc, NULL);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp), 0);
	cr_assert_eq(ttrpc_server_adopt(f.srv, sp[0]), 0);
	f.peer = sp[1];
	cr_assert_eq(pthread_create(&f.thread, NULL, run_loop, f.loop), 0);
	return f;
}

static void teardown(struct fixture *f)
{
	evloop_stop(f->loop);
	pthread_join(f->thread, NULL);
	ttrpc_server_free(f->srv);
	evloop_free(f->loop);
}

static int call_id(struct ttrpc_client *cl, const char *method, const char *id, uint64_t timeout_ns,
		   struct ttrpc_result *out)
{
	Streaming__StreamInit q = STREAMING__STREAM_INIT__INIT;
	struct ttrpc_request r = { .service = svc.name, .method = method, .msg = &q.base,
				   .resp = &streaming__stream_init__descriptor,
				   .timeout_ns = timeout_ns };

	q.id = (char *)id;
	return ttrpc_client_call(cl, &r, out);
}

static const char *text(const struct ttrpc_result *r)
{
	return ((const Streaming__StreamInit *)r->resp)->id;
}

Test(ttrpc, echo_and_errors)
{
	struct fixture f = setup();
	struct ttrpc_client *cl = ttrpc_client_new(f.peer, NULL, 0);
	struct ttrpc_result r;

	cr_assert_eq(call_id(cl, "Echo", "hello", 0, &r), 0);
	cr_assert_str_eq(text(&r), "hello");
	ttrpc_result_fini(&r);
	cr_assert_eq(call_id(cl, "Fail", "x", 0, &r), -1);
	cr_assert_eq(r.code, TTRPC_NOT_FOUND);
	cr_assert_str_eq(r.message, "no x");
	ttrpc_result_fini(&r);
	cr_assert_eq(call_id(cl, "Nope", "x", 0, &r), -1);
	cr_assert_eq(r.code, TTRPC_UNIMPLEMENTED);
	ttrpc_result_fini(&r);
	cr_assert_eq(call_id(cl, "Big", "x", 0, &r), -1);
	cr_assert_eq(r.code, TTRPC_RESOURCE_EXHAUSTED);
	ttrpc_result_fini(&r);
	cr_assert_eq(call_id(cl, "Echo", "after", 0, &r), 0);
	ttrpc_result_fini(&r);
	ttrpc_client_free(cl);
	teardown(&f);
}

Test(ttrpc, big_request_crosses_the_queue)
{
	struct fixture f = setup();
	struct ttrpc_client *cl = ttrpc_client_new(f.peer, NULL, 0);
	struct ttrpc_result r;
	size_t n = TTRPC_MAX_DATA - 200;
	char *s = malloc(n + 1);

	memset(s, 'z', n);
	s[n] = 0;
	cr_assert_eq(call_id(cl, "Echo", s, 0, &r), 0, "%s", r.message);
	cr_assert_str_eq(text(&r), s);
	ttrpc_result_fini(&r);
	s = realloc(s, TTRPC_MAX_DATA + 1);
	memset(s, 'z', TTRPC_MAX_DATA);
	s[TTRPC_MAX_DATA] = 0;
	cr_assert_eq(call_id(cl, "Echo", s, 0, &r), -1);
	cr_assert_eq(r.code, TTRPC_RESOURCE_EXHAUSTED);
	ttrpc_result_fini(&r);
	free(s);
	ttrpc_client_free(cl);
	teardown(&f);
}

Test(ttrpc, deadline_answers_for_a_parked_call)
{
	struct fixture f = setup();
	struct ttrpc_client *cl = ttrpc_client_new(f.peer, NULL, 0);
	struct ttrpc_result r;

	cr_assert_eq(call_id(cl, "Park", "x", 30 * MS, &r), -1);
	cr_assert_eq(r.code, TTRPC_DEADLINE_EXCEEDED);
	ttrpc_result_fini(&r);
	/* the connection still works, and a late reply is harmless */
	cr_assert_eq(call_id(cl, "Echo", "y", 0, &r), 0);
	ttrpc_result_fini(&r);
	for (int i = 0; i < 200 && !cancels; i++)
		usleep(1000);
	cr_assert_eq(cancels, 1);
	cr_assert_eq(cancel_code, TTRPC_DEADLINE_EXCEEDED);
	ttrpc_reply(parked, NULL);
	cr_assert_eq(call_id(cl, "Echo", "z", 0, &r), 0);
	cr_assert_str_eq(text(&r), "z");
	ttrpc_result_fini(&r);
	ttrpc_client_free(cl);
	teardown(&f);
}

Test(ttrpc, closed_connection_cancels)
{
	struct fixture f = setup();
	struct ttrpc_client *cl = ttrpc_client_new(f.peer, NULL, 0);
	struct ttrpc_result r;

	cr_assert_eq(call_id(cl, "Park", "x", 1 * MS, &r), -1); /* deadline on our side */
	ttrpc_result_fini(&r);
	ttrpc_client_free(cl);
	for (int i = 0; i < 2000 && (!cancels || ttrpc_server_nr_conns(f.srv)); i++)
		usleep(1000);
	cr_assert_eq(cancels, 1);
	cr_assert_eq(ttrpc_server_nr_conns(f.srv), 0);
	cr_assert(ttrpc_call_cancelled(parked));
	ttrpc_fail(parked, TTRPC_UNKNOWN, "nobody hears this");
	teardown(&f);
}

/* A raw peer: parks a call without deadline, then hangs up. */
Test(ttrpc, hang_up_without_deadline)
{
	struct fixture f = setup();
	Ttrpcmsg__Request env = TTRPCMSG__REQUEST__INIT;
	struct ttrpc_xport x;

	ttrpc_xport_init(&x, f.peer, false);
	env.service = "test.v1.Test";
	env.method = "Park";
	cr_assert_eq(ttrpc_xport_send_msg(&x, 1, TTRPC_T_REQUEST, 0, &env.base, NULL, 0), 0);
	for (int i = 0; i < 2000 && !parked; i++)
		usleep(1000);
	cr_assert_not_null(parked);
	ttrpc_xport_fini(&x);
	for (int i = 0; i < 2000 && !cancels; i++)
		usleep(1000);
	cr_assert_eq(cancels, 1);
	cr_assert_eq(cancel_code, TTRPC_CANCELED);
	ttrpc_reply(parked, NULL);
	teardown(&f);
}

Test(ttrpc, descriptors_travel_both_ways)
{
	struct fixture f = setup();
	struct ttrpc_client *cl = ttrpc_client_new(f.peer, NULL, TTRPC_FDS);
	Streaming__StreamInit q = STREAMING__STREAM_INIT__INIT;
	char path[] = "/tmp/ttrpc-XXXXXX";
	int fd = mkstemp(path);
	struct ttrpc_request req = { .service = svc.name, .method = "Fds", .msg = &q.base,
				     .resp = &streaming__stream_init__descriptor, .fds = &fd,
				     .nr_fds = 1 };
	struct ttrpc_result r;
	struct stat a, b;

	unlink(path);
	cr_assert_eq(write(fd, "Q", 1), 1);
	cr_assert_eq(ttrpc_client_call(cl, &req, &r), 0, "%s", r.message);
	cr_assert_str_eq(text(&r), "Q");
	cr_assert_eq(r.nr_fds, 2);
	cr_assert_eq(fstat(fd, &a), 0);
	cr_assert_eq(fstat(r.fds[1], &b), 0);
	cr_assert(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	cr_assert_neq(fcntl(r.fds[0], F_GETFD) & FD_CLOEXEC, 0);
	ttrpc_result_fini(&r);
	close(fd);
	ttrpc_client_free(cl);
	teardown(&f);
}

Test(ttrpc, metadata)
{
	struct fixture f = setup();
	struct ttrpc_client *cl = ttrpc_client_new(f.peer, NULL, 0);
	Streaming__StreamInit q = STREAMING__STREAM_INIT__INIT;
	struct ttrpc_kv kv = { "containerd-namespace-ttrpc", "k8s.io" };
	struct ttrpc_request req = { .service = svc.name, .method = "Meta", .msg = &q.base,
				     .resp = &streaming__stream_init__descriptor, .metadata = &kv,
				     .nr_metadata = 1 };
	struct ttrpc_result r;

	cr_assert_eq(ttrpc_client_call(cl, &req, &r), 0);
	cr_assert_str_eq(text(&r), "k8s.io");
	ttrpc_result_fini(&r);
	ttrpc_client_free(cl);
	teardown(&f);
}

/* ---- many at once, with a client on its own loop and handlers on workers ---- */

static _Atomic unsigned answered, wrong;

static void counted(void *arg, struct ttrpc_result *r)
{
	char want[32];

	snprintf(want, sizeof(want), "n%zu", (size_t)arg);
	if (r->code != TTRPC_OK || strcmp(text(r), want))
		wrong++;
	answered++;
}

Test(ttrpc, thousand_concurrent, .timeout = 20)
{
	struct fixture f = setup();
	struct ttrpc_workers *w = ttrpc_workers_new(8, 128 << 10, 50);
	struct evloop *cloop = evloop_new();
	struct ttrpc_client *cl;
	struct ttrpc_result res;
	pthread_t t;

	ttrpc_server_set_dispatch(f.srv, ttrpc_workers_dispatch, w);
	cl = ttrpc_client_new(f.peer, cloop, 0);
	cr_assert_eq(pthread_create(&t, NULL, run_loop, cloop), 0);
	for (size_t i = 0; i < 1000; i++) {
		Streaming__StreamInit q = STREAMING__STREAM_INIT__INIT;
		struct ttrpc_request r = { .service = svc.name, .method = "Echo", .msg = &q.base,
					   .resp = &streaming__stream_init__descriptor,
					   .timeout_ns = 15000 * MS };
		char id[32];

		snprintf(id, sizeof(id), "n%zu", i);
		q.id = id;
		ttrpc_client_start(cl, &r, counted, (void *)i);
	}
	cr_assert_eq(call_id(cl, "Echo", "sync", 10000 * MS, &res), 0);
	ttrpc_result_fini(&res);
	for (int i = 0; i < 10000 && answered < 1000; i++)
		usleep(1000);
	cr_assert_eq(answered, 1000);
	cr_assert_eq(wrong, 0);
	evloop_stop(cloop);
	pthread_join(t, NULL);
	ttrpc_client_free(cl);
	evloop_free(cloop);
	teardown(&f);
	ttrpc_workers_free(w);
}

/* ---- raw frames ---- */

struct raw {
	struct ttrpc_xport x;
	unsigned n;
	struct ttrpc_hdr hdr[16];
	int code[16];
};

static int raw_frame(struct ttrpc_xport *x, const struct ttrpc_frame *f)
{
	struct raw *r = container_of(x, struct raw, x);

	cr_assert_lt(r->n, 16);
	r->hdr[r->n] = f->hdr;
	if (f->hdr.type == TTRPC_T_RESPONSE) {
		Ttrpcmsg__Response *env = (Ttrpcmsg__Response *)ttrpc_msg_unpack(
			&ttrpcmsg__response__descriptor, f->body, f->hdr.len, 1 << 20);

		cr_assert_not_null(env);
		r->code[r->n] = env->status ? env->status->code : 0;
		ttrpc_msg_free(&env->base);
	}
	r->n++;
	return 0;
}

static void raw_expect(struct raw *r, unsigned n)
{
	for (int i = 0; i < 2000 && r->n < n; i++) {
		ttrpc_xport_flush(&r->x);
		ttrpc_xport_read(&r->x, raw_frame);
		usleep(1000);
	}
	cr_assert_eq(r->n, n, "%u of %u frames came", r->n, n);
}

static void raw_request(struct raw *r, uint32_t stream, const char *method, uint8_t flags)
{
	Ttrpcmsg__Request env = TTRPCMSG__REQUEST__INIT;

	env.service = "test.v1.Test";
	env.method = (char *)method;
	ttrpc_xport_send_msg(&r->x, stream, TTRPC_T_REQUEST, flags, &env.base, NULL, 0);
}

Test(ttrpc, stream_ids_and_types)
{
	struct fixture f = setup();
	struct raw r = { 0 };
	static const uint8_t bad_pb[] = { 0xff, 0xff, 0xff };

	ttrpc_xport_init(&r.x, f.peer, false);
	raw_request(&r, 2, "Echo", 0); /* even */
	raw_request(&r, 5, "Echo", 0);
	raw_request(&r, 3, "Echo", 0); /* not growing */
	ttrpc_xport_send(&r.x, 7, 99, 0, NULL, 0, NULL, 0); /* unknown type: ignored */
	ttrpc_xport_send(&r.x, 7, TTRPC_T_REQUEST, 0, bad_pb, 3, NULL, 0);
	ttrpc_xport_send(&r.x, 21, TTRPC_T_DATA, 0, "x", 1, NULL, 0); /* never opened */
	raw_request(&r, 9, "Echo", 0);
	raw_expect(&r, 6);
	cr_assert_eq(r.code[0], TTRPC_INVALID_ARGUMENT);
	cr_assert_eq(r.code[1], TTRPC_OK);
	cr_assert_eq(r.code[2], TTRPC_INVALID_ARGUMENT);
	cr_assert_eq(r.code[3], TTRPC_INVALID_ARGUMENT);
	cr_assert_eq(r.hdr[3].stream, 7);
	cr_assert_eq(r.code[4], TTRPC_INVALID_ARGUMENT);
	cr_assert_eq(r.code[5], TTRPC_OK);
	cr_assert_eq(r.hdr[5].flags, 0);
	ttrpc_xport_fini(&r.x);
	teardown(&f);
}

Test(ttrpc, oversized_request_is_refused_on_its_stream)
{
	struct fixture f = setup();
	struct raw r = { 0 };
	size_t n = TTRPC_MAX_DATA + 7;
	uint8_t hdr[TTRPC_HDR_LEN], *junk = calloc(1, n);

	ttrpc_xport_init(&r.x, f.peer, false);
	ttrpc_hdr_put(hdr, (uint32_t)n, 1, TTRPC_T_REQUEST, 0);
	cr_assert_eq(write(f.peer, hdr, sizeof(hdr)), (ssize_t)sizeof(hdr));
	for (size_t at = 0; at < n;) {
		ssize_t k = write(f.peer, junk + at, n - at);

		cr_assert_gt(k, 0);
		at += (size_t)k;
	}
	raw_request(&r, 3, "Echo", 0);
	raw_expect(&r, 2);
	cr_assert_eq(r.code[0], TTRPC_RESOURCE_EXHAUSTED);
	cr_assert_eq(r.hdr[0].stream, 1);
	cr_assert_eq(r.code[1], TTRPC_OK);
	free(junk);
	ttrpc_xport_fini(&r.x);
	teardown(&f);
}

Test(ttrpc, bidirectional_stream)
{
	struct fixture f = setup();
	struct raw r = { 0 };
	Streaming__StreamInit m = STREAMING__STREAM_INIT__INIT;

	ttrpc_xport_init(&r.x, f.peer, false);
	m.id = "one";
	raw_request(&r, 1, "Bidi", TTRPC_F_REMOTE_OPEN);
	ttrpc_xport_send_msg(&r.x, 1, TTRPC_T_DATA, 0, &m.base, NULL, 0);
	raw_expect(&r, 2);
	ttrpc_xport_send(&r.x, 1, TTRPC_T_DATA, TTRPC_F_REMOTE_CLOSED | TTRPC_F_NO_DATA, NULL, 0, NULL, 0);
	raw_expect(&r, 3);
	cr_assert_eq(r.hdr[0].type, TTRPC_T_DATA);
	cr_assert_eq(r.hdr[1].len, 5);
	cr_assert_eq(r.hdr[2].type, TTRPC_T_DATA);
	cr_assert_eq(r.hdr[2].flags, TTRPC_F_REMOTE_CLOSED | TTRPC_F_NO_DATA);
	/* closing with data breaks the rules of the stream, not the connection */
	raw_request(&r, 3, "Bidi", TTRPC_F_REMOTE_OPEN);
	ttrpc_xport_send_msg(&r.x, 3, TTRPC_T_DATA, TTRPC_F_REMOTE_CLOSED, &m.base, NULL, 0);
	raw_request(&r, 5, "Echo", 0);
	raw_expect(&r, 5);
	cr_assert_eq(r.code[3], TTRPC_INVALID_ARGUMENT);
	cr_assert_eq(r.code[4], TTRPC_OK);
	ttrpc_xport_fini(&r.x);
	teardown(&f);
}
