//! What an uplink into a bridge stands on: the bridge, a card lent to it, a pair, a socket on the
//! pair. Made once, and mended for as long as the switch runs.
//!
//! Each look takes a picture of all interfaces, and does the first thing that is not as it should
//! be; then it looks again. Interfaces are known by their numbers, so that a new name loses none.

use std::time::{Duration, Instant};

use ifctl::{Interface, InterfaceEvent, Interfaces, Kind, OwnedInterface, Tag};
use vswitch::offload::Offloads;
use vswitch::port::linux::{LinkSlot, PacketLink, PacketPort, kernel_offloads};
use vswitch::port::unix::Granted;

use super::contests::{Contests, Permit};
use super::keeper::Kept;
use super::lent::{self, Lent};
use super::pair::{self, Pair};
use super::retry::Retry;
use super::{LinuxError, owner};
use crate::events::Event;
use crate::repairs::{Mended, Repairs};
use crate::report::{InterfaceReport, InterfaceRole, Standing, UplinkState};

/// What is to stand.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) bridge: String,
    /// The bridge is made here, and goes at the end.
    pub(super) create: bool,
    /// An interface of the host's to be a member while the switch runs.
    pub(super) member: Option<String>,
    /// How frames go into the pair.
    pub(super) link: PacketLink,
    /// What is missing at the start is waited for.
    pub(super) wait: bool,
    /// The uplink as it was asked for, in words.
    pub(super) uplink: String,
}

/// All of it. Dropped, what was lent is given back, and the rest is taken away in the order of the
/// fields.
#[derive(Debug)]
pub(super) struct Stand {
    pair: Option<Pair>,
    own_bridge: Option<OwnedInterface>,
    lent: Option<Lent>,
    interfaces: Interfaces,
    plan: Plan,
    /// The numbers of the bridge and of the plan's member.
    bridge: Option<u32>,
    member: Option<u32>,
    /// The plan's member was in the bridge before anybody here put it there.
    was_member: bool,
    /// The bridge of this number has had, since then, an MTU that is not the smallest of its
    /// members'.
    odd_mtu_of: Option<(u32, Instant)>,
    /// The number of the interface that the port's socket is on.
    linked: Option<u32>,
    slot: LinkSlot,
    granted: Option<Granted>,
    /// The start is over: what is missing is waited for from now on.
    is_made: bool,
    /// All of it stood once: what happens from then on is a repair.
    has_stood: bool,
    contests: Contests,
    retry: Retry,
    /// Something is not mended before then, since it is undone again and again.
    rest_until: Option<Instant>,
    /// Something is not decided yet: to look again then.
    look_at: Option<Instant>,
    /// What was told last of what is missing.
    told: Option<String>,
    repairs: Repairs,
    standing: Standing,
}

/// How many things one look mends at most, so that it comes to an end whoever works against it.
const STEPS_MAX: usize = 16;

/// How long an uplink is left alone that somebody else changes as fast as it is mended.
const UNSETTLED_REST: Duration = Duration::from_millis(250);

/// A bridge's MTU follows its members' at once; the kernel may only tell of one before the other.
const MTU_FOLLOWS_WITHIN: Duration = Duration::from_millis(100);

/// The pair, and the socket on it, among what is contested.
const PAIR: &str = "pair";
const SOCKET: &str = "socket";

/// What one step did.
enum Step {
    /// Something was changed: look again.
    Changed,
    /// There is nothing to do, but for what is missing, if that is something.
    Settled(Result<(), LinuxError>),
}

impl Stand {
    /// Nothing of it yet.
    pub(super) fn new(
        plan: Plan,
        slot: LinkSlot,
        repairs: Repairs,
        standing: Standing,
    ) -> Result<Self, LinuxError> {
        Ok(Self {
            pair: None,
            own_bridge: None,
            lent: None,
            interfaces: Interfaces::open()?,
            plan,
            bridge: None,
            member: None,
            was_member: false,
            odd_mtu_of: None,
            linked: None,
            slot,
            granted: None,
            is_made: false,
            has_stood: false,
            contests: Contests::default(),
            retry: Retry::default(),
            rest_until: None,
            look_at: None,
            told: None,
            repairs,
            standing,
        })
    }

