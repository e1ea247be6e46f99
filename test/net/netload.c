/* SPDX-License-Identifier: Apache-2.0
 * test/net/netload.c - load for the network's figures and floods: questions and answers, idle connections, raw floods
 *
 * Usage:   netload serve PORT                        one-byte answers, one thread a connection
 *          netload rr HOST PORT SECONDS              one byte there and back; prints the median batch's nanoseconds
 *          netload hold PORT                         accepts and keeps; prints "N" whenever it holds a multiple of 1,000
 *          netload idle HOST PORT COUNT              that many connections; prints "ready", ends with its input
 *          netload syn IF MAC HOST PORT SECONDS      SYNs from invented addresses, as fast as they go; prints how many
 *          netload garbage IF MAC HOST SECONDS       frames of every kind that say nonsense, addressed to MAC and HOST
 *
 * Model:   one program, statically linked, which runs on the host, under any runtime and natively alike. Floods write whole
 *          Ethernet frames to an AF_PACKET socket of the namespace they run in.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "netload: %s: %s\n", what, strerror(errno));
		exit(2);
	}
}

static struct sockaddr_in addr_of(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	must(inet_pton(AF_INET, host, &a.sin_addr) == 1, host);
	return a;
}

static int listen_on(const char *port)
{
	struct sockaddr_in a = addr_of("0.0.0.0", port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
	must(listen(fd, 1024) == 0, "listen");
	return fd;
}

/* A server that has just been started gets a while to come up. */
static int connect_to(const char *host, const char *port)
{
	struct sockaddr_in a = addr_of(host, port);
	uint64_t end = now() + 10000000000u;
	int fd, one = 1;

	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		must(fd >= 0, "socket");
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			break;
		must(errno == ECONNREFUSED && now() < end, "connect");
		close(fd);
		usleep(20000);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* ---- questions and answers ------------------------------------------------------------------------------------ */

static void *answer(void *arg)
{
	int fd = (int)(intptr_t)arg, one = 1;
	char b[256];
	ssize_t n;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while ((n = recv(fd, b, sizeof(b), 0)) > 0 && send(fd, b, (size_t)n, MSG_NOSIGNAL) == n)
		;
	close(fd);
	return NULL;
}

static int serve(char **v)
{
	int l = listen_on(v[0]), fd;
	pthread_t t;

	while ((fd = accept(l, NULL, NULL)) >= 0)
		if (pthread_create(&t, NULL, answer, (void *)(intptr_t)fd) == 0)
			pthread_detach(t);
	must(0, "accept");
	return 2;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define RR_BATCH 50
#define RR_MAX	 20000

static int rr(char **v)
{
	int fd = connect_to(v[0], v[1]);
	uint64_t start = now(), end = start + (uint64_t)(atof(v[2]) * 1e9);
	static double batch[RR_MAX];
	unsigned n = 0;
	char c = 'x';

	while (n < RR_MAX && (now() < end || !n)) {
		uint64_t t = now();

		for (int i = 0; i < RR_BATCH; i++) {
			must(send(fd, &c, 1, MSG_NOSIGNAL) == 1, "send");
			must(recv(fd, &c, 1, 0) == 1, "recv");
		}
		batch[n++] = (double)(now() - t) / RR_BATCH;
	}
	qsort(batch, n, sizeof(batch[0]), by_size);
	printf("%.0f\n", batch[n / 2]);
	return 0;
}

/* ---- idle connections -------------------------------------------------------------------------------------------- */

static void many_files(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static int hold(char **v)
{
	int l = listen_on(v[0]);
	unsigned long n = 0;

	many_files();
	while (accept(l, NULL, NULL) >= 0)
		if (++n % 1000 == 0) {
			printf("%lu\n", n);
			fflush(stdout);
		}
	must(0, "accept");
	return 2;
}

static int idle(char **v)
{
	int n = atoi(v[2]);
	char c;

	many_files();
	for (int i = 0; i < n; i++)
		connect_to(v[0], v[1]);
	printf("ready\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}

/* ---- floods -------------------------------------------------------------------------------------------------------- */

struct flood {
	int fd;
	struct sockaddr_ll to;
	uint8_t dst[6];
	uint32_t ip;
	uint64_t end;
	unsigned long sent;
	uint64_t seed;
};

static uint32_t rnd(struct flood *f)
{
	f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(f->seed >> 32);
}

static void flood_open(struct flood *f, const char *dev, const char *mac, const char *host, const char *secs)
{
	unsigned m[6];

	*f = (struct flood){ .seed = now(), .end = now() + (uint64_t)(atof(secs) * 1e9) };
	must(sscanf(mac, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) == 6, "MAC address");
	for (int i = 0; i < 6; i++)
		f->dst[i] = (uint8_t)m[i];
	must(inet_pton(AF_INET, host, &f->ip) == 1, host);
	f->fd = socket(AF_PACKET, SOCK_RAW, 0);
	must(f->fd >= 0, "packet socket");
	f->to = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(dev) };
	must(f->to.sll_ifindex != 0, dev);
	must(bind(f->fd, (struct sockaddr *)&f->to, sizeof(f->to)) == 0, "bind");
}

static void ether(struct flood *f, uint8_t *p, uint16_t type)
{
	uint32_t r = rnd(f);

	memcpy(p, f->dst, 6);
	p[6] = 0x02;
	p[7] = 0x66;
	memcpy(p + 8, &r, 4);
	p[12] = (uint8_t)(type >> 8);
	p[13] = (uint8_t)type;
}

static uint32_t sum16(const void *p, unsigned n, uint32_t s)
{
	const uint8_t *b = p;

	for (unsigned i = 0; i + 1 < n; i += 2)
		s += (uint32_t)(b[i] << 8 | b[i + 1]);
	if (n & 1)
		s += (uint32_t)b[n - 1] << 8;
	return s;
}

static void put_sum(uint8_t *at, uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	at[0] = (uint8_t)(~s >> 8);
	at[1] = (uint8_t)~s;
}

static void ip4(struct flood *f, uint8_t *p, unsigned total, uint8_t proto, uint32_t src)
{
	memset(p, 0, 20);
	p[0] = 0x45;
	p[2] = (uint8_t)(total >> 8);
	p[3] = (uint8_t)total;
	p[8] = 64;
	p[9] = proto;
	memcpy(p + 12, &src, 4);
	memcpy(p + 16, &f->ip, 4);
	put_sum(p + 10, sum16(p, 20, 0));
}

static int until_end(struct flood *f, unsigned (*make)(struct flood *f, uint8_t *p, const void *arg), const void *arg)
{
	static uint8_t frame[2048];

	while ((f->sent & 63) || now() < f->end) {
		unsigned n = make(f, frame, arg);

		if (send(f->fd, frame, n, MSG_DONTWAIT) < 0 && (errno == ENOBUFS || errno == EAGAIN))
			usleep(200);
		f->sent++;
	}
	printf("%lu\n", f->sent);
	return 0;
}

static unsigned make_syn(struct flood *f, uint8_t *p, const void *arg)
{
	uint8_t *ip = p + 14, *t = ip + 20;
	uint32_t r = rnd(f), src = htonl(0x0a000000u | (r & 0xffffff)), sum;
	uint16_t port = *(const uint16_t *)arg;

	ether(f, p, ETHERTYPE_IP);
	ip4(f, ip, 44, IPPROTO_TCP, src);
	memset(t, 0, 24);
	r = rnd(f);
	memcpy(t, &r, 2);
	t[2] = (uint8_t)(port >> 8);
	t[3] = (uint8_t)port;
	r = rnd(f);
	memcpy(t + 4, &r, 4);
	t[12] = 6 << 4;
	t[13] = 0x02;
	t[14] = 0xff;
	t[20] = 2; /* MSS 1460 */
	t[21] = 4;
	t[22] = 1460 >> 8;
	t[23] = 1460 & 255;
	sum = sum16(ip + 12, 8, IPPROTO_TCP + 24);
	put_sum(t + 16, sum16(t, 24, sum));
	return 14 + 44;
}

static int syn(char **v)
{
	uint16_t port = (uint16_t)atoi(v[3]);
	struct flood f;

	flood_open(&f, v[0], v[1], v[2], v[4]);
	return until_end(&f, make_syn, &port);
}

/* Noise with just enough sense to get past the first look: half of it has a right IPv4 header. */
static unsigned make_garbage(struct flood *f, uint8_t *p, const void *arg)
{
	static const uint16_t types[] = { ETHERTYPE_IP, ETHERTYPE_IP, ETHERTYPE_IPV6, ETHERTYPE_ARP, 0x88cc, 0x8100 };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 41, 47, 255 };
	unsigned n = 20 + rnd(f) % 1400, k;
	uint16_t type = types[rnd(f) % (sizeof(types) / sizeof(types[0]))];

	(void)arg;
	for (k = 0; k < n; k += 4) {
		uint32_t r = rnd(f);

		memcpy(p + 14 + k, &r, 4);
	}
	ether(f, p, type);
	if (type == ETHERTYPE_IP && (rnd(f) & 1))
		ip4(f, p + 14, n, protos[rnd(f) % sizeof(protos)], rnd(f));
	else if (type == ETHERTYPE_IPV6 && (rnd(f) & 1))
		p[14] = 0x60;
	return 14 + n;
}

static int garbage(char **v)
{
	struct flood f;

	flood_open(&f, v[0], v[1], v[2], v[3]);
	return until_end(&f, make_garbage, NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int nr_args;
		int (*run)(char **v);
	} verbs[] = {
		{ "serve", 1, serve }, { "rr", 3, rr }, { "hold", 1, hold }, { "idle", 3, idle }, { "syn", 5, syn },
		{ "garbage", 4, garbage },
	};

	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(argv[1], verbs[i].name) && argc - 2 == verbs[i].nr_args)
			return verbs[i].run(argv + 2);
	fprintf(stderr, "usage: see the head of test/net/netload.c\n");
	return 2;
}
