//! The contract on every version of the simulated XNU.

mod contract;

use xnu_sim::{MacOs, SimKernel};

fn on_every_version(test: fn(&SimKernel)) {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 7);
        let before = kernel.interfaces();
        test(&kernel);
        assert_eq!(kernel.interfaces(), before, "left behind on macOS {version:?}");
    }
}

contract::contract!(on_every_version);
