//! Other hosts: threads, each in a network namespace of its own.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, send, socket,
};

use super::frame::{Mac, parse_mac};
use super::lab::{ip, link};
use super::wait_for;

/// A host of its own: what [`Host::run`] runs sees its interfaces and no others.
#[derive(Debug)]
pub(crate) struct Host {
    jobs: Option<Sender<Job>>,
    namespace: PathBuf,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Host {
    /// A host without interfaces; its `lo` is up.
    pub(crate) fn new() -> Self {
        let (jobs, orders) = channel::<Job>();
        let (tell, told) = channel();
        let live = move || {
            assert!(testkit::netns::enter_or_skip(), "one namespace could be had, a second not");
            let thread = std::fs::read_link("/proc/thread-self").expect("/proc is mounted");
            ip("link set lo up");
            tell.send(PathBuf::from("/proc").join(thread).join("ns/net")).expect("awaited");
            orders.into_iter().for_each(|job| job());
        };
        let thread = std::thread::spawn(live);
        let namespace = told.recv().expect("a namespace");
        Self { jobs: Some(jobs), namespace, thread: Some(thread) }
    }

    /// A host behind `bridge`, by a veth pair whose offloads are as the kernel makes them: its own
    /// end `far` has `address` (`192.0.2.9/24`); the bridge's member is called `lan`.
    pub(crate) fn behind(bridge: &str, lan: &str, far: &str, address: &str) -> Self {
        let mtu = link(bridge).expect("a bridge")["mtu"].clone();
        ip(&format!("link add {lan} mtu {mtu} type veth peer name {far} mtu {mtu}"));
        ip(&format!("link set {lan} master {bridge} up"));
        let host = Self::new();
        host.take(far, address);
        host
    }

    /// Makes the bridge `br0` with a host behind it, so that it has its carrier and addresses from
    /// the start.
    pub(crate) fn behind_a_new_bridge() -> Self {
        super::lab::bridge(1500);
        let host = Self::behind("br0", "lan", "far", "192.0.2.9/24");
        wait_for("br0 is up", || link("br0").is_some_and(|br0| br0["operstate"] == "UP"));
        wait_for("br0 has its link-local address", || {
            link("br0").is_some_and(|br0| br0["addr_info"].to_string().contains("fe80"))
        });
        host
    }

    /// A host at the other end of the cable of `card`, a veth end whose offloads are as the kernel
    /// makes them; its own end `far` has `address`.
    pub(crate) fn on_cable(card: &str, far: &str, address: &str, mtu: u32) -> Self {
        ip(&format!("link add {card} mtu {mtu} type veth peer name {far} mtu {mtu}"));
        let host = Self::new();
        host.take(far, address);
        ip(&format!("link set {card} up"));
        // The kernel tells of a new carrier up to a second late; a picture taken before would
        // differ from every later one.
        wait_for("the cable's carrier", || {
            link(card).is_some_and(|link| link["operstate"] == "UP")
        });
        host
    }

    /// A host on the TAP `tapN`, with N in its addresses.
    pub(crate) fn on_tap(n: u8) -> Self {
        let (host, tap) = (Self::new(), format!("tap{n}"));
        host.take(&tap, &format!("192.0.2.{n}/24"));
        host.run(move || ip(&format!("-6 addr add 2001:db8::{n}/64 dev {tap} nodad")));
        host
    }

    /// Moves an interface of the calling thread's namespace to this host, and sets it up.
    pub(crate) fn take(&self, interface: &str, address: &str) {
        ip(&format!("link set {interface} netns {}", self.namespace.display()));
        let up = format!("link set {interface} up");
        let family = if address.contains(':') { "-6" } else { "-4" };
        let nodad = if address.contains(':') { " nodad" } else { "" };
        let add = format!("{family} addr add {address} dev {interface}{nodad}");
        self.run(move || {
            ip(&add);
            ip(&up);
        });
    }

    /// Runs `job` as this host and waits for what it says; processes that it starts live here too.
    #[track_caller]
    pub(crate) fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        let (tell, told) = channel();
        let job = move || {
            let _ = tell.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)));
        };
        self.jobs.as_ref().expect("alive").send(Box::new(job)).expect("alive");
        told.recv().expect("an answer").unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Starts `job` as this host, in a thread of its own.
    pub(crate) fn spawn<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        self.run(move || std::thread::spawn(job))
    }

    /// The MAC address of one of its interfaces.
    pub(crate) fn mac(&self, interface: &str) -> Mac {
        let interface = interface.to_owned();
        self.run(move || mac_of(&interface))
    }

    /// A socket that sends whole frames out of one of its interfaces.
    pub(crate) fn sender(&self, interface: &str) -> FrameSender {
        let interface = interface.to_owned();
        self.run(move || FrameSender::open(&interface))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.jobs.take();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The MAC address of an interface of the calling thread's namespace.
pub(crate) fn mac_of(interface: &str) -> Mac {
    let link = link(interface).unwrap_or_else(|| panic!("there is no {interface}"));
    parse_mac(link["address"].as_str().expect("a MAC address"))
}

/// Sends whole frames out of an interface: a packet socket without anything around it.
#[derive(Debug)]
pub(crate) struct FrameSender(OwnedFd);

impl FrameSender {
    pub(crate) fn open(interface: &str) -> Self {
        let protocol = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .expect("a packet socket");
        let address = link_address(interface);
        bind(socket.as_raw_fd(), &address).expect("bind the packet socket");
        Self(socket)
    }

    #[track_caller]
    pub(crate) fn send(&self, frame: &[u8]) {
        let sent = send(self.0.as_raw_fd(), frame, MsgFlags::empty()).expect("send a frame");
        assert_eq!(sent, frame.len());
    }
}

/// The address of a packet socket on an interface.
fn link_address(interface: &str) -> LinkAddr {
    nix::ifaddrs::getifaddrs()
        .expect("the list of interfaces")
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address?.as_link_addr().copied())
        .unwrap_or_else(|| panic!("there is no {interface}"))
}
