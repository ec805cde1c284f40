//! BPF devices on every version of the simulated XNU.

use bpf::Program;
use bpf::capture::BatchWriter;
use bpf::device::{Device, Error, Options};
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::Errno;

#[macro_use]
mod device;
mod xnu;

use device::{drain, is_refused, open, open_with};
use xnu::{Pair, frame};

fn pair(version: MacOs) -> Pair<SimKernel> {
    let kernel = SimKernel::boot(version, 1);
    Pair::create(&kernel).expect("a pair of feths")
}

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                for version in MacOs::ALL {
                    device::$name(&pair(version));
                }
            }
        )*
    };
}

contract!(tests);

/// The next `times` calls of a name fail.
fn fail(pair: &Pair<SimKernel>, call: &'static str, errno: Errno, times: u64) {
    let action = FaultAction::Fail(errno);
    pair.kernel().add_fault(Fault { call, object: None, after: 0, times, action });
}

/// What is asked for, and what each version has of it (contract §1b).
#[test]
fn capabilities_of_each_version() {
    for version in MacOs::ALL {
        let pair = pair(version);
        let options = Options { drop_input: true, ..Options::default() };
        let found = open_with(&pair, pair.v, options).capabilities();
        let is_since = |first| version >= first;
        assert_eq!(found.direction, is_since(MacOs::V14_0), "{version:?}");
        assert_eq!(found.batch_write, is_since(MacOs::V14_4), "{version:?}");
        assert_eq!(found.write_max, is_since(MacOs::V14_4), "{version:?}");
        assert_eq!(found.no_timestamps, is_since(MacOs::V15), "{version:?}");
        assert_eq!(found.drops_input, is_since(MacOs::V15), "{version:?}");

        let options = Options { batch_write: false, timestamps: true, ..Options::default() };
        let found = open_with(&pair, pair.v, options).capabilities();
        assert!(!found.batch_write && !found.no_timestamps && !found.drops_input);
    }
}

/// What a device may write: MTU + 18 since macOS 14.0, before that MTU + 14 and at most 2,048.
#[test]
fn the_longest_frame_of_each_version() {
    for version in MacOs::ALL {
        let pair = pair(version);
        let is_new = version >= MacOs::V14_0;
        assert_eq!(open(&pair, pair.v).frame_max_bytes(), if is_new { 1518 } else { 1514 });
        pair.set_mtu(2040);
        let (mut from, mut to) = (open(&pair, pair.b), open(&pair, pair.v));
        assert_eq!(from.frame_max_bytes(), if is_new { 2058 } else { 2048 });
        let longest = frame(1, from.frame_max_bytes());
        from.write(&longest).expect("written");
        pair.settle();
        assert_eq!(drain(&mut to), [longest]);
    }
}

/// From the moment that an interface is set, frames come: filter and direction are there before.
#[test]
fn no_frame_gets_past_the_filter() {
    for version in MacOs::ALL {
        let pair = pair(version);
        let options = Options { drop_input: true, promiscuous: true, ..Options::default() };
        let device = open_with(&pair, pair.v, options);
        let trace = pair.kernel().trace();
        let place = |request: &str| {
            let what = format!(", {request} ");
            let line = trace.lines().position(|line| line.contains(&what));
            line.unwrap_or_else(|| panic!("{request} is missing:\n{trace}"))
        };
        let bound = place("BIOCSETIF");
        for before in ["BIOCVERSION", "BIOCSBLEN", "BIOCSETF", "BIOCIMMEDIATE", "BIOCSSEESENT"] {
            assert!(place(before) < bound, "{before}");
        }
        assert!(place("BIOCSBLEN") < place("BIOCSETF"));
        for after in ["BIOCGDLT", "BIOCSDVRTIN", "BIOCPROMISC"] {
            assert!(bound < place(after), "{after}");
        }
        drop(device);
    }
}

/// Nobody's programs inherit a device, and none is left open by what fails.
#[test]
fn descriptors() {
    let pair = pair(MacOs::V15);
    let before = pair.kernel().open_descriptors();
    let device = open(&pair, pair.v);
    let open = pair.kernel().open_descriptors();
    let new: Vec<_> = open.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(new, [&(device.descriptor(), "/dev/bpf0".to_owned(), true)]);
    drop(device);
    for call in [
        "BIOCVERSION",
        "BIOCSBLEN",
        "BIOCSETF",
        "BIOCIMMEDIATE",
        "BIOCSSEESENT",
        "BIOCSHDRCMPLT",
        "BIOCSNOTSTAMP",
        "BIOCSBATCHWRITE",
        "BIOCGWRITEMAX",
        "BIOCGDIRECTION",
        "BIOCSETIF",
        "BIOCGDLT",
        "BIOCSDVRTIN",
        "BIOCPROMISC",
        "SIOCGIFMTU",
    ] {
        fail(&pair, call, Errno::EIO, 1);
        let options = Options { drop_input: true, promiscuous: true, ..Options::default() };
        let failed = Device::open_on(pair.kernel().clone(), pair.v, &options);
        assert!(is_refused(&failed.expect_err("a failed call"), call, Errno::EIO), "{call}");
        assert_eq!(pair.kernel().open_descriptors(), before, "{call}");
    }
}

