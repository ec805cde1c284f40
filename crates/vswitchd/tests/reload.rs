//! A running service is changed, on real sockets: what is not changed notices nothing.
#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{PATIENCE, Running, Vm, frame, greet, network, station};
use vswitchd::config::{Configuration, Network};
use vswitchd::report::Applied;

fn named(dir: &Path, name: &str, ports: &[&str]) -> Network {
    Network { name: name.to_owned(), ..network(dir, ports) }
}

fn of(networks: impl IntoIterator<Item = Network>) -> Configuration {
    networks.into_iter().collect::<Vec<Network>>().into()
}

fn words(of: &[&str]) -> Vec<String> {
    of.iter().map(|word| (*word).to_owned()).collect()
}

const PAIR: [&str; 2] = ["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1,mac=02:00:00:00:00:01"];

/// The networks of a changed configuration: the pair in the first, and whatever else.
fn crowded(dir: &Path) -> Configuration {
    let more = [PAIR[0], PAIR[1], "p2=unixgram:DIR/p2", "p3=stream:DIR/p3"];
    of([
        named(dir, "first", &more),
        named(dir, "second", &["p4=unixgram:DIR/p4,mac=02:00:00:00:00:01", "p5=unixgram:DIR/p5"]),
    ])
}

/// Numbered frames between two ports while others come and go, two hundred times over.
fn an_unchanged_pair_loses_nothing(threads: usize) {
    const CHANGES: usize = 200;
    const FRAMES_MIN: u64 = 20_000;
    let dir = testkit::scratch_dir();
    let alone = of([named(dir.path(), "first", &PAIR)]);
    let running = Running::start(threads, alone.clone());
    let vms = [Vm::plug_in(dir.path(), 0), Vm::plug_in(dir.path(), 1)];
    greet(&vms);
    let (is_over, heard) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            // Each in its turn: the last says that it is the last.
            for expected in 0.. {
                let (from, number) = vms[1].receive();
                assert_eq!(from, station(0));
                if number == u64::MAX {
                    return expected;
                }
                assert_eq!(number, expected, "lost, twice or out of order");
                heard.store(number + 1, Ordering::Release);
            }
            0
        });
        let sender = scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) || number < FRAMES_MIN {
                // A reader that has no processor for long would be held for stalled.
                let since = Instant::now();
                while number >= heard.load(Ordering::Acquire) + 32 {
                    assert!(since.elapsed() < PATIENCE, "frame {number} never came");
                    std::thread::yield_now();
                }
                vms[0].send(station(1), number, 60);
                number += 1;
            }
            vms[0].send(station(1), u64::MAX, 60);
            number
        });
        let _over = Over(&is_over);
        for _ in 0..CHANGES {
            let applied = running.control.apply(&crowded(dir.path())).unwrap();
            let added = words(&["first/p2", "first/p3", "second", "second/p4", "second/p5"]);
            assert_eq!(applied, Applied { added, ..Applied::default() });
            let applied = running.control.apply(&alone).unwrap();
            let removed = words(&["second", "first/p2", "first/p3"]);
            assert_eq!(applied, Applied { removed, ..Applied::default() });
        }
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(sender.join().unwrap(), receiver.join().unwrap());
    });
    let stopped = running.stop();
    let names: Vec<_> = stopped.ports.iter().map(|port| &*port.name).collect();
    assert_eq!(names, ["p0", "p1"]);
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("vm"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "sockets of ports that went");
}

/// Says that it is over also when a test fails, so that nobody is waited for.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_unchanged_pair_loses_nothing_on_one_thread() {
    an_unchanged_pair_loses_nothing(1);
}

#[test]
fn an_unchanged_pair_loses_nothing_over_two_threads() {
    an_unchanged_pair_loses_nothing(2);
}

