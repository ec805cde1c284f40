//! A simulated XNU.
