//! The lane against a kernel that stops wherever it can, in the manner of new and of old ones.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::Ordering;

use nix::sys::memfd::{MFdFlags, memfd_create};
use proptest::prelude::*;

use super::*;
use crate::xdp::ring::{ADDRESS_BYTES, DESCRIPTOR_BYTES, Layout};

proptest! {
    #[test]
    fn each_frame_is_sent_once_or_given_back(
        is_old in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (mut lane, kernel) = lane_and_kernel(is_old);
        let mut number = 0_u64;
        let mut expected = Vec::new();
        for step in steps {
            match step {
                Step::Send { count, fault, goes_down } => {
                    let frames: Vec<_> = (number..).map(frame).take(count).collect();
                    let outgoing: Vec<_> = frames.iter().map(|it| Outgoing::new(it)).collect();
                    number += count as u64;
                    kernel.set_fault(fault, goes_down);
                    let was_given_up = lane.is_given_up;
                    let idle = kernel.free_chunks();
                    let sent = lane.send(&outgoing, 1514, &kernel);
                    kernel.set_fault(None, false);
                    let whole = count.min(BATCH_MAX).min(idle);
                    let reached = fault.filter(|fault| fault.after < whole);
                    let tried = match reached.filter(|_| !was_given_up) {
                        None => sent.taken,
                        Some(fault) => fault.after,
                    };
                    expected.extend_from_slice(&frames[..tried]);
                    prop_assert_eq!(kernel.sent(), expected.clone(), "{:?}", sent);
                    match (was_given_up, reached) {
                        (true, _) => prop_assert_eq!(sent, Sent { taken: 0, then: Then::Untried }),
                        (false, None) => {
                            prop_assert_eq!(sent, Sent { taken: whole, then: Then::Untried });
                        }
                        (false, Some(Fault { after, errno })) => {
                            let then =
                                if errno == libc::EBUSY { Then::Lost } else { Then::Untried };
                            let is_lost = goes_down && errno != libc::ENETDOWN;
                            let taken = match is_lost {
                                // One less is taken where one more is said to be lost.
                                true => whole - usize::from(then == Then::Lost),
                                false => after,
                            };
                            prop_assert_eq!(sent, Sent { taken, then });
                        }
                    }
                }
                Step::Complete { count, from_the_end } => kernel.complete(count, from_the_end),
                Step::Resume { is_down } => {
                    let down = Fault { after: 0, errno: libc::ENETDOWN };
                    kernel.set_fault(is_down.then_some(down), false);
                    lane.resume(&kernel);
                    kernel.set_fault(None, false);
                    prop_assert!(is_down || !lane.is_given_up);
                    prop_assert_eq!(kernel.sent(), expected.clone(), "what was void is sent");
                }
            }
        }
        // Nothing is lost for good: all the memory can be used again.
        lane.resume(&kernel);
        assert_all_idle(&mut lane, &kernel);
    }
}

#[test]
fn an_interface_that_goes_down_within_a_stop_loses_frames_and_sends_none_twice() {
    for is_old in [false, true] {
        let (mut lane, kernel) = lane_and_kernel(is_old);
        kernel.set_fault(Some(Fault { after: 5, errno: libc::ENOBUFS }), true);
        let frames: Vec<_> = (0..20).map(frame).collect();
        let outgoing: Vec<_> = frames.iter().map(|it| Outgoing::new(it)).collect();
        assert_eq!(lane.send(&outgoing, 1514, &kernel), Sent { taken: 20, then: Then::Untried });
        assert_eq!(kernel.sent(), frames[..5]);
        lane.resume(&kernel);
        assert!(lane.is_given_up, "it is down still");
        kernel.set_fault(None, false);
        lane.resume(&kernel);
        assert_eq!(kernel.sent(), frames[..5]);
        assert_eq!(lane.send(&outgoing, 1514, &kernel).taken, 20);
        assert_all_idle(&mut lane, &kernel);
    }
}

#[test]
fn without_the_kernels_count_nothing_is_sent_twice() {
    for untold in [1, 2] {
        let (mut lane, kernel) = lane_and_kernel(false);
        let frames: Vec<_> = (0..20).map(frame).collect();
        let outgoing: Vec<_> = frames.iter().map(|it| Outgoing::new(it)).collect();
        // So that the count is not 0 from the beginning.
        for after in [3, 5] {
            kernel.set_fault(Some(Fault { after, errno: libc::ENOBUFS }), false);
            let sent = lane.send(&outgoing, 1514, &kernel);
            assert_eq!(sent.taken, if after == 3 { 3 } else { 20 });
            lane.resume(&kernel);
            kernel.0.borrow().untold_counts.set(untold);
        }
        assert_eq!(kernel.sent(), [&frames[..3], &frames[..5]].concat());
    }
}

