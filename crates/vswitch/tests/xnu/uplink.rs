//! The uplink's port: BPF in, BPF or NDRV out, on the switch's end of a feth pair.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ifctl::xnu::{FethOptions, FethPair, Interfaces};
use vswitch::Nanos;
use vswitch::counters::DropReason;
use vswitch::port::xnu::{Link, LinkKeeper, LinkOptions, Tended, UplinkPort};
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::{Errno, Kernel};

use crate::support::{APPLE, Guest, Rig, on_every_version};

const MS: Duration = Duration::from_millis(1);

/// What the port's keeper is to answer, in turn; then `Kept`.
type Answers = Arc<Mutex<VecDeque<Tended<SimKernel>>>>;

#[derive(Debug)]
struct Keeper {
    answers: Answers,
    had_link: Arc<Mutex<Vec<bool>>>,
}

impl LinkKeeper<SimKernel> for Keeper {
    fn tend(&mut self, has_link: bool, _: Nanos) -> Tended<SimKernel> {
        self.had_link.lock().unwrap().push(has_link);
        self.answers.lock().unwrap().pop_front().unwrap_or(Tended::Kept)
    }

    fn set_addresses(&mut self, _: Option<&[vswitch::MacAddr]>) {}
}

/// A switch with an uplink and a guest; the far end of the pair is the test's.
struct Uplink {
    rig: Rig,
    guest: Guest,
    pair: FethPair,
    operator: SimKernel,
    /// A BPF device and an NDRV socket of the test's on the far end.
    far: Link<SimKernel>,
    answers: Answers,
    had_link: Arc<Mutex<Vec<bool>>>,
}

impl Uplink {
    fn new(version: MacOs) -> Self {
        let mut rig = Rig::new(version);
        let operator = rig.kernel.spawn(true);
        operator.spare();
        let interfaces = Interfaces::open_on(operator.clone()).unwrap();
        let options = FethOptions { up: true, ..FethOptions::default() };
        let pair = interfaces.create_feth_pair(&options).unwrap();
        let far = LinkOptions { is_own_feth: true, ..LinkOptions::default() };
        let far = Link::open(operator.clone(), &pair.bridge_end, &far).unwrap();
        let link = open(&rig.kernel, &pair);
        let (answers, had_link) = (Answers::default(), Arc::default());
        let keeper = Keeper { answers: Arc::clone(&answers), had_link: Arc::clone(&had_link) };
        rig.add("uplink", Box::new(UplinkPort::new(link, Box::new(keeper))));
        let guest = rig.plug(1, APPLE);
        guest.announce();
        rig.run(MS);
        let mut this = Self { rig, guest, pair, operator, far, answers, had_link };
        assert_eq!(this.arrived().len(), 1, "the guest's announcement");
        this
    }

    /// A frame from the guest to somebody behind the uplink.
    fn out(&self, number: u32, len: usize) -> Vec<u8> {
        let mut frame = vec![0; len];
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 9, 9]);
        frame[6..12].copy_from_slice(&self.guest.mac);
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        frame[14..18].copy_from_slice(&number.to_be_bytes());
        frame
    }

    /// A frame from there to the guest.
    fn back(&self, number: u32, len: usize) -> Vec<u8> {
        let mut frame = self.out(number, len);
        frame[..6].copy_from_slice(&self.guest.mac);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 9, 9]);
        frame
    }

    /// What came out of the pair's far end.
    fn arrived(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while self.far.device.fill().unwrap() {
            while let Some(record) = self.far.device.next_record() {
                frames.push(record.frame.to_vec());
            }
        }
        frames
    }

    fn numbers_arrived(&mut self) -> Vec<u32> {
        let frames = self.arrived().into_iter();
        frames.map(|frame| u32::from_be_bytes(frame[14..18].try_into().unwrap())).collect()
    }

    fn fail(&self, call: &'static str, after: u64, times: u64, errno: Errno) {
        let object = Some(self.pair.switch_end.clone());
        let action = FaultAction::Fail(errno);
        self.operator.add_fault(Fault { call, object, after, times, action });
    }

    /// The call by which this version sends many frames.
    fn sender(&self) -> &'static str {
        if self.rig.kernel.version() >= MacOs::V14_4 { "write" } else { "sendmsg_x" }
    }

    fn dropped(&mut self, reason: DropReason) -> u64 {
        self.rig.counters("uplink").egress.dropped.of(reason)
    }
}

