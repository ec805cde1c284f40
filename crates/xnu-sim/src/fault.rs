//! The fault plan: what goes wrong, at which call, on which object.

use xnu_sys::Errno;

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The call (`write`, `sendmsg_x`, `kevent64`), or for requests their name (`BIOCSETIF`,
    /// `BRDGADD`) or `ioctl` for all; or `output`, which is each frame that a BPF device or an NDRV
    /// socket hands to an interface: of a batch some may fail ([`FaultAction::Fail`],
    /// [`FaultAction::Lose`]).
    pub call: &'static str,
    /// The object, by any of its names; `None` is any:
    /// - of a descriptor, its label (`unix3`, `/dev/bpf1`, `ndrv0`, `events0`, `kqueue0`) or the
    ///   interface that it listens on or is bound to (`feth1`);
    /// - of a request about an interface, that interface, and the member or peer that a driver
    ///   command names;
    /// - of `open` the path, of `sysctlbyname` the name, of `socket` its numbers (`27, 3, 0`).
    pub object: Option<String>,
    /// So many calls that fit go well first.
    pub after: u64,
    /// So many then go wrong.
    pub times: u64,
    /// How.
    pub action: FaultAction,
}

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// It does nothing and gives this.
    Fail(Errno),
    /// It does at most so much: messages of `recvmsg_x` and `sendmsg_x`, events of `kevent64`,
    /// bytes of reads, and of writes to devices. What a read had beyond is lost. A datagram is
    /// never sent in part.
    Short(usize),
    /// It takes so much longer.
    Delay {
        /// Nanoseconds.
        ns: u64,
    },
    /// What it sends is lost, and it says it went well. Calls that do not send are left alone.
    Lose,
}

/// All that is to go wrong.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    faults: Vec<Fault>,
}

impl FaultPlan {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// Whether nothing is to go wrong any more.
    pub(crate) fn is_over(&self) -> bool {
        self.faults.iter().all(|fault| fault.times == 0)
    }

    /// What goes wrong with this call on what has these names, if anything; counts it. Of faults
    /// that fit, the first that is not over counts.
    pub(crate) fn strike(&mut self, call: &str, names: &[String]) -> Option<FaultAction> {
        let fits = |fault: &&mut Fault| {
            let fits_object = |of: &String| names.contains(of);
            fault.call == call && fault.object.as_ref().is_none_or(fits_object)
        };
        let fault = self.faults.iter_mut().filter(|fault| fault.times > 0).find(fits)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times -= 1;
        Some(fault.action.clone())
    }
}
