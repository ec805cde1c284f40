//! Unfinished frames for tests, built and checked by plain means: no code of the module itself.

use crate::offload::{Checksum, Gso, Offload};

/// What an unfinished frame is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// 4 or 6.
    pub(crate) version: u8,
    pub(crate) tcp: bool,
    /// VLAN tags, 0 to 2.
    pub(crate) tags: usize,
    /// IPv4 options in words of 4 bytes, or IPv6 extension headers of 8 bytes.
    pub(crate) network_options: usize,
    /// TCP options in words of 4 bytes.
    pub(crate) tcp_options: usize,
    /// TCP's flags.
    pub(crate) flags: u8,
    pub(crate) payload: usize,
    /// Payload bytes in each piece; 0 for a frame that is not to be cut.
    pub(crate) segment: u16,
    /// Makes the bytes that are free to be anything.
    pub(crate) seed: u64,
}

/// A frame with the work left on it.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) bytes: Vec<u8>,
    pub(crate) offload: Offload,
    /// First byte of the IP header, of the transport header, of the payload.
    pub(crate) network: usize,
    pub(crate) transport: usize,
    pub(crate) payload: usize,
}

pub(crate) const V4: u8 = 4;
pub(crate) const V6: u8 = 6;

/// An unfinished UDP frame that is not to be cut.
#[allow(dead_code, reason = "for the unit tests; the integration test has shapes of its own")]
pub(crate) fn udp(version: u8, tags: usize, payload: usize) -> Example {
    let shape = Shape {
        version,
        tcp: false,
        tags,
        network_options: 0,
        tcp_options: 0,
        flags: 0,
        payload,
        segment: 0,
        seed: 1,
    };
    shape.build()
}

impl Shape {
    /// Any shape whose frame is at most `longest` bytes, from a seed.
    pub(crate) fn any(seed: u64, longest: usize) -> Self {
        let mut random = Random(seed);
        let version = if random.below(2) == 0 { V4 } else { V6 };
        let tcp = random.below(3) > 0;
        let headers_max = 14 + 8 + 60 + 60;
        let payload = match random.below(4) {
            0 => random.below(3000),
            _ => random.below(longest - headers_max),
        };
        let segment = match random.below(5) {
            0 => 0,
            1 => 1 + random.below(300),
            2 => payload.clamp(1, 1400),
            _ => 536 + random.below(900),
        };
        Self {
            version,
            tcp,
            tags: random.below(3),
            network_options: random.below(if version == V4 { 11 } else { 3 }),
            tcp_options: random.below(11),
            flags: random.next().to_be_bytes()[0],
            payload,
            segment: u16::try_from(segment).expect("small"),
            seed: random.next(),
        }
    }

