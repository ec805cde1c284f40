//! What the tests on real sockets share: a switch on a thread of its own, and frames.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod peers;
pub(crate) mod vde;

use std::thread::JoinHandle;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use vswitch::MacAddr;
use vswitch::fabric::{PortPolicy, Settings};
use vswitch::port::{Listener, Port};
use vswitch::switch::{
    Handle, ListenerSettings, NetworkId, PortSettings, Report, Switch, WhenGone,
};

/// This system's poller, and its port of datagrams by path.
#[cfg(target_os = "linux")]
pub(crate) type HostPoller = vswitch::poller::Epoll;
#[cfg(target_os = "macos")]
pub(crate) type HostPoller = vswitch::poller::Kqueue<xnu_sys::Host>;

#[cfg(target_os = "linux")]
pub(crate) type UnixgramPort = vswitch::port::linux::UnixgramPort;
#[cfg(target_os = "macos")]
pub(crate) type UnixgramPort = vswitch::port::xnu::UnixgramPort<xnu_sys::Host>;

#[cfg(target_os = "linux")]
pub(crate) fn poller() -> HostPoller {
    HostPoller::new().unwrap()
}

#[cfg(target_os = "macos")]
pub(crate) fn poller() -> HostPoller {
    HostPoller::new(xnu_sys::Host).unwrap()
}

/// A switch that runs until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) handle: Handle<HostPoller>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a switch with what `set_up` adds to its only network.
    pub(crate) fn start(set_up: impl FnOnce(&mut Switch<HostPoller>, NetworkId)) -> Self {
        let mut switch = Switch::new(poller());
        let network = switch.add_network("test", Settings::default());
        set_up(&mut switch, network);
        let handle = switch.handle();
        let thread = std::thread::spawn(move || switch.run().unwrap());
        Self { handle, thread: Some(thread) }
    }

    /// The processor time that the switch's thread has used.
    pub(crate) fn busy(&self) -> Duration {
        let read = |_: &mut Switch<HostPoller>| clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
        self.handle.call(read).expect("it runs").unwrap().into()
    }

    /// The last counters, and the end.
    pub(crate) fn stop(self) -> Report {
        self.handle.report().expect("it runs")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("joined once").expect("the switch's thread did not panic");
        }
    }
}

pub(crate) fn settings(network: NetworkId, name: &str) -> PortSettings {
    PortSettings {
        name: name.to_owned(),
        network,
        policy: PortPolicy::default(),
        when_gone: WhenGone::Keep,
        waits: true,
    }
}

pub(crate) fn add(
    switch: &mut Switch<HostPoller>,
    network: NetworkId,
    name: &str,
    port: Box<dyn Port>,
) {
    switch.add_port(settings(network, name), port).unwrap();
}

pub(crate) fn add_listener(
    switch: &mut Switch<HostPoller>,
    network: NetworkId,
    name: &str,
    clients_max: usize,
    listener: Box<dyn Listener>,
) {
    let name = name.to_owned();
    let settings = ListenerSettings { name, network, policy: PortPolicy::default(), clients_max };
    switch.add_listener(settings, listener).unwrap();
}

pub(crate) fn station(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

/// A frame of `size` bytes that carries a number where there is room for it.
pub(crate) fn frame(to: MacAddr, from: MacAddr, size: usize, number: u64) -> Vec<u8> {
    let fill = number.to_le_bytes()[0] ^ 0x5a;
    let mut frame = vec![fill; size];
    frame[..6].copy_from_slice(&to.0);
    frame[6..12].copy_from_slice(&from.0);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    if let Some(place) = frame.get_mut(14..22) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    frame
}

pub(crate) fn number(frame: &[u8]) -> u64 {
    u64::from_le_bytes(frame[14..22].try_into().unwrap())
}

/// Both sums of every port.
pub(crate) fn assert_balanced(report: &Report) {
    for port in &report.ports {
        assert!(port.counters.ingress.balances(), "{port:?}");
        assert!(port.counters.egress.balances(port.queued_frames), "{port:?}");
    }
}

/// A namespace of this test's own in which it may make a TAP.
#[cfg(target_os = "linux")]
pub(crate) fn may_make_taps() -> bool {
    if !testkit::tool_or_skip("ip", "iproute2") || !testkit::netns::enter_or_skip() {
        return false;
    }
    match vswitch::port::linux::TapPort::attach("probe0") {
        Ok(_) => true,
        Err(error) => {
            testkit::skip(&format!("no TAP (root of the whole machine is needed): {error}"));
            false
        }
    }
}
