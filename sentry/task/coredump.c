/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/coredump.c - core files: an ELF image of a process that a signal ends
 *
 * Model:   the dying thread writes its registers and the memory of its process into a file named by the pattern, beginning in its
 *          working directory, with its own rights. Headers come first, since every size is known once the list of mappings is.
 * Bounds:  RLIMIT_CORE (0: nothing happens), MAPS_MAX mappings; SIGKILL ends it.
 * Source:  core(5), elf(5); layouts of the notes: <sys/procfs.h>, "NT_FILE" in the kernel's fs/binfmt_elf.c comments.
 * Differs: only the thread that got the signal is described; the others may still run while memory is written. Patterns cannot name
 *          a program to pipe to. /proc/PID/coredump_filter has no effect (0x33 holds).
 */
#include <stdio.h>
#include <string.h>

#include "sentry/abi/elf.h"
#include "sentry/mm/vma.h"
#include "sentry/task/acct.h"
#include "sentry/task/coredump.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace_internal.h"
#include "sentry/task/task_internal.h"

#define MAPS_MAX   4096u
#define CHUNK	   (64u * 1024)
#define NAME_CORE  "CORE"
#define NAME_LINUX "LINUX"

#define ET_CORE	       4
#define PT_NOTE	       4u
#define NT_PRSTATUS    1u
#define NT_PRFPREG     2u
#define NT_PRPSINFO    3u
#define NT_AUXV	       6u
#define NT_FILE	       0x46494c45u
#define NT_SIGINFO     0x53494749u
#define NT_X86_XSTATE  0x202u
#define FXSAVE_LEN     512u

struct core_timeval {
	int64_t sec, usec;
};

struct core_prstatus {
	int32_t signo, code, err;
	int16_t cursig, pad;
	uint64_t sigpend, sighold;
	int32_t pid, ppid, pgrp, sid;
	struct core_timeval utime, stime, cutime, cstime;
	struct guest_regs regs;
	int32_t fpvalid, pad2;
};
_Static_assert(sizeof(struct core_prstatus) == 336, "struct elf_prstatus");

struct core_prpsinfo {
	char state, sname, zomb, nice;
	uint32_t pad;
	uint64_t flag;
	uint32_t uid, gid;
	int32_t pid, ppid, pgrp, sid;
	char fname[16], psargs[80];
};
_Static_assert(sizeof(struct core_prpsinfo) == 136, "struct elf_prpsinfo");

struct core_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct core_phdr) == LINUX_PHDR_SIZE, "Elf64_Phdr");

struct core_ehdr {
	uint8_t ident[LINUX_EI_NIDENT];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct core_ehdr) == LINUX_EHDR_SIZE, "Elf64_Ehdr");

struct core_map {
	uint64_t start, end, off, dump;	/* dump: bytes from start that go into the file */
	uint32_t prot;
	char *name;			/* owned; NULL: no file */
};

struct core {
	struct task *t;
	const struct linux_siginfo_head *si;
	struct core_map *map;
	uint32_t nr;
	struct buf notes;
	struct file *file;
	uint64_t pos, limit;
};

/* ---- the file's name ------------------------------------------------------------------------------------------ */

static struct mutex pattern_mu = MUTEX_INIT; /* leaf */
static char core_pattern[CORE_PATTERN_MAX + 1] = "core"; /* guarded by pattern_mu */
_Atomic int64_t coredump_uses_pid;

void coredump_pattern_get(char out[CORE_PATTERN_MAX + 1])
{
	mutex_lock(&pattern_mu);
	strcpy(out, core_pattern);
	mutex_unlock(&pattern_mu);
}

long coredump_pattern_set(const char *pattern)
{
	if (pattern[0] == '|' || strlen(pattern) > CORE_PATTERN_MAX)
		return -LINUX_EINVAL;
	mutex_lock(&pattern_mu);
	strcpy(core_pattern, pattern);
	mutex_unlock(&pattern_mu);
	return 0;
}

/* A name must not climb or descend by what a process calls itself. */
static void put_escaped(struct buf *out, const char *s)
{
	for (; *s; s++)
		buf_printf(out, "%c", *s == '/' ? '!' : *s);
}

