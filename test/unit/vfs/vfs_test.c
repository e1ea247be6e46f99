/* SPDX-License-Identifier: Apache-2.0
 * test/unit/vfs/vfs_test.c - path walk, name cache, tmpfs, rename, descriptors, mounts
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sentry/fs/fs.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/poll.h"
#include "sentry/vfs/xattr.h"

static struct vfs_ctx ctx;

static void setup(void)
{
	struct super_block *sb;
	struct mnt_ns *ns;
	struct path root;

	fs_init_all();
	cr_assert_eq(tmpfs_mount_kernel("rootfs", "mode=755", &sb), 0);
	cr_assert_eq(mnt_ns_new(sb, 0, &init_user_ns, &ns, &root), 0);
	ctx.mnt_ns = ns;
	ctx.cred = cred_new_root();
	ctx.fs = fs_struct_new(&root, &root, 022);
	ctx.fds = fdtable_new();
	path_put(&root);
}

TestSuite(vfs, .init = setup, .timeout = 20);

static long put_text(const char *path, const char *text)
{
	struct file *f;
	struct uio io;
	long ret = vfs_open(&ctx, LINUX_AT_FDCWD, path, LINUX_O_CREAT | LINUX_O_WRONLY | LINUX_O_TRUNC, 0644, 0, &f);

	if (ret)
		return ret;
	uio_init_kernel(&io, (void *)text, strlen(text));
	ret = vfs_write(f, &io, NULL, 0, UINT64_MAX);
	file_put(f);
	return ret;
}

static long get_text(const char *path, char *buf, size_t cap)
{
	struct file *f;
	struct uio io;
	long ret = vfs_open(&ctx, LINUX_AT_FDCWD, path, LINUX_O_RDONLY, 0, 0, &f);

	if (ret)
		return ret;
	uio_init_kernel(&io, buf, cap);
	ret = vfs_read(f, &io, NULL, 0);
	file_put(f);
	if (ret >= 0)
		buf[ret] = 0;
	return ret;
}

static long st(const char *path, uint32_t walk, struct kstat *k)
{
	return vfs_stat(&ctx, LINUX_AT_FDCWD, path, walk, k);
}

Test(vfs, create_read_stat)
{
	struct kstat k;
	char buf[64];

	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/a", 0755), 0);
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/a/b/", 0755), 0);
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/a", 0755), -LINUX_EEXIST);
	cr_assert_eq(put_text("/a/b/f", "hello"), 5);
	for (int k2 = 0; k2 < 2; k2++)
		cr_assert_eq(get_text("/a/b/../b/./f", buf, 63), 5);
	cr_assert_str_eq(buf, "hello");
	cr_assert_eq(st("/a/b/f", WALK_FOLLOW, &k), 0);
	cr_assert_eq(k.size, 5);
	cr_assert_eq(k.mode, LINUX_S_IFREG | 0644);
	cr_assert_eq(st("/a/b/f/", WALK_FOLLOW, &k), -LINUX_ENOTDIR);
	cr_assert_eq(st("/a/b/none", WALK_FOLLOW, &k), -LINUX_ENOENT);
	cr_assert_eq(st("/a/b/none", WALK_FOLLOW, &k), -LINUX_ENOENT);
	cr_assert_eq(st("/a/b/f/x", WALK_FOLLOW, &k), -LINUX_ENOTDIR);
	cr_assert_eq(st("", WALK_FOLLOW, &k), -LINUX_ENOENT);
	cr_assert_eq(st("/", WALK_FOLLOW, &k), 0);
	cr_assert_eq(st("/../..", WALK_FOLLOW, &k), 0);
	cr_assert_eq(put_text("/a/b/none2/", "x"), -LINUX_EISDIR);
	cr_assert_eq(vfs_rmdir(&ctx, LINUX_AT_FDCWD, "/a"), -LINUX_ENOTEMPTY);
	cr_assert_eq(vfs_unlink(&ctx, LINUX_AT_FDCWD, "/a"), -LINUX_EISDIR);
	cr_assert_eq(vfs_unlink(&ctx, LINUX_AT_FDCWD, "/a/b/f"), 0);
	cr_assert_eq(st("/a/b/f", WALK_FOLLOW, &k), -LINUX_ENOENT);
	cr_assert_eq(vfs_rmdir(&ctx, LINUX_AT_FDCWD, "/a/b/."), -LINUX_EINVAL);
	cr_assert_eq(vfs_rmdir(&ctx, LINUX_AT_FDCWD, "/a/b"), 0);
	cr_assert_eq(vfs_rmdir(&ctx, LINUX_AT_FDCWD, "/a"), 0);
}

Test(vfs, symlinks)
{
	struct kstat k;
	char buf[64], name[32], target[32];

	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/d", 0755), 0);
	cr_assert_eq(put_text("/d/f", "x"), 1);
	cr_assert_eq(vfs_symlink(&ctx, "/d", LINUX_AT_FDCWD, "/abs"), 0);
	cr_assert_eq(vfs_symlink(&ctx, "d/f", LINUX_AT_FDCWD, "/rel"), 0);
	cr_assert_eq(vfs_symlink(&ctx, "loop", LINUX_AT_FDCWD, "/loop"), 0);
	for (int n = 0; n < 2; n++) {
		cr_assert_eq(get_text("/abs/f", buf, 63), 1);
		cr_assert_eq(get_text("/rel", buf, 63), 1);
		cr_assert_eq(st("/rel", 0, &k), 0);
		cr_assert(LINUX_S_ISLNK(k.mode));
		cr_assert_eq(st("/rel/", 0, &k), -LINUX_ENOTDIR);
		cr_assert_eq(st("/abs/", 0, &k), 0);
		cr_assert(LINUX_S_ISDIR(k.mode));
		cr_assert_eq(st("/loop", WALK_FOLLOW, &k), -LINUX_ELOOP);
		cr_assert_eq(st("/rel", WALK_FOLLOW | WALK_NO_SYMLINKS, &k), -LINUX_ELOOP);
		cr_assert_eq(st("/abs/f", WALK_FOLLOW | WALK_BENEATH, &k), -LINUX_EXDEV);
		cr_assert_eq(st("/abs/f", WALK_FOLLOW | WALK_IN_ROOT, &k), 0);
		cr_assert_eq(st("../d/f", WALK_FOLLOW | WALK_BENEATH, &k), -LINUX_EXDEV);
		cr_assert_eq(st("d/../d/f", WALK_FOLLOW | WALK_BENEATH, &k), 0);
	}
	strcpy(target, "d/f");
	for (int n = 0; n < 41; n++) {	/* 40 links are fine, 41 are not */
		snprintf(name, sizeof(name), "l%d", n);
		cr_assert_eq(vfs_symlink(&ctx, target, LINUX_AT_FDCWD, name), 0);
		cr_assert_eq(st(name, WALK_FOLLOW, &k), n < 40 ? 0 : -LINUX_ELOOP, "%d", n);
		strcpy(target, name);
	}
	cr_assert_eq(put_text("dangling0", ""), 0);
	cr_assert_eq(vfs_symlink(&ctx, "newfile", LINUX_AT_FDCWD, "dangling"), 0);
	cr_assert_eq(put_text("dangling", "via"), 3);
	cr_assert_eq(get_text("newfile", buf, 63), 3);
}

