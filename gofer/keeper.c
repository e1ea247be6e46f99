/* SPDX-License-Identifier: Apache-2.0
 * gofer/keeper.c - `runsc keeper`: the host-visible pid of one exec
 *
 * Model:   the gofer's init loop without a gofer: descriptor 3 is the init channel. It is started as nobody, holds
 *          nothing else, and ends with the process that it stands for.
 */
#include <sys/prctl.h>
#include <unistd.h>

#include "gofer/init.h"
#include "mains.h"

enum { FD_CHAN = 3 };

int keeper_main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	int sigfd;

	prctl(PR_SET_NAME, "runsc-exec", 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigfd = init_block_signals(&e);
	_exit(sigfd < 0 ? INIT_EXIT_LOST : init_loop(FD_CHAN, sigfd));
}