/* One %-letter. True: it was the pid. */
static bool put_field(struct buf *out, const struct core *c, char letter)
{
	struct task *t = c->t;
	char comm[16];

	switch (letter) {
	case '%':
		buf_printf(out, "%%");
		break;
	case 'p':
		buf_printf(out, "%u", task_tgid_nr(t, task_pid_ns(t)));
		return true;
	case 'i':
		buf_printf(out, "%u", task_pid_nr(t, task_pid_ns(t)));
		break;
	case 'P':
		buf_printf(out, "%u", t->group->pid->num[0].nr);
		break;
	case 'u':
		buf_printf(out, "%u", id_from_kernel_munged(t->cred->user_ns, false, t->cred->uid));
		break;
	case 'g':
		buf_printf(out, "%u", id_from_kernel_munged(t->cred->user_ns, true, t->cred->gid));
		break;
	case 's':
		buf_printf(out, "%d", c->si->signo);
		break;
	case 't':
		buf_printf(out, "%llu", (unsigned long long)(now_real_ns() / NSEC_PER_SEC));
		break;
	case 'e':
		task_get_comm(t, comm);
		put_escaped(out, comm);
		break;
	case 'h':
		mutex_lock(&t->ns->uts->mu);
		put_escaped(out, t->ns->uts->nodename);
		mutex_unlock(&t->ns->uts->mu);
		break;
	case 'c':
		buf_printf(out, "%llu", (unsigned long long)c->limit);
		break;
	}
	return false;
}

static void name_make(const struct core *c, struct buf *out)
{
	char pattern[CORE_PATTERN_MAX + 1];
	bool has_pid = false;

	coredump_pattern_get(pattern);
	for (const char *p = pattern; *p; p++) {
		if (*p != '%')
			buf_printf(out, "%c", *p);
		else if (p[1])
			has_pid |= put_field(out, c, *++p);
	}
	if (!has_pid && atomic_load(&coredump_uses_pid))
		buf_printf(out, ".%u", task_tgid_nr(c->t, task_pid_ns(c->t)));
}

/* Only a regular file of one name that is the process's own. */
static long file_open(struct core *c)
{
	struct vfs_ctx ctx = task_vfs_ctx(c->t);
	struct buf name = { .max = PATH_MAX_BYTES - 1 };
	struct kstat st;
	long ret = -LINUX_ENAMETOOLONG;

	name_make(c, &name);
	buf_append(&name, "", 1);
	if (!name.failed && name.len > 1)
		ret = vfs_open(&ctx, LINUX_AT_FDCWD, (const char *)name.data, LINUX_O_CREAT | LINUX_O_RDWR | LINUX_O_NOFOLLOW, 0600,
			       0, &c->file);
	buf_fini(&name);
	if (ret)
		return ret;
	ret = vfs_getattr(&c->file->path, &st);
	if (!ret && (!LINUX_S_ISREG(st.mode) || st.nlink != 1 || st.uid != c->t->cred->fsuid))
		ret = -LINUX_EPERM;
	return ret ?: vfs_truncate(&ctx, &c->file->path, c->file, 0);
}

/* ---- what is dumped ----------------------------------------------------------------------------------------------- */

/* As with the filter 0x33: memory that may have been written, and the first page of ELF files, which identifies them. Data of
 * ELF files that is read-only now was written by the dynamic linker. @elf: path of the ELF file mapped last, changed here. */
static uint64_t bytes_wanted(struct task *t, const struct vma_info *v, char elf[sizeof(v->name)])
{
	char magic[4];

	if (!v->off && v->ino && uspace_read(t->u->space, magic, v->start, 4) == 4 && !memcmp(magic, "\177ELF", 4)) {
		strcpy(elf, v->name);
		if (!(v->prot & 2))
			return (v->vm_flags & VM_DONTDUMP) ? 0 : PAGE_SIZE;
	}
	if ((v->vm_flags & VM_DONTDUMP) || !(v->prot & 1))
		return 0;
	if (!v->ino || (v->prot & 2 && !(v->vm_flags & VM_SHARED)))
		return v->end - v->start;
	return !(v->prot & 4) && !(v->vm_flags & VM_SHARED) && !strcmp(elf, v->name) ? v->end - v->start : 0;
}

static bool maps_collect(struct core *c)
{
	struct vma_info v;
	char elf[sizeof(v.name)] = "";
	uint64_t from = 0;

	c->map = calloc(MAPS_MAX, sizeof(*c->map));
	while (c->map && c->nr < MAPS_MAX && mm_next_vma(c->t->mm, from, &v)) {
		struct core_map *m = &c->map[c->nr++];

		m->start = v.start;
		m->end = v.end;
		m->off = v.off;
		m->prot = v.prot;
		m->dump = bytes_wanted(c->t, &v, elf);
		m->name = v.ino ? strdup(v.name) : NULL;
		from = v.end;
	}
	return c->map;
}

/* ---- notes ---------------------------------------------------------------------------------------------------------- */

