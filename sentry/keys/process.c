/* SPDX-License-Identifier: Apache-2.0
 * sentry/keys/process.c - a task's keyrings, keys by number or role, possession
 *
 * Model:   a thread has a thread, a process and a session keyring, each only once it was asked for; without a session keyring the user's
 *          stands in. New threads share the process keyring, children the session keyring; exec keeps the session only.
 * Locks:   keys_mu.
 * Source:  thread-keyring(7), process-keyring(7), session-keyring(7), keyctl(2).
 */
#include "sentry/keys/keys_internal.h"

#include <stdio.h>
#include <string.h>

#include "sentry/task/signal.h"

struct task_keys *task_keys_of(struct task *t)
{
	if (!t->keys)
		t->keys = calloc(1, sizeof(*t->keys));
	return t->keys;
}

static void replace(struct key **slot, struct key *k)
{
	struct key *old = *slot;

	*slot = k;
	key_put(old);
}

/* ---- roles ---------------------------------------------------------------------------------------------- */

static long new_ring(struct task *t, const char *name, uint32_t usr, enum key_quota quota, struct key **slot)
{
	struct key *k;
	long ret = key_new(&key_type_ring, name, t->cred, t->cred->uid, t->cred->gid, KEY_POS(LINUX_KEY_ALL) | KEY_USR(usr), quota, &k);

	if (!ret)
		replace(slot, k);
	return ret;
}

/* A fresh session keyring without a name. */
static long new_session(struct task *t)
{
	return new_ring(t, "_ses", LINUX_KEY_VIEW | LINUX_KEY_READ, t->keys->session ? KEY_QUOTA : KEY_QUOTA_OVERRUN, &t->keys->session);
}

static long own_ring(struct task *t, const char *name, struct key **slot, unsigned flags, struct key **out)
{
	long ret = 0;

	if (!*slot)
		ret = flags & KEY_CREATE ? new_ring(t, name, LINUX_KEY_VIEW, KEY_QUOTA_OVERRUN, slot) : -LINUX_ENOKEY;
	*out = *slot;
	return ret;
}

/* The user's session keyring stands in for one; what is to be changed becomes the task's own. */
static long session_ring(struct task *t, unsigned flags, struct key **out)
{
	struct key **slot = &t->keys->session, *users = NULL;
	long ret = 0;

	if (!*slot || (flags & KEY_CREATE)) {
		ret = user_ring(t->cred, true, &users);
		if (!ret && (flags & KEY_CREATE) && (!*slot || *slot == users))
			ret = new_session(t);
		else if (!ret && !*slot)
			*slot = key_get(users);
	}
	*out = *slot;
	return ret;
}

static long by_role(struct task *t, int32_t id, unsigned flags, struct key **out)
{
	struct task_keys *tk = task_keys_of(t);

	if (!tk)
		return -LINUX_ENOMEM;
	switch (id) {
	case LINUX_KEY_SPEC_THREAD_KEYRING:
		return own_ring(t, "_tid", &tk->thread, flags, out);
	case LINUX_KEY_SPEC_PROCESS_KEYRING:
		return own_ring(t, "_pid", &tk->process, flags, out);
	case LINUX_KEY_SPEC_SESSION_KEYRING:
		return session_ring(t, flags, out);
	case LINUX_KEY_SPEC_USER_KEYRING:
		return user_ring(t->cred, false, out);
	case LINUX_KEY_SPEC_USER_SESSION_KEYRING:
		return user_ring(t->cred, true, out);
	case LINUX_KEY_SPEC_REQKEY_AUTH_KEY:
	case LINUX_KEY_SPEC_REQUESTOR_KEYRING:
		return -LINUX_ENOKEY; /* nobody is ever asked to make one */
	}
	return -LINUX_EINVAL;
}

/* ---- what is possessed -------------------------------------------------------------------------------------- */

long keys_search_own(struct task *t, struct key_search *s, struct key **out)
{
	struct key *session = t->keys && t->keys->session ? t->keys->session : user_ring_if_any(t->cred, true);
	struct key *rings[] = { t->keys ? t->keys->thread : NULL, t->keys ? t->keys->process : NULL, session };
	long ret = -LINUX_EAGAIN;

	s->cred = t->cred;
	s->possessed = true;
	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		long r = rings[i] ? ring_search(rings[i], s, out) : -LINUX_EAGAIN;

		if (!r)
			return 0;
		/* That it is known not to be had says most, that it is not here least. */
		if (r == -LINUX_ENOKEY || (r != -LINUX_EAGAIN && ret != -LINUX_ENOKEY))
			ret = r;
	}
	return ret;
}

static bool possesses(struct task *t, const struct key *k)
{
	struct key_search s = { .target = k, .any_state = true };
	struct key *found;

	return keys_search_own(t, &s, &found) == 0;
}

