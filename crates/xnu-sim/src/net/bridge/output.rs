//! What a bridge does with frames that go out: by a member, or from the host by the bridge itself
//! (`bridge_member_output`, `bridge_output`, `bridge_enqueue`; M16, M17, M19, C8).

use crate::machine::Machine;
use crate::net::interface::{Frame, flags};
use crate::net::{Direction, IfId};

/// `ETHERTYPE_PAE`: 802.1X.
const ETHERTYPE_PAE: u16 = 0x888e;

impl Machine {
    /// A frame is sent by a member (by NDRV, BPF or the host's stack): what is left to go out
    /// there.
    pub(in crate::net) fn bridge_member_output(
        &mut self,
        id: IfId,
        member: IfId,
        frame: Frame,
    ) -> Option<Frame> {
        if frame.bytes.len() < crate::net::interface::ETHERNET_HEADER_BYTES {
            // `m_pullup` fails, and frees it.
            return None;
        }
        if self.bridge(id).mac_nat == Some(member) {
            self.mac_nat_note_own(id, member, &frame);
        }
        let stays = frame.ethertype() == ETHERTYPE_PAE || !self.net[id].has(flags::RUNNING);
        let to = if stays {
            Some(member)
        } else if frame.is_group() {
            None
        } else {
            self.bridge(id).table.lookup(frame.destination())
        };
        self.bridge_span(id, &frame);
        let Some(to) = to else {
            self.bridge_member_flood(id, member, &frame);
            return Some(frame).filter(|_| self.net[member].has(flags::RUNNING));
        };
        if !self.net[to].has(flags::RUNNING) {
            return None;
        }
        if to == member {
            return Some(frame);
        }
        // By the card that does MAC NAT only its own addresses go out.
        if self.bridge(id).mac_nat != Some(to) {
            self.bridge_enqueue(id, to, frame);
        }
        None
    }

    /// To all other members that run and have media; neither `DISCOVER` nor `PRIVATE` counts (M17).
    fn bridge_member_flood(&mut self, id: IfId, member: IfId, frame: &Frame) {
        let bridge = self.bridge(id);
        let is_reached = |other: &&super::Member| {
            other.id != member
                && other.is_media_active
                && self.net[other.id].has(flags::RUNNING)
                && bridge.mac_nat != Some(other.id)
        };
        let targets: Vec<IfId> =
            bridge.members.iter().filter(is_reached).map(|other| other.id).collect();
        for to in targets {
            self.bridge_enqueue(id, to, frame.clone());
        }
    }

    /// `bridge_output`: the host sends by the bridge. Nobody asks whether it is up.
    pub(in crate::net) fn bridge_output(&mut self, id: IfId, frame: Frame) {
        let interface = &mut self.net[id];
        interface.traffic.frames_out += 1;
        interface.traffic.bytes_out += frame.bytes.len() as u64;
        self.tap(id, &frame, Direction::Out);
        let known =
            if frame.is_group() { None } else { self.bridge(id).table.lookup(frame.destination()) };
        match known {
            Some(to) => self.bridge_enqueue(id, to, frame),
            None => self.bridge_broadcast(id, None, &frame),
        }
    }

    /// Out by a member, marked so that no bridge's filter takes it again (M16). What its queue says
    /// is nobody's business.
    pub(super) fn bridge_enqueue(&mut self, id: IfId, to: IfId, frame: Frame) {
        for segment in self.segments(id, to, frame) {
            let _ = self.transmit(to, segment.bridged());
        }
    }

    /// Copies for the span ports (M19).
    pub(super) fn bridge_span(&mut self, id: IfId, frame: &Frame) {
        for span in self.bridge(id).spans.clone() {
            if self.net[span].has(flags::RUNNING) {
                self.bridge_enqueue(id, span, frame.clone());
            }
        }
    }
}