Test(vfs, rename_flags)
{
	struct kstat a, b;

	cr_assert_eq(put_text("/x", "1"), 1);
	cr_assert_eq(put_text("/y", "22"), 2);
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/p", 0755), 0);
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/p/q", 0755), 0);
	st("/x", 0, &a);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/x", LINUX_AT_FDCWD, "/y", LINUX_RENAME_NOREPLACE), -LINUX_EEXIST);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/x", LINUX_AT_FDCWD, "/y", LINUX_RENAME_EXCHANGE), 0);
	cr_assert_eq(st("/y", 0, &b), 0);
	cr_assert_eq(a.ino, b.ino);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/y", LINUX_AT_FDCWD, "/p/q/z", 0), 0);
	cr_assert_eq(st("/p/q/z", 0, &b), 0);
	cr_assert_eq(a.ino, b.ino);
	cr_assert_eq(st("/y", 0, &b), -LINUX_ENOENT);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/p", LINUX_AT_FDCWD, "/p/q/r", 0), -LINUX_EINVAL);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/p/q/z", LINUX_AT_FDCWD, "/p", 0), -LINUX_ENOTEMPTY);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/p/q", LINUX_AT_FDCWD, "/q2", 0), 0);
	cr_assert_eq(st("/q2/z", 0, &b), 0);
	cr_assert_eq(st("/p/q/z", 0, &b), -LINUX_ENOENT);
	st("/p", 0, &b);
	cr_assert_eq(b.nlink, 2);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/q2", LINUX_AT_FDCWD, "/p", 0), 0);
	cr_assert_eq(st("/p/z", 0, &b), 0);
	cr_assert_eq(vfs_rename(&ctx, LINUX_AT_FDCWD, "/p/z", LINUX_AT_FDCWD, "/w", LINUX_RENAME_WHITEOUT), 0);
	cr_assert_eq(st("/p/z", 0, &b), 0);
	cr_assert(LINUX_S_ISCHR(b.mode) && b.rdev == 0);
}

