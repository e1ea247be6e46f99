/* SPDX-License-Identifier: Apache-2.0
 * shim/mounts.c - see mounts.h
 *
 * Model:   mount(2) in the shim's own mount namespace, which is containerd's. An overlay with many layers
 *          can have options longer than the one page that mount(2) takes: then the layers' common
 *          directory is made the current one of a short-lived thread and left out of every name.
 *          uidmap= and gidmap=, of pods with user namespaces, are containerd's own options.
 * Source:  mount(8) for option names, mount(2), move_mount(2), mount_setattr(2).
 */
#include "shim/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fdpass.h"
#include "runsc/lib/idmap.h"

#define STACK_MAX 64 /* mounts on one target that are undone */
#define DATA_MAX  (4096 - 1)

static const struct {
	const char *name;
	bool clear;
	unsigned long flag;
} flags[] = {
	{ "async", true, MS_SYNCHRONOUS },  { "atime", true, MS_NOATIME },
	{ "bind", false, MS_BIND },	    { "defaults", false, 0 },
	{ "dev", true, MS_NODEV },	    { "diratime", true, MS_NODIRATIME },
	{ "dirsync", false, MS_DIRSYNC },   { "exec", true, MS_NOEXEC },
	{ "mand", false, MS_MANDLOCK },	    { "noatime", false, MS_NOATIME },
	{ "nodev", false, MS_NODEV },	    { "nodiratime", false, MS_NODIRATIME },
	{ "noexec", false, MS_NOEXEC },	    { "nomand", true, MS_MANDLOCK },
	{ "norelatime", true, MS_RELATIME }, { "nostrictatime", true, MS_STRICTATIME },
	{ "nosuid", false, MS_NOSUID },	    { "rbind", false, MS_BIND | MS_REC },
	{ "relatime", false, MS_RELATIME }, { "remount", false, MS_REMOUNT },
	{ "ro", false, MS_RDONLY },	    { "rw", true, MS_RDONLY },
	{ "strictatime", false, MS_STRICTATIME }, { "suid", true, MS_NOSUID },
	{ "sync", false, MS_SYNCHRONOUS },
};

struct plan {
	unsigned long flags;
	struct buf data;
	const char *lowerdir; /* borrowed; "" when none */
	char *uid_map, *gid_map; /* texts for /proc/PID/uid_map; NULL: owners as on disk */
};

static void plan_fini(struct plan *p)
{
	buf_fini(&p->data);
	free(p->uid_map);
	free(p->gid_map);
}

/* "0:100000:65536,.." as lines of uid_map; NULL with ENOMEM. Nonsense is left for the kernel to refuse. */
static char *map_lines(const char *option)
{
	char *out = NULL;

	if (asprintf(&out, "%s\n", option) < 0)
		return NULL;
	for (char *c = out; *c; c++)
		*c = *c == ':' ? ' ' : *c == ',' ? '\n' : *c;
	return out;
}

static void add_data(struct plan *p, const char *opt)
{
	buf_printf(&p->data, "%s%s", p->data.len ? "," : "", opt);
}

