//! The buffers of BPF devices: records, reads, wake-ups, timeouts, drops. Each behaviour by its row
//! of the contract.

mod common;
mod support;

use std::time::Duration;

use common::{apply, change, events, readers, wait};
use support::bpf::*;
use support::frames::{BROADCAST, GUEST};
use support::taps::Ndrv;
use support::{Control, let_frames_through, machine, settle, u64_at};
use xnu_sim::{MacOs, SimKernel};
use xnu_sys::sys_event::{EV_ADD, EV_CLEAR, EV_DELETE, EVFILT_READ, NOTE_LOWAT, kevent64_s};
use xnu_sys::{Errno, Kernel};

/// A machine with `feth0` and `feth1`, each other's peers, and who sends by `feth1`.
fn wired(version: MacOs) -> (SimKernel, Control, Ndrv) {
    let (kernel, control) = machine(version);
    control.pair("feth0", "feth1");
    let sender = Ndrv::on(&kernel, "feth1");
    (kernel, control, sender)
}

/// A frame of exactly so many bytes, all of them `mark` but the header.
fn frame_of_len(len: usize, mark: u8) -> Vec<u8> {
    let mut frame = [&BROADCAST[..], &GUEST, &[0x88, 0xb5]].concat();
    frame.resize(len, mark);
    frame
}

/// Sends frames of one length, each marked with its number, and lets them arrive.
fn send(kernel: &SimKernel, sender: &Ndrv, count: u8, len: usize) {
    for mark in 0..count {
        sender.send(&frame_of_len(len, mark)).unwrap();
    }
    let_frames_through(kernel);
}

/// The marks of frames.
fn marks(records: &[Record]) -> Vec<u8> {
    records.iter().map(|record| record.bytes[20]).collect()
}

/// A device with a buffer of so many bytes, attached to `feth0`, not immediate.
fn device_of(kernel: &SimKernel, buffer: u32) -> Device {
    let device = Device::any(kernel);
    device.set_buffer(buffer).unwrap();
    device.attach("feth0").unwrap();
    device
}

/// §5 read: a buffer of another length than the device's is `EINVAL`, before anything else (M7).
#[test]
fn a_read_has_the_buffers_length() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let unattached = Device::any(&kernel);
    assert_eq!(unattached.read_with(4095), Err(Errno::EINVAL));
    assert_eq!(unattached.read_with(4096), Err(Errno::ENXIO));
    let device = device_of(&kernel, 8192);
    send(&kernel, &sender, 1, 60);
    for len in [0, 4096, 8191, 8193] {
        assert_eq!(device.read_with(len), Err(Errno::EINVAL), "{len}");
    }
    assert_eq!(device.read_with(8192).unwrap().len(), 78);
    assert_eq!(device.read_with(8192), Err(Errno::EAGAIN));
}

/// §5 record walk, M4: a header of 18 bytes, the next record at a multiple of 4, the last not
/// padded; `caplen` and `datalen`.
#[test]
fn records_are_laid_out() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.filter(BIOCSETF, &[(0x06, 0, 0, 61)]).unwrap();
    for (mark, len) in [(0, 61), (1, 60), (2, 1514)] {
        sender.send(&frame_of_len(len, mark)).unwrap();
    }
    let_frames_through(&kernel);
    let bytes = device.read().unwrap();
    let records = records(&bytes);
    let shape = |record: &Record| (record.at, record.header_len, record.captured, record.frame_len);
    let shapes: Vec<_> = records.iter().map(shape).collect();
    assert_eq!(shapes, [(0, 18, 61, 61), (80, 18, 60, 60), (160, 18, 61, 1514)]);
    assert_eq!(bytes.len(), 160 + 18 + 61);
    assert_eq!(records[0].bytes, frame_of_len(61, 0));
    assert_eq!(records[2].bytes, frame_of_len(1514, 2)[..61]);
}

/// M4: nobody clears what is between two records.
#[test]
fn pads_are_not_cleared() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    let mut pads = Vec::new();
    for _ in 0..4 {
        send(&kernel, &sender, 2, 61);
        pads.extend_from_slice(&device.read().unwrap()[79..80]);
    }
    assert!(pads.iter().any(|byte| *byte != 0), "{pads:x?}");
}

