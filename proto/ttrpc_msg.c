/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_msg.c - packing, and unpacking of hostile bytes within a memory bound; status codes
 *
 * Model:   one arena per decoded message: blocks of memory, freed together. protobuf-c allocates the
 *          top message first, so it stands at the start of the arena's own block and the arena is
 *          found from it.
 */
#include <errno.h>
#include <string.h>

#include "ttrpc_internal.h"

#define ARENA_ALIGN 16
#define BLOCK_MIN   512
#define BLOCK_MAX   (64u << 10)

struct arena_block {
	struct arena_block *next;
	_Alignas(ARENA_ALIGN) uint8_t mem[];
};

struct arena {
	struct arena_block *more;
	uint8_t *p, *end; /* free room in the newest block */
	size_t left;	  /* bytes that may still be allocated */
	size_t next_size;
	_Alignas(ARENA_ALIGN) uint8_t mem[];
};

static void *arena_alloc(void *data, size_t n)
{
	struct arena *a = data;
	struct arena_block *b;
	size_t size;
	void *ret;

	if (n > a->left)
		return NULL;
	n = ALIGN_UP(n, (size_t)ARENA_ALIGN);
	a->left -= MIN(n, a->left);
	if ((size_t)(a->end - a->p) < n) {
		size = MAX(a->next_size, n);
		b = malloc(sizeof(*b) + size);
		if (!b)
			return NULL;
		b->next = a->more;
		a->more = b;
		a->p = b->mem;
		a->end = b->mem + size;
		a->next_size = MIN(a->next_size * 2, (size_t)BLOCK_MAX);
	}
	ret = a->p;
	a->p += n;
	return ret;
}

static void arena_dealloc(void *data, void *p)
{
	/* all at once, in ttrpc_msg_free() */
}

static void arena_free(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->more; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

ProtobufCMessage *ttrpc_msg_unpack(const ProtobufCMessageDescriptor *d, const void *data, size_t len,
				   size_t max_bytes)
{
	size_t first = MAX((size_t)BLOCK_MIN, ALIGN_UP(d->sizeof_message, (size_t)ARENA_ALIGN));
	struct arena *a = malloc(sizeof(*a) + first);
	ProtobufCAllocator alloc = { arena_alloc, arena_dealloc, a };
	ProtobufCMessage *msg;

	if (!a)
		return NULL;
	a->more = NULL;
	a->p = a->mem;
	a->end = a->mem + first;
	a->left = max_bytes;
	a->next_size = 2 * BLOCK_MIN;
	msg = protobuf_c_message_unpack(d, &alloc, len, data);
	if (!msg) {
		arena_free(a);
		return NULL;
	}
	BUG_ON((uint8_t *)msg != a->mem);
	return msg;
}

void ttrpc_msg_free(ProtobufCMessage *msg)
{
	if (msg)
		arena_free((struct arena *)((uint8_t *)msg - offsetof(struct arena, mem)));
}

uint8_t *ttrpc_pack(const ProtobufCMessage *msg, size_t *out_len)
{
	size_t len = msg ? protobuf_c_message_get_packed_size(msg) : 0;
	uint8_t *p = malloc(len ? len : 1);

	if (!p)
		return NULL;
	*out_len = len ? protobuf_c_message_pack(msg, p) : 0;
	return p;
}

/* What containerd's error mapping makes of the same conditions. */
static const struct {
	int err;
	enum ttrpc_code code;
} errno_codes[] = {
	{ ENOENT, TTRPC_NOT_FOUND },		{ ESRCH, TTRPC_NOT_FOUND },
	{ EEXIST, TTRPC_ALREADY_EXISTS },	{ EBUSY, TTRPC_FAILED_PRECONDITION },
	{ EINVAL, TTRPC_INVALID_ARGUMENT },	{ ENOSYS, TTRPC_UNIMPLEMENTED },
	{ EOPNOTSUPP, TTRPC_UNIMPLEMENTED },	{ EACCES, TTRPC_PERMISSION_DENIED },
	{ EPERM, TTRPC_PERMISSION_DENIED },	{ ENOMEM, TTRPC_RESOURCE_EXHAUSTED },
	{ ENOSPC, TTRPC_RESOURCE_EXHAUSTED },	{ EMFILE, TTRPC_RESOURCE_EXHAUSTED },
	{ ETIMEDOUT, TTRPC_DEADLINE_EXCEEDED }, { ECANCELED, TTRPC_CANCELED },
	{ EPIPE, TTRPC_UNAVAILABLE },		{ ECONNREFUSED, TTRPC_UNAVAILABLE },
	{ ECONNRESET, TTRPC_UNAVAILABLE },
};

enum ttrpc_code ttrpc_code_from_errno(int err)
{
	for (size_t i = 0; i < ARRAY_SIZE(errno_codes); i++)
		if (errno_codes[i].err == err)
			return errno_codes[i].code;
	return TTRPC_UNKNOWN;
}
