/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/operate.c - what is done to a container that exists: start, signal, pause, resize, wait, ...
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/log.h"
#include "runsc/lib/container.h"
#include "runsc/lib/control.h"

static int simple(struct lc_container *c, const char *method, struct err *e)
{
	PB(ContainerRequest) m = PB_INIT(CONTAINER_REQUEST);

	m.id = c->id;
	return control_do(c, method, &m.base, NULL, NULL, e);
}

/* Under the lock: the state must be @from to become @to by @method. */
static int transition(struct lc_container *c, const char *method, enum lc_status from, enum lc_status to,
		      const char *complaint, struct err *e)
{
	AUTO_CLOSE int lock = container_lock(c, e);
	enum lc_status now;

	if (lock < 0)
		return -1;
	now = lc_status(c);
	if (now == LC_STOPPED)
		return err_set(e, ESRCH, "container not running");
	if (now != from)
		return err_set(e, EBUSY, "%s: it is %s", complaint, lc_status_name(now));
	if (simple(c, method, e) < 0)
		return -1;
	c->st.status = to;
	return state_save(c, e);
}

int lc_start(struct lc_container *c, struct err *e)
{
	AUTO_CLOSE int lock = container_lock(c, e);
	enum lc_status now;

	if (lock < 0)
		return -1;
	now = lc_status(c);
	if (now == LC_STOPPED)
		return err_set(e, ESRCH, "cannot start a container that has stopped");
	if (now == LC_RUNNING)
		return err_set(e, EBUSY, "cannot start an already running container");
	if (now != LC_CREATED)
		return err_set(e, EBUSY, "cannot start a container in the %s state", lc_status_name(now));
	if (hooks_run(c, HOOK_START_CONTAINER, 0, e) < 0) {
		proc_kill(c->st.gofer, 5000);
		return -1;
	}
	/* running before it runs: a program that ends at once must not find itself "created" */
	c->st.status = LC_RUNNING;
	if (state_save(c, e) < 0)
		return -1;
	if (simple(c, "StartContainer", e) < 0) {
		struct err ignored = ERR_INIT;

		c->st.status = LC_CREATED;
		state_save(c, &ignored);
		return -1;
	}
	if (hooks_run(c, HOOK_POSTSTART, 0, e) == 0)
		return 0;
	/* since runtime-spec 1.3 a failing poststart hook ends the container */
	proc_kill(c->st.gofer, 5000);
	return -1;
}

int lc_pause(struct lc_container *c, struct err *e)
{
	return transition(c, "Pause", LC_RUNNING, LC_PAUSED, "cannot pause a container that is not running", e);
}

int lc_resume(struct lc_container *c, struct err *e)
{
	return transition(c, "Resume", LC_PAUSED, LC_RUNNING, "cannot resume a container that is not paused", e);
}

static int send_signal(struct lc_container *c, PB(SignalRequest) *m, struct err *e)
{
	m->id = c->id;
	if (lc_status(c) == LC_STOPPED)
		return err_set(e, ESRCH, "container not running");
	if (control_do(c, "Signal", &m->base, NULL, NULL, e) == 0)
		return 0;
	if (e->code == ESRCH)
		return err_set(e, ESRCH, *m->exec_id || m->pid ? "process already finished" : "container not running");
	return -1;
}

int lc_signal(struct lc_container *c, const char *exec_id, int signo, enum lc_signal_scope scope, struct err *e)
{
	PB(SignalRequest) m = PB_INIT(SIGNAL_REQUEST);

	if (signo < 0 || signo > 64)
		return err_set(e, EINVAL, "unknown signal %d", signo);
	m.signo = (uint32_t)signo;
	m.exec_id = (char *)(exec_id ? exec_id : "");
	m.all = scope == LC_SIG_ALL;
	m.foreground = scope == LC_SIG_FOREGROUND;
	/* before start there is no process that could catch it; a fatal one ends the container */
	if (!*m.exec_id && lc_status(c) == LC_CREATED && (signo == SIGKILL || signo == SIGTERM || signo == SIGINT)) {
		proc_kill(c->st.gofer, 5000);
		return 0;
	}
	return send_signal(c, &m, e);
}

int lc_signal_pid(struct lc_container *c, pid_t inner_pid, int signo, struct err *e)
{
	PB(SignalRequest) m = PB_INIT(SIGNAL_REQUEST);

	m.signo = (uint32_t)signo;
	m.pid = inner_pid;
	return send_signal(c, &m, e);
}

