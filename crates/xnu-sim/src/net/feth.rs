//! `feth`: an Ethernet interface whose other end is another one (`bsd/net/if_fake.c`; contract §4,
//! M10 to M12).

use super::interface::{EFLAG_TXSTART, Frame, capability};
use super::{Direction, IfId, media};
use crate::errno::{EBUSY, EINVAL, Result};
use crate::event_socket::code;
use crate::fault::FaultAction;
use crate::machine::Machine;
use crate::sysctl::Sysctls;

/// A 16 KiB cluster without an Ethernet header: the most that fits (`get_max_mtu`).
const CLUSTER_MTU: u32 = 16 * 1024 - 14;

/// What stands behind a frame when `trailer_length` says so (`feth_trailer`).
const TRAILER: &[u8; 28] = b"trailertrailertrailertrailer";

/// What one feth is; all but the peer and the media is sampled from sysctls when it is made.
#[derive(Debug)]
pub(crate) struct Feth {
    pub(crate) peer: Option<IfId>,
    pub(super) media: Vec<u32>,
    pub(super) mtu_max: u32,
    /// `txstart`: it has a queue and a starter thread; else the sender does all itself.
    pub(super) is_queued: bool,
    pub(super) has_lro: bool,
    has_tso: bool,
    has_checksums: bool,
    has_vlan_tagging: bool,
    is_bsd: bool,
    pool_mode: u64,
    has_check_sequence: bool,
    trailer_bytes: usize,
}

impl Feth {
    /// # Errors
    /// `EINVAL`: settings of Skywalk mode that exclude each other (`feth_clone_create`).
    pub(super) fn new(sysctls: &Sysctls) -> Result<Self> {
        let setting = |name: &str| sysctls.get(&format!("net.link.fake.{name}"));
        let is_on = |name: &str| sysctls.find(&format!("net.link.fake.{name}")).unwrap_or(0) != 0;
        const GLOBAL: u64 = 0;
        const PRIVATE_SPLIT: u64 = 2;
        let is_bsd = setting("bsd_mode") != 0;
        let pool_mode = if is_bsd { GLOBAL } else { setting("pktpool_mode") };
        if !is_bsd && is_on("tso_support") && pool_mode != GLOBAL {
            return Err(EINVAL);
        }
        if !is_bsd && is_on("multibuflet") && pool_mode == PRIVATE_SPLIT {
            return Err(EINVAL);
        }
        let mtu_max = u32::try_from(setting("max_mtu")).unwrap_or(u32::MAX);
        Ok(Self {
            peer: None,
            media: default_media(),
            mtu_max: if is_bsd { mtu_max.min(CLUSTER_MTU) } else { mtu_max },
            is_queued: setting("txstart") != 0,
            has_lro: is_on("lro"),
            has_tso: is_on("tso_support"),
            has_checksums: setting("hwcsum") != 0,
            has_vlan_tagging: is_on("vlan_tagging"),
            is_bsd,
            pool_mode,
            has_check_sequence: setting("fcs") != 0,
            trailer_bytes: usize::try_from(setting("trailer_length")).unwrap_or(0),
        })
    }

    /// What `ifnet_set_offload` makes of its offloads; `vlans` where it speaks of VLANs at all
    /// (15).
    pub(super) fn capabilities(&self, vlans: bool) -> u32 {
        let when = |is_on: bool, bits: u32| if is_on { bits } else { 0 };
        when(self.has_lro, capability::LRO)
            | when(self.has_checksums, capability::CHECKSUM)
            | when(self.has_tso, capability::TSO)
            | when(self.has_vlan_tagging, capability::VLAN_TAGGING)
            | when(vlans && !self.has_vlan_tagging, capability::VLAN_MTU)
    }

    pub(super) fn eflags(&self) -> u32 {
        if self.is_queued || !self.is_bsd { EFLAG_TXSTART } else { 0 }
    }
}

/// `default_media_words`: 13 kinds of Ethernet that nobody has.
fn default_media() -> Vec<u32> {
    const FULL: [u32; 12] = [21, 22, 23, 26, 30, 32, 54, 38, 56, 51, 47, 117];
    let full = FULL.map(|number| media::ETHER | media::subtype(number) | media::FULL_DUPLEX);
    std::iter::once(media::ETHER).chain(full).collect()
}

