//! What a filter on an AF_PACKET socket sees of a received frame, against `Metadata::ethernet`:
//! frames go through a veth pair in a namespace of the test's own.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "a socket address of the packet family is written by hand")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

use bpf::{Dialect, Interface, Metadata, RawInsn, VlanTag, run, words};
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

#[allow(dead_code, reason = "shared by tests that each need a part of it")]
mod common;
use common::{Random, cases, seed, sensible_program};

#[test]
fn the_interpreter_agrees_about_received_frames() {
    if !testkit::tool_or_skip("ip", "iproute2") || !testkit::netns::enter_or_skip() {
        return;
    }
    let wire = Wire::new();
    let (mut programs, mut passed, mut dropped) = (0u64, 0u64, 0u64);
    let cases = cases(3_000);
    for case in 0..cases {
        let seed = seed(0x7061_636b, case);
        let mut random = Random::new(seed);
        let words =
            if case % 4 == 0 { asks_one_fact(&mut random) } else { sensible_program(&mut random) };
        if bpf::verify(Dialect::Linux, &words).is_err() || asks_unmodelled(&words) {
            continue;
        }
        programs += 1;
        wire.attach(&words);
        let sent = Sent::new(&mut random, wire.interface);
        let answer = wire.pass(&sent);
        let verdict = run(Dialect::Linux, &words, &sent.received, &sent.metadata);
        let verdict = verdict.expect("verified");
        let expected = verdict.accepts().then(|| verdict.taken_len(sent.received.len()));
        let shown = || format!("BPF_SEED={seed}\n{}{sent:02x?}", bpf::Listing(&words));
        assert_eq!(answer, expected, "{}{}", words::to_decimal(&words), shown());
        if answer.is_some() { passed += 1 } else { dropped += 1 }
    }
    let least = passed.min(dropped);
    assert!(cases == 1 || least > programs / 10, "{programs}: {passed} passed, {dropped} dropped");
}

/// Shows one fact about the frame as the length that is taken of it.
fn asks_one_fact(random: &mut Random) -> Vec<RawInsn> {
    let field =
        random.pick(&["proto", "type", "ifidx", "hatype", "vlan_tci", "vlan_avail", "vlan_tpid"]);
    let load = random.pick(&["ld", "ldh", "ldb"]);
    let shift = random.below(16);
    let text = format!("{load} #{field}\nrsh #{shift}\nand #0x1f\nadd #1\nret a");
    bpf::parse(&text).expect("assembles").words().to_vec()
}

/// Where the kernel's answer depends on more than the frame: hash, queue, processor, flow
/// dissector, random numbers.
fn asks_unmodelled(words: &[RawInsn]) -> bool {
    let unmodelled = [24, 32, 36, 52, 56].map(|number| 0xffff_f000 + number);
    words.iter().any(|word| unmodelled.contains(&word.k))
}

/// A frame, what is received of it, and what is known about it there.
#[derive(Debug)]
struct Sent {
    frame: Vec<u8>,
    received: Vec<u8>,
    metadata: Metadata,
}

impl Sent {
    fn new(random: &mut Random, interface: Interface) -> Self {
        let to = random.pick(&[MAC, [0xff; 6], [0x33, 0x33, 0, 0, 0, 1], [2, 9, 9, 9, 9, 9]]);
        let addresses = [to, [2, 0, 0, 0, 0, 1]].concat();
        let tpid = random.pick(&[0x8100u16, 0x88a8]);
        let tag =
            random.chance(40).then(|| VlanTag { tci: 0x2000 + u16::from(random.byte()), tpid });
        // A length (0 to 0x5ff) is not an EtherType; the kernel then looks behind it.
        let kind = random.pick(&[[0x88, 0xb5], [0x08, 0x06], [0x86, 0xdd], [0, 46], [5, 0xff]]);
        let body_len = 46 + random.below(900) as usize;
        let mut body = random.bytes(body_len);
        if random.chance(50) {
            body[..2].fill(0xff);
        }
        let on_the_wire = match tag {
            Some(VlanTag { tci, tpid }) => [tpid.to_be_bytes(), tci.to_be_bytes()].concat(),
            None => Vec::new(),
        };
        let received = [&addresses, &kind[..], &body].concat();
        let frame = [&addresses, &on_the_wire, &kind[..], &body].concat();
        let mut metadata = Metadata::ethernet(&received);
        metadata.interface = Some(interface);
        metadata.vlan = tag;
        if to == [2, 9, 9, 9, 9, 9] {
            metadata.packet_type = PACKET_OTHERHOST;
        }
        Self { frame, received, metadata }
    }
}

