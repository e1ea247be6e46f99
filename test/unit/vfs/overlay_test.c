/* SPDX-License-Identifier: Apache-2.0
 * test/unit/vfs/overlay_test.c - overlay of a tmpfs over a tmpfs
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/fs.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/xattr.h"

static struct vfs_ctx ctx;	/* of the merged tree */
static struct vfs_ctx low;	/* of the lower layer */
static struct super_block *upper;

static struct vfs_ctx view(struct super_block *sb)
{
	struct vfs_ctx c = { .cred = cred_new_root(), .fds = fdtable_new() };
	struct path root;

	cr_assert_eq(mnt_ns_new(sb, 0, &init_user_ns, &c.mnt_ns, &root), 0);
	c.fs = fs_struct_new(&root, &root, 022);
	path_put(&root);
	return c;
}

static long put_text(struct vfs_ctx *c, const char *path, const char *text, uint32_t flags)
{
	struct file *f;
	struct uio io;
	long ret = vfs_open(c, LINUX_AT_FDCWD, path, LINUX_O_WRONLY | flags, 0644, 0, &f);

	if (ret)
		return ret;
	uio_init_kernel(&io, (void *)text, strlen(text));
	ret = vfs_write(f, &io, NULL, 0, UINT64_MAX);
	file_put(f);
	return ret;
}

static const char *text_of(const char *path)
{
	static char buf[256];
	struct file *f;
	struct uio io;
	long ret = vfs_open(&ctx, LINUX_AT_FDCWD, path, LINUX_O_RDONLY, 0, 0, &f);

	if (ret) {
		snprintf(buf, sizeof(buf), "error %ld", ret);
		return buf;
	}
	uio_init_kernel(&io, buf, sizeof(buf) - 1);
	ret = vfs_read(f, &io, NULL, 0);
	file_put(f);
	buf[ret > 0 ? ret : 0] = 0;
	return buf;
}

#define NEW (LINUX_O_CREAT | LINUX_O_TRUNC)

static void setup(void)
{
	struct super_block *lower, *sb;
	struct fs_mount_args a = { .source = "overlay", .options = "" };
	struct overlay_layers l;

	fs_init_all();
	cr_assert_eq(tmpfs_mount_kernel("low", "mode=755", &lower), 0);
	cr_assert_eq(tmpfs_mount_kernel("up", "", &upper), 0);
	low = view(sb_get(lower));
	vfs_mkdir(&low, LINUX_AT_FDCWD, "/etc", 0755);
	vfs_mkdir(&low, LINUX_AT_FDCWD, "/etc/sub", 0700);
	put_text(&low, "/etc/passwd", "root", NEW);
	put_text(&low, "/etc/sub/deep", "deep", NEW);
	put_text(&low, "/file", "lower", NEW);
	vfs_link(&low, LINUX_AT_FDCWD, "/file", LINUX_AT_FDCWD, "/hard", 0);
	vfs_symlink(&low, "etc/passwd", LINUX_AT_FDCWD, "/ln");
	l = (struct overlay_layers){ lower, upper };
	a.kernel_arg = &l;
	cr_assert_eq(fs_find("overlay")->get_sb(fs_find("overlay"), &a, &sb), 0);
	ctx = view(sb);
}

TestSuite(overlay, .init = setup, .timeout = 20);

Test(overlay, reader_follows_the_copy)
{
	struct file *f;
	struct uio io;
	uint64_t pos = 0;
	char buf[16];

	cr_assert_eq(vfs_open(&ctx, LINUX_AT_FDCWD, "/file", LINUX_O_RDONLY, 0, 0, &f), 0);
	cr_assert_eq(put_text(&ctx, "/file", "UPPER!", NEW), 6);
	uio_init_kernel(&io, buf, sizeof(buf));
	cr_assert_eq(vfs_read(f, &io, &pos, 0), 6);
	cr_assert_eq(memcmp(buf, "UPPER!", 6), 0);
	file_put(f);
}

struct names {
	struct dir_emit e;
	char text[256];
};
static bool add_name(struct dir_emit *e, const char *name, size_t len, uint64_t ino, uint8_t type, uint64_t off)
{
	struct names *n = (struct names *)e;

	if (name[0] != '.') {
		strncat(n->text, name, len);
		strcat(n->text, " ");
	}
	return true;
}

static const char *list(const char *dir)
{
	static struct names n;
	struct file *f;
	uint64_t pos = 0;

	n = (struct names){ .e = { add_name } };
	cr_assert_eq(vfs_open(&ctx, LINUX_AT_FDCWD, dir, LINUX_O_RDONLY | LINUX_O_DIRECTORY, 0, 0, &f), 0);
	sleep_lock(&f->inode->i_lock);
	cr_assert_eq(f->ops->iterate(f, &n.e, &pos), 0);
	sleep_unlock(&f->inode->i_lock);
	file_put(f);
	return n.text;
}

static long st(const char *path, struct kstat *k)
{
	return vfs_stat(&ctx, LINUX_AT_FDCWD, path, 0, k);
}

