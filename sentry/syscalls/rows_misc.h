/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/rows_misc.h - rows of the system call table, see syscalls.h
 * SYSCALL(number, name, trace signature, support, missing)
 */
SYSCALL(103, syslog, "dpd", PARTIAL, "a fixed text and what the packet filter logs")
SYSCALL(321, bpf, "dpu", PARTIAL, "only programs of the device controller, no maps")
