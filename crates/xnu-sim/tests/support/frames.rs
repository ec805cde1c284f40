//! Frames.

pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
/// Some guest's, some LAN host's.
pub(crate) const GUEST: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
pub(crate) const OTHER_GUEST: [u8; 6] = [0x52, 0x54, 0, 0, 0, 2];
pub(crate) const LAN_HOST: [u8; 6] = [0x00, 0x1b, 0x21, 0, 0, 9];

/// A frame of 60 bytes or more, its payload a text.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6], text: &str) -> Vec<u8> {
    frame_of(to, from, 0x88b5, text.as_bytes())
}

/// A frame of an ethertype.
pub(crate) fn frame_of(to: [u8; 6], from: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [&to[..], &from[..], &ethertype.to_be_bytes()[..], payload].concat();
    bytes.resize(bytes.len().max(60), 0);
    bytes
}
