/* SPDX-License-Identifier: Apache-2.0
 * test/e2e/containerd/fakelc.c - the lifecycle library's interface over plain host processes
 *
 * Model:   lets the shim be driven by a real containerd without a Sentry: a container is a chroot in its
 *          bundle's rootfs. Only for tests; nothing is isolated here. What lifecycle.h promises about
 *          parents, exits and errors holds, as that is what the shim relies on.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runsc/lib/lifecycle.h"

#define EXECS_MAX 256

struct lc_container {
	char *id, *dir, *root, *rootfs;
	pid_t pid;
	int start_fd; /* a byte lets init go */
	bool terminal;
	pthread_mutex_t mu;
	struct {
		char id[80];
		pid_t pid;
		int pty;
	} execs[EXECS_MAX];
	int pty;
};

struct program {
	char **argv, **env;
	char *cwd;
	bool terminal;
};

static char **strings(struct json_object *a)
{
	size_t n = a ? json_object_array_length(a) : 0;
	char **v = calloc(n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = strdup(json_object_get_string(json_object_array_get_idx(a, i)));
	return v;
}

static void program_from(struct program *p, struct json_object *proc)
{
	struct json_object *v;

	p->argv = strings(json_object_object_get(proc, "args"));
	p->env = strings(json_object_object_get(proc, "env"));
	p->cwd = json_object_object_get_ex(proc, "cwd", &v) ? strdup(json_object_get_string(v)) : strdup("/");
	p->terminal = json_object_object_get_ex(proc, "terminal", &v) && json_object_get_boolean(v);
}

static void program_fini(struct program *p)
{
	for (char **v = p->argv; *v; v++)
		free(*v);
	for (char **v = p->env; *v; v++)
		free(*v);
	free(p->argv);
	free(p->env);
	free(p->cwd);
}

/* The program as found in the container, or NULL with errno. */
static char *lookup(const char *root, const struct program *p)
{
	static const char *const dirs[] = { "", "/bin", "/sbin", "/usr/bin", "/usr/sbin" };
	char *path;

	for (size_t i = p->argv[0][0] == '/' ? 0 : 1; i < ARRAY_SIZE(dirs); i++) {
		struct stat st;

		if (asprintf(&path, "%s%s%s%s", root, dirs[i], i ? "/" : "", p->argv[0]) < 0)
			return NULL;
		if (lstat(path, &st) == 0) {
			memmove(path, path + strlen(root), strlen(path + strlen(root)) + 1);
			return path;
		}
		free(path);
	}
	errno = ENOENT;
	return NULL;
}

static int launch(const char *root, const struct program *p, const int stdio[3], int wait_fd, int *out_pty,
		  pid_t *out, struct err *e)
{
	int master = -1, slave = -1;
	char *path = lookup(root, p);

	if (!path)
		return err_set(e, LC_E_NOEXEC_ENOENT,
			       "exec: \"%s\": executable file not found in $PATH", p->argv[0]);
	if (p->terminal && openpty(&master, &slave, NULL, NULL, NULL) < 0)
		return err_sys(e, "openpty");
	if (master >= 0)
		fcntl(master, F_SETFD, FD_CLOEXEC);
	*out = fork();
	if (*out == 0) {
		sigset_t none;
		char c;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		if (wait_fd >= 0 && read(wait_fd, &c, 1) != 1)
			_exit(137);
		setsid();
		for (int i = 0; i < 3; i++)
			dup2(p->terminal ? slave : stdio[i] >= 0 ? stdio[i] : open("/dev/null", O_RDWR), i);
		if (p->terminal)
			ioctl(0, TIOCSCTTY, 0);
		closefrom(3);
		if (chroot(root) < 0 || chdir(p->cwd) < 0)
			_exit(126);
		execve(path, p->argv, p->env);
		_exit(127);
	}
	free(path);
	if (slave >= 0)
		close(slave);
	*out_pty = master;
	return *out < 0 ? err_sys(e, "fork") : 0;
}

static void note(const struct lc_flags *f, const char *id, pid_t pid)
{
	char path[4096], text[16];
	int fd;

	for (char *s = strchr(f->root + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		mkdir(f->root, 0700);
		*s = '/';
	}
	mkdir(f->root, 0700);
	snprintf(path, sizeof(path), "%s/%s", f->root, id);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, text, (size_t)snprintf(text, sizeof(text), "%d", pid)) > 0)
		close(fd);
}

