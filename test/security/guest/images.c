/* SPDX-License-Identifier: Apache-2.0
 * test/security/guest/images.c - programs that are none: executable files with broken, huge, overlapping and looping headers, and scripts
 *
 * Each is written to /tmp and executed in a child, which may fail, die or run; what is looked at is whether the Sentry and its neighbours
 * survive (attacks.sh), and that nothing is mapped over the region beside the application. Prints "done N".
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "region.h"

#define PATH	"/tmp/image"
#define RANDOM_IMAGES 500
#define WAIT_MS	3000
#define STATUS	33

static uint64_t region, rng = 88172645463325252ull;
static unsigned tried, ran;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	return rng ^= rng << 17;
}

/* A file may be written a moment after the program that it was has ended. One that never may has been lost track of: so it was with the first
 * of two segments in the same place. */
static int open_image(const char *path)
{
	int fd = -1;

	for (int i = 0; i < 500 && fd < 0; i++) {
		fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
		if (fd < 0 && errno == ETXTBSY)
			usleep(10000);
	}
	return fd;
}

/* The file, and what comes of an exec of it; a child that runs on is killed. 1: the plain program's own status. */
static int try(const char *path, const void *data, size_t len)
{
	struct rlimit mem = { 1 << 30, 1 << 30 }, none = { 0, 0 };
	struct timespec t = { WAIT_MS / 1000, 0 }, now = { 0 };
	int fd, p[2], st, err = 0;
	sigset_t chld;
	pid_t pid;

	tried++;
	fd = data ? open_image(path) : -1;
	if (data && (fd < 0 || write(fd, data, len) != (ssize_t)len))
		printf("BREACH cannot write %s: errno %d: the attack is blunt\n", path, errno);
	close(fd);
	if (pipe2(p, O_CLOEXEC))
		return 0;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (sigtimedwait(&chld, NULL, &now) > 0)
		; /* of the one before */
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		sigprocmask(SIG_UNBLOCK, &chld, NULL);
		setrlimit(RLIMIT_AS, &mem);
		setrlimit(RLIMIT_CORE, &none);
		execl(path, path, "x", NULL);
		err = errno;
		(void)!write(p[1], &err, sizeof(err));
		_exit(1);
	}
	close(p[1]);
	(void)!read(p[0], &err, sizeof(err)); /* the end of file tells that exec worked */
	close(p[0]);
	if (waitpid(pid, &st, WNOHANG) == 0) {
		sigtimedwait(&chld, NULL, &t);
		kill(pid, SIGKILL);
		waitpid(pid, &st, 0);
	}
	ran += !err;
	return !err && WIFEXITED(st) && WEXITSTATUS(st) == STATUS;
}

/* A small static program whose one segment is @addr, of @memsz bytes; it ends with STATUS. */
static size_t image(unsigned char *out, uint16_t type, uint64_t addr, uint64_t filesz, uint64_t memsz, uint32_t flags)
{
	/* mov $60,%eax; mov $STATUS,%edi; syscall */
	static const unsigned char code[] = { 0xb8, 60, 0, 0, 0, 0xbf, STATUS, 0, 0, 0, 0x0f, 0x05 };
	Elf64_Ehdr e = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = type, .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT, .e_entry = addr + 120, .e_phoff = sizeof(e), .e_ehsize = sizeof(e),
			 .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1 };
	Elf64_Phdr p = { .p_type = PT_LOAD, .p_flags = flags, .p_vaddr = addr, .p_paddr = addr, .p_filesz = filesz, .p_memsz = memsz, .p_align = 4096 };

	memset(out, 0, 4096);
	memcpy(out, &e, sizeof(e));
	memcpy(out + sizeof(e), &p, sizeof(p));
	memcpy(out + 120, code, sizeof(code));
	return 4096;
}

/* Where no program may be: over the region, at its edges, round the end of the address space. */
static void places(void)
{
	static const uint64_t sizes[] = { 4096, 0x10000, 0x200000, 0x7fffffff0000ull, 1ull << 62, -4096ull };
	const uint64_t at[] = { region, region + 0x10000, region + 0x40000, region - 4096, region - 0x10000, 0x7ffffffff000ull, 0x800000000000ull,
				0xffff800000000000ull, -4096ull, 0 };
	unsigned char b[4096];

	for (unsigned i = 0; i < sizeof(at) / sizeof(*at); i++)
		for (unsigned k = 0; k < sizeof(sizes) / sizeof(*sizes); k++)
			for (unsigned type = ET_EXEC; type <= ET_DYN; type++) {
				size_t n = image(b, (uint16_t)type, at[i], 4096, sizes[k], 7);
				int works = try(PATH, b, n);

				/* a position-independent one may go elsewhere; a fixed one may not be where the region is */
				if (works && type == ET_EXEC && at[i] + sizes[k] > region && at[i] < region + 0x40000000 && sizes[k] < 1ull << 47)
					printf("BREACH a program at %#lx of %#lx bytes runs\n", at[i], sizes[k]);
			}
	image(b, ET_EXEC, 0x400000, 4096, 4096, 7);
	if (!try(PATH, b, sizeof(b)))
		printf("BREACH a plain program does not run: the attack is blunt\n");
}

