/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_forward.c - `runsc port-forward`: a port of the host connected to one inside
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#include "runsc/cmd.h"

struct forward_opts {
	const char *stream;
};

static const struct opt forward_options[] = {
	{ "stream", 0, OPT_STR, offsetof(struct forward_opts, stream), "AF_UNIX socket to connect to instead of listening" },
	OPT_END,
};

static int connect_unix(const char *path, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		err_set(e, ENAMETOOLONG, "%s: path is too long", path);
	else if (fd < 0 || (strcpy(sa.sun_path, path), connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0))
		err_sys(e, "connect to %s", path);
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int listen_local(unsigned port, struct err *e)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 16) == 0)
		return fd;
	err_sys(e, "listen on port %u", port);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* "8080:80", ":80" and "80" forward to port 80 inside. */
static int run_forward(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct forward_opts *opt = o;
	const char *colon = strchr(argv[1], ':');
	unsigned inner = (unsigned)atoi(colon ? colon + 1 : argv[1]), outer = colon ? (unsigned)atoi(argv[1]) : inner;
	struct lc_container *c;
	int fd, ret = 0;

	if (!inner || inner > 65535 || outer > 65535)
		return err_set(e, EINVAL, "port-forward: \"%s\" is no [local:]port", argv[1]);
	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	fd = opt->stream ? connect_unix(opt->stream, e) : listen_local(outer, e);
	if (fd >= 0 && opt->stream)
		ret = lc_port_forward(c, (uint16_t)inner, fd, e);
	while (fd >= 0 && !opt->stream && ret == 0) {
		int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (conn < 0)
			continue;
		ret = lc_port_forward(c, (uint16_t)inner, conn, e);
		close(conn);
	}
	if (fd >= 0)
		close(fd);
	lc_free(c);
	return fd < 0 ? -1 : ret;
}

const struct cmd cmd_port_forward = {
	.name = "port-forward", .usage = "[options] ID [LOCAL:]PORT", .help = "connect a port of the host to one inside",
	.opts = forward_options, .opts_size = sizeof(struct forward_opts), .min_args = 2, .max_args = 2, .run = run_forward,
};
