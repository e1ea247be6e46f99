/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp.h - TCP: state of a connection, and what its files offer each other
 *
 * Model:   the send queue is a list of ranges (struct tcp_seg), each a reference into a data buffer that the
 *          sender's copy filled; a transmitted packet is headers plus a reference to the same bytes. Ranges are
 *          split when windows or SACK blocks cut them, never copied. Amounts in flight are counted in packets of
 *          one MSS, as Linux does, so that congestion control reads like its RFCs.
 * Locks:   all of struct tcp_sock is guarded by sk.own but where noted.
 * Source:  RFC 9293 (base), 7323 (timestamps, scaling), 2018 and 2883 (SACK, DSACK), 6298 (RTO), 8985 (RACK-TLP),
 *          6937 (PRR), 5681 (Reno), 9438 (CUBIC), 9406 (HyStart++ ideas), 5682 (F-RTO), 4987 (SYN flood), 6528
 *          (ISN), 7413 (fast open), 5482 (user timeout), 5961 (blind attacks), 6191 (TIME_WAIT reuse).
 */
#ifndef SENTRY_NET_TCP_H
#define SENTRY_NET_TCP_H

#include "sentry/net/sock_internal.h"

#define TCP_MIN_MSS	    88u
#define TCP_DEFAULT_MSS	    536u
#define TCP_MAX_WSCALE	    14u
#define TCP_INIT_CWND	    10u
#define TCP_RTO_MIN	    (200 * NET_MSEC)
#define TCP_RTO_MAX	    (120 * NET_SEC)
#define TCP_RTO_INIT	    NET_SEC
#define TCP_DELACK_MIN	    (40 * NET_MSEC)
#define TCP_DELACK_MAX	    (200 * NET_MSEC)
#define TCP_TIMEWAIT_LEN    (60 * NET_SEC)
#define TCP_REORDERING	    3u
#define TCP_MAX_QUICKACKS   16u
#define TCP_PAWS_24DAYS	    (24ull * 86400 * NET_SEC)
#define TCP_SEG_OVERHEAD    256u /* what a queued range is charged beside its bytes */

static inline bool before(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }
static inline bool after(uint32_t a, uint32_t b) { return before(b, a); }
static inline bool between(uint32_t x, uint32_t lo, uint32_t hi) { return hi - lo >= x - lo; }

struct tcp_seg {
	struct list node;	/* in tp->sendq */
	uint32_t seq, len;	/* payload bytes */
	uint8_t flags;		/* TCP_FIN, TCP_PSH, TCP_URG */
	uint8_t mark;		/* SEG_* */
	uint16_t pcount;	/* packets of one MSS */
	uint32_t off;		/* into buf */
	struct pkt_buf *buf;	/* one reference; NULL without payload */
	uint64_t tx_ns;		/* last transmission */
	uint64_t first_ns, delivered_ns; /* rate sample, draft-cheng-iccrg-delivery-rate-estimation */
	uint32_t delivered;
};
#define SEG_SACKED  0x01
#define SEG_LOST    0x02
#define SEG_RETRANS 0x04	/* the retransmission is in flight */
#define SEG_EVER    0x08	/* was retransmitted at some time: no RTT sample (Karn) */

static inline uint32_t seg_end(const struct tcp_seg *s)
{
	return s->seq + s->len + ((s->flags & TCP_FIN) ? 1 : 0);
}

/* Parsed header of a packet, in its cb. */
struct tcp_cb {
	uint32_t seq, end_seq, ack;
	uint32_t tsval, tsecr;
	uint16_t wnd, urg_ptr;
	uint8_t flags, hdr_len, has_ts, sack_off, nr_sack;
	uint8_t wscale, sack_ok;	/* SYN only; wscale 255: none */
	uint16_t mss;
	uint8_t tfo_off, tfo_len;
};
#define TCP_CB(p) ((struct tcp_cb *)(p)->cb)
_Static_assert(sizeof(struct tcp_cb) <= 48, "fits the scratch area");

