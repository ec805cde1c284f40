//! What is read and never changed, compared with iproute2 and ethtool.
#![cfg(target_os = "linux")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::{interfaces_in_own_namespace, ip, ip_does, named, output};
use ifctl::{Error, Interfaces, PairOptions};

#[test]
fn a_bridges_settings_are_iproute2s() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    ip_does("link add br0 type bridge");
    let plain = interfaces.bridge_settings("br0").unwrap();
    assert!(!plain.spanning_tree && !plain.calls_iptables && !plain.vlan_filtering);
    ip_does("link set br0 type bridge stp_state 1 forward_delay 700 nf_call_iptables 1");
    let set = interfaces.bridge_settings("br0").unwrap();
    let links = ip("link");
    let told = &named(&links, "ifname", "br0")["linkinfo"]["info_data"];
    assert_eq!((&told["stp_state"], &told["forward_delay"]), (&1.into(), &700.into()));
    assert_eq!(set.forward_delay, Duration::from_secs(7));
    assert!(set.spanning_tree && set.calls_iptables && !set.calls_ip6tables);
    let refused = interfaces.bridge_settings("lo").unwrap_err();
    assert!(matches!(refused, Error::NotABridge { .. }), "{refused:?}");
}

#[test]
fn offloads_that_no_header_tells_of_are_told_while_they_are_on() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    if !testkit::tool_or_skip("ethtool", "ethtool") {
        return;
    }
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    interfaces.limit_offloads_to_virtio("v0", true).unwrap();
    assert_eq!(interfaces.offloads_beyond_virtio("v0", true).unwrap(), [] as [String; 0]);
    output("ethtool", "-K v0 gro on");
    assert_eq!(interfaces.offloads_beyond_virtio("v0", true).unwrap(), ["rx-gro"]);
    let untouched = interfaces.offloads_beyond_virtio("v1", true).unwrap();
    assert!(untouched.iter().any(|name| name == "tx-checksum-sctp"), "{untouched:?}");
}

#[test]
fn whether_interfaces_may_be_changed_is_the_kernels_word() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let before = ip("link");
    assert!(interfaces.may_change().unwrap());
    assert_eq!(ip("link"), before);
    // A user of a namespace of its own, where this network does not belong to it, may not: though
    // it has all capabilities there.
    if !testkit::tool_or_skip("unshare", "util-linux") {
        return;
    }
    let exe = std::env::current_exe().unwrap();
    let mut inner = Command::new("unshare");
    inner.args(["--user", "--map-root-user", "--"]).arg(exe).env(ASK, "1");
    let said = inner.args(["--exact", "asks", "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("may change: false"), "{said}");
}

/// The other process of the test above.
#[test]
fn asks() {
    if std::env::var_os(ASK).is_some() {
        println!("may change: {}", Interfaces::open().unwrap().may_change().unwrap());
    }
}

const ASK: &str = "VSWITCH_ASKS_WHETHER_IT_MAY";
