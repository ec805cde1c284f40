//! The poller alone.

use std::time::Duration;

use vswitch::Nanos;
use vswitch::poller::{Event, Interest, Kqueue, Poller, Source, Token};
use xnu_sim::{BootOptions, Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, SOCK_DGRAM};
use xnu_sys::{Errno, Kernel};

use crate::support::on_every_version;

const READ: Interest = Interest { readable: true, writable: false };
const WRITE: Interest = Interest { readable: false, writable: true };
const BOTH: Interest = Interest { readable: true, writable: true };
const NEITHER: Interest = Interest { readable: false, writable: false };

fn source(fd: &<SimKernel as Kernel>::Fd) -> Source {
    Source { descriptor: SimKernel::number(fd), generation: 0 }
}

/// What is ready now.
fn ready(poller: &mut Kqueue<SimKernel>) -> Vec<Event> {
    let mut events = Vec::new();
    poller.wait(Nanos(0), &mut events).unwrap();
    events
}

fn event(token: u64, of: Interest) -> Event {
    Event { token: Token(token), readable: of.readable, writable: of.writable }
}

/// Nothing is ready, and nothing cuts a wait short: otherwise the loop would spin.
fn is_quiet(poller: &mut Kqueue<SimKernel>) {
    let mut events = Vec::new();
    let deadline = poller.now() + Duration::from_millis(1);
    poller.wait(deadline, &mut events).unwrap();
    assert_eq!(events, []);
    assert!(poller.now() >= deadline, "it returned early");
}

#[test]
fn tells_what_is_ready_for_as_long_as_it_is_and_nothing_else() {
    on_every_version(|version| {
        let kernel = SimKernel::boot(version, 1);
        let mut poller = Kqueue::new(kernel.clone()).unwrap();
        let (near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        let (quiet, _other) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        poller.add(source(&far), Token(7), READ).unwrap();
        poller.add(source(&quiet), Token(8), READ).unwrap();
        let mut events = vec![Event { token: Token(9), readable: true, writable: true }];
        poller.wait(Nanos(0), &mut events).unwrap();
        assert_eq!(events, [], "what stood there before is no event");
        kernel.write(&near, b"x").unwrap();
        let expected = [Event { token: Token(7), readable: true, writable: false }];
        for _ in 0..3 {
            poller.wait(Nanos::NEVER, &mut events).unwrap();
            assert_eq!(events, expected);
        }
        poller.modify(source(&far), Token(7), Interest::default()).unwrap();
        poller.wait(Nanos(0), &mut events).unwrap();
        assert_eq!(events, []);
        poller.modify(source(&far), Token(7), READ).unwrap();
        poller.wait(Nanos(0), &mut events).unwrap();
        assert_eq!(events, expected, "what came while it was not watched is not missed");
        poller.remove(source(&far));
        poller.wait(Nanos(0), &mut events).unwrap();
        assert_eq!(events, []);
    });
}

/// "Seed vs kernel": the original handed its whole list in with every call.
#[test]
fn a_wait_makes_no_changes_once_all_is_registered() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let mut poller = Kqueue::new(kernel.clone()).unwrap();
    let pairs: Vec<_> =
        (0..50).map(|_| kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap()).collect();
    for (number, (near, far)) in (0..).zip(&pairs) {
        poller.add(source(far), Token(number), READ).unwrap();
        kernel.write(near, b"x").unwrap();
    }
    let before = kernel.counters();
    let mut events = Vec::new();
    for _ in 0..10 {
        poller.wait(Nanos(0), &mut events).unwrap();
        assert_eq!(events.len(), 50);
    }
    let counters = kernel.counters().since(&before);
    assert_eq!((counters.of("kevent64"), counters.kevent_changes), (10, 0));
}

#[test]
fn a_descriptor_that_was_closed_is_forgotten_and_its_number_used_again() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let mut poller = Kqueue::new(kernel.clone()).unwrap();
    let (near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    let gone = source(&far);
    poller.add(gone, Token(1), READ).unwrap();
    poller.modify(gone, Token(1), Interest::default()).unwrap();
    drop((near, far));
    poller.remove(gone);
    let (near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    let again = if source(&far).descriptor == gone.descriptor { &far } else { &near };
    assert_eq!(source(again), gone, "the same number");
    poller.add(source(again), Token(2), READ).unwrap();
    kernel.write(if std::ptr::eq(again, &raw const far) { &near } else { &far }, b"x").unwrap();
    let mut events = Vec::new();
    poller.wait(Nanos(0), &mut events).unwrap();
    assert_eq!(events, [Event { token: Token(2), readable: true, writable: false }]);
}

#[test]
fn a_bad_descriptor_is_refused() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let mut poller = Kqueue::new(kernel).unwrap();
    let nobody = Source { descriptor: 77, generation: 0 };
    let refused = poller.add(nobody, Token(1), READ).unwrap_err();
    assert!(refused.to_string().contains("EBADF"), "{refused}");
}

#[test]
fn a_deadline_is_not_missed_and_not_early() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let mut poller = Kqueue::new(kernel).unwrap();
    let deadline = poller.now() + Duration::from_micros(1500);
    poller.wait(deadline, &mut Vec::new()).unwrap();
    assert!(poller.now() >= deadline);
    assert!(poller.now() < deadline + Duration::from_micros(10));
}

