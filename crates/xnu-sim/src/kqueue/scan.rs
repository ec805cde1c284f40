//! Events of a kqueue (`kqueue_process` and `knote_process`).

use xnu_sys::sys_event::kevent64_s;

use super::{
    EV_DELETE, EV_DISPATCH, EV_DISPATCH2, EV_EOF, EV_ONESHOT, EV_VANISHED, KnoteId, Readiness,
};
use crate::machine::Machine;

impl Machine {
    /// Takes the events that are there now. Knotes that stay ready wait again behind the others, so
    /// that a small `events` starves none.
    pub(crate) fn kqueue_take(&mut self, queue: u32, events: &mut [kevent64_s]) -> usize {
        let mut count = 0;
        let mut suppressed = Vec::new();
        while count < events.len() {
            let next = self.kqueues.queues.get_mut(&queue).and_then(|of| of.queue.pop_front());
            let Some(knote) = next else { break };
            let id = KnoteId { queue, knote };
            suppressed.push(id);
            if let Some(event) = self.process_knote(id) {
                events[count] = event;
                count += 1;
            }
        }
        for id in suppressed {
            if let Some(knote) = self.kqueues.knote(id) {
                knote.is_suppressed = false;
            }
            self.enqueue(id);
        }
        count
    }

    fn process_knote(&mut self, id: KnoteId) -> Option<kevent64_s> {
        let knote = self.kqueues.knote(id)?;
        knote.is_queued = false;
        knote.is_active = false;
        knote.is_suppressed = true;
        if knote.is_delete_deferred || knote.has_vanished {
            return self.process_last(id);
        }
        let found = self.process_filter(id)?;
        let event = self.event(id, found)?;
        let knote = self.kqueues.knote(id)?;
        if knote.flags & EV_ONESHOT != 0 {
            if knote.flags & EV_DISPATCH2 == EV_DISPATCH2 {
                knote.is_delete_deferred = true;
                knote.is_disabled = true;
            } else {
                self.drop_knote(id);
            }
        } else if knote.flags & EV_DISPATCH != 0 {
            knote.is_disabled = true;
        } else if !knote.clears() {
            self.activate_knote(id);
        }
        Some(event)
    }

    /// The end of a knote whose deletion waited, or whose descriptor was closed.
    fn process_last(&mut self, id: KnoteId) -> Option<kevent64_s> {
        let knote = self.kqueues.knote(id)?;
        let was_deleted = knote.is_delete_deferred;
        let why = if was_deleted { EV_DELETE } else { EV_VANISHED };
        let event = kevent64_s {
            ident: knote.ident,
            filter: knote.filter,
            flags: EV_DISPATCH2 | EV_ONESHOT | why,
            udata: knote.udata,
            ..kevent64_s::default()
        };
        if was_deleted {
            self.drop_knote(id);
        } else {
            knote.is_delete_deferred = true;
            knote.is_disabled = true;
        }
        Some(event)
    }

    fn event(&mut self, id: KnoteId, found: Readiness) -> Option<kevent64_s> {
        let knote = self.kqueues.knote(id)?;
        if found.is_end {
            knote.flags |= EV_EOF;
        }
        Some(kevent64_s {
            ident: knote.ident,
            filter: knote.filter,
            flags: knote.flags,
            fflags: found.fflags,
            data: found.data,
            udata: knote.udata,
            ext: knote.ext,
        })
    }
}
