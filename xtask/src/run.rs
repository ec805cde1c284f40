//! `cargo xtask run`: the main job on real input, as a table that a person can read.

use crate::failure::{Failure, Result};
use crate::guest_image::GuestImage;
use crate::namespace;
use crate::workspace::Workspace;

mod built_in;
mod checks;
mod counters;
mod host;
mod network;

mod process;
mod qemu;
mod setting;
mod switch;
mod transfer;
mod virtual_machine;

use host::Host;
use setting::Setting;

/// Starts the real switch between guests and a bridge, and checks that everything arrives.
///
/// Works without root: in a user and network namespace of its own it makes a bridge with
/// addresses, starts the program `vswitch` on it, plugs guests in, and looks at what they can do.
/// Nothing outside the namespace is touched.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: cargo xtask run --guests qemu")]
pub(crate) struct Arguments {
    /// Who is plugged in
    #[arg(long, value_enum, default_value = "built-in")]
    guests: Guests,
    /// Build the switch with optimisation
    #[arg(long)]
    release: bool,
}

/// Who is plugged in.
#[derive(clap::ValueEnum, Debug, Clone, Copy)]
enum Guests {
    /// Guests without a virtual machine: user-space TCP/IP stacks
    BuiltIn,
    /// Real Linux guests under QEMU
    Qemu,
}

/// Builds first, as the caller; then enters a namespace and runs the checks. Fails if one failed.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let program = workspace.build_program("vswitch-cli", "vswitch", arguments.release)?;
    let image = match arguments.guests {
        Guests::BuiltIn => None,
        Guests::Qemu => Some(GuestImage::make(&workspace)?),
    };
    let directory = tempfile::Builder::new()
        .prefix("vsw")
        .tempdir()
        .map_err(|error| Failure::new("make a directory for sockets", error))?;
    // Nothing has started a thread so far, as entering a namespace demands.
    let host = match namespace::available() {
        Ok(()) => {
            namespace::enter()?;
            Some(Host::prepare()?)
        }
        Err(why) => {
            println!("No network of its own here: {why}\nOnly traffic between guests is checked.");
            None
        }
    };
    let setting = Setting { program, directory, host };
    match image {
        None => built_in::run(&setting),
        Some(image) => qemu::run(&setting, &image),
    }
}
