//! The slots against a kernel that fills them at its own pace, and against any bytes at all.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use nix::sys::memfd::{MFdFlags, memfd_create};
use proptest::prelude::*;

use super::*;
use crate::slot::HEADROOM;

#[test]
fn slots_hold_the_frame_behind_all_that_stands_before_it() {
    for (slots, frame_bytes) in [(1024, 1518), (1024, 9018), (64, 9234), (1, 86), (300, 70_000)] {
        let shape = Shape::new(slots, frame_bytes);
        // struct tpacket2_hdr and sockaddr_ll, aligned; virtio-net header; net_header at 16.
        let longest = shape.slot_bytes - (32 + 20 + 16_usize).next_multiple_of(16) - 10 + 14;
        assert!(longest >= frame_bytes, "{shape:?}");
        assert!(shape.slot_bytes < frame_bytes + FRAME_AT_MAX + 128, "{shape:?}");
        assert_eq!(shape.slot_bytes % 128, 64, "an odd number of cache lines");
        assert_eq!(shape.block_bytes % PAGE_BYTES_MAX, 0);
        assert!(shape.slots() >= slots && shape.slots() < slots + shape.slots_per_block());
        let last = shape.place(shape.slots() - 1);
        assert!(last + shape.slot_bytes <= shape.bytes());
        let places: Vec<_> = (0..shape.slots()).map(|slot| shape.place(slot)).collect();
        assert!(places.is_sorted_by(|one, next| one + shape.slot_bytes <= *next));
    }
}

/// What the kernel does next.
#[derive(Debug, Clone)]
enum Step {
    /// It puts a frame of that length, if there is room; tagged or not.
    Put { length: usize, tci: Option<u16> },
    /// The reader reads, at most so many.
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let put = (14_usize..2600, prop::option::of(any::<u16>()));
    prop_oneof![
        3 => put.prop_map(|(length, tci)| Step::Put { length, tci }),
        1 => (1_usize..20).prop_map(Step::Read),
    ]
}

proptest! {
    #[test]
    fn each_frame_is_read_once_in_order(steps in prop::collection::vec(step(), 1..300)) {
        let (mut slots, mut kernel) = ring();
        let mut expected = std::collections::VecDeque::new();
        for step in steps {
            match step {
                Step::Put { length, tci } => {
                    if let Some(put) = kernel.put(length, tci) {
                        expected.push_back(put);
                    }
                    prop_assert_eq!(slots.is_empty(), expected.is_empty());
                }
                Step::Read(most) => {
                    for _ in 0..most {
                        let next = expected.pop_front();
                        prop_assert_eq!(read(&mut slots), next);
                    }
                }
            }
        }
        while let Some(next) = expected.pop_front() {
            prop_assert_eq!(read(&mut slots), Some(next));
        }
        prop_assert_eq!(read(&mut slots), None);
    }

    #[test]
    fn any_bytes_in_a_slot_are_a_frame_inside_it_or_none(
        header in prop::array::uniform32(any::<u8>()),
        vnet_hdr in any::<bool>(),
    ) {
        let (mut slots, kernel) = ring();
        slots.vnet_hdr = vnet_hdr;
        kernel.file.write_all_at(&header, 0).expect("write");
        let mut buffer = [0; 200];
        let mut to = Slot::new(&mut buffer);
        match slots.next() {
            None => prop_assert_eq!(header[0] & 1, 0),
            Some(Held::Frame(frame)) => {
                prop_assert!(frame.start + frame.length <= slots.shape.slot_bytes);
                slots.copy(&frame, &mut to);
                prop_assert!(to.frame_len() <= 200);
            }
            Some(Held::Behind | Held::Beginning) => {}
        }
        slots.release(1);
        prop_assert!(slots.next().is_none());
    }
}

#[test]
fn neighbours_that_wait_as_messages_are_counted_round_the_end() {
    let (mut slots, mut kernel) = ring();
    let all = slots.shape.slots();
    for _ in 0..all - 2 {
        kernel.put(60, None).expect("room");
        read(&mut slots).expect("a frame");
    }
    for length in [LONGER, LONGER, LONGER, 60, LONGER] {
        kernel.put(length, None).expect("room");
    }
    assert_eq!([0, 1, 2, 3, 9].map(|most| slots.behind(most)), [0, 1, 2, 3, 3]);
    slots.release(3);
    assert_eq!(slots.behind(9), 0);
    assert_eq!(read(&mut slots), Some(Put { length: 60, tci: None, number: all as u64 + 1 }));
    assert_eq!(slots.behind(9), 1);
}

