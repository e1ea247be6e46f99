/* SPDX-License-Identifier: Apache-2.0
 * sentry/ipc/shm.c - shmget(2), shmat(2), shmdt(2), shmctl(2)
 *
 * Model:   a segment is a host memfd that mm maps like any shared file. Mappings hold references to the segment; mm tells how many
 *          there are. One that is to be removed keeps its id, by which it can still be attached, until its last mapping goes. With
 *          shm_rmid_forced that is so for all, and one without a mapping goes when the thread that made it ends.
 * Locks:   home_mu, under mm.lock; then ipc_ns.mu.
 * Source:  shmget(2), shmop(2), shmctl(2).
 * Differs: SHM_HUGETLB is refused; SHM_LOCK only sets the mode bit.
 */
#include <string.h>

#include "sentry/abi/mman.h"
#include "sentry/ipc/ipc.h"
#include "sentry/mm/memfd.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"

#define SHM_ALL_HARD (1ull << 26)	/* pages in all segments of a namespace, whatever its shmall says */
#define SHM_LBA	  PAGE_SIZE

struct shm {
	struct ipc_obj o;
	struct mappable m;
	int fd;			/* owned */
	uint64_t size;
	struct pid *cpid, *lpid; /* references; lpid guarded by mu */
	struct mutex mu;
	int64_t atime, dtime, ctime; /* guarded by mu */
	_Atomic int nattch;	/* vmas that show it, and attaches under way */
	_Atomic bool doomed;	/* IPC_RMID: goes with the last of these */
	const struct task *creator; /* never looked into: only who it was; NULL once that has ended; guarded by ipc_ns.mu */
	struct ipc_ns *ns;	/* no reference, as it holds the segment; NULL when it has ended; guarded by home_mu */
};

/* An ending namespace takes it, so that one found in a segment that is not removed is still there while this is held. */
static struct mutex home_mu = MUTEX_INIT;

static struct shm *to_shm(struct mappable *m)
{
	return container_of(m, struct shm, m);
}

static void shm_free(struct ipc_obj *o)
{
	struct shm *s = container_of(o, struct shm, o);

	guest_memfd_close(s->fd);
	pid_put(s->cpid);
	pid_put(s->lpid);
	free(s);
}

static void map_get(struct mappable *m)
{
	ref_get(&to_shm(m)->o.ref);
}

static void map_put(struct mappable *m)
{
	ipc_obj_put(&to_shm(m)->o);
}

static long map_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd,
			uint64_t *out_file_id, uint64_t *out_host_off)
{
	*out_fd = to_shm(m)->fd;
	*out_file_id = 0;
	*out_host_off = off;
	return 0;
}

static void map_describe(struct mappable *m, uint64_t *out_dev, uint64_t *out_ino, struct buf *out_path)
{
	*out_dev = 1;
	*out_ino = (uint64_t)to_shm(m)->o.id;
	buf_printf(out_path, "/SYSV%08x%s", (unsigned)to_shm(m)->o.key, " (deleted)");
}

static bool unattached(struct shm *s)
{
	return atomic_load(&s->nattch) <= 0;
}

static bool is_unattached(struct ipc_obj *o, void *arg)
{
	return o == arg && unattached(container_of(o, struct shm, o));
}

/* Caller holds a reference besides the table's. */
static void remove_if_over(struct shm *s)
{
	mutex_lock(&home_mu);
	if (!atomic_load(&s->o.removed) && s->ns && (atomic_load(&s->doomed) || ipc_limit(s->ns, IPC_LIM_RMID_FORCED)))
		ipc_remove_if(s->ns, IPC_KIND_SHM, is_unattached, &s->o);
	mutex_unlock(&home_mu);
}

/* The same. */
static void users_add(struct shm *s, int delta)
{
	if (atomic_fetch_add(&s->nattch, delta) + delta <= 0 && delta <= 0)
		remove_if_over(s);
}

static void map_users(struct mappable *m, int delta)
{
	users_add(to_shm(m), delta);
}

static const struct mappable_ops shm_map_ops = {
	.get = map_get,
	.put = map_put,
	.host_fd = map_host_fd,
	.describe = map_describe,
	.users = map_users,
};

/* ---- shmget --------------------------------------------------------------------------------------------- */

static void count_pages(struct ipc_obj *o, void *arg)
{
	*(uint64_t *)arg += (container_of(o, struct shm, o)->size + PAGE_SIZE - 1) / PAGE_SIZE;
}

