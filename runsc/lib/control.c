/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/control.c - see control.h
 */
#include "runsc/lib/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* By way of the directory's descriptor: the path of a root may be longer than sun_path. */
static void socket_address(int dir_fd, struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/control.sock", dir_fd);
}

int control_listen(const struct lc_container *sandbox, struct err *e)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa;

	if (fd < 0)
		return err_sys(e, "control socket");
	socket_address(sandbox->dir_fd, &sa);
	/* the directory is 0700 already; the socket need not depend on it */
	fchmod(fd, 0600);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 128) < 0)
		return err_sys(e, "bind %s/control.sock", sandbox->dir);
	return TAKE_FD(fd);
}

int control_connect(const struct lc_container *c, struct err *e)
{
	AUTO_CLOSE int sb_dir = -1;
	AUTO_CLOSE int fd = -1;
	struct sockaddr_un sa;
	int dir = c->dir_fd;

	if (c->st.sandbox_id && strcmp(c->st.sandbox_id, c->id)) {
		AUTO_FREE char *path = container_path(c->flags, c->st.sandbox_id, NULL);

		sb_dir = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
		if (sb_dir < 0)
			return err_set(e, ESRCH, "sandbox %s of container \"%s\" is gone", c->st.sandbox_id, c->id);
		dir = sb_dir;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "control socket");
	socket_address(dir, &sa);
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == ECONNREFUSED || errno == ENOENT)
			return err_set(e, ESRCH, "container not running: its sandbox has ended");
		return err_sys(e, "connect to the sandbox of \"%s\"", c->id);
	}
	return TAKE_FD(fd);
}

static int code_to_errno(enum ttrpc_code code)
{
	switch (code) {
	case TTRPC_NOT_FOUND:
	case TTRPC_UNAVAILABLE:
	case TTRPC_CANCELED:
		return ESRCH;
	case TTRPC_ALREADY_EXISTS: return EEXIST;
	case TTRPC_FAILED_PRECONDITION: return EBUSY;
	case TTRPC_INVALID_ARGUMENT: return EINVAL;
	case TTRPC_UNIMPLEMENTED: return ENOSYS;
	case TTRPC_DEADLINE_EXCEEDED: return ETIMEDOUT;
	case TTRPC_RESOURCE_EXHAUSTED: return ENOMEM;
	case TTRPC_PERMISSION_DENIED: return EPERM;
	default: return EIO;
	}
}

int control_call(int sock, const char *method, const ProtobufCMessage *msg, const ProtobufCMessageDescriptor *resp,
		 const int *fds, size_t nr_fds, struct ttrpc_result *out, struct err *e)
{
	struct ttrpc_request req = {
		.service = CONTROL_SERVICE,
		.method = method,
		.msg = msg,
		.resp = resp ? resp : PB_DESC(empty),
		.fds = fds,
		.nr_fds = nr_fds,
	};
	struct ttrpc_client *cl = ttrpc_client_new(sock, NULL, 0);
	struct ttrpc_result res = { 0 };
	int ret;

	if (!cl)
		return err_set(e, ENOMEM, "out of memory");
	ret = ttrpc_client_call(cl, &req, &res);
	if (ret < 0) {
		if (res.code == TTRPC_UNAVAILABLE)
			err_set(e, ESRCH, "the sandbox ended during %s", method);
		else
			err_set(e, code_to_errno(res.code), "%s", res.message);
	}
	ttrpc_client_free(cl);
	if (ret == 0 && out)
		*out = res;
	else
		ttrpc_result_fini(&res);
	return ret < 0 ? -1 : 0;
}

int control_do(const struct lc_container *c, const char *method, const ProtobufCMessage *msg,
	       const ProtobufCMessageDescriptor *resp, struct ttrpc_result *out, struct err *e)
{
	int sock = control_connect(c, e);

	return sock < 0 ? -1 : control_call(sock, method, msg, resp, NULL, 0, out, e);
}
