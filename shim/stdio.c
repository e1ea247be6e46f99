/* SPDX-License-Identifier: Apache-2.0
 * shim/stdio.c - see stdio.h
 *
 * Model:   a stream is a struct copy: source, destination, and the one of them that it waits for. Pipe to
 *          FIFO goes by splice(2), so big output is not touched; terminals and files by a buffer that
 *          exists only while its destination is full.
 * Source:  splice(2), fifo(7): a FIFO opened for reading before any writer came does not poll as hung up.
 */
#include "shim/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "shim/shim_util.h"
#include "shim/streams.h"

#define CHUNK	     (32u << 10)
#define SPLICE_CHUNK (1u << 20)
#define STEPS_MAX    64	  /* chunks before other streams get their turn */
#define DRAIN_MAX    1024 /* chunks of one stream when its process has ended */
#define READER_MAX_MS 5000 /* for a FIFO's reader to come */

struct copy {
	struct stdio *io;
	struct ev_source ev; /* of the end that it waits for */
	int src, dst;	     /* owned; -1 = unused copy */
	int hold;	     /* the FIFO's other side */
	bool output, splices, on_dst;
	char *buf;	     /* what dst did not take yet */
	size_t off, len;
};

enum { IN, OUT, ERR };

struct stdio {
	struct evloop *loop;
	struct copy copies[3];
	int child[3];		/* the process's ends until stdio_given() */
	_Atomic int in_hold;	/* our writer on the stdin FIFO */
	_Atomic unsigned nr_out; /* output copies under way */
	bool terminal;
	int tty_in, tty_out, tty_hold; /* named ends that wait for the console */
	struct logger *logger;
	struct streams *streams;
	char *stream_names[3];
	void (*done)(void *);
	void *arg;
	struct ev_work release;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void set_nonblock(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* ---- copying, on the loop's thread ---- */

enum step { STEP_MORE, STEP_SRC, STEP_DST, STEP_END };

static enum step flush_buf(struct copy *c)
{
	ssize_t n;

	while (c->off < c->len) {
		n = write(c->dst, c->buf + c->off, c->len - c->off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return STEP_DST;
		if (n < 0)
			return STEP_END; /* nobody reads any more, or the disk is full */
		c->off += (size_t)n;
	}
	c->off = c->len = 0;
	return STEP_MORE;
}

static enum step step_splice(struct copy *c)
{
	ssize_t n = splice(c->src, NULL, c->dst, NULL, SPLICE_CHUNK, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	int left = 0;

	if (n > 0)
		return STEP_MORE;
	if (n == 0)
		return STEP_END;
	if (errno == EINTR)
		return STEP_MORE;
	if (errno == EINVAL) {
		c->splices = false;
		return STEP_MORE;
	}
	if (errno != EAGAIN)
		return STEP_END;
	return ioctl(c->src, FIONREAD, &left) == 0 && left > 0 ? STEP_DST : STEP_SRC;
}

static enum step step(struct copy *c)
{
	enum step s;
	ssize_t n;

	if (c->len && (s = flush_buf(c)) != STEP_MORE)
		return s;
	if (c->splices)
		return step_splice(c);
	if (!c->buf && !(c->buf = malloc(CHUNK)))
		return STEP_SRC;
	n = read(c->src, c->buf, CHUNK);
	if (n < 0 && errno == EINTR)
		return STEP_MORE;
	if (n < 0 && errno == EAGAIN)
		return STEP_SRC;
	if (n <= 0)
		return STEP_END; /* EIO: the last user of the terminal is gone */
	c->len = (size_t)n;
	return STEP_MORE;
}

static void copy_end(struct copy *c)
{
	struct stdio *io = c->io;

	evloop_del(&c->ev);
	close_fd(&c->src);
	close_fd(&c->dst);
	/* hold stays until release(): a client that is slow to open the FIFO still finds what is in it */
	free(c->buf);
	c->buf = NULL;
	if (c->output) {
		atomic_fetch_sub(&io->nr_out, 1);
		if (io->done)
			io->done(io->arg);
	}
}

static void copy_event(struct ev_source *ev, uint32_t events);

static void copy_wait(struct copy *c, bool on_dst)
{
	int fd = on_dst ? c->dst : c->src;

	if (c->ev.fd == fd)
		return;
	evloop_del(&c->ev);
	c->on_dst = on_dst;
	/* EPERM: a file, which never blocks; only sources and full pipes get here otherwise */
	if (evloop_add(c->io->loop, &c->ev, fd, on_dst ? EPOLLOUT : EPOLLIN, copy_event) < 0)
		copy_end(c);
}

static void copy_run(struct copy *c, unsigned steps)
{
	enum step s = STEP_MORE;

	while (s == STEP_MORE && steps--)
		s = step(c);
	switch (s) {
	case STEP_MORE:
	case STEP_SRC:
		if (!c->len) {
			free(c->buf);
			c->buf = NULL;
		}
		copy_wait(c, false);
		break;
	case STEP_DST:
		copy_wait(c, true);
		break;
	case STEP_END:
		copy_end(c);
		break;
	}
}

static void copy_event(struct ev_source *ev, uint32_t events)
{
	struct copy *c = container_of(ev, struct copy, ev);

	copy_run(c, STEPS_MAX);
}

void stdio_drain(struct stdio *io)
{
	for (int i = OUT; io && i <= ERR; i++)
		if (io->copies[i].src >= 0 && io->copies[i].ev.fd >= 0 && !io->copies[i].on_dst)
			copy_run(&io->copies[i], DRAIN_MAX);
}

/* Takes all descriptors. */
static int copy_start(struct stdio *io, int which, int src, int dst, int hold, struct err *e)
{
	struct copy *c = &io->copies[which];
	int ret;

	c->io = io;
	c->src = src;
	c->dst = dst;
	c->hold = hold;
	c->output = which != IN;
	c->splices = !io->terminal;
	set_nonblock(src);
	set_nonblock(dst);
	if (c->output)
		atomic_fetch_add(&io->nr_out, 1);
	ret = evloop_add(io->loop, &c->ev, src, EPOLLIN, copy_event);
	if (ret < 0) {
		errno = -ret;
		return err_sys(e, "watch stdio");
	}
	return 0;
}

/* ---- opening ---- */

static int own_pipe(const struct stdio_args *a, int p[2], struct err *e)
{
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	/* a container's user may open /dev/stdout again */
	if ((a->uid || a->gid) && (fchown(p[0], a->uid, a->gid) < 0 || fchown(p[1], a->uid, a->gid) < 0))
		log_debug("owner of stdio pipes: %s", strerror(errno));
	return 0;
}

/* Waits for the client's reader: one that opens only after a short-lived process came and went would find
 * neither its output nor a writer. A client that never comes must not keep the process from starting. */
static int open_for_reader(const char *path)
{
	int fd, ms = 1;

	for (int waited = 0;; waited += ms) {
		fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 || errno != ENXIO || waited >= READER_MAX_MS)
			return fd;
		usleep((useconds_t)ms * 1000);
		ms = MIN(ms * 2, 50);
	}
}

static int open_fifo_out(const char *path, int *dst, int *hold, struct err *e)
{
	struct stat st;

	*dst = open_for_reader(path);
	if (*dst < 0 && errno != ENXIO)
		return err_sys(e, "open %s", path);
	*hold = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (*dst < 0 && *hold >= 0)
		*dst = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (*dst < 0 || fstat(*dst, &st) < 0)
		return err_sys(e, "open %s", path);
	if (!S_ISFIFO(st.st_mode))
		close_fd(hold); /* /dev/null and the like */
	return 0;
}

static int open_file_out(const char *path, int *dst, struct err *e)
{
	if (mkdir_parents(path, 0755) < 0)
		return err_sys(e, "make the directory of %s", path);
	*dst = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	return *dst < 0 ? err_sys(e, "open %s", path) : 0;
}

static const char *stream_id(const struct stdio_uri *u)
{
	for (size_t i = 0; i < u->nr_query; i++)
		if (!strcmp(u->query[2 * i], "streaming_id"))
			return u->query[2 * i + 1];
	return NULL;
}

static int open_stream(struct stdio *io, int which, const struct stdio_uri *u, int *out, struct err *e)
{
	const char *id = stream_id(u);

	if (!io->streams || !id)
		return err_set(e, EINVAL, "stdio stream without streaming_id");
	if (streams_open(io->streams, id, which != IN, out, e) < 0)
		return -1;
	io->stream_names[which] = strdup(id);
	return 0;
}

/* One output without terminal: what the process gets, and the copy if there is one. */
static int open_output(struct stdio *io, const struct stdio_args *a, int which, const char *uri,
		       const int logger_fds[2], struct err *e)
{
	struct stdio_uri u;
	int p[2] = { -1, -1 }, dst = -1, hold = -1, ret;

	if (stdio_uri_parse(uri, &u, e) < 0)
		return -1;
	ret = 0;
	switch (u.scheme) {
	case STDIO_NONE:
		goto out;
	case STDIO_STREAM:
		ret = open_stream(io, which, &u, io->terminal ? &io->tty_out : &io->child[which], e);
		goto out;
	case STDIO_BINARY:
	case STDIO_BINARY_V2:
		*(io->terminal ? &io->tty_out : &io->child[which]) = logger_fds[which - OUT];
		goto out;
	case STDIO_FIFO:
		ret = open_fifo_out(u.path, &dst, &hold, e);
		break;
	case STDIO_FILE:
		ret = open_file_out(u.path, &dst, e);
		break;
	}
	if (ret == 0 && io->terminal) {
		io->tty_out = TAKE_FD(dst);
		io->tty_hold = TAKE_FD(hold);
		goto out;
	}
	if (ret == 0)
		ret = own_pipe(a, p, e);
	if (ret == 0) {
		io->child[which] = p[1];
		ret = copy_start(io, which, p[0], TAKE_FD(dst), TAKE_FD(hold), e);
	}
out:
	close_fd(&dst);
	close_fd(&hold);
	stdio_uri_fini(&u);
	return ret;
}

static int open_input(struct stdio *io, const struct stdio_args *a, struct err *e)
{
	struct stdio_uri u;
	int p[2], src = -1, ret = 0;

	if (stdio_uri_parse(a->in, &u, e) < 0)
		return -1;
	if (u.scheme == STDIO_STREAM) {
		ret = open_stream(io, IN, &u, io->terminal ? &io->tty_in : &io->child[IN], e);
		goto out;
	}
	if (u.scheme == STDIO_NONE)
		goto out;
	src = open(u.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (src < 0) {
		ret = err_sys(e, "open %s", u.path);
		goto out;
	}
	io->in_hold = open(u.path, O_WRONLY | O_NONBLOCK | O_CLOEXEC); /* EACCES etc.: then only theirs */
	if (io->terminal) {
		io->tty_in = TAKE_FD(src);
		goto out;
	}
	ret = own_pipe(a, p, e);
	if (ret == 0) {
		io->child[IN] = p[0];
		ret = copy_start(io, IN, TAKE_FD(src), p[1], -1, e);
	}
out:
	close_fd(&src);
	stdio_uri_fini(&u);
	return ret;
}

static int start_logger(struct stdio *io, const struct stdio_args *a, int fds[2], struct err *e)
{
	struct stdio_uri u;

	if (strncmp(a->out, "binary", 6))
		return 0;
	if (stdio_uri_parse(a->out, &u, e) < 0)
		return -1;
	if (u.scheme == STDIO_BINARY || u.scheme == STDIO_BINARY_V2)
		io->logger = logger_start(&u, a->ns, a->id, fds, e);
	stdio_uri_fini(&u);
	return io->logger ? 0 : -1;
}

static void stdio_init(struct stdio *io, struct evloop *loop, const struct stdio_args *a)
{
	io->loop = loop;
	io->terminal = a->terminal;
	io->streams = a->streams;
	io->done = a->done;
	io->arg = a->arg;
	io->in_hold = io->tty_in = io->tty_out = io->tty_hold = -1;
	for (int i = IN; i <= ERR; i++) {
		io->child[i] = -1;
		io->copies[i] = (struct copy){ .src = -1, .dst = -1, .hold = -1, .ev.fd = -1 };
	}
}

struct stdio *stdio_open(struct evloop *loop, const struct stdio_args *a, struct err *e)
{
	struct stdio *io = calloc(1, sizeof(*io));
	int logger_fds[2] = { -1, -1 }, ret;

	if (!io) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	stdio_init(io, loop, a);
	ret = start_logger(io, a, logger_fds, e);
	if (ret == 0)
		ret = open_input(io, a, e);
	if (ret == 0)
		ret = open_output(io, a, OUT, a->out, logger_fds, e);
	if (ret == 0 && !a->terminal)
		ret = open_output(io, a, ERR, a->err, logger_fds, e);
	if (io->logger && (a->terminal || io->child[ERR] != logger_fds[1]))
		close_fd(&logger_fds[1]); /* nothing goes there */
	if (ret == 0)
		return io;
	stdio_free(io);
	return NULL;
}

const int *stdio_fds(const struct stdio *io)
{
	return io->child;
}

void stdio_given(struct stdio *io)
{
	for (int i = IN; i <= ERR; i++)
		close_fd(&io->child[i]);
}

int stdio_console(struct stdio *io, int master, struct err *e)
{
	AUTO_CLOSE int m = master;
	int in;

	if (io->tty_in >= 0) {
		in = fcntl(m, F_DUPFD_CLOEXEC, 3);
		if (in < 0)
			return err_sys(e, "duplicate the terminal");
		if (copy_start(io, IN, TAKE_FD(io->tty_in), in, -1, e) < 0)
			return -1;
	}
	if (io->tty_out < 0) { /* output goes nowhere, but it must go */
		io->tty_out = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (io->tty_out < 0)
			return err_sys(e, "open /dev/null");
	}
	return copy_start(io, OUT, TAKE_FD(m), TAKE_FD(io->tty_out), TAKE_FD(io->tty_hold), e);
}

bool stdio_finished(const struct stdio *io)
{
	return !io || atomic_load(&((struct stdio *)io)->nr_out) == 0;
}

void stdio_close_stdin(struct stdio *io)
{
	int fd = io ? atomic_exchange(&io->in_hold, -1) : -1;

	if (fd >= 0)
		close(fd);
	if (io && io->stream_names[IN])
		streams_close(io->streams, io->stream_names[IN]);
}

static void release(struct ev_work *w)
{
	struct stdio *io = container_of(w, struct stdio, release);

	io->done = NULL;
	for (int i = IN; i <= ERR; i++) {
		if (io->copies[i].src >= 0)
			copy_end(&io->copies[i]);
		close_fd(&io->copies[i].hold);
		if (i != IN && io->stream_names[i])
			streams_close(io->streams, io->stream_names[i]);
		free(io->stream_names[i]);
	}
	logger_stop(io->loop, io->logger);
	free(io);
}

void stdio_free(struct stdio *io)
{
	if (!io)
		return;
	stdio_close_stdin(io);
	stdio_given(io);
	close_fd(&io->tty_in);
	close_fd(&io->tty_out);
	close_fd(&io->tty_hold);
	io->release.fn = release;
	evloop_post(io->loop, &io->release);
}
