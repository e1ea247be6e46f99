/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fuse_daemons.c - daemons that hang, die, lie and give up; who may use a mount; the device itself
 * Inside with: CAP_SYS_ADMIN CAP_SETUID CAP_SETGID
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "fuse_daemon.h"

static char top[] = "/tmp/fuse.XXXXXX";

static void restart(const char *more)
{
	fuse_ctl();
	fuse_start("m", more);
	CHECK(close(open("m/f", O_CREAT | O_RDWR, 0666)) == 0);
}

/* A child does @fn; returns its pid. */
static pid_t child(void (*fn)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		fn();
		_exit(0);
	}
	return pid;
}

static int status_of(pid_t pid)
{
	int st;

	CHECK(waitpid(pid, &st, 0) == pid);
	return st;
}

static void on_signal(int sig)
{
}

static void stat_f(void)
{
	struct stat st;

	_exit(stat("m/f", &st) ? errno : 0);
}

static void stat_f_with_handler(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &sa, NULL);
	stat_f();
}

/* A signal makes an INTERRUPT, which this daemon answers with EINTR. */
static void interrupted(void)
{
	pid_t pid;

	ctl->hang = FUSE_GETATTR;
	pid = child(stat_f_with_handler);
	while (!ctl->held)
		nap_ms(1);
	kill(pid, SIGUSR1);
	CHECK(WEXITSTATUS(status_of(pid)) == EINTR && ctl->interrupted == 1);
	ctl->hang = 0;
}

/* A request that nobody has read yet goes with who is killed. */
static void killed_unread(void)
{
	pid_t pid;
	int st;

	kill(daemon_pid, SIGSTOP);
	CHECK(waitpid(daemon_pid, &st, WUNTRACED) == daemon_pid && WIFSTOPPED(st)); /* before that it may still read one */
	pid = child(stat_f);
	nap_ms(50);
	kill(pid, SIGKILL);
	st = status_of(pid);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
	kill(daemon_pid, SIGCONT);
	CHECK(access("m/f", F_OK) == 0);
}

static int hanging_error;
static void *hanging(void *arg)
{
	struct stat st;

	hanging_error = stat("m/f", &st) ? errno : 0;
	return NULL;
}

/* Waits end with the daemon; what comes later says that nobody is there. */
static void dies(void)
{
	char c;
	pthread_t t;
	int fd = open("m/f", O_RDWR), st;

	CHECK(fd >= 0);
	ctl->hang = FUSE_GETATTR;
	CHECK(pthread_create(&t, NULL, hanging, NULL) == 0);
	while (!ctl->held)
		nap_ms(1);
	kill(daemon_pid, SIGKILL);
	st = status_of(daemon_pid);
	CHECK(WIFSIGNALED(st));
	pthread_join(t, NULL);
	CHECK(hanging_error == ECONNABORTED);
	CHECK_ERRNO(access("m/f", F_OK), ENOTCONN);
	CHECK_ERRNO(open("m/g", O_CREAT | O_RDWR, 0600), ENOTCONN);
	CHECK_ERRNO(pread(fd, &c, 1, 0), ENOTCONN);
	CHECK_ERRNO(write(fd, "x", 1), ENOTCONN);
	CHECK_ERRNO(umount2("m", 0), EBUSY);
	close(fd);
	CHECK(umount2("m", 0) == 0);
}

/* umount -l leaves what is open alone; umount -f ends the connection. */
static void unmounts(void)
{
	pthread_t t;
	char c;
	int fd, st;

	restart("");
	fd = open("m/f", O_RDWR);
	CHECK(fd >= 0 && write(fd, "abc", 3) == 3);
	CHECK(umount2("m", MNT_DETACH) == 0 && access("m/f", F_OK) != 0);
	CHECK(pread(fd, &c, 1, 2) == 1 && c == 'c' && kill(daemon_pid, 0) == 0);
	close(fd);
	st = status_of(daemon_pid);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);

	restart("");
	ctl->hang = FUSE_GETATTR;
	CHECK(pthread_create(&t, NULL, hanging, NULL) == 0);
	while (!ctl->held)
		nap_ms(1);
	umount2("m", MNT_FORCE);	/* busy or not */
	pthread_join(t, NULL);
	CHECK(hanging_error == ECONNABORTED);
	st = status_of(daemon_pid);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
	umount2("m", MNT_DETACH);
}

/* ---- lies ---- */

/* Whoever asked may know of it before the daemon does. */
static void wait_refused(int n)
{
	for (int k = 0; k < 5000 && ctl->refused < n; k++)
		nap_ms(1);
	CHECK(ctl->refused == n);
}

