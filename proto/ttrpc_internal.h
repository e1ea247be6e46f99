/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_internal.h - frames and the byte transport that server and client share
 */
#ifndef PROTO_TTRPC_INTERNAL_H
#define PROTO_TTRPC_INTERNAL_H

#include "base/buf.h"
#include "base/list.h"
#include "base/mutex.h"
#include "ttrpc.h"
#include "ttrpc_loop.h"

/* ---- ttrpc_frame.c: 10 bytes, big endian: u32 length, u32 stream, u8 type, u8 flags ---- */

#define TTRPC_HDR_LEN 10

enum ttrpc_frame_type { TTRPC_T_REQUEST = 1, TTRPC_T_RESPONSE = 2, TTRPC_T_DATA = 3 };
enum ttrpc_frame_flags {
	TTRPC_F_REMOTE_CLOSED = 1,
	TTRPC_F_REMOTE_OPEN = 2,
	TTRPC_F_NO_DATA = 4,
};

struct ttrpc_hdr {
	uint32_t len, stream;
	uint8_t type, flags;
};

/* Cuts a byte stream into frames; pure, so that it can be fuzzed without sockets. */
struct ttrpc_framer {
	uint8_t raw[TTRPC_HDR_LEN];
	size_t raw_len;	    /* header bytes so far */
	struct ttrpc_hdr hdr; /* valid when raw_len == TTRPC_HDR_LEN */
	struct buf body;    /* grows as bytes come, not by what the header claims */
	size_t drained;	    /* bytes of an oversized body thrown away so far */
};

struct ttrpc_frame {
	struct ttrpc_hdr hdr;
	const uint8_t *body; /* hdr.len bytes; NULL for an oversized frame */
	bool oversized;	     /* longer than TTRPC_MAX_DATA, drained */
};

void ttrpc_framer_fini(struct ttrpc_framer *f);
/* Takes bytes from *@p (advanced) up to the end of one frame. Return: 1 and *@out (whose body lives
 * until the next call), 0 when all bytes were taken, -ENOMEM. */
int ttrpc_framer_feed(struct ttrpc_framer *f, const uint8_t **p, const uint8_t *end,
		      struct ttrpc_frame *out);
void ttrpc_hdr_put(uint8_t out[TTRPC_HDR_LEN], uint32_t len, uint32_t stream, uint8_t type,
		   uint8_t flags);

/* ---- ttrpc_xport.c: one socket, frames in, frames out ---- */

/* Bytes a peer may leave unread before it is taken for dead. */
#define TTRPC_OUT_MAX (64u << 20)

struct ttrpc_xport {
	struct ev_source src;	  /* the loop's, when there is one */
	int fd;			  /* immutable until closed on the loop's thread */
	struct mutex mu;	  /* guards the next five, and what the owner says */
	struct list out;	  /* of struct out_frame, oldest first */
	size_t out_bytes;
	bool want_out;		  /* EPOLLOUT is armed */
	bool broken;		  /* no more sending; set once */
	bool in_loop;		  /* src is (being) watched */
	bool take_fds;		  /* immutable */
	struct ttrpc_framer in;	  /* owned by the reading thread */
	int fds[TTRPC_MAX_FDS];	  /* came with the frame being read; same owner */
	size_t nr_fds;
};

void ttrpc_xport_init(struct ttrpc_xport *x, int fd, bool take_fds);
/* Closes and frees; nobody else may use it any more, and it is out of the loop. */
void ttrpc_xport_fini(struct ttrpc_xport *x);

/* Reads once what the socket has and calls @on_frame for each frame; that may use (and zero) x->fds.
 * @on_frame returns 0, or negative to break the connection.
 * Return: 0 (also: nothing there), or -errno; -EPIPE at the end of stream. Never blocks. */
int ttrpc_xport_read(struct ttrpc_xport *x,
		     int (*on_frame)(struct ttrpc_xport *x, const struct ttrpc_frame *f));
/* Queues or sends a frame of header and @body; never blocks. *@fds are borrowed.
 * Return: 0, -EPIPE when broken, -EMSGSIZE, -ENOMEM. */
int ttrpc_xport_send(struct ttrpc_xport *x, uint32_t stream, uint8_t type, uint8_t flags,
		     const void *body, size_t len, const int *fds, size_t nr_fds);
int ttrpc_xport_send_locked(struct ttrpc_xport *x, uint32_t stream, uint8_t type, uint8_t flags,
			    const void *body, size_t len, const int *fds, size_t nr_fds)
	REQUIRES(x->mu);
int ttrpc_xport_send_msg(struct ttrpc_xport *x, uint32_t stream, uint8_t type, uint8_t flags,
			 const ProtobufCMessage *msg, const int *fds, size_t nr_fds);
/* Sends what is queued. Return: 0 (see x->out for what is left), or -errno. */
int ttrpc_xport_flush(struct ttrpc_xport *x);
/* Makes further sends fail and the peer see the end; safe from any thread. */
void ttrpc_xport_break(struct ttrpc_xport *x);

/* Packs @msg; NULL = an empty message. Return: malloc'd bytes (never NULL unless out of memory). */
uint8_t *ttrpc_pack(const ProtobufCMessage *msg, size_t *out_len);

#endif
