//! What the service does with an uplink on every XNU: called with the simulated one, and as root of
//! a Mac with the real one. The bridges are the tests' own, and so is whatever joins them; the
//! guests are socketpairs.

use std::collections::BTreeMap;
use std::sync::Arc;

use ifctl::xnu::{Interfaces, OwnedInterface, Owner};
use vswitch::Nanos;
use vswitch::port::xnu::{BUFFERS, DatagramPort, set_buffers};
use vswitchd::access::{Access, MODE_DEFAULT};
use vswitchd::config::{Attachment, Network, PortSpec, UplinkSpec};
use vswitchd::platform::Attached;
use vswitchd::report::InterfaceRole;
use vswitchd::xnu::{Attach, Identity, Mended, Tally, Xnu, XnuError};
use vswitchd::{Service, ServiceError};
use xnu_sys::sys_socket::{AF_LOCAL, MSG_DONTWAIT, SOCK_DGRAM};
use xnu_sys::{Descriptor, Errno, Kernel, UnixSocket};

pub(crate) mod carrying;
pub(crate) mod making;

/// A test of each function, for a test binary that says with `$on` what it is called with. In one
/// list, so that no binary forgets one.
macro_rules! uplinks {
    ($on:ident) => {
        $crate::uplink::uplinks! { $on;
            making::a_pair_is_made_told_and_undone,
            making::a_bridge_of_its_own_with_a_member_lent_to_it,
            making::what_can_be_no_uplink,
            carrying::frames_cross_two_switches,
            carrying::frames_cross_interfaces_used_as_they_are,
            carrying::a_lost_membership_is_mended,
            carrying::a_destroyed_pair_is_built_again,
        }
    };
    ($on:ident; $($module:ident::$name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $on(uplink::$module::$name);
            }
        )*
    };
}
pub(crate) use uplinks;

/// The Ethernet type of the tests' frames (IEEE 802, local experimental 1).
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

/// How long whatever a test waits for may take.
const PATIENCE_NS: u64 = 5_000_000_000;

/// A switch that the test itself drives, with a guest.
pub(crate) struct Side<K: Kernel> {
    kernel: K,
    pub(crate) service: Service<Xnu<K, Passed<K>>>,
    pub(crate) tally: Tally,
    card: Descriptor<K, UnixSocket>,
    mac: [u8; 6],
}

/// Sockets that a switch is started with, by number.
#[derive(Debug)]
pub(crate) struct Passed<K: Kernel>(BTreeMap<i32, K::Fd>);

impl<K: Kernel> Attach<K> for Passed<K> {
    fn attach(&mut self, kernel: &K, of: Attachment, _: Access) -> Result<Attached, XnuError> {
        let Attachment::Fd(number) = of else { panic!("only sockets are passed here: {of}") };
        let fd = self.0.remove(&number).expect("a number that was passed");
        let port = DatagramPort::new(Descriptor::new(kernel.clone(), fd));
        Ok(Attached::Port(Box::new(port.map_err(XnuError::Socket)?)))
    }
}

