//! What an uplink into a bridge stands on: the bridge, a member lent to it, a pair of feths, the
//! descriptors on the pair. Built once, and mended for as long as the switch runs.

use std::time::Duration;

use ifctl::xnu::{Change, Events, FethOptions, Interfaces, OwnedInterface, Owner, Tag};
use ifctl::{Kind, Membership};
use vswitch::port::xnu::{Link, LinkOptions, Tended};
use vswitch::{MacAddr, Nanos};
use xnu_sys::Kernel;

use super::XnuError;
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
    /// The uplink as it was asked for, in words.
    pub(super) uplink: String,
    pub(super) owner: Owner,
    pub(super) addresses: Option<Vec<MacAddr>>,
}

/// All of it. Dropped, what was lent is given back, and then the rest is taken away in the order of
/// the fields.
#[derive(Debug)]
pub(super) struct Stand<K: Kernel> {
    pair: Option<OwnedInterface<K>>,
    lent: Option<Lent>,
    bridge: Option<OwnedInterface<K>>,
    interfaces: Interfaces<K>,
    events: Option<Events<K>>,
    plan: Plan,
    /// Nothing is looked at before, unless an event says so.
    look_at: Nanos,
    /// The link that the port has, if it has one, is on a pair that is no more.
    link_is_stale: bool,
    /// Something of this stand's could not be taken away, and is still there.
    has_leftovers: bool,
    /// What was told last of what cannot be mended now.
    told: Option<String>,
    repairs: Repairs,
    standing: Standing,
}

/// The plan's member was made one here: it is released at the end, and set down again if it was
/// down.
#[derive(Clone, Copy, Debug)]
struct Lent {
    was_up: bool,
}

/// How often all is looked at although no event came: what XNU does not tell of is that a member is
/// taken out of its bridge.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many addresses a bridge made here learns: XNU's default of 100 is soon used up by a LAN, and
/// then every frame to a further one is flooded (`BRDGSCACHE`, XNU `bsd/net/if_bridge.c`).
const BRIDGE_ADDRESSES: u32 = 4096;

impl<K: Kernel> Stand<K> {
    /// Makes all of it.
    ///
    /// # Errors
    /// [`XnuError`]; nothing is left behind then.
    pub(super) fn build(
        interfaces: Interfaces<K>,
        plan: Plan,
        repairs: Repairs,
    ) -> Result<(Self, Link<K>), XnuError> {
        let mut this = Self::waiting(interfaces, plan, repairs);
        if this.plan.create {
            this.make_bridge()?;
        }
        this.lend_member()?;
        this.check_bridge()?;
        this.make_pair()?;
        let link = this.open_link()?;
        this.join()?;
        this.standing.set(UplinkState::Up, this.report()?);
        Ok((this, link))
    }

    /// None of it: it is made when it is tended and can be.
    pub(super) fn waiting(interfaces: Interfaces<K>, plan: Plan, repairs: Repairs) -> Self {
        let events = Events::open_on(interfaces.kernel().clone())
            .inspect_err(|error| tracing::warn!(%error, "changes of interfaces are seen late"))
            .ok();
        Self {
            pair: None,
            lent: None,
            bridge: None,
            interfaces,
            events,
            plan,
            look_at: Nanos(0),
            link_is_stale: false,
            has_leftovers: false,
            told: None,
            repairs,
            standing: Standing::new(UplinkState::Waiting, Vec::new()),
        }
    }

    /// How it stands, now and later.
    pub(super) fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// The interfaces that it uses.
    fn report(&self) -> Result<Vec<InterfaceReport>, XnuError> {
        let of = |name: &str, role, created| {
            let mtu = self.interfaces.find(name)?.mtu;
            Ok::<_, XnuError>(InterfaceReport { name: name.to_owned(), role, mtu, created })
        };
        let mut reports = vec![of(&self.plan.bridge, InterfaceRole::Bridge, self.plan.create)?];
        if let Some(member) = &self.plan.member {
            reports.push(of(member, InterfaceRole::Member, false)?);
        }
        if let Some((bridge_end, switch_end)) = self.ends() {
            reports.push(of(&bridge_end, InterfaceRole::Member, true)?);
            reports.push(of(&switch_end, InterfaceRole::SwitchEnd, true)?);
        }
        Ok(reports)
    }

