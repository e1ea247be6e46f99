/* SPDX-License-Identifier: Apache-2.0
 * test/unit/runsc/state_test.c - state.json, locks, cgroup planning
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "runsc/lib/container.h"

static struct lc_flags flags;
static char root[] = "/tmp/runsc-unit.XXXXXX";

static void setup(void)
{
	struct err e = ERR_INIT;

	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(lc_flags_init(&flags, &e), 0);
	cr_assert_eq(lc_flag_set(&flags, "root", root, &e), 0);
}

static void teardown(void)
{
	rmdir(root);
	lc_flags_fini(&flags);
}

static struct lc_container *make(const char *id, int *lock)
{
	struct err e = ERR_INIT;
	struct lc_container *c;

	cr_assert_eq(container_dir_make(&flags, id, &c, lock, &e), 0, "%s", e.msg);
	c->st.sandbox_id = strdup("pod");
	c->st.bundle = strdup("/b \"quoted\"");
	c->st.created = strdup("2026-01-01T00:00:00Z");
	c->st.status = LC_CREATED;
	c->st.gofer = (struct proc_id){ 1234, 987654321012345 };
	c->st.cg.version = CG_V1;
	c->st.cg.nr_dirs = 1;
	snprintf(c->st.cg.dirs[0].name, 32, "memory");
	c->st.cg.dirs[0].path = strdup("/sys/x/y");
	c->st.cg.dirs[0].mount = strdup("/sys/x");
	return c;
}

Test(runsc, state_round_trip, .init = setup, .fini = teardown)
{
	struct err e = ERR_INIT;
	struct lc_container *c, *d;
	int lock;

	c = make("one", &lock);
	cr_assert_eq(state_save(c, &e), 0, "%s", e.msg);
	cr_assert_eq(lc_load(&flags, "one", &d, &e), 0, "%s", e.msg);
	cr_assert_str_eq(lc_sandbox_id(d), "pod");
	cr_assert_str_eq(lc_bundle(d), "/b \"quoted\"");
	cr_assert_eq(d->st.gofer.start, 987654321012345);
	cr_assert_eq(d->st.status, LC_CREATED);
	cr_assert_str_eq(cgroup_dir_of(&d->st.cg, "memory"), "/sys/x/y");
	cr_assert_null(cgroup_dir_of(&d->st.cg, "pids"));
	cr_assert_eq(lc_status(d), LC_STOPPED, "no such process");
	lc_free(d);
	cr_assert_eq(container_dir_remove(c, &e), 0);
	close(lock);
	lc_free(c);
}

/* Docker's hooks and threads of the shim asked for the status while others held strings of the state. */
Test(runsc, status_leaves_the_state_alone, .init = setup, .fini = teardown)
{
	struct err e = ERR_INIT;
	struct lc_container *c, *d;
	const char *sandbox, *dir;
	int lock;

	c = make("one", &lock);
	c->st.gofer = proc_identify(getpid());
	c->creating = true;
	cr_assert_eq(state_save(c, &e), 0, "%s", e.msg);
	sandbox = c->st.sandbox_id;
	c->st.status = LC_CREATING;
	cr_assert_eq(lc_status(c), LC_CREATING, "its creator knows better than the file");
	cr_assert_eq(c->st.sandbox_id, sandbox);
	c->creating = false;
	c->st.status = LC_CREATED;
	dir = cgroup_dir_of(&c->st.cg, "memory");

	cr_assert_eq(lc_load(&flags, "one", &d, &e), 0, "%s", e.msg);
	d->st.status = LC_RUNNING;
	cr_assert_eq(state_save(d, &e), 0, "%s", e.msg);
	cr_assert_eq(lc_status(c), LC_RUNNING, "what another process wrote counts");
	cr_assert_eq(c->st.sandbox_id, sandbox);
	cr_assert_eq(cgroup_dir_of(&c->st.cg, "memory"), dir);
	cr_assert_eq(c->st.status, LC_CREATED, "only who holds the lock changes it");
	lc_free(d);
	cr_assert_eq(container_dir_remove(c, &e), 0);
	close(lock);
	lc_free(c);
}

