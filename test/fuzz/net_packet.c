/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/net_packet.c - frames against a live namespace: listener, established connection, UDP, raw, multicast
 *
 * Model:   the input is a list of records: a length byte pair, a mode byte, then bytes. Modes send the bytes as they
 *          are, or fix up what random bytes never get right (addresses, ports, sequence numbers, checksums), so that
 *          the fuzzer reaches reassembly, options, SACK and the states of TCP. Between records time moves on.
 *          Built by test/fuzz/build with libFuzzer, ASan and UBSan.
 */
#include <stdlib.h>

#include "test/unit/net/wirelab.h"

#include "sentry/abi/inet.h"
#include "sentry/net/core/csum.h"
#include "sentry/net/tcp/tcp.h"

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 1 }, mac_b[6] = { 2, 0, 0, 0, 0, 2 };

static bool swallow(struct lab *l, int from, uint8_t *f, uint32_t len)
{
	(void)l;
	(void)f;
	(void)len;
	return from == 0; /* what host 1 answers goes nowhere: host 0 is the fuzzer */
}

static void eth(uint8_t *f, uint16_t type)
{
	memcpy(f, mac_b, 6);
	memcpy(f + 6, mac_a, 6);
	wr16(f + 12, type);
}

static void fix_ip4(uint8_t *ip, uint32_t len)
{
	ip[0] = (uint8_t)(0x40 | MAX(ip[0] & 15, 5));
	if ((ip[0] & 15u) * 4u > len)
		ip[0] = 0x45;
	wr16(ip + 2, (uint16_t)len);
	wr32(ip + 12, 0x0a000001);
	wr32(ip + 16, 0x0a000002);
	ip4_set_csum(ip);
}

static void fix_tcp(struct tcp_sock *tp, uint8_t *ip, uint32_t len, bool seqs)
{
	uint32_t hl = (ip[0] & 15u) * 4u;
	uint8_t *t = ip + hl;
	struct naddr s = naddr_from_v4(net_htonl(0x0a000001)), d = naddr_from_v4(net_htonl(0x0a000002));
	uint16_t c;

	if (len < hl + 20)
		return;
	ip[9] = 6;
	ip[6] = ip[7] = 0;
	ip4_set_csum(ip);
	if (seqs && tp->sk.c.state != TCPS_CLOSE) {
		wr16(t, tp->sk.c.rport);
		wr16(t + 2, tp->sk.c.lport);
		wr32(t + 4, tp->rcv_nxt + (int8_t)t[4] * 16);
		wr32(t + 8, tp->snd_una + t[8] * 64u);
	} else {
		wr16(t + 2, 80);
	}
	memset(t + 16, 0, 2);
	c = (uint16_t)~csum_fold(csum_add_bytes(t, len - hl, csum_pseudo(&s, &d, 6, len - hl)));
	memcpy(t + 16, &c, 2);
}

static void one(struct lab *l, struct tcp_sock *tp, uint8_t mode, const uint8_t *p, uint32_t n)
{
	static uint8_t f[2048];

	memset(f, 0, sizeof(f));
	switch (mode & 7) {
	case 0:
		memcpy(f, p, n);
		lab_inject(l, 1, f, n);
		return;
	case 1: /* IPv4, header made right */
	case 2: /* TCP to the listener */
	case 3: /* TCP in the connection */
	case 4:
		eth(f, ETH_P_IP);
		memcpy(f + 14, p, n);
		n = MAX(n, 40u);
		fix_ip4(f + 14, n);
		if ((mode & 7) >= 2)
			fix_tcp(tp, f + 14, n, (mode & 7) >= 3);
		break;
	case 5: /* IPv6 */
		eth(f, ETH_P_IPV6);
		memcpy(f + 14, p, n);
		n = MAX(n, 40u);
		f[14] = 0x60;
		wr16(f + 18, (uint16_t)(n - 40));
		memset(f + 22, 0, 32);
		f[22] = f[38] = 0xfd;
		f[37] = 1;
		f[53] = 2;
		break;
	case 6: /* ICMP with a right checksum */
		eth(f, ETH_P_IP);
		memcpy(f + 14, p, n);
		n = MAX(n, 36u);
		f[14] = 0x45;
		f[23] = 1;
		f[20] = f[21] = 0;
		fix_ip4(f + 14, n);
		{
			uint16_t c;

			memset(f + 36, 0, 2);
			c = (uint16_t)~csum_fold(csum_add_bytes(f + 34, n - 20, 0));
			memcpy(f + 36, &c, 2);
		}
		break;
	case 7:
		eth(f, ETH_P_ARP);
		memcpy(f + 14, p, n);
		f[15] = 1;
		wr16(f + 16, ETH_P_IP);
		f[18] = 6;
		f[19] = 4;
		n = MAX(n, 28u);
		break;
	}
	lab_inject(l, 1, f, n + 14);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_ep any = lab_ep("0.0.0.0", 80), udp = lab_ep("0.0.0.0", 53);
	struct sock *c, *s, *ls, *us, *rs, *acc, *early = NULL;
	char buf[4096];
	struct lab l;
	int one_ = 1;

	lab_init(&l, 5, 1500, 0);
	lab_tcp_pair(&l, &c, &s, false, 7000);
	BUG_ON(sock_create(l.ns[1], NET_AF_INET, NET_SOCK_STREAM, 0, &ls));
	/* data in SYNs without a cookie, so that endpoints in SYN_RECV are reached too */
	net_sysctl_write(l.ns[1], "ipv4/tcp_fastopen", "0x203", 5);
	BUG_ON(sock_setopt(ls, LINUX_SOL_TCP, LINUX_TCP_FASTOPEN, &one_, 4, 0));
	BUG_ON(sock_bind(ls, &any, NET_CAP_BIND) || sock_listen(ls, 4));
	BUG_ON(sock_create(l.ns[1], NET_AF_INET, NET_SOCK_DGRAM, 0, &us));
	BUG_ON(sock_bind(us, &udp, NET_CAP_BIND));
	sock_setopt(us, 0, 11, &one_, 4, 0);
	BUG_ON(sock_create(l.ns[1], NET_AF_INET, NET_SOCK_RAW, 1, &rs));
	net_sysctl_write(l.ns[1], "ipv4/ip_forward", "1", 1);
	lab_write(s, buf, 3000);
	l.snoop = swallow;
	while (size >= 3) {
		uint32_t n = MIN((uint32_t)(data[0] | (data[1] & 3) << 8), (uint32_t)size - 3);

		one(&l, tcp_sk(early && (data[2] & 8) ? early : s), data[2], data + 3, n);
		if (!early && !sock_accept(ls, &early))
			lab_write(early, buf, 200);
		if (early && (data[2] & 0x30) == 0x30) {
			lab_read(early, buf, sizeof(buf));
			sock_close(early);
			early = NULL;
		}
		if (data[1] & 0x80)
			lab_run(&l, (data[1] & 0x40 ? 3000 : 30) * NET_MSEC);
		if (data[1] & 0x20)
			lab_read(s, buf, sizeof(buf));
		if (data[1] & 0x10)
			lab_write(s, buf, 2000);
		data += 3 + n;
		size -= 3 + n;
	}
	if (early)
		sock_close(early);
	while (!sock_accept(ls, &acc))
		sock_close(acc);
	lab_read(us, buf, sizeof(buf));
	lab_read(rs, buf, sizeof(buf));
	sock_close(us);
	sock_close(rs);
	sock_close(ls);
	sock_close(s);
	sock_close(c);
	lab_run(&l, 4000 * NET_SEC);
	lab_fini(&l);
	return 0;
}
