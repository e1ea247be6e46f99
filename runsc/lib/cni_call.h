/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/cni_call.h - calling CNI plugins ourselves (--cni-conf), for containers that nobody else connects
 */
#ifndef RUNSC_LIB_CNI_CALL_H
#define RUNSC_LIB_CNI_CALL_H

#include "runsc/lib/container.h"

/* ADD of every plugin of the list in @conflist, in order, in the network namespace of the container's gofer; the state
 * remembers it before the first runs. On failure cni_del() undoes what has been done. */
int cni_add(struct lc_container *c, const char *conflist, const char *bin_dir, struct err *e);
/* DEL in reverse order; failures are logged. */
void cni_del(struct lc_container *c);

#endif
