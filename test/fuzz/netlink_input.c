/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/netlink_input.c - libFuzzer entry: netlink messages of a process that may do everything
 *
 * Model:   first byte: protocol; the rest is one send. The namespace is a real one of the stack, with links, so that messages
 *          that parse also act. What the family asks of the rest of the kernel (tasks, descriptors, sleeping) is answered here
 *          with "there is none". Answers are read back and checked: message lengths add up.
 */
#include <stdlib.h>

#include "sentry/net/sock.h"
#include "sentry/socket/netlink/netlink.h"
#include "sentry/socket/unix/unix.h"
#include "sentry/task/ns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the rest of the kernel ---------------------------------------------------------------------------------- */

struct user_ns init_user_ns;
bool cred_has_cap(const struct cred *c, const struct user_ns *ns, int cap) { return true; }
uint32_t id_from_kernel_munged(struct user_ns *ns, bool gid, uint32_t id) { return id; }
struct file *fdtable_file(struct fdtable *t, int fd, bool allow_path) { return NULL; }
void file_put(struct file *f) {}
const struct ns_ref *nsfs_ref(struct file *f) { return NULL; }
struct task *task_find(struct pid_ns *ns, uint32_t nr) { return NULL; }
void task_put(struct task *t) {}
struct nsproxy *task_nsproxy(struct task *t) { return NULL; }
void nsproxy_put(struct nsproxy *n) {}
struct net_ns_ref *net_ns_ref_get(struct net_ns_ref *n) { return n; }
void net_ns_ref_put(struct net_ns_ref *n) {}
struct pid_ns *task_pid_ns(struct task *t) { return NULL; }
uint32_t pid_nr(const struct pid *p, const struct pid_ns *ns) { return 7; }
void sleeplock_init(struct sleeplock *l) {}
long sleep_lock_killable(struct sleeplock *l) { return 0; }
void sleep_unlock(struct sleeplock *l) {}
void waitq_init(struct waitq *q) {}
void waitq_wake(struct waitq *q, uint32_t events, unsigned n) {}
void waitq_add(struct waitq *q, struct waiter *w) {}
void waitq_del(struct waitq *q, struct waiter *w) {}
void wait_begin(struct waiter *w) {}
void wait_prepare(void) {}
long wait_sleep(enum sleep_kind kind, uint64_t deadline_ns) { return -LINUX_EAGAIN; }
long uio_read(struct uio *io, void *dst, size_t len) { return -LINUX_EFAULT; }
long uio_write(struct uio *io, const void *src, size_t len) { return -LINUX_EFAULT; }
void socket_init(struct socket *s, const struct socket_ops *ops, struct net_ns_ref *net, int family, int type, int protocol) {}
void socket_fini(struct socket *s) {}
struct socket *socket_of(struct file *f) { return NULL; }
void socket_family_register(const struct socket_family *f) {}
void socket_sigio(struct socket *s, uint32_t poll_events) {}
long socket_take_error(struct socket *s) { return 0; }
long socket_filter_copyin(struct task *t, const void *val, size_t len, uint8_t **out_prog, unsigned *out_nr) { return -LINUX_EFAULT; }
uint64_t socket_deadline(uint64_t timeo_ns) { return NO_DEADLINE; }
long socket_wait_error(long ret, uint64_t timeo_ns) { return ret; }
bool sock_put_cmsg(struct sock_msg *m, int level, int type, const void *data, size_t len) { return false; }
int unix_each(const struct net_ns_ref *net, int (*fn)(const struct unix_info *i, void *arg), void *arg) { return 0; }

static uint64_t now = 1000000000;
static uint64_t host_now(void *ctx) { return now; }
static void host_alarm(void *ctx, uint64_t at) {}
static void host_random(void *ctx, void *buf, size_t n) { memset(buf, 0x5a, n); }
static const struct net_host_ops host = { host_now, host_now, host_alarm, host_random };

/* ---- the test ---------------------------------------------------------------------------------------------------- */

static void check_answers(struct nl_sock *nl)
{
	struct nl_msg *m;

	list_for_each_entry(m, &nl->rxq, node)
		for (size_t at = 0; at < m->len;) {
			struct linux_nlmsghdr h;

			if (m->len - at < sizeof(h))
				__builtin_trap();
			memcpy(&h, m->data + at, sizeof(h));
			if (h.len < sizeof(h) || h.len > m->len - at)
				__builtin_trap();
			at += LINUX_NL_ALIGN(h.len);
		}
}

static struct net_stack stack;
static struct net_ns_ref net;
static struct nl_sock nl;

static void start(void)
{
	struct net_link_param p = { .name = "d0" };
	struct net_ifaddr_param a = { .addr = naddr_from_v4(0x0100000a), .plen = 24, .valid_lft_s = UINT32_MAX,
				      .preferred_lft_s = UINT32_MAX };
	struct net_link *l;

	if (net_ns_new(&stack, &net.stack) || net_link_new_dummy(net.stack, &p, &l))
		abort();
	netlink_ns_init(net.stack);
	net_link_set_up(l, true);
	net_addr_add(l, &a);
}

/* Packets through what rules there are now: one out of the link, one over loopback. */
static void send_packets(void)
{
	const struct net_ep to[] = { { .addr = naddr_from_v4(0x0900000a), .port = 80 }, { .addr = naddr_from_v4(0x0100000a), .port = 53 } };
	static const int types[] = { NET_SOCK_DGRAM, NET_SOCK_STREAM };
	struct net_iter_mem it;
	struct sock *sk;

	net_link_set_up(net.stack->lo, true);
	for (unsigned i = 0; i < 4; i++) {
		if (sock_create(net.stack, NET_AF_INET, types[i / 2], 0, &sk))
			continue;
		sock_connect(sk, &to[i % 2]);
		net_iter_read_mem(&it, "hello", 5);
		sock_send(sk, &it.it, NULL);
		sock_close(sk);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int protos[] = { LINUX_NETLINK_ROUTE, LINUX_NETLINK_SOCK_DIAG, LINUX_NETLINK_GENERIC,
				      LINUX_NETLINK_NETFILTER };
	static struct cred cred;
	static struct task task;
	static bool ready;

	if (size < 1)
		return 0;
	if (!ready) {
		if (net_stack_init(&stack, &host, NULL))
			abort();
		netlink_init();
		ready = true;
	}
	start();
	nl = (struct nl_sock){ .portid = 7, .groups = UINT32_MAX, .ext_ack = data[0] & 64, .strict = data[0] & 128 };
	nl.sk.protocol = protos[data[0] % ARRAY_SIZE(protos)];
	nl.sk.net = &net;
	nl.sk.rcvbuf = nl.sk.sndbuf = 1 << 20;
	list_init(&nl.rxq);
	task.cred = &cred;
	list_add_tail(&netlink_socks, &nl.node);
	netlink_input(&nl, &task, data + 1, size - 1);
	check_answers(&nl);
	if (nl.sk.protocol == LINUX_NETLINK_NETFILTER)
		send_packets();
	now += NET_SEC;
	net_timers_run(&stack, 1000);
	net_ns_put(net.stack);
	net_rcu_barrier(&stack);
	list_del_init(&nl.node);
	nl_flush(&nl);
	return 0;
}
