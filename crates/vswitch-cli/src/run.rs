//! `vswitch run`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use vswitchd::Control;
use vswitchd::api::{Refusal, RefusalKind, Reload, Server};
use vswitchd::config::{Configuration, ControlSettings, Network, PortSpec, UplinkSpec};
use vswitchd::host::HostPlatform;
use vswitchd::report::{Applied, Ready};

use crate::config::{self, count};
use crate::failure::Failure;
use crate::host::{self, NetworkOptions};
use crate::output::print_text;
use crate::{service_manager, signals};

/// Run a switch until SIGINT or SIGTERM.
///
/// One network by options, or many by a file. Prints one JSON line on stdout when it is ready
/// ({"event":"ready",…}) and one at its end ({"event":"stopped",…}, with the counters of each
/// port); logs and a table of the counters go to stderr.
///
/// With --config, SIGHUP has the file read again: what changed in it is changed, what did not is
/// not touched, and a line {"event":"reloaded",…} says what was done. A file with a mistake changes
/// nothing. What cannot be had is told in that line, and tried again with the next SIGHUP.
///
/// A service manager with a NOTIFY_SOCKET (systemd, Type=notify) is told of each of these, and its
/// watchdog is fed as long as all loops answer.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A file with everything that is to be up (`vswitch config example` prints one)
    #[arg(long, value_name = "FILE", conflicts_with_all = OF_ONE_NETWORK)]
    config: Option<PathBuf>,

    #[command(flatten)]
    network: NetworkOptions,

    /// How the network reaches the host's: bridge:BR, iface:IF or none; a bridge takes the options
    /// `,create` (made at the start, undone at the end) and `,member=IF`, both take `,messages`
    /// (Linux: by no ring and no AF_XDP); with `,wait` behind the rest, what is missing is waited
    /// for
    #[arg(long, value_name = "UPLINK", required_unless_present = "config")]
    uplink: Option<UplinkSpec>,

    /// Where a VM plugs in, NAME=KIND:ARG[,mac=MAC], with a KIND of unixgram:PATH, stream:PATH,
    /// stream-connect:PATH, vde:DIR, fd:N or, on Linux, tap:IFNAME; may be given many times. With
    /// --control ports can come later, too
    #[arg(long = "port", value_name = "PORT", required_unless_present_any = ["config", "control"])]
    ports: Vec<PortSpec>,

    /// Listen at this path for `vswitch ports`, `vswitch port add` and others, and for curl;
    /// descriptors pass at the same path with .fd
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    control: Option<PathBuf>,

    /// Who owns the control socket and may change things, as root may: a name or number [default:
    /// the user who called sudo]
    #[arg(long, value_name = "USER", requires = "control")]
    control_owner: Option<String>,

    /// The group of the control socket, whose members may look: a name or number [default: nobody
    /// else may]
    #[arg(long, value_name = "GROUP", requires = "control")]
    control_group: Option<String>,

    /// Serve metrics for Prometheus at this address over TCP, to whoever can connect; they are at
    /// the control socket, too
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "config")]
    metrics: Option<SocketAddr>,

    /// Never sleep: ask again and again whether a frame is there. Takes a whole processor, also
    /// when nothing happens, and makes round trips shorter where there are processors to spare
    #[arg(long)]
    busy_poll: bool,

    /// Spread the uplink and the ports over so many threads, in turn; no more than there are of
    /// them at the start. For machines with processors to spare and traffic that one does not
    /// carry: each thread has buffers of its own, and frames between two threads are copied twice
    /// more. Linux only
    #[arg(long, value_name = "N", default_value = "1", value_parser = threads)]
    threads: NonZeroUsize,
}

/// Options that a configuration file has in itself.
const OF_ONE_NETWORK: [&str; 6] =
    ["uplink", "ports", "name", "socket_owner", "socket_group", "socket_mode"];

/// The most threads that can be asked for: each two have a trunk between them.
const THREADS_MAX: usize = 64;

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= THREADS_MAX);
    number.ok_or_else(|| format!("a number from 1 to {THREADS_MAX} is expected"))
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    host::start_logging(arguments.network.log_format);
    let (busy_poll, threads) = (arguments.busy_poll, arguments.threads);
    let file = arguments.config.clone();
    let wanted = match &file {
        Some(file) => config::read(file)?,
        None => one_network(arguments)?,
    };
    let caught = signals::catch()?;
    let mut service = host::start_on(wanted.clone(), threads)?;
    service.set_busy_poll(busy_poll);
    let control = service.control();
    let server = Server::start(
        control.clone(),
        &wanted,
        file.clone().map(|file| {
            let control = control.clone();
            Arc::new(move || reload(&control, &file)) as Reload
        }),
    );
    let server = server.map_err(|error| Failure::new("listen for control", error))?;
    let ready = service.ready();
    // Before a signal can have it say anything else.
    print_text(&host::json_line(&ready)?)?;
    service_manager::ready(&format!("up with {}", sum_of(&ready)));
    let loops = control.clone();
    service_manager::keep_alive(move || loops.report().is_ok())?;
    let reloader = file.map(|file| Reloader::start(control.clone(), file)).transpose()?;
    let signals = caught.spawn(move |signal| match (&reloader, signal) {
        (Some(reloader), signals::Told::HangUp) => reloader.reload(),
        _ => control.stop(),
    })?;
    let ran = service.run().map_err(|error| Failure::new("run the switch", error));
    service_manager::stopping();
    // Before the signals' thread is waited for, which may be about to change something.
    let stopped = service.finish();
    signals.end();
    drop(server);
    print_text(&host::json_line(&stopped)?)?;
    eprint!("{}", host::counters_table(&stopped));
    ran.map(|()| ExitCode::SUCCESS)
}

