//! NDRV sockets on the kernel of the Mac that this runs on, as root.
#![cfg(target_os = "macos")]

use xnu_sys::Host;

#[macro_use]
mod socket;
#[path = "../../bpf/tests/xnu/mod.rs"]
#[allow(dead_code, reason = "shared with another crate's tests")]
mod xnu;

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                testkit::own_kernel::run(|| {
                    socket::$name(&xnu::Pair::create(&Host).expect("a pair of feths"));
                });
            }
        )*
    };
}

contract!(tests);
