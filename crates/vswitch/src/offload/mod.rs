//! What is still to be done to a frame's bytes.

/// The work left on a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {}

impl Offload {
    /// Nothing is left to do.
    pub const NONE: Self = Self {};

    /// Whether nothing is left to do.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        true
    }
}
