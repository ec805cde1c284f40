//! Frames in memory that two processes share: one ring for each way, and a bell for each side, as a
//! virtio device and its driver have them (Virtual I/O Device 1.2, §2.7, with one slot per frame).
//!
//! Each ring has one producer and one consumer. Who finds nothing to do says so in the ring, looks
//! again, and sleeps on its bell; the other rings it only then.
#![allow(unsafe_code, reason = "memory is mapped, shared and cut into slots")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use super::mapping::Mapping;
use super::socket::{check, wait_readable};

/// How many frames a ring has room for: a virtio queue's usual size.
const SLOTS: u32 = 256;

/// Where a ring's words stand, each in a cache line of its own.
const PRODUCED_AT: usize = 0;
const CONSUMED_AT: usize = 64;
const PRODUCER_SLEEPS_AT: usize = 128;
const CONSUMER_SLEEPS_AT: usize = 192;
const SLOTS_AT: usize = 256;

/// A frame's length stands before it.
const LEN_BYTES: usize = 8;

/// What one side is given by the other: the memory, its own bell, the other's.
pub(crate) type Descriptors = [OwnedFd; 3];

/// Two rings in one stretch of memory, as one of the two sides sees them.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    descriptors: Descriptors,
}

/// The ring by which this side sends.
#[derive(Debug)]
pub(crate) struct Sender(Ring);

/// The ring by which it receives.
#[derive(Debug)]
pub(crate) struct Receiver(Ring);

#[derive(Debug)]
struct Ring {
    memory: Arc<Mapping>,
    start: usize,
    slot_bytes: usize,
    /// Rung when the other side sleeps.
    bell: OwnedFd,
}

impl Channel {
    /// Makes the memory and the bells for frames up to `frame_bytes`; this side's view of them, and
    /// what the other side opens it with.
    pub(crate) fn create(frame_bytes: usize) -> io::Result<(Self, Descriptors)> {
        // SAFETY: a name that ends in a zero, and a flag; the kernel keeps neither.
        let memory = unsafe { libc::memfd_create(c"frames".as_ptr(), libc::MFD_CLOEXEC) };
        // SAFETY: the call has just made the descriptor, and nobody else has it.
        let memory = unsafe { OwnedFd::from_raw_fd(check(memory)?) };
        std::fs::File::from(memory.try_clone()?).set_len(2 * ring_bytes(frame_bytes) as u64)?;
        let (own, other) = (bell()?, bell()?);
        let given = [memory.try_clone()?, other.try_clone()?, own.try_clone()?];
        Ok((Self::new([memory, own, other], [0, 1], frame_bytes)?, given))
    }

    /// Opens what the other side made, for frames of the same size.
    pub(crate) fn open(given: Descriptors, frame_bytes: usize) -> io::Result<Self> {
        Self::new(given, [1, 0], frame_bytes)
    }

    fn new(descriptors: Descriptors, rings: [usize; 2], frame_bytes: usize) -> io::Result<Self> {
        let [memory, _, other] = &descriptors;
        let memory = Arc::new(Mapping::of(memory.as_fd(), 0, 2 * ring_bytes(frame_bytes))?);
        let ring = |number: usize| {
            Ok::<_, io::Error>(Ring {
                memory: Arc::clone(&memory),
                start: number * ring_bytes(frame_bytes),
                slot_bytes: slot_bytes(frame_bytes),
                bell: other.try_clone()?,
            })
        };
        let (sender, receiver) = (Sender(ring(rings[0])?), Receiver(ring(rings[1])?));
        Ok(Self { sender, receiver, descriptors })
    }

    /// How many frames there is room for; when for none, sleeps once, `timeout_ms` at most.
    pub(crate) fn wait_for_room(&self, timeout_ms: i32) -> io::Result<usize> {
        if self.sender.free() == 0 && self.sender.may_sleep() {
            sleep(self.bell(), timeout_ms)?;
        }
        Ok(self.sender.free())
    }