int lc_create(const struct lc_flags *f, struct lc_create_args *a, struct lc_container **out, struct err *e)
{
	struct lc_container *c = calloc(1, sizeof(*c));
	struct program p;
	char path[4096];
	struct json_object *spec;
	const char *rootfs;
	int go[2], pty = -1;

	snprintf(path, sizeof(path), "%s/config.json", a->bundle);
	spec = json_object_from_file(path);
	if (!spec)
		return err_set(e, EINVAL, "%s: not JSON", path);
	program_from(&p, json_object_object_get(spec, "process"));
	rootfs = json_object_get_string(json_object_object_get(json_object_object_get(spec, "root"), "path"));
	snprintf(path, sizeof(path), "%s%s%s", rootfs[0] == '/' ? "" : a->bundle, rootfs[0] == '/' ? "" : "/", rootfs);
	json_object_put(spec);
	if (pipe2(go, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	if (launch(path, &p, a->stdio, go[0], &pty, &c->pid, e) < 0) {
		close(go[0]);
		close(go[1]);
		program_fini(&p);
		free(c);
		return -1;
	}
	program_fini(&p);
	close(go[0]);
	pthread_mutex_init(&c->mu, NULL);
	c->id = strdup(a->id);
	c->dir = strdup(a->bundle);
	c->root = strdup(f->root);
	c->rootfs = strdup(path);
	c->start_fd = go[1];
	c->terminal = p.terminal;
	c->pty = pty >= 0 ? fcntl(pty, F_DUPFD_CLOEXEC, 3) : -1;
	a->out_console = pty;
	note(f, a->id, c->pid);
	*out = c;
	return 0;
}

void lc_free(struct lc_container *c)
{
	if (!c)
		return;
	if (c->start_fd >= 0)
		close(c->start_fd);
	if (c->pty >= 0)
		close(c->pty);
	for (int i = 0; i < EXECS_MAX; i++)
		if (c->execs[i].pid && c->execs[i].pty >= 0)
			close(c->execs[i].pty);
	free(c->id);
	free(c->dir);
	free(c->root);
	free(c->rootfs);
	free(c);
}

pid_t lc_pid(const struct lc_container *c)
{
	return c->pid;
}

pid_t lc_sandbox_pid(const struct lc_container *c)
{
	return 0;
}

const char *lc_netns(const struct lc_container *c)
{
	return NULL;
}

int lc_port_forward(struct lc_container *c, uint16_t port, int stream_fd, struct err *e)
{
	return err_set(e, ENOSYS, "no ports");
}

bool lc_shares_pid_ns(const struct lc_container *c)
{
	return false;
}

pid_t lc_zygote_pid(const struct lc_container *c)
{
	return 0;
}

const char *lc_sandbox_id(const struct lc_container *c)
{
	return c->id;
}

int lc_start(struct lc_container *c, struct err *e)
{
	if (c->start_fd < 0 || write(c->start_fd, "g", 1) != 1)
		return err_set(e, EBUSY, "container is not in state created");
	close(TAKE_FD(c->start_fd));
	return 0;
}

int lc_exec(struct lc_container *c, struct lc_exec_args *a, struct lc_exec *out, struct err *e)
{
	struct json_object *proc = json_tokener_parse(a->process_json);
	struct program p;
	pid_t pid;
	int pty = -1, ret;

	if (!proc)
		return err_set(e, EINVAL, "process is not JSON");
	program_from(&p, proc);
	json_object_put(proc);
	p.terminal = a->tty == 1;
	ret = launch(c->rootfs, &p, a->stdio, -1, &pty, &pid, e);
	program_fini(&p);
	if (ret < 0)
		return -1;
	a->out_console = pty;
	out->pid = pid;
	snprintf(out->exec_id, sizeof(out->exec_id), "%s", a->exec_id);
	pthread_mutex_lock(&c->mu);
	for (int i = 0; i < EXECS_MAX; i++) {
		if (!c->execs[i].pid) {
			c->execs[i].pid = pid;
			c->execs[i].pty = pty >= 0 ? fcntl(pty, F_DUPFD_CLOEXEC, 3) : -1;
			snprintf(c->execs[i].id, sizeof(c->execs[i].id), "%s", a->exec_id);
			break;
		}
	}
	pthread_mutex_unlock(&c->mu);
	return 0;
}

static pid_t find(struct lc_container *c, const char *exec_id, int *pty)
{
	pid_t pid = 0;

	if (!exec_id || !exec_id[0]) {
		*pty = c->pty;
		return c->pid;
	}
	pthread_mutex_lock(&c->mu);
	for (int i = 0; i < EXECS_MAX; i++)
		if (!strcmp(c->execs[i].id, exec_id)) {
			pid = c->execs[i].pid;
			*pty = c->execs[i].pty;
		}
	pthread_mutex_unlock(&c->mu);
	return pid;
}

int lc_signal(struct lc_container *c, const char *exec_id, int signo, enum lc_signal_scope scope, struct err *e)
{
	int pty;
	pid_t pid = find(c, exec_id, &pty);

	if (scope == LC_SIG_ALL)
		for (int i = 0; i < EXECS_MAX; i++)
			if (c->execs[i].pid)
				kill(c->execs[i].pid, signo);
	if (!pid || kill(pid, signo) < 0)
		return err_set(e, ESRCH, "container not running");
	return 0;
}

int lc_pause(struct lc_container *c, struct err *e)
{
	return kill(c->pid, SIGSTOP) < 0 ? err_sys(e, "pause") : 0;
}

int lc_resume(struct lc_container *c, struct err *e)
{
	return kill(c->pid, SIGCONT) < 0 ? err_sys(e, "resume") : 0;
}

int lc_resize(struct lc_container *c, const char *exec_id, uint16_t rows, uint16_t cols, struct err *e)
{
	struct winsize ws = { .ws_row = rows, .ws_col = cols };
	int pty = -1;

	find(c, exec_id, &pty);
	return ioctl(pty, TIOCSWINSZ, &ws) < 0 ? err_sys(e, "resize") : 0;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int lc_delete(struct lc_container *c, bool force, struct err *e)
{
	char path[4096];

	if (kill(c->pid, 0) == 0) {
		if (!force)
			return err_set(e, EBUSY, "cannot delete container %s that is not stopped", c->id);
		reap(c->pid);
	}
	snprintf(path, sizeof(path), "%s/%s", c->root, c->id);
	unlink(path);
	return 0;
}

int lc_delete_id(const struct lc_flags *f, const char *id, bool force, struct err *e)
{
	char path[4096], text[32] = { 0 };
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->root, id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return force ? 0 : err_set(e, ENOENT, "container does not exist");
	if (read(fd, text, sizeof(text) - 1) > 0 && atoi(text) > 1)
		kill(atoi(text), SIGKILL);
	close(fd);
	unlink(path);
	return 0;
}

int lc_host_pids(struct lc_container *c, pid_t **out, size_t *nr, struct err *e)
{
	*out = calloc(EXECS_MAX + 1, sizeof(**out));
	*nr = 0;
	(*out)[(*nr)++] = c->pid;
	for (int i = 0; i < EXECS_MAX; i++)
		if (c->execs[i].pid && kill(c->execs[i].pid, 0) == 0)
			(*out)[(*nr)++] = c->execs[i].pid;
	return 0;
}

int lc_stats(struct lc_container *c, struct lc_stats *out, struct err *e)
{
	*out = (struct lc_stats){ .mem_usage = 123456, .mem_inactive_file = 456, .pids_current = 1,
				  .cpu_total_ns = 1000000 };
	return 0;
}

void lc_stats_fini(struct lc_stats *s)
{
	free(s->links);
}

int lc_update(struct lc_container *c, const char *json, struct err *e)
{
	struct json_object *o = json_tokener_parse(json);

	if (!o)
		return err_set(e, EINVAL, "resources are not JSON");
	json_object_put(o);
	return 0;
}

/* No cgroup of its own, unless a test names one. */
const char *lc_cgroup_dir(const struct lc_container *c, const char *controller)
{
	return strcmp(controller, "memory") ? NULL : getenv("FAKELC_MEMORY_CGROUP");
}

bool lc_cgroup_is_v2(const struct lc_container *c)
{
	return getenv("FAKELC_CGROUP_V2") != NULL;
}

char *lc_find_runsc(const struct lc_flags *f, struct err *e)
{
	err_set(e, ENOENT, "runsc: not found in $PATH");
	return NULL;
}
