//! The stock filters against `tcpdump`: the same random frames through both.

use std::borrow::Cow;
use std::fs::File;
use std::io::Seek as _;
use std::process::Stdio;
use std::time::Duration;

use bpf::stock::FrameSelector;
use bpf::{Dialect, Metadata, Program, run};
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use testkit::tcpdump;

#[allow(dead_code, reason = "shared by tests that each need a part of it")]
mod common;
use common::{Random, seed};

#[test]
fn stock_filters_agree_on_ten_thousand_frames() {
    if !tcpdump::or_skip() {
        return;
    }
    let seed = seed(0x7463_7064, 0);
    let mut random = Random::new(seed);
    let macs: Vec<[u8; 6]> = (0..40).map(|_| mac(&mut random)).collect();
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(|_| frame(&mut random, &macs)).collect();
    for selector in selectors(&macs) {
        let expression = expression(&selector);
        let expected = by_tcpdump(&frames, &expression);
        for dialect in [Dialect::Linux, Dialect::Xnu] {
            let program = selector.compile(dialect).expect("fits");
            let accepted = by_program(&frames, &program, dialect);
            let differs = (0..FRAMES).find(|&index| accepted[index] != expected[index]);
            if let Some(index) = differs {
                panic!(
                    "BPF_SEED={seed} {dialect:?} {expression}: tcpdump says {}\n{program}{:02x?}",
                    expected[index], frames[index]
                );
            }
        }
        let count = expected.iter().filter(|&&accepted| accepted).count();
        assert!(
            count > 20 && (count < FRAMES - 100 || expression.is_empty()),
            "{count} {expression}"
        );
    }
}

