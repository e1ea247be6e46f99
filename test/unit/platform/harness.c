/* SPDX-License-Identifier: Apache-2.0
 * test/unit/platform/harness.c - see harness.h
 */
#include "harness.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "mains.h"
#include "sentry/platform/stub/layout.h"

/* Criterion's assertions cannot leave a kthread's stack in the benchmark, which shares this file. */
#define must(c)                                                                                    \
	do {                                                                                       \
		if (!(c)) {                                                                        \
			fprintf(stderr, "harness: %s:%d: %s\n", __FILE__, __LINE__, #c);           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

extern char __start_guest_text[], __stop_guest_text[];

struct job {
	void (*fn)(struct uzygote *z, void *arg);
	void *arg;
	int listener;
	uint64_t region;
	sem_t done;
};

const char *harness_unsupported(void)
{
	return geteuid() == 0 ? NULL : "needs root for process_vm_readv and namespaces";
}

void (*harness_before_zygote)(void);
bool harness_text_by_stub;

static pid_t zygote_start(int *out_listener, uint64_t *out_region)
{
	struct stub_hello h;
	size_t nfds = 1;
	int sv[2];
	pid_t pid;
	char *argv[] = { "zygote", NULL };

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, 9);
		dup2(sv[1], 3);
		if (harness_before_zygote)
			harness_before_zygote();
		_exit(zygote_launch_main(1, argv));
	}
	close(sv[1]);
	must(fd_recv(sv[0], &h, sizeof(h), out_listener, &nfds, 0) == (ssize_t)sizeof(h));
	must(nfds == 1u);
	must(h.magic == STUB_HELLO_MAGIC);
	*out_region = h.region;
	close(sv[0]);
	return pid;
}

/* The mm layer's part in rewriting: thunks go right behind the text. */
static _Atomic unsigned thunk_pages;
static uint64_t near_find(void *owner, uint64_t near, uint64_t len)
{
	return GUEST_TEXT + 0x1000000 + PAGE_SIZE * thunk_pages++;
}

static long text_lock(void *owner, uint64_t addr)
{
	return addr >= GUEST_TEXT && addr < GUEST_TEXT + 0x100000 ? PROT_READ | PROT_EXEC : -LINUX_EPERM;
}

static void text_unlock(void *owner)
{
}

struct uzygote *harness_zygote(int *out_pid)
{
	struct uzygote *z = NULL;
	uint64_t region;
	int listener;

	*out_pid = zygote_start(&listener, &region);
	must(uzygote_new(listener, region, NULL, NULL, &z) == 0);
	return z;
}

static void job_main(void *arg)
{
	struct job *j = arg;
	struct uzygote *z = NULL;

	must(uzygote_new(j->listener, j->region, NULL, NULL, &z) == 0);
	j->fn(z, j->arg);
	uzygote_kill(z);
	sem_post(&j->done);
}

void harness_run(unsigned flags, void (*fn)(struct uzygote *z, void *arg), void *arg)
{
	struct job j = { .fn = fn, .arg = arg };
	pid_t pid;

	log_setup(2, LOG_FMT_TEXT, LOG_LV_INFO, "test");
	pid = zygote_start(&j.listener, &j.region);
	sem_init(&j.done, 0, 0);
	platform_find_near = near_find;
	platform_text_lock = text_lock;
	platform_text_unlock = text_unlock;
	must(run_start(2) == 0);
	must(platform_init(2, flags) == 0);
	must(kthread_start(job_main, &j, "test"));
	sem_wait(&j.done);
	waitpid(pid, NULL, 0);
}

uint64_t harness_guest_addr(const void *fn)
{
	return GUEST_TEXT + (uint64_t)((const char *)fn - __start_guest_text);
}

void harness_start_at(struct uthread *u, void *entry, uint64_t arg, uint64_t sp)
{
	struct guest_regs r = { 0 };

	r.rip = harness_guest_addr(entry);
	r.rsp = sp - 8; /* as if called */
	r.rdi = arg;
	r.orig_rax = ~0ull;
	uthread_set_regs(u, &r);
}

struct uthread *harness_guest(struct uzygote *z, void *entry, uint64_t arg)
{
	size_t text = ALIGN_UP((size_t)(__stop_guest_text - __start_guest_text), 4096);
	struct umem_op ops[] = {
		{ .kind = UMEM_MAP_ANON, .prot = PROT_READ | PROT_WRITE, .addr = GUEST_TEXT, .len = text },
		{ .kind = UMEM_MAP_ANON, .prot = PROT_READ | PROT_WRITE, .addr = GUEST_DATA, .len = GUEST_DATA_LEN },
		{ .kind = UMEM_MAP_ANON, .prot = PROT_READ | PROT_WRITE, .addr = GUEST_STACK - GUEST_STACK_LEN, .len = GUEST_STACK_LEN },
	};
	struct umem_op rx = { .kind = UMEM_PROTECT, .prot = PROT_READ | PROT_EXEC, .addr = GUEST_TEXT, .len = text };
	struct uthread *u;
	size_t done;

	must(uspace_new(z, &u) == 0);
	must(umem_exec(u, ops, 3, &done) == 0);
	must(done == 3u);
	if (harness_text_by_stub)
		must(umem_copy_out(u, GPTR(GUEST_TEXT), __start_guest_text, (size_t)(__stop_guest_text - __start_guest_text)) == 0 &&
		     umem_flush(u) == 0);
	else
		must(uspace_write(u->space, GUEST_TEXT, __start_guest_text, (size_t)(__stop_guest_text - __start_guest_text)) == (long)(__stop_guest_text - __start_guest_text));
	must(umem_exec(u, &rx, 1, &done) == 0);
	harness_start_at(u, entry, arg, GUEST_STACK);
	return u;
}
