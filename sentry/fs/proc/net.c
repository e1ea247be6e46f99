/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/net.c - /proc/PID/net: files that the socket layer writes
 */
#include "sentry/fs/proc/proc_internal.h"

#include <string.h>

static long show_net(const struct proc_ctx *c, struct buf *out)
{
	struct nsproxy *ns = task_nsproxy(c->task);
	long ret = -LINUX_EINVAL;

	if (ns && ns->net && proc_net_ops)
		ret = proc_net_ops->show((unsigned)c->node->arg, ns->net, out);
	if (ns)
		nsproxy_put(ns);
	return ret;
}

static const struct proc_entry net_entry = { .name = "", .mode = LINUX_S_IFREG | 0444, .show = show_net };

static long net_lookup(const struct proc_ctx *c, const char *name, struct proc_node *out)
{
	const char *have;

	for (unsigned k = 0; proc_net_ops && (have = proc_net_ops->file(k)) != NULL; k++) {
		if (strcmp(have, name))
			continue;
		*out = (struct proc_node){ .entry = &net_entry, .pid = c->node->pid, .thread = c->node->thread, .arg = k };
		pid_get(out->pid);
		return 0;
	}
	return -LINUX_ENOENT;
}

static long net_iterate(const struct proc_ctx *c, struct proc_emit *pe)
{
	const char *name;

	for (unsigned k = (unsigned)(*pe->pos - PROC_DYN_POS); proc_net_ops && (name = proc_net_ops->file(k)) != NULL; k++)
		if (!proc_emit_name(pe, name, LINUX_DT_REG, proc_ino(&net_entry, c->node->pid, k), PROC_DYN_POS + k + 1))
			break;
	return 0;
}

const struct proc_dir proc_net_dir = { .lookup = net_lookup, .iterate = net_iterate };