static void lies(void)
{
	struct stat st;
	char buf[8];
	int fd;

	restart("");
	ctl->cut = FUSE_GETATTR;	/* an answer of a wrong length */
	CHECK_ERRNO(stat("m/f", &st), EIO);
	wait_refused(1);
	CHECK(ctl->write_errno == EINVAL);
	ctl->cut = FUSE_LOOKUP;
	CHECK_ERRNO(access("m/zz", F_OK), EIO);
	wait_refused(2);
	ctl->cut = 0;
	ctl->error[FUSE_GETATTR] = 600;	/* no errno: the answer counts for nothing */
	{
		pid_t pid = child(stat_f);

		wait_refused(3);
		CHECK(ctl->write_errno == EINVAL);
		ctl->error[FUSE_GETATTR] = 0;
		kill(daemon_pid, SIGKILL);
		status_of(daemon_pid);
		CHECK(WEXITSTATUS(status_of(pid)) == ECONNABORTED);
		CHECK(umount2("m", MNT_DETACH) == 0);
	}
	restart("");
	fd = open("m/f", O_RDWR);
	CHECK(write(fd, "12345678", 8) == 8);
	ctl->error[FUSE_READ] = EIO;
	CHECK_ERRNO(pread(fd, buf, 8, 0), EIO);
	ctl->error[FUSE_READ] = 0;
	ctl->error[FUSE_WRITE] = ENOSPC;
	CHECK_ERRNO(write(fd, "x", 1), ENOSPC);
	ctl->error[FUSE_WRITE] = 0;
	ctl->error[FUSE_FLUSH] = EDQUOT;
	CHECK_ERRNO(close(fd), EDQUOT);
	ctl->error[FUSE_FLUSH] = 0;
	fuse_stop("m");
}

/* ---- the device ---- */

static void device(void)
{
	char buf[8192 * 2], opts[100];
	struct pollfd p;
	int fd = open("/dev/fuse", O_RDWR | O_NONBLOCK), fd2 = open("/dev/fuse", O_RDWR | O_NONBLOCK);
	struct fuse_out_header h = { .len = sizeof(h), .unique = 4242 };
	uint32_t other;

	CHECK_ERRNO(read(fd, buf, sizeof(buf)), EPERM);
	CHECK_ERRNO(write(fd, buf, 16), EPERM);
	p = (struct pollfd){ fd, POLLIN | POLLOUT, 0 };
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLERR);
	CHECK_ERRNO(mount("x", "m", "fuse", 0, "rootmode=40000,user_id=0,group_id=0"), EINVAL);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0", fd);
	CHECK_ERRNO(mount("x", "m", "fuse", 0, opts), EINVAL);
	CHECK_ERRNO(mount("x", "m", "fuse", 0, "fd=0,rootmode=40000,user_id=0,group_id=0"), EINVAL);
	CHECK_ERRNO(mount("x", "m", "fuse", 0, "fd=999,rootmode=40000,user_id=0,group_id=0"), EINVAL);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0,nonsense", fd);
	CHECK_ERRNO(mount("x", "m", "fuse", 0, opts), EINVAL);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	CHECK(mount("x", "m", "fuse", 0, opts) == 0);
	CHECK_ERRNO(mount("x", "m", "fuse", 0, opts), EBUSY);	/* that is what is there */
	CHECK(mkdir("m2", 0755) == 0 && mount("x", "m2", "fuse", 0, opts) == 0 && umount2("m2", 0) == 0 && rmdir("m2") == 0);
	CHECK_ERRNO(read(fd, buf, 100), EINVAL);		/* no room */
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
	CHECK(read(fd, buf, sizeof(buf)) >= 56 && ((struct fuse_in_header *)buf)->opcode == FUSE_INIT);
	CHECK_ERRNO(read(fd, buf, sizeof(buf)), EAGAIN);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	CHECK_ERRNO(write(fd, &h, sizeof(h)), ENOENT);
	CHECK_ERRNO(write(fd, &h, 8), EINVAL);
	h.len++;
	CHECK_ERRNO(write(fd, &h, sizeof(h)), EINVAL);
	/* a second descriptor of the connection */
	other = (uint32_t)fd;
	CHECK(ioctl(fd2, FUSE_DEV_IOC_CLONE, &other) == 0);
	CHECK_ERRNO(read(fd2, buf, sizeof(buf)), EAGAIN);
	close(fd);
	CHECK_ERRNO(read(fd2, buf, sizeof(buf)), EAGAIN);	/* it goes on */
	CHECK(umount2("m", 0) == 0);
	CHECK_ERRNO(read(fd2, buf, sizeof(buf)), ENODEV);
	p.fd = fd2;
	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLERR);
	close(fd2);
}

