//! `recvmsg_x` and `sendmsg_x`: each behaviour by its row of the contract.
#![allow(unsafe_code, reason = "both calls take arrays of pointers")]

mod common;

use std::time::Duration;

use common::{address, fill, get, pair, roomy_pair, set, socket};
use xnu_sim::{BootOptions, MacOs, SimFd, SimKernel};
use xnu_sys::sys_socket::{
    MSG_DONTWAIT, MSG_EOR, MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC, SO_NUMRCVPKT, SO_RCVBUF, SO_SNDBUF,
    iovec,
};
use xnu_sys::sys_socket_private::msghdr_x;
use xnu_sys::{Descriptor, Errno, Kernel, Messages, UnixSocket};

const NEW: [MacOs; 3] = [MacOs::V14_0, MacOs::V14_4, MacOs::V15];
const OLD: [MacOs; 2] = [MacOs::V12, MacOs::V13];

/// Messages with buffers of their own, each of one vector or none.
#[derive(Default)]
struct Batch {
    buffers: Vec<Vec<u8>>,
    names: Vec<Vec<u8>>,
    /// The headers after the last call, which a test may also change before it.
    headers: Vec<msghdr_x>,
    vectors: Vec<iovec>,
}

impl Batch {
    /// One message of each of these.
    fn of(messages: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut this = Self { buffers: messages.into_iter().collect(), ..Self::default() };
        let count = this.buffers.len();
        this.names = vec![Vec::new(); count];
        this.headers = vec![msghdr_x { msg_iovlen: 1, ..msghdr_x::default() }; count];
        this
    }

    /// So many messages of zeros.
    fn zeros(count: usize, len: usize) -> Self {
        Self::of(vec![vec![0; len]; count])
    }

    fn address_all(&mut self) {
        self.vectors = self.buffers.iter_mut().map(|buffer| vector(buffer)).collect();
        for (place, header) in self.headers.iter_mut().enumerate() {
            header.msg_iov =
                self.vectors.as_mut_ptr().expose_provenance() as u64 + 16 * place as u64;
            let name = &mut self.names[place];
            if !name.is_empty() {
                header.msg_name = name.as_mut_ptr().expose_provenance() as u64;
                header.msg_namelen = u32::try_from(name.len()).expect("a short name");
            }
        }
    }

    fn send_with(&mut self, kernel: &SimKernel, fd: &SimFd, flags: i32) -> Result<usize, Errno> {
        self.address_all();
        let count = u32::try_from(self.headers.len()).expect("few messages");
        // SAFETY: each of the headers points at a vector, and that at a buffer, of this batch,
        // which lives across the call; names are of this batch too.
        unsafe { kernel.sendmsg_x(fd, self.headers.as_ptr(), count, flags) }
    }

    fn send(&mut self, kernel: &SimKernel, fd: &SimFd) -> Result<usize, Errno> {
        self.send_with(kernel, fd, MSG_DONTWAIT)
    }

    fn receive_with(&mut self, kernel: &SimKernel, fd: &SimFd, flags: i32) -> Result<usize, Errno> {
        self.address_all();
        let count = u32::try_from(self.headers.len()).expect("few messages");
        // SAFETY: as for sending, and the buffers and names are this batch's to write to.
        unsafe { kernel.recvmsg_x(fd, self.headers.as_mut_ptr(), count, flags) }
    }

    fn receive(&mut self, kernel: &SimKernel, fd: &SimFd) -> Result<usize, Errno> {
        self.receive_with(kernel, fd, MSG_DONTWAIT)
    }

    fn lens(&self) -> Vec<u64> {
        self.headers.iter().map(|header| header.msg_datalen).collect()
    }

    fn flags(&self) -> Vec<i32> {
        self.headers.iter().map(|header| header.msg_flags).collect()
    }
}

fn vector(buffer: &mut [u8]) -> iovec {
    iovec { iov_base: buffer.as_mut_ptr().expose_provenance() as u64, iov_len: buffer.len() as u64 }
}

/// Counts that no array stands behind: only for calls that refuse them before they look.
fn count_alone(
    kernel: &SimKernel,
    fd: &SimFd,
    count: u32,
    flags: i32,
) -> [Result<usize, Errno>; 2] {
    let mut none = msghdr_x::default();
    // SAFETY: the calls under test refuse such a count or flag, or take none of the messages.
    let received = unsafe { kernel.recvmsg_x(fd, &raw mut none, count, flags) };
    // SAFETY: as above.
    let sent = unsafe { kernel.sendmsg_x(fd, &raw const none, count, flags) };
    [received, sent]
}

