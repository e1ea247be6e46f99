/* SPDX-License-Identifier: Apache-2.0
 * shim/bootstrap.c - see bootstrap.h
 */
#include "shim/bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "shim/sha256.h"
#include "shim/shim_util.h"
#include "ttrpc.h"

#define STDIN_MAX   (10u << 20)
#define CONFIG_MAX  (16u << 20)

void bootstrap_parse(struct bootstrap *b, const void *data, size_t len, const char *id, const char *ns)
{
	*b = (struct bootstrap){ 0 };
	if (!len)
		return;
	/* Old and new start with a string in field 1 and bytes in field 2: only the content tells. */
	b->params = (Bootstrap__BootstrapParams *)ttrpc_msg_unpack(
		&bootstrap__bootstrap_params__descriptor, data, len, 4 * STDIN_MAX);
	if (b->params && !strcmp(b->params->instance_id, id) && !strcmp(b->params->namespace_, ns)) {
		for (size_t i = 0; i < b->params->n_extensions && !b->options; i++)
			b->options = b->params->extensions[i]->value;
		return;
	}
	if (b->params)
		ttrpc_msg_free(&b->params->base);
	b->params = NULL;
	b->legacy = (Wkt__Any *)ttrpc_msg_unpack(&wkt__any__descriptor, data, len, 4 * STDIN_MAX);
	b->options = b->legacy;
	if (!b->legacy)
		log_warn("start: %zu bytes on stdin are neither parameters nor options", len);
}

void bootstrap_fini(struct bootstrap *b)
{
	if (b->params)
		ttrpc_msg_free(&b->params->base);
	if (b->legacy)
		ttrpc_msg_free(&b->legacy->base);
	*b = (struct bootstrap){ 0 };
}

int bootstrap_read(struct bootstrap *b, const struct shim_args *a, struct err *e)
{
	AUTO_FREE char *data = NULL;
	size_t len = 0;

	if (!isatty(0) && fd_read_all(0, STDIN_MAX, &data, &len) < 0 && errno != EBADF)
		return err_sys(e, "read stdin");
	bootstrap_parse(b, data, len, a->id, a->ns);
	return 0;
}

int bootstrap_reply(const struct bootstrap *b, const struct shim_args *a, const char *address,
		    struct buf *out, struct err *e)
{
	Bootstrap__BootstrapResult r = BOOTSTRAP__BOOTSTRAP_RESULT__INIT;
	size_t n;

	if (!b->params) {
		if (a->speaks_json)
			buf_printf(out, "{\"version\":2,\"address\":\"%s\",\"protocol\":\"ttrpc\"}", address);
		else
			buf_printf(out, "%s", address);
		return out->failed ? err_set(e, ENOMEM, "out of memory") : 0;
	}
	r.version = 3;
	r.address = (char *)address;
	r.protocol = "ttrpc";
	n = bootstrap__bootstrap_result__get_packed_size(&r);
	if (!buf_reserve(out, n))
		return err_set(e, ENOMEM, "out of memory");
	out->len += bootstrap__bootstrap_result__pack(&r, (uint8_t *)out->data + out->len);
	return 0;
}

/* ---- addresses ---- */

char *path_join_clean(const char *const *parts, size_t n)
{
	struct buf b = { 0 };
	bool rooted = false, any = false;

	buf_printf(&b, "%s", "");
	for (size_t i = 0; i < n; i++) {
		const char *p = parts[i];

		if (!*p)
			continue;
		if (!any && *p == '/')
			rooted = true;
		any = true;
		while (*p) {
			const char *end = strchrnul(p, '/');
			size_t len = (size_t)(end - p);

			if (len == 2 && !memcmp(p, "..", 2) && b.len &&
			    strcmp(b.data + (b.len >= 3 ? b.len - 3 : 0), "/..")) {
				char *slash = strrchr(b.data, '/');

				b.len = slash ? (size_t)(slash - b.data) : 0;
				b.data[b.len] = '\0';
			} else if (len == 2 && !memcmp(p, "..", 2) && rooted) {
				/* above the root is the root */
			} else if (len && !(len == 1 && *p == '.')) {
				buf_printf(&b, "/%.*s", (int)len, p);
			}
			p = *end ? end + 1 : end;
		}
	}
	if (!b.failed && !b.len)
		buf_printf(&b, "%s", rooted ? "/" : any ? "/." : "/");
	if (b.failed) {
		buf_fini(&b);
		return NULL;
	}
	if (!rooted)
		memmove(b.data, b.data + 1, b.len); /* the NUL comes along */
	return b.data;
}

char *shim_address(const char *dir, const char *grpc_address, const char *ns, const char *group,
		   struct err *e)
{
	const char *parts[] = { grpc_address, ns, group };
	AUTO_FREE char *joined = path_join_clean(parts, ARRAY_SIZE(parts));
	char hex[65], *out;

	if (!joined) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	if (strlen(dir) + 1 + 64 > SHIM_SOCKET_PATH_MAX) {
		err_set(e, ENAMETOOLONG, "socket directory %s is too long", dir);
		return NULL;
	}
	sha256_hex(joined, strlen(joined), hex);
	if (asprintf(&out, "unix://%s/%s", dir, hex) < 0) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	return out;
}

/* ---- grouping ---- */

static const char *const group_keys[] = {
	"io.containerd.runc.v2.group",
	"io.kubernetes.cri.sandbox-id",
	"io.kubernetes.cri-o.SandboxID",
};

char *shim_group_id(int dirfd, const char *id, struct err *e)
{
	AUTO_FREE char *text = NULL;
	struct json_object *root = NULL, *ann = NULL, *v;
	const char *group = id;
	size_t len;
	char *out;

	if (file_read(dirfd, "config.json", CONFIG_MAX, &text, &len) < 0) {
		if (errno != ENOENT) {
			err_sys(e, "read config.json");
			return NULL;
		}
		return strdup(id); /* a sandbox of the Sandbox API has none */
	}
	root = json_tokener_parse(text);
	if (!root) {
		err_set(e, EINVAL, "config.json is not JSON");
		return NULL;
	}
	json_object_object_get_ex(root, "annotations", &ann);
	for (size_t i = 0; ann && i < ARRAY_SIZE(group_keys); i++) {
		if (json_object_object_get_ex(ann, group_keys[i], &v) && json_object_get_string_len(v) > 0) {
			group = json_object_get_string(v);
			break;
		}
	}
	out = strdup(group);
	json_object_put(root);
	if (!out)
		err_set(e, ENOMEM, "out of memory");
	return out;
}
