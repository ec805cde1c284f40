//! A relay as a process: a yardstick, or what plugs a namespace into a switch's socket.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::wiring::{ADDRESSES, socket_path};
use super::{Hosts, Programs, Rig};
use crate::failure::Result;
use crate::relay::READY;
use crate::system::namespace::Namespace;
use crate::system::process::Process;

/// A namespace with a TAP, plugged into the datagram socket of end 0 by a relay that is not
/// measured, and the host's own stack as its peer.
pub(super) fn plug_a_guest(
    rig: &mut Rig,
    programs: &Programs,
    host: Arc<Namespace>,
    inwards: bool,
) -> Result<()> {
    let (socket, own) = (socket_path(rig.path(), 0), rig.path().join("guest"));
    let plug = format!("plug:{}:{}", socket.display(), own.display());
    let relay = Relay { batch: 32, frame_bytes: 2048, pairs: 1, epoll: false };
    let command = relay.command(&programs.own, &plug, "tap:g0");
    let guest = Arc::new(Namespace::new()?);
    rig.others.push(guest.inside(move || ready(command))?);
    guest.run(&[
        "ip link set g0 up".to_owned(),
        format!("ip address add {}/24 dev g0", ADDRESSES[1]),
    ])?;
    rig.hosts = Some(match inwards {
        true => Hosts { client: host, server: guest, server_address: ADDRESSES[1] },
        false => Hosts { client: guest, server: host, server_address: ADDRESSES[0] },
    });
    Ok(())
}

/// A relay of this program.
pub(super) struct Relay {
    pub(super) batch: usize,
    pub(super) frame_bytes: usize,
    pub(super) pairs: usize,
    /// Waits by epoll even with one pair.
    pub(super) epoll: bool,
}

impl Relay {
    pub(super) fn command(&self, program: &Path, a: &str, b: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["relay", a, b, "--batch", &self.batch.to_string()]);
        command.args(["--frame-bytes", &self.frame_bytes.to_string()]);
        command.args(["--pairs", &self.pairs.to_string()]);
        command.args(self.epoll.then_some("--epoll"));
        command
    }
}

/// Starts it, and waits until its ends may plug in.
pub(super) fn ready(mut command: Command) -> Result<Process> {
    let mut process = Process::start(&mut command)?;
    process.wait_for(READY)?;
    Ok(process)
}
