//! A bound socket: whom it connects to, and what becomes of what others send.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use testkit::log::warnings;
use xnu_sim::{MacOs, SimFd, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, MSG_DONTWAIT, SOCK_DGRAM};
use xnu_sys::{Descriptor, Errno, Kernel, address};

use super::{Hand, fail_once, on_every_version};
use crate::counters::DropReason;
use crate::port::xnu::{Place, UnixgramPort};
use crate::port::{Port, Received, SendFault};
use crate::time::Nanos;

const SWITCH: &str = "/tmp/switch.sock";
const FRAME: [u8; 60] = [7; 60];

/// What was to be remembered, in turn.
type Remembered = Arc<Mutex<Vec<Option<PathBuf>>>>;

#[derive(Debug)]
struct Notes(Remembered);

impl Place for Notes {
    fn path(&self) -> &Path {
        Path::new(SWITCH)
    }

    fn remember(&mut self, peer: Option<&Path>) {
        self.0.lock().unwrap().push(peer.map(Path::to_owned));
    }
}

fn port(kernel: &SimKernel) -> (UnixgramPort<SimKernel>, Remembered) {
    let remembered = Remembered::default();
    let socket = Descriptor::new(kernel.clone(), bound(kernel, SWITCH));
    let port = UnixgramPort::new(socket, Box::new(Notes(Arc::clone(&remembered)))).unwrap();
    (port, remembered)
}