uint64_t keys_mark_possessed(struct task *t)
{
	struct key_search s = { .type = &key_type_ring, .desc = "", .any_state = true, .mark = true };
	uint64_t first = ring_next_search();
	struct key *none;

	keys_search_own(t, &s, &none); /* no key has this name */
	return first;
}

long key_lookup(struct task *t, int32_t id, unsigned flags, uint32_t need, struct key_ref *out)
{
	struct key_ref r = { .possessed = true };
	long ret;

	if (id >= 1) {
		r.k = key_by_serial(id);
		if (!r.k)
			return -LINUX_ENOKEY;
		r.possessed = possesses(t, r.k);
	} else {
		ret = by_role(t, id, flags, &r.k);
		if (ret < 0)
			return ret;
	}
	if (need) {
		ret = flags & KEY_PARTIAL ? 0 : r.k->negative;
		if (!ret)
			ret = key_validate(r.k);
		if (!ret)
			ret = key_allowed(r, t->cred, need);
		if (ret < 0)
			return ret;
	}
	*out = r;
	return 0;
}

long keys_default_dest(struct task *t, struct key **out)
{
	struct task_keys *tk = task_keys_of(t);
	int where;

	if (!tk)
		return -LINUX_ENOMEM;
	where = tk->reqkey;
	if (where == LINUX_KEY_REQKEY_DEFL_USER_KEYRING)
		return user_ring(t->cred, false, out);
	if (where == LINUX_KEY_REQKEY_DEFL_REQUESTOR_KEYRING)
		where = LINUX_KEY_REQKEY_DEFL_DEFAULT;
	*out = NULL;
	/* The one that was chosen, or the first there is of those that live longer. */
	if (where <= LINUX_KEY_REQKEY_DEFL_THREAD_KEYRING)
		*out = tk->thread;
	if (!*out && where <= LINUX_KEY_REQKEY_DEFL_PROCESS_KEYRING)
		*out = tk->process;
	if (!*out && where <= LINUX_KEY_REQKEY_DEFL_SESSION_KEYRING)
		*out = tk->session;
	return *out ? 0 : user_ring(t->cred, true, out);
}

long keys_set_reqkey(struct task *t, int32_t where)
{
	struct task_keys *tk;
	struct key *ring;
	long ret = 0, old = -LINUX_ENOMEM;

	if (where == LINUX_KEY_REQKEY_DEFL_GROUP_KEYRING || where < LINUX_KEY_REQKEY_DEFL_NO_CHANGE ||
	    where > LINUX_KEY_REQKEY_DEFL_REQUESTOR_KEYRING)
		return -LINUX_EINVAL;
	keys_lock();
	tk = task_keys_of(t);
	if (tk) {
		old = tk->reqkey;
		if (where == LINUX_KEY_REQKEY_DEFL_THREAD_KEYRING)
			ret = by_role(t, LINUX_KEY_SPEC_THREAD_KEYRING, KEY_CREATE, &ring);
		else if (where == LINUX_KEY_REQKEY_DEFL_PROCESS_KEYRING)
			ret = by_role(t, LINUX_KEY_SPEC_PROCESS_KEYRING, KEY_CREATE, &ring);
		if (!ret && where != LINUX_KEY_REQKEY_DEFL_NO_CHANGE)
			tk->reqkey = where;
	}
	keys_unlock();
	return ret ?: old;
}

/* ---- sessions ------------------------------------------------------------------------------------------------ */

struct by_name {
	struct task *t;
	const char *name;
	bool of_container;
	struct key *found;
};

static void try_name(struct key *k, void *arg)
{
	struct by_name *b = arg;
	const struct cred *c = b->t->cred;

	if (b->found || !k->type->ring || k->revoked || k->ns_ino != c->user_ns->ino || strcmp(k->desc, b->name))
		return;
	if (b->of_container ? k->of_container
			    : id_from_kernel(c->user_ns, false, k->user->uid) != ID_INVALID &&
				      !key_allowed((struct key_ref){ k, false }, c, LINUX_KEY_SEARCH))
		b->found = k;
}

static long join_named(struct task *t, const char *name)
{
	struct by_name b = { .t = t, .name = name };

	key_for_each(try_name, &b);
	if (!b.found)
		return new_ring(t, name, LINUX_KEY_VIEW | LINUX_KEY_READ | LINUX_KEY_LINK, KEY_QUOTA, &t->keys->session) ?:
			       t->keys->session->serial;
	if (b.found == t->keys->session)
		return 0; /* Linux tells no number then */
	replace(&t->keys->session, key_get(b.found));
	return b.found->serial;
}

long keys_join_session(struct task *t, const char *name)
{
	long ret;

	if (name && name[0] == '.')
		return -LINUX_EPERM;
	keys_lock();
	if (!task_keys_of(t))
		ret = -LINUX_ENOMEM;
	else if (name)
		ret = join_named(t, name);
	else
		ret = new_session(t) ?: t->keys->session->serial;
	keys_unlock();
	return ret;
}

