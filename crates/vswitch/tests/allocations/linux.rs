//! Linux's ports.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant, SystemTime};
use testkit::command::ip;

use afpacket::{Options, Outgoing, PacketSocket, ReceiveError, Slot, VnetHdr};
use vswitch::capture::{
    Filter, RING_BYTES_MAX, RING_BYTES_MIN, Record, TapCounters, TapReader, TapSettings, tap,
};
use vswitch::fabric::{PortPolicy, Settings};
use vswitch::port::linux::{DatagramPort, PacketLink, PacketPort, TapPort, UnixgramPort};
use vswitch::port::unix::{Access, StreamListener, StreamPort};
use vswitch::port::{Port, TrunkPort};
use vswitch::switch::{ListenerSettings, NetworkId, PortSettings, Switch, WhenGone};
use vswitch::{MacAddr, Nanos};

use crate::assert_none;
use crate::counting::allocations_in;
use crate::slow_clock::SlowClock;
use crate::testing::{self, Shape};

/// A switch with one network, stepped by the test.
struct Rig {
    switch: Switch<SlowClock>,
    /// Another loop, behind a trunk.
    other: Option<Switch<SlowClock>>,
    network: NetworkId,
    dir: tempfile::TempDir,
}

/// The end of a cable whose other end is a port.
trait Peer {
    /// Sends one frame.
    fn put(&mut self, frame: &[u8]);
    /// How many of the test's frames have come since it was asked last.
    fn receive(&mut self) -> usize;
}

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// How long a burst may take.
const PATIENCE: Duration = Duration::from_secs(20);

impl Rig {
    fn new() -> Self {
        let mut switch = Switch::new(SlowClock::new());
        let network = switch.add_network("test", Settings::default());
        Self { switch, other: None, network, dir: testkit::scratch_dir() }
    }

    /// Puts a trunk and another loop before the ports there are; those added from now on are behind
    /// it.
    fn go_behind_a_trunk(&mut self) {
        let mut other = Switch::new(SlowClock::new());
        other.add_network("test", Settings::default());
        std::mem::swap(&mut self.switch, &mut other);
        self.other = Some(other);
        let (near, far) = TrunkPort::pair(1 << 20).expect("descriptors");
        let policy = PortPolicy { trunk: true, ..PortPolicy::default() };
        let name = "trunk".to_owned();
        let network = self.network;
        let settings =
            PortSettings { name, network, policy, when_gone: WhenGone::Keep, waits: true };
        for (switch, end) in [&mut self.switch].into_iter().chain(&mut self.other).zip([near, far])
        {
            switch.add_port(settings.clone(), Box::new(end)).expect("a free place");
        }
    }

    fn add(&mut self, name: &str, port: Box<dyn Port>) {
        let settings = PortSettings {
            name: name.to_owned(),
            network: self.network,
            policy: PortPolicy::default(),
            when_gone: WhenGone::Keep,
            waits: true,
        };
        self.switch.add_port(settings, port).expect("a free place");
    }

    /// A port bound at a path, and a peer that is connected to it.
    fn unixgram(&mut self, name: &str) -> UnixDatagram {
        let path = self.dir.path().join(name);
        let port = UnixgramPort::bind(&path, Access::default()).expect("a free path");
        self.add(name, Box::new(port));
        let peer = UnixDatagram::bind(path.with_extension("vm")).expect("a free path");
        peer.connect(&path).expect("the port");
        nonblocking(peer)
    }

    fn datagram(&mut self, name: &str) -> UnixDatagram {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        self.add(name, Box::new(DatagramPort::new(theirs.into())));
        nonblocking(ours)
    }

    fn stream(&mut self, name: &str) -> Stream {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        self.add(name, Box::new(StreamPort::new(theirs.into())));
        Stream::new(ours)
    }

    /// A listener's client.
    fn client(&mut self, name: &str) -> Stream {
        let path = self.dir.path().join(name);
        let listener = StreamListener::bind(&path, Access::default()).expect("a free path");
        let settings = ListenerSettings {
            name: name.to_owned(),
            network: self.network,
            policy: PortPolicy::default(),
            clients_max: 2,
        };
        self.switch.add_listener(settings, Box::new(listener)).expect("a free place");
        Stream::new(UnixStream::connect(&path).expect("the listener"))
    }

    /// One round of the switch, which does not wait; how many allocations it made.
    fn step(&mut self) -> usize {
        allocations_in(|| {
            self.switch.step(Nanos(0)).expect("epoll");
            if let Some(other) = &mut self.other {
                other.step(Nanos(0)).expect("epoll");
            }
        })
    }