enum tcp_ca_state { TCP_CA_OPEN, TCP_CA_DISORDER, TCP_CA_CWR, TCP_CA_RECOVERY, TCP_CA_LOSS };

struct tcp_sock;
struct tcp_cong_ops {
	const char *name;
	void (*init)(struct tcp_sock *tp);
	uint32_t (*ssthresh)(struct tcp_sock *tp);	/* new slow start threshold after a loss, packets */
	void (*cong_avoid)(struct tcp_sock *tp, uint32_t acked); /* packets newly acknowledged, cwnd was used up */
	void (*acked)(struct tcp_sock *tp, uint32_t acked, uint64_t rtt_ns); /* optional */
	void (*loss)(struct tcp_sock *tp);		/* optional: entered TCP_CA_LOSS */
};
const struct tcp_cong_ops *tcp_cong_find(const char *name);
const char *tcp_cong_list(void);

struct tcp_rack { /* RFC 8985 section 5.2 */
	uint64_t xmit_ns, rtt_ns;
	uint32_t end_seq;
	uint32_t reo_wnd_mult, reo_wnd_persist, last_delivered;
	bool advanced, dsack_seen, reord;
};

enum tcp_rtx_kind { TCP_RTX_NONE, TCP_RTX_RTO, TCP_RTX_PROBE0, TCP_RTX_TLP, TCP_RTX_REO };

/* What a SYN or SYN-ACK says about fast open. */
#define TCP_FO_KEY_LEN	  16
#define TCP_FO_COOKIE_MIN 4	/* RFC 7413 section 4.1.1 */
#define TCP_FO_COOKIE_MAX 16
#define TCP_FO_COOKIE_LEN 8	/* of ours */
struct tcp_fo {
	bool opt;		/* the option goes out: empty asks for a cookie */
	bool data;		/* the SYN may carry data */
	uint16_t mss;		/* the peer's, as it was; 0 = unknown */
	uint8_t len, cookie[TCP_FO_COOKIE_MAX];
};
enum tcp_fo_fail { TCP_FO_UNSPEC, TCP_FO_NO_COOKIE, TCP_FO_NOT_ACKED, TCP_FO_RETRANSMITTED }; /* tcpi_fastopen_client_fail */
/* net.ipv4.tcp_fastopen */
#define TCP_FO_CLIENT	      0x1
#define TCP_FO_SERVER	      0x2
#define TCP_FO_CLIENT_NO_COOKIE 0x4
#define TCP_FO_SERVER_NO_COOKIE 0x200
#define TCP_FO_ALL_LISTENERS  0x400

