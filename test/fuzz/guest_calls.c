/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/guest_calls.c - random system calls with half-sensible arguments, from inside the sandbox
 *
 * usage: guest_calls SECONDS SEED. The first process (a container's init, which nobody inside can kill) has two children at work at
 * a time; each makes a few thousand calls from a seed of its own, which is printed, so that a run can be had again with COUNT=1:
 * guest_calls 0 SEED. Arguments come from the table's letters; what a call returns (descriptors, ids, addresses) feeds later
 * ones. Prints "done RUNS CALLS".
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS	   3000
#define RUN_MS	   4000
#define NR_END	   470
#define ARENA	   (1u << 20)

/*
 * f descriptor   d directory descriptor or AT_FDCWD   s path   S other path   b buffer   l length   o offset   i small number
 * x flag bits    X many flag bits   t time   T pointer to times   v iovec   m msghdr   a socket address   L pointer to a length
 * p process   g signal   w pointer to small numbers   z 0   k key or id   M address of memory   P protection   - any word
 */
static const struct row {
	uint16_t nr;
	const char *args;
	uint8_t weight;
} rows[] = {
#define R(name, a, w) { SYS_##name, a, w },
	R(read, "fbl", 6) R(write, "fbl", 6) R(open, "sxi", 4) R(openat, "dsxi", 4) R(close, "f", 2) R(stat, "sb", 2) R(fstat, "fb", 2)
	R(lstat, "sb", 1) R(poll, "bii", 2) R(lseek, "foi", 3) R(mmap, "MlPxfo", 4) R(mprotect, "MlP", 2) R(munmap, "Ml", 1) R(brk, "M", 1)
	R(rt_sigaction, "gbbi", 1) R(rt_sigprocmask, "iwwi", 2) R(ioctl, "fXb", 5) R(pread64, "fblo", 3) R(pwrite64, "fblo", 3) R(readv, "fvi", 3)
	R(writev, "fvi", 3) R(access, "si", 1) R(pipe, "w", 3) R(select, "iwwwT", 2) R(sched_yield, "", 1) R(mremap, "MllxM", 2) R(msync, "Mlx", 1)
	R(mincore, "Mlb", 1) R(madvise, "Mli", 2) R(shmget, "klX", 2) R(shmat, "kMx", 2) R(shmctl, "kib", 2) R(dup, "f", 3) R(dup2, "ff", 1)
	R(nanosleep, "Tb", 1) R(getitimer, "ib", 1) R(alarm, "z", 1) R(setitimer, "iTb", 1) R(sendfile, "ffLl", 3) R(socket, "iii", 6)
	R(connect, "faA", 4) R(accept, "faL", 3) R(sendto, "fblxaA", 4) R(recvfrom, "fblxaL", 4) R(sendmsg, "fmx", 4) R(recvmsg, "fmx", 4)
	R(shutdown, "fi", 2) R(bind, "faA", 4) R(listen, "fi", 3) R(getsockname, "faL", 1) R(getpeername, "faL", 1) R(socketpair, "iiiw", 4)
	R(setsockopt, "fiibi", 6) R(getsockopt, "fiibL", 4) R(wait4, "pwxb", 1) R(kill, "pg", 1) R(uname, "b", 1) R(semget, "kiX", 2)
	R(semop, "kbi", 2) R(semctl, "kiib", 2) R(shmdt, "M", 1) R(msgget, "kX", 2) R(msgsnd, "kblx", 2) R(msgrcv, "kblix", 2) R(msgctl, "kib", 2)
	R(fcntl, "fib", 5) R(flock, "fi", 2) R(fsync, "f", 1) R(truncate, "so", 2) R(ftruncate, "fo", 3) R(getdents64, "fbl", 3) R(getcwd, "bl", 1)
	R(chdir, "s", 1) R(fchdir, "f", 1) R(rename, "sS", 2) R(mkdir, "si", 2) R(rmdir, "s", 2) R(creat, "si", 2) R(link, "sS", 2) R(unlink, "s", 2)
	R(symlink, "sS", 2) R(readlink, "sbl", 1) R(chmod, "si", 1) R(chown, "sii", 1) R(umask, "i", 1) R(getrlimit, "ib", 1) R(getrusage, "ib", 1)
	R(sysinfo, "b", 1) R(times, "b", 1) R(syslog, "ibl", 1) R(setpgid, "pp", 1) R(setsid, "", 1) R(getgroups, "iw", 1) R(setgroups, "iw", 1)
	R(capget, "bb", 1) R(capset, "bb", 1) R(rt_sigpending, "bi", 1) R(rt_sigtimedwait, "wbTi", 1) R(rt_sigqueueinfo, "pgb", 1)
	R(sigaltstack, "bb", 1) R(utime, "sb", 1) R(mknod, "siX", 1) R(personality, "X", 1) R(statfs, "sb", 1) R(fstatfs, "fb", 1)
	R(getpriority, "ip", 1) R(setpriority, "ipi", 1) R(sched_setparam, "pb", 1) R(sched_setscheduler, "pib", 1) R(mlock, "Ml", 1)
	R(munlock, "Ml", 1) R(pivot_root, "sS", 1) R(prctl, "ibiii", 3) R(chroot, "s", 1) R(sync, "", 1) R(mount, "sSsXb", 2) R(umount2, "sx", 2)
	R(swapon, "si", 1) R(sethostname, "bi", 1) R(setxattr, "ssbli", 2) R(fsetxattr, "fsbli", 2) R(getxattr, "ssbl", 1) R(listxattr, "sbl", 1)
	R(removexattr, "ss", 1) R(tkill, "pg", 1) R(futex, "wiiTwi", 3) R(sched_setaffinity, "plw", 1) R(sched_getaffinity, "plw", 1)
	R(io_setup, "iw", 1) R(io_destroy, "k", 1) R(io_submit, "kib", 1) R(io_getevents, "kiibT", 1) R(epoll_create, "i", 2) R(remap_file_pages, "Mlioi", 1)
	R(set_tid_address, "w", 1) R(semtimedop, "kbiT", 1) R(fadvise64, "folI", 1) R(timer_create, "ibw", 2) R(timer_settime, "kiTb", 2)
	R(timer_gettime, "kb", 1) R(timer_delete, "k", 1) R(clock_settime, "iT", 1) R(clock_gettime, "ib", 1) R(clock_nanosleep, "iiTb", 1)
	R(epoll_wait, "fbiz", 3) R(epoll_ctl, "fifb", 5) R(tgkill, "ppg", 1) R(utimes, "sT", 1) R(mbind, "MliwiX", 1) R(mq_open, "sxib", 2)
	R(mq_unlink, "s", 1) R(mq_timedsend, "fbliT", 2) R(mq_timedreceive, "fblwT", 2) R(mq_notify, "fb", 1) R(mq_getsetattr, "fbb", 1)
	R(waitid, "ipbxb", 1) R(add_key, "ssbli", 1) R(keyctl, "iiiii", 1) R(inotify_init, "", 2) R(inotify_add_watch, "fsX", 3) R(inotify_rm_watch, "fi", 2)
	R(mkdirat, "dsi", 1) R(mknodat, "dsiX", 1) R(fchownat, "dsiix", 1) R(newfstatat, "dsbx", 2) R(unlinkat, "dsx", 2) R(renameat, "dsdS", 1)
	R(linkat, "dsdSx", 1) R(symlinkat, "sdS", 1) R(readlinkat, "dsbl", 1) R(fchmodat, "dsi", 1) R(faccessat, "dsi", 1) R(pselect6, "iwwwTb", 1)
	R(ppoll, "biTbi", 1) R(unshare, "X", 2) R(set_robust_list, "Ml", 1) R(splice, "fLfLlx", 4) R(tee, "fflx", 3) R(sync_file_range, "folx", 1)
	R(vmsplice, "fvix", 3) R(utimensat, "dsTx", 1) R(epoll_pwait, "fbizbi", 1) R(signalfd, "fwi", 2) R(timerfd_create, "ix", 2) R(eventfd, "i", 2)
	R(fallocate, "fxol", 3) R(timerfd_settime, "fiTb", 2) R(timerfd_gettime, "fb", 1) R(accept4, "faLx", 2) R(signalfd4, "fwix", 1) R(eventfd2, "ix", 1)
	R(epoll_create1, "x", 2) R(dup3, "ffx", 1) R(pipe2, "wx", 4) R(inotify_init1, "x", 1) R(preadv, "fvio", 2) R(pwritev, "fvio", 2)
	R(perf_event_open, "bpifx", 1) R(recvmmsg, "fmixT", 2) R(fanotify_init, "xx", 1) R(prlimit64, "pibb", 1) R(name_to_handle_at, "dsbwx", 1)
	R(open_by_handle_at, "fbx", 1) R(syncfs, "f", 1) R(sendmmsg, "fmix", 2) R(setns, "fX", 2) R(getcpu, "wwb", 1) R(process_vm_readv, "pvivix", 2)
	R(process_vm_writev, "pvivix", 2) R(kcmp, "ppiff", 1) R(sched_setattr, "pbx", 1) R(renameat2, "dsdSx", 2) R(seccomp, "ixb", 1)
	R(getrandom, "blx", 1) R(memfd_create, "sx", 3) R(bpf, "ibl", 1) R(execveat, "dsbbx", 1) R(userfaultfd, "x", 1) R(membarrier, "ixi", 1)
	R(mlock2, "Mlx", 1) R(copy_file_range, "fLfLlx", 3) R(preadv2, "fviozx", 2) R(pwritev2, "fviozx", 2) R(statx, "dsxXb", 2) R(rseq, "Mlii", 1)
	R(ptrace, "ipMb", 2) R(rt_sigsuspend, "wi", 1) R(get_robust_list, "pww", 1) R(lookup_dcookie, "ibl", 1) R(ioprio_set, "ipi", 1)
#undef R
	{ 424, "fgbx", 1 }, { 425, "ib", 1 }, { 428, "dsx", 2 }, { 429, "dsdSx", 2 }, { 430, "sx", 2 }, { 431, "fissi", 2 }, { 432, "fxx", 2 },
	{ 433, "dsx", 1 }, { 434, "px", 2 }, { 435, "bl", 1 }, { 436, "iix", 1 }, { 437, "dsbl", 2 }, { 438, "ffx", 2 }, { 439, "dsix", 1 },
	{ 440, "fvilx", 1 }, { 441, "fbiTb", 1 }, { 442, "dsxbl", 2 }, { 446, "fxib", 1 }, { 447, "x", 1 }, { 448, "fx", 1 }, { 449, "bixTi", 1 },
};

static uint64_t rng;
static char *arena; /* ARENA bytes and a hole */
static int fds[64];
static long ids[16];
static uint64_t mems[16];

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	return rng ^= rng << 17;
}