void keys_start(struct task *t, const char *name)
{
	const uint32_t usr = LINUX_KEY_VIEW | LINUX_KEY_READ | LINUX_KEY_SEARCH | LINUX_KEY_LINK;
	struct user_ns *ns = t->cred->user_ns;
	uint32_t uid = id_to_kernel(ns, false, 0), gid = id_to_kernel(ns, true, 0);
	char desc[KEYS_DESC_MAX];
	struct by_name b = { .t = t, .name = desc, .of_container = true };

	snprintf(desc, sizeof(desc), "_ses.%s", name);
	keys_lock();
	key_for_each(try_name, &b);
	if (b.found)
		key_get(b.found);
	else if (!key_new(&key_type_ring, desc, t->cred, uid == ID_INVALID ? t->cred->uid : uid, gid,
			  KEY_POS(LINUX_KEY_ALL) | KEY_USR(usr), KEY_QUOTA_OVERRUN, &b.found))
		b.found->of_container = true;
	if (b.found && task_keys_of(t))
		replace(&t->keys->session, b.found);
	else
		key_put(b.found);
	keys_unlock();
}

/* May @t's session become @p's? Both have ids of one kind only, the same ones. */
static bool same_ids(const struct cred *c, const struct cred *p)
{
	return p->uid == c->euid && p->euid == c->euid && p->suid == c->euid && p->gid == c->egid && p->egid == c->egid && p->sgid == c->egid;
}

/* sig_mu of @p's group and keys_mu held. */
static long give_session_locked(struct task *t, struct task *p)
{
	struct key *mine = t->keys->session, *theirs = p->keys ? p->keys->session : NULL;

	if (mine == theirs)
		return 0;
	if (!same_ids(t->cred, p->cred) || mine->uid != t->cred->euid || (theirs && theirs->uid != t->cred->euid))
		return -LINUX_EPERM;
	if (!task_keys_of(p))
		return -LINUX_ENOMEM;
	replace(&p->keys->session, key_get(mine));
	return 0;
}

long keys_session_to_parent(struct task *t)
{
	struct tgroup *g;
	struct key_ref r;
	long ret;

	keys_lock();
	ret = key_lookup(t, LINUX_KEY_SPEC_SESSION_KEYRING, 0, LINUX_KEY_LINK, &r);
	keys_unlock();
	if (ret < 0)
		return ret;
	ret = -LINUX_EPERM;
	mutex_lock(&tasks_mu);
	g = t->group->parent;
	if (g && g->leader) {
		mutex_lock(&g->sig_mu);
		if (g->nr_threads == 1 && g->nr_live && g->leader->mm) {
			keys_lock();
			ret = give_session_locked(t, g->leader);
			keys_unlock();
		}
		mutex_unlock(&g->sig_mu);
	}
	mutex_unlock(&tasks_mu);
	return ret;
}

/* ---- life of a task --------------------------------------------------------------------------------------------- */

long keys_fork(struct task *t, struct task *c, bool thread)
{
	struct task_keys *from, *to;
	long ret = 0;

	if (likely(!__atomic_load_n(&t->keys, __ATOMIC_RELAXED)))
		return 0;
	keys_lock();
	from = t->keys;
	to = task_keys_of(c);
	if (!to) {
		keys_unlock();
		return -LINUX_ENOMEM;
	}
	to->reqkey = from->reqkey;
	if (from->session)
		to->session = key_get(from->session);
	if (thread && from->process)
		to->process = key_get(from->process);
	if (thread && from->thread)
		ret = new_ring(c, "_tid", LINUX_KEY_VIEW, KEY_QUOTA_OVERRUN, &to->thread);
	keys_unlock();
	return ret;
}

void keys_exec(struct task *t)
{
	if (likely(!__atomic_load_n(&t->keys, __ATOMIC_RELAXED)))
		return;
	keys_lock();
	replace(&t->keys->thread, NULL);
	replace(&t->keys->process, NULL);
	keys_unlock();
}

void keys_ids_changed(struct task *t)
{
	if (likely(!__atomic_load_n(&t->keys, __ATOMIC_RELAXED)))
		return;
	keys_lock();
	if (t->keys->thread) {
		t->keys->thread->uid = t->cred->fsuid;
		t->keys->thread->gid = t->cred->fsgid;
	}
	keys_unlock();
}

void keys_exit(struct task *t)
{
	struct task_keys *tk;

	keys_lock();
	tk = TAKE_PTR(t->keys);
	if (tk) {
		key_put(tk->thread);
		key_put(tk->process);
		key_put(tk->session);
	}
	keys_unlock();
	free(tk);
}
