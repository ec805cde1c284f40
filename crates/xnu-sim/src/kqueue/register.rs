//! Changes to a kqueue (`kevent_register`).

use xnu_sys::sys_event::kevent64_s;

use super::filter::{Source, is_of_files};
use super::{
    EV_ADD, EV_DELETE, EV_DISABLE, EV_DISPATCH2, EV_ENABLE, EV_ERROR, EV_OF_SYSTEM, EV_RECEIPT,
    EV_UDATA_SPECIFIC, EV_VANISHED, EVFILT_TIMER, EVFILT_USER, Knote, KnoteId, NOTE_TRIGGER,
};
use crate::errno::{EBADF, EINPROGRESS, EINVAL, ENOENT, Result};
use crate::machine::Machine;
use crate::process::ProcessId;

/// How many changes add, delete, enable or disable a knote; others touch one at most.
pub(crate) fn registrations(changes: &[kevent64_s]) -> usize {
    const FLAGS: u16 = EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE;
    changes.iter().filter(|change| change.flags & FLAGS != 0).count()
}

impl Machine {
    /// Makes changes; errors and receipts go into `events` from its first place on: how many. An
    /// error without room for it ends the call.
    pub(crate) fn kqueue_change(
        &mut self,
        process: ProcessId,
        id: u32,
        changes: &[kevent64_s],
        events: &mut [kevent64_s],
    ) -> Result<usize> {
        let mut count = 0;
        for change in changes {
            let mut change = *change;
            change.flags &= !EV_OF_SYSTEM;
            let result = self.register(process, id, &mut change);
            let told = match result {
                Ok(()) if change.flags & EV_RECEIPT == 0 => continue,
                Ok(()) => 0,
                Err(errno) => i64::from(errno.0),
            };
            // A receipt of a change that went well has the change's own data replaced by 0.
            change.flags |= EV_ERROR;
            change.data = told;
            match (events.get_mut(count), result) {
                (Some(event), _) => {
                    *event = change;
                    count += 1;
                }
                (None, Err(errno)) => return Err(errno),
                (None, Ok(())) => {}
            }
        }
        Ok(count)
    }

    fn register(&mut self, process: ProcessId, id: u32, change: &mut kevent64_s) -> Result<()> {
        // Other filters of XNU are not modelled.
        if !is_of_files(change.filter) && !matches!(change.filter, EVFILT_TIMER | EVFILT_USER) {
            return Err(EINVAL);
        }
        let needs = EV_ADD | EV_DISPATCH2;
        if change.flags & EV_VANISHED != 0 && change.flags & needs != needs {
            return Err(EINVAL);
        }
        if change.flags & EV_DELETE != 0 {
            change.flags &= !EV_ADD;
        }
        if change.flags & EV_DISABLE != 0 {
            change.flags &= !EV_ENABLE;
        }
        match self.kqueues.find(id, change) {
            None if change.flags & EV_ADD == 0 => Err(ENOENT),
            None => self.add_knote(process, id, change),
            Some(knote) if change.flags & EV_DELETE != 0 => self.delete_knote(knote, change),
            Some(knote) => self.update_knote(knote, change),
        }
    }

    fn add_knote(&mut self, process: ProcessId, queue: u32, change: &mut kevent64_s) -> Result<()> {
        let object = if is_of_files(change.filter) {
            // XNU looks the ident up as an `int`.
            let number = change.ident.to_le_bytes();
            let number = i32::from_le_bytes([number[0], number[1], number[2], number[3]]);
            let file = self.processes.by_number(process, number)?;
            Some(self.processes.file(file)?.object)
        } else {
            None
        };
        let wants_vanished = change.flags & EV_VANISHED != 0;
        change.flags &= !EV_VANISHED;
        let knote = Knote {
            ident: change.ident,
            filter: change.filter,
            flags: change.flags,
            udata: change.udata,
            ext: change.ext,
            fflags: change.fflags,
            data: change.data,
            source: Source::Gone,
            is_active: false,
            is_queued: false,
            is_disabled: change.flags & EV_DISABLE != 0,
            is_suppressed: false,
            is_delete_deferred: false,
            wants_vanished,
            has_vanished: false,
        };
        let id = KnoteId { queue, knote: self.kqueues.next_knote };
        self.kqueues.next_knote += 1;
        self.kqueues.queues.get_mut(&queue).ok_or(EBADF)?.knotes.insert(id.knote, knote);
        let attached = match object {
            Some(object) => self.attach_to_file(id, object).map(|()| self.look(id).is_some()),
            None if change.filter == EVFILT_TIMER => self.attach_timer(id),
            None => {
                let is_triggered = change.fflags & NOTE_TRIGGER != 0;
                if let Some(knote) = self.kqueues.knote(id) {
                    knote.source = Source::User { is_triggered };
                }
                Ok(is_triggered)
            }
        };
        match attached {
            Ok(true) => self.activate_knote(id),
            Ok(false) => {}
            Err(errno) => {
                self.drop_knote(id);
                return Err(errno);
            }
        }
        Ok(())
    }

    fn delete_knote(&mut self, id: KnoteId, change: &kevent64_s) -> Result<()> {
        if let Some(knote) = self.kqueues.knote(id)
            && change.flags & EV_ENABLE == 0
            && knote.flags & EV_DISPATCH2 == EV_DISPATCH2
            && knote.is_disabled
        {
            knote.is_delete_deferred = true;
            return Err(EINPROGRESS);
        }
        self.drop_knote(id);
        Ok(())
    }

    /// A knote that is there already: its filter is touched, its `udata` replaced. What flags it
    /// was made with stays, but for being enabled.
    fn update_knote(&mut self, id: KnoteId, change: &kevent64_s) -> Result<()> {
        let Some(knote) = self.kqueues.knote(id) else { return Ok(()) };
        let is_ready = if knote.is_delete_deferred || knote.has_vanished {
            change.flags & EV_ENABLE != 0
        } else {
            self.touch(id, change.fflags, change.data)?
        };
        let Some(knote) = self.kqueues.knote(id) else { return Ok(()) };
        if knote.flags & EV_UDATA_SPECIFIC == 0 {
            knote.udata = change.udata;
        }
        if change.flags & EV_DISABLE != 0 {
            knote.is_disabled = true;
            self.dequeue(id);
        } else if change.flags & EV_ENABLE != 0 {
            knote.is_disabled = false;
        }
        if is_ready {
            self.activate_knote(id);
        } else {
            self.enqueue(id);
        }
        Ok(())
    }
}
