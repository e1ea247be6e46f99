/* SPDX-License-Identifier: Apache-2.0
 * shim/oom.c - see oom.h
 *
 * Source: cgroup-v2.rst (memory.events raises inotify events), cgroup-v1/memory.rst section 10 (eventfd
 *         through cgroup.event_control; memory.oom_control's oom_kill line since 4.13).
 */
#include "shim/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "base/fdpass.h"
#include "base/log.h"

struct oom_watch {
	struct ev_source src;
	int events_fd;	/* memory.events or memory.oom_control */
	int notify_fd;	/* inotify or eventfd */
	_Atomic uint64_t told;
	void (*fn)(void *arg);
	void *arg;
};

/* The number behind "oom_kill " at the start of a line; 0 if absent or unreadable. */
static uint64_t read_count(int fd)
{
	char text[1024];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	for (const char *l = text; l && *l;) {
		if (!strncmp(l, "oom_kill ", 9))
			return strtoull(l + 9, NULL, 10);
		l = strchr(l, '\n');
		if (l)
			l++;
	}
	return 0;
}

bool oom_killed_now(struct oom_watch *w)
{
	uint64_t now, old;

	if (!w)
		return false;
	now = read_count(w->events_fd);
	old = atomic_load(&w->told);
	while (now > old)
		if (atomic_compare_exchange_weak(&w->told, &old, now))
			return true;
	return false;
}

static void on_event(struct ev_source *src, uint32_t events)
{
	struct oom_watch *w = container_of(src, struct oom_watch, src);
	char junk[4096];
	ssize_t n = read(w->notify_fd, junk, sizeof(junk));

	if (n < 0 && errno != EAGAIN) {
		evloop_del(src);
		return;
	}
	if (oom_killed_now(w))
		w->fn(w->arg);
}

static int watch_v2(struct oom_watch *w, const char *path)
{
	w->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return w->notify_fd < 0 || inotify_add_watch(w->notify_fd, path, IN_MODIFY) < 0 ? -1 : 0;
}

static int watch_v1(struct oom_watch *w, const char *dir)
{
	AUTO_CLOSE int ctl = -1;
	char path[4096], line[64];

	snprintf(path, sizeof(path), "%s/cgroup.event_control", dir);
	ctl = open(path, O_WRONLY | O_CLOEXEC);
	w->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ctl < 0 || w->notify_fd < 0)
		return -1;
	snprintf(line, sizeof(line), "%d %d", w->notify_fd, w->events_fd);
	return write_full(ctl, line, strlen(line)) < 0 ? -1 : 0;
}

struct oom_watch *oom_watch_new(struct evloop *loop, const char *dir, bool v2, void (*fn)(void *arg),
				void *arg)
{
	struct oom_watch *w = calloc(1, sizeof(*w));
	char path[4096];

	if (!w)
		return NULL;
	w->src.fd = w->notify_fd = -1;
	w->fn = fn;
	w->arg = arg;
	snprintf(path, sizeof(path), "%s/%s", dir, v2 ? "memory.events" : "memory.oom_control");
	w->events_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (w->events_fd < 0 || (v2 ? watch_v2(w, path) : watch_v1(w, dir)) < 0) {
		log_debug("no OOM events from %s: %s", path, strerror(errno));
		oom_watch_free(w);
		return NULL;
	}
	/* kills before now are somebody else's: a cgroup may be older than its container */
	atomic_store(&w->told, read_count(w->events_fd));
	if (evloop_add(loop, &w->src, w->notify_fd, EPOLLIN, on_event) < 0) {
		oom_watch_free(w);
		return NULL;
	}
	return w;
}

void oom_watch_stop(struct oom_watch *w)
{
	if (w)
		evloop_del(&w->src);
}

void oom_watch_free(struct oom_watch *w)
{
	if (!w)
		return;
	if (w->events_fd >= 0)
		close(w->events_fd);
	if (w->notify_fd >= 0)
		close(w->notify_fd);
	free(w);
}
