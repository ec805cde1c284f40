//! Kqueues (XNU `bsd/kern/kern_event.c`, contract §8).
//!
//! A knote is looked at only when its object wakes it, when a change touches it, and, while it
//! stays ready and is not `EV_CLEAR`, at each scan. What an object does silently stays unseen.

mod filter;
mod register;
mod scan;
mod timer;

pub(crate) use register::registrations;

use std::collections::{BTreeMap, VecDeque};

use xnu_sys::sys_event::kevent64_s;

use crate::machine::Machine;
use crate::object::Object;
use crate::process::ProcessId;
use filter::Source;

const EVFILT_READ: i16 = -1;
const EVFILT_WRITE: i16 = -2;
const EVFILT_TIMER: i16 = -7;
const EVFILT_USER: i16 = -10;

const EV_ADD: u16 = 0x1;
const EV_DELETE: u16 = 0x2;
const EV_ENABLE: u16 = 0x4;
const EV_DISABLE: u16 = 0x8;
const EV_ONESHOT: u16 = 0x10;
const EV_CLEAR: u16 = 0x20;
const EV_RECEIPT: u16 = 0x40;
const EV_DISPATCH: u16 = 0x80;
const EV_UDATA_SPECIFIC: u16 = 0x100;
const EV_VANISHED: u16 = 0x200;
const EV_ERROR: u16 = 0x4000;
const EV_EOF: u16 = 0x8000;
/// `EV_SYSFLAGS`: callers cannot set these.
const EV_OF_SYSTEM: u16 = 0xf000;
/// `EV_DISPATCH2`: a deletion of a disabled knote waits until it is enabled.
const EV_DISPATCH2: u16 = EV_DISPATCH | EV_UDATA_SPECIFIC;

const NOTE_LOWAT: u32 = 0x1;
const NOTE_TRIGGER: u32 = 0x0100_0000;

/// What a filter found: the knote is ready, and this is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// `data` of the event.
    pub(crate) data: i64,
    /// `EV_EOF`.
    pub(crate) is_end: bool,
    /// `fflags` of the event.
    pub(crate) fflags: u32,
}

impl Readiness {
    pub(crate) const fn with(data: i64) -> Self {
        Self { data, is_end: false, fflags: 0 }
    }
}

/// Which of an object's two lists of knotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Read,
    Write,
}

/// A knote of a kqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KnoteId {
    queue: u32,
    knote: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Kqueues {
    queues: BTreeMap<u32, Kqueue>,
    next_queue: u32,
    next_knote: u64,
    /// The knotes that an object wakes, in the order in which they were made.
    by_object: BTreeMap<(Object, Side), Vec<KnoteId>>,
}

#[derive(Debug)]
struct Kqueue {
    owner: ProcessId,
    knotes: BTreeMap<u64, Knote>,
    /// Those that are active, in the order in which they will be processed.
    queue: VecDeque<u64>,
}

#[derive(Debug)]
struct Knote {
    ident: u64,
    filter: i16,
    /// Flags of its making, which later changes leave alone; and `EV_EOF`.
    flags: u16,
    udata: u64,
    ext: [u64; 2],
    /// The filter's own flags and data, which every touch replaces (`kn_sfflags`, `kn_sdata`).
    fflags: u32,
    data: i64,
    source: Source,
    is_active: bool,
    is_queued: bool,
    is_disabled: bool,
    /// Processed by the scan that is going on.
    is_suppressed: bool,
    is_delete_deferred: bool,
    wants_vanished: bool,
    has_vanished: bool,
}

impl Kqueues {
    fn knote(&mut self, id: KnoteId) -> Option<&mut Knote> {
        self.queues.get_mut(&id.queue)?.knotes.get_mut(&id.knote)
    }

    /// The descriptor's knotes, or those of an ident that is none, of a kqueue.
    fn find(&self, queue: u32, change: &kevent64_s) -> Option<KnoteId> {
        let fits = |knote: &Knote| {
            let is_specific = knote.flags & EV_UDATA_SPECIFIC != 0;
            let fits_udata = match change.flags & EV_UDATA_SPECIFIC {
                0 => !is_specific,
                _ => is_specific && knote.udata == change.udata,
            };
            knote.ident == change.ident && knote.filter == change.filter && fits_udata
        };
        let knotes = &self.queues.get(&queue)?.knotes;
        let (&knote, _) = knotes.iter().find(|(_, knote)| fits(knote))?;
        Some(KnoteId { queue, knote })
    }
}

impl Machine {
    pub(crate) fn kqueue_open(&mut self, owner: ProcessId) -> u32 {
        let kqueues = &mut self.kqueues;
        let id = kqueues.next_queue;
        kqueues.next_queue += 1;
        let queue = Kqueue { owner, knotes: BTreeMap::new(), queue: VecDeque::new() };
        kqueues.queues.insert(id, queue);
        id
    }

