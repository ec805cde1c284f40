//! `EVFILT_TIMER` (contract §8; XNU `bsd/kern/kern_event.c`, `filt_timer*`).

mod common;

use std::time::Duration;

use common::{apply, events, wait};
use xnu_sim::{MacOs, SimFd, SimKernel};
use xnu_sys::sys_event::{
    EV_ADD, EV_CLEAR, EV_DELETE, EV_DISABLE, EV_ENABLE, EV_ONESHOT, EVFILT_TIMER, NOTE_ABSOLUTE,
    NOTE_NSECONDS, NOTE_SECONDS, NOTE_USECONDS, kevent64_s,
};
use xnu_sys::{Errno, Kernel};

const MINUTE: Duration = Duration::from_secs(60);

fn boot() -> (SimKernel, SimFd) {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let queue = kernel.kqueue().expect("kqueue");
    (kernel, queue)
}

fn timer(flags: u16, fflags: u32, data: i64) -> kevent64_s {
    kevent64_s { ident: 1, filter: EVFILT_TIMER, flags, fflags, data, ..kevent64_s::default() }
}

/// How long it takes until an event comes, and what it says.
fn next(kernel: &SimKernel, queue: &SimFd) -> (Duration, i64) {
    let before = kernel.now();
    let told = wait(kernel, queue, MINUTE);
    assert_eq!(told.len(), 1, "one timer");
    (kernel.now() - before, told[0].data)
}

/// The span but for what calls cost.
#[track_caller]
fn assert_about(took: Duration, span: Duration) {
    assert!(took >= span.saturating_sub(Duration::from_micros(5)), "{took:?} for {span:?}");
    assert!(took <= span + Duration::from_micros(5), "{took:?} for {span:?}");
}

/// §8: one-shot timers for pacing, in each unit; milliseconds unless it is said.
#[test]
fn a_one_shot_timer_fires_once_and_on_time() {
    for (fflags, data, span) in [
        (NOTE_SECONDS, 7, Duration::from_secs(7)),
        (0, 7, Duration::from_millis(7)),
        (NOTE_USECONDS, 50, Duration::from_micros(50)),
        (NOTE_NSECONDS, 9000, Duration::from_micros(9)),
    ] {
        let (kernel, queue) = boot();
        apply(&kernel, &queue, timer(EV_ADD | EV_ONESHOT, fflags, data)).expect("EV_ADD");
        let (took, count) = next(&kernel, &queue);
        assert_about(took, span);
        assert_eq!(count, 1);
        assert_eq!(wait(&kernel, &queue, MINUTE), []);
        let deleted = apply(&kernel, &queue, timer(EV_DELETE, 0, 0));
        assert_eq!(deleted, Err(Errno::ENOENT));
    }
}

/// A timer repeats at its interval, and says how often it expired since it was last told of; it is
/// `EV_CLEAR` by itself.
#[test]
fn a_timer_repeats_and_counts() {
    let (kernel, queue) = boot();
    let add = kevent64_s { ext: [5, 6], ..timer(EV_ADD, NOTE_USECONDS, 500) };
    apply(&kernel, &queue, add).expect("EV_ADD");
    for _ in 0..3 {
        let (took, count) = next(&kernel, &queue);
        assert_about(took, Duration::from_micros(500));
        assert_eq!(count, 1);
    }
    kernel.run_for(Duration::from_micros(1700));
    let told = events(&kernel, &queue);
    assert_eq!((told[0].data, told[0].flags & EV_CLEAR), (3, EV_CLEAR));
    assert_eq!(told[0].ext, [0, 6], "the first is the timer's own");
    assert_eq!(events(&kernel, &queue), []);
    // The beat is kept: four intervals and 200 microseconds more.
    let (took, count) = next(&kernel, &queue);
    assert_about(took, Duration::from_micros(300));
    assert_eq!(count, 1);
}

