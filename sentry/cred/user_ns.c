/* SPDX-License-Identifier: Apache-2.0
 * sentry/cred/user_ns.c - user namespaces and their id maps
 *
 * Model:   a map is empty until it is written once; then it is immutable. The number of extents is published with release
 *          after the extents themselves, so lookups take no lock ("map publication"). Each extent carries the kernel
 *          id of its first entry, so a lookup does not climb the chain of parents.
 * Locks:   user_ns.mu (leaf) serialises writers of the maps and of setgroups.
 * Source:  user_namespaces(7).
 */
#include <string.h>

#include "sentry/cred/cred.h"

#define USER_NS_LEVEL_MAX 32 /* nested namespaces, user_namespaces(7) */

void (*user_ns_mapped_hook)(struct user_ns *ns);
void (*user_ns_end_hook)(const struct user_ns *ns);

static struct id_extent init_extent = { 0, 0, UINT32_MAX, 0 };

struct user_ns init_user_ns = {
	.ref = { 1 },
	.ino = 0xEFFFFFFDu, /* the number Linux gives its initial user namespace */
	.uid_map = { 1, &init_extent },
	.gid_map = { 1, &init_extent },
	.nr_uid_extents_written = 1,
	.nr_gid_extents_written = 1,
	.parent_could_setfcap = true,
};

static _Atomic uint64_t next_user_ino = 0xF1000000u;

struct user_ns *user_ns_get(struct user_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void user_ns_put(struct user_ns *ns)
{
	while (ns && ref_put(&ns->ref)) {
		struct user_ns *parent = ns->parent;

		BUG_ON(ns == &init_user_ns);
		if (user_ns_end_hook)
			user_ns_end_hook(ns);
		free(ns->uid_map.ext);
		free(ns->gid_map.ext);
		free(ns);
		ns = parent;
	}
}

bool user_ns_is_below(const struct user_ns *ns, const struct user_ns *top)
{
	for (; ns; ns = ns->parent)
		if (ns == top)
			return true;
	return false;
}

long user_ns_new(struct user_ns *parent, const struct cred *c, struct user_ns **out)
{
	struct user_ns *ns;

	if (parent->level >= USER_NS_LEVEL_MAX)
		return -LINUX_ENOSPC;
	if (id_from_kernel(parent, false, c->euid) == ID_INVALID || id_from_kernel(parent, true, c->egid) == ID_INVALID)
		return -LINUX_EPERM;
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return -LINUX_ENOMEM;
	ref_init(&ns->ref, 1);
	mutex_init(&ns->mu);
	ns->parent = user_ns_get(parent);
	ns->level = parent->level + 1;
	ns->owner = c->euid;
	ns->group = c->egid;
	ns->ino = atomic_fetch_add_explicit(&next_user_ino, 1, memory_order_relaxed);
	ns->parent_could_setfcap = cred_has_cap(c, parent, LINUX_CAP_SETFCAP);
	mutex_lock(&parent->mu);
	ns->setgroups_denied = parent->setgroups_denied;
	mutex_unlock(&parent->mu);
	*out = ns;
	return 0;
}

/* Pairs with the release in user_ns_write_map() ("map publication"). */
static uint32_t map_of(struct user_ns *ns, bool gid, const struct id_extent **out_ext)
{
	uint32_t nr = atomic_load_explicit(gid ? &ns->nr_gid_extents_written : &ns->nr_uid_extents_written,
					   memory_order_acquire);

	*out_ext = nr ? (gid ? ns->gid_map.ext : ns->uid_map.ext) : NULL;
	return nr;
}

uint32_t id_to_kernel(struct user_ns *ns, bool gid, uint32_t id)
{
	const struct id_extent *e;
	uint32_t nr = map_of(ns, gid, &e);

	if (id == ID_INVALID)
		return ID_INVALID;
	for (; nr; nr--, e++)
		if (id >= e->inside && id - e->inside < e->count)
			return e->kernel + (id - e->inside);
	return ID_INVALID;
}

uint32_t id_from_kernel(struct user_ns *ns, bool gid, uint32_t kid)
{
	const struct id_extent *e;
	uint32_t nr = map_of(ns, gid, &e);

	if (kid == ID_INVALID)
		return ID_INVALID;
	for (; nr; nr--, e++)
		if (kid >= e->kernel && kid - e->kernel < e->count)
			return e->inside + (kid - e->kernel);
	return ID_INVALID;
}

uint32_t id_from_kernel_munged(struct user_ns *ns, bool gid, uint32_t kid)
{
	uint32_t id = id_from_kernel(ns, gid, kid);

	return id == ID_INVALID ? OVERFLOW_ID : id;
}

/* ---- writing maps --------------------------------------------------------------------------------- */

/* One unsigned number below 2^32 at @p; NULL when there is none. */
static const char *parse_u32(const char *p, const char *end, uint32_t *out)
{
	uint64_t v = 0;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == end || *p < '0' || *p > '9')
		return NULL;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (uint64_t)(*p - '0');
		if (v > UINT32_MAX)
			return NULL;
	}
	if (p < end && *p != ' ' && *p != '\t' && *p != '\n' && *p != '\0')
		return NULL;
	*out = (uint32_t)v;
	return p;
}