    /// The frame, its checksum's place holding the pseudo-header's sum.
    pub(crate) fn build(&self) -> Example {
        let mut random = Random(self.seed);
        let mut bytes = vec![0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1];
        for (tag, kind) in (0..self.tags).zip([0x88a8_u16, 0x8100].iter().skip(2 - self.tags)) {
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, u8::try_from(tag).expect("few") + 7]);
        }
        let network = bytes.len() + 2;
        match self.version {
            V4 => self.ipv4(&mut bytes, &mut random),
            _ => self.ipv6(&mut bytes, &mut random),
        }
        let transport = bytes.len();
        let offset = if self.tcp {
            self.tcp(&mut bytes, &mut random)
        } else {
            Self::udp(&mut bytes, &mut random)
        };
        let payload = bytes.len();
        bytes.extend(std::iter::repeat_with(|| random.next().to_be_bytes()[0]).take(self.payload));
        let mut example = Example {
            offload: Offload {
                checksum: Checksum::Unfinished,
                checksum_start: narrow(transport),
                checksum_offset: narrow(offset),
                ..self.offload(payload)
            },
            bytes,
            network,
            transport,
            payload,
        };
        example.set_lengths();
        let sum = naive_sum(&example.pseudo_header());
        example.bytes[transport + offset..transport + offset + 2]
            .copy_from_slice(&sum.to_be_bytes());
        example
    }

    fn offload(&self, headers: usize) -> Offload {
        if self.segment == 0 {
            return Offload::NONE;
        }
        Offload {
            gso: match (self.tcp, self.version) {
                (false, _) => Gso::UdpL4,
                (true, V4) => Gso::TcpV4,
                (true, _) => Gso::TcpV6,
            },
            // Stacks without AccECN (RFC 9768) say so of a segment with CWR.
            ecn: self.tcp && self.flags & 0x80 != 0 && self.seed & 1 != 0,
            segment_bytes: self.segment,
            header_bytes: narrow(headers),
            ..Offload::NONE
        }
    }

    fn ipv4(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        bytes.extend([0x08, 0x00]);
        let words = u8::try_from(5 + self.network_options).expect("few");
        let identification = random.next().to_be_bytes();
        bytes.extend([0x40 | words, 0x02, 0, 0, identification[0], identification[1], 0x40, 0]);
        bytes.extend([64, self.protocol(), 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
        bytes.extend(vec![1; 4 * self.network_options]); // no operation
    }

    fn ipv6(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        bytes.extend([0x86, 0xdd]);
        let chain: Vec<u8> = [0, 60]
            .into_iter()
            .skip(2_usize.saturating_sub(self.network_options))
            .chain([self.protocol()])
            .collect();
        bytes.extend([0x60, 0x21, 0x34, 0x56, 0, 0, chain[0], 64]);
        for host in [1, 2] {
            let [.., a, b] = random.next().to_be_bytes();
            bytes.extend([0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, 0, host]);
        }
        for next in &chain[1..] {
            bytes.extend([*next, 0, 1, 4, 0, 0, 0, 0]); // four bytes of padding
        }
    }

    fn tcp(&self, bytes: &mut Vec<u8>, random: &mut Random) -> usize {
        bytes.extend([0x30, 0x39, 0x1f, 0x90]);
        bytes.extend(random.next().to_be_bytes());
        let words = u8::try_from(5 + self.tcp_options).expect("few");
        bytes.extend([words << 4, self.flags, 0x20, 0, 0, 0, 0, 0]);
        bytes.extend(vec![1; 4 * self.tcp_options]);
        16
    }

    fn udp(bytes: &mut Vec<u8>, random: &mut Random) -> usize {
        let [a, b, ..] = random.next().to_be_bytes();
        bytes.extend([a, b, 0x1f, 0x90, 0, 0, 0, 0]);
        6
    }

    fn protocol(&self) -> u8 {
        if self.tcp { 6 } else { 17 }
    }
}

impl Example {
    fn set_lengths(&mut self) {
        let (network, transport, all) = (self.network, self.transport, self.bytes.len());
        let udp = self.offload.checksum_offset == 6;
        let v4 = self.bytes[network] >> 4 == V4;
        let mut set = |at: usize, value: usize| {
            self.bytes[at..at + 2].copy_from_slice(&narrow(value.min(65_535)).to_be_bytes());
        };
        if udp {
            set(transport + 4, all - transport);
        }
        if v4 {
            set(network + 2, all - network);
            let sum = !naive_sum(&self.bytes[network..transport]);
            self.bytes[network + 10..network + 12].copy_from_slice(&sum.to_be_bytes());
        } else {
            set(network + 4, all - network - 40);
        }
    }

    /// The pseudo-header of the frame as it is.
    pub(crate) fn pseudo_header(&self) -> Vec<u8> {
        pseudo_header(&self.bytes, self.network, self.transport, self.offload.checksum_offset)
    }
}

/// The pseudo-header of a finished frame with headers in those places.
pub(crate) fn pseudo_header(
    frame: &[u8],
    network: usize,
    transport: usize,
    offset: u16,
) -> Vec<u8> {
    let addresses = if frame[network] >> 4 == V4 { 12..20 } else { 8..40 };
    let mut bytes = frame[network + addresses.start..network + addresses.end].to_vec();
    let length = u32::try_from(frame.len() - transport).expect("short");
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0, if offset == 6 { 17 } else { 6 }]);
    bytes
}

/// The ones' complement sum, word by word as RFC 1071 says it.
pub(crate) fn naive_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u16;
    for pair in bytes.chunks(2) {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (added, carry) = sum.overflowing_add(word);
        sum = added + u16::from(carry);
    }
    sum
}

/// A small generator of numbers (splitmix64).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number under `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("under a usize")
    }
}

fn narrow(number: usize) -> u16 {
    u16::try_from(number).expect("16 bits")
}