Test(vfs, permissions)
{
	struct cred *u = cred_dup(ctx.cred);
	struct vfs_ctx user = ctx;
	struct kstat k;
	struct file *f;

	u->uid = u->euid = u->suid = u->fsuid = 1000;
	u->gid = u->egid = u->sgid = u->fsgid = 1000;
	u->cap_effective = u->cap_permitted = 0;
	user.cred = u;
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/secret", 0700), 0);
	cr_assert_eq(put_text("/secret/f", "x"), 1);
	cr_assert_eq(vfs_stat(&user, LINUX_AT_FDCWD, "/secret/f", 0, &k), -LINUX_EACCES);
	cr_assert_eq(st("/secret/f", 0, &k), 0);
	cr_assert_eq(vfs_open(&user, LINUX_AT_FDCWD, "/new", LINUX_O_CREAT | LINUX_O_RDWR, 0644, 0, &f), -LINUX_EACCES);
	ctx.fs->umask = 0;
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/sticky", 01777), 0);
	cr_assert_eq(put_text("/sticky/root", "x"), 1);
	cr_assert_eq(vfs_unlink(&user, LINUX_AT_FDCWD, "/sticky/root"), -LINUX_EPERM);
	cr_assert_eq(vfs_open(&user, LINUX_AT_FDCWD, "/sticky/mine", LINUX_O_CREAT | LINUX_O_RDWR, 0600, 0, &f), 0);
	file_put(f);
	cr_assert_eq(vfs_unlink(&user, LINUX_AT_FDCWD, "/sticky/mine"), 0);
}

struct names {
	struct dir_emit e;
	char text[256];
};
static bool add_name(struct dir_emit *e, const char *name, size_t len, uint64_t ino, uint8_t type, uint64_t off)
{
	struct names *n = (struct names *)e;

	strncat(n->text, name, len);
	strcat(n->text, " ");
	return true;
}

Test(vfs, readdir_keeps_order_and_place)
{
	struct names n = { .e = { add_name } };
	struct file *f;
	uint64_t pos = 0;
	char name[16];

	for (int k = 0; k < 5; k++) {
		snprintf(name, sizeof(name), "/n%d", k);
		cr_assert_eq(put_text(name, ""), 0);
	}
	cr_assert_eq(vfs_unlink(&ctx, LINUX_AT_FDCWD, "/n2"), 0);
	cr_assert_eq(vfs_open(&ctx, LINUX_AT_FDCWD, "/", LINUX_O_RDONLY | LINUX_O_DIRECTORY, 0, 0, &f), 0);
	cr_assert_eq(f->ops->iterate(f, &n.e, &pos), 0);
	cr_assert_str_eq(n.text, ". .. n0 n1 n3 n4 ");
	n.text[0] = 0;
	cr_assert_eq(put_text("/n9", ""), 0);
	cr_assert_eq(f->ops->iterate(f, &n.e, &pos), 0);
	cr_assert_str_eq(n.text, "n9 ");
	file_put(f);
}

