/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/hostcall_list.c - the host calls of the Sentry and of stub processes as text, from the tables that make the filters
 *
 * Model:   `runsc boot --list-host-calls`; `make hostcalls` puts it into the README.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/boot/boot_args.h"
#include "sentry/run/hostcalls.h"

extern const struct host_call_row __start_sentry_hostcalls[], __stop_sentry_hostcalls[];

static const struct stub_row {
	const char *call, *verdict, *why;
} stub_rows[] = {
#define FILTER_ROW(site, call, verdict, reason, ...) { #call, #verdict, reason },
#include "sentry/platform/stub/filter_table.h"
#undef FILTER_ROW
};

static const char *cond_text(const struct host_call_row *r, char *buf, size_t cap)
{
	if (r->cond == HOST_CALL_ANY)
		return r->hostnet ? "--network=host" : "";
	if (r->cond == HOST_CALL_COND_EQ)
		snprintf(buf, cap, "%sargument %u = %#llx", r->hostnet ? "--network=host, " : "", r->arg, (unsigned long long)r->value);
	else
		snprintf(buf, cap, "argument %u & %#llx = %#llx", r->arg, (unsigned long long)r->mask, (unsigned long long)r->value);
	return buf;
}

/* Is @r the first row of its call? */
static bool first_of_call(const struct host_call_row *r)
{
	for (const struct host_call_row *o = __start_sentry_hostcalls; o < r; o++)
		if (o->nr == r->nr)
			return false;
	return true;
}

unsigned hostcalls_count(bool with_hostnet)
{
	unsigned n = 0;

	for (const struct host_call_row *r = __start_sentry_hostcalls; r < __stop_sentry_hostcalls; r++)
		n += first_of_call(r) && (with_hostnet || !r->hostnet);
	return n;
}

unsigned hostcalls_print(void)
{
	unsigned n = hostcalls_count(false);
	char buf[80];

	printf("| Sentry | only with | why |\n|---|---|---|\n");
	for (const struct host_call_row *r = __start_sentry_hostcalls; r < __stop_sentry_hostcalls; r++)
		printf("| %s | %s | %s |\n", r->name, cond_text(r, buf, sizeof(buf)), r->why);
	printf("\n%u calls, %u more with --network=host.\n\n| Stub | verdict | why |\n|---|---|---|\n", n, hostcalls_count(true) - n);
	for (size_t i = 0; i < ARRAY_SIZE(stub_rows); i++)
		printf("| %s | %s | %s |\n", stub_rows[i].call, strcmp(stub_rows[i].verdict, "ALLOW") ? "asks the Sentry" : "allowed",
		       stub_rows[i].why);
	printf("\nEach row names one `syscall` instruction of the stub's own text and the exact shape of the arguments; anything else traps.\n");
	return n;
}