    /// Looks whether all stands, and mends what does not.
    pub(super) fn tend(&mut self, has_link: bool, now: Nanos) -> Tended<K> {
        let news = self.news();
        if !news.is_touched && has_link && now < self.look_at {
            return Tended::Kept;
        }
        self.look_at = now + LOOK_EVERY;
        self.link_is_stale |= news.is_going;
        let (tended, missing) = match self.mend(has_link && !self.link_is_stale) {
            Ok((tended, joined)) => (Some(tended), joined.err()),
            Err(error) => (None, Some(error)),
        };
        match missing {
            None => {
                if self.told.take().is_some() || self.standing.state() == UplinkState::Waiting {
                    self.standing.set(UplinkState::Up, self.report().unwrap_or_default());
                    let uplink = self.plan.uplink.clone();
                    self.repairs.tell(Event::UplinkThere { uplink });
                }
            }
            Some(error) => {
                let error = error.to_string();
                if self.told.as_ref() != Some(&error) {
                    tracing::warn!("the uplink is not whole, and cannot be mended yet: {error}");
                    self.standing.set_state(UplinkState::Waiting);
                    let (uplink, why) = (self.plan.uplink.clone(), error.clone());
                    self.repairs.tell(Event::UplinkWaiting { uplink, why });
                    self.told = Some(error);
                }
            }
        }
        // A link on a pair that is gone is of no use, and keeps it from going.
        let is_lost = has_link && self.link_is_stale;
        tended.unwrap_or(if is_lost { Tended::Lost } else { Tended::Kept })
    }

    /// What became of the link, and of the membership.
    fn mend(&mut self, has_link: bool) -> Result<(Tended<K>, Result<(), XnuError>), XnuError> {
        self.mend_bridge()?;
        let pair_stands = self.pair_stands()?;
        if !pair_stands {
            // What is left of it goes; its names may be in use by the kernel for a while yet.
            self.link_is_stale = true;
            if let Some(pair) = self.pair.take()
                && let Err(error) = pair.destroy()
            {
                tracing::warn!(%error, "a part of the pair is left; it is looked for again");
                self.has_leftovers = true;
            }
            self.make_pair()?;
        }
        self.set_up()?;
        let link = if pair_stands && has_link { None } else { Some(self.open_link()?) };
        self.link_is_stale = false;
        if self.has_leftovers {
            self.sweep()?;
        }
        // The link is handed over whatever becomes of the membership: that is tried again.
        let joined = self.join();
        let tended = match link {
            None => Tended::Kept,
            Some(link) => {
                self.repairs.note(Mended::Link, &self.plan.bridge, "the uplink is there again");
                let state = if joined.is_ok() { UplinkState::Up } else { UplinkState::Waiting };
                self.standing.set(state, self.report().unwrap_or_default());
                Tended::Built(Box::new(link))
            }
        };
        Ok((tended, joined))
    }

    /// Takes away what could not be when it should have been: all that is tagged as this stand's
    /// and is no part of it.
    fn sweep(&mut self) -> Result<(), XnuError> {
        let (tag, ends) = (self.tag(), self.ends());
        for (name, of) in self.interfaces.tagged()? {
            let is_end = ends.as_ref().is_some_and(|(a, b)| name == *a || name == *b);
            if of == tag && !is_end && name != self.plan.bridge {
                self.interfaces.destroy(&name)?;
            }
        }
        self.has_leftovers = false;
        Ok(())
    }

