//! The whole switch in a simulated world: the same loop, fabric and queues, over simulated ports
//! and virtual time, under faults, from a seed.
//!
//! `VSWITCH_SIM_SEEDS` says how many seeds to run, `VSWITCH_SIM_SEED` runs one; `cargo xtask sim`
//! sets them. By default a few hundred are run, fewer where the time for them is up before.

mod checks;
mod frame;
mod rng;
#[path = "../../src/offload/testing.rs"]
#[allow(dead_code, reason = "this test binary uses its part")]
mod testing;
mod unfinished;
mod world;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use testkit::replay::Replay;

use vswitch::Nanos;
use vswitch::capture::{TapSettings, tap};
use vswitch::counters::PortCounters;
use vswitch::fabric::{PortPolicy, Settings};
use vswitch::offload;
use vswitch::queue::QUEUE_FRAMES_MAX;
use vswitch::switch::{PortSettings, Switch, WhenGone};

use frame::station;
use world::{Kind, Shared, SimPoller, SimPort, World, lock};

/// Without a number asked for: at most so many, for so long, but never fewer than the least.
const SEEDS_DEFAULT: u64 = 400;
const SEEDS_LEAST: u64 = 20;
const SEEDS_TIME: Duration = Duration::from_secs(20);

/// How long the faults last, and how long everything may take to be well again.
const TROUBLE: Duration = Duration::from_millis(60);
const RECOVERY: Duration = Duration::from_millis(1_500);

#[test]
fn no_seed_breaks_it() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("VSWITCH_SIM_SEED") {
        run(seed);
        return;
    }
    let asked = number("VSWITCH_SIM_SEEDS");
    let start = Instant::now();
    let is_enough = |seeds: u64| match asked {
        Some(asked) => seeds >= asked,
        None => seeds >= SEEDS_LEAST && (seeds >= SEEDS_DEFAULT || start.elapsed() > SEEDS_TIME),
    };
    let (mut seeds, mut delivered, mut paused, mut whole, mut pieces) = (0, 0, 0, 0, 0);
    while !is_enough(seeds) {
        let seed = seeds;
        seeds += 1;
        let _says_how_to_replay = Replay(format!("cargo xtask sim --seed {seed}"));
        let outcome = run(seed);
        delivered += outcome.delivered;
        paused += outcome.pauses;
        whole += outcome.whole;
        pieces += outcome.pieces;
    }
    println!("{seeds} seeds: {delivered} frames delivered, senders paused {paused} times");
    println!("{whole} unfinished frames arrived as they were, others in {pieces} pieces");
    assert!(whole > 10 * seeds && pieces > 100 * seeds, "hardly any frame is unfinished");
    assert!(delivered > 100 * seeds, "the simulation has hardly any traffic");
    assert!(paused > seeds, "the simulation has hardly any back-pressure");
}

/// The same seed gives the same run.
#[test]
fn a_seed_replays() {
    let once = run(7);
    assert_eq!(once, run(7));
    assert_ne!(once, run(8));
}

