/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/flags.c - the flags of runsc, one row each
 *
 * Model:   a row says name, kind, where the value goes, whether an annotation may change it. Flags that the peer
 *          has and that mean nothing here are rows without a place: callers pass them from old configurations,
 *          and a refusal would only break their set-up. A value that asks for something we do not have is refused.
 * Source:  PEER's flag names as its documentation lists them; runc(8) for the global ones.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "runsc/lib/lifecycle.h"

enum flag_kind { FL_BOOL, FL_TRI, FL_STR, FL_U64, FL_ENUM, FL_IGNORED, FL_IGNORED_BOOL };
enum flag_safe { UNSAFE, SAFE };

struct flag {
	const char *name;
	enum flag_kind kind;
	size_t off;
	enum flag_safe safe;
	const char *choices; /* FL_ENUM: "a|b|c" */
	int (*after)(struct lc_flags *f, struct err *e);
};

static int after_root(struct lc_flags *f, struct err *e);
static int after_overlay(struct lc_flags *f, struct err *e);
static int after_network(struct lc_flags *f, struct err *e);

#define O(m) offsetof(struct lc_flags, m)
static const struct flag flags[] = {
	{ "root", FL_STR, O(root), UNSAFE, NULL, after_root },
	{ "log", FL_STR, O(log), UNSAFE, NULL, NULL },
	{ "log-format", FL_ENUM, O(log_format), UNSAFE, "text|json|json-k8s", NULL },
	{ "debug", FL_BOOL, O(debug), SAFE, NULL, NULL },
	{ "debug-log", FL_STR, O(debug_log), UNSAFE, NULL, NULL },
	{ "user-log", FL_STR, O(user_log), UNSAFE, NULL, NULL },
	{ "systemd-cgroup", FL_BOOL, O(systemd_cgroup), UNSAFE, NULL, NULL },
	{ "rootless", FL_TRI, O(rootless), UNSAFE, NULL, NULL },
	{ "ignore-cgroups", FL_BOOL, O(ignore_cgroups), UNSAFE, NULL, NULL },
	{ "overlay2", FL_STR, O(overlay2), SAFE, NULL, after_overlay },
	{ "network", FL_ENUM, O(network), UNSAFE, "sandbox|none|host", after_network },
	{ "net-raw", FL_BOOL, O(net_raw), UNSAFE, NULL, NULL },
	{ "file-access", FL_ENUM, O(file_access), UNSAFE, "exclusive|shared", NULL },
	{ "file-access-mounts", FL_ENUM, O(file_access_mounts), UNSAFE, "exclusive|shared", NULL },
	{ "host-uds", FL_ENUM, O(host_uds), SAFE, "none|open|create|all", NULL },
	{ "host-fifo", FL_ENUM, O(host_fifo), UNSAFE, "none|open", NULL },
	{ "platform", FL_ENUM, O(platform), UNSAFE, "stub|systrap|ptrace|kvm", NULL },
	{ "systrap-disable-syscall-patching", FL_BOOL, O(no_patching), UNSAFE, NULL, NULL },
	{ "systrap-disable-fast-path", FL_BOOL, O(no_poll), UNSAFE, NULL, NULL },
	{ "strace", FL_BOOL, O(strace), SAFE, NULL, NULL },
	{ "strace-syscalls", FL_STR, O(strace_syscalls), SAFE, NULL, NULL },
	{ "strace-log-size", FL_U64, O(strace_log_size), SAFE, NULL, NULL },
	{ "oci-seccomp", FL_BOOL, O(oci_seccomp), SAFE, NULL, NULL },
	{ "allow-flag-override", FL_BOOL, O(allow_flag_override), UNSAFE, NULL, NULL },
	{ "runsc-path", FL_STR, O(runsc_path), UNSAFE, NULL, NULL },
	{ "metric-server", FL_STR, O(metric_server), UNSAFE, NULL, NULL },
	{ "cni-conf", FL_STR, O(cni_conf), UNSAFE, NULL, NULL },
	{ "cni-bin", FL_STR, O(cni_bin), UNSAFE, NULL, NULL },
	/* known, without effect */
	{ "criu", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "net-disconnect-ok", FL_IGNORED_BOOL, 0, SAFE, NULL, NULL },
	{ "debug-command", FL_IGNORED, 0, SAFE, NULL, NULL },
	{ "debug-log-format", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "debug-to-user-log", FL_IGNORED_BOOL, 0, SAFE, NULL, NULL },
	{ "alsologtostderr", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "panic-log", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "log-packets", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "strace-event", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "profile", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "platform_device_path", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "watchdog-action", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "panic-signal", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "ref-leak-mode", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "cpu-num-from-quota", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "enable-core-tags", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "pod-init-config", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "host-settings", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "allow-suid", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "app-huge-pages", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "overlay", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "directfs", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "dcache", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "fdlimit", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "iouring", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "character-device-policy", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "mount-cgroup-v2", FL_IGNORED_BOOL, 0, SAFE, NULL, NULL },
	{ "allow-packet-socket-write", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "gso", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "software-gso", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "gvisor-gro", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "tx-checksum-offload", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "rx-checksum-offload", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "qdisc", FL_IGNORED, 0, SAFE, NULL, NULL },
	{ "num-network-channels", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "network-processors-per-channel", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "reproduce-nat", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "reproduce-nftables", FL_IGNORED_BOOL, 0, SAFE, NULL, NULL },
	{ "vfs2", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "fuse", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "lisafs", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "nvproxy", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "tpuproxy", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "gvisor-marker-file", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "allow-rootfs-tar-annotation", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "allow-live-tcp-migration", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "EXPERIMENTAL-xdp-need-wakeup", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "pause-external-networking", FL_IGNORED_BOOL, 0, SAFE, NULL, NULL },
	{ "allow-connected-on-save", FL_IGNORED_BOOL, 0, SAFE, NULL, NULL },
	{ "nvproxy-docker", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "nvproxy-allow-unsupported-driver", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "rdmaproxy", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "buffer-pooling", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "cgroupfs", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "fsgofer-host-uds", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "save-restore-netstack", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "kvm-use-cpu-nums", FL_IGNORED_BOOL, 0, UNSAFE, NULL, NULL },
	{ "coverage-report", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "pcap-log", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "traceback", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "final-metrics-log", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "profiling-metrics", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "profiling-metrics-log", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "profiling-metrics-rate-us", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "profile-block", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "profile-cpu", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "profile-heap", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "profile-mutex", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "profile-gc-interval", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "trace", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "restore-spec-validation", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "control-rpc-stop-timeout", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "shared-root", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "sidecar-release-enforcement-policy", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "override-procs", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "gofer-network-namespace", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "qdisc-tbf-rate", FL_IGNORED, 0, SAFE, NULL, NULL },
	{ "qdisc-tbf-burst", FL_IGNORED, 0, SAFE, NULL, NULL },
	{ "EXPERIMENTAL-xdp", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "nvproxy-driver-version", FL_IGNORED, 0, UNSAFE, NULL, NULL },
	{ "nvproxy-allowed-driver-capabilities", FL_IGNORED, 0, UNSAFE, NULL, NULL },
};

