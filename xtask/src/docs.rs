//! `cargo xtask docs`: the pages that are made out of the code.

use std::fs;

use vswitch::counters::DropReason;

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

mod api;
mod configuration;

/// Writes docs/openapi.json, docs/reference-api.md and docs/reference-configuration.md out of the
/// code that serves and reads those things, and checks that docs/operate.md has every counter.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Write nothing, and fail if a page is not as it would be written
    #[arg(long)]
    check: bool,
}

/// Fails if a page is not as it should be and was not to be written.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let description = serde_json::to_value(vswitchd::api::openapi())
        .map_err(|error| Failure::new("write the API's description", error))?;
    let openapi = serde_json::to_string_pretty(&description)
        .map_err(|error| Failure::new("write the API's description", error))?;
    let pages = [
        ("docs/openapi.json", openapi + "\n"),
        ("docs/reference-api.md", api::page(&description)?),
        ("docs/reference-configuration.md", configuration::page()?),
    ];
    let mut stale = Vec::new();
    for (name, text) in pages {
        let path = workspace.root.join(name);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        if arguments.check {
            stale.push(name);
            continue;
        }
        let failed = |error| Failure::new(format!("write {}", path.display()), error);
        fs::write(&path, text).map_err(failed)?;
        println!("docs: wrote {name}");
    }
    if !stale.is_empty() {
        let names = stale.join(", ");
        return Err(Failure::found(format!(
            "docs: not as the code has it: {names} (cargo xtask docs)"
        )));
    }
    check_counters(&workspace, &description)?;
    println!("docs: as the code has it");
    Ok(())
}

/// A counter or a reason that no page explains is one that nobody can use.
fn check_counters(workspace: &Workspace, description: &serde_json::Value) -> Result<()> {
    const PAGE: &str = "docs/operate.md";
    let path = workspace.root.join(PAGE);
    let text =
        fs::read_to_string(&path).map_err(|error| Failure::new(format!("read {PAGE}"), error))?;
    let counters = description.pointer("/components/schemas/PortSummary/properties");
    let counters = counters.and_then(serde_json::Value::as_object).into_iter();
    let counters = counters.flat_map(|of| of.keys().map(String::as_str));
    let reasons = DropReason::ALL.iter().map(|reason| reason.name());
    let is_missing = |name: &&str| !text.contains(&format!("`{name}`"));
    let missing: Vec<&str> = counters.chain(reasons).filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::found(format!("docs: {PAGE} does not explain {}", missing.join(", "))))
}