Test(runsc, state_damaged, .init = setup, .fini = teardown)
{
	static const char *const texts[] = { "", "{", "[]", "{\"version\":1}", "{\"version\":\"1\"}",
					     "{\"version\":99,\"sandbox\":\"a\",\"bundle\":\"b\",\"created\":\"c\",\"status\":\"running\"}",
					     "{\"version\":1,\"sandbox\":\"a\",\"bundle\":\"b\",\"created\":\"c\",\"status\":\"dancing\"}" };
	struct err e = ERR_INIT;
	struct lc_container *c, *d;
	int lock;

	c = make("two", &lock);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cr_assert_eq(dir_write(c->dir_fd, "state.json", texts[i], strlen(texts[i]), &e), 0);
		cr_assert_lt(lc_load(&flags, "two", &d, &e), 0, "%s", texts[i]);
	}
	close(lock);
	/* what cannot be read can still be removed by force */
	cr_assert_lt(lc_delete_id(&flags, "two", false, &e), 0);
	cr_assert_eq(lc_delete_id(&flags, "two", true, &e), 0, "%s", e.msg);
	lc_free(c);
}

Test(runsc, ids_and_locks, .init = setup, .fini = teardown)
{
	struct err e = ERR_INIT;
	struct lc_container *c, *d;
	int lock, again, probe;

	c = make("three", &lock);
	cr_assert_lt(container_dir_make(&flags, "three", &d, &again, &e), 0);
	cr_assert_eq(e.code, EEXIST);
	probe = open(c->dir, O_RDONLY | O_DIRECTORY);
	cr_assert_lt(flock(probe, LOCK_EX | LOCK_NB), 0, "held");
	close(lock);
	cr_assert_eq(flock(probe, LOCK_EX | LOCK_NB), 0, "free");
	close(probe);
	cr_assert_eq(container_dir_open(&flags, "three", &d, &e), 0);
	cr_assert_eq(container_dir_remove(c, &e), 0);
	cr_assert_lt(container_lock(d, &e), 0, "removed meanwhile");
	cr_assert_eq(e.code, ENOENT);
	lc_free(c);
	lc_free(d);
	cr_assert_lt(lc_load(&flags, "three", &d, &e), 0);
	cr_assert_eq(e.code, ENOENT);
	cr_assert_lt(lc_id_check("a/b", &e), 0);
	cr_assert_lt(lc_id_check("..", &e), 0);
	cr_assert_lt(lc_id_check("", &e), 0);
	cr_assert_eq(lc_id_check("a_b+c.d-9", &e), 0);
}

Test(runsc, processes_by_start_time)
{
	struct proc_id me = proc_identify(getpid()), other = me;

	cr_assert_eq(me.pid, (uint32_t)getpid());
	cr_assert(proc_alive(me));
	other.start++;
	cr_assert_not(proc_alive(other));
	cr_assert_lt(proc_pidfd(other), 0);
	cr_assert(proc_kill(other, 10), "gone is as good as killed");
	cr_assert_not(proc_alive((struct proc_id){ 0 }));
}

Test(runsc, systemd_names)
{
	struct cgroup g = { 0 };
	struct err e = ERR_INIT;
	char *path = NULL;

	cr_assert_eq(systemd_plan(&g, "kube-pods-abc.slice:cri:x1", "id", &path, &e), 0, "%s", e.msg);
	cr_assert_str_eq(path, "/kube.slice/kube-pods.slice/kube-pods-abc.slice/cri-x1.scope");
	cr_assert_str_eq(g.unit, "cri-x1.scope");
	free(path);
	cgroup_fini(&g);
	cr_assert_lt(systemd_plan(&g, "/not/systemd", "id", &path, &e), 0);
	cgroup_fini(&g);
	cr_assert_lt(systemd_plan(&g, "a--b.slice:p:n", "id", &path, &e), 0);
	cgroup_fini(&g);
}
