//! `SIOCGIFMEDIA` and `SIOCGIFXMEDIA` (`ifioctl_get_media`, `bsd/net/if.c`; contract §1a, §2
//! `ifmediareq`).

use super::IfId;
use super::interface::Driver;
use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::{EOPNOTSUPP, Result};
use crate::machine::Machine;

/// `IFM_ETHER`.
pub(super) const ETHER: u32 = 0x20;
/// `IFM_NONE`.
const NONE: u32 = 2;
/// `IFM_OTHER`.
pub(super) const OTHER: u32 = 31;
/// `IFM_FDX`.
pub(super) const FULL_DUPLEX: u32 = 0x0010_0000;
/// `IFM_TMASK`, with the extended half.
const SUBTYPE_MASK: u32 = 0x000f_001f;
/// `IFM_AVALID`.
const VALID: u32 = 1;
/// `IFM_ACTIVE`.
const ACTIVE: u32 = 2;

mod field {
    pub(super) const CURRENT: usize = 16;
    pub(super) const MASK: usize = 20;
    pub(super) const STATUS: usize = 24;
    pub(super) const ACTIVE: usize = 28;
    pub(super) const COUNT: usize = 32;
    pub(super) const LIST: usize = 36;
}

/// What a driver says of its media.
pub(super) struct Media {
    is_active: bool,
    current: u32,
    active: u32,
    words: Vec<u32>,
}

/// An extended subtype: its high bits have their own place.
pub(super) const fn subtype(number: u32) -> u32 {
    number & 0x1f | (number & 0x1e0) << 11
}

impl Machine {
    /// What an interface's driver says; `None`: it does not take the request.
    pub(super) fn media(&self, id: IfId) -> Option<Media> {
        let interface = &self.net[id];
        match &interface.driver {
            Driver::Feth(feth) => {
                let is_active = feth.peer.is_some();
                let active = if is_active { ETHER | 21 | FULL_DUPLEX } else { ETHER };
                Some(Media { is_active, current: ETHER, active, words: feth.media.clone() })
            }
            Driver::Bridge(bridge) => {
                let word = if bridge.is_media_active { ETHER } else { NONE };
                let is_active = bridge.is_media_active;
                Some(Media { is_active, current: word, active: word, words: vec![word] })
            }
            Driver::Ethernet(ethernet) => {
                let is_active = ethernet.has_link;
                let active = if is_active { ETHER | 16 | FULL_DUPLEX } else { ETHER | NONE };
                let words = vec![ETHER, ETHER | 16 | FULL_DUPLEX];
                Some(Media { is_active, current: ETHER, active, words })
            }
            Driver::None | Driver::Loopback => None,
        }
    }

    /// What a bridge believes of a member: valid, with a list that is not empty, active
    /// (`interface_media_active`, `bsd/net/if_bridge.c`; contract §3).
    pub(super) fn is_media_active(&self, id: IfId) -> bool {
        self.media(id).is_some_and(|media| media.is_active && !media.words.is_empty())
    }

    /// Answers `SIOCGIFMEDIA`, or with `is_extended` `SIOCGIFXMEDIA`.
    pub(super) fn ioctl_media(
        &self,
        id: IfId,
        argument: &mut [u8],
        memory: &CallerMemory,
        is_extended: bool,
    ) -> Result<()> {
        let media = self.media(id).ok_or(EOPNOTSUPP)?;
        let shown = |word: u32| if is_extended { word } else { squashed(word) };
        let list = argument.u64_at(field::LIST);
        let room = argument.u32_at(field::COUNT) as usize;
        let is_bridge = self.net[id].bridge().is_some();
        argument.put_u32(field::CURRENT, shown(media.current));
        argument.put_u32(field::MASK, 0);
        argument.put_u32(field::STATUS, VALID | if media.is_active { ACTIVE } else { 0 });
        argument.put_u32(field::ACTIVE, shown(media.active));
        // A bridge always has one word, and writes it whatever the room.
        let given =
            if is_bridge || list == 0 { media.words.len() } else { room.min(media.words.len()) };
        if is_bridge || list == 0 || room > 0 {
            argument.put_u32(field::COUNT, u32::try_from(given).unwrap_or(0));
        }
        if list != 0 && (is_bridge || room > 0) {
            let words = media.words.iter().take(given).flat_map(|word| shown(*word).to_le_bytes());
            memory.copyout(&words.collect::<Vec<u8>>(), list)?;
        }
        Ok(())
    }
}

/// What old programs are shown of a subtype that they do not know.
const fn squashed(word: u32) -> u32 {
    if word & 0xe0 == ETHER && word & SUBTYPE_MASK > OTHER {
        word & !SUBTYPE_MASK | OTHER
    } else {
        word
    }
}