/// A veth pair: frames are written to one end and read from the other, there once through a filter
/// and once without, to know when they are through.
struct Wire {
    input: Socket,
    all: Socket,
    filtered: Socket,
    interface: Interface,
}

impl Wire {
    fn new() -> Self {
        for command in [
            "link add vswbpf0 type veth peer name vswbpf1",
            "link set vswbpf0 addrgenmode none up",
            "link set vswbpf1 addrgenmode none address 02:00:00:00:00:02 up",
        ] {
            let status = Command::new("ip").args(command.split(' ')).status().expect("ip starts");
            assert!(status.success(), "ip {command}");
        }
        testkit::netns::wait_until_active(&["vswbpf0", "vswbpf1"]);
        let interface = Interface { index: index("vswbpf1"), hardware_type: 1 };
        let all = packet_socket("vswbpf1");
        // The socket that was opened last gets a frame first.
        let filtered = packet_socket("vswbpf1");
        filtered.set_nonblocking(true).expect("O_NONBLOCK");
        all.set_read_timeout(Some(Duration::from_secs(5))).expect("SO_RCVTIMEO");
        Self { input: packet_socket("vswbpf0"), all, filtered, interface }
    }

    fn attach(&self, words: &[RawInsn]) {
        let filter: Vec<SockFilter> = words
            .iter()
            .map(|&RawInsn { code, jt, jf, k }| SockFilter::new(code, jt, jf, k))
            .collect();
        self.filtered.attach_filter(&filter).expect("SO_ATTACH_FILTER");
        let mut buffer = [0; 2048];
        while (&self.filtered).read(&mut buffer).is_ok() {}
    }

    /// How many bytes come through the filter.
    fn pass(&self, sent: &Sent) -> Option<usize> {
        assert_eq!((&self.input).write(&sent.frame).expect("send"), sent.frame.len());
        let mut buffer = [0; 2048];
        loop {
            let len = (&self.all).read(&mut buffer).expect("the frame arrives");
            // The system's own frames (neighbour discovery, multicast reports) pass by.
            if buffer[..len] == sent.received {
                break;
            }
        }
        loop {
            match (&self.filtered).read(&mut buffer) {
                Ok(len) if sent.received.starts_with(&buffer[..len]) => return Some(len),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("recv: {error}"),
            }
        }
    }
}

fn index(interface: &str) -> u32 {
    let name = std::ffi::CString::new(interface).expect("no NUL");
    // SAFETY: `name` is a string with a NUL at its end, alive during the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0, "{interface} is there");
    index
}

/// An AF_PACKET socket that sends to and receives from `interface` alone.
fn packet_socket(interface: &str) -> Socket {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0))).expect("socket");
    let address = |storage: *mut socket2::SockAddrStorage, len: *mut libc::socklen_t| {
        let link = libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).expect("small"),
            sll_protocol: u16::try_from(libc::ETH_P_ALL).expect("small").to_be(),
            sll_ifindex: i32::try_from(index(interface)).expect("small"),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: socket addresses of every family fit the storage, which is aligned for them.
        unsafe { storage.cast::<libc::sockaddr_ll>().write(link) };
        let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).expect("small");
        // SAFETY: `len` points to the length that belongs to the storage.
        unsafe { len.write(size) };
        Ok(())
    };
    // SAFETY: `address` writes a whole address of the family that it names, and its length.
    let ((), address) = unsafe { SockAddr::try_init(address) }.expect("does not fail");
    socket.bind(&address).expect("bind");
    socket
}

/// The address of the receiving end.
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const PACKET_OTHERHOST: u8 = 3;
