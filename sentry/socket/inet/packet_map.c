/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/packet_map.c - PACKET_RX_RING, PACKET_TX_RING: memory that a guest maps
 *
 * Model:   one memfd for both rings, receiving first, mapped here and by the guest. It lives as long as the endpoint or a
 *          mapping uses it. Rings can only be changed while nobody has them mapped.
 * Locks:   inet_sock.ring_lock around changes; the object itself is counted.
 * Hostcalls: memfd_create, ftruncate, mmap, munmap, close.
 * Source:  packet(7).
 */
#include <string.h>
#include <sys/mman.h>

#include "base/hostcall.h"
#include "sentry/mm/mm.h"
#include "sentry/socket/inet/inet.h"

struct packet_map {
	struct mappable m;
	struct net_ring_mem mem;
	struct refcount ref;
	int fd;			/* owned */
	size_t len;
	_Atomic int users;	/* vmas */
};

static struct packet_map *to_map(struct mappable *m)
{
	return container_of(m, struct packet_map, m);
}

static void map_put(struct packet_map *pm)
{
	if (!ref_put(&pm->ref))
		return;
	if (pm->mem.base)
		host_call(munmap, pm->mem.base, pm->len);
	host_call(close, pm->fd);
	free(pm);
}

static void mem_put(struct net_ring_mem *mem)
{
	map_put(container_of(mem, struct packet_map, mem));
}

static void op_get(struct mappable *m)
{
	ref_get(&to_map(m)->ref);
}

static void op_put(struct mappable *m)
{
	map_put(to_map(m));
}

static long op_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd,
		       uint64_t *out_file_id, uint64_t *out_host_off)
{
	struct packet_map *pm = to_map(m);

	if (!shared || off > pm->len || len > pm->len - off)
		return -LINUX_EINVAL;
	*out_fd = pm->fd;
	*out_file_id = 0;
	*out_host_off = off;
	return 0;
}

static void op_describe(struct mappable *m, uint64_t *out_dev, uint64_t *out_ino, struct buf *out_path)
{
	*out_dev = 8; /* sockfs */
	*out_ino = 0;
	buf_printf(out_path, "socket:[packet]");
}

static void op_users(struct mappable *m, int delta)
{
	atomic_fetch_add(&to_map(m)->users, delta);
}

static const struct mappable_ops packet_map_ops = {
	.get = op_get,
	.put = op_put,
	.host_fd = op_host_fd,
	.describe = op_describe,
	.users = op_users,
};

static long map_new(size_t len, struct packet_map **out)
{
	struct packet_map *pm = calloc(1, sizeof(*pm));
	long ret;

	if (!pm)
		return -LINUX_ENOMEM;
	ret = host_call(memfd_create, "packet-ring", MFD_CLOEXEC);
	if (ret < 0) {
		free(pm);
		return -LINUX_ENOMEM;
	}
	*pm = (struct packet_map){ .m.ops = &packet_map_ops, .mem.put = mem_put, .fd = (int)ret, .len = len };
	ref_init(&pm->ref, 1);
	ret = host_call(ftruncate, pm->fd, len);
	if (ret >= 0)
		ret = host_call(mmap, 0, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, pm->fd, 0);
	if (ret < 0) {
		map_put(pm);
		return -LINUX_ENOMEM;
	}
	pm->mem.base = (uint8_t *)ret;
	*out = pm;
	return 0;
}

static size_t ring_len(const struct net_ring_req *q)
{
	return (size_t)q->block_size * q->block_nr;
}

static long set_locked(struct inet_sock *i, bool tx, const struct net_ring_req *q)
{
	struct net_ring_req other;
	struct packet_map *pm = NULL;
	size_t len;
	long ret;

	if (i->ring && atomic_load(&i->ring->users))
		return -LINUX_EBUSY;
	ret = sock_ring_check(i->ep, tx, q, &other);
	if (ret)
		return ret;
	len = ring_len(q) + ring_len(&other);
	if (len) {
		ret = map_new(len, &pm);
		if (ret)
			return ret;
		ref_get(&pm->ref); /* the endpoint's; ours is i->ring */
	}
	ret = sock_ring_set(i->ep, tx ? &other : q, tx ? q : &other, pm ? &pm->mem : NULL);
	if (ret) {
		if (pm) {
			map_put(pm); /* the endpoint's */
			map_put(pm);
		}
		return ret;
	}
	if (i->ring)
		map_put(i->ring);
	i->ring = pm;
	return 0;
}

long packet_map_set(struct inet_sock *i, bool tx, const void *val, size_t len)
{
	struct net_ring_req q = { 0 };
	int version = 0;
	uint32_t n = sizeof(version), need;
	long ret;

	ret = sock_getopt(i->ep, LINUX_SOL_PACKET, LINUX_PACKET_VERSION, &version, &n);
	if (ret)
		return ret;
	need = version == 2 ? 7 * sizeof(uint32_t) : 4 * sizeof(uint32_t); /* struct tpacket_req3, tpacket_req */
	if (len < need)
		return -LINUX_EINVAL;
	memcpy(&q, val, need);
	ret = sleep_lock_killable(&i->recv_lock);
	if (ret)
		return ret;
	ret = set_locked(i, tx, &q);
	sleep_unlock(&i->recv_lock);
	return ret;
}

long packet_map_get(struct socket *s, struct mappable **out)
{
	struct inet_sock *i = inet_of(s);
	long ret = sleep_lock_killable(&i->recv_lock);

	if (ret)
		return ret;
	ret = s->family == LINUX_AF_PACKET ? -LINUX_EINVAL : -LINUX_ENODEV;
	if (i->ring) {
		ref_get(&i->ring->ref);
		*out = &i->ring->m;
		ret = 0;
	}
	sleep_unlock(&i->recv_lock);
	return ret;
}

void packet_map_close(struct inet_sock *i)
{
	if (i->ring)
		map_put(i->ring);
	i->ring = NULL;
}
