//! What a process's calls cost.

use std::collections::BTreeMap;

/// Calls and bytes of one process. Failed calls count, closes do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By name: `read`, `write`, `recvmsg_x`, `kevent64`, …
    pub calls: BTreeMap<&'static str, u64>,
    /// Changes made by `kevent64`.
    pub kevent_changes: u64,
    /// Of these, those that add, delete, enable or disable a knote; not what triggers one.
    pub kevent_registrations: u64,
    /// Events given by `kevent64`.
    pub kevent_events: u64,
    /// Bytes that the kernel copied from the process: what was written.
    pub copied_in_bytes: u64,
    /// Bytes that it copied to the process: what was read.
    pub copied_out_bytes: u64,
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

    /// Bytes copied between the process and the kernel, both ways, by reads and writes.
    #[must_use]
    pub const fn copied_bytes(&self) -> u64 {
        self.copied_in_bytes + self.copied_out_bytes
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
        since.kevent_registrations -= before.kevent_registrations;
        since.kevent_events -= before.kevent_events;
        since.copied_in_bytes -= before.copied_in_bytes;
        since.copied_out_bytes -= before.copied_out_bytes;
        since
    }
}
