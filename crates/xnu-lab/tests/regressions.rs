//! What the simulation found, each bug once by name.

use std::time::Duration;

use probe::{Ping, PingConfig};
use vswitchd::xnu::Mended;
use xnu_lab::{BRIDGE, Lab, LabConfig};
use xnu_sim::{Fault, FaultAction, MacOs};
use xnu_sys::Errno;

fn lab() -> Lab {
    let mut lab = Lab::boot(LabConfig::new(MacOs::V15, 1)).unwrap();
    lab.run_for(Duration::from_millis(600));
    lab
}

fn fail_once(lab: &Lab, call: &'static str, object: Option<&str>, errno: Errno) {
    let object = object.map(str::to_owned);
    let action = FaultAction::Fail(errno);
    lab.operator().add_fault(Fault { call, object, after: 0, times: 1, action });
}

fn must_ping(lab: &mut Lab) {
    let lan = lab.lan().address_v6();
    let report = lab.run_guest(0, Ping::new(PingConfig::new(lan))).unwrap();
    assert!(report.is_perfect(), "{report:?}\n{}", lab.kernel().trace());
}

fn must_leave_nothing(lab: Lab) {
    assert_eq!(lab.finish().leftovers, [] as [String; 0]);
}

fn pair(lab: &Lab) -> Vec<String> {
    let interfaces = lab.operator().interfaces();
    interfaces.into_iter().filter(|name| name.starts_with("feth")).collect()
}

/// Seed 7: the uplink's port ended for good, and with it all that mends it.
#[test]
fn a_read_that_fails_does_not_end_the_uplink() {
    let mut lab = lab();
    lab.operator().spare();
    let switch_end = &pair(&lab)[1].clone();
    fail_once(&lab, "read", Some(switch_end), Errno::ENOMEM);
    // Whoever asks now may get no answer; the uplink is there again within a second.
    let lan = lab.lan().address_v6();
    let _ = lab.run_guest(0, Ping::new(PingConfig::new(lan)));
    lab.run_for(Duration::from_secs(1));
    must_ping(&mut lab);
    assert!(lab.tally().of(Mended::Link) >= 1);
    must_leave_nothing(lab);
}

/// Seed 17: an owned pair is known again by a list of all interfaces; when that could not be had,
/// the pair was given up and stayed.
#[test]
fn a_pair_that_could_not_be_taken_away_is_looked_for_again() {
    let mut lab = lab();
    lab.operator().spare();
    let switch_end = pair(&lab)[1].clone();
    lab.operator().destroy_interface(&switch_end).unwrap();
    fail_once(&lab, "getifaddrs", None, Errno::EMFILE);
    lab.run_for(Duration::from_secs(3));
    assert_eq!(pair(&lab).len(), 2, "{:?}", pair(&lab));
    must_ping(&mut lab);
    must_leave_nothing(lab);
}

/// Seed 137: the pair was made anew, its descriptors could not be had, and from then on the old
/// ones counted as those of the new pair. They even worked halfway: a stale NDRV socket sends by
/// the interface that has its name (contract §6).
#[test]
fn descriptors_of_a_pair_that_is_gone_are_not_taken_for_the_new_ones() {
    let mut lab = lab();
    lab.operator().spare();
    let switch_end = pair(&lab)[1].clone();
    lab.operator().destroy_interface(&switch_end).unwrap();
    fail_once(&lab, "bind", None, Errno::EADDRNOTAVAIL);
    lab.run_for(Duration::from_secs(3));
    must_ping(&mut lab);
    let members = lab.operator().members(BRIDGE);
    assert_eq!(members.len(), 2, "{members:?}");
    must_leave_nothing(lab);
}
