/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/request.c - the specification as the Sentry's CreateContainer and Exec messages
 *
 * Model:   everything a message points at lives in one arena (a struct jdoc without document) or is borrowed from the
 *          specification.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/log.h"
#include "runsc/lib/control.h"
#include "runsc/lib/hints.h"
#include "runsc/lib/seccomp.h"

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

static char *arena_printf(struct jdoc *d, const char *fmt, ...) PRINTF(2, 3);
static char *arena_printf(struct jdoc *d, const char *fmt, ...)
{
	char text[PATH_MAX + 256], *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(text))
		return NULL;
	p = jdoc_alloc(d, (size_t)n + 1, 1);
	if (p)
		memcpy(p, text, (size_t)n + 1);
	return p;
}

/* An array of pointers to @n zeroed elements, each initialised by @init. */
static void **message_array(struct jdoc *d, size_t n, size_t size, const void *init)
{
	void **v = jdoc_alloc(d, n ? n : 1, sizeof(*v));
	char *mem = jdoc_alloc(d, n ? n : 1, size);

	if (!v || !mem)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		v[i] = mem + i * size;
		memcpy(v[i], init, size);
	}
	return v;
}
#define MESSAGES(d, n, type, INIT)                                                                 \
	({                                                                                         \
		static const PB(type) init_ = PB_INIT(INIT);                                       \
		(PB(type) **)message_array(d, n, sizeof(PB(type)), &init_);                        \
	})

/* ---- the process ---------------------------------------------------------------------------------------- */

static uint64_t cap_mask(const struct jstrv *v)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < v->n; i++) {
		int nr = cap_number(v->v[i]);

		if (nr >= 0)
			mask |= 1ull << nr;
		else
			log_warn("ignoring unknown capability %s", v->v[i]);
	}
	return mask;
}

static int fill_rlimits(struct jdoc *d, PB(Process) *out, const struct jarr *a, struct err *e)
{
	const struct oci_rlimit *r = a->v;

	out->rlimits = MESSAGES(d, a->n, Rlimit, RLIMIT);
	if (!out->rlimits)
		return no_memory(e);
	for (size_t i = 0; i < a->n; i++) {
		out->rlimits[i]->resource = (uint32_t)rlimit_number(r[i].type);
		out->rlimits[i]->soft = r[i].soft;
		out->rlimits[i]->hard = r[i].hard;
	}
	out->n_rlimits = a->n;
	return 0;
}

PB(Process) *request_process(struct jdoc *d, const struct oci_process *p, struct err *e)
{
	PB(Process) **one = MESSAGES(d, 1, Process, PROCESS), *out = one ? one[0] : NULL;
	PB(Capabilities) **caps = MESSAGES(d, 1, Capabilities, CAPABILITIES);

	if (!out || !caps) {
		no_memory(e);
		return NULL;
	}
	out->argv = (char **)p->args.v;
	out->n_argv = p->args.n;
	out->env = (char **)p->env.v;
	out->n_env = p->env.n;
	out->cwd = (char *)p->cwd;
	out->uid = p->user.uid;
	out->gid = p->user.gid;
	out->additional_gids = p->user.additional_gids.v;
	out->n_additional_gids = p->user.additional_gids.n;
	out->has_umask = p->user.umask.set;
	out->umask = (uint32_t)p->user.umask.v;
	out->caps = caps[0];
	out->caps->bounding = cap_mask(&p->caps.bounding);
	out->caps->effective = cap_mask(&p->caps.effective);
	out->caps->inheritable = cap_mask(&p->caps.inheritable);
	out->caps->permitted = cap_mask(&p->caps.permitted);
	out->caps->ambient = cap_mask(&p->caps.ambient);
	out->no_new_privs = p->no_new_privs;
	out->terminal = p->terminal;
	out->rows = MIN(p->console.height, 65535u);
	out->cols = MIN(p->console.width, 65535u);
	out->has_oom_score_adj = p->oom_score_adj.set;
	out->oom_score_adj = (int32_t)p->oom_score_adj.v;
	if (p->has_scheduler) {
		out->has_nice = true;
		out->nice = p->scheduler.nice;
		out->sched_policy = (uint32_t)sched_policy_number(p->scheduler.policy);
		out->sched_priority = p->scheduler.priority;
	}
	return fill_rlimits(d, out, &p->rlimits, e) < 0 ? NULL : out;
}

