/* SPDX-License-Identifier: Apache-2.0
 * shim/sandbox.c - containerd.runtime.sandbox.v1.Sandbox: pods without a pause container
 *
 * Model:   the sandbox is one container of ours, with the sandbox's id, whose events stay inside
 *          (container->quiet): containerd follows it by WaitSandbox.
 * Source:  CONVENTIONS D.10.
 */
#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fdpass.h"
#include "criapi.pb-c.h"
#include "sandbox.pb-c.h"
#include "shim/sandbox.h"
#include "shim/shim_util.h"
#include "shim/stats.h"

#define CONFIG_MEM_MAX (16u << 20)
#define STOP_WAIT_S    10

struct sandbox {
	struct container *c; /* reference */
	uint64_t created_ns;
};

/* The sandbox's container with a reference, or NULL with the call ended. */
static struct container *find(struct ttrpc_call *call, const char *id, uint64_t *out_created)
{
	struct shim *sh = ttrpc_call_ctx(call);
	struct container *c = NULL;

	pthread_mutex_lock(&sh->mu);
	if (sh->sandbox && !strcmp(sh->sandbox->c->id, id)) {
		c = sh->sandbox->c;
		ref_get(&c->refs);
		if (out_created)
			*out_created = sh->sandbox->created_ns;
	}
	pthread_mutex_unlock(&sh->mu);
	if (!c)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "sandbox %s: not found", id);
	return c;
}

/* ---- create ---- */

