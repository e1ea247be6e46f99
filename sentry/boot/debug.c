/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/debug.c - Debug: what the Sentry says about itself, as text for people and as metrics
 *
 * Model:   a report is a row: name and function. "metrics" is Prometheus text without prefix and sandbox label, which runsc adds;
 *          the others are for reading. Nothing here stops anybody: figures are those of slightly different moments.
 * Trust:   the caller is the host's root; command names of guests are shown with strange bytes replaced.
 * Source:  proto/control.proto; the text format of Prometheus (exposition formats 0.0.4).
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/net/net.h"
#include "sentry/net/link.h"
#include "sentry/net/mib.h"
#include "sentry/platform/platform.h"
#include "sentry/socket/socket.h"
#include "sentry/strace/strace.h"
#include "sentry/syscalls/stats.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"

static uint64_t boot_ns;
static bool with_hostnet;

static const char *call_name(uint32_t nr, char buf[24])
{
	if (nr < SYSCALL_MAX && syscall_table[nr].name)
		return syscall_table[nr].name;
	snprintf(buf, 24, nr == SYSCALL_MAX ? "beyond_%u" : "nr_%u", nr);
	return buf;
}

/* @name as the inside of a label or a column: what could break the line is replaced. */
static const char *clean(const char *name, char buf[64])
{
	size_t n = 0;

	for (; name[n] && n < 63; n++)
		buf[n] = name[n] < 0x20 || name[n] > 0x7e || name[n] == '"' || name[n] == '\\' ? '?' : name[n];
	buf[n] = '\0';
	return buf;
}

/* ---- reports ---------------------------------------------------------------------------------------------------- */

static void report_dmesg(struct buf *b)
{
	char text[2048];

	syslog_text(text, sizeof(text));
	buf_printf(b, "%s", text);
}

static const struct {
	const char *name, *help;
	size_t off;
} platform_rows[] = {
#define ROW(field, help) { #field, help, offsetof(struct platform_stats, field) }
	ROW(calls_polled, "calls served by polling"),
	ROW(calls_notified, "calls that came by notification"),
	ROW(calls_trapped, "calls at sites that were not rewritten"),
	ROW(sites_rewritten, "call sites rewritten"),
	ROW(faults, "faults handled"),
	ROW(kicks, "running threads interrupted"),
	ROW(forks, "guest processes made"),
	ROW(threads, "guest threads made"),
#undef ROW
};

static uint64_t platform_value(const struct platform_stats *s, size_t i)
{
	return *(const uint64_t *)((const char *)s + platform_rows[i].off);
}

static void report_counters(struct buf *b)
{
	struct mallinfo2 heap = mallinfo2();
	struct platform_stats s;

	platform_stats(&s);
	buf_printf(b, "host calls allowed: %u\n", hostcalls_count(with_hostnet));
	buf_printf(b, "uptime: %llu s\n", (now_ns() - boot_ns) / NSEC_PER_SEC);
	buf_printf(b, "busy workers: %u\n", run_nr_busy());
	buf_printf(b, "heap in use: %zu bytes of %zu\n", heap.uordblks + heap.hblkhd, heap.arena + heap.hblkhd);
	for (size_t i = 0; i < ARRAY_SIZE(platform_rows); i++)
		buf_printf(b, "%s: %lu\n", platform_rows[i].help, platform_value(&s, i));
}

struct call_count {
	uint32_t nr;
	uint64_t n;
};

static int by_count(const void *a, const void *b)
{
	const struct call_count *x = a, *y = b;

	return x->n == y->n ? (x->nr > y->nr) - (x->nr < y->nr) : x->n < y->n ? 1 : -1;
}

/* Calls of one container, most frequent first. */
static void container_table(struct buf *b, struct container *c)
{
	uint64_t *n = calloc(TASK_CALLS_MAX, sizeof(*n));
	struct call_count *v = calloc(TASK_CALLS_MAX, sizeof(*v));
	size_t used = 0;
	char buf[24];

	if (n && v) {
		container_calls(c, n);
		for (uint32_t nr = 0; nr < TASK_CALLS_MAX; nr++)
			if (n[nr])
				v[used++] = (struct call_count){ nr, n[nr] };
		qsort(v, used, sizeof(*v), by_count);
		buf_printf(b, "calls of container %s:\n", c->id);
		for (size_t i = 0; i < used; i++)
			buf_printf(b, "%12lu  %3u %s\n", v[i].n, v[i].nr, call_name(v[i].nr, buf));
	}
	free(n);
	free(v);
}

