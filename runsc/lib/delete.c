/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/delete.c - removing a container, whatever is left of it
 *
 * Model:   state.json says what there may be; each part may be gone already, or never have been. The parts that
 *          others need to find it again (state, lock) go last: a delete that is itself killed is repeated.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "runsc/lib/container.h"
#include "runsc/lib/control.h"
#include "runsc/lib/create.h"

#define DIE_MS 10000 /* longer than any process of ours takes to die on a machine that works at all */

static bool is_sandbox(const struct lc_container *c)
{
	return !c->st.sandbox_id || strcmp(c->st.sandbox_id, c->id) == 0;
}

static void kill_one(struct proc_id p)
{
	AUTO_CLOSE int fd = proc_pidfd(p);

	if (fd >= 0)
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

/* All at once, then wait: the Sentry's end waits for the zygote, and that for its stubs. */
static int kill_processes(struct lc_container *c, struct err *e)
{
	struct proc_id all[] = { c->st.zygote, c->st.gofer, is_sandbox(c) ? c->st.sentry : (struct proc_id){ 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		kill_one(all[i]);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!proc_kill(all[i], DIE_MS))
			return err_set(e, EBUSY, "process %u of container \"%s\" does not end", all[i].pid, c->id);
	return 0;
}

void lc_reap(struct lc_container *c)
{
	/* the zygote first: the Sentry, init of its pid namespace, has not ended before the zygote is reaped */
	if (!proc_kill(c->st.zygote, DIE_MS) || !proc_kill(c->st.gofer, DIE_MS))
		log_warn("processes of container \"%s\" do not end", c->id);
}

struct members {
	const char *sandbox_id, *found;
	char id[LC_ID_MAX + 1];
};

static int find_member(const char *id, struct lc_container *c, void *arg)
{
	struct members *m = arg;

	if (!c || strcmp(id, m->sandbox_id) == 0 || strcmp(c->st.sandbox_id, m->sandbox_id))
		return 0;
	strncpy(m->id, id, sizeof(m->id) - 1);
	m->found = m->id;
	return 1;
}

static int destroy(struct lc_container *c, struct err *e)
{
	struct err ignored = ERR_INIT;
	int ret = 0;

	if (!is_sandbox(c) && proc_alive(c->st.sentry)) {
		PB(ContainerRequest) m = PB_INIT(CONTAINER_REQUEST);

		/* first, as a task may wait for an answer of it: one that is stopped, or hangs on its disk, would never give it */
		kill_one(c->st.gofer);
		m.id = c->id;
		if (control_do(c, "DestroyContainer", &m.base, NULL, NULL, &ignored) < 0)
			log_debug("destroy %s: %s", c->id, ignored.msg);
	}
	if (kill_processes(c, e) < 0)
		return -1;
	network_undo(c);
	ret = cgroup_remove(&c->st.cg, e);
	if (ret < 0)
		return -1;
	/* the specification is still there for these; their failure does not stop a delete */
	if (c->st.status != LC_CREATING && hooks_run(c, HOOK_POSTSTOP, 0, &ignored) < 0)
		log_warn("%s", ignored.msg);
	return container_dir_remove(c, e);
}

int lc_delete(struct lc_container *c, bool force, struct err *e)
{
	AUTO_CLOSE int lock = container_lock(c, e);
	struct members m = { .sandbox_id = c->id };
	enum lc_status now;

	if (lock < 0)
		return -1;
	now = lc_status(c);
	/* we hold the lock, so whoever was creating it is not there any more */
	if (now == LC_CREATING)
		force = true;
	if (now == LC_CREATED)
		force = true; /* as runc: a container that never ran needs no force */
	if (now != LC_STOPPED && !force)
		return err_set(e, EBUSY, "cannot delete container %s that is not stopped: %s", c->id, lc_status_name(now));
	if (is_sandbox(c) && proc_alive(c->st.sentry)) {
		if (lc_list(c->flags, find_member, &m, e) < 0)
			return -1;
		if (m.found && !force)
			return err_set(e, EBUSY, "cannot delete sandbox %s: container %s is still in it", c->id, m.found);
	}
	return destroy(c, e);
}

/* The lock is taken with a look at whether somebody works on it; a creation in progress holds it. */
int lc_delete_id(const struct lc_flags *f, const char *id, bool force, struct err *e)
{
	struct lc_container *c;
	int ret;

	if (container_dir_open(f, id, &c, e) < 0)
		return force && e->code == ENOENT ? 0 : -1;
	if (state_load(c, e) == 0) {
		ret = lc_delete(c, force, e);
	} else if (force) {
		/* killed between mkdir and the first state: nothing else was made */
		AUTO_CLOSE int lock = container_lock(c, e);

		ret = lock < 0 ? -1 : container_dir_remove(c, e);
	} else {
		ret = -1;
	}
	lc_free(c);
	return ret < 0 && force && e->code == ENOENT ? 0 : ret;
}
