/* SPDX-License-Identifier: Apache-2.0
 * proto/p9_client.h - calling a 9P server: many callers, one socket
 *
 * Model:   a caller sends its request itself; then one of the waiting callers reads replies for all
 *          until its own has come, and passes the reading on. So a lone caller costs two host calls and no
 *          wake-up of anybody. How a caller sleeps is a matter of the ops: a futex for plain threads, the
 *          scheduler of sentry/run for kernel threads.
 *          A reply that makes no sense (unknown tag, wrong type, cut, over the agreed size) ends the
 *          connection: every call then fails with -EIO.
 * Locks:   client->mu, leaf but for the ops' wake; never held across a socket call. tx_mu (streams only)
 *          is held across sends: it is a flag with parked waiters, not a mutex.
 */
#ifndef PROTO_P9_CLIENT_H
#define PROTO_P9_CLIENT_H

#include "base/list.h"
#include "base/mutex.h"
#include "p9.h"

#define P9_CLIENT_SLOTS 64
#define P9_ECODE_MAX	133u /* EHWPOISON: what a guest may see; anything above is EIO */

struct p9_call {
	struct p9_msg req; /* filled by the caller but for the tag; strings and data are borrowed */
	struct p9_msg rep; /* valid after p9_call() returned 0, until p9_call_end() */
	int fd;		   /* came with the reply; owned by the caller (set to -1 to keep it); -1 */

	/* private */
	struct list node;
	struct p9_slot *slot;
	_Atomic uint32_t wake; /* 1: park() returns */
	void *sleeper;	       /* what ops->sleeper() said when the call began */
	long result;
	bool done, sent;
};

struct p9_client_ops {
	/* Who calls, for unpark(); NULL: nothing to remember. */
	void *(*sleeper)(void);
	/* Sleeps until call->wake is 1. Called without locks. */
	void (*park)(struct p9_call *call);
	/* Sets call->wake to 1 and wakes. Called with client->mu held; the call does not go away before that is
	 * released. */
	void (*unpark)(struct p9_call *call);
	/* Around a socket call that may block; NULL: nothing to do. */
	void (*block_begin)(void);
	void (*block_end)(void);
};
extern const struct p9_client_ops p9_client_thread_ops; /* futex */

struct p9_client;

/**
 * p9_client_new() - agree on version and size
 * @sock:	connected; owned by the client from now on, also on failure
 * @want_ext:	ask for P9_VERSION_EXT first; a server without it gets P9_VERSION
 * @msize:	most bytes of one message, clamped to what the protocol and the socket allow
 *
 * Return: 0, -errno (-EPROTO: it does not speak 9P2000.L)
 */
long p9_client_new(int sock, bool want_ext, uint32_t msize, const struct p9_client_ops *ops,
		   struct p9_client **out);
void p9_client_free(struct p9_client *c); /* no calls may be under way; NULL is fine */

uint32_t p9_client_msize(const struct p9_client *c); /* agreed on */
bool p9_client_ext(const struct p9_client *c);	     /* extensions agreed on */
bool p9_client_dead(const struct p9_client *c);
/* Makes all calls, also those under way, fail with -EIO. Callable from any thread. */
void p9_client_kill(struct p9_client *c);

/* Fid numbers, never used twice at a time; p9_client_fid_free() only after the server forgot it. */
uint32_t p9_client_fid(struct p9_client *c); /* P9_NOFID: none left */
void p9_client_fid_free(struct p9_client *c, uint32_t fid);

/**
 * p9_call() - one round trip (sleeps)
 *
 * Return: 0; -errno: the server's error, -EIO when the connection is dead, -EMSGSIZE when the request does not fit
 */
long p9_call(struct p9_client *c, struct p9_call *call);
/* Gives back what a call that returned 0 holds; closes call->fd unless it is -1. */
void p9_call_end(struct p9_client *c, struct p9_call *call);

/* Tclunk, and the number is free again; errors say nothing that one could act on. */
void p9_clunk(struct p9_client *c, uint32_t fid);
/* The same for up to P9X_FIDS_MAX of them: one message where the server knows how; without @wait nobody waits for the answer. */
void p9_clunk_all(struct p9_client *c, const uint32_t *fids, unsigned n, bool wait);

#endif
