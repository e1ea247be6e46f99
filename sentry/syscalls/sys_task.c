/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_task.c - clone(2), execve(2), exit(2), wait4(2) and their relatives
 */
#include <string.h>

#include "sentry/abi/sched.h"
#include "sentry/abi/wait.h"
#include "sentry/fs/cgroup/cgroupfs.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/signal.h"

/* ---- clone -------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE0(fork)
{
	struct clone_request r = { .exit_signal = LINUX_SIGCHLD };

	return task_clone(t, &r);
}

SYSCALL_DEFINE0(vfork)
{
	struct clone_request r = { .flags = LINUX_CLONE_VFORK | LINUX_CLONE_VM, .exit_signal = LINUX_SIGCHLD };

	return task_clone(t, &r);
}

SYSCALL_DEFINE5(clone, uint64_t, flags, uint64_t, stack, struct gptr, parent_tid, struct gptr, child_tid, uint64_t, tls)
{
	struct clone_request r = {
		.flags = (flags & UINT32_MAX) & ~LINUX_CSIGNAL,
		.stack = stack,
		.tls = tls,
		.child_tid = child_tid.v,
		.parent_tid = parent_tid.v,
		.pidfd = parent_tid.v,
		.exit_signal = (int)(flags & LINUX_CSIGNAL),
	};

	if ((r.flags & LINUX_CLONE_PIDFD) && (r.flags & LINUX_CLONE_PARENT_SETTID))
		return -LINUX_EINVAL; /* both want the same pointer */
	if ((flags & LINUX_CSIGNAL) > LINUX_NSIG)
		r.exit_signal = 0;
	return task_clone(t, &r);
}

static long clone_into(struct task *t, struct clone_request *r, uint64_t fd, uint64_t size)
{
	struct file *f;
	long ret;

	if (fd > INT32_MAX || size < LINUX_CLONE_ARGS_SIZE_VER2)
		return -LINUX_EINVAL;
	f = fdtable_file(t->fds, (int)fd, true);
	if (!f)
		return -LINUX_EBADF;
	ret = cgroupfs_clone_target(t, f, r->flags & LINUX_CLONE_THREAD, &r->cgroup);
	file_put(f);
	if (ret)
		return ret;
	ret = task_clone(t, r);
	cgroup_put(r->cgroup);
	return ret;
}

SYSCALL_DEFINE2(clone3, struct gptr, uargs, uint64_t, size)
{
	struct clone_request r = { 0 };
	struct linux_clone_args ca;
	long ret;

	if (size < LINUX_CLONE_ARGS_SIZE_VER0)
		return -LINUX_EINVAL;
	ret = copyin_struct(t->u, &ca, sizeof(ca), uargs, size);
	if (ret < 0)
		return ret;
	if ((ca.flags & (LINUX_CLONE_DETACHED | LINUX_CSIGNAL)) || (ca.exit_signal & ~LINUX_CSIGNAL) ||
	    ca.exit_signal > LINUX_NSIG || !ca.stack != !ca.stack_size)
		return -LINUX_EINVAL;
	if ((ca.flags & (LINUX_CLONE_THREAD | LINUX_CLONE_PARENT)) && ca.exit_signal)
		return -LINUX_EINVAL;
	if (ca.set_tid_size > PID_LEVEL_MAX || !ca.set_tid != !ca.set_tid_size ||
	    ca.set_tid_size > t->ns->pid_for_children->level + 1)
		return -LINUX_EINVAL;
	if (ca.set_tid_size) {
		if (!cred_has_cap(t->cred, t->ns->pid_for_children->user_ns, LINUX_CAP_SYS_ADMIN) &&
		    !cred_has_cap(t->cred, t->ns->pid_for_children->user_ns, LINUX_CAP_CHECKPOINT_RESTORE))
			return -LINUX_EPERM;
		ret = copyin(t->u, r.set_tid, GPTR(ca.set_tid), ca.set_tid_size * sizeof(uint32_t));
		if (ret < 0)
			return ret;
		r.nr_set_tid = (uint32_t)ca.set_tid_size;
	}
	r.flags = ca.flags;
	r.stack = ca.stack ? ca.stack + ca.stack_size : 0;
	r.tls = ca.tls;
	r.child_tid = ca.child_tid;
	r.parent_tid = ca.parent_tid;
	r.pidfd = ca.pidfd;
	r.exit_signal = (int)ca.exit_signal;
	return (ca.flags & LINUX_CLONE_INTO_CGROUP) ? clone_into(t, &r, ca.cgroup, size) : task_clone(t, &r);
}

