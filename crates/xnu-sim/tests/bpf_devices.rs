//! BPF devices: opening, requests, filters, what they see. Each behaviour by its row of the
//! contract.

mod common;
mod support;

use std::time::Duration;

use proptest::prelude::*;
use support::bpf::*;
use support::frames::{BROADCAST, GUEST, OTHER_GUEST, frame};
use support::taps::Ndrv;
use support::{Control, PROMISCUOUS, UP, ifreq, let_frames_through, machine, put, settle, u32_at};
use xnu_sim::{MacOs, SimKernel};
use xnu_sys::{Errno, Kernel};

/// A machine with `feth0` and `feth1`, each other's peers, a device on `feth0`, and who sends by
/// `feth1`.
fn wired(version: MacOs) -> (SimKernel, Control, Device, Ndrv) {
    let (kernel, control) = machine(version);
    control.pair("feth0", "feth1");
    let device = Device::on(&kernel, "feth0");
    let sender = Ndrv::on(&kernel, "feth1");
    (kernel, control, device, sender)
}

fn send(kernel: &SimKernel, sender: &Ndrv, text: &str) -> Vec<u8> {
    let sent = frame(BROADCAST, GUEST, text);
    sender.send(&sent).unwrap();
    let_frames_through(kernel);
    sent
}

/// §5 devices: 4 nodes at boot; opening the last makes the next one, opening another does not.
#[test]
fn opening_the_last_node_makes_the_next() {
    let (kernel, _control) = machine(MacOs::V15);
    assert_eq!(Device::open(&kernel, 4).err(), Some(Errno::ENOENT));
    let _first = Device::open(&kernel, 0).unwrap();
    assert_eq!(Device::open(&kernel, 4).err(), Some(Errno::ENOENT));
    let _last = Device::open(&kernel, 3).unwrap();
    let _made = Device::open(&kernel, 4).unwrap();
    assert_eq!(Device::open(&kernel, 6).err(), Some(Errno::ENOENT));
}

/// §5 devices: one open for each minor; a failed open of the last node makes the next one too.
#[test]
fn a_busy_last_node_makes_the_next() {
    let (kernel, _control) = machine(MacOs::V15);
    let other = kernel.spawn(true);
    let held: Vec<Device> = (0..4).map(|minor| Device::open(&other, minor).unwrap()).collect();
    assert_eq!(Device::open(&kernel, 3).err(), Some(Errno::EBUSY));
    let _fifth = Device::open(&kernel, 4).unwrap();
    assert_eq!(Device::open(&kernel, 0).err(), Some(Errno::EBUSY));
    drop(held);
    Device::open(&kernel, 0).unwrap();
}

/// §5 devices, open loop: there are 256 at most, then `ENOENT`.
#[test]
fn there_are_256_devices() {
    let (kernel, _control) = machine(MacOs::V15);
    let held: Vec<Device> = (0..256).map(|minor| Device::open(&kernel, minor).unwrap()).collect();
    assert_eq!(Device::open(&kernel, 256).err(), Some(Errno::ENOENT));
    assert_eq!(Device::open(&kernel, 255).err(), Some(Errno::EBUSY));
    assert_eq!(held.len(), 256);
}

/// §5 open loop: nodes are root's alone, until `ChmodBPF` regroups those that there are; what root
/// opened works on after its privileges are gone.
#[test]
fn only_root_opens_until_nodes_are_regrouped() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let user = kernel.spawn(false);
    assert_eq!(Device::open(&user, 0).err(), Some(Errno::EACCES));
    // A user's vain try makes no node.
    assert_eq!(Device::open(&user, 3).err(), Some(Errno::EACCES));
    assert_eq!(Device::open(&kernel, 4).err(), Some(Errno::ENOENT));
    kernel.regroup_bpf_devices();
    let _last = Device::open(&user, 3).unwrap();
    assert_eq!(Device::open(&user, 4).err(), Some(Errno::EACCES));
    let device = Device::open(&kernel, 4).unwrap();
    kernel.drop_privileges();
    device.attach("feth0").unwrap();
    assert_eq!(device.interface(), Ok("feth0".to_owned()));
}

/// §5 devices: closing the last descriptor of a device frees it, whatever process it is of.
#[test]
fn the_last_descriptor_frees_the_device() {
    let (kernel, _control) = machine(MacOs::V15);
    let device = Device::open(&kernel, 0).unwrap();
    let other = kernel.spawn(true);
    let shared = kernel.share(&device.fd, &other).unwrap();
    drop(device);
    assert_eq!(Device::open(&kernel, 0).err(), Some(Errno::EBUSY));
    drop(shared);
    Device::open(&kernel, 0).unwrap();
}

