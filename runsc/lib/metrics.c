/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/metrics.c - figures of sandboxes in the text format of Prometheus
 *
 * Model:   the Sentry writes samples with its containers' labels; here each gets the prefix and the label of its sandbox, and the host's
 *          figures (cgroups) of the sandbox's containers join them. An exposition of several sandboxes must hold all samples of a name
 *          together: families are gathered by name first, in the order of their first appearance, and written then.
 * Trust:   the Sentry's text is hostile: names and labels are checked, lines that do not fit the form are dropped.
 * Source:  Prometheus exposition formats, text format 0.0.4.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runsc/lib/container.h"

#define FAMILIES_MAX 512

struct family {
	char *name;
	struct buf head, samples;
};

struct exposition {
	const char *prefix;
	struct family v[FAMILIES_MAX];
	size_t n;
};

static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_' || (i && s[i] >= '0' && s[i] <= '9')))
			return false;
	return n > 0 && n < 128;
}

static struct family *family_of(struct exposition *x, const char *name, size_t len)
{
	for (size_t i = 0; i < x->n; i++)
		if (strlen(x->v[i].name) == len && !strncmp(x->v[i].name, name, len))
			return &x->v[i];
	if (x->n == FAMILIES_MAX || !is_name(name, len))
		return NULL;
	x->v[x->n].name = strndup(name, len);
	return x->v[x->n].name ? &x->v[x->n++] : NULL;
}

static void exposition_fini(struct exposition *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->v[i].name);
		buf_fini(&x->v[i].head);
		buf_fini(&x->v[i].samples);
	}
}

/* "# HELP name text", "# TYPE name kind" */
static void add_comment(struct exposition *x, const char *line, size_t len)
{
	const char *name = line + 7;
	size_t n = len > 7 ? strcspn(name, " \n") : 0;
	struct family *f = n ? family_of(x, name, n) : NULL;

	/* the first sandbox tells it for all */
	if (f && !f->samples.len)
		buf_printf(&f->head, "%.7s%s%.*s\n", line, x->prefix, (int)(len - 7), name);
}

/* "name value" or "name{labels} value" */
static void add_sample(struct exposition *x, const char *sandbox, const char *line, size_t len)
{
	size_t n = strcspn(line, "{ \n");
	struct family *f = n < len ? family_of(x, line, n) : NULL;
	const char *labels = line + n, *end = memrchr(line, ' ', len);
	int inner = 0;

	if (!f || !end || end < labels)
		return;
	if (*labels == '{' && end > labels + 1 && end[-1] == '}')
		inner = (int)(end - labels) - 2;
	buf_printf(&f->samples, "%s%.*s{sandbox=\"%s\"%s%.*s} %.*s\n", x->prefix, (int)n, line, sandbox, inner ? "," : "", inner, labels + 1,
		   (int)(line + len - end - 1), end + 1);
}

static void add_text(struct exposition *x, const char *sandbox, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (!strncmp(text, "# HELP ", 7) || !strncmp(text, "# TYPE ", 7))
			add_comment(x, text, len);
		else if (len && *text != '#')
			add_sample(x, sandbox, text, len);
		text += len + (text[len] == '\n');
	}
}

/* ---- the host's figures --------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *type, *help;
	size_t off;
	bool seconds;	/* of nanoseconds */
} host_rows[] = {
#define ROW(nm, tp, hlp, field, sec) { nm, tp, hlp, offsetof(struct lc_stats, field), sec }
	ROW("container_cpu_seconds_total", "counter", "processor time by the host cgroup", cpu_total_ns, true),
	ROW("container_cpu_user_seconds_total", "counter", "user time by the host cgroup", cpu_user_ns, true),
	ROW("container_cpu_system_seconds_total", "counter", "system time by the host cgroup", cpu_system_ns, true),
	ROW("container_cpu_throttled_seconds_total", "counter", "time throttled by the host cgroup", cpu_throttled_ns, true),
	ROW("container_memory_bytes", "gauge", "memory by the host cgroup", mem_usage, false),
	ROW("container_memory_max_bytes", "gauge", "highest memory by the host cgroup", mem_max_usage, false),
	ROW("container_memory_oom_kills_total", "counter", "processes killed for want of memory", mem_oom_kill, false),
	ROW("container_page_faults_total", "counter", "page faults by the host cgroup", mem_pgfault, false),
	ROW("container_pids", "gauge", "host processes and threads", pids_current, false),
	ROW("container_io_read_bytes_total", "counter", "bytes read from the host's devices", blkio_read_bytes, false),
	ROW("container_io_write_bytes_total", "counter", "bytes written to the host's devices", blkio_write_bytes, false),
#undef ROW
};

