//! The way of a frame: out by an interface (`dlil_output`, `bsd/net/dlil_output.c`), and in
//! (`ifnet_input`, `dlil_input_packet_list`, `bsd/net/dlil_input.c`).

use super::interface::{Driver, ETHERNET_HEADER_BYTES, Frame, flags};
use super::{Direction, IfId};
use crate::errno::{ENETDOWN, ENXIO, EOPNOTSUPP, Result};
use crate::machine::Machine;

/// `if_rcvq_burst_limit`: frames of an input queue; more, and the oldest fifth goes (contract §4).
const INPUT_QUEUE_FRAMES_MAX: usize = 8192;

/// How soon a thread that was woken runs, in nanoseconds.
const THREAD_WAKE_NS: std::ops::Range<u64> = 2_000..20_000;

/// 802.1Q.
const ETHERTYPE_VLAN: u16 = 0x8100;

impl Machine {
    /// Sends a whole frame by an interface, as `dlil_output` in raw mode: NDRV's and BPF's way.
    ///
    /// # Errors
    /// `ENXIO`: it is going or gone. `ENETDOWN`: it is not up.
    pub(crate) fn output(&mut self, interface: IfId, frame: Vec<u8>) -> Result<()> {
        self.transmit(interface, Frame::new(frame))
    }

    /// `dlil_output`: the bridge's filter, then the driver. A bridge's own frames pass its filter
    /// by (M16).
    pub(super) fn transmit(&mut self, id: IfId, frame: Frame) -> Result<()> {
        if !self.net[id].is_attached() {
            return Err(ENXIO);
        }
        let mut frame = frame;
        if !frame.is_bridged
            && let Some(bridge) = self.net[id].member_of
        {
            match self.bridge_member_output(bridge, id, frame) {
                Some(left) => frame = left,
                None => return Ok(()),
            }
        }
        // Drivers do not see the mark.
        frame.is_bridged = false;
        match &self.net[id].driver {
            Driver::Feth(feth) => {
                let is_queued = feth.is_queued;
                self.refuse_runt(id, &frame);
                if is_queued { self.queue_frame(id, frame) } else { self.feth_carry_now(id, frame) }
            }
            Driver::Bridge(bridge) if bridge.is_queued => self.queue_frame(id, frame),
            Driver::Bridge(_) => {
                self.bridge_output(id, frame);
                Ok(())
            }
            Driver::Ethernet(_) => self.queue_frame(id, frame),
            Driver::Loopback => {
                self.input(id, frame);
                Ok(())
            }
            Driver::None => Err(EOPNOTSUPP),
        }
    }

    /// Neither BPF, NDRV, `dlil_output` nor feth looks whether there is a whole header; feth then
    /// reckons with a negative length (contract §4, corrections "runts"): what happens is undefined
    /// and may be a panic of the kernel. The simulator fails the test.
    fn refuse_runt(&self, id: IfId, frame: &Frame) {
        assert!(
            frame.bytes.len() >= ETHERNET_HEADER_BYTES,
            "a frame of {} bytes was sent by {}: XNU may panic on it\n{}",
            frame.bytes.len(),
            self.net.name(id),
            self.trace.text()
        );
    }

    /// `ifnet_enqueue`: into the send queue, whose thread is woken.
    fn queue_frame(&mut self, id: IfId, frame: Frame) -> Result<()> {
        let now_ns = self.now_ns;
        let interface = &mut self.net[id];
        if !interface.has(flags::UP) {
            interface.traffic.dropped += 1;
            return Err(ENETDOWN);
        }
        // Who sends is not told of what is lost here.
        interface.traffic.dropped += interface.send.push(frame, now_ns);
        self.start(id);
        Ok(())
    }

    /// Wakes the starter thread.
    pub(super) fn start(&mut self, id: IfId) {
        let delay_ns = self.rng.range(THREAD_WAKE_NS);
        self.start_after(id, delay_ns);
    }

    pub(super) fn start_after(&mut self, id: IfId, delay_ns: u64) {
        let interface = &mut self.net[id];
        if interface.send.is_started || interface.send.is_stalled {
            return;
        }
        interface.send.is_started = true;
        let born = interface.born;
        self.after(delay_ns, move |machine| {
            if machine.net[id].born == born {
                machine.net[id].send.is_started = false;
                machine.drain(id);
            }
        });
    }