/// §5: a process without descriptors left does not keep the device that it could not open.
#[test]
fn an_open_without_descriptors_keeps_nothing() {
    let (kernel, _control) = machine(MacOs::V15);
    let mut sockets = Vec::new();
    while let Ok(socket) = kernel.socket(1, 2, 0) {
        sockets.push(socket);
    }
    assert_eq!(Device::open(&kernel, 0).err(), Some(Errno::EMFILE));
    drop(sockets);
    Device::open(&kernel, 0).unwrap();
}

/// §1b: a request that is none, or that the version has not, is `EINVAL`.
#[test]
fn requests_are_known_by_version() {
    let first_versions = [
        (BIOCGHDRCOMP, MacOs::V13),
        (BIOCGHDRCOMPON, MacOs::V13),
        (BIOCGDIRECTION, MacOs::V14_0),
        (BIOCGWRITEMAX, MacOs::V14_4),
        (BIOCGBATCHWRITE, MacOs::V14_4),
        (BIOCGNOTSTAMP, MacOs::V15),
        (BIOCGDVRTIN, MacOs::V15),
    ];
    for version in MacOs::ALL {
        let (kernel, _control) = machine(version);
        let device = Device::any(&kernel);
        for (request, first) in first_versions {
            assert_eq!(device.get(request).is_ok(), version >= first, "{request:#x} {version:?}");
            if version < first {
                assert_eq!(device.get(request), Err(Errno::EINVAL));
            }
        }
        let sets = [
            (BIOCSHDRCOMP, MacOs::V13),
            (BIOCSDIRECTION, MacOs::V14_0),
            (BIOCSWRITEMAX, MacOs::V14_4),
            (BIOCSNOTSTAMP, MacOs::V15),
        ];
        for (request, first) in sets {
            let expected = if version < first { Err(Errno::EINVAL) } else { Ok(()) };
            assert_eq!(device.set(request, 1), expected, "{request:#x} {version:?}");
        }
        // Zero-copy BPF's, and one that no header has.
        assert_eq!(device.get(0x4004_42ff), Err(Errno::EINVAL));
        assert_eq!(device.ioctl(0x8018_4281, &mut [0; 24]), Err(Errno::EINVAL));
    }
}

