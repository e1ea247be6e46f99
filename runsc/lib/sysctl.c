/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/sysctl.c - linux.sysctl of a configuration
 *
 * Model:   only settings that belong to a namespace can be a container's own; the rest is refused in runc's words. Names go to the
 *          Sentry as paths below /proc/sys. Whether it has a file of that name only it knows; for one that it lacks it is told whether
 *          Linux has it. A setting of Linux that we lack is left out with a line in the log, as engines set some on every container;
 *          one that nobody knows is an error, as it is with runc.
 * Source:  sysctl(8) for the two ways to write a name, runtime-spec config-linux.md "Sysctl", namespaces(7).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runsc/lib/spec.h"

bool sysctl_path(const char *name, char out[SYSCTL_PATH_SIZE])
{
	size_t n = strlen(name);

	if (!n || n >= SYSCTL_PATH_SIZE)
		return false;
	memcpy(out, name, n + 1);
	/* dots separate, unless a slash came first: then a dot is part of a name (eth0.1) */
	if (strcspn(out, ".") < strcspn(out, "/"))
		for (char *s = out; *s; s++)
			*s = *s == '.' ? '/' : *s == '/' ? '.' : *s;
	for (const char *s = out; *s; s += strcspn(s, "/"), s += *s == '/') {
		n = strcspn(s, "/");
		if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
	}
	return out[strlen(out) - 1] != '/';
}

bool sysctl_of_linux(const char *path)
{
	char file[sizeof("/proc/sys/") + SYSCTL_PATH_SIZE + sizeof("default")];
	const char *name, *leaf;
	int n;

	/* net/ipv4/conf/NAME/...: the container's interfaces are not the host's; "default" has the same files */
	name = strstr(path, "/conf/");
	name = name ? name + 6 : strstr(path, "/neigh/") ? strstr(path, "/neigh/") + 7 : NULL;
	leaf = name ? strchr(name, '/') : NULL;
	if (leaf)
		n = snprintf(file, sizeof(file), "/proc/sys/%.*sdefault%s", (int)(name - path), path, leaf);
	else
		n = snprintf(file, sizeof(file), "/proc/sys/%s", path);
	return n < (int)sizeof(file) && access(file, F_OK) == 0;
}

/* The namespace that a setting belongs to, as in linux.namespaces; NULL when it is the whole machine's. */
static const char *namespace_of(const char *path)
{
	static const struct {
		const char *path, *ns;
	} names[] = {
		{ "kernel/msgmax", "ipc" }, { "kernel/msgmnb", "ipc" }, { "kernel/msgmni", "ipc" }, { "kernel/sem", "ipc" },
		{ "kernel/shmall", "ipc" }, { "kernel/shmmax", "ipc" }, { "kernel/shmmni", "ipc" },
		{ "kernel/shm_rmid_forced", "ipc" }, { "kernel/domainname", "uts" }, { "kernel/hostname", "uts" },
	};

	if (strncmp(path, "net/", 4) == 0)
		return "network";
	if (strncmp(path, "fs/mqueue/", 10) == 0)
		return "ipc";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(path, names[i].path) == 0)
			return names[i].ns;
	return NULL;
}

static int check_one(const struct oci_spec *s, const char *name, struct err *e)
{
	char path[SYSCTL_PATH_SIZE];
	const char *ns = sysctl_path(name, path) ? namespace_of(path) : NULL;

	if (!ns)
		return err_set(e, EINVAL, "sysctl \"%.200s\" is not in a separate kernel namespace", name);
	if (strcmp(path, "kernel/hostname") == 0)
		return err_set(e, EINVAL, "sysctl \"%s\" is not allowed as it conflicts with the OCI \"hostname\" field", name);
	/* without a namespace for it the network is the host's or, with --network=none, our own: what it is is known later */
	if (strcmp(ns, "network") && !spec_namespace(s, ns))
		return err_set(e, EINVAL, "sysctl \"%s\" is not allowed in the host's %s namespace", name, ns);
	return 0;
}

int sysctl_check(const struct oci_spec *s, struct err *e)
{
	const struct jmap *m = &s->linux_.sysctl;

	for (size_t i = 0; i < m->n; i++)
		if (check_one(s, m->v[i].key, e) < 0)
			return -1;
	return 0;
}

int sysctl_check_host_net(const struct oci_spec *s, struct err *e)
{
	const struct jmap *m = &s->linux_.sysctl;
	char path[SYSCTL_PATH_SIZE];

	for (size_t i = 0; i < m->n; i++)
		if (sysctl_path(m->v[i].key, path) && strcmp(namespace_of(path) ? namespace_of(path) : "", "network") == 0)
			return err_set(e, EINVAL, "config.json: sysctl \"%s\" is not allowed in the host's network namespace", m->v[i].key);
	return 0;
}
