/* SPDX-License-Identifier: Apache-2.0
 * test/net/optdump.c - what every socket option of every socket type answers, one line each
 *
 * Prints, for each kind of socket, level and option number: the answer to getsockopt() of a fresh socket, and for a row of values and
 * lengths the answer of setsockopt() and what getsockopt() says then. Run natively and inside by test/e2e/net_opts.sh, the two
 * outputs must be the same but for the rows that it names.
 * usage: optdump [KIND-PREFIX [LEVEL [OPTION]]]
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct kind {
	const char *name;
	int family, type, proto;
	int few;	/* closing one takes milliseconds natively: fewer levels and values */
} kinds[] = {
	{ "tcp4", AF_INET, SOCK_STREAM, 0 },
	{ "tcp6", AF_INET6, SOCK_STREAM, 0 },
	{ "udp4", AF_INET, SOCK_DGRAM, 0 },
	{ "udp6", AF_INET6, SOCK_DGRAM, 0 },
	{ "ping4", AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
	{ "ping6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 },
	{ "rawicmp4", AF_INET, SOCK_RAW, IPPROTO_ICMP },
	{ "rawudp4", AF_INET, SOCK_RAW, IPPROTO_UDP },
	{ "rawraw4", AF_INET, SOCK_RAW, IPPROTO_RAW },
	{ "rawicmp6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 },
	{ "rawudp6", AF_INET6, SOCK_RAW, IPPROTO_UDP },
	{ "packetraw", AF_PACKET, SOCK_RAW, 0x0300, 1 },
	{ "packetdgram", AF_PACKET, SOCK_DGRAM, 0x0300, 1 },
	{ "unix", AF_UNIX, SOCK_STREAM, 0 },
	{ "unixdgram", AF_UNIX, SOCK_DGRAM, 0 },
	{ "netlink", AF_NETLINK, SOCK_RAW, 0 },
};

static const struct range {
	const char *name;
	int level, first, last;
} ranges[] = {
	{ "socket", SOL_SOCKET, 0, 84 }, { "ip", IPPROTO_IP, 0, 60 },	 { "ipv6", IPPROTO_IPV6, 0, 82 }, { "tcp", IPPROTO_TCP, 0, 46 },
	{ "udp", IPPROTO_UDP, 0, 12 },	 { "udp", IPPROTO_UDP, 100, 105 }, { "raw", 255, 0, 4 },		  { "icmpv6", 58, 0, 3 },
	{ "packet", 263, 0, 25 },	 { "netlink", 270, 0, 14 },	 { "none", 299, 0, 1 },
};

static const int values[] = { 0, 1, 2, 5, -1, -2, 64, 255, 256, 1280, 70000 };

static const char *err(int r)
{
	static char b[16];
	const char *n = r < 0 ? strerrorname_np(errno) : NULL;

	if (r >= 0)
		return "0";
	if (n)
		return n;
	snprintf(b, sizeof(b), "E%d", errno);
	return b;
}

/* Values that are addresses, counters or ids are not compared. */
static int moving(int level, int opt)
{
	return (level == SOL_SOCKET && (opt == 57 || opt == 55 || opt == 71 || opt == 34 || opt == 49)) || (level == IPPROTO_TCP && opt == 11);
}

static void get(const char *what, int fd, int level, int opt, socklen_t room)
{
	uint8_t buf[256];
	socklen_t len = room;
	int r;

	memset(buf, 0x5a, sizeof(buf));
	r = getsockopt(fd, level, opt, buf, &len);
	printf(" %s%u=%s", what, room, err(r));
	if (r)
		return;
	printf("/%u:", len);
	if (moving(level, opt)) {
		printf("*");
		return;
	}
	for (socklen_t i = 0; i < len && i < 16; i++)
		printf("%02x", buf[i]);
}

static int open_kind(const struct kind *k)
{
	int fd = socket(k->family, k->type, k->proto);

	if (fd < 0) {
		printf("%s: %s\n", k->name, err(fd));
		exit(1);
	}
	return fd;
}

static void one(const struct kind *k, const struct range *rg, int opt)
{
	static const int lens[] = { 0, 1, 2, 3, 8, 12, 16, 20, 64 };
	uint8_t zero[64] = { 0 };
	int fd = open_kind(k), r;

	printf("%s %s %d fresh", k->name, rg->name, opt);
	get("get", fd, rg->level, opt, 4);
	get("get", fd, rg->level, opt, 1);
	get("get", fd, rg->level, opt, 0);
	get("get", fd, rg->level, opt, 64);
	printf("\n");
	close(fd);
	for (unsigned i = 0; i < (k->few ? 3 : sizeof(values) / sizeof(*values)); i++) {
		fd = open_kind(k);
		r = setsockopt(fd, rg->level, opt, &values[i], sizeof(int));
		printf("%s %s %d set %d=%s", k->name, rg->name, opt, values[i], err(r));
		get("get", fd, rg->level, opt, 4);
		printf("\n");
		close(fd);
	}
	for (unsigned i = k->few ? 4 : 0; i < sizeof(lens) / sizeof(*lens); i++) {
		fd = open_kind(k);
		zero[0] = lens[i] < 8;
		r = setsockopt(fd, rg->level, opt, zero, (socklen_t)lens[i]);
		printf("%s %s %d setlen %d=%s", k->name, rg->name, opt, lens[i], err(r));
		get("get", fd, rg->level, opt, 64);
		printf("\n");
		close(fd);
	}
}

int main(int argc, char **argv)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (argc > 1 && strncmp(kinds[i].name, argv[1], strlen(argv[1])))
			continue;
		for (unsigned j = 0; j < sizeof(ranges) / sizeof(*ranges); j++) {
			if ((argc > 2 && strcmp(ranges[j].name, argv[2])) || (kinds[i].few && ranges[j].level != 263 && ranges[j].last > 1))
				continue;
			for (int o = ranges[j].first; o <= ranges[j].last; o++)
				if (argc < 4 || atoi(argv[3]) == o)
					one(&kinds[i], &ranges[j], o);
		}
	}
	return 0;
}
