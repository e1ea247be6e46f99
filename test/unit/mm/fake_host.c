/* SPDX-License-Identifier: Apache-2.0
 * test/unit/mm/fake_host.c - see fake_host.h
 */
#include "fake_host.h"

#include <stdio.h>
#include <string.h>

struct fake_host fake;
struct uthread fake_thread, fake_thread2;
const struct mm_limits no_limits = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };

struct fake_page *fake_find(uint64_t addr)
{
	for (unsigned i = 0; i < fake.nr_pages; i++)
		if (fake.page[i].addr == addr)
			return &fake.page[i];
	return NULL;
}

static void drop(uint64_t addr)
{
	struct fake_page *p = fake_find(addr);

	if (p)
		*p = fake.page[--fake.nr_pages];
}

static struct fake_page *put(uint64_t addr)
{
	struct fake_page *p = fake_find(addr);

	if (!p) {
		BUG_ON(fake.nr_pages == FAKE_PAGES_MAX);
		p = &fake.page[fake.nr_pages++];
	}
	*p = (struct fake_page){ .addr = addr, .fd = -1 };
	return p;
}

static long do_remap(const struct umem_op *op)
{
	struct fake_page moved;

	for (uint64_t a = 0; a < op->len; a += PAGE_SIZE)
		if (!fake_find(op->addr + a))
			return -LINUX_EFAULT;
	for (uint64_t a = 0; a < op->len2; a += PAGE_SIZE)
		drop(op->addr2 + a);
	moved = *fake_find(op->addr);
	for (uint64_t a = 0; a < op->len2; a += PAGE_SIZE) {
		struct fake_page last = moved, *p;

		if (a < op->len) {
			moved = *fake_find(op->addr + a);
			drop(op->addr + a);
		} else {
			moved.off = last.off + PAGE_SIZE;
			moved.id = ++fake.next_id;
		}
		p = put(op->addr2 + a);
		*p = moved;
		p->addr = op->addr2 + a;
	}
	for (uint64_t a = op->len2; a < op->len; a += PAGE_SIZE)
		drop(op->addr + a);
	return 0;
}

static long do_op(const struct umem_op *op)
{
	if (fake.fail_in && --fake.fail_in == 0) {
		if (fake.fail_wiped && (op->kind == UMEM_MAP_ANON || op->kind == UMEM_MAP_FILE))
			for (uint64_t a = op->addr; a < op->addr + op->len; a += PAGE_SIZE)
				drop(a);
		return -LINUX_ENOMEM;
	}
	if (op->kind == UMEM_REMAP)
		return do_remap(op);
	for (uint64_t a = op->addr; a < op->addr + op->len; a += PAGE_SIZE) {
		struct fake_page *p;

		switch (op->kind) {
		case UMEM_MAP_ANON:
			p = put(a);
			p->prot = op->prot;
			p->id = ++fake.next_id;
			break;
		case UMEM_MAP_FILE:
			p = put(a);
			p->prot = op->prot;
			p->fd = op->host_fd;
			p->off = op->off + (a - op->addr);
			p->shared = op->flags & UMEM_SHARED;
			break;
		case UMEM_UNMAP:
			drop(a);
			break;
		case UMEM_PROTECT:
			p = fake_find(a);
			if (!p)
				return -LINUX_ENOMEM;
			p->prot = op->prot;
			break;
		default:
			return 0;
		}
	}
	return 0;
}

static long fake_exec(struct uthread *u, const struct umem_op *ops, size_t n, size_t *out_done)
{
	long ret;

	fake.nr_exec++;
	for (size_t i = 0; i < n; i++) {
		ret = do_op(&ops[i]);
		*out_done = i;
		if (ret < 0)
			return ret;
	}
	*out_done = n;
	return 0;
}

static long fake_defer(struct uthread *u, const struct umem_op *op)
{
	BUG_ON(fake.nr_queue == ARRAY_SIZE(fake.queue));
	fake.nr_defer++;
	fake.queue[fake.nr_queue] = *op;
	fake.queue[fake.nr_queue++].addr2 = op->kind == UMEM_REMAP ? op->addr2 : (uint64_t)(uintptr_t)u;
	return 0;
}

void fake_run(struct mm *mm, struct uthread *u)
{
	unsigned kept = 0, nr = fake.nr_queue;
	struct umem_op ops[ARRAY_SIZE(fake.queue)];

	memcpy(ops, fake.queue, sizeof(ops));
	fake.nr_queue = 0;
	for (unsigned i = 0; i < nr; i++) {
		long ret;

		if (ops[i].addr2 != (uint64_t)(uintptr_t)u) {
			fake.queue[kept++] = ops[i];
			continue;
		}
		ret = do_op(&ops[i]);
		if (ret < 0)
			mm_defer_failed(mm, u, &ops[i], ret);
	}
	fake.nr_queue = kept;
}

