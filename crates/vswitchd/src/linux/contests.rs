//! Who undoes a repair again and again is not fought for ever: repairs of one thing become rare.

use std::time::{Duration, Instant};

use crate::repairs::Mended;

/// The repairs that were made of late.
#[derive(Debug, Default)]
pub(super) struct Contests(Vec<Contest>);

#[derive(Debug)]
struct Contest {
    what: Mended,
    object: String,
    repairs: u32,
    last: Instant,
}

/// Whether something may be repaired now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    /// Yes.
    Granted,
    /// Not before.
    NotBefore(Instant),
}

/// So many repairs are made at once.
const AT_ONCE: u32 = 5;

/// After each further one, it is waited for so long, twice as long each time, this at most.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);

/// What held for so long is not contested any more.
const CALM: Duration = Duration::from_secs(120);

/// How many things are remembered.
const CONTESTS_MAX: usize = 64;

impl Contests {
    /// Asks whether `object` may be mended now.
    pub(super) fn ask(&mut self, what: Mended, object: &str, now: Instant) -> Permit {
        self.0.retain(|contest| now.saturating_duration_since(contest.last) < CALM);
        let not_before = self.find(what, object).map(|contest| contest.last + contest.rest());
        match not_before {
            Some(then) if now < then => Permit::NotBefore(then),
            _ => Permit::Granted,
        }
    }

    /// Counts that it was. What fails is nobody's doing, and not counted. True when it is mended
    /// less often from now on.
    pub(super) fn count(&mut self, what: Mended, object: &str, now: Instant) -> bool {
        if let Some(contest) = self.find(what, object) {
            contest.repairs += 1;
            contest.last = now;
            return contest.repairs == AT_ONCE;
        }
        if self.0.len() == CONTESTS_MAX {
            self.0.remove(0);
        }
        self.0.push(Contest { what, object: object.to_owned(), repairs: 1, last: now });
        false
    }

    fn find(&mut self, what: Mended, object: &str) -> Option<&mut Contest> {
        self.0.iter_mut().find(|of| of.what == what && of.object == object)
    }
}

impl Contest {
    fn rest(&self) -> Duration {
        match self.repairs.checked_sub(AT_ONCE) {
            None => Duration::ZERO,
            Some(further) => (REST * 2_u32.saturating_pow(further.min(16))).min(REST_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many repairs are made in `time` by who looks every 100 ms and always finds it undone.
    fn repairs_in(time: Duration) -> usize {
        let (mut contests, start) = (Contests::default(), Instant::now());
        let looks = time.as_millis() / 100;
        let look = |at: u128| start + Duration::from_millis(u64::try_from(at * 100).unwrap());
        let mut mend = |at: u128| {
            let may = contests.ask(Mended::Membership, "a", look(at)) == Permit::Granted;
            may && {
                contests.count(Mended::Membership, "a", look(at));
                true
            }
        };
        (0..looks).filter(|at| mend(*at)).count()
    }

    #[test]
    fn a_fight_becomes_slow() {
        assert_eq!(repairs_in(Duration::from_secs(1)), 5);
        // After 1, 2, 4, 8, 16 and 32 seconds, then once a minute.
        assert_eq!(repairs_in(Duration::from_secs(64)), 11);
        assert_eq!(repairs_in(Duration::from_secs(64 + 600)), 21);
    }

    #[test]
    fn each_thing_has_its_own_and_calm_ends_it() {
        let (mut contests, now) = (Contests::default(), Instant::now());
        for number in 1..=5 {
            assert_eq!(contests.ask(Mended::Up, "a", now), Permit::Granted);
            assert_eq!(contests.ask(Mended::Up, "a", now), Permit::Granted, "it was not mended");
            assert_eq!(contests.count(Mended::Up, "a", now), number == 5);
        }
        assert!(matches!(contests.ask(Mended::Up, "a", now), Permit::NotBefore(_)));
        assert_eq!(contests.ask(Mended::Up, "b", now), Permit::Granted);
        assert_eq!(contests.ask(Mended::Mtu, "a", now), Permit::Granted);
        assert_eq!(contests.ask(Mended::Up, "a", now + CALM), Permit::Granted);
        for number in 0..1000 {
            contests.count(Mended::Up, &number.to_string(), now + CALM);
        }
        assert_eq!(contests.0.len(), CONTESTS_MAX);
    }
}
