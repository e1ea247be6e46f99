/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/stats.c - figures of a container, and changing its limits
 *
 * Source:  the JSON of `runc events --stats` (runc types/events.go names the members).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runsc/lib/container.h"
#include "runsc/lib/control.h"

static int copy_links(const PB(StatsResponse) *r, struct lc_stats *out, struct err *e)
{
	out->links = calloc(r->n_links ? r->n_links : 1, sizeof(*out->links));
	if (!out->links)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < r->n_links; i++) {
		const PB(LinkStats) *l = r->links[i];
		struct lc_link_stats *o = &out->links[i];

		snprintf(o->name, sizeof(o->name), "%.15s", l->name);
		o->rx_bytes = l->rx_bytes;
		o->rx_packets = l->rx_packets;
		o->rx_errors = l->rx_errors;
		o->rx_dropped = l->rx_dropped;
		o->tx_bytes = l->tx_bytes;
		o->tx_packets = l->tx_packets;
		o->tx_errors = l->tx_errors;
		o->tx_dropped = l->tx_dropped;
	}
	out->nr_links = r->n_links;
	return 0;
}

int lc_stats(struct lc_container *c, struct lc_stats *out, struct err *e)
{
	PB(ContainerRequest) m = PB_INIT(CONTAINER_REQUEST);
	const PB(StatsResponse) *r;
	struct ttrpc_result res;
	int ret;

	memset(out, 0, sizeof(*out));
	if (lc_status(c) == LC_STOPPED)
		return err_set(e, ESRCH, "container not running");
	m.id = c->id;
	if (control_do(c, "Stats", &m.base, PB_DESC(stats_response), &res, e) < 0)
		return -1;
	r = (const PB(StatsResponse) *)res.resp;
	if (c->st.cg.version != CG_NONE) {
		cgroup_stats(&c->st.cg, out);
	} else {
		out->cpu_user_ns = r->cpu_user_ns;
		out->cpu_system_ns = r->cpu_system_ns;
		out->cpu_total_ns = r->cpu_user_ns + r->cpu_system_ns;
		out->mem_usage = r->memory_bytes;
		out->pids_current = r->nr_tasks;
	}
	ret = copy_links(r, out, e);
	ttrpc_result_fini(&res);
	return ret;
}

void lc_stats_fini(struct lc_stats *s)
{
	free(s->links);
	s->links = NULL;
}

static struct json_object *memory_entry(uint64_t limit, uint64_t usage, uint64_t max, uint64_t failcnt)
{
	struct json_object *o = json_object_new_object();

	jo_u64(o, "limit", limit);
	jo_u64(o, "usage", usage);
	jo_u64(o, "max", max);
	jo_u64(o, "failcnt", failcnt);
	return o;
}

static struct json_object *memory_json(const struct lc_stats *s)
{
	struct json_object *o = json_object_new_object(), *raw = json_object_new_object();

	jo_u64(o, "cache", s->mem_cache);
	jo_obj(o, "usage", memory_entry(s->mem_limit, s->mem_usage, s->mem_max_usage, s->mem_failcnt));
	jo_obj(o, "swap", memory_entry(s->swap_limit, s->swap_usage, 0, 0));
	jo_obj(o, "kernel", memory_entry(0, 0, 0, 0));
	jo_obj(o, "kernelTCP", memory_entry(0, 0, 0, 0));
	if (s->cgroup_v2) {
		jo_u64(raw, "anon", s->mem_rss);
		jo_u64(raw, "file", s->mem_cache);
		jo_u64(raw, "inactive_file", s->mem_inactive_file);
		jo_u64(raw, "active_file", s->mem_active_file);
	} else {
		jo_u64(raw, "total_rss", s->mem_rss);
		jo_u64(raw, "total_cache", s->mem_cache);
		jo_u64(raw, "total_inactive_file", s->mem_inactive_file);
		jo_u64(raw, "total_active_file", s->mem_active_file);
	}
	jo_u64(raw, "pgfault", s->mem_pgfault);
	jo_u64(raw, "pgmajfault", s->mem_pgmajfault);
	jo_obj(o, "raw", raw);
	return o;
}

static struct json_object *cpu_json(const struct lc_stats *s)
{
	struct json_object *o = json_object_new_object(), *usage = json_object_new_object();
	struct json_object *thr = json_object_new_object();

