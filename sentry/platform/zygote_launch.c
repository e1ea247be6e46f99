/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/zygote_launch.c - `runsc zygote`: become the container's first process
 *
 * Model:   the caller (lifecycle library) has put this process into its namespaces and cgroup, with the handshake socket
 *          as descriptor 3. The freestanding image goes into a sealed memfd and is executed from there: no file on
 *          the host is involved, and nobody can change it any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "mains.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

extern const char zygote_blob[], zygote_blob_end[];

static int blob_fd(void)
{
	/* MFD_EXEC is refused by kernels before 6.3, and needed on some later ones. */
	int fd = memfd_create("zygote", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("zygote", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

int zygote_launch_main(int argc, char **argv)
{
	char *const args[] = { "zygote", NULL }, *const env[] = { NULL };
	int fd = blob_fd();

	if (fd < 0) {
		log_error("zygote: memfd_create: %s", strerror(errno));
		return 1;
	}
	if (write_full(fd, zygote_blob, (size_t)(zygote_blob_end - zygote_blob)) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)) {
		log_error("zygote: cannot write its image: %s", strerror(errno));
		return 1;
	}
	syscall(SYS_execveat, fd, "", args, env, AT_EMPTY_PATH);
	log_error("zygote: cannot execute its image: %s", strerror(errno));
	return 1;
}