impl Machine {
    /// Joins two feths, or with `None` takes one from its peer; both are told (`feth_config`).
    pub(super) fn feth_set_peer(&mut self, id: IfId, peer: Option<IfId>) -> Result<()> {
        let own = self.net[id].feth().ok_or(EINVAL)?;
        let Some(peer) = peer else {
            let Some(peer) = own.peer else { return Ok(()) };
            self.feth_point(id, None);
            self.feth_point(peer, None);
            self.post_link_event(id, code::LINK_OFF);
            self.post_link_event(peer, code::LINK_OFF);
            return Ok(());
        };
        let other = self.net[peer].feth().ok_or(EINVAL)?;
        // A feth that goes is not found by name any more; it has no peer either.
        if own.peer.is_some() || other.peer.is_some() {
            return Err(EBUSY);
        }
        if own.pool_mode != other.pool_mode {
            return Err(EINVAL);
        }
        self.feth_point(id, Some(peer));
        self.feth_point(peer, Some(id));
        self.post_link_event(id, code::LINK_ON);
        self.post_link_event(peer, code::LINK_ON);
        Ok(())
    }

    fn feth_point(&mut self, id: IfId, peer: Option<IfId>) {
        if let Some(feth) = self.net[id].feth_mut() {
            feth.peer = peer;
        }
    }

    /// `feth_clone_destroy`.
    pub(super) fn feth_destroy(&mut self, id: IfId) {
        // It is a feth: this cannot fail.
        let _ = self.feth_set_peer(id, None);
        self.detach(id);
    }

    /// `feth_start`: the starter thread. The peer is read once (M11).
    pub(super) fn feth_start(&mut self, id: IfId) {
        let Some(peer) = self.net[id].feth().map(|feth| feth.peer) else { return };
        let name = self.net.name(id);
        while let Some(first) = self.net[id].send.first() {
            let was_delayed = std::mem::replace(&mut first.was_delayed, true);
            let fault = if was_delayed {
                None
            } else {
                self.faults.strike("feth", std::slice::from_ref(&name))
            };
            if let Some(FaultAction::Delay { ns }) = fault {
                self.start_after(id, ns);
                return;
            }
            let Some(frame) = self.pop_frame(id) else { return };
            if matches!(fault, Some(FaultAction::Lose | FaultAction::Fail(_))) {
                self.net[id].traffic.dropped += 1;
                continue;
            }
            match peer {
                Some(peer) => self.feth_carry(id, peer, frame),
                // Freed, and nobody hears of it (contract §4 "no peer", M10).
                None => self.net[id].traffic.dropped += 1,
            }
        }
    }

    /// `feth_output`, without a queue: nothing looks whether the interface is up (C28).
    pub(super) fn feth_carry_now(&mut self, id: IfId, frame: Frame) -> Result<()> {
        match self.net[id].feth().and_then(|feth| feth.peer) {
            Some(peer) => self.feth_carry(id, peer, frame),
            None => self.net[id].traffic.dropped += 1,
        }
        Ok(())
    }

    /// `feth_output_common`: out by this one's taps, in by the other's, and into the other's queue.
    fn feth_carry(&mut self, id: IfId, peer: IfId, mut frame: Frame) {
        let interface = &mut self.net[id];
        interface.traffic.frames_out += 1;
        interface.traffic.bytes_out += frame.bytes.len() as u64;
        let taps_see_tail = self.can.feth_taps_see_trailer;
        if !taps_see_tail {
            self.tap(id, &frame, Direction::Out);
        }
        self.feth_add_tail(id, &mut frame);
        if taps_see_tail {
            self.tap(id, &frame, Direction::Out);
        }
        self.tap(peer, &frame, Direction::In);
        frame.was_delayed = false;
        self.input(peer, frame);
    }

    /// A trailer and a check sequence, where they are switched on (contract §4 offload pitfalls,
    /// C27).
    fn feth_add_tail(&self, id: IfId, frame: &mut Frame) {
        let Some(feth) = self.net[id].feth() else { return };
        let trailer = &TRAILER[..feth.trailer_bytes.min(TRAILER.len())];
        frame.bytes.extend_from_slice(trailer);
        if feth.has_check_sequence {
            let sequence = check_sequence(&frame.bytes);
            frame.bytes.extend(sequence.to_le_bytes());
        }
    }
}

/// CRC-32 of Ethernet.
fn check_sequence(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 }
        })
    })
}
