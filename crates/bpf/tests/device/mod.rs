//! What a BPF device does on every kernel: called with a pair of feths of the simulated XNU, and as
//! root of a Mac with two of the real one.

/// The tests of the contract, handed to a macro that makes them for one kind of kernel.
macro_rules! contract {
    ($tests:ident) => {
        $tests! {
            frames_of_every_length,
            frames_of_wrong_lengths,
            records_taken_by_and_by,
            filters,
            directions_and_times,
            an_interface_that_goes_and_comes,
            statistics,
            what_is_no_interface,
            an_mtu_that_changes,
            devices_in_use,
            another_interface,
            a_kqueue_is_told,
            promiscuity,
        }
    };
}

use bpf::capture::BatchWriter;
use bpf::device::{Device, Error, Options};
use bpf::{Dialect, stock};
use xnu_sys::sys_event::{EV_ADD, EV_ERROR, EVFILT_READ, KEVENT_FLAG_IMMEDIATE, kevent64_s};
use xnu_sys::{Errno, InterfaceName, Kernel};

use crate::xnu::{ETHERTYPE, Pair, frame};

/// A device that is passed the tests' frames alone.
pub(crate) fn open<K: Kernel>(pair: &Pair<K>, interface: InterfaceName) -> Device<K> {
    open_with(pair, interface, Options::default())
}

pub(crate) fn open_with<K: Kernel>(
    pair: &Pair<K>,
    interface: InterfaceName,
    options: Options,
) -> Device<K> {
    let filter = stock::with_ethertypes(&[ETHERTYPE], Dialect::Xnu).expect("a short list");
    let options = Options { filter, ..options };
    Device::open_on(pair.kernel().clone(), interface, &options).expect("a device")
}

/// Everything that is there to be read.
pub(crate) fn drain<K: Kernel>(device: &mut Device<K>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(records) = device.read().expect("a read") {
        for record in records {
            assert!(!record.is_truncated());
            frames.push(record.frame.to_vec());
        }
    }
    assert_eq!(device.fault(), None);
    frames
}

/// Frames of every length that fits go through whole, and in order, one by one and by batch.
pub(crate) fn frames_of_every_length<K: Kernel>(pair: &Pair<K>) {
    let (mut from, mut to) = (open(pair, pair.b), open(pair, pair.v));
    let lens = [16, 17, 18, 19, 60, 61, 62, 63, 64, 1500, 1511, 1512, 1513, 1514];
    let longest = from.frame_max_bytes();
    assert!(longest >= 1514);
    let lens: Vec<usize> = lens.into_iter().chain([longest]).collect();
    let frames: Vec<Vec<u8>> = (0..).zip(&lens).map(|(number, &len)| frame(number, len)).collect();
    for frame in &frames {
        from.write(frame).expect("written");
    }
    pair.settle();
    assert_eq!(drain(&mut to), frames);

    let mut batch = BatchWriter::new(BatchWriter::limit_for(frames.len(), longest));
    frames.iter().for_each(|frame| batch.push(frame).expect("room"));
    assert_eq!(from.write_batch(&batch), (frames.len(), None));
    pair.settle();
    assert_eq!(drain(&mut to), frames);
    assert_eq!(drain(&mut from), Vec::<Vec<u8>>::new(), "what was sent is not received");
}

/// Nothing that fits no interface reaches the kernel.
pub(crate) fn frames_of_wrong_lengths<K: Kernel>(pair: &Pair<K>) {
    let (mut from, mut to) = (open(pair, pair.b), open(pair, pair.v));
    let max_bytes = from.frame_max_bytes();
    let at = from.place();
    let too_short = |len_bytes| Error::TooShort { at, len_bytes };
    let too_long = Error::TooLong { at, len_bytes: max_bytes + 1, max_bytes };
    assert_eq!(from.write(&[]), Err(too_short(0)));
    assert_eq!(from.write(&[0; 13]), Err(too_short(13)));
    assert_eq!(from.write(&frame(0, max_bytes + 1)), Err(too_long.clone()));

    let mut batch = BatchWriter::new(1 << 16);
    // Of a batch, what stands before the bad frame is written, and nothing else.
    let mut write = |frames: &[&[u8]]| {
        batch.clear();
        frames.iter().for_each(|frame| batch.push(frame).expect("room"));
        from.write_batch(&batch)
    };
    let good = frame(1, 60);
    assert_eq!(write(&[&good, &good, &[0; 13], &good]), (2, Some(too_short(13))));
    assert_eq!(write(&[&[0; 1], &good]), (0, Some(too_short(1))));
    let long = frame(2, max_bytes + 1);
    assert_eq!(write(&[&good, &long, &[0; 1]]), (1, Some(too_long.clone())));
    assert_eq!(write(&[&good, &long, &good]), (1, Some(too_long)));
    assert_eq!(write(&[]), (0, None));
    pair.settle();
    assert_eq!(drain(&mut to), [&good[..]; 4]);
    from.write(&frame(3, 14)).expect("a header alone");
}

