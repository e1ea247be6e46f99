/* SPDX-License-Identifier: Apache-2.0
 * gofer/fid.c - fid numbers and what they mean
 *
 * Model:   a chained hash table from numbers to counted objects. A request holds a reference while it
 *          works, so a Tclunk of the same fid in another thread takes the number away, not the object.
 * Locks:   conn->fids_mu, leaf; objects are released outside it.
 */
#include <errno.h>
#include <string.h>

#include "gofer/gofer_internal.h"

static struct gfid **fid_slot(struct gofer_conn *c, uint32_t id)
{
	struct gfid **p = &c->fids[(id * 2654435761u) >> 22];

	_Static_assert(FID_BUCKETS == 1 << 10, "the hash keeps ten bits");
	while (*p && (*p)->id != id)
		p = &(*p)->next;
	return p;
}

struct gfid *gfid_new(uint32_t id, enum gfid_kind kind, struct gnode *node, struct gnode *parent,
		      struct p9_str name, uint32_t uname)
{
	struct gfid *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->name = strndup(name.len ? name.p : "", name.len);
	if (!f->name) {
		free(f);
		return NULL;
	}
	ref_init(&f->ref, 1);
	f->id = id;
	f->kind = kind;
	f->node = gnode_get(node);
	f->parent = parent ? gnode_get(parent) : NULL;
	f->uname = uname;
	pthread_mutex_init(&f->mu, NULL);
	atomic_init(&f->iofd, -1);
	return f;
}

void gfid_put(struct gfid *f)
{
	int fd;

	if (!f || !ref_put(&f->ref))
		return;
	fd = atomic_load(&f->iofd);
	if (fd >= 0)
		close(fd);
	gnode_put(f->node);
	gnode_put(f->parent);
	free(f->name);
	free(f->xattr.name);
	free(f->xattr.data);
	pthread_mutex_destroy(&f->mu);
	free(f);
}

struct gfid *gfid_get(struct gofer_conn *c, uint32_t id)
{
	struct gfid *f;

	mutex_lock(&c->fids_mu);
	f = *fid_slot(c, id);
	if (f)
		ref_get(&f->ref);
	mutex_unlock(&c->fids_mu);
	return f;
}

struct gfid *gfid_get_node(struct gofer_conn *c, uint32_t id)
{
	struct gfid *f = gfid_get(c, id);

	if (f && f->kind != GFID_NODE) {
		gfid_put(f);
		return NULL;
	}
	return f;
}

long gfid_install(struct gofer_conn *c, struct gfid *f, struct gfid *old)
{
	struct gfid **p, *dead = NULL;
	long ret = 0;

	mutex_lock(&c->fids_mu);
	p = fid_slot(c, f->id);
	if (f->id == P9_NOFID || *p != old) {
		ret = -EBADF;
	} else if (!old && c->nr_fids >= GOFER_FIDS_MAX) {
		ret = -EMFILE;
	} else {
		f->next = old ? old->next : NULL;
		dead = *p;
		*p = f;
		c->nr_fids += !old;
	}
	mutex_unlock(&c->fids_mu);
	gfid_put(ret ? f : dead);
	return ret;
}

struct gfid *gfid_take(struct gofer_conn *c, uint32_t id)
{
	struct gfid **p, *f;

	mutex_lock(&c->fids_mu);
	p = fid_slot(c, id);
	f = *p;
	if (f) {
		*p = f->next;
		c->nr_fids--;
	}
	mutex_unlock(&c->fids_mu);
	return f;
}

void gfid_clear(struct gofer_conn *c)
{
	for (unsigned b = 0; b < FID_BUCKETS; b++) {
		struct gfid *f, *next;

		mutex_lock(&c->fids_mu);
		f = c->fids[b];
		c->fids[b] = NULL;
		for (next = f; next; next = next->next)
			c->nr_fids--;
		mutex_unlock(&c->fids_mu);
		for (; f; f = next) {
			next = f->next;
			gfid_put(f);
		}
	}
}
