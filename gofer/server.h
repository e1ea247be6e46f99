/* SPDX-License-Identifier: Apache-2.0
 * gofer/server.h - the 9P2000.L server: what it serves, and one connection
 *
 * Model:   a server is a list of roots (host descriptors); a client attaches to root "N". Everything a
 *          client may name hangs below a root: an object is held by an O_PATH descriptor, a step is one
 *          component from a directory descriptor, links are never followed, ".." is refused.
 *          Calls that want a path get the decimal number of one of our own descriptors, resolved in
 *          /proc/self/fd, which gofer_server_init() makes the working directory.
 * Locks:   fid.c: conn->fids_mu (leaf); gfid->mu (may be held across directory reads);
 *          session.c: conn->flush_mu (leaf), conn->rd_mu, conn->wr_mu (across socket calls).
 */
#ifndef GOFER_SERVER_H
#define GOFER_SERVER_H

#include "base/err.h"
#include "p9.h"

#define GOFER_FIDS_MAX	  65536 /* per connection; RLIMIT_NOFILE usually says less */
#define GOFER_THREADS	  4
#define GOFER_THREADS_MAX 16

struct gofer_root {
	int fd;	 /* O_PATH, of a directory or (bind mount of a file) anything; borrowed */
	bool ro; /* the mount is read-only too; this is the second lock on that door */
};

/* Host objects other than files and directories that may be opened, chosen by flags of runsc. */
#define GOFER_UDS_OPEN	 0x1u /* connect(2) to existing unix sockets */
#define GOFER_UDS_CREATE 0x2u /* bind(2) new ones */
#define GOFER_FIFO_OPEN	 0x4u /* open(2) existing fifos */

struct gofer_server {
	const struct gofer_root *roots; /* immutable */
	unsigned nr_roots;
	unsigned policy; /* GOFER_UDS_*, GOFER_FIFO_OPEN */
};

/**
 * gofer_server_init() - prepare this process to serve
 * @procfd:	an O_PATH descriptor of this process's /proc/self/fd; borrowed. It becomes the working
 *		directory of the process, which must not change afterwards.
 *
 * Also sets umask 0. Return: 0, or -1 with @e
 */
int gofer_server_init(int procfd, struct err *e);

struct gofer_conn;

struct gofer_conn *gofer_conn_new(const struct gofer_server *srv);
void gofer_conn_free(struct gofer_conn *c);

/**
 * gofer_conn_handle() - answer one request
 * @req, @len:	one whole message as it came, hostile
 * @rep:	P9_MSIZE_MAX bytes for the reply
 * @out_fd:	a descriptor to send along with the reply, owned by the caller; -1: none
 *
 * Any number of threads may call it at once.
 * Return: length of the reply, always > 0
 */
size_t gofer_conn_handle(struct gofer_conn *c, const uint8_t *req, size_t len, uint8_t *rep,
			 int *out_fd);

struct gofer_threads;

/**
 * gofer_conn_start() - make the threads that will serve @sock (AF_UNIX stream or packet, any stream)
 *
 * They wait for gofer_conn_go(), so that the process can be confined in between, when all threads exist.
 * gofer_conn_join() returns when the peer hung up or broke the framing. @sock is borrowed.
 * Return: NULL with @e; the process should end then
 */
struct gofer_threads *gofer_conn_start(struct gofer_conn *c, int sock, unsigned threads, struct err *e);
void gofer_conn_go(struct gofer_threads *t);
void gofer_conn_join(struct gofer_threads *t);

/* All three. Return: 0, or -1 with @e */
int gofer_conn_serve(struct gofer_conn *c, int sock, unsigned threads, struct err *e);

#endif
