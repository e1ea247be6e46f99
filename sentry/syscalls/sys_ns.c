/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_ns.c - uname(2), sethostname(2), sysinfo(2), getrandom(2), kcmp(2), and calls that are refused
 */
#include <string.h>

#include "base/hostcall.h"
#include "sentry/abi/prctl.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/kernel_id.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/signal.h"

#define PER_UNAME26  0x0020000u

SYSCALL_DEFINE1(uname, struct gptr, out)
{
	struct linux_utsname n = { .sysname = "Linux", .machine = "x86_64" };
	struct uts_ns *ns = t->ns->uts;

	strcpy(n.release, t->personality & PER_UNAME26 ? "2.6.60" : kernel_release);
	strcpy(n.version, kernel_version);
	mutex_lock(&ns->mu);
	memcpy(n.nodename, ns->nodename, sizeof(n.nodename));
	memcpy(n.domainname, ns->domainname, sizeof(n.domainname));
	mutex_unlock(&ns->mu);
	return copyout_obj(t->u, out, &n);
}

static long set_name(struct task *t, struct gptr uname, int len, size_t field)
{
	struct uts_ns *ns = t->ns->uts;
	char name[UTS_LEN + 1] = { 0 };

	if (!cred_has_cap(t->cred, ns->user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	if (len < 0 || len > UTS_LEN)
		return -LINUX_EINVAL;
	if (copyin(t->u, name, uname, (size_t)len) < 0)
		return -LINUX_EFAULT;
	mutex_lock(&ns->mu);
	memcpy((char *)ns + field, name, sizeof(name));
	mutex_unlock(&ns->mu);
	return 0;
}

SYSCALL_DEFINE2(sethostname, struct gptr, name, int, len)
{
	return set_name(t, name, len, offsetof(struct uts_ns, nodename));
}

SYSCALL_DEFINE2(setdomainname, struct gptr, name, int, len)
{
	return set_name(t, name, len, offsetof(struct uts_ns, domainname));
}

SYSCALL_DEFINE1(sysinfo, struct gptr, out)
{
	struct linux_sysinfo host = { 0 }, si = { 0 };

	host_call(sysinfo, &host);
	si.uptime = (int64_t)(now_ns() / NSEC_PER_SEC);
	si.totalram = kernel_total_memory() ?: host.totalram * (host.mem_unit ?: 1);
	si.freeram = MIN(host.freeram * (host.mem_unit ?: 1), si.totalram);
	si.procs = (uint16_t)MIN(task_pid_ns(t)->nr_pids, (uint32_t)UINT16_MAX);
	si.mem_unit = 1;
	return copyout_obj(t->u, out, &si);
}

#define GRND_NONBLOCK 1u
#define GRND_RANDOM   2u
#define GRND_INSECURE 4u

SYSCALL_DEFINE3(getrandom, struct gptr, out, uint64_t, len, uint32_t, flags)
{
	uint8_t buf[512];
	uint64_t done = 0;

	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
	    (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -LINUX_EINVAL;
	len = MIN(len, (uint64_t)INT32_MAX);
	while (done < len) {
		size_t n = (size_t)MIN(len - done, sizeof(buf));
		long got = host_call(getrandom, buf, n, GRND_NONBLOCK);

		if (got <= 0)
			return done ? (long)done : -LINUX_EAGAIN;
		if (copyout(t->u, GPTR(out.v + done), buf, (size_t)got) < 0)
			return done ? (long)done : -LINUX_EFAULT;
		done += (uint64_t)got;
		if (task_signal_pending(t))
			break;
	}
	return (long)done;
}

/* ---- kcmp --------------------------------------------------------------------------------------------------- */

enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM, KCMP_TYPES };

/* An order that tells nothing about addresses but is the same for the life of the sandbox. */
static long compare(const void *a, const void *b)
{
	static uint64_t salt;
	uint64_t x, y;

	if (!salt)
		host_call(getrandom, &salt, sizeof(salt), 0);
	x = ((uint64_t)(uintptr_t)a ^ salt) * (salt | 1);
	y = ((uint64_t)(uintptr_t)b ^ salt) * (salt | 1);
	return a == b ? 0 : x < y ? 1 : 2;
}

static long kcmp_file(struct task *a, struct task *b, uint64_t fa, uint64_t fb)
{
	struct fdtable *ta = task_fdtable(a), *tb = task_fdtable(b);
	struct file *x = ta ? fdtable_file(ta, (int)fa, true) : NULL, *y = tb ? fdtable_file(tb, (int)fb, true) : NULL;
	long ret = x && y ? compare(x, y) : -LINUX_EBADF;

	if (x)
		file_put(x);
	if (y)
		file_put(y);
	if (ta)
		fdtable_put(ta);
	if (tb)
		fdtable_put(tb);
	return ret;
}

static long kcmp_tasks(struct task *a, struct task *b, int type, uint64_t fa, uint64_t fb)
{
	switch (type) {
	case KCMP_FILE:
		return kcmp_file(a, b, fa, fb);
	case KCMP_VM:
		return compare(a->mm, b->mm);
	case KCMP_FILES:
		return compare(a->fds, b->fds);
	case KCMP_FS:
		return compare(a->fs, b->fs);
	case KCMP_SIGHAND:
		return compare(a->group->sig->hand, b->group->sig->hand);
	case KCMP_IO:
		return compare(NULL, NULL);
	case KCMP_SYSVSEM:
		return compare(a->sem_undo, b->sem_undo);
	}
	return -LINUX_EINVAL;
}

SYSCALL_DEFINE5(kcmp, int, pid1, int, pid2, int, type, uint64_t, fa, uint64_t, fb)
{
	struct task *a = pid1 > 0 ? task_find(task_pid_ns(t), (uint32_t)pid1) : NULL;
	struct task *b = pid2 > 0 ? task_find(task_pid_ns(t), (uint32_t)pid2) : NULL;
	long ret = -LINUX_ESRCH;

	if (a && b) {
		ret = task_may_access(t, a, false, false);
		if (!ret)
			ret = task_may_access(t, b, false, false);
		if (!ret)
			ret = kcmp_tasks(a, b, type, fa, fb);
	}
	task_put(a);
	task_put(b);
	return ret;
}

/* ---- calls that Linux refuses without a privilege that a sandbox never gives ------------------------------------ */

#define DENIED(name, err)                                                                          \
	SYSCALL_DEFINE0(name)                                                                      \
	{                                                                                          \
		return -(err);                                                                     \
	}

/* A kernel without BSD process accounting; the privilege is asked for first. */
SYSCALL_DEFINE1(acct, struct gptr, uname)
{
	return cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_PACCT) ? -LINUX_ENOSYS : -LINUX_EPERM;
}

DENIED(create_module, LINUX_ENOSYS)
DENIED(delete_module, LINUX_EPERM)
DENIED(finit_module, LINUX_EPERM)
DENIED(init_module, LINUX_EPERM)
DENIED(ioperm, LINUX_EPERM)
DENIED(iopl, LINUX_EPERM)
DENIED(kexec_file_load, LINUX_EPERM)
DENIED(kexec_load, LINUX_EPERM)
DENIED(perf_event_open, LINUX_EACCES)
DENIED(reboot, LINUX_EPERM)
DENIED(swapoff, LINUX_EPERM)
DENIED(swapon, LINUX_EPERM)
DENIED(vhangup, LINUX_EPERM)
DENIED(modify_ldt, LINUX_ENOSYS)
DENIED(rseq, LINUX_ENOSYS)
