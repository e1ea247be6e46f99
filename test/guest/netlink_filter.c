/* SPDX-License-Identifier: Apache-2.0
 * test/guest/netlink_filter.c - SO_ATTACH_FILTER on netlink sockets: what udev's listeners do
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int failures;
#define CHECK(c)                                                                                             \
	do {                                                                                                 \
		if (!(c)) {                                                                                  \
			printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #c, errno);                     \
			failures++;                                                                          \
		}                                                                                            \
	} while (0)

static int attach(int fd, struct sock_filter *f, unsigned short n)
{
	struct sock_fprog p = { .len = n, .filter = f };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p));
}

/* Asks for link number @index; bytes of the answer, or -errno when none comes. */
static long ask(int fd, int index)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} q = { { sizeof(q), RTM_GETLINK, NLM_F_REQUEST, 7, 0 }, { .ifi_index = index } };
	char buf[16384];
	long n;

	if (send(fd, &q, sizeof(q), 0) != sizeof(q))
		return -errno;
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

int main(void)
{
	struct sock_filter drop[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_filter cut[] = { BPF_STMT(BPF_RET | BPF_K, 20) };
	/* Errors only: nlmsg_type, in the byte order of the network as loads have it. */
	struct sock_filter errors[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0200, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_filter bad[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0) };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), one = 1;

	CHECK(fd >= 0 && ask(fd, 1) > 32);
	CHECK(attach(fd, drop, 1) == 0 && ask(fd, 1) == -EAGAIN);
	CHECK(attach(fd, cut, 1) == 0 && ask(fd, 1) == 20);
	CHECK(attach(fd, errors, 4) == 0 && ask(fd, 1) == -EAGAIN && ask(fd, 99999) >= 36);
	CHECK(attach(fd, bad, 1) == -1 && errno == EINVAL);
	CHECK(attach(fd, errors, 0) == -1 && errno == EINVAL);
	CHECK(attach(fd, NULL, 4) == -1 && errno == EINVAL);
	CHECK(attach(fd, (void *)16, 4) == -1 && errno == EFAULT);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &one, sizeof(one)) == 0 && ask(fd, 1) > 32);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &one, sizeof(one)) == -1 && errno == ENOENT);
	close(fd);
	return failures != 0;
}
