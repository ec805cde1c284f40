//! Tests on the kernel of the Mac that they run on, as root.
//!
//! What a crate of the macOS half does is written as functions over any kernel. One test binary
//! calls them with the simulated XNU, on every machine; another, `tests/host.rs`, with the Mac's
//! own, through [`run`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::net::if_::if_nameindex;

/// What `cargo xtask test --root` sets to `1`.
const ASKED: &str = "VSWITCH_TEST_ROOT";

/// What the kernel calls the interfaces that such tests make.
const KINDS: [&str; 2] = ["feth", "bridge"];

/// How long an interface may be there after the test that made it.
const LET_GO_MAX: Duration = Duration::from_secs(2);

/// Runs a test on this Mac's own kernel if `cargo xtask test --root` asks for it; skips it
/// otherwise. One such test runs at a time.
///
/// # Panics
/// When a feth or a bridge is there afterwards that was not there before; as the test.
pub fn run(test: impl FnOnce()) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if std::env::var_os(ASKED).is_none_or(|value| value != "1") {
        return crate::skip("changes this Mac's own kernel (sudo cargo xtask test --root)");
    }
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = interfaces();
    test();
    let mut left = Vec::new();
    let is_clean = crate::wait_until(LET_GO_MAX, || {
        left = added(&before, &interfaces());
        left.is_empty()
    });
    assert!(is_clean, "left behind: {}", left.join(", "));
}

fn interfaces() -> Vec<String> {
    let list = if_nameindex().expect("the list of interfaces");
    list.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect()
}

/// The interfaces of [`KINDS`] that are new.
fn added(before: &[String], after: &[String]) -> Vec<String> {
    let is_ours = |name: &&String| KINDS.iter().any(|kind| name.starts_with(kind));
    after.iter().filter(is_ours).filter(|name| !before.contains(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tests_make_is_found_and_nothing_else() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let before = names(&["lo0", "en0", "bridge0", "feth7"]);
        assert_eq!(added(&before, &before), [] as [String; 0]);
        let after = names(&["lo0", "en0", "bridge0", "bridge4300", "feth20600", "utun4"]);
        assert_eq!(added(&before, &after), ["bridge4300", "feth20600"]);
        assert!(!interfaces().is_empty(), "there is a loopback everywhere");
    }
}