static uint64_t below(uint64_t n)
{
	return rnd() % n;
}

static char *piece(void)
{
	return below(20) ? arena + below(ARENA / 64) * 64 : arena + ARENA - below(64);
}

static const char *const names[] = { "/tmp/a", "/tmp/b", "/tmp/d", "/tmp/d/e", "/tmp/d/f", ".", "..", "/", "a", "d/e", "/proc/self/fd/3", "/proc/self/maps",
	"/proc/self/mem", "/proc/1/root", "/proc/self/task", "/proc/sys/kernel/hostname", "/proc/net/tcp", "/dev/ptmx", "/dev/null", "/dev/zero",
	"/dev/shm/x", "/dev/tty", "/dev/pts/0", "/dev/mqueue/q", "/sys/fs/cgroup", "/v/x", "/v/y", "/v/d", "/v/d/z", "/bin/busybox", "", "tmpfs", "proc",
	"user.a", "security.b", "/tmp/l", "/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/exe", "/tmp/fifo", "/proc/self/attr/current", "overlay", "bind" };

static char *path(void)
{
	char *p = arena + below(1024) * 256;

	if (!below(50)) {
		memset(p, 'n', 4200);
		p[4000 + below(200)] = '\0';
	} else {
		strcpy(p, names[below(sizeof(names) / sizeof(*names))]);
	}
	return p;
}

