//! feth, as `bsd/net/if_fake.c` has it: contract §4, corrections C27, C28, M10 to M12.

mod support;

use std::time::Duration;

use support::frames::{BROADCAST, GUEST, LAN_HOST, frame};
use support::taps::{Ndrv, Tap};
use support::*;
use xnu_sim::{EthernetOptions, Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::{Errno, Kernel};

const BIOCSDVRTIN: u64 = 0x8004_4292;

fn set_sysctl(kernel: &SimKernel, name: &str, value: u32) {
    let name = std::ffi::CString::new(format!("net.link.fake.{name}")).unwrap();
    kernel.sysctlbyname(&name, &mut [], Some(&value.to_le_bytes())).unwrap();
}

/// Frames whose payload is their number.
fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| frame(BROADCAST, GUEST, &format!("{number:05}"))).collect()
}

/// §4 data path, M10, M11: out by the sender's tap, in by the peer's, and up the peer's own stack
/// only what is for it; nothing comes back.
#[test]
fn frames_go_out_by_the_sender_and_in_by_the_peer() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        control.pair("feth1", "feth2");
        let (one, other) = (Tap::on(&kernel, "feth1"), Tap::on(&kernel, "feth2"));
        let sender = Ndrv::on(&kernel, "feth1");
        let sent = frame(GUEST, LAN_HOST, "hello");
        assert_eq!(sender.send(&sent), Ok(sent.len()));
        let_frames_through(&kernel);
        assert_eq!(one.frames(), [sent.as_slice()], "{version:?}");
        assert_eq!(other.frames(), [sent.as_slice()], "{version:?}");
        assert!(kernel.host_received("feth2").is_empty(), "it was for somebody else");
        let all = frame(BROADCAST, LAN_HOST, "all");
        sender.send(&all).unwrap();
        let_frames_through(&kernel);
        assert_eq!(kernel.host_received("feth2"), [all.as_slice()]);
        assert!(kernel.host_received("feth1").is_empty());
    }
}

/// §4 data path: frames go by a queue and a thread: right after the write nobody has them.
#[test]
fn frames_take_their_time() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth1", "feth2");
    let (one, other) = (Tap::on(&kernel, "feth1"), Tap::on(&kernel, "feth2"));
    Ndrv::on(&kernel, "feth1").send(&frame(BROADCAST, GUEST, "x")).unwrap();
    assert!(one.frames().is_empty());
    assert!(other.frames().is_empty());
    let_frames_through(&kernel);
    assert_eq!((one.frames().len(), other.frames().len()), (1, 1));
}

/// §4 MAC: "feth" and the unit.
#[test]
fn the_mac_is_the_unit() {
    let (_, control) = machine(MacOs::V15);
    for (name, unit) in [("feth0", [0, 0]), ("feth20001", [0x4e, 0x21])] {
        control.create(name).unwrap();
        assert_eq!(control.mac(name), [b'f', b'e', b't', b'h', unit[0], unit[1]]);
    }
}

/// §4 MTU: the greatest is sampled when the feth is made, and is 16,370 at most.
#[test]
fn the_greatest_mtu_is_that_of_creation() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    set_sysctl(&kernel, "max_mtu", 16_370);
    control.create("feth1").unwrap();
    assert_eq!(control.set_mtu("feth0", 2049), Err(Errno::EINVAL));
    assert_eq!(control.set_mtu("feth1", 16_370), Ok(()));
    assert_eq!(control.set_mtu("feth1", 16_371), Err(Errno::EINVAL));
}

/// §4: no MTU check on the way: what was written goes.
#[test]
fn frames_above_the_mtu_pass() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth1", "feth2");
    let tap = Tap::on(&kernel, "feth2");
    let big = frame(BROADCAST, GUEST, &"x".repeat(4000));
    Ndrv::on(&kernel, "feth1").send(&big).unwrap();
    let_frames_through(&kernel);
    assert_eq!(tap.frames(), [big.as_slice()]);
}

