//! What a process's calls cost.

use std::collections::BTreeMap;

/// Calls and bytes of one process. Failed calls count, closes do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By name: `read`, `write`, `recvmsg_x`, `kevent64`, …
    pub calls: BTreeMap<&'static str, u64>,
    /// Changes made by `kevent64`.
    pub kevent_changes: u64,
    /// Events given by `kevent64`.
    pub kevent_events: u64,
    /// Bytes copied between the process and the kernel, both ways, by reads and writes.
    pub copied_bytes: u64,
}

impl Counters {
    /// All calls.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Calls of one name.
    #[must_use]
    pub fn of(&self, call: &str) -> u64 {
        self.calls.get(call).copied().unwrap_or(0)
    }

    /// What came since `before`, which is an earlier copy.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        for (call, count) in &mut since.calls {
            *count -= before.of(call);
        }
        since.calls.retain(|_, count| *count > 0);
        since.kevent_changes -= before.kevent_changes;
        since.kevent_events -= before.kevent_events;
        since.copied_bytes -= before.copied_bytes;
        since
    }
}
