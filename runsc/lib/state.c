/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/state.c - <root>/<id>/: the directory, its lock, state.json
 *
 * Model:   state.json is replaced by rename, so a reader sees the old or the new one. The lock is flock(2) on
 *          the directory itself: no file to leave behind. Who gets the lock of a directory that was
 *          removed meanwhile sees it by the link count. state.json is written before what it names is made
 *          (cgroups) or let go (processes wait at a gate), so that delete finds all there ever was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fdpass.h"
#include "runsc/lib/container.h"

#define STATE_VERSION 1

char *container_path(const struct lc_flags *f, const char *id, const char *name)
{
	char *p;

	if (asprintf(&p, "%s/%s%s%s", f->root, id, name ? "/" : "", name ? name : "") < 0)
		return NULL;
	return p;
}

static struct lc_container *container_new(const struct lc_flags *f, const char *id)
{
	struct lc_container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->flags = f;
	c->dir_fd = -1;
	c->id = strdup(id);
	c->dir = container_path(f, id, NULL);
	if (c->id && c->dir)
		return c;
	lc_free(c);
	return NULL;
}

static void state_fini(struct lc_state *s)
{
	free(s->sandbox_id);
	free(s->bundle);
	free(s->created);
	free(s->netns);
	free(s->cni_conf);
	free(s->cni_bin);
	free(s->cni_if);
	free(s->saved_net);
	cgroup_fini(&s->cg);
	memset(s, 0, sizeof(*s));
}

void lc_free(struct lc_container *c)
{
	if (!c)
		return;
	state_fini(&c->st);
	if (c->has_spec)
		spec_free(&c->spec);
	if (c->dir_fd >= 0)
		close(c->dir_fd);
	free(c->id);
	free(c->dir);
	free(c);
}

/* mkdir -p of the root directory, private: its sockets are the keys to the sandboxes. */
static int root_make(const char *root, struct err *e)
{
	AUTO_FREE char *p = strdup(root);

	if (!p)
		return err_set(e, ENOMEM, "out of memory");
	if (mkdir(p, 0700) == 0 || errno == EEXIST)
		return 0;
	for (char *s = p + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		if (mkdir(p, 0711) < 0 && errno != EEXIST)
			return err_sys(e, "create root directory %s", p);
		*s = '/';
	}
	if (mkdir(p, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "create root directory %s", root);
	return 0;
}

static int lock_fd(const struct lc_container *c, struct err *e)
{
	/* an open of its own: flock belongs to the open file, and c->dir_fd is shared by threads */
	int fd = openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		if (errno == ENOENT)
			return err_set(e, ENOENT, "container \"%s\" does not exist", c->id);
		return err_sys(e, "lock %s", c->dir);
	}
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR) {
			err_sys(e, "lock %s", c->dir);
			close(fd);
			return -1;
		}
	if (fstat(fd, &st) == 0 && st.st_nlink > 0)
		return fd;
	close(fd);
	return err_set(e, ENOENT, "container \"%s\" does not exist", c->id);
}

int container_lock(struct lc_container *c, struct err *e)
{
	return lock_fd(c, e);
}

int container_dir_make(const struct lc_flags *f, const char *id, struct lc_container **out, int *out_lock,
		       struct err *e)
{
	struct lc_container *c;

	if (root_make(f->root, e) < 0)
		return -1;
	c = container_new(f, id);
	if (!c)
		return err_set(e, ENOMEM, "out of memory");
	if (mkdir(c->dir, 0700) < 0) {
		if (errno == EEXIST)
			err_set(e, EEXIST, "container with given ID already exists: %s", id);
		else
			err_sys(e, "create %s", c->dir);
		goto out_free;
	}
	c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir_fd < 0) {
		err_sys(e, "open %s", c->dir);
		goto out_dir;
	}
	*out_lock = lock_fd(c, e);
	if (*out_lock < 0)
		goto out_dir;
	*out = c;
	return 0;
out_dir:
	rmdir(c->dir);
out_free:
	lc_free(c);
	return -1;
}

int container_dir_open(const struct lc_flags *f, const char *id, struct lc_container **out, struct err *e)
{
	struct lc_container *c;

	if (lc_id_check(id, e) < 0)
		return -1;
	c = container_new(f, id);
	if (!c)
		return err_set(e, ENOMEM, "out of memory");
	c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir_fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			err_set(e, ENOENT, "container \"%s\" does not exist", id);
		else
			err_sys(e, "open %s", c->dir);
		lc_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

int dir_write(int dir_fd, const char *name, const char *text, size_t len, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char tmp[64];
	int ret;

	snprintf(tmp, sizeof(tmp), ".%s.tmp", name);
	fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, "write %s", name);
	ret = write_full(fd, text, len);
	if (ret < 0 || renameat(dir_fd, tmp, dir_fd, name) < 0) {
		errno = ret < 0 ? -ret : errno;
		err_sys(e, "write %s", name);
		unlinkat(dir_fd, tmp, 0);
		return -1;
	}
	return 0;
}

