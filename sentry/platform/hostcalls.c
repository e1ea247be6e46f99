/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/hostcalls.c - host calls that running guest code needs
 */
#include <linux/seccomp.h>
#include <sys/ioctl.h>

#include "sentry/run/hostcalls.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

SENTRY_HOST_CALL_EQ(ioctl, 1, SECCOMP_IOCTL_NOTIF_RECV, "a stub's request");
SENTRY_HOST_CALL_EQ(ioctl, 1, SECCOMP_IOCTL_NOTIF_SEND, "its answer");
SENTRY_HOST_CALL_EQ(ioctl, 1, SECCOMP_IOCTL_NOTIF_ID_VALID, "is the stub still waiting");
SENTRY_HOST_CALL_EQ(ioctl, 1, SECCOMP_IOCTL_NOTIF_ADDFD, "a file to be mapped goes into a stub");
SENTRY_HOST_CALL_EQ(ioctl, 1, SECCOMP_IOCTL_NOTIF_SET_FLAGS, "wake-ups on the same core");
SENTRY_HOST_CALL(process_vm_readv, "guest memory beyond the marshalled windows");
SENTRY_HOST_CALL(process_vm_writev, "guest memory beyond the marshalled windows");
SENTRY_HOST_CALL(pidfd_open, "stubs are named by descriptor, never by number alone");
SENTRY_HOST_CALL(pidfd_send_signal, "SIGKILL to stubs");
SENTRY_HOST_CALL(tgkill, "the interrupt of a running guest thread; abort");
SENTRY_HOST_CALL(memfd_create, "thread pages, tmpfs, pipes");
SENTRY_HOST_CALL(ftruncate, "thread pages, tmpfs, pipes");
SENTRY_HOST_CALL(lseek, "which thread pages were written, before others get them");
SENTRY_HOST_CALL(poll, "has a process ended whose thread pages others are to get");
SENTRY_HOST_CALL(sched_setaffinity, "poller and guests stay off each other's processor");
SENTRY_HOST_CALL(fcntl, "seals, duplicates, non-blocking stdio");

HOST_CALL_FILE(platform);
