/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/cgroup.c - planning, making, entering and removing a container's cgroups
 */
#include "runsc/lib/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"

#define CGROUP_DEPTH_MAX 32
#define REMOVE_TRIES	 60

void cgroup_fini(struct cgroup *g)
{
	for (size_t i = 0; i < g->nr_dirs; i++) {
		free(g->dirs[i].path);
		free(g->dirs[i].mount);
	}
	free(g->unit);
	free(g->slice);
	memset(g, 0, sizeof(*g));
}

int cgroup_write(const char *dir, const char *file, const char *text)
{
	char path[4352];
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	do
		n = write(fd, text, strlen(text));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

static int read_small(const char *dir, const char *file, char *out, size_t cap)
{
	char path[4352];
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, out, cap - 1);
	if (n < 0)
		return -1;
	out[n] = '\0';
	return 0;
}

uint64_t cgroup_read_u64(const char *dir, const char *file, uint64_t fallback)
{
	char text[64];

	if (read_small(dir, file, text, sizeof(text)) < 0)
		return fallback;
	if (strncmp(text, "max", 3) == 0 || text[0] == '-')
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

uint64_t cgroup_read_key(const char *dir, const char *file, const char *key, uint64_t fallback)
{
	char text[8192], *save = NULL;
	size_t n = strlen(key);

	if (read_small(dir, file, text, sizeof(text)) < 0)
		return fallback;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (strncmp(l, key, n) == 0 && l[n] == ' ')
			return strtoull(l + n + 1, NULL, 10);
	return fallback;
}

/* ---- planning ------------------------------------------------------------------------------------------ */

/* Our own place in the hierarchy with @name ("" = v2), from /proc/self/cgroup; "/" when not listed. */
static void own_cgroup(const char *text, const char *name, char *out, size_t cap)
{
	size_t n = strlen(name);

	snprintf(out, cap, "/");
	for (const char *l = text; l && *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL) {
		const char *names = strchr(l, ':'), *path;

		if (!names || !(path = strchr(++names, ':')))
			continue;
		for (const char *p = names; p <= path; p = p + strcspn(p, ",:") + 1) {
			if (strcspn(p, ",:") == n && strncmp(p, name, n) == 0) {
				snprintf(out, cap, "%.*s", (int)strcspn(path + 1, "\n"), path + 1);
				return;
			}
		}
	}
}

/* @inner as seen from @m: the part below the directory that is mounted there. */
static const char *below_root(const struct cgroup_mount *m, const char *inner)
{
	size_t n = strlen(m->root);

	if (n > 1 && strncmp(inner, m->root, n) == 0 && (inner[n] == '/' || !inner[n]))
		return inner[n] ? inner + n : "/";
	return inner;
}

static int plan_dir(struct cgroup *g, const struct cgroup_mount *m, const char *name, const char *self,
		    const char *wanted, struct err *e)
{
	struct cgroup_dir *d = &g->dirs[g->nr_dirs];
	char own[4096], joined[8192];
	AUTO_FREE char *clean = NULL;

	if (wanted[0] == '/') {
		snprintf(joined, sizeof(joined), "%s", wanted);
	} else {
		own_cgroup(self, name, own, sizeof(own));
		snprintf(joined, sizeof(joined), "%s/%s", below_root(m, own), wanted);
	}
	clean = path_clean(joined);
	if (!clean)
		return err_set(e, ENOMEM, "out of memory");
	if (strcmp(clean, "/") == 0)
		return err_set(e, EINVAL, "linux.cgroupsPath must not be the root cgroup");
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->mount = strdup(m->point);
	if (asprintf(&d->path, "%s%s", m->point, clean) < 0)
		d->path = NULL;
	if (!d->mount || !d->path)
		return err_set(e, ENOMEM, "out of memory");
	if (strlen(d->path) > 4000)
		return err_set(e, EINVAL, "linux.cgroupsPath is too long");
	g->nr_dirs++;
	return 0;
}

static const char *const v1_controllers[] = { "cpu",	"cpuacct", "cpuset",   "memory",  "devices", "freezer",
					      "blkio",	"pids",	   "net_cls",  "net_prio", "hugetlb", "perf_event",
					      "rdma",	"name=systemd" };

static bool mount_has(const struct cgroup_mount *m, const char *controller)
{
	size_t n = strlen(controller);

	for (const char *p = m->names; *p; p += strcspn(p, ","), p += *p == ',')
		if (strcspn(p, ",") == n && strncmp(p, controller, n) == 0)
			return true;
	return false;
}

static int plan_v1(struct cgroup *g, const struct cgroup_mount *m, size_t nr, const char *self, const char *wanted,
		   struct err *e)
{
	bool used[64] = { false };

	for (size_t c = 0; c < ARRAY_SIZE(v1_controllers); c++) {
		for (size_t i = 0; i < nr && g->nr_dirs < CGROUP_DIRS_MAX; i++) {
			if (m[i].v2 || used[i] || !mount_has(&m[i], v1_controllers[c]))
				continue;
			/* "cpu" and "cpuacct" may share one hierarchy: one directory, named by the first */
			used[i] = true;
			if (plan_dir(g, &m[i], v1_controllers[c], self, wanted, e) < 0)
				return -1;
			break;
		}
	}
	return 0;
}

int cgroup_plan(struct cgroup *g, const char *cgroups_path, const char *id, bool systemd, struct err *e)
{
	struct cgroup_mount m[64];
	AUTO_FREE char *self = NULL;
	AUTO_FREE char *from_systemd = NULL;
	const char *wanted = cgroups_path && *cgroups_path ? cgroups_path : id;
	bool v1 = false;
	size_t nr, len;
	int ret = 0;

	memset(g, 0, sizeof(*g));
	if (cgroup_mounts_read(m, ARRAY_SIZE(m), &nr, e) < 0)
		return -1;
	if (read_file_at(-1, "/proc/self/cgroup", 1 << 20, &self, &len) < 0)
		ret = err_sys(e, "read /proc/self/cgroup");
	if (ret == 0 && systemd) {
		ret = systemd_plan(g, cgroups_path, id, &from_systemd, e);
		wanted = from_systemd;
	}
	for (size_t i = 0; i < nr; i++)
		v1 |= !m[i].v2 && strncmp(m[i].names, "name=", 5) && !strstr(m[i].names, ",name=");
	if (ret == 0 && v1) {
		g->version = CG_V1;
		ret = plan_v1(g, m, nr, self, wanted, e);
	}
	for (size_t i = 0; ret == 0 && !v1 && i < nr; i++) {
		if (!m[i].v2)
			continue;
		g->version = CG_V2;
		ret = plan_dir(g, &m[i], "", self, wanted, e);
		break;
	}
	cgroup_mounts_free(m, nr);
	if (ret < 0)
		cgroup_fini(g);
	return ret;
}

/* ---- making ---------------------------------------------------------------------------------------------- */

/* A v1 cpuset without cpus and mems takes no task: inherit the parent's, level by level. */
static int cpuset_inherit(const char *parent, const char *dir, struct err *e)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char text[4096];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (read_small(dir, files[i], text, sizeof(text)) < 0)
			continue;
		if (text[0] && text[0] != '\n')
			continue;
		if (read_small(parent, files[i], text, sizeof(text)) < 0)
			return err_sys(e, "read %s/%s", parent, files[i]);
		if (cgroup_write(dir, files[i], text) < 0)
			return err_sys(e, "write %s/%s", dir, files[i]);
	}
	return 0;
}

