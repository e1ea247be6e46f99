/* SPDX-License-Identifier: Apache-2.0
 * test/unit/task/pid_test.c - numbers in nested pid namespaces
 */
#include <criterion/criterion.h>

#include "sentry/task/pid.h"
#include "sentry/task/task.h"

static struct pid *take(struct pid_ns *ns)
{
	struct pid *p = NULL;

	cr_assert_eq(pid_alloc(ns, NULL, 0, &p), 0);
	return p;
}

static void give(struct pid *p)
{
	mutex_lock(&tasks_mu);
	pid_unuse_locked(p);
	mutex_unlock(&tasks_mu);
	pid_put(p);
}

Test(pid, a_number_per_level)
{
	struct pid_ns *outer, *inner;
	struct pid *a, *b, *c;

	cr_assert_eq(pid_ns_new(NULL, &init_user_ns, &outer), 0);
	a = take(outer);
	cr_assert_eq(pid_ns_new(outer, &init_user_ns, &inner), 0);
	b = take(inner);
	cr_assert_eq(pid_nr(a, outer), 1u);
	cr_assert_eq(pid_nr(a, inner), 0u, "an outer process is not seen inside");
	cr_assert_eq(pid_nr(b, outer), 2u);
	cr_assert_eq(pid_nr(b, inner), 1u);
	c = pid_find(outer, 2);
	cr_assert_eq(c, b);
	pid_put(c);
	give(b);
	cr_assert_null(pid_find(outer, 2));
	cr_assert(pid_ns_is_below(inner, outer) && !pid_ns_is_below(outer, inner));
	give(a);
	pid_ns_put(inner);
	pid_ns_put(outer);
}

Test(pid, numbers_rise_wrap_and_run_out)
{
	struct pid_ns *ns;
	struct pid **all = calloc(PID_MAX, sizeof(*all)), *p;
	unsigned n = 0;

	cr_assert_eq(pid_ns_new(NULL, &init_user_ns, &ns), 0);
	for (int i = 0; i < 5; i++) { /* a number just given back is not the next one */
		p = take(ns);
		cr_assert_eq(pid_nr(p, ns), (uint32_t)i + 1);
		give(p);
	}
	while (pid_alloc(ns, NULL, 0, &all[n]) == 0)
		n++;
	cr_assert_geq(n, PID_MAX - 400);
	cr_assert_eq(pid_alloc(ns, NULL, 0, &p), -LINUX_EAGAIN);
	give(all[1000]);
	cr_assert_eq(pid_alloc(ns, NULL, 0, &all[1000]), 0, "one is free again (those below 300 are not given out twice)");
	while (n)
		give(all[--n]);
	cr_assert_eq(ns->nr_pids, 0u);
	pid_ns_put(ns);
	free(all);
}

Test(pid, wanted_numbers)
{
	struct pid_ns *ns;
	struct pid *p, *q;
	uint32_t want = 500, one = 1;

	cr_assert_eq(pid_ns_new(NULL, &init_user_ns, &ns), 0);
	cr_assert_eq(pid_alloc(ns, &want, 1, &p), -LINUX_EINVAL, "only init comes before init");
	cr_assert_eq(pid_alloc(ns, &one, 1, &p), 0);
	cr_assert_eq(pid_alloc(ns, &one, 1, &q), -LINUX_EEXIST);
	give(p);
	pid_ns_put(ns);
}
