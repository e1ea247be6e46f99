/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc.h - ttrpc server and client over AF_UNIX stream sockets, protobuf-c messages
 *
 * Model:   A server is tables of services on an evloop (ttrpc_loop.h). The loop's thread reads frames
 *          and either calls handlers itself or hands each call to a dispatcher (ttrpc_workers.h, or the
 *          caller's own). A handler owns one reference of its call and ends it exactly once with
 *          ttrpc_reply*() or ttrpc_fail(), at once or hours later, from any thread: a call that waits
 *          costs no thread. Requests of one connection run concurrently, replies go in any order.
 * Descriptors: SCM_RIGHTS descriptors that come with a request belong to its call; handlers take them
 *          with ttrpc_call_take_fd(), the rest are closed with the call. Only servers and clients that
 *          ask for it (TTRPC_FDS) receive any; containerd's sockets do not.
 * Locks:   each connection has one leaf mutex, never held across a callback or a blocking call.
 * Source:  github.com/containerd/ttrpc PROTOCOL.md. 4 MiB cap: an oversized frame is drained and its
 *          stream answered RESOURCE_EXHAUSTED. Response flags are 0.
 * Host:    recvmsg or recvfrom, sendmsg, accept4, getsockopt, shutdown, close, fcntl (F_DUPFD_CLOEXEC, for
 *          descriptors that have to queue), and what the loop needs.
 */
#ifndef PROTO_TTRPC_H
#define PROTO_TTRPC_H

#include <protobuf-c/protobuf-c.h>

#include "base/util.h"
#include "ttrpc_loop.h"

#define TTRPC_MAX_DATA	   (4u << 20) /* bytes after the header of one frame */
#define TTRPC_MAX_FDS	   64	      /* descriptors with one frame */

enum ttrpc_code {
	TTRPC_OK = 0,
	TTRPC_CANCELED = 1,
	TTRPC_UNKNOWN = 2,
	TTRPC_INVALID_ARGUMENT = 3,
	TTRPC_DEADLINE_EXCEEDED = 4,
	TTRPC_NOT_FOUND = 5,
	TTRPC_ALREADY_EXISTS = 6,
	TTRPC_PERMISSION_DENIED = 7,
	TTRPC_RESOURCE_EXHAUSTED = 8,
	TTRPC_FAILED_PRECONDITION = 9,
	TTRPC_ABORTED = 10,
	TTRPC_OUT_OF_RANGE = 11,
	TTRPC_UNIMPLEMENTED = 12,
	TTRPC_INTERNAL = 13,
	TTRPC_UNAVAILABLE = 14,
	TTRPC_DATA_LOSS = 15,
	TTRPC_UNAUTHENTICATED = 16,
};

enum ttrpc_code ttrpc_code_from_errno(int err); /* ENOENT -> NOT_FOUND, EEXIST -> ALREADY_EXISTS, ... */

struct ttrpc_call;
struct ttrpc_server;
struct ttrpc_client;

/* ---- server ---- */

typedef void (*ttrpc_handler)(struct ttrpc_call *call, const ProtobufCMessage *req);

enum ttrpc_method_flags {
	TTRPC_STREAM_IN = 1,  /* the client sends any number of messages (of type @req) */
	TTRPC_STREAM_OUT = 2, /* we send any number of messages (of type @resp) */
};

struct ttrpc_method {
	const char *name;
	const ProtobufCMessageDescriptor *req, *resp;
	/* @req lives until the call is freed. For TTRPC_STREAM_IN methods it is NULL: the messages,
	 * the first one included, come through ttrpc_stream_on_data(). */
	ttrpc_handler handler;
	unsigned flags;
};

struct ttrpc_service {
	const char *name; /* "containerd.task.v2.Task" */
	const struct ttrpc_method *methods;
	size_t nr_methods;
};

enum ttrpc_flags { TTRPC_FDS = 1 /* accept descriptors from the peer */ };

/* A server on @loop (borrowed, outlives it). NULL when out of memory. */
struct ttrpc_server *ttrpc_server_new(struct evloop *loop, unsigned flags);
/* Registers a table (borrowed for the server's life); @ctx is what ttrpc_call_ctx() returns. Before
 * the first connection only. Return: 0 or -errno. */
int ttrpc_server_register(struct ttrpc_server *s, const struct ttrpc_service *svc, void *ctx);
/* Hands calls to @fn instead of running handlers on the loop's thread; @fn (or a thread of its own)
 * then calls ttrpc_call_run(). Streams' data callbacks stay on the loop's thread. */
void ttrpc_server_set_dispatch(struct ttrpc_server *s,
			       void (*fn)(void *arg, struct ttrpc_call *call), void *arg);
void ttrpc_call_run(struct ttrpc_call *call);
/* Serves a listening socket / a connected socket; ownership moves. Return: 0 or -errno (then closed). */
int ttrpc_server_listen(struct ttrpc_server *s, int listen_fd);
int ttrpc_server_adopt(struct ttrpc_server *s, int conn_fd);
/* Closes listeners and connections; calls in progress are cancelled, their late replies go nowhere.
 * On the loop's thread (not inside a handler or callback of this server) or after the loop ended. */
void ttrpc_server_free(struct ttrpc_server *s);
unsigned ttrpc_server_nr_conns(const struct ttrpc_server *s);

/* ---- a call, as its handler sees it ---- */

void *ttrpc_call_ctx(const struct ttrpc_call *c);
const struct ttrpc_service *ttrpc_call_service(const struct ttrpc_call *c);
const struct ttrpc_method *ttrpc_call_method(const struct ttrpc_call *c);
/* The first value of a metadata key, NULL when absent; lives as long as the call. */
const char *ttrpc_call_metadata(const struct ttrpc_call *c, const char *key);
uint64_t ttrpc_call_deadline_ns(const struct ttrpc_call *c); /* CLOCK_MONOTONIC, 0 = none */
/* The peer's process, from SO_PEERCRED at accept. */
void ttrpc_call_peer(const struct ttrpc_call *c, int *out_pid, unsigned *out_uid, unsigned *out_gid);

size_t ttrpc_call_nr_fds(const struct ttrpc_call *c);
/* Moves descriptor @i out of the call; -1 when there is none (left). */
int ttrpc_call_take_fd(struct ttrpc_call *c, size_t i);

/* Hangs @data on the call; @release(data) runs when the call is freed (not when it is answered). */
void ttrpc_call_set_data(struct ttrpc_call *c, void *data, void (*release)(void *));
void *ttrpc_call_data(const struct ttrpc_call *c);

/**
 * ttrpc_call_on_cancel() - be told when nobody waits for the answer any more
 * @fn:	called at most once, on the loop's thread, when the peer is gone (TTRPC_CANCELED) or the
 *	deadline has passed (TTRPC_DEADLINE_EXCEEDED, already answered for the handler). It may run
 *	beside a concurrent reply but never begins after one; so it may use the call's data only.
 *
 * The handler still ends the call as usual; that reply is dropped.
 * Return: false when it is too late already; then @fn is never called.
 */
bool ttrpc_call_on_cancel(struct ttrpc_call *c, void (*fn)(struct ttrpc_call *c, enum ttrpc_code why));
bool ttrpc_call_cancelled(const struct ttrpc_call *c);

void ttrpc_call_get(struct ttrpc_call *c); /* a further reference, ended by ttrpc_call_put() */
void ttrpc_call_put(struct ttrpc_call *c);

/* Each ends the call and the caller's reference. @resp is borrowed; NULL = an empty message. */
void ttrpc_reply(struct ttrpc_call *c, const ProtobufCMessage *resp);
/* Also sends @nfds descriptors (borrowed: duplicated when they cannot be sent at once). */
void ttrpc_reply_fds(struct ttrpc_call *c, const ProtobufCMessage *resp, const int *fds, size_t nfds);
void ttrpc_fail(struct ttrpc_call *c, enum ttrpc_code code, const char *fmt, ...) PRINTF(3, 4);

/* Streams. Data callback: loop thread; @msg NULL = the client's end of the stream. The message is freed
 * after the callback. Messages that came before registration are delivered at registration, on the
 * calling thread. The callback may end the call. */
void ttrpc_stream_on_data(struct ttrpc_call *c,
			  void (*fn)(struct ttrpc_call *c, const ProtobufCMessage *msg));
/* Sends one message of a TTRPC_STREAM_OUT call; ttrpc_reply(c, NULL) then ends the stream.
 * Return: 0, -EPIPE when the peer is gone, -EMSGSIZE, -ENOMEM. */
int ttrpc_stream_send(struct ttrpc_call *c, const ProtobufCMessage *msg);

/* ---- client ---- */

struct ttrpc_kv {
	const char *key, *value;
};

struct ttrpc_request {
	const char *service, *method;
	const ProtobufCMessage *msg;		 /* borrowed */
	const ProtobufCMessageDescriptor *resp;	 /* what a successful answer is decoded as */
	uint64_t timeout_ns;			 /* 0 = none; told to the server and kept here */
	const int *fds;				 /* borrowed */
	size_t nr_fds;
	const struct ttrpc_kv *metadata;	 /* borrowed */
	size_t nr_metadata;
};

struct ttrpc_result {
	enum ttrpc_code code;	/* TTRPC_UNAVAILABLE when the connection broke */
	char *message;		/* never NULL; "" on success */
	ProtobufCMessage *resp; /* NULL unless TTRPC_OK */
	int fds[TTRPC_MAX_FDS]; /* owned by the result; -1 = taken */
	size_t nr_fds;
};

/* Frees what hangs on @r (not @r itself), closes descriptors left. */
void ttrpc_result_fini(struct ttrpc_result *r);

/* Connects to an AF_UNIX path; "unix://" in front is skipped. Return: descriptor or -errno. */
int ttrpc_dial(const char *address);

/**
 * ttrpc_client_new() - speak ttrpc on a connected socket
 * @fd:		moved, also on failure
 * @loop:	whose thread reads answers; NULL = each ttrpc_client_call() reads by itself, and the
 *		client belongs to one thread at a time
 * @flags:	TTRPC_FDS to accept descriptors with answers
 */
struct ttrpc_client *ttrpc_client_new(int fd, struct evloop *loop, unsigned flags);
/* Fails what is in progress with TTRPC_CANCELED and closes. With a loop: on its thread, or after it ended. */
void ttrpc_client_free(struct ttrpc_client *cl);
bool ttrpc_client_broken(const struct ttrpc_client *cl);

/* Sends and waits. Not on the client's own loop thread. @out is always filled; the caller ends it
 * with ttrpc_result_fini(). Return: 0 when TTRPC_OK, else -1. */
int ttrpc_client_call(struct ttrpc_client *cl, const struct ttrpc_request *req, struct ttrpc_result *out);
/* Sends; @done runs once on the loop's thread (also on failure, never before this returns on that
 * thread). The result belongs to the library and is freed after @done; take what you keep. */
void ttrpc_client_start(struct ttrpc_client *cl, const struct ttrpc_request *req,
			void (*done)(void *arg, struct ttrpc_result *res), void *arg);

/* ---- protobuf-c helpers ---- */

/* Decodes with memory bounded to @max_bytes in all (hostile repeated fields). The message and all that
 * hangs on it is one arena: end it with ttrpc_msg_free(), never with its __free_unpacked(). */
ProtobufCMessage *ttrpc_msg_unpack(const ProtobufCMessageDescriptor *d, const void *data, size_t len,
				   size_t max_bytes);
void ttrpc_msg_free(ProtobufCMessage *msg);

#endif
