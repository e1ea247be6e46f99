/* SPDX-License-Identifier: Apache-2.0
 * test/guest/proc_sys.c - the machine in /proc, and settings in /proc/sys
 */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static char buf[1 << 20];

static const char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t r, n = 0;

	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	while ((r = read(fd, buf + n, sizeof(buf) - 1 - (size_t)n)) > 0)
		n += r;
	close(fd);
	buf[n] = 0;
	return buf;
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static void machine(void)
{
	cpu_set_t set;
	struct sysinfo si;
	struct timespec ts;
	double up, idle, l1;
	long kb;

	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && sysinfo(&si) == 0);
	CHECK(count(slurp("/proc/cpuinfo"), "processor\t:") >= CPU_COUNT(&set));
	CHECK(strstr(buf, "flags\t\t:") && strstr(buf, " sse2 ") && strstr(buf, "vendor_id\t:") && strstr(buf, "model name\t:"));
	CHECK(sscanf(slurp("/proc/meminfo"), "MemTotal: %ld kB", &kb) == 1);
	CHECK(labs(kb - (long)(si.totalram * si.mem_unit / 1024)) < kb / 100);
	CHECK(strstr(buf, "\nMemAvailable:") && strstr(buf, "\nSwapTotal:") && strstr(buf, "\nHugepagesize:"));
	CHECK(sscanf(slurp("/proc/uptime"), "%lf %lf", &up, &idle) == 2);
	clock_gettime(CLOCK_BOOTTIME, &ts);
	CHECK(up > (double)ts.tv_sec - 5 && up < (double)ts.tv_sec + 5);
	CHECK(sscanf(slurp("/proc/loadavg"), "%lf", &l1) == 1 && count(buf, "/") == 1);
	CHECK(!strncmp(slurp("/proc/stat"), "cpu  ", 5) && strstr(buf, "\nbtime ") && strstr(buf, "\nprocs_running "));
	CHECK(labs(atol(strstr(buf, "\nbtime ") + 7) - (long)(time(NULL) - ts.tv_sec)) <= 2);
	slurp("/proc/vmstat");
	CHECK(strstr(buf, "nr_free_pages "));
	CHECK(strstr(slurp("/proc/filesystems"), "nodev\tproc\n") && strstr(buf, "tmpfs\n"));
	CHECK(!strncmp(slurp("/proc/version"), "Linux version ", 14));
	CHECK(strstr(slurp("/proc/devices"), "Character devices:"));
	CHECK(!strncmp(slurp("/proc/swaps"), "Filename", 8));
	slurp("/proc/diskstats");
	slurp("/proc/cgroups");
	slurp("/proc/cmdline");
	CHECK(strstr(slurp("/proc/mounts"), " /proc proc "));
	slurp("/proc/locks");
	slurp("/proc/sysvipc/shm");
}

static void settings(void)
{
	struct utsname u;
	char first[64];
	struct stat st;
	DIR *d;
	int n = 0;

	CHECK(uname(&u) == 0);
	CHECK(!strcmp(strtok(strcpy(first, slurp("/proc/sys/kernel/osrelease")), "\n"), u.release));
	CHECK(!strcmp(strtok((char *)slurp("/proc/sys/kernel/hostname"), "\n"), u.nodename));
	CHECK(!strcmp(slurp("/proc/sys/kernel/ostype"), "Linux\n"));
	CHECK(strlen(slurp("/proc/sys/kernel/random/uuid")) == 37);
	strcpy(first, buf);
	CHECK(strcmp(slurp("/proc/sys/kernel/random/uuid"), first));
	strcpy(first, slurp("/proc/sys/kernel/random/boot_id"));
	CHECK(!strcmp(slurp("/proc/sys/kernel/random/boot_id"), first) && strlen(first) == 37);
	CHECK(atol(slurp("/proc/sys/kernel/pid_max")) > 300 && atol(slurp("/proc/sys/fs/nr_open")) > 0);
	CHECK(atol(slurp("/proc/sys/vm/overcommit_memory")) >= 0 && atol(slurp("/proc/sys/kernel/cap_last_cap")) >= 37);
	CHECK(atol(slurp("/proc/sys/vm/max_map_count")) > 1000 && atol(slurp("/proc/sys/fs/pipe-max-size")) >= 4096);
	CHECK(atol(slurp("/proc/sys/fs/inotify/max_user_watches")) > 0 && atol(slurp("/proc/sys/kernel/threads-max")) > 0);
	CHECK(stat("/proc/sys/kernel", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(stat("/proc/sys/kernel/random", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(stat("/proc/sys/kernel/nonsense", &st) == -1 && errno == ENOENT);
	CHECK_ERRNO(open("/proc/sys/kernel/newfile", O_CREAT | O_WRONLY, 0644), ENOENT);
	d = opendir("/proc/sys");
	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	CHECK(n >= 5);
	CHECK_ERRNO(mkdir("/proc/newdir", 0755), ENOENT);
	CHECK_ERRNO(unlink("/proc/version"), EPERM);
}

/* As many columns as CPUs in the heading and behind each name. */
static void per_cpu(const char *path, const char *name)
{
	const char *text = slurp(path), *line = strstr(text, name);
	int cpus = count(text, "CPU"), n = 0;
	char *end;

	CHECK(cpus >= 1 && !strncmp(text + strspn(text, " "), "CPU0 ", 5) && line);
	for (line += strlen(name); strtoul(line, &end, 10), end != line && *line == ' '; line = end)
		n++;
	CHECK(n == cpus);
}

static void counters(void)
{
	static const char *const files[] = { "/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory" };

	per_cpu("/proc/interrupts", "LOC:");
	per_cpu("/proc/softirqs", " NET_RX:");
	CHECK(strstr(slurp("/proc/interrupts"), "   Local timer interrupts\n"));
	CHECK(slurp("/proc/self/cpuset")[0] == '/');
	if (access("/proc/pressure", F_OK) < 0)
		return; /* psi=0 */
	for (int k = 0; k < 3; k++) {
		float a, b, c;
		unsigned long total;

		CHECK(sscanf(slurp(files[k]), "some avg10=%f avg60=%f avg300=%f total=%lu\nfull avg10=%f ", &a, &b, &c, &total, &a) == 5);
	}
}

/* 20 for each name in it, with "." and ".." (what stat(2) shows on Linux). */
static void tmpfs_directory(void)
{
	struct stat st;
	struct statfs fs;
	char dir[] = "/dev/shm/proc_sys.XXXXXX";

	if (statfs("/dev/shm", &fs) < 0 || fs.f_type != 0x01021994)
		return;
	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	CHECK(stat(".", &st) == 0 && st.st_size == 40 && st.st_nlink == 2);
	CHECK(mkdir("d", 0700) == 0 && symlink("x", "l") == 0 && close(open("f", O_CREAT | O_WRONLY, 0600)) == 0);
	CHECK(stat(".", &st) == 0 && st.st_size == 100 && stat("d", &st) == 0 && st.st_size == 40);
	CHECK(rename("f", "d/f") == 0 && stat(".", &st) == 0 && st.st_size == 80 && stat("d", &st) == 0 && st.st_size == 60);
	CHECK(unlink("d/f") == 0 && unlink("l") == 0 && rmdir("d") == 0 && stat(".", &st) == 0 && st.st_size == 40);
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
}

int main(void)
{
	counters();
	tmpfs_directory();
	machine();
	settings();
	return 0;
}
