//! `vde_switch` of Debian's `vde2`.

use std::process::Command;

use super::Rig;
use super::wiring::Wiring;
use crate::failure::{Failure, Result, Trying as _};
use crate::load::Place;
use crate::system::process::Process;
use crate::system::program;

pub(super) fn start(wiring: &Wiring) -> Result<Rig> {
    let Wiring::Datagrams { ends, idle: 0, .. } = *wiring else {
        return Err(Failure::new("wire vde_switch", "it has only its own kind of datagram port"));
    };
    let vde = program::find("vde_switch").ok_or_else(|| Failure::new("vde_switch", "not found"))?;
    let mut rig = Rig::empty()?;
    let directory = rig.path().join("vde");
    let mut command = Command::new(vde);
    command.arg("-nostdin").arg("-sock").arg(&directory);
    rig.process = Some(Process::start(&mut command)?);
    let control = directory.join("ctl");
    for _ in 0..200 {
        if control.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    control.metadata().trying("wait for vde_switch's socket")?;
    rig.places = (0..ends)
        .map(|end| Place::Vde {
            directory: directory.clone(),
            own: rig.path().join(format!("end{end}")),
        })
        .collect();
    Ok(rig)
}
