//! Settings of the kernel's that limit sockets.

use std::fs;

use vswitch::port::unix::{SOCKET_BUFFER_BYTES, granted_to_unix_sockets};

use crate::doctor::facts::Buffer;
use crate::doctor::{Finding, Needs, rules};

/// Looks at the limits of sockets, where there are to be any. The settings under /proc/sys/net are
/// those of the calling thread's network namespace, as far as it has its own.
pub(super) fn examine(needs: Option<&Needs>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if needs.is_none_or(|needs| needs.sockets || needs.packets) {
        findings.extend(buffers());
    }
    if needs.is_none_or(|needs| needs.unixgram) {
        findings.push(rules::queue_length(number("net/unix/max_dgram_qlen")));
    }
    findings
}

fn buffers() -> Vec<Finding> {
    let granted = match granted_to_unix_sockets() {
        Ok(granted) => granted,
        Err(error) => {
            let found = format!("no socket can be had: {error}");
            return vec![
                Finding::error("socket-send-buffer", "AF_UNIX", found)
                    .why("each port is a socket")
                    .to_do("look for what limits this process (ulimit -n)"),
            ];
        }
    };
    // The kernel tells twice what it granted, bookkeeping included (socket(7)).
    let buffer = |setting, file, granted: usize| Buffer {
        setting,
        limit_bytes: number(file),
        granted_bytes: bytes(granted / 2),
        wanted_bytes: bytes(SOCKET_BUFFER_BYTES),
        limit_wanted_bytes: bytes(SOCKET_BUFFER_BYTES),
    };
    let send = buffer("net.core.wmem_max", "net/core/wmem_max", granted.send_bytes);
    let receive = buffer("net.core.rmem_max", "net/core/rmem_max", granted.receive_bytes);
    vec![
        rules::buffer("socket-send-buffer", &send),
        rules::buffer("socket-receive-buffer", &receive),
    ]
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The number in a file of /proc/sys.
pub(super) fn number(file: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{file}")).ok()?.trim().parse().ok()
}
