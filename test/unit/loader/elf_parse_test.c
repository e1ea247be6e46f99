/* SPDX-License-Identifier: Apache-2.0
 * test/unit/loader/elf_parse_test.c - ELF headers and script lines, good and hostile
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <string.h>

#include "sentry/loader/elf_parse.h"

#define LIMIT 0x7ffffffff000ull

static Elf64_Ehdr good_ehdr(void)
{
	return (Elf64_Ehdr){ .e_ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 }, .e_type = ET_DYN, .e_machine = EM_X86_64,
			     .e_version = 1, .e_entry = 0x1040, .e_phoff = 64, .e_phentsize = 56, .e_phnum = 2 };
}

static long header(Elf64_Ehdr e)
{
	struct elf_header h;

	return elf_parse_header(&e, sizeof(e), &h);
}

TestSuite(elf_parse, .timeout = 10);

Test(elf_parse, header)
{
	Elf64_Ehdr e = good_ehdr();
	struct elf_header h;

	cr_assert_eq(elf_parse_header(&e, sizeof(e), &h), 0);
	cr_assert_eq(h.entry, 0x1040);
	cr_assert_eq(h.phnum, 2);
	cr_assert_eq(elf_parse_header(&e, sizeof(e) - 1, &h), -LINUX_ENOEXEC);
	e.e_machine = EM_AARCH64;
	cr_assert_eq(header(e), -LINUX_ENOEXEC);
	e = good_ehdr();
	e.e_phentsize = 32;
	cr_assert_eq(header(e), -LINUX_ENOEXEC);
	e = good_ehdr();
	e.e_phnum = 0;
	cr_assert_eq(header(e), -LINUX_ENOEXEC);
	e.e_phnum = 0xffff;
	cr_assert_eq(header(e), -LINUX_ENOEXEC);
	e = good_ehdr();
	e.e_type = ET_REL;
	cr_assert_eq(header(e), -LINUX_ENOEXEC);
	e = good_ehdr();
	e.e_ident[EI_CLASS] = ELFCLASS32;
	cr_assert_eq(header(e), -LINUX_ENOEXEC);
}

static long summarize(const Elf64_Phdr *ph, unsigned n, struct elf_summary *out)
{
	struct elf_header h = { .entry = 0x1040, .phoff = 64, .type = ET_DYN, .phnum = (uint16_t)n };

	return elf_summarize(&h, ph, n * sizeof(*ph), LIMIT, out);
}

Test(elf_parse, summary_of_usual_program)
{
	Elf64_Phdr ph[] = {
		{ .p_type = PT_INTERP, .p_offset = 0x318, .p_filesz = 28 },
		{ .p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 0x600, .p_memsz = 0x600, .p_align = 0x1000 },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0x1000, .p_vaddr = 0x1000, .p_filesz = 0x200,
		  .p_memsz = 0x200, .p_align = 0x1000 },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x2db8, .p_vaddr = 0x3db8, .p_filesz = 0x258,
		  .p_memsz = 0x3000, .p_align = 0x200000 },
		{ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W },
	};
	struct elf_summary s;

	cr_assert_eq(summarize(ph, 5, &s), 0);
	cr_assert_eq(s.low, 0);
	cr_assert_eq(s.high, 0x7000);
	cr_assert_eq(s.brk, 0x6db8);
	cr_assert_eq(s.align, 0x200000);
	cr_assert_eq(s.phdr_vaddr, 64);
	cr_assert_eq(s.end_code, 0x1200);
	cr_assert_eq(s.start_data, 0x3db8);
	cr_assert_eq(s.end_data, 0x4010);
	cr_assert_eq(s.interp_off, 0x318);
	cr_assert_eq(s.interp_len, 28);
	cr_assert_not(s.exec_stack);
}

Test(elf_parse, hostile_segments)
{
	Elf64_Phdr good = { .p_type = PT_LOAD, .p_vaddr = 0x1000, .p_offset = 0x1000, .p_filesz = 16, .p_memsz = 32 }, p;
	struct elf_summary s;

	cr_assert_eq(summarize(&good, 1, &s), 0);
	p = good, p.p_filesz = 33;
	cr_assert_eq(summarize(&p, 1, &s), -LINUX_ENOEXEC);
	p = good, p.p_vaddr = UINT64_MAX - 10;
	cr_assert_eq(summarize(&p, 1, &s), -LINUX_ENOEXEC);
	p = good, p.p_memsz = UINT64_MAX - 0x1000;
	cr_assert_eq(summarize(&p, 1, &s), -LINUX_ENOEXEC);
	p = good, p.p_offset = 0x1001;
	cr_assert_eq(summarize(&p, 1, &s), -LINUX_ENOEXEC);
	p = good, p.p_offset = INT64_MAX - 0xfff, p.p_vaddr = 0x1000;
	cr_assert_eq(summarize(&p, 1, &s), -LINUX_ENOEXEC);
	p = good, p.p_memsz = p.p_filesz = 0;
	cr_assert_eq(summarize(&p, 1, &s), -LINUX_EINVAL);
	p = good, p.p_type = PT_INTERP, p.p_filesz = 1;
	cr_assert_eq(summarize(&p, 1, &s), -LINUX_ENOEXEC);
	p.p_filesz = 5000;
	cr_assert_eq(summarize(&p, 1, &s), -LINUX_ENOEXEC);
}

static long script(const char *text, char **interp, char **arg)
{
	static char line[SCRIPT_LINE_MAX + 1];
	size_t n = strlen(text);

	memcpy(line, text, n > SCRIPT_LINE_MAX ? SCRIPT_LINE_MAX : n);
	return script_parse(line, n, interp, arg);
}

Test(elf_parse, scripts)
{
	char *interp, *arg, big[400];

	cr_assert_eq(script("#! /bin/sh -e  x \nrest", &interp, &arg), 0);
	cr_assert_str_eq(interp, "/bin/sh");
	cr_assert_str_eq(arg, "-e  x");
	cr_assert_eq(script("#!/bin/sh\t \n", &interp, &arg), 0);
	cr_assert_str_eq(interp, "/bin/sh");
	cr_assert_null(arg);
	cr_assert_eq(script("#!/bin/cat", &interp, &arg), 0);
	cr_assert_str_eq(interp, "/bin/cat");
	cr_assert_eq(script("#!   \n", &interp, &arg), -LINUX_ENOEXEC);
	cr_assert_eq(script("#!", &interp, &arg), -LINUX_ENOEXEC);
	cr_assert_eq(script("/bin/sh\n", &interp, &arg), -LINUX_ENOEXEC);
	/* cut within the name: refused; within the argument: cut */
	memset(big, 'a', sizeof(big));
	memcpy(big, "#!", 2);
	big[399] = 0;
	cr_assert_eq(script(big, &interp, &arg), -LINUX_ENOEXEC);
	big[20] = ' ';
	cr_assert_eq(script(big, &interp, &arg), 0);
	cr_assert_eq(strlen(interp), 18);
	cr_assert_eq(strlen(arg), 256 - 21);
}