struct tcp_sock {
	struct sock sk;
	/* ---- send side */
	uint32_t snd_una, snd_nxt, write_seq, snd_wnd, snd_wl1, max_window, iss, pushed_seq;
	uint32_t mss;		/* payload bytes per segment now */
	uint32_t peer_mss, user_mss, advmss, rcv_mss;
	struct list sendq;	/* of struct tcp_seg */
	struct tcp_seg *unsent;	/* first one not sent, NULL = all sent */
	struct pkt_buf *wbuf;	/* buffer that the next write may continue; one reference */
	uint32_t packets_out, sacked_out, lost_out, retrans_out;
	uint32_t gso_max;
	/* ---- congestion */
	uint32_t cwnd, ssthresh, cwnd_cnt, prior_cwnd, prior_ssthresh, cwnd_used, cwnd_stamp_seq, cwnd_clamp;
	bool cwnd_limited;
	uint8_t ca_state;	/* enum tcp_ca_state */
	uint32_t high_seq, undo_marker;
	int32_t undo_retrans;
	uint32_t prr_delivered, prr_out;
	bool frto;
	uint32_t reordering, dupacks, tlp_high_seq;
	uint32_t fack;		/* end of the highest range that was ever SACKed */
	bool tlp_retrans;
	const struct tcp_cong_ops *cong;
	uint64_t cong_priv[12];
	struct tcp_rack rack;
	uint32_t delivered, lost_total, total_retrans, app_limited;
	uint64_t delivered_ns, first_tx_ns, rate_bytes_per_s;
	uint64_t retrans_stamp_ns;	/* first retransmission of this recovery, 0 = none */
	/* ---- times */
	uint64_t srtt_ns, rttvar_ns, mdev_ns, mdev_max_ns, rto_ns, min_rtt_ns, min_rtt_at_ns;
	uint64_t sack_rtt_ns;	/* of the range SACKed last by the acknowledgement in work, 0 = none */
	uint32_t rtt_seq;
	uint8_t backoff, probes_out, syn_retries, retries;
	uint64_t rtx_at_ns, delack_at_ns, keep_at_ns, rto_base_ns;
	uint8_t rtx_kind;	/* enum tcp_rtx_kind */
	struct net_timer timer;
	uint64_t timer_armed_ns;/* deadline that the timer has, NET_NEVER = not armed */
	uint64_t last_rx_ns, last_tx_ns, last_ack_ns;
	/* ---- receive side */
	uint32_t rcv_nxt, rcv_wup, rcv_wnd, copied_seq, irs, window_clamp, rcv_ssthresh, rcv_tstamp;
	uint32_t urg_seq;
	bool urg_valid, urg_read;
	uint8_t urg_byte;
	struct pkt *ooo;	/* out of order, ascending seq, disjoint */
	struct pkt *ooo_tail;
	uint32_t ooo_bytes, ooo_nr;
	struct { uint32_t s, e; } sacks[4]; /* most recent first (RFC 2018 section 4) */
	uint8_t nr_sacks;
	bool dsack;
	uint32_t dsack_s, dsack_e;
	struct { uint32_t seq, space; uint64_t at_ns; } rcvq_space;
	uint64_t rcv_rtt_ns;
	uint32_t rcv_rtt_tsecr;
	/* ---- acknowledgements */
	bool ack_now, ack_sched, pingpong;
	uint8_t quick;
	uint64_t ato_ns;
	/* ---- options agreed */
	bool ts_ok, sack_ok, wscale_ok, ecn_ok;
	uint8_t snd_wscale, rcv_wscale;
	uint32_t ts_recent, ts_off;
	uint64_t ts_recent_ns;
	/* ---- settings */
	bool nodelay, cork, quickack_off, inq_on, saw_fin;
	/* fast open, here because each send looks at them */
	bool fo_deferred;	/* connect() is over, the SYN waits for the first write */
	bool fo_child;		/* made by a SYN with data: reads and writes in SYN_RECV too */
	uint32_t defer_accept, user_timeout_ms, notsent_lowat, keep_idle_s, keep_intvl_s;
	uint8_t keep_cnt, syncnt;
	int32_t linger2;
	uint32_t window_clamp_user;
	uint64_t challenge_ns;
	uint32_t challenge_cnt;
	/* ---- listening */
	struct list listen_node;
	struct list acceptq;	/* of struct tcp_sock.accept_node, sk.mu */
	uint32_t acceptq_len, backlog; /* sk.mu */
	_Atomic uint32_t synq_len;
	_Atomic uint64_t synq_overflow_ns;
	struct list accept_node;
	struct sock *parent;	/* while in its accept queue: borrowed */
	/* ---- fast open (RFC 7413): tcp_fastopen.c */
	bool fo_connect, fo_no_cookie; /* TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE */
	bool fo_asked;		/* our SYN had the option or data */
	bool fo_acked;		/* data of a SYN was taken: TCPI_OPT_SYN_DATA */
	uint8_t fo_fail;	/* enum tcp_fo_fail */
	uint8_t fo_nr_keys, fo_keys[2 * TCP_FO_KEY_LEN]; /* TCP_FASTOPEN_KEY of a listener */
	uint32_t fo_syn_len;	/* bytes of the first unsent range that our SYN carries, until it is answered */
	uint32_t fo_max;	/* listener: TCP_FASTOPEN, 0 = off */
	uint32_t fo_pending;	/* listener: children whose handshake goes on, sk.mu */
	uint32_t fo_reset;	/* listener: those that a reset ended since fo_reset_ns, sk.mu */
	uint64_t fo_reset_ns;	/* sk.mu */
	struct sock *fo_parent;	/* reference to the listener that counts us in fo_pending */
	/* ---- facts for TCP_INFO */
	uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retrans;
	uint32_t segs_in, segs_out, data_segs_in, data_segs_out, dsack_dups, reord_seen;
	uint64_t sockbuf_limited_ns;
	bool orphan_counted;
};

