//! Epoll with a clock that only looks at it move on.

use std::io;
use std::sync::Arc;

use vswitch::Nanos;
use vswitch::poller::{Epoll, Event, Interest, Poller, Source, Token, Wake};

/// Each look is so much later than the one before, however slow the machine is: what ports do a
/// few times a second (a look whether a path still leads to the peer, which allocates) is not done
/// meanwhile, and no reader is taken for stalled because the test was not scheduled.
const LOOK_TAKES_NS: u64 = 1000;

#[derive(Debug)]
pub(crate) struct SlowClock {
    epoll: Epoll,
    now: Nanos,
}

impl SlowClock {
    pub(crate) fn new() -> Self {
        Self { epoll: Epoll::new().expect("an epoll"), now: Nanos(0) }
    }
}

impl Poller for SlowClock {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.epoll.add(source, token, interest)
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.epoll.modify(source, token, interest)
    }

    fn remove(&mut self, source: Source) {
        self.epoll.remove(source);
    }

    /// Does not wait.
    fn wait(&mut self, _: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        self.epoll.wait(Nanos(0), events)
    }

    fn now(&mut self) -> Nanos {
        self.now.0 += LOOK_TAKES_NS;
        self.now
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.epoll.waker()
    }
}
