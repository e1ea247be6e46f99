/* SPDX-License-Identifier: Apache-2.0
 * test/unit/mm/map_test.c - mmap, munmap, mprotect, mremap, brk against a fake host
 */
#include <criterion/criterion.h>

#include "fake_host.h"

#define RW   (LINUX_PROT_READ | LINUX_PROT_WRITE)
#define ANON (LINUX_MAP_PRIVATE | LINUX_MAP_ANONYMOUS)
#define P    PAGE_SIZE
#define AT   0x10000000ull

static struct mm *mm;
static struct uthread *u = &fake_thread;

static void setup(void)
{
	mm = fake_start();
}

static void teardown(void)
{
	mm_put(mm);
}

static long map_at(uint64_t addr, uint64_t pages, uint32_t prot, uint32_t flags)
{
	return mm_mmap(mm, u, &no_limits, addr, pages * P, prot, flags, NULL, 0, 7, NULL);
}

static long map_file(struct fake_file *f, uint64_t addr, uint64_t pages, uint32_t prot, uint32_t flags, uint64_t off)
{
	return mm_mmap(mm, u, &no_limits, addr, pages * P, prot, flags, &f->m, off, 7, NULL);
}

#define AGREE()                                                                                    \
	do {                                                                                       \
		fake_run(mm, u);                                                                   \
		cr_assert(fake_tree_ok(mm));                                                       \
		cr_assert(fake_agrees(mm));                                                        \
	} while (0)

TestSuite(mm_map, .init = setup, .fini = teardown, .timeout = 30);

Test(mm_map, neighbours_merge_and_split)
{
	cr_assert_eq(map_at(AT, 4, RW, ANON | LINUX_MAP_FIXED), (long)AT);
	cr_assert_eq(map_at(AT + 4 * P, 4, RW, ANON | LINUX_MAP_FIXED), (long)(AT + 4 * P));
	cr_assert_eq(mm->tree.nr, 1);
	cr_assert_eq(mm_mprotect(mm, u, AT + 2 * P, 2 * P, LINUX_PROT_READ), 0);
	cr_assert_eq(mm->tree.nr, 3);
	AGREE();
	cr_assert_eq(mm_mprotect(mm, u, AT + 2 * P, 2 * P, RW), 0);
	cr_assert_eq(mm->tree.nr, 1);
	cr_assert_eq(mm_munmap(mm, u, AT + 3 * P, P), 0);
	cr_assert_eq(mm->tree.nr, 2);
	AGREE();
}

Test(mm_map, top_down_without_address)
{
	long a = map_at(0, 1, RW, ANON), b = map_at(0, 1, RW, ANON);

	cr_assert_eq((uint64_t)a, mm->mmap_base - P);
	cr_assert_eq(b, a - (long)P);
	cr_assert_eq(mm->tree.nr, 1);
	cr_assert_eq(mm_munmap(mm, u, (uint64_t)a, P), 0);
	cr_assert_eq(map_at(0, 1, RW, ANON), a);
	AGREE();
}

Test(mm_map, one_page_costs_no_extra_trip)
{
	long a = map_at(0, 1, RW, ANON);

	cr_assert_eq(mm_munmap(mm, u, (uint64_t)a, P), 0);
	cr_assert_eq(fake.nr_exec, 0);
	cr_assert_eq(fake.nr_defer, 2);
	AGREE();
}

Test(mm_map, fixed_noreplace_and_hints)
{
	cr_assert_eq(map_at(AT, 2, RW, ANON | LINUX_MAP_FIXED_NOREPLACE), (long)AT);
	cr_assert_eq(map_at(AT + P, 2, RW, ANON | LINUX_MAP_FIXED_NOREPLACE), -LINUX_EEXIST);
	cr_assert_eq(map_at(AT + 8 * P, 2, RW, ANON), (long)(AT + 8 * P));
	cr_assert_neq(map_at(AT + P, 2, RW, ANON), (long)(AT + P));
	cr_assert_eq(map_at(AT + 1, 1, RW, ANON | LINUX_MAP_FIXED), -LINUX_EINVAL);
	cr_assert_eq(map_at(P, 1, RW, ANON | LINUX_MAP_FIXED), -LINUX_EPERM);
	cr_assert_eq(map_at(FAKE_LIMIT - P, 2, RW, ANON | LINUX_MAP_FIXED), -LINUX_ENOMEM);
	AGREE();
}

