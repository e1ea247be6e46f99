/* SPDX-License-Identifier: Apache-2.0
 * shim/start.c - `start`: find or make the shim of this group, print its address
 *
 * Model:   the socket is bound and listening before the daemon runs, so containerd may connect at once
 *          and `start` need not wait for the daemon. A bind that meets EADDRINUSE asks whether somebody
 *          answers: then that is our group's shim, else the socket is a leftover.
 * Source:  CONVENTIONS D.0 trap 2: containerd reads stdout and stderr together until both close, so
 *          the daemon gets /dev/null for all three before anything is printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fdpass.h"
#include "shim/actions.h"
#include "shim/bootstrap.h"
#include "shim/config.h"
#include "shim/shim_util.h"

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE	     62
#define PR_SCHED_CORE_CREATE 1
#endif
#define PR_SCHED_CORE_SCOPE_PGRP 2
#define CONNECT_TIMEOUT_MS 100

extern char **environ;

static int path_addr(struct sockaddr_un *sa, const char *path, struct err *e)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return err_set(e, ENAMETOOLONG, "socket path %s is too long", path);
	strcpy(sa->sun_path, path);
	return 0;
}

/* True when a living shim accepts on @sa. */
static bool answers(const struct sockaddr_un *sa)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	for (int waited = 0; waited <= CONNECT_TIMEOUT_MS; waited += 10) {
		if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
			return true;
		if (errno != EAGAIN) /* EAGAIN: its backlog is full, it lives */
			return false;
		usleep(10000);
	}
	return true;
}

/* Return: 1 and *@out_fd when we own the socket now, 0 when a shim answers there, -1. */
static int claim_socket(const char *path, int *out_fd, struct err *e)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa;
	mode_t old;
	int ret, err;

	if (fd < 0)
		return err_sys(e, "socket");
	if (path_addr(&sa, path, e) < 0)
		return -1;
	for (int attempt = 0; attempt < 3; attempt++) {
		old = umask(0177);
		ret = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
		err = errno;
		umask(old);
		if (ret == 0) {
			if (listen(fd, 1024) < 0)
				return err_sys(e, "listen on %s", path);
			*out_fd = TAKE_FD(fd);
			return 1;
		}
		if (err != EADDRINUSE)
			break;
		if (answers(&sa))
			return 0;
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(e, "remove dead socket %s", path);
	}
	errno = err;
	return err_sys(e, "bind %s", path);
}

static int spawn_daemon(const struct shim_args *a, const char *group, int sock, pid_t *out, struct err *e)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	char exe[4096];
	const char *argv[12];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	size_t n = 0;
	int ret;

	if (len < 0)
		return err_sys(e, "readlink /proc/self/exe");
	exe[len] = '\0';
	argv[n++] = exe;
	argv[n++] = "-namespace";
	argv[n++] = a->ns;
	argv[n++] = "-id";
	argv[n++] = group;
	argv[n++] = "-address";
	argv[n++] = a->grpc_address;
	if (a->debug)
		argv[n++] = "-debug";
	argv[n] = NULL;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&fa, 0, 1);
	posix_spawn_file_actions_adddup2(&fa, 0, 2);
	posix_spawn_file_actions_adddup2(&fa, sock, SHIM_LISTEN_FD);
	posix_spawn_file_actions_addclosefrom_np(&fa, SHIM_LISTEN_FD + 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	ret = posix_spawn(out, exe, &fa, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	if (ret) {
		errno = ret;
		return err_sys(e, "run %s", exe);
	}
	return 0;
}

/* One more than ours: the daemon goes before containerd does, and after nothing else of the node. */
static void set_oom_score(pid_t pid)
{
	AUTO_FREE char *text = NULL;
	char path[64], score[16];
	size_t len;
	int fd;

	if (file_read(AT_FDCWD, "/proc/self/oom_score_adj", 64, &text, &len) < 0)
		return;
	snprintf(score, sizeof(score), "%d", MIN(atoi(text) + 1, 1000));
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		write_full(fd, score, strlen(score));
		close(fd);
	}
}

