/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/sysctl.c - /proc/sys as a tree made of paths
 *
 * Model:   rows (sysctl_rows.c) and the socket layer give paths with slashes; directories are what paths have in common.
 *          A directory's node carries the length of its path within the path of the first row below it, a file's the row.
 * Source:  proc_sys(5).
 */
#include "sentry/fs/proc/sysctl.h"

#include <stdio.h>
#include <string.h>

#define NET_PREFIX     "net/"
#define NET_PREFIX_LEN 4
#define NET_TEXT_MAX   4096
#define SYSCTL_PATH_MAX 192

/* ---- all paths, by index -------------------------------------------------------------------------------- */

/* The n-th path into @out (rows first, then the network's); false at the end. */
static bool path_nr(unsigned n, char out[SYSCTL_PATH_MAX])
{
	const char *p;

	if (n < sysctl_nr_rows) {
		snprintf(out, SYSCTL_PATH_MAX, "%s", sysctl_rows[n].path);
		return true;
	}
	p = proc_net_ops && proc_net_ops->sysctl_path ? proc_net_ops->sysctl_path(n - sysctl_nr_rows) : NULL;
	if (!p)
		return false;
	snprintf(out, SYSCTL_PATH_MAX, NET_PREFIX "%s", p);
	return true;
}

/* The path of a directory node: the first .arg>>32 ... bytes of path number .arg. */
static void dir_path(const struct proc_node *n, char out[SYSCTL_PATH_MAX], size_t *out_len)
{
	*out_len = n->arg >> 32;
	if (!*out_len || !path_nr((uint32_t)n->arg, out))
		out[0] = '\0';
	out[*out_len] = '\0';
}

/* ---- files -------------------------------------------------------------------------------------------------- */

static struct nsproxy *reader_ns(void)
{
	struct task *me = proc_reader();

	return me ? task_nsproxy(me) : NULL;
}

static long show_row(const struct proc_ctx *c, struct buf *out)
{
	const struct sysctl_row *r = &sysctl_rows[(uint32_t)c->node->arg];

	return r->show(r, c, out);
}

static long store_row(const struct proc_ctx *c, char *text, size_t len)
{
	const struct sysctl_row *r = &sysctl_rows[(uint32_t)c->node->arg];

	return r->store ? r->store(r, c, text, len) : -LINUX_EPERM;
}

static long show_net(const struct proc_ctx *c, struct buf *out)
{
	const char *path = proc_net_ops->sysctl_path((uint32_t)c->node->arg - sysctl_nr_rows);
	struct nsproxy *ns = reader_ns();
	char *room = buf_reserve(out, NET_TEXT_MAX);
	long ret = -LINUX_EINVAL;

	if (!room)
		ret = -LINUX_ENOMEM;
	else if (path && ns && ns->net)
		ret = proc_net_ops->sysctl_read(ns->net, path, room, NET_TEXT_MAX - 1);
	if (ret > 0) {
		out->len += (size_t)ret;
		if (room[ret - 1] != '\n')
			buf_append(out, "\n", 1);
	}
	if (ns)
		nsproxy_put(ns);
	return MIN(ret, 0l);
}

static long store_net(const struct proc_ctx *c, char *text, size_t len)
{
	const char *path = proc_net_ops->sysctl_path((uint32_t)c->node->arg - sysctl_nr_rows);
	struct nsproxy *ns = reader_ns();
	long ret = -LINUX_EINVAL;

	if (path && ns && ns->net)
		ret = proc_net_ops->sysctl_write(ns->net, path, text, len);
	if (ns)
		nsproxy_put(ns);
	return ret;
}

static uint32_t row_mode(const struct proc_ctx *c)
{
	return LINUX_S_IFREG | sysctl_rows[(uint32_t)c->node->arg].mode;
}

static const struct proc_entry row_entry = {
	.name = "", .mode = LINUX_S_IFREG | 0644, .show = show_row, .store = store_row, .mode_fn = row_mode,
};
static const struct proc_entry net_entry = { .name = "", .mode = LINUX_S_IFREG | 0644, .show = show_net, .store = store_net };
static const struct proc_entry dir_entry = { .name = "", .mode = LINUX_S_IFDIR | 0555, .dir = &proc_sys_dir };

/* ---- directories --------------------------------------------------------------------------------------------- */

/* If path number @k lies below @dir (with its slash): the next component, and whether it is the last. */
static bool component(unsigned k, const char *dir, size_t dir_len, char path[SYSCTL_PATH_MAX], size_t *out_len, bool *out_last)
{
	if (!path_nr(k, path))
		return false;
	*out_len = 0;
	if (strncmp(path, dir, dir_len))
		return true;
	*out_len = strcspn(path + dir_len, "/");
	*out_last = path[dir_len + *out_len] == '\0';
	return true;
}

static long sys_lookup(const struct proc_ctx *c, const char *name, struct proc_node *out)
{
	char dir[SYSCTL_PATH_MAX], path[SYSCTL_PATH_MAX];
	size_t dir_len, n;
	bool last;

	dir_path(c->node, dir, &dir_len);
	for (unsigned k = 0; component(k, dir, dir_len, path, &n, &last); k++) {
		if (!n || strlen(name) != n || memcmp(path + dir_len, name, n))
			continue;
		*out = (struct proc_node){ .entry = !last ? &dir_entry : k < sysctl_nr_rows ? &row_entry : &net_entry, .arg = k };
		if (!last)
			out->arg |= (uint64_t)(dir_len + n + 1) << 32;
		return 0;
	}
	return -LINUX_ENOENT;
}

/* True when an earlier path has the same next component: it was listed then. */
static bool listed_before(unsigned k, const char *dir, size_t dir_len, const char *name, size_t n)
{
	char path[SYSCTL_PATH_MAX];
	size_t m;
	bool last;

	for (unsigned j = 0; j < k && component(j, dir, dir_len, path, &m, &last); j++)
		if (m == n && !memcmp(path + dir_len, name, n))
			return true;
	return false;
}

static long sys_iterate(const struct proc_ctx *c, struct proc_emit *pe)
{
	char dir[SYSCTL_PATH_MAX], path[SYSCTL_PATH_MAX];
	size_t dir_len, n;
	bool last;

	dir_path(c->node, dir, &dir_len);
	for (unsigned k = (unsigned)(*pe->pos - PROC_DYN_POS); component(k, dir, dir_len, path, &n, &last); k++) {
		if (!n || listed_before(k, dir, dir_len, path + dir_len, n))
			continue;
		path[dir_len + n] = '\0';
		if (!proc_emit_name(pe, path + dir_len, last ? LINUX_DT_REG : LINUX_DT_DIR, proc_ino(&dir_entry, NULL, k),
				    PROC_DYN_POS + k + 1))
			break;
	}
	return 0;
}

const struct proc_dir proc_sys_dir = { .lookup = sys_lookup, .iterate = sys_iterate };
