/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/seccomp.c - linux.seccomp of the configuration, compiled for the Sentry (--oci-seccomp)
 *
 * Model:   libseccomp makes classic BPF of the profile, as runc has it do; the Sentry, not the host, runs it on the calls of the
 *          container's processes. Calls newer than everything that the profile names answer ENOSYS in front of a profile that refuses
 *          by default: programs then try the older call, where EPERM would end them.
 * Trust:   the profile comes with the configuration: decoded by tables, names bounded, the program's length checked.
 * Source:  runtime-spec config-linux.md "Seccomp"; seccomp_rule_add(3); runc's libcontainer/seccomp for what is silent there (unknown
 *          names are left out, rows with the default action too, several conditions on one argument are alternatives).
 * Differs: SCMP_ACT_NOTIFY is refused: no agent of the host may answer for the sandbox. 32-bit architectures are left out, as no
 *          guest can make such a call.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "runsc/lib/seccomp.h"

#define BPF_INSNS_MAX 4096u

struct prof_arg {
	uint32_t index;
	uint64_t value, value_two;
	const char *op;
};
struct prof_rule {
	struct jstrv names;
	const char *action;
	struct joptu errno_ret;
	struct jarr args; /* struct prof_arg */
};
struct profile {
	const char *default_action;
	struct joptu default_errno;
	struct jstrv archs;
	struct jarr rules; /* struct prof_rule */
};

#define SCOPE struct prof_arg
static const struct jfield arg_fields[] = {
	JF_REQ(SCOPE, J_U32, "index", index), JF_REQ(SCOPE, J_U64, "value", value), JF(SCOPE, J_U64, "valueTwo", value_two),
	JF_REQ(SCOPE, J_STR, "op", op),	      JF_END,
};
#undef SCOPE
#define SCOPE struct prof_rule
static const struct jfield rule_fields[] = {
	JF_REQ(SCOPE, J_STRV, "names", names),
	JF_REQ(SCOPE, J_STR, "action", action),
	JF(SCOPE, J_OPTU, "errnoRet", errno_ret),
	JF_ARR(SCOPE, "args", args, struct prof_arg, arg_fields),
	JF_END,
};
#undef SCOPE
#define SCOPE struct profile
static const struct jfield profile_fields[] = {
	JF_REQ(SCOPE, J_STR, "defaultAction", default_action),
	JF(SCOPE, J_OPTU, "defaultErrnoRet", default_errno),
	JF(SCOPE, J_STRV, "architectures", archs),
	JF_ARR(SCOPE, "syscalls", rules, struct prof_rule, rule_fields),
	JF_END,
};
#undef SCOPE

static int action_of(const char *name, const struct joptu *err_ret, uint32_t *out, struct err *e)
{
	uint32_t code = err_ret->set ? (uint32_t)err_ret->v & 0xffff : EPERM;
	const struct {
		const char *name;
		uint32_t action;
	} actions[] = {
		{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
		{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS }, { "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
		{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(code) },	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(code) },
		{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },		{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].name, name) == 0) {
			*out = actions[i].action;
			return 0;
		}
	return err_set(e, EINVAL, "linux.seccomp: action \"%s\" is not supported", name);
}

static int compare_of(const struct prof_arg *a, struct scmp_arg_cmp *out, struct err *e)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} ops[] = {
		{ "SCMP_CMP_NE", SCMP_CMP_NE }, { "SCMP_CMP_LT", SCMP_CMP_LT }, { "SCMP_CMP_LE", SCMP_CMP_LE }, { "SCMP_CMP_EQ", SCMP_CMP_EQ },
		{ "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT }, { "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	};

	if (a->index > 5)
		return err_set(e, EINVAL, "linux.seccomp: argument %u does not exist", a->index);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (strcmp(ops[i].name, a->op) == 0) {
			*out = (struct scmp_arg_cmp){ a->index, ops[i].op, a->value, a->value_two };
			return 0;
		}
	return err_set(e, EINVAL, "linux.seccomp: operator \"%s\" is not known", a->op);
}

static int failed(struct err *e, const char *what, int ret)
{
	return err_set(e, -ret, "linux.seccomp: %s: %s", what, strerror(-ret));
}

/* Whether an argument has more than one condition: such rows are alternatives, not one rule. */
static bool repeats(const struct jarr *args)
{
	const struct prof_arg *a = args->v;
	unsigned seen = 0;

	for (size_t i = 0; i < args->n; i++) {
		if (a[i].index < 32 && seen >> a[i].index & 1)
			return true;
		seen |= 1u << (a[i].index & 31);
	}
	return false;
}

