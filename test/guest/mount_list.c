/* SPDX-License-Identifier: Apache-2.0
 * test/guest/mount_list.c - listmount(2), statmount(2), STATX_MNT_ID_UNIQUE, compared with /proc/self/mountinfo
 */
#include "guest.h"

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NR_STATMOUNT 457
#define NR_LISTMOUNT 458
#define ROOT	     UINT64_MAX
#define UNIQUE	     0x4000

struct req {
	uint32_t size, spare;
	uint64_t id, param, ns;
};

struct sm {
	uint32_t size, opts;
	uint64_t mask;
	uint32_t major, minor;
	uint64_t magic;
	uint32_t sb_flags, type;
	uint64_t id, parent;
	uint32_t old_id, old_parent;
	uint64_t attr, propagation, peer, master, from;
	uint32_t root, point;
	uint64_t ns_id;
	uint32_t subtype, source, n[4];
	uint64_t supported;
	uint32_t maps[4];
	uint64_t spare[43];
	char str[7680];
};

static uint64_t ids[1000];
static struct sm s;

static long list(uint64_t id, uint64_t after, unsigned nr, unsigned flags)
{
	struct req r = { 24, 0, id, after, 0 };

	return syscall(NR_LISTMOUNT, &r, ids, nr, flags);
}

static long get(uint64_t id, uint64_t mask, unsigned size)
{
	struct req r = { 24, 0, id, mask, 0 };

	memset(&s, 0xaa, sizeof(s));
	return syscall(NR_STATMOUNT, &r, &s, size, 0);
}

static uint64_t id_of(const char *path)
{
	struct statx x;

	CHECK(statx(AT_FDCWD, path, 0, UNIQUE, &x) == 0);
	if (!(x.stx_mask & UNIQUE))
		SKIP("Linux before 6.8");
	CHECK(!(x.stx_mask & STATX_MNT_ID));
	return x.stx_mnt_id;
}

static int listed(uint64_t id, long n)
{
	for (long i = 0; i < n; i++)
		if (ids[i] == id)
			return 1;
	return 0;
}

/* Each line of mountinfo, by number. */
static void compare(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	unsigned id, parent, maj, min;
	char line[8192], root[1024], point[1024], type[64], source[1024];
	long n, lines = 0;
	uint64_t first;

	CHECK(f);
	n = list(ROOT, 0, 1000, 0);
	CHECK(n > 0);
	while (fgets(line, sizeof(line), f)) {
		CHECK(sscanf(line, "%u %u %u:%u %1023s %1023s", &id, &parent, &maj, &min, root, point) == 6);
		CHECK(sscanf(strstr(line, " - "), " - %63s %1023s", type, source) == 2);
		type[strcspn(type, ".")] = 0;	/* a subtype is a string of its own there */
		lines++;
		first = 0;
		for (long i = 0; i < n && !first; i++)
			if (get(ids[i], 2, 512) == 0 && s.old_id == id)
				first = ids[i];
		CHECK(first && get(first, 0x27f, sizeof(s)) == 0);
		CHECK(s.id == first && s.old_parent == parent && s.major == maj && s.minor == min);
		CHECK(!strcmp(s.str + s.root, root) && !strcmp(s.str + s.point, point) && !strcmp(s.str + s.type, type));
		CHECK(!strcmp(s.str + s.source, source));
	}
	CHECK(lines == n);
	fclose(f);
}

