//! A real Linux guest under QEMU that takes commands on its serial line.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use probe::MacAddress;

use super::network::Station;
use super::process::Process;
use crate::failure::{Failure, Result};
use crate::guest_image::{GuestImage, QEMU, QEMU_PACKAGE};
use crate::tools;

/// A running guest; its virtual machine is killed when dropped.
#[derive(Debug)]
pub(super) struct VirtualMachine {
    pub(super) station: Station,
    process: Process,
}

/// How the guest's card is attached: QEMU's `-netdev` without its `id`.
#[derive(Debug, Clone)]
pub(super) enum Attachment {
    /// QEMU binds `own` and sends to the switch's port.
    Datagram { own: String, port: String },
    /// QEMU connects to the switch's port.
    Stream { port: String },
    /// A descriptor that QEMU inherits.
    Descriptor(u32),
}

/// An emulated machine boots in about six seconds when it has a core; several share two here.
const BOOT_MAX: Duration = Duration::from_secs(60);

/// The longest that a guest's answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(40);

impl VirtualMachine {
    /// Starts QEMU through `wrapper`'s arguments, if any (a program that gives it its card).
    pub(super) fn start(
        image: &GuestImage,
        station: Station,
        attachment: &Attachment,
        wrapper: Option<Command>,
    ) -> Result<Self> {
        let qemu = tools::find(QEMU, QEMU_PACKAGE)?;
        let mut command = match wrapper {
            Some(mut wrapper) => {
                wrapper.arg(qemu);
                wrapper
            }
            None => Command::new(qemu),
        };
        command.args(image.machine_arguments(&words(station)));
        command.args(["-netdev", &attachment.netdev()]);
        let device = format!("virtio-net-pci,netdev=n,mac={}", MacAddress(station.mac()));
        command.args(["-device", &device]);
        let process = Process::start(&format!("guest {}", station.name), command)?;
        Ok(Self { station, process })
    }

    /// Waits until it has booted and its addresses may be used; says its seconds since power on.
    pub(super) fn wait_ready(&self) -> Result<String> {
        let words = self.answer("ready ", BOOT_MAX)?;
        let seconds = words.split_whitespace().nth(1);
        seconds.map(str::to_owned).ok_or_else(|| Failure::new("boot a guest", words))
    }

    /// Pings `count` times and demands every answer.
    pub(super) fn ping(&mut self, address: impl Into<IpAddr>, count: u32) -> Result<()> {
        let address = address.into();
        self.process.tell(&format!("ping {address} {count}"))?;
        let answer = self.answer(&format!("ping {address} "), ANSWER_MAX)?;
        if answer == format!("sent={count} received={count}") {
            return Ok(());
        }
        Err(Failure::new(format!("{} pings {address}", self.station.name), answer))
    }

    /// Sends the image's numbers to a TCP port, and waits until the other end has closed.
    pub(super) fn send(&mut self, address: impl Into<IpAddr>, port: u16) -> Result<()> {
        let address = address.into();
        self.process.tell(&format!("send {address} {port}"))?;
        let answer = self.answer(&format!("send {address} "), ANSWER_MAX)?;
        match answer.as_str() {
            "status=0" => Ok(()),
            _ => Err(Failure::new(format!("{} sends to {address}", self.station.name), answer)),
        }
    }

    /// Begins to take one TCP connection that brings the image's numbers.
    pub(super) fn listen(&mut self, port: u16) -> Result<()> {
        self.process.tell(&format!("receive {port}"))?;
        self.answer("listening ", ANSWER_MAX).map(drop)
    }

    /// Waits for what [`Self::listen`] has begun: how many bytes came, if all of them were right.
    pub(super) fn received(&mut self) -> Result<usize> {
        let answer = self.answer("receive ", ANSWER_MAX)?;
        let bytes = answer
            .strip_suffix(" whole=yes")
            .and_then(|rest| rest.split_once("bytes=")?.1.parse().ok());
        bytes.ok_or_else(|| Failure::new(format!("{} receives", self.station.name), answer))
    }

    /// The next line meant for us must be this answer; whatever else the guest says is trouble.
    fn answer(&self, beginning: &str, limit: Duration) -> Result<String> {
        let line = self.process.expect("@ ", limit)?;
        match line.strip_prefix(beginning) {
            Some(rest) => Ok(rest.to_owned()),
            None => Err(Failure::new(format!("guest {}", self.station.name), line)),
        }
    }

    /// Takes its power away.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.process.stop(Signal::SIGKILL).map(drop)
    }

    /// Switches the machine off from inside, and waits for QEMU's end.
    pub(super) fn power_off(&mut self) -> Result<()> {
        self.process.tell("poweroff")?;
        let status = self.process.wait(ANSWER_MAX)?;
        match status.success() {
            true => Ok(()),
            false => Err(Failure::new(format!("stop guest {}", self.station.name), status)),
        }
    }
}

/// What the guest's init is told, see `guest_image/init.sh`.
fn words(station: Station) -> String {
    let address = |(address, bits)| format!("address={address}/{bits}");
    let [ipv4, ipv6] = station.addresses().map(address);
    format!("name={} {ipv4} {ipv6} then=agent", station.name)
}

impl Attachment {
    fn netdev(&self) -> String {
        match self {
            Self::Datagram { own, port } => format!(
                "dgram,id=n,local.type=unix,local.path={own},remote.type=unix,remote.path={port}"
            ),
            Self::Stream { port } => {
                format!("stream,id=n,server=off,addr.type=unix,addr.path={port}")
            }
            Self::Descriptor(number) => format!("dgram,id=n,local.type=fd,local.str={number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attachment_has_its_words() {
        let datagram = Attachment::Datagram { own: "/t/a".into(), port: "/t/b".into() };
        assert!(datagram.netdev().ends_with("local.path=/t/a,remote.type=unix,remote.path=/t/b"));
        let stream = Attachment::Stream { port: "/t/b".into() };
        assert_eq!(stream.netdev(), "stream,id=n,server=off,addr.type=unix,addr.path=/t/b");
        assert!(Attachment::Descriptor(3).netdev().ends_with("local.str=3"));
    }
}
