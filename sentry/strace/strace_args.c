/* SPDX-License-Identifier: Apache-2.0
 * sentry/strace/strace_args.c - arguments of calls, readable
 *
 * Model:   one letter per argument. Those of the system call table (syscalls.h) are: d int, u unsigned, x hexadecimal, p pointer,
 *          s string, f descriptor, o octal. Calls in the table below have better ones:
 *            D directory descriptor   O open flags     P protection    M mmap flags      S signal      w buffer, length follows
 *            r buffer that is filled, length is the result              A vector of strings              v V iovec in, out
 *            K k socket address in, out   W wait status   t struct stat   T timespec   C clone flags   F futex operation
 *            c fcntl command   l whence   a access mode   z AT_ flags   e epoll operation   n socket domain   N socket type
 *            i ioctl request   L rlimit   m madvise   h sigprocmask how   2 pair of descriptors   R prctl option   g arch_prctl
 *            k clock   q wait options   G poll descriptors
 * Locks:   none; guest memory is read by copyin.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/abi/fs.h"
#include "sentry/abi/socket.h"
#include "sentry/abi/stat.h"
#include "sentry/abi/time.h"
#include "sentry/mm/uaccess.h"
#include "sentry/strace/strace_internal.h"

static const struct {
	const char *name, *letters;
} better[] = {
	{ "accept", "fkp" }, { "accept4", "fkpN" }, { "access", "sa" }, { "arch_prctl", "gp" }, { "bind", "fKu" },
	{ "clock_getres", "jT" }, { "clock_gettime", "jT" }, { "clock_nanosleep", "jdTT" }, { "clone", "Cpppp" }, { "clone3", "pu" },
	{ "connect", "fKu" }, { "epoll_ctl", "fefp" }, { "epoll_create1", "O" }, { "execve", "sAp" }, { "execveat", "DsApz" },
	{ "faccessat", "Dsa" }, { "faccessat2", "Dsaz" }, { "fchmodat", "Dso" }, { "fchownat", "Dsddz" }, { "fcntl", "fcx" },
	{ "fstat", "ft" }, { "futex", "pFuTpx" }, { "getdents64", "fpu" }, { "getpeername", "fkp" }, { "getrandom", "rux" },
	{ "getcwd", "ru" }, { "getsockname", "fkp" }, { "ioctl", "fip" }, { "kill", "dS" }, { "linkat", "DsDsz" }, { "lseek", "fdl" },
	{ "lstat", "st" }, { "madvise", "pum" }, { "mkdirat", "Dso" }, { "mknodat", "Dsox" }, { "mmap", "puPMdx" },
	{ "mprotect", "puP" }, { "nanosleep", "TT" }, { "newfstatat", "Dstz" }, { "open", "sOo" }, { "openat", "DsOo" },
	{ "openat2", "Dspu" }, { "pipe", "2" }, { "pipe2", "2O" }, { "poll", "Gud" }, { "ppoll", "GuTpu" }, { "prctl", "Rxxxx" },
	{ "pread64", "frud" }, { "preadv", "fVud" }, { "prlimit64", "dLpp" }, { "pwrite64", "fwud" }, { "pwritev", "fvud" },
	{ "read", "fru" }, { "readlink", "sru" }, { "readlinkat", "Dsru" }, { "readv", "fVu" }, { "recvfrom", "fruxkp" },
	{ "renameat", "DsDs" }, { "renameat2", "DsDsx" }, { "rt_sigaction", "Sppu" }, { "rt_sigprocmask", "hppu" },
	{ "sendto", "fwuxKu" }, { "setrlimit", "Lp" }, { "getrlimit", "Lp" }, { "socket", "nNd" }, { "socketpair", "nNd2" },
	{ "stat", "st" }, { "statx", "Dszxp" }, { "symlinkat", "sDs" }, { "tgkill", "ddS" }, { "tkill", "dS" },
	{ "unlinkat", "Dsz" }, { "utimensat", "DsTz" }, { "wait4", "dWqp" }, { "write", "fwu" }, { "writev", "fvu" },
};

const char *call_letters(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(better); i++)
		if (!strcmp(better[i].name, name))
			return better[i].letters;
	return NULL;
}

/* ---- buffers and strings -------------------------------------------------------------------------------------- */

