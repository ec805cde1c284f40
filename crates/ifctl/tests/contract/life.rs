//! How interfaces go, whose they are, and what the kernel tells of them.

use ifctl::Error;
use ifctl::xnu::{Change, Events, FethOptions, Interfaces, OwnedInterface, Owner, Tag};
use xnu_sys::Kernel;

use super::{ALIVE, Bench, DEAD, new_bridge, new_feth, new_pair, options, tagged, wait_until};

pub(crate) fn a_pair_goes_whole<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let interfaces = &bench.interfaces;
    let pair = new_pair(kernel, &options());
    interfaces.add_member(bench.bridge(), pair.name()).unwrap();
    interfaces.destroy(pair.peer().unwrap()).unwrap();
    for end in [pair.name(), pair.peer().unwrap()] {
        let error = interfaces.find(end).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let error = interfaces.destroy(end).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    // Its bridge may list it until it has left the kernel.
    let is_gone = || interfaces.members(bench.bridge()).unwrap().len() == 1;
    assert!(wait_until(kernel, is_gone));
}

pub(crate) fn a_pair_goes_with_its_owner<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let pair = new_pair(kernel, &tagged(ALIVE));
    let names = [pair.name().to_owned(), pair.peer().unwrap().to_owned()];
    drop(pair);
    let is_there = |name: &String| interfaces.find(name).is_ok();
    assert!(!names.iter().any(is_there));

    let bridge = new_bridge(kernel);
    let name = bridge.name().to_owned();
    bridge.release();
    assert!(is_there(&name), "it was given up");
    OwnedInterface::adopt_on(kernel.clone(), &name).unwrap().destroy().unwrap();
    assert!(!is_there(&name));
}

/// A name is waited for while the interface that had it leaves the kernel, and the next one that
/// has it is nobody's, though it may have the number too.
pub(crate) fn a_name_is_free_again<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let ours = new_pair(kernel, &tagged(ALIVE));
    let (a, b) = (ours.name().to_owned(), ours.peer().unwrap().to_owned());
    interfaces.destroy(&a).unwrap();
    let theirs =
        OwnedInterface::pair_on(kernel.clone(), &a, &b, ifctl::PairOptions::default()).unwrap();
    assert_eq!(interfaces.description(&a).unwrap(), None, "the kernel wipes it");
    ours.destroy().unwrap();
    assert!(interfaces.find(theirs.name()).is_ok(), "another's of the same name stays");
}

pub(crate) fn descriptions_are_text_of_a_length<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let mut feth = new_feth(kernel);
    let name = feth.name().to_owned();
    assert_eq!(interfaces.description(&name).unwrap(), None);
    feth.set_description("the office's").unwrap();
    assert_eq!(interfaces.description(&name).unwrap().as_deref(), Some("the office's"));
    assert_eq!(interfaces.tag(&name).unwrap(), None);
    let longest = "x".repeat(128);
    feth.set_description(&longest).unwrap();
    assert_eq!(interfaces.description(&name).unwrap(), Some(longest));
    match interfaces.set_description(&name, &"x".repeat(129)).unwrap_err() {
        Error::TextTooLong { len: 129, max: 128, .. } => {}
        other => panic!("{other}"),
    }
    feth.set_description("").unwrap();
    assert_eq!(interfaces.description(&name).unwrap(), None);
    feth.set_description(&Tag::new(ALIVE, "lan").to_string()).unwrap();
    assert_eq!(interfaces.tag(&name).unwrap(), Some(Tag::new(ALIVE, "lan")));
}

pub(crate) fn orphans_of_the_dead_are_destroyed_and_nothing_else<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let interfaces = &bench.interfaces;
    // What a dead switch left: a pair in a bridge of its own.
    let dead = new_pair(kernel, &tagged(DEAD));
    let mut bridge = new_bridge(kernel);
    bridge.set_description(&Tag::new(DEAD, "lan").to_string()).unwrap();
    interfaces.add_member(bridge.name(), dead.name()).unwrap();
    // A living one's, of the same process number; one of nobody's; somebody else's words.
    let living = new_pair(kernel, &tagged(ALIVE));
    let untagged = new_feth(kernel);
    let mut foreign = new_feth(kernel);
    foreign.set_description("vswitch of another kind").unwrap();

    // Of whoever else has tags on this machine nothing is known.
    let mut asked: Vec<Owner> = Vec::new();
    let reaped = interfaces.reap_orphans(|owner| {
        asked.push(owner);
        owner != DEAD
    });
    let mut names: Vec<String> = reaped.unwrap().into_iter().map(|one| one.name).collect();
    names.sort_unstable();
    let mut expected = [bridge.name(), dead.name(), dead.peer().unwrap()];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(asked.iter().filter(|owner| **owner == ALIVE).count(), 2);
    for left in [living.name(), living.peer().unwrap(), untagged.name(), foreign.name()] {
        interfaces.find(left).unwrap();
    }
    assert_eq!(interfaces.reap_orphans(|owner| owner != DEAD).unwrap(), []);
}

pub(crate) fn the_kernel_tells_of_it<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let interfaces = &bench.interfaces;
    let events = Events::open_on(kernel.clone()).unwrap();
    let pair = new_pair(kernel, &FethOptions { up: true, mtu: Some(1500), ..options() });
    let name = pair.peer().unwrap();
    let mut told = Vec::new();
    let mut is_told = |name: &str, change: Change| {
        wait_until(kernel, || {
            while let Some(event) = events.next_event().unwrap() {
                told.push((event.name().to_owned(), event.change));
            }
            told.contains(&(name.to_owned(), change))
        })
    };
    for change in [Change::Attached, Change::LinkOn, Change::Flags] {
        assert!(is_told(name, change), "{change}");
    }
    interfaces.add_member(bench.bridge(), pair.name()).unwrap();
    assert!(is_told(pair.name(), Change::ProtoAttached));
    interfaces.destroy(name).unwrap();
    for change in [Change::LinkOff, Change::Detaching, Change::Detached] {
        assert!(is_told(name, change), "{change}");
    }
    let life: Vec<Change> =
        told.iter().filter(|(of, _)| of == name).map(|(_, change)| *change).collect();
    let place = |change| life.iter().position(|one| *one == change);
    assert!(place(Change::Attached) < place(Change::LinkOn), "{life:?}");
    assert!(place(Change::LinkOff) < place(Change::Detaching), "{life:?}");
    assert!(place(Change::Detaching) < place(Change::Detached), "{life:?}");
}

/// What there is without making anything.
pub(crate) fn the_host_is_known<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let loopback = interfaces.find("lo0").unwrap();
    assert_eq!((loopback.kind, loopback.mac), (ifctl::Kind::Loopback, None));
    assert!(loopback.addresses.iter().any(|one| one.to_string() == "127.0.0.1/8"));
    let cloners = interfaces.cloners().unwrap();
    for cloner in ["bridge", "feth"] {
        assert!(cloners.iter().any(|one| one == cloner), "{cloners:?}");
    }
    interfaces.check_feth_settings(1500).unwrap();
    let error = interfaces.find("feth9999").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