    /// What the kernel told since the last look.
    fn news(&mut self) -> News {
        let mut news = News::default();
        let ends = self.ends();
        let Some(events) = &self.events else { return news };
        while let Ok(Some(event)) = events.next_event() {
            let is_end = ends.as_ref().is_some_and(|(a, b)| event.name() == a || event.name() == b);
            let is_other = event.name() == self.plan.bridge
                || Some(event.name()) == self.plan.member.as_deref();
            news.is_touched |= is_end || is_other;
            let is_going = matches!(event.change, Change::Detaching | Change::Detached);
            news.is_going |= is_end && is_going;
        }
        news
    }

    fn make_bridge(&mut self) -> Result<(), XnuError> {
        let name = &self.plan.bridge;
        let kernel = self.interfaces.kernel().clone();
        let mut made = OwnedInterface::bridge_on(kernel, name).map_err(|error| match error {
            ifctl::Error::Exists { .. } => XnuError::BridgeExists { bridge: name.clone() },
            error => error.into(),
        })?;
        made.set_description(&self.tag().to_string())?;
        self.interfaces.set_address_table_size(name, BRIDGE_ADDRESSES)?;
        self.interfaces.set_up(name, true)?;
        self.bridge = Some(made);
        Ok(())
    }

    fn mend_bridge(&mut self) -> Result<(), XnuError> {
        match self.interfaces.find(&self.plan.bridge) {
            Ok(_) => {}
            Err(ifctl::Error::NotFound { .. }) if self.plan.create => {
                self.bridge = None;
                self.make_bridge()?;
                self.repairs.note(Mended::Bridge, &self.plan.bridge, "the bridge was made again");
            }
            Err(error) => return Err(error.into()),
        }
        self.lend_member()
    }

    /// Makes the plan's member a member, if it is none, and sets it up.
    fn lend_member(&mut self) -> Result<(), XnuError> {
        let Some(member) = self.plan.member.clone() else { return Ok(()) };
        let was_up = self.interfaces.find(&member)?.is_up();
        let membership = self.interfaces.ensure_member(&self.plan.bridge, &member)?;
        if membership == Membership::Added {
            match self.lent {
                // Also in a bridge that was made again: what it was before the first loan counts.
                Some(_) => self.mended_membership(&member),
                None => self.lent = Some(Lent { was_up }),
            }
            // Released when that fails, so that all of it is tried again.
            self.interfaces.set_up(&member, true).inspect_err(|_| self.release())?;
        }
        Ok(())
    }

    /// Gives back what was lent.
    fn release(&mut self) {
        let (Some(lent), Some(member)) = (self.lent.take(), &self.plan.member) else { return };
        // Gone with its bridge, or taken out by somebody else: then there is nothing to do.
        if let Err(error) = self.interfaces.remove_member(&self.plan.bridge, member) {
            tracing::debug!(member, %error, "not released");
            return;
        }
        if !lent.was_up
            && let Err(error) = self.interfaces.set_up(member, false)
        {
            tracing::debug!(member, %error, "not set down again");
        }
    }

    fn check_bridge(&self) -> Result<(), XnuError> {
        let bridge = &self.plan.bridge;
        let found = self.interfaces.find(bridge)?;
        // Asked for its members, whatever is no bridge says so.
        self.interfaces.members(bridge)?;
        debug_assert_eq!(found.kind, Kind::Bridge);
        if !found.is_up() {
            tracing::warn!(bridge, "the bridge is down: set it up (`vswitch if up {bridge}`)");
        }
        Ok(())
    }

    fn make_pair(&mut self) -> Result<(), XnuError> {
        // A bridge without members takes over the first one's MTU; one with members wants its own.
        let mtu = self.interfaces.required_mtu(&self.plan.bridge)?;
        let options =
            FethOptions { mtu, up: true, tag: Some(self.tag()), ..FethOptions::default() };
        let kernel = self.interfaces.kernel().clone();
        let pair = OwnedInterface::feth_pair(kernel, &options);
        // What was half made is taken away again; if that failed, too, it is there still.
        self.has_leftovers |= pair.is_err();
        self.pair = Some(pair?);
        Ok(())
    }

