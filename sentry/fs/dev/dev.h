/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/dev/dev.h - device nodes and their drivers
 */
#ifndef SENTRY_FS_DEV_H
#define SENTRY_FS_DEV_H

#include "sentry/vfs/vfs.h"

void dev_mem_init(void);

#endif
