//! One end of a socketpair: what a read, a write and a look say.

use xnu_sim::{BootOptions, MacOs, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, MSG_DONTWAIT, SO_NOSIGPIPE, SOCK_DGRAM, SOL_SOCKET};
use xnu_sys::{Descriptor, Errno, Kernel, UnixSocket};

use super::{Hand, fail_once, on_every_version};
use crate::counters::DropReason;
use crate::frame::FRAME_MAX_BYTES;
use crate::pool::SizeClass;
use crate::port::xnu::datagrams::{Datagrams, is_gone};
use crate::port::xnu::{BUFFERS, Buffers, DatagramPort, set_buffers};
use crate::port::{Gone, Port, Received, SendFault};
use crate::time::Nanos;

type Socket = Descriptor<SimKernel, UnixSocket>;

/// A port, and its peer's end with Apple's buffers.
fn port(kernel: &SimKernel) -> (DatagramPort<SimKernel>, Socket) {
    let (ours, theirs) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    let peer = Descriptor::new(kernel.clone(), theirs);
    set_buffers(&peer, BUFFERS).unwrap();
    (DatagramPort::new(Descriptor::new(kernel.clone(), ours)).unwrap(), peer)
}

fn say(peer: &Socket, bytes: &[u8]) {
    peer.kernel().sendto(peer.fd(), bytes, MSG_DONTWAIT, None).unwrap();
}

fn hear(peer: &Socket) -> Option<usize> {
    peer.kernel().recvfrom(peer.fd(), &mut [0; 70_000], MSG_DONTWAIT, None).ok()
}

const FRAME: [u8; 60] = [7; 60];

#[test]
fn a_dead_peer_without_last_words_is_gone_whoever_finds_it() {
    let find: [fn(&mut DatagramPort<SimKernel>) -> bool; 3] = [
        |port| matches!(Hand::new().receive(port).0, Received::Gone(Gone::Closed)),
        |port| {
            let sent = Hand::new().send(port, &[&FRAME]);
            sent.taken_frames == 0 && matches!(sent.then, Some(SendFault::Gone(Gone::Closed)))
        },
        |port| matches!(port.upkeep(Nanos(1)), Err(Gone::Closed)),
    ];
    on_every_version(|kernel| {
        for found in find {
            let (mut port, peer) = port(&kernel);
            assert!(port.upkeep(Nanos(1)).is_ok());
            drop(peer);
            assert!(found(&mut port));
        }
    });
}

/// A write finds it out; the port lives until what was sent before has been read.
#[test]
fn a_dead_peers_last_words_are_read_before_the_port_ends() {
    on_every_version(|kernel| {
        for ends_by_a_look in [false, true] {
            let (mut port, peer) = port(&kernel);
            for _ in 0..3 {
                say(&peer, &FRAME);
            }
            drop(peer);
            let mut hand = Hand::new();
            let sent = hand.send(&mut port, &[&FRAME]);
            assert!(matches!(sent.then, Some(SendFault::NoPeer)), "{sent:?}");
            assert!(port.upkeep(Nanos(1)).is_ok(), "there is something to read");
            let mut heard = 0;
            let ended = (0..5).any(|_| {
                let (received, frames) = hand.receive(&mut port);
                heard += frames.len();
                matches!(received, Received::Gone(Gone::Closed)) || ends_by_a_look && heard == 3
            });
            assert!(ended && heard == 3, "{heard}");
            assert!(matches!(port.upkeep(Nanos(1)), Err(Gone::Closed)));
        }
    });
}

#[test]
fn each_way_to_say_that_a_peer_is_gone_is_known() {
    let said = [
        Errno::ECONNRESET,
        Errno::ECONNREFUSED,
        Errno::EDESTADDRREQ,
        Errno::ENOTCONN,
        Errno::EPIPE,
    ];
    let known: Vec<_> = (0..110).map(Errno).filter(|errno| is_gone(*errno)).collect();
    assert_eq!(known.len(), said.len());
    assert!(said.iter().all(|errno| known.contains(errno)));
}

