//! What must hold of any bytes: called by the property tests, and by the fuzz targets in `fuzz/`.

use ifctl::xnu::{InterfaceEvent, Tag};

/// Any bytes as a message of the kernel's, and as an interface's description.
pub(crate) fn kernel_bytes(bytes: &[u8]) {
    if let Some(event) = InterfaceEvent::read(bytes) {
        assert!((1..=15).contains(&event.name().len()));
        // What is behind the end of the message does not matter.
        let total = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let whole = &bytes[..bytes.len().min(usize::try_from(total).unwrap())];
        assert_eq!(InterfaceEvent::read(whole), Some(event));
    }
    let tag = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Tag>().ok());
    if let Some(tag) = tag {
        assert_eq!(tag.to_string().as_bytes(), bytes);
    }
}
