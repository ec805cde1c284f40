//! What the poller tells, whichever of the two it asks.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;

use super::busy::IDLE_WAITS_MAX;
use super::*;

const READ: Interest = Interest { readable: true, writable: false };

fn source(stream: &UnixStream) -> Source {
    Source { descriptor: stream.as_raw_fd(), generation: 0 }
}

#[test]
fn tells_what_is_ready_for_as_long_as_it_is() {
    let mut poller = Epoll::new().unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    poller.add(source(&far), Token(7), READ).unwrap();
    let mut events = Vec::new();
    poller.wait(Nanos(0), &mut events).unwrap();
    assert_eq!(events, []);
    near.write_all(b"x").unwrap();
    let expected = [Event { token: Token(7), readable: true, writable: false }];
    for _ in 0..2 {
        poller.wait(Nanos::NEVER, &mut events).unwrap();
        assert_eq!(events, expected);
    }
    poller.modify(source(&far), Token(7), Interest::default()).unwrap();
    poller.wait(Nanos(0), &mut events).unwrap();
    assert_eq!(events, []);
    drop(far);
    poller.remove(Source { descriptor: 1_000_000, generation: 0 });
}

#[test]
fn a_deadline_is_not_missed_and_not_early() {
    let mut poller = Epoll::new().unwrap();
    let mut events = Vec::new();
    let deadline = poller.now() + Duration::from_micros(1500);
    poller.wait(deadline, &mut events).unwrap();
    assert!(poller.now() >= deadline);
}

/// Each wait has its own deadline, whatever the one before it had, which was over before that.
#[test]
fn the_last_deadline_counts() {
    const SOON: Duration = Duration::from_millis(3);
    const NOT_IN_THIS_TEST: Duration = Duration::from_secs(3600);
    let mut events = Vec::new();
    for is_busy_source in [false, true] {
        for (before, after) in [(SOON, LATER), (NOT_IN_THIS_TEST, SOON), (LATER, LATER)] {
            let mut poller = Epoll::new().unwrap();
            let (mut near, mut far) = match is_busy_source {
                true => busy_source(&mut poller),
                false => UnixStream::pair().unwrap(),
            };
            if !is_busy_source {
                poller.add(source(&far), Token(1), READ).unwrap();
                near.write_all(b"x").unwrap();
            }
            let deadline = poller.now() + before;
            poller.wait(deadline, &mut events).unwrap();
            assert_eq!(events, [readable(1)]);
            assert_eq!(is_busy(&poller, source(&far)), is_busy_source);
            assert_eq!(far.read(&mut [0; 8]).unwrap(), 1);

            only_the_waker_wakes(&mut poller);
            let deadline = poller.now() + after;
            while poller.now() < deadline {
                poller.wait(deadline, &mut events).unwrap();
                assert_eq!(events, []);
                assert!(poller.now() >= deadline, "woken early, by {before:?}");
            }
            only_the_waker_wakes(&mut poller);
        }
    }
}

/// Without a deadline, an old one does not count.
fn only_the_waker_wakes(poller: &mut Epoll) {
    let waker = poller.waker();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(LATER);
        waker.wake();
    });
    let (from, mut events) = (poller.now(), Vec::new());
    poller.wait(Nanos::NEVER, &mut events).unwrap();
    assert!(poller.now().since(from) >= LATER / 2, "woken by nobody");
    thread.join().unwrap();
}

const LATER: Duration = Duration::from_millis(40);

#[test]
fn another_thread_wakes_it_even_beforehand() {
    let mut poller = Epoll::new().unwrap();
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
    let before = poller.now();
    poller.wait(before + Duration::from_millis(5), &mut events).unwrap();
    assert!(poller.now().since(before) >= Duration::from_millis(5), "one wake, one return");
}
/// Waits without waiting.
fn look(poller: &mut Epoll) -> Vec<Event> {
    let mut events = Vec::new();
    poller.wait(Nanos(0), &mut events).unwrap();
    events
}

fn readable(token: u64) -> Event {
    Event { token: Token(token), readable: true, writable: false }
}

