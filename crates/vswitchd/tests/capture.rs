//! Captures of a service on real sockets, read by others: pcap-file, tcpdump, tshark.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{PATIENCE, Running, Vm, frame, greet, network, station};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use vswitch::MacAddr;
use vswitch::capture::TAPS_MAX;
use vswitchd::capture::{Capture, CaptureError, CaptureRequest, RING_BYTES_MIN};
use vswitchd::config::Configuration;

/// One packet, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    port: String,
    is_inbound: bool,
    comment: Option<String>,
    lost_before: u64,
    len_bytes: usize,
    bytes: Vec<u8>,
    time: Duration,
}

#[derive(Debug, Default)]
struct File {
    ports: Vec<String>,
    packets: Vec<Packet>,
    /// The last of each port: received, accepted, lost.
    statistics: BTreeMap<String, (u64, u64, u64)>,
    ended: Vec<String>,
}

impl File {
    fn parse(bytes: &[u8]) -> Self {
        let mut reader = PcapNgReader::new(bytes).expect("a section");
        let mut this = Self::default();
        while let Some(block) = reader.next_block() {
            match block.expect("well-formed") {
                Block::InterfaceDescription(interface) => {
                    let name = interface.options.iter().find_map(|option| match option {
                        InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                        _ => None,
                    });
                    this.ports.push(name.expect("a name"));
                }
                Block::EnhancedPacket(packet) => {
                    let port = this.ports[packet.interface_id as usize].clone();
                    let (mut flags, mut comment, mut lost_before) = (0, None, 0);
                    for option in &packet.options {
                        match option {
                            EnhancedPacketOption::Flags(word) => flags = *word,
                            EnhancedPacketOption::Comment(text) => comment = Some(text.to_string()),
                            EnhancedPacketOption::DropCount(lost) => lost_before = *lost,
                            other => panic!("{other:?}"),
                        }
                    }
                    assert!(flags == 1 || flags == 2, "a direction and nothing else: {flags:#x}");
                    this.packets.push(Packet {
                        port,
                        is_inbound: flags == 1,
                        comment,
                        lost_before,
                        len_bytes: packet.original_len as usize,
                        bytes: packet.data.to_vec(),
                        time: packet.timestamp,
                    });
                }
                Block::InterfaceStatistics(statistics) => {
                    let port = this.ports[statistics.interface_id as usize].clone();
                    let (mut received, mut accepted, mut lost) = (None, None, None);
                    for option in &statistics.options {
                        match option {
                            InterfaceStatisticsOption::IsbIfRecv(count) => received = Some(*count),
                            InterfaceStatisticsOption::IsbIfDrop(count) => lost = Some(*count),
                            InterfaceStatisticsOption::IsbFilterAccept(count) => {
                                accepted = Some(*count);
                            }
                            InterfaceStatisticsOption::IsbEndTime(_) => {
                                this.ended.push(port.clone());
                            }
                            _ => {}
                        }
                    }
                    let all = received.zip(accepted).zip(lost).expect("all three");
                    this.statistics.insert(port, (all.0.0, all.0.1, all.1));
                }
                other => panic!("{other:?}"),
            }
        }
        this
    }

    /// Where the frames with that number went: `p0 in`, `p1 out`, with the comment if there is one.
    fn way(&self, number: u64) -> Vec<String> {
        let is_it = |packet: &&Packet| packet.bytes[14..22] == number.to_le_bytes();
        let told = |packet: &Packet| {
            let direction = if packet.is_inbound { "in" } else { "out" };
            let comment = packet.comment.as_deref().unwrap_or("");
            format!("{} {direction} {comment}", packet.port).trim_end().to_owned()
        };
        self.packets.iter().filter(is_it).map(told).collect()
    }
}

/// Reads to the end.
fn rest(capture: &mut Capture) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ended =
        testkit::wait_until(PATIENCE, || !capture.read_into(&mut bytes, Duration::from_millis(20)));
    assert!(ended, "a stopped capture ends");
    let len = bytes.len();
    assert!(!capture.read_into(&mut bytes, PATIENCE) && bytes.len() == len, "and stays so");
    bytes
}

fn stop(mut capture: Capture) -> File {
    capture.stop();
    File::parse(&rest(&mut capture))
}

/// A service on so many threads with three VMs, of which the last has its address named.
fn three_vms(dir: &Path, threads: usize) -> (Running, Vec<Vm>) {
    let own = "p2=unixgram:DIR/p2,mac=02:00:00:00:00:02";
    let ports = ["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1", own];
    let running = Running::start(threads, network(dir, &ports));
    let vms: Vec<Vm> = (0..3).map(|n| Vm::plug_in(dir, n)).collect();
    greet(&vms);
    (running, vms)
}

