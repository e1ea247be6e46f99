/* SPDX-License-Identifier: Apache-2.0
 * test/guest/cgroup_device.c - bpf(2): programs that restrict devices, attached to control groups
 *
 * Inside with: CAP_SYS_ADMIN CAP_NET_ADMIN
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;
#define CHECK(c)                                                                                             \
	do {                                                                                                 \
		if (!(c)) {                                                                                  \
			printf("%s:%d: %s (errno %d %s)\n", __FILE__, __LINE__, #c, errno, strerror(errno)); \
			failures++;                                                                          \
		}                                                                                            \
	} while (0)
#define FAILS(c, e) CHECK((errno = 0, (c) == -1) && errno == (e))

#define I(c, d, s, o, i) { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define LDXW(d, s, o)	 I(BPF_LDX | BPF_MEM | BPF_W, d, s, o, 0)
#define MOV(d, i)	 I(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define JNE(d, i, o)	 I(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define EXIT		 I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int bpf(int cmd, union bpf_attr *a)
{
	return (int)syscall(SYS_bpf, cmd, a, sizeof(*a));
}

static int load_as(uint32_t type, const struct bpf_insn *p, uint32_t n)
{
	union bpf_attr a = { .prog_type = type, .insns = (uintptr_t)p, .insn_cnt = n, .license = (uintptr_t)"Apache-2.0" };

	strcpy(a.prog_name, "guest");
	return bpf(BPF_PROG_LOAD, &a);
}
#define LOAD(p) load_as(BPF_PROG_TYPE_CGROUP_DEVICE, p, sizeof(p) / sizeof(p[0]))

static int attach(int cg, int prog, uint32_t flags, int replace)
{
	union bpf_attr a = { .target_fd = (uint32_t)cg, .attach_bpf_fd = (uint32_t)prog, .attach_type = BPF_CGROUP_DEVICE, .attach_flags = flags,
			     .replace_bpf_fd = (uint32_t)replace };

	return bpf(BPF_PROG_ATTACH, &a);
}

static int detach(int cg, int prog)
{
	union bpf_attr a = { .target_fd = (uint32_t)cg, .attach_bpf_fd = (uint32_t)prog, .attach_type = BPF_CGROUP_DEVICE };

	return bpf(BPF_PROG_DETACH, &a);
}

static int query(int cg, uint32_t flags, uint32_t *ids, uint32_t room)
{
	union bpf_attr a = { .query = { .target_fd = (uint32_t)cg, .attach_type = BPF_CGROUP_DEVICE, .query_flags = flags,
					.prog_ids = (uintptr_t)ids, .prog_cnt = room } };

	return bpf(BPF_PROG_QUERY, &a) ? -1 : (int)a.query.prog_cnt;
}

static uint32_t id_of(int prog)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr a = { .info = { .bpf_fd = (uint32_t)prog, .info_len = 80, .info = (uintptr_t)&info } };

	CHECK(bpf(BPF_OBJ_GET_INFO_BY_FD, &a) == 0 && info.type == BPF_PROG_TYPE_CGROUP_DEVICE && !strcmp(info.name, "guest"));
	return info.id;
}

/* What a process in the group finds, as bits: null r, null w, zero r, zero w, mknod c 1 3, mknod c 1 5. */
static int found(const char *procs, const char *dir)
{
	int status;
	pid_t p = fork();

	if (!p) {
		char a[128], b[128];
		int r = 0, fd = open(procs, O_WRONLY);

		if (write(fd, "0", 1) != 1)
			_exit(255);
		snprintf(a, sizeof(a), "%s/n", dir);
		snprintf(b, sizeof(b), "%s/z", dir);
		r |= open("/dev/null", O_RDONLY) >= 0 ? 1 : 0;
		r |= open("/dev/null", O_WRONLY) >= 0 ? 2 : 0;
		r |= open("/dev/zero", O_RDONLY) >= 0 ? 4 : errno == EPERM ? 0 : 64;
		r |= open("/dev/zero", O_RDWR) >= 0 ? 8 : errno == EPERM ? 0 : 64;
		r |= mknod(a, S_IFCHR | 0666, makedev(1, 3)) == 0 ? 16 : 0;
		r |= mknod(b, S_IFCHR | 0666, makedev(1, 5)) == 0 ? 32 : errno == EPERM ? 0 : 64;
		unlink(a);
		unlink(b);
		_exit(r);
	}
	waitpid(p, &status, 0);
	return WEXITSTATUS(status);
}

