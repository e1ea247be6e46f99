/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/host.c - what the TCP/IP stack wants from the Sentry: time, one alarm, random numbers
 */
#include "base/hostcall.h"
#include "sentry/socket/inet/inet.h"

static struct net_stack stack;
static struct ktimer alarm_timer;

static void alarm_rang(struct ktimer *t)
{
	net_timers_run(&stack, UINT32_MAX);
}

static uint64_t host_now(void *ctx)
{
	return now_ns();
}

static uint64_t host_wall(void *ctx)
{
	return now_real_ns();
}

static void host_alarm(void *ctx, uint64_t deadline_ns)
{
	if (deadline_ns == NET_NEVER)
		ktimer_cancel(&alarm_timer);
	else
		ktimer_arm(&alarm_timer, deadline_ns);
}

static void host_random(void *ctx, void *buf, size_t len)
{
	BUG_ON(host_call(getrandom, buf, len, 0) != (long)len);
}

static const struct net_host_ops host_ops = {
	.now_ns = host_now,
	.wall_ns = host_wall,
	.set_alarm = host_alarm,
	.random = host_random,
};

long inet_stack_init(void)
{
	ktimer_init(&alarm_timer, alarm_rang);
	return net_stack_init(&stack, &host_ops, NULL);
}

struct net_ns *inet_ns_new(void)
{
	struct net_ns *ns;

	return net_ns_new(&stack, &ns) ? NULL : ns;
}

long inet_ns_loopback_up(struct net_ns *ns)
{
	struct net_ifaddr_param a4 = { .addr = naddr_from_v4(0x0100007f), .plen = 8, .scope = 254 /* RT_SCOPE_HOST */ };
	struct net_ifaddr_param a6 = { .plen = 128, .scope = 254 };
	long ret = net_link_set_up(ns->lo, true);

	a6.addr.b[15] = 1;
	a4.valid_lft_s = a4.preferred_lft_s = a6.valid_lft_s = a6.preferred_lft_s = UINT32_MAX;
	if (!ret)
		ret = net_addr_add(ns->lo, &a4);
	if (!ret || ret == -LINUX_EEXIST)
		ret = net_addr_add(ns->lo, &a6);
	return ret == -LINUX_EEXIST ? 0 : ret;
}
