/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/bh.h - "bottom half" sections: where packets are moved, and when memory may go
 *
 * Model:   every entry into the stack opens a section. Links that deliver to this machine itself (loopback,
 *          veth, bridge) do not call input from output, which would nest without bound; they queue the
 *          packets on the running thread, and bh_run() works them off: before an endpoint lets go of
 *          its ownership (so that segments of one connection keep their order) and when the section ends.
 *          What leaves by a NIC collects in the link, and goes to the driver when the section ends (link_nic.c).
 *          Objects that packets point at without a reference (links, filters) are freed by net_rcu_free(): not
 *          before every section that was open at that time has ended.
 * Locks:   none held between sections; everything here is per thread but the list of deferred frees.
 */
#ifndef SENTRY_NET_BH_H
#define SENTRY_NET_BH_H

#include "sentry/net/pkt.h"

struct net_stack;

#define BH_MAX_TX 8

struct bh_ctx {
	uint32_t depth;
	bool draining;
	bool registered;
	uint32_t drained;	   /* packets in this outermost section */
	struct pkt_list rxq;	   /* packets with p->link set, to be received */
	struct net_link *tx[BH_MAX_TX]; /* to be flushed when the section ends; referenced */
	unsigned nr_tx;
	_Atomic uint64_t seq;	   /* odd inside a section */
	struct bh_ctx *next;	   /* all threads, registry lock */
};
extern __thread struct bh_ctx bh_self;

void bh_enter_slow(struct bh_ctx *b);
void bh_leave_slow(struct bh_ctx *b);

static inline void bh_enter(void)
{
	struct bh_ctx *b = &bh_self;

	if (b->depth++ == 0)
		bh_enter_slow(b);
}
static inline void bh_leave(void)
{
	struct bh_ctx *b = &bh_self;

	if (b->depth == 1)
		bh_leave_slow(b);
	b->depth--;
}
/* Works off what is queued; does nothing when called from work that is itself being worked off. */
void bh_run(void);
/* Has @link receive @l soon, on this thread. Takes over @l; drops over the namespace's backlog limit. */
void bh_queue_rx(struct net_link *link, struct pkt_list *l);
/* Has @link's ops->flush called when the section ends. False: the caller has to do it now. */
bool bh_flush_later(struct net_link *link);

struct net_rcu {
	struct net_rcu *next;
	void (*fn)(struct net_rcu *r);
};
void net_rcu_free(struct net_stack *st, struct net_rcu *r, void (*fn)(struct net_rcu *r));
void net_rcu_poll(struct net_stack *st);    /* frees what may go; cheap when nothing waits */
void net_rcu_barrier(struct net_stack *st); /* waits until all deferred frees ran; not inside a section */

#endif
