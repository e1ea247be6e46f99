/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_sock.c - Txconnect, Txbind: unix sockets shared with the host
 *
 * Model:   both are off unless runsc was told otherwise (--host-uds). The address is the number of a
 *          descriptor below /proc/self/fd, with one checked name behind it for a bind, so it cannot
 *          lead out of the tree and is never too long for sockaddr_un. The peer of a connection sees
 *          the Gofer's credentials.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

const struct gofer_hostcall gofer_calls_sock[] = {
	{ .name = "socket", .nr = SYS_socket, .why = "Txconnect, Txbind", .cond = { { 0, HC_EQ, AF_UNIX, 0 } },
	  .policy = GOFER_UDS_OPEN | GOFER_UDS_CREATE },
	{ .name = "connect", .nr = SYS_connect, .why = "Txconnect", .policy = GOFER_UDS_OPEN },
	{ .name = "bind", .nr = SYS_bind, .why = "Txbind", .policy = GOFER_UDS_CREATE },
	{ .name = "listen", .nr = SYS_listen, .why = "Txbind", .policy = GOFER_UDS_CREATE },
	{ 0 },
};

static long unix_socket(uint32_t type)
{
	int fd;

	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -EPROTOTYPE;
	fd = socket(AF_UNIX, (int)type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

long op_xconnect(struct gcall *k)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct gfid *f;
	long ret = 0, fd;

	if (!(k->conn->srv->policy & GOFER_UDS_OPEN))
		return -ECONNREFUSED;
	f = gfid_get_node(k->conn, k->req->Txconnect.fid);
	if (!f)
		return -EBADF;
	fd = S_ISSOCK(f->node->type) ? unix_socket(k->req->Txconnect.socktype) : -ECONNREFUSED;
	if (fd >= 0) {
		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", fdpath(f->node->fd).s);
		if (connect((int)fd, (const struct sockaddr *)&sa, sizeof(sa))) {
			ret = -errno;
			close((int)fd);
		} else {
			k->fd = (int)fd;
		}
	}
	gfid_put(f);
	return fd < 0 ? fd : ret;
}

long op_xbind(struct gcall *k)
{
	const struct p9_Txbind *m = &k->req->Txbind;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct gnode *node = NULL;
	struct gfid *dir;
	struct gname name;
	long ret, fd = -1;
	int len;

	if (!(k->conn->srv->policy & GOFER_UDS_CREATE))
		return -EPERM;
	dir = gfid_get_node(k->conn, m->dfid);
	if (!dir)
		return -EBADF;
	ret = node_may_change(dir->node);
	if (!ret)
		ret = gname_take(m->name, &name);
	if (ret)
		goto out;
	len = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", fdpath(dir->node->fd).s, name.s);
	ret = len >= (int)sizeof(sa.sun_path) ? -ENAMETOOLONG : unix_socket(m->socktype);
	if (ret < 0)
		goto out;
	fd = ret;
	ret = bind((int)fd, (const struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
	if (!ret)
		ret = node_child(dir->node, name.s, &node);
	if (!ret)
		ret = node_set_owner_mode(node->fd, S_IFSOCK, m->uid, m->gid, (mode_t)m->mode);
	if (!ret)
		ret = node_stat(node->fd, &k->rep->Rxbind.stat);
	if (!ret && m->backlog && listen((int)fd, (int)MIN(m->backlog, 4096u)))
		ret = -errno;
	if (!ret)
		k->fd = (int)fd;
	else
		close((int)fd);
out:
	gnode_put(node);
	gfid_put(dir);
	return ret;
}
