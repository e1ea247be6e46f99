/* SPDX-License-Identifier: Apache-2.0
 * test/unit/mm/fake_host.h - a host kernel made of one array: what mm/ asks for is carried out on it
 *
 * Model:   each page of a small window of addresses knows its protection, what it shows and since which mapping.
 *          Operations can be made to fail, now or when queued ones run; tests then compare the array with the tree.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include "sentry/mm/mm_internal.h"

#define FAKE_LIMIT     0x7ffff0000000ull
#define FAKE_PAGES_MAX 4096

struct fake_page {
	uint64_t addr;		/* 0 = unused slot */
	uint32_t prot;
	bool shared;
	int fd;			/* -1 anonymous */
	uint64_t off;
	uint64_t id;		/* of the anonymous page, moves with it */
};

struct fake_host {
	struct fake_page page[FAKE_PAGES_MAX];
	unsigned nr_pages, nr_exec, nr_defer, nr_killed;
	int nr_space_refs;
	int fail_in;		/* the n-th operation from now on fails; 0 = none */
	bool fail_wiped;	/* a failing mapping has already removed what was there */
	uint64_t next_id;
	struct umem_op queue[64];
	unsigned nr_queue;
};

extern struct fake_host fake;
extern struct uthread fake_thread, fake_thread2;

/* Resets the fake and installs it. */
struct mm *fake_start(void);
/* The guest of @u runs: its queued operations happen. */
void fake_run(struct mm *mm, struct uthread *u);
struct fake_page *fake_find(uint64_t addr);
/* Every page of the tree is what the host has and the other way round; false with a message otherwise. */
bool fake_agrees(struct mm *mm);
/* The tree's own invariants. */
bool fake_tree_ok(struct mm *mm);

extern const struct mm_limits no_limits;

/* A mappable that counts references. */
struct fake_file {
	struct mappable m;
	int refs, maps, fd;
	long map_error;
};
void fake_file_init(struct fake_file *f, int fd);

#endif