static void note_add(struct core *c, const char *name, uint32_t type, const void *data, size_t len)
{
	uint32_t head[3] = { (uint32_t)strlen(name) + 1, (uint32_t)len, type };
	static const char zeros[4];

	buf_append(&c->notes, head, sizeof(head));
	buf_append(&c->notes, name, head[0]);
	buf_append(&c->notes, zeros, -head[0] & 3);
	buf_append(&c->notes, data, len);
	buf_append(&c->notes, zeros, -len & 3);
}

static struct core_timeval to_timeval(uint64_t ns)
{
	return (struct core_timeval){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC / 1000) };
}

static void note_prstatus(struct core *c)
{
	struct task *t = c->t;
	struct pid_ns *ns = task_pid_ns(t);
	struct cpu_times times = acct_group_times(t->group);
	struct core_prstatus s = { .signo = c->si->signo, .code = c->si->code, .cursig = (int16_t)c->si->signo };

	s.sighold = signal_mask(t);
	s.pid = (int32_t)task_pid_nr(t, ns);
	s.ppid = (int32_t)task_ppid_nr(t, ns);
	s.pgrp = (int32_t)task_pgid_nr(t, ns);
	s.sid = (int32_t)task_sid_nr(t, ns);
	s.utime = to_timeval(times.utime_ns);
	s.stime = to_timeval(times.stime_ns);
	s.fpvalid = 1;
	uthread_get_regs(t->u, &s.regs);
	note_add(c, NAME_CORE, NT_PRSTATUS, &s, sizeof(s));
}

static void note_prpsinfo(struct core *c)
{
	struct task *t = c->t;
	struct pid_ns *ns = task_pid_ns(t);
	struct core_prpsinfo p = { .sname = 'R', .nice = (char)t->nice };
	struct mm_layout *l = mm_layout(t->mm);
	uint64_t from, len;
	long n;

	p.uid = id_from_kernel_munged(t->cred->user_ns, false, t->cred->uid);
	p.gid = id_from_kernel_munged(t->cred->user_ns, true, t->cred->gid);
	p.pid = (int32_t)task_tgid_nr(t, ns);
	p.ppid = (int32_t)task_ppid_nr(t, ns);
	p.pgrp = (int32_t)task_pgid_nr(t, ns);
	p.sid = (int32_t)task_sid_nr(t, ns);
	task_get_comm(t, p.fname);
	mm_lock(t->mm);
	from = l->arg_start;
	len = l->arg_end - l->arg_start;
	mm_unlock(t->mm);
	n = uspace_read(t->u->space, p.psargs, from, MIN(len, sizeof(p.psargs) - 1));
	for (long i = 0; i + 1 < n; i++)
		if (!p.psargs[i])
			p.psargs[i] = ' ';
	note_add(c, NAME_CORE, NT_PRPSINFO, &p, sizeof(p));
}

static void note_auxv(struct core *c)
{
	struct mm_layout *l = mm_layout(c->t->mm);
	uint64_t auxv[ARRAY_SIZE(l->auxv)];
	uint32_t n;

	mm_lock(c->t->mm);
	n = MIN(l->nr_auxv, (uint32_t)ARRAY_SIZE(auxv));
	memcpy(auxv, l->auxv, n * sizeof(auxv[0]));
	mm_unlock(c->t->mm);
	note_add(c, NAME_CORE, NT_AUXV, auxv, n * sizeof(auxv[0]));
}

static void note_files(struct core *c)
{
	struct buf b = { .max = 4u << 20 };
	uint64_t head[2] = { 0, PAGE_SIZE };

	for (uint32_t i = 0; i < c->nr; i++)
		head[0] += c->map[i].name != NULL;
	buf_append(&b, head, sizeof(head));
	for (uint32_t i = 0; i < c->nr; i++)
		if (c->map[i].name)
			buf_append(&b, (uint64_t[]){ c->map[i].start, c->map[i].end, c->map[i].off / PAGE_SIZE }, 24);
	for (uint32_t i = 0; i < c->nr; i++)
		if (c->map[i].name)
			buf_append(&b, c->map[i].name, strlen(c->map[i].name) + 1);
	if (!b.failed)
		note_add(c, NAME_CORE, NT_FILE, b.data, b.len);
	buf_fini(&b);
}

static void note_vector(struct core *c)
{
	size_t cap = platform_xsave_size();
	uint8_t *buf = calloc(1, cap);
	long n = buf ? ptrace_xstate_get(c->t, buf, cap) : 0;

	if (n >= (long)FXSAVE_LEN) {
		note_add(c, NAME_CORE, NT_PRFPREG, buf, FXSAVE_LEN);
		note_add(c, NAME_LINUX, NT_X86_XSTATE, buf, (size_t)n);
	}
	free(buf);
}

