/* SPDX-License-Identifier: Apache-2.0
 * test/unit/runsc/spec_test.c - decoding and checking config.json, option and name tables
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "runsc/lib/lifecycle.h"
#include "runsc/lib/spec.h"

static const char good[] =
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"ls\",\"-l\"],\"cwd\":\"/\",\"env\":[\"A=b\"],\"user\":{\"uid\":5,\"gid\":6,"
	"\"additionalGids\":[7,8]},\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":18446744073709551615}],"
	"\"oomScoreAdj\":-3},\"root\":{\"path\":\"rootfs\"},\"mounts\":[{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/x\","
	"\"options\":[\"rbind\",\"ro\"]}],\"annotations\":{\"k\":\"v\"},\"hooks\":{\"poststop\":[{\"path\":\"/h\",\"timeout\":3}]},"
	"\"linux\":{\"namespaces\":[{\"type\":\"network\"}],\"resources\":{\"memory\":{\"limit\":-1},\"unified\":{\"a.b\":\"1\"}}}}";

static int parse(const char *text, struct err *e)
{
	struct oci_spec s;
	int ret = spec_parse(&s, text, strlen(text), e);

	if (ret == 0) {
		ret = spec_check(&s, e);
		spec_free(&s);
	}
	return ret;
}

Test(runsc, spec_values)
{
	struct oci_spec s;
	struct err e = ERR_INIT;
	const struct oci_rlimit *r;
	const struct oci_mount *m;

	cr_assert_eq(spec_parse(&s, good, strlen(good), &e), 0, "%s", e.msg);
	cr_assert_eq(spec_check(&s, &e), 0, "%s", e.msg);
	cr_assert_eq(s.process.args.n, 2);
	cr_assert_str_eq(s.process.args.v[1], "-l");
	cr_assert_null(s.process.args.v[2]);
	cr_assert_eq(s.process.user.uid, 5);
	cr_assert_eq(s.process.user.additional_gids.v[1], 8);
	r = s.process.rlimits.v;
	cr_assert_eq(r[0].hard, UINT64_MAX);
	cr_assert(s.process.oom_score_adj.set && s.process.oom_score_adj.v == -3);
	m = s.mounts.v;
	cr_assert_str_eq(m[0].destination, "/data");
	cr_assert_str_eq(spec_annotation(&s, "k"), "v");
	cr_assert_null(spec_annotation(&s, "nope"));
	cr_assert(s.linux_.resources.memory.limit.set && s.linux_.resources.memory.limit.v == -1);
	cr_assert_not(s.linux_.resources.memory.swap.set);
	cr_assert_eq(s.linux_.resources.memory.disable_oom_killer, -1);
	cr_assert_eq(s.hooks.of[HOOK_POSTSTOP].n, 1);
	cr_assert_not_null(spec_namespace(&s, "network"));
	cr_assert_null(spec_namespace(&s, "pid"));
	spec_free(&s);
}

/* Every proper beginning of a good document is an error with one line, never a crash, never success. */
Test(runsc, spec_truncated_everywhere)
{
	for (size_t n = 0; n < strlen(good); n++) {
		struct oci_spec s;
		struct err e = ERR_INIT;

		cr_assert_lt(spec_parse(&s, good, n, &e), 0, "%zu bytes", n);
		cr_assert_eq(e.code, EINVAL);
		cr_assert(e.msg[0] && !strchr(e.msg, '\n'), "%s", e.msg);
	}
}

