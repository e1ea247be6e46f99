/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/filter.c - SO_ATTACH_FILTER: the program of a guest
 *
 * Source:  socket(7), linux/filter.h. What the instructions may be is checked where they run (net/sock/filter.c).
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/socket/socket.h"

struct linux_sock_fprog {
	uint16_t len, pad[3];
	uint64_t filter;
};
#define BPF_MAXINSNS   4096
#define BPF_INSN_BYTES 8

long socket_filter_copyin(struct task *t, const void *val, size_t len, uint8_t **out_prog, unsigned *out_nr)
{
	struct linux_sock_fprog fp;
	uint8_t *prog;
	long ret;

	if (len != sizeof(fp))
		return -LINUX_EINVAL;
	memcpy(&fp, val, sizeof(fp));
	if (!fp.filter || !fp.len || fp.len > BPF_MAXINSNS)
		return -LINUX_EINVAL;
	prog = malloc((size_t)fp.len * BPF_INSN_BYTES);
	if (!prog)
		return -LINUX_ENOMEM;
	ret = copyin(t->u, prog, GPTR(fp.filter), (size_t)fp.len * BPF_INSN_BYTES);
	if (ret) {
		free(prog);
		return ret;
	}
	*out_prog = prog;
	*out_nr = fp.len;
	return 0;
}
