/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/cgroup/file.c - open files of a group: reading, writing, waiting for cgroup.events
 *
 * Locks:   cg_open.lock serialises the users of one open file; taken before everything the rows take.
 * Source:  "Control Group v2" in the kernel's documentation: "Delegation", "[Un]populated Notification".
 */
#include <string.h>

#include "sentry/fs/cgroup/cgroupfs_internal.h"

struct cg_open {
	struct sleeplock lock;
	struct buf text;		/* guarded by lock, as all below */
	bool made;
	uint64_t seen;			/* cgroup.events: which state was read */
	struct cgroup *view;		/* reference; immutable: who opened it looks from there */
};

static long cg_open(struct inode *i, struct file *f)
{
	struct cg_open *o = calloc(1, sizeof(*o));

	if (!o)
		return -LINUX_ENOMEM;
	sleeplock_init(&o->lock);
	o->text.max = CGROUP_TEXT_MAX;
	o->view = task_cgroup_view();
	o->seen = atomic_load(&cg_node_of(i)->cg->events);
	f->priv = o;
	return 0;
}

static void cg_release(struct file *f)
{
	struct cg_open *o = f->priv;

	if (!o)
		return;
	buf_fini(&o->text);
	cgroup_put(o->view);
	free(o);
}

/* The container whose tree @cg is in: a reference, or NULL. */
static struct container *container_with(const struct cgroup *cg)
{
	struct container *c;

	while (cg->depth > 1)
		cg = cg->parent;
	for (c = container_next(NULL); c && c->cgroup != cg; c = container_next(c))
		;
	return c;
}

static long ctx_get(struct cg_ctx *x, struct file *f)
{
	struct cg_node *n = cg_node_of(f->inode);
	bool dead;

	mutex_lock(&cgroup_mu);
	dead = n->cg->dead;
	mutex_unlock(&cgroup_mu);
	if (dead)
		return -LINUX_ENODEV;
	*x = (struct cg_ctx){ .cg = n->cg, .row = n->row, .cred = f->cred, .view = ((struct cg_open *)f->priv)->view };
	x->c = container_with(n->cg);
	return 0;
}

static void ctx_put(struct cg_ctx *x)
{
	container_put(x->c);
}

static long make_text(struct file *f, struct cg_open *o)
{
	struct cg_ctx x;
	long ret;

	if (!cg_node_of(f->inode)->row->show)
		return -LINUX_EINVAL;
	ret = ctx_get(&x, f);
	if (ret)
		return ret;
	buf_fini(&o->text);
	o->text.failed = false;
	o->seen = atomic_load(&x.cg->events);
	ret = x.row->show(&x, &o->text);
	ctx_put(&x);
	o->made = !ret && !o->text.failed;
	return ret ?: o->text.failed ? -LINUX_ENOMEM : 0;
}

static long cg_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct cg_open *o = f->priv;
	long ret = 0;

	sleep_lock(&o->lock);
	if (!o->made || *pos == 0)
		ret = make_text(f, o);
	if (!ret && *pos < o->text.len) {
		ret = uio_write(io, o->text.data + *pos, MIN(io->left, o->text.len - *pos));
		if (ret > 0)
			*pos += (uint64_t)ret;
	}
	sleep_unlock(&o->lock);
	return ret;
}

/* Without blanks at both ends. */
static char *trim(char *s, size_t len)
{
	s[len] = '\0';
	len = strlen(s);
	while (len && strchr(" \t\n\r\v\f", s[len - 1]))
		s[--len] = '\0';
	return s + strspn(s, " \t\n\r\v\f");
}

static long store(struct file *f, char *text)
{
	struct cg_ctx x;
	long ret = ctx_get(&x, f);

	if (ret)
		return ret;
	/* A namespace's root belongs to whoever is outside of it. */
	if (!x.row->store)
		ret = -LINUX_EINVAL;
	else if (x.cg == x.view && !(x.row->flags & CGR_DELEGATED))
		ret = -LINUX_EPERM;
	else
		ret = x.row->store(&x, text);
	ctx_put(&x);
	return ret;
}

static long cg_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	size_t len = io->left;
	char *text;
	long ret;

	if (len >= CGROUP_WRITE_MAX)
		return -LINUX_E2BIG;
	text = malloc(len + 1);
	if (!text)
		return -LINUX_ENOMEM;
	ret = uio_read(io, text, len);
	if (ret >= 0) {
		len = (size_t)ret;
		ret = store(f, trim(text, len));
	}
	free(text);
	if (ret)
		return ret;
	*pos += len;
	return (long)len;
}

static long cg_truncate(struct file *f, uint64_t size)
{
	return 0;
}

/* What has changed since it was read is an exceptional condition, as for all files of this kind: poll(2). */
static uint32_t events_poll(struct file *f, struct poll_table *pt)
{
	struct cgroup *cg = cg_node_of(f->inode)->cg;
	struct cg_open *o = f->priv;
	uint32_t mask = LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLRDNORM | LINUX_POLLWRNORM;

	poll_wait(pt, &cg->events_wq);
	if (atomic_load(&cg->events) != o->seen)
		mask |= LINUX_POLLERR | LINUX_POLLPRI;
	return mask;
}

const struct file_ops cg_file_fops = {
	.open = cg_open,
	.release = cg_release,
	.read = cg_read,
	.write = cg_write,
	.truncate = cg_truncate,
};

const struct file_ops cg_events_fops = {
	.open = cg_open,
	.release = cg_release,
	.read = cg_read,
	.write = cg_write,
	.truncate = cg_truncate,
	.poll = events_poll,
};