/// M4: what a buffer has no room for is cut off, which is no drop.
#[test]
fn a_frame_is_cut_to_the_buffer() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 100);
    send(&kernel, &sender, 1, 1514);
    let records = device.records().unwrap();
    assert_eq!((records[0].captured, records[0].frame_len), (82, 1514));
    assert_eq!(device.stats(), (1, 0));
}

/// M4, §1b NOTSTAMP: records have the wall clock's time, or none.
#[test]
fn records_have_the_wall_clocks_time() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    send(&kernel, &sender, 1, 60);
    let (seconds, microseconds) = device.records().unwrap()[0].time;
    assert!(seconds > 1_600_000_000 && microseconds < 1_000_000);
    kernel.run_for(Duration::from_secs(2));
    send(&kernel, &sender, 1, 60);
    let later = device.records().unwrap()[0].time;
    assert!((2..4).contains(&(later.0 - seconds)), "{later:?}");
    device.set(BIOCSNOTSTAMP, 1).unwrap();
    send(&kernel, &sender, 1, 60);
    assert_eq!(device.records().unwrap()[0].time, (0, 0));
    device.set(BIOCSNOTSTAMP, 0).unwrap();
    send(&kernel, &sender, 1, 60);
    assert_ne!(device.records().unwrap()[0].time, (0, 0));
}

/// §2 EXTHDR: a longer header, which says the direction; it has grown by 4 bytes in 15.
#[test]
fn extended_headers() {
    for version in MacOs::ALL {
        let (kernel, _control, sender) = wired(version);
        let device = device_of(&kernel, 4096);
        device.set(BIOCSEXTHDR, 1).unwrap();
        send(&kernel, &sender, 1, 60);
        let own = Ndrv::on(&kernel, "feth0");
        send(&kernel, &own, 1, 60);
        let bytes = device.read().unwrap();
        let len = if version < MacOs::V15 { 62 } else { 66 };
        let records = records(&bytes);
        assert!(records.iter().all(|record| record.header_len == len), "{version:?}");
        let flags_at = if version < MacOs::V13 { 18 } else { 19 };
        let flags: Vec<u8> = records.iter().map(|record| bytes[record.at + flags_at]).collect();
        assert_eq!(flags, [0, 1], "{version:?}");
        // The rest of the struct is zero.
        assert!(bytes[20..usize::from(len) - 2].iter().all(|byte| *byte == 0));
    }
}

/// §2 EXTHDR: buffers that have no room for the header catch nothing, and count no drop.
#[test]
fn buffers_smaller_than_the_header_catch_nothing() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 32);
    device.set(BIOCSEXTHDR, 1).unwrap();
    send(&kernel, &sender, 1, 60);
    assert_eq!((device.stats(), device.read()), ((1, 0), Err(Errno::EAGAIN)));
    device.set(BIOCSEXTHDR, 0).unwrap();
    send(&kernel, &sender, 1, 60);
    assert_eq!(device.records().unwrap()[0].captured, 14);
}

/// §1b BIOCSHDRCOMP (13): what a record's beginning has in common with the one before, in whole
/// words, is left out; `bh_complen` says how much.
#[test]
fn compressed_headers() {
    for version in [MacOs::V13, MacOs::V15] {
        let (kernel, _control, sender) = wired(version);
        let device = Device::any(&kernel);
        device.set(BIOCSHDRCOMP, 1).unwrap();
        device.attach("feth0").unwrap();
        send(&kernel, &sender, 2, 60);
        let bytes = device.read().unwrap();
        let records = records(&bytes);
        let common: Vec<u8> = records.iter().map(|record| bytes[record.at + 18]).collect();
        // Marked from byte 14 on: three words of 4 are the same.
        assert_eq!(common, [0, 12]);
        assert_eq!((records[1].header_len, records[1].captured), (22, 48));
        assert_eq!(records[1].frame_len, 60);
        assert_eq!(records[1].bytes, frame_of_len(60, 1)[12..]);
        let mut stats = [0; 56];
        device.ioctl(BIOCGHDRCOMPSTATS, &mut stats).unwrap();
        let stats: Vec<u64> = (0..7).map(|at| u64_at(&stats, at * 8)).collect();
        assert_eq!(stats, [2, 120, 0, 1, 1, 12, 12]);
    }
}