fn one_network(arguments: Arguments) -> Result<Configuration, Failure> {
    let Arguments { network, uplink, ports, control, control_owner, control_group, .. } = arguments;
    let access = network.access()?;
    let uplink = uplink.unwrap_or(UplinkSpec::None);
    let control = control.map(|path| {
        let (owner, group) = (control_owner.as_deref(), control_group.as_deref());
        ControlSettings::from_options(path, owner, group, None)
            .map_err(|error| Failure::new("read the options of the control socket", error))
    });
    Ok(Configuration {
        networks: vec![Network { name: network.name(), uplink, ports, access }],
        control: control.transpose()?,
        metrics: arguments.metrics,
    })
}

/// A thread that reads the file again: an end that is asked for meanwhile does not wait for it.
struct Reloader(SyncSender<()>);

impl Reloader {
    fn start(control: Control<HostPlatform>, file: PathBuf) -> Result<Self, Failure> {
        // One waits at most: the file is read after the last of those who asked.
        let (ask, asked) = sync_channel(1);
        std::thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                for () in asked {
                    if let Err(refusal) = reload(&control, &file) {
                        tracing::error!("nothing was reloaded: {refusal}");
                    }
                }
            })
            .map_err(|error| Failure::new("start a thread for reloads", error))?;
        Ok(Self(ask))
    }

    fn reload(&self) {
        // Full: one is about to be done already. Closed: it is over.
        let _ = self.0.try_send(());
    }
}

/// What is up, in a few words.
fn sum_of(ready: &Ready) -> String {
    let ports = ready.networks.iter().map(|network| network.ports.len()).sum();
    format!("{}, {}", count(ready.networks.len(), "network"), count(ports, "port"))
}

/// Reads the file again, with the service manager told that this is being done, and that it is
/// over, whatever came of it.
fn reload(control: &Control<HostPlatform>, file: &Path) -> Result<Applied, Refusal> {
    // One at a time: what is applied last is what was read last.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    service_manager::reloading();
    let became = apply_again(control, file);
    service_manager::ready(&match &became {
        Ok(applied) => {
            let missing = applied.failed.iter().map(|failed| format!("; not there: {failed}"));
            format!("reloaded: {}{}", sum_of(&control.ready()), missing.collect::<String>())
        }
        Err(refusal) => format!("nothing was reloaded: {refusal}"),
    });
    became
}

/// Reads the file again, and says what became of it.
fn apply_again(control: &Control<HostPlatform>, file: &Path) -> Result<Applied, Refusal> {
    #[derive(serde::Serialize)]
    struct Reloaded<'a> {
        event: &'static str,
        #[serde(flatten)]
        applied: &'a Applied,
    }
    let wanted = config::read(file).map_err(|failure| {
        control.note_refused();
        Refusal::new(RefusalKind::Malformed, failure.to_string())
    })?;
    let applied = control.apply(&wanted)?;
    for failed in &applied.failed {
        tracing::error!("not there after the reload: {failed}");
    }
    let line = host::json_line(&Reloaded { event: "reloaded", applied: &applied });
    if let Err(failure) = line.and_then(|line| print_text(&line)) {
        tracing::error!("reloaded, and could not say so: {failure}");
    }
    Ok(applied)
}

const EXAMPLES: &str = if cfg!(target_os = "macos") {
    "\
Examples:
  A network of two VMs, without root; the first port is for vfkit, krunkit or QEMU's dgram:
    vswitch run --uplink none --port vm1=unixgram:/tmp/vm1.sock --port vm2=stream:/tmp/vm2.sock
  A bridge of its own, with the card en1 in it, taken away at the end:
    sudo vswitch run --uplink bridge:bridge7,create,member=en1 --port vm1=unixgram:/tmp/vm1.sock
  VMs on a bridge that is there, each with its address:
    sudo vswitch run --uplink bridge:bridge7 --port vm1=stream:/tmp/vm1.sock,mac=52:54:00:00:00:01"
} else {
    "\
Examples:
  A network of two VMs, without root; the first port is for vfkit, krunkit or QEMU's dgram:
    vswitch run --uplink none --port vm1=unixgram:/tmp/vm1.sock --port vm2=stream:/tmp/vm2.sock
  VMs on the host's bridge br0:
    sudo vswitch run --uplink bridge:br0 --port vm1=unixgram:/run/vm1.sock,mac=52:54:00:00:00:01
  A bridge of its own, with the card eth1 in it, taken away at the end:
    sudo vswitch run --uplink bridge:br9,create,member=eth1 --port vm1=stream:/run/vm1.sock"
};