static const struct {
	const char *text, *says;
} bad[] = {
	{ "[]", "must be a JSON object" },
	{ "{}", "ociVersion is missing" },
	{ "{\"ociVersion\":null}", "ociVersion is missing" },
	{ "{\"ociVersion\":[]}", "ociVersion must be a string, not an array" },
	{ "{\"ociVersion\":\"1.0.0\",\"process\":[]}", "process must be an object, not an array" },
	{ "{\"ociVersion\":\"1.0.0\",\"process\":{\"user\":{\"uid\":99999999999}}}", "process.user.uid is out of range" },
	{ "{\"ociVersion\":\"1.0.0\",\"process\":{\"rlimits\":[{\"type\":\"X\",\"soft\":-1,\"hard\":1}]}}",
	  "process.rlimits[0].soft is out of range" },
	{ "{\"ociVersion\":\"1.0.0\",\"process\":{\"terminal\":1}}", "process.terminal must be a boolean, not a number" },
	{ "{\"ociVersion\":\"1.0.0\",\"annotations\":{\"a\":1}}", "annotations[\"a\"] must be a string" },
	{ "{\"ociVersion\":\"1.0.0\",\"mounts\":{}}", "mounts must be an array" },
	{ "{\"ociVersion\":\"1.0.0\",\"mounts\":[3]}", "mounts[0] must be an object" },
	{ "{\"ociVersion\":\"1.0.0\",\"linux\":{\"resources\":{\"pids\":{\"limit\":1e3}}}}",
	  "linux.resources.pids.limit must be an integer, not a fraction" },
	{ "{\"ociVersion\":\"1.0.0\"}", "process is missing" },
};

Test(runsc, spec_errors_name_the_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		cr_assert_lt(parse(bad[i].text, &e), 0, "%s", bad[i].text);
		cr_assert(strstr(e.msg, bad[i].says), "%s: %s", bad[i].text, e.msg);
	}
}

/* A name from the file may hold anything; what is said of it stays one line of the log. */
Test(runsc, spec_errors_are_one_line)
{
	struct err e = ERR_INIT;

	cr_assert_lt(parse("{\"ociVersion\":\"1.0.2\",\"annotations\":{\"a\\nb\\u001b[2J\":[1]}}", &e), 0);
	cr_assert_not_null(strstr(e.msg, "annotations[\"a?b?[2J\"]"), "%s", e.msg);
}

Test(runsc, role)
{
	static const char text[] = "{\"ociVersion\":\"1.0.0\",\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"container\","
				   "\"io.kubernetes.cri-o.SandboxID\":\"pod\"}}";
	struct oci_spec s;
	struct err e = ERR_INIT;
	enum spec_role role;
	const char *id;

	cr_assert_eq(spec_parse(&s, text, strlen(text), &e), 0);
	cr_assert_eq(spec_role(&s, &role, &id, &e), 0);
	cr_assert(role == ROLE_CONTAINER && !strcmp(id, "pod"));
	spec_free(&s);
}

Test(runsc, mount_options)
{
	const char *opts[] = { "rbind", "ro", "rw", "nosuid", "size=5m", "rslave", "tmpcopyup" };
	struct oci_mount m = { .destination = "/x", .type = "none", .options = { opts, ARRAY_SIZE(opts) } };
	struct mount_opts o;
	struct err e = ERR_INIT;

	cr_assert_eq(mount_opts_parse(&m, &o, &e), 0);
	cr_assert(o.bind && o.copy_up);
	cr_assert_eq(o.flags, (uint64_t)(MS_REC | MS_NOSUID), "the last of ro and rw wins");
	cr_assert_eq(o.propagation, (uint64_t)(MS_SLAVE | MS_REC));
	cr_assert(o.nr_data == 1 && !strcmp(o.data[0], "size=5m"));
	mount_opts_fini(&o);
	opts[0] = "rshared";
	m.options.n = 1;
	cr_assert_lt(mount_opts_parse(&m, &o, &e), 0);
}

Test(runsc, path_clean)
{
	static const struct {
		const char *in, *out;
	} t[] = { { "/", "/" },	  { "", "/" },		{ "a", "/a" },	       { "/a//b/", "/a/b" },
		  { "/a/./b", "/a/b" }, { "/a/../b", "/b" }, { "/../../x", "/x" }, { "/a/b/../..", "/" },
		  { "/..", "/" },	{ "/a/...", "/a/..." } };

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char *p = path_clean(t[i].in);

		cr_assert_str_eq(p, t[i].out, "%s", t[i].in);
		free(p);
	}
}

