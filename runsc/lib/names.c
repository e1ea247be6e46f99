/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/names.c - names of capabilities, limits, signals, policies and states, as tables
 *
 * Source:  capabilities(7), getrlimit(2), signal(7), sched(7).
 */
#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "runsc/lib/lifecycle.h"
#include "runsc/lib/spec.h"

static const char *const cap_names[] = {
	"CAP_CHOWN",	      "CAP_DAC_OVERRIDE",  "CAP_DAC_READ_SEARCH", "CAP_FOWNER",		"CAP_FSETID",
	"CAP_KILL",	      "CAP_SETGID",	   "CAP_SETUID",	  "CAP_SETPCAP",	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",	  "CAP_NET_RAW",	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",      "CAP_SYS_MODULE",	   "CAP_SYS_RAWIO",	  "CAP_SYS_CHROOT",	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",      "CAP_SYS_ADMIN",	   "CAP_SYS_BOOT",	  "CAP_SYS_NICE",	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",	      "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",	  "CAP_LEASE",		"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",  "CAP_SETFCAP",	   "CAP_MAC_OVERRIDE",	  "CAP_MAC_ADMIN",	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",     "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",	  "CAP_PERFMON",	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

const char *cap_name(unsigned n)
{
	return n < ARRAY_SIZE(cap_names) ? cap_names[n] : NULL;
}

int cap_number(const char *name)
{
	bool full = strncasecmp(name, "CAP_", 4) == 0;

	for (size_t i = 0; i < ARRAY_SIZE(cap_names); i++)
		if (strcasecmp(cap_names[i] + (full ? 0 : 4), name) == 0)
			return (int)i;
	return -1;
}

struct name_number {
	const char *name;
	int number;
};

static int name_lookup(const struct name_number *t, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(t[i].name, name) == 0)
			return t[i].number;
	return -1;
}

#define RL(x) { "RLIMIT_" #x, RLIMIT_##x }
static const struct name_number rlimits[] = {
	RL(CPU), RL(FSIZE), RL(DATA),  RL(STACK),      RL(CORE),     RL(RSS),  RL(NPROC),  RL(NOFILE),
	RL(MEMLOCK), RL(AS), RL(LOCKS), RL(SIGPENDING), RL(MSGQUEUE), RL(NICE), RL(RTPRIO), RL(RTTIME),
};

int rlimit_number(const char *name)
{
	return name_lookup(rlimits, ARRAY_SIZE(rlimits), name);
}

static const struct name_number policies[] = {
	{ "SCHED_OTHER", 0 }, { "SCHED_FIFO", 1 }, { "SCHED_RR", 2 },	   { "SCHED_BATCH", 3 },
	{ "SCHED_ISO", 4 },   { "SCHED_IDLE", 5 }, { "SCHED_DEADLINE", 6 },
};

int sched_policy_number(const char *name)
{
	return name_lookup(policies, ARRAY_SIZE(policies), name);
}

#define SG(x) { #x, SIG##x }
static const struct name_number signals[] = {
	SG(HUP),  SG(INT),  SG(QUIT), SG(ILL),	SG(TRAP),   SG(ABRT), { "IOT", SIGABRT }, SG(BUS), SG(FPE),
	SG(KILL), SG(USR1), SG(SEGV), SG(USR2), SG(PIPE),   SG(ALRM), SG(TERM), SG(STKFLT), SG(CHLD),
	{ "CLD", SIGCHLD },  SG(CONT), SG(STOP), SG(TSTP),   SG(TTIN), SG(TTOU), SG(URG),  SG(XCPU),
	SG(XFSZ), SG(VTALRM), SG(PROF), SG(WINCH), SG(IO),   { "POLL", SIGIO }, SG(PWR),  SG(SYS),
};

/* "RTMIN", "RTMIN+n", "RTMAX-n"; @s upper case. Counted as the kernel does (32..64), not as libc. */
static int rt_signal(const char *s)
{
	long base = strncmp(s, "RTMIN", 5) == 0 ? 34 : strncmp(s, "RTMAX", 5) == 0 ? 64 : 0, off = 0;
	char *end;

	if (!base)
		return -1;
	if (s[5]) {
		if (s[5] != (base == 34 ? '+' : '-') || !isdigit((unsigned char)s[6]))
			return -1;
		off = strtol(s + 5, &end, 10);
		if (*end || off > 64 || off < -64)
			return -1;
	}
	return base + off >= 34 && base + off <= 64 ? (int)(base + off) : -1;
}

int lc_signal_number(const char *s)
{
	char up[24];
	size_t n = strlen(s);
	int nr;

	if (n == 0 || n >= sizeof(up))
		return -1;
	if (strspn(s, "0123456789") == n) {
		nr = n <= 3 ? atoi(s) : -1;
		return nr >= 0 && nr <= 64 ? nr : -1;
	}
	for (size_t i = 0; i <= n; i++)
		up[i] = (char)toupper((unsigned char)s[i]);
	s = strncmp(up, "SIG", 3) == 0 ? up + 3 : up;
	nr = name_lookup(signals, ARRAY_SIZE(signals), s);
	return nr >= 0 ? nr : rt_signal(s);
}

const char *lc_status_name(enum lc_status s)
{
	static const char *const names[] = {
		[LC_CREATING] = "creating", [LC_CREATED] = "created", [LC_RUNNING] = "running",
		[LC_PAUSED] = "paused",	    [LC_STOPPED] = "stopped",
	};

	return names[s];
}

int lc_id_check(const char *id, struct err *e)
{
	size_t n = id ? strlen(id) : 0;

	if (n == 0)
		return err_set(e, EINVAL, "container id cannot be empty");
	if (n > LC_ID_MAX)
		return err_set(e, EINVAL, "invalid container ID format: longer than 255 bytes");
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr("_+.-", id[i]))
			return err_set(e, EINVAL,
				       "invalid container ID format: \"%s\": only letters, digits and _ + . - are allowed",
				       id);
	if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return err_set(e, EINVAL, "invalid container ID format: \"%s\"", id);
	return 0;
}
