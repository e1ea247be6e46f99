/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/elf_parse.c - libFuzzer: the first page of a file that a guest executes
 *
 * Input:   a file. Its beginning is taken as a script line and as an ELF file.
 * Checks:  no reads beyond the input (AddressSanitizer); what the parser accepts keeps its promises: no segment or sum of
 *          segments overflows, everything lies below the limit.
 */
#include "sentry/loader/elf_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define LIMIT 0x7ffffffff000ull

static void check_segments(const struct elf_header *h, const uint8_t *phdrs, size_t len, const struct elf_summary *s)
{
	struct cursor c = cursor_make(phdrs, len);
	struct elf_phdr p;

	for (unsigned i = 0; i < h->phnum; i++) {
		elf_parse_phdr(&c, &p);
		if (p.type != LINUX_PT_LOAD || !p.memsz)
			continue;
		if (p.vaddr < s->low || p.vaddr + p.memsz > s->high || p.filesz > p.memsz || p.vaddr + p.memsz < p.vaddr ||
		    p.offset + p.filesz < p.offset)
			abort();
	}
	if (c.bad || (s->low & ~PAGE_MASK) || (s->high & ~PAGE_MASK) || s->high > LIMIT || s->low >= s->high ||
	    s->brk > s->high || s->end_data > s->high || s->end_code > s->high || (s->align & (s->align - 1)))
		abort();
	if (s->interp_len && (s->interp_len < 2 || s->interp_len > 4096))
		abort();
}

static void try_script(const uint8_t *data, size_t len)
{
	char line[SCRIPT_LINE_MAX + 1], *interp, *arg;

	len = MIN(len, (size_t)SCRIPT_LINE_MAX);
	memcpy(line, data, len);
	if (script_parse(line, len, &interp, &arg) < 0)
		return;
	if (interp < line || !*interp || strlen(interp) > SCRIPT_LINE_MAX || (arg && !*arg))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct elf_summary s;
	struct elf_header h;
	size_t n;

	try_script(data, len);
	if (elf_parse_header(data, len, &h) < 0 || h.phoff > len)
		return 0;
	n = MIN((size_t)h.phnum * LINUX_PHDR_SIZE, len - h.phoff);
	if (elf_summarize(&h, data + h.phoff, n, LIMIT, &s) == 0)
		check_segments(&h, data + h.phoff, n, &s);
	return 0;
}
