/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/vdso.c - finding the host's vDSO, its symbols, and moving it into the region
 *
 * Model:   data pages (vvar) lie directly below the vDSO's text in one or more mappings and must keep their distance.
 *          Their number differs between kernels, so the extent is found with mincore(2), which fails exactly for
 *          addresses that are not mapped; this runs before anything else is mapped beside them.
 * Source:  vdso(7), mremap(2), elf(5).
 */
#include <elf.h>

#include "sentry/platform/stub/zygote.h"

#define PAGE	      4096ull
#define EXTENT_MAX    16 /* pages in each direction */
#define SYMBOLS_MAX   64
#define MREMAP_MOVE_FIXED 3

static bool mapped(uint64_t addr)
{
	unsigned char v;

	return raw_call(__NR_mincore, (long)addr, PAGE, (long)&v, 0, 0, 0) == 0;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void symbols_find(struct vdso_info *v)
{
	const char *base = (const char *)v->ehdr;
	const Elf64_Ehdr *eh = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + eh->e_phoff);
	const Elf64_Dyn *dyn = (void *)0;
	const Elf64_Sym *sym = (void *)0;
	const char *str = (void *)0;
	uint64_t bias = 0;

	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(base + ph[i].p_offset);
		if (ph[i].p_type == PT_LOAD)
			bias = ph[i].p_vaddr - ph[i].p_offset;
	}
	if (!dyn)
		return;
	for (; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_SYMTAB)
			sym = (const void *)(base + (dyn->d_un.d_ptr - bias));
		if (dyn->d_tag == DT_STRTAB)
			str = base + (dyn->d_un.d_ptr - bias);
	}
	if (!sym || !str || (const char *)sym >= str)
		return;
	/* The string table follows the symbol table: that bounds the number of symbols. */
	for (unsigned i = 0; i < SYMBOLS_MAX && (const char *)(sym + i + 1) <= str; i++) {
		if (same(str + sym[i].st_name, "__vdso_clock_gettime"))
			v->clock_gettime = v->ehdr + sym[i].st_value - bias;
		if (same(str + sym[i].st_name, "__vdso_getcpu"))
			v->getcpu = v->ehdr + sym[i].st_value - bias;
	}
}

void vdso_find(struct vdso_info *v, uint64_t ehdr)
{
	*v = (struct vdso_info){ .ehdr = ehdr };
	if (!ehdr)
		return;
	v->start = ehdr & ~(PAGE - 1);
	v->end = v->start + PAGE;
	for (unsigned i = 0; i < EXTENT_MAX && mapped(v->start - PAGE); i++)
		v->start -= PAGE;
	for (unsigned i = 0; i < EXTENT_MAX && mapped(v->end); i++)
		v->end += PAGE;
	symbols_find(v);
}

bool vdso_move(struct vdso_info *v, uint64_t to, uint64_t room)
{
	uint64_t at = v->start, delta = to - v->start;

	if (!v->ehdr || v->end - v->start > room)
		return false;
	while (at < v->end) {
		uint64_t n = v->end - at;

		/* The kernel moves whole mappings only, and tells none of their sizes: try from the largest down. */
		while (n && raw_call(__NR_mremap, (long)at, (long)n, (long)n, MREMAP_MOVE_FIXED, (long)(at + delta), 0) !=
				    (long)(at + delta))
			n -= PAGE;
		if (!n)
			break;
		at += n;
	}
	if (at == v->start)
		return false;
	if (at < v->end) { /* half of it moved is of no use to anybody */
		v->ehdr = v->clock_gettime = v->getcpu = 0;
		return true;
	}
	v->ehdr += delta;
	v->start += delta;
	v->end += delta;
	if (v->clock_gettime)
		v->clock_gettime += delta;
	if (v->getcpu)
		v->getcpu += delta;
	return true;
}
