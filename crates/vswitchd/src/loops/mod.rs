//! The loops of a service: one switch, or several that share the ports of one network.
//!
//! With several, each runs on a thread of its own and has its ports and its pool of buffers; a
//! trunk joins each two of them. A frame that came by a trunk leaves by none, so that it reaches
//! each loop once, and what one station sends another always takes the same way: its order is kept.

use std::io;
use std::num::NonZeroUsize;

use vswitch::counters::PortCounters;
use vswitch::fabric::{self, PortIndex, PortPolicy};
use vswitch::poller::Poller;
use vswitch::port::{Listener, Port};
use vswitch::switch::{
    AddError, Handle, ListenerSettings, NetworkId, PortSettings, Report, Switch, WhenGone,
};
use vswitch::{MacAddr, Nanos};

use crate::platform::Platform;

/// What the trunks of one loop hold of frames on their way to others, all together; each has room
/// for some.
const TRUNKS_BYTES: usize = 8 << 20;
const TRUNK_BYTES_MIN: usize = 256 << 10;

/// How many addresses may be learnt behind a trunk: a whole LAN may be there, and other loops'
/// ports.
const TRUNK_ADDRESSES_MAX: usize = 65_536;

/// The loops.
#[derive(Debug)]
pub(crate) struct Loops<P: Poller> {
    loops: Vec<Loop<P>>,
    /// Which is dealt the next port.
    next: usize,
}

#[derive(Debug)]
struct Loop<P: Poller> {
    switch: Switch<P>,
    network: NetworkId,
    /// By the loop to which each leads; `None` for itself.
    trunks: Vec<Option<PortIndex>>,
}

/// Why there are no loops.
#[derive(Debug)]
pub(crate) enum LoopsError<E> {
    /// The platform has no poller, or no trunk.
    Platform(E),
    /// A trunk cannot be added.
    Add(AddError),
}

impl<P: Poller> Loops<P> {
    /// `count` loops without ports, joined each with each.
    pub(crate) fn new<Of>(
        platform: &mut Of,
        network: &str,
        count: NonZeroUsize,
    ) -> Result<Self, LoopsError<Of::Error>>
    where
        Of: Platform<Poller = P>,
    {
        let mut loops = Vec::new();
        for _ in 0..count.get() {
            let mut switch = Switch::new(platform.poller().map_err(LoopsError::Platform)?);
            let secret = random_secret();
            let settings = fabric::Settings { secret, ..fabric::Settings::default() };
            let network = switch.add_network(network, settings);
            loops.push(Loop { switch, network, trunks: vec![None; count.get()] });
        }
        let mut this = Self { loops, next: 0 };
        for one in 0..count.get() {
            for two in one + 1..count.get() {
                let bytes = (TRUNKS_BYTES / (count.get() - 1)).max(TRUNK_BYTES_MIN);
                let (near, far) = platform.trunk(bytes).map_err(LoopsError::Platform)?;
                this.add_trunk(one, two, near).map_err(LoopsError::Add)?;
                this.add_trunk(two, one, far).map_err(LoopsError::Add)?;
            }
        }
        Ok(this)
    }

    fn add_trunk(&mut self, at: usize, to: usize, port: Box<dyn Port>) -> Result<(), AddError> {
        let Loop { switch, network, trunks } = &mut self.loops[at];
        let settings = PortSettings {
            name: format!("trunk {}-{}", at + 1, to + 1),
            network: *network,
            policy: PortPolicy {
                trunk: true,
                addresses_max: TRUNK_ADDRESSES_MAX,
                ..PortPolicy::default()
            },
            when_gone: WhenGone::Stop,
            waits: true,
        };
        trunks[to] = Some(switch.add_port(settings, port)?);
        Ok(())
    }

    /// Adds a port to the loop whose turn it is. Its own address, when it has one, is its own in
    /// all loops.
    pub(crate) fn add_port(
        &mut self,
        settings: impl FnOnce(NetworkId) -> PortSettings,
        port: Box<dyn Port>,
    ) -> Result<(), AddError> {
        let at = self.deal();
        let Loop { switch, network, .. } = &mut self.loops[at];
        let settings = settings(*network);
        let mac = settings.policy.mac;
        switch.add_port(settings, port)?;
        self.reserve(at, mac)
    }

    /// The same of a listener.
    pub(crate) fn add_listener(
        &mut self,
        settings: impl FnOnce(NetworkId) -> ListenerSettings,
        listener: Box<dyn Listener>,
    ) -> Result<(), AddError> {
        let at = self.deal();
        let Loop { switch, network, .. } = &mut self.loops[at];
        let settings = settings(*network);
        let mac = settings.policy.mac;
        switch.add_listener(settings, listener)?;
        self.reserve(at, mac)
    }

    fn deal(&mut self) -> usize {
        let at = self.next;
        self.next = (at + 1) % self.loops.len();
        at
    }

    /// In all other loops, the address is that of the trunk by which its port is reached.
    fn reserve(&mut self, at: usize, mac: Option<MacAddr>) -> Result<(), AddError> {
        let Some(mac) = mac else { return Ok(()) };
        for Loop { switch, trunks, .. } in &mut self.loops {
            if let Some(trunk) = trunks[at] {
                switch.add_static(trunk, mac)?;
            }
        }
        Ok(())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.loops.len()
    }

    /// How other threads reach the first loop, with whose end all end.
    pub(crate) fn handle(&self) -> Handle<P> {
        self.loops[0].switch.handle()
    }

    pub(crate) fn set_busy_poll(&mut self, is_on: bool) {
        for each in &mut self.loops {
            each.switch.set_busy_poll(is_on);
        }
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
        let stop_all = StopAll(self.loops.iter().map(|each| each.switch.handle()).collect());
        let Some((first, others)) = self.loops.split_first_mut() else { return Ok(()) };
        if others.is_empty() {
            return first.switch.run();
        }
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            let mut made = Ok(());
            for (each, number) in others.iter_mut().zip(2..) {
                let stop_all = stop_all.clone();
                let builder = std::thread::Builder::new().name(format!("loop {number}"));
                let thread = builder.spawn_scoped(scope, move || {
                    let _stop_all = stop_all;
                    each.switch.run()
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
            let mut ran = made.and_then(|()| first.switch.run());
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
        match &mut self.loops[..] {
            [only] => only.switch.step(until),
            _ => {
                let why = "a service on several threads can be run, not stepped";
                Err(io::Error::new(io::ErrorKind::Unsupported, why))
            }
        }
    }

    /// The counters of all loops' ports, each loop's in the order of their places.
    pub(crate) fn report(&mut self) -> Report {
        let mut all = Report::default();
        for each in &mut self.loops {
            let Report { ports, trunks, listeners } = each.switch.report();
            all.ports.extend(ports);
            all.trunks.extend(trunks);
            all.listeners.extend(listeners);
        }
        all
    }
}

/// Stops all loops when it is dropped, be it by a panic.
struct StopAll<P: Poller>(Vec<Handle<P>>);

impl<P: Poller> Clone for StopAll<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Poller> Drop for StopAll<P> {
    fn drop(&mut self) {
        for handle in &self.0 {
            handle.stop();
        }
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

/// A number that no guest knows, for the hash of the address table.
fn random_secret() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Arc;

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
        Loops::new(&mut platform, "test", count).unwrap_or_else(|error| panic!("{error:?}"))
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
