/* SPDX-License-Identifier: Apache-2.0
 * test/guest/net_reuse.c - thousands of short connections to one address, closed by the client: ports in TIME_WAIT are taken again
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define CLIENTS	    4
#define CONNECTIONS 300
#define ROUNDS	    3

static struct sockaddr_in addr;

static void *client(void *arg)
{
	char c = 0;

	for (int i = 0; i < CONNECTIONS * ROUNDS; i++) {
		int s;

		if (i && i % CONNECTIONS == 0)
			usleep(1200000); /* a TIME_WAIT is taken over once its clock has moved on by a second (RFC 6191) */
		s = socket(AF_INET, SOCK_STREAM, 0);

		CHECK(s >= 0);
		CHECK(connect(s, (struct sockaddr *)&addr, sizeof(addr)) == 0);
		CHECK(write(s, "q", 1) == 1);
		CHECK(read(s, &c, 1) == 1 && c == 'a');
		CHECK(close(s) == 0);
	}
	return NULL;
}

int main(void)
{
	int l = socket(AF_INET, SOCK_STREAM, 0), s;
	socklen_t n = sizeof(addr);
	pthread_t t[CLIENTS];
	char c;

	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (l < 0 || bind(l, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		SKIP("no loopback");
	CHECK(listen(l, 128) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&addr, &n) == 0);
	for (int i = 0; i < CLIENTS; i++)
		CHECK(pthread_create(&t[i], NULL, client, NULL) == 0);
	for (int i = 0; i < CLIENTS * CONNECTIONS * ROUNDS; i++) {
		s = accept(l, NULL, NULL);
		CHECK(s >= 0);
		CHECK(read(s, &c, 1) == 1 && c == 'q');
		CHECK(write(s, "a", 1) == 1);
		CHECK(read(s, &c, 1) == 0); /* the client closes first: TIME_WAIT is on its side */
		close(s);
	}
	for (int i = 0; i < CLIENTS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	return 0;
}
