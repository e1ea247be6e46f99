/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/tty.h - terminals as guests see them (termios(3), ioctl_tty(2))
 */
#ifndef SENTRY_ABI_TTY_H
#define SENTRY_ABI_TTY_H

#include <stdint.h>

#define LINUX_NCCS 19

struct linux_termios {	/* TCGETS */
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[LINUX_NCCS];
};
_Static_assert(sizeof(struct linux_termios) == 36, "TCGETS");

struct linux_termios2 {	/* TCGETS2 */
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[LINUX_NCCS];
	uint32_t ispeed, ospeed;
};
_Static_assert(sizeof(struct linux_termios2) == 44, "TCGETS2");

struct linux_winsize {
	uint16_t row, col, xpixel, ypixel;
};

/* c_cc indices */
enum { LINUX_VINTR, LINUX_VQUIT, LINUX_VERASE, LINUX_VKILL, LINUX_VEOF, LINUX_VTIME, LINUX_VMIN, LINUX_VSWTC, LINUX_VSTART,
       LINUX_VSTOP, LINUX_VSUSP, LINUX_VEOL, LINUX_VREPRINT, LINUX_VDISCARD, LINUX_VWERASE, LINUX_VLNEXT, LINUX_VEOL2 };

#define LINUX_IGNBRK 0x1u
#define LINUX_ISTRIP 0x20u
#define LINUX_INLCR  0x40u
#define LINUX_IGNCR  0x80u
#define LINUX_ICRNL  0x100u
#define LINUX_IUCLC  0x200u
#define LINUX_IXON   0x400u
#define LINUX_IXANY  0x800u
#define LINUX_IXOFF  0x1000u
#define LINUX_IMAXBEL 0x2000u
#define LINUX_IUTF8  0x4000u

#define LINUX_OPOST  0x1u
#define LINUX_OLCUC  0x2u
#define LINUX_ONLCR  0x4u
#define LINUX_OCRNL  0x8u
#define LINUX_ONOCR  0x10u
#define LINUX_ONLRET 0x20u
#define LINUX_TABDLY 0x1800u
#define LINUX_XTABS  0x1800u

#define LINUX_CBAUD  0x100fu
#define LINUX_B38400 0xfu
#define LINUX_CS8    0x30u
#define LINUX_CREAD  0x80u
#define LINUX_HUPCL  0x400u

#define LINUX_ISIG   0x1u
#define LINUX_ICANON 0x2u
#define LINUX_ECHO   0x8u
#define LINUX_ECHOE  0x10u
#define LINUX_ECHOK  0x20u
#define LINUX_ECHONL 0x40u
#define LINUX_NOFLSH 0x80u
#define LINUX_TOSTOP 0x100u
#define LINUX_ECHOCTL 0x200u
#define LINUX_ECHOPRT 0x400u
#define LINUX_ECHOKE 0x800u
#define LINUX_EXTPROC 0x10000u
#define LINUX_IEXTEN 0x8000u

#define LINUX_TCGETS	 0x5401u
#define LINUX_TCSETS	 0x5402u
#define LINUX_TCSETSW	 0x5403u
#define LINUX_TCSETSF	 0x5404u
#define LINUX_TCGETA	 0x5405u
#define LINUX_TCSETA	 0x5406u
#define LINUX_TCSETAW	 0x5407u
#define LINUX_TCSETAF	 0x5408u
#define LINUX_TCSBRK	 0x5409u
#define LINUX_TCXONC	 0x540au
#define LINUX_TCFLSH	 0x540bu
#define LINUX_TIOCEXCL	 0x540cu
#define LINUX_TIOCNXCL	 0x540du
#define LINUX_TIOCSCTTY	 0x540eu
#define LINUX_TIOCGPGRP	 0x540fu
#define LINUX_TIOCSPGRP	 0x5410u
#define LINUX_TIOCOUTQ	 0x5411u
#define LINUX_TIOCSTI	 0x5412u
#define LINUX_TIOCGWINSZ 0x5413u
#define LINUX_TIOCSWINSZ 0x5414u
#define LINUX_TIOCINQ	 0x541bu
#define LINUX_TIOCPKT	 0x5420u
#define LINUX_TIOCNOTTY	 0x5422u
#define LINUX_TIOCSETD	 0x5423u
#define LINUX_TIOCGETD	 0x5424u
#define LINUX_TCSBRKP	 0x5425u
#define LINUX_TIOCGSID	 0x5429u
#define LINUX_TCGETS2	 0x802c542au
#define LINUX_TCSETS2	 0x402c542bu
#define LINUX_TCSETSW2	 0x402c542cu
#define LINUX_TCSETSF2	 0x402c542du
#define LINUX_TIOCGPTN	 0x80045430u
#define LINUX_TIOCSPTLCK 0x40045431u
#define LINUX_TIOCGPKT	 0x80045438u
#define LINUX_TIOCGPTLCK 0x80045439u
#define LINUX_TIOCGEXCL	 0x80045440u
#define LINUX_TIOCGPTPEER 0x5441u
#define LINUX_TIOCVHANGUP 0x5437u

#define LINUX_TIOCPKT_DATA	 0
#define LINUX_TIOCPKT_FLUSHREAD	 1
#define LINUX_TIOCPKT_FLUSHWRITE 2
#define LINUX_TIOCPKT_STOP	 4
#define LINUX_TIOCPKT_START	 8
#define LINUX_TIOCPKT_NOSTOP	 16
#define LINUX_TIOCPKT_DOSTOP	 32
#define LINUX_TIOCPKT_IOCTL	 64

#endif
