/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/timers_internal.h - shared by posix_timers.c and itimers.c
 */
#ifndef SENTRY_TIMERS_INTERNAL_H
#define SENTRY_TIMERS_INTERNAL_H

#include "sentry/task/timers.h"

#define CPU_POLL_MIN_NS 1000000ull	/* CPU-time timers look at their clock no more often than this */
#define REARM_MIN_NS	100000ull	/* periodic timers fire no more often than this while nobody takes their signal */

struct itimer {
	uint64_t interval_ns;
	uint64_t expires_ns; /* REAL: CLOCK_MONOTONIC; others: the clock of the process; 0 = off */
};

struct group_timers {
	struct tgroup *g;	/* borrowed: the timers go before it */
	struct ktimer real_kt, cpu_kt;
	struct itimer it[3];	/* LINUX_ITIMER_*; guarded by sig_mu */
	uint64_t next_xcpu_ns;	/* processor time of the next SIGXCPU; guarded by sig_mu */
	bool dead;		/* guarded by sig_mu */
	struct posix_timer **tab; /* by id; guarded by sig_mu */
	uint32_t cap;
};

struct group_timers *timers_of(struct tgroup *g); /* made at first use; NULL = no memory */
void posix_timers_drop_all(struct tgroup *g);

#endif
