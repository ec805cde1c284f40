//! A bridge's address table: which address is behind which member.

use std::fmt;

use xnu_sys::{Errno, Kernel};

use super::{Interfaces, failure, interface_name};
use crate::{Call, Error};

/// An address that a bridge knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableEntry {
    /// The address.
    pub mac: [u8; 6],
    /// The member that it is behind.
    pub member: String,
    /// How it came there.
    pub kind: AddressKind,
    /// In how many seconds it may be forgotten, of a learned one; none for the others. Of one that
    /// is overdue the kernel repeats another's number (`bridge_ioctl_rts64`).
    pub expires_s: Option<u64>,
    /// Its VLAN; 1 for frames without a tag.
    pub vlan: u16,
}

/// How an address came into a bridge's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// It was learned, and is forgotten when it is silent for long.
    Learned,
    /// It was put there, and stays there, also if its frames come from elsewhere.
    Pinned,
    /// It was learned, and stays.
    Sticky,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Learned => "learned",
            Self::Pinned => "pinned",
            Self::Sticky => "sticky",
        })
    }
}

/// How large a bridge's address table is, and how long it remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressTable {
    /// How many addresses it has room for: 100 unless changed. An address that finds no room is not
    /// learned, and frames to it go to all members.
    pub size: u32,
    /// For how many seconds a silent address is remembered: 1200 unless changed, and up to 300
    /// more.
    pub age_s: u32,
    /// How many times an address found no room.
    pub refused: u32,
}

impl<K: Kernel> Interfaces<K> {
    /// What a bridge knows of addresses.
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn addresses(&self, bridge: &str) -> Result<Vec<TableEntry>, Error> {
        let call = on_bridge("list the addresses of", bridge);
        let bridge = interface_name(&call, bridge)?;
        self.must_be_bridge(&call, bridge)?;
        self.control.bridge_addresses(bridge).map_err(failure::of_interface(&call, bridge))
    }

    /// Puts an address into a bridge's table for good, behind this member, wherever it was before.
    ///
    /// It is taken out first: for an address that was pinned to another member the kernel would say
    /// yes and leave it there. If this fails, the address may be out of the table.
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotAMember`], [`Error::NotUnicast`], [`Error::TableFull`].
    pub fn pin_address(&self, bridge: &str, member: &str, mac: [u8; 6]) -> Result<(), Error> {
        let call = on_mac("pin", bridge, mac);
        let (bridge, member) = self.bridge_and_member(&call, bridge, member)?;
        if mac[0] & 1 == 1 || mac == [0; 6] {
            return Err(Error::NotUnicast { call, mac });
        }
        let failed = |source| self.of_member(&call, bridge, member, source);
        // Before anything is taken out.
        self.control.member(bridge, member).map_err(failed)?;
        match self.control.forget_address(bridge, mac) {
            Ok(()) => {}
            Err(error) if error.errno == Errno::ENOENT => {}
            Err(error) => return Err(failure::of_interface(&call, bridge)(error)),
        }
        match self.control.pin_address(bridge, member, mac) {
            Ok(()) => Ok(()),
            Err(error) if error.errno == Errno::ENOSPC => {
                let size = self.control.table_size(bridge);
                let size = size.map_err(failure::of_interface(&call, bridge))?;
                Err(Error::TableFull { call, bridge: bridge.to_string(), size })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Takes an address out of a bridge's table, however it came there.
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotInTable`].
    pub fn forget_address(&self, bridge: &str, mac: [u8; 6]) -> Result<(), Error> {
        let call = on_mac("forget", bridge, mac);
        let bridge = interface_name(&call, bridge)?;
        self.must_be_bridge(&call, bridge)?;
        match self.control.forget_address(bridge, mac) {
            Err(error) if error.errno == Errno::ENOENT => {
                Err(Error::NotInTable { call, bridge: bridge.to_string(), mac })
            }
            done => done.map_err(failure::of_interface(&call, bridge)),
        }
    }

    /// Empties a bridge's table: of what it learned, or of all.
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn flush_addresses(&self, bridge: &str, also_pinned: bool) -> Result<(), Error> {
        let call = on_bridge("empty the address table of", bridge);
        let bridge = interface_name(&call, bridge)?;
        self.must_be_bridge(&call, bridge)?;
        let flushed = self.control.flush_addresses(bridge, also_pinned);
        flushed.map_err(failure::of_interface(&call, bridge))
    }

    /// How large a bridge's address table is, and how long it remembers.
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn address_table(&self, bridge: &str) -> Result<AddressTable, Error> {
        let call = on_bridge("read the size of the address table of", bridge);
        let bridge = interface_name(&call, bridge)?;
        self.must_be_bridge(&call, bridge)?;
        let of_bridge = || failure::of_interface(&call, bridge);
        Ok(AddressTable {
            size: self.control.table_size(bridge).map_err(of_bridge())?,
            age_s: self.control.address_age(bridge).map_err(of_bridge())?,
            refused: self.control.addresses_refused(bridge).map_err(of_bridge())?,
        })
    }

    /// Sets how many addresses a bridge remembers (`BRDGSCACHE`). With less than there are, learned
    /// ones are forgotten.
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn set_address_table_size(&self, bridge: &str, size: u32) -> Result<(), Error> {
        let call = on_bridge("set the size of the address table of", bridge);
        let bridge = interface_name(&call, bridge)?;
        self.must_be_bridge(&call, bridge)?;
        let set = self.control.set_table_size(bridge, size);
        set.map_err(failure::of_interface(&call, bridge))
    }

    /// Sets for how many seconds a bridge remembers a silent address (`BRDGSTO`).
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn set_address_age(&self, bridge: &str, age_s: u32) -> Result<(), Error> {
        let call = on_bridge("set the age of addresses of", bridge);
        let bridge = interface_name(&call, bridge)?;
        self.must_be_bridge(&call, bridge)?;
        let set = self.control.set_address_age(bridge, age_s);
        set.map_err(failure::of_interface(&call, bridge))
    }
}

fn on_bridge(what: &'static str, bridge: &str) -> Call {
    Call::OnBridge { what, bridge: bridge.to_owned() }
}

fn on_mac(what: &'static str, bridge: &str, mac: [u8; 6]) -> Call {
    Call::OnMac { what, bridge: bridge.to_owned(), mac }
}
