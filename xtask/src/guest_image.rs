//! `cargo xtask guest-image`: a small real Linux that boots in seconds, to plug into a switch.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::tools;
use crate::workspace::Workspace;

mod cpio;
mod kernel;

/// Makes a Linux guest's kernel and initial file system, and says how to boot it under QEMU.
///
/// The kernel comes out of Debian's `linux-image-cloud-amd64` package, which is downloaded but not
/// installed; the file system is the static busybox and the kernel's virtio modules.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: cargo xtask guest-image")]
pub(crate) struct Arguments {}

/// Makes the image and prints the command lines.
pub(crate) fn main(_arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let image = GuestImage::make(&workspace)?;
    print!("{}", image.how_to_boot());
    match tools::find(QEMU, QEMU_PACKAGE) {
        Ok(_) => Ok(()),
        Err(failure) => Err(Failure::new("boot the guest", failure)),
    }
}

/// The emulator that boots the image.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// The Debian package that brings it.
pub(crate) const QEMU_PACKAGE: &str = "qemu-system-x86";

/// A guest's kernel and its initial file system, both files below cargo's target directory.
#[derive(Debug)]
pub(crate) struct GuestImage {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
}

impl GuestImage {
    /// Brings the kernel if it is not there yet, and packs the file system anew.
    pub(crate) fn make(workspace: &Workspace) -> Result<Self> {
        if std::env::consts::ARCH != "x86_64" {
            let why = format!("written for x86-64, this is {}", std::env::consts::ARCH);
            return Err(Failure::new("make a QEMU guest", why));
        }
        let directory = workspace.scratch("guest")?;
        let kernel = kernel::Kernel::find_or_download(&directory)?;
        let image =
            Self { kernel: directory.join("vmlinuz"), initramfs: directory.join("initramfs.cpio") };
        replace(&image.kernel, &read(&kernel.image)?)?;
        replace(&image.initramfs, &initramfs(&kernel)?)?;
        Ok(image)
    }

    /// QEMU's arguments but for its network card: an emulated machine, which works anywhere, and
    /// says everything on its serial line, which is QEMU's own standard input and output. `words`
    /// go to the guest's init, see the head of `guest_image/init.sh`.
    pub(crate) fn machine_arguments(&self, words: &str) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let arguments = [
            &["-accel", "tcg", "-m", "128", "-no-reboot", "-nodefaults"],
            &["-display", "none", "-serial", "stdio", "-monitor", "none"][..],
        ];
        let mut arguments: Vec<String> = arguments.concat().iter().map(|&a| a.into()).collect();
        arguments.extend(["-kernel".into(), path(&self.kernel)]);
        arguments.extend(["-initrd".into(), path(&self.initramfs)]);
        arguments.extend(["-append".into(), format!("{KERNEL_WORDS} {words}")]);
        arguments
    }

    /// A switch and a guest at each kind of port, as commands for terminals of their own.
    fn how_to_boot(&self) -> String {
        let guest = |number: u8, netdev: &str| {
            let words = format!("address=192.0.2.1{number}/24 address=fd00::1{number}/64");
            let quoted = self.machine_arguments(&words).into_iter().map(|argument| {
                if argument.contains(' ') { format!("'{argument}'") } else { argument }
            });
            let machine = quoted.collect::<Vec<_>>().join(" ");
            let card = format!("virtio-net-pci,netdev=n,mac=52:54:00:00:00:0{number}");
            format!("  {QEMU} {machine} -netdev {netdev} -device {card}\n")
        };
        let datagram = |number: u8| {
            let netdev = format!(
                "dgram,id=n,local.type=unix,local.path=/tmp/qemu{number}.sock,\
                 remote.type=unix,remote.path=/tmp/vm{number}.sock"
            );
            guest(number, &netdev)
        };
        let stream = "stream,id=n,server=off,addr.type=unix,addr.path=/tmp/vm3.sock";
        [
            "A switch with three ports (with sudo, --uplink bridge:br0 joins the host's bridge):\n",
            "  vswitch run --uplink none --port vm1=unixgram:/tmp/vm1.sock \\\n",
            "    --port vm2=unixgram:/tmp/vm2.sock --port vm3=stream:/tmp/vm3.sock\n",
            "\nA guest at each of them, with a shell on its terminal; two by datagrams:\n",
            &datagram(1),
            &datagram(2),
            "one by a stream:\n",
            &guest(3, stream),
            "\nOne whose card is a descriptor that `vswitch exec` gives it:\n",
            "  vswitch exec --uplink none -- \\\n  ",
            &guest(4, "dgram,id=n,local.type=fd,local.str=3"),
            "\nIn a guest: ping 192.0.2.12, ping fd00::12, poweroff -f\n",
        ]
        .concat()
    }
}

