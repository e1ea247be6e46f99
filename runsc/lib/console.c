/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/console.c - see console.h
 *
 * Source:  pts(4), termios(3); the console socket: runc docs/terminals.md.
 */
#include "runsc/lib/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "base/fdpass.h"
#include "base/util.h"

int console_open(uint16_t rows, uint16_t cols, int *out_master, int *out_replica, struct err *e)
{
	AUTO_CLOSE int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	AUTO_CLOSE int replica = -1;
	struct winsize ws = { .ws_row = rows, .ws_col = cols };
	struct termios t;
	int zero = 0;

	if (master < 0)
		return err_sys(e, "open /dev/ptmx");
	if (ioctl(master, TIOCSPTLCK, &zero) < 0)
		return err_sys(e, "unlock pty");
	/* TIOCGPTPEER: no path lookup, right also when /dev/pts is another instance */
	replica = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (replica < 0)
		return err_sys(e, "open pty replica");
	if (tcgetattr(replica, &t) < 0)
		return err_sys(e, "pty attributes");
	cfmakeraw(&t);
	if (tcsetattr(replica, TCSANOW, &t) < 0)
		return err_sys(e, "pty attributes");
	if (rows || cols)
		ioctl(master, TIOCSWINSZ, &ws);
	*out_master = TAKE_FD(master);
	*out_replica = TAKE_FD(replica);
	return 0;
}

int console_send(const char *path, int master, struct err *e)
{
	static const char name[] = "pty master";
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	ssize_t n;

	if (sock < 0)
		return err_sys(e, "console socket");
	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, ENAMETOOLONG, "console socket %s: path is too long", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(e, "connect to console socket %s", path);
	n = fd_send(sock, name, sizeof(name) - 1, &master, 1);
	if (n < 0) {
		errno = (int)-n;
		return err_sys(e, "send console to %s", path);
	}
	return 0;
}
