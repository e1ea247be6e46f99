/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/settle.c - what a container's processes expect to find set: $HOME, and the sysctls of its configuration
 *
 * Model:   $HOME comes from the container's own /etc/passwd, as runc does it: the image knows its users, the host does not.
 *          The file is the image's and therefore hostile: one bounded read, fields taken by position, a broken line skipped.
 *          Sysctls go straight to the namespaces that own them, as no task exists yet that could write to /proc/sys.
 * Source:  passwd(5); runtime-spec config-linux.md "Sysctl".
 * Differs: a passwd file is read up to HOME_PASSWD_MAX.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/task/ns.h"

#define HOME_PASSWD_MAX (256u << 10)
#define SYSCTL_TEXT_MAX 1024

/* ---- $HOME --------------------------------------------------------------------------------------------- */

static char *read_passwd(struct container *c)
{
	struct vfs_ctx ctx = { .fs = c->fs, .mnt_ns = c->ns->mnt, .cred = c->cred };
	char *text = malloc(HOME_PASSWD_MAX + 1);
	struct file *f;
	size_t len = 0;
	long n = 1;

	if (!text || vfs_open(&ctx, LINUX_AT_FDCWD, "/etc/passwd", LINUX_O_RDONLY | LINUX_O_NONBLOCK, 0, WALK_FOLLOW, &f) < 0) {
		free(text);
		return NULL;
	}
	/* a fifo or device in the image's place would block, or never end */
	while (n > 0 && len < HOME_PASSWD_MAX && LINUX_S_ISREG(f->inode->mode)) {
		struct uio io;

		uio_init_kernel(&io, text + len, HOME_PASSWD_MAX - len);
		n = vfs_read(f, &io, NULL, 0);
		if (n > 0)
			len += (size_t)n;
		uio_fini(&io);
	}
	file_put(f);
	text[len] = '\0';
	return text;
}

/* name:password:uid:gid:comment:home:shell. @line is cut up. */
static const char *home_of_line(char *line, uint32_t uid)
{
	char *field[7] = { line }, *end;
	unsigned n = 1;

	for (char *s = line; *s && n < ARRAY_SIZE(field); s++)
		if (*s == ':') {
			*s = '\0';
			field[n++] = s + 1;
		}
	if (n < 6 || !field[2][0] || strtoul(field[2], &end, 10) != uid || *end)
		return NULL;
	return field[5];
}

char *boot_home(struct container *c, uint32_t uid)
{
	char *text = read_passwd(c), *rest = text, *line, *out = NULL;
	const char *home = NULL;

	while (!home && (line = strsep(&rest, "\n")) != NULL)
		home = home_of_line(line, uid);
	if (asprintf(&out, "HOME=%s", home && home[0] == '/' ? home : "/") < 0)
		out = NULL;
	free(text);
	return out;
}

/* ---- sysctls --------------------------------------------------------------------------------------------- */

static long set_one(struct container *c, const char *path, const char *value)
{
	char text[SYSCTL_TEXT_MAX];
	size_t len = strlen(value);

	if (len >= sizeof(text))
		return -LINUX_EINVAL;
	memcpy(text, value, len + 1);
	if (!strncmp(path, "net/", 4))
		return proc_net_ops && proc_net_ops->sysctl_write ? proc_net_ops->sysctl_write(c->ns->net, path + 4, text, len) : -LINUX_ENOENT;
	if (!strcmp(path, "kernel/domainname")) {
		if (len >= sizeof(c->ns->uts->domainname))
			return -LINUX_EINVAL;
		mutex_lock(&c->ns->uts->mu);
		memcpy(c->ns->uts->domainname, value, len + 1);
		mutex_unlock(&c->ns->uts->mu);
		return 0;
	}
	if (!strncmp(path, "kernel/", 7) && c->ns->ipc)
		return proc_ipc_limit(c->ns->ipc, path + 7, true, text, len);
	if (!strncmp(path, "fs/mqueue/", 10) && c->ns->ipc)
		return proc_ipc_limit(c->ns->ipc, path + 10, true, text, len);
	return -LINUX_ENOENT;
}

long boot_set_sysctls(struct container *c, Runsc__Control__V1__Sysctl *const *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		long ret = set_one(c, v[i]->path, v[i]->value);

		/* engines set some on every container: one of Linux that this kernel lacks has no effect to lose */
		if (ret == -LINUX_ENOENT && v[i]->optional) {
			log_warn("sysctl %s is not there, left out", v[i]->path);
		} else if (ret < 0) {
			err_set(e, (int)-ret, "sysctl %s = \"%s\": %s", v[i]->path, v[i]->value, strerror((int)-ret));
			return ret;
		}
	}
	return 0;
}
