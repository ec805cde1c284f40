/*
 * What the macOS SDK does not have, declared in C's own terms, so that a C compiler lays it out by C's
 * rules and `cargo xtask abi --check` can compare that with what xnu-sys says. Each section names the
 * header of XNU that its facts are from. The numbers stand here a second time on purpose.
 */

/* ---- Headers that the SDK has, but not every set of macOS headers ---- */

#if !__has_include(<sys/sys_domain.h>)
#define SYSPROTO_EVENT 1
#define SYSPROTO_CONTROL 2
#endif

#if !__has_include(<sys/kern_event.h>)
#define KEV_ANY_VENDOR 0
#define KEV_ANY_CLASS 0
#define KEV_ANY_SUBCLASS 0
#define KEV_VENDOR_APPLE 1
#define KEV_NETWORK_CLASS 1

struct kern_event_msg {
	u_int32_t total_size;
	u_int32_t vendor_code;
	u_int32_t kev_class;
	u_int32_t kev_subclass;
	u_int32_t id;
	u_int32_t event_code;
	u_int32_t event_data[1];
};
#define KEV_MSG_HEADER_SIZE offsetof(struct kern_event_msg, event_data)

struct kev_request {
	u_int32_t vendor_code;
	u_int32_t kev_class;
	u_int32_t kev_subclass;
};

struct kev_vendor_code {
	u_int32_t vendor_code;
	char vendor_string[200];
};

#define SIOCGKEVID _IOR('e', 1, u_int32_t)
#define SIOCSKEVFILT _IOW('e', 2, struct kev_request)
#define SIOCGKEVFILT _IOR('e', 3, struct kev_request)
#define SIOCGKEVVENDOR _IOWR('e', 4, struct kev_vendor_code)
#endif

/* ---- net/if_private.h ---- */

#define IF_DESCSIZE 128

struct if_descreq {
	char ifdr_name[IFNAMSIZ];
	u_int32_t ifdr_len;
	u_int8_t ifdr_desc[IF_DESCSIZE];
};

#define IFEF_CLONE (1 << 16)
#define IFXF_DISABLE_INPUT (1 << 18)

enum {
	IFRTYPE_FAMILY_ANY,
	IFRTYPE_FAMILY_LOOPBACK,
	IFRTYPE_FAMILY_ETHERNET,
	IFRTYPE_FAMILY_SLIP,
	IFRTYPE_FAMILY_TUN,
	IFRTYPE_FAMILY_VLAN,
	IFRTYPE_FAMILY_PPP,
	IFRTYPE_FAMILY_GIF = 10,
	IFRTYPE_FAMILY_STF = 12,
	IFRTYPE_FAMILY_FIREWIRE,
	IFRTYPE_FAMILY_BOND,
	IFRTYPE_FAMILY_CELLULAR,
	IFRTYPE_FAMILY_UTUN = 17,
	IFRTYPE_FAMILY_IPSEC,
};

enum {
	IFRTYPE_SUBFAMILY_ANY,
	IFRTYPE_SUBFAMILY_USB,
	IFRTYPE_SUBFAMILY_BLUETOOTH,
	IFRTYPE_SUBFAMILY_WIFI,
	IFRTYPE_SUBFAMILY_THUNDERBOLT,
	IFRTYPE_SUBFAMILY_RESERVED,
	IFRTYPE_SUBFAMILY_INTCOPROC,
	IFRTYPE_SUBFAMILY_QUICKRELAY,
	IFRTYPE_SUBFAMILY_DEFAULT,
	IFRTYPE_SUBFAMILY_VMNET,
	IFRTYPE_SUBFAMILY_SIMCELL,
	IFRTYPE_SUBFAMILY_REDIRECT,
	IFRTYPE_SUBFAMILY_MANAGEMENT,
};

/* ---- sys/sockio_private.h ---- */

#define SIOCGIFEFLAGS _IOWR('i', 142, struct ifreq)
#define SIOCSIFDESC _IOWR('i', 143, struct if_descreq)
#define SIOCGIFDESC _IOWR('i', 144, struct if_descreq)
#define SIOCGIFLLADDR _IOWR('i', 158, struct ifreq)
#define SIOCGIFTYPE _IOWR('i', 159, struct ifreq)
#define SIOCGIFXFLAGS _IOWR('i', 206, struct ifreq)
#define SIOCSIFDISABLEINPUT _IOW('i', 225, struct ifreq)
#define SIOCGIFDISABLEINPUT _IOWR('i', 225, struct ifreq)

