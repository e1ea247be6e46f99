/* SPDX-License-Identifier: Apache-2.0
 * sentry/cred/cred.c - credentials: life, groups, capability tests
 *
 * Model:   see cred.h. A published struct cred never changes, so readers need no lock, only a reference.
 * Source:  credentials(7), capabilities(7), user_namespaces(7) "Capabilities".
 */
#include <string.h>

#include "sentry/cred/cred.h"

struct cred *cred_get(struct cred *c)
{
	ref_get(&c->ref);
	return c;
}

void cred_put(struct cred *c)
{
	if (!c || !ref_put(&c->ref))
		return;
	groups_put(c->groups);
	user_ns_put(c->user_ns);
	free(c);
}

struct cred *cred_dup(const struct cred *c)
{
	struct cred *n = malloc(sizeof(*n));

	if (!n)
		return NULL;
	*n = *c;
	ref_init(&n->ref, 1);
	if (n->groups)
		ref_get(&n->groups->ref);
	user_ns_get(n->user_ns);
	return n;
}

struct cred *cred_new_root(void)
{
	struct cred *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	ref_init(&c->ref, 1);
	c->cap_permitted = c->cap_effective = c->cap_bset = CAP_FULL;
	c->user_ns = user_ns_get(&init_user_ns);
	return c;
}

struct group_list *groups_new(uint32_t nr)
{
	struct group_list *g = calloc(1, sizeof(*g) + (size_t)nr * sizeof(g->gid[0]));

	if (!g)
		return NULL;
	ref_init(&g->ref, 1);
	g->nr = nr;
	return g;
}

static int gid_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void groups_sort(struct group_list *g)
{
	qsort(g->gid, g->nr, sizeof(g->gid[0]), gid_cmp);
}

void groups_put(struct group_list *g)
{
	if (g && ref_put(&g->ref))
		free(g);
}

bool cred_in_group(const struct cred *c, uint32_t kgid)
{
	if (c->fsgid == kgid)
		return true;
	return c->groups && bsearch(&kgid, c->groups->gid, c->groups->nr, sizeof(kgid), gid_cmp);
}

bool cred_has_cap(const struct cred *c, const struct user_ns *ns, int cap)
{
	/* Bounded by the nesting limit of user_ns_new(). */
	for (;; ns = ns->parent) {
		if (ns == c->user_ns)
			return c->cap_effective & CAP_BIT(cap);
		if (ns->level <= c->user_ns->level)
			return false;
		/* The owner, acting from the parent, has every capability in the child. */
		if (ns->parent == c->user_ns && ns->owner == c->euid)
			return true;
	}
}

bool cred_may_kill(const struct cred *c, const struct cred *t)
{
	return c->euid == t->suid || c->euid == t->uid || c->uid == t->suid || c->uid == t->uid ||
	       cred_has_cap(c, t->user_ns, LINUX_CAP_KILL);
}

bool cred_may_ptrace(const struct cred *c, const struct cred *t, bool fscreds)
{
	uint32_t uid = fscreds ? c->fsuid : c->uid, gid = fscreds ? c->fsgid : c->gid;

	if (uid == t->euid && uid == t->suid && uid == t->uid && gid == t->egid && gid == t->sgid && gid == t->gid &&
	    (c->user_ns != t->user_ns || !(t->cap_permitted & ~c->cap_permitted)))
		return c->user_ns == t->user_ns || cred_has_cap(c, t->user_ns, LINUX_CAP_SYS_PTRACE);
	return cred_has_cap(c, t->user_ns, LINUX_CAP_SYS_PTRACE);
}