#[test]
fn what_is_added_carries_frames_and_what_is_removed_does_not() {
    for threads in [1, 2] {
        let dir = testkit::scratch_dir();
        let running = Running::start(threads, of([named(dir.path(), "first", &PAIR)]));
        running.control.apply(&crowded(dir.path())).unwrap();
        let first: Vec<Vm> = (0..3).map(|n| Vm::plug_in(dir.path(), n)).collect();
        greet(&first);
        first[2].send(station(0), 7, 100);
        assert_eq!(first[0].receive(), (station(2), 7));
        // The other network has the same address behind a port of its own.
        let second = Vm { station: station(1), ..Vm::plug_in(dir.path(), 4) };
        second.send(vswitch::MacAddr::BROADCAST, 8, 60);
        first.iter().for_each(Vm::hears_nothing_more);
        running.control.apply(&of([named(dir.path(), "first", &PAIR)])).unwrap();
        assert!(first[2].socket.send(&frame(station(0), station(2), 9, 60)).is_err());
        first[0].send(station(1), 10, 60);
        assert_eq!(first[1].receive(), (station(0), 10));
        // The address that a removed port had is free for another.
        let moved = ["p0=unixgram:DIR/p0", "p6=unixgram:DIR/p6,mac=02:00:00:00:00:01"];
        let applied = running.control.apply(&of([named(dir.path(), "first", &moved)])).unwrap();
        assert_eq!((applied.added, applied.removed), (words(&["first/p6"]), words(&["first/p1"])));
        let sixth = Vm { station: station(1), ..Vm::plug_in(dir.path(), 6) };
        let heard = testkit::wait_until(PATIENCE, || {
            sixth.send(station(0), 11, 60);
            first[0].socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            first[0].socket.recv(&mut [0; 200]).is_ok()
        });
        assert!(heard, "from a port that has the address of one that went");
        running.stop();
    }
}

#[test]
fn what_cannot_be_had_is_told_and_tried_again() {
    let dir = testkit::scratch_dir();
    let running = Running::start(1, of([named(dir.path(), "first", &PAIR)]));
    let wanted = of([named(
        dir.path(),
        "first",
        &[PAIR[0], PAIR[1], "p2=unixgram:DIR/none/p2", "p3=unixgram:DIR/p3"],
    )]);
    let applied = running.control.apply(&wanted).unwrap();
    assert_eq!(applied.added, words(&["first/p3"]));
    let [failed] = &applied.failed[..] else { panic!("{applied:?}") };
    assert!(failed.contains("port p2") && failed.contains("none/p2"), "{failed}");
    std::fs::create_dir(dir.path().join("none")).unwrap();
    let applied = running.control.apply(&wanted).unwrap();
    assert_eq!(applied, Applied { added: words(&["first/p2"]), ..Applied::default() });
    let ready = running.control.ready();
    let ports: Vec<_> = ready.networks[0].ports.iter().map(|port| &*port.name).collect();
    assert_eq!(ports, ["p0", "p1", "p2", "p3"], "in the order in which they are wanted");
    // With another address it is another port.
    let changed = of([named(dir.path(), "first", &[PAIR[0], "p1=unixgram:DIR/p1"])]);
    let applied = running.control.apply(&changed).unwrap();
    assert_eq!(applied.changed, words(&["first/p1"]));
    assert_eq!(applied.removed, words(&["first/p2", "first/p3"]));
    running.stop();
}

