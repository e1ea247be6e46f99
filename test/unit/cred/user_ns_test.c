/* SPDX-License-Identifier: Apache-2.0
 * test/unit/cred/user_ns_test.c - id maps: who may write what, how ids translate through levels
 */
#include <criterion/criterion.h>
#include <string.h>

#include "sentry/cred/cred.h"

static long write_map(struct user_ns *ns, bool gid, const char *text, const struct cred *c)
{
	return user_ns_write_map(ns, gid, text, strlen(text), c, c);
}

Test(cred, maps_translate_through_levels)
{
	struct cred *root = cred_new_root(), *in;
	struct user_ns *a, *b;

	cr_assert_eq(user_ns_new(&init_user_ns, root, &a), 0);
	cr_assert_eq(id_to_kernel(a, false, 0), ID_INVALID);
	cr_assert_eq(id_from_kernel_munged(a, false, 0), OVERFLOW_ID);
	cr_assert_eq(write_map(a, false, "0 100000 65536\n", root), 0);
	cr_assert_eq(write_map(a, true, "0 200000 1000\n2000 300000 10\n", root), 0);
	cr_assert_eq(id_to_kernel(a, false, 5), 100005u);
	cr_assert_eq(id_from_kernel(a, false, 100005), 5u);
	cr_assert_eq(id_to_kernel(a, true, 2009), 300009u);
	cr_assert_eq(id_to_kernel(a, true, 2010), ID_INVALID);

	in = cred_dup(root);
	in->uid = in->euid = in->suid = in->fsuid = 100000;
	in->gid = in->egid = in->sgid = in->fsgid = 200000;
	cred_enter_user_ns(in, user_ns_get(a));
	cr_assert_eq(user_ns_new(a, in, &b), 0);
	cr_assert_eq(write_map(b, false, "7 1000 10", in), 0);
	cr_assert_eq(id_to_kernel(b, false, 8), 101001u);
	cr_assert_eq(id_from_kernel(a, false, id_to_kernel(b, false, 8)), 1001u);
	cred_put(in);
	user_ns_put(b);
	user_ns_put(a);
	cred_put(root);
}

Test(cred, maps_are_written_once_and_checked)
{
	static const char *const bad[] = { "", "\n", "0 0", "0 0 0", "a 0 1", "0 0 1 2", "0 0 4294967296", "0 0 10\n5 100 1\n",
					   "0 0 10\n100 5 1\n", "4294967290 0 10" };
	struct cred *root = cred_new_root(), *user;
	struct user_ns *ns;

	cr_assert_eq(user_ns_new(&init_user_ns, root, &ns), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(write_map(ns, false, bad[i], root), -LINUX_EINVAL, "%s", bad[i]);
	user = cred_dup(root);
	cr_assert_eq(cred_set_uid(user, 1000), 0);
	cr_assert_eq(write_map(ns, false, "0 1000 1", user), -LINUX_EPERM);
	cr_assert_eq(write_map(ns, false, "0 0 1", root), 0);
	cr_assert_eq(write_map(ns, false, "0 0 1", root), -LINUX_EPERM);
	cr_assert_eq(write_map(&init_user_ns, false, "0 0 1", root), -LINUX_EPERM);
	cred_put(user);
	user_ns_put(ns);
	cred_put(root);
}

/* An ordinary user maps himself only, and groups only after giving up setgroups(2). */
Test(cred, own_map_without_privilege)
{
	struct cred *c = cred_new_root(), *in;
	struct user_ns *ns;

	cr_assert_eq(cred_set_gid(c, 1000), 0);
	cr_assert_eq(cred_set_uid(c, 1000), 0);
	cr_assert_eq(user_ns_new(&init_user_ns, c, &ns), 0);
	in = cred_dup(c);
	cred_enter_user_ns(in, user_ns_get(ns));
	cr_assert_eq(write_map(ns, false, "0 1001 1", in), -LINUX_EPERM);
	cr_assert_eq(write_map(ns, false, "0 1000 1", in), 0);
	cr_assert_eq(write_map(ns, true, "0 1000 1", in), -LINUX_EPERM);
	cr_assert_eq(user_ns_write_setgroups(ns, "deny", 4), 0);
	cr_assert_eq(write_map(ns, true, "0 1000 1", in), 0);
	cr_assert_eq(user_ns_write_setgroups(ns, "allow", 5), -LINUX_EPERM);
	cr_assert(!user_ns_setgroups_allowed(ns));
	cr_assert(cred_has_cap(c, ns, LINUX_CAP_SYS_ADMIN), "the owner rules over it from outside");
	cr_assert(!cred_has_cap(in, &init_user_ns, LINUX_CAP_SYS_ADMIN));
	cred_put(in);
	user_ns_put(ns);
	cred_put(c);
}

Test(cred, setuid_and_capabilities)
{
	struct cred *c = cred_new_root();

	cr_assert_eq(cred_set_resuid(c, ID_INVALID, 1000, ID_INVALID), 0);
	cr_assert_eq(c->cap_effective, 0u);
	cr_assert_eq(c->cap_permitted, CAP_FULL);
	cr_assert_eq(cred_set_resuid(c, ID_INVALID, 0, ID_INVALID), 0);
	cr_assert_eq(c->cap_effective, CAP_FULL);
	cred_set_fsuid(c, 1000);
	cr_assert(!(c->cap_effective & CAP_BIT(LINUX_CAP_DAC_OVERRIDE)));
	cr_assert(c->cap_effective & CAP_BIT(LINUX_CAP_SYS_ADMIN));
	cr_assert_eq(cred_set_caps(c, CAP_BIT(0), CAP_BIT(0) | CAP_BIT(1), CAP_BIT(1)), 0);
	cr_assert_eq(cred_set_caps(c, CAP_BIT(2), CAP_BIT(2), 0), -LINUX_EPERM, "what is not permitted cannot be had");
	cr_assert_eq(cred_set_uid(c, 0), 0);
	cred_put(c);
}