/// §4 `SET_PEER`: each error; `GET_PEER` wants no privilege.
#[test]
fn peers_are_refused_as_xnu_says() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en0", [2, 0, 0, 0, 0, 1], EthernetOptions::default());
    for name in ["feth0", "feth1", "feth2", "bridge0"] {
        control.create(name).unwrap();
    }
    let user = control.of_user();
    assert_eq!(user.set_peer("feth0", "feth1"), Err(Errno::EPERM));
    assert_eq!(control.set_peer("feth0", "feth9"), Err(Errno::ENXIO));
    assert_eq!(control.set_peer("feth0", "en0"), Err(Errno::EINVAL));
    assert_eq!(control.set_peer("feth0", "bridge0"), Err(Errno::EINVAL));
    assert_eq!(control.peer("feth0"), Ok(String::new()));
    assert_eq!(control.set_peer("feth0", "feth1"), Ok(()));
    assert_eq!(user.peer("feth0"), Ok("feth1".to_owned()));
    assert_eq!(user.peer("feth1"), Ok("feth0".to_owned()), "both by one call");
    for (one, other) in [("feth0", "feth1"), ("feth2", "feth1"), ("feth0", "feth2")] {
        assert_eq!(control.set_peer(one, other), Err(Errno::EBUSY), "{one} {other}");
    }
    assert_eq!(control.set_peer("feth1", ""), Ok(()));
    assert_eq!(control.peer("feth0"), Ok(String::new()));
    assert_eq!(control.set_peer("feth1", ""), Ok(()), "also when it has none");
    assert_eq!(control.set_peer("feth2", "feth2"), Ok(()), "itself is not refused");
    assert_eq!(control.peer("feth2"), Ok("feth2".to_owned()));
}

/// §4 `SET_PEER`: at least 160 bytes, four zero words first, a pointer; other commands are not
/// known.
#[test]
fn requests_to_a_feth_have_their_length() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    control.create("feth1").unwrap();
    let mut request = [0; 160];
    put(&mut request, 32, b"feth1");
    let set = |request: &mut [u8], len: usize| {
        control.driver_with_len("feth0", SIOCSDRVSPEC, 1, request, len)
    };
    assert_eq!(set(&mut request, 159), Err(Errno::EINVAL));
    let mut reserved = request;
    reserved[31] = 1;
    assert_eq!(set(&mut reserved, 160), Err(Errno::EINVAL));
    assert_eq!(set(&mut request, 500), Ok(()), "more is as good");
    let get = |len: usize| control.driver_with_len("feth0", SIOCGDRVSPEC, 1, &mut [0; 160], len);
    assert_eq!(get(159), Err(Errno::EINVAL));
    assert_eq!(get(161), Ok(()));
    assert_eq!(control.driver_set("feth0", 4, &mut request), Err(Errno::EOPNOTSUPP));
    assert_eq!(control.driver_set("feth0", 0, &mut request), Err(Errno::EOPNOTSUPP));
    assert_eq!(control.driver_get("feth0", 2, &mut request), Err(Errno::EOPNOTSUPP));
    let mut spec = [0; 40];
    put(&mut spec, 0, b"feth0");
    put(&mut spec, 16, &[1]);
    put(&mut spec, 24, &[160]);
    assert_eq!(control.ioctl(SIOCSDRVSPEC, &mut spec), Err(Errno::EINVAL), "no pointer");
    assert_eq!(control.ioctl(SIOCGDRVSPEC, &mut spec), Err(Errno::EFAULT));
}

/// §4 `SET_PEER`: in Skywalk mode the pools must be of one mode; such settings exclude each other
/// at creation.
#[test]
fn pools_of_other_modes_do_not_peer() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    set_sysctl(&kernel, "bsd_mode", 0);
    set_sysctl(&kernel, "pktpool_mode", 1);
    control.create("feth1").unwrap();
    assert_eq!(control.set_peer("feth0", "feth1"), Err(Errno::EINVAL));
    set_sysctl(&kernel, "tso_support", 1);
    assert_eq!(control.create("feth2"), Err(Errno::EINVAL));
    set_sysctl(&kernel, "tso_support", 0);
    set_sysctl(&kernel, "pktpool_mode", 2);
    set_sysctl(&kernel, "multibuflet", 1);
    assert_eq!(control.create("feth2"), Err(Errno::EINVAL));
}

