/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_call.h - what ttrpc_server.c and ttrpc_call.c share: connections and calls
 */
#ifndef PROTO_TTRPC_CALL_H
#define PROTO_TTRPC_CALL_H

#include <sys/socket.h>

#include "ttrpc_internal.h"
#include "ttrpcmsg.pb-c.h"

#define TTRPC_SERVICES_MAX 16

struct ttrpc_reg {
	const struct ttrpc_service *svc;
	void *ctx;
};

struct ttrpc_server {
	struct evloop *loop; /* immutable */
	unsigned flags;	     /* immutable: enum ttrpc_flags */
	struct ttrpc_reg services[TTRPC_SERVICES_MAX]; /* immutable once serving */
	size_t nr_services;
	void (*dispatch)(void *arg, struct ttrpc_call *call);
	void *dispatch_arg;
	struct list listeners, conns; /* owned by the loop's thread */
	_Atomic unsigned nr_conns;
};

struct ttrpc_listener {
	struct ev_source src;
	struct list node;
	struct ttrpc_server *server;
	int fd;
};

struct ttrpc_conn {
	struct ttrpc_xport x;
	struct refcount refs;	     /* the server's until closed, one per call */
	struct list node;	     /* in server->conns */
	struct ttrpc_server *server; /* loop's thread; NULL once closed */
	struct evloop *loop;	     /* immutable */
	uint32_t last_stream;	     /* loop's thread */
	struct list calls;	     /* guarded by x.mu: in progress */
	_Atomic size_t nr_calls;
	struct ucred peer;	     /* immutable */
};

struct stream_msg {
	struct list node;
	ProtobufCMessage *msg; /* NULL = end of stream */
	size_t bytes;
};

struct ttrpc_call {
	struct refcount refs;
	struct ttrpc_conn *conn;	   /* reference */
	uint32_t stream;		   /* immutable, like the next six */
	const struct ttrpc_reg *reg;
	const struct ttrpc_method *method;
	Ttrpcmsg__Request *env;
	ProtobufCMessage *msg;
	uint64_t deadline_ns;
	int fds[TTRPC_MAX_FDS];		   /* owned by the handler */
	size_t nr_fds;
	void *data;
	void (*release)(void *);
	struct ev_timer timer;		   /* armed = holds a reference */
	struct list node;		   /* guarded by conn->x.mu, like all below */
	bool done;			   /* answered, or nobody waits */
	bool cancelled;
	void (*on_cancel)(struct ttrpc_call *, enum ttrpc_code);
	void (*on_data)(struct ttrpc_call *, const ProtobufCMessage *);
	struct list in;			   /* of struct stream_msg */
	size_t in_bytes;
	bool in_ended, delivering;
};

struct ttrpc_call *ttrpc_call_new(struct ttrpc_conn *cn, uint32_t stream, const struct ttrpc_reg *reg,
				  const struct ttrpc_method *m, Ttrpcmsg__Request *env,
				  ProtobufCMessage *msg);
/* Ends a call on the library's own account, unless it is done already, and tells its handler. Loop's
 * thread; takes no reference. */
void ttrpc_call_abort(struct ttrpc_call *c, enum ttrpc_code code, const char *msg);
/* A stream message (bytes, copied) or its end (@data NULL), from the loop's thread. The
 * caller has a reference, or the call has not been started. */
void ttrpc_call_stream_in(struct ttrpc_call *c, const void *data, size_t len);
/* With a reference, or NULL. */
struct ttrpc_call *ttrpc_conn_find_call(struct ttrpc_conn *cn, uint32_t stream);
void ttrpc_conn_send_status(struct ttrpc_conn *cn, uint32_t stream, enum ttrpc_code code,
			    const char *msg);
void ttrpc_conn_cancel_calls(struct ttrpc_conn *cn);
void ttrpc_conn_put(struct ttrpc_conn *cn);

#endif