/// A reader that takes some records now and the rest later misses none.
pub(crate) fn records_taken_by_and_by<K: Kernel>(pair: &Pair<K>) {
    let (mut from, mut to) = (open(pair, pair.b), open(pair, pair.v));
    let frames: Vec<Vec<u8>> = (0..100).map(|number| frame(number, 60)).collect();
    for frame in &frames {
        from.write(frame).expect("written");
    }
    pair.settle();
    let mut taken: Vec<Vec<u8>> = Vec::new();
    assert_eq!(to.peek_record(), None, "nothing was read yet");
    while to.fill().expect("a read") {
        let peeked = to.peek_record().map(|record| record.frame.to_vec());
        let next = to.next_record().map(|record| record.frame.to_vec());
        assert_eq!(peeked, next);
        taken.extend(next);
        if let Some(records) = to.read().expect("a read") {
            taken.extend(records.take(7).map(|record| record.frame.to_vec()));
        }
    }
    assert_eq!(taken, frames);
}

/// A filter is replaced without losing what was captured, and a bad one is refused.
pub(crate) fn filters<K: Kernel>(pair: &Pair<K>) {
    let (mut from, mut to) = (open(pair, pair.b), open(pair, pair.v));
    from.write(&frame(1, 60)).expect("written");
    pair.settle();
    assert!(matches!(to.set_filter(&bpf::Program::default()), Err(Error::Filter(_))));
    to.set_filter(&stock::drop_all()).expect("a filter");
    from.write(&frame(2, 60)).expect("written");
    pair.settle();
    assert_eq!(drain(&mut to), [frame(1, 60)]);

    // A filter that takes 20 bytes cuts what is captured.
    let cut = bpf::parse("ret #20").expect("a program");
    to.set_filter(&cut).expect("a filter");
    from.write(&frame(3, 60)).expect("written");
    pair.settle();
    let mut found = false;
    while let Some(records) = to.read().expect("a read") {
        for record in records.filter(|record| record.frame == &frame(3, 60)[..20]) {
            assert!(record.is_truncated());
            assert_eq!(record.datalen_bytes, 60);
            found = true;
        }
    }
    assert!(found);
}

/// What the interface itself sends is captured if it is asked for, and with a time if that is.
pub(crate) fn directions_and_times<K: Kernel>(pair: &Pair<K>) {
    let options = Options { sees_sent: true, timestamps: true, ..Options::default() };
    let mut sender = open_with(pair, pair.b, options);
    let mut receiver = open(pair, pair.v);
    let mut other = open(pair, pair.b);
    sender.write(&frame(1, 60)).expect("written");
    pair.settle();
    let records = sender.read().expect("a read").expect("records");
    let seen: Vec<_> = records.map(|r| (r.frame.to_vec(), r.timestamp().is_some())).collect();
    assert_eq!(seen, [(frame(1, 60), true)]);
    assert_eq!(drain(&mut other), Vec::<Vec<u8>>::new());
    let has_times = !receiver.capabilities().no_timestamps;
    let records = receiver.read().expect("a read").expect("records");
    assert!(records.map(|record| record.timestamp().is_some()).eq([has_times]));
}

