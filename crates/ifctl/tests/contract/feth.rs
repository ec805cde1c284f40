//! Feths: made, joined, changed.

use ifctl::xnu::{FethOptions, FethUnits, Interfaces, Tag};
use ifctl::{Error, Flags, Kind, OperState, PairOptions};
use xnu_sys::Kernel;

use super::{ALIVE, Bench, new_feth, new_pair, options, tagged, units};

pub(crate) fn a_pair_comes_up_with_all_that_was_asked_for<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let asked = FethOptions { mtu: Some(2000), up: true, ..tagged(ALIVE) };
    let pair = new_pair(kernel, &asked);
    let (a, b) = (pair.name(), pair.peer().unwrap());
    for (end, peer) in [(a, b), (b, a)] {
        assert!(units().contains(end));
        let found = interfaces.find(end).unwrap();
        assert_eq!((&found.kind, found.mtu, found.is_up()), (&Kind::Feth, 2000, true));
        assert_eq!((found.state, found.master.as_deref()), (OperState::Up, None));
        assert_eq!(found.peer_index, Some(interfaces.find(peer).unwrap().index));
        assert_eq!(interfaces.tag(end).unwrap(), Some(Tag::new(ALIVE, "lan")));
        assert_eq!(interfaces.peer(end).unwrap().as_deref(), Some(peer));
        assert!(interfaces.media(end).unwrap().is_flooded_to());
        // "feth" and the unit.
        let unit: u16 = end["feth".len()..].parse().unwrap();
        let [high, low] = unit.to_be_bytes();
        assert_eq!(found.mac, Some([b'f', b'e', b't', b'h', high, low]));
        assert!(interfaces.list().unwrap().contains(&found));
    }
    assert_eq!(pair.index(), interfaces.find(a).unwrap().index);
    let second = new_pair(kernel, &options());
    let found = interfaces.find(second.name()).unwrap();
    assert_eq!((found.mtu, found.is_up()), (1500, false), "only when asked for");
}

pub(crate) fn units_that_are_there_are_passed_over<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let first = new_feth(kernel);
    let second = new_feth(kernel);
    assert_ne!(first.name(), second.name());
    let unit = first.name()["feth".len()..].parse().unwrap();
    let taken = FethOptions { units: FethUnits::new(unit, 1).unwrap(), ..options() };
    let error = interfaces.create_feth(&taken).unwrap_err();
    assert!(matches!(error, Error::NoUnitLeft { .. }), "{error}");
    let error =
        interfaces.create_pair(first.name(), second.name(), PairOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::Exists { name, .. } if name == first.name()), "{error}");
}

pub(crate) fn peers_are_made_and_parted<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let interfaces = &bench.interfaces;
    let feths = [new_feth(kernel), new_feth(kernel), new_feth(kernel)];
    let [one, two, three] = feths.each_ref().map(|feth| feth.name());
    assert_eq!(interfaces.peer(one).unwrap(), None);
    interfaces.set_peer(one, two).unwrap();
    assert_eq!(interfaces.peer(two).unwrap().as_deref(), Some(one));

    for (a, b, whose, of) in [(one, three, one, two), (three, two, two, one), (one, two, one, two)]
    {
        match interfaces.set_peer(a, b).unwrap_err() {
            Error::HasPeer { name, peer, .. } => assert_eq!((&*name, &*peer), (whose, of)),
            other => panic!("{other}"),
        }
    }
    interfaces.clear_peer(two).unwrap();
    interfaces.clear_peer(two).unwrap();
    assert_eq!(interfaces.peer(one).unwrap(), None);
    interfaces.set_peer(three, two).unwrap();

    let error = interfaces.set_peer(one, one).unwrap_err();
    assert!(matches!(error, Error::SameName { .. }), "the kernel would do it: {error}");
    for (a, b) in [(one, "lo0"), (bench.bridge(), one)] {
        let error = interfaces.set_peer(a, b).unwrap_err();
        assert!(matches!(error, Error::NotAFeth { .. }), "{error}");
    }
    for name in [bench.bridge(), "lo0"] {
        assert!(matches!(interfaces.peer(name), Err(Error::NotAFeth { .. })), "{name}");
        assert!(matches!(interfaces.clear_peer(name), Err(Error::NotAFeth { .. })), "{name}");
    }
    let members = interfaces.members(bench.bridge()).unwrap();
    assert_eq!(members.len(), 1, "no bridge lost a member by it");
    let error = interfaces.set_peer(one, "feth9999").unwrap_err();
    assert!(matches!(&error, Error::NotFound { name, .. } if name == "feth9999"), "{error}");
}

pub(crate) fn an_mtu_has_limits<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let feth = new_feth(kernel);
    let (least, most) = interfaces.mtu_range(feth.name()).unwrap();
    assert_eq!(least, 72);
    assert!(most >= 1500);
    for mtu in [least, most] {
        interfaces.set_mtu(feth.name(), mtu).unwrap();
        assert_eq!(interfaces.find(feth.name()).unwrap().mtu, mtu);
    }
    for bad in [least - 1, most + 1, 70_000] {
        match interfaces.set_mtu(feth.name(), bad).unwrap_err() {
            Error::MtuRejected { name, mtu, min, max, .. } => {
                assert_eq!((&*name, mtu, min, max), (feth.name(), bad, least, most));
            }
            other => panic!("{other}"),
        }
    }
}

pub(crate) fn up_and_down_touch_nothing_else<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let pair = new_pair(kernel, &FethOptions { up: true, ..options() });
    let before = interfaces.find(pair.name()).unwrap();
    assert!(before.flags.contains(Flags::RUNNING), "a feth that is up runs");
    interfaces.set_up(pair.name(), false).unwrap();
    let down = interfaces.find(pair.name()).unwrap();
    assert!(!down.is_up());
    assert_eq!(down.state, OperState::Down);
    assert_eq!(down.flags | Flags::UP | Flags::RUNNING, before.flags);
    interfaces.set_up(pair.name(), true).unwrap();
    assert_eq!(interfaces.find(pair.name()).unwrap().flags, before.flags);
}
