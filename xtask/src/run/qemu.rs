//! The main job with real Linux guests under QEMU, each attached in another way.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::network::{A, B, C, D, HOST, Station};

use super::checks::Checks;
use super::setting::{Ports, Setting};
use super::switch::Switch;
use super::transfer::{self, Rate};
use super::virtual_machine::{Attachment, VirtualMachine};
use crate::failure::{Failure, Result};
use crate::guest_image::{self, GuestImage};

/// Pings of one check.
const PINGS: u32 = 5;

/// The port of TCP transfers.
const PORT: u16 = 5001;

/// Runs every check and prints the table.
pub(super) fn run(setting: &Setting, image: &GuestImage) -> Result<()> {
    let mut checks = Checks::begin("vswitch with Linux guests under QEMU");
    let scenario = Scenario { setting, image };
    scenario.run(&mut checks)?;
    checks.end()
}

#[derive(Debug, Clone, Copy)]
struct Scenario<'a> {
    setting: &'a Setting,
    image: &'a GuestImage,
}

/// Two guests on datagram paths, one on a stream, and one on a descriptor from `vswitch exec`; that
/// one only where there is a host's bridge on which to meet the others.
struct Guests {
    a: VirtualMachine,
    b: VirtualMachine,
    c: VirtualMachine,
    d: Option<VirtualMachine>,
}

/// The ports of the switch that all but `d` share.
const PORTS: Ports<'static> = &[("a", "unixgram"), ("b", "unixgram"), ("c", "stream")];

impl Scenario<'_> {
    fn run(self, checks: &mut Checks) -> Result<()> {
        let before = self.setting.interfaces()?;
        checks.section("Start");
        let start = || self.setting.start_switch(PORTS);
        let Some(switch) = checks.attempt("the switch is ready", start) else { return Ok(()) };
        let boot = || self.boot();
        let Some(mut guests) = checks.attempt("the guests have booted", boot) else {
            return Ok(());
        };

        checks.section("Address resolution and ping, over IPv6 and over IPv4");
        self.ping_everyone(checks, &mut guests);
        checks.section("TCP");
        self.transfer(checks, &mut guests);
        checks.section("Guest b is killed and started again");
        self.restart_guest(checks, &mut guests);
        checks.section("The switch is killed (-9) and started again under running guests");
        switch.kill()?;
        let orphans = self.setting.interfaces()?;
        let switch = self.restart_switch(checks, &mut guests);
        checks.section("End");
        checks.check("the guests power off", || guests.power_off());
        if let Some(switch) = switch {
            self.setting.end(checks, switch, PORTS, &before, &orphans);
        }
        Ok(())
    }

    /// Starts all guests at once and waits for all.
    fn boot(self) -> Result<(String, Guests)> {
        let port = self.setting.socket("c").display().to_string();
        let d = self.setting.host.as_ref().map(|_| self.start_inherited());
        let guests = Guests {
            a: self.start_datagram(A)?,
            b: self.start_datagram(B)?,
            c: VirtualMachine::start(self.image, C, &Attachment::Stream { port }, None)?,
            d: d.transpose()?,
        };
        let all = [&guests.a, &guests.b, &guests.c].into_iter().chain(&guests.d);
        let times = all.map(VirtualMachine::wait_ready).collect::<Result<Vec<_>>>()?;
        Ok((format!("seconds in each: {}", times.join(", ")), guests))
    }

    fn start_datagram(self, station: Station) -> Result<VirtualMachine> {
        let path = |name: &str| self.setting.socket(name).display().to_string();
        let own = path(&format!("{}-vm", station.name));
        let attachment = Attachment::Datagram { own, port: path(station.name) };
        VirtualMachine::start(self.image, station, &attachment, None)
    }

    /// A guest whose card is a descriptor of a switch of its own on the same bridge.
    fn start_inherited(self) -> Result<VirtualMachine> {
        let mut exec = Command::new(&self.setting.program);
        exec.args(["exec", "--uplink", &self.setting.uplink(), "--"]);
        VirtualMachine::start(self.image, D, &Attachment::Descriptor(3), Some(exec))
    }

    fn ping_everyone(self, checks: &mut Checks, guests: &mut Guests) {
        let everyone: Vec<Station> = guests.each().map(|guest| guest.station).collect();
        for (number, guest) in guests.each().enumerate() {
            let from = guest.station;
            if self.setting.host.is_some() {
                checks.check(&format!("{} ↔ host", from.name), || ping(guest, HOST));
            }
            for to in everyone.iter().skip(number + 1) {
                checks.check(&format!("{} ↔ {}", from.name, to.name), || ping(guest, *to));
            }
        }
    }

    fn transfer(self, checks: &mut Checks, guests: &mut Guests) {
        if self.setting.host.is_some() {
            for guest in guests.each() {
                let name = guest.station.name;
                checks.check(&format!("{name} → host, IPv6"), || to_host(guest));
                checks.check(&format!("host → {name}, IPv4"), || from_host(guest));
            }
        }
        let (a, c) = (&mut guests.a, &mut guests.c);
        checks.check("a → c, IPv6", || between(a, c));
        checks.check("c → a, IPv6", || between(c, a));
    }

    fn restart_guest(self, checks: &mut Checks, guests: &mut Guests) {
        let again = || {
            guests.b.kill()?;
            guests.b = self.start_datagram(B)?;
            guests.b.wait_ready()
        };
        if checks.check("b boots on the same paths", again) {
            checks.check("a ↔ b", || ping(&mut guests.a, B));
            checks.check("c ↔ b", || ping(&mut guests.c, B));
            if self.setting.host.is_some() {
                checks.check("b ↔ host", || ping(&mut guests.b, HOST));
            }
        }
    }

    fn restart_switch(self, checks: &mut Checks, guests: &mut Guests) -> Option<Switch> {
        let start = || self.setting.start_switch(PORTS);
        let switch = checks.attempt("the switch is ready again", start)?;
        checks.check("a ↔ b", || ping(&mut guests.a, B));
        if self.setting.host.is_some() {
            checks.check("a ↔ host", || ping(&mut guests.a, HOST));
            checks.check("b ↔ host", || ping(&mut guests.b, HOST));
        }
        if let Some(d) = &mut guests.d {
            checks.check("d (a switch of its own) ↔ a", || ping(d, A));
        }
        checks.leave_out("c (stream)", "its QEMU connects only once; from QEMU 8.0 on: reconnect");
        Some(switch)
    }
}