fn queued(kernel: &SimKernel, fd: &SimFd) -> i32 {
    get(kernel, fd, SO_NUMRCVPKT)
}

/// §7: many datagrams by one call each way, each with its length, across two buffers.
#[test]
fn many_datagrams_go_and_come_by_one_call() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let one = Descriptor::<_, UnixSocket>::new(kernel.clone(), one);
        let other = Descriptor::<_, UnixSocket>::new(kernel.clone(), other);
        let frames: Vec<Vec<u8>> = (1..=10u8).map(|n| vec![n; usize::from(n) * 30]).collect();
        let mut messages = Messages::default();
        let sent = messages.send(&one, frames.iter().map(Vec::as_slice));
        assert_eq!(sent, Ok(10));
        let mut heads = vec![[0; 100]; 12];
        let mut spills = vec![[0; 400]; 12];
        let slots = heads.iter_mut().zip(&mut spills).map(|(h, s)| (&mut h[..], &mut s[..]));
        assert_eq!(messages.receive(&other, slots), Ok(10));
        for (place, frame) in frames.iter().enumerate() {
            let len = messages.len_bytes(place);
            assert_eq!(len, frame.len());
            let all = [heads[place].as_slice(), &spills[place]].concat();
            assert_eq!(&all[..len], frame);
        }
        let counters = kernel.counters();
        assert_eq!((counters.of("sendmsg_x"), counters.of("recvmsg_x")), (1, 1));
        let bytes: usize = frames.iter().map(Vec::len).sum();
        assert_eq!(counters.copied_bytes(), 2 * bytes as u64);
    }
}

/// §7 `recvmsg_x`: a count of 0 or above 1,024 is `EINVAL`. C23: `sendmsg_x` has no such check
/// since 14.0, where 0 messages are 0.
#[test]
fn counts_are_checked() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, _other) = roomy_pair(&kernel);
        let [received, sent] = count_alone(&kernel, &one, 0, MSG_DONTWAIT);
        assert_eq!(received, Err(Errno::EINVAL));
        assert_eq!(sent, if OLD.contains(&version) { Err(Errno::EINVAL) } else { Ok(0) });
        if OLD.contains(&version) {
            let both = count_alone(&kernel, &one, 1025, MSG_DONTWAIT);
            assert_eq!(both, [Err(Errno::EINVAL); 2]);
        }
    }
}

/// C23: both calls take at most 100 messages up to 13; since 14.0 `recvmsg_x` takes 256, and
/// `sendmsg_x` all.
#[test]
fn counts_are_clipped() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let is_old = OLD.contains(&version);
        let sent = Batch::zeros(300, 60).send(&kernel, &one);
        assert_eq!(sent, Ok(if is_old { 100 } else { 300 }));
        while queued(&kernel, &other) < 300 {
            kernel.write(&one, &[0; 60]).expect("write");
        }
        let received = Batch::zeros(300, 60).receive(&kernel, &other);
        assert_eq!(received, Ok(if is_old { 100 } else { 256 }));
    }
}

/// §7: since 14.0 `recvmsg_x` takes no flags but `MSG_DONTWAIT` (`EINVAL`); up to 13 also
/// `MSG_PEEK`, and others are `EOPNOTSUPP`.
#[test]
fn flags_of_receiving_are_checked() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        kernel.write(&one, b"abc").expect("write");
        let mut batch = Batch::zeros(2, 8);
        let bad = batch.receive_with(&kernel, &other, MSG_DONTWAIT | MSG_EOR);
        let peeked = batch.receive_with(&kernel, &other, MSG_DONTWAIT | MSG_PEEK);
        if OLD.contains(&version) {
            assert_eq!(bad, Err(Errno::EOPNOTSUPP));
            assert_eq!(peeked, Ok(2), "the same datagram twice");
            assert_eq!(batch.lens(), [3, 3]);
        } else {
            assert_eq!([bad, peeked], [Err(Errno::EINVAL); 2]);
        }
        assert_eq!(queued(&kernel, &other), 1);
    }
}

