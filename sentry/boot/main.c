/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/main.c - the Sentry starts: arguments, log, steps in order, control server
 *
 * Model:   runsc has made the namespaces and passed the descriptors (boot.h). Everything that needs a privilege or opens
 *          something happens before confine(); containers, files and networks arrive later, as descriptors, by control
 *          requests.
 */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/version.h"
#include "mains.h"
#include "sentry/boot/boot_args.h"
#include "sentry/platform/platform.h"
#include "sentry/run/run.h"
#include "sentry/strace/strace.h"

/* Flags that are a bool in struct boot_args. */
static const struct {
	const char *name;
	size_t off;
} flags[] = {
	{ "--debug", offsetof(struct boot_args, debug) },
	{ "--strace", offsetof(struct boot_args, strace) },
	{ "--no-patching", offsetof(struct boot_args, no_patching) },
	{ "--no-poll", offsetof(struct boot_args, no_poll) },
	{ "--no-raw", offsetof(struct boot_args, no_raw) },
	{ "--host-network", offsetof(struct boot_args, host_network) },
	{ "--no-confine", offsetof(struct boot_args, no_confine) },
	{ "--log-format=json", offsetof(struct boot_args, log_json) },
};

static bool parse_flag(const char *s, struct boot_args *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strcmp(s, flags[i].name))
			continue;
		*(bool *)((char *)a + flags[i].off) = true;
		return true;
	}
	return false;
}

static int parse_args(int argc, char **argv, struct boot_args *a)
{
	*a = (struct boot_args){ .id = "?" };
	for (int i = 1; i < argc; i++) {
		const char *s = argv[i];

		if (!strcmp(s, "boot") || !strcmp(s, "--log-format=text") || parse_flag(s, a))
			continue;
		if (!strncmp(s, "--id=", 5)) {
			a->id = s + 5;
		} else if (!strncmp(s, "--strace-syscalls=", 18)) {
			a->strace_syscalls = s + 18;
		} else if (!strncmp(s, "--strace-log-size=", 18)) {
			a->strace_size = (uint32_t)strtoul(s + 18, NULL, 10);
		} else if (!strncmp(s, "--cpus=", 7)) {
			a->ncpus = (unsigned)strtoul(s + 7, NULL, 10);
		} else {
			fprintf(stderr, "runsc boot: unknown argument %s\n", s);
			return -1;
		}
	}
	if (!a->ncpus) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		a->ncpus = n > 0 ? (unsigned)n : 1;
	}
	return 0;
}

/* ---- the steps ---------------------------------------------------------------------------------------- */

static long step_log(const struct boot_args *a)
{
	log_setup(fcntl(BOOT_FD_LOG, F_GETFD) >= 0 ? BOOT_FD_LOG : -1, a->log_json ? LOG_FMT_JSON : LOG_FMT_TEXT,
		  a->debug ? LOG_LV_DEBUG : LOG_LV_INFO, "sentry");
	if (fcntl(BOOT_FD_USER, F_GETFD) >= 0)
		log_setup_user(BOOT_FD_USER);
	log_info("sandbox %s: runsc %s starts, %u CPUs", a->id, build_version, a->ncpus);
	return 0;
}

/* As many descriptors as allowed; a peer that goes away is an error code, not a signal. */
static long step_process(const struct boot_args *a)
{
	struct rlimit rl;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	return 0;
}

static long step_run(const struct boot_args *a)
{
	return run_start(2);
}

static long step_platform(const struct boot_args *a)
{
	return platform_init(a->ncpus, (a->no_patching ? UPF_NO_REWRITE : 0) | (a->no_poll ? UPF_NO_POLL : 0));
}

static long step_strace(const struct boot_args *a)
{
	const char *bad = NULL;
	long ret = strace_setup(a->strace_syscalls, a->strace_size, &bad);

	if (ret)
		fprintf(stderr, "runsc boot: --strace-syscalls: \"%.*s\" is no system call\n", (int)strcspn(bad, ","), bad);
	else if (a->strace)
		strace_set(true);
	return ret;
}

static const struct boot_step {
	const char *name;
	long (*fn)(const struct boot_args *a);
} boot_steps[] = {
	{ "log", step_log },
	{ "process", step_process },
	{ "run", step_run },
	{ "platform", step_platform },
	{ "kernel", kernel_init },
	{ "strace", step_strace },
};

/* malloc's arenas. Without a limit, glibc counts the CPUs once threads contend for the first eight of them: it opens
 * /sys/devices/system/cpu/online, a path, which is the end of a confined process. */
#define MALLOC_ARENAS 8

int sentry_main(int argc, char **argv)
{
	struct boot_args a;

	mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	if (argc > 1 && !strcmp(argv[argc - 1], "--list-host-calls"))
		return hostcalls_print() ? 0 : 1;
	if (argc == 2 && !strncmp(argv[1], "--list-syscalls", 15)) {
		syscalls_print(!strcmp(argv[1] + 15, "=csv"));
		return 0;
	}
	if (parse_args(argc, argv, &a) < 0)
		return 128;
	for (size_t i = 0; i < ARRAY_SIZE(boot_steps); i++) {
		long ret = boot_steps[i].fn(&a);

		if (ret < 0) {
			log_error("start: step %s: %s", boot_steps[i].name, strerror((int)-ret));
			fprintf(stderr, "runsc boot: %s: %s\n", boot_steps[i].name, strerror((int)-ret));
			return 128;
		}
	}
	control_serve(&a);
}
