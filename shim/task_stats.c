/* SPDX-License-Identifier: Apache-2.0
 * shim/task_stats.c - the Stats method
 */
#include <errno.h>

#include "shim/shim.h"
#include "shim/stats.h"

#define TYPE_V1 "io.containerd.cgroups.v1.Metrics"
#define TYPE_V2 "io.containerd.cgroups.v2.Metrics"

static const char *dir_of(const void *c, const char *controller)
{
	return lc_cgroup_dir(c, controller);
}

int metrics_read(struct lc_container *c, struct metrics *out, struct err *e)
{
	struct lc_stats s = { 0 };
	bool have = lc_stats(c, &s, e) == 0; /* links, mainly; a Sentry that is gone leaves the cgroup */

	if (lc_cgroup_is_v2(c)) {
		out->type_url = TYPE_V2;
		out->data = metrics_v2(lc_cgroup_dir(c, "memory"), have ? &s : NULL, &out->len);
	} else {
		out->type_url = TYPE_V1;
		out->data = metrics_v1(dir_of, c, have ? &s : NULL, &out->len);
	}
	if (have)
		lc_stats_fini(&s);
	return out->data ? 0 : err_set(e, ENOMEM, "out of memory");
}

void task_stats(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Task__StatsRequest *r = (const Task__StatsRequest *)req;
	Task__StatsResponse resp = TASK__STATS_RESPONSE__INIT;
	Wkt__Any any = WKT__ANY__INIT;
	struct err e = ERR_INIT;
	struct metrics m;
	struct container *c;
	struct process *p;
	bool ready;

	if (!task_lookup(call, r->id, "", &c, &p))
		return;
	pthread_mutex_lock(&c->sh->mu);
	ready = p->state != PROC_CREATING && !c->dead;
	pthread_mutex_unlock(&c->sh->mu);
	if (!ready) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s not created: not found", c->id);
	} else if (metrics_read(c->lc, &m, &e) < 0) {
		task_fail(call, &e);
	} else {
		any.type_url = (char *)m.type_url;
		any.value.data = m.data;
		any.value.len = m.len;
		resp.stats = &any;
		ttrpc_reply(call, &resp.base);
		free(m.data);
	}
	process_put(p);
	container_put(c);
}
