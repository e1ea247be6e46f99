/* SPDX-License-Identifier: Apache-2.0
 * test/unit/net/wirelab.c - see wirelab.h
 */
#include "wirelab.h"

#include <stdio.h>

struct frame {
	struct frame *next;
	uint64_t at;
	int to;
	uint32_t len;
	uint8_t data[];
};

static uint64_t fake_now(void *ctx)
{
	return ((struct lab *)ctx)->now;
}

static uint64_t fake_wall(void *ctx)
{
	return 1700000000ull * NET_SEC + ((struct lab *)ctx)->now;
}

static void fake_alarm(void *ctx, uint64_t at)
{
	(void)ctx;
	(void)at;
}

static uint64_t lab_random(struct lab *l)
{
	l->rnd ^= l->rnd << 13;
	l->rnd ^= l->rnd >> 7;
	l->rnd ^= l->rnd << 17;
	return l->rnd * 0x2545f4914f6cdd1dull;
}

static double chance(struct lab *l)
{
	return (double)(lab_random(l) >> 11) / 9007199254740992.0;
}

static void fake_random(void *ctx, void *buf, size_t n)
{
	uint8_t *b = buf;

	while (n--)
		*b++ = (uint8_t)(lab_random(ctx) >> 24);
}

static const struct net_host_ops fake_host = { fake_now, fake_wall, fake_alarm, fake_random };

static void enqueue(struct lab *l, int to, const uint8_t *data, uint32_t len, uint64_t at)
{
	struct frame *f = malloc(sizeof(*f) + len), **pp = &l->queue;

	f->at = at;
	f->to = to;
	f->len = len;
	memcpy(f->data, data, len);
	while (*pp && (*pp)->at <= at)
		pp = &(*pp)->next;
	f->next = *pp;
	*pp = f;
}

static void send_frame(struct lab *l, int from, uint8_t *d, uint32_t len)
{
	struct impair *im = &l->imp[from];
	uint64_t at = l->now + im->delay_ns;

	l->nr_sent[from]++;
	if (l->snoop && !l->snoop(l, from, d, len))
		return;
	if (chance(l) < im->loss) {
		l->nr_lost[from]++;
		return;
	}
	if (im->rate_bps) {
		uint64_t start = MAX(l->now, l->free_at[from]);

		if (im->queue_pkts && start - l->now > im->queue_pkts * 1500ull * NET_SEC / im->rate_bps) {
			l->nr_lost[from]++;
			return;
		}
		l->free_at[from] = start + (uint64_t)len * NET_SEC / im->rate_bps;
		at = l->free_at[from] + im->delay_ns;
	}
	if (im->jitter_ns)
		at += lab_random(l) % im->jitter_ns;
	if (chance(l) < im->reorder)
		at += im->delay_ns / 2 + 300000;
	if (chance(l) < im->dup)
		enqueue(l, !from, d, len, at + 1000);
	if (chance(l) < im->corrupt)
		d[14 + lab_random(l) % (len - 14)] ^= (uint8_t)(1u << (lab_random(l) & 7));
	enqueue(l, !from, d, len, at);
}

struct port {
	struct lab *l;
	int side;
};
static struct port ports[2];

static void cable_xmit(void *ctx, struct pkt_list *list)
{
	struct port *pt = ctx;
	struct pkt *p;

	while ((p = pkt_list_pop(list))) {
		uint8_t *d = malloc(p->len + 1);

		pkt_copy_bits(p, 0, d, p->len);
		send_frame(pt->l, pt->side, d, p->len);
		free(d);
		pkt_free(p);
	}
}

void lab_inject(struct lab *l, int to, const void *frame, uint32_t len)
{
	struct pkt *p = pkt_alloc(PKT_HEADROOM, len + 64);
	struct pkt_list q = { 0 };

	memcpy(pkt_put(p, len), frame, len);
	pkt_list_add(&q, p);
	net_link_rx(l->nic[to], &q);
}

static void add_addr(struct net_link *l, const char *a, uint8_t plen)
{
	struct net_ifaddr_param p = { .plen = plen, .flags = NET_IFA_F_NODAD };

	BUG_ON(!naddr_parse(a, &p.addr));
	BUG_ON(net_addr_add(l, &p));
}

void lab_init(struct lab *l, uint64_t seed, uint32_t mtu, uint32_t features)
{
	memset(l, 0, sizeof(*l));
	l->rnd = seed * 0x9e3779b97f4a7c15ull + 1;
	l->now = 1000 * NET_SEC;
	net_stack_init(&l->st, &fake_host, l);
	for (int i = 0; i < 2; i++) {
		uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)(i + 1) };
		struct net_link_param p = { .name = "eth0", .mtu = mtu, .mac = mac };
		struct net_nic_driver d = { .xmit = cable_xmit, .features = features, .ctx = &ports[i] };

		ports[i] = (struct port){ l, i };
		BUG_ON(net_ns_new(&l->st, &l->ns[i]));
		BUG_ON(net_link_set_up(l->ns[i]->lo, true));
		BUG_ON(net_link_new_nic(l->ns[i], &p, &d, &l->nic[i]));
		l->nic[i]->no_linklocal = true;
		BUG_ON(net_link_set_up(l->nic[i], true));
		add_addr(l->nic[i], i ? "10.0.0.2" : "10.0.0.1", 24);
		if (mtu >= 1280 || !mtu)
			add_addr(l->nic[i], i ? "fd00::2" : "fd00::1", 64);
	}
}

