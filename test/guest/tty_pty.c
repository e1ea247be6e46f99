/* SPDX-License-Identifier: Apache-2.0
 * test/guest/tty_pty.c - reads of a pseudo terminal's master that have nothing to give
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"

/* A read of no bytes while there is something to read never came back, and with packet mode it was written past a buffer. */
static void nothing_wanted(int packet)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY), s;
	char b[64];

	CHECK(m >= 0 && grantpt(m) == 0 && unlockpt(m) == 0);
	CHECK(ioctl(m, TIOCPKT, &packet) == 0);
	s = open(ptsname(m), O_RDWR | O_NOCTTY);
	CHECK(s >= 0 && write(s, "abc", 3) == 3);
	CHECK(read(m, b, 0) == 0);
	CHECK(read(m, b, sizeof(b)) == 3 + packet);
	CHECK(memcmp(b + packet, "abc", 3) == 0);
	close(s);
	errno = 0;
	CHECK(read(m, b, sizeof(b)) == -1 && errno == EIO);
	close(m);
}

int main(void)
{
	alarm(20);
	nothing_wanted(0);
	nothing_wanted(1);
	return 0;
}