int main(void)
{
	/* null for everything, zero for reading; as runtimes write it. */
	static const struct bpf_insn list[] = {
		LDXW(2, 1, 0), I(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff),
		LDXW(3, 1, 0), I(BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16),
		LDXW(4, 1, 4), LDXW(5, 1, 8),
		JNE(2, BPF_DEVCG_DEV_CHAR, 10), JNE(4, 1, 9),
		JNE(5, 3, 2), MOV(0, 1), EXIT,
		JNE(5, 5, 5),
		I(BPF_ALU | BPF_MOV | BPF_X, 1, 3, 0, 0), I(BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, BPF_DEVCG_ACC_READ),
		I(BPF_JMP | BPF_JNE | BPF_X, 1, 3, 2, 0),
		MOV(0, 1), EXIT,
		MOV(0, 0), EXIT,
	};
	static const struct bpf_insn all[] = { MOV(0, 1), EXIT }, none[] = { MOV(0, 0), EXIT };
	static const struct bpf_insn loop[] = { MOV(0, 1), I(BPF_JMP | BPF_JA, 0, 0, -1, 0), EXIT };
	static const struct bpf_insn open_end[] = { MOV(0, 1) };
	static const struct bpf_insn outside[] = { MOV(0, 1), I(BPF_JMP | BPF_JA, 0, 0, 7, 0), EXIT };
	char mnt[] = "/tmp/cgdev.XXXXXX", dir[64], sub[64], procs[80], subprocs[80];
	uint32_t ids[8], id;
	int cg, scg, pl, pa, pn, fd;
	union bpf_attr a = { 0 };

	setvbuf(stdout, NULL, _IONBF, 0);
	if (!mkdtemp(mnt) || unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", mnt, "cgroup2", 0, NULL)) {
		printf("no cgroup2 to be mounted: %s\n", strerror(errno));
		return 77;
	}
	pa = LOAD(all);
	if (pa < 0 && (errno == ENOSYS || errno == EINVAL)) {
		printf("no such programs: %s\n", strerror(errno));
		return 77;
	}
	snprintf(dir, sizeof(dir), "%s/gd%d", mnt, getpid());
	snprintf(sub, sizeof(sub), "%s/s", dir);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	snprintf(subprocs, sizeof(subprocs), "%s/cgroup.procs", sub);
	CHECK(mkdir(dir, 0755) == 0 && mkdir(sub, 0755) == 0);
	cg = open(dir, O_RDONLY | O_DIRECTORY);
	scg = open(sub, O_RDONLY | O_DIRECTORY);
	pl = LOAD(list);
	pn = LOAD(none);
	CHECK(pl >= 0 && pa >= 0 && pn >= 0);
	CHECK(LOAD(open_end) == -1 && LOAD(outside) == -1);
	(void)loop; /* newer kernels prove that it ends, or not */
	FAILS(load_as(BPF_PROG_TYPE_CGROUP_DEVICE, all, 0), E2BIG);
	FAILS(load_as(9999, all, 2), EINVAL);
	FAILS(bpf(12345, &a), EINVAL);

	CHECK(found(procs, "/tmp") == 63);
	CHECK(query(cg, 0, ids, 8) == 0);
	FAILS(attach(0x7fff, pl, BPF_F_ALLOW_MULTI, 0), EBADF);
	fd = open("/dev/null", O_RDONLY);
	FAILS(attach(fd, pl, BPF_F_ALLOW_MULTI, 0), EBADF);
	FAILS(attach(cg, fd, BPF_F_ALLOW_MULTI, 0), EINVAL);
	FAILS(attach(cg, pl, BPF_F_ALLOW_MULTI | BPF_F_ALLOW_OVERRIDE, 0), EINVAL);
	close(fd);
	CHECK(attach(cg, pl, BPF_F_ALLOW_MULTI, 0) == 0);
	CHECK(found(procs, "/tmp") == (1 | 2 | 4 | 16));
	CHECK(found(subprocs, "/tmp") == (1 | 2 | 4 | 16));
	FAILS(attach(cg, pl, BPF_F_ALLOW_MULTI, 0), EINVAL);
	FAILS(attach(cg, pa, 0, 0), EPERM);
	CHECK(query(cg, 0, ids, 8) == 1 && ids[0] == (id = id_of(pl)));
	CHECK(query(scg, 0, ids, 8) == 0 && query(scg, BPF_F_QUERY_EFFECTIVE, ids, 8) == 1 && ids[0] == id);
	a = (union bpf_attr){ .prog_id = id };
	fd = bpf(BPF_PROG_GET_FD_BY_ID, &a);
	CHECK(fd >= 0 && id_of(fd) == id);
	a = (union bpf_attr){ .prog_id = 0x7fffffff };
	FAILS(bpf(BPF_PROG_GET_FD_BY_ID, &a), ENOENT);

	/* Those below add theirs, and cannot take away. */
	CHECK(attach(scg, pa, BPF_F_ALLOW_MULTI, 0) == 0 && found(subprocs, "/tmp") == (1 | 2 | 4 | 16));
	FAILS(attach(scg, pl, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, pn), ENOENT);
	CHECK(attach(scg, pn, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, pa) == 0 && found(subprocs, "/tmp") == 0);
	CHECK(found(procs, "/tmp") == (1 | 2 | 4 | 16));
	FAILS(detach(scg, pa), ENOENT);
	CHECK(detach(scg, pn) == 0 && query(scg, 0, ids, 8) == 0);
	CHECK(detach(cg, fd) == 0 && found(procs, "/tmp") == 63);
	FAILS(detach(cg, pl), ENOENT);
	/* One that those below may have their own instead of; and one that they may not. */
	CHECK(attach(cg, pn, BPF_F_ALLOW_OVERRIDE, 0) == 0 && attach(scg, pl, 0, 0) == 0);
	CHECK(found(procs, "/tmp") == 0 && found(subprocs, "/tmp") == (1 | 2 | 4 | 16));
	CHECK(attach(cg, pa, BPF_F_ALLOW_OVERRIDE, 0) == 0 && found(procs, "/tmp") == 63); /* the second takes the first one's place */
	CHECK(detach(scg, pl) == 0 && detach(cg, pa) == 0);
	CHECK(attach(cg, pa, 0, 0) == 0);
	FAILS(attach(scg, pl, 0, 0), EPERM);
	CHECK(rmdir(sub) == 0);
	FAILS(attach(scg, pa, 0, 0), ENOENT);
	for (int i = 0; rmdir(dir) && i < 100; i++)
		usleep(10000);
	CHECK(access(dir, F_OK) == -1);
	umount2(mnt, MNT_DETACH);
	rmdir(mnt);
	return failures != 0;
}
