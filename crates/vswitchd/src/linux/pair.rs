//! The pair of interfaces between the switch and a bridge.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use ifctl::{Interface, Interfaces, OwnedInterface, PairOptions};

use super::LinuxError;
use super::stand::Seen;

/// Both ends, known by their numbers.
#[derive(Debug)]
pub(super) struct Pair {
    owned: OwnedInterface,
    /// The name of the bridge's end when it was made.
    member: String,
    member_index: u32,
}

/// How many names are tried for the pair.
const NAMES_TRIED: u32 = 1000;

/// How long a new pair may take to be able to send, and how often to look.
const CARRIER_PATIENCE: Duration = Duration::from_secs(2);
const CARRIER_LOOK_EVERY: Duration = Duration::from_millis(5);

/// Makes a pair of the first free names: `vsw0` is the switch's end, `vsw0m` the bridge's member.
pub(super) fn make(bridge: &str, mtu: u32) -> Result<Pair, LinuxError> {
    for number in 0..NAMES_TRIED {
        let (ours, member) = (format!("vsw{number}"), format!("vsw{number}m"));
        let options = PairOptions { mtu: Some(mtu), macs: Some(macs(bridge)) };
        match OwnedInterface::pair(&ours, &member, options) {
            Ok(owned) => {
                let member_index = Interfaces::open()?.find(&member)?.index;
                return Ok(Pair { owned, member, member_index });
            }
            Err(ifctl::Error::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(LinuxError::NoName { tried: NAMES_TRIED })
}

impl Pair {
    /// The switch's end and the bridge's, as they were named when they were made.
    pub(super) fn names(&self) -> [&str; 2] {
        [self.owned.name(), &self.member]
    }

    /// Whether this is an end's number.
    pub(super) fn has(&self, index: u32) -> bool {
        index == self.owned.index() || index == self.member_index
    }

    /// The switch's end and the bridge's, if both are there and are each other's.
    pub(super) fn ends<'a>(&self, seen: &'a Seen) -> Option<(&'a Interface, &'a Interface)> {
        let ours = seen.numbered(self.owned.index())?;
        let member = seen.numbered(self.member_index)?;
        (ours.peer_index == Some(member.index)).then_some((ours, member))
    }

    /// The kernel notices a little later that a pair that was just set up has its carrier; until
    /// then it drops what is sent by it, and says it was sent.
    pub(super) fn wait_until_it_sends(
        &self,
        interfaces: &mut Interfaces,
    ) -> Result<(), LinuxError> {
        let patience = Instant::now() + CARRIER_PATIENCE;
        loop {
            let seen = Seen(interfaces.list()?);
            // Gone meanwhile: the next look sees to that.
            let Some((ours, member)) = self.ends(&seen) else { return Ok(()) };
            let is_ready = |end: &Interface| end.state == ifctl::OperState::Up || !end.is_up();
            if is_ready(ours) && is_ready(member) {
                return Ok(());
            }
            if Instant::now() >= patience {
                let interface = &ours.name;
                tracing::warn!(interface, "has no carrier yet; going on without");
                return Ok(());
            }
            std::thread::sleep(CARRIER_LOOK_EVERY);
        }
    }
}

/// The addresses of a pair into `bridge`: the same at each start on this machine.
///
/// A bridge without a card takes its member's address for its own, and guests remember it: with
/// another one after a restart they would speak to nobody for a while. It begins with `fe`, higher
/// than a card's, so that a bridge that has a card keeps that one's.
fn macs(bridge: &str) -> [[u8; 6]; 2] {
    // Without an identity the name alone has to do.
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    ["switch end", "member"].map(|end| {
        let mut hasher = DefaultHasher::new();
        (&machine, bridge, end).hash(&mut hasher);
        let [a, b, c, d, e, ..] = hasher.finish().to_be_bytes();
        [0xfe, a, b, c, d, e]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pairs_addresses_stay_and_belong_to_no_card() {
        let of_br0 = macs("br0");
        assert_eq!(of_br0, macs("br0"));
        assert_ne!(of_br0[0], of_br0[1]);
        assert_ne!(of_br0, macs("br1"));
        assert!(of_br0.iter().all(|mac| mac[0] == 0xfe));
    }
}