#[test]
fn another_thread_wakes_it_even_beforehand() {
    let options = BootOptions { has_threads: true, ..BootOptions::default() };
    let kernel = SimKernel::boot_with(options);
    let mut poller = Kqueue::new(kernel).unwrap();
    let mut events = Vec::new();
    poller.waker().wake();
    poller.wait(Nanos::NEVER, &mut events).unwrap();
    let waker = poller.waker();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        waker.wake();
    });
    poller.wait(Nanos::NEVER, &mut events).unwrap();
    thread.join().unwrap();
    assert_eq!(events, []);
    let before = poller.now();
    poller.wait(before + Duration::from_millis(5), &mut events).unwrap();
    assert!(poller.now().since(before) >= Duration::from_millis(5), "one wake, one return");
}

/// Each way from one interest to another, and away.
#[test]
fn watches_for_what_is_asked_and_for_nothing_else() {
    let all = [NEITHER, READ, WRITE, BOTH];
    on_every_version(|version| {
        for (first, second) in all.into_iter().flat_map(|one| all.map(|other| (one, other))) {
            let kernel = SimKernel::boot(version, 1);
            let mut poller = Kqueue::new(kernel.clone()).unwrap();
            let (near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
            // It can be read, and it can be written.
            kernel.write(&near, b"x").unwrap();
            poller.add(source(&far), Token(1), first).unwrap();
            for (interest, token) in [(first, 1), (second, 2), (first, 3), (second, 3)] {
                poller.modify(source(&far), Token(token), interest).unwrap();
                if interest == NEITHER {
                    is_quiet(&mut poller);
                    continue;
                }
                let mut told = ready(&mut poller);
                told.sort_by_key(|one| one.writable);
                // Two knotes, each told of on its own.
                let single = [READ, WRITE].into_iter().filter(|one| match one.readable {
                    true => interest.readable,
                    false => interest.writable,
                });
                let expected: Vec<_> = single.map(|one| event(token, one)).collect();
                assert_eq!(told, expected, "{first:?}, {second:?}");
            }
            poller.remove(source(&far));
            is_quiet(&mut poller);
        }
    });
}

#[test]
fn asking_for_the_same_again_changes_nothing() {
    for interest in [NEITHER, READ, WRITE, BOTH] {
        let kernel = SimKernel::boot(MacOs::V15, 1);
        let mut poller = Kqueue::new(kernel.clone()).unwrap();
        let (_near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        poller.add(source(&far), Token(1), interest).unwrap();
        let before = kernel.counters();
        poller.modify(source(&far), Token(1), interest).unwrap();
        let _ = ready(&mut poller);
        assert_eq!(kernel.counters().since(&before).kevent_changes, 0, "{interest:?}");
    }
}

/// What was still to be changed of a descriptor goes with it, and comes to no other of its number.
#[test]
fn changes_of_a_descriptor_that_is_no_longer_watched_are_not_made() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let mut poller = Kqueue::new(kernel.clone()).unwrap();
    let (near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    kernel.write(&near, b"x").unwrap();
    poller.add(source(&far), Token(1), NEITHER).unwrap();
    poller.modify(source(&far), Token(1), BOTH).unwrap();
    poller.remove(source(&far));
    is_quiet(&mut poller);
    // Closed without a word, and another has its number.
    poller.add(source(&far), Token(1), READ).unwrap();
    poller.modify(source(&far), Token(1), NEITHER).unwrap();
    let number = source(&far);
    drop((near, far));
    let (near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    let (near, far) = if source(&far) == number { (near, far) } else { (far, near) };
    assert_eq!(source(&far), number);
    poller.add(source(&far), Token(2), READ).unwrap();
    kernel.write(&near, b"x").unwrap();
    assert_eq!(ready(&mut poller), [event(2, READ)]);
}

/// The port finds out what is wrong.
#[test]
fn a_change_that_fails_shows_as_ready_for_what_was_asked() {
    for interest in [READ, WRITE, BOTH] {
        let kernel = SimKernel::boot(MacOs::V15, 1);
        let mut poller = Kqueue::new(kernel.clone()).unwrap();
        let (near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        poller.add(source(&far), Token(1), NEITHER).unwrap();
        let closed = source(&far);
        drop((near, far));
        poller.modify(closed, Token(1), interest).unwrap();
        let told = ready(&mut poller);
        assert!(!told.is_empty() && told.iter().all(|one| *one == event(1, interest)), "{told:?}");
        assert_eq!(ready(&mut poller), [], "once");
    }
}

/// Whether they were made before the signal came, nobody knows.
#[test]
fn changes_are_made_by_the_next_wait_when_a_signal_ends_one() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let mut poller = Kqueue::new(kernel.clone()).unwrap();
    let (near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    kernel.write(&near, b"x").unwrap();
    poller.add(source(&far), Token(1), NEITHER).unwrap();
    poller.modify(source(&far), Token(1), READ).unwrap();
    let action = FaultAction::Fail(Errno::EINTR);
    kernel.add_fault(Fault { call: "kevent64", object: None, after: 0, times: 1, action });
    assert_eq!(ready(&mut poller), []);
    assert_eq!(ready(&mut poller), [event(1, READ)]);
}

/// A registration is a call of its own, and takes no event.
#[test]
fn a_wake_before_a_registration_is_not_lost() {
    let kernel = SimKernel::boot(MacOs::V15, 1);
    let mut poller = Kqueue::new(kernel.clone()).unwrap();
    let (_near, far) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
    poller.waker().wake();
    poller.add(source(&far), Token(1), READ).unwrap();
    let before = poller.now();
    poller.wait(before + Duration::from_secs(1), &mut Vec::new()).unwrap();
    assert!(poller.now() < before + Duration::from_millis(1), "it wakes");
    is_quiet(&mut poller);
}