    /// The starter thread: hands all that waits to the driver.
    fn drain(&mut self, id: IfId) {
        if !self.net[id].is_attached() || self.net[id].send.is_stalled {
            return;
        }
        match self.net[id].driver {
            Driver::Feth(_) => self.feth_start(id),
            Driver::Ethernet(_) => self.ethernet_start(id),
            Driver::Bridge(_) => {
                while let Some(frame) = self.pop_frame(id) {
                    self.bridge_output(id, frame);
                }
            }
            Driver::None | Driver::Loopback => {}
        }
    }

    /// `ifnet_dequeue`.
    pub(super) fn pop_frame(&mut self, id: IfId) -> Option<Frame> {
        let now_ns = self.now_ns;
        self.net[id].send.pop(now_ns)
    }

    /// `ifnet_input`: into the input queue, whose thread is woken. Nobody asks whether the
    /// interface is up (M10).
    pub(super) fn input(&mut self, id: IfId, frame: Frame) {
        if !self.net[id].is_attached() {
            return;
        }
        let is_disabled = self.net.is_input_disabled(id);
        let interface = &mut self.net[id];
        interface.traffic.frames_in += 1;
        interface.traffic.bytes_in += frame.bytes.len() as u64;
        if is_disabled {
            // The taps have seen it; the counters count it (contract §5).
            return;
        }
        let queue = &mut interface.input;
        queue.frames.push_back(frame);
        if queue.frames.len() > INPUT_QUEUE_FRAMES_MAX {
            let lost = queue.frames.len() - INPUT_QUEUE_FRAMES_MAX * 8 / 10;
            queue.frames.drain(..lost);
            interface.traffic.dropped += lost as u64;
        }
        if interface.input.is_started {
            return;
        }
        interface.input.is_started = true;
        let born = interface.born;
        let delay_ns = self.rng.range(THREAD_WAKE_NS);
        self.after(delay_ns, move |machine| {
            if machine.net[id].born == born {
                machine.input_thread(id);
            }
        });
    }

    fn input_thread(&mut self, id: IfId) {
        self.net[id].input.is_started = false;
        for frame in std::mem::take(&mut self.net[id].input.frames) {
            self.receive(id, frame);
        }
    }

    /// `dlil_input_packet_list`: the bridge, before or after `ether_demux` (C7), then the host's
    /// stack.
    pub(super) fn receive(&mut self, id: IfId, mut frame: Frame) {
        if !self.net[id].is_attached() || frame.bytes.len() < ETHERNET_HEADER_BYTES {
            return;
        }
        let is_early = self.can.bridge_early_input
            && self.goes_through_bridge(id, &frame)
            && self.sysctls.get("net.link.bridge.enable_early_input") != 0;
        if is_early {
            match self.bridge_input(id, frame) {
                Some(left) => frame = left,
                None => return,
            }
            self.demux(&mut frame);
        } else {
            self.demux(&mut frame);
            if self.goes_through_bridge(id, &frame) {
                match self.bridge_input(id, frame) {
                    Some(left) => frame = left,
                    None => return,
                }
            }
        }
        let is_promiscuous =
            !frame.is_group() && self.net[id].mac.is_some_and(|mac| mac != frame.destination());
        if !is_promiscuous {
            self.host_receive(id, &frame);
        }
    }

    fn goes_through_bridge(&self, id: IfId, frame: &Frame) -> bool {
        self.net[id].member_of.is_some() && !frame.is_bridged
    }

    /// What `ether_demux` does to tags (C7): a priority tag goes; a real one goes beside the frame
    /// since 15, and stays in it before.
    fn demux(&self, frame: &mut Frame) {
        if frame.ethertype() != ETHERTYPE_VLAN || frame.bytes.len() < 18 {
            return;
        }
        let tag = u16::from_be_bytes([frame.bytes[14], frame.bytes[15]]);
        let is_priority = tag & 0x0fff == 0;
        if is_priority || self.can.bridge_early_input {
            frame.bytes.drain(12..16);
            frame.tag = (!is_priority).then_some(tag);
        }
    }

    /// Taps: the newest attached device first is BPF's own matter.
    pub(super) fn tap(&mut self, id: IfId, frame: &Frame, direction: Direction) {
        let bytes = frame.for_tap();
        self.bpf_tap(id, &bytes, direction);
    }
}