static void add_stats(struct exposition *x, const char *sandbox, const char *id, const struct lc_stats *s)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(host_rows); i++) {
		uint64_t v = *(const uint64_t *)((const char *)s + host_rows[i].off);

		buf_printf(&b, "# HELP %s %s\n# TYPE %s %s\n", host_rows[i].name, host_rows[i].help, host_rows[i].name, host_rows[i].type);
		buf_printf(&b, "%s{container=\"%s\"} ", host_rows[i].name, id);
		if (host_rows[i].seconds)
			buf_printf(&b, "%llu.%09llu\n", (unsigned long long)(v / 1000000000), (unsigned long long)(v % 1000000000));
		else
			buf_printf(&b, "%llu\n", (unsigned long long)v);
	}
	if (b.data)
		add_text(x, sandbox, b.data);
	buf_fini(&b);
}

struct member_arg {
	struct exposition *x;
	const char *sandbox;
};

static int add_member(const char *id, struct lc_container *c, void *arg)
{
	struct member_arg *a = arg;
	struct lc_stats s;

	if (!c || strcmp(c->st.sandbox_id, a->sandbox) || lc_stats(c, &s, NULL) < 0)
		return 0;
	add_stats(a->x, a->sandbox, id, &s);
	lc_stats_fini(&s);
	return 0;
}

static int add_sandbox(struct exposition *x, struct lc_container *c, struct err *e)
{
	struct buf text = { 0 };
	int ret = lc_debug(c, "metrics", &text, e);

	if (ret == 0 && text.data)
		add_text(x, c->id, text.data);
	buf_fini(&text);
	return ret < 0 ? -1 : lc_list(c->flags, add_member, &(struct member_arg){ x, c->id }, e);
}

/* ---- expositions ------------------------------------------------------------------------------------------------ */

static int write_out(struct exposition *x, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < x->n; i++) {
		if (!x->v[i].samples.data)
			continue;
		buf_printf(out, "%s%s", x->v[i].head.data ? x->v[i].head.data : "", x->v[i].samples.data);
	}
	exposition_fini(x);
	return out->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

static struct exposition *exposition_new(const char *prefix, struct err *e)
{
	struct exposition *x = NULL;

	if (*prefix && !is_name(prefix, strlen(prefix)))
		err_set(e, EINVAL, "metrics: the prefix \"%s\" cannot begin a metric's name", prefix);
	else if (!(x = calloc(1, sizeof(*x))))
		err_set(e, ENOMEM, "out of memory");
	else
		x->prefix = prefix;
	return x;
}

int lc_metrics(struct lc_container *sandbox, const char *prefix, struct buf *out, struct err *e)
{
	struct exposition *x = exposition_new(prefix, e);
	int ret;

	if (!x)
		return -1;
	ret = add_sandbox(x, sandbox, e);
	if (ret == 0)
		ret = write_out(x, out, e);
	else
		exposition_fini(x);
	free(x);
	return ret;
}

static int add_running(const char *id, struct lc_container *c, void *arg)
{
	struct exposition *x = arg;
	char line[LC_ID_MAX + 64];

	if (!c || strcmp(c->st.sandbox_id, id))
		return 0;
	snprintf(line, sizeof(line), "# TYPE sandbox_running gauge\nsandbox_running %d\n", lc_status(c) != LC_STOPPED);
	add_text(x, id, line);
	/* one that ends meanwhile is no failure of the others */
	if (lc_status(c) != LC_STOPPED)
		add_sandbox(x, c, NULL);
	return 0;
}

int lc_metrics_all(const struct lc_flags *f, const char *prefix, struct buf *out, struct err *e)
{
	struct exposition *x = exposition_new(prefix, e);
	int ret;

	if (!x)
		return -1;
	ret = lc_list(f, add_running, x, e);
	if (ret == 0)
		ret = write_out(x, out, e);
	else
		exposition_fini(x);
	free(x);
	return ret;
}
