/* SPDX-License-Identifier: Apache-2.0
 * shim/stdio.h - where a process's stdin, stdout and stderr come from and go to
 *
 * Model:   containerd names each stream by a path or URI (CONVENTIONS D.11). stdio_open() makes what the
 *          process gets (pipes, mostly), the loop copies between those and the named ends. FIFOs are held
 *          open at their other side too, so that a containerd that restarts breaks nothing and loses
 *          nothing: a full FIFO stops the copy, the copy stops the process.
 * Threads: open, given, console and close may be called from any thread, each process's from one at a time;
 *          stdio_drain() on the loop's.
 */
#ifndef SHIM_STDIO_H
#define SHIM_STDIO_H

#include "base/err.h"
#include "ttrpc_loop.h"

struct stdio;
struct streams;

struct stdio_args {
	const char *in, *out, *err; /* "" = none */
	bool terminal;
	const char *ns, *id;	    /* for loggers; id = container's or exec's */
	uint32_t uid, gid;	    /* owner of the pipes */
	struct streams *streams;    /* who serves ttrpc+unix:// streams; NULL = nobody */
	void (*done)(void *arg);    /* loop's thread: all output was copied and the process's ends are closed */
	void *arg;
};

/* On failure (e filled) nothing is left. */
struct stdio *stdio_open(struct evloop *loop, const struct stdio_args *a, struct err *e);
/* The three descriptors for the process, -1 = /dev/null; owned by @io. None with a terminal. */
const int *stdio_fds(const struct stdio *io);
/* The process has its own copies now: closes ours. */
void stdio_given(struct stdio *io);
/* Begins copying to and from a pty master (moved). */
int stdio_console(struct stdio *io, int master, struct err *e);
/* Copies all that the process has written so far, as far as its readers take it. */
void stdio_drain(struct stdio *io);
/* True when all output was copied to its end. */
bool stdio_finished(const struct stdio *io);
/* No more input: the process sees the end once what is in the FIFO has been copied. */
void stdio_close_stdin(struct stdio *io);
/* Gives up all streams and frees, on the loop's thread, soon. NULL is fine. */
void stdio_free(struct stdio *io);

/* ---- uri.c ---- */

enum stdio_scheme { STDIO_NONE, STDIO_FIFO, STDIO_FILE, STDIO_BINARY, STDIO_BINARY_V2, STDIO_STREAM };

struct stdio_uri {
	enum stdio_scheme scheme;
	char *path;   /* malloc'ed */
	char **query; /* k, v, k, v, ... decoded; malloc'ed */
	size_t nr_query;
};

int stdio_uri_parse(const char *s, struct stdio_uri *out, struct err *e);
void stdio_uri_fini(struct stdio_uri *u);

/* ---- logger.c: binary:// ---- */

struct logger; /* a process that reads output from descriptors 3 and 4 */

/* @out_fds: write ends for stdout and stderr, moved to the caller. Waits until it says it is ready. */
struct logger *logger_start(const struct stdio_uri *u, const char *ns, const char *id, int out_fds[2],
			    struct err *e);
/* SIGTERM, SIGKILL after 12 s; frees. Loop's thread. */
void logger_stop(struct evloop *loop, struct logger *l);

#endif