/// §5 buffers, stats, M1: a full store becomes the hold buffer; with both full the newest are
/// dropped, and counted.
#[test]
fn the_newest_are_dropped_when_both_buffers_are_full() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    // Two records of 78 bytes and 2 of padding.
    let device = device_of(&kernel, 160);
    send(&kernel, &sender, 7, 60);
    assert_eq!(device.stats(), (7, 3));
    assert_eq!(marks(&device.records().unwrap()), [0, 1]);
    assert_eq!(marks(&device.records().unwrap()), [2, 3]);
    assert_eq!(device.read(), Err(Errno::EAGAIN));
    send(&kernel, &sender, 1, 60);
    assert_eq!(marks(&device.records().unwrap()), [0]);
}

/// §1b HEADDROP, M1: the oldest are dropped, a whole hold buffer at a time.
#[test]
fn the_oldest_are_dropped_when_asked_for() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 160);
    device.set(BIOCSHEADDROP, 1).unwrap();
    send(&kernel, &sender, 7, 60);
    assert_eq!(device.stats(), (7, 4));
    assert_eq!(marks(&device.records().unwrap()), [4, 5]);
    assert_eq!(marks(&device.records().unwrap()), [6]);
}

/// M2: while a read copies the hold buffer out, what arrives goes into the store, and is dropped
/// when that is full: the buffer is free only when the copy is done.
#[test]
fn a_buffer_is_free_only_when_it_is_copied_out() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let buffer = 4 << 20;
    let device = device_of(&kernel, buffer);
    let len = 2000;
    let a_buffers = usize::try_from(buffer).unwrap() / 2020;
    // The hold buffer full, the store nearly.
    for _ in 0..2 * a_buffers - 4 {
        sender.send(&frame_of_len(len, 0)).unwrap();
        if kernel.bpf_counters(device.minor).unwrap().received % 64 == 0 {
            let_frames_through(&kernel);
        }
    }
    kernel.run_for(Duration::from_millis(1));
    let before = device.stats();
    for _ in 0..16 {
        sender.send(&frame_of_len(len, 1)).unwrap();
    }
    // They are still on their way when the read begins, and arrive while it copies.
    let read = device.read().unwrap();
    assert_eq!(records(&read).len(), a_buffers);
    let after = device.stats();
    assert_eq!(after.0 - before.0, 16);
    assert_eq!((before.1, after.1), (0, 12));
}

/// M3: a device that is not immediate and has no timeout is silent until its store is full;
/// non-blocking reads take what is there nevertheless.
#[test]
fn without_immediate_only_a_full_store_wakes() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 160);
    let queue = readers(&kernel, &[&device.fd]);
    send(&kernel, &sender, 2, 60);
    assert_eq!(events(&kernel, &queue), []);
    send(&kernel, &sender, 1, 60);
    let told = events(&kernel, &queue);
    assert_eq!((told.len(), told[0].data), (1, 158));
    assert_eq!(marks(&device.records().unwrap()), [0, 1]);
    assert_eq!(events(&kernel, &queue), []);
    assert_eq!(marks(&device.records().unwrap()), [0]);
}

/// M3, §5 kqueue: an immediate device tells of every packet; `data` is what the next read gives:
/// the hold buffer if there is one, else the store.
#[test]
fn immediate_devices_tell_of_every_packet() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 160);
    device.set(BIOCIMMEDIATE, 1).unwrap();
    let queue = readers(&kernel, &[&device.fd]);
    for (frames, data) in [(1, 78), (1, 158), (1, 158)] {
        send(&kernel, &sender, frames, 60);
        let told = events(&kernel, &queue);
        assert_eq!((told.len(), told[0].data), (1, data));
    }
    assert_eq!(device.read().unwrap().len(), 158);
    assert_eq!(events(&kernel, &queue)[0].data, 78);
    assert_eq!(device.read().unwrap().len(), 78);
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: with `EV_CLEAR` every arrival tells again.
#[test]
fn each_arrival_tells_an_edge_triggered_reader() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.set(BIOCIMMEDIATE, 1).unwrap();
    let queue = kernel.kqueue().unwrap();
    apply(&kernel, &queue, change(&device.fd, EVFILT_READ, EV_ADD | EV_CLEAR)).unwrap();
    for _ in 0..3 {
        send(&kernel, &sender, 1, 60);
        assert_eq!(events(&kernel, &queue).len(), 1);
        assert_eq!(events(&kernel, &queue), []);
    }
}

