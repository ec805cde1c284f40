//! A guest or a host of the LAN: a TCP/IP stack on a cable, in virtual time.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use probe::{Cidr, ConfigError, GuestConfig, GuestCore, MacAddress, Task, Wire};
use xnu_sim::{Actor, Polled};

use crate::task::{Job, Outcome, TaskJob};

/// Who a station is: its number decides its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationConfig {
    /// From 1 to 250.
    pub number: u8,
}

impl StationConfig {
    /// Its MAC.
    #[must_use]
    pub const fn mac(self) -> [u8; 6] {
        [0x52, 0x54, 0, 0, 0, self.number]
    }

    /// Its IPv4 address (RFC 5737).
    #[must_use]
    pub const fn address_v4(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, self.number))
    }

    /// Its IPv6 address (RFC 3849).
    #[must_use]
    pub const fn address_v6(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, self.number as u16))
    }

    fn guest_config(self) -> GuestConfig {
        let mut config = GuestConfig::new(MacAddress(self.mac())).serving();
        for (address, bits) in [(self.address_v4(), 24), (self.address_v6(), 64)] {
            if let Some(cidr) = Cidr::new(address, bits) {
                config = config.with_address(cidr);
            }
        }
        config
    }
}

/// A handle to a station, which lives on its machine as an [`Actor`].
#[derive(Clone)]
pub struct Station {
    config: StationConfig,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    core: GuestCore,
    wire: Box<dyn Wire + Send>,
    jobs: Vec<Box<dyn Job>>,
    /// Nothing is done any more.
    is_dead: bool,
}

/// How often a stack is polled in a row while it moves.
const POLLS_MAX: usize = 64;

impl Station {
    /// A station on a cable; [`Self::actor`] is what makes it live.
    ///
    /// # Errors
    /// When it has no valid address.
    pub fn new(
        config: StationConfig,
        wire: Box<dyn Wire + Send>,
        now: Duration,
    ) -> Result<Self, ConfigError> {
        let mut core = GuestCore::new(config.guest_config(), now)?;
        core.announce();
        let inner = Inner { core, wire, jobs: Vec::new(), is_dead: false };
        Ok(Self { config, inner: Arc::new(Mutex::new(inner)) })
    }

    /// What the machine polls.
    #[must_use]
    pub fn actor(&self) -> Box<dyn Actor> {
        Box::new(self.clone())
    }

    /// Its IPv4 address.
    #[must_use]
    pub fn address_v4(&self) -> IpAddr {
        self.config.address_v4()
    }

    /// Its IPv6 address.
    #[must_use]
    pub fn address_v6(&self) -> IpAddr {
        self.config.address_v6()
    }

    /// Its MAC.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.config.mac()
    }

    /// Does something with its stack, now.
    pub fn with_core<R>(&self, act: impl FnOnce(&mut GuestCore) -> R) -> R {
        act(&mut self.lock().core)
    }

    /// Ends it: its cable is pulled, and its end of a socketpair closed.
    pub fn die(&self) {
        let mut inner = self.lock();
        inner.is_dead = true;
        inner.jobs.clear();
        inner.wire = Box::new(NoWire);
    }

    pub(crate) fn begin<T>(&self, task: T) -> Outcome<T::Output>
    where
        T: Task + Send + 'static,
        T::Output: Send + 'static,
    {
        let (job, outcome) = TaskJob::new(task);
        self.lock().jobs.push(Box::new(job));
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Actor for Station {
    fn poll(&mut self, now_ns: u64) -> Polled {
        let mut inner = self.lock();
        if inner.is_dead {
            return Polled { has_acted: false, next_ns: None };
        }
        let now = Duration::from_nanos(now_ns);
        let Inner { core, wire, jobs, .. } = &mut *inner;
        let mut has_acted = false;
        let mut job_next = None::<Duration>;
        for _ in 0..POLLS_MAX {
            let mut moved = core.poll(now, wire.as_mut());
            job_next = None;
            jobs.retain_mut(|job| match job.step(core, now) {
                Some((job_moved, next)) => {
                    moved |= job_moved;
                    job_next = Some(job_next.map_or(next, |at: Duration| at.min(next)));
                    true
                }
                None => {
                    moved = true;
                    false
                }
            });
            has_acted |= moved;
            if !moved {
                break;
            }
        }
        // A full cable tells nobody of room: look again soon.
        let blocked = core.is_blocked().then(|| now + Duration::from_micros(50));
        let next = [core.poll_at(now), job_next, blocked].into_iter().flatten().min();
        let nanos = |at: Duration| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        Polled { has_acted, next_ns: next.map(nanos) }
    }
}

/// A cable that was pulled.
struct NoWire;

impl Wire for NoWire {
    fn receive(&mut self, _: &mut [u8]) -> Option<usize> {
        None
    }

    fn transmit(&mut self, _: &[u8]) -> probe::Transmit {
        probe::Transmit::Lost
    }
}

impl fmt::Debug for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Station").field("config", &self.config).finish_non_exhaustive()
    }
}
