//! Bulk transfers over TCP whose every byte is checked.
//!
//! The protocol is one line from the client, then bytes:
//!
//! - `upload\n`, then the [pattern] from its start, then the end of the stream (FIN). The
//!   server answers `ok BYTES\n`, or `bad OFFSET\n` with the place of the first wrong byte, and
//!   closes.
//! - `download BYTES\n` or `download MSms\n`: the server sends that many bytes of the pattern, or
//!   the pattern for that many milliseconds, and closes.
//! - Anything else: the server answers `error WHY\n` and closes.
//!
//! Numbers are decimal. A line has up to 64 bytes, its line feed included. The default port is
//! [`PORT`]. A guest serves it ([`crate::services`]); so does a plain program ([`crate::host`]).

use std::time::Duration;

pub mod pattern;
mod session;

pub(crate) use session::{ClientSession, ServerSession, Session};

/// The default TCP port of the throughput service.
pub const PORT: u16 = 5882;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Upload,
    /// From the server to the client.
    Download,
}

/// When a transfer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// After this many bytes.
    Bytes(u64),
    /// After this long; whole milliseconds count.
    Time(Duration),
}

/// A transfer that ended well: every byte arrived, in order and unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferReport {
    /// Which way they went.
    pub way: Way,
    /// How many bytes of content.
    pub bytes: u64,
    /// From the established connection to the last word.
    pub elapsed: Duration,
    /// TCP segments that this side sent again; None where the stack does not say.
    pub retransmits: Option<u64>,
}

impl TransferReport {
    /// Content per time, in 10^6 bit/s.
    #[must_use]
    pub fn mbit_per_s(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "a rate, for people to read")]
        let bits = self.bytes as f64 * 8.0;
        if seconds > 0.0 { bits / seconds / 1e6 } else { 0.0 }
    }
}
