/* SPDX-License-Identifier: Apache-2.0
 * proto/base/log.h - leveled log lines to one descriptor, text or JSON
 *
 * Model:   process-wide; one write(2) per line, so lines of several processes that share a file do
 *          not interleave. Nothing is allocated, so it may be called anywhere but in a signal handler.
 * Source:  the JSON form is what go-runc parses: {"level":"error","msg":"...","time":"RFC 3339"}.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/util.h"

enum log_level { LOG_LV_DEBUG, LOG_LV_INFO, LOG_LV_WARN, LOG_LV_ERROR };
enum log_format { LOG_FMT_TEXT, LOG_FMT_JSON };

/* Where lines go; @fd is borrowed for the life of the process, -1 drops everything. */
void log_setup(int fd, enum log_format fmt, enum log_level min, const char *component);
void log_set_level(enum log_level min);
bool log_enabled(enum log_level lv);
/* A second place, for those who own what runs here: it gets log_user() lines and errors, as text. Like log_setup()'s @fd. */
void log_setup_user(int fd);
/* A line for the user; also an information in the log. */
void log_user(const char *fmt, ...) PRINTF(1, 2);
void log_line(enum log_level lv, const char *fmt, ...) PRINTF(2, 3);

/* @s as the inside of a JSON string; always terminated; returns bytes written without the NUL. */
size_t json_escape(char *out, size_t cap, const char *s);

#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (unlikely(log_enabled(LOG_LV_DEBUG)))                                           \
			log_line(LOG_LV_DEBUG, __VA_ARGS__);                                       \
	} while (0)
#define log_info(...)  log_line(LOG_LV_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LV_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LV_ERROR, __VA_ARGS__)

#endif
