//! `vswitch exec`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use vswitchd::MacAddr;
use vswitchd::access::{self, Caller};
use vswitchd::api::pass;
use vswitchd::api::wire::PassRequest;
use vswitchd::config::{Attachment, GivenSocket, Network, PortSpec, UplinkSpec, descriptor_socket};
use vswitchd::host::card_pair;

use crate::failure::Failure;
use crate::host::{self, NetworkOptions};
use crate::signals;

/// Run a command with its network card on descriptor 3: at a switch that runs as long as it does,
/// or at one that runs already.
///
/// The command's card is a unix datagram socket, one datagram to a frame, as vfkit, krunkit and
/// QEMU take it, or with --stream what socket_vmnet_client passes on. The command runs as the user
/// who called sudo, so that a VM need not run as root. When it ends, the switch ends too, with the
/// command's exit code (128 and the signal's number when a signal ended it). SIGINT and SIGTERM are
/// passed on to it.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    network: NetworkOptions,

    /// How the network reaches the host's: bridge:BR, iface:IF or none; a bridge takes the options
    /// `,create` (made at the start, undone at the end) and `,member=IF`
    #[arg(long, value_name = "UPLINK", required_unless_present = "control")]
    uplink: Option<UplinkSpec>,

    /// More ports of the same network, as in `vswitch run`
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<PortSpec>,

    /// Plug the command into the running switch with this control socket, in its network --network;
    /// the port goes when the command ends
    #[arg(long, value_name = "PATH",
          conflicts_with_all = ["uplink", "ports", "socket_owner", "socket_group", "socket_mode"])]
    control: Option<PathBuf>,

    /// With --control: the port's name there [default: one that is free]
    #[arg(long = "name", value_name = "NAME", requires = "control")]
    port_name: Option<String>,

    /// The card's address: frames from any other are dropped
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddr>,

    /// Make the card a stream, with four bytes of length before each frame
    #[arg(long, conflicts_with = "control")]
    stream: bool,

    /// Whom to run the command as: a name or number [default: the user who called sudo]
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// The descriptor that the command finds its card on.
const CARD: i32 = 3;

/// Says to this program, started anew, that it is to become the command.
pub(crate) const BECOME: &str = "__become";

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    host::start_logging(arguments.network.log_format);
    let who = match &arguments.user {
        Some(name) => {
            Some(access::user(name).map_err(|error| Failure::new("choose the user", error))?)
        }
        None => Caller::from_sudo(),
    };
    match arguments.control.clone() {
        Some(control) => at_running_switch(&control, arguments, who),
        None => with_switch(arguments, who),
    }
}

/// Runs the command at a switch that another process runs.
fn at_running_switch(
    control: &Path,
    arguments: Arguments,
    who: Option<Caller>,
) -> Result<ExitCode, Failure> {
    let request = PassRequest {
        network: arguments.network.name,
        name: arguments.port_name,
        mac: arguments.mac.map(|mac| mac.to_string()),
        hold: true,
    };
    let caught = signals::catch()?;
    let failed = |error: std::io::Error| {
        use std::io::ErrorKind;
        let what = format!("plug into the switch at {}", control.display());
        let failure = Failure::new(what, &error);
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                failure.to_do("is a switch running with --control, and is this its path?")
            }
            ErrorKind::PermissionDenied => failure.to_do("its owner and root may"),
            _ => failure,
        }
    };
    let passed = pass(&descriptor_socket(control), &request, None).map_err(failed)?;
    let no_card = || Failure::new("plug into the switch", "it answered without a socket");
    let mut child = spawn(&arguments.command, passed.card.ok_or_else(no_card)?, who)?;
    let passed_on = caught.on_termination(end_by_signal(&child))?;
    wait_for_end(&child);
    // Signals are passed on no more before its number can be another's.
    passed_on.end();
    let status = child.wait().map_err(|error| Failure::new("wait for the command", error))?;
    drop(passed.connection);
    Ok(exit_code(status))
}

