//! What the tests of a running service on Linux share: the service, and VMs on its datagram ports.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod controlled;

use std::num::NonZeroUsize;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use vswitch::MacAddr;
use vswitchd::access::Access;
use vswitchd::config::{Configuration, Network, UplinkSpec};
use vswitchd::linux::Linux;
use vswitchd::report::{PortSummary, Stopped};
use vswitchd::{Control, Service};

/// How long a VM waits for a frame before the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn network(dir: &Path, ports: &[&str]) -> Network {
    let spec = |port: &&str| port.replace("DIR", &dir.display().to_string()).parse().unwrap();
    let ports = ports.iter().map(spec).collect();
    let access = Access::from_options(None, None, None).unwrap();
    Network { name: "test".to_owned(), uplink: UplinkSpec::None, ports, access }
}

pub(crate) fn start_on(
    threads: usize,
    wanted: impl Into<Configuration>,
) -> Result<Service<Linux>, String> {
    let threads = NonZeroUsize::new(threads).unwrap();
    Service::start_on(Linux::default(), wanted, threads).map_err(|error| error.to_string())
}

/// A service that runs until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) control: Control<Linux>,
    pub(crate) thread: Option<JoinHandle<Stopped>>,
}

impl Running {
    pub(crate) fn start(threads: usize, wanted: impl Into<Configuration>) -> Self {
        let mut service = start_on(threads, wanted).unwrap();
        let control = service.control();
        let thread = std::thread::spawn(move || {
            service.run().unwrap();
            service.finish()
        });
        Self { control, thread: Some(thread) }
    }

    /// The end, with counters that hold.
    pub(crate) fn stop(mut self) -> Stopped {
        self.control.stop();
        let stopped = self.thread.take().unwrap().join().unwrap();
        stopped.ports.iter().chain(&stopped.trunks).for_each(assert_balanced);
        stopped
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.stop();
    }
}

pub(crate) fn assert_balanced(port: &PortSummary) {
    let decided = port.forwarded_frames + port.flooded_frames + port.dropped_frames;
    assert_eq!(port.received_frames, decided, "{port:?}");
    let queued = if port.name == "trunks" {
        // Of those under way, the ones that wait before a trunk; the others are behind it.
        let inside = port.sent_frames - port.received_frames;
        port.queued_frames as u64 - inside
    } else {
        port.queued_frames as u64
    };
    assert_eq!(port.enqueued_frames, port.sent_frames + port.unsent_frames + queued, "{port:?}");
}

pub(crate) fn station(n: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, u8::try_from(n).unwrap()])
}

pub(crate) fn frame(to: MacAddr, from: MacAddr, number: u64, len: usize) -> Vec<u8> {
    let head = [&to.0[..], &from.0, &[0x88, 0xb5], &number.to_le_bytes()].concat();
    let mut frame = head;
    frame.resize(len, 0x5a);
    frame
}

/// A VM at the port `pN`.
pub(crate) struct Vm {
    pub(crate) socket: UnixDatagram,
    pub(crate) station: MacAddr,
}

impl Vm {
    pub(crate) fn plug_in(dir: &Path, n: usize) -> Self {
        let socket = UnixDatagram::bind(dir.join(format!("vm{n}"))).unwrap();
        socket.connect(dir.join(format!("p{n}"))).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(b"VFKT").unwrap();
        Self { socket, station: station(n) }
    }

    pub(crate) fn send(&self, to: MacAddr, number: u64, len: usize) {
        self.socket.send(&frame(to, self.station, number, len)).unwrap();
    }

    /// The next frame: its sender and its number.
    pub(crate) fn receive(&self) -> (MacAddr, u64) {
        let (from, number, _) = self.receive_any();
        (from, number)
    }

    /// The same, and whether it was to all.
    pub(crate) fn receive_any(&self) -> (MacAddr, u64, bool) {
        let mut buffer = [0; 2000];
        let len = self.socket.recv(&mut buffer).expect("a frame comes");
        let to_all = buffer[..6] == MacAddr::BROADCAST.0;
        assert!(to_all || buffer[..6] == self.station.0, "somebody else's frame");
        assert!(buffer[22..len].iter().all(|byte| *byte == 0x5a), "damaged");
        let number = u64::from_le_bytes(buffer[14..22].try_into().unwrap());
        (MacAddr(buffer[6..12].try_into().unwrap()), number, to_all)
    }

    pub(crate) fn hears_nothing_more(&self) {
        self.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut buffer = [0; 2000];
        assert!(self.socket.recv(&mut buffer).is_err(), "a frame too many");
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

/// All are known to all; each broadcast came to each other VM.
pub(crate) fn greet(vms: &[Vm]) {
    // A VM is reached once its handshake was taken, which nothing tells: until then it is told
    // again.
    for vm in vms {
        let all_know = testkit::wait_until(PATIENCE, || {
            vm.send(MacAddr::BROADCAST, u64::MAX, 60);
            vms.iter().filter(|other| other.station != vm.station).all(|other| {
                other.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                other.socket.recv(&mut [0; 2000]).is_ok()
            })
        });
        assert!(all_know);
    }
    std::thread::sleep(Duration::from_millis(100));
    for vm in vms {
        vm.socket.set_nonblocking(true).unwrap();
        while vm.socket.recv(&mut [0; 2000]).is_ok() {}
        vm.socket.set_nonblocking(false).unwrap();
        vm.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}