/* ---- mounts ---------------------------------------------------------------------------------------------- */

struct mount_ctx {
	struct request_plan *r;
	const struct oci_spec *s, *pod;
	const struct lc_flags *f;
	const char *bundle;
};

/* An emptyDir that only this pod sees: no need to leave the sandbox. It looks as the kubelet made it. */
static int plan_inside(struct mount_ctx *x, const struct mount_opts *o, const struct mount_hint *h, const struct stat *st,
		       PB(Mount) *out, struct err *e)
{
	size_t n = 0;

	out->type = (char *)"tmpfs";
	out->source = (char *)"tmpfs";
	out->flags = o->flags & ~(uint64_t)MS_REC;
	if (h->share == HINT_POD)
		out->share_key = arena_printf(&x->r->arena, "%.*s", (int)h->name_len, h->name);
	out->options = jdoc_alloc(&x->r->arena, 3, sizeof(*out->options));
	if (!out->share_key || !out->options)
		return no_memory(e);
	out->options[n++] = arena_printf(&x->r->arena, "mode=%o", st->st_mode & 07777);
	if (!spec_namespace(x->s, "user"))
		out->options[n++] = arena_printf(&x->r->arena, "uid=%u,gid=%u", st->st_uid, st->st_gid);
	for (const char *p = h->options; *p; p += strcspn(p, ","), p += *p == ',') {
		/* what limits the file system; how a container mounts it says its own configuration */
		if (strncmp(p, "size=", 5) && strncmp(p, "nr_inodes=", 10))
			continue;
		out->options[n++] = arena_printf(&x->r->arena, "%.*s", (int)strcspn(p, ","), p);
		break;
	}
	for (size_t i = 0; i < n; i++)
		if (!out->options[i])
			return no_memory(e);
	out->n_options = n;
	return 0;
}

static int plan_bind(struct mount_ctx *x, const struct oci_mount *m, const struct mount_opts *o, PB(Mount) *out,
		     struct err *e)
{
	struct bind_source *b = &x->r->binds[x->r->nr_binds];
	struct mount_hint h = { .share = HINT_SHARED };
	struct stat st;
	char *path;
	int hinted;

	path = m->source[0] == '/' ? arena_printf(&x->r->arena, "%s", m->source) :
				     arena_printf(&x->r->arena, "%s/%s", x->bundle, m->source);
	if (!path)
		return no_memory(e);
	hinted = mount_hint_find(x->s, x->pod, m->source, &h, e);
	if (hinted < 0)
		return -1;
	if (stat(path, &st) < 0) {
		if (!hinted || !h.tmpfs || errno != ENOENT)
			return err_sys(e, "source %s", path);
		st = (struct stat){ .st_mode = S_IFDIR | 0777 };
	}
	if (hinted && h.tmpfs && S_ISDIR(st.st_mode))
		return plan_inside(x, o, &h, &st, out, e);
	*b = (struct bind_source){
		.path = path,
		.readonly = o->flags & MS_RDONLY,
		.recursive = o->flags & MS_REC,
		.file = !S_ISDIR(st.st_mode),
		.slave = o->propagation & MS_SLAVE,
		.idmap = o->idmap ? m : NULL,
		.rec_idmap = o->rec_idmap,
		.tree = -1,
	};
	x->r->nr_binds++;
	out->type = (char *)"bind";
	out->attach = (uint32_t)x->r->nr_binds;
	out->is_file = b->file;
	out->exclusive = strcmp(x->f->file_access_mounts, "exclusive") == 0 ||
			 h.share == HINT_CONTAINER;
	out->overlay = x->f->overlay_mounts != LC_OVERLAY_NONE && !b->readonly;
	b->readonly |= out->overlay;
	return 0;
}