    /// Has every station heard.
    fn greet(&mut self, peers: &mut [(&mut dyn Peer, MacAddr)]) {
        for (peer, mac) in &mut *peers {
            peer.put(&frame(MacAddr::BROADCAST, *mac, 60));
            for _ in 0..20 {
                self.step();
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        for (peer, _) in peers {
            peer.receive();
        }
    }
}

/// Frames from A to B: none costs an allocation.
#[track_caller]
fn assert_path(path: &str, rig: &mut Rig, a: &mut dyn Peer, b: &mut dyn Peer) {
    rig.greet(&mut [(a, A), (b, B)]);
    let frames = [60, 1514].map(|len| frame(B, A, len));
    assert_none(path, |count| {
        frames.iter().cycle().take(count).for_each(|frame| a.put(frame));
        carry(rig, count, || b.receive())
    });
}

/// Steps the switch until `arrived` has told of so many frames; the allocations it made.
#[track_caller]
fn carry(rig: &mut Rig, frames: usize, mut arrived: impl FnMut() -> usize) -> usize {
    let end = Instant::now() + PATIENCE;
    let (mut allocations, mut got) = (0, 0);
    while got < frames {
        allocations += rig.step();
        got += arrived();
        assert!(Instant::now() < end, "{got} of {frames}; {:?}", rig.switch.report());
    }
    assert_eq!(got, frames, "none twice");
    allocations
}

#[test]
fn unixgram_to_unixgram() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.unixgram("a"), rig.unixgram("b"));
    assert_path("unixgram to unixgram", &mut rig, &mut a, &mut b);
}

/// Four captures see every frame: with room and without, of all and of what a filter takes. Nobody
/// reads them.
#[test]
fn captured() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.unixgram("a"), rig.stream("b"));
    let mut readers = Vec::new();
    let filter: Filter = "ldh [12]\njneq #0x88b5, drop\nret #60\ndrop: ret #0".parse().unwrap();
    for ring_bytes in [RING_BYTES_MAX, RING_BYTES_MIN] {
        for filter in [None, Some(filter.clone())] {
            let (tap, reader) =
                tap(TapSettings { ring_bytes, filter, ..TapSettings::default() }).unwrap();
            rig.switch.attach_tap(tap, SystemTime::now()).expect("there are none");
            readers.push(reader);
        }
    }
    assert_path("captured", &mut rig, &mut a, &mut b);
    drop(rig);
    let counters = readers.iter_mut().map(last_counters);
    let [all, some, few, least] = counters.collect::<Vec<_>>()[..] else { panic!("four") };
    assert!(all.captured_frames() > 2000 && all.lost_frames == 0, "{all:?}");
    assert_eq!(all, some, "{all:?} {some:?}: the filter accepts the test's frames");
    assert!(few.lost_frames > 0 && least.captured_frames() > few.captured_frames());
}

/// A ring that was full before all ports were told of: each frame at one of the others has that
/// tried again.
#[test]
fn captured_by_a_ring_without_room_for_a_ports_name() {
    let mut rig = Rig::new();
    let told = RING_BYTES_MIN / 1024;
    let mut port = |name: usize| rig.datagram(&format!("{name:x<1024}"));
    let _others: Vec<_> = (0..told).map(&mut port).collect();
    let (mut a, mut b) = (port(told), port(told + 1));
    let settings = TapSettings { ring_bytes: RING_BYTES_MIN, ..TapSettings::default() };
    let (tap, mut reader) = tap(settings).unwrap();
    rig.switch.attach_tap(tap, SystemTime::now()).expect("there are none");
    assert_path("captured without room for a name", &mut rig, &mut a, &mut b);
    let mut ports = 0;
    while let Some(record) = reader.next() {
        assert!(matches!(record, Record::Port { name, .. } if name.len() == 1024), "{record:?}");
        ports += 1;
    }
    assert!((1..told).contains(&ports), "{ports}");
}

fn last_counters(reader: &mut TapReader) -> TapCounters {
    let mut sum = TapCounters::default();
    while let Some(record) = reader.next() {
        if let Record::Counters { counters, .. } = record {
            sum.seen_frames += counters.seen_frames;
            sum.accepted_frames += counters.accepted_frames;
            sum.lost_frames += counters.lost_frames;
        }
    }
    sum
}

#[test]
fn datagram_descriptor_to_datagram_descriptor() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.datagram("a"), rig.datagram("b"));
    assert_path("fd to fd", &mut rig, &mut a, &mut b);
}

#[test]
fn over_a_trunk() {
    let mut rig = Rig::new();
    let mut a = rig.unixgram("a");
    rig.go_behind_a_trunk();
    let mut b = rig.datagram("b");
    assert_path("over a trunk", &mut rig, &mut a, &mut b);
}

#[test]
fn stream_to_stream() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.stream("a"), rig.stream("b"));
    assert_path("stream to stream", &mut rig, &mut a, &mut b);
}

