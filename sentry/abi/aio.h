/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/aio.h - Linux asynchronous I/O as guests see it (io_submit(2), io_getevents(2))
 */
#ifndef SENTRY_ABI_AIO_H
#define SENTRY_ABI_AIO_H

#include <stdint.h>

#define LINUX_IOCB_CMD_PREAD   0
#define LINUX_IOCB_CMD_PWRITE  1
#define LINUX_IOCB_CMD_FSYNC   2
#define LINUX_IOCB_CMD_FDSYNC  3
#define LINUX_IOCB_CMD_POLL    5
#define LINUX_IOCB_CMD_PREADV  7
#define LINUX_IOCB_CMD_PWRITEV 8
#define LINUX_IOCB_FLAG_RESFD  1u

struct linux_iocb {
	uint64_t data;
	uint32_t key, rw_flags;
	uint16_t opcode;
	int16_t reqprio;
	uint32_t fd;
	uint64_t buf, nbytes;
	int64_t offset;
	uint64_t reserved2;
	uint32_t flags, resfd;
};
_Static_assert(sizeof(struct linux_iocb) == 64, "iocb");

struct linux_io_event {
	uint64_t data, obj;
	int64_t res, res2;
};
_Static_assert(sizeof(struct linux_io_event) == 32, "io_event");

struct linux_aio_sigset {
	uint64_t mask, size;
};

#endif
