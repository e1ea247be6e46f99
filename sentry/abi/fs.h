/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/fs.h - files as guests see them: flags, modes, structures (open(2), stat(2), statx(2), mount(2))
 */
#ifndef SENTRY_ABI_FS_H
#define SENTRY_ABI_FS_H

#include <stdint.h>

#define LINUX_O_ACCMODE	  00000003u
#define LINUX_O_RDONLY	  00000000u
#define LINUX_O_WRONLY	  00000001u
#define LINUX_O_RDWR	  00000002u
#define LINUX_O_CREAT	  00000100u
#define LINUX_O_EXCL	  00000200u
#define LINUX_O_NOCTTY	  00000400u
#define LINUX_O_TRUNC	  00001000u
#define LINUX_O_APPEND	  00002000u
#define LINUX_O_NONBLOCK  00004000u
#define LINUX_O_DSYNC	  00010000u
#define LINUX_O_ASYNC	  00020000u
#define LINUX_O_DIRECT	  00040000u
#define LINUX_O_LARGEFILE 00100000u
#define LINUX_O_DIRECTORY 00200000u
#define LINUX_O_NOFOLLOW  00400000u
#define LINUX_O_NOATIME	  01000000u
#define LINUX_O_CLOEXEC	  02000000u
#define LINUX_O_SYNC	  (04000000u | LINUX_O_DSYNC)
#define LINUX_O_PATH	  010000000u
#define LINUX_O_TMPFILE	  (020000000u | LINUX_O_DIRECTORY)

#define LINUX_S_IFMT   0170000u
#define LINUX_S_IFSOCK 0140000u
#define LINUX_S_IFLNK  0120000u
#define LINUX_S_IFREG  0100000u
#define LINUX_S_IFBLK  0060000u
#define LINUX_S_IFDIR  0040000u
#define LINUX_S_IFCHR  0020000u
#define LINUX_S_IFIFO  0010000u
#define LINUX_S_ISUID  0004000u
#define LINUX_S_ISGID  0002000u
#define LINUX_S_ISVTX  0001000u

#define LINUX_S_ISREG(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFREG)
#define LINUX_S_ISDIR(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFDIR)
#define LINUX_S_ISLNK(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFLNK)
#define LINUX_S_ISCHR(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFCHR)
#define LINUX_S_ISBLK(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFBLK)
#define LINUX_S_ISFIFO(m) (((m)&LINUX_S_IFMT) == LINUX_S_IFIFO)
#define LINUX_S_ISSOCK(m) (((m)&LINUX_S_IFMT) == LINUX_S_IFSOCK)

#define LINUX_AT_FDCWD		  (-100)
#define LINUX_AT_SYMLINK_NOFOLLOW 0x100u
#define LINUX_AT_EACCESS	  0x200u
#define LINUX_AT_REMOVEDIR	  0x200u
#define LINUX_AT_SYMLINK_FOLLOW	  0x400u
#define LINUX_AT_NO_AUTOMOUNT	  0x800u
#define LINUX_AT_EMPTY_PATH	  0x1000u
#define LINUX_AT_RECURSIVE	  0x8000u

#define LINUX_RENAME_NOREPLACE 1u
#define LINUX_RENAME_EXCHANGE  2u
#define LINUX_RENAME_WHITEOUT  4u

#define LINUX_MAY_EXEC	1u
#define LINUX_MAY_WRITE 2u
#define LINUX_MAY_READ	4u
#define LINUX_MAY_ACCESS 16u /* asked by access(2) */
#define LINUX_MAY_CHDIR	64u  /* by chdir(2) and chroot(2) */

#define LINUX_DT_UNKNOWN 0
#define LINUX_DT_FIFO	 1
#define LINUX_DT_CHR	 2
#define LINUX_DT_DIR	 4
#define LINUX_DT_BLK	 6
#define LINUX_DT_REG	 8
#define LINUX_DT_LNK	 10
#define LINUX_DT_SOCK	 12
#define LINUX_DT_WHT	 14

#define LINUX_POLLIN	 0x0001u
#define LINUX_POLLPRI	 0x0002u
#define LINUX_POLLOUT	 0x0004u
#define LINUX_POLLERR	 0x0008u
#define LINUX_POLLHUP	 0x0010u
#define LINUX_POLLNVAL	 0x0020u
#define LINUX_POLLRDNORM 0x0040u
#define LINUX_POLLRDBAND 0x0080u
#define LINUX_POLLWRNORM 0x0100u
#define LINUX_POLLWRBAND 0x0200u
#define LINUX_POLLMSG	 0x0400u
#define LINUX_POLLRDHUP	 0x2000u

#define LINUX_RWF_HIPRI	 1u
#define LINUX_RWF_DSYNC	 2u
#define LINUX_RWF_SYNC	 4u
#define LINUX_RWF_NOWAIT 8u
#define LINUX_RWF_APPEND 16u

