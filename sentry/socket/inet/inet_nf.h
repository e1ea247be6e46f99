/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_nf.h - socket options of netfilter, which copy from and to the guest themselves
 */
#ifndef SENTRY_INET_NF_H
#define SENTRY_INET_NF_H

#include "sentry/socket/socket_internal.h"

/* Is this option of @s netfilter's? Then: */
bool inet_nf_option(const struct socket *s, int level, int name);
/* 0, -LINUX_EPERM, -LINUX_ENOPROTOOPT, -LINUX_EFAULT, what net/nf/ipt.h says. */
long inet_nf_set(struct socket *s, struct task *t, int name, struct gptr uval, size_t len);
long inet_nf_get(struct socket *s, struct task *t, int name, struct gptr uval, size_t *len);

#endif
