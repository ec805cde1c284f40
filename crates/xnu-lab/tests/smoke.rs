//! Everything together, on every version.

use std::time::Duration;

use probe::{Ping, PingConfig};
use xnu_lab::{Lab, LabConfig};
use xnu_sim::MacOs;

#[test]
fn pings_cross_the_switch_and_nothing_is_left() {
    for version in MacOs::ALL {
        let mut lab = Lab::boot(LabConfig::new(version, 1)).unwrap();
        lab.run_for(Duration::from_millis(10));
        for address in [lab.lan().address_v6(), lab.lan().address_v4()] {
            let report = lab.run_guest(0, Ping::new(PingConfig::new(address))).unwrap();
            assert!(report.is_perfect(), "{version:?}: {report:?}\n{}", lab.kernel().trace());
        }
        let end = lab.finish();
        assert_eq!(end.leftovers, [] as [String; 0], "{version:?}");
    }
}
