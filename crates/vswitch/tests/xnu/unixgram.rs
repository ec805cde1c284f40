//! `unixgram:PATH` on XNU: a VM's process binds a path of its own and sends to the switch's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use vswitch::counters::DropReason;
use vswitch::port::xnu::{Place, UnixgramPort, Unreached};
use xnu_sim::{SimFd, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, MSG_DONTWAIT, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET};
use xnu_sys::{Descriptor, Errno, Kernel, address};

use crate::support::{APPLE, Guest, Rig, on_every_version};

const MS: Duration = Duration::from_millis(1);
const SWITCH: &str = "/tmp/vm.sock";

#[derive(Debug)]
struct AtPath {
    left: Option<PathBuf>,
}

impl Place for AtPath {
    fn path(&self) -> &Path {
        Path::new(SWITCH)
    }

    fn remembered(&self) -> Option<PathBuf> {
        self.left.clone()
    }

    fn reach(
        &self,
        peer: &Path,
        connect: &mut dyn FnMut(&Path) -> Result<(), Errno>,
    ) -> Result<(), Unreached> {
        if peer.starts_with("/private/roots") {
            return Err(Unreached::Refused("it is root's".into()));
        }
        Ok(connect(peer)?)
    }
}

fn bound(kernel: &SimKernel, path: &str) -> SimFd {
    let fd = kernel.socket(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    kernel.bind(&fd, address::unix_path(path.as_bytes()).unwrap().as_bytes()).unwrap();
    fd
}

fn add_port(rig: &mut Rig, left: Option<&str>) {
    let socket = Descriptor::new(rig.kernel.clone(), bound(&rig.kernel, SWITCH));
    let place = AtPath { left: left.map(PathBuf::from) };
    rig.add("vm", Box::new(UnixgramPort::new(socket, Box::new(place)).unwrap()));
}

/// A VM that binds a path of its own and connects to the switch's, as vfkit does.
fn vfkit(rig: &Rig, path: &str, number: u8) -> Guest {
    let kernel = rig.kernel.spawn(false);
    let fd = bound(&kernel, path);
    for (option, bytes) in [(SO_SNDBUF, 1_u32 << 20), (SO_RCVBUF, 4 << 20)] {
        kernel.setsockopt(&fd, SOL_SOCKET, option, &bytes.to_ne_bytes()).unwrap();
    }
    kernel.connect(&fd, address::unix_path(SWITCH.as_bytes()).unwrap().as_bytes()).unwrap();
    Guest { kernel, fd, mac: [2, 0, 0, 0, 1, number] }
}

#[test]
fn a_peer_is_learnt_from_its_handshake_and_answered() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let other = rig.plug(1, APPLE);
        add_port(&mut rig, None);
        let vm = vfkit(&rig, "/tmp/vfkit-1.sock", 9);
        vm.send(b"VFKT").unwrap();
        other.announce();
        rig.run(MS);
        assert_eq!(vm.receive().map(|frame| frame.len()), Some(60), "floods reach it");
        assert_eq!(rig.counters("vm").ingress.received_frames, 0, "a handshake is no frame");
        vm.send(&vm.frame_to(&other, 3, 200)).unwrap();
        rig.run(MS);
        assert_eq!(other.numbers(), [3]);
    });
}

#[test]
fn a_vm_that_comes_back_at_another_path_is_served() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let other = rig.plug(1, APPLE);
        add_port(&mut rig, None);
        let vm = vfkit(&rig, "/tmp/vfkit-1.sock", 9);
        vm.announce();
        other.announce();
        rig.run(MS);
        drop(vm);
        rig.run(600 * MS);
        other.announce();
        rig.run(MS);
        assert_eq!(rig.counters("vm").egress.dropped.of(DropReason::NoPeer), 1);
        let vm = vfkit(&rig, "/tmp/vfkit-2.sock", 9);
        vm.announce();
        rig.run(MS);
        other.send(&other.frame_to(&vm, 5, 100)).unwrap();
        rig.run(MS);
        assert_eq!(vm.numbers(), [5], "{}", rig.kernel.trace());
    });
}

/// The write that finds the peer dead tries its path once: a VM that is there again at the same
/// path loses nothing.
#[test]
fn a_vm_that_comes_back_at_its_path_is_found_without_a_word() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let other = rig.plug(1, APPLE);
        add_port(&mut rig, None);
        let vm = vfkit(&rig, "/tmp/qemu.sock", 9);
        vm.announce();
        rig.run(MS);
        drop(vm);
        rig.kernel.unlink("/tmp/qemu.sock").unwrap();
        let vm = vfkit(&rig, "/tmp/qemu.sock", 9);
        other.send(&other.frame_to(&vm, 5, 100)).unwrap();
        rig.run(MS);
        assert_eq!(vm.numbers(), [5]);
    });
}

#[test]
fn a_switch_that_was_killed_finds_its_vm_again() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let other = rig.plug(1, APPLE);
        let kernel = rig.kernel.spawn(false);
        let fd = bound(&kernel, "/tmp/qemu.sock");
        let vm = Guest { kernel, fd, mac: [2, 0, 0, 0, 1, 9] };
        add_port(&mut rig, Some("/tmp/qemu.sock"));
        rig.run(300 * MS);
        other.announce();
        rig.run(MS);
        assert_eq!(vm.receive().map(|frame| frame.len()), Some(60));
    });
}

#[test]
fn senders_that_cannot_be_answered_are_counted() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        add_port(&mut rig, None);
        let stranger = rig.kernel.spawn(false);
        let fd = stranger.socket(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        let to = address::unix_path(SWITCH.as_bytes()).unwrap();
        stranger.sendto(&fd, &[0; 60], MSG_DONTWAIT, Some(to.as_bytes())).unwrap();
        let trap = vfkit(&rig, "/private/roots/trap.sock", 8);
        trap.announce();
        rig.run(MS);
        let counters = rig.counters("vm");
        assert_eq!(counters.ingress.dropped.of(DropReason::NoAddress), 2, "{counters:?}");
    });
}
