//! Capture buffers: what a read of a BPF device gives, and what a batch write takes.
//!
//! Both are rows of records: a header (`struct bpf_hdr`, XNU `bsd/net/bpf.h`), the frame at once
//! behind it, and the next record at the next multiple of 4 (`BPF_WORDALIGN`).
//!
//! ```text
//! 0   4   8       12      16      18        18+caplen  aligned to 4
//! sec usec caplen  datalen hdrlen  frame …   padding    next record
//! ```
//!
//! How long a header is stands in the header: 18 bytes for Ethernet, so that what follows the
//! Ethernet header is aligned (`bpf_attach`, `bsd/net/bpf.c`); `sizeof(struct bpf_hdr)` is 20, and
//! walkers that use it are wrong by two bytes. Numbers are in the machine's byte order.
//!
//! - [`Walker`] goes through the records of a buffer. It takes any bytes: a buffer that is cut or
//!   garbled ends the walk, with the reason.
//! - [`Cursor`] is a walker that does not hold the buffer, for a walk with pauses.
//! - [`BatchWriter`] puts records together for one write after `BIOCSBATCHWRITE`.
//!
//! None of them allocates per record, talks to a kernel, or needs a Mac.
//!
//! ```
//! use bpf::capture::{BatchWriter, Walker};
//!
//! let mut batch = BatchWriter::new(4096);
//! batch.push(&[0xff; 60])?;
//! batch.push(&[0x02; 1514])?;
//!
//! let mut walker = Walker::new(batch.as_bytes());
//! let lens: Vec<usize> = walker.by_ref().map(|record| record.frame.len()).collect();
//! assert_eq!(lens, [60, 1514]);
//! assert_eq!(walker.fault(), None);
//! # Ok::<(), bpf::capture::PushError>(())
//! ```

mod walker;
mod writer;

pub use walker::{Cursor, Fault, FaultReason, Record, Walker};
pub use writer::{BatchWriter, PushError};

use xnu_sys::bpf::BPF_ALIGNMENT;

/// Bytes of a header that have a meaning: up to the end of `bh_hdrlen`. Also the length of the
/// header that XNU puts before an Ethernet frame.
pub const HEADER_BYTES: usize = 18;

const _: () = assert!(HEADER_BYTES == field::HDRLEN + size_of::<u16>());

/// `BPF_WORDALIGN`.
const fn aligned(len_bytes: usize) -> usize {
    len_bytes.saturating_add(BPF_ALIGNMENT - 1) & !(BPF_ALIGNMENT - 1)
}

/// Where the fields stand in a header.
mod field {
    use std::mem::offset_of;

    use xnu_sys::bpf::bpf_hdr;
    use xnu_sys::sys_time::timeval32;

    pub(super) const SECONDS: usize = TSTAMP + offset_of!(timeval32, tv_sec);
    pub(super) const MICROS: usize = TSTAMP + offset_of!(timeval32, tv_usec);
    pub(super) const CAPLEN: usize = offset_of!(bpf_hdr, bh_caplen);
    pub(super) const DATALEN: usize = offset_of!(bpf_hdr, bh_datalen);
    pub(super) const HDRLEN: usize = offset_of!(bpf_hdr, bh_hdrlen);
    const TSTAMP: usize = offset_of!(bpf_hdr, bh_tstamp);
}