SYSCALL_DEFINE1(unshare, uint64_t, flags)
{
	return task_unshare(t, flags);
}

SYSCALL_DEFINE2(setns, int, fd, int, nstype)
{
	return task_setns(t, fd, (uint32_t)nstype);
}

/* ---- exec ------------------------------------------------------------------------------------------------ */

static long exec_common(struct task *t, int dirfd, struct gptr upath, struct gptr argv, struct gptr envp, uint32_t flags)
{
	struct exec_strings av = { 0 }, ev = { 0 };
	char *path;
	long ret;

	if (flags & ~(LINUX_AT_EMPTY_PATH | LINUX_AT_SYMLINK_NOFOLLOW))
		return -LINUX_EINVAL;
	path = malloc(PATH_MAX_BYTES);
	if (!path)
		return -LINUX_ENOMEM;
	ret = copyin_str(t->u, path, PATH_MAX_BYTES, upath);
	if (ret == 0 && !(flags & LINUX_AT_EMPTY_PATH))
		ret = -LINUX_ENOENT;
	if (ret >= 0)
		ret = exec_strings_copyin(&av, t->u, argv);
	if (ret >= 0)
		ret = exec_strings_copyin(&ev, t->u, envp);
	/* Linux makes an empty argv into one empty string (execve(2), since 5.18). */
	if (ret >= 0 && !av.nr)
		ret = exec_strings_add(&av, "", 0);
	if (ret >= 0)
		ret = task_exec(t, dirfd, path, flags, &av, &ev);
	exec_strings_fini(&av);
	exec_strings_fini(&ev);
	free(path);
	return ret;
}

SYSCALL_DEFINE3(execve, struct gptr, path, struct gptr, argv, struct gptr, envp)
{
	return exec_common(t, LINUX_AT_FDCWD, path, argv, envp, 0);
}

SYSCALL_DEFINE5(execveat, int, dirfd, struct gptr, path, struct gptr, argv, struct gptr, envp, uint32_t, flags)
{
	return exec_common(t, dirfd, path, argv, envp, flags);
}

/* ---- exit and wait ------------------------------------------------------------------------------------------ */

SYSCALL_DEFINE1(exit, int, code)
{
	task_exit_thread(t, LINUX_W_EXITCODE(code, 0));
	return 0;
}

SYSCALL_DEFINE1(exit_group, int, code)
{
	task_exit_group(t, LINUX_W_EXITCODE(code, 0));
	return 0;
}

SYSCALL_DEFINE4(wait4, int, pid, struct gptr, ustatus, uint32_t, options, struct gptr, uru)
{
	struct wait_result res;
	struct linux_rusage ru;
	uint32_t nr = 0;
	int which = LINUX_P_ALL;
	long ret;

	if (options & ~(LINUX_WNOHANG | LINUX_WUNTRACED | LINUX_WCONTINUED | LINUX_WNOTHREAD | LINUX_WCLONE | LINUX_WALL))
		return -LINUX_EINVAL;
	if (pid == INT32_MIN)
		return -LINUX_ESRCH;
	if (pid > 0) {
		which = LINUX_P_PID;
		nr = (uint32_t)pid;
	} else if (pid != -1) {
		which = LINUX_P_PGID;
		nr = (uint32_t)-pid;
	}
	ret = task_wait(t, which, nr, NULL, options | LINUX_WEXITED, &res, uru.v ? &ru : NULL);
	if (ret <= 0)
		return ret;
	if (ustatus.v && copyout_obj(t->u, ustatus, &res.status) < 0)
		return -LINUX_EFAULT;
	if (uru.v && copyout_obj(t->u, uru, &ru) < 0)
		return -LINUX_EFAULT;
	return ret;
}

