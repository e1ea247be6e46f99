/* SPDX-License-Identifier: Apache-2.0
 * proto/p9_client.c - see p9_client.h
 *
 * Model:   a slot is a tag with a buffer. The reader receives into its own slot's buffer; when the message
 *          is another call's, the two slots swap buffers, so nothing is copied. On a stream, what was received
 *          beyond the first message waits in the stash.
 *          Descriptors that came with a receive belong to the last message that begins in it: the
 *          kernel ends a receive behind the bytes that carried some (unix(7)).
 */
#include "p9_client.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/socket.h>

#include "base/fdpass.h"
#include "base/hostcall.h"

#define FID_CHUNK     64u
#define POSTED_MAX    8u /* of the slots; answers that nobody has read yet */
#define RX_FDS_MAX    4u

struct p9_slot {
	struct p9_slot *next_free; /* guarded by mu */
	struct p9_call *call;	   /* in flight; guarded by mu */
	struct p9x_fids *posted;   /* a Txclunk in flight that nobody waits for; owned; guarded by mu */
	uint8_t *buf;		   /* msize bytes, NULL until first used; owned by the call, or the reader */
	uint32_t len;		   /* of the reply in buf */
};

struct p9_client {
	int sock;
	bool packets, ext;	  /* immutable after p9_client_new() */
	uint32_t msize;		  /* same */
	const struct p9_client_ops *ops;
	_Atomic bool dead;

	struct mutex mu;
	bool reading, sending;	  /* guarded by mu: somebody does; sending is for streams only */
	struct list waiting;	  /* calls that sent and wait for their reply; guarded by mu */
	struct list tx_waiting;	  /* calls that wait for the turn to send; guarded by mu */
	struct list slot_waiting; /* calls that wait for a slot; guarded by mu */
	struct p9_slot *free_slots;
	struct p9_slot slots[P9_CLIENT_SLOTS];

	/* the reader's own */
	uint8_t *stash;
	uint32_t stash_len, stash_at;
	int stash_fd;		  /* belongs to the last message that begins in the stash; -1 */
	unsigned spin_credit, spin_refused; /* recv_spin() */

	unsigned nr_posted;	  /* guarded by mu */
	uint64_t *fids;		  /* bitmap; guarded by mu */
	uint32_t fid_words, fid_hint;
};

/* ---- plain threads ------------------------------------------------------------------------------ */

