//! `sysctlbyname`: the rows that the modelled parts have, per version (contract §3, §4, §5, §7).

use std::collections::BTreeMap;

use crate::errno::{EINVAL, ENOENT, EPERM, ERANGE, Result};
use crate::machine::Machine;
use crate::version::Capabilities;

/// The tree, as far as it is modelled.
#[derive(Debug)]
pub(crate) struct Sysctls {
    rows: BTreeMap<&'static str, Row>,
}

/// A number of 4 or 8 bytes.
#[derive(Clone, Copy, Debug)]
struct Row {
    value: u64,
    width_bytes: usize,
    access: Access,
}

#[derive(Clone, Copy, Debug)]
enum Access {
    /// `CTLFLAG_RD`: nobody writes it (`EPERM`).
    ReadOnly,
    /// Root writes any number.
    Any,
    /// Root writes what is in these bounds, else `EINVAL`.
    Within(u64, u64),
    /// 0, or in these bounds, else `EINVAL`.
    ZeroOrWithin(u64, u64),
    /// A power of two in these bounds, else `EINVAL`.
    PowerOfTwo(u64, u64),
    /// A multiple of 8 up to this, else `EINVAL`.
    Eighths(u64),
    /// `net.link.fake.max_mtu`: in these bounds and above `buflet_size`, else `EINVAL`.
    MtuMax(u64, u64),
    /// `net.link.fake.buflet_size`: a power of two in these bounds and below `max_mtu`.
    BufletSize(u64, u64),
    /// `kern.ipc.maxsockbuf`: above the first, up to the second, else `ERANGE`.
    SocketBuffer(u64, u64),
}

use Access::{
    Any, BufletSize, Eighths, MtuMax, PowerOfTwo, ReadOnly, SocketBuffer, Within, ZeroOrWithin,
};

/// `INT_MAX`.
const INT_MAX: u64 = 0x7fff_ffff;

impl Sysctls {
    pub(crate) fn new(can: &Capabilities) -> Self {
        let mut this = Self { rows: BTreeMap::new() };
        this.add_fake(can);
        this.add_bridge(can);
        this.add_bpf(can);
        this.add_sockets(can);
        this
    }

    /// `net.link.fake.*` (`bsd/net/if_fake.c`).
    fn add_fake(&mut self, can: &Capabilities) {
        self.add(&[
            ("net.link.fake.txstart", 1, Any),
            ("net.link.fake.hwcsum", 0, Any),
            ("net.link.fake.nxattach", 0, Any),
            ("net.link.fake.bsd_mode", 1, Any),
            ("net.link.fake.debug", 0, Any),
            ("net.link.fake.wmm_mode", 0, Any),
            ("net.link.fake.multibuflet", 0, Any),
            ("net.link.fake.pktpool_mode", 0, Any),
            ("net.link.fake.link_layer_aggregation_factor", 96, Within(1, 512)),
            ("net.link.fake.tx_headroom", 32, Eighths(32)),
            ("net.link.fake.fcs", 0, Any),
            ("net.link.fake.trailer_length", 0, Within(0, 28)),
            ("net.link.fake.max_mtu", 2048, MtuMax(1500, 16 * 1024 - 14)),
            ("net.link.fake.buflet_size", 512, BufletSize(512, 32 * 1024)),
            ("net.link.fake.user_access", 0, Within(0, 1)),
            ("net.link.fake.if_adv_intvl", 0, ZeroOrWithin(10, INT_MAX)),
            ("net.link.fake.tx_drops", 0, Within(0, INT_MAX)),
            ("net.link.fake.llink_cnt", 0, Within(0, 16)),
            ("net.link.fake.qset_cnt", 4, Within(1, 16)),
        ]);
        if can.feth_tso {
            self.add(&[
                ("net.link.fake.tso_support", 0, Any),
                ("net.link.fake.tso_buf_size", 16 * 1024, PowerOfTwo(512, 32 * 1024)),
                ("net.link.fake.low_latency", 0, Any),
                ("net.link.fake.switch_combined_mode", 0, Any),
                ("net.link.fake.switch_mode_frequency", 10, Any),
                ("net.link.fake.tx_completion_mode", 0, Within(0, 1)),
                ("net.link.fake.trace_tag", 0, Any),
            ]);
        }
        if can.feth_lro {
            self.add(&[
                ("net.link.fake.lro", 0, Any),
                ("net.link.fake.expiration_threshold", 500, Any),
                ("net.link.fake.tx_exp_policy", 0, Within(0, 3)),
            ]);
        }
        if can.feth_vlan_tagging {
            self.add(&[
                ("net.link.fake.vlan_tagging", 1, Any),
                ("net.link.fake.separate_frame_header", 0, Any),
                ("net.link.fake.log_level", 5, Any),
            ]);
        }
    }