static void report_syscalls(struct buf *b)
{
	bool any = false;
	char buf[24];

	for (struct container *c = container_next(NULL); c; c = container_next(c))
		container_table(b, c);
	for (uint32_t nr = 0; nr <= SYSCALL_MAX; nr++) {
		if (!syscall_missing_count(nr))
			continue;
		buf_printf(b, any ? "" : "answered ENOSYS, not implemented:\n");
		buf_printf(b, "%12lu  %3u %s\n", syscall_missing_count(nr), nr, call_name(nr, buf));
		any = true;
	}
}

/* What a thread does: its call when it sleeps in one, and where in the program it made it. */
static void task_line(struct buf *b, struct container *c, struct task *t)
{
	char comm[16], shown[64], buf[24], letter = task_state_letter(t);
	struct guest_regs regs = { 0 };
	bool inside = false;

	task_get_comm(t, comm);
	mutex_lock(&t->group->sig_mu);
	if (t->u && !atomic_load(&t->in_guest)) {
		uthread_get_regs(t->u, &regs);
		inside = letter != 'R';
	}
	mutex_unlock(&t->group->sig_mu);
	buf_printf(b, "%7u %7u %c %-16s", task_tgid_nr(t, c->pid_ns), task_pid_nr(t, c->pid_ns), letter, clean(comm, shown));
	if (inside)
		buf_printf(b, " %s(%#lx, %#lx, %#lx, %#lx) ip %#lx sp %#lx", call_name(t->call_nr, buf), regs.rdi, regs.rsi, regs.rdx,
			   regs.r10, regs.rip, regs.rsp);
	else if (letter == 'S')
		buf_printf(b, " sleeps in the stub");
	buf_printf(b, "\n");
}

static void container_tasks(struct buf *b, struct container *c)
{
	struct tgroup **v, *g;
	size_t n = 0, cap = 0;

	mutex_lock(&tasks_mu);
	list_for_each_entry (g, &c->groups, container_node)
		cap++;
	v = calloc(cap ? cap : 1, sizeof(*v));
	if (v)
		list_for_each_entry (g, &c->groups, container_node)
			v[n++] = tgroup_get(g);
	mutex_unlock(&tasks_mu);
	buf_printf(b, "tasks of container %s%s:\n    pid     tid   command\n", c->id, atomic_load(&c->paused) ? " (paused)" : "");
	for (size_t i = 0; i < n; i++) {
		for (struct task *t = tgroup_next_thread(v[i], NULL); t; t = tgroup_next_thread(v[i], t))
			task_line(b, c, t);
		tgroup_put(v[i]);
	}
	free(v);
}

static void report_tasks(struct buf *b)
{
	for (struct container *c = container_next(NULL); c; c = container_next(c))
		container_tasks(b, c);
}

/* ---- metrics ------------------------------------------------------------------------------------------------------ */

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Sums of calls that go by different names. */
static const struct {
	const char *metric, *help, *calls[12];
} sums[] = {
	{ "fs_opens_total", "files opened", { "open", "openat", "openat2", "creat" } },
	{ "fs_reads_total", "reads of files, pipes and sockets", { "read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg" } },
	{ "fs_writes_total", "writes of files, pipes and sockets", { "write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg" } },
	{ "fs_stats_total", "files asked for their attributes", { "stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2" } },
	{ "processes_started_total", "processes and threads made", { "fork", "vfork", "clone", "clone3" } },
	{ "programs_executed_total", "programs executed", { "execve", "execveat" } },
};

static bool one_of(const char *name, const char *const *v, size_t n)
{
	for (size_t i = 0; name && i < n && v[i]; i++)
		if (!strcmp(name, v[i]))
			return true;
	return false;
}

static void sum_metric(struct buf *b, size_t k, struct container *c, const uint64_t *n)
{
	uint64_t sum = 0;
	char id[64];

	for (uint32_t nr = 0; nr < SYSCALL_MAX; nr++)
		if (n[nr] && one_of(syscall_table[nr].name, sums[k].calls, ARRAY_SIZE(sums[k].calls)))
			sum += n[nr];
	buf_printf(b, "%s{container=\"%s\"} %lu\n", sums[k].metric, clean(c->id, id), sum);
}

