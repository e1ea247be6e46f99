/* SPDX-License-Identifier: Apache-2.0
 * test/guest/net_fastopen.c - TCP fast open (RFC 7413): cookies, data in SYNs, the queue of a listener, what falls back to an
 * ordinary handshake; on the loopback of a network namespace of its own
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#ifndef TCP_FASTOPEN_KEY
#define TCP_FASTOPEN_KEY 33
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

#define PATIENCE 5000 /* ms */

static void file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void sysctl_put(const char *text)
{
	file_put("/proc/sys/net/ipv4/tcp_fastopen", text);
}

static void namespace_own(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int s;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		SKIP("no namespaces");
	file_put("/proc/self/uid_map", "0 0 1");
	s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(s >= 0);
	CHECK(ioctl(s, SIOCSIFFLAGS, &r) == 0);
	close(s);
}

/* A counter of /proc/net/netstat. */
static long counter(const char *name)
{
	static char names[8192], values[8192];
	FILE *f = fopen("/proc/thread-self/net/netstat", "r");
	char *sn, *sv, *n, *v;

	CHECK(f != NULL);
	while (fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		n = strtok_r(names, " \n", &sn);
		v = strtok_r(values, " \n", &sv);
		for (; n && v; n = strtok_r(NULL, " \n", &sn), v = strtok_r(NULL, " \n", &sv))
			if (!strcmp(n, name)) {
				fclose(f);
				return atol(v);
			}
	}
	fprintf(stderr, "no counter %s\n", name);
	exit(1);
}

static int listener(int family, int queue, struct sockaddr_storage *a, socklen_t *n)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;
	int l = socket(family, SOCK_STREAM, 0);

	CHECK(l >= 0);
	memset(a, 0, sizeof(*a));
	*n = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
	if (family == AF_INET)
		*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	else
		*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	CHECK(bind(l, (struct sockaddr *)a, *n) == 0);
	CHECK(listen(l, 16) == 0);
	CHECK(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)) == 0);
	CHECK(getsockname(l, (struct sockaddr *)a, n) == 0);
	return l;
}

static void option(int s, int name, int v)
{
	CHECK(setsockopt(s, IPPROTO_TCP, name, &v, sizeof(v)) == 0);
}

static bool ready(int s, short what, int ms)
{
	struct pollfd p = { .fd = s, .events = what };

	return poll(&p, 1, ms) == 1 && (p.revents & what);
}

static int accepted(int l)
{
	int s;

	CHECK(ready(l, POLLIN, PATIENCE));
	s = accept(l, NULL, NULL);
	CHECK(s >= 0);
	return s;
}

static bool syn_data(int s)
{
	struct tcp_info i;
	socklen_t n = sizeof(i);

	CHECK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &i, &n) == 0);
	return i.tcpi_options & 32; /* TCPI_OPT_SYN_DATA */
}

static void expect(int s, const char *text)
{
	char b[64];

	CHECK(ready(s, POLLIN, PATIENCE));
	CHECK(recv(s, b, sizeof(b), 0) == (ssize_t)strlen(text));
	CHECK(memcmp(b, text, strlen(text)) == 0);
}

/* One connection by sendto(); was the data in the SYN, on both sides? */
static bool one(int l, const struct sockaddr_storage *a, socklen_t n, int no_cookie)
{
	int c = socket(a->ss_family, SOCK_STREAM, 0), s;
	bool early;

	CHECK(c >= 0);
	if (no_cookie)
		option(c, TCP_FASTOPEN_NO_COOKIE, 1);
	CHECK(sendto(c, "early", 5, MSG_FASTOPEN, (struct sockaddr *)a, n) == 5);
	s = accepted(l);
	expect(s, "early");
	CHECK(send(s, "answer", 6, 0) == 6);
	expect(c, "answer");
	early = syn_data(c);
	CHECK(syn_data(s) == early);
	CHECK_ERRNO(sendto(c, "x", 1, MSG_FASTOPEN, (struct sockaddr *)a, n), EISCONN);
	CHECK(send(c, "more", 4, 0) == 4);
	expect(s, "more");
	close(c);
	CHECK(recv(s, &no_cookie, 1, 0) == 0);
	close(s);
	return early;
}

/* The first connection asks for a cookie, the next ones show it. */
static void cookies(int family)
{
	struct sockaddr_storage a;
	socklen_t n;
	int l = listener(family, 5, &a, &n);
	long active = counter("TCPFastOpenActive"), passive = counter("TCPFastOpenPassive"), asked = counter("TCPFastOpenCookieReqd");

	CHECK(!one(l, &a, n, 0));
	CHECK(counter("TCPFastOpenCookieReqd") == asked + 1);
	CHECK(one(l, &a, n, 0));
	CHECK(one(l, &a, n, 0));
	CHECK(counter("TCPFastOpenActive") == active + 2);
	CHECK(counter("TCPFastOpenPassive") == passive + 2);
	CHECK(counter("TCPFastOpenCookieReqd") == asked + 1);
	close(l);
}

