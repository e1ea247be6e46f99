/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/query.c - what can be asked of a container: state, processes, list
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runsc/lib/container.h"
#include "runsc/lib/control.h"

const char *lc_id(const struct lc_container *c)
{
	return c->id;
}

const char *lc_sandbox_id(const struct lc_container *c)
{
	return c->st.sandbox_id;
}

const char *lc_bundle(const struct lc_container *c)
{
	return c->st.bundle;
}

pid_t lc_pid(const struct lc_container *c)
{
	return (pid_t)c->st.gofer.pid;
}

pid_t lc_sandbox_pid(const struct lc_container *c)
{
	return (pid_t)c->st.sentry.pid;
}

pid_t lc_zygote_pid(const struct lc_container *c)
{
	return (pid_t)c->st.zygote.pid;
}

bool lc_has_terminal(const struct lc_container *c)
{
	const struct oci_spec *s = container_spec((struct lc_container *)c, NULL);

	return s && s->process.terminal;
}

const char *lc_netns(const struct lc_container *c)
{
	return c->st.netns && *c->st.netns && c->st.saved_net ? c->st.netns : NULL;
}

bool lc_shares_pid_ns(const struct lc_container *c)
{
	const struct oci_spec *s = container_spec((struct lc_container *)c, NULL);
	const struct oci_namespace *ns = s ? spec_namespace(s, "pid") : NULL;

	return s && (!ns || (ns->path && *ns->path));
}

const char *lc_annotation(const struct lc_container *c, const char *key)
{
	const struct oci_spec *s = container_spec((struct lc_container *)c, NULL);

	return s ? spec_annotation(s, key) : NULL;
}

enum lc_status lc_status(struct lc_container *c)
{
	enum lc_status now;

	if (state_status(c, &now, NULL) < 0) { /* deleted, or damaged: its processes tell */
		if (c->st.status == LC_CREATING)
			return LC_STOPPED;
		now = c->st.status;
	}
	if (now == LC_STOPPED || proc_alive(c->st.gofer))
		return now;
	/* a creation that has no process yet is not over */
	if (now == LC_CREATING && !c->st.gofer.pid)
		return LC_CREATING;
	return LC_STOPPED;
}

const char *lc_cgroup_dir(const struct lc_container *c, const char *v1_controller)
{
	return cgroup_dir_of(&c->st.cg, v1_controller);
}

bool lc_cgroup_is_v2(const struct lc_container *c)
{
	return c->st.cg.version == CG_V2;
}

void state_rootfs(const struct lc_container *c, const struct oci_spec *s, char out[ROOTFS_MAX])
{
	bool absolute = s->root.path[0] == '/';

	snprintf(out, ROOTFS_MAX, "%s%s%s", absolute ? "" : c->st.bundle, absolute ? "" : "/", s->root.path);
}

struct json_object *state_object(struct lc_container *c, struct err *e)
{
	const struct oci_spec *s = container_spec(c, e);
	enum lc_status status = lc_status(c);
	struct json_object *o, *a;
	char rootfs[ROOTFS_MAX];

	if (!s)
		return NULL;
	o = json_object_new_object();
	if (!o) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	jo_str(o, "ociVersion", s->version);
	jo_str(o, "id", c->id);
	jo_int(o, "pid", status == LC_STOPPED ? 0 : lc_pid(c));
	jo_str(o, "status", lc_status_name(status));
	jo_str(o, "bundle", c->st.bundle);
	state_rootfs(c, s, rootfs);
	jo_str(o, "rootfs", rootfs);
	jo_str(o, "created", c->st.created);
	jo_str(o, "owner", c->st.owner_uid ? "" : "root");
	if (!s->annotations.n)
		return o;
	a = json_object_new_object();
	for (size_t i = 0; a && i < s->annotations.n; i++)
		jo_str(a, s->annotations.v[i].key, s->annotations.v[i].value);
	jo_obj(o, "annotations", a);
	return o;
}

