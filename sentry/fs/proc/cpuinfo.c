/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/cpuinfo.c - /proc/cpuinfo from the processor's own description
 *
 * Model:   guest code runs natively, so what CPUID says is what the guest gets; the flags' names are Linux's.
 * Source:  proc_cpuinfo(5); Intel SDM volume 2A "CPUID", AMD APM volume 3 appendix E.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <cpuid.h>
#include <string.h>

#include "sentry/task/cpus.h"

enum cpuid_reg { EAX, EBX, ECX, EDX };

struct flag_word {
	uint32_t leaf, sub;
	enum cpuid_reg reg;
	const char *names; /* 32 names from bit 0, "-" = not shown */
};

/* In the order in which Linux prints the words. */
static const struct flag_word words[] = {
	{ 1, 0, EDX, "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss "
		     "ht tm ia64 pbe" },
	{ 0x80000001, 0, EDX, "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext "
			      "3dnow" },
	{ 1, 0, ECX, "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 "
		     "x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor" },
	{ 0x80000001, 0, ECX, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp "
			      "fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -" },
	{ 7, 0, EBX, "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx smap "
		     "avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl" },
	{ 0xd, 1, EAX, "xsaveopt xsavec xgetbv1 xsaves xfd - - - - - - - - - - - - - - - - - - - - - - - - - - -" },
	{ 7, 1, EAX, "- - - - avx_vnni avx512_bf16 - - - - fzrm fsrs fsrc - - - - - - - - amx_fp16 - avx_ifma - - lam - - - - -" },
	{ 0x80000008, 0, EBX, "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd - - amd_ibpb - amd_ibrs amd_stibp - - - - - - - amd_ppin "
			      "amd_ssbd virt_ssbd - - - - - -" },
	{ 7, 0, ECX, "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme "
		     "avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - movdiri movdir64b enqcmd - -" },
	{ 7, 0, EDX, "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize - tsxldtrk - "
		     "pconfig arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 - - flush_l1d arch_capabilities - -" },
};

struct regs4 {
	uint32_t r[4];
};

static struct regs4 cpuid(uint32_t leaf, uint32_t sub)
{
	struct regs4 v = { { 0 } };

	if (leaf <= __get_cpuid_max(leaf & 0x80000000u, NULL))
		__cpuid_count(leaf, sub, v.r[0], v.r[1], v.r[2], v.r[3]);
	return v;
}

static void put_word(const struct flag_word *w, struct buf *out)
{
	uint32_t bits = cpuid(w->leaf, w->sub).r[w->reg];
	const char *p = w->names;

	for (int bit = 0; bit < 32 && *p; bit++) {
		size_t n = strcspn(p, " ");

		if ((bits >> bit & 1) && *p != '-')
			buf_printf(out, "%.*s ", (int)n, p);
		p += n + (p[n] == ' ');
	}
}

/* "rep_good nopl" and the like stand for what every processor with long mode does in Linux's eyes. */
static void put_flags(struct buf *out)
{
	for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
		put_word(&words[k], out);
		if (k == 1) {
			buf_printf(out, "rep_good nopl ");
			if (cpuid(0x80000007, 0).r[EDX] >> 8 & 1)
				buf_printf(out, "constant_tsc nonstop_tsc ");
			buf_printf(out, "cpuid ");
		}
	}
	if (out->len && out->data[out->len - 1] == ' ')
		out->len--; /* the terminator follows with the next append */
}

struct cpu_model {
	char vendor[13], name[49];
	uint32_t family, model, stepping, clflush, phys_bits, virt_bits, cache_kb;
	unsigned mhz;
};

static uint32_t cache_kb(const struct cpu_model *m)
{
	uint32_t best = 0;

	if (!strcmp(m->vendor, "AuthenticAMD"))
		return cpuid(0x80000006, 0).r[ECX] >> 16;
	for (uint32_t k = 0; k < 8; k++) {
		struct regs4 v = cpuid(4, k);
		uint32_t ways = (v.r[EBX] >> 22) + 1, parts = (v.r[EBX] >> 12 & 0x3ff) + 1, line = (v.r[EBX] & 0xfff) + 1;

		if (!(v.r[EAX] & 0x1f))
			break;
		best = MAX(best, (uint32_t)((uint64_t)ways * parts * line * ((uint64_t)v.r[ECX] + 1) >> 10));
	}
	return best;
}

