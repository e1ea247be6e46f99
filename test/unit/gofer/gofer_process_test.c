/* SPDX-License-Identifier: Apache-2.0
 * test/unit/gofer/gofer_process_test.c - the whole process: mounts, confinement, being init
 */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fdpass.h"
#include "gofer/confine.h"
#include "gofer/init.h"
#include "gofer/mounts.h"
#include "gofer_util.h"
#include "mains.h"

TestSuite(gofer_process, .timeout = 30);

struct proc {
	pid_t pid;
	int init, sync;
	struct rig r;
	char first[512]; /* what came on the start-sync */
};

static pid_t clone_in_namespaces(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD,
			      0, 0, 0, 0);
}

static void child(int p9, int init, int sync, char **argv)
{
	int argc = 0;
	/* out of the way of the numbers they are to have */
	int a = fcntl(p9, F_DUPFD, 50), b = fcntl(init, F_DUPFD, 50), c = fcntl(sync, F_DUPFD, 50);

	while (argv[argc])
		argc++;
	dup2(a, 3);
	dup2(2, 4);
	dup2(b, 5);
	dup2(c, 6);
	_exit(gofer_main(argc, argv));
}

/* @argv: of `runsc gofer`, from "gofer" on. False: it said why not in p->first. */
static bool spawn(struct proc *p, char **argv, bool ext)
{
	int nine[2], init[2], sync[2];
	ssize_t n;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, nine), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, init), 0);
	cr_assert_eq(pipe2(sync, O_CLOEXEC), 0);
	p->pid = clone_in_namespaces();
	cr_assert_geq(p->pid, 0);
	if (!p->pid)
		child(nine[0], init[0], sync[1], argv);
	close(nine[0]);
	close(init[0]);
	close(sync[1]);
	p->init = init[1];
	p->sync = sync[0];
	n = read(p->sync, p->first, sizeof(p->first) - 1);
	p->first[MAX(n, (ssize_t)0)] = '\0';
	if (p->first[0] != 'R') {
		close(nine[1]);
		return false;
	}
	cr_assert_eq(p9_client_new(nine[1], ext, P9_MSIZE_MAX, &p9_client_thread_ops, &p->r.cl), 0);
	return true;
}

static int wait_status(struct proc *p)
{
	int st;

	cr_assert_eq(waitpid(p->pid, &st, 0), p->pid);
	return st;
}

static void say_exit(struct proc *p, uint32_t wait_status)
{
	struct init_msg m = { INIT_EXIT, wait_status };

	cr_assert_eq(send(p->init, &m, sizeof(m), MSG_NOSIGNAL), (ssize_t)sizeof(m));
}

static void tree_for_process(struct rig *t, char *arg, size_t cap, const char *opts)
{
	if (geteuid() != 0)
		cr_skip_test("needs root for namespaces and mounts");
	rig_tree(t);
	snprintf(arg, cap, "%s:%s", opts, t->root);
}

/* The test itself does not serve: only what is on disk goes away. */
static void tree_gone(struct rig *t)
{
	t->cl = NULL;
	rig_stop(t);
}

static bool status_line(pid_t pid, const char *key, char *out, size_t cap)
{
	char path[64], line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && !found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
			snprintf(out, cap, "%s", line + strlen(key) + 2);
			out[strcspn(out, "\n")] = '\0';
			found = true;
		}
	}
	if (f)
		fclose(f);
	return found;
}

