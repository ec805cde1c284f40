//! What each modelled macOS can do: the table of differences, row by row from the contract.

use std::fmt;
use std::str::FromStr;

/// A modelled macOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MacOs {
    /// macOS 12 (xnu-8020).
    V12,
    /// macOS 13 (xnu-8796).
    V13,
    /// macOS 14.0 (xnu-10002.1).
    V14_0,
    /// macOS 14.4 (xnu-10063).
    V14_4,
    /// macOS 15 (xnu-11417).
    V15,
}

impl MacOs {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [Self::V12, Self::V13, Self::V14_0, Self::V14_4, Self::V15];

    /// What it can do.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        Capabilities {
            bpf_buffer_bytes_max: if self.is_since(Self::V13) { 32 << 20 } else { 512 << 10 },
            bpf_writes_by_mtu: self.is_since(Self::V14_0),
            bpf_batch_write: self.is_since(Self::V14_4),
            bpf_direction: self.is_since(Self::V14_0),
            bpf_header_compression: self.is_since(Self::V13),
            bpf_extended_header_bytes: if self.is_since(Self::V15) { 64 } else { 60 },
            bpf_no_timestamp: self.is_since(Self::V15),
            bpf_drop_input: self.is_since(Self::V15),
            socket_buffers_clamp: self.is_since(Self::V14_4),
            dgram_write_event_sees_peer: self.is_since(Self::V13),
            dgram_reader_wakes_writer: self.is_since(Self::V15),
            messages_max: if self.is_since(Self::V14_0) { 256 } else { 100 },
            messages_are_strict: !self.is_since(Self::V14_0),
            sendmsg_x_batches: self.is_since(Self::V14_0),
            sendmsg_x_counts_lost: !self.is_since(Self::V13),
            sendmsg_x_counts_unsent: self.is_since(Self::V14_4),
            bridge_early_input: self.is_since(Self::V15),
            bridge_uses_virtio: self.is_since(Self::V15),
            feth_tso: self.is_since(Self::V13),
            feth_lro: self.is_since(Self::V14_0),
            feth_vlan_tagging: self.is_since(Self::V15),
            feth_taps_see_trailer: self.is_since(Self::V15),
            link_events_are_shifted: !self.is_since(Self::V15),
        }
    }

    /// Its number, as people write it.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::V12 => "12",
            Self::V13 => "13",
            Self::V14_0 => "14.0",
            Self::V14_4 => "14.4",
            Self::V15 => "15",
        }
    }

    const fn is_since(self, first: Self) -> bool {
        self as u8 >= first as u8
    }
}

impl fmt::Display for MacOs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.number())
    }
}

/// A version that is not modelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVersion(String);

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "macOS {:?} is not modelled: 12, 13, 14.0, 14.4 and 15 are", self.0)
    }
}

impl std::error::Error for UnknownVersion {}

impl FromStr for MacOs {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let found = Self::ALL.into_iter().find(|version| version.number() == text);
        found.ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

/// What a version can do; each field names its row of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `BIOCSBLEN` clamps to this: `debug.bpf_maxbufsize` up to 12, 32 MiB since 13 (§5).
    pub bpf_buffer_bytes_max: u32,
    /// A BPF write is bounded by the MTU and 18 bytes (since 14.0), not by 2,048 (§5, C15, C16).
    pub bpf_writes_by_mtu: bool,
    /// `BIOCSBATCHWRITE` and `BIOCSWRITEMAX` (since 14.1: here 14.4) (§1b).
    pub bpf_batch_write: bool,
    /// `BIOCSDIRECTION` (since 14.0) (§1b). Before, `BIOCGSEESENT` gives what was set, not 1, and
    /// `FIONREAD` counts the hold buffer.
    pub bpf_direction: bool,
    /// `BIOCSHDRCOMP` (since 13) (§1b). Before, `BIOCSETUP` copies buffers and no settings, and
    /// `BIOCSBLEN` clamps to twice the limit when the device drops the oldest (C20).
    pub bpf_header_compression: bool,
    /// `sizeof(struct bpf_hdr_ext)`: 64 since 15.0 (§2); before, it ends with `bh_unsent_snd`.
    pub bpf_extended_header_bytes: u32,
    /// `BIOCSNOTSTAMP` (since 15.0) (§1b).
    pub bpf_no_timestamp: bool,
    /// `BIOCSDVRTIN` (since 15.0) (§5, C22).
    pub bpf_drop_input: bool,
    /// Socket buffers over the limit are clamped (since 14.4), not refused with `ENOBUFS` (§7).
    pub socket_buffers_clamp: bool,
    /// `EVFILT_WRITE` of a datagram socket looks at the peer's room (since 13) (§7).
    pub dgram_write_event_sees_peer: bool,
    /// A reader wakes the writer (since 15.0) (§7, M25).
    pub dgram_reader_wakes_writer: bool,
    /// `kern.ipc.maxrecvmsgx` and `maxsendmsgx`: 100 up to 13, 256 since 14.0 (C23).
    pub messages_max: u32,
    /// Up to 13, `recvmsg_x` and `sendmsg_x` want `msg_flags` to be 0, bad flags are `EOPNOTSUPP`,
    /// and `sendmsg_x` counts 1 to 1,024 (§7, C23, C24).
    pub messages_are_strict: bool,
    /// `sendmsg_x` sends all messages of a connected socket in one go (since 14.0): no limit on
    /// their count, names ignored (C23, C24).
    pub sendmsg_x_batches: bool,
    /// `sendmsg_x` counts the message that found the peer full as sent (12); 13 says how many went
    /// before it, even 0; neither tells `ENOBUFS` (`sendmsg_x` and `externalize_user_msghdr_array`
    /// of those tags; not in the contract).
    pub sendmsg_x_counts_lost: bool,
    /// `sendmsg_x` counts messages before one with no buffers as sent, although it sent none (since
    /// 14.4; `sendit_x`; not in the contract).
    pub sendmsg_x_counts_unsent: bool,
    /// The bridge's input path of 15.0 (C1 to C7).
    pub bridge_early_input: bool,
    /// `IFBIF_USES_VIRTIO` (15.4) (§3).
    pub bridge_uses_virtio: bool,
    /// `net.link.fake.tso_support` (since 13) (§4).
    pub feth_tso: bool,
    /// `net.link.fake.lro` (since 14) (§4).
    pub feth_lro: bool,
    /// `net.link.fake.vlan_tagging` and `separate_frame_header` (since 15) (§4).
    pub feth_vlan_tagging: bool,
    /// A feth's own tap sees the trailer and check sequence (since 15), not the peer's alone (C27).
    pub feth_taps_see_trailer: bool,
    /// What `KEV_DL_LINK_ON` and `_OFF` of a feth or bridge say begins 4 bytes late (feths up to
    /// 15.3, bridges up to 14): it was put behind the header's type, not where its data begins
    /// (`interface_link_event`, `bridge_link_event`).
    pub link_events_are_shifted: bool,
}