int lc_resize(struct lc_container *c, const char *exec_id, uint16_t rows, uint16_t cols, struct err *e)
{
	PB(ResizeTtyRequest) m = PB_INIT(RESIZE_TTY_REQUEST);

	m.id = c->id;
	m.exec_id = (char *)(exec_id ? exec_id : "");
	m.rows = rows;
	m.cols = cols;
	return control_do(c, "ResizeTty", &m.base, NULL, NULL, e);
}

int lc_close_stdin(struct lc_container *c, const char *exec_id, struct err *e)
{
	PB(CloseStdinRequest) m = PB_INIT(CLOSE_STDIN_REQUEST);

	m.id = c->id;
	m.exec_id = (char *)(exec_id ? exec_id : "");
	return control_do(c, "CloseStdin", &m.base, NULL, NULL, e);
}

static int exit_from_status(uint32_t st)
{
	return WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
}

/* The status that the gofer left when it ended (see exit.json in keeper.h); false when there is none. */
static bool recorded_exit(struct lc_container *c, struct lc_exit *out)
{
	AUTO_FREE char *text = NULL;
	unsigned long long at;
	unsigned status;
	size_t len;

	if (read_file_at(c->dir_fd, "exit.json", 4096, &text, &len) < 0 ||
	    sscanf(text, "{\"status\":%u,\"at\":%llu}", &status, &at) != 2)
		return false;
	out->status = (int)status;
	out->at_ns = at;
	return true;
}

int lc_record_exit(struct lc_container *c, int status, struct err *e)
{
	struct timespec ts;
	char text[96];
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	n = snprintf(text, sizeof(text), "{\"status\":%u,\"at\":%llu}\n", (unsigned)status,
		     (unsigned long long)ts.tv_sec * NSEC_PER_SEC + (unsigned long long)ts.tv_nsec);
	return dir_write(c->dir_fd, "exit.json", text, (size_t)n, e);
}

int lc_wait(struct lc_container *c, const char *exec_id, pid_t inner_pid, struct lc_exit *out, struct err *e)
{
	PB(WaitRequest) m = PB_INIT(WAIT_REQUEST);
	bool init = (!exec_id || !*exec_id) && !inner_pid;
	const PB(WaitResponse) *r;
	struct ttrpc_result res;

	m.id = c->id;
	m.exec_id = (char *)(exec_id ? exec_id : "");
	m.pid = inner_pid;
	if (control_do(c, "Wait", &m.base, PB_DESC(wait_response), &res, e) == 0) {
		r = (const PB(WaitResponse) *)res.resp;
		*out = (struct lc_exit){ exit_from_status(r->wait_status), r->exited_at_ns, r->oom_killed };
		ttrpc_result_fini(&res);
		return 0;
	}
	if (init && recorded_exit(c, out))
		return 0;
	if (e->code != ESRCH || proc_alive(c->st.sentry))
		return -1;
	*out = (struct lc_exit){ .status = 128 + SIGKILL };
	return 0;
}

int lc_port_forward(struct lc_container *c, uint16_t port, int stream_fd, struct err *e)
{
	PB(PortForwardRequest) m = PB_INIT(PORT_FORWARD_REQUEST);
	PB(FdRole) role = PB_ROLE(FD_STREAM);
	int sock = control_connect(c, e);

	if (sock < 0)
		return -1;
	m.id = c->id;
	m.port = port;
	m.fds = &role;
	m.n_fds = 1;
	return control_call(sock, "PortForward", &m.base, NULL, &stream_fd, 1, NULL, e);
}

int lc_debug_set(struct lc_container *c, int strace, const char *calls, int debug_log, struct err *e)
{
	PB(DebugRequest) m = PB_INIT(DEBUG_REQUEST);

	m.strace = strace;
	m.strace_syscalls = (char *)(calls ? calls : "");
	m.log_level = debug_log;
	return control_do(c, "Debug", &m.base, PB_DESC(debug_response), NULL, e);
}

int lc_debug(struct lc_container *c, const char *what, struct buf *out, struct err *e)
{
	PB(DebugRequest) m = PB_INIT(DEBUG_REQUEST);
	char *one[] = { (char *)what };
	struct ttrpc_result res;

	m.commands = one;
	m.n_commands = what ? 1 : 0;
	if (control_do(c, "Debug", &m.base, PB_DESC(debug_response), &res, e) < 0)
		return -1;
	buf_printf(out, "%s", ((const PB(DebugResponse) *)res.resp)->text);
	ttrpc_result_fini(&res);
	return out->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}
