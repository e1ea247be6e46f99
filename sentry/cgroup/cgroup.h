/* SPDX-License-Identifier: Apache-2.0
 * sentry/cgroup/cgroup.h - control groups: the tree, who is in it, what it is told
 *
 * Model:   one tree per sandbox, as version 2 has it. Its root belongs to the kernel; each container has one child of it, which is the root
 *          of the container's cgroup namespace, and what the container makes lies below. A process is in one group (struct cgroup_member
 *          in its thread group) and carries the count of its tasks along when it moves. Knows no task: who walks the members
 *          (task/task_cgroup.c) turns them into processes; files are fs/cgroup's.
 * Locks:   cgroup_mu (sentry/LOCKS: below tasks_mu, above sig_mu) guards everything that has no other note. Lists of members change
 *          under tasks_mu as well, so that they may be walked under either.
 * Source:  cgroups(7), cgroup_namespaces(7), "Control Group v2" in the kernel's documentation.
 * Limits:  CGROUPS_MAX of a container, CGROUP_DEPTH_MAX below a container: mkdir(2) is EAGAIN beyond, as at cgroup.max.*.
 * Differs: no threaded groups: a process is in one group as a whole.
 */
#ifndef SENTRY_CGROUP_H
#define SENTRY_CGROUP_H

#include "base/buf.h"
#include "base/list.h"
#include "sentry/cred/cred.h"
#include "sentry/run/run.h"

#define CGROUPS_MAX	 4096u	/* of a container */
#define CGROUP_DEPTH_MAX 64u	/* levels; keeps the walks to the root short */
#define CGROUP_NO_LIMIT	 UINT64_MAX
#define CGROUP_CPUS	 1024u	/* bits of a set of processors */
#define CGROUP_NAME_MAX	 255u

#define CGROUP_CONTROLLERS(X) X(CPUSET, "cpuset") X(CPU, "cpu") X(IO, "io") X(MEMORY, "memory") X(PIDS, "pids")
#define X(id, name) CGC_##id,
enum cgroup_controller { CGROUP_CONTROLLERS(X) CGC_COUNT };
#undef X
#define CGC_BIT(id) (1u << CGC_##id)
#define CGC_ALL	    ((1u << CGC_COUNT) - 1)
extern const char *const cgroup_controller_names[CGC_COUNT];

/* What a group is told by its files. Only pids_max has an effect; the rest is kept and shown. */
struct cgroup_knobs {
	uint64_t pids_max;
	uint64_t memory_min, memory_low, memory_high, memory_max, swap_high, swap_max; /* bytes */
	uint64_t oom_group;
	uint64_t cpu_weight, cpu_idle, cpu_quota_us, cpu_period_us, cpu_burst_us;
	uint64_t io_weight;
	uint64_t cpus[CGROUP_CPUS / 64];	/* none set: the parent's */
	uint64_t mems;				/* node 0 is the only one */
};

struct cgroup_times {
	uint64_t utime_ns, stime_ns;
};

struct cgroup {
	struct refcount ref;
	struct cgroup *parent;		/* reference; immutable; NULL: the tree's root */
	uint32_t depth;			/* immutable; 0: the tree's root */
	uint64_t id;			/* immutable; never used again */
	struct list children, sibling;
	struct list members;		/* of cgroup_member.node: processes that live */
	uint32_t nr_descendants;
	uint32_t nr_live;		/* members, and children with nr_live */
	bool dead;			/* removed: nobody enters any more */
	bool freeze;			/* cgroup.freeze */
	uint32_t control;		/* cgroup.subtree_control: what the children have */
	uint64_t max_depth, max_descendants;
	uint64_t nr_tasks, peak_tasks;	/* here and below, zombies too */
	uint64_t pids_refused;		/* pids.events: here and below */
	uint64_t peak_memory;		/* the highest that a reader was told */
	struct cgroup_times past;	/* of processes that ended or left, and of groups below that are gone */
	struct cgroup_knobs knobs;
	struct cgroup_devices *devices;	/* owned; NULL none: device.c */
	struct waitq events_wq;		/* woken when cgroup.events changes */
	_Atomic uint64_t events;	/* how often it has */
	struct list told;		/* waits for cgroup_tell(); holds a reference meanwhile */
	void *dir;			/* the file system's; set and taken by it under a lock of its own */
	char name[];			/* immutable */
};

struct cgroup_member {
	struct cgroup *cg;		/* reference; NULL before cgroup_member_init() */
	struct list node;		/* in cg->members while the process lives */
	uint32_t nr_charged;		/* its tasks in cg->nr_tasks */
	struct cgroup_times base;	/* used elsewhere before it came here */
};

extern struct mutex cgroup_mu;
extern struct cgroup *cgroup_root;	/* the tree's, since cgroup_init() */

