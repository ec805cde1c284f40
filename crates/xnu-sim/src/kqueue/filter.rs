//! Filters: what a knote is about, and when it is ready.

use super::timer::Timer;
use super::{EV_ONESHOT, EVFILT_READ, EVFILT_WRITE, Knote, KnoteId, NOTE_LOWAT, NOTE_TRIGGER};
use super::{Readiness, Side};
use crate::copyio::Raw;
use crate::errno::{EINVAL, Result};
use crate::machine::Machine;
use crate::object::Object;

/// What a knote is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// An open file.
    File {
        object: Object,
        side: Side,
        /// A device's knote by way of `select`, not of the device itself (C14).
        is_by_select: bool,
    },
    Timer(Timer),
    /// Triggered by users.
    User {
        is_triggered: bool,
    },
    /// Detached: its descriptor is closed.
    Gone,
}

/// `NOTE_FFCTRLMASK` and what it can say.
const NOTE_FF_CONTROL: u32 = 0xc000_0000;
const NOTE_FF_AND: u32 = 0x4000_0000;
const NOTE_FF_OR: u32 = 0x8000_0000;
const NOTE_FF_COPY: u32 = 0xc000_0000;
/// `NOTE_FFLAGSMASK`.
const NOTE_FF_FLAGS: u32 = 0x00ff_ffff;

/// What `select` says of a BPF device without an interface: the number of `ENXIO`, which is not 0
/// and so counts as ready (C12, C14).
const SELECT_UNATTACHED: i64 = 6;

/// Room to send on a socket of kernel events (`KEV_SNDSPACE`).
const EVENT_SOCKET_ROOM: i64 = 4096;

impl Machine {
    /// Attaches a knote to its file, or says why not.
    pub(super) fn attach_to_file(&mut self, id: KnoteId, object: Object) -> Result<()> {
        let Some(knote) = self.kqueues.knote(id) else { return Ok(()) };
        let side = if knote.filter == EVFILT_READ { Side::Read } else { Side::Write };
        let has_lowat_one = knote.fflags & NOTE_LOWAT != 0 && knote.data == 1;
        let is_own_queue = object == Object::Kqueue(id.queue);
        let mut is_by_select = false;
        match (object, side) {
            (Object::Bpf(minor), Side::Read) if self.bpf_is_attached(minor) => {
                self.bpf_set_has_knote(minor, true);
            }
            // Not BPF's own: the device layer takes it only from who says that counts do not
            // matter.
            (Object::Bpf(_), _) if has_lowat_one => is_by_select = true,
            (Object::Bpf(_), _) | (Object::Kqueue(_), Side::Write) => return Err(EINVAL),
            (Object::Kqueue(_), Side::Read) if is_own_queue => return Err(EINVAL),
            _ => {}
        }
        if let Some(knote) = self.kqueues.knote(id) {
            knote.source = Source::File { object, side, is_by_select };
        }
        self.kqueues.by_object.entry((object, side)).or_default().push(id);
        Ok(())
    }

    /// Takes a knote from its object.
    pub(super) fn detach_knote(&mut self, id: KnoteId) {
        let Some(knote) = self.kqueues.knote(id) else { return };
        let Source::File { object, side, is_by_select } = knote.source else { return };
        knote.source = Source::Gone;
        let knotes = self.kqueues.by_object.entry((object, side)).or_default();
        knotes.retain(|other| *other != id);
        if knotes.is_empty() {
            self.kqueues.by_object.remove(&(object, side));
        }
        if let (Object::Bpf(minor), false) = (object, is_by_select) {
            // Also when others are left: one registration for each descriptor (§5).
            self.bpf_set_has_knote(minor, false);
        }
    }

    /// Looks whether a knote is ready now.
    pub(super) fn look(&mut self, id: KnoteId) -> Option<Readiness> {
        let knote = self.kqueues.knote(id)?;
        let (fflags, data) = (knote.fflags, knote.data);
        let lowat = (fflags & NOTE_LOWAT != 0).then(|| u64::try_from(data).unwrap_or(0));
        match knote.source {
            Source::File { object, side, is_by_select: true } => {
                let found = self.select(object, side);
                let mark = if fflags & NOTE_LOWAT != 0 { data } else { 1 };
                (found >= mark).then(|| Readiness::with(found))
            }
            Source::File { object, side, .. } => self.look_at(object, side, lowat),
            Source::Timer(timer) => timer.has_fired().then(|| Readiness::with(1)),
            Source::User { is_triggered } => {
                is_triggered.then_some(Readiness { data, is_end: false, fflags })
            }
            Source::Gone => None,
        }
    }

