//! Hostile VDE clients, many at once: the switch goes on, keeps to its memory and descriptors, and
//! two good clients beside them reach each other.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use common::peers::{Random, receive};
use common::vde::{VdeClient, own_path, request};
use common::{Running, frame, number, station};
use vswitch::fabric::PortPolicy;
use vswitch::port::unix::{Access, VdeListener};
use vswitch::switch::ListenerSettings;

const ATTACK_FOR: Duration = Duration::from_secs(4);
const ATTACKERS: u64 = 4;

/// As the service has it.
const CLIENTS_MAX: usize = 256;

/// How many clients each attacker keeps at a time.
const HELD: usize = 20;

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn hostile_clients_harm_nobody() {
    let seed: u64 = match std::env::var("VSWITCH_HOSTILE_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => 20_261_127,
    };
    println!("replay: VSWITCH_HOSTILE_SEED={seed} cargo test -p vswitch --test hostile_vde");
    let dir = testkit::scratch_dir();
    let path = dir.path().join("v");
    let running = start(&path);
    let good = [(); 2].map(|()| VdeClient::join(&path).unwrap());
    let idle = descriptors();
    let end = Instant::now() + ATTACK_FOR;
    let mut arrived = 0;
    std::thread::scope(|scope| {
        for attacker in 0..ATTACKERS {
            let random = Random(seed.wrapping_mul(31).wrapping_add(attacker));
            let path = &path;
            scope.spawn(move || attack(path, random, end));
        }
        arrived = talk(&good, end);
    });
    assert!(arrived > 100, "only {arrived} frames arrived");
    // All that they held is given back: at once, and what only half asked after five seconds.
    let quiet = testkit::wait_until(PATIENCE, || {
        running.handle.report().unwrap().listeners[0].clients == good.len()
    });
    assert!(quiet, "{:?}", running.handle.report().unwrap().listeners);
    assert!(testkit::wait_until(PATIENCE, || descriptors() <= idle), "{} {idle}", descriptors());
    // What the good clients have not read yet is dropped when it has waited too long.
    let filled = || running.handle.call(|switch| switch.memory()).unwrap().1;
    let given_back = testkit::wait_until(PATIENCE, || filled() == 0);
    assert!(given_back, "{} buffers were forgotten", filled());
    for (from, to, n) in [(0, 1, 7), (1, 0, 8)] {
        let sent = frame(station(to), station(from), 1514, n);
        good[usize::from(from)].data.send(&sent).unwrap();
        // Behind thousands of frames that the attackers made, and nobody has read.
        let end = Instant::now() + PATIENCE;
        while receive(&good[usize::from(to)].data) != sent {
            assert!(Instant::now() < end, "{:?}", running.handle.report().unwrap());
        }
    }
    let report = running.handle.report().unwrap();
    common::assert_balanced(&report);
    let listener = &report.listeners[0];
    println!("{} clients, {} turned away", listener.accepted, listener.turned_away);
    assert!(listener.accepted > 100, "{listener:?}");
    assert!(listener.ended.ingress.balances(), "{listener:?}");
    assert!(listener.ended.egress.balances(0), "{listener:?}");
    drop(running);
    // The attackers made no more than sockets in it, and theirs are gone or dead.
    assert!(!path.exists(), "the directory stays");
}

