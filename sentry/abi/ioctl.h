/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/ioctl.h - ioctl numbers that more than one file system or family answers (ioctl_list(2))
 */
#ifndef SENTRY_ABI_IOCTL_H
#define SENTRY_ABI_IOCTL_H

#define LINUX_FIONREAD	0x541bu
#define LINUX_FIONBIO	0x5421u
#define LINUX_FIONCLEX	0x5450u
#define LINUX_FIOCLEX	0x5451u
#define LINUX_FIOASYNC	0x5452u
#define LINUX_FIOSETOWN 0x8901u
#define LINUX_FIOGETOWN 0x8903u
#define LINUX_SIOCINQ	0x541bu /* = FIONREAD, TIOCINQ */
#define LINUX_SIOCOUTQ	0x5411u /* = TIOCOUTQ */

#endif
