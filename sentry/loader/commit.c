/* SPDX-License-Identifier: Apache-2.0
 * sentry/loader/commit.c - mapping the new image
 *
 * Model:   addresses are chosen, the mappings of program, interpreter and stack are collected, and the host makes them in one
 *          batch. A failure here is final for the task.
 * Source:  execve(2), elf(5); memory layout as Linux 6.x chooses it.
 */
#include "sentry/loader/loader_internal.h"

#include "sentry/abi/mman.h"

static uint32_t prot_of(uint32_t pf)
{
	return (pf & LINUX_PF_R ? LINUX_PROT_READ : 0) | (pf & LINUX_PF_W ? LINUX_PROT_WRITE : 0) |
	       (pf & LINUX_PF_X ? LINUX_PROT_EXEC : 0);
}

/* One PT_LOAD: file pages, the zeroed rest of the last one, anonymous pages. All checked by elf_summarize(). */
static long map_segment(struct mm_image *mi, const struct elf_file *e, const struct elf_phdr *p)
{
	uint64_t start = e->bias + p->vaddr, file_end = start + p->filesz, end = start + p->memsz;
	uint64_t page = start & PAGE_MASK, file_pages = ALIGN_UP(file_end, PAGE_SIZE);
	uint32_t prot = prot_of(p->flags);
	long ret = 0;

	if (!p->filesz)
		file_pages = page;
	if (file_pages > page)
		ret = mm_image_map(mi, page, file_pages - page, prot, e->map, p->offset - (start - page));
	/* To the end of the page, beyond memsz: ld.so takes its first heap from there and trusts it to be zero. Only
	 * writable pages can be cleared; in others what the file holds is seen, as in Linux. */
	if (!ret && p->filesz && end > file_end && file_pages > file_end && (prot & LINUX_PROT_WRITE))
		ret = mm_image_zero(mi, file_end, file_pages - file_end);
	end = ALIGN_UP(end, PAGE_SIZE);
	if (!ret && end > file_pages)
		ret = mm_image_map(mi, file_pages, end - file_pages, prot, NULL, 0);
	return ret;
}

static long map_elf(struct mm_image *mi, struct elf_file *e)
{
	struct cursor c = cursor_make(e->phdrs, e->phdrs_len);
	struct elf_phdr p;
	long ret = 0;

	for (unsigned i = 0; i < e->hdr.phnum && !ret; i++) {
		elf_parse_phdr(&c, &p);
		if (p.type == LINUX_PT_LOAD && p.memsz)
			ret = map_segment(mi, e, &p);
	}
	return ret;
}

/* Where a position independent file goes: @base, as far as its alignment allows. */
static void place_at(struct elf_file *e, uint64_t base)
{
	if (e->hdr.type == LINUX_ET_DYN)
		e->bias = ALIGN_DOWN(base, e->sum.align) - e->sum.low;
}

static long map_interp(struct mm_image *mi, struct elf_file *e)
{
	uint64_t len = e->sum.high - e->sum.low, base;

	if (e->hdr.type == LINUX_ET_DYN) {
		base = mm_image_place(mi, len + e->sum.align - PAGE_SIZE);
		if (!base)
			return -LINUX_ENOMEM;
		place_at(e, ALIGN_UP(base, e->sum.align));
	}
	return map_elf(mi, e);
}

static void set_layout(const struct elf_file *e, struct mm *mm, uint64_t brk_gap)
{
	struct mm_layout *l = mm_layout(mm);

	l->start_code = e->bias + e->sum.start_code;
	l->end_code = e->bias + e->sum.end_code;
	l->start_data = e->bias + e->sum.start_data;
	l->end_data = e->bias + e->sum.end_data;
	l->start_brk = l->brk = ALIGN_UP(e->bias + e->sum.brk, PAGE_SIZE) + brk_gap;
}

static long map_all(struct exec_image *img, struct mm_image *mi, const struct mm_placement *pl,
		    uint64_t *out_low)
{
	uint32_t prot = LINUX_PROT_READ | LINUX_PROT_WRITE;
	long ret;

	place_at(&img->prog, pl->pie_base);
	ret = map_elf(mi, &img->prog);
	if (!ret && img->interp.file)
		ret = map_interp(mi, &img->interp);
	if (!ret)
		ret = mm_image_stack(mi, pl->stack_top, prot | (img->prog.sum.exec_stack ? LINUX_PROT_EXEC : 0),
				     out_low);
	return ret;
}

static void put_exe(void *file)
{
	file_put(file);
}

static void set_entry(const struct exec_image *img, struct uthread *u, uint64_t sp)
{
	const struct elf_file *e = img->interp.file ? &img->interp : &img->prog;
	struct guest_regs regs = { .rip = e->bias + e->hdr.entry, .rsp = sp, .cs = GUEST_CS,
				   .ss = GUEST_SS, .eflags = 0x202 /* IF and the bit that is always set */,
				   .orig_rax = (uint64_t)-1 };

	uthread_set_regs(u, &regs);
	uthread_init_fpu(u);
}

long loader_commit(struct exec_image *img, struct mm *mm, struct uthread *u, uint64_t stack_limit)
{
	struct mm_placement pl;
	struct mm_image mi;
	uint64_t low = 0, sp = 0;
	long ret;

	mm_image_begin(&mi, mm, stack_limit, !(img->personality & LINUX_ADDR_NO_RANDOMIZE), &pl);
	ret = map_all(img, &mi, &pl, &low);
	if (!ret)
		ret = mm_image_commit(&mi, u);
	mm_image_fini(&mi);
	if (ret < 0)
		return ret;
	set_layout(&img->prog, mm, pl.brk_gap);
	ret = stack_build(img, mm, u, low, pl.stack_top, &sp);
	if (ret < 0)
		return ret;
	mm_set_exe(mm, file_get(img->prog.file), put_exe);
	set_entry(img, u, sp);
	uthread_set_name(u, img->comm);
	uspace_set_title(u->space, img->argv->data, img->argv->len);
	return 0;
}
