/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/sigio.h - SIGIO: signals to the owners of files
 */
#ifndef SENTRY_SIGIO_H
#define SENTRY_SIGIO_H

long sigio_init(void); /* at boot, once kthreads can run: fills vfs_send_sigio. 0 or -LINUX_ENOMEM */

#endif
