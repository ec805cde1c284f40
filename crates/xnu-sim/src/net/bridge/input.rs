//! What a bridge does with frames that come in by a member, since macOS 15.0 (`bridge_input_list`,
//! `bridge_broadcast_list`, `bridge_forward_list`; C1 to C7, M13, M15, M16, M19).

use super::member_flag::{DISCOVER, LEARNING, PRIVATE};
use crate::machine::Machine;
use crate::net::interface::{Frame, Mac, flags};
use crate::net::{Direction, IfId};

/// The first five bytes of the addresses that bridges keep to themselves (802.1D, 7.12.6).
const RESERVED: [u8; 5] = [0x01, 0x80, 0xc2, 0x00, 0x00];
/// The last of them.
const RESERVED_LAST: u8 = 0x0f;

/// A reserved group, by its last byte: 0 is spanning tree's.
pub(super) fn reserved_group(destination: Mac) -> Option<u8> {
    let [head @ .., last] = destination;
    (head == RESERVED && last <= RESERVED_LAST).then_some(last)
}

impl Machine {
    /// A frame came in by a member: what is left to go up the member's own stack.
    pub(in crate::net) fn bridge_input(&mut self, member: IfId, frame: Frame) -> Option<Frame> {
        let Some(id) = self.net[member].member_of else { return Some(frame) };
        let is_running = self.net[id].has(flags::RUNNING);
        if !is_running || self.bridge(id).member(member).is_none() {
            return Some(frame);
        }
        if self.can.bridge_early_input {
            self.bridge_input_list(id, member, frame)
        } else {
            self.bridge_input_legacy(id, member, frame)
        }
    }

    fn bridge_input_list(&mut self, id: IfId, member: IfId, frame: Frame) -> Option<Frame> {
        let is_group = frame.is_group();
        if self.host_filter_refuses_early(id, member, &frame) {
            return None;
        }
        if is_group && let Some(last) = reserved_group(frame.destination()) {
            // Spanning tree is not built in: its frames are thrown away (C4).
            return (last != 0).then_some(frame);
        }
        if !self.learn_from(id, member, frame.source()) {
            // C6.
            return Some(frame);
        }
        if self.host_filter_refuses_packet(id, member, &frame) {
            return None;
        }
        let frame = self.complete_checksums(id, member, frame)?;
        let is_own = !is_group && self.net[member].mac == Some(frame.destination());
        let is_for_bridge = self.bridge(id).has_address
            && !is_group
            && self.net[id].mac == Some(frame.destination());
        let left = if is_own {
            self.mac_nat_input(id, member, frame)?
        } else if is_for_bridge {
            frame
        } else {
            return self.bridge_pass(id, member, frame);
        };
        if is_for_bridge {
            self.inject(id, left, false);
            return None;
        }
        // What is for the member itself is never forwarded.
        Some(left)
    }

    /// A frame for somebody else: to where that is known to be, else to all.
    fn bridge_pass(&mut self, id: IfId, member: IfId, frame: Frame) -> Option<Frame> {
        let mut known = None;
        if !frame.is_group() {
            known = self.bridge(id).table.lookup(frame.destination());
            if known == Some(member) {
                return Some(frame);
            }
            if known.is_none() {
                // Both are asked after a miss only (C2).
                if let Some(other) = self.member_with_mac(id, frame.destination(), member) {
                    self.inject(other, frame, true);
                    return None;
                }
                if self.member_with_mac(id, frame.source(), member).is_some() {
                    return None;
                }
            }
        }
        if let Some(to) = known {
            self.bridge_forward(id, member, to, frame);
            return None;
        }
        self.bridge_broadcast(id, Some(member), &frame);
        // M15: the original goes on up the member's own stack.
        Some(frame)
    }

