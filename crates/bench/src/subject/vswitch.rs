//! The switch, as a user starts it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::crowd::Crowd;
use super::wiring::{self, ADDRESSES, Wiring, datagram_place, socket_path};
use super::{Card, Guests, Hosts, Programs, Rig, relay_process};
use crate::failure::{Failure, Result, Trying as _};
use crate::load::Place;
use crate::system::namespace::Namespace;
use crate::system::process::Process;
use crate::system::socket::Buffers;

pub(super) fn start(wiring: &Wiring, programs: &Programs, options: &[&str]) -> Result<Rig> {
    let mut rig = Rig::empty()?;
    let mut run = Run { programs, options, uplink: "none", ports: Vec::new() };
    match *wiring {
        Wiring::Datagrams { ends, connected, buffers, idle, .. } => {
            run.datagrams(rig.path(), ends + idle);
            rig.process = Some(run.start()?);
            rig.places =
                (0..ends).map(|end| datagram_place(rig.path(), end, connected, buffers)).collect();
        }
        Wiring::Streams => {
            run.port(format!("stream:{}", socket_path(rig.path(), 0).display()));
            run.port(format!("stream:{}", socket_path(rig.path(), 1).display()));
            rig.process = Some(run.start()?);
            let place = |end| Place::Stream { path: socket_path(rig.path(), end) };
            rig.places = vec![place(0), place(1)];
        }
        Wiring::StreamToDatagram { .. } => {
            run.port(format!("stream:{}", socket_path(rig.path(), 0).display()));
            run.port(format!("unixgram:{}", socket_path(rig.path(), 1).display()));
            rig.process = Some(run.start()?);
            let stream = Place::Stream { path: socket_path(rig.path(), 0) };
            rig.places = vec![stream, datagram_place(rig.path(), 1, true, Buffers::Large)];
        }
        Wiring::DatagramToBridge { frame_bytes } => {
            let host = wiring::host_with_bridge(wiring::mtu_of(frame_bytes), None)?;
            let lan = wiring::join_bridge(&host, "lan", wiring::mtu_of(frame_bytes))?;
            run.datagrams(rig.path(), 1);
            run.uplink = "bridge:br0";
            rig.process = Some(run.start_in(&host)?);
            let datagram = datagram_place(rig.path(), 0, true, Buffers::Large);
            rig.places = vec![datagram, Place::Interface { name: lan, namespace: host }];
        }
        Wiring::Taps { mtu, offload } => start_taps(&mut rig, run, mtu, offload)?,
        Wiring::TapToBridge { mtu } => {
            let host = wiring::host_with_bridge(mtu, None)?;
            let lan = wiring::join_bridge(&host, "lan", mtu)?;
            run.port("tap:t0".to_owned());
            run.uplink = "bridge:br0";
            rig.process = Some(run.start_in(&host)?);
            let client = wiring::move_to_a_host(&host, "t0", ADDRESSES[0], mtu)?;
            let server = wiring::move_to_a_host(&host, &lan, ADDRESSES[1], mtu)?;
            rig.hosts = Some(Hosts { client, server, server_address: ADDRESSES[1] });
        }
        Wiring::Guests(card) => start_guests(&mut rig, run, card)?,
        Wiring::HostAndGuest { inwards } => {
            let host = wiring::host_with_bridge(1500, Some(ADDRESSES[0]))?;
            run.datagrams(rig.path(), 1);
            run.uplink = "bridge:br0";
            rig.process = Some(run.start_in(&host)?);
            relay_process::plug_a_guest(&mut rig, programs, host, inwards)?;
        }
        Wiring::Shared { .. } => {
            return Err(Failure::new("wire vswitch", "it has no ports that share memory"));
        }
    }
    Ok(rig)
}

/// The same, with clients at its control socket.
pub(super) fn start_with_crowd(wiring: &Wiring, programs: &Programs) -> Result<Rig> {
    let directory = tempfile::Builder::new().prefix("vswc").tempdir();
    let directory = directory.trying("make a directory for the control socket")?;
    let control = directory.path().join("control");
    let mut rig = start(wiring, programs, &["--control", &control.to_string_lossy()])?;
    rig.crowd = Some(Crowd::gather(&control, directory)?);
    Ok(rig)
}

fn start_taps(rig: &mut Rig, mut run: Run<'_>, mtu: u32, offload: bool) -> Result<()> {
    let host = Arc::new(Namespace::new()?);
    run.port("tap:t0".to_owned());
    run.port("tap:t1".to_owned());
    rig.process = Some(run.start_in(&host)?);
    wiring::move_taps(rig, &host, mtu, offload)
}

fn start_guests(rig: &mut Rig, mut run: Run<'_>, card: Card) -> Result<()> {
    let kind = match card {
        Card::Stream => "stream",
        Card::Datagrams => "unixgram",
    };
    let ports = [0, 1].map(|end| socket_path(rig.path(), end));
    for port in &ports {
        run.port(format!("{kind}:{}", port.display()));
    }
    rig.process = Some(run.start()?);
    let cards = [0, 1].map(|end| card.to(&rig.path().join(format!("end{end}")), &ports[end]));
    rig.guests = Some(Guests::boot(run.programs.guest.as_ref(), cards)?);
    Ok(())
}

struct Run<'a> {
    programs: &'a Programs,
    options: &'a [&'a str],
    uplink: &'static str,
    ports: Vec<String>,
}

impl Run<'_> {
    fn port(&mut self, place: String) {
        self.ports.push(format!("p{}={place}", self.ports.len()));
    }

    fn datagrams(&mut self, directory: &Path, count: usize) {
        for number in 0..count {
            self.port(format!("unixgram:{}", socket_path(directory, number).display()));
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.programs.vswitch);
        command.args(["run", "--uplink", self.uplink]).args(self.options);
        for port in &self.ports {
            command.args(["--port", port]);
        }
        // The sockets are for this process, whoever started it.
        command.env_remove("SUDO_UID").env_remove("SUDO_GID");
        command
    }

    fn start(&self) -> Result<Process> {
        ready(self.command())
    }

    fn start_in(&self, host: &Namespace) -> Result<Process> {
        let command = self.command();
        host.inside(move || ready(command))
    }
}

fn ready(mut command: Command) -> Result<Process> {
    let mut process = Process::start(&mut command)?;
    process.wait_for("\"ready\"")?;
    Ok(process)
}
