/* SPDX-License-Identifier: Apache-2.0
 * test/guest/net_options.c - packet rings of all three versions with a filter, fanout, fast open, ping sockets, the error queue,
 * time stamps: in a network namespace of its own, on its loopback
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define BLOCK	  8192
#define FRAME	  2048
#define NR_BLOCKS 4
#define PATIENCE  20000 /* ms */
#define HEADERS	  (14 + 20 + 8)

static void file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void namespace_own(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int s;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		SKIP("no namespaces");
	file_put("/proc/self/uid_map", "0 0 1");
	file_put("/proc/self/setgroups", "deny");
	file_put("/proc/self/gid_map", "0 0 1");
	s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(s >= 0);
	CHECK(ioctl(s, SIOCSIFFLAGS, &r) == 0);
	close(s);
}

static int bound(int type, struct sockaddr_in *a)
{
	int s = socket(AF_INET, type, 0);
	socklen_t n = sizeof(*a);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(s >= 0);
	CHECK(bind(s, (struct sockaddr *)a, n) == 0);
	CHECK(getsockname(s, (struct sockaddr *)a, &n) == 0);
	return s;
}

static void send_udp(const struct sockaddr_in *to, const char *text)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(sendto(s, text, strlen(text), 0, (const struct sockaddr *)to, sizeof(*to)) == (ssize_t)strlen(text));
	close(s);
}

static void wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	CHECK(poll(&p, 1, PATIENCE) == 1);
	CHECK(p.revents & events);
}

/* ---- rings ---- */

/* Sees what comes in for one UDP port. */
static int packet_socket(uint16_t port)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 36),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = 4, .filter = f };
	int s = socket(AF_PACKET, SOCK_RAW, 0);

	CHECK(s >= 0);
	CHECK(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0);
	return s;
}

static void packet_bind(int s)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex("lo") };

	CHECK(bind(s, (struct sockaddr *)&ll, sizeof(ll)) == 0);
}

static void frame_check(const unsigned char *frame, unsigned len, unsigned snaplen, const char *text)
{
	CHECK(len == HEADERS + strlen(text) && snaplen == len);
	CHECK(frame[12] == 8 && frame[13] == 0);
	CHECK(memcmp(frame + HEADERS, text, strlen(text)) == 0);
}

static void ring_frame(int version, char *ring, const char *text)
{
	struct tpacket2_hdr *h2 = (void *)ring;
	struct tpacket_hdr *h1 = (void *)ring;

	if (version == TPACKET_V1) {
		CHECK(h1->tp_status & TP_STATUS_USER);
		frame_check((unsigned char *)ring + h1->tp_mac, h1->tp_len, h1->tp_snaplen, text);
		CHECK(h1->tp_sec > 0);
		h1->tp_status = TP_STATUS_KERNEL;
	} else {
		CHECK(h2->tp_status & TP_STATUS_USER);
		frame_check((unsigned char *)ring + h2->tp_mac, h2->tp_len, h2->tp_snaplen, text);
		CHECK(h2->tp_sec > 0);
		h2->tp_status = TP_STATUS_KERNEL;
	}
}

static void ring_block(char *ring, const char *text)
{
	struct tpacket_block_desc *b = (void *)ring;
	struct tpacket3_hdr *h = (void *)(ring + b->hdr.bh1.offset_to_first_pkt);

	CHECK(b->hdr.bh1.block_status & TP_STATUS_USER);
	CHECK(b->hdr.bh1.num_pkts == 1);
	frame_check((unsigned char *)h + h->tp_mac, h->tp_len, h->tp_snaplen, text);
	b->hdr.bh1.block_status = TP_STATUS_KERNEL;
}

