/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_keys.c - add_key(2), request_key(2), keyctl(2)
 *
 * Source:  add_key(2), request_key(2), keyctl(2).
 */
#include <string.h>

#include "sentry/keys/keys.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/syscalls.h"

static long get_type(struct task *t, char type[KEYS_TYPE_MAX], struct gptr utype)
{
	long n = copyin_str(t->u, type, KEYS_TYPE_MAX, utype);

	return n == -LINUX_ENAMETOOLONG || !n ? -LINUX_EINVAL : MIN(n, 0l);
}

/* A string as a new block. */
static long get_text(struct task *t, struct gptr utext, char **out)
{
	char *s = malloc(KEYS_DESC_MAX);
	long n = s ? copyin_str(t->u, s, KEYS_DESC_MAX, utext) : -LINUX_ENOMEM;

	if (n < 0) {
		free(s);
		return n == -LINUX_ENAMETOOLONG ? -LINUX_EINVAL : n;
	}
	*out = s;
	return 0;
}

static long get_payload(struct task *t, struct gptr upayload, size_t len, void **out)
{
	void *p;

	*out = NULL;
	if (!len)
		return 0;
	p = malloc(len);
	if (!p)
		return -LINUX_ENOMEM;
	if (copyin(t->u, p, upayload, len) < 0) {
		free(p);
		return -LINUX_EFAULT;
	}
	*out = p;
	return 0;
}

static void forget_payload(void *p, size_t len)
{
	if (p)
		explicit_bzero(p, len);
	free(p);
}

SYSCALL_DEFINE5(add_key, struct gptr, utype, struct gptr, udesc, struct gptr, upayload, uint64_t, len, int, ring)
{
	char type[KEYS_TYPE_MAX], *desc = NULL;
	void *payload;
	long ret;

	if (len >= KEYS_ARG_MAX)
		return -LINUX_EINVAL;
	ret = get_type(t, type, utype);
	if (!ret && udesc.v)
		ret = get_text(t, udesc, &desc);
	if (ret < 0)
		return ret;
	ret = get_payload(t, upayload, len, &payload);
	if (!ret) {
		ret = keys_add(t, type, desc && desc[0] ? desc : NULL, payload, len, ring);
		forget_payload(payload, len);
	}
	free(desc);
	return ret;
}

SYSCALL_DEFINE4(request_key, struct gptr, utype, struct gptr, udesc, struct gptr, ucallout, int, dest)
{
	char type[KEYS_TYPE_MAX], *desc, *callout = NULL;
	long ret = get_type(t, type, utype);

	if (!ret && type[0] == '.')
		return -LINUX_EPERM;
	if (!ret)
		ret = get_text(t, udesc, &desc);
	if (ret < 0)
		return ret;
	if (ucallout.v)
		ret = get_text(t, ucallout, &callout);
	if (!ret)
		ret = keys_request(t, type, desc, ucallout.v, dest);
	free(callout);
	free(desc);
	return ret;
}

/* ---- keyctl: one function per operation ----------------------------------------------------------------------- */

/* What @b holds, if it fits; the length in any case. */
static long put_text(struct task *t, struct buf *b, long ret, struct gptr out, uint64_t cap)
{
	if (!ret) {
		ret = (long)b->len;
		if (out.v && b->len && b->len <= cap && copyout(t->u, out, b->data, b->len) < 0)
			ret = -LINUX_EFAULT;
	}
	if (b->data)
		explicit_bzero(b->data, b->len);
	buf_fini(b);
	return ret;
}

static long op_get_id(struct task *t, const uint64_t a[6])
{
	return keys_get_id(t, (int32_t)a[1], (int32_t)a[2] != 0);
}

static long op_join(struct task *t, const uint64_t a[6])
{
	char *name = NULL;
	long ret = a[1] ? get_text(t, GPTR(a[1]), &name) : 0;

	if (!ret)
		ret = keys_join_session(t, name);
	free(name);
	return ret;
}

static long op_update(struct task *t, const uint64_t a[6])
{
	void *payload;
	long ret;

	if (a[3] > PAGE_SIZE)
		return -LINUX_EINVAL;
	ret = get_payload(t, GPTR(a[2]), a[3], &payload);
	if (!ret) {
		ret = keys_update(t, (int32_t)a[1], payload, a[3]);
		forget_payload(payload, a[3]);
	}
	return ret;
}

