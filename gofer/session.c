/* SPDX-License-Identifier: Apache-2.0
 * gofer/session.c - one connection: threads that receive, answer and send
 *
 * Model:   every thread does all of it, one request at a time; there is no hand-over between threads. On a
 *          packet socket all threads wait in recvmsg(2) and the kernel wakes one per message; on a
 *          stream they take turns reading (rd_mu) and writing (wr_mu). So a slow request holds up one thread.
 *          What each thread is busy with stands in a slot; a Tflush for it is left there, and
 *          answered by that thread after its own reply, as flush(5) wants.
 * Locks:   rd_mu, wr_mu: across socket calls, never both. flush_mu: leaf.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

#define FLUSHES_MAX    16 /* waiting for one request; more are answered at once */
#define THREAD_STACK   (256u << 10)
#define KEEP_BUF_BYTES (64u << 10) /* of each buffer; what a large message touched beyond is given back */

const struct gofer_hostcall gofer_calls_session[] = {
	HOSTCALL(recvmsg, "requests"),
	HOSTCALL(sendmsg, "replies"),
	HOSTCALL_EQ(madvise, 2, MADV_DONTNEED, "memory of large messages, freed memory"),
	{ 0 },
};

struct slot {
	uint16_t tag;	/* all guarded by flush_mu */
	bool busy, is_flush;
	bool replying;	/* the client may see the reply, and use the tag again, before we are done here */
	unsigned nr_flushes;
	uint16_t flushes[FLUSHES_MAX];
};

struct session {
	struct gofer_conn *conn;
	int sock;
	bool packets;
	pthread_mutex_t rd_mu, wr_mu;
	struct mutex flush_mu;
	_Atomic bool over; /* hung up or broken: everybody leaves */
	unsigned nr_slots;
	struct slot slots[GOFER_THREADS_MAX];
};

struct worker {
	struct gofer_threads *t;
	struct slot *slot;
	pthread_t id;
};

struct gofer_threads {
	struct session s;
	pthread_barrier_t ready, go; /* all there; may serve */
	unsigned nr;
	struct worker w[GOFER_THREADS_MAX];
};

static bool slot_begin(struct session *s, struct slot *sl, uint16_t tag, bool is_flush)
{
	bool dup = false;

	mutex_lock(&s->flush_mu);
	for (unsigned i = 0; i < s->nr_slots; i++)
		dup |= s->slots[i].busy && !s->slots[i].replying && s->slots[i].tag == tag;
	if (!dup)
		*sl = (struct slot){ .tag = tag, .busy = true, .is_flush = is_flush };
	mutex_unlock(&s->flush_mu);
	return !dup;
}

bool session_flush(struct gofer_conn *c, uint16_t oldtag, uint16_t tag)
{
	struct session *s = c->session;
	struct slot *found = NULL;

	if (!s || oldtag == tag)
		return false;
	mutex_lock(&s->flush_mu);
	for (unsigned i = 0; i < s->nr_slots; i++) {
		struct slot *sl = &s->slots[i];

		if (!sl->busy || sl->is_flush || sl->tag != oldtag || sl->nr_flushes == FLUSHES_MAX)
			continue;
		if (!found || found->replying)
			found = sl;
	}
	if (found)
		found->flushes[found->nr_flushes++] = tag;
	mutex_unlock(&s->flush_mu);
	return found;
}

static void slot_replying(struct session *s, struct slot *sl)
{
	mutex_lock(&s->flush_mu);
	sl->replying = true;
	mutex_unlock(&s->flush_mu);
}

static int send_reply(struct session *s, const uint8_t *rep, size_t len, int fd)
{
	int ret = 0;
	ssize_t n;

	if (s->packets) {
		n = fd_send(s->sock, rep, len, &fd, fd >= 0);
		return n < 0 ? (int)n : 0;
	}
	pthread_mutex_lock(&s->wr_mu);
	n = fd_send(s->sock, rep, len, &fd, fd >= 0);
	while (n >= 0 && (size_t)n < len) { /* the descriptor went with the first byte */
		rep += n;
		len -= (size_t)n;
		n = fd_send(s->sock, rep, len, NULL, 0);
	}
	if (n < 0)
		ret = (int)n;
	pthread_mutex_unlock(&s->wr_mu);
	return ret;
}

/* The slot is free from the moment its own reply is out; then the flushes are answered. */
static int slot_end(struct session *s, struct slot *sl)
{
	struct slot done;
	int ret = 0;

	mutex_lock(&s->flush_mu);
	done = *sl;
	sl->busy = false;
	mutex_unlock(&s->flush_mu);
	for (unsigned i = 0; i < done.nr_flushes && !ret; i++) {
		struct p9_msg m = { .type = P9_Rflush, .tag = done.flushes[i] };
		uint8_t buf[P9_HDR_LEN];
		long n = p9_encode(&m, buf, sizeof(buf));

		BUG_ON(n <= 0);
		ret = send_reply(s, buf, (size_t)n, -1);
	}
	return ret;
}