static int join_cgroup(const char *cgroup, pid_t pid, struct err *e)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/memory",
					     "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/pids",
					     "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified" };
	char pidtext[16];
	bool joined = false;

	snprintf(pidtext, sizeof(pidtext), "%d", pid);
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		const char *parts[] = { roots[i], cgroup, "cgroup.procs" };
		AUTO_FREE char *path = path_join_clean(parts, ARRAY_SIZE(parts));
		AUTO_CLOSE int fd = -1;

		if (!path || mkdir_parents(path, 0755) < 0)
			continue;
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write_full(fd, pidtext, strlen(pidtext)) == 0)
			joined = true;
		if (i == 0 && joined)
			break; /* unified */
	}
	return joined ? 0 : err_set(e, ENOENT, "shim_cgroup %s cannot be joined", cgroup);
}

static int launch(const struct shim_args *a, const struct shim_config *cfg, const char *group, int sock,
		  struct err *e)
{
	char pidtext[16];
	pid_t pid;

	if (a->sched_core && prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_PGRP, 0) < 0)
		return err_sys(e, "enable core scheduling");
	if (spawn_daemon(a, group, sock, &pid, e) < 0)
		return -1;
	set_oom_score(pid);
	if (cfg->shim_cgroup && join_cgroup(cfg->shim_cgroup, pid, e) < 0) {
		kill(pid, SIGKILL);
		return -1;
	}
	snprintf(pidtext, sizeof(pidtext), "%d", pid);
	if (shim_write_file(AT_FDCWD, "shim.pid", pidtext, strlen(pidtext)) < 0) {
		kill(pid, SIGKILL);
		return err_sys(e, "write shim.pid");
	}
	return 0;
}

static int start_in(const struct shim_args *a, const struct bootstrap *b, const struct shim_config *cfg,
		    struct err *e)
{
	AUTO_FREE char *group = cfg->grouping ? shim_group_id(AT_FDCWD, a->id, e) : strdup(a->id);
	const char *dir = b->params && b->params->socket_dir[0] ? b->params->socket_dir : SHIM_SOCKET_DIR;
	AUTO_FREE char *address = NULL;
	AUTO_CLOSE int sock = -1;
	struct buf reply = { 0 };
	int ret;

	if (!group)
		return -1;
	address = shim_address(dir, a->grpc_address, a->ns, group, e);
	if (!address)
		return -1;
	if (mkdir_parents(address + strlen("unix://"), 0711) < 0 || (chmod(dir, 0700) < 0 && errno != EPERM))
		return err_sys(e, "make %s", dir);
	ret = claim_socket(address + strlen("unix://"), &sock, e);
	if (ret < 0)
		return -1;
	if (ret == 1 && launch(a, cfg, group, sock, e) < 0) {
		unlink(address + strlen("unix://"));
		return -1;
	}
	/* what containerd up to 1.7 reads when it comes back */
	if (shim_write_file(AT_FDCWD, "address", address, strlen(address)) < 0)
		return err_sys(e, "write address");
	ret = bootstrap_reply(b, a, address, &reply, e);
	if (ret == 0 && (ret = write_full(1, reply.data, reply.len)) < 0) {
		errno = -ret;
		ret = err_sys(e, "write the reply");
	}
	buf_fini(&reply);
	return ret;
}

int shim_start(const struct shim_args *args, struct err *e)
{
	struct shim_args a = *args;
	struct shim_config cfg = { 0 };
	struct bootstrap b = { 0 };
	int ret;

	if (!a.ns[0])
		return err_set(e, EINVAL, "shim namespace cannot be empty");
	if (!a.id[0])
		return err_set(e, EINVAL, "shim id cannot be empty");
	if (bootstrap_read(&b, &a, e) < 0)
		return -1;
	if (b.params) {
		if (b.params->containerd_grpc_address[0])
			a.grpc_address = b.params->containerd_grpc_address;
		if (b.params->containerd_ttrpc_address[0])
			setenv("TTRPC_ADDRESS", b.params->containerd_ttrpc_address, 1);
		if (b.params->log_level < 0)
			a.debug = true;
	}
	ret = shim_config_load(&cfg, b.options, true, e);
	if (ret == 0 && b.options)
		ret = shim_options_save(AT_FDCWD, b.options, e);
	if (ret == 0)
		ret = start_in(&a, &b, &cfg, e);
	shim_config_fini(&cfg);
	bootstrap_fini(&b);
	return ret;
}