/// §1: the request is compared in all its 64 bits; a sign-extended one is another.
#[test]
fn a_sign_extended_request_is_none() {
    let (kernel, _control) = machine(MacOs::V15);
    let device = Device::any(&kernel);
    let extended = 0xffff_ffff_0000_0000 | BIOCIMMEDIATE;
    assert_eq!(device.ioctl(extended, &mut [1, 0, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(device.ioctl(BIOCIMMEDIATE, &mut [1, 0, 0, 0]), Ok(()));
}

/// §5 BIOCSBLEN, C20: 4,096 unless said otherwise; clamped and told; 32 at least; 512 KiB at most
/// up to 12, twice that when the device drops the oldest; 32 MiB since 13.
#[test]
fn buffer_lengths_are_clamped_by_version() {
    for version in MacOs::ALL {
        let (kernel, _control) = machine(version);
        let device = Device::any(&kernel);
        assert_eq!(device.get(BIOCGBLEN), Ok(4096));
        assert_eq!(device.set_buffer(0), Ok(32));
        assert_eq!(device.set_buffer(33), Ok(33));
        let most = if version < MacOs::V13 { 512 << 10 } else { 32 << 20 };
        assert_eq!(device.set_buffer(u32::MAX), Ok(most), "{version:?}");
        assert_eq!(device.get(BIOCGBLEN), Ok(most));
        device.set(BIOCSHEADDROP, 1).unwrap();
        let most = if version < MacOs::V13 { 1 << 20 } else { most };
        assert_eq!(device.set_buffer(u32::MAX), Ok(most), "{version:?}");
    }
}

/// §5 BIOCSBLEN: what `debug.bpf_bufsize` says is what a new device has; `debug.bpf_maxbufsize`
/// bounds buffers up to 12.
#[test]
fn buffer_lengths_follow_sysctl() {
    let (kernel, _control) = machine(MacOs::V12);
    let set = |name, value: u32| {
        kernel.sysctlbyname(name, &mut [], Some(&value.to_le_bytes())).unwrap();
    };
    set(c"debug.bpf_bufsize", 8192);
    set(c"debug.bpf_maxbufsize", 65_536);
    let device = Device::any(&kernel);
    assert_eq!(device.get(BIOCGBLEN), Ok(8192));
    assert_eq!(device.set_buffer(100_000), Ok(65_536));
}

/// §5 BIOCSBLEN, M8: not while it is attached; again after the interface has gone.
#[test]
fn buffer_length_is_fixed_while_attached() {
    let (kernel, control, device, _sender) = wired(MacOs::V15);
    assert_eq!(device.set_buffer(8192), Err(Errno::EINVAL));
    control.destroy("feth0").unwrap();
    assert_eq!(device.set_buffer(8192), Err(Errno::EINVAL));
    settle(&kernel);
    assert_eq!(device.set_buffer(8192), Ok(8192));
}

/// §5 SETIF: `ENXIO` for a name that is none, and for one that goes; before it requests about the
/// interface are `EINVAL`.
#[test]
fn attaching_needs_an_interface() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let device = Device::any(&kernel);
    assert_eq!(device.attach("feth9"), Err(Errno::ENXIO));
    assert_eq!(device.interface(), Err(Errno::EINVAL));
    assert_eq!(device.get(BIOCGDLT), Err(Errno::EINVAL));
    assert_eq!(device.set(BIOCSDLT, 1), Err(Errno::EINVAL));
    assert_eq!(device.ioctl(BIOCPROMISC, &mut []), Err(Errno::EINVAL));
    assert_eq!(device.ioctl(BIOCGDLTLIST, &mut [0; 12]), Err(Errno::EINVAL));
    control.destroy("feth1").unwrap();
    assert_eq!(device.attach("feth1"), Err(Errno::ENXIO));
    // A down interface will do.
    control.down("feth0");
    assert_eq!(device.attach("feth0"), Ok(()));
    assert_eq!(device.interface(), Ok("feth0".to_owned()));
}

/// §5 SETIF: another interface may be set; buffers and counters begin anew, the filter stays.
#[test]
fn another_interface_resets() {
    let (kernel, control, device, sender) = wired(MacOs::V15);
    send(&kernel, &sender, "x");
    assert_eq!(device.stats(), (1, 0));
    device.filter(BIOCSETFNR, &[(0x30, 0, 0, 0), (0x16, 0, 0, 0)]).unwrap();
    device.attach("feth1").unwrap();
    assert_eq!(device.interface(), Ok("feth1".to_owned()));
    assert_eq!((device.stats(), device.frames().len()), ((0, 0), 0));
    // feth0's frames are not seen, feth1's are, and cut by the filter that returns the first byte.
    let on_feth0 = Ndrv::on(&kernel, "feth0");
    on_feth0.send(&frame([0x20; 6], GUEST, "y")).unwrap();
    let_frames_through(&kernel);
    let records = device.records().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].captured, 0x20);
    drop(control);
}

/// §5 SETIF: the same interface again empties the buffers.
#[test]
fn the_same_interface_again_empties() {
    let (kernel, _control, device, sender) = wired(MacOs::V15);
    send(&kernel, &sender, "x");
    device.attach("feth0").unwrap();
    assert_eq!(device.read(), Err(Errno::EAGAIN));
    let sent = send(&kernel, &sender, "y");
    assert_eq!(device.frames(), [sent]);
}

/// §5 SETIF: the same interface again leaves alone what the device did to it.
#[test]
fn the_same_interface_again_keeps_its_state() {
    let (_kernel, control, device, _sender) = wired(MacOs::V15);
    device.ioctl(BIOCPROMISC, &mut []).unwrap();
    device.set(BIOCSDVRTIN, 1).unwrap();
    device.attach("feth0").unwrap();
    assert_ne!(control.flags("feth0").unwrap() & PROMISCUOUS, 0);
    assert_eq!(device.get(BIOCGDVRTIN), Ok(1));
}

/// §1b: an Ethernet has `DLT_EN10MB` alone; the loopback `DLT_NULL`.
#[test]
fn data_links() {
    let (kernel, _control, device, _sender) = wired(MacOs::V15);
    assert_eq!(device.get(BIOCGDLT), Ok(1));
    assert_eq!(device.set(BIOCSDLT, 1), Ok(()));
    assert_eq!(device.set(BIOCSDLT, 12), Err(Errno::EINVAL));
    let mut list = [0; 12];
    device.ioctl(BIOCGDLTLIST, &mut list).unwrap();
    assert_eq!(u32_at(&list, 0), 1);
    let mut link = [0_u8; 4];
    let address = link.as_mut_ptr().expose_provenance() as u64;
    put(&mut list, 4, &address.to_le_bytes());
    put(&mut list, 0, &0_u32.to_le_bytes());
    assert_eq!(device.ioctl(BIOCGDLTLIST, &mut list), Err(Errno::ENOMEM));
    put(&mut list, 0, &4_u32.to_le_bytes());
    device.ioctl(BIOCGDLTLIST, &mut list).unwrap();
    assert_eq!((u32_at(&list, 0), u32::from_le_bytes(link)), (1, 1));
    let loopback = Device::on(&kernel, "lo0");
    assert_eq!(loopback.get(BIOCGDLT), Ok(0));
}

