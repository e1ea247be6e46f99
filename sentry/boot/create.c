/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/create.c - CreateContainer and Exec: from messages to the kernel's own structures
 *
 * Model:   everything is converted and checked here; the kernel sees no protobuf. Descriptors move step by step, so that a
 *          failure at any point closes exactly what has not been handed on.
 */
#include <string.h>

#include "base/fdpass.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/run/budget.h"
#include "sentry/platform/stub/layout.h"
#include "sentry/socket/socket.h"
#include "sentry/task/kernel_id.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/seccomp_bpf.h"

#define PB(name) runsc__control__v1__##name
#define ROLE(n)	 RUNSC__CONTROL__V1__FD_ROLE__FD_##n
#define NSK(n)	 RUNSC__CONTROL__V1__NAMESPACE_KIND__NS_##n

typedef Runsc__Control__V1__CreateContainerRequest create_request;

/* ---- processes ---------------------------------------------------------------------------------------- */

/* A Process message as the kernel wants it. */
struct process_conv {
	struct process_args a;
	const char **argv, **envp;	/* owned arrays of borrowed strings; envp has room for one more */
	char *home;			/* "HOME=..", owned, NULL when it came with the request */
	struct rlimit64 rl[RLIM_COUNT];
	int pass[PROCESS_FDS_MAX - 3], pass_as[PROCESS_FDS_MAX - 3];
	struct linux_sock_filter *seccomp; /* owned, aligned copy */
	bool stdio_taken;
};

/* Closes what the kernel did not take: taken descriptors have become -1. */
static void conv_fini(struct process_conv *p)
{
	free(p->argv);
	free(p->envp);
	free(p->home);
	for (int i = 0; i < 3 && !p->stdio_taken; i++)
		if (p->a.stdio[i] >= 0)
			host_call(close, p->a.stdio[i]);
	for (unsigned i = 0; i < p->a.nr_pass && !p->stdio_taken; i++)
		host_call(close, p->pass[i]);
	free(p->seccomp);
	if (p->a.chan >= 0)
		host_call(close, p->a.chan);
}

/* The kernel has taken the descriptors. */
static void conv_moved(struct process_conv *p)
{
	p->a.stdio[0] = p->a.stdio[1] = p->a.stdio[2] = p->a.chan = -1;
	p->a.nr_pass = 0;
}

static const char **strings(char **v, size_t n)
{
	const char **out = calloc(n + 2, sizeof(*out));

	for (size_t i = 0; out && i < n; i++)
		out[i] = v[i];
	return out;
}

static long conv_rlimits(const Runsc__Control__V1__Process *m, struct process_conv *p)
{
	for (size_t i = 0; i < m->n_rlimits; i++) {
		const Runsc__Control__V1__Rlimit *r = m->rlimits[i];

		if (r->resource >= RLIM_COUNT || r->soft > r->hard)
			return -LINUX_EINVAL;
		p->rl[r->resource] = (struct rlimit64){ .cur = r->soft, .max = r->hard };
		p->a.rlimit_mask |= 1u << r->resource;
	}
	p->a.rlimits = p->rl;
	return 0;
}

static long conv_fds(struct boot_fds *fds, struct process_args *a)
{
	int console = boot_fd_take(fds, ROLE(CONSOLE));

	a->chan = boot_fd_take(fds, ROLE(INIT));
	a->stdio[0] = console >= 0 ? console : boot_fd_take(fds, ROLE(STDIN));
	for (int i = 1; i < 3; i++) {
		/* a terminal is one descriptor three times: every slot owns a copy */
		long fd = console >= 0 ? host_call(fcntl, console, 1030 /* F_DUPFD_CLOEXEC */, 3) :
					 boot_fd_take(fds, i == 1 ? ROLE(STDOUT) : ROLE(STDERR));

		if (console >= 0 && fd < 0)
			return fd;
		a->stdio[i] = (int)fd;
	}
	return 0;
}

