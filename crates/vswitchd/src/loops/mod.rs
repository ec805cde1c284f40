//! The loops of a service: one switch, or several that share its ports.
//!
//! With several, each runs on a thread of its own and has its ports and its pool of buffers. What
//! joins them into networks is [`wiring`]; whoever changes what is on them does it by [`reach`].

use std::io;
use std::num::NonZeroUsize;

use vswitch::Nanos;
use vswitch::counters::PortCounters;
use vswitch::poller::Poller;
use vswitch::switch::{Notice, Report, Switch};

use crate::platform::Platform;

mod reach;
mod wiring;

pub use reach::Ended;
pub(crate) use reach::{Handles, Reach};
pub(crate) use wiring::{Seat, Wiring, WiringError};

/// The loops.
#[derive(Debug)]
pub(crate) struct Loops<P: Poller>(Vec<Switch<P>>);

impl<P: Poller> Loops<P> {
    /// `count` loops without networks.
    ///
    /// # Errors
    /// When the platform has no poller left.
    pub(crate) fn new<Of>(platform: &mut Of, count: NonZeroUsize) -> Result<Self, Of::Error>
    where
        Of: Platform<Poller = P>,
    {
        let switch = |_| platform.poller().map(Switch::new);
        Ok(Self((0..count.get()).map(switch).collect::<Result<_, _>>()?))
    }

    /// Has `tell` called, on each loop's own thread, when something happens to a port.
    pub(crate) fn set_observer(&mut self, tell: impl Fn(&Notice<'_>) + Clone + Send + 'static) {
        for switch in &mut self.0 {
            switch.set_observer(tell.clone());
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// How other threads reach them.
    pub(crate) fn handles(&self) -> Handles<P> {
        Handles(self.0.iter().map(Switch::handle).collect())
    }

    pub(crate) fn set_busy_poll(&mut self, is_on: bool) {
        for switch in &mut self.0 {
            switch.set_busy_poll(is_on);
        }
    }

    /// Ends all of them: every port is closed.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Runs the first loop here and each other on a thread of its own, until one of them ends; then
    /// all end.
    ///
    /// # Errors
    /// When a thread cannot be made, or a poller cannot wait any more: the first of these.
    pub(crate) fn run(&mut self) -> io::Result<()>
    where
        P: Send,
    {
        let stop_all = StopAll(self.handles());
        let Some((first, others)) = self.0.split_first_mut() else { return Ok(()) };
        if others.is_empty() {
            return first.run();
        }
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            let mut made = Ok(());
            for (each, number) in others.iter_mut().zip(2..) {
                let stop_all = stop_all.clone();
                let builder = std::thread::Builder::new().name(format!("loop {number}"));
                let thread = builder.spawn_scoped(scope, move || {
                    let _stop_all = stop_all;
                    each.run()
                });
                match thread {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        made = Err(error);
                        break;
                    }
                }
            }
            // Also when this thread panics: the scope would wait for the others for ever.
            let stop_all = stop_all;
            let mut ran = made.and_then(|()| first.run());
            drop(stop_all);
            for thread in threads {
                let other = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                ran = ran.and(other);
            }
            ran
        })
    }

    /// One round of the only loop.
    ///
    /// # Errors
    /// As [`Switch::step`], and when there are several.
    pub(crate) fn step(&mut self, until: Nanos) -> io::Result<()> {
        match &mut self.0[..] {
            [only] => only.step(until),
            _ => {
                let why = "a service on several threads can be run, not stepped";
                Err(io::Error::new(io::ErrorKind::Unsupported, why))
            }
        }
    }

    /// The counters of all loops' ports, each loop's in the order of their places.
    pub(crate) fn report(&mut self) -> Report {
        let mut all = Report::default();
        for switch in &mut self.0 {
            all.extend(switch.report());
        }
        all
    }
}

/// Stops all loops when it is dropped, be it by a panic.
struct StopAll<P: Poller>(Handles<P>);