/// §5 kqueue: `NOTE_LOWAT` counts in immediate mode alone, at most as much as the buffer; nothing
/// releases a short rest.
#[test]
fn low_water_marks_count_when_immediate() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 160);
    let mark =
        |data| kevent64_s { fflags: NOTE_LOWAT, data, ..change(&device.fd, EVFILT_READ, EV_ADD) };
    let queue = kernel.kqueue().unwrap();
    device.set(BIOCIMMEDIATE, 1).unwrap();
    apply(&kernel, &queue, mark(79)).unwrap();
    send(&kernel, &sender, 1, 60);
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(10)), []);
    send(&kernel, &sender, 1, 60);
    assert_eq!(events(&kernel, &queue).len(), 1);
    // More than the buffer is as much as the buffer, which 158 bytes are not.
    apply(&kernel, &queue, mark(100_000)).unwrap();
    assert_eq!(events(&kernel, &queue), []);
    device.ioctl(BIOCFLUSH, &mut []).unwrap();
    send(&kernel, &sender, 1, 142);
    assert_eq!(events(&kernel, &queue)[0].data, 160);
    // Not immediate: any hold buffer will do.
    device.ioctl(BIOCFLUSH, &mut []).unwrap();
    device.set(BIOCIMMEDIATE, 0).unwrap();
    send(&kernel, &sender, 2, 60);
    assert_eq!(events(&kernel, &queue), []);
    send(&kernel, &sender, 1, 62);
    assert_eq!(events(&kernel, &queue)[0].data, 158);
}

/// §5 kqueue: detaching any knote clears the flag by which arrivals tell knotes: another one hears
/// of nothing more until it is touched.
#[test]
fn one_registration_for_each_descriptor() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.set(BIOCIMMEDIATE, 1).unwrap();
    let queue = readers(&kernel, &[&device.fd]);
    let other = readers(&kernel, &[&device.fd]);
    send(&kernel, &sender, 1, 60);
    assert_eq!((events(&kernel, &queue).len(), events(&kernel, &other).len()), (1, 1));
    device.read().unwrap();
    assert_eq!(events(&kernel, &queue), []);
    apply(&kernel, &other, change(&device.fd, EVFILT_READ, EV_DELETE)).unwrap();
    send(&kernel, &sender, 1, 60);
    assert_eq!(events(&kernel, &queue), []);
    // Touching looks, and makes no new registration.
    apply(&kernel, &queue, change(&device.fd, EVFILT_READ, EV_ADD)).unwrap();
    assert_eq!(events(&kernel, &queue).len(), 1);
    device.read().unwrap();
    assert_eq!(events(&kernel, &queue), []);
    send(&kernel, &sender, 1, 60);
    assert_eq!(events(&kernel, &queue), []);
}

/// M6, §5 timeout: the timer starts when kqueue finds nothing, runs in ticks of 10 ms, and tells
/// only of a store that has something.
#[test]
fn a_timeout_releases_the_store() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.set_timeout(0, 25_000).unwrap();
    let queue = readers(&kernel, &[&device.fd]);
    let began = kernel.uptime_ns();
    send(&kernel, &sender, 1, 60);
    assert_eq!(events(&kernel, &queue), []);
    let told = wait(&kernel, &queue, Duration::from_secs(1));
    let took = Duration::from_nanos(kernel.uptime_ns() - began);
    assert_eq!((told.len(), told[0].data), (1, 78));
    assert!((29..31).contains(&took.as_millis()), "{took:?}");
    assert_eq!(device.read().unwrap().len(), 78);
    // The read ended it; it starts again when kqueue looks and finds nothing.
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(1)), []);
}

/// M6: packets that arrive neither end nor prolong a timeout.
#[test]
fn arrivals_do_not_prolong_a_timeout() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.set_timeout(0, 20_000).unwrap();
    let queue = readers(&kernel, &[&device.fd]);
    let began = kernel.uptime_ns();
    for after in [1, 8, 15] {
        kernel.schedule(Duration::from_millis(after), |kernel| {
            Ndrv::on(kernel, "feth1").send(&frame_of_len(60, 0)).unwrap();
        });
    }
    let told = wait(&kernel, &queue, Duration::from_secs(1));
    let took = Duration::from_nanos(kernel.uptime_ns() - began);
    assert_eq!(told[0].data, 78 + 80 + 80);
    assert!((19..21).contains(&took.as_millis()), "{took:?}");
    drop(sender);
}