/* Descriptors beyond stdio. Those that were not taken yet are closed with the request. */
static long conv_passed(const Runsc__Control__V1__Process *m, struct boot_fds *fds, struct process_conv *p)
{
	unsigned n = 0;
	int fd;

	while (n < ARRAY_SIZE(p->pass) && (fd = boot_fd_take(fds, ROLE(PASSED))) >= 0) {
		p->pass[n] = fd;
		p->pass_as[n] = n < m->n_passed_as ? (int)MIN(m->passed_as[n], (uint32_t)PROCESS_FD_LIMIT) : 3 + (int)n;
		n++;
	}
	p->a.pass = p->pass;
	p->a.pass_as = p->pass_as;
	p->a.nr_pass = n;
	for (unsigned i = 0; i < n; i++)
		if (p->pass_as[i] < 3 || p->pass_as[i] >= PROCESS_FD_LIMIT)
			return -LINUX_EINVAL;
	return 0;
}

static long conv_seccomp(const Runsc__Control__V1__Process *m, struct process_conv *p)
{
	size_t len = m->seccomp_bpf.len / sizeof(*p->seccomp);

	if (!m->seccomp_bpf.len)
		return 0;
	if (m->seccomp_bpf.len % sizeof(*p->seccomp) || len > LINUX_BPF_MAXINSNS)
		return -LINUX_EINVAL;
	p->seccomp = malloc(m->seccomp_bpf.len);
	if (!p->seccomp)
		return -LINUX_ENOMEM;
	memcpy(p->seccomp, m->seccomp_bpf.data, m->seccomp_bpf.len);
	p->a.seccomp = p->seccomp;
	p->a.seccomp_len = (unsigned)len;
	return seccomp_bpf_check(p->seccomp, (unsigned)len) ? 0 : -LINUX_EINVAL;
}

static long conv_process(const Runsc__Control__V1__Process *m, struct boot_fds *fds, const char *exec_id, struct process_conv *p)
{
	long ret;

	memset(p, 0, sizeof(*p));
	conv_moved(p);
	p->a.stdio_taken = &p->stdio_taken;
	ret = conv_fds(fds, &p->a);
	if (ret)
		return ret;
	if (!m || !m->n_argv)
		return -LINUX_EINVAL;
	ret = conv_passed(m, fds, p);
	if (!ret)
		ret = conv_seccomp(m, p);
	if (ret)
		return ret;
	p->a.program = m->program[0] ? m->program : NULL;
	p->a.nice = m->has_nice ? m->nice : 0;
	p->a.sched_policy = (int)m->sched_policy;
	p->a.sched_priority = m->sched_priority;
	p->a.argv = p->argv = strings(m->argv, m->n_argv);
	p->a.envp = p->envp = strings(m->env, m->n_env);
	if (!p->argv || !p->envp)
		return -LINUX_ENOMEM;
	p->a.cwd = m->cwd[0] ? m->cwd : "/";
	p->a.uid = m->uid;
	p->a.gid = m->gid;
	p->a.groups = m->additional_gids;
	p->a.nr_groups = (uint32_t)m->n_additional_gids;
	p->a.set_umask = true;
	p->a.umask = m->has_umask ? m->umask & 0777 : 022;
	p->a.no_new_privs = m->no_new_privs;
	p->a.terminal = m->terminal;
	p->a.rows = (uint16_t)m->rows;
	p->a.cols = (uint16_t)m->cols;
	p->a.oom_score_adj = m->has_oom_score_adj ? m->oom_score_adj : 0;
	p->a.exec_id = exec_id;
	if (m->caps) {
		const uint64_t sets[5] = { m->caps->inheritable, m->caps->permitted, m->caps->effective, m->caps->bounding,
					   m->caps->ambient };

		for (int i = 0; i < 5; i++)
			p->a.caps[i] = sets[i] & CAP_FULL;
	}
	return conv_rlimits(m, p);
}

/* Adds $HOME where the request has none. */
static long conv_home(struct process_conv *p, struct container *c)
{
	size_t n = 0;

	for (; p->envp[n]; n++)
		if (!strncmp(p->envp[n], "HOME=", 5))
			return 0;
	p->home = boot_home(c, p->a.uid);
	p->envp[n] = p->home;
	return p->home ? 0 : -LINUX_ENOMEM;
}

/* Errors of finding the program are answers, not failures: the caller has its own texts for them. */
static bool is_exec_error(long ret)
{
	return ret == -LINUX_ENOENT || ret == -LINUX_EACCES || ret == -LINUX_EISDIR || ret == -LINUX_ENOTDIR || ret == -LINUX_ENOEXEC ||
	       ret == -LINUX_ELOOP || ret == -LINUX_ENAMETOOLONG || ret == -LINUX_ELIBBAD || ret == -LINUX_EPERM ||
	       ret == -LINUX_E2BIG;
}