static long make(struct task *t, void *arg, struct ipc_obj **out)
{
	uint64_t size = *(uint64_t *)arg, pages = (size + PAGE_SIZE - 1) / PAGE_SIZE;
	uint64_t total = 0;
	struct shm *s;
	long fd;

	if (!size || size > ipc_limit(t->ns->ipc, IPC_LIM_SHMMAX))
		return -LINUX_EINVAL;
	ipc_for_each(t->ns->ipc, IPC_KIND_SHM, count_pages, &total);
	if (total + pages > MIN(ipc_limit(t->ns->ipc, IPC_LIM_SHMALL), SHM_ALL_HARD))
		return -LINUX_ENOSPC;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -LINUX_ENOMEM;
	fd = guest_memfd_new("sysv-shm", pages * PAGE_SIZE);
	if (fd < 0) {
		free(s);
		return fd;
	}
	s->o.free = shm_free;
	s->m.ops = &shm_map_ops;
	s->fd = (int)fd;
	s->size = size;
	s->cpid = pid_get(t->group->pid);
	s->creator = t;
	s->ns = t->ns->ipc;
	t->made_shm = true;
	s->ctime = ipc_time();
	mutex_init(&s->mu);
	*out = &s->o;
	return 0;
}

static long check(struct ipc_obj *o, void *arg)
{
	return *(uint64_t *)arg > container_of(o, struct shm, o)->size ? -LINUX_EINVAL : 0;
}

long shm_get(struct task *t, int32_t key, uint64_t size, int flags)
{
	static const struct ipc_get_ops ops = { make, check };

	if (flags & LINUX_SHM_HUGETLB)
		return -LINUX_EINVAL;
	return ipc_get(t, IPC_KIND_SHM, key, flags, &ops, &size);
}

/* ---- shmat, shmdt ------------------------------------------------------------------------------------------- */

static void touch(struct task *t, struct shm *s, int64_t *when)
{
	struct pid *old;

	mutex_lock(&s->mu);
	*when = ipc_time();
	old = s->lpid;
	s->lpid = pid_get(t->group->pid);
	mutex_unlock(&s->mu);
	pid_put(old);
}

long shm_attach(struct task *t, int id, uint64_t addr, int flags)
{
	struct mm_limits lim = task_mm_limits(t);
	bool ro = flags & LINUX_SHM_RDONLY;
	uint32_t prot = LINUX_PROT_READ | (ro ? 0 : LINUX_PROT_WRITE) | (flags & LINUX_SHM_EXEC ? LINUX_PROT_EXEC : 0);
	uint32_t map = LINUX_MAP_SHARED;
	struct ipc_obj *o;
	struct shm *s;
	long ret;

	if (addr % SHM_LBA) {
		if (!(flags & LINUX_SHM_RND))
			return -LINUX_EINVAL;
		addr = ALIGN_DOWN(addr, (uint64_t)SHM_LBA);
		if (!addr && (flags & LINUX_SHM_REMAP))
			return -LINUX_EINVAL;
	}
	if (!addr && (flags & LINUX_SHM_REMAP))
		return -LINUX_EINVAL;
	if (addr)
		map |= flags & LINUX_SHM_REMAP ? LINUX_MAP_FIXED : LINUX_MAP_FIXED_NOREPLACE;
	ret = ipc_find(t, IPC_KIND_SHM, id, ro ? 0444 : 0666, &o);
	if (ret < 0)
		return ret;
	s = container_of(o, struct shm, o);
	users_add(s, 1); /* so that shm_rmid_forced does not remove it before it is mapped */
	ret = mm_mmap(t->mm, t->u, &lim, addr, s->size, prot, map, &s->m, 0,
		      ro ? LINUX_PROT_READ | LINUX_PROT_EXEC : LINUX_PROT_READ | LINUX_PROT_WRITE | LINUX_PROT_EXEC, NULL);
	if (ret == -LINUX_EEXIST)
		ret = -LINUX_EINVAL;
	if (ret > 0)
		touch(t, s, &s->atime);
	users_add(s, -1);
	ipc_obj_put(o);
	return ret;
}

