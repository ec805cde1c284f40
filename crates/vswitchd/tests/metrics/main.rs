//! Pages of metrics, read by others than who writes them: Prometheus' parsers in Python, and its
//! own tool.

#[path = "../common/mod.rs"]
#[cfg(target_os = "linux")]
mod common;
mod dashboard;
mod figures;
mod names;
mod pages;
mod parser;
mod promtool;
mod reference;
#[cfg(target_os = "linux")]
mod running;
mod sums;