fn bound(kernel: &SimKernel, path: &str) -> SimFd {
    let fd = kernel.socket(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    kernel.bind(&fd, address::unix_path(path.as_bytes()).unwrap().as_bytes()).unwrap();
    fd
}

fn say(kernel: &SimKernel, fd: &SimFd, bytes: &[u8]) {
    let to = address::unix_path(SWITCH.as_bytes()).unwrap();
    kernel.sendto(fd, bytes, MSG_DONTWAIT, Some(to.as_bytes())).unwrap();
}

fn hear(kernel: &SimKernel, fd: &SimFd) -> Option<usize> {
    kernel.recvfrom(fd, &mut [0; 2000], MSG_DONTWAIT, None).ok()
}

/// Whether a frame can be sent to whom the port is connected.
fn has_peer(port: &mut UnixgramPort<SimKernel>) -> bool {
    let sent = Hand::new().send(port, &[&FRAME]);
    assert!(sent.taken_frames == 1 || matches!(sent.then, Some(SendFault::NoPeer)), "{sent:?}");
    sent.taken_frames == 1
}

#[test]
fn the_peer_that_was_learnt_is_remembered_by_its_whole_path() {
    on_every_version(|kernel| {
        let (mut port, remembered) = port(&kernel);
        for (path, noted) in [("/tmp/vm.sock", Some("/tmp/vm.sock")), ("vm.sock", None)] {
            let vm = bound(&kernel, path);
            say(&kernel, &vm, &FRAME);
            assert_eq!(Hand::new().receive(&mut port).1.len(), 1);
            assert!(has_peer(&mut port));
            let last = remembered.lock().unwrap().pop().unwrap();
            assert_eq!(last.as_deref(), noted.map(Path::new));
            assert!(remembered.lock().unwrap().is_empty());
            // It goes, so that the next is learnt.
            drop(vm);
            kernel.unlink(path).unwrap();
            assert!(!has_peer(&mut port));
        }
    });
}

/// Somebody sent, and was gone before the switch looked; its path with it, or not.
#[test]
fn what_a_peer_said_that_is_gone_already_is_passed_on() {
    on_every_version(|kernel| {
        for takes_its_path in [false, true] {
            let (mut port, _) = port(&kernel);
            let vm = bound(&kernel, "/tmp/vm.sock");
            say(&kernel, &vm, &FRAME);
            say(&kernel, &vm, &FRAME);
            drop(vm);
            if takes_its_path {
                kernel.unlink("/tmp/vm.sock").unwrap();
            }
            let mut hand = Hand::new();
            assert_eq!(hand.receive(&mut port).1.len(), 2);
            assert_eq!(hand.rejected(DropReason::NoAddress), 0);
            assert!(!has_peer(&mut port));
            drop(port);
            kernel.unlink(SWITCH).unwrap();
            if !takes_its_path {
                kernel.unlink("/tmp/vm.sock").unwrap();
            }
        }
    });
}

/// Whoever floods the path with what cannot be answered does not hold up the loop.
#[test]
fn strangers_are_looked_at_in_turns() {
    on_every_version(|kernel| {
        let (mut port, _) = port(&kernel);
        let stranger = kernel.socket(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        for _ in 0..40 {
            say(&kernel, &stranger, &FRAME);
        }
        let mut hand = Hand::new();
        for (count, more) in [(32, true), (40, false)] {
            let (received, frames) = hand.receive(&mut port);
            assert_eq!(frames.len(), 0);
            assert_eq!(hand.rejected(DropReason::NoAddress), count);
            assert_eq!(matches!(received, Received::More), more, "{received:?}");
            assert_eq!(matches!(received, Received::Drained), !more, "{received:?}");
        }
    });
}

#[test]
fn errors_that_pass_are_told_as_such() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (mut port, _) = port(&kernel);
    let mut hand = Hand::new();
    let vm = bound(&kernel, "/tmp/vm.sock");
    say(&kernel, &vm, &FRAME);
    fail_once(&kernel, "recvfrom", Errno::EINTR);
    assert!(matches!(hand.receive(&mut port).0, Received::Drained), "it is told again");
    // The last word on a peer before.
    fail_once(&kernel, "recvfrom", Errno::ECONNRESET);
    assert!(matches!(hand.receive(&mut port).0, Received::More));
    assert_eq!(hand.receive(&mut port).1.len(), 1);
    // The same where the peer is there still: it is connected to again.
    fail_once(&kernel, "recvmsg_x", Errno::ECONNRESET);
    assert!(matches!(hand.receive(&mut port).0, Received::More));
    assert!(has_peer(&mut port));
    assert_eq!(hear(&kernel, &vm), Some(60));
}

/// A read tells that the peer is dead; then nobody is there until somebody is at its path again.
#[test]
fn a_peer_that_a_read_finds_dead_is_looked_for_at_its_path() {
    on_every_version(|kernel| {
        let (mut port, _) = port(&kernel);
        let vm = bound(&kernel, "/tmp/vm.sock");
        say(&kernel, &vm, &FRAME);
        let mut hand = Hand::new();
        assert_eq!(hand.receive(&mut port).1.len(), 1);
        drop(vm);
        kernel.unlink("/tmp/vm.sock").unwrap();
        assert!(matches!(hand.receive(&mut port).0, Received::More));
        assert!(matches!(hand.receive(&mut port).0, Received::Drained));
        let before = kernel.counters();
        assert!(!has_peer(&mut port));
        let calls = kernel.counters().since(&before);
        assert_eq!(calls.of("sendmsg_x") + calls.of("write"), 0, "nobody is asked: {calls:?}");
        let vm = bound(&kernel, "/tmp/vm.sock");
        assert!(port.upkeep(Nanos(1)).is_ok());
        assert!(has_peer(&mut port));
        assert_eq!(hear(&kernel, &vm), Some(60));
    });
}

/// By a look as well, before anything is sent.
#[test]
fn a_peer_that_a_look_finds_dead_is_not_sent_to() {
    on_every_version(|kernel| {
        let (mut port, _) = port(&kernel);
        let vm = bound(&kernel, "/tmp/vm.sock");
        say(&kernel, &vm, &FRAME);
        assert_eq!(Hand::new().receive(&mut port).1.len(), 1);
        assert!(port.upkeep(Nanos(1)).is_ok());
        assert!(has_peer(&mut port));
        drop(vm);
        assert!(port.upkeep(Nanos(1)).is_ok());
        let before = kernel.counters();
        assert!(!has_peer(&mut port));
        let calls = kernel.counters().since(&before).total_calls();
        assert_eq!(calls, 0, "nobody is asked");
    });
}

/// A connected socket hears everyone; what is for the VM goes to the VM.
#[test]
fn whoever_else_sends_takes_no_living_peers_place() {
    on_every_version(|kernel| {
        let (mut port, _) = port(&kernel);
        let (vm, other) = (bound(&kernel, "/tmp/vm.sock"), bound(&kernel, "/tmp/other.sock"));
        let mut hand = Hand::new();
        for who in [&vm, &other, &other] {
            say(&kernel, who, &FRAME);
            assert_eq!(hand.receive(&mut port).1.len(), 1);
        }
        assert!(has_peer(&mut port));
        assert_eq!((hear(&kernel, &vm), hear(&kernel, &other)), (Some(60), None));
    });
}

/// A write finds that the peer is dead and that nobody is at its path: that is that.
#[test]
fn whoever_is_not_there_is_not_sent_to_twice() {
    on_every_version(|kernel| {
        let (mut port, _) = port(&kernel);
        let vm = bound(&kernel, "/tmp/vm.sock");
        say(&kernel, &vm, &FRAME);
        assert_eq!(Hand::new().receive(&mut port).1.len(), 1);
        drop(vm);
        let before = kernel.counters();
        assert!(!has_peer(&mut port));
        let calls = kernel.counters().since(&before);
        assert_eq!(calls.of("sendmsg_x") + calls.of("write"), 1, "{calls:?}");
    });
}

/// Each time there was a good one in between, and once however many there are.
#[test]
fn strangers_are_told_of_once() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (mut port, _) = port(&kernel);
    let stranger = kernel.socket(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    let mut hand = Hand::new();
    for round in 0..2 {
        let told = warnings(|| {
            for _ in 0..5 {
                say(&kernel, &stranger, &FRAME);
                assert_eq!(hand.receive(&mut port).1.len(), 0);
            }
        });
        assert_eq!(told, 1, "round {round}");
        let vm = bound(&kernel, "/tmp/vm.sock");
        say(&kernel, &vm, &FRAME);
        assert_eq!(hand.receive(&mut port).1.len(), 1);
        drop(vm);
        kernel.unlink("/tmp/vm.sock").unwrap();
        assert!(!has_peer(&mut port));
    }
}
