/* SPDX-License-Identifier: Apache-2.0
 * test/unit/vfs/stress_test.c - walks, renames, creations, mounts and evictions at once on several workers
 *
 * Nothing is asserted but what must hold in every order: errors are of the expected kinds, counts come out even, nothing crashes.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sentry/fs/fs.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/mount.h"

#define THREADS 6
#define ROUNDS	4000

static struct vfs_ctx ctx;
static _Atomic int done;
extern _Atomic uint32_t dcache_max, dcache_count;

static void setup(void)
{
	struct super_block *sb;
	struct path root;

	fs_init_all();
	cr_assert_eq(run_start(4), 0);
	cr_assert_eq(tmpfs_mount_kernel("rootfs", "mode=755", &sb), 0);
	cr_assert_eq(mnt_ns_new(sb, 0, &init_user_ns, &ctx.mnt_ns, &root), 0);
	ctx.cred = cred_new_root();
	ctx.fs = fs_struct_new(&root, &root, 022);
	ctx.fds = fdtable_new();
	path_put(&root);
}

TestSuite(stress, .init = setup, .timeout = 60);

static void await(int n)
{
	while (atomic_load(&done) < n)
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

static void one_round(int me, int i, uint32_t *rnd)
{
	char a[64], b[64];
	struct kstat k;
	struct file *f;
	struct path p;
	long ret;

	*rnd = *rnd * 1103515245u + 12345;
	snprintf(a, sizeof(a), "/d%u/e%u/f%u", *rnd >> 8 & 3, *rnd >> 10 & 3, *rnd >> 12 & 7);
	snprintf(b, sizeof(b), "/d%u/e%u/f%u", *rnd >> 15 & 3, *rnd >> 17 & 3, *rnd >> 19 & 7);
	switch (*rnd >> 24 & 15) {
	case 0:
	case 1:
		ret = vfs_rename(&ctx, LINUX_AT_FDCWD, a, LINUX_AT_FDCWD, b, *rnd >> 22 & 1 ? LINUX_RENAME_EXCHANGE : 0);
		cr_assert(ret == 0 || ret == -LINUX_ENOENT, "rename %ld", ret);
		break;
	case 2:
		ret = vfs_unlink(&ctx, LINUX_AT_FDCWD, a);
		cr_assert(ret == 0 || ret == -LINUX_ENOENT, "unlink %ld", ret);
		break;
	case 3:
	case 4:
		ret = vfs_open(&ctx, LINUX_AT_FDCWD, a, LINUX_O_CREAT | LINUX_O_RDWR, 0644, 0, &f);
		cr_assert(ret == 0 || ret == -LINUX_ENOENT, "create %ld", ret);
		if (!ret)
			file_put(f);
		break;
	case 5:	/* directories move too */
		a[6] = b[6] = 0;
		ret = vfs_rename(&ctx, LINUX_AT_FDCWD, a, LINUX_AT_FDCWD, b, LINUX_RENAME_EXCHANGE);
		cr_assert(ret == 0 || ret == -LINUX_ENOENT, "exchange %ld", ret);
		break;
	case 6:
		ret = vfs_link(&ctx, LINUX_AT_FDCWD, a, LINUX_AT_FDCWD, b, 0);
		cr_assert(ret == 0 || ret == -LINUX_ENOENT || ret == -LINUX_EEXIST, "link %ld", ret);
		break;
	case 7:
		ret = vfs_lookup(&ctx, LINUX_AT_FDCWD, a, WALK_FOLLOW, &p);
		if (!ret) {
			char text[256];

			cr_assert_gt(vfs_path_text(&p, &ctx.fs->root, text, sizeof(text)), 0);
			path_put(&p);
		}
		break;
	case 8:
		snprintf(b, sizeof(b), "/own%d", me);
		ret = vfs_mkdir(&ctx, LINUX_AT_FDCWD, b, 0755);
		cr_assert(ret == 0 || ret == -LINUX_EEXIST, "mkdir %ld", ret);
		cr_assert_eq(vfs_rmdir(&ctx, LINUX_AT_FDCWD, b), 0);
		break;
	default:
		ret = vfs_stat(&ctx, LINUX_AT_FDCWD, a, WALK_FOLLOW, &k);
		cr_assert(ret == 0 || ret == -LINUX_ENOENT, "stat %ld", ret);
	}
}

static void worker(void *arg)
{
	int me = (int)(intptr_t)arg;
	uint32_t rnd = 77u * (uint32_t)me + 1;

	for (int i = 0; i < ROUNDS; i++) {
		one_round(me, i, &rnd);
		if (i % 64 == 0)
			kthread_yield();
	}
	atomic_fetch_add(&done, 1);
}

