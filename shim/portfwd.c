/* SPDX-License-Identifier: Apache-2.0
 * shim/portfwd.c - see portfwd.h
 *
 * Source:  bpf/prog_sk_lookup.rst: the program chooses the listening socket of a connection that arrives; the link to the
 *          namespace holds it there and goes with its descriptor. The accepted socket's own address is the one that
 *          the caller wanted, so its port says where to go inside.
 */
#include "shim/portfwd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/log.h"

#define ACCEPT_MAX 64 /* connections before other sources get their turn */

enum { V4, V6, NR_FAMILIES };

struct portfwd {
	struct listener {
		struct ev_source src;
		struct portfwd *p;
		int fd;
	} listeners[NR_FAMILIES];
	int link; /* the program's place in the namespace */
	void (*fn)(void *arg, uint16_t port, int fd);
	void *arg;
};

static int bpf(int cmd, union bpf_attr *a)
{
	return (int)syscall(SYS_bpf, cmd, a, sizeof(*a));
}

/* ---- the program ---- */

#define I(c, d, s, o, i)  { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define MOV(d, s)	  I(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVI(d, i)	  I(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define LOAD(d, field)	  I(BPF_LDX | BPF_MEM | BPF_W, d, 6, offsetof(struct bpf_sk_lookup, field), 0)
#define KEY(i)		  I(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, i)
#define JNE(r, i, n)	  I(BPF_JMP | BPF_JNE | BPF_K, r, 0, n, i)
#define JEQ(r, i, n)	  I(BPF_JMP | BPF_JEQ | BPF_K, r, 0, n, i)
#define GOTO(n)		  I(BPF_JMP | BPF_JA, 0, 0, n, 0)
#define CALL(f)		  I(BPF_JMP | BPF_CALL, 0, 0, 0, f)

