/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/data.c - getting at content: descriptors, inline data, the mapping
 *
 * Model:   what was fetched stays with the inode. On exclusive mounts it outlives the last close (up to
 *          GOFER_IDLE_FDS_MAX files), so opening again costs nothing; on shared mounts it goes with it.
 *          Pieces are only taken away while nobody has the file open; readers, who have, need no lock.
 */
#include <sys/mman.h>

#include "base/hostcall.h"
#include "sentry/fs/gofer/gofer_internal.h"

static _Atomic uint64_t next_file_id = 1;

static void close_fd(_Atomic int *fd)
{
	int old = atomic_exchange(fd, -1);

	if (old >= 0)
		host_call(close, old);
}

static void drop_content(struct ginode *g)
{
	uint8_t *map = atomic_exchange(&g->map, NULL);

	if (map)
		host_call(munmap, map, g->map_len);
	close_fd(&g->ro_fd);
	close_fd(&g->rw_fd);
}

void gdata_free(struct ginode *g)
{
	if (g->ro_fd >= 0 || g->rw_fd >= 0)
		atomic_fetch_sub(&gsb_of(g->inode->sb)->link->nr_idle_fds, 1);
	drop_content(g);
	free(g->inl);
	free(g->inl_old);
}

/* Readers take no lock, so the old bytes live until nobody has the file open. */
static void retire_inline(struct ginode *g) REQUIRES(g->data_lock)
{
	uint8_t *inl = atomic_exchange(&g->inl, NULL);

	if (!inl)
		return;
	BUG_ON(g->inl_old); /* as long as that is there, nothing is fetched inline */
	g->inl_old = inl;
}

void gdata_stale(struct inode *i)
{
	struct ginode *g = ginode_of(i);

	sleep_lock(&g->data_lock);
	retire_inline(g);
	sleep_unlock(&g->data_lock);
}

/* Takes what an open brought. data_lock held. */
static void take_opened(struct inode *i, struct p9_opened *o, bool write) REQUIRES(g->data_lock)
{
	struct ginode *g = ginode_of(i);

	if (!gsb_of(i->sb)->exclusive)
		ginode_update(i, &o->st);
	if (o->fd >= 0)
		atomic_store(write ? &g->rw_fd : &g->ro_fd, o->fd);
	if (o->has_data) {
		g->inl_len = o->data_len;
		atomic_store_explicit(&g->inl, o->data, memory_order_release);
	}
	if (o->fid != P9_NOFID) {
		uint32_t old = atomic_exchange(&g->io_fid, o->fid);

		g->io_fid_rw = write;
		link_forget_fid(gsb_of(i->sb)->link, old);
	}
	if (!g->file_id)
		g->file_id = atomic_fetch_add(&next_file_id, 1);
}

/* The walk that found it may have brought a descriptor. data_lock held. */
static void take_offered(struct inode *i) REQUIRES(g->data_lock)
{
	struct ginode *g = ginode_of(i);

	atomic_store(&g->ro_fd, link_offer_take(gsb_of(i->sb)->link, g));
	if (!g->file_id)
		g->file_id = atomic_fetch_add(&next_file_id, 1);
}

/* In one round trip, without a fid of the file itself where none is there yet. data_lock held. @want: P9X_* */
static long open_content(struct inode *i, bool write, uint32_t want) REQUIRES(g->data_lock)
{
	struct p9_opened o;
	struct route r;
	uint32_t from;
	long ret = ginode_route(i, &r, &from);

	if (!ret)
		ret = p9_open_at(client_of(i), from, (const char *const *)r.name, r.n, write ? 2 : 0, want,
				 GOFER_INLINE_MAX, &o);
	if (!ret && !ginode_is(i, &o.st)) { /* somebody put another file there */
		if (o.fd >= 0)
			host_call(close, o.fd);
		free(o.data);
		link_forget_fid(gsb_of(i->sb)->link, o.fid);
		ret = -LINUX_ESTALE;
	}
	if (!ret)
		take_opened(i, &o, write);
	route_fini(&r);
	return ret;
}

long gdata_fd(struct inode *i, bool write, int *out_fd)
{
	struct ginode *g = ginode_of(i);
	_Atomic int *slot = write ? &g->rw_fd : &g->ro_fd;
	long ret = 0;

	*out_fd = atomic_load_explicit(slot, memory_order_acquire);
	if (*out_fd >= 0)
		return 0;
	sleep_lock(&g->data_lock);
	if (*slot < 0 && !write && !gsb_of(i->sb)->exclusive)
		take_offered(i);
	if (*slot < 0 && (gsb_of(i->sb)->link->ext || g->io_fid == P9_NOFID || (write && !g->io_fid_rw)))
		ret = open_content(i, write, P9X_FD);
	if (!ret && write)
		retire_inline(g);
	*out_fd = *slot;
	sleep_unlock(&g->data_lock);
	return ret;
}

long gdata_fetch(struct inode *i, bool inline_ok)
{
	struct ginode *g = ginode_of(i);
	long ret = 0;

	sleep_lock(&g->data_lock);
	if (g->ro_fd < 0 && g->rw_fd < 0 && !g->inl && g->io_fid == P9_NOFID)
		ret = open_content(i, false, P9X_FD | (inline_ok && !g->inl_old ? P9X_INLINE : 0));
	sleep_unlock(&g->data_lock);
	return ret;
}

void gdata_idle(struct inode *i)
{
	struct ginode *g = ginode_of(i);
	struct gofer_link *l = gsb_of(i->sb)->link;

	free(g->inl_old);
	g->inl_old = NULL;
	if (!gsb_of(i->sb)->exclusive) {
		drop_content(g);
		free(atomic_exchange(&g->inl, NULL));
		link_forget_fid(l, atomic_exchange(&g->io_fid, P9_NOFID));
	} else if (g->ro_fd >= 0 || g->rw_fd >= 0) {
		if (atomic_fetch_add(&l->nr_idle_fds, 1) >= GOFER_IDLE_FDS_MAX) {
			drop_content(g);
			atomic_fetch_sub(&l->nr_idle_fds, 1);
		}
	}
}
