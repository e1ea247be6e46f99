/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/genl.c - NETLINK_GENERIC: the controller, which knows only itself
 *
 * Model:   asked by name or number for a family that is not there it answers ENOENT, as Linux without that module.
 * Source:  linux/genetlink.h.
 */
#include "sentry/socket/netlink/netlink.h"

#define GENL_ID_CTRL		0x10
#define CTRL_CMD_NEWFAMILY	1
#define CTRL_CMD_GETFAMILY	3
#define CTRL_ATTR_FAMILY_ID	1
#define CTRL_ATTR_FAMILY_NAME	2
#define CTRL_ATTR_VERSION	3
#define CTRL_ATTR_HDRSIZE	4
#define CTRL_ATTR_MAXATTR	5
#define CTRL_VERSION		2
#define CTRL_MAXATTR		10

struct genl_hdr {
	uint8_t cmd, version;
	uint16_t reserved;
};

static void fill_ctrl(struct nl_req *r, struct buf *b)
{
	struct genl_hdr h = { CTRL_CMD_NEWFAMILY, CTRL_VERSION, 0 };
	size_t at = nl_answer(r, b, GENL_ID_CTRL, 0);

	nlb_body(b, &h);
	nla_put_str(b, CTRL_ATTR_FAMILY_NAME, "nlctrl");
	nla_put_u16(b, CTRL_ATTR_FAMILY_ID, GENL_ID_CTRL);
	nla_put_u32(b, CTRL_ATTR_VERSION, CTRL_VERSION);
	nla_put_u32(b, CTRL_ATTR_HDRSIZE, 0);
	nla_put_u32(b, CTRL_ATTR_MAXATTR, CTRL_MAXATTR);
	nlb_end(b, at);
}

static long genl_handle(struct nl_req *r)
{
	struct nla tb[CTRL_ATTR_FAMILY_NAME + 1];
	struct cursor c = r->body;
	uint8_t cmd = get_u8(&c);
	char name[16] = "";
	uint16_t id = 0;
	struct buf b = { 0 };

	get_bytes(&c, sizeof(struct genl_hdr) - 1);
	if (r->h.type != GENL_ID_CTRL)
		return -LINUX_ENOENT;
	if (c.bad)
		return -LINUX_EINVAL;
	if (cmd != CTRL_CMD_GETFAMILY)
		return -LINUX_EOPNOTSUPP;
	if (r->h.flags & LINUX_NLM_F_DUMP) {
		fill_ctrl(r, &b);
		nl_dump_reply(r, &b, 0);
		return NL_DUMPED;
	}
	if (nla_parse(c, tb, CTRL_ATTR_FAMILY_NAME) || !nla_get_u16(&tb[CTRL_ATTR_FAMILY_ID], &id) ||
	    !nla_get_str(&tb[CTRL_ATTR_FAMILY_NAME], name, sizeof(name)) || (!id && !name[0]))
		return -LINUX_EINVAL;
	if (id != GENL_ID_CTRL && strcmp(name, "nlctrl"))
		return -LINUX_ENOENT;
	fill_ctrl(r, &b);
	return nl_reply(r, &b);
}

const struct netlink_proto genetlink_proto = {
	.protocol = LINUX_NETLINK_GENERIC, .nr_groups = 32, .open_groups = true, .handle = genl_handle,
};