/// C24: since 14.0 `sendmsg_x` on a connected socket takes no flags but `MSG_DONTWAIT`; up to 13
/// any.
#[test]
fn flags_of_sending_are_checked() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let sent = Batch::zeros(2, 60).send_with(&kernel, &one, MSG_DONTWAIT | MSG_NOSIGNAL);
        let expected = if OLD.contains(&version) { Ok(2) } else { Err(Errno::EINVAL) };
        assert_eq!(sent, expected);
        assert_eq!(queued(&kernel, &other), if expected.is_ok() { 2 } else { 0 });
        // MSG_SKIPCFIL is the kernel's own.
        let sent = Batch::zeros(2, 60).send_with(&kernel, &one, 0x4_0000);
        assert_eq!(sent, Err(Errno::EPERM));
    }
}

/// §7: up to 13 `msg_flags` must be 0 on input, for both calls; since 14.0 it is not looked at
/// (C24).
#[test]
fn up_to_13_headers_have_no_flags() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let mut batch = Batch::zeros(2, 60);
        batch.headers[1].msg_flags = MSG_TRUNC;
        let sent = batch.send(&kernel, &one);
        batch.headers[1].msg_flags = 0;
        batch.send(&kernel, &one).expect("sendmsg_x");
        batch.headers[1].msg_flags = MSG_TRUNC;
        let received = batch.receive(&kernel, &other);
        if OLD.contains(&version) {
            assert_eq!([sent, received], [Err(Errno::EINVAL); 2]);
            assert_eq!(queued(&kernel, &other), 2);
        } else {
            assert_eq!(sent, Ok(2));
            assert_eq!(received, Ok(2));
            assert_eq!(batch.flags(), [0, 0]);
        }
    }
}

/// §7: `recvmsg_x` gives what is there, and says nothing of the other headers' datagrams.
#[test]
fn receiving_gives_what_is_there() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        assert_eq!(Batch::zeros(3, 60).receive(&kernel, &other), Err(Errno::EAGAIN));
        Batch::of([vec![1; 10], vec![2; 20]]).send(&kernel, &one).expect("sendmsg_x");
        let mut batch = Batch::zeros(3, 60);
        batch.headers[2].msg_datalen = 77;
        assert_eq!(batch.receive(&kernel, &other), Ok(2));
        // Up to 13 all headers are copied out.
        let unused = if OLD.contains(&version) { 0 } else { 77 };
        assert_eq!(batch.lens(), [10, 20, unused]);
        assert_eq!(
            (&batch.buffers[0][..10], &batch.buffers[1][..20]),
            (&[1; 10][..], &[2; 20][..])
        );
        assert_eq!(Batch::zeros(3, 60).receive(&kernel, &other), Err(Errno::EAGAIN));
    }
}

/// §7: since 14.0 nobody tells of a datagram that was cut; up to 13 its `msg_flags` do, and the
/// call ends with it.
#[test]
fn a_cut_datagram_is_told_up_to_13() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        Batch::of([vec![1; 10], vec![2; 90], vec![3; 10]]).send(&kernel, &one).expect("sendmsg_x");
        let mut batch = Batch::zeros(3, 50);
        let received = batch.receive(&kernel, &other);
        if OLD.contains(&version) {
            assert_eq!(received, Ok(2));
            assert_eq!((batch.lens(), batch.flags()), (vec![10, 50, 0], vec![0, MSG_TRUNC, 0]));
            assert_eq!(queued(&kernel, &other), 1);
        } else {
            assert_eq!(received, Ok(3));
            assert_eq!((batch.lens(), batch.flags()), (vec![10, 50, 10], vec![0, 0, 0]));
        }
    }
}

/// `recvmsg_x`: the sender's address goes where there is room, and its whole length is told.
#[test]
fn senders_addresses_come_with_the_messages() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = (socket(&kernel), socket(&kernel));
        kernel.bind(&one, &address("/one")).expect("bind");
        kernel.bind(&other, &address("/other")).expect("bind");
        for _ in 0..2 {
            kernel.sendto(&one, b"x", 0, Some(&address("/other"))).expect("sendto");
        }
        let mut batch = Batch::zeros(2, 8);
        batch.names = vec![vec![0xff; 16], vec![0xff; 4]];
        assert_eq!(batch.receive(&kernel, &other), Ok(2));
        let name = address("/one");
        assert_eq!(batch.headers[0].msg_namelen, 6);
        assert_eq!(batch.headers[1].msg_namelen, 6, "cut, and the whole length told");
        assert_eq!((&batch.names[0][..6], &batch.names[1][..]), (&name[..], &name[..4]));
        assert_eq!(batch.names[0][6..], [0xff; 10]);
    }
}