/* mount flags: MS_* of mount(2); a struct mount keeps those that are per mount */
#define LINUX_MS_RDONLY	     1u
#define LINUX_MS_NOSUID	     2u
#define LINUX_MS_NODEV	     4u
#define LINUX_MS_NOEXEC	     8u
#define LINUX_MS_SYNCHRONOUS 16u
#define LINUX_MS_REMOUNT     32u
#define LINUX_MS_MANDLOCK    64u
#define LINUX_MS_DIRSYNC     128u
#define LINUX_MS_NOSYMFOLLOW 256u
#define LINUX_MS_NOATIME     1024u
#define LINUX_MS_NODIRATIME  2048u
#define LINUX_MS_BIND	     4096u
#define LINUX_MS_MOVE	     8192u
#define LINUX_MS_REC	     16384u
#define LINUX_MS_SILENT	     32768u
#define LINUX_MS_UNBINDABLE  (1u << 17)
#define LINUX_MS_PRIVATE     (1u << 18)
#define LINUX_MS_SLAVE	     (1u << 19)
#define LINUX_MS_SHARED	     (1u << 20)
#define LINUX_MS_RELATIME    (1u << 21)
#define LINUX_MS_STRICTATIME (1u << 24)
#define LINUX_MS_LAZYTIME    (1u << 25)

/* dev_t as stat(2) and mknod(2) carry it (makedev(3)) */
#define LINUX_MKDEV(maj, min)                                                                      \
	((((uint64_t)(maj)&0xfffu) << 8) | ((uint64_t)(min)&0xffu) | (((uint64_t)(min) & ~0xffull) << 12) |           \
	 (((uint64_t)(maj) & ~0xfffull) << 32))
#define LINUX_MAJOR(d) ((uint32_t)((((d) >> 8) & 0xfffu) | (((d) >> 32) & ~0xfffull)))
#define LINUX_MINOR(d) ((uint32_t)(((d)&0xffu) | (((d) >> 12) & 0xffffff00ull)))

#define LINUX_SEEK_SET	0
#define LINUX_SEEK_CUR	1
#define LINUX_SEEK_END	2
#define LINUX_SEEK_DATA 3
#define LINUX_SEEK_HOLE 4

/* inotify(7) */
#define LINUX_IN_ACCESS	       0x001u
#define LINUX_IN_MODIFY	       0x002u
#define LINUX_IN_ATTRIB	       0x004u
#define LINUX_IN_CLOSE_WRITE   0x008u
#define LINUX_IN_CLOSE_NOWRITE 0x010u
#define LINUX_IN_OPEN	       0x020u
#define LINUX_IN_MOVED_FROM    0x040u
#define LINUX_IN_MOVED_TO      0x080u
#define LINUX_IN_CREATE	       0x100u
#define LINUX_IN_DELETE	       0x200u
#define LINUX_IN_DELETE_SELF   0x400u
#define LINUX_IN_MOVE_SELF     0x800u
#define LINUX_IN_ALL_EVENTS    0xfffu
#define LINUX_IN_UNMOUNT       0x2000u
#define LINUX_IN_Q_OVERFLOW    0x4000u
#define LINUX_IN_IGNORED       0x8000u
#define LINUX_IN_ONLYDIR       0x01000000u
#define LINUX_IN_DONT_FOLLOW   0x02000000u
#define LINUX_IN_EXCL_UNLINK   0x04000000u
#define LINUX_IN_MASK_CREATE   0x10000000u
#define LINUX_IN_MASK_ADD      0x20000000u
#define LINUX_IN_ISDIR	       0x40000000u
#define LINUX_IN_ONESHOT       0x80000000u

/* memfd seals, fcntl(2) */
#define LINUX_F_SEAL_SEAL	  1u
#define LINUX_F_SEAL_SHRINK	  2u
#define LINUX_F_SEAL_GROW	  4u
#define LINUX_F_SEAL_WRITE	  8u
#define LINUX_F_SEAL_FUTURE_WRITE 16u
#define LINUX_F_SEAL_EXEC	  32u

/* fallocate(2) */
#define LINUX_FALLOC_FL_KEEP_SIZE      0x01u
#define LINUX_FALLOC_FL_PUNCH_HOLE     0x02u
#define LINUX_FALLOC_FL_COLLAPSE_RANGE 0x08u
#define LINUX_FALLOC_FL_ZERO_RANGE     0x10u
#define LINUX_FALLOC_FL_INSERT_RANGE   0x20u
#define LINUX_FALLOC_FL_UNSHARE_RANGE  0x40u

/* statx(2) */
#define LINUX_STATX_TYPE	   0x0001u
#define LINUX_STATX_MODE	   0x0002u
#define LINUX_STATX_NLINK	   0x0004u
#define LINUX_STATX_UID		   0x0008u
#define LINUX_STATX_GID		   0x0010u
#define LINUX_STATX_ATIME	   0x0020u
#define LINUX_STATX_MTIME	   0x0040u
#define LINUX_STATX_CTIME	   0x0080u
#define LINUX_STATX_INO		   0x0100u
#define LINUX_STATX_SIZE	   0x0200u
#define LINUX_STATX_BLOCKS	   0x0400u
#define LINUX_STATX_BASIC_STATS	   0x07ffu
#define LINUX_STATX_BTIME	   0x0800u
#define LINUX_STATX_MNT_ID	   0x1000u
#define LINUX_STATX_MNT_ID_UNIQUE  0x4000u
#define LINUX_STATX__RESERVED	   0x80000000u
#define LINUX_STATX_ATTR_IMMUTABLE 0x10u
#define LINUX_STATX_ATTR_APPEND	   0x20u
#define LINUX_STATX_ATTR_MOUNT_ROOT 0x2000u

struct linux_statfs {
	int64_t f_type, f_bsize;
	uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree;
	int32_t f_fsid[2];
	int64_t f_namelen, f_frsize, f_flags, f_spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "statfs(2)");

#endif
