/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/rootfs.c - a container's mount namespace: root, mounts, devices, masked and read-only paths
 *
 * Model:   the root is the gofer's tree, with a tmpfs over it if writes shall stay inside. Mounts are made in the order of the
 *          request with the same functions that mount(2) uses; all paths are resolved inside the new root, so a link in the image
 *          leads nowhere else.
 * Source:  runtime-spec config.md "Mounts", config-linux.md "Default Devices", "Masked Paths", "Readonly Paths".
 */
#include <stdio.h>
#include <string.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/fs/fs.h"
#include "sentry/vfs/mount.h"

typedef Runsc__Control__V1__CreateContainerRequest create_request;
typedef Runsc__Control__V1__Mount mount_msg;

/* What all steps need. */
struct builder {
	const create_request *q;
	struct gofer_link *gofer;	/* reference; NULL: no files from the host */
	const struct ns_set *ns;	/* borrowed */
	struct vfs_ctx ctx;
	struct err *e;
};

static long fail(struct builder *b, long ret, const char *what, const char *path)
{
	err_set(b->e, (int)-ret, "%s %s: %s", what, path, strerror((int)-ret));
	return ret;
}

static long get_sb(const char *type, const char *source, const char *options, uint32_t flags, void *arg, struct super_block **out)
{
	struct fs_mount_args a = { .source = source, .options = options, .sb_flags = flags, .user_ns = &init_user_ns, .kernel_arg = arg };
	struct fs_type *t = fs_find(type);
	struct cred *root = cred_new_root();
	long ret = -LINUX_ENODEV;

	if (!root)
		return -LINUX_ENOMEM;
	a.cred = root;
	if (t)
		ret = t->get_sb(t, &a, out);
	cred_put(root);
	return ret;
}

/* ---- the root ------------------------------------------------------------------------------------------ */

static long gofer_sb(struct builder *b, uint32_t attach, const char *source, bool exclusive, bool readonly, struct super_block **out)
{
	char aname[12];
	struct gofer_mount gm = { .link = b->gofer, .aname = aname, .source = source, .exclusive = exclusive,
				  .sb_flags = readonly ? LINUX_MS_RDONLY : 0 };

	if (!b->gofer)
		return -LINUX_ENODEV;
	snprintf(aname, sizeof(aname), "%u", attach);
	return gofer_mount(&gm, out);
}

/* A writable tmpfs over @lower, whose reference is consumed in every case. */
static long overlay_sb(struct builder *b, struct super_block *lower, uint64_t max_bytes, struct super_block **out)
{
	struct super_block *upper = NULL;
	char size[40] = "";
	long ret;

	if (max_bytes)
		snprintf(size, sizeof(size), "size=%llu", (unsigned long long)max_bytes);
	ret = get_sb("tmpfs", "none", size, 0, NULL, &upper);
	if (!ret) {
		struct overlay_layers l = { .lower = lower, .upper = upper };

		ret = get_sb("overlay", "overlay", "", 0, &l, out);
	}
	if (upper)
		sb_put(upper);
	sb_put(lower);
	return ret;
}

static long make_root(struct builder *b, struct super_block **out)
{
	const create_request *q = b->q;
	bool overlay = q->root_overlay != RUNSC__CONTROL__V1__ROOT_OVERLAY__OVERLAY_NONE;
	struct super_block *lower;
	long ret = gofer_sb(b, 0, "none", q->root_exclusive || overlay, overlay || q->root_readonly, &lower);

	if (ret)
		return fail(b, ret, "root file system", "");
	if (!overlay) {
		*out = lower;
		return 0;
	}
	ret = overlay_sb(b, lower, q->root_overlay_max_bytes, out);
	return ret ? fail(b, ret, "overlay over the root file system", "") : 0;
}

/* ---- mount points ------------------------------------------------------------------------------------------ */

/* Makes the directories above the last name of @path, as far as they are missing. */
static long make_parents(struct builder *b, const char *path)
{
	char buf[PATH_MAX_BYTES];
	long ret;

	if (strlen(path) >= sizeof(buf))
		return -LINUX_ENAMETOOLONG;
	strcpy(buf, path);
	for (char *s = buf + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		ret = vfs_mkdir(&b->ctx, LINUX_AT_FDCWD, buf, 0755);
		*s = '/';
		if (ret && ret != -LINUX_EEXIST)
			return ret;
	}
	return 0;
}

