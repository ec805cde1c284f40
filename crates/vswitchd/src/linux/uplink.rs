//! How a network reaches the host's: a pair into a bridge, or an interface as it is.
//!
//! Whatever was made is taken away when the switch ends, however it is asked to end. SIGKILL asks
//! nothing: then the pair stays, and so does a bridge of its own, each with a tag that says whose
//! it was. The next switch, or `vswitch clean`, takes them away. A card that was lent to a bridge
//! of the host's stays its member: nothing on it says that it was lent.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use ifctl::{Interfaces, Kind, OwnedInterface, PairOptions, Tag};
use vswitch::MacAddr;
use vswitch::offload::Offloads;
use vswitch::port::linux::{PacketPort, kernel_offloads};
use vswitch::port::unix::Granted;

use super::{LinuxError, owner};
use crate::platform::OpenUplink;
use crate::report::{InterfaceReport, InterfaceRole};

/// What was made for an uplink. Dropped, it is taken away in the order of the fields.
#[derive(Debug, Default)]
pub struct Uplink {
    _pair: Option<OwnedInterface>,
    _membership: Option<LentMember>,
    _bridge: Option<OwnedInterface>,
}

/// An uplink, and what its socket was granted.
pub(super) struct Opened {
    pub(super) uplink: OpenUplink<Uplink>,
    pub(super) granted: Granted,
}

/// An interface that was made a member of a bridge, to be released at the end, and set down again
/// if it was down.
#[derive(Debug)]
struct LentMember {
    interfaces: Interfaces,
    bridge: String,
    member: String,
    was_up: bool,
}

/// How many names are tried for the pair.
const NAMES_TRIED: u32 = 1000;

/// How long a new pair may take to be able to send, and how often to look.
const CARRIER_PATIENCE: Duration = Duration::from_secs(2);
const CARRIER_LOOK_EVERY: Duration = Duration::from_millis(5);

/// An interface used as it is. Nothing of it is changed; while the socket is open it is
/// promiscuous.
pub(super) fn on_interface(
    name: &str,
    addresses: Option<&[MacAddr]>,
) -> Result<Opened, LinuxError> {
    let interface = Interfaces::open()?.find(name)?;
    if interface.kind == Kind::Loopback || interface.mac.is_none() {
        return Err(LinuxError::NotEthernet { name: name.to_owned(), kind: interface.kind });
    }
    if !interface.is_up() {
        tracing::warn!(interface = name, "the uplink is down: set it up (`vswitch if up {name}`)");
    }
    // Its offloads are its owner's: each frame says what is left to do to it.
    let port = PacketPort::open(name, addresses, false)?;
    let report = InterfaceReport {
        name: name.to_owned(),
        role: InterfaceRole::SwitchEnd,
        mtu: interface.mtu,
        created: false,
    };
    Ok(opened(port, Uplink::default(), vec![report]))
}

/// A pair, one end a member of the bridge, the other the switch's.
pub(super) fn on_bridge(
    bridge: &str,
    create: bool,
    member: Option<&str>,
    addresses: Option<&[MacAddr]>,
) -> Result<Opened, LinuxError> {
    let mut interfaces = Interfaces::open()?;
    let mut made = Uplink::default();
    let mut reports = Vec::new();
    if create {
        made._bridge = Some(make_bridge(&mut interfaces, bridge)?);
    }
    if let Some(member) = member {
        made._membership = lend(&mut interfaces, bridge, member)?;
        reports.push(InterfaceReport {
            name: member.to_owned(),
            role: InterfaceRole::Member,
            mtu: interfaces.find(member)?.mtu,
            created: false,
        });
    }
    // After its members: a bridge takes the smallest MTU among them.
    let mtu = bridge_mtu(&mut interfaces, bridge)?;
    let (pair, ours, theirs) = make_pair(bridge, mtu)?;
    made._pair = Some(pair);
    interfaces.set_tag(&ours, &tag(bridge))?;
    prepare(&mut interfaces, bridge, &ours, &theirs)?;
    let port = PacketPort::open(&ours, addresses, false)?;
    let of =
        |name: &str, role, created| InterfaceReport { name: name.to_owned(), role, mtu, created };
    reports.insert(0, of(bridge, InterfaceRole::Bridge, create));
    reports.push(of(&theirs, InterfaceRole::Member, true));
    reports.push(of(&ours, InterfaceRole::SwitchEnd, true));
    Ok(opened(port, made, reports))
}

fn opened(port: PacketPort, made: Uplink, interfaces: Vec<InterfaceReport>) -> Opened {
    let granted = port.granted();
    Opened { uplink: OpenUplink { port: Box::new(port), made, interfaces }, granted }
}

fn make_bridge(interfaces: &mut Interfaces, bridge: &str) -> Result<OwnedInterface, LinuxError> {
    let made = OwnedInterface::bridge(bridge).map_err(|error| match error {
        ifctl::Error::Exists { .. } => LinuxError::BridgeExists { bridge: bridge.to_owned() },
        error => error.into(),
    })?;
    interfaces.set_tag(bridge, &tag(bridge))?;
    interfaces.set_up(bridge, true)?;
    Ok(made)
}