Test(vfs, big_sparse_file)
{
	struct file *f;
	struct uio io;
	struct kstat k;
	uint64_t pos = 10 << 20;
	char buf[8192];
	struct linux_statfs s;

	cr_assert_eq(vfs_open(&ctx, LINUX_AT_FDCWD, "/big", LINUX_O_CREAT | LINUX_O_RDWR, 0644, 0, &f), 0);
	uio_init_kernel(&io, "end", 3);
	cr_assert_eq(vfs_write(f, &io, &pos, 0, UINT64_MAX), 3);
	vfs_getattr(&f->path, &k);
	cr_assert_eq(k.size, (10u << 20) + 3);
	cr_assert_eq(k.blocks, 8);
	cr_assert_eq(vfs_lseek(f, 0, LINUX_SEEK_DATA), 10 << 20);
	cr_assert_eq(vfs_lseek(f, 0, LINUX_SEEK_HOLE), 0);
	cr_assert_eq(vfs_lseek(f, 10 << 20, LINUX_SEEK_HOLE), (10 << 20) + 3);
	memset(buf, 7, sizeof(buf));
	pos = (10 << 20) - 100;
	uio_init_kernel(&io, buf, sizeof(buf));
	cr_assert_eq(vfs_read(f, &io, &pos, 0), 103);
	cr_assert(buf[0] == 0 && buf[99] == 0 && !memcmp(buf + 100, "end", 3));
	cr_assert_eq(vfs_truncate(&ctx, &f->path, f, 100), 0);
	vfs_getattr(&f->path, &k);
	cr_assert_eq(k.blocks, 0);
	cr_assert_eq(vfs_truncate(&ctx, &f->path, f, 10 << 20 | 3), 0);
	pos = 10 << 20;
	uio_init_kernel(&io, buf, 3);
	cr_assert_eq(vfs_read(f, &io, &pos, 0), 3);
	cr_assert(buf[0] == 0 && buf[2] == 0, "what was cut off must not come back");
	file_put(f);
	cr_assert_eq(vfs_unlink(&ctx, LINUX_AT_FDCWD, "/big"), 0);
	ctx.fs->root.mnt->sb->ops->statfs(ctx.fs->root.mnt->sb, NULL, &s);
	cr_assert_eq(s.f_blocks - s.f_bfree, 0);
}

Test(vfs, size_limit)
{
	struct super_block *sb;
	struct path at;
	char *block = calloc(1, 65536);
	struct file *f;
	struct uio io;

	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/m", 0755), 0);
	cr_assert_eq(vfs_lookup(&ctx, LINUX_AT_FDCWD, "/m", 0, &at), 0);
	cr_assert_eq(tmpfs_mount_kernel("x", "size=128k,nr_inodes=4", &sb), 0);
	cr_assert_eq(vfs_mount_sb(ctx.mnt_ns, &at, sb, NULL, 0), 0);
	path_put(&at);
	cr_assert_eq(vfs_open(&ctx, LINUX_AT_FDCWD, "/m/f", LINUX_O_CREAT | LINUX_O_RDWR, 0644, 0, &f), 0);
	for (int k = 0; k < 2; k++) {
		uio_init_kernel(&io, block, 65536);
		cr_assert_eq(vfs_write(f, &io, NULL, 0, UINT64_MAX), 65536);
	}
	uio_init_kernel(&io, block, 65536);
	cr_assert_eq(vfs_write(f, &io, NULL, 0, UINT64_MAX), -LINUX_ENOSPC);
	file_put(f);
	cr_assert_eq(put_text("/m/2", ""), 0);
	cr_assert_eq(put_text("/m/3", ""), 0);
	cr_assert_eq(put_text("/m/4", ""), -LINUX_ENOSPC);
	free(block);
}

