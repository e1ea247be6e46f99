/* SPDX-License-Identifier: Apache-2.0
 * sentry/strace/strace.c - the hook of the dispatcher: when a line is written, and what stands around the arguments
 *
 * Model:   see strace.h. Memory is read when the call ends, so that results can be shown; what another thread changed meanwhile
 *          is seen changed.
 * Locks:   strace_set() takes tasks_mu, then each group's sig_mu.
 * Source:  the form of the lines is strace(1)'s.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "sentry/abi/fs.h"
#include "sentry/strace/strace_internal.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/container.h"
#include "sentry/task/ns.h"

#define LINE_MAX_BYTES 1900 /* what a log line takes */

static uint8_t wanted[(SYSCALL_MAX + 7) / 8]; /* immutable once tasks run */
static bool want_all = true;
static uint32_t show = STRACE_SHOW_DEFAULT;

void line_add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, l->cap - l->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len = MIN(l->len + (size_t)n, l->cap - 1);
}

static int find_call(const char *name, size_t len)
{
	for (int nr = 0; nr < SYSCALL_MAX; nr++) {
		const char *have = syscall_table[nr].name;

		if (have && strlen(have) == len && !strncmp(have, name, len))
			return nr;
	}
	return -1;
}

long strace_setup(const char *calls, uint32_t show_bytes, const char **bad)
{
	show = MIN(show_bytes ? show_bytes : STRACE_SHOW_DEFAULT, STRACE_SHOW_MAX);
	want_all = !calls || !*calls;
	while (calls && *calls) {
		size_t len = strcspn(calls, ",");
		int nr = find_call(calls, len);

		if (nr < 0 && len) {
			*bad = calls;
			return -LINUX_EINVAL;
		}
		if (len)
			wanted[nr / 8] |= (uint8_t)(1u << nr % 8);
		calls += len + (calls[len] == ',');
	}
	return 0;
}

static bool is_wanted(uint32_t nr)
{
	return want_all || (nr < SYSCALL_MAX && wanted[nr / 8] >> nr % 8 & 1);
}

/* Calls after which there is nobody, or another program, to say what the arguments were. */
enum when { AT_END, AT_BEGIN, AT_BOTH };

static enum when when_written(const char *name)
{
	static const struct {
		const char *name;
		enum when when;
	} early[] = {
		{ "execve", AT_BOTH }, { "execveat", AT_BOTH }, { "exit", AT_BEGIN }, { "exit_group", AT_BEGIN }, { "rt_sigreturn", AT_BEGIN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(early); i++)
		if (!strcmp(name, early[i].name))
			return early[i].when;
	return AT_END;
}

static void write_result(struct line *l, long ret)
{
	if (ret >= 0 || ret < -4095) {
		if (ret > 0xffff || ret < 0)
			line_add(l, " = %#lx", (unsigned long)ret);
		else
			line_add(l, " = %ld", ret);
	} else if (ret <= -512) { /* restart codes: Linux's own, from 512 on */
		line_add(l, " = ? ERESTARTSYS (To be restarted)");
	} else {
		line_add(l, " = -1 %s (%s)", strerrorname_np((int)-ret) ?: "E?", strerrordesc_np((int)-ret) ?: "?");
	}
}

static void write_args(struct line *l, const struct call_view *v, const struct syscall_row *row)
{
	const char *sig = row ? call_letters(row->name) : "xxxxxx";

	if (!sig)
		sig = row->sig;
	for (int i = 0; i < 6 && sig[i]; i++) {
		/* a mode means something only to a file that is made */
		if (i && sig[i] == 'o' && sig[i - 1] == 'O' && !(v->a[i - 1] & (LINUX_O_CREAT | (LINUX_O_TMPFILE & ~LINUX_O_DIRECTORY))))
			break;
		if (i)
			line_add(l, ", ");
		arg_write(l, v, sig[i], i);
	}
}

static void trace(struct task *t, uint32_t nr, const uint64_t a[6], const long *ret)
{
	const struct syscall_row *row = nr < SYSCALL_MAX && syscall_table[nr].name ? &syscall_table[nr] : NULL;
	char text[LINE_MAX_BYTES];
	struct line l = { .text = text, .cap = sizeof(text) };
	struct call_view v = { .t = t, .a = a, .ret = ret, .show_bytes = show };
	enum when when = row ? when_written(row->name) : AT_END;

	if (!ret)
		t->trace_start_ns = now_ns();
	if (!is_wanted(nr) || (!ret && when == AT_END) || (ret && when == AT_BEGIN))
		return;
	line_add(&l, "[%4u] %s: ", task_pid_nr(t, task_pid_ns(t)), t->comm);
	if (row)
		line_add(&l, "%s(", row->name);
	else
		line_add(&l, "syscall_%u(", nr);
	if (when != AT_BOTH || !ret)
		write_args(&l, &v, row);
	else
		line_add(&l, "...");
	line_add(&l, ")");
	if (ret) {
		uint64_t took_us = (now_ns() - t->trace_start_ns) / 1000;

		write_result(&l, *ret);
		line_add(&l, " <%lu.%06lu>", took_us / 1000000, took_us % 1000000);
	}
	log_info("%s", text);
}

static void set_group(struct tgroup *g, bool on)
{
	struct task *t;

	mutex_lock(&g->sig_mu);
	list_for_each_entry (t, &g->threads, thread_node)
		task_set_entry_work_locked(t, on ? TE_TRACE : 0, on ? 0 : TE_TRACE);
	mutex_unlock(&g->sig_mu);
}

void strace_set(bool on)
{
	struct tgroup *g;

	task_trace_hook = trace;
	atomic_store(&task_trace_new, on);
	for (struct container *c = container_next(NULL); c; c = container_next(c)) {
		mutex_lock(&tasks_mu);
		list_for_each_entry (g, &c->groups, container_node)
			set_group(g, on);
		mutex_unlock(&tasks_mu);
	}
}
