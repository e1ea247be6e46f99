/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/mount_prop.c - propagation of mount events
 *
 * Model:   breadth first from the mount where something happens: its peers get a peer copy; each slave of any of them gets a
 *          slave copy, that slave's peers a peer copy of that, and so on (mount_namespaces(7), "SHARED SUBTREES").
 * Locks:   mount_lock is held by all callers.
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

static long target_add(struct mount_targets *t, struct mount *m, int32_t src, bool slave)
{
	if (t->nr == t->cap) {
		uint32_t cap = t->cap ? t->cap * 2 : 8;
		struct mount_target *e = reallocarray(t->e, cap, sizeof(*e));

		if (!e)
			return -LINUX_ENOMEM;
		t->e = e;
		t->cap = cap;
	}
	t->e[t->nr++] = (struct mount_target){ m, src, slave };
	return 0;
}

static bool target_known(const struct mount_targets *t, const struct mount *m)
{
	for (uint32_t k = 0; k < t->nr; k++)
		if (t->e[k].m == m)
			return true;
	return false;
}

static long add_peers(struct mount_targets *t, struct mount *origin, struct mount *of, int32_t src)
{
	struct mount *p;

	/* A mount that is not in a namespace yet is the one being attached: it does not receive itself. */
	list_for_each_entry(p, &of->peers, peers)
		if (p != origin && p->ns && !target_known(t, p) && target_add(t, p, src, false))
			return -LINUX_ENOMEM;
	return 0;
}

static long add_slaves(struct mount_targets *t, struct mount *origin, struct mount *of, int32_t src)
{
	struct mount *s;

	list_for_each_entry(s, &of->slaves, slave_node) {
		if (s == origin || !s->ns || target_known(t, s))
			continue;
		if (target_add(t, s, src, true) || add_peers(t, origin, s, (int32_t)t->nr - 1))
			return -LINUX_ENOMEM;
	}
	return 0;
}

long mnt_propagation(struct mount *m, struct mount_targets *out)
{
	*out = (struct mount_targets){ 0 };
	if (add_peers(out, m, m, -1) || add_slaves(out, m, m, -1))
		goto fail;
	for (uint32_t k = 0; k < out->nr; k++)
		if (add_slaves(out, m, out->e[k].m, (int32_t)k))
			goto fail;
	return 0;
fail:
	free(out->e);
	*out = (struct mount_targets){ 0 };
	return -LINUX_ENOMEM;
}

/* A slave group always has its master listed on one mount: when a peer that carries slaves leaves, another peer takes them. */
void mnt_release_group(struct mount *m)
{
	struct mount *heir = list_empty(&m->peers) ? NULL : list_first(&m->peers, struct mount, peers);

	while (!list_empty(&m->slaves)) {
		struct mount *s = list_first(&m->slaves, struct mount, slave_node);

		list_del_init(&s->slave_node);
		s->master = heir ? heir : m->master;
		if (s->master)
			list_add_tail(&s->master->slaves, &s->slave_node);
	}
	list_del_init(&m->peers);
	m->group_id = 0;
	list_del_init(&m->slave_node);
	m->master = NULL;
}

static void change_one(struct mount *m, uint32_t type)
{
	struct mount *peer = list_empty(&m->peers) ? NULL : list_first(&m->peers, struct mount, peers);
	struct mount *master = m->master;

	atomic_fetch_and(&m->flags, ~MNT_UNBINDABLE);
	if (type == LINUX_MS_SHARED) {
		mnt_make_shared(m);
		return;
	}
	if (type == LINUX_MS_SLAVE) {
		bool was_shared = m->group_id != 0;

		if (!was_shared)
			return;	/* a slave already, or private: no effect */
		mnt_release_group(m);
		m->master = peer ? peer : master;
		if (m->master)
			list_add_tail(&m->master->slaves, &m->slave_node);
		return;
	}
	mnt_release_group(m);
	if (type == LINUX_MS_UNBINDABLE)
		atomic_fetch_or(&m->flags, MNT_UNBINDABLE);
}

void mnt_change_type(struct mount *m, uint32_t type, bool rec)
{
	for (struct mount *n = m; n; n = rec ? mnt_next_in_tree(n, m) : NULL)
		change_one(n, type);
}

/* The copy of @src that target @t shall carry, with the group membership that its place asks for. */
static struct mount *target_copy(struct mount *src, const struct mount_target *t)
{
	struct mount *c = mnt_copy_tree(src, src->root, COPY_REC | (t->slave ? COPY_SLAVE : COPY_SHARED));

	if (c && t->slave && t->m->group_id)
		for (struct mount *n = c; n; n = mnt_next_in_tree(n, c))
			mnt_make_shared(n);
	return c;
}

long mnt_attach_propagate(struct mount *m, const struct path *at)
{
	struct mount_targets t = { 0 };
	struct mount **copies = NULL;
	long ret = 0;
	uint32_t k;

	if (at->mnt->group_id) {
		for (struct mount *n = m; n; n = mnt_next_in_tree(n, m))
			mnt_make_shared(n);
		ret = mnt_propagation(at->mnt, &t);
		if (ret)
			return ret;
		copies = calloc(t.nr + 1, sizeof(*copies));
		if (!copies) {
			free(t.e);
			return -LINUX_ENOMEM;
		}
	}
	for (k = 0; k < t.nr; k++) {
		struct mount *src = t.e[k].src < 0 ? m : copies[t.e[k].src];

		/* Only where the mountpoint is visible; what hangs off a skipped one copies the original. */
		copies[k] = target_copy(src ? src : m, &t.e[k]);
		if (!copies[k]) {
			ret = -LINUX_ENOMEM;
			break;
		}
	}
	if (ret) {
		struct list dead = LIST_HEAD_INIT(dead);

		while (k-- > 0)
			mnt_umount_tree(copies[k], false, &dead);
		mnt_put_list(&dead);
		goto out;
	}
	for (k = 0; k < t.nr; k++) {
		struct mount *dst = t.e[k].m;

		if (d_is_ancestor(dst->root, at->dentry) && !mnt_lookup(dst, at->dentry)) {
			mnt_attach(copies[k], dst, at->dentry, dst->ns);
		} else {
			struct list dead = LIST_HEAD_INIT(dead);

			mnt_umount_tree(copies[k], false, &dead);
			mnt_put_list(&dead);
		}
	}
	mnt_attach(m, at->mnt, at->dentry, at->mnt->ns);
out:
	free(copies);
	free(t.e);
	return ret;
}