/* Unmaps what is left of the attach at @addr: pieces of the same segment that lie where the attach put them. */
long shm_detach(struct task *t, uint64_t addr)
{
	struct vma_info v;
	struct ipc_obj *o;
	uint64_t id = 0, from = addr, size = 0;
	long ret = -LINUX_EINVAL;

	if (addr % PAGE_SIZE)
		return -LINUX_EINVAL;
	while (mm_next_vma(t->mm, from, &v)) {
		bool seg = !strncmp(v.name, "/SYSV", 5) && v.start >= addr && v.start - addr == v.off;

		if (size && v.start >= addr + size)
			break;
		if (!size && (!seg || v.start != addr))
			break;
		from = v.end;
		if (!size) {
			id = v.ino;
			size = UINT64_MAX - addr; /* a removed segment's size is not known any more: all pieces in line */
			if (!ipc_find(t, IPC_KIND_SHM, (int)id, 0, &o)) {
				struct shm *s = container_of(o, struct shm, o);

				size = ALIGN_UP(s->size, PAGE_SIZE);
				touch(t, s, &s->dtime);
				ipc_obj_put(o);
			}
		}
		if (!seg || v.ino != id)
			continue;
		ret = mm_munmap(t->mm, t->u, v.start, v.end - v.start);
		if (ret < 0)
			break;
	}
	return ret;
}

/* ---- shm_rmid_forced ---------------------------------------------------------------------------------------- */

/* Linux: exit_shm() takes those that the thread made (proc_sys_kernel(5) "shm_rmid_forced"). */
static bool of_ended_task(struct ipc_obj *o, void *t)
{
	struct shm *s = container_of(o, struct shm, o);

	if (s->creator != t)
		return false;
	s->creator = NULL;
	return unattached(s) && ipc_limit(s->ns, IPC_LIM_RMID_FORCED);
}

void shm_exit(struct task *t, struct ipc_ns *ns)
{
	if (t->made_shm && ns)
		ipc_remove_if(ns, IPC_KIND_SHM, of_ended_task, t);
}

static bool is_orphan(struct ipc_obj *o, void *arg)
{
	struct shm *s = container_of(o, struct shm, o);

	return !s->creator && unattached(s);
}

void shm_drop_orphans(struct ipc_ns *ns)
{
	ipc_remove_if(ns, IPC_KIND_SHM, is_orphan, NULL);
}

static void forget_ns(struct ipc_obj *o, void *arg)
{
	container_of(o, struct shm, o)->ns = NULL;
}

void shm_ns_end(struct ipc_ns *ns)
{
	mutex_lock(&home_mu);
	ipc_for_each(ns, IPC_KIND_SHM, forget_ns, NULL);
	mutex_unlock(&home_mu);
}

/* ---- shmctl ------------------------------------------------------------------------------------------------------ */

static void stat_fill(struct task *t, struct shm *s, struct linux_shmid64_ds *ds)
{
	*ds = (struct linux_shmid64_ds){ .segsz = s->size };
	ipc_fill_perm(t, &s->o, &ds->perm);
	mutex_lock(&s->mu);
	ds->atime = s->atime;
	ds->dtime = s->dtime;
	ds->ctime = s->ctime;
	ds->lpid = (int32_t)pid_nr(s->lpid, task_pid_ns(t));
	mutex_unlock(&s->mu);
	ds->cpid = (int32_t)pid_nr(s->cpid, task_pid_ns(t));
	ds->nattch = (uint64_t)MAX(atomic_load_explicit(&s->nattch, memory_order_relaxed), 0);
}

void shm_show(struct ipc_obj *o, void *show)
{
	struct ipc_show *w = show;
	struct shm *s = container_of(o, struct shm, o);
	struct user_ns *ns = w->viewer->cred->user_ns;
	struct pid_ns *pids = task_pid_ns(w->viewer);
	unsigned long pages = ALIGN_UP(s->size, PAGE_SIZE);

	mutex_lock(&s->mu);
	buf_printf(w->out, "%10d %10d  %4o %21lu %5u %5u  %5ld %5u %5u %5u %5u %10lld %10lld %10lld %21lu %21lu\n", o->key, o->id,
		   o->mode & 07777, (unsigned long)s->size, pid_nr(s->cpid, pids), pid_nr(s->lpid, pids),
		   (long)MAX(atomic_load_explicit(&s->nattch, memory_order_relaxed), 0),
		   id_from_kernel_munged(ns, false, o->uid), id_from_kernel_munged(ns, true, o->gid),
		   id_from_kernel_munged(ns, false, o->cuid), id_from_kernel_munged(ns, true, o->cgid),
		   (long long)s->atime, (long long)s->dtime, (long long)s->ctime, pages, 0ul);
	mutex_unlock(&s->mu);
}

