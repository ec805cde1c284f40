//! `cargo xtask bench`: the switch beside its limits and its peers.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::guest_image::{GuestImage, QEMU, QEMU_PACKAGE};
use crate::tools;
use crate::workspace::Workspace;

/// Measures the switch beside bare relays and its peers, in interleaved rounds.
///
/// Builds with optimisation; installs nothing: a peer that is not there is named and left out. What
/// it prints is also left in `target/xtask/bench`, with each round's figures as JSON and the ratios
/// as an SVG. Every other option goes to the bench: `cargo xtask bench -- --help` tells them.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples: cargo xtask bench --quick; \
                        cargo xtask bench -- --only streams --rounds 5")]
pub(crate) struct Arguments {
    /// A few cases, three short rounds each: under two minutes
    #[arg(long)]
    quick: bool,
    /// Put the tables and the picture into docs/performance.md
    #[arg(long)]
    record: bool,
    /// Options of the bench
    #[arg(last = true)]
    options: Vec<OsString>,
}

/// Where `docs/performance.md` ends to be written by hand.
const MARK: &str = "<!-- From here on written by `cargo xtask bench --record`. -->";

/// Fails if nothing could be measured; a target that is missed is said, and is no failure: time
/// depends on the machine.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let vswitch = workspace.build_program("vswitch-cli", "vswitch", true)?;
    let bench = workspace.build_program("vswitch-bench", "vswitch-bench", true)?;
    let left = workspace.scratch("xtask/bench")?;
    let [json, svg, markdown] =
        ["results.json", "ratios.svg", "results.md"].map(|name| left.join(name));
    let mut command = Command::new(bench);
    command.arg("--vswitch").arg(vswitch);
    command.arg("--json").arg(&json).arg("--svg").arg(&svg).arg("--markdown").arg(&markdown);
    if !arguments.quick {
        command.args(guest_options(&workspace));
    }
    command.args(arguments.quick.then_some("--quick")).args(&arguments.options);
    let status = command.status().map_err(|error| Failure::new("start the bench", error))?;
    if !status.success() {
        return Err(Failure::new("bench", status));
    }
    if arguments.record {
        record(&workspace.root, arguments, &markdown, &svg)?;
    }
    Ok(())
}

/// The image of QEMU's guests, where QEMU is; what cannot be made is said, and left out.
fn guest_options(workspace: &Workspace) -> Vec<OsString> {
    let image = tools::find(QEMU, QEMU_PACKAGE).and_then(|_| GuestImage::make(workspace));
    match image {
        Ok(GuestImage { kernel, initramfs }) => {
            ["--guest-kernel".into(), kernel.into(), "--guest-initrd".into(), initramfs.into()]
                .into()
        }
        Err(failure) => {
            eprintln!("bench: nothing between QEMU guests: {failure}");
            Vec::new()
        }
    }
}

/// Replaces what the page says was measured.
fn record(root: &Path, arguments: &Arguments, markdown: &Path, svg: &Path) -> Result<()> {
    let page = root.join("docs/performance.md");
    let text = read(&page)?;
    let (by_hand, _) = text
        .split_once(MARK)
        .ok_or_else(|| Failure::new(format!("record in {}", page.display()), "no mark in it"))?;
    let whole = format!("{by_hand}{MARK}\n\n{}{}", preamble(arguments), read(markdown)?);
    write(&page, &whole)?;
    write(&root.join("docs/performance.svg"), &read(svg)?)
}

/// What stands before the tables: the picture, and the command that made both.
fn preamble(arguments: &Arguments) -> String {
    let mut command = "cargo xtask bench --record".to_owned();
    if arguments.quick {
        command += " --quick";
    }
    if !arguments.options.is_empty() {
        command += " --";
    }
    for option in &arguments.options {
        command = format!("{command} {}", option.to_string_lossy());
    }
    format!(
        "## What was measured last\n\n\
         ![Median ratios with their intervals and bounds](performance.svg)\n\n\
         By `{command}`.\n"
    )
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Failure::new(named("read", path), error))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Failure::new(named("write", path), error))
}

fn named(call: &str, path: &Path) -> String {
    format!("{call} {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_replaces_only_what_was_measured_before() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("docs")).unwrap();
        fs::write(path("docs/performance.md"), format!("by hand\n{MARK}\nold\n")).unwrap();
        fs::write(path("new.md"), "new\n").unwrap();
        fs::write(path("new.svg"), "<svg/>").unwrap();
        let options = ["--rounds", "30"].map(OsString::from).to_vec();
        let arguments = Arguments { quick: false, record: true, options };
        record(root.path(), &arguments, &path("new.md"), &path("new.svg")).unwrap();
        let page = fs::read_to_string(path("docs/performance.md")).unwrap();
        assert!(page.starts_with(&format!("by hand\n{MARK}\n\n## What was measured last\n")));
        assert!(page.contains("`cargo xtask bench --record -- --rounds 30`.\nnew\n"), "{page}");
        assert!(!page.contains("old"));
        assert_eq!(fs::read_to_string(path("docs/performance.svg")).unwrap(), "<svg/>");
        fs::write(path("docs/performance.md"), "no mark").unwrap();
        assert!(record(root.path(), &arguments, &path("new.md"), &path("new.svg")).is_err());
    }
}
