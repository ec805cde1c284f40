//! Kqueues: each behaviour by its row of the contract.

mod common;

use std::time::Duration;

use common::{apply, events, pair, readers, wait};
use xnu_sim::{MacOs, SimKernel};
use xnu_sys::Kernel;
use xnu_sys::sys_event::{
    EV_ADD, EV_CLEAR, EV_ONESHOT, EVFILT_TIMER, EVFILT_USER, NOTE_TRIGGER, NOTE_USECONDS,
    kevent64_s,
};

/// §8: a level-triggered reader is told of data until it has taken them.
#[test]
fn a_level_triggered_reader_is_told_until_it_has_read() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    assert_eq!(events(&kernel, &queue), []);
    kernel.write(&one, b"abc").expect("write");
    for _ in 0..3 {
        let told = events(&kernel, &queue);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].data, 3);
    }
    kernel.read(&other, &mut [0; 16]).expect("read");
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: `EVFILT_USER` with `EV_CLEAR`, once for each trigger.
#[test]
fn a_user_event_comes_once_for_each_trigger() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let queue = kernel.kqueue().expect("kqueue");
    let user = kevent64_s { ident: 7, filter: EVFILT_USER, udata: 9, ..kevent64_s::default() };
    apply(&kernel, &queue, kevent64_s { flags: EV_ADD | EV_CLEAR, ..user }).expect("EV_ADD");
    assert_eq!(events(&kernel, &queue), []);
    apply(&kernel, &queue, kevent64_s { fflags: NOTE_TRIGGER, ..user }).expect("trigger");
    let told = events(&kernel, &queue);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].ident, told[0].udata), (7, 9));
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: a one-shot timer of microseconds, in virtual time.
#[test]
fn a_one_shot_timer_fires_once_and_on_time() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let queue = kernel.kqueue().expect("kqueue");
    let timer = kevent64_s {
        ident: 1,
        filter: EVFILT_TIMER,
        flags: EV_ADD | EV_ONESHOT,
        fflags: NOTE_USECONDS,
        data: 50,
        ..kevent64_s::default()
    };
    apply(&kernel, &queue, timer).expect("EV_ADD");
    let before = kernel.now();
    let told = wait(&kernel, &queue, Duration::from_secs(1));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].data, 1);
    let took = kernel.now() - before;
    assert!(took < Duration::from_micros(60), "{took:?}");
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(1)), []);
}
