//! One VM that never reads and one that dies every second, and thirty others that lose nothing.
#![cfg(target_os = "linux")]

mod common;

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::peers::{Finish, qemu, vfkit};
use common::{Running, frame, number, station};
use vswitch::MacAddr;
use vswitch::counters::DropReason;
use vswitch::port::linux::UnixgramPort;
use vswitch::port::unix::Access;

/// The ports that are to lose nothing, each with the one beside it.
const HEALTHY: usize = 30;
/// The port whose VM never reads.
const SILENT: usize = 30;
/// The port whose VM dies every second.
const DYING: usize = 31;
const PORTS: usize = 32;

const FRAME_BYTES: usize = 300;
const MEASURE_FOR: Duration = Duration::from_millis(800);
const RUN_FOR: Duration = Duration::from_secs(6);

/// A busy machine may leave a reader without a processor for longer than its queue lasts. That is
/// not to be taken for a lack of isolation, so not each attempt has to hold.
const ATTEMPTS: usize = 3;

/// For no longer may a sender find its port not being read: that is the price of a target that has
/// just stopped (25 ms a second), with room for a busy machine.
const REFUSED_MAX: Duration = Duration::from_millis(300);

#[test]
fn thirty_lose_nothing_beside_one_that_never_reads_and_one_that_dies_every_second() {
    let dir = testkit::scratch_dir();
    let world = World::start(dir.path());
    let maximum = world.measure();
    assert!(maximum > 3000, "{maximum} frames a second cannot be the maximum");
    let mut attempts = Vec::new();
    let held = (0..ATTEMPTS).any(|_| {
        let outcome = world.run(dir.path(), maximum / 2);
        let holds = outcome.holds();
        attempts.push(outcome);
        holds
    });
    println!("at half of {maximum} frames a second: {attempts:?}");
    let report = world.running.stop();
    common::assert_balanced(&report);
    assert!(held, "{report:#?}");
    // It was as it was meant to be: the silent one was full, the dying one was gone at times.
    let silent = report.ports[SILENT].counters.egress.dropped;
    assert!(silent.of(DropReason::Stalled) > 0, "{silent:?}");
    let dying = report.ports[DYING].counters.egress;
    assert!(dying.dropped.of(DropReason::NoPeer) > 0 && dying.sent_frames > 0, "{dying:?}");
}

/// The switch and the VMs that are well.
struct World {
    running: Running,
    vms: Vec<Vm>,
}

/// A VM: connected as vfkit has it, or never connected as QEMU has it (eleven frames in its queue).
struct Vm {
    socket: UnixDatagram,
    connected: bool,
    port: std::path::PathBuf,
    /// The next number to be sent, and to be received.
    next_out: AtomicU64,
    next_in: AtomicU64,
}

/// What came of one attempt.
#[derive(Debug, Default)]
struct Outcome {
    sent: u64,
    lost: u64,
    reordered: u64,
    /// The longest time for which the switch did not read a sender's port.
    refused: Duration,
}

impl Outcome {
    fn holds(&self) -> bool {
        self.sent > 0 && self.lost == 0 && self.reordered == 0 && self.refused <= REFUSED_MAX
    }
}

fn mac(n: usize) -> MacAddr {
    station(u8::try_from(n + 1).unwrap())
}

impl World {
    fn start(dir: &Path) -> Self {
        let running = Running::start(|switch, network| {
            for n in 0..PORTS {
                let port = UnixgramPort::bind(&dir.join(n.to_string()), Access::default()).unwrap();
                common::add(switch, network, &n.to_string(), Box::new(port));
            }
        });
        let vms: Vec<Vm> = (0..HEALTHY).map(|n| Vm::start(dir, n)).collect();
        // The never-reading one says who it is, and no more.
        let silent = qemu(dir, "silent");
        silent.send_to(&hello(SILENT), dir.join(SILENT.to_string())).unwrap();
        std::mem::forget(silent); // open to the end of the process
        let learnt = testkit::wait_until(Duration::from_secs(5), || {
            running.handle.report().unwrap().ports[..=SILENT]
                .iter()
                .all(|port| port.counters.ingress.received_frames > 0)
        });
        assert!(learnt);
        Self { running, vms }
    }