static long info(struct task *t, int cmd, struct gptr buf)
{
	struct linux_shminfo64 si = { .shmmin = 1 };
	struct linux_shm_info u = { .used_ids = (int32_t)t->ns->ipc->ids[IPC_KIND_SHM].nr };
	long ret;

	si.shmmax = ipc_limit(t->ns->ipc, IPC_LIM_SHMMAX);
	si.shmall = ipc_limit(t->ns->ipc, IPC_LIM_SHMALL);
	si.shmmni = si.shmseg = ipc_limit(t->ns->ipc, IPC_LIM_SHMMNI);
	ipc_for_each(t->ns->ipc, IPC_KIND_SHM, count_pages, &u.shm_tot);
	u.shm_rss = u.shm_tot;
	ret = cmd == LINUX_IPC_INFO ? copyout_obj(t->u, buf, &si) : copyout_obj(t->u, buf, &u);
	return ret ?: ipc_highest_index(t->ns->ipc, IPC_KIND_SHM);
}

static long lock_segment(struct task *t, struct shm *s, bool lock)
{
	struct ipc_ns *ns = t->ns->ipc;
	long ret = 0;

	mutex_lock(&ns->mu);
	if (!cred_has_cap(t->cred, ns->user_ns, LINUX_CAP_IPC_LOCK) && !ipc_owner(t, ns, &s->o))
		ret = -LINUX_EPERM;
	else if (lock)
		s->o.mode |= LINUX_SHM_LOCKED;
	else
		s->o.mode &= ~(uint32_t)LINUX_SHM_LOCKED;
	mutex_unlock(&ns->mu);
	return ret;
}

/* shmctl(2) IPC_RMID: its key is free at once; its id stays until nobody has it attached. */
static long doom(struct task *t, struct shm *s)
{
	struct ipc_ns *ns = t->ns->ipc;
	long ret = 0;

	mutex_lock(&ns->mu);
	if (!ipc_owner(t, ns, &s->o)) {
		ret = -LINUX_EPERM;
	} else {
		s->o.mode |= LINUX_SHM_DEST;
		s->o.key = LINUX_IPC_PRIVATE;
		atomic_store(&s->doomed, true);
	}
	mutex_unlock(&ns->mu);
	if (!ret)
		remove_if_over(s);
	return ret;
}

long shm_control(struct task *t, int id, int cmd, struct gptr buf)
{
	struct linux_shmid64_ds ds;
	struct ipc_obj *o;
	struct shm *s;
	long ret;

	if (cmd == LINUX_IPC_INFO || cmd == LINUX_SHM_INFO)
		return info(t, cmd, buf);
	if (cmd == LINUX_SHM_STAT || cmd == LINUX_SHM_STAT_ANY)
		ret = ipc_find_index(t, IPC_KIND_SHM, id, cmd == LINUX_SHM_STAT ? 0444 : 0, &o);
	else
		ret = ipc_find(t, IPC_KIND_SHM, id, cmd == LINUX_IPC_STAT ? 0444 : 0, &o);
	if (ret < 0)
		return ret;
	s = container_of(o, struct shm, o);
	switch (cmd) {
	case LINUX_IPC_STAT:
	case LINUX_SHM_STAT:
	case LINUX_SHM_STAT_ANY:
		stat_fill(t, s, &ds);
		ret = copyout_obj(t->u, buf, &ds);
		if (!ret && cmd != LINUX_IPC_STAT)
			ret = o->id;
		break;
	case LINUX_IPC_SET:
		ret = copyin_obj(t->u, &ds, buf);
		if (!ret)
			ret = ipc_set_perm(t, o, &ds.perm);
		mutex_lock(&s->mu);
		if (!ret)
			s->ctime = ipc_time();
		mutex_unlock(&s->mu);
		break;
	case LINUX_IPC_RMID:
		ret = doom(t, s);
		break;
	case LINUX_SHM_LOCK:
	case LINUX_SHM_UNLOCK:
		ret = lock_segment(t, s, cmd == LINUX_SHM_LOCK);
		break;
	default:
		ret = -LINUX_EINVAL;
	}
	ipc_obj_put(o);
	return ret;
}
