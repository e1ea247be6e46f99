/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/mount_text.c - /proc/PID/mounts, mountinfo, mountstats
 *
 * Source:  proc_pid_mountinfo(5), fstab(5) on escapes.
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

static const struct {
	uint32_t flag;
	const char *text;
} names[] = {
	{ LINUX_MS_NOSUID, ",nosuid" },	      { LINUX_MS_NODEV, ",nodev" },	    { LINUX_MS_NOEXEC, ",noexec" },
	{ LINUX_MS_NOATIME, ",noatime" },     { LINUX_MS_NODIRATIME, ",nodiratime" }, { LINUX_MS_RELATIME, ",relatime" },
	{ LINUX_MS_NOSYMFOLLOW, ",nosymfollow" },
};

/* Blank, tab, newline and backslash in octal, as the readers of these files expect. */
static void put_escaped(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\' || *s == '#')
			buf_printf(out, "\\%03o", *s);
		else
			buf_append(out, s, 1);
	}
}

static void put_mount_flags(struct buf *out, uint32_t flags)
{
	buf_printf(out, flags & LINUX_MS_RDONLY ? "ro" : "rw");
	for (size_t k = 0; k < ARRAY_SIZE(names); k++)
		if (flags & names[k].flag)
			buf_append(out, names[k].text, strlen(names[k].text));
}

static void put_sb_options(struct buf *out, struct super_block *sb)
{
	if (sb->flags & LINUX_MS_SYNCHRONOUS)
		buf_printf(out, ",sync");
	if (sb->ops && sb->ops->show_options)
		sb->ops->show_options(sb, out);
}

const char *mount_root_text(struct mount *m, char tmp[PATH_MAX_BYTES])
{
	struct path p = { .dentry = m->root };

	if (m->sb->ops && m->sb->ops->show_root) {
		struct buf text = { 0 };

		m->sb->ops->show_root(m->root, &text);
		snprintf(tmp, PATH_MAX_BYTES, "%s", text.data ?: "/");
		buf_fini(&text);
		return tmp;
	}
	if (m->root->flags & DENTRY_ROOT || vfs_path_text(&p, NULL, tmp, PATH_MAX_BYTES) < 0)
		strcpy(tmp, "/");
	return tmp;
}

static void put_type(const struct super_block *sb, struct buf *out)
{
	buf_printf(out, "%s", sb->type->name);
	if (sb->subtype[0]) {
		buf_printf(out, ".");
		put_escaped(out, sb->subtype);
	}
}

static void show_info(struct mount *m, const char *at, struct buf *out, char *tmp)
{
	buf_printf(out, "%lu %lu %u:%u ", (unsigned long)m->id, (unsigned long)(m->parent ? m->parent->id : m->id), LINUX_MAJOR(m->sb->dev),
		   LINUX_MINOR(m->sb->dev));
	put_escaped(out, mount_root_text(m, tmp));
	buf_printf(out, " ");
	put_escaped(out, at);
	buf_printf(out, " ");
	put_mount_flags(out, m->flags);
	if (m->group_id)
		buf_printf(out, " shared:%lu", (unsigned long)m->group_id);
	if (m->master)
		buf_printf(out, " master:%lu", (unsigned long)m->master->group_id);
	if (m->flags & MNT_UNBINDABLE)
		buf_printf(out, " unbindable");
	buf_printf(out, " - ");
	put_type(m->sb, out);
	buf_printf(out, " ");
	put_escaped(out, m->devname);
	buf_printf(out, m->sb->flags & LINUX_MS_RDONLY ? " ro" : " rw");
	put_sb_options(out, m->sb);
	buf_printf(out, "\n");
}

static void show_mounts(struct mount *m, const char *at, struct buf *out)
{
	put_escaped(out, m->devname);
	buf_printf(out, " ");
	put_escaped(out, at);
	buf_printf(out, " ");
	put_type(m->sb, out);
	buf_printf(out, " ");
	put_mount_flags(out, m->flags | (m->sb->flags & LINUX_MS_RDONLY));
	put_sb_options(out, m->sb);
	buf_printf(out, " 0 0\n");
}

static void show_stats(struct mount *m, const char *at, struct buf *out)
{
	buf_printf(out, "device %s mounted on %s with fstype ", m->devname, at);
	put_type(m->sb, out);
	buf_printf(out, "\n");
}

void mount_show(struct mnt_ns *ns, const struct path *root, enum mount_text kind, struct buf *out)
{
	char *text = malloc(2 * PATH_MAX_BYTES);
	struct mount *m;

	if (!text)
		return;
	sleep_lock(&mount_lock);
	list_for_each_entry(m, &ns->mounts, ns_node) {
		struct path p = { m, m->root };
		bool reachable = false;

		/* What lies outside the reader's root is not shown. */
		if (vfs_path_text2(&p, root, text, PATH_MAX_BYTES, &reachable) < 0 || (root && !reachable))
			continue;
		if (kind == MOUNT_TEXT_INFO)
			show_info(m, text, out, text + PATH_MAX_BYTES);
		else if (kind == MOUNT_TEXT_MOUNTS)
			show_mounts(m, text, out);
		else
			show_stats(m, text, out);
	}
	sleep_unlock(&mount_lock);
	free(text);
}
