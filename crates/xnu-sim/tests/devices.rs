//! Kqueues and faults on what has an interface: BPF devices, NDRV sockets, sockets of kernel
//! events.

mod common;
mod support;

use std::time::Duration;

use common::{apply, change, events, readers, wait, writer};
use support::Control;
use support::taps::Ndrv;
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::bpf::{BIOCIMMEDIATE, BIOCSETIF, BIOCSHDRCMPLT};
use xnu_sys::net_if::ifreq;
use xnu_sys::sys_event::{EV_ADD, EV_DELETE, EVFILT_READ, NOTE_LOWAT, kevent64_s};
use xnu_sys::sys_fcntl::{F_SETFL, O_NONBLOCK};
use xnu_sys::{BpfDevice, Descriptor, Errno, Kernel};

/// A machine with two feths that are each other's peers.
fn boot() -> (SimKernel, Control) {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let control = Control::new(&kernel);
    control.pair("feth1", "feth2");
    (kernel, control)
}

type Device = Descriptor<SimKernel, BpfDevice>;

fn open(kernel: &SimKernel) -> Device {
    let paths = [c"/dev/bpf0", c"/dev/bpf1", c"/dev/bpf2"];
    let device = paths.iter().find_map(|path| Descriptor::open_bpf(kernel.clone(), path).ok());
    device.expect("a device that is not open")
}

fn attach(device: &Device, interface: &str) {
    let mut argument = ifreq::default();
    argument.ifr_name[..interface.len()].copy_from_slice(interface.as_bytes());
    device.request(BIOCSETIF, &mut argument).expect("BIOCSETIF");
}

/// A device in immediate mode on an interface.
fn tap(kernel: &SimKernel, interface: &str) -> Device {
    let device = open(kernel);
    device.request(BIOCIMMEDIATE, &mut 1).expect("BIOCIMMEDIATE");
    device.request(BIOCSHDRCMPLT, &mut 1).expect("BIOCSHDRCMPLT");
    attach(&device, interface);
    device
}

fn data(events: &[kevent64_s]) -> Vec<i64> {
    events.iter().map(|event| event.data).collect()
}

fn soon(kernel: &SimKernel, queue: &xnu_sim::SimFd) -> Vec<i64> {
    data(&wait(kernel, queue, Duration::from_millis(1)))
}

/// §5 kqueue: a device with an interface is readable by the bytes that the next read gives, until
/// they are read.
#[test]
fn a_bpf_device_is_readable_by_what_a_read_gives() {
    let (kernel, _control) = boot();
    let (device, sender) = (tap(&kernel, "feth1"), Ndrv::on(&kernel, "feth2"));
    let queue = readers(&kernel, &[device.fd()]);
    assert_eq!(events(&kernel, &queue), []);
    sender.send(&[7; 60]).expect("write");
    // A header of 18 bytes before the frame.
    assert_eq!(soon(&kernel, &queue), [78]);
    assert_eq!(data(&events(&kernel, &queue)), [78]);
    let mut buffer = vec![0; 4096];
    assert_eq!(device.read(&mut buffer), Ok(Some(78)));
    assert_eq!(events(&kernel, &queue), []);
    sender.send(&[7; 60]).expect("write");
    sender.send(&[7; 60]).expect("write");
    assert_eq!(soon(&kernel, &queue), [80 + 78]);
}

/// §5 kqueue: detaching any knote makes the device forget that it has some: one for each
/// descriptor.
#[test]
fn deleting_one_of_two_knotes_silences_the_other() {
    let (kernel, _control) = boot();
    let (device, sender) = (tap(&kernel, "feth1"), Ndrv::on(&kernel, "feth2"));
    let (one, other) = (readers(&kernel, &[device.fd()]), readers(&kernel, &[device.fd()]));
    apply(&kernel, &other, change(device.fd(), EVFILT_READ, EV_DELETE)).expect("EV_DELETE");
    sender.send(&[7; 60]).expect("write");
    assert_eq!(soon(&kernel, &one), []);
    apply(&kernel, &one, change(device.fd(), EVFILT_READ, EV_ADD)).expect("a touch");
    assert_eq!(data(&events(&kernel, &one)), [78]);
}

/// §5 interface gone, C13: nobody is told; a read gives `ENXIO` when the interface is gone for
/// good.
#[test]
fn a_bpf_device_is_not_told_that_its_interface_goes() {
    let (kernel, control) = boot();
    let device = tap(&kernel, "feth1");
    let queue = readers(&kernel, &[device.fd()]);
    control.destroy("feth1").expect("SIOCIFDESTROY");
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(1)), []);
    apply(&kernel, &queue, change(device.fd(), EVFILT_READ, EV_ADD)).expect("a touch");
    assert_eq!(events(&kernel, &queue), []);
    assert_eq!(device.read(&mut vec![0; 4096]), Err(Errno::ENXIO));
}

/// C14: a knote from before the interface stays one by `select`: ready says 1, not how many bytes.
#[test]
fn a_knote_from_before_the_interface_says_no_bytes() {
    let (kernel, _control) = boot();
    let device = open(&kernel);
    device.request(BIOCIMMEDIATE, &mut 1).expect("BIOCIMMEDIATE");
    let queue = kernel.kqueue().expect("kqueue");
    let one =
        kevent64_s { fflags: NOTE_LOWAT, data: 1, ..change(device.fd(), EVFILT_READ, EV_ADD) };
    apply(&kernel, &queue, one).expect("EV_ADD");
    assert_eq!(data(&events(&kernel, &queue)), [6]);
    attach(&device, "feth1");
    assert_eq!(events(&kernel, &queue), []);
    Ndrv::on(&kernel, "feth2").send(&[7; 60]).expect("write");
    assert_eq!(soon(&kernel, &queue), [1]);
}