void boot_exec(struct ttrpc_call *call, const Runsc__Control__V1__ExecRequest *q)
{
	struct boot_fds fds = { call, q->fds, q->n_fds };
	struct container *c = container_find(q->id);
	Runsc__Control__V1__ExecResponse r;
	struct process_conv p;
	uint32_t pid = 0;
	long ret, cwd = 0;

	if (!c) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s does not exist", q->id);
		return;
	}
	ret = conv_process(q->process, &fds, q->exec_id, &p);
	if (!ret)
		ret = conv_home(&p, c);
	p.a.cwd_error = &cwd;
	if (!ret)
		ret = container_exec(c, &p.a, &pid);
	if (!ret)
		conv_moved(&p);
	conv_fini(&p);
	container_put(c);
	PB(exec_response__init)(&r);
	r.exec_id = q->exec_id;
	r.pid = (int32_t)pid;
	r.cwd_errno = (uint32_t)-cwd;
	if (is_exec_error(ret))
		r.exec_errno = (uint32_t)-ret;
	else if (ret == -LINUX_ESRCH)
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "exec: container %s is not running", q->id);
	else if (ret)
		ttrpc_fail(call, ttrpc_code_from_errno((int)-ret), "exec: %s", strerror((int)-ret));
	if (!ret || is_exec_error(ret))
		ttrpc_reply(call, &r.base);
}

/* ---- containers -------------------------------------------------------------------------------------------- */

/* The zygote's handshake: one message with its region and its listener. */
static long zygote_hello(int sock, int *out_listener, uint64_t *out_region)
{
	struct stub_hello h;
	size_t nfds = 1;
	int fd = -1;
	ssize_t n;

	host_block_begin();
	n = fd_recv(sock, &h, sizeof(h), &fd, &nfds, 0);
	host_block_end();
	if (n != (ssize_t)sizeof(h) || nfds != 1 || h.magic != STUB_HELLO_MAGIC) {
		if (nfds == 1)
			host_call(close, fd);
		return n < 0 ? n : -LINUX_EPIPE;
	}
	*out_listener = fd;
	*out_region = h.region;
	return 0;
}

static void drop_zygote_ref(void *arg)
{
	struct container *c = arg;

	if (atomic_exchange(&c->zygote_ref, false))
		container_put(c);
}

static void zygote_end(void *arg)
{
	drop_zygote_ref(arg);
	container_put(arg);
}

/* Once, on any host thread. What the last reference takes along may sleep: on a kthread. */
static void zygote_died(void *arg)
{
	container_zygote_died(arg);
	container_get(arg);
	if (!kthread_start(zygote_end, arg, "zygote-end"))
		log_warn("no memory to let go of a container");
}

static long adopt_zygote(struct container *c, struct boot_fds *fds, struct err *e)
{
	int sock = boot_fd_take(fds, ROLE(ZYGOTE)), listener = -1;
	uint64_t region = 0;
	long ret;

	if (sock < 0) {
		err_set(e, 0, "no zygote came with the request");
		return -LINUX_EINVAL;
	}
	ret = zygote_hello(sock, &listener, &region);
	host_call(close, sock);
	if (ret) {
		err_set(e, 0, "the zygote ended during its start");
		return ret;
	}
	container_get(c); /* for zygote_died(), which may come before we know that it failed */
	atomic_store(&c->zygote_ref, true);
	ret = uzygote_new(listener, region, zygote_died, c, &c->zygote);
	if (ret) {
		drop_zygote_ref(c);
		err_set(e, 0, "the zygote cannot be used");
	}
	return ret;
}

static bool wants_ns(const create_request *q, int kind, const char **out_share)
{
	*out_share = "";
	for (size_t i = 0; i < q->n_namespaces; i++)
		if ((int)q->namespaces[i]->kind == kind) {
			*out_share = q->namespaces[i]->share_with;
			return true;
		}
	return false;
}

/* The sandbox's first container: what kinds that are not listed mean. */
static struct container *first_container(const create_request *q)
{
	return strcmp(q->id, q->sandbox_id) && q->sandbox_id[0] ? container_find(q->sandbox_id) : NULL;
}

