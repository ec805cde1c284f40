//! What all targets share: an allocator that counts, and the check that nothing grows.

use std::alloc::System;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::OnceLock;

use cap::Cap;

/// Counts what Rust code allocates; libFuzzer's own memory is not in it.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What may be there after any input more than after the first: what is made once and kept, such as
/// a runtime and its queues. What each input leaves behind comes to more in no time.
const GROWTH_MAX_BYTES: usize = 2 << 20;
const GROWTH_MAX_DESCRIPTORS: usize = 8;

/// Runs a target on one input, which may have `peak_bytes` at once and leaves nothing behind,
/// memory or descriptors.
///
/// # Panics
/// When something has grown. The process is aborted when it wants more than `peak_bytes`.
pub fn bounded(peak_bytes: usize, run: impl FnOnce(&[u8]), input: &[u8]) {
    let limit = ALLOCATOR.allocated() + peak_bytes;
    ALLOCATOR.set_limit(limit).expect("more than there is");
    run(input);
    ALLOCATOR.set_limit(usize::MAX).expect("more than there is");
    let now = Held::now();
    static FIRST: OnceLock<Held> = OnceLock::new();
    let first = FIRST.get_or_init(|| now);
    let bytes = now.bytes.saturating_sub(first.bytes);
    assert!(bytes <= GROWTH_MAX_BYTES, "{bytes} bytes more than after the first input");
    let descriptors = now.descriptors.saturating_sub(first.descriptors);
    assert!(descriptors <= GROWTH_MAX_DESCRIPTORS, "{descriptors} descriptors more than at first");
}

/// What the process has.
#[derive(Clone, Copy)]
struct Held {
    bytes: usize,
    /// How many, at least: the number that the next one gets.
    descriptors: usize,
}

impl Held {
    fn now() -> Self {
        let next = std::io::stderr().as_fd().try_clone_to_owned().expect("one more descriptor");
        let descriptors = usize::try_from(next.as_raw_fd()).expect("a number");
        Self { bytes: ALLOCATOR.allocated(), descriptors }
    }
}