/// An interface that is down, gone, and there again.
pub(crate) fn an_interface_that_goes_and_comes<K: Kernel>(pair: &Pair<K>) {
    let options = Options { drop_input: true, promiscuous: true, ..Options::default() };
    let mut device = open_with(pair, pair.v, options);
    let mut other = open(pair, pair.b);
    let at = device.place();
    let before = device.capabilities();
    pair.set_up(pair.v, false).expect("down");
    assert_eq!(device.write(&frame(1, 60)), Err(Error::InterfaceDown { at }));
    pair.set_up(pair.v, true).expect("up");
    device.write(&frame(2, 60)).expect("written");
    other.write(&frame(3, 60)).expect("written");
    pair.settle();

    assert_eq!(device.interface(), Ok(Some(pair.v)));
    pair.destroy_v();
    // First what was captured, then the news, and again and again.
    let records = device.read().expect("a read").expect("records");
    assert!(records.map(|record| record.frame.to_vec()).eq([frame(3, 60)]));
    for _ in 0..2 {
        let gone = Error::InterfaceGone { at, call: "read" };
        assert_eq!(device.read().err(), Some(gone));
    }
    assert_eq!(device.write(&frame(4, 60)), Err(Error::InterfaceGone { at, call: "write" }));
    assert_eq!(device.interface(), Ok(None));
    assert_eq!(device.rebind(pair.v), Err(Error::NoInterface { at }));
    let gone = Error::InterfaceGone { at, call: "SIOCGIFMTU" };
    assert_eq!(device.refresh_mtu(), Err(gone));

    pair.make_v_again();
    device.rebind(pair.v).expect("it is there again");
    assert_eq!(device.interface(), Ok(Some(pair.v)));
    assert_eq!(device.capabilities(), before);
    other.write(&frame(5, 60)).expect("written");
    device.write(&frame(6, 60)).expect("written");
    pair.settle();
    assert_eq!(drain(&mut device), [frame(5, 60)]);
    assert_eq!(drain(&mut other), [frame(2, 60), frame(6, 60)]);
}

/// A device that is bound to another interface gives nothing of the one before.
pub(crate) fn another_interface<K: Kernel>(pair: &Pair<K>) {
    let (mut device, mut other) = (open(pair, pair.v), open(pair, pair.b));
    for number in 0..3 {
        other.write(&frame(number, 60)).expect("written");
    }
    pair.settle();
    // One record is taken, one is in this process, and one will be in the kernel.
    assert!(device.fill().expect("a read") && device.next_record().is_some());
    other.write(&frame(3, 60)).expect("written");
    pair.settle();
    device.rebind(pair.b).expect("bound");
    assert_eq!(device.interface(), Ok(Some(pair.b)));
    assert_eq!(device.place().interface, pair.b);
    assert_eq!(device.next_record(), None);
    let mut back = open(pair, pair.v);
    back.write(&frame(4, 60)).expect("written");
    pair.settle();
    assert_eq!(drain(&mut device), [frame(4, 60)]);
}

/// A frame is told to a kqueue when it comes, not when a buffer is full.
pub(crate) fn a_kqueue_is_told<K: Kernel>(pair: &Pair<K>) {
    let (mut from, mut to) = (open(pair, pair.b), open(pair, pair.v));
    let kernel = pair.kernel();
    let kqueue = kernel.kqueue().expect("a kqueue");
    let ident = u64::try_from(to.descriptor()).expect("a descriptor");
    let change = kevent64_s { ident, filter: EVFILT_READ, flags: EV_ADD, ..kevent64_s::default() };
    let poll = |changes: &[kevent64_s]| {
        let mut events = [kevent64_s::default(); 2];
        let now = KEVENT_FLAG_IMMEDIATE;
        let count = kernel.kevent64(&kqueue, changes, &mut events, now, None).expect("events");
        events[..count].to_vec()
    };
    assert_eq!(poll(&[change]), []);
    from.write(&frame(1, 60)).expect("written");
    pair.settle();
    let events = poll(&[]);
    assert_eq!(events.iter().map(|event| event.ident).collect::<Vec<_>>(), [ident]);
    assert_eq!(events[0].flags & EV_ERROR, 0);
    assert_eq!(drain(&mut to), [frame(1, 60)]);
    assert_eq!(poll(&[]), []);
}