Test(gofer_process, serves_and_exits_with_the_containers_status)
{
	struct rig t;
	struct proc p = { 0 };
	char arg[128], arg1[128], buf[64];
	uint32_t root, fid;

	tree_for_process(&t, arg, sizeof(arg), "ro,rbind");
	snprintf(arg1, sizeof(arg1), "rw,slave:%s/sub/deep", t.root);
	char *argv[] = { "gofer", "--mount", arg, "--mount", arg1, NULL };
	cr_assert(spawn(&p, argv, true), "%s", p.first);
	root = rig_attach(&p.r);
	cr_assert_eq(rig_walk(&p.r, root, "hello", &fid), 0);
	cr_assert_eq(rig_open(&p.r, fid, 2), -EROFS);
	cr_assert_eq(rig_open(&p.r, fid, 0), 0);
	cr_assert_eq(rig_read(&p.r, fid, 0, buf, 64), 13);
	/* a bind mount of a file: attach "1" is that file */
	struct p9_call k = { .req = { .type = P9_Tattach } };
	k.req.Tattach = (struct p9_Tattach){ .fid = 500, .afid = P9_NOFID, .aname = p9_str("1") };
	cr_assert_eq(p9_call(p.r.cl, &k), 0);
	cr_assert_eq(k.rep.Rattach.qid.type, P9_QTFILE);
	p9_call_end(p.r.cl, &k);
	cr_assert_eq(rig_open(&p.r, 500, 2), 0);
	cr_assert_eq(rig_write(&p.r, 500, 0, "D", 1), 1);
	cr_assert_eq(rig_walk(&p.r, root, "sub/deep", &fid), 0);
	cr_assert_eq(rig_open(&p.r, fid, 0), 0);
	cr_assert_eq(rig_read(&p.r, fid, 0, buf, 64), 5);
	cr_assert_arr_eq(buf, "Deep\n", 5);
	say_exit(&p, 42 << 8);
	int st = wait_status(&p);
	cr_assert(WIFEXITED(st) && WEXITSTATUS(st) == 42, "%x", st);
	p9_client_free(p.r.cl);
	tree_gone(&t);
}

static int exit_after(void (*act)(struct proc *))
{
	struct rig t;
	struct proc p = { 0 };
	char arg[128];
	int st;

	tree_for_process(&t, arg, sizeof(arg), "");
	char *argv[] = { "gofer", "--mount", arg, NULL };
	cr_assert(spawn(&p, argv, true), "%s", p.first);
	act(&p);
	st = wait_status(&p);
	p9_client_free(p.r.cl);
	tree_gone(&t);
	cr_assert(WIFEXITED(st), "%x", st);
	return WEXITSTATUS(st);
}

static void act_signal_status(struct proc *p) { say_exit(p, SIGTERM); }
static void act_hang_up(struct proc *p) { close(p->init); }
static void act_9p_gone_first(struct proc *p)
{
	p9_client_kill(p->r.cl);
	usleep(20000);
	say_exit(p, 3 << 8);
}
static void act_junk_then_exit(struct proc *p)
{
	struct init_msg m = { 77, 1 };

	send(p->init, &m, sizeof(m), 0);
	send(p->init, "xyz", 3, 0);
	say_exit(p, 5 << 8);
}

Test(gofer_process, killed_by_a_signal) { cr_assert_eq(exit_after(act_signal_status), 128 + SIGTERM); }
Test(gofer_process, sentry_gone) { cr_assert_eq(exit_after(act_hang_up), 137); }
Test(gofer_process, stays_when_only_9p_is_gone) { cr_assert_eq(exit_after(act_9p_gone_first), 3); }
Test(gofer_process, junk_on_the_init_channel) { cr_assert_eq(exit_after(act_junk_then_exit), 5); }

static void expect_msg(struct proc *p, uint32_t type, uint32_t value)
{
	struct init_msg m;

	cr_assert_eq(recv(p->init, &m, sizeof(m), 0), (ssize_t)sizeof(m));
	cr_assert_eq(m.type, type);
	cr_assert_eq(m.value, value);
}

static void act_signals(struct proc *p)
{
	kill(p->pid, SIGTERM);
	expect_msg(p, INIT_SIGNAL, SIGTERM);
	kill(p->pid, SIGWINCH);
	expect_msg(p, INIT_WINCH, 0);
	kill(p->pid, SIGHUP);
	expect_msg(p, INIT_SIGNAL, SIGHUP);
	say_exit(p, 0);
}
Test(gofer_process, forwards_signals) { cr_assert_eq(exit_after(act_signals), 0); }