/// Runs the command and a switch beside it.
fn with_switch(arguments: Arguments, who: Option<Caller>) -> Result<ExitCode, Failure> {
    let access = arguments.network.access()?;
    let (ours, theirs) = if arguments.stream { stream_pair() } else { card_pair() }
        .map_err(|error| Failure::new("make a pair of sockets", error))?;
    let card = PortSpec {
        name: "cmd".to_owned(),
        attachment: Attachment::Given(GivenSocket::new(ours)),
        mac: arguments.mac,
    };
    let ports = [card].into_iter().chain(arguments.ports).collect();
    let uplink = arguments.uplink.unwrap_or(UplinkSpec::None);
    let network = Network { name: arguments.network.name(), uplink, ports, access };
    let caught = signals::catch()?;
    let mut service = host::start_on(network, NonZeroUsize::MIN)?;
    let mut child = spawn(&arguments.command, theirs, who)?;
    let end_it = end_by_signal(&child);
    let passed_on = caught.on_termination(end_it)?;
    let stop = service.handle();
    let id = rustix::process::Pid::from_child(&child);
    let waiter = std::thread::spawn(move || {
        wait_for(id);
        stop.stop();
    });
    let ran = service.run().map_err(|error| Failure::new("run the switch", error));
    if ran.is_err() {
        // A card that no switch serves is of no use to it.
        end_it();
    }
    waiter.join().map_err(|_| Failure::new("wait for the command", "its thread died"))?;
    passed_on.end();
    let status = child.wait();
    eprint!("{}", host::counters_table(&service.finish()));
    ran?;
    let status = status.map_err(|error| Failure::new("wait for the command", error))?;
    Ok(exit_code(status))
}

/// What asks a command to end. It may have ended this very moment; then there is nobody to tell.
/// Its number stays its own: it is reaped only when nobody passes signals on any more.
fn end_by_signal(child: &Child) -> impl Fn() + Copy + Send + 'static {
    let pid = Pid::from_raw(rustix::process::Pid::from_child(child).as_raw_pid());
    move || {
        let _ = kill(pid, Signal::SIGTERM);
    }
}

/// Waits until a command has ended, and leaves it to be reaped.
fn wait_for_end(child: &Child) {
    wait_for(rustix::process::Pid::from_child(child));
}

fn wait_for(id: rustix::process::Pid) {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(id), ended).is_err_and(|e| e == rustix::io::Errno::INTR) {}
}

fn stream_pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours.into(), theirs.into()))
}

/// Starts the command as `who`, by way of this program: the change of user happens in the child, by
/// [`become_command`], where nothing else runs.
fn spawn(command: &[OsString], card: OwnedFd, who: Option<Caller>) -> Result<Child, Failure> {
    let shown = command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let failed = move |error: &dyn std::fmt::Display| Failure::new(format!("run {shown}"), error);
    let this = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut child = Command::new(this);
    child.arg(BECOME);
    child.arg(who.map_or_else(String::new, |who| format!("{}:{}", who.uid, who.gid)));
    child.args(command);
    child
        .fd_mappings(vec![FdMapping { parent_fd: card, child_fd: CARD }])
        .map_err(|error| failed(&error))?;
    child.spawn().map_err(|error| failed(&error))
}

/// The child's half of [`spawn`]: `arguments` are the user's numbers and the command. Comes back
/// only when it failed.
pub(crate) fn become_command(arguments: &[OsString]) -> ExitCode {
    let (Some(who), Some(name)) = (arguments.first(), arguments.get(1)) else {
        return ExitCode::from(2);
    };
    if let Some(failure) = change_user(&who.to_string_lossy()) {
        eprintln!("vswitch: {failure}");
        return ExitCode::from(126);
    }
    let error = Command::new(name).args(&arguments[2..]).exec();
    let failure = Failure::new(format!("run {}", name.to_string_lossy()), &error);
    eprintln!("vswitch: {failure}");
    // As a shell does: 127 when there is no such command, 126 when it cannot be run.
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
}

/// Makes this process `who`'s (user and group as numbers; empty for whoever it is now).
fn change_user(who: &str) -> Option<Failure> {
    let (uid, gid) = who.split_once(':')?;
    let failed = |why: &dyn std::fmt::Display| {
        Some(
            Failure::new(format!("become user {uid}"), why)
                .to_do("only root can run a command as another user"),
        )
    };
    let (Ok(uid), Ok(gid)) = (uid.parse::<u32>(), gid.parse::<u32>()) else {
        return failed(&"no number");
    };
    let who = Caller { uid: uid.into(), gid: gid.into() };
    who.take_over_process().err().and_then(|error| failed(&error))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

const EXAMPLES: &str = if cfg!(target_os = "macos") {
    "\
Examples:
  vfkit on a bridge with the card en1, both ends of its card with large buffers:
    sudo vswitch exec --uplink bridge:bridge7,create,member=en1 --mac 52:54:00:00:00:01 -- \\
      vfkit --device virtio-net,fd=3,mac=52:54:00:00:00:01 …"
} else {
    "\
Examples:
  QEMU on the bridge br0:
    sudo vswitch exec --uplink bridge:br0 -- qemu-system-x86_64 -nographic \\
      -netdev dgram,id=n,local.type=fd,local.str=3 -device virtio-net-pci,netdev=n disk.img"
};