impl Guests {
    fn each(&mut self) -> impl Iterator<Item = &mut VirtualMachine> {
        [&mut self.a, &mut self.b, &mut self.c].into_iter().chain(&mut self.d)
    }

    fn power_off(mut self) -> Result<&'static str> {
        for guest in self.each() {
            guest.power_off()?;
        }
        Ok("")
    }
}

/// Pings over both families.
fn ping(guest: &mut VirtualMachine, to: Station) -> Result<String> {
    guest.ping(to.ipv6(), PINGS)?;
    guest.ping(to.ipv4(), PINGS)?;
    Ok(format!("{PINGS} of {PINGS}, {PINGS} of {PINGS}"))
}

/// A transfer from the guest to a listener of ours.
fn to_host(guest: &mut VirtualMachine) -> Result<Rate> {
    let address = HOST.ipv6();
    let fail = |error| Failure::new(format!("listen on {address}"), error);
    let listener = TcpListener::bind((address, PORT)).map_err(fail)?;
    let receiver = thread::spawn(move || transfer::receive(&listener, &guest_image::numbers()));
    guest.send(address, PORT)?;
    receiver.join().map_err(|_| Failure::new("receive over TCP", "the receiver panicked"))?
}

/// A transfer from us to the guest.
fn from_host(guest: &mut VirtualMachine) -> Result<Rate> {
    let address = SocketAddr::from((guest.station.ipv4(), PORT));
    guest.listen(PORT)?;
    let rate = transfer::send(transfer::connect(address)?, &guest_image::numbers())?;
    guest.received()?;
    Ok(rate)
}

/// A transfer from one guest to another.
fn between(from: &mut VirtualMachine, to: &mut VirtualMachine) -> Result<Rate> {
    to.listen(PORT)?;
    // It says so before its program has begun; a refused connection would end the sender's.
    thread::sleep(Duration::from_millis(500));
    let started = Instant::now();
    from.send(to.station.ipv6(), PORT)?;
    let took = started.elapsed();
    Ok(Rate { bytes: to.received()?, took })
}
