//! The whole macOS switch on a simulated XNU, from a seed: a random version, topology, traffic, and
//! a plan of faults and of deeds of a person at the machine.
//!
//! `VSWITCH_SIM_SEEDS` says how many seeds to run, `VSWITCH_SIM_SEED` runs one; `cargo xtask sim
//! --kernel xnu` sets them. By default some thousands are run, fewer where the time for them is up
//! before.

mod checks;
mod frame;
mod plan;
mod station;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::replay::Replay;

use vswitch::counters::DropReason;
use vswitch::{MacAddr, Nanos};
use vswitchd::Service;
use vswitchd::config::UplinkSpec;
use vswitchd::xnu::{Tally, Xnu};
use xnu_lab::{BRIDGE, CARD, CardWire, SimAttach, SimulatedMac, Started};
use xnu_sim::{MacOs, Rng, SimKernel};
use xnu_sys::Kernel;

use checks::Checks;
use frame::{BROADCAST, station};
use station::{Habit, Shared, SimStation, World, lock};

/// Without a number asked for: at most so many, for so long, but never fewer than the least.
const SEEDS_DEFAULT: u64 = 3_000;
const SEEDS_LEAST: u64 = 50;
const SEEDS_TIME: Duration = Duration::from_secs(45);

/// How long things go wrong, and how long everything may take to be well again.
const TROUBLE: Duration = Duration::from_millis(1_200);
const RECOVERY: Duration = Duration::from_millis(3_000);

/// The accounting is looked at after so many steps.
const STEPS_PER_CHECK: u64 = 16;

/// A switch that is left alone may make so many calls in a second of its own time: it looks four
/// times a second at each port, and twice at what the uplink stands on.
const IDLE_CALLS_MAX: u64 = 400;

#[test]
fn no_seed_breaks_it() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("VSWITCH_SIM_SEED") {
        let outcome = run(seed);
        println!("{outcome:?}");
        return;
    }
    let asked = number("VSWITCH_SIM_SEEDS");
    let start = Instant::now();
    let is_enough = |seeds: u64| match asked {
        Some(asked) => seeds >= asked,
        None => seeds >= SEEDS_LEAST && (seeds >= SEEDS_DEFAULT || start.elapsed() > SEEDS_TIME),
    };
    let (next, delivered, mended) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if is_enough(seed) {
                        return;
                    }
                    let _says_how_to_replay =
                        Replay(format!("cargo xtask sim --kernel xnu --seed {seed}"));
                    let outcome = run(seed);
                    delivered.fetch_add(outcome.delivered, Ordering::Relaxed);
                    mended.fetch_add(outcome.mended, Ordering::Relaxed);
                }
            });
        }
    });
    let seeds = next.into_inner() - threads as u64;
    let (delivered, mended) = (delivered.into_inner(), mended.into_inner());
    println!("{seeds} seeds: {delivered} frames delivered, {mended} things mended");
    assert!(delivered > 300 * seeds, "the simulation has hardly any traffic");
    assert!(mended > seeds / 2, "hardly anything was broken");
}

/// The same seed gives the same run.
#[test]
fn a_seed_replays() {
    let once = run(7);
    assert_eq!(once, run(7));
    assert_ne!(once, run(8));
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    version: MacOs,
    delivered: u64,
    mended: u64,
    calls: u64,
    ended_at: Duration,
}

struct Run {
    kernel: SimKernel,
    operator: SimKernel,
    service: Service<Xnu<SimKernel, SimAttach>>,
    tally: Tally,
    shared: Shared,
    before: Vec<String>,
    /// The last is the one on the LAN.
    stations: usize,
    rng: Rng,
    version: MacOs,
    steps: u64,
}