/* More than a SYN holds, in one blocking call: the rest follows. */
static void long_write(void)
{
	static char out[300000], in[300000];
	struct sockaddr_storage a;
	socklen_t n;
	int l = listener(AF_INET, 5, &a, &n), c = socket(AF_INET, SOCK_STREAM, 0), st;
	size_t got = 0;
	pid_t pid;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 251);
	pid = fork();
	if (!pid) {
		int s = accepted(l);

		while (got < sizeof(in)) {
			ssize_t r = recv(s, in + got, sizeof(in) - got, 0);

			CHECK(r > 0);
			got += (size_t)r;
		}
		CHECK(memcmp(in, out, sizeof(in)) == 0 && syn_data(s));
		_exit(0);
	}
	CHECK(sendto(c, out, sizeof(out), MSG_FASTOPEN, (struct sockaddr *)&a, n) == sizeof(out));
	CHECK(syn_data(c));
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	close(c);
	close(l);
}

/* TCP_FASTOPEN_CONNECT: connect() returns at once, the first write connects. */
static void deferred(void)
{
	struct sockaddr_storage a;
	socklen_t n;
	int l = listener(AF_INET, 5, &a, &n), c = socket(AF_INET, SOCK_STREAM, 0), s;

	option(c, TCP_FASTOPEN_CONNECT, 1);
	CHECK(connect(c, (struct sockaddr *)&a, n) == 0);
	CHECK(!ready(l, POLLIN, 50));
	CHECK(ready(c, POLLOUT, 0));
	CHECK(fcntl(c, F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERRNO(connect(c, (struct sockaddr *)&a, n), EISCONN);
	CHECK(fcntl(c, F_SETFL, 0) == 0);
	CHECK(write(c, "first", 5) == 5);
	s = accepted(l);
	expect(s, "first");
	CHECK(syn_data(c) && syn_data(s));
	CHECK(write(c, "second", 6) == 6);
	expect(s, "second");
	CHECK_ERRNO(setsockopt(c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){ 1 }, sizeof(int)), EINVAL);
	close(c);
	close(s);
	/* never written to: there was no connection */
	c = socket(AF_INET, SOCK_STREAM, 0);
	option(c, TCP_FASTOPEN_CONNECT, 1);
	CHECK(connect(c, (struct sockaddr *)&a, n) == 0);
	close(c);
	CHECK(!ready(l, POLLIN, 50));
	close(l);
}

/* A listener's new key makes old cookies bad: the data goes after the handshake, which brings a good one. */
static void keys(void)
{
	uint8_t key[32], got[32];
	struct sockaddr_storage a;
	socklen_t n, kn = sizeof(got);
	int l = listener(AF_INET, 5, &a, &n);
	long fail = counter("TCPFastOpenPassiveFail"), active_fail = counter("TCPFastOpenActiveFail"), alt;

	memset(key, 'k', sizeof(key));
	CHECK_ERRNO(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 15), EINVAL);
	CHECK(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 16) == 0);
	CHECK(getsockopt(l, IPPROTO_TCP, TCP_FASTOPEN_KEY, got, &kn) == 0);
	CHECK(kn == 16 && memcmp(key, got, 16) == 0);
	CHECK(!one(l, &a, n, 0));
	CHECK(counter("TCPFastOpenPassiveFail") == fail + 1);
	CHECK(counter("TCPFastOpenActiveFail") == active_fail + 1);
	CHECK(one(l, &a, n, 0));
	/* the key before still counts, once: a cookie under the new one comes with the SYN-ACK */
	memset(key, 'n', 16);
	alt = counter("TCPFastOpenPassiveAltKey");
	CHECK(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 32) == 0);
	CHECK(one(l, &a, n, 0));
	CHECK(one(l, &a, n, 0));
	CHECK(counter("TCPFastOpenPassiveAltKey") == alt + 1);
	close(l);
}

/* The server's side off, by option or by sysctl: data follows the handshake. */
static void server_off(void)
{
	struct sockaddr_storage a;
	socklen_t n;
	int l = listener(AF_INET, 0, &a, &n);

	CHECK(!one(l, &a, n, 0));
	close(l);
	l = listener(AF_INET, 5, &a, &n);
	sysctl_put("1");
	CHECK(!one(l, &a, n, 0));
	sysctl_put("3");
	one(l, &a, n, 0); /* above the cookie was not under the stack's key */
	CHECK(one(l, &a, n, 0));
	close(l);
}

static void client_off(void)
{
	struct sockaddr_storage a;
	socklen_t n;
	int l = listener(AF_INET, 5, &a, &n), c = socket(AF_INET, SOCK_STREAM, 0);

	sysctl_put("2");
	CHECK_ERRNO(sendto(c, "early", 5, MSG_FASTOPEN, (struct sockaddr *)&a, n), EOPNOTSUPP);
	CHECK_ERRNO(setsockopt(c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){ 1 }, sizeof(int)), EOPNOTSUPP);
	sysctl_put("3");
	close(c);
	close(l);
}

