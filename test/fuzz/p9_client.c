/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/p9_client.c - libFuzzer: replies of a hostile gofer
 *
 * Input:   what the client reads, as it is: on a stream when the first byte is odd, in packets of the
 *          sizes that the following bytes say when it is even. The client makes a fixed row of calls meanwhile.
 * Checks:  every call returns; nothing is read beyond a reply (AddressSanitizer); no descriptor stays.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "p9_fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint64_t sink;

static void touch(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sink += ((const uint8_t *)p)[i];
}

static void use_reply(const struct p9_call *k)
{
	struct p9x_dirent xd;
	struct p9_dirent d;
	struct cursor c;

	switch (k->rep.type) {
	case P9_Rxreaddir:
		c = cursor_make(k->rep.Rxreaddir.data.p, k->rep.Rxreaddir.data.len);
		while (p9x_get_dirent(&c, &xd))
			touch(xd.name.p, xd.name.len), touch(xd.target.p, xd.target.len);
		break;
	case P9_Rreaddir:
		c = cursor_make(k->rep.Rreaddir.data.p, k->rep.Rreaddir.data.len);
		while (p9_get_dirent(&c, &d))
			touch(d.name.p, d.name.len);
		break;
	case P9_Rread:
		touch(k->rep.Rread.data.p, k->rep.Rread.data.len);
		break;
	case P9_Rxopen:
		touch(k->rep.Rxopen.data.p, k->rep.Rxopen.data.len);
		break;
	case P9_Rreadlink:
		touch(k->rep.Rreadlink.target.p, k->rep.Rreadlink.target.len);
		break;
	case P9_Rxwalk:
		BUG_ON(k->rep.Rxwalk.stats.n > P9_WALK_MAX);
		break;
	}
}

static const uint8_t calls[] = { P9_Tattach, P9_Txwalk, P9_Txreaddir, P9_Txopen, P9_Tread, P9_Treaddir,
				 P9_Treadlink, P9_Tgetattr, P9_Tclunk };

/* A path looked at, between clunks that nobody waits for. */
static void look(struct p9_client *cl)
{
	struct p9_names names = { 2, { p9_str("a"), p9_str("b") } };
	struct p9_looked l;
	uint32_t fids[2] = { p9_client_fid(cl), p9_client_fid(cl) };

	p9_clunk_all(cl, fids, 2, false);
	if (p9_client_ext(cl) && !p9_lookup(cl, 1, &names, P9X_FD | P9X_FID, &l)) {
		BUG_ON(l.n > names.n || (l.n < names.n && (!l.err || l.fd >= 0)));
		if (l.target)
			touch(l.target, strlen(l.target));
		if (l.fd >= 0)
			close(l.fd);
		if (l.fid != P9_NOFID)
			p9_clunk_all(cl, &l.fid, 1, false);
		free(l.target);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct p9_client *cl;
	bool stream;
	int sv[2], size = 1 << 20;

	if (len < 2)
		return 0;
	stream = data[0] & 1;
	data++;
	len--;
	if (socketpair(AF_UNIX, stream ? SOCK_STREAM : SOCK_SEQPACKET, 0, sv))
		return 0;
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	while (len) {
		size_t n = stream ? len : MIN(len, (size_t)data[0] + 1);

		if (send(sv[0], data, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		data += n;
		len -= n;
	}
	shutdown(sv[0], SHUT_WR);
	if (!p9_client_new(sv[1], true, P9_MSIZE_MAX, &p9_client_thread_ops, &cl)) {
		for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
			struct p9_call k = { .req = { .type = calls[i] } };

			if (p9_call(cl, &k))
				continue;
			use_reply(&k);
			p9_call_end(cl, &k);
		}
		look(cl);
		p9_client_free(cl);
	}
	close(sv[0]);
	return 0;
}
