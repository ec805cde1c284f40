//! The table of addresses: which MAC is behind which port.
//!
//! Open addressing with linear probing and a secret multiplier, so that a guest cannot aim
//! addresses at one bucket; removal shifts entries back, so there are no tombstones.

use super::PortIndex;
use super::header::AddressKey;
use crate::mac::MacAddr;
use crate::time::Nanos;

/// One address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub mac: MacAddr,
    /// The port it is behind.
    pub port: PortIndex,
    /// When a frame from it was last seen; for a static entry, when it was made.
    pub seen: Nanos,
    /// Made by configuration: it neither ages nor moves.
    pub is_static: bool,
}

impl Entry {
    /// Not static, and not seen for longer than `age_ns`.
    pub(super) fn is_older_than(&self, age_ns: u64, now: Nanos) -> bool {
        !self.is_static && now.0.saturating_sub(self.seen.0) > age_ns
    }
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// The address in the low 48 bits; [`VACANT`] for none.
    bits: u64,
    seen: Nanos,
    port: PortIndex,
    is_static: bool,
}

const VACANT: u64 = u64::MAX;
const EMPTY: Cell = Cell { bits: VACANT, seen: Nanos(0), port: PortIndex(0), is_static: false };
const CELLS_AT_START: usize = 1024;

/// The table. Time is an argument; nothing here reads a clock.
#[derive(Debug)]
pub(super) struct AddressTable {
    /// A power of two of them.
    cells: Box<[Cell]>,
    /// What [`shift`] says of so many.
    shift: u32,
    len: usize,
    multiplier: u64,
}

impl AddressTable {
    /// An empty table; `secret` seeds the hash.
    pub(super) fn new(secret: u64) -> Self {
        Self {
            cells: vec![EMPTY; CELLS_AT_START].into_boxed_slice(),
            shift: shift(CELLS_AT_START),
            len: 0,
            // Odd, and with high bits set, as multiplicative hashing asks.
            multiplier: secret | 1 | (1 << 63),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The entry of an address, of whatever age.
    #[inline]
    pub(super) fn find(&mut self, address: AddressKey) -> Option<EntryMut<'_>> {
        let at = self.position(address)?;
        Some(EntryMut(&mut self.cells[at]))
    }

    /// Adds an address that is not in the table.
    pub(super) fn insert(&mut self, entry: Entry) {
        debug_assert!(self.position(entry.mac.into()).is_none(), "{} twice", entry.mac);
        if (self.len + 1) * 4 > self.cells.len() * 3 {
            self.grow();
        }
        self.place(Cell {
            bits: entry.mac.to_bits(),
            seen: entry.seen,
            port: entry.port,
            is_static: entry.is_static,
        });
        self.len += 1;
    }

    /// Removes an address; says whose it was.
    pub(super) fn remove(&mut self, address: AddressKey) -> Option<Entry> {
        let at = self.position(address)?;
        let entry = self.cells[at].entry();
        self.vacate(at);
        Some(entry)
    }

    /// Removes the entries for which `keep` says no, calling it once for each.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let kept: Vec<Cell> = self
            .cells
            .iter()
            .filter(|cell| cell.bits != VACANT && keep(&cell.entry()))
            .copied()
            .collect();
        if kept.len() == self.len {
            return;
        }
        self.cells.fill(EMPTY);
        self.len = kept.len();
        for cell in kept {
            self.place(cell);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        self.cells.iter().filter(|cell| cell.bits != VACANT).map(Cell::entry)
    }

    /// The entries in at most `most` cells from number `from` on, and the next cell's number.
    pub(super) fn page(&self, from: usize, most: usize) -> (Vec<Entry>, Option<usize>) {
        let end = self.cells.len().min(from.saturating_add(most));
        let cells = self.cells.get(from..end).unwrap_or_default();
        let entries = cells.iter().filter(|cell| cell.bits != VACANT).map(Cell::entry).collect();
        (entries, (end < self.cells.len()).then_some(end))
    }

    fn home(&self, bits: u64) -> usize {
        let hash = (bits ^ (bits >> 23)).wrapping_mul(self.multiplier);
        usize::try_from(hash >> self.shift).unwrap_or(0)
    }

    #[inline]
    fn position(&self, AddressKey(bits): AddressKey) -> Option<usize> {
        let mask = self.cells.len() - 1;
        let mut at = self.home(bits);
        loop {
            let found = self.cells[at].bits;
            if found == bits {
                return Some(at);
            }
            if found == VACANT {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    fn place(&mut self, cell: Cell) {
        let mask = self.cells.len() - 1;
        let mut at = self.home(cell.bits);
        while self.cells[at].bits != VACANT {
            at = (at + 1) & mask;
        }
        self.cells[at] = cell;
    }

    fn grow(&mut self) {
        let doubled = vec![EMPTY; self.cells.len() * 2].into_boxed_slice();
        self.shift = shift(doubled.len());
        let old = std::mem::replace(&mut self.cells, doubled);
        for cell in old.iter().filter(|cell| cell.bits != VACANT) {
            self.place(*cell);
        }
    }

    /// Empties a cell and moves back the entries behind it that its occupation had displaced.
    fn vacate(&mut self, mut hole: usize) {
        let mask = self.cells.len() - 1;
        self.cells[hole] = EMPTY;
        self.len -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            if self.cells[at].bits == VACANT {
                return;
            }
            let home = self.home(self.cells[at].bits);
            // Move it unless its home lies after the hole, cyclically.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.cells[hole] = self.cells[at];
                self.cells[at] = EMPTY;
                hole = at;
            }
        }
    }
}

/// By how much a hash of 64 bits is shifted to the right to be below `cells`, a power of two.
const fn shift(cells: usize) -> u32 {
    64 - cells.trailing_zeros()
}

/// An entry in place.
pub(super) struct EntryMut<'a>(&'a mut Cell);

impl EntryMut<'_> {
    pub(super) fn port(&self) -> PortIndex {
        self.0.port
    }

