//! Fixed pieces of the data path's work, for `cargo xtask guard` to count the instructions of, and
//! the whole loop over ports in memory, for benches.
#![forbid(unsafe_code)]

pub mod cases;
pub mod memory;