    /// `net.link.bridge.*` (`bsd/net/if_bridge.c`).
    fn add_bridge(&mut self, can: &Capabilities) {
        self.add(&[
            ("net.link.bridge.inherit_mac", 0, Any),
            ("net.link.bridge.rtable_prune_period", 300, Any),
            ("net.link.bridge.rtable_hash_size_max", 2048, Any),
            ("net.link.bridge.txstart", 0, Any),
            ("net.link.bridge.debug", 0, Any),
            ("net.link.bridge.log_level", 5, Any),
        ]);
        if can.bridge_early_input {
            self.add(&[
                ("net.link.bridge.output_skip_filters", 1, Any),
                ("net.link.bridge.enable_early_input", 1, Any),
                ("net.link.bridge.allow_lro_num_seg", 1, Any),
            ]);
        } else {
            self.add(&[
                ("net.link.bridge.segmentation", 1, Any),
                ("net.link.bridge.vmnet_pf_tagging", 1, Any),
            ]);
        }
    }

    /// `debug.bpf_*` (`bsd/net/bpf.c`).
    fn add_bpf(&mut self, can: &Capabilities) {
        self.add(&[
            ("debug.bpf_bufsize", 4096, Any),
            ("debug.bpf_maxbufsize", 512 << 10, Any),
            ("debug.bpf_wantpktap", 0, Any),
            ("debug.bpf_debug", 0, Any),
        ]);
        if can.bpf_buffer_bytes_max > 512 << 10 {
            self.add(&[
                ("debug.bpf_bufsize_cap", u64::from(can.bpf_buffer_bytes_max), ReadOnly),
                ("debug.bpf_maxdevices", 256, ReadOnly),
                ("debug.bpf_hdr_comp_enable", 1, Any),
            ]);
        } else {
            self.add(&[("debug.bpf_maxdevices", 256, Any)]);
        }
    }

    /// `kern.ipc.*` and `net.local.*` (`bsd/kern/uipc_socket2.c`, `uipc_syscalls.c`,
    /// `uipc_usrreq.c`).
    fn add_sockets(&mut self, can: &Capabilities) {
        const SOCKET_BUFFER_MAX: u64 = 8 << 20;
        let messages_max = u64::from(can.messages_max);
        self.add(&[
            ("kern.ipc.maxsockbuf", SOCKET_BUFFER_MAX, SocketBuffer(18_432, SOCKET_BUFFER_MAX)),
            ("kern.ipc.maxrecvmsgx", messages_max, Any),
            ("kern.ipc.maxsendmsgx", messages_max, Any),
            ("net.local.dgram.maxdgram", 2048, Any),
            ("net.local.dgram.recvspace", 4096, Any),
        ]);
        if !can.messages_are_strict {
            self.add(&[("kern.ipc.sendmsg_x_mode", 0, Any)]);
        }
    }

    fn add(&mut self, rows: &[(&'static str, u64, Access)]) {
        for (name, value, access) in rows {
            self.rows.insert(name, Row { value: *value, width_bytes: 4, access: *access });
        }
    }

    /// The value of a row that this version has.
    pub(crate) fn find(&self, name: &str) -> Option<u64> {
        self.rows.get(name).map(|row| row.value)
    }

    /// The value of a row.
    ///
    /// # Panics
    /// When this version has none of that name: the caller is at fault, not the process.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.find(name).unwrap_or_else(|| panic!("no sysctl {name} is modelled"))
    }

    fn is_allowed(&self, access: Access, value: u64) -> bool {
        match access {
            ReadOnly => false,
            Any => true,
            Within(least, most) => (least..=most).contains(&value),
            ZeroOrWithin(least, most) => value == 0 || (least..=most).contains(&value),
            PowerOfTwo(least, most) => (least..=most).contains(&value) && value.is_power_of_two(),
            Eighths(most) => value <= most && value.is_multiple_of(8),
            MtuMax(least, most) => {
                (least..=most).contains(&value) && value > self.get("net.link.fake.buflet_size")
            }
            BufletSize(least, most) => {
                (least..=most).contains(&value)
                    && value.is_power_of_two()
                    && value < self.get("net.link.fake.max_mtu")
            }
            SocketBuffer(above, most) => value > above && value <= most,
        }
    }
}

impl Machine {
    /// The value before, and sets a new one.
    ///
    /// # Errors
    /// `ENOENT`: there is none of that name. `EPERM`: only root sets, or nobody does. `EINVAL`,
    /// `ERANGE`: not that value.
    pub(crate) fn sysctl(
        &mut self,
        is_root: bool,
        name: &str,
        new: Option<&[u8]>,
    ) -> Result<Vec<u8>> {
        let row = *self.sysctls.rows.get(name).ok_or(ENOENT)?;
        let old = row.value.to_le_bytes()[..row.width_bytes].to_vec();
        let Some(new) = new else { return Ok(old) };
        if matches!(row.access, ReadOnly) || !is_root {
            return Err(EPERM);
        }
        if new.len() != row.width_bytes {
            return Err(EINVAL);
        }
        let mut value = [0; 8];
        value[..new.len()].copy_from_slice(new);
        let value = u64::from_le_bytes(value);
        if value != row.value && !self.sysctls.is_allowed(row.access, value) {
            let is_socket_buffer = matches!(row.access, SocketBuffer(..));
            return Err(if is_socket_buffer { ERANGE } else { EINVAL });
        }
        if let Some(row) = self.sysctls.rows.get_mut(name) {
            row.value = value;
        }
        Ok(old)
    }
}