int container_dir_remove(struct lc_container *c, struct err *e)
{
	static const char *const names[] = { "state.json", "config.json", "control.sock", "exit.json", "cni.json",
					     ".state.json.tmp", ".config.json.tmp", ".exit.json.tmp", ".cni.json.tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(c->dir_fd, names[i], 0);
	if (rmdir(c->dir) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", c->dir);
	return 0;
}

/* ---- state.json --------------------------------------------------------------------------------------- */

struct json_cgroup_dir {
	const char *name, *path, *mount;
};

struct json_state {
	uint32_t version;
	const char *sandbox, *bundle, *created, *status, *netns, *cni_conf, *cni_bin, *cni_if, *saved_net;
	uint32_t owner;
	struct proc_id sentry, gofer, zygote;
	struct {
		uint32_t version;
		const char *unit, *slice;
		struct jarr dirs;
	} cg;
};

#define SCOPE struct proc_id
static const struct jfield proc_fields[] = {
	JF_REQ(SCOPE, J_U32, "pid", pid),
	JF_REQ(SCOPE, J_U64, "start", start),
	JF_END,
};
#undef SCOPE

#define SCOPE struct json_cgroup_dir
static const struct jfield cgroup_dir_fields[] = {
	JF_REQ(SCOPE, J_STR, "name", name),
	JF_REQ(SCOPE, J_STR, "path", path),
	JF_REQ(SCOPE, J_STR, "mount", mount),
	JF_END,
};
#undef SCOPE

#define SCOPE __typeof__(((struct json_state *)0)->cg)
static const struct jfield cgroup_fields[] = {
	JF_REQ(SCOPE, J_U32, "version", version),
	JF(SCOPE, J_STR, "unit", unit),
	JF(SCOPE, J_STR, "slice", slice),
	JF_ARR(SCOPE, "dirs", dirs, struct json_cgroup_dir, cgroup_dir_fields),
	JF_END,
};
#undef SCOPE

#define SCOPE struct json_state
#define SUB(nm, member, fields) { .name = nm, .kind = J_OBJ, .off = offsetof(SCOPE, member), .sub = fields }
static const struct jfield state_fields[] = {
	JF_REQ(SCOPE, J_U32, "version", version),
	JF_REQ(SCOPE, J_STR, "sandbox", sandbox),
	JF_REQ(SCOPE, J_STR, "bundle", bundle),
	JF_REQ(SCOPE, J_STR, "created", created),
	JF_REQ(SCOPE, J_STR, "status", status),
	JF(SCOPE, J_U32, "owner", owner),
	JF(SCOPE, J_STR, "netns", netns),
	JF(SCOPE, J_STR, "cniConf", cni_conf),
	JF(SCOPE, J_STR, "cniBin", cni_bin),
	JF(SCOPE, J_STR, "cniIf", cni_if),
	JF(SCOPE, J_STR, "savedNet", saved_net),
	SUB("sentry", sentry, proc_fields),
	SUB("gofer", gofer, proc_fields),
	SUB("zygote", zygote, proc_fields),
	SUB("cgroup", cg, cgroup_fields),
	JF_END,
};
#undef SUB
#undef SCOPE

static struct json_object *proc_json(struct proc_id p)
{
	struct json_object *o = json_object_new_object();

	jo_int(o, "pid", p.pid);
	jo_u64(o, "start", p.start);
	return o;
}

static struct json_object *cgroup_json(const struct cgroup *g)
{
	struct json_object *o = json_object_new_object(), *a = json_object_new_array();

	jo_int(o, "version", g->version);
	jo_str(o, "unit", g->unit);
	jo_str(o, "slice", g->slice);
	for (size_t i = 0; i < g->nr_dirs; i++) {
		struct json_object *d = json_object_new_object();

		jo_str(d, "name", g->dirs[i].name);
		jo_str(d, "path", g->dirs[i].path);
		jo_str(d, "mount", g->dirs[i].mount);
		json_object_array_add(a, d);
	}
	jo_obj(o, "dirs", a);
	return o;
}

int state_save(struct lc_container *c, struct err *e)
{
	struct json_object *o = json_object_new_object();
	const struct lc_state *s = &c->st;
	const char *text;
	size_t len;
	int ret;

	if (!o)
		return err_set(e, ENOMEM, "out of memory");
	jo_int(o, "version", STATE_VERSION);
	jo_str(o, "id", c->id);
	jo_str(o, "sandbox", s->sandbox_id);
	jo_str(o, "bundle", s->bundle);
	jo_str(o, "created", s->created);
	jo_str(o, "status", lc_status_name(s->status));
	jo_int(o, "owner", s->owner_uid);
	jo_str(o, "netns", s->netns);
	jo_str(o, "cniConf", s->cni_conf);
	jo_str(o, "cniBin", s->cni_bin);
	jo_str(o, "cniIf", s->cni_if);
	jo_str(o, "savedNet", s->saved_net);
	jo_obj(o, "sentry", proc_json(s->sentry));
	jo_obj(o, "gofer", proc_json(s->gofer));
	jo_obj(o, "zygote", proc_json(s->zygote));
	jo_obj(o, "cgroup", cgroup_json(&s->cg));
	text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	ret = text ? dir_write(c->dir_fd, "state.json", text, len, e) : err_set(e, ENOMEM, "out of memory");
	json_object_put(o);
	return ret;
}

static char *dup_or_null(const char *s)
{
	return s ? strdup(s) : NULL;
}

static int take_cgroup(const struct json_state *j, struct cgroup *g, struct err *e)
{
	const struct json_cgroup_dir *d = j->cg.dirs.v;

	if (j->cg.version > CG_V2 || j->cg.dirs.n > CGROUP_DIRS_MAX)
		return err_set(e, EINVAL, "state.json: cgroup is not one of ours");
	g->version = (enum cgroup_version)j->cg.version;
	g->unit = dup_or_null(j->cg.unit);
	g->slice = dup_or_null(j->cg.slice);
	for (size_t i = 0; i < j->cg.dirs.n; i++) {
		struct cgroup_dir *out = &g->dirs[g->nr_dirs++];

		snprintf(out->name, sizeof(out->name), "%s", d[i].name);
		out->path = strdup(d[i].path);
		out->mount = strdup(d[i].mount);
		if (!out->path || !out->mount)
			return err_set(e, ENOMEM, "out of memory");
	}
	return 0;
}

static int take_state(const struct json_state *j, struct lc_state *s, struct err *e)
{
	int st = LC_CREATING;

	while (st <= LC_STOPPED && strcmp(lc_status_name((enum lc_status)st), j->status))
		st++;
	if (j->version != STATE_VERSION || st > LC_STOPPED)
		return err_set(e, EINVAL, "state.json: written by an incompatible version");
	s->status = (enum lc_status)st;
	s->sandbox_id = strdup(j->sandbox);
	s->bundle = strdup(j->bundle);
	s->created = strdup(j->created);
	s->netns = dup_or_null(j->netns);
	s->cni_conf = dup_or_null(j->cni_conf);
	s->cni_bin = dup_or_null(j->cni_bin);
	s->cni_if = dup_or_null(j->cni_if);
	s->saved_net = dup_or_null(j->saved_net);
	s->owner_uid = j->owner;
	s->sentry = j->sentry;
	s->gofer = j->gofer;
	s->zygote = j->zygote;
	if (!s->sandbox_id || !s->bundle || !s->created)
		return err_set(e, ENOMEM, "out of memory");
	return take_cgroup(j, &s->cg, e);
}

static int state_read(struct lc_container *c, struct lc_state *out, struct err *e)
{
	struct json_state j = { 0 };
	struct lc_state fresh = { 0 };
	struct jdoc d;
	int ret;

	if (jdoc_read(&d, c->dir_fd, "state.json", e) < 0)
		return err_wrap(e, "container \"%s\"", c->id);
	ret = json_decode(&d, d.root, state_fields, &j, "", e);
	if (ret == 0)
		ret = take_state(&j, &fresh, e);
	jdoc_free(&d);
	if (ret < 0) {
		state_fini(&fresh);
		return err_wrap(e, "container \"%s\"", c->id);
	}
	*out = fresh;
	return 0;
}

int state_load(struct lc_container *c, struct err *e)
{
	struct lc_state fresh;

	if (state_read(c, &fresh, e) < 0)
		return -1;
	state_fini(&c->st);
	c->st = fresh;
	return 0;
}

int state_status(struct lc_container *c, enum lc_status *out, struct err *e)
{
	struct lc_state fresh;

	if (c->creating) {
		*out = c->st.status;
		return 0;
	}
	if (c->st.status == LC_CREATING) {
		if (state_load(c, e) < 0)
			return -1;
		*out = c->st.status;
		return 0;
	}
	if (state_read(c, &fresh, e) < 0)
		return -1;
	*out = fresh.status;
	state_fini(&fresh);
	return 0;
}

const struct oci_spec *container_spec(struct lc_container *c, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;

	if (c->has_spec)
		return &c->spec;
	if (read_file_at(c->dir_fd, "config.json", JDOC_TEXT_MAX, &text, &len) < 0) {
		err_sys(e, "container \"%s\": config.json", c->id);
		return NULL;
	}
	if (spec_parse(&c->spec, text, len, e) < 0)
		return NULL;
	c->has_spec = true;
	return &c->spec;
}

int lc_load(const struct lc_flags *f, const char *id, struct lc_container **out, struct err *e)
{
	struct lc_container *c;

	if (container_dir_open(f, id, &c, e) < 0)
		return -1;
	if (state_load(c, e) < 0) {
		lc_free(c);
		return -1;
	}
	*out = c;
	return 0;
}