static long op_revoke(struct task *t, const uint64_t a[6])
{
	return keys_revoke(t, (int32_t)a[1]);
}

static long op_invalidate(struct task *t, const uint64_t a[6])
{
	return keys_invalidate(t, (int32_t)a[1]);
}

static long op_chown(struct task *t, const uint64_t a[6])
{
	uint32_t id[2] = { (uint32_t)a[2], (uint32_t)a[3] };

	for (int i = 0; i < 2; i++)
		if (id[i] != ID_INVALID) {
			id[i] = id_to_kernel(t->cred->user_ns, i, id[i]);
			if (id[i] == ID_INVALID)
				return -LINUX_EINVAL;
		}
	return keys_chown(t, (int32_t)a[1], id[0], id[1]);
}

static long op_setperm(struct task *t, const uint64_t a[6])
{
	return keys_setperm(t, (int32_t)a[1], (uint32_t)a[2]);
}

static long op_describe(struct task *t, const uint64_t a[6])
{
	struct buf b = { 0 };
	long ret = keys_describe(t, (int32_t)a[1], &b);

	if (!ret && buf_append(&b, "", 1) < 0)
		ret = -LINUX_ENOMEM;
	return put_text(t, &b, ret, GPTR(a[2]), a[3]);
}

/* No security module labels keys: the label is empty. */
static long op_get_security(struct task *t, const uint64_t a[6])
{
	long ret = keys_check_view(t, (int32_t)a[1]);

	if (ret < 0)
		return ret;
	return a[2] && a[3] && copyout(t->u, GPTR(a[2]), "", 1) < 0 ? -LINUX_EFAULT : 1;
}

static long op_read(struct task *t, const uint64_t a[6])
{
	struct buf b = { 0 };

	return put_text(t, &b, keys_read(t, (int32_t)a[1], &b), GPTR(a[2]), a[3]);
}

static long op_clear(struct task *t, const uint64_t a[6])
{
	return keys_clear(t, (int32_t)a[1]);
}

static long op_link(struct task *t, const uint64_t a[6])
{
	return keys_link(t, (int32_t)a[1], (int32_t)a[2]);
}

static long op_unlink(struct task *t, const uint64_t a[6])
{
	return keys_unlink(t, (int32_t)a[1], (int32_t)a[2]);
}

static long op_move(struct task *t, const uint64_t a[6])
{
	return keys_move(t, (int32_t)a[1], (int32_t)a[2], (int32_t)a[3], (uint32_t)a[4]);
}

static long op_search(struct task *t, const uint64_t a[6])
{
	char type[KEYS_TYPE_MAX], *desc;
	long ret = get_type(t, type, GPTR(a[2]));

	if (!ret)
		ret = get_text(t, GPTR(a[3]), &desc);
	if (ret < 0)
		return ret;
	ret = keys_search(t, (int32_t)a[1], type, desc, (int32_t)a[4]);
	free(desc);
	return ret;
}

/* Instantiating takes an authority that only a program gets which was called to make a key; nobody is. */
static long op_no_authority(struct task *t, const uint64_t a[6])
{
	return -LINUX_EPERM;
}

static long op_assume(struct task *t, const uint64_t a[6])
{
	int32_t id = (int32_t)a[1];

	return id < 0 ? -LINUX_EINVAL : id ? -LINUX_ENOKEY : 0;
}

static long op_set_reqkey(struct task *t, const uint64_t a[6])
{
	return keys_set_reqkey(t, (int32_t)a[1]);
}

static long op_set_timeout(struct task *t, const uint64_t a[6])
{
	return keys_set_timeout(t, (int32_t)a[1], (uint32_t)a[2]);
}

static long op_session_to_parent(struct task *t, const uint64_t a[6])
{
	return keys_session_to_parent(t);
}

static long op_get_persistent(struct task *t, const uint64_t a[6])
{
	uint32_t uid = (uint32_t)a[1];

	if (uid != ID_INVALID) {
		uid = id_to_kernel(t->cred->user_ns, false, uid);
		if (uid == ID_INVALID)
			return -LINUX_EINVAL;
	}
	return keys_get_persistent(t, uid, (int32_t)a[2]);
}

