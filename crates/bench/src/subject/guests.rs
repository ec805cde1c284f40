//! Two Linux guests under QEMU, and TCP between them. `cargo xtask guest-image` makes their image;
//! its init takes commands on the serial line (`xtask/src/guest_image/init.sh`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::system::process::Process;
use crate::system::program;

const QEMU: &str = "qemu-system-x86_64";

/// A guest's kernel and its initial file system.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
}

/// By what a guest's card is joined to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Card {
    /// A unix stream with a length before each frame (`-netdev stream`).
    Stream,
    /// Unix datagrams (`-netdev dgram`).
    Datagrams,
}

impl Card {
    /// QEMU's words for one that goes to the socket `to`; datagrams come back to `own`.
    pub(super) fn to(self, own: &Path, to: &Path) -> String {
        let (own, to) = (own.display(), to.display());
        match self {
            Self::Stream => format!("stream,id=n,server=off,addr.type=unix,addr.path={to}"),
            Self::Datagrams => format!(
                "dgram,id=n,local.type=unix,local.path={own},remote.type=unix,remote.path={to}"
            ),
        }
    }

    /// The same for one that waits for another guest's stream.
    pub(super) fn listening(own: &Path) -> String {
        format!("stream,id=n,server=on,addr.type=unix,addr.path={}", own.display())
    }
}

/// Both, booted.
#[derive(Debug)]
pub(crate) struct Guests {
    sender: Process,
    receiver: Process,
}

/// A guest that has not done its work by then is ended, so that a run fails and does not hang.
const LIFE_MAX_S: &str = "120";

/// Where the receiver is. It says that it listens just before it does.
const RECEIVER: &str = "192.0.2.12";
const PORT: u16 = 5001;
const LISTENS_AFTER: Duration = Duration::from_millis(500);

impl Guests {
    /// Boots both, with such cards; the receiver, whose card is the second, first.
    pub(super) fn boot(image: Option<&Image>, cards: [String; 2]) -> Result<Self> {
        let why = "no image (see --guest-kernel; `cargo xtask bench` makes it)";
        let image = image.ok_or_else(|| Failure::new("boot guests", why))?;
        let [sender, receiver] = cards;
        let mut receiver = boot(image, RECEIVER, &receiver)?;
        // Its sockets are there before it boots; nobody says when.
        thread::sleep(Duration::from_millis(300));
        let mut sender = boot(image, "192.0.2.11", &sender)?;
        receiver.wait_for("@ ready ")?;
        sender.wait_for("@ ready ")?;
        Ok(Self { sender, receiver })
    }

    /// Sends so many MiB from one to the other; how long that took, until the connection's end.
    pub(crate) fn transfer(&mut self, mebibytes: u32) -> Result<Duration> {
        self.receiver.tell(&format!("drain {PORT}"))?;
        self.receiver.wait_for("@ draining ")?;
        thread::sleep(LISTENS_AFTER);
        let started = Instant::now();
        self.sender.tell(&format!("pour {RECEIVER} {PORT} {mebibytes}"))?;
        let sent = self.sender.wait_for("@ pour ")?;
        let took = started.elapsed();
        if !sent.trim_end().ends_with(" status=0") {
            return Err(Failure::new("send between guests", sent.trim()));
        }
        let received = self.receiver.wait_for("@ drain ")?;
        // In blocks of 64 KiB, none of them cut.
        let whole = format!(" blocks={}+0", 16 * mebibytes);
        if !received.trim_end().ends_with(&whole) {
            return Err(Failure::new("receive between guests", received.trim()));
        }
        Ok(took)
    }
}

/// An emulated machine, which works anywhere; its serial line is QEMU's own input and output.
fn boot(image: &Image, address: &str, card: &str) -> Result<Process> {
    let find = |name| {
        program::find(name).ok_or_else(|| Failure::new("boot a guest", format!("no {name}")))
    };
    let last = address.rsplit('.').next().unwrap_or_default();
    let mut command = Command::new(find("timeout")?);
    command.arg(LIFE_MAX_S).arg(find(QEMU)?);
    command.args(["-accel", "tcg", "-m", "128", "-no-reboot", "-nodefaults"]);
    command.args(["-display", "none", "-serial", "stdio", "-monitor", "none"]);
    command.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.initramfs);
    let words = format!("name=g{last} address={address}/24 then=agent");
    command.args(["-append", &format!("console=ttyS0 quiet panic=-1 {words}")]);
    let device = format!("virtio-net-pci,netdev=n,mac=52:54:00:00:00:{last}");
    command.args(["-netdev", card, "-device", &device]);
    Process::start(&mut command)
}
