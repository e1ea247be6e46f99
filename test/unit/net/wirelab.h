/* SPDX-License-Identifier: Apache-2.0
 * test/unit/net/wirelab.h - two hosts, a bad cable, and a clock that only moves when told
 *
 * Model:   two namespaces, each with one Ethernet NIC; frames are flattened to bytes, so that every checksum and
 *          header is real; the cable loses, doubles, delays, reorders and corrupts by a seeded generator. Nothing
 *          sleeps: lab_step() jumps to the next timer or arrival.
 */
#ifndef TEST_WIRELAB_H
#define TEST_WIRELAB_H

#include "sentry/net/sock.h"

struct impair {
	double loss, dup, corrupt, reorder;	/* probabilities */
	uint64_t delay_ns, jitter_ns;
	uint64_t rate_bps;			/* bytes per second, 0 = no limit */
	uint32_t queue_pkts;			/* with rate: packets that may wait, 0 = no limit */
};

struct lab {
	struct net_stack st;
	uint64_t now, rnd;
	struct net_ns *ns[2];
	struct net_link *nic[2];
	struct impair imp[2];	/* by direction: sender */
	struct frame *queue;
	uint64_t free_at[2];
	uint32_t waiting[2];
	uint64_t nr_sent[2], nr_lost[2];
	/* Sees every frame that a host sends; false: swallow it. */
	bool (*snoop)(struct lab *l, int from, uint8_t *frame, uint32_t len);
};

void lab_init(struct lab *l, uint64_t seed, uint32_t mtu, uint32_t features);
void lab_fini(struct lab *l);
/* One event: false when nothing is pending or the next one lies behind @until. */
bool lab_step(struct lab *l, uint64_t until);
void lab_run(struct lab *l, uint64_t ns); /* everything of the next @ns nanoseconds */
struct net_ep lab_ep(const char *addr, uint16_t port);
/* A connected pair over the cable: @c on host 0, @s on host 1. */
void lab_tcp_pair(struct lab *l, struct sock **c, struct sock **s, bool v6, uint16_t port);
long lab_write(struct sock *sk, const void *p, size_t n);
long lab_read(struct sock *sk, void *p, size_t n);
/* Moves @total patterned bytes from @a to @b, checks each; limit in simulated time. True: all arrived intact. */
bool lab_transfer(struct lab *l, struct sock *a, struct sock *b, uint64_t total, uint64_t limit_ns);
void lab_inject(struct lab *l, int to, const void *frame, uint32_t len);

#endif
