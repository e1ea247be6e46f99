/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fuse_files.c - a file system served by a process: names, attributes, content, mapping, caching
 * Inside with: CAP_SYS_ADMIN
 */
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "fuse_daemon.h"

static char top[] = "/tmp/fuse.XXXXXX";

static void names_(void)
{
	struct stat st, st2;
	char buf[64];
	DIR *d;
	int n = 0;

	CHECK(mkdir("a", 0750) == 0 && mkdir("a/b", 0755) == 0);
	CHECK_ERRNO(mkdir("a", 0750), EEXIST);
	CHECK(stat("a", &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0750 && st.st_nlink == 3 && st.st_ino == 2);
	CHECK(close(open("a/f", O_CREAT | O_EXCL | O_WRONLY, 0640)) == 0);
	CHECK_ERRNO(open("a/f", O_CREAT | O_EXCL | O_WRONLY, 0640), EEXIST);
	CHECK_ERRNO(open("a/none", O_RDONLY), ENOENT);
	CHECK(link("a/f", "a/g") == 0 && stat("a/f", &st) == 0 && stat("a/g", &st2) == 0);
	CHECK(st.st_ino == st2.st_ino && st.st_nlink == 2);
	CHECK(symlink("f", "a/l") == 0 && readlink("a/l", buf, sizeof(buf)) == 1 && buf[0] == 'f');
	CHECK(stat("a/l", &st2) == 0 && st2.st_ino == st.st_ino);
	CHECK(rename("a/g", "a/b/h") == 0 && access("a/g", F_OK) != 0 && access("a/b/h", F_OK) == 0);
	CHECK(renameat2(AT_FDCWD, "a/b/h", AT_FDCWD, "a/b/i", RENAME_NOREPLACE) == 0);
	CHECK_ERRNO(renameat2(AT_FDCWD, "a/b/i", AT_FDCWD, "a/l", RENAME_NOREPLACE), EEXIST);
	CHECK(renameat2(AT_FDCWD, "a/b/i", AT_FDCWD, "a/l", RENAME_EXCHANGE) == 0);
	CHECK(lstat("a/b/i", &st) == 0 && S_ISLNK(st.st_mode) && lstat("a/l", &st) == 0 && S_ISREG(st.st_mode));
	CHECK_ERRNO(rmdir("a"), ENOTEMPTY);
	CHECK_ERRNO(unlink("a/b"), EISDIR);
	CHECK(mknod("a/p", S_IFIFO | 0600, 0) == 0 && stat("a/p", &st) == 0 && S_ISFIFO(st.st_mode));
	d = opendir("a");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		n++;
	closedir(d);
	CHECK(n == 4); /* b f l p; the daemon makes no dots */
	CHECK(unlink("a/p") == 0 && unlink("a/l") == 0 && unlink("a/f") == 0 && unlink("a/b/i") == 0);
	CHECK(rmdir("a/b") == 0 && rmdir("a") == 0);
	CHECK_ERRNO(stat("a", &st), ENOENT);
}

/* More names than one request brings. */
static void long_directory(void)
{
	char name[160];
	int n = 0;
	DIR *d;

	CHECK(mkdir("d", 0755) == 0);
	for (int k = 0; k < 80; k++) {
		snprintf(name, sizeof(name), "d/%0120d", k);
		CHECK(mknod(name, S_IFREG | 0644, 0) == 0);
	}
	d = opendir("d");
	for (struct dirent *e; (e = readdir(d));)
		n++;
	CHECK(n == 80);
	rewinddir(d);
	CHECK(readdir(d));
	closedir(d);
	for (int k = 0; k < 80; k++) {
		snprintf(name, sizeof(name), "d/%0120d", k);
		CHECK(unlink(name) == 0);
	}
	CHECK(rmdir("d") == 0);
}

static void attributes(void)
{
	struct timespec ts[2] = { { 100, 0 }, { 200, 0 } };
	struct statfs fs;
	struct stat st;
	int fd = open("f", O_CREAT | O_RDWR, 0644);

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0644 && st.st_size == 0 && st.st_blksize == 4096);
	CHECK(fchmod(fd, 0600) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK(ftruncate(fd, 10000) == 0 && fstat(fd, &st) == 0 && st.st_size == 10000);
	CHECK(futimens(fd, ts) == 0 && fstat(fd, &st) == 0 && st.st_atime == 100 && st.st_mtime == 200);
	CHECK(fchown(fd, 12, 34) == 0 && fstat(fd, &st) == 0 && st.st_uid == 12 && st.st_gid == 34);
	CHECK(truncate("f", 3) == 0 && fstat(fd, &st) == 0 && st.st_size == 3);
	CHECK(statfs("f", &fs) == 0 && fs.f_type == 0x65735546 && fs.f_blocks == 1000 && fs.f_bavail == 400 && fs.f_namelen == 99 &&
	      fs.f_bsize == 512 && fs.f_frsize == 1024);
	CHECK(fsetxattr(fd, "user.x", "hello", 5, 0) == 0);
	char v[16];
	CHECK(getxattr("f", "user.x", v, sizeof(v)) == 5 && !memcmp(v, "hello", 5) && getxattr("f", "user.x", NULL, 0) == 5);
	CHECK_ERRNO(getxattr("f", "user.x", v, 2), ERANGE);
	CHECK_ERRNO(getxattr("f", "user.y", v, 2), ENODATA);
	CHECK(listxattr("f", v, sizeof(v)) == 7 && !strcmp(v, "user.x") && listxattr("f", NULL, 0) == 7);
	CHECK(removexattr("f", "user.x") == 0 && listxattr("f", v, sizeof(v)) == 0);
	close(fd);
	CHECK(unlink("f") == 0);
}

static void content(void)
{
	static char big[300000], back[300000];
	struct stat st;
	uint32_t v = 41;
	int fd, fd2;

	for (size_t k = 0; k < sizeof(big); k++)
		big[k] = (char)(k * 7 + k / 4096);
	fd = open("c", O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0 && write(fd, big, sizeof(big)) == sizeof(big));
	CHECK(pread(fd, back, sizeof(back), 0) == sizeof(back) && !memcmp(big, back, sizeof(big)));
	CHECK(pread(fd, back, 100, 299950) == 50 && pread(fd, back, 100, 300000) == 0);
	CHECK(pwrite(fd, "XYZ", 3, 4095) == 3 && pread(fd, back, 5, 4094) == 5 && !memcmp(back + 1, "XYZ", 3) && back[0] == big[4094]);
	fd2 = open("c", O_WRONLY | O_APPEND);
	CHECK(fd2 >= 0 && write(fd2, "end", 3) == 3 && fstat(fd, &st) == 0 && st.st_size == 300003);
	CHECK(pread(fd, back, 10, 299999) == 4 && !memcmp(back + 1, "end", 3));
	CHECK(ftruncate(fd, 100) == 0 && ftruncate(fd, 200) == 0 && pread(fd, back, 300, 0) == 200 && back[99] == big[99] && back[100] == 0 &&
	      back[199] == 0);
	CHECK(fallocate(fd, 0, 0, 8192) == 0 && fstat(fd, &st) == 0 && st.st_size == 8192);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 50) == 0 && pread(fd, back, 100, 0) == 100 && back[10] == 0 &&
	      back[60] == big[60]);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
	CHECK(lseek(fd, 0, SEEK_HOLE) == 4096 && lseek(fd, 10, SEEK_DATA) == 10 && lseek(fd, -1, SEEK_END) == 8191);
	CHECK_ERRNO(lseek(fd, 9000, SEEK_DATA), ENXIO);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0 && ctl->count[FUSE_FSYNC] == 2);
	CHECK(ioctl(fd, _IOWR('x', 1, uint32_t), &v) == 3 && v == 42);
	close(fd2);
	close(fd);
	CHECK(unlink("c") == 0);
}

