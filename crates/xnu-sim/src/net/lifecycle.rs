//! How interfaces come and go (`if_clone_create`, `bsd/net/if.c`; `ifnet_attach`, `ifnet_detach`,
//! `bsd/net/dlil.c`).

use super::IfId;
use super::bridge::Bridge;
use super::feth::Feth;
use super::interface::{Driver, EFLAG_CLONE, EFLAG_TXSTART, Life, NewInterface, flags};
use crate::errno::{EBUSY, EEXIST, EINVAL, ENXIO, EOPNOTSUPP, Result};
use crate::event_socket::code;
use crate::machine::Machine;

/// What makes interfaces on demand; listed as `SIOCIFGCLONERS` lists them, the newest first.
pub(super) const CLONERS: [&str; 3] = ["bridge", "feth", "lo"];

/// `IF_MAXUNIT`.
const UNIT_MAX: u32 = 32_767;

/// How long the thread that takes an interface apart needs, in nanoseconds: somewhere in here.
const DETACH_NS: std::ops::Range<u64> = 100_000..5_000_000;

impl Machine {
    /// `SIOCIFCREATE`: makes `feth7`, or with `feth` the lowest free unit; gives the whole name.
    pub(super) fn clone_create(&mut self, name: &str) -> Result<String> {
        let (cloner, unit) = cloner_of(name)?;
        if self.net.find(name).is_some() {
            return Err(EEXIST);
        }
        let Some(unit) = unit else { return self.clone_any(cloner) };
        if unit > UNIT_MAX {
            return Err(ENXIO);
        }
        self.clone_one(cloner, unit)?;
        Ok(name.to_owned())
    }

    /// Tries units from 0 up, past those in use and those that still go (M12).
    fn clone_any(&mut self, cloner: &'static str) -> Result<String> {
        for unit in 0..=UNIT_MAX {
            if self.net.find(&format!("{cloner}{unit}")).is_some() {
                continue;
            }
            match self.clone_one(cloner, unit) {
                Err(EBUSY) => {}
                made => return made.map(|()| format!("{cloner}{unit}")),
            }
        }
        Err(ENXIO)
    }

    fn clone_one(&mut self, cloner: &'static str, unit: u32) -> Result<()> {
        let name = format!("{cloner}{unit}");
        let id = self.net.object(&name);
        if self.net[id].life != Life::Free {
            return Err(EBUSY);
        }
        match cloner {
            "feth" => self.feth_create(id, unit)?,
            "bridge" => self.bridge_create(id, unit),
            _ => return Err(EOPNOTSUPP),
        }
        self.net[id].eflags |= EFLAG_CLONE;
        Ok(())
    }

    /// Puts an interface into the list. Its driver says the rest.
    pub(super) fn attach(&mut self, id: IfId, new: NewInterface) {
        self.net[id].begin(new);
        self.net.listed.push(id);
        self.post_interface_event(id, code::IF_ATTACHED);
    }

    /// `SIOCIFDESTROY`.
    pub(super) fn clone_destroy(&mut self, name: &str) -> Result<()> {
        let (cloner, unit) = cloner_of(name)?;
        if cloner == "lo" && unit == Some(0) {
            // The one that is always there (`ifc_minifs`).
            return Err(EINVAL);
        }
        let id = self.net.find(name).ok_or(ENXIO)?;
        if self.net[id].eflags & EFLAG_CLONE == 0 {
            return Err(EOPNOTSUPP);
        }
        match self.net[id].driver {
            Driver::Feth(_) => self.feth_destroy(id),
            Driver::Bridge(_) => self.bridge_destroy(id),
            _ => return Err(EOPNOTSUPP),
        }
        Ok(())
    }

    /// Takes an interface out of the list; a thread does the rest later (`ifnet_detach`).
    pub(super) fn detach(&mut self, id: IfId) {
        self.set_flags(id, 0, flags::UP);
        let interface = &mut self.net[id];
        interface.life = Life::Detaching;
        let born = interface.born;
        self.net.listed.retain(|listed| *listed != id);
        self.post_interface_event(id, code::IF_DETACHING);
        let delay_ns = self.rng.range(DETACH_NS);
        self.after(delay_ns, move |machine| {
            if machine.net[id].born == born && machine.net[id].life == Life::Detaching {
                machine.detach_final(id);
            }
        });
    }