/// `filt_timertouch`: adding it again starts it anew, and a firing not yet told is forgotten.
#[test]
fn adding_a_timer_again_starts_it_anew() {
    let (kernel, queue) = boot();
    let one_shot = |span| timer(EV_ADD | EV_ONESHOT, NOTE_USECONDS, span);
    apply(&kernel, &queue, one_shot(100)).expect("EV_ADD");
    kernel.run_for(Duration::from_micros(90));
    apply(&kernel, &queue, one_shot(100)).expect("EV_ADD");
    let (took, _) = next(&kernel, &queue);
    assert_about(took, Duration::from_micros(100));
    apply(&kernel, &queue, one_shot(100)).expect("EV_ADD");
    kernel.run_for(Duration::from_micros(200));
    apply(&kernel, &queue, one_shot(100)).expect("EV_ADD");
    assert_eq!(events(&kernel, &queue), []);
    let (took, _) = next(&kernel, &queue);
    assert_about(took, Duration::from_micros(100));
}

/// A deleted timer does not fire, a disabled one is told when it is enabled.
#[test]
fn a_timer_can_be_deleted_and_disabled() {
    let (kernel, queue) = boot();
    apply(&kernel, &queue, timer(EV_ADD, NOTE_USECONDS, 100)).expect("EV_ADD");
    apply(&kernel, &queue, timer(EV_DELETE, 0, 0)).expect("EV_DELETE");
    assert_eq!(wait(&kernel, &queue, MINUTE), []);
    let disabled = timer(EV_ADD | EV_DISABLE | EV_ONESHOT, NOTE_USECONDS, 100);
    apply(&kernel, &queue, disabled).expect("EV_ADD");
    assert_eq!(wait(&kernel, &queue, MINUTE), []);
    // Enabling touches, and so starts it anew.
    apply(&kernel, &queue, timer(EV_ENABLE, NOTE_USECONDS, 100)).expect("EV_ENABLE");
    let (took, _) = next(&kernel, &queue);
    assert_about(took, Duration::from_micros(100));
}

/// `filt_timervalidate`: none and less than none expire at once and once; several units are
/// `EINVAL`, and what is no span of nanoseconds `ERANGE`.
#[test]
fn odd_spans() {
    for data in [0, -5] {
        let (kernel, queue) = boot();
        apply(&kernel, &queue, timer(EV_ADD, NOTE_USECONDS, data)).expect("EV_ADD");
        assert_eq!(events(&kernel, &queue).len(), 1);
        assert_eq!(wait(&kernel, &queue, MINUTE), []);
    }
    let (kernel, queue) = boot();
    let both = timer(EV_ADD, NOTE_USECONDS | NOTE_SECONDS, 5);
    assert_eq!(apply(&kernel, &queue, both), Err(Errno::EINVAL));
    let long = timer(EV_ADD, NOTE_SECONDS, i64::MAX);
    assert_eq!(apply(&kernel, &queue, long), Err(Errno::ERANGE));
    assert_eq!(apply(&kernel, &queue, timer(EV_DELETE, 0, 0)), Err(Errno::ENOENT));
}

/// `NOTE_ABSOLUTE`: a moment, once; a moment that is past is now. It cannot become a span.
#[test]
fn a_moment() {
    let (kernel, queue) = boot();
    let moment = kernel.now() + Duration::from_millis(3);
    let data = i64::try_from(moment.as_nanos()).expect("soon");
    apply(&kernel, &queue, timer(EV_ADD, NOTE_ABSOLUTE | NOTE_NSECONDS, data)).expect("EV_ADD");
    let span = timer(EV_ADD, NOTE_NSECONDS, data);
    assert_eq!(apply(&kernel, &queue, span), Err(Errno::EINVAL));
    next(&kernel, &queue);
    assert_about(kernel.now().saturating_sub(moment), Duration::ZERO);
    assert_eq!(apply(&kernel, &queue, timer(EV_DELETE, 0, 0)), Err(Errno::ENOENT));
    apply(&kernel, &queue, timer(EV_ADD, NOTE_ABSOLUTE | NOTE_NSECONDS, 5)).expect("EV_ADD");
    assert_eq!(events(&kernel, &queue).len(), 1);
}
