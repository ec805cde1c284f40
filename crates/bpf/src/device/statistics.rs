//! The kernel's counters, which are short and begin again, as running totals.

use xnu_sys::Kernel;
use xnu_sys::bpf::{BIOCGSTATS, bpf_stat};

use super::{Device, Error};

/// What became of frames since the device was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Frames offered to the filter: those of the wanted direction (`bs_recv`).
    pub offered_frames: u64,
    /// Frames that the filter took and that were dropped, since both of the kernel's buffers were
    /// full (`bs_drop`): the reader is too slow, or the buffer too small.
    pub dropped_frames: u64,
    /// Buffers with a broken record, the rest of which was passed over. XNU gives none.
    pub broken_buffers: u64,
}

/// The kernel's counters have 32 bits and begin at 0 with each `BIOCSETIF`.
#[derive(Debug, Default)]
pub(super) struct Tally {
    last: bpf_stat,
    offered_frames: u64,
    dropped_frames: u64,
}

impl Tally {
    /// The kernel says `now`. Must be asked more often than a counter goes round: at ten million
    /// frames a second every seven minutes.
    fn note(&mut self, now: bpf_stat) {
        self.offered_frames += u64::from(now.bs_recv.wrapping_sub(self.last.bs_recv));
        self.dropped_frames += u64::from(now.bs_drop.wrapping_sub(self.last.bs_drop));
        self.last = now;
    }

    /// The kernel's counters are at 0.
    pub(super) fn kernel_restarted(&mut self) {
        self.last = bpf_stat::default();
    }
}

impl<K: Kernel> Device<K> {
    /// What became of frames since the device was opened. One system call (`BIOCGSTATS`).
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn statistics(&mut self) -> Result<Statistics, Error> {
        let mut now = bpf_stat::default();
        let result = self.descriptor.request(BIOCGSTATS, &mut now);
        result.map_err(|source| self.at.refused(source))?;
        self.tally.note(now);
        Ok(Statistics {
            offered_frames: self.tally.offered_frames,
            dropped_frames: self.tally.dropped_frames,
            broken_buffers: self.incoming.faults(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_round_and_begin_again() {
        let mut tally = Tally::default();
        let stat = |bs_recv, bs_drop| bpf_stat { bs_recv, bs_drop };
        tally.note(stat(u32::MAX, 1));
        tally.note(stat(4, 2));
        assert_eq!((tally.offered_frames, tally.dropped_frames), (u64::from(u32::MAX) + 5, 2));
        tally.kernel_restarted();
        tally.note(stat(3, 1));
        assert_eq!((tally.offered_frames, tally.dropped_frames), (u64::from(u32::MAX) + 8, 3));
    }
}
