/* SPDX-License-Identifier: Apache-2.0
 * test/guest/mm_map_count.c - vm.max_map_count: the limit is an ENOMEM, and the process lives on (mmap(2), proc_sys_vm(5))
 */
#include "guest.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLACK 200 /* mappings of the program itself, and what a kernel keeps for its own */

static char *base;

/* One page in the n-th pair of pages of @base, with a neighbour of another kind. */
static void *map_nr(long n)
{
	return mmap(base + n * 8192, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

int main(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
	long max, n = 0;
	int st;

	CHECK(f && fscanf(f, "%ld", &max) == 1 && fclose(f) == 0 && max > 1000);
	if (max > 200000)
		SKIP("vm.max_map_count is large here");
	base = mmap(NULL, (size_t)max * 4096 + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(base != MAP_FAILED);
	while (map_nr(n) != MAP_FAILED)
		n++;
	CHECK(errno == ENOMEM);
	CHECK(2 * n > max - SLACK && 2 * n <= max);
	for (int k = 0; k < 100; k++)
		CHECK_ERRNO(map_nr(n), ENOMEM);
	base[0] = 1; /* what is there stays */
	base[(n - 1) * 8192] = 2;
	CHECK(base[0] == 1 && base[4096 * 200 * 2] == 0);

	/* a change that needs no more is allowed, and what is given back can be had again */
	CHECK(munmap(base, 200 * 8192) == 0);
	for (long k = 0; k < 90; k++)
		CHECK(map_nr(k) != MAP_FAILED);
	CHECK(base[0] == 0 && base[(n - 1) * 8192] == 2);

	/* so it is after a fork */
	if (!fork()) {
		long k = 90;

		base[0] = 3;
		while (k < 190 && map_nr(k) != MAP_FAILED)
			k++;
		_exit(k != 190);
	}
	CHECK(wait(&st) > 0 && st == 0 && base[0] == 0);
	CHECK(munmap(base, (size_t)max * 4096 + 8192) == 0);
	return 0;
}
