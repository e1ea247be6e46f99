/* SPDX-License-Identifier: Apache-2.0
 * runsc/spec_template.c - see spec_template.h
 */
#include "runsc/spec_template.h"

#include <stdio.h>
#include <string.h>

#include "runsc/lib/spec.h"

static const struct {
	const char *destination, *type, *source, *options[8];
} mounts[] = {
	{ "/proc", "proc", "proc", { NULL } },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
	{ "/dev/pts", "devpts", "devpts", { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620" } },
	{ "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
};

static const char *const caps[] = { "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", NULL };

static struct json_object *process_json(const struct spec_template *t)
{
	static const char *const plain_env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
						 "TERM=xterm", NULL };
	static const char *const sets[] = { "bounding", "effective", "permitted" };
	struct json_object *p = json_object_new_object(), *user = json_object_new_object();
	struct json_object *c = json_object_new_object(), *limits = json_object_new_array(), *nofile = json_object_new_object();

	jo_bool(p, "terminal", t->terminal);
	jo_int(user, "uid", 0);
	jo_int(user, "gid", 0);
	jo_obj(p, "user", user);
	jo_obj(p, "args", ja_strings((const char *const *)t->argv));
	jo_obj(p, "env", ja_strings(t->env ? (const char *const *)t->env : plain_env));
	jo_str(p, "cwd", t->cwd ? t->cwd : "/");
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		jo_obj(c, sets[i], ja_strings(caps));
	jo_obj(p, "capabilities", c);
	jo_str(nofile, "type", "RLIMIT_NOFILE");
	jo_int(nofile, "hard", 1024);
	jo_int(nofile, "soft", 1024);
	json_object_array_add(limits, nofile);
	jo_obj(p, "rlimits", limits);
	jo_bool(p, "noNewPrivileges", true);
	return p;
}

static struct json_object *mount_json(const char *destination, const char *type, const char *source,
				      const char *const *options)
{
	struct json_object *m = json_object_new_object();

	jo_str(m, "destination", destination);
	jo_str(m, "type", type);
	jo_str(m, "source", source);
	if (options && *options)
		jo_obj(m, "options", ja_strings(options));
	return m;
}

/* "source:destination[:ro]" */
static struct json_object *bind_json(const char *text)
{
	const char *ro[] = { "rbind", "ro", NULL }, *rw[] = { "rbind", "rw", NULL };
	AUTO_FREE char *copy = strdup(text);
	char *dst = copy ? strchr(copy, ':') : NULL, *mode;

	if (!dst)
		return NULL;
	*dst++ = '\0';
	mode = strchr(dst, ':');
	if (mode)
		*mode++ = '\0';
	if (mode && strcmp(mode, "ro") && strcmp(mode, "rw"))
		return NULL;
	return mount_json(dst, "bind", copy, mode && strcmp(mode, "ro") == 0 ? ro : rw);
}

static struct json_object *linux_json(const struct spec_template *t)
{
	static const char *const kinds[] = { "pid", "network", "ipc", "uts", "mount" };
	static const char *const masked[] = { "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
					      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
					      "/sys/firmware", "/proc/scsi", NULL };
	static const char *const readonly[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
						NULL };
	struct json_object *l = json_object_new_object(), *ns = json_object_new_array();

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct json_object *one = json_object_new_object();

		jo_str(one, "type", kinds[i]);
		if (strcmp(kinds[i], "network") == 0)
			jo_str(one, "path", t->netns);
		json_object_array_add(ns, one);
	}
	jo_obj(l, "namespaces", ns);
	jo_obj(l, "maskedPaths", ja_strings(masked));
	jo_obj(l, "readonlyPaths", ja_strings(readonly));
	return l;
}

char *spec_template_text(const struct spec_template *t)
{
	struct json_object *s = json_object_new_object(), *root = json_object_new_object(), *m = json_object_new_array();
	char *text = NULL;
	bool bad = false;

	jo_str(s, "ociVersion", "1.0.2");
	jo_obj(s, "process", process_json(t));
	jo_str(root, "path", t->rootfs);
	jo_bool(root, "readonly", t->root_readonly);
	jo_obj(s, "root", root);
	jo_str(s, "hostname", "runsc");
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		json_object_array_add(m, mount_json(mounts[i].destination, mounts[i].type, mounts[i].source, mounts[i].options));
	for (const char *const *b = t->binds; b && *b; b++) {
		struct json_object *bind = bind_json(*b);

		bad |= !bind;
		if (bind)
			json_object_array_add(m, bind);
	}
	jo_obj(s, "mounts", m);
	jo_obj(s, "linux", linux_json(t));
	if (!bad && asprintf(&text, "%s\n",
			     json_object_to_json_string_ext(s, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
								  JSON_C_TO_STRING_NOSLASHESCAPE)) < 0)
		text = NULL;
	json_object_put(s);
	return text;
}
