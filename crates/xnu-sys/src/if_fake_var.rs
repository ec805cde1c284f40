//! `<net/if_fake_var.h>`: feth, interfaces that are one end of a pair (XNU `bsd/net/if_fake_var.h`,
//! `bsd/net/if_fake.c`).

use crate::InterfaceName;

header! {
    header "net/if_fake_var.h", private;

    /// Most media of a feth.
    const IF_FAKE_MEDIA_LIST_MAX: usize = 27;

    /// A feth's media.
    struct if_fake_media: 128, 4, () {
        /// Ignored.
        iffm_current: i32 = 0,
        /// How many of the list count; with 0 a bridge floods nothing to the feth.
        iffm_count: u32 = 4,
        /// 0.
        iffm_reserved: [u32; 3] = 8,
        /// The media.
        iffm_list: [i32; 27] = 20,
    }

    /// The argument of every command of a feth. Only the union's begin is told apart here:
    /// [`Self::with_peer`], [`Self::with_media`], [`Self::with_dequeue_stall`].
    struct if_fake_request: 160, 8, () {
        /// 0, else `EINVAL`.
        iffr_reserved: [u64; 4] = 0,
        /// A union: the peer's name, media, or a number.
        iffr_u: [u8; 128] = 32,
    }

    /// Nothing (`EOPNOTSUPP`).
    command IF_FAKE_S_CMD_NONE(if_fake_request) set = 0;
    /// Makes two feths peers, or parts them (no name); root. `ENXIO`: no such interface; `EINVAL`:
    /// it is no feth; `EBUSY`: one of them has a peer already, or is going away.
    command IF_FAKE_S_CMD_SET_PEER(if_fake_request) set = 1;
    /// Sets the media; root. `EINVAL`: more than [`IF_FAKE_MEDIA_LIST_MAX`].
    command IF_FAKE_S_CMD_SET_MEDIA(if_fake_request) set = 2;
    /// Not 0: what the feth sends stays in its queue; root.
    command IF_FAKE_S_CMD_SET_DEQUEUE_STALL(if_fake_request) set = 3;

    /// Nothing (`EOPNOTSUPP`).
    command IF_FAKE_G_CMD_NONE(if_fake_request) get = 0;
    /// Gets the peer's name; empty without a peer.
    command IF_FAKE_G_CMD_GET_PEER(if_fake_request) get = 1;
}

impl if_fake_request {
    /// With a peer's name; `None` for none.
    #[must_use]
    pub fn with_peer(self, peer: Option<InterfaceName>) -> Self {
        let mut union = [0; 128];
        if let Some(peer) = peer {
            union[..16].copy_from_slice(&peer.bytes());
        }
        Self { iffr_u: union, ..self }
    }

    /// The peer's name; `None` when there is none.
    #[must_use]
    pub fn peer(&self) -> Option<InterfaceName> {
        InterfaceName::from_bytes(&self.iffr_u[..16]).ok()
    }

    /// With media.
    #[must_use]
    pub fn with_media(self, media: &if_fake_media) -> Self {
        let head = [media.iffm_current.cast_unsigned(), media.iffm_count];
        let list = media.iffm_list.map(i32::cast_unsigned);
        let words = head.into_iter().chain(media.iffm_reserved).chain(list);
        let mut union = [0; 128];
        for (place, word) in union.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        Self { iffr_u: union, ..self }
    }

    /// With whether what the feth sends stays in its queue.
    #[must_use]
    pub fn with_dequeue_stall(self, stall: bool) -> Self {
        let mut union = [0; 128];
        union[..4].copy_from_slice(&u32::from(stall).to_ne_bytes());
        Self { iffr_u: union, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_in_16_bytes_or_none() {
        let name: InterfaceName = "fifteen-bytes-x".parse().unwrap();
        let request = if_fake_request::default().with_dequeue_stall(true).with_peer(Some(name));
        assert_eq!(&request.iffr_u[..17], b"fifteen-bytes-x\0\0");
        assert_eq!(request.peer(), Some(name));
        assert_eq!(request.with_peer(None), if_fake_request::default());
        assert_eq!(request.with_peer(None).peer(), None);
    }

    #[test]
    fn media_fill_the_union_word_by_word() {
        let mut media = if_fake_media { iffm_current: -1, iffm_count: 2, ..Default::default() };
        media.iffm_list[0] = 0x35;
        media.iffm_list[26] = 0x36;
        let union = if_fake_request::default().with_media(&media).iffr_u;
        let word = |at: usize| i32::from_ne_bytes(union[at..at + 4].try_into().unwrap());
        assert_eq!([0, 4, 8, 20, 24, 124].map(word), [-1, 2, 0, 0x35, 0, 0x36]);
    }

    #[test]
    fn a_stall_is_a_number() {
        let union = |stall| if_fake_request::default().with_dequeue_stall(stall).iffr_u;
        assert_eq!(union(true)[..4], 1_u32.to_ne_bytes());
        assert_eq!(union(false), [0; 128]);
    }
}
