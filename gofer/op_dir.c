/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_dir.c - Treaddir, and Txreaddir: pages of entries with their attributes
 *
 * Model:   getdents64(2) into a buffer of ours, entries copied one by one as long as they fit; where to
 *          go on is the host's d_off cookie of the last entry that was handed out.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

#define GETDENTS_BUF 8192u

const struct gofer_hostcall gofer_calls_dir[] = {
	HOSTCALL(getdents64, "Treaddir, Txreaddir"),
	HOSTCALL(lseek, "the place in a directory"),
	HOSTCALL(readlinkat, "targets of links"),
	{ 0 },
};

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

struct dirpage {
	struct wcursor w;
	int dirfd;
	uint32_t flags; /* P9X_DIR_* */
	uint64_t next;	/* where the client goes on */
	bool eof;
};

/* Returns false when the entry does not fit any more. */
typedef bool (*dirpage_add)(struct dirpage *p, const struct linux_dirent64 *d);

static bool add_plain(struct dirpage *p, const struct linux_dirent64 *d)
{
	struct p9_dirent e = { .off = (uint64_t)d->d_off, .type = d->d_type, .name = p9_str(d->d_name) };
	struct wcursor before = p->w;
	struct p9x_stat st;

	e.qid = (struct p9_qid){ .path = d->d_ino,
				 .type = d->d_type == DT_DIR ? P9_QTDIR :
					 d->d_type == DT_LNK ? P9_QTSYMLINK : P9_QTFILE };
	/* ".." of a root would tell about the host's directory above it; inside it is just a number */
	if (!strcmp(d->d_name, "..")) {
		e.qid.path = 0;
	} else if (d->d_type == DT_UNKNOWN && !node_stat_at(p->dirfd, d->d_name, &st)) {
		e.qid = qid_of(&st);
		e.type = (uint8_t)((st.mode & S_IFMT) >> 12);
	}
	p9_put_dirent(&p->w, &e);
	if (p->w.bad)
		p->w = before;
	return p->w.p != before.p;
}

static bool add_with_stat(struct dirpage *p, const struct linux_dirent64 *d)
{
	struct p9x_dirent e = { .off = (uint64_t)d->d_off, .name = p9_str(d->d_name), .target = { "", 0 } };
	struct wcursor before = p->w;
	char target[P9_PATH_MAX];
	ssize_t n = 0;

	if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
		return true;
	if ((size_t)(p->w.end - p->w.p) < p9x_dirent_len(e.name.len, 0))
		return false;
	if (node_stat_at(p->dirfd, d->d_name, &e.st)) {
		if (errno == ENOENT)
			return true; /* deleted meanwhile */
		e.st = (struct p9x_stat){ .mode = (uint32_t)d->d_type << 12, .ino = d->d_ino };
	}
	if (S_ISLNK(e.st.mode) && (p->flags & P9X_DIR_LINKS))
		n = readlinkat(p->dirfd, d->d_name, target, sizeof(target));
	if (n > 0 && (size_t)n < sizeof(target))
		e.target = (struct p9_str){ target, (uint16_t)n };
	p9x_put_dirent(&p->w, &e);
	if (p->w.bad)
		p->w = before;
	return p->w.p != before.p;
}

/**
 * dirpage_fill() - entries from @off on, as many as fit
 * Return: 0, -errno; -EINVAL when not even one entry fits
 */
static long dirpage_fill(struct dirpage *p, uint64_t off, dirpage_add add)
{
	union {
		char b[GETDENTS_BUF];
		struct linux_dirent64 align;
	} u;
	bool progress = false;

	p->next = off;
	p->eof = false;
	for (;;) {
		long n = syscall(SYS_getdents64, p->dirfd, u.b, sizeof(u.b));

		if (n < 0)
			return -errno;
		if (n == 0) {
			p->eof = true;
			return 0;
		}
		for (long at = 0; at < n;) {
			const struct linux_dirent64 *d = (const void *)(u.b + at);

			if (!add(p, d))
				return progress ? 0 : -EINVAL;
			progress = true;
			p->next = (uint64_t)d->d_off;
			at += d->d_reclen;
		}
	}
}

long op_readdir(struct gcall *k)
{
	const struct p9_Treaddir *m = &k->req->Treaddir;
	struct gfid *f = gfid_get_node(k->conn, m->fid);
	struct dirpage p = { .w = wcursor_make(k->data, m->count) };
	long ret = 0;

	if (!f)
		return -EBADF;
	p.dirfd = atomic_load(&f->iofd);
	if (m->count > k->data_cap || m->offset > INT64_MAX)
		ret = -EINVAL;
	else if (p.dirfd < 0)
		ret = -EBADF;
	else if (!S_ISDIR(f->node->type))
		ret = -ENOTDIR;
	if (!ret) {
		pthread_mutex_lock(&f->mu);
		/* also when it stands there already: offset 0 must see what was made since */
		if (lseek(p.dirfd, (off_t)m->offset, SEEK_SET) < 0)
			ret = -errno;
		else
			ret = dirpage_fill(&p, m->offset, add_plain);
		pthread_mutex_unlock(&f->mu);
	}
	if (!ret)
		k->rep->Rreaddir.data = (struct p9_data){ k->data, (uint32_t)wcursor_len(&p.w) };
	gfid_put(f);
	return ret;
}

/* A descriptor of its own for each page: nothing to remember, nothing to lock. */
long op_xreaddir(struct gcall *k)
{
	const struct p9_Txreaddir *m = &k->req->Txreaddir;
	struct gfid *f = gfid_get_node(k->conn, m->fid);
	struct dirpage p = { .w = wcursor_make(k->data, m->count), .flags = m->flags };
	long ret = 0;

	if (!f)
		return -EBADF;
	if (m->count > k->data_cap || m->offset > INT64_MAX || (m->flags & ~P9X_DIR_LINKS))
		ret = -EINVAL;
	else if (!S_ISDIR(f->node->type))
		ret = -ENOTDIR;
	if (!ret)
		ret = node_open(k->conn->srv, f->node, 0, &p.dirfd);
	if (!ret) {
		if (m->offset && lseek(p.dirfd, (off_t)m->offset, SEEK_SET) < 0)
			ret = -errno;
		else
			ret = dirpage_fill(&p, m->offset, add_with_stat);
		close(p.dirfd);
	}
	if (!ret)
		k->rep->Rxreaddir = (struct p9_Rxreaddir){
			.next = p.next, .eof = p.eof,
			.data = { k->data, (uint32_t)wcursor_len(&p.w) },
		};
	gfid_put(f);
	return ret;
}