static void ring(int version, const char *text)
{
	struct tpacket_req3 req = { BLOCK, NR_BLOCKS, FRAME, NR_BLOCKS * BLOCK / FRAME, .tp_retire_blk_tov = version == TPACKET_V3 ? 10 : 0 };
	socklen_t len = version == TPACKET_V3 ? sizeof(req) : sizeof(struct tpacket_req);
	struct tpacket_stats_v3 st = { 0 };
	struct sockaddr_in wanted, other;
	int u = bound(SOCK_DGRAM, &wanted), o = bound(SOCK_DGRAM, &other), s = packet_socket(ntohs(wanted.sin_port));
	socklen_t n = version == TPACKET_V3 ? sizeof(st) : sizeof(struct tpacket_stats);
	char *map;

	CHECK(setsockopt(s, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) == 0);
	CHECK(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &req, len) == 0);
	map = mmap(NULL, BLOCK * NR_BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0);
	CHECK(map != MAP_FAILED);
	packet_bind(s);
	send_udp(&other, "not for the ring");
	send_udp(&wanted, text);
	wait_for(s, POLLIN);
	if (version == TPACKET_V3)
		ring_block(map, text);
	else
		ring_frame(version, map, text);
	CHECK(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0);
	CHECK(st.tp_packets == 1 && st.tp_drops == 0);
	munmap(map, BLOCK * NR_BLOCKS);
	close(s);
	close(u);
	close(o);
}

/* Two sockets share what comes, in turn. */
static void fanout(void)
{
	struct sockaddr_in to;
	int u = bound(SOCK_DGRAM, &to), s[2], arg = 77 | PACKET_FANOUT_LB << 16;
	char b[128];

	for (int i = 0; i < 2; i++) {
		s[i] = packet_socket(ntohs(to.sin_port));
		packet_bind(s[i]);
		CHECK(setsockopt(s[i], SOL_PACKET, PACKET_FANOUT, &arg, sizeof(arg)) == 0);
	}
	for (int i = 0; i < 4; i++)
		send_udp(&to, "shared");
	for (int i = 0; i < 4; i++) {
		wait_for(s[i % 2], POLLIN);
		CHECK(recv(s[i % 2], b, sizeof(b), 0) == HEADERS + 6);
	}
	CHECK_ERRNO(recv(s[0], b, sizeof(b), MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(recv(s[1], b, sizeof(b), MSG_DONTWAIT), EAGAIN);
	close(s[0]);
	close(s[1]);
	close(u);
}

/* ---- fast open: one call connects and sends; whether the SYN carries the data is the stack's affair ---- */

static void fast_open(void)
{
	struct sockaddr_in a;
	int l = bound(SOCK_STREAM, &a), queue = 5;

	file_put("/proc/sys/net/ipv4/tcp_fastopen", "3");
	CHECK(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)) == 0);
	CHECK(listen(l, 5) == 0);
	for (int i = 0; i < 2; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0), s;
		char b[16];

		CHECK(sendto(c, "early", 5, MSG_FASTOPEN, (struct sockaddr *)&a, sizeof(a)) == 5);
		s = accept(l, NULL, NULL);
		CHECK(s >= 0);
		CHECK(recv(s, b, sizeof(b), 0) == 5 && memcmp(b, "early", 5) == 0);
		close(c);
		close(s);
	}
	close(l);
}

/* ---- datagrams ---- */

