/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/platform.h - running guest code until it calls
 *
 * Model:   a uspace is one host process (a stub process: one guest address space), a uthread one of its
 *          host threads (one guest thread). Guest memory is that process's ordinary private memory; the host
 *          does paging, copy-on-write and scheduling (DESIGN.md sections 2 and 3). All functions that take a uthread are
 *          called by the kthread that runs it, while it is stopped, unless they say otherwise.
 * Hostile: everything that arrives from a stub process. Fields of struct uthread are the Sentry's own copies,
 *          taken once per event.
 * Locks:   none of the caller's mutexes may be held; functions marked (sleeps) switch the kthread.
 */
#ifndef SENTRY_PLATFORM_H
#define SENTRY_PLATFORM_H

#include "base/list.h"
#include "base/mutex.h"
#include "sentry/abi/errno.h"
#include "sentry/arch/x86_64/regs.h"
#include "sentry/platform/ushared.h"

/* A guest address: cannot be dereferenced or mixed up with a Sentry pointer. */
struct gptr {
	uint64_t v;
};
#define GPTR(x)	  ((struct gptr){ (uint64_t)(x) })
#define GNULL	  GPTR(0)

struct uzygote;
struct uspace;

enum uevent {
	UEV_SYSCALL,	/* sysno and args are valid */
	UEV_FAULT,	/* fault is valid */
	UEV_INTERRUPT,	/* uthread_kick() had its effect: look for signals, stops, exits */
	UEV_UNBORN,	/* it never was: the host refused to make it (only after a birth "later") */
	UEV_DEAD,	/* the host thread or process is gone (killed from outside, out of memory, hostile) */
};

struct ufault {
	int signo;	/* SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP */
	int code;	/* si_code */
	uint64_t addr;	/* si_addr */
	uint64_t trapno, err;
};

struct uthread {
	struct uspace *space;
	struct ushared *sh;	/* changes in uthread_rehost() only; what it was stays readable until the next rehost */

	/* The last event. */
	uint32_t sysno;
	uint64_t args[6];
	struct ufault fault;
	/* UEV_INTERRUPT: 0, or -ERESTARTSYS & co.: a call that the stub was sleeping in (futex, nanosleep) was cut short and
	 * "returned" this. The registers are as in a call (orig_rax is its number, rip behind it): end or restart
	 * it as after any handler that returned such a code; for -ERESTART_RESTARTBLOCK the guest's restart_syscall(2)
	 * is answered in the stub. */
	long intr_ret;

	void *owner;	/* the task; set by the task layer */
	/* the platform's own part follows in platform_internal.h (struct uthread is its first member) */
};

/* ---- life ------------------------------------------------------------------------------------------ */

/**
 * platform_init() - probe the host, start workers and pollers
 * @ncpus:	CPUs that the sandbox may use (quota included); polling needs at least 2
 * @flags:	UPF_*
 * Return: 0, or -LINUX_E*
 */
#define UPF_NO_REWRITE 1u /* leave call sites alone: every call traps */
#define UPF_NO_POLL    2u /* never spin: every call is a notification */
long platform_init(unsigned ncpus, unsigned flags);

/**
 * uzygote_new() - adopt a container's zygote
 * @listener_fd: its seccomp listener; ownership moves
 * @region:	base address of the stub region that the zygote reported with it
 * @on_death:	called on the reactor thread when the zygote (hence every process of the container) is gone
 * Return: (sleeps) 0, or -LINUX_E*
 */
long uzygote_new(int listener_fd, uint64_t region, void (*on_death)(void *arg), void *arg, struct uzygote **out);
void uzygote_kill(struct uzygote *z); /* ends every process of the container and frees @z once they are gone */

/* A fresh process with one thread and nothing mapped below the stub region. (sleeps) */
long uspace_new(struct uzygote *z, struct uthread **out);

/* Like fork(2): a new process whose memory is a copy, whose one thread has the parent's registers. The child is
 * stopped until its kthread calls uthread_run(). (sleeps) */
void uthread_prepare_fork(struct uthread *parent); /* before it takes locks of its address space: may change its text (sleeps) */
long uthread_fork(struct uthread *parent, bool later, struct uthread **out_child);

/* A new thread in the parent's process with a copy of its registers, stopped likewise. (sleeps) */
long uthread_clone(struct uthread *parent, bool later, struct uthread **out_child);

/*
 * @later of both: the host makes the child while the parent goes back to its guest, which saves a round trip. Should the host refuse,
 * its error replaces the parent's result, and the child's uthread_run() returns UEV_UNBORN. Until the parent's next
 * uthread_run() the child is not there, so that one must come soon: who stops the parent before says uthread_settle(). Only one
 * birth may be on its way. uthread_cancel_birth(): the caller frees the child instead.
 */
long uthread_settle(struct uthread *parent);	/* (sleeps) no birth is on its way after this; 0, or the host's refusal */
void uthread_cancel_birth(struct uthread *parent);
/* While a birth is on its way: @value is stored at @addr right before it; an address that cannot be written does not matter. */
bool uthread_store_at_birth(struct uthread *parent, uint64_t addr, uint32_t value);

