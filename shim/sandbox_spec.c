/* SPDX-License-Identifier: Apache-2.0
 * shim/sandbox_spec.c - the OCI configuration of a pod's first container when nobody brings an image
 *
 * Model:   the sandbox needs a first process that lives as long as the pod. It is a program of 160 bytes
 *          that ignores SIGCHLD (so that orphans are reaped for it) and pauses.
 */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "shim/sandbox.h"

/* clang-format off */
const uint8_t pause_elf[] = {
	/* ELF header: 64 bits, little endian, executable, x86-64, entry 0x400078, one program header */
	0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	2, 0, 62, 0, 1, 0, 0, 0, 0x78, 0, 0x40, 0, 0, 0, 0, 0,
	64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	/* PT_LOAD, read and execute: the whole file at 0x400000 */
	1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0,
	0xc0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0,
	0, 0x10, 0, 0, 0, 0, 0, 0,
	/* rt_sigaction(SIGCHLD, &act, NULL, 8) */
	0xb8, 13, 0, 0, 0,		/* mov $13, %eax */
	0xbf, 17, 0, 0, 0,		/* mov $17, %edi */
	0x48, 0x8d, 0x35, 0x17, 0, 0, 0, /* lea act(%rip), %rsi */
	0x31, 0xd2,			/* xor %edx, %edx */
	0x41, 0xba, 8, 0, 0, 0,		/* mov $8, %r10d */
	0x0f, 0x05,			/* syscall */
	/* for (;;) pause() */
	0xb8, 34, 0, 0, 0,		/* 1: mov $34, %eax */
	0x0f, 0x05,			/* syscall */
	0xeb, 0xf7,			/* jmp 1b */
	0, 0, 0, 0,
	/* act: { SIG_IGN, 0, NULL, 0 } */
	1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};
/* clang-format on */
const size_t pause_elf_len = sizeof(pause_elf);
_Static_assert(sizeof(pause_elf) == 0xc0, "p_filesz");

static const struct {
	const char *dst, *type, *opts[6];
} mounts[] = {
	{ "/proc", "proc", { "nosuid", "noexec", "nodev" } },
	{ "/sys", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
	{ "/dev", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
};

static struct json_object *strings(const char *const *v, size_t n)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < n && v[i]; i++)
		json_object_array_add(a, json_object_new_string(v[i]));
	return a;
}

static void add_str(struct json_object *o, const char *k, const char *v)
{
	json_object_object_add(o, k, json_object_new_string(v));
}

static struct json_object *process(void)
{
	static const char *const args[] = { "/pause" }, *const env[] = { "PATH=/" };
	struct json_object *p = json_object_new_object(), *user = json_object_new_object();

	json_object_object_add(user, "uid", json_object_new_int(65535));
	json_object_object_add(user, "gid", json_object_new_int(65535));
	json_object_object_add(p, "user", user);
	json_object_object_add(p, "args", strings(args, 1));
	json_object_object_add(p, "env", strings(env, 1));
	add_str(p, "cwd", "/");
	json_object_object_add(p, "noNewPrivileges", json_object_new_boolean(true));
	return p;
}

static struct json_object *linux_part(const char *netns, const char *cgroups_path)
{
	static const char *const kinds[] = { "pid", "ipc", "uts", "mount" };
	struct json_object *l = json_object_new_object(), *ns = json_object_new_array(), *n;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		n = json_object_new_object();
		add_str(n, "type", kinds[i]);
		json_object_array_add(ns, n);
	}
	if (netns[0]) {
		n = json_object_new_object();
		add_str(n, "type", "network");
		add_str(n, "path", netns);
		json_object_array_add(ns, n);
	}
	json_object_object_add(l, "namespaces", ns);
	if (cgroups_path[0])
		add_str(l, "cgroupsPath", cgroups_path);
	return l;
}

char *sandbox_spec_json(const char *id, const char *netns, const char *hostname, const char *cgroups_path,
			const char *const *ann, size_t nr_ann, struct err *e)
{
	struct json_object *o = json_object_new_object(), *root = json_object_new_object(),
			   *list = json_object_new_array(), *a = json_object_new_object();
	char *out;

	add_str(o, "ociVersion", "1.0.2");
	json_object_object_add(o, "process", process());
	add_str(root, "path", PAUSE_ROOT);
	json_object_object_add(root, "readonly", json_object_new_boolean(true));
	json_object_object_add(o, "root", root);
	if (hostname[0])
		add_str(o, "hostname", hostname);
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		struct json_object *m = json_object_new_object();

		add_str(m, "destination", mounts[i].dst);
		add_str(m, "type", mounts[i].type);
		add_str(m, "source", mounts[i].type);
		json_object_object_add(m, "options", strings(mounts[i].opts, ARRAY_SIZE(mounts[i].opts)));
		json_object_array_add(list, m);
	}
	json_object_object_add(o, "mounts", list);
	for (size_t i = 0; i < nr_ann; i++)
		add_str(a, ann[2 * i], ann[2 * i + 1]);
	add_str(a, "io.kubernetes.cri.container-type", "sandbox");
	add_str(a, "io.kubernetes.cri.sandbox-id", id);
	json_object_object_add(o, "annotations", a);
	json_object_object_add(o, "linux", linux_part(netns, cgroups_path));
	out = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	if (!out)
		err_set(e, ENOMEM, "out of memory");
	return out;
}
