//! XNU's ports, on every simulated macOS. What the simulated kernel allocates does not count.

use std::time::Duration;

use ifctl::xnu::{FethOptions, Interfaces};
use vswitch::fabric::{PortPolicy, Settings};
use vswitch::poller::Kqueue;
use vswitch::port::Port;
use vswitch::port::xnu::{DatagramPort, Link, LinkKeeper, LinkOptions, Tended, UplinkPort};
use vswitch::switch::{NetworkId, PortSettings, Switch, WhenGone};
use vswitch::{MacAddr, Nanos};
use xnu_sim::{BootOptions, MacOs, SimFd, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, MSG_DONTWAIT, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET};
use xnu_sys::{Descriptor, Kernel};

use crate::assert_none;
use crate::counting::allocations_in;
use crate::outside::Outside;

/// A switch on a simulated machine, stepped by the test in virtual time.
struct Rig {
    kernel: SimKernel,
    switch: Switch<Kqueue<Outside>>,
    network: NetworkId,
}

/// A guest's end of a socketpair.
struct Guest {
    kernel: SimKernel,
    fd: SimFd,
    mac: [u8; 6],
}

/// In the bursts together ports look after themselves several times: that is counted, too.
const BURST_TAKES: Duration = Duration::from_millis(20);

/// Somebody behind the uplink.
const OUTSIDER: [u8; 6] = [2, 0, 0, 0, 9, 9];

const LEN_BYTES: usize = 1514;

impl Rig {
    fn new(options: BootOptions) -> Self {
        let kernel = SimKernel::boot_with(options);
        let mut switch = Switch::new(Kqueue::new(Outside(kernel.clone())).expect("a kqueue"));
        let network = switch.add_network("test", Settings::default());
        Self { kernel, switch, network }
    }

    fn add(&mut self, name: &str, port: Box<dyn Port>) {
        let settings = PortSettings {
            name: name.to_owned(),
            network: self.network,
            policy: PortPolicy::default(),
            when_gone: WhenGone::Keep,
            waits: true,
        };
        self.switch.add_port(settings, port).expect("a free place");
    }

    fn plug(&mut self, number: u8) -> Guest {
        let vmm = self.kernel.spawn(false);
        let (ours, theirs) = vmm.socketpair(AF_LOCAL, SOCK_DGRAM, 0).expect("a pair");
        for (option, bytes) in [(SO_SNDBUF, 1_u32 << 20), (SO_RCVBUF, 4 << 20)] {
            vmm.setsockopt(&ours, SOL_SOCKET, option, &bytes.to_ne_bytes()).expect("buffers");
        }
        let passed = vmm.share(&theirs, &self.kernel).expect("a free number");
        let socket = Descriptor::new(Outside(self.kernel.clone()), passed);
        let port = DatagramPort::new(socket).expect("a socket");
        self.add(&format!("vm{number}"), Box::new(port));
        let guest = Guest { kernel: vmm, fd: ours, mac: [2, 0, 0, 0, 0, number] };
        guest.send(&frame([0xff; 6], guest.mac));
        self.run();
        guest
    }

    /// Lets the switch run for as long as a burst may take; how many allocations it made.
    fn run(&mut self) -> usize {
        let span = u64::try_from(BURST_TAKES.as_nanos()).expect("short");
        let end = self.kernel.uptime_ns() + span;
        let mut allocations = 0;
        while self.kernel.uptime_ns() < end {
            allocations += allocations_in(|| self.switch.step(Nanos(end)).expect("kqueue"));
        }
        allocations
    }
}

impl Guest {
    fn send(&self, frame: &[u8]) {
        self.kernel.sendto(&self.fd, frame, MSG_DONTWAIT, None).expect("room");
    }

    /// How many frames from `sender` have come.
    fn receive(&self, sender: [u8; 6]) -> usize {
        let mut buffer = [0; 2048];
        let mut frames = 0;
        while let Ok(len) = self.kernel.recvfrom(&self.fd, &mut buffer, MSG_DONTWAIT, None) {
            frames += usize::from(buffer[6..12.min(len)] == sender);
        }
        frames
    }
}

fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[0x88, 0xb5]].concat();
    frame.resize(LEN_BYTES, 0x5a);
    frame
}

/// Every version, and the newest one without the calls for many messages.
fn machines() -> impl Iterator<Item = BootOptions> {
    let of = |version| BootOptions { version, seed: 1, ..BootOptions::default() };
    let without = BootOptions { without_message_calls: true, ..of(MacOs::V15) };
    MacOs::ALL.into_iter().map(of).chain([without])
}

#[test]
fn datagram_to_datagram() {
    for options in machines() {
        let mut rig = Rig::new(options);
        let (a, b) = (rig.plug(1), rig.plug(2));
        b.receive(a.mac);
        let frame = frame(b.mac, a.mac);
        assert_none(&format!("{options:?}"), |count| {
            (0..count).for_each(|_| a.send(&frame));
            let allocations = rig.run();
            assert_eq!(b.receive(a.mac), count);
            allocations
        });
    }
}

/// The keeper of a link that nothing happens to.
#[derive(Debug)]
struct Contented;

impl LinkKeeper<Outside> for Contented {
    fn tend(&mut self, _: bool, _: Nanos) -> Tended<Outside> {
        Tended::Kept
    }

    fn set_addresses(&mut self, _: Option<&[MacAddr]>) {}
}

/// A switch with an uplink and a guest, and the test's own link on the far end.
fn rig_with_uplink(options: BootOptions) -> (Rig, Guest, Link<SimKernel>) {
    let mut rig = Rig::new(options);
    let operator = rig.kernel.spawn(true);
    let interfaces = Interfaces::open_on(operator.clone()).expect("a socket");
    let feth = FethOptions { up: true, ..FethOptions::default() };
    let pair = interfaces.create_feth_pair(&feth).expect("a pair");
    let own = LinkOptions { is_own_feth: true, ..LinkOptions::default() };
    let mut far = Link::open(operator, &pair.bridge_end, &own).expect("the far end");
    let near = Link::open(Outside(rig.kernel.clone()), &pair.switch_end, &own).expect("the near");
    rig.add("uplink", Box::new(UplinkPort::new(near, Box::new(Contented))));
    let guest = rig.plug(1);
    far.socket.send(&frame([0xff; 6], OUTSIDER)).expect("room");
    rig.run();
    guest.receive(OUTSIDER);
    (rig, guest, far)
}

#[test]
fn datagram_to_uplink() {
    for options in machines() {
        let (mut rig, guest, mut far) = rig_with_uplink(options);
        let mut arrived = || {
            let mut frames = 0;
            while far.device.fill().expect("an interface") {
                while far.device.next_record().is_some() {
                    frames += 1;
                }
            }
            frames
        };
        arrived();
        let frame = frame(OUTSIDER, guest.mac);
        assert_none(&format!("{options:?}"), |count| {
            (0..count).for_each(|_| guest.send(&frame));
            let allocations = rig.run();
            assert_eq!(arrived(), count);
            allocations
        });
    }
}

#[test]
fn uplink_to_datagram() {
    for options in machines() {
        let (mut rig, guest, mut far) = rig_with_uplink(options);
        let frame = frame(guest.mac, OUTSIDER);
        assert_none(&format!("{options:?}"), |count| {
            (0..count).for_each(|_| far.socket.send(&frame).expect("room"));
            let allocations = rig.run();
            assert_eq!(guest.receive(OUTSIDER), count);
            allocations
        });
    }
}
