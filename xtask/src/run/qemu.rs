//! The main job with real Linux guests under QEMU, each attached in another way.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::host::{self, BRIDGE, Host};

use super::switch::{Switch, socket};
use super::transfer::{self, Rate};
use super::virtual_machine::{Attachment, Identity, VirtualMachine};
use super::{Checks, Setting};
use crate::failure::{Failure, Result};
use crate::guest_image::{self, GuestImage};

/// Two guests on datagram paths, one on a stream, one on a descriptor from `vswitch exec`.
const A: Identity = identity("a", "192.0.2.10", "2001:db8::a", "52:54:00:00:00:0a");
const B: Identity = identity("b", "192.0.2.11", "2001:db8::b", "52:54:00:00:00:0b");
const C: Identity = identity("c", "192.0.2.12", "2001:db8::c", "52:54:00:00:00:0c");
const D: Identity = identity("d", "192.0.2.13", "2001:db8::d", "52:54:00:00:00:0d");

/// Pings of one check.
const PINGS: u32 = 5;

/// The port of TCP transfers.
const PORT: u16 = 5001;

/// Runs every check and prints the table.
pub(super) fn run(setting: &Setting, image: &GuestImage) -> Result<()> {
    let mut checks = Checks::begin("vswitch with Linux guests under QEMU");
    let scenario = Scenario { setting, image };
    scenario.run(&mut checks);
    checks.end()
}

#[derive(Debug, Clone, Copy)]
struct Scenario<'a> {
    setting: &'a Setting,
    image: &'a GuestImage,
}

/// The guests that run; `d` only where there is a host's bridge to meet the others.
struct Guests {
    a: VirtualMachine,
    b: VirtualMachine,
    c: VirtualMachine,
    d: Option<VirtualMachine>,
}

