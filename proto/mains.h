/* SPDX-License-Identifier: Apache-2.0
 * proto/mains.h - the entry points that runsc/main.c dispatches to (one binary, several processes)
 */
#ifndef PROTO_MAINS_H
#define PROTO_MAINS_H

/* argv[0] is the sub-command: "boot", "gofer", ... */
int sentry_main(int argc, char **argv);		/* runsc boot: sentry/boot/main.c */
int keeper_main(int argc, char **argv);		/* runsc keeper: gofer/keeper.c; fd 3 = init channel */
int gofer_main(int argc, char **argv);		/* runsc gofer: gofer/main.c; command line in gofer/mounts.h */
int zygote_launch_main(int argc, char **argv);	/* runsc zygote: sentry/platform/zygote_launch.c */

#endif
