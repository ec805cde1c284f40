//! The host's end: what the kernel's answers on a pair of feths become.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bpf::capture::BatchWriter;
use ifctl::xnu::{FethOptions, FethPair, Interfaces};
use testkit::log::warnings;
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::Errno;

use super::{Hand, fail_once};
use crate::counters::DropReason;
use crate::port::xnu::{Link, LinkKeeper, LinkOptions, Tended, UplinkPort};
use crate::port::{Gone, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// What the keeper is to answer, in turn; then that all is well.
type Answers = Arc<Mutex<VecDeque<Tended<SimKernel>>>>;

#[derive(Debug)]
struct Keeper(Answers);

impl LinkKeeper<SimKernel> for Keeper {
    fn tend(&mut self, _: bool, _: Nanos) -> Tended<SimKernel> {
        self.0.lock().unwrap().pop_front().unwrap_or(Tended::Kept)
    }

    fn set_addresses(&mut self, _: Option<&[crate::MacAddr]>) {}
}

/// A port on one end of a pair; the other is the test's.
struct Bench {
    kernel: SimKernel,
    pair: FethPair,
    port: UplinkPort<SimKernel>,
    answers: Answers,
    far: Link<SimKernel>,
    hand: Hand,
}

/// Longer than a frame is on its way through the pair.
const MS: Duration = Duration::from_millis(1);

const VERSIONS_WITH_BATCHES: [MacOs; 2] = [MacOs::V14_4, MacOs::V15];

impl Bench {
    fn new(version: MacOs) -> Self {
        let kernel = SimKernel::boot(version, 1);
        let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
        let options = FethOptions { up: true, ..FethOptions::default() };
        let pair = interfaces.create_feth_pair(&options).unwrap();
        let far = open(&kernel, &pair.bridge_end);
        let answers = Answers::default();
        let keeper = Box::new(Keeper(Arc::clone(&answers)));
        let port = UplinkPort::new(open(&kernel, &pair.switch_end), keeper);
        Self { kernel, pair, port, answers, far, hand: Hand::new() }
    }

    fn send(&mut self, frames: &[Vec<u8>]) -> Sent {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        self.hand.send(&mut self.port, &frames)
    }

    /// By how many calls of the device's the frame went: by none, it was the socket.
    fn writes(&mut self, frame: Vec<u8>) -> u64 {
        let before = self.kernel.counters();
        let sent = self.send(&[frame]);
        assert!(sent.taken_frames == 1 && sent.then.is_none(), "{sent:?}");
        self.kernel.counters().since(&before).of("write")
    }

    /// The first bytes after the header of the frames that came out of the far end.
    fn arrived(&mut self) -> Vec<u8> {
        self.kernel.run_for(MS);
        let mut numbers = Vec::new();
        while self.far.device.fill().unwrap() {
            while let Some(record) = self.far.device.next_record() {
                numbers.push(record.frame[14]);
            }
        }
        numbers
    }

    fn answer(&mut self, tended: Tended<SimKernel>) -> Result<Nanos, Gone> {
        self.answers.lock().unwrap().push_back(tended);
        self.port.upkeep(Nanos(1))
    }

    fn generation(&self) -> Option<u32> {
        self.port.source().map(|source| source.generation)
    }

    fn new_link(&self) -> Tended<SimKernel> {
        Tended::Built(Box::new(open(&self.kernel, &self.pair.switch_end)))
    }
}

fn open(kernel: &SimKernel, interface: &str) -> Link<SimKernel> {
    let options = LinkOptions { is_own_feth: true, ..LinkOptions::default() };
    Link::open(kernel.clone(), interface, &options).unwrap()
}

fn frame(number: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![number; len];
    frame[..6].fill(0xff);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame
}

fn frames(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|number| frame(number, 300)).collect()
}

