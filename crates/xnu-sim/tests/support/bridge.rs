//! Bridges, by raw requests.

use super::{Control, Result, name_at, put, u16_at, u32_at, u64_at};

pub(crate) const LEARNING: u32 = 1;
pub(crate) const DISCOVER: u32 = 2;
pub(crate) const STP: u32 = 4;
pub(crate) const SPAN: u32 = 8;
pub(crate) const STICKY: u32 = 0x10;
pub(crate) const PRIVATE: u32 = 0x800;
pub(crate) const MAC_NAT: u32 = 0x8000;
pub(crate) const CHECKSUM_OFFLOAD: u32 = 0x1_0000;
pub(crate) const USES_VIRTIO: u32 = 0x2_0000;

/// A row of `BRDGRTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) member: String,
    pub(crate) expire_s: u64,
    pub(crate) flags: u8,
    pub(crate) mac: [u8; 6],
    pub(crate) vlan: u16,
}

/// An `ifbreq` of a member.
pub(crate) fn member_request(member: &str) -> [u8; 80] {
    let mut request = [0; 80];
    put(&mut request, 0, member.as_bytes());
    request
}

/// An `ifbareq`.
pub(crate) fn address_request(member: &str, mac: [u8; 6], vlan: u16, flags: u8) -> [u8; 36] {
    let mut request = [0; 36];
    put(&mut request, 0, member.as_bytes());
    put(&mut request, 24, &[flags]);
    put(&mut request, 25, &mac);
    put(&mut request, 32, &vlan.to_le_bytes());
    request
}

impl Control {
    /// A bridge that is up, with these members.
    pub(crate) fn bridge(&self, name: &str, members: &[&str]) {
        self.create(name).unwrap();
        self.up(name);
        for member in members {
            self.add_member(name, member).unwrap();
        }
    }

    pub(crate) fn add_member(&self, bridge: &str, member: &str) -> Result<()> {
        self.driver_set(bridge, 0, &mut member_request(member))
    }

    pub(crate) fn delete_member(&self, bridge: &str, member: &str) -> Result<()> {
        self.driver_set(bridge, 1, &mut member_request(member))
    }

    /// `BRDGGIFFLGS`, whole.
    pub(crate) fn member(&self, bridge: &str, member: &str) -> Result<[u8; 80]> {
        let mut request = member_request(member);
        self.driver_get(bridge, 2, &mut request)?;
        Ok(request)
    }

    pub(crate) fn member_flags(&self, bridge: &str, member: &str) -> Result<u32> {
        self.member(bridge, member).map(|request| u32_at(&request, 16))
    }

    pub(crate) fn set_member_flags(&self, bridge: &str, member: &str, flags: u32) -> Result<()> {
        let mut request = member_request(member);
        put(&mut request, 16, &flags.to_le_bytes());
        self.driver_set(bridge, 3, &mut request)
    }

    pub(crate) fn set_address_max(&self, bridge: &str, member: &str, most: u32) -> Result<()> {
        let mut request = member_request(member);
        put(&mut request, 40, &most.to_le_bytes());
        self.driver_set(bridge, 33, &mut request)
    }

    /// A command of one number that is asked.
    pub(crate) fn parameter(&self, bridge: &str, command: u64) -> Result<u32> {
        let mut parameter = [0; 4];
        self.driver_get(bridge, command, &mut parameter)?;
        Ok(u32_at(&parameter, 0))
    }

    pub(crate) fn set_parameter(&self, bridge: &str, command: u64, value: u32) -> Result<()> {
        self.driver_set(bridge, command, &mut value.to_le_bytes())
    }

    /// A list: `room` is what the argument says, the rows that came, and what it says then.
    pub(crate) fn list(&self, bridge: &str, command: u64, room: u32) -> Result<(Vec<u8>, u32)> {
        let mut rows = vec![0; room as usize];
        let mut argument = [0; 12];
        put(&mut argument, 0, &room.to_le_bytes());
        let pointer = rows.as_mut_ptr().expose_provenance() as u64;
        put(&mut argument, 4, &pointer.to_le_bytes());
        self.driver_get(bridge, command, &mut argument)?;
        let len = u32_at(&argument, 0);
        rows.truncate(len as usize);
        Ok((rows, len))
    }

    pub(crate) fn members(&self, bridge: &str) -> Vec<String> {
        let (rows, _) = self.list(bridge, 6, 80 * 64).unwrap();
        rows.chunks(80).map(|row| name_at(row, 0)).collect()
    }

    /// The table, newest first.
    pub(crate) fn table(&self, bridge: &str) -> Vec<Entry> {
        let (rows, _) = self.list(bridge, 7, 36 * 1024).unwrap();
        let entry = |row: &[u8]| Entry {
            member: name_at(row, 0),
            expire_s: u64_at(row, 16),
            flags: row[24],
            mac: row[25..31].try_into().unwrap(),
            vlan: u16_at(row, 32),
        };
        rows.chunks(36).map(entry).collect()
    }

    /// By which member an address is known.
    pub(crate) fn known_by(&self, bridge: &str, mac: [u8; 6]) -> Option<String> {
        self.table(bridge).into_iter().find(|entry| entry.mac == mac).map(|entry| entry.member)
    }

    pub(crate) fn set_address(
        &self,
        bridge: &str,
        member: &str,
        mac: [u8; 6],
        flags: u8,
    ) -> Result<()> {
        self.driver_set(bridge, 8, &mut address_request(member, mac, 0, flags))
    }
}