Test(mm_map, bad_arguments)
{
	cr_assert_eq(map_at(AT, 0, RW, ANON), -LINUX_EINVAL);
	cr_assert_eq(mm_mmap(mm, u, &no_limits, 0, UINT64_MAX, RW, ANON, NULL, 0, 7, NULL), -LINUX_ENOMEM);
	cr_assert_eq(map_at(AT, 1, RW, LINUX_MAP_ANONYMOUS), -LINUX_EINVAL);
	cr_assert_eq(map_at(AT, 1, RW, LINUX_MAP_ANONYMOUS | LINUX_MAP_SHARED_VALIDATE), -LINUX_EINVAL);
	cr_assert_eq(map_at(AT, 1, RW, ANON | LINUX_MAP_HUGETLB), -LINUX_ENOMEM);
	cr_assert_eq(mm_munmap(mm, u, AT + 1, P), -LINUX_EINVAL);
	cr_assert_eq(mm_munmap(mm, u, AT, 0), -LINUX_EINVAL);
	cr_assert_eq(mm_munmap(mm, u, FAKE_LIMIT, P), -LINUX_EINVAL);
	cr_assert_eq(mm_munmap(mm, u, AT, UINT64_MAX - 100), -LINUX_EINVAL);
	cr_assert_eq(fake.nr_exec + fake.nr_defer, 0);
}

Test(mm_map, low_32bit)
{
	long a = map_at(0, 1, RW, ANON | LINUX_MAP_32BIT);

	cr_assert(a > 0 && a < 0x80000000l);
	AGREE();
}

Test(mm_map, file_references_follow_mappings)
{
	static struct fake_file f;

	fake_file_init(&f, 33);
	cr_assert_eq(map_file(&f, AT, 8, LINUX_PROT_READ, LINUX_MAP_PRIVATE | LINUX_MAP_FIXED, 2 * P), (long)AT);
	cr_assert_eq(f.maps, 1);
	cr_assert_eq(mm_munmap(mm, u, AT + 3 * P, P), 0);
	AGREE();
	cr_assert_eq(f.maps, 1);
	cr_assert_eq(mm_munmap(mm, u, AT, 3 * P), 0);
	cr_assert_eq(f.maps, 1);
	cr_assert_eq(map_at(AT, 8, RW, ANON | LINUX_MAP_FIXED), (long)AT);
	cr_assert_eq(f.maps, 0);
	cr_assert_eq(f.refs, 1);
	f.map_error = -LINUX_EPERM;
	cr_assert_eq(map_file(&f, AT, 1, RW, LINUX_MAP_SHARED, 0), -LINUX_EPERM);
	cr_assert_eq(f.refs, 1);
	AGREE();
}

Test(mm_map, prot_max_and_holes)
{
	static struct fake_file f;

	fake_file_init(&f, 33);
	cr_assert_eq(mm_mmap(mm, u, &no_limits, AT, 4 * P, LINUX_PROT_READ, LINUX_MAP_SHARED | LINUX_MAP_FIXED, &f.m, 0,
			     LINUX_PROT_READ | LINUX_PROT_EXEC, NULL), (long)AT);
	cr_assert_eq(mm_mprotect(mm, u, AT, P, RW), -LINUX_EACCES);
	cr_assert_eq(map_at(AT + 5 * P, 1, RW, ANON | LINUX_MAP_FIXED), (long)(AT + 5 * P));
	/* What precedes the hole changes. */
	cr_assert_eq(mm_mprotect(mm, u, AT, 6 * P, LINUX_PROT_NONE), -LINUX_ENOMEM);
	AGREE();
	cr_assert_eq(vma_find(&mm->tree, AT)->prot, 0);
	cr_assert_eq(vma_find(&mm->tree, AT + 5 * P)->prot, RW);
}

