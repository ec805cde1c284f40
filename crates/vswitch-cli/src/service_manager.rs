//! What `vswitch run` tells the service manager that started it, by sd_notify(3): that it is up,
//! reads its configuration again, is about to end, and, if that is asked for, that it is alive.
//!
//! Without `NOTIFY_SOCKET` in the environment, as in a terminal, nobody is told anything. Only
//! systemd and those that follow it have such a socket: elsewhere than on Linux these do nothing.

use std::time::Duration;

use crate::failure::Failure;

#[cfg_attr(target_os = "linux", path = "service_manager/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "service_manager/elsewhere.rs")]
mod sys;

/// It is up: at the start, and again after each [`reloading`].
pub(crate) fn ready(status: &str) {
    sys::ready(&one_line(status));
}

/// It reads its configuration again; [`ready`] must follow, whatever comes of it.
pub(crate) fn reloading() {
    sys::reloading();
}

/// It is about to end.
pub(crate) fn stopping() {
    sys::stopping();
}

/// Where the service manager has a watchdog, feeds it as long as `is_alive` answers that it is:
/// twice in the time after which the manager would give it up (sd_watchdog_enabled(3)). Whoever
/// does not answer is not fed, and is killed and started again.
pub(crate) fn keep_alive(is_alive: impl Fn() -> bool + Send + 'static) -> Result<(), Failure> {
    let Some(limit) = sys::watchdog() else { return Ok(()) };
    // A thread of its own, so that only the loops count: no reload that waits, no slow client.
    std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || {
            while is_alive() {
                sys::alive();
                std::thread::sleep((limit / 2).max(PAUSE_MIN));
            }
        })
        .map(|_| ())
        .map_err(|error| Failure::new("start a thread for the watchdog", error))
}

/// The shortest pause, whatever the environment says.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// A line of the message is a statement of its own: a status must not have two. Nor need it be as
/// long as the mistake it tells of.
fn one_line(status: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    let spaced = status.chars().map(|c| if c.is_control() { ' ' } else { c });
    spaced.take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        assert_eq!(one_line("1 network\nMAINPID=1\r\0"), "1 network MAINPID=1  ");
        assert_eq!(one_line(&"é".repeat(1000)).chars().count(), 300);
    }
}