/* Makes what make_parents() makes, and a file or directory at the end of @path. */
static long make_point(struct builder *b, const char *path, bool file)
{
	struct path p;
	struct file *f;
	long ret;

	if (!vfs_lookup(&b->ctx, LINUX_AT_FDCWD, path, WALK_FOLLOW, &p)) {
		path_put(&p);
		return 0;
	}
	ret = make_parents(b, path);
	if (ret)
		return ret;
	if (!file) {
		ret = vfs_mkdir(&b->ctx, LINUX_AT_FDCWD, path, 0755);
		return ret == -LINUX_EEXIST ? 0 : ret;
	}
	ret = vfs_open(&b->ctx, LINUX_AT_FDCWD, path, LINUX_O_CREAT | LINUX_O_RDONLY, 0644, WALK_FOLLOW, &f);
	if (!ret)
		file_put(f);
	return ret;
}

/* "a,b,c" of the request's option list, owned by the caller. */
static char *join_options(const mount_msg *m)
{
	struct buf o = { 0 };

	for (size_t i = 0; i < m->n_options; i++)
		buf_printf(&o, "%s%s", i ? "," : "", m->options[i]);
	if (o.failed) {
		buf_fini(&o);
		return NULL;
	}
	return o.data ? o.data : strdup("");
}

static long mount_gofer(struct builder *b, const mount_msg *m, const struct path *at)
{
	bool ro = m->flags & LINUX_MS_RDONLY;
	struct super_block *sb;
	long ret = gofer_sb(b, m->attach, m->source, m->exclusive, ro || m->overlay, &sb);

	if (ret)
		return ret;
	if (m->overlay) {
		ret = overlay_sb(b, sb, 0, &sb);
		if (ret)
			return ret;
	}
	return vfs_mount_sb(b->ctx.mnt_ns, at, sb, NULL, (uint32_t)m->flags & ~(LINUX_MS_REC | LINUX_MS_BIND));
}

/* The namespace that a file system shows, for those that would ask the caller: no process of the container runs yet. */
static void *shown_ns(struct builder *b, const char *type)
{
	if (!strcmp(type, "proc"))
		return b->ns->pid;
	if (!strcmp(type, "mqueue"))
		return b->ns->ipc;
	return strcmp(type, "cgroup2") ? NULL : b->ns->cgroup;
}

/* ---- file systems that several containers of the pod mount ---- */

struct shared_sb {
	struct shared_sb *next;
	struct super_block *sb; /* reference, for the life of the sandbox: a pod's volumes live as long as it does */
	char key[];
};

static struct mutex shared_mu = MUTEX_INIT;
static struct shared_sb *shared_sbs; /* guarded by shared_mu; only grows */

/* A reference to the one of @key, or NULL. */
static struct super_block *shared_find(const char *key)
{
	struct super_block *sb = NULL;

	mutex_lock(&shared_mu);
	for (struct shared_sb *s = shared_sbs; s && !sb; s = s->next)
		if (!strcmp(s->key, key))
			sb = sb_get(s->sb);
	mutex_unlock(&shared_mu);
	return sb;
}

/* Makes *@sb known as @key, or swaps it for the one that another container was faster to make. */
static long shared_add(const char *key, struct super_block **sb)
{
	struct shared_sb *s = malloc(sizeof(*s) + strlen(key) + 1), *other;

	if (!s)
		return -LINUX_ENOMEM;
	strcpy(s->key, key);
	mutex_lock(&shared_mu);
	for (other = shared_sbs; other && strcmp(other->key, key); other = other->next)
		;
	if (!other) {
		s->sb = sb_get(*sb);
		s->next = shared_sbs;
		shared_sbs = s;
		mutex_unlock(&shared_mu);
		return 0;
	}
	sb_put(*sb);
	*sb = sb_get(other->sb);
	mutex_unlock(&shared_mu);
	free(s);
	return 0;
}

static long mount_shared(struct builder *b, const mount_msg *m, const struct path *at, const char *opts, uint32_t flags)
{
	struct super_block *sb = shared_find(m->share_key);
	long ret = 0;

	if (!sb) {
		ret = get_sb(m->type, m->source, opts, 0, NULL, &sb);
		if (ret)
			return ret;
		ret = shared_add(m->share_key, &sb);
	}
	if (ret) {
		sb_put(sb);
		return ret;
	}
	return vfs_mount_sb(b->ctx.mnt_ns, at, sb, NULL, flags & ~LINUX_MS_BIND);
}

/* In memory: written to until everything that belongs below it is there, whatever its options say. */
static bool protected_late(const mount_msg *m)
{
	return (m->flags & LINUX_MS_RDONLY) && (!strcmp(m->type, "tmpfs") || !strcmp(m->type, "devtmpfs"));
}