Test(mm_map, remap_grow_move_shrink)
{
	uint64_t a = (uint64_t)map_at(AT, 4, RW, ANON | LINUX_MAP_FIXED), id;
	long b;

	fake_run(mm, u);
	id = fake_find(AT)->id;
	cr_assert_eq(mm_mremap(mm, u, &no_limits, a, 4 * P, 8 * P, 0, 0), (long)a);
	AGREE();
	cr_assert_eq(mm->tree.nr, 1);
	cr_assert_eq(map_at(AT + 8 * P, 1, LINUX_PROT_READ, ANON | LINUX_MAP_FIXED), (long)(AT + 8 * P));
	cr_assert_eq(mm_mremap(mm, u, &no_limits, a, 8 * P, 9 * P, 0, 0), -LINUX_ENOMEM);
	fake_run(mm, u);
	b = mm_mremap(mm, u, &no_limits, a, 8 * P, 9 * P, LINUX_MREMAP_MAYMOVE, 0);
	cr_assert(b > 0 && b != (long)a);
	AGREE();
	cr_assert_eq(fake_find((uint64_t)b)->id, id);
	cr_assert_eq(mm_mremap(mm, u, &no_limits, (uint64_t)b, 9 * P, P, 0, 0), b);
	AGREE();
	cr_assert_eq(mm->tree.nr, 2);
}

Test(mm_map, remap_fixed_replaces)
{
	uint64_t a = AT, b = AT + 100 * P;

	map_at(a, 4, RW, ANON | LINUX_MAP_FIXED);
	map_at(b, 8, LINUX_PROT_READ, ANON | LINUX_MAP_FIXED);
	fake_run(mm, u);
	cr_assert_eq(mm_mremap(mm, u, &no_limits, a, 2 * P, 3 * P, 3, b + P), (long)(b + P));
	AGREE();
	cr_assert_eq(mm_mremap(mm, u, &no_limits, a + 2 * P, 2 * P, 2 * P, 3, a + 3 * P), -LINUX_EINVAL);
	cr_assert_eq(mm_mremap(mm, u, &no_limits, a, P, P, LINUX_MREMAP_FIXED, b), -LINUX_EINVAL);
	cr_assert_eq(mm_mremap(mm, u, &no_limits, a, P, 2 * P, LINUX_MREMAP_MAYMOVE, 0), -LINUX_EFAULT);
	AGREE();
}

Test(mm_map, remap_dontunmap_and_duplicate)
{
	static struct fake_file f;
	long b;

	fake_file_init(&f, 9);
	map_at(AT, 2, RW, ANON | LINUX_MAP_FIXED);
	fake_run(mm, u);
	b = mm_mremap(mm, u, &no_limits, AT, 2 * P, 2 * P, 5, 0);
	cr_assert(b > 0);
	AGREE();
	cr_assert(vma_find(&mm->tree, AT)->start == AT);
	cr_assert_eq(mm_mremap(mm, u, &no_limits, AT, 0, 2 * P, 1, 0), -LINUX_EINVAL);
	map_file(&f, AT, 4, RW, LINUX_MAP_SHARED | LINUX_MAP_FIXED, 0);
	b = mm_mremap(mm, u, &no_limits, AT + P, 0, 2 * P, 1, 0);
	cr_assert(b > 0);
	AGREE();
	cr_assert_eq(fake_find((uint64_t)b)->off, P);
}

Test(mm_map, heap)
{
	uint64_t b = AT + 123;

	mm->layout.start_brk = mm->layout.brk = AT;
	cr_assert_eq(mm_brk(mm, u, &no_limits, 0), (long)AT);
	cr_assert_eq(mm_brk(mm, u, &no_limits, b), (long)b);
	cr_assert_eq(mm_brk(mm, u, &no_limits, AT + 10 * P), (long)(AT + 10 * P));
	cr_assert_eq(mm->tree.nr, 1);
	AGREE();
	cr_assert_eq(mm_brk(mm, u, &no_limits, AT + P), (long)(AT + P));
	AGREE();
	map_at(AT + 4 * P, 1, RW, ANON | LINUX_MAP_FIXED);
	cr_assert_eq(mm_brk(mm, u, &no_limits, AT + 4 * P), (long)(AT + P), "a page stays free");
	cr_assert_eq(mm_brk(mm, u, &no_limits, AT - P), (long)(AT + P));
	AGREE();
}