/// §4 `SET_MEDIA`: up to 27 words take the place of all others.
#[test]
fn media_can_be_replaced() {
    const SIOCGIFXMEDIA: u64 = 0xc02c_6948;
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let set = |count: u32| {
        let mut request = [0; 160];
        put(&mut request, 36, &count.to_le_bytes());
        put(&mut request, 52, &0x20_u32.to_le_bytes());
        control.driver_set("feth0", 2, &mut request)
    };
    let count = || {
        let mut argument = [0; 44];
        put(&mut argument, 0, b"feth0");
        control.ioctl(SIOCGIFXMEDIA, &mut argument).unwrap();
        u32_at(&argument, 32)
    };
    assert_eq!(set(28), Err(Errno::EINVAL));
    assert_eq!(count(), 13);
    assert_eq!(set(27), Ok(()));
    assert_eq!(count(), 27);
    assert_eq!(set(0), Ok(()));
    assert_eq!(count(), 0);
}

/// §4 no peer, M10: what is written is freed, the write succeeds, and not even the sender's own tap
/// sees it.
#[test]
fn without_a_peer_frames_are_lost_in_silence() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    control.up("feth0");
    let tap = Tap::on(&kernel, "feth0");
    assert_eq!(Ndrv::on(&kernel, "feth0").send(&frame(BROADCAST, GUEST, "x")), Ok(60));
    let_frames_through(&kernel);
    assert!(tap.frames().is_empty());
    assert_eq!(kernel.interface_drops("feth0"), 1);
}

/// §6, C28: the sending side must be up, for its queue asks; without a queue nobody asks.
#[test]
fn who_is_down_sends_only_without_a_queue() {
    for (txstart, expected) in [(1, Err(Errno::ENETDOWN)), (0, Ok(60))] {
        let (kernel, control) = machine(MacOs::V15);
        set_sysctl(&kernel, "txstart", txstart);
        control.pair("feth0", "feth1");
        control.down("feth0");
        let tap = Tap::on(&kernel, "feth1");
        let sent = Ndrv::on(&kernel, "feth0").send(&frame(BROADCAST, GUEST, "x"));
        assert_eq!(sent, expected, "txstart {txstart}");
        assert_eq!(tap.frames().len(), usize::from(expected.is_ok()), "at once");
    }
}

/// M10: nobody asks whether the receiving side is up.
#[test]
fn who_is_down_receives() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    control.down("feth1");
    let tap = Tap::on(&kernel, "feth1");
    Ndrv::on(&kernel, "feth0").send(&frame(BROADCAST, GUEST, "x")).unwrap();
    let_frames_through(&kernel);
    assert_eq!(tap.frames().len(), 1);
    assert_eq!(kernel.host_received("feth1").len(), 1);
}

/// §4 flags: up and down throw away what waits to be sent.
#[test]
fn going_down_and_up_flushes_the_queue() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let ndrv = Ndrv::on(&kernel, "feth0");
    set_stall(&control, true);
    for one in numbered(3) {
        ndrv.send(&one).unwrap();
    }
    control.down("feth0");
    control.up("feth0");
    set_stall(&control, false);
    ndrv.send(&frame(BROADCAST, GUEST, "after")).unwrap();
    let tap = Tap::on(&kernel, "feth1");
    let_frames_through(&kernel);
    assert_eq!(tap.frames(), [frame(BROADCAST, GUEST, "after")]);
    assert_eq!(kernel.interface_drops("feth0"), 3);
}

fn set_stall(control: &Control, is_stalled: bool) {
    let mut request = [0; 160];
    request[32] = u8::from(is_stalled);
    control.driver_set("feth0", 3, &mut request).unwrap();
}

