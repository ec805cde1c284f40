//! A peer that reads more slowly than it is sent to.

use std::time::Duration;

use xnu_sim::{MacOs, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, MSG_DONTWAIT, SO_RCVBUF, SOCK_DGRAM, SOL_SOCKET};
use xnu_sys::{Descriptor, Kernel, UnixSocket};

use super::{Hand, on_every_version};
use crate::port::SendFault;
use crate::port::xnu::DatagramPort;

/// Room for so many of the frames.
const ROOM_FRAMES: usize = 3;
const FRAME: [u8; 1200] = [7; 1200];

fn slow(kernel: &SimKernel) -> (DatagramPort<SimKernel>, Descriptor<SimKernel, UnixSocket>) {
    let (ours, theirs) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    let peer = Descriptor::new(kernel.clone(), theirs);
    peer.set_option_u32(SOL_SOCKET, SO_RCVBUF, 4096).unwrap();
    (DatagramPort::new(Descriptor::new(kernel.clone(), ours)).unwrap(), peer)
}

/// Reads all; how many frames there were.
fn read(peer: &Descriptor<SimKernel, UnixSocket>) -> usize {
    let one = || peer.kernel().recvfrom(peer.fd(), &mut [0; 2000], MSG_DONTWAIT, None).ok();
    std::iter::from_fn(one).count()
}

fn pause(fault: Option<SendFault>) -> Duration {
    let Some(SendFault::Full { retry_after: Some(pause) }) = fault else { panic!("{fault:?}") };
    pause
}

#[test]
fn what_it_took_is_told_with_when_to_try_again() {
    on_every_version(|kernel| {
        let (mut port, peer) = slow(&kernel);
        let mut hand = Hand::new();
        let sent = hand.send(&mut port, &[&FRAME[..]; 10]);
        assert_eq!(sent.taken_frames, ROOM_FRAMES, "{sent:?}");
        assert_eq!(pause(sent.then), Duration::from_micros(50));
        assert_eq!(read(&peer), ROOM_FRAMES, "just those");
    });
}

/// Doubled while nothing is taken, and short again after something was.
#[test]
fn the_pause_grows_while_it_takes_nothing() {
    on_every_version(|kernel| {
        let (mut port, peer) = slow(&kernel);
        let mut hand = Hand::new();
        for _ in 0..2 {
            let mut pauses = Vec::new();
            for _ in 0..4 {
                let sent = hand.send(&mut port, &[&FRAME[..]; 10]);
                pauses.push(pause(sent.then).as_micros());
            }
            assert_eq!(pauses, [50, 100, 200, 400]);
            assert_eq!(read(&peer), ROOM_FRAMES);
        }
    });
}

/// macOS 12 counts a frame that found no room as sent when it is the batch's last. So frames go one
/// by one for a while to whoever was full, and not for ever. Elsewhere batches go on.
#[test]
fn on_macos_12_frames_go_one_by_one_for_a_while() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (mut port, peer) = slow(&kernel);
        let mut hand = Hand::new();
        let _ = hand.send(&mut port, &[&FRAME[..]; 10]);
        let _ = read(&peer);
        let mut calls_by_batch = Vec::new();
        for _ in 0..300 {
            let before = kernel.counters();
            assert_eq!(hand.send(&mut port, &[&FRAME[..]; 2]).taken_frames, 2);
            assert_eq!(read(&peer), 2);
            calls_by_batch.push(kernel.counters().since(&before).of("sendmsg_x"));
        }
        let one_by_one = calls_by_batch.iter().take_while(|calls| **calls == 0).count();
        assert_eq!(one_by_one, if version == MacOs::V12 { 256 } else { 0 }, "{version:?}");
        assert!(calls_by_batch[one_by_one..].iter().all(|calls| *calls == 1), "{version:?}");
    }
}