    /// Makes all of it; where it may wait, all but what is missing.
    ///
    /// # Errors
    /// [`LinuxError`]; what was made before goes when this is dropped.
    pub(super) fn make(&mut self) -> Result<(), LinuxError> {
        let made = self.mend(Instant::now());
        self.is_made = true;
        match made {
            Err(LinuxError::Interface { source: error @ ifctl::Error::NotFound { .. } })
                if self.plan.wait =>
            {
                tracing::warn!("the uplink {} waits: {error}", self.plan.uplink);
                self.told = Some(error.to_string());
                self.describe(UplinkState::Waiting)
            }
            made => made.and_then(|()| self.describe(UplinkState::Up)),
        }
    }

    /// What the last socket's buffers were granted.
    pub(super) fn granted(&self) -> Option<Granted> {
        self.granted
    }

    /// Makes what is not there, and changes what is not as it should be.
    fn mend(&mut self, now: Instant) -> Result<(), LinuxError> {
        (self.rest_until, self.look_at) = (None, None);
        for _ in 0..STEPS_MAX {
            let seen = Seen(self.interfaces.list()?);
            match self.step(&seen, now)? {
                Step::Changed => {}
                Step::Settled(missing) => return missing,
            }
        }
        // Somebody changes things as fast as this does: the next look is soon.
        self.look_at = Some(now + UNSETTLED_REST);
        Ok(())
    }

    fn step(&mut self, seen: &Seen, now: Instant) -> Result<Step, LinuxError> {
        let bridge = match self.find_bridge(seen) {
            Some(bridge) => bridge,
            None if self.plan.create => {
                let name = self.plan.bridge.clone();
                return self.make_bridge(&name, now);
            }
            None => {
                // Without its bridge, a pair still is where the guests' frames are dropped, and is
                // joined when the bridge comes back.
                return Ok(Step::Settled(Err(self.missing(&self.plan.bridge.clone()))));
            }
        };
        self.check_bridge(bridge)?;
        let mut missing = Ok(());
        match self.lend(seen, bridge, now) {
            Ok(true) => return Ok(Step::Changed),
            Ok(false) => {}
            // All else is kept without it; at the start it is an error.
            Err(error) => missing = Err(error),
        }
        if missing.is_err() && !self.is_made && !self.plan.wait {
            return Ok(Step::Settled(missing));
        }
        let Some((ours, theirs)) = self.pair.as_ref().and_then(|pair| pair.ends(seen)) else {
            return self.make_pair(bridge, now);
        };
        let is_changed = self.agree_on_mtu(seen, bridge, [ours, theirs], now)?
            || self.join(bridge, theirs, now)?
            || self.set_up(bridge, [ours, theirs], now)?
            || self.link(ours, now)?;
        Ok(if is_changed { Step::Changed } else { Step::Settled(missing) })
    }

    /// Whether what `key` says may be changed now. What is done before all stands needs no permit.
    fn may(&mut self, what: Mended, key: &str, now: Instant) -> bool {
        match self.contests.ask(what, key, now) {
            Permit::Granted => true,
            Permit::NotBefore(then) => {
                self.rest(then);
                false
            }
        }
    }

    fn rest(&mut self, until: Instant) {
        self.rest_until = Some(self.rest_until.map_or(until, |before| before.min(until)));
    }

    /// What `key` says was changed, so that `object` is as `words` say.
    fn mended(&mut self, what: Mended, (object, key): (&str, &str), words: &str, now: Instant) {
        if self.has_stood {
            self.repairs.note(what, object, words);
            if self.contests.count(what, key, now) {
                self.repairs.contested(what, object);
            }
        }
    }