/// Whose a port is follows from the configuration, however it came and whatever became of it.
#[test]
fn a_clients_port_stays_and_one_that_the_configuration_took_over_goes_with_it() {
    let dir = testkit::scratch_dir();
    let plain = named(dir.path(), "first", &PAIR);
    let running = Running::start(1, of([plain.clone()]));
    let hot = network(dir.path(), &["p7=unixgram:DIR/p7"]).ports.remove(0);
    running.control.add_port("first", &hot).unwrap();
    let ports = || -> Vec<(String, bool)> {
        let ready = running.control.ready();
        let ports = ready.networks[0].ports.iter();
        ports.map(|port| (port.name.clone(), port.is_hot)).collect()
    };
    let told = |names: &[(&str, bool)]| -> Vec<(String, bool)> {
        names.iter().map(|(name, is_hot)| ((*name).to_owned(), *is_hot)).collect()
    };
    let (with, without) = ([("p0", false), ("p1", false), ("p7", true)], &PAIR);
    assert_eq!(ports(), told(&with));
    // For another mode, each is made anew; it is the client's still.
    let mut strict = plain.clone();
    strict.access.mode = 0o600;
    let applied = running.control.apply(&of([strict])).unwrap();
    assert_eq!(applied.changed.len(), 3, "{applied:?}");
    assert_eq!(ports(), told(&with));
    let applied = running.control.apply(&of([plain.clone()])).unwrap();
    assert_eq!((applied.changed.len(), ports()), (3, told(&with)));
    // The configuration has it, and has it no more.
    let all = named(dir.path(), "first", &[without[0], without[1], "p7=unixgram:DIR/p7"]);
    let applied = running.control.apply(&of([all])).unwrap();
    assert_eq!(applied, Applied::default(), "it is as it is wanted");
    assert_eq!(ports(), told(&[("p0", false), ("p1", false), ("p7", false)]));
    let applied = running.control.apply(&of([plain])).unwrap();
    assert_eq!(applied.removed, words(&["first/p7"]));
    running.stop();
}

#[test]
fn what_does_not_go_together_changes_nothing() {
    let dir = testkit::scratch_dir();
    let running = Running::start(1, of([named(dir.path(), "first", &PAIR)]));
    let twice = of([named(dir.path(), "first", &[]), named(dir.path(), "first", &[])]);
    let refused = running.control.apply(&twice).unwrap_err().to_string();
    assert!(refused.contains("two networks named first"), "{refused}");
    assert_eq!(running.control.ready().networks[0].ports.len(), 2);
    let control = running.control.clone();
    running.stop();
    let ended = control.apply(&crowded(dir.path())).unwrap_err().to_string();
    assert_eq!(ended, "the switch has ended");
}

/// It was passed to the process at its start, and nobody passes it again.
#[test]
fn an_inherited_socket_is_kept_as_long_as_its_port_is_wanted() {
    use std::os::fd::IntoRawFd as _;
    let dir = testkit::scratch_dir();
    let (near, far) = std::os::unix::net::UnixDatagram::pair().unwrap();
    // As if it had been passed to this process: not to be closed when another is started.
    let passed = nix::unistd::dup(&far).unwrap();
    drop(far);
    let inherited = format!("p0=fd:{}", passed.into_raw_fd());
    let plain = [inherited.as_str(), PAIR[1]];
    let running = Running::start(1, of([named(dir.path(), "first", &plain)]));
    let mut other = named(dir.path(), "first", &[&inherited, "p2=unixgram:DIR/p2"]);
    other.access.mode = 0o600;
    let applied = running.control.apply(&of([other])).unwrap();
    assert_eq!(applied.removed, words(&["first/p1"]), "and not the socket, for another mode");
    let named_now = format!("{inherited},mac=02:00:00:00:00:09");
    let wanted = of([named(dir.path(), "first", &[&named_now, "p2=unixgram:DIR/p2"])]);
    let applied = running.control.apply(&wanted).unwrap();
    let [failed] = &applied.failed[..] else { panic!("{applied:?}") };
    assert!(failed.contains("first/p0: an inherited socket cannot be had again"), "{failed}");
    let vm = Vm::plug_in(dir.path(), 2);
    near.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let heard = testkit::wait_until(PATIENCE, || {
        vm.send(vswitch::MacAddr::BROADCAST, 1, 60);
        near.recv(&mut [0; 200]).is_ok()
    });
    assert!(heard, "it carries frames");
    running.control.apply(&of([named(dir.path(), "first", &["p2=unixgram:DIR/p2"])])).unwrap();
    assert!(near.send(&[0; 60]).is_err(), "closed when its port is not wanted any more");
    running.stop();
}
