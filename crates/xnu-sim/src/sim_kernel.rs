//! A process of a simulated machine, and what tests do with it besides calls.

use std::fmt;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::bpf::BpfCounters;
use crate::counters::Counters;
use crate::errno::{ENOTSOCK, Result};
use crate::fault::Fault;
use crate::machine::{BootOptions, Machine};
use crate::object::Object;
use crate::process::{FileId, ProcessId};
use crate::version::MacOs;
use crate::wait::Shared;

/// A process of a simulated machine.
#[derive(Clone)]
pub struct SimKernel {
    pub(crate) shared: Arc<Shared>,
    pub(crate) process: ProcessId,
}

/// An open descriptor of a simulated process; closed when dropped.
pub struct SimFd {
    pub(crate) kernel: SimKernel,
    pub(crate) number: i32,
    pub(crate) file: FileId,
}

impl SimKernel {
    /// Boots a machine of a version, everything random on which follows from `seed`; its first
    /// process, which is root's. It has an `lo0` and nothing else.
    #[must_use]
    pub fn boot(version: MacOs, seed: u64) -> Self {
        Self::boot_with(BootOptions { version, seed, ..BootOptions::default() })
    }

    /// Boots a machine as the options say; its first process, which is root's.
    #[must_use]
    pub fn boot_with(options: BootOptions) -> Self {
        let mut machine = Machine::new(options);
        let process = machine.processes.add(true);
        Self { shared: Arc::new(Shared::new(machine)), process }
    }

    /// Another process of the same machine.
    #[must_use]
    pub fn spawn(&self, is_root: bool) -> Self {
        let process = self.machine().processes.add(is_root);
        Self { shared: Arc::clone(&self.shared), process }
    }

    /// From now on this process is not root's any more; what is open stays open.
    pub fn drop_privileges(&self) {
        self.machine().processes.of(self.process).is_root = false;
    }

    /// From now on the fault plan leaves this process's calls alone: for actors, whose calls are
    /// not under test.
    pub fn spare(&self) {
        self.machine().processes.of(self.process).is_spared = true;
    }

    /// The version of the machine.
    #[must_use]
    pub fn version(&self) -> MacOs {
        self.machine().options.version
    }

    /// Gives another process a descriptor of the same open file, as `SCM_RIGHTS` or inheritance do.
    ///
    /// # Errors
    /// `EMFILE`.
    ///
    /// # Panics
    /// When the other process is one of another machine.
    pub fn share(&self, fd: &SimFd, with: &Self) -> Result<SimFd> {
        assert!(Arc::ptr_eq(&self.shared, &with.shared), "descriptors stay on their machine");
        let number = self.machine().processes.share(with.process, fd.file)?;
        Ok(SimFd { kernel: with.clone(), number, file: fd.file })
    }

    /// `shutdown(2)` of a unix socket: 0 of reading, 1 of writing, 2 of both.
    ///
    /// # Errors
    /// `ENOTCONN`: it is not connected, or shut already. `EINVAL`: another number. `ENOTSOCK`.
    pub fn shutdown(&self, fd: &SimFd, how: i32) -> Result<()> {
        let mut machine = self.machine();
        let Object::Unix(id) = machine.processes.file(fd.file)?.object else {
            return Err(ENOTSOCK);
        };
        machine.unix_shutdown(id, how)
    }

    /// `unlink(2)` of a unix socket's path; who is connected stays so.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn unlink(&self, path: &str) -> Result<()> {
        self.machine().unix_unlink(path.as_bytes())
    }

    /// What this process's calls cost so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.machine().processes.of(self.process).counters.clone()
    }

    /// This process's open descriptors: number, what of, and whether it is closed on exec.
    #[must_use]
    pub fn open_descriptors(&self) -> Vec<(i32, String, bool)> {
        let machine = self.machine();
        let open = machine.processes.descriptors(self.process);
        let label = |(number, object, cloexec)| (number, machine.label(object), cloexec);
        open.into_iter().map(label).collect()
    }

    /// Adds to what is to go wrong, in any process but those that are [spared](Self::spare).
    pub fn add_fault(&self, fault: Fault) {
        self.machine().faults.add(fault);
    }

    /// From here on nothing goes wrong by plan.
    pub fn clear_faults(&self) {
        self.machine().faults.clear();
    }

    /// Has the BPF devices that there are now given to a group of which every process is a member,
    /// as Wireshark's `ChmodBPF` does; those made later are root's alone.
    pub fn regroup_bpf_devices(&self) {
        self.machine().bpf.regroup();
    }

    /// What `/dev/bpfN` counts, while it is open.
    #[must_use]
    pub fn bpf_counters(&self, minor: u32) -> Option<BpfCounters> {
        self.machine().bpf.counters(minor)
    }

    /// The last calls of all processes, oldest first: for a test that fails.
    #[must_use]
    pub fn trace(&self) -> String {
        self.machine().trace.text()
    }

    /// The virtual time since boot. Unlike calls this costs none of it.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.machine().now_ns)
    }

    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.shared.machine()
    }
}

impl Drop for SimFd {
    fn drop(&mut self) {
        let mut machine = self.kernel.machine();
        machine.close(self.kernel.process, self.number);
        drop(machine);
        self.kernel.shared.tell_threads();
    }
}

impl fmt::Debug for SimFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFd({})", self.number)
    }
}

impl fmt::Debug for SimKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimKernel(process {})", self.process)
    }
}