/// C26 with `recvmsg_x`: since 14.0 what is queued comes first and the reset with the next call. Up
/// to 13 the reset ends the call that received the last datagrams, which are lost so.
#[test]
fn a_dead_peers_last_words() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        Batch::zeros(2, 60).send(&kernel, &one).expect("sendmsg_x");
        drop(one);
        if NEW.contains(&version) {
            assert_eq!(Batch::zeros(4, 60).receive(&kernel, &other), Ok(2));
        }
        assert_eq!(Batch::zeros(4, 60).receive(&kernel, &other), Err(Errno::ECONNRESET));
        assert_eq!(Batch::zeros(4, 60).receive(&kernel, &other), Err(Errno::EAGAIN));
        assert_eq!(Batch::zeros(4, 60).send(&kernel, &other), Err(Errno::EDESTADDRREQ));
    }
}

/// §7: `sendmsg_x` to a dead peer is `ECONNRESET` once, then `EDESTADDRREQ`.
#[test]
fn sending_to_a_dead_peer() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        drop(other);
        assert_eq!(Batch::zeros(3, 60).send(&kernel, &one), Err(Errno::ECONNRESET));
        assert_eq!(Batch::zeros(3, 60).send(&kernel, &one), Err(Errno::EDESTADDRREQ));
    }
}

/// §7, C24: since 14.0 a peer that fills up is a short count, and `ENOBUFS` only when none went.
#[test]
fn since_14_a_full_peer_is_a_short_count() {
    for version in NEW {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        assert_eq!(Batch::zeros(5, 1500).send(&kernel, &one), Ok(2));
        assert_eq!(queued(&kernel, &other), 2);
        assert_eq!(Batch::zeros(5, 1500).send(&kernel, &one), Err(Errno::ENOBUFS));
    }
}

/// `sendmsg_x` of 13: the message that found no room was taken from its buffers, which is progress,
/// so that `ENOBUFS` is no error; the count is of those before it, even if that is 0.
#[test]
fn on_13_a_full_peer_is_a_count_of_none() {
    let kernel = SimKernel::boot(MacOs::V13, 1);
    let (one, other) = pair(&kernel);
    assert_eq!(Batch::zeros(5, 1500).send(&kernel, &one), Ok(2));
    assert_eq!(Batch::zeros(5, 1500).send(&kernel, &one), Ok(0));
    assert_eq!(queued(&kernel, &other), 2);
}

/// `sendmsg_x` of 12 counts messages whose buffers were taken from: the one that found no room is
/// counted as sent, and is lost.
#[test]
fn on_12_the_message_that_found_no_room_is_counted() {
    let kernel = SimKernel::boot(MacOs::V12, 1);
    let (one, other) = pair(&kernel);
    assert_eq!(Batch::zeros(5, 1500).send(&kernel, &one), Ok(3));
    assert_eq!(Batch::zeros(5, 1500).send(&kernel, &one), Ok(1));
    assert_eq!(queued(&kernel, &other), 2);
    // And so are empty messages after it, which nobody tried to send.
    let sent = Batch::of([vec![0; 1500], vec![], vec![], vec![0; 9]]).send(&kernel, &one);
    assert_eq!(sent, Ok(3));
    assert_eq!(queued(&kernel, &other), 2);
}

/// C24: since 14.0 a message that is too big ends the list: `EMSGSIZE` if it is the first, else a
/// short count. Up to 13 it is `EMSGSIZE` although others went.
#[test]
fn a_message_that_is_too_big() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        set(&kernel, &one, SO_SNDBUF, 100).expect("SO_SNDBUF");
        let sent = Batch::of([vec![0; 101], vec![0; 10]]).send(&kernel, &one);
        assert_eq!(sent, Err(Errno::EMSGSIZE));
        assert_eq!(queued(&kernel, &other), 0);
        let sent = Batch::of([vec![0; 100], vec![0; 101], vec![0; 10]]).send(&kernel, &one);
        assert_eq!(sent, if OLD.contains(&version) { Err(Errno::EMSGSIZE) } else { Ok(1) });
        assert_eq!(queued(&kernel, &other), 1);
    }
}

/// C24: an error that is not of room or size is given although messages went before it: here, of
/// names, by the slow loop.
#[test]
fn other_errors_hide_what_was_sent() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = (socket(&kernel), socket(&kernel));
        kernel.bind(&other, &address("/other")).expect("bind");
        let mut batch = Batch::zeros(3, 10);
        batch.names = vec![address("/other"), address("/nobody"), address("/other")];
        assert_eq!(batch.send(&kernel, &one), Err(Errno::ENOENT));
        assert_eq!(queued(&kernel, &other), 1);
    }
}

