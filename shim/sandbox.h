/* SPDX-License-Identifier: Apache-2.0
 * shim/sandbox.h - the Sandbox API (containerd's sandboxer = "shim")
 */
#ifndef SHIM_SANDBOX_H
#define SHIM_SANDBOX_H

#include "shim/shim.h"

/* In the bundle. Not "rootfs": containerd removes that one itself and wants it empty. */
#define PAUSE_ROOT "runsc-pause"

/* The smallest program that sleeps until it is told to end: what a pod without pause image runs first. */
extern const uint8_t pause_elf[];
extern const size_t pause_elf_len;

/* What CreateSandbox makes of its request: an OCI configuration, malloc'ed, NULL with @e. */
char *sandbox_spec_json(const char *id, const char *netns, const char *hostname, const char *cgroup_parent,
			const char *const *annotations, size_t nr_annotations, struct err *e);

#endif
