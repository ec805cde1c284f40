//! What a bridge does with frames that come in by a member, up to macOS 14 (`bridge_input`,
//! `bridge_forward`; C2 to C6, M13, M15).

use super::input::reserved_group;
use crate::machine::Machine;
use crate::net::interface::Frame;
use crate::net::{Direction, IfId};

/// `ETHERTYPE_RSN_PREAUTH`.
const ETHERTYPE_PREAUTHENTICATION: u16 = 0x88c7;

impl Machine {
    /// As `bridge_input_list`, by the older rules.
    pub(super) fn bridge_input_legacy(
        &mut self,
        id: IfId,
        member: IfId,
        frame: Frame,
    ) -> Option<Frame> {
        let frame = self.complete_checksums(id, member, frame)?;
        if self.host_filter_refuses_legacy(id, member, &frame) {
            return None;
        }
        self.bridge_span(id, &frame);
        if frame.is_group() {
            return self.bridge_input_group(id, member, frame);
        }
        let is_own = self.net[member].mac == Some(frame.destination());
        let frame = if is_own { self.mac_nat_input(id, member, frame)? } else { frame };
        if self.net[id].mac == Some(frame.destination()) {
            // Whether or not it has an address (C3).
            let _ = self.learn_from(id, member, frame.source());
            self.inject(id, frame, false);
            return None;
        }
        if is_own {
            // Not learned from (M13).
            return Some(frame);
        }
        for other in self.other_members(id, member) {
            if self.net[other].mac == Some(frame.destination()) {
                if self.learn_from(id, member, frame.source()) {
                    self.inject(other, frame, true);
                }
                return None;
            }
            if self.net[other].mac == Some(frame.source()) {
                return None;
            }
        }
        self.bridge_forward_legacy(id, member, frame);
        None
    }

    fn other_members(&self, id: IfId, but: IfId) -> Vec<IfId> {
        let members = self.bridge(id).members.iter().map(|member| member.id);
        members.filter(|member| *member != but).collect()
    }

    /// Groups: a copy is forwarded, a copy arrives on the bridge (C3, C4), and the frame goes on.
    fn bridge_input_group(&mut self, id: IfId, member: IfId, frame: Frame) -> Option<Frame> {
        if reserved_group(frame.destination()) == Some(0) {
            return None;
        }
        self.bridge_forward_legacy(id, member, frame.clone());
        self.inject(id, frame.clone(), false);
        Some(frame)
    }

    /// `bridge_forward`: what goes nowhere is freed (M15).
    fn bridge_forward_legacy(&mut self, id: IfId, member: IfId, frame: Frame) {
        if !self.learn_from(id, member, frame.source()) {
            return;
        }
        let is_group = frame.is_group();
        let known = if is_group { None } else { self.bridge(id).table.lookup(frame.destination()) };
        if known == Some(member) {
            return;
        }
        if is_group && reserved_group(frame.destination()).is_some() {
            return;
        }
        if !is_group || frame.ethertype() == ETHERTYPE_PREAUTHENTICATION {
            // C5.
            self.tap(id, &frame, Direction::In);
        }
        match known {
            Some(to) => self.bridge_forward(id, member, to, frame),
            None => self.bridge_broadcast(id, Some(member), &frame),
        }
    }
}
