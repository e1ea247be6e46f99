/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/marshal.c - what a call's arguments point at travels with the call
 *
 * Model:   a row per system call names up to three pointers and how much each covers. A hint only: what is not here, or
 *          does not fit, the Sentry fetches itself; what cannot be read is sent short, and the Sentry finds out why.
 */
#include "sentry/platform/stub/stub.h"

enum seg_kind { SEG_NONE, SEG_STR, SEG_BUF, SEG_FIX, SEG_FRAME, SEG_ROBUST };

struct seg_row {
	uint8_t kind : 4, arg : 4;
	uint8_t size; /* SEG_BUF: argument that holds the length; SEG_FIX: bytes */
};

struct marshal_row {
	struct seg_row seg[STUB_SEGS_MAX];
};

#define FRAME_MAX 1024	/* of a signal frame, without the vector state behind it */
#define STR_MAX	 1024  /* longer paths are fetched by the Sentry */
#define BUF_MAX	 0x20000 /* two copies in the cache cost less than one process_vm_readv(2), which looks up every page */

#define STR(a)	  { SEG_STR, a, 0 }
#define BUF(a, l) { SEG_BUF, a, l }
#define FIX(a, n) { SEG_FIX, a, n }
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
	[19] = ROW(FIX(1, 64)),		/* readv: four entries */
	[20] = ROW(FIX(1, 64)),		/* writev */
	[21] = ROW(STR(0)),		/* access */
	[23] = ROW(FIX(1, 128), FIX(2, 128), FIX(4, 16)), /* select: 1,024 descriptors */
	[35] = ROW(FIX(0, 16)),		/* nanosleep */
	[42] = ROW(BUF(1, 2)),		/* connect */
	[44] = ROW(BUF(1, 2)),		/* sendto */
	[46] = ROW(FIX(1, 56)),		/* sendmsg */
	[47] = ROW(FIX(1, 56)),		/* recvmsg */
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
	[302] = ROW(FIX(2, 16)),	/* prlimit64 */
	[316] = ROW(STR(1), STR(3)),	/* renameat2 */
	[319] = ROW(STR(0)),		/* memfd_create */
	[332] = ROW(STR(1)),		/* statx */
	[435] = ROW(BUF(0, 1)),		/* clone3 */
	[437] = ROW(STR(1), BUF(2, 3)),	/* openat2 */
	[439] = ROW(STR(1)),		/* faccessat2 */
};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static uint32_t seg_copy(struct stub_slot *s, const struct seg_row *r, uint64_t addr, char *to, uint32_t room)
{
	uint64_t len;

	if (r->kind == SEG_STR)
		return (uint32_t)stub_copy_str(to, (void *)addr, room < STR_MAX ? room & ~7u : STR_MAX);
	len = r->size;
	if (r->kind == SEG_BUF)
		len = s->args[r->size];
	else if (r->kind == SEG_FRAME)
		len = FRAME_MAX + stub_config.xsave_size;
	if (r->kind == SEG_BUF && len > BUF_MAX)
		return 0;
	if (len > room)
		return 0;
	return (uint32_t)(len - stub_copy(to, (void *)addr, len));
}

static uint64_t seg_addr(const struct stub_slot *s, const struct seg_row *r)
{
	switch ((enum seg_kind)r->kind) {
	case SEG_FRAME:
		return s->regs.rsp;
	case SEG_ROBUST:
		return atomic_load_explicit(&s->sh.robust_list, memory_order_relaxed);
	default:
		return s->args[r->arg];
	}
}

void stub_marshal(struct stub_slot *s, uint32_t nr)
{
	uint32_t off = 0;
	unsigned n = 0;

	s->nr_segs = 0;
	if (nr >= NR_ROWS || rows[nr].seg[0].kind == SEG_NONE)
		return;
	for (unsigned i = 0; i < STUB_SEGS_MAX && rows[nr].seg[i].kind != SEG_NONE; i++) {
		const struct seg_row *r = &rows[nr].seg[i];
		uint64_t addr = seg_addr(s, r);
		uint32_t len;

		if (!addr)
			continue;
		len = seg_copy(s, r, addr, stub_window(s) + off, SLOT_WINDOW_LEN - off);
		if (!len)
			continue;
		s->seg[n] = (struct stub_seg){ .addr = addr, .len = len, .off = off };
		n++;
		off = (off + len + 63) & ~63u;
	}
	s->nr_segs = (uint8_t)n;
}
