//! Kernel events: contract §1a, §2, §8, M12; `bsd/kern/kern_event.c`.

mod support;

use std::time::Duration;

use support::bridge::member_request;
use support::events::*;
use support::taps::Ndrv;
use support::*;
use xnu_sim::{EthernetOptions, MacOs};
use xnu_sys::{Errno, Kernel};

/// §8: a new socket hears nothing, since it wants a vendor that nobody is.
#[test]
fn a_new_socket_hears_nothing() {
    let (kernel, control) = machine(MacOs::V15);
    let events = Events::deaf(&kernel);
    control.create("feth0").unwrap();
    assert!(events.messages().is_empty());
    let mut filter = [0; 12];
    events.ioctl(SIOCGKEVFILT, &mut filter).unwrap();
    assert_eq!([0, 4, 8].map(|at| u32_at(&filter, at)), [u32::MAX, 0, 0]);
}

/// §8 `SIOCSKEVFILT`: vendor, class, subclass; 0 is any, and then what follows does not count. No
/// privilege is asked.
#[test]
fn a_filter_says_what_a_socket_hears() {
    let (kernel, control) = machine(MacOs::V15);
    let user = kernel.spawn(false);
    for (filter, hears) in [
        ([1, 1, 2], true),
        ([0, 0, 0], true),
        ([0, 7, 7], true),
        ([1, 0, 9], true),
        ([1, 1, 0], true),
        ([1, 1, 1], false),
        ([1, 2, 2], false),
        ([2, 1, 2], false),
    ] {
        let events = Events::deaf(&user);
        events.set_filter(filter);
        control.create("feth0").unwrap();
        assert_eq!(!events.messages().is_empty(), hears, "{filter:?}");
        control.destroy("feth0").unwrap();
        settle(&kernel);
    }
}

/// §2: a header of 24 bytes, then family, unit, and the name *without* the unit.
#[test]
fn a_message_is_laid_out_as_the_header_says() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth20001").unwrap();
    let events = Events::of_interfaces(&kernel);
    control.up("feth20001");
    let messages = events.messages();
    let [message] = messages.as_slice() else { panic!("one message, not {messages:?}") };
    let number = |at| u32_at(message, at);
    assert_eq!((number(0) as usize, message.len()), (48, 48));
    assert_eq!([4, 8, 12].map(number), [1, 1, 2], "vendor, class, subclass");
    assert_eq!(number(20), SIFFLAGS);
    assert_eq!((number(24), number(28)), (2, 20_001), "family, unit");
    assert_eq!(name_at(message, 32), "feth");
    let mut last = [0; 4];
    events.ioctl(SIOCGKEVID, &mut last).unwrap();
    assert_eq!(number(16), u32_at(&last, 0), "its number");
}

/// Each socket has its own filter and its own copy of each event.
#[test]
fn each_socket_hears_for_itself() {
    let (kernel, control) = machine(MacOs::V15);
    let (one, other, deaf) =
        (Events::of_interfaces(&kernel), Events::of_interfaces(&kernel), Events::deaf(&kernel));
    control.create("feth0").unwrap();
    let heard = one.messages();
    assert!(!heard.is_empty());
    assert_eq!(other.messages(), heard);
    assert!(deaf.messages().is_empty());
    drop(one);
    control.up("feth0");
    assert_eq!(other.messages().len(), 1);
}