fn run(seed: u64) -> Outcome {
    let mut run = Run::new(seed);
    let _shows = ShowTrace(run.kernel.clone());
    let end = run.now() + TROUBLE;
    while run.now() < end {
        match run.rng.below(3) {
            0 => {
                let made = run.operator.interfaces();
                let made: Vec<String> =
                    made.into_iter().filter(|name| name.starts_with("feth")).collect();
                plan::add_faults(&mut run.rng, &run.operator, &made);
            }
            1 => plan::break_something(&mut run.rng, &run.operator),
            _ => {}
        }
        let until = end.min(run.now() + plan::pause(&mut run.rng));
        run.until(until);
    }
    run.recover();
    run.finish()
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let version = MacOs::ALL[rng.place(MacOs::ALL.len())];
        let mut mac = SimulatedMac::boot(version, seed).expect("a machine");
        let before = mac.kernel.interfaces();
        let stations = usize::try_from(rng.range(4..9)).unwrap();
        let world = World {
            checks: Checks::default(),
            stations,
            is_healed: false,
            is_quiet: false,
            wanted: Vec::new(),
            dead: vec![false; stations],
        };
        let shared = Arc::new(Mutex::new(world));
        let names_addresses = rng.chance(30);
        for number in 0..stations {
            let is_lan = number == stations - 1;
            let habits = [Habit::Slow, Habit::Slow, Habit::Deaf, Habit::Mortal];
            let habit = match number {
                0 | 1 => Habit::Sound { partner: 1 - number },
                _ if is_lan => Habit::Slow,
                _ => habits[rng.place(habits.len())],
            };
            let wire: Box<dyn probe::Wire + Send> = if is_lan {
                Box::new(CardWire(mac.card.clone()))
            } else {
                let named = names_addresses.then(|| MacAddr(station(number)));
                let wire = mac.plug(&format!("vm{number}"), named).expect("a socketpair");
                Box::new(wire)
            };
            let actor = SimStation {
                number,
                habit,
                wire: Some(wire),
                shared: Arc::clone(&shared),
                rng: Rng::new(seed.wrapping_mul(31) + number as u64),
                acts_at_ns: mac.kernel.uptime_ns() + rng.below(1_000_000),
                frame_max: if number < 2 { 9014 } else { 1514 },
                buffer: vec![0; 66_000],
            };
            mac.operator.add_actor(Box::new(actor));
        }
        let (kernel, operator) = (mac.kernel.clone(), mac.operator.clone());
        operator.spare();
        let uplink = UplinkSpec::bridge(BRIDGE);
        let Started { service, tally, .. } = mac.start(uplink).expect("nothing is broken yet");
        Self { kernel, operator, service, tally, shared, before, stations, rng, version, steps: 0 }
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.kernel.uptime_ns())
    }

    /// Lets the switch run until then, checking after each step.
    fn until(&mut self, end: Duration) {
        let nanos = |at: Duration| Nanos(u64::try_from(at.as_nanos()).unwrap());
        while self.now() < end {
            self.service.step(nanos(end)).expect("the simulated kqueue does not fail");
            self.steps += 1;
            // A report asks BPF for its counters: a call for each.
            if self.steps.is_multiple_of(STEPS_PER_CHECK) {
                Checks::accounting(&self.service.report());
            }
        }
    }

    /// Heals the world; then whatever is sent must arrive.
    fn recover(&mut self) {
        self.operator.clear_faults();
        {
            let mut world = lock(&self.shared);
            world.is_healed = true;
            world.is_quiet = true;
        }
        plan::put_right(&self.operator);
        self.until(self.now() + RECOVERY);
        let report = self.service.report();
        for port in &report.ports {
            assert_eq!((port.queued_frames, port.held_frames), (0, 0), "still waiting: {port:?}");
        }
        self.must_be_whole();
        self.must_be_idle();
        // Everybody says where it is, then everybody to everybody.
        self.send_all(|number| vec![(number, BROADCAST)]);
        self.until(self.now() + Duration::from_millis(50));
        let first = lock(&self.shared).checks.number();
        let stations = self.stations;
        self.send_all(|number| {
            let others = (0..stations).filter(|other| *other != number);
            others.map(|other| (number, station(other))).collect()
        });
        self.until(self.now() + Duration::from_millis(100));
        let report = self.service.report();
        let world = lock(&self.shared);
        for (id, from, to) in world.checks.sent_since(first) {
            let is_reached = world.dead[from] || world.dead[to] || world.checks.has_arrived(id, to);
            assert!(is_reached, "frame {id} from {from} to {to} was lost: {report:?}");
        }
    }

    fn send_all(&mut self, frames: impl Fn(usize) -> Vec<(usize, [u8; 6])>) {
        let mut world = lock(&self.shared);
        for number in 0..self.stations {
            world.wanted.extend(frames(number));
        }
    }

    /// The uplink stands again: a pair, whose end is in the bridge.
    fn must_be_whole(&self) {
        let members = self.operator.members(BRIDGE);
        let feths: Vec<_> = members.iter().filter(|name| name.starts_with("feth")).collect();
        assert_eq!(feths.len(), 1, "{members:?}");
        assert!(members.iter().any(|name| name == CARD), "{members:?}");
        let made = self.operator.interfaces();
        let made = made.iter().filter(|name| name.starts_with("feth")).count();
        assert_eq!(made, 2, "one pair, and no other feth");
    }

    /// With nothing to do it does hardly anything.
    fn must_be_idle(&mut self) {
        let before = self.kernel.counters();
        self.until(self.now() + Duration::from_secs(1));
        let calls = self.kernel.counters().since(&before);
        assert!(calls.total_calls() <= IDLE_CALLS_MAX, "{calls:?} in an idle second");
    }

    fn finish(mut self) -> Outcome {
        use vswitchd::xnu::Mended::{Bridge, Link, Membership, Up};
        let report = self.service.report();
        for sound in ["vm0", "vm1"] {
            let port = report.ports.iter().find(|port| port.name == sound).expect("a port");
            for reason in DropReason::ALL {
                let lost = port.counters.egress.dropped.of(*reason);
                assert_eq!(lost, 0, "{sound} lost frames: {reason:?}, {port:?}");
            }
        }
        let mended = [Bridge, Link, Membership, Up].map(|what| self.tally.of(what)).iter().sum();
        drop(self.service.finish());
        self.operator.run_for(Duration::from_millis(500));
        assert_eq!(self.kernel.interfaces(), self.before, "an interface is left, or gone");
        let open = self.kernel.open_descriptors();
        assert!(open.is_empty(), "left open: {open:?}");
        let world = lock(&self.shared);
        Outcome {
            version: self.version,
            delivered: world.checks.delivered,
            mended,
            calls: self.kernel.counters().total_calls(),
            ended_at: Duration::from_nanos(self.kernel.uptime_ns()),
        }
    }
}

/// Shows the last calls when a run fails.
struct ShowTrace(SimKernel);

impl Drop for ShowTrace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.trace());
        }
    }
}