    pub(super) fn is_static(&self) -> bool {
        self.0.is_static
    }

    #[inline]
    pub(super) fn is_older_than(&self, age_ns: u64, now: Nanos) -> bool {
        !self.0.is_static && now.0.saturating_sub(self.0.seen.0) > age_ns
    }

    /// A frame from it came now.
    #[inline]
    pub(super) fn see(&mut self, now: Nanos) {
        if !self.0.is_static {
            self.0.seen = now;
        }
    }
}

impl Cell {
    fn entry(&self) -> Entry {
        Entry {
            mac: MacAddr::from_bits(self.bits),
            port: self.port,
            seen: self.seen,
            is_static: self.is_static,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn learnt(mac: MacAddr, port: PortIndex, seen: Nanos) -> Entry {
        Entry { mac, port, seen, is_static: false }
    }

    fn mac(n: u16) -> MacAddr {
        let [a, b] = n.to_be_bytes();
        MacAddr([2, 0, 0, 0, a, b])
    }

    proptest! {
        /// Against a plain map, with few addresses so that inserts, finds and removals meet.
        #[test]
        fn is_a_map(
            secret in any::<u64>(),
            steps in prop::collection::vec((0u8..3, 0u16..300), 1..2000),
        ) {
            let mut table = AddressTable::new(secret);
            let mut model = HashMap::new();
            for (time, (action, n)) in steps.into_iter().enumerate() {
                let now = Nanos(time as u64);
                match action {
                    0 => {
                        let known = table.find(mac(n).into()).is_some();
                        prop_assert_eq!(known, model.contains_key(&n));
                        if !known {
                            table.insert(learnt(mac(n), PortIndex(n), now));
                            model.insert(n, now);
                        }
                    }
                    1 => {
                        let removed = table.remove(mac(n).into());
                        prop_assert_eq!(removed.map(|entry| entry.seen), model.remove(&n));
                    }
                    _ => {
                        table.retain(|entry| entry.port.0 % 7 != n % 7);
                        model.retain(|key, _| key % 7 != n % 7);
                    }
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for (n, seen) in &model {
                let entry = table.iter().find(|e| e.mac == mac(*n)).unwrap();
                prop_assert_eq!(entry.seen, *seen);
                prop_assert!(table.find(mac(*n).into()).is_some());
            }
        }
    }

    #[test]
    fn holds_a_hundred_thousand() {
        let mut table = AddressTable::new(0x9e37_79b9_7f4a_7c15);
        let address = |n: u32| MacAddr::from_bits(0x0200_0000_0000 | u64::from(n));
        for n in 0..100_000 {
            table.insert(learnt(address(n), PortIndex(1), Nanos(0)));
        }
        assert!((0..100_000).all(|n| table.find(address(n).into()).is_some()));
        assert!(table.find(address(100_000).into()).is_none());
    }
}