/* ---- who ---- */

static void as_other(void)
{
	struct stat st;

	CHECK(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
	errno = 0;
	_exit(stat("m/f", &st) || open("m/f", O_RDONLY) < 0 ? errno : 0);
}

static void rights(void)
{
	restart("");
	CHECK(WEXITSTATUS(status_of(child(as_other))) == EACCES);
	fuse_stop("m");
	restart(",allow_other");
	CHECK(WEXITSTATUS(status_of(child(as_other))) == 0);
	CHECK(chmod("m/f", 0600) == 0);
	CHECK(WEXITSTATUS(status_of(child(as_other))) == 0);	/* the daemon's to refuse */
	fuse_stop("m");
	restart(",allow_other,default_permissions");
	CHECK(chmod("m/f", 0600) == 0);
	CHECK(WEXITSTATUS(status_of(child(as_other))) == EACCES);
	fuse_stop("m");
}

/* Mounting by root of a user namespace of its own. */
static void in_user_namespace(void)
{
	char opts[100];
	int fd, dev2, ok;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		_exit(77);
	fd = open("/proc/self/setgroups", O_WRONLY);
	if (write(fd, "deny", 4) != 4)
		_exit(77);
	close(fd);
	fd = open("/proc/self/uid_map", O_WRONLY);
	ok = write(fd, "0 0 1", 5) == 5;
	close(fd);
	fd = open("/proc/self/gid_map", O_WRONLY);
	ok &= write(fd, "0 0 1", 5) == 5;
	close(fd);
	if (!ok)
		_exit(77);
	dev2 = open("/dev/fuse", O_RDWR);
	if (dev2 < 0)
		_exit(77);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev2);
	CHECK(mount("x", "m", "fuse", MS_NOSUID | MS_NODEV, opts) == 0);
	CHECK(umount2("m", 0) == 0);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev); /* opened outside */
	CHECK_ERRNO(mount("x", "m", "fuse", MS_NOSUID | MS_NODEV, opts), EINVAL);
	_exit(0);
}

static void namespaces(void)
{
	int st;

	dev = open("/dev/fuse", O_RDWR);
	st = status_of(child(in_user_namespace));
	CHECK(WIFEXITED(st) && (WEXITSTATUS(st) == 0 || WEXITSTATUS(st) == 77));
	close(dev);
	dev = -1;
}

/* ---- counts, news, interplay ---- */

static void tell(int code, const void *p, size_t len)
{
	char out[600];
	struct fuse_out_header *h = (void *)out;

	*h = (struct fuse_out_header){ .len = (uint32_t)(sizeof(*h) + len), .error = code };
	memcpy(h + 1, p, len);
	CHECK(write(dev, out, h->len) == (ssize_t)h->len);
}

/* A daemon of one's own, by hand, in a thread: the test reads and writes through the same file. */
static void news(void)
{
	struct fuse_notify_inval_inode_out in = { .ino = 2 };
	struct {
		struct fuse_notify_inval_entry_out e;
		char name[2];
	} en = { .e = { .parent = 1, .namelen = 1 }, .name = "f" };
	struct stat st;
	pid_t pid;
	int n, keep;

	fuse_ctl();
	ctl->attr_s = ctl->entry_s = 1000;
	dev = open("/dev/fuse", O_RDWR);
	char opts[100];
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	CHECK(mount("x", "m", "fuse", 0, opts) == 0);
	pid = fork();
	if (!pid)
		serve();
	keep = dev;
	CHECK(close(open("m/f", O_CREAT | O_RDWR, 0600)) == 0 && stat("m/f", &st) == 0);
	n = ctl->count[FUSE_GETATTR];
	CHECK(stat("m/f", &st) == 0 && ctl->count[FUSE_GETATTR] == n);
	tell(FUSE_NOTIFY_INVAL_INODE, &in, sizeof(in));
	CHECK(stat("m/f", &st) == 0 && ctl->count[FUSE_GETATTR] == n + 1);
	n = ctl->count[FUSE_LOOKUP];
	CHECK(stat("m/f", &st) == 0 && ctl->count[FUSE_LOOKUP] == n);
	tell(FUSE_NOTIFY_INVAL_ENTRY, &en, sizeof(en.e) + sizeof(en.name));
	CHECK(stat("m/f", &st) == 0 && ctl->count[FUSE_LOOKUP] == n + 1);
	in.ino = 77;
	struct {
		struct fuse_out_header h;
		struct fuse_notify_inval_inode_out in;
	} m = { .h = { .len = sizeof(m), .error = FUSE_NOTIFY_INVAL_INODE }, .in = in };
	CHECK_ERRNO(write(dev, &m, sizeof(m)), ENOENT);
	m.h.error = 99;
	CHECK_ERRNO(write(dev, &m, sizeof(m)), EINVAL);
	CHECK(umount2("m", 0) == 0);
	close(keep);
	dev = -1;
	status_of(pid);
}