/* Mounts of file systems that live here. */
static long mount_kernel(struct builder *b, const mount_msg *m, const struct path *at)
{
	uint32_t flags = (uint32_t)m->flags & ~(LINUX_MS_REC | (protected_late(m) ? LINUX_MS_RDONLY : 0u));
	char *opts = join_options(m);
	const char *type = strcmp(m->type, "cgroup") ? m->type : "cgroup2"; /* there is one version of them here */
	struct fs_mount_args a = { .kernel_arg = shown_ns(b, type) };
	struct super_block *sb;
	struct dentry *root;
	long ret;

	if (!opts)
		return -LINUX_ENOMEM;
	if (m->share_key[0]) {
		ret = mount_shared(b, m, at, opts, flags);
	} else if (!a.kernel_arg) {
		ret = mount_new(&b->ctx, at, type, m->source, opts, flags);
	} else {
		ret = get_sb(type, m->source, opts, flags, a.kernel_arg, &sb);
		if (!ret)
			ret = sb_mount_root(sb, &a, &root);
		if (!ret) {
			ret = vfs_mount_sb(b->ctx.mnt_ns, at, sb, root, flags);
			d_put(root);
		}
	}
	free(opts);
	return ret;
}

static long mount_one(struct builder *b, const mount_msg *m)
{
	bool bind = !strcmp(m->type, "bind");
	struct path at;
	long ret = make_point(b, m->destination, bind && m->is_file);

	if (ret)
		return fail(b, ret, "mount point", m->destination);
	ret = vfs_lookup(&b->ctx, LINUX_AT_FDCWD, m->destination, WALK_FOLLOW, &at);
	if (ret)
		return fail(b, ret, "mount point", m->destination);
	ret = bind ? mount_gofer(b, m, &at) : mount_kernel(b, m, &at);
	path_put(&at);
	if (!ret && m->propagation && !vfs_lookup(&b->ctx, LINUX_AT_FDCWD, m->destination, WALK_FOLLOW, &at)) {
		ret = mount_set_type(&b->ctx, &at, (uint32_t)m->propagation & ~LINUX_MS_REC, m->propagation & LINUX_MS_REC);
		path_put(&at);
	}
	if (ret == -LINUX_ENODEV && !bind) {
		log_warn("mount %s: file system %s is not there, left out", m->destination, m->type);
		return 0;
	}
	return ret ? fail(b, ret, "mount", m->destination) : 0;
}

/* ---- devices --------------------------------------------------------------------------------------------- */

static long make_node(struct builder *b, const char *path, uint32_t mode, uint64_t rdev, uint32_t uid, uint32_t gid)
{
	struct iattr a = { .valid = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = mode & 07777, .uid = uid, .gid = gid };
	struct path p;
	long ret = vfs_mknod(&b->ctx, LINUX_AT_FDCWD, path, mode, rdev);

	if (ret)
		return ret == -LINUX_EEXIST ? 0 : ret;
	ret = vfs_lookup(&b->ctx, LINUX_AT_FDCWD, path, 0, &p);
	if (ret)
		return ret;
	ret = vfs_setattr(&b->ctx, &p, &a);
	path_put(&p);
	return ret;
}

/*
 * The configuration's own, beside those that a devtmpfs has by itself. Only where a file system of ours is mounted on /dev:
 * what the image or the host has there stays what it is. A node that no driver here serves answers ENXIO when it is opened.
 */
static long make_devices(struct builder *b)
{
	bool own_dev = false;

	for (size_t i = 0; i < b->q->n_mounts; i++)
		own_dev |= !strcmp(b->q->mounts[i]->type, "devtmpfs");
	for (size_t i = 0; own_dev && i < b->q->n_devices; i++) {
		const Runsc__Control__V1__Device *d = b->q->devices[i];
		uint32_t type = d->type == 'b' ? LINUX_S_IFBLK : d->type == 'p' ? LINUX_S_IFIFO : LINUX_S_IFCHR;
		long ret = make_parents(b, d->path);

		if (!ret)
			ret = make_node(b, d->path, type | (d->mode & 07777), LINUX_MKDEV(d->major, d->minor), d->uid, d->gid);
		if (ret)
			return fail(b, ret, "device", d->path);
	}
	return 0;
}

/* ---- paths that are hidden or write-protected ------------------------------------------------------------------ */

