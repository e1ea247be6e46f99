/* SPDX-License-Identifier: Apache-2.0
 * test/guest/ipc_rmid_forced.c - /proc/sys/kernel/shm_rmid_forced (proc_sys_kernel(5)); in a namespace of its own
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static ssize_t forced(const char *value)
{
	int fd = open("/proc/sys/kernel/shm_rmid_forced", O_WRONLY);
	ssize_t n;

	if (fd < 0 && (errno == EROFS || errno == EACCES))
		SKIP("/proc/sys cannot be written");
	CHECK(fd >= 0);
	n = write(fd, value, strlen(value));
	close(fd);
	return n;
}

static int make(void)
{
	int id = shmget(IPC_PRIVATE, 8192, 0600);

	CHECK(id >= 0);
	return id;
}

static bool there(int id)
{
	struct shmid_ds ds;

	return shmctl(id, IPC_STAT, &ds) == 0;
}

/* A child makes a segment, attaches it @attach times, and ends. */
static int made_by_child(int attach)
{
	int p[2], id, st;
	pid_t pid;

	CHECK(pipe(p) == 0);
	pid = fork();
	if (!pid) {
		id = make();
		for (int i = 0; i < attach; i++)
			CHECK(shmat(id, NULL, 0) != (void *)-1);
		CHECK(write(p[1], &id, sizeof(id)) == sizeof(id));
		_exit(0);
	}
	CHECK(read(p[0], &id, sizeof(id)) == sizeof(id));
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	close(p[0]);
	close(p[1]);
	return id;
}

static void *thread(void *out)
{
	*(int *)out = make();
	return NULL;
}

int main(void)
{
	int a, b, c;
	pthread_t th;
	char *m, *n;

	if (unshare(CLONE_NEWIPC) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWIPC) < 0)
		SKIP("no right to an IPC namespace");
	if (getuid() != 0) {
		int fd = open("/proc/self/uid_map", O_WRONLY);

		CHECK(fd >= 0 && write(fd, "0 0 1\n", 6) == 6 && close(fd) == 0);
	}
	/* off: what nobody uses stays */
	a = made_by_child(0);
	b = made_by_child(1);
	c = make();
	CHECK(there(a) && there(b) && there(c));
	m = shmat(b, NULL, 0);
	CHECK(m != (void *)-1 && shmdt(m) == 0 && there(b));
	CHECK_ERRNO(forced("2"), EINVAL);

	/* switched on: those whose maker is gone go, unless somebody has them attached */
	m = shmat(b, NULL, 0);
	CHECK(m != (void *)-1 && forced("1\n") == 2);
	CHECK(!there(a) && there(b) && there(c));
	strcpy(m, "still here");
	CHECK(shmdt(m) == 0 && !there(b));

	/* the last detach removes, whoever made it */
	m = shmat(c, NULL, 0);
	n = shmat(c, NULL, 0);
	CHECK(m != (void *)-1 && n != (void *)-1);
	m = mremap(m, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	CHECK(m != MAP_FAILED && there(c));
	CHECK(mprotect(m, 4096, PROT_READ) == 0 && mprotect(m, 4096, PROT_READ | PROT_WRITE) == 0); /* split */
	CHECK(shmdt(n) == 0 && there(c) && munmap(m, 4096) == 0 && there(c));
	CHECK(munmap(m + 4096, 4096) == 0 && !there(c));

	/* the end of its maker removes it, with or without an attach of its own */
	CHECK(!there(made_by_child(0)));
	CHECK(!there(made_by_child(2)));
	CHECK(pthread_create(&th, NULL, thread, &a) == 0 && pthread_join(th, NULL) == 0);
	for (int i = 0; i < 200 && there(a); i++)
		usleep(10000); /* joined a little before its end */
	CHECK(!there(a));

	/* what a fork's child has attached stays until that ends */
	a = make();
	m = shmat(a, NULL, 0);
	CHECK(m != (void *)-1);
	if (!fork()) {
		usleep(100000);
		_exit(strcmp(m, "word") != 0);
	}
	strcpy(m, "word");
	CHECK(shmdt(m) == 0 && there(a));
	CHECK(wait(&c) > 0 && c == 0 && !there(a));

	/* off again */
	CHECK(forced("0") == 1);
	a = made_by_child(1);
	CHECK(there(a) && shmctl(a, IPC_RMID, NULL) == 0);
	a = make(); /* and the namespace ends with a segment in it that is attached */
	CHECK(shmat(a, NULL, 0) != (void *)-1 && forced("1") == 1);
	CHECK(unshare(CLONE_NEWIPC) == 0);
	return 0;
}
