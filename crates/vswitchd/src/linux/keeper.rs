//! The thread on which an uplink is kept in repair: what it asks the kernel may take long, and no
//! loop waits for it.

use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ifctl::{Change, Events, InterfaceEvent};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What a keeper keeps.
pub(super) trait Kept: Send {
    /// Whether an event may be about something of it.
    fn is_touched_by(&self, event: &InterfaceEvent) -> bool;

    /// Looks whether all is as it should be, and mends what is not. When to look again although no
    /// event comes, if sooner than usual.
    fn tend(&mut self, now: Instant) -> Option<Instant>;
}

/// A thread that keeps something until it is dropped; then that is dropped first, on the thread.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Closed, it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// How often all is looked at although no event came.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between two looks: whatever else happens, a keeper does not look more often.
const REST: Duration = Duration::from_millis(20);

impl Keeper {
    /// Keeps `kept`, of which `events` have told since before it was looked at.
    ///
    /// # Errors
    /// There is no descriptor or no thread left.
    pub(super) fn start(name: &str, kept: Box<dyn Kept>, events: Events) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        // The kernel shows 15 bytes of it.
        let thread = std::thread::Builder::new().name(format!("uplink {name}"));
        let thread = thread.spawn(move || keep(kept, events, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that kept an uplink panicked");
        }
    }
}

fn keep(mut kept: Box<dyn Kept>, events: Events, stopped: &UnixStream) {
    let mut events = Some(events);
    let mut rested_at = Instant::now();
    let mut look_at = rested_at + LOOK_EVERY;
    loop {
        match wait(events.as_ref(), stopped, look_at) {
            Ok(Woken::Stopped) => return,
            Ok(Woken::Else) => {}
            Err(error) => {
                tracing::error!(%error, "an uplink cannot be kept in repair any more");
                // It stays as it is until its switch ends.
                let _ = (&*stopped).read(&mut [0]);
                return;
            }
        }
        if is_touched(&mut events, kept.as_ref()) {
            look_at = look_at.min(rested_at);
        }
        let now = Instant::now();
        if now >= look_at {
            let again_at = kept.tend(now);
            rested_at = Instant::now() + REST;
            let usual = rested_at + LOOK_EVERY;
            look_at = again_at.map_or(usual, |at| at.clamp(rested_at, usual));
        }
    }
}

enum Woken {
    Stopped,
    Else,
}

/// Waits until there is an event, it is `until`, or the keeper is to end.
fn wait(events: Option<&Events>, stopped: &UnixStream, until: Instant) -> nix::Result<Woken> {
    let left = until.saturating_duration_since(Instant::now());
    // Rounded up, so as not to come back a little too early, and again, and again.
    let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    let mut of = vec![PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    of.extend(events.map(|events| PollFd::new(events.as_fd(), PollFlags::POLLIN)));
    match poll(&mut of, left) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(error) => return Err(error),
    }
    let is_stopped = of[0].revents().is_some_and(|flags| !flags.is_empty());
    Ok(if is_stopped { Woken::Stopped } else { Woken::Else })
}

/// Reads what was told since, and says whether it may be about `kept`.
fn is_touched(events: &mut Option<Events>, kept: &dyn Kept) -> bool {
    let Some(source) = events else { return false };
    let mut is_touched = false;
    loop {
        match source.next_event() {
            Ok(None) => return is_touched,
            Ok(Some(event)) => {
                is_touched |= event.change == Change::Lost || kept.is_touched_by(&event);
            }
            Err(error) => {
                tracing::warn!(%error, "changes of interfaces are seen late from now on");
                *events = None;
                return true;
            }
        }
    }
}
