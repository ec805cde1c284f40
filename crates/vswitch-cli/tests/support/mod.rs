//! What the tests of the host side share: a namespace with a bridge, the real binary, guests on its
//! ports, hosts behind the bridge, and other people's tools as witnesses.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod capture;
pub(crate) mod card;
pub(crate) mod checksums;
pub(crate) mod events;
pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod host;
pub(crate) mod lab;
pub(crate) mod switch;

use std::time::Duration;

/// How long anything may take that does happen: this machine may have other things to do.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// How long to listen for what must not come.
pub(crate) const QUIET: Duration = Duration::from_millis(400);

/// Waits for `condition`, or fails with what was waited for.
#[track_caller]
pub(crate) fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    assert!(testkit::wait_until(SOON, condition), "in vain: {what}");
}