fn open(kernel: &SimKernel, pair: &FethPair) -> Link<SimKernel> {
    let options = LinkOptions { is_own_feth: true, ..LinkOptions::default() };
    Link::open(kernel.clone(), &pair.switch_end, &options).unwrap()
}

#[test]
fn frames_go_out_by_one_call_for_many() {
    on_every_version(|version| {
        let mut up = Uplink::new(version);
        let before = up.rig.kernel.counters();
        for number in 0..64 {
            up.guest.send(&up.out(number, 1514)).unwrap();
        }
        up.rig.run(5 * MS);
        assert_eq!(up.numbers_arrived(), (0..64).collect::<Vec<_>>());
        let calls = up.rig.kernel.counters().since(&before);
        assert_eq!(calls.of(up.sender()), 1, "{calls:?}");
    });
}

/// A capture buffer may hold hundreds of frames: they are taken in turns, so that others have
/// theirs.
#[test]
fn a_full_capture_buffer_does_not_hold_up_the_loop() {
    on_every_version(|version| {
        let mut up = Uplink::new(version);
        let (other, third) = (up.rig.plug(2, APPLE), up.rig.plug(3, APPLE));
        other.announce();
        third.announce();
        up.rig.run(MS);
        let _ = (third.numbers(), other.numbers());
        let frames: Vec<_> = (0..1000).map(|number| up.back(number, 100)).collect();
        for chunk in frames.chunks(50) {
            let slices: Vec<&[u8]> = chunk.iter().map(Vec::as_slice).collect();
            assert_eq!(up.far.socket.send_batch(&slices), (50, None));
        }
        up.operator.run_for(5 * MS);
        let before = up.rig.counters("uplink").ingress.received_frames;
        other.send(&other.frame_to(&third, 7, 100)).unwrap();
        let until = Nanos(up.rig.kernel.uptime_ns() + 1_000_000);
        up.rig.switch.step(until).unwrap();
        let first_turn = up.rig.counters("uplink").ingress.received_frames - before;
        // Two turns of four batches: told by the poller, and what was left of that.
        assert!((1..=512).contains(&first_turn), "{first_turn} frames in one step");
        assert_eq!(third.numbers(), [7], "others have their turn");
        up.rig.run(5 * MS);
        assert_eq!(up.guest.numbers(), (0..1000).collect::<Vec<_>>(), "in order, none twice");
    });
}

/// Neither NDRV, feth nor a bridge checks a frame's length (contract §6, §11): the port does.
#[test]
fn a_frame_over_the_mtu_is_dropped_and_the_others_pass_once_in_order() {
    on_every_version(|version| {
        let mut up = Uplink::new(version);
        for number in 0..30 {
            let len = if number % 10 == 5 { 1600 } else { 1514 };
            up.guest.send(&up.out(number, len)).unwrap();
        }
        up.rig.run(5 * MS);
        let expected: Vec<u32> = (0..30).filter(|number| number % 10 != 5).collect();
        assert_eq!(up.numbers_arrived(), expected);
        assert_eq!(up.dropped(DropReason::Mtu), 3);
    });
}

/// The contract's table: `ENOBUFS` of the interface's queue is a lost frame, counted.
#[test]
fn a_frame_lost_in_the_kernel_is_counted_and_nothing_is_sent_twice() {
    on_every_version(|version| {
        let mut up = Uplink::new(version);
        up.fail(up.sender(), 0, 1, Errno::ENOBUFS);
        for number in 0..20 {
            up.guest.send(&up.out(number, 300)).unwrap();
        }
        up.rig.run(5 * MS);
        let arrived = up.numbers_arrived();
        assert!(arrived.is_sorted_by(|a, b| a < b), "{arrived:?}");
        assert!(up.dropped(DropReason::Kernel) >= 1);
        for number in 100..120 {
            up.guest.send(&up.out(number, 300)).unwrap();
        }
        up.rig.run(5 * MS);
        assert_eq!(up.numbers_arrived(), (100..120).collect::<Vec<_>>());
    });
}

/// `ENETDOWN`: the frames are dropped, and the port is there when the interface is up again.
#[test]
fn a_down_interface_loses_frames_and_not_the_port() {
    on_every_version(|version| {
        let mut up = Uplink::new(version);
        up.operator.set_interface_up(&up.pair.switch_end.clone(), false).unwrap();
        up.guest.send(&up.out(1, 300)).unwrap();
        up.rig.run(5 * MS);
        assert_eq!(up.dropped(DropReason::NoPeer), 1);
        up.operator.set_interface_up(&up.pair.switch_end.clone(), true).unwrap();
        up.guest.send(&up.out(2, 300)).unwrap();
        up.rig.run(5 * MS);
        assert_eq!(up.numbers_arrived(), [2]);
        assert!(*up.had_link.lock().unwrap().last().unwrap());
    });
}

