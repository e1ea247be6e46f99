/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/spec.h - an OCI runtime configuration, decoded and checked
 *
 * Model:   spec_parse() decodes config.json into these structs (strings borrowed from the document inside);
 *          spec_check() says whether this runtime can do what it asks. Later code believes both.
 * Source:  runtime-spec 1.3: config.md, config-linux.md.
 */
#ifndef RUNSC_LIB_SPEC_H
#define RUNSC_LIB_SPEC_H

#include "runsc/lib/jsonx.h"

#define OCI_VERSION "1.2.1"

struct oci_user {
	uint32_t uid, gid;
	struct joptu umask;
	struct ju32v additional_gids;
	const char *username;
};

struct oci_caps {
	struct jstrv bounding, effective, inheritable, permitted, ambient;
};

struct oci_rlimit {
	const char *type;
	uint64_t soft, hard;
};

struct oci_process {
	bool terminal, no_new_privs, has_console, has_user, has_caps, has_scheduler;
	struct { uint32_t height, width; } console;
	struct oci_user user;
	struct jstrv args, env;
	const char *command_line, *cwd, *apparmor, *selinux;
	struct oci_caps caps;
	struct jarr rlimits; /* struct oci_rlimit */
	struct jopt oom_score_adj;
	struct { const char *policy; int32_t nice, priority; } scheduler;
};

struct oci_idmap {
	uint32_t container_id, host_id, size;
};

struct oci_mount {
	const char *destination, *type, *source;
	struct jstrv options;
	struct jarr uid_maps, gid_maps; /* struct oci_idmap */
};

struct oci_hook {
	const char *path;
	struct jstrv args, env;
	struct jopt timeout; /* seconds */
};

enum oci_hook_kind { HOOK_PRESTART, HOOK_CREATE_RUNTIME, HOOK_CREATE_CONTAINER, HOOK_START_CONTAINER, HOOK_POSTSTART,
		     HOOK_POSTSTOP, HOOK_KINDS };

struct oci_hooks {
	struct jarr of[HOOK_KINDS]; /* struct oci_hook */
};

struct oci_namespace {
	const char *type, *path;
};

struct oci_device {
	const char *path, *type;
	struct jopt major, minor;
	struct joptu mode, uid, gid;
};

struct oci_weight_device { int64_t major, minor; struct joptu weight, leaf_weight; };
struct oci_throttle { int64_t major, minor; uint64_t rate; };
struct oci_hugepage { const char *size; uint64_t limit; };
struct oci_ifprio { const char *name; uint32_t priority; };
struct oci_device_rule { bool allow; const char *type, *access; struct jopt major, minor; };
struct oci_rdma { struct joptu handles, objects; };

struct oci_resources {
	struct {
		struct jopt limit, reservation, swap, kernel, kernel_tcp;
		struct joptu swappiness;
		int disable_oom_killer, use_hierarchy, check_before_update;
	} memory;
	struct {
		struct joptu shares, period, realtime_period;
		struct joptu burst;
		struct jopt quota, realtime_runtime, idle;
		const char *cpus, *mems;
	} cpu;
	struct { struct jopt limit; } pids;
	struct {
		struct joptu weight, leaf_weight;
		struct jarr weight_device;				    /* struct oci_weight_device */
		struct jarr read_bps, write_bps, read_iops, write_iops;	    /* struct oci_throttle */
	} blkio;
	struct jarr hugepages;						    /* struct oci_hugepage */
	struct { struct joptu class_id; struct jarr priorities; } network; /* struct oci_ifprio */
	struct jarr devices;						    /* struct oci_device_rule */
	struct jmap unified;
};

struct oci_linux {
	struct jarr uid_maps, gid_maps;	 /* struct oci_idmap */
	struct jarr namespaces;		 /* struct oci_namespace */
	struct jarr devices;		 /* struct oci_device */
	struct jmap sysctl;
	const char *cgroups_path, *rootfs_propagation, *mount_label;
	struct jstrv masked_paths, readonly_paths;
	bool has_resources;
	struct oci_resources resources;
	struct json_object *seccomp, *intel_rdt, *net_devices, *memory_policy;
};

