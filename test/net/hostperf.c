/* SPDX-License-Identifier: Apache-2.0
 * test/net/hostperf.c - the host kernel's side of netperf: a sink on 9, a source on 19, and clients of both
 *
 * Usage:   hostperf serve | hostperf send HOST PORT SECONDS | hostperf recv HOST PORT SECONDS | hostperf rr HOST PORT SECONDS
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (128 << 10)

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, unsigned long n, double s)
{
	printf("%s %.2f Gbit/s (%lu bytes in %.2f s)\n", what, (double)n * 8 / s / 1e9, n, s);
	fflush(stdout);
}

static void drain(int fd, double secs)
{
	char *buf = malloc(CHUNK);
	double t = now_s();
	unsigned long n = 0;
	ssize_t r;

	while (now_s() - t < secs && (r = read(fd, buf, CHUNK)) > 0)
		n += (unsigned long)r;
	report("host received", n, now_s() - t);
	free(buf);
}

static void pump(int fd, double secs)
{
	char *buf = calloc(1, CHUNK);
	double t = now_s();
	unsigned long n = 0;
	ssize_t r;

	while (now_s() - t < secs && (r = write(fd, buf, CHUNK)) > 0)
		n += (unsigned long)r;
	if (secs < 1000)
		report("host sent", n, now_s() - t);
	free(buf);
}

static void set_cc(int fd)
{
	const char *cc = getenv("HOSTPERF_CC");

	if (cc && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, (socklen_t)strlen(cc)))
		perror(cc);
}

static void *serve(void *arg)
{
	int port = (int)(long)arg, one = 1, s = socket(AF_INET6, SOCK_STREAM, 0), c;
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port) };

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	set_cc(s);
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 10))
		perror("listen");
	while ((c = accept(s, NULL, NULL)) >= 0) {
		if (fork() == 0) {
			if (port == 9)
				drain(c, 3600);
			else
				pump(c, 3600);
			_exit(0);
		}
		close(c);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct addrinfo *ai, hint = { .ai_socktype = SOCK_STREAM };
	pthread_t th;
	int fd, one = 1;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	if (argc == 2) {
		pthread_create(&th, NULL, serve, (void *)9L);
		serve((void *)19L);
		return 0;
	}
	if (argc != 5 || getaddrinfo(argv[2], argv[3], &hint, &ai))
		return 2;
	fd = socket(ai->ai_family, SOCK_STREAM, 0);
	set_cc(fd);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen)) {
		perror("connect");
		return 1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (argv[1][0] == 's') {
		pump(fd, atof(argv[4]));
	} else if (!strcmp(argv[1], "rr")) {
		double t = now_s();
		long n = 0;
		char b[64] = { 0 };

		for (; now_s() - t < atof(argv[4]); n++)
			if (write(fd, b, 64) != 64 || read(fd, b, 64) <= 0)
				break;
		printf("host rr %.2f us\n", (now_s() - t) * 1e6 / (double)n);
	} else {
		drain(fd, atof(argv[4]));
	}
	return 0;
}
