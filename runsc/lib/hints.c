/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/hints.c - see hints.h
 *
 * Model:   dev.gvisor.spec.mount.NAME.{type,share,source,options} describe the volume NAME of a pod. A hint without
 *          source, which is what a cluster's admission controller writes, as it cannot know directories of the node, means
 *          the volume that the kubelet put at .../volumes/PLUGIN/NAME. dev.gvisor.empty-dir.NAME.force-shared takes
 *          the hint back: others of the host look into that directory.
 * Source:  CONVENTIONS F.2, F.5; the kubelet's layout of a pod's directory.
 */
#include "runsc/lib/hints.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PREFIX	 "dev.gvisor.spec.mount."
#define NAME_MAX_LEN 253 /* longest name of an object in Kubernetes */

static const char *field(const struct oci_spec *s, const struct mount_hint *h, const char *name)
{
	char key[sizeof(PREFIX) + NAME_MAX_LEN + 32];

	snprintf(key, sizeof(key), PREFIX "%.*s.%s", (int)h->name_len, h->name, name);
	return spec_annotation(s, key);
}

/* The volume's name when @source is a kubelet's directory of one, .../volumes/PLUGIN/NAME; else NULL. */
static const char *volume_of(const char *source)
{
	static const char parent[] = "/volumes/";
	const char *name = strrchr(source, '/'), *plugin;

	if (!name || name == source || !name[1])
		return NULL;
	plugin = memrchr(source, '/', (size_t)(name - source));
	if (!plugin || (size_t)(plugin + 1 - source) < sizeof(parent) - 1 ||
	    memcmp(plugin + 1 - (sizeof(parent) - 1), parent, sizeof(parent) - 1))
		return NULL;
	return name + 1;
}

static bool is_about(const struct oci_spec *s, const struct mount_hint *h, const char *source)
{
	const char *from = field(s, h, "source"), *volume;

	if (from)
		return strcmp(from, source) == 0;
	volume = volume_of(source);
	return volume && strlen(volume) == h->name_len && memcmp(volume, h->name, h->name_len) == 0;
}

static bool force_shared(const struct oci_spec *s, const struct mount_hint *h)
{
	char key[NAME_MAX_LEN + 64];
	const char *v;

	snprintf(key, sizeof(key), "dev.gvisor.empty-dir.%.*s.force-shared", (int)h->name_len, h->name);
	v = spec_annotation(s, key);
	return v && strcmp(v, "true") == 0;
}

static int read_hint(const struct oci_spec *s, struct mount_hint *h, const char *type, struct err *e)
{
	static const char *const shares[] = { [HINT_SHARED] = "shared", [HINT_POD] = "pod", [HINT_CONTAINER] = "container" };
	const char *share = field(s, h, "share"), *options = field(s, h, "options");
	size_t i = 0;

	if (strcmp(type, "tmpfs") && strcmp(type, "bind"))
		return err_set(e, EINVAL, "annotation " PREFIX "%.*s.type: \"%s\" is neither tmpfs nor bind", (int)h->name_len,
			       h->name, type);
	while (share && i < ARRAY_SIZE(shares) && strcmp(share, shares[i]))
		i++;
	if (i == ARRAY_SIZE(shares))
		return err_set(e, EINVAL, "annotation " PREFIX "%.*s.share: \"%s\" is not container, pod or shared",
			       (int)h->name_len, h->name, share);
	h->share = (enum hint_share)i;
	h->options = options ? options : "";
	if (force_shared(s, h))
		h->share = HINT_SHARED;
	h->tmpfs = strcmp(type, "tmpfs") == 0 && h->share != HINT_SHARED;
	return 1;
}

static int find_in(const struct oci_spec *s, const char *source, struct mount_hint *out, struct err *e)
{
	static const char suffix[] = ".type";

	for (size_t i = 0; i < s->annotations.n; i++) {
		const char *key = s->annotations.v[i].key;
		size_t len = strlen(key);
		struct mount_hint h = { 0 };

		if (strncmp(key, PREFIX, sizeof(PREFIX) - 1) || len < sizeof(PREFIX) + sizeof(suffix) - 1 ||
		    strcmp(key + len - (sizeof(suffix) - 1), suffix))
			continue;
		h.name = key + sizeof(PREFIX) - 1;
		h.name_len = len - (sizeof(PREFIX) - 1) - (sizeof(suffix) - 1);
		if (h.name_len > NAME_MAX_LEN || !is_about(s, &h, source))
			continue;
		*out = h;
		return read_hint(s, out, s->annotations.v[i].value, e);
	}
	return 0;
}

int mount_hint_find(const struct oci_spec *s, const struct oci_spec *pod, const char *source, struct mount_hint *out,
		    struct err *e)
{
	int ret = find_in(s, source, out, e);

	return ret || !pod ? ret : find_in(pod, source, out, e);
}
