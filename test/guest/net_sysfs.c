/* SPDX-License-Identifier: Apache-2.0
 * test/guest/net_sysfs.c - /sys/class/net (Documentation/ABI/testing/sysfs-class-net); in a network namespace of its own
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define NET "/sys/class/net"

static const char *text(const char *name)
{
	static char b[256], path[300];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), NET "/%s", name);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, b, sizeof(b) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return NULL;
	b[n] = 0;
	return b;
}

static int is(const char *name, const char *want)
{
	const char *got = text(name);

	if (got && !strcmp(got, want))
		return 1;
	fprintf(stderr, "%s: %s\n", name, got ? got : strerror(errno));
	return 0;
}

static int listed(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	CHECK(d);
	while ((e = readdir(d)))
		n += !strcmp(e->d_name, name);
	closedir(d);
	return n;
}

static unsigned long counter(const char *name)
{
	const char *t = text(name);

	CHECK(t);
	return strtoul(t, NULL, 10);
}

int main(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	char br[IFNAMSIZ] = "br7", want[64], target[128];
	unsigned long before;
	struct stat st;
	ssize_t n;
	int s;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) < 0)
		SKIP("no right to a network namespace");
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
		SKIP("no right to mount sysfs");
	s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(s >= 0);
	CHECK(listed(NET, "lo") == 1 && listed(NET, "br7") == 0);
	CHECK(is("lo/operstate", "down\n") && !text("lo/carrier") && errno == EINVAL);
	CHECK(ioctl(s, SIOCSIFFLAGS, &r) == 0);
	CHECK(is("lo/operstate", "unknown\n") && is("lo/carrier", "1\n") && is("lo/flags", "0x9\n") && is("lo/type", "772\n"));
	CHECK(is("lo/address", "00:00:00:00:00:00\n") && is("lo/ifindex", "1\n") && is("lo/mtu", "65536\n"));
	CHECK(is("lo/uevent", "INTERFACE=lo\nIFINDEX=1\n") && is("lo/ifalias", ""));
	CHECK(!text("lo/speed") && errno == EINVAL);
	CHECK(!text("lo/nothing") && errno == ENOENT && !text("br7/mtu") && errno == ENOENT);
	n = readlink(NET "/lo", target, sizeof(target));
	CHECK(n > 0 && lstat(NET "/lo", &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(!strncmp(target, "../../devices/virtual/net/lo", (size_t)n));
	CHECK(stat(NET "/lo/mtu", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 4096);
	CHECK(listed(NET "/lo", "address") == 1 && listed(NET "/lo", "statistics") == 1 && listed(NET "/lo/statistics", "rx_bytes") == 1);

	before = counter("lo/statistics/tx_packets");
	CHECK(sendto(s, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)) == 1);
	CHECK(counter("lo/statistics/tx_packets") > before && counter("lo/statistics/rx_bytes") > 0);
	CHECK(is("lo/statistics/rx_crc_errors", "0\n"));

	/* links come, change and go */
	if (ioctl(s, SIOCBRADDBR, br) < 0)
		SKIP("this kernel has no bridges");
	CHECK(listed(NET, "br7") == 1 && listed("/sys/devices/virtual/net", "br7") == 1);
	strcpy(r.ifr_name, br);
	CHECK(ioctl(s, SIOCGIFHWADDR, &r) == 0);
	snprintf(want, sizeof(want), "%02x:%02x:%02x:%02x:%02x:%02x\n", (uint8_t)r.ifr_hwaddr.sa_data[0], (uint8_t)r.ifr_hwaddr.sa_data[1],
		 (uint8_t)r.ifr_hwaddr.sa_data[2], (uint8_t)r.ifr_hwaddr.sa_data[3], (uint8_t)r.ifr_hwaddr.sa_data[4],
		 (uint8_t)r.ifr_hwaddr.sa_data[5]);
	CHECK(is("br7/address", want) && is("br7/broadcast", "ff:ff:ff:ff:ff:ff\n") && is("br7/type", "1\n"));
	r.ifr_mtu = 1400;
	CHECK(ioctl(s, SIOCSIFMTU, &r) == 0 && is("br7/mtu", "1400\n"));
	CHECK(ioctl(s, SIOCBRDELBR, br) == 0);
	CHECK(listed(NET, "br7") == 0 && !text("br7/mtu") && errno == ENOENT);
	return 0;
}