int main(void)
{
	uint64_t top, id, sub, prev = 0;
	struct statx x;
	struct req r;
	long n;

	if (list(ROOT, 0, 1, 0) < 0 && errno == ENOSYS)
		SKIP("Linux before 6.8");
	top = id_of("/");
	CHECK(top > 1ull << 31);
	CHECK(statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &x) == 0 && x.stx_mnt_id < 1ull << 31);
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		SKIP("no right to a mount namespace");
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(id_of("/") != top); /* a copy */
	top = id_of("/");
	CHECK(mkdir("lm.tmp", 0700) == 0 || errno == EEXIST);
	CHECK(mount("what", "lm.tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, "size=64k,mode=755") == 0);
	CHECK(mkdir("lm.tmp/a b", 0700) == 0 && mount("lm.tmp/a b", "lm.tmp/a b", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "lm.tmp/a b", NULL, MS_SHARED, NULL) == 0);
	CHECK(mount(NULL, "lm.tmp/a b", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_STRICTATIME, NULL) == 0);
	id = id_of("lm.tmp");
	sub = id_of("lm.tmp/a b");
	CHECK(sub > id && id > top);

	n = list(ROOT, 0, 1000, 0);
	CHECK(n > 2 && listed(top, n) && listed(id, n) && listed(sub, n));
	for (long i = 0; i < n; i++) {
		CHECK(ids[i] > prev);
		prev = ids[i];
	}
	CHECK(list(ROOT, id, 1000, 0) == 1 && ids[0] == sub);
	CHECK(list(ROOT, 0, 2, 1) == 2 && ids[0] == sub && ids[1] == id);
	CHECK(list(ROOT, sub, 1, 1) == 1 && ids[0] == id);
	CHECK(list(id, 0, 10, 0) == 1 && ids[0] == sub); /* below it, itself not */
	CHECK(list(sub, 0, 10, 0) == 0);
	CHECK_ERRNO(list(ROOT, 0, 10, 2), EINVAL);
	CHECK_ERRNO(list(ROOT, 0, 1000001, 0), EOVERFLOW);
	CHECK_ERRNO(list(5, 0, 10, 0), EINVAL);
	CHECK_ERRNO(list(1ull << 40, 0, 10, 0), ENOENT);

	CHECK(get(id, 0x12ff, sizeof(s)) == 0 && (s.mask & 0x12ff) == 0x12ff);
	CHECK(s.magic == 0x01021994 && s.id == id && s.parent == top && s.attr == (0x2 | 0x4 | 0x10) && s.propagation == MS_PRIVATE);
	CHECK(!strcmp(s.str + s.type, "tmpfs") && !strcmp(s.str + s.root, "/") && strstr(s.str + s.opts, "size=64k"));
	CHECK(!strcmp(s.str + s.source, "what") && (s.supported & 0x12ff) == 0x12ff && !s.peer && !s.master && !s.from);
	CHECK(strlen(s.str + s.point) >= 7 && !strcmp(s.str + s.point + strlen(s.str + s.point) - 7, "/lm.tmp"));
	CHECK(get(sub, 0x1a, sizeof(s)) == 0 && s.parent == id && s.attr == (0x1 | 0x20) && s.propagation == MS_SHARED && s.peer);
	CHECK(!strcmp(s.str + s.root, "/a b") && strstr(s.str + s.point, "/lm.tmp/a b") && s.mask == 0x1a && s.size > 512);
	CHECK(get(id, 3, 512) == 0 && s.size == 512 && s.mask == 3);
	CHECK(get(id, 3, 8) == 0 && s.size == 8); /* so much was filled */
	CHECK_ERRNO(get(id, 0x10, 512), EOVERFLOW);
	CHECK_ERRNO(get(id, 0x10, 515), EOVERFLOW);
	CHECK_ERRNO(get(1ull << 40, 1, 512), ENOENT);
	r = (struct req){ 23, 0, id, 1, 0 };
	CHECK_ERRNO(syscall(NR_STATMOUNT, &r, &s, sizeof(s), 0), EINVAL);
	r.size = 4097;
	CHECK_ERRNO(syscall(NR_STATMOUNT, &r, &s, sizeof(s), 0), E2BIG);
	r.size = 24;
	CHECK_ERRNO(syscall(NR_STATMOUNT, &r, &s, sizeof(s), 8), EINVAL);
	CHECK_ERRNO(syscall(NR_STATMOUNT, 8, &s, sizeof(s), 0), EFAULT);
	CHECK_ERRNO(syscall(NR_STATMOUNT, &r, 8, sizeof(s), 0), EFAULT);
	CHECK(umount("lm.tmp/a b") == 0);
	CHECK_ERRNO(get(sub, 1, 512), ENOENT);
	compare();
	/* With a root of his own one sees what is below it. */
	CHECK(chroot("lm.tmp") == 0);
	CHECK(list(ROOT, 0, 10, 0) == 1 && ids[0] == id);
	CHECK(get(id, 0x10, sizeof(s)) == 0 && !strcmp(s.str + s.point, "/"));
	CHECK(umount2("/", MNT_DETACH) == 0);
	return 0;
}
