/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/proc.c - host processes named by pid and start time
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runsc/lib/container.h"

/* State letter and start time of @pid; false when there is no such process. */
static bool read_stat(pid_t pid, char *out_state, uint64_t *out_start)
{
	char path[48], text[1024], *p;
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	if (pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	p = strrchr(text, ')'); /* comm may hold anything, also ')' */
	if (!p || p[1] != ' ')
		return false;
	*out_state = p[2];
	p += 2;
	for (int field = 3; field < 22 && p; field++) {
		p = strchr(p, ' ');
		p += p != NULL;
	}
	if (!p)
		return false;
	*out_start = strtoull(p, NULL, 10);
	return true;
}

struct proc_id proc_identify(pid_t pid)
{
	struct proc_id p = { .pid = (uint32_t)pid };
	char state;

	if (!read_stat(pid, &state, &p.start))
		p.pid = 0;
	return p;
}

bool proc_alive(struct proc_id p)
{
	uint64_t start;
	char state;

	if (!p.pid || !read_stat((pid_t)p.pid, &state, &start))
		return false;
	return start == p.start && state != 'Z' && state != 'X';
}

int proc_pidfd(struct proc_id p)
{
	uint64_t start;
	char state;
	int fd;

	if (!p.pid)
		return -1;
	fd = (int)syscall(SYS_pidfd_open, (pid_t)p.pid, 0);
	if (fd < 0)
		return -1;
	/* the number may have been reused before the open, not after */
	if (read_stat((pid_t)p.pid, &state, &start) && start == p.start)
		return fd;
	close(fd);
	return -1;
}

bool proc_kill(struct proc_id p, int timeout_ms)
{
	AUTO_CLOSE int fd = proc_pidfd(p);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int n, status;

	if (fd < 0)
		return true;
	syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	do
		n = poll(&pfd, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	waitpid((pid_t)p.pid, &status, WNOHANG);
	return true;
}

int pid_file_write(const char *path, pid_t pid, struct err *e)
{
	AUTO_FREE char *tmp = NULL;
	AUTO_CLOSE int fd = -1;
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	/* readers poll for the name: it must appear with its content */
	if (asprintf(&tmp, "%s.%d.tmp", path, (int)getpid()) < 0) {
		tmp = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "write pid file %s", path);
	if (write(fd, text, (size_t)n) != n || rename(tmp, path) < 0) {
		err_sys(e, "write pid file %s", path);
		unlink(tmp);
		return -1;
	}
	return 0;
}
