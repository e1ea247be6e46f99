/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/rewrite.c - call sites that trap often become jumps
 *
 * Model:   a site becomes a jump to a thunk of its own, which loads the address behind the syscall (and the number), and
 *          enters the stub (rewrite_match.c has the forms). Thunks live in pages within reach of a 32-bit
 *          displacement; the mm layer gives the place. A guest never sees itself in a thunk: an interruption there is
 *          reported as one right before the call.
 * Atomic:  what changes under running code changes by one compare-and-exchange of eight bytes in one cache line, which
 *          other processors fetch either as a whole or not at all; a site across lines is left alone while the
 *          process has several threads. Padding is written first; nobody executes it.
 * Locks:   space.rewrite_lock (sleeps), then the address space's (platform_text_lock).
 */
#include <string.h>
#include <sys/mman.h>

#include "sentry/platform/rewrite.h"

#define THUNKS_PER_PAGE (PAGE_SIZE / THUNK_SIZE)
#define THUNK_PAGES_MAX 256 /* per process: 32,768 sites */
#define REACH		0x7ff00000ll

struct thunk_page {
	struct thunk_page *next;
	uint64_t addr;
	uint32_t used;
	struct {
		enum site_kind kind;
		uint32_t nr;
		uint64_t start, hole;
	} thunk[THUNKS_PER_PAGE];
};

static bool within_reach(uint64_t a, uint64_t b)
{
	int64_t d = (int64_t)(a - b);

	return d < REACH && d > -REACH;
}

/* What the bytes around the call before @rip allow. Looks at one page and what follows, no further than is mapped. */
static struct site site_look(struct uthr *t, uint64_t rip)
{
	unsigned char text[SITE_TEXT_BEFORE + SITE_TEXT_AFTER];
	uint64_t from;
	long n;

	if (rip < PAGE_SIZE || rip >= uspace_limit(t->u.space))
		return (struct site){ 0 };
	from = rip - SITE_TEXT_BEFORE;
	if ((from & PAGE_MASK) != ((rip - 2) & PAGE_MASK))
		from = MAX((rip - 2) & PAGE_MASK, rip - 16); /* the page before may not be there */
	n = umem_copy_in_partial(&t->u, text, GPTR(from), sizeof(text));
	if (n <= 0)
		return (struct site){ 0 };
	return site_match(text, from, (size_t)n, rip);
}

/* A page with room within reach of the site, perhaps one that is still to be mapped. */
static struct thunk_page *thunk_page_find(struct uthr *t, uint64_t near, bool *out_new)
{
	struct uspace *s = t->u.space;
	struct thunk_page *p;
	uint64_t addr;

	*out_new = false;
	for (p = s->thunks; p; p = p->next)
		if (p->used < THUNKS_PER_PAGE && within_reach(p->addr, near))
			return p;
	if (s->nr_thunks >= THUNK_PAGES_MAX || !platform_find_near)
		return NULL;
	addr = platform_find_near(t->u.owner, near, PAGE_SIZE);
	if (!addr || addr % PAGE_SIZE || addr + PAGE_SIZE > uspace_limit(s) || !within_reach(addr, near))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->addr = addr;
	p->next = s->thunks;
	s->thunks = p;
	s->nr_thunks++;
	*out_new = true;
	return p;
}

static unsigned op_push(struct uthr *t, enum stub_op_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	t->ops[t->nr_ops] = (struct stub_op){ .kind = kind, .a = a, .b = b, .c = c, .d = d, .e = e };
	return t->nr_ops++;
}

/* Text becomes writable around @word, changes, and is as before. The number of the changing operation. */
static unsigned patch_ops(struct uthr *t, const struct site *s, uint64_t old, uint64_t new, uint32_t prot, uint32_t hole_off)
{
	uint64_t first = s->word & PAGE_MASK, len = ((s->word + 7) & PAGE_MASK) + PAGE_SIZE - first;
	unsigned n;

	op_push(t, OP_MPROTECT, first, len, prot | PROT_WRITE, 0, 0);
	if (hole_off)
		op_push(t, OP_COPY_OUT, s->hole, s->hole_len, hole_off, 0, 0);
	n = op_push(t, OP_PATCH, s->word, old, new, 0, 0);
	op_push(t, OP_MPROTECT, first, len, prot, 0, 0);
	return n;
}