static void metrics_calls(struct buf *b)
{
	uint64_t *n = calloc(TASK_CALLS_MAX, sizeof(*n));
	char buf[24], id[64];

	if (!n)
		return;
	head(b, "syscalls_total", "counter", "system calls that the Sentry was asked for");
	for (struct container *c = container_next(NULL); c; c = container_next(c)) {
		container_calls(c, n);
		for (uint32_t nr = 0; nr < TASK_CALLS_MAX; nr++)
			if (n[nr])
				buf_printf(b, "syscalls_total{container=\"%s\",call=\"%s\"} %lu\n", clean(c->id, id), call_name(nr, buf), n[nr]);
	}
	for (size_t k = 0; k < ARRAY_SIZE(sums); k++) {
		head(b, sums[k].metric, "counter", sums[k].help);
		for (struct container *c = container_next(NULL); c; c = container_next(c)) {
			container_calls(c, n);
			sum_metric(b, k, c, n);
		}
	}
	free(n);
	head(b, "unimplemented_syscalls_total", "counter", "calls answered ENOSYS because they are not implemented");
	for (uint32_t nr = 0; nr <= SYSCALL_MAX; nr++)
		if (syscall_missing_count(nr))
			buf_printf(b, "unimplemented_syscalls_total{call=\"%s\"} %lu\n", call_name(nr, buf), syscall_missing_count(nr));
}

struct task_sums {
	uint64_t processes, threads, user_ns, system_ns;
};

static void add_process(const struct proc_info *p, void *arg)
{
	struct task_sums *s = arg;

	s->processes++;
	s->threads += p->tid_count;
	s->user_ns += p->utime_ns;
	s->system_ns += p->stime_ns;
}

static void metrics_tasks(struct buf *b)
{
	static const struct {
		const char *name, *help;
		size_t off;
		bool seconds;
	} rows[] = {
		{ "processes", "processes there are", offsetof(struct task_sums, processes), false },
		{ "threads", "threads there are", offsetof(struct task_sums, threads), false },
		{ "processes_cpu_user_seconds", "user time of the processes there are", offsetof(struct task_sums, user_ns), true },
		{ "processes_cpu_system_seconds", "system time of the processes there are", offsetof(struct task_sums, system_ns), true },
	};
	char id[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		head(b, rows[i].name, "gauge", rows[i].help);
		for (struct container *c = container_next(NULL); c; c = container_next(c)) {
			struct task_sums s = { 0 };
			uint64_t v;

			container_processes(c, add_process, &s);
			v = *(uint64_t *)((char *)&s + rows[i].off);
			buf_printf(b, "%s{container=\"%s\"} ", rows[i].name, clean(c->id, id));
			if (rows[i].seconds)
				buf_printf(b, "%llu.%09llu\n", v / NSEC_PER_SEC, v % NSEC_PER_SEC);
			else
				buf_printf(b, "%lu\n", v);
		}
	}
}

static const struct {
	const char *name, *help;
	size_t off;
} link_rows[] = {
#define ROW(nm, field, help) { nm, help, offsetof(struct net_link_stats, field) }
	ROW("network_receive_bytes_total", rx_bytes, "bytes received"),
	ROW("network_receive_packets_total", rx_packets, "packets received"),
	ROW("network_receive_errors_total", rx_errors, "broken packets received"),
	ROW("network_receive_dropped_total", rx_dropped, "received packets dropped"),
	ROW("network_transmit_bytes_total", tx_bytes, "bytes sent"),
	ROW("network_transmit_packets_total", tx_packets, "packets sent"),
	ROW("network_transmit_errors_total", tx_errors, "packets that could not be sent"),
	ROW("network_transmit_dropped_total", tx_dropped, "packets to be sent dropped"),
#undef ROW
};

struct link_arg {
	struct buf *b;
	size_t row;
};