/// One of each kind: to one, to all, as somebody else; numbered from 1.
fn send_some(vms: &[Vm]) {
    vms[0].send(station(1), 1, 60);
    assert_eq!(vms[1].receive(), (station(0), 1));
    vms[1].send(MacAddr::BROADCAST, 2, 1514);
    for vm in [&vms[0], &vms[2]] {
        assert_eq!(vm.receive(), (station(1), 2));
    }
    vms[2].socket.send(&frame(station(1), station(7), 3, 60)).unwrap();
    vms[2].send(station(0), 4, 100);
    assert_eq!(vms[0].receive(), (station(2), 4));
}

fn assert_ways(file: &File) {
    assert_eq!(file.way(1), ["test/p0 in", "test/p1 out"]);
    let mut flooded = file.way(2);
    assert_eq!(flooded.remove(0), "test/p1 in");
    flooded.sort();
    assert_eq!(flooded, ["test/p0 out", "test/p2 out"]);
    assert_eq!(file.way(3), ["test/p2 in dropped: foreign source"]);
    assert_eq!(file.way(4), ["test/p2 in", "test/p0 out"]);
    assert_eq!(file.packets.len(), 8);
    assert!(file.packets.iter().all(|packet| packet.bytes.len() == packet.len_bytes));
    assert!(file.packets.is_sorted_by_key(|packet| packet.time));
    let mut ports = file.ports.clone();
    ports.sort();
    assert_eq!(ports, ["test/p0", "test/p1", "test/p2"], "no trunk is among them");
    for (port, frames) in [("test/p0", 3), ("test/p1", 2), ("test/p2", 3)] {
        assert_eq!(file.statistics[port], (frames, frames, 0), "{port}");
    }
    assert_eq!(file.ended.len(), 3);
}

#[test]
fn every_frame_is_told_of_where_it_came_in_and_went_out() {
    for threads in 1..=3 {
        let dir = testkit::scratch_dir();
        let (running, vms) = three_vms(dir.path(), threads);
        let capture = running.control.capture(&CaptureRequest::default()).unwrap();
        send_some(&vms);
        assert_ways(&stop(capture));
        running.stop();
    }
}

#[test]
fn the_time_is_that_of_the_wall() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let dir = testkit::scratch_dir();
    let (running, vms) = three_vms(dir.path(), 1);
    let capture = running.control.capture(&CaptureRequest::default()).unwrap();
    let before = now();
    send_some(&vms);
    let after = now();
    // The two clocks may part by what the wall clock is set meanwhile.
    let slack = Duration::from_secs(1);
    for packet in stop(capture).packets {
        assert!(packet.time + slack > before && packet.time < after + slack, "{packet:?}");
    }
    running.stop();
}

#[test]
fn a_capture_sees_what_was_asked_for() {
    let dir = testkit::scratch_dir();
    let (running, vms) = three_vms(dir.path(), 2);
    let capture = |request: CaptureRequest| running.control.capture(&request).unwrap();
    let named = |name: &str| Some(name.to_owned());
    let of_port = capture(CaptureRequest { port: named("p2"), ..CaptureRequest::default() });
    let of_network = capture(CaptureRequest {
        network: named("test"),
        snap_bytes: 64,
        ..CaptureRequest::default()
    });
    let filter = "ld #len\njgt #1000, yes, no\nyes: ret #-1\nno: ret #0".parse().unwrap();
    let filtered = capture(CaptureRequest { filter: Some(filter), ..CaptureRequest::default() });
    send_some(&vms);
    let file = stop(of_port);
    assert_eq!(file.ports, ["test/p2"]);
    assert_eq!([1, 2, 3, 4].map(|number| file.way(number).len()), [0, 1, 1, 1]);
    let file = stop(of_network);
    assert_eq!(file.packets.len(), 8);
    for packet in &file.packets {
        assert_eq!(packet.bytes.len(), packet.len_bytes.min(64), "{packet:?}");
    }
    let file = stop(filtered);
    assert_eq!(file.way(2).len(), 3);
    assert_eq!(file.packets.len(), 3);
    assert_eq!(file.statistics["test/p0"], (3, 1, 0));
    running.stop();
}