    /// Whether both ends are there, are ours, and are each other's.
    fn pair_stands(&self) -> Result<bool, XnuError> {
        let Some((bridge_end, switch_end)) = self.ends() else { return Ok(false) };
        let tag = Some(self.tag());
        for end in [&bridge_end, &switch_end] {
            match self.interfaces.tag(end) {
                Ok(found) if found == tag => {}
                Ok(_) | Err(ifctl::Error::NotFound { .. }) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        match self.interfaces.peer(&switch_end) {
            Ok(peer) => Ok(peer.as_ref() == Some(&bridge_end)),
            Err(ifctl::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The addresses for which the next links pass frames.
    pub(super) fn set_addresses(&mut self, addresses: Option<&[MacAddr]>) {
        self.plan.addresses = addresses.map(<[MacAddr]>::to_vec);
    }

    fn open_link(&self) -> Result<Link<K>, XnuError> {
        let (_, switch_end) = self.ends().unwrap_or_default();
        let options = LinkOptions { addresses: self.plan.addresses.clone(), is_own_feth: true };
        Ok(Link::open(self.interfaces.kernel().clone(), &switch_end, &options)?)
    }

    fn set_up(&mut self) -> Result<(), XnuError> {
        let Some((bridge_end, switch_end)) = self.ends() else { return Ok(()) };
        let mut names = vec![switch_end, bridge_end];
        if self.plan.create {
            names.push(self.plan.bridge.clone());
        }
        for name in names {
            if !self.interfaces.find(&name)?.is_up() {
                self.interfaces.set_up(&name, true)?;
                self.repairs.note(Mended::Up, &name, "was down, and is up again");
            }
        }
        Ok(())
    }

    /// Makes the pair's end a member of the bridge, if it is none.
    fn join(&mut self) -> Result<(), XnuError> {
        let Some((bridge_end, switch_end)) = self.ends() else { return Ok(()) };
        let bridge = self.plan.bridge.clone();
        let joined = match self.interfaces.ensure_member(&bridge, &bridge_end) {
            // The bridge got another MTU since: so does the pair.
            Err(ifctl::Error::MtuDiffers { mtu, .. }) => {
                for end in [&bridge_end, &switch_end] {
                    self.interfaces.set_mtu(end, mtu)?;
                }
                self.repairs.note(Mended::Mtu, &bridge_end, &format!("has the bridge's MTU {mtu}"));
                // What the link knows of the MTU is old: the next look opens another.
                self.link_is_stale = true;
                self.interfaces.ensure_member(&bridge, &bridge_end)?
            }
            joined => joined?,
        };
        if joined == Membership::Added && self.look_at != Nanos(0) {
            self.mended_membership(&bridge_end);
        }
        Ok(())
    }

    fn mended_membership(&self, member: &str) {
        let what = format!("is a member of {} again", self.plan.bridge);
        self.repairs.note(Mended::Membership, member, &what);
    }

    /// The pair's ends: the bridge's, and the switch's.
    fn ends(&self) -> Option<(String, String)> {
        let pair = self.pair.as_ref()?;
        Some((pair.name().to_owned(), pair.peer()?.to_owned()))
    }

    fn tag(&self) -> Tag {
        Tag::new(self.plan.owner, &self.plan.bridge)
    }
}

/// What events said.
#[derive(Clone, Copy, Debug, Default)]
struct News {
    /// Something of the stand's changed.
    is_touched: bool,
    /// An end of the pair is going, or gone.
    is_going: bool,
}

impl<K: Kernel> Drop for Stand<K> {
    fn drop(&mut self) {
        self.release();
        if self.has_leftovers
            && let Err(error) = self.sweep()
        {
            tracing::warn!(%error, "something of the uplink's is left behind");
        }
    }
}
