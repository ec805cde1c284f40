//! Uplinks on every version of the simulated XNU.

mod uplink;

use xnu_sim::{MacOs, SimKernel};

fn on_every_version(test: fn(&SimKernel)) {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        test(&kernel);
        assert_eq!(kernel.interfaces(), ["lo0"], "left behind on macOS {version:?}");
        assert_eq!(kernel.open_descriptors(), [], "left open on macOS {version:?}");
    }
}

uplink::uplinks!(on_every_version);
