/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/boot.h - between main.c, the control server and the making of containers
 */
#ifndef SENTRY_BOOT_H
#define SENTRY_BOOT_H

#include "base/err.h"
#include "control.pb-c.h"
#include "sentry/boot/boot_args.h"
#include "sentry/task/container.h"
#include "ttrpc.h"

/* The descriptors of one request, by role; what is not taken is closed with the request. */
struct boot_fds {
	struct ttrpc_call *call;
	const Runsc__Control__V1__FdRole *roles;
	size_t nr;
};
/* The next one of @role, moved to the caller; -1 when there is none. */
int boot_fd_take(struct boot_fds *f, Runsc__Control__V1__FdRole role);

/* stdio.c: fills process_stdio_hook */
void stdio_init(void);

/* create.c */
/* Takes over what @r (may be NULL) says; -LINUX_EINVAL: a list that is too long. */
long boot_limits_set(struct container *c, const Runsc__Control__V1__Resources *r);
void boot_create_container(struct ttrpc_call *call, const Runsc__Control__V1__CreateContainerRequest *q);
void boot_exec(struct ttrpc_call *call, const Runsc__Control__V1__ExecRequest *q);

/* chan.c: listens to the holder of @c's init channel. @fd is borrowed. */
void boot_chan_watch(struct container *c, int fd);

/* network.c: the namespace that the host's links are in; of the sandbox's first container, and made when first asked for.
 * A reference, NULL = no memory. */
struct net_ns_ref *boot_network_get(void);
struct net_ns_ref *boot_network_new(void);	/* another one, loopback up */
void boot_port_forward(struct ttrpc_call *call, const Runsc__Control__V1__PortForwardRequest *q); /* answers @call */
void boot_set_network(struct ttrpc_call *call, const Runsc__Control__V1__SetNetworkRequest *q);

/* ends.c: exit records, and the end of the sandbox after its last container. */
void boot_ends_init(const char *sandbox_id);		/* borrowed for good */
void boot_record_add(const char *id, int fd);		/* FD_EXIT of a container that was created; moved, -1 is fine */
void boot_record_drop(const char *id);			/* it will not start any more */
void boot_container_started(struct container *c);

/* debug.c */
#define DEBUG_TEXT_MAX (3u << 20) /* a ttrpc answer holds 4 MiB */
void boot_debug_init(const struct boot_args *a);
void boot_debug(struct ttrpc_call *call, const Runsc__Control__V1__DebugRequest *q);

/* settle.c. "HOME=..." for @uid from the container's /etc/passwd, "HOME=/" when it is not there; the caller frees it, NULL = no memory.
 * (sleeps) */
char *boot_home(struct container *c, uint32_t uid);
/* 0, or -LINUX_E* with a sentence in @e; a setting that this kernel does not have is logged and left out. */
long boot_set_sysctls(struct container *c, Runsc__Control__V1__Sysctl *const *v, size_t n, struct err *e);

/* What a container is made with, beside its mounts: references. */
struct ns_set {
	struct uts_ns *uts;
	struct ipc_ns *ipc;
	struct net_ns_ref *net;
	struct pid_ns *pid;
	struct cgroup_ns *cgroup;	/* always one of its own */
};

/* rootfs.c: the container's mount namespace as the request describes it. @gofer: 9P socket, moved; @ns: what its /proc, mqueue and
 * cgroups show. (sleeps)
 * 0 with a namespace and a root path (references), or -LINUX_E* with a sentence in @e. */
long rootfs_make(const Runsc__Control__V1__CreateContainerRequest *q, int gofer, const struct ns_set *ns, struct mnt_ns **out,
		 struct path *out_root, struct err *e);

#endif