/* Without cookies, if both sides say so. */
static void no_cookie(void)
{
	struct sockaddr_storage a;
	socklen_t n;
	int l = listener(AF_INET6, 5, &a, &n);

	CHECK(!one(l, &a, n, 1)); /* the listener wants one */
	option(l, TCP_FASTOPEN_NO_COOKIE, 1);
	CHECK(one(l, &a, n, 1));
	close(l);
}

/* Non-blocking: without a cookie nothing is taken, with one the SYN's share is. */
static void nonblocking(void)
{
	struct sockaddr_storage a;
	socklen_t n;
	int l = listener(AF_INET, 5, &a, &n), c, s;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a;

	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 8); /* no cookie from there */
	close(l);
	l = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(l, (struct sockaddr *)&a, n) == 0);
	option(l, TCP_FASTOPEN, 5);
	CHECK(listen(l, 5) == 0);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_ERRNO(sendto(c, "early", 5, MSG_FASTOPEN, (struct sockaddr *)&a, n), EINPROGRESS);
	CHECK(ready(c, POLLOUT, PATIENCE));
	CHECK(send(c, "late", 4, 0) == 4);
	s = accepted(l);
	expect(s, "late");
	CHECK(!syn_data(s));
	close(c);
	close(s);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(sendto(c, "early", 5, MSG_FASTOPEN, (struct sockaddr *)&a, n) == 5);
	s = accepted(l);
	expect(s, "early");
	CHECK(syn_data(s));
	close(c);
	close(s);
	/* nobody there: a blocking call says so, though its data went with the SYN */
	close(l);
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERRNO(sendto(c, "early", 5, MSG_FASTOPEN, (struct sockaddr *)&a, n), ECONNREFUSED);
	close(c);
}

static atomic_long written;

static void *write_all(void *arg)
{
	static const char text[1000];
	ssize_t n = send(*(int *)arg, text, sizeof(text), MSG_NOSIGNAL);

	if (n > 0)
		atomic_fetch_add(&written, n);
	return NULL;
}

static void *shut(void *arg)
{
	shutdown(*(int *)arg, SHUT_RDWR);
	return NULL;
}

/* Several threads at a socket whose SYN waits for a write: one of them sends it, the others come after. */
static void writers(void)
{
	struct sockaddr_storage a;
	socklen_t n;
	int l = listener(AF_INET, 16, &a, &n);

	for (int i = 0; i < 40; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0), s;
		pthread_t t[4];
		ssize_t r, got = 0;
		char b[4096];

		atomic_store(&written, 0);
		option(c, TCP_FASTOPEN_CONNECT, 1);
		CHECK(connect(c, (struct sockaddr *)&a, n) == 0);
		for (int k = 0; k < 4; k++)
			CHECK(pthread_create(&t[k], NULL, i % 2 && k == 2 ? shut : write_all, &c) == 0);
		for (int k = 0; k < 4; k++)
			pthread_join(t[k], NULL);
		close(c);
		if (i % 2) { /* ended at some time: perhaps before there was a connection */
			while (ready(l, POLLIN, 0))
				close(accepted(l));
			continue;
		}
		s = accepted(l);
		while ((r = recv(s, b, sizeof(b), 0)) > 0)
			got += r;
		CHECK(got >= 1000 && got == atomic_load(&written)); /* Linux may refuse those that come while the SYN is made */
		close(s);
	}
	close(l);
}

static void bad_calls(void)
{
	struct sockaddr_storage a;
	socklen_t n, in = sizeof(int);
	int l = listener(AF_INET, 7, &a, &n), c = socket(AF_INET, SOCK_STREAM, 0), v = 0;

	CHECK(getsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &v, &in) == 0 && v == 7);
	CHECK_ERRNO(setsockopt(c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){ 2 }, sizeof(int)), EINVAL);
	CHECK_ERRNO(setsockopt(c, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &(int){ 2 }, sizeof(int)), EINVAL);
	CHECK_ERRNO(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &(int){ -1 }, sizeof(int)), EINVAL);
	CHECK(connect(c, (struct sockaddr *)&a, n) == 0);
	CHECK_ERRNO(setsockopt(c, IPPROTO_TCP, TCP_FASTOPEN, &(int){ 1 }, sizeof(int)), EINVAL);
	CHECK_ERRNO(setsockopt(c, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &(int){ 1 }, sizeof(int)), EINVAL);
	close(c);
	close(l);
}

int main(void)
{
	if (geteuid())
		SKIP("needs root");
	namespace_own();
	sysctl_put("3");
	cookies(AF_INET);
	cookies(AF_INET6);
	long_write();
	deferred();
	no_cookie();
	keys();
	server_off();
	client_off();
	nonblocking();
	writers();
	bad_calls();
	return 0;
}
