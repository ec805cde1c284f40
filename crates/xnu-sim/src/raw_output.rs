//! How BPF and NDRV hand a frame to an interface.

use crate::errno::Result;
use crate::fault::FaultAction;
use crate::machine::Machine;
use crate::net::IfId;
use crate::process::ProcessId;

impl Machine {
    /// Hands over one of perhaps many frames of a call. The fault plan may lose it, and tell or
    /// not.
    ///
    /// # Errors
    /// What the interface says, or the plan.
    pub(crate) fn raw_output(
        &mut self,
        process: ProcessId,
        interface: IfId,
        frame: Vec<u8>,
    ) -> Result<()> {
        if !self.processes.of(process).is_spared {
            let name = self.net.name(interface);
            match self.faults.strike("output", &[name]) {
                Some(FaultAction::Fail(errno)) => return Err(errno),
                Some(FaultAction::Lose) => return Ok(()),
                Some(FaultAction::Short(_) | FaultAction::Delay { .. }) | None => {}
            }
        }
        self.output(interface, frame)
    }
}