static void quote(struct line *l, const char *p, size_t n)
{
	line_add(l, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		static const char special[] = "\n\t\r\v\f\"\\", letters[] = "ntrvf\"\\";
		const char *s = c ? strchr(special, c) : NULL;

		if (s)
			line_add(l, "\\%c", letters[s - special]);
		else if (c >= 0x20 && c < 0x7f)
			line_add(l, "%c", c);
		else
			line_add(l, i + 1 < n && p[i + 1] >= '0' && p[i + 1] <= '9' ? "\\%03o" : "\\%o", c);
	}
	line_add(l, "\"");
}

static void pointer(struct line *l, uint64_t p)
{
	line_add(l, p ? "%#lx" : "NULL", p);
}

static void buffer(struct line *l, const struct call_view *v, uint64_t at, uint64_t len)
{
	char text[STRACE_SHOW_MAX];
	size_t n = (size_t)MIN(len, (uint64_t)v->show_bytes);

	if (!at || copyin(v->t->u, text, (struct gptr){ at }, n)) {
		pointer(l, at);
		return;
	}
	quote(l, text, n);
	if (n < len)
		line_add(l, "...");
}

static void string(struct line *l, const struct call_view *v, uint64_t at)
{
	char text[STRACE_SHOW_MAX];
	long n = at ? copyin_str(v->t->u, text, MIN(v->show_bytes + 1, STRACE_SHOW_MAX), (struct gptr){ at }) : -1;

	if (n >= 0) {
		quote(l, text, (size_t)n);
	} else if (n == -LINUX_ENAMETOOLONG && v->show_bytes) {
		buffer(l, v, at, v->show_bytes);
		line_add(l, "...");
	} else {
		pointer(l, at);
	}
}

#define VECTOR_SHOWN 16

static void string_vector(struct line *l, const struct call_view *v, uint64_t at)
{
	uint64_t p;

	if (!at) {
		line_add(l, "NULL");
		return;
	}
	line_add(l, "[");
	for (int i = 0; i < VECTOR_SHOWN && !copyin_obj(v->t->u, &p, ((struct gptr){ at + 8 * (uint64_t)i })) && p; i++) {
		line_add(l, i ? ", " : "");
		string(l, v, p);
	}
	line_add(l, "]");
}

static void io_vector(struct line *l, const struct call_view *v, int i, bool out)
{
	uint64_t left = out ? (v->ret && *v->ret > 0 ? (uint64_t)*v->ret : 0) : UINT64_MAX;
	struct { uint64_t base, len; } seg;

	line_add(l, "[");
	for (uint64_t k = 0; k < v->a[i + 1] && k < VECTOR_SHOWN; k++) {
		if (copyin_obj(v->t->u, &seg, ((struct gptr){ v->a[i] + k * sizeof(seg) })))
			break;
		line_add(l, k ? ", {" : "{");
		buffer(l, v, seg.base, MIN(seg.len, left));
		line_add(l, ", %lu}", seg.len);
		left -= MIN(seg.len, left);
	}
	line_add(l, "]");
}

/* ---- structures ----------------------------------------------------------------------------------------------------- */

