/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_features.c - `runsc features`: what this runtime understands, as JSON
 */
#include <json-c/json.h>
#include <stdio.h>

#include "runsc/cmd.h"
#include "runsc/lib/spec.h"

static struct json_object *strings(const char *const *v)
{
	return ja_strings(v);
}

static struct json_object *flag_annotations(bool unsafe_only, struct json_object *map)
{
	const char *names[256];
	size_t n = lc_flag_names(names, ARRAY_SIZE(names), unsafe_only);
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < n; i++) {
		char key[128];

		snprintf(key, sizeof(key), "dev.gvisor.flag.%s", names[i]);
		json_object_array_add(a, json_object_new_string(key));
		if (map)
			jo_str(map, key, "");
	}
	return a;
}

static struct json_object *capabilities(void)
{
	struct json_object *a = json_object_new_array();

	for (unsigned i = 0; cap_name(i); i++)
		json_object_array_add(a, json_object_new_string(cap_name(i)));
	return a;
}

static struct json_object *one_bool(const char *k, bool v)
{
	struct json_object *o = json_object_new_object();

	jo_bool(o, k, v);
	return o;
}

static struct json_object *linux_features(void)
{
	static const char *const namespaces[] = { "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts", NULL };
	static const char *const actions[] = { "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
					       "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP", NULL };
	static const char *const operators[] = { "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
						 "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE", NULL };
	static const char *const archs[] = { "SCMP_ARCH_X86_64", NULL };
	struct json_object *l = json_object_new_object(), *cg = json_object_new_object(), *sec = json_object_new_object();
	struct json_object *ext = json_object_new_object();

	jo_obj(l, "namespaces", strings(namespaces));
	jo_obj(l, "capabilities", capabilities());
	jo_bool(cg, "v1", true);
	jo_bool(cg, "v2", true);
	jo_bool(cg, "systemd", true);
	jo_bool(cg, "systemdUser", false);
	jo_bool(cg, "rdma", false);
	jo_obj(l, "cgroup", cg);
	jo_bool(sec, "enabled", true); /* inside the sandbox, with --oci-seccomp */
	jo_obj(sec, "actions", strings(actions));
	jo_obj(sec, "operators", strings(operators));
	jo_obj(sec, "archs", strings(archs));
	jo_obj(l, "seccomp", sec);
	jo_obj(l, "apparmor", one_bool("enabled", false));
	jo_obj(l, "selinux", one_bool("enabled", false));
	jo_obj(l, "intelRdt", one_bool("enabled", false));
	jo_obj(ext, "idmap", one_bool("enabled", true));
	jo_obj(l, "mountExtensions", ext);
	jo_obj(l, "netDevices", one_bool("enabled", false));
	return l;
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	static const char *const hooks[] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", NULL };
	struct json_object *root = json_object_new_object(), *ann = json_object_new_object();

	jo_str(root, "ociVersionMin", "1.0.0");
	jo_str(root, "ociVersionMax", OCI_VERSION);
	jo_obj(root, "hooks", strings(hooks));
	jo_obj(root, "mountOptions", strings(mount_opt_names()));
	jo_obj(root, "linux", linux_features());
	json_object_put(flag_annotations(false, ann));
	jo_obj(root, "annotations", ann);
	jo_obj(root, "potentiallyUnsafeConfigAnnotations", flag_annotations(true, NULL));
	printf("%s\n", json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
	return 0;
}

const struct cmd cmd_features = {
	.name = "features", .usage = "", .help = "print what this runtime supports", .min_args = 0, .max_args = 0, .run = run,
};
