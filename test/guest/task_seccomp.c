/* SPDX-License-Identifier: Apache-2.0
 * test/guest/task_seccomp.c - seccomp filters: actions, threads, inheritance
 */
#include "guest.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void install(long nr, unsigned action, unsigned flags)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p) == 0);
}

#define IN_CHILD(expect, ...)                                                                      \
	do {                                                                                       \
		pid_t p_ = fork();                                                                 \
		int st_;                                                                           \
		if (!p_) {                                                                         \
			__VA_ARGS__;                                                                   \
			_exit(0);                                                                  \
		}                                                                                  \
		CHECK(waitpid(p_, &st_, 0) == p_);                                                 \
		CHECK(st_ == (expect));                                                            \
	} while (0)

static volatile siginfo_t info;

static void on_sys(int sig, siginfo_t *si, void *ctx)
{
	info = *si;
}

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static int turn, saw;

static void *thread(void *arg)
{
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&mu);
		while (turn != 1)
			pthread_cond_wait(&cv, &mu);
		turn = 0;
		pthread_cond_signal(&cv);
		pthread_mutex_unlock(&mu);
	}
	errno = 0;
	saw = syscall(SYS_getppid) == -1 && errno == 13;
	return NULL;
}

int main(void)
{
	IN_CHILD(0, {
		install(SYS_getppid, SECCOMP_RET_ERRNO | 13, 0);
		CHECK_ERRNO(syscall(SYS_getppid), 13);
		CHECK(getpid() > 0 && prctl(PR_GET_SECCOMP) == 2);
		IN_CHILD(0, CHECK_ERRNO(syscall(SYS_getppid), 13));
	});
	IN_CHILD(SIGSYS, {
		install(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0);
		syscall(SYS_getppid);
	});
	IN_CHILD(0, {
		struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };

		sigaction(SIGSYS, &sa, NULL);
		install(SYS_getppid, SECCOMP_RET_TRAP | 5, 0);
		syscall(SYS_getppid);
		CHECK(info.si_signo == SIGSYS && info.si_code == 1 /* SYS_SECCOMP */ && info.si_syscall == SYS_getppid && info.si_errno == 5);
	});
	IN_CHILD(SIGKILL, {
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
		write(2, "", 0);
		syscall(SYS_getppid);
	});
	IN_CHILD(0, { /* threads: the filter reaches them, and futexes go on working under it */
		pthread_t th;

		pthread_create(&th, NULL, thread, NULL);
		install(SYS_getppid, SECCOMP_RET_ERRNO | 13, SECCOMP_FILTER_FLAG_TSYNC);
		for (int i = 0; i < 200; i++) {
			pthread_mutex_lock(&mu);
			while (turn != 0)
				pthread_cond_wait(&cv, &mu);
			turn = 1;
			pthread_cond_signal(&cv);
			pthread_mutex_unlock(&mu);
		}
		pthread_join(th, NULL);
		CHECK(saw == 1);
	});
	struct sock_filter bad[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog p = { 2, bad };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, 99, 0, &p), EINVAL);
	return 0;
}