/// As a driver answers that passes frames on to another interface, which is down.
#[test]
fn an_error_that_stopped_nothing_is_none() {
    let (mut lane, kernel) = lane_and_kernel(false);
    kernel.set_fault(Some(Fault { after: 20, errno: libc::ENETDOWN }), false);
    let frames: Vec<_> = (0..20).map(frame).collect();
    let outgoing: Vec<_> = frames.iter().map(|it| Outgoing::new(it)).collect();
    assert_eq!(lane.send(&outgoing, 1514, &kernel), Sent { taken: 20, then: Then::Untried });
    assert_eq!(kernel.sent(), frames);
    assert_all_idle(&mut lane, &kernel);
}

/// All the memory can be used again once everything has been sent.
#[track_caller]
fn assert_all_idle(lane: &mut Lane, kernel: &FakeKernel) {
    kernel.complete(usize::MAX, false);
    lane.reap();
    lane.idle.sort_unstable();
    assert!(lane.idle.iter().copied().eq(0..CHUNKS), "{} chunks", lane.idle.len());
}

#[test]
fn what_is_not_for_this_way_is_left() {
    let (mut lane, kernel) = lane_and_kernel(false);
    let (short, long) = ([1; 13], [1; 2048]);
    let whole = [2; 2047];
    let tagged = crate::VnetHdr { flags: crate::VnetHdr::NEEDS_CSUM, ..Default::default() };
    for frame in [
        Outgoing::new(&short),
        Outgoing::new(&long),
        Outgoing::new(&whole[..1515]),
        Outgoing::new(&whole[..60]).with_vnet(tagged),
    ] {
        let both = [Outgoing::new(&whole[..100]), frame, Outgoing::new(&whole[..100])];
        assert_eq!(lane.send(&both, 1514, &kernel).taken, 1);
        assert_eq!(lane.send(&both[1..], 1514, &kernel).taken, 0);
    }
    let pieces = [Outgoing::new(&whole[..1000]).with_tail(&whole[1000..])];
    assert_eq!(lane.send(&pieces, 9014, &kernel).taken, 1);
    assert_eq!(kernel.sent().last(), Some(&whole.to_vec()));
}

/// What a test does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Send { count: usize, fault: Option<Fault>, goes_down: bool },
    Complete { count: usize, from_the_end: bool },
    Resume { is_down: bool },
}

/// The kernel stops after so many frames of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fault {
    after: usize,
    errno: i32,
}

fn step() -> impl Strategy<Value = Step> {
    let errno = prop::sample::select(vec![
        libc::EAGAIN,
        libc::EBUSY,
        libc::ENOBUFS,
        libc::ENETDOWN,
        // Nothing is said: so a full completion ring was told of once.
        0,
    ]);
    let fault = (0..40_usize, errno).prop_map(|(after, errno)| {
        let after = if errno == libc::ENETDOWN { 0 } else { after };
        Fault { after, errno }
    });
    prop_oneof![
        3 => (0..70_usize, prop::option::of(fault), any::<bool>())
            .prop_map(|(count, fault, goes_down)| Step::Send { count, fault, goes_down }),
        1 => (0..300_usize, any::<bool>())
            .prop_map(|(count, from_the_end)| Step::Complete { count, from_the_end }),
        1 => any::<bool>().prop_map(|is_down| Step::Resume { is_down }),
    ]
}

