/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/answer.c - what a daemon writes: answers to requests, and news of its own (FUSE_NOTIFY_*)
 *
 * Model:   an answer finds its request by number. One of a wrong length ends its request with EIO and is itself EINVAL, as
 *          is what makes no sense; an unknown number is ENOENT. Nobody is waited for.
 * Locks:   fuse_conn.mu while the request is looked for. A name that is dropped needs none: its time is over, one word says.
 * Source:  linux/fuse.h.
 * Differs: FUSE_NOTIFY_POLL wakes nobody (files are always ready), STORE and RETRIEVE are ENOSYS.
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"

#define ERROR_MIN 512 /* larger ones are the kernel's own */

/* ---- news ---- */

static long inval_inode(struct super_block *sb, const uint8_t *p, size_t len)
{
	struct fuse_notify_inval_inode_out m;
	struct inode *i;

	if (len != sizeof(m))
		return -LINUX_EINVAL;
	memcpy(&m, p, sizeof(m));
	i = fnode_find(sb, m.ino);
	if (!i)
		return -LINUX_ENOENT;
	fuse_attr_stale(i);
	if (m.off >= 0 && LINUX_S_ISREG(i->mode))
		fuse_pages_invalidate(i, (uint64_t)m.off, m.len <= 0 ? UINT64_MAX : (uint64_t)m.off + (uint64_t)m.len);
	inode_put(i);
	return 0;
}

static long drop_name(struct super_block *sb, uint64_t parent, const char *name, size_t len, uint64_t child)
{
	struct inode *dir = fnode_find(sb, parent);
	struct dentry *at, *d;
	long ret = -LINUX_ENOENT;

	if (!dir)
		return ret;
	at = fuse_dentry_of(dir);
	d = at ? d_lookup_cached(at, name, len) : NULL;
	fuse_attr_stale(dir);
	if (d && (!child || (d->inode && fnode_of(d->inode)->nodeid == child))) {
		fuse_entry_until(d, 0); /* the next walk asks */
		if (d->inode)
			fuse_attr_stale(d->inode);
		ret = 0;
	}
	d_put(d);
	d_put(at);
	inode_put(dir);
	return ret;
}

static long inval_entry(struct super_block *sb, const uint8_t *p, size_t len)
{
	struct fuse_notify_inval_entry_out m;
	const char *name = (const char *)p + sizeof(m);

	if (len < sizeof(m))
		return -LINUX_EINVAL;
	memcpy(&m, p, sizeof(m));
	if (m.namelen > NAME_MAX_BYTES)
		return -LINUX_ENAMETOOLONG;
	if (len != sizeof(m) + m.namelen + 1 || name[m.namelen] || !m.namelen)
		return -LINUX_EINVAL;
	return drop_name(sb, m.parent, name, m.namelen, 0);
}

static long delete_entry(struct super_block *sb, const uint8_t *p, size_t len)
{
	struct fuse_notify_delete_out m;
	const char *name = (const char *)p + sizeof(m);

	if (len < sizeof(m))
		return -LINUX_EINVAL;
	memcpy(&m, p, sizeof(m));
	if (m.namelen > NAME_MAX_BYTES)
		return -LINUX_ENAMETOOLONG;
	if (len != sizeof(m) + m.namelen + 1 || name[m.namelen] || !m.namelen)
		return -LINUX_EINVAL;
	return drop_name(sb, m.parent, name, m.namelen, m.child);
}

static long notify(struct fuse_conn *fc, int code, const uint8_t *p, size_t len)
{
	struct super_block *sb;
	long ret;

	if (code == FUSE_NOTIFY_POLL)
		return len == sizeof(struct fuse_notify_poll_wakeup_out) ? 0 : -LINUX_EINVAL;
	if (code == FUSE_NOTIFY_STORE || code == FUSE_NOTIFY_RETRIEVE)
		return -LINUX_ENOSYS;
	if (code != FUSE_NOTIFY_INVAL_INODE && code != FUSE_NOTIFY_INVAL_ENTRY && code != FUSE_NOTIFY_DELETE)
		return -LINUX_EINVAL;
	sb = fuse_sb_of_conn(fc);
	if (!sb)
		return -LINUX_ENOENT;
	ret = code == FUSE_NOTIFY_INVAL_INODE ? inval_inode(sb, p, len) :
	      code == FUSE_NOTIFY_INVAL_ENTRY ? inval_entry(sb, p, len) :
						delete_entry(sb, p, len);
	sb_put(sb);
	return ret;
}

/* ---- answers ---- */

/* Taken off the list of those that wait; NULL: there is none with that number. */
static struct fuse_req *take_request(struct fuse_conn *fc, uint64_t unique)
{
	struct list *bucket = &fc->processing[unique / 2 % FUSE_PROC_HASH];
	struct fuse_req *r, *found = NULL;

	mutex_lock(&fc->mu);
	list_for_each_entry(r, bucket, node)
		if (fuse_req_head(r)->unique == unique) {
			found = r;
			list_del_init(&r->node);
			break;
		}
	mutex_unlock(&fc->mu);
	return found;
}

/* To an INTERRUPT: the daemon does not know it, or not yet the request. */
static long interrupt_answer(struct fuse_conn *fc, const struct fuse_out_header *h, size_t len)
{
	struct fuse_req *r;
	long ret = -LINUX_ENOENT;

	if (len != sizeof(*h))
		return -LINUX_EINVAL;
	if (fuse_is_missing(fc, FUSE_NO_INTERRUPT, h->error))
		return 0;
	mutex_lock(&fc->mu);
	list_for_each_entry(r, &fc->processing[h->unique / 2 % FUSE_PROC_HASH], node)
		if (fuse_req_head(r)->unique == (h->unique & ~1ull)) {
			if (h->error == -LINUX_EAGAIN)
				fuse_queue_interrupt_locked(r);
			ret = 0;
			break;
		}
	mutex_unlock(&fc->mu);
	return ret;
}

static long take_args(struct fuse_req *r, const uint8_t *p, size_t len)
{
	if (len > r->out_cap || (len < r->out_cap && !r->out_var))
		return -LINUX_EINVAL;
	if (len)
		memcpy(r->out, p, len);
	r->out_len = (uint32_t)len;
	return 0;
}

long fuse_answer(struct fuse_conn *fc, const uint8_t *buf, size_t len)
{
	struct fuse_out_header h;
	struct fuse_req *r;
	long ret = 0;

	if (len < sizeof(h))
		return -LINUX_EINVAL;
	memcpy(&h, buf, sizeof(h));
	if (h.len != len)
		return -LINUX_EINVAL;
	if (!h.unique) {
		ret = notify(fc, h.error, buf + sizeof(h), len - sizeof(h));
		return ret ? ret : (long)len;
	}
	if (h.error <= -ERROR_MIN || h.error > 0)
		return -LINUX_EINVAL;
	if (h.unique & 1) {
		ret = interrupt_answer(fc, &h, len);
		return ret ? ret : (long)len;
	}
	r = take_request(fc, h.unique);
	if (!r)
		return -LINUX_ENOENT;
	if (!h.error)
		ret = take_args(r, buf + sizeof(h), len - sizeof(h));
	else if (len != sizeof(h))
		ret = -LINUX_EINVAL;
	fuse_req_finish(r, ret ? -LINUX_EIO : h.error);
	return ret ? ret : (long)len;
}
