//! Waiting: time moves on, and what else lives on the machine acts.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::actor::Actor;
use crate::errno::{EAGAIN, Result};
use crate::machine::Machine;
use crate::object::Object;
use crate::process::ProcessId;
use crate::sim_kernel::SimKernel;

/// What all processes of a machine share. The actors are not in the machine: they make calls
/// themselves.
pub(crate) struct Shared {
    machine: Mutex<Machine>,
    /// Those being polled; who holds this is polling.
    actors: Mutex<Vec<Box<dyn Actor>>>,
    /// Those added since, perhaps by actors.
    new_actors: Mutex<Vec<Box<dyn Actor>>>,
    acts: Mutex<Acts>,
    /// Told of each call when other threads make calls too.
    changed: Condvar,
}

/// What is to be done at some moment, once.
type Act = Box<dyn FnOnce(&SimKernel) + Send>;

#[derive(Default)]
struct Acts {
    by_time: BTreeMap<(u64, u64), (ProcessId, Act)>,
    scheduled: u64,
}

/// Locks what only panics of tests can have left locked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            machine: Mutex::new(machine),
            actors: Mutex::default(),
            new_actors: Mutex::default(),
            acts: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        locked(&self.machine)
    }

    /// A call was made: threads that wait look again.
    pub(crate) fn tell_threads(&self) {
        self.changed.notify_all();
    }
}

impl SimKernel {
    /// Adds something that lives on the machine.
    pub fn add_actor(&self, actor: Box<dyn Actor>) {
        locked(&self.shared.new_actors).push(actor);
    }

    /// Takes all actors and all scheduled acts off the machine. Actors that have a [`SimKernel`] of
    /// the machine keep it alive, as it keeps them: who makes many machines ends each with this.
    ///
    /// # Panics
    /// When an actor calls it.
    pub fn remove_actors(&self) {
        let mut actors = self.shared.actors.try_lock().expect("an actor removes itself");
        let removed = std::mem::take(&mut *actors);
        drop(actors);
        drop(removed);
        let removed = std::mem::take(&mut *locked(&self.shared.new_actors));
        drop(removed);
        let removed = std::mem::take(&mut locked(&self.shared.acts).by_time);
        drop(removed);
    }

    /// Has something be done `after` from now, by this process: an operator destroys an interface,
    /// a VM's socket is closed. It happens while some process waits, as the acts of actors do; acts
    /// of one moment in the order in which they were scheduled.
    pub fn schedule(&self, after: Duration, act: impl FnOnce(&Self) + Send + 'static) {
        let at = self.machine().now_ns.saturating_add(nanos(after));
        let mut acts = locked(&self.shared.acts);
        acts.scheduled += 1;
        let number = acts.scheduled;
        acts.by_time.insert((at, number), (self.process, Box::new(act)));
    }

    /// Lets `span` of virtual time pass, everything and everybody acting at their moments.
    pub fn run_for(&self, span: Duration) {
        let until = self.machine().now_ns.saturating_add(nanos(span));
        self.wait_until(until, |_| None::<()>);
    }

    /// Does what is scheduled and polls every actor once: whether one acted, and when the next
    /// wants to.
    fn poll_actors(&self) -> (bool, Option<u64>) {
        // An actor may wait by itself (`sleep`): then the others are not polled within its poll.
        let Ok(mut actors) = self.shared.actors.try_lock() else { return (false, None) };
        actors.append(&mut locked(&self.shared.new_actors));
        let mut has_acted = self.do_what_is_due();
        let mut next = locked(&self.shared.acts).by_time.keys().next().map(|(at, _)| *at);
        for actor in actors.iter_mut() {
            let now_ns = self.machine().now_ns;
            let polled = actor.poll(now_ns);
            has_acted |= polled.has_acted;
            next = next.into_iter().chain(polled.next_ns).min();
        }
        (has_acted, next)
    }

    fn do_what_is_due(&self) -> bool {
        let mut has_acted = false;
        loop {
            let now_ns = self.machine().now_ns;
            let mut acts = locked(&self.shared.acts);
            let first = acts.by_time.first_entry().filter(|first| first.key().0 <= now_ns);
            let Some((process, act)) = first.map(|first| first.remove()) else { return has_acted };
            drop(acts);
            act(&Self { shared: self.shared.clone(), process });
            has_acted = true;
        }
    }

    /// Lets time pass until `ready` gives something, or `until_ns` is past.
    pub(crate) fn wait_until<T>(
        &self,
        until_ns: u64,
        mut ready: impl FnMut(&mut Machine) -> Option<T>,
    ) -> Option<T> {
        loop {
            let (has_acted, next_actor) = self.poll_actors();
            let mut machine = self.machine();
            if let Some(found) = ready(&mut machine) {
                return Some(found);
            }
            if has_acted {
                // The polls took their own time; what is due happens before others act again.
                let now_ns = machine.now_ns;
                machine.advance(now_ns);
                if now_ns < until_ns {
                    continue;
                }
            }
            if machine.now_ns >= until_ns {
                return None;
            }
            match [machine.next_at(), next_actor].into_iter().flatten().min() {
                None if until_ns == u64::MAX => self.wait_for_threads(machine),
                next => {
                    let next = next.unwrap_or(until_ns).max(machine.now_ns + 1).min(until_ns);
                    machine.advance(next);
                }
            }
        }
    }

    /// Nothing will happen by itself: another thread must make a call.
    fn wait_for_threads(&self, machine: MutexGuard<'_, Machine>) {
        assert!(
            machine.options.has_threads,
            "a process waits for ever, and nothing is to happen:\n{}",
            machine.trace.text()
        );
        // Not for ever: a thread that polled actors meanwhile may have left one to this one.
        let waited = self.shared.changed.wait_timeout(machine, Duration::from_millis(20));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Makes a call that would wait if its descriptor is blocking and it finds nothing.
    pub(crate) fn blocking<T>(
        &self,
        object: Object,
        waits: bool,
        mut attempt: impl FnMut(&mut Machine) -> Result<T>,
    ) -> Result<T> {
        let mut machine = self.machine();
        let first = attempt(&mut machine);
        if !waits || !matches!(first, Err(EAGAIN)) {
            return first;
        }
        let mut seen = machine.wakeups_of(object);
        drop(machine);
        let later = |machine: &mut Machine| {
            let now = machine.wakeups_of(object);
            if now.is_some() && now == seen {
                // It sleeps until it is woken, whatever has become of the object (C26).
                return None;
            }
            seen = now;
            match attempt(machine) {
                Err(EAGAIN) => None,
                result => Some(result),
            }
        };
        self.wait_until(u64::MAX, later).unwrap_or(Err(EAGAIN))
    }
}

impl Machine {
    /// How often blocked readers of an object were woken, where that is known; `None`: they look
    /// again whenever something happens.
    fn wakeups_of(&self, object: Object) -> Option<u64> {
        match object {
            Object::Unix(id) => Some(self.unix_wakeups(id)),
            Object::Bpf(_) | Object::Ndrv(_) | Object::Events(_) | Object::Kqueue(_) => None,
        }
    }
}

pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 2)
}