static int write_rootfs(int bundle, struct err *e)
{
	static const char *const dirs[] = { "proc", "sys", "dev" }; /* mount points: it is read-only later */
	AUTO_CLOSE int dir = -1, fd = -1;
	int ret;

	if (mkdirat(bundle, PAUSE_ROOT, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make " PAUSE_ROOT);
	dir = openat(bundle, PAUSE_ROOT, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(dir, dirs[i], 0755) < 0 && errno != EEXIST)
			return err_sys(e, "make " PAUSE_ROOT "/%s", dirs[i]);
	fd = dir < 0 ? -1 : openat(dir, "pause", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0755);
	if (fd < 0)
		return err_sys(e, "make " PAUSE_ROOT "/pause");
	ret = write_full(fd, pause_elf, pause_elf_len);
	if (ret == 0 && fchmod(fd, 0755) < 0)
		ret = -errno;
	if (ret < 0) {
		errno = -ret;
		return err_sys(e, "write " PAUSE_ROOT "/pause");
	}
	return 0;
}

static char *spec_from_config(const Sandbox__CreateSandboxRequest *r, struct err *e)
{
	Criapi__PodSandboxConfig *pod = NULL;
	AUTO_FREE const char **ann = NULL;
	AUTO_FREE char *cgroup = NULL;
	const char *hostname = "";
	size_t n = 0;
	char *out;

	if (r->options && r->options->value.len) {
		pod = (Criapi__PodSandboxConfig *)ttrpc_msg_unpack(&criapi__pod_sandbox_config__descriptor,
								   r->options->value.data,
								   r->options->value.len, CONFIG_MEM_MAX);
		if (!pod) {
			err_set(e, EINVAL, "sandbox options are no PodSandboxConfig: invalid argument");
			return NULL;
		}
		hostname = pod->hostname;
	}
	ann = calloc(2 * (r->n_annotations + (pod ? pod->n_annotations : 0)) + 1, sizeof(*ann));
	for (size_t i = 0; pod && ann && i < pod->n_annotations; i++, n++) {
		ann[2 * n] = pod->annotations[i]->key;
		ann[2 * n + 1] = pod->annotations[i]->value;
	}
	for (size_t i = 0; ann && i < r->n_annotations; i++, n++) {
		ann[2 * n] = r->annotations[i]->key;
		ann[2 * n + 1] = r->annotations[i]->value;
	}
	if (pod && pod->linux_config && pod->linux_config->cgroup_parent[0] &&
	    asprintf(&cgroup, "%s/%s", pod->linux_config->cgroup_parent, r->sandbox_id) < 0)
		cgroup = NULL;
	out = ann ? sandbox_spec_json(r->sandbox_id, r->netns_path, hostname, cgroup ? cgroup : "", ann, n, e) :
		    NULL;
	if (pod)
		ttrpc_msg_free(&pod->base);
	return out;
}

/* A bundle that has a configuration and a root file system is used as it is. */
static int prepare_bundle(const Sandbox__CreateSandboxRequest *r, struct err *e)
{
	AUTO_CLOSE int dir = open(r->bundle_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FREE char *json = NULL;

	if (dir < 0)
		return err_sys(e, "open bundle %s", r->bundle_path);
	if (r->n_rootfs && faccessat(dir, "config.json", R_OK, 0) == 0)
		return 0;
	json = spec_from_config(r, e);
	if (!json || write_rootfs(dir, e) < 0)
		return -1;
	if (shim_write_file(dir, "config.json", json, strlen(json)) < 0)
		return err_sys(e, "write config.json");
	return 0;
}

static int create(struct shim *sh, const Sandbox__CreateSandboxRequest *r, struct err *e)
{
	Task__CreateTaskRequest t = TASK__CREATE_TASK_REQUEST__INIT;
	struct sandbox *sb = calloc(1, sizeof(*sb));
	int ret = 0;

	if (!sb)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_lock(&sh->mu);
	if (sh->sandbox)
		ret = err_set(e, EEXIST, "sandbox %s: already exists", r->sandbox_id);
	pthread_mutex_unlock(&sh->mu);
	if (ret == 0)
		ret = prepare_bundle(r, e);
	t.id = r->sandbox_id;
	t.bundle = r->bundle_path;
	t.n_rootfs = r->n_rootfs;
	t.rootfs = r->rootfs;
	if (ret == 0)
		ret = container_create(sh, &t, true, &sb->c, e);
	if (ret < 0) {
		free(sb);
		return -1;
	}
	sb->created_ns = wall_now_ns();
	pthread_mutex_lock(&sh->mu);
	sh->sandbox = sb; /* the id is unique among containers: nobody else got this far */
	pthread_mutex_unlock(&sh->mu);
	return 0;
}

static void sandbox_create(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	struct err e = ERR_INIT;

	if (create(ttrpc_call_ctx(call), (const Sandbox__CreateSandboxRequest *)req, &e) < 0)
		task_fail(call, &e);
	else
		ttrpc_reply(call, NULL);
}

static void sandbox_start(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	Sandbox__StartSandboxResponse resp = SANDBOX__START_SANDBOX_RESPONSE__INIT;
	struct err e = ERR_INIT;
	uint64_t created;
	struct container *c = find(call, ((const Sandbox__StartSandboxRequest *)req)->sandbox_id, &created);
	Wkt__Timestamp ts;

	if (!c)
		return;
	if (container_start(c, &e) < 0) {
		task_fail(call, &e);
	} else {
		resp.pid = (uint32_t)c->init->pid;
		resp.created_at = timestamp_set(&ts, created);
		ttrpc_reply(call, &resp.base);
	}
	container_put(c);
}

static void sandbox_platform(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	Sandbox__PlatformResponse resp = SANDBOX__PLATFORM_RESPONSE__INIT;
	Ctypes__Platform p = CTYPES__PLATFORM__INIT;

	p.os = "linux";
	p.architecture = "amd64";
	resp.platform = &p;
	ttrpc_reply(call, &resp.base);
}

/* ---- stop, status ---- */

static enum proc_state state_of(struct container *c)
{
	enum proc_state st;

	pthread_mutex_lock(&c->sh->mu);
	st = c->init->state;
	pthread_mutex_unlock(&c->sh->mu);
	return st;
}

/* Kills the first process, and waits for it at most @seconds. */
static int stop(struct container *c, unsigned seconds, struct err *e)
{
	struct shim *sh = c->sh;
	struct timespec until;
	int ret = 0;

	if (state_of(c) == PROC_STOPPED)
		return 0;
	if (lc_signal(c->lc, NULL, SIGKILL, LC_SIG_ALL, e) < 0 && e->code != ESRCH)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds ? seconds : STOP_WAIT_S;
	pthread_mutex_lock(&sh->mu);
	while (c->init->state != PROC_STOPPED && ret == 0)
		ret = pthread_cond_timedwait(&sh->changed, &sh->mu, &until);
	pthread_mutex_unlock(&sh->mu);
	return ret ? err_set(e, ETIMEDOUT, "sandbox %s did not stop", c->id) : 0;
}

static void sandbox_stop(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const Sandbox__StopSandboxRequest *r = (const Sandbox__StopSandboxRequest *)req;
	struct container *c = find(call, r->sandbox_id, NULL);
	struct err e = ERR_INIT;

	if (!c)
		return;
	if (stop(c, MIN(r->timeout_secs, 3600u), &e) < 0)
		task_fail(call, &e);
	else
		ttrpc_reply(call, NULL);
	container_put(c);
}

static void sandbox_wait(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	/* the same fields in the same places as the task's */
	task_wait_for(call, ((const Sandbox__WaitSandboxRequest *)req)->sandbox_id, "");
}

static void sandbox_status(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	Sandbox__SandboxStatusResponse resp = SANDBOX__SANDBOX_STATUS_RESPONSE__INIT;
	uint64_t created;
	struct container *c = find(call, ((const Sandbox__SandboxStatusRequest *)req)->sandbox_id, &created);
	Wkt__Timestamp t1, t2;

	if (!c)
		return;
	resp.sandbox_id = c->id;
	resp.pid = (uint32_t)c->init->pid;
	resp.state = state_of(c) == PROC_RUNNING ? "SANDBOX_READY" : "SANDBOX_NOTREADY";
	resp.created_at = timestamp_set(&t1, created);
	if (state_of(c) == PROC_STOPPED)
		resp.exited_at = timestamp_set(&t2, c->init->exited_at_ns);
	ttrpc_reply(call, &resp.base);
	container_put(c);
}

static void sandbox_ping(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	struct container *c = find(call, ((const Sandbox__PingRequest *)req)->sandbox_id, NULL);

	if (c)
		ttrpc_reply(call, NULL);
	container_put(c);
}

static void sandbox_metrics(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	Sandbox__SandboxMetricsResponse resp = SANDBOX__SANDBOX_METRICS_RESPONSE__INIT;
	struct container *c = find(call, ((const Sandbox__SandboxMetricsRequest *)req)->sandbox_id, NULL);
	Ctypes__Metric m = CTYPES__METRIC__INIT;
	Wkt__Any any = WKT__ANY__INIT;
	struct err e = ERR_INIT;
	struct metrics data;
	Wkt__Timestamp ts;

	if (!c)
		return;
	if (metrics_read(c->lc, &data, &e) < 0) {
		task_fail(call, &e);
	} else {
		any.type_url = (char *)data.type_url;
		any.value.data = data.data;
		any.value.len = data.len;
		m.id = c->id;
		m.timestamp = timestamp_set(&ts, wall_now_ns());
		m.data = &any;
		resp.metrics = &m;
		ttrpc_reply(call, &resp.base);
		free(data.data);
	}
	container_put(c);
}

/* Ends the sandbox, and the shim with it. An unknown sandbox is what the caller wants already. */
static void sandbox_shutdown(struct ttrpc_call *call, const ProtobufCMessage *req)
{
	const char *id = ((const Sandbox__ShutdownSandboxRequest *)req)->sandbox_id;
	struct shim *sh = ttrpc_call_ctx(call);
	struct sandbox *sb = NULL;
	struct err e = ERR_INIT;
	bool empty;

	pthread_mutex_lock(&sh->mu);
	if (sh->sandbox && !strcmp(sh->sandbox->c->id, id)) {
		sb = sh->sandbox;
		sh->sandbox = NULL;
	}
	pthread_mutex_unlock(&sh->mu);
	if (sb) {
		stop(sb->c, STOP_WAIT_S, &e);
		if (container_delete(sb->c, &e) < 0) {
			pthread_mutex_lock(&sh->mu);
			sh->sandbox = sb;
			pthread_mutex_unlock(&sh->mu);
			task_fail(call, &e);
			return;
		}
		container_put(sb->c);
		free(sb);
	}
	pthread_mutex_lock(&sh->mu);
	empty = shim_empty(sh);
	sh->shutting_down |= empty;
	pthread_mutex_unlock(&sh->mu);
	ttrpc_reply(call, NULL);
	if (empty)
		shim_shutdown(sh);
}

#define M(name, in, out, fn, flags) { name, &sandbox__##in##__descriptor, &sandbox__##out##__descriptor, fn, flags }
static const struct ttrpc_method sandbox_methods[] = {
	M("CreateSandbox", create_sandbox_request, create_sandbox_response, sandbox_create, SHIM_BLOCKS),
	M("StartSandbox", start_sandbox_request, start_sandbox_response, sandbox_start, SHIM_BLOCKS),
	M("Platform", platform_request, platform_response, sandbox_platform, 0),
	M("StopSandbox", stop_sandbox_request, stop_sandbox_response, sandbox_stop, SHIM_BLOCKS),
	M("WaitSandbox", wait_sandbox_request, wait_sandbox_response, sandbox_wait, 0),
	M("SandboxStatus", sandbox_status_request, sandbox_status_response, sandbox_status, 0),
	M("PingSandbox", ping_request, ping_response, sandbox_ping, 0),
	M("ShutdownSandbox", shutdown_sandbox_request, shutdown_sandbox_response, sandbox_shutdown, SHIM_BLOCKS),
	M("SandboxMetrics", sandbox_metrics_request, sandbox_metrics_response, sandbox_metrics, SHIM_BLOCKS),
};

const struct ttrpc_service sandbox_service = { "containerd.runtime.sandbox.v1.Sandbox", sandbox_methods,
					       ARRAY_SIZE(sandbox_methods) };
