/* SPDX-License-Identifier: Apache-2.0
 * test/guest/mm_exec.c - what a new program finds: arguments, auxiliary vector, scripts, bad files
 */
#include "guest.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[256], bss[100000], data[5000] = "data";

static void write_file(const char *name, const char *text, size_t len, int mode)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);

	CHECK(fd >= 0 && write(fd, text, len) == (ssize_t)len && fchmod(fd, (mode_t)mode) == 0);
	close(fd);
}

/* Exit status of the program, or 200 + errno when it cannot be executed. */
static int run(const char *path, char *const argv[])
{
	static char *env[] = { "A=1", "LONG=xyz", NULL };
	pid_t pid = fork();
	int st;

	CHECK(pid >= 0);
	if (!pid) {
		execve(path, argv, env);
		_exit(200 + errno);
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st));
	return WEXITSTATUS(st);
}

static int child(int argc, char **argv, char **envp)
{
	if (argc != 4 || strcmp(argv[2], "two") || strcmp(argv[3], "") || argv[4])
		return 10;
	if (strcmp(envp[0], "A=1") || strcmp(envp[1], "LONG=xyz") || envp[2])
		return 11;
	if (getauxval(AT_PAGESZ) != 4096 || getauxval(AT_CLKTCK) != 100 || getauxval(AT_SECURE) != 0)
		return 12;
	if (!getauxval(AT_RANDOM) || !getauxval(AT_PHDR) || getauxval(AT_PHENT) != sizeof(Elf64_Phdr))
		return 13;
	if (((Elf64_Phdr *)getauxval(AT_PHDR))->p_type > 0x70000000 || getauxval(AT_UID) != getuid())
		return 14;
	if (strcmp((char *)getauxval(AT_EXECFN), self) || strcmp((char *)getauxval(AT_PLATFORM), "x86_64"))
		return 15;
	for (size_t i = 0; i < sizeof(bss); i++)
		if (bss[i])
			return 16;
	if (strcmp(data, "data") || ((unsigned long)__builtin_frame_address(0) & 15))
		return 17;
	return 42;
}

static int script_child(int argc, char **argv)
{
	if (argc != 5 || strcmp(argv[2], "./mm_exec.script") || strcmp(argv[3], "a") || strcmp(argv[4], "b"))
		return 20;
	return strcmp(argv[1], "--script one two") ? 21 : 43;
}

int main(int argc, char **argv, char **envp)
{
	char text[512], *big;
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p;
	} bad = { { { 0x7f, 'E', 'L', 'F', 2, 1, 1 }, .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_phoff = 64, .e_phentsize = 56,
		    .e_phnum = 1 }, { .p_type = PT_LOAD } };

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	if (argc > 1 && !strncmp(argv[1], "--script", 8))
		return script_child(argc, argv);
	if (argc > 1)
		return child(argc, argv, envp);

	CHECK(run(self, (char *[]){ "name", "one", "two", "", NULL }) == 42);
	CHECK(chdir("/tmp") == 0);
	snprintf(text, sizeof(text), "#! %s  --script one two \nignored", self);
	write_file("mm_exec.script", text, strlen(text), 0755);
	CHECK(run("./mm_exec.script", (char *[]){ "zero", "a", "b", NULL }) == 43);
	write_file("mm_exec.x", "#!/does/not/exist\n", 18, 0755);
	CHECK(run("./mm_exec.x", (char *[]){ "x", NULL }) == 200 + ENOENT);
	write_file("mm_exec.x", "#!./mm_exec.x\n", 14, 0755);
	CHECK(run("./mm_exec.x", (char *[]){ "x", NULL }) == 200 + ELOOP);
	write_file("mm_exec.x", "plain text", 10, 0755);
	CHECK(run("./mm_exec.x", (char *[]){ "x", NULL }) == 200 + ENOEXEC);
	write_file("mm_exec.x", "", 0, 0755);
	CHECK(run("./mm_exec.x", (char *[]){ "x", NULL }) == 200 + ENOEXEC);
	write_file("mm_exec.x", (char *)&bad, 63, 0755);
	CHECK(run("./mm_exec.x", (char *[]){ "x", NULL }) == 200 + ENOEXEC);
	write_file("mm_exec.x", text, strlen(text), 0644);
	CHECK(run("./mm_exec.x", (char *[]){ "x", NULL }) == 200 + EACCES);
	CHECK(run("/tmp", (char *[]){ "x", NULL }) == 200 + EACCES);
	CHECK(run("/does/not/exist", (char *[]){ "x", NULL }) == 200 + ENOENT);
	big = malloc(200000);
	memset(big, 'b', 199999);
	big[199999] = 0;
	CHECK(run(self, (char *[]){ "x", big, NULL }) == 200 + E2BIG);
	unlink("mm_exec.x");
	unlink("mm_exec.script");
	return 0;
}
