//! Writing by BPF devices: one frame, and batches. Each behaviour by its row of the contract.

mod support;

use support::bpf::*;
use support::frames::{BROADCAST, GUEST, OTHER_GUEST, frame};
use support::taps::Tap;
use support::{Control, let_frames_through, machine, settle};
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::Errno;

/// A machine with `feth0` and `feth1`, each other's peers, a device that writes by `feth0`, and
/// what comes in at `feth1`.
fn wired(version: MacOs) -> (SimKernel, Control, Device, Tap) {
    let (kernel, control) = machine(version);
    control.pair("feth0", "feth1");
    let device = Device::on(&kernel, "feth0");
    let far = Tap::on(&kernel, "feth1").only_in();
    (kernel, control, device, far)
}

fn frame_of_len(len: usize) -> Vec<u8> {
    let mut bytes = frame(OTHER_GUEST, GUEST, "");
    bytes.resize(len, 0x5a);
    bytes
}

fn arrived(kernel: &SimKernel, far: &Tap) -> Vec<Vec<u8>> {
    let_frames_through(kernel);
    far.frames()
}

/// §5 write: with HDRCMPLT the frame goes as it is, its source address too, and passes the writer's
/// own taps as one that goes out.
#[test]
fn a_whole_frame_goes_as_it_is() {
    for version in MacOs::ALL {
        let (kernel, _control, device, far) = wired(version);
        let sent = frame(OTHER_GUEST, GUEST, "as it is");
        assert_eq!(device.write(&sent), Ok(60));
        assert_eq!(arrived(&kernel, &far), std::slice::from_ref(&sent), "{version:?}");
        assert_eq!(device.frames(), [sent], "{version:?}");
    }
}

/// §4 data path, §1b SEESENT: with SEESENT off a writer does not see what it wrote.
#[test]
fn a_writer_does_not_see_its_own() {
    let (kernel, _control, device, far) = wired(MacOs::V15);
    device.set(BIOCSSEESENT, 0).unwrap();
    device.write(&frame(OTHER_GUEST, GUEST, "x")).unwrap();
    assert_eq!(arrived(&kernel, &far).len(), 1);
    assert!(device.frames().is_empty());
}

/// §5 write, C16: a whole frame has at most the MTU and 18 bytes since 14.0, else `EMSGSIZE`.
#[test]
fn frames_are_bound_by_the_mtu_since_14() {
    for version in [MacOs::V14_0, MacOs::V14_4, MacOs::V15] {
        let (kernel, control, device, far) = wired(version);
        assert_eq!(device.write(&frame_of_len(1518)), Ok(1518), "{version:?}");
        assert_eq!(device.write(&frame_of_len(1519)), Err(Errno::EMSGSIZE), "{version:?}");
        control.set_mtu("feth0", 2000).unwrap();
        assert_eq!(device.write(&frame_of_len(2018)), Ok(2018), "{version:?}");
        assert_eq!(device.write(&frame_of_len(2019)), Err(Errno::EMSGSIZE), "{version:?}");
        assert_eq!(arrived(&kernel, &far).len(), 2);
    }
}

/// §5 write (≤ 13): a write has at most 2,048 bytes (`EIO`), and at most the MTU behind its header
/// (`EMSGSIZE`); less than a header is `EIO` too. From XNU's sources: `bpf_movein`, `bpfwrite`.
#[test]
fn frames_are_bound_by_a_cluster_up_to_13() {
    for version in [MacOs::V12, MacOs::V13] {
        let (kernel, control, device, far) = wired(version);
        assert_eq!(device.write(&frame_of_len(1514)), Ok(1514), "{version:?}");
        assert_eq!(device.write(&frame_of_len(1515)), Err(Errno::EMSGSIZE), "{version:?}");
        control.set_mtu("feth0", 2034).unwrap();
        assert_eq!(device.write(&frame_of_len(2048)), Ok(2048), "{version:?}");
        assert_eq!(device.write(&frame_of_len(2049)), Err(Errno::EIO), "{version:?}");
        assert_eq!(device.write(&[0; 13]), Err(Errno::EIO), "{version:?}");
        assert_eq!(arrived(&kernel, &far).len(), 2);
    }
}

