//! Which frames a capture is for.

use std::str::FromStr;

use bpf::{Dialect, Metadata, Program};

/// A capture's filter may have so many instructions, as XNU's own may (`BPF_MAXINSNS`): it runs on
/// the switch's thread, once for each frame.
pub const FILTER_INSTRUCTIONS_MAX: usize = 512;

/// A packet filter (classic BPF) that was found to be one: it ends, and reads nothing but the
/// frame.
///
/// It is taken and run as Linux does. What Linux tells beside the bytes (`ld #proto` and the like)
/// is that of an Ethernet frame received; there is no interface, and VLAN tags are in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Program);

/// Why a program is no filter for a capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// It is too long.
    #[error("the filter has {instructions} instructions, {FILTER_INSTRUCTIONS_MAX} at most")]
    TooLong {
        /// How many it has.
        instructions: usize,
    },
    /// A kernel would not take it.
    #[error("the filter is not valid: {0}")]
    Invalid(#[from] bpf::VerifyError),
    /// The text is no program.
    #[error("the filter cannot be read: {0}; `tcpdump -ddd` and `vswitch filter compile` print it")]
    Text(#[from] bpf::words::ParseAnyError),
}

impl Filter {
    /// The filter that `program` is.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn new(program: Program) -> Result<Self, FilterError> {
        let instructions = program.len();
        if instructions > FILTER_INSTRUCTIONS_MAX {
            return Err(FilterError::TooLong { instructions });
        }
        program.verify(Dialect::Linux)?;
        Ok(Self(program))
    }

    /// How many bytes of a frame are kept; `None` when the frame is not.
    pub(super) fn kept_bytes(&self, frame: &[u8]) -> Option<usize> {
        let metadata = Metadata::ethernet(frame);
        let verdict = bpf::run(Dialect::Linux, self.0.words(), frame, &metadata);
        // A program that was verified has no faults.
        let verdict = verdict.ok().filter(|verdict| verdict.accepts())?;
        Some(verdict.taken_len(frame.len()))
    }
}

/// Reads the text of a filter in any of the forms of [`bpf::words::parse_any`]: assembler text, or
/// rows of numbers.
impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::new(bpf::words::parse_any(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_accepts_and_cuts() {
        let filter: Filter = "ldh [12]\njneq #0x806, drop\nret #60\ndrop: ret #0".parse().unwrap();
        let mut frame = [0; 100];
        assert_eq!(filter.kept_bytes(&frame), None);
        frame[12..14].copy_from_slice(&[8, 6]);
        assert_eq!(filter.kept_bytes(&frame), Some(60));
        assert_eq!(filter.kept_bytes(&frame[..50]), Some(50));
        assert_eq!(filter.kept_bytes(&frame[..13]), None, "a load from outside");
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let error = |text: &str| text.parse::<Filter>().unwrap_err().to_string();
        assert!(error("ld [0]").starts_with("the filter is not valid"), "no return");
        assert!(error("abracadabra").starts_with("the filter cannot be read"));
        let long = format!("{}ret #1", "ld #1\n".repeat(FILTER_INSTRUCTIONS_MAX));
        assert_eq!(error(&long), "the filter has 513 instructions, 512 at most");
        assert!(
            "6,40 0 0 12,21 0 3 2048,48 0 0 23,21 0 1 17,6 0 0 9,6 0 0 0,"
                .parse::<Filter>()
                .is_ok()
        );
    }
}
