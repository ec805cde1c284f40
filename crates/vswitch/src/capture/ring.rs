//! The ring between a switch and who reads a capture: one thread writes records, another reads
//! them, and neither waits for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

use super::record::{HEAD_BYTES, Head, Record};

/// The switch's end.
#[derive(Debug)]
pub(super) struct RingWriter {
    bytes: Producer<u8>,
    /// What frames leave free for what is said of ports.
    kept_bytes: usize,
    has_ended: Arc<AtomicBool>,
}

/// The reader's end.
#[derive(Debug)]
pub(super) struct RingReader {
    bytes: Consumer<u8>,
    /// The next record's head, taken out before its body.
    head: Option<Head>,
    body: Vec<u8>,
    has_ended: Arc<AtomicBool>,
}

/// This part of the ring is not for frames.
const KEPT_PART: usize = 8;

/// A ring of `ring_bytes`, all of which is touched here: the switch's thread finds its pages there.
pub(super) fn ring(ring_bytes: usize) -> (RingWriter, RingReader) {
    let (mut producer, mut consumer) = RingBuffer::new(ring_bytes);
    if let Ok(all) = producer.write_chunk(ring_bytes) {
        all.commit_all();
    }
    if let Ok(all) = consumer.read_chunk(ring_bytes) {
        all.commit_all();
    }
    let has_ended = Arc::new(AtomicBool::new(false));
    let kept_bytes = ring_bytes / KEPT_PART;
    let writer = RingWriter { bytes: producer, kept_bytes, has_ended: Arc::clone(&has_ended) };
    (writer, RingReader { bytes: consumer, head: None, body: Vec::new(), has_ended })
}

impl RingWriter {
    /// Writes a frame; `false` when there is no room.
    pub(super) fn put_frame(&mut self, head: Head, body: &[u8]) -> bool {
        self.put(head, body, self.kept_bytes)
    }

    /// Writes something else; `false` when there is no room, not even that which is kept for it.
    pub(super) fn put_other(&mut self, head: Head, body: &[u8]) -> bool {
        self.put(head, body, 0)
    }

    fn put(&mut self, mut head: Head, body: &[u8], spare_bytes: usize) -> bool {
        let Ok(body_bytes) = u32::try_from(body.len()) else { return false };
        head.body_bytes = body_bytes;
        // Only asks: what is not committed is not taken.
        if self.bytes.write_chunk_uninit(HEAD_BYTES + body.len() + spare_bytes).is_err() {
            return false;
        }
        // The reader may see the head before its body is there.
        self.bytes.push_entire_slice(&head.to_bytes()).is_ok()
            && self.bytes.push_entire_slice(body).is_ok()
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }
}

impl RingReader {
    /// Whether the writer has ended; asked before the last look, what it wrote is seen by that.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// When the next record was written, if there is one.
    pub(super) fn next_time(&mut self) -> Option<u64> {
        self.next_head().map(|head| head.time_ns)
    }

    /// The next record, if there is one.
    pub(super) fn next(&mut self) -> Option<Record<'_>> {
        let head = self.next_head()?;
        let body_bytes = head.body_bytes as usize;
        if self.body.len() < body_bytes {
            self.body.resize(body_bytes, 0);
        }
        self.bytes.pop_entire_slice(&mut self.body[..body_bytes]).ok()?;
        self.head = None;
        Some(head.record(&self.body[..body_bytes]))
    }

    /// The head of the next record of which all is there.
    fn next_head(&mut self) -> Option<Head> {
        if self.head.is_none() {
            let mut bytes = [0; HEAD_BYTES];
            self.bytes.pop_entire_slice(&mut bytes).ok()?;
            self.head = Some(Head::from_bytes(&bytes));
        }
        let head = self.head?;
        self.bytes.read_chunk(head.body_bytes as usize).is_ok().then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::record::Kind;

    const RING_BYTES: usize = 4096;

    fn frame(number: u64) -> Head {
        Head { count: number, ..Head::new(Kind::Frame, 1, number) }
    }

    fn counts(reader: &mut RingReader) -> Vec<(u64, usize)> {
        let mut counts = Vec::new();
        while let Some(record) = reader.next() {
            let Record::Frame(frame) = record else { panic!("{record:?}") };
            assert!(frame.bytes.iter().all(|byte| u64::from(*byte) == frame.time_ns % 251));
            counts.push((frame.lost_before_frames, frame.bytes.len()));
        }
        counts
    }

    /// Of lengths that do not divide the ring, so that its end falls into every part of a record.
    #[test]
    fn records_come_whole_and_in_order_wherever_the_ring_ends() {
        let (mut writer, mut reader) = ring(RING_BYTES);
        let mut number = 0;
        for round in 0..2000_usize {
            let mut expected = Vec::new();
            for len in [round % 97, 301, 0, 1 + round % 13] {
                let fill = u8::try_from(number % 251).unwrap();
                assert!(writer.put_frame(frame(number), &vec![fill; len]));
                expected.push((number, len));
                number += 1;
            }
            assert_eq!(counts(&mut reader), expected);
        }
    }

    #[test]
    fn a_full_ring_takes_no_frame_but_what_is_said_of_ports() {
        let (mut writer, mut reader) = ring(RING_BYTES);
        let mut put = 0;
        while writer.put_frame(frame(0), &[0; 100]) {
            put += 1;
        }
        assert_eq!(put, (RING_BYTES - RING_BYTES / KEPT_PART) / (HEAD_BYTES + 100));
        assert!(!writer.put_frame(frame(0), &[]) || writer.put_other(frame(0), &[]));
        let mut others = 0;
        while writer.put_other(frame(0), &[0; 24]) {
            others += 1;
        }
        assert!(others >= RING_BYTES / KEPT_PART / (HEAD_BYTES + 24), "{others}");
        assert!(counts(&mut reader).len() >= put + others);
        assert!(writer.put_frame(frame(0), &[0; 100]), "room again");
    }

    #[test]
    fn a_body_that_is_not_there_yet_is_waited_for() {
        let (mut writer, mut reader) = ring(RING_BYTES);
        let head = Head { body_bytes: 3, ..frame(7) };
        writer.bytes.push_entire_slice(&head.to_bytes()[..11]).unwrap();
        assert_eq!(reader.next_time(), None);
        writer.bytes.push_entire_slice(&head.to_bytes()[11..]).unwrap();
        writer.bytes.push_entire_slice(&[7, 7]).unwrap();
        assert_eq!((reader.next_time(), reader.next()), (None, None));
        writer.bytes.push_entire_slice(&[7]).unwrap();
        assert_eq!(reader.next_time(), Some(7));
        assert_eq!(counts(&mut reader), [(7, 3)]);
    }

    #[test]
    fn two_threads_lose_nothing_that_was_taken() {
        const FRAMES: u64 = 200_000;
        let (mut writer, mut reader) = ring(RING_BYTES);
        let thread = std::thread::spawn(move || {
            let mut taken = Vec::new();
            for number in 0..FRAMES {
                let fill = u8::try_from(number % 251).unwrap();
                let len = usize::try_from(number % 90).unwrap();
                if writer.put_frame(frame(number), &vec![fill; len]) {
                    taken.push((number, len));
                }
            }
            writer.end();
            taken
        });
        let mut read = Vec::new();
        loop {
            let has_ended = reader.has_ended();
            read.extend(counts(&mut reader));
            if has_ended {
                break;
            }
        }
        assert_eq!(read, thread.join().unwrap());
    }
}