static int plan_mount(struct mount_ctx *x, const struct oci_mount *m, PB(Mount) *out, struct err *e)
{
	AUTO_FREE char *clean = path_clean(m->destination);
	struct mount_opts o;
	int ret = 0;

	if (!clean || mount_opts_parse(m, &o, e) < 0)
		return clean ? -1 : no_memory(e);
	out->destination = arena_printf(&x->r->arena, "%s", clean);
	out->type = (char *)m->type;
	out->source = (char *)(m->source ? m->source : "");
	out->flags = o.flags;
	out->propagation = o.propagation;
	out->copy_up = o.copy_up;
	out->options = jdoc_alloc(&x->r->arena, o.nr_data + 1, sizeof(*out->options));
	if (!out->destination || !out->options) {
		ret = no_memory(e);
	} else if (o.bind) {
		for (size_t i = 0; i < o.nr_data; i++)
			log_debug("bind mount %s: option %s has no meaning here", clean, o.data[i]);
		ret = plan_bind(x, m, &o, out, e);
	} else {
		for (size_t i = 0; i < o.nr_data; i++)
			out->options[i] = (char *)o.data[i];
		out->n_options = o.nr_data;
		/* what callers write as a tmpfs is where the runtime has to put the devices */
		if (strcmp(clean, "/dev") == 0 && strcmp(m->type, "tmpfs") == 0)
			out->type = (char *)"devtmpfs";
		else if (strcmp(m->type, "ramfs") == 0)
			out->type = (char *)"tmpfs";
	}
	mount_opts_fini(&o);
	return ret;
}

static int plan_mounts(struct request_plan *r, const struct oci_spec *s, const struct oci_spec *pod,
		       const struct lc_flags *f, const char *bundle, struct err *e)
{
	struct mount_ctx x = { r, s, pod, f, bundle };
	const struct oci_mount *m;
	size_t n, k = 0;
	bool dev = false;

	if (mounts_expand(&r->arena, s->mounts.v, s->mounts.n, &m, &n, e) < 0)
		return -1;
	r->binds = jdoc_alloc(&r->arena, n + 1, sizeof(*r->binds));
	r->msg.mounts = MESSAGES(&r->arena, n + 1, Mount, MOUNT);
	if (!r->binds || !r->msg.mounts)
		return no_memory(e);
	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *clean = path_clean(m[i].destination);

		dev |= clean && strcmp(clean, "/dev") == 0;
	}
	if (!dev) {
		/* the devices every container must have, also when nobody mounts /dev */
		r->msg.mounts[k]->destination = (char *)"/dev";
		r->msg.mounts[k]->type = (char *)"devtmpfs";
		r->msg.mounts[k++]->source = (char *)"tmpfs";
	}
	for (size_t i = 0; i < n; i++)
		if (plan_mount(&x, &m[i], r->msg.mounts[k++], e) < 0)
			return err_wrap(e, "mounts[%zu] (%s)", i, m[i].destination);
	r->msg.n_mounts = k;
	return 0;
}

static int plan_root(struct request_plan *r, const struct oci_spec *s, const struct lc_flags *f, const char *bundle,
		     struct err *e)
{
	const char *overlay = spec_annotation(s, "dev.gvisor.spec.rootfs.overlay");
	char raw[PATH_MAX], real[PATH_MAX];
	struct stat st;

	snprintf(raw, sizeof(raw), "%s%s%s", s->root.path[0] == '/' ? "" : bundle, s->root.path[0] == '/' ? "" : "/",
		 s->root.path);
	if (!realpath(raw, real))
		return err_sys(e, "rootfs (%s)", raw);
	if (stat(real, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "rootfs (%s) is not a directory", raw);
	r->rootfs = arena_printf(&r->arena, "%s", real);
	if (!r->rootfs)
		return no_memory(e);
	r->msg.root_overlay = (PB(RootOverlay))f->overlay_root;
	if (overlay)
		r->msg.root_overlay = strcmp(overlay, "none") == 0   ? 0 :
				      strcmp(overlay, "memory") == 0 ? 1 :
								       2;
	/* A read-only root keeps an upper layer, for the mount points that its image lacks; the mount is read-only. */
	if (s->root.readonly && r->msg.root_overlay)
		r->msg.root_overlay = 1;
	r->root_readonly = s->root.readonly;
	r->msg.root_readonly = s->root.readonly;
	r->root_served_readonly = s->root.readonly || r->msg.root_overlay;
	r->msg.root_exclusive = strcmp(f->file_access, "exclusive") == 0;
	r->msg.root_overlay_max_bytes = f->overlay_size_bytes;
	return 0;
}

/* ---- namespaces and the rest --------------------------------------------------------------------------------- */

static int plan_namespaces(struct request_plan *r, const struct oci_spec *s, const char *id, const char *sandbox_id,
			   struct err *e)
{
	static const struct {
		const char *type;
		PB(NamespaceKind) kind;
	} kinds[] = {
		{ "pid", RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_PID },
		{ "network", RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_NETWORK },
		{ "mount", RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_MOUNT },
		{ "ipc", RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_IPC },
		{ "uts", RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_UTS },
		{ "user", RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_USER },
		{ "cgroup", RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_CGROUP },
		{ "time", RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_TIME },
	};
	const struct oci_namespace *ns = s->linux_.namespaces.v;
	size_t n = s->linux_.namespaces.n, k = 0;

