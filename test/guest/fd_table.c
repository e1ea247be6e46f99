/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fd_table.c - dup family, fcntl(2), close_range(2), record locks, flock(2), limits
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

static void dups(void)
{
	int fd = open("/dev/null", O_RDWR), d;

	CHECK(fd >= 0);
	d = dup(fd);
	CHECK(d > fd && dup2(fd, 100) == 100 && dup2(fd, fd) == fd);
	CHECK_ERRNO(dup2(fd, -1), EBADF);
	CHECK_ERRNO(dup2(99, 99), EBADF);
	CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
	CHECK(dup3(fd, 101, O_CLOEXEC) == 101 && fcntl(101, F_GETFD) == FD_CLOEXEC && fcntl(100, F_GETFD) == 0);
	CHECK(fcntl(fd, F_DUPFD, 150) == 150 && fcntl(fd, F_DUPFD_CLOEXEC, 150) == 151 && fcntl(151, F_GETFD) == 1);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, 1 << 30), EINVAL);
	CHECK(syscall(SYS_close_range, 100, 200, 0) == 0);
	CHECK_ERRNO(fcntl(101, F_GETFD), EBADF);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	CHECK(syscall(SYS_close_range, d, d, 4 /* CLOEXEC */) == 0 && fcntl(d, F_GETFD) == FD_CLOEXEC);
	close(d);
	close(fd);
	CHECK_ERRNO(fcntl(fd, F_GETFL), EBADF);
}

static void limit(void)
{
	struct rlimit old, r;
	int first = open("/dev/null", O_RDONLY), n = 0;

	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	r = old;
	r.rlim_cur = (rlim_t)first + 5;
	CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
	while (open("/dev/null", O_RDONLY) >= 0)
		n++;
	CHECK(errno == EMFILE && n == 4);
	CHECK_ERRNO(dup2(first, first + 5), EBADF);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK(syscall(SYS_close_range, first, ~0u, 0) == 0);
}

static void flags(void)
{
	int p[2], on = 1;

	CHECK(pipe(p) == 0);
	CHECK(fcntl(p[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(p[0], F_GETFL) == O_NONBLOCK);
	CHECK_ERRNO(read(p[0], &on, 1), EAGAIN);
	on = 0;
	CHECK(ioctl(p[0], FIONBIO, &on) == 0 && fcntl(p[0], F_GETFL) == 0);
	CHECK(ioctl(p[0], FIOCLEX) == 0 && fcntl(p[0], F_GETFD) == 1);
	CHECK(write(p[1], "xyz", 3) == 3 && ioctl(p[0], FIONREAD, &on) == 0 && on == 3);
	CHECK_ERRNO(fcntl(p[0], 9999, 0), EINVAL);
	CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0 && fcntl(p[0], F_GETOWN) == getpid());
	CHECK_ERRNO(lseek(p[0], 0, SEEK_CUR), ESPIPE);
	close(p[0]);
	close(p[1]);
}

static int child_lock(const char *name, short type, off_t start, off_t len)
{
	int st;
	pid_t pid = fork();

	if (pid == 0) {
		struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
		int fd = open(name, O_RDWR);

		_exit(fcntl(fd, F_SETLK, &l) == 0 ? 0 : errno);
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st));
	return WEXITSTATUS(st);
}

static void locks(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	int fd = open("lock", O_CREAT | O_RDWR, 0600), fd2, st;
	pid_t pid;

	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	CHECK(child_lock("lock", F_RDLCK, 15, 1) == EAGAIN);
	CHECK(child_lock("lock", F_WRLCK, 20, 5) == 0);
	CHECK(child_lock("lock", F_WRLCK, LLONG_MIN + 1, LLONG_MIN + 2) == EINVAL);
	CHECK(child_lock("lock", F_WRLCK, -1, 5) == EINVAL && child_lock("lock", F_WRLCK, 5, -6) == EINVAL);
	CHECK(child_lock("lock", F_WRLCK, LLONG_MAX, 2) == EOVERFLOW && child_lock("lock", F_WRLCK, 25, -5) == 0);
	l.l_type = F_RDLCK;
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	CHECK(child_lock("lock", F_RDLCK, 15, 1) == 0);
	CHECK(child_lock("lock", F_WRLCK, 15, 1) == EAGAIN);
	pid = fork();
	if (pid == 0) {
		struct flock t = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		_exit(fcntl(fd, F_GETLK, &t) == 0 && t.l_type == F_RDLCK && t.l_start == 10 && t.l_len == 10 && t.l_pid == getppid() ? 0 : 1);
	}
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	fd2 = open("lock", O_RDWR);
	close(fd2);	/* any close gives up all locks of the process */
	CHECK(child_lock("lock", F_WRLCK, 15, 1) == 0);
	fd2 = open("lock", O_RDWR);
	CHECK(flock(fd, LOCK_EX) == 0);
	CHECK_ERRNO(flock(fd2, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(fd, LOCK_SH) == 0 && flock(fd2, LOCK_SH | LOCK_NB) == 0 && flock(fd, LOCK_UN) == 0);
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	CHECK(fcntl(fd, F_OFD_SETLK, &l) == 0);
	CHECK_ERRNO(fcntl(fd2, F_OFD_SETLK, &l), EAGAIN);
	close(fd);
	CHECK(fcntl(fd2, F_OFD_SETLK, &l) == 0);
	close(fd2);
	unlink("lock");
}

int main(void)
{
	char dir[] = "/tmp/fd_table.XXXXXX";

	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	dups();
	limit();
	flags();
	locks();
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	return 0;
}
