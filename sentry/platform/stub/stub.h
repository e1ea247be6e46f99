/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/stub.h - inside the stub: what its files share
 *
 * Model:   freestanding, no libc, general registers only (the guest's vector state stays in the CPU), position
 *          independent without relocations: no initialised pointers in data. Everything runs with the guest's
 *          rights; nothing here protects anybody but the guest from itself.
 */
#ifndef SENTRY_PLATFORM_STUB_STUB_H
#define SENTRY_PLATFORM_STUB_STUB_H

#include <stdbool.h>

#include "sentry/platform/stub/layout.h"

/* No global offset table: nobody would relocate it after the move. */
#pragma GCC visibility push(hidden)

#define STUB_EINTR    4
#define STUB_EFAULT   14
#define STUB_ENOSYS   38
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

/* What the zygote found out before it froze the text; read-only afterwards, part of the text mapping. */
struct stub_config {
	uint64_t region;	/* R */
	uint64_t vdso;		/* 0 = none */
	uint64_t vdso_clock_gettime, vdso_getcpu; /* addresses, 0 = none */
	uint64_t xfeatures;	/* XCR0 */
	uint64_t xsave_size;
};
extern struct stub_config stub_config;
extern uint32_t stub_config_fsgsbase;

/* Per process, copied by fork (REGION_PRIVATE). */
#define STUB_SITES 2048
struct stub_private {
	struct {
		uint32_t key;	/* low half of the site's address */
		uint32_t count;
	} site[STUB_SITES];
};
_Static_assert(sizeof(struct stub_private) <= REGION_PRIVATE_LEN - 4096, "fits");

/* entry.S */
long stub_call(long nr, long a, long b, long c, long d, long e, long f);
long stub_notify(long kind, long a, long b, long c);
long stub_sleep_call(struct stub_slot *s, long nr, const uint64_t args[6]);
long stub_fork(uint64_t token, uint64_t slot0);
long stub_clone(uint64_t flags, uint64_t stack, uint64_t ctid);
size_t stub_copy(void *dst, const void *src, size_t n);
size_t stub_zero(void *dst, size_t n);
size_t stub_copy_str(void *dst, const void *src, size_t cap);
long stub_store32(uint64_t addr, uint32_t value);
long stub_patch(uint64_t addr, uint64_t old, uint64_t new);
long stub_cmpxchg32(uint64_t addr, uint32_t old, uint32_t new);
void stub_xsave(void *area, uint64_t mask);
long stub_xrstor(void *area, uint64_t mask);
extern const char stub_entry[], stub_event_entry[], stub_restorer[], stub_child[];

/* call.c: called by entry.S; nonzero = leave through rt_sigreturn */
int stub_thunk_call(struct stub_slot *s);
int stub_event(struct stub_slot *s);
int stub_kicked(struct stub_slot *s);
int stub_child_start(struct stub_slot *s);
int stub_thread_start(struct stub_slot *s);
/* Hands slot.event to the Sentry and carries out its answers until the guest may go on. */
int stub_exchange(struct stub_slot *s);

/* ops.c: carries out slot.ops; 0 or the first failed one's negative error number */
long stub_ops_run(struct stub_slot *s, unsigned n);

/* local.c: true when the call was answered here, with *out_ret */
enum stub_local { LOCAL_NO, LOCAL_DONE, LOCAL_INTERRUPT };
enum stub_local stub_local_call(struct stub_slot *s, uint32_t nr, int64_t *out_ret);

/* marshal.c: copies what the call's arguments point at into the window */
void stub_marshal(struct stub_slot *s, uint32_t nr);

/* handler.c */
void stub_handler(int sig, void *info, void *uc);
uint64_t stub_prepare_sigret(struct stub_slot *s);
void stub_set_altstack(struct stub_slot *s);

static inline struct stub_global *stub_global(void)
{
	return (struct stub_global *)(stub_config.region + REGION_GLOBAL);
}

static inline struct stub_private *stub_private(void)
{
	return (struct stub_private *)(stub_config.region + REGION_PRIVATE);
}

static inline struct stub_op *stub_slot_ops(struct stub_slot *s)
{
	return (struct stub_op *)((char *)s + SLOT_OPS);
}

static inline char *stub_window(struct stub_slot *s)
{
	return (char *)s + SLOT_WINDOW;
}

static inline uint64_t stub_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

static inline void stub_pause(void)
{
	__builtin_ia32_pause();
}

static inline void stub_set_gsbase(uint64_t v)
{
	if (likely(stub_config_fsgsbase))
		__asm__ volatile("wrgsbase %0" ::"r"(v));
	else
		stub_call(158, 0x1001 /* ARCH_SET_GS */, (long)v, 0, 0, 0, 0);
}

static inline void stub_set_fsbase(uint64_t v)
{
	if (likely(stub_config_fsgsbase))
		__asm__ volatile("wrfsbase %0" ::"r"(v));
	else
		stub_call(158, 0x1002 /* ARCH_SET_FS */, (long)v, 0, 0, 0, 0);
}

static inline uint64_t stub_fsbase(uint64_t otherwise)
{
	if (likely(stub_config_fsgsbase))
		__asm__ volatile("rdfsbase %0" : "=r"(otherwise));
	return otherwise;
}

#endif
