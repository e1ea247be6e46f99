/* SPDX-License-Identifier: Apache-2.0
 * cni/netns.c - a thread in another network namespace, for as long as it takes to open sockets there
 */
#include <fcntl.h>
#include <sched.h>

#include "cni/netcfg.h"

int netns_enter(int netns_fd, struct err *e)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0)
		return err_sys(e, "open own network namespace");
	if (setns(netns_fd, CLONE_NEWNET) == 0)
		return own;
	err_sys(e, "enter network namespace");
	close(own);
	return -1;
}

void netns_leave(int own)
{
	BUG_ON(setns(own, CLONE_NEWNET) < 0);
	close(own);
}