Test(mm_map, limits)
{
	struct mm_limits lim = no_limits;

	lim.as = 4 * P;
	cr_assert_eq(mm_mmap(mm, u, &lim, AT, 4 * P, RW, ANON | LINUX_MAP_FIXED, NULL, 0, 7, NULL), (long)AT);
	cr_assert_eq(mm_mmap(mm, u, &lim, 0, P, RW, ANON, NULL, 0, 7, NULL), -LINUX_ENOMEM);
	cr_assert_eq(mm_mmap(mm, u, &lim, AT, 4 * P, RW, ANON | LINUX_MAP_FIXED, NULL, 0, 7, NULL), (long)AT);
	lim = no_limits;
	lim.memlock = P;
	cr_assert_eq(mm_mmap(mm, u, &lim, 0, 2 * P, RW, ANON | LINUX_MAP_LOCKED, NULL, 0, 7, NULL), -LINUX_EAGAIN);
	cr_assert_eq(mm_mlock(mm, u, &lim, AT, P, 0, true), 0);
	cr_assert_eq(mm_mlock(mm, u, &lim, AT + P, P, 0, true), -LINUX_ENOMEM);
	cr_assert_eq(mm->tree.sum.locked, P);
	cr_assert_eq(mm_mlock(mm, u, &lim, AT, P, 0, false), 0);
	cr_assert_eq(mm->tree.sum.locked, 0);
	AGREE();
}

Test(mm_map, failures_leave_agreement)
{
	map_at(AT, 8, RW, ANON | LINUX_MAP_FIXED);
	fake_run(mm, u);
	/* replaced range, host wiped it and failed */
	fake.fail_in = 1;
	fake.fail_wiped = true;
	mm_get(mm);	/* a second user: nothing that replaces is queued */
	cr_assert_eq(map_at(AT + 2 * P, 2, RW, ANON | LINUX_MAP_FIXED), -LINUX_ENOMEM);
	AGREE();
	fake.fail_in = 1;
	cr_assert_eq(mm_mprotect(mm, u, AT, 2 * P, LINUX_PROT_READ), -LINUX_ENOMEM);
	AGREE();
	cr_assert_eq(vma_find(&mm->tree, AT)->prot, RW);
	mm_put(mm);
	/* a queued fresh mapping fails when it runs */
	fake.fail_in = 1;
	cr_assert(map_at(0, 3, RW, ANON) > 0);
	AGREE();
	cr_assert_eq(fake.nr_killed, 0);
}

Test(mm_map, threads_do_not_reuse_queued_unmaps)
{
	uint64_t a;
	long b;

	mm_get(mm);
	a = (uint64_t)map_at(0, 1, RW, ANON);
	fake_run(mm, u);
	cr_assert_eq(mm_munmap(mm, u, a, P), 0);
	/* Another thread, before the first has run: the address must not be given out again. */
	b = mm_mmap(mm, &fake_thread2, &no_limits, 0, P, RW, ANON, NULL, 0, 7, NULL);
	cr_assert_neq((uint64_t)b, a);
	fake_run(mm, &fake_thread2);
	fake_run(mm, u);
	AGREE();
	/* Once the first thread is seen again, the address is free. */
	cr_assert_eq(map_at(0, 1, RW, ANON), (long)a);
	AGREE();
	mm_put(mm);
}

Test(mm_map, threads_that_leave_free_their_quarantine)
{
	uint64_t a;

	mm_get(mm);
	mm_get(mm);
	a = (uint64_t)map_at(0, 1, RW, ANON);
	fake_run(mm, u);
	cr_assert_eq(mm_munmap(mm, u, a, P), 0);
	fake_run(mm, u);
	mm_leave(mm, u);
	mm_put(mm);
	cr_assert_eq((uint64_t)mm_mmap(mm, &fake_thread2, &no_limits, 0, P, RW, ANON, NULL, 0, 7, NULL), a);
	fake_run(mm, &fake_thread2);
	AGREE();
	mm_put(mm);
}

Test(mm_map, stack_growth)
{
	struct ufault f = { .signo = 11, .code = 1, .addr = AT - 3 * P };
	int signo, code;

	mm->stack_limit = 1 << 20;
	map_at(AT, 2, RW, ANON | LINUX_MAP_FIXED | LINUX_MAP_GROWSDOWN);
	fake_run(mm, u);
	cr_assert(mm_fault(mm, u, &f, &signo, &code));
	AGREE();
	cr_assert_leq(vma_find(&mm->tree, AT)->start, AT - 3 * P);
	f.addr = AT - (2 << 20);
	cr_assert_not(mm_fault(mm, u, &f, &signo, &code));
	cr_assert_eq(code, LINUX_SEGV_MAPERR);
	f.addr = AT;
	cr_assert_not(mm_fault(mm, u, &f, &signo, &code));
	cr_assert_eq(code, LINUX_SEGV_ACCERR);
}