/// C15: a write maximum switches the bound by the MTU off, and is none itself; 0 restores it; more
/// than 16 MiB is `EINVAL`.
#[test]
fn a_write_maximum_bounds_nothing() {
    for version in [MacOs::V14_4, MacOs::V15] {
        let (_kernel, _control, device, _far) = wired(version);
        assert_eq!(device.set(BIOCSWRITEMAX, (16 << 20) + 1), Err(Errno::EINVAL));
        assert_eq!(device.get(BIOCGWRITEMAX), Ok(0));
        device.set(BIOCSWRITEMAX, 100).unwrap();
        assert_eq!(device.get(BIOCGWRITEMAX), Ok(100));
        assert_eq!(device.write(&frame_of_len(9000)), Ok(9000));
        assert_eq!(device.write(&frame_of_len((16 << 20) + 1)), Err(Errno::EMSGSIZE));
        device.set(BIOCSWRITEMAX, 0).unwrap();
        assert_eq!(device.write(&frame_of_len(1519)), Err(Errno::EMSGSIZE));
    }
}

/// §5 write, M7: `ENXIO` without an interface, `ENETDOWN` on one that is not up, in this order and
/// before the length is looked at; nothing to write is 0 after them.
#[test]
fn errors_come_in_order() {
    for version in MacOs::ALL {
        let (kernel, control, device, _far) = wired(version);
        let unattached = Device::any(&kernel);
        let too_long = frame_of_len(70_000);
        assert_eq!(unattached.write(&[]), Err(Errno::ENXIO), "{version:?}");
        assert_eq!(unattached.write(&too_long), Err(Errno::ENXIO), "{version:?}");
        assert_eq!(device.write(&[]), Ok(0), "{version:?}");
        control.down("feth0");
        assert_eq!(device.write(&[]), Err(Errno::ENETDOWN), "{version:?}");
        assert_eq!(device.write(&too_long), Err(Errno::ENETDOWN), "{version:?}");
        control.up("feth0");
        control.destroy("feth0").unwrap();
        // C13: until it is taken apart it is merely down.
        assert_eq!(device.write(&frame_of_len(60)), Err(Errno::ENETDOWN), "{version:?}");
        settle(&kernel);
        assert_eq!(device.write(&frame_of_len(60)), Err(Errno::ENXIO), "{version:?}");
    }
}

/// C16: without HDRCMPLT a frame goes by IPv4's way: `ENXIO` where IPv4 is not attached, the
/// interface's own address as source where it is; the header is not counted.
#[test]
fn an_incomplete_header_goes_by_ipv4() {
    let (kernel, control, device, far) = wired(MacOs::V15);
    device.set(BIOCSHDRCMPLT, 0).unwrap();
    assert_eq!(device.write(&frame_of_len(60)), Err(Errno::ENXIO));
    assert_eq!(device.write(&frame_of_len(13)), Err(Errno::EMSGSIZE));
    kernel.add_address("feth0", [10, 0, 0, 1], [255, 0, 0, 0]).unwrap();
    let_frames_through(&kernel);
    far.frames();
    assert_eq!(device.write(&frame_of_len(60)), Ok(60));
    assert_eq!(device.write(&frame_of_len(1532)), Ok(1532));
    assert_eq!(device.write(&frame_of_len(1533)), Err(Errno::EMSGSIZE));
    let frames = arrived(&kernel, &far);
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0][..6], OTHER_GUEST);
    assert_eq!(frames[0][6..12], control.mac("feth0"));
    assert_eq!(frames[0][12..], frame_of_len(60)[12..]);
}

/// §4 no minimum length: neither BPF nor feth looks for a whole header; the simulator fails the
/// test.
#[test]
#[should_panic(expected = "XNU may panic")]
fn a_runt_fails_the_test() {
    let (_kernel, _control, device, _far) = wired(MacOs::V15);
    let _ = device.write(&[0; 13]);
}