#[test]
fn errors_that_pass_are_told_as_such() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (mut port, peer) = port(&kernel);
    let mut hand = Hand::new();
    say(&peer, &FRAME);
    fail_once(&kernel, "recvmsg_x", Errno::EINTR);
    assert!(matches!(hand.receive(&mut port).0, Received::More));
    for errno in [Errno::ENOMEM, Errno::ENOBUFS] {
        fail_once(&kernel, "recvmsg_x", errno);
        assert!(matches!(hand.receive(&mut port).0, Received::NoBuffers), "{errno:?}");
    }
    for errno in [Errno::ENOMEM, Errno::ENOBUFS, Errno::EAGAIN, Errno::EINTR] {
        fail_once(&kernel, "sendmsg_x", errno);
        let sent = hand.send(&mut port, &[&FRAME]);
        assert!(matches!(sent.then, Some(SendFault::Full { .. })), "{errno:?}: {sent:?}");
    }
    fail_once(&kernel, "sendmsg_x", Errno::EMSGSIZE);
    assert!(matches!(hand.send(&mut port, &[&FRAME]).then, Some(SendFault::TooBig)));
    fail_once(&kernel, "recvfrom", Errno::EINTR);
    assert!(port.upkeep(Nanos(1)).is_ok());
    assert_eq!(hand.receive(&mut port).1.len(), 1, "after all that");
}

/// Whoever started the switch need not have prepared the socket.
#[test]
fn the_socket_never_blocks_raises_no_signal_and_is_not_inherited() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (ours, _theirs) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    let datagrams = Datagrams::new(Socket::new(kernel.clone(), ours)).unwrap();
    let socket = datagrams.socket();
    let open = kernel.open_descriptors();
    let (_, _, closes_on_exec) = open.iter().find(|(of, ..)| *of == socket.number()).unwrap();
    assert!(closes_on_exec);
    assert_eq!(kernel.recvfrom(socket.fd(), &mut [0], 0, None), Err(Errno::EAGAIN));
    assert_ne!(socket.option_u32(SOL_SOCKET, SO_NOSIGPIPE).unwrap(), 0);
    assert_eq!(datagrams.buffers(), BUFFERS);
}

#[test]
fn buffers_that_are_larger_than_wanted_stay() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (_port, peer) = port(&kernel);
    let smaller = Buffers { send_bytes: 4096, receive_bytes: 4096 };
    assert_eq!(set_buffers(&peer, smaller).unwrap(), BUFFERS);
}

/// A machine that grants little: a frame longer than the largest datagram is refused without the
/// kernel being asked, and those around it go.
#[test]
fn what_is_longer_than_the_socket_takes_is_too_big_and_what_is_as_long_is_not() {
    on_every_version(|kernel| {
        let largest = 16_384;
        let (ours, theirs) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        let peer: Socket = Descriptor::new(kernel.clone(), theirs);
        set_buffers(&peer, BUFFERS).unwrap();
        kernel
            .sysctlbyname(c"kern.ipc.maxsockbuf", &mut [], Some(&20_000_u32.to_ne_bytes()))
            .unwrap();
        let mut port = DatagramPort::new(Descriptor::new(kernel.clone(), ours)).unwrap();
        let limit = usize::try_from(port.buffers().send_bytes).unwrap();
        assert!((largest..20_001).contains(&limit), "{limit}");
        let (fits, too_long) = (vec![1; limit], vec![2; limit + 1]);
        let mut hand = Hand::new();
        let sent = hand.send(&mut port, &[&FRAME, &fits, &too_long, &FRAME]);
        assert!(sent.taken_frames == 2 && sent.then.is_none(), "{sent:?}");
        let before = kernel.counters();
        let sent = hand.send(&mut port, &[&too_long, &FRAME]);
        assert!(sent.taken_frames == 0 && matches!(sent.then, Some(SendFault::TooBig)), "{sent:?}");
        assert_eq!(kernel.counters().since(&before).of("sendmsg_x"), 0);
        assert_eq!([hear(&peer), hear(&peer), hear(&peer)], [Some(60), Some(limit), None]);
    });
}

/// More than a second-level cache holds is not copied by one call.
#[test]
fn one_call_sends_so_many_bytes_at_most() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (mut port, _peer) = port(&kernel);
    let frame = vec![1; 9000];
    let sent = Hand::new().send(&mut port, &[&frame[..]; 64]);
    assert!(sent.taken_frames == (256 << 10) / 9000 && sent.then.is_none(), "{sent:?}");
    let sent = Hand::new().send(&mut port, &[&FRAME[..]; 64]);
    assert!(sent.taken_frames == 64 && sent.then.is_none(), "{sent:?}");
}

#[test]
fn a_full_batch_means_more_and_a_smaller_one_that_all_was_taken() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (mut port, peer) = port(&kernel);
    let mut hand = Hand::new();
    for (count, more) in [(64, true), (63, false), (0, false)] {
        (0..count).for_each(|_| say(&peer, &FRAME));
        let (received, frames) = hand.receive(&mut port);
        assert_eq!(frames.len(), count);
        assert_eq!(matches!(received, Received::More), more, "{received:?}");
        assert_eq!(matches!(received, Received::Drained), !more, "{received:?}");
    }
}