static void stat_out(struct line *l, const struct call_view *v, uint64_t at)
{
	static const struct { uint32_t fmt; const char *name; } kinds[] = {
		{ LINUX_S_IFREG, "S_IFREG" }, { LINUX_S_IFDIR, "S_IFDIR" }, { LINUX_S_IFLNK, "S_IFLNK" }, { LINUX_S_IFCHR, "S_IFCHR" },
		{ LINUX_S_IFBLK, "S_IFBLK" }, { LINUX_S_IFIFO, "S_IFIFO" }, { LINUX_S_IFSOCK, "S_IFSOCK" },
	};
	struct linux_stat st;
	const char *kind = "0";

	if (!v->ret || *v->ret < 0 || copyin_obj(v->t->u, &st, ((struct gptr){ at }))) {
		pointer(l, at);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((st.st_mode & LINUX_S_IFMT) == kinds[i].fmt)
			kind = kinds[i].name;
	line_add(l, "{st_mode=%s|%04o, st_size=%ld, ...}", kind, st.st_mode & 07777, st.st_size);
}

static void timespec(struct line *l, const struct call_view *v, uint64_t at)
{
	struct { int64_t sec, nsec; } ts;

	if (!at || copyin_obj(v->t->u, &ts, ((struct gptr){ at })))
		pointer(l, at);
	else
		line_add(l, "{tv_sec=%ld, tv_nsec=%ld}", ts.sec, ts.nsec);
}

static void sockaddr(struct line *l, const struct call_view *v, uint64_t at, uint64_t len)
{
	union {
		uint16_t family;
		struct { uint16_t family, port; uint8_t a[4]; } in;
		struct { uint16_t family, port; uint32_t flow; uint16_t a[8]; } in6;
		struct { uint16_t family; char path[108]; } un;
	} s;
	size_t n = (size_t)MIN(len, (uint64_t)sizeof(s));

	memset(&s, 0, sizeof(s));
	if (!at || n < 2 || copyin(v->t->u, &s, (struct gptr){ at }, n)) {
		pointer(l, at);
		return;
	}
	line_add(l, "{sa_family=");
	name_value(l, NAMES_DOMAIN, s.family);
	if (s.family == 2)
		line_add(l, ", %u.%u.%u.%u:%u", s.in.a[0], s.in.a[1], s.in.a[2], s.in.a[3], __builtin_bswap16(s.in.port));
	for (int i = 0; s.family == 10 && i < 8; i++)
		line_add(l, "%s%x", i ? ":" : ", [", __builtin_bswap16(s.in6.a[i]));
	if (s.family == 10)
		line_add(l, "]:%u", __builtin_bswap16(s.in6.port));
	if (s.family == 1 && n > 2) {
		line_add(l, ", ");
		quote(l, s.un.path, s.un.path[0] ? strnlen(s.un.path, n - 2) : n - 2);
	}
	line_add(l, "}");
}

static void sockaddr_out(struct line *l, const struct call_view *v, int i)
{
	uint32_t len = 0;

	if (!v->ret || *v->ret < 0 || !v->a[i] || copyin_obj(v->t->u, &len, ((struct gptr){ v->a[i + 1] })))
		pointer(l, v->a[i]);
	else
		sockaddr(l, v, v->a[i], len);
}

static void wait_status(struct line *l, const struct call_view *v, uint64_t at)
{
	uint32_t st;

	if (!at || !v->ret || *v->ret <= 0 || copyin_obj(v->t->u, &st, ((struct gptr){ at }))) {
		pointer(l, at);
		return;
	}
	if (!(st & 0x7f)) {
		line_add(l, "[{WIFEXITED(s) && WEXITSTATUS(s) == %u}]", st >> 8 & 0xff);
	} else {
		bool stopped = (st & 0xff) == 0x7f;

		line_add(l, stopped ? "[{WIFSTOPPED(s) && WSTOPSIG(s) == " : "[{WIFSIGNALED(s) && WTERMSIG(s) == ");
		name_signal(l, (int)(stopped ? st >> 8 & 0xff : st & 0x7f));
		line_add(l, "}]");
	}
}

static void poll_fds(struct line *l, const struct call_view *v, int i)
{
	struct { int32_t fd; uint16_t events, revents; } p;

	line_add(l, "[");
	for (uint64_t k = 0; k < v->a[i + 1] && k < VECTOR_SHOWN; k++) {
		if (copyin_obj(v->t->u, &p, ((struct gptr){ v->a[i] + k * sizeof(p) })))
			break;
		line_add(l, "%s{fd=%d, events=", k ? ", " : "", p.fd);
		name_bits(l, NAMES_POLL, p.events);
		line_add(l, ", revents=");
		name_bits(l, NAMES_POLL, p.revents);
		line_add(l, "}");
	}
	line_add(l, "]");
}

static void fd_pair(struct line *l, const struct call_view *v, uint64_t at)
{
	int32_t fd[2];

	if (!v->ret || *v->ret < 0 || copyin_obj(v->t->u, &fd, ((struct gptr){ at })))
		pointer(l, at);
	else
		line_add(l, "[%d, %d]", fd[0], fd[1]);
}

/* With the path, as strace -y: the number alone says little in a log. */
static void descriptor(struct line *l, const struct call_view *v, int32_t fd)
{
	struct file *f = v->t->fds ? fdtable_file(v->t->fds, fd, true) : NULL;
	char *text = f ? malloc(PATH_MAX_BYTES) : NULL;

	line_add(l, "%d", fd);
	if (text && f->path.dentry && vfs_path_text(&f->path, NULL, text, PATH_MAX_BYTES) >= 0)
		line_add(l, "<%s>", text);
	free(text);
	if (f)
		file_put(f);
}

/* ---- one argument -------------------------------------------------------------------------------------------------- */

struct named {
	char letter;
	enum name_set set;
	bool bits;
};
static const struct named named[] = {
	{ 'O', NAMES_OPEN, true }, { 'P', NAMES_PROT, true }, { 'M', NAMES_MAP, true }, { 'C', NAMES_CLONE, true },
	{ 'z', NAMES_AT, true }, { 'a', NAMES_ACCESS, true }, { 'l', NAMES_WHENCE, false }, { 'c', NAMES_FCNTL, false },
	{ 'e', NAMES_EPOLL, false }, { 'F', NAMES_FUTEX, false }, { 'n', NAMES_DOMAIN, false }, { 'N', NAMES_SOCKTYPE, true },
	{ 'L', NAMES_RLIMIT, false }, { 'i', NAMES_IOCTL, false }, { 'm', NAMES_MADVISE, false }, { 'h', NAMES_SIGHOW, false },
	{ 'R', NAMES_PRCTL, false }, { 'j', NAMES_CLOCK, false }, { 'g', NAMES_ARCH_PRCTL, false }, { 'q', NAMES_WAIT, true },
};

static bool write_named(struct line *l, char letter, uint64_t val)
{
	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		if (named[i].letter != letter)
			continue;
		if (named[i].bits)
			name_bits(l, named[i].set, (uint32_t)val);
		else
			name_value(l, named[i].set, (uint32_t)val);
		return true;
	}
	return false;
}

