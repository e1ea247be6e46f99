/* SPDX-License-Identifier: Apache-2.0
 * test/guest/net_listen.c - who may bind and listen beside whom: a server that closes its listener and opens it again
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

static struct sockaddr_in here;

static int bound(int reuse)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(here);

	CHECK(fd >= 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) == 0);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here))) {
		close(fd);
		return -1;
	}
	CHECK(getsockname(fd, (struct sockaddr *)&here, &len) == 0);
	return fd;
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&here, sizeof(here)) == 0);
	return fd;
}

/* Connections of the old listener, accepted or not, do not keep the next from listening. */
static void again(void)
{
	int l = bound(1), c1, c2, a, b;

	CHECK(l >= 0 && listen(l, 5) == 0);
	c1 = dial();
	c2 = dial();
	a = accept(l, NULL, NULL);
	CHECK(a >= 0);
	CHECK(close(l) == 0);
	l = bound(1);
	CHECK(l >= 0 && listen(l, 5) == 0);
	b = dial();
	close(b);
	close(a);
	close(c1);
	close(c2);
	close(l);
	l = bound(1); /* the ends that closed first are in TIME_WAIT now */
	CHECK(l >= 0 && listen(l, 5) == 0);
	close(l);
}

/* Two may hold the port, one may listen; a listener keeps all others from binding. */
static void one_listens(void)
{
	int a, b;

	here.sin_port = 0;
	a = bound(1);
	b = bound(1);
	CHECK(a >= 0 && b >= 0);
	CHECK(listen(a, 1) == 0);
	CHECK_ERRNO(listen(b, 1), EADDRINUSE);
	CHECK(bound(1) < 0 && errno == EADDRINUSE);
	close(a);
	close(b);
	here.sin_port = 0;
	a = bound(0);
	CHECK(bound(1) < 0 && errno == EADDRINUSE);
	close(a);
}

int main(void)
{
	here.sin_family = AF_INET;
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	again();
	one_listens();
	return 0;
}