static int program_load(int map)
{
	const struct bpf_insn code[] = {
		MOV(6, 1),
		LOAD(2, protocol),
		JNE(2, IPPROTO_TCP, 25),
		LOAD(2, family),
		JEQ(2, AF_INET6, 5),
		LOAD(2, local_ip4),
		I(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 0xff), /* network order: the first byte */
		JNE(2, 127, 20),
		KEY(V4),
		GOTO(5),
		LOAD(2, local_ip6[0]),
		JNE(2, 0, 16),
		LOAD(2, local_ip6[3]),
		JNE(2, (int)htonl(1), 14),
		KEY(V6),
		I(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map),
		I(0, 0, 0, 0, 0),
		MOV(2, 10),
		I(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
		CALL(BPF_FUNC_map_lookup_elem),
		JEQ(0, 0, 7),
		MOV(7, 0),
		MOV(1, 6),
		MOV(2, 0),
		MOVI(3, 0),
		CALL(BPF_FUNC_sk_assign),
		MOV(1, 7),
		CALL(BPF_FUNC_sk_release),
		MOVI(0, SK_PASS),
		I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr a = {
		.prog_type = BPF_PROG_TYPE_SK_LOOKUP,
		.expected_attach_type = BPF_SK_LOOKUP,
		.insns = (uint64_t)(uintptr_t)code,
		.insn_cnt = ARRAY_SIZE(code),
		.license = (uint64_t)(uintptr_t)"Apache-2.0",
	};

	return bpf(BPF_PROG_LOAD, &a);
}

static int program_attach(struct portfwd *p, int netns, struct err *e)
{
	union bpf_attr m = { .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 8, .max_entries = NR_FAMILIES };
	AUTO_CLOSE int map = bpf(BPF_MAP_CREATE, &m);
	AUTO_CLOSE int prog = -1;
	union bpf_attr l;

	if (map < 0)
		return err_sys(e, "BPF map");
	for (uint32_t i = 0; i < NR_FAMILIES; i++) {
		uint64_t fd = (uint64_t)p->listeners[i].fd;
		union bpf_attr u = { .map_fd = (uint32_t)map, .key = (uint64_t)(uintptr_t)&i, .value = (uint64_t)(uintptr_t)&fd };

		if (p->listeners[i].fd >= 0 && bpf(BPF_MAP_UPDATE_ELEM, &u) < 0)
			return err_sys(e, "BPF map of listeners");
	}
	prog = program_load(map);
	if (prog < 0)
		return err_sys(e, "sk_lookup program");
	memset(&l, 0, sizeof(l));
	l.link_create.prog_fd = (uint32_t)prog;
	l.link_create.target_fd = (uint32_t)netns;
	l.link_create.attach_type = BPF_SK_LOOKUP;
	p->link = bpf(BPF_LINK_CREATE, &l);
	return p->link < 0 ? err_sys(e, "attach the sk_lookup program") : 0;
}

/* ---- sockets ---- */

static int listen_on(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && (bind(fd, sa, len) < 0 || listen(fd, 128) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

struct entry {
	struct portfwd *p;
	const char *netns;
	struct err *e;
	int ret;
};

/* On a thread of its own, which ends with its namespace. */
static void *enter_and_listen(void *arg)
{
	struct sockaddr_in sa4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 sa6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct entry *n = arg;
	AUTO_CLOSE int netns = open(n->netns, O_RDONLY | O_CLOEXEC);

	n->ret = -1;
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0) {
		err_sys(n->e, "enter %s", n->netns);
		return NULL;
	}
	n->p->listeners[V4].fd = listen_on((struct sockaddr *)&sa4, sizeof(sa4));
	if (n->p->listeners[V4].fd < 0) {
		err_sys(n->e, "listen in %s", n->netns);
		return NULL;
	}
	n->p->listeners[V6].fd = listen_on((struct sockaddr *)&sa6, sizeof(sa6)); /* may be switched off */
	n->ret = program_attach(n->p, netns, n->e);
	return NULL;
}

static void on_connection(struct ev_source *src, uint32_t events)
{
	struct listener *l = container_of(src, struct listener, src);
	struct sockaddr_in6 sa; /* the port is at the same place in both families */

	for (int i = 0; i < ACCEPT_MAX; i++) {
		socklen_t len = sizeof(sa);
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
			close(fd);
		else
			l->p->fn(l->p->arg, ntohs(sa.sin6_port), fd);
	}
}

struct portfwd *portfwd_new(struct evloop *loop, const char *netns, void (*fn)(void *arg, uint16_t port, int fd), void *arg,
			    struct err *e)
{
	struct portfwd *p = calloc(1, sizeof(*p));
	struct entry n = { .p = p, .netns = netns, .e = e };
	pthread_t t;
	int ret;

	if (!p) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	p->link = -1;
	p->fn = fn;
	p->arg = arg;
	for (int i = 0; i < NR_FAMILIES; i++)
		p->listeners[i] = (struct listener){ .p = p, .fd = -1, .src.fd = -1 };
	ret = pthread_create(&t, NULL, enter_and_listen, &n);
	if (ret)
		n.ret = err_set(e, ret, "thread: %s", strerror(ret));
	else
		pthread_join(t, NULL);
	for (int i = 0; i < NR_FAMILIES && n.ret == 0; i++) {
		struct listener *l = &p->listeners[i];

		if (l->fd >= 0 && evloop_add(loop, &l->src, l->fd, EPOLLIN, on_connection) < 0)
			n.ret = err_set(e, ENOMEM, "watch a listening socket");
	}
	if (n.ret == 0)
		return p;
	portfwd_stop(p);
	return NULL;
}

void portfwd_stop(struct portfwd *p)
{
	if (!p)
		return;
	if (p->link >= 0)
		close(p->link);
	for (int i = 0; i < NR_FAMILIES; i++) {
		if (p->listeners[i].src.fd >= 0)
			evloop_del(&p->listeners[i].src);
		if (p->listeners[i].fd >= 0)
			close(p->listeners[i].fd);
	}
	free(p);
}
