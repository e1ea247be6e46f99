/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid_maps_query.c - PROCMAP_QUERY: one mapping of /proc/PID/maps, as numbers
 *
 * Source:  ioctl_procmap_query in the kernel's documentation of /proc; linux/fs.h for the layout.
 * Differs: build ids are not looked up: none is found.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <string.h>

#include "sentry/abi/mman.h"
#include "sentry/mm/uaccess.h"

#define LINUX_PROCMAP_QUERY 0xc0686611u

#define LINUX_PROCMAP_QUERY_VMA_READABLE	 0x01u
#define LINUX_PROCMAP_QUERY_VMA_WRITABLE	 0x02u
#define LINUX_PROCMAP_QUERY_VMA_EXECUTABLE	 0x04u
#define LINUX_PROCMAP_QUERY_VMA_SHARED		 0x08u
#define LINUX_PROCMAP_QUERY_COVERING_OR_NEXT_VMA 0x10u
#define LINUX_PROCMAP_QUERY_FILE_BACKED_VMA	 0x20u
#define QUERY_KNOWN				 0x3fu
#define QUERY_RIGHTS				 0x0fu

struct linux_procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
_Static_assert(sizeof(struct linux_procmap_query) == 104, "procmap_query");
#define QUERY_SIZE_MIN offsetof(struct linux_procmap_query, vma_start)

static uint64_t rights(const struct vma_info *v)
{
	return (v->prot & LINUX_PROT_READ ? LINUX_PROCMAP_QUERY_VMA_READABLE : 0) |
	       (v->prot & LINUX_PROT_WRITE ? LINUX_PROCMAP_QUERY_VMA_WRITABLE : 0) |
	       (v->prot & LINUX_PROT_EXEC ? LINUX_PROCMAP_QUERY_VMA_EXECUTABLE : 0) |
	       (v->flags & LINUX_MAP_PRIVATE ? 0 : LINUX_PROCMAP_QUERY_VMA_SHARED);
}

static bool wanted(const struct vma_info *v, uint64_t flags)
{
	uint64_t want = flags & QUERY_RIGHTS;

	return (rights(v) & want) == want && (!(flags & LINUX_PROCMAP_QUERY_FILE_BACKED_VMA) || v->ino);
}

static long find(struct mm *mm, uint64_t addr, uint64_t flags, struct vma_info *v)
{
	bool next = flags & LINUX_PROCMAP_QUERY_COVERING_OR_NEXT_VMA;

	while (mm_next_vma(mm, addr, v)) {
		if (!next && v->start > addr)
			break;
		if (wanted(v, flags))
			return 0;
		if (!next)
			break;
		addr = v->end;
	}
	return -LINUX_ENOENT;
}

static long put_name(struct uthread *u, struct linux_procmap_query *q, const struct vma_info *v)
{
	size_t n = v->name[0] ? strlen(v->name) + 1 : 0;

	if (!q->vma_name_size)
		return 0;
	if (n > q->vma_name_size)
		return -LINUX_ENAMETOOLONG;
	q->vma_name_size = (uint32_t)n;
	return n ? copyout(u, GPTR(q->vma_name_addr), v->name, n) : 0;
}

static long query(struct mm *mm, struct uthread *u, struct linux_procmap_query *q)
{
	struct vma_info v;
	long ret = find(mm, q->query_addr, q->query_flags, &v);

	if (ret < 0)
		return ret;
	q->vma_start = v.start;
	q->vma_end = v.end;
	q->vma_flags = rights(&v);
	q->vma_page_size = PAGE_SIZE;
	q->vma_offset = v.ino ? v.off : 0;
	q->inode = v.ino;
	q->dev_major = v.ino ? (uint32_t)LINUX_MAJOR(v.dev) : 0;
	q->dev_minor = v.ino ? (uint32_t)LINUX_MINOR(v.dev) : 0;
	q->build_id_size = 0;
	return put_name(u, q, &v);
}

long proc_ioctl_maps(const struct proc_ctx *c, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct linux_procmap_query q;
	struct mm *mm;
	uint64_t size;
	long ret;

	if (cmd != LINUX_PROCMAP_QUERY)
		return -LINUX_ENOTTY;
	if (copyin_obj(u, &size, GPTR(arg)) < 0)
		return -LINUX_EFAULT;
	if (size < QUERY_SIZE_MIN)
		return -LINUX_EINVAL;
	ret = copyin_struct(u, &q, sizeof(q), GPTR(arg), size);
	if (ret < 0)
		return ret;
	if (q.query_flags & ~(uint64_t)QUERY_KNOWN || !q.vma_name_size != !q.vma_name_addr || !q.build_id_size != !q.build_id_addr)
		return -LINUX_EINVAL;
	mm = task_mm(c->task);
	if (!mm)
		return -LINUX_ESRCH;
	ret = query(mm, u, &q);
	mm_put(mm);
	if (ret < 0)
		return ret;
	q.size = sizeof(q);
	return copyout(u, GPTR(arg), &q, MIN(size, (uint64_t)sizeof(q)));
}
