/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/simple_xattr.c - extended attributes kept in memory, see simple_xattr.h
 *
 * Source:  xattr(7), setxattr(2).
 */
#include "sentry/vfs/simple_xattr.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/abi/errno.h"
#include "sentry/vfs/xattr.h"

struct sxattr {
	struct list node;
	size_t size;
	char *val;	/* behind the name, in the same block */
	char name[];
};

void simple_xattrs_init(struct simple_xattrs *x)
{
	mutex_init(&x->mu);
	list_init(&x->list);
	x->bytes = 0;
}

void simple_xattrs_fini(struct simple_xattrs *x)
{
	struct sxattr *a, *n;

	list_for_each_entry_safe(a, n, &x->list, node)
		free(a);
	list_init(&x->list);
}

static struct sxattr *find(struct simple_xattrs *x, const char *name)
{
	struct sxattr *a;

	list_for_each_entry(a, &x->list, node)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}

static size_t cost(const struct sxattr *a)
{
	return sizeof(*a) + strlen(a->name) + a->size;
}

long simple_xattr_get(struct simple_xattrs *x, const char *name, void *val, size_t size)
{
	struct sxattr *a;
	long ret = -LINUX_ENODATA;

	mutex_lock(&x->mu);
	a = find(x, name);
	if (a) {
		ret = (long)a->size;
		if (size && size < a->size)
			ret = -LINUX_ERANGE;
		else if (size && a->size)
			memcpy(val, a->val, a->size);
	}
	mutex_unlock(&x->mu);
	return ret;
}

long simple_xattr_set(struct simple_xattrs *x, const char *name, const void *val, size_t size, uint32_t flags)
{
	size_t nlen = strlen(name) + 1;
	struct sxattr *n = malloc(sizeof(*n) + nlen + size), *old;
	long ret = 0;

	if (!n)
		return -LINUX_ENOMEM;
	memcpy(n->name, name, nlen);
	n->val = n->name + nlen;
	n->size = size;
	if (size)
		memcpy(n->val, val, size);
	mutex_lock(&x->mu);
	old = find(x, name);
	if (old && flags & LINUX_XATTR_CREATE)
		ret = -LINUX_EEXIST;
	else if (!old && flags & LINUX_XATTR_REPLACE)
		ret = -LINUX_ENODATA;
	else if (x->bytes + cost(n) - (old ? cost(old) : 0) > SIMPLE_XATTR_MAX_BYTES)
		ret = -LINUX_ENOSPC;
	if (ret == 0) {
		x->bytes += cost(n);
		list_add_tail(&x->list, &n->node);
		n = NULL;
		if (old) {
			x->bytes -= cost(old);
			list_del_init(&old->node);
			n = old;
		}
	}
	mutex_unlock(&x->mu);
	free(n);
	return ret;
}

long simple_xattr_remove(struct simple_xattrs *x, const char *name)
{
	struct sxattr *a;

	mutex_lock(&x->mu);
	a = find(x, name);
	if (a) {
		x->bytes -= cost(a);
		list_del_init(&a->node);
	}
	mutex_unlock(&x->mu);
	free(a);
	return a ? 0 : -LINUX_ENODATA;
}

long simple_xattr_list(struct simple_xattrs *x, char *out, size_t size)
{
	struct sxattr *a;
	size_t len = 0;
	long ret = 0;

	mutex_lock(&x->mu);
	list_for_each_entry(a, &x->list, node) {
		size_t n = strlen(a->name) + 1;

		if (size) {
			if (len + n > size) {
				ret = -LINUX_ERANGE;
				break;
			}
			memcpy(out + len, a->name, n);
		}
		len += n;
	}
	mutex_unlock(&x->mu);
	return ret ? ret : (long)len;
}
