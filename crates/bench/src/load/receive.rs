//! A receiver: counts what arrives, in order, lost or twice.

use std::io::{ErrorKind, Read as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::end::End;
use super::frame;
use crate::failure::{Failure, Result, Trying as _};
use crate::system::mmsg::Batch;
use crate::system::ring::Channel;
use crate::system::socket;

/// How many frames one call takes.
const BATCH_FRAMES: usize = 64;

/// How many bytes one read of a stream takes.
const STREAM_READ_BYTES: usize = 256 << 10;

/// What arrived.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    pub(crate) frames: AtomicU64,
    /// Numbers that were passed over.
    pub(crate) missing: AtomicU64,
    /// Frames whose number was not above the last one.
    pub(crate) again: AtomicU64,
    /// Frames of another length than was sent.
    pub(crate) misshapen: AtomicU64,
}

/// Receives what end `from` sends here, until `stop`.
pub(crate) fn receive(
    end: &End,
    from: usize,
    frame_bytes: usize,
    stop: &AtomicBool,
    arrivals: &Arrivals,
) -> Result<()> {
    socket::set_receive_timeout(end.socket(), 50)?;
    let mut check = Check { from, to: end.number, frame_bytes, next: 0, arrivals };
    let done = if let Some(shared) = &end.shared {
        let mut channel =
            shared.lock().map_err(|_| Failure::new("receive", "a thread panicked"))?;
        receive_shared(&mut channel, stop, &mut check)
    } else if end.is_stream {
        receive_stream(end, stop, &mut check)
    } else {
        receive_datagrams(end, stop, &mut check)
    };
    done.trying(format_args!("receive at end {}", end.number))
}

fn receive_datagrams(end: &End, stop: &AtomicBool, check: &mut Check<'_>) -> std::io::Result<()> {
    let mut batch = Batch::new(BATCH_FRAMES, check.frame_bytes.max(2048));
    while !stop.load(Ordering::Relaxed) {
        match batch.receive(end.fd(), libc::MSG_WAITFORONE) {
            Ok(count) => check.count((0..count).map(|place| batch.frame(place))),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn receive_shared(
    channel: &mut Channel,
    stop: &AtomicBool,
    check: &mut Check<'_>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; check.frame_bytes];
    while !stop.load(Ordering::Relaxed) {
        let frames = channel.wait_for_frames(50)?.min(BATCH_FRAMES);
        for place in 0..frames {
            // Read, as the other receivers do by their calls.
            let frame = channel.receiver.frame(place);
            let len = frame.len().min(bytes.len());
            bytes[..len].copy_from_slice(&frame[..len]);
            std::hint::black_box(&mut bytes);
        }
        check.count((0..frames).map(|place| channel.receiver.frame(place)));
        channel.receiver.release(frames)?;
    }
    Ok(())
}

fn receive_stream(end: &End, stop: &AtomicBool, check: &mut Check<'_>) -> std::io::Result<()> {
    let mut bytes = vec![0; STREAM_READ_BYTES + frame::FRAME_MAX_BYTES + 4];
    let mut kept = 0;
    while !stop.load(Ordering::Relaxed) {
        match end.socket().read(&mut bytes[kept..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                let filled = kept + len;
                let mut whole = 0;
                check.count(std::iter::from_fn(|| {
                    let (head, rest) = bytes[whole..filled].split_first_chunk::<4>()?;
                    let frame = rest.get(..u32::from_be_bytes(*head) as usize)?;
                    whole += 4 + frame.len();
                    Some(frame)
                }));
                bytes.copy_within(whole..filled, 0);
                kept = filled - whole;
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Nothing came in time, or a signal did.
fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

struct Check<'a> {
    from: usize,
    to: usize,
    frame_bytes: usize,
    next: u64,
    arrivals: &'a Arrivals,
}

impl Check<'_> {
    fn count<'f>(&mut self, frames: impl Iterator<Item = &'f [u8]>) {
        let (mut good, mut missing, mut again, mut misshapen) = (0, 0, 0, 0);
        for frame in frames {
            let Some(sequence) = frame::sequence(frame, self.from, self.to) else { continue };
            if frame.len() != self.frame_bytes {
                misshapen += 1;
                continue;
            }
            match sequence.checked_sub(self.next) {
                Some(passed) => missing += passed,
                None => again += 1,
            }
            self.next = self.next.max(sequence + 1);
            good += 1;
        }
        let add = |counter: &AtomicU64, count| {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        };
        add(&self.arrivals.frames, good);
        add(&self.arrivals.missing, missing);
        add(&self.arrivals.again, again);
        add(&self.arrivals.misshapen, misshapen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_repeats_and_cut_frames_are_told_apart() {
        let arrivals = Arrivals::default();
        let mut check = Check { from: 0, to: 1, frame_bytes: 64, next: 0, arrivals: &arrivals };
        let frames: Vec<Vec<u8>> = [(0, 64), (1, 64), (4, 64), (4, 64), (5, 60)]
            .into_iter()
            .map(|(sequence, len)| {
                let mut bytes = vec![0; len];
                frame::write(&mut bytes, 0, Some(1));
                frame::number(&mut bytes, sequence);
                bytes
            })
            .collect();
        check.count(frames.iter().map(Vec::as_slice));
        let told = [&arrivals.frames, &arrivals.missing, &arrivals.again, &arrivals.misshapen];
        assert_eq!(told.map(|counter| counter.load(Ordering::Relaxed)), [4, 2, 1, 1]);
    }
}