int lc_state_json(struct lc_container *c, struct buf *out, struct err *e)
{
	struct json_object *o = state_object(c, e);

	if (!o)
		return -1;
	buf_printf(out, "%s\n",
		   json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
							     JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return out->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

/* ---- processes ----------------------------------------------------------------------------------------------- */

/* Children of @pid (by /proc/pid/task/tid/children), for containers without a cgroup of their own. */
static void add_children(pid_t pid, pid_t **v, size_t *n, int depth)
{
	char path[64];
	AUTO_FREE char *text = NULL;
	char *save = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (depth > 8 || read_file_at(-1, path, 1 << 20, &text, &len) < 0)
		return;
	for (char *w = strtok_r(text, " \n", &save); w && *n < 65536; w = strtok_r(NULL, " \n", &save)) {
		pid_t *bigger = realloc(*v, (*n + 1) * sizeof(**v));

		if (!bigger)
			return;
		*v = bigger;
		(*v)[(*n)++] = atoi(w);
		add_children(atoi(w), v, n, depth + 1);
	}
}

/* The cgroup also holds our own Sentry, gofer and zygote, which are no processes of the container. */
int lc_host_pids(struct lc_container *c, pid_t **out, size_t *nr, struct err *e)
{
	pid_t *v = NULL, init = lc_pid(c);
	size_t n = 0, k;

	if (lc_status(c) == LC_STOPPED)
		return err_set(e, ESRCH, "container not running");
	if (c->st.cg.version != CG_NONE) {
		if (cgroup_pids(&c->st.cg, &v, &n, e) < 0)
			return -1;
	} else {
		add_children((pid_t)c->st.zygote.pid, &v, &n, 0);
	}
	k = 0;
	*out = calloc(n + 1, sizeof(**out));
	if (!*out) {
		free(v);
		return err_set(e, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < n; i++)
		if (v[i] != init && v[i] != (pid_t)c->st.sentry.pid && v[i] != (pid_t)c->st.zygote.pid)
			(*out)[k++] = v[i];
	if (!k)
		(*out)[k++] = init; /* nothing runs yet, but something is there */
	*nr = k;
	free(v);
	return 0;
}

void lc_processes_free(struct lc_process *p, size_t nr)
{
	for (size_t i = 0; p && i < nr; i++)
		free(p[i].command);
	free(p);
}

int lc_processes(struct lc_container *c, struct lc_process **out, size_t *nr, struct err *e)
{
	PB(ContainerRequest) m = PB_INIT(CONTAINER_REQUEST);
	const PB(ProcessesResponse) *r;
	struct ttrpc_result res;

	m.id = c->id;
	if (control_do(c, "Processes", &m.base, PB_DESC(processes_response), &res, e) < 0)
		return -1;
	r = (const PB(ProcessesResponse) *)res.resp;
	*nr = r->n_processes;
	*out = calloc(*nr ? *nr : 1, sizeof(**out));
	for (size_t i = 0; *out && i < *nr; i++) {
		const PB(ProcessInfo) *p = r->processes[i];
		struct lc_process *q = &(*out)[i];

		q->pid = p->pid;
		q->ppid = p->ppid;
		q->uid = p->uid;
		q->threads = p->threads;
		q->start_ns = p->start_ns;
		q->cpu_ns = p->cpu_ns;
		snprintf(q->tty, sizeof(q->tty), "%s", p->tty);
		snprintf(q->exec_id, sizeof(q->exec_id), "%s", p->exec_id);
		q->command = strdup(p->command);
	}
	ttrpc_result_fini(&res);
	return *out ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* ---- list ------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int lc_list(const struct lc_flags *f, int (*fn)(const char *id, struct lc_container *c, void *arg), void *arg,
	    struct err *e)
{
	DIR *d = opendir(f->root);
	char **names = NULL;
	size_t n = 0, cap = 0;
	struct dirent *de;
	int ret = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", f->root);
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.' || (de->d_type != DT_DIR && de->d_type != DT_UNKNOWN))
			continue;
		if (n == cap) {
			char **bigger = realloc(names, (cap = cap ? cap * 2 : 32) * sizeof(*names));

			if (!bigger) {
				ret = err_set(e, ENOMEM, "out of memory");
				break;
			}
			names = bigger;
		}
		names[n] = strdup(de->d_name);
		n += names[n] != NULL;
	}
	closedir(d);
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++) {
		struct lc_container *c = NULL;

		if (ret == 0) {
			if (lc_load(f, names[i], &c, NULL) < 0)
				c = NULL;
			ret = fn(names[i], c, arg) ? 1 : 0;
			lc_free(c);
		}
		free(names[i]);
	}
	free(names);
	return ret < 0 ? -1 : 0;
}