static void caching(void)
{
	char buf[100];
	int fd, n;

	ctl->attr_s = ctl->entry_s = 100;
	fd = open("k", O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10);
	close(fd);
	fd = open("k", O_RDONLY);
	CHECK(read(fd, buf, 10) == 10);
	n = ctl->count[FUSE_READ];
	CHECK(pread(fd, buf, 10, 0) == 10 && pread(fd, buf, 5, 3) == 5 && ctl->count[FUSE_READ] == n); /* kept */
	n = ctl->count[FUSE_LOOKUP];
	for (int k = 0; k < 5; k++)
		CHECK(access("k", F_OK) == 0 && access("not", F_OK) != 0);
	CHECK(ctl->count[FUSE_LOOKUP] == n + 1);	/* both are remembered */
	close(fd);
	/* opened anew, it is asked for again */
	n = ctl->count[FUSE_READ];
	fd = open("k", O_RDONLY);
	CHECK(read(fd, buf, 10) == 10 && ctl->count[FUSE_READ] == n + 1);
	close(fd);
	ctl->open_flags = FOPEN_DIRECT_IO;
	fd = open("k", O_RDONLY);
	n = ctl->count[FUSE_READ];
	CHECK(pread(fd, buf, 10, 0) == 10 && pread(fd, buf, 10, 0) == 10 && ctl->count[FUSE_READ] == n + 2);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENODEV);
	close(fd);
	ctl->open_flags = FOPEN_NONSEEKABLE;
	fd = open("k", O_RDONLY);
	CHECK_ERRNO(lseek(fd, 0, SEEK_SET), ESPIPE);
	CHECK(read(fd, buf, 4) == 4 && read(fd, buf, 4) == 4 && buf[0] == '4');
	close(fd);
	ctl->open_flags = ctl->attr_s = ctl->entry_s = 0;
	n = ctl->count[FUSE_LOOKUP];
	CHECK(access("k", F_OK) == 0 && ctl->count[FUSE_LOOKUP] == n && rename("k", "k2") == 0);
	CHECK(mknod("l", S_IFREG | 0644, 0) == 0);
	n = ctl->count[FUSE_LOOKUP];
	CHECK(access("l", F_OK) == 0 && access("l", F_OK) == 0 && ctl->count[FUSE_LOOKUP] == n + 2);
	CHECK(unlink("k2") == 0 && unlink("l") == 0);
}