static void thread_park(struct p9_call *call)
{
	while (!atomic_load_explicit(&call->wake, memory_order_acquire))
		host_call(futex, &call->wake, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
}

static void thread_unpark(struct p9_call *call)
{
	atomic_store_explicit(&call->wake, 1, memory_order_release);
	host_call(futex, &call->wake, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

const struct p9_client_ops p9_client_thread_ops = { .park = thread_park, .unpark = thread_unpark };

/* ---- waiting -------------------------------------------------------------------------------------- */

/* Sleeps in @q until somebody wakes this call. Called and returns with mu held. */
static void call_sleep(struct p9_client *c, struct p9_call *call, struct list *q) REQUIRES(c->mu)
{
	atomic_store_explicit(&call->wake, 0, memory_order_relaxed);
	list_add_tail(q, &call->node);
	mutex_unlock(&c->mu);
	c->ops->park(call);
	mutex_lock(&c->mu);
}

static void call_wake(struct p9_client *c, struct p9_call *call) REQUIRES(c->mu)
{
	list_del_init(&call->node);
	c->ops->unpark(call);
}

static void wake_first(struct p9_client *c, struct list *q) REQUIRES(c->mu)
{
	if (!list_empty(q))
		call_wake(c, list_first(q, struct p9_call, node));
}

static void wake_everybody(struct p9_client *c, struct list *q) REQUIRES(c->mu)
{
	while (!list_empty(q))
		call_wake(c, list_first(q, struct p9_call, node));
}

static void client_die(struct p9_client *c) REQUIRES(c->mu)
{
	if (atomic_exchange(&c->dead, true))
		return;
	host_call(shutdown, c->sock, SHUT_RDWR);
	wake_everybody(c, &c->waiting);
	wake_everybody(c, &c->tx_waiting);
	wake_everybody(c, &c->slot_waiting);
}

void p9_client_kill(struct p9_client *c)
{
	mutex_lock(&c->mu);
	client_die(c);
	mutex_unlock(&c->mu);
}

/* ---- slots ------------------------------------------------------------------------------------------ */

static long slot_take(struct p9_client *c, struct p9_call *call)
{
	struct p9_slot *s;
	long ret = 0;

	mutex_lock(&c->mu);
	while (!c->free_slots && !c->dead)
		call_sleep(c, call, &c->slot_waiting);
	s = c->free_slots;
	if (c->dead || !s) {
		ret = -EIO;
	} else {
		c->free_slots = s->next_free;
		call->slot = s;
	}
	mutex_unlock(&c->mu);
	if (!ret && !s->buf) {
		s->buf = malloc(c->msize);
		if (!s->buf)
			ret = -ENOMEM; /* p9_call() gives the slot back */
	}
	return ret;
}

static void slot_give(struct p9_client *c, struct p9_call *call)
{
	struct p9_slot *s = call->slot;

	if (!s)
		return;
	call->slot = NULL;
	mutex_lock(&c->mu);
	s->call = NULL;
	s->next_free = c->free_slots;
	c->free_slots = s;
	wake_first(c, &c->slot_waiting);
	mutex_unlock(&c->mu);
}

/* ---- sending ------------------------------------------------------------------------------------------ */

static void block_begin(struct p9_client *c)
{
	if (c->ops->block_begin)
		c->ops->block_begin();
}

static void block_end(struct p9_client *c)
{
	if (c->ops->block_end)
		c->ops->block_end();
}

static long send_all(struct p9_client *c, const uint8_t *buf, size_t len)
{
	bool blocking = false;
	long ret = 0;

	while (len) {
		long n = host_call(sendto, c->sock, buf, len,
				   MSG_NOSIGNAL | (blocking ? 0 : MSG_DONTWAIT), 0, 0);

		if (n == -EAGAIN && !blocking) { /* the server is behind: now it may take long */
			blocking = true;
			block_begin(c);
		} else if (n < 0 && n != -EINTR) {
			ret = n;
			break;
		} else if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	if (blocking)
		block_end(c);
	return ret;
}

/* A slot that was posted is the reader's as soon as its message is out. */
static long call_send(struct p9_client *c, struct p9_call *call, size_t len)
{
	long ret;

	mutex_lock(&c->mu);
	while (!c->packets && c->sending && !c->dead)
		call_sleep(c, call, &c->tx_waiting);
	if (c->dead) {
		mutex_unlock(&c->mu);
		return -EIO;
	}
	c->sending = !c->packets;
	if (!call->slot->posted)
		call->slot->call = call; /* from here on a reply may come */
	call->sent = true;
	mutex_unlock(&c->mu);

	ret = send_all(c, call->slot->buf, len);

	mutex_lock(&c->mu);
	c->sending = false;
	wake_first(c, &c->tx_waiting);
	if (ret)
		client_die(c); /* part of a message may be out */
	mutex_unlock(&c->mu);
	return ret ? -EIO : 0;
}

/* ---- receiving ------------------------------------------------------------------------------------------ */

static void close_fd(int fd)
{
	if (fd >= 0)
		host_call(close, fd);
}

#define SPIN_TRIES  60 /* receives that find nothing: about 20 us, the time that two wake-ups take */
#define SPIN_CREDIT 32u
#define SPIN_PROBE  64 /* without credit every so many receives are tried all the same */

/* Looks for a reply without sleeping, as long as that has paid off lately. Return: as recvmsg(2), -EAGAIN: sleep */
static ssize_t recv_spin(struct p9_client *c, uint8_t *buf, size_t cap, int *fds, size_t *nfds)
{
	size_t room = *nfds;
	ssize_t n = -EAGAIN;

	if (!c->spin_credit && ++c->spin_refused % SPIN_PROBE)
		return -EAGAIN;
	for (int i = 0; n == -EAGAIN && i < SPIN_TRIES; i++) {
		*nfds = room;
		n = fd_recv(c->sock, buf, cap, fds, nfds, MSG_DONTWAIT);
	}
	c->spin_credit = n == -EAGAIN ? c->spin_credit / 2 : MIN(c->spin_credit + 2, SPIN_CREDIT);
	return n;
}

/* One receive into @buf; at most one descriptor is kept. Return: bytes, or -EIO */
static long recv_some(struct p9_client *c, uint8_t *buf, size_t cap, int *out_fd)
{
	int fds[RX_FDS_MAX];
	size_t nfds = ARRAY_SIZE(fds);
	ssize_t n = recv_spin(c, buf, cap, fds, &nfds);

	if (n == -EAGAIN) {
		block_begin(c);
		nfds = ARRAY_SIZE(fds);
		n = fd_recv(c->sock, buf, cap, fds, &nfds, 0);
		block_end(c);
	}
	if (n <= 0)
		return -EIO;
	*out_fd = nfds ? fds[0] : -1;
	for (size_t i = 1; i < nfds; i++)
		close_fd(fds[i]);
	return n;
}

/* Stream: one whole message to the start of @buf; the rest to the stash. */
static long recv_stream(struct p9_client *c, uint8_t *buf, int *out_fd)
{
	uint32_t have = c->stash_len - c->stash_at, size = 0;
	int fd = c->stash_fd, more = -1;

	memcpy(buf, c->stash + c->stash_at, have);
	c->stash_len = c->stash_at = 0;
	c->stash_fd = -1;
	for (;;) {
		long n;

		if (have >= 4) {
			size = p9_size(buf);
			if (size < P9_HDR_LEN || size > c->msize)
				break;
			if (have >= size)
				break;
		}
		n = recv_some(c, buf + have, c->msize - have, &more);
		if (n < 0) {
			size = 0;
			break;
		}
		if (more >= 0) {
			close_fd(fd);
			fd = more;
		}
		have += (uint32_t)n;
	}
	if (size < P9_HDR_LEN || size > c->msize) {
		close_fd(fd);
		return -EIO;
	}
	if (have > size) {
		c->stash_len = have - size;
		memcpy(c->stash, buf + size, c->stash_len);
		c->stash_fd = fd; /* it belongs to a later message */
		fd = -1;
	}
	*out_fd = fd;
	return size;
}

static void fid_free_locked(struct p9_client *c, uint32_t fid) REQUIRES(c->mu)
{
	BUG_ON(fid / 64 >= c->fid_words || !(c->fids[fid / 64] & 1ull << fid % 64));
	c->fids[fid / 64] &= ~(1ull << fid % 64);
	c->fid_hint = MIN(c->fid_hint, fid / 64);
}

/* The answer to a Txclunk that nobody waited for, whatever it says: its fids and its slot are free again. */
static void posted_done(struct p9_client *c, struct p9_slot *s) REQUIRES(c->mu)
{
	for (unsigned i = 0; i < s->posted->n; i++)
		fid_free_locked(c, s->posted->v[i]);
	free(s->posted);
	s->posted = NULL;
	c->nr_posted--;
	s->next_free = c->free_slots;
	c->free_slots = s;
	wake_first(c, &c->slot_waiting);
}

/* Hands the message in the reader's buffer to its call. Return: 0, or -EIO when it makes no sense */
static long deliver(struct p9_client *c, struct p9_call *reader, uint32_t len, int fd) REQUIRES(c->mu)
{
	uint8_t *buf = reader->slot->buf;
	uint16_t tag = (uint16_t)(buf[5] | buf[6] << 8);
	struct p9_slot *s = tag < P9_CLIENT_SLOTS ? &c->slots[tag] : NULL;
	struct p9_call *call = s ? s->call : NULL;

	if (len < P9_HDR_LEN || p9_size(buf) != len)
		return -EIO;
	if (s && s->posted) {
		close_fd(fd);
		posted_done(c, s);
		return 0;
	}
	if (!call || call->done)
		return -EIO;
	reader->slot->buf = s->buf;
	s->buf = buf;
	s->len = len;
	call->fd = fd;
	call->done = true;
	if (call != reader && !list_empty(&call->node))
		call_wake(c, call);
	return 0;
}

/* Reads replies until the own one is there. Return with mu held. */
static void read_for_all(struct p9_client *c, struct p9_call *call) REQUIRES(c->mu)
{
	c->reading = true;
	while (!call->done && !c->dead) {
		int fd = -1;
		long n;

		mutex_unlock(&c->mu);
		n = c->packets ? recv_some(c, call->slot->buf, c->msize, &fd) :
				 recv_stream(c, call->slot->buf, &fd);
		mutex_lock(&c->mu);
		if (n < 0 || deliver(c, call, (uint32_t)n, fd)) {
			if (n >= 0)
				close_fd(fd);
			client_die(c);
		}
	}
	c->reading = false;
	wake_first(c, &c->waiting); /* the next reader */
}

static long call_wait(struct p9_client *c, struct p9_call *call)
{
	long ret;

	mutex_lock(&c->mu);
	while (!call->done && !c->dead) {
		if (c->reading)
			call_sleep(c, call, &c->waiting);
		else
			read_for_all(c, call);
	}
	ret = call->done ? 0 : -EIO;
	call->slot->call = NULL;
	mutex_unlock(&c->mu);
	return ret;
}

static long check_reply(struct p9_client *c, struct p9_call *call)
{
	uint32_t ecode;

	if (p9_decode(call->slot->buf, call->slot->len, &call->rep))
		goto broken;
	if (call->rep.type == P9_Rlerror) {
		ecode = call->rep.Rlerror.ecode;
		return ecode && ecode <= P9_ECODE_MAX ? -(long)ecode : -EIO;
	}
	if (call->rep.type == call->req.type + 1)
		return 0;
broken:
	p9_client_kill(c);
	return -EIO;
}

long p9_call(struct p9_client *c, struct p9_call *call)
{
	long ret;

	list_init(&call->node);
	call->slot = NULL;
	call->fd = -1;
	call->done = call->sent = false;
	call->sleeper = c->ops->sleeper ? c->ops->sleeper() : NULL;
	ret = slot_take(c, call);
	if (ret)
		goto out;
	call->req.tag = (uint16_t)(call->slot - c->slots);
	ret = p9_encode(&call->req, call->slot->buf, c->msize);
	if (ret < 0)
		goto out;
	ret = call_send(c, call, (size_t)ret);
	if (!ret)
		ret = call_wait(c, call);
	if (!ret)
		ret = check_reply(c, call);
out:
	if (ret)
		p9_call_end(c, call);
	return ret;
}

void p9_call_end(struct p9_client *c, struct p9_call *call)
{
	close_fd(call->fd);
	call->fd = -1;
	slot_give(c, call);
}

/* ---- fids -------------------------------------------------------------------------------------------------- */

static bool fids_grow(struct p9_client *c) REQUIRES(c->mu)
{
	uint32_t words = c->fid_words + FID_CHUNK;
	uint64_t *p = words < P9_NOFID / 64 ? realloc(c->fids, words * sizeof(*p)) : NULL;

	if (!p)
		return false;
	memset(p + c->fid_words, 0, FID_CHUNK * sizeof(*p));
	c->fids = p;
	c->fid_words = words;
	return true;
}

uint32_t p9_client_fid(struct p9_client *c)
{
	uint32_t fid = P9_NOFID, w;

	mutex_lock(&c->mu);
	for (w = c->fid_hint; w < c->fid_words && c->fids[w] == UINT64_MAX; w++)
		;
	if (w < c->fid_words || fids_grow(c)) {
		unsigned bit = (unsigned)__builtin_ctzll(~c->fids[w]);

		c->fids[w] |= 1ull << bit;
		c->fid_hint = w;
		fid = w * 64 + bit;
	}
	mutex_unlock(&c->mu);
	return fid;
}

void p9_client_fid_free(struct p9_client *c, uint32_t fid)
{
	mutex_lock(&c->mu);
	fid_free_locked(c, fid);
	mutex_unlock(&c->mu);
}

void p9_clunk(struct p9_client *c, uint32_t fid)
{
	struct p9_call k = { .req = { .type = P9_Tclunk, .Tclunk.fid = fid } };

	if (!p9_call(c, &k))
		p9_call_end(c, &k);
	p9_client_fid_free(c, fid);
}

/* Sends a Txclunk that the next reader will see answered. False: it cannot be done so now. */
static bool post(struct p9_client *c, struct p9_call *k)
{
	struct p9x_fids *fids = malloc(sizeof(*fids));
	bool room;
	long len;

	mutex_lock(&c->mu);
	room = fids && c->nr_posted < POSTED_MAX && c->free_slots && !c->dead;
	c->nr_posted += room;
	mutex_unlock(&c->mu);
	if (!room) {
		free(fids);
		return false;
	}
	list_init(&k->node);
	k->sleeper = c->ops->sleeper ? c->ops->sleeper() : NULL;
	len = slot_take(c, k);
	if (!len) {
		k->req.tag = (uint16_t)(k->slot - c->slots);
		len = p9_encode(&k->req, k->slot->buf, c->msize);
	}
	mutex_lock(&c->mu);
	if (len > 0) {
		*fids = k->req.Txclunk.fids;
		k->slot->posted = fids;
	} else {
		c->nr_posted--;
	}
	mutex_unlock(&c->mu);
	if (len <= 0) {
		free(fids);
		slot_give(c, k);
		return false;
	}
	call_send(c, k, (size_t)len); /* a failure ends the connection, and all is given back with that */
	return true;
}

void p9_clunk_all(struct p9_client *c, const uint32_t *fids, unsigned n, bool wait)
{
	struct p9_call k = { .req = { .type = P9_Txclunk, .Txclunk.fids.n = (uint16_t)n } };

	BUG_ON(n > P9X_FIDS_MAX);
	if (!n || !c->ext) {
		while (n)
			p9_clunk(c, fids[--n]);
		return;
	}
	memcpy(k.req.Txclunk.fids.v, fids, n * sizeof(*fids));
	if (!wait && post(c, &k))
		return;
	if (!p9_call(c, &k))
		p9_call_end(c, &k);
	while (n)
		p9_client_fid_free(c, fids[--n]);
}

/* ---- beginning and end ---------------------------------------------------------------------------------------- */

/* Tversion alone uses no tag; nobody else calls yet. */
static long negotiate(struct p9_client *c, const char *version, struct p9_str *out)
{
	struct p9_msg m = { .type = P9_Tversion, .tag = P9_NOTAG,
			    .Tversion = { .msize = c->msize, .version = p9_str(version) } };
	uint8_t *buf = c->slots[0].buf;
	long n = p9_encode(&m, buf, c->msize);
	int fd = -1;

	if (n > 0 && send_all(c, buf, (size_t)n))
		return -EIO;
	n = c->packets ? recv_some(c, buf, c->msize, &fd) : recv_stream(c, buf, &fd);
	close_fd(fd);
	if (n < 0)
		return -EIO;
	if (p9_decode(buf, (size_t)n, &m) || m.tag != P9_NOTAG)
		return -EPROTO;
	if (m.type == P9_Rlerror) { /* diod's way of saying "unknown" */
		*out = p9_str("unknown");
		return 0;
	}
	if (m.type != P9_Rversion || m.Rversion.msize < P9_MSIZE_MIN || m.Rversion.msize > c->msize)
		return -EPROTO;
	c->msize = m.Rversion.msize;
	*out = m.Rversion.version;
	return 0;
}

static long agree_on_version(struct p9_client *c, bool want_ext)
{
	struct p9_str got = { "", 0 };
	long ret = 0;

	if (want_ext)
		ret = negotiate(c, P9_VERSION_EXT, &got);
	if (!ret && p9_str_eq(got, P9_VERSION_EXT) && want_ext)
		c->ext = true;
	else if (!ret && !p9_str_eq(got, P9_VERSION))
		ret = negotiate(c, P9_VERSION, &got);
	if (!ret && !c->ext && !p9_str_eq(got, P9_VERSION))
		ret = -EPROTO;
	return ret;
}

long p9_client_new(int sock, bool want_ext, uint32_t msize, const struct p9_client_ops *ops,
		   struct p9_client **out)
{
	struct p9_client *c = calloc(1, sizeof(*c));
	int type = 0;
	socklen_t len = sizeof(type);
	long ret;

	if (!c) {
		close_fd(sock);
		return -ENOMEM;
	}
	c->sock = sock;
	c->ops = ops;
	c->spin_credit = SPIN_CREDIT;
	c->stash_fd = -1;
	list_init(&c->waiting);
	list_init(&c->tx_waiting);
	list_init(&c->slot_waiting);
	for (unsigned i = P9_CLIENT_SLOTS; i-- > 0;) {
		c->slots[i].next_free = c->free_slots;
		c->free_slots = &c->slots[i];
	}
	c->packets = !host_call(getsockopt, sock, SOL_SOCKET, SO_TYPE, &type, &len) &&
		     type == SOCK_SEQPACKET;
	c->msize = MAX(P9_MSIZE_MIN, MIN(msize, c->packets ? P9_MSIZE_PACKET : P9_MSIZE_MAX));
	c->slots[0].buf = malloc(c->msize);
	c->stash = c->packets ? NULL : malloc(c->msize);
	ret = c->slots[0].buf && (c->packets || c->stash) ? agree_on_version(c, want_ext) : -ENOMEM;
	if (ret)
		p9_client_free(c);
	else
		*out = c;
	return ret;
}

void p9_client_free(struct p9_client *c)
{
	if (!c)
		return;
	close_fd(c->sock);
	close_fd(c->stash_fd);
	for (unsigned i = 0; i < P9_CLIENT_SLOTS; i++) {
		free(c->slots[i].buf);
		free(c->slots[i].posted);
	}
	free(c->stash);
	free(c->fids);
	free(c);
}

uint32_t p9_client_msize(const struct p9_client *c)
{
	return c->msize;
}

bool p9_client_ext(const struct p9_client *c)
{
	return c->ext;
}

bool p9_client_dead(const struct p9_client *c)
{
	return atomic_load(&((struct p9_client *)c)->dead);
}
