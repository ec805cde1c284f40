//! What interfaces, feths and bridges do on every XNU: called with the simulated one, and as root
//! of a Mac with the real one. Whatever is made goes at the end, also when a test fails, and has
//! names that nobody else has.
#![allow(dead_code, reason = "on Linux the list below is used once")]

use std::time::Duration;

use ifctl::Error;
use ifctl::xnu::{FethOptions, FethUnits, Interfaces, OwnedInterface, Owner, Tag};
use xnu_sys::Kernel;

pub(crate) mod bridge;
pub(crate) mod feth;
pub(crate) mod life;
pub(crate) mod table;

/// A test of each function of the contract, for a test binary that says with `$on` what it is
/// called with. In one list, so that no binary forgets one.
macro_rules! contract {
    ($on:ident) => {
        $crate::contract::contract! { $on;
            bridge::a_membership_is_made_kept_and_ended,
            bridge::who_is_missing_is_told_apart,
            bridge::what_is_no_bridge_gets_no_commands,
            bridge::a_member_of_another_bridge_stays_there,
            bridge::the_first_member_decides_the_mtu_and_the_others_must_have_it,
            bridge::what_a_bridge_never_takes,
            bridge::flags_are_changed_one_by_one,
            feth::a_pair_comes_up_with_all_that_was_asked_for,
            feth::units_that_are_there_are_passed_over,
            feth::peers_are_made_and_parted,
            feth::an_mtu_has_limits,
            feth::up_and_down_touch_nothing_else,
            life::a_pair_goes_whole,
            life::a_pair_goes_with_its_owner,
            life::a_name_is_free_again,
            life::descriptions_are_text_of_a_length,
            life::orphans_of_the_dead_are_destroyed_and_nothing_else,
            life::the_kernel_tells_of_it,
            life::the_host_is_known,
            table::a_member_may_have_so_many_addresses,
            table::a_filter_of_hosts_is_set_changed_and_taken_away,
            table::pinned_addresses,
            table::a_table_of_a_size_and_an_age_longer_than_any_guess,
        }
    };
    ($on:ident; $($module:ident::$name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $on(contract::$module::$name);
            }
        )*
    };
}
pub(crate) use contract;

pub(crate) const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 0x11];

/// A switch that lives, and one that has died; no process has either number.
pub(crate) const ALIVE: Owner = Owner { pid: 4_000_501, started: 1_700_000_000_000_000 };
pub(crate) const DEAD: Owner = Owner { pid: 4_000_501, started: 1_600_000_000_000_000 };

/// A bridge, which is up and has a feth without a peer as its member.
#[derive(Debug)]
pub(crate) struct Bench<K: Kernel> {
    pub(crate) interfaces: Interfaces<K>,
    member: OwnedInterface<K>,
    bridge: OwnedInterface<K>,
}

impl<K: Kernel> Bench<K> {
    pub(crate) fn new(kernel: &K) -> Self {
        let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
        let (bridge, member) = (new_bridge(kernel), new_feth(kernel));
        interfaces.add_member(bridge.name(), member.name()).unwrap();
        interfaces.set_up(bridge.name(), true).unwrap();
        Self { interfaces, member, bridge }
    }

    pub(crate) fn bridge(&self) -> &str {
        self.bridge.name()
    }

    pub(crate) fn member(&self) -> &str {
        self.member.name()
    }
}

/// A bridge of the first free number of those that are the tests'.
pub(crate) fn new_bridge<K: Kernel>(kernel: &K) -> OwnedInterface<K> {
    let mut numbers = 4300..4400;
    loop {
        let number = numbers.next().expect("a free number");
        match OwnedInterface::bridge_on(kernel.clone(), &format!("bridge{number}")) {
            Err(Error::Exists { .. }) => {}
            made => return made.unwrap(),
        }
    }
}

/// A feth without a peer.
pub(crate) fn new_feth<K: Kernel>(kernel: &K) -> OwnedInterface<K> {
    OwnedInterface::feth(kernel.clone(), &options()).unwrap()
}

/// A pair: its name is the bridge's end, its peer the switch's.
pub(crate) fn new_pair<K: Kernel>(kernel: &K, options: &FethOptions) -> OwnedInterface<K> {
    OwnedInterface::feth_pair(kernel.clone(), options).unwrap()
}

/// Feths of the tests' own units.
pub(crate) fn options() -> FethOptions {
    FethOptions { units: units(), ..FethOptions::default() }
}

pub(crate) fn tagged(owner: Owner) -> FethOptions {
    FethOptions { tag: Some(Tag::new(owner, "lan")), ..options() }
}

/// Beyond those that a running switch takes.
pub(crate) fn units() -> FethUnits {
    FethUnits::new(20_700, 100).unwrap()
}

/// Waits until the kernel has done what it does in its own time.
pub(crate) fn wait_until<K: Kernel>(kernel: &K, mut done: impl FnMut() -> bool) -> bool {
    (0..200).any(|_| {
        let is_done = done();
        if !is_done {
            kernel.sleep(Duration::from_millis(10));
        }
        is_done
    })
}