/* What the host can see of it while it serves. */
static void act_confined(struct proc *p)
{
	char v[128], path[64], line[512];
	struct stat ours, theirs;
	unsigned mounts = 0, tmpfs_ro = 0;
	FILE *f;

	/* the kept five: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID */
	cr_assert(status_line(p->pid, "CapEff", v, sizeof(v)));
	cr_assert_str_eq(v, "000000000000001f");
	cr_assert(status_line(p->pid, "CapPrm", v, sizeof(v)));
	cr_assert_str_eq(v, "000000000000001f");
	cr_assert(status_line(p->pid, "CapBnd", v, sizeof(v)));
	cr_assert_str_eq(v, "000000000000001f");
	cr_assert(status_line(p->pid, "CapAmb", v, sizeof(v)));
	cr_assert_str_eq(v, "0000000000000000");
	cr_assert(status_line(p->pid, "NoNewPrivs", v, sizeof(v)));
	cr_assert_str_eq(v, "1");
	cr_assert(status_line(p->pid, "Seccomp", v, sizeof(v)));
	cr_assert_str_eq(v, "2");
	snprintf(path, sizeof(path), "/proc/%d/task", (int)p->pid);
	DIR *d = opendir(path);
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		cr_assert(status_line(atoi(e->d_name), "Seccomp", v, sizeof(v)));
		cr_assert_str_eq(v, "2", "thread %s", e->d_name);
	}
	closedir(d);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)p->pid);
	cr_assert_eq(stat(path, &theirs), 0);
	cr_assert_eq(stat("/proc/self/ns/mnt", &ours), 0);
	cr_assert_neq(ours.st_ino, theirs.st_ino);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)p->pid);
	f = fopen(path, "r");
	while (fgets(line, sizeof(line), f)) {
		mounts++;
		tmpfs_ro += strstr(line, " / / ro,") && strstr(line, "tmpfs");
	}
	fclose(f);
	cr_assert_eq(mounts, 2, "the root and one mount");
	cr_assert_eq(tmpfs_ro, 1);
	say_exit(p, 0);
}
Test(gofer_process, is_confined) { cr_assert_eq(exit_after(act_confined), 0); }

Test(gofer_process, says_what_is_wrong)
{
	static const struct {
		const char *mount, *want;
	} rows[] = {
		{ "rw:/no/such/directory", "No such file or directory" },
		{ "rw,bogus:/tmp", "unknown option \"bogus\"" },
		{ "/tmp", "no ':'" },
		{ "rw:", "no source" },
		{ "rw,fd=3:", "unknown option" },
		{ "rw,fd=900:x", "Bad file descriptor" },
	};
	struct rig t;
	char arg[128];

	tree_for_process(&t, arg, sizeof(arg), "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proc p = { 0 };
		char *argv[] = { "gofer", "--mount", (char *)rows[i].mount, NULL };

		cr_assert_not(spawn(&p, argv, true));
		cr_assert_eq(p.first[0], 'E');
		cr_assert(strstr(p.first, rows[i].want), "%s", p.first);
		cr_assert_eq(WEXITSTATUS(wait_status(&p)), 1);
		close(p.init);
		close(p.sync);
	}
	tree_gone(&t);
}

