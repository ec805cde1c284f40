//! `bpfwrite`.

use super::device::{Device, Link};
use crate::copyio::Raw;
use crate::errno::{EINVAL, EIO, EMSGSIZE, ENETDOWN, ENXIO, Result};
use crate::machine::Machine;
use crate::net::IfId;
use crate::version::Capabilities;

impl Machine {
    /// One write: a frame, or records of a batch; how many bytes were taken.
    pub(crate) fn bpf_write(&mut self, minor: u32, bytes: &[u8]) -> Result<usize> {
        let device = self.bpf.device(minor)?;
        let opened_by = device.opened_by;
        device.counts.writes += 1;
        let moved = self.bpf_move_in(minor, bytes);
        if moved.is_err() {
            self.bpf.device(minor)?.counts.failed_writes += 1;
        }
        let Some(Moved { interface, is_raw, frames, taken_len }) = moved? else { return Ok(0) };
        // Every frame is tried; what becomes of the last is what the caller hears.
        let mut last = Ok(());
        for mut frame in frames {
            if !is_raw {
                self.complete_header(interface, &mut frame)?;
            }
            last = self.raw_output(opened_by, interface, frame);
            if last == Err(ENXIO) {
                break;
            }
        }
        last.map(|()| taken_len)
    }

    /// What is to be sent, all checks made; `None` when nothing was given.
    fn bpf_move_in(&mut self, minor: u32, bytes: &[u8]) -> Result<Option<Moved>> {
        let can = self.can;
        let interface = self.bpf.device(minor)?.interface.ok_or(ENXIO)?;
        if !self.net.is_up(interface) {
            return Err(ENETDOWN);
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let mtu = self.net.mtu(interface);
        let device = self.bpf.device(minor)?;
        let is_raw = device.settings.is_header_complete;
        let (frames, taken_len) = if device.settings.writes_batches {
            device.move_in_batch(bytes, mtu, &can)?
        } else {
            device.check_len(bytes.len(), mtu, &can)?;
            (vec![bytes.to_vec()], bytes.len())
        };
        Ok(Some(Moved { interface, is_raw, frames, taken_len }))
    }
}

/// What a write is to send.
struct Moved {
    interface: IfId,
    /// The link header is the writer's.
    is_raw: bool,
    frames: Vec<Vec<u8>>,
    taken_len: usize,
}

impl Device {
    /// `bpf_movein`: may a frame of `len` bytes be written?
    fn check_len(&self, len: usize, mtu: u32, can: &Capabilities) -> Result<()> {
        let mtu = mtu as usize;
        let link_len = if self.link == Link::Ethernet { self.link.header_len() } else { 0 };
        if !can.bpf_writes_by_mtu {
            // The link header is not counted, whoever wrote it.
            return match len.checked_sub(link_len) {
                Some(_) if len > CLUSTER_LEN => Err(EIO),
                Some(payload_len) if payload_len > mtu => Err(EMSGSIZE),
                Some(_) => Ok(()),
                None => Err(EIO),
            };
        }
        let header_len = if self.settings.is_header_complete { 0 } else { link_len };
        let len_max = if can.bpf_batch_write { WRITE_LEN_MAX } else { WRITE_LEN_MAX_14_0 };
        let Some(rest_len) = len.checked_sub(header_len) else { return Err(EMSGSIZE) };
        // `BIOCSWRITEMAX` takes the bound by the MTU away, and is no bound itself.
        let is_bound_by_mtu = self.settings.write_len_max == 0;
        if len > len_max || (is_bound_by_mtu && rest_len > mtu + WRITE_LEEWAY) {
            return Err(EMSGSIZE);
        }
        Ok(())
    }

    /// `bpf_movein_batch`: the frames of all records, and how many bytes were taken. What is too
    /// short for a record at the end is left.
    fn move_in_batch(
        &self,
        bytes: &[u8],
        mtu: u32,
        can: &Capabilities,
    ) -> Result<(Vec<Vec<u8>>, usize)> {
        let mut frames = Vec::new();
        let mut rest = bytes;
        while rest.len() >= BATCH_REST_LEN_MIN {
            let (captured_len, frame_len) = (rest.u32_at(8), rest.u32_at(12));
            let header_len = usize::from(rest.u16_at(16));
            if header_len < BATCH_HEADER_LEN_MIN
                || captured_len != frame_len
                || header_len > rest.len()
            {
                return Err(EINVAL);
            }
            let len = usize::try_from(captured_len).map_err(|_| EMSGSIZE)?;
            if len > 0 {
                let frame = rest[header_len..].get(..len).ok_or(EMSGSIZE)?;
                self.check_len(len, mtu, can)?;
                frames.push(frame.to_vec());
            }
            let record_len = (header_len + len).next_multiple_of(4);
            rest = rest.get(record_len..).unwrap_or_default();
        }
        Ok((frames, bytes.len() - rest.len()))
    }
}

/// `MCLBYTES`, the bound up to macOS 13.
const CLUSTER_LEN: usize = 2048;
/// `BPF_WRITE_LEEWAY`.
const WRITE_LEEWAY: usize = 18;
/// `BPF_WRITE_MAX`.
const WRITE_LEN_MAX: usize = 16 << 20;
const WRITE_LEN_MAX_14_0: usize = 65_535;
/// `sizeof(struct bpf_hdr)`: less than this is no record.
const BATCH_REST_LEN_MIN: usize = 20;
/// Up to the end of `bh_hdrlen`.
const BATCH_HEADER_LEN_MIN: usize = 18;

#[cfg(test)]
mod tests;