/// Numbers count all events, also those that a socket does not hear.
#[test]
fn events_are_numbered() {
    let (kernel, control) = machine(MacOs::V15);
    let events = Events::of_interfaces(&kernel);
    control.create("feth0").unwrap();
    control.up("feth0");
    let numbers: Vec<u32> = events.messages().iter().map(|one| u32_at(one, 16)).collect();
    let first = numbers[0];
    let expected: Vec<u32> = (first..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
}

/// §1a `SIOCGKEVVENDOR`: Apple is 1, others are not known.
#[test]
fn apple_is_vendor_one() {
    let (kernel, _) = machine(MacOs::V15);
    let events = Events::deaf(&kernel);
    let mut vendor = [0; 204];
    put(&mut vendor, 4, b"com.apple");
    events.ioctl(SIOCGKEVVENDOR, &mut vendor).unwrap();
    assert_eq!(u32_at(&vendor, 0), 1);
    put(&mut vendor, 4, b"com.nobody");
    assert_eq!(events.ioctl(SIOCGKEVVENDOR, &mut vendor), Err(Errno::ENOENT));
    assert_eq!(events.ioctl(0x4004_6509, &mut [0; 4]), Err(Errno::ENOTSUP));
}

/// §8: `SYSPROTO_EVENT` on a raw socket, nothing else.
#[test]
fn only_raw_event_sockets_are_there() {
    let (kernel, _) = machine(MacOs::V15);
    assert_eq!(kernel.socket(32, 3, 9).unwrap_err(), Errno::EPROTONOSUPPORT);
    assert_eq!(kernel.socket(32, 2, 1).unwrap_err(), Errno::EPROTOTYPE);
}

/// M12: what a feth's life tells, in order. Since 15 a feth has capabilities, which are told of
/// before it is attached.
#[test]
fn a_feths_life_is_told_in_order() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        let events = Events::of_interfaces(&kernel);
        control.create("feth0").unwrap();
        let expected: &[u32] = if version == MacOs::V15 {
            &[CAPABILITIES_CHANGED, ATTACHED, ADDRESS_CHANGED]
        } else {
            &[ATTACHED, ADDRESS_CHANGED]
        };
        assert_eq!(events.codes_of("feth0"), expected, "{version:?}");
        control.create("feth1").unwrap();
        events.take();
        control.set_peer("feth0", "feth1").unwrap();
        let both = |code: u32| [(code, "feth0".to_owned()), (code, "feth1".to_owned())];
        assert_eq!(events.take(), both(LINK_ON), "the caller first");
        control.up("feth0");
        assert_eq!(events.codes_of("feth0"), [SIFFLAGS]);
        control.set_mtu("feth0", 1400).unwrap();
        assert_eq!(events.codes_of("feth0"), [SIFMTU]);
        let _ndrv = Ndrv::on(&kernel, "feth0");
        assert_eq!(events.codes_of("feth0"), [PROTO_ATTACHED]);
        control.destroy("feth0").unwrap();
        let told = events.take();
        assert_eq!(told[..2], both(LINK_OFF));
        assert_eq!(told[2..], [(DETACHING, "feth0".to_owned())], "within the request");
        settle(&kernel);
        assert_eq!(events.codes_of("feth0"), [PROTO_DETACHED, DETACHED]);
    }
}

/// M12: an interface that has no peer goes without a link event.
#[test]
fn a_feth_without_a_peer_goes_without_a_link_event() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let events = Events::of_interfaces(&kernel);
    control.destroy("feth0").unwrap();
    settle(&kernel);
    assert_eq!(events.codes_of("feth0"), [DETACHING, DETACHED]);
}

/// M12: a new member has a protocol attached; a bridge has link while a member has.
#[test]
fn a_bridge_tells_of_members_and_link() {
    let (kernel, control) = machine(MacOs::V14_4);
    control.pair("feth0", "feth1");
    control.create("bridge0").unwrap();
    let events = Events::of_interfaces(&kernel);
    control.driver_set("bridge0", 0, &mut member_request("feth0")).unwrap();
    let told = events.take();
    let of = |name: &str| -> Vec<u32> {
        told.iter().filter(|event| event.1 == name).map(|event| event.0).collect()
    };
    assert_eq!(of("feth0"), [PROTO_ATTACHED]);
    assert_eq!(of("bridge0"), [LINK_ON, CAPABILITIES_CHANGED], "no TSO any more");
    control.set_peer("feth0", "").unwrap();
    assert_eq!(events.codes_of("bridge0"), [LINK_OFF]);
    control.set_peer("feth0", "feth1").unwrap();
    assert_eq!(events.codes_of("bridge0"), [LINK_ON]);
    control.delete_member("bridge0", "feth0").unwrap();
    let told = events.take();
    assert!(told.contains(&(PROTO_DETACHED, "feth0".to_owned())), "{told:?}");
    assert!(told.contains(&(LINK_OFF, "bridge0".to_owned())), "{told:?}");
}

/// `kev_dl_proto_data`: 8 bytes more, with the protocol and how many there are now.
#[test]
fn protocol_events_say_which_and_how_many() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let events = Events::of_interfaces(&kernel);
    let _ndrv = Ndrv::on(&kernel, "feth0");
    let messages = events.messages();
    assert_eq!(messages[0].len(), 56);
    assert_eq!((u32_at(&messages[0], 48), u32_at(&messages[0], 52)), (27, 1));
}

