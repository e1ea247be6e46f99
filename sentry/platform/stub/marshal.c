/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/marshal.c - what a call's arguments point at travels with the call
 *
 * Model:   a row per system call names up to three pointers and how much each covers; of a vector what its first entries
 *          point at is sent too where the call writes it. A hint only: what is not here, or does not fit, the Sentry
 *          fetches itself; what cannot be read is sent short, and the Sentry finds out why.
 */
#include "sentry/platform/stub/stub.h"

enum seg_kind {
	SEG_NONE,
	SEG_STR,
	SEG_BUF,
	SEG_FIX,
	SEG_FRAME,
	SEG_ROBUST,
	SEG_IOV,	/* struct iovec[]; size: argument that holds their number */
	SEG_IOV_OUT,	/* the same, and what they point at */
	SEG_MSG,	/* struct msghdr and its vector */
	SEG_MSG_OUT,	/* the same, and what that points at */
};

struct seg_row {
	uint8_t kind : 4, arg : 4;
	uint8_t size; /* SEG_BUF: argument that holds the length; SEG_FIX: bytes */
};

#define ROW_MAX	 3
#define IOV_SENT 4	/* of a vector, its first entries */

struct marshal_row {
	struct seg_row seg[ROW_MAX];
};
_Static_assert(2 + IOV_SENT < STUB_SEGS_MAX, "a message, its vector, what that points at");

struct iov {
	uint64_t base, len;
};

struct msg {
	uint64_t name, namelen;
	uint64_t iov, iovlen;
	uint64_t control, controllen, flags;
};

#define FRAME_MAX 1024	/* of a signal frame, without the vector state behind it */
#define STR_MAX	 1024  /* longer paths are fetched by the Sentry */
#define BUF_MAX	 0x20000 /* two copies in the cache cost less than one process_vm_readv(2), which looks up every page */

#define STR(a)	  { SEG_STR, a, 0 }
#define BUF(a, l) { SEG_BUF, a, l }
#define FIX(a, n) { SEG_FIX, a, n }
#define IOV(a, o) { SEG_IOV##o, a, (a) + 1 }
#define MSG(a, o) { SEG_MSG##o, a, sizeof(struct msg) }
#define FRAME	  { SEG_FRAME, 0, 0 }
#define ROBUST	  { SEG_ROBUST, 0, ROBUST_HEAD_SIZE }
#define ROW(...)  { { __VA_ARGS__ } }

static const struct marshal_row rows[] = {
	[1] = ROW(BUF(1, 2)),		/* write */
	[2] = ROW(STR(0)),		/* open */
	[4] = ROW(STR(0)),		/* stat */
	[6] = ROW(STR(0)),		/* lstat */
	[7] = ROW(FIX(0, 64)),		/* poll: eight entries */
	[13] = ROW(FIX(1, 32)),		/* rt_sigaction */
	[14] = ROW(FIX(1, 8)),		/* rt_sigprocmask */
	[15] = ROW(FRAME),		/* rt_sigreturn */
	[18] = ROW(BUF(1, 2)),		/* pwrite64 */
	[19] = ROW(IOV(1, )),		/* readv */
	[20] = ROW(IOV(1, _OUT)),	/* writev */
	[21] = ROW(STR(0)),		/* access */
	[23] = ROW(FIX(1, 128), FIX(2, 128), FIX(4, 16)), /* select: 1,024 descriptors */
	[35] = ROW(FIX(0, 16)),		/* nanosleep */
	[42] = ROW(BUF(1, 2)),		/* connect */
	[44] = ROW(BUF(1, 2)),		/* sendto */
	[46] = ROW(MSG(1, _OUT)),	/* sendmsg */
	[47] = ROW(MSG(1, )),		/* recvmsg */
	[49] = ROW(BUF(1, 2)),		/* bind */
	[54] = ROW(BUF(3, 4)),		/* setsockopt */
	[55] = ROW(FIX(4, 4)),		/* getsockopt */
	[59] = ROW(STR(0)),		/* execve */
	[60] = ROW(ROBUST),		/* exit */
	[76] = ROW(STR(0)),		/* truncate */
	[80] = ROW(STR(0)),		/* chdir */
	[82] = ROW(STR(0), STR(1)),	/* rename */
	[83] = ROW(STR(0)),		/* mkdir */
	[84] = ROW(STR(0)),		/* rmdir */
	[85] = ROW(STR(0)),		/* creat */
	[86] = ROW(STR(0), STR(1)),	/* link */
	[87] = ROW(STR(0)),		/* unlink */
	[88] = ROW(STR(0), STR(1)),	/* symlink */
	[89] = ROW(STR(0)),		/* readlink */
	[90] = ROW(STR(0)),		/* chmod */
	[92] = ROW(STR(0)),		/* chown */
	[130] = ROW(FIX(0, 8)),		/* rt_sigsuspend */
	[131] = ROW(FIX(0, 24)),	/* sigaltstack */
	[132] = ROW(STR(0), FIX(1, 16)), /* utime */
	[137] = ROW(STR(0)),		/* statfs */
	[191] = ROW(STR(0), STR(1)),	/* getxattr */
	[231] = ROW(ROBUST),		/* exit_group */
	[232] = ROW(),			/* epoll_wait */
	[233] = ROW(FIX(3, 12)),	/* epoll_ctl */
	[254] = ROW(STR(1)),		/* inotify_add_watch */
	[257] = ROW(STR(1)),		/* openat */
	[258] = ROW(STR(1)),		/* mkdirat */
	[262] = ROW(STR(1)),		/* newfstatat */
	[263] = ROW(STR(1)),		/* unlinkat */
	[264] = ROW(STR(1), STR(3)),	/* renameat */
	[267] = ROW(STR(1)),		/* readlinkat */
	[268] = ROW(STR(1)),		/* fchmodat */
	[269] = ROW(STR(1)),		/* faccessat */
	[271] = ROW(FIX(0, 64), FIX(2, 16)), /* ppoll */
	[280] = ROW(STR(1), FIX(2, 32)), /* utimensat */
	[295] = ROW(IOV(1, )),		/* preadv */
	[296] = ROW(IOV(1, _OUT)),	/* pwritev */
	[302] = ROW(FIX(2, 16)),	/* prlimit64 */
	[316] = ROW(STR(1), STR(3)),	/* renameat2 */
	[319] = ROW(STR(0)),		/* memfd_create */
	[332] = ROW(STR(1)),		/* statx */
	[435] = ROW(BUF(0, 1)),		/* clone3 */
	[437] = ROW(STR(1), BUF(2, 3)),	/* openat2 */
	[439] = ROW(STR(1)),		/* faccessat2 */
};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

