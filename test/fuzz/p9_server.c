/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/p9_server.c - libFuzzer: a whole session of a hostile client
 *
 * Input:   messages one after the other, each as on a stream, so mutations keep the framing; bytes that frame
 *          nothing are handed over as one last message. The session starts after Tversion and Tattach.
 * Checks:  each request gets one well-formed reply with its tag; descriptors do not leak; nothing outside the
 *          temporary tree changes (the secret beside it).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static char dir[64];
static int top, rootfd;
static uint8_t *rep;
static struct gofer_root gr;
static struct gofer_server srv = { .roots = &gr, .nr_roots = 1,
				   .policy = GOFER_UDS_OPEN | GOFER_UDS_CREATE | GOFER_FIFO_OPEN };

#define WIPE_EVERY 5000 /* inputs: what they create must not pile up */

static void wipe(void)
{
	char cmd[160];

	snprintf(cmd, sizeof(cmd), "chmod -R u+rwx '%s/root'; find '%s/root' -mindepth 1 -delete", dir, dir);
	if (system(cmd))
		return;
}

static void put(int at, const char *name, const char *text)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	BUG_ON(fd < 0 || write(fd, text, strlen(text)) < 0);
	close(fd);
}

static void clean(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	if (system(cmd))
		return;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err e = ERR_INIT;
	int procfd = open("/proc/self/fd", O_PATH | O_DIRECTORY);

	strcpy(dir, "/tmp/p9fuzzXXXXXX");
	BUG_ON(!mkdtemp(dir));
	top = open(dir, O_PATH | O_DIRECTORY);
	put(top, "secret", "secret");
	BUG_ON(mkdirat(top, "root", 0755));
	rootfd = openat(top, "root", O_PATH | O_DIRECTORY);
	put(rootfd, "hello", "hello");
	mkdirat(rootfd, "sub", 0755);
	BUG_ON(symlinkat("../secret", rootfd, "up"));
	gr.fd = rootfd;
	BUG_ON(gofer_server_init(procfd, &e));
	close(procfd);
	rep = malloc(P9_MSIZE_MAX);
	signal(SIGXFSZ, SIG_IGN); /* the runner limits the size of files */
	atexit(clean);
	return 0;
}

static void feed(struct gofer_conn *c, const uint8_t *req, size_t len)
{
	struct p9_msg out;
	size_t n;
	int fd;

	n = gofer_conn_handle(c, req, len, rep, &fd);
	BUG_ON(n < P9_HDR_LEN || n > P9_MSIZE_MAX || p9_decode(rep, n, &out));
	if (len >= P9_HDR_LEN)
		BUG_ON(out.tag != (uint16_t)(req[5] | req[6] << 8));
	BUG_ON(fd >= 0 && out.type != P9_Rxopen && out.type != P9_Rxcreate && out.type != P9_Rxbind &&
	       out.type != P9_Rxconnect && out.type != P9_Rxlookup);
	if (fd >= 0)
		close(fd);
}

static void begin(struct gofer_conn *c)
{
	struct p9_msg m = { .type = P9_Tversion, .tag = P9_NOTAG };
	uint8_t buf[128];

	m.Tversion = (struct p9_Tversion){ P9_MSIZE_MAX, p9_str(P9_VERSION_EXT) };
	feed(c, buf, (size_t)p9_encode(&m, buf, sizeof(buf)));
	m = (struct p9_msg){ .type = P9_Tattach, .tag = 1 };
	m.Tattach = (struct p9_Tattach){ .fid = 1, .afid = P9_NOFID, .aname = p9_str("0"), .n_uname = 0 };
	feed(c, buf, (size_t)p9_encode(&m, buf, sizeof(buf)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct gofer_conn *c = gofer_conn_new(&srv);
	static unsigned inputs;
	struct stat st;
	int before = dup(rootfd), after;

	close(before);
	if (++inputs % WIPE_EVERY == 0) {
		wipe();
		put(rootfd, "hello", "hello");
		mkdirat(rootfd, "sub", 0755);
	}
	begin(c);
	while (len >= 4) {
		uint32_t size = p9_size(data);

		if (size < 4 || size > len)
			break;
		feed(c, data, size);
		data += size;
		len -= size;
	}
	if (len)
		feed(c, data, len);
	gofer_conn_free(c);
	after = dup(rootfd);
	close(after);
	BUG_ON(before != after); /* the lowest free number moved: something stayed open */
	BUG_ON(fstatat(top, "secret", &st, 0) || st.st_size != 6 || (st.st_mode & 07777) != 0644);
	return 0;
}
