/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/spawn.c - see spawn.h
 *
 * Traps:   setns(CLONE_NEWPID) of the parent concerns its calling thread only and is undone before anybody sees
 *          it (threads could not be made meanwhile). Writing "0" to a v1 "tasks" file moves the writing thread without the machine-wide rwsem that a
 *          write of a pid to cgroup.procs takes (milliseconds per hierarchy, measured).
 * Owner:   a process may look into another of its own ids below its user namespace only with CAP_SYS_PTRACE there, and an
 *          owner of a namespace has all capabilities in it (user_namespaces(7)). So the helper that makes the zygote's
 *          user namespace does it with the effective ids of the Sentry, who thus owns it without any capability of its own.
 */
#include "runsc/lib/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fdpass.h"
#include "base/hostcall.h"
#include "base/log.h"

#define CHILD_STACK   (64 * 1024)
#define HELPER_STACK  (8 * 1024) /* of each of two, the upper end of it */
/* The sanitizers' runtime cannot be linked statically: the loader of such a build finds its libraries by path, after exec. That
 * build is for tests and keeps the host's root, as nobody and without capabilities. */
#ifdef SENTRY_ASAN
#define KEEP_ROOT true
#else
#define KEEP_ROOT false
#endif
#define FD_PARK	      300 /* descriptors are parked from here on before they get their final numbers */

#define STR_(x)	      #x
#define STR(x)	      STR_(x)
#define NOBODY_MAP    STR(SPAWN_NOBODY) " " STR(SPAWN_NOBODY) " 1\n"

struct spawn_report {
	int step, code;
};

/* What the child sees, below its stack: the caller's own variables may be gone when the gate opens. */
struct child_view {
	struct spawn s;
	struct spawn_fd fds[SPAWN_FDS_MAX];
	int ns_fds[SPAWN_NS_MAX], cgroup_fds[SPAWN_CG_MAX];
	int gate_fd, gate_far_fd, err_fd, exe_fd;
	bool self_map;	/* in a user namespace of its own whose maps are still empty */
};

static long step_gate(struct child_view *v)
{
	char go;
	long n;

	if (v->s.no_gate)
		return 0;
	/* our copy of the far end, or the gate would never be seen to close; those of other children waiting at theirs go with
	 * them, the youngest first */
	host_call(close, v->gate_far_fd);
	do
		n = host_call(read, v->gate_fd, &go, 1);
	while (n == -EINTR);
	if (n != 1)
		host_call(exit_group, 1);
	return 0;
}

static long step_session(struct child_view *v)
{
	return v->s.keep_session ? 0 : MIN(host_call(setsid), 0L);
}

static long step_cgroup_v1(struct child_view *v)
{
	for (size_t i = 0; i < v->s.nr_cgroup_task_fds; i++) {
		long n = host_call(write, v->cgroup_fds[i], "0", 1);

		if (n < 0)
			return n;
	}
	return 0;
}

static long step_namespaces(struct child_view *v)
{
	for (size_t i = 0; i < v->s.nr_ns_fds; i++) {
		long n = host_call(setns, v->ns_fds[i], 0);

		if (n < 0)
			return n;
	}
	return 0;
}

static long write_file(const char *path, const char *text)
{
	long fd = host_call(open, path, O_WRONLY | O_CLOEXEC), n;

	if (fd < 0)
		return fd;
	n = host_call(write, fd, text, strlen(text));
	host_call(close, fd);
	return MIN(n, 0L);
}

/* Nobody above the parent namespace may write the maps, and nobody in it has a reason to: a single id, the owner's, is
 * what a process may map by itself, once it has given up changing its groups. */
static long step_own_maps(struct child_view *v)
{
	long ret;

	if (!v->self_map)
		return 0;
	ret = write_file("/proc/self/setgroups", "deny");
	if (ret == 0)
		ret = write_file("/proc/self/gid_map", NOBODY_MAP);
	return ret < 0 ? ret : write_file("/proc/self/uid_map", NOBODY_MAP);
}

/* A fresh empty tmpfs becomes the root; everything of the host is unmounted. Where the host itself runs on the
 * initial rootfs pivot_root(2) is refused: then the tmpfs covers "/" and is entered, which is as good once the
 * capability to leave it is gone. */
