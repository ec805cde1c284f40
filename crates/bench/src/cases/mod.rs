//! What is measured beside what, and what is to come of it.

mod datagrams;
mod footprint;
mod guests;
mod interfaces;
mod latency;
mod next_designs;
mod streams;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::figures::Figure;
use crate::load::{PingPong, Saturate, Tcp};
use crate::subject::{Subject, Wiring};

/// Several contenders under load in turn, and what the first's figures are to be.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) what: String,
    /// The first is ours; the others are what it is compared with.
    pub(crate) contenders: Vec<Contender>,
    pub(crate) targets: Vec<Target>,
    /// Part of `--quick`.
    pub(crate) quick: bool,
}

/// One of a case.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// How it differs from others of the same name.
    pub(crate) variant: &'static str,
    pub(crate) subject: Subject,
    pub(crate) wiring: Wiring,
    pub(crate) load: Load,
}

/// What is done to it.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    /// Frames, as many as go.
    Saturate(Saturate),
    /// The same, after every port has been filled with the biggest frames; then its memory.
    Memory(Saturate),
    /// The same, with its system calls counted by `strace`.
    Calls(Saturate),
    /// Single frames there and back; everything on one processor, if `pinned`.
    PingPong { ping_pong: PingPong, pinned: bool },
    /// A TCP connection.
    Tcp(Tcp),
    /// A TCP connection between two emulated guests.
    Guests { mebibytes: u32 },
    /// Nothing.
    Idle(Duration),
}

impl Load {
    /// How many rounds there are of it at most: guests take long to boot. Fewer
    /// than six give no interval.
    pub(crate) const fn rounds_max(&self) -> usize {
        if matches!(self, Self::Guests { .. }) { 6 } else { usize::MAX }
    }

    /// About how long a run is whose load takes `seconds`, start and end included.
    pub(crate) fn run_s(&self, seconds: f64) -> f64 {
        match self {
            Self::Guests { .. } => 15.0,
            Self::Tcp(_) => seconds.ceil() + 1.9,
            Self::Idle(_) => seconds.max(1.0) + 0.5,
            Self::Calls(_) => seconds * 1.25 + 0.9,
            // Many flows take their time to fill their queues.
            Self::Saturate(load) => seconds * 1.25 + 0.4 + 0.05 * load.flows.len() as f64,
            _ => seconds * 1.25 + 0.4,
        }
    }
}

impl Case {
    /// The same load for the switch and another build of it, if the switch is what is measured;
    /// nothing is to come of that.
    pub(crate) fn beside_another_build(&self) -> Option<Self> {
        let ours = self.contenders.first()?;
        if ours.subject != Subject::Vswitch {
            return None;
        }
        let other = Contender { subject: Subject::OtherVswitch, ..ours.clone() };
        let figures: BTreeSet<Figure> = self.targets.iter().map(|target| target.figure).collect();
        let told = |figure| match figure {
            // There is mostly none, and no ratio.
            Figure::LossPercent => Target::alone(figure, Bound::Open),
            _ => Target::ratio(figure, &[1], Bound::Open),
        };
        Some(Self {
            contenders: vec![ours.clone(), other],
            targets: figures.into_iter().map(told).collect(),
            ..self.clone()
        })
    }

    /// How many rounds it has at most.
    pub(crate) fn rounds_max(&self) -> usize {
        let most = self.contenders.iter().map(|contender| contender.load.rounds_max());
        most.fold(usize::MAX, usize::min)
    }
}

/// What a figure of ours is to be.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) figure: Figure,
    /// Beside the best of these contenders in the same round; by itself, if there are none.
    pub(crate) against: Vec<usize>,
    pub(crate) bound: Bound,
}

/// On which side of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// On none: it is told, and nothing is to come of it.
    Open,
}

impl Contender {
    fn new(subject: Subject, wiring: Wiring, load: Load) -> Self {
        Self { variant: "", subject, wiring, load }
    }

    fn called(self, variant: &'static str) -> Self {
        Self { variant, ..self }
    }

    /// What the report calls it.
    pub(crate) fn name(&self) -> String {
        match self.variant {
            "" => self.subject.name(),
            variant => format!("{}, {variant}", self.subject.name()),
        }
    }
}

impl Target {
    fn ratio(figure: Figure, against: &[usize], bound: Bound) -> Self {
        Self { figure, against: against.to_vec(), bound }
    }

    fn alone(figure: Figure, bound: Bound) -> Self {
        Self { figure, against: Vec::new(), bound }
    }
}

/// How long each run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) load: Duration,
}

impl Times {
    fn saturate(self, flows: &[(usize, usize)], frame_bytes: usize) -> Saturate {
        Saturate {
            flows: flows.to_vec(),
            flooder: None,
            counted_flows: None,
            frame_bytes,
            batch_frames: if frame_bytes > 20_000 { 8 } else { 32 },
            rate: None,
            warm_up: self.warm_up,
            time: self.load,
        }
    }
}

/// All of them, in the order of the report.
pub(crate) fn all(times: Times) -> Vec<Case> {
    let mut cases = datagrams::cases(times);
    cases.extend(streams::cases(times));
    cases.extend(interfaces::cases(times));
    cases.extend(guests::cases());
    cases.extend(latency::cases(times));
    cases.extend(footprint::cases(times));
    cases.extend(next_designs::cases(times));
    cases
}

/// Many ends in pairs: 0 to 1, 2 to 3.
fn pairs(ends: usize) -> Vec<(usize, usize)> {
    (0..ends / 2).map(|pair| (2 * pair, 2 * pair + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_targets_have_their_contenders() {
        let second = Duration::from_secs(1);
        let cases = all(Times { warm_up: second, load: second });
        let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len());
        let beside: Vec<Case> = cases.iter().filter_map(Case::beside_another_build).collect();
        assert!(!beside.is_empty() && beside.iter().all(|case| case.contenders.len() == 2));
        for case in cases.iter().chain(&beside) {
            let others = 1..case.contenders.len();
            let known = case.targets.iter().flat_map(|target| &target.against);
            assert!(known.clone().all(|index| others.contains(index)), "{}", case.name);
        }
    }
}