/// §4 queue (`fq_addq`): 2,048 frames; one more takes the place of the oldest, and its sender is
/// told that it went well. `SET_DEQUEUE_STALL` fills it.
#[test]
fn a_full_queue_loses_its_oldest_frames() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        control.pair("feth0", "feth1");
        let ndrv = Ndrv::on(&kernel, "feth0");
        let tap = Tap::on(&kernel, "feth1");
        set_stall(&control, true);
        let sent = numbered(2050);
        for one in &sent {
            assert_eq!(ndrv.send(one), Ok(60));
        }
        let_frames_through(&kernel);
        assert!(tap.frames().is_empty());
        assert_eq!(kernel.interface_drops("feth0"), 2);
        set_stall(&control, false);
        let_frames_through(&kernel);
        assert_eq!(tap.frames(), sent[2..], "{version:?}");
    }
}

/// §4 queue: frames that wait too long make the oldest go for each that comes, though there is room
/// (`fq_detect_dequeue_stall`).
#[test]
fn a_stalled_queue_loses_its_oldest_frames() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let ndrv = Ndrv::on(&kernel, "feth0");
    let tap = Tap::on(&kernel, "feth1");
    let sent = numbered(300);
    // The first goes, the second holds up all others for 200 ms.
    kernel.add_fault(Fault {
        call: "feth",
        object: Some("feth0".to_owned()),
        after: 1,
        times: 1,
        action: FaultAction::Delay { ns: 200_000_000 },
    });
    set_stall(&control, true);
    sent[..200].iter().for_each(|one| assert_eq!(ndrv.send(one), Ok(60)));
    set_stall(&control, false);
    kernel.run_for(Duration::from_millis(150));
    assert_eq!(tap.frames(), sent[..1]);
    sent[200..].iter().for_each(|one| assert_eq!(ndrv.send(one), Ok(60)));
    kernel.run_for(Duration::from_millis(100));
    assert_eq!(tap.frames(), sent[101..]);
    assert_eq!(kernel.interface_drops("feth0"), 100);
}

/// M11: the peer is read when a queue begins to be emptied.
#[test]
fn unpeered_feths_lose_what_still_waits() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let tap = Tap::on(&kernel, "feth1");
    set_stall(&control, true);
    Ndrv::on(&kernel, "feth0").send(&frame(BROADCAST, GUEST, "x")).unwrap();
    control.set_peer("feth0", "").unwrap();
    set_stall(&control, false);
    let_frames_through(&kernel);
    assert!(tap.frames().is_empty());
    assert_eq!(kernel.interface_drops("feth0"), 1);
}

/// §5 `BIOCSDVRTIN` (15.0): taps still see frames, the host's stack does not.
#[test]
fn with_input_disabled_only_taps_see_frames() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let tap = Tap::on(&kernel, "feth1").with(BIOCSDVRTIN, 1);
    let ndrv = Ndrv::on(&kernel, "feth0");
    ndrv.send(&frame(BROADCAST, GUEST, "x")).unwrap();
    let_frames_through(&kernel);
    assert_eq!(tap.frames().len(), 1);
    assert!(kernel.host_received("feth1").is_empty());
    drop(tap);
    ndrv.send(&frame(BROADCAST, GUEST, "x")).unwrap();
    let_frames_through(&kernel);
    assert_eq!(kernel.host_received("feth1").len(), 1);
}

/// Corrections, "runts": no check anywhere; what XNU does then is undefined, so the test fails,
/// with the last calls.
#[test]
fn a_runt_fails_the_test() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let ndrv = Ndrv::on(&kernel, "feth0");
    assert_eq!(ndrv.send(&[0xff; 14]), Ok(14));
    let send = std::panic::AssertUnwindSafe(|| ndrv.send(&[0xff; 13]));
    let panic = std::panic::catch_unwind(send).expect_err("a panic");
    let words = panic.downcast_ref::<String>().unwrap();
    assert!(words.starts_with("a frame of 13 bytes was sent by feth0"), "{words}");
    assert!(words.contains("IF_FAKE_S_CMD_SET_PEER"), "with the trace: {words}");
}

