/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/clocks.c - clocks as tasks see them
 *
 * Model:   wall clocks are the host's, as the guest's vDSO reads them too; processor clocks come from acct.c. Ids below zero
 *          name the processor clock of another process or thread.
 * Source:  clock_getres(2), clock_getcpuclockid(3).
 */
#include <time.h>

#include "base/hostcall.h"
#include "sentry/task/acct.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/timers.h"

#define COARSE_RES_NS 4000000ul	/* a tick at 250 Hz */

static bool known_wall(int id)
{
	switch (id) {
	case LINUX_CLOCK_REALTIME:
	case LINUX_CLOCK_MONOTONIC:
	case LINUX_CLOCK_MONOTONIC_RAW:
	case LINUX_CLOCK_REALTIME_COARSE:
	case LINUX_CLOCK_MONOTONIC_COARSE:
	case LINUX_CLOCK_BOOTTIME:
	case LINUX_CLOCK_REALTIME_ALARM:
	case LINUX_CLOCK_BOOTTIME_ALARM:
	case LINUX_CLOCK_TAI:
		return true;
	}
	return false;
}

bool clock_is_wall(int id)
{
	return known_wall(id) && id != LINUX_CLOCK_MONOTONIC_RAW && id != LINUX_CLOCK_REALTIME_COARSE &&
	       id != LINUX_CLOCK_MONOTONIC_COARSE;
}

static uint64_t host_now(int id)
{
	struct timespec ts = { 0 };

	if (id == LINUX_CLOCK_REALTIME_ALARM)
		id = LINUX_CLOCK_REALTIME;
	if (id == LINUX_CLOCK_BOOTTIME_ALARM)
		id = LINUX_CLOCK_BOOTTIME;
	host_call(clock_gettime, id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Whose processor time a clock id means: a reference to a thread, or NULL. *out_thread: its own, not its process's. */
static struct task *cpu_clock_task(struct task *t, int id, bool *out_thread)
{
	uint32_t pid;

	if (id == LINUX_CLOCK_PROCESS_CPUTIME_ID || id == LINUX_CLOCK_THREAD_CPUTIME_ID) {
		*out_thread = id == LINUX_CLOCK_THREAD_CPUTIME_ID;
		return task_get(t);
	}
	if (id >= 0 || (id & 3) == 3)
		return NULL;
	pid = (uint32_t)~(id >> 3);
	*out_thread = id & LINUX_CPUCLOCK_PERTHREAD;
	if (!pid)
		return task_get(t);
	struct task *o = task_find(task_pid_ns(t), pid);

	/* Threads only of one's own process; processes only by their own id. */
	if (o && (*out_thread ? o->group != t->group : o->pid != o->group->pid)) {
		task_put(o);
		return NULL;
	}
	return o;
}

static uint64_t cpu_now(struct task *o, int id, bool thread)
{
	struct cpu_times ct = thread ? acct_thread_times(o) : acct_group_times(o->group);

	return ct.utime_ns + (id < 0 && (id & 3) == LINUX_CPUCLOCK_VIRT ? 0 : ct.stime_ns);
}

long clock_now(struct task *t, int id, uint64_t *out_ns)
{
	struct task *o;
	bool thread;

	if (known_wall(id)) {
		*out_ns = host_now(id);
		return 0;
	}
	o = cpu_clock_task(t, id, &thread);
	if (!o)
		return -LINUX_EINVAL;
	*out_ns = cpu_now(o, id, thread);
	task_put(o);
	return 0;
}

long clock_res(struct task *t, int id)
{
	uint64_t ns;

	if (id == LINUX_CLOCK_REALTIME_COARSE || id == LINUX_CLOCK_MONOTONIC_COARSE)
		return COARSE_RES_NS;
	return clock_now(t, id, &ns) < 0 ? -LINUX_EINVAL : 1;
}

uint64_t clock_deadline(int id, bool absolute, uint64_t ns)
{
	uint64_t now = now_ns(), clk;

	if (!absolute)
		return ns >= INT64_MAX - now ? INT64_MAX : now + ns;
	if (id == LINUX_CLOCK_MONOTONIC)
		return ns;
	clk = host_now(id);
	if (ns <= clk) /* as long ago as it is: an interval timer counts what it missed */
		return now - MIN(clk - ns, now - 1);
	return ns - clk >= INT64_MAX - now ? INT64_MAX : now + (ns - clk);
}