/// The file `/numbers` in every guest, which it sends and expects over TCP.
pub(crate) fn numbers() -> Vec<u8> {
    const LINES: u32 = 1_000_000; // 6.9 MB
    (1..=LINES).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

/// What the kernel itself is told: its console, few words, and to stop at once when it panics.
const KERNEL_WORDS: &str = "console=ttyS0 quiet panic=-1";

/// The guest's file system: busybox, init, and the modules in the order in which init loads them.
fn initramfs(kernel: &kernel::Kernel) -> Result<Vec<u8>> {
    let busybox = static_busybox()?;
    let mut archive = cpio::Writer::default();
    for directory in ["bin", "dev", "etc", "modules", "proc", "sys", "tmp"] {
        archive.directory(directory);
    }
    archive.character_device("dev/console", 5, 1);
    archive.file("bin/busybox", 0o755, &busybox);
    archive.file("init", 0o755, include_bytes!("guest_image/init.sh"));
    archive.file("numbers", 0o644, &numbers());
    for (number, module) in kernel.modules.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("modules/{number:02}-{name}"), 0o644, &read(module)?);
    }
    Ok(archive.finish())
}

fn static_busybox() -> Result<Vec<u8>> {
    const PACKAGE: &str = "busybox-static";
    let path = tools::find("busybox", PACKAGE)?;
    let bytes = read(&path)?;
    if has_interpreter(&bytes) {
        let why = format!("needs libraries, a guest has none (sudo apt-get install {PACKAGE})");
        return Err(Failure::new(format!("use {}", path.display()), why));
    }
    Ok(bytes)
}

/// Whether an ELF64 little-endian program asks for a dynamic linker (elf(5): `PT_INTERP`).
fn has_interpreter(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let half = |at: usize| {
        let bytes = elf.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(bytes)))
    };
    let table = elf.get(32..40).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let table = table.and_then(|table| usize::try_from(table).ok());
    let (Some(table), Some(size), Some(count)) = (table, half(54), half(56)) else { return false };
    (0..count).any(|entry| {
        let kind = table.checked_add(entry * size).and_then(|at| elf.get(at..)?.get(..4));
        kind == Some(&PT_INTERP.to_le_bytes())
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::new(format!("read {}", path.display()), error))
}

/// Writes a file so that another run of this task never sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&fresh, bytes)
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| Failure::new(format!("write {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF64 head with one program header of this kind.
    fn elf(kind: u32) -> Vec<u8> {
        let mut elf = vec![0; 64];
        elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
        elf[54..56].copy_from_slice(&56_u16.to_le_bytes());
        elf[56..58].copy_from_slice(&1_u16.to_le_bytes());
        elf.extend(kind.to_le_bytes());
        elf
    }

    #[test]
    fn a_program_with_a_dynamic_linker_is_told_apart() {
        assert!(has_interpreter(&elf(3)));
        assert!(!has_interpreter(&elf(1)));
        assert!(!has_interpreter(b"#!/bin/sh"));
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(has_interpreter(&own) || cfg!(target_feature = "crt-static"));
    }
}
