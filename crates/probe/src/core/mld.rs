//! Multicast listener reports as the RFC has them.
//!
//! The stack reports a group it joins with CHANGE_TO_INCLUDE and one it leaves with
//! CHANGE_TO_EXCLUDE. With no sources listed these mean the opposite (RFC 3810, 4.2 and 5.2.12),
//! and a bridge that snoops would take the guest's solicited-node groups away from it.

use crate::frame::{ETHERTYPE_IPV6, HEADER_LEN};

/// Swaps the two record types in an outgoing MLDv2 report, and leaves all other frames alone.
pub(crate) fn correct_report(frame: &mut [u8]) {
    let is_report = frame.len() >= RECORDS
        && frame[12..14] == ETHERTYPE_IPV6.to_be_bytes()
        && frame[HEADER_LEN + 6] == HOP_BY_HOP
        && frame[ICMP - 8] == ICMPV6
        && frame[ICMP - 7] == 0
        && frame[ICMP] == MLDV2_REPORT;
    if !is_report {
        return;
    }
    let mut at = RECORDS;
    while let Some([kind, aux_words, sources]) =
        frame.get(at..at + 4).map(|record| [record[0], record[1], record[3]])
    {
        let corrected = match kind {
            CHANGE_TO_INCLUDE if sources == 0 => CHANGE_TO_EXCLUDE,
            CHANGE_TO_EXCLUDE if sources == 0 => CHANGE_TO_INCLUDE,
            other => other,
        };
        frame[at] = corrected;
        adjust_checksum(frame, u16::from(kind) << 8, u16::from(corrected) << 8);
        at += RECORD_LEN + 16 * usize::from(sources) + 4 * usize::from(aux_words);
    }
}

/// RFC 1624, equation 3.
fn adjust_checksum(frame: &mut [u8], old: u16, new: u16) {
    let field = ICMP + 2..ICMP + 4;
    let checksum = u16::from_be_bytes([frame[field.start], frame[field.start + 1]]);
    let mut sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[allow(clippy::cast_possible_truncation, reason = "folded to 16 bits just above")]
    let checksum = !(sum as u16);
    frame[field].copy_from_slice(&checksum.to_be_bytes());
}

/// After the Ethernet and IPv6 headers and a hop-by-hop header of 8 bytes.
const ICMP: usize = HEADER_LEN + 40 + 8;
/// After the report's own header.
const RECORDS: usize = ICMP + 8;
const RECORD_LEN: usize = 20;
const HOP_BY_HOP: u8 = 0;
const ICMPV6: u8 = 58;
const MLDV2_REPORT: u8 = 143;
const CHANGE_TO_INCLUDE: u8 = 3;
const CHANGE_TO_EXCLUDE: u8 = 4;