static bool overlaps(uint32_t a, uint32_t na, uint32_t b, uint32_t nb)
{
	return (uint64_t)a < (uint64_t)b + nb && (uint64_t)b < (uint64_t)a + na;
}

static long parse_map(const char *text, size_t len, struct id_extent *ext, uint32_t *out_nr)
{
	const char *p = text, *end = text + len;
	uint32_t nr = 0;

	while (p < end && *p) {
		struct id_extent e = { 0 };

		if (nr == ID_EXTENT_MAX)
			return -LINUX_EINVAL;
		p = parse_u32(p, end, &e.inside);
		if (p)
			p = parse_u32(p, end, &e.outside);
		if (p)
			p = parse_u32(p, end, &e.count);
		if (!p)
			return -LINUX_EINVAL;
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		if (p < end && *p && *p != '\n')
			return -LINUX_EINVAL;
		if (p < end && *p)
			p++;
		if (!e.count || (uint64_t)e.inside + e.count > UINT32_MAX || (uint64_t)e.outside + e.count > UINT32_MAX)
			return -LINUX_EINVAL;
		for (uint32_t i = 0; i < nr; i++)
			if (overlaps(ext[i].inside, ext[i].count, e.inside, e.count) ||
			    overlaps(ext[i].outside, ext[i].count, e.outside, e.count))
				return -LINUX_EINVAL;
		ext[nr++] = e;
	}
	*out_nr = nr;
	return nr ? 0 : -LINUX_EINVAL;
}

/* The kernel ids of a range of the parent's ids: it must lie within one extent of the parent's map. */
static long resolve_extent(struct user_ns *parent, bool gid, struct id_extent *e)
{
	const struct id_extent *pe;
	uint32_t nr = map_of(parent, gid, &pe);

	for (; nr; nr--, pe++)
		if (e->outside >= pe->inside && (uint64_t)e->outside + e->count <= (uint64_t)pe->inside + pe->count) {
			e->kernel = pe->kernel + (e->outside - pe->inside);
			return 0;
		}
	return -LINUX_EPERM;
}

/* user_namespaces(7), "Defining user and group ID mappings": who may write this map? */
static bool map_permitted(struct user_ns *ns, bool gid, const struct id_extent *e, uint32_t nr,
			  const struct cred *opener, const struct cred *writer)
{
	int cap = gid ? LINUX_CAP_SETGID : LINUX_CAP_SETUID;

	if (!gid)
		for (uint32_t i = 0; i < nr; i++) {
			if (e[i].outside != 0)
				continue;
			/* Mapping the parent's root would let file capabilities be forged. */
			if (opener->user_ns == ns ? !ns->parent_could_setfcap
						  : !cred_has_cap(opener, ns->parent, LINUX_CAP_SETFCAP))
				return false;
		}
	if (nr == 1 && e->count == 1 && opener->euid == ns->owner) {
		if (!gid && e->kernel == opener->euid)
			return true;
		if (gid && ns->setgroups_denied && e->kernel == opener->egid)
			return true;
	}
	return cred_has_cap(writer, ns->parent, cap) && cred_has_cap(opener, ns->parent, cap);
}