#[test]
fn the_longest_frame_goes_by_the_device_and_a_longer_one_is_no_end_of_batches() {
    for version in VERSIONS_WITH_BATCHES {
        let mut bench = Bench::new(version);
        assert_eq!(bench.writes(frame(1, 1518)), 1, "{version:?}");
        let sent = bench.send(&[frame(2, 60), frame(3, 1519), frame(4, 60)]);
        assert!(sent.taken_frames == 1 && sent.then.is_none(), "{sent:?}");
        let sent = bench.send(&[frame(3, 1519), frame(4, 60)]);
        assert!(matches!(sent.then, Some(SendFault::TooBig)), "{sent:?}");
        assert_eq!(bench.writes(frame(4, 60)), 1, "{version:?}");
        assert_eq!(bench.arrived(), [1, 2, 4]);
    }
}

/// The kernel answers for the last frame of a batch alone: the others are not sent again.
#[test]
fn of_a_batch_with_a_loss_the_last_frame_counts_as_lost() {
    for version in VERSIONS_WITH_BATCHES {
        let mut bench = Bench::new(version);
        fail_once(&bench.kernel, "write", Errno::ENOBUFS);
        let sent = bench.send(&frames(20));
        assert_eq!(sent.taken_frames, 19, "{version:?}");
        assert!(matches!(sent.then, Some(SendFault::Lost)), "{sent:?}");
        assert_eq!(bench.writes(frame(0, 60)), 1, "batches go on");
    }
}

/// Nothing has such frames for it, but if it did the others would not pay for it.
#[test]
fn a_frame_without_a_header_is_lost_alone() {
    for version in MacOs::ALL {
        let mut bench = Bench::new(version);
        let sent = bench.send(&[frame(1, 60), vec![0; 10], frame(2, 60)]);
        assert_eq!(sent.taken_frames, 1, "{version:?}");
        assert!(matches!(sent.then, Some(SendFault::Lost)), "{sent:?}");
        assert_eq!(bench.arrived(), [1]);
        let batches = VERSIONS_WITH_BATCHES.contains(&version);
        assert_eq!(bench.writes(frame(0, 60)), u64::from(batches), "as before");
    }
}