#[test]
fn whoever_may_not_open_devices_is_told_so() {
    let pair = pair(MacOs::V15);
    let guest = pair.kernel().spawn(false);
    let denied = Device::open_on(guest, pair.v, &Options::default()).expect_err("not root");
    assert_eq!(denied, Error::NotPermitted { device: 0, errno: Errno::EACCES });
    // What was opened before stays of use.
    let (mut from, mut to) = (open(&pair, pair.b), open(&pair, pair.v));
    pair.kernel().drop_privileges();
    from.write(&frame(1, 60)).expect("written");
    pair.settle();
    assert_eq!(drain(&mut to), [frame(1, 60)]);
}

#[test]
fn all_devices_may_be_in_use() {
    let pair = pair(MacOs::V15);
    let others: Vec<_> = (0..256).map(|_| open(&pair, pair.v)).collect();
    assert_eq!(others[255].place().device, 255);
    for first_device in [0, 100, 256] {
        let options = Options { first_device, ..Options::default() };
        let none = Device::open_on(pair.kernel().clone(), pair.v, &options);
        assert_eq!(none.err(), Some(Error::NoDeviceFree { tried: 256 }));
    }
    fail(&pair, "open", Errno::EMFILE, 1);
    let none = Device::open_on(pair.kernel().clone(), pair.v, &Options::default());
    assert_eq!(none.err(), Some(Error::Open { device: 0, errno: Errno::EMFILE }));
}

/// The kernel gives a buffer of another size than was asked for, and takes reads of that size
/// alone.
#[test]
fn the_buffer_is_as_long_as_the_kernel_says() {
    for version in MacOs::ALL {
        let pair = pair(version);
        let mut from = open(&pair, pair.b);
        for (asked, given) in [
            (1 << 20, if version == MacOs::V12 { 512 << 10 } else { 1 << 20 }),
            (1, 32),
            (4096, 4096),
        ] {
            let options = Options { buffer_bytes: asked, ..Options::default() };
            let mut to = open_with(&pair, pair.v, options);
            assert_eq!(to.buffer_bytes(), given);
            from.write(&frame(1, 60)).expect("written");
            pair.settle();
            // In 32 bytes there is room for 14 of a frame.
            let records = to.read().expect("a read").expect("records");
            let lens: Vec<usize> = records.map(|record| record.frame.len()).collect();
            assert_eq!(lens, [60.min(given - 18)]);
        }
    }
}

/// Many frames by one call where the kernel can; a frame alone goes all the same.
#[test]
fn calls_per_batch() {
    for version in MacOs::ALL {
        let pair = pair(version);
        let (mut from, mut to) = (open(&pair, pair.b), open(&pair, pair.v));
        let mut batch = BatchWriter::new(BatchWriter::limit_for(64, 1514));
        let frames: Vec<Vec<u8>> = (0..64).map(|number| frame(number, 1514)).collect();
        frames.iter().for_each(|frame| batch.push(frame).expect("room"));
        let before = pair.kernel().counters();
        assert_eq!(from.write_batch(&batch), (64, None));
        let calls = pair.kernel().counters().since(&before).of("write");
        assert_eq!(calls, if version >= MacOs::V14_4 { 1 } else { 64 });
        pair.settle();
        let before = pair.kernel().counters();
        assert_eq!(drain(&mut to), frames);
        // One for what is there, one that finds nothing.
        assert_eq!(pair.kernel().counters().since(&before).of("read"), 2);
    }
}

/// Each errno of a write is what it means, for a frame and for a batch.
#[test]
fn failed_writes() {
    for version in [MacOs::V13, MacOs::V15] {
        let pair = pair(version);
        let mut from = open(&pair, pair.b);
        let at = from.place();
        let max_bytes = from.frame_max_bytes();
        let frame = frame(1, 60);
        let mut batch = BatchWriter::new(4096);
        for _ in 0..3 {
            batch.push(&frame).expect("room");
        }
        let is_batch = version == MacOs::V15;
        let cases = [
            (Errno::ENOBUFS, Error::Lost { at }, if is_batch { 2 } else { 0 }),
            (Errno::ENOMEM, Error::Lost { at }, if is_batch { 2 } else { 0 }),
            (Errno::EMSGSIZE, Error::TooLong { at, len_bytes: 60, max_bytes }, 0),
            (Errno::ENETDOWN, Error::InterfaceDown { at }, 0),
            (Errno::ENXIO, Error::InterfaceGone { at, call: "write" }, 0),
        ];
        for (errno, error, taken) in cases {
            fail(&pair, "write", errno, 2);
            assert_eq!(from.write(&frame), Err(error.clone()));
            assert_eq!(from.write_batch(&batch), (taken, Some(error)));
        }
        fail(&pair, "write", Errno::EIO, 2);
        assert!(is_refused(&from.write(&frame).expect_err("EIO"), "write", Errno::EIO));
        let (taken, error) = from.write_batch(&batch);
        assert!(taken == 0 && is_refused(&error.expect("EIO"), "write", Errno::EIO));
        assert_eq!(from.write(&frame), Ok(()));
    }
}