fn start(path: &Path) -> Running {
    Running::start(|switch, network| {
        let listener = VdeListener::bind(path, Access::default()).unwrap();
        let policy = PortPolicy { addresses_max: 256, ..PortPolicy::default() };
        let name = "v".to_owned();
        let settings = ListenerSettings { name, network, policy, clients_max: CLIENTS_MAX };
        switch.add_listener(settings, Box::new(listener)).unwrap();
    })
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What an attacker keeps open.
enum Held {
    Half(UnixStream),
    Whole(VdeClient),
    /// Its control connection alone.
    Control(UnixStream),
}

fn attack(dir: &Path, mut random: Random, end: Instant) {
    let mut held: Vec<Held> = Vec::new();
    while Instant::now() < end {
        if held.len() >= HELD {
            held.swap_remove(random.below(HELD));
        }
        let new = match random.below(4) {
            0 => garbage(dir, &mut random),
            1 => half_a_request(dir, &mut random),
            _ => whole_request(dir, &mut random),
        };
        held.extend(new);
        // One that has its port misuses it, and never reads.
        let Some(Held::Whole(client)) = held.last() else { continue };
        let _ = client.data.set_nonblocking(true);
        for _ in 0..random.below(50) {
            let size = random.below(3000);
            let bad = match random.below(3) {
                0 => random.bytes(size),
                // From one of many; a port whose address is not given could else pass for the good.
                1 => frame(station(0), station(random.next().to_le_bytes()[0] % 99), 14 + size, 1),
                _ => frame(station(1), station(200), 14 + size, 1),
            };
            let _ = client.data.send(&bad);
        }
        // Its data socket goes, and its control connection stays.
        if random.below(4) == 0
            && let Some(Held::Whole(VdeClient { control, .. })) = held.pop()
        {
            held.push(Held::Control(control));
        }
        // More is said where nothing is to be said.
        if let Some(Held::Half(control) | Held::Control(control)) = held.last_mut() {
            let more = random.below(400);
            let _ = control.set_nonblocking(true);
            let _ = control.write(&random.bytes(more));
        }
    }
}

fn garbage(dir: &Path, random: &mut Random) -> Option<Held> {
    let mut control = UnixStream::connect(dir.join("ctl")).ok()?;
    let len = random.below(600);
    let _ = control.write(&random.bytes(len));
    Some(Held::Control(control))
}

/// A request cut somewhere, and changed somewhere.
fn half_a_request(dir: &Path, random: &mut Random) -> Option<Held> {
    let mut control = UnixStream::connect(dir.join("ctl")).ok()?;
    let mut asked = request(dir.join(".1-1").as_os_str().as_encoded_bytes());
    if random.below(2) == 0 {
        let at = random.below(asked.len());
        asked[at] = random.next().to_le_bytes()[0];
    }
    asked.truncate(random.below(asked.len()));
    let _ = control.write(&asked);
    Some(Held::Half(control))
}

/// A request that is right, or that names a socket that it should not.
fn whole_request(dir: &Path, random: &mut Random) -> Option<Held> {
    if random.below(3) > 0 {
        return VdeClient::join(dir).ok().map(Held::Whole);
    }
    let own = own_path(dir);
    let data = UnixDatagram::bind(&own).ok()?;
    // The switch's own sockets, other clients', its own that is connected to itself.
    let names = std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.file_name());
    let names: Vec<_> = names.collect();
    let name = &names[random.below(names.len())];
    if random.below(2) == 0 {
        let _ = data.connect(&own);
    }
    let mut control = UnixStream::connect(dir.join("ctl")).ok()?;
    control.set_read_timeout(Some(Duration::from_millis(20))).ok()?;
    let _ = control.write(&request(dir.join(name).as_os_str().as_encoded_bytes()));
    let _ = control.read(&mut [0; 200]);
    let _ = std::fs::remove_file(own);
    Some(Held::Control(control))
}

/// The good clients send to each other; what arrives is whole and in order.
fn talk(good: &[VdeClient; 2], end: Instant) -> u64 {
    let mut buffer = vec![0; 70_000];
    let (mut sent, mut last, mut arrived) = (0, [0; 2], 0);
    for client in good {
        client.data.set_nonblocking(true).unwrap();
    }
    while Instant::now() < end {
        sent += 1;
        for (n, client) in (0_u8..).zip(good) {
            let _ = client.data.send(&frame(station(101 - n), station(100 + n), 400, sent));
        }
        for (n, client) in (0_u8..).zip(good) {
            while let Ok(len) = client.data.recv(&mut buffer) {
                if buffer[6..12] != station(101 - n).0 {
                    continue;
                }
                let count = number(&buffer[..len]);
                assert!(buffer[..len] == frame(station(100 + n), station(101 - n), 400, count));
                assert!(count > last[usize::from(n)], "{count} after {}", last[usize::from(n)]);
                last[usize::from(n)] = count;
                arrived += 1;
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    for client in good {
        while client.data.recv(&mut buffer).is_ok() {}
        client.data.set_nonblocking(false).unwrap();
    }
    arrived
}
