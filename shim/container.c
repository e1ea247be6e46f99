/* SPDX-License-Identifier: Apache-2.0
 * shim/container.c - containers and processes: tables, references, errors
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "shim/oom.h"
#include "shim/publish.h"
#include "shim/shim.h"
#include "shim/stdio.h"

struct container *container_find(struct shim *sh, const char *id)
{
	struct container *c, *found = NULL;

	pthread_mutex_lock(&sh->mu);
	list_for_each_entry(c, &sh->containers, node) {
		if (!strcmp(c->id, id)) {
			ref_get(&c->refs);
			found = c;
			break;
		}
	}
	pthread_mutex_unlock(&sh->mu);
	return found;
}

struct process *process_find(struct container *c, const char *exec_id)
{
	struct process *p, *found = NULL;

	pthread_mutex_lock(&c->sh->mu);
	if (!exec_id[0]) {
		found = c->init;
	} else {
		list_for_each_entry(p, &c->execs, node) {
			if (!strcmp(p->exec_id, exec_id)) {
				found = p;
				break;
			}
		}
	}
	if (found)
		process_get(found);
	pthread_mutex_unlock(&c->sh->mu);
	return found;
}

static void process_free(struct process *p)
{
	stdio_free(p->io);
	if (p->pidfd >= 0)
		close(p->pidfd);
	free(p->exec_id);
	free(p->in);
	free(p->out);
	free(p->err);
	free(p->spec_json);
	free(p);
}

struct process *process_new(struct container *c, const char *exec_id, const char *in, const char *out,
			    const char *err, bool terminal)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	ref_init(&p->refs, 1);
	list_init(&p->node);
	list_init(&p->waiters);
	p->c = c;
	p->pidfd = -1;
	p->exit.fd = -1;
	p->terminal = terminal;
	p->exec_id = strdup(exec_id);
	p->in = strdup(in);
	p->out = strdup(out);
	p->err = strdup(err);
	if (!p->exec_id || !p->in || !p->out || !p->err) {
		process_free(p);
		return NULL;
	}
	if (exec_id[0])
		ref_get(&c->refs);
	return p;
}

void process_get(struct process *p)
{
	ref_get(&p->refs);
	if (!p->exec_id[0])
		ref_get(&p->c->refs); /* who holds init holds its container */
}

void process_put(struct process *p)
{
	struct container *c;

	if (!p)
		return;
	c = p->c;
	if (!p->exec_id[0]) {
		/* init lives inside its container: the counts go together */
		BUG_ON(ref_put(&p->refs));
		container_put(c);
		return;
	}
	if (!ref_put(&p->refs))
		return;
	process_free(p);
	container_put(c);
}

struct container *container_new(struct shim *sh, const char *id, const char *bundle)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	ref_init(&c->refs, 1);
	c->sh = sh;
	list_init(&c->node);
	list_init(&c->execs);
	pthread_mutex_init(&c->op_mu, NULL);
	c->id = strdup(id);
	c->bundle = strdup(bundle);
	if (asprintf(&c->rootfs, "%s/rootfs", bundle) < 0)
		c->rootfs = NULL;
	if (!c->id || !c->bundle || !c->rootfs) {
		container_put(c);
		return NULL;
	}
	return c;
}

void container_put(struct container *c)
{
	if (!c || !ref_put(&c->refs))
		return;
	if (c->init)
		process_free(c->init);
	oom_watch_free(c->oom);
	lc_free(c->lc);
	lc_flags_fini(&c->flags);
	shim_config_fini(&c->cfg);
	pthread_mutex_destroy(&c->op_mu);
	free(c->id);
	free(c->bundle);
	free(c->rootfs);
	free(c);
}

unsigned container_live_execs(struct container *c)
{
	struct process *p;
	unsigned n = 0;

	list_for_each_entry(p, &c->execs, node)
		if (p->starting || p->state == PROC_RUNNING)
			n++;
	return n;
}

void container_publish(struct container *c, const char *topic, const char *type,
		       const ProtobufCMessage *event)
{
	if (!c->quiet)
		publish(c->sh->pub, topic, type, event);
}

/* ---- strangers among our children ---- */

void shim_op_begin(struct shim *sh)
{
	pthread_mutex_lock(&sh->mu);
	sh->nr_ops++;
	pthread_mutex_unlock(&sh->mu);
}

static bool is_ours(struct shim *sh, pid_t pid)
{
	struct container *c;
	struct process *p;

	list_for_each_entry(c, &sh->containers, node) {
		if (c->init->pid == pid)
			return true;
		list_for_each_entry(p, &c->execs, node)
			if (p->pid == pid)
				return true;
	}
	return false;
}

/* Zygotes and Sentries that ended by themselves: nobody waits for them, so it is done here, but only
 * while no lifecycle call might be about to wait for a child of its own. */
void shim_op_end(struct shim *sh)
{
	siginfo_t si;

	pthread_mutex_lock(&sh->mu);
	if (--sh->nr_ops == 0) {
		for (int i = 0; i < 64; i++) {
			si.si_pid = 0;
			if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || !si.si_pid ||
			    is_ours(sh, si.si_pid))
				break;
			waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
		}
	}
	pthread_mutex_unlock(&sh->mu);
}

/* ---- errors ---- */

void task_fail(struct ttrpc_call *call, const struct err *e)
{
	enum ttrpc_code code = ttrpc_code_from_errno(e->code);

	/* containerd tells "no such container" from everything else; programs that are missing are not that */
	if (e->code >= LC_E_NOEXEC_ENOENT)
		code = TTRPC_UNKNOWN;
	ttrpc_fail(call, code, "%s", e->msg);
}

bool task_lookup(struct ttrpc_call *call, const char *id, const char *exec_id, struct container **out_c,
		 struct process **out_p)
{
	struct shim *sh = ttrpc_call_ctx(call);
	struct container *c = container_find(sh, id);

	if (!c) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s not created: not found", id);
		return false;
	}
	if (out_p) {
		*out_p = process_find(c, exec_id);
		if (!*out_p) {
			ttrpc_fail(call, TTRPC_NOT_FOUND, "process %s does not exist: not found", exec_id);
			container_put(c);
			return false;
		}
	}
	*out_c = c;
	return true;
}
