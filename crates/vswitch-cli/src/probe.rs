//! `vswitch probe`: the built-in guest on a port. One file per command.

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ::probe::{Cidr, Error, Guest, GuestConfig, LinkError, LinkSpec, MacAddress, TaskError};
use clap::Subcommand;

use crate::failure::Failure;
use crate::signals;

mod dhcp;
mod listen;
mod ping;
mod throughput;

/// Plug a built-in guest into a port: no VM needed to try a network.
///
/// The exit code is 0 only if what was asked for worked.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  A guest that answers, and another one that pings it, through a running switch:
    vswitch probe --connect unixgram:/tmp/vm1.sock --ip 192.0.2.1/24 listen
    vswitch probe --connect stream:/tmp/vm2.sock --ip 192.0.2.2/24 ping 192.0.2.1
  Is there a DHCP server on the bridge?
    vswitch probe --connect unixgram:/tmp/vm1.sock dhcp")]
pub(crate) struct Arguments {
    #[command(flatten)]
    guest: GuestOptions,
    /// Print JSON: one object, or for listen one object per line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Dhcp(dhcp::Arguments),
    Ping(ping::Arguments),
    Throughput(throughput::Arguments),
    Listen(listen::Arguments),
}

/// The guest, and where it is plugged in.
#[derive(clap::Args, Debug)]
struct GuestOptions {
    /// The port: unixgram:PATH, stream:PATH, or fd:N for an inherited socket
    #[arg(long, value_name = "LINK")]
    connect: LinkSpec,
    /// The guest's MAC address; without it, one made up for this run
    #[arg(long)]
    mac: Option<MacAddress>,
    /// An IPv4 or IPv6 address of the guest; may be given several times. The IPv6 link-local
    /// address is always there
    #[arg(long = "ip", value_name = "ADDR/PREFIX")]
    addresses: Vec<Cidr>,
    /// A default gateway, of either family
    #[arg(long = "gateway", value_name = "ADDR")]
    gateways: Vec<IpAddr>,
    /// Get an IPv4 address by DHCP first
    #[arg(long)]
    dhcp: bool,
    /// The largest packet in bytes, without the Ethernet header
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    mtu: usize,
    /// Begin with vfkit's handshake (unixgram only)
    #[arg(long)]
    vfkit: bool,
    /// Give up after so long: dhcp and --dhcp after 10 seconds, ping 1 second after the last
    /// request, throughput when nothing moved for 10; listen stops then, and goes on for ever
    /// without
    #[arg(long, value_name = "SECONDS", value_parser = seconds, global = true)]
    timeout: Option<Duration>,
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { guest, json, command } = arguments;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let watch = signals::on_termination(move || flag.store(true, Ordering::Relaxed))?;
    let done = match command {
        Command::Dhcp(arguments) => dhcp::main(&arguments, &guest, &stop, json),
        Command::Ping(arguments) => ping::main(&arguments, &guest, &stop, json),
        Command::Throughput(arguments) => throughput::main(&arguments, &guest, &stop, json),
        Command::Listen(arguments) => listen::main(&arguments, &guest, &stop, json),
    };
    watch.end();
    done
}

impl GuestOptions {
    fn timeout_or(&self, default_s: u64) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(default_s))
    }

    fn config(&self) -> GuestConfig {
        let mac = self.mac.unwrap_or_else(made_up_mac);
        let mut config = GuestConfig::new(mac).with_mtu(self.mtu).with_seed(seed());
        for address in &self.addresses {
            config = config.with_address(*address);
        }
        for gateway in &self.gateways {
            config = config.with_gateway(*gateway);
        }
        config
    }

    /// Plugs in the guest that `config` describes; with `--dhcp`, it has its lease.
    fn plug_in(&self, config: GuestConfig, stop: &Arc<AtomicBool>) -> Result<Guest, Failure> {
        config.check().map_err(|error| Failure::new("make the built-in guest", error))?;
        let link = self.connect.open(self.vfkit).map_err(|error| link_failure(&error))?;
        let mut guest = Guest::new(config, link)
            .map_err(|error| Failure::new("make the built-in guest", error))?;
        guest.stop_on(Arc::clone(stop));
        if self.dhcp {
            let lease = guest.dhcp(self.timeout_or(10));
            lease.map_err(|error| failure("get an address by DHCP", error))?;
        }
        Ok(guest)
    }
}

/// `what` failed for the guest; with what can be done about it, where something can.
fn failure(what: impl Into<String>, error: Error) -> Failure {
    let to_do = match &error {
        Error::Task(TaskError::NoRoute(IpAddr::V4(_))) => Some("--ip, --gateway or --dhcp"),
        Error::Task(TaskError::NoRoute(IpAddr::V6(_))) => Some("--ip or --gateway"),
        _ => None,
    };
    let failure = Failure::new(what, error);
    match to_do {
        Some(to_do) => failure.to_do(format!("give the guest one: {to_do}")),
        None => failure,
    }
}

fn link_failure(error: &LinkError) -> Failure {
    use std::io::ErrorKind;
    let failure = Failure::new("plug in the built-in guest", error);
    let LinkError::Io { call: "connect", source, .. } = error else { return failure };
    match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            failure.to_do("is a switch running with that port?")
        }
        ErrorKind::PermissionDenied if source.raw_os_error() == Some(EPERM) => {
            failure.to_do("the port has its guest already")
        }
        ErrorKind::PermissionDenied => failure.to_do("the port's --socket-owner may"),
        _ => failure,
    }
}

/// Another one for each run.
pub(crate) fn made_up_mac() -> MacAddress {
    MacAddress::local(seed())
}

pub(crate) fn seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::from(since.subsec_nanos());
    since.as_secs() << 30 ^ nanos ^ u64::from(std::process::id()) << 40
}

/// Seconds, with a fraction if need be; a day at most.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("from 0 to 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Milliseconds, for people and for JSON.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Operation not permitted: the same number on Linux and on the BSDs.
const EPERM: i32 = 1;