static void ping_socket(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct icmphdr h = { .type = ICMP_ECHO, .un.echo.sequence = htons(7) }, got;
	int s;

	file_put("/proc/sys/net/ipv4/ping_group_range", "0 0");
	s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	CHECK(s >= 0);
	CHECK(sendto(s, &h, sizeof(h), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(h));
	wait_for(s, POLLIN);
	CHECK(recv(s, &got, sizeof(got), 0) == sizeof(got));
	CHECK(got.type == ICMP_ECHOREPLY && got.un.echo.sequence == h.un.echo.sequence);
	close(s);
}

static void *cmsg_find(struct msghdr *m, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return CMSG_DATA(c);
	return NULL;
}

static void stamps_and_errors(void)
{
	struct sockaddr_in a, gone;
	int s = bound(SOCK_DGRAM, &a), g = bound(SOCK_DGRAM, &gone), on = 1;
	char b[64], ctl[256];
	struct iovec iov = { b, sizeof(b) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	const struct sock_extended_err *e;
	const struct timespec *ts;
	const int *ttl;

	CHECK(setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) == 0);
	CHECK(setsockopt(s, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)) == 0);
	CHECK(setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) == 0);
	send_udp(&a, "stamped");
	CHECK(recvmsg(s, &m, 0) == 7);
	ts = cmsg_find(&m, SOL_SOCKET, SCM_TIMESTAMPNS);
	ttl = cmsg_find(&m, IPPROTO_IP, IP_TTL);
	CHECK(ts && ts->tv_sec > 0 && ttl && *ttl == 64);

	close(g);
	CHECK(sendto(s, "nobody", 6, 0, (struct sockaddr *)&gone, sizeof(gone)) == 6);
	wait_for(s, POLLERR);
	m.msg_controllen = sizeof(ctl);
	CHECK(recvmsg(s, &m, MSG_ERRQUEUE) == 6);
	CHECK(m.msg_flags & MSG_ERRQUEUE);
	e = cmsg_find(&m, IPPROTO_IP, IP_RECVERR);
	CHECK(e && e->ee_errno == ECONNREFUSED && e->ee_origin == SO_EE_ORIGIN_ICMP && e->ee_type == ICMP_DEST_UNREACH);
	CHECK_ERRNO(recvmsg(s, &m, MSG_ERRQUEUE), EAGAIN);
	close(s);
}

/* ---- net.ipv4.ip_local_reserved_ports (Linux's ip-sysctl) ---- */

static const char *file_get(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	CHECK(fd >= 0 && n >= 0);
	close(fd);
	text[n] = 0;
	return text;
}

static void reserved_ports(void)
{
	static const char file[] = "/proc/sys/net/ipv4/ip_local_reserved_ports";
	static const char *const bad[] = { "70000", "5-3", "x", "7;8" };
	struct sockaddr_in a, b, to;
	int l = bound(SOCK_STREAM, &to), s, c, fd;
	socklen_t n = sizeof(a);

	CHECK(!strcmp(file_get(file), "\n"));
	file_put("/proc/sys/net/ipv4/ip_local_port_range", "40000 40009");
	file_put(file, "40000-40004,40009,40005-40007,80\n");
	CHECK(!strcmp(file_get(file), "80,40000-40007,40009\n"));
	s = bound(SOCK_DGRAM, &a);
	CHECK(ntohs(a.sin_port) == 40008);
	b = a;
	b.sin_port = 0;
	c = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_ERRNO(bind(c, (struct sockaddr *)&b, sizeof(b)), EADDRINUSE);
	b.sin_port = htons(40003); /* by name it can be had */
	CHECK(bind(c, (struct sockaddr *)&b, sizeof(b)) == 0);
	close(c);
	close(s);
	CHECK(listen(l, 5) == 0);
	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(s, (struct sockaddr *)&to, sizeof(to)) == 0 && getsockname(s, (struct sockaddr *)&a, &n) == 0);
	CHECK(ntohs(a.sin_port) == 40008);
	close(s);
	close(l);
	fd = open(file, O_WRONLY);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERRNO(write(fd, bad[i], strlen(bad[i])), EINVAL);
	close(fd);
	CHECK(!strcmp(file_get(file), "80,40000-40007,40009\n"));
	file_put(file, "\n");
	CHECK(!strcmp(file_get(file), "\n"));
	file_put("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999");
	CHECK(strstr(file_get("/proc/sys/net/ipv4/tcp_available_congestion_control"), "cubic"));
}

int main(void)
{
	namespace_own();
	reserved_ports();
	ring(TPACKET_V1, "one");
	ring(TPACKET_V2, "the second");
	ring(TPACKET_V3, "version three");
	fanout();
	fast_open();
	ping_socket();
	stamps_and_errors();
	return 0;
}
