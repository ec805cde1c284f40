//! Frames that say who sent them, to whom, and which they are; every byte follows from that.

/// The content of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
    pub(crate) id: u64,
    pub(crate) len: usize,
}

/// Addresses, a type, the number, the length.
pub(crate) const CONTENT_LEN_MIN: usize = 14 + 8 + 4;

pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

/// An EtherType for experiments (IEEE 802, local experimental 2).
const ETHERTYPE: [u8; 2] = [0x88, 0xb6];

/// The address of a station; the last is the one on the LAN.
pub(crate) fn station(number: usize) -> [u8; 6] {
    [0x02, 0, 0, 0, 0x77, u8::try_from(number).unwrap()]
}

pub(crate) fn number_of(mac: [u8; 6]) -> Option<usize> {
    (mac[..5] == station(0)[..5]).then_some(usize::from(mac[5]))
}

impl Content {
    pub(crate) fn write(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        bytes.extend(self.to);
        bytes.extend(self.from);
        bytes.extend(ETHERTYPE);
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(u32::try_from(self.len).unwrap().to_be_bytes());
        let rest = self.len - CONTENT_LEN_MIN;
        bytes.extend((0..rest).map(|place| self.byte(place)));
        bytes
    }

    /// Reads a frame, and sees that each of its bytes is what it must be; `None` for a frame of
    /// somebody else's.
    pub(crate) fn read(bytes: &[u8]) -> Option<Result<Self, String>> {
        if bytes.get(12..14) != Some(&ETHERTYPE[..]) {
            return None;
        }
        if bytes.len() < CONTENT_LEN_MIN {
            return Some(Err(format!("cut to {} bytes", bytes.len())));
        }
        let content = Self {
            to: bytes[..6].try_into().unwrap(),
            from: bytes[6..12].try_into().unwrap(),
            id: u64::from_be_bytes(bytes[14..22].try_into().unwrap()),
            len: usize::try_from(u32::from_be_bytes(bytes[22..26].try_into().unwrap())).unwrap(),
        };
        if content.len != bytes.len() {
            return Some(Err(format!("{content:?} came with {} bytes", bytes.len())));
        }
        let wrong = (0..bytes.len() - CONTENT_LEN_MIN)
            .find(|place| bytes[CONTENT_LEN_MIN + place] != content.byte(*place));
        Some(match wrong {
            None => Ok(content),
            Some(place) => Err(format!("{content:?} differs at byte {}", CONTENT_LEN_MIN + place)),
        })
    }

    fn byte(self, place: usize) -> u8 {
        let mixed = (self.id ^ place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed.to_be_bytes()[0]
    }
}
