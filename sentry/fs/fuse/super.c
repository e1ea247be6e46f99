/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/super.c - mounting: options, the first exchange with the daemon, statfs
 *
 * Model:   fd= names an open /dev/fuse of the caller, which becomes the daemon's end. INIT is queued, not waited for; other requests wait
 *          until it is answered. What it offers is what we do; what the daemon chooses of it is bounded here.
 * Locks:   sbs_mu: the list of all super blocks, for news from daemons; then fuse_conn.mu.
 * Source:  mount.fuse3(8), Linux's Documentation/filesystems/fuse/, linux/fuse.h "init".
 * Differs: not offered: writeback cache, READDIRPLUS, remote locks, ACLs checked here, requests of O_TRUNC with OPEN,
 *          parallel operations in one directory; "fuseblk" and fusectl are missing.
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"

static struct mutex sbs_mu;
static struct list sbs = LIST_HEAD_INIT(sbs); /* of fuse_sb.node; guarded by sbs_mu */

#define OFFERED                                                                                        \
	(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_DONT_MASK | FUSE_SPLICE_READ | FUSE_SPLICE_WRITE | FUSE_SPLICE_MOVE | \
	 FUSE_AUTO_INVAL_DATA | FUSE_EXPLICIT_INVAL_DATA | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT |         \
	 FUSE_ABORT_ERROR | FUSE_MAX_PAGES)

/* ---- options ---- */

struct options {
	uint32_t fd, rootmode, user_id, group_id, max_read, blksize;
	bool has_fd, has_rootmode, has_user, has_group, has_max_read, allow_other, default_permissions;
	char subtype[FS_SUBTYPE_MAX];
};

static const struct {
	const char *key;
	int base;
	size_t at, has;	/* has 0: not noted */
} number_keys[] = {
	{ "fd", 10, offsetof(struct options, fd), offsetof(struct options, has_fd) },
	{ "rootmode", 8, offsetof(struct options, rootmode), offsetof(struct options, has_rootmode) },
	{ "user_id", 10, offsetof(struct options, user_id), offsetof(struct options, has_user) },
	{ "group_id", 10, offsetof(struct options, group_id), offsetof(struct options, has_group) },
	{ "max_read", 10, offsetof(struct options, max_read), offsetof(struct options, has_max_read) },
};