/// An interface receives every frame while a device asks for it, and no longer.
pub(crate) fn promiscuity<K: Kernel>(pair: &Pair<K>) {
    let device = open(pair, pair.v);
    assert!(!pair.is_promiscuous(pair.v));
    drop(device);
    let options = Options { promiscuous: true, ..Options::default() };
    let device = open_with(pair, pair.v, options);
    assert!(pair.is_promiscuous(pair.v));
    drop(device);
    assert!(!pair.is_promiscuous(pair.v));
}

/// Counters that the kernel begins again are not begun again here.
pub(crate) fn statistics<K: Kernel>(pair: &Pair<K>) {
    let mut from = open(pair, pair.b);
    // Room for one record of 1,514 bytes in each of two buffers.
    let mut to = open_with(pair, pair.v, Options { buffer_bytes: 1600, ..Options::default() });
    assert_eq!(to.buffer_bytes(), 1600);
    for number in 0..5 {
        from.write(&frame(number, 1514)).expect("written");
    }
    pair.settle();
    let first = to.statistics().expect("counters");
    assert!(first.offered_frames >= 5);
    assert_eq!(first.dropped_frames, 3);
    assert_eq!(drain(&mut to), [frame(0, 1514), frame(1, 1514)]);
    for number in 5..10 {
        from.write(&frame(number, 1514)).expect("written");
    }
    pair.settle();
    to.rebind(pair.v).expect("bound");
    from.write(&frame(10, 60)).expect("written");
    pair.settle();
    let second = to.statistics().expect("counters");
    assert!(second.offered_frames >= first.offered_frames + 6);
    assert_eq!(second.dropped_frames, 6);
    assert_eq!(second.broken_buffers, 0);
}

/// Names that are none, interfaces that are none, and what BPF calls no Ethernet.
pub(crate) fn what_is_no_interface<K: Kernel>(pair: &Pair<K>) {
    let kernel = pair.kernel();
    let open = |name: &str| {
        let name = name.parse().expect("a name");
        Device::open_on(kernel.clone(), name, &Options::default()).map(|_| ())
    };
    assert!(matches!(open("feth9999"), Err(Error::NoInterface { .. })));
    assert!(matches!(open("lo0"), Err(Error::NotEthernet { link_type: 0, .. })));
    let bad = Options { filter: bpf::Program::default(), ..Options::default() };
    let refused = Device::open_on(kernel.clone(), pair.v, &bad);
    assert!(matches!(refused, Err(Error::Filter(_))));
}

/// What a new MTU allows is allowed once the device has looked.
pub(crate) fn an_mtu_that_changes<K: Kernel>(pair: &Pair<K>) {
    let (mut from, mut to) = (open(pair, pair.b), open(pair, pair.v));
    let before = from.frame_max_bytes();
    pair.set_mtu(1900);
    assert_eq!(from.frame_max_bytes(), before);
    from.refresh_mtu().expect("an MTU");
    assert_eq!(from.frame_max_bytes(), before + 400);
    let longest = frame(7, before + 400);
    from.write(&longest).expect("written");
    pair.settle();
    assert_eq!(drain(&mut to), [longest]);
}

/// Each device has room for one: the next free one is found from wherever the search begins.
pub(crate) fn devices_in_use<K: Kernel>(pair: &Pair<K>) {
    let first = open(pair, pair.v);
    let second = open(pair, pair.v);
    assert_ne!(first.place().device, second.place().device);
    assert_ne!(first.descriptor(), second.descriptor());
    let from = |first_device| {
        let options = Options { first_device, ..Options::default() };
        open_with(pair, pair.v, options).place().device
    };
    let next = second.place().device + 1;
    assert_eq!(from(next), next);
    let free = first.place().device;
    drop(first);
    // Beyond the end of the row, and at it: the search goes round.
    for beyond in [200, 256, u32::MAX] {
        assert!(from(beyond) <= next.max(free));
    }
}

/// An errno that is no case of its own keeps its name.
#[allow(dead_code, reason = "of use where calls can be made to fail")]
pub(crate) fn is_refused(error: &Error, call: &str, errno: Errno) -> bool {
    matches!(error, Error::Refused { source, .. } if source.call == call && source.errno == errno)
}