/* Nested mounts below a recursive read-only bind are read-only; a passed tree descriptor works. */
Test(gofer_process, nested_read_only_and_passed_tree)
{
	struct rig t;
	struct proc p = { 0 };
	char arg[128], arg1[64], path[128];
	uint32_t root, fid;
	int tree;
	struct p9_call k = { .req = { .type = P9_Tattach } };

	tree_for_process(&t, arg, sizeof(arg), "ro,rbind");
	cr_assert_eq(unshare(CLONE_NEWNS), 0); /* the tests' own mounts stay ours */
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(path, sizeof(path), "%s/sub", t.root);
	cr_assert_eq(mount("none", path, "tmpfs", 0, NULL), 0);
	rig_put(&t, "root/sub/inner", "inner\n");
	tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE); /* no CLOEXEC: inherited */
	cr_assert_geq(tree, 0);
	tree = fcntl(tree, F_DUPFD, 60);
	snprintf(arg1, sizeof(arg1), "rw,fd=%d:volume", tree);
	char *argv[] = { "gofer", "--mount", arg, "--mount", arg1, NULL };
	cr_assert(spawn(&p, argv, true), "%s", p.first);
	root = rig_attach(&p.r);
	cr_assert_eq(rig_walk(&p.r, root, "sub/inner", &fid), 0, "the mount below is there");
	cr_assert_eq(rig_open(&p.r, fid, 1), -EROFS);
	k.req.Tattach = (struct p9_Tattach){ .fid = 500, .afid = P9_NOFID, .aname = p9_str("1") };
	cr_assert_eq(rig_do(&p.r, &k), 0);
	cr_assert_eq(rig_walk(&p.r, 500, "inner", &fid), 0);
	cr_assert_eq(rig_open(&p.r, fid, 1), 0);
	cr_assert_eq(rig_write(&p.r, fid, 0, "I", 1), 1);
	say_exit(&p, 0);
	cr_assert_eq(wait_status(&p), 0);
	umount2(path, MNT_DETACH);
	p9_client_free(p.r.cl);
	tree_gone(&t);
}

Test(gofer_process, fewer_host_calls_than_the_peer)
{
	struct buf b = { 0 };
	unsigned plain = gofer_hostcalls_list(0, &b);

	cr_log_info("%u host calls:\n%s", plain, b.data);
	cr_assert_lt(plain, 70);
	cr_assert_gt(gofer_hostcalls_list(GOFER_UDS_OPEN | GOFER_UDS_CREATE, &b), plain);
	buf_fini(&b);
}