#[test]
fn batches_shrink_as_frames_grow() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (mut port, peer) = port(&kernel);
    let mut hand = Hand::new();
    for (len, class) in [(9000, SizeClass::Jumbo), (60_000, SizeClass::Full)] {
        say(&peer, &vec![1; len]);
        say(&peer, &FRAME);
        assert_eq!(hand.receive(&mut port).1.len(), 2);
        (0..20).for_each(|_| say(&peer, &FRAME));
        assert_eq!(hand.receive(&mut port).1.len(), class.batch_frames());
        while !hand.receive(&mut port).1.is_empty() {}
    }
}

#[test]
fn the_handshake_alone_is_no_frame() {
    for without_message_calls in [false, true] {
        let options = BootOptions { seed: 1, without_message_calls, ..BootOptions::default() };
        let kernel = SimKernel::boot_with(options);
        let (mut port, peer) = port(&kernel);
        let mut hand = Hand::new();
        say(&peer, b"VFKT");
        assert_eq!(hand.receive(&mut port).1.len(), 0);
        assert_eq!(hand.rejected(DropReason::Runt), 0);
        say(&peer, b"ABCD");
        say(&peer, &FRAME);
        let (_, frames) = hand.receive(&mut port);
        // What is too short, the switch counts.
        assert!(frames.last().is_some_and(|frame| frame.len() == 60), "{frames:?}");
        let short = frames.len() as u64 - 1 + hand.rejected(DropReason::Runt);
        assert_eq!(short, 1, "four other bytes are no handshake");
    }
}

/// Taken from the kernel, it would be lost.
#[test]
fn without_buffers_nothing_is_taken() {
    for without_message_calls in [false, true] {
        let options = BootOptions { seed: 1, without_message_calls, ..BootOptions::default() };
        let kernel = SimKernel::boot_with(options);
        let (mut port, peer) = port(&kernel);
        assert!(matches!(Hand::new().receive(&mut port).0, Received::Drained));
        say(&peer, &FRAME);
        let (received, frames) = Hand::with_pool(0).receive(&mut port);
        assert!(matches!(received, Received::NoBuffers) && frames.is_empty(), "{received:?}");
        assert_eq!(Hand::new().receive(&mut port).1.len(), 1);
    }
}

fn single() -> (SimKernel, DatagramPort<SimKernel>, Socket) {
    let options = BootOptions { seed: 1, without_message_calls: true, ..BootOptions::default() };
    let kernel = SimKernel::boot_with(options);
    let (port, peer) = port(&kernel);
    (kernel, port, peer)
}

#[test]
fn one_by_one_too_a_batch_is_bounded_and_its_end_told() {
    let (_kernel, mut port, peer) = single();
    let mut hand = Hand::new();
    let most = SizeClass::Small.batch_frames();
    (0..most + 1).for_each(|_| say(&peer, &FRAME));
    let (received, frames) = hand.receive(&mut port);
    assert!(matches!(received, Received::More) && frames.len() == most, "{received:?}");
    let (received, frames) = hand.receive(&mut port);
    assert!(matches!(received, Received::Drained) && frames.len() == 1, "{received:?}");
}

#[test]
fn one_by_one_too_what_is_too_long_is_no_frame() {
    let (_kernel, mut port, peer) = single();
    let mut hand = Hand::new();
    say(&peer, &vec![1; FRAME_MAX_BYTES + 1]);
    say(&peer, &vec![1; FRAME_MAX_BYTES]);
    let frames = hand.receive(&mut port).1;
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].len(), FRAME_MAX_BYTES);
    assert_eq!(hand.rejected(DropReason::Oversize), 1);
}

/// A system that has the calls, and refuses them for this socket.
#[test]
fn calls_that_are_refused_once_are_not_made_again() {
    for errno in [Errno::EOPNOTSUPP, Errno::ENOSYS] {
        for call in ["recvmsg_x", "sendmsg_x"] {
            let kernel = SimKernel::boot(MacOs::V15, 1);
            let (mut port, peer) = port(&kernel);
            let mut hand = Hand::new();
            fail_once(&kernel, call, errno);
            for _ in 0..3 {
                say(&peer, &FRAME);
                assert_eq!(hand.receive(&mut port).1.len(), 1);
                assert_eq!(hand.send(&mut port, &[&FRAME, &FRAME]).taken_frames, 2);
                assert_eq!([hear(&peer), hear(&peer), hear(&peer)], [Some(60), Some(60), None]);
            }
            let before = kernel.counters();
            let _ = (hand.receive(&mut port), hand.send(&mut port, &[&FRAME]));
            assert_eq!(kernel.counters().since(&before).of(call), 0, "{call}");
        }
    }
}
