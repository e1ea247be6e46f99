/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/spec_check.c - what a configuration may ask for
 *
 * Model:   one function per section, run from a table; the first objection is the answer. Refused is what
 *          would silently be weaker or different otherwise; what has no meaning inside a Sentry but does
 *          no harm by being absent (AppArmor, Intel RDT) is accepted with a line in the log.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "runsc/lib/spec.h"

static int check_version(const struct oci_spec *s, struct err *e)
{
	const char *v = s->version;

	if (strncmp(v, "1.", 2) != 0 || v[2] < '0' || v[2] > '9')
		return err_set(e, EINVAL, "ociVersion \"%s\" is not supported: want 1.x", v);
	return 0;
}

static int check_platform(const struct oci_spec *s, struct err *e)
{
	static const char text[] = "config.json has a %s section: only Linux containers can be run";

	if (s->solaris)
		return err_set(e, EINVAL, text, "solaris");
	if (s->windows)
		return err_set(e, EINVAL, text, "windows");
	if (s->vm)
		return err_set(e, EINVAL, text, "vm");
	return 0;
}

static int check_root(const struct oci_spec *s, struct err *e)
{
	const char *p = s->linux_.rootfs_propagation;

	if (!s->has_root)
		return err_set(e, EINVAL, "root is missing");
	if (!*s->root.path)
		return err_set(e, EINVAL, "root.path is empty");
	if (p && *p && strcmp(p, "private") && strcmp(p, "rprivate") && strcmp(p, "slave") && strcmp(p, "rslave"))
		return err_set(e, EINVAL, "linux.rootfsPropagation \"%s\" is not supported: want private or slave", p);
	return 0;
}

static int check_env(const struct jstrv *env, struct err *e)
{
	for (size_t i = 0; i < env->n; i++)
		if (env->v[i][0] == '=' || !strchr(env->v[i], '='))
			return err_set(e, EINVAL, "process.env[%zu] is not of the form NAME=value: \"%.80s\"", i,
				       env->v[i]);
	return 0;
}

static int check_rlimits(const struct jarr *a, struct err *e)
{
	const struct oci_rlimit *r = a->v;
	uint32_t seen = 0;

	for (size_t i = 0; i < a->n; i++) {
		int nr = rlimit_number(r[i].type);

		if (nr < 0)
			return err_set(e, EINVAL, "process.rlimits[%zu].type \"%s\" is no resource limit", i, r[i].type);
		if (seen & (1u << nr))
			return err_set(e, EINVAL, "process.rlimits has %s twice", r[i].type);
		if (r[i].soft > r[i].hard)
			return err_set(e, EINVAL, "process.rlimits[%zu]: soft limit of %s is above the hard limit", i,
				       r[i].type);
		seen |= 1u << nr;
	}
	return 0;
}

int spec_check_process(const struct oci_process *p, struct err *e)
{
	if (p->command_line && !p->args.n)
		return err_set(e, EINVAL, "process.commandLine is for Windows; process.args is missing");
	if (!p->args.n)
		return err_set(e, EINVAL, "process.args must have at least one element");
	if (!p->cwd || !*p->cwd)
		return err_set(e, EINVAL, "process.cwd is missing");
	if (p->cwd[0] != '/')
		return err_set(e, EINVAL, "process.cwd must be an absolute path: \"%s\"", p->cwd);
	if (p->selinux && *p->selinux)
		return err_set(e, EINVAL, "process.selinuxLabel is not supported: run with label=disable");
	if (p->apparmor && *p->apparmor && strcmp(p->apparmor, "unconfined"))
		log_debug("AppArmor profile %s has no meaning inside the sandbox and is ignored", p->apparmor);
	if (p->oom_score_adj.set && (p->oom_score_adj.v < -1000 || p->oom_score_adj.v > 1000))
		return err_set(e, EINVAL, "process.oomScoreAdj %lld is not within -1000..1000",
			       (long long)p->oom_score_adj.v);
	if (p->user.umask.set && p->user.umask.v > 0777)
		return err_set(e, EINVAL, "process.user.umask is not within 0..0777");
	if (p->user.additional_gids.n > 65536)
		return err_set(e, EINVAL, "process.user.additionalGids has more than 65536 groups");
	if (p->has_scheduler && sched_policy_number(p->scheduler.policy) < 0)
		return err_set(e, EINVAL, "process.scheduler.policy \"%s\" is not known", p->scheduler.policy);
	if (p->has_scheduler && (p->scheduler.nice < -20 || p->scheduler.nice > 19))
		return err_set(e, EINVAL, "process.scheduler.nice is not within -20..19");
	if (check_env(&p->env, e) < 0)
		return -1;
	return check_rlimits(&p->rlimits, e);
}

