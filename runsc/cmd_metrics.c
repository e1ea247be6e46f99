/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_metrics.c - `runsc export-metrics`, `runsc metric-server`: figures for Prometheus
 *
 * Model:   the server answers one request after the other and closes; a scrape asks each running sandbox below --root anew, so it keeps
 *          nothing, and sandboxes need not know of it.
 * Trust:   clients are whoever reaches the address: a request is read up to a bound and with a time limit, and only its first line matters.
 * Source:  RFC 9112 as far as a scrape needs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fdpass.h"
#include "runsc/cmd.h"

#define DEFAULT_PREFIX	"runsc_"
#define REQUEST_MAX	8192
#define CLIENT_MS	5000 /* a client that neither asks nor reads */

struct metrics_opts {
	const char *prefix, *pid_file, *address;
};

#define O(m) offsetof(struct metrics_opts, m)
static const struct opt export_options[] = {
	{ "exporter-prefix", 0, OPT_STR, O(prefix), "begin of every name, default \"" DEFAULT_PREFIX "\"" },
	OPT_END,
};
static const struct opt server_options[] = {
	{ "exporter-prefix", 0, OPT_STR, O(prefix), "begin of every name, default \"" DEFAULT_PREFIX "\"" },
	{ "pid-file", 0, OPT_STR, O(pid_file), "file for the pid of the server" },
	{ "address", 0, OPT_STR, O(address), "HOST:PORT, :PORT or path of a socket; default the flag --metric-server" },
	{ "allow-unknown-root", 0, OPT_NOP_BOOL, 0, NULL },
	OPT_END,
};

static const char *prefix_of(const struct metrics_opts *o)
{
	return o->prefix ? o->prefix : DEFAULT_PREFIX;
}

static int run_export(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	struct buf b = { 0 };
	struct lc_container *c, *sandbox = NULL;
	int ret;

	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	ret = lc_load(f, lc_sandbox_id(c), &sandbox, e);
	if (ret == 0)
		ret = lc_metrics(sandbox, prefix_of(o), &b, e);
	if (ret == 0 && b.len)
		fwrite(b.data, 1, b.len, stdout);
	buf_fini(&b);
	lc_free(sandbox);
	lc_free(c);
	return ret;
}

/* ---- the server ------------------------------------------------------------------------------------------------- */

static int listen_unix(const char *path, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (fd < 0 || strlen(path) >= sizeof(sa.sun_path)) {
		err_set(e, EINVAL, "metric-server: %s: path is too long", path);
	} else {
		strcpy(sa.sun_path, path);
		unlink(path);
		if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && chmod(path, 0600) == 0 && listen(fd, 16) == 0)
			return fd;
		err_sys(e, "metric-server: listen on %s", path);
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* No resolver: addresses are numbers, "" and "localhost" are 127.0.0.1. */
static int listen_tcp(const char *address, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE }, *ai = NULL;
	const char *colon = strrchr(address, ':');
	char host[64];
	int fd = -1, one = 1;

	if (!colon || colon - address >= (int)sizeof(host))
		return err_set(e, EINVAL, "metric-server: address \"%s\": want HOST:PORT or /path", address);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	if (!host[0] || strcmp(host, "localhost") == 0)
		strcpy(host, "127.0.0.1");
	if (getaddrinfo(host, colon + 1, &hints, &ai) || !ai)
		return err_set(e, EINVAL, "metric-server: address \"%s\" is not HOST:PORT in numbers", address);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 16) < 0) {
		err_sys(e, "metric-server: listen on %s", address);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

static void answer(int fd, const char *status, const char *type, const char *text, size_t len)
{
	char head[256];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
			 status, type, len);

	if (write_full(fd, head, (size_t)n) == 0 && len)
		write_full(fd, text, len);
}

/* The request's path, or NULL. */
static char *read_request(int fd, char text[REQUEST_MAX])
{
	size_t n = 0;
	char *save = NULL, *method;

	while (n < REQUEST_MAX - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got = poll(&p, 1, CLIENT_MS) > 0 ? read(fd, text + n, REQUEST_MAX - 1 - n) : 0;

		if (got <= 0)
			return NULL;
		n += (size_t)got;
		text[n] = '\0';
		if (strstr(text, "\r\n\r\n") || strstr(text, "\n\n"))
			break;
	}
	method = strtok_r(text, " \r\n", &save);
	return method && strcmp(method, "GET") == 0 ? strtok_r(NULL, " ?\r\n", &save) : NULL;
}

static void serve_one(const struct lc_flags *f, const char *prefix, int fd)
{
	static const char index[] = "<html><body><a href=\"/metrics\">metrics</a></body></html>\n";
	const struct timeval limit = { .tv_sec = CLIENT_MS / 1000 };
	char text[REQUEST_MAX], pid[16], *path;
	struct err e = ERR_INIT;
	struct buf b = { 0 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	path = read_request(fd, text);
	if (!path) {
		answer(fd, "400 Bad Request", "text/plain", NULL, 0);
	} else if (strcmp(path, "/metrics") == 0) {
		if (lc_metrics_all(f, prefix, &b, &e) == 0)
			answer(fd, "200 OK", "text/plain; version=0.0.4; charset=utf-8", b.data, b.len);
		else
			answer(fd, "500 Internal Server Error", "text/plain", e.msg, strlen(e.msg));
	} else if (strcmp(path, "/runsc-metrics/healthcheck") == 0) {
		answer(fd, "200 OK", "text/plain", "runsc-metrics:OK\n", 17);
	} else if (strcmp(path, "/runsc-metrics/pid") == 0) {
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		answer(fd, "200 OK", "text/plain", pid, strlen(pid));
	} else if (strcmp(path, "/") == 0) {
		answer(fd, "200 OK", "text/html", index, sizeof(index) - 1);
	} else {
		answer(fd, "404 Not Found", "text/plain", NULL, 0);
	}
	buf_fini(&b);
}

static int write_pid(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd < 0 || dprintf(fd, "%d", (int)getpid()) < 0 ? err_sys(e, "write %s", path) : 0;
}

static int run_server(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct metrics_opts *opt = o;
	const char *address = opt->address ? opt->address : f->metric_server;
	AUTO_CLOSE int fd = -1;

	if (!address || !*address)
		return err_set(e, EINVAL, "metric-server: no address: runsc --metric-server=ADDRESS metric-server");
	signal(SIGPIPE, SIG_IGN);
	fd = address[0] == '/' ? listen_unix(address, e) : listen_tcp(address, e);
	if (fd < 0 || (opt->pid_file && write_pid(opt->pid_file, e) < 0))
		return -1;
	for (;;) {
		AUTO_CLOSE int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (client >= 0)
			serve_one(f, prefix_of(opt), client);
		else if (errno != EINTR && errno != ECONNABORTED)
			return err_sys(e, "metric-server: accept");
	}
}

const struct cmd cmd_export_metrics = {
	.name = "export-metrics", .usage = "[options] ID", .help = "print a sandbox's metrics for Prometheus", .opts = export_options,
	.opts_size = sizeof(struct metrics_opts), .min_args = 1, .max_args = 1, .run = run_export,
};

const struct cmd cmd_metric_server = {
	.name = "metric-server", .usage = "[options]", .help = "serve metrics of all sandboxes to Prometheus", .opts = server_options,
	.opts_size = sizeof(struct metrics_opts), .min_args = 0, .max_args = 0, .run = run_server,
};