static int add_call(scmp_filter_ctx ctx, uint32_t action, int nr, const char *name, const struct prof_rule *r, struct err *e)
{
	const struct prof_arg *a = r->args.v;
	struct scmp_arg_cmp cmp[6];
	bool apart = repeats(&r->args);
	int ret = 0;

	if (!apart && r->args.n > ARRAY_SIZE(cmp))
		return err_set(e, EINVAL, "linux.seccomp: %s: more than six conditions", name);
	for (size_t i = 0; i < r->args.n; i++) {
		if (compare_of(&a[i], &cmp[apart ? 0 : i], e) < 0)
			return -1;
		if (apart)
			ret = seccomp_rule_add_array(ctx, action, nr, 1, cmp);
		if (ret < 0)
			return failed(e, name, ret);
	}
	if (!apart)
		ret = seccomp_rule_add_array(ctx, action, nr, (unsigned)r->args.n, cmp);
	return ret < 0 && ret != -EEXIST ? failed(e, name, ret) : 0;
}

/* @max_nr grows to the highest call that is named. */
static int add_rule(scmp_filter_ctx ctx, uint32_t default_action, const struct prof_rule *r, uint32_t *max_nr, struct err *e)
{
	uint32_t action;

	if (action_of(r->action, &r->errno_ret, &action, e) < 0)
		return -1;
	for (size_t i = 0; i < r->names.n; i++) {
		int nr = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, r->names.v[i]);

		if (nr < 0) /* not known, or only on another architecture */
			continue;
		*max_nr = MAX(*max_nr, (uint32_t)nr);
		if (action != default_action && add_call(ctx, action, nr, r->names.v[i], r, e) < 0)
			return -1;
	}
	return 0;
}

/* The program from libseccomp, with room for @room instructions in front; arena memory. */
static int export_bpf(struct jdoc *arena, scmp_filter_ctx ctx, size_t room, struct sock_filter **out, size_t *out_n, struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int ret = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
	off_t len = ret < 0 ? 0 : lseek(fd, 0, SEEK_END);
	struct sock_filter *v;

	if (ret < 0)
		return failed(e, "compile", ret);
	if (len <= 0 || (size_t)len / sizeof(*v) > BPF_INSNS_MAX - room)
		return err_set(e, E2BIG, "linux.seccomp: the filter is longer than %u instructions", BPF_INSNS_MAX);
	v = jdoc_alloc(arena, (size_t)len + room * sizeof(*v), 1);
	if (!v)
		return err_set(e, ENOMEM, "out of memory");
	if (pread(fd, v + room, (size_t)len, 0) != (ssize_t)len)
		return err_sys(e, "linux.seccomp: read filter");
	*out = v;
	*out_n = room + (size_t)len / sizeof(*v);
	return 0;
}

#define X32_BIT 0x40000000u /* numbers of the x32 table: not newer, of another kind */

/* Newer calls than @max_nr: ENOSYS, before the program sees them. */
static const struct sock_filter newer[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0, 0, 1), /* the number goes in here */
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
};
#define NEWER_NR 2

static int compile(struct jdoc *arena, const struct profile *p, ProtobufCBinaryData *out, struct err *e)
{
	uint32_t action, max_nr = 0;
	const struct prof_rule *r = p->rules.v;
	struct sock_filter *v = NULL;
	scmp_filter_ctx ctx;
	size_t n = 0, room;
	int ret = 0;

	if (action_of(p->default_action, &p->default_errno, &action, e) < 0)
		return -1;
	room = action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG || action == SCMP_ACT_ERRNO(ENOSYS) ? 0 : ARRAY_SIZE(newer);
	ctx = seccomp_init(action);
	if (!ctx)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; ret == 0 && i < p->archs.n; i++)
		if (strcmp(p->archs.v[i], "SCMP_ARCH_X32") == 0 && seccomp_arch_add(ctx, SCMP_ARCH_X32) < 0)
			log_debug("x32 cannot be added to the filter");
	for (size_t i = 0; ret == 0 && i < p->rules.n; i++)
		ret = add_rule(ctx, action, &r[i], &max_nr, e);
	if (ret == 0)
		ret = export_bpf(arena, ctx, room, &v, &n, e);
	seccomp_release(ctx);
	if (ret < 0)
		return -1;
	memcpy(v, newer, room * sizeof(*v));
	if (room)
		v[NEWER_NR].k = max_nr;
	*out = (ProtobufCBinaryData){ .len = n * sizeof(*v), .data = (uint8_t *)v };
	return 0;
}

int seccomp_compile(struct jdoc *arena, struct json_object *seccomp, ProtobufCBinaryData *out, struct err *e)
{
	struct profile p = { .default_action = NULL };

	*out = (ProtobufCBinaryData){ 0 };
	if (!seccomp)
		return 0;
	if (json_decode(arena, seccomp, profile_fields, &p, "linux.seccomp", e) < 0)
		return -1;
	return compile(arena, &p, out, e);
}