static uint64_t number(void)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 4, 7, 8, 16, 64, 255, 256, 4095, 4096, 4097, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
					0x7fffffffffffffff, 0x8000000000000000, -1ull, -2ull, -4096ull, 1ull << 32, 1ull << 40 };

	return below(3) ? below(24) : odd[below(sizeof(odd) / sizeof(*odd))];
}

static uint64_t times(void)
{
	uint64_t *t = (uint64_t *)piece();

	if (!below(4))
		return 0;
	if ((char *)t < arena + ARENA - 64) /* short: a process should not sleep its life away */
		for (int i = 0; i < 4; i++)
			t[i] = i & 1 ? below(2000000) : below(60) ? 0 : number();
	return (uint64_t)(uintptr_t)t;
}

static uint64_t iovec(void)
{
	struct iovec *v = (struct iovec *)(arena + below(1024) * 512);

	for (int i = 0; i < 16; i++)
		v[i] = (struct iovec){ below(8) ? piece() : (void *)number(), below(10) ? below(70000) : number() };
	return (uint64_t)(uintptr_t)v;
}

static uint64_t sockaddr(void)
{
	char *p = arena + below(1024) * 512;
	static const uint16_t fam[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, 0 };

	memset(p, 0, 128);
	*(uint16_t *)p = fam[below(6)];
	switch (*(uint16_t *)p) {
	case AF_UNIX:
		snprintf(p + 2, 100, "%s%s", below(2) ? "" : "@", below(2) ? "/tmp/sock" : "s");
		if (p[2] == '@')
			p[2] = '\0';
		break;
	case AF_INET:
		*(uint16_t *)(p + 2) = htons((uint16_t)(4000 + below(8)));
		*(uint32_t *)(p + 4) = below(4) ? htonl(0x7f000001) : (uint32_t)rnd();
		break;
	case AF_INET6:
		*(uint16_t *)(p + 2) = htons((uint16_t)(4000 + below(8)));
		p[23] = 1;
		break;
	}
	return (uint64_t)(uintptr_t)p;
}