/* One of everything through the filter: a call that its tables lack would kill the process. */
static void everything(struct proc *p)
{
	struct p9_call k = { 0 };
	uint32_t root = rig_attach(&p->r), fid, open_fid = 900;
	char buf[64];

#define DO(T, ...)                                                                                 \
	k.req.type = P9_##T;                                                                       \
	k.req.T = (struct p9_##T)__VA_ARGS__;                                                      \
	cr_assert_eq(rig_do(&p->r, &k), 0, #T)
	DO(Txcreate, { .dfid = root, .newfid = open_fid, .name = p9_str("n"), .flags = 2, .mode = 0600, .uid = 12,
		       .gid = 13, .want = P9X_FID | P9X_FD });
	DO(Twrite, { open_fid, 0, { (const uint8_t *)"data", 4 } });
	DO(Tread, { open_fid, 0, 10 });
	DO(Tfsync, { open_fid, 0 });
	DO(Tfsync, { open_fid, 1 });
	DO(Txallocate, { open_fid, 0, 0, 8192 });
	DO(Tlock, { open_fid, P9_LOCK_WRLCK, 0, 0, 4, 1, p9_str("a") });
	DO(Tgetlock, { open_fid, P9_LOCK_WRLCK, 0, 4, 1, p9_str("a") });
	DO(Txsetattr, { .fid = open_fid, .valid = 0x1ff & ~P9_SETATTR_CTIME, .mode = 0640, .uid = 5, .gid = 6, .size = 100,
			.atime = { 1, 2 }, .mtime = { 3, 4 } });
	DO(Txgetattr, { open_fid, 0 });
	DO(Tstatfs, { open_fid });
	DO(Txsetxattr, { open_fid, p9_str("user.a"), 0, { (const uint8_t *)"v", 1 } });
	DO(Txgetxattr, { open_fid, p9_str("user.a"), 100 });
	DO(Txgetxattr, { open_fid, { "", 0 }, 1000 });
	DO(Txsetxattr, { open_fid, p9_str("user.a"), P9X_XATTR_REMOVE, { NULL, 0 } });
	DO(Txmake, { .dfid = root, .name = p9_str("d"), .mode = S_IFDIR | 0755, .uid = 1, .gid = 1 });
	DO(Txmake, { .dfid = root, .name = p9_str("p"), .mode = S_IFIFO | 0644 });
	DO(Txmake, { .dfid = root, .name = p9_str("w"), .mode = S_IFCHR });
	DO(Tsymlink, { root, p9_str("s"), p9_str("hello"), 0 });
	DO(Tlink, { root, open_fid, p9_str("n2") });
	DO(Txrename, { root, p9_str("n2"), root, p9_str("n3"), 1 });
	DO(Txrename, { root, p9_str("n3"), root, p9_str("n4"), 0 });
	DO(Trenameat, { root, p9_str("n4"), root, p9_str("n3") });
	cr_assert_eq(rig_walk(&p->r, root, "n3", &fid), 0);
	DO(Trename, { fid, root, p9_str("n5") });
	DO(Trename, { fid, root, p9_str("n3") });
	DO(Tremove, { fid });
	DO(Tmkdir, { root, p9_str("d2"), 0755, 0 });
	DO(Tmknod, { root, p9_str("r"), S_IFREG | 0644, 0, 0, 0 });
	DO(Tunlinkat, { root, p9_str("d"), P9_UNLINK_DIR });
	DO(Txreaddir, { root, 0, 65536, P9X_DIR_LINKS });
	DO(Txcreate, { .dfid = root, .newfid = 901, .flags = 2, .xflags = P9X_TMPFILE, .mode = 0600, .want = P9X_FD });
	cr_assert_eq(rig_walk(&p->r, root, "s", &fid), 0);
	DO(Treadlink, { fid });
	cr_assert_eq(rig_walk(&p->r, root, "", &fid), 0);
	cr_assert_eq(rig_open(&p->r, fid, 0), 0);
	DO(Treaddir, { fid, 0, 4096 });
	cr_assert_eq(rig_walk(&p->r, root, "p", &fid), 0);
	cr_assert_eq(rig_open(&p->r, fid, 2), 0);
	cr_assert_eq(rig_write(&p->r, fid, 0, "x", 1), 1);
	cr_assert_eq(rig_read(&p->r, fid, 0, buf, 4), 1);
	DO(Txbind, { root, p9_str("sock"), SOCK_STREAM, 0600, 0, 0, 5 });
	cr_assert_eq(rig_walk(&p->r, root, "sock", &fid), 0);
	k.req.type = P9_Txconnect;
	k.req.Txconnect = (struct p9_Txconnect){ fid, SOCK_STREAM };
	/* our descriptor of the listener is closed, the gofer's own a moment after its reply */
	long ret = rig_do(&p->r, &k);
	cr_assert(ret == 0 || ret == -ECONNREFUSED);
	cr_assert_eq(rig_walk(&p->r, root, "hello", &fid), 0);
	DO(Txopen, { .fid = fid, .want = P9X_INLINE, .inline_max = 60000 });
	DO(Txattrcreate, { fid, p9_str("user.b"), 0, 0 });
	DO(Tclunk, { fid });
	DO(Tflush, { 3 });
	DO(Tclunk, { open_fid });
#undef DO
}

Test(gofer_process, every_operation_passes_the_filter)
{
	struct rig t;
	struct proc p = { 0 };
	char arg[128];

	tree_for_process(&t, arg, sizeof(arg), "rw");
	char *argv[] = { "gofer", "--host-uds", "all", "--host-fifo", "open", "--debug", "--mount", arg, NULL };
	cr_assert(spawn(&p, argv, true), "%s", p.first);
	everything(&p);
	say_exit(&p, 0);
	cr_assert_eq(wait_status(&p), 0);
	p9_client_free(p.r.cl);
	tree_gone(&t);
}
