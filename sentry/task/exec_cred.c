/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/exec_cred.c - set-user-id programs, file capabilities, ambient capabilities
 *
 * Model:   P'(permitted) = (P(inheritable) & F(inheritable)) | (F(permitted) & P(bounding)) | P'(ambient), in an editable copy.
 * Hostile: the security.capability attribute is the image's.
 * Source:  capabilities(7), execve(2), prctl(2) PR_SET_NO_NEW_PRIVS.
 */
#include <string.h>

#include "sentry/task/exec.h"
#include "sentry/task/ptrace.h"
#include "sentry/vfs/mount.h"

#define VFS_CAP_REVISION_2  0x02000000u
#define VFS_CAP_REVISION_3  0x03000000u
#define VFS_CAP_REV_MASK    0xff000000u
#define VFS_CAP_EFFECTIVE   1u
#define VFS_CAP_SIZE_2	    20
#define VFS_CAP_SIZE_3	    24

struct file_caps {
	uint64_t permitted, inheritable;
	bool effective, present;
};

static uint32_t le32_at(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct file_caps read_caps(struct file *f, struct user_ns *ns)
{
	struct file_caps none = { 0 }, c = { 0 };
	struct inode *i = f->inode;
	uint8_t raw[VFS_CAP_SIZE_3];
	uint32_t magic, root = id_to_kernel(&init_user_ns, false, 0);
	long n;

	if (!i->ops || !i->ops->getxattr)
		return none;
	n = i->ops->getxattr(i, "security.capability", raw, sizeof(raw));
	if (n != VFS_CAP_SIZE_2 && n != VFS_CAP_SIZE_3)
		return none;
	magic = le32_at(raw);
	if ((magic & VFS_CAP_REV_MASK) == VFS_CAP_REVISION_3 && n == VFS_CAP_SIZE_3)
		root = id_to_kernel(&init_user_ns, false, le32_at(raw + 20));
	else if ((magic & VFS_CAP_REV_MASK) != VFS_CAP_REVISION_2 || n != VFS_CAP_SIZE_2)
		return none;
	/* They count where their root is root: in its namespace and those it owns. */
	if (root == ID_INVALID)
		return none;
	for (; ns; ns = ns->parent)
		if (id_to_kernel(ns, false, 0) == root)
			break;
	if (!ns)
		return none;
	c.permitted = (le32_at(raw + 4) | (uint64_t)le32_at(raw + 12) << 32) & CAP_FULL;
	c.inheritable = (le32_at(raw + 8) | (uint64_t)le32_at(raw + 16) << 32) & CAP_FULL;
	c.effective = magic & VFS_CAP_EFFECTIVE;
	c.present = true;
	return c;
}

/* Nor do files of a file system that a less privileged user namespace serves or filled lend anything to others. */
static bool mount_nosuid(struct file *f, const struct cred *c)
{
	if (!user_ns_is_below(c->user_ns, f->inode->sb->user_ns))
		return true;
	return f->path.mnt && (atomic_load_explicit(&f->path.mnt->flags, memory_order_relaxed) & LINUX_MS_NOSUID);
}

/* Set-user-id and set-group-id bits. */
static void apply_setid(struct cred *n, struct inode *i)
{
	uint32_t mode = i->mode;

	if (id_from_kernel(n->user_ns, false, i->uid) == ID_INVALID ||
	    id_from_kernel(n->user_ns, true, i->gid) == ID_INVALID)
		return;
	if (mode & LINUX_S_ISUID)
		n->euid = i->uid;
	if ((mode & (LINUX_S_ISGID | 0010)) == (LINUX_S_ISGID | 0010))
		n->egid = i->gid;
}

static long apply_caps(struct cred *n, const struct cred *old, struct file_caps fc, bool setid)
{
	uint32_t root = id_to_kernel(n->user_ns, false, 0);

	if (!(n->securebits & SECBIT_NOROOT) && root != ID_INVALID && !(fc.present && n->uid != root && n->euid == root)) {
		if (n->euid == root || n->uid == root)
			fc.permitted = fc.inheritable = CAP_FULL;
		if (n->euid == root)
			fc.effective = true;
	}
	n->cap_permitted = (old->cap_inheritable & fc.inheritable) | (fc.permitted & old->cap_bset);
	/* A program that does not know of capabilities must get all it asks for, or not start. */
	if (fc.present && fc.effective && (fc.permitted & ~n->cap_permitted) && n->euid != root)
		return -LINUX_EPERM;
	if (fc.present || setid)
		n->cap_ambient = 0;
	n->cap_permitted |= n->cap_ambient;
	n->cap_effective = fc.effective ? n->cap_permitted : n->cap_ambient;
	return 0;
}

long exec_credentials(struct task *t, struct file *f, struct cred **out, bool *out_secure)
{
	const struct cred *old = t->cred;
	struct cred *n = cred_dup(old);
	struct file_caps fc = { 0 };
	uint32_t root;
	bool setid;
	long ret;

	if (!n)
		return -LINUX_ENOMEM;
	if (!mount_nosuid(f, old)) {
		if (!old->no_new_privs) {
			fc = read_caps(f, n->user_ns);
			apply_setid(n, f->inode);
		}
	}
	setid = n->euid != old->uid || n->egid != old->gid;
	ret = apply_caps(n, old, fc, n->euid != old->euid || n->egid != old->egid);
	if (ret < 0) {
		cred_put(n);
		return ret;
	}
	/* Privilege gained under a tracer that may not have it, or against no_new_privs: take it back. */
	if ((setid || (n->cap_permitted & ~old->cap_permitted)) &&
	    (old->no_new_privs || (task_is_traced(t) && !ptrace_may_gain(t)))) {
		if (!cred_has_cap(old, old->user_ns, LINUX_CAP_SETUID) || old->no_new_privs) {
			n->euid = n->uid;
			n->egid = n->gid;
		}
		n->cap_permitted &= old->cap_permitted;
		n->cap_effective &= n->cap_permitted;
	}
	n->suid = n->fsuid = n->euid;
	n->sgid = n->fsgid = n->egid;
	n->securebits &= ~SECBIT_KEEP_CAPS;
	root = id_to_kernel(n->user_ns, false, 0);
	*out_secure = n->euid != n->uid || n->egid != n->gid ||
		      (n->uid != root && (fc.effective || (n->cap_permitted & ~n->cap_ambient)));
	*out = n;
	return 0;
}

bool exec_gains(const struct cred *old, const struct cred *n)
{
	bool same_user = n->euid == old->uid || n->euid == old->euid || n->euid == old->suid;
	bool same_group = n->egid == old->gid || n->egid == old->egid || n->egid == old->sgid;

	return !same_user || !same_group || (n->cap_permitted & ~old->cap_permitted);
}
