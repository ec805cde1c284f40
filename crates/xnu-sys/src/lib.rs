//! The XNU ABI as Rust types.
//!
//! What macOS's kernel interfaces look like in memory, as fixed-width `repr(C)` types and numbers,
//! each pinned by a `const` assertion, so that the crate builds and is checked on every host. C
//! names are kept here and only here.
//!
//! Today it holds what the filter machine needs ([`bpf`]). The requests, the typed ioctls and the
//! face through which calls are made are not written yet.
#![forbid(unsafe_code)]

pub mod bpf;