static int link_metric(struct net_link *l, void *arg)
{
	struct link_arg *a = arg;
	_Atomic uint64_t *v = (_Atomic uint64_t *)((char *)&l->stats + link_rows[a->row].off);
	char name[64];

	buf_printf(a->b, "%s{link=\"%s\"} %lu\n", link_rows[a->row].name, clean(l->name, name), atomic_load_explicit(v, memory_order_relaxed));
	return 0;
}

static void metrics_network(struct buf *b)
{
	struct net_ns_ref *n = boot_network_get();

	for (size_t i = 0; n && n->stack && i < ARRAY_SIZE(link_rows); i++) {
		head(b, link_rows[i].name, "counter", link_rows[i].help);
		net_link_each(n->stack, link_metric, &(struct link_arg){ b, i });
	}
	if (n && n->stack) {
		head(b, "netstack_total", "counter", "events of the network stack, by the names of /proc/net/snmp and netstat");
		for (int i = 0; i < MIB_COUNT; i++)
			buf_printf(b, "netstack_total{group=\"%s\",name=\"%s\"} %llu\n", net_mib_rows[i].group, net_mib_rows[i].name,
				   (unsigned long long)atomic_load_explicit(&n->stack->mib[i], memory_order_relaxed));
	}
	if (n)
		net_ns_ref_put(n);
}

static void report_metrics(struct buf *b)
{
	struct mallinfo2 heap = mallinfo2();
	struct platform_stats s;

	platform_stats(&s);
	head(b, "uptime_seconds", "gauge", "time since the sandbox was made");
	buf_printf(b, "uptime_seconds %llu\n", (now_ns() - boot_ns) / NSEC_PER_SEC);
	head(b, "sentry_heap_bytes", "gauge", "memory of the Sentry's own objects");
	buf_printf(b, "sentry_heap_bytes %zu\n", heap.uordblks + heap.hblkhd);
	for (size_t i = 0; i < ARRAY_SIZE(platform_rows); i++) {
		char name[64];

		snprintf(name, sizeof(name), "platform_%s_total", platform_rows[i].name);
		head(b, name, "counter", platform_rows[i].help);
		buf_printf(b, "%s %lu\n", name, platform_value(&s, i));
	}
	metrics_tasks(b);
	metrics_calls(b);
	metrics_network(b);
}

/* ---- the request ---------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*fn)(struct buf *b);
	bool asked_only;
} reports[] = {
	{ "dmesg", report_dmesg, false },
	{ "counters", report_counters, false },
	{ "syscalls", report_syscalls, false },
	{ "tasks", report_tasks, false },
	{ "metrics", report_metrics, true },
};

static bool write_report(struct buf *b, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++)
		if (!strcmp(reports[i].name, name)) {
			reports[i].fn(b);
			return true;
		}
	return false;
}

static long change_settings(const Runsc__Control__V1__DebugRequest *q)
{
	const char *bad = NULL;

	if (q->log_level)
		log_set_level(q->log_level > 0 ? LOG_LV_DEBUG : LOG_LV_INFO);
	if (q->strace > 0 && strace_setup(q->strace_syscalls, 0, &bad))
		return -LINUX_EINVAL;
	if (q->strace)
		strace_set(q->strace > 0);
	return 0;
}

void boot_debug_init(const struct boot_args *a)
{
	with_hostnet = a->host_network;
	boot_ns = now_ns();
}

void boot_debug(struct ttrpc_call *call, const Runsc__Control__V1__DebugRequest *q)
{
	Runsc__Control__V1__DebugResponse r;
	struct buf b = { .max = DEBUG_TEXT_MAX };
	bool setting = q->log_level || q->strace, known = true;

	runsc__control__v1__debug_response__init(&r);
	if (change_settings(q)) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "debug: \"%s\" names a call that does not exist", q->strace_syscalls);
		return;
	}
	for (size_t i = 0; i < q->n_commands && known; i++)
		known = write_report(&b, q->commands[i]);
	for (size_t i = 0; !q->n_commands && !setting && i < ARRAY_SIZE(reports); i++)
		if (!reports[i].asked_only)
			reports[i].fn(&b);
	if (b.data)
		r.text = b.data;
	if (!known)
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "debug: no such report; there are dmesg, counters, syscalls, tasks, metrics");
	else if (b.failed)
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "debug: more text than an answer can hold");
	else
		ttrpc_reply(call, &r.base);
	buf_fini(&b);
}
