/* SPDX-License-Identifier: Apache-2.0
 * test/security/lying_gofer.c - a gofer whose answers lie: linked into a runsc of the tests' own (make build/rel/lying/runsc)
 *
 * Model:   --wrap puts this in front of gofer_main(). The true gofer runs in a child; between it and the Sentry messages go through here,
 *          the first CLEAN ones as they are, so that a container comes up; after that some answers are bent: bytes, sizes, tags,
 *          types, cut, doubled, swallowed, with somebody else's descriptor. The seed is the
 *          container's id, so that each container of a test meets other lies and the same ones again in the next run.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FD_9P	 3
#define CLEAN	 120	/* answers */
#define ONE_IN	 6	/* of the rest is a lie */
#define ROOM	 (2u << 20)
#define RIGHTS	 64

int __real_gofer_main(int argc, char **argv);
int __wrap_gofer_main(int argc, char **argv);

static uint64_t rng;
static char buf[ROOM];

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static void put32(char *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static ssize_t pass(int to, char *b, size_t n, int *fds, int nr_fds)
{
	char ctl[CMSG_SPACE(sizeof(int) * RIGHTS)] = "";
	struct iovec v = { b, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t done = 0, k;

	if (nr_fds) {
		m.msg_control = ctl;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (unsigned)nr_fds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (unsigned)nr_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (unsigned)nr_fds);
	}
	while ((size_t)done < n || !n) {
		k = sendmsg(to, &m, MSG_NOSIGNAL);
		if (k < 0)
			return -1;
		done += k;
		v = (struct iovec){ b + done, n - (size_t)done };
		m.msg_control = NULL;
		m.msg_controllen = 0;
		if (!n)
			break;
	}
	return done;
}

/* What @n bytes of answers, a size[4] type[1] tag[2] header first, become. */
static size_t lie(char *b, size_t n, int *fds, int *nr_fds, int *twice)
{
	static const uint32_t odd[] = { 0, 1, 6, 7, 8, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff };

	switch (rnd(11)) {
	case 0: case 1: case 2: /* bytes of the body */
		for (uint64_t i = 1 + rnd(6); i && n > 7; i--)
			b[7 + rnd(n - 7)] = (char)rnd(256);
		break;
	case 3: /* a number of the body */
		if (n > 11)
			put32(b + 7 + rnd(n - 10), odd[rnd(10)]);
		break;
	case 4:
		put32(b, odd[rnd(10)]);
		break;
	case 5:
		b[4] = (char)rnd(256);
		break;
	case 6:
		b[5] = (char)rnd(256);
		break;
	case 7:
		return rnd(n);
	case 8:
		*twice = 1;
		break;
	case 9: /* descriptors that were not asked for */
		if (*nr_fds < 8) {
			static const char *const files[] = { "/dev/null", "/dev/zero", "/", "/proc/self/mem", "/dev/full" };
			int fd = rnd(4) ? open(files[rnd(5)], O_RDONLY) : (int)memfd_create("lie", 0);

			if (*nr_fds && rnd(2))
				close(fds[--*nr_fds]);
			if (fd >= 0)
				fds[(*nr_fds)++] = fd;
		}
		break;
	case 10: /* the ones that were */
		while (*nr_fds)
			close(fds[--*nr_fds]);
		break;
	}
	return n;
}

static int forward(int from, int to, int bend)
{
	static unsigned answers;
	char ctl[CMSG_SPACE(sizeof(int) * RIGHTS)];
	struct iovec v = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	int fds[RIGHTS], nr = 0, twice = 0;
	ssize_t n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
	size_t len;

	if (n <= 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_type == SCM_RIGHTS) {
			nr = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(c), sizeof(int) * (unsigned)nr);
		}
	len = (size_t)n;
	if (bend && n > 7 && ++answers > CLEAN && !rnd(ONE_IN))
		len = lie(buf, len, fds, &nr, &twice);
	n = len ? pass(to, buf, len, fds, nr) : 0;
	if (twice && n >= 0)
		pass(to, buf, len, NULL, 0);
	for (int i = 0; i < nr; i++)
		close(fds[i]);
	return n < 0 ? -1 : 0;
}

int __wrap_gofer_main(int argc, char **argv)
{
	int p[2], type = SOCK_STREAM, st;
	socklen_t l = sizeof(type);
	pid_t pid;

	rng = 0x9e3779b97f4a7c15ull;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "--id=", 5))
			for (const char *c = argv[i]; *c; c++)
				rng = (rng ^ (unsigned char)*c) * 1099511628211ull;
	getsockopt(FD_9P, SOL_SOCKET, SO_TYPE, &type, &l);
	if (socketpair(AF_UNIX, type, 0, p) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		dup2(p[1], FD_9P);
		close(p[1]);
		return __real_gofer_main(argc, argv);
	}
	close(p[1]);
	close(5); /* the init channel is the true one's */
	close(6);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		struct pollfd q[2] = { { FD_9P, POLLIN, 0 }, { p[0], POLLIN, 0 } };

		if (poll(q, 2, 1000) < 0 && errno != EINTR)
			break;
		if (waitpid(pid, &st, WNOHANG) == pid)
			return WIFEXITED(st) ? WEXITSTATUS(st) : 137;
		if ((q[0].revents && forward(FD_9P, p[0], 0) < 0) || (q[1].revents && forward(p[0], FD_9P, 1) < 0))
			break;
	}
	close(FD_9P); /* the Sentry has had enough, or the gofer: as when one of them dies */
	close(p[0]);
	while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 137;
}