/// §5 PROMISC: counts on the interface, and is given back with the device or its next interface.
#[test]
fn promiscuous_mode_is_counted_and_given_back() {
    let (kernel, control, device, _sender) = wired(MacOs::V15);
    let is_promiscuous = |name| control.flags(name).unwrap() & PROMISCUOUS != 0;
    let other = Device::on(&kernel, "feth0");
    for _ in 0..2 {
        device.ioctl(BIOCPROMISC, &mut []).unwrap();
    }
    other.ioctl(BIOCPROMISC, &mut []).unwrap();
    assert!(is_promiscuous("feth0"));
    drop(other);
    assert!(is_promiscuous("feth0"));
    device.attach("feth1").unwrap();
    assert!(!is_promiscuous("feth0") && !is_promiscuous("feth1"));
}

/// §1b BIOCIMMEDIATE: XNU reads only the low byte.
#[test]
fn immediate_is_the_low_byte() {
    let (kernel, _control, device, sender) = wired(MacOs::V15);
    let queue = common::readers(&kernel, &[&device.fd]);
    device.set(BIOCIMMEDIATE, 0x100).unwrap();
    send(&kernel, &sender, "x");
    assert_eq!(common::events(&kernel, &queue), []);
    device.set(BIOCIMMEDIATE, 0x101).unwrap();
    send(&kernel, &sender, "y");
    assert_eq!(common::events(&kernel, &queue).len(), 1);
}

/// §1b SEESENT, DIRECTION: 0 shows what comes in alone, anything else both; DIRECTION also what
/// goes out alone, or nothing, since 14.0.
#[test]
fn directions() {
    for version in MacOs::ALL {
        let (kernel, _control, device, sender) = wired(version);
        let own = Ndrv::on(&kernel, "feth0");
        let seen = |device: &Device| {
            let come = send(&kernel, &sender, "in");
            let gone = send(&kernel, &own, "out");
            let frames = device.frames();
            (frames.contains(&come), frames.contains(&gone))
        };
        assert_eq!(device.get(BIOCGSEESENT), Ok(1));
        assert_eq!(seen(&device), (true, true), "{version:?}");
        device.set(BIOCSSEESENT, 0).unwrap();
        assert_eq!(device.get(BIOCGSEESENT), Ok(0));
        assert_eq!(seen(&device), (true, false), "{version:?}");
        device.set(BIOCSSEESENT, 7).unwrap();
        let shown = if version < MacOs::V14_0 { 7 } else { 1 };
        assert_eq!(device.get(BIOCGSEESENT), Ok(shown), "{version:?}");
        assert_eq!(seen(&device), (true, true), "{version:?}");
        if version < MacOs::V14_0 {
            continue;
        }
        for direction in 0..4 {
            device.set(BIOCSDIRECTION, direction).unwrap();
            assert_eq!(device.get(BIOCGDIRECTION), Ok(direction));
            assert_eq!(seen(&device), (direction & 1 != 0, direction & 2 != 0));
        }
        assert_eq!(device.set(BIOCSDIRECTION, 4), Err(Errno::EINVAL));
        device.set(BIOCSDIRECTION, 2).unwrap();
        assert_eq!(device.get(BIOCGSEESENT), Ok(1));
    }
}

/// §5 stats, C21: received are those that were offered to the filter, after the direction's test.
#[test]
fn received_are_counted_after_the_direction_and_before_the_filter() {
    let (kernel, _control, device, sender) = wired(MacOs::V15);
    let own = Ndrv::on(&kernel, "feth0");
    device.set(BIOCSSEESENT, 0).unwrap();
    device.filter(BIOCSETF, &[TAKE_NONE]).unwrap();
    send(&kernel, &own, "out");
    assert_eq!(device.stats(), (0, 0));
    send(&kernel, &sender, "in");
    assert_eq!(device.stats(), (1, 0));
    let counters = kernel.bpf_counters(device.minor).unwrap();
    assert_eq!((counters.received, counters.accepted, counters.waiting), (1, 0, 0));
}

