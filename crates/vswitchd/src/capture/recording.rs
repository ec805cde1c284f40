//! What taps tell, as pcapng.

use std::collections::HashMap;

use vswitch::capture::{CapturedFrame, Direction, Record, TapCounters};
use vswitch::counters::DropReason;
use vswitch::offload::{Checksum, Gso};

use super::pcapng::{self, InterfaceId, Packet, Section, Statistics};

/// A section, and which of its interfaces the ports of each loop are.
#[derive(Debug)]
pub(super) struct Recording {
    section: Section,
    start_ns: u64,
    /// By the loop and the port's number in its tap.
    ports: HashMap<(usize, u32), Port>,
}

#[derive(Debug)]
struct Port {
    interface: InterfaceId,
    /// What the port received and could not show.
    rejected: Vec<(DropReason, u64)>,
}

impl Recording {
    /// Begins a section.
    pub(super) fn begin(out: &mut Vec<u8>, snap_bytes: u32, start_ns: u64) -> Self {
        let application = concat!("vswitch ", env!("CARGO_PKG_VERSION"));
        let section = Section::begin(out, application, snap_bytes);
        Self { section, start_ns, ports: HashMap::new() }
    }

    /// Writes what the tap of the loop number `at` told.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, at: usize, record: &Record<'_>) {
        match *record {
            Record::Port { port, network, name } => {
                let interface = self.section.interface(out, &format!("{network}/{name}"));
                self.ports.insert((at, port), Port { interface, rejected: Vec::new() });
            }
            Record::Frame(frame) => {
                if let Some(port) = self.ports.get(&(at, frame.port)) {
                    self.section.packet(out, &packet(port.interface, &frame, &comment(&frame)));
                }
            }
            Record::Rejected { port, reason, frames } => {
                if let Some(port) = self.ports.get_mut(&(at, port)) {
                    port.reject(reason, frames);
                }
            }
            Record::Counters { port, time_ns, counters, has_ended } => {
                if let Some(known) = self.ports.get(&(at, port)) {
                    let (start_ns, comment) = (self.start_ns, known.comment());
                    let statistics = Statistics {
                        is_last: has_ended,
                        ..statistics(known.interface, start_ns, time_ns, &counters, &comment)
                    };
                    self.section.statistics(out, &statistics);
                }
                if has_ended {
                    self.ports.remove(&(at, port));
                }
            }
        }
    }
}

impl Port {
    fn reject(&mut self, reason: DropReason, frames: u64) {
        match self.rejected.iter_mut().find(|(of, _)| *of == reason) {
            Some((_, count)) => *count += frames,
            None => self.rejected.push((reason, frames)),
        }
    }

    fn comment(&self) -> String {
        let one = |(reason, frames): &(DropReason, u64)| format!("{} {frames}", words(*reason));
        let all: Vec<String> = self.rejected.iter().map(one).collect();
        if all.is_empty() {
            return String::new();
        }
        format!("dropped before they could be captured: {}", all.join(", "))
    }
}

fn packet<'a>(interface: InterfaceId, frame: &CapturedFrame<'a>, comment: &'a str) -> Packet<'a> {
    let direction = match frame.direction {
        Direction::In => pcapng::INBOUND,
        Direction::Out => pcapng::OUTBOUND,
    };
    let checksum = match frame.offload.checksum {
        Checksum::Complete => 0,
        Checksum::Verified => pcapng::CHECKSUM_VALID,
        Checksum::Unfinished => pcapng::CHECKSUM_NOT_READY,
    };
    let segmentation = match frame.offload.gso {
        Gso::TcpV4 | Gso::TcpV6 => pcapng::TCP_SEGMENTATION_OFFLOADED,
        Gso::None | Gso::UdpL4 => 0,
    };
    Packet {
        interface,
        time_ns: frame.time_ns,
        len_bytes: frame.len_bytes,
        bytes: frame.bytes,
        flags: direction | checksum | segmentation,
        lost_before: frame.lost_before_frames,
        comment,
    }
}

/// Why it was dropped, if it was.
fn comment(frame: &CapturedFrame<'_>) -> String {
    match frame.dropped {
        None => String::new(),
        Some(reason) if frame.frames == 1 => format!("dropped: {}", words(reason)),
        Some(reason) => format!("dropped: {} (as {} frames)", words(reason), frame.frames),
    }
}

/// The reason as people write it.
fn words(reason: DropReason) -> String {
    reason.name().replace('_', " ")
}

fn statistics<'a>(
    interface: InterfaceId,
    start_ns: u64,
    time_ns: u64,
    counters: &TapCounters,
    comment: &'a str,
) -> Statistics<'a> {
    Statistics {
        interface,
        time_ns,
        start_ns,
        is_last: false,
        received: counters.seen_frames,
        accepted: counters.accepted_frames,
        lost: counters.lost_frames,
        comment,
    }
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
    use pcap_file::pcapng::{Block, PcapNgReader};
    use vswitch::offload::Offload;

    use super::*;

    /// The `epb_flags` of a frame that goes this way with this work left on it.
    fn flags_of(direction: Direction, checksum: Checksum, gso: Gso) -> u32 {
        let mut file = Vec::new();
        let mut recording = Recording::begin(&mut file, 0, 0);
        recording.write(&mut file, 0, &Record::Port { port: 3, network: "lan", name: "vm" });
        let frame = CapturedFrame {
            port: 3,
            time_ns: 0,
            direction,
            dropped: None,
            frames: 1,
            offload: Offload { checksum, gso, ..Offload::NONE },
            len_bytes: 60,
            bytes: &[0; 60],
            lost_before_frames: 0,
        };
        recording.write(&mut file, 0, &Record::Frame(frame));
        let mut reader = PcapNgReader::new(&file[..]).expect("a section");
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.expect("well-formed") {
                let [EnhancedPacketOption::Flags(flags)] = packet.options[..] else {
                    panic!("{:?}", packet.options)
                };
                return flags;
            }
        }
        panic!("there is no packet");
    }

    /// draft-ietf-opsawg-pcapng, "Enhanced Packet Block Flags Word", bit 0 the lowest: 0 and 1 are
    /// the direction (01 inbound, 10 outbound), 9 says that the checksum is not ready, 10 that it
    /// was found valid, 11 that TCP segmentation is left to do; all others stay 0.
    #[test]
    fn the_flags_say_the_direction_and_what_is_left_to_do() {
        let (not_ready, valid, tcp_segments) = (0x0200, 0x0400, 0x0800);
        for (direction, way) in [(Direction::In, 0b01), (Direction::Out, 0b10)] {
            for (checksum, gso, rest) in [
                (Checksum::Complete, Gso::None, 0),
                (Checksum::Verified, Gso::None, valid),
                (Checksum::Unfinished, Gso::None, not_ready),
                (Checksum::Verified, Gso::TcpV4, valid | tcp_segments),
                (Checksum::Unfinished, Gso::TcpV4, not_ready | tcp_segments),
                (Checksum::Unfinished, Gso::TcpV6, not_ready | tcp_segments),
                // There is no bit for datagrams to be cut.
                (Checksum::Unfinished, Gso::UdpL4, not_ready),
            ] {
                let flags = flags_of(direction, checksum, gso);
                assert_eq!(flags, way | rest, "{direction:?} {checksum:?} {gso:?}: {flags:#x}");
            }
        }
    }
}