Test(stress, names)
{
	struct linux_statfs s;
	char p[32];

	for (int d = 0; d < 4; d++) {
		snprintf(p, sizeof(p), "/d%d", d);
		cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, p, 0755), 0);
		for (int e = 0; e < 4; e++) {
			snprintf(p, sizeof(p), "/d%d/e%d", d, e);
			cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, p, 0755), 0);
		}
	}
	dcache_max = 40;	/* evict all the time */
	for (int k = 0; k < THREADS; k++)
		cr_assert(kthread_start(worker, (void *)(intptr_t)k, "stress"));
	await(THREADS);
	for (int d = 0; d < 4; d++)
		for (int e = 0; e < 4; e++) {
			for (int f = 0; f < 8; f++) {
				snprintf(p, sizeof(p), "/d%d/e%d/f%d", d, e, f);
				vfs_unlink(&ctx, LINUX_AT_FDCWD, p);
			}
			snprintf(p, sizeof(p), "/d%d/e%d", d, e);
			cr_assert_eq(vfs_rmdir(&ctx, LINUX_AT_FDCWD, p), 0);
		}
	ctx.fs->root.mnt->sb->ops->statfs(ctx.fs->root.mnt->sb, NULL, &s);
	cr_assert_eq(s.f_files - s.f_ffree, 5, "only the root and /d0../d3 are left, not %lu", s.f_files - s.f_ffree);
}

static struct file *pp[2];
static _Atomic long moved;

static void pipe_reader(void *arg)
{
	char buf[777];
	struct uio io;
	long n;

	do {
		uio_init_kernel(&io, buf, sizeof(buf));
		n = vfs_read(pp[0], &io, NULL, 0);
		if (n > 0)
			atomic_fetch_add(&moved, n);
	} while (n > 0);
	cr_assert_eq(n, 0);
	atomic_fetch_add(&done, 1);
}

static _Atomic int writers = 3;

static void pipe_writer(void *arg)
{
	static char big[100000];
	struct uio io;

	for (int k = 0; k < 40; k++) {
		size_t n = (size_t)(k * 2500) % sizeof(big) + 1;

		uio_init_kernel(&io, big, n);
		cr_assert_eq(vfs_write(pp[1], &io, NULL, 0, UINT64_MAX), (long)n);
		atomic_fetch_sub(&moved, (long)n);
	}
	if (atomic_fetch_sub(&writers, 1) == 1)
		file_put(pp[1]);
	atomic_fetch_add(&done, 1);
}

Test(stress, pipe_many_readers_and_writers)
{
	cr_assert_eq(pipe_new(ctx.cred, 0, pp), 0);
	for (int k = 0; k < 3; k++) {
		cr_assert(kthread_start(pipe_reader, NULL, "reader"));
		cr_assert(kthread_start(pipe_writer, NULL, "writer"));
	}
	await(6);
	cr_assert_eq(atomic_load(&moved), 0);
}

static void mounter(void *arg)
{
	struct path at;

	for (int k = 0; k < 300; k++) {
		cr_assert_eq(vfs_lookup(&ctx, LINUX_AT_FDCWD, "/m", 0, &at), 0);
		cr_assert_eq(mount_new(&ctx, &at, "tmpfs", "t", "size=64k", 0), 0);
		path_put(&at);
		cr_assert_eq(vfs_lookup(&ctx, LINUX_AT_FDCWD, "/m", 0, &at), 0);
		cr_assert_eq(mount_umount(&ctx, &at, 2), 0);
		path_put(&at);
	}
	atomic_fetch_add(&done, 1);
}

static void visitor(void *arg)
{
	struct kstat k;
	struct file *f;

	for (int n = 0; n < 3000; n++) {
		cr_assert_eq(vfs_stat(&ctx, LINUX_AT_FDCWD, "/m/.", WALK_FOLLOW, &k), 0);
		if (vfs_open(&ctx, LINUX_AT_FDCWD, "/m/x", LINUX_O_CREAT | LINUX_O_RDWR, 0600, 0, &f) == 0)
			file_put(f);
	}
	atomic_fetch_add(&done, 1);
}

Test(stress, mounts_come_and_go)
{
	cr_assert_eq(vfs_mkdir(&ctx, LINUX_AT_FDCWD, "/m", 0755), 0);
	cr_assert(kthread_start(mounter, NULL, "mounter"));
	for (int k = 0; k < 3; k++)
		cr_assert(kthread_start(visitor, NULL, "visitor"));
	await(4);
	cr_assert_eq(ctx.mnt_ns->nr_mounts, 1);
}