/* ---- sys/socket_private.h ---- */

#define MSG_NBIO 0x20000

struct msghdr_x {
	void *msg_name;
	socklen_t msg_namelen;
	struct iovec *msg_iov;
	int msg_iovlen;
	void *msg_control;
	socklen_t msg_controllen;
	int msg_flags;
	size_t msg_datalen;
};

/* ---- sys/event_private.h ---- */

struct kevent_qos_s {
	uint64_t ident;
	int16_t filter;
	uint16_t flags;
	int32_t qos;
	uint64_t udata;
	uint32_t fflags;
	uint32_t xflags;
	int64_t data;
	uint64_t ext[4];
};

/* ---- net/bpf_private.h ---- */

enum { BPF_D_NONE, BPF_D_IN, BPF_D_OUT, BPF_D_INOUT };

struct bpf_hdr_ext {
	struct timeval32 bh_tstamp;
	bpf_u_int32 bh_caplen;
	bpf_u_int32 bh_datalen;
	u_short bh_hdrlen;
	u_char bh_complen;
	u_char bh_flags;
	pid_t bh_pid;
	char bh_comm[MAXCOMLEN + 1];
	u_char bh_pktflags;
	uint16_t bh_trace_tag;
	bpf_u_int32 bh_svc;
	bpf_u_int32 bh_flowid;
	bpf_u_int32 bh_unsent_bytes;
	bpf_u_int32 bh_unsent_snd;
	bpf_u_int32 bh_comp_gencnt;
};

struct xbpf_d {
	uint32_t bd_structsize;
	int32_t bd_dev_minor;
	int32_t bd_sig;
	uint32_t bd_slen;
	uint32_t bd_hlen;
	uint32_t bd_bufsize;
	pid_t bd_pid;
	uint8_t bd_promisc;
	uint8_t bd_immediate;
	uint8_t bd_hdrcmplt;
	uint8_t bd_async;
	uint8_t bd_headdrop;
	uint8_t bd_direction;
	uint8_t bh_compreq;
	uint8_t bh_compenabled;
	uint8_t bd_exthdr;
	uint8_t bd_trunc;
	uint8_t bd_pkthdrv2;
	uint8_t bd_batch_write : 1;
	uint8_t bd_divert_in : 1;
	uint8_t bd_padding : 6;
	uint64_t bd_rcount;
	uint64_t bd_dcount;
	uint64_t bd_fcount;
	uint64_t bd_wcount;
	uint64_t bd_wdcount;
	char bd_ifname[IFNAMSIZ];
	uint64_t bd_comp_count;
	uint64_t bd_comp_size;
	uint32_t bd_scnt;
	uint32_t bd_hcnt;
	uint64_t bd_read_count;
	uint64_t bd_fsize;
};

struct bpf_setup_args {
	unsigned char bsa_uuid[16];
	char bsa_ifname[IFNAMSIZ];
};

struct bpf_comp_stats {
	uint64_t bcs_total_read;
	uint64_t bcs_total_size;
	uint64_t bcs_total_hdr_size;
	uint64_t bcs_count_no_common_prefix;
	uint64_t bcs_count_compressed_prefix;
	uint64_t bcs_total_compressed_prefix_size;
	uint64_t bcs_max_compressed_prefix_size;
};

