/* SPDX-License-Identifier: Apache-2.0
 * shim/task_internal.h - shared by the task_*.c files only
 */
#ifndef SHIM_TASK_INTERNAL_H
#define SHIM_TASK_INTERNAL_H

#include "shim/shim.h"

/* Opens the streams that @p names; p->io is set on success. */
int process_open_stdio(struct process *p, struct err *e);
/* Waits until the output of a process that does not run any more was copied, at most 10 s. */
void process_drain(struct process *p);

#endif
