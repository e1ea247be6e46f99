/* SPDX-License-Identifier: Apache-2.0
 * cni/resolver.c - Docker's name server at 127.0.0.11, as seen from the host's side of a container's namespace
 *
 * Model:   on user-defined networks dockerd opens sockets at 127.0.0.11 in the container's network namespace and has port 53 led to
 *          them by rules of that namespace. The Sentry's stack never sees those; but a datagram socket made here and
 *          connected to 127.0.0.11:53 goes through them, and is all that the Sentry needs to ask.
 *          Whether somebody answers there is found out by a connection.
 * Source:  observed with dockerd 20.10 and 28.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cni/netcfg.h"

#define RESOLVER_ADDR	 0x7f00000bu /* 127.0.0.11 */
#define RESOLVER_PORT	 53
#define RESOLVER_WAIT_MS 500

static const struct sockaddr_in resolver = { .sin_family = AF_INET, .sin_port = __builtin_bswap16(RESOLVER_PORT),
					     .sin_addr.s_addr = __builtin_bswap32(RESOLVER_ADDR) };

static bool somebody_listens(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;
	socklen_t len = sizeof(err);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	bool yes = false;

	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)&resolver, sizeof(resolver)) == 0)
		yes = true;
	else if (errno == EINPROGRESS && poll(&p, 1, RESOLVER_WAIT_MS) == 1)
		yes = getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0;
	close(fd);
	return yes;
}

int resolver_open(void)
{
	int fd;

	if (!somebody_listens())
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&resolver, sizeof(resolver)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}