static long waitid_info(struct task *t, struct gptr uinfo, const struct wait_result *res)
{
	struct linux_siginfo_head si = { 0 };
	/* Linux writes these fields only, the rest of the structure stays as it is. */
	struct {
		int32_t v[3];
	} head;
	struct {
		int32_t pid;
		uint32_t uid;
		int32_t status;
	} body;

	if (!uinfo.v)
		return 0;
	if (res->code) {
		si.signo = LINUX_SIGCHLD;
		si.code = res->code;
		si.chld.pid = (int32_t)res->pid;
		si.chld.uid = res->uid;
		si.chld.status = res->si_status;
	}
	head.v[0] = si.signo, head.v[1] = 0, head.v[2] = si.code;
	body.pid = si.chld.pid, body.uid = si.chld.uid, body.status = si.chld.status;
	if (copyout_obj(t->u, uinfo, &head) < 0 ||
	    copyout_obj(t->u, GPTR(uinfo.v + offsetof(struct linux_siginfo_head, chld)), &body) < 0)
		return -LINUX_EFAULT;
	return 0;
}

SYSCALL_DEFINE5(waitid, int, which, int, id, struct gptr, uinfo, uint32_t, options, struct gptr, uru)
{
	struct wait_result res = { 0 };
	struct linux_rusage ru = { 0 };
	struct pid *pid = NULL;
	uint32_t fl = 0;
	long ret;

	if (options & ~(LINUX_WNOHANG | LINUX_WNOWAIT | LINUX_WEXITED | LINUX_WSTOPPED | LINUX_WCONTINUED | LINUX_WNOTHREAD |
			LINUX_WCLONE | LINUX_WALL))
		return -LINUX_EINVAL;
	if (!(options & (LINUX_WEXITED | LINUX_WSTOPPED | LINUX_WCONTINUED)))
		return -LINUX_EINVAL;
	switch (which) {
	case LINUX_P_ALL:
		break;
	case LINUX_P_PID:
		if (id <= 0)
			return -LINUX_EINVAL;
		break;
	case LINUX_P_PGID:
		if (id < 0)
			return -LINUX_EINVAL;
		break;
	case LINUX_P_PIDFD:
		if (id < 0)
			return -LINUX_EINVAL;
		pid = pidfd_pid(t, id, &fl);
		if (!pid)
			return -LINUX_EBADF;
		if (fl & LINUX_O_NONBLOCK)
			options |= LINUX_WNOHANG;
		break;
	default:
		return -LINUX_EINVAL;
	}
	ret = task_wait(t, which, (uint32_t)id, pid, options, &res, uru.v ? &ru : NULL);
	pid_put(pid);
	if (!ret && (fl & LINUX_O_NONBLOCK))
		return -LINUX_EAGAIN;
	if (ret < 0)
		return ret;
	if (uru.v && ret > 0 && copyout_obj(t->u, uru, &ru) < 0)
		return -LINUX_EFAULT;
	return waitid_info(t, uinfo, &res);
}

/* ---- ids of processes -------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE0(getpid)
{
	return task_tgid_nr(t, task_pid_ns(t));
}

SYSCALL_DEFINE0(gettid)
{
	return task_pid_nr(t, task_pid_ns(t));
}

SYSCALL_DEFINE0(getppid)
{
	return task_ppid_nr(t, task_pid_ns(t));
}

static long of_process(struct task *t, int pid, uint32_t (*get)(struct task *, struct pid_ns *))
{
	struct task *o;
	long ret;

	if (!pid)
		return get(t, task_pid_ns(t));
	o = pid > 0 ? task_find(task_pid_ns(t), (uint32_t)pid) : NULL;
	if (!o)
		return -LINUX_ESRCH;
	ret = get(o, task_pid_ns(t));
	task_put(o);
	return ret;
}

SYSCALL_DEFINE1(getpgid, int, pid)
{
	return of_process(t, pid, task_pgid_nr);
}

SYSCALL_DEFINE0(getpgrp)
{
	return task_pgid_nr(t, task_pid_ns(t));
}

SYSCALL_DEFINE1(getsid, int, pid)
{
	return of_process(t, pid, task_sid_nr);
}

SYSCALL_DEFINE2(setpgid, int, pid, int, pgid)
{
	if (pgid < 0)
		return -LINUX_EINVAL;
	if (pid < 0)
		return -LINUX_ESRCH;
	return session_setpgid(t, (uint32_t)pid, (uint32_t)pgid);
}

SYSCALL_DEFINE0(setsid)
{
	long ret = session_setsid(t->group);

	return ret < 0 ? ret : (long)task_tgid_nr(t, task_pid_ns(t));
}

/* ---- what threads tell the kernel --------------------------------------------------------------------------------- */

