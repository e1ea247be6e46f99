/* SPDX-License-Identifier: Apache-2.0
 * test/guest/task_core.c - core files and the status that says so
 */
#include "guest.h"

#include <elf.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *marker;

static int child_dies(rlim_t limit, int sig)
{
	struct rlimit r = { limit, limit };
	siginfo_t si;
	int st;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		CHECK(setrlimit(RLIMIT_CORE, &r) == 0);
		signal(sig, SIG_DFL);
		raise(sig);
		_exit(1);
	}
	CHECK(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0);
	CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == sig);
	CHECK(si.si_code == (WCOREDUMP(st) ? CLD_DUMPED : CLD_KILLED));
	return WCOREDUMP(st) ? pid : 0;
}

/* The notes of the core file name the signal, and a mapping holds the marker. */
static void check_core(const char *name, int sig)
{
	int fd = open(name, O_RDONLY);
	struct stat st;
	const unsigned char *p;
	const Elf64_Ehdr *e;
	const Elf64_Phdr *ph;
	int status = 0, memory = 0;

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	e = (const void *)p;
	CHECK(!memcmp(e->e_ident, ELFMAG, 4) && e->e_type == ET_CORE && e->e_machine == EM_X86_64);
	ph = (const void *)(p + e->e_phoff);
	for (int i = 0; i < e->e_phnum; i++) {
		if (ph[i].p_type == PT_NOTE) {
			const Elf64_Nhdr *n = (const void *)(p + ph[i].p_offset);
			const struct elf_prstatus *s = (const void *)((const char *)(n + 1) + 8);

			CHECK(n->n_type == NT_PRSTATUS && n->n_descsz == sizeof(*s));
			CHECK(s->pr_cursig == sig);
			status = 1;
		} else if (ph[i].p_type == PT_LOAD && (unsigned long)marker - ph[i].p_vaddr < ph[i].p_filesz) {
			CHECK(!strcmp((const char *)p + ph[i].p_offset + ((unsigned long)marker - ph[i].p_vaddr), "the marker"));
			memory = 1;
		}
	}
	CHECK(status && memory);
	munmap((void *)p, (size_t)st.st_size);
	close(fd);
}

int main(void)
{
	char dir[] = "/tmp/core.XXXXXX", pattern[128] = "", name[64];
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY), pid;
	glob_t g;

	CHECK(fd >= 0 && read(fd, pattern, sizeof(pattern) - 1) > 0);
	close(fd);
	if (strncmp(pattern, "core", 4))
		SKIP("the core pattern is not \"core...\"");
	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	marker = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(marker != MAP_FAILED);
	strcpy(marker, "the marker");
	CHECK(child_dies(0, SIGSEGV) == 0);
	CHECK(glob("core*", 0, NULL, &g) == GLOB_NOMATCH);
	CHECK(child_dies(RLIM_INFINITY, SIGTERM) == 0);
	pid = child_dies(RLIM_INFINITY, SIGQUIT);
	CHECK(pid > 0);
	CHECK(glob("core*", 0, NULL, &g) == 0 && g.gl_pathc == 1);
	snprintf(name, sizeof(name), "%s", g.gl_pathv[0]);
	check_core(name, SIGQUIT);
	CHECK(unlink(name) == 0 && chdir("/") == 0 && rmdir(dir) == 0);
	return 0;
}
