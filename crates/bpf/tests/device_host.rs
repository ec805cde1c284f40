//! BPF devices on the kernel of the Mac that this runs on, as root.
#![cfg(target_os = "macos")]

use xnu_sys::{Errno, Host};

mod device;
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
                on_the_host(device::$name);
            }
        )*
    };
}

tests! {
    frames_of_every_length,
    frames_of_wrong_lengths,
    records_taken_by_and_by,
    filters,
    directions_and_times,
    an_interface_that_goes_and_comes,
    statistics,
    what_is_no_interface,
    an_mtu_that_changes,
    devices_in_use,
    another_interface,
    a_kqueue_is_told,
    promiscuity,
}