#[test]
fn what_is_not_there_is_not_captured() {
    let dir = testkit::scratch_dir();
    let ports = ["p0=unixgram:DIR/p0", "many=stream:DIR/many"];
    let running = Running::start(1, network(dir.path(), &ports));
    let refused = |network: Option<&str>, port: Option<&str>| {
        let request = CaptureRequest {
            network: network.map(str::to_owned),
            port: port.map(str::to_owned),
            ..CaptureRequest::default()
        };
        running.control.capture(&request).map(drop).map_err(|error| error.to_string()).err()
    };
    let none = |what: &str| Some(format!("capture {what}: there is none of that name"));
    assert_eq!(refused(Some("tset"), None), none("on the network tset"));
    assert_eq!(refused(Some("tset"), Some("p0")), none("on the network tset"));
    for port in ["p1", "uplink", "p0.1", ""] {
        assert_eq!(refused(None, Some(port)), none(&format!("at the port {port}")));
    }
    for port in ["p0", "many", "many.7"] {
        assert_eq!(refused(Some("test"), Some(port)), None);
    }
    let small = CaptureRequest { ring_bytes: 1000, ..CaptureRequest::default() };
    let error = running.control.capture(&small).map(drop).unwrap_err().to_string();
    assert!(error.contains("1000 bytes"), "{error}");
    running.stop();
}

#[test]
fn there_may_be_so_many_captures_at_once() {
    let dir = testkit::scratch_dir();
    let (running, vms) = three_vms(dir.path(), 2);
    let request = CaptureRequest { ring_bytes: RING_BYTES_MIN, ..CaptureRequest::default() };
    for _ in 0..3 {
        let captures: Vec<Capture> =
            (0..TAPS_MAX).map(|_| running.control.capture(&request).unwrap()).collect();
        let one_more = running.control.capture(&request).map(drop);
        assert_eq!(one_more, Err(CaptureError::TooMany));
        send_some(&vms);
        for capture in captures {
            assert_eq!(stop(capture).packets.len(), 8);
        }
    }
    running.stop();
}

/// Also one that was never read once: every frame passes, and what was lost is told at the end.
#[test]
fn a_reader_that_never_reads_costs_nothing_but_its_own_frames() {
    const FRAMES: u64 = 3000;
    let dir = testkit::scratch_dir();
    let (running, vms) = three_vms(dir.path(), 1);
    let request = CaptureRequest { ring_bytes: RING_BYTES_MIN, ..CaptureRequest::default() };
    let capture = running.control.capture(&request).unwrap();
    for number in 0..FRAMES {
        vms[0].send(station(1), number, 1514);
        assert_eq!(vms[1].receive(), (station(0), number));
    }
    let file = stop(capture);
    let report = running.stop();
    for port in &report.ports {
        // Greetings to a VM that was not known to be there yet.
        assert!(port.drops.keys().all(|reason| *reason == "no_peer"), "{port:?}");
    }
    for (port, is_inbound) in [("test/p0", true), ("test/p1", false)] {
        let captured = file.packets.iter().filter(|packet| packet.port == port);
        assert!(captured.clone().all(|packet| packet.is_inbound == is_inbound));
        let (received, accepted, lost) = file.statistics[port];
        assert_eq!((received, accepted), (FRAMES, FRAMES));
        assert_eq!(captured.count() as u64, FRAMES - lost);
        assert!(lost > FRAMES / 2, "{lost}");
    }
}

/// Read at last, it goes on, and the first frame of each port then says how many were lost.
#[test]
fn a_reader_that_comes_late_is_told_what_it_missed() {
    let dir = testkit::scratch_dir();
    let (running, vms) = three_vms(dir.path(), 1);
    let request = CaptureRequest { ring_bytes: RING_BYTES_MIN, ..CaptureRequest::default() };
    let mut capture = running.control.capture(&request).unwrap();
    let pass = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            vms[0].send(station(1), number, 1514);
            assert_eq!(vms[1].receive(), (station(0), number));
        }
    };
    pass(0..500);
    // The last one was sent before it was shown: when the loop answers, it was.
    running.control.report().unwrap();
    let mut bytes = Vec::new();
    while {
        let before = bytes.len();
        assert!(capture.read_into(&mut bytes, Duration::ZERO));
        bytes.len() > before
    } {}
    pass(500..510);
    capture.stop();
    bytes.extend(rest(&mut capture));
    let file = File::parse(&bytes);
    for port in ["test/p0", "test/p1"] {
        let of_port = || file.packets.iter().filter(|packet| packet.port == port);
        let lost: u64 = of_port().map(|packet| packet.lost_before).sum();
        assert!(lost > 0);
        assert_eq!(file.statistics[port], (510, 510, lost));
        assert_eq!(of_port().count() as u64, 510 - lost);
        let after_the_gap = of_port().find(|packet| packet.lost_before > 0).unwrap();
        assert_eq!(after_the_gap.bytes[14..22], 500_u64.to_le_bytes());
    }
    running.stop();
}