static long step_empty_root(struct child_view *v)
{
	long fs, mnt, ret;

	if (!v->s.empty_root || KEEP_ROOT)
		return 0;
	ret = host_call(mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (ret < 0)
		return ret;
	fs = host_call(fsopen, "tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return fs;
	ret = host_call(fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (ret < 0)
		return ret;
	mnt = host_call(fsmount, fs, FSMOUNT_CLOEXEC,
			MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mnt < 0)
		return mnt;
	ret = host_call(move_mount, mnt, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
	if (ret < 0)
		return ret;
	ret = host_call(fchdir, mnt);
	if (ret < 0)
		return ret;
	ret = host_call(pivot_root, ".", ".");
	if (ret < 0)
		return host_call(chroot, ".");
	ret = host_call(umount2, ".", MNT_DETACH);
	return ret < 0 ? ret : host_call(chdir, "/");
}

/* What exec could ever give back. Without privilege there is nothing to drop it with, and nothing to get it from. */
static void drop_bounding(void)
{
	for (int cap = 0; cap < 64 && host_call(prctl, PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
}

/* Whoever has no name in its user namespace loses all capabilities there by an exec. */
static void become_ns_root(void)
{
	host_call(setgroups, 0, NULL);
	if (host_call(setresgid, 0, 0, 0) == 0)
		host_call(setresuid, 0, 0, 0);
}

/* No groups, then ids. In a user namespace made by somebody without privilege setgroups(2) is denied: nothing to shed then. */
static long step_user(struct child_view *v)
{
	long ret;

	if (v->s.ns_root)
		become_ns_root();
	if (!v->s.nobody)
		return 0;
	ret = host_call(setgroups, 0, NULL);
	if (ret < 0 && !((v->self_map || (v->s.clone_flags & CLONE_NEWUSER)) && ret == -EPERM))
		return ret;
	drop_bounding();
	ret = host_call(setresgid, SPAWN_NOBODY, SPAWN_NOBODY, SPAWN_NOBODY);
	if (ret == 0)
		ret = host_call(setresuid, SPAWN_NOBODY, SPAWN_NOBODY, SPAWN_NOBODY);
	return ret < 0 ? ret : host_call(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Final numbers may be other descriptors' present ones: park all, then place all. */
static long step_fds(struct child_view *v)
{
	long n;

	for (size_t i = 0; i < v->s.nr_fds; i++) {
		n = host_call(fcntl, v->fds[i].from, F_DUPFD_CLOEXEC, FD_PARK);
		if (n < 0)
			return n;
		v->fds[i].from = (int)n;
	}
	n = host_call(fcntl, v->err_fd, F_DUPFD_CLOEXEC, FD_PARK);
	if (n < 0)
		return n;
	v->err_fd = (int)n;
	n = host_call(fcntl, v->exe_fd, F_DUPFD_CLOEXEC, FD_PARK);
	if (n < 0)
		return n;
	v->exe_fd = (int)n;
	for (size_t i = 0; i < v->s.nr_fds; i++) {
		n = host_call(dup3, v->fds[i].from, v->fds[i].to, 0);
		if (n < 0)
			return n;
	}
	/* whatever the caller had open beside these does not go along */
	for (int fd = 0, keep; fd < FD_PARK; fd = keep + 1) {
		keep = FD_PARK;
		for (size_t i = 0; i < v->s.nr_fds; i++)
			if (v->fds[i].to >= fd && v->fds[i].to < keep)
				keep = v->fds[i].to;
		if (keep > fd)
			host_call(close_range, fd, keep - 1, CLOSE_RANGE_CLOEXEC);
	}
	return host_call(close_range, FD_PARK, ~0u, CLOSE_RANGE_CLOEXEC);
}

static long step_misc(struct child_view *v)
{
	unsigned long none = 0;
	long ret = 0;

	if (v->s.ctty)
		host_call(ioctl, 0, TIOCSCTTY, 0); /* refused when it is another session's: then no resize, no more */
	if (v->s.pdeathsig)
		ret = host_call(prctl, PR_SET_PDEATHSIG, v->s.pdeathsig, 0, 0, 0);
	if (ret == 0 && v->s.chdir)
		ret = host_call(chdir, v->s.chdir);
	return ret < 0 ? ret : host_call(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

static long step_exec(struct child_view *v)
{
	return host_call(execveat, v->exe_fd, "", v->s.argv, v->s.envp, AT_EMPTY_PATH);
}

static const struct child_step {
	const char *name;
	long (*run)(struct child_view *v);
} child_steps[] = {
	{ "wait for the runtime", step_gate },
	{ "start a session", step_session },
	{ "enter the cgroup", step_cgroup_v1 },
	{ "join namespaces", step_namespaces },
	{ "map its ids", step_own_maps },
	{ "make an empty root", step_empty_root },
	{ "change identity", step_user },
	{ "place descriptors", step_fds },
	{ "set signals and directory", step_misc },
	{ "execute runsc", step_exec },
};

static int child_main(void *arg)
{
	struct child_view *v = arg;

	for (int i = 0; i < (int)ARRAY_SIZE(child_steps); i++) {
		long ret = child_steps[i].run(v);

		if (ret < 0) {
			struct spawn_report r = { .step = i, .code = (int)-ret };

			host_call(write, v->err_fd, &r, sizeof(r));
			break;
		}
	}
	return 127;
}

/* clone3(2) whose child calls @fn(@arg) on the stack given in @a and exits with its value. */
static long clone3_call(struct clone_args *a, int (*fn)(void *), void *arg)
{
	register long ret __asm__("rax") = __NR_clone3;
	register long di __asm__("rdi") = (long)a;
	register long si __asm__("rsi") = sizeof(*a);
	register long f __asm__("r12") = (long)fn;
	register long x __asm__("r13") = (long)arg;

	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "movq %%r13, %%rdi\n\t"
			 "callq *%%r12\n\t"
			 "movl %%eax, %%edi\n\t"
			 "movl $231, %%eax\n\t" /* exit_group */
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "+r"(ret)
			 : "r"(di), "r"(si), "r"(f), "r"(x)
			 : "rcx", "r11", "memory");
	return ret;
}

/* @ends gets the child's ends of gate and report pipe, which are the caller's to close. */
static int prepare(const struct spawn *s, struct child_view **out, struct child *c, int ends[2], int devnull,
		   struct err *e)
{
	int gate[2], err[2];
	struct child_view *v;

	if (s->nr_fds > SPAWN_FDS_MAX || s->nr_ns_fds > SPAWN_NS_MAX || s->nr_cgroup_task_fds > SPAWN_CG_MAX)
		return err_set(e, EINVAL, "start %s: more than %d descriptors", s->what, SPAWN_FDS_MAX);
	/* the view sits at the bottom of the child's stack mapping: freed together */
	c->stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (c->stack == MAP_FAILED) {
		c->stack = NULL;
		return err_sys(e, "start %s: stack", s->what);
	}
	if (pipe2(gate, O_CLOEXEC) < 0)
		return err_sys(e, "start %s: pipe", s->what);
	c->gate = gate[1];
	ends[0] = gate[0];
	if (pipe2(err, O_CLOEXEC) < 0)
		return err_sys(e, "start %s: pipe", s->what);
	c->err_fd = err[0];
	ends[1] = err[1];
	v = c->stack;
	v->gate_fd = gate[0];
	v->gate_far_fd = gate[1];
	v->err_fd = err[1];
	v->s = *s;
	v->exe_fd = s->exe_fd;
	for (size_t i = 0; i < s->nr_ns_fds; i++)
		v->ns_fds[i] = s->ns_fds[i];
	for (size_t i = 0; i < s->nr_cgroup_task_fds; i++)
		v->cgroup_fds[i] = s->cgroup_task_fds[i];
	for (size_t i = 0; i < s->nr_fds; i++) {
		v->fds[i] = s->fds[i];
		if (v->fds[i].from < 0)
			v->fds[i].from = devnull;
	}
	*out = v;
	return 0;
}

/* Processes that make the child and end. The kernel allows CLONE_NEWPID only to a process whose own pid namespace is the parent of
 * the new one, so entering by setns(2) and nesting takes two clones; and the way back by setns(2) is open only to those who have a
 * right to our own namespace too, which a caller without root has not: so a process of its own goes in, the first helper. */
struct helper {
	struct clone_args *a, *inner;
	struct child_view *v;
	int pidns_fd;
	bool has_nobody; /* else the Sentry's owner is who we are */
	long ret, inner_pid;
};

/* Effective ids of the Sentry and no groups, for this process alone; files (the cgroup's) are still opened as before, and
 * the capabilities stay. */
static long become_owner(void)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	long uid = host_call(geteuid), gid = host_call(getegid), ret = host_call(capget, &hdr, caps);

	if (ret == 0)
		ret = host_call(setgroups, 0, NULL);
	if (ret == 0 || ret == -EPERM) /* denied in the namespace we run in: then there are none */
		ret = host_call(setresgid, -1, SPAWN_NOBODY, -1);
	if (ret == 0)
		ret = host_call(setresuid, -1, SPAWN_NOBODY, -1);
	if (ret < 0)
		return ret;
	for (int i = 0; i < 2; i++)
		caps[i].effective = caps[i].permitted;
	ret = host_call(capset, &hdr, caps);
	host_call(setfsgid, gid);
	host_call(setfsuid, uid);
	return ret;
}

static int helper_main(void *arg)
{
	struct helper *h = arg;

	if (h->v->s.own_userns && h->has_nobody)
		h->ret = become_owner();
	/* a pid namespace can only nest in one of its own user namespace or an ancestor's */
	if (h->ret == 0 && h->v->s.userns_fd >= 0)
		h->ret = host_call(setns, h->v->s.userns_fd, CLONE_NEWUSER);
	if (h->ret < 0)
		return 0;
	h->v->self_map = h->v->s.own_userns;
	if (h->v->self_map)
		h->a->flags |= CLONE_NEWUSER;
	h->ret = clone3_call(h->a, child_main, h->v);
	/* a host that lets only its own root make user namespaces, or no more of them: then it is the Sentry's */
	if (h->v->self_map && (h->ret == -EPERM || h->ret == -ENOSPC || h->ret == -EUSERS)) {
		h->a->flags &= ~(uint64_t)CLONE_NEWUSER;
		h->v->self_map = false;
		h->ret = clone3_call(h->a, child_main, h->v);
	}
	return 0;
}

static int helper_outer(void *arg)
{
	struct helper *h = arg;

	h->ret = host_call(setns, h->pidns_fd, CLONE_NEWPID);
	if (h->ret == 0)
		h->inner_pid = clone3_call(h->inner, helper_main, h);
	if (h->inner_pid < 0)
		h->ret = h->inner_pid;
	return 0;
}

static void reap_helper(long pid)
{
	int status;

	while (pid > 0 && waitpid((pid_t)pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* The pid on the host of what @pidfd refers to: clone3 told the helper the number in its own namespace. */
static long pid_of_pidfd(int pidfd)
{
	char path[48], text[512], *at;
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	at = strstr(text, "Pid:");
	return at ? strtol(at + 4, NULL, 10) : -EIO;
}

static long clone_nested(const struct spawn *s, struct clone_args *a, struct child_view *v, const int *pidfd,
			 struct err *e)
{
	uint64_t stack = (uint64_t)(uintptr_t)v + CHILD_STACK - HELPER_STACK;
	/* shared descriptors: the pidfd has to arrive in our table; vfork: @h and we stay until they have ended */
	struct clone_args outer = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_CLEAR_SIGHAND,
		.exit_signal = SIGCHLD,
		.stack = stack,
		.stack_size = HELPER_STACK,
	}, inner = outer;
	struct helper h = { .a = a, .inner = &inner, .v = v, .pidns_fd = s->pidns_fd,
			    .has_nobody = spawn_has_nobody() };
	long helper;

	inner.stack -= HELPER_STACK;
	inner.flags |= CLONE_PARENT;
	a->flags |= CLONE_PARENT;
	inner.exit_signal = a->exit_signal = 0; /* CLONE_PARENT takes the first helper's */
	a->stack_size -= 2 * HELPER_STACK;
	helper = clone3_call(&outer, helper_outer, &h);
	if (helper < 0)
		return helper;
	reap_helper(helper);
	reap_helper(h.inner_pid);
	if (h.ret > 0 && s->own_userns && !(a->flags & CLONE_NEWUSER))
		log_warn("%s: the host refuses a user namespace of its own, it shares the sandbox's", s->what);
	return h.ret < 0 ? h.ret : pid_of_pidfd(*pidfd);
}

/* The clone itself. All signals are blocked meanwhile: a handler of the caller must not run in the child, on shared memory. */
static long do_clone(const struct spawn *s, struct child *c, struct child_view *v, struct err *e)
{
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | s->clone_flags,
		.pidfd = (uint64_t)(uintptr_t)&c->pidfd,
		.exit_signal = SIGCHLD,
		.stack = (uint64_t)(uintptr_t)c->stack + sizeof(struct child_view) + 64,
	};
	sigset_t all, old;
	long pid;

	a.stack = ALIGN_UP(a.stack, 64);
	a.stack_size = (uint64_t)(uintptr_t)c->stack + CHILD_STACK - a.stack;
	if (s->cgroup_fd >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)s->cgroup_fd;
	}
	e->code = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = s->pidns_fd >= 0 ? clone_nested(s, &a, v, &c->pidfd, e) : clone3_call(&a, child_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid < 0 && !e->code) {
		errno = (int)-pid;
		return err_sys(e, "start %s: clone", s->what);
	}
	return pid;
}

int spawn_begin(const struct spawn *s, struct child *c, struct err *e)
{
	AUTO_CLOSE int devnull = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct child_view *v = NULL;
	int ends[2] = { -1, -1 };
	long pid = -1;

	*c = (struct child)CHILD_INIT;
	c->what = s->what;
	if (devnull < 0)
		return err_sys(e, "open /dev/null");
	if (prepare(s, &v, c, ends, devnull, e) == 0)
		pid = do_clone(s, c, v, e);
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	if (pid < 0) {
		spawn_release(c);
		return -1;
	}
	c->pid = (pid_t)pid;
	return 0;
}

static int write_proc(pid_t pid, const char *file, const char *text, struct err *e)
{
	char path[64];
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return err_sys(e, "write %s", path);
	return 0;
}

bool spawn_has_nobody(void)
{
	unsigned inside, outside, count;
	bool found = false;
	FILE *maps = fopen("/proc/self/uid_map", "re");

	while (maps && !found && fscanf(maps, "%u %u %u", &inside, &outside, &count) == 3)
		found = inside <= SPAWN_NOBODY && SPAWN_NOBODY - inside < count;
	if (maps)
		fclose(maps);
	return found;
}

int spawn_write_maps(const struct child *c, const char *uid_map, const char *gid_map, struct err *e)
{
	/* without setgroups "deny" a member of a group could shed it; root's children have none to shed, but an
	 * unprivileged caller may only write gid_map after it */
	if (geteuid() != 0 && write_proc(c->pid, "setgroups", "deny", e) < 0)
		return -1;
	if (write_proc(c->pid, "uid_map", uid_map, e) < 0)
		return -1;
	return write_proc(c->pid, "gid_map", gid_map, e);
}

void spawn_oom_score(const struct child *c, int adj)
{
	struct err e = ERR_INIT;
	char text[16];

	snprintf(text, sizeof(text), "%d", adj);
	if (write_proc(c->pid, "oom_score_adj", text, &e) < 0)
		log_debug("%s: %s", c->what, e.msg);
}

int spawn_open_gate(struct child *c, struct err *e)
{
	if (c->gate < 0)
		return 0;
	if (write(c->gate, "g", 1) != 1 && errno != EPIPE)
		return err_sys(e, "start %s", c->what);
	close(TAKE_FD(c->gate));
	return 0;
}

int spawn_finish(struct child *c, struct err *e)
{
	struct spawn_report r;
	ssize_t n;

	if (c->err_fd < 0)
		return 0;
	do
		n = read(c->err_fd, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	close(TAKE_FD(c->err_fd));
	munmap(c->stack, CHILD_STACK);
	c->stack = NULL;
	if (n == 0)
		return 0;
	if (n != sizeof(r) || r.step < 0 || r.step >= (int)ARRAY_SIZE(child_steps))
		return err_set(e, EIO, "start %s: the child ended early", c->what);
	return err_set(e, r.code, "start %s: %s: %s", c->what, child_steps[r.step].name, strerror(r.code));
}

void spawn_release(struct child *c)
{
	if (c->gate >= 0)
		close(TAKE_FD(c->gate));
	if (c->err_fd >= 0) {
		struct err e = ERR_INIT;

		/* the stack may be freed only once the child is off it */
		spawn_finish(c, &e);
	}
	if (c->pidfd >= 0)
		close(TAKE_FD(c->pidfd));
	if (c->stack)
		munmap(c->stack, CHILD_STACK);
	c->stack = NULL;
}

void process_reap(pid_t pid, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int status;

	while (pidfd >= 0 && poll(&p, 1, 5000) < 0 && errno == EINTR)
		;
	while (waitpid(pid, &status, pidfd >= 0 ? WNOHANG : 0) < 0 && errno == EINTR)
		;
}

void spawn_kill(struct child *c)
{
	pid_t pid = c->pid;
	int pidfd = c->pidfd;

	if (pid > 0 && pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	c->pidfd = -1;
	spawn_release(c);
	if (pid > 0)
		process_reap(pid, pidfd);
	if (pidfd >= 0)
		close(pidfd);
	c->pid = -1;
}