/* Where the next segment goes. */
struct sent {
	struct stub_slot *s;
	unsigned n;
	uint32_t off;
};

/* What has come is in the window now; NULL when nothing has. */
static void *sent_add(struct sent *w, uint64_t addr, uint32_t len)
{
	void *at = stub_window(w->s) + w->off;

	if (!len)
		return NULL;
	w->s->seg[w->n++] = (struct stub_seg){ .addr = addr, .len = len, .off = w->off };
	w->off = (w->off + len + 63) & ~63u;
	return at;
}

static void *send_bytes(struct sent *w, uint64_t addr, uint64_t len)
{
	if (!addr || len > BUF_MAX || w->off > SLOT_WINDOW_LEN || len > SLOT_WINDOW_LEN - w->off)
		return NULL;
	return sent_add(w, addr, (uint32_t)(len - stub_copy(stub_window(w->s) + w->off, (void *)addr, len)));
}

static void send_str(struct sent *w, uint64_t addr)
{
	uint32_t room = w->off < SLOT_WINDOW_LEN ? SLOT_WINDOW_LEN - w->off : 0;

	if (addr)
		sent_add(w, addr, (uint32_t)stub_copy_str(stub_window(w->s) + w->off, (void *)addr, room < STR_MAX ? room & ~7u : STR_MAX));
}

static void send_iov(struct sent *w, uint64_t addr, uint64_t nr, bool out)
{
	uint64_t n = nr < IOV_SENT ? nr : IOV_SENT;
	struct iov v[IOV_SENT];

	if (!send_bytes(w, addr, n * sizeof(v[0])) || !out || w->s->seg[w->n - 1].len != n * sizeof(v[0]))
		return;
	if (stub_copy(v, (void *)addr, n * sizeof(v[0])))
		return;
	for (unsigned i = 0; i < n && w->n < STUB_SEGS_MAX; i++)
		send_bytes(w, v[i].base, v[i].len);
}

static void send_msg(struct sent *w, uint64_t addr, bool out)
{
	struct msg m;

	if (send_bytes(w, addr, sizeof(m)) && !stub_copy(&m, (void *)addr, sizeof(m)))
		send_iov(w, m.iov, m.iovlen, out);
}

static void send_row(struct sent *w, const struct seg_row *r)
{
	struct stub_slot *s = w->s;
	uint64_t addr = s->args[r->arg];

	switch ((enum seg_kind)r->kind) {
	case SEG_STR:
		send_str(w, addr);
		break;
	case SEG_BUF:
		send_bytes(w, addr, s->args[r->size]);
		break;
	case SEG_FIX:
		send_bytes(w, addr, r->size);
		break;
	case SEG_FRAME:
		send_bytes(w, s->regs.rsp, FRAME_MAX + stub_config.xsave_size);
		break;
	case SEG_ROBUST:
		send_bytes(w, atomic_load_explicit(&s->sh.robust_list, memory_order_relaxed), r->size);
		break;
	case SEG_IOV:
	case SEG_IOV_OUT:
		send_iov(w, addr, s->args[r->size], r->kind == SEG_IOV_OUT);
		break;
	case SEG_MSG:
	case SEG_MSG_OUT:
		send_msg(w, addr, r->kind == SEG_MSG_OUT);
		break;
	case SEG_NONE:
		break;
	}
}

void stub_marshal(struct stub_slot *s, uint32_t nr)
{
	struct sent w = { .s = s };

	if (nr < NR_ROWS)
		for (unsigned i = 0; i < ROW_MAX && rows[nr].seg[i].kind != SEG_NONE; i++)
			send_row(&w, &rows[nr].seg[i]);
	s->nr_segs = (uint8_t)w.n;
}
