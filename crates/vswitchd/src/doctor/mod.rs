//! What stands in the way of a network, and what to do about it.
//!
//! Each thing that was looked at becomes a [`Finding`], also when it is as it should be. Deciding
//! and looking are apart: [`facts`] say what there is, as plain data, the functions of [`rules`]
//! make findings of them and do nothing else, and one gatherer for each system (`linux`, [`xnu`])
//! does the looking. [`crate::host::examine`] is the one of the system that this runs on.
//!
//! Looking changes nothing, and needs no privilege; what cannot be seen without one is told as a
//! note.

pub mod facts;
mod finding;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod rules;
pub(crate) mod sockets;
mod wanted;
pub mod xnu;

pub use finding::{Finding, Severity, worst};
pub use wanted::{Needs, sockets_of};

/// What is told where the interfaces cannot be listed.
fn unreadable_interfaces(error: &ifctl::Error) -> Finding {
    let finding = Finding::error("interfaces", "interfaces", error.to_string())
        .why("neither uplinks nor leftovers can be looked at");
    match error.to_do() {
        Some(to_do) => finding.to_do(to_do),
        None => finding.to_do("try again: they may have changed while they were listed"),
    }
}