impl Scenario<'_> {
    fn run(self, checks: &mut Checks) {
        let before = self.interfaces();
        checks.section("Start");
        let start = || self.start_switch().map(|switch| (switch.summary(), switch));
        let Some(switch) = checks.attempt("the switch is ready", start) else { return };
        let boot = || self.boot();
        let Some(mut guests) = checks.attempt("the guests have booted", boot) else { return };

        checks.section("Address resolution and ping, each over IPv6 and IPv4");
        self.ping_everyone(checks, &mut guests);
        checks.section("TCP");
        self.transfer(checks, &mut guests);
        checks.section("Guest b is killed and started again");
        self.restart_guest(checks, &mut guests);
        checks.section("The switch is killed (-9) and started again under running guests");
        let switch = self.restart_switch(checks, switch, &mut guests);
        checks.section("End");
        checks.check("the guests power off", || guests.power_off());
        if let Some(switch) = switch {
            self.stop(checks, switch, &before);
        }
    }

    fn start_switch(self) -> Result<Switch> {
        let port = |name: &str, kind: &str| {
            format!("{name}={kind}:{}", socket(self.directory(), name).display())
        };
        let ports = [port("a", "unixgram"), port("b", "unixgram"), port("c", "stream")];
        let switch = Switch::start(&self.setting.program, &self.uplink(), &ports)?;
        self.setting.host.as_ref().map_or(Ok(()), Host::wait_for_addresses)?;
        Ok(switch)
    }

    fn uplink(self) -> String {
        self.setting.host.as_ref().map_or("none".to_owned(), |_| format!("bridge:{BRIDGE}"))
    }

    fn directory(&self) -> &Path {
        self.setting.directory.path()
    }

    /// Starts all guests at once and waits for all.
    fn boot(self) -> Result<(String, Guests)> {
        let port = socket(self.directory(), "c").display().to_string();
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

    fn start_datagram(self, identity: Identity) -> Result<VirtualMachine> {
        let path = |name: &str| socket(self.directory(), name).display().to_string();
        let own = path(&format!("{}-vm", identity.name));
        let attachment = Attachment::Datagram { own, port: path(identity.name) };
        VirtualMachine::start(self.image, identity, &attachment, None)
    }

    /// A guest whose card is a descriptor of a switch of its own on the same bridge.
    fn start_inherited(self) -> Result<VirtualMachine> {
        let mut exec = Command::new(&self.setting.program);
        exec.args(["exec", "--uplink", &self.uplink(), "--"]);
        VirtualMachine::start(self.image, D, &Attachment::Descriptor(3), Some(exec))
    }

    fn ping_everyone(self, checks: &mut Checks, guests: &mut Guests) {
        let everyone: Vec<Identity> = guests.each().map(|guest| guest.identity).collect();
        for (number, guest) in guests.each().enumerate() {
            let from = guest.identity;
            if self.setting.host.is_some() {
                checks.check(&format!("{} ↔ host", from.name), || ping_host(guest));
            }
            for to in everyone.iter().skip(number + 1) {
                checks.check(&format!("{} ↔ {}", from.name, to.name), || ping_guest(guest, to));
            }
        }
    }

    fn transfer(self, checks: &mut Checks, guests: &mut Guests) {
        if self.setting.host.is_some() {
            for guest in guests.each() {
                let name = guest.identity.name;
                checks.check(&format!("{name} → host, IPv6"), || to_host(guest, host::IPV6));
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
            checks.check("a ↔ b", || ping_guest(&mut guests.a, &B));
            checks.check("c ↔ b", || ping_guest(&mut guests.c, &B));
            if self.setting.host.is_some() {
                checks.check("b ↔ host", || ping_host(&mut guests.b));
            }
        }
    }

    fn restart_switch(
        self,
        checks: &mut Checks,
        switch: Switch,
        guests: &mut Guests,
    ) -> Option<Switch> {
        let again = || {
            switch.kill()?;
            let switch = self.start_switch()?;
            Ok((switch.summary(), switch))
        };
        let switch = checks.attempt("the switch is ready again", again)?;
        checks.check("a ↔ b", || ping_guest(&mut guests.a, &B));
        if self.setting.host.is_some() {
            checks.check("a ↔ host", || ping_host(&mut guests.a));
            checks.check("b ↔ host", || ping_host(&mut guests.b));
        }
        if let Some(d) = &mut guests.d {
            checks.check("d (a switch of its own) ↔ a", || ping_guest(d, &A));
        }
        checks.leave_out("c (stream)", "its QEMU connects only once; from QEMU 8.0 on: reconnect");
        Some(switch)
    }

    fn stop(self, checks: &mut Checks, switch: Switch, before: &Result<Vec<String>>) {
        let mut counters = Vec::new();
        checks.check("the switch stops at SIGTERM", || {
            counters = switch.stop()?;
            Ok("")
        });
        for line in &counters {
            println!("         {line}");
        }
        checks.check("interfaces are as before", || match (before, self.interfaces()) {
            (Ok(before), Ok(after)) if *before == after => Ok(after.join(", ")),
            (before, after) => {
                Err(Failure::new("compare", format!("before {before:?}, after {after:?}")))
            }
        });
        checks.check("sockets are gone", || super::switch::no_socket_of(self.directory(), "abc"));
    }

    fn interfaces(self) -> Result<Vec<String>> {
        self.setting.host.as_ref().map_or(Ok(Vec::new()), Host::interfaces)
    }
}

impl Guests {
    fn each(&mut self) -> impl Iterator<Item = &mut VirtualMachine> {
        [&mut self.a, &mut self.b, &mut self.c].into_iter().chain(&mut self.d)
    }

    fn power_off(mut self) -> Result<String> {
        let started = Instant::now();
        for guest in self.each() {
            guest.power_off()?;
        }
        Ok(format!("{:.1} s", started.elapsed().as_secs_f64()))
    }
}

const fn identity(
    name: &'static str,
    ipv4: &'static str,
    ipv6: &'static str,
    mac: &'static str,
) -> Identity {
    Identity { name, ipv4, ipv6, mac }
}

fn ping_host(guest: &mut VirtualMachine) -> Result<String> {
    ping_both(guest, host::IPV6, host::IPV4)
}

fn ping_guest(guest: &mut VirtualMachine, to: &Identity) -> Result<String> {
    ping_both(guest, to.ipv6, to.ipv4)
}

fn ping_both(guest: &mut VirtualMachine, ipv6: &str, ipv4: &str) -> Result<String> {
    guest.ping(ipv6, PINGS)?;
    guest.ping(ipv4, PINGS)?;
    Ok(format!("{PINGS} of {PINGS}, {PINGS} of {PINGS}"))
}

/// A transfer from the guest to a listener of ours.
fn to_host(guest: &mut VirtualMachine, address: &str) -> Result<Rate> {
    let fail = |error| Failure::new(format!("listen on {address}"), error);
    let listener = TcpListener::bind((address, PORT)).map_err(fail)?;
    let receiver = thread::spawn(move || transfer::receive(&listener, &guest_image::numbers()));
    guest.send(address, PORT)?;
    receiver.join().map_err(|_| Failure::new("receive over TCP", "the receiver panicked"))?
}

/// A transfer from us to the guest.
fn from_host(guest: &mut VirtualMachine) -> Result<Rate> {
    let address: SocketAddr = format!("{}:{PORT}", guest.identity.ipv4)
        .parse()
        .map_err(|error| Failure::new(guest.identity.ipv4, error))?;
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
    from.send(to.identity.ipv6, PORT)?;
    let took = started.elapsed();
    Ok(Rate { bytes: to.received()?, took })
}
