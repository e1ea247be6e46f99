/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/image.c - the mappings of a new program, collected for the host in one batch
 *
 * Model:   the loader decides what goes where; here the tree is filled at once and the host operations are kept until
 *          mm_image_commit(). Nobody else sees the address space before that, so a failure needs no undoing: the caller
 *          kills the task, as Linux does behind the point of no return.
 * Locks:   none needed: the mm has one user that is in execve(2).
 * Source:  address space layout as observed on Linux 6.x: 22 random bits for the stack, 28 for mappings and the program.
 */
#include "sentry/mm/mm_internal.h"

#include "base/hostcall.h"

#define STACK_RND_PAGES	  (1ull << 22)
#define MMAP_RND_PAGES	  (1ull << 28)
#define BRK_RND_BYTES	  (1ull << 30)
#define MMAP_GAP_MIN	  (128ull << 20)
#define PIE_BASE	  0x555555554000ull /* two thirds of the address space */
/* The main stack is mapped whole up to this; beyond it mm_fault() lets it grow. */
#define STACK_MAPPED_MAX  (64ull << 20)
#define STACK_MAPPED_MIN  (128ull << 10)
/* A stack that begins just below a 2 MiB boundary would get a huge page with its first touch. */
#define STACK_HUGE_MARGIN (256ull << 10)

static uint64_t below(uint64_t rnd, uint64_t n)
{
	return rnd & (n - 1); /* n is a power of two */
}

void mm_image_begin(struct mm_image *img, struct mm *mm, uint64_t stack_limit, bool randomize,
		    struct mm_placement *out)
{
	uint64_t rnd[4] = { 0 }, gap = MAX(MIN(stack_limit, mm->limit / 6 * 5), MMAP_GAP_MIN), over;

	*img = (struct mm_image){ .mm = mm };
	mm->stack_limit = stack_limit;
	if (randomize)
		host_call(getrandom, rnd, sizeof(rnd), 0);
	out->stack_top = mm->limit - PAGE_SIZE - below(rnd[0], STACK_RND_PAGES) * PAGE_SIZE;
	over = out->stack_top & (HUGE_PAGE_BYTES - 1);
	if (over < STACK_HUGE_MARGIN)
		out->stack_top -= over + PAGE_SIZE;
	gap += STACK_RND_PAGES * PAGE_SIZE + STACK_GUARD_BYTES;
	mm->mmap_base = (mm->limit - gap - below(rnd[1], MMAP_RND_PAGES) * PAGE_SIZE) & PAGE_MASK;
	out->pie_base = PIE_BASE + below(rnd[2], MMAP_RND_PAGES) * PAGE_SIZE;
	out->brk_gap = below(rnd[3], BRK_RND_BYTES) & PAGE_MASK;
}

uint64_t mm_image_place(struct mm_image *img, uint64_t len)
{
	struct place_args pa = { .len = page_up(len) };
	long ret = mm_place(img->mm, &pa);

	return ret < 0 ? 0 : (uint64_t)ret;
}

static struct umem_op *new_op(struct mm_image *img)
{
	unsigned cap = img->cap ? img->cap * 2 : 16;
	struct umem_op *p;

	if (img->nr == img->cap) {
		p = realloc(img->ops, cap * sizeof(*p));
		if (!p)
			return NULL;
		img->ops = p;
		img->cap = cap;
	}
	return &img->ops[img->nr++];
}

static long add(struct mm_image *img, struct vma *v, struct mappable *m)
{
	struct vma *spare = vma_new();
	struct umem_op *op = new_op(img);
	long ret = 0;

	if (!spare || !op)
		ret = -LINUX_ENOMEM;
	if (!ret && m)
		ret = vma_file_new(m, false, false, &v->file);
	if (!ret)
		ret = mm_map_op(v, v->start, v->end, 0, op);
	if (ret < 0) {
		if (op)
			img->nr--;
		vma_free(v);
	} else {
		mm_cut(img->mm, v->start, v->end, &spare);
		mm_add(img->mm, v);
	}
	vma_free(spare);
	return ret;
}

static bool image_range_ok(const struct mm *mm, uint64_t addr, uint64_t len)
{
	return range_ok(mm, addr, len) && addr >= MM_MMAP_MIN_ADDR && !((addr | len) & ~PAGE_MASK);
}

long mm_image_map(struct mm_image *img, uint64_t addr, uint64_t len, uint32_t prot, struct mappable *m,
		  uint64_t off)
{
	struct vma *v;

	if (!image_range_ok(img->mm, addr, len) || (off & ~PAGE_MASK) || off + len < off)
		return -LINUX_EINVAL;
	v = vma_new();
	if (!v)
		return -LINUX_ENOMEM;
	*v = (struct vma){ .start = addr, .end = addr + len, .off = m ? off : 0,
			   .prot = prot & LINUX_PROT_RWX, .prot_max = LINUX_PROT_RWX };
	return add(img, v, m);
}

long mm_image_zero(struct mm_image *img, uint64_t addr, uint64_t len)
{
	struct umem_op *op = new_op(img);

	if (!op)
		return -LINUX_ENOMEM;
	*op = (struct umem_op){ .kind = UMEM_ZERO, .addr = addr, .len = len, .host_fd = -1 };
	return 0;
}

long mm_image_stack(struct mm_image *img, uint64_t top, uint32_t prot, uint64_t *out_low)
{
	uint64_t len = MIN(img->mm->stack_limit, STACK_MAPPED_MAX) & PAGE_MASK, low;
	struct vma *v;

	len = MAX(len, STACK_MAPPED_MIN);
	low = top - len;
	if ((v = vma_find_range(&img->mm->tree, low, top))) {	/* a program linked to the top */
		if (top - v->end < STACK_MAPPED_MIN || v->end > top)
			return -LINUX_ENOMEM;
		low = v->end + STACK_GUARD_BYTES < top - STACK_MAPPED_MIN ? v->end + STACK_GUARD_BYTES
									  : v->end;
	}
	v = vma_new();
	if (!v)
		return -LINUX_ENOMEM;
	*v = (struct vma){ .start = low, .end = top, .prot = prot & LINUX_PROT_RWX,
			   .prot_max = LINUX_PROT_RWX, .flags = VM_STACK | VM_GROWSDOWN | VM_NORESERVE };
	*out_low = low;
	return add(img, v, NULL);
}

long mm_image_commit(struct mm_image *img, struct uthread *u)
{
	size_t done = 0;
	long ret = 0;

	/* Queued, they go over in one message; the empty list at the end runs the queue and tells how it went. */
	for (unsigned i = 0; i < img->nr && !ret; i++)
		ret = mm_host->defer(u, &img->ops[i]);
	return ret ? ret : mm_host->exec(u, NULL, 0, &done);
}

void mm_image_fini(struct mm_image *img)
{
	free(img->ops);
	*img = (struct mm_image){ 0 };
}