fn is_busy(poller: &Epoll, source: Source) -> bool {
    poller.watches.get(&source.descriptor).is_some_and(|watch| watch.place == Place::Busy)
}

/// A source that was ready in two waits, which makes it busy.
fn busy_source(poller: &mut Epoll) -> (UnixStream, UnixStream) {
    let (mut near, far) = UnixStream::pair().unwrap();
    poller.add(source(&far), Token(1), READ).unwrap();
    near.write_all(b"x").unwrap();
    assert_eq!(look(poller), [readable(1)]);
    assert!(!is_busy(poller, source(&far)), "once is not busy");
    assert_eq!(look(poller), [readable(1)]);
    assert!(is_busy(poller, source(&far)));
    (near, far)
}

#[test]
fn who_is_often_ready_is_asked_directly_until_it_is_idle() {
    let mut poller = Epoll::new().unwrap();
    let (_near, mut far) = busy_source(&mut poller);
    assert_eq!(look(&mut poller), [readable(1)], "told again for as long as it holds");
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 1);
    for _ in 0..IDLE_WAITS_MAX {
        assert_eq!(look(&mut poller), []);
    }
    assert!(is_busy(&poller, source(&far)));
    look(&mut poller);
    assert!(!is_busy(&poller, source(&far)));
}

#[test]
fn who_only_sends_is_asked_directly_too() {
    let mut poller = Epoll::new().unwrap();
    let (_near, far) = UnixStream::pair().unwrap();
    poller.add(source(&far), Token(1), READ).unwrap();
    for _ in 0..2 * IDLE_WAITS_MAX {
        poller.note_use(source(&far));
        poller.note_use(source(&far));
        look(&mut poller);
    }
    assert!(is_busy(&poller, source(&far)));
    // Now and then is not busy.
    let (_other, now_and_then) = UnixStream::pair().unwrap();
    poller.add(source(&now_and_then), Token(2), READ).unwrap();
    for wait in 0..10 * RECENT_WAITS {
        if wait % (RECENT_WAITS + 1) == 0 {
            poller.note_use(source(&now_and_then));
        }
        look(&mut poller);
    }
    assert!(!is_busy(&poller, source(&now_and_then)));
}

#[test]
fn a_busy_source_that_pauses_comes_back_busy() {
    let mut poller = Epoll::new().unwrap();
    let (_near, far) = busy_source(&mut poller);
    poller.remove(source(&far));
    assert_eq!(look(&mut poller), []);
    poller.add(source(&far), Token(3), READ).unwrap();
    assert!(is_busy(&poller, source(&far)));
    assert_eq!(look(&mut poller), [readable(3)]);
    let write = Interest { readable: false, writable: true };
    poller.modify(source(&far), Token(4), write).unwrap();
    assert_eq!(look(&mut poller), [Event { token: Token(4), readable: false, writable: true }]);
}

#[test]
fn a_number_that_another_descriptor_has_now_says_nothing_of_the_old_one() {
    let mut poller = Epoll::new().unwrap();
    let (_near, far) = busy_source(&mut poller);
    poller.remove(source(&far));
    let another = Source { generation: 1, ..source(&far) };
    poller.add(another, Token(9), READ).unwrap();
    assert!(!is_busy(&poller, another));
    assert_eq!(look(&mut poller), [readable(9)]);
}

#[test]
fn a_busy_source_closed_without_a_word_is_forgotten() {
    use nix::fcntl::{FcntlArg, fcntl};
    let mut poller = Epoll::new().unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    // A number that no other test is given meanwhile.
    let high = fcntl(&far, FcntlArg::F_DUPFD_CLOEXEC(700)).unwrap();
    let source = Source { descriptor: high, generation: 0 };
    poller.add(source, Token(1), READ).unwrap();
    near.write_all(b"x").unwrap();
    for _ in 0..2 {
        assert_eq!(look(&mut poller), [readable(1)]);
    }
    assert!(is_busy(&poller, source));
    nix::unistd::close(high).unwrap();
    for _ in 0..2 {
        assert_eq!(look(&mut poller), []);
    }
    assert!(poller.busy.is_empty() && poller.watches.is_empty());
    poller.remove(source);
    assert!(poller.modify(source, Token(1), READ).is_err());
}

