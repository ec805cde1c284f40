//! The table of addresses (`bridge_rtupdate`, `bridge_rtage`; contract §3, M13, M14, M18).

use crate::errno::{EINVAL, ENOENT, ENOSPC, Result};
use crate::net::IfId;
use crate::net::interface::Mac;

/// `BRIDGE_RTABLE_MAX` and `BRIDGE_RTABLE_TIMEOUT`.
const ENTRIES_MAX: u32 = 100;
const TIMEOUT_S: u32 = 1200;

/// `IFBAF_*`: an entry's type.
pub(super) mod entry_flag {
    pub(crate) const TYPE_MASK: u8 = 3;
    pub(crate) const DYNAMIC: u8 = 0;
    pub(crate) const STICKY: u8 = 2;
}

#[derive(Debug)]
pub(super) struct Table {
    /// The newest first.
    pub(super) entries: Vec<Entry>,
    pub(super) entries_max: u32,
    pub(super) timeout_s: u32,
    /// Addresses that found no place (`BRDGGRTE`).
    pub(super) exceeded: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) mac: Mac,
    pub(super) vlan: u16,
    pub(super) member: IfId,
    pub(super) flags: u8,
    pub(super) expires_s: u64,
}

impl Entry {
    pub(super) fn is_dynamic(&self) -> bool {
        self.flags & entry_flag::TYPE_MASK == entry_flag::DYNAMIC
    }
}

/// What learning asks of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    pub(super) mac: Mac,
    pub(super) vlan: u16,
    pub(super) member: IfId,
    /// New entries of this member stay where they are (`IFBIF_STICKY`).
    pub(super) is_sticky: bool,
    /// 0 is no limit.
    pub(super) address_max: u32,
    pub(super) now_s: u64,
    /// Sets an entry's flags: `BRDGSADDR`.
    pub(super) flags: Option<u8>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No address that anybody can have.
    NoAddress,
    /// The table is full.
    TableFull,
    /// The member has as many as it may.
    MemberFull,
}

impl Refusal {
    pub(super) fn errno(self) -> xnu_sys::Errno {
        match self {
            Self::NoAddress => EINVAL,
            Self::TableFull | Self::MemberFull => ENOSPC,
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: Vec::new(), entries_max: ENTRIES_MAX, timeout_s: TIMEOUT_S, exceeded: 0 }
    }
}

impl Table {
    /// Where an address is, in any VLAN: the oldest such entry is found first
    /// (`bridge_rtnode_hash`). Expiry is not looked at (M14).
    pub(super) fn lookup(&self, mac: Mac) -> Option<IfId> {
        self.entries.iter().rev().find(|entry| entry.mac == mac).map(|entry| entry.member)
    }

    /// `bridge_rtupdate`.
    pub(super) fn update(&mut self, update: Update) -> std::result::Result<(), Refusal> {
        if update.mac[0] & 1 != 0 || update.mac == [0; 6] {
            return Err(Refusal::NoAddress);
        }
        let vlan = if update.vlan == 0 { 1 } else { update.vlan };
        let is_it = |entry: &Entry| entry.mac == update.mac && entry.vlan == vlan;
        if !self.entries.iter().any(is_it) {
            self.insert(update, vlan)?;
        }
        let timeout_s = u64::from(self.timeout_s);
        let Some(entry) = self.entries.iter_mut().find(|entry| is_it(entry)) else {
            return Ok(());
        };
        if entry.is_dynamic() {
            entry.member = update.member;
        }
        let flags = update.flags.unwrap_or(entry_flag::DYNAMIC);
        if flags & entry_flag::TYPE_MASK == entry_flag::DYNAMIC {
            entry.expires_s = update.now_s + timeout_s;
        }
        if let Some(flags) = update.flags {
            entry.flags = flags;
        }
        Ok(())
    }

    fn insert(&mut self, update: Update, vlan: u16) -> std::result::Result<(), Refusal> {
        if self.entries.len() >= self.entries_max as usize {
            self.exceeded += 1;
            return Err(Refusal::TableFull);
        }
        if update.address_max != 0 && self.count_of(update.member) >= update.address_max {
            return Err(Refusal::MemberFull);
        }
        let flags = if update.is_sticky { entry_flag::STICKY } else { entry_flag::DYNAMIC };
        let entry = Entry { mac: update.mac, vlan, member: update.member, flags, expires_s: 0 };
        self.entries.insert(0, entry);
        Ok(())
    }

    /// How many addresses a member has.
    pub(super) fn count_of(&self, member: IfId) -> u32 {
        let count = self.entries.iter().filter(|entry| entry.member == member).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// `bridge_rtage`.
    pub(super) fn age(&mut self, now_s: u64) {
        self.entries.retain(|entry| !entry.is_dynamic() || now_s < entry.expires_s);
    }

    /// `bridge_rttrim`: what is over the limit goes, the newest dynamic ones first.
    pub(super) fn trim(&mut self, now_s: u64) {
        let limit = self.entries_max as usize;
        if self.entries.len() <= limit {
            return;
        }
        self.age(now_s);
        let mut over = self.entries.len().saturating_sub(limit);
        self.entries.retain(|entry| {
            let goes = over > 0 && entry.is_dynamic();
            over -= usize::from(goes);
            !goes
        });
    }

    /// `bridge_rtflush`: what was learned, or all.
    pub(super) fn flush(&mut self, all: bool) {
        self.entries.retain(|entry| !all && !entry.is_dynamic());
    }

    /// `bridge_rtdelete` of all of a member.
    pub(super) fn delete_member(&mut self, member: IfId) {
        self.entries.retain(|entry| entry.member != member);
    }

    /// `bridge_rtdaddr`: of one VLAN, or with 0 of all.
    pub(super) fn delete(&mut self, mac: Mac, vlan: u16) -> Result<()> {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.mac != mac || (vlan != 0 && entry.vlan != vlan));
        if self.entries.len() == before { Err(ENOENT) } else { Ok(()) }
    }
}
