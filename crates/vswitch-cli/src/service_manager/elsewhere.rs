//! Service managers that ask for no news: launchd.

use std::time::Duration;

pub(super) fn ready(_status: &str) {}

pub(super) fn reloading() {}

pub(super) fn stopping() {}

pub(super) fn alive() {}

pub(super) fn watchdog() -> Option<Duration> {
    None
}