/// §4 data path: what is too much for the interface's queue is lost from its head, and nobody is
/// told.
#[test]
fn a_full_queue_loses_the_oldest_silently() {
    let (kernel, _control, device, far) = wired(MacOs::V15);
    device.set(BIOCSBATCHWRITE, 1).unwrap();
    let old = batch_record(&frame_of_len(60)).repeat(100);
    let new = batch_record(&frame_of_len(61)).repeat(2048);
    assert_eq!(device.write(&[old, new].concat()), Ok(2148 * 80));
    kernel.run_for(std::time::Duration::from_millis(1));
    let arrived = arrived(&kernel, &far);
    assert_eq!(arrived.len(), 2048);
    assert!(arrived.iter().all(|frame| frame.len() == 61));
}

/// §5 batch write: HDRCMPLT and traffic class 0 come first, and cannot be left while batches are
/// written.
#[test]
fn batches_need_whole_frames_of_the_first_class() {
    for version in [MacOs::V14_4, MacOs::V15] {
        let (kernel, _control, device, _far) = wired(version);
        let other = Device::any(&kernel);
        assert_eq!(other.set(BIOCSBATCHWRITE, 1), Err(Errno::EINVAL));
        other.set(BIOCSHDRCMPLT, 1).unwrap();
        other.set(BIOCSETTC, 700).unwrap();
        assert_eq!(other.set(BIOCSBATCHWRITE, 1), Err(Errno::EINVAL));
        assert_eq!(other.get(BIOCGBATCHWRITE), Ok(0));
        other.set(BIOCSETTC, 0).unwrap();
        other.set(BIOCSBATCHWRITE, 1).unwrap();
        assert_eq!(other.get(BIOCGBATCHWRITE), Ok(1));
        assert_eq!(other.set(BIOCSHDRCMPLT, 0), Err(Errno::EINVAL));
        assert_eq!(other.set(BIOCSETTC, 700), Err(Errno::EINVAL));
        assert_eq!(other.set(BIOCSETTC, 0), Ok(()));
        other.set(BIOCSBATCHWRITE, 0).unwrap();
        assert_eq!(other.set(BIOCSHDRCMPLT, 0), Ok(()));
        assert_eq!(device.set(BIOCSBATCHWRITE, 1), Ok(()));
    }
}

/// A device that writes batches.
fn batching(version: MacOs) -> (SimKernel, Control, Device, Tap) {
    let wired = wired(version);
    wired.2.set(BIOCSBATCHWRITE, 1).unwrap();
    wired
}

/// §5 batch write: one write carries many records; their headers may be longer than need be.
#[test]
fn a_batch_carries_many_frames() {
    for version in [MacOs::V14_4, MacOs::V15] {
        let (kernel, _control, device, far) = batching(version);
        let frames: Vec<Vec<u8>> = (60..120).map(frame_of_len).collect();
        let batch: Vec<u8> = frames.iter().flat_map(|frame| batch_record(frame)).collect();
        assert_eq!(device.write(&batch), Ok(batch.len()), "{version:?}");
        assert_eq!(arrived(&kernel, &far), frames, "{version:?}");
        let mut long = batch_header(60, 60, 64);
        long.extend_from_slice(&frames[0]);
        assert_eq!(device.write(&long), Ok(124));
        assert_eq!(arrived(&kernel, &far), [frames[0].clone()]);
    }
}

/// C17: the padding of the last record may be absent.
#[test]
fn the_last_padding_may_be_absent() {
    let (kernel, _control, device, far) = batching(MacOs::V15);
    let mut batch = batch_record(&frame_of_len(61));
    batch.extend_from_slice(&batch_header(61, 61, 18));
    batch.extend_from_slice(&frame_of_len(61));
    assert_eq!(batch.len(), 80 + 79);
    assert_eq!(device.write(&batch), Ok(159));
    assert_eq!(arrived(&kernel, &far).len(), 2);
}

