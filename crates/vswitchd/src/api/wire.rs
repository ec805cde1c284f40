//! What goes over the control socket, as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::{InterfaceReport, PortSummary, UplinkState};

/// The switch itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names and units say it")]
pub struct StatusReply {
    pub version: String,
    pub pid: u32,
    pub uptime_s: u64,
    /// How many loops share the ports.
    pub threads: usize,
    pub networks: Vec<String>,
    /// How many ports there are, uplinks and listeners' clients included.
    pub ports: usize,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct NetworkReply {
    pub name: String,
    /// `bridge:BR…`, `iface:IF` or `none`.
    pub uplink: String,
    /// Whether the uplink carries frames; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink_state: Option<UplinkState>,
    /// What the uplink uses.
    pub interfaces: Vec<InterfaceReport>,
    pub ports: Vec<String>,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PortReply {
    pub network: String,
    pub name: String,
    /// As it was asked for, `unixgram:/run/vm1.sock` say; `given` for a descriptor that was passed.
    pub attachment: String,
    /// Its only address, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    pub origin: Origin,
    /// Its link was not taken down.
    pub is_link_up: bool,
    /// Its other end is gone for good.
    pub is_ended: bool,
    pub queued_frames: usize,
    /// A listener's clients now, each a port of its own in `/v1/stats`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<String>>,
}

/// Where a port comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration, or the command line.
    Configuration,
    /// A client added it. It goes with the switch, or when it is removed.
    Control,
}

/// Counters of all ports, each loop's of one moment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct StatsReply {
    /// Milliseconds since 1970, UTC.
    pub unix_ms: u64,
    pub ports: Vec<PortSummary>,
    /// What passed between loops, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunks: Option<PortSummary>,
}

/// Some of the addresses that a network knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct AddressesReply {
    /// In no order. One that comes or moves while pages are read may be in none or in two.
    pub addresses: Vec<AddressReply>,
    /// What to ask for as `after` to have the next ones; left out when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An address, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names and units say it")]
pub struct AddressReply {
    pub mac: String,
    pub port: String,
    /// Given, not learnt: it neither ages nor moves.
    pub is_static: bool,
    /// How long ago a frame from it was seen last; of a static one, since when it is there.
    pub age_ms: u64,
}

/// A port that is to be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names say it")]
pub struct AddPort {
    pub name: String,
    /// `unixgram:PATH`, `stream:PATH`, `stream-connect:PATH`, `vde:DIR` or `tap:INTERFACE`, paths
    /// from the root on. Descriptors pass by the socket beside this one.
    pub attach: String,
    /// Its only address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// A port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names say it")]
pub struct SetLink {
    pub is_up: bool,
}

/// A network's uplink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names say it")]
pub struct SetUplink {
    /// `bridge:BR[,create][,member=IF]`, `iface:IF` or `none`.
    pub uplink: String,
}

/// What is told with every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ErrorReply {
    pub error: String,
}

/// What is asked for at the socket for descriptors, in one line of JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PassRequest {
    /// The network; may be left out when there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The port's name; without it, it gets one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its only address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Whether the port goes when this connection ends. Otherwise it goes when its other end is
    /// closed, of which the kernel tells with the next frame for it.
    pub hold: bool,
}

/// What is answered there, in one line of JSON; the descriptor comes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PassReply {
    pub network: String,
    pub port: String,
}
