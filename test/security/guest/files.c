/* SPDX-License-Identifier: Apache-2.0
 * test/security/guest/files.c - paths, links, devices, other processes' memory, privileges: argument says which
 *
 * A line "BREACH ..." is a finding; "done NAME" the end. /v is a volume of the host with a file "inside"; /canary does not exist in the
 * container, but does beside the volume on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic int stop;

/* A directory of the volume that is a link upwards half of the time. */
static void *flipper(void *arg)
{
	while (!stop) {
		rename("/v/d", "/v/d.real");
		symlink("../../../../../..", "/v/d");
		unlink("/v/d");
		symlink("..", "/v/d");
		unlink("/v/d");
		rename("/v/d.real", "/v/d");
	}
	return NULL;
}

static void *mover(void *arg)
{
	while (!stop) { /* a directory leaves while somebody walks ".." in it */
		rename("/v/a/b/c", "/v/c");
		rename("/v/c", "/v/a/b/c");
	}
	return NULL;
}

static void try_open(const char *path)
{
	char b[64] = "";
	int fd = open(path, O_RDWR);

	if (fd < 0)
		return;
	if (read(fd, b, sizeof(b) - 1) > 0 && strstr(b, "HOST-CANARY"))
		printf("BREACH %s\n", path);
	close(fd);
}

static int races(const char *canary)
{
	static const char *const up[] = { "/v/d/", "/v/d/../", "/v/a/b/c/../../../../", "/v/a/b/c/d/../../../../../" };
	time_t end = time(NULL) + 8;
	pthread_t t[2];
	char p[512];

	mkdir("/v/d", 0777);
	mkdir("/v/a", 0777);
	mkdir("/v/a/b", 0777);
	mkdir("/v/a/b/c", 0777);
	mkdir("/v/a/b/c/d", 0777);
	pthread_create(&t[0], NULL, flipper, NULL);
	pthread_create(&t[1], NULL, mover, NULL);
	while (time(NULL) < end)
		for (int i = 0; i < 4; i++) {
			snprintf(p, sizeof(p), "%s%s", up[i], canary + 1);
			try_open(p);
			snprintf(p, sizeof(p), "%s%s", up[i], strrchr(canary, '/') + 1);
			try_open(p);
			snprintf(p, sizeof(p), "%s../%s", up[i], strrchr(canary, '/') + 1);
			try_open(p);
			snprintf(p, sizeof(p), "%s/../%s", up[i], strrchr(canary, '/') + 1);
			if (rename("/v/inside2", p) == 0 || link("/v/inside", p) == 0)
				unlink(p);
		}
	stop = 1;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	symlink(canary, "/v/link");
	try_open("/v/link");
	try_open("/proc/self/root/v/link");
	try_open("/proc/1/root/../../v/../canary");
	return 0;
}

static int devices(const char *arg)
{
	/* not 10:200 and 10:229: the tunnel device and that of FUSE are our own kernel's */
	static const struct { unsigned major, minor; mode_t type; } devs[] = {
		{ 1, 1, S_IFCHR }, { 1, 2, S_IFCHR }, { 1, 4, S_IFCHR }, { 8, 0, S_IFBLK }, { 254, 0, S_IFBLK }, { 259, 0, S_IFBLK },
		{ 10, 237, S_IFCHR }, { 10, 232, S_IFCHR }, { 7, 0, S_IFBLK }, { 1, 11, S_IFCHR }, { 4, 0, S_IFCHR } };
	static const char *const dirs[] = { "/v", "/dev", "/tmp", "/" };
	char p[64], b[512];

	for (int d = 0; d < 4; d++)
		for (int i = 0; i < 11; i++) {
			int fd;

			snprintf(p, sizeof(p), "%s/node%d", dirs[d], i);
			if (mknod(p, devs[i].type | 0666, makedev(devs[i].major, devs[i].minor)) < 0)
				continue;
			fd = open(p, O_RDWR | O_NONBLOCK);
			/* a device of the host would be read, or at least opened */
			if (fd >= 0)
				printf("BREACH %s %u:%u opens, reads %zd\n", p, devs[i].major, devs[i].minor, read(fd, b, sizeof(b)));
			unlink(p);
		}
	return 0;
}

static int memory(const char *arg)
{
	static const off_t at[] = { 0, 0x1000, 0x10000, 0x7fffffff0000, 0x7ffffffff000, (off_t)0xffff800000000000ull, -4096, 0x400000 };
	static const char *const names[] = { "/proc/self/mem", "/proc/1/mem", "/proc/2/mem", "/proc/kcore", "/dev/mem", "/dev/kmem",
					     "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/sys/kernel/uevent_helper",
					     "/proc/sys/kernel/modprobe", "/sys/fs/cgroup/release_agent" };
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int st;

	for (int i = 0; i < 11; i++) {
		int fd = open(names[i], O_RDWR);

		for (int k = 0; fd >= 0 && k < 8; k++)
			pwrite(fd, "|/v/x", 5, at[k]);
		if (fd >= 0 && i < 1) /* forced writes are Linux's own: what is written must be a private copy */
			pwrite(fd, "x", 1, (off_t)(uintptr_t)ro);
		if (fd >= 0)
			close(fd);
	}
	for (int pid = 0; pid < 400; pid++)
		if (pid != getpid() && ptrace(PTRACE_ATTACH, pid, 0, 0) == 0) {
			waitpid(pid, &st, __WALL);
			for (int k = 0; k < 8; k++)
				ptrace(PTRACE_POKEDATA, pid, at[k], 0x4141414141414141);
			ptrace(PTRACE_DETACH, pid, 0, 0);
		}
	return 0;
}

static int privileges(const char *arg)
{
	char line[256];
	FILE *f;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		printf("BREACH no_new_privs is not set\n");
	if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
		printf("BREACH mount without CAP_SYS_ADMIN\n");
	if (geteuid() == 0)
		printf("BREACH setuid program: euid 0 under no_new_privs\n");
	if (setuid(0) == 0)
		printf("BREACH setuid(0)\n");
	f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "CapEff:", 7) && strtoull(line + 7, NULL, 16))
			printf("BREACH %s", line);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *arg);
} attacks[] = { { "races", races }, { "devices", devices }, { "memory", memory }, { "privileges", privileges } };

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(attacks) / sizeof(*attacks); i++)
		if (!strcmp(argv[1], attacks[i].name)) {
			attacks[i].run(argc > 2 ? argv[2] : "/canary");
			printf("done %s\n", argv[1]);
			return 0;
		}
	return 2;
}