    /// How many frames are there; when none is, sleeps once, `timeout_ms` at most.
    pub(crate) fn wait_for_frames(&self, timeout_ms: i32) -> io::Result<usize> {
        if self.receiver.ready() == 0 && self.receiver.may_sleep() {
            sleep(self.bell(), timeout_ms)?;
        }
        Ok(self.receiver.ready())
    }

    /// What becomes readable when this side is rung.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.descriptors[1].as_fd()
    }
}

impl Sender {
    /// How many frames there is room for.
    pub(crate) fn free(&self) -> usize {
        self.0.free() as usize
    }

    /// The next place but `place`, for a frame of so many bytes.
    pub(crate) fn frame_mut(&mut self, place: usize, frame_bytes: usize) -> &mut [u8] {
        debug_assert!(place < self.free() && frame_bytes + LEN_BYTES <= self.0.slot_bytes);
        let slot = self.0.slot(self.0.word(PRODUCED_AT).load(Ordering::Relaxed), place);
        // SAFETY: the slot is inside the mapping and, until it is published, this side's alone.
        let slot = unsafe { std::slice::from_raw_parts_mut(slot, self.0.slot_bytes) };
        slot[..LEN_BYTES].copy_from_slice(&(frame_bytes as u64).to_ne_bytes());
        &mut slot[LEN_BYTES..LEN_BYTES + frame_bytes]
    }

    /// Gives the next `frames` to the other side.
    pub(crate) fn publish(&mut self, frames: usize) -> io::Result<()> {
        self.0.advance(PRODUCED_AT, frames);
        self.0.ring_if(CONSUMER_SLEEPS_AT)
    }

    /// Says that this side sleeps until there is room; false when there is some.
    pub(crate) fn may_sleep(&self) -> bool {
        self.0.may_sleep(PRODUCER_SLEEPS_AT, || self.0.free() == 0)
    }
}

impl Receiver {
    /// How many frames are there.
    pub(crate) fn ready(&self) -> usize {
        self.0.ready() as usize
    }

    /// The oldest frame but `place`.
    pub(crate) fn frame(&self, place: usize) -> &[u8] {
        debug_assert!(place < self.ready());
        let slot = self.0.slot(self.0.word(CONSUMED_AT).load(Ordering::Relaxed), place);
        // SAFETY: the slot is inside the mapping and, until it is released, written by nobody.
        let slot = unsafe { std::slice::from_raw_parts(slot.cast_const(), self.0.slot_bytes) };
        let (head, frame) = slot.split_at(LEN_BYTES);
        let len = head.first_chunk().map_or(0, |head| u64::from_ne_bytes(*head));
        &frame[..usize::try_from(len).unwrap_or(0).min(frame.len())]
    }

    /// Gives the room of the oldest `frames` back.
    pub(crate) fn release(&mut self, frames: usize) -> io::Result<()> {
        self.0.advance(CONSUMED_AT, frames);
        // One that waits for room is woken for many frames, not for one.
        if self.0.free() >= SLOTS / 2 { self.0.ring_if(PRODUCER_SLEEPS_AT) } else { Ok(()) }
    }

    /// Says that this side sleeps until there are frames; false when there are some.
    pub(crate) fn may_sleep(&self) -> bool {
        self.0.may_sleep(CONSUMER_SLEEPS_AT, || self.0.ready() == 0)
    }
}

impl Ring {
    fn word(&self, at: usize) -> &AtomicU32 {
        let word = self.memory.at(self.start + at, 4).cast();
        // SAFETY: the word is inside the mapping, which lives as long as `self`; it is aligned,
        // since mappings, rings and words begin at multiples of 64; it is only used as an atomic.
        unsafe { AtomicU32::from_ptr(word) }
    }

    fn slot(&self, first: u32, place: usize) -> *mut u8 {
        let number = (first as usize + place) % SLOTS as usize;
        self.memory.at(self.start + SLOTS_AT + number * self.slot_bytes, self.slot_bytes)
    }

    fn ready(&self) -> u32 {
        let [produced, consumed] =
            [PRODUCED_AT, CONSUMED_AT].map(|at| self.word(at).load(Ordering::Acquire));
        produced.wrapping_sub(consumed)
    }

