//! What the load's frames look like: two stations' addresses, a type, a sequence number.

use crate::system::socket::ETHER_TYPE;

/// The most bytes that any load sends: 65,521 of payload behind an Ethernet header.
pub(crate) const FRAME_MAX_BYTES: usize = 65_535;

/// The fewest that hold the sequence number.
const HEAD_BYTES: usize = 22;

/// The address of the end with this number, locally administered.
pub(crate) fn station(end: usize) -> [u8; 6] {
    let [.., high, low] = end.to_be_bytes();
    [0x02, 0xb0, 0, 0, high, low]
}

/// A frame from one end to another; `None` is everybody.
pub(crate) fn write(frame: &mut [u8], from: usize, to: Option<usize>) {
    frame.fill(0x5a);
    frame[..6].copy_from_slice(&to.map_or([0xff; 6], station));
    frame[6..12].copy_from_slice(&station(from));
    frame[12..14].copy_from_slice(&ETHER_TYPE.to_be_bytes());
}

/// Numbers a frame.
pub(crate) fn number(frame: &mut [u8], sequence: u64) {
    frame[14..HEAD_BYTES].copy_from_slice(&sequence.to_le_bytes());
}

/// The number of a frame from one end to another; `None` if it is no such frame.
pub(crate) fn sequence(frame: &[u8], from: usize, to: usize) -> Option<u64> {
    let head: &[u8; HEAD_BYTES] = frame.first_chunk()?;
    let ours = head[..6] == station(to)
        && head[6..12] == station(from)
        && head[12..14] == ETHER_TYPE.to_be_bytes();
    let (_, number) = head.split_last_chunk::<8>()?;
    ours.then(|| u64::from_le_bytes(*number))
}

/// The prefix of a frame on a stream.
pub(crate) fn prefix(frame_bytes: usize) -> [u8; 4] {
    u32::try_from(frame_bytes).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_by_both_ends_and_its_number() {
        let mut frame = [0; 64];
        write(&mut frame, 1, Some(300));
        number(&mut frame, 77);
        assert_eq!(sequence(&frame, 1, 300), Some(77));
        assert_eq!(sequence(&frame, 2, 300), None);
        assert_eq!(sequence(&frame[..21], 1, 300), None);
        write(&mut frame, 1, None);
        assert_eq!(frame[..6], [0xff; 6]);
    }
}
