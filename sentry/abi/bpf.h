/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/bpf.h - bpf(2): commands and the parts of their attributes that are known here
 *
 * Source:  linux/bpf.h; bpf(2).
 */
#ifndef SENTRY_ABI_BPF_H
#define SENTRY_ABI_BPF_H

#include <stdint.h>

#define LINUX_BPF_PROG_LOAD	     5
#define LINUX_BPF_PROG_ATTACH	     8
#define LINUX_BPF_PROG_DETACH	     9
#define LINUX_BPF_PROG_GET_NEXT_ID   11
#define LINUX_BPF_PROG_GET_FD_BY_ID  13
#define LINUX_BPF_OBJ_GET_INFO_BY_FD 15
#define LINUX_BPF_PROG_QUERY	     16

#define LINUX_BPF_PROG_TYPE_CGROUP_SKB	  8
#define LINUX_BPF_PROG_TYPE_CGROUP_DEVICE 15
#define LINUX_BPF_CGROUP_INET_INGRESS	  0	/* attach types */
#define LINUX_BPF_CGROUP_INET_EGRESS	  1
#define LINUX_BPF_CGROUP_DEVICE		  6
#define LINUX_BPF_F_QUERY_EFFECTIVE	  1u

struct linux_bpf_load {
	uint32_t prog_type, insn_cnt;
	uint64_t insns, license;
	uint32_t log_level, log_size;
	uint64_t log_buf;
	uint32_t kern_version, prog_flags;
	char prog_name[16];
	uint32_t prog_ifindex, expected_attach_type;
};
struct linux_bpf_attach {
	uint32_t target_fd, attach_bpf_fd, attach_type, attach_flags, replace_bpf_fd;
};
struct linux_bpf_query {
	uint32_t target_fd, attach_type, query_flags, attach_flags;
	uint64_t prog_ids;
	uint32_t prog_cnt;
};
struct linux_bpf_by_id {
	uint32_t id, next_id, open_flags;
};
struct linux_bpf_info {
	uint32_t fd, info_len;
	uint64_t info;
};
union linux_bpf_attr {
	struct linux_bpf_load load;
	struct linux_bpf_attach attach;
	struct linux_bpf_query query;
	struct linux_bpf_by_id by_id;
	struct linux_bpf_info info;
};
_Static_assert(sizeof(struct linux_bpf_load) == 72, "up to expected_attach_type");

struct linux_bpf_prog_info {
	uint32_t type, id;
	uint8_t tag[8];
	uint32_t jited_prog_len, xlated_prog_len;
	uint64_t jited_prog_insns, xlated_prog_insns, load_time;
	uint32_t created_by_uid, nr_map_ids;
	uint64_t map_ids;
	char name[16];
};
_Static_assert(sizeof(struct linux_bpf_prog_info) == 80, "up to name");

#endif