/// Frame by frame, what was taken before the one that failed is told.
#[test]
fn a_batch_that_ends_in_its_midst() {
    let pair = pair(MacOs::V13);
    let (mut from, mut to) = (open(&pair, pair.b), open(&pair, pair.v));
    let at = from.place();
    let mut batch = BatchWriter::new(4096);
    for number in 0..3 {
        batch.push(&frame(number, 60)).expect("room");
    }
    let action = FaultAction::Fail(Errno::ENOBUFS);
    let fault = Fault { call: "write", object: None, after: 2, times: 1, action };
    pair.kernel().add_fault(fault);
    assert_eq!(from.write_batch(&batch), (2, Some(Error::Lost { at })));
    pair.settle();
    assert_eq!(drain(&mut to), [frame(0, 60), frame(1, 60)]);
}

/// A kernel that takes a part: only whole frames count.
#[test]
fn short_writes() {
    let pair = pair(MacOs::V15);
    let mut from = open(&pair, pair.b);
    let at = from.place();
    let mut batch = BatchWriter::new(4096);
    for number in 0..3 {
        batch.push(&frame(number, 60)).expect("room");
    }
    let short = |written_bytes, len_bytes| Error::ShortWrite { at, written_bytes, len_bytes };
    let take = |bytes| {
        let action = FaultAction::Short(bytes);
        let fault = Fault { call: "write", object: None, after: 0, times: 1, action };
        pair.kernel().add_fault(fault);
    };
    // Two records of 80 bytes, and so little of the third that the kernel passes over it.
    take(170);
    assert_eq!(from.write_batch(&batch), (2, Some(short(160, 240))));
    take(79);
    assert_eq!(from.write(&frame(4, 60)), Err(short(79, 80)));
    // What comes before a bad frame may fail by itself: then that is what is told.
    batch.push(&[0; 13]).expect("room");
    fail(&pair, "write", Errno::ENETDOWN, 1);
    assert_eq!(from.write_batch(&batch), (0, Some(Error::InterfaceDown { at })));
}

/// Nothing is written where there is nothing to write.
#[test]
fn no_call_for_no_frame() {
    let pair = pair(MacOs::V15);
    let mut from = open(&pair, pair.b);
    let before = pair.kernel().counters();
    let mut batch = BatchWriter::new(4096);
    assert_eq!(from.write_batch(&batch), (0, None));
    batch.push(&[0; 13]).expect("room");
    assert_eq!(from.write_batch(&batch).0, 0);
    assert!(from.write(&[0; 13]).is_err());
    assert_eq!(pair.kernel().counters().since(&before).total_calls(), 0);
}

#[test]
fn failed_reads() {
    let pair = pair(MacOs::V15);
    let mut device = open(&pair, pair.v);
    let at = device.place();
    fail(&pair, "read", Errno::EINVAL, 1);
    assert_eq!(device.fill(), Err(Error::ReadLength { at, len_bytes: 512 << 10 }));
    fail(&pair, "read", Errno::EIO, 1);
    assert!(is_refused(&device.fill().expect_err("EIO"), "read", Errno::EIO));
    assert_eq!(device.fill(), Ok(false));
}

/// What a device keeps from the host's stack another can keep from it no more.
#[test]
fn input_is_dropped_once() {
    let pair = pair(MacOs::V15);
    let options = || Options { drop_input: true, ..Options::default() };
    let first = open_with(&pair, pair.v, options());
    let second = open_with(&pair, pair.v, options());
    assert!(first.capabilities().drops_input && second.capabilities().drops_input);
    let without = open(&pair, pair.b);
    assert!(!without.capabilities().drops_input);
}

/// Between the end of `SIOCIFDESTROY` and that of the interface reads are drained and writes find
/// it down (C13).
#[test]
fn an_interface_that_is_going() {
    let pair = pair(MacOs::V15);
    let mut device = open(&pair, pair.v);
    let at = device.place();
    pair.begin_to_destroy_v();
    assert_eq!(device.fill(), Ok(false));
    assert_eq!(device.write(&frame(1, 60)), Err(Error::InterfaceDown { at }));
    assert!(device.rebind(pair.v).is_err(), "its name is gone already");
    pair.settle();
    assert_eq!(device.fill(), Err(Error::InterfaceGone { at, call: "read" }));
}

/// A program that XNU would not take never reaches it.
#[test]
fn a_bad_filter_costs_no_call() {
    let pair = pair(MacOs::V15);
    let mut device = open(&pair, pair.v);
    let before = pair.kernel().counters();
    assert!(matches!(device.set_filter(&Program::default()), Err(Error::Filter(_))));
    assert_eq!(pair.kernel().counters().since(&before).total_calls(), 0);
}
