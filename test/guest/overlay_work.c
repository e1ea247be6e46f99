/* SPDX-License-Identifier: Apache-2.0
 * test/guest/overlay_work.c - the work directory of an overlay: where it may be, and what is found in it after the mount
 *
 * Inside with: CAP_SYS_ADMIN
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int failures;
#define CHECK(c)                                                                                             \
	do {                                                                                                 \
		if (!(c)) {                                                                                  \
			printf("%s:%d: %s (errno %d %s)\n", __FILE__, __LINE__, #c, errno, strerror(errno)); \
			failures++;                                                                          \
		}                                                                                            \
	} while (0)
#define FAILS(c, e) CHECK((errno = 0, (c) == -1) && errno == (e))

static int overlay(const char *opts)
{
	return mount("overlay", "m", "overlay", 0, opts);
}

int main(void)
{
	char dir[] = "/tmp/ovlwork.XXXXXX";
	struct stat st;

	if (!mkdtemp(dir) || unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, "tmpfs", 0, NULL) || chdir(dir)) {
		printf("no mounts: %s\n", strerror(errno));
		return 77;
	}
	CHECK(!mkdir("l", 0755) && !mkdir("u", 0755) && !mkdir("w", 0755) && !mkdir("m", 0755) && !mkdir("o", 0755));
	CHECK(!mount("none", "o", "tmpfs", 0, NULL));
	FAILS(overlay("lowerdir=l,upperdir=u"), EINVAL);
	FAILS(overlay("lowerdir=l,upperdir=u,workdir=none"), ENOENT);
	FAILS(overlay("lowerdir=l,upperdir=u,workdir=o"), EINVAL);
	FAILS(overlay("lowerdir=l,upperdir=u,workdir=u"), EINVAL);
	for (int i = 0; i < 2; i++) { /* the second one finds what the first one made */
		CHECK(overlay("lowerdir=l,upperdir=u,workdir=w") == 0);
		CHECK(stat("w/work", &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0);
		CHECK(chown("w/work", 0, 0) == 0);
		CHECK(mkdir(i ? "m/a" : "m/b", 0755) == 0);
		CHECK(umount("m") == 0);
	}
	CHECK(access("u/a", F_OK) == 0 && access("u/b", F_OK) == 0);
	umount2(dir, MNT_DETACH);
	chdir("/");
	rmdir(dir);
	return failures != 0;
}