static bool notes_make(struct core *c)
{
	struct linux_siginfo si = { .h = *c->si };

	note_prstatus(c);
	note_prpsinfo(c);
	note_add(c, NAME_CORE, NT_SIGINFO, &si, sizeof(si));
	note_auxv(c);
	note_files(c);
	note_vector(c);
	return !c->notes.failed;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static bool put(struct core *c, void *data, size_t len)
{
	struct uio io;
	uint64_t pos = c->pos;

	if (task_signal_pending(c->t) && (atomic_load(&c->t->work) & TW_EXIT))
		return false;
	if (len > c->limit - MIN(c->pos, c->limit))
		return false;
	uio_init_kernel(&io, data, len);
	if (vfs_write(c->file, &io, &pos, 0, c->limit) != (long)len)
		return false;
	c->pos += len;
	return true;
}

/* Pages that cannot be read stay holes. */
static bool put_memory(struct core *c, const struct core_map *m, uint8_t *chunk)
{
	for (uint64_t at = m->start; at < m->start + m->dump;) {
		size_t want = MIN(m->start + m->dump - at, (uint64_t)CHUNK);
		long n = uspace_read(c->t->u->space, chunk, at, want);

		if (n <= 0) {
			c->pos += PAGE_SIZE;
			at += PAGE_SIZE;
			continue;
		}
		if (!put(c, chunk, (size_t)n))
			return false;
		at += (uint64_t)n;
	}
	return true;
}

static bool put_headers(struct core *c, uint64_t data_at)
{
	struct core_ehdr e = { .ident = { 0x7f, 'E', 'L', 'F', LINUX_ELFCLASS64, LINUX_ELFDATA2LSB, 1 }, .type = ET_CORE,
			       .machine = LINUX_EM_X86_64, .version = 1, .phoff = LINUX_EHDR_SIZE, .ehsize = LINUX_EHDR_SIZE,
			       .phentsize = LINUX_PHDR_SIZE, .phnum = (uint16_t)(c->nr + 1) };
	struct core_phdr note = { .type = PT_NOTE, .offset = LINUX_EHDR_SIZE + (uint64_t)(c->nr + 1) * LINUX_PHDR_SIZE,
				  .filesz = c->notes.len, .align = 4 };

	if (!put(c, &e, sizeof(e)) || !put(c, &note, sizeof(note)))
		return false;
	for (uint32_t i = 0; i < c->nr; i++) {
		const struct core_map *m = &c->map[i];
		struct core_phdr p = { .type = LINUX_PT_LOAD, .offset = data_at, .vaddr = m->start, .filesz = m->dump,
				       .memsz = m->end - m->start, .align = PAGE_SIZE };

		/* PROT_* and PF_* count their three bits in opposite order. */
		p.flags = (m->prot & 1 ? LINUX_PF_R : 0) | (m->prot & 2 ? LINUX_PF_W : 0) | (m->prot & 4 ? LINUX_PF_X : 0);
		if (!put(c, &p, sizeof(p)))
			return false;
		data_at += m->dump;
	}
	return put(c, c->notes.data, c->notes.len);
}

/* The file may end where the limit does, as core(5) says. */
static void put_all(struct core *c)
{
	uint64_t data_at = ALIGN_UP(LINUX_EHDR_SIZE + (uint64_t)(c->nr + 1) * LINUX_PHDR_SIZE + c->notes.len, PAGE_SIZE);
	uint8_t *chunk = malloc(CHUNK);

	if (chunk && put_headers(c, data_at)) {
		c->pos = data_at;
		for (uint32_t i = 0; i < c->nr; i++)
			if (!put_memory(c, &c->map[i], chunk))
				break;
		/* A hole at the end belongs to it as well. */
		vfs_truncate(&(struct vfs_ctx){ 0 }, &c->file->path, c->file, MIN(c->pos, c->limit));
	}
	free(chunk);
}

bool coredump_write(struct task *t, const struct linux_siginfo_head *si)
{
	struct core c = { .t = t, .si = si, .limit = task_rlimit(t, LINUX_RLIMIT_CORE), .notes = { .max = 8u << 20 } };
	bool done = false;

	if (c.limit < PAGE_SIZE || !t->mm || !t->group->dumpable)
		return false;
	if (file_open(&c) == 0 && maps_collect(&c) && notes_make(&c)) {
		put_all(&c);
		done = true;
	}
	for (uint32_t i = 0; i < c.nr; i++)
		free(c.map[i].name);
	free(c.map);
	buf_fini(&c.notes);
	if (c.file)
		file_put(c.file);
	return done;
}
