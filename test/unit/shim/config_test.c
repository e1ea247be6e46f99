/* SPDX-License-Identifier: Apache-2.0
 * test/unit/shim/config_test.c - TOML, runtime options, stdio URIs, the kernel's text files
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap.pb-c.h"
#include "shim/config.h"
#include "shim/kvfile.h"
#include "shim/stdio.h"
#include "shim/toml.h"

struct seen {
	char text[512];
};

static int collect(void *arg, const struct toml_item *it, struct err *e)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%s|%s|%d|%s\n", it->table, it->key, it->kind, it->text);
	return 0;
}

Test(shim_toml, values)
{
	static const char text[] = "# comment\n a = \"x # y\" # z\r\n"
				   "b=true\n\nn = -12\n[runsc_config]\n"
				   "\"quoted key\" = 'lit\\n'\n  net-raw = \"t\\u00e9\\\"\"\n";
	struct seen s = { 0 };
	struct err e = ERR_INIT;

	cr_assert_eq(toml_parse(text, strlen(text), collect, &s, &e), 0, "%s", e.msg);
	cr_assert_str_eq(s.text, "|a|0|x # y\n|b|1|true\n|n|2|-12\nrunsc_config|quoted key|0|lit\\n\n"
				 "runsc_config|net-raw|0|t\xc3\xa9\"\n");
}

Test(shim_toml, refusals)
{
	static const char *const bad[] = { "a", "a =", "a = [1]", "a = \"x", "[t", "a = 1 2", "= 1", "a = \"\\q\"",
					   "a = \"\"\"x\"\"\"", "a = 1.5", "a = \"\\ud800\"", "a = maybe" };
	struct seen s = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		cr_assert_eq(toml_parse(bad[i], strlen(bad[i]), collect, &s, &e), -1, "%s", bad[i]);
		cr_assert(!strncmp(e.msg, "line 1: ", 8), "%s", e.msg);
	}
}

static Wkt__Any runtime_options(Bootstrap__RuntimeOptions *o, uint8_t *raw)
{
	Wkt__Any any = WKT__ANY__INIT;

	any.type_url = "runtimeoptions.v1.Options";
	any.value.data = raw;
	any.value.len = bootstrap__runtime_options__pack(o, raw);
	return any;
}

Test(shim_config, inline_body)
{
	Bootstrap__RuntimeOptions o = BOOTSTRAP__RUNTIME_OPTIONS__INIT;
	static char body[] = "root = \"/r\"\ngrouping = false\nio_uid = 7\n[runsc_config]\ndebug = \"true\"\n";
	struct shim_config c;
	struct err e = ERR_INIT;
	uint8_t raw[512];
	Wkt__Any any;

	o.config_body.data = (uint8_t *)body;
	o.config_body.len = strlen(body);
	any = runtime_options(&o, raw);
	cr_assert_eq(shim_config_load(&c, &any, true, &e), 0, "%s", e.msg);
	cr_assert_str_eq(c.root, "/r");
	cr_assert_not(c.grouping);
	cr_assert_eq(c.io_uid, 7);
	cr_assert_eq(c.nr_flags, 1);
	cr_assert_str_eq(c.flags[0].key, "debug");
	shim_config_fini(&c);
}

Test(shim_config, named_file_must_be_there)
{
	Bootstrap__RuntimeOptions o = BOOTSTRAP__RUNTIME_OPTIONS__INIT;
	struct shim_config c;
	struct err e = ERR_INIT;
	uint8_t raw[512];
	Wkt__Any any;

	o.config_path = "/nonexistent/config.toml";
	any = runtime_options(&o, raw);
	cr_assert_eq(shim_config_load(&c, &any, true, &e), -1);
	cr_assert_not_null(strstr(e.msg, "/nonexistent/config.toml"));
	shim_config_fini(&c);
}

Test(shim_config, runc_options)
{
	Bootstrap__RuncOptions o = BOOTSTRAP__RUNC_OPTIONS__INIT;
	struct shim_config c;
	struct err e = ERR_INIT;
	uint8_t raw[512];
	Wkt__Any any = WKT__ANY__INIT;

	o.binary_name = "/opt/runsc";
	o.systemd_cgroup = true;
	any.type_url = "type.googleapis.com/containerd.runc.v1.Options";
	any.value.data = raw;
	any.value.len = bootstrap__runc_options__pack(&o, raw);
	cr_assert_eq(shim_config_load(&c, &any, true, &e), 0, "%s", e.msg);
	cr_assert_str_eq(c.binary_name, "/opt/runsc");
	cr_assert(c.systemd_cgroup);
	cr_assert(c.grouping);
	shim_config_fini(&c);
}

Test(shim_uri, kinds)
{
	struct stdio_uri u;
	struct err e = ERR_INIT;

	cr_assert_eq(stdio_uri_parse("", &u, &e), 0);
	cr_assert_eq(u.scheme, STDIO_NONE);
	cr_assert_eq(stdio_uri_parse("/run/fifo", &u, &e), 0);
	cr_assert_eq(u.scheme, STDIO_FIFO);
	cr_assert_str_eq(u.path, "/run/fifo");
	stdio_uri_fini(&u);
	cr_assert_eq(stdio_uri_parse("binary:///bin/log%20er?a=1&b=x+y%26z&c", &u, &e), 0);
	cr_assert_eq(u.scheme, STDIO_BINARY);
	cr_assert_str_eq(u.path, "/bin/log er");
	cr_assert_eq(u.nr_query, 3);
	cr_assert_str_eq(u.query[1], "1");
	cr_assert_str_eq(u.query[3], "x y&z");
	cr_assert_str_eq(u.query[4], "c");
	cr_assert_str_eq(u.query[5], "");
	stdio_uri_fini(&u);
	cr_assert_eq(stdio_uri_parse("binary-v2:///bin/x", &u, &e), 0);
	cr_assert_eq(u.scheme, STDIO_BINARY_V2);
	stdio_uri_fini(&u);
}

Test(shim_uri, refusals)
{
	static const char *const bad[] = { "relative", "http://x/y", "file://rel", "file:///x%0", "file:///x%zz",
					   "file:///x%00", "binary:///b?a=%4" };
	struct stdio_uri u;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		cr_assert_eq(stdio_uri_parse(bad[i], &u, &e), -1, "%s", bad[i]);
	}
}

Test(shim_kvfile, lines)
{
	char dir[] = "/tmp/shim-XXXXXX", path[64];
	static const char text[] = "alpha 1\nbeta 2\nalphabet 9\nbeta_two 5\nbroken\nbeta\t3\n";
	struct {
		uint64_t a, b;
	} out = { 0 };
	static const struct kv_row rows[] = { { "alpha", 0 }, { "beta", 8 }, { "beta_two", 8 } };
	int fd;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	kvfile_read(dir, "f", rows, ARRAY_SIZE(rows), &out);
	cr_assert_eq(out.a, 1);
	cr_assert_eq(out.b, 10);
	cr_assert_eq(numfile_read(dir, "nothing", 42), 42);
	cr_assert_eq(numfile_read(dir, "f", 42), 42);
	fd = open(path, O_WRONLY | O_TRUNC);
	cr_assert_eq(write(fd, "max\n", 4), 4);
	close(fd);
	cr_assert_eq(numfile_read(dir, "f", 0), UINT64_MAX);
	unlink(path);
	rmdir(dir);
}

/* `-info` is asked from any directory, and whatever config.toml lies there is somebody else's. */
Test(shim_config, a_file_of_the_bundle_only_there)
{
	struct shim_config c;
	struct err e = ERR_INIT;
	char dir[] = "/tmp/config.XXXXXX";
	int fd;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
	fd = open("config.toml", O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(write(fd, "root = [1]\n", 11), 11);
	close(fd);
	cr_assert_eq(shim_config_load(&c, NULL, false, &e), 0, "%s", e.msg);
	shim_config_fini(&c);
	cr_assert_lt(shim_config_load(&c, NULL, true, &e), 0);
	shim_config_fini(&c);
	unlink("config.toml");
	cr_assert_eq(rmdir(dir), 0);
}
