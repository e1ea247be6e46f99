/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_syslog.c - syslog(2): what dmesg(1) shows
 *
 * Model:   a fixed text, whose first line is what tools look for to tell which runtime they are in, and behind it what the packet
 *          filter logs: a ring of whole lines, of which the oldest give way. Time stamps count from the sandbox's start.
 * Locks:   ring_mu, a leaf.
 * Source:  syslog(2).
 */
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "sentry/abi/cap.h"
#include "sentry/net/nf.h"
#include "sentry/syscalls/stats.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/syscalls/syslog.h"

enum { ACTION_CLOSE, ACTION_OPEN, ACTION_READ, ACTION_READ_ALL, ACTION_READ_CLEAR, ACTION_CLEAR, ACTION_CONSOLE_OFF,
       ACTION_CONSOLE_ON, ACTION_CONSOLE_LEVEL, ACTION_SIZE_UNREAD, ACTION_SIZE_BUFFER };

#define LOG_MAX	 1024
#define RING_MAX 65536	/* bytes of logged lines */

static _Atomic bool cleared;
static uint64_t start_ns; /* immutable after syslog_start() */

size_t syslog_text(char *out, size_t cap)
{
	int n = snprintf(out, cap,
			 "<6>[    0.000000] Starting gVisor...\n"
			 "<6>[    0.000212] runsc %s: an application kernel, in C\n"
			 "<6>[    0.000391] Application memory and scheduling: left to the host\n"
			 "<6>[    0.000507] System calls: answered on the other side of a shared page\n"
			 "<6>[    0.000724] Mounting the gofer's files\n"
			 "<6>[    0.000931] Ready!\n",
			 build_version);

	return (size_t)n < cap ? (size_t)n : cap - 1;
}

static struct mutex ring_mu = MUTEX_INIT;
static char ring[RING_MAX];	/* ring_mu */
static size_t ring_len;		/* ring_mu */

void syslog_append(unsigned level, const char *line)
{
	uint64_t us = (now_ns() - start_ns) / 1000;
	char text[640];
	size_t cut = 0;
	int n;

	n = snprintf(text, sizeof(text), "<%u>[%5lu.%06lu] %s\n", level & 7, (unsigned long)(us / 1000000), (unsigned long)(us % 1000000), line);
	if (n < 0 || (size_t)n >= sizeof(text))
		return;
	mutex_lock(&ring_mu);
	while (ring_len - cut + (size_t)n > RING_MAX) {
		const char *nl = memchr(ring + cut, '\n', ring_len - cut);

		cut = nl ? (size_t)(nl + 1 - ring) : ring_len;
	}
	memmove(ring, ring + cut, ring_len - cut);
	ring_len -= cut;
	memcpy(ring + ring_len, text, (size_t)n);
	ring_len += (size_t)n;
	mutex_unlock(&ring_mu);
}

void syslog_start(void)
{
	start_ns = now_ns();
	nf_log_fn = syslog_append;
}

static long read_all(struct task *t, struct gptr buf, int len)
{
	char *text;
	size_t n = 0, skip;
	long ret;

	if (!buf.v || len < 0)
		return -LINUX_EINVAL;
	text = malloc(LOG_MAX + RING_MAX);
	if (!text)
		return -LINUX_ENOMEM;
	if (!atomic_load(&cleared))
		n = syslog_text(text, LOG_MAX);
	mutex_lock(&ring_mu);
	memcpy(text + n, ring, ring_len);
	n += ring_len;
	mutex_unlock(&ring_mu);
	skip = n > (size_t)len ? n - (size_t)len : 0; /* the last bytes count */
	ret = n > skip && copyout(t->u, buf, text + skip, n - skip) ? -LINUX_EFAULT : (long)(n - skip);
	free(text);
	return ret;
}

static void clear(void)
{
	atomic_store(&cleared, true);
	mutex_lock(&ring_mu);
	ring_len = 0;
	mutex_unlock(&ring_mu);
}

SYSCALL_DEFINE3(syslog, int, action, struct gptr, buf, int, len)
{
	long ret;

	if (action != ACTION_READ_ALL && action != ACTION_SIZE_BUFFER &&
	    !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYSLOG) && !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	switch (action) {
	case ACTION_CLOSE:
	case ACTION_OPEN:
	case ACTION_CONSOLE_OFF:
	case ACTION_CONSOLE_ON:
		return 0;
	case ACTION_CONSOLE_LEVEL:
		return len < 1 || len > 8 ? -LINUX_EINVAL : 0;
	case ACTION_READ: /* would block for ever: nothing new comes */
		return !buf.v || len < 0 ? -LINUX_EINVAL : 0;
	case ACTION_READ_ALL:
		return read_all(t, buf, len);
	case ACTION_READ_CLEAR:
		ret = read_all(t, buf, len);
		if (ret >= 0)
			clear();
		return ret;
	case ACTION_CLEAR:
		clear();
		return 0;
	case ACTION_SIZE_UNREAD:
		return 0;
	case ACTION_SIZE_BUFFER:
		return LOG_MAX + RING_MAX;
	default:
		return -LINUX_EINVAL;
	}
}
