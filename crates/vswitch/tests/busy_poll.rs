//! A switch that polls busily never lets the poller sleep; any other does.

use std::io;
use std::sync::{Arc, Mutex};

use vswitch::Nanos;
use vswitch::poller::{Event, Interest, Poller, Source, Token, Wake};
use vswitch::switch::Switch;

/// A poller with nothing ready, that remembers until when it was to wait.
#[derive(Debug, Default)]
struct Nothing {
    deadlines: Arc<Mutex<Vec<Nanos>>>,
}

#[derive(Debug)]
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

impl Poller for Nothing {
    fn add(&mut self, _: Source, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn modify(&mut self, _: Source, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _: Source) {}

    fn wait(&mut self, deadline: Nanos, _: &mut Vec<Event>) -> io::Result<()> {
        self.deadlines.lock().unwrap().push(deadline);
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        Nanos(1)
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(Nobody)
    }
}

#[test]
fn only_a_busy_switch_does_not_wait() {
    let poller = Nothing::default();
    let deadlines = Arc::clone(&poller.deadlines);
    let mut switch = Switch::new(poller);
    for is_busy in [false, true, false] {
        switch.set_busy_poll(is_busy);
        switch.step(Nanos(1_000)).unwrap();
    }
    assert_eq!(*deadlines.lock().unwrap(), [Nanos(1_000), Nanos(0), Nanos(1_000)]);
}