#define BIOCGETTC _IOR('B', 122, int)
#define BIOCSETTC _IOW('B', 123, int)
#define BIOCSEXTHDR _IOW('B', 124, u_int)
#define BIOCGIFATTACHCOUNT _IOWR('B', 125, struct ifreq)
#define BIOCGWANTPKTAP _IOR('B', 127, u_int)
#define BIOCSWANTPKTAP _IOWR('B', 127, u_int)
#define BIOCSHEADDROP _IOW('B', 128, int)
#define BIOCGHEADDROP _IOR('B', 128, int)
#define BIOCSTRUNCATE _IOW('B', 129, u_int)
#define BIOCGETUUID _IOR('B', 130, unsigned char[16])
#define BIOCSETUP _IOW('B', 131, struct bpf_setup_args)
#define BIOCSPKTHDRV2 _IOW('B', 132, int)
#define BIOCGPKTHDRV2 _IOW('B', 133, int)
#define BIOCGHDRCOMP _IOR('B', 134, int)
#define BIOCSHDRCOMP _IOW('B', 135, int)
#define BIOCGHDRCOMPSTATS _IOR('B', 136, struct bpf_comp_stats)
#define BIOCGHDRCOMPON _IOR('B', 137, int)
#define BIOCGDIRECTION _IOR('B', 138, int)
#define BIOCSDIRECTION _IOW('B', 139, int)
#define BIOCSWRITEMAX _IOW('B', 140, u_int)
#define BIOCGWRITEMAX _IOR('B', 141, u_int)
#define BIOCGBATCHWRITE _IOR('B', 142, int)
#define BIOCSBATCHWRITE _IOW('B', 143, int)
#define BIOCGNOTSTAMP _IOR('B', 144, int)
#define BIOCSNOTSTAMP _IOW('B', 145, int)
#define BIOCGDVRTIN _IOR('B', 146, int)
#define BIOCSDVRTIN _IOW('B', 146, int)

/* ---- net/if_fake_var.h ---- */

#define IF_FAKE_MEDIA_LIST_MAX 27

struct if_fake_media {
	int32_t iffm_current;
	uint32_t iffm_count;
	uint32_t iffm_reserved[3];
	int32_t iffm_list[IF_FAKE_MEDIA_LIST_MAX];
};

struct if_fake_request {
	uint64_t iffr_reserved[4];
	union {
		char buffer[128];
		struct if_fake_media media;
		char peer_name[IFNAMSIZ];
		uint32_t dequeue_stall;
	} iffr_u;
};

enum {
	IF_FAKE_S_CMD_NONE,
	IF_FAKE_S_CMD_SET_PEER,
	IF_FAKE_S_CMD_SET_MEDIA,
	IF_FAKE_S_CMD_SET_DEQUEUE_STALL,
};

enum { IF_FAKE_G_CMD_NONE, IF_FAKE_G_CMD_GET_PEER };

/* ---- net/if_bridgevar.h ---- */

enum {
	BRDGADD,
	BRDGDEL,
	BRDGGIFFLGS,
	BRDGSIFFLGS,
	BRDGSCACHE,
	BRDGGCACHE,
	BRDGGIFS,
	BRDGRTS,
	BRDGSADDR,
	BRDGSTO,
	BRDGGTO,
	BRDGDADDR,
	BRDGFLUSH,
	BRDGGPRI,
	BRDGSPRI,
	BRDGGHT,
	BRDGSHT,
	BRDGGFD,
	BRDGSFD,
	BRDGGMA,
	BRDGSMA,
	BRDGSIFPRIO,
	BRDGSIFCOST,
	BRDGGFILT,
	BRDGSFILT,
	BRDGPURGE,
	BRDGADDS,
	BRDGDELS,
	BRDGPARAM,
	BRDGGRTE,
	BRDGGIFSSTP,
	BRDGSPROTO,
	BRDGSTXHC,
	BRDGSIFAMAX,
	BRDGGHOSTFILTER,
	BRDGSHOSTFILTER,
	BRDGGMACNATLIST,
	BRDGGIFSTATS,
};

enum {
	IFBIF_LEARNING = 1 << 0,
	IFBIF_DISCOVER = 1 << 1,
	IFBIF_STP = 1 << 2,
	IFBIF_SPAN = 1 << 3,
	IFBIF_STICKY = 1 << 4,
	IFBIF_BSTP_EDGE = 1 << 5,
	IFBIF_BSTP_AUTOEDGE = 1 << 6,
	IFBIF_BSTP_PTP = 1 << 7,
	IFBIF_BSTP_AUTOPTP = 1 << 8,
	IFBIF_BSTP_ADMEDGE = 1 << 9,
	IFBIF_BSTP_ADMCOST = 1 << 10,
	IFBIF_PRIVATE = 1 << 11,
	IFBIF_MAC_NAT = 1 << 15,
	IFBIF_CHECKSUM_OFFLOAD = 1 << 16,
	IFBIF_USES_VIRTIO = 1 << 17,
};

