/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/init.c - all file systems of this folder, in the order in which they need each other
 */
#include "base/log.h"
#include "sentry/fs/fs.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/tty/tty.h"

static void terminals_init(void)
{
	long ret = pty_init();

	if (ret)
		log_error("terminals: error %ld", -ret);
}

void fs_init_all(void)
{
	static void (*const steps[])(void) = { vfs_init, tmpfs_init, overlay_init, pipe_init, dev_init, sysfs_init, cgroupfs_init, terminals_init,
					mqueue_init };

	for (size_t k = 0; k < ARRAY_SIZE(steps); k++)
		steps[k]();
}
