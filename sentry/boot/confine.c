/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/confine.c - the last step of the start: after it the Sentry can open, create and become nothing
 *
 * Model:   runsc has left us as nobody in a user namespace of our own, with an empty root. Here the rest goes: capabilities
 *          (the bounding set included), dumpability, and by seccomp every host call that no row of hostcalls.h asks
 *          for. The filter is set for all threads at once.
 * Source:  capabilities(7), prctl(2), seccomp_init(3), seccomp_attr_set(3).
 */
#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <ucontext.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/boot/boot_args.h"
#include "sentry/run/hostcalls.h"

#define ROW_COND_MAX 1

static const char *const row_files[] = { &host_calls_of_run, &host_calls_of_platform, &host_calls_of_vfs };

extern const struct host_call_row __start_sentry_hostcalls[], __stop_sentry_hostcalls[];

static int drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	/* EPERM: already without CAP_SETPCAP, hence without anything to drop it for */
	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &h, none) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* A call that is in no row: say which before the end. No log_error(): the call may have come from inside the C library, with
 * its locks held. */
static void NORETURN on_sigsys(int sig, siginfo_t *si, void *ctx)
{
	char text[160];
	int n = snprintf(text, sizeof(text), "sentry: host call %d at %p is in no list (sentry/run/hostcalls.h): the sandbox ends\n",
			 si->si_syscall, si->si_call_addr);

	if (host_call(write, BOOT_FD_LOG, text, n) < 0)
		host_call(write, 2, text, n);
	_exit(128 + SIGSYS);
}

static int add_row(scmp_filter_ctx ctx, const struct host_call_row *r)
{
	struct scmp_arg_cmp cmp[ROW_COND_MAX];
	unsigned n = 0;

	if (r->cond == HOST_CALL_COND_EQ)
		cmp[n++] = SCMP_CMP(r->arg, SCMP_CMP_EQ, r->value);
	else if (r->cond == HOST_CALL_COND_MASKED)
		cmp[n++] = SCMP_CMP(r->arg, SCMP_CMP_MASKED_EQ, r->mask, r->value);
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->nr, n, cmp);
}

/* A call that one row allows without condition needs no other row; libseccomp would refuse the mixture. */
static bool shadowed(const struct host_call_row *r, bool hostnet)
{
	if (r->cond == HOST_CALL_ANY)
		return false;
	for (const struct host_call_row *o = __start_sentry_hostcalls; o < __stop_sentry_hostcalls; o++)
		if (o->nr == r->nr && o->cond == HOST_CALL_ANY && (hostnet || !o->hostnet))
			return true;
	return false;
}

static int install_filter(bool hostnet)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int ret = ctx ? 0 : -ENOMEM;

	for (const struct host_call_row *r = __start_sentry_hostcalls; !ret && r < __stop_sentry_hostcalls; r++) {
		ret = shadowed(r, hostnet) || (r->hostnet && !hostnet) ? 0 : add_row(ctx, r);
		if (ret == -EEXIST)
			ret = 0;
		if (ret)
			log_error("seccomp rule %s: %s", r->name, strerror(-ret));
	}
	/* answered, not fatal: the C library then uses clone(2), whose flags a filter can see */
	if (!ret)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SYS_clone3, 0);
	/* glibc's malloc looks into /proc/sys/vm/overcommit_memory when it gives memory back; it does well without */
	if (!ret)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SYS_openat, 0);
	if (!ret)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!ret)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
	if (!ret)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	if (!ret)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* by binary search */
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	return ret;
}

int confine(const struct boot_args *a)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
	int ret = drop_capabilities();

	if (ret)
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(row_files); i++)
		BUG_ON(!*(const volatile char *)row_files[i]);
	if (sigaction(SIGSYS, &sa, NULL) < 0)
		return -errno;
	tzset(); /* opens /etc/localtime at its first use, which log lines would be */
	ret = install_filter(a->host_network);
	log_debug("confined: %u host calls allowed", hostcalls_count(a->host_network));
	return ret;
}