/// C24: names are used on a socket that is not connected, and since 14.0 ignored on one that is; up
/// to 13 they are `EISCONN` there.
#[test]
fn names_of_messages() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let (third, fourth) = (socket(&kernel), socket(&kernel));
        kernel.bind(&third, &address("/third")).expect("bind");
        let mut batch = Batch::zeros(1, 10);
        batch.names = vec![address("/third")];
        assert_eq!(batch.send(&kernel, &fourth), Ok(1));
        assert_eq!(queued(&kernel, &third), 1);
        let sent = batch.send(&kernel, &one);
        if OLD.contains(&version) {
            assert_eq!(sent, Err(Errno::EISCONN));
        } else {
            assert_eq!(sent, Ok(1));
            assert_eq!((queued(&kernel, &other), queued(&kernel, &third)), (1, 1));
        }
    }
}

/// `mbuf_allocpacket` makes no packet of no bytes: since 14.0 an empty message is `EINVAL` for all
/// of a list. Up to 13 it is sent.
#[test]
fn an_empty_message() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let sent = Batch::of([vec![0; 10], vec![], vec![0; 10]]).send(&kernel, &one);
        let expected = if OLD.contains(&version) { (Ok(3), 3) } else { (Err(Errno::EINVAL), 0) };
        assert_eq!((sent, queued(&kernel, &other)), expected);
    }
}

/// Received datagrams of no bytes: up to 13 a call that received nothing else and then found no
/// more says `EAGAIN`, and they are lost.
#[test]
fn empty_datagrams_alone_are_lost_up_to_13() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        kernel.write(&one, &[]).expect("write");
        let received = Batch::zeros(3, 10).receive(&kernel, &other);
        assert_eq!(received, if OLD.contains(&version) { Err(Errno::EAGAIN) } else { Ok(1) });
        assert_eq!(queued(&kernel, &other), 0);
        kernel.write(&one, &[]).expect("write");
        kernel.write(&one, b"x").expect("write");
        assert_eq!(Batch::zeros(3, 10).receive(&kernel, &other), Ok(2));
    }
}

/// `internalize_user_msg_x`: no buffers are `EMSGSIZE`; since 14.4 the messages before, of which
/// none was sent, are counted as sent.
#[test]
fn a_message_without_buffers() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let mut batch = Batch::zeros(3, 10);
        batch.headers[0].msg_iovlen = 0;
        assert_eq!(batch.send(&kernel, &one), Err(Errno::EMSGSIZE));
        batch.headers[0].msg_iovlen = 1;
        batch.headers[2].msg_iovlen = 0;
        let sent = batch.send(&kernel, &one);
        assert_eq!(sent, if version < MacOs::V14_4 { Err(Errno::EMSGSIZE) } else { Ok(2) });
        assert_eq!(queued(&kernel, &other), 0);
    }
}

/// `recvmsg_x` since 14.0 dequeues first: what then cannot be copied out is lost.
#[test]
fn since_14_datagrams_that_cannot_be_copied_out_are_lost() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        Batch::zeros(3, 10).send(&kernel, &one).expect("sendmsg_x");
        let mut batch = Batch::zeros(3, 10);
        batch.headers[1].msg_iovlen = 0;
        assert_eq!(batch.receive(&kernel, &other), Err(Errno::EMSGSIZE));
        assert_eq!(queued(&kernel, &other), if OLD.contains(&version) { 3 } else { 0 });
    }
}

/// `recvmsg_x` since 14.0 compares the wrong way round whether a message's buffers fit the memory
/// of the one before: more of them overwrite the kernel, which the simulation does not let pass.
#[test]
#[should_panic(expected = "give all messages as many buffers")]
fn since_14_more_buffers_than_the_message_before_overrun_the_kernel() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (one, other) = roomy_pair(&kernel);
    Batch::zeros(2, 10).send(&kernel, &one).expect("sendmsg_x");
    let mut buffers = [[0; 4]; 3];
    let mut vectors = buffers.each_mut().map(|buffer| vector(buffer));
    let at = |place: usize| vectors.as_ptr().expose_provenance() as u64 + 16 * place as u64;
    let header =
        |place, count| msghdr_x { msg_iov: at(place), msg_iovlen: count, ..msghdr_x::default() };
    let mut headers = [header(0, 1), header(1, 2)];
    vectors.reverse();
    // SAFETY: both headers point at vectors, and those at buffers, that live across the call.
    let _ = unsafe { kernel.recvmsg_x(&other, headers.as_mut_ptr(), 2, MSG_DONTWAIT) };
}

