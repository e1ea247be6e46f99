/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid_ns.c - /proc/PID/ns, id maps
 *
 * Source:  namespaces(7), user_namespaces(7), proc_pid_uid_map(5).
 */
#include "sentry/abi/cap.h"
#include "sentry/fs/proc/proc_internal.h"

#include <stdio.h>
#include <string.h>

/* The namespaces of a row: by the name of the link. */
static const struct {
	const char *name, *type;
	enum ns_kind kind;
} kinds[] = {
	{ "cgroup", "cgroup", NS_CGROUP },
	{ "ipc", "ipc", NS_IPC },
	{ "mnt", "mnt", NS_MNT },
	{ "net", "net", NS_NET },
	{ "pid", "pid", NS_PID },
	{ "pid_for_children", "pid", NS_PID_CHILDREN },
	{ "user", "user", NS_USER },
	{ "uts", "uts", NS_UTS },
};

static const struct proc_entry ns_entry = {
	.name = "", .mode = LINUX_S_IFLNK | 0777, .flags = PE_PTRACE, .link = proc_link_ns, .text = proc_text_ns,
};

static bool kind_exists(const struct proc_ctx *c, size_t k)
{
	struct ns_ref r = task_ns_ref(c->task, kinds[k].kind);
	bool there = r.ns;

	if (there)
		ns_ref_put(&r);
	return there;
}

static long ns_lookup(const struct proc_ctx *c, const char *name, struct proc_node *out)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		if (strcmp(kinds[k].name, name) || !kind_exists(c, k))
			continue;
		*out = (struct proc_node){ .entry = &ns_entry, .pid = c->node->pid, .thread = c->node->thread, .arg = k };
		pid_get(out->pid);
		return 0;
	}
	return -LINUX_ENOENT;
}

static long ns_iterate(const struct proc_ctx *c, struct proc_emit *pe)
{
	for (uint64_t k = *pe->pos - PROC_DYN_POS; k < ARRAY_SIZE(kinds); k++) {
		if (!kind_exists(c, k))
			continue;
		if (!proc_emit_name(pe, kinds[k].name, LINUX_DT_LNK, proc_ino(&ns_entry, c->node->pid, k), PROC_DYN_POS + k + 1))
			break;
	}
	return 0;
}

const struct proc_dir proc_ns_dir = { .lookup = ns_lookup, .iterate = ns_iterate };

PROC_LINK(ns)
{
	struct ns_ref r = task_ns_ref(c->task, kinds[c->node->arg].kind);

	return r.ns ? nsfs_path(&r, out) : -LINUX_ENOENT;
}

long proc_text_ns(const struct proc_ctx *c, char *out, size_t cap)
{
	struct ns_ref r = task_ns_ref(c->task, kinds[c->node->arg].kind);
	long n;

	if (!r.ns)
		return -LINUX_ENOENT;
	n = snprintf(out, cap, "%s:[%lu]", kinds[c->node->arg].type, ns_ref_ino(&r));
	ns_ref_put(&r);
	return n < (long)cap ? n : -LINUX_ENAMETOOLONG;
}

/* ---- id maps ------------------------------------------------------------------------------------------------ */

static struct user_ns *user_ns_of(const struct proc_ctx *c)
{
	struct cred *cr = task_cred(c->task);
	struct user_ns *ns = user_ns_get(cr->user_ns);

	cred_put(cr);
	return ns;
}

/* "Outside" is the reader's namespace; for one's own namespace its parent (user_namespaces(7)). */
static void show_map(const struct proc_ctx *c, bool gid, struct buf *out)
{
	struct user_ns *ns = user_ns_of(c), *viewer = c->user_ns;

	if (viewer == ns && ns->parent)
		viewer = ns->parent;
	user_ns_show_map(ns, gid, viewer, out);
	user_ns_put(ns);
}

static long store_map(const struct proc_ctx *c, bool gid, const char *text, size_t len)
{
	struct user_ns *ns = user_ns_of(c);
	struct task *me = proc_reader();
	long ret = -LINUX_EPERM;

	if (me && ns->parent && (me->cred->user_ns == ns || me->cred->user_ns == ns->parent))
		ret = user_ns_write_map(ns, gid, text, len, c->cred, me->cred);
	user_ns_put(ns);
	return ret;
}

PROC_SHOW(uid_map)
{
	show_map(c, false, out);
	return 0;
}

PROC_STORE(uid_map)
{
	return store_map(c, false, text, len);
}

PROC_SHOW(gid_map)
{
	show_map(c, true, out);
	return 0;
}

PROC_STORE(gid_map)
{
	return store_map(c, true, text, len);
}

PROC_SHOW(projid_map)
{
	return 0;
}

PROC_SHOW(setgroups)
{
	struct user_ns *ns = user_ns_of(c);

	mutex_lock(&ns->mu);
	buf_printf(out, ns->setgroups_denied ? "deny\n" : "allow\n");
	mutex_unlock(&ns->mu);
	user_ns_put(ns);
	return 0;
}

PROC_STORE(setgroups)
{
	struct user_ns *ns = user_ns_of(c);
	struct task *me = proc_reader();
	long ret = -LINUX_EPERM;

	if (me && cred_has_cap(me->cred, ns, LINUX_CAP_SYS_ADMIN))
		ret = user_ns_write_setgroups(ns, text, len);
	user_ns_put(ns);
	return ret;
}
