/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/fs_struct.c - a task's root and working directory; the text of a path; character device drivers
 *
 * Source:  chroot(2), chdir(2), getcwd(3), umask(2).
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

/* ---- fs_struct ---- */

struct fs_struct *fs_struct_new(const struct path *root, const struct path *pwd, uint32_t umask)
{
	struct fs_struct *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	ref_init(&fs->ref, 1);
	fs->root = *root;
	fs->pwd = *pwd;
	path_get(&fs->root);
	path_get(&fs->pwd);
	fs->umask = umask;
	return fs;
}

struct fs_struct *fs_struct_dup(struct fs_struct *fs)
{
	struct fs_struct *n;

	mutex_lock(&fs->mu);
	n = fs_struct_new(&fs->root, &fs->pwd, fs->umask);
	mutex_unlock(&fs->mu);
	return n;
}

struct fs_struct *fs_struct_get(struct fs_struct *fs)
{
	ref_get(&fs->ref);
	return fs;
}

void fs_struct_put(struct fs_struct *fs)
{
	if (!fs || !ref_put(&fs->ref))
		return;
	path_put(&fs->root);
	path_put(&fs->pwd);
	free(fs);
}

static void fs_set(struct fs_struct *fs, struct path *which, const struct path *p)
{
	struct path old, new_ = *p;

	path_get(&new_);
	mutex_lock(&fs->mu);
	old = *which;
	*which = new_;
	mutex_unlock(&fs->mu);
	path_put(&old);
}

static long dir_ok(const struct vfs_ctx *ctx, const struct path *p)
{
	struct inode *i = p->dentry->inode;

	if (!i || !LINUX_S_ISDIR(i->mode))
		return -LINUX_ENOTDIR;
	return vfs_permission(i, LINUX_MAY_EXEC | LINUX_MAY_CHDIR, ctx->cred);
}

long vfs_chdir(const struct vfs_ctx *ctx, const struct path *p)
{
	long ret = dir_ok(ctx, p);

	if (ret == 0)
		fs_set(ctx->fs, &ctx->fs->pwd, p);
	return ret;
}

long vfs_chroot(const struct vfs_ctx *ctx, const struct path *p)
{
	long ret = dir_ok(ctx, p);

	if (ret)
		return ret;
	if (!cred_has_cap(ctx->cred, ctx->cred->user_ns, LINUX_CAP_SYS_CHROOT))
		return -LINUX_EPERM;
	fs_set(ctx->fs, &ctx->fs->root, p);
	return 0;
}

/* ---- path text ---- */

struct text {
	char *start, *p;	/* grows downwards from the end */
	bool full;
};

static void text_push(struct text *t, const char *s, size_t len)
{
	if ((size_t)(t->p - t->start) < len) {
		t->full = true;
		return;
	}
	t->p -= len;
	memcpy(t->p, s, len);
}

/* One attempt without locks. True: reached @root. */
static bool build_text(struct text *t, struct path at, const struct path *root)
{
	while (!root || !path_eq(&at, root)) {
		const struct dentry *parent = rcu_load(at.dentry->parent);

		if (at.mnt && at.dentry == at.mnt->root) {
			struct mount *up = rcu_load(at.mnt->parent);
			struct dentry *mp = rcu_load(at.mnt->mountpoint);

			if (!up || !mp)
				return !root;
			at = (struct path){ up, mp };
			continue;
		}
		if (parent == at.dentry)
			return false;
		{
			const struct dname *n = rcu_load(at.dentry->dname);

			text_push(t, n->text, n->len);
			text_push(t, "/", 1);
		}
		if (t->full)
			break;
		at.dentry = (struct dentry *)parent;
	}
	return true;
}

long vfs_path_text2(const struct path *p, const struct path *root, char *out, size_t cap, bool *out_reachable)
{
	struct text t;
	uint32_t rseq, mseq;
	size_t len;

	if (p->dentry->flags & DENTRY_ANON) {
		*out_reachable = true;
		if (p->dentry->name_len >= cap)
			return -LINUX_ENAMETOOLONG;
		memcpy(out, p->dentry->name, p->dentry->name_len + 1);
		return p->dentry->name_len;
	}
	rcu_read_lock();
	do {
		t = (struct text){ .start = out, .p = out + cap };
		rseq = seq_read(&rename_seq) & ~1u;
		mseq = seq_read(&mount_seq) & ~1u;
		text_push(&t, "", 1);
		if (p->dentry->flags & DENTRY_DELETED)
			text_push(&t, " (deleted)", 10);
		len = (size_t)(out + cap - t.p);
		*out_reachable = build_text(&t, *p, root);
		if ((size_t)(out + cap - t.p) == len)
			text_push(&t, "/", 1);
	} while (seq_changed(&rename_seq, rseq) || seq_changed(&mount_seq, mseq));
	rcu_read_unlock();
	if (t.full)
		return -LINUX_ENAMETOOLONG;
	len = (size_t)(out + cap - t.p);
	memmove(out, t.p, len);
	return (long)len - 1;
}

long vfs_path_text(const struct path *p, const struct path *root, char *out, size_t cap)
{
	bool reachable;

	return vfs_path_text2(p, root, out, cap, &reachable);
}

/* ---- character devices ---- */

#define CHRDEV_MAX 256

static struct {
	uint32_t major, minor;
	const struct file_ops *ops;
} chrdevs[CHRDEV_MAX];
static _Atomic uint32_t nr_chrdevs;	/* entries below it are immutable */
static struct mutex chrdev_mu;

long chrdev_register(uint32_t major, uint32_t minor, const struct file_ops *ops)
{
	uint32_t n;
	long ret = -LINUX_ENOMEM;

	mutex_lock(&chrdev_mu);
	n = atomic_load(&nr_chrdevs);
	if (n < CHRDEV_MAX) {
		chrdevs[n].major = major;
		chrdevs[n].minor = minor;
		chrdevs[n].ops = ops;
		atomic_store(&nr_chrdevs, n + 1);
		ret = 0;
	}
	mutex_unlock(&chrdev_mu);
	return ret;
}

/* Minor UINT32_MAX was registered for all minors of its major. */
const struct file_ops *chrdev_find(uint64_t rdev)
{
	uint32_t maj = LINUX_MAJOR(rdev), min = LINUX_MINOR(rdev), n = atomic_load(&nr_chrdevs);

	for (uint32_t k = 0; k < n; k++)
		if (chrdevs[k].major == maj && (chrdevs[k].minor == min || chrdevs[k].minor == UINT32_MAX))
			return chrdevs[k].ops;
	return NULL;
}

void vfs_init(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	dcache_init();
	mount_init();
	anon_sb_init();
	epoll_init();
}
