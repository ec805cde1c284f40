//! Socket buffers: how much goes in (XNU `bsd/kern/uipc_socket2.c`).

use std::collections::VecDeque;

use crate::errno::{EINVAL, ENOBUFS, Result};
use crate::unix::limits::Limits;

/// A datagram that waits, and what it is charged.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The sender's address, a whole socket address.
    pub(super) from: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    mbuf_bytes: u64,
}

/// What a datagram's mbufs are made by, which decides how many there are and how big.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MadeBy {
    /// `sosend`: `write`, `sendto`, and `sendmsg_x` one by one.
    Sosend,
    /// `mbuf_allocpacket`: `sendmsg_x` in one go (since macOS 14.0).
    AllocPacket,
}

/// The receiving side of a socket.
#[derive(Debug)]
pub(super) struct ReceiveBuffer {
    pub(super) space: Space,
    /// `SO_RCVLOWAT`.
    pub(super) lowat: u32,
    /// Shut down: takes nothing any more (`SB_DROP`).
    drops: bool,
    /// Bytes of payload and addresses (`sb_cc`).
    charged: u64,
    /// Of these, addresses (`sb_ctl`).
    address_bytes: u64,
    /// Memory of mbufs and clusters (`sb_mbcnt`).
    mbuf_bytes: u64,
    records: VecDeque<Record>,
}

/// `sb_hiwat` and `sb_mbmax` of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// `SO_SNDBUF` or `SO_RCVBUF`.
    pub(crate) bytes_max: u32,
    mbuf_bytes_max: u64,
}

impl Space {
    pub(crate) const EMPTY: Self = Self { bytes_max: 0, mbuf_bytes_max: 0 };

    /// `sbreserve`: another size, by this version's rules (contract §7, C24).
    pub(crate) fn reserve(&mut self, bytes: u32, limits: &Limits) -> Result<()> {
        let bytes = if limits.clamps {
            if bytes > limits.socket_buffer_max && self.bytes_max == limits.socket_buffer_max {
                return Err(ENOBUFS);
            }
            bytes.min(limits.socket_buffer_max)
        } else {
            if u64::from(bytes) > limits.adjusted_max() {
                return Err(ENOBUFS);
            }
            bytes
        };
        self.bytes_max = bytes;
        self.mbuf_bytes_max = u64::from(bytes) * 8;
        if !limits.clamps {
            self.mbuf_bytes_max = self.mbuf_bytes_max.min(u64::from(limits.socket_buffer_max));
        }
        Ok(())
    }
}

impl ReceiveBuffer {
    pub(super) const fn new(space: Space) -> Self {
        Self {
            space,
            lowat: 1,
            drops: false,
            charged: 0,
            address_bytes: 0,
            mbuf_bytes: 0,
            records: VecDeque::new(),
        }
    }

    /// `sbspace`: what a datagram and its address may have together (M21).
    pub(super) fn room(&self) -> u64 {
        let bytes = u64::from(self.space.bytes_max).saturating_sub(self.charged);
        bytes.min(self.space.mbuf_bytes_max.saturating_sub(self.mbuf_bytes))
    }

    /// `sbappendaddr`: a datagram comes, or `ENOBUFS`: there is no room for it (M21).
    pub(super) fn append(
        &mut self,
        from: &[u8],
        bytes: &[u8],
        made_by: MadeBy,
        mbufs: Mbufs,
    ) -> Result<()> {
        if self.drops {
            return Err(EINVAL);
        }
        let charge = (bytes.len() + from.len()) as u64;
        if charge > self.room() {
            return Err(ENOBUFS);
        }
        let mbuf_bytes = mbufs.one() + mbufs.of_payload(bytes.len() as u64, made_by);
        self.charged += charge;
        self.address_bytes += from.len() as u64;
        self.mbuf_bytes += mbuf_bytes;
        self.records.push_back(Record { from: from.to_vec(), bytes: bytes.to_vec(), mbuf_bytes });
        Ok(())
    }