#[test]
fn stream_to_unixgram_and_back() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.stream("a"), rig.unixgram("b"));
    assert_path("stream to unixgram", &mut rig, &mut a, &mut b);
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.unixgram("a"), rig.stream("b"));
    assert_path("unixgram to stream", &mut rig, &mut a, &mut b);
}

#[test]
fn listeners_clients() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.client("a"), rig.client("b"));
    assert_path("client to client", &mut rig, &mut a, &mut b);
}

#[test]
fn tap_to_tap() {
    let Some(()) = namespace() else { return };
    if let Err(error) = TapPort::attach("probe0") {
        return testkit::skip(&format!("no TAP (root of the whole machine is needed): {error}"));
    }
    let mut rig = Rig::new();
    for name in ["tap0", "tap1"] {
        rig.add(name, Box::new(TapPort::attach(name).expect("the first one could be made")));
        ip(&format!("link set {name} addrgenmode none up"));
    }
    let (mut a, mut b) = (Card::open("tap0"), Card::open("tap1"));
    assert_path("TAP to TAP", &mut rig, &mut a, &mut b);
}

#[test]
fn unixgram_to_packet_and_back() {
    let Some(()) = namespace() else { return };
    for link in
        [PacketLink::Finished, PacketLink::Messages, PacketLink::Interface, PacketLink::Pair]
    {
        let (mut rig, mut card) = rig_with_packet_port(link);
        let mut guest = rig.unixgram("vm");
        assert_path("unixgram to packet", &mut rig, &mut guest, &mut card);
        let (mut rig, mut card) = rig_with_packet_port(link);
        let mut guest = rig.unixgram("vm");
        assert_path("packet to unixgram", &mut rig, &mut card, &mut guest);
    }
}

/// What a stack left to the card is cut for a guest that cannot.
#[test]
fn segments_are_cut() {
    let Some(()) = namespace() else { return };
    let (mut rig, mut card) = rig_with_packet_port(PacketLink::Pair);
    let mut guest = rig.datagram("vm");
    rig.greet(&mut [(&mut card, A), (&mut guest, B)]);
    let (segment, vnet) = tcp_segment();
    let outgoing = Outgoing::new(&segment).with_vnet(vnet);
    assert_none("segments", |count| {
        // Each makes many frames: a few are a burst.
        let segments = count.min(3);
        for _ in 0..segments {
            let sent = card.0.send(&[outgoing]);
            assert!(matches!(sent, (1, None)), "{sent:?}");
        }
        carry(&mut rig, segments * PIECES_PER_SEGMENT, || guest.receive())
    });
}

#[test]
fn a_flood_to_several_ports() {
    let mut rig = Rig::new();
    let mut a = rig.unixgram("a");
    let mut others: Vec<Box<dyn Peer>> = vec![
        Box::new(rig.unixgram("b")),
        Box::new(rig.datagram("c")),
        Box::new(rig.stream("d")),
        Box::new(rig.client("e")),
    ];
    rig.greet(&mut [(&mut a, A)]);
    for (other, n) in others.iter_mut().zip(10..) {
        rig.greet(&mut [(&mut **other, MacAddr([2, 0, 0, 0, 0, n]))]);
    }
    for other in &mut others {
        other.receive();
    }
    let frame = frame(MacAddr::BROADCAST, A, 300);
    assert_none("a flood", |count| {
        (0..count).for_each(|_| a.put(&frame));
        let copies = count * others.len();
        carry(&mut rig, copies, || others.iter_mut().map(|other| other.receive()).sum())
    });
}

/// The reader takes nothing for many rounds: its port is full, frames wait in its queue, and the
/// sender's are held.
#[test]
fn a_slow_reader() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.datagram("a"), rig.datagram("b"));
    rig.greet(&mut [(&mut a, A), (&mut b, B)]);
    let frame = frame(B, A, 1514);
    let mut pauses = 0;
    assert_none("a slow reader", |_| {
        let (mut allocations, mut sent, mut got) = (0, 0, 0);
        while sent < 6000 {
            while sent < 6000 && a.send_or_full(&frame) {
                sent += 1;
            }
            allocations += rig.step();
            // So few that the queue stays full, so many that the port makes progress.
            got += (0..16).filter(|_| b.recv(&mut [0; 60]).is_ok()).count();
        }
        pauses = rig.switch.report().ports[0].counters.pauses;
        allocations + carry(&mut rig, sent - got, || b.receive())
    });
    assert!(pauses > 50, "the sender had to wait: {pauses}");
}

fn namespace() -> Option<()> {
    (testkit::tool_or_skip("ip", "iproute2") && testkit::netns::enter_or_skip()).then_some(())
}

