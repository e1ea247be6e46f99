/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/mm_hooks.h - see mm_hooks.c
 */
#ifndef SENTRY_MM_HOOKS_H
#define SENTRY_MM_HOOKS_H

void mm_hooks_init(void); /* once, at start */

#endif
