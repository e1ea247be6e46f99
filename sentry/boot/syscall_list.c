/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/syscall_list.c - the table of system calls as text, for `runsc syscalls`
 */
#include <stdio.h>

#include "sentry/boot/boot_args.h"
#include "sentry/syscalls/syscalls.h"

void syscalls_print(bool csv)
{
	static const char *const words[] = { [SC_FULL] = "full", [SC_PARTIAL] = "partial", [SC_NOSYS] = "none", [SC_DENIED] = "denied" };
	unsigned n = 0;

	printf(csv ? "number,name,support,note\n" : "  nr  name                      support  note\n");
	for (unsigned nr = 0; nr < SYSCALL_MAX; nr++) {
		const struct syscall_row *r = &syscall_table[nr];

		if (!r->name)
			continue;
		n++;
		printf(csv ? "%u,%s,%s,\"%s\"\n" : "%4u  %-25s %-8s %s\n", nr, r->name, words[r->support], r->missing ? r->missing : "");
	}
	if (!csv)
		printf("%u calls; every other number answers ENOSYS.\n", n);
}