/// §6: the protocol leaves its interface with the last socket; one on an interface of the same unit
/// keeps it there, for XNU does not tell them apart.
#[test]
fn ndrv_leaves_with_its_last_socket() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en5", [2, 0, 0, 0, 0, 1], EthernetOptions::default());
    control.create("feth5").unwrap();
    let events = Events::of_interfaces(&kernel);
    let (one, other) = (Ndrv::on(&kernel, "feth5"), Ndrv::on(&kernel, "feth5"));
    assert_eq!(events.codes_of("feth5"), [PROTO_ATTACHED]);
    drop(one);
    assert!(events.take().is_empty());
    drop(other);
    assert_eq!(events.codes_of("feth5"), [PROTO_DETACHED]);
    let (on_feth, on_card) = (Ndrv::on(&kernel, "feth5"), Ndrv::on(&kernel, "en5"));
    events.take();
    drop(on_feth);
    assert!(events.take().is_empty(), "en5's socket looks like one on feth5");
    drop(on_card);
    assert_eq!(events.take(), [(PROTO_DETACHED, "en5".to_owned())]);
}

/// `interface_link_event`, `bridge_link_event`: 52 bytes, and before 15.4 what they say begins 4
/// bytes late: the family reads 0, the unit is the family, the name begins with the unit.
#[test]
fn link_events_of_drivers_are_longer_and_were_shifted() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        control.create("feth5").unwrap();
        control.create("feth6").unwrap();
        let events = Events::of_interfaces(&kernel);
        control.set_peer("feth5", "feth6").unwrap();
        for (message, unit) in events.messages().iter().zip([5, 6]) {
            assert_eq!((message.len(), u32_at(message, 0)), (52, 52), "{version:?}");
            assert_eq!(u32_at(message, 20), LINK_ON);
            let at = if version == MacOs::V15 { 24 } else { 28 };
            assert_eq!((u32_at(message, at), u32_at(message, at + 4)), (2, unit));
            assert_eq!(&message[at + 8..at + 12], b"feth", "{version:?}");
            if version != MacOs::V15 {
                assert_eq!((u32_at(message, 24), u32_at(message, 28)), (0, 2));
            }
        }
    }
}

/// A card's link is told of by its driver.
#[test]
fn a_card_tells_of_its_link() {
    let (kernel, _) = machine(MacOs::V15);
    let wire = kernel.add_ethernet("en0", [2, 0, 0, 0, 0, 1], EthernetOptions::default());
    let events = Events::of_interfaces(&kernel);
    wire.set_link(false);
    wire.set_link(false);
    wire.set_link(true);
    assert_eq!(events.codes_of("en0"), [LINK_OFF, LINK_ON]);
}

/// `KEV_RECVSPACE`: 32 KiB wait for a reader; what comes then is lost, and later ones are heard
/// again.
#[test]
fn a_queue_of_events_is_bounded() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let events = Events::of_interfaces(&kernel);
    for _ in 0..1000 {
        control.up("feth0");
    }
    assert_eq!(events.messages().len(), 32 * 1024 / 48);
    control.up("feth0");
    assert_eq!(events.messages().len(), 1);
}

/// §8: the socket's knote fires with each event, its data the bytes that wait; other sockets each
/// get their own copy.
#[test]
fn a_kqueue_hears_of_events() {
    use xnu_sys::sys_event::kevent64_s;
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let kqueue = kernel.kqueue().unwrap();
    let socket = kernel.socket(32, 3, 1).unwrap();
    let events = Events::of_interfaces(&kernel);
    let ident = u64::try_from(xnu_sim::SimKernel::number(&socket)).unwrap();
    let change = kevent64_s { ident, filter: -1, flags: 1, ..kevent64_s::default() };
    let mut got = [kevent64_s::default(); 2];
    kernel.kevent64(&kqueue, &[change], &mut [], 0, None).unwrap();
    let soon = Some(Duration::from_millis(1));
    assert_eq!(kernel.kevent64(&kqueue, &[], &mut got, 0, soon), Ok(0));
    set_filter(&kernel, &socket);
    control.up("feth0");
    assert_eq!(kernel.kevent64(&kqueue, &[], &mut got, 0, soon), Ok(1));
    assert_eq!((got[0].ident, got[0].data), (ident, 48));
    assert_eq!(events.messages().len(), 1);
}

fn set_filter(kernel: &xnu_sim::SimKernel, socket: &xnu_sim::SimFd) {
    let filter = [1_u32, 1, 2].map(u32::to_le_bytes).concat();
    raw_ioctl(kernel, socket, SIOCSKEVFILT, &mut filter.clone());
}