/// §1b SETF, C19: SETF empties buffers and counters, SETFNR does not, and an empty program does by
/// either; without instructions but with a length it is `EINVAL`.
#[test]
fn filters_flush_or_not() {
    let (kernel, _control, device, sender) = wired(MacOs::V15);
    send(&kernel, &sender, "x");
    device.filter(BIOCSETFNR, &[TAKE_ALL]).unwrap();
    assert_eq!((device.stats(), device.frames().len()), ((1, 0), 1));
    send(&kernel, &sender, "y");
    device.filter(BIOCSETF, &[TAKE_ALL]).unwrap();
    assert_eq!((device.stats(), device.frames().len()), ((0, 0), 0));
    device.filter(BIOCSETFNR, &[TAKE_NONE]).unwrap();
    send(&kernel, &sender, "z");
    assert_eq!((device.stats(), device.frames().len()), ((1, 0), 0));
    assert_eq!(device.program(BIOCSETFNR, 1, 0), Err(Errno::EINVAL));
    assert_eq!(device.stats(), (1, 0));
    device.program(BIOCSETFNR, 0, 0).unwrap();
    assert_eq!(device.stats(), (0, 0));
    let sent = send(&kernel, &sender, "all");
    assert_eq!(device.frames(), [sent]);
}

/// §1b FLUSH: empties, and zeroes the counters.
#[test]
fn a_flush_empties_and_zeroes() {
    let (kernel, _control, device, sender) = wired(MacOs::V15);
    send(&kernel, &sender, "x");
    device.ioctl(BIOCFLUSH, &mut []).unwrap();
    assert_eq!((device.stats(), device.read()), ((0, 0), Err(Errno::EAGAIN)));
}

/// M5, C18: what is refused is `EINVAL` and leaves the filter before; at most 512 instructions, at
/// least one.
#[test]
fn bad_programs_are_refused() {
    let (kernel, _control, device, sender) = wired(MacOs::V15);
    device.filter(BIOCSETF, &[(0x06, 0, 0, 10)]).unwrap();
    let refused: [&[Word]; 5] = [
        &[],
        &[(0x00, 0, 0, 0)],
        &[(0x94, 0, 0, 1), TAKE_ALL],
        &[(0x05, 0, 0, 1), TAKE_ALL],
        &[(0x20, 0, 0, 512 << 10), TAKE_ALL],
    ];
    for words in refused {
        assert_eq!(device.filter(BIOCSETF, words), Err(Errno::EINVAL), "{words:x?}");
    }
    assert_eq!(device.filter(BIOCSETF, &[TAKE_ALL; 513]), Err(Errno::EINVAL));
    send(&kernel, &sender, "x");
    assert_eq!(device.records().unwrap()[0].captured, 10);
    assert_eq!(device.filter(BIOCSETF, &[TAKE_ALL; 512]), Ok(()));
}

/// §5 BIOCSBLEN: `debug.bpf_maxbufsize` bounds the offsets of loads in all versions.
#[test]
fn load_offsets_are_bounded_by_sysctl() {
    for version in MacOs::ALL {
        let (kernel, _control) = machine(version);
        let value = 4096_u32.to_le_bytes();
        kernel.sysctlbyname(c"debug.bpf_maxbufsize", &mut [], Some(&value)).unwrap();
        let device = Device::any(&kernel);
        let load = |k| device.filter(BIOCSETF, &[(0x30, 0, 0, k), TAKE_ALL]);
        assert_eq!((load(4095), load(4096)), (Ok(()), Err(Errno::EINVAL)), "{version:?}");
    }
}

/// §5 filter: it may be set before the interface, and then no frame passes unfiltered.
#[test]
fn a_filter_before_the_interface_holds() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let device = Device::any(&kernel);
    // Frames to GUEST: its last four bytes, its first two.
    let to_guest = [
        (0x20, 0, 0, 2),
        (0x15, 0, 3, 0x0000_0001),
        (0x28, 0, 0, 0),
        (0x15, 0, 1, 0x5254),
        TAKE_ALL,
        TAKE_NONE,
    ];
    device.filter(BIOCSETF, &to_guest).unwrap();
    device.attach("feth0").unwrap();
    let sender = Ndrv::on(&kernel, "feth1");
    sender.send(&frame(OTHER_GUEST, GUEST, "other")).unwrap();
    let wanted = frame(GUEST, OTHER_GUEST, "wanted");
    sender.send(&wanted).unwrap();
    let_frames_through(&kernel);
    assert_eq!(device.frames(), [wanted]);
}

