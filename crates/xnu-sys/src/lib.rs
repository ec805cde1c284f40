//! The XNU ABI as Rust types.