/// Makes an interface a member of the bridge and sets it up; `None` when it was one already.
fn lend(
    interfaces: &mut Interfaces,
    bridge: &str,
    member: &str,
) -> Result<Option<LentMember>, LinuxError> {
    let card = interfaces.find(member)?;
    // Before anything is changed: without it nothing could be changed back.
    let for_the_end = Interfaces::open()?;
    if interfaces.ensure_member(bridge, member)? == ifctl::Membership::AlreadyMember {
        return Ok(None);
    }
    let lent = LentMember {
        interfaces: for_the_end,
        bridge: bridge.to_owned(),
        member: member.to_owned(),
        was_up: card.is_up(),
    };
    if !card.addresses.is_empty() {
        tracing::warn!(
            interface = member,
            bridge,
            "a bridge's member does not use its own addresses any more: give them to the bridge"
        );
    }
    interfaces.set_up(member, true)?;
    Ok(Some(lent))
}

fn bridge_mtu(interfaces: &mut Interfaces, bridge: &str) -> Result<u32, LinuxError> {
    // Asked for its members, whatever is no bridge says so.
    interfaces.members(bridge)?;
    let found = interfaces.find(bridge)?;
    debug_assert_eq!(found.kind, Kind::Bridge);
    if !found.is_up() {
        tracing::warn!(bridge, "the bridge is down: set it up (`vswitch if up {bridge}`)");
    }
    Ok(found.mtu)
}

/// What says that an interface was made here.
fn tag(bridge: &str) -> Tag {
    Tag::new(owner::this_process(), bridge)
}

/// Makes a pair of the first free names: `vsw0` is the switch's end, `vsw0m` the bridge's member.
fn make_pair(bridge: &str, mtu: u32) -> Result<(OwnedInterface, String, String), LinuxError> {
    for number in 0..NAMES_TRIED {
        let (ours, theirs) = (format!("vsw{number}"), format!("vsw{number}m"));
        let options = PairOptions { mtu: Some(mtu), macs: Some(pair_macs(bridge)) };
        match OwnedInterface::pair(&ours, &theirs, options) {
            Ok(pair) => return Ok((pair, ours, theirs)),
            Err(ifctl::Error::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(LinuxError::NoName { tried: NAMES_TRIED })
}

/// The addresses of a pair into `bridge`: the same at each start on this machine.
///
/// A bridge without a card takes its member's address for its own, and guests remember it: with
/// another one after a restart they would speak to nobody for a while. It begins with `fe`, higher
/// than a card's, so that a bridge that has a card keeps that one's.
fn pair_macs(bridge: &str) -> [[u8; 6]; 2] {
    // Without an identity the name alone has to do.
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    ["switch end", "member"].map(|end| {
        let mut hasher = DefaultHasher::new();
        (&machine, bridge, end).hash(&mut hasher);
        let [a, b, c, d, e, ..] = hasher.finish().to_be_bytes();
        [0xfe, a, b, c, d, e]
    })
}

/// Both ends carry frames for others and have none of their own: no ARP, no IPv6. Of the work that
/// stacks leave to a card, they carry what the switch is told of, and can do.
fn prepare(
    interfaces: &mut Interfaces,
    bridge: &str,
    ours: &str,
    theirs: &str,
) -> Result<(), LinuxError> {
    let uso = kernel_offloads().contains(Offloads::USO);
    for end in [ours, theirs] {
        interfaces.mute(end)?;
        interfaces.limit_offloads_to_virtio(end, uso)?;
    }
    interfaces.add_member(bridge, theirs)?;
    for end in [ours, theirs] {
        interfaces.set_up(end, true)?;
    }
    wait_until_they_send(interfaces, [ours, theirs])
}

/// The kernel notices a little later that a pair that was just set up has its carrier; until then
/// it drops what is sent by it, and says it was sent.
fn wait_until_they_send(interfaces: &mut Interfaces, ends: [&str; 2]) -> Result<(), LinuxError> {
    let patience = Instant::now() + CARRIER_PATIENCE;
    for end in ends {
        while interfaces.find(end)?.state != ifctl::OperState::Up {
            if Instant::now() >= patience {
                tracing::warn!(interface = end, "has no carrier yet; going on without");
                return Ok(());
            }
            std::thread::sleep(CARRIER_LOOK_EVERY);
        }
    }
    Ok(())
}

impl Drop for LentMember {
    fn drop(&mut self) {
        // Gone with its bridge, or taken out by somebody else: then there is nothing to do.
        if let Err(error) = self.interfaces.remove_member(&self.bridge, &self.member) {
            tracing::debug!(member = self.member, %error, "not released");
            return;
        }
        if !self.was_up
            && let Err(error) = self.interfaces.set_up(&self.member, false)
        {
            tracing::debug!(member = self.member, %error, "not set down again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pairs_addresses_stay_and_belong_to_no_card() {
        let macs = pair_macs("br0");
        assert_eq!(macs, pair_macs("br0"));
        assert_ne!(macs[0], macs[1]);
        assert_ne!(macs, pair_macs("br1"));
        assert!(macs.iter().all(|mac| mac[0] == 0xfe));
    }
}