/// §1b: settings are given back as they were set.
#[test]
fn settings_are_given_back() {
    let (kernel, _control) = machine(MacOs::V15);
    let device = Device::any(&kernel);
    let mut version = [0; 4];
    device.ioctl(BIOCVERSION, &mut version).unwrap();
    assert_eq!(version, [1, 0, 1, 0]);
    assert_eq!(device.get(BIOCGRSIG), Ok(23));
    assert_eq!(device.set(BIOCSRSIG, 32), Err(Errno::EINVAL));
    device.set(BIOCSRSIG, 31).unwrap();
    assert_eq!(device.get(BIOCGRSIG), Ok(31));
    let switches = [
        (BIOCSHDRCMPLT, BIOCGHDRCMPLT),
        (BIOCSHEADDROP, BIOCGHEADDROP),
        (BIOCSHDRCOMP, BIOCGHDRCOMP),
        (BIOCSNOTSTAMP, BIOCGNOTSTAMP),
        (BIOCSWANTPKTAP, BIOCGWANTPKTAP),
        (BIOCSBATCHWRITE, BIOCGBATCHWRITE),
    ];
    for (set, get) in switches {
        assert_eq!(device.get(get), Ok(0), "{get:#x}");
        device.set(set, 1).unwrap();
        assert_eq!(device.get(get), Ok(1), "{get:#x}");
    }
    assert_eq!(device.set(BIOCSTRUNCATE, 1), Ok(()));
    assert_eq!(device.set(BIOCSPKTHDRV2, 1), Ok(()));
}

/// §1b GETTC: the classes of `SO_TRAFFIC_CLASS`, no others.
#[test]
fn traffic_classes() {
    let (kernel, _control) = machine(MacOs::V15);
    let device = Device::any(&kernel);
    assert_eq!(device.get(BIOCGETTC), Ok(0));
    for class in [100, 200, 300, 400, 500, 600, 700, 800, 900, 10_002, 0] {
        device.set(BIOCSETTC, class).unwrap();
        assert_eq!(device.get(BIOCGETTC), Ok(class));
    }
    for class in [1, 50, 1000, 10_001, u32::MAX] {
        assert_eq!(device.set(BIOCSETTC, class), Err(Errno::EINVAL));
    }
}

/// §1b BIOCGIFATTACHCOUNT: how many devices listen on an interface.
#[test]
fn listeners_are_counted() {
    let (kernel, _control, device, _sender) = wired(MacOs::V15);
    let count = |name: &str| {
        let mut request = ifreq(name);
        device.ioctl(BIOCGIFATTACHCOUNT, &mut request).map(|()| u32_at(&request, 16))
    };
    assert_eq!((count("feth0"), count("feth1")), (Ok(1), Ok(0)));
    assert_eq!(count("feth9"), Err(Errno::ENXIO));
    let other = Device::on(&kernel, "feth0");
    assert_eq!(count("feth0"), Ok(2));
    drop(other);
    assert_eq!(count("feth0"), Ok(1));
}

/// §1b BIOCSRTIMEOUT: kept in ticks of 10 ms, rounded up; as `itimerfix` refuses.
#[test]
fn timeouts_are_ticks() {
    let (kernel, _control) = machine(MacOs::V15);
    let device = Device::any(&kernel);
    let timeout = || {
        let mut value = [0xaa; 16];
        device.ioctl(BIOCGRTIMEOUT, &mut value).unwrap();
        (support::u64_at(&value, 0), support::u64_at(&value, 8))
    };
    assert_eq!(timeout(), (0, 0));
    for (given, kept) in [((0, 1), (0, 10_000)), ((2, 500_000), (2, 500_000)), ((0, 0), (0, 0))] {
        device.set_timeout(given.0, given.1).unwrap();
        assert_eq!(timeout(), kept);
    }
    assert_eq!(device.set_timeout(0, 1_000_000), Err(Errno::EINVAL));
    assert_eq!(device.set_timeout(100_000_001, 0), Err(Errno::EINVAL));
    assert_eq!(device.set_timeout(u64::MAX, 0), Err(Errno::EINVAL));
}

/// §5 non-blocking: FIONBIO is the descriptor's own: it makes reads non-blocking, for all who
/// share it.
#[test]
fn fionbio_makes_the_descriptor_nonblocking() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let device = Device::open_with(&kernel, 0, O_RDWR).unwrap();
    device.attach("feth0").unwrap();
    device.set(FIONBIO, 1).unwrap();
    assert_eq!(device.read(), Err(Errno::EAGAIN));
}

/// M9: a value that is neither 0 nor 1 leaves XNU's mutex of all devices locked.
#[test]
#[should_panic(expected = "mutex of all BPF devices")]
fn header_compression_of_another_value_fails_the_test() {
    let (kernel, _control) = machine(MacOs::V15);
    let _ = Device::any(&kernel).set(BIOCSHDRCOMP, 2);
}