static void mapping(void)
{
	static char big[20000];
	char back[100], *p, *q;
	int fd = open("m", O_CREAT | O_RDWR, 0644), fd2;

	memset(big, 'a', sizeof(big));
	CHECK(fd >= 0 && write(fd, big, sizeof(big)) == sizeof(big));
	p = mmap(NULL, 20480, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && p[0] == 'a' && p[19999] == 'a' && p[20000] == 0);
	p[0] = 'b';
	CHECK(pread(fd, back, 1, 0) == 1 && back[0] == 'a');
	CHECK(munmap(p, 20480) == 0);
	p = mmap(NULL, 20480, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && p[5000] == 'a' && pwrite(fd, "ccc", 3, 5000) == 3 && p[5000] == 'c');
	/* what is written to a shared mapping reaches the daemon by msync, by fsync and in the end */
	q = mmap(NULL, 20480, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(q != MAP_FAILED);
	q[100] = 'd';
	CHECK(p[100] == 'd' && pread(fd, back, 1, 100) == 1 && back[0] == 'd');
	CHECK(msync(q, 20480, MS_SYNC) == 0);
	ctl->open_flags = FOPEN_DIRECT_IO;
	fd2 = open("m", O_RDONLY);
	CHECK(pread(fd2, back, 1, 100) == 1 && back[0] == 'd');
	q[4097] = 'e';
	CHECK(fsync(fd) == 0 && pread(fd2, back, 1, 4097) == 1 && back[0] == 'e');
	/* pages that are changed in part by a write stay changed where the mapping changed them */
	q[8200] = 'f';
	CHECK(pwrite(fd, "ggg", 3, 8300) == 3 && q[8300] == 'g');
	CHECK(msync(q, 20480, MS_SYNC) == 0 && pread(fd2, back, 101, 8200) == 101 && back[0] == 'f' && back[100] == 'g');
	q[12300] = 'h';
	CHECK(munmap(q, 20480) == 0 && munmap(p, 20480) == 0);
	CHECK(close(fd) == 0);
	for (int k = 0; k < 1000 && (pread(fd2, back, 1, 12300) != 1 || back[0] != 'h'); k++)
		nap_ms(2);
	CHECK(back[0] == 'h');
	close(fd2);
	ctl->open_flags = 0;
	CHECK(unlink("m") == 0);
}

/* A program on it runs. */
static void exec_it(void)
{
	static char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY), out = open("x", O_CREAT | O_WRONLY, 0755), st;
	ssize_t n;
	pid_t pid;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		CHECK(write(out, buf, (size_t)n) == n);
	close(in);
	pid = fork();
	if (!pid) {
		execl("./x", "x", "child", NULL);
		_exit(errno == ETXTBSY ? 50 : 51);
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 50); /* somebody has it open for writing */
	close(out);
	pid = fork();
	if (!pid) {
		execl("./x", "x", "child", NULL);
		_exit(51);
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 42);
	CHECK(chmod("x", 0644) == 0);
	CHECK_ERRNO(execl("./x", "x", "child", NULL), EACCES);
	CHECK(unlink("x") == 0);
}

