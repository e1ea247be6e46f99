/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/mounts.c - mount options of the OCI configuration, as a table
 *
 * Source:  mount(8), runtime-spec config.md "Linux mount options".
 */
#include <errno.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "base/log.h"
#include "runsc/lib/spec.h"

#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1u << 25)
#endif

enum opt_kind { OPT_SET, OPT_CLEAR, OPT_PROPAGATION, OPT_BIND, OPT_COPY_UP, OPT_IDMAP, OPT_IGNORED };

/* Recursive attributes (rro, rnosuid, ...) apply to the whole tree that we serve anyway: one mount inside. */
static const struct mount_opt {
	const char *name;
	enum opt_kind kind;
	uint64_t flag;
} mount_opts[] = {
	{ "defaults", OPT_IGNORED, 0 },	     { "bind", OPT_BIND, 0 },
	{ "rbind", OPT_BIND, MS_REC },	     { "ro", OPT_SET, MS_RDONLY },
	{ "rw", OPT_CLEAR, MS_RDONLY },	     { "rro", OPT_SET, MS_RDONLY },
	{ "rrw", OPT_CLEAR, MS_RDONLY },     { "suid", OPT_CLEAR, MS_NOSUID },
	{ "nosuid", OPT_SET, MS_NOSUID },    { "rsuid", OPT_CLEAR, MS_NOSUID },
	{ "rnosuid", OPT_SET, MS_NOSUID },   { "dev", OPT_CLEAR, MS_NODEV },
	{ "nodev", OPT_SET, MS_NODEV },	     { "rdev", OPT_CLEAR, MS_NODEV },
	{ "rnodev", OPT_SET, MS_NODEV },     { "exec", OPT_CLEAR, MS_NOEXEC },
	{ "noexec", OPT_SET, MS_NOEXEC },    { "rexec", OPT_CLEAR, MS_NOEXEC },
	{ "rnoexec", OPT_SET, MS_NOEXEC },   { "sync", OPT_SET, MS_SYNCHRONOUS },
	{ "async", OPT_CLEAR, MS_SYNCHRONOUS }, { "dirsync", OPT_SET, MS_DIRSYNC },
	{ "atime", OPT_CLEAR, MS_NOATIME },  { "noatime", OPT_SET, MS_NOATIME },
	{ "ratime", OPT_CLEAR, MS_NOATIME }, { "rnoatime", OPT_SET, MS_NOATIME },
	{ "diratime", OPT_CLEAR, MS_NODIRATIME }, { "nodiratime", OPT_SET, MS_NODIRATIME },
	{ "rdiratime", OPT_CLEAR, MS_NODIRATIME }, { "rnodiratime", OPT_SET, MS_NODIRATIME },
	{ "relatime", OPT_SET, MS_RELATIME }, { "norelatime", OPT_CLEAR, MS_RELATIME },
	{ "rrelatime", OPT_SET, MS_RELATIME }, { "rnorelatime", OPT_CLEAR, MS_RELATIME },
	{ "strictatime", OPT_SET, MS_STRICTATIME }, { "nostrictatime", OPT_CLEAR, MS_STRICTATIME },
	{ "rstrictatime", OPT_SET, MS_STRICTATIME }, { "rnostrictatime", OPT_CLEAR, MS_STRICTATIME },
	{ "lazytime", OPT_SET, MS_LAZYTIME }, { "nolazytime", OPT_CLEAR, MS_LAZYTIME },
	{ "mand", OPT_IGNORED, 0 },	     { "nomand", OPT_IGNORED, 0 },
	{ "iversion", OPT_IGNORED, 0 },	     { "noiversion", OPT_IGNORED, 0 },
	{ "loud", OPT_IGNORED, 0 },	     { "silent", OPT_IGNORED, 0 },
	{ "private", OPT_PROPAGATION, MS_PRIVATE }, { "rprivate", OPT_PROPAGATION, MS_PRIVATE | MS_REC },
	{ "slave", OPT_PROPAGATION, MS_SLAVE }, { "rslave", OPT_PROPAGATION, MS_SLAVE | MS_REC },
	{ "unbindable", OPT_PROPAGATION, MS_UNBINDABLE },
	{ "runbindable", OPT_PROPAGATION, MS_UNBINDABLE | MS_REC },
	{ "shared", OPT_PROPAGATION, MS_SHARED }, { "rshared", OPT_PROPAGATION, MS_SHARED | MS_REC },
	{ "tmpcopyup", OPT_COPY_UP, 0 },
	{ "idmap", OPT_IDMAP, 0 },	     { "ridmap", OPT_IDMAP, MS_REC },
};

static const char *const sentry_types[] = { "tmpfs",  "proc",	 "sysfs",    "devpts",	 "mqueue",
					    "cgroup", "cgroup2", "devtmpfs", "ramfs" };

bool mount_type_in_sentry(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(sentry_types); i++)
		if (strcmp(type, sentry_types[i]) == 0)
			return true;
	return false;
}

const char *const *mount_opt_names(void)
{
	static const char *names[ARRAY_SIZE(mount_opts) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(mount_opts); i++)
		names[i] = mount_opts[i].name;
	return names;
}

static const struct mount_opt *opt_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(mount_opts); i++)
		if (strcmp(mount_opts[i].name, name) == 0)
			return &mount_opts[i];
	return NULL;
}

int mount_opts_parse(const struct oci_mount *m, struct mount_opts *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	out->bind = m->type && strcmp(m->type, "bind") == 0;
	out->idmap = m->uid_maps.n || m->gid_maps.n;
	out->data = calloc(m->options.n + 1, sizeof(*out->data));
	if (!out->data)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < m->options.n; i++) {
		const struct mount_opt *o = opt_find(m->options.v[i]);

		if (!o) {
			out->data[out->nr_data++] = m->options.v[i];
			continue;
		}
		switch (o->kind) {
		case OPT_SET: out->flags |= o->flag; break;
		case OPT_CLEAR: out->flags &= ~o->flag; break;
		case OPT_PROPAGATION: out->propagation = o->flag; break;
		case OPT_BIND:
			out->bind = true;
			out->flags |= o->flag;
			break;
		case OPT_COPY_UP: out->copy_up = true; break;
		case OPT_IDMAP:
			out->idmap = true;
			out->rec_idmap |= o->flag == MS_REC;
			break;
		case OPT_IGNORED: break;
		}
	}
	if (!(out->propagation & MS_SHARED))
		return 0;
	mount_opts_fini(out);
	return err_set(e, EINVAL, "propagation \"shared\" is not supported: the sandbox mounts nothing on the host");
}

void mount_opts_fini(struct mount_opts *o)
{
	free(o->data);
	o->data = NULL;
}

char *path_clean(const char *path)
{
	size_t n = strlen(path), len = 0;
	char *out = malloc(n + 2);

	if (!out)
		return NULL;
	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 2 && path[0] == '.' && path[1] == '.') {
			while (len && out[--len] != '/')
				;
		} else if (part && !(part == 1 && path[0] == '.')) {
			out[len++] = '/';
			memcpy(out + len, path, part);
			len += part;
		}
		path += part;
		path += *path == '/';
	}
	if (!len)
		out[len++] = '/';
	out[len] = '\0';
	return out;
}