static inline struct tcp_sock *tcp_sk(struct sock *sk) { return (struct tcp_sock *)sk; }

/* A handshake in progress on a listener (SYN received, SYN-ACK sent). */
struct tcp_req {
	struct skc c;
	struct mutex mu;	/* leaf: one packet at a time */
	struct sock *listener;	/* reference */
	uint32_t rcv_isn, snt_isn, ts_recent, ts_off, rcv_wnd, mark;
	uint16_t mss, peer_wnd;
	uint8_t snd_wscale, rcv_wscale, retries, tos;
	bool ts_ok, sack_ok, wscale_ok, ecn_ok, acked_deferred, dead;
	uint64_t sent_ns;
	struct net_timer timer;
};

struct tcp_tw {
	struct skc c;
	struct mutex mu;
	uint32_t rcv_nxt, snd_nxt, rcv_wnd, ts_recent, ts_off, mark;
	uint64_t ts_recent_ns;
	uint8_t rcv_wscale, tos;
	bool ts_ok;
	struct net_timer timer;
};

/* ---- tcp_sock.c */
void tcp_sock_init(struct sock *sk);
void tcp_set_state(struct tcp_sock *tp, enum tcp_state st);
void tcp_done(struct tcp_sock *tp);		/* connection is over: tables, timers, events */
void tcp_reset(struct tcp_sock *tp, int err);	/* the peer (or a timer) ended it */
void tcp_abort(struct tcp_sock *tp, int err);	/* we end it: RST */
struct list *tcp_listen_node(struct sock *sk);
struct sock *tcp_from_listen_node(struct list *e);
int tcp_orphan_shutdown(struct tcp_sock *tp);
/* connect() in two steps: route, ports and numbers (0: in SYN_SENT, or the error); the SYN, with what @fo allows. */
int tcp_connect_start(struct sock *sk, const struct net_ep *ep);
void tcp_connect_go(struct tcp_sock *tp, const struct tcp_fo *fo);
/* ---- tcp_mini.c */
void tcp_mini_free(struct skc *c);
void tcp_mini_kill(struct skc *c);		/* out of the tables, timer off */
bool tcp_tw_may_reuse(struct skc *tw, struct skc *c);
void tcp_time_wait(struct tcp_sock *tp);
void tcp_tw_rx(struct tcp_tw *tw, struct pkt *p);
/* ---- tcp_listen.c */
int tcp_listen(struct sock *sk, int backlog);
int tcp_accept(struct sock *sk, struct sock **out);
void tcp_listen_rx(struct sock *sk, struct pkt *p);
void tcp_req_rx(struct tcp_req *r, struct pkt *p);
void tcp_req_free(struct tcp_req *r);
void tcp_listen_stop(struct tcp_sock *tp);
/* A full endpoint in SYN_RECV for @r, in the tables (instead of @r when @in_table), its own held by us; NULL: could not be made. */
struct tcp_sock *tcp_child_make(struct tcp_req *r, bool in_table);
bool tcp_child_enqueue(struct tcp_sock *l, struct tcp_sock *child); /* false: the listener is closing or full */
void tcp_child_drop(struct tcp_sock *child); /* made, but in no queue; releases own */
/* ---- tcp_fastopen.c */
void tcp_fo_lookup(struct tcp_sock *tp, struct tcp_fo *out);
void tcp_fo_answered(struct tcp_sock *tp, const struct pkt *p); /* the SYN-ACK to a SYN with the option or data */
bool tcp_fo_rx_syn(struct tcp_req *r, struct pkt *p, struct tcp_fo *out); /* true: @p became a connection */
void tcp_fo_settled(struct tcp_sock *tp, bool reset); /* the handshake of a child is over */
/* ---- tcp_cookie.c */
uint32_t tcp_cookie_make(struct net_ns *ns, const struct pkt *p, uint16_t *mss);
bool tcp_cookie_check(struct net_ns *ns, const struct pkt *p, uint16_t *mss);
uint32_t tcp_cookie_ts(const struct tcp_req *r, uint32_t ts);
void tcp_cookie_ts_decode(uint32_t tsecr, struct tcp_req *r);
uint32_t tcp_isn(struct net_ns *ns, const struct skc *c);
uint32_t tcp_ts_off(struct net_ns *ns, const struct skc *c);
/* ---- tcp_hdr.c */
enum drop tcp_parse(struct pkt *p);		/* fills TCP_CB(p); data stays at the TCP header */
struct tcp_opts {
	uint16_t mss;
	uint8_t wscale;		/* 255: none */
	bool sack_ok, ts;
	uint32_t tsval, tsecr;
	unsigned nr_sacks;
	struct { uint32_t s, e; } sacks[4];
	const struct tcp_fo *fo; /* SYN only; NULL: no option */
};
/* Appends a header to the empty packet @p and prepends nothing. Returns its length. */
uint32_t tcp_put_header(struct pkt *p, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags,
			uint16_t wnd, uint16_t urg, const struct tcp_opts *o);
