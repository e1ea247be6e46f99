/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/reserved_ports.c - net.ipv4.ip_local_reserved_ports: ports that are never chosen for a socket that names none
 *
 * Model:   one bit a port, in a table that the first write makes and that stays; bits change one word at a time, readers take no lock.
 * Source:  Linux's Documentation/networking/ip-sysctl: "8080,9148-9150"; a write replaces all; an empty one clears.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/net/net.h"

#define PORTS 65536u
#define WORDS (PORTS / 64)

struct reserved_ports {
	_Atomic uint64_t bits[WORDS];
};

bool net_port_reserved(struct net_ns *ns, uint16_t port)
{
	struct reserved_ports *r = atomic_load_explicit(&ns->reserved_ports, memory_order_acquire);

	return r && atomic_load_explicit(&r->bits[port / 64], memory_order_relaxed) >> (port % 64) & 1;
}

void net_reserved_ports_free(struct net_ns *ns)
{
	free(ns->reserved_ports);
}

/* A number at *@s up to @end; false: none, or none of a port. */
static bool port_in(const char **s, const char *end, uint32_t *out)
{
	const char *p = *s;
	uint32_t v = 0;

	for (; p < end && *p >= '0' && *p <= '9' && v < PORTS; p++)
		v = v * 10 + (uint32_t)(*p - '0');
	if (p == *s || v >= PORTS)
		return false;
	*s = p;
	*out = v;
	return true;
}

static long parse(const char *s, const char *end, uint64_t bits[WORDS])
{
	while (s < end) {
		uint32_t a, b;

		if (!port_in(&s, end, &a))
			return -LINUX_EINVAL;
		b = a;
		if (s < end && *s == '-') {
			s++;
			if (!port_in(&s, end, &b) || b < a)
				return -LINUX_EINVAL;
		}
		for (uint32_t p = a; p <= b; p++)
			bits[p / 64] |= 1ull << (p % 64);
		if (s < end && *s++ != ',')
			return -LINUX_EINVAL;
	}
	return 0;
}

long net_reserved_ports_write(struct net_ns *ns, const char *text, size_t len)
{
	uint64_t *bits = calloc(WORDS, sizeof(*bits));
	struct reserved_ports *r, *none = NULL;
	long ret;

	while (len && strchr(" \t\n", text[len - 1]))
		len--;
	ret = bits ? parse(text, text + len, bits) : -LINUX_ENOMEM;
	if (ret)
		goto out;
	if (!atomic_load(&ns->reserved_ports)) {
		r = calloc(1, sizeof(*r));
		if (r && !atomic_compare_exchange_strong(&ns->reserved_ports, &none, r))
			free(r);
	}
	r = atomic_load(&ns->reserved_ports);
	if (!r) {
		ret = -LINUX_ENOMEM;
		goto out;
	}
	for (unsigned i = 0; i < WORDS; i++)
		atomic_store_explicit(&r->bits[i], bits[i], memory_order_relaxed);
out:
	free(bits);
	return ret;
}

/* Ranges in ascending order. As many as there is room for: a reader's buffer may be smaller than 32,768 of them. */
long net_reserved_ports_read(struct net_ns *ns, char *out, size_t cap)
{
	size_t n = 0;

	for (uint32_t p = 0, last; p < PORTS; p = last + 1) {
		char one[16];
		int k;

		last = p;
		if (!net_port_reserved(ns, (uint16_t)p))
			continue;
		while (last + 1 < PORTS && net_port_reserved(ns, (uint16_t)(last + 1)))
			last++;
		k = snprintf(one, sizeof(one), last > p ? "%s%u-%u" : "%s%u", n ? "," : "", p, last);
		if (n + (size_t)k + 1 >= cap)
			break;
		memcpy(out + n, one, (size_t)k);
		n += (size_t)k;
	}
	if (n + 1 > cap)
		return -LINUX_ENOSPC;
	out[n++] = '\n';
	return (long)n;
}
