//! The poller alone.

use std::time::Duration;

use vswitch::Nanos;
use vswitch::poller::{Event, Interest, Kqueue, Poller, Source, Token};
use xnu_sim::{BootOptions, MacOs, SimKernel};
use xnu_sys::Kernel;
use xnu_sys::sys_socket::{AF_LOCAL, SOCK_DGRAM};

use crate::support::on_every_version;

const READ: Interest = Interest { readable: true, writable: false };

fn source(fd: &<SimKernel as Kernel>::Fd) -> Source {
    Source { descriptor: SimKernel::number(fd), generation: 0 }
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