void tcp_send_reset(struct net_ns *ns, struct pkt *p); /* answers a segment nobody wants; p stays the caller's */
/* A bare ACK or SYN-ACK without a full endpoint. */
void tcp_send_mini(const struct skc *c, uint32_t seq, uint32_t ack, uint8_t flags, uint16_t wnd,
		   const struct tcp_opts *o, uint8_t tos, uint32_t mark);
static inline uint32_t tcp_ts_now(struct net_ns *ns, uint32_t off)
{
	return (uint32_t)(net_now(ns->stack) / NET_MSEC) + off;
}
/* ---- tcp_output.c */
void tcp_push(struct tcp_sock *tp, bool force);	/* sends what may be sent */
void tcp_send_ack(struct tcp_sock *tp);
void tcp_send_syn(struct tcp_sock *tp, const struct tcp_fo *fo); /* NULL: a plain one */
void tcp_send_synack(struct tcp_sock *tp, const struct tcp_fo *fo);
void tcp_send_fin(struct tcp_sock *tp);
void tcp_send_rst(struct tcp_sock *tp);
void tcp_send_probe(struct tcp_sock *tp, bool urgent);
int tcp_retransmit_seg(struct tcp_sock *tp, struct tcp_seg *s, uint32_t max_packets);
void tcp_retransmit_lost(struct tcp_sock *tp);
bool tcp_send_tlp(struct tcp_sock *tp);
struct tcp_seg *tcp_seg_split(struct tcp_sock *tp, struct tcp_seg *s, uint32_t len); /* NULL: no memory */
void tcp_seg_free(struct tcp_sock *tp, struct tcp_seg *s);
uint16_t tcp_select_window(struct tcp_sock *tp);
uint32_t tcp_compute_window(struct tcp_sock *tp);
void tcp_sync_mss(struct tcp_sock *tp, uint32_t pmtu);
uint32_t tcp_size_goal(struct tcp_sock *tp);
int tcp_get_dst(struct tcp_sock *tp, struct dst **out);
void tcp_sendq_purge(struct tcp_sock *tp);
static inline uint32_t tcp_in_flight(const struct tcp_sock *tp)
{
	return tp->packets_out - tp->sacked_out - tp->lost_out + tp->retrans_out;
}
static inline struct tcp_seg *tcp_sendq_head(struct tcp_sock *tp)
{
	return list_empty(&tp->sendq) ? NULL : list_first(&tp->sendq, struct tcp_seg, node);
}
static inline struct tcp_seg *tcp_rtx_head(struct tcp_sock *tp)
{
	struct tcp_seg *s = tcp_sendq_head(tp);

	return s == tp->unsent ? NULL : s;
}
/* ---- tcp_send.c, tcp_recv.c */
long tcp_sendmsg(struct sock *sk, struct net_iter *it, struct net_msg *m);
long tcp_recvmsg(struct sock *sk, struct net_iter *it, struct net_msg *m);
void tcp_rcv_space_adjust(struct tcp_sock *tp);
void tcp_cleanup_rbuf(struct tcp_sock *tp, uint32_t copied);
bool tcp_write_space(struct tcp_sock *tp);
/* ---- tcp_input.c, tcp_data.c */
void tcp_rx_established(struct tcp_sock *tp, struct pkt *p);
void tcp_rcv(struct sock *sk, struct pkt *p);
void tcp_data_queue(struct tcp_sock *tp, struct pkt *p); /* takes over @p, data at payload */
void tcp_fin(struct tcp_sock *tp);
void tcp_ack_check(struct tcp_sock *tp);
void tcp_enter_quickack(struct tcp_sock *tp, unsigned n);
void tcp_init_rcv(struct tcp_sock *tp, uint32_t mss);
void tcp_init_transfer(struct tcp_sock *tp);
void tcp_challenge_ack(struct tcp_sock *tp);
void tcp_ooo_purge(struct tcp_sock *tp);
uint32_t tcp_init_window(struct tcp_sock *tp, uint32_t mss, uint8_t *wscale);
/* ---- tcp_ack.c */
#define ACK_DATA_ACKED	 0x01
#define ACK_WIN_UPDATE	 0x02
#define ACK_DATA_SACKED	 0x04
#define ACK_ORIG	 0x08	/* something delivered that was never retransmitted */
#define ACK_RETRANS_DATA 0x10
#define ACK_DSACK	 0x20
#define ACK_SND_UNA	 0x40
#define ACK_REORDER	 0x80
/* 1 fine, 0 old, -1 invalid (nothing of the segment may be used) */
int tcp_ack(struct tcp_sock *tp, struct pkt *p, bool has_data);
void tcp_rtt_sample(struct tcp_sock *tp, uint64_t rtt_ns);
void tcp_rearm_rto(struct tcp_sock *tp);
void tcp_set_rto(struct tcp_sock *tp);
/* ---- tcp_recovery.c */
unsigned tcp_sacktag(struct tcp_sock *tp, struct pkt *p, uint32_t prior_una);
void tcp_rack_delivered(struct tcp_sock *tp, const struct tcp_seg *s, uint64_t now);
uint64_t tcp_rack_detect(struct tcp_sock *tp, uint64_t now); /* delay until the next look, 0 = none */
void tcp_recovery_step(struct tcp_sock *tp, unsigned flag, uint32_t prior_packets, uint32_t newly_acked,
		       uint32_t newly_lost_before, uint32_t ack);
void tcp_enter_loss(struct tcp_sock *tp);
void tcp_enter_cwr(struct tcp_sock *tp);
void tcp_mark_lost(struct tcp_sock *tp, struct tcp_seg *s);
/* ---- tcp_timer.c */
void tcp_timer_fn(struct net_timer *t);
void tcp_timer_sync(struct tcp_sock *tp);	/* after changing a deadline to an earlier one */
void tcp_timers_stop(struct tcp_sock *tp);
void tcp_rtx_arm(struct tcp_sock *tp, enum tcp_rtx_kind kind, uint64_t delay_ns);
void tcp_keepalive_arm(struct tcp_sock *tp);
bool tcp_schedule_tlp(struct tcp_sock *tp);
/* ---- tcp_sockopt.c */
int tcp_setopt(struct sock *sk, int level, int name, const void *val, uint32_t len, uint32_t caps);
int tcp_getopt(struct sock *sk, int level, int name, void *val, uint32_t *len);

#endif
