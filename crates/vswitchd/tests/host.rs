//! Uplinks on the kernel of the Mac that this runs on, as root.
#![cfg(target_os = "macos")]

mod uplink;

use xnu_sys::Host;

fn on_the_host(test: fn(&Host)) {
    testkit::own_kernel::run(|| test(&Host));
}

uplink::uplinks!(on_the_host);
