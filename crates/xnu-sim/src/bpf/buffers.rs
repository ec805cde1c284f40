//! The buffers of a device: store, hold and free (contract M1, M2, M3).

use crate::rng::Rng;

/// Where records wait. Packets go into the store; a full store becomes the hold buffer, which a
/// read takes whole. There are two pieces of memory: with a hold buffer none is free.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    store: Records,
    hold: Option<Records>,
    /// A read copies the hold buffer out.
    is_copied_out: bool,
}

/// Records, one after the other.
#[derive(Debug, Default)]
struct Records {
    bytes: Vec<u8>,
    count: u64,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It goes into the store.
    InStore,
    /// The store became the hold buffer, it goes to the beginning of a new store; so many records
    /// of the hold buffer before were thrown away for that.
    Rotated { lost: u64 },
    /// There is none.
    None,
}

impl Buffers {
    /// Makes room for a record of `len` bytes in buffers of `size` bytes.
    pub(super) fn make_room(&mut self, len: usize, size: usize, drops_oldest: bool) -> Room {
        if self.store_len().next_multiple_of(ALIGNMENT) + len <= size {
            return Room::InStore;
        }
        if self.is_copied_out || (self.hold.is_some() && !drops_oldest) {
            return Room::None;
        }
        let lost = self.hold.take().map_or(0, |hold| hold.count);
        self.rotate();
        Room::Rotated { lost }
    }

    /// Appends a record where [`Self::make_room`] has made room. Nobody clears what is between two
    /// records: it is what was there before.
    pub(super) fn append(&mut self, record: &[u8], rng: &mut Rng) {
        let start = self.store_len().next_multiple_of(ALIGNMENT);
        stale_bytes(&mut self.store.bytes, start, rng);
        self.store.bytes.extend_from_slice(record);
        self.store.count += 1;
    }

    /// The store becomes the hold buffer, of which there was none.
    pub(super) fn rotate(&mut self) {
        assert!(self.hold.is_none(), "a hold buffer is overwritten");
        self.hold = Some(std::mem::take(&mut self.store));
    }

    /// A read begins to copy the hold buffer out: what is in it, and how many records that are.
    pub(super) fn copy_out(&mut self) -> Option<(Vec<u8>, u64)> {
        let hold = self.hold.as_ref()?;
        self.is_copied_out = true;
        Some((hold.bytes.clone(), hold.count))
    }

    /// The read is done: its buffer is free.
    pub(super) fn copied_out(&mut self) {
        self.is_copied_out = false;
        self.hold = None;
    }

    /// Empties both.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What another device holds is held by this one too.
    pub(super) fn copy_of(other: &Self) -> Self {
        let copy =
            |records: &Records| Records { bytes: records.bytes.clone(), count: records.count };
        let (store, hold) = (copy(&other.store), other.hold.as_ref().map(copy));
        Self { store, hold, is_copied_out: false }
    }

    pub(super) fn store_len(&self) -> usize {
        self.store.bytes.len()
    }

    /// 0 when there is no hold buffer.
    pub(super) fn hold_len(&self) -> usize {
        self.hold.as_ref().map_or(0, |hold| hold.bytes.len())
    }

    pub(super) const fn has_hold(&self) -> bool {
        self.hold.is_some()
    }

    pub(super) const fn is_copied_out(&self) -> bool {
        self.is_copied_out
    }

    /// Records in the store and in the hold buffer.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.store.count, self.hold.as_ref().map_or(0, |hold| hold.count))
    }
}

/// Fills `bytes` up to `len` with what nobody may rely on.
pub(super) fn stale_bytes(bytes: &mut Vec<u8>, len: usize, rng: &mut Rng) {
    let missing = len.saturating_sub(bytes.len());
    bytes.extend(rng.next_u64().to_le_bytes().into_iter().cycle().take(missing));
}

/// Records begin at multiples of this (`BPF_ALIGNMENT`).
const ALIGNMENT: usize = 4;

#[cfg(test)]
mod tests;