/// `ENXIO`: the descriptors are closed at once, since a stale NDRV socket would point at whatever
/// has that name later (contract §6), and the keeper is told that there is no link.
#[test]
fn a_gone_interface_ends_the_link_and_a_new_one_takes_its_place() {
    on_every_version(|version| {
        let mut up = Uplink::new(version);
        let open_before = up.rig.kernel.open_descriptors().len();
        up.operator.destroy_interface(&up.pair.switch_end.clone()).unwrap();
        up.operator.run_for(300 * MS);
        up.guest.send(&up.out(1, 300)).unwrap();
        up.rig.run(5 * MS);
        assert_eq!(up.rig.kernel.open_descriptors().len(), open_before - 2, "both are closed");
        up.rig.run(300 * MS);
        assert!(!*up.had_link.lock().unwrap().last().unwrap());
        up.guest.send(&up.out(2, 300)).unwrap();
        up.rig.run(5 * MS);
        assert!(up.dropped(DropReason::NoPeer) >= 2, "with no link nothing is kept");
        // Somebody makes another pair, and hands the port a link on it.
        let interfaces = Interfaces::open_on(up.operator.clone()).unwrap();
        let options = FethOptions { up: true, ..FethOptions::default() };
        up.pair = interfaces.create_feth_pair(&options).unwrap();
        let far = LinkOptions { is_own_feth: true, ..LinkOptions::default() };
        up.far = Link::open(up.operator.clone(), &up.pair.bridge_end, &far).unwrap();
        let link = open(&up.rig.kernel, &up.pair);
        up.answers.lock().unwrap().push_back(Tended::Built(Box::new(link)));
        up.rig.run(300 * MS);
        up.guest.send(&up.out(3, 300)).unwrap();
        up.far.socket.send(&up.back(4, 300)).unwrap();
        up.rig.run(5 * MS);
        assert_eq!(up.numbers_arrived(), [3]);
        assert_eq!(up.guest.numbers(), [4]);
    });
}

/// The keeper says so before the port finds out: a link on something that is going is let go of.
#[test]
fn a_link_that_the_keeper_calls_lost_is_closed() {
    let mut up = Uplink::new(MacOs::V15);
    let open_before = up.rig.kernel.open_descriptors().len();
    up.answers.lock().unwrap().push_back(Tended::Lost);
    up.rig.run(300 * MS);
    assert_eq!(up.rig.kernel.open_descriptors().len(), open_before - 2);
}

/// A kernel that takes no batch after all: what was refused as a whole goes by the socket, once.
#[test]
fn a_refused_batch_goes_by_the_socket() {
    for version in [MacOs::V14_4, MacOs::V15] {
        let mut up = Uplink::new(version);
        up.fail("write", 0, 1, Errno::EINVAL);
        for number in 0..20 {
            up.guest.send(&up.out(number, 300)).unwrap();
        }
        up.rig.run(5 * MS);
        assert_eq!(up.numbers_arrived(), (0..20).collect::<Vec<_>>(), "{version:?}");
        let before = up.rig.kernel.counters();
        up.guest.send(&up.out(30, 300)).unwrap();
        up.rig.run(5 * MS);
        assert_eq!(up.rig.kernel.counters().since(&before).of("write"), 0, "not asked again");
    }
}

/// Frames that the kernel dropped before they could be read are counted, over all links there were.
#[test]
fn frames_that_the_kernel_dropped_are_counted() {
    on_every_version(|version| {
        let mut up = Uplink::new(version);
        // Two buffers of 512 KiB hold about 680 such frames.
        for number in 0..1500_u32 {
            assert_eq!(up.far.socket.send(&up.back(number, 1514)), Ok(()));
            if number % 100 == 0 {
                up.operator.run_for(MS);
            }
        }
        up.operator.run_for(5 * MS);
        up.rig.run(50 * MS);
        let numbers = up.guest.numbers();
        let dropped = up.rig.counters("uplink").kernel_dropped_frames;
        assert!(dropped > 100, "{dropped}");
        assert_eq!(numbers.len() as u64 + dropped, 1500);
        assert!(numbers.is_sorted_by(|a, b| a < b));
        up.answers.lock().unwrap().push_back(Tended::Lost);
        up.rig.run(300 * MS);
        assert_eq!(up.rig.counters("uplink").kernel_dropped_frames, dropped, "not forgotten");
    });
}
