//! `bpfread`.

use super::TICK_NS;
use super::device::{Device, Sleeper, Timer};
use crate::errno::{EAGAIN, EINVAL, ENXIO, Result};
use crate::machine::Machine;

/// What a read finds.
enum Found {
    /// A hold buffer.
    Hold,
    /// Nothing: it sleeps; one that begins to may have itself woken.
    Sleep { wake_in_ns: Option<u64> },
}

impl Machine {
    /// One read: what is in it, for a caller whose buffer has `room_len` bytes. `EAGAIN` of a
    /// blocking one (`!is_nonblocking`) means that it sleeps and is to be made again.
    pub(crate) fn bpf_read(
        &mut self,
        minor: u32,
        room_len: usize,
        is_nonblocking: bool,
    ) -> Result<Vec<u8>> {
        let now_ns = self.now_ns;
        let device = self.bpf.device(minor)?;
        if room_len != device.buffer_len as usize {
            return Err(EINVAL);
        }
        match device.find(now_ns, is_nonblocking)? {
            Found::Hold => Ok(self.copy_out(minor)),
            Found::Sleep { wake_in_ns } => {
                if let Some(wake_in_ns) = wake_in_ns {
                    self.after(wake_in_ns, |_| {});
                }
                Err(EAGAIN)
            }
        }
    }

    /// Copies the hold buffer out, which takes its time: what passes meanwhile goes into the store,
    /// and the buffer is free only then.
    fn copy_out(&mut self, minor: u32) -> Vec<u8> {
        let Some((bytes, count)) =
            self.bpf.device(minor).ok().and_then(|device| device.buffers.copy_out())
        else {
            return Vec::new();
        };
        let until_ns = self.now_ns + bytes.len() as u64 / COPIED_BYTES_PER_NS;
        self.advance(until_ns);
        if let Ok(device) = self.bpf.device(minor) {
            device.buffers.copied_out();
            device.compression.read += count;
        }
        bytes
    }
}

impl Device {
    fn find(&mut self, now_ns: u64, is_nonblocking: bool) -> Result<Found> {
        let sleeper = self.sleeper.take().filter(|_| !is_nonblocking);
        let has_timed_out = match sleeper {
            Some(sleeper) => sleeper.has_timed_out,
            None => std::mem::replace(&mut self.timer, Timer::Idle) == Timer::TimedOut,
        };
        if self.buffers.has_hold() {
            return Ok(Found::Hold);
        }
        let has_stored = self.buffers.store_len() > 0;
        if has_stored && (self.settings.is_immediate || has_timed_out || is_nonblocking) {
            self.rotate();
            return Ok(Found::Hold);
        }
        if self.interface.is_none() {
            return Err(ENXIO);
        }
        if is_nonblocking {
            return Err(EAGAIN);
        }
        if sleeper.and_then(|sleeper| sleeper.until_ns).is_some_and(|until_ns| until_ns <= now_ns) {
            // What is there, perhaps nothing.
            self.rotate();
            return Ok(Found::Hold);
        }
        if sleeper.is_some() {
            self.sleeper = sleeper;
            return Ok(Found::Sleep { wake_in_ns: None });
        }
        let ticks = self.settings.timeout_ticks;
        let wake_in_ns = (ticks > 0).then_some(ticks * TICK_NS);
        let until_ns = wake_in_ns.map(|span_ns| now_ns + span_ns);
        self.sleeper = Some(Sleeper { has_timed_out, until_ns });
        Ok(Found::Sleep { wake_in_ns })
    }
}

/// About 10 GB/s.
const COPIED_BYTES_PER_NS: u64 = 10;