    /// How many frames a second come through when all senders send what the switch takes.
    fn measure(&self) -> u64 {
        let before = self.received();
        let done = AtomicBool::new(false);
        let took = std::thread::scope(|scope| {
            let reader = scope.spawn(|| self.read(&done));
            let finish = Finish(&done);
            let start = Instant::now();
            while start.elapsed() < MEASURE_FOR {
                let mut refused = 0;
                for n in 0..HEALTHY {
                    refused += usize::from((0..16).any(|_| !self.send_numbered(n)));
                }
                if refused == HEALTHY {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
            self.settle();
            drop(finish);
            let (_lost, reordered) = reader.join().unwrap();
            assert_eq!(reordered, 0, "at the maximum senders wait, and stay in order");
            start.elapsed()
        });
        let received = self.received() - before;
        received * 1_000_000 / u64::try_from(took.as_micros()).unwrap()
    }

    /// Sends so many numbered frames a second, with the silent and the dying one beside.
    fn run(&self, dir: &Path, frames_per_second: u64) -> Outcome {
        let done = AtomicBool::new(false);
        for vm in &self.vms {
            // What the measurement or the attempt before lost is not counted here.
            let (out, of) = (&vm.next_out, &vm.next_in);
            of.store(
                out.load(Ordering::Relaxed).max(of.load(Ordering::Relaxed)),
                Ordering::Relaxed,
            );
        }
        for (n, vm) in self.vms.iter().enumerate() {
            let mate = &self.vms[n ^ 1];
            vm.next_in.store(mate.next_out.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        // The silent one's queue is full from the start, on a slow machine too.
        let mut filled = 0;
        let _ = testkit::wait_until(Duration::from_secs(1), || {
            filled += (0..1100).filter(|_| self.send_to(0, mac(SILENT))).count();
            filled > 1100
        });
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| self.read(&done));
            scope.spawn(|| die_every_second(dir, &done));
            let (sent, refused) = {
                let _finish = Finish(&done);
                let outcome = self.send_at(frames_per_second);
                self.settle();
                outcome
            };
            let (mut lost, reordered) = reader.join().unwrap();
            for (n, vm) in self.vms.iter().enumerate() {
                let sent = self.vms[n ^ 1].next_out.load(Ordering::Relaxed);
                lost += sent - vm.next_in.load(Ordering::Relaxed);
            }
            Outcome { sent, lost, reordered, refused }
        })
    }

    /// How many numbered frames were sent, and the longest time for which a port was not read.
    fn send_at(&self, frames_per_second: u64) -> (u64, Duration) {
        const TICK: Duration = Duration::from_millis(1);
        /// What a late thread makes up for; the rest of its schedule is given up.
        const CATCH_UP_TICKS: u64 = 5;
        let per_tick = (frames_per_second / 1000).max(1);
        let mut refused_since = [None; HEALTHY];
        let (mut sent, mut refused_for, mut turn, mut owed) = (0, Duration::ZERO, 0, 0);
        let start = Instant::now();
        let mut next_tick = start;
        while start.elapsed() < RUN_FOR {
            let now = Instant::now();
            let late = u64::try_from((now - next_tick).as_millis()).unwrap();
            owed += per_tick * (late + 1).min(CATCH_UP_TICKS);
            next_tick = now + TICK;
            let mut refused = 0;
            while owed > 0 && refused < HEALTHY {
                let n = turn % HEALTHY;
                turn += 1;
                if self.send_numbered(n) {
                    refused_since[n] = None;
                    (sent, owed, refused) = (sent + 1, owed - 1, 0);
                    self.send_aside(n, turn);
                } else {
                    let since = *refused_since[n].get_or_insert(now);
                    refused_for = refused_for.max(now - since);
                    refused += 1;
                }
            }
            owed = owed.min(per_tick * CATCH_UP_TICKS);
            std::thread::sleep(next_tick.saturating_duration_since(Instant::now()));
        }
        (sent, refused_for)
    }

    /// What the same senders send to the two that are not well, and to all.
    fn send_aside(&self, n: usize, turn: usize) {
        let _ = match turn {
            _ if turn.is_multiple_of(8) => self.send_to(n, mac(SILENT)),
            _ if turn.is_multiple_of(31) => self.send_to(n, mac(DYING)),
            _ if turn.is_multiple_of(701) => self.send_to(n, BROADCAST),
            _ => false,
        };
    }

    fn send_to(&self, n: usize, to: MacAddr) -> bool {
        self.vms[n].send(&frame(to, mac(n), FRAME_BYTES, 0))
    }

    fn send_numbered(&self, n: usize) -> bool {
        let vm = &self.vms[n];
        let number = vm.next_out.load(Ordering::Relaxed);
        let sent = vm.send(&frame(mac(n ^ 1), mac(n), FRAME_BYTES, number));
        vm.next_out.store(number + u64::from(sent), Ordering::Relaxed);
        sent
    }

    /// Reads all VMs until `done`: how many frames were missing, and how many came too late.
    fn read(&self, done: &AtomicBool) -> (u64, u64) {
        let (mut lost, mut reordered) = (0, 0);
        let mut buffer = [0; 2000];
        while !done.load(Ordering::Relaxed) {
            let mut idle = true;
            for (n, vm) in self.vms.iter().enumerate() {
                for _ in 0..64 {
                    let Ok(len) = vm.socket.recv(&mut buffer) else { break };
                    idle = false;
                    if buffer[..6] != mac(n).0 {
                        continue; // flooded
                    }
                    let (number, next) =
                        (number(&buffer[..len]), vm.next_in.load(Ordering::Relaxed));
                    lost += number.saturating_sub(next);
                    reordered += u64::from(number < next);
                    vm.next_in.store(next.max(number + 1), Ordering::Relaxed);
                }
            }
            if idle {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        (lost, reordered)
    }

    /// Waits until all that was sent has arrived or will not any more.
    fn settle(&self) {
        let arrived = || {
            (0..HEALTHY).all(|n| {
                let sent = self.vms[n ^ 1].next_out.load(Ordering::Relaxed);
                self.vms[n].next_in.load(Ordering::Relaxed) >= sent
            })
        };
        let _ = testkit::wait_until(Duration::from_millis(1500), arrived);
    }

    fn received(&self) -> u64 {
        self.vms.iter().map(|vm| vm.next_in.load(Ordering::Relaxed)).sum()
    }
}

impl Vm {
    fn start(dir: &Path, n: usize) -> Self {
        let (own, port) = (format!("{n}.vm"), dir.join(n.to_string()));
        // All four combinations of sender and receiver are among the pairs.
        let connected = matches!(n % 8, 0 | 1 | 2 | 5);
        let socket = match connected {
            true => vfkit(dir, &own, &n.to_string()),
            false => qemu(dir, &own),
        };
        socket.set_nonblocking(true).unwrap();
        let this = Self {
            socket,
            connected,
            port,
            next_out: AtomicU64::new(0),
            next_in: AtomicU64::new(0),
        };
        assert!(this.send(&hello(n)));
        this
    }

    /// `false` when the switch does not read this port now.
    fn send(&self, frame: &[u8]) -> bool {
        let sent = match self.connected {
            true => self.socket.send(frame),
            false => self.socket.send_to(frame, &self.port),
        };
        match sent {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{}: {error}", self.port.display()),
        }
    }
}

/// A frame to itself, by which a VM is learnt and nobody else hears of it.
fn hello(n: usize) -> Vec<u8> {
    frame(mac(n), mac(n), 60, 0)
}

/// A VM that comes, reads a little, stops and dies; again and again, on the same path and on new
/// ones.
fn die_every_second(dir: &Path, done: &AtomicBool) {
    let port = dir.join(DYING.to_string());
    for life in 0_u32.. {
        let own = if life % 3 == 2 { format!("dying.{life}") } else { "dying".to_owned() };
        let socket = qemu(dir, &own);
        socket.set_nonblocking(true).unwrap();
        let end = Instant::now() + Duration::from_secs(1);
        let reads_until = end - Duration::from_millis(300 * u64::from(life % 3));
        let mut taken = false;
        let mut buffer = [0; 2000];
        while Instant::now() < end {
            if done.load(Ordering::Relaxed) {
                return;
            }
            // Until the switch has seen that the one before is dead, it refuses (EPERM).
            taken = taken || socket.send_to(&hello(DYING), &port).is_ok();
            while Instant::now() < reads_until && socket.recv(&mut buffer).is_ok() {}
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(taken, "a new VM is taken within a second, on {own}");
        std::fs::remove_file(dir.join(own)).unwrap();
    }
}

const BROADCAST: MacAddr = MacAddr([0xff; 6]);
