/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/diag_unix.c - NETLINK_SOCK_DIAG: AF_UNIX sockets
 *
 * Source:  sock_diag(7), linux/unix_diag.h.
 */
#include "sentry/socket/netlink/diag.h"
#include "sentry/socket/unix/unix.h"

#define UDIAG_SHOW_NAME	  0x01
#define UDIAG_SHOW_PEER	  0x04
#define UDIAG_SHOW_RQLEN  0x10
#define UDIAG_SHOW_UID	  0x40
#define UNIX_DIAG_NAME	  0
#define UNIX_DIAG_PEER	  2
#define UNIX_DIAG_RQLEN	  4
#define UNIX_DIAG_SHUTDOWN 6

struct dump {
	struct nl_req *r;
	struct buf b;
	struct diag_unix_req q;
	uint32_t only;	/* inode, 0 = all */
	bool found;
};

static void fill(struct dump *d, const struct unix_info *i)
{
	struct diag_unix_msg m = { .family = LINUX_AF_UNIX, .type = (uint8_t)i->type, .state = i->state, .ino = (uint32_t)i->ino,
				   .cookie = { (uint32_t)i->cookie, (uint32_t)(i->cookie >> 32) } };
	uint32_t q[2] = { i->rqueue, i->wqueue };
	size_t at = nl_answer(d->r, &d->b, SOCK_DIAG_BY_FAMILY, 0);

	nlb_body(&d->b, &m);
	if (d->q.show & UDIAG_SHOW_NAME && i->name_len)
		nla_put(&d->b, UNIX_DIAG_NAME, i->name, i->name_len);
	if (d->q.show & UDIAG_SHOW_PEER && i->peer_ino)
		nla_put_u32(&d->b, UNIX_DIAG_PEER, (uint32_t)i->peer_ino);
	if (d->q.show & UDIAG_SHOW_RQLEN)
		nla_put(&d->b, UNIX_DIAG_RQLEN, q, sizeof(q));
	nla_put_u8(&d->b, UNIX_DIAG_SHUTDOWN, i->shutdown);
	nlb_end(&d->b, at);
}

static int dump_one(const struct unix_info *i, void *arg)
{
	struct dump *d = arg;

	if (d->only ? (uint32_t)i->ino != d->only : !(d->q.states >> i->state & 1))
		return 0;
	fill(d, i);
	d->found = true;
	return d->only || d->b.failed;
}

long diag_unix(struct nl_req *r)
{
	struct cursor c = r->body;
	const uint8_t *p = get_bytes(&c, sizeof(struct diag_unix_req));
	struct dump d = { .r = r };

	if (!p)
		return -LINUX_EINVAL;
	memcpy(&d.q, p, sizeof(d.q));
	if (r->h.flags & LINUX_NLM_F_DUMP) {
		unix_each(r->nl->sk.net, dump_one, &d);
		nl_dump_reply(r, &d.b, 0);
		return NL_DUMPED;
	}
	d.only = d.q.ino;
	if (!d.only)
		return -LINUX_EINVAL;
	unix_each(r->nl->sk.net, dump_one, &d);
	if (d.found)
		return nl_reply(r, &d.b);
	buf_fini(&d.b);
	return -LINUX_ENOENT;
}