/// What `tcpdump` compiles itself, run here: both dialects run foreign programs as it does.
#[test]
fn programs_of_tcpdump_run_as_in_tcpdump() {
    if !tcpdump::or_skip() {
        return;
    }
    let mut random = Random::new(seed(0x7463_7032, 0));
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(|_| ip_frame(&mut random)).collect();
    for expression in [
        "ip",
        "tcp port 443 or udp port 53",
        "ip[8] < 64 and ip[6:2] & 0x1fff = 0",
        "ip6 and ip6[6] = 58",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "vlan 5",
        "len > 60 and ip and ip[2:2] % 7 = 3",
        "net 10.0.0.0/8 and portrange 1000-40000",
    ] {
        let expected = by_tcpdump(&frames, expression);
        for form in ["-d", "-dd", "-ddd"] {
            let output = tcpdump::command()
                .args(["-y", "EN10MB", form, expression])
                .output()
                .expect("tcpdump starts");
            let text = String::from_utf8(output.stdout).expect("ASCII");
            let program =
                bpf::words::parse_any(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
            program.verify(Dialect::Linux).expect("valid");
            // The offline expressions may use `mod`, which XNU does not have.
            let xnu = program.verify(Dialect::Xnu).is_ok().then_some(Dialect::Xnu);
            for dialect in [Some(Dialect::Linux), xnu].into_iter().flatten() {
                let accepted = by_program(&frames, &program, dialect);
                assert!(accepted == expected, "{dialect:?} {expression}\n{program}");
            }
        }
        assert!(expected.contains(&true) && expected.contains(&false), "{expression}");
    }
}

fn by_program(frames: &[Vec<u8>], program: &Program, dialect: Dialect) -> Vec<bool> {
    let accepts = |frame: &Vec<u8>| {
        run(dialect, program.words(), frame, &Metadata::ethernet(frame))
            .expect("verified")
            .accepts()
    };
    frames.iter().map(accepts).collect()
}

/// Sends a capture of `frames` through `tcpdump`; a frame is known by its time stamp.
fn by_tcpdump(frames: &[Vec<u8>], expression: &str) -> Vec<bool> {
    let mut capture = PcapWriter::new(tempfile()).expect("header");
    for (index, frame) in (0..).zip(frames) {
        let len = u32::try_from(frame.len()).expect("short");
        let data = Cow::Borrowed(frame.as_slice());
        let packet = PcapPacket { timestamp: Duration::from_secs(index), orig_len: len, data };
        capture.write_packet(&packet).expect("packet");
    }
    let mut capture = capture.into_writer();
    capture.rewind().expect("rewind");
    let output = tcpdump::command()
        .args(["-r", "-", "-w", "-", expression])
        .stdin(Stdio::from(capture))
        .stderr(Stdio::piped())
        .output()
        .expect("tcpdump starts");
    assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
    let mut passed = PcapReader::new(output.stdout.as_slice()).expect("header");
    let mut accepted = vec![false; frames.len()];
    while let Some(packet) = passed.next_packet() {
        let packet = packet.expect("packet");
        let index = usize::try_from(packet.timestamp.as_secs()).expect("small");
        assert_eq!(packet.data, frames[index]);
        accepted[index] = true;
    }
    accepted
}

fn tempfile() -> File {
    let dir = testkit::scratch_dir();
    let options = File::options().read(true).write(true).create_new(true).clone();
    options.open(dir.path().join("capture")).expect("create a file")
}

fn selectors(macs: &[[u8; 6]]) -> Vec<FrameSelector> {
    let mut selectors = Vec::new();
    for macs in [&macs[..0], &macs[..1], &macs[..5], macs] {
        for group in [false, true] {
            for ethertypes in [vec![], vec![0x0806], vec![0x0800, 0x86dd, 0x8100]] {
                for vlan in [false, true] {
                    let (macs, ethertypes) = (macs.to_vec(), ethertypes.clone());
                    let base = FrameSelector::default();
                    selectors.push(FrameSelector { macs, group, ethertypes, vlan, ..base });
                }
            }
        }
    }
    selectors
}

/// As the documentation of [`FrameSelector`] puts it.
fn expression(selector: &FrameSelector) -> String {
    let mac = |[a, b, c, d, e, f]: &[u8; 6]| {
        format!("ether dst {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    };
    let mut destinations: Vec<String> = selector.macs.iter().map(mac).collect();
    if selector.group {
        destinations.insert(0, "ether multicast".to_owned());
    }
    let types: Vec<String> =
        selector.ethertypes.iter().map(|kind| format!("ether proto {kind:#x}")).collect();
    let mut types = types.join(" or ");
    if selector.vlan && !types.is_empty() {
        types = format!("{types} or (vlan and ({types}))");
    }
    let parts = [destinations.join(" or "), types];
    let parts: Vec<String> =
        parts.iter().filter(|part| !part.is_empty()).map(|part| format!("({part})")).collect();
    parts.join(" and ")
}

fn mac(random: &mut Random) -> [u8; 6] {
    let first = random.pick(&[[0x52, 0x54], [0x52, 0x55], [0x02, 0x00], [0xaa, 0xbb]]);
    [first[0], first[1], 0, 0, random.byte() & 3, random.byte() & 15]
}

fn frame(random: &mut Random, macs: &[[u8; 6]]) -> Vec<u8> {
    let to = match random.below(6) {
        0 => [0xff; 6],
        1 => [0x33, 0x33, 0, 0, 0, random.byte()],
        2 => macs[0],
        3 => random.pick(macs),
        4 => mac(random),
        _ => std::array::from_fn(|_| random.byte()),
    };
    let mut frame = [to, mac(random)].concat();
    for _ in 0..random.pick(&[0, 0, 0, 1, 1, 2]) {
        frame.extend(random.pick(&[[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00], [0x92, 0x00]]));
        frame.extend([random.byte(), random.byte()]);
    }
    frame.extend(random.pick(&[[8, 0], [8, 6], [0x86, 0xdd], [0, 46], [0x88, 0xcc], [0x81, 0]]));
    let rest = random.below(120) as usize;
    frame.extend(random.bytes(rest));
    frame
}

/// IPv4 and IPv6 with something of TCP and UDP behind, in parts random.
fn ip_frame(random: &mut Random) -> Vec<u8> {
    let mut frame = vec![2; 12];
    if random.chance(30) {
        frame.extend([0x81, 0, 0, random.pick(&[5, 6])]);
    }
    if random.chance(70) {
        frame.extend([8, 0, 0x45 + random.pick(&[0, 0, 1]), 0, 0, random.byte()]);
        frame.extend([
            0,
            1,
            random.pick(&[0, 0, 0x20]),
            0,
            random.byte(),
            random.pick(&[6, 17, 1]),
            0,
            0,
        ]);
        frame.extend([10, 0, 0, 1, random.pick(&[10, 11]), 0, 0, 2]);
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, random.pick(&[6, 17, 58]), 64]);
        frame.extend([0xfe; 32]);
    }
    frame.extend(random.pick(&[[0x01, 0xbb], [0, 53], [0x30, 0x39]]));
    frame.extend(random.pick(&[[0x01, 0xbb], [0, 53], [0x30, 0x39]]));
    let rest = random.below(60) as usize;
    frame.extend(random.bytes(rest));
    frame
}

const FRAMES: usize = 10_000;