void arg_write(struct line *l, const struct call_view *v, char letter, int i)
{
	uint64_t val = v->a[i];

	switch (letter) {
	case 'd': line_add(l, "%d", (int)val); break;
	case 'u': line_add(l, "%lu", val); break;
	case 'o': line_add(l, val ? "0%lo" : "%lo", val & 0xffffffff); break;
	case 'p': pointer(l, val); break;
	case 's': string(l, v, val); break;
	case 'f': descriptor(l, v, (int32_t)val); break;
	case 'D':
		if ((int32_t)val == LINUX_AT_FDCWD)
			line_add(l, "AT_FDCWD");
		else
			descriptor(l, v, (int32_t)val);
		break;
	case 'w': buffer(l, v, val, v->a[i + 1]); break;
	case 'r':
		if (v->ret && *v->ret >= 0)
			buffer(l, v, val, (uint64_t)*v->ret);
		else
			pointer(l, val);
		break;
	case 'A': string_vector(l, v, val); break;
	case 'v': io_vector(l, v, i, false); break;
	case 'V': io_vector(l, v, i, true); break;
	case 'K': sockaddr(l, v, val, v->a[i + 1]); break;
	case 'k': sockaddr_out(l, v, i); break;
	case 'W': wait_status(l, v, val); break;
	case 't': stat_out(l, v, val); break;
	case 'T': timespec(l, v, val); break;
	case 'S': name_signal(l, (int)val); break;
	case '2': fd_pair(l, v, val); break;
	case 'G': poll_fds(l, v, i); break;
	default:
		if (!write_named(l, letter, val))
			line_add(l, "%#lx", val);
	}
}
