/* SPDX-License-Identifier: Apache-2.0
 * gofer/init.h - the OCI-visible init process: lives as long as the container, exits with its status
 *
 * Model:   a SOCK_SEQPACKET channel with the Sentry, messages of 8 bytes: { u32 type, u32 value }, little
 *          endian. The Gofer (and runsc's keeper for an exec) holds a host pid that tools know; signals
 *          that the host sends there travel to the Sentry, the exit status travels back.
 */
#ifndef GOFER_INIT_H
#define GOFER_INIT_H

#include <signal.h>
#include <stdint.h>

#include "base/err.h"

enum init_msg_type {
	INIT_EXIT = 1,	 /* Sentry -> us: value is a wait status (wait(2)) */
	INIT_WINCH = 2,	 /* us -> Sentry: the console, our controlling terminal, changed its size */
	INIT_SIGNAL = 3, /* us -> Sentry: value is a signal number */
};

struct init_msg {
	uint32_t type, value;
};

#define INIT_EXIT_LOST 137 /* the Sentry is gone without a word: as if killed */

/* Blocks every signal that is to be forwarded, in this thread and those it starts later.
 * Return: a signalfd for them, or -1 with @e */
int init_block_signals(struct err *e);

/* Serves the channel until the Sentry says EXIT or hangs up. Return: the exit status for this process */
int init_loop(int chan, int sigfd);

/* What a shell would say: code, or 128 + signal. */
int init_exit_code(uint32_t wait_status);

#endif
