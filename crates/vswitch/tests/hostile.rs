//! Hostile VMs on every kind of port at once: whatever they send, the switch goes on, counts it and
//! keeps to its memory, and nobody passes for another.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use common::peers::{Random, StreamPeer, framed, receive, vfkit};
use common::{Running, add, frame, number, settings, station};
use vswitch::MacAddr;
use vswitch::counters::DropReason;
use vswitch::fabric::PortPolicy;
use vswitch::port::linux::{DatagramPort, TapPort, UnixgramPort};
use vswitch::port::unix::{Access, StreamConnectPort, StreamListener, StreamPort};

const ATTACK_FOR: Duration = Duration::from_secs(4);

/// The good VMs' addresses are declared: frames of others that bear them are dropped.
const GOOD: [MacAddr; 2] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];

/// What stands in each frame of the good VMs, and nowhere else.
const SEAL: u64 = 0x005e_a1ed_0000_0000;

/// The switch's own bound: 6 MiB, and half a MiB for each port (`POOL_BASE_BYTES` and
/// `POOL_PORT_BYTES` in switch/mod.rs).
const MEMORY_MAX: usize = (6 << 20) + 40 * (512 << 10);

/// How much the whole process may grow meanwhile, the hostile VMs' own buffers included.
const GROWTH_MAX_KB: u64 = 96 << 10;

#[test]
fn hostile_vms_on_every_kind_of_port_harm_nobody() {
    let seed: u64 = match std::env::var("VSWITCH_HOSTILE_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => 20_260_607,
    };
    println!("replay: VSWITCH_HOSTILE_SEED={seed} cargo test -p vswitch --test hostile");
    let dir = testkit::scratch_dir();
    let (running, pair, stream) = start(dir.path());
    let good = ["g1", "g2"].map(|port| vfkit(dir.path(), &format!("{port}.vm"), port));
    let resident_kb = resident_kb();
    let end = Instant::now() + ATTACK_FOR;
    std::thread::scope(|scope| {
        let dir = dir.path();
        let seeded = |n: u64| Random(seed.wrapping_mul(31).wrapping_add(n));
        scope.spawn(move || datagrams_by_path(dir, "h1", seeded(1), end));
        scope.spawn(move || datagrams_by_path(dir, "h2", seeded(2), end));
        scope.spawn(move || datagrams_on_a_pair(&pair, seeded(3), end));
        scope.spawn(move || streams_to_the_listener(dir, seeded(4), end));
        scope.spawn(move || streams_to_the_listener(dir, seeded(5), end));
        scope.spawn(move || stream_once(stream, seeded(6), end));
        scope.spawn(move || connections_from_the_switch(dir, seeded(7), end));
        good_vms(&good, end);
    });
    let grown_kb = self::resident_kb().saturating_sub(resident_kb);
    assert!(grown_kb < GROWTH_MAX_KB, "the process grew by {grown_kb} kB");
    check_after(dir.path(), &running, &good);
    check_counters(running);
}

/// The switch, and the VMs' ends of a datagram pair and a stream pair.
fn start(dir: &Path) -> (Running, UnixDatagram, UnixStream) {
    let (pair, pair_far) = UnixDatagram::pair().unwrap();
    let (stream, stream_far) = UnixStream::pair().unwrap();
    let running = Running::start(|switch, network| {
        let unixgram =
            |name: &str| Box::new(UnixgramPort::bind(&dir.join(name), Access::default()).unwrap());
        for (name, mac) in [("g1", GOOD[0]), ("g2", GOOD[1])] {
            let policy = PortPolicy { mac: Some(mac), ..PortPolicy::default() };
            let settings = vswitch::switch::PortSettings { policy, ..settings(network, name) };
            switch.add_port(settings, unixgram(name)).unwrap();
        }
        for name in ["h1", "h2"] {
            add(switch, network, name, unixgram(name));
        }
        add(switch, network, "pair", Box::new(DatagramPort::new(OwnedFd::from(pair_far))));
        add(switch, network, "stream", Box::new(StreamPort::new(OwnedFd::from(stream_far))));
        let connecting = StreamConnectPort::new(&dir.join("q")).unwrap();
        add(switch, network, "q", Box::new(connecting));
        let listener = StreamListener::bind(&dir.join("s"), Access::default()).unwrap();
        common::add_listener(switch, network, "s", 16, Box::new(listener));
        // Where there may be one, a TAP hears all that is flooded, its interface being down.
        if let Ok(tap) = TapPort::attach("hostile0") {
            add(switch, network, "tap", Box::new(tap));
        }
    });
    (running, pair, stream)
}

