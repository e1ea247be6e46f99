/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/platform.c - process-wide part of the platform: the global page, limits, counters
 */
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/hostcall.h"
#include "sentry/arch/x86_64/xsave.h"
#include "sentry/platform/platform_internal.h"

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#endif
#define F_SEAL_SHRINK_	     2
#define F_SEAL_GROW_	     4
#define F_SEAL_FUTURE_WRITE_ 16

#define SPIN_ANSWER_US	20	/* how long a stub waits for a poller's answer */
#define REWRITE_AFTER	4	/* traps of one site; rewriting costs about as much as six */

struct platform_state platform = { .global_fd = -1 };

void (*platform_defer_failed)(struct uthread *u, const struct umem_op *op, long err);
uint64_t (*platform_find_near)(void *owner, uint64_t near, uint64_t len);
long (*platform_text_lock)(void *owner, uint64_t addr);
void (*platform_text_unlock)(void *owner);

static uint64_t tsc(void)
{
	return __builtin_ia32_rdtsc();
}

static uint64_t tsc_calibrate(void)
{
	uint64_t t0 = now_ns(), c0 = tsc(), t1, c1;

	do {
		t1 = now_ns();
		c1 = tsc();
	} while (t1 - t0 < 100000);
	return MAX((c1 - c0) * 1000 / (t1 - t0), 1ull);
}

static long global_page_make(void)
{
	long fd = host_call(memfd_create, "stub-global", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	long p, ret;

	if (fd < 0)
		return fd;
	ret = host_call(ftruncate, fd, PAGE_SIZE);
	if (ret)
		goto out_close;
	p = host_call(mmap, NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p < 0 && p > -4096) {
		ret = p;
		goto out_close;
	}
	/* From now on nobody can make another writable mapping of it. */
	ret = host_call(fcntl, fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE_ | F_SEAL_SHRINK_ | F_SEAL_GROW_);
	if (ret) {
		host_call(munmap, p, PAGE_SIZE);
		goto out_close;
	}
	platform.global = (struct stub_global *)p;
	platform.global_fd = (int)fd;
	return 0;
out_close:
	host_call(close, fd);
	return ret;
}

long platform_init(unsigned ncpus, unsigned flags)
{
	long ret;

	if (platform.global)
		return 0;
	platform.ncpus = ncpus ? ncpus : 1;
	platform.flags = flags;
	if (platform.ncpus < 2)
		platform.flags |= UPF_NO_POLL;
	ret = global_page_make();
	if (ret)
		return ret;
	kthread_sleep_hook = poll_guest_waits;
	platform.tsc_per_us = tsc_calibrate();
	xsave_probe(&platform.xfeatures, &platform.xsave_size);
	platform.mxcsr_mask = mxcsr_mask_probe();
	platform.global->spin = (uint32_t)(SPIN_ANSWER_US * platform.tsc_per_us);
	platform.global->rewrite_after = flags & UPF_NO_REWRITE ? 0 : REWRITE_AFTER;
	return pollers_start();
}

void platform_stats(struct platform_stats *out)
{
	const uint64_t *from = (const uint64_t *)&platform.stats;
	uint64_t *to = (uint64_t *)out;

	for (unsigned i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	out->calls_polled = pollers_count();
}

/* Drawn some at a time; used ones do not stay in memory. A kthread does not move to another worker in here. */
NOINLINE uint64_t random_u64(void)
{
	static __thread uint64_t stock[32];
	static __thread unsigned left;
	uint64_t v;

	if (!left) {
		while (host_call(getrandom, stock, sizeof(stock), 0) != (long)sizeof(stock))
			;
		left = sizeof(stock) / sizeof(stock[0]);
	}
	v = stock[--left];
	stock[left] = 0;
	return v;
}