/// A frame that differs from any other.
fn frame(number: u64) -> Vec<u8> {
    let mut bytes = vec![0; 14 + usize::try_from(number % 900).expect("small")];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The other side of the same memory, in the manner of `xsk_generic_xmit`.
struct FakeKernel(RefCell<Inside>);

struct Inside {
    transmit: Mapping,
    completion: Mapping,
    frames: File,
    /// What was taken is shown only when the ring is looked at again; void
    /// descriptors are passed over all at once there.
    is_old: bool,
    seen: u32,
    taken: u32,
    completed: u32,
    passed_over: u64,
    on_their_way: Vec<u64>,
    sent: Vec<Vec<u8>>,
    fault: Option<Fault>,
    /// How many times it does not say what it passed over.
    untold_counts: Cell<u32>,
    /// From the fault on, the interface is down.
    goes_down: bool,
    is_down: bool,
}

const LAYOUT: Layout = Layout { producer: 0, consumer: 64, entries: 128 };

fn lane_and_kernel(is_old: bool) -> (Lane, FakeKernel) {
    let memory = |bytes: usize| {
        let file = File::from(memfd_create(c"ring", MFdFlags::empty()).expect("memory"));
        file.set_len(bytes as u64).expect("its length");
        let map = || Mapping::of(file.as_fd(), 0, bytes).expect("a mapping");
        (map(), map(), file)
    };
    let places = CHUNKS as usize;
    let (transmit, their_transmit, _) = memory(128 + places * DESCRIPTOR_BYTES);
    let (completion, their_completion, _) = memory(128 + places * ADDRESS_BYTES);
    let (frames, _, their_frames) = memory(places * CHUNK_BYTES);
    let rings =
        [transmit, completion].map(|memory| Ring::new(memory, LAYOUT, CHUNKS).expect("a ring"));
    let lane = Lane::new(frames, rings, CHUNKS);
    let inside = Inside {
        transmit: their_transmit,
        completion: their_completion,
        frames: their_frames,
        is_old,
        seen: 0,
        taken: 0,
        completed: 0,
        passed_over: 0,
        on_their_way: Vec::new(),
        sent: Vec::new(),
        fault: None,
        untold_counts: Cell::new(0),
        goes_down: false,
        is_down: false,
    };
    (lane, FakeKernel(RefCell::new(inside)))
}

impl Kernel for FakeKernel {
    fn push_out(&self) -> io::Result<()> {
        self.0.borrow_mut().push_out()
    }

    fn passed_over(&self) -> io::Result<u64> {
        let inside = self.0.borrow();
        if inside.untold_counts.get() > 0 {
            inside.untold_counts.set(inside.untold_counts.get() - 1);
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(inside.passed_over)
    }
}

impl FakeKernel {
    fn sent(&self) -> Vec<Vec<u8>> {
        self.0.borrow().sent.clone()
    }

    /// What happens in the next call that sends so many; without one, the interface is up.
    fn set_fault(&self, fault: Option<Fault>, goes_down: bool) {
        let mut inside = self.0.borrow_mut();
        (inside.fault, inside.goes_down, inside.is_down) = (fault, goes_down, false);
    }

    fn complete(&self, count: usize, from_the_end: bool) {
        self.0.borrow_mut().complete(count, from_the_end);
    }

    fn free_chunks(&self) -> usize {
        CHUNKS as usize - self.0.borrow().on_their_way.len()
    }
}

impl Inside {
    fn push_out(&mut self) -> io::Result<()> {
        let errno =
            |errno| if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) };
        let down = Fault { after: 0, errno: libc::ENETDOWN };
        if self.is_down || self.fault == Some(down) {
            return errno(libc::ENETDOWN);
        }
        let mut sent = 0;
        let stop = loop {
            let Some((address, len)) = self.next_valid() else {
                // A driver's own error; that it lost a frame would have stopped this before.
                let own = |it: &mut Fault| it.after == sent && it.errno != libc::EBUSY;
                break self.fault.take_if(own).map_or(0, |it| it.errno);
            };
            if let Some(fault) = self.fault.take_if(|fault| fault.after == sent) {
                if fault.errno == libc::EBUSY {
                    self.taken = self.taken.wrapping_add(1);
                    self.on_their_way.push(address);
                }
                self.is_down = self.goes_down;
                break fault.errno;
            }
            self.taken = self.taken.wrapping_add(1);
            let mut bytes = vec![0; len as usize];
            self.frames.read_exact_at(&mut bytes, address).expect("inside of the memory");
            self.sent.push(bytes);
            self.on_their_way.push(address);
            sent += 1;
            assert!(sent <= BATCH_MAX, "a call sends no more");
        };
        if sent > 0 && !self.is_old {
            self.show();
        }
        errno(stop)
    }

    fn next_valid(&mut self) -> Option<(u64, u32)> {
        if self.taken == self.seen {
            self.show();
            self.seen = self.transmit.u32_at(LAYOUT.producer).load(Ordering::Acquire);
        }
        while self.taken != self.seen {
            let at = LAYOUT.entries + (self.taken % CHUNKS) as usize * DESCRIPTOR_BYTES;
            let address = self.transmit.u64_at(at).load(Ordering::Relaxed);
            let len = self.transmit.u32_at(at + 8).load(Ordering::Relaxed);
            let end = u64::from(CHUNKS) * CHUNK_BYTES as u64;
            if address < end {
                return Some((address, len));
            }
            self.taken = self.taken.wrapping_add(1);
            self.passed_over += 1;
            if !self.is_old {
                return None;
            }
        }
        None
    }

    fn show(&self) {
        self.transmit.u32_at(LAYOUT.consumer).store(self.taken, Ordering::Release);
    }

    fn complete(&mut self, count: usize, from_the_end: bool) {
        if from_the_end {
            self.on_their_way.reverse();
        }
        let count = count.min(self.on_their_way.len());
        for address in self.on_their_way.drain(..count) {
            let at = LAYOUT.entries + (self.completed % CHUNKS) as usize * ADDRESS_BYTES;
            self.completion.u64_at(at).store(address, Ordering::Relaxed);
            self.completed = self.completed.wrapping_add(1);
        }
        self.completion.u32_at(LAYOUT.producer).store(self.completed, Ordering::Release);
    }
}