/* ---- the tree: cgroup.c ---- */

void cgroup_init(void);			/* once at boot */
struct cgroup *cgroup_get(struct cgroup *cg);
void cgroup_put(struct cgroup *cg);	/* NULL is fine */
/* A new group below @parent: two references, one of them the tree's. -LINUX_ENODEV (@parent is removed), -LINUX_EEXIST,
 * -LINUX_EAGAIN (a limit), -LINUX_ENOMEM. */
long cgroup_new(struct cgroup *parent, const char *name, struct cgroup **out);
/* A container's group, with a name of its own. */
long cgroup_new_container(struct cgroup **out);
/* -LINUX_EBUSY with living members or groups below, -LINUX_ENODEV removed already. Drops the tree's reference. */
long cgroup_unlink(struct cgroup *cg);
/* With all below, whoever is in them. For containers that end. */
void cgroup_remove_tree(struct cgroup *cg);
/* A reference to the child, or NULL. */
struct cgroup *cgroup_child(struct cgroup *cg, const char *name);
uint32_t cgroup_count(void);		/* of the sandbox, the tree's root too */
/* The next group of @top's tree after @cg, parents first; NULL at the end. cgroup_mu held. */
struct cgroup *cgroup_next_locked(struct cgroup *cg, struct cgroup *top);
bool cgroup_is_below(const struct cgroup *cg, const struct cgroup *top); /* or the same */
/* A reference to what is above both. */
struct cgroup *cgroup_common(struct cgroup *a, struct cgroup *b);
/* "/a/b" as seen from @root, "/../c" beside it. */
void cgroup_path(const struct cgroup *cg, const struct cgroup *root, struct buf *out);
/* Told without locks that a group was removed: the file system drops what it has. */
extern void (*cgroup_gone_hook)(struct cgroup *cg);

/* ---- cgroup.events ---- */

void cgroup_event_locked(struct cgroup *cg);	/* it changed; cgroup_mu held */
/* Passes changes on to cgroup_event_hook, which is called without locks; after those who changed something let go of theirs. */
void cgroup_tell(void);
extern void (*cgroup_event_hook)(struct cgroup *cg);
bool cgroup_frozen_locked(const struct cgroup *cg);	/* it or one above is to be frozen */

/* ---- controllers: cgroup_control.c ---- */

void cgroup_knobs_init(struct cgroup_knobs *k);
uint32_t cgroup_controllers_locked(const struct cgroup *cg);	/* cgroup.controllers, as CGC_BITs */
/* cgroup.subtree_control. -LINUX_ENOENT: not to be had here; -LINUX_EBUSY: a child hands it on, or processes are in @cg; -LINUX_ENODEV */
long cgroup_set_control(struct cgroup *cg, uint32_t on, uint32_t off);

/* ---- processes: cgroup_member.c ---- */

void cgroup_member_init(struct cgroup_member *m, struct cgroup *cg); /* takes a reference of its own */
void cgroup_member_fini(struct cgroup_member *m);
/* A reference to the group, or NULL. */
struct cgroup *cgroup_of(struct cgroup_member *m);
/* One task more or less of @m. -LINUX_EAGAIN: pids.max of a group above */
long cgroup_charge(struct cgroup_member *m);
void cgroup_uncharge(struct cgroup_member *m);
/* May a process be put into @cg? 0, -LINUX_ENODEV (removed), -LINUX_EBUSY (it hands controllers on) */
long cgroup_vet_locked(const struct cgroup *cg);
/* The process begins to live in its group; with @parent it follows that one, which may have moved since the fork began.
 * tasks_mu held. As cgroup_vet_locked() without @parent. */
long cgroup_member_link(struct cgroup_member *m, struct cgroup_member *parent);
/* It has ended, @t being all the time it used. tasks_mu held. */
void cgroup_member_end(struct cgroup_member *m, struct cgroup_times t);
/* Moves it, with what it is charged for. tasks_mu held. As cgroup_vet_locked(). */
long cgroup_member_move(struct cgroup_member *m, struct cgroup *to, struct cgroup_times t);
/* Is its group, or one above, to be frozen? */
bool cgroup_member_frozen(struct cgroup_member *m);

/* ---- namespaces: cgroup_ns.c ---- */

struct cgroup_ns {
	struct refcount ref;
	struct user_ns *user_ns;	/* reference */
	struct cgroup *root;		/* reference */
	uint64_t ino;
};
struct cgroup_ns *cgroup_ns_new(struct user_ns *user_ns, struct cgroup *root, uint64_t ino); /* NULL = no memory */
struct cgroup_ns *cgroup_ns_get(struct cgroup_ns *ns);
void cgroup_ns_put(struct cgroup_ns *ns);	/* NULL is fine */

#endif