struct oci_spec {
	struct jdoc doc;
	const char *version, *hostname, *domainname;
	bool has_process, has_root, has_linux;
	struct oci_process process;
	struct { const char *path; bool readonly; } root;
	struct jarr mounts; /* struct oci_mount */
	struct oci_hooks hooks;
	struct jmap annotations;
	struct oci_linux linux_;
	struct json_object *solaris, *windows, *vm;
};

/* Decodes @text; on failure nothing needs freeing. */
int spec_parse(struct oci_spec *s, const char *text, size_t len, struct err *e);
/* Reads and decodes @bundle/config.json. @out_text (may be NULL) gets the text, malloc'ed. */
int spec_read(struct oci_spec *s, const char *bundle, char **out_text, struct err *e);
void spec_free(struct oci_spec *s);

/* EINVAL when the configuration contradicts itself or asks for what this runtime cannot give. */
int spec_check(const struct oci_spec *s, struct err *e);

/* linux.sysctl (sysctl.c). sysctl_path(): the name, with dots or slashes, as a path below /proc/sys; false when it is none.
 * sysctl_of_linux(): the host's kernel has such a file. sysctl_check_host_net(): for a container in the host's network. */
#define SYSCTL_PATH_SIZE 256
bool sysctl_path(const char *name, char out[SYSCTL_PATH_SIZE]);
bool sysctl_of_linux(const char *path);
int sysctl_check(const struct oci_spec *s, struct err *e);
int sysctl_check_host_net(const struct oci_spec *s, struct err *e);
/* The part of it that concerns a process; also for `exec --process`. */
int spec_check_process(const struct oci_process *p, struct err *e);
/* Decodes one Process object of its own (exec --process). @d owns the strings. */
int spec_parse_process(struct jdoc *d, const char *text, size_t len, struct oci_process *out, struct err *e);
/* Decodes one LinuxResources object (update --resources). */
int spec_parse_resources(struct jdoc *d, const char *text, size_t len, struct oci_resources *out, struct err *e);

/* Value of annotation @key, NULL when absent. */
const char *spec_annotation(const struct oci_spec *s, const char *key);
/* The namespace entry of @type ("pid", "network", ...), NULL when absent. */
const struct oci_namespace *spec_namespace(const struct oci_spec *s, const char *type);

enum spec_role { ROLE_SANDBOX, ROLE_CONTAINER };
/* Whether this starts a sandbox or joins one, from the CRI and CRI-O annotations; @out_sandbox borrowed, NULL for ROLE_SANDBOX. */
int spec_role(const struct oci_spec *s, enum spec_role *out, const char **out_sandbox, struct err *e);

/* Names and numbers (names.c). */
int cap_number(const char *name);   /* "CAP_CHOWN" or "chown"; -1 unknown */
const char *cap_name(unsigned n);   /* NULL past the last */
int rlimit_number(const char *name);/* "RLIMIT_NOFILE"; -1 unknown */
int sched_policy_number(const char *name);

/* Mount options (mounts.c). */
struct mount_opts {
	uint64_t flags, propagation;
	bool bind, copy_up;
	bool idmap, rec_idmap;	/* owners are mapped; those of the mounts below, too */
	const char **data;	/* malloc'ed vector of borrowed strings: the file system's own options */
	size_t nr_data;
};
int mount_opts_parse(const struct oci_mount *m, struct mount_opts *out, struct err *e);
void mount_opts_fini(struct mount_opts *o);
/* Names of all options we understand, NULL-terminated, for `features`. */
const char *const *mount_opt_names(void);
/* True when the Sentry has file system @type itself. */
bool mount_type_in_sentry(const char *type);
/* @path made absolute and clean ("a//b/../c" -> "/a/c"), never above "/"; malloc'ed. */
char *path_clean(const char *path);

#endif
