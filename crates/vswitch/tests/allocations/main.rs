//! In steady state no frame costs an allocation: on every path, and while a slow reader has its
//! sender wait.
//!
//! The test steps the switch itself, so that what is counted is the switch's alone.
mod counting;
#[cfg(target_os = "linux")]
mod linux;
mod outside;
mod simulated_xnu;
#[cfg(target_os = "linux")]
mod slow_clock;
#[cfg(target_os = "linux")]
#[path = "../../src/offload/testing.rs"]
#[allow(dead_code, reason = "this test binary uses its part")]
mod testing;

#[cfg(target_os = "linux")]
use vswitch::offload;

/// So many bursts first, in which buffers are made; and so many frames in each of some before
/// those, more than are ever counted at once.
const WARM_UP_BURSTS: usize = 30;
const WARM_UP_FRAMES: usize = 80;

/// So many then, in which nothing may be allocated.
const COUNTED_BURSTS: usize = 60;

/// How many frames a burst has, in turn: one alone, fewer than a batch of any port, more than one.
const BURSTS_FRAMES: [usize; 4] = [1, 7, 40, 64];

/// Carries burst after burst by `carry`, which answers how many allocations the switch made.
///
/// # Panics
/// When it made any after the first bursts.
#[track_caller]
fn assert_none(path: &str, mut carry: impl FnMut(usize) -> usize) {
    let mut bursts = BURSTS_FRAMES.into_iter().cycle();
    for frames in [WARM_UP_FRAMES; 4].into_iter().chain(bursts.by_ref().take(WARM_UP_BURSTS)) {
        carry(frames);
    }
    for frames in bursts.take(COUNTED_BURSTS) {
        counting::tell_of_one_after(0);
        let allocations = carry(frames);
        assert_eq!(allocations, 0, "{path}: {allocations} for {frames} frames");
    }
}
