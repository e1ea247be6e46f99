/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/stat.h - stat(2), statx(2), getdents(2), openat2(2), fcntl(2) structures and numbers, x86-64
 */
#ifndef SENTRY_ABI_STAT_H
#define SENTRY_ABI_STAT_H

#include <stddef.h>
#include <stdint.h>

struct linux_stat {
	uint64_t st_dev, st_ino, st_nlink;
	uint32_t st_mode, st_uid, st_gid, pad0;
	uint64_t st_rdev;
	int64_t st_size, st_blksize, st_blocks;
	uint64_t st_atime, st_atime_nsec, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec;
	int64_t unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "stat(2)");

struct linux_statx_timestamp {
	int64_t sec;
	uint32_t nsec;
	int32_t pad;
};
struct linux_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad0;
	uint64_t ino, size, blocks, attributes_mask;
	struct linux_statx_timestamp atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mnt_id;
	uint32_t dio_mem_align, dio_offset_align;
	uint64_t pad1[12];
};
_Static_assert(sizeof(struct linux_statx) == 256, "statx(2)");

struct linux_dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};
struct linux_dirent {
	uint64_t ino, off;
	uint16_t reclen;
	char name[];	/* the type is the last byte of the record */
};

struct linux_open_how {
	uint64_t flags, mode, resolve;
};
#define LINUX_RESOLVE_NO_XDEV	    0x01u
#define LINUX_RESOLVE_NO_MAGICLINKS 0x02u
#define LINUX_RESOLVE_NO_SYMLINKS   0x04u
#define LINUX_RESOLVE_BENEATH	    0x08u
#define LINUX_RESOLVE_IN_ROOT	    0x10u
#define LINUX_RESOLVE_CACHED	    0x20u

struct linux_flock {
	int16_t type, whence;
	int32_t pad;
	int64_t start, len;
	int32_t pid, pad1;
};
_Static_assert(sizeof(struct linux_flock) == 32, "fcntl(2)");

struct linux_f_owner_ex {
	int32_t type, pid;
};

#define LINUX_F_DUPFD	       0
#define LINUX_F_GETFD	       1
#define LINUX_F_SETFD	       2
#define LINUX_F_GETFL	       3
#define LINUX_F_SETFL	       4
#define LINUX_F_GETLK	       5
#define LINUX_F_SETLK	       6
#define LINUX_F_SETLKW	       7
#define LINUX_F_SETOWN	       8
#define LINUX_F_GETOWN	       9
#define LINUX_F_SETSIG	       10
#define LINUX_F_GETSIG	       11
#define LINUX_F_SETOWN_EX      15
#define LINUX_F_GETOWN_EX      16
#define LINUX_F_GETOWNER_UIDS  17
#define LINUX_F_OFD_GETLK      36
#define LINUX_F_OFD_SETLK      37
#define LINUX_F_OFD_SETLKW     38
#define LINUX_F_SETLEASE       1024
#define LINUX_F_GETLEASE       1025
#define LINUX_F_NOTIFY	       1026
#define LINUX_F_DUPFD_QUERY    1027
#define LINUX_F_CREATED_QUERY  1028
#define LINUX_F_DUPFD_CLOEXEC  1030
#define LINUX_F_SETPIPE_SZ     1031
#define LINUX_F_GETPIPE_SZ     1032
#define LINUX_F_ADD_SEALS      1033
#define LINUX_F_GET_SEALS      1034
#define LINUX_F_GET_RW_HINT    1035
#define LINUX_F_SET_RW_HINT    1036
#define LINUX_F_GET_FILE_RW_HINT 1037
#define LINUX_F_SET_FILE_RW_HINT 1038
#define LINUX_FD_CLOEXEC       1
#define LINUX_F_OWNER_TID      0
#define LINUX_F_OWNER_PID      1
#define LINUX_F_OWNER_PGRP     2

#define LINUX_LOCK_SH 1
#define LINUX_LOCK_EX 2
#define LINUX_LOCK_NB 4
#define LINUX_LOCK_UN 8

#define LINUX_CLOSE_RANGE_UNSHARE 2u
#define LINUX_CLOSE_RANGE_CLOEXEC 4u

#define LINUX_RLIMIT_FSIZE  1
#define LINUX_RLIMIT_NOFILE 7

#endif
