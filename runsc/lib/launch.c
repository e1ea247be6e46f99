/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/launch.c - the processes of a container: Sentry, gofer, zygote
 *
 * Model:   DESIGN section 1 and 3. Sentry: own user namespace in which only nobody exists, own pid, mount, net, ipc and
 *          uts namespaces, empty root. Gofer: own pid, mount, ipc, uts; the container's network namespace (hooks
 *          and CNI find it by the gofer's pid) and user namespace. Zygote: born in the Sentry's user and pid namespaces,
 *          with user, pid, mount, net, ipc and uts namespaces of its own below them, empty root. Equal ids and the
 *          Sentry's owning that user namespace: that, and nothing else, lets it read a stub's memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "cni/netcfg.h"
#include "runsc/lib/create.h"
#include "runsc/lib/idmap.h"

#define GOFER_FD_TREES	 7 /* the first descriptor of a mount: gofer/mounts.h */
#define SENTRY_OOM_SCORE (-999) /* the container's own processes go first */

static char *const no_env[] = { NULL };

char *lc_find_runsc(const struct lc_flags *f, struct err *e)
{
	char self[4096], *slash, *path = NULL;
	const char *env = getenv("PATH");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 16);

	if (f->runsc_path)
		return strdup(f->runsc_path);
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (strncmp(slash + 1, "runsc", 5) == 0)
			return strdup("/proc/self/exe");
		strcpy(slash + 1, "runsc");
		if (access(self, X_OK) == 0)
			return strdup(self);
	}
	for (const char *p = env; p && *p; p += strcspn(p, ":"), p += *p == ':') {
		if (asprintf(&path, "%.*s/runsc", (int)strcspn(p, ":"), p) < 0)
			break;
		if (access(path, X_OK) == 0)
			return path;
		free(path);
		path = NULL;
	}
	err_set(e, ENOENT, "runsc: executable file not found beside this program nor in $PATH");
	return NULL;
}

int open_runsc(const struct lc_flags *f, struct err *e)
{
	AUTO_FREE char *path = lc_find_runsc(f, e);
	int fd;

	if (!path)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err_sys(e, "open %s", path);
	return fd;
}

