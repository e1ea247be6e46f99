/* SPDX-License-Identifier: Apache-2.0
 * test/guest/unix_cmsg.c - length of received control messages: padding counts where the caller left room for it; a full queue
 */
#include "guest.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static size_t received(size_t room)
{
	char data, ctl[64];
	struct iovec io = { &data, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = room };
	int one = 1, s[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0);
	CHECK(write(s[0], "x", 1) == 1 && recvmsg(s[1], &m, 0) == 1);
	CHECK(!(m.msg_flags & MSG_CTRUNC) && CMSG_FIRSTHDR(&m)->cmsg_len == CMSG_LEN(sizeof(struct ucred)));
	close(s[0]);
	close(s[1]);
	return m.msg_controllen;
}

/* Small datagrams count for more than their bytes: the buffer is full long before as many as it has bytes. */
static void full(void)
{
	int s[2], n = 0;

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s) == 0);
	while (n < 10000 && send(s[0], "", n & 1, 0) >= 0)
		n++;
	CHECK(errno == EAGAIN && n > 10 && n < 10000);
	CHECK(recv(s[1], &n, sizeof(n), 0) == 0);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	full();
	CHECK(received(64) == CMSG_SPACE(sizeof(struct ucred)));
	CHECK(received(CMSG_SPACE(sizeof(struct ucred))) == CMSG_SPACE(sizeof(struct ucred)));
	CHECK(received(CMSG_LEN(sizeof(struct ucred))) == CMSG_LEN(sizeof(struct ucred)));
	return 0;
}