SYSCALL_DEFINE1(set_tid_address, struct gptr, p)
{
	task_set_thread_words(t, task_robust_list_locked(t), p.v);
	return task_pid_nr(t, task_pid_ns(t));
}

#define ROBUST_HEAD_SIZE 24

SYSCALL_DEFINE2(set_robust_list, struct gptr, head, uint64_t, len)
{
	if (len != ROBUST_HEAD_SIZE)
		return -LINUX_EINVAL;
	task_set_thread_words(t, head.v, task_clear_tid_locked(t));
	return 0;
}

SYSCALL_DEFINE3(get_robust_list, int, pid, struct gptr, uhead, struct gptr, ulen)
{
	uint64_t head, len = ROBUST_HEAD_SIZE;
	struct task *o;
	long ret;

	o = pid ? task_find(task_pid_ns(t), (uint32_t)pid) : task_get(t);
	if (!o)
		return -LINUX_ESRCH;
	ret = task_may_access(t, o, false, false);
	mutex_lock(&o->group->sig_mu);
	head = task_robust_list_locked(o);
	mutex_unlock(&o->group->sig_mu);
	task_put(o);
	if (ret < 0)
		return ret;
	if (copyout_obj(t->u, ulen, &len) < 0 || copyout_obj(t->u, uhead, &head) < 0)
		return -LINUX_EFAULT;
	return 0;
}

/* ---- pidfds ---------------------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE2(pidfd_open, int, pid, uint32_t, flags)
{
	struct pid *p;
	bool leader;
	long ret;

	if (flags & ~LINUX_O_NONBLOCK || pid <= 0)
		return -LINUX_EINVAL;
	p = pid_find(task_pid_ns(t), (uint32_t)pid);
	if (!p)
		return -LINUX_ESRCH;
	mutex_lock(&tasks_mu);
	leader = p->tgroup;
	mutex_unlock(&tasks_mu);
	ret = leader ? pidfd_install(t, p, flags) : -LINUX_EINVAL;
	pid_put(p);
	return ret;
}

SYSCALL_DEFINE3(pidfd_getfd, int, pidfd, int, fd, uint32_t, flags)
{
	struct fdtable *fds;
	struct task *o = NULL;
	struct file *f;
	struct pid *p;
	uint32_t fl;
	long ret;

	if (flags)
		return -LINUX_EINVAL;
	p = pidfd_pid(t, pidfd, &fl);
	if (!p)
		return -LINUX_EBADF;
	mutex_lock(&tasks_mu);
	if (p->task)
		o = task_get(p->task);
	mutex_unlock(&tasks_mu);
	pid_put(p);
	if (!o)
		return -LINUX_ESRCH;
	ret = task_may_access(t, o, false, true);
	fds = ret < 0 ? NULL : task_fdtable(o);
	if (!ret && !fds)
		ret = -LINUX_ESRCH;
	if (fds) {
		f = fdtable_file(fds, fd, true);
		ret = f ? fdtable_install(t->fds, f, 0, true, task_rlimit(t, LINUX_RLIMIT_NOFILE)) : -LINUX_EBADF;
		if (f)
			file_put(f);
		fdtable_put(fds);
	}
	task_put(o);
	return ret;
}

/* ---- ptrace ------------------------------------------------------------------------------------------------------------ */

SYSCALL_DEFINE4(ptrace, int, request, int, pid, uint64_t, addr, uint64_t, data)
{
	return ptrace_call(t, request, pid, addr, data);
}