    fn look_at(&mut self, object: Object, side: Side, lowat: Option<u64>) -> Option<Readiness> {
        match (object, side) {
            (Object::Unix(id), Side::Read) => self.unix_readable(id, lowat),
            (Object::Unix(id), Side::Write) => self.unix_writable(id, lowat),
            (Object::Bpf(minor), Side::Read) => {
                self.bpf_readable(minor, lowat).map(Readiness::with)
            }
            (Object::Events(id), Side::Read) => self.events_readable(id).map(Readiness::with),
            (Object::Events(_), Side::Write) => Some(Readiness::with(EVENT_SOCKET_ROOM)),
            // Nothing is ever charged to it (§6).
            (Object::Ndrv(id), Side::Write) => {
                let size = self.ndrv_getsockopt(id, 0xffff, 0x1001).unwrap_or_default();
                Some(Readiness::with(i64::from(size.u32_at(0))))
            }
            (Object::Kqueue(id), Side::Read) => {
                let waiting = self.kqueues.queues.get(&id).map_or(0, |queue| queue.queue.len());
                (waiting > 0).then(|| Readiness::with(i64::try_from(waiting).unwrap_or(i64::MAX)))
            }
            (Object::Ndrv(_), Side::Read) | (Object::Bpf(_) | Object::Kqueue(_), Side::Write) => {
                None
            }
        }
    }

    /// What `select` of a device says.
    fn select(&mut self, object: Object, side: Side) -> i64 {
        match (object, side) {
            (Object::Bpf(minor), _) if !self.bpf_is_attached(minor) => SELECT_UNATTACHED,
            (Object::Bpf(minor), Side::Read) => i64::from(self.bpf_readable(minor, None).is_some()),
            _ => 1,
        }
    }

    /// A change of a knote that is there already; whether the knote is ready then.
    pub(super) fn touch(&mut self, id: KnoteId, fflags: u32, data: i64) -> Result<bool> {
        let Some(knote) = self.kqueues.knote(id) else { return Ok(false) };
        match knote.source {
            Source::File { .. } => {
                (knote.fflags, knote.data) = (fflags, data);
            }
            Source::Timer(_) => return self.touch_timer(id, fflags, data),
            Source::User { is_triggered } => {
                let flags = fflags & NOTE_FF_FLAGS;
                match fflags & NOTE_FF_CONTROL {
                    NOTE_FF_AND => knote.fflags &= flags,
                    NOTE_FF_OR => knote.fflags |= flags,
                    NOTE_FF_COPY => knote.fflags = flags,
                    _ => {}
                }
                knote.data = data;
                let is_triggered = is_triggered || fflags & NOTE_TRIGGER != 0;
                knote.source = Source::User { is_triggered };
            }
            Source::Gone => {}
        }
        Ok(self.look(id).is_some())
    }

    /// A ready knote is processed: what it tells, if it is still ready.
    pub(super) fn process_filter(&mut self, id: KnoteId) -> Option<Readiness> {
        let mut found = self.look(id)?;
        let now_ns = self.now_ns;
        let mut rearm = false;
        let knote = self.kqueues.knote(id)?;
        let clears = knote.clears();
        match &mut knote.source {
            Source::Timer(timer) => {
                let is_last = knote.flags & EV_ONESHOT != 0;
                (found.data, rearm) = timer.process(now_ns, is_last);
                knote.ext[0] = 0;
            }
            Source::User { is_triggered } if clears => *is_triggered = false,
            _ => {}
        }
        if rearm {
            self.arm_timer(id);
        }
        Some(found)
    }
}

/// Whether a filter is one of descriptors, among those that are modelled.
pub(super) const fn is_of_files(filter: i16) -> bool {
    matches!(filter, EVFILT_READ | EVFILT_WRITE)
}

impl Knote {
    pub(super) const fn clears(&self) -> bool {
        self.flags & super::EV_CLEAR != 0
    }
}
