//! Frames that say where they come from, and whether they are whole.

use vswitch::MacAddr;

/// What a simulated frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) to: MacAddr,
    pub(crate) from: MacAddr,
    /// Counts all frames of the run, in the order in which guests sent them.
    pub(crate) id: u64,
    pub(crate) len: usize,
}

/// The fewest bytes that hold the content: header, id, length.
pub(crate) const CONTENT_LEN_MIN: usize = 14 + 8 + 4;

pub(crate) fn station(guest: usize) -> MacAddr {
    let [.., high, low] = guest.to_be_bytes();
    MacAddr([2, 0, 0, 0, high, low])
}

/// Whose station it is.
pub(crate) fn guest_of(mac: MacAddr) -> Option<usize> {
    let [2, 0, 0, 0, high, low] = mac.0 else { return None };
    Some(usize::from(u16::from_be_bytes([high, low])))
}

impl Content {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        bytes.extend(self.to.0);
        bytes.extend(self.from.0);
        bytes.extend([0x88, 0xb5]);
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(u32::try_from(self.len).unwrap().to_be_bytes());
        let fill = (bytes.len()..self.len).map(|place| filler(self.id, place));
        bytes.extend(fill);
        bytes
    }

    /// Reads a frame back, and checks every byte of it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < CONTENT_LEN_MIN {
            return Err(format!("a frame of {} bytes", bytes.len()));
        }
        let content = Self {
            to: MacAddr(bytes[..6].try_into().unwrap()),
            from: MacAddr(bytes[6..12].try_into().unwrap()),
            id: u64::from_be_bytes(bytes[14..22].try_into().unwrap()),
            len: bytes.len(),
        };
        if content.write() == bytes { Ok(content) } else { Err(format!("corrupted: {content:?}")) }
    }
}

fn filler(id: u64, place: usize) -> u8 {
    id.wrapping_mul(31).wrapping_add((place as u64).wrapping_mul(7)).to_le_bytes()[0]
}