/// What the kernel took of a batch that it cut short is not sent again by the socket.
#[test]
fn a_batch_that_was_cut_short_goes_on_behind_what_was_taken() {
    for version in VERSIONS_WITH_BATCHES {
        let mut bench = Bench::new(version);
        let all = frames(20);
        let mut first_three = BatchWriter::new(4096);
        all[..3].iter().for_each(|frame| first_three.push(frame).unwrap());
        let action = FaultAction::Short(first_three.as_bytes().len());
        bench.kernel.add_fault(Fault { call: "write", object: None, after: 0, times: 1, action });
        let sent = bench.send(&all);
        assert!(sent.taken_frames == 3 && sent.then.is_none(), "{version:?}: {sent:?}");
        let sent = bench.send(&all[3..]);
        assert!(sent.taken_frames == 17 && sent.then.is_none(), "{version:?}: {sent:?}");
        assert_eq!(bench.arrived(), (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn an_interface_that_is_down_is_no_end_of_batches() {
    for version in VERSIONS_WITH_BATCHES {
        let mut bench = Bench::new(version);
        bench.kernel.set_interface_up(&bench.pair.switch_end, false).unwrap();
        let sent = bench.send(&frames(3));
        assert!(sent.taken_frames == 0 && matches!(sent.then, Some(SendFault::NoPeer)), "{sent:?}");
        bench.kernel.set_interface_up(&bench.pair.switch_end, true).unwrap();
        assert_eq!(bench.writes(frame(0, 60)), 1, "{version:?}");
    }
}

/// Whether the kernel takes batches is asked of each new link.
#[test]
fn a_refused_batch_says_nothing_of_the_next_link() {
    for version in VERSIONS_WITH_BATCHES {
        let mut bench = Bench::new(version);
        fail_once(&bench.kernel, "write", Errno::EINVAL);
        bench.writes(frame(0, 60));
        assert_eq!(bench.writes(frame(0, 60)), 0, "not asked again");
        let link = bench.new_link();
        assert!(bench.answer(link).is_ok());
        assert_eq!(bench.writes(frame(0, 60)), 1, "{version:?}");
    }
}

/// The new device may have the old one's number: the loop must see that it is another.
#[test]
fn each_link_is_another_source() {
    let mut bench = Bench::new(MacOs::V15);
    assert_eq!(bench.generation(), Some(0));
    let link = bench.new_link();
    assert!(bench.answer(link).is_ok());
    let second = bench.generation();
    assert!(second > Some(0), "one in the place of one that was there");
    assert!(bench.answer(Tended::Lost).is_ok());
    assert_eq!(bench.generation(), None);
    assert!(bench.answer(Tended::Lost).is_ok(), "there is none to lose");
    let link = bench.new_link();
    assert!(bench.answer(link).is_ok());
    assert!(bench.generation() > second, "and one in the place of none");
    assert!(bench.answer(Tended::Kept).is_ok());
    assert_eq!(bench.writes(frame(0, 60)), 1);
}

#[test]
fn a_keeper_that_gives_up_ends_the_port() {
    let mut bench = Bench::new(MacOs::V15);
    assert!(matches!(bench.answer(Tended::Gone(Gone::Closed)), Err(Gone::Closed)));
}

/// Read already, a frame for which there is no room waits in the device's buffer.
#[test]
fn without_buffers_no_frame_is_lost() {
    for version in MacOs::ALL {
        let mut bench = Bench::new(version);
        for frame in frames(5) {
            bench.far.socket.send(&frame).unwrap();
        }
        bench.kernel.run_for(MS);
        let (received, none) = Hand::with_pool(0).receive(&mut bench.port);
        assert!(matches!(received, Received::NoBuffers) && none.is_empty(), "{received:?}");
        let (received, got) = bench.hand.receive(&mut bench.port);
        assert!(matches!(received, Received::More), "{received:?}");
        assert_eq!(got, frames(5), "{version:?}");
        assert!(matches!(bench.hand.receive(&mut bench.port).0, Received::Drained));
    }
}

/// A filter may cut frames; what is not whole is not passed on.
#[test]
fn a_cut_frame_is_counted_and_not_passed_on() {
    for version in MacOs::ALL {
        let mut bench = Bench::new(version);
        let cuts_to_100_bytes = bpf::Program::from(vec![(0x06, 0, 0, 100).into()]);
        let mut link = open(&bench.kernel, &bench.pair.switch_end);
        let options = bpf::device::Options { filter: cuts_to_100_bytes, ..Default::default() };
        let name = bench.pair.switch_end.parse().unwrap();
        link.device = bpf::Device::open_on(bench.kernel.clone(), name, &options).unwrap();
        assert!(bench.answer(Tended::Built(Box::new(link))).is_ok());
        for len in [300, 60, 300] {
            bench.far.socket.send(&frame(1, len)).unwrap();
        }
        bench.kernel.run_for(MS);
        let got = bench.hand.receive(&mut bench.port).1;
        assert_eq!(got, [frame(1, 60)], "{version:?}");
        assert_eq!(bench.hand.rejected(DropReason::Oversize), 2);
    }
}

/// A down interface, or a busy one, is not told of with each frame.
#[test]
fn a_down_interface_is_told_of_once_for_each_link() {
    for version in MacOs::ALL {
        let mut bench = Bench::new(version);
        bench.kernel.set_interface_up(&bench.pair.switch_end, false).unwrap();
        for _ in 0..2 {
            let told = warnings(|| {
                for _ in 0..5 {
                    let sent = bench.send(&frames(3));
                    assert!(matches!(sent.then, Some(SendFault::NoPeer)), "{sent:?}");
                }
            });
            assert_eq!(told, 1, "{version:?}");
            let link = bench.new_link();
            assert!(bench.answer(link).is_ok());
        }
    }
}
