/* SPDX-License-Identifier: Apache-2.0
 * shim/config.c - see config.h
 *
 * Source: CONVENTIONS F.5: names of keys and the order of the default files.
 */
#include "shim/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "bootstrap.pb-c.h"
#include "shim/shim_util.h"
#include "shim/toml.h"
#include "ttrpc.h"

#define OPTIONS_FILE "shim-options.pb"
#define OPTIONS_MAX  (10u << 20)

static const char *const default_files[] = {
	"/run/containerd/runsc/config.toml",
	"/etc/containerd/runsc/config.toml",
	"config.toml",
};

enum key_kind { K_STR, K_U32, K_BOOL };

static const struct {
	const char *name;
	enum key_kind kind;
	size_t off;
} keys[] = {
#define K(n, k) { #n, k, offsetof(struct shim_config, n) }
	K(shim_cgroup, K_STR), K(binary_name, K_STR), K(root, K_STR),	   K(log_level, K_STR),
	K(log_path, K_STR),    K(io_uid, K_U32),      K(io_gid, K_U32),	   K(grouping, K_BOOL),
	K(enable_hibernate_server, K_BOOL),
#undef K
};

void shim_config_fini(struct shim_config *c)
{
	free(c->shim_cgroup);
	free(c->binary_name);
	free(c->root);
	free(c->log_level);
	free(c->log_path);
	for (size_t i = 0; i < c->nr_flags; i++) {
		free(c->flags[i].key);
		free(c->flags[i].value);
	}
	free(c->flags);
	*c = (struct shim_config){ 0 };
}

static int set_str(char **slot, const char *v, struct err *e)
{
	char *s = strdup(v);

	if (!s)
		return err_set(e, ENOMEM, "out of memory");
	free(*slot);
	*slot = s;
	return 0;
}

static int add_flag(struct shim_config *c, const char *key, const char *value, struct err *e)
{
	struct shim_kv *v = realloc(c->flags, (c->nr_flags + 1) * sizeof(*v));

	if (!v)
		return err_set(e, ENOMEM, "out of memory");
	c->flags = v;
	v[c->nr_flags] = (struct shim_kv){ 0 };
	if (set_str(&v[c->nr_flags].key, key, e) < 0)
		return -1;
	if (set_str(&v[c->nr_flags].value, value, e) < 0) {
		free(v[c->nr_flags].key);
		return -1;
	}
	c->nr_flags++;
	return 0;
}

static int set_key(struct shim_config *c, size_t i, const struct toml_item *it, struct err *e)
{
	void *slot = (char *)c + keys[i].off;
	static const enum toml_kind wants[] = { [K_STR] = TOML_STRING, [K_U32] = TOML_INT,
						[K_BOOL] = TOML_BOOL };
	char *end;
	long v;

	if (it->kind != wants[keys[i].kind])
		return err_set(e, EINVAL, "%s has a value of the wrong kind", it->key);
	switch (keys[i].kind) {
	case K_STR:
		return set_str(slot, it->text, e);
	case K_BOOL:
		*(bool *)slot = !strcmp(it->text, "true");
		return 0;
	case K_U32:
		errno = 0;
		v = strtol(it->text, &end, 10);
		if (errno || *end || v < 0 || v > UINT32_MAX)
			return err_set(e, EINVAL, "%s is out of range", it->key);
		*(uint32_t *)slot = (uint32_t)v;
		return 0;
	}
	return 0;
}

static int on_item(void *arg, const struct toml_item *it, struct err *e)
{
	struct shim_config *c = arg;

	if (!strcmp(it->table, "runsc_config"))
		return add_flag(c, it->key, it->text, e);
	if (it->table[0]) {
		log_warn("config: table [%s] is not known", it->table);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].name, it->key))
			return set_key(c, i, it, e);
	/* A typing mistake in a key that matters must not pass unseen, nor stop every pod of the node. */
	log_warn("config: key %s is not known", it->key);
	return 0;
}

/* 1 = read, 0 = there is no such file. */
static int load_file(struct shim_config *c, const char *path, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;

	if (file_read(AT_FDCWD, path, TOML_MAX, &text, &len) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_sys(e, "read %s", path);
	}
	if (toml_parse(text, len, on_item, c, e) < 0)
		return err_wrap(e, "%s", path);
	return 1;
}

const char *any_type(const Wkt__Any *a)
{
	const char *slash = strrchr(a->type_url, '/');

	return slash ? slash + 1 : a->type_url;
}

char *any_text(const Wkt__Any *a)
{
	return strndup(a->value.len ? (const char *)a->value.data : "", a->value.len);
}

static int from_runtime_options(struct shim_config *c, const Wkt__Any *any, bool *done, struct err *e)
{
	Bootstrap__RuntimeOptions *o = (Bootstrap__RuntimeOptions *)ttrpc_msg_unpack(
		&bootstrap__runtime_options__descriptor, any->value.data, any->value.len, 4 * OPTIONS_MAX);
	int ret = 0;

	if (!o)
		return err_set(e, EINVAL, "runtime options do not decode");
	if (o->config_body.len) {
		ret = toml_parse((const char *)o->config_body.data, o->config_body.len, on_item, c, e);
		if (ret < 0)
			err_wrap(e, "inline runtime options");
		*done = true;
	} else if (o->config_path[0]) {
		ret = load_file(c, o->config_path, e);
		if (ret == 0)
			ret = err_set(e, ENOENT, "read %s: no such file", o->config_path);
		*done = true;
	}
	ttrpc_msg_free(&o->base);
	return ret < 0 ? -1 : 0;
}

