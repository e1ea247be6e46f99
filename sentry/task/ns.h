/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/ns.h - namespaces of a task: uts, ipc, net, mnt, pid for children, user, cgroup
 *
 * Model:   struct nsproxy is immutable once published, unshare(2) and setns(2) install a new one. The network namespace belongs
 *          to the socket layer and the IPC tables to ipc/, which fill in ops.
 * Source:  namespaces(7), uts_namespaces(7), ioctl_ns(2).
 */
#ifndef SENTRY_NS_H
#define SENTRY_NS_H

#include "sentry/task/task.h"

#define UTS_LEN 64 /* bytes without the NUL, uname(2) */

struct uts_ns {
	struct refcount ref;
	struct user_ns *user_ns;	/* reference */
	uint64_t ino;
	struct mutex mu;		/* leaf */
	char nodename[UTS_LEN + 1], domainname[UTS_LEN + 1]; /* guarded by mu */
};
struct uts_ns *uts_ns_new(struct user_ns *user_ns, const char *nodename, const char *domainname);
struct uts_ns *uts_ns_get(struct uts_ns *ns);
void uts_ns_put(struct uts_ns *ns);

/* Namespace kinds of /proc/PID/ns. */
enum ns_kind { NS_MNT, NS_UTS, NS_IPC, NS_NET, NS_PID, NS_PID_CHILDREN, NS_USER, NS_CGROUP, NS_KINDS };
struct ns_ref {
	enum ns_kind kind;
	void *ns;		/* one reference */
};

/* What the owners of a kind provide. All but create are required where the kind exists. */
struct ns_kind_ops {
	const char *name;			/* file in /proc/PID/ns: "net" */
	uint64_t clone_flag;			/* LINUX_CLONE_NEW*; 0 none */
	void *(*get)(void *ns);
	void (*put)(void *ns);
	uint64_t (*ino)(void *ns);
	struct user_ns *(*owner)(void *ns);	/* borrowed */
	long (*create)(void *old, struct user_ns *owner, void **out); /* a fresh one (or a copy, for mnt, uts) */
};
extern const struct ns_kind_ops *ns_ops[NS_KINDS];	/* [NS_NET] is set by the socket layer at start */

struct nsproxy *nsproxy_get(struct nsproxy *n);
void nsproxy_put(struct nsproxy *n);
/* A proxy that owns one reference more on each; NULL = no memory. NULL members are allowed. */
struct nsproxy *nsproxy_make(struct mnt_ns *mnt, struct uts_ns *uts, struct ipc_ns *ipc, struct net_ns_ref *net,
			     struct pid_ns *pid, struct cgroup_ns *cgroup);
/* Copies @old with new namespaces for CLONE_NEW* in @flags, owned by @user_ns. @fs: root and cwd move into a new mount
 * namespace. -LINUX_EPERM, -LINUX_ENOMEM, -LINUX_ENOSPC, -LINUX_EINVAL (kind not there). (sleeps) */
long nsproxy_unshare(struct nsproxy *old, uint64_t flags, const struct cred *cred, struct user_ns *user_ns,
		     struct fs_struct *fs, struct nsproxy **out);
long task_unshare(struct task *t, uint64_t flags);
long task_setns(struct task *t, int fd, uint64_t nstype);
/* The namespace of @kind of any task, with a reference; .ns NULL when it is gone. */
struct ns_ref task_ns_ref(struct task *t, enum ns_kind kind);
void ns_ref_put(struct ns_ref *r);
uint64_t ns_ref_ino(const struct ns_ref *r);
void nsfs_init(void);	/* once, after vfs_init() */
/* An open nsfs file; the reference moves. */
long nsfs_open(struct ns_ref *r, const struct cred *c, struct file **out);
/* The namespace behind an open file, borrowed while the file is; NULL if it is none. */
const struct ns_ref *nsfs_ref(struct file *f);
/* Path of an nsfs inode for get_link of /proc/PID/ns entries; takes over the reference. */
long nsfs_path(struct ns_ref *r, struct path *out);
uint64_t ns_new_ino(void);

struct pid_ns *task_pid_ns(struct task *t);	/* the one it lives in; borrowed, lives as long as t->pid */

#endif
