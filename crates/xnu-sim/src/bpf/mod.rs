//! BPF devices (XNU `bsd/net/bpf.c`).
//!
//! What is not modelled: the one mutex of all devices (it costs time, it changes no result),
//! `select`, signals, `pktap`, and the numbers that 32-bit processes use.

mod buffers;
mod device;
pub mod filter;
mod interface;
mod ioctl;
mod read;
mod requests;
mod write;

use std::collections::BTreeMap;

use crate::errno::{EACCES, EBUSY, ENOENT, ENXIO, Result};
use crate::machine::Machine;
use crate::net::{Direction, IfId};
use crate::object::Object;
use crate::process::ProcessId;
use crate::version::Capabilities;

use self::device::{Device, Timer};
pub(crate) use self::requests::request_name;

/// All devices of the machine.
#[derive(Debug)]
pub(crate) struct Bpf {
    /// `/dev/bpf0` and on, by their minor numbers.
    nodes: Vec<Node>,
    /// Who listens on an interface, the newest first.
    listeners: BTreeMap<IfId, Vec<u32>>,
    timers: u64,
}

/// A node in `/dev`.
#[derive(Debug, Default)]
struct Node {
    /// Given to a group whose members may open it; else it is root's alone.
    is_regrouped: bool,
    device: Option<Device>,
}

/// What a device counts; the first five are zeroed by a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BpfCounters {
    /// Packets offered to the filter: `bs_recv`, but not truncated.
    pub received: u64,
    /// Packets that the filter took.
    pub accepted: u64,
    /// Packets that it took and that had no room, or made room: `bs_drop`, but not truncated.
    pub dropped: u64,
    /// Calls of `write`.
    pub writes: u64,
    /// Those of them that failed before they reached the interface.
    pub failed_writes: u64,
    /// Records that wait for a read.
    pub waiting: u64,
}

impl Bpf {
    pub(crate) fn new(_can: &Capabilities) -> Self {
        let mut bpf = Self { nodes: Vec::new(), listeners: BTreeMap::new(), timers: 0 };
        bpf.nodes.resize_with(NODES_AT_BOOT, Node::default);
        bpf
    }

    fn device(&mut self, minor: u32) -> Result<&mut Device> {
        self.nodes.get_mut(minor as usize).and_then(|node| node.device.as_mut()).ok_or(ENXIO)
    }

    /// A group may open the nodes that there are now.
    pub(crate) fn regroup(&mut self) {
        for node in &mut self.nodes {
            node.is_regrouped = true;
        }
    }

    pub(crate) fn counters(&self, minor: u32) -> Option<BpfCounters> {
        let device = self.nodes.get(minor as usize)?.device.as_ref()?;
        let (in_store, in_hold) = device.buffers.counts();
        Some(BpfCounters {
            received: device.counts.received,
            accepted: device.counts.accepted,
            dropped: device.counts.dropped,
            writes: device.counts.writes,
            failed_writes: device.counts.failed_writes,
            waiting: in_store + in_hold,
        })
    }

    /// How many devices listen on an interface (`BIOCGIFATTACHCOUNT`).
    fn listener_count(&self, interface: IfId) -> usize {
        self.listeners.get(&interface).map_or(0, Vec::len)
    }
}

impl Machine {
    /// Opens `/dev/bpfN`: gives its minor number, N.
    pub(crate) fn bpf_open(&mut self, minor: u32, process: ProcessId) -> Result<u32> {
        let is_root = self.processes.of(process).is_root;
        let node = self.bpf.nodes.get(minor as usize).ok_or(ENOENT)?;
        if !is_root && !node.is_regrouped {
            return Err(EACCES);
        }
        // Whoever opens the last node has the next one made, even if it is then busy.
        let count = self.bpf.nodes.len();
        if minor as usize == count - 1 && count < NODES_MAX {
            self.bpf.nodes.push(Node::default());
        }
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        uuid[8..].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        let buffer_len = self.bpf_sysctl("debug.bpf_bufsize");
        let node = &mut self.bpf.nodes[minor as usize];
        if node.device.is_some() {
            return Err(EBUSY);
        }
        node.device = Some(Device::new(process, uuid, buffer_len));
        Ok(minor)
    }

    pub(crate) fn bpf_close(&mut self, minor: u32) {
        self.bpf_leave(minor);
        if let Some(node) = self.bpf.nodes.get_mut(minor as usize) {
            node.device = None;
        }
    }

    /// A frame passes the taps of an interface.
    pub(crate) fn bpf_tap(&mut self, interface: IfId, frame: &[u8], direction: Direction) {
        let time = self.wall_clock();
        let Self { bpf, can, rng, .. } = self;
        let Bpf { nodes, listeners, .. } = bpf;
        let Some(minors) = listeners.get(&interface) else { return };
        let mut woken = Vec::new();
        for &minor in minors {
            let device = nodes.get_mut(minor as usize).and_then(|node| node.device.as_mut());
            if device.is_some_and(|device| device.catch(frame, direction, time, can, rng)) {
                woken.push(minor);
            }
        }
        for minor in woken {
            self.bpf_wake(minor);
        }
    }