/// C17: less than 20 bytes at the end are left, also when they are a whole record; the count is
/// short by them.
#[test]
fn a_short_tail_is_left() {
    let (kernel, _control, device, far) = batching(MacOs::V15);
    let mut batch = batch_record(&frame_of_len(60));
    batch.resize(80 + 19, 0xff);
    assert_eq!(device.write(&batch), Ok(80));
    assert_eq!(arrived(&kernel, &far).len(), 1);
    assert_eq!(device.write(&[0; 19]), Ok(0));
    let mut one_byte = batch_header(1, 1, 18);
    one_byte.push(0);
    assert_eq!(device.write(&one_byte), Ok(0));
    assert!(arrived(&kernel, &far).is_empty());
}

/// C17: records without a frame are skipped.
#[test]
fn empty_records_are_skipped() {
    let (kernel, _control, device, far) = batching(MacOs::V15);
    let mut empty = batch_header(0, 0, 18);
    empty.resize(20, 0);
    let batch = [empty.clone(), batch_record(&frame_of_len(60)), empty.clone()].concat();
    assert_eq!(device.write(&batch), Ok(batch.len()));
    assert_eq!(arrived(&kernel, &far).len(), 1);
    assert_eq!(device.write(&empty), Ok(20));
}

/// C17: one bad record drops the whole batch: a header shorter than 18 or longer than the rest, two
/// lengths that differ (`EINVAL`), a frame longer than the rest or than a frame may be
/// (`EMSGSIZE`).
#[test]
fn a_bad_record_drops_the_whole_batch() {
    let (kernel, _control, device, far) = batching(MacOs::V15);
    let good = batch_record(&frame_of_len(60));
    let with = |header: Vec<u8>, len: usize| {
        let mut bad = header;
        bad.extend_from_slice(&frame_of_len(len));
        [good.clone(), bad].concat()
    };
    let refused = [
        (with(batch_header(60, 60, 17), 60), Errno::EINVAL),
        (with(batch_header(60, 60, 0), 60), Errno::EINVAL),
        (with(batch_header(60, 61, 18), 60), Errno::EINVAL),
        (with(batch_header(60, 60, 18)[..16].to_vec(), 60), Errno::EINVAL),
        (with(batch_header(61, 61, 18), 60), Errno::EMSGSIZE),
        (with(batch_header(1519, 1519, 18), 1519), Errno::EMSGSIZE),
        (with(batch_header(u32::MAX as usize, u32::MAX as usize, 18), 60), Errno::EMSGSIZE),
    ];
    for (batch, errno) in refused {
        assert_eq!(device.write(&batch), Err(errno));
        assert!(arrived(&kernel, &far).is_empty());
    }
    let counters = kernel.bpf_counters(device.minor).unwrap();
    assert_eq!((counters.writes, counters.failed_writes), (7, 7));
    // Of the lengths each frame's counts, not the batch's.
    assert_eq!(device.write(&good.repeat(100)), Ok(8000));
    assert_eq!(arrived(&kernel, &far).len(), 100);
}

/// C17: every frame is tried; the error is that of the last frame alone.
#[test]
fn the_last_frames_error_is_told() {
    let (kernel, _control, device, far) = batching(MacOs::V15);
    let batch = batch_record(&frame_of_len(60)).repeat(3);
    for (fails, written, gone) in [(0, Ok(240), 2), (1, Ok(240), 2), (2, Err(Errno::ENOBUFS), 2)] {
        kernel.add_fault(Fault {
            call: "output",
            object: Some("feth0".to_owned()),
            after: fails,
            times: 1,
            action: FaultAction::Fail(Errno::ENOBUFS),
        });
        assert_eq!(device.write(&batch), written, "{fails}");
        assert_eq!(arrived(&kernel, &far).len(), gone, "{fails}");
    }
}

/// §5 batch write: before 14.1 there is none: a batch is one frame, too long or strange.
#[test]
fn there_are_no_batches_before_14_1() {
    for version in [MacOs::V12, MacOs::V13, MacOs::V14_0] {
        let (kernel, _control, device, far) = wired(version);
        assert_eq!(device.set(BIOCSBATCHWRITE, 1), Err(Errno::EINVAL), "{version:?}");
        let batch = batch_record(&frame(BROADCAST, GUEST, "x"));
        assert_eq!(device.write(&batch), Ok(80), "{version:?}");
        assert_eq!(arrived(&kernel, &far), [batch], "{version:?}");
    }
}