static long lookup(const char *p, struct path *out)
{
	return vfs_lookup(&ctx, LINUX_AT_FDCWD, p, WALK_FOLLOW, out);
}

Test(vfs, mounts_bind_propagate_umount)
{
	struct path a, b;
	struct kstat k;
	struct buf text = { 0 };

	vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/src", 0755);
	vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/dst", 0755);
	vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/src/in", 0755);
	lookup("/src", &a);
	cr_assert_eq(mount_new(&ctx, &a, "tmpfs", "one two", "size=64k", LINUX_MS_NOSUID), 0);
	path_put(&a);
	vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/src/sub", 0755);
	lookup("/src", &a);
	cr_assert_eq(mount_set_type(&ctx, &a, LINUX_MS_SHARED, false), 0);
	lookup("/dst", &b);
	cr_assert_eq(mount_bind(&ctx, &a, &b, false), 0);
	path_put(&b);
	path_put(&a);
	/* A mount below one of two peers appears below the other. */
	lookup("/src/sub", &a);
	cr_assert_eq(mount_new(&ctx, &a, "tmpfs", "t", "", 0), 0);
	path_put(&a);
	cr_assert_eq(put_text("/src/sub/f", "x"), 1);
	cr_assert_eq(st("/dst/sub/f", WALK_FOLLOW, &k), 0);
	mount_show(ctx.mnt_ns, &ctx.fs->root, MOUNT_TEXT_INFO, &text);
	cr_assert(strstr(text.data, " / /src rw,nosuid,relatime shared:1 - tmpfs one\\040two rw,size=64k"), "%s", text.data);
	cr_assert(strstr(text.data, " / /dst/sub rw,relatime shared:"), "%s", text.data);
	buf_fini(&text);
	lookup("/src", &a);
	cr_assert_eq(mount_umount(&ctx, &a, 0), -LINUX_EBUSY);
	path_put(&a);
	lookup("/src/sub", &a);
	cr_assert_eq(mount_umount(&ctx, &a, 0), 0);
	path_put(&a);
	cr_assert_eq(st("/dst/sub/f", WALK_FOLLOW, &k), -LINUX_ENOENT);
	lookup("/src", &a);
	cr_assert_eq(mount_umount(&ctx, &a, 0), 0);
	path_put(&a);
	cr_assert_eq(st("/src/in", WALK_FOLLOW, &k), 0);
	lookup("/dst", &a);
	cr_assert_eq(mount_umount(&ctx, &a, 2), 0);
	path_put(&a);
	cr_assert_eq(ctx.mnt_ns->nr_mounts, 1);
}

Test(vfs, namespace_copy_and_pivot)
{
	struct mnt_ns *ns;
	struct vfs_ctx c2 = ctx;
	struct path nr, po, a;
	struct kstat k;

	vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/new", 0755);
	c2.fs = fs_struct_dup(ctx.fs);
	cr_assert_eq(mnt_ns_copy(ctx.mnt_ns, ctx.mnt_ns->user_ns, c2.fs, &ns), 0);
	c2.mnt_ns = ns;
	vfs_lookup(&c2, LINUX_AT_FDCWD, "/new", 0, &a);
	cr_assert_eq(mount_new(&c2, &a, "tmpfs", "n", "", 0), 0);
	path_put(&a);
	vfs_mkdir(&c2, LINUX_AT_FDCWD, "/new/old", 0755);
	cr_assert_eq(st("/new/old", 0, &k), -LINUX_ENOENT, "mounts of a private copy stay there");
	vfs_lookup(&c2, LINUX_AT_FDCWD, "/new", 0, &nr);
	vfs_lookup(&c2, LINUX_AT_FDCWD, "/new/old", 0, &po);
	cr_assert_eq(mount_pivot_root(&c2, &nr, &po), 0);
	path_put(&nr);
	path_put(&po);
	cr_assert_eq(vfs_stat(&c2, LINUX_AT_FDCWD, "/old/new", 0, &k), 0);
	vfs_lookup(&c2, LINUX_AT_FDCWD, "/old", 0, &a);
	cr_assert_eq(mount_umount(&c2, &a, 2), 0);
	path_put(&a);
	cr_assert_eq(vfs_stat(&c2, LINUX_AT_FDCWD, "/old/new", 0, &k), -LINUX_ENOENT);
	fs_struct_put(c2.fs);
	mnt_ns_put(ns);
}

