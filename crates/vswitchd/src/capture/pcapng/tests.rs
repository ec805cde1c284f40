//! What is written, read back by another's reader.

use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;

use super::*;

/// What a section is told to write.
#[derive(Clone, Debug)]
enum Order {
    Interface(String),
    Packet { interface: usize, packet: AnyPacket },
    Statistics { interface: usize, numbers: [u64; 5], is_last: bool, comment: String },
}

#[derive(Clone, Debug)]
struct AnyPacket {
    time_ns: u64,
    len_bytes: u32,
    bytes: Vec<u8>,
    flags: u32,
    lost_before: u64,
    comment: String,
}

/// Texts of any letters, some longer than an option can be.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just(String::new()),
        (0..70_000_usize).prop_map(|len| "x".repeat(len)),
        (0..30_000_usize).prop_map(|len| "ß".repeat(len)),
    ]
}

fn any_packet() -> impl Strategy<Value = AnyPacket> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        (0..300_000_usize).prop_map(|len| vec![7; len]),
    ];
    let len = prop_oneof![any::<u32>(), 0..2000_u32];
    (any::<u64>(), len, bytes, any::<u32>(), any::<u64>(), any_text()).prop_map(
        |(time_ns, len_bytes, bytes, flags, lost_before, comment)| AnyPacket {
            time_ns,
            len_bytes,
            bytes,
            flags,
            lost_before,
            comment,
        },
    )
}