/* Whatever was handed out by name is given back, and each open file once. */
static void counts(void)
{
	char name[20];

	restart("");
	for (int k = 0; k < 20; k++) {
		snprintf(name, sizeof(name), "m/n%d", k);
		CHECK(close(open(name, O_CREAT | O_RDWR, 0600)) == 0 && unlink(name) == 0);
	}
	wait_count(FUSE_RELEASE, 21);
	for (int k = 0; k < 500 && ctl->nlookups > 1; k++)
		nap_ms(2);
	CHECK(ctl->nlookups == 1); /* m/f is still known */
	CHECK(ctl->count[FUSE_RELEASE] == ctl->count[FUSE_OPEN] + ctl->count[FUSE_CREATE]);
	fuse_stop("m");
}

static void *reader(void *arg)
{
	char buf[100];
	int fd = open("m/f", O_RDONLY);

	for (int k = 0; k < 200; k++)
		if (pread(fd, buf, 100, k * 37 % 5000) < 0)
			abort();
	close(fd);
	return NULL;
}

static void many_at_once(void)
{
	static char buf[8192];
	pthread_t t[8];
	int fd;

	restart("");
	fd = open("m/f", O_RDWR);
	CHECK(write(fd, buf, sizeof(buf)) == sizeof(buf));
	ctl->open_flags = FOPEN_DIRECT_IO;
	for (int k = 0; k < 8; k++)
		CHECK(pthread_create(&t[k], NULL, reader, NULL) == 0);
	for (int k = 0; k < 8; k++)
		pthread_join(t[k], NULL);
	close(fd);
	fuse_stop("m");
}

/* Requests and answers through pipes, as daemons do that copy nothing. */
static void spliced(void)
{
	char opts[100], buf[65536 * 2];
	int p[2], fd = open("/dev/fuse", O_RDWR);
	struct {
		struct fuse_out_header h;
		struct fuse_init_out o;
	} m = { .h.len = sizeof(m), .o = { .major = 7, .minor = 31, .max_write = 4096 } };
	pid_t pid;
	ssize_t n;

	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	CHECK(mount("x", "m", "fuse", 0, opts) == 0 && pipe(p) == 0);
	CHECK(fcntl(p[1], F_SETPIPE_SZ, 131072) >= 131072);
	n = splice(fd, NULL, p[1], NULL, 100000, 0);
	CHECK(n >= 56 && read(p[0], buf, sizeof(buf)) == n && ((struct fuse_in_header *)buf)->opcode == FUSE_INIT);
	m.h.unique = ((struct fuse_in_header *)buf)->unique;
	CHECK(write(p[1], &m, 50) == 50 && write(p[1], (char *)&m + 50, sizeof(m) - 50) == sizeof(m) - 50);
	CHECK(splice(p[0], NULL, fd, NULL, sizeof(m), 0) == sizeof(m));
	pid = fork();
	if (!pid) {
		close(fd);	/* or the connection would not end with ours */
		stat_f();
	}
	n = splice(fd, NULL, p[1], NULL, 100000, 0);
	CHECK(n > 40 && read(p[0], buf, sizeof(buf)) == n && ((struct fuse_in_header *)buf)->opcode == FUSE_LOOKUP);
	CHECK(!strcmp(buf + sizeof(struct fuse_in_header), "f"));
	close(fd);
	CHECK(WEXITSTATUS(status_of(pid)) == ECONNABORTED);
	CHECK(umount2("m", 0) == 0);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	umask(022);
	sigaction(SIGALRM, &sa, NULL);
	fuse_own_namespace();
	CHECK(mkdtemp(top) && chmod(top, 0755) == 0 && chdir(top) == 0 && mkdir("m", 0755) == 0);
	restart("");
	interrupted();
	killed_unread();
	dies();
	unmounts();
	lies();
	device();
	rights();
	namespaces();
	news();
	counts();
	many_at_once();
	spliced();
	CHECK(rmdir("m") == 0 && chdir("/") == 0 && rmdir(top) == 0);
	return 0;
}