enum { IFBF_FLUSHDYN, IFBF_FLUSHALL };
enum { IFBF_FILT_USEIPF = 1 << 0, IFBF_FILT_MEMBER = 1 << 1, IFBF_FILT_ONLYIP = 1 << 2 };
enum { IFBAF_DYNAMIC, IFBAF_STATIC, IFBAF_STICKY, IFBAF_TYPEMASK };
enum { IFBRHF_ENABLED = 1 << 0, IFBRHF_HWSRC = 1 << 1, IFBRHF_IPSRC = 1 << 2 };

#pragma pack(push, 4)

struct ifbreq {
	char ifbr_ifsname[IFNAMSIZ];
	uint32_t ifbr_ifsflags;
	uint32_t ifbr_stpflags;
	uint32_t ifbr_path_cost;
	uint8_t ifbr_portno;
	uint8_t ifbr_priority;
	uint8_t ifbr_proto;
	uint8_t ifbr_role;
	uint8_t ifbr_state;
	uint32_t ifbr_addrcnt;
	uint32_t ifbr_addrmax;
	uint32_t ifbr_addrexceeded;
	uint8_t pad[32];
};

struct ifbifconf {
	uint32_t ifbic_len;
	union {
		caddr_t buffer;
		struct ifbreq *requests;
	} ifbic_ifbicu;
};

struct ifbareq {
	char ifba_ifsname[IFNAMSIZ];
	unsigned long ifba_expire;
	uint8_t ifba_flags;
	uint8_t ifba_dst[6];
	uint16_t ifba_vlan;
};

struct ifbaconf {
	uint32_t ifbac_len;
	union {
		caddr_t buffer;
		struct ifbareq *requests;
	} ifbac_ifbacu;
};

struct ifbrparam {
	union {
		uint32_t word;
		uint16_t half;
		uint8_t byte;
	} ifbrp_ifbrpu;
};

struct ifbropreq {
	uint8_t ifbop_holdcount;
	uint8_t ifbop_maxage;
	uint8_t ifbop_hellotime;
	uint8_t ifbop_fwddelay;
	uint8_t ifbop_protocol;
	uint16_t ifbop_priority;
	uint16_t ifbop_root_port;
	uint32_t ifbop_root_path_cost;
	uint64_t ifbop_bridgeid;
	uint64_t ifbop_designated_root;
	uint64_t ifbop_designated_bridge;
	struct timeval ifbop_last_tc_time;
};

struct ifbpstpreq {
	uint8_t ifbp_portno;
	uint32_t ifbp_fwd_trans;
	uint32_t ifbp_design_cost;
	uint32_t ifbp_design_port;
	uint64_t ifbp_design_bridge;
	uint64_t ifbp_design_root;
};

struct ifbpstpconf {
	uint32_t ifbpstp_len;
	union {
		caddr_t buffer;
		struct ifbpstpreq *requests;
	} ifbpstp_ifbpstpu;
};

struct ifbrhostfilter {
	uint32_t ifbrhf_flags;
	char ifbrhf_ifsname[IFNAMSIZ];
	uint8_t ifbrhf_hwsrca[6];
	uint32_t ifbrhf_ipsrc;
};

struct ifbrmne {
	char ifbmne_ifname[IFNAMSIZ];
	uint64_t ifbmne_expire;
	uint8_t ifbmne_mac[6];
	uint8_t ifbmne_reserved;
	uint8_t ifbmne_af;
	union {
		struct in_addr ipv4;
		struct in6_addr ipv6;
	} ifbmne_ip;
};

struct ifbrmnelist {
	uint32_t ifbml_len;
	uint16_t ifbml_elsize;
	uint16_t ifbml_pad;
	caddr_t ifbml_buf;
};

struct ifbrmreq {
	char brmr_ifname[IFNAMSIZ];
	uint32_t brmr_len;
	uint32_t brmr_elsize;
	caddr_t brmr_buf;
};

#pragma pack(pop)
