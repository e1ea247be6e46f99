/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_mm_policy.c - memory policy of a machine with one NUMA node; remap_file_pages(2)
 *
 * Model:   arguments are checked as on Linux with node 0 only; what a policy would do is what happens anyway.
 * Source:  set_mempolicy(2), mbind(2), get_mempolicy(2), remap_file_pages(2).
 */
#include "sentry/abi/cap.h"
#include "sentry/abi/mman.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/ns.h"

#define NODE_BITS_MAX 32768u /* nodemasks are at most one page */

/**
 * read_nodes() - copies a nodemask in
 * @maxnode:	bits, one more than are looked at (get_mempolicy(2) BUGS)
 *
 * Return: 0 with *out_empty, -LINUX_EINVAL for nodes other than 0, -LINUX_EFAULT
 */
static long read_nodes(struct task *t, struct gptr nodes, uint64_t maxnode, bool *out_empty)
{
	uint64_t word, bits = maxnode ? maxnode - 1 : 0;
	long ret;

	*out_empty = true;
	if (!nodes.v || !bits)
		return 0;
	if (bits > NODE_BITS_MAX)
		return -LINUX_EINVAL;
	for (uint64_t i = 0; i * 64 < bits; i++) {
		ret = copyin(t->u, &word, GPTR(nodes.v + i * 8), sizeof(word));
		if (ret < 0)
			return ret;
		if (bits - i * 64 < 64)
			word &= (1ull << (bits - i * 64)) - 1;
		if (i ? word != 0 : (word & ~1ull) != 0)
			return -LINUX_EINVAL;
		if (word)
			*out_empty = false;
	}
	return 0;
}

static long check_policy(struct task *t, int mode, struct gptr nodes, uint64_t maxnode)
{
	bool empty;
	long ret;

	switch (mode & ~LINUX_MPOL_MODE_FLAGS) {
	case LINUX_MPOL_DEFAULT:
	case LINUX_MPOL_LOCAL:
		ret = read_nodes(t, nodes, maxnode, &empty);
		return ret < 0 ? ret : empty ? 0 : -LINUX_EINVAL;
	case LINUX_MPOL_PREFERRED:
		return read_nodes(t, nodes, maxnode, &empty);
	case LINUX_MPOL_BIND:
	case LINUX_MPOL_INTERLEAVE:
	case LINUX_MPOL_PREFERRED_MANY:
	case LINUX_MPOL_WEIGHTED_INTERLEAVE:
		ret = read_nodes(t, nodes, maxnode, &empty);
		return ret < 0 ? ret : empty ? -LINUX_EINVAL : 0;
	}
	return -LINUX_EINVAL;
}

static bool mode_flags_ok(int mode)
{
	const int both = LINUX_MPOL_F_STATIC_NODES | LINUX_MPOL_F_RELATIVE_NODES;

	return (mode & both) != both;
}

SYSCALL_DEFINE3(set_mempolicy, int, mode, struct gptr, nodes, uint64_t, maxnode)
{
	long ret;

	if (!mode_flags_ok(mode))
		return -LINUX_EINVAL;
	ret = check_policy(t, mode, nodes, maxnode);
	if (ret < 0)
		return ret;
	t->mempolicy = (uint32_t)mode;
	return 0;
}

SYSCALL_DEFINE6(mbind, uint64_t, addr, uint64_t, len, int, mode, struct gptr, nodes, uint64_t, maxnode, uint32_t,
		flags)
{
	uint64_t bytes = ALIGN_UP(len, PAGE_SIZE);
	long ret;

	if (flags & ~(LINUX_MPOL_MF_STRICT | LINUX_MPOL_MF_MOVE | LINUX_MPOL_MF_MOVE_ALL))
		return -LINUX_EINVAL;
	if ((flags & LINUX_MPOL_MF_MOVE_ALL) && !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_NICE))
		return -LINUX_EPERM;
	if ((addr & ~PAGE_MASK) || bytes < len || addr + bytes < addr || !mode_flags_ok(mode))
		return -LINUX_EINVAL;
	ret = check_policy(t, mode, nodes, maxnode);
	if (ret < 0 || !bytes)
		return ret;
	return mm_check_range(t->mm, addr, bytes) < 0 ? -LINUX_EFAULT : 0;
}

SYSCALL_DEFINE5(get_mempolicy, struct gptr, mode, struct gptr, nodes, uint64_t, maxnode, uint64_t, addr, uint64_t,
		flags)
{
	uint32_t policy = t->mempolicy & ~LINUX_MPOL_MODE_FLAGS, out = t->mempolicy;
	uint64_t word = policy == LINUX_MPOL_DEFAULT || policy == LINUX_MPOL_LOCAL ? 0 : 1, zero = 0;
	long ret = 0;

	if (flags & ~(uint64_t)(LINUX_MPOL_F_NODE | LINUX_MPOL_F_ADDR | LINUX_MPOL_F_MEMS_ALLOWED))
		return -LINUX_EINVAL;
	if (nodes.v && (maxnode < 2 || maxnode > NODE_BITS_MAX))
		return -LINUX_EINVAL; /* the mask must have room for the nodes there are */
	if (flags & LINUX_MPOL_F_MEMS_ALLOWED) {
		if (flags & (LINUX_MPOL_F_NODE | LINUX_MPOL_F_ADDR))
			return -LINUX_EINVAL;
		out = 0;
		word = 1;
	} else if (flags & LINUX_MPOL_F_ADDR) {
		if (mm_check_range(t->mm, addr & PAGE_MASK, PAGE_SIZE) < 0)
			return -LINUX_EFAULT;
		out = 0;	/* node 0, or the default policy: both 0 */
		word = 0;
	} else if (addr) {
		return -LINUX_EINVAL;
	} else if (flags & LINUX_MPOL_F_NODE) {
		if (policy != LINUX_MPOL_INTERLEAVE)
			return -LINUX_EINVAL;
		out = 0;
	}
	if (mode.v)
		ret = copyout(t->u, mode, &out, sizeof(out));
	for (uint64_t i = 0; nodes.v && !ret && i * 64 < maxnode - 1; i++)
		ret = copyout(t->u, GPTR(nodes.v + i * 8), i ? &zero : &word, sizeof(word));
	return ret;
}

SYSCALL_DEFINE5(remap_file_pages, uint64_t, addr, uint64_t, len, uint64_t, prot, uint64_t, pgoff, uint64_t, flags)
{
	struct mm_limits lim = task_mm_limits(t);

	/* MAP_NONBLOCK is the only flag that means anything, and it means nothing here. */
	return prot ? -LINUX_EINVAL : mm_remap_file_pages(t->mm, t->u, &lim, addr, len, pgoff);
}