/// §1b BIOCSHDRCOMP: not while attached.
#[test]
fn header_compression_is_set_before_the_interface() {
    let (_kernel, _control, device, _sender) = wired(MacOs::V13);
    assert_eq!(device.set(BIOCSHDRCOMP, 1), Err(Errno::EINVAL));
    assert_eq!(device.get(BIOCGHDRCOMPON), Ok(0));
}

/// §5 BIOCSDVRTIN, C22: `ENXIO` without an interface; `EALREADY` when it is disabled, by whom ever;
/// `EINVAL` for who has not disabled it; enabled again with the device or its next interface.
#[test]
fn input_is_disabled_and_enabled() {
    let (kernel, control, device, sender) = wired(MacOs::V15);
    let unattached = Device::any(&kernel);
    assert_eq!(unattached.set(BIOCSDVRTIN, 1), Err(Errno::ENXIO));
    assert_eq!(unattached.set(BIOCSDVRTIN, 0), Err(Errno::ENXIO));
    assert_eq!(device.set(BIOCSDVRTIN, 0), Err(Errno::EINVAL));
    device.set(BIOCSDVRTIN, 1).unwrap();
    assert_eq!(device.get(BIOCGDVRTIN), Ok(1));
    assert_eq!(device.set(BIOCSDVRTIN, 1), Err(Errno::EALREADY));
    let other = Device::on(&kernel, "feth0");
    assert_eq!(other.set(BIOCSDVRTIN, 1), Err(Errno::EALREADY));
    assert_eq!((other.set(BIOCSDVRTIN, 0), other.get(BIOCGDVRTIN)), (Err(Errno::EINVAL), Ok(0)));
    // The taps see what the host's stack does not.
    let sent = send(&kernel, &sender, "x");
    assert_eq!(device.frames(), [sent]);
    assert!(kernel.host_received("feth0").is_empty());
    device.attach("feth1").unwrap();
    assert_eq!(device.get(BIOCGDVRTIN), Ok(0));
    let sent = send(&kernel, &sender, "y");
    settle(&kernel);
    assert_eq!(kernel.host_received("feth0"), [sent]);
    other.set(BIOCSDVRTIN, 1).unwrap();
    drop(other);
    let sent = send(&kernel, &sender, "z");
    settle(&kernel);
    assert_eq!(kernel.host_received("feth0"), [sent]);
    drop(control);
}

/// M7: several devices on an interface each get a copy; and taps see frames whatever the
/// interface's own state (§4 data path: neither promiscuous mode nor `IFF_UP` matters on feth).
#[test]
fn each_device_gets_a_copy_though_the_interface_is_down() {
    let (kernel, control, device, sender) = wired(MacOs::V15);
    let other = Device::on(&kernel, "feth0");
    control.down("feth0");
    assert_eq!(control.flags("feth0").unwrap() & UP, 0);
    let sent = frame(OTHER_GUEST, GUEST, "x");
    sender.send(&sent).unwrap();
    let_frames_through(&kernel);
    assert_eq!(device.frames(), std::slice::from_ref(&sent));
    assert_eq!(other.frames(), [sent]);
}

/// M8: after its interface has gone a device keeps its filter and what waits; it is not attached by
/// itself when the name is there again, and may be attached anew.
#[test]
fn a_device_outlives_its_interface() {
    let (kernel, control, device, sender) = wired(MacOs::V15);
    device.filter(BIOCSETF, &[(0x06, 0, 0, 20)]).unwrap();
    send(&kernel, &sender, "x");
    control.destroy("feth0").unwrap();
    // Until it is taken apart the device still says its name (C13).
    assert_eq!(device.interface(), Ok("feth0".to_owned()));
    settle(&kernel);
    assert_eq!(device.interface(), Err(Errno::EINVAL));
    assert_eq!(device.records().unwrap()[0].captured, 20);
    assert_eq!(device.read(), Err(Errno::ENXIO));
    control.create("feth0").unwrap();
    control.set_peer("feth0", "feth1").unwrap();
    send(&kernel, &sender, "y");
    assert_eq!(device.read(), Err(Errno::ENXIO));
    device.attach("feth0").unwrap();
    send(&kernel, &sender, "z");
    assert_eq!(device.records().unwrap()[0].captured, 20);
}