    /// The bridge by its name, or else the one that had the name.
    fn find_bridge<'a>(&mut self, seen: &'a Seen) -> Option<&'a Interface> {
        let found = seen.named(&self.plan.bridge).or_else(|| seen.numbered(self.bridge?))?;
        if self.bridge != Some(found.index) {
            // One that was made here and goes by another name now has no purpose any more.
            self.own_bridge = self.own_bridge.take().filter(|own| own.index() == found.index);
            self.bridge = Some(found.index);
        }
        Some(found)
    }

    fn make_bridge(&mut self, name: &str, now: Instant) -> Result<Step, LinuxError> {
        if !self.may(Mended::Bridge, name, now) {
            return Ok(Step::Settled(Err(self.missing(name))));
        }
        self.own_bridge = None;
        let made = OwnedInterface::bridge(name)?;
        self.interfaces.set_tag(name, &tag(name))?;
        self.interfaces.set_up(name, true)?;
        self.bridge = Some(made.index());
        self.own_bridge = Some(made);
        self.mended(Mended::Bridge, (name, name), "the bridge was made again", now);
        Ok(Step::Changed)
    }

    fn check_bridge(&mut self, bridge: &Interface) -> Result<(), LinuxError> {
        if !self.is_made && self.plan.create && self.own_bridge.is_none() {
            return Err(LinuxError::BridgeExists { bridge: bridge.name.clone() });
        }
        if bridge.kind != Kind::Bridge {
            // Asked for its members, what is no bridge says so.
            self.interfaces.members(&bridge.name)?;
        }
        if !self.is_made && !self.plan.create && self.pair.is_none() && !bridge.is_up() {
            let bridge = &bridge.name;
            tracing::warn!(bridge, "the bridge is down: set it up (`vswitch if up {bridge}`)");
        }
        Ok(())
    }

    /// Makes the plan's member a member of the bridge; true when something was changed.
    fn lend(&mut self, seen: &Seen, bridge: &Interface, now: Instant) -> Result<bool, LinuxError> {
        let Some(name) = self.plan.member.clone() else { return Ok(false) };
        let found = seen.named(&name).or_else(|| seen.numbered(self.member?));
        let Some(member) = found else { return Err(self.missing(&name)) };
        let is_member = member.master.as_ref() == Some(&bridge.name);
        self.member = Some(member.index);
        if is_member {
            let is_ours = self.lent.is_some();
            self.was_member |= !is_ours;
            return Ok(is_ours && !member.is_up() && self.bring_up(member, now)?);
        }
        let key = format!("{} in {}", member.index, bridge.index);
        if !self.may(Mended::Membership, &key, now) {
            return Ok(false);
        }
        if self.interfaces.ensure_member(&bridge.name, &member.name)? == ifctl::Membership::Added {
            // What was a member before this switch is made one again, and stays one at the end.
            if !self.was_member {
                let was_up = self.lent.as_ref().map_or(member.is_up(), |lent| lent.was_up);
                let (bridge, member) = (bridge.name.clone(), member.name.clone());
                self.lent = Some(Lent { bridge, member, was_up });
                if let Some((ours, _)) = self.pair.as_ref().and_then(|pair| pair.ends(seen)) {
                    self.write_tag(&ours.name)?;
                }
            }
            if !self.is_made && !member.addresses.is_empty() {
                tracing::warn!(
                    interface = name,
                    bridge = bridge.name,
                    "a bridge's member does not use its own addresses any more: give them to the \
                     bridge"
                );
            }
            let object = (member.name.as_str(), key.as_str());
            self.mended(Mended::Membership, object, &again(&bridge.name), now);
        }
        self.interfaces.set_up(&member.name, true)?;
        Ok(true)
    }

    fn make_pair(&mut self, bridge: &Interface, now: Instant) -> Result<Step, LinuxError> {
        if !self.may(Mended::Link, PAIR, now) {
            return Ok(Step::Settled(Ok(())));
        }
        // An end that is left goes, and frees its name.
        self.pair = None;
        self.linked = None;
        let pair = pair::make(&self.plan.bridge, bridge.mtu)?;
        let uso = kernel_offloads().contains(Offloads::USO);
        let [ours, theirs] = pair.names();
        self.write_tag(ours)?;
        for end in [ours, theirs] {
            self.interfaces.mute(end)?;
            self.interfaces.limit_offloads_to_virtio(end, uso)?;
        }
        // Not before: one that is not as it should be goes again.
        self.pair = Some(pair);
        if self.has_stood && self.contests.count(Mended::Link, PAIR, now) {
            self.repairs.contested(Mended::Link, &bridge.name);
        }
        Ok(Step::Changed)
    }

    /// Says on the pair, by the name of the switch's end, whose it is and what was lent.
    fn write_tag(&mut self, ours: &str) -> Result<(), LinuxError> {
        let tag = tag(&lent::label(&self.plan.bridge, self.lent.as_ref()));
        Ok(self.interfaces.set_tag(ours, &tag)?)
    }

    /// Gives both ends the MTU that the bridge has, or would have without them.
    fn agree_on_mtu(
        &mut self,
        seen: &Seen,
        bridge: &Interface,
        ends: [&Interface; 2],
        now: Instant,
    ) -> Result<bool, LinuxError> {
        let Some(mtu) = self.wanted_mtu(seen, bridge, ends[1], now) else { return Ok(false) };
        for end in ends {
            let key = end.index.to_string();
            if end.mtu != mtu && self.may(Mended::Mtu, &key, now) {
                self.interfaces.set_mtu(&end.name, mtu)?;
                // One whose MTU rises to 1280 gets IPv6 anew.
                self.interfaces.mute(&end.name)?;
                let words = format!("has the bridge's MTU {mtu} again");
                self.mended(Mended::Mtu, (&end.name, &key), &words, now);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A bridge's MTU is the smallest of its members', unless somebody set it; which of the two,
    /// nothing says (net/bridge/br_if.c, `br_mtu_auto_adjust`). One that is another for longer than
    /// the kernel takes to follow was set, and from then on follows nobody. `None` until that is
    /// known.
    fn wanted_mtu(
        &mut self,
        seen: &Seen,
        bridge: &Interface,
        end: &Interface,
        now: Instant,
    ) -> Option<u32> {
        let members = || seen.members(bridge);
        let smallest = members().map(|member| member.mtu).min();
        if members().all(|member| member.index != end.index) {
            // Before the pair joins, this shows best.
            if smallest.is_some_and(|smallest| smallest != bridge.mtu) {
                let since = now.checked_sub(MTU_FOLLOWS_WITHIN).unwrap_or(now);
                self.odd_mtu_of = Some((bridge.index, since));
            }
            return Some(bridge.mtu);
        }
        let odd_since = self.odd_mtu_of.filter(|(of, _)| *of == bridge.index);
        let is_set = odd_since.is_some_and(|(_, since)| now >= since + MTU_FOLLOWS_WITHIN);
        if is_set {
            return Some(bridge.mtu);
        }
        if smallest != Some(bridge.mtu) {
            let since = odd_since.map_or(now, |(_, since)| since);
            self.odd_mtu_of = Some((bridge.index, since));
            self.look_at = Some(since + MTU_FOLLOWS_WITHIN);
            return None;
        }
        self.odd_mtu_of = None;
        let others = members().filter(|member| member.index != end.index);
        Some(others.map(|member| member.mtu).min().unwrap_or(bridge.mtu))
    }

    /// Makes the pair's end a member of the bridge.
    fn join(
        &mut self,
        bridge: &Interface,
        end: &Interface,
        now: Instant,
    ) -> Result<bool, LinuxError> {
        if end.master.as_ref() == Some(&bridge.name) {
            return Ok(false);
        }
        let key = format!("{} in {}", end.index, bridge.index);
        if !self.may(Mended::Membership, &key, now) {
            return Ok(false);
        }
        if let Some(other) = &end.master {
            self.interfaces.remove_member(other, &end.name)?;
        }
        self.interfaces.ensure_member(&bridge.name, &end.name)?;
        self.mended(Mended::Membership, (&end.name, &key), &again(&bridge.name), now);
        Ok(true)
    }

    fn set_up(
        &mut self,
        bridge: &Interface,
        ends: [&Interface; 2],
        now: Instant,
    ) -> Result<bool, LinuxError> {
        let own = self.own_bridge.is_some().then_some(bridge);
        for interface in ends.into_iter().chain(own) {
            if !interface.is_up() && self.bring_up(interface, now)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn bring_up(&mut self, interface: &Interface, now: Instant) -> Result<bool, LinuxError> {
        let Interface { name, index, .. } = interface;
        let key = index.to_string();
        if !self.may(Mended::Up, &key, now) {
            return Ok(false);
        }
        self.interfaces.set_up(name, true)?;
        self.mended(Mended::Up, (name, &key), "was down, and is up again", now);
        Ok(true)
    }

    /// Gives the port a socket on the switch's end.
    fn link(&mut self, ours: &Interface, now: Instant) -> Result<bool, LinuxError> {
        if self.linked == Some(ours.index) && !self.slot.is_empty() {
            return Ok(false);
        }
        if !self.may(Mended::Link, SOCKET, now) {
            return Ok(false);
        }
        if let Some(pair) = &self.pair {
            pair.wait_until_it_sends(&mut self.interfaces)?;
        }
        let port = PacketPort::open(&ours.name, self.slot.addresses().as_deref(), self.plan.link)?;
        self.granted = Some(port.granted());
        self.linked = Some(port.interface_index());
        self.slot.offer(port);
        self.mended(Mended::Link, (&ours.name, SOCKET), "the uplink is there again", now);
        Ok(true)
    }

    /// That there is no such interface, in the words of whoever looks for it.
    fn missing(&mut self, name: &str) -> LinuxError {
        match self.interfaces.find(name) {
            Err(error) => error.into(),
            // It came this moment: that is told, too, and the next look finds it.
            Ok(_) => LinuxError::Unsettled { name: name.to_owned() },
        }
    }

    /// Says how it stands.
    fn describe(&mut self, state: UplinkState) -> Result<(), LinuxError> {
        let seen = Seen(self.interfaces.list()?);
        let bridge = self.bridge.and_then(|index| seen.numbered(index));
        let member = self.member.and_then(|index| seen.numbered(index));
        let ends = self.pair.as_ref().and_then(|pair| pair.ends(&seen));
        let of = |interface: &Interface, role, created| InterfaceReport {
            name: interface.name.clone(),
            role,
            mtu: interface.mtu,
            created,
        };
        let mut reports = Vec::new();
        reports.extend(bridge.map(|it| of(it, InterfaceRole::Bridge, self.own_bridge.is_some())));
        reports.extend(member.map(|it| of(it, InterfaceRole::Member, false)));
        if let Some((ours, theirs)) = ends {
            reports.push(of(theirs, InterfaceRole::Member, true));
            reports.push(of(ours, InterfaceRole::SwitchEnd, true));
        }
        self.standing.set(state, reports);
        self.has_stood |= state == UplinkState::Up;
        Ok(())
    }

    /// Tells what is missing, once.
    fn tell(&mut self, missing: Option<String>) {
        if self.told == missing {
            return;
        }
        let uplink = self.plan.uplink.clone();
        match &missing {
            Some(why) => {
                tracing::warn!("the uplink {uplink} is not whole, and waits: {why}");
                self.repairs.tell(Event::UplinkWaiting { uplink, why: why.clone() });
            }
            None => {
                tracing::info!("the uplink {uplink} is whole");
                self.repairs.tell(Event::UplinkThere { uplink });
            }
        }
        self.told = missing;
    }
}

impl Kept for Stand {
    fn is_touched_by(&self, event: &InterfaceEvent) -> bool {
        let numbers = [self.bridge, self.member];
        let is_end = self.pair.as_ref().is_some_and(|pair| pair.has(event.index));
        // Other members count, too: the bridge's MTU is to be theirs.
        let is_member = event.master.is_some() && event.master == self.bridge;
        is_end
            || is_member
            || numbers.contains(&Some(event.index))
            || event.name == self.plan.bridge
            || Some(&event.name) == self.plan.member.as_ref()
    }

    fn tend(&mut self, now: Instant) -> Option<Instant> {
        self.slot.close_retired();
        let missing = match self.mend(now) {
            Ok(()) => {
                self.retry.reset();
                self.rest_until.map(|_| "its repairs are undone again and again".to_owned())
            }
            Err(error) => {
                if !error.is_missing() {
                    self.look_at = Some(self.retry.failed(now));
                }
                Some(error.to_string())
            }
        };
        let state = if missing.is_none() { UplinkState::Up } else { UplinkState::Waiting };
        if let Err(error) = self.describe(state) {
            tracing::debug!(%error, "what the uplink uses is not looked at");
        }
        self.tell(missing);
        [self.rest_until, self.look_at].into_iter().flatten().min()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(lent) = self.lent.take() {
            // It may go by other names now.
            let name = |index: Option<u32>, interfaces: &mut Interfaces| {
                let list = interfaces.list().ok()?;
                Some(list.into_iter().find(|of| Some(of.index) == index)?.name)
            };
            let bridge = name(self.bridge, &mut self.interfaces).unwrap_or(lent.bridge);
            let member = name(self.member, &mut self.interfaces).unwrap_or(lent.member);
            let lent = Lent { bridge, member, was_up: lent.was_up };
            lent::give_back(&mut self.interfaces, &lent);
        }
    }
}

/// All interfaces, at one moment.
#[derive(Debug)]
pub(super) struct Seen(pub(super) Vec<Interface>);

impl Seen {
    pub(super) fn named(&self, name: &str) -> Option<&Interface> {
        self.0.iter().find(|of| of.name == name)
    }

    pub(super) fn numbered(&self, index: u32) -> Option<&Interface> {
        self.0.iter().find(|of| of.index == index)
    }

    fn members<'a>(&'a self, bridge: &'a Interface) -> impl Iterator<Item = &'a Interface> {
        self.0.iter().filter(|of| of.master.as_ref() == Some(&bridge.name))
    }
}

/// What says that an interface was made here.
fn tag(label: &str) -> Tag {
    Tag::new(owner::this_process(), label)
}

fn again(bridge: &str) -> String {
    format!("is a member of {bridge} again")
}
