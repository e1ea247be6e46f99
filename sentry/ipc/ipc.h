/* SPDX-License-Identifier: Apache-2.0
 * sentry/ipc/ipc.h - System V IPC: namespaces, ids, rights
 *
 * Model:   a namespace has one table per kind; an id is index + sequence * 32768, so that a stale id is noticed. Objects are
 *          reference-counted; removal takes them out of the table and wakes who sleeps on them.
 * Locks:   ipc_ns.mu (leaf) guards the tables and every object's permissions; each object has a mutex of its own for the rest, never
 *          taken with ipc_ns.mu held.
 * Source:  sysvipc(7), ipc_namespaces(7).
 */
#ifndef SENTRY_IPC_H
#define SENTRY_IPC_H

#include "sentry/abi/ipc.h"
#include "sentry/task/task.h"

enum ipc_kind { IPC_KIND_SEM, IPC_KIND_MSG, IPC_KIND_SHM, IPC_KINDS };

#define IPC_MNI	   32768u	/* slots per table, and the step of sequence numbers */
#define SHM_MNI	   4096u
#define SEM_MNI	   32000u
#define MSG_MNI	   32000u

#define SHM_MAX	   (UINT64_MAX - (1ull << 24))

enum ipc_limit {
	IPC_LIM_MSGMAX, IPC_LIM_MSGMNB, IPC_LIM_MSGMNI, IPC_LIM_SHMMAX, IPC_LIM_SHMALL, IPC_LIM_SHMMNI, IPC_LIM_RMID_FORCED,
	IPC_LIM_SEMMSL, IPC_LIM_SEMMNS, IPC_LIM_SEMOPM, IPC_LIM_SEMMNI,
	IPC_LIM_MSG_NEXT, IPC_LIM_SEM_NEXT, IPC_LIM_SHM_NEXT,
	IPC_LIMITS
};

struct ipc_obj {
	struct refcount ref;	/* table's and users' */
	int32_t key, id;
	uint32_t uid, gid, cuid, cgid, mode; /* kernel ids; guarded by ipc_ns.mu */
	uint16_t seq;
	_Atomic bool removed;
	void (*free)(struct ipc_obj *o);
};

struct ipc_ids {
	struct ipc_obj **slot;	/* grows up to max */
	uint32_t cap, nr, next_seq;
	enum ipc_limit max, next_id;	/* immutable */
};

struct ipc_ns {
	struct refcount ref;
	struct user_ns *user_ns;	/* reference */
	uint64_t ino;
	struct mutex mu;
	struct ipc_ids ids[IPC_KINDS];
	_Atomic uint64_t limit[IPC_LIMITS];
	void *mq;	/* POSIX message queues, NULL until first used; set once, under mu; fs/mqueue's */
};
extern void (*ipc_mq_put)(void *mq);	/* the namespace goes; set by fs/mqueue (sleeps) */

static inline uint64_t ipc_limit(struct ipc_ns *ns, enum ipc_limit l)
{
	return atomic_load_explicit(&ns->limit[l], memory_order_relaxed);
}
void ipc_limits_init(struct ipc_ns *ns);
/* A file of /proc/sys/kernel ("shmmax"): reads into @text (its length) or writes what @text says. -LINUX_ENOENT: none of ours;
 * -LINUX_EINVAL. */
long ipc_sysctl(struct ipc_ns *ns, const char *name, bool write, char *text, size_t cap);
/* Lines of /proc/sysvipc/{msg,sem,shm} behind the heading; ids as @viewer sees them. */
void ipc_proc_show(struct ipc_ns *ns, const char *name, struct task *viewer, struct buf *out);
/* One object each, for it; ipc_ns.mu held. */
struct ipc_show {
	struct task *viewer;
	struct buf *out;
};
void shm_show(struct ipc_obj *o, void *show);
void sem_show(struct ipc_obj *o, void *show);
void msg_show(struct ipc_obj *o, void *show);

void ipc_init(void);	/* at boot: the namespace's place in ns_ops */

void ipc_obj_put(struct ipc_obj *o);
/* Whether @t may do what the bits 0444 / 0222 of @want say. */
bool ipc_allowed(struct task *t, struct ipc_ns *ns, const struct ipc_obj *o, uint32_t want);
bool ipc_owner(struct task *t, struct ipc_ns *ns, const struct ipc_obj *o); /* IPC_SET, IPC_RMID */

/* What *get(2) calls share: found, or made by @make(arg); @check looks at a found one (size). An id, or -LINUX_E*. */
struct ipc_get_ops {
	long (*make)(struct task *t, void *arg, struct ipc_obj **out);
	long (*check)(struct ipc_obj *o, void *arg);
};
long ipc_get(struct task *t, enum ipc_kind kind, int32_t key, int flags, const struct ipc_get_ops *ops, void *arg);
/* A reference to the object with @id after a test of rights (@want 0: none). -LINUX_EINVAL, -LINUX_EIDRM, -LINUX_EACCES. */
long ipc_find(struct task *t, enum ipc_kind kind, int id, uint32_t want, struct ipc_obj **out);
long ipc_find_index(struct task *t, enum ipc_kind kind, int index, uint32_t want, struct ipc_obj **out); /* *_STAT */
int ipc_highest_index(struct ipc_ns *ns, enum ipc_kind kind); /* 0 when empty, as *_INFO return it */
long ipc_remove(struct task *t, enum ipc_kind kind, struct ipc_obj *o);	/* rights, then out of the table */
/* Removes each object that @fn, called under ipc_ns.mu, says true for. */
void ipc_remove_if(struct ipc_ns *ns, enum ipc_kind kind, bool (*fn)(struct ipc_obj *o, void *arg), void *arg);
long ipc_set_perm(struct task *t, struct ipc_obj *o, const struct linux_ipc64_perm *p);
void ipc_fill_perm(struct task *t, const struct ipc_obj *o, struct linux_ipc64_perm *out);
/* Calls @fn for each object, for /proc/sysvipc. @fn must not sleep. */
void ipc_for_each(struct ipc_ns *ns, enum ipc_kind kind, void (*fn)(struct ipc_obj *o, void *arg), void *arg);

static inline int64_t ipc_time(void)
{
	return (int64_t)(now_real_ns() / NSEC_PER_SEC);
}

long shm_get(struct task *t, int32_t key, uint64_t size, int flags);
long shm_attach(struct task *t, int id, uint64_t addr, int flags);
long shm_detach(struct task *t, uint64_t addr);
long shm_control(struct task *t, int id, int cmd, struct gptr buf);
/* shm_rmid_forced: the thread ends or leaves @ns; the setting has become 1; nobody is left in @ns, which is about to be freed. */
void shm_exit(struct task *t, struct ipc_ns *ns);
void shm_drop_orphans(struct ipc_ns *ns);
void shm_ns_end(struct ipc_ns *ns);

long sem_get(struct task *t, int32_t key, int nsems, int flags);
long sem_op(struct task *t, int id, const struct linux_sembuf *ops, unsigned nr, uint64_t deadline_ns);
long sem_control(struct task *t, int id, int num, int cmd, uint64_t arg);

long msg_get(struct task *t, int32_t key, int flags);
long msg_send(struct task *t, int id, struct gptr buf, uint64_t len, int flags);
long msg_receive(struct task *t, int id, struct gptr buf, uint64_t len, int64_t type, int flags);
long msg_control(struct task *t, int id, int cmd, struct gptr buf);

#endif
