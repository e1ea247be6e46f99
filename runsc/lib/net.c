/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/net.c - the network of a sandbox, as far as the host has to do with it
 *
 * Model:   the gofer lives in the container's network namespace, so hooks and CNI plugins find it by the container's pid.
 *          Once they have put an interface there, its description and a packet socket go to the Sentry, and only then
 *          its addresses leave the host's kernel; what was seen is kept in state.json (as hexadecimal of the message)
 *          and put back when the container goes while the namespace stays.
 *          A namespace that nobody could have filled (new, no hooks, no CNI) is not even looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cni/netcfg.h"
#include "runsc/lib/cni_call.h"
#include "runsc/lib/create.h"

#define SAVED_MAX (1u << 20)

static int open_netns(const struct lc_container *c, struct err *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/ns/net", c->st.gofer.pid);
	fd = open(c->st.netns && *c->st.netns ? c->st.netns : path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err_sys(e, "open network namespace %s", c->st.netns && *c->st.netns ? c->st.netns : path);
	return fd;
}

static bool may_have_links(const struct creation *x)
{
	const struct oci_hooks *h = &x->c->spec.hooks;

	return *x->c->st.netns || x->flags.cni_conf || h->of[HOOK_PRESTART].n || h->of[HOOK_CREATE_RUNTIME].n ||
	       h->of[HOOK_CREATE_CONTAINER].n;
}

static char *to_hex(const PB(SetNetworkRequest) *m)
{
	size_t n = protobuf_c_message_get_packed_size(&m->base);
	AUTO_FREE uint8_t *raw = malloc(n + 1);
	char *hex = n < SAVED_MAX ? malloc(2 * n + 1) : NULL;

	if (!raw || !hex) {
		free(hex);
		return NULL;
	}
	protobuf_c_message_pack(&m->base, raw);
	for (size_t i = 0; i < n; i++)
		sprintf(hex + 2 * i, "%02x", raw[i]);
	hex[2 * n] = '\0';
	return hex;
}

static ProtobufCMessage *from_hex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	AUTO_FREE uint8_t *raw = malloc(n + 1);

	for (size_t i = 0; raw && i < n; i++) {
		unsigned v;

		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return NULL;
		raw[i] = (uint8_t)v;
	}
	return raw ? ttrpc_msg_unpack(PB_DESC(set_network_request), raw, n, SAVED_MAX * 4) : NULL;
}

/* Return: 1 when the Sentry has taken it, 0 when it takes no network, -1. */
static int send_network(struct creation *x, struct netcfg *cfg, struct err *e)
{
	int sock;

	/* the request may wait in the socket: the Sentry is let go by the next step. So the answer is not waited for here */
	sock = control_connect(x->c, e);
	if (sock < 0)
		return -1;
	if (launch_release(x, e) < 0) {
		close(sock);
		return -1;
	}
	if (control_call(sock, "SetNetwork", &cfg->msg.base, NULL, cfg->fds, cfg->nr_fds, NULL, e) < 0) {
		if (e->code == ENOSYS) {
			log_warn("this sandbox takes no network: it has loopback only");
			return 0;
		}
		launch_diagnose(x, e);
		return err_wrap(e, "set up the network");
	}
	return 1;
}

static int hand_over(struct creation *x, int netns, struct netcfg *cfg, struct err *e)
{
	int ret = send_network(x, cfg, e);

	if (ret <= 0)
		return ret;
	x->c->st.saved_net = to_hex(&cfg->msg);
	if (!x->c->st.saved_net)
		return err_set(e, ENOMEM, "out of memory");
	/* on disk before the addresses go */
	if (state_save(x->c, e) < 0)
		return -1;
	return netcfg_take(netns, &cfg->msg, e);
}

/* --network=host: the Sentry's sockets are the host's already; links, addresses and routes go in for those who look at them. */
static int describe_host(struct creation *x, struct err *e)
{
	const char *path = *x->c->st.netns ? x->c->st.netns : "/proc/self/ns/net";
	AUTO_CLOSE int netns = open(path, O_RDONLY | O_CLOEXEC);
	struct netcfg cfg;
	int ret;

	if (netns < 0)
		return err_sys(e, "open network namespace %s", path);
	if (netcfg_read(netns, false, &cfg, e) < 0)
		return -1;
	ret = send_network(x, &cfg, e);
	netcfg_fini(&cfg);
	return ret < 0 ? -1 : 0;
}

int network_setup(struct creation *x, struct err *e)
{
	AUTO_CLOSE int netns = -1;
	struct netcfg cfg;
	int ret = 0;

	if (!x->sandbox && x->flags.net == LC_NET_HOST)
		return describe_host(x, e);
	if (x->sandbox || x->flags.net != LC_NET_SANDBOX || !may_have_links(x))
		return 0;
	if (x->flags.cni_conf && cni_add(x->c, x->flags.cni_conf, x->flags.cni_bin, e) < 0)
		return -1;
	netns = open_netns(x->c, e);
	if (netns < 0 || netcfg_read(netns, true, &cfg, e) < 0)
		return -1;
	if (cfg.nr_nics)
		ret = hand_over(x, netns, &cfg, e);
	netcfg_fini(&cfg);
	return ret;
}

void network_undo(struct lc_container *c)
{
	struct err e = ERR_INIT;

	if (c->st.saved_net) {
		ProtobufCMessage *m = from_hex(c->st.saved_net);
		/* a namespace without a path ends with the gofer: nothing to put back */
		AUTO_CLOSE int netns = m && c->st.netns && *c->st.netns ? open_netns(c, &e) : -1;

		if (netns >= 0 && netcfg_restore(netns, (const PB(SetNetworkRequest) *)m, &e) < 0)
			log_warn("%s", e.msg);
		if (m)
			ttrpc_msg_free(m);
	}
	if (c->st.cni_conf)
		cni_del(c);
}