    /// Records where an address was seen. False: the member may not have more (C6).
    pub(super) fn learn_from(&mut self, id: IfId, member: IfId, source: Mac) -> bool {
        let Some(of) = self.bridge(id).member(member) else { return true };
        let (learns, is_limited) = (of.has(LEARNING), of.address_max != 0);
        !learns || self.bridge_learn(id, member, None, source).is_ok() || !is_limited
    }

    /// Another member that has this address itself (`bridge_find_member`).
    pub(super) fn member_with_mac(&self, id: IfId, mac: Mac, but: IfId) -> Option<IfId> {
        let mut others = self.bridge(id).members.iter().filter(|member| member.id != but);
        others.find(|member| self.net[member.id].mac == Some(mac)).map(|member| member.id)
    }

    /// `bridge_forward_list`: a known unicast needs a member that runs, and no private pair.
    pub(super) fn bridge_forward(&mut self, id: IfId, from: IfId, to: IfId, frame: Frame) {
        let is_private = self.are_both_private(id, from, to);
        let is_member = self.bridge(id).member(to).is_some();
        if !self.net[to].has(flags::RUNNING) || !is_member || is_private {
            return;
        }
        if self.passes_checksums(id, from, to, &frame) {
            let frame = self.mac_nat_translate(id, from, to, frame);
            self.bridge_enqueue(id, to, frame);
        }
    }

    fn are_both_private(&self, id: IfId, one: IfId, other: IfId) -> bool {
        let bridge = self.bridge(id);
        let is_private =
            |member: IfId| bridge.member(member).is_some_and(|member| member.has(PRIVATE));
        is_private(one) && is_private(other)
    }

    /// To every member but the one that it came from (`None`: from the host): `bridge_broadcast`
    /// and `bridge_broadcast_list`.
    pub(super) fn bridge_broadcast(&mut self, id: IfId, from: Option<IfId>, frame: &Frame) {
        let is_group = frame.is_group();
        let goes_to_bridge = self.can.bridge_early_input
            && from.is_some()
            && is_group
            && self.bridge(id).has_address;
        if goes_to_bridge {
            self.inject(id, frame.clone(), false);
        }
        for to in self.flood_targets(id, from, is_group) {
            let passes = from.is_none_or(|from| self.passes_checksums(id, from, to, frame));
            if passes {
                let out = match from {
                    Some(from) => self.mac_nat_translate(id, from, to, frame.clone()),
                    None => frame.clone(),
                };
                self.bridge_enqueue(id, to, out);
            }
            let has_broadcast_input =
                self.bridge(id).member(to).is_some_and(|member| member.has_broadcast_input);
            // Up to 14 not only groups (`bridge_broadcast` there).
            let is_handed_in = is_group || !self.can.bridge_early_input;
            if from.is_some() && has_broadcast_input && is_handed_in {
                self.inject(to, frame.clone(), true);
            }
        }
    }

    /// The members that a flood reaches: neither the sender's, nor private ones of a private one;
    /// running, with media (C10), and for unknown unicast with `DISCOVER` (M19).
    fn flood_targets(&self, id: IfId, from: Option<IfId>, is_group: bool) -> Vec<IfId> {
        let bridge = self.bridge(id);
        let sender_is_private =
            from.and_then(|from| bridge.member(from)).is_some_and(|member| member.has(PRIVATE));
        let is_reached = |member: &&super::Member| {
            Some(member.id) != from
                && !(sender_is_private && member.has(PRIVATE))
                && (is_group || member.has(DISCOVER))
                && self.net[member.id].has(flags::RUNNING)
                && member.is_media_active
        };
        bridge.members.iter().filter(is_reached).map(|member| member.id).collect()
    }

    /// A frame arrives on an interface by the bridge's hand: its taps see it, and with `is_marked`
    /// no bridge does (`inject_input_packet_list`).
    pub(super) fn inject(&mut self, id: IfId, mut frame: Frame, is_marked: bool) {
        self.tap(id, &frame, Direction::In);
        frame.is_bridged = is_marked;
        self.receive(id, frame);
    }
}
