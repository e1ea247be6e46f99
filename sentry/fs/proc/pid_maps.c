/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid_maps.c - /proc/PID/{maps,smaps,smaps_rollup,numa_maps}
 *
 * Source:  proc_pid_maps(5), proc_pid_smaps(5), numa(7).
 * Differs: which pages are resident is the host's knowledge; smaps shows the estimate of statm.
 */
#include "sentry/fs/proc/proc_internal.h"

#include "sentry/abi/mman.h"
#include "sentry/mm/vma.h"

static void put_line(const struct vma_info *v, struct buf *out)
{
	size_t start = out->len;

	buf_printf(out, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu", v->start, v->end, v->prot & LINUX_PROT_READ ? 'r' : '-',
		   v->prot & LINUX_PROT_WRITE ? 'w' : '-', v->prot & LINUX_PROT_EXEC ? 'x' : '-',
		   v->flags & LINUX_MAP_PRIVATE ? 'p' : 's', v->off, LINUX_MAJOR(v->dev), LINUX_MINOR(v->dev), v->ino);
	if (v->name[0]) {
		do
			buf_append(out, " ", 1);
		while (!out->failed && out->len - start < 73);
		for (const char *p = v->name; *p; p++)
			buf_append(out, *p == '\n' ? "\\012" : p, *p == '\n' ? 4 : 1);
	}
	buf_append(out, "\n", 1);
}

/* Calls @put for each vma of the task. */
static void each_vma(const struct proc_ctx *c, struct buf *out, void (*put)(const struct vma_info *, struct buf *))
{
	struct mm *mm = task_mm(c->task);
	struct vma_info v;
	uint64_t at = 0;

	if (!mm)
		return;
	while (!out->failed && mm_next_vma(mm, at, &v)) {
		put(&v, out);
		at = v.end;
	}
	mm_put(mm);
}

PROC_SHOW(maps)
{
	each_vma(c, out, put_line);
	return 0;
}

static bool resident(const struct vma_info *v)
{
	return v->prot && !(v->vm_flags & (VM_STACK | VM_NORESERVE | VM_SEALED));
}

struct sizes {
	uint64_t size, rss, clean_shared, clean_private, dirty_private, anon, locked;
};

static void measure(const struct vma_info *v, struct sizes *s)
{
	uint64_t n = v->end - v->start, r = resident(v) ? n : 0;

	s->size += n;
	s->rss += r;
	s->locked += v->vm_flags & VM_LOCKED ? r : 0;
	if (v->flags & LINUX_MAP_ANONYMOUS) {
		s->anon += r;
		s->dirty_private += r;
	} else if (v->flags & LINUX_MAP_PRIVATE) {
		s->clean_private += r;
	} else {
		s->clean_shared += r;
	}
}

static void put_sizes(const struct sizes *s, bool whole, struct buf *out)
{
	const struct {
		const char *name;
		uint64_t bytes;
		bool one_vma;
	} row[] = {
		{ "Size:", s->size, true },	 { "KernelPageSize:", PAGE_SIZE, true }, { "MMUPageSize:", PAGE_SIZE, true },
		{ "Rss:", s->rss, false },	 { "Pss:", s->rss, false },
		{ "Shared_Clean:", s->clean_shared, false }, { "Shared_Dirty:", 0, false },
		{ "Private_Clean:", s->clean_private, false }, { "Private_Dirty:", s->dirty_private, false },
		{ "Referenced:", s->rss, false }, { "Anonymous:", s->anon, false }, { "LazyFree:", 0, false },
		{ "AnonHugePages:", 0, false },	 { "ShmemPmdMapped:", 0, false }, { "FilePmdMapped:", 0, false },
		{ "Shared_Hugetlb:", 0, false }, { "Private_Hugetlb:", 0, false }, { "Swap:", 0, false }, { "SwapPss:", 0, false },
		{ "Locked:", s->locked, false },
	};

	for (size_t k = 0; k < ARRAY_SIZE(row); k++)
		if (!whole || !row[k].one_vma)
			buf_printf(out, "%-16s%8lu kB\n", row[k].name, row[k].bytes >> 10);
}

/* Two letters for each flag, proc_pid_smaps(5) "VmFlags". */
static void put_vm_flags(const struct vma_info *v, struct buf *out)
{
	const struct {
		bool on;
		const char *name;
	} flag[] = {
		{ v->prot & LINUX_PROT_READ, "rd" },	 { v->prot & LINUX_PROT_WRITE, "wr" },
		{ v->prot & LINUX_PROT_EXEC, "ex" },	 { v->flags & LINUX_MAP_SHARED, "sh" },
		{ v->prot_max & LINUX_PROT_READ, "mr" }, { v->prot_max & LINUX_PROT_WRITE, "mw" },
		{ v->prot_max & LINUX_PROT_EXEC, "me" }, { v->flags & LINUX_MAP_SHARED, "ms" },
		{ v->vm_flags & VM_GROWSDOWN, "gd" },	 { v->vm_flags & VM_LOCKED, "lo" },
		{ v->vm_flags & VM_SEQREAD, "sr" },	 { v->vm_flags & VM_RANDREAD, "rr" },
		{ v->vm_flags & VM_DONTFORK, "dc" },	 { v->vm_flags & VM_NORESERVE, "nr" },
		{ v->vm_flags & VM_WIPEONFORK, "wf" },	 { v->vm_flags & VM_DONTDUMP, "dd" },
		{ v->vm_flags & VM_HUGEPAGE, "hg" },	 { v->vm_flags & VM_NOHUGEPAGE, "nh" },
		{ v->vm_flags & VM_UNCHANGEABLE, "sl" },
	};

	buf_printf(out, "THPeligible:           %d\nVmFlags: ", !(v->vm_flags & VM_NOHUGEPAGE) && v->end - v->start >= 2u << 20);
	for (size_t k = 0; k < ARRAY_SIZE(flag); k++)
		if (flag[k].on)
			buf_printf(out, "%s ", flag[k].name);
	buf_printf(out, "\n");
}

static void put_smap(const struct vma_info *v, struct buf *out)
{
	struct sizes s = { 0 };

	put_line(v, out);
	measure(v, &s);
	put_sizes(&s, false, out);
	put_vm_flags(v, out);
}

PROC_SHOW(smaps)
{
	each_vma(c, out, put_smap);
	return 0;
}

PROC_SHOW(smaps_rollup)
{
	struct mm *mm = task_mm(c->task);
	struct sizes s = { 0 };
	struct vma_info v, all = { .name = "[rollup]", .flags = LINUX_MAP_PRIVATE };
	uint64_t at = 0;

	if (!mm)
		return -LINUX_ESRCH;
	while (mm_next_vma(mm, at, &v)) {
		measure(&v, &s);
		if (!all.start)
			all.start = v.start;
		all.end = at = v.end;
	}
	mm_put(mm);
	put_line(&all, out);
	put_sizes(&s, true, out);
	return 0;
}

static void put_numa(const struct vma_info *v, struct buf *out)
{
	buf_printf(out, "%08lx default", v->start);
	if (v->ino)
		buf_printf(out, " file=%s", v->name);
	else if (v->vm_flags & VM_STACK)
		buf_printf(out, " stack");
	if (resident(v))
		buf_printf(out, " %s=%lu N0=%lu", v->flags & LINUX_MAP_ANONYMOUS ? "anon" : "mapped", to_pages(v->end - v->start),
			   to_pages(v->end - v->start));
	buf_printf(out, " kernelpagesize_kB=4\n");
}

PROC_SHOW(numa_maps)
{
	each_vma(c, out, put_numa);
	return 0;
}