static uint64_t msghdr(void)
{
	struct msghdr *m = (struct msghdr *)(arena + below(512) * 1024);
	struct cmsghdr *c = (struct cmsghdr *)(arena + ARENA / 2 + below(256) * 1024);

	for (int i = 0; i < 3; i++)
		m[i] = (struct msghdr){ .msg_name = below(2) ? (void *)sockaddr() : NULL, .msg_namelen = (socklen_t)(below(8) ? 16 + below(100) : number()),
			.msg_iov = (void *)iovec(), .msg_iovlen = below(10) ? below(5) : number() };
	if (below(3))
		return (uint64_t)(uintptr_t)m;
	*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(below(6) ? sizeof(int) * below(8) : number()), .cmsg_level = below(3) ? SOL_SOCKET : (int)number(),
			       .cmsg_type = (int)(1 + below(4)) };
	for (int i = 0; i < 8; i++)
		((int *)CMSG_DATA(c))[i] = fds[below(64)];
	m->msg_control = c;
	m->msg_controllen = below(5) ? 64 : number();
	return (uint64_t)(uintptr_t)m;
}

static uint64_t arg(char kind)
{
	uint32_t *w;

	switch (kind) {
	case 'f': return (uint64_t)(below(20) ? fds[below(64)] : (int)number());
	case 'd': return (uint64_t)(below(3) ? -100 : fds[below(64)]);
	case 's': case 'S': return (uint64_t)(uintptr_t)path();
	case 'b':
		w = (uint32_t *)piece();
		if ((char *)w < arena + ARENA - 256)
			for (int i = 0; i < 32; i++)
				if (!below(3))
					w[i] = (uint32_t)(below(2) ? number() : (uint64_t)fds[below(64)]);
		return below(25) ? (uint64_t)(uintptr_t)w : number();
	case 'l': return below(8) ? below(70000) : number();
	case 'A': return below(10) ? 16 + below(95) : number();
	case 'o': return below(4) ? below(1 << 20) : number();
	case 'i': case 'I': return number();
	case 'x': return below(3) ? 0 : below(2) ? 1ull << below(20) : rnd() & rnd() & 0xffffff;
	case 'X': return below(4) ? rnd() & 0xffff : rnd() & rnd() & 0xffffffff;
	case 'T': case 't': return times();
	case 'v': return iovec();
	case 'm': return msghdr();
	case 'a': return below(8) ? sockaddr() : number();
	case 'L':
		w = (uint32_t *)(arena + below(4096) * 128);
		w[0] = (uint32_t)(below(6) ? below(200) : number());
		w[1] = 0;
		return below(6) ? (uint64_t)(uintptr_t)w : 0;
	case 'p': return below(3) ? (uint64_t)getpid() : below(3) ? 0 : below(64) + 2; /* not init: it is the one that counts */
	case 'g': return 1 + below(66);
	case 'w':
		w = (uint32_t *)(arena + below(4096) * 128);
		for (int i = 0; i < 4; i++)
			w[i] = (uint32_t)number();
		return below(12) ? (uint64_t)(uintptr_t)w : number();
	case 'z': return 0;
	case 'k': return (uint64_t)(below(5) ? ids[below(16)] : (long)number());
	case 'M': return below(8) ? mems[below(16)] : below(2) ? (uint64_t)(uintptr_t)piece() & ~4095ull : number();
	case 'P': return below(8);
	}
	return rnd();
}

static const struct row *choose(void)
{
	static unsigned total;
	unsigned at;

	if (!total)
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
			total += rows[i].weight;
	at = (unsigned)below(total);
	for (size_t i = 0;; i++) {
		if (at < rows[i].weight)
			return &rows[i];
		at -= rows[i].weight;
	}
}