impl<P: Poller> Clone for StopAll<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Poller> Drop for StopAll<P> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What all trunks together carried, and how many frames are still in them or wait for them:
/// `enqueued = sent + dropped + queued` and `sent = received + in the trunks`.
pub(crate) fn sum_of_trunks(report: &Report) -> (PortCounters, usize) {
    let mut sum = PortCounters::default();
    for trunk in &report.trunks {
        sum.add(&trunk.counters);
    }
    let queued: usize = report.trunks.iter().map(|trunk| trunk.queued_frames).sum();
    let under_way = sum.egress.sent_frames.saturating_sub(sum.ingress.received_frames);
    (sum, queued + usize::try_from(under_way).unwrap_or(usize::MAX))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Arc;

    use vswitch::MacAddr;
    use vswitch::poller::{Epoll, Event, Interest, Source, Token, Wake};

    use super::*;
    use crate::access::Access;
    use crate::config::{Attachment, UplinkSpec};
    use crate::linux::{Linux, LinuxError};
    use crate::platform::{Attached, OpenUplink, TrunkEnds};

    /// What a poller does when it is to wait.
    #[derive(Clone, Copy, Debug)]
    enum Wait {
        Well,
        Fails,
        Panics,
    }

    /// Epoll, but for how it waits.
    struct Poor(Epoll, Wait);

    impl Poller for Poor {
        fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
            self.0.add(source, token, interest)
        }

        fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
            self.0.modify(source, token, interest)
        }

        fn remove(&mut self, source: Source) {
            self.0.remove(source);
        }

        fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
            match self.1 {
                Wait::Well => self.0.wait(deadline, events),
                Wait::Fails => Err(io::Error::other("out of order")),
                Wait::Panics => panic!("out of order"),
            }
        }

        fn now(&mut self) -> Nanos {
            self.0.now()
        }

        fn waker(&self) -> Arc<dyn Wake> {
            self.0.waker()
        }
    }

    /// Linux, with pollers of these kinds, the last first.
    struct Pollers(Vec<Wait>);

    impl Platform for Pollers {
        type Poller = Poor;
        type Uplink = ();
        type Error = LinuxError;

        fn poller(&mut self) -> Result<Poor, LinuxError> {
            Ok(Poor(Linux::default().poller()?, self.0.pop().expect("one for each loop")))
        }

        fn trunk(&mut self, bytes: usize) -> Result<TrunkEnds, LinuxError> {
            Linux::default().trunk(bytes)
        }

        fn attach(&mut self, _: Attachment, _: Access) -> Result<Attached, LinuxError> {
            unreachable!("loops attach nothing")
        }

        fn uplink(
            &mut self,
            _: &UplinkSpec,
            _: Option<&[MacAddr]>,
        ) -> Result<Option<OpenUplink<()>>, LinuxError> {
            unreachable!("loops have no uplink")
        }
    }

    fn loops(kinds: &[Wait]) -> Loops<Poor> {
        let count = NonZeroUsize::new(kinds.len()).expect("some");
        let mut platform = Pollers(kinds.iter().rev().copied().collect());
        Loops::new(&mut platform, count).unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[test]
    fn the_end_of_one_by_an_error_is_the_end_of_all() {
        use Wait::{Fails, Well};
        for kinds in [&[Fails, Well, Well][..], &[Well, Well, Fails], &[Fails, Fails], &[Fails]] {
            let error = loops(kinds).run().unwrap_err();
            assert_eq!(error.to_string(), "out of order", "{kinds:?}");
        }
    }

    #[test]
    fn the_end_of_one_by_a_panic_is_the_end_of_all() {
        use Wait::{Panics, Well};
        for kinds in [&[Panics, Well, Well][..], &[Well, Well, Panics]] {
            let mut loops = loops(kinds);
            let run = std::panic::AssertUnwindSafe(|| loops.run());
            assert!(std::panic::catch_unwind(run).is_err(), "{kinds:?}");
        }
    }

    #[test]
    fn only_one_loop_can_be_stepped() {
        loops(&[Wait::Well]).step(Nanos(0)).expect("one");
        let several = loops(&[Wait::Well, Wait::Well]).step(Nanos(0));
        assert_eq!(several.map_err(|error| error.kind()), Err(io::ErrorKind::Unsupported));
    }
}
