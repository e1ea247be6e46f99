/* SPDX-License-Identifier: Apache-2.0
 * proto/base/log.c - see log.h
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOG_LINE_MAX 4096
#define USER_LINES_MAX 1000 /* what a guest provokes must not fill a disk */

static struct {
	int fd, user_fd;
	uint64_t user_lines;
	enum log_format fmt;
	enum log_level min;
	char component[32];
} log_state = { .fd = -1, .user_fd = -1, .min = LOG_LV_INFO };

static const char *const level_names[] = {
	[LOG_LV_DEBUG] = "debug",
	[LOG_LV_INFO] = "info",
	[LOG_LV_WARN] = "warning",
	[LOG_LV_ERROR] = "error",
};

void log_setup(int fd, enum log_format fmt, enum log_level min, const char *component)
{
	log_state.fd = fd;
	log_state.fmt = fmt;
	log_state.min = min;
	snprintf(log_state.component, sizeof(log_state.component), "%s", component);
}

void log_set_level(enum log_level min)
{
	log_state.min = min;
}

void log_setup_user(int fd)
{
	log_state.user_fd = fd;
}

bool log_enabled(enum log_level lv)
{
	return log_state.fd >= 0 && lv >= log_state.min;
}

size_t json_escape(char *out, size_t cap, const char *s)
{
	size_t n = 0;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char tmp[8];
		int len;

		if (c == '"' || c == '\\')
			len = snprintf(tmp, sizeof(tmp), "\\%c", c);
		else if (c == '\n')
			len = snprintf(tmp, sizeof(tmp), "\\n");
		else if (c < 0x20 || c == 0x7f)
			len = snprintf(tmp, sizeof(tmp), "\\u%04x", c);
		else
			len = snprintf(tmp, sizeof(tmp), "%c", c);
		if (n + (size_t)len + 1 > cap)
			break;
		memcpy(out + n, tmp, (size_t)len);
		n += (size_t)len;
	}
	if (cap)
		out[n] = '\0';
	return n;
}

static void format_time(char out[64])
{
	struct timespec ts;
	struct tm tm;
	char day[24];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 64, "%s.%06ldZ", day, ts.tv_nsec / 1000);
}

/* A log that cannot be written has nobody to tell. */
static void write_line(int fd, const char *line, int len)
{
	if (len > LOG_LINE_MAX - 1)
		len = LOG_LINE_MAX - 1;
	if (write(fd, line, (size_t)len) < 0)
		errno = 0;
}

static void user_line(enum log_level lv, const char *msg)
{
	char line[LOG_LINE_MAX], when[64];

	if (__atomic_fetch_add(&log_state.user_lines, 1, __ATOMIC_RELAXED) >= USER_LINES_MAX)
		return;
	format_time(when);
	write_line(log_state.user_fd, line, snprintf(line, sizeof(line), "%s %s: %s\n", when, level_names[lv], msg));
}

void log_user(const char *fmt, ...)
{
	char msg[LOG_LINE_MAX / 2];
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (log_state.user_fd >= 0)
		user_line(LOG_LV_INFO, msg);
	errno = saved;
	log_info("%s", msg);
}

void log_line(enum log_level lv, const char *fmt, ...)
{
	char msg[LOG_LINE_MAX / 2], line[LOG_LINE_MAX], when[64];
	bool user = lv == LOG_LV_ERROR && log_state.user_fd >= 0;
	int saved = errno, len;
	va_list ap;

	if (!log_enabled(lv) && !user)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (user)
		user_line(lv, msg);
	if (!log_enabled(lv)) {
		errno = saved;
		return;
	}
	format_time(when);
	if (log_state.fmt == LOG_FMT_JSON) {
		char esc[LOG_LINE_MAX - 256];

		json_escape(esc, sizeof(esc), msg);
		len = snprintf(line, sizeof(line), "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s\"}\n",
			       level_names[lv], esc, when);
	} else {
		len = snprintf(line, sizeof(line), "%s %s[%d] %s: %s\n", when, log_state.component,
			       (int)getpid(), level_names[lv], msg);
	}
	write_line(log_state.fd, line, len);
	errno = saved;
}

void bug(const char *file, int line, const char *expr)
{
	char msg[512];
	int len = snprintf(msg, sizeof(msg), "BUG: %s:%d: %s\n", file, line, expr);

	log_line(LOG_LV_ERROR, "BUG: %s:%d: %s", file, line, expr);
	if (write(2, msg, (size_t)len) < 0)
		errno = 0;
	abort();
}
