/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/ops.c - host work in this address space, on the Sentry's behalf
 *
 * Model:   a list of operations, in order, until one fails; each row's result is written back. What they may do is
 *          limited by the filter (filter_table.h), not here.
 */
#include "sentry/platform/stub/stub.h"

#define NR_close      3
#define NR_mmap	      9
#define NR_mprotect   10
#define NR_munmap     11
#define NR_mremap     25
#define NR_madvise    28
#define NR_prctl      157
#define NR_futex      202
#define NR_membarrier 324

#define MREMAP_MAYMOVE_FIXED 3
#define CLONE_THREAD_FLAGS   0x250f00 /* VM FS FILES SIGHAND THREAD SYSVSEM CHILD_CLEARTID; as in filter_table.h */
#define FD_LAST		     (-2)

static long fd_get(struct stub_slot *s)
{
	long fd = stub_notify(NOTIFY_FD, 0, 0, 0);

	while (fd == -4) /* interrupted before the Sentry saw it */
		fd = stub_notify(NOTIFY_FD, 0, 0, 0);
	s->last_fd = (uint32_t)fd;
	return fd;
}

static long fd_of(const struct stub_slot *s, uint64_t fd)
{
	return (int64_t)fd == FD_LAST ? (long)(int32_t)s->last_fd : (long)(int32_t)fd;
}

static long copy_in(struct stub_slot *s, const struct stub_op *o)
{
	if (o->c > SLOT_WINDOW_LEN || o->b > SLOT_WINDOW_LEN - o->c)
		return -STUB_EFAULT;
	return (long)(o->b - stub_copy(stub_window(s) + o->c, (void *)o->a, o->b));
}

static long copy_out(struct stub_slot *s, const struct stub_op *o)
{
	if (o->c > SLOT_WINDOW_LEN || o->b > SLOT_WINDOW_LEN - o->c)
		return -STUB_EFAULT;
	return stub_copy((void *)o->a, stub_window(s) + o->c, o->b) ? -STUB_EFAULT : 0;
}

static long store32(const struct stub_op *o)
{
	long ret = stub_store32(o->a, (uint32_t)o->b);

	return o->c ? 0 : ret;
}

static long thread_clone(struct stub_slot *s, const struct stub_op *o)
{
	uint64_t base = stub_config.region + REGION_SLOTS;
	uint64_t child;

	if (o->a >= NR_SLOTS)
		return -STUB_EFAULT;
	child = base + o->a * SLOT_SIZE;
	return stub_clone(CLONE_THREAD_FLAGS, child + SLOT_STACK_TOP, child + offsetof(struct stub_slot, live));
}

static long mmap_op(struct stub_slot *s, const struct stub_op *o)
{
	long ret;

	do /* a notified (shared) mapping may be cut short by a signal before the Sentry saw it */
		ret = stub_call(NR_mmap, (long)o->a, (long)o->b, (long)o->c, (long)o->d, fd_of(s, o->e), (long)o->f);
	while (ret == -4);
	return ret == (long)o->a ? 0 : ret;
}

static long op_run(struct stub_slot *s, const struct stub_op *o)
{
	switch ((enum stub_op_kind)o->kind) {
	case OP_MMAP:
		return mmap_op(s, o);
	case OP_MUNMAP:
		return stub_call(NR_munmap, (long)o->a, (long)o->b, 0, 0, 0, 0);
	case OP_MPROTECT:
		return stub_call(NR_mprotect, (long)o->a, (long)o->b, (long)o->c, 0, 0, 0);
	case OP_MREMAP: {
		long ret = stub_call(NR_mremap, (long)o->a, (long)o->b, (long)o->c, MREMAP_MAYMOVE_FIXED, (long)o->d, 0);

		return ret == (long)o->d ? 0 : ret;
	}
	case OP_MADVISE:
		return stub_call(NR_madvise, (long)o->a, (long)o->b, (long)o->c, 0, 0, 0);
	case OP_STORE32:
		return store32(o);
	case OP_FUTEX_WAKE:
		return stub_call(NR_futex, (long)o->a, 1 /* FUTEX_WAKE */, (long)o->b, 0, 0, 0);
	case OP_MEMBARRIER:
		return stub_call(NR_membarrier, (long)o->a, 0, 0, 0, 0, 0);
	case OP_ZERO:
		return stub_zero((void *)o->a, o->b) ? -STUB_EFAULT : 0;
	case OP_FD:
		return fd_get(s);
	case OP_CLOSE:
		return stub_call(NR_close, fd_of(s, o->a), 0, 0, 0, 0, 0);
	case OP_FORK:
		return stub_fork(o->a, stub_config.region + REGION_SLOTS);
	case OP_CLONE:
		return thread_clone(s, o);
	case OP_FPU_SAVE:
		stub_zero((char *)s + SLOT_FPU + 512, 64);
		stub_xsave((char *)s + SLOT_FPU, stub_config.xfeatures);
		return 0;
	case OP_FPU_LOAD:
		return stub_xrstor((char *)s + SLOT_FPU, stub_config.xfeatures);
	case OP_PATCH:
		return stub_patch(o->a, o->b, o->c);
	case OP_CMPXCHG32:
		return stub_cmpxchg32(o->a, (uint32_t)o->b, (uint32_t)o->c);
	case OP_COPY_OUT:
		return copy_out(s, o);
	case OP_COPY_IN:
		return copy_in(s, o);
	case OP_COMM:
		return stub_call(NR_prctl, 15 /* PR_SET_NAME */, (long)&o->a, 0, 0, 0, 0);
	}
	return -STUB_EFAULT;
}

long stub_ops_run(struct stub_slot *s, unsigned n)
{
	struct stub_op *ops = stub_slot_ops(s);

	for (unsigned i = 0; i < n && i < STUB_OPS_MAX; i++) {
		struct stub_op o = ops[i];
		long ret = op_run(s, &o);

		ops[i].result = ret;
		if (ret < 0)
			return ret;
	}
	return 0;
}
