/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/filter_table.h - every host call that a stub process may make
 *
 * Model:   one row per allowed shape: the `syscall` instruction it must come from (a label of entry.S), the call, the
 *          verdict, what its arguments must be, and why it is needed. A call that matches no row traps, wherever it
 *          comes from. No row reads or writes through a descriptor, opens, connects, signals, or executes.
 * Region:  BELOW_REGION(addr, len) is what keeps the stub region (text, slots, vDSO) out of the guest's hands: the
 *          range must end at or below the region's base.
 * Use:     included by filter.c with the macros defined; also the source of the README's list.
 *
 * FILTER_ROW(site, call, verdict, reason, checks...)
 */

/* Guest memory. */
FILTER_ROW(site_call, mmap, ALLOW, "anonymous private memory of the guest",
	   BELOW_REGION(0, 1), FLAGS(3, MAP_PRIVATE_ | MAP_FIXED_ | MAP_ANONYMOUS_, MAP_OPTIONAL_), EQ32(4, 0xffffffff))
FILTER_ROW(site_call, mmap, ALLOW, "private mapping of a file whose read-only descriptor the Sentry installed",
	   BELOW_REGION(0, 1), FLAGS(3, MAP_PRIVATE_ | MAP_FIXED_, MAP_OPTIONAL_))
FILTER_ROW(site_call, mmap, NOTIFY, "shared mapping: the Sentry checks every register, then lets it continue",
	   BELOW_REGION(0, 1), FLAGS(3, MAP_SHARED_ | MAP_FIXED_, MAP_OPTIONAL_))
FILTER_ROW(site_call, munmap, ALLOW, "guest memory goes", BELOW_REGION(0, 1))
FILTER_ROW(site_call, mprotect, ALLOW, "rights of guest memory change", BELOW_REGION(0, 1), EQ_MASK(2, 0xfffffff8, 0))
FILTER_ROW(site_call, mremap, ALLOW, "guest memory moves or grows, to an address the Sentry chose",
	   BELOW_REGION(0, 1), BELOW_REGION(4, 2), EQ64(3, MREMAP_MAYMOVE_FIXED_))
FILTER_ROW(site_call, madvise, ALLOW, "advice about guest memory; no merging of equal pages", BELOW_REGION(0, 1), ONE_OF(2, 0, ADVICE_))
FILTER_ROW(site_call, membarrier, ALLOW, "orders the threads of this process only",
	   EQ_MASK(0, 0xffffff80, 0), EQ64(1, 0))

/* Waiting. */
FILTER_ROW(site_call, futex, ALLOW, "wake and requeue; no priority inheritance", ONE_OF(1, FUTEX_FLAGS_, FUTEX_OPS_))
FILTER_ROW(sleep_end, futex, ALLOW, "waits of the guest, ended by a kick", ONE_OF(1, FUTEX_FLAGS_, FUTEX_OPS_))
FILTER_ROW(site_call, futex_wake, ALLOW, "wake in the newer form", FLAGS(3, 0, FUTEX2_FLAGS_))
FILTER_ROW(site_call, futex_requeue, ALLOW, "requeue in the newer form", EQ64(1, 0))
FILTER_ROW(sleep_end, futex_wait, ALLOW, "wait in the newer form", FLAGS(3, 0, FUTEX2_FLAGS_))
FILTER_ROW(sleep_end, futex_waitv, ALLOW, "wait for one of several words", EQ64(2, 0))
FILTER_ROW(sleep_end, clock_nanosleep, ALLOW, "sleeps of the guest, ended by a kick")
FILTER_ROW(site_call, sched_yield, ALLOW, "gives the processor away")

/* Life. */
FILTER_ROW(site_clone, clone, ALLOW, "a thread of this process", EQ64(0, CLONE_THREAD_FLAGS_))
FILTER_ROW(site_fork, clone, NOTIFY, "a child process, if the Sentry asked for one: no flag but the exit signal", EQ64(0, SIGCHLD_), EQ64(1, 0))
FILTER_ROW(site_call, exit, ALLOW, "this thread ends")
FILTER_ROW(site_die, exit_group, ALLOW, "this process ends: it could not be set up")
FILTER_ROW(site_call, exit_group, ALLOW, "this process ends")

/* The stub's own signals: frames lie in the guest's memory anyway, no other process is concerned. */
FILTER_ROW(site_restorer, rt_sigreturn, ALLOW, "end of the stub's signal handler")
FILTER_ROW(site_sigret, rt_sigreturn, ALLOW, "back to the guest with all registers at once (single step, own %gs)")
FILTER_ROW(site_call, sigaltstack, ALLOW, "alternate signal stack of a new thread, in its slot")
FILTER_ROW(site_call, prctl, ALLOW, "name of the thread, for host tools", EQ64(0, PR_SET_NAME_))
#ifdef FILTER_NO_FSGSBASE
FILTER_ROW(site_call, arch_prctl, ALLOW, "processor without FSGSBASE: base of %fs", EQ64(0, ARCH_SET_FS_))
FILTER_ROW(site_call, arch_prctl, ALLOW, "processor without FSGSBASE: base of %gs", EQ64(0, ARCH_SET_GS_))
#endif

/* Hand-over and set-up. */
FILTER_ROW(site_notify, notify, NOTIFY, "the reserved call: a request to the Sentry, which knows who makes it")
FILTER_ROW(site_child_notify, notify, NOTIFY, "a forked child says that it is there")
FILTER_ROW(site_child_mmap, mmap, ALLOW, "a new process maps its own slots, and nothing else there",
	   EQ_SLOTS(0), EQ64(1, SLOTS_LEN), EQ64(2, 3), EQ64(3, MAP_SHARED_ | MAP_FIXED_), EQ64(5, 0))
FILTER_ROW(site_child_close, close, ALLOW, "and drops the descriptor")
FILTER_ROW(site_call, madvise, ALLOW, "slots are never inherited", EQ_SLOTS(0), EQ64(1, SLOTS_LEN), EQ64(2, 10))
FILTER_ROW(site_call, mmap, ALLOW, "the page that the Sentry writes for all, read-only",
	   EQ_GLOBAL(0), EQ64(1, 4096), EQ64(2, 1), EQ64(3, MAP_SHARED_ | MAP_FIXED_), EQ64(5, 0))
FILTER_ROW(site_call, close, ALLOW, "descriptors only ever get fewer by this process's own doing")