static int make_levels(const struct cgroup *g, const struct cgroup_dir *d, struct err *e)
{
	AUTO_FREE char *p = strdup(d->path);
	size_t base = strlen(d->mount);
	bool cpuset = strcmp(d->name, "cpuset") == 0;

	if (!p)
		return err_set(e, ENOMEM, "out of memory");
	/* usually all but the last level exist */
	if (!cpuset && g->version == CG_V1 && (mkdir(p, 0755) == 0 || errno == EEXIST))
		return 0;
	for (char *s = p + base + 1;; s++) {
		char *slash = strchr(s, '/');

		if (slash)
			*slash = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return err_sys(e, "create cgroup %s", p);
		if (cpuset) {
			AUTO_FREE char *parent = strdup(p);

			if (!parent)
				return err_set(e, ENOMEM, "out of memory");
			*strrchr(parent, '/') = '\0';
			if (cpuset_inherit(parent, p, e) < 0)
				return -1;
		}
		if (!slash)
			return 0;
		*slash = '/';
		s = slash;
	}
}

int cgroup_create(const struct cgroup *g, pid_t first, struct err *e)
{
	if (g->unit && systemd_scope_start(g, first, e) < 0)
		return -1;
	for (size_t i = 0; i < g->nr_dirs; i++) {
		if (make_levels(g, &g->dirs[i], e) < 0)
			return -1;
		if (g->version == CG_V2 && cgroup_v2_enable(&g->dirs[i], e) < 0)
			return -1;
	}
	return 0;
}

int cgroup_apply(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	if (g->version == CG_V1)
		return cgroup_v1_apply(g, r, e);
	if (g->version == CG_V2)
		return cgroup_v2_apply(g, r, e);
	return 0;
}

int cgroup_open_tasks(const struct cgroup *g, int *fds, struct err *e)
{
	int n = 0;

	if (g->version != CG_V1)
		return 0;
	for (size_t i = 0; i < g->nr_dirs; i++) {
		char path[4352];

		snprintf(path, sizeof(path), "%s/tasks", g->dirs[i].path);
		fds[n] = open(path, O_WRONLY | O_CLOEXEC);
		if (fds[n] < 0) {
			err_sys(e, "open %s", path);
			while (n)
				close(fds[--n]);
			return -1;
		}
		n++;
	}
	return n;
}

