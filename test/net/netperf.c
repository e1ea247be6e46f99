/* SPDX-License-Identifier: Apache-2.0
 * test/net/netperf.c - the stack against itself (loopback) or against the host kernel (a veth of a test namespace)
 *
 * Usage:   netperf lo SECONDS                  two threads over the stack's loopback
 *          netperf lorr SECONDS                request/response over loopback
 *          netperf IF ADDR/LEN serve            echo on port 7, sink on 9, source on 19, HTTP on 80, until killed
 *          netperf IF ADDR/LEN send HOST PORT SECONDS    push to a sink of the host
 *          netperf IF ADDR/LEN recv HOST PORT SECONDS    pull from a source of the host
 *          netperf IF ADDR/LEN get HOST PORT             one HTTP request
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "nethost.h"

static struct net_stack st;
static struct net_ns *ns;

static double now_s(void)
{
	return (double)net_now(&st) / 1e9;
}

static void report(const char *what, uint64_t bytes, double secs)
{
	printf("%s %.2f Gbit/s (%lu bytes in %.2f s)\n", what, (double)bytes * 8 / secs / 1e9, bytes, secs);
	fflush(stdout);
}

#define CHUNK (128 << 10)

static uint64_t drain(struct bsock *b)
{
	char *buf = malloc(CHUNK);
	uint64_t total = 0;
	long n;

	while ((n = bsock_recv(b, buf, CHUNK)) > 0)
		total += (uint64_t)n;
	free(buf);
	return total;
}

static uint64_t pump(struct bsock *b, double secs)
{
	char *buf = calloc(1, CHUNK);
	double end = now_s() + secs;
	uint64_t total = 0;

	while (now_s() < end && bsock_send(b, buf, CHUNK) == CHUNK)
		total += CHUNK;
	free(buf);
	return total;
}

static struct bsock *listen_on(const char *addr, uint16_t port)
{
	struct net_ep ep = { .port = port };
	struct bsock *l = bsock_tcp(ns, strchr(addr, ':') ? NET_AF_INET6 : NET_AF_INET);

	BUG_ON(!naddr_parse(addr, &ep.addr));
	BUG_ON(sock_bind(l->sk, &ep, NET_CAP_BIND));
	BUG_ON(sock_listen(l->sk, 128));
	return l;
}

static void *sink_thread(void *arg)
{
	struct bsock *c = bsock_accept(arg);
	double t = now_s();
	uint64_t n = drain(c);

	report("received", n, now_s() - t);
	bsock_close(c);
	return NULL;
}

static void *echo_thread(void *arg)
{
	struct bsock *c = bsock_accept(arg);
	char buf[65536];
	long n;

	while ((n = bsock_recv(c, buf, sizeof(buf))) > 0)
		bsock_send(c, buf, (size_t)n);
	bsock_close(c);
	return NULL;
}

static void run_lo(double secs, bool rr)
{
	struct net_ep to = { .addr = naddr_from_v4(htonl(0x7f000001)), .port = 5001 };
	struct bsock *l = listen_on("127.0.0.1", 5001), *c = bsock_tcp(ns, NET_AF_INET);
	pthread_t th;
	int one = 1;

	pthread_create(&th, NULL, rr ? echo_thread : sink_thread, l);
	BUG_ON(bsock_connect(c, &to));
	sock_setopt(c->sk, 6, 1, &one, 4, 0);
	if (rr) {
		double end = now_s() + secs, t = now_s();
		uint64_t n = 0;
		char b[64] = { 0 };

		for (; now_s() < end; n++) {
			bsock_send(c, b, 64);
			bsock_recv(c, b, 64);
		}
		printf("rr %.2f us\n", (now_s() - t) * 1e6 / (double)n);
	} else {
		pump(c, secs);
	}
	bsock_close(c);
	pthread_join(th, NULL);
}

struct service {
	uint16_t port;
	void (*fn)(struct bsock *c);
	struct bsock *l;
};

static void do_echo(struct bsock *c)
{
	char *buf = malloc(CHUNK);
	long n;

	while ((n = bsock_recv(c, buf, CHUNK)) > 0)
		if (bsock_send(c, buf, (size_t)n) < 0)
			break;
	free(buf);
}

static void do_sink(struct bsock *c)
{
	double t = now_s();
	uint64_t n = drain(c);

	report("sink", n, now_s() - t);
}

static void do_source(struct bsock *c)
{
	pump(c, 3600);
}

static void do_http(struct bsock *c)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
	char buf[4096];

	if (bsock_recv(c, buf, sizeof(buf)) > 0)
		bsock_send(c, ok, sizeof(ok) - 1);
}

struct conn {
	struct bsock *c;
	void (*fn)(struct bsock *c);
};

static void *conn_thread(void *arg)
{
	struct conn *k = arg;

	k->fn(k->c);
	bsock_close(k->c);
	free(k);
	return NULL;
}

static void *service_thread(void *arg)
{
	struct service *s = arg;
	pthread_t th;

	for (;;) {
		struct conn *k = malloc(sizeof(*k));

		k->c = bsock_accept(s->l);
		k->fn = s->fn;
		pthread_create(&th, NULL, conn_thread, k);
		pthread_detach(th);
	}
	return NULL;
}

static void serve(bool v6)
{
	static struct service sv[] = { { 7, do_echo, NULL }, { 9, do_sink, NULL }, { 19, do_source, NULL }, { 80, do_http, NULL } };
	pthread_t th;

	for (unsigned i = 0; i < ARRAY_SIZE(sv); i++) {
		sv[i].l = listen_on(v6 ? "::" : "0.0.0.0", sv[i].port);
		pthread_create(&th, NULL, service_thread, &sv[i]);
	}
	puts("ready");
	fflush(stdout);
	pthread_join(th, NULL);
}

static struct bsock *dial(const char *host, const char *port)
{
	struct net_ep to = { .port = (uint16_t)atoi(port) };
	struct bsock *c;
	int ret;

	BUG_ON(!naddr_parse(host, &to.addr));
	c = bsock_tcp(ns, naddr_is_v4(&to.addr) ? NET_AF_INET : NET_AF_INET6);
	ret = bsock_connect(c, &to);
	if (ret) {
		fprintf(stderr, "connect: %d\n", ret);
		exit(1);
	}
	return c;
}

int main(int argc, char **argv)
{
	struct net_link *l;
	double t;

	nethost_start(&st);
	BUG_ON(net_ns_new(&st, &ns));
	BUG_ON(net_link_set_up(ns->lo, true));
	if (argc == 3) {
		run_lo(atof(argv[2]), !strcmp(argv[1], "lorr"));
		return 0;
	}
	if (argc < 4)
		return 2;
	l = nethost_nic(ns, argv[1], 0);
	nethost_addr(l, argv[2]);
	t = now_s();
	if (!strcmp(argv[3], "serve")) {
		serve(strchr(argv[2], ':'));
	} else if (!strcmp(argv[3], "send") && argc == 7) {
		struct bsock *c = dial(argv[4], argv[5]);
		uint64_t n = pump(c, atof(argv[6]));

		report("sent", n, now_s() - t);
		bsock_close(c);
	} else if (!strcmp(argv[3], "recv") && argc == 7) {
		struct bsock *c = dial(argv[4], argv[5]);
		char *buf = malloc(CHUNK);
		uint64_t n = 0;
		long r;

		while (now_s() - t < atof(argv[6]) && (r = bsock_recv(c, buf, CHUNK)) > 0)
			n += (uint64_t)r;
		report("received", n, now_s() - t);
		bsock_close(c);
	} else if (!strcmp(argv[3], "get") && argc == 6) {
		struct bsock *c = dial(argv[4], argv[5]);
		char buf[4096];
		long r;

		bsock_send(c, "GET / HTTP/1.0\r\n\r\n", 18);
		while ((r = bsock_recv(c, buf, sizeof(buf))) > 0)
			fwrite(buf, 1, (size_t)r, stdout);
		bsock_close(c);
	}
	usleep(300000);
	return 0;
}
