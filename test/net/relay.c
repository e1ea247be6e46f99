/* SPDX-License-Identifier: Apache-2.0
 * test/net/relay.c - a bad cable between two host interfaces
 *
 * Usage:   relay off IF          switches the offloads of an interface off
 *          relay IF1 IF2 LOSS DUP CORRUPT REORDER DELAY_MS [JITTER_MS] [MBIT]     (probabilities in percent)
 *
 * Model:   frames are read from one interface and written to the other after a delay; offload must be off at both
 *          senders, so that a frame is a frame and its checksum is real. One thread, poll,
 *          a time-ordered queue per direction. The generator is seeded: two runs see the same fate by position.
 */
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct frame {
	struct frame *next;
	uint64_t at;
	int out;
	unsigned len;
	uint8_t d[];
};

static struct frame *queue, *last;
static uint64_t rnd = 88172645463325252ull, busy[2];
static unsigned waiting;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static double chance(void)
{
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return (double)(rnd >> 11) / 9007199254740992.0 * 100;
}

static int open_if(const char *name)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(3), .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, buf = 16 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		perror(name);
		exit(1);
	}
	setsockopt(fd, SOL_PACKET, 23, &one, sizeof(one)); /* PACKET_IGNORE_OUTGOING */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buf, sizeof(buf));
	return fd;
}

static void put(const uint8_t *d, unsigned len, int out, uint64_t at)
{
	struct frame *f = malloc(sizeof(*f) + len), **pp = &queue;

	memcpy(f->d, d, len);
	f->len = len;
	f->out = out;
	f->at = at;
	waiting++;
	if (last && last->at <= at)
		pp = &last->next;
	while (*pp && (*pp)->at <= at)
		pp = &(*pp)->next;
	f->next = *pp;
	*pp = f;
	if (!f->next)
		last = f;
}

static int offload_off(const char *name)
{
	static const unsigned cmds[] = { ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), bad = 0;

	for (unsigned i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++) {
		struct ethtool_value v = { cmds[i], 0 };
		struct ifreq r = { .ifr_data = (void *)&v };

		strncpy(r.ifr_name, name, IFNAMSIZ - 1);
		bad |= ioctl(fd, SIOCETHTOOL, &r);
	}
	close(fd);
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	double loss, dup, corrupt, reorder, delay, jitter, mbit;
	static uint8_t b[70000];
	int fd[2];

	if (argc == 3 && !strcmp(argv[1], "off"))
		return offload_off(argv[2]);
	if (argc < 8)
		return 2;
	fd[0] = open_if(argv[1]);
	fd[1] = open_if(argv[2]);
	loss = atof(argv[3]);
	dup = atof(argv[4]);
	corrupt = atof(argv[5]);
	reorder = atof(argv[6]);
	delay = atof(argv[7]) * 1e6;
	jitter = argc > 8 ? atof(argv[8]) * 1e6 : 0;
	mbit = argc > 9 ? atof(argv[9]) : 0;
	for (;;) {
		struct pollfd p[2] = { { fd[0], POLLIN, 0 }, { fd[1], POLLIN, 0 } };
		struct timespec ts = { 0, 0 }, *tp = NULL;
		uint64_t now = now_ns();

		while (queue && queue->at <= now) {
			struct frame *f = queue;

			queue = f->next;
			if (!queue)
				last = NULL;
			if (send(fd[f->out], f->d, f->len, 0) < 0 && f->len > 9014)
				fprintf(stderr, "frame of %u bytes: switch offload off\n", f->len);
			waiting--;
			free(f);
		}
		if (queue) {
			uint64_t w = queue->at - now;

			ts.tv_sec = (time_t)(w / 1000000000ull);
			ts.tv_nsec = (long)(w % 1000000000ull);
			tp = &ts;
		}
		if (ppoll(p, 2, tp, NULL) <= 0)
			continue;
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			for (int k = 0; k < 64 && (n = recv(fd[i], b, sizeof(b), MSG_DONTWAIT)) > 0; k++) {
				uint64_t at = now_ns() + (uint64_t)delay;

				if (chance() < loss || waiting > 20000)
					continue;
				if (mbit > 0) {
					uint64_t start = busy[i] > now ? busy[i] : now;

					if (start - now > 50000000) /* a 50 ms buffer */
						continue;
					busy[i] = start + (uint64_t)((double)n * 8000 / mbit);
					at = busy[i] + (uint64_t)delay;
				}
				if (jitter > 0)
					at += (uint64_t)(chance() / 100 * jitter);
				if (chance() < reorder)
					at += (uint64_t)delay / 2 + 300000;
				if (chance() < dup)
					put(b, (unsigned)n, !i, at);
				if (chance() < corrupt && n > 20)
					b[14 + (unsigned)(chance() / 100 * (double)(n - 15))] ^= 1;
				put(b, (unsigned)n, !i, at);
			}
		}
	}
}
