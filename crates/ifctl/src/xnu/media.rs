//! Media: whether an interface has a link.

use xnu_sys::Kernel;
use xnu_sys::if_media::{IFM_ACTIVE, IFM_AVALID};

use super::{Interfaces, failure, interface_name};
use crate::{Call, Error, Flags, OperState};

/// What `SIOCGIFMEDIA` tells of an interface's link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Media {
    /// Whether the driver knows if there is a link (`IFM_AVALID`).
    pub is_known: bool,
    /// Whether it says that there is one (`IFM_ACTIVE`).
    pub has_link: bool,
    /// The medium in use, an `IFM_*` word of `bsd/net/if_media.h`.
    pub active: i32,
    /// The media that can be chosen, as such words.
    pub choices: Vec<i32>,
}

impl Media {
    /// `status` has the bits of `ifm_status`.
    pub(super) fn of(status: i32, active: i32, choices: Vec<i32>) -> Self {
        let (is_known, has_link) = (status & IFM_AVALID != 0, status & IFM_ACTIVE != 0);
        Self { is_known, has_link, active, choices }
    }

    /// Whether there is a link. A feth has one while it has a peer.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.is_known && self.has_link
    }

    /// Whether a bridge floods to a member in this state: `interface_media_active`
    /// (`bsd/net/if_bridge.c`) wants a link, and a medium that can be chosen. The bridge looks when
    /// the member joins and at each of its link events, not at each frame.
    #[must_use]
    pub fn is_flooded_to(&self) -> bool {
        self.is_active() && !self.choices.is_empty()
    }

    /// The state of an interface of these flags and media.
    pub(super) fn state(this: Option<&Self>, flags: Flags) -> OperState {
        if !flags.contains(Flags::UP) {
            return OperState::Down;
        }
        match this {
            Some(media) if media.is_active() => OperState::Up,
            Some(media) if media.is_known => OperState::LowerLayerDown,
            _ => OperState::Unknown,
        }
    }
}

impl<K: Kernel> Interfaces<K> {
    /// Whether an interface is a wireless card (`SIOCGIFTYPE`). As a member, a bridge puts its
    /// address in the place of the guests' (`IFBIF_MAC_NAT`); used directly, an access point drops
    /// what guests send.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn is_wireless(&self, name: &str) -> Result<bool, Error> {
        let call = Call::OnInterface { what: "read the type of", name: name.to_owned() };
        let name = interface_name(&call, name)?;
        self.control.is_wireless(name).map_err(failure::of_interface(&call, name))
    }

    /// What the driver says of an interface's link.
    ///
    /// # Errors
    /// [`Error::Xnu`] with `EOPNOTSUPP` for interfaces without media, such as the loopback.
    pub fn media(&self, name: &str) -> Result<Media, Error> {
        let call = Call::OnInterface { what: "read the media of", name: name.to_owned() };
        let name = interface_name(&call, name)?;
        self.control.media(name).map_err(failure::of_interface(&call, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(is_known: bool, has_link: bool, choices: &[i32]) -> Media {
        Media { is_known, has_link, active: 0x20, choices: choices.to_vec() }
    }

    #[test]
    fn a_link_needs_both_bits_and_a_bridge_a_medium_too() {
        assert!(media(true, true, &[0x20]).is_flooded_to());
        assert!(!media(true, true, &[]).is_flooded_to());
        assert!(media(true, true, &[]).is_active());
        assert!(!media(false, true, &[0x20]).is_active(), "ACTIVE without AVALID says nothing");
        assert!(!media(true, false, &[0x20]).is_active());
    }

    #[test]
    fn the_status_is_two_bits() {
        for (status, is_known, has_link) in [
            (0, false, false),
            (1, true, false),
            (2, false, true),
            (3, true, true),
            (4, false, false),
        ] {
            let media = Media::of(status, 0x20, vec![0x20]);
            assert_eq!((media.is_known, media.has_link), (is_known, has_link), "{status}");
        }
    }

    #[test]
    fn states() {
        let up = Flags::UP | Flags::RUNNING;
        let state = |is_known, has_link| Media::state(Some(&media(is_known, has_link, &[])), up);
        assert_eq!(state(true, true), OperState::Up);
        assert_eq!(state(true, false), OperState::LowerLayerDown);
        assert_eq!(state(false, false), OperState::Unknown);
        assert_eq!(Media::state(None, up), OperState::Unknown);
        let linked = media(true, true, &[0x20]);
        assert_eq!(Media::state(Some(&linked), Flags::RUNNING), OperState::Down);
    }
}
