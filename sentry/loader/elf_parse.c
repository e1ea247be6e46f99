/* SPDX-License-Identifier: Apache-2.0
 * sentry/loader/elf_parse.c - see elf_parse.h
 *
 * Source:  elf(5), System V ABI chapter 5; limits as Linux has them.
 * Differs: malformed segments are refused before the old image is gone, where Linux kills the process afterwards.
 */
#include "sentry/loader/elf_parse.h"

static const uint8_t elf_ident[] = { 0x7f, 'E', 'L', 'F', LINUX_ELFCLASS64, LINUX_ELFDATA2LSB };

long elf_parse_header(const void *bytes, size_t len, struct elf_header *out)
{
	struct cursor c = cursor_make(bytes, len);
	const uint8_t *ident = get_bytes(&c, LINUX_EI_NIDENT);
	struct elf_header h = { 0 };
	uint16_t machine, phentsize;

	h.type = get_le16(&c);
	machine = get_le16(&c);
	get_le32(&c);			/* e_version */
	h.entry = get_le64(&c);
	h.phoff = get_le64(&c);
	get_le64(&c);			/* e_shoff */
	get_le32(&c);			/* e_flags */
	get_le16(&c);			/* e_ehsize */
	phentsize = get_le16(&c);
	h.phnum = get_le16(&c);
	get_bytes(&c, 6);		/* section headers: not ours */
	if (c.bad || memcmp(ident, elf_ident, sizeof(elf_ident)))
		return -LINUX_ENOEXEC;
	if ((h.type != LINUX_ET_EXEC && h.type != LINUX_ET_DYN) || machine != LINUX_EM_X86_64)
		return -LINUX_ENOEXEC;
	if (phentsize != LINUX_PHDR_SIZE || !h.phnum ||
	    (size_t)h.phnum * LINUX_PHDR_SIZE > ELF_PHDRS_MAX_BYTES || h.phoff > INT64_MAX)
		return -LINUX_ENOEXEC;
	*out = h;
	return 0;
}

void elf_parse_phdr(struct cursor *c, struct elf_phdr *out)
{
	out->type = get_le32(c);
	out->flags = get_le32(c);
	out->offset = get_le64(c);
	out->vaddr = get_le64(c);
	get_le64(c);			/* p_paddr */
	out->filesz = get_le64(c);
	out->memsz = get_le64(c);
	out->align = get_le64(c);
}

/* One PT_LOAD: inside the address space, not larger in the file than in memory, mappable. */
static bool load_ok(const struct elf_phdr *p, uint64_t limit)
{
	if (p->filesz > p->memsz || p->memsz > limit || p->vaddr > limit - p->memsz)
		return false;
	if (p->vaddr + p->memsz > limit - PAGE_SIZE)
		return false; /* its last page must end below the limit, too */
	if (p->offset > INT64_MAX - PAGE_SIZE - p->filesz) /* filesz is below limit */
		return false;
	return !p->filesz || ((p->vaddr ^ p->offset) & ~PAGE_MASK) == 0;
}

static void add_load(const struct elf_header *h, const struct elf_phdr *p, struct elf_summary *s)
{
	uint64_t file_end = p->vaddr + p->filesz;

	s->low = MIN(s->low, p->vaddr & PAGE_MASK);
	s->high = MAX(s->high, ALIGN_UP(p->vaddr + p->memsz, PAGE_SIZE));
	s->brk = MAX(s->brk, p->vaddr + p->memsz);
	if (p->align > s->align && !(p->align & (p->align - 1)) && p->align <= (1ull << 30))
		s->align = p->align;
	s->start_code = MIN(s->start_code, p->vaddr);
	s->start_data = MAX(s->start_data, p->vaddr);
	s->end_data = MAX(s->end_data, file_end);
	if (p->flags & LINUX_PF_X)
		s->end_code = MAX(s->end_code, file_end);
	if (!s->phdr_vaddr && h->phoff >= p->offset && h->phoff - p->offset < p->filesz)
		s->phdr_vaddr = p->vaddr + (h->phoff - p->offset);
}

long elf_summarize(const struct elf_header *h, const void *phdrs, size_t len, uint64_t limit,
		   struct elf_summary *out)
{
	struct elf_summary s = { .low = UINT64_MAX, .start_code = UINT64_MAX, .align = PAGE_SIZE };
	struct cursor c = cursor_make(phdrs, len);
	struct elf_phdr p;

	for (unsigned i = 0; i < h->phnum; i++) {
		elf_parse_phdr(&c, &p);
		if (c.bad)
			return -LINUX_ENOEXEC;
		switch (p.type) {
		case LINUX_PT_LOAD:
			if (!p.memsz)
				break;
			if (!load_ok(&p, limit))
				return -LINUX_ENOEXEC;
			add_load(h, &p, &s);
			break;
		case LINUX_PT_INTERP:
			if (s.interp_len)
				break; /* the first one counts */
			if (p.filesz < 2 || p.filesz > 4096 || p.offset > INT64_MAX)
				return -LINUX_ENOEXEC;
			s.interp_off = p.offset;
			s.interp_len = p.filesz;
			break;
		case LINUX_PT_PHDR:
			if (p.vaddr < limit)
				s.phdr_vaddr = p.vaddr;
			break;
		case LINUX_PT_GNU_STACK:
			s.exec_stack = p.flags & LINUX_PF_X;
			break;
		}
	}
	if (s.low >= s.high)
		return -LINUX_EINVAL;
	*out = s;
	return 0;
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

long script_parse(char line[SCRIPT_LINE_MAX + 1], size_t len, char **out_interp, char **out_arg)
{
	char *p, *end, *interp;

	if (len > SCRIPT_LINE_MAX)
		len = SCRIPT_LINE_MAX;
	line[len] = '\0';
	if (len < 2 || line[0] != '#' || line[1] != '!')
		return -LINUX_ENOEXEC;
	end = memchr(line, '\n', len);
	if (!end) {
		/* Cut off: fine only if the interpreter's name certainly ended before. */
		p = line + 2 + strspn(line + 2, " \t");
		if (len == SCRIPT_LINE_MAX && !p[strcspn(p, " \t")])
			return -LINUX_ENOEXEC;
		end = line + len;
	}
	while (end > line + 2 && is_blank(end[-1]))
		end--;
	*end = '\0';
	interp = line + 2 + strspn(line + 2, " \t");
	if (!*interp)
		return -LINUX_ENOEXEC;
	p = interp + strcspn(interp, " \t");
	*out_arg = NULL;
	if (*p) {
		*p++ = '\0';
		p += strspn(p, " \t");
		if (*p)
			*out_arg = p;
	}
	*out_interp = interp;
	return 0;
}