long user_ns_write_map(struct user_ns *ns, bool gid, const char *text, size_t len, const struct cred *opener,
		       const struct cred *writer)
{
	struct id_extent *ext;
	_Atomic uint32_t *published = gid ? &ns->nr_gid_extents_written : &ns->nr_uid_extents_written;
	struct id_map *map = gid ? &ns->gid_map : &ns->uid_map;
	uint32_t nr = 0;
	long ret;

	if (!ns->parent)
		return -LINUX_EPERM;
	if (writer->user_ns != ns && writer->user_ns != ns->parent)
		return -LINUX_EPERM;
	if (!cred_has_cap(opener, ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	ext = calloc(ID_EXTENT_MAX, sizeof(*ext));
	if (!ext)
		return -LINUX_ENOMEM;
	ret = parse_map(text, len, ext, &nr);
	for (uint32_t i = 0; !ret && i < nr; i++)
		ret = resolve_extent(ns->parent, gid, &ext[i]);

	mutex_lock(&ns->mu);
	if (!ret && (map->ext || !map_permitted(ns, gid, ext, nr, opener, writer)))
		ret = -LINUX_EPERM;
	if (!ret) {
		map->ext = ext;
		map->nr = nr;
		atomic_store_explicit(published, nr, memory_order_release); /* map publication */
		ext = NULL;
	}
	mutex_unlock(&ns->mu);
	free(ext);
	if (!ret && user_ns_mapped_hook)
		user_ns_mapped_hook(ns);
	return ret;
}

static struct id_map host_maps[2]; /* by @gid; written once, before there are processes */

void user_ns_set_host_map(bool gid, struct id_extent *ext, uint32_t nr)
{
	BUG_ON(host_maps[gid].nr);
	host_maps[gid] = (struct id_map){ nr, ext };
}

void user_ns_show_map(struct user_ns *ns, bool gid, struct user_ns *viewer, struct buf *out)
{
	const struct id_extent *e;
	uint32_t nr = map_of(ns, gid, &e);

	if (ns == &init_user_ns && viewer == ns && host_maps[gid].nr) {
		for (uint32_t i = 0; i < host_maps[gid].nr; i++) {
			e = &host_maps[gid].ext[i];
			buf_printf(out, "%10u %10u %10u\n", e->inside, e->outside, e->count);
		}
		return;
	}
	/* From inside, the parent's ids are shown; from elsewhere, the viewer's. */
	if (viewer == ns && ns->parent)
		viewer = ns->parent;
	for (; nr; nr--, e++)
		buf_printf(out, "%10u %10u %10u\n", e->inside, id_from_kernel(viewer, gid, e->kernel), e->count);
}

bool user_ns_setgroups_allowed(struct user_ns *ns)
{
	const struct id_extent *e;
	bool denied;

	mutex_lock(&ns->mu);
	denied = ns->setgroups_denied;
	mutex_unlock(&ns->mu);
	return !denied && map_of(ns, true, &e) > 0;
}

long user_ns_write_setgroups(struct user_ns *ns, const char *text, size_t len)
{
	bool allow;
	long ret = 0;

	if (len >= 5 && !memcmp(text, "allow", 5))
		allow = true, text += 5, len -= 5;
	else if (len >= 4 && !memcmp(text, "deny", 4))
		allow = false, text += 4, len -= 4;
	else
		return -LINUX_EINVAL;
	for (; len; len--, text++)
		if (*text != '\n' && *text != ' ' && *text != '\t' && *text)
			return -LINUX_EINVAL;
	mutex_lock(&ns->mu);
	if (allow && ns->setgroups_denied)
		ret = -LINUX_EPERM;
	else if (!allow && ns->gid_map.ext)
		ret = -LINUX_EPERM; /* too late: the map is written */
	else if (!allow)
		ns->setgroups_denied = true;
	mutex_unlock(&ns->mu);
	return ret;
}
