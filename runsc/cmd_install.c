/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_install.c - `runsc install`, `runsc uninstall`: this binary as a runtime of Docker
 *
 * Model:   Docker's configuration is read, one entry below "runtimes" is set or taken away, and the file is replaced by rename; what was
 *          there before stays beside it as FILE~. Everything else in it is left as it is.
 * Source:  dockerd(8), "runtimes" in daemon.json; the peer's option names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdpass.h"
#include "runsc/cmd.h"
#include "runsc/lib/jsonx.h"

struct install_opts {
	const char *config, *runtime, *cgroup_driver;
	bool experimental, keep;
};

#define O(m) offsetof(struct install_opts, m)
static const struct opt install_options[] = {
	{ "config_file", 0, OPT_STR, O(config), "Docker's configuration, default /etc/docker/daemon.json" },
	{ "runtime", 0, OPT_STR, O(runtime), "name of the runtime, default runsc" },
	{ "experimental", 0, OPT_BOOL, O(experimental), "switch Docker's experimental features on" },
	{ "cgroupdriver", 0, OPT_STR, O(cgroup_driver), "set native.cgroupdriver, cgroupfs or systemd" },
	{ "keep", 0, OPT_BOOL, O(keep), "fail when a runtime of that name is there" },
	{ "clobber", 0, OPT_NOP_BOOL, 0, NULL },
	OPT_END,
};
static const struct opt uninstall_options[] = {
	{ "config_file", 0, OPT_STR, O(config), "Docker's configuration, default /etc/docker/daemon.json" },
	{ "runtime", 0, OPT_STR, O(runtime), "name of the runtime, default runsc" },
	OPT_END,
};

static const char *file_of(const struct install_opts *o)
{
	return o->config ? o->config : "/etc/docker/daemon.json";
}

static const char *name_of(const struct install_opts *o)
{
	return o->runtime ? o->runtime : "runsc";
}

/* An absent or empty file is an empty configuration. @out_text: as it was, malloc'ed, NULL when absent. */
static int read_config(const char *path, struct json_object **out, char **out_text, struct err *e)
{
	size_t len;

	*out_text = NULL;
	if (read_file_at(AT_FDCWD, path, JDOC_TEXT_MAX, out_text, &len) < 0 && errno != ENOENT)
		return err_sys(e, "read %s", path);
	*out = *out_text && (*out_text)[strspn(*out_text, " \t\r\n")] ? json_tokener_parse(*out_text) : json_object_new_object();
	if (*out && json_object_is_type(*out, json_type_object))
		return 0;
	json_object_put(*out);
	return err_set(e, EINVAL, "%s is not a JSON object", path);
}

static int write_text(const char *path, const char *text, struct err *e)
{
	AUTO_FREE char *tmp = NULL;
	AUTO_CLOSE int fd = -1;

	if (asprintf(&tmp, "%s.%d.tmp", path, (int)getpid()) < 0) {
		tmp = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "write %s", path);
	if (write_full(fd, text, strlen(text)) == 0 && rename(tmp, path) == 0)
		return 0;
	err_sys(e, "write %s", path);
	unlink(tmp);
	return -1;
}

static int write_config(const char *path, struct json_object *o, const char *before, struct err *e)
{
	AUTO_FREE char *backup = NULL, *text = NULL;

	if (asprintf(&backup, "%s~", path) < 0) {
		backup = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	if (asprintf(&text, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)) < 0) {
		text = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	if (before && write_text(backup, before, e) < 0)
		return -1;
	return write_text(path, text, e);
}

/* The object below @key, made when it is not there. */
static struct json_object *sub_object(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_object))
		return v;
	v = json_object_new_object();
	json_object_object_add(o, key, v);
	return v;
}

static int set_entry(struct json_object *config, const struct install_opts *opt, char **args, struct err *e)
{
	struct json_object *runtimes = sub_object(config, "runtimes"), *entry, *list;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return err_sys(e, "install: where this program is");
	self[n] = '\0';
	if (opt->keep && json_object_object_get_ex(runtimes, name_of(opt), &entry))
		return err_set(e, EEXIST, "install: %s has a runtime \"%s\" already", file_of(opt), name_of(opt));
	entry = json_object_new_object();
	jo_str(entry, "path", self);
	if (args && *args)
		jo_obj(entry, "runtimeArgs", ja_strings((const char *const *)args));
	jo_obj(runtimes, name_of(opt), entry);
	if (opt->experimental)
		jo_bool(config, "experimental", true);
	if (opt->cgroup_driver) {
		char text[64];

		snprintf(text, sizeof(text), "native.cgroupdriver=%s", opt->cgroup_driver);
		list = ja_strings((const char *const[]){ text, NULL });
		jo_obj(config, "exec-opts", list);
	}
	return 0;
}

static int change(const struct install_opts *opt, bool install, char **args, struct err *e)
{
	AUTO_FREE char *before = NULL;
	struct json_object *config = NULL, *runtimes;
	int ret;

	if (read_config(file_of(opt), &config, &before, e) < 0)
		return -1;
	ret = install ? set_entry(config, opt, args, e) : 0;
	if (!install && json_object_object_get_ex(config, "runtimes", &runtimes))
		json_object_object_del(runtimes, name_of(opt));
	if (ret == 0)
		ret = write_config(file_of(opt), config, before, e);
	json_object_put(config);
	if (ret == 0)
		printf("%s runtime \"%s\" in %s: restart Docker for it\n", install ? "Added" : "Removed", name_of(opt), file_of(opt));
	return ret;
}

static int run_install(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	return change(o, true, argv, e);
}

static int run_uninstall(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	return change(o, false, NULL, e);
}

const struct cmd cmd_install = {
	.name = "install", .usage = "[options] [-- RUNTIME_ARGS]", .help = "make this a runtime of Docker", .opts = install_options,
	.opts_size = sizeof(struct install_opts), .min_args = 0, .max_args = -1, .run = run_install,
};

const struct cmd cmd_uninstall = {
	.name = "uninstall", .usage = "[options]", .help = "take it away from Docker again", .opts = uninstall_options,
	.opts_size = sizeof(struct install_opts), .min_args = 0, .max_args = 0, .run = run_uninstall,
};