/// M21: the mbufs of a list are made otherwise than those of a write: between 81 and 304 bytes they
/// are two without a cluster, so that a buffer holds far more of them.
#[test]
fn lists_of_small_frames_take_less_memory() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (one, _other) = pair(&kernel);
    assert_eq!(fill(&kernel, &one, 100), (13, Errno::ENOBUFS));
    let (one, _other) = pair(&kernel);
    // 4,096 / 116, which comes before 8 x 4,096 / 768.
    assert_eq!(Batch::zeros(60, 100).send(&kernel, &one), Ok(35));
}

/// M21: and above 4,096 bytes they have clusters of 16 KiB, so that on 14.0, where memory is
/// bounded by 8 MiB, a buffer holds fewer.
#[test]
fn lists_of_jumbo_frames_take_more_memory() {
    let held = |by_list: bool| {
        let kernel = SimKernel::boot(MacOs::V14_0, 1);
        let (one, other) = roomy_pair(&kernel);
        set(&kernel, &other, SO_RCVBUF, 7 << 20).expect("SO_RCVBUF");
        if by_list {
            Batch::zeros(1200, 4097).send(&kernel, &one).expect("sendmsg_x")
        } else {
            fill(&kernel, &one, 4097).0
        }
    };
    // 8 MiB / (256 + 2 x 4,352), and / (256 + 256 + 16,384) and the one that begins below it.
    assert_eq!([held(false), held(true)], [936, 497]);
}

/// §7: `kern.ipc.sendmsg_x_mode` = 1 has `sendmsg_x` send one by one, which allows empty messages
/// and any flag (since 14.0).
#[test]
fn the_slow_loop_can_be_chosen() {
    for version in NEW {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let name = c"kern.ipc.sendmsg_x_mode";
        kernel.sysctlbyname(name, &mut [], Some(&1u32.to_le_bytes())).expect("sysctl");
        let mut batch = Batch::of([vec![0; 10], vec![], vec![0; 10]]);
        assert_eq!(batch.send_with(&kernel, &one, MSG_NOSIGNAL), Ok(3));
        assert_eq!(queued(&kernel, &other), 3);
    }
}

/// §7 libsystem: a system without the two calls gives `ENOSYS`, and no system call was made.
#[test]
fn a_system_without_the_calls() {
    let options = BootOptions { without_message_calls: true, ..BootOptions::default() };
    let kernel = SimKernel::boot_with(options);
    let (one, other) = roomy_pair(&kernel);
    let before = kernel.counters();
    assert_eq!(Batch::zeros(2, 10).send(&kernel, &one), Err(Errno::ENOSYS));
    assert_eq!(Batch::zeros(2, 10).receive(&kernel, &other), Err(Errno::ENOSYS));
    assert_eq!(kernel.counters().since(&before).total_calls(), 0);
    assert_eq!(kernel.write(&one, b"x"), Ok(1));
}

/// Both calls are for sockets.
#[test]
fn other_descriptors_are_no_sockets() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let queue = kernel.kqueue().expect("kqueue");
        let [received, sent] = count_alone(&kernel, &queue, 1, MSG_DONTWAIT);
        assert_eq!([received, sent], [Err(Errno::ENOTSOCK); 2]);
    }
}

/// A null array is `EFAULT`.
#[test]
fn no_array_is_a_bad_address() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        kernel.write(&one, b"x").expect("write");
        // SAFETY: null, which the kernel refuses.
        let received = unsafe { kernel.recvmsg_x(&other, std::ptr::null_mut(), 1, MSG_DONTWAIT) };
        // SAFETY: as above.
        let sent = unsafe { kernel.sendmsg_x(&one, std::ptr::null(), 1, MSG_DONTWAIT) };
        assert_eq!([received, sent], [Err(Errno::EFAULT); 2]);
    }
}

/// A blocking `recvmsg_x` waits for the first datagram alone.
#[test]
fn a_blocking_receive_waits_for_one() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        let sender = kernel.share(&one, &kernel).expect("share");
        kernel.schedule(Duration::from_millis(3), move |kernel| {
            kernel.write(&sender, b"late").expect("write");
        });
        let before = kernel.now();
        let mut batch = Batch::zeros(4, 10);
        assert_eq!(batch.receive_with(&kernel, &other, 0), Ok(1));
        assert_eq!(batch.lens()[0], 4);
        assert!(kernel.now() - before >= Duration::from_millis(3));
    }
}