/// §8 interface life-cycle source: a socket of kernel events is readable when an interface comes or
/// goes.
#[test]
fn kernel_events_are_told() {
    let (kernel, control) = boot();
    let socket = kernel.socket(32, 3, 1).expect("socket");
    kernel.fcntl(&socket, F_SETFL, O_NONBLOCK).expect("F_SETFL");
    let queue = readers(&kernel, &[&socket]);
    control.create("feth7").expect("SIOCIFCREATE");
    assert_eq!(events(&kernel, &queue), [], "a new socket hears nothing");
    let mut all = [1u32, 1, 2].map(u32::to_le_bytes).concat();
    support::events::raw_ioctl(&kernel, &socket, support::events::SIOCSKEVFILT, &mut all);
    control.destroy("feth7").expect("SIOCIFDESTROY");
    let told = data(&wait(&kernel, &queue, Duration::from_secs(1)));
    assert_eq!(told.len(), 1);
    let mut waiting = [0; 4];
    support::events::raw_ioctl(&kernel, &socket, 0x4004_667f, &mut waiting);
    assert_eq!(i64::from(u32::from_le_bytes(waiting)), told[0], "FIONREAD says as much");
    while kernel.read(&socket, &mut [0; 256]).is_ok() {}
    kernel.run_for(Duration::from_secs(1));
    while kernel.read(&socket, &mut [0; 256]).is_ok() {}
    assert_eq!(events(&kernel, &queue), []);
    let writes = writer(&kernel, &socket);
    assert_eq!(data(&events(&kernel, &writes)), [4096]);
}

fn fault(call: &'static str, object: &str, errno: Errno) -> Fault {
    let action = FaultAction::Fail(errno);
    Fault { call, object: Some(object.to_owned()), after: 0, times: u64::MAX, action }
}

/// A fault's object may be the interface that a device or socket is on.
#[test]
fn faults_know_descriptors_by_their_interface() {
    let (kernel, _control) = boot();
    let (device, ndrv) = (tap(&kernel, "feth1"), Ndrv::on(&kernel, "feth2"));
    kernel.add_fault(fault("write", "feth1", Errno::ENETDOWN));
    assert_eq!(device.write(&[7; 60]), Err(Errno::ENETDOWN));
    assert_eq!(ndrv.send(&[7; 60]), Ok(60));
    kernel.clear_faults();
    kernel.add_fault(fault("write", "feth2", Errno::ENOBUFS));
    assert_eq!(device.write(&[7; 60]), Ok(60));
    assert_eq!(ndrv.send(&[7; 60]), Err(Errno::ENOBUFS));
    kernel.clear_faults();
    kernel.add_fault(fault("BIOCIMMEDIATE", "feth1", Errno::EIO));
    let failed = device.request(BIOCIMMEDIATE, &mut 0).expect_err("planned");
    assert_eq!(failed.errno, Errno::EIO);
}

/// A driver command's fault may be of the interface that is asked, or of the one that it names.
#[test]
fn faults_know_driver_commands_by_both_interfaces() {
    let (kernel, control) = boot();
    control.create("bridge1").expect("SIOCIFCREATE");
    control.create("bridge2").expect("SIOCIFCREATE");
    let add = |bridge: &str, member: &str| {
        let mut request = [0; 80];
        support::put(&mut request, 0, member.as_bytes());
        control.driver_set(bridge, 0, &mut request)
    };
    kernel.add_fault(fault("BRDGADD", "bridge2", Errno::ENOMEM));
    kernel.add_fault(fault("BRDGADD", "feth2", Errno::EBUSY));
    assert_eq!(add("bridge1", "feth2"), Err(Errno::EBUSY));
    assert_eq!(add("bridge2", "feth1"), Err(Errno::ENOMEM));
    assert_eq!(add("bridge1", "feth1"), Ok(()));
    kernel.add_fault(fault("SIOCSIFFLAGS", "feth1", Errno::EPERM));
    assert_eq!(control.set_flags("feth1", 0), Err(Errno::EPERM));
    assert_eq!(control.set_flags("feth2", 0), Ok(()));
}

/// What a device or an NDRV socket sends can be lost on its way, by plan.
#[test]
fn frames_can_be_lost() {
    let (kernel, _control) = boot();
    let (device, ndrv) = (tap(&kernel, "feth1"), Ndrv::on(&kernel, "feth2"));
    let lost = Fault { action: FaultAction::Lose, times: 1, ..fault("write", "feth2", Errno::EIO) };
    kernel.add_fault(lost);
    assert_eq!(ndrv.send(&[1; 60]), Ok(60));
    assert_eq!(ndrv.send(&[2; 60]), Ok(60));
    kernel.run_for(Duration::from_millis(1));
    let mut buffer = vec![0; 4096];
    assert_eq!(device.read(&mut buffer), Ok(Some(78)));
    assert_eq!(buffer[18..78], [2; 60]);
}
