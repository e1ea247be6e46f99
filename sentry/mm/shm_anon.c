/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/shm_anon.c - memory behind MAP_SHARED|MAP_ANONYMOUS
 *
 * Model:   a host memfd of the mapping's size, mapped shared, so that forks and mremap see the same pages. It lives until
 *          the last mapping is gone.
 * Source:  mmap(2).
 */
#include "sentry/mm/memfd.h"
#include "sentry/mm/mm_internal.h"

struct shm_anon {
	struct mappable m;
	struct refcount ref;
	int fd;		/* owned */
	uint64_t ino;
};

static _Atomic uint64_t next_ino = 1024;

static struct shm_anon *to_shm(struct mappable *m)
{
	return container_of(m, struct shm_anon, m);
}

static void shm_get(struct mappable *m)
{
	ref_get(&to_shm(m)->ref);
}

static void shm_put(struct mappable *m)
{
	struct shm_anon *s = to_shm(m);

	if (!ref_put(&s->ref))
		return;
	guest_memfd_close(s->fd);
	free(s);
}

static long shm_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared, bool writable,
			int *out_fd, uint64_t *out_file_id, uint64_t *out_host_off)
{
	*out_fd = to_shm(m)->fd;
	*out_file_id = 0;
	*out_host_off = off;
	return 0;
}

static void shm_describe(struct mappable *m, uint64_t *out_dev, uint64_t *out_ino, struct buf *out_path)
{
	*out_dev = 1;	/* 00:01, Linux's internal tmpfs */
	*out_ino = to_shm(m)->ino;
	buf_printf(out_path, "/dev/zero (deleted)");
}

static const struct mappable_ops shm_anon_ops = {
	.get = shm_get,
	.put = shm_put,
	.host_fd = shm_host_fd,
	.describe = shm_describe,
};

bool mappable_is_shm_anon(const struct mappable *m)
{
	return m->ops == &shm_anon_ops;
}

long shm_anon_new(uint64_t len, struct mappable **out)
{
	struct shm_anon *s = malloc(sizeof(*s));
	long fd;

	if (!s)
		return -LINUX_ENOMEM;
	fd = guest_memfd_new("shm-anon", len);
	if (fd < 0) {
		free(s);
		return fd;
	}
	*s = (struct shm_anon){ .m.ops = &shm_anon_ops, .fd = (int)fd };
	ref_init(&s->ref, 1);
	s->ino = atomic_fetch_add_explicit(&next_ino, 1, memory_order_relaxed);
	*out = &s->m;
	return 0;
}
