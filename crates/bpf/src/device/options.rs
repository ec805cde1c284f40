//! What is asked of a device, and what it can do.

use crate::program::Program;
use crate::stock;

/// How a device is to be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own in the kernel")]
pub struct Options {
    /// Where to begin looking for a free device: `N` of `/dev/bpfN`. Those below are tried last.
    /// Default 0. A process with many devices finds the next one sooner with the number behind its
    /// last one.
    pub first_device: u32,
    /// Size of each of the kernel's two buffers, and of this process's one. The kernel gives as
    /// much as it may: 512 KiB up to macOS 12 (`debug.bpf_maxbufsize`), 32 MiB later. Default 512
    /// KiB.
    pub buffer_bytes: u32,
    /// What the kernel passes. Default: every frame.
    pub filter: Program,
    /// Whether the interface is to receive every frame (`BIOCPROMISC`), as a switch needs on a real
    /// one; feths do so anyway. Default no.
    pub promiscuous: bool,
    /// Whether frames that the interface sends are captured too. Default no.
    pub sees_sent: bool,
    /// Whether each frame is stamped with the time, which costs a clock read per frame. Default no;
    /// kernels before macOS 15 do so anyway.
    pub timestamps: bool,
    /// Whether what the interface receives goes to BPF devices and no further, not into the host's
    /// own stack (`BIOCSDVRTIN`, macOS 15). For the switch's end of a feth pair alone: on a real
    /// interface or a bridge's member the host would be cut off. Default no.
    pub drop_input: bool,
    /// Whether one write is to carry many frames, where the kernel can (`BIOCSBATCHWRITE`, macOS
    /// 14.1). Default yes.
    pub batch_write: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first_device: 0,
            buffer_bytes: 512 << 10,
            filter: stock::accept_all(),
            promiscuous: false,
            sees_sent: false,
            timestamps: false,
            drop_input: false,
            batch_write: true,
        }
    }
}

/// What is to be set again with each interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    pub(super) promiscuous: bool,
    pub(super) drop_input: bool,
}

/// What was asked for and the kernel has, found by trying: a kernel that does not know a request
/// answers `EINVAL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is a request of its own")]
pub struct Capabilities {
    /// Records carry no time, as asked (`BIOCSNOTSTAMP`, macOS 15).
    pub no_timestamps: bool,
    /// What the interface receives is kept from the host's stack, as asked (`BIOCSDVRTIN`, macOS
    /// 15): by this device until it is closed, or by another that did so before.
    pub drops_input: bool,
    /// One write carries many frames, as asked (`BIOCSBATCHWRITE`, macOS 14.1).
    pub batch_write: bool,
    /// The kernel has `BIOCSWRITEMAX` (macOS 14.1). Not used: frames longer than MTU + 18 reach no
    /// wire.
    pub write_max: bool,
    /// The kernel has `BIOCSDIRECTION` (macOS 14). Such a kernel takes frames of MTU + 18 bytes;
    /// those before it MTU + 14 and at most 2,048 (`bpf_movein`, `bpfwrite`).
    pub direction: bool,
}