/* Moves @u into a fresh process of the zygote, for an exec whose address space others still use; the thread
 * it had ends. Register contents are lost. (sleeps) */
long uthread_rehost(struct uthread *u);

/* Unmaps everything below the stub region, forgets rewritten sites, drops cached descriptors: exec with the address
 * space to itself. (sleeps) */
long uspace_reset(struct uthread *u);

/* Ends the host thread and frees @u; the process ends with its last thread. Never waits for the guest. */
void uthread_free(struct uthread *u);

/* SIGKILLs the host process at once: every uthread_run() in it returns UEV_DEAD. Any thread may call. */
void uspace_kill(struct uspace *s);

/* References for those who look at a process from outside and may outlive it (struct mm): after its end, uspace_read() and
 * uspace_write() answer -LINUX_ESRCH. */
struct uspace *uspace_get(struct uspace *s);
void uspace_put(struct uspace *s);

/* Host pid (in the Sentry's pid namespace) and tid; for ps and cgroup matters. */
int uspace_host_pid(const struct uspace *s);
int uthread_host_tid(const struct uthread *u);

/* What the host's tools show: the thread's name, like prctl(PR_SET_NAME), at the next run; */
void uthread_set_name(struct uthread *u, const char name[16]);
/* and the process's command line: @len bytes of NUL-terminated strings, cut at what there is room for. */
void uspace_set_title(struct uspace *s, const char *args, size_t len);

/* ---- running ------------------------------------------------------------------------------------------ */

/* Always called by the same kthread, which also frees @u (one that gives @u away first says kthread_set_guest(self, NULL)).
 * Resumes the guest and sleeps until its next event. The pending result (uthread_set_ret), registers and memory
 * operations take effect first; if a deferred operation fails, its -LINUX_E* replaces the result. */
enum uevent uthread_run(struct uthread *u);

/* Result of the system call that is being answered. */
void uthread_set_ret(struct uthread *u, long ret);

/* Instead of a result: the stub makes the call by itself after all (futex, restart_syscall: only the host can), although
 * forward_all is set. Cut short before it began, it comes back as UEV_INTERRUPT with -ERESTARTSYS. */
void uthread_answer_local(struct uthread *u);

/* Takes that back: true when it had been said, and the call is as if it had not been answered. */
bool uthread_unanswer_local(struct uthread *u);

/* Makes uthread_run() return UEV_INTERRUPT soon (or the event that happened first). Any thread may call, also when
 * the thread is not running: then the next run returns at once. */
void uthread_kick(struct uthread *u);

/* Its host thread is at work, on guest code or on an operation for the Sentry, and has not come back. Any thread may call. */
bool uthread_is_away(const struct uthread *u);

/* All registers, as they are after the event (in a call: rip behind the syscall instruction, rax not yet the result,
 * orig_rax the number). Setting them replaces a pending result. */
void uthread_get_regs(struct uthread *u, struct guest_regs *out);
void uthread_set_regs(struct uthread *u, const struct guest_regs *regs);

/* Floating point and vector state, XSAVE standard format with the Linux software-reserved bytes.
 * get: (sleeps) bytes written (at most @cap), or -LINUX_E*; set: @len bytes, checked: bad headers give -LINUX_EINVAL. */
long uthread_get_fpu(struct uthread *u, void *buf, size_t cap);
long uthread_set_fpu(struct uthread *u, const void *buf, size_t len);
void uthread_init_fpu(struct uthread *u);
size_t platform_xsave_size(void); /* bytes of the image, software bytes included; also for AT_MINSIGSTKSZ */

/* ---- guest memory ----------------------------------------------------------------------------------------- */

/* Copies between the Sentry and @u's memory; out-copies may be carried out at the next run, and then turn its result
 * into -LINUX_EFAULT. Return: 0, or -LINUX_EFAULT; partial effects as in Linux. (may sleep) */
long umem_copy_in(struct uthread *u, void *dst, struct gptr src, size_t len);
long umem_copy_out(struct uthread *u, struct gptr dst, const void *src, size_t len);
/* One host call, which reads @src: a mapping of a file that was cut short is -LINUX_EFAULT, not SIGBUS. So is a host that refuses:
 * copy another way then. Pays from UMEM_DIRECT_MIN on, as it looks up every page. */
long umem_copy_out_direct(struct uthread *u, struct gptr dst, const void *src, size_t len);
#define UMEM_DIRECT_MIN (32 * 1024)
/* How many bytes from the start of [src, src+len) were copied (partial reads stop at a bad page); for read(2)-like calls. */
long umem_copy_in_partial(struct uthread *u, void *dst, struct gptr src, size_t len);
/* A NUL-terminated string: length without NUL, -LINUX_ENAMETOOLONG when @cap does not suffice, -LINUX_EFAULT. */
long umem_copy_in_str(struct uthread *u, char *dst, size_t cap, struct gptr src);

