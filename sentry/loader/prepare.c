/* SPDX-License-Identifier: Apache-2.0
 * sentry/loader/prepare.c - everything about a new program that can fail while the old one is still there
 *
 * Model:   the first page of the file decides: a script replaces the file by its interpreter (up to five times), an ELF file
 *          is checked, its interpreter opened and checked likewise.
 * Source:  execve(2).
 */
#include "sentry/loader/loader_internal.h"

#include <string.h>

/* Files above this cannot be mapped by anyone; the exact limit is checked when they are. */
#define ADDRESS_LIMIT 0x7ffffffff000ull

long loader_read(struct file *f, void *dst, size_t len, uint64_t off)
{
	size_t done = 0;
	struct uio io;
	long n;

	while (done < len) {
		uint64_t pos = off + done;

		uio_init_kernel(&io, (char *)dst + done, len - done);
		n = vfs_read(f, &io, &pos, 0);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (long)done;
}

static long read_phdrs(struct elf_file *e, const uint8_t *head, size_t head_len)
{
	size_t len = (size_t)e->hdr.phnum * LINUX_PHDR_SIZE;
	long got;

	e->phdrs = malloc(len);
	if (!e->phdrs)
		return -LINUX_ENOMEM;
	e->phdrs_len = len;
	if (e->hdr.phoff <= head_len && head_len - e->hdr.phoff >= len) {
		memcpy(e->phdrs, head + e->hdr.phoff, len);
		return 0;
	}
	got = loader_read(e->file, e->phdrs, len, e->hdr.phoff);
	if (got < 0)
		return got;
	return (size_t)got == len ? 0 : -LINUX_ENOEXEC;
}

long elf_file_open(struct elf_file *e, struct file *file, const uint8_t *head, size_t head_len)
{
	long ret;

	e->file = file;
	ret = elf_parse_header(head, head_len, &e->hdr);
	if (!ret)
		ret = read_phdrs(e, head, head_len);
	if (!ret)
		ret = elf_summarize(&e->hdr, e->phdrs, e->phdrs_len, ADDRESS_LIMIT, &e->sum);
	if (!ret)
		ret = file->ops->mmap ? file->ops->mmap(file, &e->map) : -LINUX_ENOEXEC;
	return ret;
}

void elf_file_close(struct elf_file *e)
{
	if (e->map)
		e->map->ops->put(e->map);
	if (e->file)
		file_put(e->file);
	free(e->phdrs);
	*e = (struct elf_file){ 0 };
}

/* PT_INTERP's text into @path. 0, -LINUX_ENOEXEC */
static long interp_path(struct elf_file *e, const uint8_t *head, size_t head_len, char *path)
{
	uint64_t off = e->sum.interp_off, len = e->sum.interp_len;
	long got = (long)len;

	if (off <= head_len && head_len - off >= len)
		memcpy(path, head + off, len);
	else
		got = loader_read(e->file, path, len, off);
	if (got < 0)
		return got;
	if ((uint64_t)got != len || path[len - 1] != '\0')
		return -LINUX_ENOEXEC;
	return 0;
}

static long open_interp(struct exec_image *img, const struct vfs_ctx *ctx, uint8_t *head, size_t head_len)
{
	char *path;
	struct file *f;
	long ret;

	if (!img->prog.sum.interp_len)
		return 0;
	path = malloc(PATH_MAX_BYTES);
	if (!path)
		return -LINUX_ENOMEM;
	ret = interp_path(&img->prog, head, head_len, path);
	if (!ret)
		ret = vfs_open_exec(ctx, LINUX_AT_FDCWD, path, WALK_FOLLOW, &f);
	free(path);
	if (ret < 0)
		return ret;
	ret = loader_read(f, head, HEAD_BYTES, 0);
	if (ret < 0) {
		file_put(f);
		return ret;
	}
	ret = elf_file_open(&img->interp, f, head, (size_t)ret);
	return ret == -LINUX_ENOEXEC ? -LINUX_ELIBBAD : ret;
}

/**
 * follow_script() - replace a script by its interpreter
 * @file:	in: the script, out: the interpreter; one reference, exchanged
 * @name:	in: what the script is called, out: what the interpreter is called (owned)
 */
static long follow_script(struct exec_args *a, struct file **file, char **name, const uint8_t *head,
			  size_t head_len)
{
	char line[SCRIPT_LINE_MAX + 1], *interp, *arg, *copy;
	struct file *f;
	long ret;

	head_len = MIN(head_len, (size_t)SCRIPT_LINE_MAX);
	memcpy(line, head, head_len);
	ret = script_parse(line, head_len, &interp, &arg);
	if (ret < 0)
		return ret;
	exec_strings_drop_first(a->argv);
	ret = exec_strings_prepend(a->argv, *name);
	if (!ret && arg)
		ret = exec_strings_prepend(a->argv, arg);
	if (!ret)
		ret = exec_strings_prepend(a->argv, interp);
	if (!ret)
		ret = vfs_open_exec(a->ctx, LINUX_AT_FDCWD, interp, WALK_FOLLOW, &f);
	if (ret < 0)
		return ret;
	copy = strdup(interp);
	if (!copy) {
		file_put(f);
		return -LINUX_ENOMEM;
	}
	free(*name);
	*name = copy;
	file_put(*file);
	*file = f;
	return 0;
}

/* Scripts first, then the ELF file. Takes *file. */
static long open_program(struct exec_image *img, struct exec_args *a, struct file *file, char **name,
			 uint8_t *head)
{
	long got = 0, ret;

	for (int depth = 0;; depth++) {
		got = loader_read(file, head, HEAD_BYTES, 0);
		if (got < 2 || head[0] != '#' || head[1] != '!')
			break;
		ret = depth < SCRIPT_NEST_MAX ? follow_script(a, &file, name, head, (size_t)got)
					      : -LINUX_ELOOP;
		if (ret < 0) {
			file_put(file);
			return ret;
		}
	}
	if (got < 0) {
		file_put(file);
		return got == -LINUX_EISDIR ? -LINUX_EACCES : got;
	}
	ret = elf_file_open(&img->prog, file, head, (size_t)got);
	if (!ret)
		ret = open_interp(img, a->ctx, head, (size_t)got);
	return ret;
}

static void set_comm(struct exec_image *img)
{
	const char *slash = strrchr(img->filename, '/');

	strncpy(img->comm, slash ? slash + 1 : img->filename, sizeof(img->comm) - 1);
}

long loader_prepare(struct exec_args *a, struct exec_image **out)
{
	struct exec_image *img = calloc(1, sizeof(*img));
	uint8_t *head = malloc(HEAD_BYTES);
	char *name = strdup(a->filename);
	struct file *file = a->file;
	long ret = -LINUX_ENOMEM;

	a->file = NULL;
	if (img)
		img->filename = strdup(a->filename);
	if (!img || !head || !name || !img->filename) {
		file_put(file);
		goto out;
	}
	img->argv = a->argv;
	img->envp = a->envp;
	img->personality = a->personality;
	set_comm(img);
	/* execve(2): argc is at least 1, so that no program takes envp for argv. */
	ret = a->argv->nr ? 0 : exec_strings_add(a->argv, "", 0);
	if (ret < 0)
		file_put(file);
	else
		ret = open_program(img, a, file, &name, head);
	if (!ret && a->argv->len + a->envp->len +
			    ((size_t)a->argv->nr + a->envp->nr) * sizeof(uint64_t) > EXEC_ARG_MAX)
		ret = -LINUX_E2BIG;
out:
	free(head);
	free(name);
	if (ret < 0)
		loader_free(img);
	else
		*out = img;
	return ret;
}

struct file *loader_file(struct exec_image *img)
{
	return img->prog.file;
}

const char *loader_comm(struct exec_image *img)
{
	return img->comm;
}

void loader_set_creds(struct exec_image *img, const struct cred *c, bool secure)
{
	struct user_ns *ns = c->user_ns;

	img->uid = id_from_kernel_munged(ns, false, c->uid);
	img->euid = id_from_kernel_munged(ns, false, c->euid);
	img->gid = id_from_kernel_munged(ns, true, c->gid);
	img->egid = id_from_kernel_munged(ns, true, c->egid);
	img->secure = secure;
}

void loader_free(struct exec_image *img)
{
	if (!img)
		return;
	elf_file_close(&img->prog);
	elf_file_close(&img->interp);
	free(img->filename);
	free(img);
}
