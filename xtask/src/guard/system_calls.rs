//! System calls per frame: the real switch under strace.
//!
//! So that the count does not depend on who runs when, the switch is stopped by a signal while its
//! sockets are filled, and then let go: it finds all frames at once, and nobody adds any.

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::namespace;
use crate::workspace::Workspace;

mod peers;
mod trace;
mod traced;

use peers::{BridgeMember, Datagram, Receiver, Sender, Stream};
use traced::TracedSwitch;

/// So many frames, of [`FRAME_BYTES`]: as many as any socket holds with the buffers that it has by
/// default, and twice what one call receives.
const FRAMES: usize = 64;
const FRAME_BYTES: usize = 1514;

/// A way that frames take, and how many calls that may cost for all of them together.
struct Way {
    name: &'static str,
    uplink: &'static str,
    /// Whether the sender is at the uplink, and not the receiver.
    from_uplink: bool,
    /// The port of the guest; without an uplink, of both.
    kind: &'static str,
    receive_max: usize,
    send_max: usize,
}

/// Datagrams: 32 by each call that receives, one call more that finds none, and one that sends for
/// each that received. A stream: all by one call, and one more that finds none. From the bridge:
/// nothing is asked for, it stands in a ring.
const WAYS: [Way; 4] = [
    Way {
        name: "unixgram to unixgram",
        uplink: "none",
        from_uplink: false,
        kind: "unixgram",
        receive_max: FRAMES / 32 + 1,
        send_max: FRAMES / 32,
    },
    Way {
        name: "stream to stream",
        uplink: "none",
        from_uplink: false,
        kind: "stream",
        receive_max: 2,
        send_max: 1,
    },
    Way {
        name: "unixgram to bridge",
        uplink: "bridge:br0,create",
        from_uplink: false,
        kind: "unixgram",
        receive_max: FRAMES / 32 + 1,
        send_max: FRAMES / 32,
    },
    Way {
        name: "bridge to unixgram",
        uplink: "bridge:br0,create",
        from_uplink: true,
        kind: "unixgram",
        receive_max: 0,
        send_max: FRAMES / 32,
    },
];

/// Waits of the loop: the one in which it was stopped, the one that tells of the frames, the one
/// after them, and one that a look of a port at its peer may end.
const WAIT_MAX: usize = 4;

/// A burst that took more calls is followed by another, up to so many: on a slow machine there may
/// be looks of ports in between, each of which ends a wait. What costs too much does so
/// every time.
const BURSTS_MAX: usize = 6;

/// Whatever else, such as a clock without vDSO or memory for a buffer: a few for a batch.
const OTHER_MAX: usize = 8;

/// A port looks four times a second whether its path leads where it did, by one connect and one of
/// each of these. How often that is depends on time, so they are not counted.
const LOOK: &str = "connect";
const WITH_A_LOOK: [&str; 6] = ["close", "fcntl", "geteuid", "openat", "statx", "fstat"];

/// Counts each way, prints a table, and says what is over its bound.
pub(super) fn check(workspace: &Workspace, strace: &Path) -> Result<Vec<String>> {
    let program = workspace.build_program("vswitch-cli", "vswitch", false)?;
    namespace::enter()?;
    peers::silence_the_stack();
    println!(
        "guard: {:<28} {:>8} {:>8} {:>8} {:>8}",
        format!("calls for {FRAMES} frames"),
        "receive",
        "send",
        "wait",
        "other"
    );
    let mut faults = Vec::new();
    for way in &WAYS {
        let calls = count(way, &program, strace)?;
        let kinds = Kinds::of(&calls);
        println!("guard: {:<28} {kinds}", way.name);
        faults.extend(kinds.over(way).map(|kind| format!("{}: {kind}: {calls:?}", way.name)));
    }
    Ok(faults)
}