Test(mm_map, fork_copies_what_it_should)
{
	static struct fake_file f;
	struct uthread *child;
	struct mm *cmm;

	fake_file_init(&f, 5);
	map_at(AT, 4, RW, ANON | LINUX_MAP_FIXED);
	map_file(&f, AT + 16 * P, 4, LINUX_PROT_READ, LINUX_MAP_PRIVATE | LINUX_MAP_FIXED, 0);
	cr_assert_eq(mm_madvise(mm, u, AT + P, P, LINUX_MADV_DONTFORK), 0);
	cr_assert_eq(mm_mlock(mm, u, &no_limits, AT, P, 0, true), 0);
	cr_assert_eq(mm_fork(mm, u, false, &child, &cmm), 0);
	cr_assert_eq(cmm->tree.sum.total, mm->tree.sum.total - P);
	cr_assert_eq(cmm->tree.sum.locked, 0);
	cr_assert(fake_tree_ok(cmm));
	cr_assert_eq(fake.nr_space_refs, 2);
	mm_put(cmm);
	cr_assert_eq(fake.nr_space_refs, 1);
	cr_assert_eq(f.maps, 1);
	AGREE();
}

Test(mm_map, shared_anonymous)
{
	long a = map_at(0, 4, RW, LINUX_MAP_SHARED | LINUX_MAP_ANONYMOUS), b;

	cr_assert(a > 0);
	b = mm_mremap(mm, u, &no_limits, (uint64_t)a, 0, 4 * P, LINUX_MREMAP_MAYMOVE, 0);
	cr_assert(b > 0 && b != a);
	AGREE();
	cr_assert_eq(fake_find((uint64_t)a)->fd, fake_find((uint64_t)b)->fd);
}

Test(mm_map, sealed_ranges_stay)
{
	uint64_t a = mm_find_near(mm, AT, P);

	cr_assert(a && (a < AT ? AT - a : a - AT) < (2ull << 30));
	cr_assert_eq(mm_munmap(mm, u, a, P), -LINUX_EPERM);
	cr_assert_eq(mm_mprotect(mm, u, a, P, RW), -LINUX_EPERM);
	cr_assert_eq(map_at(a, 1, RW, ANON | LINUX_MAP_FIXED), -LINUX_EPERM);
	cr_assert_eq(mm_mremap(mm, u, &no_limits, a, P, 2 * P, 1, 0), -LINUX_EPERM);
}

/* Random operations in a small window, with and without failures of the host: tree and host agree after each. */
static void storm(unsigned seed, bool failures, bool threads)
{
	static struct fake_file f;
	static const uint32_t prots[] = { 0, 1, 3, 5 };

	fake_file_init(&f, 40);
	srand(seed);
	if (threads)
		mm_get(mm);
	for (int i = 0; i < 3000; i++) {
		uint64_t a = AT + (uint64_t)(rand() % 64) * P, n = 1 + (uint64_t)(rand() % 8);
		uint64_t b = AT + (uint64_t)(rand() % 64) * P;
		uint32_t prot = prots[rand() % 4];

		if (failures && rand() % 8 == 0)
			fake.fail_in = 1 + rand() % 2;
		fake.fail_wiped = rand() % 2;
		switch (rand() % 7) {
		case 0:
		case 1:
			map_at(a, n, prot, ANON | LINUX_MAP_FIXED);
			break;
		case 2:
			map_file(&f, a, n, prot, LINUX_MAP_PRIVATE | LINUX_MAP_FIXED, b - AT);
			break;
		case 3:
			mm_munmap(mm, u, a, n * P);
			break;
		case 4:
			mm_mprotect(mm, u, a, n * P, prot);
			break;
		case 5:
			mm_mremap(mm, u, &no_limits, a, n * P, (1 + (uint64_t)(rand() % 8)) * P, 3, b);
			break;
		case 6:
			mm_madvise(mm, u, a, n * P, rand() % 20);
			break;
		}
		fake_run(mm, u);
		fake.fail_in = 0;
		cr_assert(fake_tree_ok(mm), "step %d", i);
		if (fake.nr_killed) {	/* allowed where nothing else keeps the promise */
			cr_assert(failures);
			break;
		}
		cr_assert(fake_agrees(mm), "step %d", i);
	}
	if (threads)
		mm_put(mm);
}

Test(mm_map, storm)
{
	storm(1, false, false);
}

Test(mm_map, storm_threads)
{
	storm(2, false, true);
}

Test(mm_map, storm_failures)
{
	storm(3, true, true);
}
