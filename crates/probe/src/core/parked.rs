//! Echo requests whose sender's hardware address the guest has to ask for first.
//!
//! The stack asks, and forgets the request; a kernel keeps the reply until the answer comes
//! (RFC 4861, 7.2.2; RFC 1122, 2.3.2.2). So does this: the request is kept and shown to the stack
//! again when an answer arrives, or after a while.

use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Parked {
    requests: VecDeque<Request>,
}

#[derive(Debug)]
struct Request {
    frame: Vec<u8>,
    retry_at: Duration,
    tries_left: u8,
}

impl Parked {
    /// Keeps a request that got no reply; the oldest gives way.
    pub(crate) fn park(&mut self, frame: &[u8], now: Duration) {
        if self.requests.len() >= REQUESTS_MAX {
            self.requests.pop_front();
        }
        let (frame, retry_at) = (frame.to_vec(), now + RETRY_AFTER);
        self.requests.push_back(Request { frame, retry_at, tries_left: TRIES });
    }

    /// Takes out what is due, everything when `all`; what finds no reply goes to [`Parked::again`].
    pub(crate) fn take_due(&mut self, now: Duration, all: bool) -> Vec<ParkedRequest> {
        if self.requests.is_empty() {
            return Vec::new();
        }
        let (due, waiting) =
            self.requests.drain(..).partition(|request| all || request.retry_at <= now);
        self.requests = waiting;
        let due: VecDeque<Request> = due;
        due.into_iter().map(ParkedRequest).collect()
    }

    /// Puts a request back that still has no reply, unless it was tried often enough.
    pub(crate) fn again(&mut self, mut request: ParkedRequest, now: Duration) {
        request.0.tries_left -= 1;
        if request.0.tries_left > 0 {
            request.0.retry_at = now + RETRY_AFTER;
            self.requests.push_back(request.0);
        }
    }

    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.requests.iter().map(|request| request.retry_at).min()
    }
}

/// A request that is being tried again.
#[derive(Debug)]
pub(crate) struct ParkedRequest(Request);

impl ParkedRequest {
    pub(crate) fn frame(&self) -> &[u8] {
        &self.0.frame
    }
}

/// As many as Linux keeps for an unresolved neighbour is a matter of bytes; a few suffice here.
const REQUESTS_MAX: usize = 16;
/// The stack asks at most once a second.
const RETRY_AFTER: Duration = Duration::from_millis(1050);
/// MAX_MULTICAST_SOLICIT (RFC 4861, 10).
const TRIES: u8 = 3;
