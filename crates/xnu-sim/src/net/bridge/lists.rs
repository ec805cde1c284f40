//! A bridge's lists: members, addresses (contract §2, §3; M20).

use super::table::{Entry, entry_flag};
use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::{ENOBUFS, Result};
use crate::machine::Machine;
use crate::net::IfId;

/// An `ifbreq` and an `ifbareq`.
const MEMBER_BYTES: usize = 80;
const ADDRESS_BYTES: usize = 36;
/// `ifbrmstats`.
const STATS_BYTES: usize = 248;

/// Where a list's argument has its length and its pointer; the pointer is not aligned.
const LEN_AT: usize = 0;
const POINTER_AT: usize = 4;

impl Machine {
    /// `BRDGGIFS`: asked with no room, it says how many bytes there are; else as many as fit.
    pub(super) fn bridge_list_members(
        &self,
        id: IfId,
        argument: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        let bridge = self.bridge(id);
        let ids: Vec<IfId> = bridge.members.iter().map(|member| member.id).collect();
        let room = argument.u32_at(LEN_AT) as usize;
        let total = (ids.len() + bridge.spans.len()) * MEMBER_BYTES;
        if room == 0 {
            put_len(argument, total);
            return Ok(());
        }
        let mut list = Vec::new();
        // One row, filled again and again: a span port's has what is left of the last member's.
        let mut row = [0; MEMBER_BYTES];
        for member in ids {
            row.put_text(0, 16, &self.net[member].name);
            self.put_member(id, member, &mut row);
            list.extend(row);
        }
        for span in &bridge.spans {
            row.put_text(0, 16, &self.net[*span].name);
            row.put_u32(16, super::member_flag::SPAN);
            row.put(28, &[port_number(self.net[*span].index)]);
            list.extend(row);
        }
        give(argument, memory, &list, room, MEMBER_BYTES)
    }

    /// What `BRDGGIFFLGS` says of a member.
    pub(super) fn put_member(&self, id: IfId, member: IfId, row: &mut [u8]) {
        let bridge = self.bridge(id);
        let Some(of) = bridge.member(member) else { return };
        row.put_u32(16, of.flags);
        row.put_u32(20, 0);
        row.put_u32(24, 0);
        row.put(28, &[port_number(self.net[member].index), 0, 0, 0, 0]);
        row.put_u32(36, bridge.table.count_of(member));
        row.put_u32(40, of.address_max);
        row.put_u32(44, of.address_exceeded);
    }

    /// `BRDGRTS`: asked with no room, it says nothing at all; the caller guesses and grows. The
    /// time left of an entry that is overdue is that of the entry before it (M20).
    pub(super) fn bridge_list_addresses(
        &self,
        id: IfId,
        argument: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        let room = argument.u32_at(LEN_AT) as usize;
        if room == 0 {
            return Ok(());
        }
        let now_s = self.now_s();
        let mut expire_s = 0;
        let mut list = Vec::new();
        for entry in &self.bridge(id).table.entries {
            expire_s = time_left(entry, now_s).unwrap_or(expire_s);
            let mut row = [0; ADDRESS_BYTES];
            row.put_text(0, 16, &self.net[entry.member].name);
            row.put_u64(16, expire_s);
            row.put(24, &[entry.flags]);
            row.put(25, &entry.mac);
            row.put_u16(32, entry.vlan);
            list.extend(row);
        }
        give(argument, memory, &list, room, ADDRESS_BYTES)
    }
}

/// 0 for one that stays; `None` for one that is overdue.
fn time_left(entry: &Entry, now_s: u64) -> Option<u64> {
    if entry.flags & entry_flag::TYPE_MASK != entry_flag::DYNAMIC {
        return Some(0);
    }
    (now_s < entry.expires_s).then(|| entry.expires_s - now_s)
}

/// Interface's index & 0xfff, cut to 8 bits.
fn port_number(index: u16) -> u8 {
    let [low, _] = index.to_le_bytes();
    low
}

/// `BRDGGIFSSTP`: spanning tree is not built in, so nobody takes part.
pub(super) fn put_no_stp(argument: &mut [u8]) {
    put_len(argument, 0);
}

/// `BRDGGIFSTATS`.
pub(super) fn put_member_stats(argument: &mut [u8], memory: &CallerMemory) -> Result<()> {
    let room = argument.u32_at(16) as usize;
    let size = u32::try_from(STATS_BYTES).unwrap_or(u32::MAX);
    argument.put_u32(20, size);
    if room != 0 && room < STATS_BYTES {
        return Err(ENOBUFS);
    }
    argument.put_u32(16, size);
    if room != 0 {
        memory.copyout(&[0; STATS_BYTES], argument.u64_at(24))?;
    }
    Ok(())
}

fn put_len(argument: &mut [u8], len: usize) {
    argument.put_u32(LEN_AT, u32::try_from(len).unwrap_or(u32::MAX));
}

/// As many whole rows as there is room for.
fn give(
    argument: &mut [u8],
    memory: &CallerMemory,
    list: &[u8],
    room: usize,
    row_bytes: usize,
) -> Result<()> {
    let given = list.len().min(room / row_bytes * row_bytes);
    put_len(argument, given);
    memory.copyout(&list[..given], argument.u64_at(POINTER_AT))
}
