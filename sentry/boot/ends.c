/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/ends.c - how containers end: the exit record for the host, and the end of the sandbox itself
 *
 * Model:   each started container has a kthread that waits for its init. It writes what `runsc wait` will be asked for
 *          after we are gone ({"status":N,"at":NS} into the file that came with CreateContainer), and when the sandbox's
 *          first container has ended and no other runs, it ends the sandbox: nobody pays for an empty one.
 * Locks:   records_mu, a leaf.
 */
#include <stdio.h>
#include <string.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/run/run.h"

struct record {
	struct list node;		/* guarded by records_mu */
	int fd;				/* owned */
	struct container *c;		/* reference, from start on */
	char id[CONTAINER_ID_MAX];
};

static struct mutex records_mu = MUTEX_INIT;
static struct list records = LIST_HEAD_INIT(records);
static _Atomic int nr_running;
static _Atomic bool first_ended;
static const char *first_id = "";

void boot_ends_init(const char *sandbox_id)
{
	first_id = sandbox_id;
}

void boot_record_add(const char *id, int fd)
{
	struct record *r = fd >= 0 ? calloc(1, sizeof(*r)) : NULL;

	if (!r) {
		if (fd >= 0)
			host_call(close, fd);
		return;
	}
	r->fd = fd;
	snprintf(r->id, sizeof(r->id), "%s", id);
	mutex_lock(&records_mu);
	list_add(&records, &r->node);
	mutex_unlock(&records_mu);
}

static struct record *record_take(const char *id)
{
	struct record *r, *found = NULL;

	mutex_lock(&records_mu);
	list_for_each_entry(r, &records, node) {
		if (!strcmp(r->id, id)) {
			found = r;
			list_del_init(&r->node);
			break;
		}
	}
	mutex_unlock(&records_mu);
	return found;
}

static void record_free(struct record *r)
{
	if (!r)
		return;
	host_call(close, r->fd);
	container_put(r->c);
	free(r);
}

void boot_record_drop(const char *id)
{
	record_free(record_take(id));
}

static void record_write(struct record *r, const struct process_end *end)
{
	/* wait(2): the signal in the low seven bits, else the code above them */
	unsigned sig = (unsigned)end->status & 0x7f, status = sig ? 128 + sig : ((unsigned)end->status >> 8) & 0xff;
	char text[96];
	int n = snprintf(text, sizeof(text), "{\"status\":%u,\"at\":%llu}\n", status, (unsigned long long)end->at_ns);

	if (host_call(write, r->fd, text, n) != n)
		log_warn("container %s: the exit record cannot be written", r->id);
}

static void wait_for_end(void *arg)
{
	struct record *r = arg;
	struct process_end end;
	bool first = !strcmp(r->id, first_id);

	if (container_wait_process(r->c, "", 0, &end) == 0)
		record_write(r, &end);
	record_free(r);
	if (first)
		atomic_store(&first_ended, true);
	if (atomic_fetch_sub(&nr_running, 1) == 1 && atomic_load(&first_ended))
		control_exit(0);
}

void boot_container_started(struct container *c)
{
	struct record *r = record_take(c->id);

	if (!r)
		return;
	container_get(c);
	r->c = c;
	atomic_fetch_add(&nr_running, 1);
	if (!kthread_start(wait_for_end, r, "ends")) {
		atomic_fetch_sub(&nr_running, 1);
		record_free(r);
	}
}