/* Whose namespace of @kind this container joins: a reference, or NULL for a new one. */
static struct container *ns_donor(const create_request *q, int kind)
{
	const char *share;
	bool listed = wants_ns(q, kind, &share);

	if (listed)
		return share[0] ? container_find(share) : NULL;
	return first_container(q);
}

static void put_donor(struct container *c)
{
	if (c)
		container_put(c);
}

static long make_namespaces(const create_request *q, struct ns_set *s)
{
	struct cgroup *cg;
	struct container *d;

	d = ns_donor(q, NSK(UTS));
	s->uts = d ? uts_ns_get(d->ns->uts) : uts_ns_new(&init_user_ns, q->hostname, q->domainname[0] ? q->domainname : "(none)");
	put_donor(d);
	d = ns_donor(q, NSK(IPC));
	s->ipc = d && ns_ops[NS_IPC] ? ns_ops[NS_IPC]->get(d->ns->ipc) : NULL;
	if (!d && ns_ops[NS_IPC])
		ns_ops[NS_IPC]->create(NULL, &init_user_ns, (void **)&s->ipc);
	put_donor(d);
	d = ns_donor(q, NSK(NETWORK));
	if (d)
		s->net = net_ns_ref_get(d->ns->net);
	else if (!strcmp(q->id, q->sandbox_id))
		s->net = boot_network_get();
	else
		s->net = boot_network_new();
	put_donor(d);
	d = ns_donor(q, NSK(PID));
	if (d)
		s->pid = pid_ns_get(d->pid_ns);
	else if (pid_ns_new(NULL, &init_user_ns, &s->pid) < 0)
		s->pid = NULL;
	put_donor(d);
	if (!cgroup_new_container(&cg)) {
		s->cgroup = cgroup_ns_new(&init_user_ns, cg, ns_new_ino());
		if (!s->cgroup)
			cgroup_unlink(cg);
		cgroup_put(cg);
	}
	return s->uts && s->net && s->pid && s->cgroup ? 0 : -LINUX_ENOMEM;
}

static void put_namespaces(struct ns_set *s)
{
	if (s->uts)
		uts_ns_put(s->uts);
	if (s->ipc)
		ns_ops[NS_IPC]->put(s->ipc);
	net_ns_ref_put(s->net);
	if (s->pid)
		pid_ns_put(s->pid);
	cgroup_ns_put(s->cgroup);
}

/* Everything but the zygote and the process. */
static long make_container(const create_request *q, struct boot_fds *fds, struct container **out, struct err *e)
{
	struct container_config cfg = { .id = q->id, .memory_limit = q->memory_limit_bytes };
	struct mnt_ns *mnt = NULL;
	struct path root = { 0 };
	struct ns_set s = { 0 };
	long ret;

	ret = make_namespaces(q, &s);
	if (ret) {
		err_set(e, 0, "container %s: %s", q->id, strerror((int)-ret));
		goto out;
	}
	ret = rootfs_make(q, boot_fd_take(fds, ROLE(GOFER)), &s, &mnt, &root, e);
	if (ret)
		goto out;
	cfg.ns = nsproxy_make(mnt, s.uts, s.ipc, s.net, s.pid, s.cgroup);
	cfg.pid_ns = pid_ns_get(s.pid);
	cfg.fs = fs_struct_new(&root, &root, 022);
	cfg.cred = cred_new_root();
	cfg.cgroup = cgroup_get(s.cgroup->root);
	ret = cfg.ns && cfg.fs && cfg.cred ? container_new(&cfg, out) : -LINUX_ENOMEM;
	if (ret) {
		err_set(e, 0, "container %s: %s", q->id, strerror((int)-ret));
		nsproxy_put(cfg.ns);
		if (cfg.pid_ns)
			pid_ns_put(cfg.pid_ns);
		fs_struct_put(cfg.fs);
		cred_put(cfg.cred);
		cgroup_put(cfg.cgroup);
	}
	mnt_ns_put(mnt);
	path_put(&root);
out:
	if (ret && s.cgroup)
		cgroup_unlink(s.cgroup->root);
	put_namespaces(&s);
	return ret;
}