Test(overlay, reads_go_down_writes_stay_up)
{
	struct kstat a, b;

	cr_assert_str_eq(text_of("/etc/passwd"), "root");
	cr_assert_str_eq(text_of("/ln"), "root");
	cr_assert_str_eq(list("/"), "etc file hard ln ");
	st("/etc/passwd", &a);
	cr_assert_eq(put_text(&ctx, "/etc/passwd", "+x", LINUX_O_APPEND), 2);
	cr_assert_str_eq(text_of("/etc/passwd"), "root+x");
	st("/etc/passwd", &b);
	cr_assert(a.ino == b.ino && a.dev == b.dev && b.size == 6 && a.mode == b.mode);
	cr_assert_eq(put_text(&ctx, "/etc/new", "new", NEW), 3);
	cr_assert_str_eq(list("/etc"), "passwd new sub ");
	st("/etc/sub", &a);
	cr_assert_eq(put_text(&ctx, "/etc/sub/deep", "DEEP", NEW), 4);
	st("/etc/sub", &b);
	cr_assert(a.mode == b.mode && a.ino == b.ino);
	ctx.fs = low.fs;	/* look at the lower layer itself */
	cr_assert_str_eq(text_of("/etc/passwd"), "root");
	cr_assert_str_eq(text_of("/etc/sub/deep"), "deep");
}

Test(overlay, whiteouts_and_opaque)
{
	struct kstat k;

	cr_assert_eq(vfs_unlink(&ctx, LINUX_AT_FDCWD, "/file"), 0);
	cr_assert_eq(st("/file", &k), -LINUX_ENOENT);
	cr_assert_str_eq(list("/"), "etc hard ln ");
	cr_assert_eq(put_text(&ctx, "/file", "again", NEW), 5);
	cr_assert_str_eq(text_of("/file"), "again");
	cr_assert_eq(vfs_rmdir(&ctx, LINUX_AT_FDCWD, "/etc/sub"), -LINUX_ENOTEMPTY);
	cr_assert_eq(vfs_unlink(&ctx, LINUX_AT_FDCWD, "/etc/sub/deep"), 0);
	cr_assert_eq(vfs_rmdir(&ctx, LINUX_AT_FDCWD, "/etc/sub"), 0);
	cr_assert_eq(st("/etc/sub", &k), -LINUX_ENOENT);
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/etc/sub", 0755), 0);
	cr_assert_eq(st("/etc/sub/deep", &k), -LINUX_ENOENT, "a new directory does not show what the old one had");
	cr_assert_str_eq(list("/etc/sub"), "");
	cr_assert_eq(vfs_mknod(&ctx, LINUX_AT_FDCWD, "/wh", LINUX_S_IFCHR, 0), -LINUX_EPERM);
}

Test(overlay, rename)
{
	struct kstat k;

	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/etc", LINUX_AT_FDCWD, "/etc2", 0), -LINUX_EXDEV);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/file", LINUX_AT_FDCWD, "/etc/moved", 0), 0);
	cr_assert_eq(st("/file", &k), -LINUX_ENOENT);
	cr_assert_str_eq(text_of("/etc/moved"), "lower");
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/d", 0755), 0);
	cr_assert_eq(put_text(&ctx, "/d/x", "x", NEW), 1);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/d", LINUX_AT_FDCWD, "/etc/d2", 0), 0);
	cr_assert_str_eq(text_of("/etc/d2/x"), "x");
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/etc/passwd", LINUX_AT_FDCWD, "/hard", 0), 0);
	cr_assert_str_eq(text_of("/hard"), "root");
	cr_assert_str_eq(list("/"), "etc hard ln ");
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/hard", LINUX_AT_FDCWD, "/ln", LINUX_RENAME_EXCHANGE), 0);
	cr_assert_str_eq(text_of("/ln"), "root");
}

Test(overlay, hard_links_stay_one_file)
{
	struct kstat a, b;

	cr_assert_eq(put_text(&ctx, "/file", "changed", NEW), 7);
	cr_assert_str_eq(text_of("/hard"), "changed");
	st("/file", &a);
	st("/hard", &b);
	cr_assert(a.ino == b.ino && a.nlink == 2);
	cr_assert_eq(vfs_link(&ctx, LINUX_AT_FDCWD, "/hard", LINUX_AT_FDCWD, "/third", 0), 0);
	st("/third", &b);
	cr_assert(a.ino == b.ino && b.nlink == 3);
}

Test(overlay, unlinked_open_file_and_xattr)
{
	struct file *f;
	struct path p;
	char v[8];

	cr_assert_eq(vfs_open(&ctx, LINUX_AT_FDCWD, "/etc/passwd", LINUX_O_RDONLY, 0, 0, &f), 0);
	cr_assert_eq(vfs_unlink(&ctx, LINUX_AT_FDCWD, "/etc/passwd"), 0);
	struct iattr a = { .valid = ATTR_MODE, .mode = 0600 };
	cr_assert_eq(vfs_setattr(&ctx, &f->path, &a), 0);
	file_put(f);
	cr_assert_eq(vfs_lookup(&ctx, LINUX_AT_FDCWD, "/file", 0, &p), 0);
	cr_assert_eq(vfs_setxattr(&p, "user.k", "v", 1, 0, ctx.cred), 0);
	cr_assert_eq(vfs_getxattr(&p, "user.k", v, 8, ctx.cred), 1);
	path_put(&p);
	mnt_ns_put(ctx.mnt_ns);
}
