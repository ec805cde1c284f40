//! What must hold of any bytes as a capture buffer, and of any frames as a batch: called by the
//! property tests, and by the fuzz target in `fuzz/`.

use bpf::capture::{BatchWriter, Cursor, FaultReason, Walker};

/// Bytes as a capture buffer.
pub(crate) fn capture(bytes: &[u8]) {
    let mut walker = Walker::new(bytes);
    let mut cursor = Cursor::START;
    let mut place = 0;
    let inside = bytes.as_ptr_range();
    for record in walker.by_ref() {
        // Forward by a header at least, and where the header says; the frame within the buffer.
        let header = &bytes[place..place + 18];
        let hdrlen = usize::from(u16::from_ne_bytes([header[16], header[17]]));
        assert!(hdrlen >= 18);
        assert_eq!(record.frame.len(), word(header, 8));
        assert_eq!(record.datalen_bytes as usize, word(header, 12));
        assert_eq!(record.is_truncated(), word(header, 8) < word(header, 12));
        assert_eq!(record.frame.as_ptr(), bytes[place + hdrlen..].as_ptr());
        assert!(record.frame.as_ptr_range().end <= inside.end);
        let _ = record.timestamp();
        // A walk with pauses comes by the same records.
        assert_eq!(cursor.peek(bytes), Some(record));
        assert_eq!(cursor.next(bytes), Some(record));
        place = (place + hdrlen + record.frame.len()).next_multiple_of(4);
    }
    assert_eq!(walker.next(), None);
    assert_eq!(cursor.next(bytes), None);
    assert_eq!(cursor.fault(), walker.fault());
    match walker.fault() {
        None => assert!(place >= bytes.len(), "ended at {place} of {}", bytes.len()),
        Some(fault) => {
            assert_eq!(fault.offset_bytes, place);
            assert_eq!(fault.left_bytes, bytes.len() - place);
            is_broken(&bytes[place..], fault.reason);
        }
    }
    rewritten(bytes);
}

/// The walk must not end before its time either.
fn is_broken(rest: &[u8], reason: FaultReason) {
    if rest.len() < 18 {
        assert_eq!(reason, FaultReason::HeaderCut);
        return;
    }
    let hdrlen = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
    let (caplen, datalen) = (word(rest, 8), word(rest, 12));
    assert!(hdrlen < 18 || hdrlen + caplen > rest.len() || caplen > datalen, "{reason}");
}

/// What a walk gives, written as a batch, is walked to the same frames.
fn rewritten(bytes: &[u8]) {
    let frames: Vec<&[u8]> =
        Walker::new(bytes).map(|record| record.frame).filter(|frame| !frame.is_empty()).collect();
    batch(&frames, usize::MAX >> 1);
}

/// Frames put into batches of `limit_bytes`: each is in one, in order and whole, or is too long for
/// any.
pub(crate) fn batch(frames: &[&[u8]], limit_bytes: usize) {
    let total: usize = frames.iter().map(|frame| frame.len() + 21).sum();
    let limit_bytes = limit_bytes.min(total);
    let mut batch = BatchWriter::new(limit_bytes);
    let mut rest = frames;
    while !rest.is_empty() {
        batch.clear();
        let fitting = batch.fitting_frames(rest.iter().copied());
        let pushed = rest.iter().take_while(|frame| batch.push(frame).is_ok()).count();
        assert_eq!(pushed, fitting);
        assert_eq!(pushed, batch.len_frames());
        assert!(batch.as_bytes().len() <= limit_bytes);
        taken_by_the_kernel(batch.as_bytes(), &rest[..pushed]);
        let mut walker = Walker::new(batch.as_bytes());
        assert!(walker.by_ref().map(|record| record.frame).eq(rest[..pushed].iter().copied()));
        assert_eq!(walker.fault(), None);
        // The one that does not fit an empty batch is refused for good.
        rest = &rest[pushed.max(1)..];
    }
}

/// `bpf_movein_batch` (XNU `bsd/net/bpf.c`), in our own words: what it takes out of a write.
fn taken_by_the_kernel(mut bytes: &[u8], frames: &[&[u8]]) {
    let mut frames = frames.iter();
    while bytes.len() >= 20 {
        let hdrlen = usize::from(u16::from_ne_bytes([bytes[16], bytes[17]]));
        let caplen = word(bytes, 8);
        assert!(hdrlen >= 18 && hdrlen <= bytes.len());
        assert_eq!(caplen, word(bytes, 12));
        assert!(caplen > 0 && hdrlen + caplen <= bytes.len());
        assert_eq!(Some(&&bytes[hdrlen..hdrlen + caplen]), frames.next());
        bytes = bytes.get((hdrlen + caplen).next_multiple_of(4)..).unwrap_or_default();
    }
    assert_eq!(bytes, [], "a rest is passed over in silence");
    assert_eq!(frames.next(), None);
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}
