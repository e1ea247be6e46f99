/* SPDX-License-Identifier: Apache-2.0
 * shim/streams.h - stdio over containerd's Streaming service instead of FIFOs
 *
 * Model:   a stream is a name and our end of a pipe; the process (or the console copy) has the other. It waits
 *          for a client to ask for its name, survives the client's disconnection, and ends with the pipe.
 * Source:  CONVENTIONS D.10, last paragraph.
 */
#ifndef SHIM_STREAMS_H
#define SHIM_STREAMS_H

#include "base/err.h"
#include "ttrpc.h"

struct streams;

struct streams *streams_new(struct evloop *loop);
void streams_free(struct streams *s); /* loop's thread, or after it ended */

/* Registers @name. @to_client: the process writes to *@out_fd, else it reads from it; moved to the caller.
 * Return: 0, or -1 with @e (EEXIST taken). Any thread. */
int streams_open(struct streams *s, const char *name, bool to_client, int *out_fd, struct err *e);
/* Ends what was registered for @name, if it still is; unread output is dropped. Any thread. */
void streams_close(struct streams *s, const char *name);
/* The handler of Streaming/Stream. */
void streams_serve(struct streams *s, struct ttrpc_call *call);

#endif
