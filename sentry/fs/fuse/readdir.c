/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/readdir.c - reading directories
 *
 * Model:   one READDIR request for each getdents(2); positions are the daemon's. An entry that is cut off ends the page, one that
 *          is no name makes it EIO.
 * Locks:   VFS holds the directory's i_lock and pos_lock.
 * Source:  linux/fuse.h "struct fuse_dirent".
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"

static long emit_page(const uint8_t *p, size_t len, struct dir_emit *e, uint64_t *pos)
{
	while (len >= FUSE_NAME_OFFSET) {
		struct fuse_dirent d;
		const char *name = (const char *)p + FUSE_NAME_OFFSET;
		size_t step;

		memcpy(&d, p, FUSE_NAME_OFFSET);
		if (!d.namelen || d.namelen > NAME_MAX_BYTES)
			return -LINUX_EIO;
		step = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
		if (step > len)
			break;
		if (memchr(name, '/', d.namelen) || memchr(name, '\0', d.namelen))
			return -LINUX_EIO;
		if (!e->add(e, name, d.namelen, d.ino, (uint8_t)(d.type & 15), d.off & INT64_MAX))
			break;
		*pos = d.off & INT64_MAX;
		p += step;
		len -= step;
	}
	return 0;
}

long fuse_dir_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct fuse_file *ff = f->priv;
	struct inode *i = f->inode;
	const struct fuse_read_in in = { .fh = ff->fh, .offset = *pos, .size = PAGE_SIZE };
	struct fuse_req *r;
	long ret = fnode_ok(i);

	if (!ret)
		ret = fuse_req_new(fuse_conn_of(i), FUSE_READDIR, fnode_of(i)->nodeid, fuse_cred(), sizeof(in), PAGE_SIZE, &r);
	if (ret)
		return ret;
	memcpy(fuse_req_args(r), &in, sizeof(in));
	r->out_var = true;
	ret = fuse_req_wait(r);
	if (ret > 0)
		ret = emit_page(r->out, (size_t)ret, e, pos);
	fuse_req_put(r);
	fuse_attr_stale(i);	/* the access time */
	return ret;
}
