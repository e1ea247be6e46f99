/* SPDX-License-Identifier: Apache-2.0
 * sentry/loader/stack.c - the initial stack: arguments, environment, auxiliary vector
 *
 * Model:   built in one buffer that ends at the top of the stack, copied out in one piece. From low to high: argc, argv
 *          pointers, envp pointers, auxiliary vector, random bytes, platform name, argument strings, environment strings, file name,
 *          eight zero bytes.
 * Source:  System V ABI AMD64 3.4.1, getauxval(3).
 */
#include "sentry/loader/loader_internal.h"

#include <cpuid.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/hostcall.h"

#define CLK_TCK	       100
#define RANDOM_BYTES   16
#define HWCAP2_RING3MWAIT 1u
/* What a signal frame needs besides the FPU image (siginfo, ucontext, red zone, alignment), bytes. */
#define SIGFRAME_REST  1024

static const char platform_name[] = "x86_64";

struct stack_plan {
	uint64_t sp, strings, envs, execfn, random, platform; /* guest addresses */
	uint64_t auxv[64];
	unsigned nr_auxv;	/* words */
};

static void aux(struct stack_plan *s, uint64_t type, uint64_t value)
{
	BUG_ON(s->nr_auxv + 2 > ARRAY_SIZE(s->auxv));
	s->auxv[s->nr_auxv++] = type;
	s->auxv[s->nr_auxv++] = value;
}

static uint64_t hwcap(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) ? d : 0;
}

static void fill_auxv(struct stack_plan *s, const struct exec_image *img, struct mm *mm)
{
	const struct elf_file *e = &img->prog;
	uint64_t vdso = uspace_vdso(mm_space(mm));
	uint64_t sigstk = platform_xsave_size() + SIGFRAME_REST;

	if (vdso)
		aux(s, LINUX_AT_SYSINFO_EHDR, vdso);
	aux(s, LINUX_AT_MINSIGSTKSZ, MAX(sigstk, (uint64_t)getauxval(AT_MINSIGSTKSZ)));
	aux(s, LINUX_AT_HWCAP, hwcap());
	aux(s, LINUX_AT_PAGESZ, PAGE_SIZE);
	aux(s, LINUX_AT_CLKTCK, CLK_TCK);
	aux(s, LINUX_AT_PHDR, e->sum.phdr_vaddr ? e->bias + e->sum.phdr_vaddr : 0);
	aux(s, LINUX_AT_PHENT, LINUX_PHDR_SIZE);
	aux(s, LINUX_AT_PHNUM, e->hdr.phnum);
	aux(s, LINUX_AT_BASE, img->interp.file ? img->interp.bias : 0);
	aux(s, LINUX_AT_FLAGS, 0);
	aux(s, LINUX_AT_ENTRY, e->bias + e->hdr.entry);
	aux(s, LINUX_AT_UID, img->uid);
	aux(s, LINUX_AT_EUID, img->euid);
	aux(s, LINUX_AT_GID, img->gid);
	aux(s, LINUX_AT_EGID, img->egid);
	aux(s, LINUX_AT_SECURE, img->secure);
	aux(s, LINUX_AT_RANDOM, s->random);
	/* FSGSBASE is not offered: %gs belongs to the platform (DESIGN.md section 3). */
	aux(s, LINUX_AT_HWCAP2, getauxval(AT_HWCAP2) & HWCAP2_RING3MWAIT);
	aux(s, LINUX_AT_EXECFN, s->execfn);
	aux(s, LINUX_AT_PLATFORM, s->platform);
	aux(s, LINUX_AT_NULL, 0);
}

/* Pointers to @n strings that lie back to back at guest address @at, and the NULL behind them. */
static uint64_t *put_ptrs(uint64_t *p, const struct exec_strings *s, uint64_t at)
{
	const char *str = s->data;

	for (uint32_t i = 0; i < s->nr; i++) {
		size_t n = strlen(str) + 1;

		*p++ = at;
		at += n;
		str += n;
	}
	*p++ = 0;
	return p;
}

/* Chooses every address, from the top down. -LINUX_E2BIG when the stack is too small. */
static long plan_stack(struct stack_plan *s, const struct exec_image *img, struct mm *mm, uint64_t low,
		       uint64_t top, const uint16_t *rnd)
{
	size_t fn = strlen(img->filename) + 1, words;
	uint64_t room = img->argv->len + img->envp->len + fn, at;

	words = 1 + (size_t)img->argv->nr + 1 + img->envp->nr + 1 + ARRAY_SIZE(s->auxv);
	if (room + words * 8 + 4 * PAGE_SIZE > top - low)
		return -LINUX_E2BIG;
	s->execfn = top - 8 - fn;
	s->envs = s->execfn - img->envp->len;
	s->strings = s->envs - img->argv->len;
	at = s->strings;
	if (!(img->personality & LINUX_ADDR_NO_RANDOMIZE))
		at -= *rnd % (2 * PAGE_SIZE);	/* where the frames begin within their pages */
	s->platform = (at & ~15ull) - sizeof(platform_name);
	s->random = (s->platform - RANDOM_BYTES) & ~15ull;
	fill_auxv(s, img, mm);
	words = 1 + (size_t)img->argv->nr + 1 + img->envp->nr + 1 + s->nr_auxv;
	s->sp = (s->random - words * 8) & ~15ull;
	return 0;
}

static void fill_stack(const struct stack_plan *s, const struct exec_image *img, uint8_t *buf,
		       const uint8_t *random)
{
	uint64_t *p = (uint64_t *)buf;

	*p++ = img->argv->nr;
	p = put_ptrs(p, img->argv, s->strings);
	p = put_ptrs(p, img->envp, s->envs);
	memcpy(p, s->auxv, s->nr_auxv * sizeof(*p));
	memcpy(buf + (s->random - s->sp), random, RANDOM_BYTES);
	memcpy(buf + (s->platform - s->sp), platform_name, sizeof(platform_name));
	if (img->argv->len)
		memcpy(buf + (s->strings - s->sp), img->argv->data, img->argv->len);
	if (img->envp->len)
		memcpy(buf + (s->envs - s->sp), img->envp->data, img->envp->len);
	memcpy(buf + (s->execfn - s->sp), img->filename, strlen(img->filename) + 1);
}

static void set_layout(const struct stack_plan *s, struct mm *mm)
{
	struct mm_layout *l = mm_layout(mm);

	l->start_stack = s->sp;
	l->arg_start = s->strings;
	l->arg_end = l->env_start = s->envs;
	l->env_end = s->execfn;
	memcpy(l->auxv, s->auxv, s->nr_auxv * sizeof(s->auxv[0]));
	l->nr_auxv = s->nr_auxv;
}

long stack_build(struct exec_image *img, struct mm *mm, struct uthread *u, uint64_t low, uint64_t top,
		 uint64_t *out_sp)
{
	struct stack_plan s = { 0 };
	uint8_t rnd[RANDOM_BYTES + 2], *buf;
	uint16_t shift;
	long ret;

	host_call(getrandom, rnd, sizeof(rnd), 0);
	memcpy(&shift, rnd + RANDOM_BYTES, sizeof(shift));
	ret = plan_stack(&s, img, mm, low, top, &shift);
	if (ret < 0)
		return ret;
	buf = calloc(1, top - s.sp);
	if (!buf)
		return -LINUX_ENOMEM;
	fill_stack(&s, img, buf, rnd);
	ret = copyout(u, GPTR(s.sp), buf, top - s.sp);
	free(buf);
	if (ret < 0)
		return ret;
	set_layout(&s, mm);
	*out_sp = s.sp;
	return 0;
}