/* A directory gets one file per container; %ID% and %TIMESTAMP% are replaced as the peer's users expect. */
int open_child_log(const struct lc_flags *f, const char *id, struct err *e)
{
	const char *p = f->debug_log;
	char path[4096];
	size_t n = 0;
	int fd;

	if (!p || !*p)
		return -1;
	for (; *p && n < sizeof(path) - 300; p++) {
		if (strncmp(p, "%ID%", 4) == 0) {
			n += (size_t)snprintf(path + n, sizeof(path) - n, "%s", id);
			p += 3;
		} else if (strncmp(p, "%COMMAND%", 9) == 0) {
			n += (size_t)snprintf(path + n, sizeof(path) - n, "boot");
			p += 8;
		} else if (strncmp(p, "%TIMESTAMP%", 11) == 0) {
			n += (size_t)snprintf(path + n, sizeof(path) - n, "%lld", (long long)time(NULL));
			p += 10;
		} else {
			path[n++] = *p;
		}
	}
	path[n] = '\0';
	if (n && path[n - 1] == '/') {
		mkdir(path, 0700);
		snprintf(path + n, sizeof(path) - n, "runsc.%s.log", id);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		err_sys(e, "open debug log %s", path);
	return fd;
}

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

/* Named by the caller; else, under the shim, in the directory that the kubelet keeps for the pod's logs, where not having it is
 * no reason to fail. */
int open_user_log(const struct creation *x, int *out, struct err *e)
{
	const char *path = x->a->user_log ? x->a->user_log : x->flags.user_log;
	const char *dir = spec_annotation(&x->c->spec, "io.kubernetes.cri.sandbox-log-directory");
	AUTO_FREE char *in_dir = NULL;
	bool asked = path && *path;

	*out = -1;
	if (!asked && (!x->flags.pod_log || !dir || !*dir))
		return 0;
	if (!asked && asprintf(&in_dir, "%s/gvisor.log", dir) < 0) {
		in_dir = NULL;
		return no_memory(e);
	}
	path = asked ? path : in_dir;
	*out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (*out < 0 && asked)
		return err_sys(e, "open user log %s", path);
	if (*out < 0)
		log_debug("no user log %s: %s", path, strerror(errno));
	return 0;
}

/* Cgroup entry for children that are born after the cgroup is: v2 by clone, v1 by their own hand. */
struct entry {
	int v2, v1[CGROUP_DIRS_MAX];
	int nr_v1;
};

static int entry_open(struct entry *en, const struct cgroup *g, struct err *e)
{
	en->v2 = -1;
	en->nr_v1 = cgroup_open_tasks(g, en->v1, e);
	if (en->nr_v1 < 0) {
		en->nr_v1 = 0;
		return -1;
	}
	if (g->version == CG_V2 && g->nr_dirs) {
		en->v2 = cgroup_open_v2(g, e);
		return en->v2 < 0 ? -1 : 0;
	}
	return 0;
}

static void entry_close(struct entry *en)
{
	if (en->v2 >= 0)
		close(en->v2);
	for (int i = 0; i < en->nr_v1; i++)
		close(en->v1[i]);
}

static int start(struct creation *x, struct spawn *s, struct child *c, bool in_cgroup, struct err *e)
{
	struct entry en = { .v2 = -1 };
	int ret;

	if (in_cgroup && entry_open(&en, &x->c->st.cg, e) < 0) {
		entry_close(&en);
		return -1;
	}
	s->exe_fd = x->exe;
	s->envp = no_env;
	s->cgroup_fd = en.v2;
	s->cgroup_task_fds = en.v1;
	s->nr_cgroup_task_fds = (size_t)en.nr_v1;
	ret = spawn_begin(s, c, e);
	/* the child has its own copies of the descriptors by now */
	entry_close(&en);
	return ret;
}

/* Arguments must outlive the exec: they live in the plan's arena. */
static char **arg_vector(struct creation *x, size_t cap)
{
	return jdoc_alloc(&x->plan.arena, cap, sizeof(char *));
}

static int arg_add(struct creation *x, char **v, size_t *n, const char *fmt, ...) PRINTF(4, 5);
static int arg_add(struct creation *x, char **v, size_t *n, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		return -1;
	v[*n] = jdoc_alloc(&x->plan.arena, (size_t)len + 1, 1);
	if (v[*n])
		memcpy(v[*n], text, (size_t)len + 1);
	free(text);
	return v[(*n)++] ? 0 : -1;
}

/* Soft limits of the Sentry: as many descriptors as the hard limit gives. */
static void raise_nofile(pid_t pid)
{
	struct rlimit rl;

	if (prlimit(pid, RLIMIT_NOFILE, NULL, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		prlimit(pid, RLIMIT_NOFILE, &rl, NULL);
	}
}

/* Namespaces that the specification names by path. User last: it takes away the right to join the others. */
static int open_namespace(const struct oci_spec *s, const char *type, int *fds, size_t *n, struct err *e)
{
	const struct oci_namespace *ns = spec_namespace(s, type);

	if (!ns || !ns->path || !*ns->path)
		return 0;
	fds[*n] = open(ns->path, O_RDONLY | O_CLOEXEC);
	if (fds[*n] < 0)
		return err_sys(e, "linux.namespaces: %s namespace %s", type, ns->path);
	(*n)++;
	return 0;
}

/* The Sentry is born where its sockets are to be: once in a user namespace of its own it could not go there. @own: the way back, or -1. */
static int sentry_netns_enter(struct creation *x, int *own, struct err *e)
{
	size_t n = 0;
	int fd;

	if (open_namespace(&x->c->spec, "network", &fd, &n, e) < 0)
		return -1;
	if (!n)
		return 0;
	*own = netns_enter(fd, e);
	close(fd);
	return *own < 0 ? -1 : 0;
}

int launch_sentry(struct creation *x, struct err *e)
{
	const struct lc_flags *f = &x->flags;
	bool host_net = f->net == LC_NET_HOST;
	char **v = arg_vector(x, 24);
	int netns = -1, ret;
	const char *map;
	size_t n = 0;
	struct spawn_fd fds[] = { { -1, 0 }, { -1, 1 }, { x->log, 2 }, { x->listen, 3 }, { x->log, 4 },
				  { x->sentry_ready[1], 5 }, { x->user_log, 6 } };
	struct spawn s = {
		.what = "sandbox",
		.argv = v,
		.clone_flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (host_net ? 0 : CLONE_NEWNET),
		.pidns_fd = -1,
		.userns_fd = -1,
		.fds = fds,
		.nr_fds = ARRAY_SIZE(fds),
		.empty_root = true,
		.nobody = true,
		.pdeathsig = x->a->attached ? SIGKILL : 0,
	};

	if (!v || arg_add(x, v, &n, "runsc-sandbox") < 0 || arg_add(x, v, &n, "boot") < 0 ||
	    arg_add(x, v, &n, "--id=%s", x->c->id) < 0 || arg_add(x, v, &n, "--cpus=%u", x->plan.msg.cpu_count) < 0 ||
	    (f->debug && arg_add(x, v, &n, "--debug") < 0) || (f->strace && arg_add(x, v, &n, "--strace") < 0) ||
	    (f->no_poll && arg_add(x, v, &n, "--no-poll") < 0) ||
	    (f->strace_syscalls && *f->strace_syscalls && arg_add(x, v, &n, "--strace-syscalls=%s", f->strace_syscalls) < 0) ||
	    (f->strace_log_size && arg_add(x, v, &n, "--strace-log-size=%llu", (unsigned long long)f->strace_log_size) < 0) ||
	    (f->no_patching && arg_add(x, v, &n, "--no-patching") < 0) || (!f->net_raw && arg_add(x, v, &n, "--no-raw") < 0) ||
	    (host_net && arg_add(x, v, &n, "--host-network") < 0) ||
	    (x->log >= 0 && arg_add(x, v, &n, "--log-format=%s", f->log_format) < 0))
		return no_memory(e);
	if (host_net && sentry_netns_enter(x, &netns, e) < 0)
		return -1;
	ret = start(x, &s, &x->sentry, !x->c->st.cg.unit, e);
	if (netns >= 0)
		netns_leave(netns);
	if (ret < 0)
		return -1;
	spawn_oom_score(&x->sentry, SENTRY_OOM_SCORE);
	raise_nofile(x->sentry.pid);
	x->c->st.sentry = proc_identify(x->sentry.pid);
	map = spawn_has_nobody() ? "65534 65534 1\n" : "65534 0 1\n";
	return spawn_write_maps(&x->sentry, map, map, e);
}

/* The text of a uid_map or gid_map file. */
static int map_text(const struct jarr *a, char *out, size_t cap)
{
	const struct oci_idmap *m = a->v;
	size_t n = 0;

	for (size_t i = 0; i < a->n && n < cap; i++)
		n += (size_t)snprintf(out + n, cap - n, "%u %u %u\n", m[i].container_id, m[i].host_id, m[i].size);
	return n < cap ? 0 : -1;
}

/* The user namespace that says how the owners of @m are mapped: its own words, else those of the container. */
static int mapping_of(const struct oci_spec *s, const struct oci_mount *m, struct err *e)
{
	const struct oci_namespace *user = spec_namespace(s, "user");
	bool own = m->uid_maps.n && m->gid_maps.n;
	const struct jarr *u = own ? &m->uid_maps : &s->linux_.uid_maps, *g = own ? &m->gid_maps : &s->linux_.gid_maps;
	char uid[4096], gid[4096];
	int fd;

	if (!own && user && user->path && *user->path) {
		fd = open(user->path, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? err_sys(e, "linux.namespaces: user namespace %s", user->path) : fd;
	}
	if (!u->n || !g->n)
		return err_set(e, EINVAL, "mount %s: idmap needs uidMappings and gidMappings", m->destination);
	if (map_text(u, uid, sizeof(uid)) < 0 || map_text(g, gid, sizeof(gid)) < 0)
		return err_set(e, E2BIG, "mount %s: uidMappings and gidMappings are too long", m->destination);
	return idmap_userns(uid, gid, e);
}

static int mapped_tree(const struct oci_spec *s, const struct bind_source *b, struct err *e)
{
	AUTO_CLOSE int ns = mapping_of(s, b->idmap, e);

	return ns < 0 ? -1 : idmap_tree(b->path, b->recursive, b->rec_idmap, ns, e);
}

/* Makes the mounts that the gofer cannot: those whose owners are mapped, which only the host side may; and all of them when it
 * is root of a user namespace only, as directories on the way need not be open to that one. It gets them as descriptors. */
static int gofer_trees(struct creation *x, struct spawn_fd *fds, size_t *nr_fds, struct err *e)
{
	bool all = spec_namespace(&x->c->spec, "user") != NULL;
	int to = GOFER_FD_TREES;

	if (all) {
		x->plan.root_tree = clone_tree(x->plan.rootfs, true, e);
		if (x->plan.root_tree < 0)
			return -1;
		fds[(*nr_fds)++] = (struct spawn_fd){ x->plan.root_tree, to++ };
	}
	for (size_t i = 0; i < x->plan.nr_binds; i++) {
		struct bind_source *b = &x->plan.binds[i];

		if (!all && !b->idmap)
			continue;
		if (*nr_fds == SPAWN_FDS_MAX)
			return err_set(e, E2BIG, "too many mounts for a container with a user namespace or idmap");
		b->tree = b->idmap ? mapped_tree(&x->c->spec, b, e) : clone_tree(b->path, b->recursive, e);
		if (b->tree < 0)
			return -1;
		fds[(*nr_fds)++] = (struct spawn_fd){ b->tree, to++ };
	}
	return 0;
}

static void gofer_trees_close(struct creation *x)
{
	if (x->plan.root_tree >= 0)
		close(TAKE_FD(x->plan.root_tree));
	for (size_t i = 0; i < x->plan.nr_binds; i++)
		if (x->plan.binds[i].tree >= 0)
			close(TAKE_FD(x->plan.binds[i].tree));
}

/* ",fd=N" for the next of the trees, in the order of gofer_trees(). */
static const char *tree_option(int tree, int *next, char out[16])
{
	out[0] = '\0';
	if (tree >= 0)
		snprintf(out, 16, ",fd=%d", (*next)++);
	return out;
}

static int gofer_args(struct creation *x, char ***out, struct err *e)
{
	const struct lc_flags *f = &x->flags;
	char **v = arg_vector(x, 16 + x->plan.nr_binds);
	int bad = !v, next = GOFER_FD_TREES;
	size_t n = 0;
	char fd[16];

	if (bad)
		return no_memory(e);
	bad |= arg_add(x, v, &n, "runsc-gofer");
	bad |= arg_add(x, v, &n, "gofer");
	bad |= arg_add(x, v, &n, "--host-uds=%s", f->host_uds);
	bad |= arg_add(x, v, &n, "--host-fifo=%s", f->host_fifo);
	if (f->debug)
		bad |= arg_add(x, v, &n, "--debug");
	if (x->log >= 0 && strcmp(f->log_format, "text"))
		bad |= arg_add(x, v, &n, "--log-format=json");
	bad |= arg_add(x, v, &n, "--own-mount-ns");
	bad |= arg_add(x, v, &n, "--id=%s", x->c->id);
	bad |= arg_add(x, v, &n, "--mount=%s,rbind%s:%s", x->plan.root_served_readonly ? "ro" : "rw",
		       tree_option(x->plan.root_tree, &next, fd), x->plan.rootfs);
	for (size_t i = 0; i < x->plan.nr_binds && !bad; i++) {
		const struct bind_source *b = &x->plan.binds[i];

		bad |= arg_add(x, v, &n, "--mount=%s,%s%s%s:%s", b->readonly ? "ro" : "rw", b->recursive ? "rbind" : "bind",
			       b->slave ? ",rslave" : "", tree_option(b->tree, &next, fd), b->path);
	}
	*out = v;
	return bad ? no_memory(e) : 0;
}

static int gofer_maps(struct creation *x, const struct oci_spec *s, struct err *e)
{
	char uid[4096], gid[4096];

	if (map_text(&s->linux_.uid_maps, uid, sizeof(uid)) < 0 || map_text(&s->linux_.gid_maps, gid, sizeof(gid)) < 0)
		return err_set(e, E2BIG, "linux.uidMappings and gidMappings are too long");
	return spawn_write_maps(&x->gofer, uid, gid, e);
}

/* Where the gofer's user namespace is new, or none is asked for, one clone makes everything. One that exists is entered first, so
 * that the others belong to it. */
static int gofer_namespaces(const struct oci_spec *spec, struct spawn *s, int fds[3], size_t *nr, struct err *e)
{
	const struct oci_namespace *user = spec_namespace(spec, "user"), *net = spec_namespace(spec, "network");
	bool net_path = net && net->path && *net->path;

	/* a network namespace given by path that a user namespace could not join is left to cni/ */
	if (net_path && !user) {
		s->ns_fds = fds;
		if (open_namespace(spec, "network", fds, nr, e) < 0)
			return -1;
		s->nr_ns_fds = *nr;
	} else {
		s->clone_flags |= CLONE_NEWNET;
	}
	if (!user)
		return 0;
	s->ns_root = true;
	if (!user->path || !*user->path) {
		s->clone_flags |= CLONE_NEWUSER;
		return 0;
	}
	if (open_namespace(spec, "user", fds, nr, e) < 0)
		return -1;
	s->userns_fd = fds[*nr - 1];
	s->pidns_fd = fds[*nr] = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (s->pidns_fd < 0)
		return err_sys(e, "open the pid namespace");
	(*nr)++;
	return 0;
}

int launch_gofer(struct creation *x, struct err *e)
{
	const struct oci_spec *spec = &x->c->spec;
	int ns_fds[3], tty = x->console;
	size_t nr_ns = 0;
	char **v = NULL;
	struct spawn_fd fds[SPAWN_FDS_MAX] = { { tty, 0 },	{ -1, 1 },	  { x->log, 2 },    { x->p9[1], 3 },
					       { x->log, 4 }, { x->init[1], 5 }, { x->ready[1], 6 } };
	struct spawn s = {
		.what = "gofer",
		.clone_flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS,
		.pidns_fd = -1,
		.userns_fd = -1,
		.fds = fds,
		.nr_fds = GOFER_FD_TREES,
		.ctty = tty >= 0,
	};
	int ret = -1;

	if (gofer_trees(x, fds, &s.nr_fds, e) < 0 || gofer_args(x, &v, e) < 0)
		goto out;
	s.argv = v;
	if (gofer_namespaces(spec, &s, ns_fds, &nr_ns, e) < 0)
		goto out;
	if (start(x, &s, &x->gofer, !x->c->st.cg.unit, e) < 0)
		goto out;
	x->c->st.gofer = proc_identify(x->gofer.pid);
	ret = s.clone_flags & CLONE_NEWUSER ? gofer_maps(x, spec, e) : 0;
	if (spec->process.oom_score_adj.set)
		spawn_oom_score(&x->gofer, (int)spec->process.oom_score_adj.v);
out:
	gofer_trees_close(x); /* the child has its own */
	for (size_t i = 0; i < nr_ns; i++)
		close(ns_fds[i]);
	return ret;
}

int launch_zygote(struct creation *x, struct err *e)
{
	static char *argv[] = { "runsc-zygote", "zygote", NULL };
	const struct oci_spec *spec = &x->c->spec;
	AUTO_CLOSE int sandbox = x->sandbox ? proc_pidfd(x->sandbox->st.sentry) : dup(x->sentry.pidfd);
	struct spawn_fd fds[] = { { -1, 0 }, { -1, 1 }, { x->log, 2 }, { x->zy[1], 3 } };
	struct spawn s = {
		.what = "zygote",
		.argv = argv,
		.clone_flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
		.pidns_fd = sandbox,
		.userns_fd = sandbox,
		.own_userns = true,
		.fds = fds,
		.nr_fds = ARRAY_SIZE(fds),
		.empty_root = true,
		.nobody = true,
	};

	if (sandbox < 0)
		return err_set(e, ESRCH, "sandbox of \"%s\" is not running", x->c->id);
	if (start(x, &s, &x->zygote, true, e) < 0)
		return -1;
	x->c->st.zygote = proc_identify(x->zygote.pid);
	if (spec->process.oom_score_adj.set)
		spawn_oom_score(&x->zygote, (int)spec->process.oom_score_adj.v);
	return 0;
}

int launch_release(struct creation *x, struct err *e)
{
	struct child *all[] = { &x->sentry, &x->zygote, &x->gofer };

	if (x->p9[1] < 0) /* the network needed it done earlier */
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->pid > 0 && spawn_open_gate(all[i], e) < 0)
			return -1;
	/* our copies of the children's ends must go, or we would never see one of them end */
	close(TAKE_FD(x->p9[1]));
	close(TAKE_FD(x->init[1]));
	close(TAKE_FD(x->zy[1]));
	close(TAKE_FD(x->ready[1]));
	if (x->sentry_ready[1] >= 0)
		close(TAKE_FD(x->sentry_ready[1]));
	return 0;
}

/* What a child wrote to its start-sync pipe: "R" when it serves, "E" and a line when it cannot. */
static bool sync_text(int fd, char *out, size_t cap)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (fd < 0 || poll(&p, 1, 200) <= 0)
		return false;
	n = read(fd, out, cap - 1);
	if (n <= 1 || out[0] != 'E')
		return false;
	out[n] = '\0';
	while (n > 1 && out[n - 1] == '\n')
		out[--n] = '\0';
	memmove(out, out + 1, (size_t)n);
	return n > 1;
}

void launch_diagnose(struct creation *x, struct err *e)
{
	struct child *all[] = { &x->gofer, &x->zygote, &x->sentry };
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct err better = ERR_INIT;

		if (all[i]->pid > 0 && all[i]->gate < 0 && spawn_finish(all[i], &better) < 0) {
			*e = better;
			return;
		}
	}
	/* a working Sentry's own words are better than the silence of the others */
	if (e->code != ESRCH && e->code != EIO)
		return;
	if (sync_text(x->ready[0], text, sizeof(text)))
		err_set(e, EINVAL, "%s", text);
	else if (sync_text(x->sentry_ready[0], text, sizeof(text)))
		err_set(e, EIO, "sandbox: %s", text);
}
