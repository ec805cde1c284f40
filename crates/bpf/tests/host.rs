//! BPF devices on the kernel of the Mac that this runs on, as root.
#![cfg(target_os = "macos")]

use xnu_sys::Host;

#[macro_use]
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

contract!(tests);
