//! A switch on a simulated machine, and guests on socketpairs.

use std::time::Duration;

use vswitch::Nanos;
use vswitch::counters::PortCounters;
use vswitch::fabric::{PortPolicy, Settings};
use vswitch::poller::Kqueue;
use vswitch::port::Port;
use vswitch::port::xnu::{Buffers, DatagramPort};
use vswitch::switch::{NetworkId, PortReport, PortSettings, Switch, WhenGone};
use xnu_sim::{BootOptions, MacOs, SimFd, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, MSG_DONTWAIT, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET};
use xnu_sys::{Descriptor, Errno, Kernel};

/// A switch with one network, run by the test in virtual time.
pub(crate) struct Rig {
    pub(crate) kernel: SimKernel,
    pub(crate) switch: Switch<Kqueue<SimKernel>>,
    network: NetworkId,
}

/// A guest's end.
pub(crate) struct Guest {
    pub(crate) kernel: SimKernel,
    pub(crate) fd: SimFd,
    pub(crate) mac: [u8; 6],
}

/// What Apple asks of both ends.
pub(crate) const APPLE: Buffers = Buffers { send_bytes: 1 << 20, receive_bytes: 4 << 20 };

impl Rig {
    pub(crate) fn new(version: MacOs) -> Self {
        Self::with(BootOptions { version, seed: 1, ..BootOptions::default() })
    }

    pub(crate) fn with(options: BootOptions) -> Self {
        let kernel = SimKernel::boot_with(options);
        let mut switch = Switch::new(Kqueue::new(kernel.clone()).unwrap());
        let network = switch.add_network("test", Settings::default());
        Self { kernel, switch, network }
    }

    pub(crate) fn add(&mut self, name: &str, port: Box<dyn Port>) {
        let settings = PortSettings {
            name: name.to_owned(),
            network: self.network,
            policy: PortPolicy::default(),
            when_gone: WhenGone::Keep,
            waits: true,
        };
        self.switch.add_port(settings, port).unwrap();
    }

    /// Plugs a guest in whose own end has these buffers.
    pub(crate) fn plug(&mut self, number: u8, buffers: Buffers) -> Guest {
        let vmm = self.kernel.spawn(false);
        let (ours, theirs) = vmm.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        for (option, bytes) in [(SO_SNDBUF, buffers.send_bytes), (SO_RCVBUF, buffers.receive_bytes)]
        {
            vmm.setsockopt(&ours, SOL_SOCKET, option, &bytes.to_ne_bytes()).unwrap();
        }
        let passed = vmm.share(&theirs, &self.kernel).unwrap();
        let socket = Descriptor::new(self.kernel.clone(), passed);
        self.add(&format!("vm{number}"), Box::new(DatagramPort::new(socket).unwrap()));
        Guest { kernel: vmm, fd: ours, mac: [2, 0, 0, 0, 0, number] }
    }

    /// Lets the switch run for `span` of virtual time.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.kernel.uptime_ns() + u64::try_from(span.as_nanos()).unwrap();
        while self.kernel.uptime_ns() < end {
            self.switch.step(Nanos(end)).unwrap();
        }
    }

    pub(crate) fn report(&mut self, name: &str) -> PortReport {
        let report = self.switch.report();
        report.ports.into_iter().find(|port| port.name == name).unwrap()
    }

    pub(crate) fn counters(&mut self, name: &str) -> PortCounters {
        self.report(name).counters
    }
}

impl Guest {
    /// A frame to another, with a number in it.
    pub(crate) fn frame_to(&self, other: &Self, number: u32, len: usize) -> Vec<u8> {
        let mut frame = vec![0; len];
        frame[..6].copy_from_slice(&other.mac);
        frame[6..12].copy_from_slice(&self.mac);
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        frame[14..18].copy_from_slice(&number.to_be_bytes());
        frame
    }

    pub(crate) fn send(&self, frame: &[u8]) -> Result<usize, Errno> {
        self.kernel.sendto(&self.fd, frame, MSG_DONTWAIT, None)
    }

    /// Says hello, so that the switch knows where it is.
    pub(crate) fn announce(&self) {
        let mut frame = vec![0xff; 60];
        frame[6..12].copy_from_slice(&self.mac);
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        self.send(&frame).unwrap();
    }

    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 70_000];
        let len = self.kernel.recvfrom(&self.fd, &mut buffer, MSG_DONTWAIT, None).ok()?;
        buffer.truncate(len);
        Some(buffer)
    }

    /// The numbers of the frames that have come, broadcasts left out.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let frames = std::iter::from_fn(|| self.receive());
        let mine = frames.filter(|frame| frame[..6] == self.mac);
        mine.map(|frame| u32::from_be_bytes(frame[14..18].try_into().unwrap())).collect()
    }
}

/// Runs a test on every version, and says which failed.
pub(crate) fn on_every_version(test: impl Fn(MacOs)) {
    for version in MacOs::ALL {
        let _says_which = Says(version);
        test(version);
    }
}

struct Says(MacOs);

impl Drop for Says {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("on macOS {:?}", self.0);
        }
    }
}
