/* SPDX-License-Identifier: Apache-2.0
 * test/guest/net_bridge.c - bridges by ioctl (brctl(8)); in a network namespace of its own
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

static int s;

static int port(unsigned long cmd, const char *bridge, unsigned index)
{
	struct ifreq r = { .ifr_ifindex = (int)index };

	strcpy(r.ifr_name, bridge);
	return ioctl(s, cmd, &r);
}

static void up(const char *name, bool on)
{
	struct ifreq r = { .ifr_flags = on ? IFF_UP : 0 };

	strcpy(r.ifr_name, name);
	CHECK(ioctl(s, SIOCSIFFLAGS, &r) == 0);
}

int main(void)
{
	char a[IFNAMSIZ] = "br7", b[IFNAMSIZ] = "br8", none[IFNAMSIZ] = "br9", lo[IFNAMSIZ] = "lo";
	unsigned ia, ib;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		SKIP("no right to a network namespace");
	s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(s >= 0);
	if (ioctl(s, SIOCBRADDBR, a) < 0 && (errno == ENOPKG || errno == ENOTTY))
		SKIP("this kernel has no bridges");
	CHECK_ERRNO(ioctl(s, SIOCBRADDBR, a), EEXIST);
	CHECK_ERRNO(ioctl(s, SIOCBRADDBR, NULL), EFAULT);
	CHECK(ioctl(s, SIOCBRADDBR, b) == 0);
	ia = if_nametoindex(a);
	ib = if_nametoindex(b);
	CHECK(ia && ib && ia != ib);

	CHECK_ERRNO(ioctl(s, SIOCBRDELBR, none), ENXIO);
	CHECK_ERRNO(ioctl(s, SIOCBRDELBR, lo), EPERM);
	CHECK_ERRNO(port(SIOCBRADDIF, none, 1), ENODEV);
	CHECK_ERRNO(port(SIOCBRADDIF, a, 999), EINVAL);
	CHECK_ERRNO(port(SIOCBRADDIF, a, if_nametoindex("lo")), EINVAL);
	CHECK_ERRNO(port(SIOCBRADDIF, a, ib), ELOOP);
	CHECK_ERRNO(port(SIOCBRADDIF, "lo", ia), EOPNOTSUPP);
	CHECK_ERRNO(port(SIOCBRDELIF, a, ib), EINVAL);

	up(a, true);
	CHECK_ERRNO(ioctl(s, SIOCBRDELBR, a), EBUSY);
	up(a, false);
	CHECK(ioctl(s, SIOCBRDELBR, a) == 0 && ioctl(s, SIOCBRDELBR, b) == 0);
	CHECK(!if_nametoindex(a) && !if_nametoindex(b));
	return 0;
}
