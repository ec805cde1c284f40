//! How much the system lets a socket hold, and a process open.

use crate::doctor::Finding;
use crate::doctor::facts::{Buffer, Limit};

/// Judges one direction's socket buffer.
#[must_use]
pub fn buffer(id: &'static str, found: &Buffer) -> Finding {
    let &Buffer { setting, limit_bytes, granted_bytes, wanted_bytes, limit_wanted_bytes } = found;
    let figures = |finding: Finding| {
        let finding = finding.figure("granted_bytes", granted_bytes);
        let finding = finding.figure("wanted_bytes", wanted_bytes);
        match limit_bytes {
            Some(limit) => finding.figure("limit_bytes", limit),
            None => finding,
        }
    };
    let limit = limit_bytes.map_or_else(|| "unknown".to_owned(), |limit| limit.to_string());
    if granted_bytes >= wanted_bytes {
        let past = limit_bytes.is_some_and(|limit| limit < limit_wanted_bytes);
        let how = if past { ", past the limit, by CAP_NET_ADMIN" } else { "" };
        let found = format!("a socket gets {granted_bytes} bytes (the limit is {limit}{how})");
        return figures(Finding::ok(id, setting, found));
    }
    let found =
        format!("a socket gets {granted_bytes} of {wanted_bytes} bytes (the limit is {limit})");
    let value = format!("{setting}={limit_wanted_bytes}");
    figures(Finding::warning(id, setting, found))
        .why(
            "a burst of frames that does not fit a port's buffer waits in the switch or is \
             dropped, and a large frame may not fit at all",
        )
        .to_do("raise the limit; it holds until the machine starts again")
        .command(&["sudo", "sysctl", "-w", &value])
}

/// How many datagrams wait for a socket whose owner does not connect it, on Linux.
const QUEUE_GOOD: u64 = 4096;

/// Judges `net.unix.max_dgram_qlen`.
///
/// The kernel applies it only where the receiver is not connected to the sender
/// (`unix_dgram_sendmsg`), as a socket of QEMU's `-netdev dgram`; the switch connects its own. A
/// socket has the length of the moment when it was made. 512 gained nothing when it was measured.
#[must_use]
pub fn queue_length(length: Option<u64>) -> Finding {
    const ID: &str = "unix-queue-length";
    const SETTING: &str = "net.unix.max_dgram_qlen";
    match length {
        None => Finding::note(ID, SETTING, "cannot be read"),
        Some(length) if length >= QUEUE_GOOD => {
            let found = format!("{length} datagrams wait for a socket that is not connected");
            Finding::ok(ID, SETTING, found).figure("datagrams", length)
        }
        Some(length) => Finding::note(
            ID,
            SETTING,
            format!("{} datagrams wait for a socket that is not connected", length + 1),
        )
        .figure("datagrams", length)
        .figure("good_datagrams", QUEUE_GOOD)
        .why(
            "a QEMU at a unixgram: port does not connect its socket, and has room for no more \
             frames than that; the switch waits for it. vfkit, krunkit and streams do not see it",
        )
        .to_do("raise it where QEMUs are at unixgram: ports, then start them again")
        .command(&["sudo", "sysctl", "-w", &format!("{SETTING}={QUEUE_GOOD}")]),
    }
}

/// Judges the limit of open descriptors by how many will be needed, and how many when as many
/// clients come as are let in.
#[must_use]
pub fn descriptors(limit: Limit, needed: u64, most: u64) -> Finding {
    const ID: &str = "descriptor-limit";
    const OBJECT: &str = "RLIMIT_NOFILE";
    let Limit { soft, hard } = limit;
    let figures = |finding: Finding| {
        let finding = finding.figure("limit", soft).figure("hard_limit", hard);
        finding.figure("needed", needed).figure("needed_at_most", most)
    };
    if soft >= most {
        let found = format!("{soft} descriptors may be open, {most} at most will be");
        return figures(Finding::ok(ID, OBJECT, found));
    }
    let bad = if soft >= needed {
        let found = format!(
            "{soft} descriptors may be open; {needed} will be, {most} if all clients come that are \
             let in"
        );
        Finding::note(ID, OBJECT, found)
    } else {
        let found = format!("{soft} descriptors may be open, {needed} will be");
        Finding::warning(ID, OBJECT, found)
    };
    let bad = figures(bad).why("what comes when there is none left is turned away");
    if hard >= most {
        bad.to_do("raise it in the shell that starts the switch (in a systemd unit: LimitNOFILE=)")
            .command(&["ulimit", "-n", &most.to_string()])
    } else {
        bad.to_do(format!(
            "raise it for the user (LimitNOFILE={most} in a systemd unit, nofile in \
             /etc/security/limits.conf)"
        ))
    }
}
