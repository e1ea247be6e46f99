/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fs_handle.c - name_to_handle_at(2), open_by_handle_at(2)
 *
 * Source:  open_by_handle_at(2); the order of checks is Linux's (test/guest/fs_handle.c).
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/vfs/mount.h"

#define LINUX_MAX_HANDLE_SZ	      128
#define LINUX_AT_HANDLE_MNT_ID_UNIQUE 0x001u
#define LINUX_AT_HANDLE_FID	      0x200u /* to compare, not to open */
#define LINUX_FILEID_INO64_GEN	      0x81
#define LINUX_FILEID_INVALID	      0xff

struct linux_file_handle {
	uint32_t bytes;
	int32_t type;
	/* then: */
	uint32_t ino_low, ino_high, generation;
};
#define HANDLE_HEAD  offsetof(struct linux_file_handle, ino_low)
#define HANDLE_BYTES (sizeof(struct linux_file_handle) - HANDLE_HEAD)

static long put_mount_id(struct task *t, const struct path *p, bool unique, struct gptr umnt)
{
	uint64_t id = mnt_unique_id(p->mnt);
	int32_t old = (int32_t)p->mnt->id;

	return unique ? copyout_obj(t->u, umnt, &id) : copyout_obj(t->u, umnt, &old);
}

static long name_to_handle(struct task *t, const struct path *p, struct gptr uhandle, struct gptr umnt, uint32_t flags)
{
	struct linux_file_handle h = { .bytes = HANDLE_BYTES, .type = LINUX_FILEID_INO64_GEN };
	struct vfs_handle id;
	uint32_t room;
	long ret = vfs_name_to_handle(p, !(flags & LINUX_AT_HANDLE_FID), &id);

	if (ret < 0)
		return ret;
	if (copyin_obj(t->u, &room, uhandle) < 0)
		return -LINUX_EFAULT;
	if (room > LINUX_MAX_HANDLE_SZ)
		return -LINUX_EINVAL;
	h.ino_low = (uint32_t)id.ino;
	h.ino_high = (uint32_t)(id.ino >> 32);
	h.generation = id.generation;
	if (room < HANDLE_BYTES)
		h.type = LINUX_FILEID_INVALID; /* only how much is wanted */
	if (put_mount_id(t, p, flags & LINUX_AT_HANDLE_MNT_ID_UNIQUE, umnt) < 0 ||
	    copyout(t->u, uhandle, &h, room < HANDLE_BYTES ? HANDLE_HEAD : sizeof(h)) < 0)
		return -LINUX_EFAULT;
	return room < HANDLE_BYTES ? -LINUX_EOVERFLOW : 0;
}

SYSCALL_DEFINE5(name_to_handle_at, int, dirfd, struct gptr, upath, struct gptr, uhandle, struct gptr, umnt, uint32_t, flags)
{
	struct path p;
	long ret;

	if (flags & ~(LINUX_AT_SYMLINK_FOLLOW | LINUX_AT_EMPTY_PATH | LINUX_AT_HANDLE_FID | LINUX_AT_HANDLE_MNT_ID_UNIQUE))
		return -LINUX_EINVAL;
	ret = lookup_at(t, dirfd, upath,
			(flags & LINUX_AT_SYMLINK_FOLLOW ? 0 : LINUX_AT_SYMLINK_NOFOLLOW) | (flags & LINUX_AT_EMPTY_PATH), &p);
	if (ret)
		return ret;
	ret = name_to_handle(t, &p, uhandle, umnt, flags);
	path_put(&p);
	return ret;
}

/* The mount that the descriptor, or the working directory, lies on: a path with references. */
static long mount_of(struct task *t, int fd, struct path *out)
{
	struct file *f;
	bool put;

	if (fd == LINUX_AT_FDCWD) {
		mutex_lock(&t->fs->mu);
		*out = t->fs->pwd;
		path_get(out);
		mutex_unlock(&t->fs->mu);
		return 0;
	}
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	*out = f->path;
	if (out->mnt)
		path_get(out);
	fdput(f, put);
	return out->mnt ? 0 : -LINUX_ESTALE;
}

static long open_by_handle(struct task *t, struct mount *m, struct gptr uhandle, uint32_t flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct linux_file_handle h;
	struct file *f;
	long ret;

	if (!cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_DAC_READ_SEARCH))
		return -LINUX_EPERM;
	if (copyin(t->u, &h, uhandle, HANDLE_HEAD) < 0)
		return -LINUX_EFAULT;
	if (h.bytes > LINUX_MAX_HANDLE_SZ || !h.bytes)
		return -LINUX_EINVAL;
	if (h.bytes != HANDLE_BYTES || h.type != LINUX_FILEID_INO64_GEN)
		return -LINUX_ESTALE;
	if (copyin_obj(t->u, &h, uhandle) < 0)
		return -LINUX_EFAULT;
	ret = vfs_open_handle(&ctx, m, &(struct vfs_handle){ h.ino_low | (uint64_t)h.ino_high << 32, h.generation }, flags, &f);
	return ret ?: install_fd(t, f, flags & LINUX_O_CLOEXEC);
}

SYSCALL_DEFINE3(open_by_handle_at, int, mountfd, struct gptr, uhandle, uint32_t, flags)
{
	struct path p;
	long ret = mount_of(t, mountfd, &p);

	if (ret < 0)
		return ret;
	ret = open_by_handle(t, p.mnt, uhandle, flags);
	path_put(&p);
	return ret;
}
