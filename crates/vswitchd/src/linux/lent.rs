//! A card that is lent to a bridge while a switch runs: what is written of it, so that it can be
//! freed if the switch is killed.
//!
//! The pair's tag says it, in its label: `br0`, or `br0 lent=eth1`, or, when the card was down
//! before, `br0 lent-down=eth1`. Names of interfaces have no spaces.

use std::net::IpAddr;

use ifctl::{Address, Interfaces, Tag};

/// A card made a member of a bridge here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lent {
    pub(super) bridge: String,
    pub(super) member: String,
    /// It was up before.
    pub(super) was_up: bool,
}

/// The label of the pair's tag.
pub(super) fn label(bridge: &str, lent: Option<&Lent>) -> String {
    match lent {
        None => bridge.to_owned(),
        Some(Lent { member, was_up: true, .. }) => format!("{bridge}{UP}{member}"),
        Some(Lent { member, was_up: false, .. }) => format!("{bridge}{DOWN}{member}"),
    }
}

/// The bridge for which an interface was made, as its tag says.
pub(crate) fn bridge_in(tag: &Tag) -> &str {
    tag.label().split(' ').next().unwrap_or_default()
}

/// What a tag says was lent.
pub(super) fn lent_in(tag: &Tag) -> Option<Lent> {
    let of = |(bridge, member): (&str, &str), was_up| Lent {
        bridge: bridge.to_owned(),
        member: member.to_owned(),
        was_up,
    };
    let up = tag.label().split_once(UP).map(|parts| of(parts, true));
    up.or_else(|| tag.label().split_once(DOWN).map(|parts| of(parts, false)))
}

/// Gives a card back: it leaves the bridge, if it is still its member, and is set down again if it
/// was down. What another took over meanwhile is left to that. Whether it was still ours.
pub(super) fn give_back(interfaces: &mut Interfaces, lent: &Lent) -> bool {
    let Ok(found) = interfaces.find(&lent.member) else { return false };
    match &found.master {
        Some(master) if *master == lent.bridge => {
            if let Err(error) = interfaces.remove_member(&lent.bridge, &lent.member) {
                tracing::debug!(member = lent.member, %error, "not released");
                return false;
            }
        }
        // Freed by the end of its bridge, unless a person took it out for a use of its own.
        None if found.addresses.iter().all(is_link_local) => {}
        None => return true,
        Some(_) => return false,
    }
    if !lent.was_up
        && let Err(error) = interfaces.set_up(&lent.member, false)
    {
        tracing::debug!(member = lent.member, %error, "not set down again");
    }
    true
}

/// An address that the kernel gives whatever is up.
fn is_link_local(of: &Address) -> bool {
    matches!(of.address, IpAddr::V6(address) if address.is_unicast_link_local())
}

const UP: &str = " lent=";
const DOWN: &str = " lent-down=";

#[cfg(test)]
mod tests {
    use ifctl::Owner;

    use super::*;

    #[test]
    fn what_is_written_of_a_card_is_read_again() {
        let owner = Owner { pid: 1, started: 2 };
        for was_up in [true, false] {
            for member in ["eth1", "a=b,lent=c", "fifteen-bytes-x"] {
                let bridge = "fifteen-bytes-b".to_owned();
                let lent = Lent { bridge, member: member.to_owned(), was_up };
                let label = label(&lent.bridge, Some(&lent));
                let tag = Tag::new(owner, &label);
                assert_eq!(bridge_in(&tag), lent.bridge);
                assert_eq!(lent_in(&tag), Some(lent), "{label}");
            }
        }
        let tag = Tag::new(owner, &label("br0", None));
        assert_eq!((bridge_in(&tag), lent_in(&tag)), ("br0", None));
    }
}
