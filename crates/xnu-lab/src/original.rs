//! The loop of the original program (a Swift switch, written to run a home router in a VM on a
//! Mac), as a baseline: what a frame costs when nothing is done by the batch.
//!
//! Its shape alone is kept: all registrations are handed in with every `kevent64`, one frame is
//! read and one written for each event of a VM, and each frame of a capture buffer is written by a
//! call of its own. Its defects are not.

use std::time::Duration;

use bpf::device::Options as DeviceOptions;
use ifctl::xnu::{FethOptions, Interfaces, OwnedInterface};
use ndrv::Options as SocketOptions;
use xnu_sim::{SimFd, SimKernel};
use xnu_sys::Kernel;
use xnu_sys::sys_event::{EV_ADD, EVFILT_READ, kevent64_s};

use crate::mac::{BRIDGE, LabError};

/// One port of the original's: each VM has a feth pair of its own.
#[derive(Debug)]
struct Port {
    vm: SimFd,
    device: bpf::Device<SimKernel>,
    socket: ndrv::Socket<SimKernel>,
    _pair: OwnedInterface<SimKernel>,
}

/// The original's switch on a simulated Mac.
#[derive(Debug)]
pub struct OriginalSwitch {
    kernel: SimKernel,
    kqueue: SimFd,
    ports: Vec<Port>,
    buffer: Vec<u8>,
}

impl OriginalSwitch {
    /// A switch with a port for each of the sockets, all on the machine's bridge.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn new(kernel: SimKernel, vms: Vec<SimFd>) -> Result<Self, LabError> {
        let failed = |why: &dyn std::fmt::Display| LabError::new("start the original", why);
        let interfaces = Interfaces::open_on(kernel.clone()).map_err(|why| failed(&why))?;
        let kqueue = kernel.kqueue().map_err(|why| failed(&why))?;
        let mut ports = Vec::new();
        for vm in vms {
            let options = FethOptions { up: true, ..FethOptions::default() };
            let pair =
                OwnedInterface::feth_pair(kernel.clone(), &options).map_err(|why| failed(&why))?;
            interfaces.add_member(BRIDGE, pair.name()).map_err(|why| failed(&why))?;
            let end = pair.peer().unwrap_or_default();
            let end: xnu_sys::InterfaceName = end.parse().map_err(|why| failed(&why))?;
            let options = DeviceOptions { batch_write: false, ..DeviceOptions::default() };
            let device =
                bpf::Device::open_on(kernel.clone(), end, &options).map_err(|why| failed(&why))?;
            let options = SocketOptions { batch: false };
            let socket =
                ndrv::Socket::open_on(kernel.clone(), end, &options).map_err(|why| failed(&why))?;
            ports.push(Port { vm, device, socket, _pair: pair });
        }
        Ok(Self { kernel, kqueue, ports, buffer: vec![0; 65_536] })
    }

    /// One round of its loop, which waits `longest` at most (the original waits without end).
    ///
    /// # Errors
    /// What the kernel says to `kevent64`.
    pub fn step(&mut self, longest: Duration) -> Result<(), xnu_sys::Errno> {
        let changes: Vec<kevent64_s> = self
            .ports
            .iter()
            .flat_map(|port| [SimKernel::number(&port.vm), port.device.descriptor()])
            .map(|number| kevent64_s {
                ident: u64::try_from(number).unwrap_or(0),
                filter: EVFILT_READ,
                flags: EV_ADD,
                ..kevent64_s::default()
            })
            .collect();
        let mut events = vec![kevent64_s::default(); changes.len()];
        let count = self.kernel.kevent64(&self.kqueue, &changes, &mut events, 0, Some(longest))?;
        for event in &events[..count] {
            let number = i32::try_from(event.ident).unwrap_or(-1);
            for place in 0..self.ports.len() {
                if SimKernel::number(&self.ports[place].vm) == number {
                    self.vm_to_host(place);
                } else if self.ports[place].device.descriptor() == number {
                    self.host_to_vm(place);
                }
            }
        }
        Ok(())
    }

    /// One frame.
    fn vm_to_host(&mut self, place: usize) {
        let port = &mut self.ports[place];
        if let Ok(len) = self.kernel.read(&port.vm, &mut self.buffer) {
            // Any error only ever was logged: the frame is lost.
            let _ = port.socket.send(&self.buffer[..len]);
        }
    }

    /// One buffer, a call for each of its frames.
    fn host_to_vm(&mut self, place: usize) {
        let port = &mut self.ports[place];
        if let Ok(true) = port.device.fill() {
            while let Some(record) = port.device.next_record() {
                let _ = self.kernel.write(&port.vm, record.frame);
            }
        }
    }
}
