/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_exec.c - execve(2), execveat(2)
 *
 * Model:   first everything that can fail: find and check the program, compute the new credentials, end the other threads. Then the
 *          point of no return: the old image goes, the new one is mapped; a failure after it kills the process.
 *          An address space of one's own is emptied in place; one that others use (vfork child) is left to them,
 *          and the thread moves to a fresh process of the container's zygote. So it does when the new program may do more than the
 *          old one: that one's host threads are the judges of whether they carry out what they are told, the emptying too.
 * Source:  execve(2), signal(7) "Execution of a new program".
 */
#include <stdio.h>
#include <string.h>

#include "sentry/ipc/sem_undo.h"
#include "sentry/keys/keys.h"
#include "sentry/task/acct.h"
#include "sentry/task/exec.h"
#include "sentry/task/futex.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/task_internal.h"
#include "sentry/task/timers.h"
#include "sentry/vfs/vfs.h"

/* The old image goes; on return t->mm is a new, empty address space. */
static long replace_mm(struct task *t, bool gains)
{
	struct mm *old = t->mm, *mm;
	bool alone = !gains && mm_users(old) == 1 && uspace_alone(t->u);
	uint64_t mask;
	long ret;

	/* The thread's page may move: keep senders of signals away from it meanwhile. */
	mask = signal_mask(t);
	signal_detach_page(t);
	if (alone) {
		ret = uspace_reset(t->u);
	} else {
		acct_space_left(t->group);
		mm_leave(old, t->u);
		ret = uthread_rehost(t->u);
		if (!ret)
			acct_space_set(t->group, t->u->space);
	}
	t->sig->mask_copy = mask;
	if (ret < 0)
		return ret;
	mm = mm_new(t->u->space);
	if (!mm)
		return -LINUX_ENOMEM;
	mutex_lock(&t->group->sig_mu);
	t->mm = mm;
	mutex_unlock(&t->group->sig_mu);
	mm_put(old);
	return 0;
}

static void publish(struct task *t)
{
	signal_attach_page(t);
	mutex_lock(&tasks_mu);
	mutex_lock(&t->group->sig_mu);
	task_publish_ids_locked(t);
	task_publish_creds_locked(t);
	mutex_unlock(&t->group->sig_mu);
	mutex_unlock(&tasks_mu);
}

/* Descriptors and dispositions become the process's own, as CLONE_FILES and CLONE_SIGHAND end with an exec. */
static long unshare_parts(struct task *t)
{
	struct sighand *hand;
	struct fdtable *fds = fdtable_dup(t->fds, UINT32_MAX), *old_fds;

	if (!fds)
		return -LINUX_ENOMEM;
	hand = sighand_dup(t->group->sig->hand);
	if (!hand) {
		fdtable_put(fds);
		return -LINUX_ENOMEM;
	}
	mutex_lock(&t->group->sig_mu);
	old_fds = t->fds;
	t->fds = fds;
	sighand_put(t->group->sig->hand);
	t->group->sig->hand = hand;
	mutex_unlock(&t->group->sig_mu);
	fdtable_put(old_fds);
	return 0;
}

void signal_exec_reset(struct task *t)
{
	struct sighand *h = t->group->sig->hand;

	mutex_lock(&t->group->sig_mu);
	mutex_lock(&h->mu);
	for (int i = 0; i < LINUX_NSIG; i++) {
		if (h->act[i].handler != LINUX_SIG_IGN)
			h->act[i].handler = LINUX_SIG_DFL;
		h->act[i].flags = h->act[i].mask = h->act[i].restorer = 0;
	}
	mutex_unlock(&h->mu);
	mutex_unlock(&t->group->sig_mu);
	t->sig->alt_sp = t->sig->alt_size = 0;
	t->sig->alt_flags = LINUX_SS_DISABLE;
}

/* From here on only success or death. */
long exec_commit(struct task *t, struct exec_image *img, struct cred *cred, bool secure)
{
	bool gains = exec_gains(t->cred, cred) || vfs_permission(loader_file(img)->inode, 4 /* read */, t->cred) < 0;
	long ret;

	task_robust_exit(t); /* the old image's locks are released as at exit */
	ret = replace_mm(t, gains);
	vfork_release(t);
	if (ret < 0) {
		cred_put(cred);
		publish(t);
		return ret;
	}
	task_set_thread_words(t, 0, 0);
	sem_undo_exec(t);
	keys_exec(t);
	timers_exec(t->group);
	signal_exec_reset(t);
	fdtable_close_on_exec(t->fds);
	task_set_comm(t, loader_comm(img));
	task_set_cred(t, cred);
	t->group->dumpable = !secure;
	if (secure)
		t->sig->pdeath_signal = 0;
	mutex_lock(&tasks_mu);
	t->group->did_exec = true;
	mutex_unlock(&tasks_mu);
	publish(t);
	loader_set_creds(img, t->cred, secure);
	uthread_init_fpu(t->u);
	mm_set_stack_limit(t->mm, task_rlimit(t, LINUX_RLIMIT_STACK));
	return loader_commit(img, t->mm, t->u, task_rlimit(t, LINUX_RLIMIT_STACK));
}

static long open_program(struct task *t, struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t at_flags,
			 struct file **out)
{
	uint32_t walk = (at_flags & LINUX_AT_SYMLINK_NOFOLLOW) ? 0 : WALK_FOLLOW;

	if (at_flags & LINUX_AT_EMPTY_PATH)
		walk |= WALK_EMPTY_OK;
	*ctx = task_vfs_ctx(t);
	return vfs_open_exec(ctx, dirfd, path, walk, out);
}

/* The name scripts and AT_EXECFN see: /dev/fd/N[/path] for execveat(2). */
static void exec_name(char *out, size_t cap, int dirfd, const char *path)
{
	if (dirfd == LINUX_AT_FDCWD || path[0] == '/')
		snprintf(out, cap, "%s", path);
	else if (!path[0])
		snprintf(out, cap, "/dev/fd/%d", dirfd);
	else
		snprintf(out, cap, "/dev/fd/%d/%s", dirfd, path);
}

long task_exec(struct task *t, int dirfd, const char *path, uint32_t at_flags, struct exec_strings *argv,
	       struct exec_strings *envp)
{
	struct exec_image *img;
	struct exec_args args = { .argv = argv, .envp = envp, .personality = t->personality };
	struct vfs_ctx ctx;
	struct cred *cred;
	char *name;
	bool secure;
	long ret;

	/* Too many processes by setuid(2) since: the limit bites here. */
	ret = open_program(t, &ctx, dirfd, path, at_flags, &args.file);
	if (ret < 0)
		return ret;
	name = malloc(PATH_MAX_BYTES + 32);
	if (!name) {
		file_put(args.file);
		return -LINUX_ENOMEM;
	}
	exec_name(name, PATH_MAX_BYTES + 32, dirfd, path);
	args.ctx = &ctx;
	args.filename = name;
	ret = loader_prepare(&args, &img);
	if (ret < 0)
		goto out;
	ret = exec_credentials(t, loader_file(img), &cred, &secure);
	if (!ret) {
		ret = task_dethread(t);
		if (!ret)
			ret = unshare_parts(t);
		if (ret < 0) {
			cred_put(cred);
		} else {
			ret = exec_commit(t, img, cred, secure);
			task_set_work(t, TW_NORET);
			if (ret < 0) {
				signal_force_fatal(t, LINUX_SIGKILL);
				ret = 0;
			} else {
				ptrace_exec(t);
			}
		}
	}
	loader_free(img);
out:
	free(name);
	return ret;
}
