//! How a bridge is set up.

use std::time::Duration;

/// What a Linux bridge is set to, as far as it decides whether and when frames pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeSettings {
    /// Whether the spanning tree decides which members pass frames (`IFLA_BR_STP_STATE`).
    pub spanning_tree: bool,
    /// With the spanning tree, a new member listens for so long and learns for as long again before
    /// it passes frames (`IFLA_BR_FORWARD_DELAY`); without, it passes them at once.
    pub forward_delay: Duration,
    /// Whether VLANs decide where frames go (`IFLA_BR_VLAN_FILTERING`).
    pub vlan_filtering: bool,
    /// Whether IPv4 that crosses the bridge goes through iptables (`IFLA_BR_NF_CALL_IPTABLES`). It
    /// does so too where `net.bridge.bridge-nf-call-iptables` says so for all bridges.
    pub calls_iptables: bool,
    /// The same of IPv6 and ip6tables.
    pub calls_ip6tables: bool,
}
