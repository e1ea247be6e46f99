/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fs_names.c - mkdir, link, unlink, rename, readdir, getcwd and their errors
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static int ren2(const char *a, const char *b, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void touch(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0600);

	CHECK(fd >= 0);
	close(fd);
}

static ino_t ino_of(const char *name)
{
	struct stat st;

	CHECK(lstat(name, &st) == 0);
	return st.st_ino;
}

static int entries(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	CHECK(d);
	while ((e = readdir(d))) {
		struct stat st;

		CHECK(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
		if (strcmp(e->d_name, ".."))
			CHECK(st.st_ino == e->d_ino);
		n++;
	}
	closedir(d);
	return n;
}

static void dirs(void)
{
	struct stat st;

	CHECK(mkdir("d", 0755) == 0 && mkdir("d/e/", 0700) == 0);
	CHECK(stat("d", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK_ERRNO(mkdir("d", 0755), EEXIST);
	CHECK_ERRNO(mkdir("x/y", 0755), ENOENT);
	CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
	CHECK_ERRNO(rmdir("d/e/."), EINVAL);
	CHECK_ERRNO(rmdir("d/e/.."), ENOTEMPTY);
	CHECK_ERRNO(unlink("d"), EISDIR);
	touch("f");
	CHECK_ERRNO(rmdir("f"), ENOTDIR);
	CHECK_ERRNO(unlink("f/"), ENOTDIR);
	CHECK_ERRNO(mkdir("f/x", 0755), ENOTDIR);
	CHECK(rmdir("d/e") == 0 && rmdir("d") == 0 && unlink("f") == 0);
	CHECK_ERRNO(unlink("f"), ENOENT);
	CHECK_ERRNO(rmdir("/"), EBUSY);
}

static void links(void)
{
	struct stat st;

	touch("a");
	CHECK(link("a", "b") == 0);
	CHECK(stat("b", &st) == 0 && st.st_nlink == 2 && ino_of("a") == ino_of("b"));
	CHECK_ERRNO(link("a", "b"), EEXIST);
	mkdir("d", 0755);
	CHECK_ERRNO(link("d", "dd"), EPERM);
	CHECK(symlink("a", "s") == 0);
	CHECK(link("s", "s2") == 0 && ino_of("s") == ino_of("s2"));
	CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW) == 0 && ino_of("s3") == ino_of("a"));
	CHECK(rename("a", "b") == 0 && access("a", F_OK) == 0);	/* two names of one file: nothing happens */
	CHECK(unlink("a") == 0 && unlink("b") == 0 && unlink("s") == 0 && unlink("s2") == 0 && unlink("s3") == 0 && rmdir("d") == 0);
}

static void renames(void)
{
	ino_t a, b;

	touch("a");
	touch("b");
	a = ino_of("a");
	b = ino_of("b");
	CHECK_ERRNO(ren2("a", "b", RENAME_NOREPLACE), EEXIST);
	CHECK(ren2("a", "b", RENAME_EXCHANGE) == 0 && ino_of("a") == b && ino_of("b") == a);
	CHECK_ERRNO(ren2("a", "none", RENAME_EXCHANGE), ENOENT);
	CHECK_ERRNO(ren2("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	CHECK(rename("a", "c") == 0 && ino_of("c") == b);
	CHECK(rename("c", "b") == 0 && ino_of("b") == b);
	CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0 && mkdir("g", 0755) == 0);
	CHECK_ERRNO(rename("d", "d/e/f"), EINVAL);
	CHECK_ERRNO(rename("d/e", "d"), ENOTEMPTY);
	CHECK_ERRNO(rename("b", "d"), EISDIR);
	CHECK_ERRNO(rename("d", "b"), ENOTDIR);
	CHECK_ERRNO(rename("g", "d"), ENOTEMPTY);
	CHECK_ERRNO(rename("b", "g/"), ENOTDIR);
	CHECK_ERRNO(rename("none", "x"), ENOENT);
	CHECK(rename("d/e", "g") == 0);
	CHECK(rename("d", "g/d") == 0 && access("g/d", F_OK) == 0);
	CHECK_ERRNO(rename(".", "x"), EBUSY);
	CHECK(rmdir("g/d") == 0 && rmdir("g") == 0 && unlink("b") == 0);
}

static void readdirs(void)
{
	char name[32], before[64];
	DIR *d;
	struct dirent *e;
	int n = 0;
	long off;

	mkdir("many", 0755);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "many/file%d", i);
		touch(name);
	}
	CHECK(entries("many") == 502);
	d = opendir("many");
	while ((e = readdir(d)))	/* removing while reading: each is seen once */
		if (e->d_name[0] != '.') {
			snprintf(before, sizeof(before), "many/%s", e->d_name);
			CHECK(unlink(before) == 0);
			n++;
		}
	CHECK(n == 500);
	closedir(d);
	touch("many/x");
	touch("many/y");
	d = opendir("many");
	readdir(d);
	readdir(d);
	off = telldir(d);
	e = readdir(d);
	strcpy(before, e->d_name);
	seekdir(d, off);
	e = readdir(d);
	CHECK(!strcmp(before, e->d_name));
	closedir(d);
	unlink("many/x");
	unlink("many/y");
	rmdir("many");
}

static void cwd(void)
{
	char here[256], buf[256];
	struct stat st;
	int fd;

	CHECK(getcwd(here, sizeof(here)));
	CHECK_ERRNO(syscall(SYS_getcwd, buf, 2), ERANGE);
	CHECK(mkdir("w", 0755) == 0 && chdir("w") == 0);
	CHECK(getcwd(buf, sizeof(buf)) && !strncmp(buf, here, strlen(here)) && !strcmp(buf + strlen(here), "/w"));
	CHECK(rename("../w", "../v") == 0 && getcwd(buf, sizeof(buf)) && !strcmp(buf + strlen(here), "/v"));
	CHECK(rmdir("../v") == 0);
	CHECK_ERRNO(syscall(SYS_getcwd, buf, sizeof(buf)), ENOENT);
	CHECK_ERRNO(open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
	CHECK(stat(".", &st) == 0 && st.st_nlink == 0);
	CHECK(chdir("..") == 0 && getcwd(buf, sizeof(buf)) && !strcmp(buf, here));
	fd = open("/", O_RDONLY | O_DIRECTORY);
	CHECK(fchdir(fd) == 0 && getcwd(buf, sizeof(buf)) && !strcmp(buf, "/"));
	CHECK(chdir(here) == 0);
	CHECK(umask(027) == 0 && umask(0) == 027);
}

int main(void)
{
	char dir[] = "/tmp/fs_names.XXXXXX";
	const char *base[] = { dir, "/root" };

	umask(0);
	CHECK(mkdtemp(dir));
	for (int k = 0; k < 2; k++) {	/* a tmpfs, and what the root is made of */
		char sub[64];

		snprintf(sub, sizeof(sub), "%s/names.%d", base[k], (int)getpid());
		CHECK(mkdir(sub, 0755) == 0 && chdir(sub) == 0);
		dirs();
		links();
		renames();
		readdirs();
		cwd();
		CHECK(chdir("/") == 0 && rmdir(sub) == 0);
	}
	return 0;
}