static const struct flag *flag_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (strcmp(flags[i].name, name) == 0)
			return &flags[i];
	return NULL;
}

int lc_flag_is_bool(const char *name)
{
	const struct flag *fl = flag_find(name);

	if (!fl)
		return -1;
	return fl->kind == FL_BOOL || fl->kind == FL_TRI || fl->kind == FL_IGNORED_BOOL;
}

static int set_str(char **where, const char *v, struct err *e)
{
	char *copy = strdup(v);

	if (!copy)
		return err_set(e, ENOMEM, "out of memory");
	free(*where);
	*where = copy;
	return 0;
}

/* Go's strconv.ParseBool. */
static int parse_bool(const char *v)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(v, yes[i]) == 0)
			return 1;
		if (strcmp(v, no[i]) == 0)
			return 0;
	}
	return -1;
}

static bool in_choices(const char *choices, const char *v)
{
	size_t n = strlen(v);

	for (const char *c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
		if (strncmp(c, v, n) == 0 && (c[n] == '|' || c[n] == '\0') && n)
			return true;
	return false;
}

static int set_bool(struct lc_flags *f, const struct flag *fl, const char *value, struct err *e)
{
	int b;

	if (fl->kind == FL_TRI && strcmp(value, "auto") == 0)
		b = -1;
	else if ((b = parse_bool(value)) < 0)
		return err_set(e, EINVAL, "flag --%s: \"%s\" is neither true nor false", fl->name, value);
	if (fl->kind == FL_BOOL)
		*(bool *)((char *)f + fl->off) = b == 1;
	else if (fl->kind == FL_TRI)
		*(int *)((char *)f + fl->off) = b;
	return 0;
}

static int set_u64(struct lc_flags *f, const struct flag *fl, const char *value, struct err *e)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(value, &end, 10);
	if (end == value || *end || errno || value[0] == '-')
		return err_set(e, EINVAL, "flag --%s: \"%s\" is no number", fl->name, value);
	*(uint64_t *)((char *)f + fl->off) = v;
	return 0;
}