static int check_process(const struct oci_spec *s, struct err *e)
{
	if (!s->has_process)
		return err_set(e, EINVAL, "process is missing");
	return spec_check_process(&s->process, e);
}

static int check_mount(const struct oci_mount *m, size_t i, struct err *e)
{
	struct mount_opts o;
	bool bind, idmap;

	if (!*m->destination)
		return err_set(e, EINVAL, "mounts[%zu].destination is empty", i);
	if (mount_opts_parse(m, &o, e) < 0)
		return err_wrap(e, "mounts[%zu] (%s)", i, m->destination);
	bind = o.bind;
	idmap = o.idmap;
	mount_opts_fini(&o);
	if (!bind && idmap)
		return err_set(e, EINVAL, "mounts[%zu] (%s): only bind mounts have uidMappings, gidMappings, idmap, ridmap", i,
			       m->destination);
	if (bind && (!m->source || !*m->source))
		return err_set(e, EINVAL, "mounts[%zu] (%s): a bind mount needs a source", i, m->destination);
	if (!bind && (!m->type || !*m->type))
		return err_set(e, EINVAL, "mounts[%zu] (%s): type is missing", i, m->destination);
	if (!bind && !mount_type_in_sentry(m->type))
		return err_set(e, EINVAL,
			       "mounts[%zu] (%s): file system type \"%s\" cannot be mounted inside the sandbox; mount it "
			       "on the host and bind it",
			       i, m->destination, m->type);
	if (!bind && m->destination[0] == '/' && strspn(m->destination, "/") == strlen(m->destination))
		return err_set(e, EINVAL, "mounts[%zu]: destination \"/\" would hide the root file system", i);
	return 0;
}

static int check_mounts(const struct oci_spec *s, struct err *e)
{
	const struct oci_mount *m = s->mounts.v;

	for (size_t i = 0; i < s->mounts.n; i++)
		if (check_mount(&m[i], i, e) < 0)
			return -1;
	return 0;
}

static const char *const namespace_types[] = { "pid",  "network", "mount",  "ipc",
					       "uts", "user",    "cgroup", "time" };

static int check_namespaces(const struct oci_spec *s, struct err *e)
{
	const struct oci_namespace *ns = s->linux_.namespaces.v;
	unsigned seen = 0;

	for (size_t i = 0; i < s->linux_.namespaces.n; i++) {
		unsigned k = 0;

		while (k < ARRAY_SIZE(namespace_types) && strcmp(ns[i].type, namespace_types[k]))
			k++;
		if (k == ARRAY_SIZE(namespace_types))
			return err_set(e, EINVAL, "linux.namespaces[%zu].type \"%s\" is not known", i, ns[i].type);
		if (seen & (1u << k))
			return err_set(e, EINVAL, "linux.namespaces has \"%s\" twice", ns[i].type);
		if (ns[i].path && *ns[i].path && ns[i].path[0] != '/')
			return err_set(e, EINVAL, "linux.namespaces[%zu].path must be absolute: \"%s\"", i, ns[i].path);
		seen |= 1u << k;
	}
	if (s->hostname && *s->hostname && !spec_namespace(s, "uts"))
		return err_set(e, EINVAL, "unable to set hostname without a private UTS namespace");
	if (s->hostname && strlen(s->hostname) > 64)
		return err_set(e, EINVAL, "hostname is longer than 64 bytes");
	if (s->domainname && strlen(s->domainname) > 64)
		return err_set(e, EINVAL, "domainname is longer than 64 bytes");
	return 0;
}

static int check_idmap(const struct jarr *a, const char *what, struct err *e)
{
	const struct oci_idmap *m = a->v;

	if (a->n > 340)
		return err_set(e, EINVAL, "linux.%s has more than 340 entries", what);
	for (size_t i = 0; i < a->n; i++)
		if (m[i].size == 0 || m[i].container_id > UINT32_MAX - m[i].size || m[i].host_id > UINT32_MAX - m[i].size)
			return err_set(e, EINVAL, "linux.%s[%zu] is empty or runs past the last id", what, i);
	return 0;
}

static int check_userns(const struct oci_spec *s, struct err *e)
{
	const struct oci_namespace *ns = spec_namespace(s, "user");
	const struct oci_linux *l = &s->linux_;
	bool fresh = ns && (!ns->path || !*ns->path);

	if ((l->uid_maps.n || l->gid_maps.n) && !ns)
		return err_set(e, EINVAL, "linux.uidMappings and gidMappings need a user namespace in linux.namespaces");
	if (fresh && (!l->uid_maps.n || !l->gid_maps.n))
		return err_set(e, EINVAL, "a new user namespace needs linux.uidMappings and linux.gidMappings");
	if (check_idmap(&l->uid_maps, "uidMappings", e) < 0)
		return -1;
	return check_idmap(&l->gid_maps, "gidMappings", e);
}