	jo_u64(usage, "total", s->cpu_total_ns);
	jo_obj(usage, "percpu", json_object_new_array());
	jo_u64(usage, "kernel", s->cpu_system_ns);
	jo_u64(usage, "user", s->cpu_user_ns);
	jo_u64(thr, "periods", s->cpu_periods);
	jo_u64(thr, "throttledPeriods", s->cpu_throttled_periods);
	jo_u64(thr, "throttledTime", s->cpu_throttled_ns);
	jo_obj(o, "usage", usage);
	jo_obj(o, "throttling", thr);
	return o;
}

static void blkio_entry(struct json_object *a, const char *op, uint64_t value)
{
	struct json_object *o = json_object_new_object();

	jo_str(o, "op", op);
	jo_u64(o, "value", value);
	json_object_array_add(a, o);
}

static struct json_object *blkio_json(const struct lc_stats *s)
{
	struct json_object *o = json_object_new_object(), *bytes = json_object_new_array(),
			   *ops = json_object_new_array();

	blkio_entry(bytes, "Read", s->blkio_read_bytes);
	blkio_entry(bytes, "Write", s->blkio_write_bytes);
	blkio_entry(ops, "Read", s->blkio_reads);
	blkio_entry(ops, "Write", s->blkio_writes);
	jo_obj(o, "ioServiceBytesRecursive", bytes);
	jo_obj(o, "ioServicedRecursive", ops);
	return o;
}

static struct json_object *links_json(const struct lc_stats *s)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < s->nr_links; i++) {
		const struct lc_link_stats *l = &s->links[i];
		struct json_object *o = json_object_new_object();

		jo_str(o, "name", l->name);
		jo_u64(o, "rx_bytes", l->rx_bytes);
		jo_u64(o, "rx_packets", l->rx_packets);
		jo_u64(o, "rx_errors", l->rx_errors);
		jo_u64(o, "rx_dropped", l->rx_dropped);
		jo_u64(o, "tx_bytes", l->tx_bytes);
		jo_u64(o, "tx_packets", l->tx_packets);
		jo_u64(o, "tx_errors", l->tx_errors);
		jo_u64(o, "tx_dropped", l->tx_dropped);
		json_object_array_add(a, o);
	}
	return a;
}

int lc_stats_json(struct lc_container *c, struct buf *out, struct err *e)
{
	struct json_object *o, *d, *pids;
	struct lc_stats s;

	if (lc_stats(c, &s, e) < 0)
		return -1;
	o = json_object_new_object();
	d = json_object_new_object();
	pids = json_object_new_object();
	jo_str(o, "type", "stats");
	jo_str(o, "id", c->id);
	jo_obj(d, "cpu", cpu_json(&s));
	jo_obj(d, "memory", memory_json(&s));
	jo_u64(pids, "current", s.pids_current);
	if (s.pids_limit)
		jo_u64(pids, "limit", s.pids_limit);
	jo_obj(d, "pids", pids);
	jo_obj(d, "blkio", blkio_json(&s));
	jo_obj(d, "hugetlb", json_object_new_object());
	jo_obj(d, "intel_rdt", json_object_new_object());
	jo_obj(d, "network_interfaces", links_json(&s));
	jo_obj(o, "data", d);
	buf_printf(out, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	lc_stats_fini(&s);
	return out->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

/* So that /sys/fs/cgroup inside says the same. */
static int tell_sentry(struct lc_container *c, const struct oci_resources *r, struct err *e)
{
	PB(Resources) res;
	PB(UpdateRequest) m = PB_INIT(UPDATE_REQUEST);
	struct ttrpc_result out;

	request_resources(r, &res);
	m.id = c->id;
	m.resources = &res;
	if (control_do(c, "Update", &m.base, PB_DESC(empty), &out, e) < 0)
		return -1;
	ttrpc_result_fini(&out);
	return 0;
}

int lc_update(struct lc_container *c, const char *resources_json, struct err *e)
{
	AUTO_CLOSE int lock = container_lock(c, e);
	struct oci_resources r;
	struct jdoc d;
	int ret;

	if (lock < 0)
		return -1;
	if (lc_status(c) == LC_STOPPED)
		return err_set(e, ESRCH, "container not running");
	if (spec_parse_resources(&d, resources_json, strlen(resources_json), &r, e) < 0)
		return -1;
	ret = c->st.cg.version == CG_NONE ?
		      err_set(e, ENOTSUP, "container \"%s\" has no cgroup: its limits cannot be changed", c->id) :
		      cgroup_apply(&c->st.cg, &r, e);
	if (!ret)
		ret = tell_sentry(c, &r, e);
	jdoc_free(&d);
	return ret;
}