static bool parse_number(const char *s, int base, uint32_t *out)
{
	unsigned long v;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	v = strtoul(s, &end, base);
	if (*end || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

static long parse_one(struct options *o, const char *key, const char *val)
{
	for (size_t k = 0; k < ARRAY_SIZE(number_keys); k++) {
		if (strcmp(key, number_keys[k].key))
			continue;
		if (!val || !parse_number(val, number_keys[k].base, (uint32_t *)((char *)o + number_keys[k].at)))
			return -LINUX_EINVAL;
		*(bool *)((char *)o + number_keys[k].has) = true;
		return 0;
	}
	if (!strcmp(key, "subtype") && val && !o->subtype[0] && strlen(val) < sizeof(o->subtype))
		memcpy(o->subtype, val, strlen(val) + 1);
	else if (!strcmp(key, "allow_other") && !val)
		o->allow_other = true;
	else if (!strcmp(key, "default_permissions") && !val)
		o->default_permissions = true;
	else	/* blksize too: it is a block device's */
		return -LINUX_EINVAL;
	return 0;
}

static long parse_options(const char *text, struct options *o)
{
	char *copy = strdup(text), *save, *key, *val;
	long ret = copy ? 0 : -LINUX_ENOMEM;

	for (key = copy ? strtok_r(copy, ",", &save) : NULL; key && !ret; key = strtok_r(NULL, ",", &save)) {
		val = strchr(key, '=');
		if (val)
			*val++ = '\0';
		ret = parse_one(o, key, val);
	}
	free(copy);
	if (!ret && !(o->has_fd && o->has_rootmode && o->has_user && o->has_group))
		ret = -LINUX_EINVAL;
	if (!ret && !LINUX_S_ISDIR(o->rootmode) && !LINUX_S_ISREG(o->rootmode))
		ret = -LINUX_EINVAL;
	return ret;
}

/* ---- INIT ---- */

static void answer_sizes(struct fuse_conn *fc, const struct fuse_init_out *o)
{
	fc->max_write = MIN(MAX(o->max_write, (uint32_t)PAGE_SIZE), (uint32_t)FUSE_MAX_WRITE);
	fc->max_pages = FUSE_MAX_PAGES_DFLT;
	if (o->flags & FUSE_MAX_PAGES)
		fc->max_pages = MIN(MAX((uint32_t)o->max_pages, 1u), FUSE_MAX_PAGES_MAX);
	fc->auto_inval = o->flags & FUSE_AUTO_INVAL_DATA;
	fc->explicit_inval = !fc->auto_inval && o->flags & FUSE_EXPLICIT_INVAL_DATA;
	fc->abort_err = o->flags & FUSE_ABORT_ERROR;
	fc->no_open_ok = o->flags & FUSE_NO_OPEN_SUPPORT;
	fc->no_opendir_ok = o->flags & FUSE_NO_OPENDIR_SUPPORT;
}

void fuse_init_answer(struct fuse_req *r)
{
	struct fuse_conn *fc = r->fc;
	struct fuse_init_out o = { 0 };
	struct super_block *sb;
	bool ok = !r->error && r->out_len >= FUSE_COMPAT_22_INIT_OUT_SIZE;

	if (ok) {
		memcpy(&o, r->out, MIN((size_t)r->out_len, sizeof(o)));
		ok = o.major == FUSE_KERNEL_VERSION && o.minor >= FUSE_MINOR_MIN;
	}
	if (ok) {
		answer_sizes(fc, &o);
		sb = fuse_sb_of_conn(fc);
		if (sb && o.flags & FUSE_DONT_MASK)
			sb->no_umask = true;
		sb_put(sb);
	}
	mutex_lock(&fc->mu);
	fc->minor = MIN(o.minor, (uint32_t)FUSE_MINOR);
	fc->refused = !ok;
	atomic_store_explicit(&fc->ready, true, memory_order_release);
	mutex_unlock(&fc->mu);
	waitq_wake_all(&fc->ready_q);
}

static long send_init(struct fuse_conn *fc)
{
	struct fuse_init_in *in;
	struct fuse_req *r;
	/* later versions of it are longer: what we speak has the first four words */
	long ret = fuse_req_new(fc, FUSE_INIT, 0, fuse_cred(), 4 * sizeof(uint32_t), sizeof(struct fuse_init_out), &r);

	if (ret)
		return ret;
	in = fuse_req_args(r);
	in->major = FUSE_KERNEL_VERSION;
	in->minor = FUSE_MINOR;
	in->max_readahead = FUSE_READAHEAD;
	in->flags = OFFERED;
	r->out_var = true;
	r->end = fuse_init_answer;
	fuse_req_background(r);
	return 0;
}

/* ---- super blocks ---- */

struct super_block *fuse_sb_of_conn(struct fuse_conn *fc)
{
	struct super_block *found = NULL;
	struct fuse_sb *s;

	mutex_lock(&sbs_mu);
	list_for_each_entry(s, &sbs, node)
		if (s->fc == fc && ref_get_unless_zero(&s->sb->ref)) {
			found = s->sb;
			break;
		}
	mutex_unlock(&sbs_mu);
	return found;
}

static void fuse_umount_begin(struct super_block *sb)
{
	fuse_conn_abort(fuse_sb_of(sb)->fc);
}

static void fuse_put_super(struct super_block *sb)
{
	struct fuse_sb *s = fuse_sb_of(sb);

	if (!s)
		return;
	mutex_lock(&sbs_mu);
	list_del_init(&s->node);
	mutex_unlock(&sbs_mu);
	fuse_conn_abort(s->fc);
	fuse_conn_put(s->fc);
	free(s);
	sb->priv = NULL;
}

static long fuse_statfs(struct super_block *sb, struct dentry *d, struct linux_statfs *out)
{
	struct fuse_conn *fc = fuse_sb_of(sb)->fc;
	struct fuse_statfs_out o;
	struct inode *i = d && d->inode ? d->inode : sb->root->inode;
	const struct fuse_call c = { .opcode = FUSE_STATFS, .nodeid = fnode_of(i)->nodeid, .out = &o, .out_len = sizeof(o) };
	const struct cred *cred = fuse_cred();
	long ret;

	if (cred && !fuse_may_use(fc, cred))
		return 0;	/* the type is all that they learn */
	ret = fuse_call(fc, &c);
	if (ret < 0)
		return ret;
	*out = (struct linux_statfs){
		.f_type = FUSE_MAGIC,
		.f_bsize = o.st.bsize,
		.f_frsize = o.st.frsize,
		.f_blocks = o.st.blocks,
		.f_bfree = o.st.bfree,
		.f_bavail = o.st.bavail,
		.f_files = o.st.files,
		.f_ffree = o.st.ffree,
		.f_namelen = o.st.namelen,
	};
	return 0;
}

static void fuse_show_options(struct super_block *sb, struct buf *out)
{
	struct fuse_conn *fc = fuse_sb_of(sb)->fc;

	buf_printf(out, ",user_id=%u,group_id=%u", id_from_kernel_munged(fc->user_ns, false, fc->user_id),
		   id_from_kernel_munged(fc->user_ns, true, fc->group_id));
	if (fc->default_permissions)
		buf_printf(out, ",default_permissions");
	if (fc->allow_other)
		buf_printf(out, ",allow_other");
	if (fc->max_read != UINT32_MAX)
		buf_printf(out, ",max_read=%u", fc->max_read);
}

/* Options of a mount cannot change: the daemon was told. */
static long fuse_remount(struct super_block *sb, const struct fs_mount_args *a)
{
	return 0;
}

static const struct super_ops fuse_super_ops = {
	.free_inode = fuse_free_inode,
	.d_release = fuse_d_release,
	.put_super = fuse_put_super,
	.statfs = fuse_statfs,
	.remount = fuse_remount,
	.umount_begin = fuse_umount_begin,
	.show_options = fuse_show_options,
};

/* ---- mount(2) ---- */

static long conn_make(const struct fs_mount_args *a, const struct options *o, struct fuse_conn **out)
{
	struct task *t = task_current();
	struct fuse_conn *fc;

	if (!t)
		return -LINUX_EINVAL;	/* boot code has no daemon */
	fc = fuse_conn_new(a->user_ns, t->ns->pid_for_children);
	if (!fc)
		return -LINUX_ENOMEM;
	fc->user_id = id_to_kernel(a->user_ns, false, o->user_id);
	fc->group_id = id_to_kernel(a->user_ns, true, o->group_id);
	fc->allow_other = o->allow_other;
	fc->default_permissions = o->default_permissions;
	if (o->has_max_read)
		fc->max_read = MAX(o->max_read, (uint32_t)PAGE_SIZE);
	if (fc->user_id == ID_INVALID || fc->group_id == ID_INVALID) {
		fuse_conn_put(fc);
		return -LINUX_EINVAL;
	}
	*out = fc;
	return 0;
}

static long sb_make(struct fs_type *t, const struct fs_mount_args *a, const struct options *o, struct fuse_conn *fc,
		    struct super_block **out)
{
	struct super_block *sb = sb_alloc(t, &fuse_super_ops, a);
	struct fuse_sb *s = sb ? calloc(1, sizeof(*s)) : NULL;
	struct inode *root;
	long ret;

	if (!s) {
		sb_put(sb);
		return -LINUX_ENOMEM;
	}
	mutex_init(&s->mu);
	list_init(&s->node);
	s->fc = fuse_conn_get(fc);
	s->sb = sb;
	sb->priv = s;
	sb->nodev = a->user_ns != &init_user_ns;
	sb->fs_rights = !fc->default_permissions;
	if (o->subtype[0])
		memcpy(sb->subtype, o->subtype, sizeof(sb->subtype));
	ret = fnode_root(sb, o->rootmode, &root);
	if (!ret) {
		sb->root = d_alloc_root(sb, root);
		ret = sb->root ? 0 : -LINUX_ENOMEM;
	}
	if (ret) {
		sb_put(sb);
		return ret;
	}
	mutex_lock(&sbs_mu);
	list_add(&sbs, &s->node);
	mutex_unlock(&sbs_mu);
	*out = sb;
	return 0;
}

/* A connection for the daemon behind @dev, and its mount. */
static long make_mount(struct fs_type *t, const struct fs_mount_args *a, const struct options *o, struct file *dev,
		       struct super_block **out)
{
	struct super_block *sb;
	struct fuse_conn *fc;
	long ret = conn_make(a, o, &fc);

	if (ret)
		return ret;
	ret = fuse_dev_attach(dev, fc);
	if (!ret)
		ret = sb_make(t, a, o, fc, &sb);
	if (!ret) {
		ret = send_init(fc);
		if (ret)
			sb_put(sb);
		else
			*out = sb;
	}
	if (ret)
		fuse_conn_abort(fc);
	fuse_conn_put(fc);
	return ret;
}

static long fuse_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	struct options o = { 0 };
	struct file *dev;
	bool put;
	long ret = parse_options(a->options, &o);

	if (ret)
		return ret;
	dev = a->ctx && a->ctx->fds ? fdget(a->ctx->fds, (int)MIN(o.fd, (uint32_t)INT32_MAX), &put) : NULL;
	if (!dev)
		return -LINUX_EINVAL;
	/* whoever opened it and whoever mounts must have the same idea of ids */
	if (dev->cred->user_ns != a->user_ns) {
		ret = -LINUX_EINVAL;
	} else if (fuse_dev_conn(dev)) {	/* mounted already: once more what is there */
		*out = fuse_sb_of_conn(fuse_dev_conn(dev));
		ret = *out ? 0 : -LINUX_EINVAL;
	} else {
		ret = make_mount(t, a, &o, dev, out);
	}
	fdput(dev, put);
	return ret;
}

static struct fs_type fuse_type = {
	.name = "fuse",
	.flags = FST_NODEV | FST_USERNS_MOUNT | FST_SUBTYPE,
	.magic = FUSE_MAGIC,
	.get_sb = fuse_get_sb,
};

long fuse_super_init(void)
{
	fuse_writeback_init();
	fs_register(&fuse_type);
	return 0;
}