/// §1b GETUUID, SETUP: a second device takes over what the first holds and how it is set, and
/// listens; each refusal has its error.
#[test]
fn a_device_takes_over_from_another() {
    for version in MacOs::ALL {
        let (kernel, _control, device, sender) = wired(version);
        let uuid_of = |device: &Device| {
            let mut uuid = [0; 16];
            device.ioctl(BIOCGETUUID, &mut uuid).unwrap();
            uuid
        };
        let uuid = uuid_of(&device);
        let sent = send(&kernel, &sender, "x");
        device.set(BIOCSHEADDROP, 1).unwrap();
        let other = Device::any(&kernel);
        assert_ne!(uuid_of(&other), uuid);
        let set_up = |device: &Device, uuid: [u8; 16], name: &str| {
            let mut argument = [0; 32];
            put(&mut argument, 0, &uuid);
            put(&mut argument, 16, name.as_bytes());
            device.ioctl(BIOCSETUP, &mut argument)
        };
        assert_eq!(set_up(&other, uuid, "feth9"), Err(Errno::ENXIO));
        assert_eq!(set_up(&other, [9; 16], "feth0"), Err(Errno::ENOENT));
        other.set_buffer(8192).unwrap();
        assert_eq!(set_up(&other, uuid, "feth0"), Err(Errno::EINVAL));
        other.set_buffer(4096).unwrap();
        let strangers = Device::any(&kernel.spawn(true));
        assert_eq!(set_up(&strangers, uuid, "feth0"), Err(Errno::EACCES));
        assert_eq!(set_up(&other, uuid, "feth0"), Ok(()));
        let copied = u32::from(version >= MacOs::V13);
        assert_eq!(other.get(BIOCGHEADDROP), Ok(copied), "{version:?}");
        let later = send(&kernel, &sender, "y");
        assert_eq!(other.frames(), [sent.clone(), later.clone()], "{version:?}");
        assert_eq!(device.frames(), [sent, later], "{version:?}");
    }
}

/// §5 open loop: what one process reads and writes through a device that was opened for reading
/// alone.
#[test]
fn a_device_opened_for_reading_is_not_written() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let device = Device::open_with(&kernel, 0, O_NONBLOCK).unwrap();
    device.attach("feth0").unwrap();
    assert_eq!(device.write(&frame(BROADCAST, GUEST, "x")), Err(Errno::EBADF));
    assert_eq!(device.read(), Err(Errno::EAGAIN));
}

/// §4, M10: a frame passes the sender's taps as one that goes out, the peer's as one that comes in;
/// without a peer nobody's.
#[test]
fn taps_of_both_ends() {
    let (kernel, control, device, sender) = wired(MacOs::V15);
    let out = Device::on(&kernel, "feth1");
    out.set(BIOCSDIRECTION, 2).unwrap();
    let sent = send(&kernel, &sender, "x");
    assert_eq!(out.frames(), std::slice::from_ref(&sent));
    assert_eq!(device.frames(), [sent]);
    control.set_peer("feth0", "").unwrap();
    send(&kernel, &sender, "y");
    assert!(out.frames().is_empty() && device.frames().is_empty());
    kernel.run_for(Duration::from_millis(1));
}

/// Requests whose arguments hold pointers, and the one that XNU does not survive.
const NOT_AT_RANDOM: [u64; 4] = [BIOCSETF, BIOCSETFNR, BIOCGDLTLIST, BIOCSHDRCOMP];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Any requests with any arguments, and reads and packets between them, are survived, and a
    /// device can be set up anew after them.
    #[test]
    fn any_requests_are_survived(
        version in prop::sample::select(MacOs::ALL.to_vec()),
        requests in prop::collection::vec((0x60..0x98_u64, 0..7_usize, any::<[u8; 56]>()), 1..40),
    ) {
        let (kernel, _control, device, sender) = wired(version);
        for (number, kind, bytes) in requests {
            let request = [
                0x8004_4200 | number,
                0xc004_4200 | number,
                0x4004_4200 | number,
                // Without an argument.
                0x2000_4200 | number,
                // The sizes of a timeval, of an ifreq, of statistics.
                0x8010_4200 | number,
                0x8020_4200 | number,
                0x4038_4200 | number,
            ][kind];
            if NOT_AT_RANDOM.contains(&request) {
                continue;
            }
            let size = usize::try_from(request >> 16 & 0x1fff).unwrap();
            let mut argument = bytes[..size].to_vec();
            let _ = device.ioctl(request, &mut argument);
            send(&kernel, &sender, "x");
            let _ = device.read();
        }
        let _ = device.set(BIOCSEXTHDR, 0);
        let _ = device.set(BIOCSDIRECTION, 3);
        device.set(BIOCSSEESENT, 1).unwrap();
        device.program(BIOCSETF, 0, 0).unwrap();
        device.attach("feth0").unwrap();
        send(&kernel, &sender, "x");
        prop_assert!(device.stats().0 >= 1);
    }
}