fn any_orders() -> impl Strategy<Value = Vec<Order>> {
    let order = prop_oneof![
        1 => any_text().prop_map(Order::Interface),
        4 => (0..9_usize, any_packet())
            .prop_map(|(interface, packet)| Order::Packet { interface, packet }),
        1 => (0..9_usize, any::<[u64; 5]>(), any::<bool>(), any_text()).prop_map(
            |(interface, numbers, is_last, comment)| Order::Statistics {
                interface,
                numbers,
                is_last,
                comment,
            }
        ),
    ];
    prop::collection::vec(order, 0..12)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// Has a section write all; those about an interface that there is not yet are left out.
fn write(snap_bytes: u32, name: &str, orders: &[Order]) -> (Vec<u8>, Vec<Order>) {
    let mut out = Vec::new();
    let mut section = Section::begin(&mut out, name, snap_bytes);
    let (mut ids, mut written) = (Vec::new(), Vec::new());
    for order in orders {
        match order {
            Order::Interface(name) => ids.push(section.interface(&mut out, name)),
            Order::Packet { interface, packet } => {
                let Some(&interface) = ids.get(*interface) else { continue };
                let AnyPacket { time_ns, len_bytes, bytes, flags, lost_before, comment } = packet;
                section.packet(
                    &mut out,
                    &Packet {
                        interface,
                        time_ns: *time_ns,
                        len_bytes: *len_bytes,
                        bytes,
                        flags: *flags,
                        lost_before: *lost_before,
                        comment,
                    },
                );
            }
            Order::Statistics { interface, numbers, is_last, comment } => {
                let Some(&interface) = ids.get(*interface) else { continue };
                let [time_ns, start_ns, received, accepted, lost] = *numbers;
                let is_last = *is_last;
                let statistics = Statistics {
                    interface,
                    time_ns,
                    start_ns,
                    is_last,
                    received,
                    accepted,
                    lost,
                    comment,
                };
                section.statistics(&mut out, &statistics);
            }
        }
        written.push(order.clone());
    }
    (out, written)
}

/// The blocks' types: each is of whole words, with its length at both ends.
fn block_types(mut file: &[u8]) -> Vec<u32> {
    let word = |bytes: &[u8], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    let mut types = Vec::new();
    while !file.is_empty() {
        types.push(word(file, 0));
        let len = word(file, 4) as usize;
        assert!(len >= 12 && len.is_multiple_of(4), "a block of {len} bytes");
        let (block, rest) = file.split_at(len);
        assert_eq!(word(block, len - 4) as usize, len);
        file = rest;
    }
    types
}

fn assert_packet(read: &Block<'_>, interface: usize, packet: &AnyPacket, snap_bytes: u32) {
    let Block::EnhancedPacket(read) = read else { panic!("{read:?}") };
    assert_eq!(read.interface_id as usize, interface);
    assert_eq!(read.timestamp.as_nanos(), u128::from(packet.time_ns));
    assert_eq!(read.original_len, packet.len_bytes);
    let snap_bytes = if snap_bytes == 0 { PACKET_BYTES_MAX } else { snap_bytes };
    let most = snap_bytes.min(PACKET_BYTES_MAX).min(packet.len_bytes) as usize;
    assert_eq!(*read.data, packet.bytes[..packet.bytes.len().min(most)]);
    let mut options = Vec::new();
    if !packet.comment.is_empty() {
        options.push(EnhancedPacketOption::Comment(cut(&packet.comment).into()));
    }
    if packet.flags != 0 {
        options.push(EnhancedPacketOption::Flags(packet.flags));
    }
    if packet.lost_before != 0 {
        options.push(EnhancedPacketOption::DropCount(packet.lost_before));
    }
    assert_eq!(read.options, options);
}

fn assert_statistics(
    read: &Block<'_>,
    interface: usize,
    numbers: [u64; 5],
    is_last: bool,
    comment: &str,
) {
    use InterfaceStatisticsOption as Of;
    let Block::InterfaceStatistics(read) = read else { panic!("{read:?}") };
    assert_eq!(read.interface_id as usize, interface);
    let [time_ns, start_ns, received, accepted, lost] = numbers;
    // The library reads the two words of a time as one number, in the section's byte order: it has
    // the halves the wrong way round.
    let swapped = |time_ns: u64| time_ns.rotate_left(32);
    assert_eq!(read.timestamp, swapped(time_ns));
    let mut options = Vec::new();
    if !comment.is_empty() {
        options.push(Of::Comment(cut(comment).into()));
    }
    options.push(Of::IsbStartTime(swapped(start_ns)));
    if is_last {
        options.push(Of::IsbEndTime(swapped(time_ns)));
    }
    options.extend([
        Of::IsbIfRecv(received),
        Of::IsbIfDrop(lost),
        Of::IsbFilterAccept(accepted),
        Of::IsbUsrDeliv(accepted.saturating_sub(lost)),
    ]);
    assert_eq!(read.options, options);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever is written, another reads the same, as far as it may be that long.
    #[test]
    fn whatever_is_written_is_read(
        snap_bytes in prop_oneof![Just(0), 1..3000_u32, any::<u32>()],
        application in any_text(),
        orders in any_orders(),
    ) {
        let (file, written) = write(snap_bytes, &application, &orders);
        prop_assert_eq!(block_types(&file).len(), 1 + written.len());
        let mut reader = PcapNgReader::new(&file[..]).expect("a section");
        for order in &written {
            let block = reader.next_block().expect("a block").expect("well-formed");
            match order {
                Order::Interface(name) => {
                    let Block::InterfaceDescription(read) = &block else { panic!("{block:?}") };
                    prop_assert_eq!(read.linktype, DataLink::ETHERNET);
                    let mut options = Vec::new();
                    if !name.is_empty() {
                        options.push(InterfaceDescriptionOption::IfName(cut(name).into()));
                    }
                    options.push(InterfaceDescriptionOption::IfTsResol(9));
                    prop_assert_eq!(&read.options, &options);
                }
                Order::Packet { interface, packet } => {
                    assert_packet(&block, *interface, packet, snap_bytes);
                }
                Order::Statistics { interface, numbers, is_last, comment } => {
                    assert_statistics(&block, *interface, *numbers, *is_last, comment);
                }
            }
        }
        prop_assert!(reader.next_block().is_none());
    }
}

/// The bytes themselves, as the draft draws them.
#[test]
fn a_small_file_has_these_bytes() {
    let mut out = Vec::new();
    let mut section = Section::begin(&mut out, "v", 96);
    let interface = section.interface(&mut out, "a/b");
    let packet = Packet {
        interface,
        time_ns: 0x0102_0304_0506_0708,
        len_bytes: 100,
        bytes: &[0xaa; 5],
        flags: OUTBOUND | CHECKSUM_NOT_READY,
        lost_before: 3,
        comment: "hi",
    };
    section.packet(&mut out, &packet);
    let words: Vec<u32> = out
        .chunks(4)
        .map(|word| u32::from_le_bytes(word.try_into().expect("whole words")))
        .collect();
    let text = |of: &[u8; 4]| u32::from_le_bytes(*of);
    let expected = [
        &[
            0x0a0d_0d0a,
            40,
            0x1a2b_3c4d,
            1,
            u32::MAX,
            u32::MAX,
            0x0001_0004,
            text(b"v\0\0\0"),
            0,
            40,
        ][..],
        &[1, 40, 1, 96, 0x0003_0002, text(b"a/b\0"), 0x0001_0009, 9, 0, 40],
        &[6, 72, 0, 0x0102_0304, 0x0506_0708, 5, 100, 0xaaaa_aaaa, 0xaa],
        &[0x0002_0001, text(b"hi\0\0"), 0x0004_0002, 0x202, 0x0008_0004, 3, 0, 0, 72],
    ]
    .concat();
    assert_eq!(words, expected);
}
