/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/regs.c - registers and floating point state of a stopped thread
 *
 * Model:   general registers are copied from the slot once per event, when first asked for. Vector state stays in the
 *          processor while the stub runs, so reading or writing it is an operation of the stub's.
 * Source:  XSAVE area: Intel SDM volume 1 chapter 13; software-reserved bytes: Linux <asm/sigcontext.h>.
 */
#include <string.h>

#include "sentry/platform/platform_internal.h"

#define EFLAGS_FIXED 0x202ull
#define EFLAGS_TF    0x100ull
#define BASE_MAX     0x7ffffffff000ull
#define XSAVE_HEADER 512
#define XSAVE_LEGACY 576 /* legacy area and header */
#define MXCSR_OFFSET 24
#define MXCSR_INIT   0x1f80u
#define FCW_INIT     0x37f
#define SW_OFFSET    464
#define SW_MAGIC1    0x46505853u
#define SW_MAGIC2    0x46505845u

static void regs_take(struct uthr *t)
{
	t->regs = t->slot->regs;
	t->regs.cs = GUEST_CS;
	t->regs.ss = GUEST_SS;
	t->regs.ds = t->regs.es = t->regs.fs = t->regs.gs = 0;
	if (t->call_pending)
		t->regs.orig_rax = (uint64_t)(int64_t)(int32_t)t->u.sysno;
	if (t->ret_set)
		t->regs.rax = (uint64_t)t->ret;
	t->regs_valid = true;
}

void uthread_get_regs(struct uthread *u, struct guest_regs *out)
{
	struct uthr *t = uthr_of(u);

	if (!t->regs_valid)
		regs_take(t);
	*out = t->regs;
}

void uthread_set_regs(struct uthread *u, const struct guest_regs *in)
{
	struct uthr *t = uthr_of(u);

	if (!t->regs_valid)
		regs_take(t);
	if (in->fs_base != t->regs.fs_base)
		t->fsbase_set = true;
	t->regs = *in;
	t->regs.cs = GUEST_CS;
	t->regs.ss = GUEST_SS;
	t->regs.eflags = (in->eflags & GUEST_EFLAGS_USER) | EFLAGS_FIXED;
	if (t->regs.fs_base >= BASE_MAX)
		t->regs.fs_base = 0;
	if (t->regs.gs_base >= BASE_MAX)
		t->regs.gs_base = 0;
	t->resume_sigret = t->regs.gs_base || (t->regs.eflags & EFLAGS_TF);
	t->regs_dirty = true;
	t->ret_set = false;
}

/* ---- vector state --------------------------------------------------------------------------------------- */

size_t platform_xsave_size(void)
{
	return platform.xsave_size + sizeof(uint32_t); /* the second magic number follows */
}

static void sw_bytes_fill(char *buf)
{
	uint32_t *sw = (uint32_t *)(buf + SW_OFFSET);
	uint32_t magic2 = SW_MAGIC2;

	memset(sw, 0, 48);
	sw[0] = SW_MAGIC1;
	sw[1] = (uint32_t)platform_xsave_size();
	memcpy(sw + 2, &platform.xfeatures, 8);
	sw[4] = (uint32_t)platform.xsave_size;
	memcpy(buf + platform.xsave_size, &magic2, sizeof(magic2));
}

long uthread_get_fpu(struct uthread *u, void *buf, size_t cap)
{
	struct uthr *t = uthr_of(u);
	long ret = ops_run_now(t);

	if (ret)
		return ret;
	if (cap < platform_xsave_size())
		return -LINUX_EINVAL;
	t->ops[0] = (struct stub_op){ .kind = OP_FPU_SAVE };
	t->nr_ops = 1;
	if (thr_run_ops(t) == UEV_DEAD)
		return -LINUX_ESRCH;
	memcpy(buf, (char *)t->slot + SLOT_FPU, platform.xsave_size);
	sw_bytes_fill(buf);
	return (long)platform_xsave_size();
}

/* Puts the image in the slot; the stub loads it before the guest goes on. */
static void fpu_queue(struct uthr *t, const void *image, size_t len)
{
	if (t->nr_ops == OPS_DEFER_MAX && ops_run_now(t))
		return;
	memcpy((char *)t->slot + SLOT_FPU, image, len);
	t->ops[t->nr_ops++] = (struct stub_op){ .kind = OP_FPU_LOAD };
}

long uthread_set_fpu(struct uthread *u, const void *buf, size_t len)
{
	struct uthr *t = uthr_of(u);
	uint64_t hdr[8];
	uint32_t mxcsr;

	if (len < XSAVE_LEGACY || len > platform_xsave_size())
		return -LINUX_EINVAL;
	memcpy(hdr, (const char *)buf + XSAVE_HEADER, sizeof(hdr));
	memcpy(&mxcsr, (const char *)buf + MXCSR_OFFSET, sizeof(mxcsr));
	if ((hdr[0] & ~platform.xfeatures) || hdr[1] || (mxcsr & ~platform.mxcsr_mask))
		return -LINUX_EINVAL;
	for (unsigned i = 2; i < 8; i++)
		if (hdr[i])
			return -LINUX_EINVAL;
	/* A component that the image is too short for cannot be in it. */
	if (len < platform.xsave_size && (hdr[0] & ~3ull))
		return -LINUX_EINVAL;
	fpu_queue(t, buf, MIN(len, platform.xsave_size));
	return 0;
}

void uthread_init_fpu(struct uthread *u)
{
	char image[XSAVE_LEGACY] = { 0 };
	uint32_t mxcsr = MXCSR_INIT;
	uint16_t fcw = FCW_INIT;

	memcpy(image, &fcw, sizeof(fcw));
	memcpy(image + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	fpu_queue(uthr_of(u), image, sizeof(image));
}
