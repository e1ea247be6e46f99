/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/netdevice.h - requests on network interfaces as guests make them (netdevice(7), ioctl_list(2))
 */
#ifndef SENTRY_ABI_NETDEVICE_H
#define SENTRY_ABI_NETDEVICE_H

#include "sentry/abi/inet_addr.h"

#define LINUX_SIOCATMARK     0x8905u
#define LINUX_SIOCADDRT	     0x890bu
#define LINUX_SIOCDELRT	     0x890cu
#define LINUX_SIOCGIFNAME    0x8910u
#define LINUX_SIOCGIFCONF    0x8912u
#define LINUX_SIOCGIFFLAGS   0x8913u
#define LINUX_SIOCSIFFLAGS   0x8914u
#define LINUX_SIOCGIFADDR    0x8915u
#define LINUX_SIOCSIFADDR    0x8916u
#define LINUX_SIOCGIFDSTADDR 0x8917u
#define LINUX_SIOCGIFBRDADDR 0x8919u
#define LINUX_SIOCSIFBRDADDR 0x891au
#define LINUX_SIOCGIFNETMASK 0x891bu
#define LINUX_SIOCSIFNETMASK 0x891cu
#define LINUX_SIOCGIFMETRIC  0x891du
#define LINUX_SIOCGIFMTU     0x8921u
#define LINUX_SIOCSIFMTU     0x8922u
#define LINUX_SIOCSIFNAME    0x8923u
#define LINUX_SIOCSIFHWADDR  0x8924u
#define LINUX_SIOCGIFHWADDR  0x8927u
#define LINUX_SIOCGIFINDEX   0x8933u
#define LINUX_SIOCGIFTXQLEN  0x8942u
#define LINUX_SIOCSIFTXQLEN  0x8943u
#define LINUX_SIOCOUTQNSD    0x894bu
#define LINUX_SIOCGIFMAP     0x8970u
#define LINUX_SIOCBRADDBR    0x89a0u
#define LINUX_SIOCBRDELBR    0x89a1u
#define LINUX_SIOCBRADDIF    0x89a2u
#define LINUX_SIOCBRDELIF    0x89a3u

struct linux_ifreq {
	char name[16];
	union {
		struct linux_sockaddr_in addr;
		struct {
			uint16_t family;
			uint8_t data[14];
		} hwaddr;
		int16_t flags;
		int32_t value; /* index, MTU, metric, queue length */
		char newname[16];
		struct {
			uint64_t mem_start, mem_end;
			uint16_t base_addr;
			uint8_t irq, dma, port, pad[3];
		} map;
	};
};
_Static_assert(sizeof(struct linux_ifreq) == 40, "netdevice(7)");

struct linux_ifconf {
	int32_t len, pad;
	uint64_t buf;
};

struct linux_rtentry {
	uint64_t pad1;
	struct linux_sockaddr_in dst, gateway, genmask;
	uint16_t flags, pad2[3];
	uint64_t pad3, pad4;
	int16_t metric, pad5[3];
	uint64_t dev, mtu, window;
	uint16_t irtt, pad6[3];
};
_Static_assert(sizeof(struct linux_rtentry) == 120, "rtentry of net/route.h");
/* /dev/net/tun */
#define LINUX_TUNSETNOCSUM    0x400454c8u
#define LINUX_TUNSETDEBUG     0x400454c9u
#define LINUX_TUNSETIFF	      0x400454cau
#define LINUX_TUNSETPERSIST   0x400454cbu
#define LINUX_TUNSETOWNER     0x400454ccu
#define LINUX_TUNSETGROUP     0x400454ceu
#define LINUX_TUNGETFEATURES  0x800454cfu
#define LINUX_TUNSETOFFLOAD   0x400454d0u
#define LINUX_TUNGETIFF	      0x800454d2u
#define LINUX_TUNGETSNDBUF    0x800454d3u
#define LINUX_TUNSETSNDBUF    0x400454d4u
#define LINUX_TUNGETVNETHDRSZ 0x800454d7u
#define LINUX_TUNSETVNETHDRSZ 0x400454d8u

/* SIOCETHTOOL: ifr_data points at one of these; its first word says which. */
#define LINUX_SIOCGSTAMP	  0x8906u
#define LINUX_SIOCGSTAMPNS	  0x8907u
#define LINUX_SIOCETHTOOL	  0x8946u
#define LINUX_ETHTOOL_GDRVINFO	  0x03
#define LINUX_ETHTOOL_GLINK	  0x0a
#define LINUX_ETHTOOL_GRXCSUM	  0x14
#define LINUX_ETHTOOL_GTXCSUM	  0x16
#define LINUX_ETHTOOL_GSG	  0x18
#define LINUX_ETHTOOL_GTSO	  0x1e
#define LINUX_ETHTOOL_GPERMADDR	  0x20
#define LINUX_ETHTOOL_GUFO	  0x21
#define LINUX_ETHTOOL_GGSO	  0x23
#define LINUX_ETHTOOL_GFLAGS	  0x25
#define LINUX_ETHTOOL_GGRO	  0x2b
#define LINUX_ETHTOOL_GET_TS_INFO 0x41
struct linux_ethtool_value {
	uint32_t cmd, data;
};
struct linux_ethtool_drvinfo {
	uint32_t cmd;
	char driver[32], version[32], fw_version[32], bus_info[32], erom_version[32], reserved2[12];
	uint32_t n_priv_flags, n_stats, testinfo_len, eedump_len, regdump_len;
};
_Static_assert(sizeof(struct linux_ethtool_drvinfo) == 196, "ethtool_drvinfo");
struct linux_ethtool_ts_info {
	uint32_t cmd, so_timestamping;
	int32_t phc_index;
	uint32_t tx_types, tx_reserved[3], rx_filters, rx_reserved[3];
};
_Static_assert(sizeof(struct linux_ethtool_ts_info) == 44, "ethtool_ts_info");
struct linux_ethtool_perm_addr {
	uint32_t cmd, size;
	uint8_t addr[8];
};

#define LINUX_RTF_UP	  0x1
#define LINUX_RTF_GATEWAY 0x2
#define LINUX_RTF_HOST	  0x4
#define LINUX_RTF_REJECT  0x200

#endif
