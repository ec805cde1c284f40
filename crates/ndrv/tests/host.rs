//! NDRV sockets on the kernel of the Mac that this runs on, as root.
#![cfg(target_os = "macos")]

use xnu_sys::{Errno, Host};

mod socket;
#[path = "../../bpf/tests/xnu/mod.rs"]
#[allow(dead_code, reason = "shared with another crate's tests")]
mod xnu;

fn on_the_host(test: fn(&xnu::Pair<Host>)) {
    match xnu::Pair::create(&Host) {
        Ok(pair) => test(&pair),
        Err(error) if error.errno == Errno::EPERM => testkit::skip("wants root"),
        Err(error) => panic!("a pair of feths: {error}"),
    }
}

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                on_the_host(socket::$name);
            }
        )*
    };
}

tests! {
    frames_of_every_length,
    frames_of_wrong_lengths,
    long_frames,
    an_interface_that_goes_and_comes,
    what_is_no_interface,
}