static int check_devices(const struct oci_spec *s, struct err *e)
{
	const struct oci_device *d = s->linux_.devices.v;

	for (size_t i = 0; i < s->linux_.devices.n; i++) {
		if (d[i].path[0] != '/')
			return err_set(e, EINVAL, "linux.devices[%zu].path must be absolute: \"%s\"", i, d[i].path);
		if (strlen(d[i].type) != 1 || !strchr("cbup", d[i].type[0]))
			return err_set(e, EINVAL, "linux.devices[%zu].type must be c, b, u or p", i);
		if (d[i].type[0] != 'p' && (!d[i].major.set || !d[i].minor.set))
			return err_set(e, EINVAL, "linux.devices[%zu] (%s) needs major and minor", i, d[i].path);
	}
	return 0;
}

static int check_paths(const struct jstrv *v, const char *what, struct err *e)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i][0] != '/')
			return err_set(e, EINVAL, "linux.%s[%zu] must be absolute: \"%s\"", what, i, v->v[i]);
	return 0;
}

/* With less, the first process to enter the group is killed, and with it this one, whose memory it still shares. */
#define MEMORY_LIMIT_MIN (1ll << 20)

static int check_linux(const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = &s->linux_;
	const struct jopt *limit = &l->resources.memory.limit;

	if (limit->set && limit->v > 0 && limit->v < MEMORY_LIMIT_MIN)
		return err_set(e, EINVAL, "linux.resources.memory.limit of %lld bytes is too low: no container starts with less than %lld",
			       (long long)limit->v, MEMORY_LIMIT_MIN);
	if (l->mount_label && *l->mount_label)
		return err_set(e, EINVAL, "linux.mountLabel is not supported: run with label=disable");
	if (l->net_devices && json_object_is_type(l->net_devices, json_type_object) &&
	    json_object_object_length(l->net_devices) > 0)
		return err_set(e, EINVAL, "linux.netDevices is not supported");
	if (l->intel_rdt)
		log_debug("linux.intelRdt is ignored");
	if (sysctl_check(s, e) < 0)
		return -1;
	if (check_paths(&l->masked_paths, "maskedPaths", e) < 0)
		return -1;
	return check_paths(&l->readonly_paths, "readonlyPaths", e);
}

static int check_hooks(const struct oci_spec *s, struct err *e)
{
	static const char *const names[HOOK_KINDS] = { "prestart",	   "createRuntime", "createContainer",
						       "startContainer", "poststart",	    "poststop" };

	for (int k = 0; k < HOOK_KINDS; k++) {
		const struct oci_hook *h = s->hooks.of[k].v;

		for (size_t i = 0; i < s->hooks.of[k].n; i++) {
			if (h[i].path[0] != '/')
				return err_set(e, EINVAL, "hooks.%s[%zu].path must be absolute: \"%s\"", names[k], i,
					       h[i].path);
			if (h[i].timeout.set && h[i].timeout.v <= 0)
				return err_set(e, EINVAL, "hooks.%s[%zu].timeout must be greater than zero", names[k], i);
		}
	}
	return 0;
}

static int check_role(const struct oci_spec *s, struct err *e)
{
	const char *sandbox;
	enum spec_role role;

	return spec_role(s, &role, &sandbox, e);
}

int spec_check(const struct oci_spec *s, struct err *e)
{
	static int (*const checks[])(const struct oci_spec *, struct err *) = {
		check_version, check_platform,	 check_process, check_root,  check_mounts, check_namespaces,
		check_userns,  check_devices, check_linux,   check_hooks, check_role,
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		if (checks[i](s, e) < 0)
			return err_wrap(e, "config.json");
	return 0;
}

int spec_role(const struct oci_spec *s, enum spec_role *out, const char **out_sandbox, struct err *e)
{
	static const struct {
		const char *type, *sandbox;
	} keys[] = {
		{ "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id" },
		{ "io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID" },
	};

	*out = ROLE_SANDBOX;
	*out_sandbox = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *type = spec_annotation(s, keys[i].type);

		if (!type || strcmp(type, "sandbox") == 0)
			continue;
		if (strcmp(type, "container"))
			return err_set(e, EINVAL, "annotation %s has the unknown value \"%s\"", keys[i].type, type);
		*out_sandbox = spec_annotation(s, keys[i].sandbox);
		if (!*out_sandbox || !**out_sandbox)
			return err_set(e, EINVAL, "annotation %s is \"container\" but %s is missing", keys[i].type,
				       keys[i].sandbox);
		*out = ROLE_CONTAINER;
		return 0;
	}
	return 0;
}