/// M6: a read ends the timer, also one that has gone off: the packets after it do not tell.
#[test]
fn a_read_ends_the_timer() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.set_timeout(0, 10_000).unwrap();
    let queue = readers(&kernel, &[&device.fd]);
    send(&kernel, &sender, 1, 60);
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(1)).len(), 1);
    assert_eq!(device.read_with(4096).unwrap().len(), 78);
    send(&kernel, &sender, 1, 60);
    assert_eq!(events(&kernel, &queue), []);
}

/// §5 non-immediate and timeout: after the timer has gone off a blocking read takes the store at
/// once.
#[test]
fn a_blocking_read_after_a_timeout_does_not_wait() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = Device::open_with(&kernel, 0, O_RDWR).unwrap();
    device.attach("feth0").unwrap();
    device.set_timeout(0, 10_000).unwrap();
    let queue = readers(&kernel, &[&device.fd]);
    send(&kernel, &sender, 1, 60);
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(1)).len(), 1);
    let began = kernel.uptime_ns();
    assert_eq!(device.read_with(4096).unwrap().len(), 78);
    assert!(kernel.uptime_ns() - began < 1_000_000);
}

/// M3: after the timer has gone off over an empty store, every packet tells.
#[test]
fn after_a_timeout_every_packet_wakes() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.set_timeout(0, 10_000).unwrap();
    let queue = readers(&kernel, &[&device.fd]);
    assert_eq!(wait(&kernel, &queue, Duration::from_millis(50)), []);
    send(&kernel, &sender, 1, 60);
    assert_eq!(events(&kernel, &queue)[0].data, 78);
}

/// M6: any request ends the timer, an unknown one too.
#[test]
fn any_request_ends_the_timer() {
    for request in [BIOCGBLEN, 0x4004_42ff] {
        let (kernel, _control, sender) = wired(MacOs::V15);
        let device = device_of(&kernel, 4096);
        device.set_timeout(0, 10_000).unwrap();
        let queue = readers(&kernel, &[&device.fd]);
        send(&kernel, &sender, 1, 60);
        let _ = device.get(request);
        assert_eq!(wait(&kernel, &queue, Duration::from_millis(100)), [], "{request:#x}");
    }
}

/// §5 read: a blocking read of an immediate device waits for a packet.
#[test]
fn a_blocking_read_waits_for_a_packet() {
    let (kernel, _control, _sender) = wired(MacOs::V15);
    let device = Device::open_with(&kernel, 0, O_RDWR).unwrap();
    device.set(BIOCIMMEDIATE, 1).unwrap();
    device.attach("feth0").unwrap();
    kernel.schedule(Duration::from_millis(5), |kernel| {
        Ndrv::on(kernel, "feth1").send(&frame_of_len(60, 7)).unwrap();
    });
    assert_eq!(marks(&device.records().unwrap()), [7]);
}

/// §5 timeout: a blocking read of a device that is not immediate ends with its timeout: with what
/// is there, or with nothing.
#[test]
fn a_blocking_read_ends_with_its_timeout() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = Device::open_with(&kernel, 0, O_RDWR).unwrap();
    device.attach("feth0").unwrap();
    device.set_timeout(0, 20_000).unwrap();
    let began = kernel.uptime_ns();
    assert_eq!(device.read_with(4096), Ok(Vec::new()));
    let took = Duration::from_nanos(kernel.uptime_ns() - began).as_millis();
    assert!((20..22).contains(&took), "{took}");
    send(&kernel, &sender, 2, 60);
    assert_eq!(records(&device.read_with(4096).unwrap()).len(), 2);
}

/// §5 interface gone: a sleeping read ends with `ENXIO`; without immediate mode what is in the
/// store is not given (only to a non-blocking read).
#[test]
fn a_sleeping_read_ends_with_its_interface() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = Device::open_with(&kernel, 0, O_RDWR).unwrap();
    device.attach("feth0").unwrap();
    send(&kernel, &sender, 1, 60);
    kernel.schedule(Duration::from_millis(5), |kernel| {
        kernel.destroy_interface("feth0").unwrap();
    });
    assert_eq!(device.read_with(4096), Err(Errno::ENXIO));
    device.set(FIONBIO, 1).unwrap();
    assert_eq!(records(&device.read_with(4096).unwrap()).len(), 1);
    assert_eq!(device.read_with(4096), Err(Errno::ENXIO));
}

