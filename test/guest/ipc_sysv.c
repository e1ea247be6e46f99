/* SPDX-License-Identifier: Apache-2.0
 * test/guest/ipc_sysv.c - System V shared memory, semaphores with undo, message queues
 */
#include "guest.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IN_CHILD(body)                                                                             \
	do {                                                                                       \
		pid_t p_ = fork();                                                                 \
		int st_;                                                                           \
		if (!p_) {                                                                         \
			body;                                                                      \
			_exit(0);                                                                  \
		}                                                                                  \
		CHECK(waitpid(p_, &st_, 0) == p_ && st_ == 0);                                     \
	} while (0)

static void shm(void)
{
	struct shmid_ds ds;
	key_t key = 0x7e570000 + getpid();
	int id = shmget(key, 10000, IPC_CREAT | IPC_EXCL | 0600);
	volatile int *p, *q;

	CHECK(id >= 0);
	CHECK_ERRNO(shmget(key, 10000, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_ERRNO(shmget(key, 20000, 0600), EINVAL);
	CHECK_ERRNO(shmget(key + 1, 1, 0600), ENOENT);
	CHECK(shmget(key, 0, 0) == id);
	p = shmat(id, NULL, 0);
	CHECK(p != (void *)-1 && p[0] == 0);
	p[100] = 7;
	IN_CHILD({
		CHECK(p[100] == 7);
		q = shmat(id, NULL, 0);
		CHECK(q != p && q[100] == 7);
		q[100] = 8;
		CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 3);
	});
	CHECK(p[100] == 8);
	CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1 && ds.shm_segsz == 10000 && ds.shm_cpid == getpid());
	CHECK_ERRNO(shmdt((char *)p + 4096), EINVAL);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	/* the key is free, the id is not while somebody has it attached */
	CHECK_ERRNO(shmget(key, 10000, 0600), ENOENT);
	CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_perm.mode == (0600 | SHM_DEST) && ds.shm_perm.__key == IPC_PRIVATE);
	q = shmat(id, NULL, 0);
	CHECK(q != (void *)-1 && shmdt((void *)q) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
	CHECK(p[100] == 8); /* lives on until the last detach */
	CHECK(shmdt((void *)p) == 0);
	CHECK_ERRNO(shmdt((void *)p), EINVAL);
	CHECK_ERRNO(shmat(id, NULL, 0), EINVAL);
}

static void op(int id, int num, int by, int flg, int err)
{
	struct sembuf b = { (unsigned short)num, (short)by, (short)flg };

	if (err)
		CHECK_ERRNO(semop(id, &b, 1), err);
	else
		CHECK(semop(id, &b, 1) == 0);
}

static void sem(void)
{
	int id = semget(IPC_PRIVATE, 3, 0600);
	unsigned short all[3] = { 1, 2, 3 }, got[3];
	struct timespec ts = { 0, 20000000 };
	struct sembuf two[2] = { { 0, -1, 0 }, { 1, -5, IPC_NOWAIT } }, b;
	pid_t pid;

	CHECK(id >= 0);
	CHECK(semctl(id, 0, SETALL, all) == 0);
	CHECK(semctl(id, 0, GETALL, got) == 0 && got[2] == 3);
	CHECK_ERRNO(semop(id, two, 2), EAGAIN);
	CHECK(semctl(id, 0, GETVAL) == 1); /* all or nothing */
	op(id, 7, 1, 0, EFBIG);
	op(id, 0, -2, IPC_NOWAIT, EAGAIN);
	CHECK_ERRNO(semctl(id, 0, SETVAL, 40000), ERANGE);
	b = (struct sembuf){ 0, -9, 0 };
	CHECK_ERRNO(semtimedop(id, &b, 1, &ts), EAGAIN);
	IN_CHILD({ op(id, 1, -2, SEM_UNDO, 0); });
	CHECK(semctl(id, 1, GETVAL) == 2); /* undone by the child's end */
	CHECK(semctl(id, 1, GETPID) > 0);
	pid = fork();
	if (!pid) {
		op(id, 2, -4, 0, 0);
		_exit(0);
	}
	while (semctl(id, 2, GETNCNT) != 1)
		usleep(1000);
	op(id, 2, 1, 0, 0);
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(semctl(id, 2, GETVAL) == 0);
	pid = fork();
	if (!pid) {
		op(id, 2, -1, 0, EIDRM);
		_exit(0);
	}
	while (semctl(id, 2, GETNCNT) != 1)
		usleep(1000);
	CHECK(semctl(id, 0, IPC_RMID) == 0);
	int st;

	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	CHECK_ERRNO(semctl(id, 0, GETVAL), EINVAL);
}

static void msg(void)
{
	struct {
		long type;
		char text[64];
	} m;
	int id = msgget(IPC_PRIVATE, 0600), st;
	struct msqid_ds ds;
	pid_t pid;

	CHECK(id >= 0);
	for (int i = 1; i <= 3; i++) {
		m.type = i;
		sprintf(m.text, "m%d", i);
		CHECK(msgsnd(id, &m, 8, 0) == 0);
	}
	CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 3);
	CHECK(msgrcv(id, &m, sizeof(m.text), 2, 0) == 8 && !strcmp(m.text, "m2"));
	CHECK(msgrcv(id, &m, sizeof(m.text), -3, 0) == 8 && m.type == 1);
	CHECK_ERRNO(msgrcv(id, &m, 2, 0, 0), E2BIG);
	CHECK(msgrcv(id, &m, 2, 0, MSG_NOERROR) == 2 && m.type == 3);
	CHECK_ERRNO(msgrcv(id, &m, 64, 0, IPC_NOWAIT), ENOMSG);
	m.type = 0;
	CHECK_ERRNO(msgsnd(id, &m, 8, 0), EINVAL);
	pid = fork();
	if (!pid) {
		CHECK(msgrcv(id, &m, 64, 9, 0) == 5);
		_exit(0);
	}
	m.type = 9;
	CHECK(msgsnd(id, &m, 5, 0) == 0);
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	m.type = 1;
	while (msgsnd(id, &m, 64, IPC_NOWAIT) == 0)
		;
	CHECK(errno == EAGAIN);
	CHECK(msgctl(id, MSG_STAT, &ds) == id && ds.msg_qnum > 0); /* a whole identifier stands for its index */
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);
	CHECK_ERRNO(msgsnd(id, &m, 5, 0), EINVAL);
}

int main(void)
{
	shm();
	sem();
	msg();
	return 0;
}