/* The base frequency where the processor tells it, else what its name says. */
static unsigned mhz_of(const struct cpu_model *m)
{
	uint32_t base = cpuid(0x16, 0).r[EAX] & 0xffff;
	const char *ghz = strstr(m->name, "GHz");
	unsigned whole = 0, frac = 0, scale = 1000;

	if (base)
		return base;
	if (!ghz)
		return 2000;
	while (ghz > m->name && ((ghz[-1] >= '0' && ghz[-1] <= '9') || ghz[-1] == '.'))
		ghz--;
	for (; *ghz >= '0' && *ghz <= '9'; ghz++)
		whole = whole * 10 + (unsigned)(*ghz - '0');
	if (*ghz == '.')
		for (ghz++; *ghz >= '0' && *ghz <= '9' && scale > 1; ghz++) {
			scale /= 10;
			frac += (unsigned)(*ghz - '0') * scale;
		}
	return whole * 1000 + frac;
}

static void read_model(struct cpu_model *m)
{
	struct regs4 v = cpuid(0, 0);
	const char *p = m->name;

	*m = (struct cpu_model){ .phys_bits = 36, .virt_bits = 48 };
	memcpy(m->vendor, &v.r[EBX], 4);
	memcpy(m->vendor + 4, &v.r[EDX], 4);
	memcpy(m->vendor + 8, &v.r[ECX], 4);
	for (uint32_t k = 0; k < 3; k++) {
		v = cpuid(0x80000002 + k, 0);
		memcpy(m->name + k * 16, v.r, 16);
	}
	while (*p == ' ')
		p++;
	memmove(m->name, p, strlen(p) + 1);
	v = cpuid(1, 0);
	m->family = v.r[EAX] >> 8 & 0xf;
	m->model = v.r[EAX] >> 4 & 0xf;
	m->stepping = v.r[EAX] & 0xf;
	if (m->family == 0xf)
		m->family += v.r[EAX] >> 20 & 0xff;
	if (m->family >= 6)
		m->model += (v.r[EAX] >> 16 & 0xf) << 4;
	m->clflush = (v.r[EBX] >> 8 & 0xff) * 8;
	v = cpuid(0x80000008, 0);
	if (v.r[EAX]) {
		m->phys_bits = v.r[EAX] & 0xff;
		m->virt_bits = v.r[EAX] >> 8 & 0xff;
	}
	m->cache_kb = cache_kb(m);
	m->mhz = mhz_of(m);
}

static void put_cpu(const struct cpu_model *m, unsigned nr, unsigned of, struct buf *out)
{
	buf_printf(out, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", nr,
		   m->vendor, m->family, m->model, m->name[0] ? m->name : "unknown", m->stepping);
	buf_printf(out, "microcode\t: 0xffffffff\ncpu MHz\t\t: %u.000\ncache size\t: %u KB\n", m->mhz, m->cache_kb);
	buf_printf(out, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\ninitial apicid\t: %u\n", of,
		   nr, of, nr, nr);
	buf_printf(out, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t: ", cpuid(0, 0).r[EAX]);
	put_flags(out);
	buf_printf(out, "\nbugs\t\t: \nbogomips\t: %u.00\nclflush size\t: %u\ncache_alignment\t: %u\n", m->mhz * 2, m->clflush,
		   m->clflush);
	buf_printf(out, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n", m->phys_bits, m->virt_bits);
}

PROC_SHOW(cpuinfo)
{
	struct cpu_model m;
	unsigned n = cpus_count();

	read_model(&m);
	for (unsigned k = 0; k < n; k++)
		put_cpu(&m, k, n, out);
	return 0;
}
