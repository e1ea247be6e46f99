/* SPDX-License-Identifier: Apache-2.0
 * sentry/ipc/ipc_sysctl.c - limits of System V IPC, per namespace, as /proc/sys/kernel has them
 *
 * Locks:   none: single words.
 * Source:  proc_sys_kernel(5), sysvipc(7), "msg_next_id" in the kernel's documentation of sysctls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/ipc/ipc.h"

static const struct {
	const char *name;
	uint8_t first, count;	/* a row of consecutive limits */
} files[] = {
	{ "msgmax", IPC_LIM_MSGMAX, 1 },	  { "msgmnb", IPC_LIM_MSGMNB, 1 },	  { "msgmni", IPC_LIM_MSGMNI, 1 },
	{ "shmmax", IPC_LIM_SHMMAX, 1 },	  { "shmall", IPC_LIM_SHMALL, 1 },	  { "shmmni", IPC_LIM_SHMMNI, 1 },
	{ "shm_rmid_forced", IPC_LIM_RMID_FORCED, 1 }, { "sem", IPC_LIM_SEMMSL, 4 }, { "msg_next_id", IPC_LIM_MSG_NEXT, 1 },
	{ "sem_next_id", IPC_LIM_SEM_NEXT, 1 },   { "shm_next_id", IPC_LIM_SHM_NEXT, 1 },
};

#define BLANKS " \t\n"
#define NONE ((uint64_t)-1) /* *_next_id: shown as -1 */

static const struct {
	uint64_t dflt, max;
} limits[IPC_LIMITS] = {
	[IPC_LIM_MSGMAX] = { 8192, INT32_MAX },
	[IPC_LIM_MSGMNB] = { 16384, INT32_MAX },
	[IPC_LIM_MSGMNI] = { MSG_MNI, IPC_MNI },
	[IPC_LIM_SHMMAX] = { SHM_MAX, UINT64_MAX },
	[IPC_LIM_SHMALL] = { SHM_MAX, UINT64_MAX },
	[IPC_LIM_SHMMNI] = { SHM_MNI, IPC_MNI },
	[IPC_LIM_RMID_FORCED] = { 0, 1 },
	[IPC_LIM_SEMMSL] = { 32000, 32000 },
	[IPC_LIM_SEMMNS] = { 1024000000, INT32_MAX },
	[IPC_LIM_SEMOPM] = { 500, 500 },
	[IPC_LIM_SEMMNI] = { SEM_MNI, IPC_MNI },
	[IPC_LIM_MSG_NEXT] = { NONE, INT32_MAX },
	[IPC_LIM_SEM_NEXT] = { NONE, INT32_MAX },
	[IPC_LIM_SHM_NEXT] = { NONE, INT32_MAX },
};

void ipc_limits_init(struct ipc_ns *ns)
{
	for (int i = 0; i < IPC_LIMITS; i++)
		atomic_store(&ns->limit[i], limits[i].dflt);
}

static long show(struct ipc_ns *ns, unsigned first, unsigned count, char *text, size_t cap)
{
	size_t n = 0;

	for (unsigned i = first; i < first + count && n < cap; i++) {
		uint64_t v = ipc_limit(ns, (enum ipc_limit)i);

		if (limits[i].dflt == NONE && v == NONE)
			n += (size_t)snprintf(text + n, cap - n, "-1");
		else
			n += (size_t)snprintf(text + n, cap - n, "%s%llu", i > first ? "\t" : "", (unsigned long long)v);
	}
	return (long)n;
}

/* Decimal; what does not fit is the largest number. */
static uint64_t decimal(char **text)
{
	uint64_t v = 0;

	for (; **text >= '0' && **text <= '9'; ++*text)
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(**text - '0'), &v))
			v = UINT64_MAX;
	return v;
}

static bool parse(unsigned i, char **text, uint64_t *out)
{
	*text += strspn(*text, BLANKS);
	if (limits[i].dflt == NONE && !strncmp(*text, "-1", 2)) {
		*out = NONE;
		*text += 2;
		return true;
	}
	if (**text < '0' || **text > '9')
		return false;
	*out = decimal(text);
	return *out <= limits[i].max;
}

static long store(struct ipc_ns *ns, unsigned first, unsigned count, char *text)
{
	/* one or more, each set as it is read; words beyond @count are not looked at: so does Linux (test/guest/ipc_limits.c) */
	for (unsigned i = 0; i < count; i++) {
		uint64_t v;

		if (i && !text[strspn(text, BLANKS)])
			break;
		if (!parse(first + i, &text, &v) || (*text && !strchr(BLANKS, *text)))
			return -LINUX_EINVAL;
		atomic_store(&ns->limit[first + i], v);
		if (first == IPC_LIM_RMID_FORCED && v)
			shm_drop_orphans(ns);
	}
	return 0;
}

long ipc_sysctl(struct ipc_ns *ns, const char *name, bool write, char *text, size_t cap)
{
	for (size_t k = 0; k < ARRAY_SIZE(files); k++)
		if (!strcmp(files[k].name, name))
			return write ? store(ns, files[k].first, files[k].count, text) :
				       show(ns, files[k].first, files[k].count, text, cap);
	return -LINUX_ENOENT;
}