Test(vfs, descriptors)
{
	struct file *f;
	struct fdtable *t = ctx.fds;
	bool put;

	put_text("/f", "x");
	vfs_open(&ctx, LINUX_AT_FDCWD, "/f", LINUX_O_RDONLY, 0, 0, &f);
	for (int k = 0; k < 200; k++)
		cr_assert_eq(fdtable_install(t, f, 0, k & 1, 1024), k);
	cr_assert_eq(fdtable_install(t, f, 0, false, 200), -LINUX_EMFILE);
	cr_assert_eq(fdtable_close(t, 7), 0);
	cr_assert_eq(fdtable_close(t, 7), -LINUX_EBADF);
	cr_assert_eq(fdtable_install(t, f, 0, false, 1024), 7);
	cr_assert_eq(fdtable_install(t, f, 500, false, 1024), 500);
	cr_assert_eq(fdtable_next(t, 200), 500);
	fdtable_close_on_exec(t);
	cr_assert_eq(fdtable_get_cloexec(t, 1), -LINUX_EBADF);
	cr_assert_eq(fdtable_get_cloexec(t, 2), 0);
	cr_assert_eq(fdtable_close_range(t, 0, UINT32_MAX, false), 0);
	cr_assert_eq(fdtable_next(t, 0), -1);
	cr_assert_null(fdget(t, 3, &put));
	cr_assert_eq(atomic_load(&f->ref.n), 1);
	file_put(f);
}

Test(vfs, xattrs_and_acls)
{
	static const uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0, 4, 0, 0, 0, 255, 255, 255, 255,
				       16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255 };
	struct cred *u = cred_dup(ctx.cred);
	struct path p;
	char buf[256];

	put_text("/x", "x");
	lookup("/x", &p);
	cr_assert_eq(vfs_setxattr(&p, "user.a", "v", 1, LINUX_XATTR_REPLACE, ctx.cred), -LINUX_ENODATA);
	cr_assert_eq(vfs_setxattr(&p, "user.a", "val", 3, 0, ctx.cred), 0);
	cr_assert_eq(vfs_setxattr(&p, "user.a", "v", 1, LINUX_XATTR_CREATE, ctx.cred), -LINUX_EEXIST);
	cr_assert_eq(vfs_getxattr(&p, "user.a", buf, 2, ctx.cred), -LINUX_ERANGE);
	cr_assert_eq(vfs_getxattr(&p, "user.a", buf, sizeof(buf), ctx.cred), 3);
	cr_assert_eq(vfs_setxattr(&p, "bad", "v", 1, 0, ctx.cred), -LINUX_EOPNOTSUPP);
	u->uid = u->euid = u->fsuid = 1000;
	u->gid = u->egid = u->fsgid = 1000;
	u->cap_effective = 0;
	cr_assert_eq(vfs_setxattr(&p, "system.posix_acl_access", acl, sizeof(acl), 0, ctx.cred), 0);
	cr_assert_eq(p.dentry->inode->mode & 0777, 0640);
	cr_assert_eq(vfs_permission(p.dentry->inode, LINUX_MAY_READ, u), 0);
	cr_assert_eq(vfs_permission(p.dentry->inode, LINUX_MAY_WRITE, u), -LINUX_EACCES);
	cr_assert_eq(vfs_listxattr(&p, buf, sizeof(buf), u), 7 + 24);
	path_put(&p);
}