/// A frame as it was put, and as it was read.
#[derive(Debug, PartialEq, Eq)]
struct Put {
    length: usize,
    tci: Option<u16>,
    number: u64,
}

/// Reads the next slot; of a frame that is longer, the number stands at its beginning.
fn read(slots: &mut Slots) -> Option<Put> {
    let held = slots.next()?;
    let (mut buffer, mut spill) = ([0; HEADROOM + 500], [0; 3000]);
    let mut to = Slot::new(&mut buffer).with_spill(&mut spill);
    let put = match held {
        Held::Frame(frame) => {
            slots.copy(&frame, &mut to);
            let bytes = [to.head(), to.tail()].concat();
            let is_tagged = bytes[12..14] == [0x81, 0];
            let tci = is_tagged.then(|| u16::from_be_bytes([bytes[14], bytes[15]]));
            let body = if is_tagged { [&bytes[..12], &bytes[16..]].concat() } else { bytes };
            let number = u64::from_be_bytes(*body.first_chunk().expect("8 bytes"));
            assert_eq!(body, content(body.len(), number));
            assert_eq!(
                to.vnet().csum_start,
                u16::try_from(number % 1000).unwrap() + 4 * u16::from(is_tagged)
            );
            Put { length: body.len(), tci, number }
        }
        Held::Behind => {
            assert_eq!(slots.behind(1), 1);
            let mut number = [0; 8];
            slots.memory.read(slots.shape.place(slots.next) + FRAME_AT, &mut number);
            Put { length: LONGER, tci: None, number: u64::from_be_bytes(number) }
        }
        Held::Beginning => panic!("no frame without room for the rest was put"),
    };
    slots.release(1);
    Some(put)
}

/// The other side of the ring.
struct FakeKernel {
    file: File,
    shape: Shape,
    next: usize,
    number: u64,
}

impl FakeKernel {
    fn put(&mut self, length: usize, tci: Option<u16>) -> Option<Put> {
        let at = self.shape.place(self.next) as u64;
        let mut status = [0; 4];
        self.file.read_exact_at(&mut status, at).expect("read");
        if status != [0; 4] {
            return None;
        }
        let number = self.number;
        self.number += 1;
        self.next = (self.next + 1) % self.shape.slots();
        let here = length.min(self.shape.slot_bytes - FRAME_AT);
        let is_longer = here < length;
        let (length, tci) = if is_longer { (LONGER, None) } else { (length, tci) };
        let mut flags = libc::TP_STATUS_USER;
        if is_longer {
            flags |= libc::TP_STATUS_COPY;
        }
        if tci.is_some() {
            flags |= libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID;
        }
        let long = |value: usize| u32::try_from(value).unwrap().to_ne_bytes();
        let short = |value: u16| value.to_ne_bytes();
        let start = u16::try_from(FRAME_AT).unwrap();
        let header = [
            &[0; 4][..],
            &long(length),
            &long(here),
            &short(start),
            &short(start + 14),
            &[0xee; 8],
            &short(tci.unwrap_or(0xeeee)),
            &short(0x8100),
            &[0xee; 4],
        ]
        .concat();
        let vnet = VnetHdr {
            flags: VnetHdr::NEEDS_CSUM,
            csum_start: u16::try_from(number % 1000).unwrap(),
            ..VnetHdr::default()
        };
        let write = |bytes: &[u8], at: u64| self.file.write_all_at(bytes, at).expect("write");
        write(&header, at);
        write(&vnet.to_bytes(), at + (FRAME_AT - VNET_HDR_LEN) as u64);
        write(&content(here, number), at + FRAME_AT as u64);
        write(&flags.to_ne_bytes(), at);
        Some(Put { length, tci, number })
    }
}

/// Where Linux puts the frame, with a virtio-net header.
const FRAME_AT: usize = 76;
/// Longer than a slot.
const LONGER: usize = 9000;

fn content(length: usize, number: u64) -> Vec<u8> {
    let rest = (0..length).map(|place| (place as u64 * 7 + number).to_le_bytes()[0] | 1);
    number.to_be_bytes().into_iter().chain(rest).take(length).collect()
}

fn ring() -> (Slots, FakeKernel) {
    let shape = Shape { slot_bytes: 25 * 64, block_bytes: 4096 * 4, blocks: 2 };
    let file = File::from(memfd_create(c"ring", MFdFlags::empty()).expect("memory"));
    file.set_len(shape.bytes() as u64).expect("its length");
    let memory = Mapping::of(file.as_fd(), 0, shape.bytes()).expect("a mapping");
    let kernel = FakeKernel { file, shape, next: 0, number: 0 };
    (Slots::new(memory, shape, true), kernel)
}