static long op_restrict(struct task *t, const uint64_t a[6])
{
	char type[KEYS_TYPE_MAX], *how = NULL;
	long ret = a[2] ? get_type(t, type, GPTR(a[2])) : 0;

	if (!ret && a[2] && a[3])
		ret = get_text(t, GPTR(a[3]), &how);
	else if (!ret && (a[2] || a[3]))
		ret = -LINUX_EINVAL;
	if (!ret)
		ret = keys_restrict(t, (int32_t)a[1], a[2] ? type : NULL);
	free(how);
	return ret;
}

static long op_capabilities(struct task *t, const uint64_t a[6])
{
	static const uint8_t caps[] = {
		LINUX_KEYCTL_CAPS0_CAPABILITIES | LINUX_KEYCTL_CAPS0_PERSISTENT_KEYRINGS | LINUX_KEYCTL_CAPS0_INVALIDATE |
			LINUX_KEYCTL_CAPS0_RESTRICT_KEYRING | LINUX_KEYCTL_CAPS0_MOVE,
		LINUX_KEYCTL_CAPS1_NS_KEYRING_NAME,
	};
	const uint64_t cap = a[2];
	uint8_t zero[256] = { 0 };

	if (cap && copyout(t->u, GPTR(a[1]), caps, MIN(cap, (uint64_t)sizeof(caps))) < 0)
		return -LINUX_EFAULT;
	for (uint64_t done = sizeof(caps); done < cap; done += sizeof(zero)) {
		if (copyout(t->u, GPTR(a[1] + done), zero, MIN(cap - done, (uint64_t)sizeof(zero))) < 0)
			return -LINUX_EFAULT;
		if (task_signal_pending(t))
			return -LINUX_EINTR;
	}
	return sizeof(caps);
}

static const syscall_fn ops[] = {
	[LINUX_KEYCTL_GET_KEYRING_ID] = op_get_id,
	[LINUX_KEYCTL_JOIN_SESSION_KEYRING] = op_join,
	[LINUX_KEYCTL_UPDATE] = op_update,
	[LINUX_KEYCTL_REVOKE] = op_revoke,
	[LINUX_KEYCTL_CHOWN] = op_chown,
	[LINUX_KEYCTL_SETPERM] = op_setperm,
	[LINUX_KEYCTL_DESCRIBE] = op_describe,
	[LINUX_KEYCTL_CLEAR] = op_clear,
	[LINUX_KEYCTL_LINK] = op_link,
	[LINUX_KEYCTL_UNLINK] = op_unlink,
	[LINUX_KEYCTL_SEARCH] = op_search,
	[LINUX_KEYCTL_READ] = op_read,
	[LINUX_KEYCTL_INSTANTIATE] = op_no_authority,
	[LINUX_KEYCTL_NEGATE] = op_no_authority,
	[LINUX_KEYCTL_SET_REQKEY_KEYRING] = op_set_reqkey,
	[LINUX_KEYCTL_SET_TIMEOUT] = op_set_timeout,
	[LINUX_KEYCTL_ASSUME_AUTHORITY] = op_assume,
	[LINUX_KEYCTL_GET_SECURITY] = op_get_security,
	[LINUX_KEYCTL_SESSION_TO_PARENT] = op_session_to_parent,
	[LINUX_KEYCTL_REJECT] = op_no_authority,
	[LINUX_KEYCTL_INSTANTIATE_IOV] = op_no_authority,
	[LINUX_KEYCTL_INVALIDATE] = op_invalidate,
	[LINUX_KEYCTL_GET_PERSISTENT] = op_get_persistent,
	[LINUX_KEYCTL_RESTRICT_KEYRING] = op_restrict,
	[LINUX_KEYCTL_MOVE] = op_move,
	[LINUX_KEYCTL_CAPABILITIES] = op_capabilities,
};

long sys_keyctl(struct task *t, const uint64_t a[6]);
long sys_keyctl(struct task *t, const uint64_t a[6])
{
	uint32_t op = (uint32_t)a[0];

	return op < ARRAY_SIZE(ops) && ops[op] ? ops[op](t, a) : -LINUX_EOPNOTSUPP;
}