Test(vfs, pipe_bytes_and_end)
{
	struct file *p[2];
	struct uio io;
	char buf[100];

	cr_assert_eq(pipe_new(ctx.cred, LINUX_O_NONBLOCK, p), 0);
	uio_init_kernel(&io, buf, 10);
	cr_assert_eq(vfs_read(p[0], &io, NULL, 0), -LINUX_EAGAIN);
	for (int k = 0; k < 3; k++) {
		uio_init_kernel(&io, "abc", 3);
		cr_assert_eq(vfs_write(p[1], &io, NULL, 0, UINT64_MAX), 3);
	}
	cr_assert_eq(vfs_poll(p[0], NULL), LINUX_POLLIN | LINUX_POLLRDNORM);
	uio_init_kernel(&io, buf, sizeof(buf));
	cr_assert_eq(vfs_read(p[0], &io, NULL, 0), 9);
	cr_assert_eq(memcmp(buf, "abcabcabc", 9), 0);
	for (long n = 0, r = 1; r > 0; n += r) {
		uio_init_kernel(&io, buf, 100);
		r = vfs_write(p[1], &io, NULL, 0, UINT64_MAX);
		if (r < 0)
			cr_assert(n >= 65536 - 4096 && n <= 65536, "%ld", n);
	}
	file_put(p[1]);
	cr_assert(vfs_poll(p[0], NULL) & LINUX_POLLHUP);
	file_put(p[0]);
	cr_assert_eq(pipe_new(ctx.cred, 0, p), 0);
	file_put(p[0]);
	uio_init_kernel(&io, "x", 1);
	cr_assert_eq(vfs_write(p[1], &io, NULL, 0, UINT64_MAX), -LINUX_EPIPE);
	file_put(p[1]);
}

Test(vfs, epoll_levels_edges_and_loops)
{
	struct file *p[2], *ep, *ep2;
	struct linux_epoll_event ev = { LINUX_EPOLLIN, 42 }, out[4];
	struct uio io;
	char c;

	cr_assert_eq(pipe_new(ctx.cred, LINUX_O_NONBLOCK, p), 0);
	cr_assert_eq(epoll_new(ctx.cred, &ep), 0);
	cr_assert_eq(epoll_new(ctx.cred, &ep2), 0);
	cr_assert_eq(eventpoll_ctl(ep, LINUX_EPOLL_CTL_ADD, p[0], 3, &ev), 0);
	cr_assert_eq(eventpoll_ctl(ep, LINUX_EPOLL_CTL_ADD, p[0], 3, &ev), -LINUX_EEXIST);
	cr_assert_eq(eventpoll_ctl(ep2, LINUX_EPOLL_CTL_ADD, ep, 4, &ev), 0);
	cr_assert_eq(eventpoll_ctl(ep, LINUX_EPOLL_CTL_ADD, ep2, 5, &ev), -LINUX_ELOOP);
	cr_assert_eq(epoll_wait_events(ep, out, 4, 0), 0);
	uio_init_kernel(&io, "ab", 2);
	vfs_write(p[1], &io, NULL, 0, UINT64_MAX);
	cr_assert_eq(epoll_wait_events(ep2, out, 4, 0), 1);
	for (int k = 0; k < 2; k++) {
		cr_assert_eq(epoll_wait_events(ep, out, 4, 0), 1);
		cr_assert(out[0].data == 42 && out[0].events == LINUX_EPOLLIN);
	}
	ev.events = LINUX_EPOLLIN | LINUX_EPOLLET;
	cr_assert_eq(eventpoll_ctl(ep, LINUX_EPOLL_CTL_MOD, p[0], 3, &ev), 0);
	cr_assert_eq(epoll_wait_events(ep, out, 4, 0), 1);
	cr_assert_eq(epoll_wait_events(ep, out, 4, 0), 0, "an edge is told once");
	uio_init_kernel(&io, "c", 1);
	vfs_write(p[1], &io, NULL, 0, UINT64_MAX);
	cr_assert_eq(epoll_wait_events(ep, out, 4, 0), 1);
	ev.events = LINUX_EPOLLIN | LINUX_EPOLLONESHOT;
	eventpoll_ctl(ep, LINUX_EPOLL_CTL_MOD, p[0], 3, &ev);
	cr_assert_eq(epoll_wait_events(ep, out, 4, 0), 1);
	uio_init_kernel(&io, &c, 1);
	vfs_read(p[0], &io, NULL, 0);
	cr_assert_eq(epoll_wait_events(ep, out, 4, 0), 0);
	file_put(p[0]);	/* leaves the epoll by itself */
	file_put(p[1]);
	file_put(ep);
	file_put(ep2);
}