static int recv_exact(int sock, uint8_t *p, size_t len)
{
	while (len) {
		/* a client has no business sending descriptors: no room for them here, the kernel drops them */
		struct iovec iov = { p, len };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n = recvmsg(sock, &mh, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static ssize_t recv_stream(struct session *s, uint8_t *buf)
{
	uint32_t size = 0;
	int ret;

	pthread_mutex_lock(&s->rd_mu);
	ret = atomic_load(&s->over) ? -EPIPE : recv_exact(s->sock, buf, 4);
	if (!ret) {
		size = p9_size(buf);
		if (size < P9_HDR_LEN || size > s->conn->msize_max)
			ret = -EPROTO;
		else
			ret = recv_exact(s->sock, buf + 4, size - 4);
	}
	if (ret)
		atomic_store(&s->over, true); /* before the next reader would see a cut stream */
	pthread_mutex_unlock(&s->rd_mu);
	return ret ? ret : (ssize_t)size;
}

/* Return: length of a message; 0 or -errno when the connection is over */
static ssize_t recv_packet(struct session *s, uint8_t *buf)
{
	struct iovec iov = { buf, s->conn->msize_max };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do {
		mh = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
		n = recvmsg(s->sock, &mh, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (mh.msg_flags & MSG_TRUNC)
		return -EPROTO;
	return n;
}

static void buf_trim(uint8_t *buf, size_t used)
{
	if (used > KEEP_BUF_BYTES)
		madvise(buf + KEEP_BUF_BYTES, P9_MSIZE_MAX - KEEP_BUF_BYTES, MADV_DONTNEED);
}

static int serve_one(struct worker *w, uint8_t *req, size_t len, uint8_t *rep)
{
	struct session *s = &w->t->s;
	uint16_t tag = len >= P9_HDR_LEN ? (uint16_t)(req[5] | req[6] << 8) : P9_NOTAG;
	bool is_flush = len > 4 && req[4] == P9_Tflush;
	size_t n;
	int fd, ret = 0;

	/* two requests at once under one tag: their replies could not be told apart */
	if (!slot_begin(s, w->slot, tag, is_flush))
		return -EPROTO;
	n = gofer_conn_handle(s->conn, req, len, rep, &fd);
	slot_replying(s, w->slot);
	if (n)
		ret = send_reply(s, rep, n, fd);
	if (fd >= 0)
		close(fd);
	if (slot_end(s, w->slot))
		ret = -EPIPE;
	buf_trim(req, len);
	buf_trim(rep, n);
	return ret;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct session *s = &w->t->s;
	uint8_t *bufs = mmap(NULL, 2 * (size_t)P9_MSIZE_MAX, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pthread_barrier_wait(&w->t->ready);
	pthread_barrier_wait(&w->t->go);
	while (bufs != MAP_FAILED && !atomic_load(&s->over)) {
		ssize_t n = s->packets ? recv_packet(s, bufs) : recv_stream(s, bufs);
		int ret = n > 0 ? serve_one(w, bufs, (size_t)n, bufs + P9_MSIZE_MAX) : (int)n;

		if (n <= 0 || ret) {
			if (ret && ret != -EPIPE && ret != -ECONNRESET)
				log_warn("9p: connection ends: %s", strerror(-ret));
			break;
		}
	}
	atomic_store(&s->over, true);
	shutdown(s->sock, SHUT_RDWR); /* wakes the others */
	if (bufs != MAP_FAILED)
		munmap(bufs, 2 * (size_t)P9_MSIZE_MAX);
	return NULL;
}

/* A stream that is not a socket pair of ours may have any type; only packets need to be known. */
static bool sock_is_packet(int sock)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return !getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET;
}

static int start_threads(struct gofer_threads *t, struct err *e)
{
	pthread_attr_t attr;
	int ret = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	for (unsigned i = 0; i < t->nr && !ret; i++) {
		t->w[i] = (struct worker){ .t = t, .slot = &t->s.slots[i] };
		ret = pthread_create(&t->w[i].id, &attr, worker_main, &t->w[i]);
	}
	pthread_attr_destroy(&attr);
	/* those that did start wait at a barrier for ever: the caller gives up the process */
	return ret ? err_set(e, ret, "start threads: %s", strerror(ret)) : 0;
}

struct gofer_threads *gofer_conn_start(struct gofer_conn *c, int sock, unsigned threads, struct err *e)
{
	struct gofer_threads *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	t->nr = MAX(1u, MIN(threads, (unsigned)GOFER_THREADS_MAX));
	t->s.conn = c;
	t->s.sock = sock;
	t->s.packets = sock_is_packet(sock);
	t->s.nr_slots = t->nr;
	c->msize_max = t->s.packets ? P9_MSIZE_PACKET : P9_MSIZE_MAX;
	c->session = &t->s;
	pthread_mutex_init(&t->s.rd_mu, NULL);
	pthread_mutex_init(&t->s.wr_mu, NULL);
	pthread_barrier_init(&t->ready, NULL, t->nr + 1);
	pthread_barrier_init(&t->go, NULL, t->nr + 1);
	if (start_threads(t, e))
		return NULL;
	pthread_barrier_wait(&t->ready);
	return t;
}

void gofer_conn_go(struct gofer_threads *t)
{
	pthread_barrier_wait(&t->go);
}

void gofer_conn_join(struct gofer_threads *t)
{
	struct gofer_conn *c = t->s.conn;

	for (unsigned i = 0; i < t->nr; i++)
		pthread_join(t->w[i].id, NULL);
	pthread_barrier_destroy(&t->ready);
	pthread_barrier_destroy(&t->go);
	c->session = NULL;
	gfid_clear(c);
	free(t);
}

int gofer_conn_serve(struct gofer_conn *c, int sock, unsigned threads, struct err *e)
{
	struct gofer_threads *t = gofer_conn_start(c, sock, threads, e);

	if (!t)
		return -1;
	gofer_conn_go(t);
	gofer_conn_join(t);
	return 0;
}

struct gofer_conn *gofer_conn_new(const struct gofer_server *srv)
{
	struct gofer_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->srv = srv;
	c->msize_max = P9_MSIZE_MAX;
	mutex_init(&c->fids_mu);
	return c;
}

void gofer_conn_free(struct gofer_conn *c)
{
	if (!c)
		return;
	gfid_clear(c);
	free(c);
}

int gofer_server_init(int procfd, struct err *e)
{
	if (fchdir(procfd))
		return err_sys(e, "enter /proc/self/fd");
	umask(0);
	return 0;
}