long boot_limits_set(struct container *c, const Runsc__Control__V1__Resources *r)
{
	struct container_limits *l = &c->limits;

	if (!r)
		return 0;
	if (strlen(r->cpus) >= sizeof(l->cpus))
		return -LINUX_EINVAL;
	if (r->has_memory_max) {
		atomic_store(&l->memory_max, r->memory_max);
		budget_set_limit(c->budget, r->memory_max == CONTAINER_NO_LIMIT ? 0 : r->memory_max);
	}
	if (r->has_swap_max)
		atomic_store(&l->swap_max, r->swap_max);
	if (r->has_cpu_quota)
		atomic_store(&l->cpu_quota_us, r->cpu_quota_us);
	if (r->has_pids_max)
		atomic_store(&l->pids_max, r->pids_max);
	if (r->memory_low)
		atomic_store(&l->memory_low, r->memory_low);
	if (r->cpu_period_us)
		atomic_store(&l->cpu_period_us, r->cpu_period_us);
	if (r->cpu_shares)
		atomic_store(&l->cpu_shares, r->cpu_shares);
	if (r->cpus[0]) {
		mutex_lock(&l->mu);
		strcpy(l->cpus, r->cpus);
		mutex_unlock(&l->mu);
	}
	return 0;
}

static long set_host_map(bool gid, Runsc__Control__V1__IdMap *const *v, size_t n)
{
	struct id_extent *ext = n ? calloc(n, sizeof(*ext)) : NULL;

	if (!n)
		return 0;
	if (!ext)
		return -LINUX_ENOMEM;
	for (size_t i = 0; i < n; i++)
		ext[i] = (struct id_extent){ .inside = v[i]->inside, .outside = v[i]->outside, .count = v[i]->count };
	user_ns_set_host_map(gid, ext, (uint32_t)n);
	return 0;
}

/* Ids of a pod's user namespace; the containers of a pod have one and the same. */
static long set_host_maps(const create_request *q)
{
	static bool done;
	long ret;

	if (done || strcmp(q->id, q->sandbox_id))
		return 0;
	done = true;
	ret = set_host_map(false, q->uid_maps, q->n_uid_maps);
	return ret ? ret : set_host_map(true, q->gid_maps, q->n_gid_maps);
}

void boot_create_container(struct ttrpc_call *call, const create_request *q)
{
	struct boot_fds fds = { call, q->fds, q->n_fds };
	Runsc__Control__V1__CreateContainerResponse r;
	struct container *c = NULL;
	struct process_conv p;
	struct err e = ERR_INIT;
	long ret, cwd = 0;

	PB(create_container_response__init)(&r);
	/* The sandbox shows the memory of its first container's limit, as gVisor does. */
	if (q->memory_limit_bytes && !strcmp(q->id, q->sandbox_id))
		kernel_set_total_memory(q->memory_limit_bytes);
	ret = conv_process(q->process, &fds, NULL, &p);
	if (!ret)
		ret = set_host_maps(q);
	if (ret)
		err_set(&e, 0, "process: %s", strerror((int)-ret));
	if (!ret)
		ret = make_container(q, &fds, &c, &e);
	if (!ret)
		ret = boot_limits_set(c, q->resources);
	if (!ret)
		ret = boot_set_sysctls(c, q->sysctls, q->n_sysctls, &e);
	if (!ret)
		ret = conv_home(&p, c);
	if (!ret)
		ret = adopt_zygote(c, &fds, &e);
	if (!ret) {
		if (p.a.chan >= 0)
			boot_chan_watch(c, p.a.chan);
		p.a.cwd_error = &cwd;
		ret = container_create_init(c, &p.a);
		if (!ret)
			conv_moved(&p);
		else
			err_set(&e, 0, "create process: %s", strerror((int)-ret));
		r.cwd_errno = (uint32_t)-cwd;
		if (is_exec_error(ret))
			r.exec_errno = (uint32_t)-ret;
	}
	conv_fini(&p);
	if (ret && c)
		container_destroy(c);
	if (c)
		container_put(c);
	if (!ret)
		boot_record_add(q->id, boot_fd_take(&fds, ROLE(EXIT)));
	if (!ret || r.exec_errno)
		ttrpc_reply(call, &r.base);
	else
		ttrpc_fail(call, ttrpc_code_from_errno((int)-ret), "%s", e.msg);
}