static int keep_extra(struct lc_flags *f, const char *name, const char *value, struct err *e)
{
	char **v = realloc(f->extra, (f->nr_extra + 2) * sizeof(*v));

	if (!v)
		return err_set(e, ENOMEM, "out of memory");
	f->extra = v;
	if (asprintf(&v[f->nr_extra], "--%s=%s", name, value) < 0) {
		v[f->nr_extra] = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	v[++f->nr_extra] = NULL;
	return 0;
}

int lc_flag_set(struct lc_flags *f, const char *name, const char *value, struct err *e)
{
	const struct flag *fl = flag_find(name);
	bool boolean;

	if (!fl)
		return err_set(e, EINVAL, "flag provided but not defined: -%s", name);
	boolean = fl->kind == FL_BOOL || fl->kind == FL_TRI || fl->kind == FL_IGNORED_BOOL;
	if (!value && !boolean)
		return err_set(e, EINVAL, "flag needs an argument: -%s", name);
	if (!value)
		value = "true";
	if (boolean && set_bool(f, fl, value, e) < 0)
		return -1;
	if (fl->kind == FL_U64 && set_u64(f, fl, value, e) < 0)
		return -1;
	if (fl->kind == FL_ENUM && !in_choices(fl->choices, value))
		return err_set(e, EINVAL, "flag --%s: \"%s\" is not one of %s", name, value, fl->choices);
	if ((fl->kind == FL_ENUM || fl->kind == FL_STR) && set_str((char **)((char *)f + fl->off), value, e) < 0)
		return -1;
	if ((fl->kind == FL_IGNORED || fl->kind == FL_IGNORED_BOOL) && keep_extra(f, name, value, e) < 0)
		return -1;
	return fl->after ? fl->after(f, e) : 0;
}

int lc_flag_override(struct lc_flags *f, const char *name, const char *value, struct err *e)
{
	const struct flag *fl = flag_find(name);

	if (!fl)
		return err_set(e, EINVAL, "annotation dev.gvisor.flag.%s: no such flag", name);
	if (fl->safe != SAFE && !f->allow_flag_override)
		return err_set(e, EINVAL,
			       "annotation dev.gvisor.flag.%s: not allowed; start the runtime with --allow-flag-override",
			       name);
	return lc_flag_set(f, name, value, e);
}

/* "none", "root:self", "all:memory,size=1g", "root:dir=/x" */
static int after_overlay(struct lc_flags *f, struct err *e)
{
	const char *v = f->overlay2, *medium;
	enum lc_overlay kind = LC_OVERLAY_NONE;
	bool all = false;
	uint64_t size = 0;
	char *end;

	if (strcmp(v, "none") && *v) {
		all = strncmp(v, "all:", 4) == 0;
		if (!all && strncmp(v, "root:", 5))
			return err_set(e, EINVAL, "flag --overlay2: \"%s\": want none, root:memory, root:self or all:...", v);
		medium = v + (all ? 4 : 5);
		if (strncmp(medium, "memory", 6) == 0 && (!medium[6] || medium[6] == ',')) {
			kind = LC_OVERLAY_MEMORY;
			medium += 6;
		} else if (strncmp(medium, "self", 4) == 0 && (!medium[4] || medium[4] == ',')) {
			kind = LC_OVERLAY_SELF;
			medium += 4;
		} else {
			return err_set(e, EINVAL, "flag --overlay2: medium \"%s\" is not supported: want memory or self", medium);
		}
		if (strncmp(medium, ",size=", 6) == 0) {
			static const char units[] = "bkmgt";
			const char *u;

			size = strtoull(medium + 6, &end, 10);
			u = *end ? strchr(units, tolower((unsigned char)*end)) : units;
			if (end == medium + 6 || !u || (*end && end[1]) || size > (UINT64_MAX >> (10 * (u - units))))
				return err_set(e, EINVAL, "flag --overlay2: size \"%s\" is no number of bytes", medium + 6);
			size <<= 10 * (u - units);
		}
	}
	f->overlay_root = kind;
	f->overlay_mounts = all ? kind : LC_OVERLAY_NONE;
	f->overlay_size_bytes = size;
	return 0;
}

static int after_network(struct lc_flags *f, struct err *e)
{
	f->net = strcmp(f->network, "none") == 0 ? LC_NET_NONE : strcmp(f->network, "host") == 0 ? LC_NET_HOST : LC_NET_SANDBOX;
	f->net_as_spec = false;
	return 0;
}

static int after_root(struct lc_flags *f, struct err *e)
{
	f->root_in_tmp = false;
	return 0;
}

/* Where the state goes without --root: root's place, else what the user's session has (pam_systemd(8), XDG Base Directory
 * Specification), else, without a session (cron, su, setpriv), a directory of the user's own in /tmp. */
static int default_root(struct lc_flags *f, struct err *e)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	uid_t uid = geteuid();
	char session[40];
	struct stat st;
	int n;

	snprintf(session, sizeof(session), "/run/user/%u", (unsigned)uid);
	if (uid && (!run || !*run) && lstat(session, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid)
		run = session;
	f->root_in_tmp = uid && (!run || !*run);
	if (f->root_in_tmp)
		n = asprintf(&f->root, "/tmp/" LC_STATE_DIR "-%u", (unsigned)uid);
	else
		n = asprintf(&f->root, "%s/" LC_STATE_DIR, uid ? run : "/var/run");
	if (n >= 0)
		return 0;
	f->root = NULL;
	return err_set(e, ENOMEM, "out of memory");
}

int lc_root_own(const struct lc_flags *f, struct err *e)
{
	struct stat st;

	if (!f->root_in_tmp)
		return 0;
	if (mkdir(f->root, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "create root directory %s", f->root);
	/* /tmp is sticky: one that is ours now stays ours */
	if (lstat(f->root, &st) < 0)
		return err_sys(e, "root directory %s", f->root);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(e, EPERM, "root directory %s is somebody else's: set XDG_RUNTIME_DIR or --root", f->root);
	return 0;
}

int lc_flags_init(struct lc_flags *f, struct err *e)
{
	static const struct {
		const char *name, *value;
	} defaults[] = {
		{ "log-format", "text" },	  { "overlay2", "root:self" }, { "network", "sandbox" },
		{ "file-access", "exclusive" },	  { "host-uds", "none" },      { "file-access-mounts", "shared" },
		{ "host-fifo", "none" },	  { "platform", "stub" },      { "rootless", "auto" },
	};

	memset(f, 0, sizeof(*f));
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		if (lc_flag_set(f, defaults[i].name, defaults[i].value, e) < 0)
			return -1;
	return default_root(f, e);
}

void lc_flags_fini(struct lc_flags *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].kind == FL_STR || flags[i].kind == FL_ENUM)
			free(*(char **)((char *)f + flags[i].off));
	for (size_t i = 0; i < f->nr_extra; i++)
		free(f->extra[i]);
	free(f->extra);
	memset(f, 0, sizeof(*f));
}

/* Deep copy, for a container whose annotations override some. */
int lc_flags_copy(struct lc_flags *out, const struct lc_flags *in, struct err *e)
{
	*out = *in;
	out->extra = NULL;
	out->nr_extra = 0;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		char **p = (char **)((char *)out + flags[i].off);

		if ((flags[i].kind == FL_STR || flags[i].kind == FL_ENUM) && *p && !(*p = strdup(*p)))
			return err_set(e, ENOMEM, "out of memory");
	}
	return 0;
}

size_t lc_flag_names(const char **out, size_t cap, bool unsafe_only)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && n < cap; i++)
		if (!unsafe_only || flags[i].safe == UNSAFE)
			out[n++] = flags[i].name;
	return n;
}