Test(runsc, names)
{
	cr_assert_eq(lc_signal_number("9"), 9);
	cr_assert_eq(lc_signal_number("KILL"), 9);
	cr_assert_eq(lc_signal_number("SIGKILL"), 9);
	cr_assert_eq(lc_signal_number("sigterm"), 15);
	cr_assert_eq(lc_signal_number("0"), 0);
	cr_assert_eq(lc_signal_number("64"), 64);
	cr_assert_eq(lc_signal_number("65"), -1);
	cr_assert_eq(lc_signal_number("-1"), -1);
	cr_assert_eq(lc_signal_number(""), -1);
	cr_assert_eq(lc_signal_number("SIG"), -1);
	cr_assert_eq(lc_signal_number("99999999999999999999"), -1);
	cr_assert_eq(lc_signal_number("RTMIN"), 34);
	cr_assert_eq(lc_signal_number("SIGRTMIN+3"), 37);
	cr_assert_eq(lc_signal_number("RTMAX-2"), 62);
	cr_assert_eq(lc_signal_number("RTMIN+99"), -1);
	cr_assert_eq(cap_number("CAP_CHOWN"), 0);
	cr_assert_eq(cap_number("cap_sys_admin"), 21);
	cr_assert_eq(cap_number("CHECKPOINT_RESTORE"), 40);
	cr_assert_eq(cap_number("CAP_"), -1);
	cr_assert_null(cap_name(41));
	cr_assert_eq(rlimit_number("RLIMIT_NOFILE"), 7);
	cr_assert_eq(rlimit_number("NOFILE"), -1);
}

Test(runsc, flags)
{
	struct lc_flags f;
	struct err e = ERR_INIT;

	cr_assert_eq(lc_flags_init(&f, &e), 0);
	cr_assert_eq(f.overlay_root, LC_OVERLAY_SELF);
	cr_assert_eq(lc_flag_set(&f, "overlay2", "all:memory,size=3g", &e), 0, "%s", e.msg);
	cr_assert(f.overlay_root == LC_OVERLAY_MEMORY && f.overlay_mounts == LC_OVERLAY_MEMORY);
	cr_assert_eq(f.overlay_size_bytes, 3ull << 30);
	cr_assert_eq(lc_flag_set(&f, "overlay2", "none", &e), 0);
	cr_assert_eq(f.overlay_root, LC_OVERLAY_NONE);
	cr_assert_lt(lc_flag_set(&f, "overlay2", "root:dir=/x", &e), 0);
	cr_assert_lt(lc_flag_set(&f, "overlay2", "root:memory,size=9999999999999g", &e), 0);
	cr_assert_eq(lc_flag_set(&f, "debug", NULL, &e), 0);
	cr_assert(f.debug);
	cr_assert_eq(lc_flag_set(&f, "debug", "0", &e), 0);
	cr_assert_not(f.debug);
	cr_assert_lt(lc_flag_set(&f, "debug", "perhaps", &e), 0);
	cr_assert_lt(lc_flag_set(&f, "no-such", "1", &e), 0);
	cr_assert_lt(lc_flag_set(&f, "root", NULL, &e), 0);
	cr_assert_lt(lc_flag_set(&f, "file-access", "excl", &e), 0, "a beginning of a choice is none");
	cr_assert_eq(lc_flag_is_bool("systemd-cgroup"), 1);
	cr_assert_eq(lc_flag_is_bool("root"), 0);
	cr_assert_eq(lc_flag_is_bool("x"), -1);
	cr_assert_lt(lc_flag_override(&f, "network", "none", &e), 0);
	cr_assert_eq(lc_flag_override(&f, "host-uds", "open", &e), 0);
	cr_assert_eq(lc_flag_set(&f, "allow-flag-override", "true", &e), 0);
	cr_assert_eq(lc_flag_override(&f, "network", "none", &e), 0);
	lc_flags_fini(&f);
}
