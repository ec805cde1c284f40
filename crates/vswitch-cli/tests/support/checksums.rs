//! A look at every checksum of a frame, apart from the switch's own code.

/// Whether the IP header's and the transport's checksums are right; frames of other protocols, and
/// transports without one, hold.
pub(crate) fn check(frame: &[u8]) -> Result<(), String> {
    let mut at = 12;
    loop {
        let ethertype = u16::from_be_bytes([byte(frame, at)?, byte(frame, at + 1)?]);
        match ethertype {
            0x8100 | 0x88a8 => at += 4,
            0x0800 => return check_ipv4(&frame[at + 2..]),
            0x86dd => return check_ipv6(&frame[at + 2..]),
            _ => return Ok(()),
        }
    }
}

fn check_ipv4(packet: &[u8]) -> Result<(), String> {
    let header_len = usize::from(byte(packet, 0)? & 15) * 4;
    let total_len = usize::from(u16::from_be_bytes([byte(packet, 2)?, byte(packet, 3)?]));
    let header = packet.get(..header_len).ok_or("a cut IPv4 header")?;
    if sum(&[header]) != 0xffff {
        return Err("the IPv4 header's checksum is wrong".to_owned());
    }
    let payload = packet.get(header_len..total_len).ok_or("an IPv4 packet of another length")?;
    if packet[6] & 0x3f != 0 || packet[7] != 0 {
        return Ok(()); // a fragment
    }
    check_transport(&packet[12..20], packet[9], payload)
}

fn check_ipv6(packet: &[u8]) -> Result<(), String> {
    let payload_len = usize::from(u16::from_be_bytes([byte(packet, 4)?, byte(packet, 5)?]));
    let payload = packet.get(40..40 + payload_len).ok_or("an IPv6 packet of another length")?;
    check_transport(&packet[8..40], packet[6], payload)
}

fn check_transport(addresses: &[u8], protocol: u8, payload: &[u8]) -> Result<(), String> {
    let pseudo = protocol == 6 || protocol == 17 || protocol == 58;
    let is_absent = protocol == 17 && payload.get(6..8) == Some(&[0, 0]);
    if !(pseudo || protocol == 1) || is_absent {
        return Ok(());
    }
    let len = u32::try_from(payload.len()).map_err(|error| error.to_string())?.to_be_bytes();
    let header = if pseudo { [addresses, &len, &[0, 0, 0, protocol]].concat() } else { vec![] };
    match sum(&[&header, payload]) {
        0xffff => Ok(()),
        sum => Err(format!("protocol {protocol}: the checksum is wrong (the sum is {sum:#06x})")),
    }
}

/// The sum of RFC 1071 over parts of an even length each (the last may be odd).
fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    u16::try_from(sum).expect("folded")
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, String> {
    bytes.get(at).copied().ok_or_else(|| format!("it ends before byte {at}"))
}