/* A directory gets an empty read-only tmpfs over it, a file /dev/null. Missing paths are fine. */
static long mask_path(struct builder *b, const char *path)
{
	struct path at, null;
	long ret = vfs_lookup(&b->ctx, LINUX_AT_FDCWD, path, WALK_FOLLOW, &at);

	if (ret)
		return 0;
	if (LINUX_S_ISDIR(at.dentry->inode->mode)) {
		ret = mount_new(&b->ctx, &at, "tmpfs", "tmpfs", "size=0k", LINUX_MS_RDONLY);
	} else {
		ret = vfs_lookup(&b->ctx, LINUX_AT_FDCWD, "/dev/null", WALK_FOLLOW, &null);
		if (!ret) {
			ret = mount_bind(&b->ctx, &null, &at, false);
			path_put(&null);
		}
	}
	path_put(&at);
	return ret ? fail(b, ret, "mask", path) : 0;
}

static long protect_mount(struct builder *b, const mount_msg *m)
{
	struct path at;
	long ret = vfs_lookup(&b->ctx, LINUX_AT_FDCWD, m->destination, WALK_FOLLOW, &at);

	if (!ret) {
		ret = mount_remount(&b->ctx, &at, (uint32_t)m->flags & ~LINUX_MS_REC, "", true);
		path_put(&at);
	}
	return ret ? fail(b, ret, "protect", m->destination) : 0;
}

static long protect_path(struct builder *b, const char *path)
{
	struct path at;
	long ret = vfs_lookup(&b->ctx, LINUX_AT_FDCWD, path, WALK_FOLLOW, &at);

	if (ret)
		return 0;
	ret = mount_bind(&b->ctx, &at, &at, true);
	path_put(&at);
	if (!ret)
		ret = vfs_lookup(&b->ctx, LINUX_AT_FDCWD, path, WALK_FOLLOW, &at);
	if (ret)
		return fail(b, ret, "protect", path);
	ret = mount_remount(&b->ctx, &at, LINUX_MS_RDONLY | (at.mnt->flags & (LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC)), "", true);
	path_put(&at);
	return ret ? fail(b, ret, "protect", path) : 0;
}

static long each_path(struct builder *b, char **v, size_t n, long (*fn)(struct builder *, const char *))
{
	long ret = 0;

	for (size_t i = 0; !ret && i < n; i++)
		ret = fn(b, v[i]);
	return ret;
}

static long make_mounts(struct builder *b)
{
	long ret = 0;

	for (size_t i = 0; !ret && i < b->q->n_mounts; i++)
		ret = mount_one(b, b->q->mounts[i]);
	if (!ret)
		ret = make_devices(b);
	for (size_t i = 0; !ret && i < b->q->n_mounts; i++)
		if (protected_late(b->q->mounts[i]))
			ret = protect_mount(b, b->q->mounts[i]);
	if (!ret)
		ret = each_path(b, b->q->masked_paths, b->q->n_masked_paths, mask_path);
	if (!ret)
		ret = each_path(b, b->q->readonly_paths, b->q->n_readonly_paths, protect_path);
	return ret;
}

static long protect_root(struct builder *b)
{
	struct path at;
	long ret = vfs_lookup(&b->ctx, LINUX_AT_FDCWD, "/", 0, &at);

	if (ret)
		return ret;
	ret = mount_remount(&b->ctx, &at, LINUX_MS_RDONLY, "", true);
	path_put(&at);
	return ret ? fail(b, ret, "read-only root", "/") : 0;
}

long rootfs_make(const create_request *q, int gofer, const struct ns_set *ns, struct mnt_ns **out, struct path *out_root, struct err *e)
{
	struct builder b = { .q = q, .ns = ns, .e = e };
	struct cred *cred = cred_new_root();
	struct super_block *sb;
	long ret = cred ? 0 : -LINUX_ENOMEM;

	if (!ret && gofer >= 0)
		ret = gofer_link_new(gofer, &b.gofer); /* moves the descriptor */
	if (ret)
		return fail(&b, ret, "gofer", "connection");
	ret = make_root(&b, &sb);
	if (!ret)
		ret = mnt_ns_new(sb, 0, &init_user_ns, out, out_root);
	if (!ret) {
		b.ctx = (struct vfs_ctx){ .fs = fs_struct_new(out_root, out_root, 0), .mnt_ns = *out, .cred = cred };
		ret = b.ctx.fs ? make_mounts(&b) : -LINUX_ENOMEM;
		if (!ret && q->root_readonly)
			ret = protect_root(&b);
		fs_struct_put(b.ctx.fs);
		if (ret) {
			path_put(out_root);
			mnt_ns_put(*out);
		}
	}
	if (b.gofer)
		gofer_link_put(b.gofer); /* mounts hold their own references */
	cred_put(cred);
	return ret;
}