	r->msg.namespaces = MESSAGES(&r->arena, n, Namespace, NAMESPACE);
	if (!r->msg.namespaces)
		return no_memory(e);
	for (size_t i = 0; i < n; i++) {
		bool path = ns[i].path && *ns[i].path;
		PB(Namespace) *out = r->msg.namespaces[k];
		size_t j = 0;

		while (strcmp(kinds[j].type, ns[i].type))
			j++;
		/* the sandbox has one network, made for its first container; a path means the pod's */
		if (kinds[j].kind == RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_NETWORK || (path && !strcmp(id, sandbox_id)))
			continue;
		out->kind = kinds[j].kind;
		out->share_with = (char *)(path ? sandbox_id : "");
		k++;
	}
	r->msg.n_namespaces = k;
	return 0;
}

static int fill_idmaps(struct jdoc *d, const struct jarr *a, PB(IdMap) ***out, size_t *out_n, struct err *e)
{
	const struct oci_idmap *m = a->v;

	*out = MESSAGES(d, a->n, IdMap, ID_MAP);
	if (!*out)
		return no_memory(e);
	for (size_t i = 0; i < a->n; i++) {
		(*out)[i]->inside = m[i].container_id;
		(*out)[i]->outside = m[i].host_id;
		(*out)[i]->count = m[i].size;
	}
	*out_n = a->n;
	return 0;
}

static int plan_lists(struct request_plan *r, const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = &s->linux_;
	const struct oci_device *dev = l->devices.v;

	if (fill_idmaps(&r->arena, &l->uid_maps, &r->msg.uid_maps, &r->msg.n_uid_maps, e) < 0 ||
	    fill_idmaps(&r->arena, &l->gid_maps, &r->msg.gid_maps, &r->msg.n_gid_maps, e) < 0)
		return -1;
	r->msg.masked_paths = (char **)l->masked_paths.v;
	r->msg.n_masked_paths = l->masked_paths.n;
	r->msg.readonly_paths = (char **)l->readonly_paths.v;
	r->msg.n_readonly_paths = l->readonly_paths.n;
	r->msg.sysctls = MESSAGES(&r->arena, l->sysctl.n, Sysctl, SYSCTL);
	r->msg.devices = MESSAGES(&r->arena, l->devices.n, Device, DEVICE);
	r->msg.annotations = MESSAGES(&r->arena, s->annotations.n, Annotation, ANNOTATION);
	if (!r->msg.sysctls || !r->msg.devices || !r->msg.annotations)
		return no_memory(e);
	for (size_t i = 0; i < l->sysctl.n; i++) {
		char path[SYSCTL_PATH_SIZE];

		if (!sysctl_path(l->sysctl.v[i].key, path))
			return err_set(e, EINVAL, "sysctl \"%.200s\" is no name", l->sysctl.v[i].key);
		r->msg.sysctls[i]->path = arena_printf(&r->arena, "%s", path);
		r->msg.sysctls[i]->optional = sysctl_of_linux(path);
		r->msg.sysctls[i]->value = (char *)l->sysctl.v[i].value;
	}
	r->msg.n_sysctls = l->sysctl.n;
	for (size_t i = 0; i < l->devices.n; i++) {
		PB(Device) *out = r->msg.devices[i];

		out->path = (char *)dev[i].path;
		out->type = dev[i].type[0] == 'u' ? 'c' : (uint32_t)dev[i].type[0];
		out->major = (uint32_t)dev[i].major.v;
		out->minor = (uint32_t)dev[i].minor.v;
		out->mode = dev[i].mode.set ? (uint32_t)dev[i].mode.v & 07777 : 0666;
		out->uid = (uint32_t)dev[i].uid.v;
		out->gid = (uint32_t)dev[i].gid.v;
	}
	r->msg.n_devices = l->devices.n;
	for (size_t i = 0; i < s->annotations.n; i++) {
		r->msg.annotations[i]->key = (char *)s->annotations.v[i].key;
		r->msg.annotations[i]->value = (char *)s->annotations.v[i].value;
	}
	r->msg.n_annotations = s->annotations.n;
	return 0;
}

/* CPUs to show: what may be used at once, by affinity and by quota (rounded up). */
static uint32_t cpu_count(const struct oci_resources *res)
{
	uint64_t n = 1;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (uint64_t)CPU_COUNT(&set);
	if (res->cpu.quota.set && res->cpu.quota.v > 0) {
		uint64_t period = res->cpu.period.set && res->cpu.period.v ? res->cpu.period.v : 100000;

		n = MIN(n, ((uint64_t)res->cpu.quota.v + period - 1) / period);
	}
	return (uint32_t)MAX(n, (uint64_t)1);
}

static uint64_t limit_of(int64_t v)
{
	return v < 0 ? UINT64_MAX : (uint64_t)v;
}

void request_resources(const struct oci_resources *r, PB(Resources) *out)
{
	*out = (PB(Resources))PB_INIT(RESOURCES);
	out->has_memory_max = r->memory.limit.set && r->memory.limit.v;
	out->memory_max = limit_of(r->memory.limit.v);
	/* OCI counts memory and swap together. */
	out->has_swap_max = r->memory.swap.set && r->memory.swap.v &&
			    (r->memory.swap.v < 0 || (out->has_memory_max && r->memory.swap.v >= r->memory.limit.v));
	out->swap_max = r->memory.swap.v < 0 || r->memory.limit.v < 0 ? UINT64_MAX : (uint64_t)(r->memory.swap.v - r->memory.limit.v);
	out->has_cpu_quota = r->cpu.quota.set && r->cpu.quota.v;
	out->cpu_quota_us = limit_of(r->cpu.quota.v);
	out->has_pids_max = r->pids.limit.set && r->pids.limit.v;
	out->pids_max = limit_of(r->pids.limit.v);
	out->memory_low = r->memory.reservation.set && r->memory.reservation.v > 0 ? (uint64_t)r->memory.reservation.v : 0;
	out->cpu_period_us = r->cpu.period.set ? r->cpu.period.v : 0;
	out->cpu_shares = r->cpu.shares.set ? r->cpu.shares.v : 0;
	out->cpus = (char *)(r->cpu.cpus ? r->cpu.cpus : "");
}

int request_plan(struct request_plan *r, const struct oci_spec *s, const struct oci_spec *pod, const struct lc_flags *f,
		 const char *id, const char *sandbox_id, const char *bundle, struct err *e)
{
	const struct oci_resources *res = &s->linux_.resources;

	memset(r, 0, sizeof(*r));
	r->root_tree = -1;
	r->msg = (PB(CreateContainerRequest))PB_INIT(CREATE_CONTAINER_REQUEST);
	r->msg.id = (char *)id;
	r->msg.sandbox_id = (char *)sandbox_id;
	r->msg.hostname = (char *)(s->hostname ? s->hostname : "");
	r->msg.domainname = (char *)(s->domainname ? s->domainname : "");
	r->msg.cpu_count = cpu_count(res);
	request_resources(res, &r->resources);
	r->msg.resources = &r->resources;
	if (res->memory.limit.set && res->memory.limit.v > 0)
		r->msg.memory_limit_bytes = (uint64_t)res->memory.limit.v;
	r->msg.process = request_process(&r->arena, &s->process, e);
	if (r->msg.process && f->oci_seccomp && seccomp_compile(&r->arena, s->linux_.seccomp, &r->msg.process->seccomp_bpf, e) < 0) {
		request_plan_fini(r);
		return -1;
	}
	if (r->msg.process && plan_root(r, s, f, bundle, e) == 0 && plan_mounts(r, s, pod, f, bundle, e) == 0 &&
	    plan_namespaces(r, s, id, sandbox_id, e) == 0 && plan_lists(r, s, e) == 0)
		return 0;
	request_plan_fini(r);
	return -1;
}

void request_plan_fini(struct request_plan *r)
{
	jdoc_free(&r->arena);
}

/* ---- descriptors ------------------------------------------------------------------------------------------ */

void fd_list_add(struct fd_list *l, PB(FdRole) role, int fd)
{
	if (fd < 0)
		return;
	BUG_ON(l->nr == ARRAY_SIZE(l->fd));
	l->fd[l->nr] = fd;
	l->role[l->nr++] = role;
}

void fd_list_stdio(struct fd_list *l, const int stdio[3], int console)
{
	if (console >= 0) {
		fd_list_add(l, PB_ROLE(FD_CONSOLE), console);
		return;
	}
	fd_list_add(l, PB_ROLE(FD_STDIN), stdio[0]);
	fd_list_add(l, PB_ROLE(FD_STDOUT), stdio[1]);
	fd_list_add(l, PB_ROLE(FD_STDERR), stdio[2]);
}

int fd_list_pass(struct fd_list *l, struct jdoc *d, PB(Process) *p, const int *fds, const int *as, size_t nr, struct err *e)
{
	if (nr > PASS_FDS_MAX)
		return err_set(e, EINVAL, "more than %d descriptors to pass", PASS_FDS_MAX);
	p->passed_as = jdoc_alloc(d, nr ? nr : 1, sizeof(*p->passed_as));
	if (!p->passed_as)
		return no_memory(e);
	for (size_t i = 0; i < nr; i++) {
		if (as && as[i] < 3)
			return err_set(e, EINVAL, "descriptor %d cannot be passed as %d: that is stdio", fds[i], as[i]);
		p->passed_as[i] = as ? (uint32_t)as[i] : 3 + (uint32_t)i;
		fd_list_add(l, PB_ROLE(FD_PASSED), fds[i]);
	}
	p->n_passed_as = nr;
	return 0;
}

/* The words for an error number that callers look for: those of Go's library, which are strerror()'s in lower case. */
static const char *errno_text(uint32_t nr, char *out, size_t cap)
{
	snprintf(out, cap, "%s", nr == ELOOP ? "too many levels of symbolic links" : strerror((int)nr));
	if (out[0] >= 'A' && out[0] <= 'Z' && out[1] >= 'a' && out[1] <= 'z')
		out[0] = (char)(out[0] - 'A' + 'a');
	return out;
}

int exec_error(struct err *e, const char *argv0, uint32_t exec_errno, uint32_t cwd_errno, const char *cwd)
{
	uint32_t nr = cwd_errno ? cwd_errno : exec_errno;
	int code = nr == ENOENT ? LC_E_NOEXEC_ENOENT : nr == EACCES ? LC_E_NOEXEC_EACCES : LC_E_NOEXEC_OTHER;
	char text[128];

	errno_text(nr, text, sizeof(text));
	if (cwd_errno)
		return err_set(e, code, "chdir to cwd (\"%s\") set in config.json failed: %s", cwd, text);
	if (exec_errno == ENOENT && !strchr(argv0, '/'))
		return err_set(e, code, "exec: \"%s\": executable file not found in $PATH", argv0);
	if (exec_errno == ENOENT || exec_errno == ENOTDIR || exec_errno == ELOOP || exec_errno == ENAMETOOLONG)
		return err_set(e, code, "exec: \"%s\": stat %s: %s", argv0, argv0, text);
	if (exec_errno == EACCES || exec_errno == EISDIR)
		return err_set(e, code, "exec: \"%s\": %s", argv0, text);
	return err_set(e, code, "exec %s: %s", argv0, text);
}