static void calls_unknown(void)
{
	char v[8];
	int fd;

	/* what the daemon does not know is asked once */
	ctl->error[FUSE_FLUSH] = ctl->error[FUSE_FSYNC] = ctl->error[FUSE_GETXATTR] = ctl->error[FUSE_ACCESS] = ENOSYS;
	ctl->error[FUSE_LSEEK] = ctl->error[FUSE_FALLOCATE] = ctl->error[FUSE_CREATE] = ENOSYS;
	memset(ctl->count, 0, sizeof(ctl->count));
	for (int k = 0; k < 3; k++) {
		fd = open("u", O_CREAT | O_RDWR, 0644);
		CHECK(fd >= 0 && write(fd, "abc", 3) == 3 && fsync(fd) == 0);
		CHECK_ERRNO(fgetxattr(fd, "user.x", v, 8), EOPNOTSUPP);
		CHECK_ERRNO(fallocate(fd, 0, 0, 100), EOPNOTSUPP);
		CHECK(lseek(fd, 0, SEEK_HOLE) == 3 && access("u", R_OK) == 0);
		CHECK(close(fd) == 0 && unlink("u") == 0);
	}
	CHECK(ctl->count[FUSE_FLUSH] == 1 && ctl->count[FUSE_FSYNC] == 1 && ctl->count[FUSE_GETXATTR] == 1 && ctl->count[FUSE_ACCESS] == 1);
	CHECK(ctl->count[FUSE_LSEEK] == 1 && ctl->count[FUSE_FALLOCATE] == 1 && ctl->count[FUSE_CREATE] == 1 && ctl->count[FUSE_MKNOD] == 3);
	memset(ctl->error, 0, sizeof(ctl->error));
}

static void identity(void)
{
	CHECK(mkdir("i", 0777) == 0 && ctl->uid == (int)getuid() && ctl->pid == getpid());
	CHECK(umask(077) == 022 && rmdir("i") == 0 && mkdir("i", 0777) == 0);
	CHECK((ctl->last_mode & 0777) == 0700 && ctl->last_umask == 077);
	umask(022);
	CHECK(rmdir("i") == 0);
}

static int in_mounts(const char *text)
{
	static char buf[65536];
	int fd = open("/proc/self/mountinfo", O_RDONLY);
	ssize_t n, len = 0;

	while ((n = read(fd, buf + len, sizeof(buf) - 1 - (size_t)len)) > 0)
		len += n;
	close(fd);
	buf[len] = 0;
	return strstr(buf, text) != NULL;
}

int main(int argc, char **argv)
{
	struct stat st;

	if (argc > 1)
		return 42;
	umask(022);
	fuse_own_namespace();
	CHECK(mkdtemp(top) && chdir(top) == 0 && mkdir("m", 0755) == 0);
	CHECK(stat("/dev/fuse", &st) != 0 || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 229)));
	fuse_ctl();
	fuse_start("m", ",allow_other");
	CHECK(in_mounts(" - fuse.guest test rw,user_id=0,group_id=0,allow_other\n"));
	CHECK(chdir("m") == 0);
	names_();
	long_directory();
	attributes();
	content();
	caching();
	mapping();
	exec_it();
	identity();
	calls_unknown();
	CHECK(chdir(top) == 0);
	/* all that was handed out comes back */
	fuse_stop("m");
	CHECK(rmdir("m") == 0 && chdir("/") == 0 && rmdir(top) == 0);
	return 0;
}