/// C13, §5 interface gone: first nothing is there, later what waits, then `ENXIO`; kqueue never
/// tells of an empty device, not even when it is touched, and never of an end.
#[test]
fn a_gone_interface_is_silent() {
    let (kernel, control, _sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.set(BIOCIMMEDIATE, 1).unwrap();
    let queue = readers(&kernel, &[&device.fd]);
    control.destroy("feth0").unwrap();
    assert_eq!(device.read(), Err(Errno::EAGAIN));
    assert_eq!(device.interface(), Ok("feth0".to_owned()));
    settle(&kernel);
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(1)), []);
    apply(&kernel, &queue, change(&device.fd, EVFILT_READ, EV_ADD)).unwrap();
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(1)), []);
    assert_eq!(device.read(), Err(Errno::ENXIO));
}

/// M3: the end of its interface looks at a device's knotes: one that is edge-triggered hears once
/// more of what it has not read.
#[test]
fn the_end_tells_again_of_what_waits() {
    let (kernel, control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    device.set(BIOCIMMEDIATE, 1).unwrap();
    let queue = kernel.kqueue().unwrap();
    apply(&kernel, &queue, change(&device.fd, EVFILT_READ, EV_ADD | EV_CLEAR)).unwrap();
    send(&kernel, &sender, 1, 60);
    assert_eq!(events(&kernel, &queue).len(), 1);
    assert_eq!(events(&kernel, &queue), []);
    control.destroy("feth0").unwrap();
    settle(&kernel);
    assert_eq!(events(&kernel, &queue)[0].data, 78);
}

/// §5 interface gone: what waits is read first, and told of.
#[test]
fn what_waits_is_read_before_the_end() {
    let (kernel, control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 4096);
    let queue = readers(&kernel, &[&device.fd]);
    send(&kernel, &sender, 2, 60);
    control.destroy("feth0").unwrap();
    settle(&kernel);
    // Not immediate: nothing is told, a non-blocking read finds it.
    assert_eq!(events(&kernel, &queue), []);
    assert_eq!(marks(&device.records().unwrap()), [0, 1]);
    assert_eq!(device.read(), Err(Errno::ENXIO));
}

/// §5 FIONREAD: the store; and up to 13 the hold buffer, which since then counts only while a read
/// copies it.
#[test]
fn fionread_counts_the_store() {
    for version in MacOs::ALL {
        let (kernel, _control, sender) = wired(version);
        let device = device_of(&kernel, 160);
        send(&kernel, &sender, 3, 60);
        let held = if version < MacOs::V14_0 { 158 } else { 0 };
        assert_eq!(device.get(FIONREAD), Ok(78 + held), "{version:?}");
    }
}

/// §5 stats: 64 bits within, 32 bits told.
#[test]
fn counters_of_a_device() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let device = device_of(&kernel, 160);
    send(&kernel, &sender, 6, 60);
    let counters = kernel.bpf_counters(device.minor).unwrap();
    assert_eq!((counters.received, counters.accepted), (6, 6));
    assert_eq!((counters.dropped, counters.waiting), (2, 4));
    assert_eq!(device.stats(), (6, 2));
    let minor = device.minor;
    drop(device);
    assert_eq!(kernel.bpf_counters(minor), None);
}

/// M7, §5: the newest device of an interface gets a packet first.
#[test]
fn the_newest_listener_is_first() {
    let (kernel, _control, sender) = wired(MacOs::V15);
    let older = device_of(&kernel, 4096);
    let newer = device_of(&kernel, 4096);
    let queue = kernel.kqueue().unwrap();
    for device in [&older, &newer] {
        device.set(BIOCIMMEDIATE, 1).unwrap();
        apply(&kernel, &queue, change(&device.fd, EVFILT_READ, EV_ADD)).unwrap();
    }
    send(&kernel, &sender, 1, 60);
    let told: Vec<u64> = events(&kernel, &queue).iter().map(|event| event.ident).collect();
    let number = |device: &Device| u64::try_from(SimKernel::number(&device.fd)).unwrap();
    assert_eq!(told, [number(&newer), number(&older)]);
}