/// C27: a trailer and a check sequence are seen by the sender's own tap since 15; by the peer's
/// always.
#[test]
fn tails_are_seen_by_taps_as_the_version_has_it() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        set_sysctl(&kernel, "trailer_length", 7);
        set_sysctl(&kernel, "fcs", 1);
        control.pair("feth0", "feth1");
        let (one, other) = (Tap::on(&kernel, "feth0"), Tap::on(&kernel, "feth1"));
        let sent = frame(BROADCAST, GUEST, "123456789");
        Ndrv::on(&kernel, "feth0").send(&sent).unwrap();
        let_frames_through(&kernel);
        let seen = &other.frames()[0];
        assert_eq!(seen.len(), 60 + 7 + 4);
        assert_eq!(seen[60..67], *b"trailer");
        let expected_out = if version == MacOs::V15 { seen } else { &sent };
        assert_eq!(one.frames(), [expected_out.as_slice()], "{version:?}");
    }
}

/// §4 destroy: the peer is let go; the pair's other end survives.
#[test]
fn destroying_one_end_unpeers_the_other() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    control.destroy("feth0").unwrap();
    assert_eq!(control.peer("feth1"), Ok(String::new()));
    assert_eq!(control.set_peer("feth1", "feth0"), Err(Errno::ENXIO));
    settle(&kernel);
    assert_eq!(control.flags("feth1").unwrap() & UP, UP);
}

/// What the fault plan loses on a feth is lost after the write succeeded.
#[test]
fn planned_losses_are_silent() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let ndrv = Ndrv::on(&kernel, "feth0");
    let tap = Tap::on(&kernel, "feth1");
    kernel.add_fault(Fault {
        call: "feth",
        object: Some("feth0".to_owned()),
        after: 1,
        times: 2,
        action: FaultAction::Lose,
    });
    let sent = numbered(4);
    sent.iter().for_each(|one| assert_eq!(ndrv.send(one), Ok(60)));
    let_frames_through(&kernel);
    assert_eq!(tap.frames(), [sent[0].as_slice(), sent[3].as_slice()]);
}

/// What was held up on one feth can be lost on the next: the plan meets a frame on every feth anew.
#[test]
fn the_plan_meets_bridged_frames_too() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    control.pair("feth2", "feth3");
    control.bridge("bridge0", &["feth1", "feth2"]);
    let tap = Tap::on(&kernel, "feth3");
    let ndrv = Ndrv::on(&kernel, "feth0");
    let fault = |object: &str, action: FaultAction| {
        let object = Some(object.to_owned());
        kernel.add_fault(Fault { call: "feth", object, after: 0, times: 1, action });
    };
    fault("feth0", FaultAction::Delay { ns: 1000 });
    fault("feth2", FaultAction::Lose);
    for one in numbered(2) {
        ndrv.send(&one).unwrap();
        let_frames_through(&kernel);
    }
    assert_eq!(tap.frames(), numbered(2)[1..]);
}

/// A card's frames can be lost on their wire.
#[test]
fn the_plan_meets_the_wire() {
    let (kernel, _) = machine(MacOs::V15);
    let wire = kernel.add_ethernet("en0", [2, 0, 0, 0, 0, 1], EthernetOptions::default());
    let ndrv = Ndrv::on(&kernel, "en0");
    let object = Some("en0".to_owned());
    let action = FaultAction::Lose;
    kernel.add_fault(Fault { call: "wire", object, after: 0, times: 1, action });
    for one in numbered(2) {
        ndrv.send(&one).unwrap();
    }
    let_frames_through(&kernel);
    assert_eq!(wire.take().as_deref(), Some(numbered(2)[1].as_slice()));
    assert_eq!(wire.take(), None);
}