static int plan_options(struct plan *p, const Ctypes__Mount *m, struct err *e)
{
	p->lowerdir = "";
	for (size_t i = 0; i < m->n_options; i++) {
		const char *o = m->options[i];
		size_t k;

		for (k = 0; k < ARRAY_SIZE(flags) && strcmp(flags[k].name, o); k++)
			;
		if (k < ARRAY_SIZE(flags)) {
			if (flags[k].clear)
				p->flags &= ~flags[k].flag;
			else
				p->flags |= flags[k].flag;
			continue;
		}
		if (!strncmp(o, "uidmap=", 7) || !strncmp(o, "gidmap=", 7)) {
			char **slot = o[0] == 'u' ? &p->uid_map : &p->gid_map;

			free(*slot);
			*slot = map_lines(o + 7);
			if (!*slot)
				return err_set(e, ENOMEM, "out of memory");
			continue;
		}
		if (!strncmp(o, "X-", 2) || !strncmp(o, "x-", 2))
			continue; /* for tools in user space */
		if (!strcmp(m->type, "overlay") && !strncmp(o, "lowerdir=", 9))
			p->lowerdir = o + 9;
		else
			add_data(p, o);
	}
	if (!p->uid_map != !p->gid_map)
		return err_set(e, EINVAL, "mount %s: uidmap and gidmap go together", m->source);
	return p->data.failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

/* ---- overlays whose options do not fit ---- */

struct chdir_mount {
	const char *dir;
	const Ctypes__Mount *m;
	const char *target, *data;
	unsigned long flags;
	int err;
};

static void *mount_from_dir(void *arg)
{
	struct chdir_mount *c = arg;

	if (unshare(CLONE_FS) < 0 || chdir(c->dir) < 0 ||
	    mount(c->m->source, c->target, c->m->type, c->flags, c->data) < 0)
		c->err = errno;
	return NULL;
}

/* Length of the directory (with its slash) that all of a:b:c begin with; 0 if there is none. */
static size_t common_dir(const char *list)
{
	size_t n = (size_t)(strchrnul(list, ':') - list);

	if (list[0] != '/')
		return 0;
	for (const char *p = list; *p;) {
		size_t k = 0;

		while (k < n && p[k] == list[k])
			k++;
		n = k;
		p = strchrnul(p, ':');
		if (*p)
			p++;
	}
	while (n && list[n - 1] != '/')
		n--;
	return n > 1 ? n : 0;
}

static int mount_compact(const struct plan *p, const Ctypes__Mount *m, const char *target, struct err *e)
{
	size_t pre = common_dir(p->lowerdir);
	AUTO_FREE char *dir = strndup(p->lowerdir, pre);
	struct chdir_mount c = { .dir = dir, .m = m, .target = target, .flags = p->flags };
	struct buf data = { 0 };
	pthread_t t;
	int ret = 0;

	buf_printf(&data, "%s%slowerdir=", p->data.len ? p->data.data : "", p->data.len ? "," : "");
	for (const char *l = p->lowerdir; *l;) {
		const char *end = strchrnul(l, ':');

		buf_printf(&data, "%.*s%s", (int)(end - l - (ssize_t)pre), l + pre, *end ? ":" : "");
		l = *end ? end + 1 : end;
	}
	if (!dir || data.failed)
		ret = err_set(e, ENOMEM, "out of memory");
	else if (!pre || data.len > DATA_MAX)
		ret = err_set(e, E2BIG, "overlay has too many layers for mount(2)");
	c.data = data.data;
	if (ret == 0) {
		ret = pthread_create(&t, NULL, mount_from_dir, &c);
		if (ret)
			ret = err_set(e, ret, "thread for mount: %s", strerror(ret));
		else
			pthread_join(t, NULL);
	}
	if (ret == 0 && c.err) {
		errno = c.err;
		ret = err_sys(e, "mount overlay on %s", target);
	}
	buf_fini(&data);
	return ret;
}

static int mount_plain(struct plan *p, const Ctypes__Mount *m, const char *target, struct err *e)
{
	unsigned long again = MS_BIND | MS_REMOUNT;

	if (p->lowerdir[0]) {
		if (p->data.len + strlen(p->lowerdir) + 10 > DATA_MAX)
			return mount_compact(p, m, target, e);
		buf_printf(&p->data, "%slowerdir=%s", p->data.len ? "," : "", p->lowerdir);
		if (p->data.failed)
			return err_set(e, ENOMEM, "out of memory");
	}
	if (mount(m->source, target, m->type, p->flags, p->data.len ? p->data.data : NULL) < 0)
		return err_sys(e, "mount %s (%s) on %s", m->source, m->type, target);
	/* a bind takes over its source's flags: others want a remount */
	if ((p->flags & MS_BIND) && (p->flags & ~(MS_BIND | MS_REC)) &&
	    mount(NULL, target, NULL, p->flags | again, NULL) < 0) {
		err_sys(e, "remount %s", target);
		umount2(target, MNT_DETACH);
		return -1;
	}
	return 0;
}

/* ---- mounts with other owners ---- */

/* An overlay cannot have its owners mapped, its layers can: each goes to a directory DIR/N, DIR being new beside @target. */
struct mapped_layers {
	char *dir;
	unsigned nr;
	struct buf list; /* for lowerdir= */
};

static void mapped_layers_fini(struct mapped_layers *l)
{
	struct buf path = { 0 };

	/* the overlay has mounts of its own on the layers by now */
	for (unsigned i = 0; l->dir && i < l->nr; i++) {
		path.len = 0;
		buf_printf(&path, "%s/%u", l->dir, i);
		if (path.failed)
			break;
		umount2(path.data, MNT_DETACH | UMOUNT_NOFOLLOW);
		rmdir(path.data);
	}
	if (l->dir)
		rmdir(l->dir);
	buf_fini(&path);
	buf_fini(&l->list);
	free(l->dir);
}

static int map_layer(struct mapped_layers *l, const char *layer, int userns, struct err *e)
{
	AUTO_CLOSE int tree = idmap_tree(layer, false, false, userns, e);
	AUTO_FREE char *at = NULL;

	if (tree < 0)
		return -1;
	if (asprintf(&at, "%s/%u", l->dir, l->nr) < 0) {
		at = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	if (mkdir(at, 0700) < 0)
		return err_sys(e, "make %s", at);
	l->nr++;
	if (move_mount(tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, "mount %s on %s", layer, at);
	buf_printf(&l->list, "%s%s", l->list.len ? ":" : "", at);
	return l->list.failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

static int mount_mapped_overlay(struct plan *p, const Ctypes__Mount *m, const char *target, int userns, struct err *e)
{
	struct mapped_layers l = { 0 };
	int ret = 0;

	if (asprintf(&l.dir, "%s-idmap.XXXXXX", target) < 0) {
		l.dir = NULL;
		ret = err_set(e, ENOMEM, "out of memory");
	} else if (!mkdtemp(l.dir)) {
		ret = err_sys(e, "make %s", l.dir);
		free(l.dir);
		l.dir = NULL;
	}
	for (const char *s = p->lowerdir; ret == 0 && *s;) {
		const char *end = strchrnul(s, ':');
		AUTO_FREE char *layer = strndup(s, (size_t)(end - s));

		ret = layer ? map_layer(&l, layer, userns, e) : err_set(e, ENOMEM, "out of memory");
		s = *end ? end + 1 : end;
	}
	if (ret == 0) {
		p->lowerdir = l.list.data;
		ret = mount_plain(p, m, target, e);
	}
	mapped_layers_fini(&l);
	return ret;
}

/* Puts a copy with mapped owners in place of what is mounted on @target. */
static int map_mounted(const struct plan *p, const char *target, int userns, struct err *e)
{
	bool rec = p->flags & MS_REC;
	AUTO_CLOSE int tree = idmap_tree(target, rec, rec, userns, e);

	if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return tree < 0 ? -1 : err_sys(e, "unmount %s", target);
	if (tree >= 0 && move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, "mount on %s", target);
	return tree < 0 ? -1 : 0;
}

static int mount_mapped(struct plan *p, const Ctypes__Mount *m, const char *target, struct err *e)
{
	AUTO_CLOSE int userns = idmap_userns(p->uid_map, p->gid_map, e);

	if (userns < 0)
		return err_wrap(e, "mount %s", m->source);
	if (p->lowerdir[0])
		return mount_mapped_overlay(p, m, target, userns, e);
	return mount_plain(p, m, target, e) < 0 ? -1 : map_mounted(p, target, userns, e);
}

static int mount_one(const Ctypes__Mount *m, const char *target, struct err *e)
{
	struct plan p = { 0 };
	int ret = plan_options(&p, m, e);

	if (ret == 0)
		ret = p.uid_map ? mount_mapped(&p, m, target, e) : mount_plain(&p, m, target, e);
	plan_fini(&p);
	return ret;
}

int rootfs_mount(Ctypes__Mount *const *m, size_t n, const char *target, struct err *e)
{
	if (n && mkdir(target, 0711) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", target);
	for (size_t i = 0; i < n; i++) {
		struct buf to = { 0 };
		int ret;

		buf_printf(&to, "%s%s%s", target, m[i]->target[0] ? "/" : "", m[i]->target);
		/* the rootfs is containerd's, its mount points may not lead out of it */
		if (to.failed || strstr(m[i]->target, ".."))
			ret = err_set(e, EINVAL, "bad mount target %s", m[i]->target);
		else
			ret = mount_one(m[i], to.data, e);
		buf_fini(&to);
		if (ret < 0) {
			rootfs_unmount(target, NULL);
			return -1;
		}
	}
	return 0;
}

int rootfs_unmount(const char *target, struct err *e)
{
	for (int i = 0; i < STACK_MAX; i++) {
		if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			continue;
		if (errno == EINVAL || errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_sys(e, "unmount %s", target);
	}
	return 0;
}
