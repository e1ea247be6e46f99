/* SPDX-License-Identifier: Apache-2.0
 * gofer/confine.c - see confine.h
 *
 * Model:   the filter is the union of the tables that stand in the files which make the calls
 *          (hostcalls.h) and of the one below for what the C library does by itself. Anything else
 *          kills the process, which ends the sandbox with a cause in the log.
 * Source:  capabilities(7), seccomp_init(3), seccomp_attr_set(3).
 */
#include "gofer/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "gofer/hostcalls.h"

#define CAP_BIT(c) (1u << (c))
#define KEPT_CAPS                                                                                  \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) |           \
	 CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID))

const struct gofer_hostcall gofer_calls_runtime[] = {
	HOSTCALL(futex, "locks"),
	HOSTCALL_MASKED(mmap, 2, PROT_EXEC, 0, "memory, never executable"),
	HOSTCALL_MASKED(mprotect, 2, PROT_EXEC, 0, "heap growth, never executable"),
	HOSTCALL(munmap, "memory"),
	HOSTCALL(brk, "memory"),
	HOSTCALL(mremap, "realloc of large blocks"),
	HOSTCALL(shutdown, "wakes the other threads when a connection ends"),
	HOSTCALL(clock_gettime, "log lines, where the vDSO does not do it"),
	HOSTCALL(getpid, "log lines, abort"),
	HOSTCALL(gettid, "abort"),
	HOSTCALL_EQ(tgkill, 2, 6 /* SIGABRT */, "abort"),
	HOSTCALL(rt_sigprocmask, "abort, exit of a thread"),
	HOSTCALL(rt_sigreturn, "end of a signal handler"),
	HOSTCALL(restart_syscall, "after a stop"),
	HOSTCALL(exit, "exit of a thread"),
	HOSTCALL(exit_group, "exit"),
#ifdef SENTRY_ASAN
	HOSTCALL(sigaltstack, "sanitizer"),
	HOSTCALL(madvise, "sanitizer"),
	HOSTCALL(sched_yield, "sanitizer"),
	HOSTCALL(readlink, "sanitizer"),
	HOSTCALL(open, "sanitizer"),
	HOSTCALL(fstat, "sanitizer"),
	HOSTCALL(newfstatat, "sanitizer"),
	HOSTCALL(prctl, "sanitizer"),
	HOSTCALL(rt_sigaction, "sanitizer"),
	HOSTCALL(clone, "sanitizer: leak check at exit"),
	HOSTCALL(getdents64, "sanitizer"),
#endif
	{ 0 },
};

static const struct gofer_hostcall *const tables[] = {
	gofer_calls_node,   gofer_calls_session, gofer_calls_open,  gofer_calls_io,
	gofer_calls_dir,    gofer_calls_attr,	 gofer_calls_name,  gofer_calls_rename,
	gofer_calls_xattr,  gofer_calls_sock,	 gofer_calls_init,  gofer_calls_runtime,
};

static int drop_bounding(struct err *e)
{
	for (unsigned cap = 0; cap < 64; cap++) {
		int have;

		if (cap < 32 && (KEPT_CAPS & CAP_BIT(cap)))
			continue;
		have = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (have < 0)
			break; /* beyond this kernel's last one */
		if (have && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EPERM)
			return err_sys(e, "drop capability %u", cap);
	}
	return 0;
}

int gofer_drop_privileges(struct err *e)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[2], d[2] = { { 0 } };

	if (drop_bounding(e))
		return -1;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return err_sys(e, "clear ambient capabilities");
	if (syscall(SYS_capget, &h, now))
		return err_sys(e, "capget");
	d[0].permitted = d[0].effective = now[0].permitted & KEPT_CAPS;
	if (syscall(SYS_capset, &h, d))
		return err_sys(e, "capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_sys(e, "no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return err_sys(e, "not dumpable");
	return 0;
}

static int add_row(scmp_filter_ctx ctx, const struct gofer_hostcall *h)
{
	struct scmp_arg_cmp cmp[ARRAY_SIZE(h->cond)];
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(h->cond); i++) {
		if (h->cond[i].cmp == HC_EQ)
			cmp[n++] = SCMP_CMP(h->cond[i].arg, SCMP_CMP_EQ, h->cond[i].value);
		else if (h->cond[i].cmp == HC_MASKED)
			cmp[n++] = SCMP_CMP(h->cond[i].arg, SCMP_CMP_MASKED_EQ, h->cond[i].mask,
					    h->cond[i].value);
	}
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, h->nr, n, cmp);
}

static bool row_wanted(const struct gofer_hostcall *h, unsigned policy)
{
	return !h->policy || (h->policy & policy);
}

static int add_rows(scmp_filter_ctx ctx, unsigned policy, struct err *e)
{
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (const struct gofer_hostcall *h = tables[t]; h->name; h++) {
			int ret = row_wanted(h, policy) ? add_row(ctx, h) : 0;

			if (ret && ret != -EEXIST)
				return err_set(e, -ret, "seccomp rule %s: %s", h->name, strerror(-ret));
		}
	}
	return 0;
}

int gofer_seccomp(unsigned policy, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret;

	if (!ctx)
		return err_set(e, ENOMEM, "seccomp: out of memory");
	ret = add_rows(ctx, policy, e);
	if (!ret) {
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
		ret = seccomp_load(ctx);
		if (ret)
			err_set(e, -ret, "seccomp: %s", strerror(-ret));
	}
	seccomp_release(ctx);
	return ret ? -1 : 0;
}

/* Is there an earlier row of the same call? (rows are alternatives) */
static bool seen_before(size_t table, const struct gofer_hostcall *row, unsigned policy)
{
	for (size_t t = 0; t <= table; t++)
		for (const struct gofer_hostcall *h = tables[t]; h->name && h != row; h++)
			if (h->nr == row->nr && row_wanted(h, policy))
				return true;
	return false;
}

unsigned gofer_hostcalls_list(unsigned policy, struct buf *out)
{
	unsigned n = 0;

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (const struct gofer_hostcall *h = tables[t]; h->name; h++) {
			if (!row_wanted(h, policy))
				continue;
			n += !seen_before(t, h, policy);
			buf_printf(out, "%s\t%s\n", h->name, h->why);
		}
	}
	return n;
}