static bool site_apply(struct uthr *t, struct thunk_page *p, bool page_is_new, const struct site *s, uint32_t prot)
{
	uint32_t off = ALIGN_UP(t->win_used, 64u), hole_off = off + THUNK_SIZE;
	uint64_t at = p->addr + p->used * THUNK_SIZE, new;
	unsigned char *win = (unsigned char *)thr_window(t);
	unsigned n;

	if (hole_off + 256 > SLOT_WINDOW_LEN)
		return false;
	if (!thunk_write(win + off, at, s, t->u.space->z->entry))
		return false;
	new = site_new_word(s, at, win + hole_off);
	if (page_is_new)
		op_push(t, OP_MMAP, p->addr, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			(uint64_t)-1);
	else
		op_push(t, OP_MPROTECT, p->addr, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0);
	op_push(t, OP_COPY_OUT, at, THUNK_SIZE, off, 0, 0);
	op_push(t, OP_MPROTECT, p->addr, PAGE_SIZE, PROT_READ | PROT_EXEC, 0, 0);
	n = patch_ops(t, s, s->old, new, prot, s->kind == SITE_HOP ? hole_off : 0);
	/* patch: 0 = done, 1 = somebody changed the text meanwhile */
	return thr_run_ops(t) != UEV_DEAD && stub_op_result(t, n - 1) == 0 && stub_op_result(t, n) == 0;
}

/*
 * What a forked process rewrites goes with it, and what every child calls once or twice (exit, say) its parent never may: each child
 * would trap there again. So traps of forked processes are counted for all of the container, by address, and a process
 * rewrites those sites in its own text before it forks again. The address may mean something else
 * there: site_look() says. Sites that must wait until their process has one thread only are counted too: it looks at them when it
 * makes the next one.
 */
#define LINEAGE_AFTER 3

static void trap_count(struct uzygote *z, uint64_t rip, uint32_t times)
{
	unsigned h = (unsigned)(rip ^ rip >> 12) % TRAP_SITES;

	mutex_lock(&z->trap_mu);
	if (z->trap[h].rip != rip) {
		z->trap[h].rip = rip;
		z->trap[h].count = 0;
	}
	z->trap[h].count += times;
	mutex_unlock(&z->trap_mu);
}

static void site_rewrite_locked(struct uthr *t, uint64_t rip)
{
	struct thunk_page *p;
	struct site s;
	bool fresh;
	long prot;

	s = site_look(t, rip);
	if (s.kind != SITE_NONE && s.across_lines && t->u.space->nr_threads > 1) {
		trap_count(t->u.space->z, rip, LINEAGE_AFTER);
		return;
	}
	if (s.kind == SITE_NONE || ops_run_now(t))
		return;
	prot = platform_text_lock(t->u.owner, s.start);
	if (prot < 0)
		return;
	p = thunk_page_find(t, s.start, &fresh);
	if (p) {
		if (site_apply(t, p, fresh, &s, (uint32_t)prot)) {
			p->thunk[p->used].kind = s.kind;
			p->thunk[p->used].nr = s.nr;
			p->thunk[p->used].start = s.start;
			p->thunk[p->used].hole = s.hole;
			STAT_INC(sites_rewritten);
		}
		p->used++; /* used up either way: nobody knows how far it went */
	}
	platform_text_unlock(t->u.owner);
}

void rewrite_site(struct uthr *t)
{
	struct uspace *s = t->u.space;
	struct guest_regs r;

	t->evflags &= (uint8_t)~EVF_REWRITE;
	if (!platform_text_lock || s->no_rewrite || atomic_load(&t->dead))
		return;
	uthread_get_regs(&t->u, &r);
	sleep_lock(&s->rewrite_lock);
	site_rewrite_locked(t, r.rip);
	sleep_unlock(&s->rewrite_lock);
}

void rewrite_trap_note(struct uthr *t)
{
	uint64_t local = t->slot->local_trap;

	if (local) {
		t->slot->local_trap = 0;
		trap_count(t->u.space->z, local, 1);
	}
	if (t->evflags & EVF_TRAPPED)
		trap_count(t->u.space->z, t->slot->regs.rip, 1);
}

