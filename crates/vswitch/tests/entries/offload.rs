//! What the fuzzer and an ordinary test call.

use vswitch::offload::{Offload, Segmenter, VnetFields, complete_checksum};

/// Any bytes as a virtio-net header and a frame: finished in a bounded number of steps or refused,
/// and never a byte touched that the fabric goes by.
pub(crate) fn finish(bytes: &[u8]) {
    let Some((header, frame)) = bytes.split_first_chunk::<10>() else { return };
    let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let fields = VnetFields {
        flags: header[0],
        gso_type: header[1],
        hdr_len: word(2),
        gso_size: word(4),
        csum_start: word(6),
        csum_offset: word(8),
    };
    let Ok(offload) = Offload::from_vnet(&fields) else { return };
    assert_eq!(Offload::from_vnet(&offload.to_vnet()), Ok(offload));

    let mut completed = frame.to_vec();
    match complete_checksum(&mut completed, &offload) {
        Ok(()) => assert_eq!(completed.get(..14), frame.get(..14)),
        Err(_) => assert_eq!(completed, frame),
    }
    let Ok(mut segmenter) = Segmenter::new(frame, &offload) else { return };
    let mut buffer = vec![0; segmenter.frame_len_max()];
    let (mut pieces, mut longest) = (0, 0);
    while let Some(length) = segmenter.next_into(&mut buffer) {
        assert_eq!(buffer[..14], frame[..14]);
        longest = longest.max(length);
        pieces += 1;
    }
    assert_eq!((pieces, longest), (segmenter.segments(), buffer.len()));
    assert!(pieces <= frame.len());
}
