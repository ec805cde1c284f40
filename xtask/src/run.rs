//! `cargo xtask run`: the main job on real input, as a table that a person can read.

use xnu_sim::MacOs;

use crate::failure::{Failure, Result};
use crate::guest_image::GuestImage;
use crate::workspace::Workspace;

mod built_in;
mod checks;
mod counters;
mod host;
mod network;
#[cfg(target_os = "linux")]
mod operations;
pub(crate) mod process;
mod qemu;
mod setting;
mod simulated;
#[cfg(target_os = "linux")]
mod steady;
mod switch;
mod transfer;
mod virtual_machine;

use host::Host;
use setting::Setting;

/// Starts the real switch between guests and a bridge, and checks that everything arrives.
///
/// On Linux it works without root: in a user and network namespace of its own it makes a bridge
/// with addresses, starts the program `vswitch` on it, plugs guests in, and looks at what they can
/// do. Nothing outside the namespace is touched. On a Mac the same is done as root, on a bridge of
/// its own; without root, and with `--kernel sim` everywhere, the macOS switch runs on a simulated
/// XNU in virtual time.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples: cargo xtask run --guests qemu; cargo xtask run --operate; \
                  cargo xtask run --kernel sim")]
pub(crate) struct Arguments {
    /// Whose kernel the switch runs on [default: this machine's, where it may]
    #[arg(long, value_enum)]
    kernel: Option<Kernel>,
    /// The macOS that is simulated: 12, 13, 14.0, 14.4 or 15
    #[arg(long, value_name = "VERSION", default_value = "15")]
    macos: MacOs,
    /// What everything random in the simulation follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Who is plugged in
    #[arg(long, value_enum, default_value = "built-in")]
    guests: Guests,
    /// Change the switch (ports, a link, the configuration, its bridge) while guests under QEMU use
    /// it
    #[arg(long)]
    operate: bool,
    /// Build the switch with optimisation
    #[arg(long)]
    release: bool,
}

/// Whose kernel the switch runs on.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// This machine's
    Host,
    /// A simulated XNU
    Sim,
}

/// Who is plugged in.
#[derive(clap::ValueEnum, Debug, Clone, Copy)]
enum Guests {
    /// Guests without a virtual machine: user-space TCP/IP stacks
    BuiltIn,
    /// Real Linux guests under QEMU
    Qemu,
}

/// The kernel that was asked for, or this machine's; on a Mac only root can use that.
fn kernel(asked: Option<Kernel>) -> Kernel {
    match asked {
        Some(kernel) => kernel,
        None if cfg!(target_os = "macos") && !nix::unistd::Uid::effective().is_root() => {
            println!("Without root this Mac's own kernel cannot be used: a simulated one is.\n");
            Kernel::Sim
        }
        None => Kernel::Host,
    }
}

/// Builds first, as the caller; then makes the host's network and runs the checks. Fails if one
/// failed.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    if kernel(arguments.kernel) == Kernel::Sim {
        return simulated::run(arguments.macos, arguments.seed);
    }
    if cfg!(target_os = "macos") && (arguments.operate || matches!(arguments.guests, Guests::Qemu))
    {
        let why = "they are Linux guests in a namespace of Linux; use --guests built-in";
        return Err(Failure::new("run QEMU guests on a Mac", why));
    }
    let workspace = Workspace::load()?;
    let program = workspace.build_program("vswitch-cli", "vswitch", arguments.release)?;
    let has_image = arguments.operate || matches!(arguments.guests, Guests::Qemu);
    let image = has_image.then(|| GuestImage::make(&workspace)).transpose()?;
    let directory = tempfile::Builder::new()
        .prefix("vsw")
        .tempdir()
        .map_err(|error| Failure::new("make a directory for sockets", error))?;
    // Nothing has started a thread so far, as the host demands.
    let host = Host::prepare()?;
    let setting = Setting { program, directory, host };
    let outcome = match image {
        None => built_in::run(&setting),
        #[cfg(target_os = "linux")]
        Some(image) if arguments.operate => operations::run(&setting, &image),
        Some(image) => qemu::run(&setting, &image),
    };
    // Also when a check failed.
    let taken_away = setting.host.map_or(Ok(()), Host::take_away);
    outcome.and(taken_away)
}
