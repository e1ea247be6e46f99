/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/opt.h - helpers for option values
 */
#ifndef SENTRY_NET_OPT_H
#define SENTRY_NET_OPT_H

#include "sentry/net/sock_internal.h"

/* As much of the value as fits; *len becomes what was stored. */
static inline int opt_put(void *val, uint32_t *len, const void *src, uint32_t n)
{
	*len = MIN(*len, n);
	memcpy(val, src, *len);
	return 0;
}
static inline int opt_put_int(void *val, uint32_t *len, int v)
{
	return opt_put(val, len, &v, sizeof(v));
}
/* An int, or for levels IP and IPv6 a single byte, as Linux accepts both. */
static inline bool opt_get_int(const void *val, uint32_t len, int *out)
{
	if (len >= sizeof(int)) {
		memcpy(out, val, sizeof(int));
		return true;
	}
	if (len >= 1) {
		*out = *(const uint8_t *)val;
		return true;
	}
	return false;
}

#endif
