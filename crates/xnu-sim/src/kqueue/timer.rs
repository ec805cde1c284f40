//! `EVFILT_TIMER`.

use super::filter::Source;
use super::{EV_CLEAR, EV_ONESHOT, KnoteId};
use crate::errno::{EINVAL, ERANGE, Result};
use crate::machine::Machine;

const NOTE_SECONDS: u32 = 0x1;
const NOTE_USECONDS: u32 = 0x2;
const NOTE_NSECONDS: u32 = 0x4;
const NOTE_ABSOLUTE: u32 = 0x8;
const NOTE_MACHTIME: u32 = 0x100;

/// A timer of a knote. The machine's calendar and its ticks are its uptime in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    state: State,
    /// How often it was armed: a firing of an earlier time is none.
    generation: u64,
    deadline_ns: u64,
    /// 0: it does not repeat.
    interval_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Armed,
    Fired,
}

impl Timer {
    pub(super) fn has_fired(&self) -> bool {
        self.state == State::Fired
    }

    /// It is told of: how often it expired, and whether it is to be armed again.
    pub(super) fn process(&mut self, now_ns: u64, is_last: bool) -> (i64, bool) {
        self.state = State::Idle;
        if self.interval_ns == 0 {
            return (1, false);
        }
        let armed_at = self.deadline_ns - self.interval_ns;
        let count = (now_ns - armed_at) / self.interval_ns;
        self.deadline_ns += count * self.interval_ns;
        (i64::try_from(count).unwrap_or(i64::MAX), !is_last)
    }
}

/// When a timer expires, and then how often.
struct Times {
    deadline_ns: u64,
    interval_ns: u64,
}

/// `filt_timervalidate`.
fn times(now_ns: u64, fflags: u32, data: i64) -> Result<Times> {
    let units = fflags & (NOTE_SECONDS | NOTE_USECONDS | NOTE_NSECONDS | NOTE_MACHTIME);
    let unit_ns = match units {
        NOTE_SECONDS => 1_000_000_000,
        NOTE_USECONDS => 1_000,
        NOTE_NSECONDS | NOTE_MACHTIME => 1,
        0 => 1_000_000,
        _ => return Err(EINVAL),
    };
    let is_absolute = fflags & NOTE_ABSOLUTE != 0;
    if data < 0 && !is_absolute {
        // At once, and once.
        return Ok(Times { deadline_ns: 0, interval_ns: 0 });
    }
    let span_ns = data.cast_unsigned().checked_mul(unit_ns).ok_or(ERANGE)?;
    Ok(if is_absolute {
        Times { deadline_ns: span_ns, interval_ns: 0 }
    } else {
        Times { deadline_ns: now_ns.saturating_add(span_ns), interval_ns: span_ns }
    })
}

impl Machine {
    /// Makes a knote a timer; whether it has expired already.
    pub(super) fn attach_timer(&mut self, id: KnoteId) -> Result<bool> {
        let now_ns = self.now_ns;
        let Some(knote) = self.kqueues.knote(id) else { return Ok(false) };
        let times = times(now_ns, knote.fflags, knote.data)?;
        knote.flags |= EV_CLEAR;
        if knote.fflags & NOTE_ABSOLUTE != 0 {
            knote.flags |= EV_ONESHOT;
        }
        let timer = Timer { state: State::Idle, generation: 0, deadline_ns: 0, interval_ns: 0 };
        knote.source = Source::Timer(timer);
        Ok(self.start_timer(id, &times))
    }

    /// Starts a timer anew, by a change; whether it has expired already.
    pub(super) fn touch_timer(&mut self, id: KnoteId, fflags: u32, data: i64) -> Result<bool> {
        let now_ns = self.now_ns;
        let Some(knote) = self.kqueues.knote(id) else { return Ok(false) };
        if (knote.fflags ^ fflags) & NOTE_ABSOLUTE != 0 {
            return Err(EINVAL);
        }
        let times = times(now_ns, fflags, data)?;
        knote.fflags = fflags;
        Ok(self.start_timer(id, &times))
    }

    fn start_timer(&mut self, id: KnoteId, times: &Times) -> bool {
        let now_ns = self.now_ns;
        let Some(timer) = self.timer(id) else { return false };
        timer.deadline_ns = times.deadline_ns;
        timer.interval_ns = times.interval_ns;
        if times.deadline_ns <= now_ns {
            timer.generation += 1;
            timer.state = State::Fired;
            return true;
        }
        self.arm_timer(id);
        false
    }

    pub(super) fn arm_timer(&mut self, id: KnoteId) {
        let now_ns = self.now_ns;
        let Some(timer) = self.timer(id) else { return };
        timer.state = State::Armed;
        timer.generation += 1;
        let generation = timer.generation;
        let span_ns = timer.deadline_ns.saturating_sub(now_ns);
        self.after(span_ns, move |machine| machine.fire_timer(id, generation));
    }

    fn fire_timer(&mut self, id: KnoteId, generation: u64) {
        let Some(timer) = self.timer(id) else { return };
        if timer.generation == generation && timer.state == State::Armed {
            timer.state = State::Fired;
            self.activate_knote(id);
        }
    }

    fn timer(&mut self, id: KnoteId) -> Option<&mut Timer> {
        match &mut self.kqueues.knote(id)?.source {
            Source::Timer(timer) => Some(timer),
            _ => None,
        }
    }
}
