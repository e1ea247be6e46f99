/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/cni_call.c - see cni_call.h
 *
 * Source:  CNI specification 1.0: sections 2 (execution protocol) and 3 (execution of network configurations).
 */
#include "runsc/lib/cni_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "runsc/lib/run_program.h"

#define CNI_PLUGINS_MAX 16
#define CNI_TIMEOUT_MS	60000
#define CNI_RESULT_MAX	(1u << 20)
#define CNI_IFNAME	"eth0"
#define CNI_BIN_DIR	"/opt/cni/bin"

struct cni_list {
	struct jdoc doc;
	const char *name, *version;
	struct json_object *raw;
};

static int list_read(struct cni_list *l, const char *path, struct err *e)
{
	static const struct jfield fields[] = {
		JF_REQ(struct cni_list, J_STR, "name", name),
		JF(struct cni_list, J_STR, "cniVersion", version),
		JF_REQ(struct cni_list, J_RAW, "plugins", raw),
		JF_END,
	};

	memset(l, 0, sizeof(*l));
	if (jdoc_read(&l->doc, AT_FDCWD, path, e) < 0)
		return err_wrap(e, "CNI configuration");
	if (json_decode(&l->doc, l->doc.root, fields, l, "", e) == 0) {
		if (json_object_is_type(l->raw, json_type_array) && json_object_array_length(l->raw) > 0 &&
		    json_object_array_length(l->raw) <= CNI_PLUGINS_MAX)
			return 0;
		err_set(e, EINVAL, "plugins must be an array of 1 to %d", CNI_PLUGINS_MAX);
	}
	jdoc_free(&l->doc);
	return err_wrap(e, "CNI configuration %s", path);
}

/* What the plugin reads on stdin: its own part with the list's name and version, and the result so far. */
static char *plugin_input(const struct cni_list *l, struct json_object *part, const char *prev)
{
	struct json_object *copy = NULL, *result = prev && *prev ? json_tokener_parse(prev) : NULL;
	char *text = NULL;

	if (json_object_deep_copy(part, &copy, NULL) == 0) {
		jo_str(copy, "name", l->name);
		jo_str(copy, "cniVersion", l->version ? l->version : "0.3.1");
		jo_obj(copy, "prevResult", result);
		text = strdup(json_object_to_json_string_ext(copy, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	} else {
		json_object_put(result);
	}
	json_object_put(copy);
	return text;
}

static int call(const struct lc_container *c, const char *command, const char *type, const char *bin, const char *input,
		struct buf *out, struct err *e)
{
	AUTO_FREE char *path = NULL, *v_cmd = NULL, *v_id = NULL, *v_ns = NULL, *v_path = NULL;
	char *argv[] = { (char *)type, NULL }, *envp[8];
	struct program p = {
		.argv = argv,
		.envp = envp,
		.input = input,
		.input_len = strlen(input),
		.output = out,
		.timeout_ms = CNI_TIMEOUT_MS,
	};
	const char *env_path = getenv("PATH");
	AUTO_FREE char *v_search = NULL;
	char ns[64];

	if (strchr(type, '/'))
		return err_set(e, EINVAL, "CNI plugin type \"%s\" is no name", type);
	snprintf(ns, sizeof(ns), "/proc/%u/ns/net", c->st.gofer.pid);
	if (asprintf(&path, "%s/%s", bin, type) < 0 || asprintf(&v_cmd, "CNI_COMMAND=%s", command) < 0 ||
	    asprintf(&v_id, "CNI_CONTAINERID=%s", c->id) < 0 || asprintf(&v_path, "CNI_PATH=%s", bin) < 0 ||
	    asprintf(&v_ns, "CNI_NETNS=%s", access(ns, F_OK) == 0 ? ns : "") < 0 ||
	    asprintf(&v_search, "PATH=%s", env_path ? env_path : "/usr/sbin:/usr/bin:/sbin:/bin") < 0)
		return err_set(e, ENOMEM, "out of memory");
	memcpy(envp, (char *[]){ v_cmd, v_id, v_ns, (char *)"CNI_IFNAME=" CNI_IFNAME, v_path, v_search, NULL },
	       7 * sizeof(*envp));
	p.path = path;
	if (program_run(&p, e) == 0)
		return 0;
	/* the reason is a JSON object on stdout */
	if (out && out->len)
		err_wrap(e, "%.*s", (int)MIN(out->len, (size_t)600), out->data);
	return err_wrap(e, "CNI %s of %s", command, type);
}

static const char *plugin_type(struct json_object *part)
{
	struct json_object *t;

	return json_object_object_get_ex(part, "type", &t) && json_object_is_type(t, json_type_string) ?
		       json_object_get_string(t) :
		       NULL;
}

static int add_all(struct lc_container *c, const struct cni_list *l, struct buf *result, struct err *e)
{
	for (size_t i = 0; i < json_object_array_length(l->raw); i++) {
		struct json_object *part = json_object_array_get_idx(l->raw, i);
		struct buf out = { .max = CNI_RESULT_MAX };
		AUTO_FREE char *input = plugin_input(l, part, result->data);
		const char *type = plugin_type(part);
		int ret;

		if (!type || !input)
			return err_set(e, EINVAL, "CNI configuration: plugins[%zu] has no type", i);
		ret = call(c, "ADD", type, c->st.cni_bin, input, &out, e);
		if (ret < 0) {
			buf_fini(&out);
			return -1;
		}
		buf_fini(result);
		*result = out;
	}
	return 0;
}

int cni_add(struct lc_container *c, const char *conflist, const char *bin_dir, struct err *e)
{
	struct buf result = { 0 };
	struct cni_list l;
	int ret;

	if (list_read(&l, conflist, e) < 0)
		return -1;
	c->st.cni_conf = strdup(conflist);
	c->st.cni_bin = strdup(bin_dir ? bin_dir : CNI_BIN_DIR);
	ret = c->st.cni_conf && c->st.cni_bin ? state_save(c, e) : err_set(e, ENOMEM, "out of memory");
	if (ret == 0)
		ret = add_all(c, &l, &result, e);
	if (ret == 0 && result.len)
		ret = dir_write(c->dir_fd, "cni.json", result.data, result.len, e);
	buf_fini(&result);
	jdoc_free(&l.doc);
	return ret;
}

void cni_del(struct lc_container *c)
{
	AUTO_FREE char *prev = NULL;
	struct err e = ERR_INIT;
	struct cni_list l;
	size_t len;

	if (list_read(&l, c->st.cni_conf, &e) < 0) {
		log_warn("%s", e.msg);
		return;
	}
	if (read_file_at(c->dir_fd, "cni.json", CNI_RESULT_MAX, &prev, &len) < 0)
		prev = NULL;
	for (size_t i = json_object_array_length(l.raw); i-- > 0;) {
		struct json_object *part = json_object_array_get_idx(l.raw, i);
		AUTO_FREE char *input = plugin_input(&l, part, prev);
		const char *type = plugin_type(part);
		struct buf out = { .max = CNI_RESULT_MAX };

		if (type && input && call(c, "DEL", type, c->st.cni_bin, input, &out, &e) < 0)
			log_warn("%s", e.msg);
		buf_fini(&out);
	}
	jdoc_free(&l.doc);
}