static void scripts(void)
{
	static const char *const text[] = { "#!", "#!\n", "#! \n", "#!/tmp/image\n", "#!/tmp/image2\n", "#!/\n", "#!.\n", "#!/dev/null\n", "#!/proc/self/exe\n",
		"#!/proc/self/mem\n", "#!/dev/zero x\n", "#!\0/bin/sh\n", "#!/bin/busybox echo\r\n", "", "\n", "\x7f", "\x7f""ELF", "#!/tmp\n" };
	char big[70000];

	try("/tmp/image2", "#!/tmp/image\n", 13);
	for (unsigned i = 0; i < sizeof(text) / sizeof(*text); i++)
		try(PATH, text[i], strlen(text[i]) + 1);
	memset(big, 'a', sizeof(big));
	memcpy(big, "#!/", 3);
	for (size_t n = 1; n < sizeof(big); n = n * 3 + 1)
		try(PATH, big, n);
	memset(big, '/', sizeof(big));
	memcpy(big, "#!", 2);
	try(PATH, big, sizeof(big));
	for (int i = 0; i < 12; i++) { /* a chain that is longer than is followed */
		char from[32], to[64];

		snprintf(from, sizeof(from), "/tmp/chain%d", i);
		snprintf(to, sizeof(to), "#!/tmp/chain%d\n", i + 1);
		try(from, to, strlen(to));
	}
	try("/tmp/chain0", NULL, 0);
}

/* A real program with bytes of its headers changed. */
static void wild(void)
{
	static unsigned char whole[4 << 20], b[4 << 20];
	int fd = open("/files", O_RDONLY);
	ssize_t len = read(fd, whole, sizeof(whole));

	close(fd);
	if (len < 8192) {
		printf("BREACH no program to start from: the attack is blunt\n");
		return;
	}
	for (unsigned i = 0; i < RANDOM_IMAGES; i++) {
		size_t n = i % 7 ? (size_t)len : rnd() % 8192; /* cut short, too */
		Elf64_Ehdr *e = (Elf64_Ehdr *)b;
		Elf64_Phdr *p = (Elf64_Phdr *)(b + sizeof(*e));
		static const uint64_t odd[] = { 0, 1, 4095, 4097, -1ull, 1ull << 63, 0x7fffffffffffffffull, 0x7ffffffff000ull, 1ull << 47, 0xffffffff };
		unsigned edits = 1 + (unsigned)(rnd() % 4);

		memcpy(b, whole, (size_t)len);
		while (edits--) {
			uint64_t v = rnd() % 3 ? odd[rnd() % 10] : rnd() % 2 ? region + rnd() % 0x100000 : rnd();

			switch (rnd() % 4) {
			case 0:
				b[rnd() % 1024] = (unsigned char)rnd();
				break;
			case 1: /* a word of a program header */
				((uint64_t *)&p[rnd() % 6])[rnd() % 7] = v;
				break;
			case 2: /* its kind: interpreters, stacks, properties, notes */
				p[rnd() % 6].p_type = (uint32_t[]){ PT_INTERP, PT_GNU_STACK, PT_NOTE, PT_LOAD, PT_DYNAMIC, PT_TLS, PT_GNU_PROPERTY }[rnd() % 7];
				break;
			default:
				*(uint64_t *)(b + 24 + 8 * (rnd() % 5)) = v;
			}
		}
		try(PATH, b, n);
	}
	try("/tmp", NULL, 0);
	try("/dev/null", NULL, 0);
	try("/proc/self/mem", NULL, 0);
}

int main(void)
{
	sigset_t chld;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	catch_faults();
	region = find_region();
	if (!region)
		return 77;
	places();
	scripts();
	wild();
	printf("# %u images, %u ran\n", tried, ran);
	printf("done %u\n", tried);
	return 0;
}