/// Whether frames are captured changes nothing for them: then each goes its way alone; else those
/// from one station to another that follow one another go together.
#[test]
fn frames_fare_alone_as_they_do_together() {
    for seed in 0..SEEDS_LEAST {
        let [alone, together] = [true, false].map(|is_captured| {
            let mut run = Run::new(seed);
            let (tap, _reader) = tap(TapSettings::default()).expect("a ring");
            let attached = run.switch.attach_tap(tap, SystemTime::UNIX_EPOCH).expect("a place");
            // Attached in both, since that takes a look at the clock.
            if !is_captured {
                run.switch.detach_tap(attached);
            }
            run.outcome()
        });
        assert_eq!(alone, together, "seed {seed}");
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    delivered: u64,
    pauses: u64,
    /// Unfinished frames that arrived as they were, and frames that others were finished to.
    whole: u64,
    pieces: u64,
    calls: u64,
    ended_at: Nanos,
    counters: Vec<PortCounters>,
}

struct Run {
    shared: Shared,
    switch: Switch<SimPoller>,
}

fn run(seed: u64) -> Outcome {
    Run::new(seed).outcome()
}

impl Run {
    fn new(seed: u64) -> Self {
        let shared = Arc::new(Mutex::new(World::new(seed)));
        let mut run = Self { switch: Switch::new(SimPoller(Arc::clone(&shared))), shared };
        run.plug_in();
        run
    }

    fn outcome(mut self) -> Outcome {
        let end = lock(&self.shared).now + TROUBLE;
        self.until(end);
        self.recover();
        let counters: Vec<_> = self.switch.report().ports.iter().map(|p| p.counters).collect();
        let world = lock(&self.shared);
        let (sent, arrived) = world.checks.sound;
        assert_eq!(sent, arrived, "sound guests lost frames");
        Outcome {
            delivered: world.checks.delivered,
            pauses: counters.iter().map(|counters| counters.pauses).sum(),
            whole: world.checks.whole,
            pieces: world.checks.pieces,
            calls: world.calls,
            ended_at: world.now,
            counters,
        }
    }

    fn plug_in(&mut self) {
        let network = self.switch.add_network("simulated", Settings::default());
        let guests = lock(&self.shared).ends.len();
        for guest in 0..guests {
            let settings = PortSettings {
                name: format!("guest{guest}"),
                network,
                policy: PortPolicy::default(),
                when_gone: WhenGone::Keep,
                waits: lock(&self.shared).ends[guest].kind != Kind::Interface,
            };
            let port = SimPort { guest, shared: Arc::clone(&self.shared) };
            self.switch.add_port(settings, Box::new(port)).expect("a port can be added");
        }
    }

    /// Runs until then, checking after each step.
    fn until(&mut self, end: Nanos) {
        while lock(&self.shared).now < end {
            self.switch.step(end).expect("the simulated poller does not fail");
            self.check();
        }
    }

    fn check(&mut self) {
        let report = self.switch.report();
        let mut world = lock(&self.shared);
        world.checks.accounting(&report);
        let now = world.now;
        world.checks.waiting(&report, now);
        let World { checks, ends, .. } = &mut *world;
        checks.stalls(&report, ends, now);
        checks.prompt(&report, ends, now);
        drop(world);
        let (allocated_bytes, filled_slots) = self.switch.memory();
        let budget_bytes = (6 << 20) + report.ports.len() * (512 << 10);
        assert!(allocated_bytes <= budget_bytes, "{allocated_bytes} bytes of {budget_bytes}");
        let waiting: usize = report.ports.iter().map(|p| p.queued_frames + p.held_frames).sum();
        assert!(filled_slots <= waiting, "{filled_slots} buffers for {waiting} frames: a leak");
        for port in &report.ports {
            assert!(port.queued_frames <= QUEUE_FRAMES_MAX, "{port:?}");
            assert!(port.held_frames <= 64, "{port:?}");
        }
        for (end, port) in lock(&self.shared).ends.iter().zip(&report.ports) {
            let waits = end.kind != Kind::Interface;
            assert!(waits || port.held_frames == 0, "an uplink waits: {port:?}");
        }
    }

    /// Heals the world; then whatever is sent must arrive.
    fn recover(&mut self) {
        let guests = {
            let mut world = lock(&self.shared);
            world.heal();
            world.quiet = true;
            world.ends.len()
        };
        let settled = lock(&self.shared).now + RECOVERY;
        self.until(settled);
        let report = self.switch.report();
        for port in &report.ports {
            assert_eq!((port.queued_frames, port.held_frames), (0, 0), "still waiting: {port:?}");
        }
        assert_eq!(self.switch.memory().1, 0, "buffers are kept for no frame");
        let first = self.everybody_to_everybody(guests);
        let end = lock(&self.shared).now + Duration::from_millis(50);
        self.until(end);
        let world = lock(&self.shared);
        for (id, to) in world.checks.sent_from(first) {
            assert!(world.checks.has_arrived(id, to), "frame {id} to {to} was lost after healing");
        }
    }

    /// A finished and an unfinished frame from each guest to each other; the id of the first.
    fn everybody_to_everybody(&mut self, guests: usize) -> u64 {
        let mut world = lock(&self.shared);
        let first = world.next_id();
        for from in 0..guests {
            for to in (0..guests).filter(|to| *to != from) {
                world.send_frame(from, station(to), 300);
                world.send_unfinished(from, station(to), true);
            }
        }
        first
    }
}