void rewrite_lineage(struct uthr *t)
{
	struct uspace *s = t->u.space;
	struct uzygote *z = s->z;

	if (!platform_text_lock || s->no_rewrite || (platform.flags & UPF_NO_REWRITE))
		return;
	for (unsigned h = 0; h < TRAP_SITES; h++) {
		uint64_t rip = 0;

		if (likely(__atomic_load_n(&z->trap[h].rip, __ATOMIC_RELAXED) == s->trap_tried[h]))
			continue;
		mutex_lock(&z->trap_mu);
		if (z->trap[h].count >= LINEAGE_AFTER)
			rip = z->trap[h].rip;
		mutex_unlock(&z->trap_mu);
		if (!rip || atomic_load(&t->dead))
			continue;
		sleep_lock(&s->rewrite_lock);
		s->trap_tried[h] = rip;
		site_rewrite_locked(t, rip);
		sleep_unlock(&s->rewrite_lock);
	}
}

void rewrite_fork(struct uspace *parent, struct uspace *child)
{
	struct thunk_page **to = &child->thunks;

	child->forked = true;
	memcpy(child->trap_tried, parent->trap_tried, sizeof(child->trap_tried));
	if (!parent->thunks && !parent->no_rewrite)
		return;
	sleep_lock(&parent->rewrite_lock);
	child->no_rewrite = parent->no_rewrite;
	for (struct thunk_page *p = parent->thunks; p; p = p->next) {
		struct thunk_page *c = malloc(sizeof(*c));

		if (!c) /* the child cannot put its sites back then, and makes new pages */
			break;
		*c = *p;
		c->next = NULL;
		*to = c;
		to = &c->next;
		child->nr_thunks++;
	}
	sleep_unlock(&parent->rewrite_lock);
}

void rewrite_reset(struct uspace *s)
{
	struct thunk_page *p;

	while ((p = s->thunks)) {
		s->thunks = p->next;
		free(p);
	}
	s->nr_thunks = 0;
	s->no_rewrite = s->forked = false;
	memset(s->trap_tried, 0, sizeof(s->trap_tried));
}

/* Puts one site back. */
static void site_restore(struct uthr *t, enum site_kind kind, uint64_t start, uint32_t nr)
{
	long prot = platform_text_lock(t->u.owner, start);
	struct site s = { .start = start };
	uint64_t now, old;

	if (prot < 0)
		return;
	site_word_choose(start, kind == SITE_MOV ? 5 : 2, &s.word);
	if (umem_copy_in(&t->u, &now, GPTR(s.word), 8) == 0 && site_old_word(kind, start, nr, s.word, now, &old) &&
	    ops_run_now(t) == 0) {
		patch_ops(t, &s, now, old, (uint32_t)prot, 0);
		thr_run_ops(t);
	}
	platform_text_unlock(t->u.owner);
}

/* A thread uses %gs for itself: thunks would find no slot. Called with @t stopped, before it runs on. */
void rewrite_stop(struct uthr *t)
{
	struct uspace *s = t->u.space;

	if (s->no_rewrite)
		return;
	sleep_lock(&s->rewrite_lock);
	s->no_rewrite = true;
	for (struct thunk_page *p = s->thunks; p && platform_text_lock; p = p->next)
		for (unsigned i = 0; i < p->used; i++)
			if (p->thunk[i].kind != SITE_NONE)
				site_restore(t, p->thunk[i].kind, p->thunk[i].start, p->thunk[i].nr);
	sleep_unlock(&s->rewrite_lock);
}

/* An interruption in a thunk, or in the padding before it: as if right before the call. */
uint64_t rewrite_visible_rip(struct uspace *s, uint64_t rip)
{
	uint64_t ret = rip;

	if (!s->thunks)
		return rip;
	sleep_lock(&s->rewrite_lock);
	for (struct thunk_page *p = s->thunks; p && ret == rip; p = p->next) {
		if (rip - p->addr < PAGE_SIZE) {
			if (p->thunk[(rip - p->addr) / THUNK_SIZE].kind != SITE_NONE)
				ret = p->thunk[(rip - p->addr) / THUNK_SIZE].start;
			break;
		}
		for (unsigned i = 0; i < p->used; i++)
			if (p->thunk[i].kind == SITE_HOP && p->thunk[i].hole == rip)
				ret = p->thunk[i].start;
	}
	sleep_unlock(&s->rewrite_lock);
	return ret;
}
