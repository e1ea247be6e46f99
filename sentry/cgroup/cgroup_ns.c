/* SPDX-License-Identifier: Apache-2.0
 * sentry/cgroup/cgroup_ns.c - cgroup namespaces: from where paths are shown
 *
 * Source:  cgroup_namespaces(7).
 */
#include <stdlib.h>

#include "sentry/cgroup/cgroup.h"

struct cgroup_ns *cgroup_ns_new(struct user_ns *user_ns, struct cgroup *root, uint64_t ino)
{
	struct cgroup_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ref_init(&ns->ref, 1);
	ns->user_ns = user_ns_get(user_ns);
	ns->root = cgroup_get(root);
	ns->ino = ino;
	return ns;
}

struct cgroup_ns *cgroup_ns_get(struct cgroup_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void cgroup_ns_put(struct cgroup_ns *ns)
{
	if (!ns || !ref_put(&ns->ref))
		return;
	user_ns_put(ns->user_ns);
	cgroup_put(ns->root);
	free(ns);
}