/// What a hostile VM sends next: sometimes a frame, often not.
fn bad_frame(random: &mut Random) -> Vec<u8> {
    let any = random.next();
    let stranger = MacAddr([2, 0xbb, any.to_le_bytes()[0], any.to_le_bytes()[1], 0, 9]);
    let group = MacAddr([1, 0, 0x5e, 0, 0, any.to_le_bytes()[2]]);
    let size = 14 + random.below(1600);
    match random.below(14) {
        0 => Vec::new(),
        1 => b"VFKT".to_vec(),
        2 => {
            let size = random.below(14);
            random.bytes(size)
        }
        3 => vec![2; 65_551 + random.below(2000)],
        4 => frame(GOOD[0], stranger, 65_550, any),
        // Whom it passes for: a good VM, everybody, nobody, a group.
        5 => frame(GOOD[1], GOOD[0], size, any),
        6 => frame(GOOD[0], MacAddr([0xff; 6]), size, any),
        7 => frame(GOOD[0], MacAddr([0; 6]), size, any),
        8 => frame(GOOD[0], group, size, any),
        // To itself, to all, to nobody: a new address each time, until the table is full.
        9 => frame(stranger, stranger, size, any),
        10 => frame(MacAddr([0xff; 6]), stranger, size, any),
        11 => frame(group, stranger, size, any),
        12 => frame(GOOD[1], stranger, size, any),
        _ => {
            let size = random.below(200);
            random.bytes(size)
        }
    }
}