static long fake_fork(struct uthread *parent, bool later, struct uthread **out_child)
{
	*out_child = &fake_thread2;
	return 0;
}

static void fake_kill(struct uspace *s)
{
	fake.nr_killed++;
}

static struct uspace *fake_get(struct uspace *s)
{
	fake.nr_space_refs++;
	return s;
}

static void fake_put(struct uspace *s)
{
	fake.nr_space_refs--;
}

static uint64_t fake_limit(const struct uspace *s)
{
	return FAKE_LIMIT;
}

static uint64_t fake_vdso(const struct uspace *s)
{
	return 0;
}

static const struct mm_host fake_ops = {
	.exec = fake_exec,
	.defer = fake_defer,
	.fork = fake_fork,
	.kill = fake_kill,
	.get = fake_get,
	.put = fake_put,
	.limit = fake_limit,
	.vdso = fake_vdso,
};

struct mm *fake_start(void)
{
	memset(&fake, 0, sizeof(fake));
	mm_host = &fake_ops;
	fake_thread.space = fake_thread2.space = (struct uspace *)&fake;
	return mm_new(fake_thread.space);
}

bool fake_agrees(struct mm *mm)
{
	uint64_t pages = 0;
	struct vma *v;

	for (v = mm->tree.first; v; v = v->next) {
		for (uint64_t a = v->start; a < v->end; a += PAGE_SIZE, pages++) {
			struct fake_page *p = fake_find(a);
			int fd = v->file ? container_of(v->file->m, struct fake_file, m)->fd : -1;

			if (v->file && mappable_is_shm_anon(v->file->m) && p)
				fd = p->fd;
			if (p && p->prot == v->prot && p->fd == fd && p->shared == !!(v->flags & VM_SHARED) &&
			    (fd < 0 || p->off == v->off + (a - v->start)))
				continue;
			fprintf(stderr, "page %lx: vma %lx-%lx prot %x fd %d; host %s prot %x fd %d off %lx\n", a,
				v->start, v->end, v->prot, fd, p ? "has" : "none", p ? p->prot : 0,
				p ? p->fd : 0, p ? p->off : 0);
			return false;
		}
	}
	if (pages != fake.nr_pages)
		fprintf(stderr, "tree has %lu pages, host %u\n", pages, fake.nr_pages);
	return pages == fake.nr_pages;
}

/* Returns the largest gap below @v; sets *ok false at a broken node. */
static uint64_t check_node(const struct vma *v, bool *ok, unsigned *nr)
{
	uint64_t from, to, m;

	if (!v)
		return 0;
	from = v->prev ? v->prev->end : 0;
	to = vma_guard_start(v);
	m = to > from ? to - from : 0;
	if (m != v->gap || (v->left && v->left->parent != v) || (v->right && v->right->parent != v) ||
	    (v->left && (v->left->prio > v->prio || v->left->end > v->start)) ||
	    (v->right && (v->right->prio > v->prio || v->right->start < v->end)))
		*ok = false;
	m = MAX(m, check_node(v->left, ok, nr));
	m = MAX(m, check_node(v->right, ok, nr));
	if (m != v->max_gap)
		*ok = false;
	++*nr;
	return m;
}

bool fake_tree_ok(struct mm *mm)
{
	struct vma_totals sum = { 0 };
	unsigned nr = 0, linked = 0;
	bool ok = true;
	struct vma *v;

	check_node(mm->tree.root, &ok, &nr);
	for (v = mm->tree.first; v; v = v->next, linked++) {
		sum.total += vma_len(v);
		if (v->next && v->next->prev != v)
			ok = false;
	}
	return ok && nr == linked && nr == mm->tree.nr && sum.total == mm->tree.sum.total;
}

/* ---- files ---- */

static struct fake_file *to_file(struct mappable *m)
{
	return container_of(m, struct fake_file, m);
}

static void file_ref(struct mappable *m)
{
	to_file(m)->refs++;
}

static void file_unref(struct mappable *m)
{
	to_file(m)->refs--;
}

static long file_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd,
		    uint64_t *out_id, uint64_t *out_off)
{
	*out_fd = to_file(m)->fd;
	*out_id = 0;
	*out_off = off;
	return 0;
}

static long file_map(struct mappable *m, bool shared, bool writable)
{
	if (to_file(m)->map_error)
		return to_file(m)->map_error;
	to_file(m)->maps++;
	return 0;
}

static void file_unmap(struct mappable *m, bool shared, bool writable)
{
	to_file(m)->maps--;
}

static const struct mappable_ops file_ops = {
	.get = file_ref,
	.put = file_unref,
	.host_fd = file_fd,
	.map = file_map,
	.unmap = file_unmap,
};

void fake_file_init(struct fake_file *f, int fd)
{
	*f = (struct fake_file){ .m.ops = &file_ops, .refs = 1, .fd = fd };
}
