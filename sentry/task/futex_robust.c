/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/futex_robust.c - robust lists: locks that their holder leaves behind at its end
 *
 * Model:   the list lies in the guest's memory, a circle of entries, each at a fixed distance from its futex word. A word
 *          that names the dying thread gets FUTEX_OWNER_DIED, and one waiter is woken. The host thread is still there and does
 *          the stores and wakes, so that shared futexes work as well.
 * Hostile: the list is the guest's: bounded walk, every read checked.
 * Source:  get_robust_list(2), "A description of what robust futexes are" in the kernel's documentation.
 */
#include "sentry/abi/futex.h"
#include "sentry/task/futex.h"
#include "sentry/task/ns.h"
#include "sentry/task/task_internal.h"

#define ROBUST_LIST_LIMIT   2048
#define LINUX_NR_EXIT	    60
#define LINUX_NR_EXIT_GROUP 231

struct robust_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t pending;
};
_Static_assert(sizeof(struct robust_head) == ROBUST_HEAD_SIZE, "what the stub sends along");

static bool peek(struct task *t, uint64_t at, void *dst, size_t len)
{
	return uspace_read(t->u->space, dst, at, len) == (long)len;
}

/* It comes along with a call that ends the thread. */
static bool head_get(struct task *t, uint64_t at, struct robust_head *out)
{
	bool ends = t->u->sysno == LINUX_NR_EXIT || t->u->sysno == LINUX_NR_EXIT_GROUP;

	return (ends && umem_sent(t->u, out, GPTR(at), sizeof(*out))) || peek(t, at, out, sizeof(*out));
}

/* One lock: @addr of its word. */
static void release_word(struct task *t, uint64_t addr, uint32_t tid)
{
	struct umem_op ops[2];
	uint32_t word;
	size_t done;

	if (addr & 3 || !peek(t, addr, &word, sizeof(word)) || (word & FUTEX_TID_MASK) != tid)
		return;
	/* Between the read and the store only waiters can change the word, by setting FUTEX_WAITERS: it is set here in
	 * any case, which costs at most one needless wake-up later. */
	ops[0] = (struct umem_op){ .kind = UMEM_STORE32, .addr = addr, .len = FUTEX_WAITERS | FUTEX_OWNER_DIED };
	ops[1] = (struct umem_op){ .kind = UMEM_FUTEX_WAKE, .addr = addr, .len = 1 };
	umem_exec(t->u, ops, 2, &done);
}

void task_robust_exit(struct task *t)
{
	struct robust_head head;
	uint64_t at = task_robust_list_locked(t), entry; /* its own page: needs no lock */
	uint32_t tid;

	task_set_thread_words(t, 0, task_clear_tid_locked(t));
	futex_pi_exit(t);
	if (!at || !t->u || !head_get(t, at, &head))
		return;
	tid = task_pid_nr(t, task_pid_ns(t));
	entry = head.next;
	for (int n = 0; n < ROBUST_LIST_LIMIT && (entry & ~1ull) != at; n++) {
		uint64_t next;

		/* The link is read first: the lock may be gone once it is released. */
		if (!peek(t, entry & ~1ull, &next, sizeof(next)))
			break;
		if ((entry & ~1ull) != (head.pending & ~1ull))
			release_word(t, (entry & ~1ull) + (uint64_t)head.futex_offset, tid);
		entry = next;
	}
	if (head.pending & ~1ull)
		release_word(t, (head.pending & ~1ull) + (uint64_t)head.futex_offset, tid);
}