void lab_fini(struct lab *l)
{
	struct frame *f;

	for (int i = 0; i < 2; i++)
		net_ns_put(l->ns[i]);
	while ((f = l->queue)) {
		l->queue = f->next;
		free(f);
	}
	net_stack_fini(&l->st);
}

bool lab_step(struct lab *l, uint64_t until)
{
	uint64_t t = net_timers_next(&l->st), q = l->queue ? l->queue->at : NET_NEVER;
	struct frame *f;

	if (MIN(t, q) > until || MIN(t, q) == NET_NEVER)
		return false;
	if (q <= t) {
		f = l->queue;
		l->queue = f->next;
		l->now = MAX(l->now, f->at);
		lab_inject(l, f->to, f->data, f->len);
		free(f);
	} else {
		l->now = MAX(l->now, t);
		net_timers_run(&l->st, 64);
	}
	return true;
}

void lab_run(struct lab *l, uint64_t ns)
{
	uint64_t until = l->now + ns;

	while (lab_step(l, until))
		;
	l->now = until;
}

struct net_ep lab_ep(const char *addr, uint16_t port)
{
	struct net_ep e = { .port = port };

	BUG_ON(!naddr_parse(addr, &e.addr));
	return e;
}

void lab_tcp_pair(struct lab *l, struct sock **c, struct sock **s, bool v6, uint16_t port)
{
	int fam = v6 ? NET_AF_INET6 : NET_AF_INET;
	struct net_ep any = lab_ep(v6 ? "::" : "0.0.0.0", port), to = lab_ep(v6 ? "fd00::2" : "10.0.0.2", port);
	struct sock *ls;
	int ret = -1;

	BUG_ON(sock_create(l->ns[1], fam, NET_SOCK_STREAM, 0, &ls));
	BUG_ON(sock_bind(ls, &any, NET_CAP_BIND));
	BUG_ON(sock_listen(ls, 16));
	BUG_ON(sock_create(l->ns[0], fam, NET_SOCK_STREAM, 0, c));
	BUG_ON(sock_connect(*c, &to) != -LINUX_EINPROGRESS);
	for (int i = 0; i < 100000 && (ret = sock_accept(ls, s)) == -LINUX_EAGAIN; i++)
		if (!lab_step(l, l->now + 100 * NET_SEC))
			break;
	BUG_ON(ret);
	sock_close(ls);
}

long lab_write(struct sock *sk, const void *p, size_t n)
{
	struct net_iter_mem m;

	net_iter_read_mem(&m, p, n);
	return sock_send(sk, &m.it, NULL);
}

long lab_read(struct sock *sk, void *p, size_t n)
{
	struct net_iter_mem m;

	net_iter_write_mem(&m, p, n);
	return sock_recv(sk, &m.it, NULL);
}

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)((i * 0x9e3779b97f4a7c15ull) >> 56);
}

bool lab_transfer(struct lab *l, struct sock *a, struct sock *b, uint64_t total, uint64_t limit_ns)
{
	uint64_t sent = 0, got = 0, end = l->now + limit_ns;
	static uint8_t buf[131072];

	while (got < total) {
		bool moved = false;
		long n;

		while (sent < total) {
			size_t k = MIN(sizeof(buf) - lab_random(l) % 1000, (size_t)(total - sent));

			for (size_t i = 0; i < k; i++)
				buf[i] = pattern(sent + i);
			n = lab_write(a, buf, k);
			if (n <= 0) {
				if (n != -LINUX_EAGAIN) {
					fprintf(stderr, "send: %ld at %lu\n", n, sent);
					return false;
				}
				break;
			}
			sent += (uint64_t)n;
			moved = true;
		}
		while ((n = lab_read(b, buf, sizeof(buf) - lab_random(l) % 1000)) > 0) {
			for (long i = 0; i < n; i++)
				if (buf[i] != pattern(got + (uint64_t)i)) {
					fprintf(stderr, "byte %lu differs\n", got + (uint64_t)i);
					return false;
				}
			got += (uint64_t)n;
			moved = true;
		}
		if (n == 0 || (n < 0 && n != -LINUX_EAGAIN)) {
			fprintf(stderr, "recv: %ld at %lu\n", n, got);
			return false;
		}
		if (!moved && !lab_step(l, end)) {
			fprintf(stderr, "stalled: sent %lu got %lu of %lu\n", sent, got, total);
			return false;
		}
		if (moved)
			lab_step(l, end);
		if (l->now > end) {
			fprintf(stderr, "too slow: sent %lu got %lu of %lu\n", sent, got, total);
			return false;
		}
	}
	return true;
}
