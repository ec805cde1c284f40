//! The fault plan: what goes wrong, at which call, on which object.

use xnu_sys::Errno;

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The call: `write`, `sendmsg_x`, or for requests their name (`BIOCSETIF`, `BRDGADD`).
    pub call: &'static str,
    /// The object: an interface, a device's path, a socket's label; `None` is any.
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
    /// It does at most so much: messages, for calls of many; bytes else.
    Short(usize),
    /// It takes so much longer.
    Delay {
        /// Nanoseconds.
        ns: u64,
    },
    /// What it sends is lost, and it says it went well.
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

    /// What goes wrong with this call, if anything; counts it.
    pub(crate) fn strike(&mut self, call: &str, object: &str) -> Option<FaultAction> {
        let fits = |fault: &&mut Fault| {
            fault.call == call && fault.object.as_deref().is_none_or(|of| of == object)
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
