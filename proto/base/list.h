/* SPDX-License-Identifier: Apache-2.0
 * proto/base/list.h - circular doubly linked list, intrusive
 *
 * Model:   a head and its entries are the same type; an entry that is in no list points at itself
 *          after list_init() or list_del_init(), so list_empty(&entry) tells whether it is linked.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/util.h"

struct list {
	struct list *next, *prev;
};

#define LIST_HEAD_INIT(n) { &(n), &(n) }

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_(struct list *e, struct list *prev, struct list *next)
{
	next->prev = e;
	e->next = next;
	e->prev = prev;
	prev->next = e;
}

static inline void list_add(struct list *head, struct list *e)
{
	list_insert_(e, head, head->next);
}

static inline void list_add_tail(struct list *head, struct list *e)
{
	list_insert_(e, head->prev, head);
}

/* Leaves @e unlinked and usable with list_empty(); safe on an unlinked entry. */
static inline void list_del_init(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

/* Moves every entry of @from to the tail of @to; @from is empty afterwards. */
static inline void list_splice_tail_init(struct list *from, struct list *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(p, t, m) container_of(p, t, m)
#define list_first(h, t, m) list_entry((h)->next, t, m)
#define list_last(h, t, m)  list_entry((h)->prev, t, m)
#define list_for_each_entry(pos, head, m)                                                          \
	for (pos = list_entry((head)->next, __typeof__(*pos), m); &pos->m != (head);               \
	     pos = list_entry(pos->m.next, __typeof__(*pos), m))
#define list_for_each_entry_safe(pos, tmp, head, m)                                                \
	for (pos = list_entry((head)->next, __typeof__(*pos), m),                                  \
	    tmp = list_entry(pos->m.next, __typeof__(*pos), m);                                    \
	     &pos->m != (head); pos = tmp, tmp = list_entry(tmp->m.next, __typeof__(*pos), m))

#endif