static int from_runc_options(struct shim_config *c, const Wkt__Any *any, struct err *e)
{
	Bootstrap__RuncOptions *o = (Bootstrap__RuncOptions *)ttrpc_msg_unpack(
		&bootstrap__runc_options__descriptor, any->value.data, any->value.len, 4 * OPTIONS_MAX);
	int ret = 0;

	if (!o)
		return err_set(e, EINVAL, "runc options do not decode");
	if (o->binary_name[0])
		ret |= set_str(&c->binary_name, o->binary_name, e);
	if (o->root[0])
		ret |= set_str(&c->root, o->root, e);
	if (o->shim_cgroup[0])
		ret |= set_str(&c->shim_cgroup, o->shim_cgroup, e);
	if (o->io_uid)
		c->io_uid = o->io_uid;
	if (o->io_gid)
		c->io_gid = o->io_gid;
	c->systemd_cgroup |= o->systemd_cgroup;
	ttrpc_msg_free(&o->base);
	return ret;
}

int shim_config_load(struct shim_config *c, const Wkt__Any *options, bool in_bundle, struct err *e)
{
	const char *type = options ? any_type(options) : "";
	bool done = false;
	int ret;

	*c = (struct shim_config){ .grouping = true };
	if (!strcmp(type, "runtimeoptions.v1.Options") && from_runtime_options(c, options, &done, e) < 0)
		return -1;
	for (size_t i = 0; !done && i < ARRAY_SIZE(default_files); i++) {
		if (default_files[i][0] != '/' && !in_bundle)
			continue;
		ret = load_file(c, default_files[i], e);
		if (ret < 0)
			return -1;
		done = ret > 0;
	}
	/* runc's options name single things: they go over what the files say */
	if (!strcmp(type, "containerd.runc.v1.Options") && from_runc_options(c, options, e) < 0)
		return -1;
	return 0;
}

static char *expand_id(const char *path, const char *id)
{
	const char *at = strstr(path, "%ID%");
	char *out = NULL;

	if (!at)
		return strdup(path);
	if (asprintf(&out, "%.*s%s%s", (int)(at - path), path, id, at + 4) < 0)
		return NULL;
	return out;
}

int shim_config_flags(const struct shim_config *c, const char *ns, const char *id, struct lc_flags *f,
		      struct err *e)
{
	AUTO_FREE char *root = NULL, *log = NULL;

	if (lc_flags_init(f, e) < 0)
		return -1;
	if (asprintf(&root, "%s/%s", c->root ? c->root : SHIM_ROOT_DEFAULT, ns) < 0) {
		root = NULL;
		err_set(e, ENOMEM, "out of memory");
		goto fail;
	}
	if (lc_flag_set(f, "root", root, e) < 0)
		goto fail;
	if (c->log_path) {
		log = expand_id(c->log_path, id);
		if (!log || lc_flag_set(f, "debug-log", log, e) < 0)
			goto fail;
	}
	if (c->log_level && !strcmp(c->log_level, "debug") && lc_flag_set(f, "debug", "true", e) < 0)
		goto fail;
	if (c->systemd_cgroup && lc_flag_set(f, "systemd-cgroup", "true", e) < 0)
		goto fail;
	f->pod_log = true;
	f->net_as_spec = true; /* hostNetwork: true, docker run --network host, ctr --net-host say it on purpose */
	for (size_t i = 0; i < c->nr_flags; i++) {
		if (lc_flag_set(f, c->flags[i].key, c->flags[i].value, e) < 0) {
			err_wrap(e, "[runsc_config]");
			goto fail;
		}
	}
	/* binary_name "runsc" is the default: leave the search to the library */
	if (c->binary_name && strcmp(c->binary_name, "runsc")) {
		f->runsc_path = path_lookup(c->binary_name);
		if (!f->runsc_path) {
			err_set(e, ENOENT, "binary_name %s: not found in $PATH", c->binary_name);
			goto fail;
		}
	}
	return 0;
fail:
	lc_flags_fini(f);
	return -1;
}

int shim_options_save(int dirfd, const Wkt__Any *options, struct err *e)
{
	size_t len = wkt__any__get_packed_size(options);
	AUTO_FREE uint8_t *p = malloc(len ? len : 1);

	if (!p)
		return err_set(e, ENOMEM, "out of memory");
	wkt__any__pack(options, p);
	if (shim_write_file(dirfd, OPTIONS_FILE, p, len) < 0)
		return err_sys(e, "write %s", OPTIONS_FILE);
	return 0;
}

Wkt__Any *shim_options_read(int dirfd)
{
	AUTO_FREE char *text = NULL;
	size_t len;

	if (file_read(dirfd, OPTIONS_FILE, OPTIONS_MAX, &text, &len) < 0)
		return NULL;
	return (Wkt__Any *)ttrpc_msg_unpack(&wkt__any__descriptor, text, len, 4 * OPTIONS_MAX);
}
