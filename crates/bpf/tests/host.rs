//! BPF devices on the kernel of the Mac that this runs on, as root.
#![cfg(target_os = "macos")]

use xnu_sys::Host;

mod device;
mod xnu;

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                testkit::own_kernel::run(|| {
                    device::$name(&xnu::Pair::create(&Host).expect("a pair of feths"));
                });
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