int cgroup_open_v2(const struct cgroup *g, struct err *e)
{
	int fd;

	if (g->version != CG_V2 || !g->nr_dirs)
		return -1;
	fd = open(g->dirs[0].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err_sys(e, "open cgroup %s", g->dirs[0].path);
	return fd;
}

const char *cgroup_dir_of(const struct cgroup *g, const char *v1_controller)
{
	if (g->version == CG_V2)
		return g->nr_dirs ? g->dirs[0].path : NULL;
	for (size_t i = 0; i < g->nr_dirs; i++)
		if (strcmp(g->dirs[i].name, v1_controller) == 0)
			return g->dirs[i].path;
	/* cpuacct lives with cpu on most hosts */
	if (strcmp(v1_controller, "cpuacct") == 0)
		return cgroup_dir_of(g, "cpu");
	return NULL;
}

/* ---- processes ------------------------------------------------------------------------------------------- */

struct pid_list {
	pid_t *v;
	size_t n, cap;
	bool failed;
};

static void pids_add(struct pid_list *l, pid_t pid)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		pid_t *v = realloc(l->v, cap * sizeof(*v));

		if (!v) {
			l->failed = true;
			return;
		}
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = pid;
}

static void pids_of_dir(const char *dir, struct pid_list *l)
{
	char path[4352], line[32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		int pid = atoi(line);

		if (pid > 0)
			pids_add(l, pid);
	}
	fclose(f);
}

/* Calls @fn for @dir and every cgroup below it, children first. */
static void walk(const char *dir, int depth, void (*fn)(const char *dir, void *arg), void *arg)
{
	DIR *d = depth < CGROUP_DEPTH_MAX ? opendir(dir) : NULL;
	struct dirent *de;

	while (d && (de = readdir(d))) {
		char sub[4352];

		if (de->d_type != DT_DIR || de->d_name[0] == '.' ||
		    snprintf(sub, sizeof(sub), "%s/%s", dir, de->d_name) >= (int)sizeof(sub))
			continue;
		walk(sub, depth + 1, fn, arg);
	}
	if (d)
		closedir(d);
	fn(dir, arg);
}

static void collect(const char *dir, void *arg)
{
	pids_of_dir(dir, arg);
}

/* The directory whose cgroup.procs is the truth: any will do, v1 memory or pids rather than name=systemd. */
static const char *main_dir(const struct cgroup *g)
{
	static const char *const order[] = { "pids", "memory", "freezer", "devices", "cpu" };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (cgroup_dir_of(g, order[i]))
			return cgroup_dir_of(g, order[i]);
	return g->nr_dirs ? g->dirs[0].path : NULL;
}

int cgroup_pids(const struct cgroup *g, pid_t **out, size_t *nr, struct err *e)
{
	struct pid_list l = { 0 };
	const char *dir = main_dir(g);

	if (dir)
		walk(dir, 0, collect, &l);
	if (l.failed) {
		free(l.v);
		return err_set(e, ENOMEM, "out of memory");
	}
	*out = l.v;
	*nr = l.n;
	return 0;
}

static void kill_one(const char *dir, void *arg)
{
	struct pid_list l = { 0 };

	if (cgroup_write(dir, "cgroup.kill", "1") == 0) /* v2 since 5.14 */
		return;
	pids_of_dir(dir, &l);
	for (size_t i = 0; i < l.n; i++)
		kill(l.v[i], SIGKILL);
	free(l.v);
}

void cgroup_kill(const struct cgroup *g)
{
	const char *dir = main_dir(g);
	const char *freezer = g->version == CG_V1 ? cgroup_dir_of(g, "freezer") : NULL;

	if (!dir)
		return;
	walk(dir, 0, kill_one, NULL);
	if (freezer)
		cgroup_write(freezer, "freezer.state", "THAWED");
}

static void remove_one(const char *dir, void *arg)
{
	if (rmdir(dir) < 0 && errno != ENOENT)
		*(int *)arg = errno;
}

int cgroup_remove(const struct cgroup *g, struct err *e)
{
	int worst = 0;
	const char *which = "";

	if (g->unit)
		systemd_scope_stop(g);
	for (size_t i = 0; i < g->nr_dirs; i++) {
		struct timespec nap = { 0, 200000 };
		int busy = 0;

		for (int tries = 0; tries < REMOVE_TRIES; tries++) {
			busy = 0;
			if (rmdir(g->dirs[i].path) == 0 || errno == ENOENT)
				break;
			walk(g->dirs[i].path, 0, remove_one, &busy);
			if (busy != EBUSY)
				break;
			/* a dead process leaves its cgroup a moment after its parent saw the end */
			nanosleep(&nap, NULL);
			nap.tv_nsec = MIN(nap.tv_nsec * 2, 50000000L);
		}
		if (busy && busy != ENOENT) {
			worst = busy;
			which = g->dirs[i].path;
		}
	}
	if (!worst)
		return 0;
	errno = worst;
	return err_sys(e, "remove cgroup %s", which);
}

void cgroup_stats(const struct cgroup *g, struct lc_stats *out)
{
	out->cgroup_v2 = g->version == CG_V2;
	if (g->version == CG_V1)
		cgroup_v1_stats(g, out);
	else if (g->version == CG_V2)
		cgroup_v2_stats(g, out);
}
