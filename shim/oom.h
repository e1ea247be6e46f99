/* SPDX-License-Identifier: Apache-2.0
 * shim/oom.h - out-of-memory kills of one container
 *
 * Model:   a count in the container's own cgroup: memory.events oom_kill (v2), memory.oom_control oom_kill
 *          (v1). The watch tells when it may have grown; growth is reported once.
 */
#ifndef SHIM_OOM_H
#define SHIM_OOM_H

#include "base/util.h"
#include "ttrpc_loop.h"

struct oom_watch;

/* @dir: the container's memory cgroup (borrowed until the call returns). @fn runs on the loop's thread for
 * each growth. NULL when it cannot be watched; the caller goes on without. */
struct oom_watch *oom_watch_new(struct evloop *loop, const char *dir, bool v2, void (*fn)(void *arg),
				void *arg);
/* Starts and stops the calls of fn. oom_watch_stop(): loop's thread. */
void oom_watch_stop(struct oom_watch *w);
void oom_watch_free(struct oom_watch *w); /* stopped, or never called again otherwise; NULL is fine */
/* True when kills happened that nobody has been told of; they count as told then. Any thread. NULL: false. */
bool oom_killed_now(struct oom_watch *w);

#endif
