/* SPDX-License-Identifier: Apache-2.0
 * test/unit/shim/bootstrap_test.c - stdin of `start` old and new, the reply, the address rule, arguments
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shim/args.h"
#include "shim/bootstrap.h"
#include "shim/sha256.h"

Test(shim_sha256, known_answers)
{
	char hex[65], *a = malloc(1000);

	sha256_hex("", 0, hex);
	cr_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_hex("abc", 3, hex);
	cr_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	/* FIPS 180-4's two-block message: the length does not fit in the first block */
	sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
	cr_assert_str_eq(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(a, 'a', 1000);
	sha256_hex(a, 1000, hex);
	cr_assert_str_eq(hex, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
	free(a);
}

static void check_join(const char *a, const char *b, const char *c, const char *want)
{
	const char *parts[] = { a, b, c };
	char *got = path_join_clean(parts, 3);

	cr_assert_str_eq(got, want);
	free(got);
}

/* What Go's filepath.Join answers. */
Test(shim_address, join_as_go)
{
	check_join("/run/containerd/containerd.sock", "k8s.io", "abc", "/run/containerd/containerd.sock/k8s.io/abc");
	check_join("/run//c.sock/", "ns", "x/", "/run/c.sock/ns/x");
	check_join("", "default", "x", "default/x");
	check_join("/a", "../b", "c", "/b/c");
	check_join("/a", "../../..", "c", "/c");
	check_join("a", "../..", "c", "../c");
	check_join("/", "", "", "/");
	check_join("./a", ".", "b", "a/b");
}

Test(shim_address, rule)
{
	struct err e = ERR_INIT;
	char *a = shim_address("/run/containerd/s", "/run/containerd/containerd.sock", "k8s.io", "abc", &e);

	/* sha256sum of "/run/containerd/containerd.sock/k8s.io/abc" */
	cr_assert_str_eq(a, "unix:///run/containerd/s/"
			    "a99a1752d3a0fadfb1f869026f16760475df03a572e20f4ccea9e6c1e5470b72");
	free(a);
	cr_assert_null(shim_address("/a/directory/name/that/is/much/too/long/for/a/socket", "x", "y", "z", &e));
}

static size_t pack_params(uint8_t *out, const char *id, const char *ns)
{
	Bootstrap__BootstrapParams p = BOOTSTRAP__BOOTSTRAP_PARAMS__INIT;
	Bootstrap__Extension ext = BOOTSTRAP__EXTENSION__INIT, *exts[] = { &ext };
	Wkt__Any any = WKT__ANY__INIT;

	any.type_url = "runtimeoptions.v1.Options";
	ext.value = &any;
	p.instance_id = (char *)id;
	p.namespace_ = (char *)ns;
	p.containerd_version = "2.3.0";
	p.n_extensions = 1;
	p.extensions = exts;
	return bootstrap__bootstrap_params__pack(&p, out);
}

Test(shim_bootstrap, new_is_told_from_old)
{
	uint8_t raw[512];
	struct bootstrap b;
	Wkt__Any any = WKT__ANY__INIT;
	size_t n = pack_params(raw, "id1", "ns1");

	bootstrap_parse(&b, raw, n, "id1", "ns1");
	cr_assert_not_null(b.params);
	cr_assert_str_eq(b.options->type_url, "runtimeoptions.v1.Options");
	bootstrap_fini(&b);
	/* the same bytes for another id are somebody's Any */
	bootstrap_parse(&b, raw, n, "id2", "ns1");
	cr_assert_null(b.params);
	bootstrap_fini(&b);
	any.type_url = "io.containerd.runsc.v1.options";
	any.value.data = (uint8_t *)"ns1";
	any.value.len = 3;
	n = wkt__any__pack(&any, raw);
	bootstrap_parse(&b, raw, n, "id1", "ns1");
	cr_assert_null(b.params);
	cr_assert_str_eq(b.options->type_url, "io.containerd.runsc.v1.options");
	bootstrap_fini(&b);
	bootstrap_parse(&b, "", 0, "id1", "ns1");
	cr_assert(!b.params && !b.options);
	bootstrap_parse(&b, "\xff\xff\xff", 3, "id1", "ns1");
	cr_assert(!b.params && !b.options);
	bootstrap_fini(&b);
}

Test(shim_bootstrap, replies)
{
	struct shim_args a = { .speaks_json = true };
	struct bootstrap b = { 0 };
	struct err e = ERR_INIT;
	struct buf out = { 0 };
	Bootstrap__BootstrapResult *r;
	uint8_t raw[512];

	cr_assert_eq(bootstrap_reply(&b, &a, "unix:///x", &out, &e), 0);
	cr_assert_str_eq(out.data, "{\"version\":2,\"address\":\"unix:///x\",\"protocol\":\"ttrpc\"}");
	buf_fini(&out);
	a.speaks_json = false; /* containerd 1.6 */
	cr_assert_eq(bootstrap_reply(&b, &a, "unix:///x", &out, &e), 0);
	cr_assert_str_eq(out.data, "unix:///x");
	buf_fini(&out);
	bootstrap_parse(&b, raw, pack_params(raw, "i", "n"), "i", "n");
	cr_assert_eq(bootstrap_reply(&b, &a, "unix:///x", &out, &e), 0);
	r = bootstrap__bootstrap_result__unpack(NULL, out.len, (uint8_t *)out.data);
	cr_assert_not_null(r);
	cr_assert_eq(r->version, 3);
	cr_assert_str_eq(r->address, "unix:///x");
	cr_assert_str_eq(r->protocol, "ttrpc");
	bootstrap__bootstrap_result__free_unpacked(r, NULL);
	buf_fini(&out);
	bootstrap_fini(&b);
}

static void group_is(const char *json, const char *want)
{
	char dir[] = "/tmp/shim-XXXXXX", *got;
	struct err e = ERR_INIT;
	int dfd, fd;

	cr_assert_not_null(mkdtemp(dir));
	dfd = open(dir, O_PATH | O_DIRECTORY);
	if (json) {
		fd = openat(dfd, "config.json", O_WRONLY | O_CREAT, 0600);
		cr_assert_eq(write(fd, json, strlen(json)), (ssize_t)strlen(json));
		close(fd);
	}
	got = shim_group_id(dfd, "self", &e);
	if (want)
		cr_assert_str_eq(got, want);
	else
		cr_assert_null(got);
	free(got);
	unlinkat(dfd, "config.json", 0);
	close(dfd);
	rmdir(dir);
}

Test(shim_bootstrap, groups)
{
	group_is(NULL, "self");
	group_is("{}", "self");
	group_is("{\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"sb\"}}", "sb");
	group_is("{\"annotations\":{\"io.kubernetes.cri-o.SandboxID\":\"crio\"}}", "crio");
	group_is("{\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"sb\",\"io.containerd.runc.v2.group\":\"g\"}}", "g");
	group_is("{\"annotations\":[]}", "self");
	group_is("{", NULL);
}

Test(shim_args, go_style)
{
	char *argv[] = { "shim", "-namespace", "k8s.io", "--address=/run/c.sock", "-id=abc", "-debug",
			 "-publish-binary", "/usr/bin/containerd", "start", NULL };
	char *bad[] = { "shim", "-nope", NULL }, *half[] = { "shim", "-id", NULL };
	char *neg[] = { "shim", "-debug=false", "-id", "x", NULL };
	struct shim_args a;
	struct err e = ERR_INIT;

	setenv("TTRPC_ADDRESS", "unix:///run/c.sock.ttrpc", 1);
	cr_assert_eq(shim_args_parse(&a, 9, argv, &e), 0, "%s", e.msg);
	cr_assert_str_eq(a.ns, "k8s.io");
	cr_assert_str_eq(a.address, "/run/c.sock");
	cr_assert_str_eq(a.id, "abc");
	cr_assert_str_eq(a.action, "start");
	cr_assert_str_eq(a.ttrpc_address, "/run/c.sock.ttrpc");
	cr_assert(a.debug);
	cr_assert_eq(shim_args_parse(&a, 2, bad, &e), -1);
	cr_assert_eq(shim_args_parse(&a, 2, half, &e), -1);
	cr_assert_eq(shim_args_parse(&a, 4, neg, &e), 0);
	cr_assert_not(a.debug);
	cr_assert_str_eq(a.action, "");
}