    pub(super) fn peek(&self) -> Option<&Record> {
        self.records.front()
    }

    pub(super) fn take(&mut self) -> Option<Record> {
        let record = self.records.pop_front()?;
        self.charged -= (record.bytes.len() + record.from.len()) as u64;
        self.address_bytes -= record.from.len() as u64;
        self.mbuf_bytes -= record.mbuf_bytes;
        Some(record)
    }

    /// What `FIONREAD` says: addresses are counted too (M22).
    pub(super) const fn charged_bytes(&self) -> u64 {
        self.charged
    }

    /// Payload of all datagrams that wait.
    pub(super) const fn payload_bytes(&self) -> u64 {
        self.charged - self.address_bytes
    }

    pub(super) fn datagrams(&self) -> usize {
        self.records.len()
    }

    /// `sorflush`: what waits is thrown away, and nothing comes in any more.
    pub(super) fn shut_down(&mut self) {
        *self = Self { lowat: 0, drops: true, ..Self::new(Space::EMPTY) };
    }
}

/// Sizes of mbufs: 256 bytes, or 512 on Apple silicon since macOS 14.0 (`bsd/sys/mbuf.h`, without
/// `CONFIG_MBUF_MCACHE`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Mbufs {
    pub(super) are_big: bool,
}

const CLUSTER: u64 = 2048;
const BIG_CLUSTER: u64 = 4096;
const JUMBO_CLUSTER: u64 = 16384;

impl Mbufs {
    /// `MSIZE`.
    const fn one(self) -> u64 {
        if self.are_big { 512 } else { 256 }
    }

    /// `MHLEN`: data in an mbuf that begins a packet.
    const fn first_data(self) -> u64 {
        if self.are_big { 288 } else { 80 }
    }

    /// `MINCLSIZE`: what two mbufs hold.
    const fn two_data(self) -> u64 {
        if self.are_big { 2 * 288 } else { 80 + 224 }
    }

    /// Memory of the mbufs and clusters of a datagram's payload.
    const fn of_payload(self, len: u64, made_by: MadeBy) -> u64 {
        if len <= self.first_data() {
            return self.one();
        }
        match made_by {
            MadeBy::Sosend if len <= CLUSTER => self.one() + CLUSTER,
            // Even what is left over for the last cluster has one of this size.
            MadeBy::Sosend => len.div_ceil(BIG_CLUSTER) * (self.one() + BIG_CLUSTER),
            MadeBy::AllocPacket if len <= self.two_data() => 2 * self.one(),
            MadeBy::AllocPacket => {
                let whole = len / JUMBO_CLUSTER * (self.one() + JUMBO_CLUSTER);
                match len % JUMBO_CLUSTER {
                    0 => whole,
                    rest if rest <= CLUSTER => whole + self.one() + CLUSTER,
                    rest if rest <= BIG_CLUSTER => whole + self.one() + BIG_CLUSTER,
                    _ => whole + self.one() + JUMBO_CLUSTER,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mbufs_of_a_datagram_are_those_that_its_call_makes() {
        let small = Mbufs { are_big: false };
        let of = |len| small.of_payload(len, MadeBy::Sosend);
        assert_eq!([of(0), of(80), of(81)], [256, 256, 2304]);
        assert_eq!([of(2048), of(2049), of(4097)], [2304, 4352, 8704]);
        let of = |len| small.of_payload(len, MadeBy::AllocPacket);
        assert_eq!([of(80), of(81), of(304), of(305)], [256, 512, 512, 2304]);
        assert_eq!([of(2049), of(4097), of(16384), of(16385)], [4352, 16640, 16640, 18944]);
        let big = Mbufs { are_big: true };
        assert_eq!(big.of_payload(288, MadeBy::Sosend), 512);
        assert_eq!(big.of_payload(1514, MadeBy::Sosend), 2560);
    }
}
