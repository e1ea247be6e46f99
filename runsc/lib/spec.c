/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/spec.c - decoding config.json: the tables
 */
#include "runsc/lib/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define F(kind, name, member)	   JF(SCOPE, kind, name, member)
#define F_REQ(kind, name, member)  JF_REQ(SCOPE, kind, name, member)

#define SCOPE struct oci_idmap
static const struct jfield idmap_fields[] = {
	F_REQ(J_U32, "containerID", container_id),
	F_REQ(J_U32, "hostID", host_id),
	F_REQ(J_U32, "size", size),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_user
static const struct jfield user_fields[] = {
	F(J_U32, "uid", uid),
	F(J_U32, "gid", gid),
	F(J_OPTU, "umask", umask),
	F(J_U32V, "additionalGids", additional_gids),
	F(J_STR, "username", username),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_caps
static const struct jfield caps_fields[] = {
	F(J_STRV, "bounding", bounding),
	F(J_STRV, "effective", effective),
	F(J_STRV, "inheritable", inheritable),
	F(J_STRV, "permitted", permitted),
	F(J_STRV, "ambient", ambient),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_rlimit
static const struct jfield rlimit_fields[] = {
	F_REQ(J_STR, "type", type),
	F_REQ(J_U64, "soft", soft),
	F_REQ(J_U64, "hard", hard),
	JF_END,
};
#undef SCOPE

static const struct jfield console_fields[] = {
	{ .name = "height", .kind = J_U32, .off = 0 },
	{ .name = "width", .kind = J_U32, .off = sizeof(uint32_t) },
	JF_END,
};

#define SCOPE __typeof__(((struct oci_process *)0)->scheduler)
static const struct jfield scheduler_fields[] = {
	F_REQ(J_STR, "policy", policy),
	F(J_I32, "nice", nice),
	F(J_I32, "priority", priority),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_process
static const struct jfield process_fields[] = {
	F(J_BOOL, "terminal", terminal),
	JF_OBJ(SCOPE, "consoleSize", console, has_console, console_fields),
	JF_OBJ(SCOPE, "user", user, has_user, user_fields),
	F(J_STRV, "args", args),
	F(J_STR, "commandLine", command_line),
	F(J_STRV, "env", env),
	F(J_STR, "cwd", cwd),
	JF_OBJ(SCOPE, "capabilities", caps, has_caps, caps_fields),
	JF_ARR(SCOPE, "rlimits", rlimits, struct oci_rlimit, rlimit_fields),
	F(J_BOOL, "noNewPrivileges", no_new_privs),
	F(J_STR, "apparmorProfile", apparmor),
	F(J_OPT, "oomScoreAdj", oom_score_adj),
	JF_OBJ(SCOPE, "scheduler", scheduler, has_scheduler, scheduler_fields),
	F(J_STR, "selinuxLabel", selinux),
	JF_END,
};
#undef SCOPE

#define SCOPE __typeof__(((struct oci_spec *)0)->root)
static const struct jfield root_fields[] = {
	F_REQ(J_STR, "path", path),
	F(J_BOOL, "readonly", readonly),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_mount
static const struct jfield mount_fields[] = {
	F_REQ(J_STR, "destination", destination),
	F(J_STR, "type", type),
	F(J_STR, "source", source),
	F(J_STRV, "options", options),
	JF_ARR(SCOPE, "uidMappings", uid_maps, struct oci_idmap, idmap_fields),
	JF_ARR(SCOPE, "gidMappings", gid_maps, struct oci_idmap, idmap_fields),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_hook
static const struct jfield hook_fields[] = {
	F_REQ(J_STR, "path", path),
	F(J_STRV, "args", args),
	F(J_STRV, "env", env),
	F(J_OPT, "timeout", timeout),
	JF_END,
};
#undef SCOPE

#define HOOKS(kind, name) JF_ARR(struct oci_hooks, name, of[kind], struct oci_hook, hook_fields)
static const struct jfield hooks_fields[] = {
	HOOKS(HOOK_PRESTART, "prestart"),
	HOOKS(HOOK_CREATE_RUNTIME, "createRuntime"),
	HOOKS(HOOK_CREATE_CONTAINER, "createContainer"),
	HOOKS(HOOK_START_CONTAINER, "startContainer"),
	HOOKS(HOOK_POSTSTART, "poststart"),
	HOOKS(HOOK_POSTSTOP, "poststop"),
	JF_END,
};

#define SCOPE struct oci_namespace
static const struct jfield namespace_fields[] = {
	F_REQ(J_STR, "type", type),
	F(J_STR, "path", path),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_device
static const struct jfield device_fields[] = {
	F_REQ(J_STR, "path", path),
	F_REQ(J_STR, "type", type),
	F(J_OPT, "major", major),
	F(J_OPT, "minor", minor),
	F(J_OPTU, "fileMode", mode),
	F(J_OPTU, "uid", uid),
	F(J_OPTU, "gid", gid),
	JF_END,
};
#undef SCOPE

#define SCOPE __typeof__(((struct oci_resources *)0)->memory)
static const struct jfield memory_fields[] = {
	F(J_OPT, "limit", limit),
	F(J_OPT, "reservation", reservation),
	F(J_OPT, "swap", swap),
	F(J_OPT, "kernel", kernel),
	F(J_OPT, "kernelTCP", kernel_tcp),
	F(J_OPTU, "swappiness", swappiness),
	F(J_OPTBOOL, "disableOOMKiller", disable_oom_killer),
	F(J_OPTBOOL, "useHierarchy", use_hierarchy),
	F(J_OPTBOOL, "checkBeforeUpdate", check_before_update),
	JF_END,
};
#undef SCOPE

#define SCOPE __typeof__(((struct oci_resources *)0)->cpu)
static const struct jfield cpu_fields[] = {
	F(J_OPTU, "shares", shares),
	F(J_OPT, "quota", quota),
	F(J_OPTU, "burst", burst),
	F(J_OPTU, "period", period),
	F(J_OPT, "realtimeRuntime", realtime_runtime),
	F(J_OPTU, "realtimePeriod", realtime_period),
	F(J_STR, "cpus", cpus),
	F(J_STR, "mems", mems),
	F(J_OPT, "idle", idle),
	JF_END,
};
#undef SCOPE

static const struct jfield pids_fields[] = {
	JF(__typeof__(((struct oci_resources *)0)->pids), J_OPT, "limit", limit),
	JF_END,
};

#define SCOPE struct oci_weight_device
static const struct jfield weight_device_fields[] = {
	{ .name = "major", .kind = J_U64, .off = offsetof(SCOPE, major), .required = true },
	{ .name = "minor", .kind = J_U64, .off = offsetof(SCOPE, minor), .required = true },
	F(J_OPTU, "weight", weight),
	F(J_OPTU, "leafWeight", leaf_weight),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_throttle
static const struct jfield throttle_fields[] = {
	{ .name = "major", .kind = J_U64, .off = offsetof(SCOPE, major), .required = true },
	{ .name = "minor", .kind = J_U64, .off = offsetof(SCOPE, minor), .required = true },
	F_REQ(J_U64, "rate", rate),
	JF_END,
};
#undef SCOPE

#define SCOPE __typeof__(((struct oci_resources *)0)->blkio)
#define THROTTLE(name, member) JF_ARR(SCOPE, name, member, struct oci_throttle, throttle_fields)
static const struct jfield blkio_fields[] = {
	F(J_OPTU, "weight", weight),
	F(J_OPTU, "leafWeight", leaf_weight),
	JF_ARR(SCOPE, "weightDevice", weight_device, struct oci_weight_device, weight_device_fields),
	THROTTLE("throttleReadBpsDevice", read_bps),
	THROTTLE("throttleWriteBpsDevice", write_bps),
	THROTTLE("throttleReadIOPSDevice", read_iops),
	THROTTLE("throttleWriteIOPSDevice", write_iops),
	JF_END,
};
#undef SCOPE

static const struct jfield hugepage_fields[] = {
	JF_REQ(struct oci_hugepage, J_STR, "pageSize", size),
	JF_REQ(struct oci_hugepage, J_U64, "limit", limit),
	JF_END,
};

static const struct jfield ifprio_fields[] = {
	JF_REQ(struct oci_ifprio, J_STR, "name", name),
	JF_REQ(struct oci_ifprio, J_U32, "priority", priority),
	JF_END,
};

#define SCOPE __typeof__(((struct oci_resources *)0)->network)
static const struct jfield network_fields[] = {
	F(J_OPTU, "classID", class_id),
	JF_ARR(SCOPE, "priorities", priorities, struct oci_ifprio, ifprio_fields),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_device_rule
static const struct jfield device_rule_fields[] = {
	F(J_BOOL, "allow", allow),
	F(J_STR, "type", type),
	F(J_OPT, "major", major),
	F(J_OPT, "minor", minor),
	F(J_STR, "access", access),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_resources
#define SUB(nm, member, fields) { .name = nm, .kind = J_OBJ, .off = offsetof(SCOPE, member), .sub = fields }
static const struct jfield resources_fields[] = {
	SUB("memory", memory, memory_fields),
	SUB("cpu", cpu, cpu_fields),
	SUB("pids", pids, pids_fields),
	SUB("blockIO", blkio, blkio_fields),
	JF_ARR(SCOPE, "hugepageLimits", hugepages, struct oci_hugepage, hugepage_fields),
	SUB("network", network, network_fields),
	JF_ARR(SCOPE, "devices", devices, struct oci_device_rule, device_rule_fields),
	F(J_MAP, "unified", unified),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_linux
static const struct jfield linux_fields[] = {
	JF_ARR(SCOPE, "uidMappings", uid_maps, struct oci_idmap, idmap_fields),
	JF_ARR(SCOPE, "gidMappings", gid_maps, struct oci_idmap, idmap_fields),
	JF_ARR(SCOPE, "namespaces", namespaces, struct oci_namespace, namespace_fields),
	JF_ARR(SCOPE, "devices", devices, struct oci_device, device_fields),
	F(J_MAP, "sysctl", sysctl),
	F(J_STR, "cgroupsPath", cgroups_path),
	F(J_STR, "rootfsPropagation", rootfs_propagation),
	F(J_STR, "mountLabel", mount_label),
	F(J_STRV, "maskedPaths", masked_paths),
	F(J_STRV, "readonlyPaths", readonly_paths),
	JF_OBJ(SCOPE, "resources", resources, has_resources, resources_fields),
	F(J_RAW, "seccomp", seccomp),
	F(J_RAW, "intelRdt", intel_rdt),
	F(J_RAW, "netDevices", net_devices),
	F(J_RAW, "memoryPolicy", memory_policy),
	JF_END,
};
#undef SCOPE

#define SCOPE struct oci_spec
static const struct jfield spec_fields[] = {
	F_REQ(J_STR, "ociVersion", version),
	F(J_STR, "hostname", hostname),
	F(J_STR, "domainname", domainname),
	JF_OBJ(SCOPE, "process", process, has_process, process_fields),
	JF_OBJ(SCOPE, "root", root, has_root, root_fields),
	JF_ARR(SCOPE, "mounts", mounts, struct oci_mount, mount_fields),
	SUB("hooks", hooks, hooks_fields),
	F(J_MAP, "annotations", annotations),
	JF_OBJ(SCOPE, "linux", linux_, has_linux, linux_fields),
	F(J_RAW, "solaris", solaris),
	F(J_RAW, "windows", windows),
	F(J_RAW, "vm", vm),
	JF_END,
};
#undef SCOPE

static void resources_preset(struct oci_resources *r)
{
	r->memory.disable_oom_killer = r->memory.use_hierarchy = r->memory.check_before_update = -1;
}

static int decode_spec(struct oci_spec *s, struct err *e)
{
	resources_preset(&s->linux_.resources);
	if (json_decode(&s->doc, s->doc.root, spec_fields, s, "", e) < 0) {
		spec_free(s);
		return err_wrap(e, "config.json");
	}
	return 0;
}

int spec_parse(struct oci_spec *s, const char *text, size_t len, struct err *e)
{
	memset(s, 0, sizeof(*s));
	if (jdoc_parse(&s->doc, text, len, "config.json", e) < 0)
		return -1;
	return decode_spec(s, e);
}

int spec_read(struct oci_spec *s, const char *bundle, char **out_text, struct err *e)
{
	AUTO_CLOSE int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FREE char *text = NULL;
	size_t len;

	memset(s, 0, sizeof(*s));
	if (dir < 0)
		return err_sys(e, "bundle %s", bundle);
	if (read_file_at(dir, "config.json", JDOC_TEXT_MAX, &text, &len) < 0) {
		if (errno == ENOENT)
			return err_set(e, ENOENT, "JSON specification file config.json not found in bundle %s", bundle);
		if (errno == EFBIG)
			return err_set(e, EINVAL, "config.json is larger than %u MiB", JDOC_TEXT_MAX >> 20);
		return err_sys(e, "open %s/config.json", bundle);
	}
	if (spec_parse(s, text, len, e) < 0)
		return -1;
	if (out_text)
		*out_text = TAKE_PTR(text);
	return 0;
}

void spec_free(struct oci_spec *s)
{
	jdoc_free(&s->doc);
}

int spec_parse_process(struct jdoc *d, const char *text, size_t len, struct oci_process *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	if (jdoc_parse(d, text, len, "process specification", e) < 0)
		return -1;
	if (json_decode(d, d->root, process_fields, out, "process", e) == 0)
		return 0;
	jdoc_free(d);
	return -1;
}

int spec_parse_resources(struct jdoc *d, const char *text, size_t len, struct oci_resources *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	resources_preset(out);
	if (jdoc_parse(d, text, len, "resources", e) < 0)
		return -1;
	if (json_decode(d, d->root, resources_fields, out, "resources", e) == 0)
		return 0;
	jdoc_free(d);
	return -1;
}

const char *spec_annotation(const struct oci_spec *s, const char *key)
{
	for (size_t i = 0; i < s->annotations.n; i++)
		if (strcmp(s->annotations.v[i].key, key) == 0)
			return s->annotations.v[i].value;
	return NULL;
}

const struct oci_namespace *spec_namespace(const struct oci_spec *s, const char *type)
{
	const struct oci_namespace *ns = s->linux_.namespaces.v;

	for (size_t i = 0; i < s->linux_.namespaces.n; i++)
		if (strcmp(ns[i].type, type) == 0)
			return &ns[i];
	return NULL;
}