static void one_call(void)
{
	const struct row *r = choose();
	uint64_t a[6] = { 0 };
	long ret;

	for (int i = 0; i < 6 && r->args[i]; i++)
		a[i] = arg(r->args[i]);
	/* the arena stays, and what is mapped does not cover it */
	if (r->nr == SYS_mmap)
		a[3] = (a[3] & ~0x10ull) | (below(3) ? 0x22 : 1 + below(2)), a[0] = 0, a[1] %= 1 << 22;
	if ((r->nr == SYS_munmap || r->nr == SYS_mremap || r->nr == SYS_mprotect || r->nr == SYS_madvise || r->nr == SYS_shmat) &&
	    (a[0] >> 24 == (uint64_t)(uintptr_t)arena >> 24 || a[0] < 0x10000 || a[1] > 1 << 22))
		return;
	if (r->nr == SYS_mremap)
		a[2] %= 1 << 22, a[3] &= 1;
	ret = syscall(r->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (ret < 0)
		return;
	if (r->nr == SYS_mmap || r->nr == SYS_shmat || r->nr == SYS_mremap)
		mems[below(16)] = (uint64_t)ret;
	else if (r->nr == SYS_shmget || r->nr == SYS_semget || r->nr == SYS_msgget)
		ids[below(16)] = ret;
	else if (r->nr == SYS_pipe || r->nr == SYS_pipe2 || r->nr == SYS_socketpair)
		memcpy(&fds[below(31) * 2], (int *)a[r->nr == SYS_socketpair ? 3 : 0], 8);
	else if (ret > 2 && ret < 4096 && (below(4) || r->args[0] == 's'))
		fds[below(64)] = (int)ret;
}

static void on_alarm(int sig)
{
}

/* Calls that block end soon. */
static void tick(void)
{
	struct itimerval t = { { 0, 10000 }, { 0, 10000 } };
	struct sigaction sa = { .sa_handler = on_alarm };
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGALRM, &sa, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void worker(uint64_t seed)
{
	struct rlimit small = { 8 << 20, 8 << 20 }, some = { 512, 512 };

	rng = seed * 0x9e3779b97f4a7c15ull | 1;
	for (int i = 0; i < 8; i++)
		rnd();
	setpgid(0, 0);
	setrlimit(RLIMIT_FSIZE, &small);
	setrlimit(RLIMIT_NOFILE, &some);
	for (int i = 1; i < 65; i++)
		if (i != SIGKILL && i != SIGSTOP && i != SIGSEGV && i != SIGALRM)
			signal(i, SIG_IGN);
	arena = mmap(NULL, ARENA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(arena + ARENA, 4096);
	mkdir("/tmp/d", 0777);
	for (int i = 0; i < 64; i++)
		fds[i] = i < 8 ? open(i & 1 ? "/tmp/a" : "/v/x", O_RDWR | O_CREAT, 0666) : 3 + i % 20;
	for (int i = 0; i < 16; i++)
		mems[i] = (uint64_t)(uintptr_t)mmap(NULL, 65536, PROT_READ | PROT_WRITE, (i & 1 ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
	if (seed % 3 == 0) { /* a share of them with an enemy in the same memory */
		if (fork() == 0)
			rng ^= 0x5555;
	}
	for (int i = 0; i < CALLS; i++) {
		if (i % 32 == 0)
			tick();
		one_call();
	}
	_exit(0);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	uint64_t end = now_ms() + 1000 * (uint64_t)(argc > 1 ? atoi(argv[1]) : 5), seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	struct { pid_t pid; uint64_t dead_ms; } w[2] = { { 0, 0 }, { 0, 0 } };
	unsigned long runs = 0;
	sigset_t chld;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	do {
		struct timespec tick = { .tv_nsec = 20000000 };
		pid_t p;

		for (int i = 0; i < 2; i++) {
			if (!w[i].pid) {
				printf("seed %lu\n", seed);
				w[i].pid = fork();
				if (!w[i].pid)
					worker(seed);
				w[i].dead_ms = now_ms() + RUN_MS;
				seed++;
				runs++;
			} else if (now_ms() > w[i].dead_ms) {
				kill(w[i].pid, SIGKILL);
			}
		}
		sigtimedwait(&chld, NULL, &tick);
		while ((p = waitpid(-1, NULL, WNOHANG)) > 0)
			for (int i = 0; i < 2; i++)
				if (w[i].pid == p) {
					kill(-p, SIGKILL);
					w[i].pid = 0;
				}
	} while (now_ms() < end);
	kill(-1, SIGKILL);
	printf("done %lu %lu\n", runs, runs * CALLS);
	return 0;
}