Test(vfs, record_locks)
{
	struct file *f;
	int a, b;
	struct lock_range r = { LINUX_F_WRLCK, 10, 19, 0 };

	put_text("/l", "x");
	vfs_open(&ctx, LINUX_AT_FDCWD, "/l", LINUX_O_RDWR, 0, 0, &f);
	cr_assert_eq(file_lock_set(f, &a, false, &r, false), 0);
	cr_assert_eq(file_lock_set(f, &b, false, &r, false), -LINUX_EAGAIN);
	r = (struct lock_range){ LINUX_F_UNLCK, 12, 13, 0 };
	cr_assert_eq(file_lock_set(f, &a, false, &r, false), 0);
	r = (struct lock_range){ LINUX_F_WRLCK, 12, 13, 0 };
	cr_assert_eq(file_lock_set(f, &b, false, &r, false), 0);
	r = (struct lock_range){ LINUX_F_RDLCK, 0, INT64_MAX, 0 };
	cr_assert_eq(file_lock_test(f, &b, false, &r), 0);
	cr_assert(r.type == LINUX_F_WRLCK && r.start == 10 && r.end == 11, "%ld %ld", r.start, r.end);
	cr_assert_eq(file_flock(f, LINUX_F_WRLCK, false), 0);
	file_put(f);
}

/* Not an assertion: figures for the report of this area. */
Test(vfs, speed)
{
	struct timespec t0, t1;
	struct kstat k;
	struct file *f;
	const int n = 200000;
	double s;

	vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/usr", 0755);
	vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/usr/lib", 0755);
	vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/usr/lib/x86", 0755);
	put_text("/usr/lib/x86/libc.so", "x");
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 0; i < n; i++)
		cr_expect_eq(st("/usr/lib/x86/libc.so", WALK_FOLLOW, &k), 0);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	s = (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
	cr_log_warn("stat, 4 components: %.0f ns", s / n);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 0; i < n; i++) {
		vfs_open(&ctx, LINUX_AT_FDCWD, "/usr/lib/x86/libc.so", LINUX_O_RDONLY, 0, 0, &f);
		long fd = fdtable_install(ctx.fds, f, 0, false, 1024);

		file_put(f);
		fdtable_close(ctx.fds, (int)fd);
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	s = (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
	cr_log_warn("open + close, 4 components: %.0f ns", s / n);
	{
		char buf[512];

		vfs_open(&ctx, LINUX_AT_FDCWD, "/usr/lib/x86/libc.so", LINUX_O_RDWR, 0, 0, &f);
		vfs_truncate(&ctx, &f->path, f, 4096);
		clock_gettime(CLOCK_MONOTONIC, &t0);
		for (int i = 0; i < n; i++) {
			struct uio io;
			uint64_t pos = 512;

			uio_init_kernel(&io, buf, sizeof(buf));
			vfs_read(f, &io, &pos, 0);
		}
		clock_gettime(CLOCK_MONOTONIC, &t1);
		s = (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
		cr_log_warn("pread 512: %.0f ns", s / n);
		file_put(f);
	}
	cr_assert(s > 0);
}
