//! A service that is no more than a list.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vswitch::MacAddr;
use vswitch::counters::PortCounters;
use vswitch::fabric::PortIndex;
use vswitch::switch::{AddressPage, KnownAddress, ListenerReport, PortReport, Report};

use crate::api::served::{Refusal, RefusalKind, Served};
use crate::capture::{Capture, CaptureRequest};
use crate::config::{Attachment, GivenSocket, PortSpec, UplinkSpec};
use crate::metrics::ServiceFacts;
use crate::report::{
    Applied, InterfaceReport, InterfaceRole, Ready, ReadyNetwork, ReadyPort, UplinkState,
};
use crate::service::Plug;

/// Two networks: `lan` with a port, a listener, its client and whatever is added, `dmz` with
/// whatever is added.
#[derive(Default)]
pub(super) struct List(Mutex<State>);

#[derive(Default)]
struct State {
    added: Vec<(String, PortSpec)>,
    removed: BTreeSet<String>,
    down: BTreeSet<String>,
    uplink: Option<UplinkSpec>,
    asked: usize,
    changed: usize,
}

/// So many are added at most.
const ADDED_MAX: usize = 64;

impl List {
    /// Forgets everything.
    pub(super) fn clear(&self) {
        *self.lock() = State::default();
    }

    /// How often it was asked or changed.
    pub(super) fn asked(&self) -> usize {
        self.lock().asked
    }

    /// How often somebody tried to change it.
    pub(super) fn changed(&self) -> usize {
        self.lock().changed
    }

    /// How many ports were added and are there.
    pub(super) fn added(&self) -> usize {
        self.lock().added.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.asked += 1;
        state
    }

    fn change(&self, network: &str) -> Result<MutexGuard<'_, State>, Refusal> {
        let mut state = self.ask();
        state.changed += 1;
        if ["lan", "dmz"].contains(&network) {
            Ok(state)
        } else {
            Err(Refusal::new(RefusalKind::NotFound, format!("there is no network {network}")))
        }
    }
}

impl State {
    /// The ports of a network: names, what they are attached to, addresses.
    fn ports(&self, network: &str) -> Vec<ReadyPort> {
        let own = [("vm1", "unixgram:/run/vm1.sock"), ("vms", "stream:/run/vms.sock")];
        let own = own.into_iter().filter(|(name, _)| network == "lan" && self.is_there(name));
        let own = own.map(|(name, attachment)| ReadyPort {
            name: name.to_owned(),
            attachment: attachment.to_owned(),
            mac: Some("52:54:00:00:00:01".to_owned()),
            is_hot: false,
        });
        let added = self.added.iter().filter(|(of, _)| of == network);
        own.chain(added.map(|(_, spec)| ReadyPort {
            name: spec.name.clone(),
            attachment: spec.attachment.to_string(),
            mac: spec.mac.map(|mac| mac.to_string()),
            is_hot: true,
        }))
        .collect()
    }

    fn is_there(&self, name: &str) -> bool {
        !self.removed.contains(name)
    }

    fn network(&self, name: &str, interfaces: Vec<InterfaceReport>) -> ReadyNetwork {
        let uplink = self.uplink.as_ref().map_or("none".to_owned(), ToString::to_string);
        ReadyNetwork {
            network: name.to_owned(),
            uplink,
            uplink_state: self.uplink.as_ref().map(|_| UplinkState::Up),
            interfaces,
            ports: self.ports(name),
        }
    }
}

impl Served for List {
    fn ready(&self) -> Ready {
        let state = self.ask();
        let bridge = InterfaceReport {
            name: "br0".to_owned(),
            role: InterfaceRole::Bridge,
            mtu: 1500,
            created: true,
        };
        Ready::new(vec![state.network("lan", vec![bridge]), state.network("dmz", vec![])], 2)
    }

    fn report(&self) -> Result<Report, Refusal> {
        let state = self.ask();
        let mut report = Report::default();
        let mut add = |network: &str, name: &str| {
            report.ports.push(PortReport {
                index: PortIndex(0),
                name: name.to_owned(),
                network: network.to_owned(),
                listener: (name == "vms.1").then(|| "vms".to_owned()),
                counters: PortCounters::default(),
                queued_frames: 3,
                queued_bytes: 180,
                held_frames: 0,
                waiting_on: None,
                gone: false,
                is_link_up: !state.down.contains(name),
            });
        };
        for name in ["uplink", "vm1", "vms.1"] {
            add("lan", name);
        }
        for (network, spec) in &state.added {
            add(network, &spec.name);
        }
        report.listeners.push(ListenerReport {
            name: "vms".to_owned(),
            network: "lan".to_owned(),
            clients: 1,
            accepted: 2,
            turned_away: 0,
            is_link_up: true,
            ended: PortCounters::default(),
        });
        Ok(report)
    }

