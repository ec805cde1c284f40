//! Who owns an interface, and what becomes of it without its owner.

mod mac;

use ifctl::xnu::{FethOptions, OwnedInterface, Owner, Tag};
use ifctl::{Error, PairOptions};
use mac::{ALIVE, DEAD, fail_next, let_go, mac, mac_with_bridge, tagged};
use xnu_sys::Errno;

#[test]
fn an_owned_pair_goes_with_its_owner() {
    let (kernel, interfaces) = mac();
    let pair = OwnedInterface::feth_pair(kernel.clone(), &tagged(ALIVE)).unwrap();
    assert_eq!((pair.name(), pair.peer()), ("feth20000", Some("feth20001")));
    assert_eq!(pair.index(), interfaces.find("feth20000").unwrap().index);
    drop(pair);
    assert_eq!(kernel.interfaces(), ["lo0"]);

    let chosen =
        OwnedInterface::pair_on(kernel.clone(), "feth1", "feth2", PairOptions::default()).unwrap();
    chosen.destroy().unwrap();
    let bridge = OwnedInterface::bridge_on(kernel.clone(), "bridge3").unwrap();
    assert_eq!((bridge.name(), bridge.peer()), ("bridge3", None));
    drop(bridge);
    let feth = OwnedInterface::feth(kernel.clone(), &FethOptions::default()).unwrap();
    assert_eq!(feth.peer(), None);
    drop(feth);
    assert_eq!(kernel.interfaces(), ["lo0"]);

    let kept = OwnedInterface::bridge_on(kernel.clone(), "bridge4").unwrap();
    kept.release();
    assert_eq!(kernel.interfaces(), ["lo0", "bridge4"]);
}

#[test]
fn what_was_found_can_be_owned() {
    let (kernel, interfaces) = mac();
    interfaces.create_feth_pair(&FethOptions::default()).unwrap();
    let adopted = OwnedInterface::adopt_on(kernel.clone(), "feth20001").unwrap();
    assert_eq!((adopted.name(), adopted.peer()), ("feth20001", Some("feth20000")));
    drop(adopted);
    assert_eq!(kernel.interfaces(), ["lo0"]);
    let error = OwnedInterface::adopt_on(kernel, "feth20001").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn what_is_gone_is_no_failure_and_one_end_does_not_hide_the_other() {
    let (kernel, _) = mac();
    let pair = OwnedInterface::feth_pair(kernel.clone(), &tagged(ALIVE)).unwrap();
    kernel.destroy_interface("feth20000").unwrap();
    pair.destroy().unwrap();
    assert_eq!(kernel.interfaces(), ["lo0"]);

    let_go(&kernel);
    let pair = OwnedInterface::feth_pair(kernel.clone(), &tagged(ALIVE)).unwrap();
    fail_next(&kernel, "SIOCIFDESTROY", "feth20000", Errno::EIO);
    assert_eq!(pair.destroy().unwrap_err().errno(), Some(Errno::EIO.0));
    assert_eq!(kernel.interfaces(), ["lo0", "feth20000"]);
}

#[test]
fn anothers_interface_of_the_same_name_and_number_stays() {
    let (kernel, interfaces) = mac();
    let ours = OwnedInterface::feth(kernel.clone(), &tagged(ALIVE)).unwrap();
    kernel.destroy_interface("feth20000").unwrap();
    let_go(&kernel);
    interfaces.create_feth(&FethOptions::default()).unwrap();
    assert_eq!(interfaces.find("feth20000").unwrap().index, ours.index(), "XNU uses it again");
    assert_eq!(interfaces.description("feth20000").unwrap(), None, "the kernel wipes it");
    ours.destroy().unwrap();
    assert_eq!(kernel.interfaces(), ["lo0", "feth20000"]);
}

#[test]
fn a_description_given_later_is_known_too() {
    let (kernel, interfaces) = mac();
    let mut bridge = OwnedInterface::bridge_on(kernel.clone(), "bridge3").unwrap();
    bridge.set_description(&Tag::new(ALIVE, "lan").to_string()).unwrap();
    assert_eq!(interfaces.tag("bridge3").unwrap(), Some(Tag::new(ALIVE, "lan")));
    drop(bridge);
    assert_eq!(kernel.interfaces(), ["lo0"]);
}

#[test]
fn what_cannot_be_known_is_not_left_behind() {
    let (kernel, _) = mac();
    fail_next(&kernel, "SIOCGIFDESC", "feth20001", Errno::ENOMEM);
    OwnedInterface::feth_pair(kernel.clone(), &tagged(ALIVE)).unwrap_err();
    assert_eq!(kernel.interfaces(), ["lo0"]);
}

#[test]
fn orphans_of_the_dead_are_destroyed_and_nothing_else() {
    let (kernel, interfaces) = mac_with_bridge();
    // What a dead switch left: a pair in a bridge of its own.
    let dead = interfaces.create_feth_pair(&tagged(DEAD)).unwrap();
    interfaces.create_bridge("bridge8").unwrap();
    interfaces.set_description("bridge8", &Tag::new(DEAD, "lan").to_string()).unwrap();
    interfaces.add_member("bridge8", &dead.bridge_end).unwrap();
    // A living one's, of the same process number; one of nobody's; somebody else's words; a card
    // that carries a dead owner's tag.
    let living = interfaces.create_feth_pair(&tagged(ALIVE)).unwrap();
    let untagged = interfaces.create_feth(&FethOptions::default()).unwrap();
    let foreign = interfaces.create_feth(&FethOptions::default()).unwrap();
    interfaces.set_description(&foreign, "vswitch of another kind").unwrap();
    interfaces.set_description("en5", &Tag::new(DEAD, "lan").to_string()).unwrap();

    let mut asked: Vec<Owner> = Vec::new();
    let reaped = interfaces.reap_orphans(|owner| {
        asked.push(owner);
        owner == ALIVE
    });
    let mut names: Vec<String> = reaped.unwrap().into_iter().map(|one| one.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["bridge8", &*dead.bridge_end, &*dead.switch_end]);
    assert_eq!(asked.iter().filter(|owner| **owner == ALIVE).count(), 2);
    let left = ["lo0", "en5", "bridge7", &living.bridge_end, &living.switch_end];
    let left: Vec<&str> = left.into_iter().chain([&*untagged, &*foreign]).collect();
    assert_eq!(kernel.interfaces(), left);

    assert_eq!(interfaces.reap_orphans(|owner| owner == ALIVE).unwrap(), []);
}

#[test]
fn an_orphan_that_goes_by_itself_is_no_failure_and_others_are() {
    let (kernel, interfaces) = mac();
    interfaces.create_feth_pair(&tagged(DEAD)).unwrap();
    fail_next(&kernel, "SIOCGIFDESC", "feth20000", Errno::ENXIO);
    let reaped = interfaces.reap_orphans(|_| false).unwrap();
    assert_eq!(reaped.len(), 1);
    assert_eq!(reaped[0].name, "feth20001");
    assert_eq!(reaped[0].tag.owner(), DEAD);
    fail_next(&kernel, "SIOCIFDESTROY", "feth20000", Errno::EIO);
    assert_eq!(interfaces.reap_orphans(|_| false).unwrap_err().errno(), Some(Errno::EIO.0));
}
