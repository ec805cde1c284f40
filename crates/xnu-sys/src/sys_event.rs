//! `<sys/event.h>`: kqueues (XNU `bsd/sys/event.h`).

header! {
    header "sys/event.h", public;

    /// A change to, or an event of, a kqueue.
    struct kevent64_s: 48, 8, () {
        /// What it is about: a descriptor's number, for the filters of descriptors.
        ident: u64 = 0,
        /// `EVFILT_READ` and the like.
        filter: i16 = 8,
        /// `EV_ADD` and the like.
        flags: u16 = 10,
        /// Flags of the filter.
        fflags: u32 = 12,
        /// Data of the filter.
        data: i64 = 16,
        /// The user's own.
        udata: u64 = 24,
        /// Extensions of the filter.
        ext: [u64; 2] = 32,
    }

    /// The same for `kevent`, packed to 4.
    struct kevent: 32, 4, (, packed(4)) {
        /// What it is about.
        ident: u64 = 0,
        /// The filter.
        filter: i16 = 8,
        /// `EV_ADD` and the like.
        flags: u16 = 10,
        /// Flags of the filter.
        fflags: u32 = 12,
        /// Data of the filter.
        data: i64 = 16,
        /// The user's own.
        udata: u64 = 24,
    }

    /// Filter: there is something to read.
    const EVFILT_READ: i16 = -1;
    /// Filter: there is room to write.
    const EVFILT_WRITE: i16 = -2;
    /// Filter: a timer.
    const EVFILT_TIMER: i16 = -7;
    /// Filter: another thread says so.
    const EVFILT_USER: i16 = -10;

    /// Change: add it, or change it when it is there already.
    const EV_ADD: u16 = 0x0001;
    /// Change: take it away.
    const EV_DELETE: u16 = 0x0002;
    /// Change: report it again.
    const EV_ENABLE: u16 = 0x0004;
    /// Change: report it no longer.
    const EV_DISABLE: u16 = 0x0008;
    /// Is reported once and then gone.
    const EV_ONESHOT: u16 = 0x0010;
    /// Is reported once for each time that it becomes ready.
    const EV_CLEAR: u16 = 0x0020;
    /// The change is answered in `events`: [`EV_ERROR`] with an error's number or 0.
    const EV_RECEIPT: u16 = 0x0040;
    /// Is disabled when it was reported.
    const EV_DISPATCH: u16 = 0x0080;
    /// Is one of its own for each `udata`.
    const EV_UDATA_SPECIFIC: u16 = 0x0100;
    /// The descriptor is gone.
    const EV_VANISHED: u16 = 0x0200;
    /// Event: an error, its number in `data`.
    const EV_ERROR: u16 = 0x4000;
    /// Event: the other end is closed. A unix datagram socket whose peer died does not say so.
    const EV_EOF: u16 = 0x8000;

    /// `EVFILT_READ`, `EVFILT_WRITE`: ready from `data` bytes on.
    const NOTE_LOWAT: u32 = 0x0000_0001;
    /// `EVFILT_USER`: becomes ready.
    const NOTE_TRIGGER: u32 = 0x0100_0000;
    /// `EVFILT_USER`: the flags are left.
    const NOTE_FFNOP: u32 = 0x0000_0000;
    /// `EVFILT_USER`: the flags are set.
    const NOTE_FFCOPY: u32 = 0xc000_0000;
    /// `EVFILT_TIMER`: `data` is seconds; milliseconds without a unit.
    const NOTE_SECONDS: u32 = 0x0000_0001;
    /// `EVFILT_TIMER`: `data` is microseconds.
    const NOTE_USECONDS: u32 = 0x0000_0002;
    /// `EVFILT_TIMER`: `data` is nanoseconds.
    const NOTE_NSECONDS: u32 = 0x0000_0004;
    /// `EVFILT_TIMER`: `data` is a time of day, not a span.
    const NOTE_ABSOLUTE: u32 = 0x0000_0008;
    /// `EVFILT_TIMER`: is not put off to save power.
    const NOTE_CRITICAL: u32 = 0x0000_0020;

    /// The call does not wait, whatever its timeout.
    const KEVENT_FLAG_IMMEDIATE: u32 = 0x01;
    /// The call reports errors of changes alone.
    const KEVENT_FLAG_ERROR_EVENTS: u32 = 0x02;
}