/* Guest memory that came along with the present call, as it was then: false when [src, src+len) did not. */
bool umem_sent(struct uthread *u, void *dst, struct gptr src, size_t len);

/* Out-copies of this call so far are done now (for calls whose later steps depend on them, and before anybody else may look). */
long umem_flush(struct uthread *u);

/* The memory of any process of the sandbox, by any thread: bytes copied from the start, or -LINUX_EFAULT/-LINUX_ESRCH. */
long uspace_read(struct uspace *s, void *dst, uint64_t src, size_t len);
long uspace_write(struct uspace *s, uint64_t dst, const void *src, size_t len);

/* Compares and exchanges a 32-bit word of @u's memory atomically, now. 0: done, 1: it was not @old, -LINUX_EFAULT, -LINUX_ESRCH. (sleeps) */
long umem_cmpxchg32(struct uthread *u, uint64_t addr, uint32_t old, uint32_t new_);

enum umem_op_kind {
	UMEM_MAP_ANON,	/* prot; flags: UMEM_SHARED_NONE only; fixed */
	UMEM_MAP_FILE,	/* private, or shared with UMEM_SHARED */
	UMEM_UNMAP,
	UMEM_PROTECT,
	UMEM_REMAP,	/* addr,len -> addr2,len2, always fixed */
	UMEM_ADVISE,	/* advice in flags */
	UMEM_STORE32,	/* value in len, at addr (futex words at exit) */
	UMEM_FUTEX_WAKE,/* addr, at most len waiters */
	UMEM_MEMBARRIER,/* flags = command */
	UMEM_ZERO,	/* bytes addr..addr+len (bss tail) */
};
#define UMEM_SHARED	1u	/* MAP_SHARED of the file: needs a writable descriptor if PROT_WRITE */
#define UMEM_GROWSDOWN	2u
#define UMEM_NORESERVE	4u
#define UMEM_POPULATE	8u
#define UMEM_LOCKED	16u

struct umem_op {
	enum umem_op_kind kind;
	uint32_t prot, flags;	/* PROT_*; UMEM_* or advice */
	uint64_t addr, len, addr2, len2;
	/* UMEM_MAP_FILE */
	int host_fd;		/* borrowed for the call */
	uint64_t file_id;	/* non-zero: descriptor is read-only, may be cached in the process under this id */
	uint64_t off;
};

/* Carries out @n operations in order in @u's address space now; stops at the first failure.
 * Return: (sleeps) 0, or the failed one's -LINUX_E* with *@out_done (may be NULL) = how many succeeded. */
long umem_exec(struct uthread *u, const struct umem_op *ops, size_t n, size_t *out_done);

/* Queues one operation for the next uthread_run(): no extra round trip. Only when no other thread can change this
 * address space meanwhile, or when the range is new to the guest. 0, or the errno of running the queue early. */
long umem_defer(struct uthread *u, const struct umem_op *op);

/* Queues operations that the host thread carries out as the last it does, after uthread_free(). False: not this thread, do them now.
 * Whoever empties the address space afterwards asks uspace_alone() first. */
bool umem_at_end(struct uthread *u, const struct umem_op *ops, size_t n);
bool uspace_alone(const struct uthread *u); /* every other host thread there was in @u's process is gone */

/* Forget read-only descriptors cached in the process (credentials changed). (sleeps) */
void uspace_drop_files(struct uthread *u);

/* Usable guest addresses: [4096.. , uspace_limit()). The stub region and everything above are not the guest's. */
uint64_t uspace_limit(const struct uspace *s);
/* Address of the host's vDSO in every process, 0 if none (AT_SYSINFO_EHDR). */
uint64_t uspace_vdso(const struct uspace *s);
/* Where the platform may put thunks for rewritten call sites: asks the mm layer for an unused range of @len bytes
 * within reach of @near; set once at boot. The mm layer records it as a special mapping. */
extern uint64_t (*platform_find_near)(void *owner, uint64_t near, uint64_t len);
/* Before a call site of @owner's memory is rewritten: takes the lock of its address space and returns the PROT_* bits of the
 * private mapping at @addr, or -LINUX_EPERM when it must not be written (shared, not there). The unlock follows
 * in each case that did not fail. platform_find_near() is called with the lock held. (sleeps) Set once at boot; NULL = no rewriting. */
extern long (*platform_text_lock)(void *owner, uint64_t addr);
extern void (*platform_text_unlock)(void *owner);

/* Told by the kthread inside uthread_run() when the host refused a deferred operation, before the next event is returned; the
 * thread is stopped and umem_exec() may be used. mm forgets the range that was never mapped. Set once at boot; may be NULL. */
extern void (*platform_defer_failed)(struct uthread *u, const struct umem_op *op, long err);

/* Counters, for `runsc debug` and metrics. */
struct platform_stats {
	uint64_t calls_polled, calls_notified, calls_trapped, sites_rewritten, faults, kicks, forks, threads;
};
void platform_stats(struct platform_stats *out);

#endif