/// The calls that the loop made for [`FRAMES`] frames.
fn count(way: &Way, program: &Path, strace: &Path) -> Result<BTreeMap<String, usize>> {
    let mut switch = TracedSwitch::start(program, strace, way.uplink, way.kind)?;
    let (a, b) = (switch.socket("a"), switch.socket("b"));
    let (mut sender, mut receiver): (Box<dyn Sender>, Box<dyn Receiver>) =
        match (way.kind, way.uplink) {
            ("stream", _) => (Box::new(Stream::connect(&a)?), Box::new(Stream::connect(&b)?)),
            (_, "none") => (Box::new(Datagram::connect(&a)?), Box::new(Datagram::connect(&b)?)),
            _ => {
                let member = switch.member()?;
                let (guest, host) = (Datagram::connect(&a)?, BridgeMember::new(&member)?);
                match way.from_uplink {
                    true => (Box::new(host), Box::new(guest)),
                    false => (Box::new(guest), Box::new(host)),
                }
            }
        };
    receiver.greet()?;
    let mut burst = || {
        switch.hold()?;
        sender.send(FRAMES, FRAME_BYTES)?;
        switch.release_until(|| receiver.has_all(FRAMES))
    };
    burst()?; // makes the buffers
    let mut calls = burst()?;
    for _ in 2..BURSTS_MAX {
        if Kinds::of(&calls).over(way).next().is_none() {
            break;
        }
        calls = burst()?;
    }
    Ok(calls)
}

/// Calls by what they are for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kinds {
    receive: usize,
    send: usize,
    wait: usize,
    other: usize,
}

impl Kinds {
    fn of(calls: &BTreeMap<String, usize>) -> Self {
        let mut kinds = Self::default();
        let looks = calls.get(LOOK).copied().unwrap_or(0);
        for (name, count) in calls {
            match name.as_str() {
                "recvmmsg" | "recvmsg" | "recvfrom" | "read" | "readv" => kinds.receive += count,
                "sendmmsg" | "sendmsg" | "sendto" | "write" | "writev" => kinds.send += count,
                wait if trace::WAITS.contains(&wait) => kinds.wait += count,
                LOOK => {}
                name if WITH_A_LOOK.contains(&name) => kinds.other += count.saturating_sub(looks),
                _ => kinds.other += count,
            }
        }
        kinds
    }

    /// The kinds of which there are more than a way may need, or fewer than it can do with.
    fn over(&self, way: &Way) -> impl Iterator<Item = String> {
        let rows = [
            ("receive", self.receive, way.receive_max),
            ("send", self.send, way.send_max),
            ("wait", self.wait, WAIT_MAX),
            ("other", self.other, OTHER_MAX),
        ];
        let receives = self.receive > 0 || way.receive_max == 0;
        let nothing = (!receives || self.send == 0).then(|| "no calls seen".to_owned());
        let over = rows.into_iter().filter(|(_, calls, max)| calls > max);
        over.map(|(kind, calls, max)| format!("{calls} calls to {kind}, {max} at most"))
            .chain(nothing)
    }
}

impl std::fmt::Display for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { receive, send, wait, other } = self;
        write!(f, "{receive:>8} {send:>8} {wait:>8} {other:>8}")
    }
}

/// A failure of a peer.
fn peer_failed(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("count system calls: {what}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(calls: &[(&str, usize)]) -> Kinds {
        Kinds::of(&calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
    }

    #[test]
    fn calls_are_sorted_and_looks_are_left_out() {
        let calls = [("recvmmsg", 3), ("sendmmsg", 2), ("connect", 9), ("futex", 4), ("statx", 9)];
        assert_eq!(kinds(&calls), Kinds { receive: 3, send: 2, wait: 0, other: 4 });
        assert_eq!(kinds(&[("statx", 64), ("connect", 2)]).other, 62);
    }

    #[test]
    fn one_call_more_is_told_and_so_is_none_at_all() {
        let way = &WAYS[0];
        let over = |receive, send| kinds(&[("recvmmsg", receive), ("sendmmsg", send)]);
        assert_eq!(over(3, 2).over(way).count(), 0);
        assert_eq!(over(4, 2).over(way).count(), 1);
        assert_eq!(over(3, 3).over(way).count(), 1);
        assert_eq!(over(0, 0).over(way).count(), 1);
        let by_ring = &WAYS[3];
        assert_eq!(over(0, 2).over(by_ring).count(), 0);
        assert_eq!(over(1, 2).over(by_ring).count(), 1);
        assert_eq!(over(0, 0).over(by_ring).count(), 1);
    }
}
