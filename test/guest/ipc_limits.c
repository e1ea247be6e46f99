/* SPDX-License-Identifier: Apache-2.0
 * test/guest/ipc_limits.c - limits of System V IPC in /proc/sys/kernel, objects in /proc/sysvipc; in a namespace of its own
 */
#include "guest.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

static ssize_t try(const char *name, const char *value)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 && (errno == EROFS || errno == EACCES))
		SKIP("/proc/sys cannot be written");
	CHECK(fd >= 0);
	n = write(fd, value, strlen(value));
	close(fd);
	return n;
}

static void set(const char *name, const char *value)
{
	CHECK(try(name, value) == (ssize_t)strlen(value));
}

static const char *get(const char *name)
{
	static char text[4096];
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s", name);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	CHECK(n >= 0);
	text[n] = 0;
	close(fd);
	return text;
}

int main(void)
{
	struct shminfo si;
	struct msginfo mi;
	struct seminfo se;
	union { struct seminfo *i; } arg = { &se };
	int id, key, lines = 0;
	unsigned uid;

	if (unshare(CLONE_NEWIPC) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWIPC) < 0)
		SKIP("no right to an IPC namespace");
	if (getuid() != 0) {
		int fd = open("/proc/self/uid_map", O_WRONLY);

		CHECK(fd >= 0 && write(fd, "0 0 1\n", 6) == 6 && close(fd) == 0);
	}
	set("shmmax", "65536\n");
	CHECK(!strcmp(get("sys/kernel/shmmax"), "65536\n"));
	CHECK(shmctl(0, IPC_INFO, (struct shmid_ds *)&si) >= 0 && si.shmmax == 65536);
	CHECK_ERRNO(shmget(IPC_PRIVATE, 65537, 0600), EINVAL);
	id = shmget(0x1234, 65536, 0600 | IPC_CREAT);
	CHECK(id >= 0);
	CHECK(strstr(get("sysvipc/shm"), "key      shmid perms"));
	for (const char *s = get("sysvipc/shm"); *s; s++)
		lines += *s == '\n';
	CHECK(lines == 2);
	CHECK(sscanf(strchr(get("sysvipc/shm"), '\n'), "%d %*d %*o %*u %*u %*u %*u %u", &key, &uid) == 2 && key == 0x1234 &&
	      uid == getuid());
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);

	set("msgmax", "100");
	set("msgmnb", "300");
	CHECK(msgctl(0, IPC_INFO, (struct msqid_ds *)&mi) >= 0 && mi.msgmax == 100 && mi.msgmnb == 300);
	set("msg_next_id", "65537"); /* index 1, sequence 2 */
	id = msgget(IPC_PRIVATE, 0600);
	CHECK(id == 65537);
	CHECK(!strcmp(get("sys/kernel/msg_next_id"), "-1\n"));
	CHECK_ERRNO(msgsnd(id, &(struct { long t; char d[101]; }){ 1, "" }, 101, IPC_NOWAIT), EINVAL);
	CHECK(msgsnd(id, &(struct { long t; char d[100]; }){ 1, "" }, 100, IPC_NOWAIT) == 0);
	CHECK(strstr(get("sysvipc/msg"), " 65537 "));
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);

	set("sem", "10\t100 20\t5");
	CHECK(!strcmp(get("sys/kernel/sem"), "10\t100\t20\t5\n"));
	CHECK(semctl(0, 0, IPC_INFO, arg) >= 0 && se.semmsl == 10 && se.semmni == 5);
	CHECK_ERRNO(semget(IPC_PRIVATE, 11, 0600), EINVAL);
	set("sem", "11 101\n"); /* fewer leave the rest, more are not looked at, those before a wrong one count */
	CHECK(!strcmp(get("sys/kernel/sem"), "11\t101\t20\t5\n"));
	CHECK(try("sem", "12 101 20 5 x") > 0);
	CHECK(!strcmp(get("sys/kernel/sem"), "12\t101\t20\t5\n"));
	CHECK_ERRNO(try("sem", "13 x"), EINVAL);
	CHECK_ERRNO(try("sem", "14 15x"), EINVAL);
	CHECK_ERRNO(try("sem", " "), EINVAL);
	CHECK(!strcmp(get("sys/kernel/sem"), "14\t101\t20\t5\n"));
	for (int i = 0; i < 5; i++)
		CHECK(semget(IPC_PRIVATE, 2, 0600) >= 0);
	CHECK_ERRNO(semget(IPC_PRIVATE, 1, 0600), ENOSPC);
	return 0;
}