    /// The end of an interface (`ifnet_detach_final`): in this order BPF, the bridge that it is a
    /// member of, its protocols, the name.
    fn detach_final(&mut self, id: IfId) {
        self.bpf_detach(id);
        self.bridge_member_vanished(id);
        self.net[id].addresses.clear();
        for family in self.net[id].protocols.clone() {
            self.detach_protocol(id, family);
        }
        self.post_interface_event(id, code::IF_DETACHED);
        let interface = &mut self.net[id];
        interface.description.clear();
        interface.promiscuous_count = 0;
        interface.all_multicast_count = 0;
        interface.send.flush();
        interface.input.frames.clear();
        interface.driver = Driver::None;
        interface.member_of = None;
        interface.life = Life::Free;
    }

    /// A protocol begins to use an interface: NDRV's bind, the bridge's dummy, IP (M12).
    pub(crate) fn attach_protocol(&mut self, id: IfId, family: u32) {
        if self.net[id].protocols.insert(family) {
            let remaining = u32::try_from(self.net[id].protocols.len()).unwrap_or(u32::MAX);
            self.post_protocol_event(id, code::PROTO_ATTACHED, family, remaining);
            self.bridge_protocols_changed(id);
        }
    }

    /// A protocol lets go of it.
    pub(crate) fn detach_protocol(&mut self, id: IfId, family: u32) {
        if self.net[id].protocols.remove(&family) {
            let remaining = u32::try_from(self.net[id].protocols.len()).unwrap_or(u32::MAX);
            self.post_protocol_event(id, code::PROTO_DETACHED, family, remaining);
            self.bridge_protocols_changed(id);
        }
    }

    fn feth_create(&mut self, id: IfId, unit: u32) -> Result<()> {
        let feth = Feth::new(&self.sysctls)?;
        let [.., high, low] = unit.to_be_bytes();
        let capabilities = feth.capabilities(self.can.feth_vlan_tagging);
        let eflags = feth.eflags();
        let has_capabilities = capabilities != 0;
        let new = NewInterface {
            driver_name: "feth".to_owned(),
            unit,
            driver: Driver::Feth(feth),
            kind: super::ether::IFT_ETHER,
            family: super::ether::FAMILY_ETHERNET,
            subfamily: 0,
            mac: None,
            flags: flags::BROADCAST | flags::MULTICAST | flags::SIMPLEX,
            mtu: 1500,
            eflags,
            capabilities,
        };
        if has_capabilities {
            self.net[id].driver_name.clone_from(&new.driver_name);
            self.net[id].unit = unit;
            self.net[id].family = new.family;
            self.post_interface_event(id, code::IFCAP_CHANGED);
        }
        self.attach(id, new);
        self.set_mac(id, [b'f', b'e', b't', b'h', high, low]);
        Ok(())
    }

    fn bridge_create(&mut self, id: IfId, unit: u32) {
        let mac = self.bridge_mac(unit);
        let is_queued = self.sysctls.get("net.link.bridge.txstart") != 0;
        let new = NewInterface {
            driver_name: "bridge".to_owned(),
            unit,
            driver: Driver::Bridge(Box::new(Bridge::new(mac, is_queued))),
            kind: super::bridge::IFT_BRIDGE,
            family: super::ether::FAMILY_ETHERNET,
            subfamily: 0,
            mac: None,
            flags: flags::BROADCAST | flags::SIMPLEX | flags::NO_TRAILERS | flags::MULTICAST,
            mtu: 1500,
            eflags: if is_queued { EFLAG_TXSTART } else { 0 },
            capabilities: 0,
        };
        self.attach(id, new);
        // The link says that it is an Ethernet; the type of the interface stays (contract, seed vs
        // kernel).
        self.net[id].link_kind = super::ether::IFT_ETHER;
        self.set_mac(id, mac);
        self.bridge_set_offload(id);
    }

    /// `ifnet_set_lladdr`.
    pub(super) fn set_mac(&mut self, id: IfId, mac: super::Mac) {
        self.net[id].mac = Some(mac);
        self.post_interface_event(id, code::LINK_ADDRESS_CHANGED);
    }
}

/// Which cloner a name is for, and its unit; `None` is any (`if_clone_lookup`).
fn cloner_of(name: &str) -> Result<(&'static str, Option<u32>)> {
    let cloner = CLONERS.into_iter().find(|cloner| name.starts_with(cloner)).ok_or(EINVAL)?;
    let digits = &name[cloner.len()..];
    if digits.is_empty() {
        return Ok((cloner, None));
    }
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(EINVAL);
    }
    // A number too big wraps, as in XNU; the last of all is "any".
    let unit = digits
        .bytes()
        .fold(0_u32, |unit, digit| unit.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
    Ok((cloner, Some(unit).filter(|unit| *unit != u32::MAX)))
}
