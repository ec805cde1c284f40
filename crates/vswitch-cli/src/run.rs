//! `vswitch run`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};

use vswitchd::Control;
use vswitchd::config::{Network, PortSpec, UplinkSpec};
use vswitchd::host::HostPlatform;
use vswitchd::report::Applied;

use crate::config;
use crate::failure::Failure;
use crate::host::{self, NetworkOptions};
use crate::output::print_text;
use crate::signals;

/// Run a switch until SIGINT or SIGTERM.
///
/// One network by options, or many by a file. Prints one JSON line on stdout when it is ready
/// ({"event":"ready",…}) and one at its end ({"event":"stopped",…}, with the counters of each
/// port); logs and a table of the counters go to stderr.
///
/// With --config, SIGHUP has the file read again: what changed in it is changed, what did not is
/// not touched, and a line {"event":"reloaded",…} says what was done. A file with a mistake changes
/// nothing. What cannot be had is told in that line, and tried again with the next SIGHUP.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A file with everything that is to be up (`vswitch config example` prints one)
    #[arg(long, value_name = "FILE", conflicts_with_all = OF_ONE_NETWORK)]
    config: Option<PathBuf>,

    #[command(flatten)]
    network: NetworkOptions,

    /// How the network reaches the host's: bridge:BR, iface:IF or none; a bridge takes the options
    /// `,create` (made at the start, undone at the end) and `,member=IF`
    #[arg(long, value_name = "UPLINK", required_unless_present = "config")]
    uplink: Option<UplinkSpec>,

    /// Where a VM plugs in, NAME=KIND:ARG[,mac=MAC], with a KIND of unixgram:PATH, stream:PATH,
    /// stream-connect:PATH, fd:N or, on Linux, tap:IFNAME; may be given many times
    #[arg(long = "port", value_name = "PORT", required_unless_present = "config")]
    ports: Vec<PortSpec>,

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
    let Arguments { config, network, uplink, ports, busy_poll, threads } = arguments;
    host::start_logging(network.log_format);
    let wanted = match &config {
        Some(file) => config::read(file)?,
        None => {
            let access = network.access()?;
            let uplink = uplink.unwrap_or(UplinkSpec::None);
            Network { name: network.name, uplink, ports, access }.into()
        }
    };
    let caught = signals::catch()?;
    let mut service = host::start_on(wanted, threads)?;
    service.set_busy_poll(busy_poll);
    let ready = host::json_line(&service.ready())?;
    // Before a signal can have it say anything else.
    print_text(&ready)?;
    let control = service.control();
    let reloader = config.map(|file| Reloader::start(control.clone(), file)).transpose()?;
    let signals = caught.spawn(move |signal| match (&reloader, signal) {
        (Some(reloader), signals::Told::HangUp) => reloader.reload(),
        _ => control.stop(),
    })?;
    let ran = service.run().map_err(|error| Failure::new("run the switch", error));
    // Before the signals' thread is waited for, which may be about to change something.
    let stopped = service.finish();
    signals.end();
    print_text(&host::json_line(&stopped)?)?;
    eprint!("{}", host::counters_table(&stopped));
    ran.map(|()| ExitCode::SUCCESS)
}

/// A thread that reads the file again: an end that is asked for meanwhile does not wait for it.
struct Reloader(SyncSender<()>);

impl Reloader {
    fn start(control: Control<HostPlatform>, file: PathBuf) -> Result<Self, Failure> {
        // One waits at most: the file is read after the last of those who asked.
        let (ask, asked) = sync_channel(1);
        std::thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || asked.iter().for_each(|()| reload(&control, &file)))
            .map_err(|error| Failure::new("start a thread for reloads", error))?;
        Ok(Self(ask))
    }

    fn reload(&self) {
        // Full: one is about to be done already. Closed: it is over.
        let _ = self.0.try_send(());
    }
}

/// Reads the file again, and says what became of it.
fn reload(control: &Control<HostPlatform>, file: &Path) {
    #[derive(serde::Serialize)]
    struct Reloaded {
        event: &'static str,
        #[serde(flatten)]
        applied: Applied,
    }
    let applied = config::read(file).and_then(|wanted| {
        control.apply(&wanted).map_err(|error| Failure::new("reload the configuration", error))
    });
    let applied = match applied {
        Ok(applied) => applied,
        Err(failure) => return tracing::error!("nothing was reloaded: {failure}"),
    };
    for failed in &applied.failed {
        tracing::error!("not there after the reload: {failed}");
    }
    let line = host::json_line(&Reloaded { event: "reloaded", applied });
    if let Err(failure) = line.and_then(|line| print_text(&line)) {
        tracing::error!("reloaded, and could not say so: {failure}");
    }
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
