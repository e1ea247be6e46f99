/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/seccomp.h - linux.seccomp of the configuration as a program for the Sentry
 */
#ifndef RUNSC_LIB_SECCOMP_H
#define RUNSC_LIB_SECCOMP_H

#include <protobuf-c/protobuf-c.h>

#include "runsc/lib/jsonx.h"

/* @seccomp: the object as it stands in the configuration, NULL = none (empty @out). @out: struct sock_filter[], in @arena. EINVAL. */
int seccomp_compile(struct jdoc *arena, struct json_object *seccomp, ProtobufCBinaryData *out, struct err *e);

#endif
