//! A sender: frames to one other end, as fast as they are taken or at a rate.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::end::End;
use super::frame;
use crate::failure::{Failure, Result, Trying as _};
use crate::system::ring::Channel;

/// How many bytes one write to a stream carries at most.
const STREAM_WRITE_BYTES: usize = 256 << 10;

/// What one sender is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) to: Option<usize>,
    pub(crate) frame_bytes: usize,
    pub(crate) batch_frames: usize,
    /// Frames per second; `None` as many as are taken.
    pub(crate) rate: Option<f64>,
}

/// Sends until `stop`; counts what the kernel took.
pub(crate) fn send(end: &End, sending: Sending, stop: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    // So that a sender whose switch is gone sees `stop`.
    let blocked_max = Duration::from_millis(100);
    end.socket().set_write_timeout(Some(blocked_max)).trying("set a timeout")?;
    let done = if let Some(shared) = &end.shared {
        let mut channel = shared.lock().map_err(|_| Failure::new("send", "a thread panicked"))?;
        send_shared(&mut channel, end.number, sending, stop, sent)
    } else if end.is_stream {
        send_stream(end, sending, stop, sent)
    } else {
        send_datagrams(end, sending, stop, sent)
    };
    done.trying(format_args!("send from end {}", end.number))
}

fn send_datagrams(
    end: &End,
    sending: Sending,
    stop: &AtomicBool,
    sent: &AtomicU64,
) -> io::Result<()> {
    let mut batch = end.batch(sending.batch_frames, sending.frame_bytes);
    for place in 0..batch.frames() {
        frame::write(batch.frame_mut(place), end.number, sending.to);
    }
    let pace = Pace::new(sending.rate);
    let mut sequence = 0;
    while !stop.load(Ordering::Relaxed) {
        for place in 0..batch.frames() {
            frame::number(batch.frame_mut(place), sequence + place as u64);
        }
        let mut place = 0;
        while place < batch.frames() && !stop.load(Ordering::Relaxed) {
            match batch.send(end.fd(), place..sending.batch_frames, libc::MSG_NOSIGNAL) {
                Ok(count) => {
                    place += count;
                    sent.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(error) => passing(error)?,
            }
        }
        sequence += place as u64;
        pace.wait(sequence);
    }
    Ok(())
}

fn send_shared(
    channel: &mut Channel,
    from: usize,
    sending: Sending,
    stop: &AtomicBool,
    sent: &AtomicU64,
) -> io::Result<()> {
    let Sending { to, frame_bytes, batch_frames, rate } = sending;
    let mut model = vec![0; frame_bytes];
    frame::write(&mut model, from, to);
    let pace = Pace::new(rate);
    let mut sequence = 0;
    while !stop.load(Ordering::Relaxed) {
        let frames = channel.wait_for_room(100)?.min(batch_frames);
        for place in 0..frames {
            // Whole, since a guest's stack writes a frame whole.
            let frame = channel.sender.frame_mut(place, frame_bytes);
            frame.copy_from_slice(&model);
            frame::number(frame, sequence + place as u64);
        }
        channel.sender.publish(frames)?;
        sequence += frames as u64;
        sent.fetch_add(frames as u64, Ordering::Relaxed);
        pace.wait(sequence);
    }
    Ok(())
}

fn send_stream(end: &End, sending: Sending, stop: &AtomicBool, sent: &AtomicU64) -> io::Result<()> {
    let whole = 4 + sending.frame_bytes;
    let frames = sending.batch_frames.min(STREAM_WRITE_BYTES / whole).max(1);
    let mut bytes = vec![0; frames * whole];
    for framed in bytes.chunks_exact_mut(whole) {
        let (head, frame) = framed.split_at_mut(4);
        head.copy_from_slice(&frame::prefix(sending.frame_bytes));
        frame::write(frame, end.number, sending.to);
    }
    let pace = Pace::new(sending.rate);
    let mut sequence = 0;
    while !stop.load(Ordering::Relaxed) {
        for (place, framed) in bytes.chunks_exact_mut(whole).enumerate() {
            frame::number(&mut framed[4..], sequence + place as u64);
        }
        let mut written = 0;
        while written < bytes.len() {
            match end.socket().write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) => passing(error)?,
            }
            // Only between frames: half a frame would make the next sender's end unreadable.
            if written % whole == 0 && stop.load(Ordering::Relaxed) {
                break;
            }
            if stop.load(Ordering::Relaxed) && written == 0 {
                break;
            }
        }
        sequence += (written / whole) as u64;
        sent.fetch_add((written / whole) as u64, Ordering::Relaxed);
        pace.wait(sequence);
    }
    Ok(())
}

/// Full for now, or interrupted: tried again.
fn passing(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::ENOBUFS) => {
            std::thread::yield_now();
            Ok(())
        }
        Some(libc::EAGAIN | libc::EINTR) => Ok(()),
        _ => Err(error),
    }
}

/// Keeps a sender to its rate.
struct Pace {
    rate: Option<f64>,
    started: Instant,
}

impl Pace {
    fn new(rate: Option<f64>) -> Self {
        Self { rate, started: Instant::now() }
    }

    fn wait(&self, sent_frames: u64) {
        let Some(rate) = self.rate else { return };
        let due = Duration::from_secs_f64(sent_frames as f64 / rate);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
    }
}