    fn addresses(
        &self,
        network: &str,
        at: usize,
        from: usize,
        most: usize,
    ) -> Result<Option<AddressPage>, Refusal> {
        // As a real one: two loops, tables of 4,096 places.
        const PLACES: usize = 4096;
        drop(self.ask());
        if at >= 2 {
            return Ok(None);
        }
        if network != "lan" {
            return Err(Refusal::new(RefusalKind::NotFound, "there is no such network"));
        }
        let end = PLACES.min(from.saturating_add(most));
        let mac = |place: usize| {
            let [.., high, low] = place.to_be_bytes();
            MacAddr([2, 0, 0, 0, high, low])
        };
        let addresses = (from..end).step_by(64).map(|place| KnownAddress {
            mac: mac(place),
            port: "vm1".to_owned(),
            is_behind_trunk: place % 128 == 0,
            is_static: false,
            age: Duration::from_millis(7),
        });
        let next = (end < PLACES).then_some(end);
        Ok(Some(AddressPage { addresses: addresses.collect(), next }))
    }

    fn facts(&self) -> ServiceFacts {
        drop(self.ask());
        ServiceFacts::default()
    }

    /// There is nothing to capture.
    fn capture(&self, _: &CaptureRequest) -> Result<Capture, Refusal> {
        drop(self.change("lan")?);
        Err(Refusal::new(RefusalKind::Conflict, "there are as many captures as may be"))
    }

    fn add_port(&self, network: &str, spec: &PortSpec) -> Result<(), Refusal> {
        let mut state = self.change(network)?;
        let is_taken = state.ports(network).iter().any(|port| port.name == spec.name);
        if is_taken || state.added.len() == ADDED_MAX {
            return Err(Refusal::new(RefusalKind::Conflict, "it is there, or there are too many"));
        }
        state.added.push((network.to_owned(), spec.clone()));
        Ok(())
    }

    fn remove_port(&self, network: &str, port: &str) -> Result<(), Refusal> {
        let mut state = self.change(network)?;
        if !state.ports(network).iter().any(|of| of.name == port) {
            return Err(Refusal::new(RefusalKind::NotFound, format!("there is no port {port}")));
        }
        let before = state.added.len();
        state.added.retain(|(of, spec)| (of.as_str(), spec.name.as_str()) != (network, port));
        if state.added.len() == before {
            state.removed.insert(port.to_owned());
        }
        Ok(())
    }

    fn set_link(&self, network: &str, port: &str, is_up: bool) -> Result<(), Refusal> {
        let mut state = self.change(network)?;
        if !state.ports(network).iter().any(|of| of.name == port) {
            return Err(Refusal::new(RefusalKind::NotFound, format!("there is no port {port}")));
        }
        if is_up {
            state.down.remove(port);
        } else {
            state.down.insert(port.to_owned());
        }
        Ok(())
    }

    fn set_uplink(&self, network: &str, uplink: &UplinkSpec) -> Result<(), Refusal> {
        self.change(network)?.uplink = Some(uplink.clone());
        Ok(())
    }

    fn plug(&self, plug: Plug) -> Result<(String, String), Refusal> {
        let network = plug.network.ok_or_else(|| {
            Refusal::new(RefusalKind::Malformed, "there are 2 networks: say which one")
        })?;
        let name = plug.name.unwrap_or_else(|| "given1".to_owned());
        let attachment = Attachment::Given(plug.socket);
        self.add_port(&network, &PortSpec { name: name.clone(), attachment, mac: plug.mac })?;
        Ok((network, name))
    }

    fn unplug(&self, socket: &GivenSocket) -> Result<(), Refusal> {
        let mut state = self.change("lan")?;
        let is_it = |spec: &PortSpec| spec.attachment == Attachment::Given(socket.clone());
        state.added.retain(|(_, spec)| !is_it(spec));
        Ok(())
    }

    fn remove_ended(&self) -> Result<bool, Refusal> {
        Ok(false)
    }

    fn reload(&self) -> Result<Applied, Refusal> {
        drop(self.change("lan")?);
        Ok(Applied { changed: vec!["lan/vm1".to_owned()], ..Applied::default() })
    }
}