#[test]
fn more_busy_sources_than_are_asked_directly_are_told_all_the_same() {
    let mut poller = Epoll::new().unwrap();
    let pairs: Vec<_> = (0..100).map(|_| UnixStream::pair().unwrap()).collect();
    for (token, (near, far)) in (0..).zip(&pairs) {
        poller.add(source(far), Token(token), READ).unwrap();
        (&mut &*near).write_all(b"x").unwrap();
    }
    for _ in 0..5 {
        let mut told: Vec<u64> = look(&mut poller).iter().map(|event| event.token.0).collect();
        told.sort_unstable();
        assert_eq!(told, (0..100).collect::<Vec<_>>());
    }
    assert!(poller.busy.is_full());
}

/// What is done to one of a few sources.
#[derive(Clone, Copy, Debug)]
enum Step {
    Watch(Interest),
    Unwatch,
    Fill,
    Drain,
    HangUp,
    Use,
    Look(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let interest = (any::<bool>(), any::<bool>())
        .prop_map(|(readable, writable)| Interest { readable, writable });
    prop_oneof![
        2 => interest.prop_map(Step::Watch),
        1 => Just(Step::Unwatch),
        2 => Just(Step::Fill),
        2 => Just(Step::Drain),
        1 => Just(Step::HangUp).boxed(),
        2 => Just(Step::Use),
        6 => (1_u8..80).prop_map(Step::Look),
    ]
}

proptest! {
    /// Each source is told as the kernel tells it when it alone is asked.
    #[test]
    fn tells_what_each_source_tells_by_itself(
        steps in prop::collection::vec((0_usize..5, step()), 1..120)
    ) {
        let mut poller = Epoll::new().unwrap();
        let mut pairs: Vec<_> = (0..5).map(|_| UnixStream::pair().unwrap()).collect();
        let mut watched = [None; 5];
        for (near, far) in &pairs {
            near.set_nonblocking(true).unwrap();
            far.set_nonblocking(true).unwrap();
        }
        for (which, step) in steps {
            let far = source(&pairs[which].1);
            match step {
                Step::Watch(interest) if watched[which].is_none() => {
                    poller.add(far, Token(which as u64), interest).unwrap();
                    watched[which] = Some(interest);
                }
                Step::Watch(interest) => {
                    poller.modify(far, Token(which as u64), interest).unwrap();
                    watched[which] = Some(interest);
                }
                Step::Unwatch => {
                    poller.remove(far);
                    watched[which] = None;
                }
                Step::Fill => drop(pairs[which].0.write(b"x")),
                Step::Drain => drop(pairs[which].1.read(&mut [0; 64])),
                Step::HangUp => pairs[which].0.shutdown(std::net::Shutdown::Both).unwrap(),
                Step::Use => poller.note_use(far),
                Step::Look(times) => {
                    for _ in 0..times {
                        let mut told = look(&mut poller);
                        told.sort_by_key(|event| event.token.0);
                        let expected: Vec<Event> = (0..5)
                            .filter_map(|at| by_itself(&pairs[at].1, at, watched[at]?))
                            .collect();
                        prop_assert_eq!(told, expected);
                    }
                }
            }
        }
        pairs.clear();
    }
}

/// What poll(2) tells of one source.
fn by_itself(far: &UnixStream, token: usize, interest: Interest) -> Option<Event> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut asked = PollFlags::empty();
    asked.set(PollFlags::POLLIN, interest.readable);
    asked.set(PollFlags::POLLOUT, interest.writable);
    let mut question = [PollFd::new(std::os::fd::AsFd::as_fd(far), asked)];
    poll(&mut question, PollTimeout::ZERO).unwrap();
    let answer = question[0].revents().unwrap();
    let broken = answer.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
    let readable = broken || answer.contains(PollFlags::POLLIN);
    let writable = broken || answer.contains(PollFlags::POLLOUT);
    let token = Token(token as u64);
    (readable || writable).then_some(Event { token, readable, writable })
}
