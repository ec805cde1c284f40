//! What the fuzz targets call; ordinary tests call it too (`tests/fuzz_entries.rs`).

use vswitch::FRAME_MAX_BYTES;
use vswitch::fabric::{Fabric, PortIndex, PortPolicy, Settings, Verdict};
use vswitch::framing::Deframer;
use vswitch::{MacAddr, Nanos};

/// Any bytes as a stream, cut as its first byte says.
pub(crate) fn stream(bytes: &[u8]) {
    let Some((cut, mut bytes)) = bytes.split_first() else { return };
    let mut deframer = Deframer::default();
    while !bytes.is_empty() {
        let space = deframer.space();
        assert!(!space.is_empty(), "no space, and no frame taken out");
        let n = space.len().min(bytes.len()).min(usize::from(*cut) + 1);
        space[..n].copy_from_slice(&bytes[..n]);
        deframer.filled(n);
        bytes = &bytes[n..];
        loop {
            match deframer.next_frame() {
                Ok(Some(frame)) => assert!((1..=FRAME_MAX_BYTES).contains(&frame.len())),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// Any bytes as frames into a fabric of three ports; what is forwarded goes to another port.
pub(crate) fn fabric(bytes: &[u8]) {
    let mut fabric = Fabric::new(Settings::default());
    let named = Some(MacAddr([2, 0, 0, 0, 0, 1]));
    for (port, mac) in [(0, named), (1, None), (2, None)] {
        let policy = PortPolicy { mac, addresses_max: 4 };
        fabric.add_port(PortIndex(port), policy).expect("a free address");
    }
    for (place, frame) in bytes.chunks(16).enumerate() {
        let port = PortIndex(u16::from(frame[0] % 3));
        let now = Nanos(place as u64 * 1_000_000_000 * u64::from(frame[frame.len() - 1]));
        match fabric.ingress(port, &frame[1..], now) {
            Verdict::Forward(target) => assert_ne!(target, port),
            Verdict::Flood | Verdict::Drop(_) => {}
        }
        assert!(fabric.entry_count() <= 1 + 3 * 4);
        if frame[0] & 0x80 != 0 {
            fabric.expire(now);
        }
    }
}