#[test]
fn ports_that_come_and_go_while_it_runs_are_told_of() {
    let dir = testkit::scratch_dir();
    let few = network(dir.path(), &["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1"]);
    let more =
        network(dir.path(), &["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1", "p2=unixgram:DIR/p2"]);
    let (few, more) = (Configuration::from(few), Configuration::from(more));
    let running = Running::start(2, few.clone());
    let capture = running.control.capture(&CaptureRequest::default()).unwrap();
    running.control.apply(&more).unwrap();
    let vms: Vec<Vm> = (0..3).map(|n| Vm::plug_in(dir.path(), n)).collect();
    greet(&vms);
    vms[2].send(station(0), 77, 60);
    assert_eq!(vms[0].receive(), (station(2), 77));
    running.control.apply(&few).unwrap();
    running.control.apply(&more).unwrap();
    let file = stop(capture);
    assert_eq!(file.way(77), ["test/p2 in", "test/p0 out"]);
    let mut ports = file.ports.clone();
    ports.sort();
    assert_eq!(ports, ["test/p0", "test/p1", "test/p2", "test/p2"], "one is a new one");
    running.stop();
}

#[test]
fn the_end_of_the_service_is_the_end_of_the_file() {
    let dir = testkit::scratch_dir();
    let (running, vms) = three_vms(dir.path(), 2);
    let mut capture = running.control.capture(&CaptureRequest::default()).unwrap();
    let control = running.control.clone();
    send_some(&vms);
    running.stop();
    assert_ways(&File::parse(&rest(&mut capture)));
    let late = control.capture(&CaptureRequest::default()).map(drop);
    assert!(matches!(late, Err(CaptureError::NoNetwork(_) | CaptureError::Ended(_))), "{late:?}");
}

/// What was counted is told without an end, for readers that are cut off.
#[test]
fn statistics_come_while_it_runs() {
    let dir = testkit::scratch_dir();
    let (running, vms) = three_vms(dir.path(), 1);
    let mut capture = running.control.capture(&CaptureRequest::default()).unwrap();
    send_some(&vms);
    let mut bytes = Vec::new();
    let told = testkit::wait_until(PATIENCE, || {
        capture.read_into(&mut bytes, Duration::from_millis(50));
        File::parse(&bytes).statistics.len() == 3
    });
    assert!(told);
    let file = File::parse(&bytes);
    assert_eq!(file.statistics["test/p1"], (2, 2, 0));
    assert_eq!(file.ended, [""; 0]);
    running.stop();
}

/// What was captured of [`send_some`], in a file.
fn captured(dir: &Path) -> std::path::PathBuf {
    let (running, vms) = three_vms(dir, 1);
    let mut capture = running.control.capture(&CaptureRequest::default()).unwrap();
    send_some(&vms);
    capture.stop();
    let path = dir.join("capture.pcapng");
    std::fs::write(&path, rest(&mut capture)).unwrap();
    running.stop();
    path
}

fn lines_of(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    assert!(!complaint.to_lowercase().contains("error"), "{complaint}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn tcpdump_reads_it() {
    if !testkit::tcpdump::or_skip() {
        return;
    }
    let dir = testkit::scratch_dir();
    let path = captured(dir.path());
    let mut tcpdump = testkit::tcpdump::command();
    tcpdump.args(["-nn", "-e", "-t", "--count", "-r"]).arg(&path);
    assert_eq!(lines_of(&mut tcpdump), ["8 packets"]);
    let mut tcpdump = testkit::tcpdump::command();
    tcpdump.args(["-nn", "-e", "-t", "-r"]).arg(&path).arg("ether src 02:00:00:00:00:00");
    let lines = lines_of(&mut tcpdump);
    let of_p0 = lines.iter().filter(|line| line.contains("02:00:00:00:00:00 > 02:00:00:00:00:01"));
    assert_eq!(of_p0.count(), 2, "{lines:?}");
}

#[test]
fn tshark_reads_ports_directions_and_reasons() {
    if !testkit::tool_or_skip("tshark", "tshark") {
        return;
    }
    let dir = testkit::scratch_dir();
    let path = captured(dir.path());
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(&path).args(["-T", "fields", "-E", "separator=|"]);
    for field in
        ["frame.interface_name", "frame.packet_flags_direction", "frame.len", "frame.comment"]
    {
        tshark.args(["-e", field]);
    }
    // As another user than root it may have no home to look for settings in.
    tshark.env("HOME", dir.path());
    let mut lines = lines_of(&mut tshark);
    // Of the flood, any copy may be the first.
    lines[3..5].sort();
    let expected = [
        "test/p0|0x00000001|60|",
        "test/p1|0x00000002|60|",
        "test/p1|0x00000001|1514|",
        "test/p0|0x00000002|1514|",
        "test/p2|0x00000002|1514|",
        "test/p2|0x00000001|60|dropped: foreign source",
        "test/p2|0x00000001|100|",
        "test/p0|0x00000002|100|",
    ];
    assert_eq!(lines, expected);
}