    pub(crate) fn kqueue_close(&mut self, id: u32) {
        let knotes = self.kqueues.queues.get(&id).map(|queue| queue.knotes.keys().copied());
        for knote in knotes.into_iter().flatten().collect::<Vec<_>>() {
            self.drop_knote(KnoteId { queue: id, knote });
        }
        self.kqueues.queues.remove(&id);
    }

    /// Something happened to an object: its knotes are looked at again. Without this a change of
    /// state stays unseen, as in XNU.
    pub(crate) fn activate(&mut self, object: Object) {
        self.activate_readers(object);
        self.activate_writers(object);
    }

    /// As [`Self::activate`], for knotes of `EVFILT_READ`.
    pub(crate) fn activate_readers(&mut self, object: Object) {
        self.activate_side(object, Side::Read);
    }

    /// As [`Self::activate`], for knotes of `EVFILT_WRITE`.
    pub(crate) fn activate_writers(&mut self, object: Object) {
        self.activate_side(object, Side::Write);
    }

    /// A device wakes who selects it, and its own knotes only if it knows that it has some (§5).
    pub(crate) fn activate_device(&mut self, object: Object, knows_its_knotes: bool) {
        for side in [Side::Read, Side::Write] {
            self.activate_some(object, side, |is_by_select| is_by_select || knows_its_knotes);
        }
    }

    fn activate_side(&mut self, object: Object, side: Side) {
        self.activate_some(object, side, |_| true);
    }

    /// Looks at an object's knotes again, those by `select` and its own as `is_woken` says.
    fn activate_some(&mut self, object: Object, side: Side, is_woken: impl Fn(bool) -> bool) {
        let Some(knotes) = self.kqueues.by_object.get(&(object, side)) else { return };
        // The last one made comes first, as in XNU's list.
        for id in knotes.clone().into_iter().rev() {
            let source = self.kqueues.knote(id).map(|knote| knote.source);
            let Some(Source::File { is_by_select, .. }) = source else { continue };
            if is_woken(is_by_select) && self.look(id).is_some() {
                self.activate_knote(id);
            }
        }
    }

    fn activate_knote(&mut self, id: KnoteId) {
        if let Some(knote) = self.kqueues.knote(id) {
            knote.is_active = true;
        }
        self.enqueue(id);
    }

    /// An active knote waits for the next scan, unless it is disabled.
    fn enqueue(&mut self, id: KnoteId) {
        let Some(queue) = self.kqueues.queues.get_mut(&id.queue) else { return };
        let Some(knote) = queue.knotes.get_mut(&id.knote) else { return };
        let may_wait = !knote.is_disabled && !knote.is_suppressed && !knote.is_queued;
        if !knote.is_active || !may_wait {
            return;
        }
        knote.is_queued = true;
        queue.queue.push_back(id.knote);
        if queue.queue.len() == 1 {
            // Kqueues that have this one as their object.
            self.activate_readers(Object::Kqueue(id.queue));
        }
    }

    fn dequeue(&mut self, id: KnoteId) {
        let Some(queue) = self.kqueues.queues.get_mut(&id.queue) else { return };
        queue.queue.retain(|knote| *knote != id.knote);
        if let Some(knote) = queue.knotes.get_mut(&id.knote) {
            knote.is_queued = false;
        }
    }

    fn drop_knote(&mut self, id: KnoteId) {
        self.dequeue(id);
        self.detach_knote(id);
        if let Some(queue) = self.kqueues.queues.get_mut(&id.queue) {
            queue.knotes.remove(&id.knote);
        }
    }

    /// A descriptor was closed: its knotes go, or tell of it if they asked to.
    pub(crate) fn forget_knotes(&mut self, process: ProcessId, number: i32) {
        let Ok(ident) = u64::try_from(number) else { return };
        let mut found = Vec::new();
        for (&queue, kqueue) in self.kqueues.queues.iter().filter(|(_, of)| of.owner == process) {
            for (&knote, _) in kqueue.knotes.iter().filter(|(_, of)| of.is_of_descriptor(ident)) {
                found.push(KnoteId { queue, knote });
            }
        }
        for id in found {
            if self.kqueues.knote(id).is_some_and(|knote| knote.wants_vanished) {
                self.detach_knote(id);
                if let Some(knote) = self.kqueues.knote(id) {
                    knote.has_vanished = true;
                }
                self.activate_knote(id);
            } else {
                self.drop_knote(id);
            }
        }
    }
}

impl Knote {
    const fn is_of_descriptor(&self, ident: u64) -> bool {
        matches!(self.source, Source::File { .. }) && self.ident == ident
    }
}