fn datagrams_by_path(dir: &Path, port: &str, mut random: Random, end: Instant) {
    for life in 0_u32.. {
        // On the same path, on a new one, without one.
        let own = dir.join(match life % 3 {
            2 => format!("{port}.{life}"),
            _ => format!("{port}.vm"),
        });
        let _ = std::fs::remove_file(&own);
        let socket = match random.below(4) {
            0 => UnixDatagram::unbound().unwrap(),
            _ => UnixDatagram::bind(&own).unwrap(),
        };
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 70_000];
        for _ in 0..random.below(3000) {
            if Instant::now() >= end {
                return;
            }
            // Refused while its predecessor is taken for alive, or when the port is full.
            if socket.send_to(&bad_frame(&mut random), dir.join(port)).is_err() {
                std::thread::sleep(Duration::from_micros(200));
            }
            if random.below(5) == 0 {
                let _ = socket.recv(&mut buffer);
            }
        }
        if random.below(3) == 0 {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// One that floods and never reads.
fn datagrams_on_a_pair(socket: &UnixDatagram, mut random: Random, end: Instant) {
    socket.set_nonblocking(true).unwrap();
    while Instant::now() < end {
        if socket.send(&bad_frame(&mut random)).is_err() {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

fn streams_to_the_listener(dir: &Path, mut random: Random, end: Instant) {
    while Instant::now() < end {
        let Ok(stream) = UnixStream::connect(dir.join("s")) else { continue };
        stream_for_a_while(stream, &mut random, end);
    }
}

fn stream_once(stream: UnixStream, mut random: Random, end: Instant) {
    stream_for_a_while(stream, &mut random, end);
}

fn connections_from_the_switch(dir: &Path, mut random: Random, end: Instant) {
    while Instant::now() < end {
        let _ = std::fs::remove_file(dir.join("q"));
        let listener = UnixListener::bind(dir.join("q")).unwrap();
        listener.set_nonblocking(true).unwrap();
        for _ in 0..3 {
            let _ = testkit::wait_until(Duration::from_millis(500), || match listener.accept() {
                Ok((stream, _)) => {
                    stream_for_a_while(stream, &mut random, end);
                    true
                }
                Err(_) => false,
            });
        }
    }
}

/// Frames, garbage, and lengths that cannot be, in pieces of any size; sometimes reading.
fn stream_for_a_while(mut stream: UnixStream, random: &mut Random, end: Instant) {
    stream.set_nonblocking(true).unwrap();
    let mut buffer = [0; 10_000];
    for _ in 0..random.below(400) {
        if Instant::now() >= end {
            return;
        }
        let frame = bad_frame(random);
        let mut bytes = match random.below(60) {
            0 => u32::try_from(random.next() >> 32).unwrap().to_be_bytes().to_vec(),
            1 => random.bytes(7),
            // Its empty ones and those too long would end the stream at once: seldom.
            2 => framed(&frame),
            _ if (1..=65_550).contains(&frame.len()) => framed(&frame),
            _ => continue,
        };
        while !bytes.is_empty() && Instant::now() < end {
            let piece = 1 + random.below(bytes.len());
            match stream.write(&bytes[..piece]) {
                Ok(len) => drop(bytes.drain(..len)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                Err(_) => return, // the switch has closed it, as it should
            }
        }
        if random.below(3) == 0 {
            let _ = stream.read(&mut buffer);
        }
    }
}

/// The good VMs send to each other meanwhile. Under such floods frames may be lost (and counted);
/// but none arrives changed, out of order, or from somebody else under their names.
fn good_vms(good: &[UnixDatagram; 2], end: Instant) {
    let mut buffer = vec![0; 70_000];
    for socket in good {
        socket.set_nonblocking(true).unwrap();
    }
    let (mut sent, mut last, mut arrived) = (0, [0; 2], 0);
    while Instant::now() < end + Duration::from_millis(200) {
        if Instant::now() < end {
            sent += 1;
            for (n, socket) in good.iter().enumerate() {
                let _ = socket.send(&good_frame(n, sent));
            }
        }
        for (n, socket) in good.iter().enumerate() {
            for _ in 0..500 {
                let Ok(len) = socket.recv(&mut buffer) else { break };
                if !is_from_good(&buffer[..len], 1 - n) {
                    continue;
                }
                let count = number(&buffer[..len]) ^ SEAL;
                assert!(buffer[..len] == good_frame(1 - n, count), "a frame was changed");
                assert!(count > last[n], "{count} after {}", last[n]);
                last[n] = count;
                arrived += 1;
            }
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    assert!(arrived > 100, "only {arrived} of {} frames arrived", 2 * sent);
}

/// The frame with this count from one good VM to the other.
fn good_frame(from: usize, count: u64) -> Vec<u8> {
    let mut frame = frame(GOOD[1 - from], GOOD[from], 400, SEAL ^ count);
    frame[22..30].copy_from_slice(&SEAL.to_le_bytes());
    frame
}

/// Whether a frame bears the good VM's address as its source; then it has to be from there.
fn is_from_good(frame: &[u8], from: usize) -> bool {
    let bears = frame[6..12] == GOOD[from].0;
    if bears {
        let sealed = frame.get(22..30) == Some(&SEAL.to_le_bytes()[..]);
        assert!(sealed, "somebody passed for {}: {:?}", GOOD[from], &frame[..14]);
    }
    bears
}

/// The attackers are gone: everything works, at once or within a second.
fn check_after(dir: &Path, running: &Running, good: &[UnixDatagram; 2]) {
    let mut buffer = vec![0; 70_000];
    let quiet = testkit::wait_until(Duration::from_secs(5), || {
        for socket in good {
            while socket.recv(&mut buffer).is_ok() {}
        }
        let report = running.handle.report().expect("the switch runs");
        report.listeners[0].clients == 0
            && report.ports.iter().all(|port| port.queued_frames + port.held_frames == 0)
    });
    assert!(quiet, "{:?}", running.handle.report());
    let (bytes, filled) = running.handle.call(|switch| switch.memory()).unwrap();
    assert_eq!(filled, 0, "buffers were forgotten");
    assert!(bytes <= MEMORY_MAX, "{bytes} bytes of buffers");
    let before = running.busy();
    std::thread::sleep(Duration::from_millis(500));
    let used = running.busy() - before;
    assert!(used < Duration::from_millis(100), "it spins: {used:?} of 0.5 s");
    for socket in good {
        socket.set_nonblocking(false).unwrap();
    }
    for count in 1_000_001..1_000_200 {
        good[0].send(&good_frame(0, count)).unwrap();
        assert!(receive(&good[1]) == good_frame(0, count));
        good[1].send(&good_frame(1, count)).unwrap();
        assert!(receive(&good[0]) == good_frame(1, count));
    }
    // New VMs where the hostile ones were.
    for (port, n) in [("h1", 11), ("h2", 12)] {
        let _ = std::fs::remove_file(dir.join("new.vm"));
        let new = UnixDatagram::bind(dir.join("new.vm")).unwrap();
        let sent = frame(GOOD[0], station(n), 99, 7);
        let taken = testkit::wait_until(Duration::from_secs(1), || {
            new.send_to(&sent, dir.join(port)).is_ok()
        });
        assert!(taken, "{port} takes a new VM within a second");
        assert_eq!(receive(&good[0]), sent, "{port}");
    }
    let mut new = StreamPeer::connect(&dir.join("s"));
    let sent = frame(GOOD[0], station(13), 99, 8);
    new.send(&sent);
    assert_eq!(receive(&good[0]), sent, "the listener");
    let answer = frame(station(13), GOOD[0], 1514, 9);
    good[0].send(&answer).unwrap();
    assert_eq!(new.receive(), Some(answer));
}

/// The sums hold for each, and what was done was counted as what it was.
fn check_counters(running: Running) {
    let report = running.stop();
    common::assert_balanced(&report);
    let listener = &report.listeners[0];
    assert!(listener.ended.ingress.balances(), "{listener:?}");
    assert!(listener.ended.egress.balances(0), "{listener:?}");
    assert!(listener.accepted > 10, "{listener:?}");
    assert!(listener.ended.ingress.dropped.of(DropReason::BadFraming) > 0, "{listener:?}");
    let datagrams: Vec<_> =
        report.ports.iter().filter(|port| ["h1", "h2", "pair"].contains(&&*port.name)).collect();
    for reason in [
        DropReason::Runt,
        DropReason::Oversize,
        DropReason::BadSource,
        DropReason::OwnedSource,
        DropReason::Hairpin,
        DropReason::NoAddress,
    ] {
        let counted: u64 =
            datagrams.iter().map(|port| port.counters.ingress.dropped.of(reason)).sum();
        assert!(counted > 0, "nothing counted as {}: {datagrams:#?}", reason.name());
    }
    for good in &report.ports[..2] {
        assert_eq!(good.counters.ingress.dropped.total(), 0, "{good:?}");
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
