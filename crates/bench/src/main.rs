//! Measures the switch beside its limits and its peers.
//!
//! One run starts the switch and its yardsticks in turn, loads each with the same frames, and
//! compares what they did in the same round: on a shared machine only such ratios mean anything.
//! `cargo xtask bench` builds and starts it; what it measured last is in `docs/performance.md`.

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod failure;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod looks;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod statistics;
#[cfg(target_os = "linux")]
mod subject;
#[cfg(target_os = "linux")]
mod system;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    plan::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "vswitch-bench: measures Linux's data path; on a Mac see `cargo xtask run --kernel sim`"
    );
    std::process::ExitCode::FAILURE
}