/// A switch with the near end of a pair, and the pair's far end.
fn rig_with_packet_port(link: PacketLink) -> (Rig, Card) {
    static PAIRS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = PAIRS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let (near, far) = (format!("near{number}"), format!("far{number}"));
    ip(&format!("link add {near} type veth peer name {far}"));
    for end in [&near, &far] {
        ip(&format!("link set {end} addrgenmode none up"));
    }
    testkit::netns::wait_until_active(&[&near, &far]);
    let mut rig = Rig::new();
    let port = PacketPort::open(&near, None, link).expect("an interface of ours");
    rig.add("uplink", Box::new(port));
    (rig, Card::open(&far))
}

/// A packet socket on an interface, as the stack behind it.
struct Card(PacketSocket);

impl Card {
    fn open(interface: &str) -> Self {
        let options =
            Options { vnet_hdr: true, send_buffer_bytes: Some(4 << 20), ..Options::default() };
        Self(PacketSocket::open(interface, &[], &options).expect("an interface of ours"))
    }
}

impl Peer for Card {
    fn put(&mut self, frame: &[u8]) {
        let sent = self.0.send(&[Outgoing::new(frame)]);
        assert!(matches!(sent, (1, None)), "{sent:?}");
    }

    fn receive(&mut self) -> usize {
        let mut frames = 0;
        loop {
            let mut buffer = [0; 2048];
            let mut slots = [Slot::new(&mut buffer)];
            match self.0.receive(&mut slots) {
                Ok(1..) => frames += usize::from(is_ours(slots[0].head())),
                Ok(_) | Err(ReceiveError::WouldBlock) => return frames,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A stream of length-prefixed frames.
struct Stream {
    socket: UnixStream,
    bytes: Vec<u8>,
}

impl Stream {
    fn new(socket: UnixStream) -> Self {
        socket.set_nonblocking(true).expect("non-blocking");
        Self { socket, bytes: Vec::new() }
    }
}

impl Peer for Stream {
    fn put(&mut self, frame: &[u8]) {
        let prefix = u32::try_from(frame.len()).expect("short").to_be_bytes();
        self.socket.write_all(&[&prefix[..], frame].concat()).expect("room for a burst");
    }

    fn receive(&mut self) -> usize {
        match self.socket.read_to_end(&mut self.bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("the switch keeps the stream open: {other:?}"),
        }
        let (mut frames, mut rest) = (0, &self.bytes[..]);
        while let Some((prefix, behind)) = rest.split_first_chunk() {
            let len = u32::from_be_bytes(*prefix) as usize;
            let Some((frame, behind)) = behind.split_at_checked(len) else { break };
            frames += usize::from(is_ours(frame));
            rest = behind;
        }
        self.bytes.drain(..self.bytes.len() - rest.len());
        frames
    }
}

trait SendOrFull {
    /// `false` when there is no room now.
    fn send_or_full(&self, frame: &[u8]) -> bool;
}

impl SendOrFull for UnixDatagram {
    fn send_or_full(&self, frame: &[u8]) -> bool {
        match self.send(frame) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Peer for UnixDatagram {
    fn put(&mut self, frame: &[u8]) {
        assert!(self.send_or_full(frame), "room for a burst");
    }

    fn receive(&mut self) -> usize {
        let (mut frames, mut buffer) = (0, [0; 2048]);
        loop {
            match self.recv(&mut buffer) {
                Ok(len) => frames += usize::from(is_ours(&buffer[..len])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return frames,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn nonblocking(socket: UnixDatagram) -> UnixDatagram {
    socket.set_nonblocking(true).expect("non-blocking");
    socket
}

const TYPE_TEST: [u8; 2] = [0x88, 0xb5];

fn frame(to: MacAddr, from: MacAddr, len_bytes: usize) -> Vec<u8> {
    let mut frame = [&to.0[..], &from.0, &TYPE_TEST].concat();
    frame.resize(len_bytes, 0x5a);
    frame
}

/// Whether it is one of those that the test sent, and no interface's own.
fn is_ours(frame: &[u8]) -> bool {
    frame.get(6..12) == Some(&A.0)
}

const PIECE_BYTES: u16 = 1400;
const PIECES_PER_SEGMENT: usize = 40;

/// A segment from A to B that makes so many frames.
fn tcp_segment() -> (Vec<u8>, VnetHdr) {
    let shape = Shape {
        version: testing::V4,
        tcp: true,
        tags: 0,
        network_options: 0,
        tcp_options: 3,
        flags: 0x18,
        payload: PIECES_PER_SEGMENT * usize::from(PIECE_BYTES),
        segment: PIECE_BYTES,
        seed: 5,
    };
    let example = shape.build();
    let fields = example.offload.to_vnet();
    let header = VnetHdr {
        flags: fields.flags,
        gso_type: fields.gso_type,
        hdr_len: fields.hdr_len,
        gso_size: fields.gso_size,
        csum_start: fields.csum_start,
        csum_offset: fields.csum_offset,
    };
    (example.bytes, header)
}
