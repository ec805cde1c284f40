use super::*;

const SIZE: usize = 64;

fn add(buffers: &mut Buffers, len: usize, drops_oldest: bool) -> Room {
    let room = buffers.make_room(len, SIZE, drops_oldest);
    if room != Room::None {
        buffers.append(&vec![0xaa; len], &mut Rng::new(1));
    }
    room
}

/// Contract M1: records begin at multiples of 4; the one that does not fit rotates, the next is
/// dropped.
#[test]
fn a_full_store_rotates_once() {
    let mut buffers = Buffers::default();
    assert_eq!(add(&mut buffers, 21, false), Room::InStore);
    assert_eq!(add(&mut buffers, 40, false), Room::InStore);
    assert_eq!(buffers.store_len(), 64);
    assert_eq!(add(&mut buffers, 18, false), Room::Rotated { lost: 0 });
    assert_eq!((buffers.hold_len(), buffers.store_len()), (64, 18));
    assert_eq!(add(&mut buffers, 45, false), Room::None);
    assert_eq!(add(&mut buffers, 44, false), Room::InStore);
}

/// Contract M1: HEADDROP throws the whole hold buffer away.
#[test]
fn the_oldest_are_thrown_away_as_a_whole() {
    let mut buffers = Buffers::default();
    for _ in 0..2 {
        add(&mut buffers, 32, true);
    }
    assert_eq!(add(&mut buffers, 60, true), Room::Rotated { lost: 0 });
    assert_eq!(add(&mut buffers, 60, true), Room::Rotated { lost: 2 });
    assert_eq!(buffers.counts(), (1, 1));
}

/// Contract M2: while a read copies the hold buffer out the store still fills, and nothing rotates.
#[test]
fn the_buffer_is_free_when_the_copy_is_done() {
    let mut buffers = Buffers::default();
    add(&mut buffers, 40, true);
    buffers.rotate();
    assert_eq!(buffers.copy_out().map(|(bytes, count)| (bytes.len(), count)), Some((40, 1)));
    assert_eq!(add(&mut buffers, 40, true), Room::InStore);
    assert_eq!(add(&mut buffers, 40, true), Room::None);
    buffers.copied_out();
    assert_eq!(add(&mut buffers, 40, true), Room::Rotated { lost: 0 });
}

/// Contract M4: what is between records is what was there.
#[test]
fn pads_are_stale() {
    let mut buffers = Buffers::default();
    add(&mut buffers, 21, false);
    add(&mut buffers, 4, false);
    buffers.rotate();
    let (bytes, _) = buffers.copy_out().expect("held");
    let stale = Rng::new(1).next_u64().to_le_bytes();
    assert_eq!(bytes[21..24], stale[..3]);
    assert_eq!(bytes[24..], [0xaa; 4]);
}