    fn free(&self) -> u32 {
        SLOTS - self.ready()
    }

    fn advance(&self, at: usize, frames: usize) {
        let word = self.word(at);
        let frames = u32::try_from(frames).unwrap_or(0);
        word.store(word.load(Ordering::Relaxed).wrapping_add(frames), Ordering::Release);
    }

    fn may_sleep(&self, at: usize, is_idle: impl Fn() -> bool) -> bool {
        self.word(at).store(1, Ordering::Relaxed);
        // Against the one in `ring_if`: either this side sees what is new, or the other sees that
        // this side sleeps.
        fence(Ordering::SeqCst);
        is_idle()
    }

    fn ring_if(&self, sleeps_at: usize) -> io::Result<()> {
        fence(Ordering::SeqCst);
        let sleeps = self.word(sleeps_at);
        if sleeps.load(Ordering::Relaxed) == 0 || sleeps.swap(0, Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let rung = nix::unistd::write(&self.bell, &1_u64.to_ne_bytes());
        rung.map(drop).map_err(Into::into)
    }
}

/// Sleeps until the bell is rung, and silences it.
fn sleep(bell: BorrowedFd<'_>, timeout_ms: i32) -> io::Result<()> {
    let [is_rung] = wait_readable([bell], timeout_ms)?;
    if is_rung { silence(bell) } else { Ok(()) }
}

/// Makes a bell that was rung one that was not.
pub(crate) fn silence(bell: BorrowedFd<'_>) -> io::Result<()> {
    match nix::unistd::read(bell, &mut [0; 8]) {
        Ok(_) | Err(nix::Error::EAGAIN | nix::Error::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn bell() -> io::Result<OwnedFd> {
    // SAFETY: two numbers go in.
    let bell = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    // SAFETY: the call has just made the descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(check(bell)?) })
}

/// A slot is an odd number of cache lines, so that the heads of many do not share cache sets.
fn slot_bytes(frame_bytes: usize) -> usize {
    ((LEN_BYTES + frame_bytes).div_ceil(64) | 1) * 64
}

fn ring_bytes(frame_bytes: usize) -> usize {
    SLOTS_AT + SLOTS as usize * slot_bytes(frame_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: u32 = 20_000;

    /// Sleeps, and sees that it is woken.
    fn sleep_well(bell: BorrowedFd<'_>) {
        let rung = wait_readable([bell], 20_000).expect("a wait");
        assert!(rung[0], "nobody rang");
        sleep(bell, 0).expect("a bell");
    }

    #[test]
    fn what_is_sent_arrives_in_order_and_both_sides_sleep() {
        let (mut here, given) = Channel::create(100).unwrap();
        let mut there = Channel::open(given, 100).unwrap();
        let sending = std::thread::spawn(move || {
            let (mut sent, mut slept) = (0, 0);
            while sent < FRAMES {
                if there.sender.free() == 0 {
                    if there.sender.may_sleep() {
                        sleep_well(there.bell());
                        slept += 1;
                    }
                    continue;
                }
                let len = 4 + sent as usize % 97;
                there.sender.frame_mut(0, len)[..4].copy_from_slice(&sent.to_ne_bytes());
                there.sender.publish(1).unwrap();
                sent += 1;
            }
            slept
        });
        // So that the other side finds no room.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (mut next, mut slept) = (0, 0);
        while next < FRAMES {
            let ready = here.receiver.ready();
            if ready == 0 {
                if here.receiver.may_sleep() {
                    sleep_well(here.bell());
                    slept += 1;
                }
                continue;
            }
            for place in 0..ready {
                let frame = here.receiver.frame(place);
                assert_eq!(frame.len(), 4 + next as usize % 97);
                assert_eq!(frame[..4], next.to_ne_bytes());
                next += 1;
            }
            here.receiver.release(ready).unwrap();
        }
        let sender_slept = sending.join().unwrap();
        assert!(sender_slept > 0 && slept > 0, "{sender_slept} and {slept}");
        assert_eq!(here.sender.free(), SLOTS as usize);
    }
}