    /// The interface is gone for good (the end of its detaching).
    pub(crate) fn bpf_detach(&mut self, interface: IfId) {
        for minor in self.bpf.listeners.get(&interface).cloned().unwrap_or_default() {
            self.bpf_leave(minor);
            self.bpf_wake(minor);
        }
    }

    /// `EVFILT_READ`: the bytes that the next read returns, if it is ready. If it is not, the
    /// device's timer starts.
    pub(crate) fn bpf_readable(&mut self, minor: u32, lowat: Option<u64>) -> Option<i64> {
        let device = self.bpf.device(minor).ok()?;
        let (store, hold) = (device.buffers.store_len(), device.buffers.hold_len());
        let has_hold = hold > 0 && !device.buffers.is_copied_out();
        let (len, least) = if device.settings.is_immediate {
            let least = lowat.unwrap_or(1).min(device.buffer_len.into());
            (if has_hold { hold } else { store }, least)
        } else {
            let has_timed_out = device.timer == Timer::TimedOut;
            (if !has_hold && has_timed_out { store } else { hold }, 1)
        };
        if (len as u64) < least {
            self.bpf_start_timer(minor);
            return None;
        }
        i64::try_from(len).ok()
    }

    /// Whether a knote may be attached as a BPF knote: it has an interface (contract §5, C14).
    pub(crate) fn bpf_is_attached(&self, minor: u32) -> bool {
        let node = self.bpf.nodes.get(minor as usize);
        node.and_then(|node| node.device.as_ref()).is_some_and(|device| device.interface.is_some())
    }

    /// The interface that a device listens on.
    pub(crate) fn bpf_interface(&mut self, minor: u32) -> Option<IfId> {
        self.bpf.device(minor).ok()?.interface
    }

    /// A knote was attached or detached (the "has knote" flag, contract §5).
    pub(crate) fn bpf_set_has_knote(&mut self, minor: u32, has: bool) {
        if let Ok(device) = self.bpf.device(minor) {
            device.has_knote = has;
        }
    }

    /// `bpf_attachd`: the device listens on an interface, before those that do already.
    fn bpf_join(&mut self, minor: u32, interface: IfId) -> Result<()> {
        let link = self.link_of(interface);
        let device = self.bpf.device(minor)?;
        device.interface = Some(interface);
        device.link = link;
        self.bpf.listeners.entry(interface).or_default().insert(0, minor);
        Ok(())
    }

    /// `bpf_detachd`: the device listens no more, and takes back what it did to its interface.
    fn bpf_leave(&mut self, minor: u32) {
        let Ok(device) = self.bpf.device(minor) else { return };
        let Some(interface) = device.interface.take() else { return };
        let enables_input = std::mem::take(&mut device.disables_input);
        let was_promiscuous = std::mem::take(&mut device.is_promiscuous);
        if let Some(minors) = self.bpf.listeners.get_mut(&interface) {
            minors.retain(|listener| *listener != minor);
        }
        if enables_input {
            self.net.set_input_disabled(interface, false);
        }
        if was_promiscuous {
            self.set_promiscuous(interface, false);
        }
    }

    /// `bpf_wakeup`: sleeping reads look again by themselves, knotes are looked at.
    fn bpf_wake(&mut self, minor: u32) {
        let Ok(device) = self.bpf.device(minor) else { return };
        if matches!(device.timer, Timer::Waiting(_)) {
            device.timer = Timer::Idle;
        }
        let has_knote = device.has_knote;
        self.activate_device(Object::Bpf(minor), has_knote);
    }

    /// `bpf_start_timer`: if the device has a timeout, and no timer yet.
    fn bpf_start_timer(&mut self, minor: u32) {
        self.bpf.timers += 1;
        let number = self.bpf.timers;
        let Ok(device) = self.bpf.device(minor) else { return };
        if device.settings.timeout_ticks == 0 || device.timer != Timer::Idle {
            return;
        }
        device.timer = Timer::Waiting(number);
        let after_ns = device.settings.timeout_ticks * TICK_NS;
        self.after(after_ns, move |machine| machine.bpf_timed_out(minor, number));
    }

    /// `bpf_timed_out`: wakes whoever waits, if there is something to read.
    fn bpf_timed_out(&mut self, minor: u32, number: u64) {
        let Ok(device) = self.bpf.device(minor) else { return };
        if device.timer != Timer::Waiting(number) {
            return;
        }
        device.timer = Timer::TimedOut;
        if device.buffers.store_len() > 0 {
            self.bpf_wake(minor);
        }
    }

    /// A number of `sysctl`.
    fn bpf_sysctl(&self, name: &str) -> u32 {
        u32::try_from(self.sysctls.get(name)).unwrap_or(u32::MAX)
    }

    /// The wall clock, in seconds and microseconds.
    fn wall_clock(&self) -> (u32, u32) {
        let now_us = BOOT_WALL_CLOCK_S * 1_000_000 + self.now_ns / 1000;
        let part = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        (part(now_us / 1_000_000), part(now_us % 1_000_000))
    }
}

/// `NBPFILTER`.
const NODES_AT_BOOT: usize = 4;
/// `BPF_MAX_DEVICES`.
const NODES_MAX: usize = 256;
/// `hz` is 100.
const TICK_NS: u64 = 10_000_000;
/// Some moment of 2025.
const BOOT_WALL_CLOCK_S: u64 = 1_750_000_000;
