/* SPDX-License-Identifier: Apache-2.0
 * sentry/cgroup/device.h - which devices the processes of a group may use: programs attached to it
 *
 * Model:   a program is extended BPF of type CGROUP_DEVICE, as container runtimes load it, checked when it is loaded: it may compute, read
 *          its context and jump forward, so that it ends after at most as many steps as it has. All programs in force for a group must
 *          agree.
 * Locks:   cgroup_mu: what is attached where, and which programs exist. A program itself is immutable.
 * Source:  bpf(2), "eBPF Instruction Set" and "Device controller" of "Control Group v2" in the kernel's documentation.
 * Limits:  DEVPROGS_MAX programs of a sandbox, DEVPROG_INSNS_MAX instructions of one, CGROUP_PROGS_MAX of one group.
 * Differs: no maps, helpers, stack, calls or loops; a program that reads a register before it wrote it finds 0 there.
 */
#ifndef SENTRY_CGROUP_DEVICE_H
#define SENTRY_CGROUP_DEVICE_H

#include "sentry/cgroup/cgroup.h"

#define DEVPROGS_MAX	  4096u
#define DEVPROG_INSNS_MAX 4096u
#define CGROUP_PROGS_MAX  64u

struct ebpf_insn {
	uint8_t code;
	uint8_t regs;	/* low half: destination */
	int16_t off;
	int32_t imm;
};
_Static_assert(sizeof(struct ebpf_insn) == 8, "struct bpf_insn");

struct devprog {
	struct refcount ref;
	struct list node;	/* of all; guarded by cgroup_mu */
	uint32_t type, id, uid;	/* type: BPF_PROG_TYPE_*; only CGROUP_DEVICE can be attached */
	uint64_t load_ns;	/* CLOCK_BOOTTIME */
	char name[16];
	uint32_t nr;
	struct ebpf_insn insn[];
};

/* @code: @nr instructions, copied. -LINUX_EINVAL: not such a program; -LINUX_E2BIG, -LINUX_ENOMEM. */
long devprog_new(uint32_t type, const struct ebpf_insn *code, uint32_t nr, const char name[16], uint32_t uid, struct devprog **out);
struct devprog *devprog_get(struct devprog *p);
void devprog_put(struct devprog *p);	/* takes cgroup_mu; NULL is fine */
struct devprog *devprog_by_id(uint32_t id, bool next);	/* a reference, or NULL; @next: the first with a greater id */

#define DEVICE_BLOCK 1u
#define DEVICE_CHAR  2u
#define DEVICE_MKNOD 1u
#define DEVICE_READ  2u
#define DEVICE_WRITE 4u
struct device_access {
	uint32_t access_type;	/* DEVICE_MKNOD.. << 16 | DEVICE_BLOCK.. */
	uint32_t major, minor;
};
bool devprog_allows(const struct devprog *p, const struct device_access *a);
bool cgroup_device_allowed(struct cgroup *cg, const struct device_access *a);

#define ATTACH_OVERRIDE 1u	/* groups below may have one of their own instead */
#define ATTACH_MULTI	2u	/* several, and groups below add theirs */
#define ATTACH_REPLACE	4u
/* -LINUX_EINVAL, -LINUX_EPERM (flags of others say no), -LINUX_E2BIG, -LINUX_ENOENT (@replace is not attached), -LINUX_ENODEV */
long cgroup_attach_device(struct cgroup *cg, struct devprog *p, struct devprog *replace, uint32_t flags);
long cgroup_detach_device(struct cgroup *cg, struct devprog *p);	/* NULL: the only one; -LINUX_ENOENT */
/* Ids of what is attached, or with @effective in force: how many, of which at most @cap are written. */
uint32_t cgroup_query_devices(struct cgroup *cg, bool effective, uint32_t *ids, uint32_t cap, uint32_t *out_flags);
void cgroup_forget_devices(struct cgroup *cg);	/* it was removed; without locks */

#endif