impl<K: Kernel> Side<K> {
    /// A switch on this uplink; `number` tells sides and their guests apart.
    pub(crate) fn start(
        kernel: &K,
        number: u8,
        uplink: UplinkSpec,
    ) -> Result<Self, Box<ServiceError<XnuError>>> {
        let (card, theirs) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).expect("a socketpair");
        let card = Descriptor::new(kernel.clone(), card);
        set_buffers(&card, BUFFERS).expect("buffers");
        let attachment = Attachment::Fd(K::number(&theirs));
        let passed = Passed(BTreeMap::from([(K::number(&theirs), theirs)]));
        let port = PortSpec { name: "vm".into(), attachment, mac: None };
        let access = Access { owner: None, group: None, mode: MODE_DEFAULT };
        let network = Network { name: "test".into(), uplink, ports: vec![port], access };
        // No process has such a number. Of other switches on this machine nothing is known.
        let owner = Owner { pid: 4_000_000 + u32::from(number), started: 1 };
        let identity = Identity { owner, is_alive: Arc::new(|_| true) };
        let platform = Xnu::new(kernel.clone(), passed, identity);
        let tally = platform.tally();
        let service = Service::start(platform, network)?;
        let mac = [2, 0, 0, 0, 0, number];
        Ok(Self { kernel: kernel.clone(), service, tally, card, mac })
    }

    /// The interface with this role that the switch made.
    pub(crate) fn made(&self, role: InterfaceRole) -> String {
        let ready = self.service.ready();
        let mut made = ready.networks[0].interfaces.iter().filter(|of| of.created);
        made.find(|of| of.role == role).expect("one was made").name.clone()
    }

    /// The guest sends a frame of `len_bytes` with `number` in it.
    fn send(&self, to: [u8; 6], number: u32, len_bytes: usize) {
        let mut frame = [&to[..], &self.mac, &ETHERTYPE, &number.to_be_bytes()].concat();
        frame.resize(len_bytes, 0xa5);
        self.kernel.sendto(self.card.fd(), &frame, MSG_DONTWAIT, None).expect("room for it");
    }

    /// The numbers and lengths of the tests' frames that have come to the guest, in order.
    fn received(&self) -> Vec<(u32, usize)> {
        let mut buffer = [0; 4096];
        let mut frames = Vec::new();
        loop {
            let got = self.kernel.recvfrom(self.card.fd(), &mut buffer, MSG_DONTWAIT, None);
            let len = match got {
                Err(Errno::EAGAIN) => return frames,
                got => got.expect("the switch holds the other end"),
            };
            if buffer[12..14] == ETHERTYPE {
                let number = buffer[14..18].try_into().expect("four bytes");
                frames.push((u32::from_be_bytes(number), len));
            }
        }
    }
}

/// Lets the switches run in turn until `done` holds; whether it did in time.
fn run_until<K: Kernel, const N: usize>(
    sides: &mut [Side<K>; N],
    mut done: impl FnMut(&[Side<K>; N]) -> bool,
) -> bool {
    let kernel = sides[0].kernel.clone();
    let end = kernel.uptime_ns() + PATIENCE_NS;
    while kernel.uptime_ns() < end {
        for side in sides.iter_mut() {
            side.service.step(Nanos(kernel.uptime_ns() + 1_000_000)).expect("the poller waits");
        }
        if done(sides) {
            return true;
        }
    }
    false
}

/// The interfaces of `kernel`.
pub(crate) fn interfaces<K: Kernel>(kernel: &K) -> Interfaces<K> {
    Interfaces::open_on(kernel.clone()).expect("a socket")
}

/// A bridge that is up, of the first free number of those that are the tests'.
pub(crate) fn new_bridge<K: Kernel>(kernel: &K) -> OwnedInterface<K> {
    let mut numbers = 4500..4600;
    loop {
        let name = format!("bridge{}", numbers.next().expect("a free number"));
        match OwnedInterface::bridge_on(kernel.clone(), &name) {
            Err(ifctl::Error::Exists { .. }) => {}
            made => {
                let bridge = made.expect("a bridge");
                interfaces(kernel).set_up(&name, true).expect("up");
                return bridge;
            }
        }
    }
}

/// An uplink into a bridge.
pub(crate) fn to_bridge(bridge: &str) -> UplinkSpec {
    UplinkSpec::bridge(bridge)
}

/// `iface:NAME`.
pub(crate) fn interface(name: &str) -> UplinkSpec {
    UplinkSpec::interface(name)
}

/// Waits until the kernel has let go of what was destroyed.
pub(crate) fn wait_until<K: Kernel>(kernel: &K, mut done: impl FnMut() -> bool) -> bool {
    let end = kernel.uptime_ns() + PATIENCE_NS;
    while !done() {
        if kernel.uptime_ns() > end {
            return false;
        }
        kernel.sleep(std::time::Duration::from_millis(10));
    }
    true
}

/// How often something was mended.
fn mended<K: Kernel>(side: &Side<K>, what: Mended) -> u64 {
    side.tally.of(what)
}
